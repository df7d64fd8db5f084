"""Requests that hold only for what the caller has seen (RFC 9110, 13.1)."""

import azure.functions as func

from functions.http import entity_tag, matches
from functions.problems import PreconditionFailed


def required_version(req: func.HttpRequest, version: str) -> str | None:
    """The version over which alone something that is there may be changed; None for any (RFC 9110, 13.1).

    `version` is the one that it has. Raises `PreconditionFailed`.
    """
    if_match, if_none_match = req.headers.get("if-match"), req.headers.get("if-none-match")
    tag = entity_tag(version)
    if (if_match and not matches(if_match, tag)) or (if_none_match and matches(if_none_match, tag)):
        raise PreconditionFailed
    return version if if_match else None
