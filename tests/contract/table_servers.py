"""Servers that misbehave as a store in trouble does."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import trustme

KEY = "c2VjcmV0c2VjcmV0c2VjcmV0"
# JSON so deep that every parser gives up with a `RecursionError`.
DEEP = "[" * 200_000


def connection_string(port: int, scheme: str = "http") -> str:
    """A table endpoint on a loopback port, with an invented key."""
    return (
        f"DefaultEndpointsProtocol={scheme};AccountName=devstoreaccount1;AccountKey={KEY};"
        f"TableEndpoint={scheme}://127.0.0.1:{port}/devstoreaccount1;"
    )


class Server:
    """A socket server on a loopback port that gives every connection to `talk`, each on a thread of its own."""

    def __init__(self, talk: Callable[[socket.socket, threading.Event], None]) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._talk(connection, self._stopping)

    def wait_until_hung_up(self) -> None:
        """Wait until every connection so far has ended."""
        for thread in self._threads[1:]:
            thread.join()

    def close(self) -> None:
        """Stop, and wait for every thread."""
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextmanager
def serving(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[Server]:
    """A server until the end of the block."""
    server = Server(talk)
    try:
        yield server
    finally:
        server.close()


def never_answers(_connection: socket.socket, stopping: threading.Event) -> None:
    """Accepts, and says nothing."""
    stopping.wait()


def trickles(connection: socket.socket, stopping: threading.Event) -> None:
    """Answers a byte at a time, always sooner than any time-out between two bytes."""
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: " + b"a" * 10_000:
        connection.sendall(bytes([byte]))
        if stopping.wait(0.05):
            return


def trickles_a_body(connection: socket.socket, stopping: threading.Event) -> None:
    """A complete head, then a body that never ends."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n{")
    while not stopping.wait(0.05):
        connection.sendall(b" ")


def answers(status: int, reason: str, *headers: str, body: str = "{}") -> Callable[..., None]:
    """Answers every request with the same."""
    answer = in_one(status, reason, *headers, body=body)

    def talk(connection: socket.socket, _stopping: threading.Event) -> None:
        while connection.recv(65536):
            connection.sendall(answer)

    return talk


def has_no_table(created: str) -> Callable[..., None]:
    """Knows no table, and answers `created` where one is to be made."""
    made = in_one(201, "Created", body=created)
    missing = in_one(404, "Not Found", body='{"odata.error":{"code":"TableNotFound"}}')

    def talk(connection: socket.socket, _stopping: threading.Event) -> None:
        while request := connection.recv(65536):
            connection.sendall(made if b"/Tables" in request.partition(b"\r\n")[0] else missing)

    return talk


def in_one(status: int, reason: str, *headers: str, body: str) -> bytes:
    """An answer, head and body."""
    lines = [f"HTTP/1.1 {status} {reason}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def secured(authority: trustme.CA, then: Callable[..., None]) -> Callable[..., None]:
    """`then` behind a handshake, by a certificate of 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def talk(connection: socket.socket, stopping: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as within:
            then(within, stopping)

    return talk


def resets(connection: socket.socket, _stopping: threading.Event) -> None:
    """Resets the connection at its first byte, which is in the middle of a handshake where there is one."""
    connection.recv(1)
    # Closing a socket that lingers for 0 s sends a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hangs_up(connection: socket.socket, _stopping: threading.Event) -> None:
    """Takes a request and hangs up on it."""
    connection.recv(65536)


def at_first(trouble: Callable[..., None], then: Callable[..., None]) -> Callable[..., None]:
    """`trouble` on the first connection of all; afterwards `then`."""
    first = threading.Event()

    def talk(connection: socket.socket, stopping: threading.Event) -> None:
        if first.is_set():
            then(connection, stopping)
        else:
            first.set()
            trouble(connection, stopping)

    return talk
