"""The agent or a supervisor ends the hold after a drop (B5)."""

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, with_release
from shared.domain.errors import NotAllowed
from shared.domain.ids import key_of
from shared.ports import Caller, EmergencyStore
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect


def release_presence(
    agent_id: str,
    *,
    caller: Caller,
    entry: Agent | None,
    emergencies: EmergencyStore,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Give the presence back now. Without a hold, or with a leg in progress, nothing changes.

    Raises `Unavailable`, and `NotAllowed` where an agent without a directory entry is somebody else's.
    """
    now = clock.now()

    def released(emergency: Emergency) -> Emergency:
        if not caller.speaks_for(agent_id, entry, emergency.owner):
            raise NotAllowed
        return with_release(emergency, deployment.rules, now)

    return change_emergency(key_of(agent_id), released, emergencies=emergencies, now=now, deadline=deadline)
