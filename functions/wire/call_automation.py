"""What Call Automation reports on a callback's call: an array of CloudEvents, or one of them.

Only `type` and `data` are relied on. What cannot be read is left out: the ladder moves on without it.
"""

import re
from collections.abc import Callable, Mapping

from functions.wire.decoding import loosely_parsed, plain_id, text_if_sound
from functions.wire.http import MAX_RAW_ID_CHARS, MAX_SERVER_CALL_ID_CHARS
from shared.domain.callbacks import Connected, Fact, Joined, NotJoined, Over, Roster
from shared.use_cases.continue_callback import MidCall

PREFIX = "Microsoft.Communication."
MAX_CONTEXT_CHARS = 500
MAX_CONNECTION_ID_CHARS = 300
MAX_RECORDING_ID_CHARS = 2000
MAX_EVENTS = 100
MAX_PEOPLE = 1000
_CALLBACK_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

type Data = Mapping[str, object]


def callback_id_in(query: Mapping[str, str]) -> str | None:
    """The callback that the address of the request names, if it is one that can be ours."""
    callback_id = query.get("callback", "")
    return callback_id if _CALLBACK_ID.fullmatch(callback_id) else None


def mid_call_events(body: bytes) -> list[MidCall]:
    """The events that matter, in their order; of other types, or unreadable, none. `Malformed` if it is not JSON."""
    read = (_mid_call(event) for event in _events(body))
    return [event for event in read if event is not None]


def recordings_begun(body: bytes) -> list[str]:
    """The ids of recordings that run, by the call's RecordingStateChanged events. `Malformed` if it is not JSON."""
    begun = (_recording(event) for event in _events(body))
    return [recording_id for recording_id in begun if recording_id is not None]


def _events(body: bytes) -> list[object]:
    # Half of a character in somebody's name must not lose the events that come along with it.
    sent = loosely_parsed(body)
    return sent[:MAX_EVENTS] if isinstance(sent, list) else [sent]


def _recording(event: object) -> str | None:
    if not isinstance(event, Mapping) or event.get("type") != f"{PREFIX}RecordingStateChanged":
        return None
    data = event.get("data")
    state = _text(data, "state", MAX_CONTEXT_CHARS) if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or state is None or state.casefold() != "active":
        return None
    return _text(data, "recordingId", MAX_RECORDING_ID_CHARS)


def _mid_call(event: object) -> MidCall | None:
    if not isinstance(event, Mapping):
        return None
    kind, data = event.get("type"), event.get("data")
    if not isinstance(kind, str) or not isinstance(data, Mapping):
        return None
    read = _READERS.get(kind.removeprefix(PREFIX))
    connection_id = _text(data, "callConnectionId", MAX_CONNECTION_ID_CHARS)
    fact = read(data) if read is not None else None
    if fact is None or connection_id is None:
        return None
    return MidCall(
        connection_id=connection_id,
        fact=fact,
        server_call_id=_id(data, "serverCallId", MAX_SERVER_CALL_ID_CHARS),
        # An answered call brings back which number was dialled; an invitation brings its own id.
        label=_context(data) if isinstance(fact, Connected) else None,
    )


def _joined(data: Data) -> Fact | None:
    invitation_id = _context(data)
    return Joined(invitation_id, _raw_id(data.get("participant"))) if invitation_id else None


def _not_joined(data: Data) -> Fact | None:
    invitation_id = _context(data)
    return NotJoined(invitation_id) if invitation_id else None


def _roster(data: Data) -> Fact | None:
    people = data.get("participants")
    if not isinstance(people, list):
        return None
    named = (_raw_id(each.get("identifier")) for each in people[:MAX_PEOPLE] if isinstance(each, Mapping))
    return Roster(frozenset(raw_id for raw_id in named if raw_id is not None))


_READERS: dict[str, Callable[[Data], Fact | None]] = {
    "CallConnected": lambda _: Connected(),
    "CallDisconnected": lambda _: Over(),
    # The caller hung up while we answered.
    "AnswerFailed": lambda _: Over(),
    "AddParticipantSucceeded": _joined,
    "AddParticipantFailed": _not_joined,
    "ParticipantsUpdated": _roster,
}


def _raw_id(person: object) -> str | None:
    return _text(person, "rawId", MAX_RAW_ID_CHARS) if isinstance(person, Mapping) else None


def _context(data: Data) -> str | None:
    return _text(data, "operationContext", MAX_CONTEXT_CHARS)


def _id(data: Data, name: str, longest: int) -> str | None:
    sent = _text(data, name, longest)
    return None if sent is None else plain_id(sent)


def _text(data: Data, name: str, longest: int) -> str | None:
    return text_if_sound(data.get(name), longest)
