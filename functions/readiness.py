"""What would go wrong today, and how to mend it (S10, B10)."""

import azure.functions as func

from functions.http import principal
from functions.languages import spoken_answer
from functions.problems import answered, seated
from functions.this_app import composed
from functions.wire.http import path_id

blueprint = func.Blueprint()


@blueprint.route(route="manage/readiness", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_readiness(req: func.HttpRequest) -> func.HttpResponse:
    """The checks of the deployment, problems first."""
    app = composed()
    principal("admin_readiness", req, app.sign_in)
    return spoken_answer(req, app.administration.show_readiness())


@blueprint.route(
    route="manage/agents/{agent_id}/readiness", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS
)
@answered
@seated
def admin_agent_readiness(req: func.HttpRequest) -> func.HttpResponse:
    """The checks of one agent, problems first; 404 for one who is not in the directory."""
    app = composed()
    principal("admin_agent_readiness", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    return spoken_answer(req, app.administration.show_agent_readiness(agent_id))
