"""What operators are alerted by: how long something is owed, and how late a responder's call came to the app."""

from datetime import timedelta

import pytest

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.ports import Email
from shared.use_cases.route_callback import Incoming
from tests.fakes.house import House
from tests.fakes.switchboard import PSAP

DANA = "agent-dana"


@pytest.fixture
def house() -> House:
    house = House()
    house.add_agent(Agent(agent_id=DANA, country="US", emergency_contacts=("supervisor@example.com",)))
    house.tick()
    return house


def facts_of(house: House, event: str) -> list[dict[str, str | int | float | bool]]:
    return [facts for name, facts in house.telemetry.events if name == event]


def test_a_sweep_tells_that_nothing_is_owed(house: House) -> None:
    house.sweep()
    assert facts_of(house, "outbox") == [{"owed": 0, "oldest_s": 0}]


def test_the_timer_of_what_is_owed_tells_that_it_ran_whatever_failed(house: House) -> None:
    house.calling.take_up_outbox()
    # A process that serves looks too, and is no timer.
    house.calling.take_up_owed()
    house.line.away = True
    with pytest.raises(Unavailable):
        house.calling.take_up_outbox()
    assert facts_of(house, "outbox_sweep") == [{"done": True}, {"done": False}]


def test_a_notice_that_fails_again_and_again_is_told_since_the_dial(house: House) -> None:
    def refuse(_: Email) -> None:
        raise Unavailable

    house.mail.fail = refuse
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    for _ in range(2):
        house.clock.advance(timedelta(minutes=2))
        house.sweep()
    oldest = [facts["oldest_s"] for facts in facts_of(house, "outbox")]
    assert oldest == [120, 240]


def test_what_else_is_owed_is_told_since_it_was_due(house: House) -> None:
    house.performs = False
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    house.clock.advance(timedelta(minutes=1))
    house.sweep()
    (facts,) = facts_of(house, "outbox")
    assert facts["owed"] == 2
    assert facts["oldest_s"] == 60


@pytest.mark.parametrize(("since", "late_ms"), [(timedelta(seconds=3.5), 3500), (timedelta(seconds=-1), 0)])
def test_an_answered_callback_tells_for_how_long_it_has_rung(house: House, since: timedelta, late_ms: int) -> None:
    number = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911")).callback_number
    came_at = house.clock.now() - since
    house.switchboard.incoming("c", PSAP)
    house.calling.answer_callback(Incoming(to_number=number, context="c", origin="c", came_at=came_at))
    (facts,) = facts_of(house, "callback_answered")
    assert facts["late_ms"] == late_ms


def test_without_a_time_in_the_event_nothing_is_told_of_it(house: House) -> None:
    number = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911")).callback_number
    house.switchboard.incoming("c", PSAP)
    house.calling.answer_callback(Incoming(to_number=number, context="c", origin="c"))
    (facts,) = facts_of(house, "callback_answered")
    assert "late_ms" not in facts
