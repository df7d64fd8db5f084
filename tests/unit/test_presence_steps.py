"""What the reconciling of a presence does next (B5)."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from shared.domain.presence import (
    LATE_SET_RECHECK,
    UNKNOWN_BEFORE,
    Hold,
    Presence,
    PresenceStatus,
    Remember,
    SetPresence,
    Settle,
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
        structs.replace(remembered, applied=True)
    )
    applied = structs.replace(remembered, applied=True)
    step = next_step(applied, held=True, current=shown(BUSY), now=NOW)
    assert step == Settle(structs.replace(applied, settled=True))


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
