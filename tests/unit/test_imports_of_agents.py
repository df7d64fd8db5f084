"""Imports of the directory: checked first, carried on by whoever is there, cut anywhere and repeated."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

import pytest

from functions.wire import directory_csv
from shared.adapters.agent_table import AgentTable
from shared.adapters.import_table import ImportTable
from shared.adapters.table import Put, Row, Write
from shared.deadlines import Budgets, Deadline
from shared.domain.agents import Agent
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.domain.imports import AgentChange, ImportState
from shared.ports import Answered
from shared.use_cases.effects import CarryOnImport
from tests.fakes.house import HandClock, House
from tests.fakes.memory_table import MemoryTable

# More than `MANY`: the directory is read in pages at first, and entry by entry at the end.
ROWS_OF_CUT = 510
SECONDS_AN_ENTRY = 0.012


def body_of(count: int, name: str = "Ana") -> bytes:
    rows = (f"agent-{number:05},{name} {number},a{number}@example.com" for number in range(count))
    return "\r\n".join(["agent_id,name,emergency_contacts", *rows]).encode()


def changes_of(body: bytes) -> list[AgentChange]:
    found = directory_csv.read(body)
    assert found.faults == ()
    return [row.change for row in found.rows]


def bytes_of(house: House) -> bytes:
    return directory_csv.written(house.calling.export_agents(deadline=house.within()))


def begin(house: House, body: bytes) -> str:
    operation_id = hashlib.sha256(body).hexdigest()[:32]
    house.calling.begin_import(operation_id, changes_of(body), deadline=house.within())
    return operation_id


def state_of(house: House, operation_id: str) -> tuple[ImportState, int, int]:
    known = house.imports.read(operation_id, house.within())
    assert known is not None
    return known.state, known.done, known.rows


def test_what_is_checked_is_what_is_done() -> None:
    house = House()
    house.add_agent(Agent(agent_id="Agent-00000", name="Ana 0", emergency_contacts=("a0@example.com",)))
    house.add_agent(Agent(agent_id="agent-00001", name="Eve", country="US"))
    house.add_agent(Agent(agent_id="stays"))
    body = body_of(50)
    before = bytes_of(house)
    outlook = house.calling.check_import(changes_of(body), deadline=house.within())
    assert (outlook.new, outlook.changed, outlook.unchanged) == (48, 1, 1)
    assert bytes_of(house) == before
    operation_id = begin(house, body)
    assert state_of(house, operation_id) == (ImportState.DONE, 50, 50)
    found = house.directory.read("agent-00001", house.within())
    assert found is not None and (found[0].name, found[0].country) == ("Ana 1", "US")
    assert [each.agent_id for each in house.directory.listed("ana 49", 50, "", house.within()).agents] == [
        "agent-00049"
    ]
    again = house.calling.check_import(changes_of(body), deadline=house.within())
    assert (again.new, again.changed, again.unchanged) == (0, 0, 50)


def test_an_export_imported_into_an_empty_directory_is_exported_as_the_same_bytes() -> None:
    house, empty = House(), House()
    begin(house, body_of(120))
    begin(empty, bytes_of(house))
    assert bytes_of(empty) == bytes_of(house)


class Cutting(MemoryTable):
    """A table whose nth commit fails: before it has been written, or after, where only the answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.cut_at = 0
        self.written = False

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self.commits += 1
        if self.commits != self.cut_at:
            return super().commit(writes, deadline)
        if self.written:
            super().commit(writes, deadline)
        raise Unavailable


def on(table: Cutting) -> House:
    house = House()
    house.directory, house.imports = AgentTable(table, house.clock), ImportTable(table)
    return house


def listed(house: House) -> list[str]:
    found, cursor = [], ""
    while True:
        page = house.directory.listed("", 50, cursor, house.within())
        found += [each.agent_id for each in page.agents]
        cursor = page.cursor or ""
        if not cursor:
            return found


@pytest.mark.parametrize("written", [False, True], ids=["not written", "written, and the answer lost"])
def test_an_import_that_was_cut_at_any_commit_and_repeated_is_the_same_directory_and_leaves_no_row(
    written: bool,
) -> None:
    body = body_of(ROWS_OF_CUT)
    uncut = Cutting()
    whole = on(uncut)
    begin(whole, body)
    assert uncut.commits > 25
    for cut_at in range(1, uncut.commits + 1):
        table = Cutting()
        table.cut_at, table.written = cut_at, written
        house = on(table)
        try:
            operation_id = begin(house, body)
        except EmergencyCallingError:
            operation_id = begin(house, body)
        for _ in range(2):
            house.sweep()
        assert table.commits >= cut_at, "it was cut"
        assert state_of(house, operation_id) == (ImportState.DONE, ROWS_OF_CUT, ROWS_OF_CUT), cut_at
        assert bytes_of(house) == bytes_of(whole), cut_at
        assert listed(house) == listed(whole), cut_at
        assert house.imports.next_chunks(operation_id, house.within()) == [], cut_at


def test_of_an_import_that_was_cut_and_never_repeated_nothing_is_left_after_a_day() -> None:
    body, uncut = body_of(200), Cutting()
    begin(on(uncut), body)
    assert len(rows_of_imports(uncut)) == 1, "how it ended"
    for cut_at in range(1, uncut.commits + 1):
        table = Cutting()
        table.cut_at = cut_at
        house = on(table)
        with suppress(EmergencyCallingError):
            begin(house, body)
        house.sweep()
        assert len(listed(house)) in (0, 200), "one of which only a part is kept is never carried on"
        house.clock.advance(timedelta(hours=25))
        house.sweep()
        assert rows_of_imports(table) == [], cut_at


def rows_of_imports(table: MemoryTable) -> list[str]:
    within = House().within()
    return [row.key for row in table.between("importing|", "importrow~", 1000, within).result()]


def test_of_an_import_that_is_over_only_counts_are_kept_and_for_a_day() -> None:
    house = House()
    operation_id = begin(house, body_of(3))
    assert "Ana" not in str(house.imports.read(operation_id, house.within()))
    house.clock.advance(timedelta(hours=25))
    house.sweep()
    assert house.imports.read(operation_id, house.within()) is None


def test_an_import_goes_over_what_somebody_wrote_meanwhile() -> None:
    house = House()
    first = begin(house, body_of(30))
    house.add_agent(Agent(agent_id="agent-00007", name="Eve", site="north"))
    assert begin(house, body_of(30)) == first
    found = house.directory.read("agent-00007", house.within())
    assert found is not None and (found[0].name, found[0].site) == ("Ana 7", "north")


@pytest.mark.parametrize("later_ids_first", [False, True])
@pytest.mark.parametrize("by_timer", [False, True])
def test_of_two_imports_the_later_one_has_the_last_word(later_ids_first: bool, by_timer: bool) -> None:
    """The one of the whole directory takes minutes; three corrected rows that follow it would be done at once."""
    house = House()
    house.performs = False
    ids = sorted(("a" * 32, "b" * 32), reverse=later_ids_first)
    for operation_id, (count, name) in zip(ids, ((ROWS_OF_CUT, "Ana"), (3, "Ben")), strict=True):
        house.calling.begin_import(operation_id, changes_of(body_of(count, name)), deadline=house.within())
        house.clock.advance(timedelta(seconds=1))
    earlier, later = ids
    if not by_timer:
        # Each begins in the process of its request. The one that waits is done by the one before it.
        assert house.calling.perform(CarryOnImport(later)) == ()
        following = house.calling.perform(CarryOnImport(earlier))
        assert state_of(house, later) == (ImportState.RUNNING, 0, 3)
        house.performs = True
        house.do(following)
    while by_timer and house.imports.running(house.clock.now(), house.within()):
        house.sweep()
    names = {each.agent_id: each.name for each in house.calling.export_agents(deadline=house.within())}
    assert [names[f"agent-{number:05}"] for number in range(4)] == ["Ben 0", "Ben 1", "Ben 2", "Ana 3"]
    assert state_of(house, earlier) == (ImportState.DONE, ROWS_OF_CUT, ROWS_OF_CUT)
    assert state_of(house, later) == (ImportState.DONE, 3, 3)


class Large(MemoryTable):
    """A directory of which a page of a thousand entries takes so long that all of them take longer than a run has."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        found = super().between(first, end, limit, deadline)
        took = min(len(found.result()) * SECONDS_AN_ENTRY, deadline.remaining_s())
        self._clock.advance(timedelta(seconds=took))
        deadline.require()
        return found


def test_an_import_into_a_directory_that_is_too_large_to_be_read_in_one_run_is_done() -> None:
    house = House()
    house.directory = AgentTable(Large(house.clock), house.clock)
    house.directory.apply(changes_of(body_of(ROWS_OF_CUT)), None, house.within())
    assert Budgets().import_s < ROWS_OF_CUT * SECONDS_AN_ENTRY
    house.performs = False
    operation_id = begin(house, body_of(ROWS_OF_CUT, "Ben"))
    for _ in range(3):
        house.sweep()
    assert state_of(house, operation_id) == (ImportState.DONE, ROWS_OF_CUT, ROWS_OF_CUT)
    found = house.directory.read("agent-00007", house.within())
    assert found is not None and found[0].name == "Ben 7"


def test_an_import_that_was_cut_is_found_among_all_that_a_synchronisation_began_in_a_day() -> None:
    house = House()
    begun = [begin(house, body_of(number)) for number in range(1, 121)]
    while house.imports.running(house.clock.now(), house.within()):
        house.sweep()
    house.performs = False
    cut = begin(house, body_of(200))
    assert house.imports.running(house.clock.now(), house.within()) == [cut]
    house.clock.advance(timedelta(hours=25))
    house.imports.running(house.clock.now(), house.within())
    assert [each for each in begun if house.imports.read(each, house.within())] == []


def test_an_import_of_which_only_a_part_is_there_is_not_carried_on() -> None:
    table = Cutting()
    house = on(table)
    house.performs, table.cut_at = False, 2
    with suppress(Unavailable):
        begin(house, body_of(3))
    assert house.imports.running(house.clock.now(), house.within()) == []
    [cut] = (each for each in rows_of_imports(table) if each.startswith("importing|"))
    known = house.imports.read(cut.partition("|")[2], house.within())
    assert known is not None and known.as_seen(house.clock.now()).state is ImportState.RUNNING
    assert known.as_seen(house.clock.now() + timedelta(minutes=11)).state is ImportState.FAILED, "send it once more"
    table.cut_at = 0
    operation_id = begin(house, body_of(3))
    assert house.imports.running(house.clock.now(), house.within()) == [operation_id]


def test_an_import_of_nobody_is_done_and_one_of_which_a_piece_cannot_be_read_has_failed() -> None:
    table = MemoryTable()
    house = House()
    house.directory, house.imports = AgentTable(table, house.clock), ImportTable(table)
    house.performs = False
    assert state_of(house, begin(house, b"agent_id,name")) == (ImportState.DONE, 0, 0)
    operation_id = begin(house, body_of(3))
    [piece] = table.between("importrow|", "importrow|~", 2, house.within()).result()
    table.commit([Put(piece.key, {"schema": 9})], house.within())
    house.calling.perform(CarryOnImport(operation_id))
    assert state_of(house, operation_id) == (ImportState.FAILED, 0, 3)


class Overtaken(MemoryTable):
    """Between a reading and a writing of the one who asks, another has done all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: dict[int, Callable[[], None]] = {}
        self._commits = 0

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self._commits += 1
        self.meanwhile.pop(self._commits, lambda: None)()
        return super().commit(writes, deadline)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_import_that_is_begun_twice_at_once_is_done_once(at: int) -> None:
    house, table, body = House(), Overtaken(), body_of(ROWS_OF_CUT, name="N" * 100)
    house.directory, house.imports = AgentTable(table, house.clock), ImportTable(table)
    house.performs = False
    table.meanwhile[at] = lambda: carried_on(house, begin(house, body))
    operation_id = begin(house, body)
    carried_on(house, operation_id)
    assert table.meanwhile == {}
    assert state_of(house, operation_id) == (ImportState.DONE, ROWS_OF_CUT, ROWS_OF_CUT)
    assert len(house.directory.look(house.within())) == ROWS_OF_CUT


def carried_on(house: House, operation_id: str) -> None:
    while any(house.calling.perform(CarryOnImport(operation_id))):
        pass
