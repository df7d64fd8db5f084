"""The breaker, on a clock that the test moves."""

from datetime import UTC, datetime

import pytest

from shared.adapters.breaker import FAILURES_IN_A_ROW, OPEN_S, Breaker
from shared.domain.errors import Unavailable


class Clock:
    def __init__(self) -> None:
        self.at_s = 100.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at_s


class Count:
    def __init__(self) -> None:
        self.events: list[str] = []

    def emit(self, event: str, **facts: str | float | bool) -> None:
        self.events.append(event)


def fail(breaker: Breaker, times: int = FAILURES_IN_A_ROW) -> None:
    for _ in range(times):
        breaker.admit().failed()


def test_it_opens_after_five_in_a_row_and_not_before() -> None:
    count = Count()
    breaker = Breaker(Clock(), count)
    fail(breaker, FAILURES_IN_A_ROW - 1)
    breaker.admit().answered()
    fail(breaker, FAILURES_IN_A_ROW - 1)
    breaker.admit().dropped()
    assert count.events == []
    fail(breaker, 1)
    assert count.events == ["breaker_open"]
    with pytest.raises(Unavailable):
        breaker.admit()


def test_after_a_second_one_probe_decides() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    fail(breaker)
    clock.at_s += OPEN_S - 0.001
    with pytest.raises(Unavailable):
        breaker.admit()
    clock.at_s += 0.001
    probe = breaker.admit()
    with pytest.raises(Unavailable):
        breaker.admit()
    probe.failed()
    with pytest.raises(Unavailable):
        breaker.admit()
    clock.at_s += OPEN_S
    breaker.admit().answered()
    for _ in range(3):
        breaker.admit()


def test_a_probe_that_tells_nothing_makes_room_for_the_next() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    fail(breaker)
    clock.at_s += OPEN_S
    breaker.admit().dropped()
    breaker.admit().answered()
    breaker.admit()


def test_a_probe_of_somebody_patient_does_not_keep_others_away() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    fail(breaker)
    clock.at_s += OPEN_S
    patient = breaker.admit()
    clock.at_s += OPEN_S
    breaker.admit().answered()
    patient.failed()
    breaker.admit()


def test_only_the_first_word_of_an_attempt_counts() -> None:
    breaker = Breaker(Clock())
    attempt = breaker.admit()
    for _ in range(FAILURES_IN_A_ROW):
        attempt.failed()
    late = breaker.admit()
    late.failed()
    late.answered()
    fail(breaker, FAILURES_IN_A_ROW - 2)
    with pytest.raises(Unavailable):
        breaker.admit()


def test_those_under_way_when_it_opens_do_not_keep_it_open() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    under_way = [breaker.admit() for _ in range(20)]
    for attempt in under_way[:FAILURES_IN_A_ROW]:
        attempt.failed()
    clock.at_s += OPEN_S / 2
    for attempt in under_way[FAILURES_IN_A_ROW:]:
        attempt.failed()
    clock.at_s += OPEN_S / 2
    breaker.admit().answered()
