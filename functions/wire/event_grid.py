"""What Event Grid delivers: Azure Communication Services' events, and our own from custom topics.

Both schemas occur, and every event in more than one shape: fields were renamed over the years, and samples, schemas
and deliveries differ. Where two spellings are known both are read; `subject` is never parsed where `data` knows.
"""

import math
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal
from urllib.parse import unquote

import azure.functions as func
from azure.functions import eventgrid
from msgspec import Struct, structs

from functions.wire.decoding import convert, in_range, mapping, moment_of, text, text_or_none
from functions.wire.http import LONGEST_ID, LONGEST_RAW_ID, LONGEST_SERVER_CALL_ID, DialBody, Id
from shared.domain.errors import Malformed
from shared.domain.identities import number_in, raw_identity
from shared.domain.notifications import LONGEST_ADDRESS

ACS_CALL_STARTED = "Microsoft.Communication.CallStarted"
ACS_CALL_ENDED = "Microsoft.Communication.CallEnded"
INCOMING_CALL = "Microsoft.Communication.IncomingCall"
RECORDING_FILE_STATUS = "Microsoft.Communication.RecordingFileStatusUpdated"
EMAIL_DELIVERY_REPORT = "Microsoft.Communication.EmailDeliveryReportReceived"
OWN_CALL_STARTED = "EmergencyCalling.CallStarted"
OWN_CALL_ENDED = "EmergencyCalling.CallEnded"

LONGEST_SOURCE = 2048
LONGEST_SUBJECT = 8192
LONGEST_CONTEXT = 64 * 1024
LONGEST_CORRELATION_ID = 300
LONGEST_URL = 4096
LONGEST_DURATION_S = 30 * 24 * 3600
MOST_CHUNKS = 1000
TIME = "time"

type Event = func.EventGridEvent | func.CloudEvent


class TelephonyEvent(Struct, frozen=True, kw_only=True):
    """An event of either schema; `source` is the resource that sent it, `time` is None where the event has none."""

    type: str
    source: str
    time: datetime | None
    subject: str
    data: object

    def happened_at(self) -> datetime:
        """The event's time in UTC; raises `Malformed` if it has none."""
        if self.time is None:
            raise Malformed(TIME, "is missing")
        return self.time


def telephony_event(event: Event) -> TelephonyEvent:
    """The event without its schema; raises `Malformed`. Whether its source counts, `counts` says."""
    if isinstance(event, func.CloudEvent):
        kind, source, when = event.type, event.source, event.time
    else:
        kind, source, when = event.event_type, event.topic, event.event_time
    return TelephonyEvent(
        type=text(kind, "type", LONGEST_ID),
        source=text_or_none(source, "source", LONGEST_SOURCE) or "",
        time=_event_time(when),
        subject=text_or_none(event.subject, "subject", LONGEST_SUBJECT) or "",
        data=event.get_json(),
    )


def _event_time(when: object) -> datetime | None:
    if when is None or when == "":
        return None
    if isinstance(when, str):
        return moment_of(when, TIME)
    if not isinstance(when, datetime):
        raise Malformed(TIME, "is not text")
    return moment_of(when.isoformat(), TIME) if when.tzinfo is None else in_range(when, TIME)


def read_event_times_here() -> None:
    """Let `azure.functions` hand on event times as they were sent, so that `telephony_event` reads them.

    Its own reader raises on any offset but UTC's and on anything malformed, before a function of ours is reached: the
    event would come again for a day, and an emergency reported with a local offset would never begin.
    """
    # There is no public way: only the converters of durable functions may be replaced.
    eventgrid.EventGridEventInConverter._parse_datetime = staticmethod(_as_it_is)  # type: ignore[assignment, method-assign]  # noqa: SLF001


def _as_it_is(sent: object) -> object:
    return sent


def counts(source: str, event_sources: Collection[str]) -> bool:
    """Whether events of `source` count: it is among `event_sources` (resource ids, whatever their case), or all do."""
    return not event_sources or _resource(source) in {_resource(known) for known in event_sources}


def _resource(resource_id: str) -> str:
    return resource_id.strip().rstrip("/").casefold()


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


class CallEndedBody(Struct, frozen=True, kw_only=True):
    """The data of `EmergencyCalling.CallEnded`."""

    call_id: Id
    reason: Literal["agent", "dropped"] = "agent"
    agent_id: Id | None = None

    @property
    def by_agent(self) -> bool:
        """Whether the agent ended the call."""
        return self.reason == "agent"


def call_seen(event: TelephonyEvent) -> CallSeen:
    """Read `Microsoft.Communication.CallStarted` or `…CallEnded`; raises `Malformed`."""
    data = mapping(event.data, "data")
    ended = event.type.casefold() == ACS_CALL_ENDED.casefold()
    starter = _raw_id(data.get("startedBy"), "startedBy")
    if starter is None:
        raise Malformed("data.startedBy", "names nobody")
    return CallSeen(
        server_call_id=text(data.get("serverCallId"), "data.serverCallId", LONGEST_SERVER_CALL_ID),
        correlation_id=text_or_none(data.get("correlationId"), "data.correlationId", LONGEST_CORRELATION_ID),
        starter_raw_id=starter,
        at=event.happened_at(),
        ended=ended,
        duration_s=_duration_s(data) if ended else None,
        ended_by_raw_id=_ended_by(data.get("endedBy")) if ended else None,
    )


def dialled(event: TelephonyEvent) -> DialBody:
    """Read `EmergencyCalling.CallStarted`: the HTTP body, and dialled at the event's time unless it says when.

    Raises `Malformed`.
    """
    body = convert(mapping(event.data, "data"), DialBody, "data")
    return body if body.dialled_at is not None else structs.replace(body, dialled_at=event.happened_at())


def call_ended(event: TelephonyEvent) -> CallEndedBody:
    """Read `EmergencyCalling.CallEnded`; raises `Malformed`."""
    return convert(mapping(event.data, "data"), CallEndedBody, "data")


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
    return text_or_none(raw_id, f"data.{field}.rawId", LONGEST_RAW_ID)


def _any_case(names: Mapping[str, object]) -> dict[str, object]:
    return {name.casefold(): value for name, value in names.items()}


def _ended_by(person: object) -> str | None:
    # It decides between "the agent ended it" and "a drop": what cannot be read counts as a drop, never as malformed.
    try:
        return _raw_id({"rawId": person} if isinstance(person, str) else person, "endedBy")
    except Malformed:
        return None


def _duration_s(data: Mapping[str, object]) -> float | None:
    for name in ("durationOfCall", "callDurationInSeconds"):
        value = data.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_DURATION_S:
            return float(value) if math.isfinite(value) else None
    return None


class IncomingCall(Struct, frozen=True, kw_only=True):
    """Somebody calls: `to_number` is the E.164 number dialled, None where it is a user; `context` answers the call.

    `caller` is a raw identity, None where it cannot be read.
    """

    to_number: str | None
    to_raw_id: str
    server_call_id: str | None
    correlation_id: str | None
    context: str
    caller: str | None = None


def incoming_call(event: TelephonyEvent) -> IncomingCall:
    """Read `Microsoft.Communication.IncomingCall`. Raises `Malformed`."""
    data = mapping(event.data, "data")
    to = mapping(data.get("to"), "data.to")
    number = _number(to)
    raw_id = _raw_id(to, "to") or (raw_identity(number) if number else None)
    if raw_id is None:
        raise Malformed("data.to", "names nobody")
    return IncomingCall(
        to_number=number,
        to_raw_id=raw_id,
        server_call_id=text_or_none(data.get("serverCallId"), "data.serverCallId", LONGEST_SERVER_CALL_ID),
        correlation_id=text_or_none(data.get("correlationId"), "data.correlationId", LONGEST_CORRELATION_ID),
        context=text(data.get("incomingCallContext"), "data.incomingCallContext", LONGEST_CONTEXT),
        caller=_caller(data.get("from")),
    )


def _caller(person: object) -> str | None:
    try:
        return _raw_id(person, "data.from")
    except Malformed:
        # A responder's call does not depend on how they are written down.
        return None


def _number(to: Mapping[str, object]) -> str | None:
    phone = to.get("phoneNumber")
    value = phone.get("value") if isinstance(phone, Mapping) else phone
    raw_id = to.get("rawId")
    candidates = (each for each in (value, raw_id) if isinstance(each, str))
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
    at: datetime | None


def delivery_report(event: TelephonyEvent) -> DeliveryReport:
    """Read `Microsoft.Communication.EmailDeliveryReportReceived`; raises `Malformed`."""
    data = mapping(event.data, "data")
    sent = data.get("deliveryAttemptTimeStamp", data.get("deliveryAttemptTimestamp"))
    when = text_or_none(sent, "data.deliveryAttemptTimeStamp", LONGEST_ID)
    return DeliveryReport(
        message_id=text(data.get("messageId"), "data.messageId", LONGEST_CORRELATION_ID),
        recipient=text(data.get("recipient"), "data.recipient", LONGEST_ADDRESS),
        status=_mail_status(text(data.get("status"), "data.status", LONGEST_ID)),
        at=moment_of(when, "data.deliveryAttemptTimeStamp") if when else event.time,
    )


def _mail_status(sent: str) -> MailStatus:
    for status in MailStatus:
        if status.value.casefold() == sent.strip().casefold():
            return status
    raise Malformed("data.status", "is none of the values known")


# Recordings ----------------------------------------------------------------------------------------------------------


class RecordingChunk(Struct, frozen=True, kw_only=True):
    """A piece of a recording; None where the event leaves its address out."""

    content_location: str | None
    delete_location: str | None


class RecordingFile(Struct, frozen=True, kw_only=True):
    """A recording whose files are ready. `call_id` is the call's correlation id; older events know nothing more."""

    call_id: str
    server_call_id: str | None
    recording_id: str
    chunks: tuple[RecordingChunk, ...]
    began_at: datetime | None = None


_RECORDING_SUBJECT = re.compile(
    r"/*recording/call/(?P<call>[^/]+)(?:/serverCallId/(?P<server>.+?))?/recordingId/(?P<recording>.+?)/*",
    re.IGNORECASE,
)


def recording_file(event: TelephonyEvent) -> RecordingFile:
    """Read `Microsoft.Communication.RecordingFileStatusUpdated`, which names its call in the subject only."""
    named = _RECORDING_SUBJECT.fullmatch(event.subject)
    if named is None:
        raise Malformed("subject", "names no recording")
    server = named["server"]
    return RecordingFile(
        call_id=text(unquote(named["call"]), "subject", LONGEST_CORRELATION_ID),
        server_call_id=text(unquote(server), "subject", LONGEST_SERVER_CALL_ID) if server else None,
        recording_id=text(unquote(named["recording"]), "subject", LONGEST_SUBJECT),
        chunks=_chunks(mapping(event.data, "data")),
        began_at=_began_at(mapping(event.data, "data").get("recordingStartTime")),
    )


def _began_at(sent: object) -> datetime | None:
    # It only narrows down whose recording it may be: a time that cannot be read is as good as none.
    try:
        return moment_of(sent, "data.recordingStartTime") if isinstance(sent, str) else None
    except Malformed:
        return None


def _chunks(data: Mapping[str, object]) -> tuple[RecordingChunk, ...]:
    info = mapping(data.get("recordingStorageInfo"), "data.recordingStorageInfo")
    field = "data.recordingStorageInfo.recordingChunks"
    chunks = info.get("recordingChunks")
    if not isinstance(chunks, list) or len(chunks) > MOST_CHUNKS:
        raise Malformed(field, f"is not a list of at most {MOST_CHUNKS} entries")
    return tuple(_chunk(mapping(chunk, f"{field}[{index}]"), f"{field}[{index}]") for index, chunk in enumerate(chunks))


def _chunk(chunk: Mapping[str, object], field: str) -> RecordingChunk:
    return RecordingChunk(
        content_location=text_or_none(chunk.get("contentLocation"), f"{field}.contentLocation", LONGEST_URL),
        delete_location=text_or_none(chunk.get("deleteLocation"), f"{field}.deleteLocation", LONGEST_URL),
    )
