"""What an agent's communication panel shows now (S5)."""

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.deployment import Deployment
from shared.domain.errors import NotAllowed, Unavailable
from shared.domain.ids import key_of
from shared.domain.panels import Panel, emergency_panel, panel_of, with_number
from shared.ports import Caller, EmergencyStore, OutageLog


def show_panel(
    agent_id: str,
    *,
    caller: Caller,
    entry: Agent | None,
    emergencies: EmergencyStore,
    outage: OutageLog,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> Panel:
    """The panel, also of a dial that was answered while the store was away.

    Raises `Unavailable`, and `NotAllowed` where an agent without a directory entry is somebody else's.
    """
    try:
        stored = emergencies.load(key_of(agent_id), deadline).result()
    except Unavailable:
        dialled = outage.dialling(agent_id, clock.now())
        if dialled is None:
            raise
        panel = emergency_panel(test=dialled.test, placement=dialled.situation.placement)
        return with_number(panel, deployment.fallback_number, dialled.expires_at, dialled.situation)
    owner = stored.emergency.owner if stored.emergency else None
    if not caller.speaks_for(agent_id, entry, owner):
        raise NotAllowed
    return panel_of(stored.emergency, deployment.rules, clock.now())
