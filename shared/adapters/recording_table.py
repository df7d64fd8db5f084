"""The recordings that are to be deleted or held back (port `RecordingOutbox`), in the emergencies' partition.

Their due rows are a range of their own: thousands of files must not keep a notice from being sent.
"""

from datetime import datetime

from msgspec import structs

from shared.adapters.broken_rows import set_aside
from shared.adapters.emergency_rows import (
    map_readable,
    moment,
    read_moment,
    read_recording,
    recording_row,
    state_values,
)
from shared.adapters.table import Delete, Insert, Put, Replace, Row, RowConflict, Table, Write, kind_of, with_prefix
from shared.deadlines import Deadline
from shared.domain.confidentiality import Recording
from shared.domain.errors import Unreadable
from shared.ports import Broken, OwedRecording


class RecordingTable:
    """Port `RecordingOutbox`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def owe(self, recording: Recording, until: datetime, deadline: Deadline) -> OwedRecording | None:
        """Keep it, due at `until`; None where it is kept already."""
        owed = OwedRecording(version="", due_at=until, attempts=0, recording=recording)
        writes: list[Write] = [Insert(recording_row(recording.recording_key), _values(owed)), *_index(owed)]
        try:
            versions = self._table.commit(writes, deadline)
        except RowConflict:
            return None
        return _versioned(owed, versions[0])

    def owed(self, now: datetime, limit: int, deadline: Deadline) -> list[OwedRecording | Broken]:
        """What is due by now, longest overdue first."""
        rows = self._table.between("deletion|", f"deletion|{moment(now)}~", limit, deadline).result()
        known = dict(map_readable(lambda row: (row.key, read_moment(row)), rows))
        strange = [Broken(row=row.key, kind=kind_of(row.key)) for row in rows if row.key not in known]
        return [*strange, *self._named_by([row for row in rows if row.key in known], deadline)]

    def set_aside(self, broken: Broken, now: datetime, deadline: Deadline) -> None:
        """Let no sweep meet it again before it can be read; `Conflict` if somebody else changed it meanwhile."""
        set_aside(self._table, broken.row, now, deadline)

    def held_for(self, agent_key: str, limit: int, deadline: Deadline) -> list[OwedRecording]:
        """What may be of this agent's emergency and is held back."""
        rows = self._table.between(*with_prefix(f"held|{agent_key}|"), limit, deadline).result()
        return [each for each in self._named_by(rows, deadline) if isinstance(each, OwedRecording)]

    def _named_by(self, index: list[Row], deadline: Deadline) -> list[OwedRecording | Broken]:
        keys = [row.key.rpartition("|")[2] for row in index]
        reads = [self._table.get(recording_row(key), deadline) for key in keys]
        found: list[OwedRecording | Broken] = []
        for naming, row in zip(index, [read.result() for read in reads], strict=True):
            try:
                found += [] if row is None else [read_recording(row)]
            except Unreadable as unreadable:
                # It keeps no other file from being deleted.
                found.append(Broken(row=naming.key, kind=unreadable.kind))
        return found

    def put_off(
        self, owed: OwedRecording, rest: Recording, until: datetime, attempts: int, deadline: Deadline
    ) -> OwedRecording:
        """The rest is due again at `until`; `Conflict` if somebody else has it."""
        again = OwedRecording(version=owed.version, due_at=until, attempts=attempts, recording=rest)
        index = _index(again)
        kept = {write.key for write in index}
        gone = [Delete(write.key) for write in _index(owed) if write.key not in kept]
        writes: list[Write] = [Replace(recording_row(rest.recording_key), _values(again), owed.version), *gone, *index]
        return _versioned(again, self._table.commit(writes, deadline)[0])

    def strike_off(self, owed: OwedRecording, deadline: Deadline) -> None:
        """Nothing is left of it; `Conflict` if somebody else has it."""
        index: list[Write] = [Delete(write.key) for write in _index(owed)]
        self._table.commit([Delete(recording_row(owed.recording.recording_key), owed.version), *index], deadline)


def _index(owed: OwedRecording) -> list[Put]:
    key = owed.recording.recording_key
    held = [f"held|{agent_key}|{key}" for agent_key in owed.recording.agent_keys]
    return [Put(row, {"schema": 1}) for row in (f"deletion|{moment(owed.due_at)}|{key}", *held)]


def _values(owed: OwedRecording) -> dict[str, str | int | bool]:
    return state_values(owed.recording, attempts=owed.attempts, due=f"deletion|{moment(owed.due_at)}")


def _versioned(owed: OwedRecording, version: str | None) -> OwedRecording:
    assert version is not None, "a row that was written has a version"
    return structs.replace(owed, version=version)
