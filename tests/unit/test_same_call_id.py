"""Two agents of one machine have the same call id: whose an end or a tie is (contract, HTTP)."""

import pytest

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergencies import TieKind, standing, ties
from shared.domain.errors import Malformed, NotFound
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, after, numbers

NAMES = ("ana", "ben")


@pytest.fixture
def house() -> House:
    house = House()
    for name in NAMES:
        house.add_agent(Agent(agent_id=name, acs_user_ids=(f"8:acs:r_{name}",)))
    house.tick()
    for name in NAMES:
        house.dial(Dial(call_id="1", agent_id=name, dialled="911", country="US"))
    house.clock.advance(after(seconds=5))
    return house


def in_progress(house: House) -> list[str]:
    emergencies = {name: house.emergency(name) for name in NAMES}
    rules, now = house.deployment.rules, house.clock.now()
    return [name for name, each in emergencies.items() if each and standing(each, rules, now).in_progress]


def see(house: House, server_call_id: str, name: str) -> None:
    at = house.clock.now()
    house.see(ServerCall(server_call_id=server_call_id, starter=f"8:acs:r_{name}", at=at, ended=False))


def tie_of(house: House, name: str) -> list[TieKind]:
    emergency = house.emergency(name)
    assert emergency is not None
    return [tie.kind for tie in ties(emergency).values()]


def test_a_tie_names_the_agent_as_an_end_does(house: House) -> None:
    for name in NAMES:
        house.tie("1", f"server call of {name}", agent_id=name)
    for name in NAMES:
        house.see(
            ServerCall(
                server_call_id=f"server call of {name}", starter=f"8:acs:r_{name}", at=house.clock.now(), ended=False
            )
        )
        assert tie_of(house, name) == [TieKind.EXACT]
    with pytest.raises(NotFound):
        house.tie("1", "server call", agent_id="cho")


def test_an_end_or_a_tie_without_a_name_is_refused_while_both_legs_are_in_progress(house: House) -> None:
    with pytest.raises(Malformed):
        house.end(End(call_id="1", by_agent=True))
    with pytest.raises(Malformed):
        house.tie("1", "server call")
    assert in_progress(house) == ["ana", "ben"]


def test_a_repeat_about_a_call_that_is_over_ends_and_ties_nobody_elses(house: House) -> None:
    house.end(End(call_id="1", by_agent=True, agent_id="ana"))
    with pytest.raises(Malformed):
        house.end(End(call_id="1", by_agent=True))
    with pytest.raises(Malformed):
        house.tie("1", "server call")
    assert in_progress(house) == ["ben"]


def test_a_repeat_when_the_lease_is_over_names_no_number_that_may_be_anothers() -> None:
    house = House(pool=numbers(1))
    house.tick()
    first = house.dial(Dial(call_id="call-1", agent_id="ana", dialled="911"))
    house.end(End(call_id="call-1", by_agent=True, agent_id="ana"))
    house.clock.advance(after(minutes=62))
    house.tick()
    other = house.dial(Dial(call_id="call-2", agent_id="ben", dialled="911"))
    assert other.callback_number == first.callback_number is not None
    repeat = house.dial(Dial(call_id="call-1", agent_id="ana", dialled="911"))
    assert repeat.known
    assert (repeat.callback_number, repeat.expires_at) == (None, None) == (repeat.panel.callback_number, None)
