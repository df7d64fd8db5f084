"""How many notices one principal may cause, closing notices included, and what they leave to others (B6).

What is beyond a ration is owed later; whoever is told first of an emergency does not wait for a flood.
"""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.deployment import CallbackNotices
from shared.domain.dials import Dial
from shared.domain.emergencies import with_closing, with_told
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.pool import ration_window
from shared.domain.sender_quota import SenderQuota
from shared.ports import Change, RenderedNotice
from shared.use_cases.end_call import End
from tests.fakes.house import House, after, everybody, key_unlisted, numbers, person

DANA_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201aa"
DANA, STRANGER, EVE, MACHINE = person(DANA_OBJECT), person("stranger"), person("eve"), everybody()
GUARD = "guard@example.com"


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(300))
    house.add_agent(
        Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=("8:acs:r_dana",), emergency_contacts=(GUARD,))
    )
    house.tick()
    return house


def dial(house: House, caller: Caller, call: object, agent_id: str = "any", object_id: str | None = None) -> str:
    call_id = f"{caller.name}/{call}"
    house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911", country="US", entra_object_id=object_id), caller)
    return call_id


def kinds(house: House) -> list[str]:
    """Of each message what it tells of: the plain template's subject is the kind of a notice."""
    return [email.subject for email in house.mail.accepted]


class Listening:
    """A template that keeps what it was given."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        self.notices.append(notice)
        return RenderedNotice(notice.kind.value, "", "")


def wait(house: House, minutes: int) -> None:
    for _ in range(minutes * 6):
        house.clock.advance(after(seconds=10))
        house.sweep()


# Whose ration it is


def test_object_ids_that_a_machine_makes_up_bring_it_no_further_ration(house: House) -> None:
    for n in range(60):
        dial(house, MACHINE, n, f"unlisted-{n}", object_id=f"made-up-{n}")
    assert len(house.mail.accepted) == 30


def test_what_a_machine_reports_under_an_agents_object_id_takes_nothing_of_the_agents_own_ration(house: House) -> None:
    for n in range(40):
        dial(house, MACHINE, n, "served", object_id="eve")
    house.mail.accepted.clear()
    for n in range(6):
        dial(house, EVE, n, "eve")
    assert len(house.mail.accepted) == 5


# Callbacks


def missed_callback(house: House, number: str, context: str) -> None:
    house.responder_calls(number, context)
    house.switchboard.hang_up(context)
    house.wait(10)


def test_a_callback_for_an_agent_outside_the_directory_is_told_as_claimed(house: House) -> None:
    number = house.dial(Dial(call_id="call", agent_id="Jane Roe", dialled="911"), EVE).callback_number
    dana = house.dial(Dial(call_id="call", agent_id="dana", dialled="911"), DANA).callback_number
    house.template = listening = Listening()
    assert number and dana
    missed_callback(house, number, "to the unlisted one")
    missed_callback(house, dana, "to the listed one")
    claimed = {notice.agent_id: notice.claimed for notice in listening.notices}
    assert claimed == {"Jane Roe": True, "dana": False}


def test_a_missed_callback_beyond_a_machines_ration_is_told_later(house: House) -> None:
    number = house.dial(Dial(call_id="call", agent_id="victim", dialled="911"), MACHINE).callback_number
    for n in range(40):
        dial(house, MACHINE, n, f"unlisted-{n}")
    assert number
    missed_callback(house, number, "the responder's")
    assert NoticeKind.CALLBACK_MISSED not in kinds(house)
    wait(house, 11)
    assert kinds(house).count(NoticeKind.CALLBACK_MISSED) == 1


def test_of_a_callback_that_came_before_the_number_was_lent_the_next_holders_contacts_are_not_told() -> None:
    """In an outage the agent was answered with the fallback number: no responder can have meant them by this one."""
    house = House(pool=numbers(1))
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, emergency_contacts=(GUARD,)))
    house.tick()
    house.line.away = True
    answer = house.dial(Dial(call_id="call", agent_id="dana", dialled="911"), DANA)
    house.clock.advance(after(minutes=1))
    house.responder_calls(numbers(1)[0], "another's", delivered=False)
    house.line.away = False
    house.clock.advance(after(minutes=1))
    house.repeats.do_again()
    emergency = house.emergency("dana")
    assert answer.degraded and emergency is not None and emergency.lease is not None
    assert emergency.lease.number == numbers(1)[0]
    house.wait(1)
    house.switchboard.hang_up("another's")
    house.wait(10)
    assert NoticeKind.CALLBACK_MISSED not in kinds(house)


def test_of_callbacks_to_a_listed_agent_five_are_told_at_once_and_the_others_in_one_later(house: House) -> None:
    number = house.dial(Dial(call_id="call", agent_id="dana", dialled="911"), DANA).callback_number
    assert number
    for n in range(12):
        missed_callback(house, number, f"call {n}")
    assert kinds(house) == [NoticeKind.CALL, *[NoticeKind.CALLBACK_MISSED] * 5]
    dial(house, DANA, "again", "dana")
    assert kinds(house)[6:] == [NoticeKind.CALL], "whoever rings the number uses up no ration of the agent's dials"
    wait(house, 11)
    assert kinds(house)[7:] == [NoticeKind.CALLBACK_MISSED]
    wait(house, 11)
    assert len(kinds(house)) == 8
    assert house.telemetry.count("notice_rationed") == 7


def test_an_answered_callback_beyond_the_ration_is_told_after_the_end_and_the_end_once_more(house: House) -> None:
    with_closings(house)
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    dial(house, DANA, "call", "dana")
    emergency = house.emergency("dana")
    assert emergency is not None and emergency.lease is not None
    for n in range(6):
        house.responder_calls(emergency.lease.number, f"call {n}")
        house.switchboard.pick_up("8:acs:r_dana", f"call {n}")
        house.deliver()
        house.end(End(call_id=house.switchboard.invited[-1].invitation_id, by_agent=True), DANA)
        house.switchboard.hang_up(f"call {n}")
        house.deliver()
    house.end(End(call_id=f"{DANA.name}/call", by_agent=True), DANA)
    wait(house, 9)
    assert kinds(house).count(NoticeKind.CALLBACK_RECEIVED) == 5 and kinds(house)[-1] == NoticeKind.CLOSING
    told = len(kinds(house))
    wait(house, 12)
    assert kinds(house)[told:] == [NoticeKind.CALLBACK_RECEIVED, NoticeKind.CLOSING]


# Closing notices


def with_closings(house: House) -> None:
    house.deployment = structs.replace(house.deployment, closing_notices=True)


def mailed_in_an_outage(house: House, agent_id: str) -> None:
    """The default contacts heard of the call at once, beside the notice that waits."""
    stored, now = house.emergencies.find(key_unlisted(agent_id), house.within()).result(), house.clock.now()
    assert stored.emergency is not None
    told = with_told(stored.emergency, None, house.deployment.default_contacts, now, test=False)
    house.emergencies.commit(Change(stored=stored, emergency=told, now=now), house.within())


@pytest.mark.parametrize(("caller", "agent_id"), [(STRANGER, "any"), (DANA, "dana")], ids=["unlisted", "listed"])
def test_dialling_and_ending_again_and_again_sends_at_most_twelve_messages_in_ten_minutes(
    house: House, caller: Caller, agent_id: str
) -> None:
    with_closings(house)
    sent: Counter[datetime] = Counter()
    for n in range(200):
        before = len(house.mail.accepted)
        house.end(End(call_id=dial(house, caller, n, agent_id), by_agent=True), caller)
        house.sweep()
        sent[ration_window(house.clock.now())] += len(house.mail.accepted) - before
        house.clock.advance(after(seconds=9))
    assert len(sent) == 3 and max(sent.values()) <= 12, (
        "five of dials, one for all that was beyond the ration before, and their closings"
    )
    wait(house, 130)
    assert kinds(house)[-2:] == [NoticeKind.CALL, NoticeKind.CLOSING], "what was beyond the ration to the last"


def test_a_leg_beyond_the_ration_is_told_to_be_over_once_its_own_notice_was_sent(house: House) -> None:
    with_closings(house)
    for n in range(7):
        house.end(End(call_id=dial(house, DANA, n, "dana"), by_agent=True), DANA)
    assert kinds(house) == [NoticeKind.CALL, NoticeKind.CLOSING] * 5
    wait(house, 9)
    assert len(kinds(house)) == 10
    wait(house, 2)
    assert kinds(house)[10:] == [NoticeKind.CALL, NoticeKind.CLOSING]
    wait(house, 130)
    assert len(kinds(house)) == 12


def test_who_dials_on_while_a_notice_beyond_the_ration_is_sent_hears_of_the_end_at_the_end(house: House) -> None:
    with_closings(house)
    for n in range(6):
        house.end(End(call_id=dial(house, DANA, n, "dana"), by_agent=True), DANA)
    house.clock.advance(after(minutes=9))
    last = dial(house, DANA, "the long one", "dana")
    wait(house, 3)
    assert kinds(house)[10:] == [NoticeKind.CALL]
    house.end(End(call_id=last, by_agent=True), DANA)
    assert kinds(house)[10:] == [NoticeKind.CALL, NoticeKind.CLOSING]


def test_who_was_mailed_in_an_outage_hears_of_the_end_again_after_the_notice_that_waited(house: House) -> None:
    with_closings(house)
    for n in range(30):
        dial(house, MACHINE, n, f"unlisted-{n}")
    call, before = dial(house, MACHINE, "the last", "victim"), len(house.mail.accepted)
    mailed_in_an_outage(house, "victim")
    house.end(End(call_id=call, by_agent=True), MACHINE)
    wait(house, 11)
    assert kinds(house)[before:] == [NoticeKind.CLOSING, NoticeKind.CALL, NoticeKind.CLOSING]
    first, _, second = house.mail.accepted[before:]
    assert first.recipients == second.recipients
    assert first.operation_id != second.operation_id, "of two messages with one id, the service sends the first"


def test_whoever_a_notice_beyond_the_ration_reaches_later_than_others_is_told_of_the_end_too(house: House) -> None:
    with_closings(house)
    contacts = (GUARD, "second@example.com")
    house.add_agent(Agent(agent_id="ben", emergency_contacts=contacts))
    for n in range(6):
        house.end(End(call_id=dial(house, MACHINE, n, "ben"), by_agent=True), MACHINE)
    emergency = house.emergency("ben")
    assert emergency is not None and emergency.thread is not None and emergency.thread.left == ()
    [later] = emergency.thread.deferred
    for place, address in enumerate(contacts):
        emergency = with_told(emergency, later, [address], house.clock.now(), test=False)
        assert emergency.thread is not None
        assert (emergency.thread.left, emergency.thread.close_at) == (contacts[: place + 1], house.clock.now())
    closed = with_closing(emergency, house.clock.now(), test=False)
    repeated = with_told(closed, later, contacts, house.clock.now(), test=False)
    assert repeated == closed, "a process that dies before it strikes the notice off sends it again"


# The sender's quota


def first_word_after(house: House, agent_id: str, caller: Caller) -> timedelta:
    """How long after their dial the guard is told."""
    dialled_at, before = house.clock.now(), house.mail.received().count(GUARD)
    dial(house, caller, "the victim's", agent_id)
    while house.mail.received().count(GUARD) == before:
        house.clock.advance(after(seconds=10))
        house.sweep()
        assert house.clock.now() - dialled_at < after(hours=1), "never"
    return house.clock.now() - dialled_at


@pytest.mark.parametrize("quota", [SenderQuota(30, 100), SenderQuota(5, 10)], ids=["custom", "managed"])
def test_a_victim_is_told_of_within_a_minute_while_a_stranger_dials_and_ends_again_and_again(
    quota: SenderQuota,
) -> None:
    house = House(pool=numbers(20), sender_quota=quota)
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, emergency_contacts=(GUARD,)))
    house.tick()
    with_closings(house)
    for n in range(240):
        house.end(End(call_id=dial(house, STRANGER, n), by_agent=True), STRANGER)
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert first_word_after(house, "dana", DANA) <= after(minutes=1)


def test_a_victim_is_told_of_within_a_minute_while_a_machine_reports_ever_new_ids() -> None:
    house = House(pool=numbers(20), sender_quota=SenderQuota(30, 100))
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, emergency_contacts=(GUARD,)))
    house.tick()
    with_closings(house)
    for n in range(240):
        house.end(End(call_id=dial(house, MACHINE, n, f"unlisted-{n}"), by_agent=True), MACHINE)
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert first_word_after(house, "dana", MACHINE) <= after(minutes=1)
