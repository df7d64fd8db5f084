"""Whose presence `/agents/{agent_id}/presence` means, and the emergency that may hold it."""

from contextlib import suppress

from shared.deadlines import Deadline
from shared.domain.callers import Caller
from shared.domain.errors import NotAllowed, Unavailable
from shared.domain.ids import agent_key_of
from shared.domain.subjects import Subject, entry_named
from shared.ports import AgentDirectory, EmergencyStore
from shared.use_cases.identify import identify_emergency, own_entries


def whose_presence(
    agent_id: str,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
    emergency: str | None = None,
) -> Subject:
    """The agent of the directory; else whoever has an emergency under this id, as for the panel.

    Of several it is the one that the office named by `emergency`, else the newest.

    Raises `NotAllowed` where an agent means anybody but themself, or has neither an entry nor an emergency, and
    `Unavailable`.
    """
    by_id = Subject(agent_id=agent_id, key=agent_key_of(agent_id))
    if caller.is_agent:
        named = entry_named(agent_id, own_entries(caller, directory, deadline))
        if named is not None and not directory.may_have_begun_before(named):
            return by_id
        subject, stored = identify_emergency(
            agent_id, caller=caller, emergencies=emergencies, directory=directory, deadline=deadline
        )
        if subject.entry is None and stored.emergency is None:
            raise NotAllowed
        return subject
    # While nobody can be asked it is taken for a listed agent's, of whom the outage may know.
    with suppress(Unavailable):
        entry = directory.find(agent_id, deadline).result()
        if entry is None or directory.may_have_begun_before(entry):
            subject, _ = identify_emergency(
                agent_id,
                caller=caller,
                emergencies=emergencies,
                directory=directory,
                deadline=deadline,
                emergency=emergency,
            )
            return subject
    return by_id
