"""E-mail through Azure Communication Services."""

from __future__ import annotations

import re
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.adapters.acs_service import AcsService, Answered
from shared.deadlines import Clock, Deadline
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.domain.ids import repeatability_id
from shared.domain.notifications import MOST_RECIPIENTS_A_MESSAGE
from shared.ports import Email

if TYPE_CHECKING:
    from azure.communication.email import EmailClient

# A key being rotated, a role that has just been assigned: somebody mends it, and the notice still counts then.
MENDING_S = 30.0
_IMPORTANT = {"x-priority": "1", "Importance": "high"}
_PART_OF_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~@-]"


class AcsEmail:
    """Port `Notifier`. One message is one request; whether it arrives is told later, by delivery reports.

    The recipients are blind copies, so that none of them sees the others; a message has no other recipients.
    """

    def __init__(
        self,
        *,
        sender: str | None,
        clock: Clock,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._service = AcsService(
            "email", _make_client, connection_string=connection_string, endpoint=endpoint, ca_bundle=ca_bundle
        )

    def send(self, email: Email, deadline: Deadline) -> None:
        """Hand a message over, once for each `operation_id` as far as the service remembers (5 minutes).

        `Unavailable`: later. `RecipientsRefused`: without these addresses. `Refused`: never, as it stands.
        """
        if self._sender is None:
            raise Refused("there is no sender address", code="NoSender")
        if not 0 < len(email.recipients) <= MOST_RECIPIENTS_A_MESSAGE:
            raise ValueError(f"a message has 1 to {MOST_RECIPIENTS_A_MESSAGE} recipients")
        message = _message(email, self._sender)
        headers = {
            "Repeatability-Request-ID": repeatability_id(email.operation_id, "send"),
            "Repeatability-First-Sent": format_datetime(self._clock.now(), usegmt=True),
        }
        self._service.ask(
            lambda client: client.begin_send(message, operation_id=email.operation_id, polling=False, headers=headers),
            deadline,
            refusal=lambda answered: _refusal(answered, email.recipients),
        )

    def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first notice need not wait for that."""
        self._service.warm_up()

    def close(self) -> None:
        """Send nothing more."""
        self._service.close()


def _make_client(connection_string: str | None, endpoint: str | None, options: dict[str, Any]) -> EmailClient:
    from azure.communication.email import EmailClient

    if connection_string:
        return EmailClient.from_connection_string(connection_string, **options)
    from shared.adapters.timely_http import managed_credential

    return EmailClient(endpoint or "", managed_credential(), **options)


def _message(email: Email, sender: str) -> dict[str, Any]:
    return {
        "senderAddress": sender,
        "recipients": {_field(email): [{"address": address} for address in email.recipients]},
        "content": {"subject": email.subject, "plainText": email.text, "html": email.html},
        "headers": _IMPORTANT,
        "userEngagementTrackingDisabled": True,
    }


def _field(email: Email) -> str:
    # Several recipients do not see one another. Nothing documents whether a message may do without any `to`: were it
    # refused for that, the notice is sent to each recipient alone in the end, and then this one stands in `to`.
    return "to" if len(email.recipients) == 1 else "bcc"


def _refusal(answered: Answered, recipients: tuple[str, ...]) -> Exception:
    if answered.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Unavailable("the e-mail service does not let the app in", retry_after_s=MENDING_S)
    named = frozenset(address for address in recipients if _names(answered.text, address))
    if answered.status == HTTPStatus.BAD_REQUEST and named:
        return RecipientsRefused(named)
    return Refused(f"the e-mail service answered {answered.status}", code=answered.code)


def _names(text: str, address: str) -> bool:
    # Whole addresses only: a@b.example must not be taken for aa@b.example.
    pattern = f"(?<!{_PART_OF_ADDRESS}){re.escape(address)}(?![A-Za-z0-9@-])"
    return re.search(pattern, text, re.IGNORECASE) is not None
