"""Figures: what was measured, with its goal beside it, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

type Unit = Literal["x", "ms", "/s", "MB", ""]

BLOCKS = 5
_DIGITS: dict[Unit, int] = {"x": 2, "ms": 1, "/s": 0, "MB": 0, "": 1}
_HEADINGS = ("what", "figure", "goal", "met", "spread", "note")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value.

    `goal` is the most that it may be, or the least with `at_least`; None where nothing was promised. `spread` is the
    lowest and the highest value among the run's parts: wide where other work disturbed the machine.
    """

    name: str
    what: str
    value: float
    unit: Unit
    goal: float | None = None
    at_least: bool = False
    spread: tuple[float, float] | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def milliseconds(name: str, what: str, seconds: Sequence[float], note: str = "") -> Figure:
    """The median of durations."""
    return Figure(name=name, what=what, value=median(seconds) * 1000, unit="ms", note=note)


def ratio(
    name: str,
    what: str,
    ours: Sequence[float],
    bare: Sequence[float],
    *,
    goal: float | None = None,
    at_least: bool = False,
    note: str = "",
) -> Figure:
    """The ratio of the medians of two series taken in turns; its spread is over consecutive blocks of both."""
    parts = [median(a) / median(b) for a, b in zip(_blocks(ours), _blocks(bare), strict=True)]
    return Figure(
        name=name,
        what=what,
        value=median(ours) / median(bare),
        unit="x",
        goal=goal,
        at_least=at_least,
        spread=(min(parts), max(parts)),
        note=note,
    )


def _blocks(series: Sequence[float]) -> list[Sequence[float]]:
    blocks = min(BLOCKS, len(series))
    edges = [round(number * len(series) / blocks) for number in range(blocks + 1)]
    return [series[start:end] for start, end in pairwise(edges)]


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns, for people."""
    rows = [_HEADINGS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(_aligned(row[c], widths[c], c) for c in range(len(row))).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column in (1, 2) else cell.ljust(width)


def _cells(figure: Figure) -> tuple[str, ...]:
    digits = _DIGITS[figure.unit]

    def said(value: float) -> str:
        return f"{value:.{digits}f}"

    unit = f" {figure.unit}" if figure.unit not in ("", "x") else figure.unit
    goal = "" if figure.goal is None else f"{'>=' if figure.at_least else '<='} {said(figure.goal)}"
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    spread = "" if figure.spread is None else f"{said(figure.spread[0])}-{said(figure.spread[1])}"
    return figure.what, f"{said(figure.value)}{unit}", goal, met, spread, figure.note


def write_json(path: Path, figures: Sequence[Figure], *, took_s: float, quick: bool) -> None:
    """Write the figures, and what they were measured on, to a file."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "took_s": round(took_s, 1),
        "quick": quick,
        "python": platform.python_version(),
        "platform": sys.platform,
        "processors": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "figures": [{**msgspec.to_builtins(figure), "met": figure.met} for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
