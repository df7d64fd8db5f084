"""The server of the stand-in: TLS, tokens, faults, and the routes."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import jwt

from tests.local.graph.errors import GraphError, malformed
from tests.local.graph.mail import Mailboxes
from tests.local.graph.presence import Presences
from tests.local.loopback import TlsHandler, over_tls

SENDER = "emergency@alerts.example.com"
ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-000000000002/"
APP_ID = "00000000-0000-0000-0000-0000000000c1"
SEND = "Mail.Send"
PRESENCE, READ_PRESENCE = "Presence.ReadWrite.All", "Presence.Read.All"
_SEND_MAIL = re.compile(r"/v1\.0/users/([^/]+)/sendMail")
_PRESENCE = re.compile(r"/v1\.0/users/([^/]+)/presence(?:/([A-Za-z]+))?")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request whose target ends with `of`.

    `lost`: it is done, and the connection ends without an answer. `late`: the connection ends, and it is done when the
    test says so (`land`).
    """

    kind: Literal["status", "hang", "drop", "lost", "late"] = "status"
    status: int = 503
    body: str | None = None
    retry_after_s: int | None = None
    of: str = ""


@dataclass
class LocalGraph:
    """The stand-in. `key` signs the tokens that it believes (HS256)."""

    url: str
    ca_file: str
    key: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """The targets that were asked for, in order."""
    ahead_s: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    planned: dict[int, Fault] = field(default_factory=dict)
    """What goes wrong with a request by its number among all, from 1 on."""
    late: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """The requests that are still on their way."""
    mail: Mailboxes = field(init=False)
    presence: Presences = field(init=False)

    def __post_init__(self) -> None:
        self.mail = Mailboxes({SENDER}, self.now_s)
        self.presence = Presences(self.now_s)

    @staticmethod
    @contextmanager
    def start() -> Iterator[LocalGraph]:
        """Serve until the end of the block."""
        with over_tls(_Handler, lambda url, ca_file: LocalGraph(url, ca_file, secrets.token_hex(32))) as graph:
            try:
                yield graph
            finally:
                graph.ended.set()

    def now_s(self) -> float:
        """The time on the stand-in's clock, in seconds."""
        return time.monotonic() + self.ahead_s

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.ahead_s += by.total_seconds()

    def reset(self) -> None:
        """As it was at its start."""
        self.mail = Mailboxes({SENDER}, self.now_s)
        self.presence = Presences(self.now_s)
        self.faults.clear()
        self.planned.clear()
        self.requests.clear()
        self.late.clear()

    def land(self) -> None:
        """What is still on its way arrives."""
        late, self.late = self.late, []
        for method, target, headers, content in late:
            with suppress(GraphError):
                self.answer(method, target, headers, content)

    def next_fault(self, target: str) -> Fault | None:
        """What goes wrong with the request that came just now: what is planned, else a fault that is about it."""
        planned = self.planned.pop(len(self.requests), None)
        if planned is not None:
            return planned
        fault = next((each for each in self.faults if target.endswith(each.of)), None)
        if fault is not None:
            self.faults.remove(fault)
        return fault

    def token(self, *, roles: Sequence[str] = (SEND, PRESENCE), audience: str | None = None, for_s: int = 3600) -> str:
        """A token of an application, by default one that may do everything."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": audience or self.url,
            "appid": APP_ID,
            "roles": [*roles],
            "nbf": min(now, now + for_s) - 60,
            "exp": now + for_s,
        }
        return jwt.encode(claims, self.key, algorithm="HS256")

    def answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> tuple[int, Any]:
        """Serve one request; the status and body of a success. Raises `GraphError`."""
        claims = self._claims(headers.get("authorization", ""))
        path = urlsplit(target).path
        if (found := _SEND_MAIL.fullmatch(path)) is not None:
            _require(method, "POST", claims, {SEND}, "ErrorAccessDenied")
            with self.mail.under_way():
                self.mail.send(unquote(found[1]), _json(headers, content))
            return 202, None
        if (found := _PRESENCE.fullmatch(path)) is not None:
            return self._presence(method, unquote(found[1]), found[2], claims, headers, content)
        raise GraphError(404, "ResourceNotFound", "Resource could not be discovered.")

    def _presence(
        self,
        method: str,
        user_id: str,
        action: str | None,
        claims: dict[str, Any],
        headers: dict[str, str],
        content: bytes,
    ) -> tuple[int, Any]:
        self.presence.count()
        if action is None:
            _require(method, "GET", claims, {PRESENCE, READ_PRESENCE}, "Forbidden")
            return 200, self.presence.read(user_id)
        _require(method, "POST", claims, {PRESENCE}, "Forbidden")
        return self.presence.act(user_id, action, _json(headers, content), str(claims["appid"])), None

    def _claims(self, authorization: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                authorization.removeprefix("Bearer "), self.key, algorithms=["HS256"], audience=self.url, issuer=ISSUER
            )
        except jwt.InvalidTokenError:
            raise GraphError(401, "InvalidAuthenticationToken", "Access token is invalid.") from None
        return claims


def _require(method: str, needed: str, claims: dict[str, Any], roles: set[str], code: str) -> None:
    if method != needed:
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
    if not roles & {*claims.get("roles", [])}:
        raise GraphError(403, code, "Access is denied. Check credentials and try again.")


def _json(headers: dict[str, str], content: bytes) -> Any:
    if headers.get("content-type", "").split(";")[0] != "application/json":
        raise GraphError(415, "UnsupportedMediaType", "Unsupported media type.")
    try:
        return json.loads(content)
    except ValueError:
        raise malformed("Unable to read JSON request payload.") from None


class _Handler(TlsHandler):
    def do_POST(self) -> None:
        """Serve it, or do what the next fault says."""
        graph: LocalGraph = self.stand_in
        content = self.read_content()
        graph.requests.append(self.path)
        fault = graph.next_fault(self.path)
        headers = self.lower_headers()
        if fault is not None and fault.kind == "late":
            graph.late.append((self.command, self.path, headers, content))
        if fault is not None and fault.kind != "lost":
            self._fail(fault)
            return
        try:
            status, body = graph.answer(self.command, self.path, headers, content)
        except GraphError as refusal:
            self._send(refusal.status, json.dumps(refusal.body), refusal.retry_after_s)
            return
        if fault is not None:
            self.close_connection = True
            return
        self._send(status, "" if body is None else json.dumps(body))

    do_GET = do_POST

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "hang":
            self.stand_in.ended.wait()
        if fault.kind != "status":
            self.close_connection = True
            return
        refusal = GraphError(fault.status, "ServiceNotAvailable", "The service is unavailable.")
        self._send(fault.status, json.dumps(refusal.body) if fault.body is None else fault.body, fault.retry_after_s)

    def _send(self, status: int, body: str, retry_after_s: int | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after_s is not None:
            self.send_header("Retry-After", str(retry_after_s))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="", authorization_uri="https://login.example/"')
        self.end_headers()
        self.wfile.write(content)
