"""Whether a transaction that was refused has met with its own footprint.

A connection may break after a transaction was carried out, and an intermediary may repeat any write: the repeat finds
the rows that the first one wrote, and is refused as if somebody else had been faster. Whoever takes that for somebody
else's doing begins nothing of what follows. So every row carries the signature of the commit that wrote it.
"""

import itertools
import uuid
from collections.abc import Callable, Sequence

from shared.adapters.table import Delete, Insert, Put, Replace, Row, RowConflict, Table, Write
from shared.deadlines import Deadline
from shared.ports import Pending

SIGNATURE = "commit"
# In the service's form, and no version of anything: whoever writes over it is told that the row has changed.
_CHANGED_SINCE = "W/\"datetime'1970-01-01T00%3A00%3A00.0000000Z'\""


# Of this process, and of one commit in it: asking the system for chance lets go of the interpreter each time.
_PROCESS, _commits = uuid.uuid4().hex, itertools.count()


def _new_signature() -> str:
    return f"{_PROCESS}{next(_commits):x}"


class SignedTable:
    """Port `Table` over another one: a refusal is another's doing, never the commit's own."""

    def __init__(self, table: Table, sign: Callable[[], str] = _new_signature) -> None:
        self._table = table
        self._sign = sign

    def get(self, key: str, deadline: Deadline) -> Pending[Row | None]:
        """One row."""
        return self._table.get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Pending[list[Row]]:
        """At most `limit` rows with `first <= key < end`, in the order of their keys."""
        return self._table.between(first, end, limit, deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        """Apply all writes or none (`RowConflict`); gives the new version of each row, None for a removed one."""
        signature = self._sign()
        signed = [_signed(write, signature) for write in writes]
        try:
            return self._table.commit(signed, deadline)
        except RowConflict as conflict:
            if not _may_be_its_own(writes, conflict):
                raise
            versions = self._versions_if_carried_out(writes, signature, deadline)
            if versions is None:
                raise
            return versions

    def _versions_if_carried_out(
        self, writes: Sequence[Write], signature: str, deadline: Deadline
    ) -> list[str | None] | None:
        # All or none was carried out: the first row that was written tells, and is mostly another's.
        telling = next((write for write in writes if not isinstance(write, Delete)), writes[0])
        first = self._table.get(telling.key, deadline).result()
        if isinstance(telling, Delete):
            # Nothing was to be left; where nothing is, whoever removed it did the same.
            reads = [self._table.get(write.key, deadline) for write in writes]
            return [None] * len(writes) if all(read.result() is None for read in reads) else None
        if not _is_signed(first, signature):
            return None
        reads = [self._table.get(write.key, deadline) for write in writes]
        rows = [read.result() for read in reads]
        return [
            None if isinstance(write, Delete) else _version(row, signature)
            for write, row in zip(writes, rows, strict=True)
        ]


def _signed(write: Write, signature: str) -> Write:
    match write:
        case Delete():
            return write
        case Insert(key, values):
            return Insert(key, {**values, SIGNATURE: signature})
        case Put(key, values):
            return Put(key, {**values, SIGNATURE: signature})
        case Replace(key, values, version):
            return Replace(key, {**values, SIGNATURE: signature}, version)


def _may_be_its_own(writes: Sequence[Write], conflict: RowConflict) -> bool:
    """Of a transaction that was carried out, the first condition of the repeat fails: a later one is another's doing.

    So a lost number, whose row comes behind the call's, costs no reading.
    """
    fails = (not isinstance(write, Put) and not (isinstance(write, Replace) and not write.version) for write in writes)
    return conflict.index <= next((index for index, each in enumerate(fails) if each), 0)


def _is_signed(row: Row | None, signature: str) -> bool:
    return row is not None and row.values.get(SIGNATURE) == signature


def _version(row: Row | None, signature: str) -> str:
    return row.version if row is not None and _is_signed(row, signature) else _CHANGED_SINCE
