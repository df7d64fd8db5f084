"""What was answered without the store is done again by this process, until the store has it.

The caller is asked to repeat the request too, but may have closed the browser by then; and presence that lies in the
same store cannot be held before it answers. A repeat is harmless: the store knows the call by its id.
"""

from collections import OrderedDict
from collections.abc import Callable

from shared.adapters.threads import OS_THREADS, Threads
from shared.domain.errors import EmergencyCallingError

EVERY_S = 0.5
MOST_KEPT = 10_000


class Repeats:
    """One thread while anything is kept; none otherwise. `store_answers` keeps it from asking in vain."""

    def __init__(self, store_answers: Callable[[], bool], *, threads: Threads = OS_THREADS) -> None:
        self._store_answers = store_answers
        self._threads = threads
        self._lock = threads.lock()
        self._kept: OrderedDict[str, Callable[[], bool]] = OrderedDict()
        self._running = False

    def keep(self, key: str, again: Callable[[], bool]) -> None:
        """Call `again` until it says that it is done; the latest for each `key`."""
        with self._lock:
            self._kept[key] = again
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            if self._running:
                return
            self._running = True
        try:
            self._threads.begin("repeats", self._run)
        except RuntimeError:
            # No thread is to be had. The caller was asked to repeat too; what is kept next tries again.
            with self._lock:
                self._running = False

    def _run(self) -> None:
        while self._something_kept():
            self._threads.sleep(EVERY_S)
            if self._store_answers():
                self._repeat_all()

    def _something_kept(self) -> bool:
        with self._lock:
            self._running = bool(self._kept)
            return self._running

    def _repeat_all(self) -> None:
        with self._lock:
            kept = list(self._kept.items())
        for key, again in kept:
            if not _done(again):
                # One that cannot be recorded keeps no other from it; a store that is away again, all of them.
                if not self._store_answers():
                    return
                continue
            with self._lock:
                # Somebody may have kept a later one meanwhile.
                if self._kept.get(key) is again:
                    del self._kept[key]


def _done(again: Callable[[], bool]) -> bool:
    try:
        return again()
    except EmergencyCallingError:
        # It was refused: no repeat can help.
        return True
    except Exception:  # noqa: BLE001 - counted where it happened; this thread is everybody's
        return True
