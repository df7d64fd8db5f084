"""The function app inside this process, indexed and invoked by the library that the cloud's worker runs.

The library takes its message types from its caller. In the cloud they are generated protobuf classes; here they are
plain holders of attributes, which is all that it reads and writes.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.local.host.dropped_lines import ExecutingInvocations

log = logging.getLogger("tests.local.host")

TRIGGER_SUFFIX = "trigger"


class IndexingError(RuntimeError):
    """The function app could not be imported or indexed."""


@dataclass(frozen=True)
class Function:
    """One indexed function."""

    name: str
    function_id: str
    trigger: Mapping[str, Any]
    """Its trigger's binding, as function.json would have it."""

    @property
    def kind(self) -> str:
        """The binding type in lower case: `httptrigger`, `eventgridtrigger`, `timertrigger`."""
        return str(self.trigger["type"]).lower()


@dataclass(frozen=True)
class HttpRequest:
    """What an HTTP function is given."""

    method: str
    url: str
    headers: Mapping[str, str]
    route_params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpResponse:
    """What an HTTP function returned."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass
class Runtime:
    """The indexed app. There can be one per process, because an app can be indexed once."""

    functions: dict[str, Function] = field(default_factory=dict)
    invocations: ExecutingInvocations = field(default_factory=ExecutingInvocations)

    async def invoke_http(self, function: Function, request: HttpRequest) -> HttpResponse | None:
        """Run an HTTP function; None when it raised or returned what is no response."""
        datum = _datum(
            {
                "method": _datum(request.method, "string"),
                "url": _datum(request.url, "string"),
                "headers": _strings(request.headers),
                "params": _strings(request.route_params),
                "query": _strings(request.query),
                "body": _datum(request.body, "bytes"),
            },
            "http",
        )
        ok, returned = await self._invoke(function, datum)
        return _response(returned) if ok else None

    async def invoke_json(self, function: Function, payload: object) -> bool:
        """Run an Event Grid or timer function; False when it raised."""
        ok, _ = await self._invoke(function, _datum(json.dumps(payload, ensure_ascii=False), "json"))
        return ok

    async def _invoke(self, function: Function, datum: Any) -> tuple[bool, Any]:
        from azure_functions_runtime.native_invocation import invocation_request_native

        invocation_id = str(uuid.uuid4())
        began = time.perf_counter()
        with self.invocations.executing(invocation_id):
            ok, returned, _, _, _ = await invocation_request_native(
                invocation_id, function.function_id, [(function.trigger["name"], datum)], {}
            )
        level, outcome = (logging.INFO, "Succeeded") if ok else (logging.ERROR, "Failed")
        took_ms = (time.perf_counter() - began) * 1000
        log.log(level, "Executed %s (%s, Id=%s, Duration=%.1fms)", function.name, outcome, invocation_id, took_ms)
        return ok, returned


async def indexed(app_directory: Path) -> Runtime:
    """Import and index the app in `app_directory`.

    Raises:
        IndexingError: with what the library reported.
    """
    import azure_functions_runtime

    sys.path.insert(0, str(app_directory))
    azure_functions_runtime.start_threadpool_executor()
    message = SimpleNamespace(capabilities={}, function_app_directory=str(app_directory))
    request = SimpleNamespace(
        request=SimpleNamespace(worker_init_request=message), properties={"host": "127.0.0.1", "protos": _protos()}
    )
    answer = await azure_functions_runtime.worker_init_request(request)
    if answer.result.status != _Status.Success:
        raise IndexingError(f"{answer.result.exception.message}\n{answer.result.exception.stack_trace}")
    metadata = (await azure_functions_runtime.functions_metadata_request(None)).function_metadata_results
    if not metadata:
        raise IndexingError(f"no function_app.py with functions in {app_directory}")
    return Runtime({each.name: _function(each) for each in metadata})


def _function(metadata: Any) -> Function:
    bindings = [json.loads(binding) for binding in metadata.raw_bindings]
    trigger = next(binding for binding in bindings if str(binding["type"]).lower().endswith(TRIGGER_SUFFIX))
    return Function(metadata.name, metadata.function_id, trigger)


def _datum(value: object, kind: str) -> Any:
    from azure_functions_runtime.bindings.datumdef import Datum

    return Datum(value, kind)


def _strings(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: _datum(value, "string") for name, value in values.items()}


def _response(datum: Any) -> HttpResponse:
    if datum is None or datum.type != "http":
        # A function may return bare text instead of a response.
        text = "" if datum is None else str(datum.value)
        return HttpResponse(headers=(("content-type", "text/plain; charset=utf-8"),), body=text.encode())
    value = datum.value
    headers = [(name.lower(), header.value) for name, header in value["headers"].items()]
    # Each cookie is a header of its own: they cannot be joined with commas.
    headers += [
        ("set-cookie", morsel.OutputString()) for cookie in value["cookies"] or () for morsel in cookie.values()
    ]
    return HttpResponse(int(value["status_code"].value), tuple(headers), value["body"].value)


class _Message(SimpleNamespace):
    """Stands in for any generated message class."""


class _Status(_Message):
    Failure = 0
    Success = 1


class _BindingInfo(_Message):
    # Values as in azure.functions' own enumerations, with which the library compares them.
    out = 1
    inout = 2
    undefined = 0


def _protos() -> SimpleNamespace:
    messages = (
        "FunctionMetadataResponse",
        "RpcException",
        "RpcFunctionMetadata",
        "RpcRetryOptions",
        "WorkerInitResponse",
        "WorkerMetadata",
    )
    plain = dict.fromkeys(messages, _Message)
    return SimpleNamespace(**plain, StatusResult=_Status, BindingInfo=_BindingInfo)
