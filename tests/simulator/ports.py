"""The outside world as a process of the simulation meets it: slow, failing before or after it acted, or away."""

import math
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared.adapters.table import Delete, Insert, Put, Replace, Row, Values, Write
from shared.deadlines import Deadline
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.domain.presence import Presence
from shared.ports import Email, Invite, PresenceGateway
from tests.fakes.memory_table import MemoryTable
from tests.simulator.faults import Trouble

if TYPE_CHECKING:
    from tests.simulator.processes import Process

USUAL_S = {"table": 0.012, "directory": 0.010, "presence": 0.06, "mail": 0.2, "calls": 0.05}
SLOW_S = 12.0
# What stands in a row that nobody can read; whoever sets it aside writes it as it is.
UNREADABLE = "{"


class Died(BaseException):
    """The process that this task ran in is gone; nothing of it may catch this."""


class Line:
    """One process's connection to one service: every request waits, and may fail before or after it acted."""

    def __init__(self, process: "Process", port: str) -> None:
        self._process = process
        self._world = process.world
        self._port = port
        self._usual_s = USUAL_S[port]

    def request[T](self, act: Callable[[], T], deadline: Deadline, began_s: float | None = None) -> T:
        """The answer, or `Unavailable`: at the latest at the deadline, and then it may have acted all the same."""
        if self._process.dead:
            raise Died
        world = self._world
        latency = self._usual_s * (0.3 + world.chance.random())
        if began_s is not None:
            latency = max(latency - (world.clock.monotonic() - began_s), 0.0)
        troubles = world.faults.befalling(self._port)
        if troubles or world.faults.store_away or latency >= deadline.remaining_s():
            return self._in_trouble(troubles, act, latency, deadline)
        return self._act_and_wait(act, latency)

    def _act_and_wait[T](self, act: Callable[[], T], latency: float) -> T:
        if self._world.chance.random() < 0.5:
            answer = act()
            self._wait(latency)
        else:
            self._wait(latency)
            answer = act()
        if self._port in {"table", "directory"}:
            self._process.answered()
        return answer

    def _in_trouble[T](self, troubles: Collection[Trouble], act: Callable[[], T], latency: float, end: Deadline) -> T:
        world = self._world
        if Trouble.DIES_BEFORE in troubles:
            self._dies()
        if Trouble.SLOW in troubles:
            latency += SLOW_S * world.chance.random() ** 3
        if world.faults.store_away and self._port in {"table", "directory"}:
            latency += 0.5
            troubles = (Trouble.FAILED,)
        if Trouble.FAILED in troubles:
            self._wait(min(latency, end.remaining_s()))
            # A service that is set up wrong, or whose rights are gone for a while, answers, and says no.
            says_no = self._port == "presence" and world.chance.random() < 0.5
            raise Refused if says_no else Unavailable(undone=True)
        if latency >= end.remaining_s():
            self._too_slow(act, latency, end.remaining_s())
        answer = self._act_and_wait(act, latency)
        if Trouble.DIES_AFTER in troubles:
            self._dies()
        if Trouble.ANSWER_LOST in troubles:
            raise Unavailable
        return answer

    def _too_slow[T](self, act: Callable[[], T], latency: float, left: float) -> None:
        # A request that its sender has given up may still arrive.
        world = self._world
        if world.chance.random() < 0.5:
            world.clock.call_at(world.clock.at_us + int(latency * 1_000_000), lambda: world.attempt(act))
        self._wait(left)
        raise Unavailable

    def _wait(self, seconds: float) -> None:
        self._world.clock.sleep(seconds)
        self._process.require_alive()

    def _dies(self) -> None:
        if not self._process.dead:
            self._process.die()
        raise Died


class LineLock:
    """A lock that tasks of one process wait for in virtual time."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._held and not self._comes_free(blocking, timeout):
            return False
        self._held = True
        return True

    def _comes_free(self, blocking: bool, timeout: float) -> bool:
        clock = self._process.world.clock
        until_s = clock.monotonic() + (timeout if timeout >= 0 else math.inf)
        while self._held:
            if not blocking or clock.monotonic() >= until_s:
                return False
            clock.sleep(0.001)
            if self._process.dead:
                raise Died
        return True

    def release(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Reading[T]:
    """Port `Pending`: a read that is on its way since it was asked for."""

    def __init__(self, line: Line, read: Callable[[], T], deadline: Deadline, began_s: float) -> None:
        self._line, self._read, self._deadline, self._began_s = line, read, deadline, began_s

    def result(self) -> T:
        return self._line.request(self._read, self._deadline, self._began_s)


class LineTable:
    """Port `Table` over the one table that all processes share; deadlines are the line's business."""

    def __init__(self, process: "Process", table: MemoryTable, port: str) -> None:
        self._line = Line(process, port)
        self._process = process
        self._world = process.world
        self._table = table
        self._endless = self._world.endless
        self._watched = port == "table"

    def get(self, key: str, deadline: Deadline) -> _Reading[Row | None]:
        return _Reading(
            self._line, lambda: self._table.get(key, self._endless).result(), deadline, self._world.clock.monotonic()
        )

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> _Reading[list[Row]]:
        return _Reading(
            self._line,
            lambda: self._table.between(first, end, limit, self._endless).result(),
            deadline,
            self._world.clock.monotonic(),
        )

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        written = [_of_another_version(write) for write in writes] if self._process.other_version else writes

        def act() -> list[str | None]:
            versions = self._table.commit(written, self._endless)
            if self._watched:
                self._world.committed(written)
            return versions

        return self._line.request(act, deadline)


def _of_another_version(write: Write) -> Write:
    """The row as a later version would write it (a field we do not know), or an earlier one (a new field missing)."""
    if isinstance(write, Delete) or write.values.get("state", UNREADABLE) == UNREADABLE:
        return write
    state = str(write.values["state"]).replace(',"presence_attempts":0', "").replace(',"look_again_at":null', "")
    values: Values = write.values | {"state": f'{state[:-1]},"from_the_future":[1]}}', "unheard_of": 1}
    if isinstance(write, Replace):
        return Replace(write.key, values, write.version)
    return Insert(write.key, values) if isinstance(write, Insert) else Put(write.key, values)


class LinePresence:
    """Port `PresenceGateway`."""

    def __init__(self, process: "Process", service: PresenceGateway) -> None:
        self._line, self._service, self._world = Line(process, "presence"), service, process.world

    @property
    def embedded(self) -> bool:
        return self._service.embedded

    def in_outage(self, object_id: str | None) -> "LinePresence":
        return self

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        return self._line.request(lambda: self._service.read(agent_id, self._world.endless), deadline)

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        def act() -> Presence:
            written = self._service.write(agent_id, presence, self._world.endless)
            self._world.tell(agent_id, f"presence set by the app: {presence.status} hold={presence.hold_id}")
            return written

        return self._line.request(act, deadline)

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
        return self._line.request(lambda: self._service.forget(agent_id, hold_id, self._world.endless), deadline)

    def ping(self, deadline: Deadline) -> None:
        self._line.request(lambda: self._service.ping(self._world.endless), deadline)

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        self._line.request(lambda: self._service.remove(agent_id, self._world.endless), deadline)


class LineMail:
    """Port `Notifier`."""

    reports = True

    def __init__(self, process: "Process") -> None:
        self._line, self._world = Line(process, "mail"), process.world

    def send(self, email: Email, deadline: Deadline) -> None:
        self._line.request(lambda: self._take(email), deadline)

    def _take(self, email: Email) -> None:
        if self._world.refuses_sender():
            self._world.faults.strikes("sender refused", 1.0)
            self._world.checks.mail_refused(email)
            # The service says what is not there, or only that it takes nothing.
            named = self._world.chance.random() < 0.5
            raise Unavailable(reason="domainnotlinked", undone=True) if named else Refused()
        refused = frozenset(filter(self._world.refuses, email.recipients))
        if not refused:
            self._world.checks.mail_accepted(email)
            return
        self._world.faults.strikes("address refused", 1.0)
        self._world.checks.goes_on(email)
        # The service says which, or does not.
        raise RecipientsRefused(refused) if self._world.chance.random() < 0.5 else Refused()


class LineCalls:
    """Port `CallRouter`."""

    def __init__(self, process: "Process") -> None:
        self._line, self._world = Line(process, "calls"), process.world

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        if self._is_gone():
            raise Refused
        self._line.request(
            lambda: self._world.control.redirect(
                incoming_call_context, target, origin=origin, deadline=self._world.endless
            ),
            deadline,
        )

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        if self._is_gone():
            self._world.control.not_to_be_answered.add(incoming_call_context)
            raise Refused
        return self._line.request(
            lambda: self._world.control.answer(
                incoming_call_context,
                events_url,
                operation_context=operation_context,
                origin=origin,
                deadline=self._world.endless,
            ),
            deadline,
        )

    def invite(self, invite: Invite, deadline: Deadline) -> "_Reading[str]":
        def act() -> str:
            return self._world.control.invite(invite, self._world.endless).result()

        return _Reading(self._line, act, deadline, self._world.clock.monotonic())

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        self._line.request(
            lambda: self._world.control.cancel(connection_id, handle, origin=origin, deadline=self._world.endless),
            deadline,
        )

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        return self._line.request(lambda: self._world.control.people(connection_id, self._world.endless), deadline)

    def play(self, connection_id: str, url: str, *, origin: str, deadline: Deadline) -> None:
        self._line.request(
            lambda: self._world.control.play(connection_id, url, origin=origin, deadline=self._world.endless), deadline
        )

    def _is_gone(self) -> bool:
        return self._world.faults.strikes("callback target gone", self._world.faults.climate.target_gone)


def seeded(seed: int, purpose: str) -> random.Random:
    """Randomness of its own for each purpose, so that one more draw here moves nothing there."""
    return random.Random(f"{seed}|{purpose}")
