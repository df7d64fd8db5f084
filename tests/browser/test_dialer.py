"""The dialer against a scripted agent and an API that fails in every way: the call is always placed, at once."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from functions.pages import FOLDER
from shared.domain.emergency_numbers import placement, recognise
from shared.domain.errors import NotAnEmergency
from tests.browser.desk import LENT, Desk, Scripted
from tests.browser.looks import without_network_words

HERE = Path(__file__).parent
AT_ONCE_MS = 700
AGAIN_MS = 1000
PURCHASED = "+14255550150"
SETTLE_S = 10.0
# Tries of an end; the dialer waits for a minute after each from then on.
MINUTES_APART_AFTER = 6
# Tries of a report, after which it waits for eight seconds each time.
EIGHT_SECONDS_APART_AFTER = 4
# Less than either of those pauses.
SOON_MS = 6_000
CLOSED = "http://127.0.0.1:9/api"
RINGS = {"steps": [[2, "Connecting"], [20, "Ringing"], [40, "Connected"]]}
CONNECTS_ONLY = {"steps": [[2, "Connecting"]]}
FAILS = {"steps": [[2, "Connecting"], [60, "Disconnected", {"code": 490, "subCode": 4525}]]}
STUCK: dict[str, Any] = {"steps": []}
THROWS = {"steps": [], "throws": True}
# The mark of the stand-in's callbacks, and another one.
INVITATION = "5d0c2f3e-9a41-5b7c-8e6d-0f1a2b3c4d5e"
# What the dialer keeps in the storage of the page around.
UNENDED = "() => sessionStorage.getItem('ec')"
KEEP = "(ids) => sessionStorage.setItem('ec', ids)"
OF_A_TAB_THAT_DIED = "0c5f1a7e-4b2d-4f6a-8c3e-1d2b3a4c5e6f"
SECOND_INVITATION = "7b1e4a60-2c3d-5e4f-9a8b-1c2d3e4f5a6b"

SET_UP = """async ({ scripts, options, api }) => {
  const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
  const { StandInAgent } = await import("/ui/stand-in-agent.js");
  window.agent = new StandInAgent(...scripts);
  window.states = [];
  window.tokens = 0;
  window.dialer = createEmergencyDialer({
    api, callAgent: window.agent, country: "US", agentId: "agent-1", locale: "en",
    getToken: ({ fresh } = {}) => (fresh ? "fresh" : "first"),
    onChange: (state) => window.states.push(state), ...options,
  });
}"""
DIAL = """async (number) => {
  const placed = window.dialer.dial(number);
  const inTheClick = window.agent.started.length;
  // Timers of one length run in the order in which they were set, however late the machine is.
  window.inTime = new Promise((over) => setTimeout(() => over(window.agent.started.length === 1), 600));
  const call = await placed.catch(() => null);
  return { inTheClick, placed: call !== null };
}"""
STARTED = "() => window.agent.started.map(({ participants, options, at }) => ({ participants, options, at }))"


@pytest.fixture(autouse=True)
def _the_browsers_own_words(page: Page, said: list[str]) -> Iterator[None]:
    """Chromium reports each failed request on the console by itself."""
    yield
    without_network_words(said)


class Caller:
    """A page with a dialer on it."""

    def __init__(self, page: Page, desk: Desk, *, site: str = "127.0.0.1") -> None:
        self.page = page
        self.desk = desk
        self.address = desk.address.replace("127.0.0.1", site)

    def sit_down(self, *scripts: dict[str, Any], api: str | None = None, **options: Any) -> Caller:
        """Open the page and make a dialer."""
        self.page.goto(self.address)
        given = {"scripts": list(scripts) or [RINGS], "options": options, "api": api or f"{self.desk.address}/api"}
        self.page.evaluate(SET_UP, given)
        return self

    def dial(self, number: str = "911") -> dict[str, Any]:
        answer: dict[str, Any] = self.page.evaluate(DIAL, number)
        return answer

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.page.evaluate("() => window.dialer.state")
        return state

    @property
    def started(self) -> list[dict[str, Any]]:
        started: list[dict[str, Any]] = self.page.evaluate(STARTED)
        return started

    def wait_for(self, expression: str) -> None:
        self.page.wait_for_function(f"() => {expression}", timeout=SETTLE_S * 1000)

    def wait_until(self, true: Callable[[], object]) -> None:
        for _ in range(int(SETTLE_S * 20)):
            if true():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("it did not come about")

    def let_time_pass_until(self, true: Callable[[], object], within_ms: int = 2_000_000) -> None:
        """Move the page's clock on until then: a timer that an answer sets may be set after any one move of it."""
        moves = int(SETTLE_S * 20)
        for _ in range(moves):
            if true():
                return
            self.page.clock.run_for(within_ms // moves)
            self.page.wait_for_timeout(50)
        raise AssertionError("it did not come about")


@pytest.fixture
def caller(page: Page, desk: Desk) -> Caller:
    return Caller(page, desk)


FAULTS = ["accepted", "hangs", "drips", "401", "422", "429", "500", "degraded", "empty pool", "refused connection"]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_call_is_placed_in_the_clicks_own_task_whatever_the_app_does(caller: Caller, fault: str) -> None:
    caller.desk.answers = [fault]
    caller.sit_down(api=CLOSED if fault == "refused connection" else None)
    dialled = caller.dial()
    assert dialled["inTheClick"] == 1 and dialled["placed"]
    [placed] = caller.started
    assert placed["participants"] == [{"phoneNumber": "911"}] and placed["options"] == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_where_the_caller_id_is_ours_the_call_waits_for_the_answer_but_not_long(caller: Caller, fault: str) -> None:
    caller.desk.answers = [fault]
    caller.sit_down(api=CLOSED if fault == "refused connection" else None, callerIdIsOurs=True)
    dialled = caller.dial()
    assert dialled["placed"] and caller.page.evaluate("() => window.inTime")
    [placed] = caller.started
    shown = {"alternateCallerId": {"phoneNumber": LENT}} if fault == "accepted" else {}
    assert placed["options"] == shown


def test_what_is_reported(caller: Caller) -> None:
    caller.sit_down(desktopId="desktop-1", acsUserId="8:acs:r_dana")
    caller.dial("9-911")
    caller.wait_for("window.dialer.state.report === 'accepted'")
    [report] = caller.desk.reports
    assert report.authorization == "Bearer first"
    body = report.body
    said = {name: body[name] for name in ("agent_id", "dialled", "country", "desktop_id", "acs_user_id")}
    assert said == {
        "agent_id": "agent-1",
        "dialled": "9-911",
        "country": "US",
        "desktop_id": "desktop-1",
        "acs_user_id": "8:acs:r_dana",
    }
    assert body["caller_id_ours"] is False and 0 <= body["dialled_ago_ms"] < AT_ONCE_MS
    assert caller.started[0]["participants"] == [{"phoneNumber": "911"}]
    # The page polls under the id by which the server knows the emergency.
    assert caller.state["agentId"] == "agent-as-the-server-knows-them"


def test_the_report_is_repeated_until_it_is_as_it_should_be(caller: Caller) -> None:
    caller.desk.answers = ["500", "degraded", "accepted"]
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.report === 'accepted'")
    ages = [report.body["dialled_ago_ms"] for report in caller.desk.reports]
    assert len(ages) == 3 and ages == sorted(ages) and ages[2] > 1000
    assert len({(report.body["call_id"], report.body["dialled_at"]) for report in caller.desk.reports}) == 1
    assert {"degraded", "unreachable"} <= {state["report"] for state in caller.page.evaluate("() => window.states")}


def test_an_old_token_is_replaced_once(caller: Caller) -> None:
    caller.desk.answers = ["401", "accepted"]
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.report === 'accepted'")
    assert [report.authorization for report in caller.desk.reports] == ["Bearer first", "Bearer fresh"]
    # An old token is no refusal: nobody is told that colleagues could not be.
    assert "refused" not in {state["report"] for state in caller.page.evaluate("() => window.states")}


@pytest.mark.parametrize("status", ["401", "403", "422"])
def test_what_is_refused_is_said_and_not_repeated(caller: Caller, status: str) -> None:
    caller.desk.answers = [status]
    caller.sit_down()
    caller.dial()
    caller.wait_until(lambda: len(caller.desk.reports) == (2 if status == "401" else 1))
    caller.wait_for("window.dialer.state.report === 'refused'")
    caller.page.wait_for_timeout(1200)
    assert len(caller.desk.reports) == (2 if status == "401" else 1)
    # A number that is none there is an ordinary call, and is shown as one.
    assert caller.state["emergency"] is (status != "422")


HAND_OVER = """async ({ api, getToken }) => {
  const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
  window.states = [];
  window.dialer = createEmergencyDialer({
    api, callAgent: window.agent, country: "US", agentId: "agent-1", getToken: eval(getToken),
    onChange: (state) => window.states.push(state),
  });
}"""
# The host keeps giving the old token where no fresh one is asked for.
SLOW_TWICE = """(() => {
  let times = 0;
  const slow = () => new Promise((resolve) => setTimeout(resolve, ++times > 2 ? 0 : 3000, "fresh"));
  return ({ fresh } = {}) => (fresh ? slow() : "first");
})()"""
NEVER_FRESH = '({ fresh } = {}) => (fresh ? Promise.reject(new Error("no network")) : "first")'
# While a fresh one is on its way, the call ends, and its report is given the old one.
FRESH_COMES_AFTER_AN_OLD_ONE = """(() => {
  const fresh = new Promise((resolve) => (window.comes = () => resolve("fresh")));
  const ends = () => {
    window.dialer.end();
    setTimeout(window.comes);
  };
  return (how = {}) => (how.fresh ? (setTimeout(ends), fresh) : "old");
})()"""
# The first ask is the one ahead of any dial.
FIRST_COMES_LAST = """(() => {
  let times = 0;
  const first = new Promise((resolve) => (window.comes = () => resolve("first")));
  return () => (times++ ? "later" : first);
})()"""


def with_tokens_of(caller: Caller, get_token: str, *scripts: dict[str, Any]) -> Caller:
    """A dialer whose host gives tokens like this."""
    caller.sit_down(*scripts)
    caller.page.evaluate(HAND_OVER, {"api": f"{caller.desk.address}/api", "getToken": get_token})
    return caller


def reports_told(caller: Caller) -> set[str]:
    """What was told of the report, up to now."""
    return {state["report"] for state in caller.page.evaluate("() => window.states")}


def test_a_fresh_token_that_comes_late_is_used_at_a_later_try_and_nothing_was_refused(caller: Caller) -> None:
    caller.desk.answers = ["401", "401", "accepted"]
    with_tokens_of(caller, SLOW_TWICE).dial()
    caller.wait_for("window.dialer.state.report === 'accepted'")
    assert [each.authorization for each in caller.desk.reports] == ["Bearer first", "Bearer first", "Bearer fresh"]
    assert "refused" not in reports_told(caller)


def test_where_no_fresh_token_comes_the_report_is_repeated_and_nothing_was_refused(caller: Caller) -> None:
    caller.desk.answers = ["401"]
    with_tokens_of(caller, NEVER_FRESH).dial()
    caller.wait_until(lambda: len(caller.desk.reports) >= 4)
    caller.wait_for("window.dialer.state.report === 'unreachable'")
    assert "refused" not in reports_told(caller)


def test_a_tie_and_an_end_wait_for_the_fresh_token_that_comes_late(caller: Caller) -> None:
    with_tokens_of(caller, SLOW_TWICE, {**RINGS, "serverCallIdAfterMs": 300}).dial()
    call = f"emergency-calls/{caller.state['callId']}"
    caller.desk.others |= {f"PATCH {call}": 401, f"POST {call}/end": 401}
    caller.wait_until(lambda: len(caller.desk.requests("PATCH", call)) == 3)
    ties = [each.authorization for each in caller.desk.requests("PATCH", call)]
    assert ties == ["Bearer first", "Bearer first", "Bearer fresh"]
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_until(lambda: len(caller.desk.ends) >= 2)
    ends = [each.authorization for each in caller.desk.requests("POST", "/end")]
    assert ends[:2] == ["Bearer first", "Bearer fresh"]


def test_a_fresh_token_counts_though_an_ordinary_one_was_asked_for_after_it(caller: Caller) -> None:
    caller.desk.answers = ["401", "accepted"]
    with_tokens_of(caller, FRESH_COMES_AFTER_AN_OLD_ONE).dial()
    caller.wait_until(lambda: len(caller.desk.reports) == 2)
    assert [each.authorization for each in caller.desk.reports] == ["Bearer old", "Bearer fresh"]


def test_a_token_that_was_asked_for_before_another_does_not_take_its_place(page: Page, caller: Caller) -> None:
    with_tokens_of(caller, FIRST_COMES_LAST).dial()
    caller.wait_for("window.dialer.state.report === 'accepted'")
    page.evaluate("async () => { window.comes(); await new Promise((resolve) => setTimeout(resolve)); }")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    caller.wait_until(lambda: caller.desk.ends)
    # The page that goes away has no time to ask for a token.
    assert caller.desk.requests("POST", "/end")[0].authorization == "Bearer later"


@pytest.mark.parametrize("none", ["undefined", "null", '""'])
def test_a_host_that_gives_no_token_before_the_sign_in_leaves_the_cookie_and_refuses_nothing(
    caller: Caller, none: str
) -> None:
    caller.desk.answers = ["401", "accepted"]
    with_tokens_of(caller, f'() => (window.signedIn ? "a-token" : {none})').dial()
    caller.wait_until(lambda: caller.desk.reports)
    caller.page.evaluate("() => { window.signedIn = true; }")
    caller.wait_for("window.dialer.state.report === 'accepted'")
    assert [each.authorization for each in caller.desk.reports] == [None, "Bearer a-token"]
    assert "refused" not in reports_told(caller)


def test_a_token_that_never_comes_delays_nothing_but_the_report(caller: Caller) -> None:
    caller.sit_down()
    caller.page.evaluate(
        """async ({ api }) => {
          const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
          const getToken = () => new Promise(() => {});
          window.dialer = createEmergencyDialer({ api, callAgent: window.agent, getToken });
        }""",
        {"api": f"{caller.desk.address}/api"},
    )
    assert caller.dial()["inTheClick"] == 1
    caller.wait_until(lambda: len(caller.desk.reports) == 1)


def test_a_page_that_throws_fails_no_call(caller: Caller) -> None:
    caller.sit_down()
    caller.page.evaluate(
        """async ({ api }) => {
          const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
          const onChange = () => { throw new Error("a page"); };
          window.dialer = createEmergencyDialer({ api, callAgent: window.agent, onChange });
        }""",
        {"api": f"{caller.desk.address}/api"},
    )
    assert caller.dial()["placed"]


def test_a_double_click_is_one_call(caller: Caller) -> None:
    caller.sit_down()
    caller.page.evaluate("() => { window.dialer.dial('911'); window.dialer.dial('911'); }")
    caller.wait_for("window.dialer.state.report === 'accepted'")
    assert len(caller.started) == 1 and len(caller.desk.reports) == 1


@pytest.mark.parametrize("report", ["accepted", "403"])
def test_while_an_emergency_is_talked_on_another_dial_is_that_call(caller: Caller, report: str) -> None:
    caller.desk.answers = [report]
    caller.sit_down()
    caller.dial()
    reported = "accepted" if report == "accepted" else "refused"
    caller.wait_for(f"window.dialer.state.phase === 'connected' && window.dialer.state.report === '{reported}'")
    for number in ("911", "9,911", "112", "933", "311", "+1 425 555 0180"):
        assert caller.dial(number)["placed"]
    assert len(caller.started) == 1 and len(caller.desk.reports) == 1


# A country, a number that is none of a real emergency there, what the server says of it, and the real one.
PAST = [
    ("US", "311", "422", "911"),
    ("US", "311", "hangs", "911"),
    ("GB", "101", "422", "999"),
    ("US", "933", "accepted", "911"),
    ("US", "933", "500", "911"),
]


@pytest.mark.parametrize(("country", "first", "answer", "real"), PAST)
def test_an_emergency_is_placed_past_a_call_that_is_none(
    caller: Caller, country: str, first: str, answer: str, real: str
) -> None:
    # The last one for every repetition.
    caller.desk.answers = [answer, "accepted", answer]
    caller.sit_down(country=country)
    caller.dial(first)
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.wait_until(lambda: caller.desk.reports)
    if answer.isdigit():
        caller.wait_for("['refused', 'unreachable'].includes(window.dialer.state.report)")
    assert caller.dial(real)["inTheClick"] == 2
    assert caller.dial(real)["placed"] and len(caller.started) == 2
    assert caller.started[1]["participants"] == [{"phoneNumber": real}]
    state = caller.state
    assert (state["emergency"], state["test"], state["dial"]) == (True, False, real)
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_for("window.dialer.state.ended === 'agent'")
    # A test is an emergency call of this desktop; an ordinary call goes on, and can be ended by itself.
    assert caller.page.evaluate("() => window.agent.calls.map((call) => call.hangUps)") == [int(first == "933"), 1]
    assert caller.state["inProgress"] is (first != "933")
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_for("!window.dialer.state.inProgress")
    assert caller.page.evaluate("() => window.agent.calls[0].hangUps") == 1
    # Each end is told of its own call.
    caller.wait_until(lambda: len(told_to_have_ended(caller.desk)) >= 2)
    dialled = {report.body["call_id"] for report in caller.desk.reports}
    assert set(told_to_have_ended(caller.desk)) == {(call_id, "agent") for call_id in dialled}
    assert caller.state["ended"] == "agent" and caller.state["dial"] == real


@pytest.mark.parametrize(("first", "second"), [("911", "911"), ("911", "9-911"), ("999", "911")])
def test_a_second_click_is_the_same_call_though_the_server_takes_it_for_none(
    caller: Caller, first: str, second: str
) -> None:
    caller.desk.answers = ["422"]
    caller.sit_down()
    caller.dial(first)
    caller.wait_for("window.dialer.state.report === 'refused'")
    assert caller.dial(second)["placed"] and len(caller.started) == 1


def test_another_number_for_the_same_emergency_is_the_same_call(caller: Caller) -> None:
    caller.sit_down(country="GB")
    caller.dial("999")
    assert caller.dial("112")["placed"] and len(caller.started) == 1


def test_a_test_after_an_emergency_hides_it_from_nobody(caller: Caller) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected' && window.dialer.state.report === 'accepted'")
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    caller.wait_for("window.dialer.state.ended === 'dropped'")
    caller.dial("933")
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate("() => window.agent.calls[1].become('Disconnected', { code: 0, subCode: 0 })")
    caller.wait_for("!window.dialer.state.inProgress")
    assert (caller.state["ended"], caller.state["dial"], caller.state["test"]) == ("dropped", "911", False)


def test_of_two_ordinary_calls_with_short_numbers_the_newest_is_ended(caller: Caller) -> None:
    caller.desk.answers = ["422"]
    caller.sit_down()
    for number in ("311", "211"):
        caller.dial(number)
        caller.wait_for("window.dialer.state.phase === 'connected' && window.dialer.state.report === 'refused'")
    caller.page.evaluate("() => window.dialer.end()")
    assert caller.page.evaluate("() => window.agent.calls.map((call) => call.hangUps)") == [0, 1]


def test_a_test_that_outlasts_an_emergency_is_what_is_in_progress(caller: Caller) -> None:
    caller.sit_down()
    caller.dial("933")
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.dial("911")
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate("() => window.agent.calls[1].become('Disconnected', { code: 496, subCode: 7 })")
    caller.wait_for("window.dialer.state.test")
    assert (caller.state["emergency"], caller.state["ended"]) == (True, None)
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 0, subCode: 0 })")
    caller.wait_for("!window.dialer.state.emergency")
    assert (caller.state["dial"], caller.state["ended"]) == ("911", "dropped")


def test_an_ordinary_call_neither_blocks_another_one_nor_ends_as_an_emergency(caller: Caller) -> None:
    caller.desk.answers = ["422"]
    caller.sit_down()
    caller.dial("311")
    caller.wait_for("window.dialer.state.report === 'refused' && window.dialer.state.phase === 'connected'")
    caller.dial("+1 425 555 0180")
    assert len(caller.started) == 2
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    caller.wait_until(lambda: caller.desk.ends == ["dropped"])
    assert (caller.state["phase"], caller.state["ended"]) == ("ended", None)


def test_after_a_drop_an_ordinary_call_hides_it_from_nobody(caller: Caller) -> None:
    caller.desk.answers = ["accepted", "422"]
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected' && window.dialer.state.report === 'accepted'")
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    caller.wait_for("window.dialer.state.ended === 'dropped'")
    caller.dial("311")
    caller.wait_until(lambda: len(caller.desk.reports) == 2)
    caller.page.evaluate("() => window.agent.calls[1].become('Disconnected', { code: 0, subCode: 0 })")
    caller.wait_for("!window.dialer.state.inProgress")
    assert (caller.state["ended"], caller.state["dial"]) == ("dropped", "911")


@pytest.mark.parametrize("purchased", [None, PURCHASED])
@pytest.mark.parametrize("first", [FAILS, THROWS])
def test_a_call_that_fails_before_it_rings_is_tried_once_more(
    caller: Caller, first: dict[str, Any], purchased: str | None
) -> None:
    options: dict[str, Any] = {"purchasedCallerId": purchased} if purchased else {}
    caller.sit_down(first, RINGS, callerIdIsOurs=True, **options)
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    tries = caller.started
    assert len(tries) == 2
    assert tries[0]["options"] == {"alternateCallerId": {"phoneNumber": LENT}}
    assert tries[1]["options"] == ({"alternateCallerId": {"phoneNumber": purchased}} if purchased else {})
    assert tries[1]["at"] - tries[0]["at"] < 60 + AGAIN_MS
    assert caller.desk.ends == [] and len(caller.desk.reports) == 1


def test_a_call_that_stays_without_a_word_is_hung_up_and_tried_again(caller: Caller) -> None:
    caller.sit_down(STUCK, RINGS)
    # However late the machine is, a timer of the same length is as late.
    caller.page.evaluate("() => { setTimeout(() => (window.stuckAt = performance.now()), 1500); }")
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    tries = caller.started
    assert len(tries) == 2 and tries[1]["at"] - tries[0]["at"] > 1400
    assert tries[1]["at"] - caller.page.evaluate("() => window.stuckAt") < 400
    assert caller.page.evaluate("() => window.agent.calls[0].hangUps") == 1
    assert caller.desk.ends == []


def test_a_call_that_was_replaced_and_connects_all_the_same_is_hung_up_again(caller: Caller) -> None:
    caller.sit_down({**STUCK, "hangUp": "rejects"}, RINGS)
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate("() => window.agent.calls[0].become('Connected')")
    assert caller.page.evaluate("() => window.agent.calls.map((call) => call.hangUps)") == [2, 0]
    # Its end is not that of the call that replaced it.
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 0, subCode: 0 })")
    assert (caller.state["phase"], caller.state["emergency"], caller.desk.ends) == ("connected", True, [])


def test_a_call_that_fails_twice_is_reported_as_dropped(caller: Caller) -> None:
    caller.sit_down(FAILS)
    caller.dial()
    caller.wait_until(lambda: caller.desk.ends == ["dropped"])
    assert len(caller.started) == 2
    assert (caller.state["phase"], caller.state["ended"], caller.state["emergency"]) == ("ended", "dropped", False)


ENDS = [
    ((0, 0), "agent"),
    ((0, 560000), "dropped"),
    ((0, 4521), "dropped"),
    ((0, 5000), "dropped"),
    ((0, 5300), "dropped"),
    ((0, 7000), "dropped"),
    ((496, 7), "dropped"),
    ((410, 3100), "dropped"),
    ((490, 4502), "dropped"),
    ((408, 4506), "dropped"),
    ((495, 4507), "dropped"),
    ((403, 510403), "dropped"),
    ((486, 560486), "dropped"),
    ((487, 0), "dropped"),
]


@pytest.mark.parametrize(("code", "reason"), ENDS)
def test_what_counts_as_the_agents_end_of_a_call_that_stood(caller: Caller, code: tuple[int, int], reason: str) -> None:
    ends = [60, "Disconnected", {"code": code[0], "subCode": code[1]}]
    caller.sit_down({"steps": [*RINGS["steps"], ends]})
    caller.dial()
    caller.wait_until(lambda: caller.desk.ends == [reason])


@pytest.mark.parametrize("script", [CONNECTS_ONLY, RINGS, STUCK])
def test_end_call_is_the_agents_end_in_every_state(caller: Caller, script: dict[str, Any]) -> None:
    caller.sit_down(script)
    caller.dial()
    caller.page.wait_for_timeout(100)
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_until(lambda: caller.desk.ends == ["agent"])
    assert len(caller.started) == 1
    caller.wait_for("sessionStorage.length === 0")


def test_a_call_that_was_ended_while_it_waited_is_never_placed(caller: Caller) -> None:
    caller.desk.answers = ["hangs"]
    caller.sit_down(callerIdIsOurs=True)
    caller.page.evaluate("() => { window.dialer.dial('911'); window.dialer.end(); }")
    wait_for_ends(caller, 1)
    caller.page.wait_for_timeout(AT_ONCE_MS + 100)
    assert caller.started == [] and caller.desk.ends == ["agent"]


NEVER_ENDS = [
    {**STUCK, "hangUp": "rejects"},
    {**CONNECTS_ONLY, "hangUp": "hangs"},
    {**CONNECTS_ONLY, "hangUp": "rejects"},
    {"steps": [[2, "Connecting"], [20, "Ringing"]], "hangUp": "rejects"},
    {**RINGS, "hangUp": "hangs"},
]


def stand_still(caller: Caller) -> None:
    """Stop the page's clock: no machine is too slow for what must not have happened yet."""
    caller.page.clock.install(time="2026-11-26T14:00:00Z")
    caller.page.clock.pause_at("2026-11-26T14:00:01Z")


def hang_up_in_vain(caller: Caller, script: dict[str, Any]) -> None:
    """Dial and press End call; the page's clock stands still but where it is moved."""
    stand_still(caller)
    caller.sit_down(script, RINGS)
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.report === 'accepted'")
    caller.page.evaluate("() => window.dialer.end()")


@pytest.mark.parametrize("script", NEVER_ENDS)
def test_a_dial_after_end_call_is_a_call_of_its_own_though_the_one_before_does_not_end(
    caller: Caller, script: dict[str, Any]
) -> None:
    hang_up_in_vain(caller, script)
    assert caller.dial()["inTheClick"] == 2
    # A double click is still one call.
    assert caller.dial()["inTheClick"] == 2


@pytest.mark.parametrize("script", NEVER_ENDS)
def test_a_call_whose_hang_up_never_completes_is_over_all_the_same(caller: Caller, script: dict[str, Any]) -> None:
    hang_up_in_vain(caller, script)
    caller.page.clock.run_for(2900)
    assert caller.state["emergency"] and caller.desk.ends == []
    caller.page.clock.run_for(200)
    assert (caller.state["emergency"], caller.state["inProgress"], caller.state["ended"]) == (False, False, "agent")
    caller.wait_until(lambda: caller.desk.ends == ["agent"])
    assert len(caller.started) == 1


def test_a_call_that_stands_though_it_was_hung_up_can_be_ended_again(caller: Caller) -> None:
    hang_up_in_vain(caller, {**RINGS, "hangUp": "rejects"})
    caller.page.clock.run_for(3100)
    assert caller.state["emergency"] and caller.desk.ends == []
    caller.page.evaluate("() => window.dialer.end()")
    assert caller.page.evaluate("() => window.agent.calls[0].hangUps") == 2


def test_a_call_that_was_given_up_and_connects_all_the_same_is_hung_up_again(caller: Caller) -> None:
    hang_up_in_vain(caller, {**CONNECTS_ONLY, "hangUp": "rejects"})
    caller.page.clock.run_for(3100)
    caller.page.evaluate("() => window.agent.calls[0].become('Connected')")
    assert caller.page.evaluate("() => window.agent.calls[0].hangUps") == 2
    assert caller.state["emergency"] is False


@pytest.mark.parametrize("after", ["ends", "connects"])
def test_a_callback_whose_hang_up_never_completes_is_over_all_the_same(caller: Caller, after: str) -> None:
    stand_still(caller)
    caller.sit_down()
    caller.page.evaluate("() => { window.agent.ring({ hangUp: 'hangs' }); window.dialer.answer(); }")
    caller.page.clock.run_for(400)
    caller.wait_for("window.dialer.state.callback && window.agent.calls[0].state === 'Connected'")
    caller.page.evaluate("() => window.dialer.end()")
    caller.page.clock.run_for(3100)
    assert caller.state["emergency"] is False
    caller.wait_until(lambda: told_to_have_ended(caller.desk) == [(INVITATION, "agent")])
    become = "Connected" if after == "connects" else "Disconnected"
    caller.page.evaluate("(state) => window.agent.calls[0].become(state)", become)
    assert caller.page.evaluate("() => window.agent.calls[0].hangUps") == (2 if after == "connects" else 1)
    assert len(caller.desk.ends) == 1


@pytest.mark.parametrize("site", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("script", [STUCK, CONNECTS_ONLY, RINGS])
def test_a_reload_leaves_no_leg_behind(page: Page, desk: Desk, script: dict[str, Any], site: str) -> None:
    # From `localhost` the API is another site: the report of the end then needs a preflight first.
    caller = Caller(page, desk, site=site).sit_down(script)
    caller.dial()
    caller.page.wait_for_timeout(100)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    caller.wait_until(lambda: "dropped" in desk.ends)


@pytest.mark.parametrize("site", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("script", [RINGS, THROWS])
def test_a_page_that_goes_away_reports_a_dial_that_was_not_taken_yet(
    page: Page, desk: Desk, script: dict[str, Any], site: str
) -> None:
    # From `localhost` the API is another site: the report then needs a preflight first.
    caller = Caller(page, desk, site=site).sit_down(script)
    desk.answers = ["hangs", "accepted"]
    caller.dial()
    caller.wait_until(lambda: desk.reports)
    call_id = caller.state["callId"]
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    caller.wait_until(lambda: len(desk.reports) == 2 and desk.ends)
    assert {report.body["call_id"] for report in desk.reports} == {call_id}
    assert set(desk.ends) == {"dropped"}


def test_a_page_that_may_be_come_back_to_tells_at_once_what_is_owed_and_ends_nothing(caller: Caller) -> None:
    stand_still(caller)
    # It waits for no token: a page in the back/forward cache does nothing any more.
    with_tokens_of(caller, "() => new Promise(() => {})").dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate(GOES_TO_THE_CACHE)
    caller.wait_until(lambda: caller.desk.reports)
    assert caller.desk.ends == [] and caller.state["inProgress"]
    caller.page.evaluate("() => window.dialer.end()")
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'ended'")
    caller.page.evaluate(GOES_TO_THE_CACHE)
    caller.wait_until(lambda: caller.desk.ends)
    assert caller.desk.ends == ["agent"] and len(caller.desk.reports) == 2


@pytest.mark.parametrize("answer", ["accepted", "403"])
def test_a_page_that_goes_away_does_not_repeat_a_report_that_was_answered(
    page: Page, caller: Caller, answer: str
) -> None:
    caller.desk.answers = [answer]
    caller.sit_down()
    caller.dial()
    caller.wait_for("['accepted', 'refused'].includes(window.dialer.state.report)")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    wait_for_ends(caller, 1)
    caller.sit_down()
    caller.wait_for("sessionStorage.length === 0")
    assert len(caller.desk.reports) == 1


def dial_in_vain(caller: Caller, end: str) -> None:
    """A call of which the server is not told and that is over, by `window.{end}`; the page's clock stands still."""
    caller.desk.answers = ["503"]
    stand_still(caller)
    caller.sit_down()
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.report === 'unreachable' && window.dialer.state.phase === 'connected'")
    caller.page.evaluate(f"() => window.{end}")
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'ended'")


GOES_TO_THE_CACHE = "() => { dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })); }"
DROPS = "agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })"
HOUR_MS = 3_600_000


def test_a_page_that_goes_away_reports_no_call_that_is_long_over(page: Page, caller: Caller) -> None:
    dial_in_vain(caller, "dialer.end()")
    page.clock.fast_forward(3 * HOUR_MS)
    wait_for_ends(caller, 1)
    caller.desk.answers = ["accepted"]
    reported = len(caller.desk.reports)
    page.reload()
    caller.sit_down()
    caller.wait_for("sessionStorage.length === 0")
    assert len(caller.desk.reports) == reported


def wake_up_later(caller: Caller, slept_ms: int) -> None:
    """Move the time of day alone: the browser's other clock stands while the desktop sleeps."""
    now = caller.page.evaluate("() => Date.now()")
    caller.page.clock.set_system_time((now + slept_ms) / 1000)


@pytest.mark.parametrize("asks", ["the loop", "the page that goes away"])
def test_a_desk_that_slept_reports_no_call_that_was_over_by_then(page: Page, caller: Caller, asks: str) -> None:
    dial_in_vain(caller, DROPS)
    wake_up_later(caller, 9 * HOUR_MS)
    caller.desk.answers = ["accepted"]
    reported = len(caller.desk.reports)
    if asks == "the loop":
        # Its end is told once the report is given up.
        caller.let_time_pass_until(lambda: caller.desk.ends)
    else:
        page.reload()
        caller.sit_down()
        caller.wait_for("sessionStorage.length === 0")
    assert len(caller.desk.reports) == reported


def test_a_desk_that_slept_for_minutes_says_how_long_ago_the_call_was(caller: Caller) -> None:
    dial_in_vain(caller, DROPS)
    wake_up_later(caller, 5 * 60_000)
    caller.desk.answers = ["accepted"]
    caller.let_time_pass_until(lambda: caller.state["report"] == "accepted", within_ms=60_000)
    assert caller.desk.reports[-1].body["dialled_ago_ms"] >= 5 * 60_000


@pytest.mark.parametrize("hours", [9, -9])
def test_a_clock_that_is_put_right_silences_and_ages_no_call_that_stands(caller: Caller, hours: int) -> None:
    caller.desk.answers = ["503"]
    stand_still(caller)
    caller.sit_down()
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.report === 'unreachable'")
    wake_up_later(caller, hours * HOUR_MS)
    caller.desk.answers = ["accepted"]
    caller.let_time_pass_until(lambda: caller.state["report"] == "accepted", within_ms=60_000)
    assert 0 <= caller.desk.reports[-1].body["dialled_ago_ms"] <= 60_000


HANG_UP_AS_THE_SDK_ADVISES = "() => addEventListener('beforeunload', () => void window.agent.calls.at(-1).hangUp())"


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("call", ["dialled", "callback"])
def test_what_a_page_hangs_up_as_it_wants_to_leave_was_not_ended_by_the_agent(
    page: Page, caller: Caller, call: str, stays: bool
) -> None:
    caller.sit_down()
    if call == "dialled":
        caller.dial()
        caller.wait_for("window.dialer.state.phase === 'connected'")
    else:
        answer_callback(caller)
    page.evaluate(HANG_UP_AS_THE_SDK_ADVISES)
    if stays:
        # As the browser tells it where the agent then stays.
        page.evaluate("() => { dispatchEvent(new Event('beforeunload', { cancelable: true })); }")
        caller.wait_for("!window.dialer.state.inProgress")
    else:
        page.on("dialog", lambda dialog: dialog.accept())
        page.reload()
    caller.wait_until(lambda: caller.desk.ends)
    assert set(caller.desk.ends) == {"dropped"}


def test_who_stays_ends_a_later_call_themselves(page: Page, caller: Caller) -> None:
    stand_still(caller)
    caller.sit_down()
    caller.dial()
    page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'connected' && window.dialer.state.report === 'accepted'")
    page.evaluate("() => { dispatchEvent(new Event('beforeunload', { cancelable: true })); }")
    page.clock.run_for(10_100)
    page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 0, subCode: 0 })")
    caller.wait_until(lambda: caller.desk.ends == ["agent"])


def test_a_tab_that_died_says_so_when_it_comes_back_and_a_copy_of_a_living_one_does_not(
    context: BrowserContext, caller: Caller, said: list[str]
) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.report === 'accepted'")
    call_id = caller.state["callId"]
    assert caller.page.evaluate(UNENDED) == call_id
    copied = Caller(context.new_page(), caller.desk)
    copied.page.goto(copied.address)
    copied.page.evaluate(KEEP, call_id)
    copied.sit_down()
    copied.wait_for("sessionStorage.length === 0")
    assert caller.desk.ends == []
    # The same storage, and nobody holds the call any more.
    copied.page.evaluate(KEEP, OF_A_TAB_THAT_DIED)
    copied.sit_down()
    copied.wait_until(lambda: caller.desk.ends == ["dropped"])
    copied.wait_for("sessionStorage.length === 0")


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (f"../agents/agent-2/release {OF_A_TAB_THAT_DIED}", [OF_A_TAB_THAT_DIED]),
        ("en-CA", []),
        (f"{OF_A_TAB_THAT_DIED} {INVITATION}", [OF_A_TAB_THAT_DIED, INVITATION]),
    ],
)
def test_of_what_lies_in_the_storage_only_ids_of_calls_are_told(caller: Caller, kept: str, told: list[str]) -> None:
    caller.page.goto(caller.address)
    caller.page.evaluate(KEEP, kept)
    caller.sit_down()
    # A call of this page comes and goes meanwhile.
    answer_callback(caller, mark=SECOND_INVITATION)
    caller.page.evaluate("() => window.dialer.end()")
    ends = {(each, "dropped") for each in told} | {(SECOND_INVITATION, "agent")}
    caller.wait_until(lambda: set(told_to_have_ended(caller.desk)) == ends)
    caller.wait_for("sessionStorage.length === 0")
    assert {each.path.split("/")[-1] for each in caller.desk.seen if each.method == "POST"} == {"end"}


def test_without_a_network_the_call_is_placed_and_reported_when_it_is_back(
    context: BrowserContext, caller: Caller
) -> None:
    caller.sit_down()
    context.set_offline(True)
    assert caller.dial()["inTheClick"] == 1
    caller.wait_for("window.dialer.state.report === 'unreachable'")
    context.set_offline(False)
    caller.wait_for("window.dialer.state.report === 'accepted'")


def test_the_end_of_a_call_that_a_lost_network_dropped_is_told_when_it_is_back(
    context: BrowserContext, caller: Caller
) -> None:
    caller.page.clock.install()
    caller.sit_down()
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.report === 'accepted' && window.dialer.state.phase === 'connected'")
    context.set_offline(True)
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    # Longer than any of the first pauses between two tries.
    for _ in range(8):
        caller.page.clock.run_for(31_000)
    assert caller.desk.ends == []
    context.set_offline(False)
    caller.wait_for("sessionStorage.length === 0")
    assert set(caller.desk.ends) == {"dropped"}


def wait_for_ends(caller: Caller, count: int) -> None:
    caller.wait_until(lambda: len(caller.desk.ends) >= count)


def test_a_network_that_comes_back_during_a_try_is_not_waited_for_once_more(caller: Caller) -> None:
    caller.page.clock.install()
    caller.sit_down()
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.report === 'accepted' && window.dialer.state.phase === 'connected'")
    ends = f"POST emergency-calls/{caller.state['callId']}/end"
    caller.desk.others[ends] = 503
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    # Until a minute lies between two tries: longer than a test waits.
    caller.let_time_pass_until(lambda: len(caller.desk.ends) >= MINUTES_APART_AFTER)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    caller.page.route("**/end", hold, times=1)
    caller.let_time_pass_until(lambda: held)
    caller.desk.others[ends] = 200
    tried = len(caller.desk.ends)
    caller.page.evaluate("() => { dispatchEvent(new Event('online')); }")
    held[0].abort()
    wait_for_ends(caller, tried + 1)
    caller.wait_for("sessionStorage.length === 0")


def test_a_drop_without_a_network_is_told_after_its_dial_when_it_is_back(
    context: BrowserContext, caller: Caller
) -> None:
    stand_still(caller)
    caller.sit_down()
    context.set_offline(True)
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    # Eight seconds lie between two reports from now on.
    for _ in range(4):
        caller.page.clock.run_for(8_000)
    assert caller.desk.seen == []
    context.set_offline(False)
    caller.let_time_pass_until(lambda: caller.desk.ends)
    assert set(caller.desk.ends) == {"dropped"}
    told = told_in_order(caller)
    assert set(told) == {"dial", "end"} and told == sorted(told)


def the_network_comes_back_and_does_not_carry_yet(caller: Caller, tried: Callable[[], int]) -> None:
    """One try more at once, which fails, and the page's clock is where it was."""
    before = tried()
    caller.page.evaluate("() => { dispatchEvent(new Event('online')); }")
    caller.wait_until(lambda: tried() > before)


def test_a_report_is_tried_again_soon_after_the_first_try_of_a_network_that_came_back(caller: Caller) -> None:
    caller.desk.answers = ["500"]
    stand_still(caller)
    caller.sit_down()
    caller.dial()
    caller.let_time_pass_until(lambda: len(caller.desk.reports) >= EIGHT_SECONDS_APART_AFTER)
    the_network_comes_back_and_does_not_carry_yet(caller, lambda: len(caller.desk.reports))
    caller.desk.answers = ["accepted"]
    caller.let_time_pass_until(lambda: caller.state["report"] == "accepted", within_ms=SOON_MS)


def test_an_end_is_tried_again_soon_after_the_first_try_of_a_network_that_came_back(caller: Caller) -> None:
    stand_still(caller)
    caller.sit_down()
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.report === 'accepted' && window.dialer.state.phase === 'connected'")
    ends = f"POST emergency-calls/{caller.state['callId']}/end"
    caller.desk.others[ends] = 503
    caller.page.evaluate("() => window.agent.calls[0].become('Disconnected', { code: 496, subCode: 7 })")
    caller.let_time_pass_until(lambda: len(caller.desk.ends) >= MINUTES_APART_AFTER)
    the_network_comes_back_and_does_not_carry_yet(caller, lambda: len(caller.desk.ends))
    caller.desk.others[ends] = 200
    caller.let_time_pass_until(lambda: caller.page.evaluate("() => sessionStorage.length === 0"), within_ms=SOON_MS)


@pytest.mark.parametrize("script", [THROWS, FAILS])
def test_the_drop_of_a_call_that_could_not_be_placed_is_told_after_its_dial_was_taken(
    caller: Caller, script: dict[str, Any]
) -> None:
    caller.desk.answers = ["500", "degraded", "accepted"]
    caller.sit_down(script)
    caller.dial()
    caller.wait_until(lambda: caller.desk.ends == ["dropped"])
    assert told_in_order(caller) == ["dial", "dial", "dial", "end"]


def told_in_order(caller: Caller) -> list[str]:
    """What reached the server of a call, oldest first."""
    kinds = {"emergency-calls": "dial", "end": "end"}
    return [kinds[last] for each in caller.desk.seen if (last := each.path.split("/")[-1]) in kinds]


def test_a_page_that_goes_away_says_once_more_who_ended_a_call_that_is_over(page: Page, caller: Caller) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.report === 'accepted' && window.dialer.state.phase === 'connected'")
    caller.desk.others[f"POST emergency-calls/{caller.state['callId']}/end"] = 503
    page.evaluate("() => window.dialer.end()")
    wait_for_ends(caller, 1)
    tried = len(caller.desk.ends)
    caller.desk.others = {}
    page.reload()
    wait_for_ends(caller, tried + 1)
    assert set(caller.desk.ends) == {"agent"}


def test_a_redial_does_not_forget_the_end_that_is_still_owed(context: BrowserContext, caller: Caller) -> None:
    drops = {"steps": [*RINGS["steps"], [60, "Disconnected", {"code": 496, "subCode": 7}]]}
    caller.desk.others = {}
    caller.sit_down(drops, RINGS)
    context.set_offline(True)
    caller.dial()
    caller.wait_for("window.dialer.state.ended === 'dropped'")
    caller.dial()
    first, second = caller.page.evaluate(UNENDED).split(" ")
    context.set_offline(False)
    # The tab dies before the next try, and comes back.
    caller.page.goto("about:blank")
    caller.sit_down()
    ends = [f"/api/emergency-calls/{call_id}/end" for call_id in (first, second)]
    caller.wait_until(lambda: all(caller.desk.requests("POST", end) for end in ends))


def test_an_end_that_an_old_token_hid_is_told_with_a_fresh_one(caller: Caller) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.desk.others[f"POST emergency-calls/{caller.state['callId']}/end"] = 401
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_until(lambda: len(caller.desk.ends) >= 2)
    assert caller.desk.requests("POST", "/end")[1].authorization == "Bearer fresh"


@pytest.mark.parametrize("status", [408, 429])
def test_a_tie_and_an_end_that_were_not_taken_in_time_are_told_again(caller: Caller, status: int) -> None:
    caller.sit_down({**RINGS, "serverCallIdAfterMs": 300}).dial()
    call = f"emergency-calls/{caller.state['callId']}"
    late = Scripted({}, status=status)
    caller.desk.others |= {f"PATCH {call}": late, f"POST {call}/end": late}
    # Chromium by itself repeats what is answered with 408, once.
    caller.wait_until(lambda: len(caller.desk.requests("PATCH", call)) > 2)
    caller.page.evaluate("() => window.dialer.end()")
    wait_for_ends(caller, 3)


def test_the_tie_waits_for_the_servers_id_and_for_the_report(caller: Caller) -> None:
    caller.desk.answers = ["500", "accepted"]
    caller.sit_down({**RINGS, "serverCallIdAfterMs": 300})
    caller.dial()
    caller.wait_until(lambda: caller.desk.requests("PATCH", "emergency-calls/"))
    [tie] = caller.desk.requests("PATCH", "emergency-calls/")
    assert tie.body == {"server_call_id": "server-call-1"}
    assert caller.desk.seen.index(tie) > caller.desk.seen.index(caller.desk.reports[-1])


def test_a_tie_that_an_old_token_hid_is_told_with_a_fresh_one(caller: Caller) -> None:
    caller.sit_down({**RINGS, "serverCallIdAfterMs": 300})
    caller.dial()
    caller.desk.others[f"PATCH emergency-calls/{caller.state['callId']}"] = 401
    caller.wait_until(lambda: len(caller.desk.requests("PATCH", "emergency-calls/")) >= 2)
    caller.page.wait_for_timeout(1200)
    ties = caller.desk.requests("PATCH", "emergency-calls/")
    assert [tie.authorization for tie in ties] == ["Bearer first", "Bearer fresh"]


def test_a_callback_is_answered_past_a_customers_call_which_is_held_and_never_ended(caller: Caller) -> None:
    caller.sit_down()
    caller.page.evaluate("() => { window.customer = window.agent.startCall([{ phoneNumber: '+14255550180' }]); }")
    caller.wait_for("window.customer.state === 'Connected'")
    caller.page.evaluate("() => { window.agent.ring(); }")
    caller.wait_for("window.dialer.state.incoming?.marked")
    caller.page.evaluate("() => window.dialer.answer()")
    caller.wait_for("window.dialer.state.callback && window.dialer.state.emergency")
    assert caller.page.evaluate("() => [window.customer.holds, window.customer.hangUps]") == [1, 0]
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_for("!window.dialer.state.callback")
    assert caller.page.evaluate("() => window.customer.hangUps") == 0


def told_to_have_ended(desk: Desk) -> list[tuple[str, str]]:
    """The ends that were reported: of which call, and why."""
    return [(each.path.split("/")[-2], each.body["reason"]) for each in desk.requests("POST", "/end")]


def answer_callback(caller: Caller, **how: Any) -> None:
    """A call rings, is answered, and is `window.talk` from then on."""
    caller.page.evaluate("async (how) => { window.agent.ring(how); window.talk = await window.dialer.answer(); }", how)
    caller.wait_for("window.talk.state === 'Connected' && window.dialer.state.callback")


def test_end_call_tells_that_the_agent_ended_the_callback(caller: Caller) -> None:
    caller.sit_down()
    answer_callback(caller)
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_until(lambda: told_to_have_ended(caller.desk) == [(INVITATION, "agent")])
    caller.wait_for("!window.dialer.state.callback && sessionStorage.length === 0")


@pytest.mark.parametrize(("code", "reason"), ENDS)
def test_what_counts_as_the_agents_end_of_a_callback_is_what_does_of_a_dialled_call(
    caller: Caller, code: tuple[int, int], reason: str
) -> None:
    caller.sit_down()
    answer_callback(caller)
    end = {"code": code[0], "subCode": code[1]}
    caller.page.evaluate("(end) => window.talk.become('Disconnected', end)", end)
    caller.wait_until(lambda: told_to_have_ended(caller.desk) == [(INVITATION, reason)])


def test_the_end_of_a_callback_is_told_again_until_it_is_taken(caller: Caller) -> None:
    caller.sit_down()
    answer_callback(caller)
    route = f"POST emergency-calls/{INVITATION}/end"
    caller.desk.others[route] = 503
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_until(lambda: caller.desk.ends == ["agent"])
    assert caller.page.evaluate(UNENDED) == INVITATION
    caller.desk.others[route] = {}
    caller.wait_until(lambda: caller.desk.ends == ["agent", "agent"])
    caller.wait_for("sessionStorage.length === 0")


def test_a_callback_is_dropped_where_its_page_is_reloaded(page: Page, caller: Caller) -> None:
    caller.sit_down()
    answer_callback(caller)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    caller.wait_until(lambda: (INVITATION, "dropped") in told_to_have_ended(caller.desk))


def test_a_callback_that_outlives_the_panel_is_still_followed_to_its_end(page: Page, caller: Caller) -> None:
    caller.sit_down()
    answer_callback(caller)
    page.evaluate("() => window.dialer.dispose()")
    page.evaluate("() => window.talk.become('Disconnected', { code: 0, subCode: 560000 })")
    caller.wait_until(lambda: told_to_have_ended(caller.desk) == [(INVITATION, "dropped")])


def test_end_call_ends_the_callbacks_of_two_responders_and_tells_both(caller: Caller) -> None:
    caller.sit_down()
    answer_callback(caller)
    answer_callback(caller, mark=SECOND_INVITATION)
    assert caller.page.evaluate("() => window.agent.calls.map((call) => call.holds)") == [0, 0]
    caller.page.evaluate("() => window.dialer.end()")
    both = {(INVITATION, "agent"), (SECOND_INVITATION, "agent")}
    caller.wait_until(lambda: set(told_to_have_ended(caller.desk)) == both)


@pytest.mark.parametrize(
    "how", [{"marked": False}, {"mark": ""}, {"mark": "1"}, {"mark": "../agents/agent-1/release?x="}]
)
def test_the_end_of_a_call_without_a_usable_mark_is_not_told(caller: Caller, how: dict[str, Any]) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.report === 'accepted'")
    answer_callback(caller, **how)
    caller.page.evaluate("() => window.talk.become('Disconnected', { code: 0, subCode: 0 })")
    caller.wait_for("!window.dialer.state.callback")
    # One whose end is told comes after it: by then any report of the first would be here too.
    answer_callback(caller)
    caller.page.evaluate("() => window.talk.become('Disconnected', { code: 0, subCode: 0 })")
    caller.wait_until(lambda: told_to_have_ended(caller.desk))
    assert told_to_have_ended(caller.desk) == [(INVITATION, "agent")]


def rings_twice(caller: Caller, first: dict[str, Any], second: dict[str, Any]) -> None:
    """During a call two others ring; `window.accepts` tells which were answered."""
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate(
        """(both) => {
          window.accepts = [];
          window.rung = both.map((how, index) => {
            const incoming = window.agent.ring(how);
            const { accept } = incoming;
            return Object.assign(incoming, { accept: () => (window.accepts.push(index), accept()) });
          });
        }""",
        [first, second],
    )


def test_the_responders_callback_is_what_is_answered_whatever_else_rings(caller: Caller) -> None:
    rings_twice(caller, {}, {"marked": False})
    assert caller.state["incoming"] == {"marked": True}
    caller.page.evaluate("() => window.dialer.answer()")
    assert caller.page.evaluate("() => window.accepts") == [0]
    # The other one rings on, and may be the responder too.
    assert caller.state["incoming"] == {"marked": False}


def test_a_callback_rings_on_where_another_one_gives_up(caller: Caller) -> None:
    rings_twice(caller, {}, {"mark": SECOND_INVITATION})
    caller.page.evaluate("() => window.rung[1].emit('callEnded')")
    assert caller.state["incoming"] == {"marked": True}
    caller.page.evaluate("() => window.dialer.answer()")
    assert caller.page.evaluate("() => window.accepts") == [0]
    assert caller.state["incoming"] is None


def test_a_double_click_answers_a_callback_once(caller: Caller) -> None:
    rings_twice(caller, {}, {"mark": SECOND_INVITATION})
    caller.page.evaluate("() => Promise.all([window.dialer.answer(), window.dialer.answer()])")
    assert caller.page.evaluate("() => window.accepts") == [0]


def test_a_callback_does_not_hold_the_emergency_leg(caller: Caller) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.page.evaluate("async () => { window.agent.ring(); await window.dialer.answer(); }")
    assert caller.page.evaluate("() => window.agent.calls[0].holds") == 0


@pytest.mark.parametrize(
    ("marked", "phone", "shown"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_after_an_emergency_any_telephone_may_be_the_responder(
    caller: Caller, marked: bool, phone: bool, shown: bool
) -> None:
    caller.sit_down()
    caller.dial()
    caller.page.evaluate("(how) => { window.agent.ring(how); }", {"marked": marked, "phone": phone})
    assert (caller.state["incoming"] is not None) is shown


ANSWER_ORDINARY = """async () => {
  const incoming = window.agent.ring({ marked: false });
  const noticed = window.dialer.state.incoming !== null;
  window.talk = await window.dialer.answer(incoming);
  return noticed || window.dialer.state.callback;
}"""


# A telephone call without our mark, which nobody answers: whether it was noticed.
RING_UNMARKED = """() => {
  const incoming = window.agent.ring({ marked: false });
  const noticed = window.dialer.state.incoming !== null;
  incoming.emit("callEnded");
  return noticed;
}"""


@pytest.mark.parametrize("number", ["311", "+1 425 555 0180"])
def test_after_an_ordinary_call_no_customer_is_taken_for_the_responder(caller: Caller, number: str) -> None:
    caller.desk.answers = ["422"]
    caller.sit_down()
    caller.dial(number)
    if number == "311":
        caller.wait_for("window.dialer.state.report === 'refused'")
    assert caller.page.evaluate(ANSWER_ORDINARY) is False
    caller.wait_for("window.talk.state === 'Connected'")
    assert caller.state["emergency"] is False
    # It is as much a customer's call as any other where a responder does call.
    caller.page.evaluate("async () => { window.agent.ring(); await window.dialer.answer(); }")
    assert caller.page.evaluate("() => [window.talk.holds, window.talk.hangUps]") == [1, 0]


@pytest.mark.parametrize(("report", "lent_min"), [("accepted", 52), ("500", 60)])
def test_a_telephone_may_be_the_responder_for_as_long_as_the_number_is_lent(
    caller: Caller, report: str, lent_min: int
) -> None:
    caller.desk.answers = [report]
    caller.page.clock.install()
    caller.sit_down()
    caller.dial()
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.wait_for("['accepted', 'unreachable'].includes(window.dialer.state.report)")
    caller.page.evaluate("() => window.dialer.end()")
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'ended'")
    caller.page.clock.fast_forward((lent_min - 1) * 60_000)
    assert caller.page.evaluate(RING_UNMARKED) is True
    caller.page.clock.fast_forward(2 * 60_000)
    assert caller.page.evaluate(RING_UNMARKED) is False


@pytest.mark.parametrize(("number", "awaited"), [("911", True), ("311", False)])
def test_after_a_reload_a_telephone_may_still_be_the_responder(caller: Caller, number: str, awaited: bool) -> None:
    caller.desk.answers = ["accepted" if awaited else "422"]
    caller.page.clock.install()
    caller.sit_down()
    assert caller.page.evaluate(RING_UNMARKED) is False
    caller.dial(number)
    caller.page.clock.run_for(100)
    caller.wait_for("window.dialer.state.phase === 'connected'")
    caller.wait_for("['accepted', 'refused'].includes(window.dialer.state.report)")
    caller.sit_down()
    assert caller.page.evaluate(RING_UNMARKED) is awaited
    if awaited:
        # Also when the end is told, and nothing of the call is kept any more.
        caller.wait_for("sessionStorage.length === 0")
    caller.page.clock.fast_forward(58 * 60_000)
    assert caller.page.evaluate(RING_UNMARKED) is awaited
    caller.page.clock.fast_forward(3 * 60_000)
    assert caller.page.evaluate(RING_UNMARKED) is False


def test_a_responder_without_our_mark_is_answered_past_a_customers_call(caller: Caller) -> None:
    caller.sit_down()
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected' && window.dialer.state.report === 'accepted'")
    caller.page.evaluate("() => window.dialer.end()")
    caller.wait_for("window.dialer.state.phase === 'ended'")
    caller.page.evaluate("() => { window.customer = window.agent.startCall([{ phoneNumber: '+14255550180' }]); }")
    caller.wait_for("window.customer.state === 'Connected'")
    caller.page.evaluate("async () => { window.agent.ring({ marked: false }); await window.dialer.answer(); }")
    caller.wait_for("window.dialer.state.callback")
    assert caller.page.evaluate("() => [window.customer.holds, window.customer.hangUps]") == [1, 0]


def test_a_desktop_says_nothing_of_what_it_cannot_know_of_itself(caller: Caller) -> None:
    caller.sit_down(desktopId="desktop-1")
    caller.wait_until(lambda: caller.desk.requests("PUT", "/desktop"))
    # Whether it is virtual or behind a VPN is for its back end to say: `unknown` would take that back.
    assert "environment" not in caller.desk.requests("PUT", "/desktop")[0].body


def test_the_report_of_a_desktop_says_no_time_by_its_own_clock(context: BrowserContext, caller: Caller) -> None:
    context.grant_permissions(["geolocation"], origin=caller.address)
    context.set_geolocation({"latitude": 47.64, "longitude": -122.13, "accuracy": 12})
    caller.sit_down(desktopId="desktop-1")
    caller.wait_until(lambda: caller.desk.requests("PUT", "/desktop"))
    body = caller.desk.requests("PUT", "/desktop")[0].body
    # The server's clock counts: where this one is slow by a quarter of an hour, nothing would ever be live.
    assert "at" not in body and body["location"] == {"latitude": 47.64, "longitude": -122.13, "accuracy_m": 12}


def test_a_page_that_was_hidden_over_a_report_of_its_desktop_makes_up_for_it(caller: Caller) -> None:
    caller.page.add_init_script(
        "window.seen = 'visible'; Object.defineProperty(document, 'visibilityState', { get: () => window.seen });"
    )
    caller.page.clock.install()
    caller.sit_down(desktopId="desktop-1")
    caller.wait_until(lambda: caller.desk.requests("PUT", "/desktop"))
    be_seen(caller, "hidden")
    caller.page.clock.run_for(601_000)
    be_seen(caller, "visible")
    caller.wait_until(lambda: len(caller.desk.requests("PUT", "/desktop")) == 2)
    be_seen(caller, "hidden")
    be_seen(caller, "visible")
    caller.page.wait_for_timeout(100)
    assert len(caller.desk.requests("PUT", "/desktop")) == 2, "not at each glance"


def be_seen(caller: Caller, state: str) -> None:
    caller.page.evaluate(
        "(state) => { window.seen = state; document.dispatchEvent(new Event('visibilitychange')); }", state
    )


def test_a_browser_that_never_says_where_it_is_holds_no_report_up(caller: Caller) -> None:
    caller.page.add_init_script(
        """navigator.permissions.query = async () => ({ state: "granted" });
        navigator.geolocation.getCurrentPosition = () => {};"""
    )
    caller.page.clock.install()
    caller.sit_down(desktopId="desktop-1")
    caller.let_time_pass_until(lambda: caller.desk.requests("PUT", "/desktop"))
    assert "location" not in caller.desk.requests("PUT", "/desktop")[0].body


def test_the_line_that_is_being_restored_is_told(caller: Caller) -> None:
    caller.sit_down(diagnostics="the SDK's own")
    caller.dial()
    caller.wait_for("window.dialer.state.phase === 'connected'")
    bad = {"diagnostic": "networkReconnect", "value": 3}
    caller.page.evaluate("(it) => window.agent.calls[0].network.emit('diagnosticChanged', it)", bad)
    assert caller.state["phase"] == "reconnecting" and caller.state["emergency"]
    caller.page.evaluate("(it) => window.agent.calls[0].network.emit('diagnosticChanged', it)", {**bad, "value": 1})
    assert caller.state["phase"] == "connected"


def test_the_line_of_a_callback_that_is_being_restored_is_told(caller: Caller) -> None:
    caller.sit_down(diagnostics="the SDK's own")
    answer_callback(caller)
    for value, phase in ((3, "reconnecting"), (1, "idle")):
        change = {"diagnostic": "networkReconnect", "value": value}
        caller.page.evaluate("(it) => window.talk.network.emit('diagnosticChanged', it)", change)
        assert caller.state["phase"] == phase


def test_another_number_is_placed_and_not_reported(caller: Caller) -> None:
    caller.sit_down()
    caller.dial("+1 425 555 0180")
    caller.page.wait_for_timeout(100)
    assert caller.started[0]["participants"] == [{"phoneNumber": "+1 425 555 0180"}]
    assert caller.desk.reports == [] and caller.state["phase"] == "idle"


# Numbers -------------------------------------------------------------------------------------------------------------

WRITTEN = [
    *("911", "9-1-1", " 911 ", "tel:911", "TEL:9.1.1", "(911)", "1911", "9911", "91911", "9-1-911", "+911", "+1911"),
    *(
        "9,911",
        "911,,,1",
        "911;5",
        "9;911",
        "911p1",
        "\uff19\uff11\uff11",
        "\u0669\u0661\u0661",
        "9\u200b11",
        "9\u201311",
    ),
    *("sip:911@example.com;user=phone", "sips:911", "callto:911", "tel:911;phone-context=+1", "4:911", "4:+911"),
    *("urn:service:sos", "urn:service:sos.fire", "tel:+1911", "sip:%39%31%31@example.com", "4:911_1b2c"),
    *("933", "9933", "1933", "112", "999", "000", "106", "114", "110", "10111", "124422", "1300"),
    *(
        "911#",
        "*911",
        "<tel:911>",
        "9\u00b71\u00b71",
        "9\u28001\u28001",
        "9\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e3",
        "911@example.com",
    ),
    *("911;ext=1", "911;phone-context=+1", "911pizza", "911,A", "9_1_1", "\u2079\u00b9\u00b9", "<urn:service:sos>"),
    *("911#5551234", "911help", "5551@911", "4:9115551234_1b2c", "9\u31641\uffa01", "9\u30fc1\u30fb1"),
    *(
        "911+",
        "9+1+1",
        "9+911",
        "9,+1911",
        "@911",
        "sip:@911",
        "@911@example.com",
        "911\u00bd",
        "9\u216711",
        "911\u2469",
    ),
    *("9\u2776\u1369", "\u2121911", "911+5551234", "@9115551234", "911\u00bd5551234"),
    *("9115551234", "5551911", "99911", "9112", "91", "", "911a", "x911", "411", "9" * 300, "+1 425 555 0180", "311"),
]
COUNTRIES = ("US", "CA", "PR", "GU", "GB", "DK", "AU", "FR", "ZA", None)


def test_it_is_an_emergency_wherever_the_server_may_say_so(caller: Caller) -> None:
    from phonenumbers import SUPPORTED_REGIONS

    caller.sit_down()
    ask = """async ({ numbers, country, api }) => {
      const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
      const { StandInAgent } = await import("/ui/stand-in-agent.js");
      const dialer = createEmergencyDialer({ api, callAgent: new StandInAgent(), country });
      return numbers.map((number) => dialer.isEmergency(number));
    }"""
    shown = caller.page.evaluate(ask, {"numbers": WRITTEN, "country": "US", "api": f"{caller.desk.address}/api"})
    for number, found in zip(WRITTEN, shown, strict=True):
        assert found or not _is_recognised(number, None, SUPPORTED_REGIONS), number
    none = {"9115551234", "5551911", "x911", "", "911#5551234", "911help", "5551@911", "4:9115551234_1b2c"}
    none |= {"911+5551234", "@9115551234", "911\u00bd5551234"}
    assert not any(found for number, found in zip(WRITTEN, shown, strict=True) if number in none)


PLACE = """async ({ numbers, country, api }) => {
  const { createEmergencyDialer } = await import("/ui/emergency-dialer.js");
  const { StandInAgent } = await import("/ui/stand-in-agent.js");
  return numbers.map((number) => {
    const agent = new StandInAgent();
    const dialer = createEmergencyDialer({ api, callAgent: agent, country });
    dialer.dial(number);
    dialer.end();
    return agent.started[0].participants[0].phoneNumber;
  });
}"""
DIALLED = ("911", "9,911", "9911", "+1911", "112", "999", "000", "933", "9933", "tel:911", "urn:service:sos")
# What is placed of `DIALLED`, one for one: an emergency number that a country's row lacks as the first one there. 933
# never is: where it is no test number, it is placed as it was dialled.
PLACED = {
    **dict.fromkeys(("US", "CA", "PR", "GU", "VI", "MP", "AS"), (*("911",) * 7, "933", "933", "911", "911")),
    "GB": ("999", "999", "999", "999", "112", "999", "999", "933", "9933", "999", "999"),
    "DK": ("112", "112", "112", "112", "112", "112", "112", "933", "9933", "112", "112"),
    "AU": ("000", "000", "000", "000", "000", "000", "000", "933", "9933", "000", "000"),
}


def placed_by(caller: Caller, country: str | None, numbers: Iterable[str]) -> list[str]:
    """What the dialer of a desktop in `country` places, of each of `numbers`."""
    given = {"numbers": list(numbers), "country": country, "api": f"{caller.desk.address}/api"}
    placed: list[str] = caller.page.evaluate(PLACE, given)
    return placed


@pytest.mark.parametrize("country", PLACED)
def test_an_emergency_number_that_a_country_lacks_is_placed_as_the_first_one_there(
    caller: Caller, country: str
) -> None:
    caller.sit_down()
    assert tuple(placed_by(caller, country, DIALLED)) == PLACED[country]


@pytest.mark.parametrize(
    ("country", "number"), [("GB", "101"), ("GB", "111"), ("US", "311"), ("DK", "110"), ("AU", "114")]
)
def test_an_ordinary_number_of_the_country_is_never_placed_as_an_emergency(
    caller: Caller, country: str, number: str
) -> None:
    caller.sit_down()
    assert placed_by(caller, country, [number]) == [number]


# A caller's country that `EMERGENCY_COUNTRIES` lacks counts as unknown there: a number of any configured one is taken.
@pytest.mark.parametrize("configured", [{"US", "PR", "CA"}, {"US", "GB", "DK", "AU"}])
def test_the_digits_placed_are_those_that_the_server_answers(caller: Caller, configured: set[str]) -> None:
    caller.sit_down()
    for country in COUNTRIES:
        dialled = [number for number in DIALLED if _is_recognised(number, country, configured)]
        found = [recognise(number, country=country, countries=configured) for number in dialled]
        # Nothing is placed abroad: there what was dialled is what a voice route may take, but of a service its number.
        wanted = [
            placement(number, country=country).dial or ("911" if said.startswith("urn:") else said)
            for number, said in zip(found, dialled, strict=True)
        ]
        assert placed_by(caller, country, dialled) == wanted, country


def _is_recognised(number: str, country: str | None, countries: Any) -> bool:
    try:
        recognise(number, country=country, countries=set(countries))
    except NotAnEmergency:
        return False
    return True


def test_every_emergency_number_of_any_country_is_known_here() -> None:
    from phonenumbers import SUPPORTED_SHORT_REGIONS, PhoneMetadata

    text = (FOLDER / "emergency-dialer.js").read_text("utf-8")
    table = text[text.index("const ANYWHERE") : text.index("const RANGES")]
    ranges = "".join(re.findall(r'"([\d\- ]+)"', table)).split()
    bounds = [(first, last or first) for first, _, last in (each.partition("-") for each in ranges)]
    for region in SUPPORTED_SHORT_REGIONS:
        metadata = PhoneMetadata.short_metadata_for_region(region)
        emergency = metadata.emergency if metadata else None
        if emergency is None or emergency.national_number_pattern is None:
            continue
        pattern = re.compile(emergency.national_number_pattern)
        for length in emergency.possible_length:
            matching = (digits for n in range(10**length) if pattern.fullmatch(digits := str(n).zfill(length)))
            for digits in matching:
                within = (len(first) == length and first <= digits <= last for first, last in bounds)
                assert any(within), (region, digits)


# The SDK -------------------------------------------------------------------------------------------------------------


def test_dialer_and_stand_in_have_the_types_of_the_sdk(modules: Path, tmp_path: Path) -> None:
    for path in (FOLDER / "emergency-dialer.js", HERE / "stand-in-agent.js", HERE / "types.check.js"):
        (tmp_path / path.name).write_text(path.read_text("utf-8"), "utf-8")
    (tmp_path / "node_modules").symlink_to(modules)
    strict = ("--allowJs", "--checkJs", "--strict", "--noEmit", "--skipLibCheck", "--types", "")
    target = ("--module", "esnext", "--moduleResolution", "bundler", "--target", "es2024")
    libraries = ("--lib", "esnext,dom,dom.iterable")
    command = (str(modules / ".bin" / "tsc"), *strict, *target, *libraries, "types.check.js")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "" and done.returncode == 0
