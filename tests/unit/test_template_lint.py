"""What may be saved as a notice template: no attack, and nothing that keeps from a reader what the law requires."""

import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from functions.languages import spoken
from functions.wire.office import preview_answer
from shared.adapters.built_in_templates import built_in_sources, words
from shared.adapters.notification_template import render
from shared.adapters.shown_html import UnreadablePage, shown
from shared.adapters.template_language import MAX_DEPTH, MAX_FAULTS, MAX_FILTERS, faults_of
from shared.adapters.template_lint import lint
from shared.adapters.template_table import sample_facts
from shared.domain.errors import Faulty
from shared.domain.notice_templates import (
    FACTS,
    FLAG_FACTS,
    LANGUAGES,
    MAX_PART_CHARACTERS,
    TemplateKind,
    TemplateSources,
)
from tests.fakes.house import House

FLAGS = sorted(FLAG_FACTS)
CALL = built_in_sources(TemplateKind.CALL, "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", TemplateKind)
def test_a_built_in_template_read_and_put_back_unchanged_is_accepted(kind: TemplateKind, language: str) -> None:
    assert lint(built_in_sources(kind, language), kind) == []


def test_every_language_has_the_same_words_and_places() -> None:
    english = words("en")
    for language in LANGUAGES[1:]:
        assert words(language).keys() == english.keys()
        for key, text in words(language).items():
            used = {fact for fact in FACTS if "{{ %s }}" % fact in text}  # noqa: UP031
            assert used <= {fact for fact in FACTS if "{{ %s }}" % fact in english[key]} | {"agent"}  # noqa: UP031
            assert text.count("{age}") == english[key].count("{age}")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ agent.name }}", "not_allowed"),
        ("{{ agent['name'] }}", "not_allowed"),
        ("{{ agent.__class__.__mro__ }}", "not_allowed"),
        ("{{ ''.__class__ }}", "not_allowed"),
        ("{{ agent | attr('__class__') }}", "not_allowed"),
        ("{{ agent | map('upper') }}", "not_allowed"),
        ("{{ agent() }}", "not_allowed"),
        ("{{ self }}", "unknown_fact"),
        ("{{ cycler }}", "unknown_fact"),
        ("{{ 'x' * 99999999 }}", "not_allowed"),
        ("{{ 7 * 7 }}", "not_allowed"),
        ("{{ agent ~ agent }}", "not_allowed"),
        ("{{ agent if test else agent_id }}", "not_allowed"),
        ("{{ agent | default(agent_id) }}", "not_allowed"),
        ("{{ agent | default('a', true) }}", "not_allowed"),
        ("{% for a in agent %}{{ a }}{% endfor %}", "not_allowed"),
        ("{% set a = agent %}", "not_allowed"),
        ("{% include 'x' %}", "not_allowed"),
        ("{% extends 'x' %}", "not_allowed"),
        ("{% macro m() %}{% endmacro %}", "not_allowed"),
        ("{% filter upper %}{{ agent }}{% endfilter %}", "not_allowed"),
        ("{% block b %}{% endblock %}", "not_allowed"),
        ("{% raw %}{{ nobody }}{% endraw %}", "agent_missing"),
        ("{% if agent < 'b' %}{% endif %}", "not_allowed"),
        ("{% if agent == agent_id %}{% endif %}", "not_allowed"),
        ("{% if agent in 'abc' %}{% endif %}", "not_allowed"),
        ("{% if agent is defined %}{% endif %}", "not_allowed"),
        ("{% if test %}", "syntax"),
        ("{{ nobody }}", "unknown_fact"),
        ("{{", "syntax"),
        ("{{ " * 40_000, "too_long"),
        ("{{ agent }}" * 2_000, "too_many_facts"),
        ("{% if test %}" * 30 + "{% endif %}" * 30, "too_deep"),
        ("{% if " + "not " * 5_000 + "test %}{% endif %}", "too_deep"),
        ("{% if " + "(" * 20_000 + "test" + ")" * 20_000 + " %}{% endif %}", "too_deep"),
        ("{{ " + "9" * 5_000 + " }}", "syntax"),
        ("{% if late == " + "9" * 5_000 + " %}{% endif %}", "syntax"),
        ("{% if late" + " and late" * 21 + " %}{% endif %}", "too_deep"),
        ("{% if late" + " or late" * 300 + " %}{% endif %}", "too_deep"),
        ("{% if late" + " and late" * 5_000 + " %}{% endif %}", "too_deep"),
        ("{% if late %}{% endif %}" * 401, "too_many_choices"),
        ("{% if late %}" + "{% elif test %}" * 5_000 + "{% endif %}", "too_many_choices"),
        ("{% if late and test %}{% endif %}" * 201, "too_many_choices"),
        ("{% if " + "not " * 200 + "late %}{% endif %}", "too_deep"),
        ("{{ late" + "|e" * 6 + " }}", "too_deep"),
        ("{{ late" + "|e" * 200 + " }}", "too_deep"),
        ("{{ late" + "|default('x')" * 500 + " }}", "too_deep"),
        ("{{ late" + "|upper" * 10_000 + " }}", "too_deep"),
        ("{{ late | default('\\ud800') }}", "not_sendable"),
        ("{% if late == '\\udfff' %}{% endif %}", "not_sendable"),
        ("{{ late | default('\\0') }}", "not_sendable"),
        ("Late\0", "not_sendable"),
        ("\x1b[31mLate", "not_sendable"),
        ("Late\ufffe", "not_sendable"),
        ("{% " + "z" * 90_000 + " %}", "syntax"),
        ("", "empty"),
        ("   ", "empty"),
    ],
)
@pytest.mark.parametrize("part", ["text", "html"])
def test_what_could_hang_grow_or_reach_anything_is_refused(source: str, code: str, part: str) -> None:
    faults = lint(structs.replace(CALL, **{part: source}), TemplateKind.CALL)
    assert (code, part) in {(fault.code, fault.part) for fault in faults}
    assert len(spoken(faults, "fr")) < 10_000


def test_what_people_write_is_within_the_bounds() -> None:
    filters = "|e|upper|lower|upper|default('none')"
    asked = " or ".join(["site == 'HQ'"] * (MAX_DEPTH + 1))
    text = f"{{{{ late{filters} }}}}\t{{% if {asked} %}}HQ{{% endif %}}\r\nCafé \U0001d11e\u2028"
    assert filters.count("|") == MAX_FILTERS
    assert lint(structs.replace(CALL, text=CALL.text + text, html=CALL.html + text), TemplateKind.CALL) == []


def test_no_more_faults_are_told_than_anybody_mends_at_once() -> None:
    assert len(faults_of("{% set a = late %}" * 5_000, "text", TemplateKind.CALL)) == MAX_FAULTS


LONGEST = MAX_PART_CHARACTERS - 20


@pytest.mark.parametrize(
    "piece",
    [
        "{{", "{%", "{#", "{{a}}", "{%if late%}", "{%if late%}{%endif%}", "{%set a=1%}", "{%raw%}", "{% raw %}{%  ",
        "{{late|e}}", "{{ (", "{{[", "{{'",
    ],
)  # fmt: skip
def test_many_small_pieces_are_refused_in_little_time(piece: str) -> None:
    assert is_linear(lambda part: faults_of(piece * (LONGEST // len(piece) // part), "html", TemplateKind.CALL))


@pytest.mark.parametrize(
    "piece", [".a", "()", "[0]", "+1", "~a", "|e", "|default('x')", " and a", " is b", " if a else a", "**1", ",a"]
)
@pytest.mark.parametrize("form", ["{{ late%s }}", "{%% if late%s %%}{%% endif %%}"])
def test_a_long_chain_is_refused_in_little_time(form: str, piece: str) -> None:
    pieces = (LONGEST - len(form)) // len(piece)
    assert is_linear(lambda part: faults_of(form % (piece * (pieces // part)), "text", TemplateKind.CALL))


@pytest.mark.parametrize(
    "page",
    [
        "<a>" * 72_000 + "</b>" * 44_000,
        "<a hidden>" * 20_000 + "</b>" * 48_000,
        "<template>" * 20_000 + "<title>" * 24_000,
        "<a" + " b=c" * 96_000 + ">",
        "<a>&#" * 76_000,
    ],
    ids=["deep", "hidden", "templates", "attributes", "references"],
)
def test_a_page_is_read_in_little_time(page: str) -> None:
    # Four times as long as one may be.
    assert is_linear(lambda part: shown(page[: len(page) // part]))


# The slowest of these takes 0.9 s; what was quadratic or worse took from 4 s to minutes.
CERTAINLY_LINEAR_S = 2.0
TRIES = 3


def is_linear(step: Callable[[int], object], *, certainly_s: float = CERTAINLY_LINEAR_S) -> bool:
    """Whether the whole takes less than ten times as long as a quarter of it (`step(4)`); of a quadratic it is sixteen.

    The least of three tries: a machine may be slow, and a collection of garbage fall into one of them. What takes less
    than `certainly_s` is not compared.
    """
    whole = takes_s(partial(step, 1))
    if whole < certainly_s:
        return True
    quarter = min(takes_s(partial(step, 4)) for _ in range(TRIES))
    return min(whole, *(takes_s(partial(step, 1)) for _ in range(TRIES - 1))) < 10 * quarter


def takes_s(step: Callable[[], object]) -> float:
    """How long this thread computes; what others do meanwhile is not counted."""
    begun = time.thread_time()
    step()
    return time.thread_time() - begun


def test_what_is_linear_is_told_from_what_is_not() -> None:
    def squared(part: int) -> None:
        for _ in range((4_000 // part) ** 2):
            pass

    def straight(part: int) -> None:
        for _ in range(16_000_000 // part):
            pass

    assert is_linear(straight, certainly_s=0.0) and not is_linear(squared, certainly_s=0.0)


def test_two_megabytes_of_braces_are_refused_before_they_are_parsed() -> None:
    [fault] = lint(structs.replace(CALL, html="{{" * 1_000_000), TemplateKind.CALL)
    assert fault.code == "too_long"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Emergency", {"agent_missing", "callback_number_missing", "location_missing", "unknown_location_missing"}),
        (
            "{{ agent }} {{ callback_number }}",
            {"location_missing", "unknown_location_missing"},
        ),
        ("{{ agent }} {{ callback_number }} {{ location_address }}", {"unknown_location_missing"}),
        (
            "{{ agent }} {% if not shared %}{{ callback_number }}{% endif %} {{ location_address | default('?') }}",
            {"callback_number_missing"},
        ),
        (
            "{% if test %}{{ agent }}{% else %}{% if agent == 'x' %}{{ agent_id }}{% endif %}{% endif %} "
            "{{ callback_number }} {{ location_address | default('unknown') }}",
            {"agent_missing"},
        ),
        (
            "{{ agent_id | upper }}: {{ callback_number | default('none') }}, "
            "{% if location_known %}{{ location_address }}{% else %}unknown{% endif %}",
            set(),
        ),
        ("{{ agent | e }} {{ callback_number }} {{ location_address | default('not known') }}", set()),
    ],
)
def test_what_the_law_requires_must_be_told_in_every_case(text: str, missing: set[str]) -> None:
    sources = TemplateSources(subject="Emergency", text=text, html=text)
    faults = lint(sources, TemplateKind.CALL)
    assert {fault.code for fault in faults} == missing
    assert {fault.part for fault in faults} <= {"text", "html"}


TOLD = (
    "{{ agent }} {{ callback_number }} "
    "{% if location_known %}{{ location_address }}{% else %}Nobody knows where{% endif %}"
)
REQUIRED = {"agent_missing", "callback_number_missing", "location_missing", "unknown_location_missing"}


FALLBACKS = ("audio", "canvas", "datalist", "iframe", "noembed", "noframes", "noscript", "object", "video")


@pytest.mark.parametrize(
    ("html", "missing"),
    [
        (f"<p>Help</p><!-- {TOLD} -->", REQUIRED),
        (f"<p>Help</p><!-- {TOLD}", REQUIRED),
        (f"<html><head><title>{TOLD}</title></head><body><p>Help</p></body></html>", REQUIRED),
        (f"<head>{TOLD}</head><body>Help</body>", REQUIRED),
        (f"<style>/* {TOLD} */</style><p>Help</p>", REQUIRED),
        (f"<script>{TOLD}</script><p>Help</p>", REQUIRED),
        (f"<script/>{TOLD}", REQUIRED),
        (f"<template>{TOLD}</template><p>Help</p>", REQUIRED),
        (f'<p title="{TOLD}">Help</p>', REQUIRED),
        (f"<head><title>Help</title><p>{TOLD}", set()),
        (f"<!DOCTYPE html><html><head><style>p {{ }}</style></head><body>{TOLD}</body></html>", set()),
        ("<p>{{ agent }}</p><b>{{ callback_number }}</b><!-- {{ site }} -->" + TOLD, set()),
        (f"<p hidden>{TOLD}</p><p>Help</p>", REQUIRED),
        (f"<div style='color:#000; DISPLAY : none !important'><div>Help</div>{TOLD}</div>", REQUIRED),
        (f"<div style='visibility:hidden'><br>{TOLD}</div>", REQUIRED),
        (f"<span style='max-height:0;font-size:0px'>{TOLD}</span>", REQUIRED),
        (f"<td><p hidden>{TOLD}</td>", REQUIRED),
        *((f"<p>Help</p><{tag}><p>{TOLD}</p></{tag}>", REQUIRED) for tag in FALLBACKS),
        *((f"<{tag}><b>Help</{tag}>{TOLD}", set[str]()) for tag in FALLBACKS),
        (f"<object><object>Help</object>{TOLD}</object>", REQUIRED),
        (f"<details><summary>Help</summary>{TOLD}</details>", REQUIRED),
        (f"<details>{TOLD}<summary>Help</summary></details>", REQUIRED),
        (f"<details><p>Help</p><summary><b>{TOLD}</b></summary>Help</details>", set()),
        (f"<details><summary>Help</summary></details>{TOLD}", set()),
        (f"<details><details><summary>{TOLD}</summary></details></details>", REQUIRED),
        (f"<details open><summary>Help</summary>{TOLD}</details>", set()),
        (f"<div style='max-height:0;overflow:hidden'>{TOLD}</div>", REQUIRED),
        (f"<div style='height: 0px; width:100%; overflow:hidden'>{TOLD}</div>", REQUIRED),
        (f"<div style='height:0'>{TOLD}</div>", set()),
        (f"<table><tr style='height:0'><td style='width:0;white-space:nowrap'>{TOLD}</td></tr></table>", set()),
        (f"<td style='max-width:0;overflow:hidden;text-overflow:ellipsis'>{TOLD}</td>", set()),
        (f"<p style='mso-hide:all'>{TOLD}</p>", REQUIRED),
        (f"<p style='line-height:0;max-width:600px;border-width:0'>{TOLD}</p>", set()),
        (f"<div style='display:none'>Help</div><p style='font-size:0.8em;opacity:0.9'>{TOLD}</p>", set()),
        (f"<table><td><p hidden>Help</td><td>{TOLD}</td></table>", set()),
        (f"<img hidden style='display:none'><div hidden><b>Help</div>{TOLD}", set()),
        (
            f"{{% if shared %}}<div style='display:none'>{{% endif %}}{TOLD}{{% if shared %}}</div>{{% endif %}}",
            REQUIRED,
        ),
        (f"{{% if shared and foreign %}}<div style='display:none'>{{% endif %}}{TOLD}", REQUIRED),
        (f"<p {{% if late %}}title='{{{{ late }}}}{{% endif %}}>{TOLD}</p>", REQUIRED),
        (f"<p {{% if late %}}title='{{{{ late }}}}'{{% endif %}}>{TOLD}</p>", set()),
    ],
)
def test_what_the_law_requires_must_be_shown_by_the_page(html: str, missing: set[str]) -> None:
    faults = lint(TemplateSources(subject="Emergency", text=TOLD, html=html), TemplateKind.CALL)
    assert {fault.code for fault in faults} == missing
    assert {fault.part for fault in faults} <= {"html"}


def test_a_page_that_would_take_long_to_read_in_every_case_is_refused() -> None:
    flags = "".join(f"{{% if {flag} %}}{{% if {flag} %}}{{{{ agent }}}}{{% endif %}}{{% endif %}}" for flag in FLAGS)
    faults = lint(structs.replace(CALL, html=TOLD + flags + "x" * 50_000), TemplateKind.CALL)
    assert [fault.code for fault in faults] == ["too_many_choices"]


def test_a_text_that_would_take_long_to_read_in_every_case_is_refused() -> None:
    flags = "".join(f"{{% if {flag} %}}{{{{ agent }}}}{{% endif %}}" for flag in FLAGS)
    faults = lint(TemplateSources(subject="x", text=TOLD + flags + "x " * 40_000, html=TOLD), TemplateKind.CALL)
    assert [fault.code for fault in faults] == ["too_many_choices"]


def test_a_subject_that_is_empty_where_the_location_is_known_is_a_fault() -> None:
    sources = TemplateSources(subject="{% if not location_known %}x{% endif %}", text=TOLD, html=TOLD)
    assert [fault.code for fault in lint(sources, TemplateKind.CALL)] == ["empty"]


def test_a_page_that_cannot_be_read_is_a_fault_also_where_it_is_so_in_one_case_only() -> None:
    number = "&#" + "9" * 5_000 + ";"
    for html in (TOLD + number, TOLD + "{% if location_known %}" + number + "{% endif %}"):
        faults = lint(TemplateSources(subject="x", text=TOLD, html=html), TemplateKind.CALL)
        assert [(fault.code, fault.part) for fault in faults] == [("syntax", "html")]
    with pytest.raises(UnreadablePage):
        shown(number)


@pytest.mark.parametrize("mark", ["<![ x]>", "<![foo[>", "<![9>", "<![if !mso]>", "<![CDATA[ x ]]>", "<![>"])
def test_a_marked_section_is_a_comment_as_it_is_to_browsers(mark: str) -> None:
    assert shown(f"<p>a</p>{mark}b").split() == ["a", "b"]
    assert lint(structs.replace(CALL, html=CALL.html + mark), TemplateKind.CALL) == []


@pytest.mark.parametrize("mark", ["<![ ", "<![foo[", "<![9"])
def test_what_is_within_a_marked_section_that_does_not_end_is_not_shown(mark: str) -> None:
    faults = lint(TemplateSources(subject="x", text=TOLD, html=mark + TOLD), TemplateKind.CALL)
    assert {(fault.code, fault.part) for fault in faults} == {(code, "html") for code in REQUIRED}


def test_a_closing_template_knows_neither_number_nor_place() -> None:
    sources = TemplateSources(subject="Over", text="{{ agent }} {{ callback_number }}", html="{{ location_address }}")
    codes = [fault.code for fault in lint(sources, TemplateKind.CLOSING)]
    assert codes == ["not_in_closing", "not_in_closing"]


def test_a_fault_names_its_line() -> None:
    [fault] = lint(structs.replace(CALL, text=CALL.text + "\n{{ nobody }}"), TemplateKind.CALL)
    assert fault.line == CALL.text.count("\n") + 2


def test_a_number_that_one_site_is_not_told_is_missing() -> None:
    text = (
        "{{ agent }} {% if site == 'HQ' %}as always{% else %}{{ callback_number }}{% endif %}"
        "{% if location_known %}{{ location_address }}{% else %}unknown{% endif %}"
    )
    found = lint(TemplateSources(subject="x", text=text, html=text), TemplateKind.CALL)
    assert {(fault.code, fault.part) for fault in found} == {
        ("callback_number_missing", "text"),
        ("callback_number_missing", "html"),
    }


def test_what_is_within_an_element_that_is_never_shown_stays_so_whatever_else_ends_there() -> None:
    assert shown("<p>a</p><template><p>b</p>c</template>d").split() == ["a", "d"]


def test_what_is_within_a_template_after_another_one_in_it_is_not_shown() -> None:
    assert shown("<p>a</p><template>b<template>c</template>d</template>e").split() == ["a", "e"]
    html = f"<p>Hello</p><template><template></template>{CALL.html}</template>"
    found = lint(structs.replace(CALL, html=html), TemplateKind.CALL)
    assert {"agent_missing", "callback_number_missing"} <= {fault.code for fault in found}
    assert {fault.part for fault in found} == {"html"}


def chain(first: str, link: str, last: str) -> st.SearchStrategy[str]:
    return st.sampled_from([0, 1, 5, 6, 20, 21, 200, 500, 1_500]).map(lambda times: f"{first}{link * times}{last}")


PIECES = st.one_of(
    st.sampled_from(
        [
            "{{ agent }}", "{{ late | e }}", "{{ late | default('\\ud800') }}", "{{ late | default('\\0') | upper }}",
            "{% if late %}", "{% elif site == 'x' %}", "{% else %}", "{% endif %}", "{% raw %}", "{% endraw %}",
            "{{", "}}", "{%", "%}", "{#", "#}", "'", "|", "(", "-", "\\", "\n", "\0", "\ufffe", "é", "<p>", "</p>",
            "<![ x]>", "<![", "<!--", "-->", "<template>", "</template>", "<a b='", "&#", "&#" + "9" * 5_000 + ";",
            "9" * 5_000, "{{ 1e999 }}", "{{ nobody }}", "{{ callback_number }}", "{% set a = 1 %}",
        ]
    ),
    chain("{{ late", "|e", " }}"),
    chain("{{ late", "|default('x')", " }}"),
    chain("{{ late", ".a", " }}"),
    chain("{% if late", " and late", " %}x{% endif %}"),
    chain("{% if ", "not ", "late %}x{% endif %}"),
    chain("{% if ", "(", "late %}x{% endif %}"),
    chain("", "{% if late %}", ""),
    st.text(max_size=8),
)  # fmt: skip
ADDED = st.lists(PIECES, max_size=6).map("".join)


@settings(max_examples=200)
@given(st.sampled_from(TemplateKind), ADDED, ADDED, ADDED)
@example(TemplateKind.CALL, "", "{{ late | default('\\ud800') }}", "")
@example(TemplateKind.CALL, "", "", "&#" + "9" * 5_000 + ";")
def test_a_template_has_faults_or_can_be_sent_and_nothing_else_comes_of_it(
    kind: TemplateKind, subject: str, text: str, html: str
) -> None:
    own, house = built_in_sources(kind, "en"), House()
    sources = TemplateSources(subject=own.subject + subject, text=own.text + text, html=own.html + html)
    preview = house.administration.preview_template(kind, "en", sources)
    assert preview.lint == lint(sources, kind)
    assert spoken(preview_answer(preview), "it")
    try:
        house.administration.save_template(kind, "en", sources, None)
    except Faulty:
        assert preview.lint
    else:
        assert not preview.lint
        told = render(sources, sample_facts(kind, "en", house.clock.now()))
        assert all(part.encode() for part in structs.astuple(told))
        assert preview.notice == told
