"""ACS reported that a server call started or ended (CallStarted, CallEnded)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched, chain, zip_longest

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, Sighting, claimed_by_callback, with_sighting
from shared.domain.errors import Unreadable
from shared.domain.identities import raw_identities, raw_identity
from shared.domain.ids import key_of
from shared.domain.leases import called
from shared.ports import READ_AT_ONCE, EmergencyStore, Stored, Telemetry
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect


class ServerCall(Struct, frozen=True, kw_only=True):
    """What the event says. `at` is its time; `duration` is None where unknown; identities are raw."""

    server_call_id: str
    starter: str
    at: datetime
    ended: bool
    correlation_id: str | None = None
    duration: timedelta | None = None
    ended_by: str | None = None


def see_server_call(
    call: ServerCall,
    *,
    emergencies: EmergencyStore,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Tie or end the starter's leg. An ordinary call costs reads and writes nothing. Raises `Unavailable`.

    Where unlisted agents claim the call in such numbers that time runs out, those of the directory have been settled;
    the event comes again, and costs no write for what was settled before. So it does where one of them has a damaged
    row.
    """
    now = clock.now()
    sighting = _sighting(call, now)
    known = emergencies.owners_of_server_call(sighting.server_key, deadline)
    starter, ended_by = raw_identity(call.starter), raw_identity(call.ended_by or "")
    waiting = emergencies.owners_of_starter(starter, deadline)

    said: dict[str, str] = {}

    def seen(emergency: Emergency) -> Emergency:
        said.update(called(emergency.lease))
        # Only the starter's own emergency: a claim on somebody else's call counts for nothing.
        starters = raw_identities(emergency.starters)
        if starter in starters:
            self_stated = starter in raw_identities(emergency.self_stated)
            own = structs.replace(sighting, self_stated=self_stated)
            return with_sighting(emergency, own, deployment.rules, now)
        if claimed_by_callback(emergency, sighting.server_key):
            by_agent = call.ended and ended_by in starters
            return with_sighting(emergency, structs.replace(sighting, ended_by_starter=by_agent), deployment.rules, now)
        return emergency

    effects: tuple[Effect, ...] = ()
    for agent_key, read in _readable(_in_turn(known, waiting), emergencies, deadline):
        said.clear()
        effects += change_emergency(agent_key, seen, emergencies=emergencies, now=now, deadline=deadline, read=read)
        telemetry.emit("tie_recorded", kind="ended" if call.ended else "seen", **said)
    return effects


def _readable(
    agent_keys: Iterable[str], emergencies: EmergencyStore, deadline: Deadline
) -> Iterator[tuple[str, Stored]]:
    """Each emergency that can be read, some at a time; after the last one raises `Unreadable` where one cannot."""
    damaged: Unreadable | None = None
    for some in batched(agent_keys, READ_AT_ONCE, strict=False):
        reads = [emergencies.load(agent_key, deadline) for agent_key in some]
        for agent_key, read in zip(some, reads, strict=True):
            try:
                stored = read.result()
            except Unreadable as unreadable:
                damaged = unreadable
            else:
                yield agent_key, stored
    if damaged is not None:
        # The event comes again until the row can be read; what the others are owed is in the outbox by now.
        raise damaged


def _in_turn(known: Sequence[str], waiting: Sequence[str]) -> list[str]:
    """One of each in turn, each in its order: unlisted agents who claim the call keep nobody who waits behind them."""
    both = chain.from_iterable(zip_longest(known, waiting))
    return list(dict.fromkeys(each for each in both if each is not None))


def _sighting(call: ServerCall, now: datetime) -> Sighting:
    at = min(call.at, now)
    started_at = at if not call.ended else (at - call.duration if call.duration is not None else None)
    return Sighting(
        server_key=key_of(call.server_call_id),
        correlation_key=key_of(call.correlation_id) if call.correlation_id else None,
        started_at=started_at,
        start_derived=call.ended and started_at is not None,
        ended_at=at if call.ended else None,
        ended_by_starter=call.ended and raw_identity(call.ended_by or "") == raw_identity(call.starter),
    )
