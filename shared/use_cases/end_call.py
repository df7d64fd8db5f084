"""A leg ended, says the softphone or a machine (S8, B5, B7)."""

from datetime import datetime

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, LegEnd, with_reported_end
from shared.domain.errors import CallIdTaken, Malformed, NotAllowed
from shared.domain.ids import key_of
from shared.domain.leases import called
from shared.ports import AgentDirectory, Caller, CallOwner, EmergencyStore, Telemetry
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect


class End(Struct, frozen=True, kw_only=True):
    """A reported end; `agent_id` where the reporter says whose call it means."""

    call_id: str
    by_agent: bool
    agent_id: str | None = None
    at: datetime | None = None


class Ended(Struct, frozen=True):
    """Whether the call was known; one that was not is kept as ended, for its start may come late."""

    known: bool
    effects: tuple[Effect, ...] = ()


def end_call(
    end: End,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> Ended:
    """End the leg of this call, or keep the end for a start that comes late.

    Raises `NotAllowed` for somebody else's call, `Malformed` where several agents reported the same call id and a
    machine does not say whose it means, `Unavailable`.
    """
    now = clock.now()
    at = min(end.at or now, now)
    while True:
        owner = find_own_call(
            end.call_id,
            agent_id=end.agent_id,
            caller=caller,
            emergencies=emergencies,
            directory=directory,
            deadline=deadline,
        )
        if owner is not None and owner.agent_key is not None and owner.leg_id is not None:
            break
        try:
            emergencies.keep_end(_end_without_start(end, caller, owner, at, now, deployment), deadline)
        except CallIdTaken:
            deadline.require()
            continue
        telemetry.emit("end_recorded", kind="before_start")
        return Ended(known=False)
    leg_id, leg_end = owner.leg_id, LegEnd(at, end.by_agent)
    said: dict[str, str] = {}

    def ended(emergency: Emergency) -> Emergency:
        said.update(called(emergency.lease))
        return with_reported_end(emergency, leg_id, leg_end, deployment.rules, now)

    effects = change_emergency(
        owner.agent_key,
        ended,
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )
    telemetry.emit("end_recorded", kind="by_agent" if end.by_agent else "dropped", **said)
    return Ended(known=True, effects=effects)


def _end_without_start(
    end: End, caller: Caller, kept: CallOwner | None, at: datetime, now: datetime, deployment: Deployment
) -> CallOwner:
    """The end to keep: as told now, together with one from the same reporter; a trusted one before any other."""
    told = CallOwner(
        row=f"call|{key_of(end.call_id)}",
        ended_at=at,
        by_agent=end.by_agent,
        ended_by=caller.name,
        expires_at=now + deployment.rules.window,
    )
    if kept is None:
        return told
    told = structs.replace(told, expires_at=kept.expires_at, version=kept.version)
    if kept.ended_by == told.ended_by and kept.ended_at is not None:
        return structs.replace(told, ended_at=min(at, kept.ended_at), by_agent=kept.by_agent or told.by_agent)
    return told if told.ended_by is None else kept


def find_own_call(
    call_id: str,
    *,
    agent_id: str | None,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
) -> CallOwner | None:
    """The record of a call that the caller may speak for; None for a call of which nothing is known.

    Raises `NotAllowed` when the call is somebody else's, `Malformed` when it could be several agents'.
    """
    recorded = emergencies.calls(key_of(call_id), deadline)
    if agent_id is not None:
        recorded = [each for each in recorded if each.agent_key in (None, key_of(agent_id))]
    calls = [each for each in recorded if each.agent_key is not None]
    own = [each for each in calls if _is_own(each, caller, emergencies, directory, deadline)]
    if calls and not own:
        raise NotAllowed
    if len(own) > 1:
        raise Malformed("agent_id", "needed here, because several agents reported this call_id")
    return own[0] if own else next((each for each in recorded if each.agent_key is None), None)


def _is_own(
    call: CallOwner,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
) -> bool:
    assert call.agent_key is not None
    emergency = emergencies.load(call.agent_key, deadline).result().emergency
    if emergency is None:
        return False
    entry = directory.find(emergency.agent_id, deadline).result()
    return caller.speaks_for(emergency.agent_id, entry, emergency.owner)
