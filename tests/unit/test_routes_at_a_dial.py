"""Voice routes, as the timer read them last, decide what a dial says; a dial asks nobody for them (B12, B13)."""

from datetime import timedelta

import pytest

from shared.adapters.site_table import SiteTable
from shared.adapters.table import Put, Row
from shared.adapters.voice_route_table import ROUTES_KEY, VoiceRouteTable
from shared.deadlines import Deadline
from shared.domain.dials import Dial
from shared.domain.emergency_numbers import Placeable
from shared.domain.sites import Site
from shared.domain.situations import Say
from shared.domain.voice_routes import MAX_PATTERN_CHARACTERS, RoutesRead, Telephony, VoiceRoute, routed
from shared.ports import Answered
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice
from tests.fakes.house import House
from tests.fakes.memory_table import MemoryTable

ALL, NONE, UNSURE = (VoiceRoute(name="r", number_pattern=each) for each in (".*", "^112$", r"\p{Nd}+"))


class Counted(MemoryTable):
    """A table that counts what it is asked."""

    asked = 0

    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        self.asked += 1
        return super().get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        self.asked += 1
        return super().between(first, end, limit, deadline)


@pytest.fixture
def house() -> House:
    return House()


def read_by_timer(house: House, *routes: VoiceRoute) -> None:
    house.telephony.known = Telephony(routes=routes, routes_at=house.clock.now(), numbers=())
    house.tick()


def dial(house: House, country: str, call_id: str = "c", agent_id: str = "ana", dialled: str = "911") -> Answer:
    return house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled=dialled, country=country))


def said(answer: Answer) -> Say:
    assert answer.panel.say is not None
    return answer.panel.say


def test_before_any_reading_the_country_decides(house: House) -> None:
    assert said(dial(house, "US")).relay_first is True
    assert dial(house, "MX", "d", "ben").placeable is Placeable.NO


@pytest.mark.parametrize(
    ("route", "relay_first", "abroad"),
    [(ALL, False, Placeable.UNKNOWN), (NONE, True, Placeable.NO), (UNSURE, True, Placeable.UNKNOWN)],
    ids=["takes 911", "takes another", "cannot be judged"],
)
def test_the_last_reading_decides_answer_panel_and_notice(
    house: House, route: VoiceRoute, relay_first: bool, abroad: Placeable
) -> None:
    read_by_timer(house, route)
    assert said(dial(house, "US")).relay_first is relay_first
    shown = house.panel("ana").say
    assert shown is not None and shown.relay_first is relay_first
    house.performs = False
    answer = dial(house, "MX", "d", "ben")
    assert answer.placeable is abroad and house.panel("ben").placeable is abroad
    assert (answer.dial is None) is (abroad is Placeable.NO)
    [notice] = [each.owed.notice for each in house.owed if isinstance(each, DeliverNotice)]
    assert notice.placeable is abroad


@pytest.mark.parametrize("dialled", ["911", "9911", "112", "933", "urn:service:sos"])
@pytest.mark.parametrize(
    ("pattern", "relay_first"),
    [(r"^\+?911$", False), ("^911$|^112$", False), ("^112$", True), ("^933$", True), (r"\p{Nd}+", True)],
)
def test_a_relay_answers_first_unless_a_voice_route_takes_911_whatever_was_dialled(
    house: House, dialled: str, pattern: str, relay_first: bool
) -> None:
    read_by_timer(house, VoiceRoute(name="e", number_pattern=pattern))
    assert said(dial(house, "US", dialled=dialled)).relay_first is relay_first


def test_a_newer_reading_counts_from_the_next_dial_on_and_changes_no_panel(house: House) -> None:
    read_by_timer(house, ALL)
    before = said(dial(house, "US"))
    house.clock.advance(timedelta(minutes=6))
    read_by_timer(house, NONE)
    assert house.panel("ana").say == before
    assert said(dial(house, "US", "d")).relay_first is True


def test_what_was_read_holds_while_the_service_is_away_and_while_the_store_is(house: House) -> None:
    read_by_timer(house, ALL)
    house.telephony.known = Telephony()
    house.tick()
    house.line.away = True
    degraded = dial(house, "US")
    assert degraded.degraded and said(degraded).relay_first is False


def test_a_process_that_has_just_started_learns_them_with_the_sites(house: House) -> None:
    table, within = Counted(), house.within()
    VoiceRouteTable(table, house.clock).keep(RoutesRead(routes=(ALL,), at=house.clock.now()), within)
    SiteTable(table, house.clock).save(Site(site_id="north"), None, within)
    table.asked = 0
    routes = VoiceRouteTable(table, house.clock)
    sites = SiteTable(table, house.clock, routes)
    assert routes.remembered() is None
    assert [each.site_id for each in sites.known(within).result().sites] == ["north"]
    assert routes.remembered() == RoutesRead(routes=(ALL,), at=house.clock.now())
    assert table.asked == 1, "the reading of the sites that a dial makes anyway"


def test_a_reading_is_stored_once_and_only_if_it_is_newer(house: House) -> None:
    table, within = MemoryTable(), house.within()
    routes, newer = VoiceRouteTable(table, house.clock), RoutesRead(routes=(ALL,), at=house.clock.now())
    routes.keep(newer, within)
    [row] = table.between(ROUTES_KEY, f"{ROUTES_KEY}~", 2, within).result()
    routes.keep(newer, within)
    routes.keep(RoutesRead(routes=(NONE,), at=newer.at - timedelta(minutes=1)), within)
    assert routes.remembered() == newer
    assert table.get(ROUTES_KEY, within).result() == row


def test_a_row_that_cannot_be_read_leaves_the_sites_and_what_is_known(house: House) -> None:
    table, within = MemoryTable(), house.within()
    table.commit([Put(ROUTES_KEY, {"parts": 1, "state0": "{"})], within)
    SiteTable(table, house.clock).save(Site(site_id="north"), None, within)
    routes = VoiceRouteTable(table, house.clock)
    assert len(SiteTable(table, house.clock, routes).all(within)) == 1
    assert routes.remembered() is None


def test_as_many_and_as_long_routes_as_there_may_be_fit_into_the_row(house: House) -> None:
    many = tuple(VoiceRoute(name="n" * 500, number_pattern="9" * 5000, trunks=("t" * 500,)) for _ in range(500))
    table = MemoryTable()
    VoiceRouteTable(table, house.clock).keep(RoutesRead(routes=many, at=house.clock.now()), house.within())
    row = table.get(ROUTES_KEY, house.within()).result()
    assert row is not None and sum(len(str(each)) for each in row.values.values()) < 250_000


def test_an_older_reading_that_is_met_replaces_no_newer_one(house: House) -> None:
    table, within = MemoryTable(), house.within()
    older = RoutesRead(routes=(NONE,), at=house.clock.now() - timedelta(minutes=1))
    newer = RoutesRead(routes=(ALL,), at=house.clock.now())
    VoiceRouteTable(table, house.clock).keep(older, within)
    row = table.get(ROUTES_KEY, within).result()
    routes = VoiceRouteTable(MemoryTable(), house.clock)
    routes.keep(newer, within)
    assert row is not None
    routes.met(row)
    assert routes.remembered() == newer


def test_a_reading_of_a_day_to_come_is_not_believed(house: House) -> None:
    table, within = MemoryTable(), house.within()
    ahead = RoutesRead(routes=(NONE,), at=house.clock.now() + timedelta(days=365))
    VoiceRouteTable(table, house.clock).keep(ahead, within)
    routes = VoiceRouteTable(table, house.clock)
    sites = SiteTable(table, house.clock, routes)
    sites.all(within)
    assert routes.remembered() is None
    now = RoutesRead(routes=(ALL,), at=house.clock.now())
    routes.keep(now, within)
    assert routes.remembered() == now
    other = VoiceRouteTable(table, house.clock)
    SiteTable(table, house.clock, other).all(within)
    assert other.remembered() == now


def test_a_pattern_that_is_too_long_to_be_judged_is_so_as_it_is_kept_too(house: House) -> None:
    # Cut after the last bar it would take everything.
    long = VoiceRoute(name="r", number_pattern="^1$" + "|2" * 98 + "|" + "3")
    assert len(long.number_pattern) == MAX_PATTERN_CHARACTERS + 1 and routed("911", (long,)) is None
    routes = VoiceRouteTable(MemoryTable(), house.clock)
    routes.keep(RoutesRead(routes=(long,), at=house.clock.now()), house.within())
    kept = routes.remembered()
    assert kept is not None and routed("911", kept.routes) is None
