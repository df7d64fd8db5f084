"""Virtual time and the tasks in it: every wait hands over to whoever is due next, in an order that a seed decides."""

import heapq
import math
from collections.abc import Callable
from datetime import datetime, timedelta

import greenlet  # type: ignore[import-untyped]

from tests.fakes.house import DAWN

SECOND = 1_000_000


class Clockwork:
    """The scheduler, and port `Clock`. Times inside are whole microseconds since the beginning."""

    def __init__(self) -> None:
        self.at_us = self._until_us = 0
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = greenlet.getcurrent()
        self._idle: list[greenlet.greenlet] = []
        self._now: datetime | None = DAWN

    def now(self) -> datetime:
        """The virtual time of day."""
        if self._now is None:
            self._now = DAWN + timedelta(microseconds=self.at_us)
        return self._now

    def monotonic(self) -> float:
        """Virtual seconds since the beginning."""
        return self.at_us / SECOND

    def sleep(self, seconds: float) -> None:
        """Let others go on until that much later; where nobody is due before, there is nobody to hand over to."""
        when = self.at_us + int(seconds * SECOND)
        if when <= self._until_us and (not self._due or when < self._due[0][0]):
            self._move_to(when)
            return
        self._push(when, greenlet.getcurrent().switch)
        self._hub.switch()

    def wait(self, waiting: list[Callable[[], None]], timeout_s: float | None) -> None:
        """Let others go on until somebody calls what is put into `waiting`, or that much later."""
        me, over = greenlet.getcurrent(), False

        def go_on() -> None:
            nonlocal over
            if not over:
                over = True
                me.switch()

        waiting.append(lambda: self._push(self.at_us, go_on))
        if timeout_s is not None:
            # Rounded up: who waits for what is left of a moment must find it over afterwards.
            self._push(self.at_us + math.ceil(timeout_s * SECOND), go_on)
        self._hub.switch()

    def call_at(self, when_us: int, what: Callable[[], object]) -> None:
        """Do something later that never waits."""
        self._push(max(when_us, self.at_us), what)

    def spawn(self, what: Callable[[], object], delay_s: float = 0.0) -> None:
        """Begin a task later; it may wait."""
        self._push(self.at_us + int(delay_s * SECOND), lambda: self._begin(what))

    def _begin(self, what: Callable[[], object]) -> None:
        worker = self._idle.pop() if self._idle else greenlet.greenlet(self._work, self._hub)
        worker.switch(what)

    def _work(self, what: Callable[[], object]) -> None:
        """Task after task in one greenlet: making one costs more than most tasks do."""
        while True:
            what()
            self._idle.append(greenlet.getcurrent())
            what = self._hub.switch()

    def run_until(self, end_us: int) -> None:
        """Everything that is due until then."""
        due, self._until_us = self._due, end_us
        while due and due[0][0] <= end_us:
            when, _, what = heapq.heappop(due)
            self._move_to(when)
            what()
        self._move_to(max(end_us, self.at_us))

    def pending(self) -> int:
        """How much is still to come."""
        return len(self._due)

    def _push(self, when_us: int, what: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._due, (when_us, self._count, what))

    def _move_to(self, when_us: int) -> None:
        if when_us != self.at_us:
            self.at_us, self._now = when_us, None


def microseconds(moment: datetime) -> int:
    """A time of day as the clockwork counts it."""
    return (moment - DAWN) // timedelta(microseconds=1)
