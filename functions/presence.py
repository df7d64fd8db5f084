"""The embedded presence service (contract: `PRESENCE_BACKEND=table`)."""

import azure.functions as func

from functions.http import caller, composed, json_answer, polling, require_own_agent
from functions.problems import answered
from functions.wire.http import PresenceBody, decode, path_id, presence_answer
from shared.domain.principals import ADMIN, AGENT, MACHINE, SUPERVISOR, Principal
from shared.use_cases.set_presence import set_presence
from shared.use_cases.show_presence import show_presence

ANSWER_WITHIN_S = 2.0
ROUTE = "agents/{agent_id}/presence"
# The strongest role first: it is the one that let the caller in for somebody else.
_SET_BY = {ADMIN: "admin", SUPERVISOR: "supervisor", MACHINE: "machine", AGENT: "agent"}

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def presence_state(req: func.HttpRequest) -> func.HttpResponse:
    """An agent's presence, who set it, and since when."""
    app = composed()
    principal = caller("presence_state", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    with polling(app, ANSWER_WITHIN_S) as deadline:
        require_own_agent(principal, agent_id, app.directory, deadline, listed_only=True)
        seen = show_presence(
            agent_id,
            emergencies=app.emergencies,
            presence=app.presence,
            outage=app.outage,
            clock=app.clock,
            deadline=deadline,
        )
    return json_answer(presence_answer(seen))


@blueprint.route(route=ROUTE, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def presence_set(req: func.HttpRequest) -> func.HttpResponse:
    """Set an agent's presence, whatever it was."""
    app = composed()
    principal = caller("presence_set", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    with polling(app, ANSWER_WITHIN_S) as deadline:
        require_own_agent(principal, agent_id, app.directory, deadline, listed_only=True)
        status = decode(req.get_body(), PresenceBody).status
        presence = set_presence(agent_id, status, set_by(principal), presence=app.presence, deadline=deadline)
    return json_answer(presence_answer(presence))


def set_by(principal: Principal) -> str:
    """The word for the caller's role; never who it is (B8)."""
    return next(word for role, word in _SET_BY.items() if role in principal.roles)
