"""Port `AgentDirectory`, over the table in memory and over Table storage."""

import sys
from datetime import timedelta

import msgspec
import pytest

from shared.adapters.agent_table import MAX_ENTRIES_REMEMBERED, REMEMBERED_S, AgentTable
from shared.adapters.table import Put, Table
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.errors import Conflict, Unavailable
from tests.fakes.house import HandClock
from tests.fakes.memory_table import MemoryTable

OBJECT_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def directory(partition: Table, clock: HandClock) -> AgentTable:
    return AgentTable(partition, clock)


@pytest.fixture
def soon(clock: HandClock) -> Deadline:
    return Deadline(clock, 5)


def full(agent_id: str = "a") -> Agent:
    return Agent(
        agent_id=agent_id,
        name="Example Agent",
        entra_object_id=OBJECT_ID,
        acs_user_ids=("8:acs:one_two",),
        country="US",
        locale="en-US",
        address="1 Example Street",
        alternate_numbers=("+12025550123",),
        emergency_contacts=("desk@example.com",),
    )


def test_an_unknown_agent_is_none(directory: AgentTable, soon: Deadline) -> None:
    assert directory.find("a", soon).result() is None
    assert directory.read("a", soon) is None


@pytest.mark.parametrize("agent_id", ["a", "/\\#?%", "\x00\u2028", "x" * 600, "\N{PILE OF POO}" * 600, ""])
def test_an_entry_is_read_as_it_was_saved(directory: AgentTable, soon: Deadline, agent_id: str) -> None:
    version = directory.save(full(agent_id), None, soon)
    assert directory.read(agent_id, soon) == (full(agent_id), version)
    assert directory.find(agent_id, soon).result() == full(agent_id)


def test_the_longest_entry_fits(directory: AgentTable, soon: Deadline) -> None:
    contacts = tuple(f"{'x' * 60}{index:03}@{'y' * 60}.{'z' * 60}.{'w' * 50}.example.com" for index in range(100))
    longest = msgspec.structs.replace(full("\x01" * 600), emergency_contacts=contacts, address="\N{PILE OF POO}" * 500)
    version = directory.save(longest, None, soon)
    assert directory.read("\x01" * 600, soon) == (longest, version)


def test_a_save_over_a_version_needs_that_version(directory: AgentTable, soon: Deadline) -> None:
    first = directory.save(full(), None, soon)
    second = directory.save(msgspec.structs.replace(full(), name="Another"), first, soon)
    assert second != first
    with pytest.raises(Conflict):
        directory.save(full(), first, soon)
    with pytest.raises(Conflict):
        directory.save(full(), "", soon)
    assert directory.read("a", soon) == (msgspec.structs.replace(full(), name="Another"), second)
    directory.save(full(), None, soon)


def test_the_empty_version_means_a_new_entry(directory: AgentTable, soon: Deadline) -> None:
    version = directory.save(full(), "", soon)
    assert directory.read("a", soon) == (full(), version)
    with pytest.raises(Conflict):
        directory.save(full("b"), "1", soon)


def test_agents_are_found_by_their_object_id(directory: AgentTable, soon: Deadline) -> None:
    directory.save(full(), None, soon)
    assert directory.own(OBJECT_ID.upper(), soon).result() == (full(),)
    moved = msgspec.structs.replace(full(), entra_object_id=OBJECT_ID.replace("0f", "1f"))
    directory.save(moved, None, soon)
    assert directory.own(OBJECT_ID, soon).result() == ()
    assert directory.own(moved.entra_object_id or "", soon).result() == (moved,)
    directory.save(msgspec.structs.replace(full(), entra_object_id=None), None, soon)
    assert directory.own(moved.entra_object_id or "", soon).result() == ()


def test_an_entry_is_remembered_for_a_minute(partition: Table, clock: HandClock) -> None:
    ours, theirs = AgentTable(partition, clock), AgentTable(partition, clock)
    theirs.save(full(), None, Deadline(clock, 5))
    assert ours.find("a", Deadline(clock, 5)).result() == full()
    changed = msgspec.structs.replace(full(), name="Another")
    theirs.save(changed, None, Deadline(clock, 5))
    clock.advance(timedelta(seconds=REMEMBERED_S - 1))
    assert ours.find("a", Deadline(clock, 0)).result() == full()
    clock.advance(timedelta(seconds=1))
    assert ours.find("a", Deadline(clock, 5)).result() == changed


def test_what_one_saved_oneself_is_known_at_once(directory: AgentTable, soon: Deadline) -> None:
    directory.save(full(), None, soon)
    assert directory.find("a", soon).result() == full()
    changed = msgspec.structs.replace(full(), name="Another")
    directory.save(changed, None, soon)
    assert directory.find("a", soon).result() == changed


def test_that_there_is_none_is_not_remembered(partition: Table, clock: HandClock, soon: Deadline) -> None:
    ours, theirs = AgentTable(partition, clock), AgentTable(partition, clock)
    assert ours.find("a", soon).result() is None
    theirs.save(full(), None, soon)
    assert ours.find("a", soon).result() == full()


def test_what_is_remembered_is_bounded(clock: HandClock) -> None:
    directory = AgentTable(MemoryTable(), clock)
    for number in range(MAX_ENTRIES_REMEMBERED + 1):
        directory.remembered(Agent(agent_id=str(number)))
    late = Deadline(clock, 0)
    assert directory.find("1", late).result() == Agent(agent_id="1")
    with pytest.raises(Unavailable):
        directory.find("0", late).result()


def test_after_the_deadline_nobody_waits(directory: AgentTable, clock: HandClock) -> None:
    late = Deadline(clock, 0)
    with pytest.raises(Unavailable):
        directory.find("a", late).result()
    with pytest.raises(Unavailable):
        directory.read("a", late)
    with pytest.raises(Unavailable):
        directory.save(full(), None, late)


def test_rows_of_other_versions_are_understood(partition: Table, directory: AgentTable, soon: Deadline) -> None:
    directory.save(full(), None, soon)
    row = partition.get(f"entry|{full().key}", soon).result()
    assert row is not None
    newer = '{"agent_id":"a","name":"Newer","of_tomorrow":[1]}'
    partition.commit([Put(row.key, {"schema": sys.maxsize % 1000, "parts": 1, "state0": newer})], soon)
    found = directory.read("a", soon)
    assert found is not None
    assert found[0] == Agent(agent_id="a", name="Newer")


def test_a_row_that_cannot_be_read_is_unavailable(partition: Table, directory: AgentTable, soon: Deadline) -> None:
    partition.commit([Put(f"entry|{full().key}", {"schema": 1, "parts": 1, "state0": "{"})], soon)
    with pytest.raises(Unavailable):
        directory.find("a", soon).result()
