"""The embedded presence service: current presence per agent, in a table (`presence|{agent}`, one row each)."""

from contextlib import suppress

import msgspec
from msgspec import structs

from shared.adapters.table import Delete, Insert, Replace, RowConflict, Table, Values, read_state
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict
from shared.domain.ids import agent_key_of
from shared.domain.presence import Presence, PresenceStatus, without_mark

SCHEMA = 1
NEVER_HEARD_OF = Presence(status=PresenceStatus.OFFLINE)


class PresenceTable:
    """Port `PresenceGateway`. Every write is over the version that was read."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    @property
    def embedded(self) -> bool:
        """It is our own."""
        return True

    def in_outage(self, object_id: str | None) -> "PresenceTable":  # noqa: ARG002 - it lies in the store itself
        """The same: a presence is one row, and tells of its hold itself."""
        return self

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        """The agent's presence now; an agent it has never heard of is offline, and has no version."""
        row = self._table.get(_presence_row(agent_id), deadline).result()
        if row is None:
            return NEVER_HEARD_OF
        return structs.replace(read_state(row, Presence), version=row.version)

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        """Set it over `presence.version`, None meaning that there was none. Raises `Conflict` and `Unavailable`."""
        written = structs.replace(presence, since=presence.since or self._clock.now(), version=None)
        row, values = _presence_row(agent_id), _values_of(written)
        if presence == structs.replace(NEVER_HEARD_OF, version=presence.version):
            return self._remove(row, presence.version, deadline)
        write = Insert(row, values) if presence.version is None else Replace(row, values, presence.version)
        try:
            version = self._table.commit([write], deadline)[0]
        except RowConflict:
            raise Conflict from None
        return structs.replace(written, version=version)

    def _remove(self, row: str, version: str | None, deadline: Deadline) -> Presence:
        """Nothing is kept of an agent of whom nothing was kept before: no time, and no row (B8)."""
        if version is not None:
            try:
                self._table.commit([Delete(row, version)], deadline)
            except RowConflict:
                raise Conflict from None
        return NEVER_HEARD_OF

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> None:
        """Leave nothing of this hold; `Conflict` if somebody else changed it meanwhile."""
        current = self.read(agent_id, deadline)
        plain = without_mark(current, hold_id, self._clock.now())
        if plain != current:
            self.write(agent_id, plain, deadline)

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        """Keep nothing of this agent."""
        # Gone already: somebody else removed it.
        with suppress(RowConflict):
            self._table.commit([Delete(_presence_row(agent_id))], deadline)


def _presence_row(agent_id: str) -> str:
    return f"presence|{agent_key_of(agent_id)}"


def _values_of(presence: Presence) -> Values:
    return {"schema": SCHEMA, "state": msgspec.json.encode(presence).decode()}
