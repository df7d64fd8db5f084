"""Which HTTP functions the Functions host does not load because of their routes; everything else starts.

Both rules are those of the host's own check of a function: the route is compared without the prefix of host.json,
without slashes around it, in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tests.local.host.runtime import Function

RESERVED = ("admin", "runtime")
"""No route may begin with these letters, whatever follows: `administration` is refused too."""
HTTP_TRIGGER = "httptrigger"


def route_of(function: Function) -> str:
    """Its route as the host compares it; a function without one has its name."""
    return str(function.trigger.get("route") or function.name).strip("/").lower()


def methods_of(function: Function) -> frozenset[str]:
    """Its methods; empty where it takes all."""
    return frozenset(str(method).upper() for method in function.trigger.get("methods") or ())


def refused(functions: Iterable[Function]) -> Iterator[tuple[Function, str]]:
    """The HTTP functions that the host does not load, and the reason that it logs.

    Of two functions with one route and a method in common the first one is loaded.
    """
    loaded: list[Function] = []
    for function in functions:
        if function.kind != HTTP_TRIGGER:
            continue
        rival = next((other for other in loaded if _conflict(function, other)), None)
        if route_of(function).startswith(RESERVED):
            yield function, "The specified route conflicts with one or more built in routes."
        elif rival is not None:
            yield function, f"The route specified conflicts with the route defined by function '{rival.name}'."
        else:
            loaded.append(function)


def ambiguous(functions: Mapping[str, Function]) -> Iterator[tuple[str, str]]:
    """Pairs of names whose routes differ in the names of parameters only: which one answers is left to chance."""
    routed = [function for function in functions.values() if function.kind == HTTP_TRIGGER]
    for index, one in enumerate(routed):
        for other in routed[:index]:
            if _shape(one) == _shape(other) and _share_a_method(one, other):
                yield other.name, one.name


def _conflict(one: Function, other: Function) -> bool:
    return route_of(one) == route_of(other) and _share_a_method(one, other)


def _share_a_method(one: Function, other: Function) -> bool:
    methods = methods_of(one), methods_of(other)
    return not all(methods) or bool(methods[0] & methods[1])


def _shape(function: Function) -> str:
    return re.sub(r"\{(\*{0,2})[^}]*\}", r"{\1}", route_of(function))
