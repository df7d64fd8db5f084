"""HTTP for the Azure SDKs whose every wait ends with the deadline of the work that it belongs to.

A client's time-out bounds the wait for one byte; a server that sends a byte now and then holds a thread for ever. Here
each read is given what is left of the running work's deadline (`shared.adapters.deadline_pool`). It is made of the
standard library's `http.client`, because `requests` takes several times its processor time for a request, and 60 ms
to import. Import this module only where an SDK is imported: at first use.
"""

from __future__ import annotations

import functools
import http.client
import io
import re
import select
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import certifi
from azure.core.exceptions import (
    AzureError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import HttpTransport as AzureTransport
from azure.core.pipeline.transport._base import HttpClientTransportResponse
from azure.core.rest import HttpRequest
from azure.core.rest._http_response_impl import HttpResponseImpl
from azure.core.utils import case_insensitive_dict

from shared.adapters.deadline_pool import seconds_left
from shared.adapters.kept_tokens import KeptTokens
from shared.adapters.sdk_answers import was_reset
from shared.adapters.system_clock import SystemClock

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# Shorter than any load balancer's idle limit, so that a connection which died silently is not met after a quiet night.
IDLE_LIMIT_S = 60.0
# No server closes a connection so soon. To look at each one would let go of the interpreter once more for each request,
# and sixty dials at once wait for it in line.
FRESH_S = 1.0
IDENTITY_CONNECT_S, IDENTITY_READ_S, IDENTITY_CONNECTIONS = 1.0, 5.0, 8
MAX_HEADERS, MAX_LINE_BYTES, BUFFER_BYTES = 200, 65_536, 32_768
_PORTS = {"http": 80, "https": 443}
_PLAIN_TARGET = re.compile(r"[!#-;=?-Z_a-z~\[\]]+")
_SAFE_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

type Address = tuple[str, str, int]


class HttpTransport(AzureTransport[Any, Any]):
    """The SDKs' transport: kept connections to each service, at most `pool_size` of them idle.

    A response is read whole before it is given back. The SDK's own options (time-outs, proxies) and the environment
    count for nothing.
    """

    def __init__(
        self,
        *,
        connect_s: float,
        read_s: float,
        pool_size: int,
        ca_bundle: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # Here and not at the first request, whose time is the service's.
        self._context = _trust(ca_bundle)
        self._connect_s, self._read_s, self._pool_size = connect_s, read_s, pool_size
        self._monotonic = monotonic
        self._idle: dict[Address, deque[_Connection]] = {}
        self._closed = False
        # The credential's transport lives as long as the process: nobody closes it.
        weakref.finalize(self, _close_every, self._idle)

    def open(self) -> None:
        """Nothing is connected before the first request."""

    def close(self) -> None:
        """Close the idle connections, and keep no others."""
        self._closed = True
        _close_every(self._idle)

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Any, **_: Any) -> Any:
        """The response to a request of either of the SDKs' two kinds; raises `AzureError`."""
        url = urlsplit(request.url)
        address = (url.scheme, url.hostname or "", url.port or _PORTS[url.scheme])
        sent = _request_bytes(request, url)
        connection = self._connection(address)
        connection.used_at = self._monotonic()
        try:
            received = connection.exchange(request.method, sent)
        except BaseException as error:
            connection.close()
            if isinstance(error, AzureError) and was_reset(error):
                # What closes one kept connection closes its neighbours: the repeat of this request must meet none.
                _close_all(self._idle[address])
            raise
        if connection.stays_open and len(self._idle[address]) < self._pool_size and not self._closed:
            self._idle[address].append(connection)
        else:
            connection.close()
        return _response(request, received)

    def _connection(self, address: Address) -> _Connection:
        idle = self._idle.setdefault(address, deque())
        # The one that was used last: those beyond what is needed grow old and are given up.
        while (connection := _popped(idle)) is not None:
            if connection.lives(self._monotonic()):
                return connection
            connection.close()
        return _Connection(address, self._context, connect_s=self._connect_s, read_s=self._read_s)


def _close_every(idle: Mapping[Address, deque[_Connection]]) -> None:
    for connections in idle.values():
        _close_all(connections)


def _close_all(connections: deque[_Connection]) -> None:
    while (connection := _popped(connections)) is not None:
        connection.close()


def _popped(idle: deque[_Connection]) -> _Connection | None:
    try:
        return idle.pop()
    except IndexError:
        return None


@functools.cache
def managed_credential() -> KeptTokens:
    """The app's managed identity (in development: whoever is signed in), one for all clients and their tokens.

    Raises what the SDK raises where nobody can sign in with the environment.
    """
    return KeptTokens(new_managed_credential, SystemClock())


def new_managed_credential() -> TokenCredential:
    """What signs in as that identity, for one token."""
    from azure.identity import DefaultAzureCredential

    # With the SDK's own transport an identity endpoint that hangs would hold a thread for minutes, and then be retried.
    http = HttpTransport(connect_s=IDENTITY_CONNECT_S, read_s=IDENTITY_READ_S, pool_size=IDENTITY_CONNECTIONS)
    return DefaultAzureCredential(transport=http, retry_total=0)


# The request -----------------------------------------------------------------------------------------------------


def _request_bytes(request: Any, url: SplitResult) -> bytes:
    """Head and body in one piece: sent apart, the server would be woken twice. `ValueError` for an impossible head."""
    body = _body(request.content if isinstance(request, HttpRequest) else request.data)
    headers: dict[str, str] = {
        "host": url.netloc.rpartition("@")[2],
        # Nothing here unpacks anything.
        "accept-encoding": "identity",
        **{name.lower(): value for name, value in request.headers.items()},
    }
    if body or request.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = str(len(body))
    lines = [f"{request.method} {_target(url)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(lines)
    if head.count("\n") + head.count("\r") != 2 * (len(lines) - 1):
        raise ValueError("a header must be one line")
    return f"{head}\r\n\r\n".encode("latin-1") + body


def _target(url: SplitResult) -> str:
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    return target if _PLAIN_TARGET.fullmatch(target) else quote(target, safe=_SAFE_IN_TARGET)


def _body(content: object) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    # Of an identity's sign-in with a secret or a certificate, in development.
    return urlencode(content).encode() if isinstance(content, Mapping) else b""


# The answer ------------------------------------------------------------------------------------------------------


def _response(request: Any, received: _Received) -> Any:
    """The SDK's own kinds of response. They have no public name; the version is pinned."""
    if not isinstance(request, HttpRequest):
        return HttpClientTransportResponse(request, received)  # type: ignore[no-untyped-call]
    headers = received.getheaders()
    response = HttpResponseImpl(
        request=request,
        internal_response=received,
        status_code=received.status,
        reason=received.reason,
        headers=case_insensitive_dict(headers),
        content_type=dict(headers).get("content-type"),
        stream_download_generator=None,
    )
    response._content = received.read()  # noqa: SLF001 - it is all there
    return response


class _TimelyReader(io.RawIOBase):
    """Reads a response from its socket; every read ends with the deadline."""

    def __init__(self, sock: socket.socket, most_s: float) -> None:
        self._socket, self._most_s = sock, most_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(seconds_left(self._most_s))
        return self._socket.recv_into(buffer)


class _ReadFrom:
    """What `http.client.HTTPResponse` needs of a socket."""

    def __init__(self, reader: _TimelyReader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader, BUFFER_BYTES)


class _Received(http.client.HTTPResponse):
    """An answer whose headers `email.parser` has no part in: it takes as long for them as all the rest together."""

    def __init__(self, sock: socket.socket, method: str, most_s: float) -> None:
        super().__init__(_ReadFrom(_TimelyReader(sock, most_s)), method=method)  # type: ignore[arg-type]
        self._found: dict[str, str] = {}
        self._content = b""

    def begin(self) -> None:
        """Read the head, and see where the body ends (RFC 9112, 6.3).

        Heads of 1xx may come before it, asked for or not (RFC 9110, 15.2).
        """
        status = HTTPStatus.CONTINUE.value
        while status < HTTPStatus.OK:
            version, status, self.reason = self._read_status()  # type: ignore[attr-defined]
            self._found = self._read_fields()
        self.code = self.status = status
        is_old, said = version == "HTTP/1.0", self._found.get("connection", "").lower()
        self.version = 10 if is_old else 11
        self.will_close = "keep-alive" not in said if is_old else "close" in said
        self.chunked = self._found.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = self._found.get("content-length", "")
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if status in _BODILESS or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        if self.length is None and not self.chunked:
            self.will_close = True

    def _read_fields(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = self.fp.readline(MAX_LINE_BYTES)
            if line in (b"\r\n", b"\n"):
                return found
            name, colon, value = line.decode("latin-1").partition(":")
            if not (colon and line.endswith(b"\n")):
                break
            key, text = name.strip().lower(), value.strip()
            found[key] = f"{found[key]}, {text}" if key in found else text
        raise http.client.HTTPException("the head of an answer cannot be read")

    def getheaders(self) -> list[tuple[str, str]]:
        """All of them, with names in lower case."""
        return list(self._found.items())

    def take_body(self) -> None:
        """Read the body to its end."""
        self._content = super().read()

    def read(self, _amount: int | None = None) -> bytes:
        """The body."""
        return self._content


class _Connection:
    """A connection that is kept between requests."""

    def __init__(self, address: Address, context: ssl.SSLContext, *, connect_s: float, read_s: float) -> None:
        """Connect; raises `ServiceRequestError`."""
        self._read_s = read_s
        self.used_at = 0.0
        self.stays_open = True
        try:
            self._socket = _connected(address, context, connect_s)
        except TimeoutError as error:
            raise ServiceRequestTimeoutError("not connected in time", error=error) from None
        except (OSError, UnicodeError) as error:
            raise ServiceRequestError(str(error), error=error) from None

    def lives(self, now: float) -> bool:
        """Whether it may be used once more: not idle for too long, and not closed by the other side."""
        idle_s = now - self.used_at
        if idle_s < FRESH_S:
            return True
        if idle_s >= IDLE_LIMIT_S:
            return False
        look = select.poll()
        look.register(self._socket, select.POLLIN)
        # What comes without being asked for is the end.
        return not look.poll(0)

    def exchange(self, method: str, sent: bytes) -> _Received:
        """Send a request and read its answer to the end; raises `AzureError`."""
        try:
            self._socket.settimeout(seconds_left(self._read_s))
            self._socket.sendall(sent)
            received = _Received(self._socket, method, self._read_s)
            received.begin()
        except TimeoutError as error:
            raise ServiceResponseTimeoutError("not answered in time", error=error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceResponseError(str(error), error=error) from None
        try:
            received.take_body()
        except TimeoutError as error:
            raise ServiceResponseTimeoutError("not answered to the end in time", error=error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise IncompleteReadError(str(error), error=error) from None
        self.stays_open = not received.will_close
        return received

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _connected(address: Address, context: ssl.SSLContext, connect_s: float) -> socket.socket:
    scheme, host, port = address
    sock = socket.create_connection((host, port), seconds_left(connect_s))
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if scheme != "https":
            return sock
        sock.settimeout(seconds_left(connect_s))
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


@functools.cache
def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Whom to believe, read once: reading the bundle takes 25 ms."""
    return ssl.create_default_context(cafile=ca_bundle or certifi.where())
