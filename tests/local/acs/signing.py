"""The tokens of mid-call events: RS256, five minutes, keys published as a set and rotated on request."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.local.acs.clock import AdjustableClock
from tests.local.acs.messages import Json, TokenKind

ISSUER = "https://acscallautomation.communication.azure.com"
LIFETIME = timedelta(minutes=5)


class TokenSigner:
    """Signs tokens for one audience (the resource's immutable id), well or, on request, badly."""

    def __init__(self, *, clock: AdjustableClock, audience: str, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.audience = audience
        self._clock = clock
        self._stranger = _new_key()
        self._keys = [(str(uuid4()), _new_key())]

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on; the one before stays published unless it is to vanish."""
        self._keys = [(str(uuid4()), _new_key())] + (self._keys[:1] if keep_old else [])

    def key_set(self) -> Json:
        """The public keys, as a JSON Web Key Set."""
        return {"keys": [_public(kid, key) for kid, key in self._keys]}

    def token(self, kind: TokenKind = "good") -> str:
        """A token of the given kind; every kind but `good` must be refused by whoever receives it."""
        kid, key = self._keys[0]
        claims = self._claims(kind)
        match kind:
            case "unsigned":
                return ""
            case "alg_none":
                return jwt.encode(claims, "", algorithm="none", headers={"kid": kid})
            case "forged":
                return jwt.encode(claims, self._stranger, algorithm="RS256", headers={"kid": kid})
            case "unknown_key":
                return jwt.encode(claims, self._stranger, algorithm="RS256", headers={"kid": str(uuid4())})
            case _:
                return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})

    def _claims(self, kind: TokenKind) -> Json:
        now = self._clock.now()
        start = {"expired": now - 3 * LIFETIME, "not_yet_valid": now + 3 * LIFETIME}.get(kind, now)
        return {
            "iss": "https://issuer.example.net" if kind == "wrong_issuer" else self.issuer,
            "aud": str(uuid4()) if kind == "wrong_audience" else self.audience,
            "iat": start,
            "nbf": start,
            "exp": start + LIFETIME,
        }


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(kid: str, key: rsa.RSAPrivateKey) -> Json:
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return {**public, "kid": kid, "use": "sig", "alg": "RS256"}
