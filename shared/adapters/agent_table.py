"""The directory of agents in a table.

    entry|{agent}             the entry, as JSON; its version is the entry's version
    object|{object}|{agent}   which agents have this Microsoft Entra object id
    identity|{raw}|{agent}    which agents have this ACS identity
    list|…, term|…            for lists and searches (`agent_search`)
    leaving|{agent}           an entry that was removed, until nothing else is left of that person; gone|{object}: whose
                              it was by their Microsoft Entra object id
    pass|entries              how far the entries that a version before wrote without index were given theirs

Entry and index change in one transaction. Outside ids are hashed in every key.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import batched

import msgspec
from msgspec import Struct

from shared.adapters.agent_search import page_of, search_rows
from shared.adapters.table import (
    MAX_ROWS_A_COMMIT,
    Delete,
    Insert,
    Miss,
    Put,
    Read,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    Write,
    key_in,
    long_state_values,
    read_long_state,
    read_row,
    read_state,
    with_prefix,
)
from shared.adapters.told_rows import ToldRows
from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent, AgentsPage
from shared.domain.errors import Conflict, NotFound, Unavailable, Unreadable
from shared.domain.identities import raw_identity
from shared.domain.ids import agent_key_of, key_of
from shared.domain.imports import AgentChange
from shared.domain.stamps import age_of
from shared.ports import READ_AT_ONCE, Answered, Entries, Pending, Telemetry

SCHEMA = 1
# Raised where an entry gets other index rows: a pass over all entries then writes them (`reindex`).
INDEX = 1
ENTRIES_A_PASS = 200
MAX_LEAVING_READ = 50
MAX_LOOKED_AT = 100_000
# The longest call, window, time after the call and cool-down that can be set, a day each: an emergency lasts no longer.
MAX_EMERGENCY = timedelta(days=4)
_PASS_ROW, _PASS_OVER = "pass|entries", "over"
_ENTERED_AT, _OBJECT = "entered_at", "object"
REMEMBERED_S = 60.0
MAX_ENTRIES_REMEMBERED = 20_000
MAX_ENTRIES_WITH_ONE_OBJECT_ID = 10
# Of the index alone, no entry is read: a page of the service.
MAX_KEYS_WITH_ONE_OBJECT_ID = 1000
MAX_ENTRIES_WITH_ONE_IDENTITY = 10
# More than an entry may have (contract): entry and index are one transaction of at most 100 rows.
MAX_IDENTITIES_INDEXED = 20


class _Remembered[T](Struct, frozen=True):
    what: T
    until: float


def _no_rows(rows: list[Row]) -> bool:
    return not rows


def _agents_in(index: list[Row]) -> list[str]:
    """Whose these rows of the index are."""
    return [row.key.rpartition("|")[2] for row in index]


class _Looked:
    """Port `Pending`: an entry that is being read."""

    def __init__(self, directory: "AgentTable", pending: Pending[Row | None]) -> None:
        self._directory = directory
        self._pending = pending

    def result(self) -> Agent | None:
        row = self._pending.result()
        return None if row is None else self._directory.remembered(self._directory.seen(row))


class _Own:
    """Port `Pending`: a signed-in agent's own entries, which are being looked up by their object id."""

    def __init__(self, directory: "AgentTable", object_key: str, index: Pending[list[Row]], deadline: Deadline) -> None:
        self._directory = directory
        self._object_key = object_key
        self._index = index
        self._deadline = deadline

    def result(self) -> tuple[Agent, ...]:
        keys = _agents_in(self._index.result())
        mine = sorted(self._directory.entries(keys, self._deadline), key=lambda agent: agent.agent_id)
        return self._directory.remembered_as_own(self._object_key, tuple(mine))


class _OwnLeft:
    """Port `Pending`: the id of a signed-in agent's entry that was removed, unless somebody else was given it."""

    def __init__(self, table: Table, pending: Pending[Row | None], deadline: Deadline) -> None:
        self._table = table
        self._left = Read(pending, _left_in)
        self._deadline = deadline

    def result(self) -> str | None:
        left = self._left.result()
        if left is None:
            return None
        entered = self._table.get(_entry_row(agent_key_of(left)), self._deadline).result()
        return left if entered is None else None


class AgentTable:
    """Port `AgentDirectory`. Entries are remembered for a minute; that there is none is not.

    `anybody_unlisted` says whether an unlisted agent has an emergency; without it nobody has.
    """

    def __init__(
        self,
        table: Table,
        clock: Clock,
        anybody_unlisted: Callable[[Deadline], bool] = lambda _deadline: False,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._table = table
        self._told = ToldRows(telemetry)
        self._clock = clock
        self._anybody_unlisted = anybody_unlisted
        self._entered_at: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, _Remembered[Agent]] = OrderedDict()
        self._owners: OrderedDict[str, _Remembered[tuple[Agent, ...]]] = OrderedDict()
        self._pass_is_over = False

    def find(self, agent_id: str, deadline: Deadline) -> Pending[Agent | None]:
        """An agent's entry, which may be a minute old."""
        key = agent_key_of(agent_id)
        known = self._recent(key)
        return _Looked(self, self._table.get(_entry_row(key), deadline)) if known is None else Answered(known)

    def is_empty(self, deadline: Deadline) -> Pending[bool]:
        """Whether nobody has been entered yet; reads nothing where an entry was ever seen."""
        with self._lock:
            seen = bool(self._memory)
        return Answered(False) if seen else Read(self._table.between(*with_prefix("entry|"), 1, deadline), _no_rows)

    def recent(self, agent_id: str) -> Agent | None:
        """The entry as this process read it within the last minute, None where it did not; reads nothing."""
        return self._recent(agent_key_of(agent_id))

    def last_known(self, agent_id: str) -> Agent | None:
        """The entry as this process read it last, however long ago that was; reads nothing."""
        with self._lock:
            known = self._memory.get(agent_key_of(agent_id))
        return known.what if known is not None else None

    def last_own(self, object_id: str) -> tuple[Agent, ...]:
        """The entries with this object id as this process read them last, however long ago; reads nothing."""
        with self._lock:
            known = self._owners.get(_object_key(object_id))
        return known.what if known is not None else ()

    def _recent(self, agent_key: str) -> Agent | None:
        with self._lock:
            known = self._memory.get(agent_key)
        return known.what if known is not None and self._clock.monotonic() < known.until else None

    def read(self, agent_id: str, deadline: Deadline) -> tuple[Agent, str] | None:
        """An agent's entry as it is now, with its version."""
        row = self._table.get(_entry_row(agent_key_of(agent_id)), deadline).result()
        return None if row is None else (self.remembered(self.seen(row)), row.version)

    def seen(self, row: Row) -> Agent:
        """The entry in a row, of which it is noted whether it was made in the middle of somebody's emergency."""
        try:
            agent, at = _agent_in(row), read_row(row, _entered_at)
        except Unreadable:
            self._told.tell(row)
            raise
        with self._lock:
            self._entered_at.pop(agent.key, None)
            if at is not None:
                self._entered_at[agent.key] = at
        return agent

    def may_have_begun_before(self, agent: Agent) -> bool:
        """Whether an emergency of theirs may have begun under another id than this entry's; reads nothing.

        Before they had it, or under that of another entry with their object id, which this process has seen.
        """
        with self._lock:
            at = self._entered_at.get(agent.key)
        if at is not None and age_of(at, self._clock.now()) < MAX_EMERGENCY:
            return True
        return bool(agent.entra_object_id) and len(self.last_own(agent.entra_object_id or "")) > 1

    def left(self, agent_id: str, deadline: Deadline) -> Pending[str | None]:
        """The id of this entry, where it was removed and something may be left of that person."""
        return Read(self._table.get(_leaving_row(agent_key_of(agent_id)), deadline), _left_in)

    def own_left(self, object_id: str, deadline: Deadline) -> Pending[str | None]:
        """As `left`, of the entry that had this Microsoft Entra object id; None where that id is another's by now."""
        return _OwnLeft(self._table, self._table.get(_gone_row(_object_key(object_id)), deadline), deadline)

    def own(self, object_id: str, deadline: Deadline) -> Pending[tuple[Agent, ...]]:
        """The entries with this Microsoft Entra object id, in the order of their ids; they may be a minute old."""
        object_key = _object_key(object_id)
        with self._lock:
            known = self._owners.get(object_key)
        if known is not None and self._clock.monotonic() < known.until:
            return Answered(known.what)
        index = self._index_of(object_key, MAX_ENTRIES_WITH_ONE_OBJECT_ID, deadline)
        return _Own(self, object_key, index, deadline)

    def own_keys(self, object_id: str, deadline: Deadline) -> Pending[list[str]]:
        """The keys of all entries with this Microsoft Entra object id, as they are now."""
        return Read(self._index_of(_object_key(object_id), MAX_KEYS_WITH_ONE_OBJECT_ID, deadline), _agents_in)

    def _index_of(self, object_key: str, limit: int, deadline: Deadline) -> Pending[list[Row]]:
        return self._table.between(*with_prefix(f"object|{object_key}|"), limit, deadline)

    def holders_of(self, identity: str, deadline: Deadline) -> Pending[list[str]]:
        """The keys of the agents to whom an entry gives this raw ACS identity."""
        first, end = with_prefix(f"identity|{key_of(raw_identity(identity))}|")
        return Read(self._table.between(first, end, MAX_ENTRIES_WITH_ONE_IDENTITY, deadline), _agents_in)

    def entries(self, agent_keys: Sequence[str], deadline: Deadline) -> list[Agent]:
        """The entries of these agents, read at once; those that are gone are left out."""
        reads = [self._table.get(_entry_row(key), deadline) for key in agent_keys]
        return [self.seen(row) for row in (read.result() for read in reads) if row is not None]

    def save(self, agent: Agent, version: str | None, deadline: Deadline) -> str:
        """Write an entry: any if `version` is None, a new one if it is empty, else only over that version.

        Gives the new version. Raises `Conflict`, and `Unavailable`.
        """
        while True:
            before = self._table.get(_entry_row(agent.key), deadline).result()
            if version is not None and version != (before.version if before else ""):
                raise Conflict
            self._known(before)
            [entered_at] = self._entered_now([(agent, before)], deadline)
            try:
                return self._commit(agent, before, deadline, entered_at)
            except RowConflict:
                if version is not None:
                    raise Conflict from None
                deadline.require()

    def _known(self, row: Row | None) -> Agent | None:
        """The entry in the row; None where there is none, or it cannot be read: told, it is one to be written over."""
        if row is None:
            return None
        agent = _readable(row)
        if agent is None:
            self._told.tell(row)
        return agent

    def _entered_now(self, entered: Sequence[tuple[Agent, Row | None]], deadline: Deadline) -> list[datetime | None]:
        """What each of these entries, over what was there, is marked with; None where nobody's emergency is elsewhere.

        It is while an unlisted agent has one, and where another entry has, or had, the object id that this one gets.
        """
        now = self._clock.now()
        try:
            anybody = self._anybody_unlisted(deadline)
        except Unavailable:
            anybody = True
        if anybody:
            return [now] * len(entered)
        marks: list[datetime | None] = []
        for some in batched(entered, READ_AT_ONCE, strict=False):
            looks = [self._look_elsewhere(agent, before, deadline) for agent, before in some]
            marks += [now if any(look.result() for look in each) else None for each in looks]
        return marks

    def _look_elsewhere(self, agent: Agent, before: Row | None, deadline: Deadline) -> Sequence[Pending[bool]]:
        """Whether another entry has, or had, the object id that this one gets; nothing where it had that before."""
        if not agent.entra_object_id or _is_same_person(agent, before):
            return ()
        object_key = _object_key(agent.entra_object_id)
        others = Read(self._index_of(object_key, 2, deadline), lambda rows: _anybody_but(agent.key, rows))
        return others, Read(self._table.get(_gone_row(object_key), deadline), lambda row: row is not None)

    def _mark_others(self, entry: Row, deadline: Deadline) -> None:
        """Mark the other entries with the object id of one that is removed: their agent's emergency may be under it."""
        agent = _readable(entry)
        if agent is None or not agent.entra_object_id:
            return
        for key in self.own_keys(agent.entra_object_id, deadline).result():
            if key != agent.key:
                self._mark(key, deadline)

    def _mark(self, agent_key: str, deadline: Deadline) -> None:
        while True:
            row = self._table.get(_entry_row(agent_key), deadline).result()
            if row is None:
                return
            marked = row.values | {_ENTERED_AT: self._clock.now().isoformat()}
            try:
                self._table.commit([Replace(row.key, marked, row.version)], deadline)
            except RowConflict:
                deadline.require()
            else:
                return
            finally:
                self._forget(agent_key)

    def remove(self, agent_id: str, version: str | None, deadline: Deadline) -> None:
        """Remove an entry, whatever it is if `version` is None; what else is kept of that person is `leaving` then.

        Raises `NotFound`, `Conflict`, and `Unavailable`.
        """
        key = agent_key_of(agent_id)
        while True:
            before = self._table.get(_entry_row(key), deadline).result()
            if before is None:
                raise NotFound
            if version is not None and version != before.version:
                raise Conflict
            self._known(before)
            # Before it is gone: a mark that turns out to be needless costs a reading.
            self._mark_others(before, deadline)
            gone: list[Write] = [Delete(row) for row in sorted(_index_rows_of(before))]
            try:
                self._write([Delete(before.key, before.version), *_leaving_rows(agent_id, before), *gone], deadline)
            except RowConflict:
                if version is not None:
                    raise Conflict from None
                deadline.require()
            else:
                return
            finally:
                self._forget(key)

    def leaving(self, deadline: Deadline) -> list[str]:
        """The ids of some whose entries were removed, of whom something may be left."""
        rows = self._table.between(*with_prefix("leaving|"), MAX_LEAVING_READ, deadline).result()
        return [agent_id for agent_id in map(_leaving_in, rows) if agent_id is not None]

    def forget_left(self, agent_id: str, deadline: Deadline) -> None:
        """Nothing is left of that person, or they are back."""
        row = self._table.get(_leaving_row(agent_key_of(agent_id)), deadline).result()
        if row is None:
            return
        over: list[Write] = [Delete(row.key)]
        with suppress(Unreadable):
            # One without an object id names none, and neither does one that is damaged.
            over.append(Delete(_gone_row(read_row(row, lambda each: key_in(each, _OBJECT)))))
        with suppress(RowConflict):
            self._write(over, deadline)

    def listed(self, starts_with: str, limit: int, cursor: str, deadline: Deadline) -> AgentsPage:
        """A page of the agents whose id, name or a word of it begins so, in the order of names."""
        return page_of(self._table, starts_with, limit, cursor, deadline)

    def all_after(self, agent_key: str, limit: int, deadline: Deadline) -> list[Agent]:
        """The next entries in the order of their keys; such as cannot be read are left out."""
        first, end = f"entry|{agent_key} ", with_prefix("entry|")[1]
        rows = self._table.between(first, end, limit, deadline).result()
        return [agent for agent in map(_readable, rows) if agent is not None]

    def look(self, deadline: Deadline) -> dict[str, Row]:
        """All entries as they are now, for `apply`. Raises `Unavailable`."""
        rows = self._table.between(*with_prefix("entry|"), MAX_LOOKED_AT, deadline).result()
        return {row.key: row for row in rows}

    def apply(self, changes: Sequence[AgentChange], entries: Entries | None, deadline: Deadline) -> int:
        """Write what an import says of these agents, several in each transaction; gives of how many.

        An entry that cannot be read is written over; where `entries` are old by now, they are read anew. Raises
        `Unavailable`.
        """
        keys = [_entry_row(agent_key_of(each.agent_id)) for each in changes]
        if isinstance(entries, dict) and len(entries) < MAX_LOOKED_AT:
            rows: list[Row | None] = [entries.get(key) for key in keys]
        else:
            rows = []
            for some in batched(keys, READ_AT_ONCE, strict=False):
                reads = [self._table.get(key, deadline) for key in some]
                rows += [read.result() for read in reads]
        group = _Group()
        known = [self._known(before) for before in rows]
        agents = [change.over(each) for change, each in zip(changes, known, strict=True)]
        marks = self._entered_now(list(zip(agents, rows, strict=True)), deadline)
        for change, before, was, agent, entered_at in zip(changes, rows, known, agents, marks, strict=True):
            if agent == was:
                continue
            writes = _writes_of(agent, before, entered_at)
            if len(group.writes) + len(writes) > MAX_ROWS_A_COMMIT:
                self._apply_group(group, deadline)
                group = _Group()
            group.add(change, agent, writes)
        self._apply_group(group, deadline)
        return len(changes)

    def _apply_group(self, group: "_Group", deadline: Deadline) -> None:
        if not group.writes:
            return
        try:
            self._write(group.writes, deadline)
        except RowConflict:
            # Somebody else wrote one of them meanwhile: what the import says is put over that.
            for change in group.changes:
                row = self._table.get(_entry_row(agent_key_of(change.agent_id)), deadline).result()
                self.save(change.over(self._known(row)), None, deadline)
        finally:
            for agent in group.agents:
                self._forget(agent.key, agent.entra_object_id)

    def reindex(self, deadline: Deadline) -> int:
        """Give the next entries that an earlier version wrote the rows that they lack; gives how many got them.

        A pass goes on where the last run ended, and is over for good once it has seen all: from then on nothing is
        asked. Raises `Unavailable`.
        """
        if self._pass_is_over:
            return 0
        mark = self._table.get(_PASS_ROW, deadline).result()
        after = str(mark.values.get("after", "")) if mark is not None and mark.values.get("index") == INDEX else ""
        if after == _PASS_OVER:
            self._pass_is_over = True
            return 0
        rows = self._table.between(f"entry|{after}", with_prefix("entry|")[1], ENTRIES_A_PASS, deadline).result()
        lacking = [row for row in rows if row.values.get("index") != INDEX]
        for row in lacking:
            agent = _readable(row)
            # Somebody else has written it meanwhile: with its rows.
            with suppress(RowConflict):
                if agent is not None:
                    self._commit(agent, row, deadline)
        over = len(rows) < ENTRIES_A_PASS
        after = _PASS_OVER if over else f"{rows[-1].key.partition('|')[2]} "
        self._table.commit([Put(_PASS_ROW, {"schema": SCHEMA, "index": INDEX, "after": after})], deadline)
        return len(lacking)

    def remembered_as_own(self, object_key: str, agents: tuple[Agent, ...]) -> tuple[Agent, ...]:
        """Remember whose entries they are for a minute, and forget the oldest where there are too many."""
        with self._lock:
            if agents:
                _keep(self._owners, object_key, _Remembered(agents, self._clock.monotonic() + REMEMBERED_S))
        return agents

    def remembered(self, agent: Agent) -> Agent:
        """Remember the entry for a minute, and forget the oldest where there are too many."""
        with self._lock:
            _keep(self._memory, agent.key, _Remembered(agent, self._clock.monotonic() + REMEMBERED_S))
        return agent

    def _write(self, writes: list[Write], deadline: Deadline) -> str | None:
        """Commit all; a version before this one wrote fewer index rows, and what is not there need not be removed."""
        while True:
            try:
                return self._table.commit(writes, deadline)[0]
            except RowConflict as conflict:
                missed = writes[conflict.index]
                if conflict.miss is not Miss.MISSING or not isinstance(missed, Delete):
                    raise
                deadline.require()
                writes = [write for write in writes if write is not missed]

    def _commit(self, agent: Agent, before: Row | None, deadline: Deadline, entered_at: datetime | None = None) -> str:
        try:
            version = self._write(_writes_of(agent, before, entered_at), deadline)
        finally:
            # Also where it failed: a write that timed out may have been made.
            self._forget(agent.key, agent.entra_object_id)
        assert version is not None, "an entry that was written has a version"
        return version

    def _forget(self, agent_key: str, object_id: str | None = None) -> None:
        """Forget an entry, and whose it was and, by this object id, whose it is."""
        with self._lock:
            self._memory.pop(agent_key, None)
            self._owners.pop(_object_key(object_id or ""), None)
            self._owners = OrderedDict(
                (key, each) for key, each in self._owners.items() if all(agent.key != agent_key for agent in each.what)
            )


def _keep[T](memory: OrderedDict[str, _Remembered[T]], key: str, remembered: _Remembered[T]) -> None:
    memory[key] = remembered
    memory.move_to_end(key)
    if len(memory) > MAX_ENTRIES_REMEMBERED:
        memory.popitem(last=False)


class _Group:
    """Entries that are written in one transaction."""

    def __init__(self) -> None:
        self.changes: list[AgentChange] = []
        self.agents: list[Agent] = []
        self.writes: list[Write] = []

    def add(self, change: AgentChange, agent: Agent, writes: list[Write]) -> None:
        self.changes.append(change)
        self.agents.append(agent)
        self.writes += writes


def _writes_of(agent: Agent, before: Row | None, entered_at: datetime | None = None) -> list[Write]:
    row, values = _entry_row(agent.key), _values_of(agent) | _entered(agent, before, entered_at)
    entry = Insert(row, values) if before is None else Replace(row, values, before.version)
    return [entry, *_index_writes(agent, before)]


def _entered(agent: Agent, before: Row | None, at: datetime | None) -> Values:
    """The mark of an entry that became somebody's in the middle of an emergency; it stays as long as it is theirs."""
    if before is not None and _is_same_person(agent, before):
        # A mark that cannot be read counts as one of now.
        with suppress(Unreadable):
            at = read_row(before, _entered_at)
    return {} if at is None else {_ENTERED_AT: at.isoformat()}


def _is_same_person(agent: Agent, before: Row | None) -> bool:
    known = _readable(before) if before is not None else None
    return known is not None and known.entra_object_id == agent.entra_object_id


def _anybody_but(agent_key: str, index: Sequence[Row]) -> bool:
    return any(row.key.rpartition("|")[2] != agent_key for row in index)


def _entered_at(row: Row) -> datetime | None:
    at = row.values.get(_ENTERED_AT)
    return None if at is None else datetime.fromisoformat(str(at))


def _index_writes(agent: Agent, before: Row | None) -> list[Write]:
    old = _index_rows_of(before) if before is not None else set()
    new = _index_rows(agent)
    # Also what should be there already: a version before this one wrote fewer of them.
    put: list[Write] = [Put(row, new[row]) for row in sorted(new)]
    return [*put, *(Delete(row) for row in sorted(old - new.keys()))]


def _index_rows(agent: Agent) -> dict[str, Values]:
    bare: Values = {"schema": SCHEMA}
    identities = agent.acs_user_ids[:MAX_IDENTITIES_INDEXED]
    rows = {f"identity|{key_of(raw_identity(each))}|{agent.key}": bare for each in identities}
    if agent.entra_object_id:
        rows[_object_row(agent.entra_object_id, agent.key)] = bare
    return rows | search_rows(agent)


def _index_rows_of(row: Row) -> set[str]:
    """Those that are known: what an entry that cannot be read has, the next one of that agent takes over or leaves."""
    agent = _readable(row)
    return set(_index_rows(agent)) if agent is not None else set()


def _entry_row(agent_key: str) -> str:
    return f"entry|{agent_key}"


def _leaving_rows(agent_id: str, entry: Row) -> list[Write]:
    values: Values = {"schema": SCHEMA, "state": msgspec.json.encode(agent_id).decode()}
    agent = _readable(entry)
    object_id = agent.entra_object_id if agent is not None else None
    if not object_id:
        return [Put(_leaving_row(agent_key_of(agent_id)), values)]
    object_key = _object_key(object_id)
    leaving = Put(_leaving_row(agent_key_of(agent_id)), values | {_OBJECT: object_key})
    return [leaving, Put(_gone_row(object_key), values)]


def _gone_row(object_key: str) -> str:
    return f"gone|{object_key}"


def _leaving_row(agent_key: str) -> str:
    return f"leaving|{agent_key}"


def _left_in(row: Row | None) -> str | None:
    return None if row is None else _leaving_in(row)


def _leaving_in(row: Row) -> str | None:
    try:
        return read_state(row, str)
    except Unreadable:
        return None


def _readable(row: Row) -> Agent | None:
    try:
        return _agent_in(row)
    except Unreadable:
        return None


def _object_row(object_id: str, agent_key: str) -> str:
    return f"object|{_object_key(object_id)}|{agent_key}"


def _object_key(object_id: str) -> str:
    return key_of(object_id.casefold())


def _values_of(agent: Agent) -> Values:
    return long_state_values(agent, schema=SCHEMA) | {"index": INDEX}


def _agent_in(row: Row) -> Agent:
    # The dial of an agent whose entry it is gets the answer of an outage; an administrator writes over it unseen.
    return read_long_state(row, Agent)
