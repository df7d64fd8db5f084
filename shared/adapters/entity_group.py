"""An entity group transaction as bytes (OData batch with one change set), and its answer read back.

The SDK's own `submit_transaction` builds and parses the same bytes through three thread pools and a MIME parser, which
costs several times what storage needs to answer. The request still travels through the SDK's pipeline: its
authorisation, its transport, its errors.
"""

import json
import re
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote

from msgspec import Struct

from shared.adapters.table import Delete, Insert, Put, Replace, Values, Write

_INT32 = 2**31
_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_ETAG = re.compile(rb"^ETag: *([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
_PART_HEAD = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {number}\r\n\r\n"
    "{method} {url} HTTP/1.1\r\n"
    "DataServiceVersion: 3.0\r\nPrefer: return-no-content\r\nAccept: application/json;odata=minimalmetadata\r\n"
)


class Batch(Struct, frozen=True):
    """A request's body and its content type."""

    body: bytes
    content_type: str


class Refusal(Struct, frozen=True):
    """Why nothing was written: the write's index, the status, and the service's code (never its message)."""

    index: int
    status: int
    code: str


# No line of a body can be one of them: line breaks within a text are escaped in JSON, and quoted in a row's address.
_BOUNDARIES = f"batch_{uuid.uuid4()}", f"changeset_{uuid.uuid4()}"
_UNREADABLE = Refusal(0, HTTPStatus.BAD_GATEWAY, "UnreadableAnswer")


def encode(writes: Sequence[Write], *, table_url: str, partition: str) -> Batch:
    """The transaction's body; `table_url` is the table's address without a trailing slash."""
    batch, changes = _BOUNDARIES
    parts = [f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n".encode()]
    for number, write in enumerate(writes):
        parts.append(f"--{changes}\r\n".encode())
        parts.append(_part(number, write, table_url, partition))
    parts.append(f"--{changes}--\r\n--{batch}--\r\n".encode())
    return Batch(b"".join(parts), f"multipart/mixed; boundary={batch}")


def _part(number: int, write: Write, table_url: str, partition: str) -> bytes:
    inserts = isinstance(write, Insert)
    method = "POST" if inserts else "DELETE" if isinstance(write, Delete) else "PUT"
    url = table_url if inserts else row_url(table_url, partition, write.key)
    head = _PART_HEAD.format(number=number, method=method, url=url)
    if isinstance(write, Replace | Delete):
        head += f"If-Match: {write.version or '*'}\r\n"
    if isinstance(write, Delete):
        return f"{head}\r\n\r\n".encode()
    body = entity_bytes(write, partition)
    return b"".join(
        (
            head.encode(),
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(),
            body,
            b"\r\n",
        )
    )


def row_url(table_url: str, partition: str, key: str) -> str:
    """The address of one row."""
    return f"{table_url}(PartitionKey='{_quoted(partition)}',RowKey='{_quoted(key)}')"


def entity_bytes(write: Insert | Put | Replace, partition: str) -> bytes:
    """The row as JSON, in ASCII: Azurite answers a transaction with other characters in it with a 500."""
    return json.dumps({"PartitionKey": partition, "RowKey": write.key, **_properties(write.values)}).encode("ascii")


def _quoted(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")


def _properties(values: Values) -> dict[str, str | int | bool]:
    properties: dict[str, str | int | bool] = {}
    for name, value in values.items():
        if isinstance(value, int) and not isinstance(value, bool) and not -_INT32 <= value < _INT32:
            properties[name], properties[f"{name}@odata.type"] = str(value), "Edm.Int64"
        else:
            properties[name] = value
    return properties


def decode(body: bytes, writes: Sequence[Write]) -> list[str | None] | Refusal:
    """The new version of each row, None for a removed one; or why nothing was written."""
    parts = re.split(rb"(?m)^--changesetresponse[^\r\n]*\r?\n", body)[1:]
    statuses = [int(found[1]) if (found := _STATUS.search(part)) else 0 for part in parts]
    for number, (status, part) in enumerate(zip(statuses, parts, strict=True)):
        if status >= HTTPStatus.BAD_REQUEST:
            refusal = _refusal(status, part, number)
            # One that blames a write which was never sent is no answer to this transaction.
            return refusal if refusal.index < len(writes) else _UNREADABLE
    etags = [found[1].decode() if (found := _ETAG.search(part)) else None for part in parts[: len(writes)]]
    if len(etags) != len(writes) or any(not status >= HTTPStatus.OK for status in statuses[: len(writes)]):
        return _UNREADABLE
    return [None if isinstance(write, Delete) else etag for write, etag in zip(writes, etags, strict=True)]


def _refusal(status: int, part: bytes, number: int) -> Refusal:
    code = re.search(rb'"code"\s*:\s*"(\w+)"', part)
    # The service answers with the failed write alone and names its place in the message.
    place = re.search(rb'"value"\s*:\s*"(\d+):', part)
    # No place is longer than this; `int` refuses thousands of digits.
    return Refusal(int(place[1][:6]) if place else number, status, code[1].decode() if code else "")
