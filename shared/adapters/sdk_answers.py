"""What all services answer alike, through an Azure SDK: storage, Communication Services, Graph, Dynamics 365."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.core.rest import HttpResponse

# For every client of an SDK. The SDK would send the whole request again to wherever a 307 or 308 says, with the names
# and numbers in it, and take the answer of that place for the service's.
NO_REDIRECTS = {"permit_redirects": False}
MIN_WAIT_S, USUAL_WAIT_S = 0.5, 2.0
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


def was_reset(error: AzureError) -> bool:
    """Whether a connection broke before any of the answer came: a repeat costs nothing and may help."""
    from azure.core.exceptions import ServiceResponseError, ServiceResponseTimeoutError

    return isinstance(error, ServiceResponseError) and not isinstance(error, ServiceResponseTimeoutError)


def never_sent(error: AzureError) -> bool:
    """Whether no connection came about, and not for want of time: nothing was carried out, so a repeat costs nothing.

    A front end that is being replaced resets a handshake, and the next one succeeds.
    """
    from azure.core.exceptions import ServiceRequestError, ServiceRequestTimeoutError

    return isinstance(error, ServiceRequestError) and not isinstance(error, ServiceRequestTimeoutError)


def never_left(error: AzureError) -> bool:
    """Whether the request itself was not sent: no connection came about, for want of time too, or no token."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

    return isinstance(error, ServiceRequestError | ClientAuthenticationError)


def is_busy(status: int) -> bool:
    """Whether the service is busy or broken, and may take the same request later."""
    return status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def require_own_answer(response: HttpResponse) -> None:
    """Raise `HttpResponseError` unless it is a success: the SDK's `raise_for_status` lets a redirect pass."""
    from azure.core.exceptions import HttpResponseError

    if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        raise HttpResponseError(response=response)


def retry_after_s(response: HttpResponse | None, *, most_s: float) -> float:
    """The seconds that the service asks us to wait, within reason."""
    said = _said_s(response.headers) if response is not None else None
    return USUAL_WAIT_S if said is None else min(most_s, max(MIN_WAIT_S, said))


def _said_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, or a time (RFC 9110, 10.2.3), which is said by the service's clock, as the answer's own date is."""
    said = headers.get("Retry-After", "")
    try:
        return float(said)
    except ValueError:
        pass
    try:
        # Without a zone, as C's asctime writes it, both are in UTC.
        until, now = (parsedate_to_datetime(each).replace(tzinfo=UTC) for each in (said, headers.get("Date", "")))
    except ValueError:
        return None
    return (until - now).total_seconds()
