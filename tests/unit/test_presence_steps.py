"""What the reconciling of a presence does next (B5)."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from shared.domain.presence import (
    LATE_SET_RECHECK,
    LOOK_WHILE_HELD,
    RESTORED_WITHIN,
    UNKNOWN_BEFORE,
    Hold,
    Presence,
    PresenceStatus,
    Remember,
    SetPresence,
    Settle,
    is_left,
    may_be_stray,
    may_end,
    next_step,
)

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
HOLD = Hold(hold_id="hold-1")
AVAILABLE, BUSY, DND = PresenceStatus.AVAILABLE, PresenceStatus.BUSY, PresenceStatus.DO_NOT_DISTURB


def shown(status: PresenceStatus, **more: object) -> Presence:
    return Presence(status=status, version="1", **more)  # type: ignore[arg-type]


def ours(**more: object) -> Presence:
    return shown(DND, hold_id="hold-1", **more)


def test_the_snapshot_is_stored_before_the_presence_is_touched() -> None:
    step = next_step(HOLD, held=True, current=shown(AVAILABLE), now=NOW)
    assert step == Remember(structs.replace(HOLD, before=AVAILABLE))
    step = next_step(structs.replace(HOLD, before=AVAILABLE), held=True, current=shown(AVAILABLE), now=NOW)
    assert isinstance(step, SetPresence)
    assert (step.presence.status, step.presence.hold_id, step.presence.version) == (DND, "hold-1", "1")


def test_a_change_between_snapshot_and_set_is_remembered_anew() -> None:
    remembered = structs.replace(HOLD, before=AVAILABLE)
    step = next_step(remembered, held=True, current=shown(BUSY), now=NOW)
    assert step == Remember(structs.replace(HOLD, before=BUSY))


def test_once_in_place_it_is_settled_and_what_somebody_changes_stays() -> None:
    remembered = structs.replace(HOLD, before=AVAILABLE)
    assert next_step(remembered, held=True, current=ours(), now=NOW) == Settle(
        structs.replace(remembered, applied=True, touched=True)
    )
    applied = structs.replace(remembered, applied=True)
    step = next_step(applied, held=True, current=shown(BUSY), now=NOW)
    assert step == Settle(structs.replace(applied, settled=True, left=True))


def test_only_what_is_ours_is_given_back() -> None:
    applied = structs.replace(HOLD, before=AVAILABLE, applied=True)
    step = next_step(applied, held=False, current=ours(), now=NOW)
    assert step == SetPresence(Presence(status=AVAILABLE, version="1"))
    step = next_step(applied, held=False, current=shown(BUSY), now=NOW)
    assert step == Settle(structs.replace(applied, settled=True))


def test_a_set_that_may_still_be_on_its_way_is_looked_for_once_more() -> None:
    remembered = structs.replace(HOLD, before=AVAILABLE)
    step = next_step(remembered, held=False, current=shown(AVAILABLE), now=NOW)
    later = NOW + LATE_SET_RECHECK
    waits = structs.replace(remembered, look_again_at=later)
    assert step == Settle(waits)
    early = later - timedelta(microseconds=1)
    assert next_step(waits, held=False, current=shown(AVAILABLE), now=early) == Settle(waits)
    again = next_step(waits, held=False, current=shown(AVAILABLE), now=later)
    assert isinstance(again, Settle)
    assert again.hold.settled


APPLIED = structs.replace(HOLD, before=AVAILABLE, before_set_by="agent", before_since=NOW, applied=True, touched=True)


@pytest.mark.parametrize("by", ["system", "machine"])
@pytest.mark.parametrize("status", [PresenceStatus.OFFLINE, AVAILABLE, BUSY])
def test_what_the_service_changed_by_itself_is_undone_and_returns_to_what_was_before(
    status: PresenceStatus, by: str
) -> None:
    step = next_step(APPLIED, held=True, current=shown(status, set_by=by), now=NOW)
    assert isinstance(step, SetPresence)
    again = step.presence
    assert (again.status, again.hold_id, again.before, again.before_set_by) == (DND, "hold-1", AVAILABLE, "agent")
    step = next_step(APPLIED, held=False, current=again, now=NOW)
    assert step == SetPresence(Presence(status=AVAILABLE, set_by="agent", since=NOW, version="1"))


@pytest.mark.parametrize("by", ["agent", "supervisor", "admin", None, "somebody"])
def test_what_a_person_or_nobody_knows_who_changed_stays(by: str | None) -> None:
    for held in (True, False):
        step = next_step(APPLIED, held=held, current=shown(BUSY, set_by=by), now=NOW)
        assert step == Settle(structs.replace(APPLIED, settled=True, left=True))


def test_what_a_person_left_behind_is_not_taken_from_the_service_afterwards() -> None:
    settled = structs.replace(APPLIED, settled=True)
    for held in (True, False):
        step = next_step(settled, held=held, current=shown(BUSY, set_by="system"), now=NOW)
        assert step == Settle(settled)


def test_a_change_of_the_service_that_nobody_undid_in_time_does_not_outlive_the_hold() -> None:
    current = shown(PresenceStatus.OFFLINE, set_by="system")
    step = next_step(APPLIED, held=False, current=current, now=NOW)
    assert step == SetPresence(Presence(status=AVAILABLE, set_by="agent", since=NOW, version="1"))
    back = shown(AVAILABLE, set_by="agent")
    assert next_step(APPLIED, held=False, current=back, now=NOW) == Settle(structs.replace(APPLIED, settled=True))


@pytest.mark.parametrize("held", [True, False])
def test_a_mark_of_an_outage_that_found_what_the_service_put_in_place_of_ours_is_no_decision(held: bool) -> None:
    offline = {"before": PresenceStatus.OFFLINE, "before_set_by": "system"}
    mark = shown(DND, hold_id="hold of the outage", **offline)
    step = next_step(APPLIED, held=held, current=mark, now=NOW)
    if held:
        assert step == Settle(APPLIED), "what was there before the first leg is still remembered"
    else:
        assert step == SetPresence(Presence(status=AVAILABLE, set_by="agent", since=NOW, version="1"))


def test_ours_but_not_do_not_disturb_is_set_again() -> None:
    step = next_step(APPLIED, held=True, current=shown(AVAILABLE, hold_id="hold-1", before=AVAILABLE), now=NOW)
    assert isinstance(step, SetPresence)
    assert (step.presence.status, step.presence.hold_id) == (DND, "hold-1")


def test_a_change_of_the_service_between_snapshot_and_set_is_nobodys_decision() -> None:
    remembered = structs.replace(HOLD, before=AVAILABLE)
    current = shown(PresenceStatus.OFFLINE, set_by="system")
    step = next_step(remembered, held=True, current=current, now=NOW)
    assert isinstance(step, SetPresence)
    assert (step.presence.status, step.presence.before) == (DND, AVAILABLE)


def test_the_native_state_is_remembered_and_comes_back() -> None:
    current = shown(BUSY, native="training", set_by="agent")
    step = next_step(HOLD, held=True, current=current, now=NOW)
    assert isinstance(step, Remember)
    assert (step.hold.before, step.hold.before_native) == (BUSY, "training")
    step = next_step(step.hold, held=True, current=current, now=NOW)
    assert isinstance(step, SetPresence)
    mark = structs.replace(step.presence, version="2")
    [applied] = [
        next_step(structs.replace(HOLD, before=BUSY, before_native="training"), held=True, current=mark, now=NOW)
    ]
    assert isinstance(applied, Settle)
    step = next_step(applied.hold, held=False, current=mark, now=NOW)
    assert isinstance(step, SetPresence)
    assert (step.presence.status, step.presence.native, step.presence.set_by) == (BUSY, "training", "agent")


@pytest.mark.parametrize("by", ["system", None])
def test_a_service_that_carries_no_mark_gives_back_what_the_hold_found(by: str | None) -> None:
    current = shown(DND, set_by=by)
    assert next_step(APPLIED, held=True, current=current, now=NOW) == Settle(APPLIED)
    step = next_step(APPLIED, held=False, current=current, now=NOW)
    assert step == SetPresence(Presence(status=AVAILABLE, set_by="agent", since=NOW, version="1"))


def test_do_not_disturb_that_the_agent_chose_themselves_stays() -> None:
    chosen = shown(DND, set_by="agent")
    for held in (True, False):
        step = next_step(APPLIED, held=held, current=chosen, now=NOW)
        assert step == Settle(structs.replace(APPLIED, settled=True, left=True))


def test_what_is_left_to_a_person_is_told_from_what_was_given_back() -> None:
    over = structs.replace(APPLIED, settled=True)
    by_agent, back = shown(BUSY, set_by="agent"), shown(AVAILABLE, set_by="agent")
    offline = shown(PresenceStatus.OFFLINE, set_by="system", settable=False)
    assert is_left(APPLIED, over, by_agent, held=True)
    assert is_left(APPLIED, over, by_agent, held=False)
    assert is_left(APPLIED, over, shown(DND, set_by="agent"), held=False)
    assert not is_left(APPLIED, over, back, held=False), "given back"
    assert not is_left(APPLIED, over, offline, held=False), "nobody is logged in"
    refused = shown(DND, set_by="system", settable=False)
    assert is_left(APPLIED, over, refused, held=False), "still ours, and the service takes nothing back"
    chosen = shown(DND, set_by="agent", settable=False)
    assert not is_left(APPLIED, over, chosen, held=False), "a person's, and nobody is logged in"
    assert not is_left(HOLD, structs.replace(HOLD, settled=True), by_agent, held=False), "nothing was set"
    assert not is_left(over, over, by_agent, held=True), "said before"
    assert not is_left(APPLIED, APPLIED, by_agent, held=True), "still ours"


@pytest.mark.parametrize(
    ("hold", "mark", "given_back"),
    [
        (HOLD, ours(before=BUSY), BUSY),
        (structs.replace(HOLD, previous=AVAILABLE), ours(), AVAILABLE),
        (HOLD, ours(), UNKNOWN_BEFORE),
    ],
)
def test_a_mark_of_ours_without_a_snapshot_tells_itself_what_it_found(
    hold: Hold, mark: Presence, given_back: PresenceStatus
) -> None:
    step = next_step(hold, held=True, current=mark, now=NOW)
    assert step == Remember(structs.replace(hold, before=given_back))
    after = next_step(hold, held=False, current=mark, now=NOW)
    assert isinstance(after, SetPresence)
    assert after.presence.status is given_back


def test_a_service_that_lets_nobody_set_it_now_is_looked_at_again_and_keeps_its_snapshot() -> None:
    nobody_in = shown(PresenceStatus.OFFLINE, set_by="system", settable=False)
    for hold in (HOLD, APPLIED):
        step = next_step(hold, held=True, current=nobody_in, now=NOW)
        assert step == Settle(structs.replace(hold, applied=False)), "whatever the next login gives is held"
    ended = structs.replace(APPLIED, settled=True)
    assert next_step(ended, held=True, current=nobody_in, now=NOW) == Settle(ended), "a person ended the hold"
    settled = next_step(APPLIED, held=False, current=nobody_in, now=NOW)
    assert settled == Settle(structs.replace(APPLIED, settled=True)), "there is nothing to give back to"


def test_what_a_broken_connection_took_away_may_be_restored_after_the_hold() -> None:
    left = shown(PresenceStatus.OFFLINE, set_by="system", settable=False, since=NOW)
    soon = NOW + timedelta(seconds=5)
    step = next_step(APPLIED, held=False, current=left, now=soon)
    assert step == Settle(structs.replace(APPLIED, look_again_at=soon + LOOK_WHILE_HELD))
    for hold, now in ((APPLIED, NOW + RESTORED_WITHIN), (structs.replace(APPLIED, touched=False), soon)):
        step = next_step(hold, held=False, current=left, now=now)
        assert step == Settle(structs.replace(hold, settled=True))


def test_a_time_far_ahead_of_ours_does_not_keep_a_hold_for_ever() -> None:
    left = shown(PresenceStatus.OFFLINE, set_by="system", settable=False, since=NOW + timedelta(days=365))
    assert next_step(APPLIED, held=False, current=left, now=NOW) == Settle(structs.replace(APPLIED, settled=True))


def test_what_fades_is_set_once_more_while_it_is_held() -> None:
    step = next_step(
        APPLIED, held=True, current=ours(before=AVAILABLE, before_set_by="agent", before_since=NOW), now=NOW
    )
    assert isinstance(step, Settle)
    fading = ours(before=AVAILABLE, before_set_by="agent", before_since=NOW, fading=True)
    step = next_step(APPLIED, held=True, current=fading, now=NOW)
    assert isinstance(step, SetPresence)
    assert (step.presence.status, step.presence.hold_id, step.presence.before) == (DND, "hold-1", AVAILABLE)
    assert not step.presence.fading


def test_what_may_still_land_after_it_was_given_back_is_looked_for_once_more() -> None:
    back = shown(AVAILABLE, set_by="agent", may_land=True)
    step = next_step(APPLIED, held=False, current=back, now=NOW)
    assert step == Settle(structs.replace(APPLIED, look_again_at=NOW + LATE_SET_RECHECK))


REPEATED = structs.replace(HOLD, repeated=NOW)


@pytest.mark.parametrize(
    ("current", "before"),
    [
        (shown(DND), UNKNOWN_BEFORE),
        (shown(DND, set_by="system", since=NOW), UNKNOWN_BEFORE),
        (shown(DND, set_by="system", since=NOW - timedelta(seconds=1)), DND),
        (shown(DND, set_by="system"), DND),
        (shown(DND, set_by="agent", since=NOW), DND),
        (shown(BUSY), BUSY),
    ],
)
def test_do_not_disturb_that_may_be_our_own_of_an_outage_is_not_what_comes_back(
    current: Presence, before: PresenceStatus
) -> None:
    """Another process may have held it, and died: nothing tells but that the dial was reported before."""
    step = next_step(REPEATED, held=True, current=current, now=NOW)
    assert isinstance(step, Remember)
    assert step.hold.before is before
    step = next_step(step.hold, held=True, current=current, now=NOW)
    assert isinstance(step, SetPresence)
    assert step.presence.before is before, "and it does not become so by a second look"
    step = next_step(HOLD, held=True, current=current, now=NOW)
    assert isinstance(step, Remember)
    assert step.hold.before is current.status, "a dial that was reported at once was held by nobody before"


def test_a_mark_of_a_day_to_come_is_a_stray_one() -> None:
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    ahead = now + timedelta(days=365)
    held = Presence(status=PresenceStatus.DO_NOT_DISTURB, hold_id="h", since=ahead)
    assert may_be_stray(held, now) and may_end("other", "h", ahead, now)
    assert not may_be_stray(structs.replace(held, since=now), now) and not may_end("other", "h", now, now)
