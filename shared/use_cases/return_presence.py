"""Presence that was held in an outage, for a dial of which the store never heard (B1, B5)."""

from shared.deadlines import Deadline
from shared.domain.ids import agent_key_of
from shared.ports import EmergencyStore, PresenceGateway


def return_presence(
    agent_id: str, hold_id: str, *, emergencies: EmergencyStore, presence: PresenceGateway, deadline: Deadline
) -> None:
    """Give back what this hold replaced. An emergency that the store knows looks after its own.

    Raises `Conflict` where somebody else changed the presence meanwhile, and `Unavailable`.
    """
    if emergencies.find(agent_key_of(agent_id), deadline).result().emergency is not None:
        return
    if presence.forget(agent_id, hold_id, deadline) is not None:
        # Nobody would look once more; what still lands ends by itself.
        presence.remove(agent_id, deadline)
