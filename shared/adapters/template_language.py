"""The language of notice templates: a part of Jinja2's that cannot hang, grow or reach anything.

Jinja2 parses; what its tree may hold is listed here. There are facts, filters and choices; no loops, calls,
arithmetic, attributes or includes, so that the time and the size of what is rendered follow from the source's length.
So does the time to compile it: Jinja2 compares the tree below each filter and each `and` with itself, so that their
number in a row is bounded before anything is compiled.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
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
# Of choices within each other, and of `and`, `or` and `not` in one condition.
MAX_DEPTH = 20
# Of one fact.
MAX_FILTERS = 5
# In the conditions of one part.
MAX_ASKED = 400
# Of one part: more are no help to whoever mends it.
MAX_FAULTS = 100
MAX_SAID_CHARACTERS = 200
# As many parts as there are of all templates in all languages, with those that are being written.
MAX_REMEMBERED = 192
# What is no Char of XML 1.0 (2.2): lone surrogates, which UTF-8 cannot encode, NUL, which RFC 5322 (4.1) forbids, and
# the other control characters but tab and line breaks.
_UNSENDABLE = re.compile("[^\\t\\n\\r\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

type Found = tuple[str, int, Words]


def faults_of(source: str, part: str, kind: TemplateKind) -> list[Fault]:
    """Why this part of a template is not in the language; nothing where it is."""
    read = _read(source, part, kind)
    return list(read) if isinstance(read, tuple) else []


def compiled(source: str, part: str) -> "Template":
    """A part, ready to be rendered with every fact there is; raises `ValueError` where it is not in the language."""
    read = _read(source, part, TemplateKind.CALL)
    if isinstance(read, tuple):
        raise ValueError("not in the language of templates")  # noqa: TRY004 - of whoever wrote the template
    return read


def is_sendable(text: str) -> bool:
    """Whether JSON and a mail can carry it."""
    return _UNSENDABLE.search(text) is None


@lru_cache(maxsize=MAX_REMEMBERED)
def _read(source: str, part: str, kind: TemplateKind) -> "Template | tuple[Fault, ...]":
    """A part compiled, or why not. Both are remembered: a saved one that is refused would else be read at each mail."""
    longest = MAX_SUBJECT_CHARACTERS if part == "subject" else MAX_PART_CHARACTERS
    if len(source) > longest:
        return (
            Fault(code="too_long", part=part, line=1, message=Words("is longer than {most} characters", most=longest)),
        )
    read = _parsed(source, kind, escapes=part == "html")
    if not isinstance(read, list):
        return read
    return tuple(Fault(code=code, part=part, line=line, message=message) for code, line, message in read)


def _parsed(source: str, kind: TemplateKind, *, escapes: bool) -> "Template | list[Found]":
    from jinja2 import TemplateSyntaxError

    made = environment(escapes=escapes)
    try:
        tree = made.parse(source)
        return list(islice(_walk(tree, kind), MAX_FAULTS)) or made.from_string(tree)
    except TemplateSyntaxError as error:
        # Jinja2's own words quote the source, which is an administrator's and not personal; they are English.
        quoted = (error.message or "")[:MAX_SAID_CHARACTERS]
        said = Words("cannot be read: {said}", said=quoted) if quoted else Words("cannot be read")
        return [("syntax", error.lineno, said)]
    except RecursionError:
        return [("too_deep", 1, Words("is nested too deeply"))]
    except Exception:  # noqa: BLE001 - int() of a long literal, Python's own compiler: what cannot be read is refused
        return [("syntax", 1, Words("cannot be read"))]


@cache
def environment(*, escapes: bool) -> "Environment":
    """Jinja2 with the language's filters and nothing else; lines that hold only choices leave no blank line."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from shared.adapters.template_lines import LinesOfTags

    made = ImmutableSandboxedEnvironment(
        autoescape=escapes, undefined=StrictUndefined, lstrip_blocks=True, extensions=[LinesOfTags]
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

    A choice that names none of them, in its conditions or within, cannot keep any of them from being told in a text.
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


def _walk(tree: "nodes.Template", kind: TemplateKind) -> Iterator[Found]:
    from jinja2 import nodes

    outputs = sum(1 for output in tree.find_all(nodes.Output) for _ in output.nodes)
    if outputs > 2 * MAX_OUTPUTS:
        yield "too_many_facts", 1, Words("holds more than {most} facts", most=MAX_OUTPUTS)
        return
    choices = list(tree.find_all(nodes.If))
    if max(len(choices), sum(1 for choice in choices for _ in _names(choice.test))) > MAX_ASKED:
        yield "too_many_choices", 1, Words("chooses by too many facts")
        return
    yield from _statements(tree.body, kind, 0)
    for text in tree.find_all(nodes.TemplateData):
        yield from _text(text.data, text.lineno)
    for literal in tree.find_all(nodes.Const):
        yield from _text(str(literal.value), literal.lineno)


def _text(text: str, line: int) -> Iterator[Found]:
    if not is_sendable(text):
        yield "not_sendable", line, Words("holds a character that cannot be sent")


def _statements(body: "list[nodes.Node]", kind: TemplateKind, depth: int) -> Iterator[Found]:
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


def _output(node: "nodes.Expr", kind: TemplateKind, filters: int = 0) -> Iterator[Found]:
    from jinja2 import nodes

    match node:
        case nodes.Name():
            yield from _fact(node, kind)
        case nodes.Filter() if filters == MAX_FILTERS:
            yield "too_deep", node.lineno, Words("is nested too deeply")
        case nodes.Filter(name="default", args=[nodes.Const(value=str())], kwargs=[], dyn_args=None, dyn_kwargs=None):
            yield from _filtered(node, kind, filters + 1)
        case nodes.Filter(name=name, args=[], kwargs=[], dyn_args=None, dyn_kwargs=None) if name in FILTERS[:-1]:
            yield from _filtered(node, kind, filters + 1)
        case _:
            yield "not_allowed", node.lineno, Words("may hold facts and the filters {filters} only", filters=FILTERS)


def _filtered(node: "nodes.Filter", kind: TemplateKind, filters: int) -> Iterator[Found]:
    if node.node is None:
        yield "not_allowed", node.lineno, Words("may filter facts only")
    else:
        yield from _output(node.node, kind, filters)


def _condition(node: "nodes.Node", kind: TemplateKind, depth: int = 0) -> Iterator[Found]:
    from jinja2 import nodes

    match node:
        case nodes.Name():
            yield from _fact(node, kind)
        case nodes.And() | nodes.Or() | nodes.Not() if depth == MAX_DEPTH:
            yield "too_deep", node.lineno, Words("is nested too deeply")
        case nodes.And() | nodes.Or():
            yield from _condition(node.left, kind, depth + 1)
            yield from _condition(node.right, kind, depth + 1)
        case nodes.Not():
            yield from _condition(node.node, kind, depth + 1)
        case nodes.Compare(
            expr=nodes.Name() as name, ops=[nodes.Operand(op="eq" | "ne", expr=nodes.Const(value=str() | bool()))]
        ):
            yield from _fact(name, kind)
        case _:
            yield "not_allowed", node.lineno, Words("may choose by facts, and, or, not, and == or != with a text only")


def _fact(node: "nodes.Name", kind: TemplateKind) -> Iterator[Found]:
    if node.name not in FACTS:
        yield "unknown_fact", node.lineno, Words("there is no fact '{fact}'", fact=node.name[:40])
    elif node.name not in kind.facts:
        yield "not_in_closing", node.lineno, Words("'{fact}' is not told when it is over", fact=node.name)
