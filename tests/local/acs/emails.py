"""The e-mail service: takes messages, or refuses them, and reports each recipient's delivery."""

from __future__ import annotations

import re
from collections import deque
from typing import Any
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.local.acs import events
from tests.local.acs.clock import AdjustableClock
from tests.local.acs.errors import ServiceError, invalid
from tests.local.acs.messages import AcceptedEmail, EmailRules, Json
from tests.local.acs.tasks import Tasks
from tests.local.event_grid import EventGrid

MAX_RECIPIENTS = 50
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
)


class EmailService:
    """Messages accepted, in order, and what the rules make of each; `rules` may be replaced at any time."""

    def __init__(self, *, clock: AdjustableClock, grid: EventGrid, tasks: Tasks, source: str) -> None:
        self.rules = EmailRules()
        self.accepted: list[AcceptedEmail] = []
        self._operations: dict[str, Json] = {}
        self._sent_at: deque[float] = deque()
        self._clock = clock
        self._grid = grid
        self._tasks = tasks
        self._source = source

    def forget(self) -> None:
        """Back to the state at start."""
        self.rules = EmailRules()
        self.accepted.clear()
        self._operations.clear()
        self._sent_at.clear()

    async def send(self, request: Request) -> Response:
        """`POST /emails:send`: 202 with the operation, or a refusal that changes nothing."""
        operation_id = _operation_id(request.headers.get("operation-id"))
        body = await request.json()
        if not isinstance(body, dict):
            raise invalid("message")
        self._check(body)
        if operation_id in self._operations and self.rules.one_send_per_operation:
            return self._accepted_response(request, operation_id)
        self._check_quota()
        email = self._accept(operation_id, body)
        for recipient in email.recipients:
            self._tasks.start(self._report(email, recipient))
        return self._accepted_response(request, operation_id)

    async def status(self, request: Request) -> Response:
        """`GET /emails/operations/{id}`."""
        operation = self._operations.get(request.path_params["operation_id"].lower())
        if operation is None:
            raise ServiceError(404, "NotFound", "Requested message could not be located.")
        return JSONResponse(operation)

    def _accepted_response(self, request: Request, operation_id: str) -> Response:
        location = (
            f"{request.url.scheme}://{request.headers['host']}/emails/operations/{operation_id}?{request.url.query}"
        )
        headers = {"Operation-Location": location, "Retry-After": "30"}
        return JSONResponse({"id": operation_id, "status": "Running", "error": None}, 202, headers)

    def _check(self, body: Json) -> None:
        self._check_sender(str(body.get("senderAddress") or "").lower())
        content = body.get("content") or {}
        if not content.get("subject"):
            raise invalid("content.subject")
        if not content.get("html") and not content.get("plainText"):
            raise invalid("content")
        if not isinstance((body.get("recipients") or {}).get("to"), list):
            # The only field of the recipients that the published schema requires.
            raise invalid("recipients.to")
        addresses = [address for kind in ("to", "cc", "bcc") for address in _addresses(body, kind)]
        if not addresses:
            raise invalid("recipients")
        if len(addresses) > MAX_RECIPIENTS:
            raise ServiceError(400, "BadRequest", f"A message has at most {MAX_RECIPIENTS} recipients.")
        for address in addresses:
            if not _ADDRESS.fullmatch(address) or address.lower() in self.rules.refused:
                raise ServiceError(
                    400, "InvalidEmailAddress", f"Invalid format for email address: {address}", target=address
                )

    def _check_sender(self, sender: str) -> None:
        if sender in self.rules.senders:
            return
        if sender.rpartition("@")[2] in {known.rpartition("@")[2] for known in self.rules.senders}:
            raise ServiceError(
                400, "InvalidSenderUserName", "The sender's user name is not known.", target="senderAddress"
            )
        raise ServiceError(404, "DomainNotLinked", "The sender's domain has not been linked.", target="senderAddress")

    def _check_quota(self) -> None:
        now = self._clock.elapsed()
        while self._sent_at and self._sent_at[0] <= now - 3600:
            self._sent_at.popleft()
        for limit, window_s in ((self.rules.messages_per_minute, 60.0), (self.rules.messages_per_hour, 3600.0)):
            recent = [at for at in self._sent_at if at > now - window_s]
            if limit is not None and len(recent) >= limit:
                wait_s = int((recent[0] + window_s - now) / self._clock.speed) + 1
                raise ServiceError(429, "TooManyRequests", "Quota reached.", headers={"Retry-After": str(wait_s)})
        self._sent_at.append(now)

    def _accept(self, operation_id: str, body: Json) -> AcceptedEmail:
        content = body["content"]
        email = AcceptedEmail(
            number=len(self.accepted) + 1,
            operation_id=operation_id,
            sender=body["senderAddress"],
            to=_addresses(body, "to"),
            cc=_addresses(body, "cc"),
            bcc=_addresses(body, "bcc"),
            subject=content["subject"],
            plain_text=content.get("plainText") or "",
            html=content.get("html") or "",
            headers={str(name): str(value) for name, value in (body.get("headers") or {}).items()},
            accepted_at=self._clock.now().isoformat(),
            tracking_disabled=bool(body.get("userEngagementTrackingDisabled")),
        )
        self.accepted.append(email)
        self._operations[operation_id] = {"id": operation_id, "status": "Running", "error": None}
        return email

    async def _report(self, email: AcceptedEmail, recipient: str) -> None:
        rules = self.rules
        await self._clock.sleep(rules.report_after_s)
        self._settle(email)
        self._grid.publish(
            events.email_delivery_report(
                source=self._source,
                sender=email.sender,
                recipient=recipient,
                message_id=email.operation_id,
                status=rules.outcomes.get(recipient.lower(), "Delivered"),
                at=self._clock.now(),
                time_field=rules.report_time_field,
                cloud_event=rules.reports_as_cloud_events,
            )
        )

    def _settle(self, email: AcceptedEmail) -> None:
        operation = self._operations.get(email.operation_id)
        if operation is None or operation["status"] != "Running":
            return
        suppressed = [self.rules.outcomes.get(r.lower(), "").lower() == "suppressed" for r in email.recipients]
        operation["status"] = "Failed" if all(suppressed) else "Succeeded"
        if all(suppressed):
            operation["error"] = {
                "code": "EmailDroppedAllRecipientsSuppressed",
                "message": "All recipients are suppressed.",
            }


def _operation_id(header: str | None) -> str:
    if header is None:
        return str(uuid4())
    try:
        return str(UUID(header))
    except ValueError as error:
        raise invalid("Operation-Id") from error


def _addresses(body: Json, kind: str) -> list[str]:
    recipients: Any = (body.get("recipients") or {}).get(kind) or []
    return [str(recipient.get("address", "")) for recipient in recipients]
