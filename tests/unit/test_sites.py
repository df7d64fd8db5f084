"""Where a desktop is now decides who is told and which desk rings (B14)."""

import json
from datetime import timedelta
from ipaddress import ip_address, ip_network

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from functions.http import client_network
from functions.wire.decoding import decode
from functions.wire.http import DesktopBody, SiteBody, site_of
from shared.adapters.site_table import REMEMBERED_S, SiteTable
from shared.adapters.table import Put, Row
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind
from shared.domain.dials import Dial
from shared.domain.errors import Conflict, Malformed, NotFound, Unavailable, Unreadable
from shared.domain.locations import Desktop, Environment, LocationSource
from shared.domain.sites import MAX_SITES, Site, SiteMap, site_key_of, site_now
from shared.ports import Answered
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.end_call import End
from shared.use_cases.report_desktop import DesktopReport
from tests.fakes.house import DAWN, DEFAULT_CONTACT, DESK, House, TableLine
from tests.fakes.memory_table import MemoryTable

DANA = "agent-dana"
NORTH_DESK = "+14255550170"
NORTH = Site(
    site_id="north",
    name="North building",
    address="1 North Street",
    country="CA",
    time_zone="America/Toronto",
    networks=("192.0.2.0/24", "2001:db8::/32", "kiosk-7"),
    emergency_contacts=("north@example.com",),
    security_desk=(NORTH_DESK,),
)
SOUTH = Site(site_id="south", networks=("192.0.2.128/25",), emergency_contacts=("south@example.com",))


@pytest.fixture
def house() -> House:
    house = House()
    for site in (NORTH, SOUTH):
        house.sites.save(site, None, house.within())
    house.add_agent(Agent(agent_id=DANA, emergency_contacts=("own@example.com",), acs_user_ids=("8:acs:r_d",)))
    house.tick()
    return house


def report(house: House, network: str | None, **more: object) -> None:
    said = DesktopReport(desktop_id="desk", network=network, **more)  # type: ignore[arg-type]
    house.calling.report_desktop(DANA, said, deadline=house.within())


def dial(house: House, **more: object) -> Answer:
    return house.dial(Dial(call_id="c", agent_id=DANA, dialled="911", **more))  # type: ignore[arg-type]


def told(house: House) -> set[str]:
    return set(house.mail.received())


@pytest.mark.parametrize(
    ("network", "sites"),
    [
        ("192.0.2.7", {"north@example.com"}),
        ("192.0.2.200", {"south@example.com"}),
        ("2001:db8::7", {"north@example.com"}),
        ("::ffff:192.0.2.7", {"north@example.com"}),
        ("198.51.100.1", set[str]()),
        (None, set[str]()),
    ],
)
def test_the_narrowest_network_of_the_desktop_decides_who_is_told(
    house: House, network: str | None, sites: set[str]
) -> None:
    report(house, network)
    dial(house)
    assert told(house) == {"own@example.com"} | sites


def test_a_desktops_id_is_narrower_than_any_network(house: House) -> None:
    house.calling.report_desktop(
        DANA, DesktopReport(desktop_id="Kiosk-7", network="192.0.2.200"), deadline=house.within()
    )
    dial(house, desktop_id="Kiosk-7")
    assert told(house) == {"own@example.com", "north@example.com"}


def test_else_the_registered_site_counts_and_else_the_defaults(house: House) -> None:
    house.add_agent(Agent(agent_id=DANA, site="North "))
    report(house, "198.51.100.1")
    dial(house)
    assert told(house) == {"north@example.com"}
    house.mail.accepted.clear()
    house.add_agent(Agent(agent_id="kim", site="nowhere"))
    house.dial(Dial(call_id="k", agent_id="kim", dialled="911"))
    assert told(house) == {DEFAULT_CONTACT}


@pytest.mark.parametrize("environment", [Environment.VIRTUAL, Environment.VPN])
def test_the_network_of_a_data_centre_says_nothing(house: House, environment: Environment) -> None:
    report(house, "192.0.2.7", environment=environment)
    dial(house, client_network="192.0.2.200")
    assert told(house) == {"own@example.com"}


def test_where_a_desktop_was_yesterday_says_nothing(house: House) -> None:
    report(house, "192.0.2.7")
    house.clock.advance(timedelta(hours=25))
    dial(house, client_network="192.0.2.200")
    assert told(house) == {"own@example.com", "south@example.com"}


def test_the_site_gives_address_country_name_and_times(house: House) -> None:
    report(house, "192.0.2.7")
    house.performs = False
    dial(house)
    [notice] = [each.owed.notice for each in house.owed if isinstance(each, DeliverNotice)]
    assert (notice.site, notice.time_zone) == ("North building", "America/Toronto")
    assert (notice.location.source, notice.location.address) == (LocationSource.REGISTERED, "1 North Street")
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.situation is not None and emergency.situation.country == "CA"


def test_the_sites_desk_rings(house: House) -> None:
    report(house, "192.0.2.7")
    number = dial(house).callback_number
    house.end(End(call_id="c", by_agent=True, agent_id=DANA))
    house.responder_calls(number)
    house.wait(40)
    rung = {each.target for each in house.switchboard.invited}
    assert NORTH_DESK in rung and DESK not in rung


def test_what_was_fixed_at_the_dial_outlives_a_change_of_the_site(house: House) -> None:
    report(house, "192.0.2.7")
    number = dial(house).callback_number
    house.end(End(call_id="c", by_agent=True, agent_id=DANA))
    house.sites.remove("north", None, house.within())
    house.add_agent(Agent(agent_id=DANA, acs_user_ids=("8:acs:r_d",), emergency_contacts=("later@example.com",)))
    house.mail.accepted.clear()
    house.responder_calls(number)
    house.wait(20)
    house.switchboard.hang_up()
    house.wait(60)
    assert told(house) == {"own@example.com", "north@example.com"}


def test_a_missed_callback_is_told_to_as_many_as_the_call_was(house: House) -> None:
    own = tuple(f"{'o' * 100}{place}@example.com" for place in range(26))
    of_site = tuple(f"{'s' * 100}{place}@example.com" for place in range(30))
    house.sites.save(structs.replace(NORTH, emergency_contacts=of_site), None, house.within())
    house.add_agent(Agent(agent_id=DANA, acs_user_ids=("8:acs:r_d",), emergency_contacts=own))
    house.clock.advance(timedelta(seconds=REMEMBERED_S + 1))
    report(house, "192.0.2.7")
    number = dial(house).callback_number
    assert told(house) == {*own, *of_site}
    house.end(End(call_id="c", by_agent=True, agent_id=DANA))
    house.mail.accepted.clear()
    house.responder_calls(number)
    house.wait(20)
    house.switchboard.hang_up()
    house.wait(60)
    assert told(house) == {*own, *of_site}


def test_a_dial_reads_no_site_that_is_remembered_and_goes_on_without_those_that_cannot_be_read(house: House) -> None:
    line = TableLine(MemoryTable())
    house.sites = SiteTable(line, house.clock)
    house.sites.save(NORTH, None, house.within())
    report(house, "192.0.2.7")
    asked: list[str] = []
    house.sites.known(house.within()).result()
    line.asked = asked.append
    assert not dial(house).degraded and asked == []
    house.clock.advance(timedelta(seconds=REMEMBERED_S + 1))
    line.away = True
    house.mail.accepted.clear()
    assert not house.dial(Dial(call_id="d", agent_id=DANA, dialled="911")).degraded
    assert told(house) == {"own@example.com", "north@example.com"}, "those of a minute ago"
    house.sites = SiteTable(line, house.clock)
    assert not house.dial(Dial(call_id="e", agent_id=DANA, dialled="911")).degraded


def test_a_desktop_is_told_its_site(house: House) -> None:
    report(house, "192.0.2.200")
    kept = house.calling.show_desktop(DANA, "desk", deadline=house.within())
    site = house.calling.find_site(DANA, kept, None, deadline=house.within())
    assert site == SOUTH


def test_sites_are_written_over_the_version_that_was_read() -> None:
    house = House()
    first = house.sites.save(NORTH, "", house.within())
    with pytest.raises(Conflict):
        house.sites.save(NORTH, "", house.within())
    second = house.sites.save(SOUTH, None, house.within())
    assert [each.site_id for each in house.sites.all(house.within())] == ["north", "south"]
    assert house.sites.read("NORTH", house.within()) == (NORTH, first)
    with pytest.raises(Conflict):
        house.sites.remove("south", first + "x", house.within())
    house.sites.remove("south", second, house.within())
    with pytest.raises(NotFound):
        house.sites.remove("south", None, house.within())
    with pytest.raises(Unavailable):
        SiteTable(away(), house.clock).known(house.within()).result()


def away() -> TableLine:
    """A table that is away."""
    line = TableLine(MemoryTable())
    line.away = True
    return line


NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**8 - 1), st.integers(24, 32)).map(lambda each: f"192.0.2.{each[0]}/{each[1]}"),
    st.tuples(st.integers(0, 2**8 - 1), st.integers(120, 128)).map(lambda each: f"2001:db8::{each[0]:x}/{each[1]}"),
)


@given(st.lists(NETWORKS, max_size=8), st.integers(0, 255), st.booleans())
def test_the_map_finds_what_looking_at_every_network_finds(networks: list[str], host: int, six: bool) -> None:
    parsed = [ip_network(each, strict=False) for each in networks]
    sites = SiteMap(Site(site_id=f"{index:02}", networks=(each,)) for index, each in enumerate(networks))
    address = f"2001:db8::{host:x}" if six else f"192.0.2.{host}"
    fitting = [each for each in parsed if each.version == ip_address(address).version and ip_address(address) in each]
    found = sites.of_address(address)
    assert (found is None) is (fitting == [])
    if found is not None:
        assert parsed[int(found.site_id)].prefixlen == max(each.prefixlen for each in fitting)


@pytest.mark.parametrize(
    ("forwarded", "kind", "address"),
    [
        ("198.51.100.9, 192.0.2.7:51234", CallerKind.AGENT, "192.0.2.7"),
        ("192.0.2.7", CallerKind.AGENT, "192.0.2.7"),
        ("[2001:db8::7]:443", CallerKind.AGENT, "2001:db8::7"),
        ("2001:db8::7", CallerKind.AGENT, "2001:db8::7"),
        ("::ffff:192.0.2.7", CallerKind.AGENT, "192.0.2.7"),
        ("[::ffff:c000:207]:443", CallerKind.AGENT, "192.0.2.7"),
        ("192.0.2.7, nonsense", CallerKind.AGENT, None),
        ("", CallerKind.AGENT, None),
        ("192.0.2.7", CallerKind.MACHINE, None),
        ("192.0.2.7", CallerKind.OFFICE, None),
    ],
)
def test_the_clients_address_counts_for_agents_alone(forwarded: str, kind: CallerKind, address: str | None) -> None:
    req = func.HttpRequest("GET", "https://example.com/", headers={"x-forwarded-for": forwarded}, body=b"")
    assert client_network(req, Caller(kind=kind, name="x")) == address


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" ::ffff:192.0.2.7 ", "192.0.2.7"),
        ("::FFFF:C000:207", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
    ],
)
def test_an_ipv4_address_that_a_socket_for_both_versions_wrote_lies_in_its_network(sent: str, kept: str) -> None:
    network = decode(json.dumps({"desktop_id": "d", "network": sent}).encode(), DesktopBody).report().network
    assert network == kept
    site = Site(site_id="north", networks=("192.0.2.0/24", "2001:db8::/32"))
    assert SiteMap([site]).of_address(network) == site


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
        ("::FFFF:C000:200/128", "192.0.2.0/32"),
        ("192.0.2.0 / 24", "192.0.2.0/24"),
        ("2001:db8::7/32", "2001:db8::/32"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("desk 3.14", "desk 3.14"),
        *(
            (each, each)
            for each in ("3.14", "12", "10.1.2.3.4", "1.2.2026", "PC.12", "desk-12", "x", "floor.x", "10-1")
        ),
        ("00:1A:2B:3C:4D:5E", "00:1A:2B:3C:4D:5E"),
        ("0f0e0d0c-0b0a-4908-8706-050403020100", "0f0e0d0c-0b0a-4908-8706-050403020100"),
        ("floor-2/desk-7", "floor-2/desk-7"),
    ],
)
def test_a_network_is_kept_as_clients_addresses_are_read(sent: str, kept: str) -> None:
    assert site_of("north", SiteBody(networks=[sent])).networks == (kept,)


def test_whoever_is_in_a_network_of_a_socket_for_both_versions_is_at_its_site() -> None:
    site = site_of("north", SiteBody(networks=["::ffff:192.0.2.0/120"]))
    assert SiteMap([site]).of_address("192.0.2.7") == site


@pytest.mark.parametrize(
    "meant",
    [
        "192.0.2.0/33",
        "192.0.2/24",
        "192.0.2.0-192.0.2.255",
        "192.0.2.0-255",
        "192.0.2.*",
        "192.0.x.x",
        "192.0.2.0/24,198.51.100.0/24",
        "192.0.2.0/255.0.255.0",
        "192.0.2.300",
        "[2001:db8::]/32",
        "2001:db8::/129",
        "2001:db8::1-2001:db8::f",
        *("10.1.*", "10.x", "10.X.X", "10.*.*.*", "10.1.2.xxx", "*", "*.*.*.*", "2001:db8:*", "2001:db8::*"),
        *("192.168.1", "192.168.1.", "192.168.", "192.168", "10.1", "10.", "172.16", "131.107.4"),
        *(
            "10.1.2.3 255.255.255.0",
            "10.1.2.0 mask 255.255.255.0",
            "10.1.2.3;10.1.2.4",
            "10.1.0.0\\16",
            "10/8",
            "10.1.2.1 24",
        ),
        *("10.1.2 - 10.1.3", "10.1.* (office)"),
    ],
)
def test_what_is_meant_as_a_network_and_is_none_is_no_desktop(meant: str) -> None:
    with pytest.raises(Malformed) as raised:
        site_of("north", SiteBody(networks=["192.0.2.0/24", meant]))
    assert raised.value.field == "networks[1]"


def test_a_site_as_it_is_sent() -> None:
    body = b'{"name": " North ", "networks": ["192.0.2.7/24", "kiosk-7", "192.0.2.0/24"], "country": "ca",' \
           b'"emergency_contacts": ["Desk <desk@example.com>"], "security_desk": ["+14255550170"]}'  # fmt: skip
    site = site_of("north", decode(body, SiteBody))
    assert (site.name, site.country, site.networks) == ("North", "CA", ("192.0.2.0/24", "kiosk-7"))
    assert (site.emergency_contacts, site.security_desk) == (("desk@example.com",), ("+14255550170",))
    for faulty, field in (
        (b'{"security_desk": ["911"]}', "security_desk[0]"),
        (b'{"security_desk": ["8:acs:x", "8:foo:x"]}', "security_desk[1]"),
        (b'{"emergency_contacts": ["a@example.com", "b"]}', "emergency_contacts[1]"),
        (b'{"site_id": "south"}', "site_id"),
        (b'{"time_zone": "Mars/Olympus"}', "time_zone"),
    ):
        with pytest.raises(Malformed) as raised:
            site_of("north", decode(faulty, SiteBody))
        assert raised.value.field == field


def test_the_only_desktop_of_an_agent_names_its_site_where_the_dial_names_no_desktop() -> None:
    now, kiosk = DAWN, Site(site_id="kiosk", networks=("kiosk-7",))
    seen = Desktop(desktop_id="kiosk-7", at=now)
    asked = {"client": None, "registered": None, "now": now}
    assert site_now(SiteMap([kiosk]), desktop_id=None, desktop=seen, **asked) == kiosk  # type: ignore[arg-type]


class Late(MemoryTable):
    """A table whose readings are begun, and come to nothing once it is `late`."""

    late = False

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        found = super().between(first, end, limit, deadline)
        return Nothing() if self.late else found  # type: ignore[return-value]


class Nothing:
    def result(self) -> list[Row]:
        raise Unavailable


def test_the_sites_remembered_last_count_where_a_reading_comes_to_nothing(house: House) -> None:
    table = Late()
    sites = SiteTable(table, house.clock)
    sites.save(NORTH, None, house.within())
    assert sites.known(house.within()).result().sites == (NORTH,)
    house.clock.advance(timedelta(seconds=REMEMBERED_S + 1))
    table.late = True
    assert sites.known(house.within()).result().sites == (NORTH,)
    with pytest.raises(Unavailable):
        SiteTable(table, house.clock).known(house.within()).result()


def test_sites_that_nobody_changed_are_not_sorted_again(house: House) -> None:
    table = MemoryTable()
    sites, elsewhere = SiteTable(table, house.clock), SiteTable(table, house.clock)
    sites.save(NORTH, None, house.within())

    def known_a_minute_later() -> SiteMap:
        house.clock.advance(timedelta(seconds=REMEMBERED_S + 1))
        return sites.known(house.within()).result()

    first = known_a_minute_later()
    assert known_a_minute_later() is first
    elsewhere.save(structs.replace(NORTH, name="North wing"), None, house.within())
    assert [site.name for site in known_a_minute_later().sites] == ["North wing"]
    elsewhere.remove(NORTH.site_id, None, house.within())
    assert known_a_minute_later().sites == ()


def test_a_site_that_cannot_be_read_is_told_and_written_over(house: House) -> None:
    table = MemoryTable()
    sites = SiteTable(table, house.clock, telemetry=house.telemetry)
    key = f"site|{site_key_of('north')}"
    table.commit([Put(key, {"state": "{"})], house.within())
    for _ in range(2):
        assert sites.all(house.within()) == []
        with pytest.raises(Unreadable):
            sites.read("north", house.within())
    with pytest.raises(Conflict):
        sites.save(NORTH, "", house.within())
    sites.save(NORTH, None, house.within())
    assert sites.all(house.within()) == [NORTH]
    assert house.telemetry.events.count(("row_set_aside", {"kind": "site"})) == 1, "once for each process"


def test_more_sites_than_there_may_be_are_not_written_at_once_either(house: House) -> None:
    sites = SiteTable(MemoryTable(), house.clock)
    with pytest.raises(Malformed):
        sites.save_all([Site(site_id=f"{number}") for number in range(MAX_SITES + 1)], house.within())
    assert sites.all(house.within()) == []
