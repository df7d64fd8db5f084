"""OData as far as it is used here: one table, a filter on one lookup, columns that exist, one row expanded."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from tests.local.dynamics.errors import DataverseError, malformed
from tests.local.dynamics.organisation import ROWS, Organisation, Status

_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FILTER = re.compile(rf"(_[a-z_]+_value) eq ({_GUID})")
_EXPAND = re.compile(r"([a-z_]+)\(\$select=([a-z_,]+)\)")
_OPTIONS = {"$select", "$filter", "$expand", "$top"}


def answer_query(organisation: Organisation, table: str, query: str) -> dict[str, Any]:
    """The rows of a table. Raises `DataverseError`."""
    options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else ())
    if unknown := set(options) - _OPTIONS:
        raise malformed(f"The query parameter {min(unknown)} is not supported.")
    read = _TABLES.get(table)
    if read is None:
        raise DataverseError(404, "0x80060888", f"Resource not found for the segment '{table}'.")
    column, lookup = read
    wanted = _FILTER.fullmatch(options.get("$filter", ""))
    if wanted is None or wanted[1] != column:
        raise malformed("This stand-in filters by one lookup, and nobody here asks for a whole table.")
    rows = [_selected(row, options) for row in lookup(organisation, wanted[2])]
    return {"@odata.context": f"https://org/api/data/v9.2/$metadata#{table}", "value": rows}


def _selected(row: dict[str, Any], options: dict[str, str]) -> dict[str, Any]:
    expanded = _expanded(row, options.get("$expand"))
    plain = {name: value for name, value in row.items() if not isinstance(value, dict)}
    if "$select" in options:
        names = options["$select"].split(",")
        for name in names:
            if name not in plain:
                raise malformed(f"Could not find a property named '{name}'.")
        plain = {name: value for name, value in plain.items() if name in names or name.startswith("@")}
    return plain | expanded


def _expanded(row: dict[str, Any], expand: str | None) -> dict[str, Any]:
    if expand is None:
        return {}
    found = _EXPAND.fullmatch(expand)
    if found is None or not isinstance(related := row.get(found[1]), dict):
        raise malformed("Could not find a property to expand.")
    names = found[2].split(",")
    if missing := [name for name in names if name not in related]:
        raise malformed(f"Could not find a property named '{missing[0]}'.")
    return {found[1]: {name: related[name] for name in names}}


def _statuses(organisation: Organisation, agent_id: str) -> list[dict[str, Any]]:
    status = organisation.status(agent_id, lagging=True)
    return [] if status is None else [_status_row(organisation, status)]


def _status_row(organisation: Organisation, status: Status) -> dict[str, Any]:
    presence = ROWS[status.presence_id]
    row = {
        "@odata.etag": f'W/"{status.version}"',
        "msdyn_agentstatusid": status.status_id,
        "_msdyn_agentid_value": status.agent_id,
        "_msdyn_currentpresenceid_value": status.presence_id,
        "msdyn_isagentloggedin": status.logged_in,
        "msdyn_presencemodifiedby": status.modified_by,
        # Dataverse keeps whole seconds; the column beside it is a text.
        "msdyn_presencemodifiedon": organisation.modified_on_says or status.modified_on.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "msdyn_presencemodifiedonwithmilliseconds": status.modified_on.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "msdyn_availableunitscapacity": 100,
        "msdyn_isblockedbysomeprofile": False,
        "msdyn_currentpresenceid": {
            "msdyn_presenceid": status.presence_id,
            "msdyn_name": presence.name,
            "msdyn_presencestatustext": presence.name,
            "msdyn_basepresencestatus": presence.base,
            "msdyn_canuserset": presence.can_user_set,
        },
    }
    if organisation.names_users:
        row["_msdyn_presencemodifiedbyuserid_value"] = status.modified_by_user
    return row


def _resources(organisation: Organisation, user_id: str) -> list[dict[str, Any]]:
    return [{"bookableresourceid": user_id, "_userid_value": user_id}] if user_id in organisation.capacity else []


def _profiles(organisation: Organisation, resource_id: str) -> list[dict[str, Any]]:
    return [
        {
            "_msdyn_bookableresourceid_value": resource_id,
            "msdyn_maxunits": profile.units,
            "msdyn_capacityprofileid": {
                "msdyn_name": profile.name,
                "msdyn_defaultmaxunits": profile.default_units,
            },
        }
        for profile in organisation.capacity.get(resource_id, [])
    ]


_TABLES = {
    "msdyn_agentstatuses": ("_msdyn_agentid_value", _statuses),
    "bookableresources": ("_userid_value", _resources),
    "msdyn_bookableresourcecapacityprofiles": ("_msdyn_bookableresourceid_value", _profiles),
}
