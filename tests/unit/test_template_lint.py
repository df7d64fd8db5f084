"""What may be saved as a notice template: no attack, and nothing that keeps from a reader what the law requires."""

import pytest
from msgspec import structs

from shared.adapters.built_in_templates import built_in_sources, words
from shared.adapters.shown_html import shown
from shared.adapters.template_lint import lint
from shared.domain.notice_templates import FACTS, FLAG_FACTS, LANGUAGES, TemplateKind, TemplateSources

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
        ("", "empty"),
        ("   ", "empty"),
    ],
)
@pytest.mark.parametrize("part", ["text", "html"])
def test_what_could_hang_grow_or_reach_anything_is_refused(source: str, code: str, part: str) -> None:
    faults = lint(structs.replace(CALL, **{part: source}), TemplateKind.CALL)
    assert (code, part) in {(fault.code, fault.part) for fault in faults}


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
        (f"<div style='display:none'>Help</div><p style='font-size:0.8em;opacity:0.9'>{TOLD}</p>", set()),
        (f"<table><td><p hidden>Help</td><td>{TOLD}</td></table>", set()),
        (f"<img hidden style='display:none'><div hidden><b>Help</div>{TOLD}", set()),
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
