"""The machine's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Port `Clock`: the time of day in UTC, and the machine's steady clock."""

    def now(self) -> datetime:
        """The time in UTC, with its zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()
