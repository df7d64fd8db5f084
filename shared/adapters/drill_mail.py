"""What the emergencies' table holds of drills' messages: who is owed one, and how those that were sent fared."""

from contextlib import suppress

from shared.adapters.emergency_rows import due_row, map_readable, read_dispatch, read_owed_notice
from shared.adapters.table import Delete, Row, RowConflict, Table, with_prefix
from shared.deadlines import Deadline
from shared.ports import Dispatch, DrillMail

MAX_READ = 5_000


def drill_mail(table: Table, deadline: Deadline) -> DrillMail:
    """All of it; rows that cannot be read are left out."""
    owed, sent = _rows(table, deadline)
    return DrillMail(
        owed=tuple(each for each in map_readable(read_owed_notice, owed) if each.notice.drill),
        sent=tuple(each for each in map_readable(read_dispatch, sent) if each.drill),
    )


def forget_drill_mail(table: Table, deadline: Deadline) -> None:
    """Remove it. One that somebody else has just moved is there to remove next time, or goes with its due row."""
    owed, sent = _rows(table, deadline)
    for row in owed:
        if any(each.notice.drill for each in map_readable(read_owed_notice, [row])):
            with suppress(RowConflict):
                table.commit([Delete(row.key, row.version)], deadline)
    for row in sent:
        for dispatch in map_readable(read_dispatch, [row]):
            if dispatch.drill:
                _forget_dispatch(table, row, dispatch, deadline)


def _forget_dispatch(table: Table, row: Row, dispatch: Dispatch, deadline: Deadline) -> None:
    due = due_row(dispatch.expires_at, "mail", dispatch.operation_id)
    with suppress(RowConflict):
        table.commit([Delete(row.key, row.version), Delete(due)], deadline)


def _rows(table: Table, deadline: Deadline) -> tuple[list[Row], list[Row]]:
    outbox = table.between(*with_prefix("outbox|"), MAX_READ, deadline)
    mails = table.between(*with_prefix("mail|"), MAX_READ, deadline)
    return [row for row in outbox.result() if row.key.split("|")[2:3] == ["notice"]], mails.result()
