"""What the benchmarks make of their measurements."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.deployment import numbers
from tests.benchmarks.figures import Figure, ratio, table, write_json
from tests.benchmarks.plan import Plan


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_runs_parts() -> None:
    ours = [2.0] * 8 + [6.0] * 2
    figure = ratio("name", "what", ours, [1.0] * 10, goal=1.5)
    assert figure.value == 2.0
    assert figure.spread == (2.0, 6.0)
    assert figure.met is False


@pytest.mark.parametrize(
    ("value", "at_least", "met"), [(1.0, False, True), (1.1, False, False), (1.1, True, True), (0.9, True, False)]
)
def test_a_goal_is_the_most_or_the_least(value: float, at_least: bool, met: bool) -> None:
    assert Figure(name="n", what="w", value=value, unit="x", goal=1.0, at_least=at_least).met is met


def test_what_has_no_goal_is_neither_met_nor_missed() -> None:
    assert Figure(name="n", what="w", value=1.0, unit="x").met is None


def test_the_table_shows_the_goal_beside_the_figure() -> None:
    lines = table([Figure(name="n", what="dial", value=1.456, unit="x", goal=1.3)]).splitlines()
    assert lines[0].split() == ["what", "figure", "goal", "met", "spread", "note"]
    assert lines[2].split() == ["dial", "1.46x", "<=", "1.30", "NO"]


def test_the_json_holds_every_figure(tmp_path: Path) -> None:
    path = tmp_path / "results" / "run.json"
    write_json(path, [Figure(name="n", what="w", value=2.0, unit="ms")], took_s=1.23, quick=True)
    document = json.loads(path.read_text())
    assert document["quick"] is True
    assert [(each["name"], each["value"], each["met"]) for each in document["figures"]] == [("n", 2.0, None)]


def test_a_quick_run_takes_a_fifth_but_enough_for_a_median() -> None:
    assert (Plan().rounds(100), Plan(quick=True).rounds(100), Plan(quick=True).rounds(5)) == (100, 20, 3)


def test_numbers_are_different_and_not_those_of_the_stack() -> None:
    made = numbers(10_000)
    assert len(set(made)) == 10_000
    assert not any(number.startswith("+1425") for number in made)
