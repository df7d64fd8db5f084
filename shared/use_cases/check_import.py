"""What an import would do to the directory, without doing it."""

from collections.abc import Sequence

from shared.deadlines import Deadline
from shared.domain.ids import agent_key_of
from shared.domain.imports import AgentChange
from shared.domain.setup import Outlook
from shared.ports import AgentRegister
from shared.use_cases.export_agents import export_agents


def check_import(changes: Sequence[AgentChange], *, directory: AgentRegister, deadline: Deadline) -> Outlook:
    """What these changes would do. Raises `Unavailable`."""
    known = {agent.key: agent for agent in export_agents(directory=directory, deadline=deadline)}
    before = [known.get(agent_key_of(each.agent_id)) for each in changes]
    same = sum(each.over(agent) == agent for each, agent in zip(changes, before, strict=True))
    new = before.count(None)
    return Outlook(new, len(changes) - new - same, same)
