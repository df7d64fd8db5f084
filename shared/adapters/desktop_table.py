"""What agents' desktops report, in the table of the directory.

    desktop|{agent}|{desktop}         the last report, as JSON, and the day of the row below
    reported|{day}|{agent}|{desktop}  which reports are of that day, so that old ones are found and removed

Report and day change in one transaction. Outside ids are hashed in every key, an agent's with a secret (KEY_SECRETS).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

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
from shared.domain.ids import agent_key_of, key_of, normal_id
from shared.domain.locations import KEPT_FOR, Desktop, network_of, with_report
from shared.ports import Keys, Pending

SCHEMA = 1
# What begins the keys of rows that are kept of people.
ROWS_OF_PEOPLE = "desktop|"
MAX_DESKTOPS = 20
MAX_OF_ALL = 200_000
MAX_REMOVED_A_RUN = 500
_REMOVED_AT_ONCE = 40
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Reports:
    """Port `Pending`: an agent's desktops, the latest report first."""

    def __init__(self, reads: Sequence[Pending[list[Row]]]) -> None:
        self._reads = reads

    def result(self) -> tuple[Desktop, ...]:
        return _latest_first(_desktop_in(row) for read in self._reads for row in read.result())


class DesktopTable:
    """Port `Desktops`. An agent has at most `MAX_DESKTOPS`: a further one takes the place of the oldest."""

    def __init__(self, table: Table, keys: Keys) -> None:
        self._table = table
        self._keys = keys
        self._gone_before = ""

    def of(self, agent_id: str, deadline: Deadline) -> Pending[tuple[Desktop, ...]]:
        """What the agent's desktops reported, the latest first."""
        return _Reports([self._rows(key, deadline) for key in self._keys_of(agent_id, deadline)])

    def _keys_of(self, agent_id: str, deadline: Deadline) -> tuple[str, ...]:
        return self._keys.ring(deadline).all(agent_key_of(agent_id))

    def of_all(self, deadline: Deadline) -> Callable[[str], tuple[Desktop, ...]]:
        """All reports at once, to be asked as `of` is. Raises `Unavailable`."""
        ring = self._keys.ring(deadline)
        found: dict[str, list[Desktop | None]] = defaultdict(list)
        for row in self._table.between(*with_prefix(ROWS_OF_PEOPLE), MAX_OF_ALL, deadline).result():
            found[row.key.split("|")[1]].append(_desktop_in(row))

        def of(agent_id: str) -> tuple[Desktop, ...]:
            return _latest_first(chain(*(found.get(key, ()) for key in ring.all(agent_key_of(agent_id)))))

        return of

    def seen_from(self, client: str, deadline: Deadline) -> str:
        """What is kept of the network of an agent's own IP address: a keyed hash, which moves with KEY_SECRETS."""
        return self._keys.ring(deadline).first(key_of(network_of(client)))

    def save(self, agent_id: str, report: Desktop, deadline: Deadline) -> Desktop:
        """Keep a report, with the confirmation before it where it brings none; gives what is kept now."""
        agent_key, *older = self._keys_of(agent_id, deadline)
        while True:
            readings = [self._rows(key, deadline) for key in (agent_key, *older)]
            rows, *old = [reading.result() for reading in readings]
            row_key = _desktop_row(agent_key, report.desktop_id)
            before = next((row for row in rows if row.key == row_key), None)
            # What it reported under an older key, or another spelling of its id, moves here.
            moved = [row for row in chain(rows, *old) if row is not before and _is_of(row, report)]
            known = before or next(iter(moved), None)
            kept = with_report(_desktop_in(known) if known is not None else None, report)
            others = [row for row in rows if row is not before and row not in moved]
            writes = [*_kept(agent_key, kept, before), *_without_oldest(agent_key, others), *_gone(moved)]
            try:
                self._table.commit(writes, deadline)
            except RowConflict:
                deadline.require()
                continue
            return kept

    def forget(self, agent_id: str, deadline: Deadline) -> None:
        """Remove everything that this agent's desktops reported."""
        for agent_key in self._keys_of(agent_id, deadline):
            for row in self._rows(agent_key, deadline).result():
                self._remove([row.key, _day_row(agent_key, row)], deadline)

    def remove_old(self, now: datetime, deadline: Deadline) -> int:
        """Remove reports that are older than they may be kept; gives how many, at most `MAX_REMOVED_A_RUN`.

        They are found by their day: once a day's are gone, nothing is asked before the next day's may go.
        """
        first, _ = with_prefix("reported|")
        end = f"reported|{_day(now - KEPT_FOR)}"
        removed = 0
        if self._gone_before >= end:
            return removed
        while removed < MAX_REMOVED_A_RUN and not deadline.passed():
            days = self._table.between(first, end, _REMOVED_AT_ONCE, deadline).result()
            if not days:
                self._gone_before = end
                break
            for row in days:
                self._remove([row.key, *_named_by(row.key)], deadline)
            removed += len(days)
        return removed

    def _rows(self, agent_key: str, deadline: Deadline) -> Pending[list[Row]]:
        return self._table.between(*with_prefix(f"desktop|{agent_key}|"), MAX_DESKTOPS + 1, deadline)

    def _remove(self, keys: list[str], deadline: Deadline) -> None:
        rows = [self._table.get(key, deadline) for key in keys]
        present = [Delete(row.key, row.version) for row in (each.result() for each in rows) if row is not None]
        if not present:
            return
        try:
            self._table.commit(present, deadline)
        except RowConflict:
            # A report came in meanwhile: what it wrote is young.
            return


def _latest_first(desktops: Iterable[Desktop | None]) -> tuple[Desktop, ...]:
    readable = [each for each in desktops if each is not None]
    return tuple(sorted(readable, key=lambda each: each.at, reverse=True))


def _kept(agent_key: str, kept: Desktop, before: Row | None) -> list[Write]:
    row_key = _desktop_row(agent_key, kept.desktop_id)
    values: Values = {"schema": SCHEMA, "state": state_text(kept), "day": _day(kept.at)}
    desktop_key = row_key.rpartition("|")[2]
    day: list[Write] = [Put(f"reported|{_day(kept.at)}|{agent_key}|{desktop_key}", {"schema": SCHEMA})]
    if before is None:
        return [Insert(row_key, values), *day]
    if _day_of(before) not in ("", _day(kept.at)):
        day.append(Delete(_day_row(agent_key, before)))
    return [Replace(row_key, values, before.version), *day]


def _gone(rows: Iterable[Row]) -> Iterator[Write]:
    for row in rows:
        yield Delete(row.key, row.version)
        if _day_of(row):
            yield Delete(_day_row(row.key.split("|")[1], row))


def _without_oldest(agent_key: str, others: list[Row]) -> list[Write]:
    if len(others) < MAX_DESKTOPS:
        return []
    oldest = min(others, key=_reported_at)
    day: list[Write] = [Delete(_day_row(agent_key, oldest))] if _day_of(oldest) else []
    return [Delete(oldest.key, oldest.version), *day]


def _is_of(row: Row, report: Desktop) -> bool:
    """Whether the row is of the desktop that reports; one that cannot be read is where its key says so."""
    kept = _desktop_in(row)
    if kept is None:
        return row.key.endswith(f"|{key_of(report.desktop_id)}")
    return normal_id(kept.desktop_id) == normal_id(report.desktop_id)


def _reported_at(row: Row) -> datetime:
    """When it was reported; what cannot be read is older than all that can."""
    kept = _desktop_in(row)
    return kept.at if kept is not None else _NEVER


def _desktop_row(agent_key: str, desktop_id: str) -> str:
    return f"desktop|{agent_key}|{key_of(desktop_id)}"


def _named_by(day_row: str) -> list[str]:
    """The report of that day; none for a key that this code does not write, which goes alone."""
    match day_row.split("|"):
        case [_, _, agent_key, desktop_key]:
            return [f"desktop|{agent_key}|{desktop_key}"]
        case _:
            return []


def _day_row(agent_key: str, row: Row) -> str:
    return f"reported|{_day_of(row)}|{agent_key}|{row.key.rpartition('|')[2]}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y%m%d}"


def _day_of(row: Row) -> str:
    day = str(row.values.get("day", ""))
    return day if day.isdecimal() else ""


def _desktop_in(row: Row) -> Desktop | None:
    """The report, or None where it cannot be read: the next report of that desktop takes its place."""
    try:
        return read_state(row, Desktop)
    except Unreadable:
        return None
