"""Which location is told, and how it is known (B15, B12; contract, *Location* and *Country*)."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from shared.domain.locations import (
    Confirmation,
    Desktop,
    Environment,
    Location,
    LocationSource,
    ToldLocation,
    country_of,
    told_location,
)

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
ADDRESS = Location(address="1 Example Street")
POSITION = Location(latitude=47.6, longitude=-122.1, accuracy_m=30.0)
SITE = "2 Sample Road"


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def desktop(**changes: object) -> Desktop:
    base = Desktop(desktop_id="desk-1", at=ago(minutes=1), location=POSITION, network="192.0.2.7")
    return structs.replace(base, **changes)


def test_what_the_dial_brought_comes_first() -> None:
    told = told_location(structs.replace(ADDRESS, at=ago(minutes=2)), desktop(), (SITE,), NOW)
    assert told == ToldLocation(
        source=LocationSource.LIVE,
        address="1 Example Street",
        address_source=LocationSource.LIVE,
        at=ago(minutes=2),
    )


def test_a_young_report_is_live_and_takes_the_next_address() -> None:
    told = told_location(None, desktop(), (None, SITE), NOW)
    assert (told.source, told.address, told.address_source) == (LocationSource.LIVE, SITE, LocationSource.REGISTERED)
    assert (told.latitude, told.longitude, told.accuracy_m, told.at) == (47.6, -122.1, 30.0, ago(minutes=1))


@pytest.mark.parametrize("environment", [Environment.VIRTUAL, Environment.VPN])
def test_what_a_virtual_desktop_or_a_vpn_sees_is_never_live(environment: Environment) -> None:
    seen = desktop(environment=environment)
    assert told_location(POSITION, seen, (), NOW).source is LocationSource.REPORTED
    assert told_location(POSITION, None, (), NOW, misled=True).source is LocationSource.REPORTED
    assert told_location(None, seen, (SITE,), NOW).source is LocationSource.REGISTERED


@pytest.mark.parametrize(("minutes", "source"), [(15, LocationSource.LIVE), (16, LocationSource.REPORTED)])
def test_a_report_is_live_for_fifteen_minutes(minutes: int, source: LocationSource) -> None:
    assert told_location(None, desktop(at=ago(minutes=minutes)), (), NOW).source is source
    seen_then = structs.replace(POSITION, at=ago(minutes=minutes))
    assert told_location(None, desktop(location=seen_then), (), NOW).source is source
    assert told_location(seen_then, None, (), NOW).source is source


@pytest.mark.parametrize(
    ("hours", "network", "source"),
    [
        (12, "192.0.2.7", LocationSource.CONFIRMED),
        (12.1, "192.0.2.7", LocationSource.REGISTERED),
        (1, "198.51.100.1", LocationSource.REGISTERED),
    ],
)
def test_a_confirmation_holds_for_twelve_hours_on_the_same_network(
    hours: float, network: str, source: LocationSource
) -> None:
    kept = Confirmation(ago(hours=hours), ADDRESS, "192.0.2.7")
    told = told_location(None, desktop(location=None, network=network, confirmation=kept), (SITE,), NOW)
    assert told.source is source
    assert told.confirmed_at == (ago(hours=hours) if source is LocationSource.CONFIRMED else None)


def test_a_confirmed_address_goes_before_a_registered_one_behind_a_live_position() -> None:
    told = told_location(None, desktop(confirmation=Confirmation(ago(hours=1), ADDRESS, "192.0.2.7")), (SITE,), NOW)
    assert (told.source, told.address_source) == (LocationSource.LIVE, LocationSource.CONFIRMED)


def test_the_entry_goes_before_the_site_and_nothing_is_unknown() -> None:
    assert told_location(None, None, ("1 Example Street", SITE), NOW).address == "1 Example Street"
    assert told_location(Location(), None, (None, None), NOW) == ToldLocation()
    assert not ToldLocation().known


def test_nothing_was_seen_in_the_future() -> None:
    ahead = structs.replace(POSITION, at=NOW + timedelta(hours=3))
    assert told_location(ahead, None, (), NOW).at == NOW
    assert told_location(None, desktop(location=ahead), (), NOW).at == NOW
    stale = told_location(None, desktop(location=ahead, at=ago(minutes=16)), (), NOW)
    assert (stale.source, stale.at) == (LocationSource.REPORTED, NOW)
    confirmed = Confirmation(ago(hours=1), ahead, "192.0.2.7")
    assert told_location(None, desktop(location=None, confirmation=confirmed), (), NOW).at == NOW


@pytest.mark.parametrize(
    ("dialled", "seen", "registered", "country"),
    [
        ("ca", desktop(country="US"), ("GB",), "CA"),
        (None, desktop(country="US"), ("GB",), "US"),
        (None, desktop(country="US", at=ago(minutes=16)), ("GB",), "GB"),
        (None, desktop(country="US", environment=Environment.VPN), (None, "DK"), "DK"),
        (None, None, (None, None), None),
    ],
)
def test_the_country_is_the_first_that_is_known(
    dialled: str | None, seen: Desktop | None, registered: tuple[str | None, ...], country: str | None
) -> None:
    assert country_of(dialled, seen, registered, NOW) == country


def test_a_report_and_a_confirmation_of_a_day_to_come_are_not_believed() -> None:
    ahead = ago(hours=-24 * 365)
    assert told_location(None, desktop(at=ahead), (), NOW).source is LocationSource.REPORTED
    kept = Confirmation(ahead, ADDRESS, "192.0.2.7")
    told = told_location(None, desktop(location=None, network="192.0.2.7", confirmation=kept), (SITE,), NOW)
    assert told.source is LocationSource.REGISTERED
