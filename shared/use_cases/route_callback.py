"""A responder calls back (S4, B4)."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from shared.domain.deployment import Deployment
from shared.domain.errors import Refused, Unavailable
from shared.domain.ids import derived
from shared.ports import CallRouter, Clock, Deadline, EmergencyStore, Holder, Telemetry

RING_AT_ONCE = 5
ROUTE_WITHIN_S = 8.0


class Incoming(Struct, frozen=True, kw_only=True):
    """An incoming call: the number dialled (None where a user was), and what call control needs. Never who calls.

    `origin` is the same in every delivery of the same call.
    """

    to_number: str | None
    context: str
    origin: str


class Rung(Struct, frozen=True):
    """Somebody to ring, and on what grounds."""

    target: str
    kind: str


def route_callback(
    call: Incoming,
    *,
    emergencies: EmergencyStore,
    router: CallRouter,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Send the call to the holder of the number, whatever their presence; else to the desk; else the fallback number.

    A call to a number that is none of ours, or to a user, is left alone. Raises `Unavailable` when nobody could be
    reached, so that the event comes again.
    """
    began = clock.monotonic()
    rungs = _rungs(call, emergencies, clock, deployment, deadline)
    if not rungs:
        telemetry.emit("callback_left_alone")
        return
    ring_by = Deadline(clock, ROUTE_WITHIN_S)
    for rung in rungs:
        try:
            router.redirect(call.context, rung.target, origin=derived(call.origin, rung.target), deadline=ring_by)
        except (Refused, Unavailable) as failure:
            telemetry.emit("callback_failed", reason=type(failure).__name__.lower())
        else:
            telemetry.emit("callback_routed", rung=rung.kind, ms=round((clock.monotonic() - began) * 1000))
            return
    raise Unavailable("Nobody could be reached for this callback.")


def _rungs(
    call: Incoming, emergencies: EmergencyStore, clock: Clock, deployment: Deployment, deadline: Deadline
) -> list[Rung]:
    number = call.to_number
    if number is None:
        return []
    try:
        holders = emergencies.holders(number, deadline)
    except Unavailable:
        return _desk(deployment) if number in deployment.callback_numbers else []
    if holders is None and number not in deployment.callback_numbers:
        return []
    reached = [rung for holder in _to_ring(holders or [], deployment, clock.now()) for rung in _of(holder)]
    return [*reached, *_desk(deployment)]


def _to_ring(holders: Iterable[Holder], deployment: Deployment, now: datetime) -> list[Holder]:
    """The newest live holders; in the cool-down the last one; nobody later (B2, B4)."""
    rules = deployment.rules
    live = [holder for holder in holders if holder.lease.lives(rules, now)]
    resting = [holder for holder in holders if not holder.lease.lives(rules, now)]
    last = [holder for holder in resting if now < holder.lease.released_at(rules)]
    return live[:RING_AT_ONCE] or last[:1]


def _of(holder: Holder) -> list[Rung]:
    identities = [Rung(identity, "holder") for identity in holder.reach.acs_user_ids]
    return identities + [Rung(number, "alternate") for number in holder.reach.alternate_numbers]


def _desk(deployment: Deployment) -> list[Rung]:
    fallback = (deployment.fallback_number,) if deployment.fallback_number else ()
    desk = [Rung(each, "desk") for each in deployment.security_desk]
    return desk + [Rung(each, "fallback") for each in fallback if each not in deployment.security_desk]
