"""Who is calling us."""

from msgspec import Struct

AGENT = "EmergencyCalling.Agent"
SUPERVISOR = "EmergencyCalling.Supervisor"
ADMIN = "EmergencyCalling.Admin"
MACHINE = "EmergencyCalling.Machine"
ROLES = frozenset({AGENT, SUPERVISOR, ADMIN, MACHINE})


class Principal(Struct, frozen=True, kw_only=True):
    """A signed-in person or machine.

    `object_id` is the Microsoft Entra object id; `agent_id` is set only where the sign-in itself knows the agent.
    """

    roles: frozenset[str]
    object_id: str | None = None
    agent_id: str | None = None

    @property
    def name(self) -> str | None:
        """What an agent's calls are owned by."""
        return self.object_id or self.agent_id
