"""A dial for which the pool has no number (B1, B12, B13): all but a number of the agent's own is there, and is true."""

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergency_numbers import Placeable
from shared.domain.leases import Rules
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.panels import CALL_AGAIN_CONTROL, Banner, Mode
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.end_call import End
from tests.fakes.house import DAWN, FALLBACK, House, after, numbers

DANA, BEN = "agent-dana", "agent-ben"
GUARD = "guard@example.com"


def house_with(pool: tuple[str, ...] = (), rules: Rules | None = None) -> House:
    house = House(pool=pool)
    deployment = structs.replace(house.deployment, closing_notices=True, rules=rules or Rules())
    house = House(deployment=deployment, table=house.table, clock=house.clock)
    for agent_id in (DANA, BEN):
        house.add_agent(Agent(agent_id=agent_id, name="Dana Example", country="US", emergency_contacts=(GUARD,)))
    house.tick()
    return house


def dial(house: House, agent_id: str = DANA, call_id: str = "call-1", country: str = "US") -> Answer:
    return house.dial(
        Dial(call_id=call_id, agent_id=agent_id, dialled="911", country=country, locale="en", caller_id_ours=True)
    )


def drop(house: House, call_id: str = "call-1") -> None:
    house.end(End(call_id=call_id, by_agent=False))


def notice_owed(house: House) -> Notice:
    [notice] = [effect.owed.notice for effect in house.owed if isinstance(effect, DeliverNotice)]
    return notice


def closings(house: House) -> int:
    """How many; the plain template's subject is the kind of a notice."""
    return sum(email.subject == NoticeKind.CLOSING for email in house.mail.accepted)


@pytest.mark.parametrize(
    ("country", "placeable", "digits", "banner"),
    [
        ("US", Placeable.YES, "911", Banner.EMERGENCY_IN_PROGRESS),
        ("MX", Placeable.NO, None, Banner.CANNOT_BE_PLACED),
    ],
)
def test_the_answer_and_the_panel_agree(country: str, placeable: Placeable, digits: str | None, banner: Banner) -> None:
    house = house_with()
    answer, shown = dial(house, country=country), house.panel(DANA)
    assert answer.panel == shown and shown.banner is banner
    assert (answer.placeable, answer.dial) == (shown.placeable, shown.dial) == (placeable, digits)
    assert (answer.callback_number, answer.expires_at) == (shown.callback_number, shown.expires_at)
    assert (answer.callback_number, answer.expires_at) == (FALLBACK, DAWN + after(minutes=60))
    assert (answer.shared, answer.degraded) == (False, False)
    assert answer.foreign is (country != "US"), "the fallback number is one of the United States"


def test_the_fallback_number_is_to_be_said_and_is_on_nobodys_display() -> None:
    say = dial(house_with()).panel.say
    assert say is not None and (say.callback_number, say.number_shown) == (FALLBACK, False)


def test_the_notice_says_that_the_number_is_not_the_agents() -> None:
    house = house_with()
    house.performs = False
    dial(house)
    notice = notice_owed(house)
    assert (notice.callback_number, notice.degraded, notice.shared, notice.number_shown) == (
        FALLBACK,
        True,
        False,
        False,
    )


def test_what_to_say_stays_until_the_lease_would_have_ended() -> None:
    house = house_with()
    say = dial(house).panel.say
    house.end(End(call_id="call-1", by_agent=True))
    house.clock.advance(after(minutes=60, seconds=-1))
    assert (house.panel(DANA).say, house.panel(DANA).dial) == (say, "911")
    house.clock.advance(after(seconds=1))
    assert (house.panel(DANA).say, house.panel(DANA).callback_number, house.panel(DANA).dial) == (None, None, None)


def test_after_a_drop_calling_again_is_offered_and_a_redial_looks_for_a_number_again() -> None:
    house = house_with()
    dial(house)
    drop(house)
    held = house.panel(DANA)
    assert (held.banner, held.dial) == (Banner.HELD_AFTER_DROP, "911")
    assert held.controls[:2] == (CALL_AGAIN_CONTROL, "end_hold")
    house.lend_from(numbers(1))
    house.tick()
    again = dial(house, call_id="call-2")
    assert again.panel == house.panel(DANA) and again.panel.say is not None
    assert (again.panel.say.callback_number, again.panel.say.number_shown) == (*numbers(1), True)


def test_it_is_over_when_the_hold_is_or_the_lease_would_have_ended() -> None:
    for hold, told_after in ((10, 10), (120, 60)):
        house = house_with(rules=Rules(after_call_minutes=0, hold_after_drop_minutes=hold))
        dial(house)
        drop(house)
        for _ in range(told_after):
            assert closings(house) == 0
            house.clock.advance(after(minutes=1))
            house.tick()
            house.sweep()
        assert closings(house) == 1


def test_the_board_shows_no_number_for_it() -> None:
    house = house_with()
    dial(house)
    [row] = house.administration.show_board().emergencies
    assert (row.mode, row.callback_number, row.expires_at, row.shared) == (Mode.EMERGENCY, None, None, False)


def test_of_a_number_that_was_lent_again_nothing_is_said() -> None:
    house = house_with(numbers(1), Rules(after_call_minutes=0, hold_after_drop_minutes=120))
    dial(house)
    drop(house)
    house.clock.advance(after(minutes=61))
    house.tick()
    assert dial(house, BEN, "call-2").callback_number in numbers(1)
    held = house.panel(DANA)
    assert held.banner is Banner.HELD_AFTER_DROP
    assert (held.callback_number, held.expires_at, held.say) == (None, None, None)


def test_while_a_hold_asks_to_call_again_it_can_be_done() -> None:
    house = house_with(numbers(1), Rules(after_call_minutes=0, hold_after_drop_minutes=120))
    dial(house)
    drop(house)
    house.clock.advance(after(minutes=61))
    held = house.panel(DANA)
    assert (held.banner, held.say, held.callback_number) == (Banner.HELD_AFTER_DROP, None, None)
    assert (held.placeable, held.dial) == (Placeable.YES, "911")
    assert held.controls[:2] == (CALL_AGAIN_CONTROL, "end_hold")
    house.clock.advance(after(minutes=60))
    assert (house.panel(DANA).banner, house.panel(DANA).dial) == (None, None)
