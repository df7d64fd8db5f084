"""The HTTP of the Azure SDKs: whom it believes, what it sends, and when it keeps a connection."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from threading import Event

import pytest
import trustme
from azure.core.exceptions import AzureError, IncompleteReadError, ServiceResponseError
from azure.core.pipeline.transport import HttpRequest
from azure.core.rest import HttpRequest as RestRequest

from shared.adapters.timely_http import FRESH_S, IDLE_LIMIT_S, HttpTransport
from tests.contract.table_servers import Server

pytestmark = pytest.mark.process

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S = 5.0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The file of the authority's certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@contextmanager
def serving(authority: trustme.CA, name: str) -> Iterator[str]:
    """A server whose certificate is made out to `name`; gives its address, which is 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def talk(connection: socket, _: Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            while secured.recv(65_536):
                secured.sendall(ANSWER)

    server = Server(talk)
    try:
        yield f"https://127.0.0.1:{server.port}/"
    finally:
        server.close()


def asked(url: str, ca_bundle: str | None) -> int:
    """The status that comes back; raises `AzureError` where the server is not believed."""
    http = HttpTransport(connect_s=PATIENCE_S, read_s=PATIENCE_S, pool_size=2, ca_bundle=ca_bundle)
    try:
        return int(http.send(HttpRequest("GET", url)).status_code)
    finally:
        http.close()


def test_a_server_of_a_known_authority_is_believed_on_every_connection(authority: trustme.CA, bundle: str) -> None:
    with serving(authority, "127.0.0.1") as url:
        assert [asked(url, bundle), asked(url, bundle)] == [200, 200]


def test_the_bundle_is_read_once(authority: trustme.CA, bundle: str) -> None:
    with serving(authority, "127.0.0.1") as url:
        assert asked(url, bundle) == 200
        Path(bundle).unlink()
        assert asked(url, bundle) == 200


def test_a_server_of_an_unknown_authority_is_not_believed(authority: trustme.CA) -> None:
    with serving(authority, "127.0.0.1") as url, pytest.raises(AzureError, match="CERTIFICATE_VERIFY_FAILED"):
        asked(url, None)


def test_a_server_with_the_name_of_another_is_not_believed(authority: trustme.CA, bundle: str) -> None:
    with (
        serving(authority, "storage.example.com") as url,
        pytest.raises(AzureError, match=r"(?i)mismatch|doesn't match"),
    ):
        asked(url, bundle)


# What is sent and read, on plain connections -------------------------------------------------------------------------


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes], Server]]:
    """A server that gives these answers in turn and hangs up after the last; its address, and what it was sent."""
    asked: list[bytes] = []
    left = list(answers)

    def talk(connection: socket, _: Event) -> None:
        while left and (request := connection.recv(65_536)):
            asked.append(request)
            connection.sendall(left.pop(0))

    server = Server(talk)
    try:
        yield f"http://127.0.0.1:{server.port}/path", asked, server
    finally:
        server.close()


class Ticking:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds


@contextmanager
def transport(clock: Callable[[], float] = time.monotonic) -> Iterator[HttpTransport]:
    http = HttpTransport(connect_s=PATIENCE_S, read_s=PATIENCE_S, pool_size=2, monotonic=clock)
    try:
        yield http
    finally:
        http.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER
HINTED = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ANSWER
EMPTY = b"HTTP/1.1 204 No Content\r\nETag: one\r\nX-Said: a\r\nx-said: b\r\n\r\n"


def test_answers_of_every_framing_leave_the_connection_to_the_next_request() -> None:
    framings = (ANSWER, CHUNKED, CONTINUED, HINTED)
    with answering(*framings, EMPTY, ANSWER) as (url, asked, server), transport() as http:
        bodies = [http.send(RestRequest("GET", url)).read() for _ in framings]
        empty = http.send(RestRequest("PUT", url, content=b"body"))
        assert bodies == [b"ok"] * 4 and http.send(HttpRequest("GET", url)).body() == b"ok"
        assert (empty.status_code, empty.read()) == (204, b"")
        assert (empty.headers["ETag"], empty.headers["X-Said"]) == ("one", "a, b")
        # Head and body arrive in one piece.
        assert asked[4].startswith(b"PUT /path HTTP/1.1\r\nhost: 127.0.0.1") and asked[4].endswith(b"\r\n\r\nbody")
        assert server.connections == 1


@pytest.mark.parametrize(
    "last", [ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"HTTP/1.0 200 OK\r\n\r\nok", ANSWER]
)
def test_a_connection_that_was_hung_up_is_not_used_again(last: bytes) -> None:
    clock = Ticking()
    with answering(last) as (url, _, server), transport(clock) as http:
        assert http.send(RestRequest("GET", url)).read() == b"ok"
        server.wait_until_hung_up()
        clock.advance(FRESH_S)
        # The second is hung up on before it says anything.
        with pytest.raises(ServiceResponseError):
            http.send(RestRequest("GET", url))
        assert server.connections == 2


def test_a_connection_that_idled_too_long_is_given_up() -> None:
    clock = Ticking()
    with answering(ANSWER, ANSWER, ANSWER) as (url, _, server), transport(clock) as http:
        for idle_s, connections in ((0.0, 1), (IDLE_LIMIT_S - 1, 1), (IDLE_LIMIT_S, 2)):
            clock.advance(idle_s)
            http.send(RestRequest("GET", url))
            assert server.connections == connections


@pytest.mark.parametrize("half", [ANSWER[:-1], CHUNKED[:-7], CHUNKED[:-12]])
def test_half_an_answer_is_none_and_no_sign_of_a_dead_connection(half: bytes) -> None:
    # Only a connection that broke before any of the answer came is tried again: what was asked may have been done.
    with answering(half) as (url, _, _), transport() as http, pytest.raises(IncompleteReadError):
        http.send(RestRequest("GET", url))


def test_a_header_that_would_be_two_is_never_sent() -> None:
    with answering() as (url, asked, _), transport() as http:
        for value in ("a\r\nx-more: b", "a\nb", "a\rb"):
            with pytest.raises(ValueError, match="line"):
                http.send(RestRequest("GET", url, headers={"x-one": value}))
        assert asked == []


def test_a_target_that_no_request_line_can_hold_is_quoted() -> None:
    with answering(ANSWER, ANSWER) as (url, asked, _), transport() as http:
        http.send(RestRequest("GET", f"{url}/a b|%20é?q=ü x"))
        http.send(RestRequest("GET", f"{url}(Key='a%7Cb')?$filter=x%20eq%20'1'"))
        assert asked[0].split(b"\r\n")[0] == b"GET /path/a%20b%7C%20%C3%A9?q=%C3%BC%20x HTTP/1.1"
        assert asked[1].split(b"\r\n")[0] == b"GET /path(Key='a%7Cb')?$filter=x%20eq%20'1' HTTP/1.1"
