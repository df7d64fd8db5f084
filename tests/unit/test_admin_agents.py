"""When an administrator may write over an entry (RFC 9110, section 13)."""

import azure.functions as func
import pytest

from functions.admin_agents import NEW, precondition
from functions.http import entity_tag
from functions.problems import PreconditionFailed
from shared.adapters.agent_table import AgentTable
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from tests.fakes.memory_table import MemoryTable

CLOCK = SystemClock()
OBJECT_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


def soon() -> Deadline:
    return Deadline(CLOCK, 5)


@pytest.fixture
def directory() -> AgentTable:
    return AgentTable(MemoryTable(), CLOCK)


def put(**headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest("PUT", "https://example.com/api/manage/agents/a", headers=named, body=b"{}")


def test_without_a_condition_anything_goes(directory: AgentTable) -> None:
    assert precondition(put(), "a", directory, soon()) == (False, None)
    directory.save(Agent(agent_id="a"), None, soon())
    assert precondition(put(), "a", directory, soon()) == (True, None)


def test_if_match_names_the_version(directory: AgentTable) -> None:
    with pytest.raises(PreconditionFailed):
        precondition(put(if_match="*"), "a", directory, soon())
    version = directory.save(Agent(agent_id="a"), None, soon())
    for header in ("*", entity_tag(version), f'"other", {entity_tag(version)}'):
        assert precondition(put(if_match=header), "a", directory, soon()) == (True, version)
    directory.save(Agent(agent_id="a", name="Another"), None, soon())
    with pytest.raises(PreconditionFailed):
        precondition(put(if_match=entity_tag(version)), "a", directory, soon())


def test_if_none_match_wants_a_new_one(directory: AgentTable) -> None:
    assert precondition(put(if_none_match="*"), "a", directory, soon()) == (False, NEW)
    directory.save(Agent(agent_id="a"), None, soon())
    with pytest.raises(PreconditionFailed):
        precondition(put(if_none_match="*"), "a", directory, soon())
