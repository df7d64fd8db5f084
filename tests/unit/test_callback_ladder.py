"""Callbacks end at a human (B4): each scenario on the core in memory, with call control that rings, joins and drops."""

from collections.abc import Callable
from datetime import datetime
from itertools import batched

import pytest
from msgspec import structs

from shared.adapters.table import Delete, Put
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callbacks import Connected, Fact, Joined, NotJoined, Roster, id_without_state, on_the_call
from shared.domain.confidentiality import EMERGENCY, Knowledge, knowledge_of
from shared.domain.deployment import CallbackNotices, Deployment
from shared.domain.dials import Dial
from shared.domain.emergencies import due_at, may_be_forgotten, standing, with_expiry, with_ringing
from shared.domain.errors import Refused, Unavailable
from shared.domain.identities import raw_identity
from shared.domain.ids import key_of
from shared.domain.leases import Rules
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.panels import Mode
from shared.domain.presence import PresenceStatus
from shared.ports import Invite, RenderedNotice
from shared.use_cases.answer_callback import PAUSES_S
from shared.use_cases.continue_callback import MidCall
from shared.use_cases.effects import ReconcilePresence
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.remember_callback import REMEMBERED_AFTER_AT_MOST
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import DESK, EVENTS_URL, FALLBACK, House, PlainTemplate, after, numbers, only_agent, person
from tests.fakes.switchboard import PSAP, Known, Switchboard

DANA = "agent-dana"
DANA_ACS = "8:acs:00000000-0000-0000-0000-000000000001_dana"
DANA_PHONE = "+14255550170"
AVAILABLE, DND = PresenceStatus.AVAILABLE, PresenceStatus.DO_NOT_DISTURB


def identity(name: str) -> str:
    return f"8:acs:00000000-0000-0000-0000-000000000001_{name}"


@pytest.fixture
def house() -> House:
    house = House()
    house.add_agent(
        Agent(
            agent_id=DANA,
            name="Dana Example",
            acs_user_ids=(DANA_ACS,),
            alternate_numbers=(DANA_PHONE,),
            country="US",
            emergency_contacts=("supervisor@example.com",),
        )
    )
    house.show(DANA, AVAILABLE)
    house.tick()
    return house


def dropped_call(house: House) -> str:
    """Dana dialled, the call broke off; gives her number."""
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    house.end(End(call_id="call-1", by_agent=False))
    house.mail.accepted.clear()
    house.switchboard.requests.clear()
    assert answer.callback_number is not None
    return answer.callback_number


# Steps


def test_two_reads_at_once_and_one_request_to_the_answer_and_one_more_to_the_agents_ring(house: House) -> None:
    number = dropped_call(house)
    reads: list[str] = []
    house.line.asked = lambda kind: reads.append(f"{kind}, with {len(house.switchboard.requests)} requests")
    callback_id = house.responder_calls(number, delivered=False)
    assert reads[:3] == ["read, with 0 requests", "read, with 0 requests", "commit, with 1 requests"]
    assert house.switchboard.requests == [("answer", "context")]
    connected = house.switchboard.events.pop(0)
    house.hear(*connected)
    assert house.switchboard.requests == [("answer", "context"), ("invite", DANA_ACS)]
    assert house.switchboard.ringing() == [DANA_ACS]
    [invite] = house.switchboard.invited
    assert (invite.ring_s, invite.caller_id) == (15, None)
    assert house.callback(callback_id) is not None


# The ladder


def test_an_agent_who_is_offline_then_the_alternates_then_the_desk(house: House) -> None:
    house.switchboard.offline.add(DANA_ACS)
    number = dropped_call(house)
    house.responder_calls(number)
    assert house.switchboard.ringing() == [DANA_PHONE], "at once, not after fifteen seconds"
    assert house.switchboard.invited[-1].caller_id == number
    house.wait(21)
    assert house.switchboard.ringing() == [DESK]
    house.switchboard.pick_up(DESK)
    house.deliver()
    assert house.switchboard.talking() == [f"4:{DESK}"]
    house.wait(120)
    assert house.switchboard.ringing() == []
    assert house.switchboard.talking() == [f"4:{DESK}"]


def test_the_agent_rings_for_fifteen_seconds_and_answers_on_the_second_round(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.wait(14)
    assert house.switchboard.ringing() == [DANA_ACS]
    house.wait(2)
    assert house.switchboard.ringing() == [DANA_PHONE]
    house.wait(20)
    assert house.switchboard.ringing() == [DESK]
    house.wait(30)
    assert house.switchboard.ringing() == [DANA_ACS]
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    assert house.panel(DANA).mode is Mode.EMERGENCY
    assert len(house.switchboard.invited) == 4


def test_after_five_minutes_the_fallback_number_rings_for_good(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.wait(310)
    before = len(house.switchboard.invited)
    house.wait(300)
    rung = {invite.target for invite in house.switchboard.invited[before:]}
    assert rung <= {FALLBACK}
    assert FALLBACK in house.switchboard.ringing() or house.switchboard.invited[-1].target == FALLBACK
    assert len(house.switchboard.invited) - before >= 8, "again and again"
    house.wait(15)
    ringing = house.switchboard.ringing()
    assert ringing == [FALLBACK]
    house.switchboard.pick_up(FALLBACK)
    house.deliver()
    assert house.switchboard.talking() == [f"4:{FALLBACK}"]


def test_nobody_can_be_had_but_the_ladder_neither_ends_nor_spins(house: House) -> None:
    house.switchboard.gone |= {DANA_ACS, DANA_PHONE, DESK, FALLBACK}
    house.responder_calls(dropped_call(house))
    house.wait(100)
    tries = house.switchboard.requests.count(("invite", DESK))
    assert 5 <= tries <= 11
    house.switchboard.gone.clear()
    house.wait(12)
    assert house.switchboard.ringing() != []


def test_the_browser_of_the_one_who_answered_dies_and_the_ladder_goes_on_from_the_top(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.wait(90)
    assert house.status(DANA) is DND and house.switchboard.ringing() == []
    house.switchboard.drop_out(DANA_ACS)
    house.deliver()
    assert house.switchboard.ringing() == [DANA_ACS], "from the top, at once"
    assert house.panel(DANA).mode is Mode.RINGING
    assert house.status(DANA) is DND, "a drop keeps presence held"
    house.wait(16)
    assert house.switchboard.ringing() == [DANA_PHONE]
    assert house.panel(DANA).mode is Mode.NORMAL, "her leg is over"
    house.switchboard.pick_up(DANA_PHONE)
    house.deliver()
    assert house.panel(DANA).mode is Mode.EMERGENCY
    emergency = house.emergency(DANA)
    assert emergency is not None
    assert [leg.callback is not None for leg in emergency.legs] == [False, True, True]


def test_a_drop_out_of_which_no_event_came_is_found_by_looking(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.wait(5)
    house.switchboard.drop_out(DANA_ACS)
    house.wait(45, events=False)
    assert house.switchboard.ringing() != []


@pytest.mark.parametrize("seconds", [1, 20, 40, 320])
def test_the_responder_hangs_up_in_the_middle_of_each_rung(house: House, seconds: int) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    house.wait(seconds)
    assert len(house.switchboard.ringing()) == 1
    house.switchboard.hang_up()
    house.deliver()
    assert house.panel(DANA).mode is Mode.NORMAL
    rung = len(house.switchboard.invited)
    house.wait(30)
    assert len(house.switchboard.invited) == rung
    callback = house.callback(callback_id)
    assert callback is not None and callback.closed
    assert (callback.number, callback.parties, callback.invitations) == (None, (), ())
    assert house.mail.received() == ["supervisor@example.com"], "missed, once"
    house.clock.advance(after(minutes=120))
    house.tick()
    assert house.callback(callback_id) is None
    assert [row for row in house.rows() if "callback" in row] == []


def test_the_end_of_which_no_event_came_is_found_by_the_next_request(house: House) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    house.switchboard.hang_up()
    house.switchboard.events.clear()
    house.wait(60, events=False)
    callback = house.callback(callback_id)
    assert callback is not None and callback.closed


# The leg


def test_while_it_rings_the_panel_offers_answer_and_device_settings_only(house: House) -> None:
    house.responder_calls(dropped_call(house))
    panel = house.panel(DANA)
    assert (panel.mode, panel.form_actions) == (Mode.RINGING, ())
    assert panel.controls == ("answer", "device_settings")
    house.wait(18)
    assert house.panel(DANA).mode is Mode.NORMAL, "the alternate number rings now"


def test_a_ring_whose_end_was_never_told_stops_showing_by_itself(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.clock.advance(after(seconds=15))
    assert house.panel(DANA).mode is Mode.NORMAL


def test_an_answered_callback_is_a_leg_that_holds_presence_and_extends_the_lease(house: House) -> None:
    number = dropped_call(house)
    house.clock.advance(after(minutes=50))
    house.tick()
    assert house.status(DANA) is AVAILABLE
    house.show(DANA, PresenceStatus.BUSY)
    house.responder_calls(number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    panel = house.panel(DANA)
    assert (panel.mode, panel.controls) == (Mode.EMERGENCY, ("device_settings", "end_call"))
    assert house.status(DANA) is DND
    house.wait(60 * 20)
    assert house.panel(DANA).callback_number == number, "never while a leg is in progress"
    house.switchboard.hang_up()
    house.deliver()
    assert house.status(DANA) is DND, "nothing says that the agent ended it: a drop"
    house.clock.advance(after(minutes=10))
    house.tick()
    assert house.status(DANA) is PresenceStatus.BUSY
    house.clock.advance(after(minutes=19))
    assert house.panel(DANA).callback_number == number
    house.clock.advance(after(minutes=2))
    assert house.panel(DANA).callback_number is None


def test_presence_is_held_on_from_the_snapshot_of_the_first_leg(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    invitation_id = house.switchboard.invited[0].invitation_id
    house.end(End(call_id=invitation_id, by_agent=True))
    assert house.status(DANA) is AVAILABLE
    assert house.panel(DANA).mode is Mode.NORMAL


def test_acs_says_that_the_agent_ended_the_callback(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.wait(30)
    ended = ServerCall(server_call_id="context", starter=PSAP, at=house.clock.now(), ended=True, ended_by=DANA_ACS)
    house.see(ended)
    assert house.panel(DANA).mode is Mode.NORMAL
    assert house.status(DANA) is AVAILABLE


@pytest.mark.parametrize("desktop_first", [True, False])
def test_a_drop_of_a_callback_that_the_desktop_told_outranks_what_acs_says(house: House, desktop_first: bool) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    callback = house.callback(callback_id)
    assert callback is not None
    [invitation] = callback.invitations
    house.clock.advance(after(minutes=1))
    dropped = End(call_id=invitation.invitation_id, by_agent=False)
    by_agent = ServerCall(
        server_call_id="context", starter=f"4:{PSAP}", at=house.clock.now(), ended=True, ended_by=DANA_ACS
    )
    for tell in (0, 1) if desktop_first else (1, 0):
        house.end(dropped) if tell == 0 else house.see(by_agent)
    assert house.status(DANA) is DND


def test_a_call_that_the_agent_starts_meanwhile_is_not_taken_for_the_callback(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    other = ServerCall(server_call_id="other", starter=DANA_ACS, at=house.clock.now(), ended=False)
    house.see(other)
    house.see(structs.replace(other, ended=True, ended_by=DANA_ACS))
    assert house.panel(DANA).mode is Mode.EMERGENCY


def test_an_outgoing_leg_is_tied_though_a_callback_is_answered_at_the_same_time(house: House) -> None:
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    house.responder_calls(answer.callback_number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    started = ServerCall(server_call_id="own", starter=DANA_ACS, at=house.clock.now(), ended=False)
    house.see(started)
    house.clock.advance(after(minutes=1))
    house.see(structs.replace(started, ended=True, at=house.clock.now()))
    emergency = house.emergency(DANA)
    assert emergency is not None
    [running] = standing(emergency, house.deployment.rules, house.clock.now()).in_progress
    assert running.callback is not None


def test_while_it_rings_nothing_is_forgotten(house: House) -> None:
    dropped_call(house)
    house.clock.advance(after(hours=3))
    emergency, now = house.emergency(DANA), house.clock.now()
    assert emergency is not None and may_be_forgotten(emergency, house.deployment.rules, now)
    expired = with_expiry(emergency, house.deployment.rules, now)
    rung = with_ringing(expired, "callback", now + after(seconds=1))
    assert not may_be_forgotten(rung, house.deployment.rules, now)
    stands = standing(rung, house.deployment.rules, now)
    assert due_at(rung, stands, house.deployment.rules, now) == now + after(seconds=1)


# Notices


def told(house: House) -> list[NoticeKind]:
    return [NoticeKind(email.subject) for email in house.mail.accepted]


@pytest.mark.parametrize(
    ("wanted", "answered", "missed"),
    [
        (CallbackNotices.NONE, [], []),
        (CallbackNotices.MISSED, [], [NoticeKind.CALLBACK_MISSED]),
        (CallbackNotices.ALL, [NoticeKind.CALLBACK_RECEIVED], [NoticeKind.CALLBACK_MISSED]),
    ],
)
def test_the_contacts_are_told_as_the_setting_says_each_once(
    house: House, wanted: CallbackNotices, answered: list[NoticeKind], missed: list[NoticeKind]
) -> None:
    house.deployment = structs.replace(house.deployment, callback_notices=wanted)
    number = dropped_call(house)
    house.responder_calls(number)
    house.switchboard.pick_up(DANA_ACS)
    house.wait(5)
    house.switchboard.drop_out(DANA_ACS)
    house.deliver()
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.switchboard.hang_up()
    house.wait(60)
    assert told(house) == answered
    house.mail.accepted.clear()
    house.responder_calls(number, "again")
    house.switchboard.hang_up("again")
    house.wait(60)
    assert told(house) == missed


def test_an_answered_callback_to_a_shared_number_concerns_whoever_answered() -> None:
    house, names = sharing(3)
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    house.responder_calls(numbers(1)[0])
    house.switchboard.pick_up(identity(names[1]))
    house.deliver()
    assert told(house) == [NoticeKind.CALLBACK_RECEIVED]
    house.switchboard.hang_up()
    house.wait(20)
    house.mail.accepted.clear()
    house.responder_calls(numbers(1)[0], "again")
    house.switchboard.hang_up("again")
    house.wait(20)
    assert told(house) == [NoticeKind.CALLBACK_MISSED] * 3, "it may have been for any of them"


def test_a_call_that_is_told_once_more_to_the_numbers_next_holder_concerns_their_contacts_not() -> None:
    rules = Rules(after_call_minutes=0, cool_down_minutes=0)
    house = House(deployment=structs.replace(House(pool=numbers(1)).deployment, rules=rules))
    house.add_agent(Agent(agent_id=DANA))
    house.add_agent(Agent(agent_id="ben", emergency_contacts=("ben@example.com",)))
    number = dropped_call(house)
    house.wait(3580)
    came_at = house.clock.now()
    house.responder_calls(number)
    house.switchboard.hang_up()
    house.wait(120)
    house.tick()
    ben = house.dial(Dial(call_id="ben-1", agent_id="ben", dialled="911"))
    assert ben.callback_number == number
    house.mail.accepted.clear()
    call = Incoming(to_number=number, context="context", origin="context", caller=PSAP, came_at=came_at)
    house.calling.answer_callback(call)
    house.wait(60)
    assert told(house) == []


class Marks(PlainTemplate):
    """Remembers of each callback that was told whether it was marked as a test's."""

    def __init__(self) -> None:
        self.of_callbacks: list[bool] = []

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        if notice.kind is not NoticeKind.CALL:
            self.of_callbacks.append(notice.test)
        return super().render(notice, now)


@pytest.mark.parametrize(("minutes", "is_test"), [(1, False), (47, False), (50, True)])
@pytest.mark.parametrize("more", [0, 12])
def test_until_the_cool_down_of_a_real_call_is_over_a_callback_is_no_tests(
    house: House, minutes: int, is_test: bool, more: int
) -> None:
    number = dropped_call(house)
    house.clock.advance(after(minutes=71))
    house.tick()
    for n in range(1 + more):
        answer = house.dial(Dial(call_id=f"call-{2 + n}", agent_id=DANA, dialled="933"))
        assert (answer.callback_number, answer.test) == (number, True)
        house.end(End(call_id=f"call-{2 + n}", by_agent=True))
    house.clock.advance(after(minutes=minutes))
    house.template = marks = Marks()
    house.responder_calls(number)
    house.switchboard.hang_up()
    house.wait(60)
    assert marks.of_callbacks == [is_test]
    house.responder_calls(number, "again")
    house.switchboard.pick_up(DANA_ACS, "again")
    house.deliver()
    emergency = house.emergency(DANA)
    assert emergency is not None
    [answered] = [leg for leg in emergency.legs if leg.callback is not None]
    assert answered.test is is_test


def test_a_callback_to_a_tests_own_number_is_a_tests_whatever_was_dialled_before() -> None:
    house = House(pool=numbers(2))
    for name in (DANA, "ben", "carl"):
        house.add_agent(Agent(agent_id=name, emergency_contacts=("supervisor@example.com",)))
    house.tick()
    number = dropped_call(house)
    house.clock.advance(after(minutes=1))
    house.dial(Dial(call_id="carl-1", agent_id="carl", dialled="911"))
    house.end(End(call_id="carl-1", by_agent=True))
    house.clock.advance(after(minutes=61))
    house.tick()
    assert house.dial(Dial(call_id="ben-1", agent_id="ben", dialled="911")).callback_number == number
    tested = house.dial(Dial(call_id="call-2", agent_id=DANA, dialled="933")).callback_number
    assert tested != number
    house.template = marks = Marks()
    house.responder_calls(tested)
    house.switchboard.hang_up()
    house.wait(60)
    assert marks.of_callbacks == [True]


def test_an_answer_told_after_the_end_is_no_missed_callback(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.switchboard.hang_up()
    house.switchboard.events.reverse()
    house.wait(60)
    assert told(house) == []


def test_a_callback_that_nobodys_lease_covers_is_nobodys_notice_and_soon_forgotten(house: House) -> None:
    callback_id = house.responder_calls(numbers(4)[3])
    assert house.switchboard.ringing() == [DESK]
    house.switchboard.hang_up()
    house.wait(30)
    house.clock.advance(after(minutes=11))
    house.tick()
    assert house.mail.accepted == []
    assert house.callback(callback_id) is None


def test_a_removed_agents_notices_are_rationed(house: House) -> None:
    answer = house.dial(
        Dial(call_id="c", agent_id="unknown", dialled="911", acs_user_id=identity("eve")), person("eve's object id")
    )
    house.mail.accepted.clear()
    for turn in range(14):
        house.responder_calls(answer.callback_number, f"turn {turn}")
        house.switchboard.hang_up(f"turn {turn}")
        house.deliver()
    house.wait(20)
    assert len(house.mail.accepted) == 4, "one of the five went with the dial"


# Several callbacks, several holders


def test_two_callbacks_at_once_ring_the_agent_and_the_second_then_rings_the_others_first(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number, "one")
    house.responder_calls(number, "two")
    assert house.switchboard.ringing() == [DANA_ACS, DANA_ACS]
    house.switchboard.pick_up(DANA_ACS, "one")
    house.deliver()
    house.wait(16)
    assert house.switchboard.ringing() == [DANA_PHONE]
    house.wait(20)
    assert house.switchboard.ringing() == [DESK]
    house.wait(30)
    assert house.switchboard.ringing() == [DANA_ACS], "last of all"
    house.wait(16)
    assert house.switchboard.ringing() == [DANA_PHONE]
    house.switchboard.hang_up("one")
    house.deliver()
    house.switchboard.pick_up(DANA_PHONE, "two")
    house.deliver()
    assert house.panel(DANA).mode is Mode.EMERGENCY


def test_a_callback_for_an_agent_who_is_in_one_rings_the_others_first(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number, "one")
    house.switchboard.pick_up(DANA_ACS, "one")
    house.deliver()
    house.responder_calls(number, "two")
    assert house.switchboard.ringing() == [DANA_PHONE]
    assert house.panel(DANA).mode is Mode.EMERGENCY


def test_a_callback_during_an_outgoing_leg_rings_the_agent_first_all_the_same(house: House) -> None:
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911"))
    house.responder_calls(answer.callback_number)
    assert house.switchboard.ringing() == [DANA_ACS]
    panel = house.panel(DANA)
    assert panel.mode is Mode.RINGING and panel.form_actions == ()
    assert panel.controls == ("answer", "device_settings", "end_call"), "End call never vanishes during a leg"
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.end(End(call_id="call-1", by_agent=True))
    assert house.panel(DANA).mode is Mode.EMERGENCY
    assert house.status(DANA) is DND
    house.switchboard.hang_up()
    house.deliver()
    assert house.panel(DANA).mode is Mode.NORMAL


def test_end_call_stays_where_a_second_responder_rings_an_agent_who_talks_to_the_first(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number, "one")
    house.switchboard.pick_up(DANA_ACS, "one")
    house.deliver()
    house.responder_calls(number, "two")
    house.wait(51)
    assert house.switchboard.ringing() == [DANA_ACS]
    assert house.panel(DANA).controls == ("answer", "device_settings", "end_call")


def test_of_several_holders_those_with_a_leg_in_progress_ring_after_the_others_and_before_the_desk() -> None:
    house, (talks, answers, ended) = sharing(3)
    number = numbers(1)[0]
    house.end(End(call_id=ended, by_agent=True))
    house.responder_calls(number, "one")
    house.switchboard.pick_up(identity(ended), "one")
    house.deliver()
    house.end(End(call_id=answers, by_agent=False))
    house.responder_calls(number, "two")
    assert house.switchboard.ringing() == [identity(answers)], "the one without a call"
    house.wait(16)
    assert house.switchboard.ringing() == [identity(ended), identity(talks)], "an outgoing leg, and a callback answered"
    house.wait(16)
    assert house.switchboard.ringing() == [DESK]


def test_where_nobody_answers_calls_a_shared_number_is_sent_to_a_holder_without_a_call() -> None:
    house, (first, second) = sharing(2)
    house.end(End(call_id=first, by_agent=False))
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    house.responder_calls(numbers(1)[0])
    assert house.switchboard.redirected == [("context", identity(first))], f"{second} is newer, and in a call"


def sharing(count: int) -> tuple[House, list[str]]:
    """A pool of one number, held by so many agents, the newest last."""
    house = House(pool=numbers(1))
    house.tick()
    names = [f"a-{n}" for n in range(count)]
    for name in names:
        house.add_agent(Agent(agent_id=name, acs_user_ids=(identity(name),), alternate_numbers=("+14255550171",)))
        house.dial(Dial(call_id=name, agent_id=name, dialled="911"))
        house.clock.advance(after(seconds=1))
    house.mail.accepted.clear()
    return house, names


@pytest.mark.parametrize(("count", "rung"), [(3, 3), (8, 5), (100, 5)])
def test_a_shared_number_rings_its_first_and_newest_holders_at_once_then_the_desk(count: int, rung: int) -> None:
    house, names = sharing(count)
    house.responder_calls(numbers(1)[0])
    expected = {identity(name) for name in (names[0], *names[1:][1 - rung :])}
    assert set(house.switchboard.ringing()) == expected and len(house.switchboard.ringing()) == rung
    house.wait(16)
    assert house.switchboard.ringing() == [DESK]
    house.wait(30)
    assert set(house.switchboard.ringing()) == expected
    house.switchboard.pick_up(identity(names[-2]))
    house.deliver()
    assert house.switchboard.ringing() == [], "the others are cancelled"
    assert house.panel(names[-2]).mode is Mode.EMERGENCY
    emergency = house.emergency(names[-1])
    assert emergency is not None and emergency.ringing == ()
    house.wait(40)
    assert house.switchboard.talking() == [identity(names[-2])]


def test_two_who_answer_at_once_both_stay() -> None:
    house, names = sharing(3)
    house.responder_calls(numbers(1)[0])
    house.switchboard.pick_up(identity(names[0]))
    house.switchboard.pick_up(identity(names[1]))
    house.deliver()
    assert house.switchboard.talking() == [identity(names[0]), identity(names[1])]
    house.wait(3)
    house.switchboard.drop_out(identity(names[0]))
    house.deliver()
    assert house.switchboard.ringing() == []
    house.switchboard.drop_out(identity(names[1]))
    house.deliver()
    assert len(house.switchboard.ringing()) == 3


# The lease's ends


def test_one_second_before_and_after_expiry_in_the_cool_down_and_after_it(house: House) -> None:
    number = dropped_call(house)
    house.clock.advance(after(minutes=60, seconds=-1))
    house.responder_calls(number, "before")
    assert house.switchboard.ringing() == [DANA_ACS]
    house.switchboard.hang_up("before")
    house.deliver()
    house.clock.advance(after(seconds=2))
    house.tick()
    house.responder_calls(number, "after")
    assert house.switchboard.ringing() == [DANA_ACS]
    house.wait(16)
    assert house.switchboard.ringing() == [DANA_PHONE], "the last holder's ladder"
    house.switchboard.hang_up("after")
    house.deliver()
    house.clock.advance(after(minutes=60))
    # No timer ran since the hold ended: the presence comes back first, then all is forgotten.
    house.tick()
    assert house.status(DANA) is AVAILABLE
    house.tick()
    assert house.emergency(DANA) is None
    house.responder_calls(number, "later")
    assert house.switchboard.ringing() == [DESK]


def test_an_answer_in_the_cool_down_gives_the_number_back_to_the_agent(house: House) -> None:
    number = dropped_call(house)
    house.clock.advance(after(minutes=90))
    house.responder_calls(number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    assert house.panel(DANA).callback_number == number
    house.switchboard.hang_up()
    house.deliver()
    house.clock.advance(after(minutes=29))
    house.tick()
    assert house.panel(DANA).callback_number == number


def test_a_callback_that_rings_when_the_cool_down_ends_is_not_swept_away(house: House) -> None:
    number = dropped_call(house)
    house.clock.advance(after(minutes=120, seconds=-1))
    house.responder_calls(number)
    house.clock.advance(after(seconds=5))
    house.tick()
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    assert house.panel(DANA).mode is Mode.EMERGENCY
    house.switchboard.hang_up()
    house.deliver()


def test_a_number_lent_again_rings_its_new_holder_alone() -> None:
    house = House(pool=numbers(1))
    house.tick()
    for name in ("old", "new"):
        house.add_agent(Agent(agent_id=name, acs_user_ids=(identity(name),)))
    number = house.dial(Dial(call_id="1", agent_id="old", dialled="911")).callback_number
    house.end(End(call_id="1", by_agent=True))
    house.clock.advance(after(minutes=61))
    house.dial(Dial(call_id="2", agent_id="new", dialled="911"))
    house.responder_calls(number)
    assert house.switchboard.ringing() == [identity("new")]


def test_nothing_of_a_callback_outlives_lease_and_cool_down(house: House) -> None:
    before = house.rows()
    number = dropped_call(house)
    house.responder_calls(number)
    house.wait(20)
    house.switchboard.pick_up(DANA_PHONE)
    house.deliver()
    house.switchboard.hang_up()
    house.wait(30)
    house.clock.advance(after(minutes=120))
    house.tick()
    house.sweep()
    house.tick()
    assert len(house.rows()) == len(before)
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}


def test_what_is_left_of_a_missed_callback_goes_with_the_cool_down_too(house: House) -> None:
    number = dropped_call(house)
    house.clock.advance(after(minutes=119))
    house.responder_calls(number)
    house.switchboard.hang_up()
    house.wait(20)
    assert [row for row in house.rows() if row.startswith("callback|")] != []
    house.clock.advance(after(minutes=1))
    house.tick()
    house.sweep()
    house.tick()
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}


# Things that fail


def test_an_alternate_number_of_the_pool_is_not_rung(house: House) -> None:
    loop = numbers(4)[0]
    house.add_agent(
        Agent(
            agent_id="a-loop", acs_user_ids=(identity("loop"),), alternate_numbers=(loop, *numbers(4)[1:], DANA_PHONE)
        )
    )
    answer = house.dial(Dial(call_id="loop", agent_id="a-loop", dialled="911"))
    house.switchboard.offline.add(identity("loop"))
    house.responder_calls(answer.callback_number)
    assert house.switchboard.ringing() == [DANA_PHONE]


def test_a_redelivery_that_call_control_does_not_recognise_leaves_the_ladder_alone(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number)
    house.switchboard.fail = failing("answer", Refused)
    house.responder_calls(number)
    assert house.switchboard.redirected == [] and house.switchboard.ringing() == [DANA_ACS]


class AwayDirectory:
    """A directory that can be away."""

    def __init__(self, directory: object) -> None:
        self._directory = directory
        self.away = False

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise Unavailable
        return getattr(self._directory, name)


def test_the_store_is_away_the_whole_time_and_the_desk_rings_again_and_again(house: House) -> None:
    number = dropped_call(house)
    house.line.away = True
    house.responder_calls(number, delivered=False)
    for _ in range(120):
        house.clock.advance(after(seconds=1))
        house.switchboard.time_passes()
        events, house.switchboard.events = house.switchboard.events, []
        for callback_id, said in events:
            with pytest.raises(Unavailable):
                house.hear(callback_id, said)
    assert [invite.target for invite in house.switchboard.invited] == [DESK, FALLBACK, DESK, FALLBACK]
    assert {invite.caller_id for invite in house.switchboard.invited} == {number}


def test_a_call_that_was_answered_without_the_store_is_acknowledged_and_rings_its_holder_once_that_is_back(
    house: House,
) -> None:
    number = dropped_call(house)
    house.line.away = True
    callback_id = house.responder_calls(number, delivered=False)
    house.repeats.do_again()
    assert list(house.repeats.kept) == [callback_id]
    house.line.away = False
    house.repeats.do_again()
    assert not house.repeats.kept and house.callback(callback_id) is not None
    house.switchboard.events.clear()
    house.wait(40, events=False)
    assert house.switchboard.invited[0].target == DANA_ACS, "though no event ever said that the caller is connected"


def test_the_store_is_asked_once_more_before_the_event_of_an_answered_call_is_acknowledged(house: House) -> None:
    number = dropped_call(house)
    house.line.away = True

    def store_is_back(_operation: str, _target: str) -> None:
        house.line.away = False

    house.switchboard.fail = store_is_back
    callback_id = house.responder_calls(number, delivered=False)
    assert house.callback(callback_id) is not None and not house.repeats.kept


def test_whom_an_answered_call_rings_is_not_looked_up_for_ever(house: House) -> None:
    number = dropped_call(house)
    house.line.away = True
    house.responder_calls(number, delivered=False)
    house.clock.advance(REMEMBERED_AFTER_AT_MOST + after(seconds=1))
    house.repeats.do_again()
    assert not house.repeats.kept


def test_the_store_comes_back_while_the_desk_rings(house: House) -> None:
    number = dropped_call(house)
    house.line.away = True
    with pytest.raises(Unavailable):
        house.responder_calls(number)
    connected = house.switchboard.events.pop(0)
    with pytest.raises(Unavailable):
        house.hear(*connected)
    house.switchboard.events.clear()
    assert house.switchboard.ringing() == [DESK]
    house.line.away = False
    house.switchboard.pick_up(DESK)
    house.deliver()
    house.responder_calls(number)
    house.wait(120)
    assert house.switchboard.talking() == [f"4:{DESK}"] and house.switchboard.ringing() == []


def test_the_store_is_away_in_the_middle_of_a_ladder(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.line.away = True
    house.clock.advance(after(seconds=15))
    house.switchboard.time_passes()
    with pytest.raises(Unavailable):
        house.deliver()
    assert house.switchboard.ringing() == [DESK]
    house.line.away = False
    house.switchboard.pick_up(DESK)
    house.wait(60)
    assert house.switchboard.ringing() == [] and house.switchboard.talking() == [f"4:{DESK}"]


def test_a_call_that_cannot_be_answered_is_sent_on_to_the_holder_else_to_the_desk(house: House) -> None:
    number = dropped_call(house)
    house.switchboard.fail = failing("answer", Refused)
    house.responder_calls(number, "one")
    house.switchboard.gone |= {DANA_ACS, DANA_PHONE}
    house.responder_calls(number, "two")
    assert house.switchboard.redirected == [("one", DANA_ACS), ("two", DESK)]
    house.switchboard.gone |= {DESK, FALLBACK}
    with pytest.raises(Refused):
        house.responder_calls(number, "three")


def failing(operation: str, error: type[Exception], times: int = 1_000_000) -> Callable[[str, str], None]:
    left = [times]

    def fail(done: str, _target: str) -> None:
        if done == operation and left[0] > 0:
            left[0] -= 1
            raise error

    return fail


def test_an_answer_that_fails_is_tried_again_while_it_rings(house: House) -> None:
    """Sent on, it would ring the softphone that crashed, and nobody else."""
    number = dropped_call(house)
    house.switchboard.fail = failing("answer", Unavailable, 3)
    house.responder_calls(number)
    assert house.switchboard.redirected == [] and house.switchboard.ringing() == [DANA_ACS]


def test_what_is_to_come_again_later_than_it_rings_is_sent_on_at_once(house: House) -> None:
    number, asked = dropped_call(house), list[str]()

    def throttled(operation: str, _target: str) -> None:
        asked.append(operation)
        if operation == "answer":
            raise Unavailable(retry_after_s=60)

    house.switchboard.fail = throttled
    house.responder_calls(number)
    assert asked == ["answer", "redirect"] and house.switchboard.redirected == [("context", DANA_ACS)]


def test_what_call_control_asks_for_is_waited_for(house: House) -> None:
    number, asked_for, began = dropped_call(house), iter([3.0]), house.clock.monotonic()

    def throttled(operation: str, _target: str) -> None:
        if operation == "answer" and (wait_s := next(asked_for, None)):
            raise Unavailable(retry_after_s=wait_s)

    house.switchboard.fail = throttled
    house.responder_calls(number)
    assert house.clock.monotonic() - began == 3.0 and house.switchboard.ringing() == [DANA_ACS]


def test_a_call_that_another_delivery_of_its_event_answered_is_not_sent_on(house: House) -> None:
    number, asked = dropped_call(house), list[str]()
    house.responder_calls(number)

    def in_each_others_way(operation: str, _target: str) -> None:
        asked.append(operation)
        if operation == "answer":
            raise Unavailable

    house.switchboard.fail = in_each_others_way
    house.responder_calls(number)
    assert set(asked) == {"answer"} and house.switchboard.ringing() == [DANA_ACS]
    assert house.telemetry.count("callback_failed") == 0, "nobody is to be woken for it"


def test_a_number_that_left_the_settings_while_it_is_lent_is_asked_for_once_more(house: House) -> None:
    number, reads = dropped_call(house), list[str]()
    house.deployment = structs.replace(house.deployment, callback_numbers=(other := numbers(8, first=900)))
    house.lend_from(other)
    house.tick()
    house.clock.advance(after(minutes=6))

    def first_one_fails(request: str) -> None:
        reads.append(request)
        house.line.away = len(reads) == 1

    house.line.asked = first_one_fails
    house.responder_calls(number)
    assert house.switchboard.ringing() == [DANA_ACS]


def test_without_the_store_whoever_call_control_does_not_take_on_is_followed_by_the_next(house: House) -> None:
    number = dropped_call(house)
    house.line.away = True
    house.switchboard.fail = failing("invite", Unavailable, 1)
    with pytest.raises(Unavailable):
        house.responder_calls(number)
    assert house.switchboard.ringing() == [FALLBACK], "no event is of a request that was not taken on"


def test_the_desk_is_rung_though_the_store_took_all_the_time(house: House) -> None:
    house.responder_calls(dropped_call(house), delivered=False)

    def hangs(request: str) -> None:
        if request == "commit":
            house.clock.advance(after(seconds=11))
            house.line.away = True

    house.line.asked = hangs
    with pytest.raises(Unavailable):
        house.deliver()
    assert house.switchboard.ringing() == [DESK]


class Crowded(Switchboard):
    """Call control whose requests find no thread, the first of them."""

    begun = 0

    def invite(self, invite: Invite, deadline: Deadline) -> Known[str]:
        self.begun += 1
        if self.begun == 1:
            raise Unavailable
        return super().invite(invite, deadline)


def test_without_the_store_a_request_that_was_never_sent_is_followed_by_the_next(house: House) -> None:
    house.switchboard = Crowded(house.clock)
    number = dropped_call(house)
    house.line.away = True
    with pytest.raises(Unavailable):
        house.responder_calls(number)
    assert house.switchboard.ringing() == [FALLBACK]


def test_without_an_address_for_events_calls_are_sent_on(house: House) -> None:
    number = dropped_call(house)
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    house.responder_calls(number)
    assert house.switchboard.redirected == [("context", DANA_ACS)]


def sent_on(house: House) -> str:
    """Dana's number was called, and the call sent on to her; gives its id."""
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    return house.responder_calls(dropped_call(house))


def test_a_callback_that_was_sent_on_may_not_be_recorded_either(house: House) -> None:
    number = dropped_call(house)
    house.switchboard.fail = failing("answer", Refused)
    house.responder_calls(number, "one")
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    house.responder_calls(number, "two")
    house.responder_calls(numbers(4)[3], "the desk's")
    assert [house.judge(each) for each in ("one", "two", "the desk's")] == [EMERGENCY] * 3
    assert house.judge("two", PSAP) == EMERGENCY
    house.recorded(RecordedFiles(recording_id="tape", call_id="c", server_call_id="two", locations=("chunk",)))
    assert house.tapes.files == set()


def test_nothing_comes_of_a_callback_that_was_sent_on_but_its_forgetting(house: House) -> None:
    callback_id = sent_on(house)
    known = house.callback(callback_id)
    assert known is not None and known.closed and (known.number, known.parties, known.caller) == (None, (), None)
    house.wait(60)
    assert house.switchboard.invited == [] and told(house) == []
    assert house.panel(DANA).mode is Mode.NORMAL
    house.clock.advance(after(minutes=120))
    house.tick()
    house.sweep()
    house.tick()
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}


@pytest.mark.parametrize("reachable", [True, False])
def test_a_call_that_rings_no_more_is_acknowledged(house: House, reachable: bool) -> None:
    """Ten failed deliveries in a row, and Event Grid holds back new callbacks as well, which lapse after a minute."""
    number = dropped_call(house)

    def hung_up(operation: str, target: str) -> None:
        if operation in {"answer", "redirect"}:
            raise Refused if reachable or target != DESK else Unavailable

    house.switchboard.fail = hung_up
    with pytest.raises(Refused if reachable else Unavailable):
        house.responder_calls(number)


def test_what_was_never_asked_does_not_say_that_a_call_rings_no_more(house: House) -> None:
    number = dropped_call(house)
    house.switchboard.fail = failing("redirect", Refused)
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    with pytest.raises(Unavailable):
        house.responder_calls(number, "answered by nobody")
    house.switchboard.fail = failing("answer", Refused)
    house.deployment = structs.replace(deployment_of_nobody(house), callback_events_url=EVENTS_URL)
    with pytest.raises(Unavailable):
        house.responder_calls(numbers(4)[3], "nobody to send it on to")


def deployment_of_nobody(house: House) -> Deployment:
    """Without desk and without a fallback number."""
    return structs.replace(house.deployment, security_desk=(), fallback_number=None)


def test_a_call_is_sent_on_though_nobody_can_remember_it(house: House) -> None:
    number = dropped_call(house)
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    house.line.away = True
    callback_id = house.responder_calls(number)
    house.line.away = False
    assert house.switchboard.redirected == [("context", DESK)]
    assert house.callback(callback_id) is None


def test_an_event_that_comes_again_changes_nothing_of_a_callback_that_was_sent_on(house: House) -> None:
    sent_on(house)
    before = house.rows()
    house.responder_calls(numbers(4)[0])
    assert house.rows() == before


def test_an_answer_whose_reply_was_lost_ends_in_the_same_ladder(house: House) -> None:
    number = dropped_call(house)
    house.switchboard.lose_answer = failing("answer", Unavailable, 1 + len(PAUSES_S))
    with pytest.raises(Unavailable):
        house.responder_calls(number)
    house.deliver()
    assert house.switchboard.ringing() == [DANA_ACS]
    house.responder_calls(number)
    house.wait(17)
    assert house.switchboard.ringing() == [DANA_PHONE]
    assert house.switchboard.redirected == []


def test_an_incoming_call_that_is_delivered_again_changes_nothing(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number)
    before = house.rows()
    house.responder_calls(number)
    assert house.rows() == before
    assert [invite.target for invite in house.switchboard.invited] == [DANA_ACS]


def test_the_host_dies_between_the_answer_and_the_row(house: House) -> None:
    number = dropped_call(house)

    def die(_operation: str, _target: str) -> None:
        house.line.away = True

    house.switchboard.lose_answer = die
    house.responder_calls(number, delivered=False)
    house.repeats.kept.clear()
    house.line.away = False
    house.switchboard.lose_answer = lambda _operation, _target: None
    house.deliver()
    assert house.switchboard.ringing() == [DANA_ACS], "CallConnected came before the row"
    house.responder_calls(number)
    house.wait(16)
    assert house.switchboard.ringing() == [DANA_PHONE]


def test_connected_of_a_number_that_left_the_pool_rings_the_desk_and_then_the_holder(house: House) -> None:
    number = dropped_call(house)
    house.switchboard.incoming("context")
    house.responder_calls(number, delivered=False)
    callback_id, said = house.switchboard.events.pop(0)
    house.switchboard.events.clear()
    rows = [row for row in house.rows() if callback_id in row]
    house.table.commit([Delete(row) for row in rows], house.within())
    house.hear(callback_id, structs.replace(said, label=key_of("of no pool")))
    assert house.switchboard.ringing() == [DESK]
    house.responder_calls(number)
    house.wait(31)
    assert house.switchboard.ringing() == [DANA_ACS]


def test_no_event_ever_comes_and_the_sweep_moves_the_ladder_on(house: House) -> None:
    number = dropped_call(house)
    house.responder_calls(number, delivered=False)
    house.switchboard.events.clear()
    seen = []
    for _ in range(10):
        house.wait(10, events=False)
        seen += house.switchboard.ringing()
    assert list(dict.fromkeys(seen)) == [DANA_ACS, DANA_PHONE, DESK]


def test_an_answer_of_which_no_event_came_is_found_before_others_are_rung(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.clock.advance(after(seconds=5))
    house.switchboard.pick_up(DANA_ACS)
    house.wait(60, events=False)
    assert [invite.target for invite in house.switchboard.invited] == [DANA_ACS]
    assert house.panel(DANA).mode is Mode.EMERGENCY


def test_an_answer_that_was_told_as_a_failure_is_found_in_the_next_round(house: House) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    house.switchboard.offline = {DANA_PHONE, DESK}
    house.switchboard.pick_up(DANA_ACS)
    _, said = house.switchboard.events[0]
    house.switchboard.events.clear()
    [invite] = house.switchboard.invited
    house.hear(callback_id, structs.replace(said, fact=NotJoined(invite.invitation_id)))
    # Each ring fails at once, Dana's too: she is on the call. So there is no ring at whose end to look.
    house.wait(60)
    assert [invite.target for invite in house.switchboard.invited] == [DANA_ACS, DANA_PHONE, DESK] * 2
    assert house.panel(DANA).mode is Mode.EMERGENCY


@pytest.mark.parametrize("failure", [None, Unavailable, Refused])
def test_no_round_waits_for_a_list_of_participants_that_is_not_told(
    house: House, failure: type[Exception] | None
) -> None:
    if failure is not None:
        house.switchboard.fail = failing("people", failure)
    house.switchboard.offline = {DANA_ACS, DANA_PHONE, DESK}
    house.responder_calls(dropped_call(house))
    house.wait(59)
    assert [invite.target for invite in house.switchboard.invited] == [DANA_ACS, DANA_PHONE, DESK] * 6


def test_a_ladder_does_not_stand_in_line_behind_what_else_is_owed(house: House) -> None:
    house.responder_calls(dropped_call(house))
    rows = [f"outbox|20261120T1600{n:08}Z|presence|nobody-{n}" for n in range(1020)]
    for some in batched(rows, 60, strict=False):
        house.table.commit([Put(row, {"schema": 1}) for row in some], house.within())
    house.wait(20, events=False)
    assert house.switchboard.ringing() == [DANA_PHONE]


def test_what_an_answer_owes_begins_though_the_store_goes_away_right_after(house: House) -> None:
    house, names = sharing(2)
    house.responder_calls(numbers(1)[0])
    house.performs = False
    house.switchboard.pick_up(identity(names[0]))

    def goes_away(operation: str, _target: str) -> None:
        house.line.away = operation == "cancel"

    house.switchboard.fail = goes_away
    house.hear(*house.switchboard.events.pop(0))
    assert ReconcilePresence(key_of(names[0])) in house.owed


def test_an_invitation_that_got_no_reply_is_sent_again_as_the_same(house: House) -> None:
    house.switchboard.lose_answer = failing("invite", Unavailable, 1)
    house.responder_calls(dropped_call(house))
    house.wait(10)
    assert house.switchboard.requests.count(("invite", DANA_ACS)) == 2
    assert [invite.target for invite in house.switchboard.invited] == [DANA_ACS]


def test_call_control_is_away_for_a_while(house: House) -> None:
    house.switchboard.fail = failing("invite", Unavailable)
    house.responder_calls(dropped_call(house))
    house.wait(40)
    assert house.switchboard.ringing() == []
    house.switchboard.fail = lambda _operation, _target: None
    house.wait(12)
    assert house.switchboard.ringing() != []


def test_looking_fails_for_good_but_the_ladder_goes_on(house: House) -> None:
    house.switchboard.fail = failing("people", Refused)
    house.responder_calls(dropped_call(house), delivered=False)
    house.switchboard.events.clear()
    house.wait(120, events=False)
    assert {invite.target for invite in house.switchboard.invited} == {DANA_ACS, DANA_PHONE, DESK}


def test_a_list_that_is_not_known_makes_no_rung_late(house: House) -> None:
    def rung_after(failure: type[Exception] | None) -> list[tuple[float, str]]:
        again = House()
        again.add_agent(house.directory.find(DANA, house.within()).result() or Agent(agent_id=DANA, name="Dana"))
        again.tick()
        if failure is not None:
            again.switchboard.fail = failing("people", failure)
        again.responder_calls(dropped_call(again), delivered=False)
        again.switchboard.events.clear()
        rung: list[tuple[float, str]] = []
        for second in range(120):
            before = len(again.switchboard.invited)
            again.wait(1, events=False)
            rung += [(second, invite.target) for invite in again.switchboard.invited[before:]]
        return rung

    known = rung_after(None)
    assert [target for _, target in known][:4] == [DANA_ACS, DANA_PHONE, DESK, DANA_ACS]
    assert rung_after(Unavailable) == known == rung_after(Refused)


def test_a_number_that_is_listed_with_a_suffix_is_on_the_call(house: House) -> None:
    house.switchboard.offline.add(DANA_ACS)
    callback_id = house.responder_calls(dropped_call(house))
    assert house.switchboard.ringing() == [DANA_PHONE]
    house.switchboard.pick_up(DANA_PHONE)
    house.deliver()
    [call] = house.switchboard.calls.values()
    call.people = [PSAP, f"4:{DANA_PHONE}_1b2c3d4e"]
    house.hear(callback_id, MidCall(connection_id=call.connection_id, fact=Roster(frozenset(call.people))))
    house.wait(70)
    known = house.callback(callback_id)
    assert known is not None and [each.target for each in on_the_call(known)] == [DANA_PHONE]
    assert house.switchboard.ringing() == []
    assert [invite.target for invite in house.switchboard.invited] == [DANA_ACS, DANA_PHONE]


def test_whoever_answered_without_an_event_is_found_under_any_form_of_their_identity(house: House) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    [call] = house.switchboard.calls.values()
    call.people = [PSAP, DANA_ACS.upper().replace("8:ACS", "8:acs")]
    house.hear(callback_id, MidCall(connection_id=call.connection_id, fact=Roster(frozenset(call.people))))
    house.wait(14)
    known = house.callback(callback_id)
    assert known is not None and [each.target for each in on_the_call(known)] == [DANA_ACS]


@pytest.mark.parametrize("who", [f"4:{DANA_PHONE}_1b2c3d4e", f"4:{DANA_PHONE}", DANA_ACS.upper()])
def test_whoever_calls_themselves_is_not_rung_into_their_own_call(house: House, who: str) -> None:
    callback_id = house.responder_calls(dropped_call(house), caller=who)
    house.wait(70)
    rung = {raw_identity(invite.target) for invite in house.switchboard.invited}
    assert rung and raw_identity(who) not in rung
    known = house.callback(callback_id)
    assert known is not None and known.caller == raw_identity(who)


def test_the_prompt_is_played_once_a_round_and_its_failure_changes_nothing(house: House) -> None:
    house.deployment = structs.replace(house.deployment, prompt_url="https://app.example.com/api/ui/prompts/en.wav")
    number = dropped_call(house)
    house.responder_calls(number, delivered=False)
    house.hear(*house.switchboard.events.pop(0))
    assert [operation for operation, _ in house.switchboard.requests] == ["answer", "invite", "play"]
    house.wait(70)
    assert len(house.switchboard.played) == 2
    house.switchboard.hang_up()
    house.switchboard.fail = failing("play", Refused)
    house.responder_calls(number, "again")
    assert house.switchboard.ringing() == [DANA_ACS]


# Events that are not what they seem


def test_events_of_another_connection_or_of_nobodys_invitation_change_nothing(house: House) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    before = house.callback(callback_id)
    connection = house.switchboard.calls[f"connection of {callback_id}"].connection_id
    for fact in (Joined("nobody's", DESK), NotJoined("nobody's"), Roster(frozenset({PSAP}))):
        house.hear(callback_id, MidCall(connection_id=connection, fact=fact))
    others: tuple[Fact, ...] = (Connected(), NotJoined(house.switchboard.invited[0].invitation_id))
    for other in others:
        house.hear(callback_id, MidCall(connection_id="another", fact=other))
    assert house.callback(callback_id) == before


def test_an_event_of_a_callback_that_nobody_knows_does_nothing(house: House) -> None:
    for fact in (NotJoined("x"), Joined("x"), Roster(frozenset())):
        house.hear("unknown", MidCall(connection_id="unknown", fact=fact))
    assert house.callback("unknown") is None and house.switchboard.requests == []


def test_an_answer_without_state_is_known_by_its_id(house: House) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    connection = f"connection of {callback_id}"
    joined = Joined(id_without_state(callback_id, 3, None), f"4:{DESK}")
    house.switchboard.calls[connection].people.append(f"4:{DESK}")
    house.hear(callback_id, MidCall(connection_id=connection, fact=joined))
    house.wait(60)
    assert house.switchboard.ringing() == []


def test_the_desk_that_calls_an_agent_back_is_not_rung_and_not_taken_for_somebody_who_answered(house: House) -> None:
    house.switchboard.offline.add(DANA_ACS)
    callback_id = house.responder_calls(dropped_call(house), caller=f"4:{DESK}")
    house.wait(60)
    assert house.switchboard.talking() == []
    assert {invite.target for invite in house.switchboard.invited} == {DANA_ACS, DANA_PHONE, FALLBACK}
    house.wait(300)
    assert house.switchboard.ringing() == [FALLBACK]
    known = house.callback(callback_id)
    assert known is not None and known.caller == f"4:{DESK}"


def test_a_recording_of_a_responder_whom_nobody_answered_is_deleted(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.hang_up()
    house.deliver()
    house.wait(20)
    files = RecordedFiles(recording_id="tape", call_id="correlation", server_call_id="context", locations=("chunk",))
    house.recorded(files)
    assert house.tapes.files == set()
    house.recorded(structs.replace(files, recording_id="other", server_call_id="of nobody", locations=("other",)))
    assert "other" in house.tapes.files


def test_nobody_elses_identity_is_kept(house: House) -> None:
    callback_id = house.responder_calls(dropped_call(house))
    known = house.callback(callback_id)
    assert known is not None and known.caller is None


def test_the_desk_that_was_rung_without_the_store_is_seen_though_no_event_said_so(house: House) -> None:
    number = dropped_call(house)
    callback_id = house.responder_calls(number, delivered=False)
    house.line.away = True
    [connected] = [said for _, said in house.switchboard.events if said.fact == Connected()]
    house.switchboard.events.clear()
    with pytest.raises(Unavailable):
        house.hear(callback_id, connected)
    assert house.switchboard.ringing() == [DESK]
    house.line.away = False
    house.switchboard.pick_up(DESK)
    house.wait(120, events=False)
    assert house.switchboard.talking() == [f"4:{DESK}"] and house.switchboard.ringing() == []


def test_a_lookup_of_an_unreadable_directory_comes_again(house: House) -> None:
    house.responder_calls(dropped_call(house))
    house.switchboard.hang_up()
    house.deliver()
    directory = AwayDirectory(house.directory)
    real, house.directory = house.directory, directory  # type: ignore[assignment]
    directory.away = True
    house.wait(20)
    assert house.mail.accepted == []
    house.directory = real
    house.wait(20)
    assert len(house.mail.accepted) == 1


# Never recorded


def test_a_callback_may_not_be_recorded_from_its_first_ring_on(house: House) -> None:
    house.responder_calls(dropped_call(house))
    assert house.judge("context") == EMERGENCY, "nobody has answered yet"
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    assert house.judge("context", PSAP) == EMERGENCY
    stored = house.emergency(DANA)
    assert stored is not None
    assert knowledge_of(stored, {key_of("context")}) is Knowledge.EXACT, "its recordings are deleted"


# What one agent, or one event, says of a callback


def answered_callback(house: House) -> str:
    callback_id = house.responder_calls(dropped_call(house))
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    return callback_id


def test_of_a_callback_no_softphone_says_which_server_call_it_is(house: House) -> None:
    """Else whoever answered one makes a customer's call an emergency: its recording is deleted, its end counts."""
    callback = house.callback(answered_callback(house))
    assert callback is not None
    [invitation] = [each for each in callback.invitations if each.joined_at is not None]
    house.tie(invitation.invitation_id, "customers", only_agent(DANA))
    assert not house.judge("customers").emergency
    customers = "https://region.asm.skype.com/customers"
    house.tapes.files.add(customers)
    began_at = house.clock.now() - after(minutes=180)
    house.recorded(
        RecordedFiles(
            recording_id="r", call_id="c", server_call_id="customers", locations=(customers,), began_at=began_at
        )
    )
    assert house.tapes.files == {customers}
    house.wait(60)
    ended = ServerCall(server_call_id="customers", starter="4:+12065550177", at=house.clock.now(), ended=True)
    house.see(structs.replace(ended, ended_by=DANA_ACS, duration=after(minutes=180)))
    assert (house.panel(DANA).mode, house.status(DANA)) == (Mode.EMERGENCY, DND)


def test_an_event_of_another_connection_asks_call_control_no_more_than_what_is_due(house: House) -> None:
    callback_id = answered_callback(house)
    house.clock.advance(after(seconds=31))
    house.switchboard.requests.clear()
    house.switchboard.fail = lambda _operation, _target: _at_most(len(house.switchboard.requests), 5)
    house.hear(callback_id, MidCall(connection_id="another", fact=Roster(frozenset())))
    assert [operation for operation, _ in house.switchboard.requests] == ["people"]
    assert house.switchboard.talking() == [DANA_ACS]


def _at_most(requests: int, most: int) -> None:
    assert requests <= most, "it asks again and again"


def test_whose_emergency_was_forgotten_while_their_callback_climbed_is_rung_no_more(house: House) -> None:
    number = dropped_call(house)
    house.wait(119 * 60 + 30)
    house.tick()
    house.responder_calls(number)
    assert house.switchboard.ringing() == [DANA_ACS]
    rung: set[str] = set()
    for _ in range(180):
        house.wait(1)
        house.tick()
        rung |= set(house.switchboard.ringing()) if house.emergency(DANA) is None else set()
    assert house.emergency(DANA) is None
    assert rung == {DANA_PHONE, DESK}, (
        "the telephone that was ringing, and then the desk: nobody answers without a panel"
    )


def test_in_the_cool_down_of_a_shared_number_whoever_had_it_last_is_rung() -> None:
    house = House(pool=numbers(1))
    for name in ("ana", "ben"):
        house.add_agent(Agent(agent_id=name, acs_user_ids=(identity(name),), country="US"))
    house.tick()
    number = house.dial(Dial(call_id="ana's", agent_id="ana", dialled="911")).callback_number
    house.clock.advance(after(minutes=30))
    assert house.dial(Dial(call_id="ben's", agent_id="ben", dialled="911")).callback_number == number
    house.clock.advance(after(minutes=5))
    house.end(End(call_id="ben's", by_agent=True))
    # Hers lasts until half an hour after her call, past the end of the lease of whoever came after her.
    house.clock.advance(after(minutes=35))
    house.end(End(call_id="ana's", by_agent=True))
    house.clock.advance(after(minutes=31))
    house.tick()
    assert house.emergency("ana") is not None and house.emergency("ben") is not None
    assert house.call_back(number) == identity("ana")


@pytest.mark.parametrize("minutes", [11, 100])
def test_a_callback_that_the_desk_alone_answered_is_none_to_record_until_the_cool_down_is_over(
    house: House, minutes: int
) -> None:
    number = dropped_call(house)
    house.switchboard.offline |= {DANA_ACS, DANA_PHONE}
    house.responder_calls(number)
    house.wait(2)
    house.switchboard.pick_up(DESK)
    house.deliver()
    house.switchboard.hang_up()
    house.wait(20)
    later(house, minutes)
    assert house.judge("context") == EMERGENCY
    files = RecordedFiles(recording_id="tape", call_id="c", server_call_id="context", locations=("chunk",))
    house.recorded(files)
    assert house.tapes.files == set()


def later(house: House, minutes: int) -> None:
    """Let minutes pass in which the timers run."""
    for _ in range(minutes):
        house.clock.advance(after(minutes=1))
        house.tick()
        house.sweep()
