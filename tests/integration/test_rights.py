"""Each route for each role: itself, another agent, the other roles, an unknown role, and nobody."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from functions.openapi import OPERATIONS
from functions.openapi_document import Operation
from functions.openapi_examples import AGENT_ID as EXAMPLE_ID
from functions.openapi_examples import EXAMPLES
from functions.rights import RIGHTS
from tests.integration.used import new_agent, new_id
from tests.local.acs import poll
from tests.local.stack import ADMIN, AGENT, MACHINE, SUPERVISOR, Stack

pytestmark = pytest.mark.process

DANA, EVE = new_agent(), new_agent()
CALLERS: dict[str, str | None] = {
    "agent": f"{AGENT};{DANA.agent_id}",
    "another agent": f"{AGENT};{EVE.agent_id}",
    "supervisor": SUPERVISOR,
    "admin": ADMIN,
    "machine": MACHINE,
    "supervisor and agent": f"{SUPERVISOR};{AGENT};{DANA.agent_id}",
    "unknown role": f"EmergencyCalling.Janitor;{DANA.agent_id}",
    "no role": DANA.agent_id,
    "nobody": None,
}
STRANGERS: Mapping[str, int] = {"unknown role": 403, "no role": 401, "nobody": 401}
# A dial is never refused, and an end is kept: they are the caller's own, and change nothing of Dana's.
TAKEN_AS_THEIR_OWN = {("call_started", "another agent"): 201, ("call_ended", "another agent"): 202}
SELF = {"agent", "supervisor and agent"}
SELF_OR_MACHINE = SELF | {"machine"}
SELF_OR_OFFICE = SELF | {"supervisor", "admin"}
OFFICE = {"supervisor", "admin", "supervisor and agent"}
ANY = SELF_OR_OFFICE | {"machine"}


class Request:
    """A request for Dana's record, and who may make it."""

    def __init__(
        self, method: str, path: str, body: Callable[[], object], allowed: set[str], *, needs_call: bool = False
    ) -> None:
        self.method = method
        self.path = path
        self.body = body
        self.allowed = allowed
        self.needs_call = needs_call


def nothing() -> object:
    return None


def dial() -> object:
    return {"call_id": new_id(), "agent_id": DANA.agent_id, "dialled": "911"}


OF_DANA = f"agents/{DANA.agent_id}"
ROUTES = {
    "call_started": Request("POST", "emergency-calls", dial, SELF_OR_MACHINE),
    "call_updated": Request("PATCH", "emergency-calls/{call}", lambda: {"server_call_id": new_id("server")},
                            SELF_OR_MACHINE, needs_call=True),
    "call_ended": Request("POST", "emergency-calls/{call}/end", nothing, SELF_OR_MACHINE, needs_call=True),
    "presence_released": Request("POST", f"{OF_DANA}/release", nothing, SELF_OR_OFFICE),
    "panel_state": Request("GET", f"{OF_DANA}/panel", nothing, ANY),
    "presence_state": Request("GET", f"{OF_DANA}/presence", nothing, ANY),
    "presence_set": Request("PUT", f"{OF_DANA}/presence", lambda: {"status": "available"}, ANY),
    "admin_agent_read": Request("GET", f"manage/{OF_DANA}", nothing, OFFICE),
    "admin_agents_listed": Request("GET", "manage/agents", nothing, OFFICE),
    "admin_agent_removed": Request("DELETE", f"manage/{OF_DANA}", nothing, {"admin"}),
    "admin_agents_imported": Request("POST", "manage/agents/import?dry_run=1", lambda: {"agent_id": "a"}, {"admin"}),
    "admin_agents_exported": Request("GET", "manage/agents/export", nothing, OFFICE),
    "admin_sites_listed": Request("GET", "manage/sites", nothing, OFFICE),
    "admin_site_saved": Request("PUT", "manage/sites/north", lambda: {"name": "North"}, {"admin"}),
    "admin_site_read": Request("GET", "manage/sites/north", nothing, OFFICE),
    "admin_site_removed": Request("DELETE", "manage/sites/north", nothing, {"admin"}),
    "admin_agent_saved": Request("PUT", f"manage/{OF_DANA}", lambda: {"name": DANA.name}, {"admin"}),
    "admin_emergency_contacts_saved": Request("PUT", f"manage/{OF_DANA}/emergency-contacts",
                                              lambda: {"text": "Desk <desk@example.com>"}, {"admin"}),
    "admin_drill_read": Request("GET", "manage/drills/last", nothing, {"admin"}),
}  # fmt: skip


# Every operation as its example in the description has it.
OF_THE_ROLE = {AGENT: "agent", SUPERVISOR: "supervisor", ADMIN: "admin", MACHINE: "machine"}
# A dial and an end are taken as the caller's own, whoever's record they name (specification, who speaks for whom).
NEVER_REFUSED = {"call_started", "call_ended"}
SIGNED_FOR_AN_ADMIN = base64.b64encode(
    json.dumps({"auth_typ": "aad", "claims": [{"typ": "roles", "val": ADMIN}], "role_typ": "roles"}).encode()
).decode()


def by_example(local: Stack, operation: Operation, principal: str | None, **headers: str) -> httpx.Response:
    example = EXAMPLES[operation.function]
    path = operation.path.lstrip("/").format(**example.get("path", {}))
    query = urlencode(example.get("query", {}))
    body = example.get("body")
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    headers |= {"Content-Type": "text/csv"} if isinstance(body, str) else {}
    return local.ask(
        operation.method.upper(),
        f"{path}?{query}" if query else path,
        principal=principal,
        content=content,
        headers=headers,
    )


WALKED = [operation for operation in OPERATIONS if not RIGHTS[operation.function].anyone]


def test_the_walk_leaves_no_function_out() -> None:
    decided = {name for name, rule in RIGHTS.items() if not rule.anyone}
    assert {operation.function for operation in WALKED} == decided


@pytest.mark.parametrize("operation", WALKED, ids=lambda operation: operation.function)
def test_each_role_nobody_and_a_header_that_the_platform_did_not_set(local: Stack, operation: Operation) -> None:
    rule = RIGHTS[operation.function]
    entry = EXAMPLES["admin_agent_saved"]["body"] | {"emergency_contacts": ""}
    local.ask("PUT", f"manage/agents/{EXAMPLE_ID}", entry, principal=ADMIN).raise_for_status()
    if "call_id" in EXAMPLES[operation.function].get("path", {}):
        started = next(each for each in OPERATIONS if each.function == "call_started")
        by_example(local, started, f"{AGENT};{EXAMPLE_ID}").raise_for_status()
    local.wait_until_nothing_is_owed()
    before = settled(local.rows())
    refused = {
        "nobody": by_example(local, operation, None),
        "a header": by_example(local, operation, None, **{"X-MS-CLIENT-PRINCIPAL": SIGNED_FOR_AN_ADMIN}),
        "no role": by_example(local, operation, EXAMPLE_ID),
    }
    for said in refused.values():
        assert (said.status_code, set(said.json())) == (401, {"type", "title", "status"})
    roles = {role: f"{role};{EXAMPLE_ID}" if role == AGENT else role for role in OF_THE_ROLE}
    strangers = [principal for role, principal in roles.items() if rule.roles and role not in rule.roles]
    if rule.roles and operation.function not in NEVER_REFUSED:
        strangers.append("EmergencyCalling.Janitor")
        strangers += [f"{AGENT};{EVE.agent_id}"] if AGENT in rule.roles else []
    for principal in strangers:
        answer = by_example(local, operation, principal)
        assert (answer.status_code, set(answer.json())) == (403, {"type", "title", "status"}), principal
    assert settled(local.rows()) == before
    for role, principal in roles.items():
        if not rule.roles or role in rule.roles:
            answer = by_example(local, operation, principal)
            assert answer.status_code not in (401, 403), role
            if operation.function == "admin_drill_started":
                wait_for_drill(local, answer.json()["drill_id"])
    local.ask("DELETE", f"manage/agents/{EXAMPLE_ID}", principal=ADMIN)


def wait_for_drill(local: Stack, drill_id: str) -> None:
    def over() -> bool:
        state: str = local.ask("GET", f"manage/drills/{drill_id}", principal=ADMIN).json()["state"]
        return state != "running"

    poll(over, within_s=60.0, what="the drill's end")


# Held presence is looked at every 30 s, whoever asks for what meanwhile: that moves the emergency's own row.
MOVED_BY_TIME = ("agent|", "look|", "outbox|")


def settled(rows: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows that time alone does not move."""
    return {
        table: [row for row in of_table if not row["RowKey"].startswith(MOVED_BY_TIME)]
        for table, of_table in rows.items()
    }


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", ROUTES)
def test_who_may(wide_stack: Stack, route: str, caller: str) -> None:
    local, request = wide_stack, ROUTES[route]
    local.add_agent(DANA)
    call = new_id()
    if request.needs_call:
        local.softphone(DANA).dial(call)
    local.wait_until_nothing_is_owed()
    before = local.rows()
    mode_before = local.ask("GET", f"{OF_DANA}/panel", principal=CALLERS["agent"]).json()["mode"]
    answer = local.ask(request.method, request.path.format(call=call), request.body(), principal=CALLERS[caller])
    if caller in request.allowed:
        assert answer.status_code in (200, 201, 204)
        return
    if (route, caller) in TAKEN_AS_THEIR_OWN:
        assert answer.status_code == TAKEN_AS_THEIR_OWN[route, caller]
        assert local.ask("GET", f"{OF_DANA}/panel", principal=CALLERS["agent"]).json()["mode"] == mode_before
        return
    assert answer.status_code == STRANGERS.get(caller, 403)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status"}, "no detail"
    assert ("www-authenticate" in answer.headers) is (answer.status_code == 401)
    assert settled(local.rows()) == settled(before)
    mode = local.ask("GET", f"{OF_DANA}/panel", principal=CALLERS["agent"]).json()["mode"]
    assert mode == mode_before


@pytest.mark.parametrize(
    ("caller", "status", "agent_id"),
    [
        ("agent", 200, DANA.agent_id),
        ("machine", 200, None),
        ("unknown role", 200, DANA.agent_id),
        ("nobody", 401, None),
    ],
)
def test_whoever_is_signed_in_learns_who_they_are(
    wide_stack: Stack, caller: str, status: int, agent_id: str | None
) -> None:
    wide_stack.add_agent(DANA)
    answer = wide_stack.ask("GET", "me", principal=CALLERS[caller])
    assert answer.status_code == status
    assert answer.json().get("agent_id") == agent_id


@pytest.mark.parametrize("path", ["health", "me", f"{OF_DANA}/panel", f"{OF_DANA}/presence", "ui/prompts/en.wav"])
def test_where_get_is_answered_head_is_too(wide_stack: Stack, path: str) -> None:
    wide_stack.add_agent(DANA)
    whole = wide_stack.ask("GET", path, principal=MACHINE)
    head = wide_stack.ask("HEAD", path, principal=MACHINE)
    assert (head.status_code, head.content, head.headers.get("etag")) == (200, b"", whole.headers.get("etag"))


def test_a_page_of_a_foreign_site_changes_nothing(wide_stack: Stack) -> None:
    wide_stack.add_agent(DANA)
    wide_stack.wait_until_nothing_is_owed()
    before = wide_stack.rows()
    for origin, status in (("https://evil.example", 403), ("null", 403), (wide_stack.host.url, 201)):
        asked = wide_stack.ask("POST", "emergency-calls", dial(), principal=MACHINE, headers={"Origin": origin})
        assert asked.status_code == status
        assert (wide_stack.rows() == before) is (status == 403)
    wide_stack.wait_until_nothing_is_owed()


@pytest.mark.parametrize("caller", CALLERS)
def test_anyone_may_ask_for_health(wide_stack: Stack, caller: str) -> None:
    answer = wide_stack.ask("GET", "health", principal=CALLERS[caller])
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "settings_valid": True, "table_reachable": True},
    )


def test_the_platforms_header_counts_for_nothing_on_the_local_host(wide_stack: Stack) -> None:
    answer = wide_stack.ask("GET", f"{OF_DANA}/panel", headers={"X-MS-CLIENT-PRINCIPAL": "e30="})
    assert answer.status_code == 401


def test_whatever_is_answered_is_for_this_caller_alone(wide_stack: Stack) -> None:
    wide_stack.add_agent(DANA)
    panel = wide_stack.ask("GET", f"{OF_DANA}/panel", principal=MACHINE)
    assert panel.headers["cache-control"] == "no-store"
    same = wide_stack.ask(
        "GET", f"{OF_DANA}/panel", principal=MACHINE, headers={"If-None-Match": panel.headers["etag"]}
    )
    assert (same.status_code, same.content) == (304, b"")
    refused = wide_stack.ask(
        "GET", f"{OF_DANA}/panel", principal=CALLERS["another agent"], headers={"If-None-Match": panel.headers["etag"]}
    )
    assert refused.status_code == 403
