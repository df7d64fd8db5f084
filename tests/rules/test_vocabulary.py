"""What the product says in its log is what the vocabulary declares, and everything declared is said somewhere."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import pytest
from msgspec import Struct

from shared.telemetry import VOCABULARY
from tests.rules.sources import Module, product


class Emit(Struct, frozen=True):
    """A call of `emit`: where it stands, the events that it may name, and the facts that it sends.

    An event is None where it cannot be told; so is a fact of a `**spread`.
    """

    where: str
    events: tuple[str | None, ...]
    facts: frozenset[str | None]


def emits(modules: Sequence[Module]) -> Iterator[Emit]:
    returned = {each.name: each for module in modules for each in module.functions()}
    for module in modules:
        constants = assigned(module.tree.body)
        for function in module.functions():
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "emit":
                    events = tuple(events_in(call.args[0], constants))
                    facts = frozenset(facts_in(call, function, returned))
                    yield Emit(f"{module.path}:{call.lineno}", events, facts)


def assigned(body: Sequence[ast.stmt]) -> dict[str, ast.expr]:
    """The constants of a module, by name."""
    found: dict[str, ast.expr] = {}
    for each in body:
        if isinstance(each, ast.Assign):
            found |= {target.id: each.value for target in each.targets if isinstance(target, ast.Name)}
    return found


def events_in(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str | None]:
    match node:
        case ast.IfExp():
            yield from events_in(node.body, constants)
            yield from events_in(node.orelse, constants)
        case ast.Name() if node.id in constants:
            yield from events_in(constants[node.id], constants)
        case ast.Constant(value=str(event)):
            yield event
        case _:
            yield None


def facts_in(call: ast.Call, function: ast.AST, returned: Mapping[str, ast.AST]) -> Iterator[str | None]:
    for word in call.keywords:
        if word.arg is not None:
            yield word.arg
        else:
            yield from spread_in(word.value, function, returned)


def spread_in(node: ast.expr, function: ast.AST, returned: Mapping[str, ast.AST]) -> Iterator[str | None]:
    """The keys of a dict: written out, given by a function or property of the product, or gathered in a variable."""
    match node:
        case ast.Dict():
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None:
                    yield from spread_in(value, function, returned)
                else:
                    yield key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None
        case ast.IfExp():
            yield from spread_in(node.body, function, returned)
            yield from spread_in(node.orelse, function, returned)
        case ast.Call(func=ast.Name(id=name)) | ast.Attribute(attr=name) if name in returned:
            for each in ast.walk(returned[name]):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield from spread_in(each.value, returned[name], returned)
        case ast.Name():
            yield from gathered_in(node.id, function, returned)
        case _:
            yield None


def gathered_in(name: str, function: ast.AST, returned: Mapping[str, ast.AST]) -> Iterator[str | None]:
    """What is put into a variable, in the function or in one that it hands the variable on to under the same name."""
    handed_on = {
        each.args[0].id
        for each in ast.walk(function)
        if isinstance(each, ast.Call) and name in {word.arg for word in each.keywords} and each.args
        if isinstance(each.args[0], ast.Name) and each.args[0].id in returned
    }
    for each in (part for place in (function, *map(returned.get, handed_on)) if place for part in ast.walk(place)):
        match each:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
                | ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="update"), args=[value])
            ) if target == name:
                yield from spread_in(value, function, returned)
            case _:
                pass


@cache
def said() -> tuple[Emit, ...]:
    return tuple(emits(product()))


def test_every_event_that_is_emitted_is_declared_and_every_one_declared_is_emitted() -> None:
    assert [each.where for each in said() if None in each.events] == []
    assert {event for each in said() for event in each.events} == set(VOCABULARY) - {"undeclared"}


def test_no_call_sends_a_fact_that_its_event_does_not_declare() -> None:
    wrong = [
        (each.where, event, each.facts - VOCABULARY[event].facts)
        for each in said()
        for event in each.events
        if event in VOCABULARY and not each.facts <= VOCABULARY[event].facts
    ]
    assert wrong == []


def test_every_declared_fact_is_sent_by_some_call() -> None:
    sent = {event: {fact for each in said() if event in each.events for fact in each.facts} for event in VOCABULARY}
    dead = {event: entry.facts - sent[event] for event, entry in VOCABULARY.items() if event != "undeclared"}
    assert {event: facts for event, facts in dead.items() if facts} == {}


@pytest.mark.parametrize(
    ("line", "events", "facts"),
    [
        ("t.emit('sweep', due=1)", ("sweep",), {"due"}),
        ("t.emit(SAID if x else 'sweep', **{'due': 1})", ("outbox", "sweep"), {"due"}),
        ('t.emit("sweep", **named(), **self.owed.called)', ("sweep",), {"by", "emergency"}),
        ("facts = {}; facts.update(named()); t.emit('sweep', **facts)", ("sweep",), {"by"}),
        ("facts = {}; change(filling, facts=facts); t.emit('sweep', **facts)", ("sweep",), {"kind"}),
        ("facts: dict = {'a': 1, **named()} if x else {}; t.emit('sweep', **facts)", ("sweep",), {"a", "by"}),
        ("t.emit(x, **others)", (None,), set()),
        ("t.emit(f'{x}', **others())", (None,), {None}),
    ],
)
def test_what_a_call_says_is_read_from_its_source(
    line: str, events: tuple[str | None, ...], facts: set[str | None]
) -> None:
    source = f"""
SAID = "outbox"
def named(): return {{"by": 1}}
def filling(facts): facts.update({{"kind": 1}})
def called(self): return {{"emergency": 1}}
def saying(): {line}
"""
    [found] = emits([Module("shared/made.py", ast.parse(source))])
    assert (found.events, set(found.facts)) == (events, facts)
