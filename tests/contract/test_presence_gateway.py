"""Port `PresenceGateway`: what every presence service keeps, and what the embedded one keeps besides."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec import structs

from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import Table
from shared.deadlines import Deadline
from shared.domain.errors import Conflict, Unavailable
from shared.domain.presence import Hold, Presence, PresenceStatus, SetBy, held_presence, returned_presence
from shared.use_cases.set_presence import set_presence
from tests.contract.presence_services import NOW, Dynamics365, MicrosoftGraph, OwnTable, Service, TestClock
from tests.fakes.known_keys import KnownKeys
from tests.local.dynamics import LocalDynamics
from tests.local.graph import LocalGraph

AVAILABLE, BUSY, AWAY = PresenceStatus.AVAILABLE, PresenceStatus.BUSY, PresenceStatus.AWAY
DND, BACK_SOON = PresenceStatus.DO_NOT_DISTURB, PresenceStatus.BE_RIGHT_BACK
A_WHILE = timedelta(seconds=10)


@pytest.fixture(scope="module")
def graph() -> Iterator[LocalGraph]:
    with LocalGraph.start() as running:
        yield running


@pytest.fixture(scope="module")
def dynamics() -> Iterator[LocalDynamics]:
    with LocalDynamics.start() as running:
        yield running


@pytest.fixture(params=["table", "graph", "dynamics"])
def service(request: pytest.FixtureRequest, partition: Table) -> Service:
    if request.param == "table":
        return OwnTable(partition)
    if request.param == "dynamics":
        return Dynamics365(request.getfixturevalue("dynamics"), partition)
    return MicrosoftGraph(request.getfixturevalue("graph"), partition)


@pytest.fixture
def soon() -> Deadline:
    return Deadline(TestClock(), 10)


def hold(service: Service, agent_id: str, hold_id: str = "h") -> Presence:
    """Hold it as the reconciling does, until it is in place: read, decide, write, look again."""
    soon = Deadline(service.clock, 10)
    for _ in range(4):
        current = service.gateway.read(agent_id, soon)
        if current.hold_id is not None and current.status is DND and not current.fading:
            break
        service.gateway.write(agent_id, held_presence(Hold(hold_id=hold_id), current), soon)
        service.pass_time(A_WHILE)
    return service.gateway.read(agent_id, soon)


def give_back(service: Service, agent_id: str) -> Presence:
    soon = Deadline(service.clock, 10)
    current = service.gateway.read(agent_id, soon)
    assert current.before is not None
    return service.gateway.write(agent_id, returned_presence(current), soon)


class TestEvery:
    """What every service keeps."""

    def test_an_unknown_agent_is_offline(self, service: Service, soon: Deadline) -> None:
        assert service.gateway.read("a", soon).status is PresenceStatus.OFFLINE

    @pytest.mark.parametrize("status", [AVAILABLE, BUSY, BACK_SOON, AWAY, DND])
    def test_a_hold_shows_as_ours_with_what_it_found_and_that_comes_back(
        self, service: Service, status: PresenceStatus, soon: Deadline
    ) -> None:
        service.show("a", status)
        found = service.gateway.read("a", soon)
        assert (found.status, found.hold_id) == (status, None)
        held = hold(service, "a")
        assert (held.status, held.hold_id, held.changed_by) == (DND, "h", SetBy.SYSTEM)
        assert (held.before, held.before_native, held.before_set_by) == (status, found.native, found.set_by)
        assert service.seen("a") is DND
        back = give_back(service, "a")
        assert (back.status, back.native, back.hold_id) == (status, found.native, None)
        service.pass_time(A_WHILE)
        assert service.seen("a") is status
        after = service.gateway.read("a", soon)
        assert (after.status, after.native, after.hold_id) == (status, found.native, None)

    @pytest.mark.parametrize("agent_id", ["a", "/\\#?%", "\x00\u2028", "x" * 600])
    def test_any_id_will_do(self, service: Service, agent_id: str) -> None:
        service.show(agent_id, AVAILABLE)
        assert hold(service, agent_id).hold_id == "h"
        give_back(service, agent_id)
        assert service.seen(agent_id) is AVAILABLE

    def test_agents_do_not_share_a_presence(self, service: Service) -> None:
        service.show("a", BUSY)
        service.show("b", AVAILABLE)
        hold(service, "a")
        assert (service.seen("a"), service.seen("b")) == (DND, AVAILABLE)

    @pytest.mark.parametrize("status", [AVAILABLE, BUSY, AWAY, BACK_SOON])
    def test_what_the_agent_changes_meanwhile_is_seen_and_stays(
        self, service: Service, status: PresenceStatus, soon: Deadline
    ) -> None:
        service.show("a", AVAILABLE)
        hold(service, "a")
        service.show("a", status)
        seen = service.gateway.read("a", soon)
        assert (seen.status, seen.hold_id) == (status, None)
        assert seen.changed_by is not SetBy.SYSTEM
        service.gateway.forget("a", "h", soon)
        assert service.seen("a") is status

    def test_a_hold_that_is_forgotten_ends_and_leaves_what_it_replaced(self, service: Service, soon: Deadline) -> None:
        service.show("a", BUSY)
        hold(service, "a")
        service.gateway.forget("a", "another", soon)
        assert service.gateway.read("a", soon).hold_id == "h", "another emergency's hold is none of its business"
        service.gateway.forget("a", "h", soon)
        service.pass_time(A_WHILE)
        after = service.gateway.read("a", soon)
        assert (after.status, after.hold_id) == (BUSY, None)
        service.gateway.forget("a", "h", soon)
        assert service.gateway.read("a", soon) == after, "nothing is written where nothing is left"
        service.gateway.forget("never-heard-of", "h", soon)

    def test_a_hold_in_an_outage_is_given_back_by_the_process_that_set_it(
        self, service: Service, soon: Deadline
    ) -> None:
        service.show("a", AVAILABLE)
        away = service.gateway.in_outage(None)
        current = away.read("a", soon)
        away.write("a", held_presence(Hold(hold_id="h"), current), soon)
        assert service.seen("a") is DND or service.gateway.read("a", soon).hold_id == "h"
        assert hold(service, "a").hold_id == "h"
        give_back(service, "a")
        assert service.seen("a") is AVAILABLE

    def test_after_the_deadline_nobody_waits(self, service: Service) -> None:
        late = Deadline(TestClock(), 0)
        with pytest.raises(Unavailable):
            service.gateway.read("a", late)
        with pytest.raises(Unavailable):
            service.gateway.write("a", Presence(status=BUSY), late)

    def test_who_has_left_leaves_nothing(self, service: Service, partition: Table, soon: Deadline) -> None:
        service.show("a", AVAILABLE)
        hold(service, "a")
        service.gateway.remove("a", soon)
        assert partition.between("!", "~", 10, soon).result() == []


@pytest.fixture
def embedded(partition: Table) -> PresenceTable:
    return PresenceTable(partition, TestClock(), KnownKeys())


class TestEmbedded:
    """What our own keeps besides."""

    def test_an_unknown_agent_has_no_version(self, embedded: PresenceTable, soon: Deadline) -> None:
        assert embedded.embedded and embedded.read("a", soon) == Presence(status=PresenceStatus.OFFLINE)

    @pytest.mark.parametrize("agent_id", ["a", "/\\#?%", "\x00\u2028", "x" * 600])
    def test_a_presence_is_read_as_it_was_written(self, embedded: PresenceTable, soon: Deadline, agent_id: str) -> None:
        held = Presence(status=DND, set_by="emergency", hold_id="h", before=AVAILABLE)
        written = embedded.write(agent_id, held, soon)
        assert written == structs.replace(held, since=NOW, version=written.version)
        assert written.version
        assert embedded.read(agent_id, soon) == written

    def test_a_write_needs_the_version_that_was_read(self, embedded: PresenceTable, soon: Deadline) -> None:
        busy = Presence(status=BUSY)
        first = embedded.write("a", busy, soon)
        with pytest.raises(Conflict):
            embedded.write("a", busy, soon)
        second = embedded.write("a", structs.replace(first, status=AWAY), soon)
        with pytest.raises(Conflict):
            embedded.write("a", structs.replace(busy, version=first.version), soon)
        assert embedded.read("a", soon) == second

    def test_whoever_sets_it_last_wins(self, embedded: PresenceTable, soon: Deadline) -> None:
        embedded.write("a", Presence(status=DND, set_by="emergency", hold_id="h"), soon)
        for _ in range(2):
            written, _ = set_presence("a", AWAY, SetBy.SUPERVISOR, presence=embedded, deadline=soon)
            assert written == embedded.read("a", soon)
            assert (written.status, written.set_by, written.hold_id) == (AWAY, "supervisor", None)

    def test_what_a_forgotten_hold_replaced_is_as_it_was_in_every_field(
        self, embedded: PresenceTable, soon: Deadline
    ) -> None:
        before = embedded.write("a", Presence(status=BUSY, set_by="supervisor"), soon)
        embedded.write("a", held_presence(Hold(hold_id="h"), before), soon)
        embedded.forget("a", "h", soon)
        after = embedded.read("a", soon)
        assert structs.replace(after, version=None) == structs.replace(before, version=None)


def test_presence_of_another_service_is_not_set_here(graph: LocalGraph, partition: Table, soon: Deadline) -> None:
    service = MicrosoftGraph(graph, partition)
    service.show("a", AVAILABLE)
    with pytest.raises(Conflict):
        set_presence("a", BUSY, SetBy.AGENT, presence=service.gateway, deadline=soon)
    assert service.seen("a") is AVAILABLE
