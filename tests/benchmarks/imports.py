"""What importing the app costs, against `azure.functions` alone: fresh interpreters, compiled byte code, in turns.

The ratio is of processor time: an import does little else, and other work on the machine counts less.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from msgspec import Struct

from tests.benchmarks.figures import Figure, milliseconds, ratio
from tests.benchmarks.plan import Plan
from tests.local.host.process import REPOSITORY

ROUNDS = 15
GOAL = 1.5
NAME = "imports"


def measure(plan: Plan) -> Iterator[Figure]:
    """Import time of `function_app`."""
    ours, bare = [], []
    for number in range(plan.rounds(ROUNDS) + 1):
        pair = _imported("function_app"), _imported("azure.functions")
        # The first round writes the byte code.
        if number:
            ours.append(pair[0])
            bare.append(pair[1])
    processor = [[cost.processor_s for cost in side] for side in (ours, bare)]
    yield ratio("import", "import of function_app / of azure.functions", *processor, goal=GOAL, note="processor time")
    waited = [[cost.waited_s for cost in side] for side in (ours, bare)]
    yield milliseconds(
        "import_ms", "  import of function_app", waited[0], f"azure.functions {median(waited[1]) * 1000:.1f} ms"
    )


class Cost(Struct, frozen=True):
    """What an import took."""

    processor_s: float
    waited_s: float


def _imported(module: str) -> Cost:
    begun, told = "p, w = time.process_time(), time.perf_counter()", "time.process_time() - p, time.perf_counter() - w"
    code = f"import time; {begun}; import {module}; print({told})"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    processor_s, waited_s = map(float, done.stdout.strip("()\n").split())
    return Cost(processor_s, waited_s)
