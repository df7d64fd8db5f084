"""Rows that cannot be used, set aside so that a sweep does not meet them again at every run.

    broken|{look again at}|{hash of the key}   what stood at the key, until whatever it names can be read

Moved are rows that bring something up (`due`, `bare`, `outbox`, `waiting`, `look`, `ladder`, `deletion`), never what
they name: an agent's own row stays where it is, so that their requests get the answer of an outage and are served as
soon as it can be read.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from shared.adapters.emergency_rows import (
    OUT_OF_LINE,
    POOL_ROW,
    agent_row,
    callback_row,
    listed_index,
    moment,
    moment_in,
    read_call,
    read_callback,
    read_owed_notice,
    read_recording,
    read_stored,
    recording_row,
)
from shared.adapters.table import (
    MAX_ROWS_A_COMMIT,
    Delete,
    Insert,
    Put,
    Row,
    Table,
    Values,
    Write,
    key_in,
    read_row,
    storable,
)
from shared.deadlines import Deadline
from shared.domain.errors import EmergencyCallingError, Unreadable
from shared.domain.ids import key_of

LOOK_AGAIN_AFTER = timedelta(minutes=10)
# Longer than the longest window, the longest time after a call and the longest cool-down together (B8).
KEPT_FOR = timedelta(days=4)
MAX_ROWS_LOOKED_AT = 100
MAX_ROWS_LISTED = MAX_ROWS_A_COMMIT - 5
_OWN = ("row", "since")


class Fate(StrEnum):
    """What is to become of a row that was set aside."""

    BACK = "back"
    GONE = "gone"
    ASIDE = "aside"


def set_aside(table: Table, key: str, now: datetime, deadline: Deadline) -> None:
    """Move the row out of the way; `RowConflict` if somebody else changed it meanwhile."""
    row = table.get(key, deadline).result()
    if row is None:
        return
    kept: Values = {**storable(row.values), "row": key, "since": moment(now)}
    if "row" in row.values:
        kept["named"] = row.values["row"]
    table.commit([Delete(key, row.version), Put(_aside(now, key), kept)], deadline)


def look_again(table: Table, now: datetime, deadline: Deadline) -> None:
    """Put back what can be used by now, and forget for good what nobody could use for so long.

    Whatever one of them meets with, the others have their turn; what nobody foresaw is raised after that.
    """
    unforeseen: Exception | None = None
    for row in table.between("broken|", f"broken|{moment(now)}~", MAX_ROWS_LOOKED_AT, deadline).result():
        try:
            table.commit(_writes(table, row, now, deadline), deadline)
        except EmergencyCallingError:
            continue
        except Exception as error:  # noqa: BLE001 - raised below
            unforeseen = error
    if unforeseen is not None:
        raise unforeseen


def _writes(table: Table, row: Row, now: datetime, deadline: Deadline) -> list[Write]:
    gone: list[Write] = [Delete(row.key, row.version)]
    try:
        key, since = read_row(row, lambda each: (key_in(each, "row"), moment_in(f"|{each.values['since']}")))
    except Unreadable:
        return gone
    values = {name: value for name, value in row.values.items() if name not in (*_OWN, "named")}
    if "named" in row.values:
        values["row"] = row.values["named"]
    match _fate(table, Row(key, values, ""), deadline):
        case Fate.BACK:
            there = table.get(key, deadline).result()
            return [*gone, Insert(key, values)] if there is None else gone
        case Fate.GONE:
            return gone
        case Fate.ASIDE:
            if now >= since + KEPT_FOR:
                return [*gone, *_of_nobody(table, key, values, deadline)]
            return [*gone, Put(_aside(now, key), row.values)]


def _fate(table: Table, row: Row, deadline: Deadline) -> Fate:
    kind, _, rest = row.key.partition("|")
    subject = rest.split("|")[1:2]
    try:
        if kind in ("outbox", "waiting") and subject == ["notice"]:
            read_owed_notice(row)
            return Fate.BACK
        own = _named_by(row)
        if own is None:
            return Fate.ASIDE
        key, lists = own
        named = table.get(key, deadline).result()
        return Fate.GONE if named is None or not lists(named) else Fate.BACK
    except Unreadable:
        return Fate.ASIDE


def _named_by(row: Row) -> tuple[str, Callable[[Row], bool]] | None:
    """The row that a moved one brings up, and whether that still wants to be so; raises `Unreadable`."""
    parts = row.key.split("|")
    match parts:
        case (
            ["due", _, "agent", agent_key]
            | ["outbox", _, "presence", agent_key]
            | ["look", _, agent_key]
            | ["look", _, agent_key, "closing"]
        ):
            return agent_row(agent_key), lambda named: row.key in read_stored(named).index
        case ["ladder", _, callback_id]:
            return callback_row(callback_id), lambda named: read_callback(named).due_row == row.key
        case ["deletion", _, recording_key]:
            return recording_row(recording_key), lambda named: read_recording(named) is not None
        case ["bare" | "due", _, "call", _]:
            return read_row(row, lambda each: key_in(each, "row")), lambda named: read_call(named).agent_key is None
        case _:
            return None


def _of_nobody(table: Table, key: str, values: Values, deadline: Deadline) -> list[Write]:
    """What goes with a row that nobody could use for days: whatever it named, and what that lists."""
    try:
        own = _named_by(Row(key, values, ""))
    except Unreadable:
        own = None
    named = table.get(own[0], deadline).result() if own is not None else None
    if named is None:
        return []
    try:
        listed = read_row(named, listed_index)
    except Unreadable:
        listed = ()
    rows = [table.get(each, deadline) for each in listed[:MAX_ROWS_LISTED] if each != key]
    there = [row for row in (read.result() for read in rows) if row is not None]
    # The number that it held comes free when the pool is brought in line the next time.
    unsynced: list[Write] = [Put(POOL_ROW, OUT_OF_LINE)] if listed else []
    return [Delete(named.key, named.version), *(Delete(row.key, row.version) for row in there), *unsynced]


def _aside(now: datetime, key: str) -> str:
    return f"broken|{moment(now + LOOK_AGAIN_AFTER)}|{key_of(key)}"
