"""Every state of the panel beside a softphone, each with a server that answers, is away, or refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.desk import Desk, after_drop, after_drop_abroad, in_emergency, panel, ringing
from tests.browser.looks import without_network_words
from tests.browser.test_embedding import RINGS, names, sit_down
from tests.browser.test_panel import DEVICES_AND_END, FORM, USUAL, WORDS

DROPS = {"steps": [*RINGS["steps"], [300, "Disconnected", {"code": 496, "subCode": 7}]]}
IN_PROGRESS = "An emergency call is in progress."
ALL = [*USUAL, *DEVICES_AND_END, *FORM]
RESTORED = {"diagnostic": "networkReconnect", "value": 3}


def nothing(_: Page) -> None:
    """The state is the server's alone."""


def dialled(page: Page, digits: str = "911") -> None:
    """A call in progress, and its report answered: an answer that comes later is newer than the server's absence."""
    page.evaluate("(digits) => { window.dialer.dial(digits); }", digits)
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")


def dialled_933(page: Page) -> None:
    dialled(page, "933")


def restoring(page: Page) -> None:
    dialled(page)
    page.evaluate("(it) => window.agent.calls[0].network.emit('diagnosticChanged', it)", RESTORED)


def rung(page: Page) -> None:
    page.evaluate("() => { window.agent.ring(); }")


def rung_in_a_call(page: Page) -> None:
    dialled(page)
    rung(page)


def dropped(page: Page) -> None:
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.ended === 'dropped'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")


type State = tuple[dict[str, Any], Callable[[Page], None], list[str], str, str]
STATES: dict[str, State] = {
    "normal": (panel(), nothing, ALL, "No emergency call", ""),
    "ringing": (ringing(), rung, ["Answer", "Device settings"], "Emergency callback", WORDS["en"]["callback_ringing"]),
    "ringing in a call": (
        ringing(leg=True),
        rung_in_a_call,
        ["Answer", *DEVICES_AND_END],
        "Emergency callback",
        WORDS["en"]["callback_ringing"],
    ),
    "in progress": (in_emergency(), dialled, DEVICES_AND_END, "Emergency call", IN_PROGRESS),
    "test": (
        in_emergency(banner="…", banner_key="test_in_progress"),
        dialled_933,
        DEVICES_AND_END,
        "Emergency test call",
        WORDS["en"]["test_in_progress"],
    ),
    "reconnecting": (in_emergency(), restoring, DEVICES_AND_END, "Emergency call", IN_PROGRESS),
    "held": (
        after_drop(),
        dropped,
        ["Call 911 again", "End the hold", *ALL],
        "After the emergency call",
        WORDS["en"]["held_after_drop"],
    ),
    "held, cannot be placed": (
        after_drop_abroad(),
        dropped,
        ["End the hold", *ALL],
        "After the emergency call",
        WORDS["en"]["cannot_be_placed"],
    ),
}
NOTES = {
    "fresh": [],
    "stale": ["No connection to the emergency service. Your call is not affected."],
    "refused": ["You are not signed in for this panel. Sign in again. Your call is not affected."],
}
ANSWERS = {"stale": 503, "refused": 403}


def become(page: Page, desk: Desk, server: str) -> None:
    """The server goes away, or refuses, and the page has seen it."""
    desk.panel = ANSWERS.get(server, desk.panel)
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.evaluate("() => dispatchEvent(new Event('focus'))")


@pytest.mark.parametrize("server", NOTES)
@pytest.mark.parametrize("state", STATES)
def test_each_state_stays_what_it_is_whatever_becomes_of_the_server(
    page: Page, desk: Desk, said: list[str], state: str, server: str
) -> None:
    shown, happens, controls, heading, alert = STATES[state]
    desk.panel = shown
    sit_down(page, desk, scripts=[DROPS] if state.startswith("held") else [RINGS])
    happens(page)
    expect(page.get_by_role("heading", level=2)).to_have_text(heading)
    become(page, desk, server)
    notes = [*NOTES[server], *([WORDS["en"]["reconnecting"]] if state == "reconnecting" else [])]
    expect(page.locator(".notes li")).to_have_text(notes)
    expect(page.get_by_role("heading", level=2)).to_have_text(heading)
    expect(page.get_by_role("alert")).to_have_text(alert)
    # Without a server nobody here knows of a hold to end.
    unknown = {"End the hold"} if state.startswith("held") and server != "fresh" else set()
    kept = [each for each in controls if each not in unknown]
    assert sorted(names(page)) == sorted(kept)
    # With a softphone at hand every control does something.
    assert page.locator("[aria-disabled]").count() == 0
    without_network_words(said)


@pytest.mark.parametrize(
    ("answer", "heading", "notes"),
    [
        (None, "Checking…", []),
        (503, "State not known", NOTES["stale"]),
        (403, "State not known", NOTES["refused"]),
    ],
)
def test_before_the_first_answer_nobody_says_that_there_is_no_emergency(
    page: Page, desk: Desk, said: list[str], answer: int | None, heading: str, notes: list[str]
) -> None:
    desk.panel = answer
    sit_down(page, desk)
    if answer is not None:
        become(page, desk, "fresh")
    expect(page.get_by_role("heading", level=2)).to_have_text(heading)
    expect(page.locator(".notes li")).to_have_text(notes)
    expect(page.get_by_role("alert")).to_be_empty()
    page.evaluate("() => { window.dialer.dial('911'); }")
    expect(page.get_by_role("alert")).to_have_text(IN_PROGRESS)
    assert names(page) == DEVICES_AND_END
    without_network_words(said)
