"""What a presence service cannot carry of a hold: a row of ours for each agent whose presence is held.

    presencemark|{agent}   (the id as a keyed hash) whose hold it is, what it found and what was set for it

It is written before the service is asked, so that whatever lands there can be taken away again, and it goes with
`PresenceGateway.forget`. While the store is away marks are kept in memory (specification B1).
"""

import threading
from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.adapters.recent import Recent
from shared.adapters.table import (
    Delete,
    Insert,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    Write,
    read_state,
    state_text,
)
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict
from shared.domain.ids import agent_key_of
from shared.domain.presence import Presence, PresenceStatus
from shared.ports import Keys

SCHEMA = 1
MAX_UNRECORDED = 10_000


class Mark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hold of ours in a presence service.

    `user_id` is the service's own id of the agent. `before` and what follows it is what the hold found. `set_at` is
    when the set began that this mark was written for, `failed` that the service is not known to have taken it,
    `confirmed` that the service was seen to show it, `ways` the gateway's own words for what it sets, `returned_at`
    when it was given back. `unsure_at` is when a set was last not known to have been taken: it may still land. `over`
    is the service's stamp of what the latest set was put over, `seen` that of the hold when it was first seen; `away`
    that the agent was seen signed out since, `unsure` that an earlier set may still be on its way. `version` is the
    row's, "" for a mark that no row was written for yet.
    """

    hold_id: str
    user_id: str
    before: PresenceStatus
    before_native: str | None = None
    before_set_by: str | None = None
    before_since: datetime | None = None
    set_at: datetime
    failed: bool = False
    confirmed: bool = False
    ways: tuple[str, ...] = ()
    in_outage: bool = False
    returned_at: datetime | None = None
    unsure_at: datetime | None = None
    over: str = ""
    seen: str = ""
    away: bool = False
    unsure: bool = False
    version: str = ""


def mark_of(wanted: Presence, user_id: str, now: datetime) -> Mark:
    """The mark of a hold that is about to be set (`held_presence`)."""
    assert wanted.hold_id is not None and wanted.before is not None, "a hold carries whose it is and what it found"
    return Mark(
        hold_id=wanted.hold_id,
        user_id=user_id,
        before=wanted.before,
        before_native=wanted.before_native,
        before_set_by=wanted.before_set_by,
        before_since=wanted.before_since,
        set_at=now,
    )


def marked(shown: Presence, mark: Mark) -> Presence:
    """What the service shows, as our own: whose hold it is, since when, and what it found."""
    return structs.replace(
        shown,
        since=mark.set_at,
        hold_id=mark.hold_id,
        before=mark.before,
        before_native=mark.before_native,
        before_set_by=mark.before_set_by,
        before_since=mark.before_since,
    )


class PresenceMarks:
    """The marks of a deployment, in its table. Everything but the memory raises `Unavailable`.

    Memory `lasts` for the window, for which a dial may still be recorded: another process may have recorded it, given
    presence back, and forgotten the hold without a word to this one.
    """

    def __init__(self, table: Table, keys: Keys, *, clock: Clock, lasts: timedelta) -> None:
        self._table = table
        self._keys = keys
        self._lock = threading.Lock()
        self._unrecorded: Recent[Mark] = Recent(clock, lasts=lasts, most=MAX_UNRECORDED)

    def of(self, agent_id: str, deadline: Deadline) -> Mark | None:
        """The mark of this agent's hold; of one that was set in an outage only once it was kept."""
        row = self._rows(agent_id, deadline)[1]
        if row is None:
            return None
        return structs.replace(read_state(row, Mark), version=row.version)

    def _rows(self, agent_id: str, deadline: Deadline) -> tuple[str, Row | None]:
        """Where the agent's mark is, or where a new one goes. It stays under the key that it was written with."""
        keys = [f"presencemark|{key}" for key in self._keys.ring(deadline).all(agent_key_of(agent_id))]
        reads = [self._table.get(key, deadline) for key in keys]
        row = next((row for row in (read.result() for read in reads) if row is not None), None)
        return row.key if row is not None else keys[0], row

    def _place(self, agent_id: str, deadline: Deadline) -> str:
        keys = self._keys.ring(deadline).all(agent_key_of(agent_id))
        return f"presencemark|{keys[0]}" if len(keys) == 1 else self._rows(agent_id, deadline)[0]

    @property
    def any_unrecorded(self) -> bool:
        """Whether this process has set a hold while the store was away, of which no row was written yet."""
        with self._lock:
            return len(self._unrecorded) > 0

    def unrecorded(self, user_id: str) -> Mark | None:
        """The mark of such a hold, by the service's id of the agent; reads nothing.

        Which agent that is could not be looked up: by the id that the agent gave, a hold could be taken for another's.
        """
        with self._lock:
            return self._unrecorded.get(user_id)

    def keep(self, agent_id: str, mark: Mark, deadline: Deadline) -> Mark:
        """Write it over the version that was read; gives it with its new one. Raises `Conflict`."""
        row, values = self._place(agent_id, deadline), _values_of(mark)
        write: Write = Replace(row, values, mark.version) if mark.version else Insert(row, values)
        try:
            version = self._table.commit([write], deadline)[0]
        except RowConflict:
            raise Conflict from None
        self.drop(mark.user_id)
        return structs.replace(mark, version=version or "")

    def keep_in_memory(self, mark: Mark) -> Mark:
        """Remember it in this process, because the store is away; the next `keep` writes it."""
        with self._lock:
            self._unrecorded.note(mark.user_id, mark)
        return mark

    def remove(self, agent_id: str, mark: Mark | None, deadline: Deadline) -> None:
        """Keep nothing: of this mark as it was read (`Conflict` if it changed since), of any row if it is None."""
        if mark is not None:
            self.drop(mark.user_id)
            if not mark.version:
                return
        try:
            self._table.commit([Delete(self._place(agent_id, deadline), mark.version if mark else None)], deadline)
        except RowConflict:
            # Without a version, gone already: somebody else removed it.
            if mark is not None:
                raise Conflict from None

    def settled(self, mark: Mark) -> None:
        """Forget what is unrecorded of this one, unless it was set later than what its row says."""
        with self._lock:
            unrecorded = self._unrecorded.get(mark.user_id)
            if unrecorded is not None and unrecorded.set_at <= mark.set_at:
                self._unrecorded.drop(mark.user_id)

    def drop(self, user_id: str) -> None:
        """Forget what is unrecorded of this one."""
        with self._lock:
            self._unrecorded.drop(user_id)


def _values_of(mark: Mark) -> Values:
    return {"schema": SCHEMA, "state": state_text(structs.replace(mark, version=""))}
