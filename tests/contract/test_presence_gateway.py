"""Port `PresenceGateway`, over the table in memory and over Table storage."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import Table
from shared.deadlines import Deadline
from shared.domain.errors import Conflict, Unavailable
from shared.domain.presence import Hold, Presence, PresenceStatus, SetBy, held_presence
from shared.use_cases.set_presence import set_presence

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


class StillClock:
    """Port `Clock`, standing still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def gateway(partition: Table) -> PresenceTable:
    return PresenceTable(partition, StillClock())


@pytest.fixture
def soon() -> Deadline:
    return Deadline(StillClock(), 5)


def test_an_unknown_agent_is_offline(gateway: PresenceTable, soon: Deadline) -> None:
    assert gateway.read("a", soon) == Presence(status=PresenceStatus.OFFLINE)


@pytest.mark.parametrize("agent_id", ["a", "/\\#?%", "\x00\u2028", "x" * 600])
def test_a_presence_is_read_as_it_was_written(gateway: PresenceTable, soon: Deadline, agent_id: str) -> None:
    held = Presence(
        status=PresenceStatus.DO_NOT_DISTURB, set_by="emergency", hold_id="h", before=PresenceStatus.AVAILABLE
    )
    written = gateway.write(agent_id, held, soon)
    assert written == structs.replace(held, since=NOW, version=written.version)
    assert written.version
    assert gateway.read(agent_id, soon) == written


def test_a_write_needs_the_version_that_was_read(gateway: PresenceTable, soon: Deadline) -> None:
    busy = Presence(status=PresenceStatus.BUSY)
    first = gateway.write("a", busy, soon)
    with pytest.raises(Conflict):
        gateway.write("a", busy, soon)
    second = gateway.write("a", structs.replace(first, status=PresenceStatus.AWAY), soon)
    with pytest.raises(Conflict):
        gateway.write("a", structs.replace(busy, version=first.version), soon)
    assert gateway.read("a", soon) == second


def test_agents_do_not_share_a_presence(gateway: PresenceTable, soon: Deadline) -> None:
    gateway.write("a", Presence(status=PresenceStatus.BUSY), soon)
    assert gateway.read("b", soon).status is PresenceStatus.OFFLINE


def test_whoever_sets_it_last_wins(gateway: PresenceTable, soon: Deadline) -> None:
    gateway.write("a", Presence(status=PresenceStatus.DO_NOT_DISTURB, set_by="emergency", hold_id="h"), soon)
    for _ in range(2):
        written, _ = set_presence("a", PresenceStatus.AWAY, SetBy.SUPERVISOR, presence=gateway, deadline=soon)
        assert written == gateway.read("a", soon)
        assert (written.status, written.set_by, written.hold_id) == (PresenceStatus.AWAY, "supervisor", None)


def test_after_the_deadline_nobody_waits(gateway: PresenceTable) -> None:
    late = Deadline(StillClock(), 0)
    with pytest.raises(Unavailable):
        gateway.read("a", late)
    with pytest.raises(Unavailable):
        gateway.write("a", Presence(status=PresenceStatus.BUSY), late)


def test_a_hold_that_is_forgotten_ends_and_leaves_what_it_replaced(gateway: PresenceTable, soon: Deadline) -> None:
    before = gateway.write("a", Presence(status=PresenceStatus.BUSY, set_by="supervisor"), soon)
    gateway.write("a", held_presence(Hold(hold_id="h"), before), soon)
    gateway.forget("a", "another", soon)
    assert gateway.read("a", soon).hold_id == "h", "another emergency's hold is none of its business"
    gateway.forget("a", "h", soon)
    after = gateway.read("a", soon)
    assert structs.replace(after, version=None) == structs.replace(before, version=None)
    gateway.forget("a", "h", soon)
    assert gateway.read("a", soon) == after, "nothing is written where nothing is left"
    gateway.forget("never-heard-of", "h", soon)
