"""A drill over Microsoft Graph: what is shown counts once the service must show it, and no mark is left (B9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.agents import Agent
from shared.domain.drills import Drill, DrillState
from shared.domain.presence import PresenceStatus
from tests.contract.presence_services import MicrosoftGraph
from tests.fakes.house import House
from tests.fakes.memory_table import MemoryTable
from tests.local.graph import LocalGraph

DANA = "agent-dana"


class Teams(House):
    """A house whose presence is Graph's; time passes for both."""

    def __init__(self, running: LocalGraph) -> None:
        super().__init__()
        self.marks = MemoryTable()
        clock: Any = self.clock
        self.service = MicrosoftGraph(running, self.marks, clock)
        gateway: Any = self.service.gateway
        self.presence = gateway
        self.add_agent(Agent(agent_id=DANA, country="US", acs_user_ids=("8:acs:r_dana",)))
        self.service.show(DANA, PresenceStatus.AVAILABLE)
        self.tick()
        self.pause(10)

    def pause(self, seconds: float) -> None:
        self.service.pass_time(timedelta(seconds=seconds))

    def play(self) -> Drill:
        self.calling.begin_drill("drill-1", DANA, (), deadline=self.within())
        return self.calling.show_drill("drill-1", deadline=self.within())

    def marked(self) -> bool:
        return bool(self.marks.between("!", "~", 100, self.within()).result())


@pytest.fixture(scope="module")
def running() -> Iterator[LocalGraph]:
    with LocalGraph.start() as graph:
        yield graph


@pytest.fixture
def teams(running: LocalGraph) -> Teams:
    return Teams(running)


def states(drill: Drill) -> dict[str, str]:
    return {each.step: each.state for each in drill.steps}


def test_presence_is_held_and_given_back_and_no_mark_is_left(teams: Teams) -> None:
    drill = teams.play()
    assert drill.state is DrillState.PASSED, drill
    assert teams.service.seen(DANA) is PresenceStatus.AVAILABLE
    assert not teams.marked()
    assert {key.partition("|")[0] for key in teams.rows()} == {"free", "number", "pool"}


def test_an_agent_whom_graph_does_not_know_is_told_of(teams: Teams) -> None:
    teams.service.entries.strangers.add(DANA)
    drill = teams.play()
    assert (drill.state, states(drill)["presence"]) == (DrillState.FAILED, "failed")
    reason = next(each.reason or "" for each in drill.steps if each.step == "presence")
    assert "not known to the presence service" in reason
    assert not teams.marked()
    assert {key.partition("|")[0] for key in teams.rows()} == {"free", "number", "pool"}
