"""The stand-in put together: routes, checks and faults in one application, served over TLS."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.local.acs.authentication import BEARER, NotAuthenticated, check_signature, check_token
from tests.local.acs.call import Line
from tests.local.acs.call_routes import CallRoutes
from tests.local.acs.clock import AdjustableClock
from tests.local.acs.control import ControlRoutes
from tests.local.acs.emails import EmailService
from tests.local.acs.errors import ServiceError
from tests.local.acs.faults import FaultLayer, Faults
from tests.local.acs.messages import LoggedRequest
from tests.local.acs.mid_call import MidCallEvents
from tests.local.acs.network import Network
from tests.local.acs.repeatability import RepeatableRequests
from tests.local.acs.signing import TokenSigner
from tests.local.acs.tasks import Tasks
from tests.local.acs.telephony import TelephonyService
from tests.local.event_grid import EventGrid

type Operation = Callable[[Request], Awaitable[Response]]

SEND_EMAIL = "/emails:send"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the stand-in is: its key, its control token and the ids of its resource."""

    access_key: str
    control_token: str
    resource_id: str = "7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1"
    event_source: str = (
        "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg-emergency"
        "/providers/Microsoft.Communication/communicationServices/acs-emergency"
    )

    @staticmethod
    def new() -> Identity:
        """An identity with secrets of its own."""
        return Identity(access_key=_secret_key(), control_token=secrets.token_urlsafe(24))


def _secret_key() -> str:
    return base64.b64encode(secrets.token_bytes(48)).decode()


class Service:
    """All parts of the stand-in, made inside a running event loop."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.clock = AdjustableClock()
        self.tasks = Tasks()
        self.grid = EventGrid()
        self.signer = TokenSigner(clock=self.clock, audience=identity.resource_id)
        self.mid_call = MidCallEvents(clock=self.clock, signer=self.signer, tasks=self.tasks)
        self.emails = EmailService(clock=self.clock, grid=self.grid, tasks=self.tasks, source=identity.event_source)
        self.telephony = TelephonyService()
        line = Line(
            clock=self.clock,
            grid=self.grid,
            mid_call=self.mid_call,
            tasks=self.tasks,
            source=identity.event_source,
        )
        self.network = Network(line)
        self.repeatable = RepeatableRequests(self.clock)
        self.faults = Faults()
        self.log: list[LoggedRequest] = []

    async def stop(self) -> None:
        """End everything in the background."""
        await self.tasks.stop()
        await self.grid.aclose()

    def application(self) -> ASGIApp:
        """The ASGI application: faults outside, then signature, repeatability and the operations."""
        control = ControlRoutes(self)
        app = Starlette(routes=[*self._service_routes(), *control.routes()], lifespan=self._lifespan)
        return FaultLayer(app, faults=self.faults, log=self.log)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self.stop()

    def _service_routes(self) -> list[Route]:
        calls = CallRoutes(self.network)
        call = "/calling/callConnections/{call_id}"
        recording = "/calling/recordings/{recording_id}"
        table: list[tuple[str, str, Operation]] = [
            ("POST", SEND_EMAIL, self.emails.send),
            ("GET", "/emails/operations/{operation_id}", self.emails.status),
            ("GET", "/sip", self.telephony.routing),
            ("GET", "/phoneNumbers", self.telephony.numbers),
            ("POST", "/calling/callConnections:answer", calls.answer),
            ("POST", "/calling/callConnections:redirect", calls.redirect),
            ("POST", "/calling/callConnections:reject", calls.reject),
            ("POST", "/calling/callConnections:connect", calls.connect),
            ("POST", call + "/participants:add", calls.add),
            ("POST", call + "/participants:remove", calls.remove),
            ("POST", call + "/participants:mute", calls.mute),
            ("POST", call + "/participants:cancelAddParticipant", calls.cancel_add),
            ("GET", call + "/participants", calls.participants),
            ("GET", call + "/participants/{raw_id}", calls.participant),
            ("POST", call + ":play", calls.play),
            ("POST", call + ":cancelAllMediaOperations", calls.cancel_media),
            ("POST", call + ":terminate", calls.terminate),
            ("GET", call, calls.get_call),
            ("DELETE", call, calls.hang_up),
            ("POST", "/calling/recordings", calls.start_recording),
            ("POST", recording + ":pause", calls.pause_recording),
            ("POST", recording + ":resume", calls.resume_recording),
            ("GET", recording, calls.recording_state),
            ("DELETE", recording, calls.stop_recording),
            ("DELETE", "/v1/objects/{document_id}", calls.delete_document),
        ]
        signed = [Route(path, self._signed(operation), methods=[method]) for method, path, operation in table]
        return [*signed, Route("/calling/keys", self._keys)]

    async def _keys(self, _: Request) -> Response:
        """The keys that mid-call tokens are signed with; public, as the service's are."""
        return JSONResponse(self.signer.key_set())

    def _signed(self, operation: Operation) -> Operation:
        """An operation behind the signature check and, for POST, the repeatability headers."""

        async def serve(request: Request) -> Response:
            try:
                await self._check_signature(request)
                return await self._execute(operation, request)
            except ServiceError as refusal:
                return refusal.response()

        return serve

    async def _execute(self, operation: Operation, request: Request) -> Response:
        execute = functools.partial(_refusals_answered, operation, request)
        if request.method != "POST":
            return await execute()
        target = request.url.path
        request.state.logged.first_sent = request.headers.get("repeatability-first-sent")
        response, repeated = await self.repeatable.once(
            target=target,
            headers=request.headers,
            content=await request.body(),
            tracked=target == SEND_EMAIL,
            execute=execute,
        )
        request.state.logged.repeated = repeated
        return response

    async def _check_signature(self, request: Request) -> None:
        target = cast(bytes, request.scope["raw_path"]).decode()
        if request.url.query:
            target = f"{target}?{request.url.query}"
        authorization = request.headers.get("authorization", "")
        try:
            if authorization.startswith(BEARER):
                check_token(authorization, self.identity.access_key)
            else:
                check_signature(
                    method=request.method,
                    target=target,
                    headers=request.headers,
                    body=await request.body(),
                    access_key=self.identity.access_key,
                )
        except NotAuthenticated as error:
            raise ServiceError(401, "Denied", f"Denied by the resource provider: {error}.") from error
        if "api-version" not in request.query_params and not request.url.path.startswith("/v1/objects/"):
            raise ServiceError(400, "MissingApiVersionParameter", "The api-version parameter is required.")


async def _refusals_answered(operation: Operation, request: Request) -> Response:
    """Run an operation; a refusal and a malformed body are answers too, and kept like any other."""
    try:
        return await operation(request)
    except ServiceError as refusal:
        return refusal.response()
    except json.JSONDecodeError:
        return ServiceError(400, "BadRequest", "The request body is malformed.").response()


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol that hands its connection to the application, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app: Any = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope["connection"] = transport
            await app(scope, receive, send)

        self.app = cast(Any, with_connection)


class TlsServer(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets=sockets)
        self._ready()


def configure(app: ASGIApp) -> uvicorn.Config:
    """Settings of uvicorn for the stand-in: its own protocol class, no access log (it would hold ids)."""
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
