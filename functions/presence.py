"""The embedded presence service (contract: `PRESENCE_BACKEND=table`)."""

import azure.functions as func
from msgspec import structs

from functions.http import caller, json_answer, named_emergency, principal
from functions.problems import answered
from functions.rights import caller_of
from functions.this_app import composed
from functions.wire.decoding import decode
from functions.wire.http import PresenceBody, path_id, presence_answer
from shared.domain.errors import NotAllowed
from shared.domain.presence import SetBy
from shared.domain.principals import ADMIN, AGENT, MACHINE, SUPERVISOR, Principal

ROUTE = "agents/{agent_id}/presence"
# The strongest role first: it is the one that let the caller in for somebody else.
_SET_BY = {ADMIN: SetBy.SUPERVISOR, SUPERVISOR: SetBy.SUPERVISOR, MACHINE: SetBy.SYSTEM, AGENT: SetBy.AGENT}

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def presence_state(req: func.HttpRequest) -> func.HttpResponse:
    """An agent's presence, who set it, and since when."""
    app = composed()
    signed_in = caller("presence_state", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    with app.calling.polling(app.calling.budgets.presence_s, signed_in, agent_id) as deadline:
        whose = app.calling.whose_presence(
            agent_id, caller=signed_in, deadline=deadline, emergency=named_emergency(req)
        )
        seen = app.calling.show_presence(whose.presence_id, agent_key=whose.key, deadline=deadline)
    return json_answer(presence_answer(seen))


@blueprint.route(route=ROUTE, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def presence_set(req: func.HttpRequest) -> func.HttpResponse:
    """Set an agent's presence, whatever it was."""
    app = composed()
    person = principal("presence_set", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    body = decode(req.get_body(), PresenceBody)
    person = speaking_as(person, body.set_by)
    signed_in = caller_of(person)
    with app.calling.polling(app.calling.budgets.presence_s, signed_in, agent_id) as deadline:
        whose = app.calling.whose_presence(
            agent_id, caller=signed_in, deadline=deadline, emergency=named_emergency(req)
        )
        by = set_by(person, body.set_by)
        presence = app.calling.set_presence(whose.presence_id, body.status, by, agent_key=whose.key, deadline=deadline)
    return json_answer(presence_answer(presence))


def speaking_as(principal: Principal, said: str | None) -> Principal:
    """Somebody of the office who is an agent too and says `agent` speaks as one: for their own record alone."""
    if said == SetBy.AGENT and AGENT in principal.roles and MACHINE not in principal.roles:
        return structs.replace(principal, roles=frozenset({AGENT}))
    return principal


def set_by(principal: Principal, said: str | None) -> SetBy:
    """The word for the caller's role, never who it is (B8); only a machine may say another. Raises `NotAllowed`."""
    own = next(word for role, word in _SET_BY.items() if role in principal.roles)
    if said in (None, own):
        return own
    if MACHINE not in principal.roles:
        raise NotAllowed
    return SetBy(said)
