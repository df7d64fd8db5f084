"""An administrator begins a drill for an agent (B9)."""

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.drills import new_drill
from shared.domain.errors import NotFound
from shared.ports import AgentDirectory, Drills, Telemetry


def begin_drill(
    drill_id: str,
    agent_id: str,
    recipients: tuple[str, ...],
    *,
    drills: Drills,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Keep a drill that is to be played, one at a time.

    Raises `NotFound` where nobody in the directory has the id, `Conflict` while another one runs, `Unavailable`.
    """
    found = directory.read(agent_id, deadline)
    if found is None:
        raise NotFound
    now = clock.now()
    drill = new_drill(drill_id, found[0].agent_id, recipients, now, sender_key=deployment.sender_key)
    drills.begin(drill, now, deadline)
    telemetry.emit("drill_started", recipients=len(recipients))
