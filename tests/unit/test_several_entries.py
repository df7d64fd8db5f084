"""An agent whom several entries have by one object id (contract, *Who is who*), on the core in memory.

An import that gives agents new ids leaves the old entries where they are; in the middle of an emergency as well.
"""

from collections.abc import Callable
from functools import partial

import pytest

from functions.wire import directory_csv
from shared.adapters.agent_table import MAX_ENTRIES_WITH_ONE_OBJECT_ID, AgentTable
from shared.adapters.emergency_table import anybody_unlisted
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.dials import Dial
from shared.domain.errors import NotAllowed
from shared.domain.panels import Mode
from shared.domain.presence import PresenceStatus
from shared.domain.readiness import CheckState
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import CarryOnImport
from shared.use_cases.end_call import End
from tests.fakes.house import House, TableLine, after, everybody, numbers, office, person

OBJECT_ID = "0f0e0d0c-0b0a-4908-8706-0504030201aa"
ANA, MACHINE = person(OBJECT_ID), everybody()
STRANGER = person("0f0e0d0c-0b0a-4908-8706-0504030201ee")
OLD = Agent(agent_id="ana", name="Ana Example", entra_object_id=OBJECT_ID, country="US")
NEW = Agent(agent_id="anna", name="Anna Example", entra_object_id=OBJECT_ID.upper(), country="US")
IDS = (OLD.agent_id, NEW.agent_id)


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(8))
    house.add_agent(OLD)
    house.tick()
    for agent_id in IDS:
        house.show(agent_id, PresenceStatus.AVAILABLE)
    return house


def elsewhere(house: House) -> None:
    """From now on another process serves, which has read nothing yet."""
    house.directory = AgentTable(house.directory_table, house.clock, partial(anybody_unlisted, house.line))


def dial(
    house: House, agent_id: str, call_id: str = "call-1", caller: Caller = ANA, acs_user_id: str | None = None
) -> Answer:
    called = Dial(call_id=call_id, agent_id=agent_id, dialled="911", country="US", acs_user_id=acs_user_id)
    return house.dial(called, caller)


def mode(house: House, agent_id: str, caller: Caller = ANA) -> Mode:
    return house.calling.show_panel(agent_id, caller=caller, deadline=house.within())[0].mode


def presence(house: House, agent_id: str, caller: Caller = ANA) -> PresenceStatus:
    whose = house.calling.whose_presence(agent_id, caller=caller, deadline=house.within())
    return house.calling.show_presence(whose.presence_id, agent_key=whose.key, deadline=house.within()).status


def end(house: House, call_id: str = "call-1", caller: Caller = ANA, agent_id: str | None = None) -> bool:
    return house.end(End(call_id=call_id, by_agent=True, agent_id=agent_id), caller).known


def enter_anew(house: House) -> None:
    house.add_agent(NEW)


def remove(house: House) -> None:
    house.calling.remove_agent(OLD.agent_id, None, deadline=house.within())


type Steps = tuple[Callable[[House], None], ...]
RE_KEYED: dict[str, Steps] = {
    "entered, the old one stays": (enter_anew,),
    "entered, then the old one removed": (enter_anew, remove),
    "removed, then entered": (remove, enter_anew),
}


@pytest.mark.parametrize("agent_id", IDS)
def test_the_id_that_a_dial_was_answered_with_is_theirs_on_every_route(house: House, agent_id: str) -> None:
    house.add_agent(NEW)
    answer = dial(house, agent_id)
    assert (answer.agent_id, answer.ignored) == (agent_id, ())
    elsewhere(house)
    assert mode(house, agent_id) is Mode.EMERGENCY
    assert presence(house, agent_id) is PresenceStatus.DO_NOT_DISTURB
    house.calling.require_own(agent_id, caller=ANA, deadline=house.within())
    house.tie("call-1", "server-1", ANA)
    assert end(house)
    house.calling.release_presence(agent_id, caller=ANA)
    assert presence(house, agent_id) is house.status(agent_id) is PresenceStatus.AVAILABLE


def test_an_entry_beyond_those_that_are_read_is_theirs_too(house: House) -> None:
    last = [f"ana-{number:02}" for number in range(MAX_ENTRIES_WITH_ONE_OBJECT_ID + 5)]
    for agent_id in last:
        house.add_agent(Agent(agent_id=agent_id, entra_object_id=OBJECT_ID))
    for number, agent_id in enumerate(last):
        assert dial(house, agent_id, f"call-{number}").agent_id == agent_id
        assert mode(house, agent_id) is Mode.EMERGENCY
        house.calling.require_own(agent_id, caller=ANA, deadline=house.within())
        assert end(house, f"call-{number}")


def test_an_entry_of_this_minute_is_theirs_in_a_process_that_remembers_the_other_one(house: House) -> None:
    here = house.directory
    assert mode(house, OLD.agent_id) is Mode.NORMAL
    elsewhere(house)
    house.add_agent(NEW)
    assert dial(house, NEW.agent_id).agent_id == NEW.agent_id
    house.directory = here
    assert mode(house, NEW.agent_id) is Mode.EMERGENCY
    assert presence(house, NEW.agent_id) is PresenceStatus.DO_NOT_DISTURB
    house.calling.require_own(NEW.agent_id, caller=ANA, deadline=house.within())
    house.tie("call-1", "server-1", ANA)
    assert end(house)


def test_whose_identity_it_is_by_the_other_entry_may_be_rung(house: House) -> None:
    identity = "8:acs:resource_ana"
    house.add_agent(Agent(agent_id="ana", entra_object_id=OBJECT_ID, acs_user_ids=(identity,)))
    house.add_agent(NEW)
    answer = dial(house, NEW.agent_id, acs_user_id=identity)
    assert answer.ignored == () and house.call_back(answer.callback_number) == identity
    stolen = dial(house, "somebody", "call-2", STRANGER, acs_user_id=identity)
    assert stolen.ignored == ("acs_user_id",)


# Entered under another id in the middle of their emergency


@pytest.mark.parametrize("steps", RE_KEYED.values(), ids=RE_KEYED)
def test_who_is_entered_anew_in_the_middle_of_their_emergency_goes_on_with_it(house: House, steps: Steps) -> None:
    first = dial(house, OLD.agent_id)
    for step in steps:
        step(house)
        assert mode(house, OLD.agent_id) is Mode.EMERGENCY, "the old id goes on"
    elsewhere(house)
    again = dial(house, NEW.agent_id, "call-2")
    assert (again.callback_number, again.agent_id, again.ignored) == (first.callback_number, NEW.agent_id, ())
    assert dial(house, OLD.agent_id).known and dial(house, NEW.agent_id).known, "one emergency"
    for agent_id in IDS:
        assert mode(house, agent_id) is mode(house, agent_id, office()) is Mode.EMERGENCY
        assert presence(house, agent_id) is PresenceStatus.DO_NOT_DISTURB
    house.calling.require_own(again.agent_id, caller=ANA, deadline=house.within())
    house.tie("call-1", "server-1", ANA)
    assert end(house) and end(house, "call-2")
    assert [mode(house, agent_id) for agent_id in IDS] == [Mode.NORMAL] * 2
    assert [house.status(agent_id) for agent_id in IDS] == [PresenceStatus.AVAILABLE] * 2


@pytest.mark.parametrize("steps", RE_KEYED.values(), ids=RE_KEYED)
def test_what_a_machine_reports_of_one_who_was_entered_anew_is_of_the_same_emergency(
    house: House, steps: Steps
) -> None:
    first = dial(house, OLD.agent_id, caller=MACHINE)
    for step in steps:
        step(house)
    elsewhere(house)
    assert dial(house, NEW.agent_id, "call-2", MACHINE).callback_number == first.callback_number
    assert mode(house, NEW.agent_id, MACHINE) is Mode.EMERGENCY
    assert end(house, "call-1", MACHINE, NEW.agent_id) and end(house, "call-2", MACHINE, NEW.agent_id)
    assert mode(house, OLD.agent_id, office()) is Mode.NORMAL


@pytest.mark.parametrize("steps", RE_KEYED.values(), ids=RE_KEYED)
def test_when_the_lease_is_over_only_the_entries_that_there_are_are_theirs(house: House, steps: Steps) -> None:
    dial(house, OLD.agent_id)
    for step in steps:
        step(house)
    assert end(house)
    house.clock.advance(after(minutes=200))
    house.tick()
    assert house.emergency(OLD.agent_id) is None and mode(house, NEW.agent_id) is Mode.NORMAL
    if remove not in steps:
        assert mode(house, OLD.agent_id) is Mode.NORMAL
        return
    with pytest.raises(NotAllowed):
        mode(house, OLD.agent_id)


def test_of_two_entries_of_long_ago_the_one_that_is_removed_in_mid_call_leaves_its_emergency_to_the_other(
    house: House,
) -> None:
    house.add_agent(NEW)
    house.clock.advance(after(minutes=60 * 24 * 5))
    first = dial(house, OLD.agent_id)
    remove(house)
    elsewhere(house)
    assert dial(house, NEW.agent_id, "call-2").callback_number == first.callback_number
    assert mode(house, NEW.agent_id) is Mode.EMERGENCY


def test_an_import_that_enters_an_agent_anew_in_mid_call_leaves_them_their_emergency(house: House) -> None:
    first = dial(house, OLD.agent_id)
    file = directory_csv.read(f"agent_id,entra_object_id\nanna,{OBJECT_ID}\nother,\n".encode())
    house.calling.begin_import("0" * 32, [row.change for row in file.rows], deadline=house.within())
    house.do([CarryOnImport("0" * 32)])
    elsewhere(house)
    assert dial(house, NEW.agent_id, "call-2").callback_number == first.callback_number


def test_who_has_one_entry_costs_what_they_did(house: House) -> None:
    house.add_agent(Agent(agent_id="ben", entra_object_id=STRANGER.name))
    line = TableLine(house.directory_table)
    house.directory = AgentTable(line, house.clock)
    asked: list[str] = []
    line.asked = house.line.asked = asked.append
    mode(house, "ben", STRANGER)
    assert len(asked) == 3, "the index, the entry and the emergency"
    asked.clear()
    mode(house, "ben", STRANGER)
    assert len(asked) == 1
    dial(house, "ben", caller=STRANGER)
    asked.clear()
    mode(house, "ben", STRANGER)
    assert len(asked) == 1
    asked.clear()
    house.performs = False
    assert end(house, caller=STRANGER)
    assert len(asked) == 3, "whose the call is, the emergency, and the end"


# A stranger


@pytest.mark.parametrize("entries", [0, 1, 2])
@pytest.mark.parametrize("steps", RE_KEYED.values(), ids=RE_KEYED)
def test_no_stranger_reaches_whoever_was_entered_anew(house: House, steps: Steps, entries: int) -> None:
    for number in range(entries):
        house.add_agent(Agent(agent_id=f"stranger-{number}", entra_object_id=STRANGER.name))
    first = dial(house, OLD.agent_id)
    for step in steps:
        step(house)
    for agent_id in (*IDS, OBJECT_ID):
        with pytest.raises(NotAllowed):
            mode(house, agent_id, STRANGER)
        with pytest.raises(NotAllowed):
            presence(house, agent_id, STRANGER)
        with pytest.raises(NotAllowed):
            house.calling.release_presence(agent_id, caller=STRANGER)
        with pytest.raises(NotAllowed):
            house.calling.require_own(agent_id, caller=STRANGER, deadline=house.within())
    with pytest.raises(NotAllowed):
        house.tie("call-1", "server-1", STRANGER)
    assert not end(house, caller=STRANGER)
    for number, agent_id in enumerate(IDS):
        assert dial(house, agent_id, f"stolen-{number}", STRANGER).callback_number != first.callback_number
    assert mode(house, OLD.agent_id) is Mode.EMERGENCY


def test_an_id_that_was_given_to_somebody_else_is_not_theirs_any_more(house: House) -> None:
    dial(house, OLD.agent_id)
    remove(house)
    house.add_agent(Agent(agent_id=OLD.agent_id, entra_object_id=STRANGER.name))
    dial(house, OLD.agent_id, "call-2", STRANGER)
    with pytest.raises(NotAllowed):
        mode(house, OLD.agent_id)
    assert not end(house, "call-2")


# An administrator is told


def test_the_dry_run_says_which_rows_give_an_agent_a_second_entry(house: House) -> None:
    lines = ["agent_id,entra_object_id", f"ana,{OBJECT_ID}", f"anna,{OBJECT_ID.upper()}", "ben,"]
    lines += [f"eve,{STRANGER.name}", f"eva,{STRANGER.name}"]
    file = directory_csv.read("\n".join(lines).encode())
    outlook = house.calling.check_import([row.change for row in file.rows], deadline=house.within())
    answer = directory_csv.checked_answer("", file, outlook)
    told = [(each.line, each.column, str(each.reason)) for each in answer.doubts]
    assert told == [
        (2, "entra_object_id", "is that of the entry anna too"),
        (3, "entra_object_id", "is that of the entry ana too"),
        (5, "entra_object_id", "is that of the entry eva too"),
        (6, "entra_object_id", "is that of the entry eve too"),
    ]
    assert (answer.doubts_total, answer.faults, answer.new, answer.unchanged) == (4, (), 4, 1)


def test_an_import_that_takes_the_object_id_from_the_old_entry_gives_nobody_a_second_one(house: House) -> None:
    file = directory_csv.read(f"agent_id,entra_object_id\nana,\nanna,{OBJECT_ID}\n".encode())
    outlook = house.calling.check_import([row.change for row in file.rows], deadline=house.within())
    assert directory_csv.checked_answer("", file, outlook).doubts == ()


def test_readiness_says_that_another_entry_has_the_same_object_id(house: House) -> None:
    def doubts(agent_id: str) -> list[CheckState]:
        checks = house.administration.show_agent_readiness(agent_id).checks
        return [each.state for each in checks if each.id == "object_id"]

    assert doubts(OLD.agent_id) == []
    house.add_agent(NEW)
    assert doubts(OLD.agent_id) == doubts(NEW.agent_id) == [CheckState.WARNING]
    remove(house)
    assert doubts(NEW.agent_id) == []
