"""Takes up what is overdue in whichever process serves anything (B6).

When the Functions host dies its timers rest for some 70 s, until their lock lapses. What the first tries of its
processes owed is overdue long before; each other process looks for it, and so does the next one that starts.
"""

from collections.abc import Callable

from shared.adapters.threads import OS_THREADS, Threads
from shared.domain.errors import EmergencyCallingError
from shared.ports import Telemetry

# After its start a process looks every second: what its predecessor owed falls due within `FIRST_TRY_WITHIN`, 8 s.
STARTING_S, STARTING_EVERY_S = 12.0, 1.0
# An invocation keeps a process looking, as long as what a process beside it owed at that moment may fall due.
SERVING_S, SERVING_EVERY_S = 30.0, 4.0
# Whoever is woken by an invocation lets that invocation's own work go first.
WOKEN_AFTER_S = 0.3
STAND_BACK_S = 1.0


class TakeUp:
    """Calls `look` in the background, on one thread: every second after the start, then while invocations come.

    It stands back while dials are being answered. What a look raises concerns nobody: the next one comes soon.
    """

    def __init__(
        self,
        look: Callable[[], None],
        telemetry: Telemetry,
        *,
        stand_back: Callable[[float], None] = lambda _most_s: None,
        threads: Threads = OS_THREADS,
    ) -> None:
        self._look = look
        self._telemetry = telemetry
        self._stand_back = stand_back
        self._threads = threads
        self._lock = threads.lock()
        self._begun = False
        self._starting_until = self._until = threads.monotonic()
        self._woken = threads.signal()

    def begin(self) -> None:
        """The process has started. Does nothing the second time."""
        with self._lock:
            if self._begun:
                return
            self._begun = True
        self._starting_until = self._threads.monotonic() + STARTING_S
        self._until = max(self._until, self._starting_until)
        self._threads.begin("take-up", self._run)

    def served(self) -> None:
        """An invocation is served here; costs its answer nothing."""
        self._until = max(self._until, self._threads.monotonic() + SERVING_S)
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._pause()
            self._stand_back(STAND_BACK_S)
            try:
                self._look()
            except EmergencyCallingError:
                # Storage is away, which has been said; the outbox still has everything.
                continue
            except Exception as error:  # noqa: BLE001 - the thread must not end; the message may hold anything
                self._telemetry.emit("unforeseen_error", function="take_up", error=type(error).__name__)

    def _pause(self) -> None:
        now = self._threads.monotonic()
        if now < self._starting_until:
            self._threads.sleep(STARTING_EVERY_S)
        elif now < self._until:
            self._threads.sleep(SERVING_EVERY_S)
        else:
            self._wait_for_an_invocation(now)

    def _wait_for_an_invocation(self, since: float) -> None:
        self._woken = woken = self._threads.signal()
        # An invocation between the look at `_until` and the new signal has set the old one.
        if self._until <= since:
            woken.wait()
        self._threads.sleep(WOKEN_AFTER_S)
