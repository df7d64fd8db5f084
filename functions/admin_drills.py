"""Drills: the whole chain for an agent, marked as a drill everywhere (B9)."""

import uuid

import azure.functions as func

from functions.http import administered, caller, empty_answer, json_answer
from functions.languages import spoken_answer
from functions.problems import answered, seated
from functions.this_app import composed
from functions.wire.decoding import decode
from functions.wire.http import path_id
from functions.wire.office import DrillBegun, DrillBody, drill_answer

ROUTE = "manage/drills"
ROUTE_OF_ONE = "manage/drills/{drill_id}"
LAST = "last"

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_drill_started(req: func.HttpRequest) -> func.HttpResponse:
    """Begin a drill for an agent: 202; 409 while another one runs."""
    app = composed()
    by = caller("admin_drill_started", req, app.sign_in)
    body = decode(req.get_body(), DrillBody)
    calling, drill_id = app.calling, str(uuid.uuid4())
    deadline = calling.within(calling.budgets.directory_s)
    calling.begin_drill(drill_id, body.for_agent(), body.to(), deadline=deadline)
    administered(calling, by, kind="drill", change="started")
    return json_answer(DrillBegun(drill_id), status=202)


@blueprint.route(route=ROUTE_OF_ONE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_drill_read(req: func.HttpRequest) -> func.HttpResponse:
    """How a drill stands, step by step; of those that are over, only the last one is known, which is also `last`."""
    app = composed()
    caller("admin_drill_read", req, app.sign_in)
    drill_id = path_id(req.route_params.get("drill_id"), "drill_id")
    calling, deadline = app.calling, app.calling.within(app.calling.budgets.directory_s)
    drill = calling.drills.last(deadline) if drill_id == LAST else calling.show_drill(drill_id, deadline=deadline)
    # A page that looks for the last one asks for nothing that is not there.
    return empty_answer() if drill is None else spoken_answer(req, drill_answer(drill))
