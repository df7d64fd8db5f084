"""A drill through the host: its report, what fails is said and cleaned up, and a real call in the middle wins (B9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.domain.drills import CLAIMED_FOR
from tests.integration.kept import given_away
from tests.integration.tapped import Tapped, tapped_stack
from tests.integration.used import contacts, new_agent, new_id, note
from tests.leaks import Kind, Registry, Scanner
from tests.local.acs import Fault, poll
from tests.local.stack import ADMIN, AGENT, LEFT_IN_THE_END, MACHINE, POOL, SUPERVISOR, Agent, Softphone, Stack
from tests.local.wiretap import Exchange

pytestmark = pytest.mark.process

STEPS = ["lease", "presence", "email", "callback", "restore", "release"]
REPORTED_WITHIN_S = 60.0


def begin(local: Stack, agent: Agent, *recipients: str) -> str:
    note(*recipients, kind=Kind.EMAIL)
    body = {"agent_id": agent.agent_id, "recipients": list(recipients)}
    started = local.ask("POST", "manage/drills", body, principal=ADMIN)
    assert started.status_code == 202, started.text
    return str(started.json()["drill_id"])


def report(local: Stack, drill: str) -> dict[str, Any]:
    answer = local.ask("GET", f"manage/drills/{drill}", principal=ADMIN)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def ended(local: Stack, drill: str) -> dict[str, Any]:
    """The report, once it is over."""

    def over() -> dict[str, Any] | None:
        found = report(local, drill)
        return found if found["state"] != "running" else None

    return poll(over, within_s=REPORTED_WITHIN_S, what="the end of the drill")


def states(told: dict[str, Any]) -> dict[str, str]:
    return {each["step"]: each["state"] for each in told["steps"]}


def reason(told: dict[str, Any], step: str) -> str:
    return next(each["reason"] or "" for each in told["steps"] if each["step"] == step)


def assert_nothing_is_left(local: Stack, *recipients: str) -> None:
    """No time passes and no timer runs: a drill takes away what it brought."""
    assert {row["RowKey"].split("|")[0] for row in local.rows()["emergencies"]} <= LEFT_IN_THE_END
    assert given_away(local) == {}
    told = Registry()
    told.note(*recipients, kind=Kind.EMAIL)
    for rows in local.rows().values():
        assert Scanner(told).scan("\n".join(str(row) for row in rows)) == []


def someone(local: Stack) -> tuple[Softphone, tuple[str, str]]:
    """An agent who is available, and two who are told of their drill."""
    phone = local.softphone(local.add_agent(new_agent()))
    phone.show("available")
    mark = new_id("warden")
    return phone, (f"{mark}@example.com", f"second.{mark}@example.com")


def test_a_drill_reports_each_step_with_its_time_and_leaves_nothing(local: Stack) -> None:
    dana, wardens = someone(local)
    told = ended(local, begin(local, dana.agent, *wardens))
    assert (told["state"], states(told)) == ("passed", dict.fromkeys(STEPS, "passed")), told
    assert [each["step"] for each in told["steps"]] == STEPS
    assert all(isinstance(each["ms"], int) and each["reason"] is None for each in told["steps"])
    assert dana.presence().status == "available"
    for warden in wardens:
        mails = local.emails_to(warden)
        assert mails and all("DRILL" in mail.subject for mail in mails)
    assert not any(local.emails_to(contact) for contact in contacts(dana.agent))
    calls = {"answer", "add", "redirect", "cancel", "participants", "play", "hang_up"}
    assert not [each.operation for each in local.control.requests() if each.operation in calls], "no call was placed"
    assert_nothing_is_left(local, *wardens)
    readiness = local.ask("GET", "manage/readiness", principal=SUPERVISOR).json()
    [check] = [each for each in readiness["checks"] if each["id"] == "drill"]
    assert check["state"] == "ok" and "passed" in check["reason"]


def test_while_it_runs_the_board_and_the_panel_say_that_it_is_a_drill(local: Stack) -> None:
    dana, wardens = someone(local)
    local.control.fault(Fault(operation="email", kind="latency", seconds=2.0, times=1))
    drill = begin(local, dana.agent, *wardens)
    board = poll(
        lambda: local.ask("GET", "manage/emergencies", principal=SUPERVISOR).json() or None,
        within_s=10,
        what="a drill on the board",
    )
    [row] = [each for each in board if each["agent_id"] == dana.agent.agent_id]
    assert (row["drill"], row["test"]) == (True, False)
    panel = dana.ask("GET", f"agents/{dana.agent.agent_id}/panel").json()
    assert (panel["mode"], panel["banner_key"], panel["say"]) == ("normal", "drill_in_progress", None)
    assert panel["banner"].startswith("DRILL") and "dial" in panel["controls"]
    second = local.ask("POST", "manage/drills", {"agent_id": dana.agent.agent_id}, principal=ADMIN)
    assert (second.status_code, second.headers["content-type"]) == (409, "application/problem+json")
    assert ended(local, drill)["state"] == "passed"
    assert_nothing_is_left(local, *wardens)


def test_without_recipients_no_mail_is_sent_and_the_step_says_so(local: Stack) -> None:
    dana, _ = someone(local)
    told = ended(local, begin(local, dana.agent))
    assert (told["state"], states(told)["email"]) == ("passed", "skipped")
    assert "No recipients" in reason(told, "email")
    assert local.control.emails() == []


def test_with_the_mail_service_down_it_says_so_and_cleans_up(local: Stack) -> None:
    dana, wardens = someone(local)
    local.control.fault(Fault(operation="email", status=503))
    told = ended(local, begin(local, dana.agent, *wardens))
    assert told["state"] == "failed"
    assert states(told) == dict.fromkeys(STEPS, "passed") | {"email": "failed"}, told
    assert "e-mail service did not take it" in reason(told, "email")
    assert dana.presence().status == "available"
    assert_nothing_is_left(local, *wardens)
    local.control.clear_faults()
    local.run_timers()
    assert local.control.emails() == [], "nobody is told of it later"


def test_a_real_call_in_the_middle_wins_and_ends_the_drill(local: Stack) -> None:
    dana, wardens = someone(local)
    # So long the e-mail service takes: the agent dials while the drill waits for it.
    local.control.fault(Fault(operation="email", kind="latency", seconds=2.0, times=1))
    drill = begin(local, dana.agent, *wardens)
    dana.wait_for_presence("do_not_disturb")
    call = new_id()
    lent = dana.dial(call)
    assert not lent.degraded and not lent.shared and not lent.test
    assert dana.panel().mode == "emergency"
    told = ended(local, drill)
    assert told["state"] == "overtaken", told
    for contact in contacts(dana.agent):
        assert "DRILL" not in local.wait_for_email(contact).subject
    assert dana.presence().status == "do_not_disturb"
    assert dana.panel().mode == "emergency" and dana.panel().callback_number == lent.callback_number
    for warden in wardens:
        assert all("DRILL" in mail.subject for mail in local.emails_to(warden))
    [row] = local.ask("GET", "manage/emergencies", principal=SUPERVISOR).json()
    assert not row["drill"]
    dana.end(call)
    dana.wait_for_presence("available")


def test_who_may_and_what_is_refused(local: Stack) -> None:
    dana, _ = someone(local)
    body: dict[str, object] = {"agent_id": dana.agent.agent_id}
    for nobody in (SUPERVISOR, MACHINE, f"{AGENT};{dana.agent.agent_id}", "EmergencyCalling.Janitor"):
        refused = local.ask("POST", "manage/drills", body, principal=nobody)
        assert (refused.status_code, set(refused.json())) == (403, {"type", "title", "status"})
    assert local.ask("POST", "manage/drills", body).status_code == 401
    assert local.ask("POST", "manage/drills", {"agent_id": new_id("agent")}, principal=ADMIN).status_code == 404
    assert local.ask("POST", "manage/drills", {}, principal=ADMIN).status_code == 400
    faulty = local.ask("POST", "manage/drills", body | {"recipients": ["nobody"]}, principal=ADMIN)
    assert (faulty.status_code, faulty.json()["field"]) == (400, "recipients[0]")
    assert local.ask("GET", f"manage/drills/{new_id()}", principal=ADMIN).status_code == 404
    assert local.ask("GET", f"manage/drills/{new_id()}", principal=SUPERVISOR).status_code == 403


# A stack of their own -------------------------------------------------------------------------------------------------


class Presences:
    """The way to the embedded presence service alone, which a test takes away."""

    def __init__(self) -> None:
        self.away = False

    def label(self, head: bytes, body: bytes) -> str | None:
        return "presence" if b"presence" in head.split(b"\r\n", 1)[0] or b"/presence(" in body else None

    def strike(self, exchange: Exchange) -> None:
        if self.away and exchange.label == "presence":
            exchange.mode = "fail"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[tuple[Tapped, Presences]]:
    """Two numbers, and presences that can be taken away."""
    folder = tmp_path_factory.mktemp("narrow")
    log_folders.append(folder)
    presences = Presences()
    with tapped_stack(folder, pool=POOL[:2], label=presences.label) as running:
        running.tap.on(None, presences.strike, moment="arrived")
        yield running, presences


@pytest.fixture
def small(narrow: tuple[Tapped, Presences]) -> Iterator[Stack]:
    (local, _), presences = narrow
    local.run_timers()
    yield local
    presences.away = False
    local.forget_telephony()
    local.forget_emergencies()


def test_with_presence_down_it_says_so_plays_the_rest_and_cleans_up(
    narrow: tuple[Tapped, Presences], small: Stack
) -> None:
    dana, wardens = someone(small)
    narrow[1].away = True
    told = ended(small, begin(small, dana.agent, *wardens))
    narrow[1].away = False
    assert told["state"] == "failed"
    assert states(told)["presence"] == "failed", told
    assert "presence service" in reason(told, "presence")
    assert [states(told)[step] for step in ("lease", "email", "callback", "release")] == ["passed"] * 4, told
    assert dana.presence().status == "available"
    assert_nothing_is_left(small, *wardens)


def test_an_empty_pool_fails_at_the_lease_and_keeps_the_last_number(small: Stack) -> None:
    dana, wardens = someone(small)
    kim, _ = someone(small)
    call = new_id()
    assert not kim.dial(call).shared
    told = ended(small, begin(small, dana.agent, *wardens))
    assert (told["state"], states(told)["lease"]) == ("failed", "failed")
    assert "last one is kept" in reason(told, "lease")
    assert not any(small.emails_to(warden) for warden in wardens)
    assert dana.presence().status == "available"
    kim.end(call)


def test_another_s_real_call_takes_the_number_of_a_drill_rather_than_share_one(small: Stack) -> None:
    dana, wardens = someone(small)
    kim, eve = someone(small)[0], someone(small)[0]
    small.control.fault(Fault(operation="email", kind="latency", seconds=2.0, times=1))
    drill = begin(small, dana.agent, *wardens)
    dana.wait_for_presence("do_not_disturb")
    lent = [phone.dial(new_id()) for phone in (kim, eve)]
    assert not any(each.shared or each.degraded for each in lent)
    assert {each.callback_number for each in lent} == set(POOL[:2])
    assert ended(small, drill)["state"] == "overtaken"
    assert dana.presence().status == "available"
    assert not any(dana.agent.agent_id in str(row) for row in small.rows()["emergencies"])


def test_a_host_that_dies_in_the_middle_is_relieved_and_nothing_is_left(small: Stack) -> None:
    dana, wardens = someone(small)
    small.control.fault(Fault(operation="email", kind="hang", times=1))
    drill = begin(small, dana.agent, *wardens)
    dana.wait_for_presence("do_not_disturb")
    small.stop_host()
    small.control.clear_faults()
    small.start_host()
    assert report(small, drill)["state"] == "running"
    small.advance(CLAIMED_FOR)
    small.run_timers("outbox_sweep")
    told = ended(small, drill)
    assert (told["state"], states(told)) == ("passed", dict.fromkeys(STEPS, "passed")), told
    assert dana.presence().status == "available"
    assert all("DRILL" in mail.subject for warden in wardens for mail in small.emails_to(warden))
    assert_nothing_is_left(small, *wardens)
