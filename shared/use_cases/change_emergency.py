"""Read an emergency, decide, write; again after a conflict, until the deadline."""

from collections.abc import Callable
from datetime import datetime

from shared.deadlines import Deadline
from shared.domain.emergencies import Emergency, ties
from shared.domain.errors import Conflict
from shared.ports import Change, EmergencyStore, Stored
from shared.use_cases.effects import CloseThread, Effect, ReconcilePresence, SettleHeldRecordings


def change_emergency(
    agent_key: str,
    change: Callable[[Emergency], Emergency],
    *,
    emergencies: EmergencyStore,
    now: datetime,
    deadline: Deadline,
    read: Stored | None = None,
) -> tuple[Effect, ...]:
    """Apply `change` to what is known of the agent's emergency, and say what is owed then.

    Writes nothing where nothing changes: a duplicate costs a read. `read` is what the caller has just read of it.
    Raises `Unavailable`.
    """
    while True:
        stored, read = read or emergencies.load(agent_key, deadline).result(), None
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
            owed = owed_to(changed)
            tied = ties(changed) != ties(stored.emergency)
            return (*owed, SettleHeldRecordings(agent_key)) if tied else owed


def owed_to(emergency: Emergency) -> tuple[Effect, ...]:
    """What an emergency that was just written owes, besides notices."""
    presence = (ReconcilePresence(emergency.agent_key),) if emergency.presence_due_at is not None else ()
    threads = (emergency.thread, emergency.test_thread)
    over = any(thread is not None and thread.close_at is not None for thread in threads)
    return (*presence, CloseThread(emergency.agent_key)) if over else presence
