"""Somebody asks whether the deployment can do its work."""

from shared.deadlines import Deadline
from shared.domain.errors import EmergencyCallingError
from shared.ports import AgentDirectory

# No agent has the empty id, and what is not there is never remembered: this always asks the table.
NOBODY = ""


def check_health(*, directory: AgentDirectory, deadline: Deadline) -> bool:
    """Whether the table answers before the deadline; one that refuses us is as bad as one that is away."""
    try:
        directory.read(NOBODY, deadline)
    except EmergencyCallingError:
        return False
    return True
