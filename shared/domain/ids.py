"""Ids of our own, derived so that a repeat is the same thing and not a second one."""

import hashlib
import uuid

NAMESPACE = uuid.UUID("6f0c1b0e-8f0d-5b57-9a83-8a3b0a1f9f11")
KEY_HEX_DIGITS = 32


def key_of(outside_id: str) -> str:
    """A fixed-length key for an id from outside, which may hold slashes, control characters or 600 characters.

    128 bits of SHA-256 in hexadecimal: safe in a RowKey, and no way back to the id.
    """
    return hashlib.sha256(outside_id.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_HEX_DIGITS]


def leg_id_of(agent_id: str, call_id: str) -> str:
    """The id of an agent's leg, the same whichever way and however often the call is reported."""
    return derived(f"{key_of(agent_id)}|{key_of(call_id)}", "leg")


def derived(origin: str, purpose: str) -> str:
    """A UUID for what `origin` owes for `purpose`: idempotency keys, operation ids, holds."""
    return str(uuid.uuid5(NAMESPACE, f"{origin}|{purpose}"))


def repeatability_id(origin: str, purpose: str) -> str:
    """As `derived`, shaped as version 4, which some services insist on for `Repeatability-Request-ID`."""
    digest = bytearray(uuid.UUID(derived(origin, purpose)).bytes)
    digest[6] = (digest[6] & 0x0F) | 0x40
    digest[8] = (digest[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))
