"""Many requests at the same moment, with next to no work on this side, so that what is timed is the app."""

from __future__ import annotations

import json
import math
import re
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.local.stack import MACHINE, SIGN_IN

PATIENCE_S = 30.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Taken:
    """An answer; times are `time.perf_counter()` seconds."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    asked: float
    answered: float

    @property
    def took_s(self) -> float:
        """From the moment at which the request was sent."""
        return self.answered - self.asked


def request(
    url: str, method: str, path: str, body: object = None, *, principal: str = MACHINE, **headers: str
) -> bytes:
    """A whole request to the API at `url`, as bytes."""
    parts = urlsplit(url)
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {parts.path}/{path} HTTP/1.1", f"Host: {parts.netloc}", f"{SIGN_IN}: {principal}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def dialling(url: str, agent_id: str, call_id: str, **fields: object) -> bytes:
    """A machine reports a dial."""
    body = {"call_id": call_id, "agent_id": agent_id, "dialled": "911"} | fields
    return request(url, "POST", "emergency-calls", body)


class Burst:
    """Requests that were sent at the same moment, each over a connection of its own."""

    def __init__(self, url: str, requests: Sequence[bytes]) -> None:
        parts = urlsplit(url)
        self._undo = ExitStack()
        self._sockets = [
            self._undo.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S))
            for _ in requests
        ]
        self._asked: list[float] = []
        for each, content in zip(self._sockets, requests, strict=True):
            self._asked.append(time.perf_counter())
            each.sendall(content)

    def answers(self) -> list[Taken]:
        """Wait for every answer; they come in the order of the requests."""
        taken: dict[int, Taken] = {}
        received = [b""] * len(self._sockets)
        with self._undo, selectors.DefaultSelector() as selector:
            for index, each in enumerate(self._sockets):
                selector.register(each, selectors.EVENT_READ, index)
            deadline = time.perf_counter() + PATIENCE_S
            while len(taken) < len(self._sockets):
                assert time.perf_counter() < deadline, f"{len(self._sockets) - len(taken)} requests had no answer"
                for key, _ in selector.select(timeout=1.0):
                    number: int = key.data
                    received[number] += self._sockets[number].recv(1 << 20)
                    if (whole := _whole(received[number], self._asked[number])) is not None:
                        taken[number] = whole
                        selector.unregister(key.fileobj)
        return [taken[index] for index in range(len(self._sockets))]


def burst(url: str, requests: Sequence[bytes]) -> list[Taken]:
    """Send all at once; gives all answers, in the order of the requests."""
    return Burst(url, requests).answers()


def _whole(received: bytes, asked: float) -> Taken | None:
    head, end, content = received.partition(b"\r\n\r\n")
    if not end:
        return None
    length = _LENGTH.search(head)
    if len(content) < (int(length[1]) if length else 0):
        return None
    answered = time.perf_counter()
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = json.loads(content) if content.startswith(b"{") else {}
    return Taken(int(status_line.split(" ")[1]), headers, body, asked, answered)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is no less than `percent` of all."""
    ranked = sorted(values)
    return ranked[math.ceil(len(ranked) * percent / 100) - 1]
