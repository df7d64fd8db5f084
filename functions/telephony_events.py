"""What Event Grid delivers: server calls, our own calls from other telephony, incoming calls, delivery reports."""

from datetime import timedelta
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import composed
from functions.problems import acknowledged
from functions.rights import TrustedSource
from functions.wire.event_grid import (
    ACS_CALL_ENDED,
    ACS_CALL_STARTED,
    EMAIL_DELIVERY_REPORT,
    INCOMING_CALL,
    OWN_CALL_ENDED,
    OWN_CALL_STARTED,
    RECORDING_FILE_STATUS,
    CallSeen,
    TelephonyEvent,
    call_ended,
    call_seen,
    counts,
    delivery_report,
    dialled,
    incoming_call,
    recording_file,
    telephony_event,
)
from shared.deadlines import Deadline
from shared.domain.notifications import Delivery
from shared.use_cases.answer_callback import answer_callback
from shared.use_cases.end_call import End, end_call
from shared.use_cases.refuse_recording import RecordedFiles, refuse_recording
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall, see_server_call
from shared.use_cases.start_call import start_call

if TYPE_CHECKING:
    from shared.bootstrap import App

EVENT_WITHIN_S = 4.0
DIAL_EVENT_WITHIN_S = 1.5
# The PSAP hears ringing: a slow store costs a second of it, then the desk rings.
HOLDER_WITHIN_S = 1.0

blueprint = func.Blueprint()


def _counting(event: func.EventGridEvent, app: "App", *kinds: str) -> TelephonyEvent | None:
    """The event, if it is of one of these kinds and from one of EVENT_SOURCES; others are counted and done with."""
    read = telephony_event(event)
    if not counts(read.source, app.settings.event_sources):
        app.telemetry.emit("event_source_unknown")
        return None
    return read if read.type in kinds else None


@blueprint.event_grid_trigger(arg_name="event")
@acknowledged
def call_started_event(event: func.EventGridEvent) -> None:
    """ACS saw a call start, which may tie a leg; or other telephony reports an emergency call."""
    app = composed()
    read = _counting(event, app, ACS_CALL_STARTED, OWN_CALL_STARTED)
    if read is None:
        return
    if read.type == ACS_CALL_STARTED:
        _see(call_seen(read), app)
        return
    started = start_call(
        dialled(read).dial(),
        caller=TrustedSource(),
        emergencies=app.emergencies,
        directory=app.directory,
        outage=app.outage,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, DIAL_EVENT_WITHIN_S),
    )
    app.effects.finish(started.effects)
    started.require_recorded()


@blueprint.event_grid_trigger(arg_name="event")
@acknowledged
def call_ended_event(event: func.EventGridEvent) -> None:
    """ACS saw a call end, or other telephony reports the end of an emergency call."""
    app = composed()
    read = _counting(event, app, ACS_CALL_ENDED, OWN_CALL_ENDED)
    if read is None:
        return
    if read.type == ACS_CALL_ENDED:
        _see(call_seen(read), app)
        return
    body = call_ended(read)
    ended = end_call(
        End(call_id=body.call_id, by_agent=body.by_agent, agent_id=body.agent_id, at=read.time),
        caller=TrustedSource(),
        emergencies=app.emergencies,
        directory=app.directory,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, EVENT_WITHIN_S),
    )
    app.effects.finish(ended.effects)


def _see(seen: CallSeen, app: "App") -> None:
    call = ServerCall(
        server_call_id=seen.server_call_id,
        starter=seen.starter_raw_id,
        at=seen.at,
        ended=seen.ended,
        correlation_id=seen.correlation_id,
        duration=None if seen.duration_s is None else timedelta(seconds=seen.duration_s),
        ended_by=seen.ended_by_raw_id,
    )
    effects = see_server_call(
        call,
        emergencies=app.emergencies,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, EVENT_WITHIN_S),
    )
    app.effects.finish(effects)


@blueprint.event_grid_trigger(arg_name="event")
@acknowledged
def incoming_call_event(event: func.EventGridEvent) -> None:
    """Somebody calls one of our numbers: a responder, perhaps."""
    app = composed()
    read = _counting(event, app, INCOMING_CALL)
    if read is None:
        return
    call = incoming_call(read)
    answer_callback(
        Incoming(
            to_number=call.to_number,
            context=call.context,
            origin=call.server_call_id or call.correlation_id or call.context,
            caller=call.caller,
        ),
        emergencies=app.emergencies,
        router=app.router,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, HOLDER_WITHIN_S),
    )


@blueprint.event_grid_trigger(arg_name="event")
@acknowledged
def recording_file_status_event(event: func.EventGridEvent) -> None:
    """The files of a recording are ready: an emergency's are deleted."""
    app = composed()
    read = _counting(event, app, RECORDING_FILE_STATUS)
    if read is None:
        return
    file = recording_file(read)
    locations = tuple(chunk.delete_location for chunk in file.chunks if chunk.delete_location)
    effects = refuse_recording(
        RecordedFiles(
            recording_id=file.recording_id,
            call_id=file.call_id,
            server_call_id=file.server_call_id,
            locations=locations,
            unlocated=len(file.chunks) - len(locations),
            began_at=file.began_at,
        ),
        emergencies=app.emergencies,
        outbox=app.recording_outbox,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, EVENT_WITHIN_S),
    )
    app.effects.finish(effects)


@blueprint.event_grid_trigger(arg_name="event")
@acknowledged
def email_delivery_report_event(event: func.EventGridEvent) -> None:
    """What became of a notice on its way to one recipient."""
    app = composed()
    read = _counting(event, app, EMAIL_DELIVERY_REPORT)
    if read is None:
        return
    report = delivery_report(read)
    delivery = Delivery.DELIVERED if report.status.arrived else Delivery.FAILED
    deadline = Deadline(app.clock, EVENT_WITHIN_S)
    if app.emergencies.record_delivery(report.message_id, report.recipient, delivery, deadline):
        app.telemetry.emit("delivery_report", status=report.status.value.lower())
