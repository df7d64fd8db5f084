"""A response header with a character outside ASCII, or a line break, makes the answer a 500 without a body."""

from __future__ import annotations

from collections.abc import Iterable


def can_be_sent(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether the host's web server takes them all."""
    return all(text.isascii() and not {"\r", "\n", "\0"} & set(text) for header in headers for text in header)
