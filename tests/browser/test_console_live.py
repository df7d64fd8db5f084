"""The console over the host, the runtime library and Azurite: drills, and what a supervisor ends on the live board."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_console import press_twice
from tests.local import stack
from tests.local.acs import Fault, poll
from tests.local.run import signed_in
from tests.local.stack import DANA, Stack

pytestmark = pytest.mark.usefixtures("store_may_be_slow")

SETTLE_MS = 30_000
WARDEN = "warden@example.com"
# Less than the eight seconds after which the mail is taken up again.
SEEN_WHILE_IT_RUNS_S = 6.0


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack.running(folder=tmp_path_factory.mktemp("stack")) as local:
        yield local


@pytest.fixture
def local(serving: Stack) -> Iterator[Stack]:
    """The stack, as new."""
    serving.forget_emergencies()
    serving.forget_telephony()
    serving.add_agent(DANA)
    serving.softphone(DANA).show("available")
    yield serving
    serving.control.clear_faults()


def open_section(page: Page, local: Stack, section: str, principal: str = stack.ADMIN) -> None:
    page.set_default_timeout(SETTLE_MS)
    page.goto(signed_in(local, principal, "/api/ui/console"))
    page.get_by_role("link", name=section).click()
    expect(page.get_by_role("heading", level=2)).to_have_text(section)


def steps(page: Page) -> Locator:
    return page.get_by_role("list", name="Steps").get_by_role("listitem")


def begin_drill(page: Page) -> None:
    page.get_by_label("Agent id").fill(DANA.agent_id)
    page.get_by_label("Recipients of the drill").fill(WARDEN)
    page.get_by_role("button", name="Start the drill").click()


def test_a_drill_is_followed_to_its_end_and_its_verdict_stays(page: Page, local: Stack) -> None:
    local.control.fault(Fault(operation="email", kind="latency", seconds=SEEN_WHILE_IT_RUNS_S, times=1))
    open_section(page, local, "Drills")
    begin_drill(page)
    expect(page.get_by_text("The drill is running.")).to_be_visible()
    expect(steps(page).nth(2)).to_have_text("E-mail: running")
    expect(page.get_by_text("The drill passed.")).to_be_visible(timeout=SETTLE_MS)
    assert [each.split(":")[1].split()[0] for each in steps(page).all_inner_texts()] == ["passed"] * 6
    assert all("DRILL" in mail.subject for mail in local.emails_to(WARDEN))
    page.reload()
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    expect(steps(page)).to_have_count(6)


def test_a_drill_that_fails_says_why(page: Page, local: Stack) -> None:
    local.control.fault(Fault(operation="email", status=503))
    open_section(page, local, "Drills")
    begin_drill(page)
    expect(page.get_by_text("The drill failed.")).to_be_visible(timeout=SETTLE_MS)
    expect(steps(page).nth(2)).to_contain_text("The e-mail service did not take it")


def test_the_board_shows_a_drill_as_one_and_a_real_call_in_the_middle_as_none(page: Page, local: Stack) -> None:
    local.control.fault(Fault(operation="email", kind="latency", seconds=SEEN_WHILE_IT_RUNS_S, times=1))
    open_section(page, local, "Live")
    body = {"agent_id": DANA.agent_id, "recipients": [WARDEN]}
    drill = local.ask("POST", "manage/drills", body, principal=stack.ADMIN).json()["drill_id"]
    local.softphone(DANA).wait_for_presence("do_not_disturb")
    page.reload()
    row = page.get_by_role("list", name="Live").get_by_role("listitem").first
    expect(row.locator(".tag")).to_have_text("DRILL")
    expect(row).to_contain_text("a drill is played")
    local.softphone(DANA).dial("call-1")

    def over() -> str | None:
        state = local.ask("GET", f"manage/drills/{drill}", principal=stack.ADMIN).json()["state"]
        return None if state == "running" else str(state)

    assert poll(over, within_s=30, what="the end of the drill") == "overtaken"
    expect(row).to_contain_text("call in progress")
    expect(page.locator(".tag:visible")).to_have_count(0)


def test_a_supervisor_ends_a_hold_on_the_board(page: Page, local: Stack) -> None:
    phone = local.softphone(DANA)
    phone.dial("call-1")
    phone.wait_for_presence("do_not_disturb")
    phone.end("call-1", "dropped")
    open_section(page, local, "Live", stack.SUPERVISOR)
    press_twice(page, "End the hold", "Press again to end the hold")
    phone.wait_for_presence("available")
    expect(page.get_by_text("No emergency").first).to_be_visible()


def test_a_supervisor_ends_a_call_that_nobody_ended(page: Page, local: Stack) -> None:
    phone = local.softphone(DANA)
    phone.dial("call-1")
    phone.wait_for_presence("do_not_disturb")
    open_section(page, local, "Live", stack.SUPERVISOR)
    press_twice(page, "End a call that nobody ended", "Press again")
    phone.wait_for_presence("available")
    assert phone.panel().mode == "normal"


def test_the_agent_s_panel_says_drill_and_keeps_its_buttons(page: Page, local: Stack) -> None:
    local.control.fault(Fault(operation="email", kind="latency", seconds=SEEN_WHILE_IT_RUNS_S, times=1))
    body = {"agent_id": DANA.agent_id, "recipients": [WARDEN]}
    local.ask("POST", "manage/drills", body, principal=stack.ADMIN)
    local.softphone(DANA).wait_for_presence("do_not_disturb")
    page.goto(signed_in(local, f"{stack.AGENT};{DANA.agent_id}", f"/api/ui/panel?agent={DANA.agent_id}"))
    expect(page.get_by_role("alert")).to_contain_text("DRILL: an emergency drill is being played for you.")
    expect(page.get_by_text("Do not disturb")).to_be_visible()
    expect(page.get_by_role("button", name="Dial", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_enabled()
    expect(page.get_by_role("alert")).to_be_empty(timeout=SETTLE_MS)
