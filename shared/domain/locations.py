"""Where the caller is, and how that is known (specification B15, B12; RAY BAUM's Act section 506).

A location is kept for each desktop, not for each agent: an agent's telephone must not take the place of their desktop.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.ids import normal_id
from shared.domain.stamps import age_of

YOUNG_FOR = timedelta(minutes=15)
CONFIRMED_FOR = timedelta(hours=12)
# Older reports tell neither the site nor whether places mislead, and readiness warns of them; removed after `KEPT_FOR`.
OLD_AFTER = timedelta(hours=24)
KEPT_FOR = timedelta(days=30)
NETWORK_BITS_OF_IPV6 = 64


class Location(Struct, frozen=True, kw_only=True):
    """Where somebody is: a street address, a position, or both; `accuracy_m` in metres, `at` when it was observed."""

    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    at: datetime | None = None

    @property
    def has_position(self) -> bool:
        """Whether it has both coordinates."""
        return self.latitude is not None and self.longitude is not None

    @property
    def known(self) -> bool:
        """Whether it says anything at all."""
        return bool(self.address) or self.has_position


class Environment(StrEnum):
    """What the desktop runs on. What a virtual desktop or a VPN sees may be the data centre's place."""

    PHYSICAL = "physical"
    VIRTUAL = "virtual"
    VPN = "vpn"
    UNKNOWN = "unknown"

    @property
    def misleads(self) -> bool:
        """Whether a place seen there is never "live"."""
        return self in {Environment.VIRTUAL, Environment.VPN}


class Permission(StrEnum):
    """What the browser says of the page's access to the position (Permissions API)."""

    GRANTED = "granted"
    DENIED = "denied"
    PROMPT = "prompt"
    UNKNOWN = "unknown"


class Confirmation(Struct, frozen=True):
    """The agent said that this is where they are, at a time, and on a network as `Desktop` knows it."""

    at: datetime
    location: Location
    network: str | None = None
    seen_from: str | None = None


class Desktop(Struct, frozen=True, kw_only=True):
    """What one desktop of an agent sees of itself, as last reported at `at`.

    `country` is ISO 3166-1 alpha-2, `network` an IP address as the desktop knows it, `seen_from` a keyed hash of the
    network that the agent's own reports come from (a page knows no address of its own), `devices` how many microphones
    and speakers it has, by kind.
    """

    desktop_id: str
    at: datetime
    location_permission: Permission = Permission.UNKNOWN
    country: str | None = None
    location: Location | None = None
    network: str | None = None
    seen_from: str | None = None
    environment: Environment = Environment.UNKNOWN
    devices: dict[str, int] = {}
    confirmation: Confirmation | None = None

    def young(self, now: datetime) -> bool:
        """Whether what it sees may be called live: reported lately, and not from where places mislead."""
        return age_of(self.at, now) <= YOUNG_FOR and not self.environment.misleads

    def confirmed(self, now: datetime) -> Confirmation | None:
        """What the agent confirmed on the network that this desktop is on now, not too long ago."""
        kept = self.confirmation
        if kept is None or age_of(kept.at, now) > CONFIRMED_FOR or not _on_one_network(kept, self):
            return None
        return kept


def _on_one_network(one: Confirmation | Desktop, other: Confirmation | Desktop) -> bool:
    """Whether both are of the same network: by the address that the desktop knows, where both have one.

    Else by where the agent was seen from: a company may show several addresses for one network of its own.
    """
    if one.network is not None and other.network is not None:
        return one.network == other.network
    if one.seen_from is None or other.seen_from is None:
        return one.network == other.network
    return one.seen_from == other.seen_from


def network_of(client: str) -> str:
    """Of an IP address what stays the same while somebody stays: of version 6 the network without the host.

    A host takes another address of its network from day to day (RFC 8981).
    """
    address = ipaddress.ip_address(client)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), NETWORK_BITS_OF_IPV6), strict=False))


def with_report(before: Desktop | None, report: Desktop) -> Desktop:
    """What is kept of a desktop from now on: the report, and what it says nothing of.

    That is the last confirmation, the network that the agent was last seen on, and that it misleads: a page knows
    nothing of what it runs on, and must not make a place `live` that a machine knows to be a data centre's (S10).
    """
    if before is not None:
        known = report.environment is not Environment.UNKNOWN
        report = structs.replace(
            report,
            seen_from=report.seen_from or before.seen_from,
            environment=report.environment if known else before.environment,
        )
    return _with_confirmation(before, report)


def _with_confirmation(before: Desktop | None, report: Desktop) -> Desktop:
    """The report, with the last confirmation where it brings none.

    A confirmation without a location is of the place that was confirmed before on this network, else of the one
    reported there: one click while it is unchanged (B15).
    """
    confirmed = report.confirmation
    if confirmed is None:
        return structs.replace(report, confirmation=before.confirmation if before else None)
    place: Location | None = confirmed.location
    if not confirmed.location.known:
        places = [report.location]
        if before is not None:
            earlier = before.confirmation
            places.insert(0, earlier.location if earlier and _on_one_network(earlier, report) else None)
            # A network that changed may be another place.
            places.append(before.location if _on_one_network(before, report) else None)
        place = next((each for each in places if each is not None and each.known), None)
    here = Confirmation(confirmed.at, place or Location(), report.network, report.seen_from)
    return structs.replace(report, confirmation=here)


def desktop_of(desktops: Sequence[Desktop], desktop_id: str | None) -> Desktop | None:
    """The desktop that a dial names, else the agent's only one: of several, nobody can tell which it is.

    However its id is written; of two that were reported under different spellings, the first in `desktops`.
    """
    if desktop_id is not None:
        named = normal_id(desktop_id)
        return next((each for each in desktops if normal_id(each.desktop_id) == named), None)
    return desktops[0] if len(desktops) == 1 else None


class LocationSource(StrEnum):
    """How a location is known, the best first (contract, *Location*)."""

    LIVE = "live"
    CONFIRMED = "confirmed"
    REGISTERED = "registered"
    REPORTED = "reported"
    UNKNOWN = "unknown"


class ToldLocation(Struct, frozen=True, kw_only=True):
    """The location as a notice and the panel tell it (B12): never computed again after the dial.

    `address_source` is another source's where the location's own has no address; `at` is when it was observed,
    `confirmed_at` when the agent confirmed it. Ages are for whoever shows it to compute.
    """

    source: LocationSource = LocationSource.UNKNOWN
    address: str | None = None
    address_source: LocationSource | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None
    at: datetime | None = None
    confirmed_at: datetime | None = None

    @property
    def known(self) -> bool:
        """Whether it says where the caller is."""
        return self.source is not LocationSource.UNKNOWN


class _Candidate(Struct, frozen=True):
    source: LocationSource
    location: Location
    at: datetime | None = None
    confirmed_at: datetime | None = None


def told_location(
    dialled: Location | None,
    desktop: Desktop | None,
    registered: Iterable[str | None],
    now: datetime,
    *,
    misled: bool = False,
) -> ToldLocation:
    """The location to tell: the first source that knows one, with the next one's address where it has none.

    `dialled` is what the dial itself brought, the freshest there is, unless that is `misled`: no desktop
    that it can have come from knows where it is;
    `registered` are the addresses of the entry and of the site, in that order.
    """
    found = _candidates(dialled, desktop, registered, now, misled=misled)
    candidates = sorted(found, key=lambda each: _ORDER.index(each.source))
    if not candidates:
        return ToldLocation()
    first = candidates[0]
    addressed = next((each for each in candidates if each.location.address), None)
    position = first.location if first.location.has_position else Location()
    return ToldLocation(
        source=first.source,
        address=addressed.location.address if addressed else None,
        address_source=addressed.source if addressed else None,
        latitude=position.latitude,
        longitude=position.longitude,
        accuracy_m=position.accuracy_m,
        at=first.at,
        confirmed_at=first.confirmed_at,
    )


_ORDER = list(LocationSource)
# Where a desktop sees itself, by whether that counts as now.
_SEEN = {True: LocationSource.LIVE, False: LocationSource.REPORTED}


def _candidates(
    dialled: Location | None,
    desktop: Desktop | None,
    registered: Iterable[str | None],
    now: datetime,
    *,
    misled: bool,
) -> list[_Candidate]:
    found: list[_Candidate] = []
    if dialled is not None and dialled.known:
        at = _seen_at(dialled, now, now)
        misled = misled or (desktop is not None and desktop.environment.misleads)
        found.append(_Candidate(_SEEN[now - at <= YOUNG_FOR and not misled], dialled, at))
    if desktop is not None and desktop.location is not None and desktop.location.known:
        at = _seen_at(desktop.location, desktop.at, now)
        found.append(_Candidate(_SEEN[desktop.young(now) and now - at <= YOUNG_FOR], desktop.location, at))
    confirmation = desktop.confirmed(now) if desktop is not None else None
    if confirmation is not None and confirmation.location.known:
        seen_at = _seen_at(confirmation.location, now, now) if confirmation.location.at is not None else None
        found.append(_Candidate(LocationSource.CONFIRMED, confirmation.location, seen_at, confirmation.at))
    found += [_Candidate(LocationSource.REGISTERED, Location(address=each)) for each in registered if each]
    return found


def _seen_at(location: Location, reported_at: datetime, now: datetime) -> datetime:
    """When it was seen, as far as the clock that says so can be believed: nothing was seen in the future."""
    return min(location.at or reported_at, now)


def country_of(
    dialled: str | None, desktop: Desktop | None, registered: Iterable[str | None], now: datetime
) -> str | None:
    """The caller's country: the dial's, a young report's, the entry's or the site's (contract, *Country*)."""
    reported = desktop.country if desktop is not None and desktop.young(now) else None
    found = next((each for each in (dialled, reported, *registered) if each), None)
    return found.upper() if found else None
