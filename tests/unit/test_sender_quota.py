"""How many messages the sender may send (B6): by the clock's minute and hour, and in turn once somebody had to wait."""

from datetime import UTC, datetime, timedelta

from shared.domain.sender_quota import SenderQuota, Sent, given_back, grant, is_crisis

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
QUOTA = SenderQuota(per_minute=3, per_hour=5)


def at(minutes: int = 0, seconds: int = 0) -> datetime:
    return NOON + timedelta(minutes=minutes, seconds=seconds)


def granted(asked: list[tuple[datetime, int, bool]], quota: SenderQuota = QUOTA) -> list[int]:
    sent, found = Sent(), []
    for now, wanted, in_turn in asked:
        count, sent = grant(sent, quota, wanted, now, in_turn=in_turn)
        found.append(count)
    return found


def test_a_minute_has_its_quota_and_the_next_one_has_it_again() -> None:
    assert granted([(at(seconds=1), 2, True), (at(seconds=59), 2, True), (at(1), 2, True)]) == [2, 1, 2]


def test_an_hour_has_its_own() -> None:
    asked = [(at(), 3, True), (at(1), 3, True), (at(2), 1, True), (at(59, 59), 1, True), (at(60), 1, True)]
    assert granted(asked) == [3, 2, 0, 0, 1]


def test_once_somebody_had_to_wait_only_those_in_turn_are_served_for_that_minute_and_the_next() -> None:
    quota = SenderQuota(per_minute=3, per_hour=1_000)
    asked = [
        (at(), 3, False),
        (at(seconds=10), 1, False),
        (at(1), 1, False),
        (at(1), 2, True),
        (at(1, 59), 1, False),
        (at(2), 1, False),
    ]
    assert granted(asked, quota) == [3, 0, 0, 2, 0, 1]


def test_whoever_is_only_out_of_turn_does_not_prolong_it() -> None:
    quota = SenderQuota(per_minute=1, per_hour=1_000)
    asked = [(at(), 2, False), (at(1), 1, False), (at(2), 1, False)]
    assert granted(asked, quota) == [1, 0, 1]


def test_a_clock_that_runs_behind_opens_no_window_again() -> None:
    assert granted([(at(1), 3, True), (at(seconds=59), 3, True)]) == [3, 0]


def test_what_was_not_wanted_is_no_crisis() -> None:
    _, sent = grant(Sent(), QUOTA, 3, at(), in_turn=False)
    assert not is_crisis(sent, at())
    _, short = grant(sent, QUOTA, 1, at(), in_turn=False)
    assert is_crisis(short, at()) and is_crisis(short, at(1, 59)) and not is_crisis(short, at(2))


def test_a_third_is_never_nothing() -> None:
    assert SenderQuota(30, 100).third == SenderQuota(10, 33)
    assert SenderQuota(1, 2).third == SenderQuota(1, 1)


def test_a_clock_that_ran_hours_ahead_silences_nobody() -> None:
    assert granted([(at(180), 3, True), (at(), 3, True), (at(seconds=1), 1, True)]) == [3, 3, 0]


def test_counts_of_a_day_to_come_silence_nobody() -> None:
    ahead = at(60 * 24 * 365)
    for sent in (Sent(minute=ahead), Sent(hour=ahead, in_hour=5), Sent(short_at=ahead)):
        assert not is_crisis(sent, at())
        assert grant(sent, QUOTA, 1, at(), in_turn=False)[0] == 1


def test_what_is_given_back_counts_no_more_in_its_own_minute_and_hour() -> None:
    _, sent = grant(Sent(), QUOTA, 3, at(), in_turn=True)
    assert grant(given_back(sent, at(seconds=59)), QUOTA, 3, at(), in_turn=True)[0] == 1
    _, later = grant(sent, QUOTA, 2, at(1), in_turn=True)
    assert later == given_back(later, at(60)), "of another hour"
    back = given_back(later, at())
    assert (back.in_minute, back.in_hour) == (2, 4), "of an earlier minute of this hour"
    assert given_back(Sent(minute=at(), hour=at()), at()) == Sent(minute=at(), hour=at()), "never less than none"
