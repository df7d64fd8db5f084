"""Who is lent which number, by rules alone (B2)."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from shared.domain.leases import Lease, Rules
from shared.domain.pool import (
    Exhausted,
    NumberUse,
    Rest,
    activity_of,
    had_enough,
    leases_to_ring,
    may_be_taken,
    notices_a_window,
    numbers_to_share,
    pool_of,
    ration_over,
    ration_window,
    resting_numbers,
    unlisted_numbers_at_most,
)
from tests.fakes.house import numbers

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
ONE, TWO, THREE = POOL = numbers(3)


def ago(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


def idle(number: str, minutes: int) -> NumberUse:
    return NumberUse(number, ago(minutes), busy=False)


def in_a_call(number: str, minutes: int = 1) -> NumberUse:
    return NumberUse(number, ago(minutes), busy=True)


def shared_out(*uses: NumberUse) -> tuple[str, ...]:
    return numbers_to_share(activity_of(uses, POOL))


def test_the_number_whose_last_leg_ended_longest_ago_is_shared_first() -> None:
    assert shared_out(idle(ONE, 5), idle(TWO, 50), in_a_call(THREE)) == (TWO,)


def test_the_most_active_holder_speaks_for_a_number() -> None:
    assert shared_out(idle(ONE, 90), idle(ONE, 5), idle(TWO, 50)) == (TWO,)
    assert shared_out(idle(ONE, 90), in_a_call(ONE), idle(TWO, 1)) == (TWO,)


def test_where_all_are_in_a_call_the_one_with_the_fewest_sharers_is_shared() -> None:
    uses = (in_a_call(ONE), in_a_call(ONE), in_a_call(TWO, 200), in_a_call(THREE), in_a_call(THREE))
    assert shared_out(*uses) == (TWO,)


def test_among_equals_chance_decides_so_that_a_burst_spreads() -> None:
    uses = [in_a_call(number, minutes) for minutes, number in enumerate(POOL, start=1)]
    assert set(shared_out(*uses)) == set(POOL)
    exhausted = Exhausted((), activity_of(uses, POOL))
    assert sorted(exhausted.share(min) or "" for _ in POOL) == sorted(POOL)


def test_nobody_joins_or_follows_on_a_number_that_left_the_pool() -> None:
    (gone,) = numbers(1, first=150)
    activity = activity_of([idle(gone, 90), idle(ONE, 5)], POOL)
    assert numbers_to_share(activity) == (ONE,)
    assert resting_numbers([Rest(number=gone, ends_at=ago(1))], {}, POOL, NOW) == ()
    assert numbers_to_share({}) == ()


def test_a_number_rests_once_every_holders_lease_is_over_the_longest_resting_first() -> None:
    rests = [
        Rest(number=ONE, ends_at=ago(5)),
        Rest(number=TWO, ends_at=ago(9)),
        Rest(number=THREE, ends_at=ago(30)),
        Rest(number=THREE, ends_at=NOW + timedelta(seconds=1)),
    ]
    assert resting_numbers(rests, {}, POOL, NOW) == (TWO, ONE)
    assert resting_numbers(rests, activity_of([in_a_call(TWO)], POOL), POOL, NOW) == (ONE,)
    assert resting_numbers([Rest(number=ONE, ends_at=NOW)], {}, POOL, NOW) == (ONE,), "it ends at that instant"


def test_a_number_whose_holders_no_reading_shows_counts_as_one_in_a_call() -> None:
    exhausted = Exhausted((), activity_of([in_a_call(ONE), in_a_call(ONE)], POOL))
    assert exhausted.unseen(POOL) == [TWO, THREE]
    exhausted.hold([TWO], NOW)
    assert exhausted.unseen(POOL) == [THREE]
    assert exhausted.share(min) == TWO, "one sharer is fewer than two"


def test_what_rests_is_for_one_dial_of_a_burst_to_try_the_longest_first() -> None:
    exhausted = Exhausted((TWO, ONE), {})
    assert [exhausted.take_resting() for _ in range(3)] == [TWO, ONE, None]
    assert exhausted.share(min) is None, "nobody holds anything"


def test_a_number_is_taken_only_from_whoever_had_it_last_and_lost_it_to_time() -> None:
    over = Lease(number=ONE, epoch="1", shared=False, lent_at=ago(60), dialled_at=ago(60), last_ended_at=ago(30))
    lives = structs.replace(over, dialled_at=ago(59))
    assert may_be_taken(over, ONE, Rules(), NOW)
    assert not may_be_taken(lives, ONE, Rules(), NOW)
    assert may_be_taken(structs.replace(lives, drill=True), ONE, Rules(), NOW), "a drill's number is anybody's"
    assert not may_be_taken(structs.replace(over, lost=True), ONE, Rules(), NOW), "somebody took it already"
    assert not may_be_taken(over, TWO, Rules(), NOW), "they have another one by now"
    assert not may_be_taken(None, ONE, Rules(), NOW)


def test_each_number_is_in_the_pool_of_its_zone_in_the_order_of_the_setting() -> None:
    canada = "+14165550100"
    pool = pool_of((TWO, canada, ONE))
    assert pool.numbers == (TWO, canada, ONE)
    assert pool.by_zone == {"CA": (canada,), "US": (TWO, ONE)} and pool.sizes == {"CA": 1, "US": 2}


def test_agents_outside_the_directory_have_a_fifth_of_the_pool_and_always_one() -> None:
    assert [unlisted_numbers_at_most(numbers(count)) for count in (0, 1, 4, 5, 9, 10, 20)] == [1, 1, 1, 1, 1, 2, 4]


@pytest.mark.parametrize(
    ("shared", "rung"),
    [
        ("sssssss", [0, 1, 2, 3, 4]),
        ("ssssssu", [0, 1, 2, 3, 6]),
        ("usssssu", [0, 1, 2, 3, 6]),
        ("su", [0, 1]),
        ("uuuuuuu", [0, 1, 2, 3, 4]),
    ],
)
def test_whoever_held_a_number_unshared_stays_among_the_five_who_are_rung(shared: str, rung: list[int]) -> None:
    live = [
        Lease(number="+14255550100", epoch=str(n), shared=each == "s", lent_at=NOW, dialled_at=NOW)
        for n, each in enumerate(shared)
    ]
    assert [int(lease.epoch) for lease in leases_to_ring(live)] == rung


def test_an_agent_may_cause_five_notices_and_all_whom_a_machine_names_outside_the_directory_thirty() -> None:
    assert [notices_a_window(each) for each in (None, "agent:eve", "machine:m", "source:s")] == [5, 5, 30, 30]


def test_enough_is_five_notices_in_these_ten_minutes() -> None:
    now = NOW + timedelta(minutes=15)
    assert ration_over(now) == NOW + timedelta(minutes=20)
    within = [NOW + timedelta(minutes=10 + n) for n in range(5)]
    assert had_enough(within, now)
    assert not had_enough([*within[1:], NOW + timedelta(minutes=9)], now)


def test_the_ration_of_notices_is_counted_in_windows_of_ten_minutes() -> None:
    assert ration_window(NOW + timedelta(minutes=19, seconds=59, microseconds=1)) == NOW + timedelta(minutes=10)
    assert ration_window(NOW) == NOW
