"""Rows of emergencies as the version before wrote them are read, carried on and removed (a new version is rolled out).

`stored/schema_1.json` is what that version kept of four calls: Ana's, whom a responder reached and who hung up on them;
Ben's under the same call id, of which a stranger told an end as well; Eve's, who is not in the directory; and one that
ended before anybody said that it began.
"""

import json
from collections.abc import Iterable
from itertools import batched
from pathlib import Path

import pytest

from shared.adapters.emergency_rows import index_rows, read_stored
from shared.adapters.table import MAX_ROWS_A_COMMIT, Put
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.ids import agent_key_of, key_of
from shared.domain.keys import KeyRing
from shared.use_cases.answer_dial import Answer
from shared.use_cases.end_call import End
from tests.fakes.house import House, after, key_unlisted, numbers, person
from tests.fakes.memory_table import MemoryTable

ROWS = json.loads((Path(__file__).parent / "stored" / "schema_1.json").read_text("utf-8"))
OWN = [key for key in ROWS if key.startswith("agent|")]
# Since the version before, the rank stands in their keys.
BY_RANK = ("server|", "starter|", "untied|")
CALLS = {"ana": "1", "ben": "1", "eve": "eve/1"}
INVITATION = "e352ed31-29b0-5bbd-bdd4-218e96080f9a"
EARLY_END = "late/1"
STRANGER = "0f0e0d0c-0b0a-4908-8706-0504030201ff"


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(8), table=MemoryTable())
    for agent_id in ("ana", "ben"):
        house.directory.save(Agent(agent_id=agent_id, acs_user_ids=(f"8:acs:r_{agent_id}",)), None, house.within())
    for some in batched(ROWS.items(), MAX_ROWS_A_COMMIT, strict=False):
        house.table.commit([Put(key, values) for key, values in some], house.within())
    return house


def dial(house: House, agent_id: str, call_id: str) -> Answer:
    return house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911", country="US"))


def kept(house: House, kind: str) -> list[str]:
    return [key for key in house.rows() if key.startswith(f"{kind}|")]


@pytest.mark.parametrize("key", OWN)
def test_the_same_rows_tell_of_the_emergency_as_when_it_was_written(house: House, key: str) -> None:
    stored = read_stored(house.table.get(key, house.within()).result())
    assert stored.emergency is not None
    rows = index_rows(stored.emergency, house.deployment.rules, house.clock.now(), KeyRing())
    assert unranked(sorted(rows)) == unranked(stored.index)


def unranked(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if not key.startswith(BY_RANK)]


def test_what_events_find_it_by_is_found_and_written_anew(house: House) -> None:
    found = {agent_id: house.emergencies.owners_of_starter(f"8:acs:r_{agent_id}", house.within()) for agent_id in CALLS}
    untied = {agent_key_of(agent_id) for agent_id, keys in found.items() if keys}
    assert untied == set(house.emergencies.agents_untied(house.within())) != set()
    for agent_id in CALLS:
        dial(house, agent_id, f"{agent_id}/2")
    ranks = [key.split("|")[-2] for key in house.rows() if key.startswith(BY_RANK)]
    assert set(ranks) == {"0"}, "nothing is left of the old form"


def test_its_calls_are_known_and_go_on(house: House) -> None:
    for agent_id, call_id in CALLS.items():
        assert dial(house, agent_id, call_id).known, agent_id
    calls = kept(house, "call")
    for agent_id, call_id in [*CALLS.items(), ("ana", INVITATION)]:
        ended = house.end(End(call_id=call_id, agent_id=agent_id, by_agent=True))
        assert ended.known, (agent_id, call_id)
    assert kept(house, "call") == calls, "each is recorded where it was"
    for agent_id in CALLS:
        emergency = house.emergency(agent_id)
        assert emergency is not None and emergency.lease is not None
        assert all(leg.reported_end is not None for leg in emergency.legs)
        assert dial(house, agent_id, f"{agent_id}/2").callback_number == emergency.lease.number


def test_an_end_that_it_kept_is_that_of_the_call_which_begins_late(house: House) -> None:
    dial(house, "ana", EARLY_END)
    emergency = house.emergency("ana")
    assert emergency is not None and emergency.legs[-1].reported_end is not None
    dial(house, "ben", EARLY_END)
    emergency = house.emergency("ben")
    assert emergency is not None and emergency.legs[-1].reported_end is None, "whose id is another's by now"


def test_an_end_beside_anothers_call_is_told_again_where_it_was(house: House) -> None:
    calls = kept(house, "call")
    assert not house.end(End(call_id="1", by_agent=True), person(STRANGER)).known
    assert kept(house, "call") == calls and len([key for key in calls if key.startswith(f"call|{key_of('1')}")]) == 3


def test_no_key_of_a_row_is_kept_in_an_emergency_that_is_written_again(house: House) -> None:
    for agent_id in CALLS:
        dial(house, agent_id, f"{agent_id}/2")
    for key in OWN:
        row = house.table.get(key, house.within()).result()
        assert row is not None and row.values["schema"] == 2
        assert not [kind for kind in ("call|", "outside|", "unknown|") if kind in str(row.values["state"])]


def test_its_places_stay_taken(house: House) -> None:
    [outside], unknown = kept(house, "outside"), kept(house, "unknown")
    number = dial(house, "eve", "eve/2").callback_number
    assert kept(house, "outside") == [outside]
    assert dial(house, "fay", "fay/1").callback_number == number, "the fifth of eight numbers is one, which she shares"
    assert outside in kept(house, "outside") and len(kept(house, "outside")) == 2
    assert kept(house, "unknown") == unknown


def test_nothing_of_it_is_left_after_the_long_end(house: House) -> None:
    house.clock.advance(after(hours=8))
    for _ in range(3):
        house.tick()
        house.sweep()
        house.clock.advance(after(hours=2))
    assert {key.partition("|")[0] for key in house.rows()} == {"free", "number", "pool"}
    assert len(kept(house, "free")) == len(house.deployment.callback_numbers)


def test_the_names_here_are_those_of_the_rows() -> None:
    keys = {agent_key_of("ana"), agent_key_of("ben"), key_unlisted("eve")}
    assert {key.partition("|")[2] for key in OWN} == keys
