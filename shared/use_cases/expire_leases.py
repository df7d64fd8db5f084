"""What time alone brings about: timed-out legs, holds that end, numbers that come free (S3, B2, B5, B8)."""

from collections.abc import Iterator
from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import (
    GIVE_PRESENCE_UP_AFTER,
    Emergency,
    due_at,
    may_be_forgotten,
    settle,
    standing,
    timed_out_legs,
    with_expiry,
)
from shared.domain.errors import EmergencyCallingError, Unreadable
from shared.domain.leases import called
from shared.ports import Broken, Change, Due, EmergencyStore, NumberPool, PresenceGateway, Stored, Telemetry
from shared.use_cases.change_emergency import owed_to
from shared.use_cases.effects import Effect
from shared.use_cases.set_aside import set_aside

DUE_AT_ONCE = 100
COUNTED_AT_MOST = 1000
# At some 200 a second more than a sweep has time for: what is left is there a minute later.
MAX_REMOVED_A_SWEEP = 10_000


def expire_leases(
    *,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    presence: PresenceGateway,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Do whatever is due, longest overdue first, until nothing is or the deadline has passed. Idempotent.

    Emergencies come first: outsiders can have thousands of rows kept that are only to be removed (ends of calls that
    nobody started), and no hold and no lease ends later for that.
    """
    effects: list[Effect] = []
    began, done = clock.monotonic(), 0
    numbers.sync_pool(clock.now(), deadline)
    emergencies.look_again(clock.now(), deadline)
    to_remove: list[Due] = []
    for batch in _batches(emergencies, clock, deadline):
        to_remove += [due for due in batch if due.subject != "agent"][: MAX_REMOVED_A_SWEEP - len(to_remove)]
        for due in batch:
            if due.subject == "agent":
                done += _moved(due, clock.now(), emergencies, presence, deployment, telemetry, deadline, effects)
    _watch_low_water(numbers, deployment, telemetry, deadline)
    for due in to_remove:
        if deadline.passed():
            break
        done += _moved(due, clock.now(), emergencies, presence, deployment, telemetry, deadline, effects)
    telemetry.emit("sweep", due=done, ms=round((clock.monotonic() - began) * 1000))
    return tuple(effects)


def _batches(emergencies: EmergencyStore, clock: Clock, deadline: Deadline) -> Iterator[list[Due]]:
    """Whatever is due by now. What cannot be moved now keeps nobody behind it waiting: it reads on behind the last."""
    after = ""
    while not deadline.passed():
        batch = emergencies.due(clock.now(), DUE_AT_ONCE, deadline, after)
        yield batch
        if len(batch) < DUE_AT_ONCE:
            return
        after = batch[-1].row


def _moved(
    due: Due,
    now: datetime,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
    effects: list[Effect],
) -> bool:
    """Whether anything moved. Whatever one of them meets with, the others have their turn."""
    try:
        return _bring_about(due, now, emergencies, presence, deployment, telemetry, deadline, effects)
    except Unreadable as unreadable:
        set_aside(Broken(row=due.row, kind=unreadable.kind), emergencies, now, telemetry, deadline)
    except EmergencyCallingError:
        # Somebody else is at it, or a request was lost: it is still due.
        pass
    except Exception as error:  # noqa: BLE001 - one emergency that nobody foresaw ends no other's lease late
        telemetry.emit("unforeseen_error", function="lease_expiry", error=type(error).__name__)
    return False


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
    if not due.subject:
        raise Unreadable("due")
    if due.subject != "agent":
        emergencies.discard(due, deadline)
        return True
    stored = emergencies.load(due.key, deadline).result()
    if stored.emergency is None or due.row not in stored.index:
        return False
    return _advance(stored, now, emergencies, presence, deployment, telemetry, deadline, effects)


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
    settled = with_expiry(settle(emergency, deployment.rules, now), deployment.rules, now)
    if may_be_forgotten(settled, deployment.rules, now):
        return _forget(stored, settled, now, emergencies, presence, deployment, telemetry, deadline)
    stands = standing(settled, deployment.rules, now)
    if settled == emergency and due_at(settled, stands, deployment.rules, now) <= now:
        return False
    emergencies.commit(Change(stored=stored, emergency=settled, now=now), deadline)
    if emergency.lease.busy_until is not None and settled.lease is not None and settled.lease.busy_until is None:
        for _ in timed_out_legs(settled, stands, deployment.rules):
            telemetry.emit("leg_timed_out", **called(emergency.lease))
    _tell_expiry(emergency, settled, telemetry)
    effects += owed_to(settled)
    return True


def _tell_expiry(before: Emergency, after: Emergency, telemetry: Telemetry) -> None:
    """Say that the number has left the agent, once: by whoever wrote it."""
    assert before.lease is not None and after.lease is not None
    if before.lease.expired_at is None and after.lease.expired_at is not None:
        telemetry.emit("lease_expired", **called(after.lease))


def _forget(
    stored: Stored,
    settled: Emergency,
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
            presence.forget(emergency.presence_id, emergency.hold.hold_id, deadline)
        except EmergencyCallingError:
            telemetry.emit("presence_failed", **called(emergency.lease))
            if now < emergency.lease.released_at(deployment.rules) + GIVE_PRESENCE_UP_AFTER:
                return False
    emergencies.forget(stored, now, deadline)
    _tell_expiry(emergency, settled, telemetry)
    telemetry.emit("number_released", **called(emergency.lease))
    return True


def _watch_low_water(numbers: NumberPool, deployment: Deployment, telemetry: Telemetry, deadline: Deadline) -> None:
    pool = len(deployment.callback_numbers)
    low_water = min(pool * deployment.pool_low_water_percent // 100, COUNTED_AT_MOST - 1)
    free = numbers.free_count(low_water + 1, deadline)
    if pool and free <= low_water:
        telemetry.emit("pool_exhausted" if free == 0 else "pool_low", free_percent=free * 100 // pool)
