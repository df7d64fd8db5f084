"""The console and what goes wrong: the table of faults, on answers that are made up; all else is on the real routes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from functions.pages import FOLDER
from shared.domain.notice_templates import LANGUAGES
from tests.browser import console_answers
from tests.browser.console_answers import AGENT, BOARD, DRILL, DRILL_STEPS, RENDERED, TEMPLATE
from tests.browser.desk import Desk, Scripted
from tests.browser.looks import without_network_words

SECTIONS = ("live", "agents", "sites", "templates", "readiness", "numbers", "drills")
SETTLE_MS = 8000
# How often a page looks where nothing stands, and a little more.
LOOK_MS = 16_000
DOUBLE_CLICK_MS = 650
# A preview of which the browser has nothing to say.
HARMLESS = {"POST manage/notification-template/preview": RENDERED | {"html": "<p>Dana Example</p>"}}
WORDS: dict[str, Any] = {
    language: json.loads((FOLDER / f"console.{language}.json").read_text("utf-8")) for language in LANGUAGES
}


def open_console(
    page: Page, desk: Desk, section: str = "live", *, locale: str = "en", others: dict[str, Any] | None = None
) -> None:
    desk.others = console_answers.answers() | (others or {})
    page.goto(f"{desk.address}/api/ui/console?locale={locale}#{section}")
    expect(page.get_by_role("heading", level=2)).to_have_text(WORDS[locale][section])


def press_twice(within: Page | Locator, name: str, sure: str) -> None:
    """Press a button that asks once more, and press again when that can be no double click any more."""
    within.get_by_role("button", name=name).click()
    again = within.get_by_role("button", name=sure)
    expect(again).to_be_focused()
    again.page.wait_for_timeout(DOUBLE_CLICK_MS)
    again.click()


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


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "You are not signed in."),
        (403, "Your role does not allow this."),
        (500, "The server cannot answer now."),
        (503, "The server cannot answer now."),
        (None, "The server does not answer."),
    ],
)
@pytest.mark.parametrize("section", SECTIONS)
def test_what_fails_is_said_in_its_section(
    page: Page, desk: Desk, said: list[str], section: str, status: int | None, words: str
) -> None:
    if status is None:
        page.route(re.compile("/api/manage/"), lambda route: route.abort())
    failing = {key: status or 500 for key in console_answers.answers() if "manage/" in key}
    open_console(page, desk, section, others=failing)
    expect(page.get_by_text(words).first).to_be_visible()
    without_network_words(said)


def test_the_board_stays_as_it_was_while_the_server_is_away_and_says_of_when_it_is(
    page: Page, desk: Desk, said: list[str]
) -> None:
    open_console(page, desk)
    card, counted = page.get_by_role("heading", name="Agent Example 1"), page.get_by_text("Emergencies now: 2")
    told = (page.get_by_text("Not known since"), page.get_by_text("The cards show how it was at"))
    expect(card).to_be_visible()
    desk.others["GET manage/emergencies"] = 503
    expect(page.get_by_text("The server cannot answer now.")).to_be_visible(timeout=SETTLE_MS)
    expect(card).to_be_visible()
    expect(counted).to_have_count(0)
    for each in told:
        expect(each).to_be_visible()
    # Nothing has changed since: a 304 says so of the count, too.
    page.route("**/api/manage/emergencies", lambda route: route.fulfill(status=304))
    expect(counted).to_be_visible(timeout=SETTLE_MS)
    for each in told:
        expect(each).to_have_count(0)
    without_network_words(said)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("section", "route", "quiet", "words"),
    [
        ("live", "GET manage/emergencies", [], "no_emergencies"),
        ("numbers", "GET manage/callback-numbers", {"numbers": []}, "no_numbers"),
    ],
)
def test_what_the_server_said_last_is_not_said_of_now(
    page: Page, desk: Desk, said: list[str], language: str, section: str, route: str, quiet: object, words: str
) -> None:
    page.clock.install()
    open_console(page, desk, section, locale=language, others={route: quiet})
    expect(page.get_by_text(WORDS[language][words])).to_be_visible()
    desk.others[route] = 503
    page.clock.run_for(LOOK_MS)
    expect(page.get_by_text(WORDS[language][words])).to_have_count(0)
    before, _, after = WORDS[language]["not_known_since"].partition("{at}")
    expect(page.get_by_role("status").filter(has_text=before)).to_have_text(
        re.compile(rf"{before}.*\d\d:\d\d.*{after}")
    )
    desk.others[route] = quiet
    page.clock.run_for(LOOK_MS)
    expect(page.get_by_text(WORDS[language][words])).to_be_visible()
    without_network_words(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_there_before_the_server_says_who_is_signed_in(page: Page, desk: Desk, language: str) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/me", hold)
    desk.others = console_answers.answers()
    page.goto(f"{desk.address}/api/ui/console?locale={language}#sites")
    expect(page.get_by_role("heading", level=1)).to_have_text(WORDS[language]["title"])
    expect(page.get_by_role("status")).to_have_text(WORDS[language]["identifying"])
    expect(page.get_by_role("link", name=WORDS[language]["drills"])).to_have_count(0)
    page.get_by_label(WORDS[language]["language"]).select_option("it")
    expect(page.get_by_role("status")).to_have_text(WORDS["it"]["identifying"])
    held[0].continue_()
    expect(page.get_by_role("heading", level=2)).to_have_text(WORDS["it"]["sites"])
    expect(page.get_by_text(WORDS["it"]["identifying"])).to_have_count(0)
    expect(page.get_by_label(WORDS["it"]["language"], exact=True)).to_be_focused()
    assert len(held) == 1


def test_a_supervisor_is_offered_no_section_that_is_closed_to_them(page: Page, desk: Desk) -> None:
    supervisor = console_answers.ADMIN | {"roles": ["EmergencyCalling.Supervisor"]}
    open_console(page, desk, others={"GET me": supervisor})
    links = page.get_by_role("navigation").get_by_role("link")
    assert links.all_inner_texts() == ["Live", "Agents", "Sites", "Readiness", "Numbers"]
    # By an address that was kept from before, too.
    page.evaluate("location.hash = 'drills'")
    expect(page.get_by_role("heading", level=2)).to_have_text("Live")
    assert desk.requests("GET", "manage/drills") == []


def test_a_board_that_is_not_all_says_so(page: Page, desk: Desk) -> None:
    cut = Scripted(BOARD, headers={"Cut-At": "5000"})
    open_console(page, desk, others={"GET manage/emergencies": cut})
    told = page.get_by_text("Not every emergency is shown: more than 5000 are kept.")
    expect(told).to_be_visible()
    desk.others["GET manage/emergencies"] = BOARD
    expect(told).to_have_count(0, timeout=SETTLE_MS)


def test_a_board_of_thousands_counts_all_and_says_how_many_have_cards(page: Page, desk: Desk) -> None:
    board = [console_answers.emergency(number) for number in range(501)]
    open_console(page, desk, others={"GET manage/emergencies": board})
    expect(page.get_by_text("Emergencies now: 501")).to_be_visible()
    expect(page.get_by_text("The cards show the newest 500 of 501.")).to_be_visible()
    expect(page.get_by_role("list", name="Live").locator("> li")).to_have_count(500)


def test_a_button_keeps_its_focus_when_the_emergency_above_it_ends(page: Page, desk: Desk) -> None:
    open_console(page, desk)
    cards = page.get_by_role("list", name="Live").locator("> li")
    button = cards.filter(has_text="Agent Example 2").get_by_role("button", name="End the hold")
    button.focus()
    desk.others["GET manage/emergencies"] = BOARD[1:]
    expect(cards).to_have_count(2, timeout=SETTLE_MS)
    expect(button).to_be_focused()


# Agents and sites ----------------------------------------------------------------------------------------------------


def open_agent(page: Page, desk: Desk, others: dict[str, Any] | None = None) -> None:
    known = {"GET manage/agents/agent-1": Scripted(AGENT, etag='"1"')}
    open_console(page, desk, "agents", others=known | (others or {}))
    page.get_by_role("button", name="Agent Example 1 agent-1").click()
    expect(page.get_by_role("heading", name="agent-1")).to_be_focused()


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


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "You are not signed in."),
        (403, "Your role does not allow this."),
        (503, "The server cannot answer now."),
    ],
)
def test_what_is_no_fields_fault_is_told_of_no_field(
    page: Page, desk: Desk, said: list[str], status: int, words: str
) -> None:
    refused = Scripted({"title": "refused", "detail": "in the server's own words"}, status=status)
    open_agent(page, desk, others={"PUT manage/agents/agent-1": refused})
    page.get_by_role("button", name="Save").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text(words)
    expect(summary).not_to_contain_text("Agent id")
    expect(page.locator("[aria-invalid]")).to_have_count(0)
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


def test_what_is_not_saved_yet_is_not_lost_by_a_click(page: Page, desk: Desk) -> None:
    saves = {"PUT manage/agents/agent-1": Scripted(AGENT, etag='"2"')}
    open_agent(page, desk, others=saves | HARMLESS)
    contacts = page.get_by_label("Emergency Call Notifications")
    contacts.fill("guard@example.com")
    for leave in (
        lambda: page.get_by_role("link", name="Sites").click(),
        lambda: page.get_by_role("button", name="Agent Example 2 agent-2").click(),
        lambda: page.get_by_label("Language", exact=True).first.select_option("it"),
    ):
        leave()
        expect(page.get_by_text("Not saved yet. Save first, or leave without saving.")).to_be_visible()
        expect(contacts).to_have_value("guard@example.com")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("Not saved yet.")).to_have_count(0)
    contacts.fill("other@example.com")
    page.get_by_role("link", name="Sites").click()
    page.get_by_role("button", name="Leave without saving").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Sites")
    page.get_by_role("link", name="Templates").click()
    text = page.get_by_label("Plain text", exact=True)
    expect(text).not_to_have_value("")
    text.fill("Mine.")
    kind = page.get_by_label("Kind")
    kind.select_option("closing")
    expect(page.get_by_text("Not saved yet.")).to_be_visible()
    expect(kind).to_have_value("call")
    page.get_by_role("button", name="Leave without saving").click()
    expect(kind).to_have_value("closing")
    expect(text).not_to_have_value("Mine.")


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


def test_what_somebody_else_saved_is_shown_before_it_is_discarded(page: Page, desk: Desk, said: list[str]) -> None:
    read, removed = "GET manage/notification-template", "DELETE manage/notification-template"
    known = {read: Scripted(TEMPLATE, etag='"1"'), removed: Scripted({}, status=412)}
    open_console(page, desk, "templates", others=known | HARMLESS)
    expect(page.get_by_label("Plain text", exact=True)).not_to_have_value("")
    desk.others[read] = Scripted({**TEMPLATE, "text": "Theirs."}, etag='"2"')
    for status in (412, 204):
        desk.others[removed] = Scripted({}, status=status) if status == 412 else status
        press_twice(page, "Back to the built-in one", "Press again: your text is lost")
        if status == 412:
            moved = page.get_by_role("alert").filter(has_text="Somebody changed it meanwhile.")
            expect(moved).to_contain_text("Theirs.")
    expect(page.get_by_text("The built-in template counts again.")).to_be_visible()
    assert [each.if_match for each in desk.requests("DELETE", "notification-template")] == ['"1"', '"2"']
    without_network_words(said)


# Drills ---------------------------------------------------------------------------------------------------------------


def test_that_there_never_was_a_drill_is_said(page: Page, desk: Desk) -> None:
    open_console(page, desk, "drills")
    expect(page.get_by_text("There never was a drill.")).to_be_visible()


def test_the_last_drill_is_there_without_one_being_begun(page: Page, desk: Desk) -> None:
    reason = "The e-mail service did not take it (quota)."
    failed = [step | {"state": "failed", "reason": reason} if step["step"] == "email" else step for step in DRILL_STEPS]
    open_console(page, desk, "drills", others={"GET manage/drills/last": DRILL | {"state": "failed", "steps": failed}})
    expect(page.get_by_text("The drill failed.")).to_be_visible()
    expect(page.get_by_text("Begun 11/26/26, 9:00:00")).to_be_visible()
    expect(page.get_by_role("list", name="Steps")).to_contain_text(f"E-mail: failed (310 ms): {reason}")


def test_a_drill_that_runs_is_followed_step_by_step(page: Page, desk: Desk) -> None:
    half = [step if step["step"] == "lease" else step | {"state": "waiting", "ms": None} for step in DRILL_STEPS]
    running = DRILL | {"state": "running", "steps": half}
    open_console(page, desk, "drills", others={"GET manage/drills/last": running, "GET manage/drills/drill-1": running})
    steps = page.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(steps.nth(0)).to_have_text("Number lent: passed (12 ms)")
    expect(steps.nth(5)).to_have_text("Number released: waiting")
    desk.others["GET manage/drills/drill-1"] = DRILL
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    expect(steps.nth(5)).to_have_text("Number released: passed (9 ms)")


def test_a_drill_is_not_said_to_run_while_that_cannot_be_known(page: Page, desk: Desk, said: list[str]) -> None:
    running = DRILL | {"state": "running"}
    open_console(page, desk, "drills", others={"GET manage/drills/last": running, "GET manage/drills/drill-1": running})
    runs, since = page.get_by_text("The drill is running."), page.get_by_text("Not known since")
    expect(runs).to_be_visible()
    desk.others["GET manage/drills/drill-1"] = 503
    expect(page.get_by_text("The server cannot answer now.")).to_be_visible()
    expect(runs).to_have_count(0)
    expect(since).to_be_visible()
    desk.others["GET manage/drills/drill-1"] = DRILL
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    for gone in (since, page.get_by_text("The server cannot answer now.")):
        expect(gone).to_have_count(0)
    without_network_words(said)


def test_no_verdict_of_the_drill_before_stands_while_another_one_begins(
    page: Page, desk: Desk, said: list[str]
) -> None:
    before = {"GET manage/drills/last": DRILL | {"state": "failed"}, "GET manage/drills/drill-1": 503}
    open_console(page, desk, "drills", others=before)
    expect(page.get_by_text("The drill failed.")).to_be_visible()
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_role("button", name="Start the drill").click()
    expect(page.get_by_text("The server cannot answer now.")).to_be_visible()
    expect(page.get_by_text("The drill failed.")).to_have_count(0)
    expect(page.get_by_role("list", name="Steps").get_by_role("listitem")).to_have_count(0)
    desk.others["GET manage/drills/drill-1"] = DRILL
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    without_network_words(said)


def test_that_the_drill_which_is_shown_is_another_ones_is_said_until_it_is_over(
    page: Page, desk: Desk, said: list[str]
) -> None:
    others = [step if step["step"] == "lease" else step | {"state": "waiting", "ms": None} for step in DRILL_STEPS]
    refused = Scripted({"title": "refused", "status": 409}, status=409)
    open_console(page, desk, "drills", others={"GET manage/drills/last": 204, "POST manage/drills": refused})
    expect(page.get_by_text("There never was a drill.")).to_be_visible()
    running = DRILL | {"state": "running", "steps": others}
    desk.others |= {"GET manage/drills/last": running, "GET manage/drills/drill-1": running}
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_role("button", name="Start the drill").click()
    shown = page.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(shown.nth(0)).to_have_text("Number lent: passed (12 ms)")
    expect(page.get_by_text("A drill is running already. Its steps are shown below.")).to_be_visible()
    desk.others["GET manage/drills/drill-1"] = DRILL
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    without_network_words(said)


@pytest.mark.parametrize(
    ("status", "words"),
    [(409, "A drill is running already. Its steps are shown below."), (404, "Nobody in the directory has this id.")],
)
def test_why_a_drill_cannot_begin_is_said(page: Page, desk: Desk, said: list[str], status: int, words: str) -> None:
    refused = Scripted({"title": "refused", "status": status}, status=status)
    open_console(page, desk, "drills", others={"POST manage/drills": refused})
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_role("button", name="Start the drill").click()
    expect(page.get_by_text(words)).to_be_visible()
    without_network_words(said)


# Readiness ------------------------------------------------------------------------------------------------------------


def desktop_check(reason: str) -> dict[str, Any]:
    return {"id": "desktop", "subject": "agent:anna", "state": "warning", "reason": reason, "remedy": None}


def test_checks_that_differ_in_their_reason_alone_are_all_shown_once_however_often_one_looks(
    page: Page, desk: Desk
) -> None:
    reasons = ["A desktop was last seen over 24 hours ago.", "A desktop has no confirmation."]
    anna = {"state": "warning", "at": None, "checks": [desktop_check(reason) for reason in reasons]}
    ben = {
        "state": "ok",
        "at": None,
        "checks": [{"id": "entry", "subject": "agent:ben", "state": "ok", "reason": "Fine."}],
    }
    known = {"GET manage/agents/anna/readiness": anna, "GET manage/agents/ben/readiness": ben}
    open_console(page, desk, "readiness", others=known)
    shown = page.get_by_role("list", name="Readiness").locator(".reason")
    for agent, expected in (("anna", reasons), ("anna", reasons), ("ben", ["Fine."])):
        page.get_by_label("Agent id; empty: the whole deployment").fill(agent)
        with page.expect_response(f"**/agents/{agent}/readiness"):
            page.get_by_role("button", name="Check").click()
        expect(shown).to_have_text(expected)
