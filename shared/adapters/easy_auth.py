"""Sign-in through App Service authentication ("Easy Auth")."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from shared.domain.principals import ROLES, Principal

PRINCIPAL_HEADER = "x-ms-client-principal"
MAX_PRINCIPAL_CHARS = 64 * 1024
OBJECT_ID_CLAIMS = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")


class _ClientPrincipal(Struct, frozen=True):
    # Of any claim but two kinds nothing is used: whatever the others hold must lock nobody out.
    claims: list[object] = []
    role_typ: object = None


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
        if not self._enabled or not 0 < len(sent) <= MAX_PRINCIPAL_CHARS:
            return None
        try:
            document = msgspec.json.decode(base64.b64decode(sent, validate=True), type=_ClientPrincipal)
        except (binascii.Error, ValueError, RecursionError):
            return None
        said = list(_claims(document.claims))
        role_claims = {*ROLE_CLAIMS, document.role_typ} if isinstance(document.role_typ, str) else set(ROLE_CLAIMS)
        roles = {value for kind, value in said if kind in role_claims}
        found = dict(said)
        object_id = next((found[kind] for kind in OBJECT_ID_CLAIMS if kind in found), None)
        return Principal(roles=ROLES & roles, object_id=object_id)


def _claims(sent: Iterable[object]) -> Iterator[tuple[str, str]]:
    """Type and value of the claims that say something."""
    for claim in sent:
        if isinstance(claim, dict):
            kind, value = claim.get("typ"), claim.get("val")
            if isinstance(kind, str) and isinstance(value, str) and value:
                yield kind, value
