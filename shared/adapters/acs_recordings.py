"""Recordings that Azure Communication Services made and keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from shared.adapters.acs_calls import make_call_client
from shared.adapters.acs_service import CALL_OVER, MENDING_S, NOT_CONNECTED, AcsService, ServiceRefusal, path_segment
from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from azure.communication.callautomation import CallAutomationClient
    from azure.core.pipeline.transport import HttpTransport

type Route = Callable[[HttpTransport[Any, Any]], HttpTransport[Any, Any]]

# Neither a name before `@` nor a backslash: the SDK's guard and a transport may each read another host out of those.
_PLAIN_PLACE = re.compile(r"[a-z0-9.-]+(:443)?", re.ASCII | re.IGNORECASE)
_SLASH = re.compile(r"[/\\]")
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_NEVER = (HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED)


class AcsRecordings:
    """Port `RecordingStore`.

    The SDK sends its signature to the services' own storage and to nobody else, so an event that names another place
    cannot make it delete, or learn, anything. `route` may lead the requests to a stand-in for that storage.
    """

    def __init__(
        self,
        *,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
        route: Route | None = None,
    ) -> None:
        def make(connection_string: str | None, endpoint: str | None, options: dict[str, Any]) -> CallAutomationClient:
            routed = {"transport": route(options["transport"])} if route is not None else {}
            return make_call_client(connection_string, endpoint, options | routed)

        self._service = AcsService(
            "recordings", make, connection_string=connection_string, endpoint=endpoint, ca_bundle=ca_bundle
        )

    def delete(self, location: str, deadline: Deadline) -> None:
        """Delete one file. `NotFound`: it is gone. `Unavailable`: later. `Refused`: it is not the service's."""
        self._service.ask(lambda client: _delete(client, location), deadline, refusal=_refusal, repeatable=True)

    def stop(self, recording_id: str, deadline: Deadline) -> None:
        """Stop a recording. `NotFound`: it runs no more. `Unavailable`: later. `Refused`: never."""
        self._service.ask(
            lambda client: client.stop_recording(path_segment(recording_id)),
            deadline,
            refusal=_refusal,
            repeatable=True,
        )

    def close(self) -> None:
        """Delete nothing more."""
        self._service.close()


def _delete(client: CallAutomationClient, location: str) -> None:
    from azure.communication.callautomation.recording_url_validator import validate_recording_url

    try:
        validate_recording_url(location, "location")
        place = urlsplit(location)
        steps = _SLASH.split(unquote(place.path))
        names_itself = _PLAIN_PLACE.fullmatch(place.netloc) and {".", ".."}.isdisjoint(steps)
    except (TypeError, ValueError):
        # The SDK's message names the place.
        names_itself = False
    if not names_itself:
        raise Refused("the file is not in the service's storage", code="ForeignLocation") from None
    client.delete_recording(location)


def _refusal(answered: ServiceRefusal) -> Exception:
    # What has begun was connected: then it is the end of the call, and of its recording.
    if answered.status in _GONE or answered.code in {NOT_CONNECTED, *CALL_OVER}:
        return NotFound()
    if answered.status in _NEVER:
        return Refused(f"the recordings' storage answered {answered.status}", code=answered.code)
    # A right that is missing, a file that is still being written: as long as there is a file, it must go.
    return Unavailable(f"the recordings' storage answered {answered.status}", retry_after_s=MENDING_S)
