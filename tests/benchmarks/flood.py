"""What a flood of one token, or of one machine, costs another agent's dial; and a true crisis.

Open loop: the flood's requests and the other agent's dials are due at stated rates, whatever became of those before;
what a dial takes is counted from when it was due. The flood comes over 64 connections of a process of its own. *Quiet*
is the same with the 64 connections idle; both alternate, each begins when the host has nothing left to do of the one
before, and what is compared are the medians of their turns' medians. Where there are processors enough, the host is
pinned apart from the clients, storage and services.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import cycle
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from tests.benchmarks import memory, processor
from tests.benchmarks.chain import UNBOUNDED
from tests.benchmarks.deployment import Deployment, Line, agent, deployed, is_lent, telephony
from tests.benchmarks.figures import Figure, ratio
from tests.benchmarks.plan import Plan
from tests.local.stack import AGENT, DEFAULT_CONTACT, MACHINE, SIGN_IN

NAME = "flood"
CONNECTIONS = 64
ALTERNATIONS = 10
BLOCK_S = 2.0
DIAL_EVERY_S = 0.25
# Of each kind so many a second are due: many times what a desktop asks for, and less than fills a processor of its own.
PER_S = 100
# What a host does that has nothing to do: its timers, and what was put off.
IDLE_SHARE, IDLE_FOR_S, IDLE_WITHIN_S = 0.1, 0.3, 10.0
GOAL, MEMORY_GOAL = 1.5, 1.1
FIRST_MINUTE_S, TEN_MINUTES_S, TEN_MINUTES_POOL = 60.0, 600.0, 200
# With the start of its process, all ten are in the first minute.
EACH_KIND_S = 4.0
CRISIS_AGENTS, CRISIS_S = 200, 10.0
# As Microsoft Entra says who somebody is, whom no directory lists.
STRANGER = f"{AGENT};oid:00000099-0000-4000-8000-000000000001"
STRANGERS_ID = "stranger"
# So many of the listed agents are named by the stranger; none of them dials.
VICTIMS = 100
# A machine's notices of ten minutes, in both of the windows that a flood may touch.
MAX_MAILS = 2 * 30
# Of the machine's agents outside the directory; ends that one principal may have kept at once.
MAX_UNLISTED = MAX_ENDS = 1_000
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
    return _dial(STRANGERS_ID, n)


def new_ids(n: int) -> Sent:
    """Dials, each of another id."""
    return _dial(f"stranger-{n}", f"new-{n}")


def as_others(n: int) -> Sent:
    """Dials in the names of listed agents."""
    return _dial(agent(n % VICTIMS).agent_id, f"as-{n}")


def unknown_ends(n: int) -> Sent:
    """Ends of calls that nobody knows."""
    return Sent("POST", f"/api/emergency-calls/nobody-{n}/end", {})


def panels(_n: int) -> Sent:
    """Polls of the own panel."""
    return Sent("GET", f"/api/agents/{STRANGERS_ID}/panel")


def everything_polled(n: int) -> Sent:
    """Polls of whatever else can be polled."""
    return Sent("GET", ("/api/me", f"/api/agents/{STRANGERS_ID}/presence")[n % 2])


def health(_n: int) -> Sent:
    """Whether the app is well."""
    return Sent("GET", "/api/health")


def machines_dials(n: int) -> Sent:
    """A machine's dials, each for another unlisted id."""
    return _dial(f"served-{n}", f"machine-{n}")


def machines_polls(n: int) -> Sent:
    """A machine's polls of the panels of unlisted ids."""
    return Sent("GET", f"/api/agents/served-{n % 300}/panel")


def machines_ends(n: int) -> Sent:
    """A machine's ends of calls that nobody knows."""
    return Sent("POST", f"/api/emergency-calls/unheard-{n}/end", {})


KINDS: Mapping[str, Kind] = {
    "dials_of_one_id": Kind(STRANGER, one_id),
    "dials_of_new_ids": Kind(STRANGER, new_ids),
    "dials_as_others": Kind(STRANGER, as_others),
    "unknown_ends": Kind(STRANGER, unknown_ends),
    "panels": Kind(STRANGER, panels),
    "other_polls": Kind(STRANGER, everything_polled),
    "health": Kind(STRANGER, health),
    "machines_dials": Kind(MACHINE, machines_dials),
    "machines_polls": Kind(MACHINE, machines_polls),
    "machines_ends": Kind(MACHINE, machines_ends),
}


class Turn(NamedTuple):
    """What became of the dials of other agents in one turn."""

    took_s: list[float]
    degraded: int


def measure(plan: Plan) -> Iterator[Figure]:
    """A crisis, each kind of flood in turns with quiet, and all of them for ten minutes: each on a fresh deployment.

    The stand-in for storage looks through all of its rows for a range: what one kind left would slow down the next.
    """
    with pinned() as apart:
        with telephony() as acs, deployed(acs, pool=CRISIS_AGENTS, agents=CRISIS_AGENTS, settings=UNBOUNDED) as made:
            apart(made.worker_pid())
            yield from _crisis(made)
        rounds, kept = plan.rounds(ALTERNATIONS), list[Kept]()
        agents = round(2 * rounds * BLOCK_S / DIAL_EVERY_S) + VICTIMS
        for name, kind in KINDS.items():
            plan.say(f"{name} …")
            with telephony() as acs, deployed(acs, pool=agents, agents=agents, settings=UNBOUNDED) as made:
                apart(made.worker_pid())
                for _ in range(VICTIMS):
                    made.next_agent()
                yield from _of_a_flood(made, name, kind, rounds)
                kept.append(Kept.by_a_flood(made))
        yield from _most(kept)
    if not plan.quick:
        plan.say("all of them for ten minutes …")
        yield from _for_ten_minutes()


def _of_a_flood(made: Deployment, name: str, kind: Kind, rounds: int) -> Iterator[Figure]:
    quiet, flooded = list[Turn](), list[Turn]()
    with Flood(made.local.host.url, name) as flood, Line(made.local.host.url) as line:
        for _ in range(rounds):
            quiet.append(_dialled(made, line))
            until_idle(made.worker_pid())
            flood.begin()
            flooded.append(_dialled(made, line))
            flood.rest()
            until_idle(made.worker_pid())
        asked = flood.answered
    what = (kind.request.__doc__ or name).rstrip(".")
    flooded_s, quiet_s = ([median(turn.took_s) for turn in turns] for turns in (flooded, quiet))
    waited_ms = (median(flooded_s) - median(quiet_s)) * 1000
    note = (
        f"{waited_ms:+.1f} ms in line or behind; {PER_S}/s due, {asked / (rounds * BLOCK_S):.0f}/s answered; "
        f"quiet {median(quiet_s) * 1000:.1f} ms"
    )
    what = f"another's dial in a flood / quiet: {what}"
    yield ratio(f"flood_{name}", what, flooded_s, quiet_s, goal=GOAL, note=note)
    degraded, beside = (sum(turn.degraded for turn in turns) for turns in (flooded, quiet))
    dials, others = (sum(len(turn.took_s) for turn in turns) for turns in (flooded, quiet))
    note = f"of {dials}; quiet {beside} of {others}"
    yield Figure(name=f"flood_{name}_degraded", what="  degraded", value=degraded, unit="", goal=0, note=note)


def _dialled(made: Deployment, line: Line) -> Turn:
    """Dials of agents who sign in themselves, one every so often, for one turn."""
    took_s, degraded = [], 0
    began = time.perf_counter()
    for number in range(round(BLOCK_S / DIAL_EVERY_S)):
        due = began + number * DIAL_EVERY_S
        if time.perf_counter() - began > 2 * BLOCK_S:
            # The figures say how slow it is; the run shall end all the same.
            break
        time.sleep(max(0.0, due - time.perf_counter()))
        caller = made.next_agent()
        body = {"call_id": f"call-of-{caller.agent_id}", "agent_id": caller.agent_id, "dialled": "911"}
        headers = {"Content-Type": "application/json", SIGN_IN: f"{AGENT};oid:{caller.entra_object_id}"}
        reply = line.ask("POST", "/api/emergency-calls", body, headers)
        took_s.append(time.perf_counter() - due)
        degraded += not is_lent(reply)
    return Turn(took_s, degraded)


def until_idle(pid: int) -> None:
    """Until a process does next to nothing, but not for ever: what it still does then is in the figures."""
    had_s, most = processor.seconds_of(pid), time.perf_counter() + IDLE_WITHIN_S
    while time.perf_counter() < most:
        time.sleep(IDLE_FOR_S)
        before_s, had_s = had_s, processor.seconds_of(pid)
        if had_s - before_s < IDLE_SHARE * IDLE_FOR_S:
            return


def _for_ten_minutes() -> Iterator[Figure]:
    """One kind of flood after the other, all of them within the first minute."""
    with telephony() as acs, deployed(acs, pool=TEN_MINUTES_POOL, agents=VICTIMS, settings=UNBOUNDED) as made:
        size = Sizes(made.worker_pid())
        for name in cycle(KINDS):
            with Flood(made.local.host.url, name) as flood:
                flood.begin()
                time.sleep(EACH_KIND_S)
                flood.rest()
            size.look()
            if size.since_s > TEN_MINUTES_S:
                break
        yield from size.figures()


class Kept(NamedTuple):
    """What a flood has left in the store, and what was sent for it."""

    outside: int
    ends: int
    mails: int
    victims: int

    @classmethod
    def by_a_flood(cls, made: Deployment) -> Self:
        """As things are now."""
        keys = [row["RowKey"] for row in made.local.rows()["emergencies"]]
        mails = made.local.control.emails()
        with Line(made.local.host.url) as line:
            victims = sum(_is_held(line, agent(number).agent_id) for number in range(VICTIMS))
        return cls(
            outside=sum(key.startswith("outside|") for key in keys),
            ends=sum(key.startswith("bare|") and "|call|" in key for key in keys),
            mails=sum(DEFAULT_CONTACT in (*mail.to, *mail.cc, *mail.bcc) for mail in mails),
            victims=victims,
        )


def _most(kept: Sequence[Kept]) -> Iterator[Figure]:
    """The most that any of the floods left."""
    outside, ends, mails, victims = (max(each) for each in zip(*kept, strict=True))
    yield _bounded("flood_outside", "most emergencies of a flood's unlisted ids", outside, MAX_UNLISTED)
    yield _bounded("flood_ends", "  ends of unknown calls that are kept", ends, MAX_ENDS)
    yield _bounded("flood_mails", "  messages for a flood's unlisted ids", mails, MAX_MAILS)
    what = "  agents whose name was used, and who show do not disturb"
    yield _bounded("flood_victims", what, victims, 0, f"of {VICTIMS}")


def _bounded(name: str, what: str, value: int, most: int, note: str = "") -> Figure:
    return Figure(name=name, what=what, value=value, unit="", goal=most, note=note)


def _is_held(line: Line, agent_id: str) -> bool:
    reply = line.ask("GET", f"/api/agents/{agent_id}/presence")
    return reply.status == HTTPStatus.OK and reply.json()["status"] == "do_not_disturb"


class Sizes:
    """How large the worker is: a minute after the floods began, and ten."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.perf_counter()
        self._looked: list[tuple[float, memory.Memory]] = []

    @property
    def since_s(self) -> float:
        """The seconds since the floods began."""
        return time.perf_counter() - self._began

    def look(self) -> None:
        """How large it is now."""
        size = memory.of_process(self._pid)
        if size is not None:
            self._looked.append((self.since_s, size))

    def figures(self) -> Iterator[Figure]:
        """The last size against that after a minute."""
        settled = [(at_s, size.rss_mb) for at_s, size in self._looked if at_s >= FIRST_MINUTE_S]
        if not settled:
            return
        (first_s, first_mb), (last_s, last_mb) = settled[0], settled[-1]
        what = "memory of the worker after the floods / after their first minute"
        note = f"{last_mb:.0f} MB after {last_s:.0f} s, {first_mb:.0f} MB after {first_s:.0f} s"
        yield Figure(name="flood_memory", what=what, value=last_mb / first_mb, unit="x", goal=MEMORY_GOAL, note=note)


def _crisis(made: Deployment) -> Iterator[Figure]:
    """One machine dials for 200 listed agents in ten seconds."""
    began, replies = time.perf_counter() + 0.1, SimpleQueue[tuple[bool, float]]()

    def report(first: int) -> None:
        with Line(made.local.host.url) as line:
            for n in range(first, CRISIS_AGENTS, 8):
                # Each is due at its time, whatever became of the one before.
                due = began + n * CRISIS_S / CRISIS_AGENTS
                time.sleep(max(0.0, due - time.perf_counter()))
                reply = line.dial(agents[n], f"crisis-of-{agents[n]}")
                replies.put((is_lent(reply), time.perf_counter() - due))

    agents = [made.next_agent().agent_id for _ in range(CRISIS_AGENTS)]
    threads = [threading.Thread(target=report, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = [replies.get() for _ in range(CRISIS_AGENTS)]
    missed = sum(not lent for lent, _ in answers)
    note = f"median {median(took for _, took in answers) * 1000:.0f} ms"
    yield _bounded(
        "crisis_missed", "a machine's dials for 200 listed agents in ten seconds, not served", missed, 0, note
    )
    rationed = "".join(made.local.logs().values()).count("notice_rationed")
    yield _bounded("crisis_rationed", "  notices of it that had to wait for a ration", rationed, 0)


@contextmanager
def pinned() -> Iterator[Callable[[int], None]]:
    """All that is started is on the last processor; what is given puts a process on the others."""
    everywhere = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
    last = set(sorted(everywhere)[-1:])
    if len(everywhere) < 2:
        yield lambda _pid: None
        return
    os.sched_setaffinity(0, last)
    try:
        yield lambda pid: _put_on(everywhere - last, pid)
    finally:
        os.sched_setaffinity(0, everywhere)


def _put_on(processors: set[int], pid: int) -> None:
    """Each thread has processors of its own; those to come have them of the one that begins them."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), processors)


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
        """Be idle, with the connections open."""
        self._going.value = 0

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
