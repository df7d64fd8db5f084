"""What every HTTP function does: who calls, the answer's form, entity tags, and which sites may read it (CORS)."""

import hashlib
from collections.abc import Collection, Mapping
from string import ascii_letters, digits
from typing import TYPE_CHECKING

import azure.functions as func
import msgspec

from functions.rights import authorise, caller_of
from shared.domain.callers import Caller
from shared.domain.errors import NotAllowed
from shared.domain.ids import ascii_lower
from shared.domain.principals import Principal
from shared.domain.sites import ip_address_in
from shared.ports import SignIn

if TYPE_CHECKING:
    from shared.emergency_calling import EmergencyCalling

JSON = "application/json"
# Whatever we answer may name people, numbers or places: it is for this caller and this moment only.
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
REQUEST_HEADERS = "authorization, content-type, if-match, if-none-match"
MAX_HEADER_NAMES_CHARS = 4096
MAX_FORWARDED_ADDRESS_CHARS = 60
_OF_HEADER_NAMES = frozenset(ascii_letters + digits + "!#$%&'*+-.^_`|~, ")
# There are more entries than this many, and those beyond are not in the answer.
CUT_AT = "Cut-At"
READABLE_HEADERS = f"{CUT_AT}, Date, ETag, Retry-After, WWW-Authenticate"
# Chromium caps it here; Firefox at a day.
PREFLIGHT_LASTS_S = 7200


def json_answer(document: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """`document` (a msgspec struct, or plain values) as JSON; times come out as RFC 3339 in UTC."""
    body = msgspec.json.encode(document)
    return func.HttpResponse(body, status_code=status, headers={**PRIVATE, **(headers or {})}, mimetype=JSON)


def empty_answer(status: int = 204) -> func.HttpResponse:
    """An answer without a body; it is private like all others: that something is gone is for this caller only."""
    return func.HttpResponse(status_code=status, headers=dict(PRIVATE))


def tagged_answer(
    req: func.HttpRequest, document: object, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """`document` as JSON with an entity tag of its content; 304 where the caller has just that already."""
    body = msgspec.json.encode(document)
    return _unless_known(req, body, entity_tag(body.decode()), headers)


def versioned_answer(req: func.HttpRequest, document: object, version: str) -> func.HttpResponse:
    """As `tagged_answer`, with the entity tag of the version that the store has: a PUT or DELETE names it as well."""
    return _unless_known(req, msgspec.json.encode(document), entity_tag(version))


def _unless_known(
    req: func.HttpRequest, body: bytes, tag: str, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    sent = {**PRIVATE, "ETag": tag, **(headers or {})}
    if matches(req.headers.get("if-none-match"), tag):
        return func.HttpResponse(status_code=304, headers=sent)
    return func.HttpResponse(body, headers=sent, mimetype=JSON)


def entity_tag(version: str) -> str:
    """A strong entity tag that stands for a version; hashed, because versions of stores hold quotes of their own."""
    return f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'


def matches(header: str | None, tag: str) -> bool:
    """Whether an `If-Match` or `If-None-Match` names the tag, or any (RFC 9110, 13.1)."""
    named = {part.strip().removeprefix("W/") for part in (header or "").split(",")}
    return tag in named or "*" in named


# Who calls -----------------------------------------------------------------------------------------------------------


def caller(function_name: str, req: func.HttpRequest, sign_in: SignIn) -> Caller:
    """The caller, if the function is for them; raises `NotSignedIn` or `NotAllowed`."""
    return caller_of(principal(function_name, req, sign_in))


def principal(function_name: str, req: func.HttpRequest, sign_in: SignIn) -> Principal:
    """The principal with the roles that let them use the function; raises `NotSignedIn` or `NotAllowed`."""
    return authorise(function_name, sign_in.principal(req.headers))


def client_network(req: func.HttpRequest, asking: Caller) -> str | None:
    """The address that an agent's own request came from, as the platform's front end appends it; None for others.

    A machine's address is where that machine is. It decides the site; of it only a keyed hash of its network is kept.
    """
    last = (req.headers.get("x-forwarded-for") or "").rpartition(",")[2].strip()
    if not asking.is_agent or not last or len(last) > MAX_FORWARDED_ADDRESS_CHARS:
        return None
    # With a port: `203.0.113.7:5123`, `[2001:db8::7]:5123`.
    bracketed, _, _ = last.removeprefix("[").partition("]")
    bare = bracketed if last.startswith("[") else last.partition(":")[0] if last.count(":") == 1 else last
    found = ip_address_in(bare)
    return None if found is None else str(found)


def administered(calling: "EmergencyCalling", caller: Caller, *, kind: str, change: str) -> None:
    """Leave a line in the log: what kind of record was changed, and by whom, as a word that only repeats itself."""
    calling.telemetry.emit("administered", kind=kind, change=change, by=calling.word_for(caller))


def is_flagged(req: func.HttpRequest, name: str) -> bool:
    """Whether a parameter of the query is on: there, and neither empty nor 0."""
    return req.params.get(name) not in (None, "", "0")


def named_emergency(req: func.HttpRequest) -> str | None:
    """The one of the live board that the office names; an empty name names none."""
    return req.params.get("emergency") or None


# Cross-origin --------------------------------------------------------------------------------------------------------


def shared_with(origin: str | None, allowed_origins: Collection[str]) -> dict[str, str]:
    """The headers that let scripts of `origin` read an answer; none for a site that is not in ALLOWED_ORIGINS.

    `allowed_origins` as the settings have them: in lower case, without a slash at the end.
    """
    if origin is None or not _is_among(origin, allowed_origins):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": READABLE_HEADERS,
        "Vary": "Origin",
    }


class ForeignSite(NotAllowed):
    """A page of another site asked for a change."""


def require_no_forgery(req: func.HttpRequest, ours: Collection[str]) -> None:
    """Raise `ForeignSite` for a request that would change something and that a page of a foreign site sent (CSRF).

    A browser sends the sign-in's cookie along, whoever wrote the page; what is no browser sends no `Origin`.
    """
    origin = req.headers.get("origin")
    if not origin or (req.method or "").upper() in SAFE_METHODS:
        return
    if not _is_among(origin, ours) and not _is_same_origin(origin, req.url):
        raise ForeignSite


def _is_same_origin(origin: str, url: str) -> bool:
    """Whether it is the https origin of the request's own `url`, as of a custom domain that no setting names.

    A page cannot set the host of an address that it asks (`Host` is a forbidden header), and the cookie goes to that
    host alone. Where a front end writes another host, the two differ: then a setting has to name the origin.
    """
    host = url.partition("://")[2].partition("/")[0]
    return bool(host) and ascii_lower(origin) == f"https://{ascii_lower(host)}"


def _is_among(origin: str, origins: Collection[str]) -> bool:
    return ascii_lower(origin) in origins


def preflight_answer(origin: str | None, asked: str | None, allowed_origins: Collection[str]) -> func.HttpResponse:
    """The answer to a browser that asks before it sends a request (Fetch standard, CORS-preflight request).

    `asked` are the names of the request's headers, which are granted as they are: libraries that trace requests add
    some of their own. Names that are no header's are passed over, because the host refuses to send them.
    """
    headers = shared_with(origin, allowed_origins)
    if headers:
        plain = asked and len(asked) <= MAX_HEADER_NAMES_CHARS and _OF_HEADER_NAMES.issuperset(asked)
        headers |= {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": asked if asked and plain else REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_LASTS_S),
            "Vary": "Origin, Access-Control-Request-Headers",
        }
    return func.HttpResponse(status_code=204, headers=headers)
