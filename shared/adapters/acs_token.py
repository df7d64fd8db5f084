"""Whether an event of a call was sent by Azure Communication Services: its signed token (port `CallEventGuard`)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from shared.adapters.deadline_pool import DeadlinePool, PendingAnswer
from shared.deadlines import Clock, Deadline
from shared.domain.errors import NotSignedIn, Unavailable

if TYPE_CHECKING:
    from jwt import PyJWK

    from shared.adapters.timely_http import HttpTransport

ALGORITHM = "RS256"
LEEWAY = timedelta(seconds=30)
MAX_TOKEN_CHARS = 8 * 1024
MAX_KEY_SET_BYTES = 256 * 1024
MAX_KEYS = 50
# A storm of unknown key ids costs a few requests and then one in this time; a rotation is followed at once, or, in the
# middle of a storm, this soon.
ASK_AT_MOST_EVERY_S = 10.0
ASK_AT_ONCE = 3
KEYS_ARE_FRESH_S = 3600.0
ASK_WITHIN_S = 2.0
CONNECT_S, READ_S = 1.0, 2.0
THREADS = 2


class AcsTokens:
    """Checks tokens against the keys of the issuer, which are remembered for as long as the key server is away.

    `audience` is the resource's immutable id; without one nobody can have been addressed, and no token counts. Neither
    does any where it is not known who signs (`issuer`) or where the keys are (`keys_url`).
    """

    def __init__(
        self,
        *,
        issuer: str | None,
        keys_url: str | None,
        audience: str | None,
        clock: Clock,
        ca_bundle: str | None = None,
    ) -> None:
        self._issuer = (issuer or "").rstrip("/")
        self._audience = audience if issuer and keys_url else None
        self._clock = clock
        self._keys = SigningKeys(keys_url or "", clock=clock, ca_bundle=ca_bundle)

    def require(self, authorization: str | None, deadline: Deadline) -> None:
        """Raise `NotSignedIn` unless it is a bearer token that ACS made for us and for now.

        `Unavailable` where no key could ever be had: then nobody can tell.
        """
        from jwt import PyJWTError, decode, get_unverified_header

        token = _bearer_token(authorization)
        if token is None or self._audience is None:
            raise NotSignedIn
        try:
            header = get_unverified_header(token)
            if header.get("alg") != ALGORITHM:
                raise NotSignedIn
            key = self._keys.find(header.get("kid"), deadline)
            # The times are checked below, against the clock that everything else goes by.
            claims = decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise NotSignedIn from None
        if not self._counts(claims):
            raise NotSignedIn

    def warm_up(self) -> None:
        """Import what reads tokens and ask for the keys, so that the first event need not wait for that."""
        import jwt  # noqa: F401 - importing it is what takes time

        if self._audience is not None:
            self._keys.refresh(Deadline(self._clock, ASK_WITHIN_S))

    def close(self) -> None:
        """Ask for no more keys."""
        self._keys.close()

    def _counts(self, claims: Mapping[str, Any]) -> bool:
        issuer, audience = claims.get("iss"), claims.get("aud")
        addressed = audience if isinstance(audience, list) else [audience]
        ours = any(isinstance(each, str) and each.casefold() == self._audience for each in addressed)
        return isinstance(issuer, str) and issuer.rstrip("/") == self._issuer and ours and self._is_for_now(claims)

    def _is_for_now(self, claims: Mapping[str, Any]) -> bool:
        now, leeway_s = self._clock.now().timestamp(), LEEWAY.total_seconds()
        expires, begins = claims.get("exp"), [claims.get(name, now) for name in ("nbf", "iat")]
        if not all(isinstance(moment, int | float) for moment in (expires, *begins)):
            return False
        assert expires is not None
        return bool(now < expires + leeway_s) and all(moment <= now + leeway_s for moment in begins)


_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False),
}


def _bearer_token(authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    return token if scheme.casefold() == "bearer" and 0 < len(token) <= MAX_TOKEN_CHARS else None


class SigningKeys:
    """The issuer's public keys, asked for at first use, when they are old, and when a token names an unknown one."""

    def __init__(self, url: str, *, clock: Clock, ca_bundle: str | None = None) -> None:
        self._url = url
        self._clock = clock
        self._ca_bundle = ca_bundle
        self._pool = DeadlinePool("signing-keys", THREADS)
        self._asking = threading.Lock()
        self._http: HttpTransport | None = None
        self._keys: dict[str, PyJWK] = {}
        self._asks_left = float(ASK_AT_ONCE)
        self._counted_at = clock.monotonic()
        self._known_at: float | None = None

    def find(self, key_id: object, deadline: Deadline) -> PyJWK:
        """The key of this id. Raises `NotSignedIn` if the issuer has none, `Unavailable` if no key was ever had."""
        key = self._known(key_id)
        if key is None:
            self.refresh(deadline)
            key = self._known(key_id)
        elif self._are_old():
            self._refresh_behind()
        if key is not None:
            return key
        if self._known_at is None:
            raise Unavailable("No signing key could be had.")
        raise NotSignedIn

    def close(self) -> None:
        """Ask for no more keys."""
        self._pool.close()
        if self._http is not None:
            self._http.close()

    def _known(self, key_id: object) -> PyJWK | None:
        return self._keys.get(key_id) if isinstance(key_id, str) else None

    def _are_old(self) -> bool:
        return self._known_at is None or self._clock.monotonic() - self._known_at >= KEYS_ARE_FRESH_S

    def _may_ask(self) -> bool:
        now = self._clock.monotonic()
        earned = (now - self._counted_at) / ASK_AT_MOST_EVERY_S
        self._asks_left, self._counted_at = min(float(ASK_AT_ONCE), self._asks_left + earned), now
        return self._asks_left >= 1

    def refresh(self, deadline: Deadline) -> None:
        """Ask once for all who want to know, and wait; what fails leaves the keys as they are."""
        if not self._asking.acquire(timeout=min(deadline.remaining_s(), ASK_WITHIN_S)):
            return
        try:
            with suppress(Unavailable):
                if self._may_ask():
                    self._begin(min(deadline.remaining_s(), ASK_WITHIN_S)).result()
        finally:
            self._asking.release()

    def _refresh_behind(self) -> None:
        """As `refresh`, while nobody waits: a key server that hangs must not delay a callback."""
        if not self._asking.acquire(blocking=False):
            return
        try:
            with suppress(Unavailable):
                if self._may_ask():
                    self._begin(ASK_WITHIN_S)
        finally:
            self._asking.release()

    def _begin(self, within_s: float) -> PendingAnswer[None]:
        self._asks_left -= 1
        return self._pool.submit(self._ask, Deadline(self._clock, within_s))

    def _ask(self) -> None:
        from azure.core.rest import HttpRequest

        try:
            response = self._transport().send(HttpRequest("GET", self._url))
            body = response.read()
            usable = response.status_code == HTTPStatus.OK and len(body) <= MAX_KEY_SET_BYTES
            keys = read_key_set(body) if usable else {}
        except Exception:  # noqa: BLE001 - whatever comes of an answer that cannot be read, or of no certificates
            raise Unavailable from None
        if not keys:
            # A key server that knows no key is out of order; what it said before still holds.
            raise Unavailable
        self._keys, self._known_at = keys, self._clock.monotonic()

    def _transport(self) -> HttpTransport:
        if self._http is None:
            from shared.adapters.timely_http import HttpTransport

            self._http = HttpTransport(connect_s=CONNECT_S, read_s=READ_S, pool_size=THREADS, ca_bundle=self._ca_bundle)
        return self._http


def read_key_set(body: bytes) -> dict[str, PyJWK]:
    """The RSA signing keys of a JSON Web Key Set (RFC 7517), by key id; others, and faulty ones, are left out."""
    from jwt import PyJWK, PyJWTError

    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {}
    entries = document.get("keys")
    found: dict[str, PyJWK] = {}
    for entry in entries[:MAX_KEYS] if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
            continue
        key_id = entry.get("kid")
        try:
            key = PyJWK(entry, algorithm=ALGORITHM)
        except (PyJWTError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key_id, str):
            found[key_id] = key
    return found
