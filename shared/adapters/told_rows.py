"""Rows that cannot be used and stay where they are: the log is told of each (`row_set_aside`), once in a process."""

from collections.abc import Iterable

from shared.adapters.table import KEY, Row, kind_of
from shared.ports import Telemetry

# Beyond that, more rows are hardly news.
MAX_TOLD = 1_000


class ToldRows:
    """Which rows this process has told the log of, each as it was then; without telemetry nothing is told."""

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self._telemetry = telemetry
        self._told: set[tuple[str, str]] = set()

    def tell(self, row: Row) -> None:
        """The row cannot be used. Told again once somebody has changed it."""
        seen = row.key, row.version
        if self._telemetry is None or seen in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add(seen)
        self._telemetry.emit("row_set_aside", kind=kind_of(row.key))

    def named(self, rows: Iterable[Row]) -> list[Row]:
        """Those that a request can name. The others are left out of every range: no request could move them."""
        found: list[Row] = []
        for row in rows:
            if KEY.fullmatch(row.key):
                found.append(row)
            else:
                self.tell(row)
        return found
