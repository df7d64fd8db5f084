"""Repeatable requests: the same request is executed once, and its first answer repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

from starlette.responses import Response

from tests.local.acs.clock import AdjustableClock
from tests.local.acs.errors import ServiceError

WINDOW = timedelta(minutes=5)
RESULT_HEADER = "Repeatability-Result"


@dataclass(frozen=True)
class _Kept:
    """A request that was executed, or is: when, what it said, and its answer."""

    at: float
    content: bytes
    answer: asyncio.Future[Response]


class RepeatableRequests:
    """Answers kept for five minutes by Repeatability-Request-ID, as documented for these services.

    After a try that failed (5xx) the repeat is executed. What is `tracked` is as the page of that name ("Repeatability
    of requests") says of e-mail: each 2xx and 4xx is repeated, be it a 429; 409 while the first request is under way,
    and 400 for a repeat that says something else. Of calls no page says any of these: after a 429 a repeat is executed.
    """

    def __init__(self, clock: AdjustableClock) -> None:
        self._clock = clock
        self._answers: dict[tuple[str, str], _Kept] = {}

    def forget(self) -> None:
        """Back to the state at start."""
        self._answers.clear()

    async def once(
        self,
        *,
        target: str,
        headers: Mapping[str, str],
        content: bytes,
        tracked: bool,
        execute: Callable[[], Awaitable[Response]],
    ) -> tuple[Response, bool]:
        """The answer to a request, and whether it is a repeated one."""
        request_id = headers.get("repeatability-request-id")
        if request_id is None:
            return await execute(), False
        self._check(request_id, headers.get("repeatability-first-sent", ""))
        self._forget_old()
        key = (target, request_id.lower())
        if (kept := self._answers.get(key)) is not None:
            if tracked:
                _require_repeat(kept, content)
            return await asyncio.shield(kept.answer), True
        return await self._execute(key, content, execute, tracked=tracked), False

    async def _execute(
        self, key: tuple[str, str], content: bytes, execute: Callable[[], Awaitable[Response]], *, tracked: bool
    ) -> Response:
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._answers[key] = _Kept(self._clock.elapsed(), content, answer)
        try:
            response = await execute()
        except BaseException:
            # Whoever waits for this answer is told to come again; nothing was settled.
            self._answers.pop(key, None)
            answer.set_result(ServiceError(503, "ServiceUnavailable", "The first request failed.").response())
            raise
        if response.status_code >= 500 or (response.status_code == 429 and not tracked):
            self._answers.pop(key, None)
        else:
            response.headers[RESULT_HEADER] = "accepted"
        answer.set_result(response)
        return response

    def _check(self, request_id: str, first_sent: str) -> None:
        try:
            UUID(request_id)
            sent_at = parsedate_to_datetime(first_sent)
        except ValueError as error:
            raise ServiceError(400, "BadRequest", "The repeatability headers are malformed.") from error
        if abs(self._clock.now() - sent_at) > WINDOW:
            raise ServiceError(
                412,
                "PreconditionFailed",
                "The request was first sent too long ago.",
                headers={RESULT_HEADER: "rejected"},
            )

    def _forget_old(self) -> None:
        oldest = self._clock.elapsed() - WINDOW.total_seconds() * max(1.0, self._clock.speed)
        self._answers = {key: kept for key, kept in self._answers.items() if kept.at >= oldest}


def _require_repeat(kept: _Kept, content: bytes) -> None:
    rejected = {RESULT_HEADER: "rejected"}
    if content != kept.content:
        raise ServiceError(400, "BadRequest", "It does not match the previous request.", headers=rejected)
    if not kept.answer.done():
        raise ServiceError(409, "Conflict", "The original request is still in progress.", headers=rejected)
