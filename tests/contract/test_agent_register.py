"""Port `AgentRegister`: removing, listing and searching, over the table in memory and over Table storage."""

import msgspec
import pytest

from shared.adapters.agent_table import AgentTable
from shared.adapters.table import Put, Row, Table, with_prefix
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.errors import Conflict, Malformed, NotFound, Unreadable
from shared.domain.ids import agent_key_of
from shared.domain.imports import AgentChange
from tests.fakes.house import Counter, HandClock, TableLine
from tests.fakes.memory_table import MemoryTable

OBJECT_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


@pytest.fixture
def soon() -> Deadline:
    return Deadline(HandClock(), 5)


@pytest.fixture
def register(partition: Table) -> AgentTable:
    return AgentTable(partition, HandClock())


def ids(register: AgentTable, starts_with: str, soon: Deadline, limit: int = 50) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = register.listed(starts_with, limit, cursor, soon)
        assert len(page.agents) <= limit
        found += [each.agent_id for each in page.agents]
        cursor = page.cursor
    return found


def rows(partition: Table, soon: Deadline) -> list[Row]:
    return partition.between("!", "~", 1000, soon).result()


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_agents_are_found_by_id_name_or_word_of_a_name(register: AgentTable, soon: Deadline, limit: int) -> None:
    names = {
        "z-1": "Ana Núñez",
        "z-2": "Björn Ana Öst",
        "ana-3": None,
        "z-4": "Anna-Marie O'Neil",
        "z-5": "Ån",
        "z-6": "Bob",
    }
    for agent_id, name in names.items():
        register.save(Agent(agent_id=agent_id, name=name), None, soon)
    assert ids(register, "", soon, limit) == ["z-5", "z-1", "ana-3", "z-4", "z-2", "z-6"]
    assert ids(register, "AN", soon, limit) == ["z-5", "z-1", "ana-3", "z-4", "z-2"]
    assert ids(register, "ana", soon, limit) == ["z-1", "ana-3", "z-2"]
    assert ids(register, "nunez", soon, limit) == ["z-1"]
    assert ids(register, " ana  o", soon, limit) == ["z-2"]
    assert ids(register, "marie o'n", soon, limit) == ["z-4"]
    assert ids(register, "z-", soon, limit) == ["z-5", "z-1", "z-4", "z-2", "z-6"]
    assert ids(register, "na", soon, limit) == []


def test_a_list_shows_the_entry_as_it_is(register: AgentTable, soon: Deadline) -> None:
    entry = Agent(agent_id="a", name="Dana", country="US", site="north", emergency_contacts=("a@example.com",) * 3)
    register.save(entry, None, soon)
    register.save(msgspec.structs.replace(entry, name="Eve", country="CA"), None, soon)
    [listed] = register.listed("", 50, "", soon).agents
    assert (listed.agent_id, listed.name, listed.country, listed.site, listed.contacts) == (
        "a",
        "Eve",
        "CA",
        "north",
        3,
    )
    assert ids(register, "dana", soon) == []


def test_the_longest_names_and_strangest_ids_are_found(register: AgentTable, soon: Deadline) -> None:
    for agent_id in ("/\\#?%", "\N{PILE OF POO}" * 600, "x" * 600, "\u0130"):
        register.save(Agent(agent_id=agent_id, name=f"{agent_id[:2]} {'word ' * 30}"), None, soon)
        assert agent_id in ids(register, agent_id, soon)
    assert len(ids(register, "word word", soon, 2)) == 4
    assert ids(register, "x" * 599 + "y", soon) == []


@pytest.mark.parametrize("cursor", ["z", "~/", "\u00e9", "list|"])
def test_a_cursor_that_no_page_gave_is_refused(register: AgentTable, soon: Deadline, cursor: str) -> None:
    with pytest.raises(Malformed):
        register.listed("a", 5, cursor, soon)


def test_a_page_costs_the_same_however_many_there_are(soon: Deadline) -> None:
    line = TableLine(MemoryTable())
    register = AgentTable(line, HandClock())
    costs: list[int] = []
    for count in (10, 2000):
        for number in range(count):
            register.save(Agent(agent_id=f"agent-{number:05}", name=f"Ana Example {number}"), None, soon)
        for starts_with in ("", "agent-0000", "ana", "a"):
            asked: list[str] = []
            line.asked = asked.append
            register.listed(starts_with, 50, "", soon)
            costs.append(len(asked))
    assert costs == [1] * 8
    assert len(ids(register, "a", soon)) == 2000 == len(set(ids(register, "a", soon)))
    assert ids(register, "", soon) == sorted(ids(register, "", soon), key=lambda each: f"ana example {int(each[6:])}")


def damage(partition: Table, key: str, soon: Deadline) -> str:
    """The row's state is cut off; gives its version."""
    version = partition.commit([Put(key, {"schema": 1, "parts": 1, "state0": "{", "state": "{"})], soon)[0]
    assert version is not None
    return version


def test_an_entry_that_cannot_be_read_is_written_over(partition: Table, soon: Deadline) -> None:
    log = Counter()
    register = AgentTable(partition, HandClock(), telemetry=log)
    register.save(Agent(agent_id="a", name="Dana"), None, soon)
    damage(partition, f"entry|{agent_key_of('a')}", soon)
    for _ in range(2):
        with pytest.raises(Unreadable):
            register.find("a", soon).result()
    register.save(Agent(agent_id="a", name="Eve"), None, soon)
    assert register.find("a", soon).result() == Agent(agent_id="a", name="Eve")
    assert log.events == [("row_set_aside", {"kind": "entry"})], "once for each process"


def test_an_entry_that_cannot_be_read_is_not_written_over_as_if_it_had_been(
    partition: Table, register: AgentTable, soon: Deadline
) -> None:
    version = register.save(Agent(agent_id="a"), None, soon)
    damage(partition, f"entry|{agent_key_of('a')}", soon)
    for seen in ("", version):
        with pytest.raises(Conflict):
            register.save(Agent(agent_id="a"), seen, soon)
    with pytest.raises(Conflict):
        register.remove("a", version, soon)
    with pytest.raises(Unreadable):
        register.read("a", soon)


def test_an_entry_that_cannot_be_read_is_removed(partition: Table, register: AgentTable, soon: Deadline) -> None:
    register.save(Agent(agent_id="a", name="Dana", acs_user_ids=("8:acs:one_two",)), None, soon)
    damage(partition, f"entry|{agent_key_of('a')}", soon)
    register.remove("a", None, soon)
    assert register.find("a", soon).result() is None and register.leaving(soon) == ["a"]
    register.save(Agent(agent_id="a", name="Dana", acs_user_ids=("8:acs:one_two",)), None, soon)
    register.remove("a", None, soon)
    assert [row.key.partition("|")[0] for row in rows(partition, soon)] == ["leaving"]


@pytest.mark.parametrize("overtaken", [False, True])
def test_an_import_writes_over_an_entry_that_cannot_be_read(
    partition: Table, register: AgentTable, soon: Deadline, overtaken: bool
) -> None:
    entries = register.look(soon) if overtaken else None
    damage(partition, f"entry|{agent_key_of('a')}", soon)
    changes = [AgentChange(agent_id=each, fields={"name": "Eve"}) for each in "ab"]
    assert register.apply(changes, entries, soon) == 2
    assert [each.name for each in register.all_after("", 9, soon)] == ["Eve", "Eve"]


def test_nothing_is_left_of_an_entry_that_was_removed_but_that_they_are_leaving(
    partition: Table, register: AgentTable, soon: Deadline
) -> None:
    entry = Agent(agent_id="a", name="Dana Example", entra_object_id=OBJECT_ID, acs_user_ids=("8:acs:one_two",))
    version = register.save(entry, None, soon)
    assert register.find("a", soon).result() == entry
    with pytest.raises(Conflict):
        register.remove("a", "other", soon)
    register.remove("A", version, soon)
    assert register.find("a", soon).result() is None
    assert register.own(OBJECT_ID, soon).result() == ()
    assert [row.key.partition("|")[0] for row in rows(partition, soon)] == ["gone", "leaving"]
    assert register.leaving(soon) == ["A"]
    assert register.left("a", soon).result() == register.own_left(OBJECT_ID.upper(), soon).result() == "A"
    register.forget_left("a", soon)
    register.forget_left("a", soon)
    assert register.left("a", soon).result() is None
    assert rows(partition, soon) == []
    with pytest.raises(NotFound):
        register.remove("a", None, soon)


def test_entries_of_the_version_before_are_found_after_a_pass(
    partition: Table, register: AgentTable, soon: Deadline
) -> None:
    for number in range(450):
        agent = Agent(agent_id=f"agent-{number}", name="Ana", acs_user_ids=("8:acs:one_two",))
        state = msgspec.json.encode(agent).decode()
        partition.commit([Put(f"entry|{agent.key}", {"schema": 1, "parts": 1, "state0": state})], soon)
    partition.commit([Put("entry|broken", {"schema": 1})], soon)
    register.save(Agent(agent_id="new", name="Ana"), None, soon)
    assert len(ids(register, "ana", soon)) == 1
    runs = [register.reindex(soon) for _ in range(5)]
    assert sum(runs) == 451 and runs[-2:] == [0, 0]
    assert len(ids(register, "ana", soon)) == len(ids(register, "", soon)) == 451
    assert partition.get("entry|broken", soon).result() is not None


def test_a_pass_that_is_over_asks_for_nothing_any_more(soon: Deadline) -> None:
    line = TableLine(MemoryTable())
    register = AgentTable(line, HandClock())
    assert [register.reindex(soon) for _ in range(2)] == [0, 0]
    requests: list[str] = []
    line.asked = requests.append
    assert (register.reindex(soon), requests) == (0, [])


def test_all_entries_are_read_in_one_order(partition: Table, register: AgentTable, soon: Deadline) -> None:
    for number in range(5):
        register.save(Agent(agent_id=f"agent-{number}"), None, soon)
    partition.commit([Put("entry|broken", {"schema": 1})], soon)
    first = register.all_after("", 2, soon)
    rest = register.all_after(first[-1].key, 50, soon)
    assert sorted(each.agent_id for each in (*first, *rest)) == [f"agent-{number}" for number in range(5)]
    assert with_prefix("entry|")[0] == "entry|"
