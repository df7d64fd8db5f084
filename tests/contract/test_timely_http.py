"""Whom the HTTP of the Azure SDKs believes: a certificate of a known authority, made out to the right name."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from threading import Event

import pytest
import trustme
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import HttpRequest

from shared.adapters.timely_http import HttpTransport
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
        return int(http.transport.send(HttpRequest("GET", url)).status_code)
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
