"""At the end of a lease the timer writes what has come about (S3); with 0 minutes the documented behaviour is had."""

from datetime import datetime, timedelta

import pytest
from msgspec import structs

from shared.adapters.sdk_table import MAX_ROWS_A_PAGE
from shared.domain.agents import Agent
from shared.domain.deployment import Deployment
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.leases import Lease, Rules
from shared.domain.presence import PresenceStatus
from shared.use_cases.answer_dial import Answer
from shared.use_cases.end_call import End
from tests.fakes.house import DAWN, DEFAULT_CONTACT, DESK, EVENTS_URL, FALLBACK, House, after, numbers

ANA, BEN = "agent-ana", "agent-ben"
AVAILABLE, DND = PresenceStatus.AVAILABLE, PresenceStatus.DO_NOT_DISTURB
# The behaviour documented for Dynamics 365: lent for 60 minutes, presence back when the call is over.
TO_THE_LETTER = Rules(window_minutes=60, after_call_minutes=0, cool_down_minutes=0, hold_after_drop_minutes=0)
INSTANT = timedelta(microseconds=1)


def identity(agent_id: str) -> str:
    return f"8:acs:00000000-0000-0000-0000-000000000001_{agent_id}"


def house_with(rules: Rules | None = None, pool: int = 1) -> House:
    house = House(
        deployment=Deployment(
            rules=rules or Rules(),
            callback_numbers=numbers(pool),
            fallback_number=FALLBACK,
            default_contacts=(DEFAULT_CONTACT,),
            security_desk=(DESK,),
            callback_events_url=EVENTS_URL,
        )
    )
    for agent_id in (ANA, BEN):
        house.add_agent(Agent(agent_id=agent_id, acs_user_ids=(identity(agent_id),), country="US"))
        house.show(agent_id, AVAILABLE)
    house.tick()
    return house


def dial(house: House, call_id: str = "call-1", agent_id: str = ANA) -> Answer:
    return house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911"))


def end(house: House, call_id: str = "call-1", *, by_agent: bool = True) -> None:
    house.end(End(call_id=call_id, by_agent=by_agent))


def lease_of(house: House, agent_id: str = ANA) -> Lease:
    emergency = house.emergency(agent_id)
    assert emergency is not None and emergency.lease is not None
    return emergency.lease


def due_times(house: House) -> list[str]:
    return [row.split("|")[1] for row in house.rows() if row.startswith("due|") and "|agent|" in row]


def in_key(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S%f}Z"


# The transition


def test_at_the_end_of_a_lease_the_timer_writes_it_once_and_the_next_due_row_is_the_end_of_the_cool_down() -> None:
    house = house_with()
    number = dial(house).callback_number
    end(house)
    ends_at = DAWN + after(minutes=60)
    assert due_times(house) == [in_key(ends_at)]
    house.clock.advance(ends_at - INSTANT - house.clock.now())
    house.tick()
    assert lease_of(house).expired_at is None and house.telemetry.count("lease_expired") == 0
    house.clock.advance(INSTANT)
    for _ in range(2):
        house.tick()
        assert lease_of(house).expired_at == ends_at
        assert house.telemetry.count("lease_expired") == 1, "one line"
    [holder] = house.numbers.holders(str(number), house.within()) or []
    assert holder.lease.expired_at == ends_at, "the number's own row tells it too"
    assert due_times(house) == [in_key(ends_at + after(minutes=60))]
    assert house.telemetry.count("number_released") == 0
    house.clock.advance(after(minutes=60))
    house.tick()
    assert house.emergency(ANA) is None
    assert (house.telemetry.count("lease_expired"), house.telemetry.count("number_released")) == (1, 1)


def test_the_timer_says_that_it_ran_also_where_it_could_do_nothing() -> None:
    """Silence means that no timer runs, and is answered by restarting the host: nothing else may look like it."""
    house = house_with()
    house.line.away = True
    with pytest.raises(Unavailable):
        house.tick()
    assert [facts["done"] for event, facts in house.telemetry.events if event == "sweep"] == [True, False]


def test_with_the_timer_off_nothing_is_written() -> None:
    house = house_with()
    dial(house)
    end(house)
    house.clock.advance(after(minutes=61))
    assert lease_of(house).expired_at is None


@pytest.mark.parametrize("minutes", [59, 60, 61, 119, 120, 200])
def test_a_late_timer_changes_no_answer(minutes: int) -> None:
    def answers(*, timely: bool) -> tuple[object, ...]:
        house = house_with()
        number = dial(house).callback_number
        end(house)
        for _ in range(minutes):
            house.clock.advance(after(minutes=1))
            if timely:
                house.tick()
        seen = (house.panel(ANA), house.call_back(number), house.status(ANA))
        other = dial(house, "call-2", BEN)
        return (*seen, other.callback_number, other.shared, house.call_back(number))

    assert answers(timely=True) == answers(timely=False)


def test_a_timer_so_late_that_the_cool_down_is_over_too_says_both() -> None:
    house = house_with()
    dial(house)
    end(house)
    house.clock.advance(after(minutes=121))
    house.tick()
    assert house.emergency(ANA) is None
    assert (house.telemetry.count("lease_expired"), house.telemetry.count("number_released")) == (1, 1)


def test_a_redial_in_the_cool_down_begins_a_lease_that_expires_by_itself() -> None:
    house = house_with()
    first = dial(house)
    end(house)
    house.clock.advance(after(minutes=70))
    house.tick()
    assert dial(house, "call-2").callback_number == first.callback_number
    assert lease_of(house).expired_at is None
    end(house, "call-2")
    house.clock.advance(after(minutes=60))
    house.tick()
    assert lease_of(house).expired_at == DAWN + after(minutes=130)
    assert house.telemetry.count("lease_expired") == 2


def test_a_callback_answered_in_the_cool_down_takes_the_expiry_back() -> None:
    house = house_with()
    number = dial(house).callback_number
    end(house)
    house.clock.advance(after(minutes=70))
    house.tick()
    house.responder_calls(number)
    house.switchboard.pick_up(identity(ANA))
    house.deliver()
    assert lease_of(house).expired_at is None and house.panel(ANA).callback_number == number
    house.switchboard.hang_up()
    house.deliver()
    house.clock.advance(after(minutes=30))
    house.tick()
    assert lease_of(house).expired_at == DAWN + after(minutes=100)


def test_an_end_that_is_told_late_moves_the_expiry_to_where_it_was() -> None:
    house = house_with()
    dial(house)
    house.clock.advance(after(minutes=50))
    end(house)
    house.clock.advance(after(minutes=31))
    house.tick()
    assert lease_of(house).expired_at == DAWN + after(minutes=80)
    house.end(End(call_id="call-1", by_agent=True, at=DAWN + after(minutes=45)))
    assert lease_of(house).expired_at == DAWN + after(minutes=75)


def test_a_lease_does_not_expire_while_a_leg_is_in_progress() -> None:
    house = house_with()
    dial(house)
    house.clock.advance(after(minutes=75))
    house.tick()
    assert lease_of(house).expired_at is None
    end(house)
    house.clock.advance(after(minutes=29))
    house.tick()
    assert lease_of(house).expired_at is None
    house.clock.advance(after(minutes=1))
    house.tick()
    assert lease_of(house).expired_at == DAWN + after(minutes=105)


def test_a_hold_that_outlasts_the_lease_keeps_neither_the_timer_nor_the_number() -> None:
    house = house_with(Rules(after_call_minutes=0, cool_down_minutes=0, hold_after_drop_minutes=120))
    dial(house)
    end(house, by_agent=False)
    house.clock.advance(after(minutes=60))
    house.tick()
    assert lease_of(house).expired_at == DAWN + after(minutes=60) and house.status(ANA) is DND
    assert not dial(house, "call-2", BEN).shared, "nobody's for whoever asks"
    house.clock.advance(after(minutes=60))
    house.tick()
    house.tick()
    assert house.status(ANA) is AVAILABLE


# The documented behaviour, to the letter


class Situation:
    """What happens to an agent's call, and until when the number is theirs."""

    def __init__(self, ended_after: int | None, redial_after: int | None, lent_for: int) -> None:
        self.ended_after, self.redial_after, self.lent_for = ended_after, redial_after, lent_for

    def play(self, house: House, until: timedelta, *, by_agent: bool) -> None:
        moments = {self.ended_after: "end", self.redial_after: "redial"}
        for minute in range(int(until / after(minutes=1)) + 1):
            house.clock.advance(max(DAWN + after(minutes=minute) - house.clock.now(), timedelta(0)))
            match moments.get(minute):
                case "end":
                    end(house, by_agent=by_agent)
                case "redial":
                    dial(house, "call-2")
                    end(house, "call-2")
                case _:
                    pass
            house.tick()
        house.clock.advance(DAWN + until - house.clock.now())


@pytest.mark.parametrize("by_agent", [True, False])
@pytest.mark.parametrize(
    ("ended_after", "redial_after", "lent_for"),
    [(1, None, 60), (59, None, 60), (60, None, 60), (90, None, 90), (5, 50, 110), (5, 59, 119)],
)
def test_with_zero_minutes_the_number_is_the_agents_for_sixty_minutes_and_not_one_more(
    ended_after: int, redial_after: int | None, lent_for: int, by_agent: bool
) -> None:
    for past, theirs in ((-INSTANT, True), (timedelta(0), False)):
        house = house_with(TO_THE_LETTER)
        number = dial(house).callback_number
        Situation(ended_after, redial_after, lent_for).play(house, after(minutes=lent_for) + past, by_agent=by_agent)
        assert (house.panel(ANA).callback_number == number) == theirs
        assert house.call_back(number) == (identity(ANA) if theirs else DESK), "no rest, in which the last one rings"
        assert dial(house, "call-3", BEN).shared == theirs, "free at that instant, though the timer has not run"
        assert (house.status(ANA) is DND) == (theirs and ended_after == lent_for), "held while the leg is in progress"


@pytest.mark.parametrize("by_agent", [True, False])
def test_with_zero_minutes_presence_returns_after_any_end(by_agent: bool) -> None:
    house = house_with(TO_THE_LETTER)
    dial(house)
    assert house.status(ANA) is DND
    end(house, by_agent=by_agent)
    assert house.status(ANA) is AVAILABLE
    assert house.panel(ANA).banner is None


def test_with_zero_minutes_nothing_is_left_after_the_timer_has_run() -> None:
    house = house_with(TO_THE_LETTER)
    dial(house)
    end(house)
    house.clock.advance(after(minutes=60))
    house.tick()
    assert {row.split("|")[0] for row in house.rows()} == {"free", "number", "pool"}
    assert (house.telemetry.count("lease_expired"), house.telemetry.count("number_released")) == (1, 1)


def test_with_zero_minutes_a_callback_that_rings_at_the_end_goes_on_ringing() -> None:
    house = house_with(TO_THE_LETTER)
    number = dial(house).callback_number
    end(house)
    house.clock.advance(after(minutes=60, seconds=-5))
    house.responder_calls(number)
    house.wait(6)
    house.tick()
    assert house.switchboard.ringing() == [identity(ANA)]
    house.switchboard.pick_up(identity(ANA))
    house.deliver()
    assert house.panel(ANA).callback_number == number, "never ends while a leg is in progress"


# The pool's low water -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "percent", "alarms"),
    [
        (1, 20, [None, "pool_exhausted"]),
        (2, 20, [None, "pool_low", "pool_exhausted"]),
        (4, 20, [None, None, None, "pool_low", "pool_exhausted"]),
        (4, 0, [None, None, None, None, "pool_exhausted"]),
        (10, 20, [None] * 8 + ["pool_low"] * 2 + ["pool_exhausted"]),
    ],
)
def test_a_pool_is_low_before_it_is_empty(pool: int, percent: int, alarms: list[str | None]) -> None:
    house = house_with(pool=pool)
    house.deployment = structs.replace(house.deployment, pool_low_water_percent=percent)
    raised: list[str | None] = []
    for dials in range(pool + 1):
        if dials:
            house.add_agent(Agent(agent_id=f"agent-{dials}", country="US"))
            house.dial(Dial(call_id=f"call-{dials}", agent_id=f"agent-{dials}", dialled="911"))
        house.telemetry.events.clear()
        house.tick()
        events = [event for event, _ in house.telemetry.events if event.startswith("pool_")]
        raised.append(events[0] if events else None)
    assert raised == alarms


def test_the_low_water_of_a_large_pool_is_more_numbers_than_a_page_has() -> None:
    house = house_with(pool=MAX_ROWS_A_PAGE + 100)
    house.deployment = structs.replace(house.deployment, pool_low_water_percent=100)
    house.tick()
    house.telemetry.events.clear()
    house.dial(Dial(call_id="call-1", agent_id=ANA, dialled="911"))
    house.tick()
    assert [facts for event, facts in house.telemetry.events if event == "pool_low"] == [{"free_percent": 99}]
