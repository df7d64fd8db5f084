"""Whoever asks for something slow is told in time what is known, with its age."""

import threading
from collections.abc import Callable

import pytest

from shared.adapters.background_look import BackgroundLook
from shared.adapters.service_reach import ServiceReach
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Refused, Unavailable
from shared.domain.readiness import CheckState
from shared.domain.service_checks import Service, service_checks
from tests.fakes.house import Counter, HandClock, after

CLOCK = SystemClock()
LONG_S = 10.0


class Door:
    """What a look waits at until a test opens it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.looks = 0

    def look(self, _: Deadline) -> int:
        self.looks += 1
        assert self.open.wait(LONG_S)
        return self.looks


def looking(look: Callable[[Deadline], int], clock: HandClock, telemetry: Counter) -> BackgroundLook[int]:
    return BackgroundLook("test", look, clock, telemetry, within_s=LONG_S, remembered_s=60.0)


def test_nobody_waits_longer_than_they_can_and_the_next_is_told_what_came_of_it() -> None:
    door = Door()
    look = looking(door.look, HandClock(), Counter())
    assert look.seen(Deadline(CLOCK, 0.05)) is None
    assert look.seen(Deadline(CLOCK, 0.05)) is None
    door.open.set()
    assert look.seen(Deadline(CLOCK, LONG_S)) == 1 == door.looks


def test_what_was_seen_is_remembered_and_an_old_one_is_told_while_somebody_looks() -> None:
    door, clock = Door(), HandClock()
    look = looking(door.look, clock, Counter())
    door.open.set()
    assert look.seen(Deadline(CLOCK, LONG_S)) == 1 == look.seen(Deadline(CLOCK, 0))
    clock.advance(after(seconds=60))
    door.open.clear()
    assert look.seen(Deadline(CLOCK, 0.05)) == 1
    door.open.set()
    assert look.seen(Deadline(CLOCK, LONG_S)) == 2


@pytest.mark.parametrize(("error", "said"), [(Unavailable(), 0), (ValueError("+14255550100"), 1)])
def test_a_look_that_fails_leaves_what_was_seen_and_says_no_more_than_its_class(error: Exception, said: int) -> None:
    clock, telemetry, fails = HandClock(), Counter(), False

    def looks(_: Deadline) -> int:
        if fails:
            raise error
        return 1

    look = looking(looks, clock, telemetry)
    assert look.seen(Deadline(CLOCK, LONG_S)) == 1
    fails = True
    clock.advance(after(seconds=60))
    assert look.seen(Deadline(CLOCK, LONG_S)) == 1
    assert telemetry.count("unforeseen_error") == said
    assert "+1425" not in str(telemetry.events)


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (None, CheckState.OK, "answered in"),
        (NotFound(), CheckState.OK, "answered in"),
        (Refused(code="status_403"), CheckState.PROBLEM, "refuses the app (status_403)"),
        (Unavailable(reason="settings"), CheckState.PROBLEM, "does not answer (settings)"),
    ],
)
def test_what_a_service_says_is_told(error: Exception | None, state: CheckState, said: str) -> None:
    def ping(_: Deadline) -> None:
        if error is not None:
            raise error

    reach = ServiceReach({Service.EMAIL: ping}, HandClock(), Counter())
    [check] = service_checks(reach.reached(Deadline(CLOCK, LONG_S)))
    assert (check.id, check.state) == ("email_service", state)
    assert said in check.reason


def test_a_service_that_hangs_is_unknown_at_first_and_slow_ones_are_named() -> None:
    door, clock = threading.Event(), HandClock()

    def hangs(_: Deadline) -> None:
        assert door.wait(LONG_S)
        clock.advance(after(seconds=0.6))

    reach = ServiceReach({Service.CALLS: hangs}, clock, Counter())
    [check] = service_checks(reach.reached(Deadline(CLOCK, 0.05)))
    assert check.state is CheckState.UNKNOWN and check.remedy
    door.set()
    [check] = service_checks(reach.reached(Deadline(CLOCK, LONG_S)))
    assert check.state is CheckState.WARNING and "600 ms" in check.reason
