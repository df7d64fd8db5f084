"""An emergency whose presence lies in Microsoft Graph, and every single fault at every single request.

Whatever fails once: presence is held, comes back as it was, is never set over what the agent chose meanwhile, and
nothing of a hold is left (S2, S8, B5, B7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.presence import PresenceStatus
from shared.use_cases.end_call import End
from tests.contract.presence_services import MicrosoftGraph, object_id_of
from tests.fakes.house import HandClock, House, TableLine, everybody, person
from tests.fakes.memory_table import MemoryTable
from tests.local.graph import Fault, LocalGraph
from tests.local.graph.presence import NOBODY, Pair
from tests.local.graph.server import APP_ID

DND = PresenceStatus.DO_NOT_DISTURB
DANA = "agent-dana"
USER = object_id_of(DANA)
STEP = timedelta(seconds=10)
# So long a request may be on its way at most.
LANDS_AFTER = timedelta(seconds=60)
A_WHILE_S = 20
# What a client's session may show as well as a preference.
UNSURE: Pair = ("Busy", "Busy")
AN_HOUR_S = 3600


class BothClocks(HandClock):
    """The app's clock, with which that of Graph goes."""

    def __init__(self, graph: LocalGraph) -> None:
        super().__init__()
        self._graph = graph

    def advance(self, by: timedelta) -> None:
        super().advance(by)
        self._graph.ahead_s += by.total_seconds()


class Story:
    """A deployment with presence in Graph, and an agent."""

    def __init__(self, graph: LocalGraph, client: Pair | None, preference: Pair | None) -> None:
        self.graph = graph
        self.clock = BothClocks(graph)
        self.house = House(clock=self.clock)
        self.marks = MemoryTable()
        self.line_of_marks = TableLine(self.marks)
        self.service = MicrosoftGraph(graph, self.line_of_marks, self.clock)
        self.before_each_step: Callable[[Story], None] = lambda _story: None
        self.house.presence = self.service.gateway
        self.house.add_agent(Agent(agent_id=DANA, entra_object_id=USER))
        self.people = graph.presence
        self.people.add(USER)
        if client is not None:
            self.people.sign_in(USER, *client)
        if preference is not None:
            self.people.prefer(USER, *preference)
        self.comes_back = self.people.merged(USER)
        self.client, self.preference = client or NOBODY, preference
        self.on_its_way = timedelta(0)

    def dial(self, call_id: str, *, ago_s: int = 0) -> None:
        self.before_each_step(self)
        dialled_at = self.clock.now() - timedelta(seconds=ago_s)
        answer = self.house.dial(Dial(call_id=call_id, agent_id=DANA, dialled="911", dialled_at=dialled_at))
        assert not answer.degraded, "nothing of Graph's is any matter to the answer"

    def dial_degraded(self, call_id: str, *, by_agent: bool = False) -> None:
        """A dial while the store is away: by the agent, whose sign-in names their object id, or by a machine."""
        caller = person(USER) if by_agent else everybody()
        answer = self.house.dial(Dial(call_id=call_id, agent_id=DANA, dialled="911"), caller)
        assert answer.degraded

    def away(self, away: bool) -> None:
        """The store, with the tables of emergencies and of marks."""
        self.house.line.away = self.line_of_marks.away = away

    def end(self, call_id: str, *, by_agent: bool = True) -> None:
        self.before_each_step(self)
        self.house.end(End(call_id=call_id, by_agent=by_agent))

    def passes(self, seconds: float) -> None:
        """Time, with the timer that takes up what is owed; what is on its way lands."""
        for _ in range(int(seconds // STEP.total_seconds())):
            self.clock.advance(STEP)
            if self.graph.late:
                self.on_its_way += STEP
            if self.on_its_way >= LANDS_AFTER:
                self.graph.land()
            self.before_each_step(self)
            self.house.sweep()

    def chooses(self, *preference: str) -> None:
        """The agent sets their status by hand."""
        self.people.prefer(USER, *preference)
        self.preference = preference[0], preference[-1]
        # A preference shows nothing where nobody is signed in.
        self.comes_back = NOBODY if self.comes_back == NOBODY else self.preference

    def over(self) -> None:
        """Every lease and its cool-down; by then what was given back for an hour has ended."""
        ends_in_s = self.people.ends_in_s(USER)[1]
        if self.preference == UNSURE and ends_in_s is not None and ends_in_s <= AN_HOUR_S:
            self.comes_back, self.preference = self.client, None
        for _ in range(8):
            self.clock.advance(timedelta(minutes=30))
            self.house.sweep()
            self.house.tick()
        assert self.house.emergency(DANA) is None

    def left(self) -> tuple[object, ...]:
        """What is left of us: in Graph, and of the marks."""
        sessions, preference = self.people.left(USER)
        rows = [row.key for row in self.marks.between("!", "~", 10, self.house.within()).result()]
        return sessions, preference, rows


@pytest.fixture(scope="module")
def graph() -> Iterator[LocalGraph]:
    with LocalGraph.start() as running:
        yield running


SITUATIONS: dict[str, tuple[Pair | None, Pair | None]] = {
    "available": (("Available", "Available"), None),
    "a meeting": (("Busy", "InAMeeting"), None),
    "busy by preference": (("Available", "Available"), UNSURE),
    "be right back": (("Available", "Available"), ("BeRightBack", "BeRightBack")),
    "do not disturb": (("Available", "Available"), ("DoNotDisturb", "DoNotDisturb")),
    "signed in nowhere": (None, None),
}
FAULTS: dict[str, Fault] = {
    "500": Fault(status=500),
    "429": Fault(status=429, retry_after_s=7),
    "404": Fault(status=404),
    "401": Fault(status=401),
    "403": Fault(status=403),
    "409": Fault(status=409),
    "400": Fault(status=400),
    "nonsense": Fault(status=200, body="<html>"),
    "drop": Fault("drop"),
    "lost": Fault("lost"),
    "late": Fault("late"),
}


def nested_legs(story: Story) -> None:
    """Two legs, each reported twice."""
    story.dial("call-1")
    story.passes(20)
    story.dial("call-1")
    story.dial("call-2")
    story.passes(20)
    story.end("call-1")
    story.passes(10)
    assert story.people.merged(USER)[0] == "DoNotDisturb", "a leg is in progress"
    story.end("call-2")
    story.end("call-2")
    story.passes(A_WHILE_S)


def the_agent_decides(story: Story) -> None:
    """The agent changes it in the middle, when nothing is on its way any more that could replace it in Graph."""
    story.dial("call-1")
    story.passes(80)
    story.chooses("BeRightBack")
    story.passes(40)
    story.end("call-1")
    story.passes(A_WHILE_S)


def a_drop(story: Story) -> None:
    """A drop, and ten minutes of the hold after it."""
    story.dial("call-1")
    story.passes(20)
    story.end("call-1", by_agent=False)
    story.passes(600)
    story.house.tick()
    story.passes(A_WHILE_S)


def at_once(story: Story) -> None:
    """It ends before anything was seen in place."""
    story.dial("call-1")
    story.end("call-1")
    story.passes(A_WHILE_S)


STORIES = {each.__name__: each for each in (nested_legs, the_agent_decides, a_drop, at_once)}


def told(story: Story, tell: Callable[[Story], None]) -> int:
    """Tell the story to its end, and require what must be; gives how many requests Graph was asked."""
    tell(story)
    story.passes(200)
    asked = len(story.graph.requests)
    assert story.people.merged(USER) == story.comes_back, "it is as it was, or as the agent chose"
    assert story.left()[:2] == ({}, story.preference), "nothing of a hold is left in Graph"
    story.over()
    assert story.left() == ({}, story.preference, []), "nor with us"
    assert story.people.merged(USER) == story.comes_back
    return asked


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("tell", STORIES)
def test_without_a_fault(graph: LocalGraph, tell: str, situation: str) -> None:
    told(Story(graph, *SITUATIONS[situation]), STORIES[tell])


@pytest.mark.parametrize("lag_s", [2.0, 5.0])
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("tell", STORIES)
def test_what_is_read_lags(graph: LocalGraph, tell: str, situation: str, lag_s: float) -> None:
    story = Story(graph, *SITUATIONS[situation])
    story.people.lag_s = lag_s
    story.clock.advance(timedelta(seconds=10))
    told(story, STORIES[tell])


def single_faults(graph: LocalGraph, tell: str, situation: str, fault: str) -> None:
    begin = partial(Story, graph, *SITUATIONS[situation])
    for number in range(1, told(begin(), STORIES[tell]) + 1):
        story = begin()
        graph.planned[number] = FAULTS[fault]
        try:
            told(story, STORIES[tell])
        except AssertionError as broken:
            raise AssertionError(f"{fault} at request {number}: {graph.requests}") from broken


@pytest.mark.parametrize("fault", ["429", "404", "lost", "late"])
@pytest.mark.parametrize(("tell", "situation"), [("nested_legs", "available"), ("the_agent_decides", "a meeting")])
def test_a_single_fault_at_every_single_request(graph: LocalGraph, tell: str, situation: str, fault: str) -> None:
    single_faults(graph, tell, situation, fault)


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("tell", STORIES)
def test_every_single_fault_in_every_story(graph: LocalGraph, tell: str, situation: str, fault: str) -> None:
    single_faults(graph, tell, situation, fault)


def another_process(story: Story) -> None:
    """The one that was there died, with all that it remembered; another takes its place."""
    story.house.forget_outages()
    story.house.presence = story.service.another()


class TestOutage:
    """The store is away (B1), and what Graph shows afterwards is not taken for the agent's own (E4)."""

    @pytest.mark.parametrize("situation", SITUATIONS)
    def test_a_hold_of_an_outage_returns_to_what_it_found(self, graph: LocalGraph, situation: str) -> None:
        story = Story(graph, *SITUATIONS[situation])
        story.house.directory.find(DANA, story.house.within()).result()
        story.away(True)
        story.dial_degraded("call-1")
        story.clock.advance(timedelta(seconds=60))
        story.away(False)
        story.dial("call-1")
        told(story, lambda each: each.end("call-1"))

    @pytest.mark.parametrize("situation", ["available", "a meeting"])
    def test_another_process_gives_back_a_session_that_nobody_wrote_down(
        self, graph: LocalGraph, situation: str
    ) -> None:
        """What our own session shows, no person sets: taking it away is right whoever it was."""
        story = Story(graph, *SITUATIONS[situation])
        story.away(True)
        story.dial_degraded("call-1", by_agent=True)
        assert story.people.left(USER)[0] == {APP_ID: ("DoNotDisturb", "Presenting")}
        another_process(story)
        story.away(False)
        story.passes(20)
        story.dial("call-1", ago_s=20)
        told(story, lambda each: each.end("call-1"))

    def test_a_preference_that_nobody_wrote_down_does_not_come_back_as_the_agents_own(self, graph: LocalGraph) -> None:
        story = Story(graph, *SITUATIONS["be right back"])
        story.away(True)
        story.dial_degraded("call-1", by_agent=True)
        another_process(story)
        story.away(False)
        story.passes(20)
        story.dial("call-1", ago_s=20)
        assert story.people.merged(USER)[0] == "DoNotDisturb"
        story.end("call-1")
        story.passes(200)
        assert story.people.left(USER) == ({}, ("Away", "Away")), "nobody knows any more what it was"
        story.over()
        assert story.left() == ({}, None, []), "and in an hour it is as if nobody had set it"

    @pytest.mark.parametrize("looks", [True, False])
    def test_a_hold_that_another_process_recorded_spoils_nothing_later(self, graph: LocalGraph, looks: bool) -> None:
        story = Story(graph, *SITUATIONS["available"])
        story.away(True)
        story.dial_degraded("call-1", by_agent=True)
        first = story.house.presence
        another_process(story)
        story.away(False)
        story.passes(20)
        story.dial("call-1", ago_s=20)
        if looks:
            # As its own repeat does, which finds the call known.
            assert first.read(DANA, story.house.within()).hold_id is not None
        story.end("call-1")
        story.passes(200 if looks else AN_HOUR_S)
        assert story.left()[2] == []
        story.people.sign_in(USER, "Busy", "InAMeeting")
        found = first.read(DANA, story.house.within())
        assert (found.hold_id, found.native) == (None, "Busy/InAMeeting")

    def test_a_dial_of_which_the_store_never_heard_holds_for_half_an_hour_at_most(self, graph: LocalGraph) -> None:
        story = Story(graph, *SITUATIONS["available"])
        story.away(True)
        story.dial_degraded("call-1", by_agent=True)
        another_process(story)
        story.clock.advance(timedelta(minutes=31))
        assert story.people.merged(USER) == story.comes_back and story.left() == ({}, None, [])


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("tell", STORIES)
def test_each_step_is_another_process(graph: LocalGraph, tell: str, situation: str) -> None:
    story = Story(graph, *SITUATIONS[situation])
    story.before_each_step = another_process
    told(story, STORIES[tell])


def test_it_is_renewed_for_as_long_as_a_call_lasts(graph: LocalGraph) -> None:
    story = Story(graph, *SITUATIONS["be right back"])
    story.dial("call-1")
    for _ in range(3 * 60):
        story.passes(60)
        assert story.people.merged(USER) == ("DoNotDisturb", "DoNotDisturb")
    told(story, lambda each: each.end("call-1"))


class DiesAfterCommit:
    """A process that dies once it has written a row: nothing that it would write later is written."""

    def __init__(self) -> None:
        self.commits = 0

    def __call__(self, request: str) -> None:
        self.commits += request == "commit"
        if self.commits > 1:
            raise Unavailable


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("fault", ["500", "429", "drop", "lost"])
@pytest.mark.parametrize("situation", ["available", "a meeting", "be right back", "do not disturb"])
def test_a_renewal_that_fails_is_tried_again_before_the_session_ends(
    graph: LocalGraph, situation: str, fault: str, dies: bool
) -> None:
    story = Story(graph, *SITUATIONS[situation])
    story.dial("call-1")
    story.passes(29 * 60)
    if dies:
        story.line_of_marks.asked = DiesAfterCommit()
    graph.faults.append(replace(FAULTS[fault], of="setPresence"))
    story.passes(90)
    assert graph.faults == [], "the renewal has failed"
    another_process(story)
    story.line_of_marks.asked = lambda _request: None
    for _ in range(2 * 60):
        story.passes(60)
        assert story.people.merged(USER)[0] == "DoNotDisturb"
    told(story, lambda each: each.end("call-1"))


@pytest.mark.parametrize("dies", [False, True])
def test_a_hold_that_graph_did_not_take_is_set_once_more_though_a_presentation_shows_the_same(
    graph: LocalGraph, dies: bool
) -> None:
    story = Story(graph, ("DoNotDisturb", "Presenting"), None)
    if dies:
        story.line_of_marks.asked = DiesAfterCommit()
    graph.faults.append(Fault(status=503, of="setPresence"))
    story.dial("call-1")
    assert graph.faults == []
    another_process(story)
    story.line_of_marks.asked = lambda _request: None
    story.passes(60)
    story.people.sign_in(USER)
    story.comes_back = "Available", "Available"
    for _ in range(60):
        story.passes(60)
        assert story.people.merged(USER)[0] == "DoNotDisturb"
    told(story, lambda each: each.end("call-1"))


@pytest.mark.parametrize("dies", [False, True])
def test_do_not_disturb_that_the_agent_had_chosen_for_a_while_ends_without_the_hold(
    graph: LocalGraph, dies: bool
) -> None:
    story = Story(graph, *SITUATIONS["do not disturb"])
    if dies:
        story.line_of_marks.asked = DiesAfterCommit()
    graph.faults.append(Fault(status=503, of="setPresence"))
    story.dial("call-1")
    another_process(story)
    story.line_of_marks.asked = lambda _request: None
    story.passes(60)
    assert graph.faults == []
    story.people.prefer(USER, None)
    story.comes_back, story.preference = ("Available", "Available"), None
    for _ in range(90):
        story.passes(60)
        assert story.people.merged(USER)[0] == "DoNotDisturb"
    told(story, lambda each: each.end("call-1"))


@pytest.mark.parametrize("lag_s", [0.0, 5.0])
def test_what_the_agent_chooses_while_renewals_fail_stays(graph: LocalGraph, lag_s: float) -> None:
    story = Story(graph, *SITUATIONS["busy by preference"])
    story.people.lag_s = lag_s
    story.clock.advance(timedelta(seconds=10))
    story.dial("call-1")
    story.passes(29 * 60)
    graph.faults += [Fault(status=503, of="setPresence")] * 3
    story.passes(90)
    story.chooses(*UNSURE)
    story.passes(90)
    graph.faults.clear()
    story.passes(120)
    assert story.people.merged(USER) == UNSURE
    told(story, lambda each: each.end("call-1"))


def test_a_renewal_that_lands_after_the_end_does_not_stay(graph: LocalGraph) -> None:
    story = Story(graph, *SITUATIONS["available"])
    story.dial("call-1")
    story.passes(29 * 60)
    graph.faults += [Fault("late", of="setPresence"), Fault(of="setPresence")]
    while not graph.late:
        story.passes(10)
    told(story, lambda each: each.end("call-1"))
    assert graph.late == [], "it has landed"


def test_a_session_that_is_gone_is_set_again_within_half_a_minute_and_the_timer(graph: LocalGraph) -> None:
    story = Story(graph, *SITUATIONS["a meeting"])
    story.dial("call-1")
    story.passes(60)
    story.people.expire(USER)
    story.passes(40)
    assert story.people.merged(USER)[0] == "DoNotDisturb"
    told(story, lambda each: each.end("call-1"))


def test_two_hundred_agents_in_a_crisis_stay_within_graphs_limit(graph: LocalGraph) -> None:
    """10,000 requests in 30 s for an app in a tenant, and 1,500 by the documents of some years ago."""
    story = Story(graph, *SITUATIONS["available"])
    agents = [f"agent-{number}" for number in range(200)]
    for agent_id in agents:
        user_id = object_id_of(agent_id)
        story.house.add_agent(Agent(agent_id=agent_id, entra_object_id=user_id))
        story.people.add(user_id)
        story.people.sign_in(user_id)
    for agent_id in agents:
        story.house.dial(Dial(call_id=f"call-of-{agent_id}", agent_id=agent_id, dialled="911"))
    story.passes(60)
    assert {story.people.merged(object_id_of(each))[0] for each in agents} == {"DoNotDisturb"}
    for agent_id in agents:
        story.house.end(End(call_id=f"call-of-{agent_id}", by_agent=True))
    story.passes(120)
    assert {story.people.merged(object_id_of(each)) for each in agents} == {("Available", "Available")}
    assert story.people.most_within_30_s <= 1_500
