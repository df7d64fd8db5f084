"""Raw ids of people and their JSON forms."""

from __future__ import annotations

from tests.local.acs.messages import Json

_TEAMS_CLOUDS = {"8:orgid:": "public", "8:gcch:": "gcch", "8:dod:": "dod", "8:teamsvisitor:": "public"}
_APP_CLOUDS = {"28:orgid:": "public", "28:gcch:": "gcch", "28:dod:": "dod"}
_ACS_CLOUDS = {"8:acs:": "public", "8:gcch-acs:": "gcch", "8:dod-acs:": "dod"}
_PARTS_OF_EXTENSION_USER = 3


def raw_id(identity: str) -> str:
    """The raw id of an identity given as a raw id or as an E.164 number."""
    return f"4:{identity}" if identity.startswith("+") else identity


def kind_of(identity: str) -> str:
    """The kind under which the service knows an identity; `unknown` for what it cannot reach."""
    raw = raw_id(identity)
    prefix = ":".join(raw.split(":")[:2]) + ":"
    if raw.startswith("4:"):
        return "phoneNumber"
    if prefix in _TEAMS_CLOUDS:
        return "microsoftTeamsUser"
    if prefix in _APP_CLOUDS:
        return "microsoftTeamsApp"
    if prefix in _ACS_CLOUDS and len(raw.split("_")) == _PARTS_OF_EXTENSION_USER:
        return "teamsExtensionUser"
    return "communicationUser" if prefix in (*_ACS_CLOUDS, "8:spool:") else "unknown"


def named_rightly(body: Json) -> bool:
    """Whether an identity in a request is given under its own kind, and under no other.

    A raw id alone is no kind: the service has nothing to reach it by.
    """
    raw = raw_id_of(body)
    kinds = set(body) - {"kind", "rawId"}
    return raw is not None and kinds == {kind_of(raw)} and body.get("kind") in (None, kind_of(raw))


def is_phone_number(identity: str) -> bool:
    """Whether the person is reached over the telephone network."""
    return raw_id(identity).startswith("4:")


def model(identity: str, *, with_kind: bool = True) -> Json:
    """The JSON form of an identity; `kind` is left out by some sources."""
    raw = raw_id(identity)
    kind = kind_of(raw)
    body: Json = {"kind": kind, "rawId": raw}
    prefix, _, suffix = raw.rpartition(":")
    match kind:
        case "phoneNumber":
            body[kind] = {"value": suffix.partition("_")[0]}
        case "microsoftTeamsUser":
            anonymous = prefix == "8:teamsvisitor"
            body[kind] = {"userId": suffix, "isAnonymous": anonymous, "cloud": _TEAMS_CLOUDS[f"{prefix}:"]}
        case "microsoftTeamsApp":
            body[kind] = {"appId": suffix, "cloud": _APP_CLOUDS[f"{prefix}:"]}
        case "teamsExtensionUser":
            resource, tenant, user = suffix.split("_")
            body[kind] = {
                "resourceId": resource,
                "tenantId": tenant,
                "userId": user,
                "cloud": _ACS_CLOUDS[f"{prefix}:"],
            }
        case "communicationUser":
            body[kind] = {"id": raw}
        case _:
            pass
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
