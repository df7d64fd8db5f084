"""Raw ids of people and their JSON forms."""

from __future__ import annotations

from tests.local.acs.messages import Json


def raw_id(identity: str) -> str:
    """The raw id of an identity given as a raw id or as an E.164 number."""
    return f"4:{identity}" if identity.startswith("+") else identity


def is_phone_number(identity: str) -> bool:
    """Whether the person is reached over the telephone network."""
    return raw_id(identity).startswith("4:")


def model(identity: str, *, with_kind: bool = True) -> Json:
    """The JSON form of an identity; `kind` is left out by some sources."""
    raw = raw_id(identity)
    body: Json
    if raw.startswith("4:"):
        body = {"kind": "phoneNumber", "rawId": raw, "phoneNumber": {"value": raw.removeprefix("4:")}}
    elif raw.startswith("8:orgid:"):
        body = {
            "kind": "microsoftTeamsUser",
            "rawId": raw,
            "microsoftTeamsUser": {"userId": raw.removeprefix("8:orgid:"), "isAnonymous": False, "cloud": "public"},
        }
    elif raw.startswith("8:"):
        body = {"kind": "communicationUser", "rawId": raw, "communicationUser": {"id": raw}}
    else:
        body = {"kind": "unknown", "rawId": raw}
    if not with_kind:
        del body["kind"]
    return body


def raw_id_of(body: Json) -> str | None:
    """The raw id in a JSON identity as the SDK writes it, where `rawId` may be absent."""
    if isinstance(raw := body.get("rawId"), str):
        return raw
    if isinstance(number := (body.get("phoneNumber") or {}).get("value"), str):
        return f"4:{number}"
    if isinstance(user := (body.get("communicationUser") or {}).get("id"), str):
        return user
    if isinstance(user := (body.get("microsoftTeamsUser") or {}).get("userId"), str):
        return f"8:orgid:{user}"
    return None
