"""Which directory entry is the caller's own."""

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.principals import Principal
from shared.ports import AgentDirectory


def find_me(principal: Principal, *, directory: AgentDirectory, deadline: Deadline) -> Agent | None:
    """The entry with the caller's Microsoft Entra object id, of several the first by id; None where there is none.

    A sign-in that knows the agent itself outranks the object id. Raises `Unavailable`.
    """
    if principal.agent_id is not None:
        return directory.find(principal.agent_id, deadline).result()
    if principal.object_id is None:
        return None
    mine = directory.find_by_object_id(principal.object_id, deadline)
    return min(mine, key=lambda agent: agent.agent_id, default=None)
