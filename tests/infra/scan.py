"""checkov over what would be deployed, in a virtual environment of its own: it pins ninety packages.

It reads the compiled templates, and each kept snapshot as a flat template, in which parameters are values. What it
finds is either mended or stands in `accepted.json` with its reason; an exception that no longer occurs is a fault too.
A scanner that sees nothing is green, so each file has a number of checks that must have passed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path
from typing import Any

from tests.infra.compiler import COMPILED, INFRA, PARAMS, InfraError
from tests.rules.sources import ROOT

CHECKOV = "checkov==3.3.30"
HOME = ROOT / ".cache" / "checkov"
ACCEPTED = ROOT / "tests" / "infra" / "accepted.json"
# A little below what passes today.
MIN_PASSED = {
    "azuredeploy.json": 28,
    "events.deploy.json": 4,
    "everything.json": 31,
    "existing.json": 24,
    "minimal.json": 22,
    "network.json": 31,
}
# checkov has no check of event subscriptions: whether it reads their template is seen by what is put in beside them.
NOTHING_TO_CHECK = "events.deploy.json"


def main() -> None:
    """Scan, and say in a line what came of it. Raises `InfraError`."""
    program = _installed()
    folder = ROOT / ".cache" / "checkov-files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COMPILED.values():
        shutil.copy(INFRA / name, folder / name)
    with_a_control(folder / NOTHING_TO_CHECK)
    for snapshot in sorted(PARAMS.glob("*.snapshot.json")):
        name = snapshot.name.replace(".snapshot", "")
        if name in MIN_PASSED:
            (folder / name).write_text(json.dumps(flat(json.loads(snapshot.read_text("utf-8")))), "utf-8")
    faults = judged(_report(program, folder), json.loads(ACCEPTED.read_text("utf-8")))
    if faults:
        raise InfraError("checkov:\n" + "\n".join(faults))


def with_a_control(file: Path) -> None:
    """Put an account that is deployed elsewhere, and is judged there, into a template."""
    template = json.loads(file.read_text("utf-8"))
    snapshot = json.loads((PARAMS / "minimal.snapshot.json").read_text("utf-8"))
    kind = "Microsoft.Storage/storageAccounts"
    account = next(each for each in flat(snapshot)["resources"] if each["type"] == kind)
    file.write_text(json.dumps(template | {"resources": [*template["resources"], account]}), "utf-8")


def flat(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A snapshot as a template without parameters."""
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [
            {name: value for name, value in resource.items() if name != "id"}
            for resource in snapshot["predictedResources"]
        ],
    }


def judged(report: dict[str, Any], accepted: dict[str, str]) -> list[str]:
    """What is wrong with a report: unexplained findings, exceptions without occasion, files that were not seen."""
    results = report["results"]
    passed = Counter(Path(check["file_path"]).name for check in results["passed_checks"])
    failed = {check["check_id"]: check for check in results["failed_checks"]}
    faults = [f"{file}: cannot be read" for file in results.get("parsing_errors", ())]
    faults += [
        f"{name}: {check['check_name']} ({check['resource']} in {Path(check['file_path']).name})"
        for name, check in failed.items()
        if name not in accepted
    ]
    faults += [f"{name}: accepted, but does not occur any more" for name in accepted if name not in failed]
    faults += [
        f"{file}: only {passed[file]} checks passed: the scanner sees too little of it"
        for file, least in MIN_PASSED.items()
        if passed[file] < least
    ]
    return faults


def _report(program: Path, folder: Path) -> dict[str, Any]:
    command = [str(program), "-d", str(folder), "--framework", "arm", "-o", "json", "--compact", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise InfraError(f"checkov gave no report:\n{done.stdout[-500:]}{done.stderr[-1500:]}") from None
    return report


def _installed() -> Path:
    program, stamp = HOME / "bin" / "checkov", HOME / ".installed"
    if not stamp.is_file() or stamp.read_text("utf-8") != CHECKOV:
        print(f"installing {CHECKOV} into an environment of its own", file=sys.stderr, flush=True)
        shutil.rmtree(HOME, ignore_errors=True)
        venv.create(HOME, with_pip=True)
        pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", CHECKOV]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InfraError(f"checkov cannot be installed:\n{done.stderr[-1500:]}")
        stamp.write_text(CHECKOV, "utf-8")
    return program
