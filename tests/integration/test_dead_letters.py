"""What OPERATIONS.md says of dead letters: the program hands one to the host's webhook, and the event counts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from infra import live
from tests.integration.used import new_agent, new_id
from tests.local.acs.events import custom_call_event
from tests.local.stack import Stack

pytestmark = pytest.mark.process


def test_a_dead_letter_that_is_handed_over_once_more_counts(local: Stack, tmp_path: Path) -> None:
    """An end that Event Grid gave up: the leg goes on in the panel until it is replayed."""
    dana = local.softphone(local.add_agent(new_agent()))
    dana.show("available")
    call_id = new_id()
    dana.dial(call_id)
    assert dana.panel().mode == "emergency"
    ended = {"call_id": call_id, "agent_id": dana.agent.agent_id, "reason": "agent"}
    given_up = custom_call_event("CallEnded", ended, cloud_event=True)
    given_up |= {"deadletterreason": "MaxDeliveryAttemptsExceeded", "deliveryattempts": 30}
    letter = tmp_path / "letter.json"
    letter.write_text(json.dumps([given_up]), "utf-8")

    def ask(method: str, path: str, headers: Mapping[str, str], body: object) -> live.Answer:
        answer = httpx.request(method, f"{local.host.url}{path}", headers=dict(headers), json=body, timeout=30)
        return live.Answer(answer.status_code, "", answer.text)

    assert live.replay(ask, lambda _: None, argparse.Namespace(file=letter)) == ""
    assert dana.panel().mode == "normal"
    dana.wait_for_presence("available")
