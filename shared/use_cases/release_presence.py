"""The agent or a supervisor ends the hold after a drop (B5)."""

from shared.deadlines import Clock, Deadline
from shared.domain.callers import Caller
from shared.domain.deployment import Deployment
from shared.domain.emergencies import with_release
from shared.ports import AgentDirectory, EmergencyStore
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
    emergency: str | None = None,
) -> tuple[Effect, ...]:
    """Give the presence back now. Without a hold, or with a leg in progress, nothing changes.

    `emergency` is the one of the live board that the office names. Raises `Unavailable`, `NotAllowed`.
    """
    now = clock.now()
    subject, _ = identify_emergency(
        agent_id,
        caller=caller,
        emergencies=emergencies,
        directory=directory,
        deadline=deadline,
        emergency=emergency,
    )
    return change_emergency(
        subject.key,
        lambda found: with_release(found, deployment.rules, now),
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )
