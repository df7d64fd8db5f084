"""What the softphone reports: a call was dialled, is this server call, ended; the hold after a drop is to end."""

import azure.functions as func
from msgspec import structs

from functions.http import caller, client_network, json_answer, named_emergency
from functions.problems import answered
from functions.this_app import composed
from functions.wire.decoding import plain_id
from functions.wire.http import (
    EndAnswer,
    EndBody,
    ReleaseAnswer,
    ReleaseBody,
    TieAnswer,
    TieBody,
    call_answer,
    decode_dial,
    decode_or_default,
    decode_report,
    path_id,
)
from shared.use_cases.end_call import End

ASK_AGAIN_AFTER_S = 2

blueprint = func.Blueprint()


@blueprint.route(route="emergency-calls", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_started(req: func.HttpRequest) -> func.HttpResponse:
    """An agent dialled an emergency number: 201, or 200 when the call is known already."""
    app = composed()
    signed_in = caller("call_started", req, app.sign_in)
    body, ignored = decode_dial(req.get_body(), stand_in=signed_in.stand_in)
    dial = structs.replace(body.dial(ignored), client_network=client_network(req, signed_in))
    answer = app.calling.start_call(dial, caller=signed_in)
    headers = {"Retry-After": str(ASK_AGAIN_AFTER_S)} if answer.degraded else {}
    return json_answer(call_answer(answer), status=200 if answer.known else 201, headers=headers)


@blueprint.route(route="emergency-calls/{call_id}", methods=["PATCH"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_updated(req: func.HttpRequest) -> func.HttpResponse:
    """The softphone knows by now which server call its leg is."""
    app = composed()
    signed_in = caller("call_updated", req, app.sign_in)
    call_id = path_id(req.route_params.get("call_id"), "call_id")
    body = decode_report(req.get_body(), TieBody)
    server_call_id = plain_id(body.server_call_id)
    app.calling.tie_call(call_id, server_call_id, caller=signed_in, agent_id=body.named_agent())
    return json_answer(TieAnswer(call_id))


@blueprint.route(route="emergency-calls/{call_id}/end", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_ended(req: func.HttpRequest) -> func.HttpResponse:
    """A leg ended: 200; 202 where the call is not known yet, and its end is kept for a late start."""
    app = composed()
    signed_in = caller("call_ended", req, app.sign_in)
    call_id = path_id(req.route_params.get("call_id"), "call_id")
    body = decode_report(req.get_body(), EndBody)
    end = End(call_id=call_id, by_agent=body.by_agent, agent_id=body.named_agent())
    ended = app.calling.end_call(end, caller=signed_in)
    return json_answer(EndAnswer(call_id=call_id, known=ended.known), status=200 if ended.known else 202)


@blueprint.route(route="agents/{agent_id}/release", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def presence_released(req: func.HttpRequest) -> func.HttpResponse:
    """The hold after a drop is over: presence is given back; a supervisor also ends legs that nobody ended."""
    app = composed()
    signed_in = caller("presence_released", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    body = decode_or_default(req.get_body(), ReleaseBody)
    app.calling.release_presence(agent_id, caller=signed_in, emergency=named_emergency(req), legs=body.legs)
    return json_answer(ReleaseAnswer(agent_id))
