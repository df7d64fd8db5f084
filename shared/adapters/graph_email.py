"""E-mail through Microsoft Graph, as the mailbox of the sender (`EMAIL_BACKEND=graph`).

Imported only where that setting chooses it. The token is the app's managed identity's; the application permission is
`Mail.Send`. Graph tells nothing of a message after it has accepted it: whether it arrives is not known here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.adapters.acs_service import MENDING_S, AcsService, ServiceRefusal
from shared.adapters.bearer_client import MAX_REASON_CHARS, TOKEN_WITHIN_S, BearerClient
from shared.adapters.email_refusals import named_in
from shared.adapters.recent import Recent
from shared.deadlines import Clock, Deadline
from shared.domain.errors import RecipientsRefused, Refused, Unavailable
from shared.domain.ids import derived
from shared.domain.notifications import MAX_RECIPIENTS_A_MESSAGE
from shared.ports import Email

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

# "MailboxConcurrency" in Microsoft's list of service limits: more requests at once to one mailbox are throttled.
REQUESTS_AT_ONCE = 4
# More than a process sends at once: a message without a place here would wait for its next try.
REQUESTS_WAITING = 60
MAX_ACCEPTED_KEPT = 1_000
# A repeat comes within minutes, or when the store is back. A softphone that counts its calls begins anew with the day.
ACCEPTED_KEPT_FOR = timedelta(hours=6)
# Codes of a 400 that are about the sender, its quota or the request itself. Any other 400 may be about a recipient.
_NOT_OF_A_RECIPIENT = frozenset(
    {
        *("ErrorSendAsDenied", "ErrorAccessDenied", "ErrorNonExistentMailbox", "ErrorInvalidUser"),
        *("MailboxNotEnabledForRESTAPI", "ErrorMailboxMoveInProgress", "ErrorMessageSizeExceeded"),
        *("BadRequest", "RequestBodyRead", "UnableToDeserializePostBody", "ErrorInvalidRequest"),
    }
)
_QUOTA = frozenset(
    {
        *("ErrorExceededMessageLimit", "ErrorMessageSubmissionBlocked", "ErrorQuotaExceeded"),
        *("ErrorMessageThrottled", "ApplicationThrottled", "ErrorExceededConnectionCount"),
    }
)
# The service's own description, for which any token will do.
ROOT = "/v1.0/"
# PidTagInternetReferences and PidTagInReplyToId. Graph takes no `References` among `internetMessageHeaders`: custom
# headers begin with "x-".
_REFERENCES, _IN_REPLY_TO = "String 0x1039", "String 0x1042"


class GraphEmail:
    """Port `Notifier`. One message is one request.

    Graph knows no idempotency key. What this process had accepted it does not send again; what another one repeats has
    the same Message-ID, by which mailboxes recognise a copy.
    """

    reports = False

    def __init__(
        self,
        *,
        sender: str | None,
        url: str | None,
        clock: Clock,
        ca_bundle: str | None = None,
        credential: Callable[[], TokenCredential] | None = None,
    ) -> None:
        """`url` is the origin of Graph, and the resource that tokens are for. `credential`: the identity's, if None."""
        self._sender = sender
        self._clock = clock
        self._lock = threading.Lock()
        self._accepted: Recent[bool] = Recent(clock, lasts=ACCEPTED_KEPT_FOR, most=MAX_ACCEPTED_KEPT)
        self._service = AcsService(
            "graph-email",
            lambda _connection, endpoint, options: BearerClient(endpoint or "", credential, options),
            connection_string=None,
            endpoint=url,
            ca_bundle=ca_bundle,
            threads=REQUESTS_AT_ONCE,
            waiting=REQUESTS_WAITING,
        )

    def send(self, email: Email, deadline: Deadline) -> None:
        """Hand a message over, once for each `operation_id` as far as this process remembers (1,000, six hours).

        `Unavailable`: later; with a `reason` where the service does not serve us. `RecipientsRefused`: without these
        addresses. `Refused`: this message was not taken, perhaps for a recipient.
        """
        if self._sender is None:
            raise Unavailable("there is no sender address", retry_after_s=MENDING_S, reason="no_sender", undone=True)
        if not 0 < len(email.recipients) <= MAX_RECIPIENTS_A_MESSAGE:
            raise ValueError(f"a message has 1 to {MAX_RECIPIENTS_A_MESSAGE} recipients")
        if self._was_accepted(email.operation_id):
            return
        path = f"/v1.0/users/{quote(self._sender, safe='@')}/sendMail"
        body = {"message": _message(email, self._sender), "saveToSentItems": False}
        self._service.ask(
            lambda graph: _accepted(graph.send("POST", path, body)),
            deadline,
            refusal=lambda answered: _refusal(answered, email.recipients),
        )
        self._remember(email.operation_id)

    def _was_accepted(self, operation_id: str) -> bool:
        with self._lock:
            return self._accepted.get(operation_id) is not None

    def _remember(self, operation_id: str) -> None:
        with self._lock:
            self._accepted.note(operation_id, True)

    def ping(self, deadline: Deadline) -> None:
        """See that Graph answers and the app gets a token, without sending. Raises `Unavailable`."""
        self._service.ping(lambda graph: graph.send("GET", ROOT), deadline)

    def warm_up(self) -> None:
        """Import what it needs, make the client and fetch a token, so that the first notice need not wait for that."""
        self._service.warm_up()
        deadline = Deadline(self._clock, TOKEN_WITHIN_S)
        self._service.ask(lambda graph: graph.fetch_token(), deadline, refusal=lambda _: Unavailable())

    def close(self) -> None:
        """Send nothing more."""
        self._service.close()


def _accepted(response: HttpResponse) -> None:
    """Raise `HttpResponseError` unless the message was accepted: an answer of success that says anything else."""
    from azure.core.exceptions import HttpResponseError

    if response.status_code != HTTPStatus.ACCEPTED:
        raise HttpResponseError(response=response)


def _message(email: Email, sender: str) -> dict[str, Any]:
    domain = sender.rpartition("@")[2]
    message = {
        "subject": email.subject,
        "body": {"contentType": "HTML", "content": email.html},
        "importance": "high",
        "internetMessageId": f"<{derived(email.operation_id, 'message')}@{domain}>",
        **_recipients(email, sender),
    }
    if email.thread:
        root = f"<{email.thread}@{domain}>"
        message["singleValueExtendedProperties"] = [
            {"id": property_id, "value": root} for property_id in (_REFERENCES, _IN_REPLY_TO)
        ]
    return message


def _recipients(email: Email, sender: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    """Several recipients are blind copies, and then the sender stands in `toRecipients`, which must not be empty.

    Without it Graph was seen to answer that the value of `ToRecipients` is empty (microsoft-graph-docs, issue 7878).
    """
    if len(email.recipients) == 1:
        return {"toRecipients": [_recipient(email.recipients[0])]}
    hidden = [_recipient(each) for each in email.recipients if each.casefold() != sender.casefold()]
    return {"toRecipients": [_recipient(sender)], "bccRecipients": hidden}


def _recipient(address: str) -> dict[str, dict[str, str]]:
    return {"emailAddress": {"address": address}}


def _refusal(answered: ServiceRefusal, recipients: tuple[str, ...]) -> Exception:
    if answered.code in _QUOTA:
        return Unavailable("the mailbox may send no more for now", retry_after_s=MENDING_S, reason="quota", undone=True)
    if answered.status != HTTPStatus.BAD_REQUEST or answered.code in _NOT_OF_A_RECIPIENT:
        return Unavailable(
            f"Graph answered {answered.status}",
            retry_after_s=MENDING_S,
            reason=answered.code.lower()[:MAX_REASON_CHARS] or f"status_{answered.status}",
            undone=True,
        )
    named = named_in(answered.text, recipients)
    return RecipientsRefused(named) if named else Refused(f"Graph answered {answered.status}", code=answered.code)
