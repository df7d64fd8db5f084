"""The package that is deployed: the same bytes anywhere, nothing too much in it, and it serves by itself."""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import package as packaging
from tests.infra.test_template import COMMUNICATION_EVENTS, OWN_EVENTS
from tests.local import azurite
from tests.local.azurite import Azurite
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process
ALL_MACHINES = {"auth_typ": "aad", "role_typ": "roles", "claims": [{"typ": "roles", "val": "EmergencyCalling.Machine"}]}
OBJECT_ID = {
    "typ": "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "val": "b0000000-0000-4000-8000-000000000001",
}
FALLBACK = "+14255550100"
LENT = "+14255550101"
SUFFIXES = {".py", ".pyc", ".json", ".txt", ".wav", ".j2", ".js", ".css", ".html", ".svg"}


def made(output: Path, cache: Path = ROOT / ".cache" / "package", root: Path = ROOT) -> bytes:
    command = [sys.executable, str(root / "infra" / "package.py"), "--output", str(output), "--cache", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    return output.read_bytes()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("package") / packaging.NAME
    made(file)
    return file


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(package) as opened:
        opened.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def storage() -> Iterator[Azurite]:
    with azurite.running(services=["table"]) as running:
        yield running


def names(package: Path) -> list[str]:
    with zipfile.ZipFile(package) as opened:
        return opened.namelist()


def own(package: Path) -> set[str]:
    """What is ours in it, without byte code."""
    return {name for name in names(package) if not name.startswith(".python_packages/") and "__pycache__" not in name}


def is_ignored(name: str) -> bool:
    """Whether .funcignore leaves a file of the repository out."""
    patterns = [
        line for line in (ROOT / ".funcignore").read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]
    parts = name.split("/")
    return any(
        fnmatch.fnmatch(part, pattern.rstrip("/"))
        for pattern in patterns
        for part in (parts[:-1] if pattern.endswith("/") else parts)
    )


def test_the_package_is_what_funcignore_leaves(package: Path) -> None:
    kept = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.split("\n")
    assert own(package) == {name for name in kept if name and (ROOT / name).is_file() and not is_ignored(name)}


def test_nothing_is_in_it_that_must_not_be_deployed(package: Path) -> None:
    listed = names(package)
    assert listed == sorted(listed)
    parts = {part for name in listed for part in name.split("/")}
    assert not parts & {"tests", "test", ".azure", ".git", ".venv", "infra", "local.settings.json", "azure.yaml", "bin"}
    assert {Path(name).suffix for name in own(package)} <= SUFFIXES
    for name in own(package):
        if name.endswith(".py"):
            text = zipfile.ZipFile(package).read(name).decode()
            assert "X-Development-Principal" not in text
            assert not re.search(r"^\s*(?:from|import) tests\b", text, re.MULTILINE)


def test_what_callers_hear_and_see_is_in_it(package: Path) -> None:
    assert {f"functions/prompts/{locale}.wav" for locale in ("en", "es", "fr", "it")} <= own(package)
    assert {name for name in own(package) if name.endswith(".j2")}


def test_every_source_has_its_byte_code(package: Path) -> None:
    listed = set(names(package))
    for name in listed:
        if name.endswith(".py"):
            folder, _, file = name.rpartition("/")
            assert f"{folder + '/' if folder else ''}__pycache__/{file[:-3]}.cpython-313.pyc" in listed


def test_the_packages_are_locked_by_their_hashes() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if "==" in line]
    assert lines
    assert all(line.endswith("\\") for line in lines)


def own_part(root: Path, scratch: Path) -> bytes:
    program = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import package; "
    program += (
        "folder, file = map(pathlib.Path, sys.argv[2:]); package.lay_out_app(folder); package.write(folder, file)"
    )
    output = scratch / "own.zip"
    command = [sys.executable, "-c", program, str(root / "infra"), str(scratch / "own"), str(output)]
    subprocess.run(command, check=True, cwd=scratch)
    return output.read_bytes()


def test_the_same_sources_make_the_same_bytes_in_another_folder(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    for name in (*packaging.APP, "infra/main.bicep", "infra/package.py"):
        target = other / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, target)
        # A moment that has nothing to do with now.
        os.utime(target, (1_000_000_000, 1_000_000_000))
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    assert own_part(ROOT, here) == own_part(other, there)


@pytest.mark.long
def test_the_same_lock_makes_the_same_bytes_from_nothing(package: Path, tmp_path: Path) -> None:
    assert made(tmp_path / packaging.NAME, cache=tmp_path / "cache") == package.read_bytes()


def served(unpacked: Path, storage: Azurite, scratch: Path, requests: list[dict[str, Any]]) -> dict[str, Any]:
    """What the package answers, alone with the runtime library."""
    library = scratch / "library"
    for name in ("azure_functions_runtime", "azurefunctions"):
        source = next(Path(folder) / name for folder in sys.path if (Path(folder) / name).is_dir())
        shutil.copytree(source, library / name)
    driver = library / "tests" / "local" / "host"
    driver.mkdir(parents=True)
    for name in ("runtime.py", "dropped_lines.py"):
        shutil.copyfile(ROOT / "tests" / "local" / "host" / name, driver / name)
    (scratch / "requests.json").write_text(json.dumps(requests), "utf-8")
    program = str(ROOT / "tests" / "infra" / "unpacked.py")
    command = [sys.executable, "-I", "-S", "-B", program, str(unpacked), str(library), str(scratch / "requests.json")]
    settings = {
        "PATH": os.environ["PATH"],
        "WEBSITE_HOSTNAME": "emergency.example.com",
        "WEBSITE_AUTH_ENABLED": "True",
        "TABLES_CONNECTION_STRING": storage.connection_string,
        "CALLBACK_NUMBERS": LENT,
        "FALLBACK_CALLBACK_NUMBER": FALLBACK,
        "EXPIRY_SCHEDULE": "0 * * * * *",
        "OUTBOX_SCHEDULE": "*/10 * * * * *",
    }
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    answers: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return answers


def request(function: str, method: str = "GET", body: object = None, **headers: str) -> dict[str, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"function": function, "method": method, "headers": sent, "body": json.dumps(body) if body else ""}


def test_unpacked_it_serves_alone(unpacked: Path, storage: Azurite, tmp_path: Path) -> None:
    principal = ALL_MACHINES | {"claims": [*ALL_MACHINES["claims"], OBJECT_ID]}
    signed_in = base64.b64encode(json.dumps(principal).encode()).decode()
    dial = {"call_id": "call-1", "agent_id": "agent-1", "dialled": "911"}
    said = served(
        unpacked,
        storage,
        tmp_path,
        [
            # The first ones of a cold process on a slow machine pay for its imports.
            *[request("health")] * 6,
            request("call_started", "POST", dial, x_ms_client_principal=signed_in, content_type="application/json"),
            request("call_started", "POST", dial, x_development_principal="EmergencyCalling.Machine"),
        ],
    )
    *health, dialled, in_development = said["answers"]
    assert health[-1]["status"] == 200, health
    assert dialled["status"] == 201, dialled
    # A cold process on a slow machine may answer before the store does.
    assert json.loads(dialled["body"])["callback_number"] in (LENT, FALLBACK)
    assert in_development["status"] == 401
    assert said["compiled"] == []
    assert len(said["functions"]) > 20


def test_every_function_that_infra_names_is_in_the_package(unpacked: Path, storage: Azurite, tmp_path: Path) -> None:
    functions = served(unpacked, storage, tmp_path, [])["functions"]
    named = {function for function, *_ in (*COMMUNICATION_EVENTS.values(), *OWN_EVENTS.values())}
    assert {name for name, (kind, _) in functions.items() if kind == "eventgridtrigger"} == named
    assert {name for name, (kind, _) in functions.items() if kind == "timertrigger"} == {"lease_expiry", "outbox_sweep"}
    assert {name for name, (kind, _) in functions.items() if kind == "warmuptrigger"} == {"warmup"}
