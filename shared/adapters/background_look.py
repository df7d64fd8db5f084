"""Looks at something slow in the background, for whoever asks: they are told in time what is known, with its age."""

from collections.abc import Callable

from msgspec import Struct

from shared.adapters.threads import OS_THREADS, Signal, Threads
from shared.deadlines import Clock, Deadline
from shared.domain.errors import EmergencyCallingError
from shared.ports import Telemetry


class _Seen[T](Struct, frozen=True):
    what: T
    until: float


class BackgroundLook[T]:
    """Port `SlowLook`. One look at a time, on a thread of its own; what it saw is remembered for `remembered_s`.

    A look may take `within_s`, which is longer than anybody waits: the next who asks is told what came of it.
    """

    def __init__(
        self,
        name: str,
        look: Callable[[Deadline], T],
        clock: Clock,
        telemetry: Telemetry,
        *,
        within_s: float,
        remembered_s: float,
        threads: Threads = OS_THREADS,
    ) -> None:
        self._name = name
        self._look = look
        self._clock = clock
        self._telemetry = telemetry
        self._within_s = within_s
        self._remembered_s = remembered_s
        self._threads = threads
        self._lock = threads.lock()
        self._seen: _Seen[T] | None = None
        self._over: Signal | None = None

    def begin(self) -> None:
        """Look, unless what was seen last is young, or somebody looks already."""
        with self._lock:
            young = self._seen is not None and self._clock.monotonic() < self._seen.until
            if young or self._over is not None:
                return
            self._over = over = self._threads.signal()
        try:
            self._threads.begin(self._name, lambda: self._run(over))
        except RuntimeError:
            # No thread is to be had now: it stays as it was seen before, and whoever asks next has another look taken.
            self._end(over)

    def seen(self, deadline: Deadline) -> T | None:
        """What was seen, waiting until the deadline for a look that is under way; None where nothing was yet."""
        self.begin()
        with self._lock:
            over = self._over
        if over is not None:
            over.wait(max(0.0, deadline.remaining_s()))
        with self._lock:
            return self._seen.what if self._seen is not None else None

    def _run(self, over: Signal) -> None:
        try:
            what = self._look(Deadline(self._clock, self._within_s))
            with self._lock:
                self._seen = _Seen(what, self._clock.monotonic() + self._remembered_s)
        except EmergencyCallingError:
            # It stays as it was seen before; whoever asks next has another look taken.
            return
        except Exception as error:  # noqa: BLE001 - a thread's traceback would be printed, and may hold anything
            self._telemetry.emit("unforeseen_error", function="background_look", error=type(error).__name__)
        finally:
            self._end(over)

    def _end(self, over: Signal) -> None:
        with self._lock:
            self._over = None
        over.set()
