"""What an administrator sees of the callback numbers: which are free, lent, resting, shared, or leaving the pool."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.domain.leases import Lease, Rules
from shared.domain.phone_numbers import country_of


class NumberState(StrEnum):
    """What a number of the pool is doing."""

    FREE = "free"
    LENT = "lent"
    RESTING = "resting"
    SHARED = "shared"
    LEAVING = "leaving"


class NumberLeases(Struct, frozen=True, kw_only=True):
    """A number with the leases that are kept of it; `leaves`: it is of the pool only until they are over."""

    number: str
    leases: tuple[Lease, ...] = ()
    leaves: bool = False


class PoolNumber(Struct, frozen=True, kw_only=True):
    """A number of the pool now. `expired_at`: when the last lease of a number that rests has ended."""

    number: str
    country: str | None
    state: NumberState
    expired_at: datetime | None


def pool_numbers(kept: Sequence[NumberLeases], pool: Collection[str], rules: Rules, now: datetime) -> list[PoolNumber]:
    """Every number of the pool, and those that are still lent after they left it, in the order of their digits."""
    known = {each.number: each for each in kept}
    of_setting = {number: NumberLeases(number=number) for number in pool}
    both = {**of_setting, **known}
    return [_shown(both[number], number in of_setting, rules, now) for number in sorted(both)]


def _shown(number: NumberLeases, in_pool: bool, rules: Rules, now: datetime) -> PoolNumber:
    live = [lease for lease in number.leases if lease.lives(rules, now)]
    # The timer forgets a lease whose rest is over: before it does, the number is free all the same (S3).
    over = [lease for lease in number.leases if not lease.lives(rules, now) and now < lease.released_at(rules)]
    expired_at = max((lease.expired_at or lease.ends_at(rules) for lease in over), default=None)
    state = _state(len(live), resting=bool(over), leaves=number.leaves or not in_pool)
    return PoolNumber(
        number=number.number,
        country=country_of(number.number),
        state=state,
        expired_at=None if live else expired_at,
    )


def _state(live: int, *, resting: bool, leaves: bool) -> NumberState:
    if leaves:
        return NumberState.LEAVING
    if live:
        return NumberState.LENT if live == 1 else NumberState.SHARED
    return NumberState.RESTING if resting else NumberState.FREE
