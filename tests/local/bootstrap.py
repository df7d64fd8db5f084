"""Make `.venv` what the lock file says. Run by the Makefile with the Python that `find_python.sh` found.

Uses the standard library only, because nothing is installed yet. A second run costs some milliseconds, and two at once
take turns.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "requirements-dev.txt"
VENV = REPOSITORY / ".venv"
CACHE = REPOSITORY / ".cache"
STAMP = VENV / ".installed-lock"
LOWEST = (3, 13)


def main() -> None:
    """Install what is missing; say one line per slow step."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "bootstrap.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
        if _works() and STAMP.is_file() and STAMP.read_text() == wanted:
            return
        if not _works():
            _say(f"creating .venv with Python {sys.version.split()[0]}")
            shutil.rmtree(VENV, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(VENV)], "the virtual environment could not be made")
        STAMP.unlink(missing_ok=True)
        _say("installing the Python packages of requirements-dev.txt")
        pip = [str(_python()), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        _run([*pip, "--requirement", str(LOCK)], "the packages could not be installed; is a package index reachable?")
        STAMP.write_text(wanted)


def _python() -> Path:
    return VENV / "bin" / "python"


def _works() -> bool:
    """Tell whether .venv has a Python that runs and is new enough: the one it was made from may be gone."""
    check = f"import pip, sys; sys.exit(sys.version_info < {LOWEST})"
    try:
        return subprocess.run([_python(), "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(command: list[str], problem: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-3000:]}\n{problem}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
