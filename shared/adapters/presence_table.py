"""The embedded presence service: current presence per agent, in a table (`presence|{agent}`, one row each).

The agent's id is a keyed hash. A row under the key of another secret, or of none, moves when it is written.
"""

from contextlib import suppress
from datetime import datetime

from msgspec import structs

from shared.adapters.table import Delete, Insert, Replace, Row, RowConflict, Table, Values, read_state, state_text
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict
from shared.domain.ids import agent_key_of
from shared.domain.presence import Presence, PresenceStatus, without_mark
from shared.ports import Keys

SCHEMA = 1
# What begins the keys of rows that are kept of people.
ROWS_OF_PEOPLE = "presence|"
NOBODY = ""
NEVER_HEARD_OF = Presence(status=PresenceStatus.OFFLINE)


class PresenceTable:
    """Port `PresenceGateway`. Every write is over the version that was read."""

    def __init__(self, table: Table, clock: Clock, keys: Keys) -> None:
        self._table = table
        self._clock = clock
        self._keys = keys

    @property
    def embedded(self) -> bool:
        """It is our own."""
        return True

    def in_outage(self, object_id: str | None) -> "PresenceTable":  # noqa: ARG002 - it lies in the store itself
        """The same: a presence is one row, and tells of its hold itself."""
        return self

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        """The agent's presence now; an agent it has never heard of is offline, and has no version."""
        _, rows = self._rows(agent_id, deadline)
        if not rows:
            return NEVER_HEARD_OF
        return structs.replace(read_state(rows[0], Presence), version=rows[0].version)

    def _rows(self, agent_id: str, deadline: Deadline) -> tuple[list[str], list[Row]]:
        """Where the agent's row may be, the first for what is new, and those that there are, in that order."""
        keys = [f"presence|{key}" for key in self._keys.ring(deadline).all(agent_key_of(agent_id))]
        reads = [self._table.get(key, deadline) for key in keys]
        return keys, [row for row in (read.result() for read in reads) if row is not None]

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        """Set it over `presence.version`, None meaning that there was none. Raises `Conflict` and `Unavailable`."""
        written = structs.replace(presence, since=presence.since or self._clock.now(), version=None)
        values = _values_of(written)
        row, moved = self._place(agent_id, presence.version, deadline)
        if presence == structs.replace(NEVER_HEARD_OF, version=presence.version):
            return self._remove(row, presence.version, moved, deadline)
        over = None if moved else presence.version
        write = Insert(row, values) if over is None else Replace(row, values, over)
        try:
            version = self._table.commit([write, *moved], deadline)[0]
        except RowConflict:
            raise Conflict from None
        return structs.replace(written, version=version)

    def _place(self, agent_id: str, version: str | None, deadline: Deadline) -> tuple[str, list[Delete]]:
        """Where to write what is over that version, and the row of an older key that it takes the place of."""
        keys = self._keys.ring(deadline).all(agent_key_of(agent_id))
        if len(keys) == 1:
            return f"presence|{keys[0]}", []
        places, rows = self._rows(agent_id, deadline)
        older = [Delete(row.key, row.version) for row in rows if row.key != places[0] and row.version == version]
        return places[0], older

    def _remove(self, row: str, version: str | None, moved: list[Delete], deadline: Deadline) -> Presence:
        """Nothing is kept of an agent of whom nothing was kept before: no time, and no row (B8)."""
        if version is not None:
            try:
                self._table.commit(moved or [Delete(row, version)], deadline)
            except RowConflict:
                raise Conflict from None
        return NEVER_HEARD_OF

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
        """Leave nothing of this hold; `Conflict` if somebody else changed it meanwhile."""
        current = self.read(agent_id, deadline)
        plain = without_mark(current, hold_id, self._clock.now())
        if plain != current:
            self.write(agent_id, plain, deadline)
        # What lands late is a write over a version that is gone.
        return None

    def ping(self, deadline: Deadline) -> None:
        """Read nobody's row."""
        self.read(NOBODY, deadline)

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        """Keep nothing of this agent."""
        for row in self._rows(agent_id, deadline)[1]:
            # Gone already: somebody else removed it.
            with suppress(RowConflict):
                self._table.commit([Delete(row.key)], deadline)


def _values_of(presence: Presence) -> Values:
    return {"schema": SCHEMA, "state": state_text(presence)}
