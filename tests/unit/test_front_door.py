"""The front door: turns, patience, repeats, and how long each use case may take."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from shared.adapters.threads import OsThreads
from shared.adapters.turns import Turns
from shared.bootstrap import DIALS_AT_ONCE, POLLS_AT_ONCE, POLLS_AT_ONCE_OF_ONE, THREADS_OF_WORKER
from shared.deadlines import Budgets
from shared.domain.agents import Agent
from shared.domain.callbacks import Connected
from shared.domain.callers import Caller, CallerKind
from shared.domain.confidentiality import ORDINARY, PRIVATE
from shared.domain.dials import Dial
from shared.domain.errors import LineFull, Unavailable
from shared.domain.ids import agent_key_of
from shared.emergency_calling import CHANGES, DIALS, POLLS, EmergencyCalling
from shared.ports import Share
from shared.use_cases.continue_callback import MidCall
from shared.use_cases.end_call import End
from tests.fakes.house import DAWN, House, after, everybody, person

SOON_S = 10.0
DIAL = Dial(call_id="ana/1", agent_id="ana", dialled="911")
ANA, EVE = person("ana"), person("eve")


@dataclass
class Line:
    """Port `Turns`: takes so long to call somebody in, or does not."""

    house: House
    waits_s: float = 0.0
    in_time: bool = True
    turns: list[bool] = field(default_factory=list)

    @contextmanager
    def turn(
        self, principal: str | None = None, *, sender: str | None = None, share: Share | None = None
    ) -> Iterator[bool]:
        self.house.clock.advance(after(seconds=self.waits_s))
        self.turns.append(self.in_time)
        yield self.in_time

    def give_back(self, principal: str) -> None:
        """Nothing was taken."""

    def wait_until_quiet(self, most_s: float) -> None:
        """It is."""


def slow(house: House, seconds: float) -> None:
    """Every request of the store takes that long from now on."""
    house.line.asked = lambda _request: house.clock.advance(after(seconds=seconds))


def front_door(house: House, line: Line, *, alive: bool = True) -> EmergencyCalling:
    return structs.replace(house.calling, dials=line, polls=line, store_alive=lambda: alive)


def test_a_dial_waits_for_a_store_that_lives_and_not_for_one_that_is_away() -> None:
    for alive, degraded in ((True, False), (False, True)):
        house = House()
        house.tick()
        slow(house, 0.1)
        answer = front_door(house, Line(house), alive=alive).start_call(DIAL, caller=everybody())
        assert answer.degraded is degraded


def test_the_wait_for_a_turn_is_part_of_what_a_dial_may_take() -> None:
    for waits_s, degraded in ((0.0, False), (0.7, True)):
        house = House()
        house.tick()
        slow(house, 0.1)
        answer = front_door(house, Line(house, waits_s)).start_call(DIAL, caller=everybody())
        assert answer.degraded is degraded


def test_whoever_is_not_called_in_is_answered_without_the_store() -> None:
    house = House()
    house.tick()
    answer = front_door(house, Line(house, in_time=False)).start_call(DIAL, caller=everybody())
    assert answer.degraded


def test_a_poll_out_of_turn_has_no_time_at_all() -> None:
    house = House()
    door = front_door(house, Line(house, in_time=False))
    with door.polling(door.budgets.show_panel_s, everybody()) as deadline:
        assert deadline.passed()


def test_what_was_answered_without_the_store_is_repeated_as_it_was_dialled() -> None:
    house = House()
    house.tick()
    house.line.away = True
    assert house.dial(DIAL).degraded
    [again] = house.repeats.kept.values()
    assert not again(), "the store is still away"
    house.line.away = False
    house.clock.advance(after(minutes=5))
    assert again()
    emergency = house.emergency("ana")
    assert emergency is not None and [leg.dialled_at for leg in emergency.legs] == [DAWN]


def test_a_dial_that_the_store_has_is_not_repeated() -> None:
    house = House()
    house.tick()
    assert not house.dial(DIAL).degraded
    assert not house.repeats.kept


def test_an_event_whose_dial_the_store_has_not_got_must_come_again() -> None:
    house = House()
    house.line.away = True
    with pytest.raises(Unavailable):
        house.calling.start_call_from_event(DIAL, caller=everybody())


def test_every_event_of_a_callback_has_its_try_though_the_store_is_away() -> None:
    house = House()
    house.line.away = True
    asked: list[str] = []
    house.line.asked = asked.append
    said = [MidCall(connection_id=name, fact=Connected()) for name in ("one", "two")]
    with pytest.raises(Unavailable):
        house.calling.continue_callback("callback", said)
    both = len(asked)
    asked.clear()
    with pytest.raises(Unavailable):
        house.calling.continue_callback("callback", said[:1])
    assert both == 2 * len(asked)


def test_no_budget_is_longer_than_what_waits_for_it() -> None:
    budgets = Budgets()
    assert budgets.start_call_s < budgets.start_call_at_most_s <= 0.9, "B1: half a second as a rule, 0.9 s at most"
    # Event Grid gives an endpoint 30 s, and the sweep begins anew every 10 s and every minute.
    assert budgets.start_call_from_event_s + 8 < 30
    assert budgets.take_up_outbox_s + 8 < 15
    assert budgets.expire_leases_s + 8 < 60


# Who stands in line


@dataclass
class Named:
    """Port `Turns`: notes who takes a turn, and what share is theirs."""

    seen: list[tuple[str | None, str | None, Share | None]] = field(default_factory=list)

    @contextmanager
    def turn(
        self, principal: str | None = None, *, sender: str | None = None, share: Share | None = None
    ) -> Iterator[bool]:
        self.seen.append((principal, sender, share))
        yield True

    def give_back(self, principal: str) -> None:
        """Nothing was taken."""

    def wait_until_quiet(self, most_s: float) -> None:
        """It is."""


@pytest.mark.parametrize(("waits_s", "degraded"), [(0.0, False), (0.5, False), (0.85, True), (0.95, True)])
def test_whoever_waited_for_a_turn_is_answered_within_the_time_of_a_dial(waits_s: float, degraded: bool) -> None:
    house = House()
    house.tick()
    # What is owed is done by other threads, while the caller has the answer.
    house.performs = False
    slow(house, 0.02)
    began = house.clock.monotonic()
    answer = front_door(house, Line(house, waits_s=waits_s)).start_call(DIAL, caller=everybody())
    took = house.clock.monotonic() - began
    # Here requests that began in time all end, where in truth they are cut off.
    assert took <= max(Budgets().start_call_at_most_s, waits_s) + 0.05
    assert answer.degraded is degraded


def test_a_dial_whose_turn_comes_at_the_end_of_its_time_is_answered_without_the_store() -> None:
    for waits_s, degraded in ((0.5, False), (0.85, True)):
        house = House()
        house.tick()
        answer = front_door(house, Line(house, waits_s=waits_s)).start_call(DIAL, caller=everybody())
        assert answer.degraded is degraded, "though this store answers at once"


def test_as_many_dials_as_a_worker_has_threads_find_a_place_whoever_reports_them() -> None:
    assert DIALS_AT_ONCE + DIALS.of_others.most_waiting >= THREADS_OF_WORKER


def test_a_poll_lets_dials_go_first_for_a_moment() -> None:
    calling = structs.replace(House().calling, budgets=Budgets(poll_stands_back_s=SOON_S))
    polled = threading.Event()

    def poll() -> None:
        with calling.polling(1.0, everybody()):
            polled.set()

    waiting = threading.Thread(target=poll)
    with calling.dials.turn():
        waiting.start()
        assert not polled.wait(0.1)
    waiting.join(SOON_S)
    assert polled.is_set()
    brief = structs.replace(calling, budgets=Budgets(poll_stands_back_s=0.01))
    with brief.dials.turn(), brief.polling(1.0, everybody()) as deadline:
        assert not deadline.passed(), "nobody who looks waits for ever"


def test_an_agent_is_one_principal_and_so_is_each_listed_agent_that_a_machine_names() -> None:
    house, named = House(), Named()
    house.add_agent(Agent(agent_id="ana", country="US"))
    house.tick()
    door = structs.replace(house.calling, dials=named)
    for caller, agent_id in ((person("eve"), "x"), (person("eve"), "y"), (everybody(), "ana"), (everybody(), "ana")):
        door.start_call(structs.replace(DIAL, agent_id=agent_id, call_id=agent_id), caller=caller)
    door.start_call(structs.replace(DIAL, agent_id="nobody", call_id="z"), caller=everybody())
    polls = structs.replace(house.calling, polls=named)
    for agent_id in ("ana", "nobody"):
        with polls.polling(1.0, everybody(), agent_id):
            pass
    ends = structs.replace(house.calling, ends=named)
    ends.end_call(End(call_id="ana", agent_id="ana", by_agent=True), caller=everybody())
    for caller in (everybody(), person("eve")):
        ends.end_call(End(call_id="unknown", by_agent=True), caller=caller)
    machine = everybody().owner
    assert named.seen[:2] == [("agent:eve", "agent:eve", DIALS.of_an_agent)] * 2
    assert named.seen[3:] == [
        (agent_key_of("ana"), machine, DIALS.of_an_agent),
        (machine, machine, DIALS.of_others),
        (agent_key_of("ana"), machine, POLLS.of_an_agent),
        (machine, machine, POLLS.of_others),
        (agent_key_of("ana"), machine, CHANGES.of_an_agent),
        (machine, machine, CHANGES.of_others),
        ("agent:eve", "agent:eve", CHANGES.of_an_agent),
    ]


class Still(OsThreads):
    """Threads on a steady clock that stands still."""

    def monotonic(self) -> float:
        return 0.0


def taken(door: EmergencyCalling, agent_ids: Iterable[str], caller: Caller) -> int:
    """How many of these dials were put into the store."""
    dials = (structs.replace(DIAL, agent_id=agent_id, call_id=f"call of {agent_id}") for agent_id in agent_ids)
    return sum(not door.start_call(dial, caller=caller).degraded for dial in dials)


def test_a_crisis_that_a_machine_reports_is_no_flood_and_made_up_agents_are() -> None:
    house, most = House(), DIALS.of_others.burst or 0
    for n in range(most + 5):
        house.add_agent(Agent(agent_id=f"listed-{n}", country="US"))
    house.tick()
    door = structs.replace(house.calling, dials=Turns(6, threads=Still()))
    listed = [f"listed-{n}" for n in range(most + 5)]
    assert taken(door, listed, everybody()) == most + 5, "none of them had been read yet"
    assert taken(door, (f"made-up-{n}" for n in range(most + 5)), everybody()) == most
    assert taken(door, listed[:3], everybody()) == 3, "and nobody listed pays for it"
    first, last = (house.presence.read(f"made-up-{n}", house.within()).version for n in (0, most + 4))
    assert first is not None and last is None, "nothing is done for what comes too fast"
    own = DIALS.of_an_agent.burst or 0
    assert taken(door, (f"eves-{n}" for n in range(own + 5)), EVE) == own
    assert taken(door, ["ana"], ANA) == 1


@pytest.mark.parametrize("flooder", [EVE, everybody()], ids=["agent", "machine"])
def test_one_senders_polls_leave_places_to_another(flooder: Caller) -> None:
    house = House()
    for n in range(POLLS_AT_ONCE):
        house.add_agent(Agent(agent_id=f"a-{n}", country="US"))
    calling = structs.replace(house.calling, polls=Turns(POLLS_AT_ONCE, most_each=POLLS_AT_ONCE_OF_ONE))
    with ExitStack() as held:
        times = [held.enter_context(calling.polling(1.0, flooder, f"a-{n}")) for n in range(POLLS_AT_ONCE)]
        assert sum(not each.passed() for each in times) == POLLS_AT_ONCE_OF_ONE
        with calling.polling(1.0, ANA, "ana") as deadline:
            assert not deadline.passed()


def test_a_recorder_that_always_asks_again_is_told_that_calls_are_private_and_asks_the_store_no_more() -> None:
    house, most = House(), POLLS.of_others.burst or 0
    house.tick()
    asked: list[str] = []
    house.line.asked = asked.append
    calling = structs.replace(house.calling, polls=Turns(POLLS_AT_ONCE, threads=Still()))
    answers = [calling.judge_call(f"call-{n}", None, caller=everybody()) for n in range(most + 5)]
    assert answers == [ORDINARY] * most + [PRIVATE] * 5
    in_time = len(asked)
    assert calling.judge_call("call-1", None, caller=everybody()) == PRIVATE
    assert len(asked) == in_time
    assert house.telemetry.count("call_judged") == 0, "a line for each would fill the log"
    other = Caller(kind=CallerKind.MACHINE, name="another-recorder")
    assert calling.judge_call("call-1", None, caller=other) == ORDINARY


def test_a_recorder_that_waits_takes_no_thread_that_another_needs() -> None:
    house, full = House(), Turns(2, most_each=1)
    house.tick()
    calling = structs.replace(house.calling, seats=full)
    with full.turn(everybody().owner):
        assert calling.judge_call("call-1", None, caller=everybody()) == PRIVATE
        assert not calling.start_call(DIAL, caller=ANA).degraded
    assert calling.judge_call("call-2", None, caller=everybody()) == ORDINARY


def test_one_machines_polls_and_ends_leave_threads_to_the_others_and_to_its_dials() -> None:
    house, full = House(), Turns(2, most_each=1)
    house.tick()
    calling = structs.replace(house.calling, seats=full)
    with full.turn(everybody().owner):
        with pytest.raises(LineFull), calling.polling(1.0, everybody()):
            pass
        with pytest.raises(LineFull):
            calling.end_call(End(call_id="ana/1", by_agent=True), caller=everybody())
        for caller in (everybody(), ANA):
            assert not calling.start_call(DIAL, caller=caller).degraded


def test_whoever_has_too_much_in_line_ends_no_call_before_the_others() -> None:
    house = House()
    house.tick()
    door = structs.replace(house.calling, ends=Line(house, in_time=False))
    with pytest.raises(Unavailable):
        door.end_call(End(call_id="ana/1", by_agent=True), caller=person("eve"))
    with pytest.raises(Unavailable):
        door.tie_call("ana/1", "server", caller=person("eve"))
