"""What an import would do to the directory, without doing it."""

from collections.abc import Mapping, Sequence

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.ids import agent_key_of
from shared.domain.imports import AgentChange, ImportOutlook, by_object_id, object_id_of
from shared.ports import AgentRegister
from shared.use_cases.export_agents import export_agents


def check_import(changes: Sequence[AgentChange], *, directory: AgentRegister, deadline: Deadline) -> ImportOutlook:
    """What these changes would do, and which of them give an agent a second entry. Raises `Unavailable`."""
    known = {agent.key: agent for agent in export_agents(directory=directory, deadline=deadline)}
    before = [known.get(agent_key_of(each.agent_id)) for each in changes]
    after = [each.over(agent) for each, agent in zip(changes, before, strict=True)]
    same = sum(agent == was for agent, was in zip(after, before, strict=True))
    new = before.count(None)
    return ImportOutlook(new, len(changes) - new - same, same, _sharing(after, known))


def _sharing(after: Sequence[Agent], known: Mapping[str, Agent]) -> Mapping[int, str]:
    having = by_object_id({**known, **{agent.key: agent for agent in after}}.values())
    sharing: dict[int, str] = {}
    for place, agent in enumerate(after):
        others = [each.agent_id for each in having.get(object_id_of(agent) or "", ()) if each.key != agent.key]
        if others:
            sharing[place] = min(others)
    return sharing
