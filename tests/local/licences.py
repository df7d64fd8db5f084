"""`make licences`: every package that is deployed, its version, and its licence as its maker states it."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*[=~><]=", re.MULTILINE)
UNKNOWN = "not stated"


def deployed() -> list[str]:
    """The names of the packages in requirements.txt."""
    return sorted({name.lower() for name in PINNED.findall(LOCK.read_text("utf-8"))})


def licence_of(package: Distribution) -> str:
    """The SPDX expression, else the classifiers, else the first line of what is stated."""
    facts = package.metadata
    stated = str(facts.get("License-Expression") or "")
    classes = [
        each.rpartition(" :: ")[2] for each in facts.get_all("Classifier") or [] if each.startswith("License ::")
    ]
    first_line = (str(facts.get("License") or "").strip().splitlines() or [""])[0]
    return stated or ", ".join(classes) or first_line or UNKNOWN


def table() -> list[tuple[str, str, str]]:
    """Name, version, licence."""
    rows = []
    for name in deployed():
        try:
            package = distribution(name)
        except PackageNotFoundError:
            rows.append((name, "", "not installed on this platform"))
            continue
        rows.append((name, package.version, licence_of(package)))
    return rows


if __name__ == "__main__":
    for name, version, licence in table():
        print(f"{name:<36} {version:<12} {licence}")
