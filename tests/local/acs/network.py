"""The simulated telephone network: its calls and recordings, found by whatever id a request names."""

from __future__ import annotations

import base64
from uuid import uuid4

from tests.local.acs import events
from tests.local.acs.call import Call, Line
from tests.local.acs.errors import call_not_found
from tests.local.acs.identities import raw_id
from tests.local.acs.messages import CallView, IncomingCall, Json, Recording, UserCall

RECORDING_READY_AFTER_S = 5.0


class Network:
    """Every call since the start, over or not, and the recordings made of them."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.calls: list[Call] = []
        self.recordings: list[Recording] = []
        self.deleted_documents: list[str] = []

    def forget(self) -> None:
        """End every call without a word and forget them, the scripts too."""
        for call in self.calls:
            call.connected_to_app = False
            call.end("forgotten")
        self.calls.clear()
        self.recordings.clear()
        self.deleted_documents.clear()
        self.line.scripts.clear()

    def incoming(self, incoming: IncomingCall) -> Call:
        """A caller dials one of our numbers or users."""
        call = self._new_call(raw_id(incoming.caller), raw_id(incoming.dialled), new_server_call_id(), str(uuid4()))
        call.ring_application(
            display_name=incoming.display_name,
            sip_headers=incoming.sip_headers,
            with_kind=incoming.with_kind,
            cloud_event=incoming.cloud_event,
            rings_for_s=incoming.rings_for_s,
        )
        return call

    def user_call(self, started: UserCall) -> Call:
        """A call that a user has started by themselves; the callee is nobody's business."""
        call = self._new_call(raw_id(started.starter), "", started.server_call_id, started.correlation_id)
        call.view.state = "connected"
        call.view.people = [raw_id(started.starter)]
        return call

    def ringing(self, context: str) -> Call:
        """The call that rings with this context; refused when it is over or was taken elsewhere."""
        call = self.with_context(context)
        if context != call.current_context or call.view.state not in ("ringing", "redirected"):
            raise call_not_found()
        return call

    def with_context(self, context: str) -> Call:
        """The call that rings, or has rung, with this context."""
        found = next((call for call in self.calls if context in call.view.contexts), None)
        if found is None or found.view.state == "over":
            raise call_not_found()
        return found

    def connection(self, call_connection_id: str) -> Call:
        """The running call that the application is connected to under this id."""
        for call in self.calls:
            if call.view.call_connection_id == call_connection_id and call.connected_to_app:
                return call
        raise call_not_found()

    def running(self, server_call_id: str) -> Call:
        """The running call of this server call id."""
        for call in reversed(self.calls):
            if call.view.server_call_id == server_call_id and call.view.state != "over":
                return call
        raise call_not_found()

    def known(self, server_call_id: str) -> Call:
        """The call of this server call id, over or not."""
        for call in reversed(self.calls):
            if call.view.server_call_id == server_call_id:
                return call
        raise call_not_found()

    def record(self, call: Call) -> Recording:
        """Start recording a call; the connected application is told."""
        recording = Recording(
            recording_id=f"recording-{uuid4()}", server_call_id=call.view.server_call_id, state="active"
        )
        self.recordings.append(recording)
        self._tell(call, recording)
        return recording

    def stop_recording(self, recording_id: str) -> None:
        """Stop a recording; its file is announced a little later, as if nobody objected."""
        recording = self.recording(recording_id)
        recording.state = "inactive"
        call = self.known(recording.server_call_id)
        self._tell(call, recording)
        self.line.tasks.start(self._announce(call, recording))

    def recording(self, recording_id: str) -> Recording:
        """The recording of this id."""
        for recording in self.recordings:
            if recording.recording_id == recording_id:
                return recording
        raise call_not_found()

    def _tell(self, call: Call, recording: Recording) -> None:
        fields: Json = {"recordingId": recording.recording_id, "state": recording.state}
        call.tell("RecordingStateChanged", None, **fields)

    async def _announce(self, call: Call, recording: Recording) -> None:
        await self.line.clock.sleep(RECORDING_READY_AFTER_S)
        event = events.recording_file_status(
            source=self.line.source,
            call_id=call.view.correlation_id,
            server_call_id=call.view.server_call_id,
            recording_id=recording.recording_id,
            document_ids=(f"0-{recording.recording_id}",),
            at=self.line.clock.now(),
        )
        self.line.grid.publish(event)

    def _new_call(self, caller: str, dialled: str, server_call_id: str, correlation_id: str) -> Call:
        view = CallView(
            server_call_id=server_call_id,
            correlation_id=correlation_id,
            caller=caller,
            dialled=dialled,
            state="ringing",
        )
        call = Call(self.line, view)
        self.calls.append(call)
        return call


def new_server_call_id() -> str:
    """An opaque id as long as the services' are."""
    return base64.urlsafe_b64encode(f"https://conversation.example.net/conv/{uuid4()}?i={uuid4()}".encode()).decode()
