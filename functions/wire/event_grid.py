"""What Event Grid delivers: Azure Communication Services' events, and our own from custom topics.

Both schemas occur, and every event in more than one shape: fields were renamed over the years, and samples, schemas
and deliveries differ. Where two spellings are known both are read; `subject` is never parsed where `data` knows.
"""

import math
from base64 import b64decode
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

import azure.functions as func
from azure.functions import eventgrid, meta
from msgspec import Struct, structs

from functions.wire.decoding import (
    in_range,
    loads,
    mapping,
    moment_of,
    plain_id,
    text,
    text_if_sound,
    text_or_none,
)
from functions.wire.http import (
    MAX_ID_CHARS,
    MAX_RAW_ID_CHARS,
    MAX_SERVER_CALL_ID_CHARS,
    EndBody,
    Id,
    dial_body,
    report_in,
)
from shared.domain.contacts import MAX_ADDRESS_CHARS
from shared.domain.dials import Dial
from shared.domain.errors import Malformed
from shared.domain.identities import number_in
from shared.domain.ids import ascii_lower

ACS_PREFIX = "Microsoft.Communication."
ACS_CALL_STARTED = "Microsoft.Communication.CallStarted"
ACS_CALL_ENDED = "Microsoft.Communication.CallEnded"
INCOMING_CALL = "Microsoft.Communication.IncomingCall"
RECORDING_FILE_STATUS = "Microsoft.Communication.RecordingFileStatusUpdated"
EMAIL_DELIVERY_REPORT = "Microsoft.Communication.EmailDeliveryReportReceived"
OWN_CALL_STARTED = "EmergencyCalling.CallStarted"
OWN_CALL_ENDED = "EmergencyCalling.CallEnded"

MAX_SOURCE_CHARS = 2048
MAX_SUBJECT_CHARS = 8192
MAX_CONTEXT_CHARS = 64 * 1024
MAX_CORRELATION_ID_CHARS = 300
MAX_URL_CHARS = 4096
MAX_DURATION_S = 30 * 24 * 3600
MAX_CHUNKS = 1000
TIME = "time"
_COMMUNICATION_SERVICES = ("microsoft.communication", "communicationservices")

type Event = func.EventGridEvent | func.CloudEvent


class TelephonyEvent(Struct, frozen=True, kw_only=True):
    """An event of either schema; `source` is the resource that sent it.

    Only the type must be sound: what cannot be read is None (`time`) or empty, for whoever needs it to say so.
    """

    type: str
    source: str
    time: datetime | None
    subject: str
    data: object

    def happened_at(self) -> datetime:
        """The event's time in UTC; raises `Malformed` if it has none that can be read."""
        if self.time is None:
            raise Malformed(TIME, "is missing, or no RFC 3339 time")
        return self.time


def telephony_event(event: Event) -> TelephonyEvent:
    """The event without its schema; raises `Malformed`. Whether its source counts, `counts` says."""
    if isinstance(event, func.CloudEvent):
        kind, source, when = event.type, event.source, event.time
    else:
        kind, source, when = event.event_type, event.topic, event.event_time
    return TelephonyEvent(
        type=text(kind, "type", MAX_ID_CHARS),
        source=text_if_sound(source, MAX_SOURCE_CHARS) or "",
        time=_event_time(when),
        subject=text_if_sound(event.subject, MAX_SUBJECT_CHARS) or "",
        data=event.get_json(),
    )


def _event_time(when: object) -> datetime | None:
    try:
        if isinstance(when, datetime):
            return in_range(when.replace(tzinfo=when.tzinfo or UTC), TIME)
        return moment_of(when, TIME) if isinstance(when, str) else None
    except Malformed:
        return None


def replace_event_decoder() -> None:
    """Let `azure.functions` hand on events as they were sent, so that `telephony_event` reads them.

    Its own reader raises on any offset but UTC's in a time, on an attribute of a CloudEvent that is named like a
    parameter of its class and on numbers of thousands of digits, before a function of ours is reached: the event would
    come again for a day, and an emergency reported with a local offset would never begin. It hands on no `data_base64`.
    """
    # There is no public way: only the converters of durable functions may be replaced.
    eventgrid.EventGridEventInConverter.decode = staticmethod(_as_it_was_sent)  # type: ignore[method-assign]


def _as_it_was_sent(data: meta.Datum, *, trigger_metadata: object) -> Event:  # noqa: ARG001 - the library's signature
    sent = _parsed(data.value)
    said: dict[str, Any] = sent if isinstance(sent, dict) else {}
    attributes: dict[str, Any]
    if "specversion" in said:
        names = ("id", "source", "type", "specversion", "time", "subject", "datacontenttype", "dataschema")
        attributes = {name: said.get(name) for name in names}
        return func.CloudEvent(**attributes, data=_data_in(said))
    named = {"event_type": "eventType", "event_time": "eventTime", "data_version": "dataVersion"}
    attributes = {name: said.get(named.get(name, name)) for name in ("id", "topic", "subject", "data", *named)}
    return func.EventGridEvent(**attributes)


def _data_in(event: Mapping[str, Any]) -> object:
    """The data of a CloudEvent, which may also come as base64 of JSON (CloudEvents, JSON format 1.0, 3.1)."""
    plain, packed = event.get("data"), event.get("data_base64")
    if plain is not None or not isinstance(packed, str):
        return plain
    try:
        return _parsed(b64decode(packed, validate=True))
    except ValueError:
        return None


def _parsed(sent: str | bytes) -> Any:
    """JSON; None for what is none, which no other delivery mends."""
    try:
        return loads(sent)
    except ValueError:
        return None


def counts(
    event: TelephonyEvent, event_sources: Collection[str] | None, *, callbacks_from_anywhere: bool = False
) -> bool:
    """Whether the event's source may send such an event; `event_sources` in ASCII lower case, None for any.

    `callbacks_from_anywhere`: a source that could not be read may be the one that reports incoming calls, which are
    answered by the number dialled alone.
    `Microsoft.Communication.*` comes from a Communication Services resource only, `EmergencyCalling.*` from any other
    listed source only: whoever may publish to a topic of ours could speak for the telephony otherwise.
    """
    if event_sources is None or (callbacks_from_anywhere and event.type == INCOMING_CALL):
        return True
    source = ascii_lower(event.source)
    return source in event_sources and _is_communication_services(source) is event.type.startswith(ACS_PREFIX)


def _is_communication_services(resource_id: str) -> bool:
    return tuple(resource_id.split("/")[-4:-1]) == ("providers", *_COMMUNICATION_SERVICES)


# Calls ---------------------------------------------------------------------------------------------------------------


class CallSeen(Struct, frozen=True, kw_only=True):
    """ACS saw a call start or end. `duration_s` in seconds; `ended_by_raw_id` only where the event names somebody."""

    server_call_id: str
    correlation_id: str | None
    starter_raw_id: str
    at: datetime
    ended: bool
    duration_s: float | None = None
    ended_by_raw_id: str | None = None


class CallEndedBody(EndBody, frozen=True, kw_only=True):
    """The data of `EmergencyCalling.CallEnded`."""

    call_id: Id

    def plain(self) -> "CallEndedBody":
        """With its ids as they were before they were put into an address."""
        return structs.replace(self, call_id=plain_id(self.call_id), agent_id=self.named_agent())


def call_seen(event: TelephonyEvent) -> CallSeen:
    """Read `Microsoft.Communication.CallStarted` or `…CallEnded`; raises `Malformed`."""
    data = mapping(event.data, "data")
    ended = event.type == ACS_CALL_ENDED
    starter = _raw_id(data.get("startedBy"), "data.startedBy")
    if starter is None:
        raise Malformed("data.startedBy", "names nobody")
    return CallSeen(
        server_call_id=plain_id(text(data.get("serverCallId"), "data.serverCallId", MAX_SERVER_CALL_ID_CHARS)),
        correlation_id=_id_if_sound(data.get("correlationId"), MAX_CORRELATION_ID_CHARS),
        starter_raw_id=starter,
        at=event.happened_at(),
        ended=ended,
        duration_s=_duration_s(data) if ended else None,
        ended_by_raw_id=_raw_id_if_sound(data.get("endedBy")) if ended else None,
    )


def dialled(event: TelephonyEvent) -> Dial:
    """Read `EmergencyCalling.CallStarted`: the HTTP body, and dialled at the event's time unless it says when.

    Where neither can be read it was dialled when it is received, as far as anybody knows: nobody's emergency fails for
    a time. Raises `Malformed`.
    """
    body, ignored = dial_body(event.data, "data")
    if event.time is None and body.dialled_at is None:
        return body.dial(tuple(sorted({*ignored, TIME})))
    dial = body.dial(ignored)
    if body.dialled_ago_ms is not None and event.time is not None:
        # Measured when the event was made, which may be a day before it came.
        dialled_at = event.time - timedelta(milliseconds=body.dialled_ago_ms)
    else:
        dialled_at = body.dialled_at or event.happened_at()
    return structs.replace(dial, dialled_at=dialled_at, dialled_ago=None)


def call_ended(event: TelephonyEvent) -> CallEndedBody:
    """Read `EmergencyCalling.CallEnded`; raises `Malformed`."""
    return report_in(mapping(event.data, "data"), CallEndedBody, "data").plain()


def _raw_id(person: object, field: str) -> str | None:
    """Who somebody is, from `{communicationIdentifier: {rawId}}`, in any case of its names, or from `{rawId}`."""
    if not isinstance(person, Mapping):
        return None
    outer = _any_case(person)
    inner = outer.get("communicationidentifier")
    named = _any_case(inner) if isinstance(inner, Mapping) else {}
    raw_id = named.get("rawid") or outer.get("rawid")
    if raw_id is None:
        user = (named or outer).get("communicationuser")
        raw_id = _any_case(user).get("id") if isinstance(user, Mapping) else None
    return text_or_none(raw_id, f"{field}.rawId", MAX_RAW_ID_CHARS)


def _raw_id_if_sound(person: object) -> str | None:
    """As `_raw_id`, where neither an end nor a responder's call depends on how somebody is written down."""
    try:
        return _raw_id({"rawId": person} if isinstance(person, str) else person, "data")
    except Malformed:
        return None


def _id_if_sound(value: object, longest: int) -> str | None:
    found = text_if_sound(value, longest)
    return None if found is None else plain_id(found)


def _any_case(names: Mapping[str, object]) -> dict[str, object]:
    return {name.casefold(): value for name, value in names.items()}


def _duration_s(data: Mapping[str, object]) -> float | None:
    for name in ("durationOfCall", "callDurationInSeconds"):
        value = data.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_DURATION_S:
            return float(value) if math.isfinite(value) else None
    return None


class IncomingCall(Struct, frozen=True, kw_only=True):
    """Somebody calls: `to_number` is the E.164 number dialled, None where it is a user; `context` answers the call.

    `caller` is a raw identity, None where it cannot be read.
    """

    to_number: str | None
    server_call_id: str | None
    correlation_id: str | None
    context: str
    caller: str | None = None


def incoming_call(event: TelephonyEvent) -> IncomingCall:
    """Read `Microsoft.Communication.IncomingCall`. Raises `Malformed`."""
    data = mapping(event.data, "data")
    to = mapping(data.get("to"), "data.to")
    number = _number(to)
    if number is None and _raw_id(to, "data.to") is None:
        raise Malformed("data.to", "names nobody")
    return IncomingCall(
        to_number=number,
        server_call_id=_id_if_sound(data.get("serverCallId"), MAX_SERVER_CALL_ID_CHARS),
        correlation_id=_id_if_sound(data.get("correlationId"), MAX_CORRELATION_ID_CHARS),
        context=text(data.get("incomingCallContext"), "data.incomingCallContext", MAX_CONTEXT_CHARS),
        caller=_raw_id_if_sound(data.get("from")),
    )


def _number(to: Mapping[str, object]) -> str | None:
    named = _any_case(to)
    phone = named.get("phonenumber")
    value = _any_case(phone).get("value") if isinstance(phone, Mapping) else phone
    candidates = (each for each in (value, named.get("rawid")) if isinstance(each, str))
    return next((number for each in candidates if (number := number_in(each)) is not None), None)


# E-mail --------------------------------------------------------------------------------------------------------------


class MailStatus(StrEnum):
    """What became of a message on its way to one recipient."""

    DELIVERED = "Delivered"
    EXPANDED = "Expanded"
    BOUNCED = "Bounced"
    FAILED = "Failed"
    FILTERED_SPAM = "FilteredSpam"
    QUARANTINED = "Quarantined"
    SUPPRESSED = "Suppressed"

    @property
    def arrived(self) -> bool:
        """Whether the message reached a mailbox, or the list behind the address."""
        return self in {MailStatus.DELIVERED, MailStatus.EXPANDED}


class DeliveryReport(Struct, frozen=True, kw_only=True):
    """One recipient's report; `message_id` is the operation id of the send."""

    message_id: str
    recipient: str
    status: MailStatus


def delivery_report(event: TelephonyEvent) -> DeliveryReport:
    """Read `Microsoft.Communication.EmailDeliveryReportReceived`; raises `Malformed`."""
    data = mapping(event.data, "data")
    return DeliveryReport(
        message_id=text(data.get("messageId"), "data.messageId", MAX_CORRELATION_ID_CHARS),
        recipient=text(data.get("recipient"), "data.recipient", MAX_ADDRESS_CHARS),
        status=_mail_status(text(data.get("status"), "data.status", MAX_ID_CHARS)),
    )


def _mail_status(sent: str) -> MailStatus:
    """What is not known, such as a status of a later version, has failed: the event's schema says so."""
    for status in MailStatus:
        if status.value.casefold() == sent.strip().casefold():
            return status
    return MailStatus.FAILED


# Recordings ----------------------------------------------------------------------------------------------------------


class RecordingChunk(Struct, frozen=True, kw_only=True):
    """A piece of a recording; None where the event does not say how it is deleted."""

    delete_location: str | None


class RecordingFile(Struct, frozen=True, kw_only=True):
    """A recording whose files are ready. `call_id` is the call's correlation id; older events know nothing more."""

    call_id: str
    server_call_id: str | None
    recording_id: str
    chunks: tuple[RecordingChunk, ...]
    began_at: datetime | None = None


def recording_file(event: TelephonyEvent) -> RecordingFile:
    """Read `Microsoft.Communication.RecordingFileStatusUpdated`, which names its call in the subject only."""
    call, server, recording = _in_subject(event.subject)
    data = mapping(event.data, "data")
    return RecordingFile(
        call_id=text(unquote(call), "subject", MAX_CORRELATION_ID_CHARS),
        server_call_id=text(unquote(server), "subject", MAX_SERVER_CALL_ID_CHARS) if server else None,
        recording_id=text(unquote(recording), "subject", MAX_SUBJECT_CHARS),
        chunks=_chunks(data),
        began_at=_began_at(data.get("recordingStartTime")),
    )


def _in_subject(subject: str) -> tuple[str, str, str]:
    """The call, the server call ("" in older events) and the recording of `/recording/call/…`.

    Split at fixed words, in one pass each: the ids between them may hold slashes, all but the call's.
    """
    trimmed = subject.strip("/")
    words = ascii_lower(trimmed)
    begun = len(_CALL) if words.startswith(_CALL) else len(trimmed)
    recording = words.find(_RECORDING, begun)
    call, _, rest = trimmed[begun : max(recording, begun)].partition("/")
    server = rest[len(_SERVER_CALL) :] if ascii_lower(rest).startswith(_SERVER_CALL) else ""
    named = trimmed[recording + len(_RECORDING) :].strip("/")
    if recording < 0 or not call or not named or (rest and not server):
        raise Malformed("subject", "names no recording")
    return call, server, named


_CALL, _SERVER_CALL, _RECORDING = "recording/call/", "servercallid/", "/recordingid/"


def _began_at(sent: object) -> datetime | None:
    # It only narrows down whose recording it may be: a time that cannot be read is as good as none.
    try:
        return moment_of(sent, "data.recordingStartTime") if isinstance(sent, str) else None
    except Malformed:
        return None


def _chunks(data: Mapping[str, object]) -> tuple[RecordingChunk, ...]:
    info = mapping(data.get("recordingStorageInfo"), "data.recordingStorageInfo")
    # As much of its place as a word of the log holds.
    field = "recordingStorageInfo.recordingChunks"
    chunks = info.get("recordingChunks")
    if not isinstance(chunks, list) or len(chunks) > MAX_CHUNKS:
        raise Malformed(field, f"is not a list of at most {MAX_CHUNKS} entries")
    return tuple(map(_chunk, chunks))


def _chunk(chunk: object) -> RecordingChunk:
    # One that cannot be read is counted as without an address: the others must be deleted all the same.
    location = chunk.get("deleteLocation") if isinstance(chunk, Mapping) else None
    return RecordingChunk(delete_location=text_if_sound(location, MAX_URL_CHARS))
