"""Bad input at every route and every event: refused or acknowledged, counted, and nothing half-written."""

import hashlib
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.events import ACCEPTED, REJECTED
from tests.integration.used import new_agent, new_id, note
from tests.leaks import Kind
from tests.local.acs import poll
from tests.local.acs.events import CUSTOM_TOPIC
from tests.local.stack import ADMIN, MACHINE, Agent, Stack

pytestmark = pytest.mark.process

AGENT = new_agent()
CALL = {"call_id": new_id(), "agent_id": AGENT.agent_id, "dialled": "911"}
LONG = "x" * 601
NAN = float("nan")
FUNCTIONS = {
    "Microsoft.Communication.CallStarted": "call_started_event",
    "EmergencyCalling.CallStarted": "call_started_event",
    "Microsoft.Communication.CallEnded": "call_ended_event",
    "EmergencyCalling.CallEnded": "call_ended_event",
    "Microsoft.Communication.IncomingCall": "incoming_call_event",
    "Microsoft.Communication.EmailDeliveryReportReceived": "email_delivery_report_event",
}

DIALS: dict[str, tuple[str, object]] = {
    "no call id": ("call_id", {"agent_id": "a", "dialled": "911"}),
    "empty call id": ("call_id", CALL | {"call_id": ""}),
    "long call id": ("call_id", CALL | {"call_id": LONG}),
    "call id is a number": ("call_id", CALL | {"call_id": 7}),
    "call id is half a character": ("call_id", b'{"call_id": "\\ud800", "agent_id": "a", "dialled": "911"}'),
    "no agent id": ("agent_id", {"call_id": "c", "dialled": "911"}),
    "long agent id": ("agent_id", CALL | {"agent_id": LONG}),
    "agent id of blanks": ("agent_id", CALL | {"agent_id": "   "}),
    "invisible agent id": ("agent_id", CALL | {"agent_id": "\u200b"}),
    "no number": ("dialled", {"call_id": "c", "agent_id": "a"}),
    "number is a number": ("dialled", CALL | {"dialled": 911}),
    "long number": ("dialled", CALL | {"dialled": "9" * 257}),
    "nothing": ("body", b""),
    "no JSON": ("body", b"call_id=1"),
    "cut short": ("body", b'{"call_id": "c", "agent_id'),
    "a list": ("body", [CALL]),
    "null": ("body", b"null"),
    "no UTF-8": ("call_id", b'{"call_id": "\xff\xfe"}'),
    "too long": ("body", b'{"call_id": "' + b"c" * 1_100_000 + b'"}'),
    "too deep": ("body", b"[" * 30_000),
}
IN_THE_BACKGROUND = {"look", "outbox", "mail", "bare", "delivery", "pool"}
OTHERS: dict[str, tuple[str, str, str, object]] = {
    "tie without a call": ("PATCH", "emergency-calls/c", "server_call_id", {}),
    "tie to a number": ("PATCH", "emergency-calls/c", "server_call_id", {"server_call_id": 5}),
    "tie with a long id": ("PATCH", f"emergency-calls/{LONG}", "call_id", {"server_call_id": "s"}),
    "tie with nothing": ("PATCH", "emergency-calls/c", "body", b""),
    "end for no reason known": ("POST", "emergency-calls/c/end", "reason", {"reason": "bored"}),
    "end with a long id": ("POST", f"emergency-calls/{LONG}/end", "call_id", {}),
    "end with a list": ("POST", "emergency-calls/c/end", "body", []),
    "end without JSON": ("POST", "emergency-calls/c/end", "body", b"reason"),
    "release of a long id": ("POST", f"agents/{LONG}/release", "agent_id", b""),
    "panel of a long id": ("GET", f"agents/{LONG}/panel", "agent_id", b""),
    "panel of an id of blanks": ("GET", "agents/%20%20/panel", "agent_id", b""),
    "entry of an invisible id": ("PUT", "manage/agents/%E2%80%8B", "agent_id", {}),
    "site of an invisible id": ("PUT", "manage/sites/%E2%80%8B", "site_id", {}),
    "presence of a long id": ("GET", f"agents/{LONG}/presence", "agent_id", b""),
    "presence unknown": ("PUT", "agents/a/presence", "status", {"status": "dnd"}),
    "presence missing": ("PUT", "agents/a/presence", "status", {}),
    "presence is a number": ("PUT", "agents/a/presence", "status", {"status": 3}),
    "presence without body": ("PUT", "agents/a/presence", "body", b""),
    "report of a kind of devices with a long name": ("PUT", "agents/a/desktop", "devices",
                                                     {"desktop_id": "d", "devices": {"m" * 40_000: 1}}),
    "site with long networks": ("PUT", "manage/sites/a", "networks",
                                {"networks": [f"{n:02}".ljust(600, "n") for n in range(50)],
                                 "emergency_contacts": [f"{n}@example.com".rjust(70, "c") for n in range(50)]}),
    "entry of a long id": ("GET", f"manage/agents/{LONG}", "agent_id", b""),
    "entry of another": ("PUT", "manage/agents/a", "agent_id", {"agent_id": "b"}),
    "entry with a long name": ("PUT", "manage/agents/a", "name", {"name": "n" * 201}),
    "entry with half a character": ("PUT", "manage/agents/a", "body", b'{"name": "\\udc00"}'),
    "entry with an object id that is none": ("PUT", "manage/agents/a", "entra_object_id", {"entra_object_id": "me"}),
    "entry with a number as an id": ("PUT", "manage/agents/a", "acs_user_ids[0]", {"acs_user_ids": ["+14255550123"]}),
    "entry with identities as text": ("PUT", "manage/agents/a", "acs_user_ids", {"acs_user_ids": "8:acs:a_b"}),
    "entry with a long country": ("PUT", "manage/agents/a", "country", {"country": "United States"}),
    "entry with a short number": ("PUT", "manage/agents/a", "alternate_numbers[1]",
                                  {"alternate_numbers": ["+14255550123", "911"]}),
    "entry with a faulty contact": ("PUT", "manage/agents/a", "emergency_contacts[1]",
                                    {"emergency_contacts": "a@example.com; b@"}),
    "entry with too many contacts": ("PUT", "manage/agents/a", "emergency_contacts",
                                     {"emergency_contacts": ";".join(f"c{n}@example.com" for n in range(51))}),
    "entry with a list": ("PUT", "manage/agents/a", "body", []),
}  # fmt: skip


def refused(local: Stack, method: str, path: str, sent: object, field: str) -> None:
    """The request is refused with the field named, its value not repeated, and nothing is written."""
    before = keys_kept(local)
    content = sent if isinstance(sent, bytes) else None
    principal = ADMIN if "manage/" in path or "release" in path else MACHINE
    answer = local.ask(method, path, None if content is not None else sent, principal=principal, content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["field"]) == (400, field)
    assert problem["detail"].startswith(field)
    assert LONG not in answer.text and "Traceback" not in answer.text
    assert keys_kept(local) == before


def keys_kept(local: Stack) -> dict[str, list[str]]:
    """The key of every row but for what earlier dials still bring about in the background: looks, mail, its reports."""
    return {
        table: [row["RowKey"] for row in rows if row["RowKey"].partition("|")[0] not in IN_THE_BACKGROUND]
        for table, rows in local.rows().items()
    }


@pytest.fixture(scope="module", autouse=True)
def logged_before(wide_stack: Stack) -> int:
    """How much stood in the log before this module: an event that others let fail is told there by the host."""
    return len(wide_stack.logs()["host.log"])


@pytest.mark.parametrize("case", DIALS)
def test_a_malformed_dial(wide_stack: Stack, case: str) -> None:
    field, sent = DIALS[case]
    refused(wide_stack, "POST", "emergency-calls", sent, field)


def test_a_dial_with_every_optional_field_faulty(wide_stack: Stack) -> None:
    faulty = {
        "dialled_at": "2026-11-20T17:00:00", "dialled_ago_ms": -1, "country": "USA", "acs_user_id": "4:+14255550123",
        "server_call_id": "", "locale": "e" * 36,
        "location": {"address": "a" * 501, "latitude": 90.1, "longitude": 237, "accuracy_m": -1, "at": "noon"},
    }  # fmt: skip
    agent = wide_stack.add_agent(new_agent())
    sent = {"call_id": new_id(), "agent_id": agent.agent_id, "dialled": "911", **faulty}
    answer = wide_stack.ask("POST", "emergency-calls", sent, principal=MACHINE)
    assert answer.status_code == 201 and answer.json()["callback_number"]
    places = [f"location.{name}" for name in ("accuracy_m", "address", "at", "latitude", "longitude")]
    assert answer.json()["ignored"] == sorted([*(name for name in faulty if name != "location"), *places])
    assert "field_ignored field=location.longitude" in wide_stack.logs()["host.log"]
    wide_stack.wait_until_nothing_is_owed()


def test_a_dial_in_what_is_json_to_its_sender_only(wide_stack: Stack) -> None:
    agent = wide_stack.add_agent(new_agent())
    call = new_id()
    sent = json.dumps({"call_id": call, "agent_id": agent.agent_id, "dialled": "911", "location": {"latitude": NAN}})
    answer = wide_stack.ask("POST", "emergency-calls", principal=MACHINE, content=b"\xef\xbb\xbf" + sent.encode())
    assert (answer.status_code, answer.json()["ignored"]) == (201, ["location.latitude"])
    wide_stack.wait_until_nothing_is_owed()


@pytest.mark.parametrize("case", OTHERS)
def test_malformed_requests_elsewhere(wide_stack: Stack, case: str) -> None:
    method, path, field, sent = OTHERS[case]
    refused(wide_stack, method, path, sent, field)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "emergency-calls"), ("DELETE", "emergency-calls/c"), ("POST", "emergency-call"), ("GET", "../admin"),
     ("PUT", "health"), ("POST", "agents/a/panel"), ("GET", "agents//panel"), ("GET", "agents/a/b/panel")],
)  # fmt: skip
def test_what_is_no_route(wide_stack: Stack, method: str, path: str) -> None:
    assert wide_stack.ask(method, path, principal=MACHINE).status_code in (404, 405)


def test_a_call_that_nobody_knows(wide_stack: Stack) -> None:
    before = keys_kept(wide_stack)
    answer = wide_stack.ask("PATCH", f"emergency-calls/{new_id()}", {"server_call_id": "s"}, principal=MACHINE)
    assert answer.status_code == 404
    assert wide_stack.ask("GET", f"manage/agents/{new_id('agent')}", principal=ADMIN).status_code == 404
    assert keys_kept(wide_stack) == before


# Events


def from_here(local: Stack, event: dict[str, Any]) -> dict[str, Any]:
    """The event as if a resource of ours had sent it, at this moment."""
    when = "time" if "specversion" in event else "eventTime"
    return event | sender(local, event) | ({when: local.now().isoformat()} if when in event else {})


def sender(local: Stack, event: dict[str, Any]) -> dict[str, str]:
    """Who may send an event of this type."""
    where, what = ("source", "type") if "specversion" in event else ("topic", "eventType")
    return {where: CUSTOM_TOPIC if str(event.get(what)).startswith("EmergencyCalling.") else local.source}


def function_of(event: dict[str, Any]) -> str | None:
    return FUNCTIONS.get(str(event.get("type") if "specversion" in event else event.get("eventType")))


@pytest.mark.parametrize("name", [name for name, case in REJECTED.items() if function_of(case["event"])])
def test_a_malformed_event_is_acknowledged_and_counted(wide_stack: Stack, name: str) -> None:
    event = REJECTED[name]["event"]
    function, before = function_of(event), keys_kept(wide_stack)
    assert function is not None
    counted = wide_stack.logs()["host.log"].count("event_rejected")
    sent = event | sender(wide_stack, event)
    assert wide_stack.deliver(function, sent) == 202
    assert wide_stack.logs()["host.log"].count("event_rejected") == counted + 1
    assert keys_kept(wide_stack) == before


@pytest.mark.parametrize("name", [name for name, event in ACCEPTED.items() if function_of(event)])
def test_every_known_variant_of_an_event_is_taken(local: Stack, name: str) -> None:
    event = from_here(local, ACCEPTED[name])
    function = function_of(event)
    assert function is not None
    counted = local.logs()["host.log"].count("event_rejected")
    assert local.deliver(function, event) == 202
    assert local.logs()["host.log"].count("event_rejected") == counted


HARDLY_EVENTS: list[dict[str, Any]] = [
    {},
    {"data": None},
    {"eventType": 5, "data": []},
    {"specversion": "1.0"},
    {"eventType": "Microsoft.Communication.CallStarted", "eventTime": 7},
    {"specversion": "1.0", "type": "EmergencyCalling.CallStarted", "time": "noon"},
]


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS.values())))
@pytest.mark.parametrize("event", HARDLY_EVENTS)
def test_what_is_hardly_an_event_is_acknowledged(wide_stack: Stack, function: str, event: dict[str, Any]) -> None:
    before = keys_kept(wide_stack)
    for sent in (event, event | sender(wide_stack, event)):
        assert wide_stack.deliver(function, sent) == 202
    assert keys_kept(wide_stack) == before


@pytest.mark.parametrize("kind", ["unknown", "prefix", "empty", "our own topic", "other case"])
@pytest.mark.parametrize("name", ["call_started.identifier", "call_started.cloudevents"])
def test_only_events_of_our_sources_count(local: Stack, kind: str, name: str) -> None:
    phone = local.softphone(local.add_agent(new_agent()))
    phone.dial(new_id())
    local.wait_until_nothing_is_owed()
    sources = {"unknown": local.source.replace("acs-emergency", "other"), "prefix": local.source[:-1], "empty": "",
               "our own topic": CUSTOM_TOPIC, "other case": local.source.upper()}  # fmt: skip
    event = from_here(local, ACCEPTED[name])
    data = json.loads(json.dumps(event["data"]))
    data["startedBy"]["communicationIdentifier"]["rawId"] = phone.agent.acs_user_id
    data["serverCallId"] = new_id("server")
    sent = event | {"data": data, "source" if "specversion" in event else "topic": sources[kind]}
    before = local.rows()["emergencies"]
    assert local.deliver("call_started_event", sent) == 202
    changed = local.rows()["emergencies"] != before
    assert changed is (kind == "other case")


# Ids

WEIRD = {
    "slashes": "a/b\\c//d",
    "percent": "100%/%2F%25%zz",
    "control": "a\x00b\x01c\nd\te\x7ff\x85",
    "query": "a?b#c&d=e;f|g",
    "quotes": "a'b\"c`d<e>{f}",
    "dots": "../../..",
    "long": "L" * 600,
    "long and wide": "\U0001f198" * 600,
    "scripts": "\u0430\u0433\u0435\u043d\u0442 \u4ee3\u7406 \u0639\u0645\u064a\u0644\u2028\u200f",
}


@pytest.mark.parametrize("kind", WEIRD)
def test_weird_ids_work_or_are_refused_cleanly(local: Stack, kind: str) -> None:
    weird = WEIRD[kind]
    call, agent = (weird + new_id())[-600:], weird
    note(call)
    note(agent, kind=Kind.AGENT)
    body = {"call_id": call, "agent_id": agent, "dialled": "911"}
    first = local.ask("POST", "emergency-calls", body, principal=MACHINE)
    again = local.ask("POST", "emergency-calls", body, principal=MACHINE)
    assert (first.status_code, again.status_code) == (201, 200)
    # The one escape that the host leaves in an address is read as what it stands for.
    assert (
        first.json()["call_id"] == call.replace("%2F", "/")
        and again.json()["callback_number"] == first.json()["callback_number"]
    )
    path = quote(agent, safe="")
    panel = local.ask("GET", f"agents/{path}/panel", principal=MACHINE)
    assert panel.status_code in (200, 400, 404)
    if panel.status_code == 200:
        assert panel.json()["callback_number"] == first.json()["callback_number"]
    for method, rest in (("PUT", f"agents/{path}/presence"), ("PUT", f"manage/agents/{path}")):
        sent = {"status": "away"} if "presence" in rest else {}
        assert local.ask(method, rest, sent, principal=ADMIN).status_code in (200, 201, 400, 404)
    end = {"type": "EmergencyCalling.CallEnded", "specversion": "1.0", "id": "1", "source": CUSTOM_TOPIC,
           "time": local.now().isoformat(), "data": {"call_id": call, "agent_id": agent}}  # fmt: skip
    assert local.deliver("call_ended_event", end) == 202
    if panel.status_code == 200:
        assert local.ask("GET", f"agents/{path}/panel", principal=MACHINE).json()["mode"] == "normal"


def test_the_log_holds_no_stack_trace_of_ours(wide_stack: Stack, logged_before: int) -> None:
    wide_stack.add_agent(Agent(agent_id=AGENT.agent_id))
    log = wide_stack.logs()["host.log"][logged_before:]
    assert "unforeseen_error" not in log
    assert "Traceback" not in log


def test_an_escaped_slash_in_an_address_is_the_slash_of_the_id(local: Stack) -> None:
    """The host hands `%2F` on as it stands, in either case."""
    agent, call = f"ag/{new_id('agent')}", f"call/{new_id()}"
    note(call)
    note(agent, kind=Kind.AGENT)
    dial = {"call_id": call, "agent_id": agent, "dialled": "911"}
    assert local.ask("POST", "emergency-calls", dial, principal=MACHINE).status_code == 201
    path = f"agents/{quote(agent, safe='')}"
    for escaped in (path, path.replace("%2F", "%2f")):
        assert local.ask("GET", f"{escaped}/panel", principal=MACHINE).json()["mode"] == "emergency"
    ended = local.ask("POST", f"emergency-calls/{quote(call, safe='')}/end", {"agent_id": agent}, principal=MACHINE)
    assert (ended.status_code, ended.json()["known"]) == (200, True)
    assert local.ask("GET", f"{path}/panel", principal=MACHINE).json()["mode"] == "normal"


def test_an_imported_id_and_a_desktop_with_an_escaped_slash_are_found_again(local: Stack) -> None:
    agent, contact = f"team%2F{new_id('agent')}", f"{new_id('contact')}@example.com"
    note(agent.replace("%2F", "/"), kind=Kind.AGENT)
    note(contact, kind=Kind.EMAIL)
    file = f"agent_id,emergency_contacts\n{agent},{contact}\n".encode()
    path = f"manage/agents/import?digest={hashlib.sha256(file).hexdigest()}"
    assert local.ask("POST", path, principal=ADMIN, content=file).status_code == 202
    read = poll(lambda: _entry(local, agent), within_s=10.0, what="the entry that was imported")
    assert read["emergency_contacts"] == contact
    dial = {"call_id": new_id(), "agent_id": agent, "dialled": "911"}
    assert local.ask("POST", "emergency-calls", dial, principal=MACHINE).json()["notified"] == 1
    local.wait_for_email(contact)
    report = f"agents/{agent}/desktop"
    assert local.ask("PUT", report, {"desktop_id": "floor%2F7"}, principal=MACHINE).status_code == 200
    for asked in ("floor%252F7", "floor%2F7", "floor/7"):
        assert local.ask("GET", f"{report}?desktop_id={asked}", principal=MACHINE).json()["desktop_id"] == "floor/7"
    assert local.ask("DELETE", f"manage/agents/{agent}", principal=ADMIN).status_code == 204


def _entry(local: Stack, agent: str) -> dict[str, Any] | None:
    answer = local.ask("GET", f"manage/agents/{agent}", principal=ADMIN)
    return answer.json() if answer.status_code == 200 else None


def test_ids_that_look_like_times_are_the_same_by_http_and_by_event(local: Stack) -> None:
    """The host rewrites such text in events, in `data` too."""
    day = 1 + int(new_id("")[-2:], 16) % 28
    call, agent = f"2031-03-{day:02}T23:00:00.120+02:00", f"2031-04-{day:02}T23:00:00.500Z"
    note(call)
    note(agent, kind=Kind.AGENT)
    local.add_agent(Agent(agent_id=agent))
    data = {"call_id": call, "agent_id": agent, "dialled": "911"}
    began = {"type": "EmergencyCalling.CallStarted", "specversion": "1.0", "id": "1", "source": CUSTOM_TOPIC,
             "time": local.now().isoformat(), "data": data}  # fmt: skip
    assert local.deliver("call_started_event", began) == 202
    path = f"agents/{quote(agent, safe='')}/panel"
    assert local.ask("GET", path, principal=MACHINE).json()["mode"] == "emergency"
    again = local.ask("POST", "emergency-calls", data, principal=MACHINE)
    assert again.status_code == 200, "known by its event"
    over = began | {"type": "EmergencyCalling.CallEnded", "id": "2"}
    assert local.deliver("call_ended_event", over) == 202
    assert local.ask("GET", path, principal=MACHINE).json()["mode"] == "normal"
