"""Who the caller is, as the directory knows them."""

import json

import msgspec
import pytest

from functions.rights import caller_of
from functions.wire.http import me_answer
from shared.domain.agents import Agent
from shared.domain.principals import AGENT, SUPERVISOR, Principal
from tests.fakes.house import House

OBJECT_ID = "0F0E0D0C-0b0a-4908-8706-050403020100"
DANA = Agent(agent_id="agent-dana", name="Dana Example", entra_object_id=OBJECT_ID.lower(), locale="it")


@pytest.fixture
def house() -> House:
    house = House()
    house.add_agent(DANA)
    return house


@pytest.mark.parametrize(
    ("object_id", "agent_id", "found"),
    [
        (OBJECT_ID, None, DANA),
        (OBJECT_ID.lower(), None, DANA),
        (OBJECT_ID.replace("0F", "1F"), None, None),
        (None, None, None),
        # The sign-in of the local host knows the agent itself.
        (None, "agent-dana", DANA),
        (OBJECT_ID, "agent-eve", None),
    ],
)
def test_the_callers_entry_is_the_one_of_their_object_id(
    house: House, object_id: str | None, agent_id: str | None, found: Agent | None
) -> None:
    me = Principal(roles=frozenset({AGENT}), object_id=object_id, agent_id=agent_id)
    assert house.calling.find_me(caller_of(me), deadline=house.within()) == found


def test_of_several_entries_it_is_always_the_same(house: House) -> None:
    house.add_agent(Agent(agent_id="agent-ana", entra_object_id=OBJECT_ID.lower()))
    me = Principal(roles=frozenset({AGENT}), object_id=OBJECT_ID)
    found = house.calling.find_me(caller_of(me), deadline=house.within())
    assert found is not None and found.agent_id == "agent-ana"


def test_the_answer_is_the_contracts() -> None:
    me = Principal(roles=frozenset({SUPERVISOR, AGENT, "Another.Role"}), object_id=OBJECT_ID)
    assert json.loads(msgspec.json.encode(me_answer(me, DANA))) == {
        "agent_id": "agent-dana",
        "name": "Dana Example",
        "roles": [AGENT, SUPERVISOR],
        "locale": "it",
    }
    nobody = json.loads(msgspec.json.encode(me_answer(me, None)))
    assert (nobody["agent_id"], nobody["name"], nobody["locale"]) == (None, None, None)
