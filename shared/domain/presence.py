"""Holding an agent's presence at Do not disturb, and giving it back (S2, S8, B5)."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.stamps import age_of

LATE_SET_RECHECK = timedelta(seconds=90)
STRAY_AFTER = timedelta(minutes=10)
# Dynamics 365 restores a broken connection's presence for 2.5 minutes; later it is made anew.
RESTORED_WITHIN = timedelta(minutes=3)
# So long after a look the next is due whether a presence that is held is still what we set. The sweep that takes it up
# runs every ten seconds, so that it is looked at every 30 s at least.
LOOK_WHILE_HELD = timedelta(seconds=20)


class PresenceStatus(StrEnum):
    """The statuses that every presence service can show."""

    AVAILABLE = "available"
    BUSY = "busy"
    DO_NOT_DISTURB = "do_not_disturb"
    BE_RIGHT_BACK = "be_right_back"
    AWAY = "away"
    OFFLINE = "offline"


class SetBy(StrEnum):
    """Who changed a presence, as far as the service says: a person's change stays, a system's is nobody's decision."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    SYSTEM = "system"
    UNKNOWN = "unknown"


PEOPLE = frozenset({SetBy.AGENT, SetBy.SUPERVISOR})
# What rows of the version before say; `emergency` was a hold of ours.
_SAID_BEFORE = {"admin": SetBy.SUPERVISOR, "machine": SetBy.SYSTEM, "emergency": SetBy.SYSTEM}


class Presence(Struct, frozen=True, kw_only=True):
    """An agent's presence as a service shows it.

    `native` is the service's own name of the state, where it has more than the six. `hold_id` names the emergency that
    set it, where we did; `before` is what that emergency found, where the service can carry it, with `before_native`,
    `before_set_by` and `before_since`: so that nothing tells later that it was ever replaced (B8). `version` is the
    service's own mark for a conditional write, None where it has none.

    `settable`: False where the service lets nobody set it now (nobody is logged in there, or it does not know the
    agent). `fading`: it is ours, and is to be set once more, because the service lets go of it by itself or has not
    been seen to show it. `look_at` is when to look whether it is in place. `may_land`: a set of ours may still be on
    its way to the service, although it was given back.
    """

    status: PresenceStatus
    native: str | None = None
    set_by: str | None = None
    since: datetime | None = None
    hold_id: str | None = None
    before: PresenceStatus | None = None
    before_native: str | None = None
    before_set_by: str | None = None
    before_since: datetime | None = None
    version: str | None = None
    settable: bool = True
    fading: bool = False
    look_at: datetime | None = None
    may_land: bool = False

    @property
    def in_place(self) -> bool:
        """Whether Do not disturb is seen to be there: not only set, and as far as is known."""
        return self.status is PresenceStatus.DO_NOT_DISTURB and not self.fading and self.look_at is None

    @property
    def changed_by(self) -> SetBy:
        """Who set it, in the words of today."""
        return _in_words_of_today(self.set_by)


def _in_words_of_today(set_by: str | None) -> SetBy:
    said = set_by or SetBy.UNKNOWN
    return _SAID_BEFORE.get(said) or (SetBy(said) if said in SetBy else SetBy.UNKNOWN)


class Hold(Struct, frozen=True, kw_only=True):
    """One holding of an agent's presence, from the first leg to the return.

    `before` is the snapshot to return to (None until taken), with its native state and who set it when; `applied` says
    that Do not disturb was seen in place since the latest leg, `touched` that it ever was; `settled` that the presence
    was returned, or found changed by a person, and is nothing of ours any more. `previous` is the snapshot of the hold
    before this one, for a mark of that one which lands late. `look_again_at` is when to look for a mark of this one
    which lands late. `left`: settled because a person had changed what we set, so that it is not begun again; False in
    rows of an older version. `repeated` is the time of the dial where its report came late: another process may have
    held it in an outage, and a service that carries no mark then shows Do not disturb as if the agent had chosen it.
    """

    hold_id: str
    before: PresenceStatus | None = None
    before_native: str | None = None
    before_set_by: str | None = None
    before_since: datetime | None = None
    previous: PresenceStatus | None = None
    applied: bool = False
    touched: bool = False
    settled: bool = False
    look_again_at: datetime | None = None
    released_at: datetime | None = None
    repeated: datetime | None = None
    left: bool = False


class OutageHold(Struct, frozen=True, kw_only=True):
    """What a process set in an outage, with what it found; `received_at` is when it heard of the dial."""

    hold: Hold
    received_at: datetime


class Remember(Struct, frozen=True):
    """Store the hold with its snapshot before touching the presence."""

    hold: Hold


class SetPresence(Struct, frozen=True):
    """Set this presence, if it is still as it was read."""

    presence: Presence


class Settle(Struct, frozen=True):
    """Nothing is left to do now; record the hold, and look once more at its `look_again_at` if that is set.

    `handed_on`: the presence stays as it is, because another emergency holds it.
    """

    hold: Hold
    handed_on: bool = False


Step = Remember | SetPresence | Settle


# What to return to where no snapshot could be had: no customer call meets an agent who has just lived through this.
UNKNOWN_BEFORE = PresenceStatus.AWAY


def next_step(hold: Hold, *, held: bool, current: Presence, now: datetime) -> Step:
    """What to do next so that the presence becomes what it should be: read, decide, act, until `Settle`.

    It looks only at what should be and at what is, so that steps which finish in the wrong order put themselves right.
    A change by a person, or by nobody knows whom, stays; one by the service itself is undone (S2).
    """
    return _next_while_held(hold, current) if held else _next_after_hold(hold, current, now)


def lets_go(step: Step) -> bool:
    """Whether this step, after a hold, changes the presence or is the last one."""
    return isinstance(step, SetPresence) or (isinstance(step, Settle) and step.hold.settled)


def hand_on(hold: Hold) -> Settle:
    """Instead of a step that lets go, where another emergency holds the same presence."""
    return Settle(structs.replace(hold, settled=True, look_again_at=None), handed_on=True)


def _is_ours(hold: Hold, current: Presence) -> bool:
    """Whether the service shows what we set; one that carries no mark shows the status alone."""
    unmarked = hold.touched and not hold.settled and current.status is PresenceStatus.DO_NOT_DISTURB
    return current.hold_id is not None or (unmarked and current.changed_by not in PEOPLE)


def _next_while_held(hold: Hold, current: Presence) -> Step:
    if not current.settable:
        # Nothing to hold now. Whatever the next login gives is held anew, unless a person ended the hold.
        return Settle(hold if hold.settled else structs.replace(hold, applied=False))
    ours = _is_ours(hold, current)
    if current.hold_id is not None and hold.before != _with_found(hold, current).before:
        # A mark set in an outage, or by a late write. What it found comes along with it.
        return Remember(_with_found(hold, current))
    if ours and current.status is PresenceStatus.DO_NOT_DISTURB and not current.fading:
        return Settle(structs.replace(hold, applied=True, touched=True, look_again_at=None))
    by_the_service = ours or current.changed_by is SetBy.SYSTEM
    if hold.applied and (hold.settled or not by_the_service):
        return Settle(hold if hold.settled else structs.replace(hold, settled=True, left=True))
    if _may_be_own(hold, current):
        # It is no news of the agent's.
        if hold.before is None:
            return Remember(structs.replace(hold, before=UNKNOWN_BEFORE))
        return SetPresence(held_presence(hold, current))
    if hold.before is None or (not by_the_service and (hold.before, hold.before_native) != _state_of(current)):
        return Remember(with_snapshot(hold, current))
    return SetPresence(held_presence(hold, current))


def is_left(before: Hold, after: Hold, current: Presence, *, held: bool) -> bool:
    """Whether this settling leaves a presence that is not what the hold found; one given back is.

    Somebody changed what we had set, or it is still ours and the service refuses to take it back.
    """
    if before.settled or not after.settled:
        return False
    stays = current.settable or _is_ours(before, current)
    return held or (after.touched and stays and (after.before, after.before_native) != _state_of(current))


def decided_since(current: Presence, dialled_at: datetime) -> bool:
    """Whether a person has changed presence during the call, which stays (S2); a repeat may come minutes later."""
    return current.changed_by in PEOPLE and current.since is not None and current.since > dialled_at


def _may_be_own(hold: Hold, current: Presence) -> bool:
    """Whether an unmarked Do not disturb may be our own of an outage: nothing tells that it is older than the dial."""
    unmarked = current.hold_id is None and current.status is PresenceStatus.DO_NOT_DISTURB
    if hold.repeated is None or not unmarked or current.changed_by in PEOPLE:
        return False
    if current.since is None:
        return current.changed_by is SetBy.UNKNOWN
    return current.since >= hold.repeated


def _next_after_hold(hold: Hold, current: Presence, now: datetime) -> Step:
    if current.hold_id is not None:
        return SetPresence(_found_by(_with_found(hold, current), current))
    if _may_be_restored(hold, current, now):
        return Settle(structs.replace(hold, look_again_at=now + LOOK_WHILE_HELD))
    by_the_service = _is_ours(hold, current) or current.changed_by is SetBy.SYSTEM
    replaced = hold.before is not None and (hold.before, hold.before_native) != _state_of(current)
    replaced = replaced and current.settable
    if hold.touched and not hold.settled and by_the_service and replaced:
        # Offline of a closed tab, in place of ours: what was there before the first leg comes back all the same.
        return SetPresence(_found_by(hold, current))
    again_at = hold.look_again_at or now + LATE_SET_RECHECK
    if (not hold.applied or current.may_land) and now < again_at:
        # A set may still be on its way to the service from an instance that died: look again before letting go.
        return Settle(structs.replace(hold, look_again_at=again_at))
    # What was given back by us is what the hold found.
    left = hold.left or (hold.applied and hold.touched and not hold.settled and replaced and not by_the_service)
    return Settle(structs.replace(hold, settled=True, look_again_at=None, left=left))


def _may_be_restored(hold: Hold, current: Presence, now: datetime) -> bool:
    """Whether a service may yet give our Do not disturb back to an agent whose connection broke."""
    left_at = None if current.settable else current.since
    # A time far ahead of ours is none: the look would be repeated until then.
    return hold.touched and not hold.settled and left_at is not None and abs(now - left_at) < RESTORED_WITHIN


def _state_of(current: Presence) -> tuple[PresenceStatus, str | None]:
    return current.status, current.native


def with_snapshot(hold: Hold, found: Presence) -> Hold:
    """The hold with what the service shows as the state to return to."""
    return structs.replace(
        hold,
        before=found.status,
        before_native=found.native,
        before_set_by=found.set_by,
        before_since=found.since,
    )


def _with_found(hold: Hold, mark: Presence) -> Hold:
    """The hold with what a mark of ours found, which is never older than our own snapshot."""
    if mark.before is None:
        return structs.replace(hold, before=hold.before or hold.previous or UNKNOWN_BEFORE)
    ours_was_replaced = hold.touched and not hold.settled and hold.before is not None
    if ours_was_replaced and _in_words_of_today(mark.before_set_by) is SetBy.SYSTEM:
        # Set in an outage, just after the service had put its own in place of ours (S2): nobody's decision.
        return hold
    return structs.replace(
        hold,
        before=mark.before,
        before_native=mark.before_native,
        before_set_by=mark.before_set_by,
        before_since=mark.before_since,
    )


def _found_by(hold: Hold, current: Presence) -> Presence:
    """What the hold found, over what the service shows."""
    return Presence(
        status=hold.before or hold.previous or UNKNOWN_BEFORE,
        native=hold.before_native,
        set_by=hold.before_set_by,
        since=hold.before_since,
        version=current.version,
    )


def returned_presence(mark: Presence) -> Presence:
    """What our mark replaced, set by whom and when it was: not by us, and not at the end of an emergency (B8)."""
    return _found_by(_with_found(Hold(hold_id=""), mark), mark)


def may_be_stray(current: Presence, now: datetime) -> bool:
    """Whether this is an old mark of ours, which nobody but an emergency that the store knows would take away.

    It may have been set in an outage, for a dial that nobody could look up any more.
    """
    return current.hold_id is not None and current.since is not None and age_of(current.since, now) >= STRAY_AFTER


def may_end(hold_id: str, mark_of: str, set_at: datetime, now: datetime) -> bool:
    """Whether a mark goes with this hold: its own, or a stray one; a fresh one is of an emergency just begun."""
    return mark_of == hold_id or age_of(set_at, now) >= STRAY_AFTER


def without_mark(current: Presence, hold_id: str, now: datetime) -> Presence:
    """The presence with nothing in it of this hold (B8).

    A fresh mark of another hold is that of an emergency which has just begun.
    """
    if current.hold_id != hold_id and not may_be_stray(current, now):
        return current
    return returned_presence(current)


def held_presence(hold: Hold, current: Presence) -> Presence:
    """Do not disturb, marked as ours and carrying what it replaces: what the hold found, else what there is now."""
    found = _with_found(hold, current) if current.hold_id is not None else hold
    if found.before is None:
        found = with_snapshot(found, current)
    return Presence(
        status=PresenceStatus.DO_NOT_DISTURB,
        set_by=SetBy.SYSTEM,
        hold_id=hold.hold_id,
        before=found.before,
        before_native=found.before_native,
        before_set_by=found.before_set_by,
        before_since=found.before_since,
        version=current.version,
    )
