"""The description of the API (OpenAPI 3.1), made from the types that decode the requests and encode the answers."""

import functools
from http import HTTPStatus
from typing import Any

import azure.functions as func
import msgspec

from functions.http import CUT_AT, JSON, entity_tag, matches
from functions.openapi_document import CONDITIONAL, TAGGED, TEXT, Operation, Text, document
from functions.problems import answered
from functions.wire.directory_csv import CSV, CheckedImport, ImportAnswer, ImportBegun
from functions.wire.http import (
    MAX_A_PAGE,
    MAX_ID_CHARS,
    MAX_RAW_ID_CHARS,
    MAX_SERVER_CALL_ID_CHARS,
    AgentAnswer,
    AgentBody,
    CallAnswer,
    ContactsAnswer,
    ContactsBody,
    DesktopAnswer,
    DesktopBody,
    DialBody,
    EndAnswer,
    EndBody,
    HealthAnswer,
    MeAnswer,
    PanelAnswer,
    PresenceAnswer,
    PresenceBody,
    ReleaseAnswer,
    ReleaseBody,
    SiteBody,
    SitesAnswer,
    TieAnswer,
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

FLAG = {"type": "string", "description": "on, unless it is empty or 0"}
PAGE = {"type": "integer", "minimum": 1, "maximum": MAX_A_PAGE}
TEMPLATE = {
    "kind": {"type": "string", "enum": [kind.value for kind in TemplateKind]},
    "locale": {"type": "string", "enum": list(LANGUAGES)},
}

blueprint = func.Blueprint()

OPERATIONS = (
    Operation(
        function="call_started",
        method="post",
        path="/emergency-calls",
        says="An agent dialled an emergency number.",
        body=DialBody,
        answers={200: CallAnswer, 201: CallAnswer},
        may_send={"Retry-After": "where `degraded`: seconds after which to send the same again"},
        leads_to=(
            (201, "panel_state", "agent_id", "agent_id"),
            (201, "call_updated", "call_id", "call_id"),
            (201, "call_ended", "call_id", "call_id"),
        ),
        others=(HTTPStatus.UNPROCESSABLE_ENTITY,),
    ),
    Operation(
        function="call_updated",
        method="patch",
        path="/emergency-calls/{call_id}",
        says="Which server call the leg is.",
        body=TieBody,
        answers={200: TieAnswer},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="call_ended",
        method="post",
        path="/emergency-calls/{call_id}/end",
        says="A leg ended; 202 while the call is not known.",
        body=EndBody,
        body_required=False,
        answers={200: EndAnswer, 202: EndAnswer},
    ),
    Operation(
        function="presence_released",
        method="post",
        path="/agents/{agent_id}/release",
        says="The hold after a drop is over; with `legs`, a supervisor ends legs that nobody ended.",
        body=ReleaseBody,
        body_required=False,
        answers={200: ReleaseAnswer},
        query={"emergency": TEXT},
    ),
    Operation(
        function="panel_state",
        method="get",
        path="/agents/{agent_id}/panel",
        says="What the panel offers now.",
        tagged=True,
        answers={200: PanelAnswer},
        others=TAGGED,
        query={"emergency": TEXT},
    ),
    Operation(
        function="desktop_read",
        method="get",
        path="/agents/{agent_id}/desktop",
        says="What is kept of a desktop.",
        answers={200: DesktopAnswer},
        others=(HTTPStatus.NOT_FOUND,),
        query={"desktop_id": TEXT | {"maxLength": MAX_ID_CHARS}},
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
        says="An agent's presence; 502 where another service keeps it and refuses to tell.",
        answers={200: PresenceAnswer},
        others=(HTTPStatus.BAD_GATEWAY,),
        query={"emergency": TEXT},
    ),
    Operation(
        function="presence_set",
        method="put",
        path="/agents/{agent_id}/presence",
        says="Set an agent's presence.",
        body=PresenceBody,
        answers={200: PresenceAnswer},
        others=(HTTPStatus.CONFLICT,),
        query={"emergency": TEXT},
    ),
    Operation(function="me", method="get", path="/me", says="Who is signed in.", answers={200: MeAnswer}),
    Operation(
        function="call_policy",
        method="get",
        path="/call-policy",
        says="What may be done with a call; private where the store does not answer.",
        answers={200: CallPolicy},
        query={
            "server_call_id": TEXT | {"minLength": 1, "maxLength": MAX_SERVER_CALL_ID_CHARS},
            "started_by": TEXT | {"maxLength": MAX_RAW_ID_CHARS},
        },
        required_query=("server_call_id",),
    ),
    Operation(
        function="admin_agent_read",
        method="get",
        path="/manage/agents/{agent_id}",
        says="An entry of the directory.",
        tagged=True,
        answers={200: AgentAnswer},
        others=(*TAGGED, HTTPStatus.NOT_FOUND),
    ),
    Operation(
        function="admin_agent_saved",
        method="put",
        path="/manage/agents/{agent_id}",
        says="Write an entry of the directory.",
        body=AgentBody,
        tagged=True,
        answers={200: AgentAnswer, 201: AgentAnswer},
        others=CONDITIONAL,
    ),
    Operation(
        function="admin_agent_removed",
        method="delete",
        path="/manage/agents/{agent_id}",
        says="Remove an entry, and whatever is kept of that person once no lease of theirs is left.",
        answers={204: None},
        others=(*CONDITIONAL, HTTPStatus.NOT_FOUND),
    ),
    Operation(
        function="admin_emergency_contacts_saved",
        method="put",
        path="/manage/agents/{agent_id}/emergency-contacts",
        says="The recipients of an agent's notifications: what is an address is kept, what is none is told.",
        body=(ContactsBody, Text("text/plain")),
        body_required=False,
        tagged=True,
        answers={200: ContactsAnswer},
        others=(*CONDITIONAL, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
    ),
    Operation(
        function="admin_agents_listed",
        method="get",
        path="/manage/agents",
        says="A page of the agents whose id, name or a word of it begins with `starts_with`.",
        answers={200: AgentsPage},
        query={"starts_with": TEXT, "limit": PAGE, "cursor": TEXT},
    ),
    Operation(
        function="admin_agents_imported",
        method="post",
        path="/manage/agents/import",
        says="With `dry_run=1`, what a file would do; with the `digest` of what was checked, begin to do it.",
        spoken=(HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY),
        body=Text(CSV),
        answers={200: CheckedImport, 202: ImportBegun},
        leads_to=((202, "admin_agents_import_read", "operation_id", "operation_id"),),
        others=(HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
        query={"dry_run": FLAG, "digest": TEXT},
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
        tagged=True,
        answers={200: Site},
        others=(*TAGGED, HTTPStatus.NOT_FOUND),
    ),
    Operation(
        function="admin_site_saved",
        method="put",
        path="/manage/sites/{site_id}",
        says="Write a site.",
        body=SiteBody,
        tagged=True,
        answers={200: Site, 201: Site},
        others=CONDITIONAL,
    ),
    Operation(
        function="admin_site_removed",
        method="delete",
        path="/manage/sites/{site_id}",
        says="Remove a site, also one that entries name.",
        answers={204: None},
        others=(*CONDITIONAL, HTTPStatus.NOT_FOUND),
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
        spoken=(HTTPStatus.UNPROCESSABLE_ENTITY,),
        body=SetupBody,
        answers={200: SetupImported},
        others=(HTTPStatus.UNPROCESSABLE_ENTITY,),
        query={"dry_run": FLAG},
    ),
    Operation(
        function="admin_emergencies",
        method="get",
        path="/manage/emergencies",
        says="The live board, the newest first; beyond the newest 500 without names.",
        tagged=True,
        may_send={CUT_AT: "more emergencies than this many are kept, and those beyond are not on the board"},
        answers={200: list[LiveEmergency]},
        others=TAGGED,
    ),
    Operation(
        function="admin_callback_numbers",
        method="get",
        path="/manage/callback-numbers",
        says="The pool of callback numbers.",
        tagged=True,
        answers={200: NumbersAnswer},
        others=TAGGED,
    ),
    Operation(
        function="admin_readiness",
        method="get",
        path="/manage/readiness",
        says="What would go wrong today, problems first.",
        spoken=(HTTPStatus.OK,),
        answers={200: Readiness},
    ),
    Operation(
        function="admin_agent_readiness",
        method="get",
        path="/manage/agents/{agent_id}/readiness",
        says="What would go wrong today for one agent.",
        spoken=(HTTPStatus.OK,),
        answers={200: Readiness},
        others=(HTTPStatus.NOT_FOUND,),
    ),
    Operation(
        function="admin_notification_template_read",
        method="get",
        path="/manage/notification-template",
        says="The template of a kind and language.",
        tagged=True,
        answers={200: TemplateSources},
        others=TAGGED,
        query=TEMPLATE,
        required_query=("kind", "locale"),
    ),
    Operation(
        function="admin_notification_template_saved",
        method="put",
        path="/manage/notification-template",
        says="Put a template in place; 422 with `lint` where it must not be saved.",
        spoken=(HTTPStatus.UNPROCESSABLE_ENTITY,),
        body=TemplateBody,
        tagged=True,
        answers={200: TemplateSources},
        others=(*CONDITIONAL, HTTPStatus.UNPROCESSABLE_ENTITY),
        query=TEMPLATE,
        required_query=("kind", "locale"),
    ),
    Operation(
        function="admin_notification_template_removed",
        method="delete",
        path="/manage/notification-template",
        says="The built-in template again.",
        answers={204: None},
        others=CONDITIONAL,
        query=TEMPLATE,
        required_query=("kind", "locale"),
    ),
    Operation(
        function="admin_notification_template_preview",
        method="post",
        path="/manage/notification-template/preview",
        says="A template with sample facts, and its lint.",
        spoken=(HTTPStatus.OK,),
        body=TemplateBody,
        answers={200: PreviewAnswer},
        query=TEMPLATE,
        required_query=("kind", "locale"),
    ),
    Operation(
        function="admin_drill_started",
        method="post",
        path="/manage/drills",
        says="Play the whole chain for an agent, as a drill; 409 while another one runs.",
        body=DrillBody,
        answers={202: DrillBegun},
        leads_to=((202, "admin_drill_read", "drill_id", "drill_id"),),
        others=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Operation(
        function="admin_drill_read",
        method="get",
        path="/manage/drills/{drill_id}",
        says="How a drill stands; of those that are over, only the `last` is known: 204 where there never was one.",
        answers={200: DrillAnswer, 204: None},
        spoken=(HTTPStatus.OK,),
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
    headers = {"Cache-Control": "no-cache", "ETag": tag, "X-Content-Type-Options": "nosniff", "Vary": "Origin"}
    if matches(req.headers.get("if-none-match"), tag):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(body, headers=headers, mimetype=JSON)


@functools.cache
def _encoded() -> tuple[bytes, str]:
    body = msgspec.json.encode(description())
    return body, entity_tag(body.decode())


def description() -> dict[str, Any]:
    """The whole document."""
    return document(OPERATIONS)
