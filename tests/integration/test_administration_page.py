"""Every block of commands in `docs/administration.md` works, one after the other, against the local stack."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from functions.openapi_examples import AGENT_ID, EXAMPLES
from tests.local.acs import poll
from tests.local.stack import ADMIN, MACHINE, Stack
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process

_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Whatever is not answered with a success ends the block.
_STRICT = 'set -euo pipefail\ncurl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
WITHIN_S = 60


def blocks() -> list[str]:
    return [block for _, block in _BLOCK.findall((ROOT / "docs/administration.md").read_text("utf-8"))]


def drills(local: Stack) -> list[object]:
    board = local.ask("GET", "manage/emergencies", principal=ADMIN).json()
    return [each for each in board if each["drill"]]


def test_every_block_of_the_page_runs(local: Stack, tmp_path: Path) -> None:
    entry = EXAMPLES["admin_agent_saved"]["body"] | {"emergency_contacts": ""}
    local.ask("PUT", f"manage/agents/{AGENT_ID}", entry, principal=ADMIN).raise_for_status()
    address = local.url.removesuffix("/api")
    known = {"APP": address, "NEW": address, "TOKEN": ADMIN, "MACHINE": MACHINE}
    shown: list[str] = []
    for block in blocks():
        command = ["bash", "-c", _STRICT + block]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | known, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        shown.append(done.stdout)
    said = "\n".join(shown)
    assert '"kept":["supervisor@example.com","desk@example.com"]' in said
    assert "[Security]" in said and '"emergency":false' in said and '"callback_number":"+1425555' in said
    assert (tmp_path / "agents.csv").read_bytes().startswith("\ufeffagent_id".encode())
    poll(lambda: not drills(local), what="the drill's end")
    local.ask("DELETE", "manage/notification-template?kind=call&locale=en", principal=ADMIN).raise_for_status()
    local.ask("DELETE", f"manage/agents/{AGENT_ID}", principal=ADMIN).raise_for_status()
