"""Requests that hold only for what the caller has seen (RFC 9110, 13.1)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import azure.functions as func

from functions.http import entity_tag, matches
from functions.problems import PreconditionFailed
from shared.domain.errors import Conflict, Unreadable

# What the stores' `save` takes for "there must be none yet".
NEW = ""


def precondition(req: func.HttpRequest, found: tuple[object, str] | None) -> tuple[bool, str | None]:
    """Whether the record is known, and the version over which alone it may be written; None for any.

    `found` is the record with its version. Raises `PreconditionFailed`.
    """
    if found is not None:
        return True, required_version(req, found[1])
    if req.headers.get("if-match"):
        raise PreconditionFailed
    return False, NEW if req.headers.get("if-none-match") else None


def required_version(req: func.HttpRequest, version: str) -> str | None:
    """The version over which alone something that is there may be changed; None for any.

    `version` is the one that it has. Raises `PreconditionFailed`.
    """
    if_match, if_none_match = req.headers.get("if-match"), req.headers.get("if-none-match")
    tag = entity_tag(version)
    if (if_match and not matches(if_match, tag)) or (if_none_match and matches(if_none_match, tag)):
        raise PreconditionFailed
    return version if if_match else None


def overwriting(req: func.HttpRequest, read: Callable[[], tuple[object, str] | None]) -> tuple[bool, str | None]:
    """As `precondition`, before the record that `read` gives is written over or removed.

    One that cannot be read is there, and nobody can have seen it: a condition fails, without one it is written over.
    """
    try:
        found = read()
    except Unreadable:
        if req.headers.get("if-match") or req.headers.get("if-none-match"):
            raise PreconditionFailed from None
        return True, None
    return precondition(req, found)


@contextmanager
def unless_overtaken() -> Iterator[None]:
    """Around a write: whoever is overtaken between the reading and the writing hears what an old tag hears, a 412."""
    try:
        yield
    except Conflict:
        raise PreconditionFailed from None
