"""Dials per second with 64 in flight, against the SDK's own transactions of eight entities; processor time; memory.

The processor time of a dial is that of everything it owes, too: counted from the first request of a burst until its
outbox is empty. An unchanged poll of a panel is measured on the same deployment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from statistics import median
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, UpdateMode
from requests.adapters import HTTPAdapter

from shared.adapters.table import Delete, Insert, Replace
from shared.bootstrap import PARTITION
from tests.benchmarks import memory, processor
from tests.benchmarks.deployment import JSON, Deployment, Line, deployed, is_lent, open_table, telephony, within
from tests.benchmarks.figures import Figure, ratio
from tests.benchmarks.plan import Plan
from tests.benchmarks.recorder import BareDials, Writes
from tests.local.azurite import Azurite

NAME = "throughput"
ROUNDS = 4
IN_FLIGHT = 64
DIALS_A_ROUND = 256
NOT_MODIFIED = 304
GOAL_SETTLED = 0.8
ENTITIES = 8
MAX_HOST_MS, MAX_STORAGE_MS, MAX_POLL_MS = 25.0, 20.0, 2.0
POLLS = 400
BARE_TABLE = "bare"


class Burst:
    """What a burst of dials came to."""

    def __init__(self) -> None:
        self.lent_per_s: list[float] = []
        self.settled_per_s: list[float] = []
        self.slowest_s: list[float] = []
        self.host_s: list[float] = []
        self.storage_s: list[float] = []
        self.missed = 0
        self.dials = 0


def measure(plan: Plan) -> Iterator[Figure]:
    """One worker and two, in turns with the SDK alone."""
    rounds = plan.rounds(ROUNDS)
    dials = rounds * DIALS_A_ROUND
    with (
        telephony() as acs,
        deployed(acs, pool=2 * dials + 100, agents=2 * dials + 2) as one,
        deployed(acs, pool=2 * dials + 100, agents=2 * dials + 1, workers=2) as two,
    ):
        pid = one.worker_pid()
        before = memory.of_process(pid)
        alone = SdkAlone(one.local.storage, one)
        bursts = Burst(), Burst()
        per_s: list[float] = []
        try:
            for _ in range(rounds):
                _burst(one, bursts[0])
                per_s.append(alone.transactions_per_s())
                _burst(two, bursts[1])
        finally:
            alone.close()
        after = memory.of_process(pid)
        poll_s = _polled(one, plan.rounds(POLLS))
    yield from _figures(*bursts, per_s)
    yield from _processor_figures(bursts[0], poll_s)
    yield from memory.figures(before, after, bursts[0].dials)


def _figures(one: Burst, two: Burst, alone_per_s: Sequence[float]) -> Iterator[Figure]:
    what = "dials a second, 64 in flight, one worker / the SDK's own transactions a second"
    note = f"{median(one.lent_per_s):.0f} dials/s, the SDK alone {median(alone_per_s):.0f}/s"
    yield ratio("dials_per_s", what, one.lent_per_s, alone_per_s, note=note)
    what = "  the same until presence and e-mail are done, too"
    note = f"{median(one.settled_per_s):.0f} dials/s"
    settled = one.settled_per_s
    yield ratio("dials_per_s_settled", what, settled, alone_per_s, goal=GOAL_SETTLED, at_least=True, note=note)
    note = f"{median(two.lent_per_s):.0f} dials/s; client, storage and workers share the processors"
    yield ratio("two_workers", "  two workers / one worker", two.lent_per_s, one.lent_per_s, note=note)
    slowest = max(one.slowest_s) * 1000
    yield Figure(name="burst_slowest", what="  slowest answer of a burst, one worker", value=slowest, unit="ms")
    for name, burst in (("one", one), ("two", two)):
        note = f"of {burst.dials} dials, {name} worker{'s' if name == 'two' else ''}"
        yield Figure(
            name=f"burst_missed_{name}",
            what="  dials without a number of the pool",
            value=burst.missed,
            unit="",
            goal=0,
            note=note,
        )


def _processor_figures(burst: Burst, poll_s: float) -> Iterator[Figure]:
    for name, what, seconds, most_ms in (
        ("host_cpu", "processor time of a dial with all that it owes: host", median(burst.host_s), MAX_HOST_MS),
        ("storage_cpu", "  the same: Azurite", median(burst.storage_s), MAX_STORAGE_MS),
        ("poll_cpu", "processor time of a panel's poll that changes nothing: host", poll_s, MAX_POLL_MS),
    ):
        yield Figure(name=name, what=what, value=seconds * 1000, unit="ms", goal=most_ms)


def _polled(made: Deployment, polls: int) -> float:
    """The seconds of the host's processor time that an unchanged poll takes, by an agent whose call is in progress."""
    agent_id = made.next_agent().agent_id
    path = f"/api/agents/{agent_id}/panel"
    with Line(made.local.host.url) as line:
        line.dial(agent_id, f"call-of-{agent_id}")
        made.settle()
        tag = line.ask("GET", path).tag
        known = {**JSON, "If-None-Match": tag}
        pid = made.worker_pid()
        began = processor.seconds_of(pid)
        for _ in range(polls):
            assert line.ask("GET", path, headers=known).status == NOT_MODIFIED
        return (processor.seconds_of(pid) - began) / polls


def _burst(made: Deployment, burst: Burst) -> None:
    agents: SimpleQueue[str] = SimpleQueue()
    for _ in range(DIALS_A_ROUND):
        agents.put(made.next_agent().agent_id)
    answers: SimpleQueue[tuple[bool, float]] = SimpleQueue()

    def dial_on() -> None:
        with Line(made.local.host.url) as line:
            while not agents.empty():
                agent_id = agents.get()
                reply = line.dial(agent_id, f"call-of-{agent_id}")
                answers.put((is_lent(reply), reply.took_s))

    host, storage = made.worker_pid(), made.local.storage.child.pid
    spent = processor.seconds_of(host), processor.seconds_of(storage)
    began = time.perf_counter()
    _all_at_once(dial_on)
    answered_s = time.perf_counter() - began
    settled_s = made.settle() - began
    outcomes = [answers.get() for _ in range(answers.qsize())]
    lent = sum(was_lent for was_lent, _ in outcomes)
    burst.lent_per_s.append(lent / answered_s)
    burst.settled_per_s.append(lent / settled_s)
    burst.slowest_s.append(max(took_s for _, took_s in outcomes))
    burst.missed += len(outcomes) - lent
    burst.dials += len(outcomes)
    burst.host_s.append((processor.seconds_of(host) - spent[0]) / DIALS_A_ROUND)
    burst.storage_s.append((processor.seconds_of(storage) - spent[1]) / DIALS_A_ROUND)


def _all_at_once(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        for done in [threads.submit(work) for _ in range(IN_FLIGHT)]:
            done.result()


class SdkAlone:
    """The SDK's `submit_transaction` from 64 threads, on connections enough for all, with nothing else to do."""

    def __init__(self, storage: Azurite, made: Deployment) -> None:
        self._made = made
        self._table = open_table(storage, BARE_TABLE)
        self._bare = BareDials(self._table, made.pool)
        self._bare.fill(within())
        self._session = requests.Session()
        # The SDK's own transport keeps ten connections, which would double the median.
        self._session.mount("http://", HTTPAdapter(pool_maxsize=IN_FLIGHT))
        self._client = TableClient.from_connection_string(
            storage.connection_string,
            table_name=BARE_TABLE,
            transport=RequestsTransport(session=self._session, session_owner=False),
        )

    def transactions_per_s(self) -> float:
        """One round of as many transactions as a burst has dials."""
        transactions: SimpleQueue[list[Any]] = SimpleQueue()
        for _ in range(DIALS_A_ROUND):
            dialled, _ = self._bare.dial(self._made.next_agent())
            transactions.put(operations(dialled.writes[:ENTITIES]))

        def submit_on() -> None:
            while not transactions.empty():
                self._client.submit_transaction(transactions.get())

        began = time.perf_counter()
        _all_at_once(submit_on)
        return DIALS_A_ROUND / (time.perf_counter() - began)

    def close(self) -> None:
        """Let the connections go."""
        self._table.close()
        self._client.close()
        self._session.close()


def operations(writes: Writes) -> list[Any]:
    """A transaction as the SDK takes it."""
    return [_operation(write) for write in writes]


def _operation(write: Any) -> tuple[Any, ...]:
    key = {"PartitionKey": PARTITION, "RowKey": write.key}
    if isinstance(write, Delete):
        return "delete", key
    entity = {**key, **write.values}
    if isinstance(write, Insert):
        return "create", entity
    return "update" if isinstance(write, Replace) else "upsert", entity, {"mode": UpdateMode.REPLACE}
