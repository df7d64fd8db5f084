"""The console in use: with the keyboard alone, by ear, with an unsteady hand, and with names that are none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.functions import HttpRequest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from functions.languages import catalogue, spoken_answer
from functions.wire.directory_csv import CsvFault, CsvFile, checked_answer
from functions.wire.office import drill_answer
from shared.domain.drills import Drill, DrillState, DrillStep, StepName, StepState
from shared.domain.imports import ImportOutlook
from shared.domain.notice_templates import LANGUAGES, Fault
from shared.domain.readiness import readiness, warning
from shared.domain.words import Words, translated
from tests.browser import console_answers
from tests.browser.console_answers import ADMIN, AGENT, BOARD, TEMPLATE, emergency
from tests.browser.desk import Desk, Scripted
from tests.browser.looks import is_too_wide, put_on, without_network_words
from tests.browser.test_console import (
    DOUBLE_CLICK_MS,
    HARMLESS,
    SECTIONS,
    SETTLE_MS,
    WORDS,
    open_agent,
    open_console,
    press_twice,
)

FAULT = Scripted({"title": "Bad Request", "detail": "is no address", "field": "emergency_contacts[1]"}, status=400)
SAVED = Scripted(AGENT, etag='"2"')
SAVES = "PUT manage/agents/agent-1"
# The words of each change in a region that is read out.
HEARD = """() => {
  window.heard = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const element = target.closest ? target : target.parentElement;
      const region = element?.closest("[role=status], [role=alert], [aria-live]");
      if (region?.textContent) window.heard.push(region.textContent);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def heard(page: Page, words: str) -> int:
    count: int = page.evaluate("(words) => window.heard.filter((each) => each.includes(words)).length", words)
    return count


# By ear ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", SECTIONS)
def test_what_fails_is_read_out_once_and_not_at_each_look(
    page: Page, desk: Desk, said: list[str], section: str
) -> None:
    page.add_init_script("addEventListener('DOMContentLoaded', " + HEARD + ")")
    failing = {key: 503 for key in console_answers.answers() if "manage/" in key}
    open_console(page, desk, section, others=failing)
    words = "The server cannot answer now."
    expect(page.get_by_text(words)).to_be_visible()
    if section == "live":
        desk.others["GET manage/emergencies"] = BOARD
        expect(page.get_by_text("Emergencies now: 2")).to_be_visible(timeout=SETTLE_MS)
        desk.others["GET manage/emergencies"] = 503
        for _ in range(3):
            with page.expect_response("**/manage/emergencies"):
                pass
    page.wait_for_timeout(200)
    assert heard(page, words) == (2 if section == "live" else 1)
    without_network_words(said)


def test_an_arrival_is_announced_once_in_a_tab_and_sound_stays_allowed(page: Page, desk: Desk) -> None:
    open_console(page, desk, others=HARMLESS)
    expect(page.get_by_role("alert")).to_contain_text("EMERGENCY: Agent Example 1")
    page.get_by_role("button", name="Allow sound").click()
    expect(page.get_by_text("Sound is on")).to_be_visible()
    page.get_by_role("link", name="Numbers").click()
    desk.others["GET manage/emergencies"] = [emergency(4), *BOARD]
    page.get_by_role("link", name="Live").click()
    expect(page.get_by_role("alert")).to_have_text("EMERGENCY: Agent Example 4, North building.")
    expect(page.get_by_text("Sound is on")).to_be_visible()
    expect(page.get_by_role("button", name="Allow sound")).to_have_count(0)


# The page's sound is `window.sound`, and its tones are counted.
LISTEN = """window.tones = 0;
window.AudioContext = class extends AudioContext {
  constructor(...how) { super(...how); window.sound = this; }
};
window.OscillatorNode = class extends OscillatorNode {
  start(...at) { window.tones += 1; super.start(...at); }
};"""


def allow_sound(page: Page, desk: Desk) -> None:
    page.add_init_script(LISTEN)
    open_console(page, desk, others=HARMLESS | {"GET manage/emergencies": [emergency(1)]})
    # It arrives before there is any sound.
    expect(page.get_by_role("alert")).to_contain_text("Agent Example 1")
    page.get_by_role("button", name="Allow sound").click()
    expect(page.get_by_text("Sound is on")).to_be_visible()
    assert page.evaluate("() => window.tones") == 3


@pytest.mark.parametrize("away", [False, True])
def test_sound_that_the_browser_suspended_is_said_to_be_off(page: Page, desk: Desk, away: bool) -> None:
    allow_sound(page, desk)
    if away:
        page.get_by_role("link", name="Numbers").click()
        expect(page.get_by_role("heading", level=2)).to_have_text("Numbers")
        page.get_by_role("link", name="Live").click()
        expect(page.get_by_text("Sound is on")).to_be_visible()
    page.evaluate("() => window.sound.suspend()")
    expect(page.get_by_text("Sound is off")).to_be_visible()
    page.get_by_role("button", name="Allow sound").click()
    expect(page.get_by_text("Sound is on")).to_be_visible()
    assert page.evaluate("() => window.tones") == 6


def test_an_arrival_is_heard_where_the_browser_lets_suspended_sound_go_on(page: Page, desk: Desk) -> None:
    allow_sound(page, desk)
    page.evaluate("() => window.sound.suspend()")
    desk.others["GET manage/emergencies"] = [emergency(4), emergency(1)]
    page.wait_for_function("() => window.tones === 6")
    expect(page.get_by_text("Sound is on")).to_be_visible()


def test_sound_that_goes_on_long_after_an_arrival_tells_of_none(page: Page, desk: Desk) -> None:
    allow_sound(page, desk)
    page.evaluate(
        """async () => {
          await window.sound.suspend();
          window.sound.resume = () => (window.resumes = true, new Promise((resolve) => (window.goOn = resolve)));
        }"""
    )
    desk.others["GET manage/emergencies"] = [emergency(4), emergency(1)]
    page.wait_for_function("() => window.resumes")
    # A timer that is set after the page's own, and is as long, runs after it.
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 1000))")
    page.evaluate("async () => { delete window.sound.resume; await window.sound.resume(); window.goOn(); }")
    expect(page.get_by_text("Sound is on")).to_be_visible()
    assert page.evaluate("() => window.tones") == 3


def test_how_far_an_import_is_is_shown_and_not_read_out_each_second(page: Page, desk: Desk) -> None:
    checked = {"rows": 9, "new": 9, "changed": 0, "unchanged": 0, "faults": [], "faults_total": 0, "digest": "d"}
    imported = "GET manage/agents/import/1"
    known = {"POST manage/agents/import": checked | {"operation_id": "1"}}
    running = {imported: {"state": "running", "done": 1, "rows": 9}}
    open_console(page, desk, "agents", others=known | running)
    file: Any = {"name": "agents.csv", "mimeType": "text/csv", "buffer": b"agent_id\r\n1\r\n"}
    page.get_by_label("A CSV file to import").set_input_files(file)
    page.evaluate(HEARD)
    page.get_by_role("button", name="Import 9 rows").click()
    for done in (2, 3):
        desk.others[imported] = {"state": "running", "done": done, "rows": 9}
        expect(page.get_by_text(f"{done} of 9 rows are in.")).to_be_visible()
    desk.others[imported] = {"state": "done", "done": 9, "rows": 9}
    expect(page.get_by_text("All 9 rows are in (9).")).to_be_visible()
    assert heard(page, "of 9 rows are in.") == 0
    assert heard(page, "The import begins") == heard(page, "All 9 rows are in") == 1


def test_a_board_that_is_seen_again_looks_at_once(page: Page, desk: Desk) -> None:
    open_console(page, desk, others={"GET manage/emergencies": []})
    expect(page.get_by_text("No emergency").first).to_be_visible()
    desk.others["GET manage/emergencies"] = BOARD
    # Long before its next look by itself.
    page.evaluate("() => { document.dispatchEvent(new Event('visibilitychange')); }")
    expect(page.get_by_text("Emergencies now: 2")).to_be_visible(timeout=5_000)


def test_a_drill_and_a_test_are_not_counted_as_emergencies(page: Page, desk: Desk) -> None:
    open_console(page, desk, others={"GET manage/emergencies": [emergency(1, drill=True), emergency(2, test=True)]})
    count = page.get_by_role("status").filter(has_text="drills")
    expect(count).to_have_text("No emergency now. · Tests and drills: 2")
    desk.others["GET manage/emergencies"] = [emergency(1, drill=True), emergency(3)]
    expect(count).to_have_text("Emergencies now: 1 · Tests and drills: 1", timeout=SETTLE_MS)


def test_the_alarm_tells_of_nobody_whose_emergency_is_over(page: Page, desk: Desk) -> None:
    open_console(page, desk, others={"GET manage/emergencies": [emergency(1)]})
    alarm = page.get_by_role("alert")
    expect(alarm).to_contain_text("Agent Example 1")
    desk.others["GET manage/emergencies"] = [emergency(2), emergency(1)]
    expect(alarm).to_have_text("EMERGENCY: Agent Example 2, North building.", timeout=SETTLE_MS)
    desk.others["GET manage/emergencies"] = [emergency(1)]
    expect(alarm).to_be_empty(timeout=SETTLE_MS)
    expect(page.get_by_role("heading", name="Agent Example 1")).to_be_visible()


HELD: dict[str, Any] = {"mode": "normal", "hold_until": "2026-11-26T02:20:00Z"}
TEST: dict[str, Any] = {"test": True}
DRILL: dict[str, Any] = {"drill": True, "mode": "normal"}
GONE = None


def standing(page: Page, desk: Desk, fields: dict[str, Any] | None) -> None:
    """The board shows the emergency of agent 1 with these fields, or not at all, and that of agent 2."""
    rows = [] if fields is None else [emergency(1, **fields)]
    desk.others["GET manage/emergencies"] = [*rows, emergency(2)]
    card = page.get_by_role("list", name="Live").get_by_role("listitem").filter(has_text="Agent Example 1")
    if fields is None:
        return expect(card).to_have_count(0, timeout=SETTLE_MS)
    drill, mode = fields.get("drill"), fields.get("mode", "emergency")
    expect(card).to_contain_text(WORDS["en"]["mode_drill" if drill else f"mode_{mode}"], timeout=SETTLE_MS)
    return expect(card.locator(".tag")).to_have_text("DRILL" if drill else "TEST" if fields.get("test") else "")


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([TEST, {}], "EMERGENCY"),
        ([TEST | HELD, {}], "EMERGENCY"),
        ([DRILL, {}], "EMERGENCY"),
        ([{}, GONE, {}], "EMERGENCY"),
        ([{}, HELD, {}], "EMERGENCY"),
        ([{}, HELD, {"mode": "ringing"}], "EMERGENCY"),
        ([HELD, TEST], "TEST"),
    ],
)
def test_what_stands_anew_under_the_same_lease_is_announced_anew(
    page: Page, desk: Desk, stages: list[dict[str, Any] | None], told: str
) -> None:
    open_console(page, desk, others={"GET manage/emergencies": [emergency(9)]})
    for stage in stages[:-1]:
        standing(page, desk, stage)
    page.evaluate(HEARD)
    standing(page, desk, stages[-1])
    expect(page.get_by_role("alert")).to_have_text(f"{told}: Agent Example 1, North building.")
    assert heard(page, "Agent Example 1") == 1


@pytest.mark.parametrize(
    ("first", "then"), [({}, HELD), (TEST, TEST | HELD), ({}, {"mode": "ringing"}), (TEST, HELD), (TEST, GONE)]
)
def test_what_only_becomes_held_or_rings_is_not_announced_again(
    page: Page, desk: Desk, first: dict[str, Any], then: dict[str, Any] | None
) -> None:
    open_console(page, desk, others={"GET manage/emergencies": [emergency(1, **first), emergency(2)]})
    alarm = page.get_by_role("alert")
    kind = "TEST" if first else "EMERGENCY"
    others = "EMERGENCY: Agent Example 2, North building."
    expect(alarm).to_have_text(f"{kind}: Agent Example 1, North building. {others}")
    standing(page, desk, then)
    # What the alarm says of a test that is none any more, or is over, goes; the rest stays.
    still = then is not GONE and bool(then.get("test")) == bool(first)
    expect(alarm).to_have_text(f"{kind}: Agent Example 1, North building. {others}" if still else others)


# With the keyboard ----------------------------------------------------------------------------------------------------


def press_twice_by_key(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(DOUBLE_CLICK_MS)
    page.keyboard.press("Enter")


def test_the_focus_is_not_lost_with_the_emergency_whose_hold_was_ended(page: Page, desk: Desk) -> None:
    open_console(page, desk)
    desk.others["POST agents/agent-2/release"] = {}
    button = page.get_by_role("button", name="End the hold")
    expect(button).to_be_visible()
    desk.others["GET manage/emergencies"] = [BOARD[0]]
    press_twice_by_key(page, "End the hold")
    expect(page.get_by_text("Emergencies now: 1")).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_be_focused()


def test_who_chooses_a_language_stays_at_the_choice(page: Page, desk: Desk) -> None:
    open_console(page, desk)
    page.get_by_label("Language", exact=True).focus()
    page.get_by_label("Language", exact=True).select_option("it")
    expect(page.get_by_label(WORDS["it"]["language"], exact=True)).to_be_focused()


def test_the_focus_is_not_lost_with_an_agent_who_is_removed(page: Page, desk: Desk) -> None:
    open_agent(page, desk, others={"DELETE manage/agents/agent-1": 204})
    press_twice_by_key(page, "Remove")
    expect(page.get_by_text("Removed.")).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_be_focused()


def test_the_focus_is_not_lost_with_what_somebody_else_saved(page: Page, desk: Desk, said: list[str]) -> None:
    open_agent(page, desk, others={SAVES: Scripted({}, status=412)})
    page.get_by_label("Name", exact=True).fill("Mine")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Take what is on the server").press("Enter")
    expect(page.get_by_role("heading", name="agent-1")).to_be_focused()
    without_network_words(said)


def test_the_focus_goes_on_to_the_first_of_the_last_page(page: Page, desk: Desk) -> None:
    open_console(page, desk, "agents")
    more = page.get_by_role("button", name="More")
    expect(more).to_be_visible()
    last = {"agent_id": "z", "name": "Zoe Example", "country": "US", "site": None, "contacts": 1}
    desk.others["GET manage/agents"] = {"agents": [last], "cursor": None}
    more.press("Enter")
    expect(page.get_by_role("button", name="Zoe Example")).to_be_focused()


def test_the_focus_goes_back_to_the_choice_of_a_template(page: Page, desk: Desk) -> None:
    open_console(page, desk, "templates", others=HARMLESS)
    text = page.get_by_label("Plain text", exact=True)
    expect(text).to_have_value(TEMPLATE["text"])
    text.fill("Mine.")
    page.get_by_label("Kind").select_option("closing")
    page.get_by_role("button", name="Leave without saving").press("Enter")
    expect(page.get_by_label("Kind")).to_be_focused()


def test_an_entry_that_cannot_be_read_is_announced_where_the_focus_goes(
    page: Page, desk: Desk, said: list[str]
) -> None:
    open_console(page, desk, "agents", others={"GET manage/agents/agent-1": 503})
    page.get_by_role("button", name="Agent Example 1 agent-1").click()
    expect(page.get_by_role("heading", name="agent-1")).to_be_focused()
    expect(page.get_by_role("alert")).to_have_text("The server cannot answer now. Try again in a moment.")
    without_network_words(said)


# With an unsteady hand ------------------------------------------------------------------------------------------------


def double_click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).dblclick()


def click_twice_around(page: Page, name: str, answered: str) -> None:
    """A double click whose first one is answered before the second comes, as from a fast server."""
    button = page.get_by_role("button", name=name)
    button.click()
    expect(page.get_by_text(answered)).to_be_visible()
    button.hover()
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_timeout(DOUBLE_CLICK_MS)


def hold_down(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).focus()
    for _ in range(20):
        page.keyboard.down("Enter")
    page.wait_for_timeout(DOUBLE_CLICK_MS)
    page.keyboard.down("Enter")
    page.keyboard.up("Enter")


@pytest.mark.parametrize("press", [double_click, hold_down])
def test_neither_a_double_click_nor_a_key_held_down_is_a_second_thought(
    page: Page, desk: Desk, press: Callable[[Page, str], None]
) -> None:
    open_console(page, desk)
    press(page, "End the hold")
    expect(page.get_by_role("button", name="Press again to end the hold")).to_be_visible()
    assert desk.requests("POST", "/release") == []


def test_who_takes_long_to_press_again_is_waited_for(page: Page, desk: Desk) -> None:
    page.clock.install()
    open_console(page, desk)
    page.get_by_role("button", name="End the hold").click()
    page.clock.run_for(60_000)
    with page.expect_response("**/release*"):
        page.get_by_role("button", name="Press again to end the hold").click()
    assert len(desk.requests("POST", "/release")) == 1


def test_a_double_click_saves_an_entry_once(page: Page, desk: Desk) -> None:
    open_agent(page, desk, others={SAVES: SAVED})
    click_twice_around(page, "Save", "Saved.")
    assert len(desk.requests("PUT", "agents/agent-1")) == 1


def test_a_double_click_saves_a_template_once(page: Page, desk: Desk) -> None:
    open_console(page, desk, "templates", others=HARMLESS)
    expect(page.get_by_label("Plain text", exact=True)).to_have_value(TEMPLATE["text"])
    click_twice_around(page, "Save", "Saved.")
    assert len(desk.requests("PUT", "notification-template")) == 1


def test_a_double_click_begins_a_drill_once(page: Page, desk: Desk) -> None:
    open_console(page, desk, "drills")
    page.get_by_label("Agent id").fill("agent-1")
    click_twice_around(page, "Start the drill", "The drill passed.")
    assert len(desk.requests("POST", "manage/drills")) == 1


def test_a_key_that_is_held_down_begins_a_drill_once(page: Page, desk: Desk) -> None:
    open_console(page, desk, "drills")
    page.get_by_label("Agent id").fill("agent-1")
    page.keyboard.down("Enter")
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    for _ in range(3):
        page.keyboard.down("Enter")
        page.wait_for_timeout(DOUBLE_CLICK_MS)
    page.keyboard.up("Enter")
    assert len(desk.requests("POST", "manage/drills")) == 1


def test_a_double_click_that_is_faster_than_its_answer_begins_a_drill_once(page: Page, desk: Desk) -> None:
    open_console(page, desk, "drills")
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_role("button", name="Start the drill").dblclick()
    expect(page.get_by_text("The drill passed.")).to_be_visible()
    assert len(desk.requests("POST", "manage/drills")) == 1


# What stands there is true --------------------------------------------------------------------------------------------


def test_what_was_mended_is_no_longer_said_to_be_wrong(page: Page, desk: Desk, said: list[str]) -> None:
    open_agent(page, desk, others={SAVES: FAULT})
    contacts = page.get_by_label("Emergency Call Notifications")
    page.get_by_role("button", name="Save").click()
    expect(contacts).to_have_attribute("aria-invalid", "true")
    desk.others[SAVES] = SAVED
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(contacts).not_to_have_attribute("aria-invalid", "true")
    expect(contacts).to_have_accessible_description("E-mail addresses, separated by semicolons")
    expect(page.get_by_text("is no address").filter(visible=True)).to_have_count(0)
    without_network_words(said)


def test_saved_is_not_said_of_what_is_not(page: Page, desk: Desk, said: list[str]) -> None:
    open_agent(page, desk, others={SAVES: SAVED})
    saved, save = page.get_by_text("Saved."), page.get_by_role("button", name="Save")
    save.click()
    expect(saved).to_be_visible()
    page.get_by_label("Name", exact=True).press_sequentially("x")
    expect(saved).to_have_count(0)
    save.click()
    expect(saved).to_be_visible()
    desk.others[SAVES] = FAULT
    save.click()
    expect(page.get_by_role("alert")).to_contain_text("is no address")
    expect(saved).to_have_count(0)
    without_network_words(said)


def test_an_id_that_is_taken_is_not_said_to_have_been_changed(page: Page, desk: Desk, said: list[str]) -> None:
    known = {SAVES: Scripted({}, status=412), "GET manage/agents/agent-1": Scripted(AGENT, etag='"1"')}
    open_console(page, desk, "agents", others=known)
    page.get_by_role("button", name="New agent").click()
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("One with this id is there already: Save would replace it.")
    expect(alert).to_contain_text("Dana Example")
    without_network_words(said)


@pytest.mark.parametrize(("presses", "method"), [(("Save",), "PUT"), (("Remove", "Press again to remove"), "DELETE")])
def test_what_is_no_answer_of_the_server_saves_and_removes_nothing(
    page: Page, desk: Desk, presses: tuple[str, ...], method: str
) -> None:
    open_agent(page, desk)
    page_of_a_proxy = {"body": "<h1>Sign in</h1>", "content_type": "text/html"}
    page.route(
        "**/api/manage/agents/agent-1",
        lambda route: route.fulfill(**page_of_a_proxy) if route.request.method == method else route.continue_(),
    )
    for name in presses:
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_timeout(DOUBLE_CLICK_MS)
    expect(page.get_by_text("The server does not answer.").first).to_be_visible()
    for words in ("Saved.", "Removed."):
        expect(page.get_by_text(words, exact=True)).to_have_count(0)


def test_an_entry_that_was_made_keeps_its_id(page: Page, desk: Desk) -> None:
    open_console(page, desk, "agents", others={SAVES: SAVED})
    page.get_by_role("button", name="New agent").click()
    page.get_by_label("Agent id").fill("agent-1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("Agent id")).to_have_attribute("readonly", "")


def test_what_somebody_changed_is_shown_before_it_is_removed(page: Page, desk: Desk, said: list[str]) -> None:
    removes = "DELETE manage/agents/agent-1"
    open_agent(page, desk, others={removes: Scripted({}, status=412)})
    desk.others[READS] = Scripted({**AGENT, "name": "Theirs"}, etag='"2"')
    remove(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Somebody changed it meanwhile.")
    expect(alert.get_by_role("row").filter(has_text="Theirs")).to_be_visible()
    desk.others[removes] = 204
    remove(page)
    expect(page.get_by_text("Removed.")).to_be_visible()
    assert [each.if_match for each in desk.requests("DELETE", "agents/agent-1")] == ['"1"', '"2"']
    without_network_words(said)


LIMIT = "outbound_profile.work_item_limit"


@pytest.mark.parametrize(("typed", "sent"), [("1e", "1e"), ("-1", -1), ("1.5", 1.5), ("two", "two")])
def test_what_is_no_number_is_sent_as_it_is_and_told_at_its_field(
    page: Page, desk: Desk, said: list[str], typed: str, sent: object
) -> None:
    fault = {"title": "Bad Request", "detail": "is no whole number", "field": LIMIT}
    open_agent(page, desk, others={SAVES: Scripted(fault, status=400)})
    limit = page.get_by_label("Work item limit")
    limit.fill("")
    limit.press_sequentially(typed)
    save(page)
    expect(limit).to_have_attribute("aria-invalid", "true")
    expect(limit).to_have_value(typed)
    [request] = desk.requests("PUT", "agents/agent-1")
    assert request.body["outbound_profile"]["work_item_limit"] == sent
    without_network_words(said)


@pytest.mark.parametrize(("typed", "sent"), [("2", 2), (" 3 ", 3), ("", None)])
def test_a_number_is_saved_as_one_and_nothing_as_none(page: Page, desk: Desk, typed: str, sent: int | None) -> None:
    open_agent(page, desk, others={SAVES: SAVED})
    page.get_by_label("Work item limit").fill(typed)
    save(page)
    expect(page.get_by_text("Saved.")).to_be_visible()
    [request] = desk.requests("PUT", "agents/agent-1")
    assert request.body["outbound_profile"].get("work_item_limit") == sent


def test_what_somebody_removed_meanwhile_can_be_saved_anew(page: Page, desk: Desk, said: list[str]) -> None:
    open_agent(page, desk, others={SAVES: Scripted({}, status=412)})
    desk.others["GET manage/agents/agent-1"] = Scripted({"title": "Not Found"}, status=404)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody removed it meanwhile. Save makes it anew.")
    desk.others[SAVES] = SAVED
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert [each.if_match for each in desk.requests("PUT", "agents/agent-1")] == ['"1"', None]
    without_network_words(said)


@pytest.mark.parametrize(("body", "kind"), [("<h1>Sign in</h1>", "text/html"), ("{}", "application/json")])
def test_what_is_no_board_does_not_say_that_there_is_no_emergency(page: Page, desk: Desk, body: str, kind: str) -> None:
    open_console(page, desk)
    expect(page.get_by_text("Emergencies now: 2")).to_be_visible()
    page.route("**/api/manage/emergencies", lambda route: route.fulfill(body=body, content_type=kind))
    expect(page.get_by_text("The server does not answer.")).to_be_visible(timeout=SETTLE_MS)
    expect(page.get_by_role("heading", name="Agent Example 1")).to_be_visible()
    expect(page.get_by_text("No emergency now.")).to_have_count(0)


def test_the_checks_of_the_deployment_do_not_stand_below_an_agent_whom_nobody_knows(
    page: Page, desk: Desk, said: list[str]
) -> None:
    nobody = {"GET manage/agents/nobody/readiness": Scripted({"title": "Not Found"}, status=404)}
    open_console(page, desk, "readiness", others=nobody)
    expect(page.get_by_text("A verified domain.")).to_be_visible()
    page.get_by_label("Agent id").fill("nobody")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("It does not exist.")).to_be_visible()
    expect(page.get_by_text("A verified domain.")).to_have_count(0)
    without_network_words(said)


def test_who_is_signed_out_in_the_middle_finds_the_way_back(page: Page, desk: Desk, said: list[str]) -> None:
    open_console(page, desk)
    expect(page.get_by_text("Emergencies now: 2")).to_be_visible()
    desk.others["GET manage/emergencies"] = 401
    way = page.get_by_role("link", name="Sign in, in a new tab")
    expect(way).to_be_visible(timeout=SETTLE_MS)
    assert way.get_attribute("target") == "_blank"
    assert "/.auth/login/" in (way.get_attribute("href") or "")
    desk.others["GET manage/emergencies"] = BOARD
    expect(way).to_have_count(0, timeout=SETTLE_MS)
    without_network_words(said)


WAY = "Sign in, in a new tab"
SIGNED_OUT = Scripted({"title": "Unauthorized", "detail": "No sign-in."}, status=401)
CSV: Any = {"name": "agents.csv", "mimeType": "text/csv", "buffer": b"agent_id\r\n1\r\n"}
READS = "GET manage/agents/agent-1"


def an_agents_name(page: Page, desk: Desk) -> Locator:
    open_agent(page, desk)
    return page.get_by_label("Name", exact=True)


def a_templates_text(page: Page, desk: Desk) -> Locator:
    open_console(page, desk, "templates", others=HARMLESS)
    text = page.get_by_label("Plain text", exact=True)
    expect(text).to_have_value(TEMPLATE["text"])
    return text


def a_drills_agent(page: Page, desk: Desk) -> Locator:
    open_console(page, desk, "drills")
    expect(page.get_by_text("There never was a drill.")).to_be_visible()
    return page.get_by_label("Agent id")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def remove(page: Page) -> None:
    press_twice(page, "Remove", "Press again to remove")


def give_back(page: Page) -> None:
    press_twice(page, "Back to the built-in one", "Press again: your text is lost")


def start_the_drill(page: Page) -> None:
    page.get_by_role("button", name="Start the drill").click()


@pytest.mark.parametrize(
    ("field", "press", "refused"),
    [
        (an_agents_name, save, {SAVES: SIGNED_OUT}),
        (an_agents_name, remove, {"DELETE manage/agents/agent-1": SIGNED_OUT}),
        # What somebody else made of it cannot be read.
        (an_agents_name, save, {SAVES: Scripted({}, status=412), READS: SIGNED_OUT}),
        (a_templates_text, save, {"PUT manage/notification-template": SIGNED_OUT}),
        (a_templates_text, give_back, {"DELETE manage/notification-template": SIGNED_OUT}),
        (a_templates_text, lambda _: None, {"POST manage/notification-template/preview": SIGNED_OUT}),
        (a_drills_agent, start_the_drill, {"POST manage/drills": SIGNED_OUT}),
    ],
)
def test_who_is_signed_out_while_they_type_finds_the_way_back_and_what_they_typed(
    page: Page,
    desk: Desk,
    said: list[str],
    field: Callable[[Page, Desk], Locator],
    press: Callable[[Page], None],
    refused: dict[str, Any],
) -> None:
    typed = field(page, desk)
    typed.fill("Mine")
    desk.others |= refused
    press(page)
    way = page.get_by_role("link", name=WAY)
    expect(way).to_have_count(1)
    assert way.get_attribute("target") == "_blank"
    expect(page.get_by_text("You are not signed in.")).to_be_visible()
    expect(typed).to_have_value("Mine")
    without_network_words(said)


def test_who_is_signed_out_before_a_file_or_an_entry_finds_the_way_back(
    page: Page, desk: Desk, said: list[str], axe: Callable[[Page], list[str]]
) -> None:
    refused = {"POST manage/agents/import": SIGNED_OUT, READS: SIGNED_OUT, "GET manage/agents/export": SIGNED_OUT}
    open_console(page, desk, "agents", others=refused)
    card = page.get_by_role("region", name="Import and export")
    way = card.get_by_role("link", name=WAY)
    page.locator("#import-file").set_input_files(CSV)
    expect(way).to_be_visible()
    page.get_by_role("button", name="Agent Example 1 agent-1").click()
    expect(page.get_by_role("alert").get_by_role("link", name=WAY)).to_be_visible()
    for scheme in ("light", "dark"):
        put_on(page, scheme, 1280)
        assert axe(page) == [], scheme
    without_network_words(said)


# Names and places -----------------------------------------------------------------------------------------------------


def test_a_name_that_turns_the_line_turns_no_mark_of_ours(page: Page, desk: Desk) -> None:
    name = "Eve \u202e\u2067<b>Example</b>\u2069\U0001f525"
    open_console(page, desk, others={"GET manage/emergencies": [emergency(1, name=name, site=name, test=True)]})
    plain = "Eve <b>Example</b>\U0001f525"
    expect(page.get_by_role("alert")).to_have_text(f"TEST: {plain}, {plain}.")
    expect(page.get_by_role("heading", level=3)).to_have_text(f"{plain} TEST")


@pytest.mark.parametrize("width", [320, 1280])
def test_a_name_of_any_length_keeps_within_the_page(page: Page, desk: Desk, width: int) -> None:
    long = "N" * 200
    listed = {"agent_id": long, "name": long, "country": "US", "site": long, "contacts": 1}
    known = {
        "GET me": {**ADMIN, "name": long},
        "GET manage/emergencies": [emergency(1, name=long, site=long, agent_id=long)],
        "GET manage/agents": {"agents": [listed], "cursor": None},
        f"GET manage/agents/{long}": {**AGENT, "agent_id": long},
    }
    page.set_viewport_size({"width": width, "height": 800})
    open_console(page, desk, others=known)
    heading = page.get_by_role("heading", level=3)
    expect(heading).to_be_visible()
    assert not heading.evaluate("(it) => it.scrollWidth > it.clientWidth") and not is_too_wide(page)
    page.get_by_role("link", name="Agents").click()
    page.locator(".choice").click()
    expect(heading.first).to_be_visible()
    assert not is_too_wide(page)


def test_dates_are_written_as_where_the_reader_is(browser: Browser, desk: Desk) -> None:
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    open_console(page, desk, others={"GET manage/emergencies": [emergency(1, since="2026-11-03T02:00:00Z")]})
    expect(page.get_by_text("03/11/2026, 02:00:00")).to_be_visible()
    context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_names_no_language_is_marked_as_english_in_every_language(page: Page, desk: Desk, language: str) -> None:
    open_console(page, desk, "readiness", locale=language)
    for words in ("3 of 20 are free.", "Add 10."):
        told = page.get_by_text(words)
        expect(told).to_be_visible()
        assert told.evaluate("(it) => it.closest('[lang]').lang") == "en"
    expect(page.get_by_text(WORDS[language]["remedy"].format(remedy="Add 10."))).to_be_visible()
    desk.others |= HARMLESS
    page.goto(f"{desk.address}/api/ui/console?locale={language}#templates")
    page.reload()
    told = page.get_by_text("The callback number is missing.")
    assert told.evaluate("(it) => it.closest('[lang]').lang") == "en"
    expect(page.get_by_text(f"{WORDS[language]['line']} 2: The callback number is missing.")).to_be_visible()


def spoken_by_the_server(page: Page, path: str, document: object) -> list[str]:
    """Answers to `path` as the server makes them of the request's headers; gives the languages that were asked for."""
    asked: list[str] = []

    def fulfil(route: Route) -> None:
        request, accepted = route.request, route.request.header_value("accept-language") or ""
        asked.append(accepted)
        answer = spoken_answer(HttpRequest(request.method, request.url, headers=request.headers, body=b""), document)
        route.fulfill(status=200, headers=dict(answer.headers), content_type=answer.mimetype, body=answer.get_body())

    page.route(path, fulfil)
    return asked


def test_the_checks_of_readiness_are_in_the_chosen_language_and_marked_so(page: Page, desk: Desk) -> None:
    check = warning("store", Words("Table storage took {ms} ms.", ms=900), "Look at its latency and throttling.", None)
    told = readiness([check], datetime(2026, 11, 26, tzinfo=UTC))
    asked = spoken_by_the_server(page, "**/manage/readiness", told)
    # The browser itself prefers English: what counts is the choice on the page.
    open_console(page, desk, "readiness", locale="fr")
    for language, chosen in (("fr", None), ("es", "es"), ("it", "it"), ("en", "en")):
        if chosen is not None:
            page.locator("#language").select_option(chosen)
        for words in (check.reason, check.remedy):
            assert words is not None
            shown = page.get_by_text(translated(words, catalogue(language)))
            expect(shown).to_be_visible()
            assert shown.evaluate("(it) => it.closest('[lang]').lang") == language
        assert asked[-1] == language


@pytest.mark.parametrize(("language", "told"), [("fr", "manque"), ("it", "manca"), ("en", "is missing")])
def test_faults_of_a_template_are_marked_as_what_they_are_in(page: Page, desk: Desk, language: str, told: str) -> None:
    faults = [Fault(code="missing", part="text", line=2, message=Words("is missing"))]
    rendered = {**HARMLESS["POST manage/notification-template/preview"], "lint": faults}
    spoken_by_the_server(page, "**/notification-template/preview*", rendered)
    open_console(page, desk, "templates", locale=language)
    shown = page.get_by_text(told, exact=True)
    expect(shown).to_be_visible()
    assert shown.get_attribute("lang") == language


@pytest.mark.parametrize(("language", "told"), [("it", "Nulla era trattenuto."), ("en", "Nothing was held.")])
def test_what_a_drill_says_of_a_step_is_marked_as_what_it_is_in(
    page: Page, desk: Desk, language: str, told: str
) -> None:
    step = DrillStep(step=StepName.RESTORE, state=StepState.SKIPPED, ms=1, reason="Nothing was held.")
    drill = Drill(drill_id="last", at=datetime(2026, 11, 26, tzinfo=UTC), state=DrillState.PASSED, steps=(step,))
    spoken_by_the_server(page, "**/manage/drills/last", drill_answer(drill))
    open_console(page, desk, "drills", locale=language)
    shown = page.get_by_text(told, exact=True)
    expect(shown).to_be_visible()
    assert shown.get_attribute("lang") == language


@pytest.mark.parametrize(("language", "told"), [("fr", "manque"), ("en", "is missing")])
def test_faults_of_a_file_are_marked_as_what_they_are_in(page: Page, desk: Desk, language: str, told: str) -> None:
    fault = CsvFault(3, "agent_id", Words("is missing"))
    file = CsvFile(faults=(fault,))
    checked = checked_answer("0" * 64, file, ImportOutlook(new=0, changed=0, unchanged=0))
    spoken_by_the_server(page, "**/agents/import?dry_run=1", checked)
    open_console(page, desk, "agents", locale=language)
    page.locator("#import-file").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": b"name\n"})
    shown = page.get_by_role("cell", name=told)
    expect(shown).to_be_visible()
    assert shown.get_attribute("lang") == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_check_is_about_stands_in_every_language_with_its_id(page: Page, desk: Desk, language: str) -> None:
    open_console(page, desk, "readiness", locale=language)
    pool = page.locator(".check").filter(has_text="3 of 20 are free.")
    words = WORDS[language]
    title = f"{words['check_pool']} · {words['subject_deployment']} pool"
    expect(pool.locator("p").first).to_contain_text(title)
