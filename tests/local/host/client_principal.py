"""A malformed `X-MS-CLIENT-PRINCIPAL` is a 500 without a body: the host reads it before any function does."""

from __future__ import annotations

import base64
import binascii
import json

HEADER = "x-ms-client-principal"


def is_readable(value: str | None) -> bool:
    """Whether the host can read the header: absent or empty, or a JSON object in base64."""
    if not value:
        return True
    try:
        return isinstance(json.loads(base64.b64decode(value, validate=True)), dict)
    except (binascii.Error, ValueError):
        return False
