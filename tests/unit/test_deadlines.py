"""Deadlines that are put off while a service gives signs of life, and who waits with them."""

import threading
from datetime import timedelta

import pytest

from shared.adapters.breaker import Breaker
from shared.adapters.deadline_pool import DeadlinePool
from shared.adapters.system_clock import SystemClock
from shared.deadlines import LOOK_AGAIN_AFTER_S, Deadline, PatientDeadline
from shared.domain.errors import Unavailable
from tests.fakes.house import HandClock


def test_it_is_put_off_while_somebody_is_alive_and_to_the_latest_moment_at_most() -> None:
    clock, alive = HandClock(), [True]
    deadline = PatientDeadline(clock, 0.3, at_most_s=0.9, alive=lambda: alive[0])
    assert deadline.remaining_s() == pytest.approx(0.3) and deadline.latest_s() == pytest.approx(0.9)
    clock.advance(timedelta(seconds=0.5))
    assert deadline.remaining_s() == LOOK_AGAIN_AFTER_S and not deadline.passed()
    alive[0] = False
    assert deadline.passed()
    alive[0] = True
    clock.advance(timedelta(seconds=0.38))
    assert deadline.remaining_s() == pytest.approx(0.02)
    clock.advance(timedelta(seconds=0.02))
    assert deadline.passed()


def test_it_is_never_shorter_than_what_is_given_to_a_service_that_is_away() -> None:
    deadline = PatientDeadline(HandClock(), 0.3, at_most_s=0.1, alive=lambda: True)
    assert deadline.remaining_s() == pytest.approx(0.3) and deadline.latest_s() == pytest.approx(0.3)
    assert Deadline(HandClock(), 0.2).latest_s() == pytest.approx(0.2)


def test_a_service_is_alive_for_as_long_as_its_last_answer_is_fresh() -> None:
    clock = HandClock()
    breaker = Breaker(clock)
    assert not breaker.answered_within(1e9), "it has never answered"
    breaker.admit().answered()
    clock.advance(timedelta(seconds=0.2))
    assert breaker.answered_within(0.2) and not breaker.answered_within(0.19)
    breaker.admit().failed()
    breaker.admit().dropped()
    assert not breaker.answered_within(0.19), "a failure is no sign of life"


def test_whoever_waits_has_the_answer_that_comes_in_the_time_that_was_added() -> None:
    pool, late = DeadlinePool("test", 1), threading.Event()
    waited = [0]

    def alive() -> bool:
        waited[0] += 1
        if waited[0] == 3:
            late.set()
        return True

    deadline = PatientDeadline(SystemClock(), 0.01, at_most_s=30.0, alive=alive)
    assert pool.submit(lambda: late.wait(30.0), deadline).result() is True
    pool.close()


def test_whoever_waits_for_the_dead_gives_up_at_the_first_moment() -> None:
    pool, never = DeadlinePool("test", 1), threading.Event()
    told: list[str] = []
    deadline = PatientDeadline(SystemClock(), 0.5, at_most_s=30.0, alive=lambda: False)
    pending = pool.submit(lambda: never.wait(30.0), deadline, lambda: told.append("late"))
    with pytest.raises(Unavailable):
        pending.result()
    assert told == ["late"]
    never.set()
    pool.close()


def test_work_that_raises_a_timeout_of_its_own_is_not_waited_for_again() -> None:
    def work() -> None:
        raise TimeoutError

    pool = DeadlinePool("test", 1)
    with pytest.raises(Unavailable):
        pool.submit(work, Deadline(SystemClock(), 30.0)).result()
    pool.close()


def test_what_found_no_place_or_no_thread_was_not_done_and_what_runs_may_be() -> None:
    pool, never = DeadlinePool("test", 1, waiting=1), threading.Event()
    runs, waits = (pool.submit(lambda: never.wait(30.0), Deadline(SystemClock(), 0.1)) for _ in range(2))
    undone = []
    for ask in (lambda: pool.submit(never.set, Deadline(SystemClock(), 30.0)), runs.result, waits.result):
        with pytest.raises(Unavailable) as caught:
            ask()
        undone.append(caught.value.undone)
    assert undone == [True, False, True]
    never.set()
    pool.close()
