"""The description of the API (OpenAPI 3.1), made from the types that decode the requests and encode the answers."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import azure.functions as func
import msgspec
from msgspec import Struct

from functions.http import JSON, entity_tag, matches
from functions.problems import PROBLEM_JSON, Problem, answered
from functions.rights import RIGHTS, Rule
from functions.wire.directory_csv import CSV, CheckedImport, ImportAnswer, ImportBegun
from functions.wire.http import (
    AgentAnswer,
    AgentBody,
    CallAnswer,
    ContactsAnswer,
    ContactsBody,
    DesktopAnswer,
    DesktopBody,
    DialBody,
    EndBody,
    HealthAnswer,
    MeAnswer,
    PanelAnswer,
    PresenceAnswer,
    PresenceBody,
    ReleaseBody,
    SiteBody,
    SitesAnswer,
    TieBody,
)
from functions.wire.office import DrillAnswer, DrillBegun, DrillBody, NumbersAnswer, PreviewAnswer, TemplateBody
from functions.wire.setup import SetupAnswer, SetupBody, SetupImported
from shared.domain.agents import AgentsPage
from shared.domain.board import LiveEmergency
from shared.domain.confidentiality import CallPolicy
from shared.domain.notice_templates import LANGUAGES, TemplateKind, TemplateSources
from shared.domain.readiness import Readiness
from shared.domain.sites import Site

VERSION = "1.0.0"
_COMPONENTS = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w{1,40})\}")
_TAGGED = (HTTPStatus.NOT_MODIFIED,)
_CONDITIONAL = (HTTPStatus.PRECONDITION_FAILED,)
# The request headers that a status answers (RFC 9110, 13.1).
_CONDITIONS = {
    HTTPStatus.NOT_MODIFIED: ("If-None-Match",),
    HTTPStatus.PRECONDITION_FAILED: ("If-Match", "If-None-Match"),
}
_OF_TEMPLATES = {"kind": [kind.value for kind in TemplateKind], "locale": list(LANGUAGES)}

blueprint = func.Blueprint()


class Text(Struct, frozen=True):
    """A body that is text of this media type, where others are JSON."""

    media_type: str


class Operation(Struct, frozen=True, kw_only=True):
    """One function of the API. `answers` are the statuses of success with the type of their body, None for none.

    `body` is a type, or several of which one is sent.
    """

    function: str
    method: str
    path: str
    says: str
    body: Any = None
    body_required: bool = True
    answers: dict[int, Any]
    others: tuple[HTTPStatus, ...] = ()
    query: Mapping[str, Sequence[str] | None] = {}
    required_query: bool = False


OPERATIONS = (
    Operation(
        function="call_started",
        method="post",
        path="/emergency-calls",
        says="An agent dialled an emergency number.",
        body=DialBody,
        answers={200: CallAnswer, 201: CallAnswer},
        others=(HTTPStatus.UNPROCESSABLE_ENTITY,),
    ),
    Operation(
        function="call_updated",
        method="patch",
        path="/emergency-calls/{call_id}",
        says="Which server call the leg is.",
        body=TieBody,
        answers={200: dict[str, str]},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="call_ended",
        method="post",
        path="/emergency-calls/{call_id}/end",
        says="A leg ended; 202 while the call is not known.",
        body=EndBody,
        body_required=False,
        answers={200: dict[str, str | bool], 202: dict[str, str | bool]},
    ),
    Operation(
        function="presence_released",
        method="post",
        path="/agents/{agent_id}/release",
        says="The hold after a drop is over; with `legs`, a supervisor ends legs that nobody ended.",
        body=ReleaseBody,
        body_required=False,
        answers={200: dict[str, str]},
        query={"emergency": None},
    ),
    Operation(
        function="panel_state",
        method="get",
        path="/agents/{agent_id}/panel",
        says="What the panel offers now.",
        answers={200: PanelAnswer},
        others=_TAGGED,
        query={"emergency": None},
    ),
    Operation(
        function="desktop_read",
        method="get",
        path="/agents/{agent_id}/desktop",
        says="What is kept of a desktop.",
        answers={200: DesktopAnswer},
        others=(HTTPStatus.NOT_FOUND,),
        query={"desktop_id": None},
    ),
    Operation(
        function="desktop_reported",
        method="put",
        path="/agents/{agent_id}/desktop",
        says="What a desktop sees of itself.",
        body=DesktopBody,
        answers={200: DesktopAnswer},
    ),
    Operation(
        function="presence_state",
        method="get",
        path="/agents/{agent_id}/presence",
        says="An agent's presence.",
        answers={200: PresenceAnswer},
    ),
    Operation(
        function="presence_set",
        method="put",
        path="/agents/{agent_id}/presence",
        says="Set an agent's presence.",
        body=PresenceBody,
        answers={200: PresenceAnswer},
        others=(HTTPStatus.CONFLICT,),
    ),
    Operation(function="me", method="get", path="/me", says="Who is signed in.", answers={200: MeAnswer}),
    Operation(
        function="call_policy",
        method="get",
        path="/call-policy",
        says="What may be done with a call; private where the store does not answer.",
        answers={200: CallPolicy},
        query={"server_call_id": None, "started_by": None},
    ),
    Operation(
        function="admin_agent_read",
        method="get",
        path="/manage/agents/{agent_id}",
        says="An entry of the directory.",
        answers={200: AgentAnswer},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="admin_agent_saved",
        method="put",
        path="/manage/agents/{agent_id}",
        says="Write an entry of the directory.",
        body=AgentBody,
        answers={200: AgentAnswer, 201: AgentAnswer},
        others=_CONDITIONAL,
    ),
    Operation(
        function="admin_agent_removed",
        method="delete",
        path="/manage/agents/{agent_id}",
        says="Remove an entry, and whatever is kept of that person once no lease of theirs is left.",
        answers={204: None},
        others=(*_CONDITIONAL, HTTPStatus.NOT_FOUND),
    ),
    Operation(
        function="admin_emergency_contacts_saved",
        method="put",
        path="/manage/agents/{agent_id}/emergency-contacts",
        says="The recipients of an agent's notifications: what is an address is kept, what is none is told.",
        body=(ContactsBody, Text("text/plain")),
        answers={200: ContactsAnswer},
        others=(*_CONDITIONAL, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
    ),
    Operation(
        function="admin_agents_listed",
        method="get",
        path="/manage/agents",
        says="A page of the agents whose id, name or a word of it begins with `starts_with`.",
        answers={200: AgentsPage},
        query={"starts_with": None, "limit": None, "cursor": None},
    ),
    Operation(
        function="admin_agents_imported",
        method="post",
        path="/manage/agents/import",
        says="With `dry_run=1`, what a file would do; with the `digest` of what was checked, begin to do it.",
        body=Text(CSV),
        answers={200: CheckedImport, 202: ImportBegun},
        others=(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
        query={"dry_run": None, "digest": None},
    ),
    Operation(
        function="admin_agents_import_read",
        method="get",
        path="/manage/agents/import/{operation_id}",
        says="How far an import is.",
        answers={200: ImportAnswer},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="admin_agents_exported",
        method="get",
        path="/manage/agents/export",
        says="The whole directory, in the order of ids.",
        answers={200: Text(CSV)},
    ),
    Operation(
        function="admin_sites_listed",
        method="get",
        path="/manage/sites",
        says="All sites, in the order of their ids.",
        answers={200: SitesAnswer},
    ),
    Operation(
        function="admin_site_read",
        method="get",
        path="/manage/sites/{site_id}",
        says="A site.",
        answers={200: Site},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="admin_site_saved",
        method="put",
        path="/manage/sites/{site_id}",
        says="Write a site.",
        body=SiteBody,
        answers={200: Site, 201: Site},
        others=_CONDITIONAL,
    ),
    Operation(
        function="admin_site_removed",
        method="delete",
        path="/manage/sites/{site_id}",
        says="Remove a site, also one that entries name.",
        answers={204: None},
        others=(*_CONDITIONAL, HTTPStatus.NOT_FOUND),
    ),
    Operation(
        function="admin_setup_exported",
        method="get",
        path="/manage/setup/export",
        says="All sites, and the templates that are not the built-in ones, as one file.",
        answers={200: SetupAnswer},
    ),
    Operation(
        function="admin_setup_imported",
        method="post",
        path="/manage/setup/import",
        says="Bring such a file back; with `dry_run=1` only say what that would do.",
        body=SetupBody,
        answers={200: SetupImported},
        others=(HTTPStatus.UNPROCESSABLE_ENTITY,),
        query={"dry_run": None},
    ),
    Operation(
        function="admin_emergencies",
        method="get",
        path="/manage/emergencies",
        says="The live board, the newest first.",
        answers={200: list[LiveEmergency]},
        others=_TAGGED,
    ),
    Operation(
        function="admin_callback_numbers",
        method="get",
        path="/manage/callback-numbers",
        says="The pool of callback numbers.",
        answers={200: NumbersAnswer},
        others=_TAGGED,
    ),
    Operation(
        function="admin_readiness",
        method="get",
        path="/manage/readiness",
        says="What would go wrong today, problems first.",
        answers={200: Readiness},
    ),
    Operation(
        function="admin_agent_readiness",
        method="get",
        path="/manage/agents/{agent_id}/readiness",
        says="What would go wrong today for one agent.",
        answers={200: Readiness},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="admin_notification_template_read",
        method="get",
        path="/manage/notification-template",
        says="The template of a kind and language.",
        answers={200: TemplateSources},
        query=_OF_TEMPLATES,
        required_query=True,
    ),
    Operation(
        function="admin_notification_template_saved",
        method="put",
        path="/manage/notification-template",
        says="Put a template in place; 422 with `lint` where it must not be saved.",
        body=TemplateBody,
        answers={200: TemplateSources},
        others=(*_CONDITIONAL, HTTPStatus.UNPROCESSABLE_ENTITY),
        query=_OF_TEMPLATES,
        required_query=True,
    ),
    Operation(
        function="admin_notification_template_removed",
        method="delete",
        path="/manage/notification-template",
        says="The built-in template again.",
        answers={204: None},
        others=_CONDITIONAL,
        query=_OF_TEMPLATES,
        required_query=True,
    ),
    Operation(
        function="admin_notification_template_preview",
        method="post",
        path="/manage/notification-template/preview",
        says="A template with sample facts, and its lint.",
        body=TemplateBody,
        answers={200: PreviewAnswer},
        query=_OF_TEMPLATES,
        required_query=True,
    ),
    Operation(
        function="admin_drill_started",
        method="post",
        path="/manage/drills",
        says="Play the whole chain for an agent, as a drill; 409 while another one runs.",
        body=DrillBody,
        answers={202: DrillBegun},
        others=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Operation(
        function="admin_drill_read",
        method="get",
        path="/manage/drills/{drill_id}",
        says="How a drill stands; of those that are over, only the last one is known.",
        answers={200: DrillAnswer},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="health",
        method="get",
        path="/health",
        says="Whether settings and table are in order.",
        answers={200: HealthAnswer, 503: HealthAnswer},
    ),
)


@blueprint.route(route="openapi.json", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """The description, the same for everybody; with an entity tag."""
    body, tag = _encoded()
    headers = {"Cache-Control": "no-cache", "ETag": tag, "X-Content-Type-Options": "nosniff"}
    if matches(req.headers.get("if-none-match"), tag):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(body, headers=headers, mimetype=JSON)


@functools.cache
def _encoded() -> tuple[bytes, str]:
    body = msgspec.json.encode(description())
    return body, entity_tag(body.decode())


def description() -> dict[str, Any]:
    """The whole document."""
    types = [Problem, *(each for operation in OPERATIONS for each in _types_of(operation))]
    schemas, components = msgspec.json.schema_components(types, ref_template=_COMPONENTS)
    _accept_anything(components["DialBody"])
    paths: dict[str, dict[str, Any]] = {}
    left = iter(schemas[1:])
    for operation in OPERATIONS:
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


def _types_of(operation: Operation) -> Iterable[Any]:
    """The types whose schemas an operation needs, in the order in which `_described` takes them."""
    bodies = [*_bodies(operation), *operation.answers.values()]
    return [kind for kind in bodies if kind is not None and not isinstance(kind, Text)]


def _bodies(operation: Operation) -> Sequence[Any]:
    body = operation.body
    return () if body is None else body if isinstance(body, tuple) else (body,)


def _accept_anything(dial: dict[str, Any]) -> None:
    """A dial fails open: whatever an optional field of it holds, the emergency is recorded (B1)."""
    for name in set(dial["properties"]) - set(dial["required"]):
        dial["properties"][name] = {}


def _described(operation: Operation, schemas: Iterator[dict[str, Any]]) -> dict[str, Any]:
    rule = RIGHTS[operation.function]
    others = _other_statuses(operation, rule)
    described: dict[str, Any] = {
        "operationId": operation.function,
        "summary": operation.says,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation), *_header_parameters(others)],
        "security": [] if rule.anyone else [{"entra": []}],
        "x-roles": sorted(rule.roles),
    }
    bodies = _bodies(operation)
    if bodies:
        described["requestBody"] = {"required": operation.body_required, "content": _content(bodies, schemas)}
    described["responses"] = {
        str(status): {"description": HTTPStatus(status).phrase}
        | ({"content": _content((kind,), schemas)} if kind is not None else {})
        for status, kind in operation.answers.items()
    } | {str(status.value): _problem(status) for status in others}
    return described


def _content(kinds: Sequence[Any], schemas: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return {
        kind.media_type if isinstance(kind, Text) else JSON: {
            "schema": {"type": "string"} if isinstance(kind, Text) else next(schemas)
        }
        for kind in kinds
    }


def _other_statuses(operation: Operation, rule: Rule) -> Sequence[HTTPStatus]:
    signed = () if rule.anyone else (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    read = operation.body is not None or operation.query or "{" in operation.path
    faulty = (HTTPStatus.BAD_REQUEST,) if read else ()
    found = (*faulty, *signed, *operation.others, HTTPStatus.SERVICE_UNAVAILABLE)
    return [status for status in sorted(set(found)) if status not in operation.answers]


def _problem(status: HTTPStatus) -> dict[str, Any]:
    if status is HTTPStatus.NOT_MODIFIED:
        return {"description": status.phrase}
    schema = {"$ref": _COMPONENTS.format(name="Problem")}
    return {"description": status.phrase, "content": {PROBLEM_JSON: {"schema": schema}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1, "maxLength": 600}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in _PARAMETER.findall(path)]


def _header_parameters(statuses: Iterable[HTTPStatus]) -> list[dict[str, Any]]:
    names = sorted({name for status in statuses for name in _CONDITIONS.get(status, ())})
    return [{"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": operation.required_query or name == "server_call_id",
            "schema": {"type": "string"} | ({"enum": values} if values else {}),
        }
        for name, values in operation.query.items()
    ]
