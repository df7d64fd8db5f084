"""What an agent's presence is now (S2, B1)."""

from contextlib import suppress

from shared.deadlines import Clock, Deadline
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.domain.presence import Presence, PresenceStatus, SetBy, may_be_stray
from shared.ports import EmergencyStore, OutageLog, PresenceGateway
from shared.use_cases.return_presence import return_presence


def show_presence(
    agent_id: str,
    *,
    emergencies: EmergencyStore,
    presence: PresenceGateway,
    outage: OutageLog,
    clock: Clock,
    deadline: Deadline,
    agent_key: str | None = None,
) -> Presence:
    """The presence; Do not disturb where it cannot be read and this process knows of a dial that nobody could store.

    What an outage left behind is given back first, and not shown. `agent_id` and `agent_key` as in `return_presence`.
    Raises `Unavailable`.
    """
    dialling = outage.dialling(agent_id, clock.now()) is not None
    try:
        current = presence.read(agent_id, deadline)
    except Unavailable:
        if not dialling:
            raise
        return Presence(status=PresenceStatus.DO_NOT_DISTURB, set_by=SetBy.SYSTEM)
    if current.hold_id is not None and may_be_stray(current, clock.now()) and not dialling:
        with suppress(EmergencyCallingError):
            return_presence(
                agent_id,
                current.hold_id,
                emergencies=emergencies,
                presence=presence,
                deadline=deadline,
                agent_key=agent_key,
            )
            return presence.read(agent_id, deadline)
    return current
