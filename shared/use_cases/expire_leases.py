"""What time alone brings about: timed-out legs, holds that end, numbers that come free (S3, B2, B5, B8)."""

from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import (
    GIVE_PRESENCE_UP_AFTER,
    due_at,
    may_be_forgotten,
    settle,
    standing,
    timed_out_legs,
)
from shared.domain.errors import Conflict, EmergencyCallingError
from shared.ports import Change, Due, EmergencyStore, PresenceGateway, Stored, Telemetry
from shared.use_cases.effects import Effect, ReconcilePresence

DUE_AT_ONCE = 100
COUNTED_AT_MOST = 1000


def expire_leases(
    *,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Do whatever is due, longest overdue first, until nothing is or the deadline has passed. Idempotent."""
    effects: list[Effect] = []
    began, done = clock.monotonic(), 0
    emergencies.sync_pool(clock.now(), deadline)
    while not deadline.passed():
        now = clock.now()
        batch = emergencies.due(now, DUE_AT_ONCE, deadline)
        moved = [
            _bring_about(due, now, emergencies, presence, deployment, telemetry, deadline, effects) for due in batch
        ]
        done += sum(moved)
        if len(batch) < DUE_AT_ONCE or not any(moved):
            break
    _watch_low_water(emergencies, deployment, telemetry, deadline)
    telemetry.emit("sweep", due=done, ms=round((clock.monotonic() - began) * 1000))
    return tuple(effects)


def _bring_about(
    due: Due,
    now: datetime,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
    effects: list[Effect],
) -> bool:
    """Whether anything moved; somebody else may be at it already."""
    if due.subject != "agent":
        emergencies.discard(due, deadline)
        return True
    stored = emergencies.load(due.key, deadline).result()
    if stored.emergency is None or due.row not in stored.index:
        return False
    try:
        return _advance(stored, now, emergencies, presence, deployment, telemetry, deadline, effects)
    except Conflict:
        return False


def _advance(
    stored: Stored,
    now: datetime,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
    effects: list[Effect],
) -> bool:
    emergency = stored.emergency
    assert emergency is not None and emergency.lease is not None
    settled = settle(emergency, deployment.rules, now)
    if may_be_forgotten(settled, deployment.rules, now):
        return _forget(stored, now, emergencies, presence, deployment, telemetry, deadline)
    stands = standing(settled, deployment.rules, now)
    if settled == emergency and due_at(settled, stands, deployment.rules, now) <= now:
        return False
    emergencies.commit(Change(stored=stored, emergency=settled, now=now), deadline)
    if emergency.lease.busy_until is not None and settled.lease is not None and settled.lease.busy_until is None:
        for _ in timed_out_legs(settled, stands, deployment.rules):
            telemetry.emit("leg_timed_out")
    if settled.presence_due_at is not None:
        effects.append(ReconcilePresence(emergency.agent_key))
    return True


def _forget(
    stored: Stored,
    now: datetime,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> bool:
    """Leave nothing behind. The presence comes first: afterwards nobody would know that anything is left in it."""
    emergency = stored.emergency
    assert emergency is not None and emergency.lease is not None
    if emergency.hold is not None:
        try:
            presence.forget(emergency.agent_id, emergency.hold.hold_id, deadline)
        except EmergencyCallingError:
            telemetry.emit("presence_failed")
            if now < emergency.lease.released_at(deployment.rules) + GIVE_PRESENCE_UP_AFTER:
                return False
    emergencies.forget(stored, now, deadline)
    telemetry.emit("number_released")
    return True


def _watch_low_water(
    emergencies: EmergencyStore, deployment: Deployment, telemetry: Telemetry, deadline: Deadline
) -> None:
    pool = len(deployment.callback_numbers)
    low_water = min(pool * deployment.pool_low_water_percent // 100, COUNTED_AT_MOST - 1)
    free = emergencies.free_count(low_water + 1, deadline)
    if pool and free <= low_water:
        telemetry.emit("pool_exhausted" if free == 0 else "pool_low", free_percent=free * 100 // pool)
