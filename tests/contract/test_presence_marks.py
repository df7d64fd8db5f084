"""The marks of holds in a presence service outside, over the table in memory and over Table storage."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from shared.adapters.presence_marks import PresenceMarks, mark_of, marked
from shared.adapters.table import Table
from shared.deadlines import Deadline
from shared.domain.errors import Conflict
from shared.domain.leases import Rules
from shared.domain.presence import Hold, Presence, PresenceStatus, held_presence
from tests.fakes.house import HandClock
from tests.fakes.known_keys import KnownKeys

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
SOON = Deadline(HandClock(NOW), 5)
FOUND = Presence(status=PresenceStatus.BUSY, native="Busy/InAMeeting", set_by="system", since=NOW)
WANTED = held_presence(Hold(hold_id="h"), FOUND)
MARK = mark_of(WANTED, "user-1", NOW)


@pytest.fixture
def marks(partition: Table) -> PresenceMarks:
    return of_a_process(partition)


def of_a_process(table: Table, clock: HandClock | None = None) -> PresenceMarks:
    return PresenceMarks(table, KnownKeys(), clock=clock or HandClock(NOW), lasts=Rules().window)


def test_a_mark_is_read_as_it_was_kept_and_is_gone_once_it_is_removed(marks: PresenceMarks) -> None:
    assert marks.of("a", SOON) is None
    kept = marks.keep("a", MARK, SOON)
    assert kept.version and structs.replace(kept, version="") == MARK
    assert marks.of("A ", SOON) == kept, "an id is compared in its normal form"
    assert marks.of("b", SOON) is None
    marks.remove("a", kept, SOON)
    assert marks.of("a", SOON) is None
    marks.remove("a", None, SOON)


@pytest.mark.parametrize("since", [NOW.replace(tzinfo=None), NOW.replace(year=1), NOW.replace(year=9999)])
def test_a_mark_that_could_not_be_read_is_not_written(marks: PresenceMarks, since: datetime) -> None:
    kept = marks.keep("a", MARK, SOON)
    with pytest.raises(ValueError, match="a time that is kept"):
        marks.keep("a", structs.replace(kept, before_since=since), SOON)
    assert marks.of("a", SOON) == kept


def test_a_write_needs_the_version_that_was_read(marks: PresenceMarks) -> None:
    first = marks.keep("a", MARK, SOON)
    with pytest.raises(Conflict):
        marks.keep("a", MARK, SOON)
    second = marks.keep("a", structs.replace(first, confirmed=True, ways=("session",)), SOON)
    with pytest.raises(Conflict):
        marks.keep("a", first, SOON)
    with pytest.raises(Conflict):
        marks.remove("a", first, SOON)
    assert marks.of("a", SOON) == second


def test_a_mark_of_an_outage_is_kept_in_memory_until_it_is_written(marks: PresenceMarks, partition: Table) -> None:
    unrecorded = marks.keep_in_memory(MARK)
    assert marks.any_unrecorded and marks.unrecorded(MARK.user_id) == unrecorded
    assert marks.of("a", SOON) is None and not of_a_process(partition).any_unrecorded
    kept = marks.keep("a", structs.replace(unrecorded, confirmed=True), SOON)
    assert marks.unrecorded(MARK.user_id) is None
    assert of_a_process(partition).of("a", SOON) == kept
    marks.keep_in_memory(MARK)
    marks.remove("b", unrecorded, SOON)
    assert not marks.any_unrecorded


def test_a_mark_tells_whose_hold_it_is_and_what_that_found() -> None:
    shown = marked(Presence(status=PresenceStatus.DO_NOT_DISTURB, version="7"), MARK)
    assert (shown.hold_id, shown.before, shown.before_native) == ("h", PresenceStatus.BUSY, "Busy/InAMeeting")
    assert (shown.before_set_by, shown.before_since, shown.since, shown.version) == ("system", NOW, NOW, "7")
