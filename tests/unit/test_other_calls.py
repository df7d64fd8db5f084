"""Other calls of an agent around a dial end no emergency, and leave it to no recorder (B5, B7, S5, S6)."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count, islice, permutations

import pytest

from shared.domain.agents import Agent
from shared.domain.confidentiality import EMERGENCY, ORDINARY
from shared.domain.dials import Dial
from shared.domain.emergencies import Tie, TieKind, standing, ties
from shared.domain.ids import key_of
from shared.domain.panels import Mode
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, after

DANA = "agent-dana"
DANA_ACS = "8:acs:00000000-0000-0000-0000-000000000001_dana"


@pytest.fixture
def house() -> House:
    house = House()
    house.add_agent(Agent(agent_id=DANA, acs_user_ids=(DANA_ACS,), country="US"))
    house.tick()
    house.clock.advance(after(minutes=5))
    return house


def dial(house: House, call_id: str = "call-1", server_call_id: str | None = None, ago_ms: int | None = 0) -> None:
    ago = None if ago_ms is None else timedelta(milliseconds=ago_ms)
    house.dial(Dial(call_id=call_id, agent_id=DANA, dialled="911", server_call_id=server_call_id, dialled_ago=ago))


def began(house: House, server: str, seconds: float) -> ServerCall:
    """What is told of a call that Dana started then, counted from now."""
    at = house.clock.now() + timedelta(seconds=seconds)
    return ServerCall(server_call_id=server, starter=DANA_ACS, at=at, ended=False)


def over(house: House, server: str, seconds: float, lasted_s: float) -> ServerCall:
    at = house.clock.now() + timedelta(seconds=seconds)
    lasted = timedelta(seconds=lasted_s)
    return ServerCall(server_call_id=server, starter=DANA_ACS, at=at, ended=True, duration=lasted, ended_by=DANA_ACS)


def tied(house: House) -> list[Tie]:
    emergency = house.emergency(DANA)
    assert emergency is not None
    return list(ties(emergency).values())


def in_progress(house: House) -> list[str]:
    emergency = house.emergency(DANA)
    assert emergency is not None
    return [leg.number for leg in standing(emergency, house.deployment.rules, house.clock.now()).in_progress]


def see_all(house: House, events: Sequence[ServerCall | str]) -> None:
    """A server call's id alone is the softphone's word that it is the emergency's."""
    for event in events:
        house.clock.advance(after(seconds=1))
        if isinstance(event, ServerCall):
            house.see(event)
        else:
            house.tie("call-1", event)
        assert in_progress(house) and house.panel(DANA).mode is Mode.EMERGENCY
        assert house.judge("dialled", DANA_ACS) == EMERGENCY


# Seconds before the dial at which another call began, and ended: hung up for it, a slip on the keypad.
@pytest.mark.parametrize(("began_s", "ended_s"), [(-16, -1), (-29, -6), (-3, -0.2), (-7, -5)])
@pytest.mark.parametrize("claims", [False, True], ids=["inferred", "claimed"])
def test_a_call_that_was_hung_up_for_the_dial_ends_no_emergency(began_s: float, ended_s: float, claims: bool) -> None:
    for order in permutations(range(4 if claims else 3)):
        house = House()
        house.add_agent(Agent(agent_id=DANA, acs_user_ids=(DANA_ACS,), country="US"))
        house.clock.advance(after(minutes=5))
        dial(house)
        other = began(house, "other", began_s), over(house, "other", ended_s, ended_s - began_s)
        events = (*other, began(house, "dialled", 1), "dialled")
        see_all(house, [events[each] for each in order])
        [tie] = tied(house)
        assert tie.sighting.server_key == key_of("dialled")
        assert tie.kind is (TieKind.EXACT if claims else TieKind.INFERRED)
        house.clock.advance(after(minutes=11))
        house.tick()
        assert in_progress(house) and house.panel(DANA).mode is Mode.EMERGENCY


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_a_customers_call_that_goes_on_hold_for_the_dial_is_not_taken_for_it(
    house: House, order: Sequence[int]
) -> None:
    dial(house)
    events = began(house, "customers", -16), began(house, "dialled", 1)
    see_all(house, [events[each] for each in order])
    assert [tie.sighting.server_key for tie in tied(house)] == [key_of("dialled")]
    assert house.judge("customers", DANA_ACS) == ORDINARY
    house.see(over(house, "customers", 0, 20))
    assert in_progress(house)


def test_a_short_call_whose_dial_was_told_late_is_over_where_the_dial_does_not_say_when_it_was(house: House) -> None:
    dial(house, ago_ms=None)
    house.clock.advance(after(seconds=5))
    house.see(began(house, "dialled", -8))
    assert in_progress(house)
    house.see(over(house, "dialled", -4, 4))
    assert in_progress(house) == [] and house.judge("dialled", DANA_ACS) == EMERGENCY
    house.clock.advance(after(seconds=12))
    house.see(began(house, "customers", 0))
    assert house.judge("dialled", DANA_ACS) == EMERGENCY
    assert [tie.sighting.server_key for tie in tied(house)] != [key_of("customers")]


def test_after_a_call_that_began_before_its_report_the_agents_others_are_private_for_ten_minutes(house: House) -> None:
    dial(house, ago_ms=None)
    house.see(began(house, "dialled", -1))
    house.clock.advance(after(minutes=1))
    house.see(over(house, "dialled", 0, 61))
    assert house.judge("customers", DANA_ACS) == EMERGENCY
    house.clock.advance(after(minutes=9))
    assert house.judge("customers", DANA_ACS) == ORDINARY


def test_an_inferred_tie_is_looked_at_anew_by_its_starters_events_and_by_no_recording(house: House) -> None:
    dial(house)
    assert house.emergencies.agents_untied(house.within()) == [key_of(DANA)]
    house.see(began(house, "dialled", 1))
    assert house.emergencies.owners_of_starter(DANA_ACS, house.within()) == [key_of(DANA)]
    assert house.emergencies.agents_untied(house.within()) == []
    house.tie("call-1", "dialled")
    assert house.emergencies.owners_of_starter(DANA_ACS, house.within()) == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_customers_call_right_after_a_short_one_is_not_taken_for_it(house: House, order: Sequence[int]) -> None:
    dial(house)
    events = began(house, "dialled", 1), over(house, "dialled", 4, 3), began(house, "customers", 18)
    house.clock.advance(after(seconds=20))
    for each in order:
        house.see(events[each])
    assert [tie.sighting.server_key for tie in tied(house)] == [key_of("dialled")]
    assert in_progress(house) == []
    assert (house.judge("dialled", DANA_ACS), house.judge("customers", DANA_ACS)) == (EMERGENCY, ORDINARY)


def test_a_leg_that_is_over_stays_so_however_many_calls_come_after_it(house: House) -> None:
    dial(house, server_call_id="first")
    house.see(began(house, "first", 1))
    house.clock.advance(after(minutes=2))
    house.see(over(house, "first", 0, 119))
    house.clock.advance(after(minutes=1))
    dial(house, "call-2")
    for other in range(14):
        house.clock.advance(after(minutes=1))
        house.see(began(house, f"other {other}", 0))
        house.clock.advance(after(seconds=30))
        house.see(over(house, f"other {other}", 0, 30))
    house.end(End(call_id="call-2", by_agent=True, agent_id=DANA))
    assert in_progress(house) == [] and house.panel(DANA).mode is Mode.NORMAL


@pytest.mark.parametrize("lasted_s", [100.0, 20.0])
@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_a_length_that_does_not_fit_unmakes_no_tie(house: House, lasted_s: float, order: Sequence[int]) -> None:
    dial(house, server_call_id="dialled")
    events = began(house, "dialled", 1), over(house, "dialled", 64, lasted_s)
    house.clock.advance(after(minutes=2))
    for each in order:
        house.see(events[each])
    [tie] = tied(house)
    assert (tie.kind, in_progress(house)) == (TieKind.EXACT, [])


def test_a_claim_that_was_seen_to_be_so_outlasts_those_that_come_after_it(house: House) -> None:
    dial(house, server_call_id="dialled")
    house.see(began(house, "dialled", 1))
    # Of more than a leg may claim the lowest keys are kept.
    lower = (name for name in map("other {}".format, count()) if key_of(name) < key_of("dialled"))
    for name in islice(lower, 3):
        house.tie("call-1", name)
    [tie] = tied(house)
    assert (tie.kind, tie.sighting.server_key) == (TieKind.EXACT, key_of("dialled"))
