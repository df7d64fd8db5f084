"""What the softphone reports: a call was dialled, is this server call, ended; the hold after a drop is to end."""

from typing import TYPE_CHECKING

import azure.functions as func
from msgspec import structs

from functions.http import caller, composed, json_answer, require_own_agent
from functions.problems import answered
from functions.rights import SignedIn
from functions.wire.http import DialBody, EndBody, TieBody, call_answer, decode, decode_or_default, path_id
from shared.deadlines import Deadline, PatientDeadline
from shared.domain.ids import leg_id_of
from shared.use_cases.end_call import End, end_call
from shared.use_cases.release_presence import release_presence
from shared.use_cases.start_call import Dial, Started, start_call
from shared.use_cases.tie_call import tie_call

if TYPE_CHECKING:
    from shared.bootstrap import App

# B1: half a second from our receiving the request to the answer, whatever the store does; a little more in a burst.
# In a store that answers, only not at once, a number within a second is better than none.
DIAL_WITHIN_S, DIAL_AT_MOST_S = 0.3, 0.9
CHANGE_WITHIN_S = 4.0
ASK_AGAIN_AFTER_S = 2

blueprint = func.Blueprint()


@blueprint.route(route="emergency-calls", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_started(req: func.HttpRequest) -> func.HttpResponse:
    """An agent dialled an emergency number: 201, or 200 when the call is known already or too old to start anything."""
    app = composed()
    signed_in = SignedIn(caller("call_started", req, app.sign_in))
    body = decode(req.get_body(), DialBody)
    # Fixed here, because a repeat of ours may come much later.
    dial = structs.replace(body.dial(), dialled_at=body.dialled_at or app.clock.now())
    started = _report(dial, signed_in, app)
    if started.answer.degraded:
        app.repeats.keep(
            leg_id_of(dial.agent_id, dial.call_id), lambda: not _report(dial, signed_in, app).answer.degraded
        )
    answer = started.answer
    headers = {"Retry-After": str(ASK_AGAIN_AFTER_S)} if answer.degraded else {}
    return json_answer(
        call_answer(answer, body.locale), status=200 if answer.known or answer.stale else 201, headers=headers
    )


def _report(dial: Dial, signed_in: SignedIn, app: "App") -> Started:
    arrived = app.clock.monotonic()
    with app.dials.turn() as in_turn:
        left_s = DIAL_AT_MOST_S - (app.clock.monotonic() - arrived)
        started = start_call(
            dial,
            caller=signed_in,
            emergencies=app.emergencies,
            directory=app.directory,
            outage=app.outage,
            clock=app.clock,
            deployment=app.deployment,
            telemetry=app.telemetry,
            deadline=PatientDeadline(app.clock, DIAL_WITHIN_S, at_most_s=left_s, alive=app.store_alive)
            if in_turn
            else Deadline(app.clock, 0.0),
        )
    app.effects.start(started.effects)
    return started


@blueprint.route(route="emergency-calls/{call_id}", methods=["PATCH"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_updated(req: func.HttpRequest) -> func.HttpResponse:
    """The softphone knows by now which server call its leg is."""
    app = composed()
    signed_in = SignedIn(caller("call_updated", req, app.sign_in))
    call_id = path_id(req.route_params.get("call_id"), "call_id")
    body = decode(req.get_body(), TieBody)
    effects = tie_call(
        call_id,
        body.server_call_id,
        caller=signed_in,
        emergencies=app.emergencies,
        directory=app.directory,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, CHANGE_WITHIN_S),
    )
    app.effects.start(effects)
    return json_answer({"call_id": call_id})


@blueprint.route(route="emergency-calls/{call_id}/end", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_ended(req: func.HttpRequest) -> func.HttpResponse:
    """A leg ended: 200; 202 where the call is not known yet, and its end is kept for a late start."""
    app = composed()
    signed_in = SignedIn(caller("call_ended", req, app.sign_in))
    call_id = path_id(req.route_params.get("call_id"), "call_id")
    body = decode_or_default(req.get_body(), EndBody)
    ended = end_call(
        End(call_id=call_id, by_agent=body.by_agent, agent_id=body.agent_id),
        caller=signed_in,
        emergencies=app.emergencies,
        directory=app.directory,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, CHANGE_WITHIN_S),
    )
    app.effects.start(ended.effects)
    return json_answer({"call_id": call_id, "known": ended.known}, status=200 if ended.known else 202)


@blueprint.route(route="agents/{agent_id}/release", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def presence_released(req: func.HttpRequest) -> func.HttpResponse:
    """The hold after a drop is over: presence is given back."""
    app = composed()
    deadline = Deadline(app.clock, CHANGE_WITHIN_S)
    principal = caller("presence_released", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    entry = require_own_agent(principal, agent_id, app.directory, deadline)
    effects = release_presence(
        agent_id,
        caller=SignedIn(principal),
        entry=entry,
        emergencies=app.emergencies,
        clock=app.clock,
        deployment=app.deployment,
        deadline=deadline,
    )
    app.effects.start(effects)
    return json_answer({"agent_id": agent_id})
