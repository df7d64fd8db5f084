"""One look for all who ask at once: whoever comes meanwhile is told what the look before it saw."""

from collections.abc import Callable

from shared.adapters.threads import OS_THREADS, Threads


class SharedLook:
    """Port `SharedLook`. A store that hangs then holds one of the worker's threads, and not one for each that asks."""

    def __init__(self, *, wait_s: float, threads: Threads = OS_THREADS) -> None:
        self._wait_s = wait_s
        self._threads = threads
        self._lock = threads.lock()
        self._looking = False
        self._seen = threads.signal()
        self._known: bool | None = None

    def ask(self, look: Callable[[], bool]) -> bool:
        """What is seen now or, while somebody looks, what was seen last. Only the very first look is waited for."""
        with self._lock:
            mine, known = not self._looking, self._known
            self._looking = True
        if mine:
            return self._look(look)
        if known is not None:
            return known
        self._seen.wait(self._wait_s)
        return bool(self._known)

    def _look(self, look: Callable[[], bool]) -> bool:
        try:
            known = look()
            with self._lock:
                self._known = known
        finally:
            with self._lock:
                self._looking = False
            self._seen.set()
        return known
