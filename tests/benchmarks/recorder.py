"""What the product asks of a table, taken down in memory and carried out again on a real one without the product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import batched

from msgspec import Struct, structs

from shared.adapters.table import MAX_ROWS_A_COMMIT, Delete, Replace, Row, Table, Write, with_prefix
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.ports import Pending
from tests.fakes.house import House
from tests.fakes.memory_table import MemoryTable


class Get(Struct, frozen=True):
    """A point read."""

    key: str


class Between(Struct, frozen=True):
    """A range read."""

    first: str
    end: str
    limit: int


type Read = Get | Between
type Writes = tuple[Write, ...]


class Transition(Struct, frozen=True):
    """What one dial consists of: the reads that it begins at once, and one transaction."""

    agent_key: str
    reads: tuple[Read, ...]
    writes: Writes


class Recorder:
    """Port `Table`: passes everything on, and remembers it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.reads: list[Read] = []
        self.writes: list[tuple[Writes, list[str | None]]] = []

    def get(self, key: str, deadline: Deadline) -> Pending[Row | None]:
        self.reads.append(Get(key))
        return self._table.get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Pending[list[Row]]:
        self.reads.append(Between(first, end, limit))
        return self._table.between(first, end, limit, deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        versions = self._table.commit(writes, deadline)
        self.writes.append((tuple(writes), versions))
        return versions

    def take(self) -> tuple[list[Read], list[tuple[Writes, list[str | None]]]]:
        """What was remembered since the last time."""
        taken = self.reads, self.writes
        self.reads, self.writes = [], []
        return taken


class BareDials:
    """Dials as the storage requests that they consist of, against a table of their own.

    The rows are those of real dials by the same agents on a pool of the same size, made by the product in memory.
    """

    def __init__(self, table: Table, pool: Sequence[str]) -> None:
        self.table = table
        self._recorder = Recorder(MemoryTable())
        self._house = House(pool=pool, table=self._recorder)
        self._house.performs = False
        self._versions: dict[str, str] = {}

    def fill(self, deadline: Deadline) -> None:
        """Put the pool into the table."""
        self._house.numbers.sync_pool(self._house.clock.now(), deadline)
        _, committed = self._recorder.take()
        for writes, versions in committed:
            self.carry_out(writes, versions, deadline)

    def dial(self, agent: Agent) -> tuple[Transition, list[str | None]]:
        """The next dial, and the versions that the rows had in memory."""
        self._house.add_agent(agent)
        self._recorder.take()
        self._house.dial(Dial(call_id=f"call-of-{agent.agent_id}", agent_id=agent.agent_id, dialled="911"))
        reads, ((writes, versions),) = self._recorder.take()
        return Transition(agent.key, tuple(reads), self._translated(writes)), versions

    def carry_out(self, writes: Writes, versions: Sequence[str | None], deadline: Deadline) -> None:
        """Commit the writes, and remember which of the table's versions stand for those in memory."""
        real = self.table.commit(self._translated(writes), deadline)
        self.note(versions, real)

    def note(self, versions: Sequence[str | None], real: Sequence[str | None]) -> None:
        """Remember which versions of the table stand for those in memory."""
        for known, stored in zip(versions, real, strict=True):
            if known is not None and stored is not None:
                self._versions[known] = stored

    def _translated(self, writes: Writes) -> Writes:
        return tuple(
            structs.replace(write, version=self._versions[write.version])
            if isinstance(write, Replace | Delete) and write.version is not None
            else write
            for write in writes
        )


def written_to(table: Table, committed: Sequence[tuple[Writes, list[str | None]]]) -> None:
    """Carry inserts out again, as many in a transaction as may be."""
    from tests.benchmarks.deployment import within

    every = [write for writes, _ in committed for write in writes]
    for group in batched(every, MAX_ROWS_A_COMMIT, strict=False):
        table.commit(group, within())


def begun(table: Table, reads: Sequence[Read], deadline: Deadline) -> Iterator[Pending[object]]:
    """Begin all reads at once."""
    for read in reads:
        match read:
            case Get(key):
                yield table.get(key, deadline)
            case Between(first, end, limit):
                yield table.between(first, end, limit, deadline)


def slot_of(number: str) -> tuple[str, str]:
    """The range that a callback to a number reads."""
    return with_prefix(f"number|{number.removeprefix('+')}|")
