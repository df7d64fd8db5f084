"""What an agent's desktop sees of itself (B15)."""

import azure.functions as func
from msgspec import structs

from functions.http import caller, client_network, json_answer
from functions.problems import answered
from functions.this_app import composed
from functions.wire import decoding
from functions.wire.decoding import decode
from functions.wire.http import MAX_ID_CHARS, DesktopBody, desktop_answer, path_id

ROUTE = "agents/{agent_id}/desktop"

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def desktop_read(req: func.HttpRequest) -> func.HttpResponse:
    """What is kept of the desktop that `desktop_id` names, or of the agent's only one."""
    app = composed()
    asking = caller("desktop_read", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    sent = decoding.text_or_none(req.params.get("desktop_id") or None, "desktop_id", MAX_ID_CHARS)
    desktop_id = decoding.plain_id(sent) if sent else None
    with app.calling.polling(app.calling.budgets.directory_s, asking, agent_id) as deadline:
        app.calling.require_own(agent_id, caller=asking, deadline=deadline)
        client = client_network(req, asking)
        kept = app.calling.show_desktop(agent_id, desktop_id, client=client, deadline=deadline)
        site = app.calling.find_site(agent_id, kept, client, deadline=deadline)
    return json_answer(desktop_answer(kept, site, app.calling.clock.now()))


@blueprint.route(route=ROUTE, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def desktop_reported(req: func.HttpRequest) -> func.HttpResponse:
    """Keep what a desktop reports, and answer with what is kept of it."""
    app = composed()
    asking = caller("desktop_reported", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    with app.calling.polling(app.calling.budgets.directory_s, asking, agent_id) as deadline:
        app.calling.require_own(agent_id, caller=asking, deadline=deadline)
        client = client_network(req, asking)
        report = structs.replace(decode(req.get_body(), DesktopBody).report(), client=client)
        kept = app.calling.report_desktop(agent_id, report, deadline=deadline)
        site = app.calling.find_site(agent_id, kept, client, deadline=deadline)
    return json_answer(desktop_answer(kept, site, app.calling.clock.now()))
