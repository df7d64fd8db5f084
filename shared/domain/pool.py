"""Who is lent which number (B2): rules alone, over what one reading of the pool showed.

A number is lent in this order (`shared/adapters/lending.py` tries it so): one that is free, one that was never lent,
one that rests and whose holders' leases are all over (the longest resting first), and only then one that is shared; a
domestic number before a foreign one, but a foreign one that nobody holds before a domestic one that is shared. What may
be stale about a reading is for the transaction to find out.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby

from msgspec import Struct

from shared.domain.callers import Caller, is_of_an_agent
from shared.domain.countries import is_place
from shared.domain.emergency_numbers import US_TERRITORIES
from shared.domain.leases import Lease, Rules

UNLISTED_HAVE_ONE_IN = 5
RATION_WINDOW_MINUTES = 10
MAX_NOTICES_A_WINDOW = 5
MAX_NOTICES_OF_UNLISTED_A_WINDOW = 30
MAX_HOLDERS_RUNG = 5
MAX_UNLISTED_OF_AGENTS = 200
MAX_UNLISTED_OF_A_MACHINE = 1_000
MAX_EARLY_ENDS_A_WINDOW = 20
MAX_EARLY_ENDS_OF_A_MACHINE_A_WINDOW = 1_000


class NumberUse(Struct, frozen=True):
    """Somebody's use of a number; `busy`: a leg is in progress. `since` is when it began, else when the last ended."""

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


def activity_of(uses: Iterable[NumberUse], pool: Collection[str]) -> dict[str, Activity]:
    """What is going on with each number that somebody holds; one that left the pool is nobody's to join."""
    members = frozenset(pool)
    activity: dict[str, Activity] = {}
    for use in sorted((each for each in uses if each.number in members), key=_rank):
        before = activity.get(use.number)
        # The last one of a number is its most active holder.
        sharers = (before.sharers if before else 0) + 1 if use.busy else 0
        activity[use.number] = Activity(use.busy, sharers, use.since)
    return activity


def _rank(use: NumberUse) -> tuple[bool, datetime]:
    return (use.busy, use.since)


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


class Exhausted(Struct):
    """What one reading showed of a zone in which nothing is free: what rests, the longest first, and what is held.

    All dials that waited for the reading share it: what one is given, the next one is not.
    """

    resting: tuple[str, ...]
    activity: dict[str, Activity]

    def unseen(self, numbers: Iterable[str]) -> list[str]:
        """Of these numbers, those whose holders the reading did not show: never lent, or held by too many to see."""
        return [number for number in numbers if number not in self.activity]

    def hold(self, numbers: Iterable[str], now: datetime) -> None:
        """Somebody holds these numbers, although the reading, which has an end, did not show who."""
        self.activity |= {number: Activity(True, 1, now) for number in numbers}

    def let_go(self, number: str) -> None:
        """Nobody holds this number any more."""
        self.activity.pop(number, None)

    def take_resting(self, among: Collection[str] | None = None) -> str | None:
        """The longest resting number (of these), which is nobody else's to try; None where none is left."""
        first = next((number for number in self.resting if among is None or number in among), None)
        self.resting = tuple(number for number in self.resting if number != first)
        return first

    def share(self, choose: Callable[[Sequence[str]], str], among: Collection[str] | None = None) -> str | None:
        """The number (of these) to share, which has one sharer more from then on; None where nobody holds any."""
        equal = numbers_to_share(
            {number: each for number, each in self.activity.items() if among is None or number in among}
        )
        if not equal:
            return None
        number = choose(equal)
        self.activity[number] = self.activity[number].joined()
        return number


def may_be_taken(lease: Lease | None, number: str, rules: Rules, now: datetime) -> bool:
    """Whether a number that rests, or is a drill's, may be taken from a holder with this lease."""
    if lease is None or lease.number != number or lease.lost:
        return False
    return not lease.keeps_number(rules, now)


def low_water_of(pool: int, percent: int) -> int:
    """With so many free numbers of the pool, or fewer, it is low: never only once it is empty, unless it has one."""
    return max(pool * percent // 100, 1 if pool > 1 and percent else 0)


# Countries ------------------------------------------------------------------------------------------------------------

# US, Puerto Rico and the territories lend to one another (contract, *Country*).
_AS_US = frozenset({"US", "PR"}) | US_TERRITORIES
_NORTH_AMERICAN_CODE = 1
# Toll-free numbers of the North American plan, which are domestic in all of it.
TOLL_FREE_ZONE = "NANP"
NO_ZONE = "ZZ"


# Every transaction of an emergency names the zone of its number, and a parse costs as much as the rest of its rows.
@lru_cache(maxsize=16_384)
def zone_of_number(e164: str) -> str:
    """Whose domestic number it is: a country's ISO 3166-1 code, `TOLL_FREE_ZONE`, or `NO_ZONE` where nobody can say."""
    import phonenumbers

    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return NO_ZONE
    if number.country_code == _NORTH_AMERICAN_CODE and (
        phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.TOLL_FREE
    ):
        return TOLL_FREE_ZONE
    code = number.country_code or 0
    region = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(code)
    return zone_of_country(region) if len(region) == len(NO_ZONE) else NO_ZONE


def zone_of_country(country: str) -> str:
    """The zone in which a country's numbers are lent."""
    upper = country.upper()
    return "US" if upper in _AS_US else upper


def domestic_zones(country: str | None) -> tuple[str, ...]:
    """The zones whose numbers are domestic to a caller in this country, the nearest first; none where it is unknown."""
    if country is None or not is_place(country):
        return ()
    from phonenumbers import region_codes_for_country_code

    zone = zone_of_country(country)
    return (zone, TOLL_FREE_ZONE) if country.upper() in region_codes_for_country_code(1) else (zone,)


def is_foreign(e164: str, country: str | None) -> bool:
    """Whether the number is of another country than the caller's, where both are known."""
    zone, own = zone_of_number(e164), domestic_zones(country)
    return bool(own) and zone not in (NO_ZONE, *own)


class Pool(Struct, frozen=True):
    """The callback numbers, and those of each zone."""

    numbers: tuple[str, ...]
    by_zone: Mapping[str, tuple[str, ...]]

    @property
    def sizes(self) -> dict[str, int]:
        """How many numbers each zone has."""
        return {zone: len(numbers) for zone, numbers in self.by_zone.items()}


def pool_of(numbers: Sequence[str]) -> Pool:
    """The pool of these numbers."""
    in_zones = groupby(sorted(numbers, key=zone_of_number), key=zone_of_number)
    return Pool(tuple(numbers), {zone: tuple(some) for zone, some in in_zones})


def zones_in_order(sizes: Mapping[str, int], country: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the pool's zones, with how many numbers each has, domestic ones and then the others, the largest first.

    Of an unknown country all are as good.
    """
    ordered = sorted(sizes, key=lambda zone: (-sizes[zone], zone))
    own = domestic_zones(country) or tuple(ordered)
    return tuple(zone for zone in own if zone in sizes), tuple(zone for zone in ordered if zone not in own)


# Unlisted agents: those whom the directory does not know ------------------------------------------------------------


def unlisted_numbers_at_most(pool: Sequence[str]) -> int:
    """How many numbers unlisted agents may hold together: a fifth of the pool, and always one."""
    return max(1, len(pool) // UNLISTED_HAVE_ONE_IN)


def unlisted_at_once(caller: Caller) -> int:
    """How many emergencies of unlisted agents there may be at once from all Agents, or of one Machine."""
    return MAX_UNLISTED_OF_AGENTS if caller.is_agent else MAX_UNLISTED_OF_A_MACHINE


# Rations (contract, Who is who) ---------------------------------------------------------------------------------------


def ration_window(now: datetime) -> datetime:
    """When the ten minutes began in which a principal may cause so many notices."""
    return now.replace(minute=now.minute - now.minute % RATION_WINDOW_MINUTES, second=0, microsecond=0)


def ration_over(now: datetime) -> datetime:
    """When they end: what is beyond the ration is owed from then on."""
    return ration_window(now) + timedelta(minutes=RATION_WINDOW_MINUTES)


def notices_a_window(owner: str | None) -> int:
    """How many notices one principal may cause: an agent, or all unlisted agents of whom a machine speaks."""
    own = owner is None or is_of_an_agent(owner)
    return MAX_NOTICES_A_WINDOW if own else MAX_NOTICES_OF_UNLISTED_A_WINDOW


def early_ends_a_window(caller: Caller) -> int:
    """How many ends of calls that nobody has started are kept for one principal in ten minutes."""
    return MAX_EARLY_ENDS_A_WINDOW if caller.is_agent else MAX_EARLY_ENDS_OF_A_MACHINE_A_WINDOW


def had_enough(noticed_at: Iterable[datetime], now: datetime) -> bool:
    """Whether an agent whose dials caused notices at these times has used the ration up."""
    return sum(1 for at in noticed_at if at >= ration_window(now)) >= MAX_NOTICES_A_WINDOW


# Whom a callback rings ------------------------------------------------------------------------------------------------


def leases_to_ring(live: Sequence[Lease]) -> list[Lease]:
    """Of the leases of a number, newest first, those whose holders are rung: five at most.

    Whoever held it unshared was promised that it is theirs: no newcomers push them out.
    """
    kept = [lease for lease in live if not lease.shared] + [lease for lease in live if lease.shared]
    rung = kept[:MAX_HOLDERS_RUNG]
    return [lease for lease in live if lease in rung]
