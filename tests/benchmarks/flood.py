"""What a flood of one token, or of one machine, costs another agent's dial; and a true crisis.

Open loop: the flood's requests are due at a stated rate, whatever became of those before, over 64 connections that a
process of their own holds. *Quiet* is the same run with the 64 connections idle; both alternate. Where there are
processors enough, the clients are pinned apart from the host.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized
from queue import SimpleQueue
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.benchmarks import memory
from tests.benchmarks.deployment import Deployment, Line, deployed, is_lent, telephony
from tests.benchmarks.figures import Figure, ratio
from tests.benchmarks.plan import Plan
from tests.local.stack import AGENT, MACHINE, SIGN_IN

NAME = "flood"
CONNECTIONS = 64
ALTERNATIONS = 10
BLOCK_S = 1.5
DIAL_EVERY_S = 0.1
# Of each kind so many a second are due: many times what a desktop asks for, and less than fills a processor of its own.
PER_S = 100
GOAL, MEMORY_GOAL = 1.5, 1.1
CRISIS_AGENTS, CRISIS_S = 200, 10.0
STRANGER = f"{AGENT};stranger"
TIMEOUT_S = 5.0


class Sent(NamedTuple):
    """A request of a flood."""

    method: str
    path: str
    body: object = None


class Kind(NamedTuple):
    """A flood: who sends it, and what its `n`th request is."""

    principal: str
    request: Callable[[int], Sent]


def _dial(agent_id: str, call: object) -> Sent:
    return Sent("POST", "/api/emergency-calls", {"call_id": f"flood-{call}", "agent_id": agent_id, "dialled": "911"})


def one_id(n: int) -> Sent:
    """Dials of one id."""
    return _dial("stranger", n)


def new_ids(n: int) -> Sent:
    """Dials, each of another id."""
    return _dial(f"stranger-{n}", f"new-{n}")


def unknown_ends(n: int) -> Sent:
    """Ends of calls that nobody knows."""
    return Sent("POST", f"/api/emergency-calls/nobody-{n}/end", {})


def polls(_n: int) -> Sent:
    """Polls of the own panel."""
    return Sent("GET", "/api/agents/stranger/panel")


def health(_n: int) -> Sent:
    """Whether the app is well."""
    return Sent("GET", "/api/health")


def machines(n: int) -> Sent:
    """A machine's dials, each for another unlisted id."""
    return _dial(f"served-{n}", f"machine-{n}")


KINDS: Mapping[str, Kind] = {
    "dials_of_one_id": Kind(STRANGER, one_id),
    "dials_of_new_ids": Kind(STRANGER, new_ids),
    "unknown_ends": Kind(STRANGER, unknown_ends),
    "polls": Kind(STRANGER, polls),
    "health": Kind(STRANGER, health),
    "a_machine": Kind(MACHINE, machines),
}


class Course(NamedTuple):
    """What became of the dials of another agent."""

    took_s: list[float]
    degraded: int


def measure(plan: Plan) -> Iterator[Figure]:
    """A crisis, then each kind of flood in turns with quiet."""
    rounds = plan.rounds(ALTERNATIONS)
    dials = round(2 * rounds * len(KINDS) * BLOCK_S / DIAL_EVERY_S) + CRISIS_AGENTS + 100
    with pinned() as apart, telephony() as acs, deployed(acs, pool=dials, agents=dials) as made:
        apart()
        pid = made.worker_pid()
        yield from _crisis(made)
        made.settle()
        sizes = [memory.of_process(pid)]
        for name, kind in KINDS.items():
            plan.say(f"{name} …")
            yield from _of_a_flood(made, name, kind, rounds)
            sizes.append(memory.of_process(pid))
        yield from _kept(made)
        yield from _memory(sizes)


def _of_a_flood(made: Deployment, name: str, kind: Kind, rounds: int) -> Iterator[Figure]:
    quiet, flooded = Course([], 0), Course([], 0)
    with Flood(made.local.host.url, name) as flood, Line(made.local.host.url) as line:
        for _ in range(rounds):
            quiet = _joined(quiet, _dialled(made, line))
            flood.begin()
            flooded = _joined(flooded, _dialled(made, line))
            flood.rest()
        asked = flood.answered
    what = (kind.request.__doc__ or name).rstrip(".")
    waited_ms = (median(flooded.took_s) - median(quiet.took_s)) * 1000
    note = (
        f"{waited_ms:+.1f} ms in line or behind; {PER_S}/s due, {asked / (rounds * BLOCK_S):.0f}/s answered; "
        f"quiet {median(quiet.took_s) * 1000:.1f} ms"
    )
    yield ratio(
        f"flood_{name}",
        f"another's dial in a flood / quiet: {what}",
        flooded.took_s,
        quiet.took_s,
        goal=GOAL,
        note=note,
    )
    note = f"of {len(flooded.took_s)}; quiet {quiet.degraded} of {len(quiet.took_s)}"
    yield Figure(name=f"flood_{name}_degraded", what="  degraded", value=flooded.degraded, unit="", goal=0, note=note)


def _joined(one: Course, other: Course) -> Course:
    return Course(one.took_s + other.took_s, one.degraded + other.degraded)


def _dialled(made: Deployment, line: Line) -> Course:
    """Dials of agents who sign in themselves, one every so often, for a block."""
    took_s, degraded = [], 0
    began = time.perf_counter()
    for due in range(round(BLOCK_S / DIAL_EVERY_S)):
        if time.perf_counter() - began > 2 * BLOCK_S:
            # The figures say how slow it is; the run shall end all the same.
            break
        time.sleep(max(0.0, began + due * DIAL_EVERY_S - time.perf_counter()))
        agent_id = made.next_agent().agent_id
        body = {"call_id": f"call-of-{agent_id}", "agent_id": agent_id, "dialled": "911"}
        headers = {"Content-Type": "application/json", SIGN_IN: f"{AGENT};{agent_id}"}
        reply = line.ask("POST", "/api/emergency-calls", body, headers)
        took_s.append(reply.took_s)
        degraded += not is_lent(reply)
    return Course(took_s, degraded)


def _kept(made: Deployment) -> Iterator[Figure]:
    """What the floods have left in the store."""
    rows = made.local.rows()["emergencies"]
    kinds = [row["RowKey"].partition("|")[0] for row in rows]
    ends = sum(row["RowKey"].startswith("bare|") and "|call|" in row["RowKey"] for row in rows)
    note = f"{ends} ends of unknown calls are kept"
    outside = kinds.count("outside")
    yield Figure(
        name="flood_outside",
        what="emergencies of the floods' unlisted ids",
        value=outside,
        unit="",
        goal=1_001,
        note=note,
    )
    mails = kinds.count("mail")
    yield Figure(name="flood_rows", what="  rows in all", value=len(rows), unit="", note=f"{mails} of messages")


def _memory(sizes: list[memory.Memory | None]) -> Iterator[Figure]:
    known = [size.rss_mb for size in sizes if size is not None]
    if len(known) == len(sizes):
        note = "from the first flood to the last; " + ", ".join(f"{size:.0f}" for size in known) + " MB"
        what = "memory of the worker after all floods / after the first"
        yield Figure(name="flood_memory", what=what, value=known[-1] / known[1], unit="x", goal=MEMORY_GOAL, note=note)


def _crisis(made: Deployment) -> Iterator[Figure]:
    """One machine dials for 200 listed agents in ten seconds."""
    began, replies = time.perf_counter() + 0.1, SimpleQueue[tuple[bool, float, int]]()

    def report(first: int) -> None:
        with Line(made.local.host.url) as line:
            for n in range(first, CRISIS_AGENTS, 8):
                # Each is due at its time, whatever became of the one before.
                time.sleep(max(0.0, began + n * CRISIS_S / CRISIS_AGENTS - time.perf_counter()))
                agent_id = agents[n]
                reply = line.dial(agent_id, f"crisis-of-{agent_id}")
                replies.put((is_lent(reply), reply.took_s, reply.json().get("notified", 0)))

    agents = [made.next_agent().agent_id for _ in range(CRISIS_AGENTS)]
    threads = [threading.Thread(target=report, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = [replies.get() for _ in range(CRISIS_AGENTS)]
    missed = sum(not lent for lent, _, _ in answers)
    note = (
        f"median {median(took for _, took, _ in answers) * 1000:.0f} ms; unnotified {sum(not n for _, _, n in answers)}"
    )
    what = "a machine's dials for 200 listed agents in ten seconds, not served"
    yield Figure(name="crisis_missed", what=what, value=missed, unit="", goal=0, note=note)


@contextmanager
def pinned() -> Iterator[Callable[[], None]]:
    """What is started first runs on all processors but the last; what is given puts this process on that one."""
    everywhere = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
    last = set(sorted(everywhere)[-1:])
    if len(everywhere) < 2:
        yield lambda: None
        return
    os.sched_setaffinity(0, everywhere - last)
    try:
        yield lambda: os.sched_setaffinity(0, last)
    finally:
        os.sched_setaffinity(0, everywhere)


class Flood:
    """A process with 64 connections, which sends while it is told to."""

    def __init__(self, url: str, kind: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._going, self._over, self._answers = context.Value("b", 0), context.Value("b", 0), context.Value("l", 0)
        self._ready = context.Value("l", 0)
        shared = (self._going, self._over, self._answers, self._ready)
        self._process = context.Process(target=run_flood, args=(url, kind, *shared), daemon=True)

    def __enter__(self) -> Flood:
        self._process.start()
        while self._ready.value < CONNECTIONS:
            # Until the connections are open.
            time.sleep(0.02)
        return self

    def begin(self) -> None:
        """Send from now on."""
        self._going.value = 1

    def rest(self) -> None:
        """Be idle, with the connections open; what is under way has half a second to end."""
        self._going.value = 0
        time.sleep(0.5)

    @property
    def answered(self) -> int:
        """How many requests had an answer so far."""
        return int(self._answers.value)

    def __exit__(self, *_: object) -> None:
        self._over.value = 1
        self._process.join(2 * TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()


def run_flood(
    url: str,
    kind: str,
    going: Synchronized[int],
    over: Synchronized[int],
    answers: Synchronized[int],
    ready: Synchronized[int],
) -> None:
    """The process of a flood, on the processor of the one that started it."""
    connections = [
        threading.Thread(target=_send, args=(url, KINDS[kind], place, going, over, answers, ready))
        for place in range(CONNECTIONS)
    ]
    for connection in connections:
        connection.start()
    for connection in connections:
        connection.join()


def _send(
    url: str,
    kind: Kind,
    place: int,
    going: Synchronized[int],
    over: Synchronized[int],
    answers: Synchronized[int],
    ready: Synchronized[int],
) -> None:
    """One connection: its share of the rate, each request at its time or, if that is past, at once."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    connection.connect()
    with ready.get_lock():
        ready.value += 1
    headers = {"Content-Type": "application/json", SIGN_IN: kind.principal}
    every_s, n, due = CONNECTIONS / PER_S, place, 0.0
    while not over.value:
        if not going.value:
            due = 0.0
            time.sleep(0.01)
            continue
        due = due or time.perf_counter() + every_s * place / CONNECTIONS
        time.sleep(max(0.0, due - time.perf_counter()))
        due += every_s
        sent = kind.request(n)
        n += CONNECTIONS
        with suppress(OSError, http.client.HTTPException):
            connection.request(sent.method, sent.path, None if sent.body is None else json.dumps(sent.body), headers)
            connection.getresponse().read()
            with answers.get_lock():
                answers.value += 1
            continue
        connection.close()
