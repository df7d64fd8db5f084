"""Errors on their way out."""

import asyncio
import inspect
import json
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import azure.functions as func
import pytest
from msgspec import Struct

from functions.http import (
    REQUEST_HEADERS,
    entity_tag,
    json_answer,
    matches,
    preflight_answer,
    tagged_answer,
    versioned_answer,
)
from functions.problems import (
    REPORTS_AT_ONCE,
    PreconditionFailed,
    RedeliveryWanted,
    SourceUnknown,
    acknowledge,
    acknowledged,
    answer,
    answered,
    in_line,
    problem,
    take_seat,
)
from shared.domain import errors
from shared.domain.callers import Caller
from shared.domain.errors import (
    CallIdTaken,
    Conflict,
    EmergencyCallingError,
    LineFull,
    Malformed,
    NotAllowed,
    NotAnEmergency,
    NotFound,
    NotSignedIn,
    RecipientsRefused,
    Refused,
    Unavailable,
)
from shared.domain.principals import AGENT, SUPERVISOR, Principal

WITHIN_S = 10.0
SECRET = "+12025550142"


class NotInTheTree(EmergencyCallingError):
    """An adapter's own error, of which nobody knows whether it will last."""


class Counted:
    """Port `Telemetry`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, str | int | float | bool]]] = []

    def emit(self, event: str, **facts: str | int | float | bool) -> None:
        self.events.append((event, facts))


class As(Struct):
    """Port `SignIn`."""

    signed_in: Principal | None = None

    def principal(self, _: Mapping[str, str]) -> Principal | None:
        return self.signed_in


def request(method: str = "GET", **headers: str) -> func.HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest(method, "https://example.com/api/x", headers=named, body=b"")


def event() -> func.EventGridEvent:
    return func.EventGridEvent(
        id="i", data={}, topic="t", subject="s", event_type="e", event_time=None, data_version="1"
    )


def document(response: func.HttpResponse) -> dict[str, Any]:
    assert response.mimetype == "application/problem+json"
    read: dict[str, Any] = json.loads(response.get_body())
    assert read["status"] == response.status_code
    assert read["type"]
    assert read["title"]
    return read


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Malformed("call_id", "is empty"), 400),
        (NotAnEmergency(), 422),
        (NotSignedIn(), 401),
        (NotAllowed(), 403),
        (NotFound(), 404),
        (Conflict(), 409),
        (CallIdTaken(), 409),
        (PreconditionFailed(), 412),
        (Unavailable(), 503),
        (Refused(SECRET), 502),
        (RecipientsRefused(frozenset({"desk@example.com"})), 502),
        (EmergencyCallingError(SECRET), 500),
        (None, 500),
    ],
)
def test_each_error_has_its_status(error: EmergencyCallingError | None, status: int) -> None:
    response = problem(error)
    assert response.status_code == status
    assert SECRET.encode() not in response.get_body()
    assert b"desk@" not in response.get_body()
    assert ("field" in document(response)) is isinstance(error, Malformed)


def test_every_class_of_the_tree_has_a_status() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EmergencyCallingError)
    ]
    said = {"field": "f", "reason": "r", "retry_after_s": 2.0, "says": "s", "members": {}}
    for kind in kinds:
        # Whatever its constructor asks for.
        of_this_kind: type[EmergencyCallingError] = type("OfThisKind", (kind,), said)
        error = of_this_kind.__new__(of_this_kind)
        assert (problem(error).status_code != 500) is (kind is not EmergencyCallingError), kind


def test_a_malformed_field_is_named() -> None:
    read = document(problem(Malformed("location.latitude", "is not a number")))
    assert (read["field"], read["detail"]) == ("location.latitude", "location.latitude: is not a number")
    assert read["type"].endswith(":malformed")


def test_without_the_right_there_is_no_detail() -> None:
    for error in (NotSignedIn("because"), NotAllowed("because"), NotFound("because")):
        assert set(document(problem(error))) == {"type", "title", "status"}
    assert problem(NotSignedIn()).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("retry_after_s", "header"), [(0.2, "1"), (2.0, "2"), (2.1, "3")])
def test_unavailable_says_when_to_come_again(retry_after_s: float, header: str) -> None:
    assert problem(Unavailable(retry_after_s=retry_after_s)).headers["Retry-After"] == header


def raising(error: Exception) -> Callable[[Any], Any]:
    def failing(_: Any) -> Any:
        raise error

    return failing


def test_the_unforeseen_is_a_500_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted()
    with caplog.at_level(logging.DEBUG):
        response = answer(raising(KeyError(SECRET)), request(), counted, ())
    assert set(document(response)) == {"type", "title", "status"}
    assert response.status_code == 500
    assert counted.events == [("unforeseen_error", {"function": "failing", "error": "KeyError"})]
    assert SECRET not in caplog.text


def test_what_is_ordinary_or_was_counted_elsewhere_is_answered_and_not_counted_here() -> None:
    counted = Counted()
    for error in (
        NotAnEmergency(),
        NotSignedIn(),
        NotFound(),
        Conflict(),
        PreconditionFailed(),
        Unavailable(),
        Refused(SECRET),
    ):
        answer(raising(error), request(), counted, ())
    assert counted.events == []


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (Malformed("call_id", "is empty"), {"status": 400, "error": "Malformed", "field": "call_id"}),
        (Malformed("acs_user_ids[3]", "is empty"), {"status": 400, "error": "Malformed", "field": "acs_user_ids"}),
        (NotAllowed(SECRET), {"status": 403, "error": "NotAllowed"}),
    ],
)
def test_a_refusal_that_tells_of_a_faulty_client_or_role_is_counted(
    error: EmergencyCallingError, facts: dict[str, str | int | float | bool]
) -> None:
    counted = Counted()
    answer(raising(error), request(), counted, ())
    assert counted.events == [("request_rejected", {"function": "failing", **facts})]


@pytest.mark.parametrize("principal", [None, Principal(roles=frozenset({AGENT}), object_id="oid")])
def test_a_page_of_a_foreign_site_is_refused_and_counted_where_somebody_is_signed_in(
    principal: Principal | None,
) -> None:
    """Nobody's would be a line for each request of anybody, until the log takes in no more and no alert is heard."""
    counted = Counted()
    asked = request("POST", origin="https://elsewhere.example")
    assert answer(raising(AssertionError()), asked, counted, (), sign_in=As(principal)).status_code == 403
    told = [("request_rejected", {"function": "failing", "status": 403, "error": "ForeignSite"})]
    assert counted.events == (told if principal else [])


def test_what_the_office_asks_takes_one_of_the_senders_seats() -> None:
    """A console that asks again and again would take the threads that dials wait for."""
    taken: list[str] = []

    @contextmanager
    def seats(caller: Caller) -> Iterator[None]:
        if taken:
            raise LineFull
        taken.append(caller.owner)
        yield

    lead = As(Principal(roles=frozenset({SUPERVISOR}), object_id="lead"))
    assert take_seat(lambda _: json_answer({}), request(), seats, lead).status_code == 200
    assert taken == ["office:lead"]
    full = answer(lambda req: take_seat(raising(AssertionError()), req, seats, lead), request(), Counted(), ())
    assert full.status_code == 503
    # Whoever is not signed in is refused, and takes none.
    assert (
        answer(lambda req: take_seat(raising(NotSignedIn()), req, seats, As()), request(), Counted(), ()).status_code
        == 401
    )


def test_decorated_functions_keep_their_names() -> None:
    def panel_state(req: func.HttpRequest) -> func.HttpResponse:
        """A panel."""
        raise NotImplementedError

    def call_started_event(event: func.EventGridEvent) -> None:
        """An event."""

    assert (answered(panel_state).__name__, answered(panel_state).__doc__) == ("panel_state", "A panel.")
    assert acknowledged(call_started_event).__name__ == "call_started_event"


# Events --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [Malformed("data.to", SECRET), NotAnEmergency(SECRET), NotAllowed(), NotFound(), Refused(SECRET)]
)
def test_what_no_retry_can_mend_is_acknowledged_and_counted(error: EmergencyCallingError) -> None:
    counted = Counted()
    acknowledge(raising(error), event(), counted)
    facts: dict[str, str | int | float | bool] = {"function": "failing", "error": type(error).__name__}
    if isinstance(error, Malformed):
        facts["field"] = "data.to"
    assert counted.events == [("event_rejected", facts)]


def test_of_which_function_an_unknown_source_sent_an_event_is_told() -> None:
    """An IncomingCall that is thrown away so is a responder who is connected to nobody: an alert reads the line."""
    counted = Counted()
    acknowledge(raising(SourceUnknown()), event(), counted)
    assert counted.events == [("event_source_unknown", {"function": "failing"})]


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (Unavailable(SECRET), 0),
        (Conflict(SECRET), 0),
        (NotInTheTree(SECRET), 1),
        (KeyError(SECRET), 1),
        (ValueError(SECRET), 1),
    ],
)
def test_what_a_retry_may_mend_is_raised_without_a_word_of_it(error: Exception, counts: int) -> None:
    counted = Counted()
    with pytest.raises(RedeliveryWanted) as raised:
        acknowledge(raising(error), event(), counted)
    assert str(raised.value) == f"failing: {type(error).__name__}"
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert len(counted.events) == counts


def test_of_a_crowd_in_line_a_few_run_at_once_and_the_loop_goes_on() -> None:
    running, most = Counter[str](), [0]
    lock, all_here, go = threading.Lock(), threading.Barrier(REPORTS_AT_ONCE + 1), threading.Event()

    @in_line
    def reported(_: func.EventGridEvent) -> None:
        with lock:
            running["now"] += 1
            most.append(running["now"])
            first = len(most) <= REPORTS_AT_ONCE + 1
        if first:
            all_here.wait(WITHIN_S)
        assert go.wait(WITHIN_S)
        with lock:
            running["now"] -= 1

    async def crowd() -> None:
        waiting = [asyncio.create_task(reported(event())) for _ in range(5 * REPORTS_AT_ONCE)]
        await asyncio.to_thread(all_here.wait, WITHIN_S)
        assert not any(each.done() for each in waiting)
        go.set()
        await asyncio.gather(*waiting)

    asyncio.run(crowd())
    assert max(most) == REPORTS_AT_ONCE and len(most) == 5 * REPORTS_AT_ONCE + 1


def test_what_fails_in_line_is_delivered_again() -> None:
    @in_line
    def failing(_: func.EventGridEvent) -> None:
        raise RedeliveryWanted("failing: Unavailable")

    assert inspect.iscoroutinefunction(failing), "the host tells by it that nobody's thread is taken"
    with pytest.raises(RedeliveryWanted):
        asyncio.run(failing(event()))


def test_a_done_event_returns_nothing() -> None:
    counted = Counted()
    acknowledge(lambda _: None, event(), counted)
    assert counted.events == []


# Cross-origin, entity tags -------------------------------------------------------------------------------------------

SITES = ("https://desk.example.com", "https://other.example.org")
OURS, ALSO_OURS = "https://app.example.net", "https://app-events.example.net"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://desk.example.com", True),
        ("https://DESK.example.com", True),
        ("https://other.example.org", True),
        ("https://evil.example.net", False),
        ("https://desk.example.com.example.net", False),
        ("https://des\N{KELVIN SIGN}.example.com", False),
        ("https://desk.example.com, https://desk.example.com", False),
        ("null", False),
    ],
)
def test_only_allowed_sites_may_read_an_answer(origin: str, allowed: bool) -> None:
    for response in (
        answer(lambda _: json_answer({}), request(origin=origin), Counted(), SITES),
        answer(raising(NotFound()), request(origin=origin), Counted(), SITES),
        preflight_answer(origin, None, SITES),
    ):
        assert response.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert ("Access-Control-Allow-Methods" in preflight_answer(origin, None, SITES).headers) is allowed


def test_an_allowed_site_learns_the_servers_time() -> None:
    headers = answer(lambda _: json_answer({}), request(origin=SITES[0]), Counted(), SITES).headers
    # Else a panel there goes by its desktop's clock, and shows a number whose lease is over, or hides one that is lent.
    assert "Date" in headers["Access-Control-Expose-Headers"].split(", ")


@pytest.mark.parametrize("asked", ["authorization", "Authorization, content-type,request-id, traceparent", "x-a,x-b"])
def test_a_preflight_is_granted_whatever_headers_it_names(asked: str) -> None:
    headers = preflight_answer(SITES[0], asked, SITES).headers
    assert headers["Access-Control-Allow-Headers"] == asked
    assert headers["Access-Control-Max-Age"] == "7200"
    assert headers["Vary"] == "Origin, Access-Control-Request-Headers"
    assert {"HEAD", "PATCH", "DELETE"} <= set(headers["Access-Control-Allow-Methods"].split(", "))
    assert "Access-Control-Allow-Headers" not in preflight_answer("https://evil.example.net", asked, SITES).headers


@pytest.mark.parametrize("asked", [None, "", "\N{KELVIN SIGN}", "a\r\nSet-Cookie: b", "a" * 5000, 'x"', "a: b"])
def test_a_preflights_answer_holds_nothing_that_the_host_refuses_to_send(asked: str | None) -> None:
    headers = preflight_answer(SITES[0], asked, SITES).headers
    assert headers["Access-Control-Allow-Headers"] == REQUEST_HEADERS


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("POST", None, 200),
        ("POST", "", 200),
        ("POST", OURS, 200),
        ("POST", ALSO_OURS, 200),
        ("PUT", SITES[1], 200),
        ("post", "https://evil.example.net", 403),
        ("PUT", "https://evil.example.net", 403),
        ("PATCH", "null", 403),
        ("DELETE", f"{OURS}.example.org", 403),
        ("POST", f"{OURS}, {OURS}", 403),
        ("POST", OURS.replace("https", "http"), 403),
        ("GET", "https://evil.example.net", 200),
        ("HEAD", "https://evil.example.net", 200),
        ("OPTIONS", "https://evil.example.net", 200),
    ],
)
def test_a_page_of_a_foreign_site_changes_nothing(method: str, origin: str | None, status: int) -> None:
    done: list[str] = []

    def doing(req: func.HttpRequest) -> func.HttpResponse:
        done.append(str(req.method))
        return json_answer({})

    asked = request(method) if origin is None else request(method, origin=origin)
    assert answer(doing, asked, Counted(), SITES, [OURS, ALSO_OURS]).status_code == status
    assert bool(done) is (status == 200)


def test_without_an_address_of_our_own_only_the_sites_allowed_may_change_something() -> None:
    assert answer(lambda _: json_answer({}), request("POST", origin=OURS), Counted(), SITES).status_code == 403
    assert answer(lambda _: json_answer({}), request("POST", origin=SITES[0]), Counted(), SITES).status_code == 200


@pytest.mark.parametrize(
    ("origin", "asked_at", "status"),
    [
        ("https://calls.example", "https://calls.example/api/x", 200),
        ("https://calls.example", "https://Calls.Example/api/x?y=https://evil.example.net/", 200),
        ("https://calls.example:8443", "https://calls.example:8443/api/x", 200),
        # Between a front end and the app there may be no TLS.
        ("https://calls.example", "http://calls.example/api/x", 200),
        ("http://calls.example", "http://calls.example/api/x", 403),
        ("https://calls.example", "https://calls.example:8443/api/x", 403),
        ("https://calls.example", "https://app.internal.example/api/x", 403),
        ("https://evil.example.net", "https://calls.example/api/x?https://evil.example.net/", 403),
        ("null", "https://calls.example/api/x", 403),
        ("https://", "/api/x", 403),
        ("https://", "https:///api/x", 403),
        ("null", "", 403),
    ],
)
def test_a_page_of_the_host_that_was_asked_is_our_own(origin: str, asked_at: str, status: int) -> None:
    """As of a custom domain, which no setting names."""
    asked = func.HttpRequest("POST", asked_at, headers={"origin": origin}, body=b"")
    assert answer(lambda _: json_answer({}), asked, Counted(), SITES, [OURS]).status_code == status


def test_without_an_origin_nothing_is_added() -> None:
    response = answer(lambda _: json_answer({}), request(), Counted(), SITES)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"


def test_an_unchanged_document_is_not_sent_again() -> None:
    first = tagged_answer(request(), {"a": 1})
    tag = first.headers["ETag"]
    assert tagged_answer(request(if_none_match=f'"other", {tag}'), {"a": 1}).status_code == 304
    assert tagged_answer(request(if_none_match=f"W/{tag}"), {"a": 1}).status_code == 304
    changed = tagged_answer(request(if_none_match=tag), {"a": 2})
    assert (changed.status_code, changed.headers["ETag"] != tag) == (200, True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_any_version_is_known_to_whoever_names_all_and_a_stored_one_to_whoever_names_its_tag(method: str) -> None:
    of_store = versioned_answer(request(method), {"a": 1}, "W/stored")
    assert (of_store.status_code, of_store.headers["ETag"]) == (200, entity_tag("W/stored"))
    for known in ("*", f'"other", {entity_tag("W/stored")}'):
        again = versioned_answer(request(method, if_none_match=known), {"a": 1}, "W/stored")
        assert (again.status_code, again.headers["ETag"], again.get_body()) == (304, entity_tag("W/stored"), b"")
    assert versioned_answer(request(method, if_none_match='"other"'), {"a": 1}, "W/stored").status_code == 200
    assert tagged_answer(request(method, if_none_match="*"), {"a": 1}).status_code == 304


def test_versions_of_stores_become_tags() -> None:
    tag = entity_tag("W/\"datetime'2026-11-20T18%3A00%3A00Z'\"")
    assert matches(f'"x",{tag}', tag)
    assert matches("*", tag)
    assert not matches(None, tag)
    assert not matches('"x"', tag)


def test_what_else_there_is_to_say_are_members_of_the_document() -> None:
    answer = problem(errors.Faulty("Not like this.", lint=[{"code": "empty"}]))
    document = json.loads(answer.get_body())
    assert answer.status_code == 422
    assert (document["detail"], document["lint"]) == ("Not like this.", [{"code": "empty"}])
