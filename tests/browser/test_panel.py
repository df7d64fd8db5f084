"""The panel in every state: what it offers, what it says, where things stand, and what assistive technology finds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from playwright.sync_api import BrowserContext, Locator, Page, expect

from functions.pages import FOLDER
from shared.domain.notice_templates import LANGUAGES
from tests.browser.conftest import PATIENCE_MS
from tests.browser.desk import LENT, SAY, Desk, after_drop, after_drop_abroad, in_emergency, panel, ringing
from tests.browser.looks import EVERY_LOOK, is_too_wide, put_on, without_network_words

WORDS: dict[str, Any] = {
    language: json.loads((FOLDER / f"messages.{language}.json").read_text("utf-8")) for language in LANGUAGES
}
USUAL = ["Answer", "Decline", "Dial", "Keypad", "Mute", "Hold", "Transfer", "Conference"]
FORM = ["Save", "Refresh"]
DEVICES_AND_END = ["Device settings", "End call"]
STATES: dict[str, tuple[dict[str, Any], list[str], str | None]] = {
    "normal": (panel(), [*USUAL, *FORM, *DEVICES_AND_END], None),
    "emergency": (in_emergency(), DEVICES_AND_END, "An emergency call is in progress."),
    "test": (
        in_emergency(banner="…", banner_key="test_in_progress"),
        DEVICES_AND_END,
        "TEST: an emergency test call is in progress.",
    ),
    "cannot be placed": (
        in_emergency(banner="…", banner_key="cannot_be_placed", placeable="no", dial=None),
        DEVICES_AND_END,
        "This call cannot reach emergency services from here. Use another telephone now.",
    ),
    "ringing": (ringing(), ["Answer", "Device settings"], "An emergency responder is calling back. Answer now."),
    "ringing during a leg": (
        ringing(leg=True),
        ["Answer", *DEVICES_AND_END],
        "An emergency responder is calling back. Answer now.",
    ),
    "held": (
        after_drop(),
        ["Call 911 again", "End the hold", *USUAL, *FORM, *DEVICES_AND_END],
        WORDS["en"]["held_after_drop"],
    ),
    "held, cannot be placed": (
        after_drop_abroad(),
        ["End the hold", *USUAL, *FORM, *DEVICES_AND_END],
        "This call cannot reach emergency services from here. Use another telephone now.",
    ),
    "drill": (
        panel(banner="…", banner_key="drill_in_progress", presence="do_not_disturb", poll_after_s=2),
        [*USUAL, *FORM, *DEVICES_AND_END],
        WORDS["en"]["drill_in_progress"],
    ),
}
INERT_MS = 650


def open_panel(page: Page, desk: Desk, *, locale: str = "en") -> Locator:
    page.goto(f"{desk.address}/api/ui/panel?agent=agent-1&desktop=desktop-1&locale={locale}")
    return page.locator("emergency-panel")


def look_again(page: Page) -> None:
    """Let the page ask the server, as it does when somebody comes back to it, and take in the answer."""
    with page.expect_request(lambda request: request.method == "GET" and request.url.endswith("/panel")) as asked:
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    asked.value.response()
    # A whole round trip later, whatever the page does with that answer is done.
    page.evaluate("async () => void (await (await fetch('/')).text())")


def buttons(page: Page) -> list[str]:
    return [each.inner_text().strip() for each in page.get_by_role("button").all()]


# What it offers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_each_state_offers_exactly_its_controls_and_says_what_is_going_on(page: Page, desk: Desk, state: str) -> None:
    shown, controls, banner = STATES[state]
    desk.panel = shown
    open_panel(page, desk)
    expect(page.get_by_role("heading", level=2)).not_to_have_text("Checking…")
    assert sorted(buttons(page)) == sorted(controls)
    alert = page.get_by_role("alert")
    if banner is None:
        expect(alert).to_be_empty()
    else:
        expect(alert).to_have_count(1)
        expect(alert).to_have_text(banner)
    # In the order of tabs: End call last, and in an emergency after the device settings.
    order = [name for name in buttons(page) if name in {"Answer", *DEVICES_AND_END, "Call 911 again", "End the hold"}]
    if state == "held":
        assert order[:2] == ["Call 911 again", "End the hold"]
    elif state not in {"normal", "drill", "held, cannot be placed"}:
        assert order == controls


@pytest.mark.parametrize("state", STATES)
def test_a_server_that_goes_away_takes_nothing_from_the_page(
    page: Page, desk: Desk, said: list[str], state: str
) -> None:
    shown, controls, banner = STATES[state]
    desk.panel = shown
    open_panel(page, desk)
    expect(page.get_by_role("heading", level=2)).not_to_have_text("Checking…")
    desk.panel = 503
    look_again(page)
    look_again(page)
    expect(page.get_by_text("No connection to the emergency service.").first).to_be_visible()
    assert sorted(buttons(page)) == sorted(controls)
    if banner:
        expect(page.get_by_role("alert")).to_have_text(banner)
    desk.panel = shown
    look_again(page)
    expect(page.get_by_role("listitem").filter(has_text="No connection")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text("Connected to the emergency service again.")
    without_network_words(said)


@pytest.mark.parametrize(
    ("body", "kind"), [("<h1>Sign in</h1>", "text/html"), ("{}", "application/json"), ("null", "")]
)
def test_what_is_no_panel_takes_nothing_from_the_page_either(page: Page, desk: Desk, body: str, kind: str) -> None:
    desk.panel = in_emergency()
    open_panel(page, desk)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    page.route("**/panel", lambda route: route.fulfill(body=body, content_type=kind))
    look_again(page)
    look_again(page)
    expect(page.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    assert buttons(page) == DEVICES_AND_END


@pytest.mark.parametrize("state", STATES)
def test_a_refusal_takes_nothing_from_the_page_either(page: Page, desk: Desk, said: list[str], state: str) -> None:
    shown, controls, _ = STATES[state]
    desk.panel = shown
    open_panel(page, desk)
    expect(page.get_by_role("heading", level=2)).not_to_have_text("Checking…")
    desk.panel = 403
    look_again(page)
    expect(page.get_by_role("listitem").filter(has_text="You are not signed in")).to_be_visible()
    assert sorted(buttons(page)) == sorted(controls)
    without_network_words(said)


def test_before_the_first_answer_only_the_device_settings_are_there(page: Page, desk: Desk) -> None:
    desk.panel = None
    open_panel(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("Checking…")
    assert buttons(page) == ["Device settings"]


@pytest.mark.parametrize("agent", ["&agent=agent-1", ""])
def test_a_browser_that_does_not_find_out_where_it_is_delays_nothing(page: Page, desk: Desk, agent: str) -> None:
    page.add_init_script(
        """navigator.permissions.query = async () => ({ state: "granted" });
        navigator.geolocation.getCurrentPosition = () => {};"""
    )
    desk.panel = in_emergency()
    desk.others["GET me"] = {"agent_id": "agent-1", "name": None, "roles": [], "locale": None}
    page.goto(f"{desk.address}/api/ui/panel?desktop=desktop-1&locale=en{agent}")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "es"),
        ("&locale=it", "it"),
        ("&agent=agent-1", "es"),
        ("&agent=agent-1&locale=it", "it"),
        # Who looks at somebody else's panel.
        ("&agent=agent-2", "en"),
    ],
)
def test_the_panel_speaks_the_language_of_whoever_is_signed_in_unless_it_is_told_another(
    page: Page, desk: Desk, asked: str, language: str
) -> None:
    desk.panel = in_emergency()
    desk.others["GET me"] = {"agent_id": "agent-1", "name": None, "roles": [], "locale": "es-MX"}
    page.goto(f"{desk.address}/api/ui/panel?desktop=desktop-1{asked}")
    expect(page.get_by_role("alert")).to_have_text(WORDS[language]["emergency_in_progress"])
    expect(page.locator("html")).to_have_attribute("lang", language)


def test_the_agents_language_is_asked_for_again_where_the_server_was_away(
    page: Page, desk: Desk, said: list[str]
) -> None:
    desk.panel = 503
    desk.others["GET me"] = 503
    with page.expect_response("**/me"):
        page.goto(f"{desk.address}/api/ui/panel?agent=agent-1&desktop=desktop-1")
    expect(page.locator(".notes li")).to_have_text([WORDS["en"]["server_away"]])
    desk.panel = in_emergency()
    desk.others["GET me"] = {"agent_id": "agent-1", "name": None, "roles": [], "locale": "es-MX"}
    look_again(page)
    expect(page.get_by_role("alert")).to_have_text(WORDS["es"]["emergency_in_progress"])
    without_network_words(said)


def test_who_it_is_is_asked_again_where_the_server_was_away(page: Page, desk: Desk, said: list[str]) -> None:
    desk.others["GET me"] = 503
    page.goto(f"{desk.address}/api/ui/panel?desktop=desktop-1&locale=en")
    expect(page.get_by_role("heading", level=2)).to_have_text("State not known")
    assert page.title().startswith("State not known")
    desk.panel = in_emergency()
    desk.others["GET me"] = {"agent_id": "agent-1", "name": None, "roles": [], "locale": None}
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.", timeout=PATIENCE_MS)
    without_network_words(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_who_is_signed_in_and_not_listed_is_not_told_to_sign_in(page: Page, desk: Desk, language: str) -> None:
    desk.others["GET me"] = {"agent_id": None, "name": None, "roles": ["EmergencyCalling.Agent"], "locale": None}
    page.goto(f"{desk.address}/api/ui/panel?desktop=desktop-1&locale={language}")
    expect(page.locator(".notes li")).to_have_text([WORDS[language]["unlisted"]])
    expect(page.get_by_role("heading", level=2)).to_have_text(WORDS[language]["state_unknown"])


@pytest.mark.parametrize("body", ["null", "<h1>Sign in</h1>"])
def test_what_does_not_say_who_it_is_is_a_server_that_is_away(page: Page, desk: Desk, body: str) -> None:
    page.route("**/api/me", lambda route: route.fulfill(body=body, content_type="application/json"))
    page.goto(f"{desk.address}/api/ui/panel?desktop=desktop-1&locale=en")
    expect(page.locator(".notes li")).to_have_text([WORDS["en"]["server_away"]])


def test_a_page_of_somebody_else_says_so(page: Page, desk: Desk, said: list[str]) -> None:
    desk.panel = 403
    open_panel(page, desk)
    expect(page.get_by_role("listitem")).to_contain_text("You are not signed in for this panel.")
    # Nobody here knows whether there is an emergency.
    expect(page.get_by_role("heading", level=2)).to_have_text("State not known")
    without_network_words(said)


# What it says --------------------------------------------------------------------------------------------------------


def test_say_this_holds_place_and_number_for_reading_aloud(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    open_panel(page, desk)
    say = page.get_by_role("region", name="Say this")
    expect(say).to_contain_text("1 Example Street, 4th floor, room 412, Redmond, WA 98052")
    expect(say).to_contain_text("+1 425 555 0102")
    expect(say).to_contain_text("Confirmed by you")
    expect(say).to_contain_text("Responders may see another number. Tell them this one.")
    expect(say).to_contain_text("A relay service may answer first")
    expect(say).to_contain_text("Do not hang up until you are told to.")
    expect(say.locator("time")).to_contain_text("in 52 minutes")
    expect(page.get_by_text("If the call drops, dial 911 again.")).to_be_visible()
    expect(page.get_by_text("Do not disturb", exact=True)).to_be_visible()
    assert page.locator("emergency-panel .number").evaluate("(it) => getComputedStyle(it).userSelect") == "all"


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_the_fallback_number_the_panel_says_that_other_people_answer(page: Page, desk: Desk, language: str) -> None:
    words = WORDS[language]
    desk.panel = in_emergency(fallback=True)
    open_panel(page, desk, locale=language)
    say = page.get_by_role("region", name=words["say_this"])
    expect(say).to_contain_text(words["say_fallback"])
    expect(say.locator("time")).to_have_count(0)
    told = words["if_it_drops_fallback"].format(number="911", callback="+1 425 555 0102")
    expect(page.get_by_text(told, exact=True)).to_be_visible()


NOWHERE = {"address": None, "address_source": None, "latitude": None, "longitude": None, "source": "unknown"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("place", "told"), [({}, True), ({"address": None, "address_source": None}, True), (NOWHERE, False)]
)
def test_a_place_that_is_shown_is_said_not_to_reach_the_emergency_centre_by_itself(
    page: Page, desk: Desk, place: dict[str, Any], told: bool, language: str
) -> None:
    desk.panel = in_emergency(say={**SAY, **place})
    open_panel(page, desk, locale=language)
    say = page.get_by_role("region", name=WORDS[language]["say_this"])
    expect(say).to_contain_text(WORDS[language]["say_stay"])
    expect(say.get_by_text(WORDS[language]["say_it"], exact=True)).to_have_count(int(told))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("before", "key"), [("", "where_enter"), ("1 Example Street", "where_ask")])
def test_nobody_is_promised_that_responders_are_told_where_the_desk_is(
    page: Page, desk: Desk, language: str, before: str, key: str
) -> None:
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False, "location": {"address": before or None}}
    open_panel(page, desk, locale=language)
    expect(page.get_by_text(WORDS[language][key], exact=True)).to_be_visible()
    # The words for those who answer an emergency call.
    them = {"en": "respond", "es": "emergencia", "fr": "secours", "it": "soccorr"}
    assert them[language] not in WORDS[language][key].lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_address_of_another_source_is_not_said_to_be_located(page: Page, desk: Desk, language: str) -> None:
    desk.panel = in_emergency(say={**SAY, "source": "live", "address_source": "registered"})
    open_panel(page, desk, locale=language)
    where = page.get_by_role("region", name=WORDS[language]["say_this"]).get_by_role("definition").first
    expect(where).to_contain_text(WORDS[language]["address_registered"])
    told = where.inner_text()
    # The address, whose it is, and only then the position with how that is known.
    assert told.index("98052") < told.index(WORDS[language]["address_registered"]) < told.index("122")
    assert told.index("122") < told.index(WORDS[language]["source_live"].split("{")[0])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("accuracy_m", [None, 0, 12])
def test_a_position_of_unknown_accuracy_is_not_said_to_be_exact(
    page: Page, desk: Desk, language: str, accuracy_m: int | None
) -> None:
    desk.panel = in_emergency(say={**SAY, "address": None, "address_source": None, "accuracy_m": accuracy_m})
    open_panel(page, desk, locale=language)
    where = page.get_by_role("region", name=WORDS[language]["say_this"]).get_by_role("definition").first
    expect(where).to_contain_text("122")
    told = where.locator("bdi").inner_text()
    within = WORDS[language]["accuracy"].split("{longitude}")[1].split("{metres}")[0]
    assert (within in told) is (accuracy_m is not None)
    assert told.endswith("13") is (accuracy_m is None)


# Ireland keeps no numbers for examples: one that is too short is nobody's.
@pytest.mark.parametrize(("number", "shown"), [("+447700900123", "+44 770 090 0123"), ("+3535550", "+353 5550")])
def test_the_number_to_say_is_split_after_its_calling_code(page: Page, desk: Desk, number: str, shown: str) -> None:
    desk.panel = in_emergency(say={**SAY, "callback_number": number})
    open_panel(page, desk)
    expect(page.get_by_role("region", name="Say this").locator(".number")).to_have_text(shown)


def test_every_calling_code_is_known_here() -> None:
    written = re.search('const CODE = "(.+)";', (FOLDER / "i18n.js").read_text("utf-8"))
    assert written
    code = re.compile(rf"({written[1]}|\d{{3}})\d+")
    wrong = [each for each in COUNTRY_CODE_TO_REGION_CODE if code.fullmatch(f"{each}555")[1] != str(each)]  # type: ignore[index]
    assert wrong == []


def test_say_this_says_that_the_place_is_unknown(page: Page, desk: Desk) -> None:
    unknown = {**SAY, "address": None, "latitude": None, "longitude": None, "source": "unknown", "relay_first": False}
    desk.panel = in_emergency(say={**unknown, "number_shown": True})
    open_panel(page, desk)
    say = page.get_by_role("region", name="Say this")
    expect(say).to_contain_text("the location is not known here")
    expect(say).not_to_contain_text("relay")
    expect(say).not_to_contain_text("another number")


def test_a_panel_of_an_older_server_is_understood(page: Page, desk: Desk) -> None:
    old = {"mode": "emergency", "controls": ["device_settings", "end_call"], "form_actions": [], "poll_after_s": 2}
    desk.panel = {**old, "banner": "An emergency call is in progress.", "callback_number": LENT, "expires_at": None}
    open_panel(page, desk)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert buttons(page) == DEVICES_AND_END


def test_what_a_server_says_without_a_known_key_is_shown_as_it_says_it_now(page: Page, desk: Desk) -> None:
    open_panel(page, desk)
    for words in ("One thing.", "Another thing."):
        desk.panel = panel(banner=words)
        look_again(page)
        expect(page.get_by_role("alert")).to_have_text(words)


def test_when_it_is_over_nothing_in_the_page_tells_of_it(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    open_panel(page, desk)
    expect(page.get_by_role("region", name="Say this")).to_be_visible()
    desk.panel = panel()
    look_again(page)
    expect(page.get_by_role("region", name="Say this")).to_have_count(0)
    left = page.evaluate(
        """async () => JSON.stringify([
          document.documentElement.outerHTML, document.querySelector("emergency-panel").shadowRoot.innerHTML,
          { ...localStorage }, { ...sessionStorage }, location.href, document.title,
          performance.getEntries().map((entry) => entry.name), (await indexedDB.databases()), await caches.keys(),
        ])"""
    )
    for told in ("0102", "Example Street", "911"):
        assert told not in left


def test_what_to_say_is_gone_when_the_lease_is_also_while_the_server_is_away(
    page: Page, desk: Desk, said: list[str]
) -> None:
    page.clock.install()
    desk.panel = after_drop()
    open_panel(page, desk)
    say = page.get_by_role("region", name="Say this")
    expect(say).to_contain_text("0102")
    page.route("**/panel", lambda route: route.abort())
    for _ in range(2):
        with page.expect_event("requestfailed"):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    page.clock.fast_forward(50 * 60_000)
    page.clock.run_for(16_000)
    expect(say).to_contain_text("0102")
    page.clock.fast_forward(2 * 60_000)
    page.clock.run_for(16_000)
    expect(say).to_have_count(0)
    left = page.evaluate("() => document.querySelector('emergency-panel').shadowRoot.innerHTML")
    assert "0102" not in left and "Example Street" not in left
    without_network_words(said)


# How it behaves ------------------------------------------------------------------------------------------------------


def test_end_call_has_one_place_and_is_inert_just_after_a_change(page: Page, desk: Desk) -> None:
    desk.panel = panel()
    open_panel(page, desk)
    end = page.get_by_role("button", name="End call")
    boxes = [end.bounding_box()]
    page.evaluate(
        """() => { window.controls = [];
          addEventListener("control", (event) => window.controls.push(event.detail.name)); }"""
    )
    # In the very task of the change: no machine is too slow for it.
    page.evaluate(
        """() => { const element = document.querySelector("emergency-panel");
          element.addEventListener("modechange", () => {
            window.pressed = true;
            element.shadowRoot.querySelector("[part=end]").click();
          }, { once: true }); }"""
    )
    desk.panel = in_emergency()
    look_again(page)
    expect(page.get_by_role("alert")).to_be_visible()
    page.wait_for_function("() => window.pressed")
    assert page.evaluate("() => window.controls") == []
    page.wait_for_timeout(INERT_MS)
    end.click()
    assert page.evaluate("() => window.controls") == ["end_call"]
    expect(page.get_by_role("status")).to_contain_text("There is no call in this window to end.")
    for shown in (in_emergency(), ringing(leg=True), after_drop(), panel()):
        desk.panel = shown
        look_again(page)
        page.wait_for_timeout(100)
        boxes.append(end.bounding_box())
    assert boxes.count(boxes[0]) == len(boxes), boxes


@pytest.mark.parametrize(("shown", "name"), [(in_emergency(), "End call"), (after_drop(), "Call 911 again")])
def test_what_a_press_comes_to_is_said_where_it_is_seen(
    page: Page, desk: Desk, shown: dict[str, Any], name: str
) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    desk.panel = shown
    open_panel(page, desk)
    expect(page.get_by_role("alert")).to_be_visible()
    page.wait_for_timeout(INERT_MS)
    page.get_by_role("button", name=name).click()
    status = page.get_by_role("status")
    expect(status).not_to_be_empty()
    expect(status).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("then", [panel(), in_emergency(), after_drop()])
def test_what_a_press_came_to_is_not_said_any_more_in_another_state(
    page: Page, desk: Desk, then: dict[str, Any]
) -> None:
    desk.panel = ringing()
    open_panel(page, desk)
    page.get_by_role("button", name="Answer").click()
    status = page.get_by_role("status")
    expect(status).not_to_be_empty()
    desk.panel = then
    look_again(page)
    expect(page.get_by_role("button", name="Answer", exact=True)).to_have_count(int(then["mode"] == "normal"))
    expect(status).to_be_empty()


def test_what_end_call_says_outlasts_the_change_that_it_brought_about_and_no_other(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency(poll_after_s=30)
    page.add_init_script(f"sessionStorage.setItem('ec', '{KEPT}')")
    open_panel(page, desk)
    expect(page.get_by_role("alert")).to_be_visible()
    page.wait_for_timeout(INERT_MS)
    desk.panel = panel()
    page.get_by_role("button", name="End call").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    status = page.get_by_role("status")
    expect(status).to_contain_text("There is no call in this window to end.")
    desk.panel = in_emergency()
    look_again(page)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    expect(status).to_be_empty()


def test_notes_that_come_with_another_state_are_read_out(page: Page, desk: Desk, said: list[str]) -> None:
    desk.panel = ringing()
    open_panel(page, desk)
    page.get_by_role("button", name="Answer").click()
    desk.panel = 503
    look_again(page)
    look_again(page)
    away = WORDS["en"]["server_away"]
    expect(page.get_by_role("status")).to_have_text(away)
    desk.panel = in_emergency()
    look_again(page)
    expect(page.get_by_role("status")).to_have_text(WORDS["en"]["server_back"])
    without_network_words(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_end_call_keeps_its_place_at_320_px_and_nothing_overflows(page: Page, desk: Desk, language: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    boxes = []
    for shown, _, _ in STATES.values():
        desk.panel = shown
        open_panel(page, desk, locale=language)
        expect(page.locator("emergency-panel .panel")).not_to_have_attribute("data-mode", "checking")
        end = page.get_by_role("button", name=WORDS[language]["end_call"])
        if end.count():
            boxes.append(end.bounding_box())
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 320
        clipped = page.evaluate(
            """() => [...document.querySelector("emergency-panel").shadowRoot.querySelectorAll("button, p, dd, h2")]
              .filter((it) => it.scrollWidth > it.clientWidth + 1 && it.clientWidth > 0).map((it) => it.textContent)"""
        )
        assert clipped == []
    assert boxes.count(boxes[0]) == len(boxes), boxes


BROKEN_WORDS = """() => {
  const broken = [];
  const root = document.querySelector("emergency-panel").shadowRoot;
  for (const { firstChild: text } of root.querySelectorAll(".bar button span")) {
    for (const { 0: word, index } of text.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (range.getClientRects().length > 1) broken.push(word);
    }
  }
  return broken;
}"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_of_the_bar_is_broken_at_320_px(page: Page, desk: Desk, language: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    desk.panel = in_emergency()
    open_panel(page, desk, locale=language)
    expect(page.get_by_role("alert")).to_have_text(WORDS[language]["emergency_in_progress"])
    assert page.evaluate(BROKEN_WORDS) == []


def test_focus_moves_only_from_what_vanishes(page: Page, desk: Desk) -> None:
    desk.panel = panel()
    open_panel(page, desk)
    page.get_by_role("button", name="Refresh").focus()
    desk.panel = in_emergency()
    look_again(page)
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    page.get_by_role("button", name="Device settings").focus()
    desk.panel = ringing(leg=True)
    look_again(page)
    expect(page.get_by_role("alert")).to_contain_text("calling back")
    expect(page.get_by_role("button", name="Device settings")).to_be_focused()


UNDER_THE_BAR = """() => {
  const { activeElement: it } = document.querySelector("emergency-panel").shadowRoot;
  const bar = document.querySelector("emergency-panel").shadowRoot.querySelector(".bar");
  const [own, over] = [it, bar].map((each) => each?.getBoundingClientRect().bottom);
  return it && !bar.contains(it) && own <= over ? it.textContent : null;
}"""


def test_what_has_the_focus_is_never_under_the_bar_at_400_percent(page: Page, desk: Desk) -> None:
    page.set_viewport_size({"width": 320, "height": 256})
    desk.panel = after_drop()
    open_panel(page, desk)
    end = page.get_by_role("button", name="End call")
    expect(page.get_by_role("button", name="Call 911 again")).to_be_visible()
    end.focus()
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert page.evaluate(UNDER_THE_BAR) is None


def test_a_poll_that_changes_nothing_touches_nothing(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    # What the desktop is said to be is shown, too, once it is reported.
    with page.expect_response(lambda response: response.url.endswith("/desktop")):
        open_panel(page, desk)
    expect(page.get_by_role("alert")).to_be_visible()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    page.evaluate(
        """() => { window.changes = 0;
          new MutationObserver((all) => (window.changes += all.length)).observe(
            document.querySelector("emergency-panel").shadowRoot,
            { subtree: true, childList: true, characterData: true, attributes: true }); }"""
    )
    with page.expect_response(lambda response: response.url.endswith("/panel")) as answer:
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    assert answer.value.status == 304
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.changes") == 0


@pytest.mark.parametrize(("shown", "polls"), [(panel(poll_after_s=1), False), (in_emergency(poll_after_s=1), True)])
def test_a_hidden_page_polls_only_in_an_emergency(page: Page, desk: Desk, shown: dict[str, Any], polls: bool) -> None:
    desk.panel = {**shown, "poll_after_s": 1 if polls else 6}
    page.add_init_script("Object.defineProperty(document, 'visibilityState', { get: () => window.seen ?? 'visible' })")
    page.clock.install()
    open_panel(page, desk)
    expect(page.get_by_role("heading", level=2)).not_to_have_text("Checking…")
    page.evaluate("() => { window.seen = 'hidden'; }")
    look_again(page)
    before = len(desk.requests("GET", "/panel"))
    page.clock.run_for(8000)
    for _ in range(100 if polls else 6):
        if len(desk.requests("GET", "/panel")) > before:
            break
        page.wait_for_timeout(50)
    assert (len(desk.requests("GET", "/panel")) > before) is polls


def test_a_panel_that_was_hidden_over_a_report_of_its_desktop_makes_up_for_it(page: Page, desk: Desk) -> None:
    page.add_init_script("Object.defineProperty(document, 'visibilityState', { get: () => window.seen ?? 'visible' })")
    page.clock.install()
    with page.expect_request(lambda request: request.url.endswith("/desktop")):
        open_panel(page, desk)
    be_seen(page, "hidden")
    page.clock.run_for(601_000)
    with page.expect_request(lambda request: request.url.endswith("/desktop")):
        be_seen(page, "visible")


def be_seen(page: Page, state: str) -> None:
    page.evaluate("(state) => { window.seen = state; document.dispatchEvent(new Event('visibilitychange')); }", state)


def test_the_hold_is_ended_by_its_button(page: Page, desk: Desk) -> None:
    # No poll comes between: it would take the button away.
    desk.panel = after_drop(poll_after_s=30)
    open_panel(page, desk)
    button = page.get_by_role("button", name="End the hold")
    expect(button).to_be_visible()
    page.wait_for_timeout(INERT_MS)
    desk.panel = panel()
    button.click()
    expect(button).to_have_count(0)
    assert len(desk.requests("POST", "/agents/agent-1/release")) == 1


def test_buttons_of_a_softphone_say_that_there_is_none(page: Page, desk: Desk) -> None:
    open_panel(page, desk)
    hold = page.get_by_role("button", name="Hold")
    expect(hold).to_have_attribute("aria-disabled", "true")
    # Not `disabled`: it can be reached, and says why.
    hold.dispatch_event("click")
    expect(page.get_by_role("status")).to_have_text("No softphone is connected.")


def test_device_settings_list_and_switch_what_the_browser_has(context: BrowserContext, page: Page, desk: Desk) -> None:
    context.grant_permissions(["microphone"], origin=desk.address)
    desk.panel = in_emergency()
    open_panel(page, desk)
    page.get_by_role("button", name="Device settings").click()
    dialog = page.get_by_role("dialog", name="Device settings")
    microphone = dialog.get_by_label("Microphone")
    expect(microphone).to_be_focused()
    expect(microphone.locator("option").nth(1)).to_be_attached()
    label = microphone.locator("option").nth(1).inner_text()
    microphone.select_option(index=1)
    expect(page.get_by_role("status")).to_have_text(f"Now in use: {label}")
    speaker = dialog.get_by_label("Speaker")
    label = speaker.locator("option").nth(1).inner_text()
    speaker.select_option(index=1)
    expect(page.get_by_role("status")).to_have_text(f"Now in use: {label}")
    # End call stays within reach.
    expect(page.get_by_role("button", name="End call")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Device settings")).to_be_focused()


@pytest.mark.parametrize("before", ["", "1 Example Street"])
def test_where_the_desktop_is_is_confirmed_in_one_click(
    context: BrowserContext, page: Page, desk: Desk, before: str
) -> None:
    context.grant_permissions(["geolocation"], origin=desk.address)
    context.set_geolocation({"latitude": 47.64, "longitude": -122.13, "accuracy": 12})
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False, "location": {"address": before or None}}
    open_panel(page, desk)
    where = page.get_by_role("region", name="Where you are")
    expect(where.get_by_label("Address of this desk")).to_have_value(before)
    if not before:
        where.get_by_label("Address of this desk").fill("1 Example Street")
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": True}
    where.get_by_role("button", name="Confirm where you are").click()
    expect(page.get_by_role("status")).to_have_text("Thank you. Confirmed for this network.")
    expect(where).to_have_count(0)
    report = desk.requests("PUT", "/agents/agent-1/desktop")[-1]
    assert report.body["confirmed"] is True and report.body["desktop_id"] == "desktop-1"
    # No time: that would be by the desktop's clock, which may be slow by hours.
    position = {"latitude": 47.64, "longitude": -122.13, "accuracy_m": 12}
    assert report.body["location"] == {"address": "1 Example Street", **position}
    assert report.body["location_permission"] == "granted" and "at" not in report.body
    # Whether it is virtual or behind a VPN is for its back end to say.
    assert not any("environment" in each.body for each in desk.requests("PUT", "/desktop"))


def test_a_place_that_nobody_lets_the_browser_tell_holds_no_confirmation_up(page: Page, desk: Desk) -> None:
    page.add_init_script("navigator.geolocation.getCurrentPosition = () => { window.asked = true; };")
    page.clock.install()
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False}
    open_panel(page, desk)
    page.get_by_label("Address of this desk").fill("1 Example Street")
    page.get_by_role("button", name="Confirm where you are").click()
    expect(page.get_by_role("status")).to_have_text("Checking…")
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": True}
    page.wait_for_function("() => window.asked")
    page.clock.run_for(10_000)
    expect(page.get_by_role("status")).to_have_text("Thank you. Confirmed for this network.")
    report = desk.requests("PUT", "/agents/agent-1/desktop")[-1]
    assert report.body["location"] == {"address": "1 Example Street"}


KEPT = "0b7c5a52-64a4-4c8e-9a53-2f4c1d9be0aa"


@pytest.mark.parametrize(("theirs", "kept"), [("a page's own", None), ("", None), (KEPT, KEPT)])
def test_the_desktops_id_is_kept_under_a_name_of_the_panels_own(
    page: Page, desk: Desk, theirs: str, kept: str | None
) -> None:
    page.goto(desk.address)
    page.evaluate("(theirs) => localStorage.setItem('desktop', theirs)", theirs)
    reported = []
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/desktop")):
            page.goto(f"{desk.address}/api/ui/panel?agent=agent-1&locale=en")
        reported.append(desk.requests("PUT", "/desktop")[-1].body["desktop_id"])
    assert reported[0] == reported[1] == str(UUID(reported[0])) and kept in {None, reported[0]}
    assert page.evaluate("() => localStorage.getItem('desktop')") == theirs
    assert page.evaluate("() => localStorage.getItem('emergency-panel-desktop')") == reported[0]


def test_that_the_confirmation_is_under_way_is_said(page: Page, desk: Desk) -> None:
    page.add_init_script("navigator.geolocation.getCurrentPosition = () => {};")
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False}
    open_panel(page, desk)
    page.get_by_label("Address of this desk").fill("1 Example Street")
    page.get_by_role("button", name="Confirm where you are").click()
    expect(page.get_by_role("status")).to_have_text("Checking…")


def test_the_question_moves_no_control_and_follows_a_change_of_network(page: Page, desk: Desk) -> None:
    open_panel(page, desk)
    where = page.get_by_role("region", name="Where you are")
    dial = page.get_by_role("button", name="Dial", exact=True)
    expect(dial).to_be_visible()
    before = dial.bounding_box()
    for address in ("1 Example Street", "2 Example Street"):
        desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False, "location": {"address": address}}
        page.evaluate("() => dispatchEvent(new Event('online'))")
        expect(where.get_by_label("Address of this desk")).to_have_value(address)
        assert dial.bounding_box() == before
    where.get_by_label("Address of this desk").fill("2 Example Street, room 7")
    with page.expect_response(lambda response: response.url.endswith("/desktop")):
        page.evaluate("() => dispatchEvent(new Event('online'))")
    expect(where.get_by_label("Address of this desk")).to_have_value("2 Example Street, room 7")


def test_an_emergency_comes_before_the_question_where_the_desktop_is(page: Page, desk: Desk) -> None:
    desk.others["PUT agents/agent-1/desktop"] = {"confirmed": False}
    desk.panel = in_emergency()
    open_panel(page, desk)
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("region", name="Where you are")).to_have_count(0)


# For everybody -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "scheme", "width"), EVERY_LOOK)
def test_axe_finds_nothing(
    page: Page, desk: Desk, axe: Callable[[Page], list[str]], language: str, scheme: str, width: int
) -> None:
    put_on(page, scheme, width)
    open_panel(page, desk, locale=language)
    for name, (shown, _, _) in STATES.items():
        desk.panel = shown
        look_again(page)
        page.wait_for_timeout(100)
        assert axe(page) == [], name
        assert not is_too_wide(page), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_the_language_of_the_agent(page: Page, desk: Desk, language: str) -> None:
    desk.panel = in_emergency()
    open_panel(page, desk, locale=f"{language}-XX")
    expect(page.get_by_role("alert")).to_have_text(WORDS[language]["emergency_in_progress"])
    assert page.locator("html").get_attribute("lang") == language
    assert buttons(page) == [WORDS[language]["device_settings"], WORDS[language]["end_call"]]
    expect(page.get_by_role("region", name=WORDS[language]["say_this"])).to_be_visible()
    assert page.title().startswith(WORDS[language]["state_emergency"])
    desk.panel = in_emergency(banner="…", banner_key="test_in_progress")
    look_again(page)
    expect(page.get_by_role("heading", level=2)).to_have_text(WORDS[language]["state_test"])
    assert page.title().startswith(WORDS[language]["state_test"])


@pytest.mark.parametrize("locale", ["en_US", "es_MX", "it_IT.UTF-8", "fr-", "en-US-x"])
def test_a_locale_that_is_written_otherwise_takes_nothing_from_the_page(page: Page, desk: Desk, locale: str) -> None:
    desk.panel = in_emergency()
    open_panel(page, desk, locale=locale)
    language = locale[:2]
    expect(page.get_by_role("alert")).to_have_text(WORDS[language]["emergency_in_progress"])
    expect(page.locator("time")).to_contain_text("52")
    assert page.title().startswith(WORDS[language]["state_emergency"])


def test_the_accessibility_tree_of_an_emergency(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    element = open_panel(page, desk)
    expect(page.get_by_role("alert")).to_be_visible()
    tree = element.aria_snapshot()
    assert '- heading "Emergency call" [level=2]' in tree
    assert "- alert: An emergency call is in progress." in tree
    assert '- region "Say this"' in tree
    assert '- button "Device settings"' in tree and '- button "End call"' in tree


def test_the_languages_are_those_of_the_files() -> None:
    assert {path.name.split(".")[1] for path in Path(FOLDER).glob("messages.*.json")} == set(LANGUAGES)
