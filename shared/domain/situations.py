"""What was established at a dial, once: where the caller is, whether the call can be placed, what they should say.

Nothing in it is computed again afterwards, so that a panel which has not changed is the same to the byte (B12, B13).
"""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from shared.domain.emergency_numbers import (
    RELAY_COUNTRIES,
    EmergencyNumber,
    Placeable,
    Placement,
    placement,
)
from shared.domain.locations import LocationSource, ToldLocation


class Situation(Struct, frozen=True, kw_only=True):
    """What holds for an agent's latest dial.

    `dialled` is the emergency number that it was, "" in rows of an older version. `locale` (BCP 47) is that of the
    dial, else the entry's: in it the contacts are told. `number_shown`: the responder's display shows the lent number.
    `relay_first`: a relay agent answers before the emergency centre, and asks for city and street. `site` is the name
    of the site where they dialled, `time_zone` its or the entry's; `contacts` are those told of it, None in rows of an
    older version where they were too long to be kept (B14).
    """

    dialled: str = ""
    told: ToldLocation = ToldLocation()
    placement: Placement = Placement()
    country: str | None = None
    number_shown: bool = False
    relay_first: bool = False
    site: str | None = None
    time_zone: str | None = None
    locale: str | None = None
    contacts: tuple[str, ...] | None = None


class Say(Struct, frozen=True, kw_only=True):
    """What the caller should say, to be read aloud (B12). Times are in UTC; ages are for the page to compute."""

    address: str | None
    address_source: LocationSource | None
    latitude: float | None
    longitude: float | None
    accuracy_m: float | None
    source: LocationSource
    at: datetime | None
    confirmed_at: datetime | None
    callback_number: str | None
    number_shown: bool
    relay_first: bool


def situation_of(
    number: EmergencyNumber,
    *,
    told: ToldLocation,
    country: str | None,
    configured: Collection[str],
    number_shown: bool,
    routed: Collection[str] | None = frozenset(),
    carrier_takes_911: bool = False,
) -> Situation:
    """What holds for this dial. `configured` are the countries in use, which stand for an unknown one.

    `routed` is as `placement` takes it, of the number dialled. `carrier_takes_911`: a voice route is known to take 911;
    it leads to the carrier's own emergency service, where no relay answers. It is asked of 911 whatever was dialled,
    because 911 is what is placed for 112 (B13).
    """
    placed = placement(number, country=country, routed=routed)
    likely = {country} if country else set(configured)
    by_relay = bool(likely & RELAY_COUNTRIES) and not carrier_takes_911
    return Situation(
        dialled=number.number,
        told=told,
        placement=placed,
        country=country,
        number_shown=number_shown,
        relay_first=by_relay and placed.placeable is not Placeable.NO,
    )


def say_of(situation: Situation, callback_number: str | None) -> Say:
    """What to say of this situation, and the number to give."""
    told = situation.told
    return Say(
        address=told.address,
        address_source=told.address_source,
        latitude=told.latitude,
        longitude=told.longitude,
        accuracy_m=told.accuracy_m,
        source=told.source,
        at=told.at,
        confirmed_at=told.confirmed_at,
        callback_number=callback_number,
        number_shown=situation.number_shown,
        relay_first=situation.relay_first,
    )
