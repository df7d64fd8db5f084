"""Who may do what: one table of route to roles, and who the caller is (contract, HTTP)."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, structs

from shared.domain.agents import Agent
from shared.domain.errors import NotAllowed, NotSignedIn
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
        "admin_agents_listed": _READ_BY_OFFICE,
        "admin_agents_imported": _ADMIN_ONLY,
        "admin_agents_exported": _READ_BY_OFFICE,
        "admin_emergency_contacts_saved": _ADMIN_ONLY,
        "admin_notification_template_read": _ADMIN_ONLY,
        "admin_notification_template_saved": _ADMIN_ONLY,
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


def own_agent(principal: Principal, agent_id: str, directory_entry: Agent | None) -> bool:
    """Whether an authorised principal may act for this agent: others than agents for all, an agent for themself.

    An agent is matched by what the sign-in knows, else by the Entra object id of the directory entry. Where there is
    no entry there is nothing to match: the use case binds such an agent's emergency to the principal that dialled.
    """
    if principal.roles - {AGENT}:
        return True
    if AGENT not in principal.roles:
        return False
    if principal.agent_id is not None:
        return principal.agent_id == agent_id
    if directory_entry is None:
        return principal.object_id is not None
    registered = directory_entry.entra_object_id
    if registered is None or principal.object_id is None:
        return False
    return registered.casefold() == principal.object_id.casefold()


class SignedIn(Struct, frozen=True):
    """An authorised principal as a caller (port `Caller`)."""

    principal: Principal

    @property
    def name(self) -> str | None:
        """Who an agent is; None for a role that speaks for all agents."""
        return self.principal.name if self.principal.roles == {AGENT} else None

    @property
    def stand_in(self) -> str | None:
        """Who an agent is to themself, where a dial of theirs names no agent that could be read; else None."""
        if self.principal.roles != {AGENT}:
            return None
        return self.principal.agent_id or (self.principal.object_id or "").lower() or None

    def speaks_for(self, agent_id: str, entry: Agent | None, owner: str | None = None) -> bool:
        """Whether they may act for this agent; one without a directory entry belongs to whoever dialled first."""
        bound_to_another = entry is None and owner is not None and self.name not in (None, owner)
        return own_agent(self.principal, agent_id, entry) and not bound_to_another


class TrustedSource(Struct, frozen=True):
    """An event from one of EVENT_SOURCES, which speaks for all agents (port `Caller`)."""

    name: str | None = None

    def speaks_for(self, agent_id: str, entry: Agent | None, owner: str | None = None) -> bool:  # noqa: ARG002
        """Always: the source was checked."""
        return True
