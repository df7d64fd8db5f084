"""Who is lent which number (B2): rules alone, over what one reading of the pool showed.

A number is lent in this order: one that was never lent, one that is free, one that rests and whose holders' leases
are all over (the longest resting first), and only then one that is shared. What may be stale about a reading is for
the transaction to find out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

UNKNOWN_AGENTS_SHARE = 5
RATION_WINDOW_MINUTES = 10
NOTICES_A_WINDOW = 10


class Hold(Struct, frozen=True):
    """Somebody's hold on a number; `busy`: a leg is in progress. `since` is when it began, else when the last ended."""

    number: str
    since: datetime
    busy: bool


class Rest(Struct, frozen=True):
    """A holder of a number who has no leg in progress, and when their lease ends."""

    number: str
    ends_at: datetime


class Activity(Struct, frozen=True):
    """How unwelcome another sharer is: idle numbers first, longest idle first; then those with the fewest sharers.

    `last` is when the latest holder's last leg ended or, of a number in a call, when their lease began.
    """

    busy: bool
    sharers: int
    last: datetime

    @property
    def welcome(self) -> tuple[bool, int, float]:
        """What counts when choosing, the least first: among numbers in a call only how many share them."""
        return (self.busy, self.sharers, 0.0 if self.busy else self.last.timestamp())

    def joined(self) -> "Activity":
        """Once somebody shares it, before the next reading says so."""
        return Activity(True, self.sharers + 1, self.last)


def held_unseen(now: datetime) -> Activity:
    """A number that somebody holds although the reading, which has an end, did not show who."""
    return Activity(True, 1, now)


def activity_of(holds: Iterable[Hold], pool: Collection[str]) -> dict[str, Activity]:
    """What is going on with each number that somebody holds; one that left the pool is nobody's to join."""
    members = frozenset(pool)
    activity: dict[str, Activity] = {}
    for hold in sorted((each for each in holds if each.number in members), key=_rank):
        before = activity.get(hold.number)
        # The last one of a number is its most active holder.
        sharers = (before.sharers if before else 0) + 1 if hold.busy else 0
        activity[hold.number] = Activity(hold.busy, sharers, hold.since)
    return activity


def _rank(hold: Hold) -> tuple[bool, datetime]:
    return (hold.busy, hold.since)


def resting_numbers(
    rests: Iterable[Rest], activity: Mapping[str, Activity], pool: Collection[str], now: datetime
) -> tuple[str, ...]:
    """The numbers that have a holder whose lease is over and none whose lease lives, the longest resting first."""
    members = frozenset(pool)
    ordered = sorted((each for each in rests if each.number in members), key=lambda rest: rest.ends_at)
    held = {rest.number for rest in ordered if rest.ends_at > now}
    held |= {number for number, each in activity.items() if each.busy}
    return tuple(dict.fromkeys(rest.number for rest in ordered if rest.number not in held))


def numbers_to_share(activity: Mapping[str, Activity]) -> tuple[str, ...]:
    """The number whose last leg ended longest ago; where all are in a call, all of those with the fewest sharers.

    Which of equals it is, chance decides, so that a burst of dials spreads. Empty where nobody holds a number.
    """
    welcomes = {number: each.welcome for number, each in activity.items()}
    least = min(welcomes.values(), default=None)
    return tuple(number for number, welcome in welcomes.items() if welcome == least)


# Agents who are not in the directory ----------------------------------------------------------------------------------


def places_for_unknown(pool: Sequence[str]) -> int:
    """How many numbers agents outside the directory may hold together: a fifth of the pool, and always one."""
    return max(1, len(pool) // UNKNOWN_AGENTS_SHARE)


def ration_window(now: datetime) -> datetime:
    """When the ten minutes began in which they may cause so many notices together."""
    return now.replace(minute=now.minute - now.minute % RATION_WINDOW_MINUTES, second=0, microsecond=0)
