"""Read the emergencies of several agents, of whom one may have a damaged row."""

from collections.abc import Iterable
from contextlib import suppress

from shared.deadlines import Deadline
from shared.domain.errors import Unreadable
from shared.ports import EmergencyStore, Stored


def load_emergencies(agent_keys: Iterable[str], *, emergencies: EmergencyStore, deadline: Deadline) -> list[Stored]:
    """Those that can be read, all at once. A damaged row is as if it were not there: the others are not to wait for it.

    Raises `Unavailable`.
    """
    found: list[Stored] = []
    for pending in [emergencies.load(agent_key, deadline) for agent_key in agent_keys]:
        with suppress(Unreadable):
            found.append(pending.result())
    return found
