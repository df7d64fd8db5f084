"""When a process looks for what is overdue: after its start, while it serves, and never on the way of a dial (B6)."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from shared.adapters.take_up import SERVING_S, STARTING_S, TakeUp
from shared.adapters.threads import Crew, Lock
from shared.domain.emergencies import FIRST_TRY_WITHIN
from shared.domain.errors import Unavailable
from tests.fakes.house import Counter

RELIEVED_WITHIN_S, RELIEVED_AFTER_START_S = 20.0, 10.0
SENT_WITHIN_S = 1.0


class OverError(BaseException):
    """Nothing more happens."""


class Course:
    """Port `Threads`, with one thread in virtual time; `invocations` happen at these seconds while it waits."""

    def __init__(self, *invocations: float, until: float = 100.0) -> None:
        self.now = 0.0
        self.invocations = list(invocations)
        self.until = until
        self.served: Callable[[], None] = lambda: None
        self.work: Callable[[], None] = lambda: None

    def lock(self) -> Lock:
        return threading.Lock()

    def signal(self) -> "Course.Woken":
        return Course.Woken(self)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pass_until(self.now + seconds)

    def begin(self, name: str, work: Callable[[], None]) -> None:
        self.work = work

    def crew(self, name: str, size: int) -> Crew:
        raise NotImplementedError

    def pass_until(self, end: float) -> None:
        if end > self.until:
            raise OverError
        while self.invocations and self.invocations[0] <= end:
            self.now = self.invocations.pop(0)
            self.served()
        self.now = end

    class Woken:
        """Port `Signal`."""

        def __init__(self, course: "Course") -> None:
            self._course = course
            self._set = False

        def set(self) -> None:
            self._set = True

        def is_set(self) -> bool:
            return self._set

        def wait(self, timeout: float | None = None) -> bool:
            while not self._set:
                if not self._course.invocations:
                    raise OverError
                self._course.pass_until(self._course.invocations[0])
            return True


def looks(course: Course, *, failing: Exception | None = None, telemetry: Counter | None = None) -> list[float]:
    """When it looked."""
    at: list[float] = []

    def look() -> None:
        at.append(course.now)
        if failing is not None:
            raise failing

    take_up = TakeUp(look, telemetry or Counter(), threads=course)
    course.served = take_up.served
    take_up.begin()
    with suppress(OverError):
        course.work()
    return at


def test_a_process_that_has_started_relieves_its_predecessor_within_ten_seconds() -> None:
    """Whatever a process owed that died just as this one started is overdue after `FIRST_TRY_WITHIN`."""
    overdue_s = FIRST_TRY_WITHIN.total_seconds()
    found_at = next(at for at in looks(Course()) if at >= overdue_s)
    assert found_at + SENT_WITHIN_S <= RELIEVED_AFTER_START_S


def test_it_looks_no_more_where_nothing_is_served() -> None:
    assert max(looks(Course())) <= STARTING_S + 1


@pytest.mark.parametrize("served_at", [*range(31, 52)])
def test_whatever_it_serves_in_twenty_seconds_makes_it_relieve_another_process(served_at: int) -> None:
    """Another process dies at 30 s with a dial just answered; this one serves one invocation at `served_at`."""
    died_at = 30.0
    overdue_at = died_at + FIRST_TRY_WITHIN.total_seconds()
    at = looks(Course(served_at))
    found_at = next(look for look in at if look >= overdue_at)
    assert found_at + SENT_WITHIN_S <= max(died_at + RELIEVED_WITHIN_S, served_at + SENT_WITHIN_S + 1)


def test_it_looks_on_for_half_a_minute_after_an_invocation() -> None:
    at = looks(Course(40.0))
    assert [look for look in at if look > 40] and max(at) <= 40 + SERVING_S + 5


def test_a_busy_process_looks_every_few_seconds() -> None:
    """Not for every invocation: a crowd's requests cost no more looks than one."""
    at = [look for look in looks(Course(*[20 + n / 100 for n in range(6000)])) if 30 <= look < 70]
    assert 8 <= len(at) <= 12


def test_it_stands_back_while_dials_are_answered() -> None:
    course, stood_back = Course(until=2.5), list[float]()
    take_up = TakeUp(lambda: stood_back.append(0.0), Counter(), stand_back=stood_back.append, threads=course)
    take_up.begin()
    with suppress(OverError):
        course.work()
    assert stood_back == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(("failing", "said"), [(Unavailable(), []), (KeyError("+14255550101"), ["unforeseen_error"])])
def test_what_a_look_raises_ends_nothing(failing: Exception, said: list[str]) -> None:
    telemetry = Counter()
    at = looks(Course(until=3.5), failing=failing, telemetry=telemetry)
    assert len(at) == 3
    assert [event for event, _ in telemetry.events] == said * 3
    assert "4255550101" not in str(telemetry.events)


def test_it_begins_once() -> None:
    course = Course()
    take_up = TakeUp(lambda: None, Counter(), threads=course)
    take_up.begin()
    first, course.work = course.work, lambda: None
    take_up.begin()
    assert first != course.work and course.work() is None


def test_the_pauses_leave_time_to_send() -> None:
    assert timedelta(seconds=5) < FIRST_TRY_WITHIN < timedelta(seconds=RELIEVED_AFTER_START_S - SENT_WITHIN_S)
