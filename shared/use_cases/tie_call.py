"""The softphone says which server call its leg is."""

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, with_claim
from shared.domain.errors import NotFound
from shared.domain.ids import key_of
from shared.domain.leases import called
from shared.ports import AgentDirectory, Caller, EmergencyStore, Telemetry
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect
from shared.use_cases.end_call import find_own_call


def tie_call(
    call_id: str,
    server_call_id: str,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Record the claim; it becomes an exact tie once ACS names the same starter for that server call.

    Raises `NotFound` for an unknown call, `NotAllowed` for somebody else's, `Unavailable`.
    """
    now = clock.now()
    owner = find_own_call(
        call_id,
        agent_id=None,
        caller=caller,
        emergencies=emergencies,
        directory=directory,
        deadline=deadline,
    )
    if owner is None or owner.agent_key is None or owner.leg_id is None:
        raise NotFound
    leg_id = owner.leg_id
    said: dict[str, str] = {}

    def tied(emergency: Emergency) -> Emergency:
        said.update(called(emergency.lease))
        return with_claim(emergency, leg_id, key_of(server_call_id), deployment.rules, now)

    effects = change_emergency(
        owner.agent_key,
        tied,
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )
    telemetry.emit("tie_recorded", kind="claimed", **said)
    return effects
