"""Capacity profiles of agents in Dynamics 365, for readiness (port `OutboundProfiles`).

An agent is a bookable resource there; what is assigned to it names a capacity profile, and may have a limit of its own.
"""

from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct, field

from shared.adapters.bearer_client import BearerService
from shared.adapters.dynamics_presence import API, ODATA, Guid
from shared.deadlines import Deadline
from shared.domain.agents import Agent, CapacityProfile
from shared.domain.errors import EmergencyCallingError, Unavailable

# It is shown to administrators, as JSON, which takes no half surrogate pair.
type ProfileName = Annotated[str, Meta(pattern=r"\A[^\ud800-\udfff]{0,200}\Z")]


class _Resource(Struct, frozen=True):
    resource_id: Guid = field(name="bookableresourceid")


class _Resources(Struct, frozen=True):
    value: list[_Resource]


class _Profile(Struct, frozen=True):
    name: ProfileName = field(name="msdyn_name")
    limit: int | None = field(default=None, name="msdyn_defaultmaxunits")


class _Assignment(Struct, frozen=True):
    profile: _Profile | None = field(default=None, name="msdyn_capacityprofileid")
    limit: int | None = field(default=None, name="msdyn_maxunits")


class _Assignments(Struct, frozen=True):
    value: list[_Assignment]


class DynamicsProfiles:
    """Port `OutboundProfiles`."""

    def __init__(self, service: BearerService) -> None:
        self._service = service

    def of(self, agent: Agent, deadline: Deadline) -> tuple[CapacityProfile, ...]:
        """The agent's capacity profiles. Raises `Unavailable`, also for one whom Dynamics does not know by an id."""
        if agent.dynamics_user_id is None:
            raise Unavailable
        user = f"bookableresources?$select=bookableresourceid&$filter={_is('_userid_value', agent.dynamics_user_id)}"
        found: list[CapacityProfile] = []
        for resource in self._read(user, _Resources, deadline).value:
            of_resource = _is("_msdyn_bookableresourceid_value", resource.resource_id)
            assigned = (
                "msdyn_bookableresourcecapacityprofiles?$select=msdyn_maxunits"
                "&$expand=msdyn_capacityprofileid($select=msdyn_name,msdyn_defaultmaxunits)"
                f"&$filter={of_resource}"
            )
            found += [
                CapacityProfile(name=each.profile.name, limit=each.profile.limit if each.limit is None else each.limit)
                for each in self._read(assigned, _Assignments, deadline).value
                if each.profile is not None
            ]
        return tuple(found)

    def _read[T](self, target: str, kind: type[T], deadline: Deadline) -> T:
        try:
            return msgspec.convert(self._service.ask("GET", f"{API}/{target}", deadline, headers=ODATA).body, kind)
        except (EmergencyCallingError, msgspec.ValidationError, UnicodeError):
            # It is told as unknown, whatever the reason.
            raise Unavailable from None


def _is(column: str, value: str) -> str:
    return quote(f"{column} eq {value.lower()}")
