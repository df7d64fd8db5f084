"""Whether the deployment can do its work."""

import pytest

from functions.wire.http import health_answer
from shared.adapters.agent_table import AgentTable
from shared.adapters.table_account import TableRefused
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.ports import Pending
from shared.use_cases.check_health import check_health
from tests.fakes.house import HandClock
from tests.fakes.memory_table import MemoryTable


class Failing:
    """Port `AgentDirectory`, in trouble."""

    def __init__(self, error: EmergencyCallingError) -> None:
        self._error = error

    def find(self, agent_id: str, deadline: Deadline) -> Pending[Agent | None]:
        raise self._error

    def is_empty(self, deadline: Deadline) -> Pending[bool]:
        raise self._error

    def recent(self, agent_id: str) -> Agent | None:
        return None

    def last_known(self, agent_id: str) -> Agent | None:
        return None

    def last_own(self, object_id: str) -> tuple[Agent, ...]:
        return ()

    def read(self, agent_id: str, deadline: Deadline) -> tuple[Agent, str] | None:
        raise self._error

    def own(self, object_id: str, deadline: Deadline) -> Pending[tuple[Agent, ...]]:
        raise self._error

    def own_keys(self, object_id: str, deadline: Deadline) -> Pending[list[str]]:
        raise self._error

    def may_have_begun_before(self, agent: Agent) -> bool:
        return False

    def left(self, agent_id: str, deadline: Deadline) -> Pending[str | None]:
        raise self._error

    def own_left(self, object_id: str, deadline: Deadline) -> Pending[str | None]:
        raise self._error

    def holders_of(self, identity: str, deadline: Deadline) -> Pending[list[str]]:
        raise self._error

    def save(self, agent: Agent, version: str | None, deadline: Deadline) -> str:
        raise self._error


def test_a_table_that_answers_is_reachable() -> None:
    clock = HandClock()
    assert check_health(directory=AgentTable(MemoryTable(), clock), deadline=Deadline(clock, 0.3))


@pytest.mark.parametrize("error", [Unavailable(), TableRefused(403, "AuthorizationPermissionMismatch")])
def test_a_table_that_is_away_or_refuses_us_is_not(error: EmergencyCallingError) -> None:
    assert not check_health(directory=Failing(error), deadline=Deadline(HandClock(), 0.3))


def test_faulty_settings_alone_are_reported_and_no_outage() -> None:
    answer = health_answer(settings_valid=False, table_reachable=True)
    assert (answer.status, answer.settings_valid) == ("ok", False)
    assert health_answer(settings_valid=True, table_reachable=False).status == "unavailable"
