"""The whole directory, for whoever takes it away as a file."""

from collections.abc import Iterator

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.ports import AgentRegister

ENTRIES_A_READ = 1000


def export_agents(*, directory: AgentRegister, deadline: Deadline) -> list[Agent]:
    """Every entry that can be read. Raises `Unavailable`."""
    return list(all_agents(directory, deadline))


def all_agents(directory: AgentRegister, deadline: Deadline) -> Iterator[Agent]:
    """The same, of which one page at a time is kept in memory."""
    after = ""
    while page := directory.all_after(after, ENTRIES_A_READ, deadline):
        yield from page
        after = page[-1].key
