"""A responder calls back: who is to be rung, and sending the call on where it cannot be answered (S4, B4)."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from shared.deadlines import Clock, Deadline
from shared.domain.callbacks import Party, called_by, ladder_of
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Reach
from shared.domain.errors import Refused, Unavailable
from shared.domain.identities import raw_identity
from shared.domain.ids import derived
from shared.domain.pool import leases_to_ring
from shared.ports import CallRouter, Holder, NumberPool, Telemetry

# So many identities of all holders together: more would not fit into the callback's row.
MAX_IDENTITIES = 15
ROUTE_WITHIN_S = 8.0


class Incoming(Struct, frozen=True, kw_only=True):
    """An incoming call: the number dialled (None where a user was), and what call control needs.

    `caller` is a raw identity, and only compared with those whom we would ring. `origin` is the same in every delivery
    of the same call, and its server call id where that is known. `came_at` is when it began to ring, as its event says.
    `drill`: nobody calls; only a drill itself asks so.
    """

    to_number: str | None
    context: str
    origin: str
    caller: str | None = None
    came_at: datetime | None = None
    drill: bool = False


class CallTarget(Struct, frozen=True):
    """Somebody to send the call to, and on what grounds."""

    target: str
    kind: str


def parties_of(
    number: str | None,
    *,
    numbers: NumberPool,
    deployment: Deployment,
    now: datetime,
    deadline: Deadline,
    drill: bool = False,
) -> tuple[Party, ...] | None:
    """Whose ladder a call to `number` climbs, none for the desk's; None if the number is none of ours.

    While the number is lent: whoever held it unshared and its newest holders, those without a leg in progress first. In
    the cool-down the last one; nobody later (B2, B4). A real call rings nobody for a drill, and a `drill` nobody for a
    real one (B9). Raises `Unavailable`.
    """
    if number is None:
        return None
    holders = numbers.holders(number, deadline)
    if holders is None:
        return () if number in deployment.callback_numbers else None
    to_ring = _to_ring([holder for holder in holders if holder.lease.drill is drill], deployment, now)
    pool = frozenset(deployment.callback_numbers)
    return tuple(_party(holder, MAX_IDENTITIES // len(to_ring), pool) for holder in to_ring)


def _to_ring(holders: Iterable[Holder], deployment: Deployment, now: datetime) -> list[Holder]:
    rules = deployment.rules
    live = [holder for holder in holders if holder.lease.lives(rules, now)]
    resting = [holder for holder in holders if not holder.lease.lives(rules, now)]
    kept = [holder for holder in resting if now < holder.lease.released_at(rules)]
    # Of a shared number the one whose lease was the last to end, whoever was lent it last.
    last = sorted(kept, key=lambda holder: holder.lease.ends_at(rules), reverse=True)
    rung = leases_to_ring([holder.lease for holder in live])
    chosen = [holder for holder in live if holder.lease in rung]
    return sorted(chosen, key=lambda holder: holder.lease.in_a_call(now)) or last[:1]


def _party(holder: Holder, most_identities: int, pool: frozenset[str]) -> Party:
    identities = holder.reach.acs_user_ids[:most_identities]
    # A callback number among them would be a callback of its own, and so on for ever.
    alternates = tuple(number for number in holder.reach.alternate_numbers if number not in pool)
    desk = tuple(each for each in holder.reach.desk if each not in pool)
    reach = Reach(acs_user_ids=identities, alternate_numbers=alternates, desk=desk)
    return Party(agent_id=holder.agent_id, agent_key=holder.agent_key, reach=reach, word=holder.lease.word)


class NobodyTook(Unavailable):
    """Nobody could be reached for this callback; `for_good` where each was refused, and none failed to answer."""

    def __init__(self, *, for_good: bool) -> None:
        super().__init__()
        self.for_good = for_good


def redirect_callback(
    call: Incoming,
    parties: tuple[Party, ...],
    *,
    router: CallRouter,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
) -> None:
    """Send the call to the holder of the number, else to the desk, else to the fallback number: one ring for it all.

    Raises `NobodyTook` when nobody could be reached.
    """
    ring_by = Deadline(clock, ROUTE_WITHIN_S)
    rungs = [*(rung for party in parties for rung in _of(party)), *_desk(parties, deployment)]
    caller = raw_identity(call.caller) if call.caller is not None else None
    others = [each for each in rungs if raw_identity(each.target) != caller]
    for_good = bool(others)
    for rung in others:
        try:
            router.redirect(call.context, rung.target, origin=derived(call.origin, rung.target), deadline=ring_by)
        except (Refused, Unavailable) as failure:
            for_good = for_good and isinstance(failure, Refused)
            telemetry.emit("callback_failed", reason=type(failure).__name__.lower(), **called_by(parties))
        else:
            telemetry.emit("callback_routed", rung=rung.kind, **called_by(parties))
            return
    raise NobodyTook(for_good=for_good)


def _of(party: Party) -> list[CallTarget]:
    identities = [CallTarget(identity, "holder") for identity in party.reach.acs_user_ids]
    return identities + [CallTarget(number, "alternate") for number in party.reach.alternate_numbers]


def _desk(parties: tuple[Party, ...], deployment: Deployment) -> list[CallTarget]:
    ladder = ladder_of(parties, deployment.ladder)
    fallback = (ladder.fallback,) if ladder.fallback else ()
    return [CallTarget(each, "desk") for each in ladder.desk] + [
        CallTarget(each, "fallback") for each in fallback if each not in ladder.desk
    ]
