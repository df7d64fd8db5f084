"""The recordings that are to be deleted or held back (port `RecordingOutbox`), in the emergencies' partition.

Their due rows are a range of their own: thousands of files must not keep a notice from being sent.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import structs

from shared.adapters.emergency_rows import moment, moment_in, state_values
from shared.adapters.table import Delete, Insert, Put, Replace, Row, RowConflict, Table, Write, with_prefix
from shared.deadlines import Deadline
from shared.domain.confidentiality import Recording
from shared.domain.errors import Unavailable
from shared.ports import OwedRecording


class RecordingTable:
    """Port `RecordingOutbox`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def owe(self, recording: Recording, until: datetime, deadline: Deadline) -> OwedRecording | None:
        """Keep it, due at `until`; None where it is kept already."""
        owed = OwedRecording(version="", due_at=until, attempts=0, recording=recording)
        writes: list[Write] = [Insert(_row(recording), _values(owed)), *_index(owed)]
        try:
            versions = self._table.commit(writes, deadline)
        except RowConflict:
            return None
        return _versioned(owed, versions[0])

    def owed(self, now: datetime, limit: int, deadline: Deadline) -> list[OwedRecording]:
        """What is due by now, longest overdue first."""
        rows = self._table.between("deletion|", f"deletion|{moment(now)}~", limit, deadline).result()
        return self._named_by(rows, deadline)

    def held_for(self, agent_key: str, limit: int, deadline: Deadline) -> list[OwedRecording]:
        """What may be of this agent's emergency and is held back."""
        rows = self._table.between(*with_prefix(f"held|{agent_key}|"), limit, deadline).result()
        return self._named_by(rows, deadline)

    def _named_by(self, index: list[Row], deadline: Deadline) -> list[OwedRecording]:
        keys = [row.key.rsplit("|", 1)[1] for row in index]
        reads = [self._table.get(f"recording|{key}", deadline) for key in keys]
        rows = [row for row in (read.result() for read in reads) if row is not None]
        return list(_readable(rows))

    def put_off(
        self, owed: OwedRecording, rest: Recording, until: datetime, attempts: int, deadline: Deadline
    ) -> OwedRecording:
        """The rest is due again at `until`; `Conflict` if somebody else has it."""
        again = OwedRecording(version=owed.version, due_at=until, attempts=attempts, recording=rest)
        index = _index(again)
        kept = {write.key for write in index}
        gone = [Delete(write.key) for write in _index(owed) if write.key not in kept]
        writes: list[Write] = [Replace(_row(rest), _values(again), owed.version), *gone, *index]
        return _versioned(again, self._table.commit(writes, deadline)[0])

    def strike_off(self, owed: OwedRecording, deadline: Deadline) -> None:
        """Nothing is left of it; `Conflict` if somebody else has it."""
        index: list[Write] = [Delete(write.key) for write in _index(owed)]
        self._table.commit([Delete(_row(owed.recording), owed.version), *index], deadline)


def _row(recording: Recording) -> str:
    return f"recording|{recording.recording_key}"


def _index(owed: OwedRecording) -> list[Put]:
    key = owed.recording.recording_key
    held = [f"held|{agent_key}|{key}" for agent_key in owed.recording.agent_keys]
    return [Put(row, {"schema": 1}) for row in (f"deletion|{moment(owed.due_at)}|{key}", *held)]


def _values(owed: OwedRecording) -> dict[str, str | int | bool]:
    return state_values(owed.recording, attempts=owed.attempts, due=f"deletion|{moment(owed.due_at)}")


def _versioned(owed: OwedRecording, version: str | None) -> OwedRecording:
    assert version is not None, "a row that was written has a version"
    return structs.replace(owed, version=version)


def _readable(rows: Iterable[Row]) -> Iterable[OwedRecording]:
    for row in rows:
        # One row that only another version of this code can read must not keep the others from being deleted.
        with suppress(Unavailable):
            yield _read(row)


def _read(row: Row) -> OwedRecording:
    try:
        recording = msgspec.json.decode(str(row.values["state"]), type=Recording)
        due_at = moment_in(str(row.values["due"]))
    except (msgspec.MsgspecError, KeyError, ValueError, IndexError):
        raise Unavailable("A stored row cannot be read.") from None
    attempts = int(row.values.get("attempts", 0))
    return OwedRecording(version=row.version, due_at=due_at, attempts=attempts, recording=recording)
