"""An environment with which the SDK cannot sign in: every adapter says *unavailable*, and the settings say why."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from tests.contract.sign_ins import NOWHERE
from tests.rules.sources import ROOT
from tests.unit.test_settings import GOOD, SIGN_IN_REFUSED, SIGN_IN_TAKEN

pytestmark = pytest.mark.process
WITHIN_S = 120
WITH_SECRET = {"AZURE_CLIENT_ID": "00000000-0000-0000-0000-0000000000c1", "AZURE_CLIENT_SECRET": "moonstone"}
BY_IDENTITY = {"TABLES_ENDPOINT": NOWHERE, "COMMUNICATION_SERVICES_ENDPOINT": NOWHERE}
OTHERS = {name: value for name, value in GOOD.items() if not name.endswith("_CONNECTION_STRING")}
UNUSABLE = {
    "AZURE_TOKEN_CREDENTIALS": {"AZURE_TOKEN_CREDENTIALS": "moonstone"},
    "AZURE_TENANT_ID": {"AZURE_TENANT_ID": "moon/stone", **WITH_SECRET},
    "AZURE_AUTHORITY_HOST": {"AZURE_AUTHORITY_HOST": "http://moonstone.example"},
}


def said_in(environment: dict[str, str], tried: Sequence[dict[str, str]] = ()) -> tuple[Any, str]:
    """What `tests.contract.sign_ins` says in an environment, or of those that it is to try; and all of its output."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "IDENTITY_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.sign_ins"],
        cwd=ROOT,
        env=bare | OTHERS | BY_IDENTITY | environment,
        input=json.dumps(tried),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=True,
    )
    # The log goes to the same place, and may go on after it.
    [said] = [line for line in done.stdout.splitlines() if line.startswith(("{", "["))]
    return json.loads(said), done.stdout + done.stderr


@pytest.mark.parametrize("setting", UNUSABLE)
def test_without_a_sign_in_every_service_is_away_and_the_setting_is_told(setting: str) -> None:
    said, output = said_in(UNUSABLE[setting])
    # What telephony says is remembered, and a look that fails leaves it as it was.
    expected = {name: "done" if name == "telephony" else "Unavailable" for name in said["outcomes"]}
    assert said["outcomes"] == expected
    assert said["app"] == {"valid": False, "faulty": [setting], "degraded": True}
    assert "unforeseen_error" not in output and "moonstone" not in output and "Traceback" not in output


def test_the_settings_take_and_refuse_what_the_sdk_does() -> None:
    tried = [{"AZURE_TENANT_ID": "t", **WITH_SECRET, **each} for each in (*SIGN_IN_TAKEN, *SIGN_IN_REFUSED)]
    refused, _ = said_in({}, tried)
    assert refused == [False] * len(SIGN_IN_TAKEN) + [True] * len(SIGN_IN_REFUSED)
