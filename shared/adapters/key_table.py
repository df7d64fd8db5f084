"""The secrets of the keyed hashes: those of KEY_SECRETS, else one that is made once and kept in a table (port `Keys`).

    keyring   the secret, and when rows were first stored under keyed hashes

A process reads it once. Without a store nobody knows the keys, and then there is nothing to find under them.
A row that cannot be read is never written over: under another secret no live emergency would be found.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from shared.adapters.table import Insert, Replace, Row, RowConflict, Table, Values, kind_of, with_prefix
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.keys import KeyRing, Secret
from shared.ports import Telemetry

SCHEMA = 1
ROW = "keyring"
# Desktops' reports are kept for 30 days, longer than anything else that is stored under a person's key.
PLAIN_FOR = timedelta(days=31)
_SECRET_BYTES = 32


class _Kept(Struct, frozen=True):
    """What the row says; `secret` is "" where KEY_SECRETS has always held one."""

    secret: str = ""
    plain_until: str = ""


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
        telemetry: Telemetry | None = None,
    ) -> None:
        self._table = table
        self._clock = clock
        self._settings = tuple(settings)
        self._older = older
        self._make = make
        self._telemetry = telemetry
        self._told = False
        self._known: tuple[Secret, ...] | None = None
        self._plain_until: datetime | None = None

    def ring(self, deadline: Deadline) -> KeyRing:
        """The secrets; raises `Unavailable` where this process has not read them yet and cannot."""
        if self._known is None:
            try:
                kept = self._kept(deadline)
            except Unreadable as unreadable:
                return self._without_row(unreadable)
            self._plain_until = _moment(kept.plain_until)
            self._known = (*self._settings, *([Secret(kept.secret)] if kept.secret else []))
        plain = self._plain_until is not None and self._clock.now() < self._plain_until
        return KeyRing(self._known, plain)

    def _without_row(self, unreadable: Unreadable) -> KeyRing:
        """KEY_SECRETS alone, which writes, is enough until the row can be read: it is looked at again each time.

        Raises a plain `Unavailable` without it: at an `Unreadable` the sweeps set aside the row that they are at, and
        that one is sound.
        """
        if self._telemetry is not None and not self._told:
            self._telemetry.emit("row_set_aside", kind=unreadable.kind)
            self._told = True
        if not self._settings:
            raise Unavailable from None
        return KeyRing(self._settings)

    def _kept(self, deadline: Deadline) -> _Kept:
        """What the row says, made where it is not there; one without a secret gets one where it is needed."""
        while True:
            row = self._table.get(ROW, deadline).result()
            kept = _read(row) if row is not None else _Kept(plain_until=self._plain_from_now(deadline))
            if row is not None and (self._settings or kept.secret):
                return kept
            made = _Kept("" if self._settings else self._make(), kept.plain_until)
            values: Values = {"schema": SCHEMA, "secret": made.secret, "plain_until": made.plain_until}
            write = Insert(ROW, values) if row is None else Replace(ROW, values, row.version)
            try:
                self._table.commit([write], deadline)
            except RowConflict:
                # Another process has made it meanwhile: its secret is the one.
                deadline.require()

    def _plain_from_now(self, deadline: Deadline) -> str:
        """Until when rows of the version before are looked for; not at all where there is none."""
        reads = [table.between(*with_prefix(kind), 1, deadline) for table, kind in self._older]
        found = [rows for rows in (read.result() for read in reads) if rows]
        return (self._clock.now() + PLAIN_FOR).isoformat() if found else ""


def _read(row: Row) -> _Kept:
    """What a row of this version says; raises `Unreadable` for a damaged one, or one of a later version."""
    secret, plain_until = row.values.get("secret"), row.values.get("plain_until")
    if row.values.get("schema") != SCHEMA or not isinstance(secret, str):
        raise Unreadable(kind_of(row.key))
    return _Kept(secret, plain_until if isinstance(plain_until, str) else "")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
