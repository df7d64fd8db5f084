"""HTTP for the Azure SDKs whose every wait ends with the deadline of the work that it belongs to.

`requests` bounds the wait for one byte; a server that sends a byte now and then holds a thread for ever. Here each
read is given what is left of the running work's deadline (`shared.adapters.deadline_pool`). Import this module only
where an SDK is imported: at first use.
"""

import functools
import http.client
import io
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Retry
from urllib3.util.ssl_ import create_urllib3_context

from shared.adapters.deadline_pool import running_deadline

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# Shorter than any load balancer's idle limit, so that a connection which died silently is not met after a quiet night.
IDLE_LIMIT_S = 60.0
IDENTITY_CONNECT_S, IDENTITY_READ_S, IDENTITY_CONNECTIONS = 1.0, 5.0, 8


class HttpTransport:
    """A connection pool for one service. `transport` is what the SDK's client takes."""

    def __init__(self, *, connect_s: float, read_s: float, pool_size: int, ca_bundle: str | None = None) -> None:
        # Here and not at the first request, whose time is the service's.
        _trust(ca_bundle)
        self._session = requests.Session()
        # Else `requests` reads .netrc for every request and lets it replace the SDK's own authorisation.
        self._session.trust_env = False
        adapter = _TimelyAdapter(ca_bundle, pool_connections=2, pool_maxsize=pool_size, max_retries=Retry(total=False))
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self.transport = RequestsTransport(
            session=self._session,
            session_owner=False,
            connection_timeout=connect_s,
            read_timeout=read_s,
            connection_verify=ca_bundle or True,
        )

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()


@functools.cache
def managed_credential() -> "TokenCredential":
    """The app's managed identity (in development: whoever is signed in), one for all clients and their tokens."""
    return new_managed_credential()


def new_managed_credential() -> "TokenCredential":
    """The same, remembering no token: for a service that does not take the one that is remembered."""
    from azure.identity import DefaultAzureCredential

    # With the SDK's own transport an identity endpoint that hangs would hold a thread for minutes, and then be retried.
    http = HttpTransport(connect_s=IDENTITY_CONNECT_S, read_s=IDENTITY_READ_S, pool_size=IDENTITY_CONNECTIONS)
    return DefaultAzureCredential(transport=http.transport, retry_total=0)


def seconds_left(most_s: float | None) -> float | None:
    """`most_s`, or less where the running work's deadline comes earlier. Raises `TimeoutError` when it has passed."""
    deadline = running_deadline()
    if deadline is None:
        return most_s
    left_s = deadline.latest_s()
    if left_s <= 0:
        raise TimeoutError
    return left_s if most_s is None else min(most_s, left_s)


class _TimelyReader(io.RawIOBase):
    """Reads a response from its socket; every read ends with the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._most_s = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(seconds_left(self._most_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimelySocket:
    """What `http.client.HTTPResponse` needs of a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimelyReader(self._socket))


class _TimelyResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_TimelySocket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Timely(HTTPConnection):
    """Connects and sends within the deadline, and gives up connections that idled too long."""

    response_class = _TimelyResponse
    _used_at = 0.0

    def connect(self) -> None:
        self.timeout = seconds_left(self.timeout)
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used_at = time.monotonic()
        if self.sock is not None:
            # What the request before left of its own deadline is still set on the socket.
            self.sock.settimeout(seconds_left(self.timeout))
        super().request(*args, **kwargs)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and time.monotonic() - self._used_at < IDLE_LIMIT_S


class _TimelyHttp(_Timely):
    pass


class _TimelyHttps(_Timely, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _TimelyHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TimelyHttps


@functools.cache
def _trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Whom to believe, read once: `requests` reads the bundle for every connection, which takes 25 ms each time."""
    context = create_urllib3_context()
    context.load_verify_locations(ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    return context


class _TimelyAdapter(HTTPAdapter):
    def __init__(self, ca_bundle: str | None, **options: Any) -> None:
        self._ca_bundle = ca_bundle
        super().__init__(**options)

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {"ssl_context": _trust(self._ca_bundle)} if host["scheme"] == "https" else {}

    def cert_verify(self, *_: Any) -> None:
        # The context does, and whatever is set here would be read again for each connection.
        return

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
