"""One partition of a table: what the stores need of Table storage, and no more.

The contract is Table storage's own: rows are ordered by key, a commit is one entity group transaction (all or
nothing, at most 100 rows, each row once), and every write may be conditional on the version that was read.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import Struct

from shared.adapters.stored_times import require_sound_times
from shared.deadlines import Deadline
from shared.domain.errors import Conflict, Unreadable
from shared.ports import Pending

type Value = str | int | bool
type Values = dict[str, Value]
MAX_ROWS_A_COMMIT = 100


class Row(Struct, frozen=True):
    """A row as it was read."""

    key: str
    values: Values
    version: str


class Insert(Struct, frozen=True):
    """Create the row; it must not exist."""

    key: str
    values: Values


class Put(Struct, frozen=True):
    """Create or replace the row, whatever is there."""

    key: str
    values: Values


class Replace(Struct, frozen=True):
    """Replace the row; it must exist, and be of `version` unless that is None."""

    key: str
    values: Values
    version: str | None = None


class Delete(Struct, frozen=True):
    """Remove the row; it must exist, and be of `version` unless that is None."""

    key: str
    version: str | None = None


type Write = Insert | Put | Replace | Delete


class Miss(StrEnum):
    """What a conditional write found instead."""

    EXISTS = "exists"
    MISSING = "missing"
    CHANGED = "changed"


class RowConflict(Conflict):
    """A row was not as the transaction needed it; nothing was written."""

    def __init__(self, index: int, miss: Miss) -> None:
        super().__init__()
        self.index = index
        self.miss = miss


class Table(Protocol):
    """One partition. Everything raises `Unavailable` once the deadline has passed, or when the service is away."""

    def get(self, key: str, deadline: Deadline) -> Pending[Row | None]:
        """One row."""
        ...

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Pending[list[Row]]:
        """At most `limit` rows with `first <= key < end`, in the order of their keys.

        Rows whose keys `require_key` refuses are left out and told (`ToldRows`): whoever named one would be refused.
        """
        ...

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        """Apply all writes or none (`RowConflict`); gives the new version of each row, None for a removed one."""
        ...


class Read[S, T]:
    """Port `Pending`: an answer, translated when it is there."""

    def __init__(self, pending: Pending[S], translate: Callable[[S], T]) -> None:
        self._pending = pending
        self._translate = translate

    def result(self) -> T:
        """The answer, once it is there."""
        return self._translate(self._pending.result())


def with_prefix(prefix: str) -> tuple[str, str]:
    """The range of all keys that begin with `prefix` (printable ASCII keys)."""
    return prefix, prefix + "~"


def kind_of(key: str) -> str:
    """The kind of a row: what its key begins with. It says nothing of whose row it is."""
    return key.partition("|")[0]


def read_row[T](row: Row, read: Callable[[Row], T]) -> T:
    """What `read` makes of the row; raises `Unreadable` where it cannot.

    The one place where rows are decoded, and so the one policy for rows that are damaged or of a later version.
    """
    try:
        found = read(row)
        require_sound_times(found)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise Unreadable(kind_of(row.key)) from None
    return found


def state_text(state: Struct) -> str:
    """The struct as JSON for a row; raises `ValueError` for one that `read_state` would refuse.

    The row then stays as it was. Written, it would be lost, with all that is owed by it.
    """
    require_sound_times(state)
    return msgspec.json.encode(state).decode()


def read_state[T](row: Row, kind: type[T]) -> T:
    """The struct that the row holds as JSON in `state`; raises `Unreadable`.

    Tolerant toward stored rows: unknown fields are passed over, missing ones have defaults.
    """
    return read_row(row, lambda each: msgspec.json.decode(str(each.values["state"]), type=kind))


MAX_KEY_CHARS = 512
MAX_TEXT_UTF16_UNITS = 32_768
_LARGEST_INT = 2**63
# What `require_key` lets pass; other tools write other keys.
KEY = re.compile(rf"[ -\"$-.0->@-\[\]-~]{{1,{MAX_KEY_CHARS}}}")


def require_key(key: str) -> None:
    """Raise `ValueError` unless `key` can be a RowKey: 1 to 512 printable ASCII characters, no slashes, `#`, `?`.

    Table storage takes some others too, but leaves rows of a few of them (U+2028) that nothing can remove.
    """
    if KEY.fullmatch(key) is None:
        raise ValueError("a key must be 1 to 512 printable ASCII characters without / \\ # ?")


def key_in(row: Row, name: str) -> str:
    """The key of another row that the value of this name is; raises `LookupError`, `ValueError`."""
    key = str(row.values[name])
    require_key(key)
    return key


def require_writes(writes: Sequence[Write]) -> None:
    """Raise `ValueError` unless this can be one transaction: 1 to 100 rows, each once, storable values."""
    if not 0 < len(writes) <= MAX_ROWS_A_COMMIT:
        raise ValueError("a commit takes 1 to 100 writes")
    if len({write.key for write in writes}) != len(writes):
        raise ValueError("a commit may touch each row only once")
    for write in writes:
        require_key(write.key)
        if not isinstance(write, Delete):
            _require_values(write.values)


def _require_values(values: Values) -> None:
    for name, value in values.items():
        if not name.isidentifier() or not name.isascii() or name in ("PartitionKey", "RowKey", "Timestamp"):
            raise ValueError("a value's name must be an ASCII identifier that the service does not use itself")
        if isinstance(value, str) and utf16_units(value) > MAX_TEXT_UTF16_UNITS:
            raise ValueError("a text may have at most 32,768 UTF-16 units")
        if isinstance(value, int) and not -_LARGEST_INT <= value < _LARGEST_INT:
            raise ValueError("a number must fit into 64 bits")


def storable(values: Values) -> Values:
    """Those that a transaction takes; other tools write others."""
    kept: Values = {}
    for name, value in values.items():
        with suppress(ValueError):
            _require_values({name: value})
            kept[name] = value
    return kept


def utf16_units(text: str) -> int:
    """What Table storage counts a text by; raises `ValueError` for half a surrogate pair."""
    try:
        return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise ValueError("a text must not hold half a surrogate pair") from None


# Table storage keeps at most 32,768 UTF-16 units in one text; characters outside the BMP take two.
_MAX_PART_CHARS = 15_000


def long_state_values(state: msgspec.Struct, *, schema: int) -> Values:
    """A row that holds `state` as JSON in as many texts as it takes."""
    text = state_text(state)
    parts = [text[start : start + _MAX_PART_CHARS] for start in range(0, len(text), _MAX_PART_CHARS)]
    return {"schema": schema, "parts": len(parts), **{f"state{index}": part for index, part in enumerate(parts)}}


def read_long_state[T](row: Row, kind: type[T]) -> T:
    """The struct that `long_state_values` wrote; raises `Unreadable`. Unknown fields are passed over."""

    def read(each: Row) -> T:
        text = "".join(str(each.values[f"state{index}"]) for index in range(int(each.values["parts"])))
        return msgspec.json.decode(text, type=kind)

    return read_row(row, read)
