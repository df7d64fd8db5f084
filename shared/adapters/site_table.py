"""The sites in the table of the directory: `site|{site}`, as JSON; the row's version is the site's.

The range that is read begins at the row of the voice routes, which a dial so learns without asking once more.
"""

import threading
from collections.abc import Sequence
from itertools import batched

from msgspec import Struct

from shared.adapters.table import (
    MAX_ROWS_A_COMMIT,
    Delete,
    Insert,
    Put,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    read_state,
    state_text,
    with_prefix,
)
from shared.adapters.told_rows import ToldRows
from shared.adapters.voice_route_table import ROUTES_KEY, VoiceRouteTable
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict, Malformed, NotFound, Unavailable, Unreadable
from shared.domain.sites import MAX_SITES, Site, SiteMap, require_room, site_key_of
from shared.ports import Answered, Pending, Telemetry

SCHEMA = 1
REMEMBERED_S = 60.0
_SITE = "site|"
assert ROUTES_KEY < _SITE, "one range holds the voice routes and the sites"


class _Remembered(Struct, frozen=True):
    sites: SiteMap
    of: tuple[tuple[str, str], ...]
    until: float


class _Unknown:
    """Port `Pending`: no sites are remembered, and none can be read."""

    def result(self) -> SiteMap:
        raise Unavailable


class _Looked:
    """Port `Pending`: the sites that are being read; those remembered last where they cannot be."""

    def __init__(self, table: "SiteTable", rows: Pending[list[Row]], before: SiteMap | None) -> None:
        self._table = table
        self._rows = rows
        self._before = before

    def result(self) -> SiteMap:
        try:
            return self._table.remembered(self._rows.result())
        except Unavailable:
            if self._before is None:
                raise
            return self._before


class SiteTable:
    """Port `SiteRegister`. Sites are few: all are remembered for a minute, so that a dial waits for no reading."""

    def __init__(
        self,
        table: Table,
        clock: Clock,
        routes: VoiceRouteTable | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`routes` hears of the row of the voice routes whenever it was read."""
        self._table = table
        self._told = ToldRows(telemetry)
        self._routes = routes
        self._clock = clock
        self._lock = threading.Lock()
        self._memory: _Remembered | None = None

    def known(self, deadline: Deadline) -> Pending[SiteMap]:
        """All sites, which may be a minute old."""
        with self._lock:
            known = self._memory
        if known is not None and self._clock.monotonic() < known.until:
            return Answered(known.sites)
        before = known.sites if known is not None else None
        try:
            return _Looked(self, self._rows(deadline), before)
        except Unavailable:
            return Answered(before) if before is not None else _Unknown()

    def all(self, deadline: Deadline) -> list[Site]:
        """All sites as they are now, in the order of their ids."""
        return list(self.remembered(self._rows(deadline).result()).sites)

    def read(self, site_id: str, deadline: Deadline) -> tuple[Site, str] | None:
        """A site as it is now, with its version."""
        row = self._table.get(_site_row(site_id), deadline).result()
        return None if row is None else (self._site_in(row), row.version)

    def save(self, site: Site, version: str | None, deadline: Deadline) -> str:
        """Write a site: any if `version` is None, a new one if it is empty, else only over that version (`Conflict`).

        Gives the new version. Raises `Malformed` where there are as many as there may be.
        """
        key = _site_row(site.site_id)
        values = _values(site)
        while True:
            before = self._table.get(key, deadline).result()
            if version is not None and version != (before.version if before else ""):
                raise Conflict
            if before is None and len(self.all(deadline)) >= MAX_SITES:
                raise Malformed("site_id", f"is that of a site beyond the {MAX_SITES} that there may be")
            write = Insert(key, values) if before is None else Replace(key, values, before.version)
            try:
                saved = self._table.commit([write], deadline)[0]
            except RowConflict:
                if version is not None:
                    raise Conflict from None
                deadline.require()
            else:
                assert saved is not None, "a row that was written has a version"
                return saved
            finally:
                self._forget()

    def save_all(self, sites: Sequence[Site], deadline: Deadline) -> None:
        """Write these over whatever is there, a hundred in each transaction. Raises `Malformed` beyond `MAX_SITES`."""
        require_room(self.all(deadline), sites)
        try:
            for some in batched(sites, MAX_ROWS_A_COMMIT, strict=False):
                self._table.commit([Put(_site_row(each.site_id), _values(each)) for each in some], deadline)
        finally:
            self._forget()

    def remove(self, site_id: str, version: str | None, deadline: Deadline) -> None:
        """Remove a site: any if `version` is None, else only that version. Raises `NotFound`, `Conflict`."""
        try:
            self._table.commit([Delete(_site_row(site_id), version)], deadline)
        except RowConflict:
            if version is None:
                raise NotFound from None
            raise Conflict from None
        finally:
            self._forget()

    def remembered(self, rows: list[Row]) -> SiteMap:
        """Remember the sites for a minute; one that cannot be read is left out."""
        for row in rows:
            if row.key == ROUTES_KEY and self._routes is not None:
                self._routes.met(row)
        own = [row for row in rows if row.key.startswith(_SITE)]
        seen = tuple((row.key, row.version) for row in own)
        with self._lock:
            before = self._memory
        # To sort the networks of a thousand sites holds the interpreter for longer than a dial's reads take.
        unchanged = before is not None and before.of == seen
        sites = before.sites if before is not None and unchanged else self._sorted(own)
        with self._lock:
            self._memory = _Remembered(sites, seen, self._clock.monotonic() + REMEMBERED_S)
        return sites

    def _sorted(self, rows: list[Row]) -> SiteMap:
        return SiteMap(site for site in map(self._readable, rows) if site is not None)

    def _site_in(self, row: Row) -> Site:
        try:
            return read_state(row, Site)
        except Unreadable:
            self._told.tell(row)
            raise

    def _readable(self, row: Row) -> Site | None:
        try:
            return self._site_in(row)
        except Unreadable:
            return None

    def _rows(self, deadline: Deadline) -> Pending[list[Row]]:
        return self._table.between(ROUTES_KEY, with_prefix(_SITE)[1], 1 + MAX_SITES, deadline)

    def _forget(self) -> None:
        with self._lock:
            self._memory = None


def _values(site: Site) -> Values:
    return {"schema": SCHEMA, "state": state_text(site)}


def _site_row(site_id: str) -> str:
    return f"{_SITE}{site_key_of(site_id)}"
