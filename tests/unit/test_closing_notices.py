"""A thread with an end (B6): whoever was told of an emergency is told that it is over, once."""

from collections.abc import Callable
from datetime import datetime

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.deployment import CallbackNotices
from shared.domain.dials import Dial
from shared.domain.emergencies import Thread
from shared.domain.emergency_numbers import Placeable
from shared.domain.errors import RecipientsRefused, Unavailable
from shared.domain.ids import agent_key_of
from shared.domain.leases import Rules
from shared.domain.locations import Location, ToldLocation
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.presence import PresenceStatus
from shared.domain.sender_quota import SenderQuota
from shared.ports import Change, Email, RenderedNotice
from shared.use_cases.effects import DeliverNotice, ReconcilePresence
from shared.use_cases.end_call import End
from tests.fakes.house import DEFAULT_CONTACT, House, after

DANA = "agent-dana"
DANA_ACS = "8:acs:00000000-0000-0000-0000-000000000001_dana"
CONTACTS = ("guard@example.com", "supervisor@example.com")


@pytest.fixture
def house() -> House:
    house = House()
    house.deployment = structs.replace(house.deployment, closing_notices=True)
    house.add_agent(Agent(agent_id=DANA, name="Dana Example", emergency_contacts=CONTACTS))
    house.tick()
    return house


def dial(house: House, call_id: str = "call-1", dialled: str = "911") -> None:
    house.dial(Dial(call_id=call_id, agent_id=DANA, dialled=dialled))


def end(house: House, call_id: str = "call-1", *, by_agent: bool = True) -> None:
    house.end(End(call_id=call_id, by_agent=by_agent))


def closings(house: House) -> list[Email]:
    """The closing messages; the plain template's subject is the kind of a notice."""
    return [email for email in house.mail.accepted if email.subject == NoticeKind.CLOSING]


def told(house: House) -> list[str]:
    return sorted(recipient for email in closings(house) for recipient in email.recipients)


def live(house: House, minutes: int) -> None:
    for _ in range(minutes * 2):
        house.clock.advance(after(seconds=30))
        house.sweep()
        house.tick()


def test_the_agents_end_is_told_once_to_everybody_who_was_told_of_the_call(house: House) -> None:
    dial(house)
    live(house, 2)
    assert closings(house) == []
    end(house)
    assert told(house) == list(CONTACTS)
    live(house, 130)
    assert told(house) == list(CONTACTS), "exactly one to each"
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}


def test_after_a_drop_it_is_over_when_the_hold_is(house: House) -> None:
    dial(house)
    end(house, by_agent=False)
    live(house, 9)
    assert closings(house) == []
    live(house, 2)
    assert told(house) == list(CONTACTS)


@pytest.mark.parametrize("changed_in_the_hold", [False, True])
def test_the_end_of_a_hold_in_which_a_person_changed_the_presence_waits_for_no_timer(
    house: House, *, changed_in_the_hold: bool
) -> None:
    dial(house)
    if changed_in_the_hold:
        end(house, by_agent=False)
    house.show(DANA, PresenceStatus.AVAILABLE)
    sweeps(house, 120)
    if not changed_in_the_hold:
        end(house, by_agent=False)
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.hold is not None and emergency.hold.settled
    sweeps(house, 600 - (120 if changed_in_the_hold else 0) - 10)
    assert closings(house) == []
    sweeps(house, 20)
    assert told(house) == list(CONTACTS)
    assert house.status(DANA) is PresenceStatus.AVAILABLE


def sweeps(house: House, seconds: int) -> None:
    """So much time without the timer that expires leases."""
    for _ in range(seconds // 10):
        house.clock.advance(after(seconds=10))
        house.sweep()


def test_a_released_hold_is_the_end_too(house: House) -> None:
    dial(house)
    end(house, by_agent=False)
    house.release(DANA)
    assert told(house) == list(CONTACTS)


def test_a_redial_reopens_the_thread_and_owes_one_more(house: House) -> None:
    dial(house)
    end(house)
    dial(house, "call-2")
    assert told(house) == list(CONTACTS)
    end(house, "call-2")
    live(house, 130)
    assert told(house) == sorted(CONTACTS * 2)


def not_for_ends(email: Email) -> None:
    if NoticeKind.CLOSING in email.subject:
        raise Unavailable


def test_nobody_hears_that_it_is_over_while_the_agent_calls_again(house: House) -> None:
    well, house.mail.fail = house.mail.fail, not_for_ends
    dial(house)
    end(house)
    live(house, 1)
    dial(house, "call-2")
    house.mail.fail = well
    live(house, 12)
    assert closings(house) == []
    end(house, "call-2")
    live(house, 130)
    assert told(house) == list(CONTACTS), "exactly one to each"
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}


def test_the_end_after_one_that_nobody_heard_tells_of_both_calls(house: House) -> None:
    seen, began_at = heard(house), house.clock.now()
    well, house.mail.fail = house.mail.fail, not_for_ends
    dial(house)
    end(house)
    live(house, 1)
    dial(house, "call-2")
    live(house, 1)
    house.mail.fail = well
    end(house, "call-2")
    live(house, 2)
    assert [notice.dialled_at for notice in seen if notice.kind is NoticeKind.CLOSING][-1] == began_at


def test_nobody_hears_that_it_is_over_while_a_callback_of_which_nobody_is_told_is_in_progress(house: House) -> None:
    house = House(deployment=structs.replace(house.deployment, callback_notices=CallbackNotices.NONE))
    house.add_agent(Agent(agent_id=DANA, emergency_contacts=CONTACTS))
    well, house.mail.fail = house.mail.fail, not_for_ends
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    end(house)
    live(house, 1)
    house.responder_calls(answer.callback_number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.mail.fail = well
    live(house, 12)
    assert closings(house) == []
    house.switchboard.hang_up()
    house.deliver()
    live(house, 12)
    assert told(house) == list(CONTACTS), "exactly one to each"


def test_the_end_that_waits_for_the_quota_beside_anothers_is_told_without_it(house: House) -> None:
    house = House(deployment=house.deployment, sender_quota=SenderQuota(2, 1_000))
    for name in (DANA, "agent-lee"):
        house.add_agent(Agent(agent_id=name, emergency_contacts=CONTACTS))
    dial(house)
    house.dial(Dial(call_id="call-lee", agent_id="agent-lee", dialled="911"))
    end(house)
    end(house, "call-lee")
    dial(house, "call-2")
    live(house, 3)
    assert house.mail.accepted[-1].subject == "2 notices", "Dana's new call, and the end of Lee's"
    assert closings(house) == []
    end(house, "call-2")
    live(house, 3)
    assert told(house) == list(CONTACTS)


def test_a_redial_before_the_end_of_the_hold_has_one_end(house: House) -> None:
    dial(house)
    end(house, by_agent=False)
    live(house, 3)
    dial(house, "call-2")
    live(house, 12)
    assert closings(house) == []
    end(house, "call-2")
    live(house, 130)
    assert told(house) == list(CONTACTS)


def test_whoever_is_reached_only_after_the_end_is_told_that_too(house: House) -> None:
    def away(_email: Email) -> None:
        raise Unavailable

    well, house.mail.fail = house.mail.fail, away
    dial(house)
    end(house)
    live(house, 2)
    assert house.mail.accepted == []
    house.mail.fail = well
    live(house, 12)
    assert sorted(house.mail.received()) == sorted(CONTACTS * 2) and told(house) == list(CONTACTS)


def test_whoever_hangs_up_at_once_is_first_told_of_and_then_told_to_be_safe(house: House) -> None:
    house.performs = False
    dial(house)
    end(house)
    owed, house.owed = house.owed, []
    house.performs = True
    house.do(effect for effect in owed if not isinstance(effect, DeliverNotice))
    assert house.mail.accepted == [], "nobody is told that it is over before they are told of it"
    house.do(effect for effect in owed if isinstance(effect, DeliverNotice))
    live(house, 2)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds.index(NoticeKind.CLOSING) > 0 and told(house) == list(CONTACTS)


def not_for_calls(email: Email) -> None:
    if email.subject == NoticeKind.CALL:
        raise Unavailable


@pytest.mark.parametrize("late", ["call-1", "call-2"])
def test_whoever_hears_that_it_is_over_hears_nothing_of_it_afterwards(house: House, late: str) -> None:
    well = house.mail.fail
    for call_id in ("call-1", "call-2"):
        house.mail.fail = not_for_calls if call_id == late else well
        dial(house, call_id)
        end(house, call_id, by_agent=False)
    house.release(DANA)
    house.mail.fail = not_for_calls
    live(house, 6)
    assert closings(house) == []
    house.mail.fail = well
    live(house, 12)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds == [NoticeKind.CALL, NoticeKind.CALL, NoticeKind.CLOSING]
    assert told(house) == list(CONTACTS)


def test_whom_a_notice_told_is_noted_in_the_transaction_that_strikes_it_off(house: House) -> None:
    house.performs = False
    dial(house)
    [notice] = [effect for effect in house.owed if isinstance(effect, DeliverNotice)]
    requests: list[str] = []
    house.line.asked = requests.append
    assert house.perform(notice)
    assert requests == ["read", "commit"]
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.thread is not None
    assert (emergency.thread.told, emergency.thread.awaited) == (CONTACTS, ())


def test_an_emergency_that_moves_while_its_notice_is_struck_off_keeps_whom_it_told(house: House) -> None:
    house.performs = False
    dial(house)
    [notice] = [effect for effect in house.owed if isinstance(effect, DeliverNotice)]

    def moves(request: str) -> None:
        if request == "commit":
            house.line.asked = lambda _request: None
            dial(house, "call-2")

    house.line.asked = moves
    assert house.perform(notice)
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.thread is not None and len(emergency.legs) == 2
    assert emergency.thread.told == CONTACTS
    assert sum("|notice|" in row for row in house.rows()) == 1, "that of the second leg"


def test_a_notice_that_never_comes_keeps_nobody_waiting_beyond_the_lease(house: House) -> None:
    dial(house)
    end(house, by_agent=False)
    house.mail.fail = not_for_calls
    dial(house, "call-2")
    end(house, "call-2")
    live(house, 58)
    assert closings(house) == []
    live(house, 4)
    assert told(house) == list(CONTACTS)


def test_what_is_waited_for_until_the_lease_ends_ends_earlier_with_the_lease(house: House) -> None:
    dial(house)
    house.mail.fail = not_for_calls
    dial(house, "call-2")
    began = house.clock.now()
    house.clock.advance(after(minutes=50))
    for call_id in ("call-1", "call-2"):
        house.end(End(call_id=call_id, by_agent=True))
    emergency = house.emergency(DANA)
    assert emergency is not None and emergency.thread is not None
    assert emergency.thread.close_at == began + after(minutes=80)
    # Another report says that both had ended long before.
    for call_id in ("call-1", "call-2"):
        house.end(End(call_id=call_id, by_agent=True, at=began + after(minutes=10)))
    live(house, 14)
    assert told(house) == list(CONTACTS), "at the end of the lease, sixty minutes after dialling"


def test_an_end_that_becomes_known_long_after_the_lease_is_told_all_the_same(house: House) -> None:
    house = House(deployment=structs.replace(house.deployment, rules=Rules(cool_down_minutes=0)))
    house.add_agent(Agent(agent_id=DANA, emergency_contacts=CONTACTS))
    dial(house)
    began = house.clock.now()
    house.clock.advance(after(minutes=150))
    # The process that hears of it gives presence back and dies before it tells anybody; the timer that forgets is next.
    house.performs = False
    house.end(End(call_id="call-1", by_agent=True, at=began + after(minutes=1)))
    house.performs = True
    house.do(effect for effect in house.owed if isinstance(effect, ReconcilePresence))
    house.tick()
    live(house, 5)
    assert told(house) == list(CONTACTS)
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}


@pytest.mark.parametrize(
    ("away_minutes", "kinds"),
    [
        (2, [NoticeKind.CALL, NoticeKind.CLOSING, NoticeKind.CALLBACK_RECEIVED, NoticeKind.CLOSING]),
        (8, [NoticeKind.CALL, NoticeKind.CLOSING, NoticeKind.CLOSING]),
    ],
    ids=["before that", "after that"],
)
def test_an_answered_callback_is_told_to_nobody_who_has_heard_that_it_is_over(
    house: House, away_minutes: int, kinds: list[NoticeKind]
) -> None:
    wanted, rules = CallbackNotices.ALL, Rules(after_call_minutes=5)
    house = House(deployment=structs.replace(house.deployment, rules=rules, callback_notices=wanted))
    house.add_agent(Agent(agent_id=DANA, emergency_contacts=CONTACTS))
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    end(house)
    house.clock.advance(after(minutes=57))

    def not_for_callbacks(email: Email) -> None:
        if email.subject == NoticeKind.CALLBACK_RECEIVED:
            raise Unavailable

    well, house.mail.fail = house.mail.fail, not_for_callbacks
    house.responder_calls(answer.callback_number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    house.switchboard.hang_up()
    house.deliver()
    live(house, away_minutes)
    house.mail.fail = well
    live(house, 20)
    assert [email.subject for email in house.mail.accepted] == kinds


def missed_call_back(house: House, number: str | None) -> None:
    house.responder_calls(number)
    house.wait(60)
    house.switchboard.hang_up()
    house.deliver()


@pytest.mark.parametrize("away_minutes", [1, 10, 13])
def test_the_end_is_told_after_a_callback_that_nobody_answered(house: House, away_minutes: int) -> None:
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    end(house, by_agent=False)
    well, house.mail.fail = house.mail.fail, not_for_missed
    missed_call_back(house, answer.callback_number)
    live(house, away_minutes)
    house.mail.fail = well
    live(house, 20)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds == [NoticeKind.CALL, NoticeKind.CALLBACK_MISSED, NoticeKind.CLOSING]
    assert told(house) == list(CONTACTS)


def test_the_end_is_told_after_what_goes_on_of_a_callback_that_nobody_answered(house: House) -> None:
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    end(house, by_agent=False)
    away = [True]

    def refuses_contacts(email: Email) -> None:
        if email.subject == NoticeKind.CALLBACK_MISSED and CONTACTS[0] in email.recipients:
            raise RecipientsRefused(frozenset(email.recipients))
        if away[0]:
            raise Unavailable

    house.mail.fail = refuses_contacts
    missed_call_back(house, answer.callback_number)
    live(house, 10)
    away[0] = False
    live(house, 20)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds == [NoticeKind.CALL, NoticeKind.CALLBACK_MISSED, NoticeKind.CLOSING]


def test_a_callback_missed_after_the_end_opens_nothing_again(house: House) -> None:
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    end(house)
    live(house, 1)
    missed_call_back(house, answer.callback_number)
    live(house, 20)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds == [NoticeKind.CALL, NoticeKind.CLOSING, NoticeKind.CALLBACK_MISSED]


def refused(email: Email) -> None:
    if email.subject == NoticeKind.CALLBACK_MISSED:
        raise RecipientsRefused(frozenset(email.recipients))


def not_for_missed(email: Email) -> None:
    if email.subject == NoticeKind.CALLBACK_MISSED:
        raise Unavailable


@pytest.mark.parametrize("fault", [refused, not_for_missed])
def test_a_word_of_a_missed_callback_that_nobody_gets_holds_the_end_back_until_the_lease_ends_at_most(
    house: House, fault: Callable[[Email], None]
) -> None:
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    end(house, by_agent=False)
    house.mail.fail = fault
    missed_call_back(house, answer.callback_number)
    live(house, 80)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds == [NoticeKind.CALL, NoticeKind.CLOSING] and told(house) == list(CONTACTS)


def test_nobody_who_was_told_nothing_is_told_that_it_is_over(house: House) -> None:
    def away(_email: Email) -> None:
        raise Unavailable

    house.mail.fail = away
    dial(house)
    end(house)
    live(house, 130)
    assert house.mail.accepted == []


def test_it_goes_at_the_end_of_the_lease_at_the_latest(house: House) -> None:
    house.deployment = structs.replace(
        house.deployment, rules=Rules(after_call_minutes=0, cool_down_minutes=0, hold_after_drop_minutes=120)
    )
    house = House(deployment=house.deployment, table=house.table, clock=house.clock)
    house.add_agent(Agent(agent_id=DANA, emergency_contacts=CONTACTS))
    dial(house)
    end(house, by_agent=False)
    live(house, 59)
    assert closings(house) == []
    live(house, 2)
    assert told(house) == list(CONTACTS)


def test_with_zero_minutes_a_call_longer_than_the_lease_is_closed_all_the_same(house: House) -> None:
    rules = Rules(after_call_minutes=0, cool_down_minutes=0, hold_after_drop_minutes=0)
    house = House(deployment=structs.replace(house.deployment, rules=rules), table=house.table, clock=house.clock)
    house.add_agent(Agent(agent_id=DANA, emergency_contacts=CONTACTS))
    dial(house)
    live(house, 70)
    end(house)
    live(house, 5)
    assert told(house) == list(CONTACTS)
    assert {row.split("|")[0] for row in house.rows()} <= {"free", "number", "pool", "mail", "due", "bare"}


def test_a_host_that_dies_after_the_end_leaves_it_to_the_sweep(house: House) -> None:
    dial(house)
    house.performs = False
    end(house)
    house.owed.clear()
    house.performs = True
    live(house, 3)
    assert told(house) == list(CONTACTS)


def test_with_the_setting_off_nobody_is_told(house: House) -> None:
    house.deployment = structs.replace(house.deployment, closing_notices=False)
    dial(house)
    end(house)
    live(house, 130)
    assert closings(house) == []


class Listening:
    """A template that keeps what it is to tell."""

    def __init__(self) -> None:
        self.seen: list[Notice] = []

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        self.seen.append(notice)
        return RenderedNotice(notice.kind.value, "", "")


def heard(house: House) -> list[Notice]:
    """The notices of what happens from now on."""
    listening = Listening()
    house.template = listening
    return listening.seen


@pytest.mark.parametrize(("first", "second"), [("911", "933"), ("933", "911")])
def test_a_closing_notice_tells_of_the_calls_since_the_one_before_it(house: House, first: str, second: str) -> None:
    seen = heard(house)
    dialled_at = []
    for dialled in (first, second):
        dialled_at.append(house.clock.now())
        dial(house, dialled, dialled)
        live(house, 2)
        end(house, dialled)
        live(house, 20)
    over = [notice for notice in seen if notice.kind is NoticeKind.CLOSING]
    assert [(notice.dialled, notice.test) for notice in over] == [(first, first == "933"), (second, second == "933")]
    assert [notice.dialled_at for notice in over] == dialled_at


def test_a_closing_notice_that_nobody_gets_takes_no_call_from_the_next_one(house: House) -> None:
    seen = heard(house)
    for n in range(1, 7):
        dialled_at = house.clock.now()
        dial(house, f"call-{n}")
        end(house, f"call-{n}")
        live(house, 1)
    assert house.telemetry.count("notice_rationed") == 1
    live(house, 12)
    *_, last = (notice for notice in seen if notice.kind is NoticeKind.CLOSING)
    assert last.dialled_at == dialled_at


@pytest.mark.parametrize(
    ("real", "test"),
    [((0, 60), (30, 600)), ((300, 360), (0, 400)), ((0, 600), (60, 120)), ((30, 90), (0, 90)), ((0, 30), (30, 60))],
    ids=["the test outlasts it", "within the test", "the test is within it", "they end at once", "one after the other"],
)
def test_a_test_beside_a_real_call_is_closed_by_itself_and_each_bears_its_own_times(
    house: House, real: tuple[int, int], test: tuple[int, int]
) -> None:
    seen, began = heard(house), house.clock.now()
    over_at: dict[bool, datetime] = {}
    for second in range(0, 700, 10):
        for kind, (dialled, ended) in (("911", real), ("933", test)):
            if second == dialled:
                dial(house, kind, kind)
            if second == ended:
                end(house, kind)
        house.sweep()
        for notice in seen:
            if notice.kind is NoticeKind.CLOSING:
                over_at.setdefault(notice.test, house.clock.now())
        house.clock.advance(after(seconds=10))
    over = {notice.test: notice for notice in seen if notice.kind is NoticeKind.CLOSING}
    assert sum(notice.kind is NoticeKind.CLOSING for notice in seen) == 2
    for is_test, (dialled, ended) in ((False, real), (True, test)):
        times = (over[is_test].dialled_at, over[is_test].ended_at, over_at[is_test])
        assert times == (began + after(seconds=dialled), began + after(seconds=ended), began + after(seconds=ended))
        assert over[is_test].recipients == CONTACTS
    assert over[True].dialled == "933" and over[False].dialled in ("911", ""), "never the number of the other one"


def test_the_hold_of_a_dropped_call_is_told_to_be_over_while_a_test_goes_on(house: House) -> None:
    seen = heard(house)
    dial(house, "911", "911")
    end(house, "911", by_agent=False)
    dropped_at = house.clock.now()
    house.clock.advance(after(minutes=5))
    dial(house, "933", "933")
    sweeps(house, 290)
    assert not [notice for notice in seen if notice.kind is NoticeKind.CLOSING]
    sweeps(house, 20)
    [over] = [notice for notice in seen if notice.kind is NoticeKind.CLOSING]
    assert (over.test, over.ended_at) == (False, dropped_at)
    assert house.status(DANA) is PresenceStatus.DO_NOT_DISTURB, "the test is in progress"


def test_a_test_that_dropped_does_not_keep_the_real_call_from_being_told_to_be_over(house: House) -> None:
    seen = heard(house)
    dial(house, "933", "933")
    house.clock.advance(after(seconds=30))
    dial(house, "911", "911")
    house.clock.advance(after(seconds=30))
    end(house, "911")
    house.clock.advance(after(seconds=30))
    end(house, "933", by_agent=False)
    assert [notice.test for notice in seen if notice.kind is NoticeKind.CLOSING] == [False]
    live(house, 11)
    assert [notice.test for notice in seen if notice.kind is NoticeKind.CLOSING] == [False, True]


def test_only_who_was_told_of_the_test_is_told_that_the_test_is_over(house: House) -> None:
    dial(house, "911", "911")
    others = ("other@example.com",)
    house.add_agent(Agent(agent_id=DANA, name="Dana Example", emergency_contacts=others))
    house.clock.advance(after(minutes=2))
    seen = heard(house)
    dial(house, "933", "933")
    end(house, "933")
    end(house, "911")
    over = {notice.test: notice.recipients for notice in seen if notice.kind is NoticeKind.CLOSING}
    assert over == {True: others, False: CONTACTS}


def test_a_test_beyond_the_ration_takes_no_real_calls_place(house: House) -> None:
    seen = heard(house)
    for n in range(1, 7):
        dial(house, f"call-{n}")
        end(house, f"call-{n}")
    dial(house, "test", "933")
    end(house, "test")
    assert house.telemetry.count("notice_rationed") == 2
    live(house, 12)
    called = [notice for notice in seen if notice.kind is NoticeKind.CALL]
    assert sorted(notice.test for notice in called) == [*[False] * 6, True]
    over = [notice for notice in seen if notice.kind is NoticeKind.CLOSING][-2:]
    assert {(notice.test, notice.dialled_at) for notice in over} == {
        (notice.test, notice.dialled_at) for notice in called[-2:]
    }


def as_the_version_before_kept_it(house: House) -> None:
    """It had one thread for real calls and tests: that of whichever was dialled last, with all whom either told."""
    stored = house.emergencies.load(agent_key_of(DANA), house.within()).result()
    assert stored.emergency is not None and stored.emergency.test_thread is not None
    before, thread = stored.emergency.thread, stored.emergency.test_thread
    if before is not None:
        thread = structs.replace(thread, told=before.told, closed_at=before.closed_at)
    one = structs.replace(stored.emergency, thread=thread, test_thread=None)
    house.emergencies.commit(Change(stored=stored, emergency=one, now=house.clock.now()), house.within())


@pytest.mark.parametrize(
    ("before", "since", "tests"),
    [
        ([], [], [True]),
        ([], ["911"], [False, True]),
        ([], ["another 933"], [True]),
        (["911", "over"], [], [True]),
        (["911", "over"], ["another 911"], [False, True]),
        # What that version told of in one notice it still does.
        (["911"], [], [False]),
    ],
)
def test_a_test_that_the_version_before_recorded_is_closed_as_one(
    house: House, before: list[str], since: list[str], tests: list[bool]
) -> None:
    for each in before:
        end(house, "911") if each == "over" else dial(house, each, each)
    live(house, 1)
    seen = heard(house)
    dial(house, "933", "933")
    as_the_version_before_kept_it(house)
    for each in since:
        dial(house, each, each[-3:])
        end(house, each)
    if "over" not in before:
        end(house, "911")
    live(house, 1)
    end(house, "933")
    live(house, 2)
    assert [notice.test for notice in seen if notice.kind is NoticeKind.CLOSING] == tests


def test_the_end_of_a_real_call_that_is_kept_no_more_is_no_tests_end(house: House) -> None:
    """Somebody hears so late of it, by a notice beyond a ration, that only the tests of a later lease are kept."""
    seen = heard(house)
    dial(house, "933", "933")
    end(house, "933")
    live(house, 1)
    stored, now = house.emergencies.load(agent_key_of(DANA), house.within()).result(), house.clock.now()
    assert stored.emergency is not None
    late = Thread(opened_by="of-a-real-call", told=CONTACTS, close_at=now)
    changed = structs.replace(stored.emergency, thread=late)
    house.emergencies.commit(Change(stored=stored, emergency=changed, now=now), house.within())
    live(house, 2)
    ends = [(notice.test, notice.dialled) for notice in seen if notice.kind is NoticeKind.CLOSING]
    assert ends == [(True, "933"), (False, "")]


def test_a_callbacks_notice_tells_of_the_call_what_its_own_notice_told(house: House) -> None:
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    seen = heard(house)
    answer = house.dial(
        Dial(
            call_id="call-1",
            agent_id=DANA,
            dialled="911",
            country="MX",
            acs_user_id=DANA_ACS,
            caller_id_ours=True,
        )
    )
    end(house)
    house.responder_calls(answer.callback_number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    call, callback = (
        next(each for each in seen if each.kind is kind) for kind in (NoticeKind.CALL, NoticeKind.CALLBACK_RECEIVED)
    )
    facts = [(each.dialled, each.foreign, each.number_shown, each.placeable) for each in (call, callback)]
    assert facts == [("911", True, True, Placeable.NO)] * 2


def test_it_tells_times_and_the_name_and_neither_number_nor_place(house: House) -> None:
    seen = heard(house)
    dialled_at = house.clock.now()
    here = Location(address="1 Example Way", at=dialled_at)
    house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="933", location=here))
    house.clock.advance(after(minutes=3))
    end(house)
    call, closing = seen
    assert call.callback_number and call.location.address and closing.kind is NoticeKind.CLOSING
    assert (closing.agent_name, closing.test, closing.recipients) == ("Dana Example", True, CONTACTS)
    assert (closing.dialled_at, closing.ended_at) == (dialled_at, dialled_at + after(minutes=3))
    assert (closing.callback_number, closing.location, closing.site) == ("", ToldLocation(), None)


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
def test_all_notices_of_an_emergency_speak_the_caller_s_language_in_their_zone(house: House, listed: bool) -> None:
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    if listed:
        entry = Agent(agent_id="lee", emergency_contacts=CONTACTS, locale="it", time_zone="America/Los_Angeles")
        house.add_agent(entry)
    seen = heard(house)
    said = Dial(call_id="call-1", agent_id="lee", dialled="911", acs_user_id=DANA_ACS, locale="fr-CA")
    answer = house.dial(said)
    house.end(End(call_id="call-1", by_agent=True))
    for context in ("answered", "missed"):
        house.responder_calls(answer.callback_number, context)
        if context == "answered":
            house.switchboard.pick_up(DANA_ACS, context)
            house.deliver()
        house.switchboard.hang_up(context)
        house.wait(20)
    assert {notice.kind for notice in seen} == set(NoticeKind)
    zone = "America/Los_Angeles" if listed else house.deployment.time_zone
    assert {(notice.locale, notice.time_zone) for notice in seen} == {("fr-CA", zone)}
    assert {notice.claimed for notice in seen} == {not listed}
    assert len({notice.mail_thread for notice in seen}) == 1


def test_of_a_callback_in_a_call_beyond_its_promise_nobody_is_told_a_time_that_has_passed(house: House) -> None:
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    seen = heard(house)
    answer = house.dial(Dial(call_id="call-1", agent_id=DANA, dialled="911", acs_user_id=DANA_ACS))
    house.clock.advance(after(minutes=75))
    house.responder_calls(answer.callback_number)
    house.switchboard.pick_up(DANA_ACS)
    house.deliver()
    [told] = [notice for notice in seen if notice.kind is NoticeKind.CALLBACK_RECEIVED]
    assert told.reachable_until == told.dialled_at + after(minutes=30)


def test_all_notices_of_an_emergency_are_one_thread_and_name_it_in_the_log(house: House) -> None:
    dial(house)
    end(house)
    dial(house, "call-2")
    end(house, "call-2")
    assert len(closings(house)) == 2
    [thread] = {email.thread for email in house.mail.accepted}
    [word] = {facts["emergency"] for event, facts in house.telemetry.events if event == "notice_sent"}
    assert thread and word
    house.dial(Dial(call_id="another", agent_id="kim", dialled="911"))
    assert house.mail.accepted[-1].thread != thread


def test_a_redial_in_the_cool_down_goes_on_with_the_thread(house: House) -> None:
    dial(house)
    end(house)
    live(house, 70)
    dial(house, "call-2")
    assert len({email.thread for email in house.mail.accepted}) == 1


def test_legs_beyond_the_ration_are_closed_by_a_message_of_their_own_after_the_one_that_tells_of_them(
    house: House,
) -> None:
    def away(_email: Email) -> None:
        raise Unavailable

    well, house.mail.fail = house.mail.fail, away
    for n in range(1, 7):
        dial(house, f"call-{n}")
        end(house, f"call-{n}")
    assert house.telemetry.count("notice_rationed") == 1
    house.mail.fail = well
    live(house, 2)
    dial(house, "call-7")
    end(house, "call-7")
    assert house.telemetry.count("notice_rationed") == 2, "the same notice has room for both"
    live(house, 6)
    assert len(closings(house)) == 1
    live(house, 3)
    kinds = [email.subject for email in house.mail.accepted]
    assert kinds == [*[NoticeKind.CALL] * 5, NoticeKind.CLOSING, NoticeKind.CALL, NoticeKind.CLOSING]
    assert len({email.operation_id for email in closings(house)}) == 2


def test_a_late_notice_of_an_earlier_leg_does_not_bring_the_end_before_the_notice_of_the_last_leg(
    house: House,
) -> None:
    house.performs = False
    for call in ("call-1", "call-2"):
        dial(house, call)
        end(house, call)
    owed, house.owed = house.owed, []
    house.performs = True
    first, last = (effect for effect in owed if isinstance(effect, DeliverNotice))
    house.do(effect for effect in owed if not isinstance(effect, DeliverNotice))
    house.do([first])
    house.sweep()
    assert len(house.mail.accepted) == 1 and closings(house) == []
    house.do([last])
    live(house, 1)
    assert [email.subject == NoticeKind.CLOSING for email in house.mail.accepted] == [False, False, True]


def test_the_end_is_told_after_what_went_on_because_somebody_was_refused(house: House) -> None:
    """The default contacts knew of the call before, and were told its end: that of this one they hear after it."""
    heard_by_desk: list[str] = []
    away = [False]

    def refuses_one(email: Email) -> None:
        if CONTACTS[1] in email.recipients:
            raise RecipientsRefused(frozenset({CONTACTS[1]}))
        if away[0] and email.recipients == (DEFAULT_CONTACT,):
            raise Unavailable
        if DEFAULT_CONTACT in email.recipients:
            heard_by_desk.append(email.subject)

    house.mail.fail = refuses_one
    dial(house)
    end(house)
    live(house, 1)
    assert heard_by_desk == [NoticeKind.CALL, NoticeKind.CLOSING]
    house.performs = False
    dial(house, "call-2")
    end(house, "call-2")
    house.performs, away[0] = True, True
    owed, house.owed = house.owed, []
    house.do(owed)
    live(house, 1)
    away[0] = False
    live(house, 5)
    assert heard_by_desk[2:] == [NoticeKind.CALL, NoticeKind.CLOSING]


def test_a_test_whose_lease_is_over_is_closed_as_a_test_beside_the_next_lease(house: House) -> None:
    house.deployment = structs.replace(house.deployment, rules=Rules(after_call_minutes=0, window_minutes=10))
    house.lend_from(house.deployment.callback_numbers)
    seen = heard(house)
    dial(house, "933", "933")
    live(house, 11)
    house.performs = False
    end(house, "933")
    dial(house, "911", "911")
    house.performs = True
    live(house, 1)
    assert [notice.test for notice in seen if notice.kind is NoticeKind.CLOSING] == [True]
    emergency = house.emergency(DANA)
    assert emergency is not None and [leg.test for leg in emergency.legs] == [False], "the test's lease is over"
