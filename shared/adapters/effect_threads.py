"""Runs owed effects on small executors of their own (port `Effects`)."""

import contextvars
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from shared.ports import Telemetry

# More of them finish a burst's effects hardly sooner, and whoever dials after it waits three times as long.
THREADS_A_KIND = 4
# Less than from one sweep to the next: where a service hangs, the next one still comes in time for whoever waits.
FINISH_WITHIN_S = 8.0
STAND_BACK_S = 1.0
# So long an answer takes from the function to the wire: effects that begin meanwhile make its caller wait for the
# interpreter, and cost more of that time than they gain.
ANSWER_FIRST_S = 0.03


class EffectThreads[E: Hashable]:
    """One executor for each kind of effect, so that a slow mail service keeps no presence waiting.

    An effect that waits for a thread already is not queued once more, however often the sweep takes it up.
    Each stands back while dials are being answered, with the seconds that it may lose by it at most.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        stand_back: Callable[[float], None] = lambda _most_s: None,
    ) -> None:
        self._telemetry = telemetry
        self._stand_back = stand_back
        self._lock = threading.Lock()
        self._executors: dict[type, ThreadPoolExecutor] = {}
        self._waiting: dict[E, Future[None]] = {}

    def start(self, effects: Sequence[E], perform: Callable[[E], Sequence[E]]) -> None:
        """Begin all at once, a moment after the answer that they follow from; nobody waits."""
        not_before = time.monotonic() + ANSWER_FIRST_S
        for effect in effects:
            self._begin(effect, perform, not_before)

    def finish(self, effects: Sequence[E], perform: Callable[[E], Sequence[E]]) -> None:
        """Begin all at once and wait for them; what takes too long goes on, and the outbox has it in any case."""
        wait([self._begin(effect, perform) for effect in effects], timeout=FINISH_WITHIN_S)

    def _begin(self, effect: E, perform: Callable[[E], Sequence[E]], not_before: float = 0.0) -> Future[None]:
        with self._lock:
            if effect not in self._waiting:
                # The invocation id travels in the context: without it the host cannot file the log lines.
                attempt = contextvars.copy_context().run
                self._waiting[effect] = self._executor_for(effect).submit(
                    attempt, self._attempt, effect, perform, not_before
                )
            return self._waiting[effect]

    def _executor_for(self, effect: E) -> ThreadPoolExecutor:
        kind = type(effect)
        if kind not in self._executors:
            self._executors[kind] = ThreadPoolExecutor(THREADS_A_KIND, f"effect-{kind.__name__}")
        return self._executors[kind]

    def _attempt(self, effect: E, perform: Callable[[E], Sequence[E]], not_before: float) -> None:
        # Nobody waits for this, and somebody waits for the answer.
        time.sleep(max(0.0, not_before - time.monotonic()))
        self._stand_back(STAND_BACK_S)
        with self._lock:
            # Whatever is owed from now on may be of what this one does not see any more.
            del self._waiting[effect]
        try:
            for following in perform(effect):
                self._begin(following, perform)
        except Exception as error:  # noqa: BLE001 - the one place that leaves a failed effect to the outbox
            self._telemetry.emit(
                "effect_failed", effect=type(effect).__name__.lower(), error=type(error).__name__.lower()
            )
