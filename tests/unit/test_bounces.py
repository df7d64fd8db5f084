"""A bounce of a notice, and a refusal, goes on to the default contacts who were not told yet, once (B6)."""

from collections.abc import Callable
from datetime import datetime

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.domain.notifications import Delivery, Notice
from shared.domain.sender_quota import SenderQuota
from shared.ports import Email, RenderedNotice
from shared.use_cases.end_call import End
from tests.fakes.house import DEFAULT_CONTACT, House, after

DANA, LEE = "agent-dana", "agent-lee"
OWN = ("guard@example.com", "supervisor@example.com")


class NamesAgents:
    """A template that says of whom and what a message tells."""

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        return RenderedNotice("; ".join(f"{part.kind.value} {part.agent_id}" for part in notice.singly), "", "")


def house_with(contacts: tuple[str, ...] = OWN, *, closings: bool = True, quota: int = 1_000) -> House:
    house = House(sender_quota=SenderQuota(quota, 1_000))
    house.template = NamesAgents()
    house.deployment = structs.replace(house.deployment, closing_notices=closings)
    for name in (DANA, LEE):
        house.add_agent(Agent(agent_id=name, emergency_contacts=contacts))
    house.tick()
    return house


def dial(house: House, call_id: str = "call-1", agent_id: str = DANA) -> Email:
    call(house, call_id, agent_id)
    return house.mail.accepted[-1]


def call(house: House, call_id: str = "call-1", agent_id: str = DANA) -> None:
    house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911"))


def report(house: House, email: Email, recipient: str, delivery: Delivery = Delivery.FAILED) -> None:
    assert house.calling.record_delivery(email.operation_id, recipient, delivery)


def at_the_desk(house: House) -> list[str]:
    return [email.subject for email in house.mail.accepted if DEFAULT_CONTACT in email.recipients]


@pytest.mark.parametrize("closings", [True, False])
def test_it_goes_on_once_however_often_and_for_whomever_the_report_comes(closings: bool) -> None:
    house = house_with(closings=closings)
    sent = dial(house)
    report(house, sent, OWN[0], Delivery.DELIVERED)
    assert at_the_desk(house) == []
    for recipient in (OWN[0], OWN[0].upper(), OWN[1]):
        report(house, sent, recipient)
        assert at_the_desk(house) == [f"call {DANA}"]
    assert house.mail.accepted[-1].recipients == (DEFAULT_CONTACT,), "nobody else is told again"
    assert house.telemetry.count("notice_passed_on") == 1


def test_whoever_has_it_already_does_not_get_it_again() -> None:
    house = house_with((*OWN, DEFAULT_CONTACT.upper()))
    report(house, dial(house), OWN[0])
    assert len(house.mail.accepted) == 1


def test_whoever_was_told_of_the_emergency_is_not_told_of_each_of_its_bounces() -> None:
    house = house_with()
    report(house, dial(house), OWN[0])
    report(house, dial(house, "call-2"), OWN[0])
    assert at_the_desk(house) == [f"call {DANA}"]


@pytest.mark.parametrize("minutes", [2, 80], ids=["in the lease", "in the cool-down"])
def test_whoever_heard_that_it_is_over_is_told_of_the_bounce_of_the_next_call(minutes: int) -> None:
    house = house_with(OWN[:1])
    report(house, dial(house), OWN[0])
    house.end(End(call_id="call-1", by_agent=True))
    house.clock.advance(after(minutes=minutes))
    house.tick()
    again = dial(house, "call-2")
    report(house, again, OWN[0])
    report(house, dial(house, "call-3"), OWN[0])
    house.end(End(call_id="call-2", by_agent=True))
    house.end(End(call_id="call-3", by_agent=True))
    assert at_the_desk(house) == [f"call {DANA}", f"closing {DANA}"] * 2, "and of no other bounce of that one"


def test_so_they_are_of_a_call_beyond_the_ration() -> None:
    house = house_with(OWN[:1])
    for n in range(6):
        dial(house, f"call-{n}")
        report(house, house.mail.accepted[-1], OWN[0])
        house.end(End(call_id=f"call-{n}", by_agent=True))
    assert house.telemetry.count("notice_rationed") == 1
    told = len(at_the_desk(house))
    house.clock.advance(after(minutes=11))
    house.sweep()
    later = next(email for email in house.mail.accepted[::-1] if email.subject == f"call {DANA}")
    report(house, later, OWN[0])
    house.sweep()
    assert at_the_desk(house)[told:][:1] == [f"call {DANA}"]


def test_whoever_was_told_of_the_emergency_is_told_that_a_responder_reached_nobody() -> None:
    house = house_with()
    first = dial(house)
    report(house, first, OWN[0])
    house.responder_calls(house.panel(DANA).callback_number, "callback-1")
    house.switchboard.hang_up("callback-1")
    house.wait(20)
    missed = next(email for email in house.mail.accepted if email.subject.startswith("callback_missed"))
    for _ in range(2):
        report(house, missed, OWN[0])
    assert at_the_desk(house) == [f"call {DANA}", f"callback_missed {DANA}"]


def test_they_are_told_that_it_is_over_too_and_a_bounce_of_that_goes_on_to_nobody() -> None:
    house = house_with()
    report(house, dial(house), OWN[0])
    house.end(End(call_id="call-1", by_agent=True))
    assert at_the_desk(house) == [f"call {DANA}", f"closing {DANA}"]
    other = house_with()
    dial(other)
    other.end(End(call_id="call-1", by_agent=True))
    report(other, other.mail.accepted[-1], OWN[0])
    assert at_the_desk(other) == []


def test_a_bounce_after_the_end_tells_them_of_the_call_and_then_that_it_is_over() -> None:
    house = house_with()
    sent = dial(house)
    house.end(End(call_id="call-1", by_agent=True))
    report(house, sent, OWN[0])
    house.sweep()
    assert at_the_desk(house) == [f"call {DANA}", f"closing {DANA}"]


def test_a_bounce_that_comes_after_the_lease_tells_nobody() -> None:
    house = house_with()
    sent = dial(house)
    house.end(End(call_id="call-1", by_agent=True, agent_id=DANA))
    house.clock.advance(after(minutes=60))
    report(house, sent, OWN[0])
    assert at_the_desk(house) == []


def test_a_process_that_dies_right_then_leaves_it_to_the_sweep() -> None:
    house = house_with()
    sent = dial(house)
    house.performs = False
    report(house, sent, OWN[0])
    house.owed.clear()
    house.performs = True
    report(house, sent, OWN[0])
    assert at_the_desk(house) == []
    house.clock.advance(after(seconds=10))
    house.sweep()
    assert at_the_desk(house) == [f"call {DANA}"]


def test_of_a_merged_message_every_notice_goes_on() -> None:
    house = house_with(quota=1)
    dial(house)
    dial(house, "call-2")
    dial(house, "call-3", LEE)
    house.clock.advance(after(minutes=1))
    house.sweep()
    merged = house.mail.accepted[-1]
    assert sorted(merged.subject.split("; ")) == [f"call {DANA}", f"call {LEE}"]
    for _ in range(2):
        report(house, merged, OWN[0])
    for _ in range(12):
        house.clock.advance(after(seconds=20))
        house.sweep()
    told = "; ".join(at_the_desk(house)).split("; ")
    assert sorted(told) == [f"call {DANA}", f"call {LEE}"]


def test_what_went_on_and_bounces_too_goes_nowhere() -> None:
    """Without a thread nobody is known to have been told: two addresses that bounce would send it to and fro."""
    house = house_with((OWN[0], DEFAULT_CONTACT), closings=False)
    house.deployment = structs.replace(house.deployment, default_contacts=(DEFAULT_CONTACT, "second@example.com"))
    report(house, dial(house), OWN[0])
    assert len(house.mail.accepted) == 2
    report(house, house.mail.accepted[-1], "second@example.com")
    assert len(house.mail.accepted) == 2


# What the service refuses at once ------------------------------------------------------------------------------------


def refusing(*bad: str, named: bool = True) -> Callable[[Email], None]:
    """A service that takes no message with one of these among its recipients."""

    def fail(email: Email) -> None:
        found = frozenset(bad) & frozenset(email.recipients)
        if found:
            raise RecipientsRefused(found) if named else Refused()

    return fail


def states(house: House) -> dict[str, str]:
    [live] = house.administration.show_board().emergencies
    return {each.recipient: each.state for each in live.notices}


def readiness_of(house: House, check: str) -> list[str]:
    report = house.administration.show_agent_readiness(DANA)
    return [each.state.value for each in report.checks if each.id == check]


def test_a_sole_contact_who_is_refused_at_once_is_tracked_and_the_default_contacts_are_told() -> None:
    house = house_with(OWN[:1])
    house.mail.fail = refusing(OWN[0])
    call(house)
    assert at_the_desk(house) == [f"call {DANA}"]
    assert states(house) == {OWN[0]: "refused", DEFAULT_CONTACT: "accepted"}
    assert readiness_of(house, "deliveries") == ["problem"]
    assert [house.telemetry.count(each) for each in ("notice_sent", "notice_passed_on", "notice_given_up")] == [1, 1, 0]
    house.end(End(call_id="call-1", by_agent=True))
    assert at_the_desk(house) == [f"call {DANA}", f"closing {DANA}"]
    assert OWN[0] not in house.mail.received()


@pytest.mark.parametrize("ends_first", [False, True])
def test_what_goes_on_to_the_default_contacts_comes_before_they_hear_that_it_is_over(ends_first: bool) -> None:
    house = house_with()
    refused, held = refusing(OWN[0]), list[str]()

    def fail(email: Email) -> None:
        refused(email)
        if DEFAULT_CONTACT in email.recipients and (not held or email.operation_id == held[0]):
            held[:] = [email.operation_id]
            raise Unavailable

    house.mail.fail = fail
    call(house)
    if ends_first:
        house.end(End(call_id="call-1", by_agent=True))
    call(house, "call-2")
    for call_id in ("call-1", "call-2"):
        house.end(End(call_id=call_id, by_agent=True))
    wait(house, minutes=4)
    assert at_the_desk(house) == [f"call {DANA}"]
    house.mail.fail = refused
    wait(house, minutes=20)
    assert at_the_desk(house) == [f"call {DANA}", f"call {DANA}", f"closing {DANA}"]


def wait(house: House, *, minutes: int) -> None:
    for _ in range(minutes * 6):
        house.clock.advance(after(seconds=10))
        house.sweep()
        house.tick()


def test_an_address_that_is_taken_again_is_no_fault_any_more_where_no_report_says_so() -> None:
    house = house_with(OWN[:1])
    house.mail.reports = False
    house.mail.fail = refusing(OWN[0])
    call(house)
    assert readiness_of(house, "deliveries") == ["problem"]
    house.mail.fail = refusing()
    call(house, "call-2")
    assert readiness_of(house, "deliveries") == ["ok"]


@pytest.mark.parametrize("named", [True, False])
def test_one_of_several_who_is_refused_is_a_bounce_too(named: bool) -> None:
    house = house_with()
    house.mail.fail = refusing(OWN[0], named=named)
    call(house)
    assert at_the_desk(house) == [f"call {DANA}"] and house.mail.received() == [OWN[1], DEFAULT_CONTACT]
    assert states(house)[OWN[0]] == "refused"


def test_default_contacts_who_are_refused_themselves_are_told_by_nobody() -> None:
    house = house_with((OWN[0], DEFAULT_CONTACT), closings=False)
    house.deployment = structs.replace(house.deployment, default_contacts=(DEFAULT_CONTACT, "second@example.com"))
    house.mail.fail = refusing(OWN[0], DEFAULT_CONTACT, "second@example.com")
    call(house)
    for _ in range(30):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert house.mail.accepted == [] and house.telemetry.count("notice_given_up") == 1
    assert house.telemetry.count("notice_passed_on") == 1


def test_a_sole_contact_who_is_refused_without_a_name_tells_the_default_contacts_within_their_minute() -> None:
    house = house_with(OWN[:1])
    house.mail.fail = refusing(OWN[0], named=False)
    call(house)
    assert house.mail.accepted == [], "it may be the sender's fault, and nobody's else"
    for _ in range(5):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert at_the_desk(house) == [f"call {DANA}"] and house.telemetry.count("recipient_refused") == 0
    house.mail.fail = refusing()
    for _ in range(30):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert house.mail.received() == [DEFAULT_CONTACT, OWN[0]], "and it is tried further"


def test_a_sender_whom_the_service_does_not_serve_is_nobodys_bounce() -> None:
    house = house_with()

    def unlinked(_: Email) -> None:
        raise Unavailable(reason="domainnotlinked")

    house.mail.fail = unlinked
    call(house)
    for _ in range(30):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert house.telemetry.count("notice_passed_on") == 0


def test_who_was_refused_before_the_service_went_away_is_a_bounce_all_the_same() -> None:
    house = house_with()
    tries: list[Email] = []

    def goes_away(email: Email) -> None:
        tries.append(email)
        if len(tries) == 1:
            raise RecipientsRefused(frozenset(OWN[:1]))
        if len(tries) == 2:
            raise Unavailable

    house.mail.fail = goes_away
    call(house)
    assert states(house) == {OWN[0]: "refused", OWN[1]: "owed", DEFAULT_CONTACT: "owed"}
    for _ in range(5):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert sorted(house.mail.received()) == [DEFAULT_CONTACT, OWN[1]] and len(tries) == 4


@pytest.mark.parametrize("left", range(1, 4))
def test_a_store_that_goes_away_in_the_middle_loses_no_refusal(left: int) -> None:
    """Before it is struck off, the default contacts are owed it, or who was refused still is."""
    house = house_with(OWN[:1])

    def refuses(email: Email) -> None:
        commits: list[str] = []

        def asked(request: str) -> None:
            commits.append(request)
            house.line.away = len(commits) >= left

        house.line.asked = asked
        refusing(OWN[0])(email)

    house.mail.fail = refuses
    call(house)
    house.line.asked = lambda _: None
    house.line.away = False
    house.mail.fail = refusing(OWN[0])
    for _ in range(6):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert at_the_desk(house) == [f"call {DANA}"]


def test_of_a_merged_message_that_is_refused_every_notice_goes_on() -> None:
    house = house_with(OWN[:1], quota=1)
    call(house)
    call(house, "call-2")
    call(house, "call-3", LEE)
    house.mail.fail = refusing(OWN[0])
    for _ in range(18):
        house.clock.advance(after(seconds=20))
        house.sweep()
    told = "; ".join(at_the_desk(house)).split("; ")
    assert sorted(told) == [f"call {DANA}", f"call {LEE}"]


def test_a_closing_notice_that_is_refused_goes_on_to_nobody() -> None:
    house = house_with()
    call(house)
    house.mail.fail = refusing(*OWN)
    house.end(End(call_id="call-1", by_agent=True))
    assert at_the_desk(house) == []
