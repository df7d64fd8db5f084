"""A client for services that take a token of the app's identity: Microsoft Graph, Dynamics 365.

`BearerClient` is the client inside an `AcsService`; `BearerService` asks such a service and classifies what it
answers, once. Imported only where a setting chooses such a service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from shared.adapters.acs_service import MENDING_S, QUOTA, AcsService, ServiceRefusal
from shared.adapters.kept_tokens import KeptTokens
from shared.adapters.sdk_answers import require_own_answer, was_reset
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Clock, Deadline
from shared.domain.errors import NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.core.rest import HttpResponse

TOKEN_WITHIN_S = 10.0
MAX_REASON_CHARS = 40
# Reasons of a service that answers, and not for us.
REFUSALS = (IDENTITY, RIGHT) = ("identity", "right")
_ELSEWHERE = (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)
_NOT_ENABLED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class BearerClient:
    """Sends requests with a token of the app's identity. `origin` is the resource that it is for."""

    def __init__(
        self, origin: str, credential: Callable[[], TokenCredential] | None, options: Mapping[str, Any]
    ) -> None:
        from azure.core import PipelineClient

        self._origin = origin
        self._scope = f"{origin}/.default"
        self._tokens = KeptTokens(credential, SystemClock()) if credential else _managed_credential()
        self._client: PipelineClient[Any, Any] = PipelineClient(origin, policies=[], transport=options["transport"])

    def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """Send a request, and once more with another token where the first was not taken.

        Raises `AzureError` for any answer but a success, and `Unavailable` without a token.
        """
        response = self._sent(method, path, body, headers, self._token(self._tokens.get_token))
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            response = self._sent(method, path, body, headers, self._token(self._tokens.get_another))
        require_own_answer(response)
        return response

    def _sent(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None, token: str) -> HttpResponse:
        from azure.core.rest import HttpRequest

        bearer = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        request = HttpRequest(method, self._origin + path, json=body, headers=bearer | dict(headers or {}))
        response: HttpResponse = self._client.send_request(request)
        return response

    def fetch_token(self) -> None:
        """Fetch a token ahead of the first request. Raises `AzureError`, and `Unavailable` without a token."""
        self._token(self._tokens.get_token)

    def _token(self, asked: Callable[[str], AccessToken]) -> str:
        try:
            return asked(self._scope).token
        except Exception:  # noqa: BLE001 - whatever an identity's sign-in raises, there is no token
            # Without its cause: a 400 of the identity endpoint must not be read as a refusal of the request.
            raise Unavailable(
                "the app's identity gets no token", retry_after_s=MENDING_S, reason=IDENTITY, undone=True
            ) from None


def _managed_credential() -> KeptTokens:
    from shared.adapters.timely_http import managed_credential

    return managed_credential()


class Reply(Struct, frozen=True):
    """An answer of success: its JSON, None where it has no body.

    `repeated`: an earlier try was never answered, and may yet be done.
    """

    body: Any = None
    repeated: bool = False


class BearerService:
    """Asks one service, each request within a deadline. What it answers is classified here and nowhere else.

    While it has asked for a pause (429) nothing is sent to it: whoever asks is told when to come again.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str | None,
        clock: Clock,
        ca_bundle: str | None = None,
        credential: Callable[[], TokenCredential] | None = None,
        threads: int,
    ) -> None:
        """`url` is the service's origin, and the resource that tokens are for.

        `credential` None: that of the app's identity. `threads`: how many requests may be under way at once.
        """
        self._clock = clock
        self._not_before_s = 0.0
        self._service = AcsService(
            name,
            lambda _connection, endpoint, options: BearerClient(endpoint or "", credential, options),
            connection_string=None,
            endpoint=url,
            ca_bundle=ca_bundle,
            threads=threads,
        )

    def ask(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request that may be repeated: once, where no connection came about or where one broke.

        After a connection that broke (`Reply.repeated`) the first one may have arrived, and may still: whoever sent it
        has to know.

        `NotFound` (404, 405): the service does not know whom it is about, or does not do this for them. `Refused`
        (400): it would refuse it again. `Unavailable` for anything else, with its Retry-After, and with a `reason`
        where somebody has to mend something: the identity, a right, a setting.
        """
        left_s = self._not_before_s - self._clock.monotonic()
        if left_s > 0:
            raise Unavailable("the service asked for a pause", retry_after_s=left_s)
        from azure.core.exceptions import AzureError

        unanswered = False

        def sent(client: BearerClient) -> Reply:
            nonlocal unanswered
            try:
                return _read(client.send(method, path, body, headers))
            except AzureError as error:
                unanswered = unanswered or was_reset(error)
                raise

        try:
            reply = self._service.ask(sent, deadline, refusal=_refusal, repeatable=True)
        except Unavailable as failure:
            if failure.reason == QUOTA:
                # Of requests that were refused together one may have met another, shorter limit.
                self._not_before_s = max(self._not_before_s, self._clock.monotonic() + failure.retry_after_s)
            raise
        return structs.replace(reply, repeated=unanswered)

    def warm_up(self) -> None:
        """Import what it needs, make the client and fetch a token, so that the first hold need not wait for that."""
        self._service.warm_up()
        deadline = Deadline(self._clock, TOKEN_WITHIN_S)
        self._service.ask(lambda client: client.fetch_token(), deadline, refusal=lambda _: Unavailable())

    def close(self) -> None:
        """Send nothing more."""
        self._service.close()


def _read(response: HttpResponse) -> Reply:
    """Raises `ValueError` where an answer of success is no JSON: as if it had not answered."""
    text = response.text()
    return Reply(json.loads(text) if text.strip() else None)


def _refusal(answered: ServiceRefusal) -> Exception:
    if answered.status in _NOT_ENABLED:
        return NotFound(f"the service answered {answered.status}")
    if answered.status == HTTPStatus.UNAUTHORIZED:
        return Unavailable("the token is not taken", retry_after_s=MENDING_S, reason=IDENTITY)
    if answered.status == HTTPStatus.FORBIDDEN:
        return Unavailable("the app may not do this", retry_after_s=MENDING_S, reason=RIGHT)
    if answered.status in _ELSEWHERE:
        return Unavailable(f"the service answered {answered.status}")
    return Refused(f"the service answered {answered.status}", code=answered.code.lower()[:MAX_REASON_CHARS])
