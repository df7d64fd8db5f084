"""What the real Functions host does to requests and events, as the local host has it: each test names a fact."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.local.host import client_principal, limits
from tests.local.host.event_dates import rewritten
from tests.local.host.repeated import HeaderError, joined_headers, joined_query
from tests.local.host.response_headers import can_be_sent
from tests.local.host.restarts import Restarts
from tests.local.host.routes import decoded
from tests.local.host.runtime import Function
from tests.local.host.timer_state import TimerState
from tests.local.host.timers import Timer

HEAD = {"method": "GET", "raw_path": b"/api/things", "query_string": b"", "headers": []}


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        (b"/api/things/a%2Fb", ["api", "things", "a%2Fb"]),
        (b"/api/things/a%2fb%3A", ["api", "things", "a%2fb:"]),
        (b"/api/things/a%252Fb", ["api", "things", "a%2Fb"]),
        (b"/api/things/%e2%98%8e/", ["api", "things", "☎"]),
        (b"/api//things", ["api", "", "things"]),
    ],
)
def test_a_path_is_decoded_once_but_for_encoded_slashes(path: bytes, arrives: list[str]) -> None:
    assert decoded(path) == arrives


def test_repeated_headers_are_joined_and_empty_ones_stay() -> None:
    sent = [(b"X-A", b"1"), (b"x-b", b""), (b"x-a", b"2")]
    assert joined_headers(sent) == {"x-a": "1,2", "x-b": ""}


def test_header_bytes_are_utf_8() -> None:
    assert joined_headers([(b"x-a", "é".encode())]) == {"x-a": "é"}
    with pytest.raises(HeaderError):
        joined_headers([(b"x-a", b"\xe9")])


def test_repeated_query_values_are_joined_and_empty_ones_dropped() -> None:
    assert joined_query(b"q=a%20b&Q=c&empty=&none") == {"q": "a b,c"}


@pytest.mark.parametrize("value", [None, "", base64.b64encode(b"{}").decode()])
def test_a_principal_that_can_be_read(value: str | None) -> None:
    assert client_principal.is_readable(value)


@pytest.mark.parametrize(
    "value", ["{}", "e30", "%%%", base64.b64encode(b"[]").decode(), base64.b64encode(b"\xff").decode()]
)
def test_a_malformed_principal_cannot_be_read(value: str) -> None:
    assert not client_principal.is_readable(value)


@pytest.mark.parametrize("header", [("x-a", "é"), ("x-é", "a"), ("x-a", "b\r\nc: d")])
def test_a_response_header_outside_ascii_cannot_be_sent(header: tuple[str, str]) -> None:
    assert can_be_sent([("x-a", "b")]) and not can_be_sent([("x-a", "b"), header])


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, None),
        ({"raw_path": b"/" + b"a" * 9000}, 414),
        ({"query_string": b"a" * 9000}, 414),
        ({"headers": [(b"x-a", b"a" * 40_000)]}, 431),
        ({"headers": [(b"x-a", b"a")] * 101}, 431),
        ({"headers": [(b"x-a", b"a" * 20_000)]}, None),
    ],
)
def test_long_paths_and_headers_are_refused(changed: dict[str, object], status: int | None) -> None:
    assert limits.refusal(HEAD | changed) == status


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("2026-11-22T23:00:00+02:00", "2026-11-22T21:00:00+00:00"),
        ("2026-11-22T21:00:00.120Z", "2026-11-22T21:00:00.12Z"),
        ("2026-11-22T21:00:00.000Z", "2026-11-22T21:00:00Z"),
        ("2026-11-22T21:00:00", "2026-11-22T21:00:00"),
        ("2026-13-22T21:00:00Z", "2026-13-22T21:00:00Z"),
        ("2026-11-22", "2026-11-22"),
        ("call 2026-11-22T21:00:00.120Z", "call 2026-11-22T21:00:00.120Z"),
    ],
)
def test_text_in_an_event_that_looks_like_a_date_is_rewritten(sent: str, arrives: str) -> None:
    event = {"id": sent, "data": {"call_id": sent, "list": [sent, 1], sent: None}}
    assert rewritten(event) == {"id": arrives, "data": {"call_id": arrives, "list": [arrives, 1], sent: None}}


def test_a_number_in_an_event_loses_its_last_zero() -> None:
    assert json.dumps(rewritten(json.loads('{"a": 1.10}'))) == '{"a": 1.1}'


def timer(schedule: str) -> Timer:
    return Timer(Function("ticked", "1", {"type": "timerTrigger"}), schedule, 2)


@pytest.mark.parametrize(("schedule", "made_up_for"), [("*/10 * * * * *", False), ("0 * * * * *", True)])
def test_a_missed_schedule_of_a_minute_or_more_is_made_up_for(schedule: str, made_up_for: bool) -> None:
    assert timer(schedule).is_made_up_for is made_up_for


def test_the_last_moment_of_a_schedule_is_found_while_a_run_overruns() -> None:
    at = datetime(2026, 11, 22, 12, 0, 35, tzinfo=UTC)
    assert timer("*/10 * * * * *").last_due(at) == at.replace(second=30)
    assert timer("*/10 * * * * *").last_due(at.replace(second=30)) == at.replace(second=30)


GAP_S = 2.0


def waited(state: TimerState) -> float:
    """How long the host waits for the timers' lock."""

    async def lock() -> float:
        began = time.monotonic()
        async with state.locked():
            return time.monotonic() - began

    return asyncio.run(lock())


def test_timers_rest_after_a_host_died_and_not_after_one_that_ended(tmp_path: Path) -> None:
    path = tmp_path / "timers"
    assert waited(TimerState(path, 1, GAP_S)) < GAP_S / 2
    assert waited(TimerState(path, 2, GAP_S)) < GAP_S / 2
    path.write_text(json.dumps({"host": 2, "until": time.time() + GAP_S}))
    assert waited(TimerState(path, 3, GAP_S)) >= GAP_S / 2


def test_a_worker_that_dies_takes_no_lock_from_its_host(tmp_path: Path) -> None:
    path = tmp_path / "timers"
    path.write_text(json.dumps({"host": 2, "until": time.time() + 60}))
    assert waited(TimerState(path, 2, GAP_S)) < 1


def test_the_last_run_outlives_the_host(tmp_path: Path) -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    TimerState(tmp_path / "timers", 1).ran("ticked", at)
    assert TimerState(tmp_path / "timers", 2).last_run("ticked") == at
    assert TimerState(tmp_path / "timers", 2).last_run("other") is None
    assert TimerState(None, 2).last_run("ticked") is None


def test_the_third_death_in_two_minutes_ends_the_host() -> None:
    restarts = Restarts()
    assert [restarts.delay_s(at) for at in (0.0, 30.0, 119.0)] == [0.0, 5.0, None]
    later = Restarts()
    assert [later.delay_s(at) for at in (0.0, 30.0, 121.0, 300.0)] == [0.0, 5.0, 5.0, 0.0]
