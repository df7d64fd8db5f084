"""How operations are told as an OpenAPI 3.1 document, with the schemas of the types that read and write the bodies."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from functions.http import JSON
from functions.openapi_examples import EXAMPLES
from functions.problems import PROBLEM_JSON, Problem, example_of
from functions.rights import RIGHTS, Rule
from functions.wire.http import AGENT_ID, MAX_ID_CHARS
from shared.domain.notice_templates import LANGUAGES
from shared.domain.words import Words

VERSION = "1.0.0"
TEXT: dict[str, Any] = {"type": "string"}
_COMPONENTS = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w{1,40})\}")
TAGGED = (HTTPStatus.NOT_MODIFIED,)
CONDITIONAL = (HTTPStatus.PRECONDITION_FAILED,)
# The request headers that a status answers (RFC 9110, 13.1).
_CONDITIONS = {
    HTTPStatus.NOT_MODIFIED: ("If-None-Match",),
    HTTPStatus.PRECONDITION_FAILED: ("If-Match", "If-None-Match"),
}
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "how to sign in"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "seconds after which it is worth another try"},
}
_ENTITY_TAG = {"ETag": "stands for this version: send it back as `If-Match` or `If-None-Match`"}
_CONTENT_LANGUAGE = {"Content-Language": f"that of the sentences: {', '.join(LANGUAGES)}"}
_ACCEPT_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "description": f"which language the sentences are to be in: {', '.join(LANGUAGES)}; else English",
    "schema": TEXT,
    "example": "fr-CA, fr;q=0.9",
}
# The host answers this by itself, before any function is asked.
TOO_LONG = {"414": {"description": HTTPStatus.REQUEST_URI_TOO_LONG.phrase}}
# A form sends the fields that nobody filled in: they count as absent (functions/wire/decoding.py).
_NOT_FILLED_IN = {"enum": [None, ""]}


class Text(Struct, frozen=True):
    """A body that is text of this media type, where others are JSON."""

    media_type: str


class Operation(Struct, frozen=True, kw_only=True):
    """One function of the API. `answers` are the statuses of success with the type of their body, None for none.

    `body` is a type, or several of which one is sent. `query` has the schema of each parameter, `required_query` those
    that must be there. `may_send` are headers that some answers have, and what they say. `leads_to` names what an
    answer's fields are parameters of: status, function, parameter, field. `spoken` are the statuses whose sentences are
    in the language that the request asks for.
    """

    function: str
    method: str
    path: str
    says: str
    body: Any = None
    body_required: bool = True
    answers: dict[int, Any]
    others: tuple[HTTPStatus, ...] = ()
    query: Mapping[str, Mapping[str, Any]] = {}
    required_query: tuple[str, ...] = ()
    tagged: bool = False
    spoken: tuple[int, ...] = ()
    may_send: Mapping[str, str] = {}
    leads_to: tuple[tuple[int, str, str, str], ...] = ()


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document."""
    types = [Problem, *(each for operation in operations for each in _types_of(operation))]
    schemas, components = msgspec.json.schema_components(types, schema_hook=_schema_of, ref_template=_COMPONENTS)
    for operation in operations:
        for kind in _bodies(operation):
            if not isinstance(kind, Text):
                _tolerate_absence(components, kind.__name__)
    _accept_anything(components["DialBody"])
    for report in ("EndBody", "TieBody"):
        # Nobody's end is lost for whom it names.
        components[report]["properties"][AGENT_ID] = {}
    paths: dict[str, dict[str, Any]] = {}
    left = iter(schemas[1:])
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, left)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Emergency calling", "version": VERSION},
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"entra": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is Words:
        return TEXT
    raise NotImplementedError(kind.__name__)


def _types_of(operation: Operation) -> Iterable[Any]:
    """The types whose schemas an operation needs, in the order in which `_described` takes them."""
    bodies = [*_bodies(operation), *operation.answers.values()]
    return [kind for kind in bodies if kind is not None and not isinstance(kind, Text)]


def _bodies(operation: Operation) -> Sequence[Any]:
    body = operation.body
    return () if body is None else body if isinstance(body, tuple) else (body,)


def _accept_anything(dial: dict[str, Any]) -> None:
    """A dial fails open: whatever an optional field of it holds, the emergency is recorded (B1).

    Of an agent, for whom the sign-in stands, the agent id is such a field.
    """
    dial["required"] = [name for name in dial["required"] if name != AGENT_ID]
    for name in set(dial["properties"]) - set(dial["required"]):
        dial["properties"][name] = {}


def _tolerate_absence(components: Mapping[str, Any], name: str) -> None:
    """What the optional fields of this component, and of those within it, may hold beside what they are for."""
    schema = components[name]
    for field in set(schema.get("properties", ())) - set(schema.get("required", ())):
        sent = schema["properties"][field]
        if sent.get("anyOf", [None])[-1] != _NOT_FILLED_IN:
            schema["properties"][field] = {"anyOf": [sent, _NOT_FILLED_IN]}
    for each in set(_referred_to(schema)):
        _tolerate_absence(components, each)


def _referred_to(schema: Any) -> Iterator[str]:
    """The names of the components that it refers to; a body holds none that holds itself."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for each in schema.values():
            yield from _referred_to(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _referred_to(each)


def _described(operation: Operation, schemas: Iterator[dict[str, Any]]) -> dict[str, Any]:
    rule, example = RIGHTS[operation.function], EXAMPLES.get(operation.function, {})
    others = _other_statuses(operation, rule)
    described: dict[str, Any] = {
        "operationId": operation.function,
        "summary": operation.says,
        "parameters": [
            *_path_parameters(operation.path, example.get("path", {})),
            *_query_parameters(operation, example.get("query", {})),
            *_header_parameters(others),
            *([_ACCEPT_LANGUAGE] if operation.spoken else []),
        ],
        "security": [] if rule.anyone else [{"entra": []}],
        "x-roles": sorted(rule.roles),
    }
    bodies = _bodies(operation)
    if bodies:
        content = _content(bodies, schemas, example.get("body"))
        if not operation.body_required and not _requires_any(bodies[0]):
            content[JSON]["schema"] = {"anyOf": [content[JSON]["schema"], {"type": "null"}]}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    answers = {str(status): _answer(operation, status, schemas, example) for status in operation.answers}
    problems = {
        str(status.value): _problem(status, example.get("members"), spoken=status in operation.spoken)
        for status in others
    }
    described["responses"] = answers | problems | (TOO_LONG if described["parameters"] else {})
    return described


def _answer(
    operation: Operation, status: int, schemas: Iterator[dict[str, Any]], example: Mapping[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    kind = operation.answers[status]
    if kind is not None:
        described["content"] = _content((kind,), schemas, example.get("answers", {}).get(status))
    sent = _headers(_ENTITY_TAG if operation.tagged else {}) | _headers(operation.may_send, required=False)
    sent |= _headers(_CONTENT_LANGUAGE if status in operation.spoken else {})
    if sent and kind is not None:
        described["headers"] = sent
    links = {
        function: {"operationId": function, "parameters": {parameter: f"$response.body#/{field}"}}
        for on, function, parameter, field in operation.leads_to
        if on == status
    }
    return described | ({"links": links} if links else {})


def _content(kinds: Sequence[Any], schemas: Iterator[dict[str, Any]], example: Any) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for index, kind in enumerate(kinds):
        described: dict[str, Any] = {"schema": {} if isinstance(kind, Text) else next(schemas)}
        if example is not None and index == 0:
            described["example"] = example
        content[kind.media_type if isinstance(kind, Text) else JSON] = described
    return content


def _requires_any(kind: type[Struct]) -> bool:
    """Whether a body must hold any field: else null is as good as none (functions/wire/http.py)."""
    return any(each.required for each in msgspec.structs.fields(kind))


def _other_statuses(operation: Operation, rule: Rule) -> Sequence[HTTPStatus]:
    signed = () if rule.anyone else (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    read = operation.body is not None or operation.query or "{" in operation.path
    faulty = (HTTPStatus.BAD_REQUEST,) if read else ()
    found = (*faulty, *signed, *operation.others, HTTPStatus.SERVICE_UNAVAILABLE)
    return [status for status in sorted(set(found)) if status not in operation.answers]


def _problem(status: HTTPStatus, members: Mapping[str, Any] | None, *, spoken: bool) -> dict[str, Any]:
    if status is HTTPStatus.NOT_MODIFIED:
        return {"description": status.phrase, "headers": _headers(_ENTITY_TAG)}
    schema = {"$ref": _COMPONENTS.format(name="Problem")}
    example = example_of(status) | dict((members or {}) if status is HTTPStatus.UNPROCESSABLE_ENTITY else {})
    described = {"description": status.phrase, "content": {PROBLEM_JSON: {"schema": schema, "example": example}}}
    sent = _headers(_HEADERS.get(status, {}) | (_CONTENT_LANGUAGE if spoken else {}))
    return described | ({"headers": sent} if sent else {})


def _headers(named: Mapping[str, str], *, required: bool = True) -> dict[str, Any]:
    return {name: {"description": says, "required": required, "schema": TEXT} for name, says in named.items()}


def _path_parameters(path: str, example: Mapping[str, str]) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}
    return [
        _with_example({"name": name, "in": "path", "required": True, "schema": schema}, example)
        for name in _PARAMETER.findall(path)
    ]


def _header_parameters(statuses: Iterable[HTTPStatus]) -> list[dict[str, Any]]:
    names = sorted({name for status in statuses for name in _CONDITIONS.get(status, ())})
    return [{"name": name, "in": "header", "required": False, "schema": TEXT} for name in names]


def _query_parameters(operation: Operation, example: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _with_example(
            {"name": name, "in": "query", "required": name in operation.required_query, "schema": schema}, example
        )
        for name, schema in operation.query.items()
    ]


def _with_example(parameter: dict[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    name = parameter["name"]
    return parameter | ({"example": example[name]} if name in example else {})
