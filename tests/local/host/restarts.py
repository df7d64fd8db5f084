"""When a worker that died is started again: at once, then after some seconds; the third death ends the host.

Seen: the next dial is answered after 1.2 s, most of which is the worker's own start; after 7 s when it is the second
death; the third within two minutes ends the host.
"""

from __future__ import annotations

from collections.abc import Sequence

DELAYS_S = (0.0, 5.0)
WITHIN_S = 120.0


class Restarts:
    """Counts deaths. `delays_s` are the waits before the restarts; the death after the last of them ends the host."""

    def __init__(self, delays_s: Sequence[float] = DELAYS_S, *, within_s: float = WITHIN_S) -> None:
        self._delays_s = tuple(delays_s)
        self._within_s = within_s
        self._deaths: list[float] = []

    def delay_s(self, died_at: float) -> float | None:
        """How long to wait before the restart; None where the host ends."""
        self._deaths = [death for death in self._deaths if died_at - death < self._within_s]
        self._deaths.append(died_at)
        place = len(self._deaths) - 1
        return self._delays_s[place] if place < len(self._delays_s) else None
