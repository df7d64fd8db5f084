"""Which function answers a path, by the rules of the Functions host's router.

A template is a path whose segments are literals or `{name}`, `{name:constraint}`, `{name?}` and, last, `{*rest}`.
Literals are compared without regard to case and win over parameters. A method that no function takes is a 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from tests.local.host.runtime import Function

ALL_METHODS: Final = frozenset({"GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS"})
CONSTRAINTS: Final[Mapping[str, Callable[[str], object]]] = {
    "int": re.compile(r"[+-]?\d{1,10}").fullmatch,
    "guid": re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?").fullmatch,
    "alpha": re.compile(r"[a-zA-Z]*").fullmatch,
}
_ENCODED_SLASH = re.compile(rb"(%2[fF])")
_PARAMETER = re.compile(r"\{(?P<rest>\*{0,2})(?P<name>\w+)(?::(?P<constraint>[^?}]+))?(?P<optional>\?)?\}")


class RouteError(ValueError):
    """A route template that this host does not understand."""


class PathError(ValueError):
    """A path that the cloud's web server refuses before any function sees it (400)."""


@dataclass(frozen=True)
class Segment:
    """One part of a template."""

    literal: str = ""
    name: str = ""
    constraint: str = ""
    optional: bool = False
    rest: bool = False

    def accepts(self, text: str) -> bool:
        """Tell whether this segment takes that part of a path."""
        if not self.name:
            return self.literal == text.casefold()
        return text != "" and (not self.constraint or bool(CONSTRAINTS[self.constraint](text)))

    @property
    def rank(self) -> int:
        """Lower wins: literal, constrained, free, rest."""
        if not self.name:
            return 0
        return 3 if self.rest else 1 if self.constraint else 2


@dataclass(frozen=True)
class Route:
    """One HTTP function's template and methods."""

    function: Function
    methods: frozenset[str]
    segments: tuple[Segment, ...]

    @property
    def auth_level(self) -> str:
        """`anonymous`, `function` or `admin`; the platform's default is `function`."""
        return str(self.function.trigger.get("authLevel") or "function").lower()

    def parameters(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Return the route parameters if the template takes these decoded path segments, else None."""
        found: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.rest:
                found[segment.name] = "/".join(parts[index:])
                return found
            if index >= len(parts):
                if segment.optional:
                    continue
                return None
            if not segment.accepts(parts[index]):
                return None
            if segment.name:
                found[segment.name] = parts[index]
        return found if len(parts) <= len(self.segments) else None


class Router:
    """All HTTP routes of an app."""

    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        self._routes = sorted(
            (_route(function, prefix) for function in functions if function.kind == "httptrigger"),
            key=lambda route: tuple(segment.rank for segment in route.segments),
        )

    def match(self, method: str, parts: Sequence[str]) -> tuple[Route, dict[str, str]] | None:
        """Return the route and its parameters for decoded path segments; None is a 404."""
        for route in self._routes:
            if method in route.methods:
                parameters = route.parameters(parts)
                if parameters is not None:
                    return route, parameters
        return None


def decoded(raw_path: bytes) -> list[str]:
    """Split a path as sent and decode each segment once, but for encoded slashes.

    A parameter takes `a%2Fb`, and the function gets the text `%2F` in it; `%3A` arrives as a colon. So `%252F` cannot
    be told from it.

    Raises:
        PathError: it holds a NUL, which the cloud's web server refuses.
    """
    if b"%00" in raw_path:
        raise PathError("NUL in the path")
    parts: list[str] = []
    for raw in raw_path.strip(b"/").split(b"/"):
        part = _decoded_segment(raw)
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return parts


def _decoded_segment(raw: bytes) -> str:
    parts = _ENCODED_SLASH.split(raw)
    try:
        return b"".join(part if _ENCODED_SLASH.fullmatch(part) else unquote_to_bytes(part) for part in parts).decode()
    except UnicodeDecodeError:
        # What is no UTF-8 stays as it was sent.
        return raw.decode("latin-1")


def _route(function: Function, prefix: str) -> Route:
    template = function.trigger.get("route") or function.name
    methods = frozenset(str(method).upper() for method in function.trigger.get("methods") or ()) or ALL_METHODS
    parts = [part for part in f"{prefix}/{template}".split("/") if part]
    return Route(function, methods, tuple(_segment(part, function.name) for part in parts))


def _segment(part: str, function_name: str) -> Segment:
    if "{" not in part:
        return Segment(literal=part.casefold())
    match = _PARAMETER.fullmatch(part)
    constraint = match["constraint"] or "" if match else ""
    if match is None or (constraint and constraint not in CONSTRAINTS):
        raise RouteError(f"{function_name}: the local host does not understand the route segment {part!r}")
    return Segment(
        name=match["name"], constraint=constraint, optional=bool(match["optional"]), rest=bool(match["rest"])
    )
