"""Mid-call events lost, doubled, late or shuffled change nothing: whatever comes, the caller ends at a human."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.agents import Agent
from shared.domain.callbacks import Callback
from shared.domain.dials import Dial
from shared.domain.emergencies import Emergency, rings_now, standing
from shared.domain.panels import Mode
from shared.use_cases.continue_callback import MidCall
from tests.fakes.house import House, numbers

AGENTS = ("agent-ana", "agent-ben")
PHONE = "+14255550170"
# Of one ring nobody hears the end: 30 s of the desk, and then until the sweep after the grace has looked.
MAX_SILENCE_S = 45
type Event = tuple[str, MidCall]
PROFILE = settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def identity(agent_id: str) -> str:
    return f"8:acs:00000000-0000-0000-0000-000000000001_{agent_id}"


def house_of(agents: int) -> tuple[House, str]:
    """A house whose one number is held by so many agents."""
    house = House(pool=numbers(1))
    house.tick()
    for agent_id in AGENTS[:agents]:
        house.add_agent(Agent(agent_id=agent_id, acs_user_ids=(identity(agent_id),), alternate_numbers=(PHONE,)))
        house.dial(Dial(call_id=agent_id, agent_id=agent_id, dialled="911"))
    house.mail.accepted.clear()
    return house, numbers(1)[0]


class Course:
    """A callback as it truly goes, and what becomes of the events that tell of it."""

    def __init__(self, agents: int, fates: st.DataObject) -> None:
        self.house, number = house_of(agents)
        self._data = fates
        self._seen: list[Event] = []
        self._late: list[Event] = []
        self._silent_s = 0
        self.callback_id = self.house.responder_calls(number, delivered=False)
        self._fate()

    @property
    def over(self) -> bool:
        return all(call.over for call in self.house.switchboard.calls.values())

    def act(self, action: str) -> None:
        """What people do; nothing where it cannot be done."""
        board = self.house.switchboard
        match action:
            case "pick up" if not self.over and board.ringing():
                board.pick_up(self._data.draw(st.sampled_from(board.ringing())))
            case "drop out" if not self.over and board.talking():
                who = self._data.draw(st.sampled_from(board.talking()))
                board.drop_out(who)
            case "hang up" if not self.over:
                board.hang_up()
            case "repeat" if self._seen:
                self.house.hear(*self._data.draw(st.sampled_from(self._seen)))
        self._fate()

    def pass_time(self, seconds: int) -> None:
        """Time and the sweep, with an eye on whether the caller hears nothing for too long."""
        for _ in range(seconds):
            events, self.house.switchboard.events = self.house.switchboard.events, []
            assert not events
            self.house.clock.advance(timedelta(seconds=1))
            self.house.switchboard.time_passes()
            self._fate()
            if round(self.house.clock.monotonic()) % 10 == 0:
                self.house.sweep()
                self._fate()
            self._listen()

    def _listen(self) -> None:
        board = self.house.switchboard
        waiting = not self.over and not board.ringing() and not board.talking()
        self._silent_s = self._silent_s + 1 if waiting else 0
        assert self._silent_s <= MAX_SILENCE_S, "the caller waits and nobody is rung"

    def _fate(self) -> None:
        """Each event is delivered, lost, doubled, or kept for later; what is late comes in any order."""
        board = self.house.switchboard
        while board.events:
            event = board.events.pop(0)
            match self._data.draw(st.sampled_from(["delivered", "delivered", "lost", "doubled", "late"])):
                case "delivered":
                    self._deliver(event)
                case "doubled":
                    self._deliver(event)
                    self._deliver(event)
                case "late":
                    self._late.append(event)
                case _:
                    pass
        comes_now: bool = self._data.draw(st.booleans()) if self._late else False
        if comes_now:
            self._deliver(self._late.pop(self._data.draw(st.integers(0, len(self._late) - 1))))

    def _deliver(self, event: Event) -> None:
        self._seen.append(event)
        self.house.hear(*event)

    def settle(self) -> None:
        """A quiet time, in which every event that comes is delivered."""
        for event in self._late:
            self._deliver(event)
        self._late.clear()
        self.house.wait(45)

    # What must hold then

    def facts(self) -> tuple[Callback | None, list[Emergency | None]]:
        found = [self.house.emergency(agent_id) for agent_id in AGENTS]
        return self.house.callback(self.callback_id), found

    def check(self) -> None:
        board = self.house.switchboard
        talking = [] if self.over else board.talking()
        for agent_id in AGENTS:
            emergency, now = self.house.emergency(agent_id), self.house.clock.now()
            if emergency is None:
                continue
            legs = standing(emergency, self.house.deployment.rules, now).in_progress
            in_it = {leg.callback for leg in legs if leg.callback is not None}
            own = {identity(agent_id)} & set(talking)
            if own:
                assert in_it == {self.callback_id}
            if self.over or not talking:
                assert not in_it
            if self.over or talking:
                assert not rings_now(emergency, now)
            expected = Mode.RINGING if rings_now(emergency, now) else Mode.EMERGENCY
            assert self.house.panel(agent_id).mode is expected, "the outgoing leg goes on"
        if talking:
            assert board.ringing() == []
        if self.over:
            callback = self.house.callback(self.callback_id)
            assert callback is not None and callback.closed

    def check_that_repeats_change_nothing(self) -> None:
        before, mails = self.facts(), len(self.house.mail.accepted)
        rung = len(self.house.switchboard.invited)
        for event in self._seen:
            self._repeat(event)
        after = self.facts()
        assert without_looks(after[0]) == without_looks(before[0]) and after[1] == before[1]
        assert (len(self.house.mail.accepted), len(self.house.switchboard.invited)) == (mails, rung)

    def _repeat(self, event: Event) -> None:
        self.house.hear(*event)
        self.house.switchboard.events.clear()


def without_looks(callback: Callback | None) -> dict[str, object]:
    if callback is None:
        return {}
    return {name: getattr(callback, name) for name in callback.__struct_fields__ if name != "look_at"}


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["pick up", "pick up", "drop out", "hang up", "repeat", "wait"]), st.integers(0, 40)),
    max_size=8,
)


@PROFILE
@given(agents=st.integers(1, 2), actions=ACTIONS, fates=st.data())
def test_whatever_becomes_of_the_events_the_caller_ends_at_a_human(
    agents: int, actions: list[tuple[str, int]], fates: st.DataObject
) -> None:
    course = Course(agents, fates)
    for action, seconds in actions:
        course.act(action)
        course.pass_time(seconds)
    course.settle()
    course.check()
    course.check_that_repeats_change_nothing()
    sent = [email.operation_id for email in course.house.mail.accepted]
    assert len(sent) == len(set(sent))


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_every_order_of_the_same_events_ends_in_the_same_facts(order: tuple[int, ...]) -> None:
    house, number = house_of(2)
    callback_id = house.responder_calls(number)
    house.clock.advance(timedelta(seconds=5))
    house.switchboard.pick_up(identity(AGENTS[0]))
    house.clock.advance(timedelta(seconds=5))
    house.switchboard.hang_up()
    joined, roster, over = house.switchboard.events
    house.switchboard.events = []
    told = [joined, roster, over, joined, over]
    for place in order:
        house.hear(*told[place])
    house.wait(10)
    house.wait(5)
    emergencies = [house.emergency(agent_id) for agent_id in AGENTS]
    answers = [[leg.left_at for leg in each.legs if leg.callback] for each in emergencies if each]
    assert [len(ends) for ends in answers] == [1, 0]
    assert answers[0][0] is not None
    assert [each.ringing for each in emergencies if each] == [(), ()]
    assert house.mail.accepted == [], "it was answered: nothing was missed"
    callback = house.callback(callback_id)
    assert callback is not None and callback.closed
