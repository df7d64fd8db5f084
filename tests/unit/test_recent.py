"""What a process remembers by key goes by time, and where there is too much."""

from datetime import timedelta

from shared.adapters.recent import Recent
from tests.fakes.house import HandClock

LASTS = timedelta(hours=1)


def recent(clock: HandClock, most: int = 10) -> Recent[str]:
    return Recent(clock, lasts=LASTS, most=most)


def test_what_was_noted_is_known_until_its_time_is_over() -> None:
    clock = HandClock()
    known = recent(clock)
    known.note("a", "first")
    clock.advance(LASTS - timedelta(seconds=1))
    assert known.get("a") == "first" and len(known) == 1
    clock.advance(timedelta(seconds=1))
    assert known.get("a") is None and len(known) == 0


def test_what_is_noted_again_lasts_from_then_on_and_the_others_go_before_it() -> None:
    clock = HandClock()
    known = recent(clock)
    for key in ("a", "b"):
        known.note(key, "first")
    clock.advance(LASTS / 2)
    known.note("a", "second")
    clock.advance(LASTS / 2)
    assert known.get("b") is None
    assert known.get("a") == "second"


def test_of_too_many_the_oldest_goes() -> None:
    known = recent(HandClock(), most=2)
    for key in ("a", "b", "a", "c"):
        known.note(key, key)
    assert [known.get(key) for key in ("a", "b", "c")] == ["a", None, "c"]


def test_what_was_dropped_is_gone_and_nothing_can_be_dropped_twice() -> None:
    known = recent(HandClock())
    known.note("a", "first")
    known.drop("a")
    known.drop("a")
    assert known.get("a") is None
