"""A bounce of a notice goes on to the default contacts who were not told yet, once (B6)."""

from datetime import datetime

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.dials import Dial
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
    house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911"))
    return house.mail.accepted[-1]


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
