"""What each principal may have in ten minutes (port `Allowances`): in memory, so that a flood costs no reading."""

import threading
from datetime import datetime

from shared.domain.pool import ration_window

# All principals together: what is kept of them is rows, and a process has seen a crisis by then.
MAX_OF_ALL = 5_000


class Allowances:
    """Of this process; another one grants as much again."""

    def __init__(self, most_of_all: int = MAX_OF_ALL) -> None:
        self._most_of_all = most_of_all
        self._lock = threading.Lock()
        self._window: datetime | None = None
        self._granted: dict[str, int] = {}
        self._all = 0

    def grants(self, principal: str, most: int, now: datetime) -> bool:
        """Whether this principal may once more."""
        window = ration_window(now)
        with self._lock:
            if window != self._window:
                self._window, self._granted, self._all = window, {}, 0
            granted = self._granted.get(principal, 0)
            if granted >= most or self._all >= self._most_of_all:
                return False
            self._granted[principal] = granted + 1
            self._all += 1
            return True
