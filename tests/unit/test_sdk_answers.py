"""What a service says of when to come again."""

from types import SimpleNamespace
from typing import Any

import pytest

from shared.adapters.sdk_answers import MIN_WAIT_S, USUAL_WAIT_S, retry_after_s

MAX_WAIT_S = 600.0
NOON, AT_ONE = "Tue, 10 Nov 2026 12:00:00 GMT", "Tue, 10 Nov 2026 13:00:00 GMT"


def wait_s(**headers: str) -> float:
    answer: Any = SimpleNamespace(headers={name.replace("_", "-"): said for name, said in headers.items()})
    return retry_after_s(answer, most_s=MAX_WAIT_S)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("7", 7.0),
        ("0", MIN_WAIT_S),
        ("9999", MAX_WAIT_S),
        ("-1", MIN_WAIT_S),
        ("inf", MAX_WAIT_S),
        ("nan", MIN_WAIT_S),
        ("soon", USUAL_WAIT_S),
        ("", USUAL_WAIT_S),
        # RFC 9110, 10.2.3: a time is said against the one of the answer itself.
        ("Tue, 10 Nov 2026 12:00:45 GMT", 45.0),
        ("Tuesday, 10-Nov-26 12:00:45 GMT", 45.0),
        ("Tue Nov 10 12:00:45 2026", 45.0),
        (AT_ONE, MAX_WAIT_S),
        ("Tue, 10 Nov 2026 11:59:00 GMT", MIN_WAIT_S),
        ("Tue, 99 Nov 2026 12:00:45 GMT", USUAL_WAIT_S),
    ],
)
def test_seconds_and_times_are_read_within_reason(said: str, expected: float) -> None:
    assert wait_s(Retry_After=said, Date=NOON) == expected


@pytest.mark.parametrize("date", ["", "today"])
def test_a_time_without_one_of_the_answer_says_nothing(date: str) -> None:
    assert wait_s(Retry_After=AT_ONE, Date=date) == USUAL_WAIT_S
    assert wait_s(Retry_After=AT_ONE) == USUAL_WAIT_S


def test_without_a_word_it_is_the_usual_wait() -> None:
    assert wait_s() == USUAL_WAIT_S
    assert retry_after_s(None, most_s=MAX_WAIT_S) == USUAL_WAIT_S
