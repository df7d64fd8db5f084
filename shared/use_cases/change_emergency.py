"""Read an emergency, decide, write; again after a conflict, until the deadline."""

from collections.abc import Callable
from datetime import datetime

from shared.deadlines import Deadline
from shared.domain.emergencies import Emergency, ties
from shared.domain.errors import Conflict
from shared.ports import Change, EmergencyStore
from shared.use_cases.effects import Effect, ReconcilePresence, SettleHeldRecordings


def change_emergency(
    agent_key: str,
    change: Callable[[Emergency], Emergency],
    *,
    emergencies: EmergencyStore,
    now: datetime,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Apply `change` to what is known of the agent's emergency, and say what is owed then.

    Writes nothing where nothing changes: a duplicate costs a read. Raises `Unavailable`.
    """
    while True:
        stored = emergencies.load(agent_key, deadline).result()
        if stored.emergency is None:
            return ()
        changed = change(stored.emergency)
        if changed == stored.emergency:
            return ()
        try:
            emergencies.commit(Change(stored=stored, emergency=changed, now=now), deadline)
        except Conflict:
            deadline.require()
        else:
            presence = (ReconcilePresence(agent_key),) if changed.presence_due_at is not None else ()
            tied = ties(changed) != ties(stored.emergency)
            return (*presence, SettleHeldRecordings(agent_key)) if tied else presence
