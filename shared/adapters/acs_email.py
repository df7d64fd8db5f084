"""E-mail through Azure Communication Services."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.adapters.acs_service import MENDING_S, QUOTA, AcsService, ServiceRefusal
from shared.adapters.email_refusals import named_in
from shared.adapters.recent import Recent
from shared.adapters.repeatable_requests import RepeatableRequests
from shared.adapters.sdk_answers import require_own_answer
from shared.deadlines import Clock, Deadline
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.domain.ids import key_of, repeatability_id
from shared.domain.notifications import MAX_RECIPIENTS_A_MESSAGE
from shared.ports import Email

if TYPE_CHECKING:
    from azure.communication.email import EmailClient
    from azure.core.pipeline import PipelineResponse

MAX_REASON_CHARS = 40
API_VERSION = "2023-03-31"
# The statuses of an operation that sends, in lower case. With `Failed`, `Canceled` or an unknown one nothing is sent.
_TAKEN_ON = frozenset({"notstarted", "running", "succeeded"})
# The code of a failed operation of which each recipient is reported as suppressed: nothing of it is ours to mend.
_SUPPRESSED = "EmailDroppedAllRecipientsSuppressed"
NO_OPERATION = "00000000-0000-0000-0000-000000000000"
MAX_REFUSED_KEPT = MAX_UNANSWERED_KEPT = 1_000
# Longer than the five minutes for which the service knows a request again.
TRIES_KEPT_FOR = timedelta(minutes=10)
_IMPORTANT = {"x-priority": "1", "Importance": "high"}
# 400 codes that are about the sender's address; a 404 is about its domain, whatever its code.
_OF_THE_SENDER = frozenset({"InvalidSenderUserName", "DomainNotLinked", "DomainNotVerified", "SenderNotAllowed"})


class AcsEmail:
    """Port `Notifier`. One message is one request; whether it arrives is told later, by delivery reports.

    The recipients are blind copies, so that none of them sees the others; a message has no other recipients.
    """

    reports = True

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
        self._lock = threading.Lock()
        self._repeatable = RepeatableRequests(clock)
        self._refused: Recent[int] = Recent(clock, lasts=TRIES_KEPT_FOR, most=MAX_REFUSED_KEPT)
        self._unanswered: Recent[bool] = Recent(clock, lasts=TRIES_KEPT_FOR, most=MAX_UNANSWERED_KEPT)
        self._service = AcsService(
            "email",
            _make_client,
            connection_string=connection_string,
            endpoint=endpoint,
            ca_bundle=ca_bundle,
            knows_repeats=True,
        )

    def send(self, email: Email, deadline: Deadline) -> None:
        """Hand a message over, once for each `operation_id` and its words as far as the service remembers (5 minutes).

        `Unavailable`: later; with a `reason` where the service does not serve us. `RecipientsRefused`: without these
        addresses. `Refused`: this message was not taken, and the service did not say why in words of its own.
        """
        if self._sender is None:
            raise Unavailable("there is no sender address", retry_after_s=MENDING_S, reason="no_sender", undone=True)
        if not 0 < len(email.recipients) <= MAX_RECIPIENTS_A_MESSAGE:
            raise ValueError(f"a message has 1 to {MAX_RECIPIENTS_A_MESSAGE} recipients")
        message = _message(email, self._sender)
        request_id = self._request_id(email, message)
        headers = self._repeatable.headers(request_id)
        try:
            operation = self._service.ask(
                lambda client: _send(client, message, email.operation_id, headers),
                deadline,
                refusal=lambda answered: self._refusal(answered, email),
            )
        except Unavailable as away:
            self._note_unavailable(email.operation_id, request_id, away.reason)
            raise
        if not _is_taken_on(operation):
            self._count_refusal(email.operation_id)
            raise _not_taken_on(operation)

    def ping(self, deadline: Deadline) -> None:
        """See that the service answers, without sending. Raises `Unavailable`, and `Refused` where we may not ask."""
        self._service.ping(_ask_for_nothing, deadline)

    def _request_id(self, email: Email, message: dict[str, Any]) -> str:
        # The service refuses a repeat that does not match, and how late a notice is changes from one try to the next.
        with self._lock:
            tries_refused = self._refused.get(email.operation_id) or 0
        words = key_of(json.dumps(message))
        return repeatability_id(email.operation_id, f"send {tries_refused} {words}")

    def _refusal(self, answered: ServiceRefusal, email: Email) -> Exception:
        if answered.status == HTTPStatus.CONFLICT:
            # An earlier try of this request is under way: the next one is to be its repeat.
            return Unavailable("the e-mail service is at it")
        self._count_refusal(email.operation_id)
        return _refusal(answered, email.recipients)

    def _note_unavailable(self, operation_id: str, request_id: str, reason: str) -> None:
        with self._lock:
            if not reason:
                self._unanswered.note(request_id, True)
            may_be_sent = self._unanswered.get(request_id) is not None
        # An earlier try without an answer may have sent it, and a limit may be counted before the service looks whether
        # a request is a repeat: then only a repeat of that try sends nothing twice.
        if reason == QUOTA and not may_be_sent:
            self._count_refusal(operation_id)

    def _count_refusal(self, operation_id: str) -> None:
        # The service repeats a 4xx, be it a 429, to the same request for five minutes, though it was mended by then or
        # the quota's time is over. It has sent nothing: the next try is another request.
        with self._lock:
            self._refused.note(operation_id, (self._refused.get(operation_id) or 0) + 1)

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


def _send(
    client: EmailClient, message: dict[str, Any], operation_id: str, headers: dict[str, str]
) -> Mapping[str, object]:
    """Send, and see that it was the service that said 202: its operation has an id."""
    answers: list[PipelineResponse[Any, Any]] = []
    # The operation itself cannot be asked for: the SDK would read headers of it that nobody needs.
    client.begin_send(
        message, operation_id=operation_id, polling=False, headers=headers, raw_response_hook=answers.append
    )
    operation = answers[-1].http_response.json()
    if not (isinstance(operation, Mapping) and operation.get("id")):
        raise Unavailable("the e-mail service named no operation")
    return operation


def _is_taken_on(operation: Mapping[str, object]) -> bool:
    status = operation.get("status")
    runs = status is None or (isinstance(status, str) and status.casefold() in _TAKEN_ON)
    return runs or _code_of(operation) == _SUPPRESSED


def _code_of(operation: Mapping[str, object]) -> object:
    error = operation.get("error")
    return error.get("code") if isinstance(error, Mapping) else None


def _not_taken_on(operation: Mapping[str, object]) -> Unavailable:
    code = _code_of(operation)
    # The reason is logged, and what the service says besides may name people.
    plain = isinstance(code, str) and code.isascii() and code.isalpha() and len(code) <= MAX_REASON_CHARS
    return Unavailable(
        "the e-mail service accepted the message and does not send it",
        retry_after_s=MENDING_S,
        reason=str(code).lower() if plain else "operation_failed",
    )


def _ask_for_nothing(client: EmailClient) -> None:
    from azure.core.rest import HttpRequest

    # The SDK's own polling needs an operation that it began itself.
    path = f"/emails/operations/{NO_OPERATION}"
    require_own_answer(client.send_request(HttpRequest("GET", path, params={"api-version": API_VERSION})))


def _message(email: Email, sender: str) -> dict[str, Any]:
    return {
        "senderAddress": sender,
        "recipients": _recipients(email),
        "content": {"subject": email.subject, "plainText": email.text, "html": email.html},
        "headers": _IMPORTANT,
        "userEngagementTrackingDisabled": True,
    }


def _recipients(email: Email) -> dict[str, list[dict[str, str]]]:
    """Several recipients are blind copies; `to` is required in the API's schema, and an empty one satisfies it.

    Anybody's address in `to` would be shown to all the others, and the sender's own would cost a recipient more.
    """
    addresses = [{"address": address} for address in email.recipients]
    return {"to": addresses} if len(addresses) == 1 else {"to": [], "bcc": addresses}


def _refusal(answered: ServiceRefusal, recipients: tuple[str, ...]) -> Exception:
    if answered.status != HTTPStatus.BAD_REQUEST or answered.code in _OF_THE_SENDER:
        return Unavailable(
            f"the e-mail service answered {answered.status}",
            retry_after_s=MENDING_S,
            reason=answered.code.lower()[:MAX_REASON_CHARS] or f"status_{answered.status}",
            undone=True,
        )
    named = named_in(answered.text, recipients)
    if named:
        return RecipientsRefused(named)
    return Refused(f"the e-mail service answered {answered.status}", code=answered.code)
