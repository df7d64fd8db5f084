"""The server of the stand-in: TLS, tokens, faults, and the one route."""

from __future__ import annotations

import json
import re
import secrets
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import jwt
import trustme

from tests.local.graph.errors import GraphError, malformed
from tests.local.graph.mail import Mailboxes

SENDER = "emergency@alerts.example.com"
ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-000000000002/"
APP_ID = "00000000-0000-0000-0000-0000000000c1"
SEND = "Mail.Send"
_SEND_MAIL = re.compile(r"/v1\.0/users/([^/]+)/sendMail")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request. `lost`: it is done, and the connection ends without an answer."""

    kind: Literal["status", "hang", "drop", "lost"] = "status"
    status: int = 503
    body: str | None = None
    retry_after_s: int | None = None


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
    mail: Mailboxes = field(init=False)

    def __post_init__(self) -> None:
        self.mail = Mailboxes({SENDER}, self.now_s)

    @staticmethod
    @contextmanager
    def start() -> Iterator[LocalGraph]:
        """Serve until the end of the block."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        server = _Server(("127.0.0.1", 0), context)
        with tempfile.TemporaryDirectory() as folder:
            ca_file = Path(folder) / "graph-ca.pem"
            authority.cert_pem.write_to_path(str(ca_file))
            url = f"https://127.0.0.1:{server.server_port}"
            graph = LocalGraph(url, str(ca_file), secrets.token_hex(32))
            server.graph = graph
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield graph
            finally:
                graph.ended.set()
                server.shutdown()
                server.server_close()
                thread.join()

    def now_s(self) -> float:
        """The time on the stand-in's clock, in seconds."""
        return time.monotonic() + self.ahead_s

    def reset(self) -> None:
        """As it was at its start."""
        self.mail = Mailboxes({SENDER}, self.now_s)
        self.faults.clear()
        self.requests.clear()

    def token(self, *, roles: Sequence[str] = (SEND,), audience: str | None = None, for_s: int = 3600) -> str:
        """A token of an application, by default one that may send."""
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

    def answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> int:
        """Serve one request; the status of a success. Raises `GraphError`."""
        roles = self._roles(headers.get("authorization", ""))
        found = _SEND_MAIL.fullmatch(urlsplit(target).path)
        if found is None:
            raise GraphError(404, "ResourceNotFound", "Resource could not be discovered.")
        if method != "POST":
            raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
        if SEND not in roles:
            raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        if headers.get("content-type", "").split(";")[0] != "application/json":
            raise GraphError(415, "UnsupportedMediaType", "Unsupported media type.")
        self.mail.send(unquote(found[1]), _json(content))
        return 202

    def _roles(self, authorization: str) -> list[str]:
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), self.key, algorithms=["HS256"], audience=self.url, issuer=ISSUER
            )
        except jwt.InvalidTokenError:
            raise GraphError(401, "InvalidAuthenticationToken", "Access token is invalid.") from None
        roles: list[str] = claims.get("roles", [])
        return roles


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise malformed("Unable to read JSON request payload.") from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    graph: LocalGraph

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(address, _Handler)
        # The handshake is the connection's own thread's: a client that stops in it keeps nobody else waiting.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """Clients that give up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        """As inherited; a connection that breaks is closed."""
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        """Serve it, or do what the next fault says."""
        graph = self.server.graph
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        graph.requests.append(self.path)
        fault = graph.faults.pop(0) if graph.faults else None
        if fault is not None and fault.kind != "lost":
            self._fail(fault)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            with graph.mail.under_way():
                status = graph.answer(self.command, self.path, headers, content)
        except GraphError as refusal:
            self._send(refusal.status, json.dumps(refusal.body), refusal.retry_after_s)
            return
        if fault is not None:
            self.close_connection = True
            return
        self._send(status, "")

    do_GET = do_POST

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "hang":
            self.server.graph.ended.wait()
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

    def log_message(self, *_: object) -> None:
        """Say nothing: it would stand among the output of the tests."""
