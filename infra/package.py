"""Make `released-package.zip`, what is deployed: `make package`, or `python infra/package.py [--output FILE]`.

It holds the app (`host.json`, `requirements.txt`, `function_app.py`, `functions/`, `shared/`), the packages that
`requirements.txt` locks by their hashes, as Azure's Linux has them, and byte code of everything: a cold process then
compiles nothing. The same sources make the same bytes in any folder and at any time. The name is the one under which
Flex Consumption takes a package by address.

Uses the standard library only. It runs under the version of Python that `main.bicep` deploys, or starts itself so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAIN = ROOT / "infra" / "main.bicep"
NAME = "released-package.zip"
APP = ("host.json", "requirements.txt", "function_app.py", "functions", "shared")
SITE_PACKAGES = ".python_packages/lib/site-packages"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# A zip cannot say less.
NO_TIME = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644 << 16
UNIX = 3
# Where the files of an entry would tell of this machine: scripts name its Python, RECORD counts them.
LEFT_OUT = re.compile(
    r"(^|/)(__pycache__|\.[^/]+|bin|tests?)(/|$)|\.(pyc|pyo|log)$"
    r"|\.dist-info/(RECORD|REQUESTED|direct_url\.json)$|(^|/)README\.md$"
)
COMPILE = """
import py_compile, sys
root = sys.argv[1]
for name in sys.stdin.read().splitlines():
    head, _, tail = name.rpartition("/")
    folder = f"{root}/{head}" if head else root
    cached = f"{folder}/__pycache__/{tail.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(f"{root}/{name}", cached, dfile=name, doraise=True, invalidation_mode=mode)
"""


def main() -> None:
    """Build the package and print its hash."""
    parser = argparse.ArgumentParser(prog="make package", description="Make the deployment package.")
    parser.add_argument("--output", type=Path, default=ROOT / NAME, help=f"default: {NAME} in the repository")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "package", help="keeps the installed packages")
    arguments = parser.parse_args()
    python = _python(_version())
    if os.path.realpath(python) != os.path.realpath(sys.executable) and sys.version_info[:2] != _pair(_version()):
        os.execv(python, [python, *sys.argv])  # noqa: S606 - the same program, under the right version
    with tempfile.TemporaryDirectory(prefix="package-") as scratch:
        folder = Path(scratch)
        build(folder, arguments.cache)
        write(folder, arguments.output)
    digest = hashlib.sha256(arguments.output.read_bytes()).hexdigest()
    size_mb = arguments.output.stat().st_size / 1_000_000
    print(f"{arguments.output}: {size_mb:.1f} MB, sha256 {digest}")


def build(folder: Path, cache: Path) -> None:
    """Lay the package out in `folder`."""
    lay_out_app(folder)
    shutil.copytree(_installed(cache), folder / SITE_PACKAGES)


def lay_out_app(folder: Path) -> None:
    """Put our own part of it there, compiled."""
    for name in APP:
        for path in _files(ROOT / name):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    _compile(folder, [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.py"))])


def write(folder: Path, output: Path) -> None:
    """Write everything in `folder` to a zip that depends on names and contents alone."""
    unfinished = output.with_suffix(".unfinished")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(folder.rglob("*"), key=lambda each: each.relative_to(folder).as_posix()):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), NO_TIME)
                entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, UNIX, FILE_MODE
                package.writestr(entry, path.read_bytes())
    unfinished.replace(output)


def _installed(cache: Path) -> Path:
    """The locked packages, compiled, kept by what they are made of."""
    lock = (ROOT / "requirements.txt").read_bytes()
    made_of = b"\0".join((lock, Path(__file__).read_bytes(), sys.version.encode()))
    kept = cache / hashlib.sha256(made_of).hexdigest()[:16]
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(prefix="packages-") as scratch:
            raw, ready = Path(scratch) / "raw", Path(scratch) / "ready"
            _install(raw)
            for path in _files(raw):
                target = ready / path.relative_to(raw)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            _compile(ready, [path.relative_to(ready).as_posix() for path in sorted(ready.rglob("*.py"))])
            cache.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(ready, kept)
    return kept


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--target", str(target), "--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", _version()]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run(
        [*command, "--requirement", str(ROOT / "requirements.txt")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"the packages cannot be installed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _compile(folder: Path, names: list[str]) -> None:
    """Compile in a process of its own: what a process has done before shows in the references of its byte code."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", COMPILE, str(folder)],
        input="\n".join(names),
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"the byte code cannot be made:\n{done.stderr[-2000:]}")


def _files(where: Path) -> Iterator[Path]:
    """The files to ship, below a folder or this one itself."""
    if where.is_file():
        yield where
        return
    for path in sorted(where.rglob("*")):
        if path.is_file() and not LEFT_OUT.search(path.relative_to(where).as_posix()):
            yield path


def _version() -> str:
    """The version that is deployed: byte code and wheels are of one version."""
    (version,) = re.findall(r"param pythonVersion string = '([\d.]+)'", MAIN.read_text("utf-8"))
    return str(version)


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


def _python(version: str) -> str:
    """A CPython of that version with pip."""
    wanted = (
        f"import pip, sys; sys.exit((sys.implementation.name, *sys.version_info[:2]) != ('cpython', *{_pair(version)}))"
    )
    for candidate in _candidates(version):
        try:
            if subprocess.run([candidate, "-c", wanted], capture_output=True, check=False).returncode == 0:
                return candidate
        except OSError:
            continue
    sys.exit(f"make package needs CPython {version} with pip, the version that is deployed, and found none")


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    yield f"python{version}"
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (str(path) for path in sorted(versions.glob(f"{version}.*/bin/python")))
    if shutil.which("uv"):
        found = subprocess.run(
            ["uv", "python", "find", "--no-project", version], capture_output=True, text=True, check=False
        )
        yield found.stdout.strip()


if __name__ == "__main__":
    main()
