"""Virtual time and the tasks in it: every wait hands over to whoever is due next, in an order that a seed decides."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

import greenlet  # type: ignore[import-untyped]

from tests.house import DAWN

SECOND = 1_000_000


class Clockwork:
    """The scheduler, and port `Clock`. Times inside are whole microseconds since the beginning."""

    def __init__(self) -> None:
        self.at_us = 0
        self._due: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0
        self._hub = greenlet.getcurrent()
        self._now = DAWN

    def now(self) -> datetime:
        """The virtual time of day."""
        return self._now

    def monotonic(self) -> float:
        """Virtual seconds since the beginning."""
        return self.at_us / SECOND

    def sleep(self, seconds: float) -> None:
        """Let others go on until that much later."""
        self._push(self.at_us + int(seconds * SECOND), greenlet.getcurrent().switch)
        self._hub.switch()

    def call_at(self, when_us: int, what: Callable[[], object]) -> None:
        """Do something later that never waits."""
        self._push(max(when_us, self.at_us), what)

    def spawn(self, what: Callable[[], object], delay_s: float = 0.0) -> None:
        """Begin a task later; it may wait."""
        self._push(self.at_us + int(delay_s * SECOND), greenlet.greenlet(what, self._hub).switch)

    def run_until(self, end_us: int) -> None:
        """Everything that is due until then."""
        due = self._due
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
            self.at_us = when_us
            self._now = DAWN + timedelta(microseconds=when_us)


def microseconds(moment: datetime) -> int:
    """A time of day as the clockwork counts it."""
    return (moment - DAWN) // timedelta(microseconds=1)
