"""Every shape that Event Grid's events come in, and everything else that JSON can hold."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest
from azure.functions import eventgrid, meta
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from functions.wire import event_grid
from functions.wire.event_grid import MailStatus, TelephonyEvent, counts, telephony_event
from shared.domain.errors import Malformed
from shared.telemetry import spoken
from tests.events import ACCEPTED, REJECTED, accepted, bound

EVENT_TIME = datetime(2026, 11, 20, 18, 0, 0, 123456, UTC)
SERVER = "aHR0cHM6Ly9leGFtcGxlLmNvbS9jb252L29uZQ"
CORRELATION = "7e6f4b52-90a5-4f64-9a7e-3a1f1c2d0e11"
AGENT = "8:acs:2c9b5a10-3d44-4f6e-8a57-6b0e1d2f3a4b_0000002a-1111-2222-3333-444455556666"
OTHER = "8:acs:2c9b5a10-3d44-4f6e-8a57-6b0e1d2f3a4b_0000002a-7777-8888-9999-aaaabbbbcccc"

DECODERS: dict[str, Callable[[TelephonyEvent], Any]] = {
    "call_started": event_grid.call_seen,
    "call_ended": event_grid.call_seen,
    "incoming_call": event_grid.incoming_call,
    "email": event_grid.delivery_report,
    "recording": event_grid.recording_file,
    "own_started": event_grid.dialled,
    "own_ended": event_grid.call_ended,
}


def decoder_for(name: str) -> Callable[[TelephonyEvent], Any]:
    return DECODERS[name.partition(".")[0]]


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name.startswith("call_started")])
def test_every_call_started_says_the_same(name: str) -> None:
    seen = event_grid.call_seen(accepted(name))
    assert (seen.server_call_id, seen.starter_raw_id, seen.ended) == (SERVER, AGENT, False)
    assert seen.correlation_id == (None if "without-correlation" in name else CORRELATION)
    assert seen.at == (EVENT_TIME.replace(microsecond=0) if "without-fraction" in name else EVENT_TIME)
    assert seen.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("name", "ended_by", "duration_s"),
    [
        ("call_ended.duration-of-call", None, 41.5),
        ("call_ended.duration-in-seconds", AGENT, 41),
        ("call_ended.by-raw-id", OTHER, 41.5),
        ("call_ended.by-bare-text", OTHER, None),
        ("call_ended.by-camel-case", OTHER, None),
        ("call_ended.by-microsoft", None, None),
        ("call_ended.by-list", None, None),
    ],
)
def test_call_ended_says_who_ended_it_where_it_knows(name: str, ended_by: str | None, duration_s: float | None) -> None:
    seen = event_grid.call_seen(accepted(name))
    assert (seen.server_call_id, seen.starter_raw_id, seen.ended) == (SERVER, AGENT, True)
    assert (seen.ended_by_raw_id, seen.duration_s) == (ended_by, duration_s)


@pytest.mark.parametrize("name", ["incoming_call.number", "incoming_call.raw-id-only", "incoming_call.number-only"])
def test_an_incoming_call_to_a_number_is_known_by_it(name: str) -> None:
    call = event_grid.incoming_call(accepted(name))
    assert (call.to_number, call.context) == ("+12025550111", "ZXhhbXBsZS1jb250ZXh0")


@pytest.mark.parametrize("to", [{"RawId": "4:+14255550101"}, {"PhoneNumber": {"Value": "+14255550101"}}])
def test_a_number_that_was_called_is_read_in_any_case_of_its_names(to: dict[str, Any]) -> None:
    """As a user's id is: it would be taken for one, and a responder's call would be left alone."""
    event = structs.replace(accepted("incoming_call.number"), data={"to": to, "incomingCallContext": "c"})
    assert event_grid.incoming_call(event).to_number == "+14255550101"


def test_an_incoming_call_to_a_user_has_no_number() -> None:
    assert event_grid.incoming_call(accepted("incoming_call.user")).to_number is None


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("email.delivered", MailStatus.DELIVERED),
        ("email.bounced-lower-case", MailStatus.BOUNCED),
        ("email.filtered-without-time", MailStatus.FILTERED_SPAM),
        # "Any value other than Delivered is considered failed", says the event's schema.
        ("email.unknown-status", MailStatus.FAILED),
    ],
)
def test_delivery_reports(name: str, status: MailStatus) -> None:
    report = event_grid.delivery_report(accepted(name))
    assert (report.recipient, report.message_id) == ("desk@example.com", "5d8c3b1a-0f2e-5c4d-9b6a-1a2b3c4d5e6f")
    assert report.status is status
    assert report.status.arrived is (status is MailStatus.DELIVERED)


def test_recordings_name_their_call_in_both_forms_of_the_subject() -> None:
    new = event_grid.recording_file(accepted("recording.with-server-call"))
    old = event_grid.recording_file(accepted("recording.without-server-call"))
    assert (new.server_call_id, old.server_call_id) == (SERVER, None)
    assert new.call_id == old.call_id == CORRELATION
    assert new.recording_id == old.recording_id == "ZXhhbXBsZS1yZWNvcmRpbmc"
    assert [chunk.delete_location for chunk in new.chunks] == ["https://storage.example.com/objects/1", None]
    assert old.chunks == ()


def test_a_server_call_id_in_a_subject_may_hold_slashes() -> None:
    event = accepted("recording.without-server-call")
    subject = "/recording/call/one/serverCallId/aGk/LWE%2Fb/recordingId/cmVj"
    read = event_grid.recording_file(
        TelephonyEvent(type=event.type, source="", time=None, subject=subject, data=event.data)
    )
    assert (read.call_id, read.server_call_id, read.recording_id) == ("one", "aGk/LWE/b", "cmVj")


def test_an_own_start_is_the_http_body() -> None:
    dial = event_grid.dialled(accepted("own_started.full"))
    assert (dial.call_id, dial.agent_id, dial.dialled, dial.country) == ("switch-7/0001", "agent 17", "911", "us")
    assert dial.dialled_at == datetime(2026, 11, 20, 17, 59, 58, tzinfo=UTC)
    assert dial.location is not None
    assert dial.location.latitude == 47.6


def test_an_own_start_without_a_time_was_dialled_when_the_event_happened() -> None:
    assert event_grid.dialled(accepted("own_started.least")).dialled_at == EVENT_TIME


@pytest.mark.parametrize("when", [{}, {"time": None}, {"time": "yesterday"}, {"time": 20261120}])
def test_an_own_start_of_no_time_that_can_be_read_was_dialled_when_it_is_received(when: dict[str, Any]) -> None:
    """CloudEvents may leave it out (1.0, 3.1.2), and nobody's emergency fails for it."""
    event = ACCEPTED["own_started.without-time"] | when
    dial = event_grid.dialled(telephony_event(bound(event)))
    assert (dial.dialled_at, dial.dialled_ago, dial.ignored) == (None, None, ("time",))
    ago = telephony_event(bound(event | {"data": event["data"] | {"dialled_ago_ms": 1500}}))
    assert (event_grid.dialled(ago).dialled_at, event_grid.dialled(ago).dialled_ago) == (None, timedelta(seconds=1.5))
    said = telephony_event(bound(event | {"data": event["data"] | {"dialled_at": "2026-11-20T17:59:58Z"}}))
    assert event_grid.dialled(said).dialled_at == datetime(2026, 11, 20, 17, 59, 58, tzinfo=UTC)
    assert event_grid.dialled(said).ignored == ()


@pytest.mark.parametrize("name", ["own_started.base64", "own_started.extensions"])
def test_an_own_start_may_come_as_bytes_and_with_attributes_of_any_name(name: str) -> None:
    assert event_grid.dialled(accepted(name)) == event_grid.dialled(accepted("own_started.least"))


@pytest.mark.parametrize("packed", ["", "%%%", "\u00e9", "bm8gSlNPTg==", "e30", 7, None])
def test_bytes_that_are_no_json_are_no_data(packed: object) -> None:
    event = {name: value for name, value in ACCEPTED["own_started.least"].items() if name != "data"}
    with pytest.raises(Malformed, match=r"^data: is missing$"):
        event_grid.dialled(telephony_event(bound(event | {"data_base64": packed})))


def test_a_number_of_any_length_keeps_no_event_from_being_read() -> None:
    """Python refuses to make a whole number of more than 4,300 digits; the library would have raised for a day."""
    event = ACCEPTED["own_started.least"]
    sent = json.dumps(event | {"data": event["data"] | {"line": 0}}).replace(": 0}", f": {'9' * 5000}}}")
    read = eventgrid.EventGridEventInConverter.decode(meta.Datum(sent, "json"), trigger_metadata={})
    assert event_grid.dialled(telephony_event(read)) == event_grid.dialled(accepted("own_started.least"))


@pytest.mark.parametrize("sent", ["", "{", "[]", "null", "[" * 50_000])
def test_what_is_no_event_is_malformed(sent: str) -> None:
    bound({})
    read = eventgrid.EventGridEventInConverter.decode(meta.Datum(sent, "json"), trigger_metadata={})
    with pytest.raises(Malformed, match=r"^type: is missing$"):
        telephony_event(read)


@pytest.mark.parametrize(("name", "by_agent"), [("own_ended.full", False), ("own_ended.least", True)])
def test_an_own_end_is_the_agents_unless_it_says_otherwise(name: str, by_agent: bool) -> None:
    end = event_grid.call_ended(accepted(name))
    assert (end.call_id, end.by_agent) == ("switch-7/0001", by_agent)


@pytest.mark.parametrize("name", REJECTED)
def test_the_field_that_is_named_can_be_said_in_the_log(name: str) -> None:
    assert spoken(REJECTED[name]["field"]) == REJECTED[name]["field"].lower()


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_malformed_names_its_field_and_not_its_value(name: str) -> None:
    with pytest.raises(Malformed) as raised:
        decoder_for(name)(telephony_event(bound(REJECTED[name]["event"])))
    assert raised.value.field == REJECTED[name]["field"]
    for value in ("yesterday", "Vanished", "bored", "desk@example.com", "+12025550111", AGENT):
        assert value not in str(raised.value)


ACS = "/subscriptions/5/resourceGroups/g/providers/Microsoft.Communication/communicationServices/k"
TOPIC = "/subscriptions/5/resourceGroups/g/providers/Microsoft.EventGrid/topics/t"


def sent(kind: str, source: str) -> TelephonyEvent:
    return TelephonyEvent(type=kind, source=source, time=None, subject="", data={})


@pytest.mark.parametrize(
    ("kind", "source", "listed", "right"),
    [
        ("Microsoft.Communication.CallEnded", ACS, (ACS, TOPIC), True),
        ("Microsoft.Communication.CallEnded", ACS.upper(), (ACS, TOPIC), True),
        ("Microsoft.Communication.CallEnded", TOPIC, (ACS, TOPIC), False),
        ("Microsoft.Communication.IncomingCall", TOPIC, (ACS, TOPIC), False),
        ("Microsoft.Communication.CallEnded", ACS.replace("/k", "/another"), (ACS, TOPIC), False),
        ("Microsoft.Communication.CallEnded", "", (ACS, TOPIC), False),
        ("EmergencyCalling.CallStarted", TOPIC, (ACS, TOPIC), True),
        ("EmergencyCalling.CallStarted", ACS, (ACS, TOPIC), False),
        ("EmergencyCalling.CallStarted", "/another", (ACS, TOPIC), False),
        ("EmergencyCalling.CallStarted", "/anything", None, True),
        ("Microsoft.Communication.CallEnded", TOPIC, None, True),
        ("Microsoft.Communication.CallEnded", ACS, (), False),
        ("Microsoft.Communication.IncomingCall", ACS, (), False),
        # Nothing but A to Z has another case: neither the Kelvin sign nor a long s is a letter of a resource's name.
        ("Microsoft.Communication.CallEnded", ACS.replace("/k", "/\N{KELVIN SIGN}"), (ACS, TOPIC), False),
        ("EmergencyCalling.CallStarted", TOPIC.replace("s/t", "\N{LATIN SMALL LETTER LONG S}/t"), (ACS, TOPIC), False),
        ("Microsoft.Communication.CallEnded", ACS + "/", (ACS, TOPIC), False),
        ("Microsoft.Communication.CallEnded", f" {ACS}", (ACS, TOPIC), False),
    ],
)
def test_which_source_may_send_what(kind: str, source: str, listed: tuple[str, ...] | None, right: bool) -> None:
    known = None if listed is None else tuple(each.lower() for each in listed)
    assert counts(sent(kind, source), known) is right


def test_a_callback_counts_from_anywhere_where_a_source_was_left_out() -> None:
    for listed in ((), (TOPIC.lower(),)):
        assert counts(sent("Microsoft.Communication.IncomingCall", ACS), listed, callbacks_from_anywhere=True)
        assert not counts(sent("Microsoft.Communication.CallEnded", ACS), listed, callbacks_from_anywhere=True)


# What is not used may be anything ------------------------------------------------------------------------------------


@pytest.mark.parametrize("faulty", [7, "yesterday", "", [1], {}, "x" * 9000, "2026-13-40T00:00:00Z"])
def test_a_delivery_report_does_not_depend_on_its_times(faulty: object) -> None:
    payload = ACCEPTED["email.delivered"]
    data = payload["data"] | {"deliveryAttemptTimeStamp": faulty}
    event = telephony_event(bound(payload | {"data": data, "eventTime": faulty, "subject": faulty}))
    assert event_grid.delivery_report(event) == event_grid.delivery_report(accepted("email.delivered"))


@pytest.mark.parametrize("faulty", [7, "", [1], {}, "x" * 9000])
def test_a_responders_call_depends_on_the_number_dialled_alone(faulty: object) -> None:
    payload = ACCEPTED["incoming_call.number"]
    to = payload["data"]["to"] | {"rawId": faulty}
    more = {"to": to, "from": {"rawId": faulty}, "serverCallId": faulty, "correlationId": faulty}
    call = event_grid.incoming_call(telephony_event(bound(payload | {"data": payload["data"] | more, "subject": 7})))
    assert (call.to_number, call.caller, call.server_call_id, call.correlation_id) == ("+12025550111", None, None, None)


@pytest.mark.parametrize("faulty", [7, "", [1], {}, "x" * 9000])
def test_a_call_seen_does_not_depend_on_its_correlation_or_subject(faulty: object) -> None:
    payload = ACCEPTED["call_started.identifier"]
    data = payload["data"] | {"correlationId": faulty}
    seen = event_grid.call_seen(telephony_event(bound(payload | {"data": data, "subject": faulty})))
    assert (seen.server_call_id, seen.starter_raw_id, seen.correlation_id) == (SERVER, AGENT, None)


def test_one_faulty_chunk_keeps_no_other_from_being_deleted() -> None:
    event = accepted("recording.with-server-call")
    good = "https://storage.example.com/objects/2"
    chunks = [7, {"contentLocation": 7, "deleteLocation": good}, {"deleteLocation": "x" * 9000}, {"deleteLocation": 7}]
    data = {"recordingStorageInfo": {"recordingChunks": chunks}}
    file = event_grid.recording_file(
        TelephonyEvent(type=event.type, source="", time=None, subject=event.subject, data=data)
    )
    assert [chunk.delete_location for chunk in file.chunks] == [None, good, None, None]


def test_a_dial_by_event_leaves_out_what_is_faulty() -> None:
    payload = ACCEPTED["own_started.least"]
    data = payload["data"] | {"location": {"latitude": 91, "address": "1 Example Street"}, "locale": 7, "country": "UK"}
    dial = event_grid.dialled(telephony_event(bound(payload | {"data": data})))
    assert dial.ignored == ("country", "locale", "location.latitude")
    assert dial.location is not None and dial.location.address == "1 Example Street"


def test_how_long_ago_it_was_dialled_counts_from_the_event() -> None:
    payload = ACCEPTED["own_started.least"]
    data = payload["data"] | {"dialled_ago_ms": 1500, "dialled_at": "2020-01-01T00:00:00Z"}
    dial = event_grid.dialled(telephony_event(bound(payload | {"data": data})))
    assert dial.dialled_at == EVENT_TIME - timedelta(milliseconds=1500)


@pytest.mark.parametrize("slash", ["%2F", "%2f", "/"])
def test_an_escaped_slash_in_an_id_is_a_slash(slash: str) -> None:
    own = ACCEPTED["own_started.least"]
    ids = {"call_id": f"switch{slash}1", "agent_id": f"a{slash}b"}
    dial = event_grid.dialled(telephony_event(bound(own | {"data": own["data"] | ids})))
    assert (dial.call_id, dial.agent_id) == ("switch/1", "a/b")
    over = ACCEPTED["own_ended.least"]
    end = event_grid.call_ended(telephony_event(bound(over | {"data": ids})))
    assert (end.call_id, end.agent_id) == ("switch/1", "a/b")
    seen = ACCEPTED["call_started.identifier"]
    data = seen["data"] | {"serverCallId": f"s{slash}1", "correlationId": f"c{slash}1"}
    call = event_grid.call_seen(telephony_event(bound(seen | {"data": data})))
    assert (call.server_call_id, call.correlation_id) == ("s/1", "c/1")


@pytest.mark.parametrize("agent_id", [5, None, "", [], {}, "\u200b", "\ud800", "a" * 601])
def test_no_end_is_lost_for_an_agent_id_that_cannot_be_used(agent_id: object) -> None:
    ended = ACCEPTED["own_ended.full"]
    end = event_grid.call_ended(telephony_event(bound(ended | {"data": ended["data"] | {"agent_id": agent_id}})))
    assert (end.call_id, end.agent_id) == ("switch-7/0001", None)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["4:+12025550111", AGENT])
)
FIELDS = st.sampled_from(
    [
        *(
            "startedBy",
            "endedBy",
            "communicationIdentifier",
            "communicationidentifier",
            "rawId",
            "phoneNumber",
            "value",
        ),
        *("serverCallId", "correlationId", "to", "incomingCallContext", "durationOfCall", "callDurationInSeconds"),
        *("messageId", "recipient", "status", "deliveryAttemptTimeStamp", "recordingStorageInfo", "recordingChunks"),
        *("call_id", "agent_id", "dialled", "dialled_at", "location", "latitude", "at", "reason", "locale", "country"),
        *("communicationUser", "id", "contentLocation", "deleteLocation", "accuracy_m", "acs_user_id"),
    ]
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS | st.text(), inner, max_size=8),
    max_leaves=20,
)
ENVELOPE = st.fixed_dictionaries(
    {"data": st.dictionaries(FIELDS, ANY_JSON) | ANY_JSON},
    optional={
        "specversion": st.just("1.0"),
        "type": SCALARS,
        "eventType": SCALARS,
        "source": ANY_JSON,
        "topic": ANY_JSON,
        "subject": ANY_JSON | st.just("/recording/call/one/recordingId/two"),
        "time": ANY_JSON,
        "eventTime": ANY_JSON | st.datetimes().map(lambda time: time.isoformat() + "Z"),
    },
)


@given(payload=ENVELOPE)
@example(payload={"data": {"serverCallId": "\ud800", "startedBy": {"rawId": AGENT}}, "eventType": "t"})
@example(payload={"data": {"call_id": "c", "agent_id": "\ud800", "dialled": "911"}, "eventType": "t"})
@example(payload={"data": {"call_id": "c", "agent_id": "a", "dialled": "911", "\ud800": 1}, "eventType": "t"})
def test_whatever_comes_is_read_or_malformed(payload: dict[str, Any]) -> None:
    assert json.dumps(payload)
    try:
        event = telephony_event(bound(payload))
    except Malformed:
        return
    for decode in DECODERS.values():
        try:
            decode(event)
        except Malformed as error:
            str(error).encode()


@given(data=st.dictionaries(FIELDS, ANY_JSON) | ANY_JSON, subject=st.text())
def test_whatever_the_data_holds_is_read_or_malformed(data: Any, subject: str) -> None:
    event = TelephonyEvent(type="t", source="s", time=EVENT_TIME, subject=subject, data=data)
    for decode in DECODERS.values():
        try:
            decode(event)
        except Malformed as error:
            str(error).encode()


def test_however_deep_an_optional_field_of_a_dial_is_the_event_counts() -> None:
    deep = "[" * 50_000 + "]" * 50_000
    data = '{"call_id":"c","agent_id":"a","dialled":"911","location":' + deep + "}"
    kind = '"eventType":"EmergencyCalling.CallStarted","eventTime":"2026-11-20T18:00:00Z","dataVersion":"1"'
    sent = '{"id":"1","topic":"/topic","subject":"s",' + kind + ',"data":' + data + "}"
    event_grid.replace_event_decoder()
    event = eventgrid.EventGridEventInConverter.decode(meta.Datum(sent, "json"), trigger_metadata={})
    dial = event_grid.dialled(telephony_event(event))
    assert (dial.call_id, dial.dialled, dial.ignored) == ("c", "911", ("location",))


def test_deep_data_is_malformed() -> None:
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    data = {"call_id": "c", "agent_id": "a", "dialled": deep}
    event = TelephonyEvent(type="t", source="s", time=EVENT_TIME, subject="", data=data)
    with pytest.raises(Malformed):
        event_grid.dialled(event)


@pytest.mark.parametrize("zone", ["Z", "z", "+00:00", "", "+05:30", "-07:00"])
@pytest.mark.parametrize("digits", ["", ".1", ".1234567", ".123456789"])
def test_event_times_as_services_write_them(zone: str, digits: str) -> None:
    event = telephony_event(
        func.CloudEvent(id="i", source="s", type="t", specversion="1.0", data={}, time=_sent(digits + zone))
    )
    offset = {"+05:30": timedelta(hours=5, minutes=30), "-07:00": timedelta(hours=-7)}.get(zone, timedelta(0))
    micro = int((digits[1:] or "0")[:6].ljust(6, "0"))
    assert event.time == datetime(2026, 11, 20, 18, 0, 0, micro, UTC) - offset


def _sent(rest: str) -> Any:
    return "2026-11-20T18:00:00" + rest


def test_the_librarys_own_datetimes_are_read_too() -> None:
    naive = datetime(2026, 11, 20, 18)  # noqa: DTZ001 - the library gives such where the zone is left out
    event = func.EventGridEvent(
        id="i", data={}, topic="t", subject="s", event_type="e", event_time=naive, data_version="1"
    )
    assert telephony_event(event).time == datetime(2026, 11, 20, 18, tzinfo=UTC)
