"""Faults that people make, each planted into a copy of the repository and found there by the suite as it ships.

A fault in a Bicep file is planted into the compiled templates and the snapshots too, as if its author had renewed them:
what then finds it are tables that are not made from the Bicep.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rules.sources import ROOT

TEMPLATES = ("infra/*.bicep", "infra/modules/*.bicep", "infra/*.json", "tests/infra/params/*.json")
CHECK, DEPLOY = ".github/workflows/check.yml", ".github/workflows/deploy.yml"
FORM = "infra/createUiDefinition.json"
COPIED = ("infra", ".github", "docs", "functions", "shared", "tests")
# What the copy runs; the package is built from the copy's own files and has no part in these.
SUITE = ("tests/infra", "tests/rules/test_deployed_settings.py", "tests/rules/test_operations.py")
LEFT_OUT = ("--ignore=tests/infra/test_package.py", "--ignore=tests/infra/test_planted_faults.py")


@dataclass(frozen=True)
class Fault:
    """Text that somebody replaced, and where."""

    name: str
    before: str
    after: str
    where: tuple[str, ...] = TEMPLATES


FAULTS = (
    Fault("a wrong role", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa4"),
    Fault("a dropped setting", "CLOSING_NOTICES", "CLOSING_NOTICE"),
    Fault("a wrong default", '"CALLBACK_COOL_DOWN_MINUTES": "60"', '"CALLBACK_COOL_DOWN_MINUTES": "6"'),
    Fault("a misspelt function", "incoming_call_event", "incoming_calls_event"),
    Fault("a misspelt scale group", "function:incoming_call_event", "function:incoming_call"),
    Fault("a forbidden setting", "PYTHON_THREADPOOL_THREAD_COUNT", "FUNCTIONS_WORKER_RUNTIME"),
    Fault("a forged sign-in", "AZURE_TOKEN_CREDENTIALS", "WEBSITE_AUTH_ENABLED"),
    Fault("a lost exception", '"WEBSITE_AUTH_ENABLED",', "", ("infra/settings.json",)),
    Fault("a call that is retried for a day", '"maxDeliveryAttempts": 2', '"maxDeliveryAttempts": 30'),
    Fault("keys", '"allowSharedKeyAccess": false', '"allowSharedKeyAccess": true'),
    Fault(
        "what must be forgotten, kept",
        '"daysAfterModificationGreaterThan": 1',
        '"daysAfterModificationGreaterThan": 30',
    ),
    Fault("sign-in before the platform's callers", "AllowAnonymous", "Return401"),
    Fault("callbacks behind sign-in", "/api/call-automation-events", "/api/call-events"),
    Fault(
        "a preview version", "systemTopics@2025-02-15", "systemTopics@2024-06-01-preview", ("infra/modules/*.bicep",)
    ),
    Fault(
        "a preview version, compiled",
        '"apiVersion": "2025-02-15"',
        '"apiVersion": "2024-06-01-preview"',
        ("infra/*.json",),
    ),
    Fault("a module from elsewhere", "'modules/lock.bicep'", "'br:contoso.azurecr.io/lock:1.0'", ("infra/main.bicep",)),
    Fault("a silenced warning", "module workbook", "#disable-next-line BCP081\nmodule workbook", ("infra/main.bicep",)),
    Fault("an alert on a word that nobody says", "pool_low\\\\b", "pool_lows\\\\b"),
    Fault("an alert on a fact that nobody tells", "late_ms", "delay_ms", ("infra/*.json",)),
    Fault("a state that Azure does not keep", '"autoMitigate": false', '"autoMitigate": true'),
    Fault("a window that misses what is seldom", '"windowSize": "PT15M"', '"windowSize": "PT5M"'),
    Fault("a dead man's switch that is on", "Timers < 2", "Timers > 2", ("infra/alerts.json",)),
    Fault(
        "an unpinned action",
        "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
        "actions/checkout@v7",
        (CHECK,),
    ),
    Fault("too many rights", "contents: read", "contents: write", (CHECK,)),
    Fault("a command from outside", '"$TAG" --pattern', '"${{ inputs.tag }}" --pattern', (DEPLOY,)),
    Fault("a package of any workflow", "--signer-workflow", "--signer-repo", (DEPLOY,)),
    Fault("a package of another tag", '--source-ref "refs/tags/$TAG"', "", (DEPLOY,)),
    Fault("a lost gate", "python3 infra/live.py idle", "echo idle", (DEPLOY,)),
    Fault("a form's output without a parameter", '"timeZone": "[steps', '"timeZones": "[steps', (FORM,)),
    Fault("a form that lets anything through", "\\\\+[1-9][0-9]{6,14}", "\\\\+[0-9]{1,20}", (FORM,)),
    Fault("a form that hides the price", "some 340 USD", "some more", (FORM,)),
    Fault("a transformation that is refused", "parse_json(Properties)", "todynamic(Properties)"),
    Fault(
        "a property that is kept by name",
        'pack(\\"Category',
        'pack(\\"HttpPath\\", tostring(all.HttpPath), \\"Category',
    ),
    Fault("secrets of a key vault that nobody may read", "keyVaultReferenceIdentity", "keyVaultIdentity"),
    Fault("a second run that forgets", "steps('app').settings.properties.TIME_ZONE", "steps('app').none", (FORM,)),
    Fault("a drop-down that takes its first entry", '"label": "off"', '"label": "No"', (FORM,)),
    Fault(
        "a fallback number of the pool",
        "[not(contains(concat(';', replace(coalesce(steps('numbers').callback",
        "[not(contains(concat(';', replace(coalesce(steps('numbers').security",
        (FORM,),
    ),
    Fault("an environment's parameters left out", "infra/parameters.py >>", "infra/live.py --help >>", (DEPLOY,)),
    Fault("a gate that lets the state move", 'moving(now, app.get("tags") or {}) or ', "", ("infra/app_settings.py",)),
    Fault(
        "a dead letter that nobody hears of", '"resource": "customTopic"', '"resource": "none"', ("infra/alerts.json",)
    ),
    Fault("azd in the wrong order", "azd: provision events", "azd: provision all", ("azure.yaml",)),
    Fault("a button of another tag", "package-{tag}/packages", "package-main/packages", ("infra/button.py",)),
    Fault(
        "a role without its id",
        "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e04",
        "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e03",
        ("infra/entra.py",),
    ),
)


def copied(folder: Path) -> Path:
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and path.suffix != ".zip":
            shutil.copyfile(path, folder / path.name)
    return folder


def suite(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *SUITE, *LEFT_OUT]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def planted(fault: Fault, folder: Path) -> int:
    """How many files it went into."""
    count = 0
    for pattern in fault.where:
        for path in folder.glob(pattern):
            text = path.read_text("utf-8")
            if fault.before in text:
                path.write_text(text.replace(fault.before, fault.after), "utf-8")
                count += 1
    return count


@pytest.mark.long
@pytest.mark.process
def test_a_copy_without_a_fault_passes(tmp_path: Path) -> None:
    done = suite(copied(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    assert planted(fault, folder) > 0
    done = suite(folder)
    # 1: a test failed; anything else is a suite that could not run, or one that saw nothing.
    assert done.returncode == 1, done.stdout[-2000:]


def test_there_are_enough_of_them() -> None:
    assert len(FAULTS) >= 15
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_there_is_something_to_plant_a_fault_in(fault: Fault) -> None:
    files = [path for pattern in fault.where for path in ROOT.glob(pattern)]
    assert any(fault.before in path.read_text("utf-8") for path in files)
