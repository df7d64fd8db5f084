"""Errors on their way out: error class to status and problem document (RFC 9457), or to what Event Grid must hear."""

import asyncio
import functools
import math
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus

import azure.functions as func
import msgspec
from azure.functions.warmup import WarmUpContext

from functions.http import PRIVATE, ForeignSite, require_no_forgery, shared_with
from functions.languages import OF_LANGUAGES, language_asked, spoken, spoken_headers
from functions.rights import caller_of
from functions.this_app import composed, serving
from shared.domain.callers import Caller
from shared.domain.errors import (
    AgentBusy,
    Conflict,
    EmergencyCallingError,
    Faulty,
    Malformed,
    NotAllowed,
    NotAnEmergency,
    NotFound,
    NotSignedIn,
    Refused,
    Unavailable,
)
from shared.domain.notice_templates import DEFAULT_LANGUAGE
from shared.ports import SignIn, Telemetry

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:problem-type:emergency-calling:"

type HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]
type EventFunction = Callable[[func.EventGridEvent], None]
type AwaitedEventFunction = Callable[[func.EventGridEvent], Coroutine[None, None, None]]

# A dial brings two reports a few seconds later, each with four requests to storage: those of sixty dials at once would
# take every thread of the worker from the dials that come then.
REPORTS_AT_ONCE = 4


class PreconditionFailed(Conflict):
    """It has changed since it was read."""


class SourceUnknown(NotAllowed):
    """The event comes from a source that may not send it: another one than EVENT_SOURCES names."""


class RedeliveryWanted(RuntimeError):
    """Raised to the host, so that Event Grid delivers again; says the classes of what went wrong and nothing else."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457); a kind of problem may have further members."""

    type: str
    title: str
    status: int
    detail: str | None = None
    field: str | None = None


# The first class that fits decides. The second entry is the type's name; without one there is no detail either.
_STATUSES: tuple[tuple[type[EmergencyCallingError], HTTPStatus, str | None], ...] = (
    (Malformed, HTTPStatus.BAD_REQUEST, "malformed"),
    (NotAnEmergency, HTTPStatus.UNPROCESSABLE_ENTITY, "not-an-emergency"),
    (Faulty, HTTPStatus.UNPROCESSABLE_ENTITY, "faulty"),
    (NotSignedIn, HTTPStatus.UNAUTHORIZED, None),
    (NotAllowed, HTTPStatus.FORBIDDEN, None),
    (NotFound, HTTPStatus.NOT_FOUND, None),
    (AgentBusy, HTTPStatus.CONFLICT, "busy"),
    (PreconditionFailed, HTTPStatus.PRECONDITION_FAILED, "changed"),
    (Conflict, HTTPStatus.CONFLICT, "conflict"),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (Refused, HTTPStatus.BAD_GATEWAY, None),
)

# What of a refusal an operator hears: a client, or a role, is to be mended. A 401, 404, 409 or 412 is no fault, and a
# client that polls would repeat it all day; so may a desktop with each number that is no emergency (422).
_TOLD = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN})

# What an event says that will be the same next time. Anything else may be mended by then: an outage, a missing right
# to the table, a fault of ours.
_BEYOND_RETRY = (Malformed, NotAnEmergency, Faulty, NotSignedIn, NotAllowed, NotFound, Refused)


def problem(error: EmergencyCallingError | None, language: str = DEFAULT_LANGUAGE) -> func.HttpResponse:
    """The problem document of a foreseen error; of an unforeseen one (None), a 500 without any detail.

    What `Faulty` says, a form shows: that alone is in `language`, all other details are in English.
    """
    status, name = _status_of(error)
    document = Problem(
        type=TYPE_PREFIX + name if name else "about:blank",
        title=status.phrase,
        status=status.value,
        # The messages of our own errors never hold personal data (shared/domain/errors.py).
        detail=str(error) if name else None,
        field=error.field if isinstance(error, Malformed) else None,
    )
    headers = dict(PRIVATE)
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    members: Mapping[str, object] = {}
    if isinstance(error, Faulty):
        # RFC 9457, 3.2: what else there is to say of the problem are members of its document.
        members = {"detail": error.says, **error.members}
        headers |= spoken_headers(language)
    body = spoken({**msgspec.to_builtins(document), **members}, language)
    return func.HttpResponse(body, status_code=status.value, headers=headers, mimetype=PROBLEM_JSON)


def example_of(status: HTTPStatus) -> dict[str, object]:
    """A problem document of this status, as descriptions of the API show it."""
    name = next((name for _, each, name in _STATUSES if each is status), None)
    plain: dict[str, object] = {
        "type": TYPE_PREFIX + name if name else "about:blank",
        "title": status.phrase,
        "status": status.value,
    }
    if status is HTTPStatus.BAD_REQUEST:
        return plain | {"detail": "country: does not have the form required", "field": "country"}
    return plain | ({"detail": "what is wrong, without what was sent"} if name else {})


def unprocessable(
    name: str, detail: str, *, asked_by: func.HttpRequest | None = None, **more: object
) -> func.HttpResponse:
    """A 422 whose problem document has members of its own (RFC 9457, 3.2), for what a form has to show.

    Its sentences are in the language that the request `asked_by` accepts, in English without one; the title is HTTP's.
    """
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    document = {"type": TYPE_PREFIX + name, "title": status.phrase, "status": status.value, "detail": detail, **more}
    language = language_asked(asked_by) if asked_by is not None else DEFAULT_LANGUAGE
    headers = PRIVATE | (spoken_headers(language) if asked_by is not None else {})
    body = spoken(document, language)
    return func.HttpResponse(body, status_code=status.value, headers=headers, mimetype=PROBLEM_JSON)


def _status_of(error: EmergencyCallingError | None) -> tuple[HTTPStatus, str | None]:
    for kind, status, name in _STATUSES:
        if isinstance(error, kind):
            return status, name
    return HTTPStatus.INTERNAL_SERVER_ERROR, None


def answered(function: HttpFunction) -> HttpFunction:
    """Decorate an HTTP function, whose parameter is `req`: errors become problem documents, allowed sites may read."""

    @functools.wraps(function)
    def answering(req: func.HttpRequest) -> func.HttpResponse:
        with serving() as app:
            origins = (app.settings.allowed_origins, app.settings.own_origins)
            return answer(function, req, app.calling.telemetry, *origins, sign_in=app.sign_in)

    return answering


def answer(
    function: HttpFunction,
    req: func.HttpRequest,
    telemetry: Telemetry,
    allowed_origins: Collection[str],
    own_origins: Collection[str] = (),
    *,
    sign_in: SignIn | None = None,
) -> func.HttpResponse:
    """Call the function, unless a page of a foreign site asks; whatever it raises becomes a problem document."""
    try:
        require_no_forgery(req, (*own_origins, *allowed_origins))
        response = function(req)
    except EmergencyCallingError as error:
        response = problem(error, language_asked(req))
        if response.status_code in _TOLD and not _from_nobody(error, req, sign_in):
            refused_for = {"error": type(error).__name__, **_field_of(error)}
            telemetry.emit("request_rejected", function=function.__name__, status=response.status_code, **refused_for)
    except Exception as error:  # noqa: BLE001 - nobody outside may see it, and its message may hold anything
        telemetry.emit("unforeseen_error", function=function.__name__, error=type(error).__name__)
        response = problem(None)
    for name, value in shared_with(req.headers.get("origin"), allowed_origins).items():
        # A script says itself that every site may read it, and has to stay cacheable for all of them.
        response.headers.setdefault(name, value)
        if name == "Vary" and response.headers[name] == OF_LANGUAGES:
            response.headers[name] = f"{OF_LANGUAGES}, {value}"
    return response


def seated(function: HttpFunction) -> HttpFunction:
    """Decorate what the office asks, within `answered`: one sender's requests leave threads to everybody's dials."""

    @functools.wraps(function)
    def sitting(req: func.HttpRequest) -> func.HttpResponse:
        app = composed()
        return take_seat(function, req, app.calling.seated, app.sign_in)

    return sitting


def take_seat(
    function: HttpFunction,
    req: func.HttpRequest,
    seats: Callable[[Caller], AbstractContextManager[None]],
    sign_in: SignIn,
) -> func.HttpResponse:
    """Call the function in one of the sender's seats. Raises `LineFull`."""
    person = sign_in.principal(req.headers)
    # Nobody who is not signed in gets as far as the store.
    with seats(caller_of(person)) if person is not None else nullcontext():
        return function(req)


def _from_nobody(error: EmergencyCallingError, req: func.HttpRequest, sign_in: SignIn | None) -> bool:
    # Looked at before any sign-in: anybody could fill the day's log with an `Origin`, and silence the alerts.
    return isinstance(error, ForeignSite) and (sign_in is None or sign_in.principal(req.headers) is None)


def _field_of(error: EmergencyCallingError) -> dict[str, str]:
    # Without what stands in brackets: the index says nothing to an operator, and is no word of the log's.
    return {"field": error.field.partition("[")[0]} if isinstance(error, Malformed) else {}


def acknowledged(function: EventFunction) -> EventFunction:
    """Decorate an Event Grid function, whose parameter is `event`: what no retry can mend is acknowledged, counted."""

    @functools.wraps(function)
    def acknowledging(event: func.EventGridEvent) -> None:
        with serving() as app:
            acknowledge(function, event, app.calling.telemetry)

    return acknowledging


def in_line(function: EventFunction) -> AwaitedEventFunction:
    """Decorate an Event Grid function for which nobody waits: a few at once, and whatever waits holds no thread."""
    crew = ThreadPoolExecutor(REPORTS_AT_ONCE, thread_name_prefix=function.__name__)

    @functools.wraps(function)
    async def waiting(event: func.EventGridEvent) -> None:
        await asyncio.get_running_loop().run_in_executor(crew, function, event)

    return waiting


def acknowledge(function: EventFunction, event: func.EventGridEvent, telemetry: Telemetry) -> None:
    """Call the function for the event.

    Raises:
        RedeliveryWanted: something was away or moved, or nobody foresaw it: Event Grid must deliver again.
    """
    name = function.__name__
    try:
        function(event)
    except SourceUnknown:
        telemetry.emit("event_source_unknown", function=name)
        return
    except _BEYOND_RETRY as error:
        telemetry.emit("event_rejected", function=name, error=type(error).__name__, **_field_of(error))
        return
    except (Unavailable, Conflict) as error:
        again: Exception = error
    except Exception as error:  # noqa: BLE001 - its message may hold anything, and the host would log it
        telemetry.emit("unforeseen_error", function=name, error=type(error).__name__)
        again = error
    else:
        return
    # Raised out here, where no other exception hangs on to it: the host logs the whole chain.
    raise RedeliveryWanted(f"{name}: {type(again).__name__}")


def swept(function: Callable[[func.TimerRequest], None]) -> Callable[[func.TimerRequest], None]:
    """Decorate a timer function, whose parameter is `timer`: what fails is named by class only, and comes up again."""

    @functools.wraps(function)
    def sweeping(timer: func.TimerRequest) -> None:
        with serving() as app:
            sweep(function, timer, app.calling.telemetry)

    return sweeping


def prepared(function: Callable[[WarmUpContext], None]) -> Callable[[WarmUpContext], None]:
    """Decorate the warm-up function, whose parameter is `context`: what fails is named by class only, as above."""

    @functools.wraps(function)
    def preparing(context: WarmUpContext) -> None:
        with serving() as app:
            sweep(function, context, app.calling.telemetry)

    return preparing


def sweep[T](function: Callable[[T], None], trigger: T, telemetry: Telemetry) -> None:
    """Call the timer's function, or the warm-up's.

    Raises:
        RedeliveryWanted: something failed; the next run takes it up.
    """
    name = function.__name__
    try:
        function(trigger)
    except EmergencyCallingError as error:
        # Foreseen: a service is away, which has been said.
        failed: Exception = error
    except Exception as error:  # noqa: BLE001 - its message may hold anything, and the host would log it
        telemetry.emit("unforeseen_error", function=name, error=type(error).__name__)
        failed = error
    else:
        return
    raise RedeliveryWanted(f"{name}: {type(failed).__name__}")
