"""The softphone says which server call its leg is."""

from shared.deadlines import Clock, Deadline
from shared.domain.callers import Caller
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, with_claim
from shared.domain.errors import NotAllowed, NotFound
from shared.domain.ids import key_of
from shared.domain.leases import called
from shared.ports import AgentDirectory, EmergencyStore, Telemetry
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect
from shared.use_cases.end_call import find_own_call


def tie_call(
    call_id: str,
    server_call_id: str,
    *,
    agent_id: str | None = None,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Record the claim; it becomes an exact tie once ACS names the same starter for that server call.

    `agent_id` is whose call a machine means. Raises `NotFound` for a call that a machine may not speak for,
    `NotAllowed` for one that is not the agent's own, `Malformed` where it could be several agents', `Unavailable`.
    """
    now = clock.now()
    own = find_own_call(
        call_id,
        agent_id=agent_id,
        caller=caller,
        emergencies=emergencies,
        directory=directory,
        deadline=deadline,
    ).own
    if own is None or own.agent_key is None or own.leg_id is None:
        # An agent is told the same of a call that is another's and of one that is nobody's.
        raise NotAllowed if caller.is_agent else NotFound
    leg_id = own.leg_id
    said: dict[str, str] = {}

    def tied(emergency: Emergency) -> Emergency:
        said.update(called(emergency.lease))
        return with_claim(emergency, leg_id, key_of(server_call_id), deployment.rules, now)

    effects = change_emergency(
        own.agent_key,
        tied,
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )
    telemetry.emit("tie_recorded", kind="claimed", **said)
    return effects
