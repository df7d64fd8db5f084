"""Who may do what: one table of route to roles, and who the caller is (contract, HTTP)."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, structs

from shared.domain.callers import Caller, CallerKind
from shared.domain.errors import NotAllowed, NotSignedIn
from shared.domain.ids import ascii_lower
from shared.domain.principals import ADMIN, AGENT, MACHINE, SUPERVISOR, Principal


class Rule(Struct, frozen=True, kw_only=True):
    """Who may use a function. `roles` is empty where anyone may, or anyone who is `signed_in`.

    An agent may use it for their own record only; every other role listed, for everybody's.
    """

    roles: frozenset[str] = frozenset()
    signed_in: bool = False

    @property
    def anyone(self) -> bool:
        """Whether it needs no sign-in."""
        return not self.roles and not self.signed_in


def _only(*roles: str) -> Rule:
    return Rule(roles=frozenset(roles))


ANYONE = Rule()
ANYONE_SIGNED_IN = Rule(signed_in=True)
_SELF_OR_MACHINE = _only(AGENT, MACHINE)
_SELF_OR_ANY = _only(AGENT, SUPERVISOR, ADMIN, MACHINE)
_READ_BY_OFFICE = _only(SUPERVISOR, ADMIN)
_ADMIN_ONLY = _only(ADMIN)

RIGHTS: Mapping[str, Rule] = MappingProxyType(
    {
        "call_started": _SELF_OR_MACHINE,
        "call_updated": _SELF_OR_MACHINE,
        "call_ended": _SELF_OR_MACHINE,
        "presence_released": _only(AGENT, SUPERVISOR, ADMIN),
        "me": ANYONE_SIGNED_IN,
        "panel_state": _SELF_OR_ANY,
        "desktop_read": _SELF_OR_MACHINE,
        "desktop_reported": _SELF_OR_MACHINE,
        "presence_state": _SELF_OR_ANY,
        "presence_set": _SELF_OR_ANY,
        "call_policy": _only(MACHINE),
        # Decided by the signature that Azure Communication Services puts on its token, not by a sign-in.
        "call_automation_events": ANYONE,
        "admin_agent_read": _READ_BY_OFFICE,
        "admin_agent_saved": _ADMIN_ONLY,
        "admin_agent_removed": _ADMIN_ONLY,
        "admin_agents_listed": _READ_BY_OFFICE,
        "admin_agents_imported": _ADMIN_ONLY,
        "admin_agents_import_read": _READ_BY_OFFICE,
        "admin_agents_exported": _READ_BY_OFFICE,
        "admin_emergency_contacts_saved": _ADMIN_ONLY,
        "admin_sites_listed": _READ_BY_OFFICE,
        "admin_site_read": _READ_BY_OFFICE,
        "admin_site_saved": _ADMIN_ONLY,
        "admin_site_removed": _ADMIN_ONLY,
        "admin_setup_exported": _ADMIN_ONLY,
        "admin_setup_imported": _ADMIN_ONLY,
        "admin_notification_template_read": _ADMIN_ONLY,
        "admin_notification_template_saved": _ADMIN_ONLY,
        "admin_notification_template_removed": _ADMIN_ONLY,
        "admin_notification_template_preview": _ADMIN_ONLY,
        "admin_readiness": _READ_BY_OFFICE,
        "admin_agent_readiness": _READ_BY_OFFICE,
        "admin_callback_numbers": _READ_BY_OFFICE,
        "admin_emergencies": _READ_BY_OFFICE,
        "admin_drill_started": _ADMIN_ONLY,
        "admin_drill_read": _ADMIN_ONLY,
        "health": ANYONE,
        "preflight": ANYONE,
        "openapi": ANYONE,
        "ui_panel": ANYONE,
        "ui_console": ANYONE,
        "ui_preview": ANYONE,
        "ui_file": ANYONE,
        "ui_pinned_file": ANYONE,
        "ui_prompt": ANYONE,
    }
)


def authorise(function_name: str, principal: Principal | None) -> Principal:
    """The caller, if the function is for one of their roles.

    The principal given back has only those roles, so that no other role of theirs widens what they may do here.

    Raises:
        NotSignedIn: nobody is signed in.
        NotAllowed: none of their roles may use the function.
    """
    rule = RIGHTS[function_name]
    if principal is None:
        if rule.anyone:
            return Principal(roles=frozenset())
        raise NotSignedIn
    if rule.signed_in:
        return principal
    granted = principal.roles & rule.roles
    if not granted and not rule.anyone:
        raise NotAllowed
    return structs.replace(principal, roles=granted)


def caller_of(principal: Principal) -> Caller:
    """An authorised principal as the use cases know callers: what the widest of their roles lets them do."""
    # Somebody signed in without a role of ours may ask who they are, and no more.
    kind = next((kind for role, kind in _KINDS.items() if role in principal.roles), CallerKind.AGENT)
    return Caller(kind=kind, name=principal.object_id or principal.agent_id or "", agent_id=principal.agent_id)


_KINDS: Mapping[str, CallerKind] = MappingProxyType(
    {
        MACHINE: CallerKind.MACHINE,
        ADMIN: CallerKind.OFFICE,
        SUPERVISOR: CallerKind.OFFICE,
        AGENT: CallerKind.AGENT,
    }
)


def source_of(resource_id: str) -> Caller:
    """An event from one of EVENT_SOURCES: the source was checked, and speaks for all agents."""
    return Caller(kind=CallerKind.SOURCE, name=ascii_lower(resource_id))
