"""Whoever reads hundreds of rows leaves dials a place in the line for storage: so many at once, and then the next."""

from collections.abc import Callable
from datetime import timedelta

from shared.adapters.agent_table import AgentTable
from shared.adapters.table import Row
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.imports import AgentChange
from shared.domain.panels import Mode
from shared.ports import READ_AT_ONCE, Answered
from tests.fakes.house import HandClock, House, numbers, person
from tests.fakes.memory_table import MemoryTable

# Besides those of the crowd: its own, and the ranges that are read beside them.
FEW = 4
MANY_STRANGERS, MANY_HELD, MANY_ENTRIES = 60, 120, 400


class UnderWay:
    """Port `Pending`: one of the answers that somebody has asked for and not taken yet."""

    def __init__(self, table: "Counting", answer: Answered[Row | None]) -> None:
        self._table, self._answer = table, answer

    def result(self) -> Row | None:
        self._table.under_way -= 1
        return self._answer.result()


class Counting(MemoryTable):
    """Knows how many rows were ever under way at once."""

    under_way = most = 0

    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        return UnderWay(self, super().get(key, deadline))  # type: ignore[return-value]

    def most_during(self, act: Callable[[], object]) -> int:
        self.under_way = self.most = 0
        act()
        return self.most


def test_an_import_reads_the_entries_of_a_piece_some_at_a_time() -> None:
    table = Counting()
    directory = AgentTable(table, HandClock())
    changes = [AgentChange(agent_id=f"agent-{number}", fields={"name": "Ana"}) for number in range(MANY_ENTRIES)]
    house = House()
    assert table.most_during(lambda: directory.apply(changes, None, house.within())) <= READ_AT_ONCE
    found = directory.read("agent-7", house.within())
    assert found is not None and found[0].name == "Ana"


def test_a_sweep_after_a_long_pause_looks_at_what_is_overdue_some_at_a_time() -> None:
    table = Counting()
    house = House(table=table, pool=numbers(MANY_HELD))
    house.tick()
    for number in range(MANY_HELD):
        house.add_agent(Agent(agent_id=f"agent-{number}"))
        house.dial(Dial(call_id=f"call-{number}", agent_id=f"agent-{number}", dialled="911"))
    house.clock.advance(timedelta(minutes=5))
    assert table.most_during(lambda: house.emergencies.owed(house.clock.now(), 50, house.within())) <= READ_AT_ONCE
    assert len(house.emergencies.owed(house.clock.now(), 50, house.within()).presences) == MANY_HELD


def test_an_id_that_many_strangers_claim_is_shown_by_reading_some_of_them_at_a_time() -> None:
    table = Counting()
    house = House(table=table)
    house.tick()
    for number in range(MANY_STRANGERS):
        house.dial(Dial(call_id=f"call-{number}", agent_id="eve", dialled="911"), person(f"stranger-{number}"))
    assert table.most_during(lambda: house.panel("eve")) <= READ_AT_ONCE + FEW
    assert house.panel("eve").mode is Mode.EMERGENCY


def test_the_board_of_a_crisis_asks_for_some_names_at_a_time() -> None:
    house = House(pool=numbers(MANY_HELD))
    house.tick()
    names = Counting()
    house.directory = AgentTable(names, house.clock)
    for number in range(MANY_HELD):
        house.add_agent(Agent(agent_id=f"agent-{number}", name="Ana"))
        house.dial(Dial(call_id=f"call-{number}", agent_id=f"agent-{number}", dialled="911"))
    # A process that has read nobody yet.
    house.directory = AgentTable(names, house.clock)
    assert names.most_during(house.administration.show_board) <= READ_AT_ONCE
    assert [each.name for each in house.administration.show_board().emergencies] == ["Ana"] * MANY_HELD
