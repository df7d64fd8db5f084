"""Port `RecordingOutbox`, over the table in memory and over Table storage."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from shared.adapters.recording_table import RecordingTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import Table
from shared.deadlines import Deadline
from shared.domain.confidentiality import MAX_LOCATION_CHARS, Recording
from shared.domain.errors import Conflict, Unavailable
from shared.ports import Broken, OwedRecording

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
SOON = NOW + timedelta(minutes=1)
HELD = Recording(
    recording_key="r1",
    call_keys=("c1", "c2"),
    locations=("https://us-storage.asm.skype.com/v1/objects/1", "https://us-storage.asm.skype.com/v1/objects/2"),
    give_up_at=NOW + timedelta(days=1),
    began_at=NOW,
    suspected=True,
    agent_keys=("a1", "a2"),
)


@pytest.fixture
def outbox(partition: Table) -> RecordingTable:
    return RecordingTable(partition)


def within(seconds: float = 10) -> Deadline:
    return Deadline(SystemClock(), seconds)


def keys(table: Table) -> list[str]:
    return [row.key for row in table.between("!", "~", 100, within()).result()]


def recordings(owed: Sequence[OwedRecording | Broken]) -> list[Recording]:
    return [each.recording for each in owed if isinstance(each, OwedRecording)]


def test_what_is_owed_comes_up_when_it_is_due(outbox: RecordingTable) -> None:
    owed = outbox.owe(HELD, SOON, within())
    assert owed is not None and (owed.recording, owed.due_at, owed.attempts) == (HELD, SOON, 0)
    assert outbox.owed(NOW, 10, within()) == []
    assert outbox.owed(SOON, 10, within()) == [owed]


def test_the_same_recording_is_owed_once(outbox: RecordingTable) -> None:
    outbox.owe(HELD, SOON, within())
    assert outbox.owe(structs.replace(HELD, certain=True), NOW, within()) is None
    assert recordings(outbox.owed(SOON, 10, within())) == [HELD]


def test_it_is_found_by_each_agent_whose_it_may_be(outbox: RecordingTable) -> None:
    owed = outbox.owe(HELD, SOON, within())
    assert outbox.held_for("a1", 10, within()) == outbox.held_for("a2", 10, within()) == [owed]
    assert outbox.held_for("a", 10, within()) == []


def test_putting_off_moves_it_and_strips_what_is_not_needed_any_more(outbox: RecordingTable, partition: Table) -> None:
    owed = outbox.owe(HELD, SOON, within())
    assert owed is not None
    certain = structs.replace(HELD, certain=True, agent_keys=(), call_keys=(), locations=HELD.locations[1:])
    later = SOON + timedelta(minutes=5)
    moved = outbox.put_off(owed, certain, later, 3, within())
    assert outbox.owed(SOON, 10, within()) == []
    assert outbox.owed(later, 10, within()) == [moved] and moved.attempts == 3
    assert outbox.held_for("a1", 10, within()) == []
    assert len(keys(partition)) == 2
    again = outbox.put_off(moved, certain, later, 4, within())
    assert again.due_at == later, "also to the very same moment"


def test_only_one_can_have_it(outbox: RecordingTable) -> None:
    owed = outbox.owe(HELD, SOON, within())
    assert owed is not None
    outbox.put_off(owed, HELD, SOON + timedelta(minutes=1), 1, within())
    with pytest.raises(Conflict):
        outbox.put_off(owed, HELD, SOON, 1, within())
    with pytest.raises(Conflict):
        outbox.strike_off(owed, within())


def test_nothing_is_left_of_what_was_struck_off(outbox: RecordingTable, partition: Table) -> None:
    owed = outbox.owe(HELD, SOON, within())
    assert owed is not None
    outbox.strike_off(owed, within())
    assert keys(partition) == []


def test_the_longest_overdue_comes_first_and_no_more_than_asked_for(outbox: RecordingTable) -> None:
    for number in (3, 1, 2):
        due = NOW + timedelta(minutes=number)
        outbox.owe(structs.replace(HELD, recording_key=f"r{number}"), due, within())
    found = outbox.owed(NOW + timedelta(hours=1), 2, within())
    assert [each.recording_key for each in recordings(found)] == ["r1", "r2"]


def test_as_many_locations_as_a_part_holds_fit_a_row(outbox: RecordingTable) -> None:
    locations = tuple(f"https://us-storage.asm.skype.com/v1/objects/{n:050}" for n in range(240))
    assert sum(map(len, locations)) <= MAX_LOCATION_CHARS
    outbox.owe(structs.replace(HELD, locations=locations), SOON, within())
    assert recordings(outbox.owed(SOON, 1, within()))[0].locations == locations


def test_after_the_deadline_nobody_waits(outbox: RecordingTable) -> None:
    with pytest.raises(Unavailable):
        outbox.owe(HELD, SOON, within(0))
