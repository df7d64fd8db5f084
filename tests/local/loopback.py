"""Small HTTP servers on free ports of this machine: a test's own, and what a stand-in over TLS is served by."""

import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import trustme

STOPS_WITHIN_S = 0.05


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answers as its subclass says, and prints nothing about it."""

    def log_message(self, *_: object) -> None:
        """Requests are counted where a test wants to know of them."""


class LoopbackServer:
    """Runs within its `with` block; `url` ends without a slash. Connections still open do not keep it from closing."""

    def __init__(self, handler: type[LoopbackHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": STOPS_WITHIN_S})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class TlsHandler(LoopbackHandler):
    """Requests over TLS to the stand-in that `over_tls` made, which is `stand_in`."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: the second would wait 40 ms for the acknowledgement of the first.
    disable_nagle_algorithm = True
    server: "_TlsServer"

    @property
    def stand_in(self) -> Any:
        """Whose requests these are."""
        return self.server.stand_in

    def handle_one_request(self) -> None:
        """As inherited; a connection that breaks is closed."""
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def read_content(self) -> bytes:
        """The body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def lower_headers(self) -> dict[str, str]:
        """The headers of the request, their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}


class _TlsServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: Any = None

    def __init__(self, handler: type[TlsHandler], context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        # The handshake is the connection's own thread's: a client that stops in it keeps nobody else waiting.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """Clients that give up are part of the tests."""


@contextmanager
def over_tls[StandIn](handler: type[TlsHandler], make: Callable[[str, str], StandIn]) -> Iterator[StandIn]:
    """Serve what `make` makes of its own URL and the file of its certificate authority, until the end of the block."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = _TlsServer(handler, context)
    with tempfile.TemporaryDirectory() as folder:
        ca_file = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        server.stand_in = stand_in = make(f"https://127.0.0.1:{server.server_port}", str(ca_file))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
