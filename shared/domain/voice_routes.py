"""Which way an emergency call takes: a voice route of direct routing, the platform's direct offer, or none (S10).

Routes are tried first, in order, by .NET regular expressions over the digits; the first that matches captures the call.
Where none does, the platform places the call itself, if the caller id is a number bought from it on that resource.
"""

import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct, structs

MAX_PATTERN_CHARACTERS = 200
MAX_REPEAT = 40

# What .NET and Python read alike, and what cannot take long: everything else is not judged here (platform facts, 1).
# A quantifier after a group may only be `?`, so that no repetition stands within another.
_TOKEN = re.compile(
    r"""
    [\^$|] | (?P<open>\((?:\?[:=!])?) | (?P<close>\)\??) |
    (?P<atom>
        (?: \\\+ | \\d | \\\. | [0-9.] | \[\^?(?:\\d|\d-\d|\d|\+)+\] )
        (?: [*+?] | \{(?P<least>\d{1,3})(?:,(?P<most>\d{0,3}))?\} )?
    )
    """,
    re.VERBOSE | re.ASCII,
)


class Path(StrEnum):
    """What becomes of an emergency call."""

    DIRECT_ROUTING = "direct_routing"
    DIRECT_OFFER = "direct_offer"
    FAILS = "fails"
    UNKNOWN = "unknown"


class VoiceRoute(Struct, frozen=True, kw_only=True):
    """A voice route: its name, a .NET regular expression, and the trunks that it leads to, as the service has them."""

    name: str
    number_pattern: str
    trunks: tuple[str, ...] = ()


class OwnedNumber(Struct, frozen=True, kw_only=True):
    """A number bought from the platform on this resource, and what it may be used for."""

    number: str
    inbound: bool
    outbound: bool
    of_application: bool


class Telephony(Struct, frozen=True, kw_only=True):
    """What was last read of a resource, and when; None where it could not be read yet."""

    routes: tuple[VoiceRoute, ...] | None = None
    routes_at: datetime | None = None
    numbers: tuple[OwnedNumber, ...] | None = None
    numbers_at: datetime | None = None

    def unless_older_than(self, since: datetime) -> "Telephony":
        """The same without what was read before `since`; when that was stays."""
        return structs.replace(
            self,
            routes=None if self.routes_at is not None and self.routes_at < since else self.routes,
            numbers=None if self.numbers_at is not None and self.numbers_at < since else self.numbers,
        )


class RoutesRead(Struct, frozen=True, kw_only=True):
    """The voice routes in their order, and when they were read."""

    routes: tuple[VoiceRoute, ...]
    at: datetime


class Route(Struct, frozen=True, kw_only=True):
    """The way that a call takes, and by which voice route."""

    path: Path
    route: VoiceRoute | None = None


def takes(route: VoiceRoute, dialled: str) -> bool | None:
    """Whether a route takes a number that is dialled as these digits; None where that cannot be judged here."""
    pattern = _judgeable(route.number_pattern)
    if pattern is None:
        return None
    plain, with_plus = bool(pattern.search(dialled)), bool(pattern.search(f"+{dialled}"))
    # Which of the two the platform compares is not documented for emergency numbers.
    return plain if plain == with_plus or plain else None


def path_of(dialled: str, caller_ids: Collection[str], telephony: Telephony) -> Route:
    """The way of a call to `dialled` from any of these caller ids."""
    if telephony.routes is None:
        return Route(path=Path.UNKNOWN)
    for route in telephony.routes:
        taken = takes(route, dialled)
        if taken is None:
            return Route(path=Path.UNKNOWN, route=route)
        if taken:
            return Route(path=Path.DIRECT_ROUTING, route=route)
    if telephony.numbers is None:
        return Route(path=Path.UNKNOWN)
    bought = {each.number for each in telephony.numbers}
    offered = bool(caller_ids) and all(number in bought for number in caller_ids)
    return Route(path=Path.DIRECT_OFFER if offered else Path.FAILS)


@lru_cache(maxsize=64)
def routed(dialled: str, routes: tuple[VoiceRoute, ...] | None) -> frozenset[str] | None:
    """The number itself if a voice route takes it, else nothing; None where a pattern cannot be judged here.

    Routes that were not read yet take nothing: what holds is what was last read.
    """
    way = path_of(dialled, (), Telephony(routes=routes or (), numbers=()))
    if way.path is Path.UNKNOWN:
        return None
    return frozenset({dialled}) if way.path is Path.DIRECT_ROUTING else frozenset()


def _judgeable(pattern: str) -> re.Pattern[str] | None:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        return None
    at, depth = 0, 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None or not _bounded(token["least"], token["most"]):
            return None
        depth += bool(token["open"]) - bool(token["close"])
        if depth < 0:
            return None
        at = token.end()
    try:
        return re.compile(pattern, re.ASCII) if depth == 0 else None
    except re.error:
        return None


def _bounded(least: str | None, most: str | None) -> bool:
    numbers = [int(each) for each in (least, most) if each]
    return all(each <= MAX_REPEAT for each in numbers) and numbers == sorted(numbers)
