"""The communication panel's state (S5)."""

import azure.functions as func

from functions.http import caller, named_emergency, tagged_answer
from functions.problems import answered
from functions.this_app import composed
from functions.wire.http import panel_answer, path_id

blueprint = func.Blueprint()


@blueprint.route(route="agents/{agent_id}/panel", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def panel_state(req: func.HttpRequest) -> func.HttpResponse:
    """What the panel offers now; 304 where the caller has just that already."""
    app = composed()
    signed_in = caller("panel_state", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    with app.calling.polling(app.calling.budgets.show_panel_s, signed_in, agent_id) as deadline:
        panel, locale = app.calling.show_panel(
            agent_id, caller=signed_in, deadline=deadline, emergency=named_emergency(req)
        )
    return tagged_answer(req, panel_answer(panel, locale))
