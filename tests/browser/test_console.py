"""The console, section by section, on answers in the contract's shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, expect

from functions.pages import FOLDER
from tests.browser import console_answers
from tests.browser.console_answers import AGENT, BOARD, RENDERED, SUPERVISOR, emergency
from tests.browser.desk import Desk, Scripted

SECTIONS = ("live", "agents", "sites", "templates", "readiness", "numbers", "drills")
LANGUAGES = ("en", "es", "fr", "it")
SETTLE_MS = 8000
WORDS = {language: json.loads((FOLDER / f"console.{language}.json").read_text("utf-8")) for language in LANGUAGES}


def open_console(
    page: Page, desk: Desk, section: str = "live", *, locale: str = "en", others: dict[str, Any] | None = None
) -> None:
    desk.others = console_answers.answers() | (others or {})
    page.goto(f"{desk.address}/api/ui/console?locale={locale}#{section}")
    expect(page.get_by_role("heading", level=2)).to_have_text(WORDS[locale][section])


def without_network_words(said: list[str]) -> None:
    said[:] = [each for each in said if not each.startswith("Failed to load resource")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sections_have_their_names_in_every_language(page: Page, desk: Desk, language: str) -> None:
    open_console(page, desk, locale=language)
    links = page.get_by_role("navigation").get_by_role("link")
    assert links.all_inner_texts() == [WORDS[language][section] for section in SECTIONS]
    if language == "en":
        assert links.all_inner_texts() == ["Live", "Agents", "Sites", "Templates", "Readiness", "Numbers", "Drills"]
    assert page.locator("html").get_attribute("lang") == language
    page.get_by_label(WORDS[language]["language"]).select_option("it")
    expect(page.get_by_role("heading", level=1)).to_have_text(WORDS["it"]["title"])


@pytest.mark.parametrize("section", SECTIONS)
def test_a_route_that_is_not_there_is_said_plainly(page: Page, desk: Desk, said: list[str], section: str) -> None:
    routes = {key: 404 for key in console_answers.answers() if "manage/" in key}
    open_console(page, desk, section, others=routes)
    if section == "drills":
        page.get_by_label("Agent id").fill("agent-1")
        page.get_by_role("button", name="Start the drill").click()
    expect(page.get_by_text("This part is not available on this server.").first).to_be_visible()
    without_network_words(said)


# Live ----------------------------------------------------------------------------------------------------------------


def test_the_board_shows_who_where_since_when_and_what_became_of_the_notices(page: Page, desk: Desk) -> None:
    open_console(page, desk)
    rows = page.get_by_role("list", name="Live").get_by_role("listitem").filter(has=page.get_by_role("heading"))
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("Agent Example 1")
    expect(rows.nth(0)).to_contain_text("North building")
    expect(rows.nth(0)).to_contain_text("+14255550101")
    expect(rows.nth(0)).to_contain_text("supervisor@example.com: delivered")
    expect(rows.nth(0)).to_contain_text("guard@example.com: not delivered")
    expect(rows.nth(1)).to_contain_text("(shared)")
    expect(rows.nth(2)).to_contain_text("TEST")
    expect(page.get_by_role("alert")).to_contain_text("EMERGENCY: Agent Example 1, North building.")
    expect(page.get_by_text("Sound is off: a browser allows it only after a click.")).to_be_visible()
    page.get_by_role("button", name="Allow sound").click()
    expect(page.get_by_text("Sound is on: an arrival can be heard.")).to_be_visible()


def test_an_arrival_is_told_once_and_takes_no_focus(page: Page, desk: Desk) -> None:
    open_console(page, desk, others={"GET manage/emergencies": BOARD[:1]})
    button = page.get_by_role("button", name="End a call that nobody ended")
    button.focus()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Agent Example 1")
    desk.others["GET manage/emergencies"] = [emergency(4), *BOARD[:1]]
    expect(alert).to_have_text("EMERGENCY: Agent Example 4, North building.", timeout=SETTLE_MS)
    expect(button.nth(1)).to_be_focused()


@pytest.mark.parametrize(
    ("button", "sure", "row", "body"),
    [
        ("End the hold", "Press again to end the hold", 1, None),
        ("End a call that nobody ended", "Press again: counted as dropped", 0, {"legs": True}),
    ],
)
def test_ending_asks_in_its_place_first(
    page: Page, desk: Desk, button: str, sure: str, row: int, body: dict[str, Any] | None
) -> None:
    open_console(page, desk, others={"GET manage/emergencies": [BOARD[row]]})
    page.get_by_role("button", name=button).click()
    assert desk.requests("POST", "/release") == []
    page.get_by_role("button", name=sure).click()
    expect(page.get_by_text("Done.")).to_be_visible()
    [release] = desk.requests("POST", "/release")
    assert release.path == f"/api/agents/agent-{row + 1}/release" and release.query == f"emergency=opaque-{row + 1}"
    assert release.body == body


# Agents and sites ----------------------------------------------------------------------------------------------------


def test_the_directory_is_searched_by_the_start_and_fifty_at_a_time(page: Page, desk: Desk) -> None:
    open_console(page, desk, "agents")
    choices = page.get_by_role("list", name="Agents").get_by_role("button")
    expect(choices).to_have_count(50)
    page.get_by_label("Search by the start").press_sequentially("dan", delay=20)
    page.wait_for_timeout(500)
    asked = desk.requests("GET", "manage/agents")
    # One request for three keys.
    assert [each.query for each in asked] == ["starts_with=&limit=50", "starts_with=dan&limit=50"]
    page.get_by_role("button", name="More").click()
    page.wait_for_timeout(200)
    assert desk.requests("GET", "manage/agents")[-1].query == "starts_with=dan&limit=50&cursor=more"


def open_agent(page: Page, desk: Desk, others: dict[str, Any] | None = None) -> None:
    known = {"GET manage/agents/agent-1": Scripted(AGENT, etag='"1"')}
    open_console(page, desk, "agents", others=known | (others or {}))
    page.get_by_role("button", name="Agent Example 1 agent-1").click()
    expect(page.get_by_role("heading", name="agent-1")).to_be_focused()


def test_an_entry_is_changed_over_the_version_that_was_read(page: Page, desk: Desk) -> None:
    open_agent(page, desk, others={"PUT manage/agents/agent-1": Scripted(AGENT, etag='"2"')})
    contacts = page.get_by_label("Emergency Call Notifications")
    expect(contacts).to_have_value("supervisor@example.com; guard@example.com")
    contacts.fill("supervisor@example.com")
    page.get_by_label("Communication Services identities").fill("8:acs:one_two\n\n8:acs:three_four\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    [saved] = desk.requests("PUT", "manage/agents/agent-1")
    assert saved.if_match == '"1"'
    assert saved.body["emergency_contacts"] == "supervisor@example.com"
    assert saved.body["acs_user_ids"] == ["8:acs:one_two", "8:acs:three_four"]
    assert saved.body["outbound_profile"] == {"name": "Voice", "work_item_limit": 1}
    assert saved.body["dynamics_user_id"] is None


def test_what_is_refused_is_told_at_its_field(page: Page, desk: Desk, said: list[str]) -> None:
    fault = {"title": "Bad Request", "detail": "is not an e-mail address", "field": "emergency_contacts[1]"}
    open_agent(page, desk, others={"PUT manage/agents/agent-1": Scripted(fault, status=400)})
    page.get_by_role("button", name="Save").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Emergency Call Notifications: 2: is not an e-mail address")
    field = page.get_by_label("Emergency Call Notifications")
    expect(field).to_have_attribute("aria-invalid", "true")
    told = "2: is not an e-mail address E-mail addresses, separated by semicolons"
    expect(field).to_have_accessible_description(told)
    summary.get_by_role("button").click()
    expect(field).to_be_focused()
    without_network_words(said)


def test_what_moved_meanwhile_is_shown_beside_ones_own(page: Page, desk: Desk, said: list[str]) -> None:
    open_agent(page, desk, others={"PUT manage/agents/agent-1": Scripted({}, status=412)})
    page.get_by_label("Name", exact=True).fill("Mine")
    desk.others["GET manage/agents/agent-1"] = Scripted({**AGENT, "name": "Theirs"}, etag='"2"')
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row").filter(has_text="Mine")
    expect(row).to_contain_text("Theirs")
    desk.others["PUT manage/agents/agent-1"] = Scripted(AGENT, etag='"3"')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert [each.if_match for each in desk.requests("PUT", "agents/agent-1")] == ['"1"', '"2"']
    without_network_words(said)


def test_a_supervisor_reads_and_changes_nothing(page: Page, desk: Desk) -> None:
    open_agent(page, desk, others={"GET me": SUPERVISOR})
    expect(page.get_by_text("You can read this, not change it.")).to_be_visible()
    for name in ("Save", "Remove", "New agent"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_an_import_shows_its_faults_and_runs_what_was_checked(page: Page, desk: Desk) -> None:
    checked = {"digest": "d1g3st", "rows": 2, "new": 1, "changed": 1, "unchanged": 0, "faults": [], "faults_total": 0}
    fault = {"line": 3, "column": "country", "reason": "is no country"}
    faulty = {**checked, "faults": [fault], "faults_total": 1}
    running = {"operation_id": "op-1", "state": "done", "done": 2, "rows": 2}
    answers = {"POST manage/agents/import": faulty, "GET manage/agents/import/op-1": running}
    open_console(page, desk, "agents", others=answers)
    csv = FilePayload(name="agents.csv", mimeType="text/csv", buffer=b"agent_id,country\nagent-1,US\nagent-2,XX\n")
    page.get_by_label("A CSV file to import").set_input_files(csv)
    expect(page.get_by_role("row").filter(has_text="is no country")).to_contain_text("country")
    desk.others["POST manage/agents/import"] = {**checked, "operation_id": "op-1"}
    page.get_by_label("A CSV file to import").set_input_files([])
    page.get_by_label("A CSV file to import").set_input_files(csv)
    page.get_by_role("button", name="Import 2 rows").click()
    expect(page.get_by_text("All 2 rows are in (2).")).to_be_visible()
    sent = desk.requests("POST", "manage/agents/import")
    assert [each.query for each in sent] == ["dry_run=1", "dry_run=1", "digest=d1g3st"]
    assert sent[0].body == sent[2].body == csv["buffer"].decode()


def test_a_site_is_made(page: Page, desk: Desk) -> None:
    open_console(page, desk, "sites", others={"PUT manage/sites/south": Scripted({}, etag='"1"')})
    page.get_by_role("button", name="New site").click()
    page.get_by_label("Site id").fill("south")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Name: is needed")
    page.get_by_label("Name", exact=True).fill("South building")
    page.get_by_label("Networks or desktops").fill("192.0.2.0/24\n198.51.100.0/24")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    [saved] = desk.requests("PUT", "manage/sites/south")
    assert saved.body["networks"] == ["192.0.2.0/24", "198.51.100.0/24"]


# Templates -----------------------------------------------------------------------------------------------------------


def test_the_preview_shows_styles_and_runs_nothing(page: Page, desk: Desk, said: list[str]) -> None:
    open_console(page, desk, "templates")
    shown = page.frame_locator("iframe").get_by_role("heading", name="EMERGENCY CALL")
    expect(shown).to_have_css("color", "rgb(1, 2, 3)")
    page.wait_for_timeout(200)
    frame = page.frames[1]
    assert frame.evaluate("() => [self.origin, document.body.textContent.includes('Dana Example')]") == ["null", True]
    # What the sandbox stopped is told by the browser, and by nobody else.
    assert all("Content Security Policy" in each for each in said)
    said.clear()


def test_lint_leads_to_its_line_and_what_is_not_good_is_not_saved(page: Page, desk: Desk, said: list[str]) -> None:
    lint = RENDERED["lint"]
    refused = Scripted({"title": "Unprocessable", "lint": lint}, status=422)
    harmless = {**RENDERED, "html": "<p>Dana Example</p>"}
    more = {"PUT manage/notification-template": refused, "POST manage/notification-template/preview": harmless}
    open_console(page, desk, "templates", others=more)
    page.get_by_role("button", name="Go to the line").click()
    text = page.get_by_label("Plain text", exact=True)
    expect(text).to_be_focused()
    assert text.evaluate("(it) => it.value.slice(it.selectionStart, it.selectionEnd)") == (
        "{{ agent }} dialled an emergency number."
    )
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Not saved: mend what is listed first.")).to_be_visible()
    text.press_sequentially("abc", delay=10)
    page.wait_for_timeout(700)
    assert len(desk.requests("POST", "notification-template/preview")) == 2
    without_network_words(said)


# The others ----------------------------------------------------------------------------------------------------------


def test_readiness_shows_problems_first_with_their_remedy(page: Page, desk: Desk) -> None:
    open_console(page, desk, "readiness")
    checks = page.get_by_role("list", name="Readiness").get_by_role("listitem")
    expect(checks).to_have_count(4)
    expect(checks.first).to_contain_text("Problem")
    expect(checks.first).to_contain_text("What to do: Add a voice route for 911, or buy a number.")


def test_numbers_are_shown_with_their_states(page: Page, desk: Desk) -> None:
    open_console(page, desk, "numbers")
    expect(page.get_by_role("row")).to_have_count(6)
    expect(page.get_by_role("row").filter(has_text="+14255550102")).to_contain_text("resting")


def test_a_drill_shows_its_steps_with_their_times(page: Page, desk: Desk) -> None:
    open_console(page, desk, "drills")
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_label("Recipients of the drill").fill("guard@example.com; other@example.com")
    page.get_by_role("button", name="Start the drill").click()
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    steps = page.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(steps).to_have_count(6)
    expect(steps.nth(1)).to_have_text("Do not disturb: passed (140 ms)")
    [started] = desk.requests("POST", "manage/drills")
    assert started.body == {"agent_id": "agent-1", "recipients": ["guard@example.com", "other@example.com"]}


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [("en", "light", 1280), ("es", "dark", 320), ("fr", "light", 320), ("it", "dark", 1280), ("en", "forced", 1280)],
)
def test_axe_finds_nothing_and_nothing_overflows(
    page: Page, desk: Desk, axe: Callable[[Page], list[str]], language: str, scheme: str, width: int
) -> None:
    page.emulate_media(
        color_scheme="dark" if scheme == "dark" else "light",
        forced_colors="active" if scheme == "forced" else "none",
    )
    page.set_viewport_size({"width": width, "height": 800})
    harmless = {**RENDERED, "html": "<p>Dana Example</p>"}
    for section in SECTIONS:
        open_console(
            page, desk, section, locale=language, others={"POST manage/notification-template/preview": harmless}
        )
        if section in {"agents", "sites"}:
            page.locator(".choice").nth(1 if section == "agents" else 0).click()
            expect(page.locator("form textarea").first).to_be_visible()
        page.wait_for_timeout(150)
        assert axe(page) == [], section
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, section
