"""What an agent's presence is now (S2, B1)."""

from shared.domain.errors import Unavailable
from shared.domain.presence import EMERGENCY, Presence, PresenceStatus
from shared.ports import Clock, Deadline, OutageLog, PresenceGateway


def show_presence(
    agent_id: str, *, presence: PresenceGateway, outage: OutageLog, clock: Clock, deadline: Deadline
) -> Presence:
    """The presence; Do not disturb where it cannot be read and this process knows of a dial that nobody could store.

    Raises `Unavailable`.
    """
    try:
        return presence.read(agent_id, deadline)
    except Unavailable:
        if outage.dialling(agent_id, clock.now()) is None:
            raise
    return Presence(status=PresenceStatus.DO_NOT_DISTURB, set_by=EMERGENCY)
