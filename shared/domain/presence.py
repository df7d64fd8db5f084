"""Holding an agent's presence at Do not disturb, and giving it back (S2, S8, B5)."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

LATE_SET_RECHECK = timedelta(seconds=90)
STRAY_AFTER = timedelta(minutes=10)
EMERGENCY = "emergency"


class PresenceStatus(StrEnum):
    """The statuses that every presence service can show."""

    AVAILABLE = "available"
    BUSY = "busy"
    DO_NOT_DISTURB = "do_not_disturb"
    BE_RIGHT_BACK = "be_right_back"
    AWAY = "away"
    OFFLINE = "offline"


class Presence(Struct, frozen=True, kw_only=True):
    """An agent's presence as a service shows it.

    `hold_id` names the emergency that set it, where we did; `before` is what that emergency found, where the service
    can carry it, with `before_set_by` and `before_since`: so that nothing tells later that it was ever replaced (B8).
    `version` is the service's own mark for a conditional write, None where it has none.
    """

    status: PresenceStatus
    set_by: str | None = None
    since: datetime | None = None
    hold_id: str | None = None
    before: PresenceStatus | None = None
    before_set_by: str | None = None
    before_since: datetime | None = None
    version: str | None = None


class Hold(Struct, frozen=True, kw_only=True):
    """One holding of an agent's presence, from the first leg to the return.

    `before` is the snapshot to return to (None until taken); `applied` says that Do not disturb was seen in place;
    `settled` that the presence was returned, or found changed by somebody else, and is nothing of ours any more.
    `previous` is the snapshot of the hold before this one, for a mark of that one which lands late. `look_again_at` is
    when to look for a mark of this one which lands late.
    """

    hold_id: str
    before: PresenceStatus | None = None
    previous: PresenceStatus | None = None
    applied: bool = False
    settled: bool = False
    look_again_at: datetime | None = None
    released_at: datetime | None = None


class Remember(Struct, frozen=True):
    """Store the hold with its snapshot before touching the presence."""

    hold: Hold


class SetPresence(Struct, frozen=True):
    """Set this presence, if it is still as it was read."""

    presence: Presence


class Settle(Struct, frozen=True):
    """Nothing is left to do now; record the hold, and look once more at its `look_again_at` if that is set."""

    hold: Hold


Step = Remember | SetPresence | Settle


# What to return to where no snapshot could be had: no customer call meets an agent who has just lived through this.
UNKNOWN_BEFORE = PresenceStatus.AWAY


def next_step(hold: Hold, *, held: bool, current: Presence, now: datetime) -> Step:
    """What to do next so that the presence becomes what it should be: read, decide, act, until `Settle`.

    It looks only at what should be and at what is, so that steps which finish in the wrong order put themselves right.
    """
    ours = current.hold_id is not None
    return _next_while_held(hold, current, ours) if held else _next_after_hold(hold, current, ours, now)


def _next_while_held(hold: Hold, current: Presence, ours: bool) -> Step:
    if ours and hold.before != _snapshot(hold, current):
        # A mark set in an outage, or by a late write. What it found comes along with it.
        return Remember(structs.replace(hold, before=_snapshot(hold, current)))
    if ours and current.status is PresenceStatus.DO_NOT_DISTURB:
        return Settle(structs.replace(hold, applied=True, look_again_at=None))
    if hold.applied:
        return Settle(structs.replace(hold, settled=True))
    if hold.before != current.status:
        return Remember(structs.replace(hold, before=current.status))
    return SetPresence(held_presence(hold, current))


def _next_after_hold(hold: Hold, current: Presence, ours: bool, now: datetime) -> Step:
    if ours:
        return SetPresence(returned_presence(_snapshot(hold, current), current))
    again_at = hold.look_again_at or now + LATE_SET_RECHECK
    if not hold.applied and now < again_at:
        # A set may still be on its way to the service from an instance that died: look again before letting go.
        return Settle(structs.replace(hold, look_again_at=again_at))
    return Settle(structs.replace(hold, settled=True, look_again_at=None))


def _snapshot(hold: Hold, current: Presence) -> PresenceStatus:
    """What to return to: a mark carries what it replaced, which is never older than our own snapshot."""
    return current.before or hold.before or hold.previous or UNKNOWN_BEFORE


def returned_presence(status: PresenceStatus, current: Presence) -> Presence:
    """What our mark replaced, set by whom and when it was: not by us, and not at the end of an emergency (B8)."""
    unchanged = status is current.before
    return Presence(
        status=status,
        set_by=current.before_set_by if unchanged else None,
        since=current.before_since if unchanged else None,
        version=current.version,
    )


def may_be_stray(current: Presence, now: datetime) -> bool:
    """Whether this is an old mark of ours, which nobody but an emergency that the store knows would take away.

    It may have been set in an outage, for a dial that nobody could look up any more.
    """
    return current.hold_id is not None and current.since is not None and now - current.since >= STRAY_AFTER


def without_mark(current: Presence, hold_id: str, now: datetime) -> Presence:
    """The presence with nothing in it of this hold (B8).

    A fresh mark of another hold is that of an emergency which has just begun.
    """
    if current.hold_id != hold_id and not may_be_stray(current, now):
        return current
    return returned_presence(current.before or UNKNOWN_BEFORE, current)


def held_presence(hold: Hold, current: Presence) -> Presence:
    """Do not disturb, marked as ours and carrying what it replaces."""
    return Presence(
        status=PresenceStatus.DO_NOT_DISTURB,
        set_by=EMERGENCY,
        hold_id=hold.hold_id,
        before=hold.before or current.status,
        before_set_by=current.before_set_by if current.hold_id else current.set_by,
        before_since=current.before_since if current.hold_id else current.since,
        version=current.version,
    )
