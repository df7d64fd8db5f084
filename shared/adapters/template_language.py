"""The language of notice templates: a part of Jinja2's that cannot hang, grow or reach anything.

Jinja2 parses; what its tree may hold is listed here. There are facts, filters and choices; no loops, calls,
arithmetic, attributes or includes, so that the time and the size of what is rendered follow from the source's length.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from shared.domain.notice_templates import (
    FACTS,
    MAX_PART_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    Fault,
    TemplateKind,
    TemplateSources,
)
from shared.domain.words import Words

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

FILTERS = ("e", "upper", "lower", "default")
MAX_OUTPUTS = 400
MAX_DEPTH = 20


def faults_of(source: str, part: str, kind: TemplateKind) -> list[Fault]:
    """Why this part of a template is not in the language; nothing where it is."""
    longest = MAX_SUBJECT_CHARACTERS if part == "subject" else MAX_PART_CHARACTERS
    if len(source) > longest:
        return [
            Fault(code="too_long", part=part, line=1, message=Words("is longer than {most} characters", most=longest))
        ]
    from jinja2 import TemplateSyntaxError

    try:
        tree = environment(escapes=False).parse(source)
    except TemplateSyntaxError as error:
        # Jinja2's own words quote the source, which is an administrator's and not personal; they are English.
        said = Words("cannot be read: {said}", said=error.message) if error.message else Words("cannot be read")
        return [Fault(code="syntax", part=part, line=error.lineno, message=said)]
    except RecursionError:
        return [Fault(code="too_deep", part=part, line=1, message=Words("is nested too deeply"))]
    return [Fault(code=code, part=part, line=line, message=message) for code, line, message in _walk(tree, kind)]


def compiled(source: str, *, escapes: bool) -> "Template":
    """A part that has no faults, ready to be rendered."""
    return environment(escapes=escapes).from_string(source)


@cache
def environment(*, escapes: bool) -> "Environment":
    """Jinja2 with the language's filters and nothing else; lines that hold only a choice leave no blank line."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        autoescape=escapes, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.clear()
    made.tests.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.filters["default"] = _default
    return made


def _default(value: object, other: str) -> object:
    """The fact, or `other` where it is empty: no fact is ever undefined."""
    return value or other


def conditions_of(sources: TemplateSources, about: frozenset[str]) -> dict[str, set[str]]:
    """The facts on which it depends whether and how the facts `about` are told, with the texts they are compared with.

    A choice that names none of them, in its conditions or within, cannot keep any of them from being told.
    """
    from jinja2 import nodes

    found: dict[str, set[str]] = {}
    for source in sources.parts().values():
        tree = environment(escapes=False).parse(source)
        for choice in tree.find_all(nodes.If):
            if about.isdisjoint(_names(choice)):
                continue
            for test in (choice.test, *(other.test for other in choice.elif_)):
                for name in _names(test):
                    found.setdefault(name, set())
                for compared in _self_and(test, nodes.Compare):
                    literals = {str(each.value) for each in compared.find_all(nodes.Const)}
                    for name in _names(compared):
                        found[name] |= literals
        for filtered in tree.find_all(nodes.Filter):
            for name in about.intersection(_names(filtered)) if filtered.name == "default" else ():
                found.setdefault(name, set())
    return found


def _self_and[N: "nodes.Node"](node: "nodes.Node", kind: type[N]) -> Iterator[N]:
    if isinstance(node, kind):
        yield node
    yield from node.find_all(kind)


def _names(node: "nodes.Node") -> Iterator[str]:
    from jinja2 import nodes

    return (name.name for name in _self_and(node, nodes.Name))


def _walk(tree: "nodes.Template", kind: TemplateKind) -> Iterator[tuple[str, int, Words]]:
    from jinja2 import nodes

    outputs = sum(1 for output in tree.find_all(nodes.Output) for _ in output.nodes)
    if outputs > 2 * MAX_OUTPUTS:
        yield "too_many_facts", 1, Words("holds more than {most} facts", most=MAX_OUTPUTS)
        return
    yield from _statements(tree.body, kind, 0)


def _statements(body: "list[nodes.Node]", kind: TemplateKind, depth: int) -> Iterator[tuple[str, int, Words]]:
    from jinja2 import nodes

    for node in body:
        match node:
            case nodes.Output():
                for part in node.nodes:
                    if not isinstance(part, nodes.TemplateData):
                        yield from _output(part, kind)
            case nodes.If() if depth < MAX_DEPTH:
                yield from _condition(node.test, kind)
                for inner in (node.body, *(each.body for each in node.elif_), node.else_):
                    yield from _statements(inner, kind, depth + 1)
                for other in node.elif_:
                    yield from _condition(other.test, kind)
            case nodes.If():
                yield "too_deep", node.lineno, Words("is nested too deeply")
            case _:
                yield "not_allowed", node.lineno, Words("may hold facts, filters and {% if %} only")


def _output(node: "nodes.Expr", kind: TemplateKind) -> Iterator[tuple[str, int, Words]]:
    from jinja2 import nodes

    match node:
        case nodes.Name():
            yield from _fact(node, kind)
        case nodes.Filter(name="default", args=[nodes.Const(value=str())], kwargs=[], dyn_args=None, dyn_kwargs=None):
            yield from _filtered(node, kind)
        case nodes.Filter(name=name, args=[], kwargs=[], dyn_args=None, dyn_kwargs=None) if name in FILTERS[:-1]:
            yield from _filtered(node, kind)
        case _:
            yield "not_allowed", node.lineno, Words("may hold facts and the filters {filters} only", filters=FILTERS)


def _filtered(node: "nodes.Filter", kind: TemplateKind) -> Iterator[tuple[str, int, Words]]:
    if node.node is None:
        yield "not_allowed", node.lineno, Words("may filter facts only")
    else:
        yield from _output(node.node, kind)


def _condition(node: "nodes.Node", kind: TemplateKind) -> Iterator[tuple[str, int, Words]]:
    from jinja2 import nodes

    match node:
        case nodes.Name():
            yield from _fact(node, kind)
        case nodes.And() | nodes.Or():
            yield from _condition(node.left, kind)
            yield from _condition(node.right, kind)
        case nodes.Not():
            yield from _condition(node.node, kind)
        case nodes.Compare(
            expr=nodes.Name() as name, ops=[nodes.Operand(op="eq" | "ne", expr=nodes.Const(value=str() | bool()))]
        ):
            yield from _fact(name, kind)
        case _:
            yield "not_allowed", node.lineno, Words("may choose by facts, and, or, not, and == or != with a text only")


def _fact(node: "nodes.Name", kind: TemplateKind) -> Iterator[tuple[str, int, Words]]:
    if node.name not in FACTS:
        yield "unknown_fact", node.lineno, Words("there is no fact '{fact}'", fact=node.name[:40])
    elif node.name not in kind.facts:
        yield "not_in_closing", node.lineno, Words("'{fact}' is not told when it is over", fact=node.name)
