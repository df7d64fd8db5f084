"""Which directory entry is the caller's own."""

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.ports import AgentDirectory
from shared.use_cases.identify import own_entries


def find_me(caller: Caller, *, directory: AgentDirectory, deadline: Deadline) -> Agent | None:
    """The entry that is the caller's by what their sign-in knows, else by their object id; None where there is none.

    Of several it is the first by id. Raises `Unavailable`.
    """
    return next(iter(own_entries(caller, directory, deadline)), None)
