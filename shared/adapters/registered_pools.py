"""Which callback numbers the hosts that run have in their settings, each as its row `pool|{hash}` says.

Two hosts have different settings while a change rolls out: the order of lending (B2) holds over the union.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import batched

from shared.adapters.emergency_rows import POOL_ROW, SCHEMA, moment, moment_of
from shared.adapters.table import (
    MAX_TEXT_UTF16_UNITS,
    Delete,
    Put,
    Row,
    RowConflict,
    Table,
    Values,
    read_row,
    with_prefix,
)
from shared.deadlines import Deadline
from shared.domain.errors import Unreadable
from shared.domain.ids import key_of
from shared.domain.phone_numbers import MAX_E164_CHARACTERS, is_e164
from shared.domain.pool import pool_of
from shared.domain.stamps import age_of
from shared.ports import Pending

# A host tells the others of its numbers when it starts and at its timers; a change rolls out within minutes, and what
# an administrator took out is lent for no longer than that.
REGISTERED_FOR = timedelta(minutes=5)
REGISTERED_AGAIN_AFTER = timedelta(minutes=2)
MAX_POOLS_READ = 20
# As many of the longest numbers, each but the first behind a semicolon, as a property of a row holds.
MAX_NUMBERS_A_TEXT = (MAX_TEXT_UTF16_UNITS + 1) // (MAX_E164_CHARACTERS + 1)
# Since zones stand in the keys of free numbers, a pool without them is brought in line anew.
_ROW_FORM = 2


class RegisteredPools:
    """The union of this host's numbers, `own`, and those that other hosts' rows told of last: `pool`."""

    def __init__(self, table: Table, own: Sequence[str]) -> None:
        self._table = table
        self._own = tuple(own)
        self._row = f"{POOL_ROW}|{key_of(';'.join(sorted(own)))}"
        self.pool = pool_of(self._own)
        self._learned_at: datetime | None = None

    def read(self, deadline: Deadline) -> Pending[list[Row]]:
        """The rows of all hosts, and the marker of the slots (`POOL_ROW`)."""
        return self._table.between(*with_prefix(POOL_ROW), MAX_POOLS_READ, deadline)

    def learn(self, rows: Sequence[Row], now: datetime) -> bool:
        """Take in what those rows say; whether the slots stand for the numbers of all hosts."""
        live = [row for row in rows if (seen := _seen_at(row)) is not None and age_of(seen, now) < REGISTERED_FOR]
        union = tuple(dict.fromkeys((*self._own, *sorted(number for row in live for number in _numbers_in(row)))))
        if union != self.pool.numbers:
            # One assignment: a dial that reads it meanwhile has the pool of before or this one, and each is whole.
            self.pool = pool_of(union)
        self._learned_at = now
        return any(row.key == POOL_ROW and row.values.get("pool") == self.fingerprint() for row in rows)

    def has(self, number: str, now: datetime) -> bool:
        """Whether it is this host's number, or one of another's by a reading of the last minutes."""
        lately = self._learned_at is not None and age_of(self._learned_at, now) < REGISTERED_FOR
        return number in (self.pool.numbers if lately else self._own)

    def fingerprint(self) -> str:
        """The pool and the form of its rows, in short: what the marker says once the slots stand for them."""
        return key_of(f"{_ROW_FORM};{';'.join(sorted(self.pool.numbers))}")

    def register(self, now: datetime, deadline: Deadline) -> None:
        """Tell other hosts which numbers this one has in its setting."""
        texts = [";".join(group) for group in batched(self._own, MAX_NUMBERS_A_TEXT, strict=False)]
        numbers: Values = {f"numbers{place}": text for place, text in enumerate(texts)}
        self._table.commit([Put(self._row, {"schema": SCHEMA, "seen": moment(now), **numbers})], deadline)

    def keep(self, rows: Sequence[Row], now: datetime, deadline: Deadline) -> None:
        """Register again in time, and remove the rows of hosts that are gone."""
        known = {row.key: _seen_at(row) for row in rows if row.key != POOL_ROW}
        mine = known.pop(self._row, None)
        if mine is None or age_of(mine, now) >= REGISTERED_AGAIN_AFTER:
            self.register(now, deadline)
        for key, seen in known.items():
            if seen is None or age_of(seen, now) >= REGISTERED_FOR:
                # Another host removes it too.
                with suppress(RowConflict):
                    self._table.commit([Delete(key)], deadline)


def _seen_at(row: Row) -> datetime | None:
    """When a host with these numbers was there last; None where the row does not say."""
    try:
        return read_row(row, lambda each: moment_of(str(each.values["seen"])))
    except Unreadable:
        return None


def _numbers_in(row: Row) -> list[str]:
    texts = (text for name, text in row.values.items() if name.startswith("numbers") and isinstance(text, str))
    return [number for text in texts for number in text.split(";") if is_e164(number)]
