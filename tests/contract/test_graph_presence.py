"""Presence in Microsoft Graph: the hold and its return, state by state, and Graph when it does not serve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.deadlines import Deadline
from shared.domain.presence import Hold, Presence, PresenceStatus, SetBy, held_presence, returned_presence
from tests.contract.presence_services import MicrosoftGraph, object_id_of
from tests.fakes.memory_table import MemoryTable
from tests.local.graph import LocalGraph
from tests.local.graph.presence import NOBODY, Pair
from tests.local.graph.server import APP_ID

DND = PresenceStatus.DO_NOT_DISTURB
USER = object_id_of("a")
OURS, PREFERRED = ("DoNotDisturb", "Presenting"), ("DoNotDisturb", "DoNotDisturb")
LATER = timedelta(seconds=10)
SET, CLEAR = "/presence/setPresence", "/presence/clearPresence"
PREFER, UNPREFER = "/presence/setUserPreferredPresence", "/presence/clearUserPreferredPresence"


class Case:
    """An agent in Graph, and the gateway to it."""

    def __init__(self, running: LocalGraph) -> None:
        self.table = MemoryTable()
        self.service = MicrosoftGraph(running, self.table)
        self.graph, self.people = running, running.presence
        self.gateway = self.service.gateway
        self.people.add(USER)

    @property
    def soon(self) -> Deadline:
        return Deadline(self.service.clock, 10)

    def read(self) -> Presence:
        return self.gateway.read("a", self.soon)

    def set_once(self, hold_id: str = "h") -> Presence:
        current = self.read()
        return self.gateway.write("a", held_presence(Hold(hold_id=hold_id), current), self.soon)

    def hold(self) -> Presence:
        """Until it is in place, as the reconciling does."""
        for _ in range(5):
            current = self.read()
            if current.hold_id is not None and current.status is DND and not current.fading:
                return current
            self.gateway.write("a", held_presence(Hold(hold_id="h"), current), self.soon)
            self.later()
        raise AssertionError("it never was in place")

    def give_back(self) -> Presence:
        current = self.read()
        assert current.hold_id is not None and current.before is not None
        return self.gateway.write("a", returned_presence(current), self.soon)

    def later(self, by: timedelta = LATER) -> None:
        self.service.pass_time(by)

    def asked(self) -> list[str]:
        """What was asked of Graph since the last time, by the end of each path."""
        asked = [each.rpartition("/")[2] for each in self.graph.requests]
        self.graph.requests.clear()
        return asked

    def rows(self) -> list[str]:
        return [row.key for row in self.table.between("!", "~", 10, self.soon).result()]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalGraph]:
    with LocalGraph.start() as graph:
        yield graph


@pytest.fixture
def case(running: LocalGraph) -> Case:
    return Case(running)


def as_it_was(case: Case, sessions: Pair | None, preference: Pair | None) -> None:
    if sessions is not None:
        case.people.sign_in(USER, *sessions)
    if preference is not None:
        case.people.prefer(USER, *preference)


# What a client says, what the user prefers, what is then set in their preference, and what is preferred afterwards.
NO_PREFERENCE: list[tuple[Pair, Pair | None]] = [
    (("Busy", "InACall"), None),
    (("Busy", "InAConferenceCall"), None),
    (("Busy", "InAMeeting"), None),
    (("DoNotDisturb", "Presenting"), None),
    (("DoNotDisturb", "Focusing"), None),
    (("Away", "Inactive"), None),
    (("AvailableIdle", "Available"), None),
    (("BusyIdle", "Busy"), None),
    (("Away", "OutOfOffice"), None),
]
UNSURE: list[Pair] = [("Available", "Available"), ("Busy", "Busy"), ("Away", "Away")]
CERTAIN: list[Pair] = [("BeRightBack", "BeRightBack"), ("Offline", "OffWork")]


class TestEveryState:
    """The table of what is set where this is shown, and what gives it back (E2 of the facts)."""

    @pytest.mark.parametrize("shown", [each for each, _ in NO_PREFERENCE] + UNSURE)
    def test_a_state_that_a_client_shows_is_held_by_our_session_alone(self, case: Case, shown: Pair) -> None:
        as_it_was(case, shown, None)
        held = case.hold()
        assert case.people.left(USER) == ({APP_ID: OURS}, None)
        assert held.before_native == "/".join(shown)
        case.give_back()
        assert case.people.left(USER) == ({}, None) and case.people.merged(USER) == shown
        assert {PREFER[10:], UNPREFER[10:]} & {*case.asked()} == set()

    @pytest.mark.parametrize("preferred", UNSURE)
    def test_a_preference_that_hides_our_session_is_replaced_and_comes_back(self, case: Case, preferred: Pair) -> None:
        as_it_was(case, ("Busy", "InAMeeting"), preferred)
        first = case.set_once()
        assert first.look_at == case.service.clock.now() + timedelta(seconds=5)
        assert case.people.left(USER) == ({APP_ID: OURS}, preferred), "only where one hides it"
        case.later()
        assert case.read().status is not DND and case.read().changed_by is SetBy.SYSTEM
        held = case.hold()
        assert case.people.merged(USER) == PREFERRED
        assert held.before_native == "/".join(preferred)
        case.give_back()
        assert case.people.left(USER) == ({}, preferred) and case.people.merged(USER) == preferred

    @pytest.mark.parametrize("preferred", CERTAIN)
    @pytest.mark.parametrize("client", [("Available", "Available"), ("Busy", "InAMeeting")])
    def test_what_only_a_preference_shows_is_replaced_at_once(self, case: Case, preferred: Pair, client: Pair) -> None:
        as_it_was(case, client, preferred)
        case.set_once()
        assert case.people.left(USER) == ({APP_ID: OURS}, PREFERRED)
        case.later()
        case.hold()
        case.give_back()
        assert case.people.left(USER) == ({}, preferred) and case.people.merged(USER) == preferred

    def test_who_prefers_do_not_disturb_already_is_left_alone(self, case: Case) -> None:
        as_it_was(case, ("Available", "Available"), PREFERRED)
        case.hold()
        case.give_back()
        assert set(case.asked()) == {"presence"}, "nothing was set and nothing taken away"
        assert case.people.left(USER) == ({}, PREFERRED)

    def test_who_is_signed_in_nowhere_is_held_for_when_they_are(self, case: Case) -> None:
        assert case.read().native == "Offline/Offline"
        case.hold()
        case.people.sign_in(USER)
        assert case.people.merged(USER) == PREFERRED
        case.give_back()
        assert case.people.left(USER) == ({}, None) and case.people.merged(USER) == ("Available", "Available")

    def test_a_state_that_nobody_knows_is_held_and_comes_back(self, case: Case) -> None:
        case.people.sign_in(USER, "Available", "InAGame")
        case.hold()
        case.give_back()
        assert case.people.merged(USER) == ("Available", "InAGame")

    def test_where_sessions_of_applications_do_not_show_the_preference_is_used(self, case: Case) -> None:
        case.people.shows_sessions_of_apps = False
        as_it_was(case, ("Busy", "InAMeeting"), None)
        case.hold()
        assert case.people.merged(USER) == PREFERRED
        case.give_back()
        assert case.people.left(USER) == ({}, None) and case.people.merged(USER) == ("Busy", "InAMeeting")

    @pytest.mark.parametrize("shown", [*UNSURE, *CERTAIN, ("Busy", "InAMeeting"), NOBODY])
    def test_names_are_compared_whatever_their_case(self, case: Case, shown: Pair) -> None:
        case.people.camel_case = True
        case.people.empty_answers = False
        as_it_was(case, ("Busy", "InAMeeting") if shown in CERTAIN else shown, shown if shown in CERTAIN else None)
        if shown == NOBODY:
            case.people.sign_out(USER)
        held = case.hold()
        assert held.before_native == "/".join(shown)
        case.give_back()
        assert case.people.merged(USER) == shown
