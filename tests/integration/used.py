"""What must never be said in a log: everything personal, and every id, that the tests of this folder have used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.local import stack
from tests.local.stack import Agent

PERSONAL = frozenset({
    "call_id", "agent_id", "name", "address", "callback_number", "acs_user_id", "acs_user_ids", "alternate_numbers",
    "emergency_contacts", "server_call_id", "latitude", "longitude", "entra_object_id",
})  # fmt: skip
SHORTEST = 6
USED: set[str] = {*stack.POOL, stack.FALLBACK, stack.DESK, stack.PSAP, stack.DEFAULT_CONTACT}


def note(*values: str) -> None:
    """Remember values that were used; what cannot be told from other text is left out."""
    USED.update(value for value in values if len(value) >= SHORTEST and not (value.isalpha() and value.islower()))


def new_id(kind: str = "call") -> str:
    """An id that nothing else has, remembered as used."""
    made = f"{kind}-{uuid4().hex}"
    note(made)
    return made


def new_agent(**fields: object) -> Agent:
    """An agent whom nothing else knows, with contacts of their own; every value of theirs is remembered."""
    mark = uuid4().hex
    known: dict[str, object] = {
        "agent_id": f"agent-{mark}",
        "name": f"Name {mark}",
        "acs_user_ids": (f"8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_{mark}",),
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


def note_personal(document: object) -> None:
    """Remember the personal values of a document, however deep they are."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            if name in PERSONAL:
                note(*_leaves(value))
            note_personal(value)
    elif isinstance(document, list):
        for entry in document:
            note_personal(entry)


def _leaves(value: object) -> Iterable[str]:
    match value:
        case str():
            yield from (part.strip() for part in value.split(";"))
        case int() | float() if not isinstance(value, bool):
            yield str(value)
        case list() | tuple():
            for entry in value:
                yield from _leaves(entry)


def found_in(text: str) -> list[str]:
    """The values that a text gives away, as they are, in a URL, in JSON, or a number without its plus."""
    folded = text.casefold()
    return sorted(value for value in USED if any(form in folded for form in _forms(value)))


def _forms(value: str) -> set[str]:
    forms = {value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    if value.startswith("+"):
        forms.add(value[1:])
    return {form.casefold() for form in forms}
