"""The webhook that Event Grid calls, `/runtime/webhooks/EventGrid?functionName=NAME`, as the extension has it."""

from __future__ import annotations

import asyncio
import hmac
import json
import os

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.local.host.event_dates import rewritten
from tests.local.host.runtime import Function, Runtime

KIND = "eventgridtrigger"
KEY_SETTING = "HOST_EVENT_GRID_KEY"


async def answer(runtime: Runtime, request: Request) -> Response:
    """Answer a handshake or deliver the events of a notification."""
    if not _has_key(request):
        return Response(status_code=401)
    function = runtime.functions.get(request.query_params.get("functionName", ""))
    if function is None or function.kind != KIND:
        return PlainTextResponse("cannot find function", status_code=404)
    if request.method == "OPTIONS":
        return _abuse_protection(request)
    kind = request.headers.get("aeg-event-type", "").lower()
    if request.method != "POST" or kind not in ("subscriptionvalidation", "notification", "unsubscribe"):
        return Response(status_code=400)
    if kind == "unsubscribe":
        return Response(status_code=202)
    events = _events(await request.body())
    if events is None:
        return Response(status_code=500)
    return _validation(events) if kind == "subscriptionvalidation" else await _deliver(runtime, function, events)


def _has_key(request: Request) -> bool:
    """Whether the request has the extension's key; where `HOST_EVENT_GRID_KEY` names none, none is asked for.

    The cloud asks always, and an endpoint of the type AzureFunction brings the key; the tools for local work never ask.
    """
    key = os.environ.get(KEY_SETTING, "")
    given = request.headers.get("x-functions-key") or request.query_params.get("code") or ""
    return hmac.compare_digest(given.encode(), key.encode()) if key else True


def _abuse_protection(request: Request) -> Response:
    """The handshake of the CloudEvents webhook specification: name the origin that may send."""
    origin = request.headers.get("webhook-request-origin")
    if not origin:
        return Response(status_code=400)
    allowed = {"WebHook-Allowed-Origin": origin}
    rate = request.headers.get("webhook-request-rate")
    return Response(status_code=200, headers=allowed | ({"WebHook-Allowed-Rate": rate} if rate else {}))


def _validation(events: list[dict[str, object]]) -> Response:
    match events:
        case [{"data": {"validationCode": str(code)}}, *_]:
            return JSONResponse({"validationResponse": code})
        case _:
            return Response(status_code=400)


async def _deliver(runtime: Runtime, function: Function, events: list[dict[str, object]]) -> Response:
    """Run one invocation per event, all at once. One failure fails the delivery, so that all of it comes again."""
    succeeded = await asyncio.gather(*(runtime.invoke_json(function, rewritten(event)) for event in events))
    return Response(status_code=202 if all(succeeded) else 500)


def _events(body: bytes) -> list[dict[str, object]] | None:
    """Return the payload's events, or None when it is neither an object nor an array of objects."""
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    events = payload if isinstance(payload, list) else [payload]
    return events if all(isinstance(event, dict) for event in events) else None
