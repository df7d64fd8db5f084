"""The voice routes as last read, in the table of the directory.

    sip|routes    the routes in their order, as JSON, and when they were read

The row lies right before the sites' (`site|…`), so that the range which a dial reads anyway brings it along: a process
that has just started knows the routes too, and no dial asks once more.
"""

import threading

from msgspec import structs

from shared.adapters.table import Put, Row, Table, long_state_values, read_long_state
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unreadable
from shared.domain.stamps import is_ahead
from shared.domain.voice_routes import MAX_PATTERN_CHARACTERS, RoutesRead, VoiceRoute

SCHEMA = 1
ROUTES_KEY = "sip|routes"
MAX_NAME_CHARACTERS = 100


class VoiceRouteTable:
    """Port `VoiceRoutes`: the newest that this process has read, or met in the table."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._known: RoutesRead | None = None

    def remembered(self) -> RoutesRead | None:
        """The routes as last read, None where this process knows of no reading; asks nobody."""
        return self._known

    def keep(self, read: RoutesRead, deadline: Deadline) -> None:
        """Remember these and store them; does nothing for what is not newer. Raises `Unavailable`."""
        short = RoutesRead(routes=tuple(map(_short, read.routes)), at=read.at)
        known = self._known
        if known is not None and known.at >= short.at:
            return
        # The newest reading counts, so whichever process writes last does no harm: a Put needs no version.
        self._table.commit([Put(ROUTES_KEY, long_state_values(short, schema=SCHEMA))], deadline)
        self._remember(short)

    def met(self, row: Row) -> None:
        """The row was read together with the sites; one that cannot be read, or is ahead, leaves what is known."""
        try:
            read = read_long_state(row, RoutesRead)
        except Unreadable:
            return
        if not is_ahead(read.at, self._clock.now()):
            self._remember(read)

    def _remember(self, read: RoutesRead) -> None:
        with self._lock:
            if self._known is None or self._known.at < read.at:
                self._known = read


def _short(route: VoiceRoute) -> VoiceRoute:
    """What a dial needs of a route. A pattern that is longer than one that can be judged stays longer than that."""
    return structs.replace(
        route,
        name=route.name[:MAX_NAME_CHARACTERS],
        number_pattern=route.number_pattern[: MAX_PATTERN_CHARACTERS + 1],
        trunks=(),
    )
