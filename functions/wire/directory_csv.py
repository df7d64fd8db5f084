"""The directory as CSV, both ways: what spreadsheets make of it is understood (contract, *Administration*)."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from string import whitespace
from typing import Any, TypedDict

from msgspec import Struct, structs

from functions.wire.decoding import convert, plain_id
from functions.wire.http import MAX_WORK_ITEMS, AgentBody, agent_of, path_id
from shared.domain.agents import Agent, OutboundProfile
from shared.domain.errors import Malformed
from shared.domain.ids import normal_id
from shared.domain.imports import PROFILE, AgentChange, Import, ImportOutlook, ImportState
from shared.domain.notifications import split_list
from shared.domain.words import Words, as_words

PROFILE_COLUMNS = tuple(f"{PROFILE}{each}" for each in OutboundProfile.__struct_fields__)
COLUMNS = (*(each for each in Agent.__struct_fields__ if each != "outbound_profile"), *PROFILE_COLUMNS)
LISTS = frozenset({"acs_user_ids", "alternate_numbers"})
CSV = "text/csv"
SEPARATORS = ",;\t"
BYTE_ORDER_MARK = "\ufeff"
# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MAX_FAULTS_TOLD = 100
# What a file may have is bounded, so that 16 MB of anything are judged in a second or two. More entries than these no
# export reads of a directory (`MAX_LOOKED_AT`); a cell may have several lines; to find out all that is wrong with a
# record takes ten times as long as to read a sound one.
MAX_NAMED_COLUMNS = 64
# A line with the longest fields, and the 16,384 commas that a spreadsheet may write.
MAX_LINE_CHARS = 500_000
MAX_LINES = 250_000
MAX_ROWS = 100_000
MAX_FAULTS = 1_000
# The line of a fault of a file that holds no record at all.
FIRST_LINE = 1
# A line that some spreadsheets write for themselves, before the header.
SEPARATOR_LINE = re.compile(rf"\s*sep=[{SEPARATORS}]\s*", re.IGNORECASE)
OF_BLANK_RECORDS = frozenset(SEPARATORS + whitespace)
DIGITS_READ = len(str(MAX_WORK_ITEMS)) + 1
# Whose a cell is says nothing of whether it is sound.
ANYBODY = "-"


class CsvFault(Struct, frozen=True):
    """What is wrong with a cell: the physical line where its record begins, and the header's name of its column."""

    line: int
    column: str | None
    reason: Words


class CsvRow(Struct, frozen=True):
    """One agent as the file has them, and the line where that begins."""

    line: int
    change: AgentChange


class CsvFile(Struct, frozen=True):
    """What a file holds: its sound rows, and all that is wrong with the others."""

    rows: tuple[CsvRow, ...] = ()
    faults: tuple[CsvFault, ...] = ()


class FaultsTold(TypedDict):
    """The first faults of a file, and how many there are."""

    faults: tuple[CsvFault, ...]
    faults_total: int


class CheckedImport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`POST /manage/agents/import?dry_run=1`: what the file would do, by entries, and what is wrong with it.

    `digest` is the SHA-256 of the file; `rows` are the sound ones; `faults` are the first hundred of `faults_total`.
    Behind a thousand faults the file is not read any more, and the last one says so. `doubts`, likewise, are of sound
    rows that may be a mistake, and keep no file out; both are absent where there is none.
    """

    digest: str
    rows: int
    new: int
    changed: int
    unchanged: int
    faults: tuple[CsvFault, ...]
    faults_total: int
    doubts: tuple[CsvFault, ...] = ()
    doubts_total: int = 0


class ImportBegun(Struct, frozen=True):
    """`POST /manage/agents/import`: what to ask after."""

    operation_id: str


class ImportAnswer(Struct, frozen=True, kw_only=True):
    """`GET /manage/agents/import/{operation_id}`: `done` of `rows` are in the directory."""

    operation_id: str
    state: ImportState
    done: int
    rows: int


def checked_answer(digest: str, file: CsvFile, outlook: ImportOutlook) -> CheckedImport:
    """What a file would do to the directory."""
    doubts = tuple(_second_entry(file.rows[place], other) for place, other in sorted(outlook.sharing.items()))
    return CheckedImport(
        digest=digest,
        rows=len(file.rows),
        new=outlook.new,
        changed=outlook.changed,
        unchanged=outlook.unchanged,
        **faults_told(file),
        doubts=doubts[:MAX_FAULTS_TOLD],
        doubts_total=len(doubts),
    )


def _second_entry(row: CsvRow, other: str) -> CsvFault:
    return CsvFault(row.line, "entra_object_id", Words("is that of the entry {other} too", other=other))


def faults_told(file: CsvFile) -> FaultsTold:
    """What is wrong with a file, as far as anybody reads."""
    return {"faults": file.faults[:MAX_FAULTS_TOLD], "faults_total": len(file.faults)}


def import_answer(known: Import) -> ImportAnswer:
    """How far an import is."""
    return ImportAnswer(operation_id=known.operation_id, state=known.state, done=known.done, rows=known.rows)


def written(agents: Iterable[Agent]) -> bytes:
    """The entries as CSV: UTF-8 with a byte order mark, commas, CRLF, in the order of their ids."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for agent in sorted(agents, key=lambda each: each.agent_id):
        writer.writerow([_neutral(cell) for cell in _cells(agent)])
    return (BYTE_ORDER_MARK + text.getvalue()).encode("utf-8", "replace")


def _cells(agent: Agent) -> list[str]:
    profile = agent.outbound_profile or OutboundProfile()
    values = [getattr(agent, name) for name in COLUMNS if not name.startswith(PROFILE)]
    values += [getattr(profile, name.removeprefix(PROFILE)) for name in PROFILE_COLUMNS]
    return ["; ".join(each) if isinstance(each, tuple) else "" if each is None else str(each) for each in values]


def _neutral(cell: str) -> str:
    return f"'{cell}" if cell.startswith((*FORMULA, "'")) else cell


def _as_it_was(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*FORMULA, "'")) else cell


def read(body: bytes) -> CsvFile:
    """What a file holds, up to a thousand faults. Raises `Malformed` where it is no UTF-8, or too much."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeError:
        raise Malformed("body", "is not UTF-8") from None
    if text.count("\n") + text.count("\r") - text.count("\r\n") > MAX_LINES:
        raise Malformed("body", Words("has more than {most} lines", most=MAX_LINES))
    records, faults = _records(text)
    if not records:
        return CsvFile(faults=(*faults, CsvFault(FIRST_LINE, None, Words("names no column"))))
    begins, header = records[0]
    names = [each.strip() for each in header]
    if sum(map(bool, names)) > MAX_NAMED_COLUMNS:
        raise Malformed("body", Words("has more than {most} columns", most=MAX_NAMED_COLUMNS))
    if len(records) - 1 > MAX_ROWS:
        raise Malformed("body", Words("holds more than {most} entries", most=MAX_ROWS))
    columns = [each.lower() for each in names]
    faults += _faults_of_header(begins, columns)
    if faults:
        return CsvFile(faults=_in_the_files_words(faults, names))
    rows: list[CsvRow] = []
    seen: dict[str, int] = {}
    cut = _line_of_cut(text, records)
    for line, cells in records[1:]:
        if len(faults) > MAX_FAULTS:
            more = Words("is not read from here on: there are more than {most} faults", most=MAX_FAULTS)
            faults.append(CsvFault(line, None, more))
            break
        found = _row(line, cells, columns, seen, cut=line == cut)
        if isinstance(found, CsvRow):
            rows.append(found)
        else:
            faults += found
    return CsvFile(tuple(rows), _in_the_files_words(faults, names))


def _in_the_files_words(faults: Iterable[CsvFault], names: Sequence[str]) -> tuple[CsvFault, ...]:
    """The faults with their columns as the header writes them; the first one where it has a column twice."""
    written = {name.lower(): name for name in reversed(names) if name}
    return tuple(structs.replace(each, column=written.get(each.column or "", each.column)) for each in faults)


def _records(text: str) -> tuple[list[tuple[int, list[str]]], list[CsvFault]]:
    """The records that are not blank, each with the line where it begins."""
    # `newline=""` ends a line at LF, CR and CRLF, as `csv` does within quotes too: `line_num` counts these.
    lines = list(io.StringIO(text, newline=""))
    if max(map(len, lines), default=0) > MAX_LINE_CHARS:
        # Before anybody makes cells of it.
        raise Malformed("body", Words("has more than {most} columns", most=MAX_NAMED_COLUMNS))
    header = _line_of_header(lines)
    if header < len(lines) and SEPARATOR_LINE.fullmatch(lines[header]):
        lines[header] = "\n"
        header = _line_of_header(lines)
    # Emptied and not taken out: what follows keeps its line.
    lines[:header] = ["\n"] * header
    reader = csv.reader(lines, delimiter=_separator("".join(lines[header : header + 1])), strict=True)
    records: list[tuple[int, list[str]]] = []
    begins = FIRST_LINE
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                records.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error:
        return records, [CsvFault(begins, None, Words("cannot be read from here on: a quote is not closed"))]
    return records, []


def _line_of_header(lines: Sequence[str]) -> int:
    """The index of the first line that is not blank; one past the last where all are."""
    return next((index for index, line in enumerate(lines) if not OF_BLANK_RECORDS.issuperset(line)), len(lines))


def _separator(header: str) -> str:
    return max(SEPARATORS, key=header.count)


def _faults_of_header(line: int, columns: Sequence[str]) -> list[CsvFault]:
    faults = [
        CsvFault(line, name, Words("is no field of an entry")) for name in columns if name and name not in COLUMNS
    ]
    twice = {name for name, times in Counter(columns).items() if name and times > 1}
    faults += [CsvFault(line, name, Words("is there twice")) for name in sorted(twice)]
    if "agent_id" not in columns:
        faults.append(CsvFault(line, "agent_id", Words("is missing")))
    return faults


def _line_of_cut(text: str, records: Sequence[tuple[int, list[str]]]) -> int | None:
    """The line of a record that no line end follows: what it lacks may have been lost on the way."""
    return None if text.endswith(("\n", "\r")) else records[-1][0]


def _row(
    line: int, cells: list[str], columns: Sequence[str], seen: dict[str, int], *, cut: bool
) -> CsvRow | list[CsvFault]:
    # Excel leaves out separators where the last columns are empty in a block of sixteen rows: what such a record lacks
    # is no empty cell, which would clear its field.
    needed = len(columns) if cut else columns.index("agent_id") + 1
    if len(cells) < needed:
        column = columns[len(cells) if cut else needed - 1] or None
        return [CsvFault(line, column, Words("is missing: the record has fewer cells than the header"))]
    if any(map(str.strip, cells[len(columns) :])):
        return [CsvFault(line, None, Words("has more cells than the header"))]
    said = {name: _as_it_was(cell).strip() for name, cell in zip(columns, cells, strict=False) if name}
    # As everywhere else: an entry under an id with that escape could be asked for by no address.
    agent_id = plain_id(said.pop("agent_id"))
    faults: list[CsvFault] = []
    try:
        fields = _values(agent_id, said)
    except Malformed:
        # Cell by cell, so that each fault is told by its column; that takes ten times as long.
        fields, faults = _values_and_faults(line, agent_id, said)
    first = seen.setdefault(normal_id(agent_id), line)
    if first != line:
        faults.append(CsvFault(line, "agent_id", Words("is that of line {line} too", line=first)))
    return faults or CsvRow(line, _change(agent_id, fields))


def _change(agent_id: str, fields: Mapping[str, Any]) -> AgentChange:
    profile = {name.removeprefix(PROFILE): value for name, value in fields.items() if name.startswith(PROFILE)}
    plain = {name: value for name, value in fields.items() if not name.startswith(PROFILE)}
    return AgentChange(agent_id=agent_id, fields=plain, profile=profile)


def _values_and_faults(line: int, agent_id: str, said: Mapping[str, str]) -> tuple[dict[str, object], list[CsvFault]]:
    faults: list[CsvFault] = []
    fields: dict[str, object] = {}
    try:
        agent_of(path_id(agent_id, "agent_id"), _body({}, agent_id))
    except Malformed as error:
        faults.append(CsvFault(line, "agent_id", as_words(error.reason)))
    for name, cell in said.items():
        try:
            fields |= _values(ANYBODY, {name: cell})
        except Malformed as error:
            faults.append(CsvFault(line, name, as_words(error.reason)))
    return fields, faults


def _values(agent_id: str, said: Mapping[str, str]) -> dict[str, object]:
    """What cells say of their fields, as an entry holds them; raises `Malformed` for the first that is faulty."""
    sent: dict[str, object] = {}
    stated: dict[str, object] = {}
    for name, cell in said.items():
        if not name.startswith(PROFILE):
            sent[name] = split_list(cell) if name in LISTS else cell
        elif cell:
            field = name.removeprefix(PROFILE)
            number = field == "work_item_limit" and cell.isascii() and cell.isdigit()
            # Cut where it is too large in any case: Python refuses to read a number of thousands of digits.
            stated[field] = int(cell.lstrip("0")[:DIGITS_READ] or "0") if number else cell
    agent = agent_of(path_id(agent_id, "agent_id"), _body({**sent, "outbound_profile": stated}, agent_id))
    profile = agent.outbound_profile or OutboundProfile()
    return {
        name: getattr(profile, name.removeprefix(PROFILE)) if name.startswith(PROFILE) else getattr(agent, name)
        for name in said
    }


def _body(fields: Mapping[str, object], agent_id: str) -> AgentBody:
    return convert({"agent_id": agent_id, **fields}, AgentBody, "")
