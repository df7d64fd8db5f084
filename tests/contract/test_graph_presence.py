"""Presence in Microsoft Graph: the hold and its return, state by state, and Graph when it does not serve."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec import structs

from shared.adapters.kept_tokens import GIVEN_UP_S
from shared.adapters.table import Put, Replace
from shared.deadlines import Deadline
from shared.domain.errors import Conflict, EmergencyCallingError, Refused, Unavailable
from shared.domain.presence import Hold, Presence, PresenceStatus, SetBy, held_presence, returned_presence
from tests.contract.presence_services import MicrosoftGraph, graph_gateway, object_id_of
from tests.contract.table_servers import DEEP
from tests.fakes.memory_table import MemoryTable
from tests.local.graph import Fault, LocalGraph
from tests.local.graph.presence import NOBODY, Pair
from tests.local.graph.server import APP_ID, PRESENCE, READ_PRESENCE, SEND
from tests.rules.sources import ROOT
from tests.unit.test_broken_rows import BREAKAGES, SUBTLE

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

    @pytest.mark.parametrize("shown", UNSURE)
    def test_a_read_that_is_too_old_pins_nobody_to_what_a_client_showed(self, case: Case, shown: Pair) -> None:
        as_it_was(case, shown, None)
        case.later(timedelta(minutes=1))
        case.people.lag_s = 12.0
        case.set_once()
        case.later()
        assert case.read().native == "/".join(shown)
        case.set_once()
        assert case.people.left(USER) == ({APP_ID: OURS}, PREFERRED), "nothing tells it from a preference"
        case.people.lag_s = 0.0
        case.later()
        case.hold()
        case.give_back()
        preference = case.people.ends_in_s(USER)[1]
        assert preference is not None and 3500 < preference <= 3600
        case.later(timedelta(hours=1))
        case.people.sign_in(USER, "Busy", "InAMeeting")
        assert case.people.merged(USER) == ("Busy", "InAMeeting")

    @pytest.mark.parametrize("preferred", CERTAIN)
    def test_what_only_a_preference_shows_comes_back_for_as_long_as_graph_lets_it_last(
        self, case: Case, preferred: Pair
    ) -> None:
        as_it_was(case, ("Available", "Available"), preferred)
        case.hold()
        case.give_back()
        preference = case.people.ends_in_s(USER)[1]
        assert preference is not None and preference > 24 * 3600

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

    def test_the_preference_of_who_prefers_do_not_disturb_already_is_left_alone(self, case: Case) -> None:
        as_it_was(case, ("Available", "Available"), PREFERRED)
        case.hold()
        assert case.people.left(USER) == ({APP_ID: OURS}, PREFERRED)
        case.give_back()
        assert {PREFER[10:], UNPREFER[10:]} & {*case.asked()} == set()
        assert case.people.left(USER) == ({}, PREFERRED) and case.people.merged(USER) == PREFERRED

    @pytest.mark.parametrize("at_once", [True, False])
    def test_a_do_not_disturb_of_the_agents_that_ends_meanwhile_does_not_end_the_hold(
        self, case: Case, at_once: bool
    ) -> None:
        as_it_was(case, ("Available", "Available"), PREFERRED)
        _ = case.set_once() if at_once else case.hold()
        case.people.prefer(USER, None)
        assert case.people.merged(USER) == OURS
        case.later(timedelta(minutes=1))
        assert (case.read().hold_id, case.read().status) == ("h", DND)
        case.hold()
        case.give_back()
        assert case.people.left(USER) == ({}, None) and case.people.merged(USER) == ("Available", "Available")

    @pytest.mark.parametrize("chosen", [*UNSURE, *CERTAIN])
    def test_what_the_agent_chooses_instead_of_their_own_do_not_disturb_stays(self, case: Case, chosen: Pair) -> None:
        as_it_was(case, ("Available", "Available"), PREFERRED)
        case.hold()
        case.people.prefer(USER, *chosen)
        assert (case.read().native, case.read().hold_id) == ("/".join(chosen), None)
        case.gateway.forget("a", "h", case.soon)
        assert case.people.left(USER) == ({}, chosen) and case.rows() == []

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

    @pytest.mark.parametrize(
        ("shown", "status"),
        [
            (("DoNotDisturb", "Presenting"), DND),
            (("DoNotDisturb", "Focusing"), DND),
            (("Busy", "InACall"), PresenceStatus.BUSY),
            (("Busy", "InAMeeting"), PresenceStatus.BUSY),
        ],
    )
    def test_what_the_newest_reference_lists_as_availabilities_is_known(
        self, case: Case, shown: Pair, status: PresenceStatus
    ) -> None:
        case.people.newest_reference = True
        as_it_was(case, shown, None)
        assert case.read().status is status
        held = case.hold()
        assert (held.before, held.before_native) == (status, f"{shown[1]}/{shown[0]}")
        case.give_back()
        assert case.people.left(USER) == ({}, None) and case.people.merged(USER) == shown[::-1]


class TestOutOfOffice:
    """With automatic replies on, the activity says so instead of what else it would say."""

    @pytest.fixture(autouse=True)
    def replies_are_on(self, case: Case) -> None:
        case.people.out_of_office.add(USER)

    @pytest.mark.parametrize("shown", UNSURE)
    def test_who_prefers_nothing_is_held_by_our_session_alone(self, case: Case, shown: Pair) -> None:
        as_it_was(case, shown, None)
        held = case.hold()
        assert held.before_native == f"{shown[0]}/OutOfOffice"
        assert case.people.left(USER) == ({APP_ID: OURS}, None)
        case.give_back()
        assert case.people.left(USER) == ({}, None)

    @pytest.mark.parametrize("preferred", [*UNSURE, ("BeRightBack", "BeRightBack"), PREFERRED])
    def test_a_preference_comes_back(self, case: Case, preferred: Pair) -> None:
        as_it_was(case, ("Busy", "InAMeeting"), preferred)
        case.hold()
        assert case.people.merged(USER)[0] == "DoNotDisturb"
        case.give_back()
        assert case.people.left(USER) == ({}, preferred)

    @pytest.mark.parametrize("before", [None, *UNSURE])
    @pytest.mark.parametrize("chosen", [*UNSURE, ("BeRightBack", "BeRightBack")])
    def test_what_the_agent_sets_meanwhile_stays(self, case: Case, before: Pair | None, chosen: Pair) -> None:
        as_it_was(case, ("Available", "Available"), before)
        case.hold()
        case.people.prefer(USER, *chosen)
        seen = case.read()
        assert (seen.native, seen.hold_id) == (f"{chosen[0]}/OutOfOffice", None)
        case.gateway.forget("a", "h", case.soon)
        assert case.people.left(USER) == ({}, chosen)

    def test_replies_that_are_turned_on_meanwhile_are_no_change_of_the_agents(self, case: Case) -> None:
        case.people.out_of_office.clear()
        as_it_was(case, ("Busy", "InAMeeting"), ("Available", "Available"))
        case.set_once()
        case.people.out_of_office.add(USER)
        case.later()
        assert case.read().hold_id == "h", "what hides the hold is what was there before"
        case.hold()
        case.give_back()
        assert case.people.left(USER) == ({}, ("Available", "Available"))

    def test_who_is_signed_in_nowhere_is_not_made_to_appear_offline(self, case: Case) -> None:
        case.hold()
        case.give_back()
        assert case.people.left(USER) == ({}, None)


@pytest.mark.parametrize("breakage", [*BREAKAGES, *SUBTLE])
def test_a_broken_mark_keeps_its_own_agent_alone_from_being_held(case: Case, breakage: str) -> None:
    case.people.sign_in(USER)
    case.hold()
    [mark] = case.table.between("presencemark|", "presencemark|~", 10, case.soon).result()
    broken = BREAKAGES[breakage] if breakage in BREAKAGES else SUBTLE[breakage](mark.values)
    case.table.commit([Put(mark.key, broken)], case.soon)
    other = case.service.user("b")
    shown = case.people.merged(other)
    held = held_presence(Hold(hold_id="other"), case.gateway.read("b", case.soon))
    case.gateway.write("b", held, case.soon)
    assert case.people.merged(other)[0] == OURS[0]
    for ask in (case.read, case.set_once):
        with suppress(EmergencyCallingError):
            ask()
    case.gateway.write("b", returned_presence(case.gateway.read("b", case.soon)), case.soon)
    assert case.people.merged(other) == shown
    case.gateway.remove("a", case.soon)
    assert mark.key not in case.rows(), "it goes with the agent"


class TestWhileItLasts:
    """Renewed, ended by itself, changed by the agent or by nobody."""

    def test_it_is_renewed_every_half_hour_and_ends_by_itself_after_an_hour(self, case: Case) -> None:
        as_it_was(case, ("Available", "Available"), ("BeRightBack", "BeRightBack"))
        case.hold()
        case.later(timedelta(minutes=29))
        assert not case.read().fading
        case.later(timedelta(minutes=1))
        assert case.read().fading
        case.hold()
        sessions, preference = case.people.ends_in_s(USER)
        assert preference is not None and all(3500 < each <= 3600 for each in (*sessions, preference))
        case.later(timedelta(hours=1))
        assert case.people.left(USER) == ({}, None), "a process that died holds nobody for a day"

    def test_in_an_outage_it_ends_after_half_an_hour(self, case: Case) -> None:
        as_it_was(case, ("Available", "Available"), ("BeRightBack", "BeRightBack"))
        away = case.gateway.in_outage(None)
        away.write("a", held_presence(Hold(hold_id="h"), away.read("a", case.soon)), case.soon)
        assert case.rows() == [], "the store is away"
        sessions, preference = case.people.ends_in_s(USER)
        assert preference is not None and all(1700 < each <= 1800 for each in (*sessions, preference))
        case.later()
        case.hold()
        assert case.rows() == [f"presencemark|{case.rows()[0].partition('|')[2]}"], "it is, as soon as it can be"
        case.give_back()
        assert case.people.merged(USER) == ("BeRightBack", "BeRightBack")

    def test_who_signs_in_is_held_in_an_outage_though_nobody_knows_their_entry(self, case: Case) -> None:
        case.service.entries.strangers.add("a")
        case.people.sign_in(USER)
        assert not case.gateway.in_outage(None).read("a", case.soon).settable
        away = case.gateway.in_outage(USER.upper())
        away.write("a", held_presence(Hold(hold_id="h"), away.read("a", case.soon)), case.soon)
        assert case.people.merged(USER) == OURS

    def test_what_ended_by_itself_is_nobodys_decision(self, case: Case) -> None:
        case.people.sign_in(USER)
        case.hold()
        case.later(timedelta(minutes=61))
        shown = case.read()
        assert (shown.status, shown.hold_id, shown.changed_by) == (PresenceStatus.AVAILABLE, "h", SetBy.SYSTEM)
        case.hold()
        assert case.people.left(USER) == ({APP_ID: OURS}, None)

    def test_what_no_preference_can_show_is_no_persons_change(self, case: Case) -> None:
        as_it_was(case, ("Busy", "InAMeeting"), None)
        case.hold()
        case.people.expire(USER)
        shown = case.read()
        assert (shown.native, shown.hold_id, shown.changed_by) == ("Busy/InAMeeting", "h", SetBy.SYSTEM)

    @pytest.mark.parametrize("before", [None, *UNSURE, *CERTAIN])
    @pytest.mark.parametrize("chosen", [("Busy", "Busy"), ("Offline", "OffWork"), ("Available", "Available")])
    def test_what_the_agent_sets_meanwhile_stays_and_our_session_goes(
        self, case: Case, before: Pair | None, chosen: Pair
    ) -> None:
        as_it_was(case, ("Available", "Available"), before)
        case.hold()
        case.people.prefer(USER, *chosen)
        seen = case.read()
        assert (seen.native, seen.hold_id, seen.changed_by) == ("/".join(chosen), None, SetBy.UNKNOWN)
        assert case.gateway.forget("a", "h", case.soon) is None
        assert case.people.left(USER) == ({}, chosen) and case.rows() == []

    def test_a_preference_that_changed_just_now_is_not_replaced(self, case: Case) -> None:
        as_it_was(case, ("Available", "Available"), ("BeRightBack", "BeRightBack"))
        wanted = held_presence(Hold(hold_id="h"), case.read())
        case.people.prefer(USER, "Busy")
        with pytest.raises(Conflict):
            case.gateway.write("a", wanted, case.soon)
        assert case.people.left(USER) == ({}, ("Busy", "Busy")) and case.rows() == []
        case.hold()
        back = case.read()
        assert back.before is PresenceStatus.BUSY
        case.people.prefer(USER, "Away")
        with pytest.raises(Conflict):
            case.gateway.write("a", returned_presence(back), case.soon)
        assert case.people.left(USER)[1] == ("Away", "Away")

    def test_another_dial_right_after_the_return_does_not_take_what_it_reads_for_the_agents_own(
        self, case: Case
    ) -> None:
        as_it_was(case, ("Available", "Available"), ("BeRightBack", "BeRightBack"))
        case.hold()
        case.give_back()
        case.gateway.forget("a", "h", case.soon)
        case.people.lag_s = 5.0
        case.later(timedelta(seconds=2))
        shown = case.read()
        assert (shown.native, shown.hold_id) == ("BeRightBack/BeRightBack", None)
        with pytest.raises(Conflict):
            case.set_once("another")
        case.later()
        case.hold()
        case.give_back()
        assert case.people.left(USER) == ({}, ("BeRightBack", "BeRightBack"))

    def test_where_no_mark_is_left_what_is_shown_tells_what_to_take_away(self, case: Case) -> None:
        for preferred in (None, ("BeRightBack", "BeRightBack")):
            as_it_was(case, ("Available", "Available"), preferred)
            found = case.read()
            case.hold()
            case.gateway.remove("a", case.soon)
            shown = case.read()
            assert (shown.status, shown.hold_id) == (DND, None)
            wanted = structs.replace(found, version=shown.version)
            case.gateway.write("a", wanted, case.soon)
            assert case.people.left(USER) == ({}, preferred)
            case.later()

    def test_what_nobody_knows_any_more_is_away_for_an_hour(self, case: Case) -> None:
        as_it_was(case, ("Available", "Available"), PREFERRED)
        shown = case.read()
        unknown = held_presence(Hold(hold_id="h", before=PresenceStatus.AWAY), shown)
        case.gateway.write("a", unknown, case.soon)
        case.give_back()
        preference = case.people.ends_in_s(USER)[1]
        assert case.people.left(USER) == ({}, ("Away", "Away"))
        assert preference is not None and 3500 < preference <= 3600

    def test_a_mark_that_nobody_can_read_is_gone_with_the_hold(self, case: Case) -> None:
        case.people.sign_in(USER)
        case.hold()
        [row] = case.table.between("!", "~", 10, case.soon).result()
        case.table.commit([Replace(row.key, {"state": "{"}, row.version)], case.soon)
        with pytest.raises(Unavailable):
            case.read()
        case.gateway.forget("a", "h", case.soon)
        assert case.rows() == []
        assert case.read().status is DND, "until it ends by itself"


class TestWhatGraphAnswers:
    """Each answer is classified once."""

    def test_one_token_serves_all(self, case: Case) -> None:
        case.gateway.warm_up()  # type: ignore[attr-defined]
        case.people.sign_in(USER)
        case.hold()
        case.give_back()
        assert case.service.tokens.fetched == 1

    def test_a_token_at_its_end_is_replaced(self, case: Case) -> None:
        tokens = case.service.tokens
        tokens.lives_s = int(GIVEN_UP_S)
        case.read()
        case.read()
        assert tokens.fetched == 2
        tokens.away = True
        with pytest.raises(Unavailable) as caught:
            case.read()
        assert caught.value.reason == "identity"

    def test_a_token_that_is_not_taken_is_replaced_once(self, case: Case) -> None:
        case.people.sign_in(USER)
        case.graph.faults.append(Fault(status=401))
        assert case.read().settable
        assert (case.service.tokens.fetched, case.asked()) == (2, ["presence", "presence"])
        case.graph.faults += [Fault(status=401)] * 2
        with pytest.raises(Unavailable) as caught:
            case.read()
        assert caught.value.reason == "identity"

    @pytest.mark.parametrize("roles", [[], [SEND], [READ_PRESENCE]])
    def test_a_right_that_is_missing_is_for_somebody_to_mend(self, case: Case, roles: list[str]) -> None:
        case.people.sign_in(USER)
        case.service.tokens.claims["roles"] = roles
        with pytest.raises(Unavailable) as caught:
            case.set_once()
        assert caught.value.reason == "right" and USER not in str(caught.value)
        with pytest.raises(Refused):
            case.gateway.ping(case.soon)
        case.service.tokens.claims["roles"] = [PRESENCE]

    def test_whether_it_serves_us_can_be_asked_without_touching_anybody(self, case: Case) -> None:
        case.people.sign_in(USER)
        case.gateway.ping(case.soon)
        assert case.people.merged(USER) == ("Available", "Available")
        case.graph.faults.append(Fault(status=503))
        with pytest.raises(Unavailable):
            case.gateway.ping(case.soon)

    def test_a_single_404_is_asked_about_once_more(self, case: Case) -> None:
        case.people.sign_in(USER)
        case.graph.faults.append(Fault(status=404))
        assert case.read().settable

    def test_whom_it_does_not_know_nothing_is_set_for(self, case: Case) -> None:
        case.service.entries.strangers.add("b")
        for agent_id in ("b", "another"):
            shown = case.gateway.read(agent_id, case.soon)
            assert (shown.status, shown.settable) == (PresenceStatus.OFFLINE, False)
        case.people.sign_in(USER)
        current = case.read()
        case.graph.faults += [Fault(status=404, of="setPresence")] * 2
        shown = case.gateway.write("a", held_presence(Hold(hold_id="h"), current), case.soon)
        assert not shown.settable
        case.gateway.forget("a", "h", case.soon)

    def test_a_pause_that_it_asks_for_is_kept_without_waiting(self, case: Case) -> None:
        case.people.sign_in(USER)
        case.graph.faults.append(Fault(status=429, retry_after_s=7))
        with pytest.raises(Unavailable) as caught:
            case.read()
        assert caught.value.retry_after_s == 7
        case.asked()
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            case.read()
        assert 6 < caught.value.retry_after_s <= 7 and time.monotonic() - began < 1
        assert case.asked() == []

    @pytest.mark.parametrize("status", [409, 412, 500, 502, 503, 504])
    def test_what_may_pass_is_tried_later(self, case: Case, status: int) -> None:
        case.graph.faults.append(Fault(status=status, retry_after_s=9))
        with pytest.raises(Unavailable) as caught:
            case.read()
        assert caught.value.reason == ""

    def test_what_it_refuses_for_good_is_no_matter_of_time(self, case: Case) -> None:
        case.graph.faults.append(Fault(status=400))
        with pytest.raises(Refused):
            case.read()

    @pytest.mark.parametrize(
        "body", ["<html>", "", "null", "[]", "{}", '{"availability": 1}', '{"availability": ""}', DEEP]
    )
    def test_an_answer_that_cannot_be_read_is_none(self, case: Case, body: str) -> None:
        case.graph.faults.append(Fault(status=200, body=body))
        with pytest.raises(Unavailable):
            case.read()

    @pytest.mark.parametrize("said", ["\ud800", "A" * 65, "A" * 40_000, "Avail\nable", "\x00"], ids=ascii)
    @pytest.mark.parametrize("name", ["availability", "activity"])
    def test_a_presence_that_is_no_short_printable_text_is_no_answer(self, case: Case, name: str, said: str) -> None:
        body = {"availability": "Available", "activity": "Available", name: said}
        case.graph.faults.append(Fault(status=200, body=json.dumps(body)))
        with pytest.raises(Unavailable):
            case.read()

    @pytest.mark.parametrize("said", ["\ud800", "1" * 65])
    def test_a_sequence_number_that_is_no_short_printable_text_is_none(self, case: Case, said: str) -> None:
        body = {"availability": "Available", "activity": "Available", "sequenceNumber": said}
        case.graph.faults.append(Fault(status=200, body=json.dumps(body)))
        assert case.read().version == " Available/Available"

    def test_a_service_that_hangs_is_given_up_at_the_deadline(self, case: Case) -> None:
        case.graph.faults.append(Fault("hang"))
        began = time.monotonic()
        with pytest.raises(Unavailable):
            case.gateway.read("a", Deadline(case.service.clock, 0.5))
        assert time.monotonic() - began < 2

    def test_without_its_own_settings_it_is_for_somebody_to_mend(self, case: Case) -> None:
        nowhere = graph_gateway(
            case.graph, case.table, case.service.clock, case.service.entries, lambda: case.service.tokens, url=None
        )
        with pytest.raises(Unavailable) as caught:
            nowhere.read("a", case.soon)
        assert caught.value.reason == "settings"
        nobody = graph_gateway(
            case.graph, case.table, case.service.clock, case.service.entries, lambda: case.service.tokens, app_id=None
        )
        case.people.sign_in(USER)
        with pytest.raises(Unavailable) as caught:
            nobody.write("a", held_presence(Hold(hold_id="h"), nobody.read("a", case.soon)), case.soon)
        assert caught.value.reason == "settings"


class TestStandIn:
    """It is as strict as the documents."""

    def post(self, case: Case, action: str, body: Any, *, user: str = USER, **claims: Any) -> int:
        headers = {"Authorization": f"Bearer {case.graph.token(**claims)}"}
        url = f"{case.graph.url}/v1.0/users/{user}/presence/{action}"
        context = ssl.create_default_context(cafile=case.graph.ca_file)
        return httpx.post(url, json=body, headers=headers, verify=context, trust_env=False).status_code

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"availability": "DoNotDisturb", "activity": "Presenting"}, 204),
            ({"availability": "DoNotDisturb", "activity": "DoNotDisturb"}, 400),
            ({"availability": "doNotDisturb", "activity": "presenting"}, 400),
            ({"availability": "Busy", "activity": "InAMeeting"}, 400),
            ({"availability": "Away", "activity": "Away", "expirationDuration": "PT5M"}, 204),
            ({"availability": "Away", "activity": "Away", "expirationDuration": "PT4M"}, 400),
            ({"availability": "Away", "activity": "Away", "expirationDuration": "PT4H1M"}, 400),
            ({"availability": "Away", "activity": "Away", "expirationDuration": "1 hour"}, 400),
            ({"availability": "Away", "activity": "Away", "sessionId": USER}, 400),
            ({"availability": "Away", "activity": "Away", "statusMessage": ""}, 400),
            ({"availability": "Away"}, 400),
        ],
    )
    def test_a_session_is_one_of_five_pairs_for_minutes_to_hours(
        self, case: Case, body: dict[str, str], status: int
    ) -> None:
        assert self.post(case, "setPresence", {"sessionId": APP_ID} | body) == status

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"availability": "Offline", "activity": "OffWork"}, 204),
            ({"availability": "Offline", "activity": "Offline"}, 400),
            ({"availability": "Busy", "activity": "InACall"}, 400),
            ({"availability": "Busy", "activity": "Busy", "expirationDuration": "P8D"}, 400),
            ({"availability": "Busy", "activity": "Busy", "sessionId": APP_ID}, 400),
        ],
    )
    def test_a_preference_is_one_of_six(self, case: Case, body: dict[str, str], status: int) -> None:
        assert self.post(case, "setUserPreferredPresence", body) == status

    def test_who_may_ask_and_of_whom(self, case: Case) -> None:
        body = {"sessionId": APP_ID, "availability": "Away", "activity": "Away"}
        assert self.post(case, "setPresence", body, roles=[READ_PRESENCE]) == 403
        assert self.post(case, "setPresence", body, audience="https://graph.example.com") == 401
        assert self.post(case, "setPresence", body, for_s=-60) == 401
        assert self.post(case, "setPresence", body, user="dana@example.com") == 404
        assert self.post(case, "setPresence", body, user=object_id_of("nobody")) == 404
        assert self.post(case, "setStatusMessage", {}) == 400
        assert self.post(case, "clearPresence", {"sessionId": APP_ID}) == 404

    def test_how_one_presence_is_made_of_many(self, case: Case) -> None:
        people = case.people
        people.prefer(USER, "Busy")
        assert people.merged(USER) == NOBODY, "a preference shows nothing where nobody is signed in"
        people.sign_in(USER)
        assert people.merged(USER) == ("Busy", "Busy")
        people.prefer(USER, None)
        self.post(case, "setPresence", {"sessionId": APP_ID, "availability": "Away", "activity": "Away"})
        assert people.merged(USER) == ("Available", "Available"), "Available outranks Away"
        self.post(case, "setPresence", {"sessionId": APP_ID, "availability": "Busy", "activity": "InACall"})
        assert people.merged(USER) == ("Busy", "InACall")
        case.later(timedelta(minutes=5))
        assert people.merged(USER) == ("Available", "Available"), "five minutes where nothing else is said"

    def test_beyond_the_documented_limit_it_throttles(self, case: Case) -> None:
        for _ in range(10_000):
            case.people.count()
        with pytest.raises(Unavailable):
            case.read()
        case.later(timedelta(seconds=30))
        case.people.count()


@pytest.mark.parametrize("backend", ["table", "graph", "dynamics365"])
def test_a_backend_that_is_not_chosen_costs_no_import(backend: str) -> None:
    own = ["graph_presence", "graph_holds"]
    # Dynamics keeps its marks and asks by bearer token as Graph does.
    common = ["bearer_client", "presence_marks", "presence_holds", "presence_users"]
    names = [f"shared.adapters.{each}" for each in (*own, *common)]
    settings = {"PRESENCE_BACKEND": backend, "DYNAMICS365_URL": "https://contoso.crm.dynamics.com"}
    code = (
        "import sys; from shared.bootstrap import compose; "
        f"compose({settings!r}); print([name in sys.modules for name in {names!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = [backend == "graph"] * len(own) + [backend != "table"] * len(common)
    assert done.stdout.splitlines()[-1] == str(loaded)
