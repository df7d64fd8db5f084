"""What recorders and CRM writers may do with a call (S6)."""

import azure.functions as func

from functions.http import caller, json_answer
from functions.problems import answered
from functions.this_app import composed
from functions.wire.decoding import plain_id, text, text_or_none
from functions.wire.http import MAX_RAW_ID_CHARS, MAX_SERVER_CALL_ID_CHARS

blueprint = func.Blueprint()


@blueprint.route(route="call-policy", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_policy(req: func.HttpRequest) -> func.HttpResponse:
    """Whether a call may be recorded and stored as an activity; private without the store, or beyond a share."""
    app = composed()
    asking = caller("call_policy", req, app.sign_in)
    policy = app.calling.judge_call(
        plain_id(text(req.params.get("server_call_id"), "server_call_id", MAX_SERVER_CALL_ID_CHARS)),
        text_or_none(req.params.get("started_by"), "started_by", MAX_RAW_ID_CHARS),
        caller=asking,
    )
    return json_answer(policy)
