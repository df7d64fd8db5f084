"""When a request says that it was first sent: so that the service knows its repeat."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.adapters.repeatable_requests import MAX_KEPT, STEP_S, TRACKED, RepeatableRequests
from tests.fakes.house import HandClock

SERVICE_TRACKS = timedelta(minutes=5)
FIRST_SENT = "Repeatability-First-Sent"


def at_the_beginning_of_a_step() -> HandClock:
    clock = HandClock()
    clock.advance(timedelta(seconds=STEP_S - clock.now().timestamp() % STEP_S))
    return clock


def test_all_repeats_within_the_time_say_the_same_and_none_what_the_service_no_longer_tracks() -> None:
    clock = at_the_beginning_of_a_step()
    clock.advance(timedelta(seconds=STEP_S - 1))
    requests, began = RepeatableRequests(clock), clock.now()
    said = []
    for _ in range(600):
        said.append(requests.headers("one")[FIRST_SENT])
        assert timedelta(0) <= clock.now() - parsedate_to_datetime(said[-1]) < SERVICE_TRACKS - timedelta(seconds=30)
        clock.advance(timedelta(seconds=1))
    assert len(set(said[: int((TRACKED - timedelta(seconds=STEP_S)).total_seconds())])) == 1
    assert parsedate_to_datetime(said[0]) <= began


def test_another_process_says_the_same_within_a_step() -> None:
    clock = at_the_beginning_of_a_step()
    first = RepeatableRequests(clock).headers("one")
    clock.advance(timedelta(seconds=STEP_S - 1))
    assert RepeatableRequests(clock).headers("one") == first


def test_the_time_is_written_as_http_writes_it() -> None:
    clock = at_the_beginning_of_a_step()
    assert requests_time(RepeatableRequests(clock)) == clock.now().astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def requests_time(requests: RepeatableRequests) -> str:
    return requests.headers("one")[FIRST_SENT]


def test_what_is_remembered_is_bounded() -> None:
    clock = HandClock()
    requests = RepeatableRequests(clock)
    before = requests.headers("one")
    for number in range(MAX_KEPT):
        requests.headers(str(number))
    clock.advance(timedelta(seconds=STEP_S))
    assert requests.headers("one") != before
    assert isinstance(parsedate_to_datetime(before[FIRST_SENT]), datetime)
