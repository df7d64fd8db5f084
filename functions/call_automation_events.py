"""What happens in a callback's call, as Call Automation reports it (B4)."""

import azure.functions as func

from functions.http import empty_answer
from functions.problems import answered
from functions.this_app import composed
from functions.wire.call_automation import callback_id_in, mid_call_events, recordings_begun

blueprint = func.Blueprint()


@blueprint.route(route="call-automation-events", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_automation_events(req: func.HttpRequest) -> func.HttpResponse:
    """Move a callback on. 401 unless Azure Communication Services signed the token; 503 while the store is away."""
    app = composed()
    calling = app.calling
    app.call_events.require(req.headers.get("authorization"), calling.within(calling.budgets.check_call_event_s))
    callback_id = callback_id_in(req.params)
    # Nobody may record a responder (S6): whatever runs on this call is stopped.
    calling.stop_recordings(recordings_begun(req.get_body()))
    if callback_id is not None:
        calling.continue_callback(callback_id, mid_call_events(req.get_body()))
    return empty_answer(200)
