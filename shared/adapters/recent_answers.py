"""What this process has answered lately (port `Answers`): in memory, for repeats beyond the line."""

import threading
from datetime import timedelta

from shared.adapters.recent import Recent
from shared.deadlines import Clock

# As long as a dialer repeats; no lease is shorter.
LASTS = timedelta(minutes=10)
MAX_ANSWERS_KEPT = 5_000


class RecentAnswers[A]:
    """Of this process; another one gives the answer of an outage."""

    def __init__(self, clock: Clock, most: int = MAX_ANSWERS_KEPT) -> None:
        self._lock = threading.Lock()
        self._given: Recent[A] = Recent(clock, lasts=LASTS, most=most)

    def keep(self, key: str, answer: A) -> None:
        """The latest for each key."""
        with self._lock:
            self._given.note(key, answer)

    def given(self, key: str) -> A | None:
        """What was answered lately; None where nothing was, or too long ago."""
        with self._lock:
            return self._given.get(key)
