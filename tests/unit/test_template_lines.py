"""The lines of a notice as plain text: each is one line of its template, whatever the facts are."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import pytest

from shared.adapters.built_in_templates import built_in_sources
from shared.adapters.template_language import compiled
from shared.adapters.template_table import sample_facts
from shared.domain.notice_templates import LANGUAGES, TemplateKind

if TYPE_CHECKING:
    from jinja2 import Template

NOW = datetime(2026, 3, 4, 17, 5, 9, tzinfo=UTC)
ONLY_TAGS = re.compile(r"(\{%.*?%\})+")
type Choices = tuple[Mapping[str, str | bool], ...]

MARKS: Choices = ({}, {"test": True}, {"drill": True})
# Each row: facts that are there or not, independently of those of the other rows.
CALL: tuple[Choices, ...] = (
    MARKS,
    ({}, {"claimed": True}),
    ({}, {"placeable": "no"}),
    ({}, {"site": ""}),
    ({}, {"callback_number": ""}, {"degraded": True}, {"shared": True}),
    ({}, {"foreign": True}),
    ({}, {"number_shown": True}),
    (
        {},
        {"location_known": False},
        {"location_address": ""},
        {"location_address": "", "location_accuracy": ""},
        {"location_accuracy": ""},
        {"location_latitude": "", "location_longitude": "", "location_accuracy": ""},
    ),
    ({}, {"location_conveyed": True}),
    ({}, {"late": ""}),
)
CALLBACK: tuple[Choices, ...] = (
    MARKS,
    ({"kind": "callback_answered"}, {"kind": "callback_missed"}),
    ({}, {"claimed": True}),
    ({}, {"site": ""}),
    ({}, {"shared": True}),
    ({}, {"late": ""}),
)
CLOSING: tuple[Choices, ...] = (MARKS, ({}, {"claimed": True}))
OPTIONAL = {TemplateKind.CALL: CALL, TemplateKind.CALLBACK: CALLBACK, TemplateKind.CLOSING: CLOSING}


def combinations(kind: TemplateKind, language: str) -> Iterator[dict[str, str | bool]]:
    """A sample notice with each combination of what may be there or not."""
    flags = dict.fromkeys(("test", "drill", "claimed", "degraded", "shared", "foreign", "number_shown"), False)
    told = {**sample_facts(kind, language, NOW), **flags, "placeable": "yes", "late": "5", "site": "Plant 2"}
    for chosen in product(*OPTIONAL[kind]):
        yield {name: fact for facts in (told, *chosen) for name, fact in facts.items()}


def lines_alone(source: str, kind: TemplateKind, language: str) -> set[str]:
    """Each line that the template has words in, as it reads by itself."""
    alone = [compiled(line, "text") for line in source.splitlines() if line and not ONLY_TAGS.fullmatch(line)]
    # Within a line the facts of one row choose at most: with each value of those the line is one of these.
    told = next(iter(combinations(kind, language)))
    rows = [facts for row in OPTIONAL[kind] for facts in row]
    return {line.render({**told, **facts}) for line in alone for facts in rows}


def rendered_lines(form: "Template", kind: TemplateKind, language: str) -> set[str]:
    """Each line of the notice, over all combinations."""
    return {line for facts in combinations(kind, language) for line in form.render(facts).splitlines() if line}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", TemplateKind)
def test_no_line_of_a_notice_runs_into_the_next(kind: TemplateKind, language: str) -> None:
    source = built_in_sources(kind, language).text
    assert rendered_lines(compiled(source, "text"), kind, language) <= lines_alone(source, kind, language)


@pytest.mark.parametrize(
    ("source", "told", "untold"),
    [
        ("A{% if test %} B{% endif %}\nC", "A B\nC", "A\nC"),
        ("{% if test %}B{% endif %} \nC", "B \nC", " \nC"),
        ("{{ agent }}{% if test %}{% endif %}\nC", "Ann\nC", "Ann\nC"),
        ("A {# note #}\nC", "A \nC", "A \nC"),
        ("A\n{# note #}\nC", "A\nC", "A\nC"),
        ("A\n  {% if test %}\nB\n  {% endif %}{# note #}\nC", "A\nB\nC", "A\nC"),
        ("A\n{% if test +%}\nB{% endif %}\nC", "A\n\nB\nC", "A\n\nC"),
        ("A\n{% if test == '%}' %}{% endif %}\n\nC", "A\n\nC", "A\n\nC"),
        ("A{% if test -%}\n  B{% endif %}\nC", "AB\nC", "A\nC"),
    ],
)
def test_a_line_break_goes_with_a_line_of_tags_and_with_no_other(source: str, told: str, untold: str) -> None:
    facts = sample_facts(TemplateKind.CALL, "en", NOW)
    form = compiled(source, "text")
    assert form.render({**facts, "agent": "Ann", "test": True}) == told
    assert form.render({**facts, "agent": "Ann", "test": False}) == untold
