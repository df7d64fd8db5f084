"""What was answered without the store is done again by this process, until the store has it.

The caller is asked to repeat the request too, but may have closed the browser by then; and presence that lies in the
same store cannot be held before it answers. A repeat is harmless: the store knows the call by its id.
"""

from collections import OrderedDict
from collections.abc import Callable
from itertools import zip_longest

from msgspec import Struct

from shared.adapters.threads import OS_THREADS, Threads
from shared.domain.errors import EmergencyCallingError

EVERY_S = 0.5
# A repeat that fails though the store answers (a row that cannot be read) waits twice as long each time: as often as
# the first ones, it would ask the store some twenty times a second until somebody mends the row.
AT_LEAST_EVERY_S = 30.0
MAX_REPEATS_KEPT = 10_000


class _Kept(Struct, frozen=True):
    again: Callable[[], bool]
    due_s: float
    wait_s: float = EVERY_S


class Repeats:
    """One thread while anything is kept; none otherwise. `store_answers` keeps it from asking in vain."""

    def __init__(self, store_answers: Callable[[], bool], *, threads: Threads = OS_THREADS) -> None:
        self._store_answers = store_answers
        self._threads = threads
        self._lock = threads.lock()
        self._kept: dict[str, OrderedDict[str, _Kept]] = {}
        self._one_more = threads.signal()
        self._running = False

    def keep(self, principal: str, key: str, again: Callable[[], bool], most: int) -> None:
        """Call `again` until it says that it is done: the latest for each `key`, and the latest `most` of a principal.

        Where too many are kept in all, whoever has most of them loses their oldest.
        """
        with self._lock:
            own = self._kept.setdefault(principal, OrderedDict())
            own.pop(key, None)
            own[key] = _Kept(again, self._threads.monotonic() + EVERY_S)
            if len(own) > most:
                own.popitem(last=False)
            if sum(map(len, self._kept.values())) > MAX_REPEATS_KEPT:
                most_kept_by = max(self._kept, key=lambda each: len(self._kept[each]))
                self._kept[most_kept_by].popitem(last=False)
                if not self._kept[most_kept_by]:
                    del self._kept[most_kept_by]
            if self._running:
                self._one_more.set()
                return
            self._running = True
        try:
            self._threads.begin("repeats", self._run)
        except RuntimeError:
            # No thread is to be had. The caller was asked to repeat too; what is kept next tries again.
            with self._lock:
                self._running = False

    def _run(self) -> None:
        while (first_due_s := self._first_due_s()) is not None:
            left_s = first_due_s - self._threads.monotonic()
            if left_s > 0:
                self._one_more.wait(left_s)
            elif self._is_worth_it():
                self._repeat_due()
            else:
                self._threads.sleep(EVERY_S)

    def _is_worth_it(self) -> bool:
        try:
            return self._store_answers()
        except Exception:  # noqa: BLE001 - as if it had not answered; this thread is everybody's
            return False

    def _first_due_s(self) -> float | None:
        with self._lock:
            self._one_more = self._threads.signal()
            dues = [kept.due_s for own in self._kept.values() for kept in own.values()]
            self._running = bool(dues)
            return min(dues, default=None)

    def _repeat_due(self) -> None:
        now_s = self._threads.monotonic()
        with self._lock:
            due = self._due_in_turn(now_s)
        for principal, key, kept in due:
            done = _done(kept.again)
            self._settle(principal, key, kept, done=done)
            if not done:
                # The store may be away again, and is asked first. If it is not, what failed is due later than the rest.
                return

    def _due_in_turn(self, now_s: float) -> list[tuple[str, str, _Kept]]:
        """One of each principal, then the next of each: nobody's flood is done before another's only dial."""
        lines = (
            [(principal, key, kept) for key, kept in own.items() if kept.due_s <= now_s]
            for principal, own in self._kept.items()
        )
        return [each for one_of_each in zip_longest(*lines) for each in one_of_each if each is not None]

    def _settle(self, principal: str, key: str, kept: _Kept, *, done: bool) -> None:
        with self._lock:
            own = self._kept.get(principal, OrderedDict())
            if own.get(key) is not kept:
                # Somebody has kept a later one meanwhile, or too many of theirs.
                return
            if done:
                del own[key]
                if not own:
                    del self._kept[principal]
            else:
                wait_s = min(2 * kept.wait_s, AT_LEAST_EVERY_S)
                own[key] = _Kept(kept.again, self._threads.monotonic() + wait_s, wait_s)


def _done(again: Callable[[], bool]) -> bool:
    try:
        return again()
    except EmergencyCallingError:
        # It was refused: no repeat can help.
        return True
    except Exception:  # noqa: BLE001 - counted where it happened; this thread is everybody's
        return True
