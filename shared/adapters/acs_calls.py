"""Call control through Azure Communication Services Call Automation."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from shared.adapters.acs_service import AcsService, Answered
from shared.domain.errors import Refused
from shared.domain.ids import key_of, repeatability_id
from shared.domain.phone_numbers import is_e164
from shared.ports import Clock, Deadline

if TYPE_CHECKING:
    from azure.communication.callautomation import CallAutomationClient, CommunicationIdentifier

# Azure Communication Services users of the public cloud and of the sovereign ones.
_ACS_USERS = ("8:acs:", "8:gcch-acs:", "8:dod-acs:", "8:spool:")
_TEAMS_USER = "8:orgid:"


class AcsCalls:
    """Port `CallRouter`."""

    def __init__(
        self,
        *,
        clock: Clock,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._clock = clock
        self._service = AcsService(
            "calls", _make_client, connection_string=connection_string, endpoint=endpoint, ca_bundle=ca_bundle
        )

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        """Send an incoming call on to `target` (raw ACS identity or E.164), once for each `origin` and target.

        `Unavailable`: try again. `Refused`: the call is gone, or the target cannot be had.
        """
        headers = {
            # The target belongs to the id: another try of the same call with another target is another request.
            "Repeatability-Request-ID": repeatability_id(origin, f"redirect|{key_of(target)}"),
            "Repeatability-First-Sent": format_datetime(self._clock.now(), usegmt=True),
        }
        self._service.ask(
            lambda client: client.redirect_call(incoming_call_context, _identifier(target), headers=dict(headers)),
            deadline,
            refusal=_refusal,
            repeatable=True,
        )

    def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first responder need not wait for that."""
        self._service.warm_up()

    def close(self) -> None:
        """Route nothing more."""
        self._service.close()


def _make_client(connection_string: str | None, endpoint: str | None, options: dict[str, Any]) -> CallAutomationClient:
    from azure.communication.callautomation import CallAutomationClient

    if connection_string:
        return CallAutomationClient.from_connection_string(connection_string, **options)
    from shared.adapters.timely_http import managed_credential

    return CallAutomationClient(endpoint or "", managed_credential(), **options)


def _identifier(target: str) -> CommunicationIdentifier:
    from azure.communication.callautomation import (
        CommunicationUserIdentifier,
        MicrosoftTeamsUserIdentifier,
        PhoneNumberIdentifier,
        UnknownIdentifier,
    )

    if is_e164(target):
        return PhoneNumberIdentifier(target)
    if target.startswith(_TEAMS_USER):
        return MicrosoftTeamsUserIdentifier(target.removeprefix(_TEAMS_USER), raw_id=target)
    return CommunicationUserIdentifier(target) if target.startswith(_ACS_USERS) else UnknownIdentifier(target)


def _refusal(answered: Answered) -> Refused:
    return Refused(f"call control answered {answered.status}", code=answered.code)
