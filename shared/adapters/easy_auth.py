"""Sign-in through App Service authentication ("Easy Auth")."""

import base64
import binascii
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from shared.domain.principals import ROLES, Principal

PRINCIPAL_HEADER = "x-ms-client-principal"
LONGEST_PRINCIPAL = 64 * 1024
OBJECT_ID_CLAIMS = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")


class _Claim(Struct, frozen=True):
    typ: str = ""
    val: str = ""


class _ClientPrincipal(Struct, frozen=True):
    claims: list[_Claim] = []
    role_typ: str | None = None


class EasyAuthSignIn:
    """Believes the platform's `X-MS-CLIENT-PRINCIPAL`, and only where the platform says that it sets it.

    Elsewhere anybody could send that header, and so nobody is signed in.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def principal(self, headers: Mapping[str, str]) -> Principal | None:
        """Who the platform says is calling; None without the header, or when it is malformed.

        A token of an application carries roles and the object id of its service principal, and no user.
        """
        sent = headers.get(PRINCIPAL_HEADER, "")
        if not self._enabled or not 0 < len(sent) <= LONGEST_PRINCIPAL:
            return None
        try:
            document = msgspec.json.decode(base64.b64decode(sent, validate=True), type=_ClientPrincipal)
        except (binascii.Error, ValueError, RecursionError):
            return None
        role_claims = {*ROLE_CLAIMS, document.role_typ}
        roles = {claim.val for claim in document.claims if claim.typ in role_claims}
        return Principal(roles=ROLES & roles, object_id=_first(document.claims, OBJECT_ID_CLAIMS))


def _first(claims: Iterable[_Claim], kinds: Iterable[str]) -> str | None:
    found = {claim.typ: claim.val for claim in claims if claim.val}
    return next((found[kind] for kind in kinds if kind in found), None)
