"""The panel in somebody else's page: in a frame on another site over its port, and as an element beside the dialer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.desk import LENT, Desk, Scripted, after_drop, in_emergency, panel, ringing
from tests.browser.looks import without_network_words
from tests.browser.test_panel import DEVICES_AND_END, FORM, USUAL, WORDS

INERT_MS = 650
PAGES_MD = Path(__file__).parents[2] / "docs" / "pages.md"
CONNECT = """async ({ panel }) => {
  window.heard = [];
  const frame = document.createElement("iframe");
  frame.allow = "microphone; speaker-selection; screen-wake-lock; autoplay; geolocation";
  frame.style.cssText = "width: 400px; height: 700px";
  frame.src = panel;
  document.body.append(frame);
  await new Promise((resolve) => frame.addEventListener("load", resolve));
  const channel = new MessageChannel();
  channel.port1.onmessage = (event) => {
    window.heard.push(event.data);
    if (event.data.type === "token-needed") {
      channel.port1.postMessage({ type: "token", value: "a-token", expiresAt: Date.now() + 3600000 });
    }
  };
  window.port = channel.port1;
  frame.contentWindow.postMessage({ type: "emergency-panel/connect", v: 1 }, new URL(panel).origin, [channel.port2]);
}"""
ELEMENT = """async ({ api, options }) => {
  await import("/ui/emergency-panel.js");
  const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
  const { StandInAgent } = await import("/ui/stand-in-agent.js");
  window.agent = new StandInAgent(...(options.scripts ?? []));
  window.modes = [];
  const element = document.createElement("emergency-panel");
  for (const [name, value] of Object.entries({ api, "agent-id": "agent-1", lang: "en", "desktop-id": "desktop-1" })) {
    element.setAttribute(name, value);
  }
  element.getToken = () => "a-token";
  element.addEventListener("modechange", (event) => window.modes.push(event.detail.mode));
  window.dialer = createEmergencyDialer({
    api, callAgent: window.agent, country: "US", agentId: "agent-1", getToken: element.getToken,
    diagnostics: "the SDK's own", desktopId: options.desktopId,
    deviceManager: options.devices && {
      getMicrophones: async () => options.devices.microphones,
      getSpeakers: options.devices.hangs ? () => new Promise(() => {}) : async () => options.devices.speakers,
    },
  });
  element.dialer = window.dialer;
  document.querySelector("main").append(element);
}"""
SILENCE = """() => {
  document.querySelector("emergency-panel").shadowRoot.querySelector("[role=status]").textContent = "";
}"""
RINGS = {"steps": [[2, "Connecting"], [20, "Ringing"], [40, "Connected"]]}


@pytest.fixture
def framed(page: Page, desk: Desk) -> FrameLocator:
    """A host page on another site (by name) with the panel in a frame, connected."""
    page.goto(desk.host_page)
    page.evaluate(CONNECT, {"panel": f"{desk.address}/api/ui/panel?agent=agent-1&desktop=desktop-1&locale=en"})
    return page.frame_locator("iframe")


def heard(page: Page, kind: str) -> list[dict[str, Any]]:
    """What came over the port of this kind, once any has."""
    page.wait_for_function("(kind) => window.heard.some((it) => it.type === kind)", arg=kind)
    found: list[dict[str, Any]] = page.evaluate("(kind) => window.heard.filter((it) => it.type === kind)", kind)
    return found


def test_the_page_around_gives_the_token_and_hears_of_modes_without_a_number(
    page: Page, desk: Desk, framed: FrameLocator
) -> None:
    desk.panel = in_emergency()
    expect(framed.get_by_role("button", name="Device settings")).to_be_visible()
    # It may have asked before the emergency began.
    page.frames[1].evaluate("() => dispatchEvent(new Event('focus'))")
    expect(framed.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert heard(page, "ready") == [{"type": "ready", "v": 1}]
    assert {each.authorization for each in desk.requests("GET", "/panel")} == {"Bearer a-token"}
    page.wait_for_function("() => window.heard.findLast((it) => it.type === 'mode')?.mode === 'emergency'")
    modes = heard(page, "mode")
    assert modes[-1]["mode"] == "emergency" and modes[-1]["controls"] == ["device_settings", "end_call"]
    assert LENT not in str(modes) and "911" not in str(modes)
    assert heard(page, "height")[-1]["value"] > 0


def test_the_title_begins_with_the_emergency_whatever_language_is_told(
    page: Page, desk: Desk, framed: FrameLocator
) -> None:
    desk.panel = in_emergency()
    look_again_in(page)
    expect(framed.get_by_role("heading", level=2)).to_have_text("Emergency call")
    tell_calls(page, framed, [])
    assert page.frames[1].title().startswith("Emergency call")


def test_the_call_of_the_page_around_outranks_the_server(page: Page, desk: Desk, framed: FrameLocator) -> None:
    desk.panel = panel()
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    call = {"type": "call", "id": "1", "state": "connected", "emergency": True, "direction": "outgoing"}
    page.evaluate("(call) => window.port.postMessage(call)", call)
    expect(framed.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert [each.inner_text() for each in framed.get_by_role("button").all()] == ["Device settings", "End call"]
    page.wait_for_timeout(INERT_MS)
    framed.get_by_role("button", name="End call").click()
    assert [each["name"] for each in heard(page, "control")] == ["end_call"]
    page.evaluate("(call) => window.port.postMessage(call)", {**call, "state": "ended"})
    expect(framed.get_by_role("alert")).to_be_empty()


CALL = {"type": "call", "id": "1", "state": "connected", "emergency": True, "direction": "outgoing"}
CUSTOMER = {"type": "call", "id": "7", "state": "held", "emergency": False, "direction": "incoming"}


@pytest.mark.parametrize(
    ("pressed", "ended", "heading"),
    [
        (False, {}, "After the emergency call"),
        (True, {}, "No emergency call"),
        # Whose end was asked for is another one.
        (True, {"id": "2"}, "After the emergency call"),
        (True, {"id": None}, "After the emergency call"),
    ],
)
def test_the_end_of_the_call_of_the_page_around_is_known_while_the_server_is_away(
    page: Page, desk: Desk, framed: FrameLocator, said: list[str], pressed: bool, ended: dict[str, Any], heading: str
) -> None:
    desk.panel = in_emergency()
    page.evaluate("(call) => window.port.postMessage(call)", CALL)
    expect(framed.get_by_role("region", name="Say this")).to_be_visible()
    desk.panel = 503
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.frames[1].evaluate("() => dispatchEvent(new Event('focus'))")
    expect(framed.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    if pressed:
        page.wait_for_timeout(INERT_MS)
        framed.get_by_role("button", name="End call").click()
        heard(page, "control")
    page.evaluate("(call) => window.port.postMessage(call)", {**CALL, **ended, "state": "ended"})
    expect(framed.get_by_role("heading", level=2)).to_have_text(heading)
    again = framed.get_by_role("button", name="Call 911 again")
    expect(again).to_have_count(int(heading == "After the emergency call"))
    # Whoever ends a customer's call after it tells nothing of it.
    page.evaluate("(call) => window.port.postMessage(call)", {**CUSTOMER, "state": "connected"})
    page.wait_for_timeout(INERT_MS)
    framed.get_by_role("button", name="End call").click()
    page.frames[1].evaluate("() => dispatchEvent(new Event('focus'))")
    page.wait_for_timeout(100)
    expect(framed.get_by_role("heading", level=2)).to_have_text(heading)
    said.clear()


def test_the_end_of_the_call_of_the_page_around_outranks_what_the_server_tells_of_that_call(
    page: Page, desk: Desk, framed: FrameLocator
) -> None:
    desk.panel = in_emergency()
    page.evaluate("(call) => window.port.postMessage(call)", CALL)
    expect(framed.get_by_role("region", name="Say this")).to_be_visible()
    page.evaluate("(call) => window.port.postMessage(call)", {**CALL, "state": "ended"})
    heading = framed.get_by_role("heading", level=2)
    expect(heading).to_have_text("After the emergency call")
    for _ in range(2):
        look_again_in(page)
    assert framed.get_by_role("button").all()[0].inner_text() == "Call 911 again"
    # Once the server knows of the end, what it tells counts: another desktop may be in an emergency.
    desk.panel = after_drop()
    look_again_in(page)
    expect(framed.get_by_role("button", name="End the hold")).to_be_visible()
    desk.panel = in_emergency()
    look_again_in(page)
    expect(heading).to_have_text("Emergency call")


def look_again_in(page: Page) -> None:
    """Let the panel in the frame ask the server, and take in the answer."""
    with page.expect_response(lambda response: response.url.endswith("/panel")):
        page.frames[1].evaluate("() => dispatchEvent(new Event('focus'))")
    page.frames[1].evaluate("async () => void (await (await fetch('/')).text())")


CALLBACK = {"type": "call", "id": "3", "state": "ringing", "emergency": True, "direction": "incoming"}
ENDED = {"state": "ended"}
ANSWER = ["Answer", *DEVICES_AND_END]


@pytest.mark.parametrize(
    ("calls", "shown"),
    [
        # A customer's call that was held for the emergency is no word of it.
        ([CALL, CUSTOMER], DEVICES_AND_END),
        ([CALL, {**CUSTOMER, **ENDED}], DEVICES_AND_END),
        ([CALL, {**CUSTOMER, "id": None}], DEVICES_AND_END),
        # What rings is offered for as long as it rings, and takes nothing away.
        ([CALL, CALLBACK], ANSWER),
        ([CALL, CALLBACK, {**CALL, "state": "reconnecting"}], ANSWER),
        ([CALL, CALLBACK, {**CALLBACK, "state": "connected"}, {**CALLBACK, "id": "4"}], ANSWER),
        ([CALLBACK, CUSTOMER], ANSWER[:2]),
        # As the calling SDK says it.
        ([{**CALLBACK, "state": "Ringing", "direction": "Incoming"}], ANSWER[:2]),
        ([{**CALL, "state": "Ringing", "direction": "Outgoing"}], DEVICES_AND_END),
        # The end of a callback is not that of the call.
        ([CALL, CALLBACK, {**CALLBACK, **ENDED}], DEVICES_AND_END),
        ([CALL, CALLBACK, {**CALLBACK, "state": "connected"}, {**CALLBACK, **ENDED}], DEVICES_AND_END),
        # Nor the other way round.
        ([CALL, CALLBACK, {**CALLBACK, "state": "connected"}, {**CALL, **ENDED}], DEVICES_AND_END),
        # The SDK's ids change during a call.
        ([{**CALL, "state": "connecting"}, {**CALL, "id": "9"}], DEVICES_AND_END),
        ([CALLBACK, {**CALLBACK, "id": "9", "state": "connected"}], DEVICES_AND_END),
    ],
)
def test_each_emergency_call_of_the_page_around_counts_whatever_is_told_of_another(
    page: Page, framed: FrameLocator, calls: list[dict[str, Any]], shown: list[str]
) -> None:
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    tell_calls(page, framed, calls)
    assert sorted(each.inner_text() for each in framed.get_by_role("button").all()) == sorted(shown)


@pytest.mark.parametrize(
    "calls",
    [
        [CALL, {**CALL, **ENDED}],
        [CALL, {**CALL, "id": "9"}, {**CALL, "id": "9", **ENDED}],
        [CALL, {**CALL, "id": "9", **ENDED}],
        [{**CALL, "state": "Connected", "direction": "Outgoing"}, {**CALL, "id": "9", "state": "Disconnected"}],
        [CALL, {**CALL, "id": None, **ENDED}],
        [CALLBACK, {**CALLBACK, **ENDED}],
        [CALLBACK, {**CALLBACK, "id": "9", "state": "connected"}, {**CALLBACK, "id": "9", **ENDED}],
        [CALL, CALLBACK, {**CALL, **ENDED}, {**CALLBACK, **ENDED}],
        # No emergency after all.
        [CALL, {**CALL, "emergency": False}],
        [{**CALL, "id": None}, {**CALL, "id": None, "emergency": False}],
        [CALL, {"type": "call"}],
    ],
)
def test_when_the_last_of_them_is_over_nothing_of_an_emergency_is_left(
    page: Page, framed: FrameLocator, calls: list[dict[str, Any]]
) -> None:
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    tell_calls(page, framed, calls)
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    assert "Hold" in [each.inner_text() for each in framed.get_by_role("button").all()]


@pytest.mark.parametrize(
    ("state", "shown"), [("Ringing", ANSWER[:2]), ("Connected", DEVICES_AND_END), ("Disconnected", None)]
)
def test_the_calling_sdks_own_words_are_a_softphones(
    page: Page, desk: Desk, state: str, shown: list[str] | None
) -> None:
    sit_down(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    page.evaluate(
        """(state) => { document.querySelector("emergency-panel").softphone = {
          call: { id: "1", state, direction: "Incoming", emergency: true }, control() {} }; }""",
        state,
    )
    if shown:
        assert names(page) == shown
    else:
        look_again(page)
        assert "Hold" in names(page)


def tell_calls(page: Page, framed: FrameLocator, calls: list[dict[str, Any]]) -> None:
    """Tell of each, and wait until the last is shown: what is said in another language comes after it."""
    page.evaluate("(calls) => calls.forEach((call) => window.port.postMessage(call))", calls)
    page.evaluate("() => window.port.postMessage({ type: 'locale', value: 'en-GB' })")
    page.frames[1].wait_for_function("() => document.querySelector('emergency-panel').lang === 'en-GB'")


def test_devices_are_those_of_the_page_around(page: Page, framed: FrameLocator) -> None:
    expect(framed.get_by_role("button", name="Device settings")).to_be_visible()
    devices = [{"id": "m1", "name": "Desk microphone"}, {"id": "m2", "name": "Headset"}]
    message = {"type": "devices", "microphones": devices, "speakers": [], "selected": {"microphone": "m1"}}
    page.evaluate("(it) => window.port.postMessage(it)", message)
    framed.get_by_role("button", name="Device settings").click()
    microphone = framed.get_by_label("Microphone")
    expect(microphone).to_have_value("m1")
    microphone.select_option("m2")
    assert heard(page, "select-device") == [{"type": "select-device", "kind": "microphone", "id": "m2"}]
    expect(framed.get_by_label("Speaker")).to_have_text("None found")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"microphone": "m2"}, "Now in use: Headset"),
        # Another one than was asked for, none, or nothing at all.
        ({"microphone": "m1"}, "This device could not be used."),
        ({"speaker": "m2"}, "This device could not be used."),
        (None, "This device could not be used."),
    ],
)
def test_a_device_is_in_use_once_the_page_around_says_so(
    page: Page, framed: FrameLocator, told: dict[str, str] | None, says: str
) -> None:
    devices = [{"id": "m1", "name": "Desk microphone"}, {"id": "m2", "name": "Headset"}]
    message = {"type": "devices", "microphones": devices, "speakers": [], "selected": {"microphone": "m1"}}
    page.evaluate("(it) => window.port.postMessage(it)", message)
    framed.get_by_role("button", name="Device settings").click()
    framed.get_by_label("Microphone").select_option("m2")
    heard(page, "select-device")
    expect(framed.get_by_role("status")).to_be_empty()
    if told is not None:
        page.evaluate("(it) => window.port.postMessage(it)", {**message, "selected": told})
    expect(framed.get_by_role("status")).to_have_text(says)


def test_messages_that_are_none_of_its_own_change_nothing(page: Page, framed: FrameLocator) -> None:
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    for message in (
        {"type": "mode", "mode": "emergency"},
        {"type": "call", "state": 7},
        "call",
        None,
        {"type": "x" * 9},
    ):
        page.evaluate("(it) => window.port.postMessage(it)", message)
    page.wait_for_timeout(100)
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    page.evaluate("(it) => window.port.postMessage(it)", {"type": "locale", "value": "it-IT"})
    expect(framed.get_by_role("heading", level=2)).to_have_text("Nessuna chiamata di emergenza")
    assert page.frames[1].title().startswith("Nessuna chiamata di emergenza")


def test_a_page_around_that_connects_late_hears_of_the_present_mode(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    page.goto(desk.host_page)
    late = CONNECT.replace(
        "  frame.contentWindow.postMessage(", "  window.connect = () => frame.contentWindow.postMessage("
    )
    page.evaluate(late, {"panel": f"{desk.address}/api/ui/panel?agent=agent-1&desktop=desktop-1&locale=en"})
    told = page.frame_locator("iframe").get_by_role("alert")
    expect(told).to_have_text("An emergency call is in progress.")
    page.evaluate("() => window.connect()")
    page.wait_for_function("() => window.heard.some((it) => it.type === 'mode')")
    first, second = page.evaluate("() => window.heard.slice(0, 2)")
    assert first == {"type": "ready", "v": 1}
    assert (second["mode"], second["controls"]) == ("emergency", ["device_settings", "end_call"])


def test_a_frame_of_another_site_as_it_is_documented_reports_its_desktop(page: Page, desk: Desk) -> None:
    [query] = re.findall(
        r'<iframe src="https://emergency\.example\.com/api/ui/panel(\?[^"]+)"', PAGES_MD.read_text("utf-8")
    )
    page.add_init_script(
        """if (window !== parent) Object.defineProperty(window, "localStorage", {
          get() { throw new DOMException("barred", "SecurityError"); } });"""
    )
    page.goto(desk.host_page)
    with page.expect_response(lambda response: response.url.endswith("/agents/agent-dana/desktop")):
        page.evaluate(CONNECT, {"panel": f"{desk.address}/api/ui/panel{query}"})
    assert desk.requests("PUT", "/desktop")[0].body["desktop_id"] == "desk-12"


def test_a_site_that_is_not_listed_may_not_frame_it(page: Page, desk: Desk, said: list[str]) -> None:
    page.goto(desk.host_page.replace("localhost", "other.localhost"))
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.evaluate(
            "(src) => { const it = document.createElement('iframe'); it.src = src; document.body.append(it); }",
            f"{desk.address}/api/ui/panel",
        )
    assert page.frame_locator("iframe").get_by_role("button").count() == 0
    assert any("frame-ancestors" in each for each in said)
    said.clear()


# The element beside the dialer ---------------------------------------------------------------------------------------


def sit_down(page: Page, desk: Desk, **options: Any) -> None:
    page.goto(desk.host_page)
    page.evaluate(ELEMENT, {"api": f"{desk.address}/api", "options": options})


def dial_911(page: Page) -> None:
    page.get_by_label("Number to dial").fill("911")
    page.get_by_role("button", name="Dial", exact=True).click()


def names(page: Page) -> list[str]:
    return [each.inner_text().strip() for each in page.get_by_role("button").all()]


def test_what_dialer_and_panel_report_of_the_desktop_is_the_same(page: Page, desk: Desk) -> None:
    devices = {"microphones": [{"id": "m1"}, {"id": "m2"}], "speakers": [{"id": "s1"}]}
    sit_down(page, desk, desktopId="desktop-1", devices=devices)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    for _ in range(int(PATIENCE_MS / 50)):
        if len(reports := desk.requests("PUT", "/desktop")) == 2:
            break
        page.wait_for_timeout(50)
    # Each takes the place of the one before.
    first, second = (each.body for each in reports)
    assert first == second
    assert (first["country"], first["devices"]) == ("US", {"microphones": 2, "speakers": 1})


def test_devices_that_are_never_told_hold_no_report_up(page: Page, desk: Desk) -> None:
    page.clock.install()
    devices = {"microphones": [], "hangs": True}
    sit_down(page, desk, devices=devices)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    for _ in range(int(PATIENCE_MS / 50)):
        if reports := desk.requests("PUT", "/desktop"):
            break
        page.clock.run_for(1000)
        page.wait_for_timeout(50)
    assert reports[0].body["country"] == "US" and "devices" not in reports[0].body


def test_a_dial_is_shown_before_the_server_knows_and_whatever_it_says(page: Page, desk: Desk) -> None:
    desk.answers = ["hangs"]
    sit_down(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    dial_911(page)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert names(page) == ["Device settings", "End call"]
    assert page.evaluate("() => window.agent.started.length") == 1
    # The server's own panel is that of peace all the while.
    page.wait_for_timeout(INERT_MS)
    assert names(page) == ["Device settings", "End call"]
    page.get_by_role("button", name="End call").click()
    expect(page.get_by_role("alert")).to_be_empty()
    assert page.evaluate("() => window.modes.slice(-2)") == ["emergency", "normal"]


def test_the_first_failure_opens_the_way_to_dial_and_only_the_second_takes_back_an_answer(
    page: Page, desk: Desk, said: list[str]
) -> None:
    page.clock.install()
    desk.panel = None
    sit_down(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("Checking…")
    with page.expect_event("requestfailed"):
        page.clock.run_for(3000)
    expect(page.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    expect(page.get_by_role("button", name="Dial", exact=True)).to_be_visible()
    for server, notes in ((panel(), 0), (503, 0), (503, 1)):
        desk.panel = server
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
        page.evaluate("async () => void (await (await fetch('/')).text())")
        expect(page.locator(".notes li")).to_have_count(notes)
    said.clear()


@pytest.mark.parametrize("server", [panel(), after_drop(), in_emergency(), 503, 403, None])
def test_a_call_in_progress_keeps_its_two_controls_whatever_the_server_says(
    page: Page, desk: Desk, said: list[str], server: dict[str, Any] | int | None
) -> None:
    desk.panel = server
    sit_down(page, desk)
    expect(page.get_by_role("button", name="Device settings")).to_be_visible()
    page.evaluate("() => { window.dialer.dial('911'); }")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    for _ in range(2):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
        page.wait_for_timeout(150)
        assert names(page) == ["Device settings", "End call"]
    without_network_words(said)


@pytest.mark.parametrize("server", [503, 403, None])
@pytest.mark.parametrize("known", [True, False])
def test_after_a_drop_without_a_server_the_way_to_call_again_is_open(
    page: Page, desk: Desk, said: list[str], server: int | None, known: bool
) -> None:
    desk.panel = in_emergency() if known else server
    desk.answers = ["accepted" if known else "500"]
    sit_down(page, desk, scripts=[RINGS, RINGS])
    page.evaluate("() => { window.dialer.dial('911'); }")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    # One that ends before it rings is placed once more.
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    desk.panel = server
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    page.wait_for_function("() => window.dialer.state.ended === 'dropped'")
    again = page.get_by_role("button", name="Call 911 again")
    expect(again).to_be_visible(timeout=15_000)
    expect(page.get_by_role("alert")).to_contain_text("If you were cut off, call again now.")
    page.wait_for_timeout(INERT_MS)
    again.click()
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert page.evaluate("() => window.agent.started.length") == 2
    said.clear()


def test_after_a_drop_that_the_server_refused_to_hear_of_the_way_to_call_again_is_open(
    page: Page, desk: Desk, said: list[str]
) -> None:
    desk.answers = ["403"]
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'refused'")
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    expect(page.get_by_role("button", name="Call 911 again")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("If you were cut off, call again now.")
    said.clear()


def drop_untaken(page: Page, desk: Desk, answer: str) -> str:
    """A call whose report is answered like this, and which drops; the server takes no end. Gives the end's route."""
    desk.panel = in_emergency()
    desk.answers = [answer]
    sit_down(page, desk, scripts=[RINGS])
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("(answer) => window.dialer.state.report === answer", arg=answer)
    end = f"POST emergency-calls/{page.evaluate('() => window.dialer.state.callId')}/end"
    desk.others[end] = 503
    look_again(page)
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    page.wait_for_function("() => window.dialer.state.ended === 'dropped'")
    return end


@pytest.mark.parametrize("answer", ["degraded", "accepted"])
def test_after_a_drop_the_way_to_call_again_is_open_though_the_server_still_counts_the_call(
    page: Page, desk: Desk, said: list[str], answer: str
) -> None:
    end = drop_untaken(page, desk, answer)
    expect(page.get_by_role("alert")).to_contain_text("If you were cut off, call again now.")
    look_again(page)
    assert names(page)[0] == "Call 911 again"
    # It is no word of the agent's about the call that dropped.
    page.wait_for_timeout(INERT_MS)
    page.get_by_role("button", name="End call").click()
    look_again(page)
    assert set(desk.ends) <= {"dropped"}
    # Once the server has taken the end, what it tells counts.
    desk.panel, desk.answers = after_drop(), ["accepted"]
    del desk.others[end]
    expect(page.get_by_role("button", name="End the hold")).to_be_visible()
    desk.panel = in_emergency()
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency call")
    said.clear()


@pytest.mark.parametrize("leg", [False, True])
def test_a_responder_who_rings_before_the_server_has_taken_the_drop_is_answered(
    page: Page, desk: Desk, said: list[str], leg: bool
) -> None:
    drop_untaken(page, desk, "accepted")
    expect(page.get_by_role("button", name="Call 911 again")).to_be_visible()
    desk.panel = ringing(leg=leg)
    look_again(page)
    expect(page.get_by_role("alert")).to_have_text("An emergency responder is calling back. Answer now.")
    # The leg that the server counts beside the ring is the one that dropped.
    assert names(page) == ["Answer", "Device settings"]
    said.clear()


@pytest.mark.parametrize("elsewhere", [in_emergency(), ringing(leg=True)])
def test_an_emergency_that_is_told_after_the_end_of_a_call_here_stays_whatever_becomes_of_the_server(
    page: Page, desk: Desk, said: list[str], elsewhere: dict[str, Any]
) -> None:
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('933'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    page.evaluate("() => window.dialer.end()")
    page.wait_for_function("() => window.dialer.state.ended === 'agent' && !window.dialer.state.endOwed")
    # By the same agent, on another desktop.
    desk.panel = elsewhere
    look_again(page)
    expect(page.get_by_role("button", name="Hold")).to_have_count(0)
    shown = names(page)
    see_the_server_go(page, desk)
    assert names(page) == shown
    said.clear()


MOUNT_ANEW = """() => {
  const before = document.querySelector("emergency-panel");
  const anew = before.cloneNode();
  anew.getToken = before.getToken;
  before.replaceWith(anew);
  anew.dialer = window.dialer;
}"""


@pytest.mark.parametrize(
    ("end", "heading", "shows_number", "again"),
    [
        (None, "Emergency call", 1, 0),
        ({"code": 496, "subCode": 7}, "After the emergency call", 1, 1),
        ({"code": 0, "subCode": 0}, "Checking…", 0, 0),
    ],
)
def test_a_panel_that_is_mounted_anew_shows_no_emergency_that_is_over(
    page: Page, desk: Desk, end: dict[str, int] | None, heading: str, shows_number: int, again: int
) -> None:
    desk.panel = in_emergency()
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency call")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    if end:
        page.evaluate("(end) => window.agent.calls[0].become('Disconnected', end)", end)
    # No poll's answer comes in time.
    desk.panel = None
    page.evaluate(MOUNT_ANEW)
    assert page.get_by_role("heading", level=2).inner_text() == heading
    assert page.get_by_role("region", name="Say this").count() == shows_number
    assert page.get_by_role("button", name="Call 911 again").count() == again


def test_the_end_of_an_ordinary_call_is_no_drop_also_where_the_server_is_away(
    page: Page, desk: Desk, said: list[str]
) -> None:
    desk.answers = ["422"]
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('311'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'refused'")
    desk.panel = 503
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    page.wait_for_function("() => window.dialer.state.phase === 'ended'")
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.locator(".notes li")).to_contain_text("No connection")
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    assert [each for each in names(page) if "again" in each] == []
    said.clear()


def test_911_is_dialled_during_an_ordinary_call_with_a_short_number(page: Page, desk: Desk, said: list[str]) -> None:
    desk.answers = ["422", "accepted"]
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('311'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'refused'")
    dial_911(page)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    assert page.evaluate("() => window.agent.started[1].participants[0].phoneNumber") == "911"
    page.wait_for_timeout(INERT_MS)
    desk.panel = panel()
    end = page.get_by_role("button", name="End call")
    end.click()
    page.wait_for_function("() => window.dialer.state.ended === 'agent'")
    assert page.evaluate("() => window.agent.calls.map((call) => call.hangUps)") == [0, 1]
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    page.wait_for_timeout(INERT_MS)
    # What is left of the dialer's own calls.
    end.click()
    page.wait_for_function("() => !window.dialer.state.inProgress")
    assert page.evaluate("() => window.agent.calls[0].hangUps") == 1
    said.clear()


@pytest.mark.parametrize("number", ["933", "9933"])
def test_a_test_call_is_said_to_be_one_also_where_the_server_is_away(
    page: Page, desk: Desk, said: list[str], number: str
) -> None:
    desk.answers = ["500"]
    desk.panel = 503
    sit_down(page, desk)
    page.evaluate("(number) => { window.dialer.dial(number); }", number)
    expect(page.get_by_role("alert")).to_have_text("TEST: an emergency test call is in progress.")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency test call")
    said.clear()


def test_a_real_call_is_not_said_to_be_the_test_before_it(page: Page, desk: Desk, said: list[str]) -> None:
    test = in_emergency(banner="\u2026", banner_key="test_in_progress")
    desk.panel = test
    desk.answers = ["accepted", "500"]
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('933'); }")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency test call")
    page.evaluate("() => { window.dialer.dial('911'); }")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency call")
    said.clear()


def test_what_to_say_stays_during_a_call_however_long_the_server_is_away(
    page: Page, desk: Desk, said: list[str]
) -> None:
    page.clock.install()
    desk.panel = in_emergency()
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.clock.run_for(100)
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    page.route("**/panel", lambda route: route.abort())
    page.clock.fast_forward(60 * 60_000)
    page.clock.run_for(16_000)
    expect(page.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    expect(page.get_by_role("region", name="Say this")).to_contain_text("+1 425 555 0102")
    said.clear()


@pytest.mark.parametrize("answer", ["500", "403"])
def test_a_report_that_is_not_taken_is_said(page: Page, desk: Desk, said: list[str], answer: str) -> None:
    desk.answers = [answer]
    desk.panel = 503
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    words = "Your colleagues could not be told. Ask someone near you for help."
    expect(page.get_by_role("listitem").filter(has_text=words)).to_be_visible()
    # It is read out: the list is no live region.
    expect(page.get_by_role("status")).to_contain_text(words)
    assert names(page) == ["Device settings", "End call"]
    said.clear()


def test_a_number_that_the_server_does_not_take_leaves_the_panel_as_it_was(
    page: Page, desk: Desk, said: list[str]
) -> None:
    desk.answers = ["422"]
    sit_down(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    page.evaluate("() => { window.dialer.dial('311'); }")
    page.wait_for_function("() => window.dialer.state.report === 'refused'")
    expect(page.get_by_role("alert")).to_be_empty()
    assert page.evaluate("() => window.agent.started[0].participants[0].phoneNumber") == "311"
    said.clear()


def test_the_line_that_is_being_restored_is_said(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    sit_down(page, desk, scripts=[RINGS])
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    words = "The line is being restored. Do not close this window."
    for value, told in ((3, [words]), (1, [])):
        change = {"diagnostic": "networkReconnect", "value": value}
        page.evaluate("(it) => window.agent.calls[0].network.emit('diagnosticChanged', it)", change)
        expect(page.locator(".notes li")).to_have_text(told)
        expect(page.get_by_role("status")).to_have_text("".join(told))
        assert names(page) == ["Device settings", "End call"]


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        (panel(), ["No emergency call", ""]),
        (after_drop(), ["Emergency callback", "It may be the emergency responder."]),
    ],
)
def test_a_call_without_our_mark_may_be_the_responders_only_while_one_is_waited_for(
    page: Page, desk: Desk, server: dict[str, Any], shown: list[str]
) -> None:
    desk.panel = in_emergency()
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    desk.panel = server
    page.evaluate("() => window.dialer.end()")
    page.wait_for_function("() => window.dialer.state.phase === 'ended'")
    expect(page.get_by_role("heading", level=2)).not_to_have_text("Emergency call")
    page.evaluate("() => { window.agent.ring({ marked: false }); }")
    heading, alert = shown
    expect(page.get_by_role("heading", level=2)).to_have_text(heading)
    expect(page.get_by_role("alert")).to_contain_text(alert)
    page.evaluate(
        """() => { window.controls = [];
          document.querySelector('emergency-panel').softphone = { control: (name) => window.controls.push(name) }; }"""
    )
    page.wait_for_timeout(INERT_MS)
    page.get_by_role("button", name="Answer").click()
    if alert:
        page.wait_for_function("() => window.dialer.state.callback")
        assert page.evaluate("() => window.controls") == []
        return
    # A customer's call is the softphone's to answer, and no emergency.
    assert "Decline" in names(page)
    assert page.evaluate("() => window.controls") == ["answer"]
    assert page.evaluate("() => window.dialer.state.callback") is False
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")


def hand_over(page: Page, get_token: str) -> None:
    """Give the element another function that gives tokens."""
    page.evaluate(f"() => {{ document.querySelector('emergency-panel').getToken = {get_token}; }}")


def test_a_token_that_never_comes_does_not_stop_the_panel(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    sit_down(page, desk)
    hand_over(page, '() => (window.given ? new Promise(() => {}) : (window.given = "a-token"))')
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    page.wait_for_function("() => window.given")
    desk.panel = panel()
    # The last token still does.
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call", timeout=PATIENCE_MS * 2)
    assert {each.authorization for each in desk.requests("GET", "/panel")} == {"Bearer a-token"}


def test_a_host_that_gives_no_token_for_a_while_takes_none_away(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    sit_down(page, desk)
    hand_over(page, '() => (window.given ? undefined : (window.given = "a-token"))')
    page.wait_for_function("() => window.given")
    for _ in range(2):
        look_again(page)
    assert {each.authorization for each in desk.requests("GET", "/panel")} == {"Bearer a-token"}


def test_the_token_of_the_agent_before_is_not_used_for_the_next_one(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    sit_down(page, desk)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    hand_over(page, "() => new Promise(() => {})")
    asked = len(desk.requests("GET", "/panel"))
    expect(page.locator(".notes li")).to_contain_text("No connection", timeout=PATIENCE_MS * 3)
    # One may have been on its way.
    assert len(desk.requests("GET", "/panel")) <= asked + 1


def who(agent: str | None, locale: str | None = None) -> dict[str, Any]:
    """What the server says of who is signed in."""
    return {"agent_id": agent, "name": None, "roles": ["EmergencyCalling.Agent"], "locale": locale}


def sit_down_at_a_shared_desk(page: Page, desk: Desk) -> None:
    """The element where nobody says whose panel it is; agent 1 is signed in."""
    desk.others |= {"GET me": who("agent-1"), "PUT agents/agent-2/desktop": {"confirmed": True}}
    page.goto(desk.host_page)
    shared = ELEMENT.replace('"agent-id": "agent-1", ', "").replace('lang: "en", ', "")
    page.evaluate(shared, {"api": f"{desk.address}/api", "options": {}})


def look_again(page: Page) -> None:
    with page.expect_response(lambda response: response.url.endswith("/panel")):
        page.evaluate("() => dispatchEvent(new Event('focus'))")


def asked_of(desk: Desk, agent: str) -> int:
    return len(desk.requests("GET", f"/agents/{agent}/panel"))


def test_the_next_agent_of_a_shared_desk_has_their_own_panel(page: Page, desk: Desk, said: list[str]) -> None:
    desk.panels = {"agent-1": after_drop(), "agent-2": panel()}
    sit_down_at_a_shared_desk(page, desk)
    expect(page.get_by_role("region", name="Say this")).to_contain_text("Example Street")
    desk.panels["agent-1"] = 403
    desk.others["GET me"] = who("agent-2", "es-MX")
    hand_over(page, '() => "another-token"')
    # It is asked for with the next poll.
    expect(page.get_by_role("heading", level=2)).to_have_text("Ninguna llamada de emergencia")
    left = page.evaluate("() => document.querySelector('emergency-panel').shadowRoot.innerHTML")
    assert "Example Street" not in left and "0102" not in left
    reports = desk.requests("PUT", "/agents/agent-2/desktop")
    assert {each.authorization for each in reports} == {"Bearer another-token"}
    said.clear()


def test_the_tag_of_the_agent_before_is_not_that_of_the_next_ones_panel(
    page: Page, desk: Desk, said: list[str]
) -> None:
    # The same panel word for word, and so the same tag.
    desk.panels = {"agent-1": panel(poll_after_s=1), "agent-2": panel(poll_after_s=1)}
    desk.others |= {"GET me": who("agent-1"), "PUT agents/agent-2/desktop": {"confirmed": True}}
    page.goto(desk.host_page)
    page.evaluate(CONNECT, {"panel": f"{desk.address}/api/ui/panel?desktop=desktop-1"})
    framed = page.frame_locator("iframe")
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    desk.panels["agent-1"] = 403
    desk.others["GET me"] = who("agent-2")
    token = {"type": "token", "value": "another-token", "expiresAt": "2030-01-01T00:00:00Z"}
    page.evaluate("(token) => window.port.postMessage(token)", token)
    with page.expect_response(lambda response: "/agent-2/panel" in response.url) as answer:
        pass
    assert answer.value.status == 200
    assert desk.requests("GET", "/agents/agent-2/panel")[0].authorization == "Bearer another-token"
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    expect(framed.locator(".notes li")).to_have_count(0)
    said.clear()


@pytest.mark.parametrize("answer", [503, 401, who(None), who("agent-1")])
def test_a_refusal_without_another_agent_takes_nothing_from_the_page(
    page: Page, desk: Desk, said: list[str], answer: Any
) -> None:
    desk.panels = {"agent-1": in_emergency()}
    sit_down_at_a_shared_desk(page, desk)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    desk.panels["agent-1"] = 401
    desk.others["GET me"] = answer if isinstance(answer, dict) else Scripted({}, status=answer)
    look_again(page)
    expect(page.locator(".notes li")).to_contain_text("You are not signed in")
    with page.expect_response("**/me"):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.get_by_role("region", name="Say this")).to_contain_text("Example Street")
    desk.panels["agent-1"] = in_emergency(banner_key="callback_ringing")
    expect(page.get_by_role("alert")).to_have_text("An emergency responder is calling back. Answer now.")
    said.clear()


def test_what_to_say_stays_through_a_call_whoever_signs_in_meanwhile(page: Page, desk: Desk, said: list[str]) -> None:
    theirs = "agent-as-the-server-knows-them"
    desk.panels = {theirs: in_emergency(), "agent-2": panel()}
    page.clock.install()
    sit_down_at_a_shared_desk(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    desk.panels[theirs] = 403
    desk.others["GET me"] = who("agent-2")
    look_again(page)
    expect(page.locator(".notes li")).to_contain_text("You are not signed in")
    with page.expect_response("**/me"):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    look_again(page)
    expect(page.get_by_role("region", name="Say this")).to_contain_text("Example Street")
    assert asked_of(desk, "agent-2") == 0
    page.evaluate("() => window.dialer.end()")
    page.wait_for_function("() => window.dialer.state.phase === 'ended'")
    with page.expect_response(lambda response: "/agent-2/panel" in response.url):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.get_by_role("region", name="Say this")).to_have_count(0)
    desk.panels |= {"agent-2": 403, "agent-3": panel()}
    desk.others |= {"GET me": who("agent-3"), "PUT agents/agent-3/desktop": {"confirmed": True}}
    page.clock.run_for(6_000)
    look_again(page)
    with page.expect_response(lambda response: "/agent-3/panel" in response.url):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
    # The dialer still tells of the call, and of whose it was.
    before = asked_of(desk, theirs)
    with page.expect_response(lambda response: response.url.endswith("/panel")):
        page.evaluate("() => { window.agent.ring(); }")
    look_again(page)
    assert asked_of(desk, theirs) == before
    said.clear()


def test_a_page_around_that_gives_no_token_leaves_the_panel_its_cookie(page: Page, desk: Desk) -> None:
    desk.panel = in_emergency()
    page.goto(desk.host_page)
    mute = CONNECT.replace('event.data.type === "token-needed"', "false")
    page.evaluate(mute, {"panel": f"{desk.address}/api/ui/panel?agent=agent-1&desktop=desktop-1&locale=en"})
    told = page.frame_locator("iframe").get_by_role("alert")
    expect(told).to_have_text("An emergency call is in progress.", timeout=PATIENCE_MS * 2)


SIGNED_IN_LATE = CONNECT.replace('event.data.type === "token-needed"', "false")
SLOWLY_MS = 600_000


TOKEN = {"type": "token", "value": "a-token", "expiresAt": "2030-01-01T00:00:00Z"}


def sit_down_before_anybody_signs_in(page: Page, desk: Desk, agent: str) -> FrameLocator:
    """A frame in a page that gives no token yet; it has asked in vain, and nothing waits for one any more."""
    desk.others["GET me"] = Scripted({}, status=401)
    desk.panel = 401
    page.clock.install(time="2026-11-26T14:00:00Z")
    page.clock.pause_at("2026-11-26T14:00:01Z")
    page.goto(desk.host_page)
    page.evaluate(SIGNED_IN_LATE, {"panel": f"{desk.address}/api/ui/panel?{agent}desktop=desktop-1&locale=en"})
    framed = page.frame_locator("iframe")
    note = framed.locator(".notes li")
    let_time_pass_until(page, lambda: note.count() and "not signed in" in note.inner_text())
    page.clock.run_for(5_000)
    desk.others["GET me"] = who("agent-1")
    desk.panel = in_emergency()
    return framed


def let_time_pass_until(page: Page, true: Callable[[], object], *, within_ms: int = 200_000) -> None:
    """Move the page's clock on until then, in steps: what an answer sets may be set after any one of them."""
    for _ in range(steps := 200):
        if true():
            return
        page.clock.run_for(within_ms // steps)
        page.wait_for_timeout(50)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("agent", ["", "agent=agent-1&"])
def test_a_token_that_comes_when_nobody_waits_for_it_any_more_shows_the_panel(
    page: Page, desk: Desk, said: list[str], agent: str
) -> None:
    framed = sit_down_before_anybody_signs_in(page, desk, agent)
    page.evaluate("(token) => window.port.postMessage(token)", TOKEN)
    # The page's clock stands still: no timer has brought it about.
    expect(framed.get_by_role("region", name="Say this")).to_contain_text("Example Street")
    expect(framed.locator(".notes li")).to_have_count(0)
    without_network_words(said)


@pytest.mark.parametrize(("characters", "used"), [(8_000, True), (20_000, False)])
def test_a_long_token_of_the_page_around_is_used_as_far_as_it_is_documented(
    page: Page, desk: Desk, said: list[str], characters: int, used: bool
) -> None:
    framed = sit_down_before_anybody_signs_in(page, desk, "agent=agent-1&")
    page.evaluate("(token) => window.port.postMessage(token)", {**TOKEN, "value": "t" * characters})
    page.evaluate("() => window.port.postMessage({ type: 'locale', value: 'it' })")
    region = framed.get_by_role("region", name=WORDS["it"]["say_this"])
    if used:
        expect(region).to_be_visible()
    else:
        expect(framed.get_by_role("heading", level=2)).to_have_text(WORDS["it"]["state_unknown"])
    sent = {each.authorization for each in desk.requests("GET", "/panel")}
    assert sent == ({None, f"Bearer {'t' * characters}"} if used else {None})
    assert "16,384 characters" in PAGES_MD.read_text("utf-8")
    without_network_words(said)


def test_the_height_that_the_frame_is_told_gets_smaller_again(page: Page, desk: Desk, framed: FrameLocator) -> None:
    page.evaluate(
        """() => { const { onmessage } = window.port;
          window.port.onmessage = (event) => {
            onmessage(event);
            if (event.data.type === "height") document.querySelector("iframe").style.height = `${event.data.value}px`;
          }; }"""
    )
    expect(framed.get_by_role("heading", level=2)).to_have_text("No emergency call")
    settings = framed.get_by_role("button", name="Device settings")
    settings.click()
    expect(framed.get_by_role("dialog")).to_be_visible()
    page.wait_for_function("() => document.querySelector('iframe').style.height !== '700px'")
    tall = heard(page, "height")[-1]["value"]
    settings.click()
    page.wait_for_function("(tall) => window.heard.findLast((it) => it.type === 'height').value < tall - 100", arg=tall)
    # As high as what is in it: nothing is cut off, and nothing scrolls.
    page.frames[1].wait_for_function("() => document.documentElement.scrollHeight === innerHeight")


def test_who_it_is_is_asked_again_slowly_where_nobody_had_signed_in(page: Page, desk: Desk, said: list[str]) -> None:
    framed = sit_down_before_anybody_signs_in(page, desk, "")
    asked = len(desk.requests("GET", "/me"))
    say = framed.get_by_role("region", name="Say this")
    let_time_pass_until(page, say.count, within_ms=SLOWLY_MS)
    expect(say).to_contain_text("Example Street")
    assert len(desk.requests("GET", "/me")) == asked + 1
    without_network_words(said)


def test_without_any_token_the_panel_says_that_it_knows_nothing(page: Page, desk: Desk) -> None:
    page.add_init_script("window.noToken = () => new Promise(() => {})")
    page.goto(desk.host_page)
    given = ELEMENT.replace('() => "a-token"', "window.noToken")
    page.evaluate(given, {"api": f"{desk.address}/api", "options": {}})
    expect(page.locator(".notes li")).to_contain_text("No connection", timeout=PATIENCE_MS * 2)
    assert desk.requests("GET", "/panel") == []


def test_what_an_old_token_hid_is_asked_with_a_fresh_one(page: Page, desk: Desk, said: list[str]) -> None:
    desk.panel = after_drop()
    desk.others["POST agents/agent-1/release"] = Scripted({}, status=401)
    sit_down(page, desk)
    end = page.get_by_role("button", name="End the hold")
    expect(end).to_be_visible()
    hand_over(page, "({ fresh } = {}) => (fresh ? 'new' : 'old')")
    page.wait_for_timeout(INERT_MS)
    end.click()
    expect(page.get_by_role("status")).to_have_text("The hold could not be ended. Try again.")
    assert [each.authorization for each in desk.requests("POST", "/release")] == ["Bearer old", "Bearer new"]
    said.clear()


def test_a_callback_is_answered_by_the_dialer(page: Page, desk: Desk) -> None:
    desk.panel = ringing()
    sit_down(page, desk)
    page.evaluate("() => { window.agent.ring(); }")
    expect(page.get_by_role("alert")).to_have_text("An emergency responder is calling back. Answer now.")
    assert names(page) == ["Answer", "Device settings"]
    desk.panel = in_emergency()
    page.get_by_role("button", name="Answer").click()
    page.wait_for_function("() => window.dialer.state.callback")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")


@pytest.mark.parametrize("leg", [False, True])
def test_a_callback_that_was_answered_does_not_ring_though_the_server_still_says_so(
    page: Page, desk: Desk, said: list[str], leg: bool
) -> None:
    desk.panel = ringing(leg=leg)
    sit_down(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency callback")
    page.evaluate("async () => { window.agent.ring(); window.talk = await window.dialer.answer(); }")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency call")
    assert names(page) == ["Device settings", "End call"]
    # Another responder rings through.
    page.evaluate("() => { window.second = window.agent.ring(); }")
    expect(page.get_by_role("button", name="Answer")).to_be_visible()
    page.evaluate("() => window.second.emit('callEnded')")
    expect(page.get_by_role("button", name="Answer")).to_have_count(0)
    desk.panel = 503
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    page.evaluate("() => window.talk.become('Disconnected', { code: 0, subCode: 560000 })")
    # A drop: the time to call again, whatever leg an absent server knew of.
    expect(page.get_by_role("heading", level=2)).to_have_text("After the emergency call")
    assert sorted(names(page)) == sorted(["Call 911 again", *USUAL, *DEVICES_AND_END, *FORM])
    # A server that is back and says that it rings is to be believed.
    desk.panel = ringing(leg=leg, expires_at=None)
    page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency callback")
    said.clear()


def test_a_callback_that_the_server_tells_of_later_rings_also_where_it_is_away_then(
    page: Page, desk: Desk, said: list[str]
) -> None:
    desk.panel = ringing()
    sit_down(page, desk)
    page.evaluate("async () => { window.agent.ring(); window.talk = await window.dialer.answer(); }")
    desk.panel = panel()
    page.evaluate("() => window.talk.become('Disconnected', { code: 0, subCode: 560000 })")
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    desk.panel = ringing()
    page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency callback")
    desk.panel = 503
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.locator(".notes li")).to_contain_text("No connection to the emergency service.")
    expect(page.get_by_role("heading", level=2)).to_have_text("Emergency callback")
    said.clear()


def answer_a_callback(page: Page) -> None:
    page.evaluate("async () => { window.agent.ring(); window.talk = await window.dialer.answer(); }")
    page.wait_for_function("() => window.talk.state === 'Connected' && window.dialer.state.callback")


def see_the_server_go(page: Page, desk: Desk) -> None:
    desk.panel = 503
    for _ in range(2):
        with page.expect_response(lambda response: response.url.endswith("/panel")):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.locator(".notes li").first).to_contain_text("No connection to the emergency service.")


@pytest.mark.parametrize("knew", [panel(), ringing(), ringing(leg=True), in_emergency()])
@pytest.mark.parametrize("dialled", [False, True])
def test_after_the_drop_of_a_callback_without_a_server_the_way_to_call_again_is_open(
    page: Page, desk: Desk, said: list[str], knew: dict[str, Any], dialled: bool
) -> None:
    sit_down(page, desk)
    if dialled:
        page.evaluate("() => { window.dialer.dial('911'); }")
        page.wait_for_function("() => window.dialer.state.report === 'accepted'")
        page.evaluate("() => window.dialer.end()")
        page.wait_for_function("() => window.dialer.state.ended === 'agent'")
    desk.panel = knew
    answer_a_callback(page)
    assert page.evaluate("() => window.dialer.state.ended") is None
    look_again(page)
    see_the_server_go(page, desk)
    page.evaluate("() => window.talk.become('Disconnected', { code: 496, subCode: 7 })")
    again = page.get_by_role("button", name="Call 911 again")
    expect(again).to_be_visible()
    assert names(page)[0] == "Call 911 again"
    expect(page.get_by_role("alert")).to_contain_text("If you were cut off, call again now.")
    page.wait_for_timeout(INERT_MS)
    again.click()
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    said.clear()


def test_a_ring_that_was_told_before_the_last_call_hides_no_way_to_call_again(
    page: Page, desk: Desk, said: list[str]
) -> None:
    desk.panel = ringing()
    sit_down(page, desk)
    expect(page.get_by_role("button", name="Answer")).to_be_visible()
    desk.answers = ["500"]
    see_the_server_go(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    expect(page.get_by_role("button", name="Call 911 again")).to_be_visible()
    assert names(page)[0] == "Call 911 again"
    said.clear()


def test_a_callback_that_the_agent_ended_is_over_also_without_a_server(page: Page, desk: Desk, said: list[str]) -> None:
    sit_down(page, desk)
    desk.panel = in_emergency()
    answer_a_callback(page)
    look_again(page)
    see_the_server_go(page, desk)
    page.evaluate("() => window.dialer.end()")
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    assert [each for each in names(page) if "again" in each] == []
    said.clear()


def test_the_drop_of_a_callback_counts_from_its_own_end(page: Page, desk: Desk, said: list[str]) -> None:
    page.clock.install()
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.clock.run_for(100)
    page.wait_for_function("() => window.dialer.state.phase === 'connected'")
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    desk.panel = in_emergency()
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    page.clock.fast_forward(9 * 60_000)
    page.evaluate("() => { window.agent.ring(); window.dialer.answer().then((call) => (window.talk = call)); }")
    let_time_pass_until(page, lambda: page.evaluate("() => window.dialer.state.callback"), within_ms=5_000)
    see_the_server_go(page, desk)
    page.evaluate("() => window.talk.become('Disconnected', { code: 496, subCode: 7 })")
    again = page.get_by_role("button", name="Call 911 again")
    expect(again).to_be_visible()
    page.clock.fast_forward(9 * 60_000)
    page.clock.run_for(16_000)
    expect(again).to_be_visible()
    page.clock.fast_forward(2 * 60_000)
    page.clock.run_for(16_000)
    expect(again).to_have_count(0)
    said.clear()


def test_an_answer_that_comes_to_nothing_is_said(page: Page, desk: Desk) -> None:
    desk.panel = ringing()
    sit_down(page, desk)
    answer, status = page.get_by_role("button", name="Answer"), page.get_by_role("status")
    words = "The call could not be answered here. Try again, or answer where else it rings."
    # It rings by what the server says, and not, or not yet, in this window.
    answer.click()
    expect(status).to_have_text(words)
    page.evaluate(SILENCE)
    page.evaluate("() => { window.agent.ring().accept = () => Promise.reject(new Error('gone')); }")
    page.wait_for_function("() => window.dialer.state.incoming")
    answer.click()
    expect(status).to_have_text(words)


def test_a_press_that_comes_to_nothing_once_more_is_said_once_more(page: Page, desk: Desk) -> None:
    desk.panel = ringing()
    sit_down(page, desk)
    answer = page.get_by_role("button", name="Answer")
    expect(answer).to_be_visible()
    page.evaluate(
        """() => { window.told = [];
          const status = document.querySelector("emergency-panel").shadowRoot.querySelector("[role=status]");
          new MutationObserver(() => window.told.push(status.textContent)).observe(
            status, { childList: true, characterData: true, subtree: true }); }"""
    )
    words = "The call could not be answered here. Try again, or answer where else it rings."
    answer.click()
    page.wait_for_function("() => window.told.length === 1")
    answer.click()
    page.wait_for_function("() => window.told.length === 3")
    assert page.evaluate("() => window.told") == [words, "", words]


def test_end_call_ends_a_customers_call_through_the_softphone_and_an_emergency_through_the_dialer(
    page: Page, desk: Desk
) -> None:
    sit_down(page, desk)
    page.evaluate(
        """() => { window.controls = [];
          document.querySelector('emergency-panel').softphone = { control: (name) => window.controls.push(name) }; }"""
    )
    end = page.get_by_role("button", name="End call")
    expect(end).to_be_visible()
    page.wait_for_timeout(INERT_MS)
    end.click()
    assert page.evaluate("() => window.controls") == ["end_call"]
    page.evaluate("() => { window.dialer.dial('911'); }")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    page.wait_for_timeout(INERT_MS)
    end.click()
    page.wait_for_function("() => window.dialer.state.ended === 'agent'")
    assert page.evaluate("() => window.controls") == ["end_call"]


@pytest.mark.parametrize("name", ["Mute", "Hold", "Keypad", "Answer", "End call"])
@pytest.mark.parametrize("taken", ["", "by its event", "by the softphone"])
def test_a_press_that_nobody_takes_says_that_there_is_no_softphone(
    page: Page, desk: Desk, name: str, taken: str
) -> None:
    sit_down(page, desk)
    page.evaluate(
        """(taken) => { window.controls = [];
          const element = document.querySelector("emergency-panel");
          const control = (name) => window.controls.push(name);
          element.softphone = taken === "by the softphone" ? { deviceManager: {}, control } : { deviceManager: {} };
          element.addEventListener("control", (event) => taken === "by its event" && event.preventDefault()); }""",
        taken,
    )
    button = page.get_by_role("button", name=name, exact=True)
    expect(button).to_be_visible()
    page.wait_for_timeout(INERT_MS)
    button.click()
    expect(page.get_by_role("status")).to_have_text("" if taken else "No softphone is connected.")
    assert len(page.evaluate("() => window.controls")) == int(taken == "by the softphone")


def test_what_the_panel_or_the_page_around_does_needs_no_softphone(page: Page, desk: Desk) -> None:
    sit_down(page, desk)
    for name in ("Save", "Refresh", "Device settings"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("status")).to_be_empty()
    dial_911(page)
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    expect(page.get_by_role("status")).to_be_empty()


THROWS = {"steps": [], "throws": True}


def test_an_ordinary_dial_that_the_sdk_refuses_is_said_and_the_number_stays(page: Page, desk: Desk) -> None:
    sit_down(page, desk, scripts=[THROWS])
    number = page.get_by_label("Number to dial")
    number.fill("+1 425 555 0180")
    page.get_by_role("button", name="Dial", exact=True).click()
    expect(page.get_by_role("status")).to_have_text(WORDS["en"]["dial_failed"])
    expect(number).to_have_value("+1 425 555 0180")


def test_what_is_typed_meanwhile_is_not_replaced_by_the_number_that_was_refused(page: Page, desk: Desk) -> None:
    sit_down(page, desk)
    page.evaluate("() => { window.dialer.dial = () => new Promise((_, reject) => (window.refuse = reject)); }")
    number = page.get_by_label("Number to dial")
    number.fill("+1 425 555 0180")
    page.get_by_role("button", name="Dial", exact=True).click()
    expect(number).to_have_value("")
    number.fill("+1 425 555 01")
    page.evaluate("() => window.refuse(new Error('refused'))")
    expect(page.get_by_role("status")).to_have_text(WORDS["en"]["dial_failed"])
    expect(number).to_have_value("+1 425 555 01")


def test_an_emergency_that_the_sdk_refuses_is_told_as_an_emergency(page: Page, desk: Desk, said: list[str]) -> None:
    desk.panel = 503
    desk.answers = ["500"]
    sit_down(page, desk, scripts=[THROWS])
    expect(page.locator(".notes li").first).to_contain_text("No connection")
    dial_911(page)
    expect(page.get_by_role("button", name="Call 911 again")).to_be_visible()
    expect(page.get_by_role("status")).not_to_contain_text(WORDS["en"]["dial_failed"])
    expect(page.get_by_label("Number to dial")).to_have_value("")
    said.clear()


def test_a_double_click_on_dial_neither_dials_twice_nor_hangs_up(page: Page, desk: Desk) -> None:
    sit_down(page, desk)
    page.get_by_label("Number to dial").fill("911")
    dial = page.get_by_role("button", name="Dial", exact=True)
    box = dial.bounding_box()
    assert box is not None
    page.mouse.dblclick(box["x"] + 5, box["y"] + 5)
    page.wait_for_timeout(100)
    assert page.evaluate("() => [window.agent.started.length, window.agent.calls[0].hangUps]") == [1, 0]


def dial_and_find_end_call(page: Page, desk: Desk) -> tuple[float, float]:
    """Where *End call* is, once an emergency is dialled and the panel has shown it for as long as it is inert."""
    sit_down(page, desk)
    page.evaluate(
        """() => document.querySelector("emergency-panel").addEventListener("modechange",
          () => (window.changedAt = (performance.timeOrigin + performance.now()) / 1000))"""
    )
    page.get_by_label("Number to dial").fill("911")
    page.get_by_role("button", name="Dial", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    end = page.get_by_role("button", name="End call")
    end.hover()
    page.wait_for_timeout(INERT_MS)
    box = end.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_second_of_a_slow_double_click_on_dial_does_not_hang_up(page: Page, desk: Desk) -> None:
    x, y = dial_and_find_end_call(page, desk)
    page.mouse.move(x, y)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_timeout(100)
    assert page.evaluate("() => window.agent.calls[0].hangUps") == 0


@pytest.mark.parametrize(("made_after_ms", "hang_ups"), [(100, 0), (INERT_MS, 1)])
def test_a_press_that_a_busy_desktop_hands_on_late_does_not_hang_up(
    page: Page, desk: Desk, made_after_ms: int, hang_ups: int
) -> None:
    x, y = dial_and_find_end_call(page, desk)
    made_at = page.evaluate("() => window.changedAt") + made_after_ms / 1000
    protocol = page.context.new_cdp_session(page)
    for kind in ("mousePressed", "mouseReleased"):
        press = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, "timestamp": made_at}
        protocol.send("Input.dispatchMouseEvent", press)
    page.wait_for_timeout(100)
    assert page.evaluate("() => window.agent.calls[0].hangUps") == hang_ups


def test_the_focus_of_who_dials_with_enter_goes_to_the_heading(page: Page, desk: Desk) -> None:
    sit_down(page, desk)
    number = page.get_by_label("Number to dial")
    number.fill("911")
    number.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("An emergency call is in progress.")
    expect(page.get_by_role("heading", level=2)).to_be_focused()


def test_the_page_around_hears_of_controls_that_come_in_the_same_mode(page: Page, desk: Desk) -> None:
    desk.panel = ringing()
    sit_down(page, desk)
    listen = "(event) => (window.controls = event.detail.controls)"
    page.evaluate(f"() => document.querySelector('emergency-panel').addEventListener('modechange', {listen})")
    expect(page.get_by_role("button", name="Answer")).to_be_visible()
    desk.panel = ringing(leg=True)
    page.evaluate("() => dispatchEvent(new Event('focus'))")
    expect(page.get_by_role("button", name="End call")).to_be_visible()
    assert page.evaluate("() => window.controls") == ["answer", "device_settings", "end_call"]


def test_headset_handlers_of_the_page_around_are_let_alone_until_there_is_something_to_refuse(
    page: Page, desk: Desk
) -> None:
    page.add_init_script(
        """window.handled = [];
        MediaSession.prototype.setActionHandler = (name, handler) => window.handled.push([name, handler !== null]);"""
    )
    sit_down(page, desk)
    expect(page.get_by_role("heading", level=2)).to_have_text("No emergency call")
    assert page.evaluate("() => window.handled") == []
    page.evaluate("() => { window.dialer.dial('911'); }")
    page.wait_for_function("() => window.handled.length === 4 && window.handled.every(([, refuses]) => refuses)")
    page.evaluate("() => document.querySelector('emergency-panel').remove()")
    assert page.evaluate("() => window.handled.slice(4).every(([, refuses]) => !refuses)")


def test_the_panel_polls_under_the_id_that_the_server_knows(page: Page, desk: Desk) -> None:
    sit_down(page, desk)
    dial_911(page)
    page.wait_for_function("() => window.dialer.state.report === 'accepted'")
    with page.expect_response(lambda response: "agent-as-the-server-knows-them/panel" in response.url):
        page.evaluate("() => dispatchEvent(new Event('focus'))")
