"""`POST /users/{id}/sendMail`: what it accepts, what it refuses, and the limits of a mailbox."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.local.graph.errors import GraphError, malformed

# "Service-specific limits: Outlook" and "Exchange Online limits" in Microsoft's documents.
MAX_AT_ONCE = 4
MAX_A_MINUTE = 30
MAX_RECIPIENTS = 500
MAX_CUSTOM_HEADERS = 5
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")
_PROPERTY_ID = re.compile(r"String 0x[0-9A-Fa-f]{1,4}")
_LISTS = ("toRecipients", "ccRecipients", "bccRecipients")
_WRITABLE = {
    *("subject", "body", "importance", "internetMessageId", "internetMessageHeaders", "from", "sender", "replyTo"),
    *("singleValueExtendedProperties", *_LISTS),
}


@dataclass(frozen=True)
class AcceptedMail:
    """A message that was accepted."""

    mailbox: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    subject: str
    content_type: str
    content: str
    importance: str
    message_id: str | None
    properties: dict[str, str]
    saved: bool


@dataclass
class Mailboxes:
    """The mailboxes that there are, and what was sent from them."""

    addresses: set[str]
    now_s: Callable[[], float]
    refused: set[str] = field(default_factory=set)
    names_refused: bool = True
    """Whether a refusal names the recipients that it is about."""
    blocked: GraphError | None = None
    """What a mailbox answers that may not send."""
    accepted: list[AcceptedMail] = field(default_factory=list)
    most_seen_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._sent_at_s: deque[float] = deque()

    def send(self, mailbox: str, body: Any) -> None:
        """Accept a message. Raises `GraphError`."""
        if mailbox.lower() not in self.addresses:
            raise GraphError(404, "ErrorInvalidUser", f"The requested user '{mailbox}' is invalid.")
        message = read_message(mailbox, body)
        with self._lock:
            if self.blocked is not None:
                raise self.blocked
            self._refuse(message)
            self._count()
            self.accepted.append(message)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """A request, from its beginning to its answer: four at once are served."""
        with self._lock:
            self._under_way += 1
            self.most_seen_at_once = max(self.most_seen_at_once, self._under_way)
            too_many = self._under_way > MAX_AT_ONCE
        try:
            if too_many:
                raise GraphError(429, "ApplicationThrottled", "over its MailboxConcurrency limit.", retry_after_s=1)
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def _refuse(self, message: AcceptedMail) -> None:
        refused = [each for each in (*message.to, *message.cc, *message.bcc) if each.lower() in self.refused]
        if refused:
            named = f" ({', '.join(refused)})" if self.names_refused else ""
            raise GraphError(400, "ErrorInvalidRecipients", f"At least one recipient is not valid{named}.")

    def _count(self) -> None:
        now_s = self.now_s()
        while self._sent_at_s and now_s - self._sent_at_s[0] >= 60:
            self._sent_at_s.popleft()
        if len(self._sent_at_s) >= MAX_A_MINUTE:
            wait_s = int(60 - (now_s - self._sent_at_s[0])) + 1
            raise GraphError(429, "ErrorMessageThrottled", "Too many messages.", retry_after_s=wait_s)
        self._sent_at_s.append(now_s)


def read_message(mailbox: str, body: Any) -> AcceptedMail:
    """The message of a request. Raises `GraphError`."""
    if not isinstance(body, dict) or not isinstance(message := body.get("message"), dict):
        raise GraphError(400, "ErrorInvalidRequest", "Required parameter 'Message' is missing.")
    saved = body.get("saveToSentItems", True)
    unknown = {*body} - {"message", "saveToSentItems"} | {*message} - _WRITABLE
    if unknown or not isinstance(saved, bool):
        raise malformed("The property does not exist on type 'microsoft.graph.message' or has another type.")
    to, cc, bcc = (_addresses(message.get(name, [])) for name in _LISTS)
    if not to:
        raise GraphError(400, "ParameterValueEmpty", "The value of the parameter 'ToRecipients' is empty.")
    if len(to) + len(cc) + len(bcc) > MAX_RECIPIENTS:
        raise GraphError(400, "ErrorExceededMaxRecipientLimit", "Too many recipients.")
    _check_headers(message.get("internetMessageHeaders", []))
    content = message.get("body", {})
    return AcceptedMail(
        mailbox=mailbox,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=_text(message.get("subject", "")),
        content_type=_one_of(content.get("contentType", "text"), ("text", "html")),
        content=_text(content.get("content", "")),
        importance=_one_of(message.get("importance", "normal"), ("low", "normal", "high")),
        message_id=_message_id(message.get("internetMessageId")),
        properties=_properties(message.get("singleValueExtendedProperties", [])),
        saved=saved,
    )


def _addresses(recipients: Any) -> list[str]:
    try:
        found = [_text(each["emailAddress"]["address"]) for each in recipients]
    except (KeyError, TypeError):
        raise malformed("A recipient has an emailAddress with an address.") from None
    if not all(_ADDRESS.fullmatch(address) for address in found):
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    return found


def _check_headers(headers: list[dict[str, str]]) -> None:
    if not all(each["name"].lower().startswith("x-") for each in headers):
        raise GraphError(400, "InvalidInternetMessageHeader", "The header should start with 'x-' or 'X-'.")
    if len(headers) > MAX_CUSTOM_HEADERS:
        raise GraphError(400, "InvalidInternetMessageHeaderCollection", "Maximum number of headers exceeded.")


def _properties(properties: list[dict[str, str]]) -> dict[str, str]:
    if not all({*each} == {"id", "value"} and _PROPERTY_ID.fullmatch(each["id"]) for each in properties):
        raise GraphError(400, "ErrorInvalidProperty", "The extended property is invalid.")
    return {each["id"]: _text(each["value"]) for each in properties}


def _message_id(text: Any) -> str | None:
    if text is not None and not _MESSAGE_ID.fullmatch(_text(text)):
        raise malformed("internetMessageId is in the format of RFC 2822.")
    return None if text is None else _text(text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise malformed("A string is expected.")
    return value


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    # Graph reads the members of an enumeration whatever their case.
    if not isinstance(value, str) or value.lower() not in allowed:
        raise malformed("The value is no member of the enumeration.")
    return value.lower()
