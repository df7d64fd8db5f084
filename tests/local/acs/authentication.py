"""The check that the services make of every request: an HMAC-SHA256 signature, or a managed identity's token."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import jwt

LIFETIME = timedelta(minutes=15)
BEARER = "Bearer "
AUDIENCES = ["https://communication.azure.com", "https://communication.azure.com/"]
SIGNED_HEADERS = "x-ms-date;host;x-ms-content-sha256"


class NotAuthenticated(Exception):
    """The request is unsigned, wrongly signed or too old."""


def check_token(authorization: str, access_key: str) -> None:
    """Raise NotAuthenticated unless it is a Bearer token for Communication Services that the local identity signed."""
    try:
        jwt.decode(authorization.removeprefix(BEARER), access_key, algorithms=["HS256"], audience=AUDIENCES)
    except jwt.InvalidTokenError as error:
        raise NotAuthenticated(f"the token is not accepted: {type(error).__name__}") from error


def check_signature(*, method: str, target: str, headers: Mapping[str, str], body: bytes, access_key: str) -> None:
    """Raise NotAuthenticated unless the request carries a valid signature made within 15 minutes of now.

    `target` is the path with its query exactly as it came over the wire; header names are in lower case.
    """
    date = headers.get("x-ms-date", "")
    content_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if not hmac.compare_digest(headers.get("x-ms-content-sha256", ""), content_hash):
        raise NotAuthenticated("the content hash does not match the content")
    _check_date(date)
    # Recordings are fetched through a proxy, where the host that was signed stands in a header of its own.
    host = headers.get("x-ms-host") or headers.get("host", "")
    signed = f"{method}\n{target}\n{date};{host};{content_hash}"
    digest = hmac.new(base64.b64decode(access_key), signed.encode(), hashlib.sha256).digest()
    expected = f"HMAC-SHA256 SignedHeaders={SIGNED_HEADERS}&Signature={base64.b64encode(digest).decode()}"
    if not hmac.compare_digest(headers.get("authorization", "").encode(), expected.encode()):
        raise NotAuthenticated("the signature does not match the request")


def _check_date(date: str) -> None:
    try:
        signed_at = parsedate_to_datetime(date)
    except ValueError as error:
        raise NotAuthenticated("x-ms-date is missing or unreadable") from error
    if abs(datetime.now(UTC) - signed_at.replace(tzinfo=UTC)) > LIFETIME:
        raise NotAuthenticated("x-ms-date is more than 15 minutes away")
