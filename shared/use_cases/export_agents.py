"""The whole directory, for whoever takes it away as a file."""

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.ports import AgentRegister

ENTRIES_A_READ = 1000


def export_agents(*, directory: AgentRegister, deadline: Deadline) -> list[Agent]:
    """Every entry that can be read. Raises `Unavailable`."""
    found: list[Agent] = []
    while True:
        page = directory.all_after(found[-1].key if found else "", ENTRIES_A_READ, deadline)
        if not page:
            return found
        found += page
