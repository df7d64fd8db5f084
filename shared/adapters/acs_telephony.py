"""What Communication Services says of voice routes and of the numbers bought: read only, remembered, never at a dial.

`set_routes` of the same client overwrites every route and is not used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.adapters.acs_service import AcsService, ServiceRefusal
from shared.deadlines import Clock, Deadline
from shared.domain.errors import EmergencyCallingError, Refused, Unavailable
from shared.domain.voice_routes import OwnedNumber, Telephony, VoiceRoute

if TYPE_CHECKING:
    from datetime import datetime

    from azure.communication.phonenumbers import PhoneNumbersClient, PurchasedPhoneNumber
    from azure.communication.phonenumbers.siprouting import SipRoutingClient

REMEMBERED_S = 300.0
READ_WITHIN_S = 8.0
MAX_NUMBERS = 10_000
# Of 100 numbers each, and some to spare.
MAX_PAGES = 200
MAX_ROUTES = 500


class AcsTelephony:
    """Port `TelephonyReader`."""

    def __init__(
        self,
        *,
        clock: Clock,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._known = Telephony()
        self._routing = AcsService(
            "sip-routing",
            _make_routing_client,
            connection_string=connection_string,
            endpoint=endpoint,
            ca_bundle=ca_bundle,
        )
        self._numbers = AcsService(
            "numbers", _make_numbers_client, connection_string=connection_string, endpoint=endpoint, ca_bundle=ca_bundle
        )

    def read(self, deadline: Deadline) -> Telephony:
        """What is known, read anew where that is some minutes old; what is not answered in time is as it was."""
        with self._lock:
            due = self._clock.monotonic() - self._read_at >= REMEMBERED_S
        if not due:
            return self._known
        reading = Deadline(self._clock, min(READ_WITHIN_S, deadline.remaining_s()))
        routes = self._routing.begin(_routes, reading, refusal=_refusal, repeatable=True)
        numbers = self._numbers.begin(
            lambda client: _numbers(client, self._numbers.is_own), reading, refusal=_refusal, repeatable=True
        )
        now = self._clock.now()
        complete = True
        try:
            self._keep(routes=routes.result(), routes_at=now)
        except EmergencyCallingError:
            complete = False
        try:
            self._keep(numbers=numbers.result(), numbers_at=now)
        except EmergencyCallingError:
            complete = False
        if complete:
            with self._lock:
                self._read_at = self._clock.monotonic()
        return self._known

    def _keep(
        self,
        *,
        routes: tuple[VoiceRoute, ...] | None = None,
        routes_at: datetime | None = None,
        numbers: tuple[OwnedNumber, ...] | None = None,
        numbers_at: datetime | None = None,
    ) -> None:
        with self._lock:
            known = self._known
            self._known = Telephony(
                routes=known.routes if routes is None else routes,
                routes_at=known.routes_at if routes is None else routes_at,
                numbers=known.numbers if numbers is None else numbers,
                numbers_at=known.numbers_at if numbers is None else numbers_at,
            )

    def close(self) -> None:
        """Ask nothing more."""
        self._routing.close()
        self._numbers.close()


def _make_routing_client(
    connection_string: str | None, endpoint: str | None, options: dict[str, Any]
) -> SipRoutingClient:
    from azure.communication.phonenumbers.siprouting import SipRoutingClient

    if connection_string:
        return SipRoutingClient.from_connection_string(connection_string, **options)
    from shared.adapters.timely_http import managed_credential

    return SipRoutingClient(endpoint or "", managed_credential(), **options)


def _make_numbers_client(
    connection_string: str | None, endpoint: str | None, options: dict[str, Any]
) -> PhoneNumbersClient:
    from azure.communication.phonenumbers import PhoneNumbersClient

    if connection_string:
        return PhoneNumbersClient.from_connection_string(connection_string, **options)
    from shared.adapters.timely_http import managed_credential

    return PhoneNumbersClient(endpoint or "", managed_credential(), **options)


def _routes(client: SipRoutingClient) -> tuple[VoiceRoute, ...]:
    routes = [
        VoiceRoute(name=str(each.name), number_pattern=str(each.number_pattern), trunks=tuple(each.trunks or ()))
        for each in client.list_routes()
    ]
    if len(routes) > MAX_ROUTES:
        raise Unavailable
    return tuple(routes)


def _numbers(client: PhoneNumbersClient, is_own: Callable[[str], bool]) -> tuple[OwnedNumber, ...]:
    """The numbers on all pages of the list; `Unavailable` where it has no end, or where its next page is not its own.

    The SDK signs the request for a next page wherever that is.
    """
    pages = client.list_purchased_phone_numbers().by_page()
    numbers: list[OwnedNumber] = []
    for _ in range(MAX_PAGES):
        page = next(pages, None)
        if page is None:
            return tuple(numbers)
        numbers += [_owned(each) for each in page]
        if len(numbers) > MAX_NUMBERS or not is_own(getattr(pages, "continuation_token", None) or ""):
            break
    raise Unavailable("The list of numbers cannot be read to its end.")


def _owned(number: PurchasedPhoneNumber) -> OwnedNumber:
    calling = _text(number.capabilities.calling)
    return OwnedNumber(
        number=str(number.phone_number),
        inbound="inbound" in calling,
        outbound="outbound" in calling,
        of_application=_text(number.assignment_type) == "application",
    )


def _text(value: object) -> str:
    """The wire's text, whether the SDK knows it as a member of an enumeration or not."""
    return str(getattr(value, "value", value) or "").lower()


def _refusal(answered: ServiceRefusal) -> Exception:
    return Refused(f"the service answered {answered.status}", code=answered.code)
