"""One stolen token of an agent, or one machine, against everybody else (specification, *one principal, many dials*)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bursts import Burst, burst, request
from tests.integration.tapped import Tapped, tapped_stack
from tests.integration.used import new_agent, new_id
from tests.local.acs import poll
from tests.local.stack import AGENT, MACHINE

pytestmark = pytest.mark.process

WIDE_POOL = tuple(f"+1206555{number:04}" for number in range(100, 200))
STRANGER = f"{AGENT};oid:5e5e5e5e-0000-4000-8000-5e5e5e5e5e5e"
CONNECTIONS, ROUNDS = 20, 6
EACH_TAKES_S = 0.1
HANGING = 8


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Tapped]:
    """A stack whose storage can be slowed down."""
    folder = tmp_path_factory.mktemp("strangers")
    log_folders.append(folder)
    with tapped_stack(folder, pool=WIDE_POOL) as running:
        yield running


@pytest.fixture
def tapped(crowded: Tapped) -> Iterator[Tapped]:
    """The same, with nothing of the test before."""
    local, tap = crowded
    local.forget_telephony()
    yield crowded
    tap.latency_s = 0.0
    local.forget_emergencies()


@pytest.mark.parametrize(
    ("principal", "route"),
    [
        (STRANGER, "me"),
        (STRANGER, "agents/{agent}/panel"),
        (STRANGER, "agents/{agent}/presence"),
        (MACHINE, "agents/{agent}/panel"),
        (MACHINE, "agents/{agent}/presence"),
    ],
)
def test_nobodys_polls_take_anothers(tapped: Tapped, principal: str, route: str) -> None:
    local, tap = tapped
    victim = local.add_agent(new_agent())
    flood = [request(local.url, "GET", route.format(agent=new_id("agent")), principal=principal)] * CONNECTIONS
    mine = request(local.url, "GET", f"agents/{victim.agent_id}/panel", principal=f"{AGENT};{victim.agent_id}")
    # The entry is read once for all rounds: each then costs the victim one reading of the two that their time allows.
    [known] = burst(local.url, [mine])
    assert known.status == 200
    tap.latency_s = EACH_TAKES_S
    for _ in range(ROUNDS):
        tap.reset()
        crowd = Burst(local.url, flood)
        poll(lambda: tap.count() >= HANGING or None, what="polls that take their time")
        [panel] = burst(local.url, [mine])
        assert panel.status == 200
        crowd.answers()
