"""The console says in each of its languages what every check of readiness is about."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from shared.domain import presence_checks
from shared.domain.notice_templates import LANGUAGES
from shared.domain.readiness import DEPLOYMENT
from shared.domain.service_checks import Service
from tests.rules.sources import ROOT

# As the checks write whom or what they are about: `f"agent:{…}"`.
SUBJECT = re.compile(r'f"([a-z]+):\{')
# `make`: the one of `problem` and `warning` that fits.
MADE_BY = {"ok", "warning", "problem", "unknown", "make"}
# Those that are no literal where the check is made.
NAMED_ELSEWHERE = {presence_checks.CHECK, *(service.value for service in Service)}


def test_every_check_has_words() -> None:
    made = {check for path in (ROOT / "shared").rglob("*.py") for check in checks_in(path)}
    assert {"pool", "emergency_path", "site_networks"} <= made
    for language in LANGUAGES:
        words = json.loads((ROOT / f"functions/ui/console.{language}.json").read_text("utf-8"))
        told = {key.removeprefix("check_") for key in words if key.startswith("check_")}
        assert told == made | NAMED_ELSEWHERE, language


def test_every_kind_of_subject_has_words() -> None:
    checks = (ROOT / "shared/domain").glob("*_checks.py")
    kinds = {kind for path in checks for kind in SUBJECT.findall(path.read_text("utf-8"))}
    assert {"site", "agent", "number"} <= kinds
    for language in LANGUAGES:
        words = json.loads((ROOT / f"functions/ui/console.{language}.json").read_text("utf-8"))
        told = {key.removeprefix("subject_"): told for key, told in words.items() if key.startswith("subject_")}
        assert told.keys() == kinds | {DEPLOYMENT}, language
        assert {kind for kind, words_of_it in told.items() if "{id}" in words_of_it} == kinds, language


def checks_in(path: Path) -> Iterator[str]:
    """The ids in calls of `ok`, `warning`, `problem` and `unknown`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MADE_BY and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value)
