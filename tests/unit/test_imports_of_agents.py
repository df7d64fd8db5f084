"""Imports of the directory: checked first, carried on by whoever is there, cut anywhere and repeated."""

import hashlib
from datetime import timedelta

import pytest

from functions.wire import directory_csv
from shared.adapters.agent_table import AgentTable
from shared.adapters.import_table import ImportTable
from shared.domain.agents import Agent
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.domain.imports import AgentChange, ImportState
from tests.fakes.house import House, TableLine
from tests.fakes.memory_table import MemoryTable


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


class Cutting:
    """Hears of every request to a table, and cuts one of its commits off."""

    def __init__(self, cut_at: int) -> None:
        self.left = cut_at

    def __call__(self, request: str) -> None:
        self.left -= request == "commit"
        if self.left == 0:
            self.left = -1
            raise Unavailable


@pytest.mark.parametrize("cut_at", range(1, 40, 3))
def test_an_import_that_was_cut_anywhere_is_carried_on_by_the_sweep_and_leaves_no_row(cut_at: int) -> None:
    house, whole = House(), House()
    body = body_of(200)
    begin(whole, body)
    line = TableLine(MemoryTable())
    house.directory, house.imports = AgentTable(line, house.clock), ImportTable(line)
    line.asked = Cutting(cut_at)
    try:
        operation_id = begin(house, body)
    except EmergencyCallingError:
        operation_id = begin(house, body)
    for _ in range(2):
        house.sweep()
    assert state_of(house, operation_id) == (ImportState.DONE, 200, 200)
    assert bytes_of(house) == bytes_of(whole)
    assert house.imports.next_chunks(operation_id, house.within()) == []


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
