"""An agent's desk for the dialer: a page with a scripted calling agent, and an API that answers as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from functions import pages
from shared.bootstrap import compose, install

HERE = Path(__file__).parent
LENT = "+14255550102"
PAGE = '<!doctype html><html lang="en"><title>Desk</title><link rel="icon" href="data:,"><main></main></html>'
START_S = 10.0
HANG_S = 20.0
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type, if-none-match",
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH",
    "Access-Control-Max-Age": "0",
}


USUAL = ("answer", "decline", "dial", "keypad", "mute", "hold", "transfer", "conference", "device_settings", "end_call")
SAY = {
    "address": "1 Example Street, 4th floor, room 412, Redmond, WA 98052",
    "address_source": "confirmed",
    "latitude": 47.64,
    "longitude": -122.13,
    "accuracy_m": 12,
    "source": "confirmed",
    "at": "2026-11-26T09:00:00Z",
    "confirmed_at": "2026-11-26T09:00:00Z",
    "callback_number": LENT,
    "number_shown": False,
    "relay_first": True,
}
PAGES = {"panel": pages.ui_panel, "console": pages.ui_console, "preview": pages.ui_preview}


def panel(**fields: Any) -> dict[str, Any]:
    """A panel as the server tells it, with other fields than those of an agent at peace."""
    peace = {"mode": "normal", "controls": list(USUAL), "form_actions": ["save", "refresh"], "banner": None}
    nothing = dict.fromkeys(("banner_key", "presence", "callback_number", "expires_at", "say", "dial"))
    return {**peace, **nothing, "fallback": False, "placeable": "unknown", "poll_after_s": 30, **fields}


def in_emergency(**fields: Any) -> dict[str, Any]:
    """The panel while an emergency call is in progress."""
    until = (datetime.now(UTC) + timedelta(minutes=52)).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = {"mode": "emergency", "controls": ["device_settings", "end_call"], "form_actions": [], "poll_after_s": 2}
    said = {"banner": "An emergency call is in progress.", "banner_key": "emergency_in_progress"}
    lent = {"callback_number": LENT, "expires_at": until, "presence": "do_not_disturb", "say": SAY}
    return panel(**{**shown, **said, **lent, "placeable": "yes", "dial": "911", **fields})


def after_drop(**fields: Any) -> dict[str, Any]:
    """The panel while presence is held after a drop."""
    said = {"banner": "The emergency call has ended.", "banner_key": "held_after_drop"}
    controls = ["call_again", "end_hold", *USUAL]
    offered = {"mode": "normal", "controls": controls, "form_actions": ["save", "refresh"]}
    return in_emergency(**{**offered, **said, **fields})


def after_drop_abroad() -> dict[str, Any]:
    """The panel while presence is held after the drop of a call that could not be placed: there is no calling again."""
    controls = [each for each in after_drop()["controls"] if each != "call_again"]
    return after_drop(banner="…", banner_key="cannot_be_placed", placeable="no", dial=None, controls=controls)


def ringing(*, leg: bool = False, **fields: Any) -> dict[str, Any]:
    """The panel while a responder calls back, with or without a leg in progress."""
    said = {"banner": "An emergency responder is calling back. Answer now.", "banner_key": "callback_ringing"}
    controls = ["answer", "device_settings", *(["end_call"] if leg else [])]
    return in_emergency(**{"mode": "ringing", "controls": controls, **said, **fields})


def _page(function: Callable[[func.HttpRequest], func.HttpResponse]) -> Callable[[Request], Awaitable[Response]]:
    """A function of the pages as a route, with the headers that it says."""

    async def serve(request: Request) -> Response:
        asked = func.HttpRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            route_params=dict(request.path_params),
            body=b"",
        )
        answer = function(asked)
        headers = dict(answer.headers.items())
        media_type = f"{answer.mimetype}; charset=utf-8"
        return Response(answer.get_body(), status_code=answer.status_code, headers=headers, media_type=media_type)

    return serve


@dataclass(frozen=True)
class Seen:
    """A request that reached the API."""

    method: str
    path: str
    body: Any
    authorization: str | None
    query: str = ""
    if_match: str | None = None


@dataclass(frozen=True)
class Scripted:
    """An answer with a status or a tag of its own; one that is no success is a problem document."""

    body: Any
    status: int = 200
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As it goes out."""
        kind = "application/json" if self.status < 400 else "application/problem+json"
        headers = {**CORS, **self.headers, **({"ETag": self.etag} if self.etag else {})}
        return Response(json.dumps(self.body), status_code=self.status, headers=headers, media_type=kind)


@dataclass
class Desk:
    """What the API does with a report, one entry for each, the last one from then on; and what it was sent."""

    answers: list[str] = field(default_factory=lambda: ["accepted"])
    seen: list[Seen] = field(default_factory=list)
    panel: dict[str, Any] | int | None = field(default_factory=dict)
    # Of these agents instead of `panel`.
    panels: dict[str, dict[str, Any] | int | None] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    host_page: str = ""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @staticmethod
    @contextmanager
    def running() -> Iterator[Desk]:
        """A desk on a free port."""
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        desk = Desk(address=f"http://127.0.0.1:{port}", host_page=f"http://localhost:{port}")
        app = compose({"ALLOWED_ORIGINS": desk.host_page})
        install(lambda: app)
        server = uvicorn.Server(uvicorn.Config(desk._application(), log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        started = time.monotonic()
        while not server.started:
            assert time.monotonic() - started < START_S, "the desk's server does not start"
            # The server tells of its start by this flag only.
            time.sleep(0.01)
        yield desk
        server.should_exit = True
        thread.join(START_S)

    def reset(self) -> None:
        """As new."""
        self.answers = ["accepted"]
        self.seen = []
        self.panel = panel()
        self.panels = {}
        self.others = {"PUT agents/agent-1/desktop": {"confirmed": True}}

    def requests(self, method: str, part: str) -> list[Seen]:
        """The requests of a method whose path holds `part`, oldest first."""
        return [each for each in self.seen if each.method == method and part in each.path]

    @property
    def reports(self) -> list[Seen]:
        """The reports of dials."""
        return [each for each in self.seen if each.path == "/api/emergency-calls"]

    @property
    def ends(self) -> list[str]:
        """The reasons of the ends that were reported."""
        return [each.body["reason"] for each in self.requests("POST", "/end")]

    def _application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", lambda _: HTMLResponse(PAGE)),
                Route("/ui/{name}", self._file),
                *(Route(f"/api/ui/{name}", _page(function)) for name, function in PAGES.items()),
                Route("/api/ui/{digest}/{file}", _page(pages.ui_pinned_file)),
                Route("/api/ui/{file}", _page(pages.ui_file)),
                Route("/api/{path:path}", self._api, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            ]
        )

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        own = HERE / name
        body = own.read_bytes() if own.suffix == ".js" and own.is_file() else pages.served(name).plain
        return Response(body, media_type="text/javascript")

    async def _api(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=CORS)
        raw = await request.body()
        path = request.url.path
        is_json = request.headers.get("content-type") == "application/json"
        body = None if not raw else json.loads(raw) if is_json else raw.decode()
        headers = request.headers
        seen = Seen(
            request.method, path, body, headers.get("authorization"), request.url.query, headers.get("if-match")
        )
        self.seen.append(seen)
        if path.endswith("/panel"):
            return await self._panel(request)
        if path != "/api/emergency-calls":
            scripted = self.others.get(f"{request.method} {path.removeprefix('/api/')}", {})
            if isinstance(scripted, Scripted):
                return scripted.response()
            return Response(status_code=scripted) if isinstance(scripted, int) else JSONResponse(scripted, headers=CORS)
        behaviour = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = await self._answer(behaviour, body)
        response.headers.update(CORS)
        return response

    async def _panel(self, request: Request) -> Response:
        """The panel as scripted: its fields, a status, or nothing for a long time."""
        shown = self.panels.get(request.url.path.split("/")[-2], self.panel)
        if isinstance(shown, int):
            return Response(status_code=shown, headers=CORS)
        if shown is None:
            await asyncio.sleep(HANG_S)
            return Response(status_code=500)
        body = json.dumps(shown)
        tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:16]}"'
        headers = {**CORS, "ETag": tag, "Access-Control-Expose-Headers": "ETag"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    async def _answer(self, behaviour: str, body: Any) -> Response:
        match behaviour:
            case "accepted" | "degraded" | "empty pool":
                return JSONResponse(_lent(body, behaviour), status_code=201)
            case "hangs":
                await asyncio.sleep(HANG_S)
                return Response(status_code=500)
            case "drips":
                return StreamingResponse(_drops(), status_code=201, media_type="application/json")
            case _:
                return Response(status_code=int(behaviour))


def _lent(body: Any, behaviour: str) -> dict[str, object]:
    lent = behaviour == "accepted"
    number = LENT if lent else "+14255550100"
    say = {**SAY, "callback_number": number, "number_shown": lent and body["caller_id_ours"]}
    test = {"banner": "Emergency test call.", "banner_key": "test_in_progress"} if body["dialled"] == "933" else {}
    return {
        "call_id": body["call_id"],
        "agent_id": "agent-as-the-server-knows-them",
        "callback_number": number,
        "expires_at": "2026-11-26T14:57:00Z",
        "degraded": behaviour == "degraded",
        "panel": in_emergency(callback_number=number, say=say, dial=body["dialled"], **test),
    }


async def _drops() -> AsyncIterator[bytes]:
    for _ in range(int(HANG_S * 10)):
        yield b" "
        await asyncio.sleep(0.1)
