"""Imports of the directory, in its table.

    importing|{operation}            how far it is: counts, and nothing of anybody
    importrow|{operation}|{chunk}    what is still to be done, removed in the order of the chunks

A chunk goes when its entries are written, in a transaction with the count: cut anywhere, it is done once more, which
changes nothing. The head is there before the chunks, so that those of an import that is cut while it begins are found.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import batched

from msgspec import structs

from shared.adapters.table import (
    Delete,
    Insert,
    Put,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    Write,
    read_state,
    state_text,
    with_prefix,
)
from shared.deadlines import Deadline
from shared.domain.errors import Unreadable
from shared.domain.imports import AgentChange, Import, ImportState
from shared.domain.stamps import age_of
from shared.ports import ImportChunk

SCHEMA = 1
KEPT_FOR = timedelta(days=1)
MAX_IMPORTS_READ = 50
# A text of Table storage holds 32,768 UTF-16 units; characters outside the BMP take two.
MAX_CHUNK_CHARS = 14_000
CHUNKS_A_COMMIT = 40
# Some hundred entries: about as many transactions as a second takes.
CHUNKS_AT_ONCE = 4


class ImportTable:
    """Port `Imports`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, operation_id: str, changes: Sequence[AgentChange], now: datetime, deadline: Deadline) -> None:
        """Keep what is to be done; only then it is whole, so that a part of it is never carried on.

        Of several who begin it at once one does: each transaction is over the head as this one wrote it before.
        """
        head = self._table.get(_head_row(operation_id), deadline).result()
        if head is not None and read_state(head, Import).is_under_way:
            return
        chunks = list(_chunks(changes))
        begun = Import(operation_id=operation_id, began_at=now, rows=len(changes), chunks=len(chunks), whole=False)
        puts = [
            Put(_chunk_row(operation_id, number), {"schema": SCHEMA, "state": text, "rows": rows})
            for number, (text, rows) in enumerate(chunks)
        ]
        with suppress(RowConflict):
            version = self._keep(begun, head.version if head is not None else None, (), deadline)
            for some in batched(puts, CHUNKS_A_COMMIT, strict=False):
                version = self._keep(begun, version, some, deadline)
            state = ImportState.RUNNING if chunks else ImportState.DONE
            self._keep(structs.replace(begun, whole=True, state=state), version, (), deadline)

    def read(self, operation_id: str, deadline: Deadline) -> Import | None:
        """How far it is; None where there is none of this id."""
        row = self._table.get(_head_row(operation_id), deadline).result()
        return None if row is None else read_state(row, Import)

    def running(self, now: datetime, deadline: Deadline) -> list[str]:
        """The ids of imports that are to be carried on, the oldest first; after a day, forgets those that are not."""
        found: list[Import] = []
        for row in self._heads(deadline):
            with suppress(Unreadable, RowConflict):
                known = read_state(row, Import)
                if known.is_under_way:
                    found.append(known)
                elif age_of(known.began_at, now) > KEPT_FOR:
                    self._forget(row, known.operation_id, deadline)
        return [each.operation_id for each in sorted(found, key=lambda each: (each.began_at, each.operation_id))]

    def _heads(self, deadline: Deadline) -> Iterator[Row]:
        """All of them, however many a synchronisation begins in the day for which they are kept."""
        first, end = with_prefix("importing|")
        while rows := self._table.between(first, end, MAX_IMPORTS_READ, deadline).result():
            yield from rows
            # An id is hex: nothing stands between this head and the next one.
            first = f"{rows[-1].key} "

    def _keep(self, state: Import, over: str | None, with_it: Sequence[Put], deadline: Deadline) -> str | None:
        row, values = _head_row(state.operation_id), _values(state)
        head: Write = Insert(row, values) if over is None else Replace(row, values, over)
        return self._table.commit([head, *with_it], deadline)[0]

    def _forget(self, head: Row, operation_id: str, deadline: Deadline) -> None:
        while chunks := self._table.between(*_chunks_of(operation_id), CHUNKS_A_COMMIT, deadline).result():
            self._table.commit([Delete(chunk.key) for chunk in chunks], deadline)
        self._table.commit([Delete(head.key, head.version)], deadline)

    def next_chunks(self, operation_id: str, deadline: Deadline) -> list[ImportChunk]:
        """The next pieces; none where nothing is left. A piece that cannot be read is empty."""
        rows = self._table.between(*_chunks_of(operation_id), CHUNKS_AT_ONCE, deadline).result()
        return [ImportChunk(row.key, _changes_in(row)) for row in rows]

    def chunks_done(self, operation_id: str, chunks: Sequence[str], done: int, deadline: Deadline) -> None:
        """The entries of these are written; somebody else who had them too has said so already on `RowConflict`."""
        row = self._table.get(_head_row(operation_id), deadline).result()
        if row is None:
            return
        before = read_state(row, Import)
        after = structs.replace(before, done=before.done + done)
        with suppress(RowConflict):
            gone: list[Write] = [Delete(chunk) for chunk in chunks]
            self._table.commit([*gone, Replace(row.key, _values(after), row.version)], deadline)

    def close(self, operation_id: str, deadline: Deadline) -> None:
        """Nothing is left to do of it: done, or failed where some rows could not be."""
        row = self._table.get(_head_row(operation_id), deadline).result()
        if row is None:
            return
        before = read_state(row, Import)
        state = ImportState.DONE if before.done == before.rows else ImportState.FAILED
        with suppress(RowConflict):
            self._table.commit([Replace(row.key, _values(structs.replace(before, state=state)), row.version)], deadline)


def _chunks(changes: Sequence[AgentChange]) -> Iterator[tuple[str, int]]:
    parts: list[str] = []
    for change in changes:
        part = state_text(change)
        if parts and sum(map(len, parts)) + len(parts) + len(part) > MAX_CHUNK_CHARS:
            yield f"[{','.join(parts)}]", len(parts)
            parts = []
        parts.append(part)
    if parts:
        yield f"[{','.join(parts)}]", len(parts)


def _changes_in(row: Row) -> list[AgentChange]:
    try:
        return read_state(row, list[AgentChange])
    except Unreadable:
        return []


def _values(state: Import) -> Values:
    return {"schema": SCHEMA, "state": state_text(state)}


def _head_row(operation_id: str) -> str:
    return f"importing|{operation_id}"


def _chunks_of(operation_id: str) -> tuple[str, str]:
    return with_prefix(f"importrow|{operation_id}|")


def _chunk_row(operation_id: str, number: int) -> str:
    return f"importrow|{operation_id}|{number:06}"
