"""Repeated headers and query values come to the function as one, joined by commas.

A header may be empty and keeps its place; an empty query value is dropped. Header bytes are UTF-8, else 400.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl


class HeaderError(ValueError):
    """A header that is not UTF-8, which the host's web server refuses (400)."""


def joined_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """One value for each header name, in lower case.

    Raises:
        HeaderError: the bytes are no UTF-8.
    """
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        try:
            name, value = raw_name.decode("ascii").lower(), raw_value.decode()
        except UnicodeDecodeError:
            raise HeaderError from None
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def joined_query(query: bytes) -> dict[str, str]:
    """One value for each query name that has one, spelled as it came first."""
    joined: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=False):
        key = spelled.setdefault(name.lower(), name)
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined
