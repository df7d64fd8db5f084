"""Mid-call events as they come over the wire: the known ones are read, and no JSON at all raises."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.wire.call_automation import MAX_EVENTS, callback_id_in, mid_call_events, recordings_begun
from shared.domain.callbacks import Connected, Fact, Joined, NotJoined, Over, Roster
from shared.domain.errors import Malformed
from shared.use_cases.continue_callback import MidCall

AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"
PSAP = "4:+12065550142"
IDS = {"callConnectionId": "connection-1", "serverCallId": "server-1", "correlationId": "correlation-1"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("CallConnected", "CallDisconnected", "AnswerFailed", "AddParticipantSucceeded", "AddParticipantFailed")
TYPES = [
    f"Microsoft.Communication.{name}"
    for name in (*NAMES, "ParticipantsUpdated", "PlayCompleted", "RecordingStateChanged")
]


def event(kind: str, **data: object) -> dict[str, object]:
    return {"id": "1", "type": f"Microsoft.Communication.{kind}", "specversion": "1.0", "data": {**IDS, **data}}


def person(raw_id: str) -> dict[str, object]:
    return {"identifier": {"rawId": raw_id}, "isMuted": False}


CASES: list[tuple[dict[str, object], Fact]] = [
    (event("CallConnected", operationContext="number-key"), Connected()),
    (event("CallDisconnected", operationContext="number-key"), Over()),
    (event("AnswerFailed"), Over()),
    (
        event("AddParticipantSucceeded", operationContext="i-1", participant={"rawId": AGENT}),
        Joined("i-1", AGENT),
    ),
    (event("AddParticipantSucceeded", operationContext="i-1"), Joined("i-1", None)),
    (event("AddParticipantFailed", operationContext="i-1", resultInformation={"code": 480}), NotJoined("i-1")),
    (event("ParticipantsUpdated", participants=[person(PSAP), person(AGENT)]), Roster(frozenset({PSAP, AGENT}))),
    (event("ParticipantsUpdated", participants=[{}, 3, {"identifier": 4}]), Roster(frozenset())),
]


@pytest.mark.parametrize(("sent", "fact"), CASES)
def test_known_events_are_read_alone_and_in_an_array(sent: dict[str, object], fact: Fact) -> None:
    for body in (json.dumps(sent), json.dumps([sent])):
        [read] = mid_call_events(body.encode())
        label = "number-key" if fact == Connected() else None
        assert read == MidCall(connection_id="connection-1", fact=fact, server_call_id="server-1", label=label)


def test_half_of_a_character_loses_no_event_that_comes_along() -> None:
    """A name that a service cut in the middle of a character, and a quality that it could not measure."""
    named = event("ParticipantsUpdated", participants=[person(PSAP) | {"displayName": "\ud83d"}], quality=float("nan"))
    over = event("CallDisconnected")
    read = mid_call_events(json.dumps([named, over]).encode())
    assert [each.fact for each in read] == [Roster(frozenset({PSAP})), Over()]
    assert recordings_begun(
        json.dumps([named, event("RecordingStateChanged", state="active", recordingId="r")]).encode()
    )


def test_several_come_in_their_order() -> None:
    sent = [each for each, _ in CASES]
    assert [read.fact for read in mid_call_events(json.dumps(sent).encode())] == [fact for _, fact in CASES]
    assert len(mid_call_events(msgspec.json.encode([event("CallConnected")] * (MAX_EVENTS + 9)))) == MAX_EVENTS


@pytest.mark.parametrize(
    "sent",
    [
        event("PlayCompleted"),
        event("AddParticipantFailed"),
        event("AddParticipantFailed", operationContext=7),
        event("AddParticipantFailed", operationContext="x" * 501),
        event("ParticipantsUpdated", participants="nobody"),
        event("CallConnected", callConnectionId=None),
        event("CallConnected", callConnectionId=""),
        {"type": "Microsoft.Communication.CallConnected"},
        {"type": 3, "data": IDS},
        {"type": "CallConnected", "data": []},
        [],
        "text",
        None,
    ],
)
def test_other_types_and_what_cannot_be_read_are_left_out(sent: object) -> None:
    assert mid_call_events(msgspec.json.encode([sent])) == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 20_000])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        mid_call_events(body)


@given(st.lists(st.fixed_dictionaries({}, optional={"type": st.sampled_from(TYPES) | JSON, "data": JSON})) | JSON)
def test_no_json_raises(sent: object) -> None:
    body = json.dumps(sent, allow_nan=False, default=str) if _finite(sent) else "[]"
    mid_call_events(body.encode())


@given(
    st.sampled_from(TYPES),
    st.fixed_dictionaries(
        {"callConnectionId": st.just("c")},
        optional=dict.fromkeys(("operationContext", "participants", "participant", "serverCallId"), JSON),
    ),
)
def test_no_data_raises(kind: str, data: dict[str, object]) -> None:
    if _finite(data):
        assert len(mid_call_events(json.dumps({"type": kind, "data": data}).encode())) <= 1


def _finite(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"callback": "0b1f6471-1bf0-5dda-aec3-cb9272f09590"}, "0b1f6471-1bf0-5dda-aec3-cb9272f09590"),
        ({}, None),
        ({"callback": ""}, None),
        ({"callback": "0b1f6471/1bf0"}, None),
        ({"callback": "0B1F6471-1BF0-5DDA-AEC3-CB9272F09590"}, None),
    ],
)
def test_only_an_id_that_can_be_ours_names_a_callback(query: dict[str, str], found: str | None) -> None:
    assert callback_id_in(query) == found


def test_a_recording_that_begins_on_the_call_is_named() -> None:
    begun = event("RecordingStateChanged", recordingId="recording-1", state="active")
    over = event("RecordingStateChanged", recordingId="recording-2", state="inactive")
    assert recordings_begun(json.dumps([begun, over, event("CallConnected"), 7]).encode()) == ["recording-1"]


@given(JSON | st.lists(st.builds(event, st.sampled_from(TYPES), state=JSON | st.just("active"), recordingId=JSON)))
def test_no_json_at_all_makes_a_recording_of_something_else(sent: object) -> None:
    try:
        begun = recordings_begun(json.dumps(sent).encode())
    except Malformed:  # NaN and infinity are no JSON
        return
    assert all(isinstance(each, str) for each in begun)
