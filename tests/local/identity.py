"""A stand-in for App Service's identity endpoint: tokens of a managed identity, as the platform gives them to an app.

    with identity.running(key=acs.ready.access_key) as managed:
        settings = managed.app_settings()

The app asks `IDENTITY_ENDPOINT` with the secret of `IDENTITY_HEADER`, names resource and client id of its identity, and
gets a token that the stand-ins of the services accept: Azurite looks at issuer, audience and times, the stand-in of
Communication Services at the signature too. `behaviour` makes the endpoint refuse, hang or answer nonsense.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.local.loopback import LoopbackHandler, LoopbackServer

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SECRET = "0000000000000000-of-the-identity-endpoint"
API_VERSION = "2019-08-01"
# What Azurite asks of an issuer.
ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-000000000002/"
LIFETIME_S = 24 * 3600
PATH = "/msi/token"

type Behaviour = Literal["answer", "refuse", "fail", "hang", "nonsense"]


@dataclass
class ManagedIdentity:
    """The endpoint, what it was asked, and how it behaves."""

    url: str
    key: str
    behaviour: Behaviour = "answer"
    lifetime_s: int = LIFETIME_S
    """Of the tokens that it gives from now on."""
    asked: list[str] = field(default_factory=list)
    """The resources that tokens were given for, in order."""
    refused: list[str] = field(default_factory=list)
    """Why requests were refused that were not as App Service wants them."""
    ended: threading.Event = field(default_factory=threading.Event)
    roles: dict[str, list[str]] = field(default_factory=dict)
    """The application permissions that the identity was given, by resource."""

    def app_settings(self) -> dict[str, str]:
        """What the platform puts into an app's environment, and what infra sets beside it."""
        return {
            "IDENTITY_ENDPOINT": self.url,
            "IDENTITY_HEADER": SECRET,
            "AZURE_CLIENT_ID": CLIENT_ID,
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        }

    def token(self, resource: str) -> str:
        """A token for a resource."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": resource,
            "iat": now,
            "nbf": now - 60,
            "exp": now + self.lifetime_s,
            "oid": CLIENT_ID,
            "appid": CLIENT_ID,
            "roles": self.roles.get(resource, []),
        }
        return jwt.encode(claims, self.key, algorithm="HS256")


@contextmanager
def running(*, key: str) -> Iterator[ManagedIdentity]:
    """Serve until the end of the block. `key` signs the tokens: the access key of the stand-in that checks them."""

    class Handler(LoopbackHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = _answer(identity, self.path, dict(self.headers.items()))
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with LoopbackServer(Handler) as server:
        identity = ManagedIdentity(f"{server.url}{PATH}", key)
        try:
            yield identity
        finally:
            identity.ended.set()


def _answer(identity: ManagedIdentity, target: str, headers: dict[str, str]) -> tuple[int, str]:
    if identity.behaviour == "hang":
        identity.ended.wait()
    if identity.behaviour in ("hang", "fail"):
        return 500, '{"error": "internal"}'
    if identity.behaviour == "nonsense":
        return 200, "<html>"
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    wrong = _wrong(query, {name.lower(): value for name, value in headers.items()})
    if wrong or identity.behaviour == "refuse":
        identity.refused.append(wrong or "as it was told")
        return 400, json.dumps({"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found"})
    identity.asked.append(query["resource"])
    token = {
        "access_token": identity.token(query["resource"]),
        "expires_on": str(int(time.time()) + identity.lifetime_s),
        "resource": query["resource"],
        "token_type": "Bearer",
        "client_id": CLIENT_ID,
    }
    return 200, json.dumps(token)


def _wrong(query: dict[str, str], headers: dict[str, str]) -> str:
    """What App Service would not accept of a request."""
    if headers.get("x-identity-header") != SECRET:
        return "the secret"
    if query.get("api-version") != API_VERSION:
        return "the version"
    # An identity that the user assigned has to be named; without its id the platform finds none.
    if query.get("client_id") != CLIENT_ID:
        return "the identity"
    return "" if query.get("resource") else "the resource"
