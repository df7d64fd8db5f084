"""The table of rights, and who the platform says is calling."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rights import RIGHTS, authorise, caller_of
from shared.adapters.easy_auth import EasyAuthSignIn
from shared.domain.callers import CallerKind
from shared.domain.errors import NotAllowed, NotSignedIn
from shared.domain.principals import ADMIN, AGENT, MACHINE, ROLES, SUPERVISOR, Principal

OBJECT_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
OID_CLAIM = "http://schemas.microsoft.com/identity/claims/objectidentifier"

# As contract.md has it, function by function: A(gent), S(upervisor), a(D)min, M(achine).
LETTERS = {"A": AGENT, "S": SUPERVISOR, "D": ADMIN, "M": MACHINE}
CONTRACT = {
    "call_started": "AM",
    "call_updated": "AM",
    "call_ended": "AM",
    "presence_released": "ASD",
    "panel_state": "ASDM",
    "desktop_read": "AM",
    "desktop_reported": "AM",
    "presence_state": "ASDM",
    "presence_set": "ASDM",
    "call_policy": "M",
    "admin_agent_read": "SD",
    "admin_agent_saved": "D",
    "admin_agent_removed": "D",
    "admin_agents_listed": "SD",
    "admin_agents_imported": "D",
    "admin_agents_import_read": "SD",
    "admin_agents_exported": "SD",
    "admin_emergency_contacts_saved": "D",
    "admin_sites_listed": "SD",
    "admin_site_read": "SD",
    "admin_site_saved": "D",
    "admin_site_removed": "D",
    "admin_setup_exported": "D",
    "admin_setup_imported": "D",
    "admin_notification_template_read": "D",
    "admin_notification_template_saved": "D",
    "admin_notification_template_removed": "D",
    "admin_notification_template_preview": "D",
    "admin_readiness": "SD",
    "admin_agent_readiness": "SD",
    "admin_callback_numbers": "SD",
    "admin_emergencies": "SD",
    "admin_drill_started": "D",
    "admin_drill_read": "D",
}
ANYONE = {
    *("call_automation_events", "health", "preflight", "openapi"),
    *("ui_panel", "ui_console", "ui_preview", "ui_file", "ui_pinned_file", "ui_prompt"),
}


def person(*roles: str, object_id: str | None = OBJECT_ID, agent_id: str | None = None) -> Principal:
    return Principal(roles=frozenset(roles), object_id=object_id, agent_id=agent_id)


def test_the_guide_names_what_a_supervisor_may_not_read() -> None:
    unread = {
        "admin_notification_template_read": "templates",
        "admin_drill_read": "drills",
        "admin_setup_exported": "the file of sites and templates",
    }
    only_admins = {name for name, rule in RIGHTS.items() if rule.roles == {ADMIN}}
    assert {name for name in only_admins if name.endswith(("_read", "_listed", "_exported"))} == set(unread)
    guide = (Path(__file__).resolve().parents[2] / "docs" / "administration.md").read_text("utf-8")
    (row,) = [line for line in guide.splitlines() if line.startswith(f"| `{SUPERVISOR}`")]
    assert f"Not: {', '.join(unread.values())} |" in row


def test_every_function_is_decided() -> None:
    assert set(RIGHTS) == set(CONTRACT) | ANYONE | {"me"}


@pytest.mark.parametrize("name", CONTRACT)
@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_table_is_the_contracts(name: str, role: str) -> None:
    if role in {LETTERS[letter] for letter in CONTRACT[name]}:
        assert authorise(name, person(role)).roles == {role}
    else:
        with pytest.raises(NotAllowed):
            authorise(name, person(role))


@pytest.mark.parametrize("name", CONTRACT)
def test_nobody_is_let_in_without_signing_in(name: str) -> None:
    with pytest.raises(NotSignedIn):
        authorise(name, None)
    with pytest.raises(NotAllowed):
        authorise(name, person())


def test_whoever_is_signed_in_may_ask_who_they_are() -> None:
    with pytest.raises(NotSignedIn):
        authorise("me", None)
    for signed_in in (person(), person(AGENT, ADMIN), person("Another.Role", object_id=None)):
        assert authorise("me", signed_in) == signed_in


@pytest.mark.parametrize("name", sorted(ANYONE))
def test_what_is_for_anyone_needs_no_sign_in(name: str) -> None:
    assert authorise(name, None).roles == frozenset()
    assert authorise(name, person()).roles == frozenset()


def test_a_role_that_does_not_count_here_widens_nothing() -> None:
    both = authorise("call_started", person(AGENT, ADMIN, agent_id="a"))
    assert both.roles == {AGENT}
    assert caller_of(both).is_agent
    assert not caller_of(authorise("panel_state", person(AGENT, ADMIN, agent_id="a"))).is_agent


@pytest.mark.parametrize(
    ("roles", "kind"),
    [
        ((AGENT,), CallerKind.AGENT),
        ((AGENT, SUPERVISOR), CallerKind.OFFICE),
        ((ADMIN,), CallerKind.OFFICE),
        ((AGENT, MACHINE), CallerKind.MACHINE),
        ((), CallerKind.AGENT),
    ],
)
def test_the_widest_role_says_for_whom_a_caller_speaks(roles: tuple[str, ...], kind: CallerKind) -> None:
    assert caller_of(person(*roles)).kind is kind


# Easy Auth -----------------------------------------------------------------------------------------------------------


def header(claims: list[dict[str, Any]], **more: Any) -> dict[str, str]:
    document = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles", **more}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(document).encode()).decode()}


def claims(*roles: str, oid: str = OID_CLAIM) -> list[dict[str, Any]]:
    named = [{"typ": "roles", "val": role} for role in roles]
    return [{"typ": "name", "val": "Example Agent"}, {"typ": oid, "val": OBJECT_ID}, *named]


@pytest.mark.parametrize("oid", [OID_CLAIM, "oid"])
def test_a_person(oid: str) -> None:
    found = EasyAuthSignIn(enabled=True).principal(header(claims(AGENT, SUPERVISOR, "Another.Role", oid=oid)))
    assert found == Principal(roles=frozenset({AGENT, SUPERVISOR}), object_id=OBJECT_ID)


def test_an_application_has_roles_and_no_user() -> None:
    sent = [{"typ": "roles", "val": MACHINE}, {"typ": "appid", "val": "example"}, {"typ": "idtyp", "val": "app"}]
    assert EasyAuthSignIn(enabled=True).principal(header(sent)) == Principal(roles=frozenset({MACHINE}))


def test_roles_under_the_type_that_the_document_names() -> None:
    sent = header([{"typ": "my-roles", "val": ADMIN}], role_typ="my-roles")
    found = EasyAuthSignIn(enabled=True).principal(sent)
    assert found is not None
    assert found.roles == {ADMIN}


@pytest.mark.parametrize(
    "other",
    [{"typ": "iat", "val": 1790000000}, {"typ": "amr", "val": ["pwd"]}, {"typ": 7, "val": "x"}, {"typ": "roles"}, 7, {},
     {"typ": "roles", "val": 7}, {"typ": "oid", "val": None}],
)  # fmt: skip
def test_a_claim_that_is_not_used_locks_nobody_out(other: Any) -> None:
    found = EasyAuthSignIn(enabled=True).principal(header([other, *claims(AGENT), other], role_typ=7))
    assert found == Principal(roles=frozenset({AGENT}), object_id=OBJECT_ID)


def test_signed_in_without_a_role_is_somebody_who_may_nothing() -> None:
    found = EasyAuthSignIn(enabled=True).principal(header(claims()))
    assert found == Principal(roles=frozenset(), object_id=OBJECT_ID)
    with pytest.raises(NotAllowed):
        authorise("panel_state", found)


def test_the_header_counts_only_where_the_platform_sets_it() -> None:
    assert EasyAuthSignIn(enabled=False).principal(header(claims(ADMIN))) is None
    assert EasyAuthSignIn(enabled=True).principal({}) is None


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "%%%",
        "é",
        "AAAA",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"claims":7}').decode(),
        base64.b64encode(b'{"claims":["\xff"]}').decode(),
        base64.b64encode(b'{"x":' + b"[" * 20_000).decode(),
        base64.b64encode(b" " * 70_000 + b'{"claims":[]}').decode(),
    ],
)
def test_a_malformed_header_is_nobody(sent: str) -> None:
    assert EasyAuthSignIn(enabled=True).principal({"x-ms-client-principal": sent}) is None


@given(sent=st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_any_header_is_somebody_or_nobody(sent: str) -> None:
    found = EasyAuthSignIn(enabled=True).principal({"x-ms-client-principal": sent})
    assert found is None or found.roles <= ROLES
