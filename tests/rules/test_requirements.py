"""What is tested and what a deployment installs are the same bytes: the two locks, and what the app imports."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.rules.sources import PRODUCT, ROOT, Module, modules

HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+) \\\n((?: +--hash=\S+(?: \\)?\n)+)", re.MULTILINE)
OURS = {path.removesuffix(".py") for path in PRODUCT}

type Lock = dict[str, tuple[str, frozenset[str]]]


def lock(name: str) -> Lock:
    """The packages of a lock, with their versions and hashes; every line belongs to one, or is a comment."""
    text = (ROOT / name).read_text()
    rest = [line for line in LOCKED.sub("", text).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert not rest, f"{name} holds more than locked packages"
    assert text.count("--hash=") == len(HASH.findall(text))
    found = LOCKED.findall(text)
    return {
        canonicalize_name(package): (version, frozenset(HASH.findall(hashes))) for package, version, hashes in found
    }


def asked_for(name: str) -> dict[str, Requirement]:
    """The packages that an input names."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(each.name): each for each in requirements}


def imported(module: Module) -> Iterator[str]:
    """Every absolute module that a file imports, in whatever place of it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module


def makers() -> dict[str, str]:
    """The installed distribution of every importable module, by its dotted name."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions(path=[p for p in sys.path if "site-packages" in p]):
        for file in distribution.files or ():
            if file.suffix in {".py", ".so"}:
                parts = file.with_suffix("").parts
                parts = (*parts[:-1], parts[-1].partition(".")[0])
                dotted = parts[:-1] if parts[-1] == "__init__" else parts
                found[".".join(dotted)] = canonicalize_name(distribution.name)
    return found


def test_whatever_the_app_imports_is_asked_for_by_name_and_version() -> None:
    known, asked = makers(), asked_for("requirements.in")
    missing: set[str] = set()
    for module in modules():
        if module.path.split("/")[0].removesuffix(".py") not in OURS:
            continue
        for name in imported(module):
            top = name.partition(".")[0]
            if top not in OURS and top not in sys.stdlib_module_names and known.get(name) not in asked:
                missing.add(f"{module.path}: {name} of {known.get(name)}")
    assert not missing
    assert all(re.fullmatch(r"==[^*,]+", str(each.specifier)) for each in asked.values())


def needed(package: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What an installed package needs on this platform."""
    for text in metadata.requires(package) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield requirement


def test_the_lock_is_whole_and_holds_nothing_else() -> None:
    locked, asked = lock("requirements.txt"), asked_for("requirements.in")
    reached: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, frozenset(each.extras)) for name, each in asked.items()]
    while waiting:
        package, extras = waiting.pop()
        if (package, extras) in reached:
            continue
        reached.add((package, extras))
        waiting += [(canonicalize_name(each.name), frozenset(each.extras)) for each in needed(package, extras)]
    assert {package for package, _ in reached} == set(locked)
    assert {name: str(each.specifier) for name, each in asked.items()} == {
        name: f"=={locked[name][0]}" for name in asked
    }


def test_development_has_the_same_bytes() -> None:
    deployed, developed = lock("requirements.txt"), lock("requirements-dev.txt")
    assert deployed.items() <= developed.items()
    assert asked_for("requirements-dev.in").keys() <= developed.keys()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_installed_here_is_what_is_locked(name: str) -> None:
    locked = {package: version for package, (version, _) in lock(name).items()}
    assert locked == {package: metadata.version(package) for package in locked}
