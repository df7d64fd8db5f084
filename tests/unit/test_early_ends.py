"""An end that is kept for a late start, and its due row, while the timer comes to forget it (B7)."""

import itertools
from collections.abc import Callable

import pytest

from shared.adapters.table import Put
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.dials import Dial
from shared.domain.emergencies import Emergency, Leg
from shared.domain.ids import key_of
from shared.domain.presence import PresenceStatus
from shared.use_cases.end_call import End, Ended
from tests.fakes.house import House, Overtaken, after, everybody, only_agent, person


class OvertakenRow(Overtaken):
    """Something happens right after the rows that are to be removed were read."""

    kind = "bare"


def legs_of(house: House, agent_id: str) -> int:
    emergency: Emergency | None = house.emergency(agent_id)
    return len(emergency.legs) if emergency is not None else 0


def early_end(table: Overtaken) -> House:
    house = House(table=table)
    house.tick()
    house.end(End(call_id="ana/1", by_agent=True, agent_id="ana"))
    return house


def dial(house: House) -> None:
    dialled_at = house.clock.now() - after(minutes=59)
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US", dialled_at=dialled_at))


def test_a_start_that_comes_while_the_timer_forgets_its_end_keeps_its_call() -> None:
    table = OvertakenRow()
    house = early_end(table)
    house.clock.advance(house.deployment.rules.window)
    table.meanwhile = lambda: dial(house)
    house.tick()
    assert legs_of(house, "ana") == 1
    assert house.end(End(call_id="ana/1", by_agent=True, agent_id="ana")).known


def test_a_due_row_that_outlived_its_end_removes_no_call_that_has_started() -> None:
    table = OvertakenRow()
    house = early_end(table)
    due = [key for key in house.rows() if key.startswith("bare|") and "|call|" in key]
    [row] = [table.get(key, house.within()).result() for key in due]
    assert row is not None
    dial_at = house.clock.now()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US", dialled_at=dial_at))
    # A version before could leave one behind.
    table.commit([Put(row.key, row.values)], house.within())
    house.clock.advance(house.deployment.rules.window)
    house.tick()
    assert house.end(End(call_id="ana/1", by_agent=True, agent_id="ana")).known
    assert row.key not in house.rows()


def test_an_end_whose_start_never_came_is_forgotten() -> None:
    table = OvertakenRow()
    house = early_end(table)
    house.clock.advance(house.deployment.rules.window + after(seconds=1))
    house.tick()
    assert not [key for key in house.rows() if key_of("ana/1") in key]


# Of an answered callback ----------------------------------------------------------------------------------------------


class OvertakenCalls(Overtaken):
    """Something happens right after what is recorded under a call id was read."""

    kind = "call"


MACHINE = everybody()
OWN, OTHERS = only_agent("ana"), only_agent("ben")
IDENTITY = "8:acs:00000000-0000-0000-0000-000000000001_ana"


class AnsweredCallback:
    """Ana has picked a callback up, and nobody was told of it yet; her own call had dropped before."""

    def __init__(self, table: Overtaken | None = None, object_id: str | None = None) -> None:
        self.house = House(table=table or OvertakenCalls())
        ana = Agent(agent_id="ana", acs_user_ids=(IDENTITY,), country="US", entra_object_id=object_id)
        self.house.add_agent(ana)
        self.house.show("ana", PresenceStatus.AVAILABLE)
        self.house.tick()
        number = self.house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911")).callback_number
        self.house.end(End(call_id="ana/1", by_agent=False, agent_id="ana"))
        self.callback_id = self.house.responder_calls(number)
        self.house.wait(3)
        self.house.switchboard.pick_up(IDENTITY)
        callback = self.house.callback(self.callback_id)
        assert callback is not None
        self.call_id = callback.invitations[0].invitation_id

    def end(self, caller: Caller, *, by_agent: bool = True) -> Ended:
        return self.house.end(End(call_id=self.call_id, by_agent=by_agent), caller=caller)

    def over(self) -> None:
        """The responder hangs up, and every event comes."""
        self.house.switchboard.hang_up()
        self.house.deliver()
        self.house.wait(10)

    @property
    def leg(self) -> Leg:
        emergency = self.house.emergency("ana")
        assert emergency is not None
        [leg] = [leg for leg in emergency.legs if leg.callback is not None]
        return leg

    @property
    def given_back(self) -> bool:
        return self.house.status("ana") is PresenceStatus.AVAILABLE


# The leg of an answer that became known when its call was over holds nothing: an end that is told after both changes no
# hold from before.
ORDERS = [each for each in itertools.permutations(("end", "joined", "over")) if each != ("over", "joined", "end")]


@pytest.mark.parametrize("order", ORDERS)
def test_the_agents_end_of_a_callback_counts_in_whatever_order_it_and_the_calls_events_come(
    order: tuple[str, ...],
) -> None:
    answered = AnsweredCallback()
    house = answered.house
    house.switchboard.hang_up()
    joined, *_, over = house.switchboard.events
    house.switchboard.events = []
    happens: dict[str, Callable[[], object]] = {
        "end": lambda: answered.end(OWN),
        "joined": lambda: house.hear(*joined),
        "over": lambda: house.hear(*over),
    }
    for each in order:
        happens[each]()
    house.wait(10)
    assert answered.leg.reported_end is not None and answered.leg.reported_end.by_agent
    assert answered.given_back


@pytest.mark.parametrize("by_agent", [True, False])
def test_a_drop_of_a_callback_that_is_told_before_its_answer_holds_presence_and_the_agents_end_does_not(
    by_agent: bool,
) -> None:
    answered = AnsweredCallback()
    assert not answered.end(OWN, by_agent=by_agent).known
    answered.over()
    assert answered.leg.reported_end is not None and answered.leg.reported_end.by_agent is by_agent
    assert answered.given_back is by_agent


@pytest.mark.parametrize("caller", [MACHINE, person("11111111-2222-3333-4444-555555555555")])
def test_the_end_of_a_callback_before_its_answer_counts_from_whoever_may_speak_for_the_agent(caller: Caller) -> None:
    answered = AnsweredCallback(object_id="11111111-2222-3333-4444-555555555555")
    answered.end(caller)
    answered.over()
    assert answered.given_back


def test_an_end_of_a_callback_that_somebody_else_told_before_its_answer_counts_for_nothing() -> None:
    answered = AnsweredCallback()
    answered.end(OTHERS)
    answered.house.deliver()
    assert answered.leg.reported_end is None and answered.leg.apart
    assert answered.end(OWN).known
    answered.over()
    assert answered.given_back


def test_an_end_that_comes_while_the_answer_of_its_callback_is_written_down_is_not_lost() -> None:
    table = OvertakenCalls()
    answered = AnsweredCallback(table)
    table.meanwhile = lambda: answered.end(OWN)
    answered.over()
    assert answered.leg.reported_end is not None and answered.given_back


def test_an_answer_of_a_callback_that_comes_while_its_end_is_being_kept_is_ended_by_it() -> None:
    table = OvertakenCalls()
    answered = AnsweredCallback(table)
    table.meanwhile = answered.house.deliver
    assert answered.end(OWN).known
    answered.over()
    assert answered.leg.reported_end is not None and answered.given_back


def test_the_kept_end_of_a_callback_is_its_legs_own_row_from_its_answer_on() -> None:
    answered = AnsweredCallback()
    answered.end(OWN)
    answered.over()
    of_the_call = [key for key in answered.house.rows() if key_of(answered.call_id) in key]
    assert of_the_call == [f"call|{key_of(answered.call_id)}"]
