"""A deployment to measure: the local stack with a pool of any size and agents of its own, and a thin client.

The client is `http.client` on a kept connection, because that costs least: whatever it costs counts on the app's side.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from msgspec import Struct

from shared.adapters.agent_table import AgentTable
from shared.adapters.key_table import KeyTable
from shared.adapters.numbers_table import NumbersTable
from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table_account import TableAccount
from shared.bootstrap import AGENTS_TABLE, EMERGENCIES_TABLE, PARTITION
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.errors import Unavailable
from shared.domain.leases import Rules
from tests.benchmarks.recorder import Recorder, written_to
from tests.fakes.memory_table import MemoryTable
from tests.local import azurite
from tests.local.acs import LocalAcs, poll
from tests.local.azurite import Azurite
from tests.local.stack import MACHINE, SIGN_IN, Stack, example_settings

FIRST_AREA, NUMBERS_AN_AREA = 201, 100
# The desk, the fallback number and the PSAP have numbers of this area.
TAKEN_AREA = 425
PATIENCE_S = 120.0
UNCHANGED_S = 2.0
BACKOFF = timedelta(minutes=2)
MAX_OWED = 1000
CLOCK = SystemClock()
JSON = {"Content-Type": "application/json", SIGN_IN: MACHINE}


def numbers(count: int) -> tuple[str, ...]:
    """Callback numbers of the range that is reserved for examples, which each area has a hundred of."""
    areas = (area for area in itertools.count(FIRST_AREA) if area != TAKEN_AREA)
    every = (f"+1{area}55501{number:02}" for area in areas for number in range(NUMBERS_AN_AREA))
    return tuple(itertools.islice(every, count))


def agent(number: int) -> Agent:
    """An agent as complete as a real one."""
    return Agent(
        agent_id=f"agent-{number:06}",
        name=f"Agent {number}",
        acs_user_ids=(f"8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_00000020-{number:06}",),
        country="US",
        entra_object_id=f"00000030-0000-4000-8000-{number:012}",
        address=f"{number} Example Street, Redmond, WA 98052",
        emergency_contacts=(f"supervisor-{number}@example.com", f"guard-{number}@example.com"),
    )


def within(seconds: float = PATIENCE_S) -> Deadline:
    """A deadline that nothing here should come near."""
    return Deadline(CLOCK, seconds)


def open_table(storage: Azurite, name: str) -> SdkTable:
    """The product's own client of a table, in this process."""
    account = TableAccount(clock=CLOCK, connection_string=storage.connection_string)
    return SdkTable(account, table_name=name, partition=PARTITION)


class Reply(Struct, frozen=True):
    """An answer and the seconds that it took."""

    status: int
    body: bytes
    took_s: float
    tag: str = ""

    def json(self) -> Any:
        """The document in it."""
        return json.loads(self.body)


class Line:
    """A kept connection to a host."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] = JSON) -> Reply:
        """Send a request and read the whole answer."""
        sent = None if body is None else json.dumps(body).encode()
        began = time.perf_counter()
        self._connection.request(method, path, sent, dict(headers))
        answer = self._connection.getresponse()
        content = answer.read()
        return Reply(answer.status, content, time.perf_counter() - began, answer.getheader("ETag", ""))

    def dial(self, agent_id: str, call_id: str) -> Reply:
        """Report a dial."""
        body = {"call_id": call_id, "agent_id": agent_id, "dialled": "911"}
        return self.ask("POST", "/api/emergency-calls", body)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_lent(reply: Reply) -> bool:
    """Whether a dial was answered with a number of the pool, recorded in the store."""
    return reply.status == http.client.CREATED and not reply.json()["degraded"]


class Deployment:
    """A stack with a pool and agents, of whom each dials once."""

    def __init__(self, local: Stack, pool: Sequence[str], agents: int) -> None:
        self.local = local
        self.pool = tuple(pool)
        self.agents = agents
        self.emergencies = open_table(local.storage, EMERGENCIES_TABLE)
        self.directory = open_table(local.storage, AGENTS_TABLE)
        self.missed = 0
        self._next = iter(range(agents))

    def fill(self) -> None:
        """Put the pool and the agents into the tables, as the app would, but faster."""
        # Before there is any row: else the app would look for those of a version before under their older names, too.
        keys = KeyTable(self.directory, CLOCK, ())
        keys.ring(within())
        chance = random.Random(1)
        rules = Rules()
        numbers = NumbersTable(self.emergencies, pool=self.pool, rules=rules, chance=chance, keys=keys)
        numbers.sync_pool(CLOCK.now(), within())
        entries = Recorder(MemoryTable())
        directory = AgentTable(entries, CLOCK)
        for number in range(self.agents):
            directory.save(agent(number), None, within())
        written_to(self.directory, entries.writes)

    def next_agent(self) -> Agent:
        """Somebody who has not dialled yet."""
        return agent(next(self._next))

    def dial(self, line: Line) -> float:
        """The seconds of a dial by somebody new, on a quiet deployment, which is quiet again afterwards.

        A dial that the store was too slow for is answered with the fallback number; it is counted, and made up for.
        """
        while True:
            agent_id = self.next_agent().agent_id
            reply = line.dial(agent_id, f"call-of-{agent_id}")
            self.settle()
            if is_lent(reply):
                return reply.took_s
            self.missed += 1

    def settle(self) -> float:
        """Wait until nothing is done any more, have the timer do the rest, and give when the last was done.

        Some effects may be left to the outbox: those of dials that were answered before they were recorded, and those
        that failed.
        """
        seen, last = -1, time.perf_counter()
        while (owed := self._owed()) and time.perf_counter() - last < UNCHANGED_S:
            if owed != seen:
                seen, last = owed, time.perf_counter()
            # Seldom enough not to matter beside what is waited for.
            time.sleep(0.02)
        if not owed:
            last = time.perf_counter()
        while self._owed():
            self.local.advance(BACKOFF)
            self.local.run_timers("outbox_sweep")
        return last

    def _owed(self) -> int:
        try:
            return len(self.emergencies.between("outbox|", "outbox|~", MAX_OWED, within()).result())
        except Unavailable:
            return MAX_OWED

    def take_back(self) -> None:
        """Let so much time pass that every number of the pool is free again."""

        def all_free() -> bool:
            self.local.forget_emergencies()
            free = self.emergencies.between("free|", "free|~", len(self.pool), within()).result()
            return len(free) == len(self.pool)

        poll(all_free, within_s=PATIENCE_S, what="a free pool")

    def worker_pid(self) -> int:
        """The process that serves the app, where there is one."""
        with Line(self.local.host.url) as line:
            return int(line.ask("GET", "/admin/host/status").json()["pid"])

    def close(self) -> None:
        """Let the connections go."""
        self.emergencies.close()
        self.directory.close()


@contextmanager
def telephony() -> Iterator[LocalAcs]:
    """The stand-in for the communication services; several deployments may share it."""
    with LocalAcs.start() as acs:
        yield acs


@contextmanager
def deployed(
    acs: LocalAcs,
    *,
    pool: int,
    agents: int,
    workers: int = 1,
    host: bool = True,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Deployment]:
    """Run a deployment until the end of the block, with a storage of its own; without its host if `host` is False."""
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        storage = undo.enter_context(azurite.running(services=["table"]))
        known = numbers(pool)
        local = Stack(storage, acs, example_settings(storage, acs, known) | dict(settings or {}), folder)
        undo.callback(local.close)
        made = Deployment(local, known, agents)
        undo.callback(made.close)
        made.fill()
        if host:
            local.start_host(workers=workers)
            # Its events would be delivered in the middle of a measurement; those that count are posted by hand.
            acs.control.subscribe()
        yield made


def until_connected(port: int, deadline_s: float = 60.0) -> None:
    """Wait until a port accepts connections, looking every 2 ms."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        # Far less than what is measured.
        time.sleep(0.002)
    raise TimeoutError(f"nothing listens on port {port}")
