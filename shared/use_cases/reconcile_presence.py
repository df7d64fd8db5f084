"""Bring an agent's presence to what it should be: read, decide, act, until nothing is left to do (B5)."""

from datetime import datetime, timedelta

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, settle, standing, with_hold, with_look, with_presence_put_off
from shared.domain.errors import Conflict, Unavailable
from shared.domain.leases import called
from shared.domain.presence import (
    Hold,
    Presence,
    Remember,
    SetPresence,
    Settle,
    Step,
    hand_on,
    is_left,
    lets_go,
    next_step,
)
from shared.ports import Change, EmergencyStore, PresenceGateway, Telemetry
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.find_holders import is_held_by_another

PUT_OFF_WITHIN_S = 1.0


def reconcile_presence(
    agent_key: str,
    *,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Hold or give back. What fails is put off, with backoff, in the same row; then the failure is raised.

    A service that asks for a longer wait is given it. So is put off what nobody foresaw: a sweep reads so many rows,
    oldest first, and presences that stayed due would keep every notice behind them from being taken up.
    """
    try:
        _reconcile(agent_key, emergencies, presence, clock, deployment, telemetry, deadline)
    except Exception as error:
        # Put off whatever was raised, then raised again: a presence that stayed due would block the sweep's next ones.
        now = clock.now()
        least = timedelta(seconds=error.retry_after_s) if isinstance(error, Unavailable) else timedelta(0)
        _tell(error, telemetry)
        change_emergency(
            agent_key,
            lambda emergency: with_presence_put_off(emergency, now, least),
            emergencies=emergencies,
            now=now,
            deadline=Deadline(clock, PUT_OFF_WITHIN_S),
        )
        raise


def _tell(error: Exception, telemetry: Telemetry) -> None:
    reason = error.reason if isinstance(error, Unavailable) else ""
    if reason:
        telemetry.emit("presence_blocked", reason=reason)
    telemetry.emit("presence_failed")


def _tell_left(before: Emergency, step: Settle, current: Presence, telemetry: Telemetry, *, held: bool) -> None:
    if before.hold is not None and not step.handed_on and is_left(before.hold, step.hold, current, held=held):
        telemetry.emit("presence_left", **called(before.lease))


def _is_let_go(before: Hold, step: Settle) -> bool:
    over = not before.settled or before.look_again_at is not None
    return over and step.hold.settled and not step.handed_on


def _step(
    emergency: Emergency,
    current: Presence,
    emergencies: EmergencyStore,
    deployment: Deployment,
    now: datetime,
    deadline: Deadline,
    *,
    held: bool,
) -> Step:
    assert emergency.hold is not None
    step = next_step(emergency.hold, held=held, current=current, now=now)
    if held or not lets_go(step):
        return step
    others = is_held_by_another(emergency, deployment.rules, now, emergencies=emergencies, deadline=deadline)
    return hand_on(emergency.hold) if others else step


def _reconcile(
    agent_key: str,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    stored = emergencies.load(agent_key, deadline).result()
    current, committed = None, False
    while (emergency := stored.emergency) is not None and emergency.hold is not None:
        deadline.require()
        now = clock.now()
        held = standing(emergency, deployment.rules, now).held
        current = current or presence.read(emergency.presence_id, deadline)
        step = _step(emergency, current, emergencies, deployment, now, deadline, held=held)
        try:
            match step:
                case SetPresence(wanted):
                    if not (held and committed):
                        # Whoever gave it back since leaves no mark in the presence, and what came after that is not
                        # ours to undo: the emergency is read again, now that the presence has been. A commit after
                        # that reading has found the same.
                        latest = emergencies.load(agent_key, deadline).result()
                        if latest.version != stored.version:
                            stored, current, committed = latest, None, False
                            continue
                    current = presence.write(emergency.presence_id, wanted, deadline)
                    telemetry.emit("presence_held" if held else "presence_restored", **called(emergency.lease))
                case Remember(hold):
                    kept = with_hold(emergency, hold, emergency.presence_due_at)
                    stored = emergencies.commit(Change(stored=stored, emergency=kept, now=now), deadline).stored
                    committed = True
                case Settle(hold):
                    if _is_let_go(emergency.hold, step):
                        # It is nobody's but the agent's now: whatever of ours is hidden behind it goes.
                        again_at = presence.forget(emergency.presence_id, hold.hold_id, deadline)
                        hold = structs.replace(hold, look_again_at=again_at)
                    # The commit is the check: had anything changed meanwhile, it fails, and all is read again.
                    # This commit moves the due row, too: where the hold has ended, that is written here.
                    over = emergency.held and not held
                    known = settle(emergency, deployment.rules, now) if over else emergency
                    settled = with_look(with_hold(known, hold, hold.look_again_at), now, held=held, at=current.look_at)
                    if settled != emergency:
                        emergencies.commit(Change(stored=stored, emergency=settled, now=now), deadline)
                    _tell_left(emergency, step, current, telemetry, held=held)
                    return
        except Conflict:
            stored, current, committed = emergencies.load(agent_key, deadline).result(), None, False
