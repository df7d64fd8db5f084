"""A wiretap: a reverse proxy that counts, delays, breaks and stops requests between the app and a server.

It stands between the app and Azurite (put its address into the TableEndpoint of a connection string: the signature
covers the account and the path, not the host) or any other plain-HTTP server. It keeps what happened, never keys or
bodies.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

type Mode = Literal["pass", "refuse", "hang", "trickle", "unavailable", "fail", "black_hole"]
type Moment = Literal["arrived", "forwarded", "answered"]

CONTROL = "/wiretap/mode"
TRICKLE_S = 1.0
LIMIT = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_BODILESS = frozenset({204, 304})


@dataclass(slots=True)
class Exchange:
    """One request: its method, the shape of its path (no keys, no values), and when what happened.

    Times are `time.perf_counter()` seconds; None means that it did not come to that. `label` is what the wiretap's own
    labelling says of the request.
    """

    number: int
    method: str
    shape: str
    arrived: float
    forwarded: float | None = None
    answered: float | None = None
    finished: float | None = None
    status: int | None = None
    mode: Mode = "pass"
    label: str | None = None


@dataclass(frozen=True, slots=True)
class _Hook:
    number: int | None
    moment: Moment
    call: Callable[[Exchange], None]


@dataclass(slots=True)
class _Message:
    head: bytes
    body: bytes
    closes: bool


class Wiretap:
    """A proxy in a thread of its own: `with Wiretap("http://127.0.0.1:10002") as tap: … tap.url …`.

    The mode can be changed at any time, for the requests that come from then on: `pass`; `refuse` (the port is closed);
    `hang` (accepts, never answers); `trickle` (a byte a second); `unavailable` (503 with Retry-After); `fail` (500);
    `black_hole` (the request reaches the server, the answer is lost). `latency_s` is added before forwarding.
    `label` sees each request's head and body, and says which part of the test it belongs to.
    """

    def __init__(
        self, target: str, *, port: int = 0, label: Callable[[bytes, bytes], str | None] | None = None
    ) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.port = port
        self.latency_s = 0.0
        self.retry_after_s = 1
        self.exchanges: list[Exchange] = []
        self._label = label or (lambda _head, _body: None)
        self._mode: Mode = "pass"
        self._hooks: list[_Hook] = []
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._downstream: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._mode_changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="wiretap", daemon=True)

    # Use

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """Where the app should go instead of the target."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mode(self) -> Mode:
        """What happens to requests now."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._do(self._switch(mode))

    def reset(self) -> None:
        """Forget the exchanges and the hooks: the next request is number 1 again."""
        self._do(self._forget())

    def on(self, number: int | None, call: Callable[[Exchange], None], *, moment: Moment = "answered") -> None:
        """Call a hook at a moment of the n-th request since the reset, or of each one, before all else is done with it.

        `arrived`: before it is forwarded; `forwarded`: as soon as it has been; `answered`: when the server has acted
        and the app does not know it yet. The hook runs in the wiretap's thread; a SIGKILL of the host belongs here.
        """
        self._hooks.append(_Hook(number, moment, call))

    def count(self, *, method: str | None = None, shape: str | None = None) -> int:
        """How many requests there were since the reset, of a method, with this text in their shape."""
        return sum(
            method in (None, exchange.method) and (shape is None or shape in exchange.shape)
            for exchange in list(self.exchanges)
        )

    # The thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=LIMIT, backlog=512)

    async def _close_port(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _switch(self, mode: Mode, *, spare: asyncio.StreamWriter | None = None) -> None:
        self._mode = mode
        self._mode_changed.set()
        self._mode_changed = asyncio.Event()
        if mode == "refuse":
            await self._close_port()
            for writer in self._downstream - {spare}:
                writer.transport.abort()
        elif self._server is None:
            await self._listen()

    async def _forget(self) -> None:
        self.exchanges.clear()
        self._hooks.clear()

    async def _stop(self) -> None:
        await self._close_port()
        for writer in [*self._downstream, *(writer for _, writer in self._idle)]:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # One connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._downstream.add(writer)
        try:
            while await self._serve_one(reader, writer):
                continue
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self._downstream.discard(writer)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Carry one request; whether the connection lives on."""
        request = await _read_message(reader)
        method, target, _ = request.head.split(b" ", 2)
        if target.split(b"?")[0] == CONTROL.encode():
            return await self._obey(target, writer)
        exchange = Exchange(
            number=len(self.exchanges) + 1,
            method=method.decode(),
            shape=path_shape(target.decode()),
            arrived=time.perf_counter(),
            mode=self._mode,
            label=self._label(request.head, request.body),
        )
        self.exchanges.append(exchange)
        self._call_hooks(exchange, "arrived")
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        answer = await self._answer(exchange, request)
        if answer is None:
            await self._until_mode_changes(reader)
            writer.transport.abort()
            return False
        await self._send(exchange, answer, writer)
        exchange.finished = time.perf_counter()
        return not (request.closes or answer.closes)

    async def _answer(self, exchange: Exchange, request: _Message) -> _Message | None:
        """The answer that the mode gives; None when there will never be one."""
        match exchange.mode:
            case "hang" | "refuse":
                return None
            case "unavailable":
                exchange.status = 503
                return _made_up(b"503 Service Unavailable", self.retry_after_s)
            case "fail":
                exchange.status = 500
                return _made_up(b"500 Internal Server Error", None)
            case "pass" | "trickle" | "black_hole":
                answer = await self._forward(exchange, request)
                return None if exchange.mode == "black_hole" else answer

    async def _send(self, exchange: Exchange, answer: _Message, writer: asyncio.StreamWriter) -> None:
        whole = answer.head + answer.body
        if exchange.mode != "trickle":
            writer.write(whole)
            await writer.drain()
            return
        for byte in whole:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(TRICKLE_S)

    async def _until_mode_changes(self, reader: asyncio.StreamReader) -> None:
        """Keep a connection open without a word until the client gives up or the mode changes."""
        gone = asyncio.create_task(reader.read(1))
        changed = asyncio.create_task(self._mode_changed.wait())
        _, waiting = await asyncio.wait({gone, changed}, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(gone, changed, return_exceptions=True)

    async def _obey(self, target: bytes, writer: asyncio.StreamWriter) -> bool:
        """`POST /wiretap/mode?mode=hang&latency_ms=5`: the same switch, for another process."""
        wanted = dict(parse_qsl(urlsplit(target.decode()).query))
        if "latency_ms" in wanted:
            self.latency_s = float(wanted["latency_ms"]) / 1000
        if "mode" in wanted:
            mode: Any = wanted["mode"]
            await self._switch(mode, spare=writer)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        return True

    def _call_hooks(self, exchange: Exchange, moment: Moment) -> None:
        for hook in [h for h in self._hooks if h.number in (None, exchange.number) and h.moment == moment]:
            hook.call(exchange)

    # Upstream

    async def _forward(self, exchange: Exchange, request: _Message) -> _Message:
        for fresh in (False, True):
            reader, writer = await self._upstream(fresh=fresh)
            try:
                writer.write(request.head + request.body)
                await writer.drain()
                exchange.forwarded = time.perf_counter()
                self._call_hooks(exchange, "forwarded")
                answer = await _read_message(reader, method=exchange.method)
            except (ConnectionError, asyncio.IncompleteReadError):
                # A kept connection may have been closed meanwhile; a fresh one has no such excuse.
                writer.close()
                if fresh:
                    raise ConnectionResetError from None
                continue
            exchange.answered = time.perf_counter()
            exchange.status = int(answer.head.split(b" ", 2)[1])
            self._keep(reader, writer, answer)
            self._call_hooks(exchange, "answered")
            return answer
        raise ConnectionResetError

    async def _upstream(self, *, fresh: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle and not fresh:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._target, limit=LIMIT)

    def _keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: _Message) -> None:
        if answer.closes:
            writer.close()
        else:
            self._idle.append((reader, writer))


async def _read_message(reader: asyncio.StreamReader, *, method: str | None = None) -> _Message:
    """A request, or the answer to a request of `method`."""
    head = await reader.readuntil(b"\r\n\r\n")
    closes = _CLOSE.search(head) is not None or head.startswith(b"HTTP/1.0")
    status = int(head.split(b" ", 2)[1]) if method is not None else None
    if method == "HEAD" or status in _BODILESS:
        return _Message(head, b"", closes)
    if (length := _LENGTH.search(head)) is not None:
        return _Message(head, await reader.readexactly(int(length[1])), closes)
    if _CHUNKED.search(head) is not None:
        return _Message(head, await _read_chunks(reader), closes)
    if status is not None:
        # Neither length nor chunks: the answer ends with the connection.
        return _Message(head, await reader.read(), closes=True)
    return _Message(head, b"", closes)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        chunks += [line, await reader.readexactly(size + 2)]
        if size == 0:
            return b"".join(chunks)


def _made_up(status_line: bytes, retry_after_s: int | None) -> _Message:
    retry_after = b"" if retry_after_s is None else b"Retry-After: %d\r\n" % retry_after_s
    return _Message(b"HTTP/1.1 " + status_line + b"\r\n" + retry_after + b"Content-Length: 0\r\n\r\n", b"", False)


def path_shape(target: str) -> str:
    """A path without its keys and values: `/account/table(…)?$filter`; batches keep their name."""
    parts = urlsplit(target)
    names = sorted(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    path = re.sub(r"\([^/]+\)", "(…)", parts.path)
    path = "/".join(segment if _is_name(segment) else "…" for segment in path.split("/"))
    return path + ("?" + "&".join(names) if names else "")


def _is_name(segment: str) -> bool:
    """Whether a path segment is a word of the interface rather than an id."""
    return re.fullmatch(r"([$A-Za-z:_-]{0,40}|v\d|devstoreaccount1)(\(…?\))?", segment) is not None


def main() -> None:
    """Stand before a target until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.local.wiretap", description=__doc__)
    parser.add_argument("target", help="for example http://127.0.0.1:10002")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with Wiretap(arguments.target, port=arguments.port) as tap:
        print(f'{{"url": "{tap.url}"}}', flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
