"""How long a lease lives (S3, B2, B3)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from shared.domain.leases import RULES_OF_DRILLS, Lease, Rules

DIALLED = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
RULES = Rules()
LEASE = Lease(number="+14255550100", epoch="e", shared=False, lent_at=DIALLED, dialled_at=DIALLED)
SECOND = timedelta(seconds=1)
MINUTES = st.integers(0, 500).map(lambda minutes: timedelta(minutes=minutes))


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def test_sixty_minutes_after_dialling_at_least() -> None:
    ended = structs.replace(LEASE, last_ended_at=DIALLED + minutes(1))
    assert ended.lives(RULES, DIALLED + minutes(60) - SECOND)
    assert not ended.lives(RULES, DIALLED + minutes(60))


def test_thirty_minutes_after_the_last_leg_if_that_is_later() -> None:
    ended = structs.replace(LEASE, last_ended_at=DIALLED + minutes(50))
    assert ended.lives(RULES, DIALLED + minutes(80) - SECOND)
    assert not ended.lives(RULES, DIALLED + minutes(80))


def test_a_shorter_window_takes_nothing_from_whoever_was_promised_more_and_a_longer_one_gives() -> None:
    promised = structs.replace(LEASE, kept_until=DIALLED + minutes(60))
    shorter, longer = Rules(window_minutes=10), Rules(window_minutes=90)
    assert promised.ends_at(shorter) == promised.promised_until(shorter) == DIALLED + minutes(60)
    assert promised.ends_at(longer) == promised.promised_until(longer) == DIALLED + minutes(90)


def test_a_shorter_time_after_the_call_or_of_rest_takes_nothing_either_and_a_longer_one_gives() -> None:
    ended = structs.replace(LEASE, last_ended_at=DIALLED + minutes(50))
    promised = structs.replace(ended, kept_after_call_minutes=30, kept_cool_down_minutes=60)
    shorter, longer = (Rules(after_call_minutes=each, cool_down_minutes=each) for each in (0, 90))
    assert promised.ends_at(shorter) == promised.promised_until(shorter) == DIALLED + minutes(80)
    assert promised.released_at(shorter) == DIALLED + minutes(140)
    assert promised.ends_at(longer) == promised.promised_until(longer) == DIALLED + minutes(140)
    assert promised.released_at(longer) == DIALLED + minutes(230)
    assert ended.released_at(shorter) == DIALLED + minutes(60), "a row of an older version says nothing of it"
    assert structs.replace(promised, drill=True).own(shorter) is RULES_OF_DRILLS


def test_never_while_a_leg_is_in_progress() -> None:
    busy = structs.replace(LEASE, busy_until=DIALLED + RULES.max_call)
    assert busy.lives(RULES, DIALLED + RULES.max_call)
    assert busy.ends_at(RULES) == DIALLED + RULES.max_call + RULES.after_call


def test_a_number_that_was_lent_again_is_lost_at_once() -> None:
    assert not structs.replace(LEASE, lost=True).lives(RULES, DIALLED)
    assert not structs.replace(LEASE, lost=True).lasts(RULES, DIALLED)


def test_a_fallback_number_is_nobodys_and_what_is_said_of_it_holds_as_long_as_a_lease_would() -> None:
    bare = structs.replace(LEASE, lost=True, fallback=True)
    assert not bare.lives(RULES, DIALLED) and bare.lasts(RULES, DIALLED)
    assert bare.lasts(RULES, bare.ends_at(RULES) - SECOND) and not bare.lasts(RULES, bare.ends_at(RULES))


def test_a_leg_that_lasts_beyond_the_promise_has_no_end_that_lies_in_the_past() -> None:
    talking = structs.replace(LEASE, busy_until=DIALLED + RULES.max_call)
    promised = talking.promised_until(RULES)
    before, beyond = promised - SECOND, promised + minutes(15)
    assert talking.expires_at(RULES, before) == talking.reachable_until(RULES, before) == promised
    assert talking.expires_at(RULES, beyond) is None and talking.lasts(RULES, beyond)
    assert talking.reachable_until(RULES, beyond) == beyond + RULES.after_call
    ended_then = structs.replace(LEASE, last_ended_at=beyond)
    assert ended_then.ends_at(RULES) >= talking.reachable_until(RULES, beyond), "it is kept, even if it ends at once"


@given(ended_after=MINUTES, asked_after=MINUTES)
def test_what_was_promised_is_kept(ended_after: timedelta, asked_after: timedelta) -> None:
    before = structs.replace(LEASE, busy_until=DIALLED + RULES.max_call)
    ended = structs.replace(LEASE, last_ended_at=DIALLED + ended_after)
    assert before.promised_until(RULES) <= ended.promised_until(RULES) == ended.ends_at(RULES)
    if DIALLED + asked_after < before.promised_until(RULES):
        assert ended.lives(RULES, DIALLED + asked_after)
