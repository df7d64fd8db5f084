"""Presence that was held in an outage, for a dial of which the store never heard (B1, B5)."""

from shared.deadlines import Deadline
from shared.domain.callers import owner_named
from shared.domain.ids import agent_key_of
from shared.domain.subjects import unlisted_key
from shared.ports import EmergencyStore, PresenceGateway
from shared.use_cases.find_holders import holders_of


def return_presence(
    agent_id: str,
    hold_id: str,
    *,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    deadline: Deadline,
    agent_key: str | None = None,
) -> None:
    """Give back what this hold replaced. An emergency that the store knows looks after its own.

    `agent_id` is the id under which presence services know them, `agent_key` that of their emergency where it is not
    the id's own. Raises `Conflict` where somebody else changed the presence meanwhile, and `Unavailable`.
    """
    # The presence of an unlisted agent who signs in is under their object id.
    keys = dict.fromkeys((agent_key or agent_key_of(agent_id), unlisted_key(agent_id, owner_named(agent_id))))
    if any(emergencies.find(key, deadline).result().emergency is not None for key in keys):
        return
    if any(holders_of(agent_id, emergencies, deadline)):
        # Of another machine's, say, which calls somebody by the same id.
        return
    if presence.forget(agent_id, hold_id, deadline) is not None:
        # Nobody would look once more; what still lands ends by itself.
        presence.remove(agent_id, deadline)
