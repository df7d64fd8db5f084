"""What a commit finds of its own doing is not taken for somebody else's (B1, B4, B6)."""

from collections.abc import Sequence

import pytest

from shared.adapters.agent_table import AgentTable
from shared.adapters.presence_table import PresenceTable
from shared.adapters.signed_table import SignedTable
from shared.adapters.table import Delete, Insert, Miss, Put, Replace, RowConflict, Write
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.presence import PresenceStatus
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, after, numbers
from tests.fakes.memory_table import MemoryTable

ANA = "8:acs:resource_ana"
MAX_COMMITS = 2000


class RepeatingTable(MemoryTable):
    """Behind an intermediary that repeats writes: all of them, or as many as are said. The last answer comes back."""

    repeats = 0
    commits = 0

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self.commits += 1
        # On a clock that stands still, whoever takes every refusal for another's would try for ever.
        assert self.commits < MAX_COMMITS, "it goes round and round"
        versions = super().commit(writes, deadline)
        if self.repeats:
            self.repeats -= 1
            return super().commit(writes, deadline)
        return versions


def repeating_house(repeats: int) -> tuple[House, RepeatingTable]:
    """An agent and a pool behind such an intermediary; and the emergencies' table."""
    tables = [RepeatingTable() for _ in range(3)]
    for table in tables:
        table.repeats = repeats
    house = House(pool=numbers(3), table=SignedTable(tables[0]))
    house.directory = AgentTable(SignedTable(tables[1]), house.clock)
    house.presence = PresenceTable(SignedTable(tables[2]), house.clock, house.keys)
    house.tick()
    house.add_agent(Agent(agent_id="ana", acs_user_ids=(ANA,), emergency_contacts=("c@example.com",), country="US"))
    house.show("ana", PresenceStatus.AVAILABLE)
    return house, tables[0]


def dial(house: House) -> str | None:
    return house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US")).callback_number


def test_where_every_write_is_repeated_everything_happens_at_once_all_the_same() -> None:
    house, _ = repeating_house(1_000_000)
    answer = house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US"))
    assert (answer.known, answer.shared, answer.degraded, answer.notified) == (False, False, False, 1)
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    assert house.mail.received() == ["c@example.com"]
    assert house.telemetry.count("notice_sent") == 1
    house.end(End(call_id="ana/1", by_agent=False, agent_id="ana"))
    house.responder_calls(answer.callback_number)
    assert house.switchboard.ringing() == [ANA]
    house.wait(60)
    for _ in range(40):
        house.clock.advance(after(minutes=10))
        house.sweep()
        house.tick()
    assert house.emergency("ana") is None and len([row for row in house.rows() if row.startswith("free|")]) == 3


def test_a_recording_is_deleted_at_once_where_every_write_is_repeated() -> None:
    house, _ = repeating_house(1_000_000)
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US", server_call_id="s"))
    house.see(ServerCall(server_call_id="s", starter=ANA, at=house.clock.now(), ended=False))
    house.recorded(
        RecordedFiles(recording_id="r", call_id="c", server_call_id="s", locations=("l",), began_at=house.clock.now())
    )
    assert house.tapes.files == set()


def test_a_notice_that_is_taken_up_is_sent_where_every_write_is_repeated() -> None:
    house, _ = repeating_house(1_000_000)
    house.performs = False
    dial(house)
    house.performs = True
    house.clock.advance(after(seconds=70))
    house.sweep()
    assert "c@example.com" in house.mail.received()


@pytest.mark.parametrize("lost", range(1, 8))
def test_one_connection_lost_after_a_commit_costs_no_effect(lost: int) -> None:
    house, emergencies = repeating_house(0)
    emergencies.repeats = lost
    dial(house)
    assert house.status("ana") is PresenceStatus.DO_NOT_DISTURB
    assert "c@example.com" in house.mail.received()


class TestConflicts:
    """Another's doing is still told as such."""

    def test_another_who_was_faster_is_told(self) -> None:
        table = SignedTable(MemoryTable())
        within = House().within()
        [version] = table.commit([Insert("a", {"by": 1})], within)
        with pytest.raises(RowConflict) as told:
            table.commit([Insert("a", {"by": 2}), Put("b", {})], within)
        assert (told.value.index, told.value.miss) == (0, Miss.EXISTS)
        assert table.get("b", within).result() is None
        table.commit([Replace("a", {"by": 3}, version)], within)
        with pytest.raises(RowConflict):
            table.commit([Replace("a", {"by": 4}, version)], within)
        with pytest.raises(RowConflict):
            table.commit([Delete("a", version)], within)

    def test_the_version_of_a_row_that_changed_since_writes_over_nothing(self) -> None:
        memory = MemoryTable()
        within = House().within()

        class Overtaken(RepeatingTable):
            def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
                memory.commit(writes, deadline)
                memory.commit([Put("b", {"by": "another"})], deadline)
                return memory.commit(writes, deadline)

            get = memory.get

        versions = SignedTable(Overtaken()).commit([Insert("a", {}), Insert("b", {})], within)
        assert versions[0] is not None and versions[1] is not None
        with pytest.raises(RowConflict):
            memory.commit([Replace("b", {}, versions[1])], within)
