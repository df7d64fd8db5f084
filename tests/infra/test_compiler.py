"""`make infra` on a machine without the compiler: it fails, and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.infra.compiler import wanted_version
from tests.rules.sources import ROOT


def test_without_a_compiler_it_fails_and_says_which_is_wanted() -> None:
    environment = os.environ | {"BICEP": "no-such-compiler"}
    command = [sys.executable, "-m", "tests.infra"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"make infra needs the Bicep compiler: put `bicep` {wanted_version()} on PATH" in done.stderr
