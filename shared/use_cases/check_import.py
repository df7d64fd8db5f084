"""What an import would do to the directory, without doing it."""

from collections.abc import Sequence

from msgspec import Struct

from shared.deadlines import Deadline
from shared.domain.ids import agent_key_of
from shared.domain.imports import AgentChange
from shared.ports import AgentRegister
from shared.use_cases.export_agents import export_agents


class ImportOutlook(Struct, frozen=True):
    """How many entries would be new, changed, and as they are."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


def check_import(changes: Sequence[AgentChange], *, directory: AgentRegister, deadline: Deadline) -> ImportOutlook:
    """What these changes would do. Raises `Unavailable`."""
    known = {agent.key: agent for agent in export_agents(directory=directory, deadline=deadline)}
    before = [known.get(agent_key_of(each.agent_id)) for each in changes]
    same = sum(each.over(agent) == agent for each, agent in zip(changes, before, strict=True))
    new = before.count(None)
    return ImportOutlook(new, len(changes) - new - same, same)
