"""Presence in Microsoft Graph, from the dial to what everybody sees, by the token of the identity endpoint."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from tests.integration.used import contacts, new_agent, new_id, note
from tests.leaks import Kind
from tests.local import stack
from tests.local.acs import poll
from tests.local.graph import Fault, LocalGraph
from tests.local.stack import SUPERVISOR, Softphone, Stack
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process
DND, AVAILABLE = "do_not_disturb", "available"
BUDGET_S = 0.9
# What a test machine that is busy adds to the budget of an answer.
BUSY_S = 1.5


@dataclass(frozen=True)
class Held:
    """The stack, with presence in Graph."""

    local: Stack
    graph: LocalGraph

    def softphone(self) -> Softphone:
        """An agent who is signed in to Teams and available."""
        object_id = str(uuid4())
        note(object_id, kind=Kind.AGENT)
        agent = new_agent(entra_object_id=object_id)
        self.graph.presence.sign_in(self.graph.presence.add(object_id))
        return self.local.softphone(self.local.add_agent(agent))

    def seen(self, phone: Softphone) -> str:
        """What everybody sees of the agent."""
        return self.local.outside.seen(phone.agent.entra_object_id or "")

    def wait_until(self, phone: Softphone, status: str) -> None:
        """Wait until that is so, while the timer runs."""

        def shows() -> bool:
            if self.seen(phone) == status:
                return True
            self.local.advance(timedelta(seconds=10))
            self.local.run_timers("outbox_sweep")
            return self.seen(phone) == status

        poll(lambda: shows() or None, within_s=60, what=f"presence {status}")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with stack.running(folder=tmp_path_factory.mktemp("graph"), presence="graph") as local:
        assert local.outside.graph is not None
        yield Held(local, local.outside.graph)


def test_the_agent_is_held_in_graph_and_comes_back(held: Held) -> None:
    dana, call = held.softphone(), new_id()
    dana.dial(call)
    poll(lambda: held.seen(dana) == DND or None, what="the hold, without the timer")
    dana.end(call)
    poll(lambda: held.seen(dana) == AVAILABLE or None, what="the return")


def test_our_routes_show_it_and_set_nothing(held: Held) -> None:
    dana = held.softphone()
    assert dana.presence().status == AVAILABLE
    answer = dana.ask("PUT", f"agents/{dana.agent.agent_id}/presence", {"status": "busy"})
    assert answer.status_code == httpx.codes.CONFLICT
    assert held.seen(dana) == AVAILABLE


def test_a_supervisor_sees_whether_presence_can_be_held(held: Held) -> None:
    dana = held.softphone()
    answer = held.local.ask("GET", f"manage/agents/{dana.agent.agent_id}/readiness", principal=SUPERVISOR)
    checks = {each["id"]: each["state"] for each in answer.raise_for_status().json()["checks"]}
    assert checks["presence"] == "ok"
    lee = held.local.softphone(held.local.add_agent(new_agent()))
    answer = held.local.ask("GET", f"manage/agents/{lee.agent.agent_id}/readiness", principal=SUPERVISOR)
    checks = {each["id"]: each["state"] for each in answer.raise_for_status().json()["checks"]}
    assert checks["presence"] == "problem", "the entry has no object id"

    def reached() -> str | None:
        found = held.local.ask("GET", "manage/readiness", principal=SUPERVISOR).raise_for_status().json()["checks"]
        [state] = [each["state"] for each in found if each["id"] == "presence_service"]
        return str(state) if state != "unknown" else None

    assert poll(reached, within_s=20, what="an answer of Graph") in ("ok", "warning")


def test_graph_in_trouble_delays_neither_dial_nor_mail_and_the_outbox_holds(held: Held) -> None:
    dana, call = held.softphone(), new_id()
    held.graph.faults += [Fault("hang")] * 2
    began = time.monotonic()
    lent = dana.dial(call)
    assert time.monotonic() - began < BUDGET_S + BUSY_S and not lent.degraded
    held.local.wait_for_email(contacts(dana.agent)[0])
    assert held.seen(dana) == AVAILABLE and held.graph.faults, "Graph hangs still"
    held.wait_until(dana, DND)
    dana.end(call)
    held.wait_until(dana, AVAILABLE)


def test_a_right_that_is_missing_is_named_and_nobody_is(held: Held) -> None:
    dana, call = held.softphone(), new_id()
    object_id = dana.agent.entra_object_id or ""
    body = '{"error": {"code": "Forbidden", "message": "' + object_id + '"}}'
    held.graph.faults.append(Fault("status", 403, body))
    dana.dial(call)
    told = "presence_blocked reason=right"
    poll(lambda: told in held.local.logs()["host.log"] or None, within_s=20, what=told)
    held.wait_until(dana, DND)
    dana.end(call)
    held.wait_until(dana, AVAILABLE)
    said = held.local.logs()["host.log"]
    assert object_id not in said and dana.agent.agent_id not in said


@pytest.mark.long
def test_a_service_that_hangs_for_a_minute_delays_neither_answers_nor_mails(held: Held) -> None:
    def spell(calls: int) -> tuple[float, float]:
        answers, mails = [], []
        for _ in range(calls):
            phone = held.softphone()
            began = time.monotonic()
            answers.append(phone.dial(new_id()).took_s)
            held.local.wait_for_email(contacts(phone.agent)[0])
            mails.append(time.monotonic() - began)
        return statistics.median(answers), statistics.median(mails)

    spell(10)
    usual = spell(30)
    held.graph.faults += [Fault("hang")] * 1000
    hung = spell(30)
    held.graph.faults.clear()
    assert hung[0] < 1.2 * usual[0] and hung[1] < 1.2 * usual[1], (usual, hung)


def test_the_demo_tells_the_same_story_with_everything_in_graph() -> None:
    command = [sys.executable, "-m", "tests.local.demo", "--presence", "graph", "--email", "graph"]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert played.returncode == 0, played.stdout + played.stderr
    for line in ("available -> do not disturb", "do not disturb -> available", "accepted for 2 contacts"):
        assert line in played.stdout
