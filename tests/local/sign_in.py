"""The development sign-in. It exists only in the local host and is never part of the deployed package."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote

from shared.domain.principals import Principal

HEADER = "x-development-principal"
ROLE_PREFIX = "EmergencyCalling."
# As Microsoft Entra says who somebody is, where the directory of agents is to tell which agent that is.
OBJECT_ID_PREFIX = "oid:"
BEARER = "Bearer "
# A page cannot send a header when it is opened. One sign-in of each kind at once, so that a panel and a console can
# stand side by side: the first of these that comes with a request counts.
COOKIES = ("dev-manage", "dev-agent", "dev-office")


class DevelopmentSignIn:
    """Believes the header `X-Development-Principal: role[;role][;agent_id]`, else a bearer token or cookie of that.

    Instead of an agent's id it may be their object id, `oid:…`.
    """

    def principal(self, headers: Mapping[str, str]) -> Principal | None:
        """Return who the header names; None without the header, or when it is malformed.

        Args:
            headers: with lower-case names, as the Functions host hands them on.
        """
        parts = [part.strip() for part in _claimed(headers).split(";")]
        roles = frozenset(part for part in parts if part.startswith(ROLE_PREFIX))
        others = [part for part in parts if not part.startswith(ROLE_PREFIX)]
        if not roles or len(others) > 1 or "" in others:
            return None
        said = others[0] if others else None
        if said is not None and said.startswith(OBJECT_ID_PREFIX):
            return Principal(roles=roles, object_id=said.removeprefix(OBJECT_ID_PREFIX))
        return Principal(roles=roles, agent_id=said)


def _claimed(headers: Mapping[str, str]) -> str:
    if HEADER in headers:
        return headers[HEADER]
    authorization = headers.get("authorization", "")
    if authorization.startswith(BEARER):
        return authorization.removeprefix(BEARER)
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return next((unquote(cookies[name].value) for name in COOKIES if name in cookies), "")


def cookies_for(principal: str) -> dict[str, str]:
    """The cookies, by name the path, that sign a browser in as `role[;role][;agent_id]`."""
    if "EmergencyCalling.Agent" in principal.split(";"):
        return {"dev-agent": "/api"}
    return {"dev-manage": "/api/manage", "dev-office": "/api"}
