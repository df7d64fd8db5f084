"""What is kept of listed agents is for themselves, and for those who may speak for others."""

from shared.deadlines import Deadline
from shared.domain.callers import Caller
from shared.domain.errors import NotAllowed
from shared.ports import AgentDirectory
from shared.use_cases.identify import own_entries, own_entry_named


def require_own(agent_id: str, *, caller: Caller, directory: AgentDirectory, deadline: Deadline) -> None:
    """Raise `NotAllowed` where an agent names anybody but themself, or has no entry; `Unavailable`.

    Also in their emergency: what is kept of an unlisted agent would be under an id that they claim.
    """
    if not caller.is_agent:
        return
    own = own_entries(caller, directory, deadline)
    if own_entry_named(agent_id, own, caller=caller, directory=directory, deadline=deadline) is None:
        raise NotAllowed
