"""One partition of a table in memory: the same contract as Table storage, for tests and the simulator."""

import threading
from bisect import bisect_left, insort
from collections.abc import Sequence

from shared.adapters.table import (
    KEY,
    Delete,
    Insert,
    Miss,
    Put,
    Replace,
    Row,
    RowConflict,
    Values,
    Write,
    require_key,
    require_writes,
)
from shared.adapters.told_rows import ToldRows
from shared.deadlines import Deadline
from shared.ports import Answered, Telemetry


class MemoryTable:
    """Port `Table`. Everything that it takes and gives is a copy. `changes` counts the rows that were written."""

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self._told = ToldRows(telemetry)
        self._unnamed: set[str] = set()
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._keys: list[str] = []
        self._versions = 0
        self.changes = 0

    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        """One row."""
        require_key(key)
        deadline.require()
        with self._lock:
            row = self._rows.get(key)
        return Answered(_copied(row) if row is not None else None)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        """At most `limit` rows with `first <= key < end`, in the order of their keys."""
        if limit < 1:
            raise ValueError("the limit must be at least 1")
        deadline.require()
        with self._lock:
            start, stop = bisect_left(self._keys, first), bisect_left(self._keys, end)
            keys = self._keys[start : min(stop, start + limit + len(self._unnamed))]
            rows = [self._rows[key] for key in keys]
            if self._unnamed:
                rows = self._told.named(rows)[:limit]
        return Answered([_copied(row) for row in rows])

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        """Apply all writes or none (`RowConflict`); gives the new version of each row, None for a removed one."""
        require_writes(writes)
        deadline.require()
        with self._lock:
            for index, write in enumerate(writes):
                self._require(index, write)
            return [self._apply(write) for write in writes]

    def plant(self, key: str, values: Values) -> None:
        """A row of another tool's, whose key may be one that no request here can name."""
        with self._lock:
            self._unnamed |= set() if KEY.fullmatch(key) else {key}
            self._apply(Put(key, values))

    def first_key(self, prefix: str) -> str | None:
        """The first key that begins so: for whoever only asks whether anything is there, and often."""
        with self._lock:
            at = bisect_left(self._keys, prefix)
            return self._keys[at] if at < len(self._keys) and self._keys[at].startswith(prefix) else None

    def keys(self) -> list[str]:
        """Every key that there is, in order: for tests that must see everything."""
        with self._lock:
            return list(self._keys)

    def _require(self, index: int, write: Write) -> None:
        row = self._rows.get(write.key)
        match write:
            case Insert() if row is not None:
                raise RowConflict(index, Miss.EXISTS)
            case Replace() | Delete() if row is None:
                raise RowConflict(index, Miss.MISSING)
            case Replace(version=version) | Delete(version=version) if version is not None:
                if row is not None and row.version != version:
                    raise RowConflict(index, Miss.CHANGED)

    def _apply(self, write: Write) -> str | None:
        self.changes += 1
        if isinstance(write, Delete):
            del self._rows[write.key]
            del self._keys[bisect_left(self._keys, write.key)]
            return None
        if write.key not in self._rows:
            insort(self._keys, write.key)
        self._versions += 1
        row = Row(write.key, _stored(write), str(self._versions))
        self._rows[write.key] = row
        return row.version


def _stored(write: Insert | Put | Replace) -> Values:
    return dict(write.values)


def _copied(row: Row) -> Row:
    return Row(row.key, dict(row.values), row.version)
