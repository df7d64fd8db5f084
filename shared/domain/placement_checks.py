"""Whether emergency calls can be placed from a country, as a dial from there is answered (B13), as a check (S10)."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from shared.domain.countries import PLACES
from shared.domain.deployment import Deployment
from shared.domain.emergency_numbers import EMERGENCY_911, PLACED, Placeable, numbers_of, placement, recognise
from shared.domain.errors import NotAnEmergency
from shared.domain.readiness import Check, problem, warning
from shared.domain.voice_routes import Telephony, VoiceRoute, routed
from shared.domain.words import Words


class PlacementOutlook(Struct, frozen=True):
    """What dials from a country are answered; `numbers` are those that a voice route takes, or may take."""

    placeable: Placeable
    numbers: tuple[str, ...] = ()


def outlook_of(country: str, deployment: Deployment, telephony: Telephony) -> PlacementOutlook:
    """What dials from `country` are answered: `unknown` where that holds for any emergency number there."""
    # Routes that were read too long ago to be told are still what dials follow: they may take any number.
    outdated = telephony.routes is None and telephony.routes_at is not None
    return _outlook(country.upper(), deployment.countries, telephony.routes, outdated)


@lru_cache(maxsize=256)
def _outlook(
    country: str, countries: frozenset[str], routes: tuple[VoiceRoute, ...] | None, outdated: bool
) -> PlacementOutlook:
    if country in PLACED:
        return PlacementOutlook(Placeable.YES)
    found = dict(_answers(country, countries, routes, outdated))
    open_numbers = tuple(number for number, answer in found.items() if answer is Placeable.UNKNOWN)
    return PlacementOutlook(Placeable.UNKNOWN if open_numbers else Placeable.NO, open_numbers)


def _answers(
    country: str, countries: frozenset[str], routes: tuple[VoiceRoute, ...] | None, outdated: bool
) -> Iterator[tuple[str, Placeable]]:
    for dialled in numbers_of(country) or (EMERGENCY_911,):
        with suppress(NotAnEmergency):
            number = recognise(dialled, country=country, countries=countries)
            taken = None if outdated else routed(number.number, routes)
            yield number.number, placement(number, country=country, routed=taken).placeable


def placement_check(
    check_id: str, country: str, deployment: Deployment, telephony: Telephony, subject: str, now: datetime
) -> Check | None:
    """What stands against emergency calls from `country`; None where the platform places them."""
    outlook = outlook_of(country, deployment, telephony)
    match outlook.placeable:
        case Placeable.YES:
            return None
        case Placeable.NO:
            return problem(
                check_id,
                Words(
                    "The platform places no emergency calls in {country}: another telephone has to be used.",
                    country=country,
                ),
                "Tell the agents which telephone to use, or add a voice route for the number.",
                now,
                subject,
            )
        case Placeable.UNKNOWN if country.upper() not in PLACES:
            return warning(
                check_id,
                Words(
                    "{country} is no known country: whether emergency calls are placed there is unknown.",
                    country=country,
                ),
                "Correct `country`.",
                now,
                subject,
            )
        case Placeable.UNKNOWN:
            return warning(
                check_id,
                Words(
                    "The platform places no emergency calls in {country}. A voice route takes, or may take, {numbers}: "
                    "whether such a call is connected is the carrier's, and cannot be seen from here.",
                    country=country,
                    numbers=outlook.numbers,
                ),
                "Agree on it with the carrier, and tell the agents which telephone to use for any other number.",
                now,
                subject,
            )
