"""Somebody sets an agent's presence."""

from shared.deadlines import Deadline
from shared.domain.errors import Conflict
from shared.domain.presence import Presence, PresenceStatus
from shared.ports import PresenceGateway


def set_presence(
    agent_id: str, status: PresenceStatus, set_by: str, *, presence: PresenceGateway, deadline: Deadline
) -> Presence:
    """Set it whatever it was: the last one who sets it wins, and a hold of ours ends where it is seen (B5).

    Raises `Unavailable`.
    """
    while True:
        current = presence.read(agent_id, deadline)
        try:
            return presence.write(agent_id, Presence(status=status, set_by=set_by, version=current.version), deadline)
        except Conflict:
            deadline.require()
