"""The directory of agents in a table.

    entry|{agent}             the entry, as JSON; its version is the entry's version
    object|{object}|{agent}   which agents have this Microsoft Entra object id

Entry and index change in one transaction. Outside ids are hashed in every key.
"""

import threading
from collections import OrderedDict

import msgspec
from msgspec import Struct

from shared.adapters.table import (
    Delete,
    Insert,
    Put,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    Write,
    read_row,
    with_prefix,
)
from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.errors import Conflict
from shared.domain.ids import key_of
from shared.ports import Pending

SCHEMA = 1
REMEMBERED_S = 60.0
MOST_REMEMBERED = 20_000
MOST_WITH_ONE_OBJECT_ID = 10
# Table storage keeps at most 32,768 UTF-16 units in one text; characters outside the BMP take two.
_LONGEST_PART = 15_000


class _Remembered(Struct, frozen=True):
    agent: Agent
    until: float


class _Found:
    """Port `Pending`: an entry that was remembered."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def result(self) -> Agent | None:
        return self._agent


class _Looked:
    """Port `Pending`: an entry that is being read."""

    def __init__(self, directory: "AgentTable", pending: Pending[Row | None]) -> None:
        self._directory = directory
        self._pending = pending

    def result(self) -> Agent | None:
        row = self._pending.result()
        return None if row is None else self._directory.remembered(_agent_in(row))


class AgentTable:
    """Port `AgentDirectory`. Entries are remembered for a minute; that there is none is not."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._memory: OrderedDict[str, _Remembered] = OrderedDict()

    def find(self, agent_id: str, deadline: Deadline) -> Pending[Agent | None]:
        """An agent's entry, which may be a minute old."""
        key = key_of(agent_id)
        with self._lock:
            known = self._memory.get(key)
        if known is not None and self._clock.monotonic() < known.until:
            return _Found(known.agent)
        return _Looked(self, self._table.get(_entry_row(key), deadline))

    def read(self, agent_id: str, deadline: Deadline) -> tuple[Agent, str] | None:
        """An agent's entry as it is now, with its version."""
        row = self._table.get(_entry_row(key_of(agent_id)), deadline).result()
        return None if row is None else (self.remembered(_agent_in(row)), row.version)

    def find_by_object_id(self, object_id: str, deadline: Deadline) -> list[Agent]:
        """The entries with this Microsoft Entra object id: one as a rule, more where somebody mistyped."""
        first, end = with_prefix(f"object|{_object_key(object_id)}|")
        index = self._table.between(first, end, MOST_WITH_ONE_OBJECT_ID, deadline).result()
        reads = [self._table.get(_entry_row(row.key.rpartition("|")[2]), deadline) for row in index]
        return [_agent_in(row) for row in (read.result() for read in reads) if row is not None]

    def save(self, agent: Agent, version: str | None, deadline: Deadline) -> str:
        """Write an entry: any if `version` is None, a new one if it is empty, else only over that version.

        Gives the new version. Raises `Conflict`, and `Unavailable`.
        """
        while True:
            before = self._table.get(_entry_row(agent.key), deadline).result()
            if version is not None and version != (before.version if before else ""):
                raise Conflict
            try:
                return self._commit(agent, before, deadline)
            except RowConflict:
                if version is not None:
                    raise Conflict from None
                deadline.require()

    def remembered(self, agent: Agent) -> Agent:
        """Remember the entry for a minute, and forget the oldest where there are too many."""
        with self._lock:
            self._memory[agent.key] = _Remembered(agent, self._clock.monotonic() + REMEMBERED_S)
            self._memory.move_to_end(agent.key)
            if len(self._memory) > MOST_REMEMBERED:
                self._memory.popitem(last=False)
        return agent

    def _commit(self, agent: Agent, before: Row | None, deadline: Deadline) -> str:
        row = _entry_row(agent.key)
        values = _values_of(agent)
        entry = Insert(row, values) if before is None else Replace(row, values, before.version)
        try:
            version = self._table.commit([entry, *_index_writes(agent, before)], deadline)[0]
        finally:
            # Also where it failed: a write that timed out may have been made.
            with self._lock:
                self._memory.pop(agent.key, None)
        assert version is not None, "an entry that was written has a version"
        return version


def _index_writes(agent: Agent, before: Row | None) -> list[Write]:
    old = _object_row(_agent_in(before)) if before is not None else None
    new = _object_row(agent)
    put: list[Write] = [Put(new, {"schema": SCHEMA})] if new is not None and new != old else []
    removed: list[Write] = [Delete(old)] if old is not None and old != new else []
    return put + removed


def _entry_row(agent_key: str) -> str:
    return f"entry|{agent_key}"


def _object_row(agent: Agent) -> str | None:
    return f"object|{_object_key(agent.entra_object_id)}|{agent.key}" if agent.entra_object_id else None


def _object_key(object_id: str) -> str:
    return key_of(object_id.casefold())


def _values_of(agent: Agent) -> Values:
    state = msgspec.json.encode(agent).decode()
    parts = [state[start : start + _LONGEST_PART] for start in range(0, len(state), _LONGEST_PART)]
    return {"schema": SCHEMA, "parts": len(parts), **{f"state{index}": part for index, part in enumerate(parts)}}


def _agent_in(row: Row) -> Agent:
    # Nobody writes over what they cannot see; the dial of an agent whose entry it is gets the answer of an outage.
    return read_row(row, _decoded)


def _decoded(row: Row) -> Agent:
    # Tolerant toward stored rows: unknown fields are passed over, missing ones have defaults.
    state = "".join(str(row.values[f"state{index}"]) for index in range(int(row.values["parts"])))
    return msgspec.json.decode(state, type=Agent)
