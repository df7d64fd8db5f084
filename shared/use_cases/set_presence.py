"""Somebody sets an agent's presence."""

from shared.deadlines import Deadline
from shared.domain.errors import Conflict
from shared.domain.ids import agent_key_of
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.ports import PresenceGateway
from shared.use_cases.effects import Effect, ReconcilePresenceOf


def set_presence(
    agent_id: str,
    status: PresenceStatus,
    set_by: SetBy,
    *,
    presence: PresenceGateway,
    deadline: Deadline,
    agent_key: str | None = None,
) -> tuple[Presence, tuple[Effect, ...]]:
    """Set it whatever it was: the last one who sets it wins, unless a system does so while it is held (S2, B5).

    What an emergency makes of it is owed: a person's change stays, a system's is undone. `agent_id` and
    `agent_key` as in `return_presence`. Raises `Unavailable`, and `Conflict` where another service keeps presences:
    they are set there.
    """
    if not presence.embedded:
        raise Conflict("Presence is set in the service that keeps it.")
    while True:
        current = presence.read(agent_id, deadline)
        wanted = Presence(status=status, set_by=set_by, version=current.version)
        try:
            name = agent_key or agent_key_of(agent_id)
            return presence.write(agent_id, wanted, deadline), (ReconcilePresenceOf(name),)
        except Conflict:
            deadline.require()
