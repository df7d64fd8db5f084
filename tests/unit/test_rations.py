"""How many notices one principal may cause, closing notices included, and what they leave to others (B6).

What is beyond a ration is owed later; whoever is told first of an emergency does not wait for a flood.
"""

from datetime import datetime

import pytest

from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.dials import Dial
from shared.domain.notifications import Notice, NoticeKind
from shared.ports import RenderedNotice
from tests.fakes.house import House, after, everybody, numbers, person

DANA_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201aa"
DANA, STRANGER, EVE, MACHINE = person(DANA_OBJECT), person("stranger"), person("eve"), everybody()
GUARD = "guard@example.com"


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(300))
    house.add_agent(
        Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=("8:acs:r_dana",), emergency_contacts=(GUARD,))
    )
    house.tick()
    return house


def dial(house: House, caller: Caller, call: object, agent_id: str = "any", object_id: str | None = None) -> str:
    call_id = f"{caller.name}/{call}"
    house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911", country="US", entra_object_id=object_id), caller)
    return call_id


def kinds(house: House) -> list[str]:
    """Of each message what it tells of: the plain template's subject is the kind of a notice."""
    return [email.subject for email in house.mail.accepted]


class Listening:
    """A template that keeps what it was given."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        self.notices.append(notice)
        return RenderedNotice(notice.kind.value, "", "")


def wait(house: House, minutes: int) -> None:
    for _ in range(minutes * 6):
        house.clock.advance(after(seconds=10))
        house.sweep()


# Whose ration it is


def test_object_ids_that_a_machine_makes_up_bring_it_no_further_ration(house: House) -> None:
    for n in range(60):
        dial(house, MACHINE, n, f"unlisted-{n}", object_id=f"made-up-{n}")
    assert len(house.mail.accepted) == 30


def test_what_a_machine_reports_under_an_agents_object_id_takes_nothing_of_the_agents_own_ration(house: House) -> None:
    for n in range(40):
        dial(house, MACHINE, n, "served", object_id="eve")
    house.mail.accepted.clear()
    for n in range(6):
        dial(house, EVE, n, "eve")
    assert len(house.mail.accepted) == 5


# Callbacks


def missed_callback(house: House, number: str, context: str) -> None:
    house.responder_calls(number, context)
    house.switchboard.hang_up(context)
    house.wait(10)


def test_a_callback_for_an_agent_outside_the_directory_is_told_as_claimed(house: House) -> None:
    number = house.dial(Dial(call_id="call", agent_id="Jane Roe", dialled="911"), EVE).callback_number
    dana = house.dial(Dial(call_id="call", agent_id="dana", dialled="911"), DANA).callback_number
    house.template = listening = Listening()
    assert number and dana
    missed_callback(house, number, "to the unlisted one")
    missed_callback(house, dana, "to the listed one")
    claimed = {notice.agent_id: notice.claimed for notice in listening.notices}
    assert claimed == {"Jane Roe": True, "dana": False}


def test_a_missed_callback_beyond_a_machines_ration_is_told_later(house: House) -> None:
    number = house.dial(Dial(call_id="call", agent_id="victim", dialled="911"), MACHINE).callback_number
    for n in range(40):
        dial(house, MACHINE, n, f"unlisted-{n}")
    assert number
    missed_callback(house, number, "the responder's")
    assert NoticeKind.CALLBACK_MISSED not in kinds(house)
    wait(house, 11)
    assert kinds(house).count(NoticeKind.CALLBACK_MISSED) == 1


def test_of_callbacks_to_a_listed_agent_five_are_told_at_once_and_the_others_in_one_later(house: House) -> None:
    number = house.dial(Dial(call_id="call", agent_id="dana", dialled="911"), DANA).callback_number
    assert number
    for n in range(12):
        missed_callback(house, number, f"call {n}")
    assert kinds(house) == [NoticeKind.CALL, *[NoticeKind.CALLBACK_MISSED] * 4]
    dial(house, DANA, "again", "dana")
    assert kinds(house).count(NoticeKind.CALL) == 1, "callbacks count in the ration of the dials"
    wait(house, 11)
    assert sorted(kinds(house)[5:]) == [NoticeKind.CALL, NoticeKind.CALLBACK_MISSED]
    wait(house, 11)
    assert len(kinds(house)) == 7
