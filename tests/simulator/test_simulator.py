"""The simulator's share of the test suite: some three minutes on two cores, and that a seed replays exactly."""

import os
import subprocess
import sys

import pytest

from tests.rules.sources import ROOT
from tests.simulator.world import simulate

SEEDS = 24
FIRST = 100


@pytest.mark.process
def test_every_invariant_holds_in_the_seeds_of_every_run() -> None:
    command = [sys.executable, "-m", "tests.simulator", "--first", str(FIRST), "--seeds", str(SEEDS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
def test_a_seed_replays_exactly_also_in_another_process() -> None:
    program = "from tests.simulator.world import simulate as s; o = s(3, brief=True); print(o.emergencies, o.faults)"
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    ]
    outcome = simulate(3, brief=True)
    assert told == [f"{outcome.emergencies} {outcome.faults}\n"] * 2
