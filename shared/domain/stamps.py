"""How old a stored time is. One far ahead of the clock is damage, and believed it would hold until its date came."""

from datetime import datetime, timedelta

# Clocks of hosts differ by less.
MAX_AHEAD = timedelta(minutes=1)


def is_ahead(at: datetime, now: datetime) -> bool:
    """Whether it lies further ahead than the clock of another host may run: it counts as none."""
    return at - now > MAX_AHEAD


def age_of(at: datetime, now: datetime) -> timedelta:
    """How long ago it was; of a time that is ahead, longer than anything."""
    return timedelta.max if is_ahead(at, now) else now - at
