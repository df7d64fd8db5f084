"""The presence services, as the suite of the port needs them: each with a gateway, and people who use the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from azure.core.credentials import AccessToken
from azure.identity import CredentialUnavailableError

from shared.adapters.bearer_client import BearerService
from shared.adapters.dynamics_presence import REQUESTS_AT_ONCE as DYNAMICS_AT_ONCE
from shared.adapters.dynamics_presence import DynamicsPresence
from shared.adapters.graph_presence import REQUESTS_AT_ONCE, GraphPresence
from shared.adapters.presence_holds import StoredHolds
from shared.adapters.presence_marks import PresenceMarks
from shared.adapters.presence_table import PresenceTable
from shared.adapters.presence_users import KnownEntries, PresenceUsers
from shared.adapters.table import Table
from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.ids import derived
from shared.domain.leases import Rules
from shared.domain.presence import Presence, PresenceStatus
from shared.ports import Answered, PresenceGateway
from tests.fakes.known_keys import KnownKeys
from tests.local import dynamics
from tests.local.dynamics import LocalDynamics
from tests.local.graph import LocalGraph
from tests.local.graph.server import APP_ID

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


class MovingClock(Clock, Protocol):
    """A clock that tests move."""

    def advance(self, by: timedelta, /) -> None:
        """Let time pass."""
        ...


class TestClock:
    """Port `Clock`: the time of day stands still but for `advance`; the steady one is the machine's."""

    __test__ = False

    def __init__(self) -> None:
        self._now = NOW

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return time.monotonic()

    def advance(self, by: timedelta) -> None:
        self._now += by


class Service(Protocol):
    """A presence service."""

    gateway: PresenceGateway
    clock: MovingClock

    def show(self, agent_id: str, status: PresenceStatus) -> None:
        """The agent sets their presence by hand."""
        ...

    def seen(self, agent_id: str) -> PresenceStatus:
        """What everybody sees."""
        ...

    def pass_time(self, by: timedelta) -> None:
        """For the gateway and the service."""
        ...


class OwnTable:
    """The embedded one."""

    def __init__(self, table: Table) -> None:
        self.clock: MovingClock = TestClock()
        self.gateway: PresenceGateway = PresenceTable(table, self.clock, KnownKeys())

    def show(self, agent_id: str, status: PresenceStatus) -> None:
        soon = Deadline(self.clock, 10)
        version = self.gateway.read(agent_id, soon).version
        self.gateway.write(agent_id, Presence(status=status, set_by="agent", version=version), soon)

    def seen(self, agent_id: str) -> PresenceStatus:
        return self.gateway.read(agent_id, Deadline(self.clock, 10)).status

    def pass_time(self, by: timedelta) -> None:
        self.clock.advance(by)


class Tokens:
    """A credential that the stand-in believes, or does not."""

    def __init__(self, running: LocalGraph | LocalDynamics, **claims: Any) -> None:
        self._running = running
        self.claims = claims
        self.fetched = 0
        self.lives_s = 3600
        self.away = False

    def get_token(self, *_scopes: str, **_: Any) -> AccessToken:
        if self.away:
            raise CredentialUnavailableError
        self.fetched += 1
        return AccessToken(self._running.token(**self.claims), int(time.time()) + self.lives_s)


class Everybody:
    """Port `KnownEntries`: whoever is asked for has an entry, but for the strangers."""

    def __init__(self) -> None:
        self.strangers: set[str] = set()

    def find(self, agent_id: str, deadline: Deadline) -> Answered[Agent | None]:
        deadline.require()
        return Answered(self.last_known(agent_id))

    def last_known(self, agent_id: str) -> Agent | None:
        if agent_id in self.strangers:
            return None
        return Agent(
            agent_id=agent_id, entra_object_id=object_id_of(agent_id), dynamics_user_id=dynamics_user_of(agent_id)
        )


def object_id_of(agent_id: str) -> str:
    """An agent's object id."""
    return derived(agent_id, "object id")


def dynamics_user_of(agent_id: str) -> str:
    """An agent's user id in Dynamics 365."""
    return derived(agent_id, "dynamics user")


PAIRS = {
    PresenceStatus.AVAILABLE: "Available",
    PresenceStatus.BUSY: "Busy",
    PresenceStatus.DO_NOT_DISTURB: "DoNotDisturb",
    PresenceStatus.BE_RIGHT_BACK: "BeRightBack",
    PresenceStatus.AWAY: "Away",
}
STATUSES = {name: status for status, name in PAIRS.items()} | {"Offline": PresenceStatus.OFFLINE}


class MicrosoftGraph:
    """Graph, whose clock goes with the gateway's."""

    def __init__(self, running: LocalGraph, table: Table, clock: MovingClock | None = None) -> None:
        running.reset()
        self.graph = running
        self.clock: MovingClock = clock or TestClock()
        self.tokens = Tokens(running)
        self.entries = Everybody()
        self.table = table
        self.gateway: PresenceGateway = self.another()
        self.known: set[str] = set()

    def another(self) -> GraphPresence:
        """The gateway of a process that remembers nothing."""
        return graph_gateway(self.graph, self.table, self.clock, self.entries, lambda: self.tokens)

    def user(self, agent_id: str) -> str:
        """The agent's id there; they are signed in to Teams."""
        user_id = object_id_of(agent_id)
        if agent_id not in self.known:
            self.known.add(agent_id)
            self.graph.presence.add(user_id)
            self.graph.presence.sign_in(user_id)
        return user_id

    def show(self, agent_id: str, status: PresenceStatus) -> None:
        self.graph.presence.prefer(self.user(agent_id), PAIRS[status])

    def seen(self, agent_id: str) -> PresenceStatus:
        return STATUSES[self.graph.presence.merged(self.user(agent_id))[0]]

    def pass_time(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.graph.ahead_s += by.total_seconds()


def graph_gateway(
    running: LocalGraph,
    table: Table,
    clock: Clock,
    entries: Everybody,
    credential: Callable[[], Tokens],
    *,
    url: str | None = "",
    app_id: str | None = APP_ID,
) -> GraphPresence:
    """A gateway to the stand-in, or to another `url`."""
    bearer = BearerService(
        "graph-presence",
        url=running.url if url == "" else url,
        clock=clock,
        ca_bundle=running.ca_file,
        credential=credential,
        threads=REQUESTS_AT_ONCE,
    )
    users = PresenceUsers(entries, lambda agent: agent.entra_object_id, by_object_id=True)
    return GraphPresence(
        bearer,
        StoredHolds(users, PresenceMarks(table, KnownKeys(), clock=clock, lasts=Rules().window)),
        app_id=app_id,
        clock=clock,
    )


ROWS = {
    PresenceStatus.AVAILABLE: dynamics.AVAILABLE,
    PresenceStatus.BUSY: dynamics.BUSY,
    PresenceStatus.DO_NOT_DISTURB: dynamics.BUSY_DND,
    PresenceStatus.AWAY: dynamics.AWAY,
}


class Dynamics365:
    """Dynamics 365, whose clock goes with the gateway's. There is no Be right back."""

    def __init__(self, running: LocalDynamics, table: Table) -> None:
        running.reset()
        self.dynamics = running
        self.clock: MovingClock = TestClock()
        tokens = Tokens(running)
        marks = PresenceMarks(table, KnownKeys(), clock=self.clock, lasts=Rules().window)
        self.gateway: PresenceGateway = dynamics_gateway(running, marks, self.clock, Everybody(), lambda: tokens)

    def user(self, agent_id: str) -> str:
        """The agent's id there; they are signed in."""
        user_id = dynamics_user_of(agent_id)
        if self.dynamics.organisation.status(user_id) is None:
            self.dynamics.organisation.sign_in(user_id)
        return user_id

    def show(self, agent_id: str, status: PresenceStatus) -> None:
        if status not in ROWS:
            pytest.skip("there is no such presence")
        self.dynamics.organisation.choose(self.user(agent_id), ROWS[status])

    def seen(self, agent_id: str) -> PresenceStatus:
        row = self.dynamics.organisation.status(self.user(agent_id))
        assert row is not None
        return next(status for status, each in ROWS.items() if each == row.presence_id)

    def pass_time(self, by: timedelta) -> None:
        self.clock.advance(by)
        self.dynamics.advance(by.total_seconds())


def dynamics_gateway(
    running: LocalDynamics, marks: PresenceMarks, clock: Clock, entries: KnownEntries, credential: Callable[[], Tokens]
) -> DynamicsPresence:
    """A gateway to the stand-in."""
    service = BearerService(
        "dynamics-presence",
        url=running.url,
        clock=clock,
        ca_bundle=running.ca_file,
        credential=credential,
        threads=DYNAMICS_AT_ONCE,
    )
    users = PresenceUsers(entries, lambda agent: agent.dynamics_user_id, by_object_id=False)
    return DynamicsPresence(service, StoredHolds(users, marks), clock=clock)
