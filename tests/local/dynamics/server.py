"""The server of the stand-in: TLS, tokens, OData headers, privileges, limits, faults."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import jwt

from tests.local.dynamics.errors import DataverseError, forbidden, malformed, not_a_member
from tests.local.dynamics.limits import ServiceProtection
from tests.local.dynamics.organisation import Organisation
from tests.local.dynamics.queries import answer_query
from tests.local.loopback import TlsHandler, over_tls

ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-000000000002/"
APP_ID = "00000000-0000-0000-0000-0000000000c1"
ROOT = "/api/data/v9.2/"
MODIFY, WHO_AM_I = "CCaaS_ModifyAgentPresence", "WhoAmI"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IMPERSONATION = ("mscrmcallerid", "callerobjectid")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    `lost`: it is done, and the connection ends without an answer. `late`: no answer, and a set is done only when the
    test lets it `land`.
    """

    kind: Literal["status", "hang", "drop", "lost", "late", "body"] = "status"
    status: int = 503
    body: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Asked:
    """A request that came: what for, about whom and when, and whom its headers want to impersonate."""

    method: str
    operation: str
    impersonates: str | None
    about: str | None
    at: datetime


@dataclass
class LocalDynamics:
    """The stand-in. `key` signs the tokens that it believes (HS256)."""

    url: str
    ca_file: str
    key: str
    faults: list[Fault | None] = field(default_factory=list)
    """What goes wrong with the next requests, in order; None lets one pass."""
    requests: list[Asked] = field(default_factory=list)
    ahead_s: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    organisation: Organisation = field(init=False)
    limits: ServiceProtection = field(init=False)

    def __post_init__(self) -> None:
        self._under_way: list[Callable[[], None]] = []
        self.reset()

    @staticmethod
    @contextmanager
    def start() -> Iterator[LocalDynamics]:
        """Serve until the end of the block."""
        with over_tls(_Handler, lambda url, ca_file: LocalDynamics(url, ca_file, secrets.token_hex(32))) as dynamics:
            try:
                yield dynamics
            finally:
                dynamics.ended.set()

    def now_s(self) -> float:
        """Seconds on the stand-in's clock."""
        return time.monotonic() + self.ahead_s

    def now(self) -> datetime:
        """The time on the stand-in's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead_s += seconds

    def reset(self) -> None:
        """As it was at its start; requests that hang are dropped."""
        self.organisation = Organisation(self.now, members={APP_ID})
        self.limits = ServiceProtection(self.now_s)
        self.faults.clear()
        self.requests.clear()
        self._under_way.clear()
        self.ended.set()
        self.ended = threading.Event()

    def land(self) -> int:
        """Do what was late; how much it was."""
        landing, self._under_way = self._under_way, []
        for each in landing:
            each()
        return len(landing)

    def token(self, *, audience: str | None = None, app_id: str = APP_ID, for_s: int = 3600) -> str:
        """A token of an application, by default the one that is a user of the organisation."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": audience or self.url,
            "appid": app_id,
            "nbf": min(now, now + for_s) - 60,
            "exp": now + for_s,
        }
        return jwt.encode(claims, self.key, algorithm="HS256")

    def count(self, operation: str) -> int:
        """How many requests came for a table, a function or an action."""
        return sum(asked.operation == operation for asked in self.requests)

    # Serving

    def serve(self, method: str, target: str, headers: dict[str, str], content: bytes) -> tuple[int, str]:
        """Serve one request; status and body of a success. Raises `DataverseError`."""
        caller = self._caller(headers)
        self._check_headers(method, headers)
        operation = operation_of(target)
        if operation == MODIFY:
            return self._modify(method, caller, headers, content)
        if method != "GET":
            raise DataverseError(405, "0x80060888", "The requested resource does not support this method.")
        if operation == WHO_AM_I:
            return 200, json.dumps({"@odata.context": "https://org/api/data/v9.2/$metadata#WhoAmI", "UserId": caller})
        self._require(caller, headers, f"prvRead{operation}")
        return 200, json.dumps(answer_query(self.organisation, operation, urlsplit(target).query))

    def put_off(self, method: str, target: str, headers: dict[str, str], content: bytes) -> None:
        """Do it later, when the test says so."""

        def later() -> None:
            try:
                self.serve(method, target, headers, content)
            except DataverseError:
                return

        self._under_way.append(later)

    def _modify(self, method: str, caller: str, headers: dict[str, str], content: bytes) -> tuple[int, str]:
        if method != "POST":
            raise DataverseError(405, "0x80060888", "The requested resource does not support this method.")
        if self.organisation.api_refuses is not None:
            raise DataverseError(self.organisation.api_refuses, "0x80040265", "API not allowed")
        self._require(caller, headers, MODIFY)
        agent_id, presence_id = _arguments(content)
        self.organisation.modify(caller, agent_id, presence_id)
        return 200, ""

    def _caller(self, headers: dict[str, str]) -> str:
        try:
            claims = jwt.decode(
                headers.get("authorization", "").removeprefix("Bearer "),
                self.key,
                algorithms=["HS256"],
                audience=self.url,
                issuer=ISSUER,
            )
        except jwt.InvalidTokenError:
            raise DataverseError(401, "0x80048306", "") from None
        if claims.get("appid") not in self.organisation.members:
            raise not_a_member()
        return self.organisation.own_user

    def _require(self, caller: str, headers: dict[str, str], privilege: str) -> None:
        """Whoever impersonates has what both users have."""
        impersonated = next((headers[name] for name in _IMPERSONATION if name in headers), caller)
        if not {caller, impersonated} <= self.organisation.privileged:
            raise forbidden(privilege)

    @staticmethod
    def _check_headers(method: str, headers: dict[str, str]) -> None:
        if headers.get("odata-version") != "4.0" or headers.get("odata-maxversion") != "4.0":
            raise malformed("The OData versions are to be named.")
        if "application/json" not in headers.get("accept", ""):
            raise DataverseError(406, "0x80060888", "The requested content type is not supported.")
        if method == "POST" and headers.get("content-type", "").split(";")[0] != "application/json":
            raise DataverseError(415, "0x80060888", "The content type is not supported.")


def operation_of(target: str) -> str:
    """The table, function or action that a request is for. Raises `DataverseError`."""
    path = urlsplit(target).path
    if not path.startswith(ROOT):
        raise DataverseError(404, "0x80060888", "Resource not found.")
    return path.removeprefix(ROOT).removesuffix("()")


def _arguments(content: bytes) -> tuple[str, str]:
    try:
        body = json.loads(content)
    except ValueError:
        raise malformed("The request body is no JSON.") from None
    if not isinstance(body, dict) or set(body) != {"ApiVersion", "AgentId", "PresenceId"}:
        raise malformed("The parameters are ApiVersion, AgentId and PresenceId.")
    if body["ApiVersion"] != "1.0":
        raise DataverseError(400, "0x80040265", "This version of the API does not exist.")
    agent_id, presence_id = body["AgentId"], body["PresenceId"]
    for each in (agent_id, presence_id):
        if not isinstance(each, str) or not _GUID.fullmatch(each):
            raise malformed("A GUID is expected.")
    return agent_id, presence_id


class _Handler(TlsHandler):
    def do_POST(self) -> None:
        """Serve it, or do what the fault says that is this request's."""
        dynamics: LocalDynamics = self.stand_in
        content = self.read_content()
        headers = self.lower_headers()
        fault = dynamics.faults.pop(0) if dynamics.faults else None
        try:
            dynamics.requests.append(_asked(self.command, self.path, headers, dynamics.now()))
            with dynamics.limits.request():
                if fault is not None and fault.kind != "lost":
                    self._fail(dynamics, fault, headers, content)
                    return
                status, body = dynamics.serve(self.command, self.path, headers, content)
        except DataverseError as refusal:
            self._send(refusal.status, json.dumps(refusal.body), refusal.retry_after_s)
            return
        if fault is not None:
            self.close_connection = True
            return
        self._send(status, body)

    do_GET = do_PATCH = do_DELETE = do_POST

    def _fail(self, dynamics: LocalDynamics, fault: Fault, headers: dict[str, str], content: bytes) -> None:
        if fault.kind == "late":
            dynamics.put_off(self.command, self.path, headers, content)
        if fault.kind == "hang":
            dynamics.ended.wait()
        if fault.kind in ("hang", "drop", "late"):
            self.close_connection = True
            return
        refusal = DataverseError(fault.status, "0x80040216", "An unexpected error occurred.")
        status = 200 if fault.kind == "body" else fault.status
        self._send(status, json.dumps(refusal.body) if fault.body is None else fault.body, fault.retry_after_s)

    def _send(self, status: int, body: str, retry_after_s: int | None = None) -> None:
        content = body.encode() if status != 401 else b""
        requests_left, seconds_left = self.stand_in.limits.remaining
        self.send_response(status)
        self.send_header("Content-Type", "application/json; odata.metadata=minimal")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("OData-Version", "4.0")
        self.send_header("x-ms-ratelimit-burst-remaining-xrm-requests", str(requests_left))
        self.send_header("x-ms-ratelimit-time-remaining-xrm-requests", f"{seconds_left:.2f}")
        if retry_after_s is not None:
            self.send_header("Retry-After", str(retry_after_s))
        if status == 401:
            self.send_header(
                "WWW-Authenticate",
                'Bearer authorization_uri="https://login.example/", resource_id="https://org.example/"',
            )
        self.end_headers()
        self.wfile.write(content)


def _asked(method: str, target: str, headers: dict[str, str], now: datetime) -> Asked:
    impersonates = next((headers[name] for name in _IMPERSONATION if name in headers), None)
    about = _GUID.search(target)
    return Asked(method, operation_of(target), impersonates, about[0] if about else None, now)
