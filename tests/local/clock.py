"""A clock that tests and the demo can move: real time plus an offset."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Offset(Protocol):
    """Seconds that the clock is ahead of real time. `multiprocessing.RawValue("d")` is one that processes share."""

    value: float


@dataclass
class OwnOffset:
    """An offset for one process."""

    value: float = 0.0


class MovableClock:
    """The product's clock, which only ever goes forward and can be moved on."""

    def __init__(self, offset: Offset | None = None) -> None:
        self._offset = OwnOffset() if offset is None else offset

    def now(self) -> datetime:
        """The moved time, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self._offset.value)

    def monotonic(self) -> float:
        """Seconds of real time: moving the clock must not exhaust the deadlines of what is under way."""
        return time.monotonic()

    @property
    def offset_s(self) -> float:
        """How many seconds it is ahead of real time."""
        return self._offset.value

    def advance(self, seconds: float) -> None:
        """Move the clock on. Callers in several processes must take turns.

        Raises:
            ValueError: `seconds` is negative; a clock that goes back would prove things that cannot happen.
        """
        if seconds < 0:
            raise ValueError("a clock is moved on, never back")
        self._offset.value += seconds
