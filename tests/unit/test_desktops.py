"""What desktops report, and what a dial makes of it (B15), on the core in memory."""

from datetime import timedelta

import pytest
from msgspec import structs

from shared.adapters.desktop_table import MAX_DESKTOPS, DesktopTable
from shared.adapters.table import Put
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergency_numbers import Placeable
from shared.domain.errors import NotFound
from shared.domain.locations import Desktop, Environment, Location, LocationSource
from shared.domain.situations import Say
from shared.use_cases.report_desktop import DesktopReport
from tests.fakes.house import House, TableLine, after
from tests.fakes.memory_table import MemoryTable

DANA = "agent-dana"
HERE = Location(latitude=47.6, longitude=-122.1, accuracy_m=20.0)
DESK = DesktopReport(desktop_id="desk-1", location=HERE, network="192.0.2.7", environment=Environment.PHYSICAL)


@pytest.fixture
def house() -> House:
    house = House()
    house.add_agent(Agent(agent_id=DANA, name="Dana Example", country="US", address="1 Example Street"))
    house.tick()
    return house


def report(house: House, **changes: object) -> None:
    house.calling.report_desktop(DANA, structs.replace(DESK, **changes), deadline=house.within())


def said(house: House, desktop_id: str | None = "desk-1", call_id: str = "call-1") -> Say:
    say = house.dial(Dial(call_id=call_id, agent_id=DANA, dialled="911", desktop_id=desktop_id)).panel.say
    assert say is not None
    return say


def test_a_young_report_of_the_desktop_that_dials_is_live(house: House) -> None:
    report(house)
    say = said(house)
    assert (say.source, say.latitude, say.address_source) == (LocationSource.LIVE, 47.6, LocationSource.REGISTERED)


def test_another_desktop_s_place_is_not_taken_and_of_several_none_is_guessed(house: House) -> None:
    report(house)
    report(house, desktop_id="mobile", location=Location(latitude=1.0, longitude=1.0))
    assert said(house, "mobile").latitude == 1.0
    assert said(house, "desk-1", "call-2").latitude == 47.6
    assert said(house, None, "call-3").source is LocationSource.REGISTERED
    assert said(house, "unheard of", "call-4").source is LocationSource.REGISTERED


def test_the_only_desktop_need_not_be_named(house: House) -> None:
    report(house)
    assert said(house, None).source is LocationSource.LIVE


def test_a_confirmation_lasts_while_the_network_stays_and_one_click_renews_it(house: House) -> None:
    report(house, location=Location(address="3 Sample Lane"), confirmed=True)
    house.clock.advance(after(hours=11))
    report(house, location=None)
    assert (said(house).source, said(house).address) == (LocationSource.CONFIRMED, "3 Sample Lane")
    report(house, location=None, confirmed=True)
    house.clock.advance(after(hours=11))
    assert said(house, call_id="call-2").source is LocationSource.CONFIRMED
    report(house, location=None, network="198.51.100.4")
    assert said(house, call_id="call-3").source is LocationSource.REGISTERED


OFFICE, HOME, HOME_TOMORROW = "203.0.113.7", "2001:db8:1:2::7", "2001:db8:1:2:aaaa::9"


def report_of_a_page(house: House, client: str | None, **changes: object) -> Desktop:
    """A page knows no network of its own, and nothing of what it runs on; a machine's report has no client."""
    sent = DesktopReport(desktop_id="desk-1", client=client)
    return house.calling.report_desktop(DANA, structs.replace(sent, **changes), deadline=house.within())


def test_what_was_confirmed_at_the_office_does_not_hold_at_home(house: House) -> None:
    report_of_a_page(house, OFFICE, location=Location(address="3 Sample Lane"), confirmed=True)
    report_of_a_page(house, OFFICE)
    assert (said(house).source, said(house).address) == (LocationSource.CONFIRMED, "3 Sample Lane")
    assert report_of_a_page(house, HOME).confirmed(house.clock.now()) is None
    assert said(house, call_id="call-2").address == "1 Example Street"
    report_of_a_page(house, HOME, confirmed=True)
    assert said(house, call_id="call-3").address == "1 Example Street"
    report_of_a_page(house, HOME, location=Location(address="4 Sample Lane"), confirmed=True)
    report_of_a_page(house, HOME_TOMORROW)
    assert said(house, call_id="call-4").address == "4 Sample Lane"


def test_who_dials_from_home_before_the_page_has_reported_is_not_at_the_office(house: House) -> None:
    report_of_a_page(house, OFFICE, location=Location(address="3 Sample Lane"), confirmed=True)
    report_of_a_page(house, OFFICE)
    for call_id, client, address in (("1", OFFICE, "3 Sample Lane"), ("2", HOME, "1 Example Street")):
        dialled = Dial(call_id=call_id, agent_id=DANA, dialled="911", desktop_id="desk-1", client_network=client)
        say = house.dial(dialled).panel.say
        assert say is not None and say.address == address
    asked = [
        house.calling.show_desktop(DANA, "desk-1", client=client, deadline=house.within()) for client in (OFFICE, HOME)
    ]
    assert [each.confirmed(house.clock.now()) is not None for each in asked] == [True, False]


def test_a_machine_that_reports_beside_the_page_leaves_what_was_confirmed(house: House) -> None:
    report_of_a_page(house, OFFICE, location=Location(address="3 Sample Lane"), confirmed=True)
    report_of_a_page(house, None, network="192.0.2.7")
    assert said(house).source is LocationSource.CONFIRMED
    report_of_a_page(house, OFFICE)
    assert said(house, call_id="call-2").source is LocationSource.CONFIRMED
    report_of_a_page(house, HOME)
    assert said(house, call_id="call-3").source is LocationSource.REGISTERED


def test_a_machine_that_confirms_another_network_is_believed_at_the_dial(house: House) -> None:
    report_of_a_page(house, HOME)
    lane = Location(address="3 Sample Lane")
    report_of_a_page(house, None, network="192.0.2.7", location=lane, confirmed=True)
    house.clock.advance(after(minutes=20))
    dialled = Dial(call_id="1", agent_id=DANA, dialled="911", desktop_id="desk-1", client_network=OFFICE)
    say = house.dial(dialled).panel.say
    assert say is not None and (say.source, say.address) == (LocationSource.CONFIRMED, "3 Sample Lane")


def test_nothing_of_the_address_that_a_report_came_from_is_kept(house: House) -> None:
    report_of_a_page(house, OFFICE, confirmed=True)
    rows = house.directory_table.between("!", "~", 100, house.within()).result()
    assert any(row.key.startswith("desktop|") for row in rows)
    assert OFFICE not in str([(row.key, dict(row.values)) for row in rows])


@pytest.mark.parametrize("environment", [Environment.VIRTUAL, Environment.VPN])
def test_a_page_that_knows_nothing_of_it_makes_no_virtual_desktop_a_real_one(
    house: House, environment: Environment
) -> None:
    report_of_a_page(house, None, environment=environment)
    report_of_a_page(house, OFFICE, location=HERE)
    assert said(house).source is LocationSource.REGISTERED
    report_of_a_page(house, OFFICE, location=HERE, environment=Environment.PHYSICAL)
    assert said(house, call_id="call-2").source is LocationSource.LIVE


def test_the_country_of_a_young_report_decides_whether_it_can_be_placed(house: House) -> None:
    report(house, country="mx")
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", desktop_id="desk-1"))
    assert (answer.placeable, answer.dial) == (Placeable.NO, None)
    house.clock.advance(after(minutes=16))
    answer = house.dial(Dial(call_id="call-2", agent_id=DANA, dialled="911", desktop_id="desk-1"))
    assert answer.placeable is Placeable.YES


def test_what_is_kept_can_be_read_and_is_removed_after_thirty_days(house: House) -> None:
    report(house)
    kept = house.calling.show_desktop(DANA, "desk-1", deadline=house.within())
    assert (kept.network, kept.location, kept.at) == ("192.0.2.7", HERE, house.clock.now())
    house.clock.advance(after(days=30))
    house.tick()
    assert house.calling.show_desktop(DANA, None, deadline=house.within()) == kept
    house.clock.advance(after(days=2))
    house.tick()
    with pytest.raises(NotFound):
        house.calling.show_desktop(DANA, "desk-1", deadline=house.within())


def test_old_reports_are_asked_for_once_a_day(house: House) -> None:
    line = TableLine(MemoryTable())
    requests: list[str] = []
    line.asked = requests.append
    desktops, now = DesktopTable(line, house.keys), house.clock.now()
    desktops.save(DANA, house.calling.report_desktop(DANA, DESK, deadline=house.within()), house.within())
    removed = [desktops.remove_old(now + after(days=days), house.within()) for days in (1, 29, 31)]
    assert removed == [0, 0, 1]
    requests.clear()
    later = [desktops.remove_old(now + after(days=31, hours=hours), house.within()) for hours in (0, 0, 24)]
    assert (later, requests) == ([0, 0, 0], ["read"])


def test_an_agent_has_a_bounded_number_of_desktops_and_nothing_is_left_of_one_who_is_forgotten(house: House) -> None:
    table = MemoryTable()
    desktops = DesktopTable(table, house.keys)
    for count in range(MAX_DESKTOPS + 5):
        kept = structs.replace(
            house.calling.report_desktop(DANA, DESK, deadline=house.within()), desktop_id=f"d{count}"
        )
        desktops.save(DANA, kept, house.within())
    assert len(desktops.of(DANA, house.within()).result()) == MAX_DESKTOPS
    desktops.forget(DANA, house.within())
    assert table.between("!", "~", 100, house.within()).result() == []


def test_a_report_that_cannot_be_read_stops_nobody_and_gives_way_to_the_next(house: House) -> None:
    table = MemoryTable()
    desktops = DesktopTable(table, house.keys)
    kept = desktops.save(DANA, house.calling.report_desktop(DANA, DESK, deadline=house.within()), house.within())
    [row] = table.between("desktop|", "desktop|~", 9, house.within()).result()
    table.commit([Put(row.key, {"schema": 9, "state": "[]"})], house.within())
    desktops.save(DANA, structs.replace(kept, desktop_id="desk-2"), house.within())
    assert [each.desktop_id for each in desktops.of(DANA, house.within()).result()] == ["desk-2"]
    desktops.save(DANA, kept, house.within())
    assert len(desktops.of(DANA, house.within()).result()) == 2


def test_of_too_many_desktops_of_one_day_the_oldest_goes(house: House) -> None:
    desktops, began = DesktopTable(MemoryTable(), house.keys), house.clock.now()
    for count in range(MAX_DESKTOPS + 3):
        kept = Desktop(desktop_id=f"desk-{count}", at=began + after(minutes=count))
        desktops.save(DANA, kept, house.within())
    left = [each.desktop_id for each in desktops.of(DANA, house.within()).result()]
    assert left == [f"desk-{count}" for count in reversed(range(3, MAX_DESKTOPS + 3))]


def test_a_desktop_is_the_same_however_its_id_is_written(house: House) -> None:
    report(house, desktop_id="Desk-1", location=Location(address="3 Sample Lane"), confirmed=True)
    report(house, desktop_id="mobile", location=Location(address="4 Sample Lane"))
    assert said(house, "desk-1").address == "3 Sample Lane"
    report(house, desktop_id=" DESK-1", location=None)
    assert said(house, "desk-1", "call-2").source is LocationSource.CONFIRMED
    assert house.calling.show_desktop(DANA, "Desk-1", deadline=house.within()).desktop_id == " DESK-1"


def test_a_click_confirms_the_place_that_was_reported_since_a_click_that_had_none(house: House) -> None:
    report(house, location=None, confirmed=True)
    report(house, location=Location(address="3 Sample Lane"))
    report(house, location=None, confirmed=True)
    assert (said(house).source, said(house).address) == (LocationSource.CONFIRMED, "3 Sample Lane")


def test_a_click_with_a_location_that_tells_no_place_confirms_the_one_before(house: House) -> None:
    report(house, location=Location(address="3 Sample Lane"))
    report(house, location=Location(accuracy_m=5.0), confirmed=True)
    assert (said(house).source, said(house).address) == (LocationSource.CONFIRMED, "3 Sample Lane")


def test_a_click_on_another_network_confirms_no_place_that_was_reported_on_the_one_before(house: House) -> None:
    report(house, location=Location(address="3 Sample Lane"))
    report(house, location=None, network="198.51.100.4", confirmed=True)
    assert (said(house).source, said(house).address) == (LocationSource.REGISTERED, "1 Example Street")


@pytest.mark.parametrize("wrong_by", [after(minutes=-20), after(hours=-30), after(minutes=20), after(hours=3)])
@pytest.mark.parametrize(("age", "source"), [(14, LocationSource.LIVE), (16, LocationSource.REGISTERED)])
def test_how_old_a_position_is_is_known_whatever_the_desktops_clock_says(
    house: House, wrong_by: timedelta, age: int, source: LocationSource
) -> None:
    now, waited = house.clock.now(), after(seconds=90)
    its_now = now + wrong_by
    where = structs.replace(HERE, at=its_now - after(minutes=age))
    clicked = Dial(
        call_id="c", agent_id=DANA, dialled="911", location=where, dialled_at=its_now - waited, dialled_ago=waited
    )
    say = house.dial(clicked).panel.say
    assert say is not None and say.source is source
    assert say.at == (now - after(minutes=age) if source is LocationSource.LIVE else None)


def test_without_a_measured_time_only_a_clock_that_is_surely_wrong_is_put_right(house: House) -> None:
    now = house.clock.now()
    for call_id, said_ago, source in (
        ("ahead", after(hours=-3), LocationSource.REGISTERED),
        ("repeated", after(minutes=8), LocationSource.LIVE),
        ("beyond the window", after(hours=2), LocationSource.REGISTERED),
    ):
        where = structs.replace(HERE, at=now - said_ago - after(minutes=2 if call_id == "repeated" else 20))
        dialled = Dial(call_id=call_id, agent_id=DANA, dialled="911", location=where, dialled_at=now - said_ago)
        say = house.dial(dialled).panel.say
        assert say is not None and say.source is source


def test_a_time_that_is_nearly_ours_is_left_as_it_was_said(house: House) -> None:
    now = house.clock.now()
    where = structs.replace(HERE, at=now - after(seconds=40))
    dialled = Dial(
        call_id="c",
        agent_id=DANA,
        dialled="911",
        location=where,
        dialled_at=now - after(seconds=30),
        dialled_ago=timedelta(0),
    )
    say = house.dial(dialled).panel.say
    assert say is not None and say.at == where.at


def test_a_report_by_a_clock_that_runs_ahead_tells_how_old_its_position_is(house: House) -> None:
    now, its_now = house.clock.now(), house.clock.now() + after(hours=3)
    report(house, at=its_now, location=structs.replace(HERE, at=its_now - after(minutes=20)))
    assert said(house).source is LocationSource.REGISTERED
    report(house, at=its_now, location=structs.replace(HERE, at=its_now - after(minutes=10)))
    say = said(house, call_id="call-2")
    assert (say.source, say.at) == (LocationSource.LIVE, now - after(minutes=10))


@pytest.mark.parametrize(
    ("environments", "named", "source"),
    [
        ((Environment.VIRTUAL, Environment.VPN), None, LocationSource.REGISTERED),
        ((Environment.VIRTUAL, Environment.PHYSICAL), None, LocationSource.LIVE),
        ((Environment.VIRTUAL, Environment.PHYSICAL), "desk-0", LocationSource.REGISTERED),
        ((Environment.VIRTUAL, Environment.PHYSICAL), "desk-1", LocationSource.LIVE),
    ],
)
def test_of_several_desktops_of_which_none_is_named_only_all_mislead(
    house: House, environments: tuple[Environment, ...], named: str | None, source: LocationSource
) -> None:
    for place, environment in enumerate(environments):
        report(house, desktop_id=f"desk-{place}", location=None, environment=environment)
    seen = Location(latitude=1.0, longitude=1.0)
    dialled = Dial(call_id="call-1", agent_id=DANA, dialled="911", desktop_id=named, location=seen)
    say = house.dial(dialled).panel.say
    assert say is not None and say.source is source


def test_what_a_desktop_was_weeks_ago_says_nothing_of_a_dial_that_names_none(house: House) -> None:
    for place in range(2):
        report(house, desktop_id=f"desk-{place}", location=None, environment=Environment.VIRTUAL)
    house.clock.advance(timedelta(hours=25))
    seen = Location(latitude=1.0, longitude=1.0)
    say = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", location=seen)).panel.say
    assert say is not None and say.source is LocationSource.LIVE
