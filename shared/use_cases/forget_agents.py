"""What is kept of those whose entries an administrator removed goes with them, once no lease of theirs is left."""

from shared.deadlines import Deadline
from shared.domain.errors import EmergencyCallingError
from shared.domain.ids import agent_key_of
from shared.ports import AgentRegister, Deliveries, Desktops, EmergencyStore, PresenceGateway


def forget_agents(
    *,
    directory: AgentRegister,
    emergencies: EmergencyStore,
    desktops: Desktops,
    deliveries: Deliveries,
    presence: PresenceGateway,
    deadline: Deadline,
) -> None:
    """Remove what is kept beside the entries of those who left, each in a try of its own. Raises `Unavailable`."""
    for agent_id in directory.leaving(deadline):
        try:
            _forget(agent_id, directory, emergencies, desktops, deliveries, presence, deadline)
        except EmergencyCallingError:
            # They are still leaving: the next run looks again.
            continue


def _forget(
    agent_id: str,
    directory: AgentRegister,
    emergencies: EmergencyStore,
    desktops: Desktops,
    deliveries: Deliveries,
    presence: PresenceGateway,
    deadline: Deadline,
) -> None:
    if directory.read(agent_id, deadline) is None:
        # A callback may still need where they were; and presence that is held must be given back first.
        if emergencies.find(agent_key_of(agent_id), deadline).result().emergency is not None:
            return
        desktops.forget(agent_id, deadline)
        deliveries.forget(agent_id, deadline)
        presence.remove(agent_id, deadline)
    directory.forget_left(agent_id, deadline)
