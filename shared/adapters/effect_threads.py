"""Runs owed effects on small executors of their own (port `Effects`)."""

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType

from shared.adapters.threads import OS_THREADS, Crew, Signal, Threads
from shared.ports import Telemetry

# As many as a presence service is asked at once.
THREADS_A_KIND = 16
# More would wait for longer than until the sweep takes them up.
MAX_WAITING_A_KIND = 500
# Of what one reporter caused: a flood leaves the other half to everybody else.
MAX_WAITING_OF_ONE = MAX_WAITING_A_KIND // 2
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
        crews: Mapping[type[E], int] = MappingProxyType({}),
        reporter_of: Callable[[E], str | None] = lambda _effect: None,
        threads: Threads = OS_THREADS,
    ) -> None:
        """`crews`: how many threads a kind has that has not `THREADS_A_KIND`; `reporter_of`: who caused an effect."""
        self._telemetry = telemetry
        self._stand_back = stand_back
        self._sizes = crews
        self._reporter_of = reporter_of
        self._threads = threads
        self._lock = threads.lock()
        self._crews: dict[type, Crew] = {}
        self._waiting: dict[E, Signal] = {}

    def start(self, effects: Sequence[E], perform: Callable[[E], Sequence[E]]) -> None:
        """Begin all at once, a moment after the answer that they follow from; nobody waits."""
        not_before = self._threads.monotonic() + ANSWER_FIRST_S
        for effect in effects:
            self._begin(effect, perform, not_before)

    def finish(self, effects: Sequence[E], perform: Callable[[E], Sequence[E]]) -> None:
        """Begin all at once and wait for them; what takes too long goes on, and the outbox has it in any case."""
        until = self._threads.monotonic() + FINISH_WITHIN_S
        for done in [self._begin(effect, perform) for effect in effects]:
            done.wait(max(0.0, until - self._threads.monotonic()))

    def _begin(self, effect: E, perform: Callable[[E], Sequence[E]], not_before: float = 0.0) -> Signal:
        with self._lock:
            done = self._waiting.get(effect)
            if done is not None:
                return done
            self._waiting[effect] = done = self._threads.signal()
            attempt = functools.partial(self._attempt, effect, perform, done, not_before)
            failed = self._submit(effect, attempt)
            if failed is None:
                return done
            del self._waiting[effect]
        # The outbox still has it, and whoever answers a caller goes on.
        done.set()
        self._tell(effect, failed)
        return done

    def _submit(self, effect: E, attempt: Callable[[], None]) -> str | None:
        """Why it cannot be begun; None where it was."""
        waiting = [each for each in self._waiting if type(each) is type(effect)]
        reporter = self._reporter_of(effect)
        of_one = 0 if reporter is None else sum(self._reporter_of(each) == reporter for each in waiting)
        if len(waiting) > MAX_WAITING_A_KIND or of_one > MAX_WAITING_OF_ONE:
            return "queue_full"
        try:
            self._crew_for(effect).submit(attempt)
        except RuntimeError:
            # The interpreter shuts down, or the machine has no thread left.
            return "no_thread"
        return None

    def _crew_for(self, effect: E) -> Crew:
        kind = type(effect)
        if kind not in self._crews:
            size = self._sizes.get(kind, THREADS_A_KIND)
            self._crews[kind] = self._threads.crew(f"effect-{kind.__name__}", size)
        return self._crews[kind]

    def _attempt(self, effect: E, perform: Callable[[E], Sequence[E]], done: Signal, not_before: float) -> None:
        # Nobody waits for this, and somebody waits for the answer.
        self._threads.sleep(max(0.0, not_before - self._threads.monotonic()))
        self._stand_back(STAND_BACK_S)
        with self._lock:
            # From here on an equal effect must queue again: this run may already have read the state. It may be gone:
            # an executor has queued what it then finds no further thread for.
            self._waiting.pop(effect, None)
        try:
            for following in perform(effect):
                self._begin(following, perform)
        except Exception as error:  # noqa: BLE001 - the one place that leaves a failed effect to the outbox
            self._tell(effect, type(error).__name__.lower())
        finally:
            done.set()

    def _tell(self, effect: E, error: str) -> None:
        self._telemetry.emit("effect_failed", effect=type(effect).__name__.lower(), error=error)
