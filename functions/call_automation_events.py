"""What happens in a callback's call, as Call Automation reports it (B4)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import composed
from functions.problems import answered
from functions.wire.call_automation import callback_id_in, mid_call_events, recordings_begun
from shared.deadlines import Deadline
from shared.domain.errors import Unavailable
from shared.use_cases.continue_callback import MidCall, continue_callback
from shared.use_cases.effects import StopRecording

if TYPE_CHECKING:
    from shared.bootstrap import App

CHECK_WITHIN_S = 3.0
CONTINUE_WITHIN_S = 10.0

blueprint = func.Blueprint()


@blueprint.route(route="call-automation-events", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def call_automation_events(req: func.HttpRequest) -> func.HttpResponse:
    """Move a callback on. 401 unless Azure Communication Services signed the token; 503 while the store is away."""
    app = composed()
    app.call_events.require(req.headers.get("authorization"), Deadline(app.clock, CHECK_WITHIN_S))
    callback_id = callback_id_in(req.params)
    # Nobody may record a responder (S6): whatever runs on this call is stopped.
    app.effects.start([StopRecording(recording_id) for recording_id in recordings_begun(req.get_body())])
    if callback_id is not None:
        _take_in(callback_id, mid_call_events(req.get_body()), app)
    return func.HttpResponse(status_code=200)


def _take_in(callback_id: str, events: Sequence[MidCall], app: "App") -> None:
    failed = None
    for said in events:
        try:
            effects = continue_callback(
                callback_id,
                said,
                emergencies=app.emergencies,
                directory=app.directory,
                router=app.router,
                clock=app.clock,
                deployment=app.deployment,
                telemetry=app.telemetry,
                deadline=Deadline(app.clock, CONTINUE_WITHIN_S),
            )
        except Unavailable as away:
            # The events that came with it may get through, and each is worth a try.
            failed = away
        else:
            app.effects.start(effects)
    if failed is not None:
        raise failed
