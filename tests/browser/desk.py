"""An agent's desk for the dialer: a page with a scripted calling agent, and an API that answers as it is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from functions.pages import served

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


@dataclass(frozen=True)
class Seen:
    """A request that reached the API."""

    method: str
    path: str
    body: Any
    authorization: str | None


@dataclass
class Desk:
    """What the API does with a report, one entry for each, the last one from then on; and what it was sent."""

    answers: list[str] = field(default_factory=lambda: ["accepted"])
    seen: list[Seen] = field(default_factory=list)
    address: str = ""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @staticmethod
    @contextmanager
    def running() -> Iterator[Desk]:
        """A desk on a free port."""
        desk = Desk()
        config = uvicorn.Config(desk._application(), port=0, log_level="critical", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        started = time.monotonic()
        while not server.started:
            assert time.monotonic() - started < START_S, "the desk's server does not start"
            # The server tells of its start by this flag only.
            time.sleep(0.01)
        desk.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield desk
        server.should_exit = True
        thread.join(START_S)

    def reset(self) -> None:
        """As new."""
        self.answers = ["accepted"]
        self.seen = []

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
                Route("/api/{path:path}", self._api, methods=["GET", "POST", "PUT", "PATCH", "OPTIONS"]),
            ]
        )

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        own = HERE / name
        body = own.read_bytes() if own.suffix == ".js" and own.is_file() else served(name).plain
        return Response(body, media_type="text/javascript")

    async def _api(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=CORS)
        raw = await request.body()
        path = request.url.path
        body = None if not raw else await request.json()
        self.seen.append(Seen(request.method, path, body, request.headers.get("authorization")))
        if path != "/api/emergency-calls":
            return JSONResponse({}, headers=CORS)
        behaviour = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = await self._answer(behaviour, body)
        response.headers.update(CORS)
        return response

    async def _answer(self, behaviour: str, body: Any) -> Response:
        match behaviour:
            case "accepted" | "degraded":
                return JSONResponse(_lent(body, degraded=behaviour == "degraded"), status_code=201)
            case "hangs":
                await asyncio.sleep(HANG_S)
                return Response(status_code=500)
            case "drips":
                return StreamingResponse(_drops(), status_code=201, media_type="application/json")
            case _:
                return Response(status_code=int(behaviour))


def _lent(body: Any, *, degraded: bool) -> dict[str, object]:
    return {
        "call_id": body["call_id"],
        "agent_id": "agent-as-the-server-knows-them",
        "callback_number": "+14255550100" if degraded else LENT,
        "expires_at": "2026-11-26T14:57:00Z",
        "degraded": degraded,
        "panel": {"mode": "emergency"},
    }


async def _drops() -> AsyncIterator[bytes]:
    for _ in range(int(HANG_S * 10)):
        yield b" "
        await asyncio.sleep(0.1)
