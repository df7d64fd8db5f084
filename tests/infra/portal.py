"""The portal form as an administrator meets it: choices go in, what the template is given comes out.

    outputs = Portal(callbackNumbers="+14255550101").outputs()

It reads `createUiDefinition.json` as Microsoft documents it: a default that is an expression, what is visible, what a
field refuses, and the outputs. A control that is not visible has no value. Of a drop-down the default is a *label*; one
that no label has chooses the first. Functions that the form does not use are not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from tests.infra.deployed import data

type Scope = dict[str, Any]
type Node = Callable[[Scope], Any]

FORM: dict[str, Any] = data("createUiDefinition.json")
_TOKEN = re.compile(r"\s*(=>|[()\[\],.]|'(?:[^']|'')*'|\w+)")
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"


class Portal:
    """One filling of the form. `settings` is what the chosen app answers; None: the portal could not read it."""

    def __init__(self, settings: Mapping[str, str] | None = None, /, **choices: Any) -> None:
        self._settings = settings
        self._choices = choices
        self._elements = {each["name"]: each for each in elements()}

    def value(self, name: str) -> Any:
        """What a control says; None where it is not visible."""
        element = self._elements[name]
        if not self.is_visible(name):
            return None
        kind = element["type"].rpartition(".")[2]
        if kind == "ArmApiControl":
            return None if self._settings is None else {"properties": self._settings}
        if name in self._choices:
            return self._choices[name]
        default = self.evaluated(element.get("defaultValue", "" if kind == "TextBox" else None))
        if kind in ("DropDown", "OptionsGroup"):
            offered = element["constraints"]["allowedValues"]
            return next((each["value"] for each in offered if each["label"] == default), offered[0]["value"])
        return default

    def is_visible(self, name: str) -> bool:
        """Whether a control is there to be seen."""
        return bool(self.evaluated(self._elements[name].get("visible", True)))

    def refused(self) -> list[str]:
        """The fields that keep the form from going on."""
        asked = [each["name"] for each in elements() if each["type"].endswith((".TextBox", ".ResourceSelector"))]
        return [name for name in asked if self.is_visible(name) and not self.accepts(name, self.value(name) or "")]

    def accepts(self, name: str, text: Any) -> bool:
        """Nothing is asked of an empty field that is not required."""
        constraints = self._elements[name]["constraints"]
        if not text:
            return not constraints["required"]
        return all(
            re.search(each["regex"], text) is not None if "regex" in each else bool(self.evaluated(each["isValid"]))
            for each in constraints.get("validations", ())
        )

    def outputs(self) -> dict[str, Any]:
        """What the template is given."""
        return {name: self.evaluated(output) for name, output in FORM["parameters"]["outputs"].items()}

    def evaluated(self, text: Any) -> Any:
        """An expression's value; anything else is itself."""
        if not (isinstance(text, str) and text.startswith("[")):
            return text
        functions: Scope = {
            "steps": lambda _: _Step(self.value),
            "basics": self.value,
            "location": lambda: "eastus2",
            "subscription": lambda: {"id": SUBSCRIPTION},
        }
        return _parsed(text)(FUNCTIONS | functions)


class _Step:
    """The controls of a step, by name."""

    def __init__(self, value: Callable[[str], Any]) -> None:
        self._value = value

    def get(self, name: str) -> Any:
        return self._value(name)


def elements() -> Iterator[dict[str, Any]]:
    """Every control, in the order of the form."""
    parameters = FORM["parameters"]
    for group in (parameters["basics"], *(step["elements"] for step in parameters["steps"])):
        yield from group


def _contains(whole: Any, part: Any) -> bool:
    return part in (whole or "")


FUNCTIONS: Scope = {
    "and": lambda *each: all(each),
    "or": lambda *each: any(each),
    "not": lambda each: not each,
    "equals": lambda one, other: one == other,
    "empty": lambda each: not each,
    "contains": _contains,
    "concat": lambda *each: "".join(each),
    "replace": lambda text, before, after: text.replace(before, after),
    "split": lambda text, separator: text.split(separator),
    "toLower": lambda text: text.lower(),
    "filter": lambda each, keeps: [item for item in each if keeps(item)],
    "parse": lambda text: {"{}": {}}[text],
}


@cache
def _parsed(text: str) -> Node:
    assert text.endswith("]"), text
    reader = _Reader(text[1:-1])
    node = reader.expression()
    assert not reader.tokens, text
    return node


class _Reader:
    """Recursive descent over `function(argument, …).member`, `'text'` and `(name) => expression`."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        assert _TOKEN.sub("", text).strip() == "", text

    def expression(self) -> Node:
        token = self.tokens.pop(0)
        if token == "(":
            return self._lambda()
        node = self._term(token)
        while self.tokens and self.tokens[0] == ".":
            self.tokens.pop(0)
            node = _member(node, self.tokens.pop(0))
        return node

    def _term(self, token: str) -> Node:
        if token.startswith("'"):
            said = token[1:-1].replace("''", "'")
            return lambda _: said
        if not self.tokens or self.tokens[0] != "(":
            return lambda scope: scope[token]
        self.tokens.pop(0)
        return _call(token, list(self._arguments()))

    def _arguments(self) -> Iterator[Node]:
        while self.tokens[0] != ")":
            yield self.expression()
            if self.tokens[0] == ",":
                self.tokens.pop(0)
        self.tokens.pop(0)

    def _lambda(self) -> Node:
        name, closing, arrow = self.tokens.pop(0), self.tokens.pop(0), self.tokens.pop(0)
        assert (closing, arrow) == (")", "=>")
        body = self.expression()
        return lambda scope: lambda item: body(scope | {name: item})


def _member(node: Node, name: str) -> Node:
    def read(scope: Scope) -> Any:
        whole = node(scope)
        return None if whole is None else whole.get(name)

    return read


def _call(name: str, arguments: list[Node]) -> Node:
    if name == "if":
        condition, then, otherwise = arguments
        return lambda scope: then(scope) if condition(scope) else otherwise(scope)
    if name == "coalesce":
        return lambda scope: next((said for each in arguments if (said := each(scope)) is not None), None)
    return lambda scope: scope[name](*(each(scope) for each in arguments))
