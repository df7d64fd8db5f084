"""Event Grid events of Azure Communication Services in every form that occurs; the field names are the services'."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

import msgspec

from tests.local.acs.identities import model, raw_id
from tests.local.acs.messages import Json

# Where telephony that is not ACS publishes its calls.
CUSTOM_TOPIC = (
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/rg-emergency"
    "/providers/Microsoft.EventGrid/topics/telephony"
)
PREFIX = "Microsoft.Communication."
EventForm = Literal["eventgrid", "eventgrid-2021", "cloudevents"]


class CallEventShape(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the field variants a CallStarted or CallEnded uses; each has been seen in the services' events."""

    cloud_event: bool = False
    nested_starter: bool = True
    with_kind: bool = False
    with_room: bool = True
    two_party: bool | None = True
    role: str = "{role}"
    lower_case_ender: bool = True
    duration_field: Literal["durationOfCall", "callDurationInSeconds"] = "durationOfCall"
    client_field: Literal["endpointType", "userAgent"] | None = None


SHAPES: Mapping[EventForm, CallEventShape] = {
    "eventgrid": CallEventShape(),
    "eventgrid-2021": CallEventShape(nested_starter=False, with_room=False),
    "cloudevents": CallEventShape(
        cloud_event=True, with_kind=True, two_party=None, role="UserRole", duration_field="callDurationInSeconds"
    ),
}


def envelope(
    *, source: str, event_type: str, subject: str, data: Json, at: datetime | None = None, cloud_event: bool = False
) -> Json:
    """An event in one of the two schemas; Event Grid writes the resource id in lower case in its own."""
    time = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    if cloud_event:
        names = {"id": str(uuid4()), "source": source, "subject": subject, "data": data}
        return {**names, "type": event_type, "specversion": "1.0", "time": time}
    return {
        "id": str(uuid4()),
        "topic": source.lower(),
        "subject": subject,
        "data": data,
        "eventType": event_type,
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": time,
    }


def call_started(
    *,
    source: str,
    starter: str,
    server_call_id: str,
    correlation_id: str = "",
    form: EventForm = "eventgrid",
    shape: CallEventShape | None = None,
    at: datetime | None = None,
) -> Json:
    """`CallStarted`: who started it and the call's ids, never the callee."""
    shape = shape or SHAPES[form]
    return envelope(
        source=source,
        event_type=PREFIX + "CallStarted",
        subject=_call_subject(shape, server_call_id, starter),
        data=_call_data(shape, starter, server_call_id, correlation_id),
        at=at,
        cloud_event=shape.cloud_event,
    )


def call_ended(
    *,
    source: str,
    starter: str,
    server_call_id: str,
    correlation_id: str = "",
    ended_by: str | None = None,
    duration_s: float = 50.0,
    form: EventForm = "eventgrid",
    shape: CallEventShape | None = None,
    at: datetime | None = None,
) -> Json:
    """`CallEnded`: as the start, with the duration and, where the source says so, who ended it."""
    shape = shape or SHAPES[form]
    data = _call_data(shape, starter, server_call_id, correlation_id)
    duration = duration_s if shape.duration_field == "durationOfCall" else int(duration_s)
    data = {shape.duration_field: duration, **data}
    if ended_by is not None:
        key = "communicationidentifier" if shape.lower_case_ender else "communicationIdentifier"
        data["endedBy"] = {key: model(ended_by, with_kind=shape.with_kind), "type": "Participant", "name": "agent"}
        data["reason"] = {"code": 0, "subCode": 0, "phrase": "Success"}
    return envelope(
        source=source,
        event_type=PREFIX + "CallEnded",
        subject="thread/19:example" if shape.cloud_event else f"call/{server_call_id}",
        data=data,
        at=at,
        cloud_event=shape.cloud_event,
    )


def incoming_call(
    *,
    source: str,
    caller: str,
    dialled: str,
    context: str,
    server_call_id: str,
    correlation_id: str,
    display_name: str = "",
    sip_headers: Mapping[str, str] | None = None,
    voip_headers: Mapping[str, str] | None = None,
    with_kind: bool = True,
    cloud_event: bool = False,
    at: datetime | None = None,
) -> Json:
    """`IncomingCall`: a number or a user is being rung; a withheld caller is `4:anonymous`."""
    data: Json = {
        "to": model(dialled, with_kind=with_kind),
        "from": model(caller, with_kind=with_kind),
        "serverCallId": server_call_id,
        "callerDisplayName": display_name,
        "incomingCallContext": context,
        "correlationId": correlation_id,
    }
    if sip_headers or voip_headers:
        data["customContext"] = {"sipHeaders": dict(sip_headers or {}), "voipHeaders": dict(voip_headers or {})}
    return envelope(
        source=source,
        event_type=PREFIX + "IncomingCall",
        subject=f"/caller/{raw_id(caller)}/recipient/{raw_id(dialled)}",
        data=data,
        at=at,
        cloud_event=cloud_event,
    )


def email_delivery_report(
    *,
    source: str,
    sender: str,
    recipient: str,
    message_id: str,
    status: str = "Delivered",
    at: datetime | None = None,
    time_field: str = "deliveryAttemptTimeStamp",
    cloud_event: bool = False,
) -> Json:
    """`EmailDeliveryReportReceived`: one per recipient; the status comes in any case."""
    tried_at = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00"
    data = {
        "sender": sender,
        "recipient": recipient,
        "messageId": message_id,
        "status": status,
        time_field: tried_at,
        "deliveryStatusDetails": {"statusMessage": "" if status.lower() == "delivered" else f"Example{status}"},
    }
    return envelope(
        source=source,
        event_type=PREFIX + "EmailDeliveryReportReceived",
        subject=f"sender/{sender}/message/{message_id}",
        data=data,
        at=at,
        cloud_event=cloud_event,
    )


def recording_file_status(
    *,
    source: str,
    call_id: str,
    server_call_id: str | None,
    recording_id: str,
    document_ids: tuple[str, ...] = ("0-wus-d10-example",),
    at: datetime | None = None,
    cloud_event: bool = False,
) -> Json:
    """`RecordingFileStatusUpdated`: the call stands in the subject only; older ones lack the server call id there."""
    server_part = f"/serverCallId/{server_call_id}" if server_call_id else ""
    data = {
        "recordingStorageInfo": {"recordingChunks": [_chunk(i, name) for i, name in enumerate(document_ids)]},
        "recordingStartTime": (at or datetime.now(UTC)).isoformat(),
        "recordingDurationMs": 46_620,
        "sessionEndReason": "CallEnded",
        "recordingContentType": "Audio",
        "recordingChannelType": "Mixed",
        "recordingFormatType": "Mp3",
    }
    return envelope(
        source=source,
        event_type=PREFIX + "RecordingFileStatusUpdated",
        subject=f"/recording/call/{call_id}{server_part}/recordingId/{recording_id}",
        data=data,
        at=at,
        cloud_event=cloud_event,
    )


def custom_call_event(
    kind: Literal["CallStarted", "CallEnded"],
    data: Json,
    *,
    source: str = CUSTOM_TOPIC,
    at: datetime | None = None,
    cloud_event: bool = False,
) -> Json:
    """`EmergencyCalling.CallStarted` or `.CallEnded`, from telephony that is not ACS; `data` as the HTTP body."""
    return envelope(
        source=source,
        event_type=f"EmergencyCalling.{kind}",
        subject="calls",
        data=data,
        at=at,
        cloud_event=cloud_event,
    )


def _call_data(shape: CallEventShape, starter: str, server_call_id: str, correlation_id: str) -> Json:
    who = model(starter, with_kind=shape.with_kind)
    data: Json = {
        "startedBy": {"communicationIdentifier": who, "role": shape.role}
        if shape.nested_starter
        else {**who, "role": shape.role},
        "serverCallId": server_call_id,
        "group": {"id": "00000000-0000-0000-0000-000000000000"},
        "correlationId": correlation_id or str(uuid4()),
    }
    if shape.with_room:
        data |= {"room": {"id": ""}, "isTwoParty": shape.two_party, "isRoomsCall": False}
    if shape.client_field is not None:
        data[shape.client_field] = "acs" if shape.client_field == "endpointType" else "Example/1.0"
    return data


def _call_subject(shape: CallEventShape, server_call_id: str, starter: str) -> str:
    if shape.cloud_event:
        return f"thread/19:example/senderCommunicationIdentifierRawId/{raw_id(starter)}"
    return f"call/{server_call_id}/startedBy/{raw_id(starter)}"


def _chunk(index: int, document_id: str) -> Json:
    content = f"https://us-storage.asm.skype.com/v1/objects/{document_id}"
    return {
        "documentId": document_id,
        "index": index,
        "endReason": "SessionEnded",
        "contentLocation": f"{content}/content/video",
        "metadataLocation": f"{content}/content/acsmetadata",
        "deleteLocation": content,
    }
