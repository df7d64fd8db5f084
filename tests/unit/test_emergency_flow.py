"""The rows of "What happens when…" (specification), one test or more each, on the core in memory."""

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec import structs

from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import Delete, Put
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind
from shared.domain.dials import Dial
from shared.domain.emergencies import standing, ties
from shared.domain.errors import NotAllowed, NotAnEmergency, Unavailable
from shared.domain.ids import key_of
from shared.domain.leases import Rules
from shared.domain.panels import EMERGENCY_CONTROLS, Banner, Mode, Panel
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.ports import Email
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice, ReconcilePresence
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import (
    DAWN,
    DEFAULT_CONTACT,
    DESK,
    FALLBACK,
    House,
    Overtaken,
    after,
    everybody,
    key_unlisted,
    numbers,
    only_agent,
)
from tests.fakes.memory_table import MemoryTable

DANA = "agent-dana"
DANA_ACS = "8:acs:00000000-0000-0000-0000-000000000001_dana"
AVAILABLE, DND = PresenceStatus.AVAILABLE, PresenceStatus.DO_NOT_DISTURB


class SigningIn(PresenceTable):
    """A presence service that shows and holds nothing for an agent who is not signed in there."""

    signed_in = False

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        if self.signed_in:
            return super().read(agent_id, deadline)
        return Presence(status=PresenceStatus.OFFLINE, set_by="system", settable=False)


@pytest.fixture
def house() -> House:
    return house_with_dana()


def house_with_dana() -> House:
    house = House()
    house.add_agent(
        Agent(
            agent_id=DANA,
            name="Dana Example",
            acs_user_ids=(DANA_ACS,),
            country="US",
            address="1 Example Street",
            emergency_contacts=("supervisor@example.com", "guard@example.com"),
        )
    )
    house.show(DANA, AVAILABLE)
    house.tick()
    return house


def dial(house: House, call_id: str = "call-1", **more: object) -> Answer:
    fields: dict[str, object] = {"call_id": call_id, "agent_id": DANA, "dialled": "911"} | more
    return house.dial(Dial(**fields))  # type: ignore[arg-type]


def started(house: House, server: str = "server-1", starter: str = DANA_ACS) -> ServerCall:
    return ServerCall(server_call_id=server, starter=starter, at=house.clock.now(), ended=False)


def server_ended(house: House, server: str = "server-1", by: str | None = None) -> ServerCall:
    return ServerCall(server_call_id=server, starter=DANA_ACS, at=house.clock.now(), ended=True, ended_by=by)


def end(house: House, call_id: str = "call-1", *, by_agent: bool = True) -> None:
    house.end(End(call_id=call_id, by_agent=by_agent))


# The main job


def test_a_dial_lends_a_number_holds_presence_shows_the_panel_and_mails_the_contacts(house: House) -> None:
    answer = dial(house)
    assert answer.callback_number in numbers(4)
    assert answer.expires_at == DAWN + after(minutes=60)
    assert (answer.shared, answer.test, answer.degraded, answer.notified) == (False, False, False, 2)
    assert answer.panel.mode is Mode.EMERGENCY and answer.panel.controls == EMERGENCY_CONTROLS
    assert house.status(DANA) is DND
    assert sorted(house.mail.received()) == ["guard@example.com", "supervisor@example.com"]
    assert len(house.mail.accepted) == 1


def test_the_agents_end_returns_presence_and_keeps_the_number(house: House) -> None:
    answer = dial(house)
    house.clock.advance(after(minutes=3))
    end(house)
    assert house.status(DANA) is AVAILABLE
    assert (house.telemetry.count("presence_restored"), house.telemetry.count("presence_left")) == (1, 0)
    assert house.panel(DANA).mode is Mode.NORMAL
    assert house.call_back(answer.callback_number) == DANA_ACS


def test_the_callback_number_is_released_and_everything_forgotten_after_lease_and_cool_down(house: House) -> None:
    before = set(house.rows())
    answer = dial(house)
    end(house)
    house.clock.advance(after(minutes=60))
    house.tick()
    assert house.call_back(answer.callback_number) == DANA_ACS, "the last holder still rings in the cool-down"
    house.clock.advance(after(minutes=61))
    house.tick()
    assert house.call_back(answer.callback_number) == DESK
    kinds = {key.split("|")[0] for key in house.rows()}
    assert kinds == {"free", "number", "pool"}
    assert len(house.rows()) == len(before)


def test_the_times_in_a_notice_are_in_the_zone_of_the_setting(house: House) -> None:
    house.deployment = structs.replace(house.deployment, time_zone="America/New_York")
    house.performs = False
    dial(house)
    [notice] = [effect.owed.notice for effect in house.owed if isinstance(effect, DeliverNotice)]
    assert notice.time_zone == "America/New_York"
    words = NotificationTemplate().render(notice, house.clock.now())
    assert "12:00:00 EST" in words.text, "the zone is always named"


# What happens when…


def test_the_same_call_reported_twice_is_one_emergency_with_the_same_answer(house: House) -> None:
    first = dial(house)
    again = dial(house)
    assert again.known and not first.known
    assert (again.callback_number, again.expires_at) == (first.callback_number, first.expires_at)
    assert len(house.mail.accepted) == 1


@pytest.mark.parametrize(("dialled_in", "locale"), [("it", "it"), (None, "es-MX")])
def test_a_call_that_is_reported_again_is_answered_in_the_language_of_the_first_answer(
    house: House, dialled_in: str | None, locale: str
) -> None:
    house.add_agent(Agent(agent_id="rosa", country="US", locale="es-MX"))
    said = [house.dial(Dial(call_id="c", agent_id="rosa", dialled="911", locale=dialled_in)) for _ in range(2)]
    assert [(each.known, each.locale) for each in said] == [(False, locale), (True, locale)]


def test_the_window_is_made_shorter_and_whoever_was_promised_more_keeps_the_number(house: House) -> None:
    answer = dial(house)
    end(house)
    later = House(
        deployment=structs.replace(house.deployment, rules=Rules(window_minutes=10, after_call_minutes=10)),
        table=house.table,
        clock=house.clock,
    )
    later.clock.advance(after(minutes=59))
    later.tick()
    panel = later.panel(DANA)
    assert (panel.callback_number, panel.expires_at) == (answer.callback_number, answer.expires_at)
    assert not panel.fallback
    assert later.call_back(answer.callback_number) == DANA_ACS
    later.clock.advance(after(minutes=1))
    assert later.panel(DANA).callback_number is None
    assert later.dial(Dial(call_id="eve/1", agent_id="eve", dialled="911")).expires_at == DAWN + after(minutes=70)


def test_a_number_that_a_leg_keeps_beyond_its_promise_has_no_end_in_the_past(house: House) -> None:
    answer = dial(house)
    house.clock.advance(after(minutes=75))
    house.tick()
    panel, again = house.panel(DANA), dial(house)
    assert (panel.callback_number, panel.expires_at) == (answer.callback_number, None)
    assert (again.callback_number, again.expires_at) == (answer.callback_number, None)
    end(house)
    assert house.panel(DANA).expires_at == house.clock.now() + after(minutes=30)


def test_presence_is_not_said_to_be_held_where_nobody_is_signed_in_to_hold_it(house: House) -> None:
    signing_in = SigningIn(house.presence_rows, house.clock, house.keys)
    house.presence = signing_in
    dial(house)
    assert house.panel(DANA).presence is None
    signing_in.signed_in = True
    house.wait(60)
    assert house.panel(DANA).presence is DND


def test_two_sweeps_at_once_send_what_is_owed_once() -> None:
    table = Overtaken()
    house = House(table=table)
    house.performs = False
    dial(house)
    house.owed.clear()
    house.clock.advance(after(seconds=61))
    others: list[str] = []

    def another_sweep() -> None:
        others.append("swept")
        house.sweep()

    table.kind, table.meanwhile = "outbox", another_sweep
    house.sweep()
    assert others == ["swept"]
    assert len([effect for effect in house.owed if isinstance(effect, DeliverNotice)]) == 1


def test_a_notice_whose_claim_has_lapsed_is_left_to_whoever_claims_it_next() -> None:
    house = House()
    house.performs = False
    dial(house)
    house.clock.advance(after(seconds=61))
    house.owed.clear()
    house.sweep()
    [claimed] = [effect for effect in house.owed if isinstance(effect, DeliverNotice)]
    house.clock.advance(after(minutes=5))
    assert house.perform(claimed) and house.mail.accepted == []
    house.performs = True
    house.sweep()
    assert len(house.mail.accepted) == 1
    assert house.perform(claimed) and len(house.mail.accepted) == 1


def test_another_agent_who_guesses_a_call_id_learns_nothing(house: House) -> None:
    mine = dial(house)
    theirs = house.dial(Dial(call_id="call-1", agent_id="agent-eve", dialled="911"), only_agent("agent-eve"))
    assert theirs.callback_number != mine.callback_number and not theirs.known
    again = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"), only_agent("agent-eve"))
    assert (again.agent_id, again.callback_number) == ("agent-eve", theirs.callback_number)
    house.end(End(call_id="call-1", by_agent=True), only_agent("agent-eve"))
    assert house.status(DANA) is DND, "the end was of the guesser's own call"


def test_somebody_elses_call_cannot_be_ended(house: House) -> None:
    dial(house)
    assert not house.end(End(call_id="call-1", by_agent=True), only_agent("agent-eve")).known
    assert house.status(DANA) is DND


def test_ended_before_started_notifies_and_lends_but_holds_no_presence(house: House) -> None:
    assert not house.end(End(call_id="call-1", by_agent=False)).known
    house.clock.advance(after(minutes=1))
    answer = dial(house)
    assert answer.callback_number in numbers(4)
    assert answer.panel.mode is Mode.NORMAL
    assert len(house.mail.accepted) == 1
    assert house.status(DANA) is AVAILABLE


def test_an_end_without_start_is_forgotten_with_the_window(house: House) -> None:
    before = house.rows()
    house.end(End(call_id="never-started", by_agent=False))
    house.clock.advance(after(minutes=61))
    house.tick()
    assert house.rows() == before


def test_an_end_that_a_stranger_reported_before_the_start_does_not_count(house: House) -> None:
    house.end(End(call_id="call-1", by_agent=False), only_agent("agent-eve"))
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"), only_agent(DANA))
    assert house.status(DANA) is DND
    end(house)
    assert house.status(DANA) is AVAILABLE


def test_an_event_older_than_the_window_is_stale_and_starts_nothing(house: House) -> None:
    before = house.rows()
    late = Dial(call_id="call-1", agent_id=DANA, dialled="911", dialled_at=DAWN - after(minutes=61))
    answer = house.dial_by_event(late)
    assert answer.stale and answer.callback_number is None
    assert house.rows() == before
    assert house.telemetry.count("start_stale") == 1


def test_call_ended_for_an_exact_tie_ends_by_the_agent_or_else_as_a_drop(house: House) -> None:
    dial(house)
    house.see(started(house))
    house.tie("call-1", "server-1")
    house.see(server_ended(house, by=DANA_ACS))
    assert house.status(DANA) is AVAILABLE
    house.clock.advance(after(minutes=1))
    dial(house, "call-2")
    house.see(started(house, "server-2"))
    house.tie("call-2", "server-2")
    house.see(server_ended(house, "server-2", by="4:+12065550142"))
    assert house.panel(DANA).mode is Mode.NORMAL
    assert house.status(DANA) is DND, "a drop keeps presence held"


@pytest.mark.parametrize("first", ["recorded", "answered without the store"])
@pytest.mark.parametrize("by_event", [False, True], ids=["by HTTP", "by event"])
def test_a_server_call_that_only_a_repeat_of_the_dial_names_ties_exactly(
    house: House, first: str, *, by_event: bool
) -> None:
    house.line.away = first != "recorded"
    assert dial(house).degraded is house.line.away
    house.line.away = False
    house.repeats.do_again()
    fuller = Dial(call_id="call-1", agent_id=DANA, dialled="911", server_call_id="server-1")
    answer = house.dial_by_event(fuller) if by_event else house.dial(fuller)
    assert (answer.known, answer.ignored) == (True, ())
    house.see(started(house))
    house.see(server_ended(house, by=DANA_ACS))
    assert house.panel(DANA).mode is Mode.NORMAL
    assert house.status(DANA) is AVAILABLE, "they hung up: a drop would hold it"


def test_a_server_call_whose_end_came_before_it_was_named_is_over_at_once(house: House) -> None:
    dial(house)
    house.see(started(house))
    house.see(server_ended(house, by=DANA_ACS))
    assert house.status(DANA) is DND, "an inferred tie is a drop's"
    dial(house, server_call_id="server-1")
    assert house.status(DANA) is AVAILABLE


def test_a_repeat_of_a_dial_that_says_nothing_new_writes_nothing(house: House) -> None:
    dial(house, server_call_id="server-1")
    asked: list[str] = []
    house.line.asked = asked.append
    for more in ({}, {"server_call_id": "server-1"}):
        assert dial(house, **more).known
    assert "commit" not in asked


def test_a_repeat_is_answered_whatever_becomes_of_what_it_adds(house: House) -> None:
    dial(house)
    answer = dial(house)

    def refuse(request: str) -> None:
        if request == "commit":
            raise Unavailable

    house.line.asked = refuse
    assert dial(house, server_call_id="server-1") == answer
    house.line.asked = lambda _request: None
    dial(house, server_call_id="server-1")
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.legs[0].claims == (key_of("server-1"),)


TIED_END = "ACS: by the agent"


@pytest.mark.parametrize(
    ("told", "held"),
    [
        (("dropped",), True),
        (("agent",), False),
        ((TIED_END,), False),
        (("dropped", TIED_END), True),
        (("agent", TIED_END), False),
        (("dropped", "agent"), False),
        (("dropped", "agent", TIED_END), False),
    ],
)
def test_what_the_desktop_says_outranks_what_acs_says_of_the_same_leg_in_any_order(
    told: tuple[str, ...], held: bool
) -> None:
    for order in itertools.permutations(told):
        house = house_with_dana()
        dial(house)
        house.see(started(house))
        house.tie("call-1", "server-1")
        house.clock.advance(after(minutes=2))
        for word in order:
            if word == TIED_END:
                house.see(server_ended(house, by=DANA_ACS))
            else:
                end(house, by_agent=word == "agent")
            house.clock.advance(after(seconds=5))
        assert (house.status(DANA) is DND) == held, order
        house.clock.advance(after(minutes=10))
        house.tick()
        assert house.status(DANA) is AVAILABLE, "what was before the call comes back, whatever the order"


@pytest.mark.parametrize("seen_s", [0, 60])
@pytest.mark.parametrize("by", [DANA_ACS, None])
def test_what_a_person_changed_in_mid_call_stays_in_whatever_order_its_ends_come(seen_s: int, by: str | None) -> None:
    for order in itertools.permutations(("dropped", TIED_END)):
        house = house_with_dana()
        dial(house)
        house.see(started(house))
        house.tie("call-1", "server-1")
        house.clock.advance(after(minutes=2))
        house.show(DANA, PresenceStatus.BUSY)
        house.wait(seen_s)
        for word in order:
            if word == TIED_END:
                house.see(server_ended(house, by=by))
            else:
                end(house, by_agent=False)
            house.wait(20)
            assert house.status(DANA) is PresenceStatus.BUSY, (order, word)
        house.clock.advance(after(minutes=10))
        house.tick()
        assert house.status(DANA) is PresenceStatus.BUSY
        dial(house, "call-2")
        assert house.status(DANA) is DND, "the next leg holds it, whoever changed it before"


def test_a_drop_told_after_presence_was_given_back_holds_it_again_for_what_is_left_of_its_time(house: House) -> None:
    dial(house)
    house.see(started(house))
    house.tie("call-1", "server-1")
    house.see(server_ended(house, by=DANA_ACS))
    house.clock.advance(after(minutes=3))
    house.tick()
    house.show(DANA, PresenceStatus.BUSY)
    end(house, by_agent=False)
    assert house.status(DANA) is DND
    house.clock.advance(after(minutes=6, seconds=59))
    house.tick()
    assert house.status(DANA) is DND
    house.clock.advance(after(seconds=1))
    house.tick()
    assert house.status(DANA) is PresenceStatus.BUSY


@pytest.mark.parametrize("word", ["dropped", "agent"])
def test_an_end_that_the_desktop_told_before_the_start_outranks_what_acs_says_later(house: House, word: str) -> None:
    end(house, by_agent=word == "agent")
    dial(house)
    house.see(started(house))
    house.tie("call-1", "server-1")
    house.see(server_ended(house, by=DANA_ACS))
    emergency = house.emergency(DANA)
    assert emergency is not None
    [ended] = standing(emergency, Rules(), house.clock.now()).ends.values()
    assert ended.by_agent == (word == "agent")


def test_call_ended_for_an_inferred_tie_is_always_a_drop(house: House) -> None:
    dial(house)
    house.clock.advance(after(seconds=2))
    house.see(started(house))
    house.see(server_ended(house, by=DANA_ACS))
    assert house.panel(DANA).mode is Mode.NORMAL
    assert house.status(DANA) is DND


def test_an_ordinary_calls_events_write_nothing(house: House) -> None:
    before = house.rows()
    house.see(started(house))
    house.see(server_ended(house))
    assert house.rows() == before


def test_a_claim_on_somebody_elses_server_call_counts_for_nothing(house: House) -> None:
    dial(house)
    house.tie("call-1", "server-of-eve")
    stranger = ServerCall(
        server_call_id="server-of-eve", starter="8:acs:r_eve", at=house.clock.now(), ended=True, ended_by="8:acs:r_eve"
    )
    house.see(stranger)
    assert house.panel(DANA).mode is Mode.EMERGENCY


def test_no_end_ever_becomes_a_drop_after_max_call_minutes(house: House) -> None:
    dial(house)
    house.clock.advance(after(minutes=239))
    house.tick()
    assert house.panel(DANA).mode is Mode.EMERGENCY
    house.clock.advance(after(minutes=1))
    assert house.panel(DANA).mode is Mode.NORMAL, "computed on read, before any timer ran"
    house.tick()
    assert house.telemetry.count("leg_timed_out") == 1
    assert house.status(DANA) is DND
    house.clock.advance(after(minutes=10))
    house.tick()
    assert house.status(DANA) is AVAILABLE


def test_each_leg_that_timed_out_is_told_once_also_beside_one_in_progress(house: House) -> None:
    dial(house)
    house.clock.advance(after(minutes=100))
    dial(house, "call-2")
    for _ in range(15):
        house.clock.advance(after(minutes=10))
        house.tick()
    assert house.telemetry.count("leg_timed_out") == 1
    house.end(End(call_id="call-2", by_agent=True, agent_id=DANA))
    house.clock.advance(after(hours=9))
    house.tick()
    assert house.telemetry.count("leg_timed_out") == 1


def test_a_leg_that_timed_out_is_told_where_the_look_at_the_presence_comes_first_and_where_no_timer_ran() -> None:
    for timer_minutes in (1, 60 * 12):
        house = House()
        house.deployment = structs.replace(house.deployment, rules=Rules(hold_after_drop_minutes=0))
        house.lend_from(house.deployment.callback_numbers)
        house.add_agent(Agent(agent_id=DANA))
        house.show(DANA, AVAILABLE)
        dial(house)
        for minute in range(1, 60 * 12 + 1):
            house.clock.advance(after(minutes=1))
            house.sweep()
            if minute % timer_minutes == 0:
                house.tick()
        assert house.telemetry.count("leg_timed_out") == 1, timer_minutes


def test_a_redial_keeps_the_number_owes_another_notice_and_presence_returns_after_the_last_leg(house: House) -> None:
    first = dial(house)
    house.clock.advance(after(minutes=5))
    second = dial(house, "call-2")
    assert second.callback_number == first.callback_number
    assert second.expires_at == house.clock.now() + after(minutes=60)
    assert len(house.mail.accepted) == 2
    end(house, "call-1")
    assert house.status(DANA) is DND
    end(house, "call-2")
    assert house.status(DANA) is AVAILABLE


def test_an_unknown_agent_is_served_with_the_identity_in_the_request_and_the_default_contacts(house: House) -> None:
    eve = "8:acs:00000000-0000-0000-0000-000000000001_eve"
    answer = house.dial(Dial(call_id="c", agent_id="agent-eve", dialled="911", acs_user_id=eve, country="US"))
    assert house.mail.received() == [DEFAULT_CONTACT]
    assert house.call_back(answer.callback_number) == eve


def test_unknown_agents_hold_a_fifth_of_the_pool_then_share_among_themselves() -> None:
    house = House(pool=numbers(10))
    house.add_agent(Agent(agent_id=DANA, country="US"))
    house.tick()
    answers = [house.dial(Dial(call_id=f"c{n}", agent_id=f"unknown-{n}", dialled="911")) for n in range(12)]
    assert [answer.shared for answer in answers] == [False] * 2 + [True] * 10
    assert len({answer.callback_number for answer in answers}) == 2


def test_no_contact_anywhere_is_said_in_the_answer() -> None:
    house = House()
    house.deployment = type(house.deployment)(callback_numbers=numbers(4), fallback_number=FALLBACK)
    assert house.dial(Dial(call_id="c", agent_id=DANA, dialled="911")).notified == 0
    assert house.mail.accepted == []


def test_an_abandoned_call_keeps_its_lease(house: House) -> None:
    answer = dial(house)
    house.clock.advance(after(seconds=1))
    end(house)
    house.clock.advance(after(minutes=59))
    house.tick()
    assert house.call_back(answer.callback_number) == DANA_ACS


def test_an_incoming_call_to_a_foreign_number_or_to_a_user_is_left_alone(house: House) -> None:
    assert house.call_back("+12065550142") is None
    assert house.call_back(None) is None


# Leases


def test_a_lease_ends_at_the_latest_of_sixty_minutes_and_thirty_after_the_last_leg(house: House) -> None:
    answer = dial(house)
    house.clock.advance(after(minutes=50))
    end(house)
    house.clock.advance(after(minutes=29))
    assert house.panel(DANA).callback_number == answer.callback_number
    house.clock.advance(after(minutes=1))
    assert house.panel(DANA).callback_number is None


def test_a_lease_never_ends_while_a_leg_is_in_progress(house: House) -> None:
    answer = dial(house)
    house.clock.advance(after(minutes=200))
    house.tick()
    assert house.panel(DANA).callback_number == answer.callback_number


def test_numbers_are_lent_free_then_resting_then_shared_with_whoever_ended_longest_ago() -> None:
    house = House(pool=numbers(2))
    house.tick()
    first = house.dial(Dial(call_id="1", agent_id="a-1", dialled="911"), None)
    for n in (1, 2, 3, 4):
        house.add_agent(Agent(agent_id=f"a-{n}"))
    second = house.dial(Dial(call_id="2", agent_id="a-2", dialled="911"))
    assert {first.callback_number, second.callback_number} == set(numbers(2))
    house.end(End(call_id="1", by_agent=True))
    house.clock.advance(after(minutes=1))
    house.end(End(call_id="2", by_agent=True))
    shared = house.dial(Dial(call_id="3", agent_id="a-3", dialled="911"))
    assert (shared.shared, shared.callback_number) == (True, first.callback_number)
    house.clock.advance(after(minutes=59, seconds=30))
    resting = house.dial(Dial(call_id="4", agent_id="a-4", dialled="911"))
    assert (resting.shared, resting.callback_number) == (False, second.callback_number)


def test_a_number_lent_again_in_its_cool_down_no_longer_rings_its_last_holder() -> None:
    house = House(pool=numbers(1))
    house.tick()
    old, new = "8:acs:r_old", "8:acs:r_new"
    house.add_agent(Agent(agent_id="old", acs_user_ids=(old,)))
    house.add_agent(Agent(agent_id="new", acs_user_ids=(new,)))
    number = house.dial(Dial(call_id="1", agent_id="old", dialled="911")).callback_number
    house.end(End(call_id="1", by_agent=True))
    house.clock.advance(after(minutes=61))
    assert house.call_back(number) == old
    lent = house.dial(Dial(call_id="2", agent_id="new", dialled="911"))
    assert (lent.callback_number, lent.shared) == (number, False)
    assert house.call_back(number) == new
    house.clock.advance(after(minutes=60))
    house.tick()
    assert house.emergency("old") is None
    assert house.call_back(number) == new


def test_a_redial_in_the_cool_down_keeps_its_number(house: House) -> None:
    first = dial(house)
    end(house)
    house.clock.advance(after(minutes=90))
    again = dial(house, "call-2")
    assert again.callback_number == first.callback_number
    assert again.expires_at == house.clock.now() + after(minutes=60)


def test_an_empty_pool_gives_the_fallback_number() -> None:
    house = House(pool=())
    answer = house.dial(Dial(call_id="1", agent_id=DANA, dialled="911"))
    assert answer.callback_number == FALLBACK and answer.panel.mode is Mode.EMERGENCY
    assert answer.panel.fallback and house.panel(DANA).fallback
    house.clock.advance(after(hours=12))
    house.tick()
    house.clock.advance(after(hours=12))
    house.tick()
    assert [key for key in house.rows() if not key.startswith("pool")] == []


def test_a_removed_number_leaves_when_its_lease_is_over_and_an_added_one_joins() -> None:
    house = House(pool=numbers(1))
    house.add_agent(Agent(agent_id=DANA, acs_user_ids=(DANA_ACS,)))
    house.tick()
    old = dial(house).callback_number
    changed = House(pool=numbers(2, first=150), table=house.table, clock=house.clock)
    changed.directory, changed.presence = house.directory, house.presence
    changed.tick()
    assert changed.call_back(old) == DANA_ACS, "a live lease is not disturbed"
    assert changed.dial(Dial(call_id="2", agent_id="b", dialled="911")).callback_number in numbers(2, first=150)
    end(changed)
    changed.clock.advance(after(minutes=60))
    changed.clock.advance(after(minutes=61))
    changed.tick()
    assert changed.call_back(old) is None


def test_a_dial_before_the_pool_was_ever_synced_still_gets_a_number_of_its_own() -> None:
    house = House(pool=numbers(3))
    answers = [house.dial(Dial(call_id=f"c{n}", agent_id=f"a{n}", dialled="911")) for n in range(1)]
    for n in range(3):
        house.add_agent(Agent(agent_id=f"b{n}"))
    answers += [house.dial(Dial(call_id=f"d{n}", agent_id=f"b{n}", dialled="911")) for n in range(2)]
    assert len({answer.callback_number for answer in answers}) == 3
    assert not any(answer.shared for answer in answers)


# Presence


def test_a_drop_holds_presence_for_ten_minutes(house: House) -> None:
    dial(house)
    end(house, by_agent=False)
    assert house.status(DANA) is DND
    house.clock.advance(after(minutes=9, seconds=59))
    house.tick()
    assert house.status(DANA) is DND
    house.clock.advance(after(seconds=1))
    house.tick()
    assert house.status(DANA) is AVAILABLE


def test_after_a_drop_the_panel_offers_to_call_again_first_and_then_to_end_the_hold(house: House) -> None:
    dial(house)
    assert house.panel(DANA).presence is DND
    end(house, by_agent=False)
    panel = house.panel(DANA)
    assert (panel.mode, panel.banner, panel.presence) == (Mode.NORMAL, Banner.HELD_AFTER_DROP, DND)
    assert panel.controls[:2] == ("call_again", "end_hold")
    assert set(panel.controls[2:]) == set(Panel().controls), "the softphone's usual set"
    assert set(panel.form_actions) == {"save", "refresh"} and panel.poll_after_s == 2
    house.clock.advance(after(seconds=5))
    house.release(DANA)
    panel = house.panel(DANA)
    assert (panel.banner, panel.presence, panel.controls) == (None, None, Panel().controls)


def test_where_no_call_can_be_placed_the_panel_does_not_offer_to_call_again(house: House) -> None:
    dial(house, country="MX")
    end(house, by_agent=False)
    panel = house.panel(DANA)
    assert panel.dial is None and panel.controls[:2] == ("end_hold", Panel().controls[0])


SUPERVISOR = Caller(kind=CallerKind.OFFICE, name="a supervisor")


def release_legs(house: House, caller: Caller = SUPERVISOR) -> None:
    house.calling.release_presence(DANA, caller=caller, legs=True)


def test_a_supervisor_ends_a_leg_that_nobody_ended_as_a_drop_without_a_hold(house: House) -> None:
    number = dial(house).callback_number
    house.clock.advance(after(minutes=20))
    release_legs(house)
    assert house.status(DANA) is AVAILABLE and house.panel(DANA).mode is Mode.NORMAL
    assert house.panel(DANA).banner is None, "nothing is held"
    assert house.telemetry.count("leg_ended_by_supervisor") == 1
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.lease is not None
    [ended] = standing(emergency, Rules(), house.clock.now()).ends.values()
    assert (ended.at, ended.by_agent) == (DAWN + after(minutes=20), False)
    assert house.call_back(number) == DANA_ACS, "the number stays hers"
    release_legs(house)
    assert house.telemetry.count("leg_ended_by_supervisor") == 1, "once"
    end(house, by_agent=False)
    assert house.status(DANA) is AVAILABLE, "the desktop's word after it changes nothing"
    dial(house, "call-2")
    assert house.status(DANA) is DND


def test_only_the_office_may_end_legs(house: House) -> None:
    dial(house)
    own = Caller(kind=CallerKind.AGENT, name=DANA, agent_id=DANA)
    with pytest.raises(NotAllowed):
        release_legs(house, own)
    assert house.status(DANA) is DND and house.telemetry.count("leg_ended_by_supervisor") == 0


def test_a_hold_after_a_drop_can_be_released(house: House) -> None:
    dial(house)
    house.release(DANA)
    assert house.status(DANA) is DND, "a leg in progress keeps holding"
    end(house, by_agent=False)
    house.clock.advance(after(seconds=5))
    house.release(DANA)
    assert house.status(DANA) is AVAILABLE


def test_a_change_that_somebody_made_during_the_hold_stays(house: House) -> None:
    dial(house)
    house.show(DANA, PresenceStatus.AWAY)
    end(house)
    assert house.status(DANA) is PresenceStatus.AWAY
    assert (house.telemetry.count("presence_restored"), house.telemetry.count("presence_left")) == (0, 1)


class Markless(PresenceTable):
    """A presence service that shows nothing but the state and who set it."""

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        plain = Presence(status=presence.status, set_by=presence.set_by, version=presence.version)
        return super().write(agent_id, plain, deadline)


def system_sets(house: House, status: PresenceStatus) -> None:
    house.calling.set_presence(DANA, status, SetBy.SYSTEM, deadline=house.within())


def service_changes_by_itself(house: House, status: PresenceStatus) -> None:
    current = house.presence.read(DANA, house.within())
    changed = Presence(status=status, set_by=SetBy.SYSTEM, version=current.version)
    house.presence.write(DANA, changed, house.within())


@pytest.mark.parametrize("dropped", [False, True])
def test_do_not_disturb_is_set_again_after_a_change_by_a_system_and_what_was_before_comes_back(
    house: House, dropped: bool
) -> None:
    dial(house)
    if dropped:
        end(house, by_agent=False)
    system_sets(house, PresenceStatus.OFFLINE)
    assert house.status(DANA) is DND and house.panel(DANA).presence is DND
    service_changes_by_itself(house, PresenceStatus.OFFLINE)
    house.wait(40)
    assert house.status(DANA) is DND, "seen within 30 s, by the next sweep"
    if dropped:
        house.clock.advance(after(minutes=10))
        house.tick()
    else:
        end(house)
    assert house.status(DANA) is AVAILABLE
    assert house.presence.read(DANA, house.within()).changed_by is SetBy.AGENT, "it was the agent's own choice"


def test_a_person_changes_presence_while_it_is_held_and_it_is_seen_at_once(house: House) -> None:
    dial(house)
    house.calling.set_presence(DANA, PresenceStatus.BUSY, SetBy.AGENT, deadline=house.within())
    assert house.panel(DANA).presence is None
    system_sets(house, PresenceStatus.AWAY)
    house.wait(60)
    assert house.status(DANA) is PresenceStatus.AWAY, "no longer ours: neither set again nor given back"
    assert [row for row in house.rows() if row.startswith("look|")] == []
    end(house)
    assert house.status(DANA) is PresenceStatus.AWAY
    assert house.telemetry.count("presence_left") == 1, "said once, and with the emergency's word"
    [word] = {facts["emergency"] for event, facts in house.telemetry.events if event == "presence_held"}
    assert ("presence_left", {"emergency": word}) in house.telemetry.events


class Overtakes(PresenceTable):
    """Something happens between the reading of an emergency and that of its presence."""

    meanwhile: Callable[[], None] | None = None

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().read(agent_id, deadline)


def test_what_a_service_sets_after_presence_is_back_stays_whoever_gives_it_back_too_late(house: House) -> None:
    presence = house.presence = Overtakes(house.presence_rows, house.clock, house.keys)
    dial(house)
    house.performs = False
    end(house)
    [reconcile] = {effect for effect in house.owed if isinstance(effect, ReconcilePresence)}
    house.performs = True

    def another_process_is_done_and_the_service_changes() -> None:
        assert house.perform(reconcile) and house.status(DANA) is AVAILABLE
        service_changes_by_itself(house, PresenceStatus.OFFLINE)

    presence.meanwhile = another_process_is_done_and_the_service_changes
    assert house.perform(reconcile)
    assert house.status(DANA) is PresenceStatus.OFFLINE


def test_what_a_service_sets_after_presence_is_back_stays_whoever_saw_the_call_in_progress_too_long(
    house: House,
) -> None:
    presence = house.presence = Overtakes(house.presence_rows, house.clock, house.keys)
    house.performs = False
    dial(house)
    [reconcile] = {effect for effect in house.owed if isinstance(effect, ReconcilePresence)}
    house.performs = True
    house.do(house.owed)
    service_changes_by_itself(house, PresenceStatus.OFFLINE)

    def the_call_ends_meanwhile() -> None:
        end(house)
        assert house.status(DANA) is AVAILABLE
        service_changes_by_itself(house, PresenceStatus.OFFLINE)

    presence.meanwhile = the_call_ends_meanwhile
    assert house.perform(reconcile)
    assert house.status(DANA) is PresenceStatus.OFFLINE


def test_a_process_that_dies_after_a_systems_change_leaves_it_to_the_next_look(house: House) -> None:
    dial(house)
    house.performs = False
    system_sets(house, PresenceStatus.OFFLINE)
    house.owed.clear()
    house.performs = True
    house.wait(40)
    assert house.status(DANA) is DND


def test_a_look_at_the_very_end_of_a_hold_writes_that_it_is_over(house: House) -> None:
    dial(house)
    end(house, by_agent=False)
    house.clock.advance(after(minutes=10))
    house.sweep()
    emergency = house.emergency(DANA)
    assert emergency is not None and not emergency.held and house.status(DANA) is AVAILABLE


def test_nobody_looks_at_a_presence_that_is_not_held(house: House) -> None:
    dial(house)
    assert [row for row in house.rows() if row.startswith("look|")] != []
    end(house)
    assert [row for row in house.rows() if row.startswith("look|")] == []


def test_a_hold_of_an_outage_returns_to_what_it_found_though_the_service_carries_no_mark(house: House) -> None:
    house.presence = Markless(MemoryTable(), house.clock, house.keys)
    house.show(DANA, AVAILABLE)
    house.line.away = True
    assert dial(house).degraded and house.status(DANA) is DND
    house.line.away = False
    assert not dial(house).degraded
    assert house.status(DANA) is DND
    end(house)
    assert house.status(DANA) is AVAILABLE


def test_a_redial_sets_do_not_disturb_again_whatever_it_is_now(house: House) -> None:
    dial(house)
    house.show(DANA, PresenceStatus.BUSY)
    dial(house, "call-2")
    assert house.status(DANA) is DND
    end(house, "call-1")
    end(house, "call-2")
    assert house.status(DANA) is PresenceStatus.BUSY


def test_do_not_disturb_chosen_by_the_agent_is_what_comes_back(house: House) -> None:
    house.show(DANA, DND)
    dial(house)
    end(house)
    presence = house.presence.read(DANA, house.within())
    assert (presence.status, presence.hold_id) == (DND, None)


def test_a_slow_hold_that_lands_after_the_restore_is_put_right(house: House) -> None:
    house.performs = False
    dial(house)
    slow = list(house.owed)
    house.owed.clear()
    end(house)
    for effect in house.owed:
        house.perform(effect)
    assert house.status(DANA) is AVAILABLE
    for effect in slow:
        house.perform(effect)
    assert house.status(DANA) is AVAILABLE


def test_what_a_dead_host_owed_is_taken_up_by_the_sweep(house: House) -> None:
    house.performs = False
    dial(house)
    assert house.mail.accepted == [] and house.status(DANA) is AVAILABLE
    house.performs = True
    house.sweep()
    assert house.mail.accepted == [], "the first try has eight seconds to itself"
    house.clock.advance(after(seconds=9))
    house.sweep()
    assert len(house.mail.accepted) == 1 and house.status(DANA) is DND
    house.clock.advance(after(minutes=5))
    house.sweep()
    assert len(house.mail.accepted) == 1


def test_a_first_try_that_comes_too_late_is_left_to_the_sweep(house: House) -> None:
    house.performs = False
    dial(house)
    late = list(house.owed)
    house.performs = True
    house.clock.advance(after(seconds=9))
    for effect in late:
        house.perform(effect)
    assert house.mail.accepted == []
    house.sweep()
    assert len(house.mail.accepted) == 1


def test_a_first_try_with_little_time_left_claims_the_notice_anew(house: House) -> None:
    """Else a sweep would send it a second time while the first try is still under way."""
    house.performs = False
    dial(house)
    late = [effect for effect in house.owed if isinstance(effect, DeliverNotice)]
    house.owed.clear()
    house.clock.advance(after(seconds=6))

    def sweeps_meanwhile(_: Email) -> None:
        house.clock.advance(after(seconds=4))
        house.sweep()

    house.mail.fail = sweeps_meanwhile
    for effect in late:
        house.perform(effect)
    assert [effect for effect in house.owed if isinstance(effect, DeliverNotice)] == []
    assert len(house.mail.accepted) == 1
    house.clock.advance(after(minutes=5))
    house.sweep()
    assert [effect for effect in house.owed if isinstance(effect, DeliverNotice)] == []


def test_a_first_try_whose_notice_another_process_has_claimed_sends_nothing(house: House) -> None:
    house.performs = False
    dial(house)
    [late] = [effect for effect in house.owed if isinstance(effect, DeliverNotice)]
    house.owed.clear()
    house.clock.advance(after(seconds=6))
    early = house.clock.now() + after(seconds=20)
    house.emergencies.claim(late.owed, early, house.within())
    assert house.perform(late) and house.mail.accepted == []


def test_no_try_sends_beyond_its_claim(house: House) -> None:
    left: list[float] = []
    house.mail.patience = left
    dial(house)
    assert left == [pytest.approx(7.5)]


# Numbers dialled


def test_ordinary_numbers_are_refused(house: House) -> None:
    for dialled in ("9115551234", "5551911", "", "hello", "12065550142", "19911"):
        with pytest.raises(NotAnEmergency):
            dial(house, dialled=dialled)


def test_the_test_number_runs_the_whole_chain_marked_as_a_test(house: House) -> None:
    answer = dial(house, dialled="933")
    assert answer.test and answer.callback_number in numbers(4)
    assert house.status(DANA) is DND and len(house.mail.accepted) == 1


# The store


def test_a_row_that_cannot_be_read_degrades_the_dial_and_stops_nothing(house: House) -> None:
    dial(house)
    key = next(row for row in house.rows() if row.startswith("agent|"))
    house.table.commit([Put(key, {"schema": 9, "state": '{"legs": 3}', "index": "[]"})], house.within())
    answer = dial(house, "call-2")
    assert (answer.degraded, answer.callback_number, answer.panel.fallback) == (True, FALLBACK, True)
    house.sweep()


def test_an_agent_id_that_the_host_rewrites_in_events_is_the_same_agent_without_the_store(house: House) -> None:
    row = Put(f"agent|{key_unlisted('2026-11-20T21:00:00Z')}", {"schema": 9, "state": "3", "index": "[]"})
    house.table.commit([row], house.within())
    with pytest.raises(Unavailable):
        house.dial_by_event(Dial(call_id="c", agent_id="2026-11-20T21:00:00+00:00", dialled="911"))
    panel, _ = house.calling.show_panel("2026-11-20T23:00:00+02:00", caller=everybody(), deadline=house.within())
    assert panel.mode is Mode.EMERGENCY


# Whose clock counts (specification, What happens when; contract, Time)


@pytest.mark.parametrize("wrong", [timedelta(minutes=61), timedelta(days=3650), -timedelta(minutes=61)])
def test_a_clock_further_away_than_the_window_is_wrong_and_costs_nothing(house: House, wrong: timedelta) -> None:
    answer = dial(house, dialled_at=house.clock.now() + wrong)
    assert not answer.stale and answer.callback_number is not None
    assert answer.expires_at == house.clock.now() + after(minutes=60)
    assert house.status(DANA) is DND and len(house.mail.accepted) == 1
    assert house.telemetry.count("dial_clock_wrong") == 1
    assert dial(house, dialled_at=house.clock.now() + wrong).known
    assert house.telemetry.count("dial_clock_wrong") == 1


def test_how_long_ago_it_was_outranks_what_the_desktops_clock_says(house: House) -> None:
    lie = house.clock.now() - after(minutes=50)
    answer = dial(house, dialled_at=lie, dialled_ago=after(seconds=90))
    assert answer.expires_at == house.clock.now() + after(minutes=58, seconds=30)
    assert house.telemetry.count("dial_clock_wrong") == 0
    long_ago = dial(house, "call-2", dialled_ago=after(minutes=61))
    assert long_ago.expires_at == house.clock.now() + after(minutes=60)
    assert house.telemetry.count("dial_clock_wrong") == 1


def unreadable(house: House) -> None:
    """As if the store were away, for one agent."""
    row = Put(f"agent|{key_of(DANA)}", {"schema": 9, "state": "3", "index": "[]"})
    house.table.commit([row], house.within())


def test_a_repeat_of_our_own_long_after_the_request_is_stale(house: House) -> None:
    unreadable(house)
    assert dial(house).degraded
    house.clock.advance(after(minutes=61))
    house.table.commit([Delete(f"agent|{key_of(DANA)}")], house.within())
    assert all(again() for again in house.repeats.kept.values())
    assert house.telemetry.count("start_stale") == 1 and house.emergency(DANA) is None


@pytest.mark.parametrize("away", [False, True])
def test_what_was_ignored_is_answered_and_counted(house: House, away: bool) -> None:
    if away:
        unreadable(house)
    answer = dial(house, ignored=("locale", "location.longitude"))
    assert answer.degraded is away and answer.ignored == ("locale", "location.longitude")
    assert house.telemetry.count("field_ignored") == 2


@pytest.mark.parametrize(
    ("by_event", "said_s", "began_s", "tied"),
    [
        # Dialled 300 s before it was reported: a server call of any moment between may be it, 30 s either side.
        (False, -300, -331, False),
        (False, -300, -330, True),
        (False, -300, -150, True),
        (False, -300, 30, True),
        (False, -300, 31, False),
        # A dialer repeats for ten minutes: what a desktop says of an earlier time is its clock.
        (False, -2400, -631, False),
        (False, -2400, -630, True),
        (False, -2400, 0, True),
        # An event may come late.
        (True, -2400, -2431, False),
        (True, -2400, -2430, True),
        (True, -2400, 30, True),
        # A clock that runs ahead counts as of now.
        (False, 600, -31, False),
        (False, 600, -30, True),
        (False, 600, 30, True),
    ],
)
def test_a_server_call_ties_that_began_between_the_dial_and_its_receipt(
    house: House, by_event: bool, said_s: int, began_s: int, tied: bool
) -> None:
    now = house.clock.now()
    reported = Dial(call_id="call-1", agent_id=DANA, dialled="911", dialled_at=now + after(seconds=said_s))
    (house.dial_by_event if by_event else house.dial)(reported)
    house.clock.advance(after(seconds=60))
    began = now + after(seconds=began_s)
    house.see(ServerCall(server_call_id="server-1", starter=DANA_ACS, at=began, ended=False))
    emergency = house.emergency(DANA)
    assert emergency is not None
    assert bool(ties(emergency)) is tied


def test_a_server_call_that_may_be_either_of_two_legs_is_neither_until_one_of_them_is_known(house: House) -> None:
    for call_id in ("call-1", "call-2"):
        dial(house, call_id)
    house.see(started(house))
    emergency = house.emergency(DANA)
    assert emergency is not None and ties(emergency) == {}
    house.clock.advance(after(seconds=20))
    house.see(server_ended(house, by=DANA_ACS))
    assert house.panel(DANA).mode is Mode.EMERGENCY, "nobody knows which of the two has ended"
    end(house, "call-1")
    assert house.panel(DANA).mode is Mode.EMERGENCY
