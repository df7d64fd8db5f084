"""What must never be said in a log nor be kept: everything personal, and every id, that the tests here used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from uuid import uuid4

import httpx

from tests.leaks import Kind, Registry, Scanner
from tests.local import stack
from tests.local.acs import Control
from tests.local.stack import Agent

PERSONAL = {
    "call_id": Kind.CALL,
    "server_call_id": Kind.CALL,
    "agent_id": Kind.AGENT,
    "acs_user_id": Kind.AGENT,
    "acs_user_ids": Kind.AGENT,
    "entra_object_id": Kind.AGENT,
    "name": Kind.NAME,
    "address": Kind.ADDRESS,
    "callback_number": Kind.NUMBER,
    "alternate_numbers": Kind.NUMBER,
    "emergency_contacts": Kind.EMAIL,
    "latitude": Kind.LOCATION,
    "longitude": Kind.LOCATION,
}
# What the directory may keep.
OF_AGENTS = {"agent", "name", "mark"}
USED = Registry()
USED.note(*stack.POOL, stack.FALLBACK, stack.DESK, stack.PSAP, kind=Kind.NUMBER)
USED.note(stack.DEFAULT_CONTACT, kind=Kind.EMAIL)


def note(*values: str, kind: Kind = Kind.CALL) -> None:
    """Remember values that were used; what cannot be told from other text is left out."""
    USED.note(*values, kind=kind)


def new_id(kind: str = "call") -> str:
    """An id that nothing else has, remembered as used."""
    made = f"{kind}-{uuid4().hex}"
    note(made, kind=Kind.AGENT if kind in OF_AGENTS else Kind.CALL)
    return made


def new_agent(**fields: object) -> Agent:
    """An agent whom nothing else knows, with contacts of their own; every value of theirs is remembered."""
    mark = uuid4().hex
    known: dict[str, object] = {
        "agent_id": f"agent-{mark}",
        "name": f"Name {mark}",
        "acs_user_ids": (f"8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_{mark}",),
        "country": "US",
        "address": f"{mark} Example Street",
        "emergency_contacts": f"{mark}@example.com; second.{mark}@example.com",
    }
    agent = Agent(**(known | fields))  # type: ignore[arg-type]
    note_personal({name: getattr(agent, name) for name in PERSONAL if hasattr(agent, name)})
    return agent


def contacts(agent: Agent) -> list[str]:
    """An agent's contacts, one by one."""
    return [entry.strip() for entry in agent.emergency_contacts.split(";")]


def watch(response: httpx.Response) -> None:
    """Remember what a request and its answer carried; an event hook of the client."""
    response.read()
    for body in (response.request.content, response.content):
        try:
            note_personal(json.loads(body))
        except (ValueError, RecursionError):
            continue


def note_telephony(control: Control) -> None:
    """Remember the ids of the calls and recordings that the stand-in knows, before it forgets them."""
    for call in control.calls():
        note(call.server_call_id, call.correlation_id, *call.contexts)
    for recording in control.recordings():
        note(recording.recording_id)


def note_personal(document: object) -> None:
    """Remember the personal values of a document, however deep they are."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            if name in PERSONAL:
                _note_leaves(value, PERSONAL[name])
            note_personal(value)
    elif isinstance(document, list):
        for entry in document:
            note_personal(entry)


def _note_leaves(value: object, kind: Kind) -> None:
    for leaf in _leaves(value):
        if not isinstance(leaf, str):
            USED.note_position(leaf)
        elif kind is not Kind.LOCATION:
            note(leaf, kind=kind)


def _leaves(value: object) -> Iterable[str | float]:
    match value:
        case str():
            yield from (part.strip() for part in value.split(";"))
        case int() | float() if not isinstance(value, bool):
            yield value
        case list() | tuple():
            for entry in value:
                yield from _leaves(entry)
        case _:
            pass


def found_in(text: str) -> list[str]:
    """The values that a text gives away, in whatever form."""
    return sorted({leak.value for leak in Scanner(USED).scan(text)})
