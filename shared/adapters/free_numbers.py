"""What this process remembers of the longest-free numbers, so that a dial need not read before it lends.

Taking *the* longest-free number would make simultaneous dials collide on it; a choice at random among the remembered
oldest, reserved within the process, does not. What is remembered may be stale: the lending then fails on the free row
and reads again. One reading serves all dials that wait for it.
"""

import random
import threading
from collections.abc import Callable

from shared.adapters.table import Row

REMEMBERED = 128


class FreeNumbers:
    """The remembered free rows, oldest first, less those that a dial of this process has taken."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._reserved: set[str] = set()
        self._readings = 0

    def take(self) -> Row | None:
        """Reserve one, or None when nothing is remembered: only a fresh reading can say that nothing is free."""
        with self._lock:
            if not self._rows:
                return None
            key = self._chance.choice(tuple(self._rows))
            self._reserved.add(key)
            return self._rows.pop(key)

    def take_fresh(self, read: Callable[[], list[Row]]) -> Row | None:
        """Reserve one after a reading that began after this call did, or None when nothing is free."""
        seen = self._readings
        with self._reading:
            if self._readings == seen:
                rows = read()
                with self._lock:
                    self._rows = {row.key: row for row in rows if row.key not in self._reserved}
                    self._readings += 1
        return self.take()

    def release(self, key: str) -> None:
        """The number was lent, or was not there any more: another reading decides about it."""
        with self._lock:
            self._reserved.discard(key)

    def forget(self) -> None:
        """Read again before the next lending: what is remembered has proved stale."""
        with self._lock:
            self._rows = {}
