"""Runs owed effects on small executors of their own (port `Effects`)."""

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from shared.ports import Telemetry

THREADS_A_KIND = 8
FINISH_WITHIN_S = 25.0
STAND_BACK_S = 1.0


class EffectThreads[E]:
    """One executor for each kind of effect, so that a slow mail service keeps no presence waiting.

    `perform` gives the effects that follow from one. Each stands back while dials are being answered, with the seconds
    that it may lose by it at most.
    """

    def __init__(
        self,
        perform: Callable[[E], Sequence[E]],
        telemetry: Telemetry,
        *,
        stand_back: Callable[[float], None] = lambda _most_s: None,
    ) -> None:
        self._perform = perform
        self._telemetry = telemetry
        self._stand_back = stand_back
        self._executors: dict[type, ThreadPoolExecutor] = {}

    def start(self, effects: Sequence[E]) -> None:
        """Begin all at once; nobody waits."""
        for effect in effects:
            self._begin(effect)

    def finish(self, effects: Sequence[E]) -> None:
        """Begin all at once and wait for them; what takes too long goes on, and the outbox has it in any case."""
        wait([self._begin(effect) for effect in effects], timeout=FINISH_WITHIN_S)

    def _begin(self, effect: E) -> Future[None]:
        kind = type(effect)
        executor = self._executors.get(kind)
        if executor is None:
            # Two threads may both make one: setdefault keeps the first, and an executor without work has no threads.
            executor = self._executors.setdefault(kind, ThreadPoolExecutor(THREADS_A_KIND, f"effect-{kind.__name__}"))
        # The invocation id travels in the context: without it the host cannot file the log lines.
        return executor.submit(contextvars.copy_context().run, self._attempt, effect)

    def _attempt(self, effect: E) -> None:
        self._stand_back(STAND_BACK_S)
        try:
            self.start(self._perform(effect))
        except Exception as error:  # noqa: BLE001 - the one place that leaves a failed effect to the outbox
            self._telemetry.emit(
                "effect_failed", effect=type(effect).__name__.lower(), error=type(error).__name__.lower()
            )
