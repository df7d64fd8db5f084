"""No regular expression takes long, whatever text it meets: each is tried on text made to be hostile to it.

The patterns are found in the code, so that a new one is tried as well. What is hostile follows from the pattern: for
each repeat in it, what comes before, then the repeated part very often, then something that fits nothing.
"""

import ast
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from re import _parser as parser  # type: ignore[attr-defined]  # the standard library's reading of a pattern
from typing import Any

import pytest

from tests.rules.sources import product

MIN_CHARS, MAX_CHARS = 16, 64 * 1024
MAX_S = 0.25
MANY = 8
COMPILES = {"compile", "search", "match", "fullmatch", "sub", "split", "findall", "finditer"}
# Made at run time of an escaped address, and so of nothing that repeats.
OF_AN_ADDRESS = "shared/adapters/email_refusals.py"


@dataclass(frozen=True)
class Pattern:
    """A pattern of the product, and how it is applied."""

    path: str
    text: str | bytes
    flags: int
    applied: str


def patterns() -> Iterator[Pattern]:
    for module in product():
        source = ast.unparse(module.tree)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                yield from _in_call(node.value, module.path, _applied(ast.unparse(target), source))
            elif isinstance(node, ast.Call):
                yield from _in_call(node, module.path, None)


def _applied(name: str, source: str) -> str | None:
    """How a compiled pattern is applied: at the start alone unless it is searched for somewhere."""
    found = set(re.findall(rf"\b{re.escape(name)}\.(\w+)\(", source))
    return "fullmatch" if found and found <= {"fullmatch", "match"} else "search"


def _in_call(call: ast.Call, path: str, applied: str | None) -> Iterator[Pattern]:
    named = [each.value for each in call.keywords if each.arg == "pattern"]
    if named:
        # msgspec searches; the patterns hold their own ends.
        yield Pattern(path, _text(named[0]), 0, "search")
    if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "re"):
        return
    if call.func.attr not in COMPILES or (call.func.attr == "compile" and applied is None):
        return
    if path == OF_AN_ADDRESS and isinstance(call.args[0], ast.Name):
        return
    flags = sum(getattr(re, name) for name in re.findall(r"re\.([A-Z]+)", ast.unparse(call)))
    yield Pattern(path, _text(call.args[0]), flags, applied or call.func.attr)


def _text(node: ast.expr) -> str | bytes:
    if isinstance(node, ast.JoinedStr):
        # Only numbers are put into patterns.
        return "".join(part.value if isinstance(part, ast.Constant) else "500" for part in node.values)  # type: ignore[misc]
    if isinstance(node, ast.Name):
        return _named(node.id)
    text = ast.literal_eval(node)
    assert isinstance(text, str | bytes)
    return text


def _named(name: str) -> str | bytes:
    """The pattern that a module has under this name for others to use."""
    assigned = (node for module in product() for node in module.tree.body if isinstance(node, ast.Assign))
    [value] = [node.value for node in assigned if ast.unparse(node.targets[0]) == name]
    return _text(value)


# What is hostile to a pattern ----------------------------------------------------------------------------------------

REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def least(nodes: Iterable[Any]) -> str:
    """A short text that fits the nodes of a pattern; what only looks around fits nothing."""
    return "".join(map(_least_of, nodes))


def _least_of(node: Any) -> str:
    kind, value = str(node[0]), node[1]
    match kind:
        case "LITERAL":
            return chr(value)
        case "ANY" | "NOT_LITERAL":
            return "a"
        case "IN":
            return _least_in(value)
        case "SUBPATTERN":
            return least(value[3])
        case "ATOMIC_GROUP":
            return least(value)
        case "BRANCH":
            return least(value[1][0])
        case _ if kind in REPEATS:
            return least(value[2]) * max(int(value[0]), 1)
        case _:
            return ""


def _least_in(items: list[Any]) -> str:
    negated = str(items[0][0]) == "NEGATE"
    candidates = "a0 -/;=\n\x00" if negated else ""
    for item in items:
        if not negated:
            kind, value = str(item[0]), item[1]
            first = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}.get(str(value), "a")
            return chr(value) if kind == "LITERAL" else chr(value[0]) if kind == "RANGE" else first
    taken = {chr(item[1]) for item in items if str(item[0]) == "LITERAL"}
    return next(each for each in candidates if each not in taken)


def repeats(nodes: Iterable[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Each repeat in a pattern: what may come before it, and what it repeats."""
    for node in nodes:
        kind, value = str(node[0]), node[1]
        if kind in REPEATS:
            yield before, least(value[2])
            yield from repeats(value[2], before)
        elif kind == "SUBPATTERN":
            yield from repeats(value[3], before)
        elif kind == "ATOMIC_GROUP":
            yield from repeats(value, before)
        elif kind == "BRANCH":
            for branch in value[1]:
                yield from repeats(branch, before)
        elif kind in {"ASSERT", "ASSERT_NOT"}:
            yield from repeats(value[1], before)
        before += _least_of(node)


def hostile(pattern: Pattern, characters: int) -> Iterator[str]:
    text = pattern.text if isinstance(pattern.text, str) else pattern.text.decode("latin-1")
    tree = parser.parse(text, pattern.flags & ~re.ASCII)
    whole = least(tree)
    for before, repeated in {*repeats(tree), ("", whole), ("", " "), ("", "0"), ("", "a")}:
        part = repeated or " "
        for piece in (part, part * MANY + whole, whole[:-1] + part):
            attack = before + piece * (characters // len(piece))
            yield attack[:characters] + "\x00"
            yield attack[:characters]


def slowest_s(pattern: Pattern) -> float:
    """The longest that it takes on anything hostile, by the processor's clock; given up at once where that is long.

    The texts grow, because a pattern that takes twice as long for each further character would never end.
    """
    apply = getattr(re.compile(pattern.text, pattern.flags), pattern.applied)
    worst, characters = 0.0, MIN_CHARS
    while characters <= MAX_CHARS:
        for attack in hostile(pattern, characters):
            sent: Any = attack.encode("latin-1", "replace") if isinstance(pattern.text, bytes) else attack
            began = time.process_time()
            apply("", sent) if pattern.applied == "sub" else apply(sent)
            worst = max(worst, time.process_time() - began)
            if worst > MAX_S:
                return worst
        characters = characters * 5 // 4
    return worst


FOUND = list(dict.fromkeys(patterns()))


@pytest.mark.parametrize("pattern", FOUND, ids=[f"{each.path}:{index}" for index, each in enumerate(FOUND)])
def test_no_pattern_takes_long_on_hostile_text(pattern: Pattern) -> None:
    assert slowest_s(pattern) < MAX_S


@pytest.mark.parametrize(
    ("slow", "applied"),
    [
        # This one stood here: 8,000 characters from an allowed source took 6 s.
        (r"/*recording/call/([^/]+)(?:/serverCallId/(.+?))?/recordingId/(.+?)/*", "fullmatch"),
        (r"\s+$", "search"),
    ],
)
def test_a_slow_pattern_is_found(slow: str, applied: str) -> None:
    assert slowest_s(Pattern("", slow, 0, applied)) > MAX_S


def test_every_pattern_is_found() -> None:
    written = sum(ast.unparse(module.tree).count(call) for module in product() for call in ("re.compile(", "pattern="))
    assert len(FOUND) >= written > 20
