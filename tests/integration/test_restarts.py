"""Hosts that come and go over the same storage: settings that change, settings that are wrong, hosts that die."""

import os
import re
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from shared.adapters.registered_pools import REGISTERED_FOR
from tests.integration.kept import assert_nothing_is_kept
from tests.integration.used import contacts, new_agent, new_id, note, watch
from tests.leaks import Kind
from tests.local import stack
from tests.local.acs import CallView, Fault, Script, poll
from tests.local.host import process as host_process
from tests.local.processes import free_ports, start
from tests.local.stack import DESK, FALLBACK, MACHINE, Stack
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process

ONE, TWO, THREE = "+14255550111", "+14255550112", "+14255550113"
note(ONE, TWO, THREE, kind=Kind.NUMBER)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Stack]:
    """A stack of its own, whose host the tests restart."""
    folder = tmp_path_factory.mktemp("small")
    log_folders.append(folder)
    with stack.running(pool=(ONE, TWO), folder=folder) as running:
        running.http.event_hooks["response"].append(watch)
        yield running
        assert_nothing_is_kept(running)


@pytest.fixture
def local(small: Stack) -> Iterator[Stack]:
    """The stack with its own settings and no emergency of another test."""
    small.forget_telephony()
    small.control.event_grid(time_scale=20)
    yield small
    small.control.clear_faults()
    restart(small)
    small.forget_emergencies()


def restart(local: Stack, **settings: str) -> None:
    local.stop_host()
    local.start_host(settings)


def test_the_pool_changes_while_a_lease_lives(local: Stack) -> None:
    dana, eve, bob = (local.softphone(local.add_agent(new_agent())) for _ in range(3))
    call = new_id()
    number = dana.dial(call).callback_number
    other = TWO if number == ONE else ONE
    local.wait_until_nothing_is_owed()
    restart(local, CALLBACK_NUMBERS=f"{other};{THREE}")
    assert dana.panel().callback_number == number, "a live lease is not disturbed"
    local.will_answer(dana.agent.acs_user_id)
    assert local.wait_for_answer(local.ring(number)).people[-1] == dana.agent.acs_user_id
    again = dana.dial(new_id())
    assert again.callback_number == number, "a redial keeps its number"
    lent = {phone.dial(new_id()).callback_number for phone in (eve, bob)}
    assert lent == {other, THREE}
    local.forget_emergencies()
    foreign = local.ring(number)
    local.control.wait_until_delivered()
    assert local.control.call(foreign.server_call_id).state == "ringing", "it has left the pool"


def test_a_setting_is_changed_and_what_was_owed_is_taken_up_by_the_next_host(local: Stack) -> None:
    dana = local.softphone(local.add_agent(new_agent()))
    dana.show("busy")
    call = new_id()
    dana.dial(call)
    dana.wait_for_presence("do_not_disturb")
    restart(local, CALLBACK_WINDOW_MINUTES="120", CALLBACK_NUMBERS=f"{ONE};{TWO}")
    assert dana.panel().mode == "emergency"
    dana.end(call)
    dana.wait_for_presence("busy")


def test_the_host_dies_in_the_middle_and_the_next_one_sends_what_was_owed(local: Stack) -> None:
    dana = local.softphone(local.add_agent(new_agent()))
    local.control.fault(Fault(operation="email", kind="hang"))
    dana.dial(new_id())
    poll(lambda: local.control.requests("email") or None, what="the first try")
    local.host.child.send_signal(signal.SIGKILL)
    local.host.child.kill()
    local.control.clear_faults()
    restart(local)
    assert local.control.emails() == []
    local.advance(timedelta(minutes=2))
    local.run_timers("outbox_sweep")
    assert len(local.emails_to(contacts(dana.agent)[0])) == 1
    assert dana.panel().mode == "emergency" and dana.presence().status == "do_not_disturb"


def test_an_exhausted_pool_is_shared_and_says_so(local: Stack) -> None:
    phones = [local.softphone(local.add_agent(new_agent())) for _ in range(3)]
    first, second, third = (phone.dial(new_id()) for phone in phones)
    assert (first.shared, second.shared, third.shared) == (False, False, True)
    assert third.callback_number in (first.callback_number, second.callback_number)
    local.will_answer(phones[2].agent.acs_user_id)
    call = local.wait_for_answer(local.ring(third.callback_number))
    assert call.people[-1] == phones[2].agent.acs_user_id, "the newest holder"
    local.run_timers("lease_expiry")
    assert "pool_exhausted" in local.logs()["host.log"]


@pytest.mark.parametrize("holders", [3, 8])
def test_a_shared_number_rings_its_first_holder_and_the_newest_at_once(local: Stack, holders: int) -> None:
    restart(local, CALLBACK_NUMBERS=ONE)
    # Until then the host of before counts as one that may lend the other number still.
    local.advance(REGISTERED_FOR)
    local.run_timers("lease_expiry")
    phones = [local.softphone(local.add_agent(new_agent())) for _ in range(holders)]
    lent = [phone.dial(new_id()) for phone in phones]
    assert [each.shared for each in lent] == [False] + [True] * (holders - 1)
    # Whoever held it unshared stays among the five, however many others come.
    newest = [phone.agent.acs_user_id for phone in [*phones[:0:-1][:4], phones[0]]]
    local.control.people(newest[1], Script(behaviour="answers", after_s=2.0))
    call = local.wait_for_answer(local.ring(ONE))
    assert call.people[-1] == newest[1]
    others = len(newest) - 1
    poll(lambda: _states(local, call) == ["cancelled"] * others + ["joined"] or None, what="the silence of the others")
    assert {each.identity for each in local.control.call(call.server_call_id).invitations} == set(newest)


def _states(local: Stack, call: CallView) -> list[str]:
    return sorted(each.state for each in local.control.call(call.server_call_id).invitations)


def test_a_number_that_was_lent_again_rings_whoever_holds_it_now(local: Stack) -> None:
    restart(local, CALLBACK_NUMBERS=ONE)
    dana, eve = (local.softphone(local.add_agent(new_agent())) for _ in range(2))
    call = new_id()
    dana.dial(call)
    dana.wait_for_presence("do_not_disturb")
    dana.end(call)
    local.wait_until_nothing_is_owed()
    local.advance(timedelta(minutes=62))
    local.run_timers()
    again = eve.dial(new_id())
    assert (again.callback_number, again.shared) == (ONE, False), "it rested, and nothing else was left"
    local.will_answer(eve.agent.acs_user_id)
    seen = local.wait_for_answer(local.ring(ONE))
    assert [each.identity for each in seen.invitations] == [eve.agent.acs_user_id]


def test_without_any_number_all_the_rest_is_there_and_nothing_of_it_is_untrue(local: Stack) -> None:
    restart(local, CALLBACK_NUMBERS="")
    # Hosts that have stopped may still be lending from the pool that they had.
    local.advance(REGISTERED_FOR)
    local.run_timers()
    dana = local.softphone(local.add_agent(new_agent()))
    call, path = new_id(), f"agents/{dana.agent.agent_id}/panel"
    body = {"call_id": call, "agent_id": dana.agent.agent_id, "dialled": "911", "country": "US", "caller_id_ours": True}
    answer = dana.ask("POST", "emergency-calls", body).json()
    assert (answer["callback_number"], answer["shared"], answer["degraded"]) == (FALLBACK, False, False)
    polled = dana.ask("GET", path)
    assert polled.json() == answer["panel"]
    assert (
        (answer["placeable"], answer["dial"]) == (polled.json()["placeable"], polled.json()["dial"]) == ("yes", "911")
    )
    say = polled.json()["say"]
    assert (say["callback_number"], say["number_shown"], say["relay_first"]) == (FALLBACK, False, True)
    again = dana.ask("GET", path, headers={"If-None-Match": polled.headers["ETag"]})
    assert again.status_code == 304
    local.wait_until_nothing_is_owed()
    [message] = local.control.emails()
    assert "answered by people at all hours" in message.plain_text and "It reaches" not in message.plain_text
    dana.end(call, reason="dropped")
    assert dana.panel().controls[:2] == ("call_again", "end_hold")


def test_no_contact_anywhere(local: Stack) -> None:
    restart(local, EMERGENCY_CONTACTS="")
    dana = local.softphone(local.add_agent(new_agent(emergency_contacts="")))
    lent = dana.dial(new_id())
    assert (lent.status, lent.notified, lent.degraded) == (201, 0, False)
    dana.wait_for_presence("do_not_disturb")
    local.wait_until_nothing_is_owed()
    assert local.control.emails() == []


def test_a_faulty_entry_in_every_setting(local: Stack) -> None:
    rubbish = "rubbish-that-nobody-may-read"
    note(rubbish)
    restart(
        local,
        CALLBACK_NUMBERS=f"{ONE};{rubbish};{TWO};{FALLBACK}",
        SECURITY_DESK=f"{rubbish};{DESK}",
        EMERGENCY_CONTACTS=f"{rubbish};{stack.DEFAULT_CONTACT}",
        EMERGENCY_COUNTRIES=f"US;{rubbish}",
        CALLBACK_WINDOW_MINUTES=rubbish,
        CALLBACK_AFTER_CALL_MINUTES="9",
        CALLBACK_COOL_DOWN_MINUTES="1441",
        HOLD_AFTER_DROP_MINUTES="-1",
        MAX_CALL_MINUTES="",
        POOL_LOW_WATER="101",
        PRESENCE_BACKEND=rubbish,
        ALLOWED_ORIGINS=rubbish,
        PUBLIC_BASE_URL=rubbish,
        CALL_AUTOMATION_KEYS_URL=rubbish,
    )
    health = local.ask("GET", "health")
    assert (health.status_code, health.json()["settings_valid"]) == (200, False)
    dana = local.softphone(local.add_agent(new_agent()))
    lent = dana.dial(new_id())
    assert not lent.degraded and lent.callback_number in (ONE, TWO)
    assert abs(lent.expires_at - local.now() - timedelta(minutes=60)) < timedelta(seconds=5)
    local.will_answer(dana.agent.acs_user_id)
    # No event is believed without the right keys: the call is not answered, but sent on.
    assert local.wait_for_answer(local.ring(lent.callback_number)).people[-1] == dana.agent.acs_user_id
    assert (local.control.requests("answer"), len(local.control.requests("redirect"))) == ([], 1)
    local.wait_for_email(contacts(dana.agent)[0])
    faulty = set(re.findall(r"setting_faulty setting=(\w+)", local.logs()["host.log"]))
    assert {"callback_numbers", "security_desk", "emergency_contacts", "presence_backend"} <= faulty


def test_faulty_sources_of_events_open_no_door_and_lose_no_callback(local: Stack) -> None:
    restart(local, EVENT_SOURCES="the telephony; our topic")
    dana = local.softphone(local.add_agent(new_agent()))
    number = dana.dial(new_id(), server_call_id=(server := new_id("server"))).callback_number
    local.control.call_started(dana.agent.acs_user_id, server, at=local.now())
    local.control.call_ended(dana.agent.acs_user_id, server, at=local.now())
    local.control.wait_until_delivered()
    assert dana.panel().mode == "emergency", "what says that the call is over may come from anybody"
    for function in ("call_started_event", "call_ended_event"):
        assert f"event_source_unknown function={function}" in local.logs()["host.log"]
    local.will_answer(dana.agent.acs_user_id)
    call = local.wait_for_answer(local.ring(number))
    local.control.hang_up(call.server_call_id)


def test_no_setting_at_all_but_the_schedules(local: Stack) -> None:
    nothing = dict.fromkeys(local.settings, "") | {"EXPIRY_SCHEDULE": "0 * * * * *", "OUTBOX_SCHEDULE": "0 * * * * *"}
    local.stop_host()
    with host_process.running(environment=local.settings | nothing, log=local.folder / "host.log") as host:
        url = host.url
        body = {"call_id": new_id(), "agent_id": new_agent().agent_id, "dialled": "911"}
        answer = httpx.post(f"{url}/api/emergency-calls", json=body, headers={stack.SIGN_IN: MACHINE}, timeout=15)
        assert (answer.status_code, answer.json()["degraded"]) == (201, True)
        assert answer.json()["panel"]["mode"] == "emergency"
        assert httpx.get(f"{url}/api/health", timeout=15).json()["settings_valid"] is False


def test_make_host_serves_the_app_against_services_given_in_the_environment(
    local: Stack, tmp_path: Path, log_folders: list[Path]
) -> None:
    local.stop_host()
    # This host goes by the machine's clock.
    local.control.reset()
    [port] = free_ports(1)
    log_folders.append(tmp_path)
    environment = {**os.environ, **local.settings}
    command = ["make", "host", f"PORT={port}", "WORKERS=1"]
    with start(command, name="make host", environment=environment, cwd=ROOT, log=tmp_path / "make-host.log") as child:
        child.wait_until(lambda: f"listening on http://127.0.0.1:{port}" in child.output(), what="ready", deadline_s=60)
        body = {"call_id": new_id(), "agent_id": new_agent().agent_id, "dialled": "911"}
        dialled = {"json": body, "headers": {stack.SIGN_IN: MACHINE}, "timeout": 15}
        poll(lambda: httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=15).is_success or None, what="health")
        answer = httpx.post(f"http://127.0.0.1:{port}/api/emergency-calls", **dialled)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["degraded"]) == (201, False)
        local.wait_for_email(stack.DEFAULT_CONTACT)
