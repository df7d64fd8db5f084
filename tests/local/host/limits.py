"""What the host's web server takes at most: 414 for a long request line, 431 for long headers, 500 for a long body.

Seen: paths over 9 kB and headers over 40 kB are refused, a body of 31 MB is taken, one of 110 MB is a 500. The limits
between are the web server's documented defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

MAX_REQUEST_LINE_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 32 * 1024
MAX_HEADERS = 100
MAX_BODY_BYTES = 100 * 1024 * 1024


class BodyTooLongError(ValueError):
    """The body is longer than the host takes."""


def refusal(scope: Mapping[str, Any]) -> int | None:
    """The status of a request whose head is too long; None where it is not."""
    query: bytes = scope["query_string"]
    line = b" ".join((scope["method"].encode(), scope["raw_path"] + (b"?" + query if query else b""), b"HTTP/1.1\r\n"))
    if len(line) > MAX_REQUEST_LINE_BYTES:
        return 414
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    lengths = [len(name) + len(value) + len(b": \r\n") for name, value in headers]
    return 431 if sum(lengths) > MAX_HEADERS_BYTES or len(lengths) > MAX_HEADERS else None


async def body_of(request: Request) -> bytes:
    """The whole body.

    Raises:
        BodyTooLongError: it is longer than the host takes; what has not come yet is not waited for.
    """
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        raise BodyTooLongError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLongError
    return bytes(body)
