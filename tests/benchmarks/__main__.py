"""`python -m tests.benchmarks`: measure the product, and print each figure beside its goal."""

from __future__ import annotations

import argparse
import compileall
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import chain, cold, flood, imports, latency, pool_sizes, throughput
from tests.benchmarks.figures import Figure, table, write_json
from tests.benchmarks.plan import Plan
from tests.local.host.process import REPOSITORY

PARTS = {part.NAME: part for part in (imports, cold, latency, throughput, chain, pool_sizes, flood)}
RESULTS = REPOSITORY / "bench-results"
ABOUT = """Ratios compare two things that were measured in turns in this very run; a figure is the ratio of their
medians, and its spread says how far apart the run's parts were. Times depend on the machine, ratios far less."""


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__, epilog=ABOUT)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go; default: bench-results/")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="NAME", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds: to see that it works")
    arguments = parser.parse_args()
    plan = Plan(quick=arguments.quick)
    _compile()
    began = time.monotonic()
    figures: list[Figure] = []
    for name in arguments.only or PARTS:
        print(f"{name} …", file=sys.stderr, flush=True)
        part_began = time.monotonic()
        figures += PARTS[name].measure(plan)
        plan.say(f"{time.monotonic() - part_began:.0f} s")
    took_s = time.monotonic() - began
    print(table(figures))
    path = arguments.json or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    write_json(path, figures, took_s=took_s, quick=plan.quick)
    print(f"\n{ABOUT}\n{took_s:.0f} s; {path}")


def _compile() -> None:
    """Write the byte code, as an installation does: where Python is told to write none, each import would compile."""
    for package in ("functions", "shared"):
        compileall.compile_dir(REPOSITORY / package, quiet=1)
    compileall.compile_file(REPOSITORY / "function_app.py", quiet=1)


if __name__ == "__main__":
    main()
