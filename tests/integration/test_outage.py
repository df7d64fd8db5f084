"""Table storage down, hanging or trickling (specification, "What happens when…"): every way in which it can be away."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.deadlines import Budgets
from shared.use_cases.continue_callback import STORE_WITHIN_S
from tests.integration.kept import assert_nothing_is_kept
from tests.integration.used import contacts, new_agent, new_id, watch
from tests.local import azurite, stack
from tests.local.acs import events, poll
from tests.local.stack import DEFAULT_CONTACT, DESK, FALLBACK, MACHINE, Softphone, Stack
from tests.local.wiretap import Mode, Wiretap

pytestmark = pytest.mark.process

BUDGET_S = 0.5
BUSY_S = 1.5
AWAY: tuple[Mode, ...] = ("refuse", "hang", "trickle", "unavailable", "fail", "black_hole")


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[tuple[Stack, Wiretap]]:
    """A stack whose way to its storage can be broken."""
    folder = tmp_path_factory.mktemp("tapped")
    log_folders.append(folder)
    with azurite.running(services=["table"]) as storage, Wiretap(storage.url()) as tap:
        address = urlsplit(storage.url())
        through = storage.connection_string.replace(f"127.0.0.1:{address.port}", f"127.0.0.1:{tap.port}")
        with stack.running(storage=storage, settings={"TABLES_CONNECTION_STRING": through}, folder=folder) as local:
            local.http.event_hooks["response"].append(watch)
            yield local, tap
            assert_nothing_is_kept(local)


@pytest.fixture
def dana(tapped: tuple[Stack, Wiretap]) -> Iterator[Softphone]:
    """An agent who is available, on a deployment without a trace of the test before."""
    local, tap = tapped
    local.forget_telephony()
    local.control.event_grid(time_scale=20)
    phone = local.softphone(local.add_agent(new_agent()))
    phone.show("available")
    yield phone
    back(local, tap)
    local.forget_emergencies()


def back(local: Stack, tap: Wiretap) -> None:
    """Storage answers again, and the app has noticed, for each of its tables."""
    tap.mode = "pass"
    nobody = new_id("agent")

    def noticed() -> bool:
        asked = ("health", f"agents/{nobody}/panel", f"agents/{nobody}/presence")
        return all(local.ask("GET", path, principal=MACHINE).status_code == 200 for path in asked)

    poll(noticed, what="all tables")


def wait_for_incoming(local: Stack, count: int) -> None:
    """Wait until so many events of incoming calls have been taken."""

    def taken() -> bool:
        seen = [each for each in local.control.deliveries() if each.event_type.endswith(".IncomingCall")]
        return sum(each.status == 202 for each in seen) >= count

    poll(taken, what="events taken")


@pytest.mark.parametrize("mode", AWAY)
def test_storage_away_then_back(tapped: tuple[Stack, Wiretap], dana: Softphone, mode: Mode) -> None:
    local, tap = tapped
    agent, call = dana.agent, new_id()
    dana.panel()
    tap.mode = mode
    body = {"call_id": call, "agent_id": agent.agent_id, "dialled": "911"}
    took: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        answer = dana.ask("POST", "emergency-calls", body)
        took.append(time.monotonic() - began)
        lent = answer.json()
        assert (answer.status_code, lent["degraded"], lent["callback_number"]) == (201, True, FALLBACK)
        assert int(answer.headers["retry-after"]) >= 1
        assert lent["panel"]["mode"] == "emergency"
    assert min(took) < BUDGET_S + 0.25, "half a second, and the machine's own noise"
    assert max(took) < BUDGET_S + BUSY_S, "for what runs beside it"
    assert local.wait_for_email(DEFAULT_CONTACT).recipients
    assert dana.panel().mode == "emergency"
    back(local, tap)
    mended = dana.dial(call)
    assert not mended.degraded and mended.callback_number != FALLBACK
    dana.wait_for_presence("do_not_disturb")
    for contact in contacts(agent):
        local.wait_for_email(contact)
    local.wait_until_nothing_is_owed()
    local.run_timers()
    for contact in [DEFAULT_CONTACT, *contacts(agent)]:
        assert len(local.emails_to(contact)) <= 2, "at most one mail is repeated per recipient"
    assert dana.end(call) == 200
    dana.wait_for_presence("available")


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_a_callback_while_storage_is_away_rings_the_desk(
    tapped: tuple[Stack, Wiretap], dana: Softphone, mode: Mode
) -> None:
    local, tap = tapped
    number = dana.dial(new_id()).callback_number
    local.will_answer(DESK)
    tap.mode = mode
    began = time.monotonic()
    assert local.wait_for_answer(local.ring(number)).people[-1] == f"4:{DESK}"
    assert time.monotonic() - began < Budgets().answer_callback_s + STORE_WITHIN_S + BUSY_S
    foreign = local.ring("+14255550196")
    # Both events are taken: Event Grid would hold back new calls from an endpoint that fails.
    wait_for_incoming(local, 2)
    assert local.control.call(foreign.server_call_id).state == "ringing", "left alone though nothing can be read"


@pytest.mark.parametrize("mode", ["refuse", "unavailable"])
def test_other_requests_and_events_while_storage_is_away(
    tapped: tuple[Stack, Wiretap], dana: Softphone, mode: Mode
) -> None:
    local, tap = tapped
    call = new_id()
    dana.dial(call)
    local.wait_until_nothing_is_owed()
    tap.mode = mode
    assert local.ask("GET", "health").status_code == 503
    for method, path, body in (
        ("POST", f"emergency-calls/{call}/end", {}),
        ("PATCH", f"emergency-calls/{call}", {"server_call_id": new_id("server")}),
        ("GET", f"agents/{dana.agent.agent_id}/presence", None),
    ):
        answer = local.ask(method, path, body, principal=MACHINE)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
    data = {"call_id": call, "agent_id": dana.agent.agent_id, "reason": "agent"}
    end = events.custom_call_event("CallEnded", data, at=local.now())
    start = events.custom_call_event("CallStarted", data | {"dialled": "911", "call_id": new_id()}, at=local.now())
    assert local.deliver("call_ended_event", end) == 500, "Event Grid will deliver it again"
    assert local.deliver("call_started_event", start) == 500
    back(local, tap)
    assert local.deliver("call_ended_event", end) == 202
    assert local.deliver("call_started_event", start) == 202
    assert dana.panel().mode == "emergency", "the second call goes on"


def test_a_stack_trace_names_classes_and_nothing_else(tapped: tuple[Stack, Wiretap]) -> None:
    local, _ = tapped
    said = set(re.findall(r"^(\S*(?:Error|Wanted|Exception)): (.*)$", local.logs()["host.log"], re.MULTILINE))
    assert {name.rpartition(".")[2] for name, _ in said} <= {"RedeliveryWanted"}
    assert all(re.fullmatch(r"[a-z_]+: [A-Za-z]+", text) for _, text in said)
