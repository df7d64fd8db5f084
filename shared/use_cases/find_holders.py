"""Which emergencies of unlisted agents hold one presence: several machines may call somebody by the same id (S2)."""

from collections.abc import Iterator
from datetime import datetime

from shared.deadlines import Deadline
from shared.domain.callers import is_of_an_agent, same_agent
from shared.domain.emergencies import Emergency, standing
from shared.domain.leases import Rules
from shared.ports import EmergencyStore
from shared.use_cases.identify import all_under


def holders_of(presence_id: str, emergencies: EmergencyStore, deadline: Deadline) -> Iterator[Emergency]:
    """Those under this id that nobody in the directory has whose holds were not over when they were written.

    Lazy: it reads. Raises `Unavailable`.
    """
    for stored in all_under(presence_id, emergencies, deadline):
        emergency = stored.emergency
        if emergency is not None and emergency.held and same_agent(emergency.presence_id, presence_id):
            yield emergency


def is_held_by_another(
    emergency: Emergency, rules: Rules, now: datetime, *, emergencies: EmergencyStore, deadline: Deadline
) -> bool:
    """Whether the presence of this emergency is another's, too: it stays as it is until the last of them is over.

    Nothing is read but of an agent whom a machine or a source named: all others have a presence of their own. Raises
    `Unavailable`.
    """
    if emergency.owner is None or is_of_an_agent(emergency.owner):
        return False
    others = (
        each
        for each in holders_of(emergency.presence_id, emergencies, deadline)
        if each.agent_key != emergency.agent_key
    )
    # By the clock: of two that end at one moment neither may leave it to the other.
    return any(standing(each, rules, now).held for each in others)
