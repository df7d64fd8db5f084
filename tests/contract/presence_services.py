"""The presence services, as the suite of the port needs them: each with a gateway, and people who use the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from azure.core.credentials import AccessToken

from shared.adapters.bearer_client import BearerService
from shared.adapters.graph_presence import REQUESTS_AT_ONCE, GraphPresence
from shared.adapters.presence_holds import StoredHolds
from shared.adapters.presence_marks import PresenceMarks
from shared.adapters.presence_table import PresenceTable
from shared.adapters.presence_users import PresenceUsers
from shared.adapters.table import Table
from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.ids import derived
from shared.domain.presence import Presence, PresenceStatus
from shared.ports import PresenceGateway
from tests.fakes.memory_table import Known
from tests.local.graph import LocalGraph
from tests.local.graph.server import APP_ID

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


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
    clock: TestClock

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
        self.clock = TestClock()
        self.gateway: PresenceGateway = PresenceTable(table, self.clock)

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

    def __init__(self, running: LocalGraph, **claims: Any) -> None:
        self._graph = running
        self.claims = claims
        self.fetched = 0

    def get_token(self, *_scopes: str, **_: Any) -> AccessToken:
        self.fetched += 1
        return AccessToken(self._graph.token(**self.claims), int(time.time()) + 3600)


class Everybody:
    """Port `Entries`: whoever is asked for has an entry, but for the strangers."""

    def __init__(self) -> None:
        self.strangers: set[str] = set()

    def find(self, agent_id: str, deadline: Deadline) -> Known[Agent | None]:
        deadline.require()
        return Known(self.last_known(agent_id))

    def last_known(self, agent_id: str) -> Agent | None:
        if agent_id in self.strangers:
            return None
        return Agent(agent_id=agent_id, entra_object_id=object_id_of(agent_id))


def object_id_of(agent_id: str) -> str:
    """An agent's object id."""
    return derived(agent_id, "object id")


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

    def __init__(self, running: LocalGraph, table: Table, clock: TestClock | None = None) -> None:
        running.reset()
        self.graph = running
        self.clock = clock or TestClock()
        self.tokens = Tokens(running)
        self.entries = Everybody()
        self.gateway: PresenceGateway = graph_gateway(running, table, self.clock, self.entries, lambda: self.tokens)
        self.known: set[str] = set()

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
    **service: Any,
) -> GraphPresence:
    """A gateway to the stand-in."""
    bearer = BearerService(
        "graph-presence",
        url=running.url,
        clock=clock,
        ca_bundle=running.ca_file,
        credential=credential,
        threads=REQUESTS_AT_ONCE,
        **service,
    )
    users = PresenceUsers(entries, lambda agent: agent.entra_object_id, by_object_id=True)
    return GraphPresence(bearer, StoredHolds(users, PresenceMarks(table)), app_id=APP_ID, clock=clock)
