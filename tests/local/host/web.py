"""The host's HTTP side: the app's routes, the Event Grid webhook, and what an operator may ask of the host."""

from __future__ import annotations

import asyncio
import hmac
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.local.clock import MovableClock
from tests.local.host import client_principal, event_grid, limits
from tests.local.host.repeated import HeaderError, joined_headers, joined_query
from tests.local.host.response_headers import can_be_sent
from tests.local.host.routes import PathError, Router, decoded
from tests.local.host.runtime import HttpRequest, HttpResponse, Runtime
from tests.local.host.timers import CLOCK_LOCK, ProcessLocks, Timers
from tests.local.sign_in import cookies_for

BODILESS = frozenset({204, 304})
# The server writes these itself, from the body that it sends.
OWN_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})

CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True)
class Host:
    """What the endpoints need."""

    runtime: Runtime
    router: Router
    timers: Timers
    locks: ProcessLocks
    clock: MovableClock
    master_key: str
    worker_count: int

    def application(self) -> Starlette:
        """The ASGI application."""
        application = Starlette(
            routes=[
                Route("/admin/host/status", self._status, methods=["GET"]),
                Route("/dev/sign-in", _sign_in, methods=["GET"]),
                Route("/admin/clock", self._clock, methods=["GET", "POST"]),
                Route("/admin/functions/{name}", self._run_function, methods=["POST"]),
                Route("/runtime/webhooks/EventGrid", self._event_grid, methods=["OPTIONS", "POST", "GET", "PUT"]),
            ],
            # Whoever asked did not wait for the answer: nothing went wrong here.
            exception_handlers={ClientDisconnect: _nobody_there},
        )
        # No pattern of Starlette's takes a path with a line break in it, as the cloud's host does.
        application.router.default = self._call
        return application

    async def _status(self, _: Request) -> Response:
        functions = sorted(self.runtime.functions)
        return JSONResponse(
            {"state": "Running", "pid": os.getpid(), "workers": self.worker_count, "functions": functions}
        )

    async def _event_grid(self, request: Request) -> Response:
        return await event_grid.answer(self.runtime, request)

    async def _run_function(self, request: Request) -> Response:
        """Run a timer now. Answers 202 at once; with `?wait=1` when the run has ended, 500 if it failed."""
        if not self._is_master(request):
            return Response(status_code=401)
        name = request.path_params["name"]
        if name not in self.timers.names:
            return Response(status_code=400 if name in self.runtime.functions else 404)
        run = asyncio.create_task(self.timers.run(name))
        if request.query_params.get("wait") == "1":
            return Response(status_code=202 if await run else 500)
        _UNDER_WAY.add(run)
        run.add_done_callback(_UNDER_WAY.discard)
        return Response(status_code=202)

    async def _clock(self, request: Request) -> Response:
        """Tell the time, or move it on for all workers."""
        if not self._is_master(request):
            return Response(status_code=401)
        if request.method == "POST":
            try:
                seconds = float((await request.json())["advance_s"])
                async with self.locks.held(CLOCK_LOCK):
                    self.clock.advance(seconds)
            except (ValueError, TypeError, KeyError) as error:
                return JSONResponse({"detail": f"advance_s must be seconds: {error}"}, status_code=400)
        now = self.clock.now().astimezone(UTC)
        return JSONResponse({"now": _rfc3339(now), "offset_s": self.clock.offset_s})

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._http(Request(scope, receive)) if scope["type"] == "http" else Response(status_code=404)
        await response(scope, receive, send)

    async def _http(self, request: Request) -> Response:
        """Hand a request to the function whose route it matches."""
        too_long = limits.refusal(request.scope)
        if too_long is not None:
            return Response(status_code=too_long)
        try:
            parts = decoded(request.scope["raw_path"])
            headers = joined_headers(request.scope["headers"])
        except (PathError, HeaderError):
            return Response(status_code=400)
        found = self.router.match(request.method, parts)
        if found is None:
            return Response(status_code=404)
        route, route_params = found
        if not client_principal.is_readable(headers.get(client_principal.HEADER)):
            return Response(status_code=500)
        if route.auth_level != "anonymous" and not self._is_master(request):
            return Response(status_code=401)
        try:
            body = await limits.body_of(request)
        except limits.BodyTooLongError:
            return Response(status_code=500)
        returned = await self.runtime.invoke_http(
            route.function,
            HttpRequest(
                method=request.method,
                url=str(request.url),
                headers=headers,
                route_params=route_params,
                query=joined_query(request.scope["query_string"]),
                body=body,
            ),
        )
        # What went wrong is in the log; a caller learns nothing of it.
        if returned is None or not can_be_sent(returned.headers):
            return Response(status_code=500)
        return _translated(returned)

    def _is_master(self, request: Request) -> bool:
        given = request.headers.get("x-functions-key") or request.query_params.get("code") or ""
        return hmac.compare_digest(given.encode(), self.master_key.encode())


async def _sign_in(request: Request) -> Response:
    """Sign a browser in as `?as=role[;role][;agent_id]` and go on to the page `?to=`, which is one of this host."""
    principal, to = request.query_params.get("as", ""), request.query_params.get("to", "/")
    if not to.startswith("/") or to.startswith("//"):
        return Response(status_code=400)
    response = RedirectResponse(to, status_code=303)
    for name, path in cookies_for(principal).items():
        response.set_cookie(name, quote(principal), path=path, httponly=True, samesite="lax")
    return response


_UNDER_WAY: set[asyncio.Task[bool]] = set()
"""Runs that nobody waits for; the event loop itself would forget them."""


def _translated(returned: HttpResponse) -> Response:
    body = b"" if returned.status in BODILESS else returned.body
    response = Response(body, status_code=returned.status)
    for name, value in returned.headers:
        if name not in OWN_HEADERS:
            response.headers.append(name, value)
    return response


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def _nobody_there(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)
