"""When an administrator may write over an entry (RFC 9110, section 13)."""

from functools import partial

import azure.functions as func
import pytest
from msgspec import structs

from functions.admin_agents import save_contacts
from functions.http import administered, entity_tag
from functions.preconditions import NEW, overwriting, precondition
from functions.problems import PreconditionFailed
from shared.adapters.agent_table import AgentTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import Put
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind
from shared.domain.contacts import Contacts, parse_contacts
from shared.domain.errors import NotFound
from shared.domain.ids import agent_key_of
from shared.domain.keys import KeyRing, Secret
from shared.telemetry import spoken
from tests.fakes.house import House
from tests.fakes.known_keys import KnownKeys
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
    assert precondition(put(), directory.read("a", soon())) == (False, None)
    directory.save(Agent(agent_id="a"), None, soon())
    assert precondition(put(), directory.read("a", soon())) == (True, None)


def test_if_match_names_the_version(directory: AgentTable) -> None:
    with pytest.raises(PreconditionFailed):
        precondition(put(if_match="*"), directory.read("a", soon()))
    version = directory.save(Agent(agent_id="a"), None, soon())
    for header in ("*", entity_tag(version), f'"other", {entity_tag(version)}'):
        assert precondition(put(if_match=header), directory.read("a", soon())) == (True, version)
    directory.save(Agent(agent_id="a", name="Another"), None, soon())
    with pytest.raises(PreconditionFailed):
        precondition(put(if_match=entity_tag(version)), directory.read("a", soon()))


def test_if_none_match_wants_a_new_one(directory: AgentTable) -> None:
    assert precondition(put(if_none_match="*"), directory.read("a", soon())) == (False, NEW)
    directory.save(Agent(agent_id="a"), None, soon())
    with pytest.raises(PreconditionFailed):
        precondition(put(if_none_match="*"), directory.read("a", soon()))


def test_an_entry_that_cannot_be_read_is_there_and_nobody_has_seen_it(directory: AgentTable) -> None:
    directory.save(Agent(agent_id="a"), None, soon())
    seen = partial(directory.read, "a", soon())
    assert overwriting(put(), seen)[0]
    damaged = AgentTable(table := MemoryTable(), CLOCK)
    table.commit([Put(f"entry|{agent_key_of('a')}", {"state0": "{"})], soon())
    assert overwriting(put(), partial(damaged.read, "a", soon())) == (True, None)
    for header in ("if_match", "if_none_match"):
        with pytest.raises(PreconditionFailed):
            overwriting(put(**{header: "*"}), partial(damaged.read, "a", soon()))


def of(text: str) -> Contacts:
    return parse_contacts(text)


def test_contacts_are_written_into_the_entry_and_nothing_else_of_it_changes(directory: AgentTable) -> None:
    before = Agent(agent_id="a", name="Dana Example", emergency_contacts=("old@example.com",))
    directory.save(before, None, soon())
    assert save_contacts(put(), "a", of("Kim <kim@example.com>; nobody"), directory, soon()) is not None
    assert directory.read("a", soon())[0] == structs.replace(before, emergency_contacts=("kim@example.com",))  # type: ignore[index]
    assert save_contacts(put(), "a", of(" ;; "), directory, soon()) is not None
    assert directory.read("a", soon())[0].emergency_contacts == ()  # type: ignore[index]


def test_contacts_of_which_nothing_is_left_change_nothing(directory: AgentTable) -> None:
    version = directory.save(Agent(agent_id="a", emergency_contacts=("old@example.com",)), None, soon())
    assert save_contacts(put(), "a", of("nobody; nowhere"), directory, soon()) is None
    assert directory.read("a", soon())[1] == version  # type: ignore[index]


def test_contacts_of_an_unknown_agent_or_of_another_version_are_refused(directory: AgentTable) -> None:
    with pytest.raises(NotFound):
        save_contacts(put(), "a", of("kim@example.com"), directory, soon())
    directory.save(Agent(agent_id="a"), None, soon())
    with pytest.raises(PreconditionFailed):
        save_contacts(put(if_match='"other"'), "a", of("kim@example.com"), directory, soon())


class Counted:
    """What was said to telemetry."""

    def __init__(self) -> None:
        self.said: list[dict[str, object]] = []

    def emit(self, event: str, **facts: str | float | bool) -> None:
        self.said.append({"event": event, **facts})


def test_a_change_leaves_a_line_without_names() -> None:
    house, telemetry = House(keys=KnownKeys(KeyRing((Secret("a secret of this deployment"),)))), Counted()
    calling = structs.replace(house.calling, telemetry=telemetry)
    for name in (OBJECT_ID, OBJECT_ID, "another"):
        administered(calling, Caller(kind=CallerKind.OFFICE, name=name), kind="agent", change="saved")
    first, again, other = telemetry.said
    assert first == again and first["by"] != other["by"]
    assert (first["kind"], first["change"]) == ("agent", "saved")
    assert spoken(first["by"]) == first["by"] and OBJECT_ID not in str(telemetry.said)
    # Whoever can guess the object id cannot tell the word without the secret.
    assert House().calling.word_for(Caller(kind=CallerKind.OFFICE, name=OBJECT_ID)) != first["by"]
