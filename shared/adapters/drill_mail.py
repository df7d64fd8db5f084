"""What the emergencies' table holds of drills' messages: who is owed one, and how those that were sent fared."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from shared.adapters.emergency_rows import dispatch_due_row, map_readable, read_dispatch, read_owed_notice
from shared.adapters.table import Delete, Row, RowConflict, Table, Write, with_prefix
from shared.deadlines import Deadline
from shared.ports import DrillMail

MAX_READ = 5_000
TRIES = 5


def drill_mail(table: Table, deadline: Deadline) -> DrillMail:
    """All of it; rows that cannot be read are left out."""
    owed, sent = _rows(table, deadline)
    return DrillMail(
        owed=tuple(each for each in map_readable(read_owed_notice, owed) if each.notice.drill),
        sent=tuple(each for each in map_readable(read_dispatch, sent) if each.drill),
    )


def forget_drill_mail(table: Table, deadline: Deadline) -> None:
    """Remove it: again where a delivery report has changed a row meanwhile. What is left goes with its due row."""
    for _ in range(TRIES):
        owed, sent = _rows(table, deadline)
        writes = [*_of_owed(owed), *_of_sent(sent)]
        if not writes:
            return
        for group in writes:
            with suppress(RowConflict):
                table.commit(group, deadline)


def _of_owed(rows: Sequence[Row]) -> Iterator[list[Write]]:
    for row in rows:
        if any(each.notice.drill for each in map_readable(read_owed_notice, [row])):
            yield [Delete(row.key, row.version)]


def _of_sent(rows: Sequence[Row]) -> Iterator[list[Write]]:
    for row in rows:
        for dispatch in map_readable(read_dispatch, [row]):
            if dispatch.drill:
                yield [Delete(row.key, row.version), Delete(dispatch_due_row(dispatch))]


def _rows(table: Table, deadline: Deadline) -> tuple[list[Row], list[Row]]:
    outbox = table.between(*with_prefix("outbox|"), MAX_READ, deadline)
    mails = table.between(*with_prefix("mail|"), MAX_READ, deadline)
    return [row for row in outbox.result() if row.key.split("|")[2:3] == ["notice"]], mails.result()
