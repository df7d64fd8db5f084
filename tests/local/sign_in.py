"""The development sign-in. It exists only in the local host and is never part of the deployed package."""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.principals import Principal

HEADER = "x-development-principal"
ROLE_PREFIX = "EmergencyCalling."


class DevelopmentSignIn:
    """Believes the header `X-Development-Principal: role[;role][;agent_id]`."""

    def principal(self, headers: Mapping[str, str]) -> Principal | None:
        """Return who the header names; None without the header, or when it is malformed.

        Args:
            headers: with lower-case names, as the Functions host hands them on.
        """
        parts = [part.strip() for part in headers.get(HEADER, "").split(";")]
        roles = frozenset(part for part in parts if part.startswith(ROLE_PREFIX))
        others = [part for part in parts if not part.startswith(ROLE_PREFIX)]
        if not roles or len(others) > 1 or "" in others:
            return None
        return Principal(roles=roles, agent_id=others[0] if others else None)
