"""What Event Grid delivers: server calls, our own calls from other telephony, incoming calls, delivery reports."""

from datetime import timedelta
from typing import TYPE_CHECKING

import azure.functions as func

from functions.problems import SourceUnknown, acknowledged, in_line
from functions.rights import source_of
from functions.this_app import composed
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
from shared.domain.notifications import Delivery
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall

if TYPE_CHECKING:
    from shared.bootstrap import App

blueprint = func.Blueprint()


def _counting(event: func.EventGridEvent, app: "App", *kinds: str) -> TelephonyEvent | None:
    """The event, if it is of one of these kinds. Raises `SourceUnknown` where it is from none of EVENT_SOURCES."""
    read = telephony_event(event)
    if not counts(read, app.settings.event_sources, callbacks_from_anywhere=app.settings.callbacks_from_anywhere):
        raise SourceUnknown
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
    app.calling.start_call_from_event(dialled(read), caller=source_of(read.source))


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
    end = End(call_id=body.call_id, by_agent=body.by_agent, agent_id=body.agent_id, at=read.time)
    app.calling.end_call_from_event(end, caller=source_of(read.source))


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
    app.calling.see_server_call(call)


@blueprint.event_grid_trigger(arg_name="event")
@acknowledged
def incoming_call_event(event: func.EventGridEvent) -> None:
    """Somebody calls one of our numbers: a responder, perhaps."""
    app = composed()
    read = _counting(event, app, INCOMING_CALL)
    if read is None:
        return
    call = incoming_call(read)
    app.calling.answer_callback(
        Incoming(
            to_number=call.to_number,
            context=call.context,
            origin=call.server_call_id or call.correlation_id or call.context,
            caller=call.caller,
            came_at=read.time,
        )
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
    app.calling.refuse_recording(
        RecordedFiles(
            recording_id=file.recording_id,
            call_id=file.call_id,
            server_call_id=file.server_call_id,
            locations=locations,
            unlocated=len(file.chunks) - len(locations),
            began_at=file.began_at,
        )
    )


@blueprint.event_grid_trigger(arg_name="event")
@in_line
@acknowledged
def email_delivery_report_event(event: func.EventGridEvent) -> None:
    """What became of a notice on its way to one recipient."""
    app = composed()
    read = _counting(event, app, EMAIL_DELIVERY_REPORT)
    if read is None:
        return
    report = delivery_report(read)
    delivery = Delivery.DELIVERED if report.status.arrived else Delivery.FAILED
    if app.calling.record_delivery(report.message_id, report.recipient, delivery):
        app.calling.telemetry.emit("delivery_report", status=report.status.value.lower())
