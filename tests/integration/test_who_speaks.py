"""What the holder of any Agent's token can do to others' calls (*who speaks for whom*), through the whole stack.

The rules have their tests in `unit/test_who_speaks.py` and `unit/test_confidentiality.py`; here are the chief ones.
"""

from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.integration.test_never_recorded import EMERGENCY, EVENT, ORDINARY, policy, ready
from tests.integration.used import new_agent, new_id, note
from tests.leaks import Kind
from tests.local.stack import AGENT, MACHINE, Softphone, Stack

pytestmark = pytest.mark.process


@pytest.fixture
def dana(local: Stack) -> Softphone:
    return local.softphone(local.add_agent(new_agent(entra_object_id=new_object_id())))


def new_object_id() -> str:
    made = str(uuid4())
    note(made, kind=Kind.AGENT)
    return made


def stranger() -> str:
    """The sign-in of an Agent who is nobody in the directory."""
    return f"{AGENT};oid:{new_object_id()}"


def machine() -> str:
    return f"{MACHINE};oid:{new_object_id()}"


def dial(local: Stack, agent_id: str, call_id: str, principal: str, **more: object) -> None:
    body = {"call_id": call_id, "agent_id": agent_id, "dialled": "911", **more}
    answer = local.ask("POST", "emergency-calls", body, principal=principal)
    assert answer.status_code == 201 and not answer.json()["degraded"]


def end(local: Stack, call_id: str, principal: str, **said: object) -> int:
    return local.ask("POST", f"emergency-calls/{call_id}/end", said or None, principal=principal).status_code


def mode(local: Stack, agent_id: str, principal: str) -> object:
    path = f"agents/{quote(agent_id, safe='')}/panel"
    return local.ask("GET", path, principal=principal).raise_for_status().json()["mode"]


def test_a_strangers_call_of_the_same_id_takes_no_end_and_no_tie_from_a_machine(local: Stack, dana: Softphone) -> None:
    call, server, back_end = new_id(), new_id("server"), machine()
    dial(local, dana.agent.agent_id, call, back_end)
    dial(local, new_id("agent"), call, stranger())
    tie = local.ask("PATCH", f"emergency-calls/{call}", {"server_call_id": server}, principal=back_end)
    assert tie.status_code == 200
    assert end(local, call, back_end) == 200
    assert mode(local, dana.agent.agent_id, back_end) == "normal"


def test_a_strangers_early_end_is_not_that_of_a_call_which_a_machine_reports(local: Stack, dana: Softphone) -> None:
    call, back_end = new_id(), machine()
    assert end(local, call, stranger()) == 202
    dial(local, dana.agent.agent_id, call, back_end)
    assert mode(local, dana.agent.agent_id, back_end) == "emergency"
    dana.wait_for_presence("do_not_disturb")


def test_no_id_that_somebody_makes_up_shows_or_ends_another_machines_emergency(local: Stack) -> None:
    object_id, call, served = new_object_id(), new_id(), new_id("agent")
    reporter, other = f"{MACHINE};oid:{object_id}", machine()
    dial(local, served, call, reporter)
    made_up = f"machine:{object_id}|{served}"
    note(made_up, kind=Kind.AGENT)
    assert mode(local, made_up, other) == "normal"
    assert end(local, call, other, agent_id=made_up) == 202
    assert mode(local, served, reporter) == "emergency"


def test_a_claim_on_a_listed_agents_customer_call_forbids_no_recording(local: Stack, dana: Softphone) -> None:
    server = new_id("server")
    dial(local, new_id("agent"), new_id(), stranger(), dialled="933", country="US", server_call_id=server)
    assert policy(local, server, started_by=dana.agent.acs_user_id).json() == ORDINARY
    assert policy(local, server).json() == EMERGENCY, "where nobody says who started it, nothing speaks against it"


def test_an_identity_that_a_stranger_gives_for_their_own_deletes_no_recording(local: Stack) -> None:
    server, identity = new_id("server"), f"8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_{uuid4().hex}"
    said = {"dialled": "933", "country": "US", "acs_user_id": identity, "server_call_id": server}
    dial(local, new_id("agent"), new_id(), stranger(), **said)
    local.control.call_started(identity, server, at=local.now())
    local.control.wait_until_delivered()
    assert local.deliver(EVENT, ready(local, new_id(), server, "0-of-a-customer")) == 202
    local.run_timers("outbox_sweep")
    assert local.control.requests("recording_delete") == []
