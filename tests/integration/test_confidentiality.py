"""No phone number, name, address, location or id in any log line of the whole session (B8); read last of all.

What the storage keeps is read when each stack's tests are over (`kept.py`).
"""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.used import USED, found_in, new_agent, new_id, note
from tests.leaks import Scanner
from tests.local.stack import DANA, Stack

pytestmark = pytest.mark.process


def all_logs(folders: list[Path]) -> dict[str, str]:
    files = [file for folder in folders for file in sorted(folder.glob("*.log"))]
    return {f"{file.parent.name}/{file.name}": file.read_text(errors="replace") for file in files}


def one_emergency(local: Stack) -> None:
    """Something of everything, so that this test means something also when it runs alone."""
    phone = local.softphone(local.add_agent(new_agent()))
    call, server = new_id(), new_id("server")
    lent = phone.dial(call, server_call_id=server, location={"latitude": 47.639631, "longitude": -122.128305})
    local.ring(lent.callback_number)
    local.control.call_started(phone.agent.acs_user_id, server, at=local.now())
    local.wait_until_nothing_is_owed()
    phone.end(call)
    local.advance(timedelta(minutes=5))
    local.run_timers()


def test_no_log_line_gives_anything_away(local: Stack, log_folders: list[Path]) -> None:
    one_emergency(local)
    logs = all_logs(log_folders) | local.logs()
    assert {"host.log", "acs.log", "azurite.log"} <= set(logs)
    assert "dial_recorded" in logs["host.log"] and "callback_answered" in logs["host.log"]
    assert len(USED) > 10
    assert Scanner(USED).scan_all(logs) == {}


def test_nothing_happened_that_nobody_foresaw(local: Stack, log_folders: list[Path]) -> None:
    for name, text in (all_logs(log_folders) | local.logs()).items():
        lines = text.splitlines()
        assert [line for line in lines if "unforeseen_error" in line or "undeclared" in line] == [], name
        assert [line for line in lines if line.endswith("=invalid") or "=invalid " in line] == [], name


@pytest.mark.parametrize("form", ["{}", "%2B{digits}", '"to":"4:{}"', "number|{digits}|", "+{digits}"])
def test_a_planted_number_is_found(form: str) -> None:
    number = "+14255550101"
    assert number in USED
    assert found_in(f"2026-11-22 INFO something {form.format(number, digits=number[1:])} else") == [number]


def test_planted_ids_names_and_addresses_are_found() -> None:
    agent = new_agent()
    call = new_id() + "/ä"
    note(call)
    for planted in (
        agent.agent_id,
        agent.name,
        agent.address,
        agent.acs_user_id,
        agent.acs_user_id.replace(":", "%3A"),
    ):
        assert found_in(f"prefix {planted} suffix")
    assert call in found_in(f"GET /api/emergency-calls/{call.replace('/', '%2F').replace('ä', '%C3%A4')}")
    assert DANA.agent_id not in USED or found_in(DANA.agent_id)
    assert found_in("2026-11-22 12:00:00 INFO emergency_calling: dial_recorded shared=false ms=12") == []
