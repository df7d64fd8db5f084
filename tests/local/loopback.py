"""A small HTTP server of a test's own, on a free port of this machine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

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
