"""Presence in Dynamics 365 through the whole stack, asked at its stand-in, by the token of the identity endpoint."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from tests.integration.used import contacts, new_agent, new_id
from tests.local import stack
from tests.local.acs import poll
from tests.local.dynamics import AVAILABLE, TRAINING, CapacityProfile, Fault, LocalDynamics
from tests.local.dynamics.organisation import ROWS
from tests.local.stack import ADMIN, Softphone, Stack
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process
BUDGET_S = 0.9
# What a test machine that is busy adds to the budget of an answer.
BUSY_S = 1.5


@dataclass(frozen=True)
class Work:
    """The stack, and Dynamics beside it."""

    local: Stack
    dynamics: LocalDynamics

    def agent(self, presence: str = AVAILABLE) -> tuple[Softphone, str]:
        """An agent who is signed in there; their softphone, and their id there."""
        user_id = str(uuid4())
        self.dynamics.organisation.sign_in(user_id)
        self.dynamics.organisation.choose(user_id, presence)
        entry = msgspec.structs.replace(new_agent(), dynamics_user_id=user_id)
        return self.local.softphone(self.local.add_agent(entry)), user_id

    def wait_for(self, user_id: str, presence: str) -> None:
        """Wait until everybody sees it."""
        what = f"presence {presence}"
        poll(lambda: self.dynamics.organisation.presence(user_id) == presence or None, within_s=20, what=what)

    def marks(self) -> list[str]:
        """What is kept of holds."""
        return [row["RowKey"] for row in self.local.rows()["presence"]]


@pytest.fixture(scope="module")
def work() -> Iterator[Work]:
    with stack.running(presence="dynamics365") as local:
        assert local.outside.dynamics is not None
        yield Work(local, local.outside.dynamics)


@pytest.fixture(autouse=True)
def no_faults(work: Work) -> Iterator[None]:
    yield
    work.dynamics.faults.clear()


def test_it_is_held_there_and_comes_back_as_it_was(work: Work) -> None:
    dana, user_id = work.agent(TRAINING)
    call = new_id()
    dana.dial(call)
    work.wait_for(user_id, "Busy DND")
    assert dana.presence().status == "do_not_disturb"
    assert len(work.marks()) == 1
    dana.end(call)
    work.wait_for(user_id, ROWS[TRAINING].name)
    poll(lambda: not work.marks() or None, within_s=20, what="nothing that is kept of it")


def test_a_presence_of_another_service_is_not_set_here(work: Work) -> None:
    dana, user_id = work.agent()
    answer = dana.ask("PUT", f"agents/{dana.agent.agent_id}/presence", {"status": "busy"})
    assert answer.status_code == 409
    assert work.dynamics.organisation.presence(user_id) == "Available"


def test_one_token_for_the_organisation(work: Work) -> None:
    dana, user_id = work.agent()
    dana.dial(new_id())
    work.wait_for(user_id, "Busy DND")
    assert work.local.outside.tokens == [work.dynamics.url]


@pytest.mark.parametrize("fault", [Fault("hang"), Fault("status", 403)], ids=str)
def test_in_trouble_it_delays_neither_dial_nor_mail_and_is_held_once_it_is_back(work: Work, fault: Fault) -> None:
    dana, user_id = work.agent()
    work.dynamics.faults.append(fault)
    began = time.monotonic()
    lent = dana.dial(new_id())
    assert time.monotonic() - began < BUDGET_S + BUSY_S and not lent.degraded
    work.local.wait_for_email(contacts(dana.agent)[0])

    def held() -> bool:
        work.local.advance(timedelta(seconds=40))
        work.local.run_timers("outbox_sweep")
        return work.dynamics.organisation.presence(user_id) == "Busy DND"

    poll(lambda: held() or None, within_s=60, what="do not disturb, once Dynamics is back")
    said = work.local.logs()["host.log"]
    assert user_id not in said and dana.agent.agent_id not in said


def test_readiness_tells_what_dynamics_knows(work: Work) -> None:
    dana, user_id = work.agent()
    work.dynamics.organisation.capacity[user_id] = [CapacityProfile("Default voice outbound", 1)]
    path = f"manage/agents/{dana.agent.agent_id}/readiness"
    checks = work.local.ask("GET", path, principal=ADMIN).raise_for_status().json()["checks"]
    [profile] = [check for check in checks if check["id"] == "outbound_profile"]
    assert profile["state"] == "warning" and "Default voice outbound: 1" in profile["reason"]

    def answered() -> bool:
        found = work.local.ask("GET", "manage/readiness", principal=ADMIN).raise_for_status().json()["checks"]
        return [check["state"] for check in found if check["id"] == "presence_service"] in (["ok"], ["warning"])

    poll(lambda: answered() or None, within_s=20, what="an answer of Dynamics")


@pytest.mark.long
def test_a_service_that_hangs_costs_neither_dial_nor_mail_a_fifth(work: Work) -> None:
    """Healthy and hanging dials in turn, so that what else the machine does is the same for both."""
    took: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for turn in range(24):
        hangs = turn % 2 == 1
        dana, _ = work.agent()
        work.dynamics.faults[:] = [Fault("hang")] * 50 if hangs else []
        began = time.monotonic()
        dana.dial(new_id())
        answered_s = time.monotonic() - began
        work.local.wait_for_email(contacts(dana.agent)[0])
        took[hangs].append((answered_s, time.monotonic() - began))
        work.dynamics.faults.clear()
    for each in (0, 1):
        healthy, hanging = (statistics.median(times[each] for times in took[hangs]) for hangs in (False, True))
        assert hanging < healthy * 1.2 + 0.02, (each, healthy, hanging)


def test_the_demo_tells_the_same_story_with_presence_in_dynamics() -> None:
    command = [sys.executable, "-m", "tests.local.demo", "--presence", "dynamics365"]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert played.returncode == 0, played.stdout + played.stderr
    for line in ("available -> do not disturb", "do not disturb -> available"):
        assert line in played.stdout
