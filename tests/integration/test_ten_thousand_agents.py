"""A directory of 10,000 agents on Azurite: in by one file, found by search, and out again as the same file."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.wire import directory_csv
from shared.domain.agents import Agent, OutboundProfile
from tests.integration.tapped import Tapped, tapped_stack
from tests.local.acs import poll
from tests.local.stack import ADMIN, Stack

pytestmark = [pytest.mark.process, pytest.mark.long]

COUNT, WITHIN_S = 10_000, 60.0
CSV = {"Content-Type": "text/csv"}


def agent(number: int) -> Agent:
    return Agent(
        agent_id=f"agent-{number:05}",
        name=f"Agent Nº {number:05} Example",
        entra_object_id=f"0f0e0d0c-0b0a-4908-8706-{number:012}",
        acs_user_ids=(f"8:acs:r_{number:05}",),
        country="US",
        locale="en-US",
        address=f"{number} Example Way; floor 2",
        emergency_contacts=("guard@example.com", f"lead-{number % 100}@example.com"),
        outbound_profile=OutboundProfile(name="=Outbound", work_item_limit=2),
    )


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Tapped]:
    folder = tmp_path_factory.mktemp("many")
    log_folders.append(folder)
    with tapped_stack(folder) as running:
        yield running


def imported(local: Stack, body: bytes) -> float:
    """Bring a file in, as an administrator does; gives the seconds from the import to its end."""
    checked = local.ask("POST", "manage/agents/import?dry_run=1", principal=ADMIN, content=body, headers=CSV).json()
    assert (checked["faults"], checked["digest"]) == ([], hashlib.sha256(body).hexdigest())
    began = time.perf_counter()
    path = f"manage/agents/import?digest={checked['digest']}"
    answer = local.ask("POST", path, principal=ADMIN, content=body, headers=CSV)
    assert answer.status_code == 202
    operation = f"manage/agents/import/{answer.json()['operation_id']}"

    def over() -> dict[str, object] | None:
        found: dict[str, object] = local.ask("GET", operation, principal=ADMIN).json()
        return found if found["state"] != "running" else None

    done = poll(over, within_s=10 * WITHIN_S, what="the import's end")
    assert (done["state"], done["done"], done["rows"]) == ("done", checked["rows"], checked["rows"])
    return time.perf_counter() - began


def test_ten_thousand_agents_come_in_are_found_and_go_out_again(
    tapped: Tapped, capsys: pytest.CaptureFixture[str]
) -> None:
    local, _ = tapped
    local.http.timeout = WITHIN_S
    few = directory_csv.written([agent(number) for number in range(10)])
    imported(local, few)
    at_ten = searched(tapped, "agent-00009")
    body = directory_csv.written([agent(number) for number in range(COUNT)])
    took_s = imported(local, body)
    at_all = searched(tapped, f"agent-{COUNT - 1:05}")
    with capsys.disabled():
        print(f"\n  {COUNT} agents in {took_s:.1f} s; a page: {at_ten} requests at 10, {at_all} at {COUNT}", end="")
    assert took_s < WITHIN_S
    assert at_ten == at_all
    exported = local.ask("GET", "manage/agents/export", principal=ADMIN)
    assert exported.content == body
    again = local.ask("POST", "manage/agents/import?dry_run=1", principal=ADMIN, content=body, headers=CSV).json()
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, COUNT)
    assert not [row for row in local.rows()["agents"] if row["RowKey"].startswith("importrow|")]


def searched(tapped: Tapped, agent_id: str) -> int:
    """Find an agent by id, and the first page of all; gives how many requests to storage the two took."""
    local, tap = tapped
    tap.reset()
    found = local.ask("GET", f"manage/agents?starts_with={agent_id}", principal=ADMIN).json()
    assert [each["agent_id"] for each in found["agents"]] == [agent_id]
    page = local.ask("GET", "manage/agents?starts_with=exam&limit=10", principal=ADMIN).json()
    assert len(page["agents"]) == 10
    return tap.count()
