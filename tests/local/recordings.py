"""Leads requests for the recordings' storage to the stand-in; the SDK itself asks only hosts of the service's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from azure.core.pipeline.transport import HttpTransport

from shared.adapters.acs_recordings import Route

STORAGE = (".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us")


def endpoint_of(settings: Mapping[str, str]) -> str | None:
    """Where an app of these settings looks for Communication Services."""
    parts = settings.get("COMMUNICATION_SERVICES_CONNECTION_STRING", "").split(";")
    named = [part.partition("=")[2] for part in parts if part.lower().startswith("endpoint=")]
    return named[0] if named else settings.get("COMMUNICATION_SERVICES_ENDPOINT")


def route_to(endpoint: str | None) -> Route | None:
    """A route to the stand-in at `endpoint`; None where that is no address of this machine, but the service itself."""
    host = urlsplit(endpoint or "").hostname or ""
    return (lambda transport: _Led(transport, endpoint or "")) if _is_loopback(host) else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Led(HttpTransport[Any, Any]):
    def __init__(self, transport: HttpTransport[Any, Any], endpoint: str) -> None:
        self._transport = transport
        self._endpoint = urlsplit(endpoint)

    def open(self) -> None:
        self._transport.open()

    def close(self) -> None:
        self._transport.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Any, **options: Any) -> Any:
        parts = urlsplit(request.url)
        if (parts.hostname or "").endswith(STORAGE):
            request.url = urlunsplit(parts._replace(scheme=self._endpoint.scheme, netloc=self._endpoint.netloc))
            # What was signed is the endpoint with its port; this header names it without.
            request.headers["x-ms-host"] = self._endpoint.netloc
        return self._transport.send(request, **options)
