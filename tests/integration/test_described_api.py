"""The running app against its own description, by generated requests: all checks, each role, stateful (schemathesis).

How two of the checks are read stands in `schemathesis.toml`; what is left out, in `LEFT_OUT`.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from functions.openapi import description
from functions.openapi_examples import AGENT_ID, EXAMPLES
from tests.local import stack
from tests.local.stack import ADMIN, AGENT, MACHINE, SUPERVISOR, Stack

pytestmark = pytest.mark.process

POOL = tuple(f"+1425555{number:04}" for number in range(101, 181))
CONFIG = Path(__file__).with_name("schemathesis.toml")
# The Functions host answers a wrong method with 404, before any function is asked (contract).
LEFT_OUT = ("unsupported_method",)
SEED, MAX_S, EXAMPLES_EACH = 20261126, 30, 10
# A quiet machine makes 1,000 to 2,000 for each role in that time.
MIN_CASES = 200
REFUSED = {401, 403}
# The host refuses these by itself, whoever asks.
OF_THE_HOST = {400, 414}
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in description()["paths"].items()
    for method, operation in methods.items()
}
ROLES = {"agent": f"{AGENT};{AGENT_ID}", "supervisor": SUPERVISOR, "machine": MACHINE, "admin": ADMIN}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Stack]:
    """A stack of its own: what is generated fills its tables."""
    folder = tmp_path_factory.mktemp("described")
    log_folders.append(folder)
    with stack.running(pool=POOL, folder=folder) as running:
        yield running


def set_up(local: Stack) -> None:
    """What the examples name is there."""
    entry, site = EXAMPLES["admin_agent_saved"]["body"], EXAMPLES["admin_site_saved"]["body"]
    bare = {name: entry[name] for name in ("name", "country")}
    for path, body in (
        (f"manage/agents/{AGENT_ID}", entry),
        ("manage/agents/agent-who-left", bare),
        ("manage/sites/north", site),
        ("manage/sites/closed-site", site),
    ):
        assert local.ask("PUT", path, body, principal=ADMIN).status_code in (200, 201)
    report = EXAMPLES["desktop_reported"]["body"]
    assert local.ask("PUT", f"agents/{AGENT_ID}/desktop", report, principal=MACHINE).status_code == 200
    dial = EXAMPLES["call_started"]["body"] | {"acs_user_id": "8:acs:r_dana"}
    assert local.ask("POST", "emergency-calls", dial, principal=MACHINE).status_code in (200, 201)
    # The server call that the example of a tie names, as the telephone service tells of it.
    local.control.call_started("8:acs:r_dana", "server-call-1")
    files = EXAMPLES["admin_agents_imported"]
    asked = local.ask(
        "POST",
        f"manage/agents/import?digest={files['query']['digest']}",
        principal=ADMIN,
        content=files["body"].encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert asked.status_code == 202
    local.control.wait_until_delivered()


def generated(local: Stack, principal: str, folder: Path, phases: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    report = folder / "report.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(CONFIG), "run"]
    command += [f"{local.url}/openapi.json", "-H", f"Authorization: Bearer {principal}", "--checks", "all"]
    command += ["--exclude-checks", ",".join(LEFT_OUT)]
    command += ["--max-examples", str(EXAMPLES_EACH), "--max-time", str(MAX_S), "--seed", str(SEED), "--no-shrink"]
    command += ["--phases", phases, "--report", "ndjson", "--report-ndjson-path", str(report), "--continue-on-failure"]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
    return done, report


def statuses(report: Path) -> tuple[int, Mapping[str, set[int]]]:
    """How many requests there were, and what each operation was answered with."""
    found: dict[str, set[int]] = defaultdict(set)
    count = 0
    for line in report.read_text("utf-8").splitlines():
        event = json.loads(line).get("ScenarioFinished")
        if event is None:
            continue
        recorder = event["recorder"]
        for case_id, interaction in recorder.get("interactions", {}).items():
            if interaction.get("response") is None:
                continue
            sent = recorder["cases"][case_id]["value"]
            # Some cases leave the sign-in out on purpose.
            count += 1
            found[f"{sent['method']} {sent['path']}"].add(interaction["response"]["status_code"])
    return count, found


def test_the_examples_are_answered_as_described(described: Stack, tmp_path: Path) -> None:
    set_up(described)
    done, _ = generated(described, ADMIN, tmp_path, "examples")
    assert done.returncode == 0, done.stdout[-8000:]


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_as_described(
    described: Stack, role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(described)
    done, report = generated(described, ROLES[role], tmp_path, "examples,coverage,fuzzing,stateful")
    assert done.returncode == 0, done.stdout[-8000:]
    count, found = statuses(report)
    with capsys.disabled():
        print(f"\n  {role}: {count} requests", end="")
    assert count >= MIN_CASES
    name = ROLES[role].partition(";")[0]
    for label, operation in OPERATIONS.items():
        may = not operation["x-roles"] or name in operation["x-roles"]
        answered = found[label]
        if may:
            assert any(200 <= status < 300 for status in answered), f"{label}: {sorted(answered)}"
        else:
            assert answered <= REFUSED | OF_THE_HOST, f"{label}: {sorted(answered)}"
            assert answered & REFUSED
    assert msgspec.json.decode(described.ask("GET", "health").content)["status"] == "ok"
