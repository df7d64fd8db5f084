"""Presence in Dynamics 365: held, seen to stay held, and given back as it was, over TLS against the stand-in."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.bearer_client import BearerService
from shared.adapters.dynamics_presence import REQUESTS_AT_ONCE, DynamicsPresence
from shared.adapters.dynamics_profiles import DynamicsProfiles
from shared.adapters.presence_marks import PresenceMarks
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import Refused, Unavailable
from shared.domain.ids import agent_key_of
from shared.domain.leases import Rules
from shared.domain.presence import LOOK_WHILE_HELD, Presence, PresenceStatus, SetBy
from shared.use_cases.effects import ReconcilePresenceOf
from shared.use_cases.end_call import End
from tests.contract.presence_services import Tokens, dynamics_gateway, dynamics_user_of
from tests.fakes.house import HandClock, House
from tests.local.dynamics import (
    AVAILABLE,
    AWAY,
    BUSY,
    BUSY_DND,
    INACTIVE,
    OFFLINE,
    QUIET,
    TRAINING,
    CapacityProfile,
    Fault,
    LocalDynamics,
)
from tests.local.dynamics.limits import MAX_AT_ONCE, MAX_REQUESTS
from tests.local.dynamics.organisation import ROWS
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process
DANA, DANA_USER = "agent-dana", "22222222-0000-0000-0000-00000000000a"
SUPERVISOR = "22222222-0000-0000-0000-00000000000b"
SET_WITHIN = timedelta(seconds=15)
SWEEP = timedelta(seconds=10)
NAMES = {row: ROWS[row].name for row in ROWS}


class RealClock(HandClock):
    """The machine's clock, which tests move on: services outside do not stand still."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    def advance(self, by: timedelta) -> None:
        self.ahead += by


class World:
    """The core in memory, with its presences in the stand-in."""

    def __init__(self, dynamics: LocalDynamics) -> None:
        self.dynamics = dynamics
        self.organisation = dynamics.organisation
        self.clock = RealClock()
        self.house = House(clock=self.clock)
        self.house.add_agent(Agent(agent_id=DANA, country="US", dynamics_user_id=DANA_USER.upper()))
        self.house.tick()
        self.gateway = self.another_process()
        self.house.presence = self.gateway
        self.calls = itertools.count(1)

    def another_process(self, **claims: Any) -> DynamicsPresence:
        """A gateway that remembers nothing."""
        tokens = Tokens(self.dynamics, **claims)
        marks = PresenceMarks(self.house.presence_rows, self.house.keys, clock=self.clock, lasts=Rules().window)
        return dynamics_gateway(self.dynamics, marks, self.clock, self.house.directory, lambda: tokens)

    def pass_time(self, by: timedelta) -> None:
        """Time passes, and the sweep runs as it does in the cloud."""
        until = self.clock.now() + by
        while self.clock.now() < until:
            step = min(SWEEP, until - self.clock.now())
            self.clock.advance(step)
            self.dynamics.advance(step.total_seconds())
            self.house.sweep()

    def dial(self) -> str:
        call_id = f"call-{next(self.calls)}"
        self.house.dial(Dial(call_id=call_id, agent_id=DANA, dialled="911"))
        return call_id

    def dial_is_remembered(self) -> None:
        """This process has read Dana's entry before, as one that served her panel has."""
        self.house.directory.find(DANA, self.house.within()).result()

    def end(self, call_id: str) -> None:
        self.house.end(End(call_id=call_id, by_agent=True, agent_id=DANA))

    @property
    def shown(self) -> str | None:
        """The name of Dana's presence in the service."""
        return self.organisation.presence(DANA_USER)

    @property
    def marks(self) -> list[str]:
        """What is kept of us beside the service."""
        rows = self.house.presence_rows.between("!", "~", 100, self.house.within()).result()
        return [row.key for row in rows]

    @property
    def told(self) -> tuple[int, int]:
        """How often it was logged that a presence was given back, and that one was left."""
        telemetry = self.house.telemetry
        return telemetry.count("presence_restored"), telemetry.count("presence_left")

    def seen(self) -> Presence:
        return self.gateway.read(DANA, self.house.within())


@pytest.fixture(scope="module")
def running() -> Iterator[LocalDynamics]:
    with LocalDynamics.start() as dynamics:
        yield dynamics


def signed_in(running: LocalDynamics) -> World:
    """Dana is signed in, and nothing has happened."""
    running.reset()
    running.ahead_s = 0.0
    world = World(running)
    running.organisation.sign_in(DANA_USER)
    return world


@pytest.fixture
def world(running: LocalDynamics) -> Iterator[World]:
    made = signed_in(running)
    yield made
    made.gateway.close()


class TestAsItWas:
    @pytest.mark.parametrize("before", [AVAILABLE, BUSY, AWAY, OFFLINE, TRAINING, QUIET, BUSY_DND], ids=NAMES.get)
    def test_it_is_held_and_comes_back_as_it_was(self, world: World, before: str) -> None:
        world.organisation.choose(DANA_USER, before)
        call = world.dial()
        assert world.shown == "Busy DND"
        assert world.marks
        world.pass_time(timedelta(minutes=2))
        assert world.shown == "Busy DND"
        world.end(call)
        assert world.shown == NAMES[before]
        assert world.marks == []
        world.pass_time(timedelta(minutes=5))
        assert world.shown == NAMES[before]

    def test_from_inactive_which_nobody_can_choose_it_comes_back_to_away(self, world: World) -> None:
        world.organisation.recalculate(DANA_USER, INACTIVE)
        world.end(world.dial())
        assert world.shown == "Away"

    def test_nested_legs_bring_back_what_was_before_the_first(self, world: World) -> None:
        world.organisation.choose(DANA_USER, TRAINING)
        first = world.dial()
        second = world.dial()
        world.end(first)
        world.pass_time(timedelta(minutes=1))
        assert world.shown == "Busy DND"
        world.end(second)
        assert world.shown == NAMES[TRAINING]

    def test_a_second_emergency_begins_anew(self, world: World) -> None:
        world.end(world.dial())
        world.organisation.choose(DANA_USER, BUSY)
        call = world.dial()
        assert world.shown == "Busy DND"
        world.end(call)
        assert world.shown == "Busy"

    def test_a_drop_keeps_it_held(self, world: World) -> None:
        call = world.dial()
        world.house.end(End(call_id=call, by_agent=False, agent_id=DANA))
        world.pass_time(timedelta(minutes=9))
        assert world.shown == "Busy DND"
        world.house.tick()
        world.pass_time(timedelta(minutes=2))
        world.house.tick()
        world.pass_time(SWEEP)
        assert world.shown == "Available"

    def test_it_is_asked_as_the_application_user_and_nobody_is_impersonated(self, world: World) -> None:
        world.end(world.dial())
        assert {asked.impersonates for asked in world.dynamics.requests} == {None}
        assert {asked.operation for asked in world.dynamics.requests} == {
            *("WhoAmI", "msdyn_agentstatuses", "CCaaS_ModifyAgentPresence"),
        }

    def test_who_is_asked_is_asked_once(self, world: World) -> None:
        for _ in range(3):
            world.end(world.dial())
        assert world.dynamics.count("WhoAmI") == 1


# What the documents leave open: what the API is said to have been, and whether the organisation names users.
ATTRIBUTIONS = [("SYSTEM", True), ("AGENT", True), (None, True), ("SYSTEM", False), ("AGENT", False), (None, False)]


@pytest.fixture(params=ATTRIBUTIONS, ids=str)
def attributed(request: pytest.FixtureRequest, world: World) -> World:
    world.organisation.api_says, world.organisation.names_users = request.param
    return world


class TestWhoChangedIt:
    @pytest.mark.parametrize("chosen", [BUSY, TRAINING], ids=NAMES.get)
    def test_what_the_agent_chooses_stays(self, attributed: World, chosen: str) -> None:
        world = attributed
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        world.organisation.choose(DANA_USER, chosen)
        world.pass_time(timedelta(minutes=2))
        assert world.shown == NAMES[chosen]
        world.end(call)
        world.pass_time(timedelta(minutes=3))
        assert world.shown == NAMES[chosen]
        assert world.marks == []

    def test_what_a_supervisor_sets_stays(self, attributed: World) -> None:
        world = attributed
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        world.organisation.assign(DANA_USER, AVAILABLE, SUPERVISOR)
        world.pass_time(timedelta(minutes=1))
        world.end(call)
        assert world.shown == "Available"

    def test_a_choice_right_before_the_end_stays_too(self, attributed: World) -> None:
        world = attributed
        call = world.dial()
        world.organisation.choose(DANA_USER, BUSY)
        world.end(call)
        assert world.shown == "Busy"
        assert world.marks == []

    def test_do_not_disturb_that_the_agent_chose_instead_stays(self, world: World) -> None:
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        world.organisation.choose(DANA_USER, BUSY_DND)
        world.pass_time(timedelta(minutes=1))
        world.end(call)
        assert world.shown == "Busy DND"

    def test_what_is_undisturbed_comes_back(self, attributed: World) -> None:
        world = attributed
        call = world.dial()
        world.pass_time(timedelta(minutes=2))
        world.end(call)
        assert (world.shown, world.marks) == ("Available", [])

    def test_after_a_new_dial_it_is_held_whatever_a_person_chose(self, attributed: World) -> None:
        world = attributed
        first = world.dial()
        world.organisation.choose(DANA_USER, BUSY)
        world.pass_time(timedelta(minutes=1))
        second = world.dial()
        assert world.shown == "Busy DND"
        world.end(first)
        world.end(second)
        assert world.shown == "Busy"


class TestThePlatformItself:
    def test_what_it_makes_anew_is_undone_in_time(self, world: World) -> None:
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        world.organisation.recalculate(DANA_USER, AVAILABLE)
        world.pass_time(LOOK_WHILE_HELD + SET_WITHIN)
        assert world.shown == "Busy DND"
        world.end(call)
        assert world.shown == "Available"

    @pytest.mark.parametrize("away_s", [5, 40, 100, 200])
    def test_a_broken_connection_does_not_end_the_hold(self, attributed: World, away_s: int) -> None:
        world = attributed
        world.organisation.choose(DANA_USER, TRAINING)
        call = world.dial()
        world.pass_time(timedelta(seconds=20))
        world.organisation.disconnect(DANA_USER)
        world.pass_time(timedelta(seconds=away_s))
        assert world.shown == "Offline"
        world.organisation.reconnect(DANA_USER)
        world.pass_time(LOOK_WHILE_HELD + SET_WITHIN)
        assert world.shown == "Busy DND"
        world.end(call)
        assert (world.shown, world.marks) == (NAMES[TRAINING], [])

    @pytest.mark.parametrize("said", ["AGENT", "CAPACITY", None])
    @pytest.mark.parametrize(("away_s", "back"), [(100, NAMES[TRAINING]), (200, "Available")])
    def test_nor_does_it_where_nothing_says_that_it_was_the_platform(
        self, attributed: World, said: str | None, away_s: int, back: str
    ) -> None:
        """Made anew it may be the agent's own choice at the login: that is held, and comes back."""
        world = attributed
        world.organisation.platform_says = said
        world.organisation.choose(DANA_USER, TRAINING)
        call = world.dial()
        world.pass_time(timedelta(seconds=20))
        world.organisation.disconnect(DANA_USER)
        world.pass_time(timedelta(seconds=away_s))
        world.organisation.reconnect(DANA_USER)
        world.pass_time(LOOK_WHILE_HELD + SET_WITHIN)
        assert world.shown == "Busy DND"
        world.end(call)
        assert (world.shown, world.marks) == (back, [])

    @pytest.mark.parametrize("back_after_s", [20, 100])
    def test_what_is_restored_after_the_end_is_given_back(self, attributed: World, back_after_s: int) -> None:
        world = attributed
        call = world.dial()
        world.pass_time(timedelta(seconds=40))
        world.organisation.disconnect(DANA_USER)
        world.end(call)
        world.pass_time(timedelta(seconds=back_after_s))
        world.organisation.reconnect(DANA_USER)
        assert world.shown == "Busy DND"
        world.pass_time(LOOK_WHILE_HELD + SET_WITHIN)
        assert (world.shown, world.marks) == ("Available", [])

    def test_who_goes_home_leaves_nothing_owed(self, world: World) -> None:
        call = world.dial()
        world.organisation.sign_out(DANA_USER)
        world.end(call)
        world.pass_time(timedelta(minutes=5))
        assert world.marks == []
        asked = len(world.dynamics.requests)
        world.pass_time(timedelta(minutes=5))
        assert len(world.dynamics.requests) == asked


class TestNotSignedIn:
    @pytest.mark.parametrize("status", [200, 400, 404])
    def test_it_is_held_at_the_next_login_and_what_that_gave_comes_back(self, world: World, status: int) -> None:
        world.organisation.signed_out_status = status
        world.organisation.sign_out(DANA_USER)
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        assert (world.shown, world.marks) == ("Offline", [])
        world.organisation.sign_in(DANA_USER, AWAY)
        world.pass_time(LOOK_WHILE_HELD + SET_WITHIN)
        assert world.shown == "Busy DND"
        world.end(call)
        assert world.shown == "Away"

    def test_who_never_signed_in(self, world: World) -> None:
        world.house.add_agent(
            Agent(agent_id="new", country="US", dynamics_user_id="2" * 8 + "-0000" * 3 + "-" + "9" * 12)
        )
        assert world.gateway.read("new", world.house.within()) == Presence(
            status=PresenceStatus.OFFLINE, settable=False
        )

    def test_whom_dynamics_does_not_know_is_not_asked_for(self, world: World) -> None:
        world.house.add_agent(Agent(agent_id="lee", country="US"))
        for agent_id in ("lee", "nobody"):
            world.house.dial(Dial(call_id=f"call of {agent_id}", agent_id=agent_id, dialled="911"))
        assert world.dynamics.requests == []

    def test_a_session_that_ends_between_look_and_set(self, world: World) -> None:
        world.organisation.api_refuses = 405
        call = world.dial()
        assert world.shown == "Available"
        world.pass_time(timedelta(minutes=1))
        world.organisation.api_refuses = None
        world.pass_time(timedelta(minutes=1))
        assert world.shown == "Busy DND"
        world.end(call)
        assert world.shown == "Available"


class TestRefusedGivingBack:
    @pytest.mark.parametrize("held_for", [timedelta(minutes=1), timedelta(minutes=4)])
    def test_where_the_organisations_own_presence_is_gone_the_plain_one_of_its_status_comes_back(
        self, world: World, held_for: timedelta
    ) -> None:
        world.organisation.choose(DANA_USER, TRAINING)
        call = world.dial()
        world.pass_time(held_for)
        world.organisation.removed.add(TRAINING)
        world.end(call)
        assert (world.shown, world.marks) == ("Away", [])
        world.pass_time(timedelta(minutes=5))
        assert (world.shown, world.told) == ("Away", (1, 0))

    @pytest.mark.parametrize("status", [400, 404, 405])
    @pytest.mark.parametrize("before", [AVAILABLE, TRAINING], ids=NAMES.get)
    @pytest.mark.parametrize("at", range(4))
    def test_a_single_refusal_after_a_long_hold_changes_nothing(
        self, world: World, at: int, before: str, status: int
    ) -> None:
        world.organisation.choose(DANA_USER, before)
        call = world.dial()
        world.pass_time(timedelta(minutes=4))
        world.dynamics.faults[:] = [None] * at + [Fault("status", status)]
        world.end(call)
        world.pass_time(timedelta(minutes=1))
        assert (world.shown, world.marks, world.told) == (NAMES[before], [], (1, 0))

    @pytest.mark.parametrize("status", [400, 404, 405])
    @pytest.mark.parametrize("before", [AVAILABLE, TRAINING], ids=NAMES.get)
    @pytest.mark.parametrize("held_for", [timedelta(minutes=1), timedelta(minutes=4)])
    def test_what_is_refused_for_good_is_left_and_told(
        self, world: World, held_for: timedelta, before: str, status: int
    ) -> None:
        world.organisation.choose(DANA_USER, before)
        call = world.dial()
        world.pass_time(held_for)
        world.organisation.api_refuses = status
        world.end(call)
        world.pass_time(timedelta(minutes=5))
        assert (world.shown, world.marks, world.told) == ("Busy DND", [], (0, 1))

    def test_of_whom_goes_home_nothing_is_told(self, world: World) -> None:
        call = world.dial()
        world.pass_time(timedelta(minutes=4))
        world.organisation.sign_out(DANA_USER)
        world.end(call)
        world.pass_time(timedelta(minutes=5))
        assert (world.marks, world.told) == ([], (0, 0))


FAULTS = [
    *(Fault("status", status) for status in (400, 401, 403, 404, 405, 412, 500, 503)),
    Fault("status", 429, retry_after_s=5),
    *(Fault(kind) for kind in ("drop", "lost", "late")),
    *(Fault("body", body=body) for body in ("<html>", "{}", '{"value": [{}]}', "")),
]
# One of each kind; the others take minutes together.
KINDS = [
    Fault("status", 503),
    Fault("status", 401),
    Fault("status", 404),
    *(Fault(kind) for kind in ("lost", "late")),
    Fault("body", body="{}"),
]


class TestFaults:
    """Each fault at each request, once; the sweep tries again, and so does whoever reported the dial."""

    @staticmethod
    def play(world: World, fault: Fault | None, at: int, *, chosen: str | None = None, land_at_the_end: bool) -> None:
        """Two legs, reported twice each; what is late lands a minute later, or a minute after the end."""
        world.organisation.choose(DANA_USER, TRAINING)
        world.dynamics.faults[:] = [None] * at + [fault]
        first = world.dial()
        world.house.dial(Dial(call_id=first, agent_id=DANA, dialled="911"))
        world.pass_time(timedelta(minutes=1))
        if not land_at_the_end:
            world.dynamics.land()
        second = world.dial()
        world.end(first)
        world.pass_time(timedelta(minutes=1))
        assert world.shown == "Busy DND"
        if chosen is not None:
            world.organisation.choose(DANA_USER, chosen)
        world.end(second)
        world.end(second)
        world.pass_time(timedelta(minutes=1))
        world.dynamics.land()
        world.pass_time(timedelta(minutes=2))

    @pytest.mark.parametrize("fault", KINDS, ids=str)
    def test_presence_comes_back(self, running: LocalDynamics, fault: Fault) -> None:
        self.comes_back(running, fault, land_at_the_end=False)

    def test_what_lands_after_the_end_does_not_stay(self, running: LocalDynamics) -> None:
        self.comes_back(running, Fault("late"), land_at_the_end=True)

    @pytest.mark.long
    @pytest.mark.parametrize("fault", [each for each in FAULTS if each not in KINDS], ids=str)
    def test_presence_comes_back_whatever_the_status(self, running: LocalDynamics, fault: Fault) -> None:
        self.comes_back(running, fault, land_at_the_end=False)

    def comes_back(self, running: LocalDynamics, fault: Fault, *, land_at_the_end: bool) -> None:
        for at in range(self.requests_of_a_story(running)):
            world = signed_in(running)
            self.play(world, fault, at, land_at_the_end=land_at_the_end)
            assert (world.shown, world.marks) == (NAMES[TRAINING], []), at
            world.gateway.close()

    def test_what_lands_after_the_agents_own_choice_gives_way_to_it(self, world: World) -> None:
        world.dynamics.faults += [None, None, None, Fault("late")]
        call = world.dial()
        world.pass_time(timedelta(seconds=20))
        assert world.shown == "Busy DND"
        world.organisation.choose(DANA_USER, BUSY)
        world.pass_time(timedelta(seconds=30))
        assert world.marks, "a set may still land"
        assert world.dynamics.land() == 1
        assert world.shown == "Busy DND"
        world.pass_time(timedelta(minutes=2))
        assert (world.shown, world.marks) == ("Busy", [])
        world.end(call)
        assert world.shown == "Busy"

    @pytest.mark.parametrize("fault", [Fault(), Fault("lost")], ids=str)
    def test_what_the_agent_chose_is_not_overwritten(self, running: LocalDynamics, fault: Fault) -> None:
        for at in range(self.requests_of_a_story(running)):
            world = signed_in(running)
            self.play(world, fault, at, chosen=BUSY, land_at_the_end=False)
            assert (world.shown, world.marks) == ("Busy", []), at
            world.gateway.close()

    def requests_of_a_story(self, running: LocalDynamics) -> int:
        world = signed_in(running)
        self.play(world, None, 0, land_at_the_end=False)
        world.gateway.close()
        asked = len(world.dynamics.requests)
        assert 10 < asked < 30
        return asked


class TestReadsThatLag:
    def test_what_is_not_seen_yet_is_set_once_more_and_comes_back(self, world: World) -> None:
        world.organisation.choose(DANA_USER, TRAINING)
        world.dynamics.advance(60)
        world.organisation.lag = timedelta(seconds=8)
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        assert world.shown == "Busy DND"
        world.end(call)
        world.pass_time(timedelta(minutes=3))
        assert (world.shown, world.marks) == (NAMES[TRAINING], [])

    @pytest.mark.parametrize("before", [TRAINING, BUSY_DND], ids=NAMES.get)
    @pytest.mark.parametrize("lag_s", [1, 4])
    def test_what_ends_before_it_is_seen_comes_back(self, attributed: World, lag_s: int, before: str) -> None:
        world = lagging(attributed, before, lag_s)
        world.end(world.dial())
        world.pass_time(timedelta(minutes=3))
        assert (world.shown, world.marks) == (NAMES[before], [])

    @pytest.mark.parametrize("before", [TRAINING, BUSY_DND], ids=NAMES.get)
    @pytest.mark.parametrize("pause_s", [0, 1, 3])
    @pytest.mark.parametrize("held_s", [0, 2, 60])
    def test_a_redial_before_the_return_is_seen_is_held_and_comes_back(
        self, attributed: World, held_s: int, pause_s: int, before: str
    ) -> None:
        world = lagging(attributed, before, 4)
        call = world.dial()
        world.pass_time(timedelta(seconds=held_s))
        world.end(call)
        world.pass_time(timedelta(seconds=pause_s))
        again = world.dial()
        for _ in range(12):
            world.pass_time(timedelta(seconds=1))
            world.house.perform(ReconcilePresenceOf(agent_key_of(DANA)))
        world.pass_time(timedelta(minutes=1))
        assert world.shown == "Busy DND"
        world.end(again)
        world.pass_time(timedelta(minutes=3))
        assert (world.shown, world.marks) == (NAMES[before], [])

    def test_what_the_agent_chooses_before_the_return_is_seen_stays(self, attributed: World) -> None:
        world = lagging(attributed, TRAINING, 4)
        call = world.dial()
        world.pass_time(timedelta(minutes=1))
        world.end(call)
        world.organisation.choose(DANA_USER, BUSY)
        world.pass_time(timedelta(minutes=3))
        assert (world.shown, world.marks) == ("Busy", [])

    def test_a_return_that_is_never_seen_is_not_repeated_for_ever(self, world: World) -> None:
        call = world.dial()
        world.pass_time(timedelta(minutes=2))
        asked = world.dynamics.count("CCaaS_ModifyAgentPresence")
        world.organisation.lag = timedelta(minutes=1)
        world.end(call)
        world.pass_time(timedelta(seconds=50))
        assert (world.seen().status, world.marks) == (PresenceStatus.DO_NOT_DISTURB, [])
        assert world.dynamics.count("CCaaS_ModifyAgentPresence") == asked + 3


def lagging(world: World, before: str, lag_s: int) -> World:
    """The agent has chosen this long ago, and what is read is so old."""
    world.organisation.choose(DANA_USER, before)
    world.dynamics.advance(60)
    world.organisation.lag = timedelta(seconds=lag_s)
    return world


class TestOutage:
    """The store is away: presence lies elsewhere, and is held all the same."""

    def test_it_is_held_and_the_repeated_dial_gives_back_what_was_there(self, world: World) -> None:
        world.organisation.choose(DANA_USER, TRAINING)
        world.dial_is_remembered()
        world.house.line.away = True
        call = world.dial()
        assert (world.shown, world.marks) == ("Busy DND", [])
        world.house.line.away = False
        world.house.dial(Dial(call_id=call, agent_id=DANA, dialled="911"))
        world.pass_time(timedelta(minutes=1))
        world.end(call)
        assert (world.shown, world.marks) == (NAMES[TRAINING], [])

    def test_where_the_process_died_meanwhile_it_comes_back_to_away(self, world: World) -> None:
        """Nobody knows what was there: the mark died with the process, and the row says that it was us."""
        world.organisation.choose(DANA_USER, TRAINING)
        world.dial_is_remembered()
        world.house.line.away = True
        call = world.dial()
        assert world.shown == "Busy DND"
        world.house.line.away = False
        world.house.forget_outages()
        world.gateway = world.house.presence = world.another_process()
        ago = timedelta(seconds=30)
        world.dynamics.advance(ago.total_seconds())
        world.clock.advance(ago)
        world.house.dial(Dial(call_id=call, agent_id=DANA, dialled="911", dialled_ago=ago + timedelta(seconds=5)))
        world.end(call)
        assert world.shown == "Away"

    def test_whom_nobody_remembers_cannot_be_held(self, world: World) -> None:
        assert world.gateway.in_outage(None).read("stranger", world.house.within()).settable is False
        assert world.dynamics.requests == []


def told(**columns: object) -> Fault:
    """An answer that holds a row with these columns."""
    row = {"_msdyn_currentpresenceid_value": AVAILABLE, "msdyn_isagentloggedin": True, **columns}
    return Fault("body", body=json.dumps({"value": [row]}))


class TestAnswersThatNoRowCanHold:
    @pytest.mark.parametrize(
        "time_said",
        [
            *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2026-11-20T16:00:00"),
            *("2026-13-40T00:00:00Z", "yesterday", "9998-01-01T00:00:00Z"),
        ],
    )
    def test_a_time_that_cannot_be_used_is_as_if_none_was_said_and_the_emergency_stays_readable(
        self, world: World, time_said: str
    ) -> None:
        world.organisation.modified_on_says = time_said
        call = world.dial()
        assert world.shown == "Busy DND"
        again = world.house.dial(Dial(call_id="again", agent_id=DANA, dialled="911"))
        assert not again.degraded
        world.end("again")
        world.end(call)
        assert (world.shown, world.marks) == ("Available", [])

    @pytest.mark.parametrize("time_said", ["2026-11-20T16:00:00", "0001-01-01T00:00:00Z"])
    def test_the_time_of_a_change_that_cannot_be_used_is_not_shown(self, world: World, time_said: str) -> None:
        world.organisation.modified_on_says = time_said
        assert (world.seen().since, world.seen().status) == (None, PresenceStatus.AVAILABLE)

    @pytest.mark.parametrize(
        "columns",
        [
            *(
                {"_msdyn_currentpresenceid_value": each}
                for each in ("", "Busy", "A" * 40_000, "\ud800", AVAILABLE + "\n")
            ),
            *({"_msdyn_presencemodifiedbyuserid_value": each} for each in ("", "\ud800", "Dana")),
            *({"msdyn_presencemodifiedonwithmilliseconds": each} for each in ("1" * 65, "\ud800", "now\n")),
            *({"msdyn_presencemodifiedon": each} for each in ("1" * 65, "\ud800")),
            {"\ud800": ""},
        ],
        ids=ascii,
    )
    def test_ids_that_are_no_guids_and_times_that_are_no_short_text_are_no_answer(
        self, world: World, columns: dict[str, object]
    ) -> None:
        world.dynamics.faults.append(told(**columns))
        with pytest.raises(Unavailable):
            world.seen()

    def test_who_we_are_is_not_known_where_the_answer_is_no_guid(self, world: World) -> None:
        """Else every change of which no user is told would be taken for our own."""
        world.dynamics.faults += [told(msdyn_presencemodifiedby="AGENT"), Fault("body", body='{"UserId": ""}')]
        assert world.seen().set_by == SetBy.AGENT


class TestThrottling:
    def test_a_pause_that_was_asked_for_is_kept_by_all(self, world: World) -> None:
        world.dynamics.faults.append(Fault("status", 429, retry_after_s=60))
        call = world.dial()
        asked = len(world.dynamics.requests)
        world.pass_time(timedelta(seconds=50))
        assert (world.shown, len(world.dynamics.requests)) == ("Available", asked)
        world.pass_time(timedelta(seconds=30))
        assert world.shown == "Busy DND"
        world.end(call)
        assert world.shown == "Available"

    def test_so_many_at_once_and_no_more(self, world: World) -> None:
        soon = world.house.within()
        with ThreadPoolExecutor(40) as executor:
            list(executor.map(lambda _: world.gateway.read(DANA, soon), range(40)))
        assert 1 <= world.dynamics.limits.most_seen_at_once <= REQUESTS_AT_ONCE
        assert REQUESTS_AT_ONCE * 4 <= MAX_AT_ONCE, "four processes share the limit of one user"

    @pytest.mark.long
    def test_two_hundred_agents_in_a_crisis(self, running: LocalDynamics) -> None:
        """Held, looked at every 30 s, and given back within the documented limits of one user and web server."""
        world = signed_in(running)
        agents = [f"agent-{n}" for n in range(200)]
        for agent in agents:
            user_id = dynamics_user_of(agent)
            world.house.add_agent(Agent(agent_id=agent, country="US", dynamics_user_id=user_id))
            world.organisation.sign_in(user_id)
        for agent in agents:
            world.house.dial(Dial(call_id=f"call of {agent}", agent_id=agent, dialled="911"))
        held_at = world.dynamics.now()
        world.pass_time(timedelta(minutes=4))
        until = world.dynamics.now()
        assert {world.organisation.presence(dynamics_user_of(agent)) for agent in agents} == {"Busy DND"}
        for agent in agents:
            world.house.end(End(call_id=f"call of {agent}", by_agent=True, agent_id=agent))
        assert {world.organisation.presence(dynamics_user_of(agent)) for agent in agents} == {"Available"}
        assert world.dynamics.limits.refused == 0
        assert world.dynamics.limits.most_seen_in_window < MAX_REQUESTS
        for agent in agents:
            looks = [each.at for each in world.dynamics.requests if each.about == dynamics_user_of(agent)]
            between = [at for at in looks if held_at <= at <= until]
            gaps = [later - earlier for earlier, later in itertools.pairwise([held_at, *between, until])]
            # The clock of the test goes on while it works.
            assert max(gaps) <= timedelta(seconds=30) + SWEEP, agent
        world.gateway.close()


class TestReadiness:
    def test_the_ping_asks_as_a_look_does(self, world: World) -> None:
        world.gateway.ping(world.house.within())
        world.organisation.privileged.clear()
        with pytest.raises(Refused) as caught:
            world.gateway.ping(world.house.within())
        assert caught.value.code == "right"
        world.dynamics.faults.append(Fault("status", 503))
        with pytest.raises(Unavailable):
            world.gateway.ping(world.house.within())

    def test_capacity_profiles_are_read(self, world: World) -> None:
        world.organisation.capacity[DANA_USER] = [
            CapacityProfile("Default voice outbound", 1),
            CapacityProfile("Chat", 3, units=2),
        ]
        profiles = DynamicsProfiles(service_of(world))
        found = profiles.of(Agent(agent_id=DANA, dynamics_user_id=DANA_USER.upper()), world.house.within())
        assert [(each.name, each.limit) for each in found] == [("Default voice outbound", 1), ("Chat", 2)]
        world.organisation.capacity.clear()
        assert profiles.of(Agent(agent_id=DANA, dynamics_user_id=DANA_USER), world.house.within()) == ()

    @pytest.mark.parametrize(
        "fault",
        [
            *(Fault("status", 403), Fault("body", body='{"value": [{}]}'), Fault("drop")),
            *(Fault("body", body=json.dumps({"value": [{"bookableresourceid": each}]})) for each in ("x", "\ud800")),
        ],
        ids=ascii,
    )
    def test_what_cannot_be_read_is_not_known(self, world: World, fault: Fault) -> None:
        world.dynamics.faults += [fault, fault]
        profiles = DynamicsProfiles(service_of(world))
        with pytest.raises(Unavailable):
            profiles.of(Agent(agent_id=DANA, dynamics_user_id=DANA_USER), world.house.within())
        with pytest.raises(Unavailable):
            profiles.of(Agent(agent_id=DANA), world.house.within())

    def test_a_profile_whose_name_holds_half_a_character_is_not_known(self, world: World) -> None:
        resource = {"bookableresourceid": DANA_USER}
        profile = {"msdyn_capacityprofileid": {"msdyn_name": "\ud800"}}
        world.dynamics.faults += [Fault("body", body=json.dumps({"value": [each]})) for each in (resource, profile)]
        with pytest.raises(Unavailable):
            DynamicsProfiles(service_of(world)).of(
                Agent(agent_id=DANA, dynamics_user_id=DANA_USER), world.house.within()
            )


def service_of(world: World) -> BearerService:
    """Another line to the stand-in."""
    tokens = Tokens(world.dynamics)
    return BearerService(
        "dynamics",
        url=world.dynamics.url,
        clock=world.clock,
        ca_bundle=world.dynamics.ca_file,
        credential=lambda: tokens,
        threads=1,
    )


@pytest.mark.parametrize(("backend", "loaded"), [("table", False), ("graph", False), ("dynamics365", True)])
def test_a_backend_that_is_not_chosen_costs_no_import(backend: str, loaded: bool) -> None:
    code = (
        "import sys; from shared.bootstrap import compose; "
        f"compose({{'PRESENCE_BACKEND': {backend!r}, 'DYNAMICS365_URL': 'https://contoso.crm.dynamics.com'}}); "
        "print('shared.adapters.dynamics_presence' in sys.modules, 'shared.adapters.dynamics_profiles' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{loaded} {loaded}"
