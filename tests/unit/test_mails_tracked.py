"""What is known of a mail's way is kept as long as its emergency is, and not for a moment longer (B6, B8)."""

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.deployment import CallbackNotices
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.leases import Rules
from shared.domain.notifications import Delivery
from shared.ports import Email
from shared.use_cases.end_call import End
from tests.fakes.house import DEFAULT_CONTACT, House, after, numbers

DANA, BEN = "agent-dana", "agent-ben"
GUARD = "guard@example.com"


@pytest.fixture
def house() -> House:
    """With one number, so that whatever of it outlives its rest meets the next agent."""
    house = House(pool=numbers(1))
    house.deployment = structs.replace(house.deployment, callback_notices=CallbackNotices.ALL)
    for agent_id in (DANA, BEN):
        house.add_agent(Agent(agent_id=agent_id, emergency_contacts=(GUARD,)))
    house.tick()
    return house


def dial(house: House, agent_id: str = DANA) -> str:
    number = house.dial(Dial(call_id=f"call of {agent_id}", agent_id=agent_id, dialled="911")).callback_number
    assert number is not None
    return number


def end(house: House) -> None:
    house.end(End(call_id=f"call of {DANA}", by_agent=True, agent_id=DANA))


def pass_minutes(house: House, minutes: int) -> None:
    for _ in range(minutes):
        house.clock.advance(after(minutes=1))
        house.sweep()
        house.tick()


def nobody_answers(house: House, number: str) -> None:
    house.responder_calls(number)
    house.wait(20)
    house.switchboard.hang_up()
    house.deliver()


def mails(house: House) -> list[str]:
    return [row for row in house.rows() if row.startswith("mail|")]


def told_on_the_board(house: House) -> list[tuple[str, str]]:
    [live] = house.administration.show_board().emergencies
    return [(notice.recipient, notice.state) for notice in live.notices]


def test_who_was_told_of_a_long_call_is_shown_to_its_end_and_a_late_bounce_goes_on(house: House) -> None:
    dial(house)
    for _ in range(10):
        pass_minutes(house, 20)
        assert told_on_the_board(house) == [(GUARD, Delivery.ACCEPTED.value)]
    [sent] = house.mail.accepted
    assert house.calling.record_delivery(sent.operation_id, GUARD, Delivery.FAILED)
    assert [email.recipients for email in house.mail.accepted[1:]] == [(DEFAULT_CONTACT,)]


def test_who_was_told_is_shown_for_as_long_as_a_hold_outlasts_the_lease(house: House) -> None:
    rules = Rules(after_call_minutes=0, cool_down_minutes=60, hold_after_drop_minutes=30)
    house.deployment = structs.replace(house.deployment, rules=rules)
    house.lend_from(house.deployment.callback_numbers)
    dial(house)
    pass_minutes(house, 58)
    house.end(End(call_id=f"call of {DANA}", by_agent=False, agent_id=DANA))
    pass_minutes(house, 29)
    assert told_on_the_board(house) == [(GUARD, Delivery.ACCEPTED.value)]
    pass_minutes(house, 3)
    assert mails(house) == []


def test_no_word_of_a_callback_in_the_middle_of_a_call_outlives_the_emergency(house: House) -> None:
    number = dial(house)
    pass_minutes(house, 5)
    nobody_answers(house, number)
    pass_minutes(house, 1)
    end(house)
    assert len(mails(house)) == 2
    pass_minutes(house, 122)
    assert house.emergency(DANA) is None and mails(house) == []


def test_a_callback_is_told_of_in_the_middle_of_a_long_call_however_late_that_can_be(house: House) -> None:
    number = dial(house)
    house.mail.fail = away
    nobody_answers(house, number)
    pass_minutes(house, 180)
    house.mail.fail = lambda _email: None
    pass_minutes(house, 10)
    assert len(house.mail.accepted) == 2


def away(_email: Email) -> None:
    raise Unavailable


def test_nobody_is_told_of_a_callback_to_a_number_that_may_be_anothers_by_then(house: House) -> None:
    number = dial(house)
    house.mail.fail = away
    nobody_answers(house, number)
    pass_minutes(house, 1)
    end(house)
    pass_minutes(house, 125)
    house.mail.fail = lambda _email: None
    assert dial(house, BEN) == number
    pass_minutes(house, 120)
    assert len(house.mail.accepted) == 2, "of the two dials"


@pytest.mark.parametrize("rules", [Rules(), Rules(after_call_minutes=0, cool_down_minutes=0)])
def test_of_any_lease_nothing_is_left_a_minute_after_it(house: House, rules: Rules) -> None:
    house.deployment = structs.replace(house.deployment, rules=rules)
    house.lend_from(house.deployment.callback_numbers)
    dial(house)
    pass_minutes(house, 100)
    end(house)
    pass_minutes(house, rules.after_call_minutes + rules.cool_down_minutes + 2)
    assert house.emergency(DANA) is None and mails(house) == []
