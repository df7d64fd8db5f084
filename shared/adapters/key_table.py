"""The secrets of the keyed hashes: those of KEY_SECRETS, else one that is made once and kept in a table (port `Keys`).

    keyring   the secret, and when rows were first stored under keyed hashes

A process reads it once. Without a store nobody knows the keys, and then there is nothing to find under them.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from shared.adapters.table import Insert, Replace, Row, RowConflict, Table, Values, with_prefix
from shared.deadlines import Clock, Deadline
from shared.domain.keys import KeyRing, Secret

SCHEMA = 1
ROW = "keyring"
# Desktops' reports are kept for 30 days, longer than anything else that is stored under a person's key.
PLAIN_FOR = timedelta(days=31)
_SECRET_BYTES = 32


class KnownKeys:
    """Port `Keys`: a ring that needs no reading."""

    def __init__(self, ring: KeyRing | None = None) -> None:
        self._ring = ring or KeyRing()

    def ring(self, _deadline: Deadline) -> KeyRing:
        """The ring."""
        return self._ring


class KeyTable:
    """Port `Keys`. `settings` are the secrets of KEY_SECRETS; `older` the tables and prefixes of rows of people."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        settings: Sequence[Secret],
        *,
        older: Sequence[tuple[Table, str]] = (),
        make: Callable[[], str] = lambda: secrets.token_urlsafe(_SECRET_BYTES),
    ) -> None:
        self._table = table
        self._clock = clock
        self._settings = tuple(settings)
        self._older = older
        self._make = make
        self._known: tuple[Secret, ...] | None = None
        self._plain_until: datetime | None = None

    def ring(self, deadline: Deadline) -> KeyRing:
        """The secrets; raises `Unavailable` where this process has not read them yet and cannot."""
        if self._known is None:
            row = self._row(deadline)
            kept = _text(row, "secret")
            self._plain_until = _moment(_text(row, "plain_until"))
            self._known = (*self._settings, *([Secret(kept)] if kept else []))
        plain = self._plain_until is not None and self._clock.now() < self._plain_until
        return KeyRing(self._known, plain)

    def _row(self, deadline: Deadline) -> Row:
        """The row as it is kept, made where it is not there; one without a secret gets one where it is needed."""
        while True:
            row = self._table.get(ROW, deadline).result()
            if row is not None and (self._settings or _text(row, "secret")):
                return row
            until = _text(row, "plain_until") if row is not None else self._plain_from_now(deadline)
            values: Values = {"schema": SCHEMA, "secret": "" if self._settings else self._make(), "plain_until": until}
            try:
                self._table.commit(
                    [Insert(ROW, values) if row is None else Replace(ROW, values, row.version)], deadline
                )
            except RowConflict:
                # Another process has made it meanwhile: its secret is the one.
                deadline.require()

    def _plain_from_now(self, deadline: Deadline) -> str:
        """Until when rows of the version before are looked for; not at all where there is none."""
        reads = [table.between(*with_prefix(kind), 1, deadline) for table, kind in self._older]
        found = [rows for rows in (read.result() for read in reads) if rows]
        return (self._clock.now() + PLAIN_FOR).isoformat() if found else ""


def _text(row: Row, name: str) -> str:
    value = row.values.get(name)
    return value if isinstance(value, str) else ""


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
