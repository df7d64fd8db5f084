"""The agent or a supervisor ends the hold after a drop (B5)."""

from shared.deadlines import Clock, Deadline
from shared.domain.callers import Caller, CallerKind
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, standing, with_legs_ended, with_release
from shared.domain.errors import NotAllowed
from shared.domain.leases import called
from shared.ports import AgentDirectory, EmergencyStore, Telemetry
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect
from shared.use_cases.identify import identify_emergency


def release_presence(
    agent_id: str,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
    telemetry: Telemetry,
    emergency: str | None = None,
    legs: bool = False,
) -> tuple[Effect, ...]:
    """Give the presence back now. Without a hold, or with a leg in progress, nothing changes.

    With `legs` the office also ends the legs that nobody ended, as drops without a hold. `emergency` is the one of the
    live board that the office names. Raises `Unavailable`, `NotAllowed`.
    """
    if legs and caller.kind is not CallerKind.OFFICE:
        raise NotAllowed
    now, rules = clock.now(), deployment.rules
    ended: list[Emergency] = []

    named = emergency if caller.kind is CallerKind.OFFICE else None

    def released(found: Emergency) -> Emergency:
        if named not in (None, found.live_id):
            # Whoever ends the one that the board showed means that one, and nothing of the next.
            return found
        if not legs:
            return with_release(found, rules, now)
        ended[:] = [found] * len(standing(found, rules, now).in_progress)
        return with_legs_ended(found, rules, now)

    _, stored = identify_emergency(
        agent_id,
        caller=caller,
        emergencies=emergencies,
        directory=directory,
        deadline=deadline,
        emergency=emergency,
    )
    if stored.emergency is None:
        return ()
    key = stored.emergency.agent_key
    effects = change_emergency(key, released, emergencies=emergencies, now=now, deadline=deadline)
    for found in ended:
        telemetry.emit("leg_ended_by_supervisor", **called(found.lease))
    return effects
