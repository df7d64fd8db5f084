"""The Bicep compiler: where it is found, and what `make infra` asks of it."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.rules.sources import ROOT

INFRA = ROOT / "infra"
PARAMS = ROOT / "tests" / "infra" / "params"
COMPILED = {"main.bicep": "azuredeploy.json", "events.bicep": "events.deploy.json"}
TIMEOUT_S = 300
# Fixed, so that ids and places in a snapshot are literal and the same on every machine.
PLACE = {
    "subscription-id": "00000000-0000-0000-0000-000000000001",
    "tenant-id": "00000000-0000-0000-0000-000000000002",
    "resource-group": "emergency-calling",
    "location": "eastus2",
}
MISSING = (
    "make infra needs the Bicep compiler: put `bicep` {version} on PATH (az bicep install --version v{version}),"
    " or name it in BICEP. BICEP=skip leaves this out"
)


class InfraError(Exception):
    """What is wrong, in words for whoever ran `make infra`."""


def wanted_version() -> str:
    """The version that the templates are compiled with; pinned in one place."""
    return (INFRA / "bicep.version").read_text("utf-8").strip()


class Compiler:
    """Runs the compiler. Raises `InfraError` where there is none."""

    def __init__(self, named: str | None) -> None:
        program = shutil.which(named or "bicep")
        if program is None:
            raise InfraError(MISSING.format(version=wanted_version()))
        self._program = program
        cache = ROOT / ".cache" / "bicep"
        cache.mkdir(parents=True, exist_ok=True)
        # It unpacks libraries at its start, and wants ICU unless it is told to do without.
        self._environment = {
            "DOTNET_BUNDLE_EXTRACT_BASE_DIR": str(cache),
            "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            **os.environ,
        }

    def run(self, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run it and give what it said."""
        return subprocess.run(
            [self._program, *arguments],
            cwd=cwd,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    def version(self) -> str:
        """Its version, such as 0.49.2."""
        said = self.run("--version").stdout
        return next((word for word in said.split() if word[:1].isdigit()), "unknown")

    def compiled(self, source: Path) -> dict[str, Any]:
        """The template that a Bicep file makes, without what names the compiler. Raises `InfraError`."""
        done = self.run("build", str(source), "--stdout", "--no-restore")
        if done.returncode:
            raise InfraError(f"{source.name} does not build:\n{done.stderr}")
        template: dict[str, Any] = without_generator(json.loads(done.stdout))
        return template

    def diagnostics(self, source: Path) -> list[str]:
        """What the linter finds in a file and in all that it uses, one line each."""
        done = self.run("lint", str(source), "--no-restore", "--diagnostics-format", "sarif")
        try:
            runs = json.loads(done.stdout)["runs"]
        except (ValueError, KeyError):
            raise InfraError(f"{source.name} cannot be linted:\n{done.stdout}{done.stderr}") from None
        return [_told(result) for run in runs for result in run.get("results", ())]

    def snapshot(self, parameters: Path, *, write: bool) -> str:
        """What differs from the kept snapshot of a parameter file; empty where nothing does."""
        place = [word for name, value in PLACE.items() for word in (f"--{name}", value)]
        kept = parameters.with_suffix(".snapshot.json")
        before = kept.read_text("utf-8") if kept.is_file() else ""
        done = self.run("snapshot", str(parameters), "--mode", "overwrite" if write else "validate", *place)
        # The compiler writes outputs in another order each time.
        if write and before and json.loads(before) == json.loads(kept.read_text("utf-8")):
            kept.write_text(before, "utf-8")
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def unformatted(self) -> list[str]:
        """The files that its formatter would change."""
        scratch = ROOT / ".cache" / "bicep-format"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(INFRA, scratch)
        done = self.run("format", "--pattern", "**/*.bicep", cwd=scratch)
        if done.returncode:
            raise InfraError(f"the files cannot be formatted:\n{done.stderr}")
        return [
            path.relative_to(scratch).as_posix()
            for path in sorted(scratch.rglob("*.bicep"))
            if path.read_text("utf-8") != (INFRA / path.relative_to(scratch)).read_text("utf-8")
        ]


def parameter_sets() -> list[Path]:
    """The parameter files whose snapshots are kept."""
    return sorted(PARAMS.glob("*.bicepparam"))


def without_generator(node: Any) -> Any:
    """A template without the compiler's name, version and hash, at any depth."""
    if isinstance(node, dict):
        return {
            name: without_generator(value)
            for name, value in node.items()
            if not (name == "metadata" and isinstance(value, dict) and set(value) == {"_generator"})
        }
    return [without_generator(each) for each in node] if isinstance(node, list) else node


def written(template: dict[str, Any]) -> str:
    """A template as it is kept."""
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def drift(kept: str, now: str) -> Iterator[str]:
    """The first lines in which a kept template differs from what the sources make."""
    lines = difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "compiled", lineterm="", n=1)
    return (line for line, _ in zip(lines, range(20), strict=False))


def _told(result: dict[str, Any]) -> str:
    place = result["locations"][0]["physicalLocation"]
    file = place["artifactLocation"]["uri"].rpartition("/infra/")[2]
    line = place.get("region", {}).get("startLine", 0)
    return f"{file}:{line} {result['ruleId']} {result['message']['text']}"
