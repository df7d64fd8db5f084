"""The stand-in's clock: durations that tests can make pass quickly, and a time of day that they can move on."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class AdjustableClock:
    """Time of day and timers of the simulated telephone network.

    Speed touches durations only (a ring of 30 s passes in 30/speed seconds); an advance touches both, as if the
    seconds had passed. Signatures of requests are checked against the machine's own clock, not against this one.
    """

    def __init__(self) -> None:
        self._speed = 1.0
        self._base = 0.0
        self._since = time.monotonic()
        self._advanced = 0.0
        self._moved = asyncio.Event()

    @property
    def speed(self) -> float:
        """How many seconds of the network pass in one second of the machine."""
        return self._speed

    def elapsed(self) -> float:
        """Seconds of the simulated network since the start."""
        return self._base + (time.monotonic() - self._since) * self._speed

    def now(self) -> datetime:
        """Time of day, with every advance, without the speed."""
        return datetime.now(UTC) + timedelta(seconds=self._advanced)

    def move(self, *, speed: float | None, advance_s: float) -> None:
        """Change the speed, or let seconds pass at once; whoever sleeps on this clock is woken in time."""
        self._base = self.elapsed() + advance_s
        self._since = time.monotonic()
        self._advanced += advance_s
        self._speed = speed or self._speed
        self._moved.set()
        self._moved = asyncio.Event()

    def reset(self) -> None:
        """Back to the machine's time of day and speed; the seconds passed so far remain passed."""
        self.move(speed=1.0, advance_s=0.0)
        self._advanced = 0.0

    async def sleep(self, seconds: float) -> None:
        """Sleep for so many seconds of the network, however its speed changes meanwhile."""
        due = self.elapsed() + seconds
        while (left := due - self.elapsed()) > 0:
            try:
                await asyncio.wait_for(self._moved.wait(), left / self._speed)
            except TimeoutError:
                continue
