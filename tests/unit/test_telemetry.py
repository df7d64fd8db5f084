"""The log's vocabulary: what it lets through, and above all what it does not."""

import ast
import logging
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import LOGGER, VOCABULARY, Event, LogTelemetry, quiet_sdk_logging, spoken


class Outcome(StrEnum):
    LENT = "lent"


def said(caplog: pytest.LogCaptureFixture, event: str, **facts: str | float | bool) -> list[tuple[int, str]]:
    caplog.clear()
    with caplog.at_level(logging.INFO, LOGGER):
        LogTelemetry().emit(event, **facts)
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_facts_stand_in_the_message(caplog: pytest.LogCaptureFixture) -> None:
    lines = said(caplog, "dial_recorded", outcome=Outcome.LENT, shared=False, test=True, ms=12.345, steps=2)
    assert lines == [(logging.INFO, "dial_recorded outcome=lent shared=false test=true ms=12.3 steps=2")]


@pytest.mark.parametrize(
    ("event", "level"),
    [("sweep", logging.INFO), ("notice_retried", logging.WARNING), ("callback_failed", logging.ERROR)],
)
def test_how_grave_an_event_is_belongs_to_the_vocabulary(
    caplog: pytest.LogCaptureFixture, event: str, level: int
) -> None:
    assert said(caplog, event) == [(level, event)]


def test_undeclared_facts_are_left_out_and_undeclared_events_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    assert said(caplog, "sweep", due=1, agent="jane") == [(logging.INFO, "sweep due=1")]
    assert said(caplog, "gossip", about="jane") == [(logging.ERROR, "undeclared event=gossip")]
    assert said(caplog, "+12065550101") == [(logging.ERROR, "undeclared event=invalid")]


@pytest.mark.parametrize(
    "personal",
    [
        "+12065550101",
        "12065550101",
        "a12065550101",
        "jane doe",
        "jane@example.com",
        "1 Main Street",
        "é",
        "",
        "x" * 41,
        "a\nb",
        12065550101,
        -12065550101,
        float("nan"),
        float("inf"),
        12065550101.0,
        None,
        ["lent"],
    ],
)
def test_what_could_be_personal_is_replaced(personal: object) -> None:
    assert spoken(personal) == "invalid"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("Unavailable", "unavailable"),
        ("CALLBACK_NUMBERS", "callback_numbers"),
        ("a.b-c", "a.b-c"),
        (0, "0"),
        (0.25, "0.2"),
    ],
)
def test_what_is_harmless_is_said(value: object, word: str) -> None:
    assert spoken(value) == word


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.none() | st.binary()))
def test_it_never_raises(event: str, facts: dict[str, object]) -> None:
    facts.pop("event", None)
    facts.pop("self", None)
    LogTelemetry(logging.getLogger("nobody")).emit(event, **facts)  # type: ignore[arg-type]


def test_every_event_is_in_the_vocabulary() -> None:
    assert set(VOCABULARY) == set(Event)


def test_the_sdks_are_quiet() -> None:
    quiet_sdk_logging()
    for name in ("azure.core.pipeline.policies.http_logging_policy", "urllib3", "urllib3.connectionpool"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


ROOT = Path(__file__).parents[2]


def emits() -> Iterator[tuple[str, list[str | None], set[str]]]:
    """Every `emit(` in the product: where, the events it may name (None: cannot be told), and the facts it names."""
    for path in sorted([*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/**/*.py")]):
        module = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: assign.value
            for assign in module.body
            if isinstance(assign, ast.Assign)
            for target in assign.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(module):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "emit":
                where = f"{path.relative_to(ROOT)}:{call.lineno}"
                yield where, list(events_in(call.args[0], constants)), {word.arg for word in call.keywords if word.arg}


def events_in(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str | None]:
    match node:
        case ast.IfExp():
            yield from events_in(node.body, constants)
            yield from events_in(node.orelse, constants)
        case ast.Name() if node.id in constants:
            yield from events_in(constants[node.id], constants)
        case ast.Attribute(value=ast.Name(id="Event")):
            yield Event[node.attr]
        case ast.Constant(value=str(event)):
            yield event
        case _:
            yield None


def test_every_emit_in_the_product_keeps_to_the_vocabulary() -> None:
    found = list(emits())
    assert len(found) > 10
    wrong = [
        (where, event, facts - (VOCABULARY[event].facts if event in VOCABULARY else set()))
        for where, events, facts in found
        for event in events
        if event not in VOCABULARY or not facts <= VOCABULARY[event].facts
    ]
    assert wrong == []
