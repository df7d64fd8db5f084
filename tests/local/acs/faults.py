"""Faults on request, and the log of requests: the outermost layer of the stand-in."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.local.acs.errors import ServiceError
from tests.local.acs.messages import Fault, LoggedRequest
from tests.local.acs.operations import operation_of

TRICKLE_S = 1.0
"""Seconds between two bytes of a trickled answer, unless the fault says otherwise."""


class Faults:
    """The faults in force, each with the number of requests it still lets pass or strikes."""

    def __init__(self) -> None:
        self._active: list[list[Any]] = []
        self.cleared = asyncio.Event()

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._active.append([fault, fault.skip, fault.times])

    def clear(self) -> None:
        """End every fault; requests that hang are dropped."""
        self._active.clear()
        self.cleared.set()
        self.cleared = asyncio.Event()

    def take(self, operation: str) -> list[Fault]:
        """The faults that strike this request; several can (a latency and then a status)."""
        struck: list[Fault] = []
        for entry in self._active:
            fault, skip, left = entry
            if fault.operation not in ("any", operation) or left == 0:
                continue
            if skip:
                entry[1] -= 1
                continue
            if left is not None:
                entry[2] -= 1
            struck.append(fault)
        return struck


class FaultLayer:
    """ASGI layer that logs each request and makes the faults happen; the control API passes untouched."""

    def __init__(self, app: ASGIApp, *, faults: Faults, log: list[LoggedRequest]) -> None:
        self._app = app
        self._faults = faults
        self._log = log
        self._client = httpx.AsyncClient(timeout=30)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/control/"):
            await self._app(scope, receive, send)
            return
        operation = operation_of(scope["method"], scope["path"])
        entry = LoggedRequest(number=len(self._log) + 1, operation=operation, arrived=time.time())
        self._log.append(entry)
        scope["state"] = {**scope.get("state", {}), "logged": entry}
        try:
            await self._serve(scope, receive, send, entry)
        finally:
            entry.finished = time.time()

    async def _serve(self, scope: Scope, receive: Receive, send: Send, entry: LoggedRequest) -> None:
        struck = self._faults.take(entry.operation)
        entry.fault = "+".join(f"{fault.kind} {fault.when}" for fault in struck) or None
        before = [fault for fault in struck if fault.when == "before" and fault.kind != "trickle"]
        if await self._strike(before, scope, receive, send, entry):
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        entry.status = next((m["status"] for m in answer if m["type"] == "http.response.start"), None)
        after = [fault for fault in struck if fault.when == "after" and fault.kind != "trickle"]
        if await self._strike(after, scope, receive, send, entry):
            return
        trickle = next((fault for fault in struck if fault.kind == "trickle"), None)
        await _send_all(answer, send, trickle)

    async def _strike(
        self, struck: list[Fault], scope: Scope, receive: Receive, send: Send, entry: LoggedRequest
    ) -> bool:
        """Make the faults happen in their order; True when the request has had its end."""
        for fault in struck:
            match fault.kind:
                case "latency":
                    await asyncio.sleep(fault.seconds)
                case "notify":
                    await self._notify(fault.url)
                case "status" | "throttle" | "body":
                    response = _refusal(fault)
                    entry.status = response.status_code
                    await response(scope, receive, send)
                    return True
                case "drop" | "hang":
                    if fault.kind == "hang":
                        await self._until_gone(receive)
                    entry.status = None
                    scope["connection"].abort()
                    await self._until_gone(receive)
                    return True
                case "trickle":
                    continue
        return False

    async def _notify(self, url: str) -> None:
        try:
            await self._client.post(url)
        except httpx.HTTPError:
            return

    async def _until_gone(self, receive: Receive) -> None:
        """Wait until the client has hung up or the faults are cleared."""
        cleared = asyncio.create_task(self._faults.cleared.wait())
        gone = asyncio.create_task(_disconnected(receive))
        await asyncio.wait({cleared, gone}, return_when=asyncio.FIRST_COMPLETED)
        cleared.cancel()
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _refusal(fault: Fault) -> Response:
    if fault.kind == "body":
        leading = {"Location": fault.location} if fault.location else {}
        return Response(fault.body, fault.status, leading, media_type="application/json")
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    if fault.kind == "throttle":
        headers.setdefault("Retry-After", "5")
        return ServiceError(429, "TooManyRequests", "Too many requests.", headers=headers).response()
    return ServiceError(fault.status, f"Fault{fault.status}", "Failed on request.", headers=headers).response()


async def _send_all(answer: list[Message], send: Send, trickle: Fault | None) -> None:
    for message in answer:
        if trickle is None or message["type"] != "http.response.body":
            await send(message)
            continue
        for byte in message.get("body", b""):
            await asyncio.sleep(trickle.seconds or TRICKLE_S)
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})
