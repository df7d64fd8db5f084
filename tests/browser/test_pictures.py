"""The pictures that somebody looks at before a release: one of every page in every state, none of them too wide."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest

from tests.browser.pictures import SCHEMES, WIDTHS
from tests.browser.test_console import SECTIONS
from tests.browser.test_panel import STATES
from tests.rules.sources import ROOT

pytestmark = pytest.mark.long

TAKEN_WITHIN_S = 900
# Of a PNG: where the width stands, in four bytes.
WIDTH_AT = slice(16, 20)
SHOWN = {
    "panel": {*(name.replace(" ", "-") for name in STATES), "where"},
    "console": set(SECTIONS),
    "simulator": {""},
}


@pytest.mark.parametrize("part", SHOWN)
def test_there_is_a_picture_of_every_state_and_none_is_too_wide(part: str, tmp_path: Path) -> None:
    # A browser of its own: the one of these tests holds the event loop of this process.
    command = [sys.executable, "-m", "tests.browser.pictures", str(tmp_path), part]
    subprocess.run(command, cwd=ROOT, check=True, timeout=TAKEN_WITHIN_S)
    assert {path.name for path in tmp_path.iterdir()} == named(part, SHOWN[part])
    for path in tmp_path.iterdir():
        width = int.from_bytes(path.read_bytes()[WIDTH_AT])
        assert f"-{width}-" in path.name


def named(part: str, states: Set[str]) -> set[str]:
    return {
        "-".join(filter(None, (part, state, str(width), f"{scheme}.png")))
        for state in states
        for width in WIDTHS
        for scheme in SCHEMES
    }
