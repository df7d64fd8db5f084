"""Answers that come in another order than they were asked for: the newest question counts, typing is newer still."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.browser.console_answers import AGENT, BOARD, SITE, TEMPLATE
from tests.browser.desk import Desk, Scripted, in_emergency, panel
from tests.browser.looks import without_network_words
from tests.browser.test_console import HARMLESS, open_agent, open_console, press_twice

NOT_SAVED = "Not saved yet. Save first, or leave without saving."
# Ten seconds at 60 Hz: longer than the board waits between two looks.
MAX_FRAMES = 600
READ = "GET manage/notification-template"


class Late:
    """The next request of a kind, whose answer is kept back until `comes` is called."""

    def __init__(self, page: Page, method: str, path: str) -> None:
        self._page = page
        self._held: list[Route] = []
        self._method = method
        page.route(f"**/api/{path}", self._hear)

    def _hear(self, route: Route) -> None:
        if self._held or route.request.method != self._method:
            route.fallback()
        else:
            self._held.append(route)

    def is_asked(self) -> None:
        """Until the request is there."""
        for _ in range(MAX_FRAMES):
            if self._held:
                return
            self._page.evaluate("() => new Promise(requestAnimationFrame)")
        raise AssertionError(f"{self._method} is not asked")

    def comes(self, body: dict[str, Any] | list[Any], *, status: int = 200, etag: str = '"late"') -> None:
        """The answer comes, and the page has taken it in."""
        [route] = self._held
        kind = "application/json" if status < 400 else "application/problem+json"
        headers = {"ETag": etag, "Content-Type": kind}
        with self._page.expect_event("requestfinished", lambda request: request == route.request):
            route.fulfill(status=status, body=json.dumps(body), headers=headers)
        # A whole round trip later, whatever the page does with that answer is done.
        self._page.evaluate("async () => void (await (await fetch('/')).text())")


def checks_of(agent: str) -> dict[str, Any]:
    checks = [{"id": "entry", "subject": f"agent:{agent}", "state": "ok", "reason": f"Of {agent}.", "remedy": None}]
    return {"state": "ok", "at": None, "checks": checks}


def test_the_checks_of_the_agent_that_was_asked_for_last_are_shown(page: Page, desk: Desk) -> None:
    open_console(page, desk, "readiness", others={"GET manage/agents/ben/readiness": checks_of("ben")})
    shown = page.get_by_role("list", name="Readiness").locator(".reason")
    annas = Late(page, "GET", "manage/agents/anna/readiness")
    for agent in ("anna", "ben"):
        page.get_by_label("Agent id").fill(agent)
        page.get_by_role("button", name="Check").click()
    expect(shown).to_have_text(["Of ben."])
    annas.comes(checks_of("anna"))
    expect(shown).to_have_text(["Of ben."])


def while_the_callbacks_template_loads(page: Page, desk: Desk) -> tuple[Locator, Locator, Late]:
    """The editor with the template of calls: its text, the choice of kinds, and the answer that was asked for."""
    open_console(page, desk, "templates", others=HARMLESS)
    text, kind = page.get_by_label("Plain text", exact=True), page.get_by_label("Kind")
    expect(text).to_have_value(TEMPLATE["text"])
    callbacks = Late(page, "GET", "manage/notification-template?kind=callback*")
    kind.select_option("callback")
    callbacks.is_asked()
    return text, kind, callbacks


def test_a_template_is_saved_under_the_name_of_the_one_that_is_shown(page: Page, desk: Desk) -> None:
    text, kind, callbacks = while_the_callbacks_template_loads(page, desk)
    desk.others[READ] = Scripted(TEMPLATE | {"text": "Of closings."}, etag='"closing"')
    kind.select_option("closing")
    expect(text).to_have_value("Of closings.")
    callbacks.comes(TEMPLATE | {"text": "Of callbacks."})
    expect(text).to_have_value("Of closings.")
    expect(kind).to_have_value("closing")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    [saved] = desk.requests("PUT", "notification-template")
    assert (saved.query, saved.if_match, saved.body["text"]) == (
        "kind=closing&locale=en",
        '"closing"',
        "Of closings.",
    )


def test_what_is_typed_into_a_template_while_another_one_loads_stays(page: Page, desk: Desk) -> None:
    text, kind, callbacks = while_the_callbacks_template_loads(page, desk)
    text.fill("Mine.")
    expect(kind).to_have_value("call")
    callbacks.comes(TEMPLATE | {"text": "Of callbacks."})
    expect(text).to_have_value("Mine.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    [saved] = desk.requests("PUT", "notification-template")
    assert (saved.query, saved.body["text"]) == ("kind=call&locale=en", "Mine.")


def test_a_save_that_is_answered_late_does_not_give_its_version_to_another_template(page: Page, desk: Desk) -> None:
    open_console(page, desk, "templates", others=HARMLESS)
    text = page.get_by_label("Plain text", exact=True)
    expect(text).to_have_value(TEMPLATE["text"])
    save = page.get_by_role("button", name="Save")
    of_calls = Late(page, "PUT", "manage/notification-template?kind=call&*")
    save.click()
    of_calls.is_asked()
    desk.others[READ] = Scripted(TEMPLATE | {"text": "Of closings."}, etag='"closing"')
    page.get_by_label("Kind").select_option("closing")
    expect(text).to_have_value("Of closings.")
    of_calls.comes(TEMPLATE, etag='"call"')
    save.click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert [each.if_match for each in desk.requests("PUT", "notification-template")] == ['"closing"']


RECORDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "agents": ("Agent Example 2", "agent-2", {"GET manage/agents/agent-2": AGENT | {"agent_id": "agent-2"}}),
    "sites": (
        "South building",
        "south",
        {
            "GET manage/sites": {"sites": [SITE, SITE | {"site_id": "south", "name": "South building"}]},
            "GET manage/sites/south": SITE | {"site_id": "south"},
        },
    ),
}


def press(page: Page, name: str) -> None:
    page.locator(".choice").filter(has_text=name).first.click()


@pytest.mark.parametrize(("section", "first"), [("agents", "agent-1"), ("sites", "north")])
def test_a_record_that_comes_late_does_not_take_the_place_of_the_one_that_is_edited(
    page: Page, desk: Desk, section: str, first: str
) -> None:
    second, second_id, known = RECORDS[section]
    open_console(page, desk, section, others=known)
    late = Late(page, "GET", f"manage/{section}/{first}")
    press(page, first)
    late.is_asked()
    press(page, second)
    expect(page.get_by_role("heading", name=second_id)).to_be_focused()
    name = page.get_by_label("Name", exact=True)
    name.fill("Mine")
    late.comes(AGENT if section == "agents" else SITE)
    expect(page.get_by_role("heading", level=3, name=second_id)).to_be_visible()
    expect(name).to_have_value("Mine")


def test_what_is_typed_while_another_record_loads_stays(page: Page, desk: Desk) -> None:
    open_agent(page, desk)
    late = Late(page, "GET", "manage/agents/agent-2")
    press(page, "Agent Example 2")
    late.is_asked()
    name = page.get_by_label("Name", exact=True)
    name.fill("Mine")
    late.comes(AGENT | {"agent_id": "agent-2"})
    expect(name).to_have_value("Mine")
    expect(page.get_by_role("heading", level=3, name="agent-1")).to_be_visible()
    press(page, "Agent Example 2")
    expect(page.get_by_text(NOT_SAVED)).to_be_visible()


def test_what_is_typed_while_a_record_is_saved_is_not_saved_yet(page: Page, desk: Desk) -> None:
    open_agent(page, desk)
    saving = Late(page, "PUT", "manage/agents/agent-1")
    name = page.get_by_label("Name", exact=True)
    name.fill("Mine")
    page.get_by_role("button", name="Save").click()
    saving.is_asked()
    name.fill("Mine, and more")
    saving.comes(AGENT)
    page.get_by_role("link", name="Sites").click()
    expect(page.get_by_text(NOT_SAVED)).to_be_visible()


def test_a_removal_that_is_answered_late_leaves_the_form_of_another_record(page: Page, desk: Desk) -> None:
    open_agent(page, desk, others=RECORDS["agents"][2])
    removing = Late(page, "DELETE", "manage/agents/agent-1")
    press_twice(page, "Remove", "Press again")
    removing.is_asked()
    press(page, "Agent Example 2")
    expect(page.get_by_role("heading", name="agent-2")).to_be_focused()
    removing.comes({})
    expect(page.get_by_role("heading", level=3, name="agent-2")).to_be_visible()


def test_a_save_of_a_section_that_was_left_says_nothing_of_what_is_edited_now(page: Page, desk: Desk) -> None:
    open_agent(page, desk)
    saving = Late(page, "PUT", "manage/agents/agent-1")
    page.get_by_role("button", name="Save").click()
    saving.is_asked()
    page.get_by_role("link", name="Sites").click()
    press(page, "north")
    page.get_by_label("Name", exact=True).fill("Mine")
    saving.comes(AGENT)
    page.get_by_role("link", name="Agents").click()
    expect(page.get_by_text(NOT_SAVED)).to_be_visible()


def test_a_board_that_was_asked_for_before_a_hold_was_ended_does_not_bring_it_back(page: Page, desk: Desk) -> None:
    open_console(page, desk)
    cards = page.get_by_role("list", name="Live").locator("> li")
    expect(cards).to_have_count(len(BOARD))
    poll = Late(page, "GET", "manage/emergencies")
    poll.is_asked()
    desk.others["GET manage/emergencies"] = [BOARD[0], BOARD[2]]
    press_twice(page, "End the hold", "Press again")
    expect(cards).to_have_count(2)
    poll.comes(BOARD)
    assert cards.count() == 2


def test_what_becomes_of_a_file_is_not_told_over_the_words_of_the_next_one(
    page: Page, desk: Desk, said: list[str]
) -> None:
    checked = {"rows": 7, "new": 7, "changed": 0, "unchanged": 0, "faults": [], "faults_total": 0, "digest": "d"}
    open_console(page, desk, "agents", others={"POST manage/agents/import": checked})
    field = page.locator("#import-file")
    file = FilePayload(name="agents.csv", mimeType="text/csv", buffer=b"agent_id\r\n")
    field.set_input_files(file)
    first = Late(page, "POST", "manage/agents/import?digest=*")
    page.get_by_role("button", name="Import 7").click()
    first.is_asked()
    desk.others["POST manage/agents/import"] = checked | {"rows": 8, "new": 8}
    field.set_input_files(file)
    second = page.get_by_role("button", name="Import 8")
    expect(second).to_be_visible()
    told = page.get_by_text("8 new")
    expect(told).to_be_visible()
    first.comes({"title": "Conflict", "status": 409}, status=409)
    assert told.is_visible() and second.is_visible()
    without_network_words(said)


# The panel ------------------------------------------------------------------------------------------------------------

ADD_PANEL = """async () => {
    await import("/ui/emergency-panel.js");
    const panel = document.createElement("emergency-panel");
    panel.setAttribute("api", `${location.origin}/api`);
    panel.setAttribute("desktop-id", "desktop-1");
    document.querySelector("main").append(panel);
}"""
DIALLED = """(panel) => {
    const state = { agentId: "agent-1", report: "accepted", panel, emergency: false };
    document.querySelector("emergency-panel").dialer = { state, subscribe: () => () => {} };
}"""


def test_an_agent_who_was_named_meanwhile_is_not_replaced_by_who_was_asked_for_before(page: Page, desk: Desk) -> None:
    page.goto(desk.address)
    me = Late(page, "GET", "me")
    page.evaluate(ADD_PANEL)
    me.is_asked()
    page.evaluate("() => document.querySelector('emergency-panel').setAttribute('agent-id', 'agent-2')")
    expect(page.get_by_role("button", name="Mute")).to_be_visible()
    me.comes({"agent_id": "agent-1"})
    with page.expect_response("**/panel"):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    assert {each.path for each in desk.requests("GET", "/panel")} == {"/api/agents/agent-2/panel"}


def test_a_panel_that_was_asked_for_before_a_dial_does_not_replace_that_of_the_dial(page: Page, desk: Desk) -> None:
    page.goto(desk.address)
    desk.others["GET me"] = {"agent_id": "agent-1"}
    desk.panel = in_emergency()
    before = Late(page, "GET", "agents/agent-1/panel")
    page.evaluate(ADD_PANEL)
    before.is_asked()
    page.evaluate(DIALLED, desk.panel)
    shown = "() => document.querySelector('emergency-panel').mode"
    assert page.evaluate(shown) == "emergency"
    page.evaluate(
        "() => document.querySelector('emergency-panel').addEventListener('modechange', () => (window.changed = true))"
    )
    before.comes(panel())
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert page.evaluate("() => window.changed") is None
