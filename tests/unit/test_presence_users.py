"""How a presence service outside knows an agent."""

from datetime import UTC, datetime

import pytest

from shared.adapters.presence_users import PresenceUsers
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.errors import Unavailable
from shared.ports import Answered
from tests.fakes.house import HandClock

DANA, LEE = "00000000-0000-0000-0000-00000000000A", "00000000-0000-0000-0000-0000000000ab"
SOON = Deadline(HandClock(datetime(2026, 11, 20, tzinfo=UTC)), 5)


class Directory:
    """Port `KnownEntries`."""

    def __init__(self, *entries: Agent) -> None:
        self.entries = {each.agent_id: each for each in entries}
        self.away = False

    def find(self, agent_id: str, deadline: Deadline) -> Answered[Agent | None]:
        if self.away:
            raise Unavailable
        return Answered(self.entries.get(agent_id))

    def last_known(self, agent_id: str) -> Agent | None:
        return self.entries.get(agent_id)


def by_object_id(*entries: Agent) -> PresenceUsers:
    return PresenceUsers(Directory(*entries), lambda agent: agent.entra_object_id, by_object_id=True)


def by_user_id(*entries: Agent) -> PresenceUsers:
    return PresenceUsers(Directory(*entries), lambda agent: agent.dynamics_user_id, by_object_id=False)


ENTRY = Agent(agent_id="dana", entra_object_id=DANA, dynamics_user_id=LEE)


def test_an_entry_tells_the_services_id() -> None:
    assert by_object_id(ENTRY).find("dana", SOON) == DANA.lower()
    assert by_user_id(ENTRY).find("dana", SOON) == LEE


@pytest.mark.parametrize("faulty", [None, "", "dana", "../users", DANA + "/x"])
def test_an_entry_without_a_usable_id_names_nobody(faulty: str | None) -> None:
    assert by_object_id(Agent(agent_id=LEE, entra_object_id=faulty)).find(LEE, SOON) is None


def test_who_is_not_in_the_directory_is_known_by_an_object_id_alone() -> None:
    assert by_object_id().find(DANA, SOON) == DANA.lower()
    assert by_object_id().find("somebody", SOON) is None
    assert by_user_id().find(DANA, SOON) is None


def test_in_an_outage_the_sign_in_outranks_the_id_that_was_claimed() -> None:
    assert by_object_id(ENTRY).recall("dana", None) == DANA.lower()
    assert by_object_id(ENTRY).recall("dana", DANA.lower()) == DANA.lower()
    assert by_object_id(ENTRY).recall("dana", LEE) == LEE, "not the one who is named"
    assert by_user_id(ENTRY).recall("dana", LEE) is None
    assert by_user_id(ENTRY).recall("dana", DANA.upper()) == LEE
    assert by_object_id().recall("somebody", None) is None
