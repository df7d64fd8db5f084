"""What stands before the workers in the cloud: it keeps a caller's connection when a worker dies.

A request whose worker dies is a 500 without a body. One that comes while no worker serves waits for the next one.
Each answer names its worker's process id, for tests that kill it.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping

import httpx
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.local.host.worker import shared_listener

WORKER_HEADER = "x-local-worker"
PATIENCE_S = 120.0
POLL_S = 0.02
OF_THE_CONNECTION = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"content-length"})


class Front:
    """Answers the host's port on a thread of its own. `serving` is which worker (process id) has which port."""

    def __init__(self, port: int, serving: Mapping[int, int]) -> None:
        self._port = port
        self._serving = serving
        self._chance = random.Random(port)
        self._clients: dict[int, httpx.AsyncClient] = {}

    def begin(self) -> None:
        """Serve until the process ends."""
        config = uvicorn.Config(
            self._call, interface="asgi3", log_config=None, log_level="error", access_log=False, lifespan="off"
        )
        listener = shared_listener(self._port)
        listener.listen(2048)
        # Signals are the supervisor's; a server beside the main thread takes none.
        server = uvicorn.Server(config)
        threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="front", daemon=True).start()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        worker, port = await self._any_worker()
        query: bytes = request.scope["query_string"]
        target = request.scope["raw_path"] + (b"?" + query if query else b"")
        url = httpx.URL(scheme="http", host="127.0.0.1", port=port, raw_path=target)
        headers = [each for each in request.scope["headers"] if each[0] not in OF_THE_CONNECTION]
        sent = self._client(worker).build_request(request.method, url, headers=headers, content=body)
        try:
            answered = await self._client(worker).send(sent)
        except httpx.TransportError:
            return Response(status_code=500)
        response = Response(answered.content, status_code=answered.status_code)
        for name, value in answered.headers.raw:
            if name.lower() not in OF_THE_CONNECTION:
                response.raw_headers.append((name.lower(), value))
        response.headers[WORKER_HEADER] = str(worker)
        return response

    async def _any_worker(self) -> tuple[int, int]:
        async with asyncio.timeout(PATIENCE_S):
            # Workers are started by the supervisor, on another thread.
            while not (serving := dict(self._serving)):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
        return self._chance.choice(sorted(serving.items()))

    def _client(self, worker: int) -> httpx.AsyncClient:
        if worker not in self._clients:
            limits = httpx.Limits(max_connections=256)
            self._clients[worker] = httpx.AsyncClient(timeout=PATIENCE_S, limits=limits, trust_env=False)
        return self._clients[worker]
