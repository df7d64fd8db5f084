"""The Call Automation operations over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.local.acs.call import Call
from tests.local.acs.errors import ServiceError, invalid
from tests.local.acs.identities import is_phone_number, model, named_rightly, raw_id_of
from tests.local.acs.messages import Invitation, Json
from tests.local.acs.network import Network

DEFAULT_INVITATION_S = 30.0
MAX_INVITATION_S = 180
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class CallRoutes:
    """One method per operation; each checks the request, acts on the network and describes the outcome."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def redirect(self, request: Request) -> Response:
        """`POST :redirect`: ring a user or a number instead."""
        body = await _body(request)
        target = _person(body, "target")
        self._network.ringing(_text(body, "incomingCallContext")).redirect(target)
        return Response(status_code=204)

    async def reject(self, request: Request) -> Response:
        """`POST :reject`: the caller hears that nobody is there."""
        body = await _body(request)
        call = self._network.with_context(_text(body, "incomingCallContext"))
        # After a redirect the service answers as usual and does nothing.
        if call.view.state == "ringing":
            call.end("rejected")
        return Response(status_code=204)

    async def answer(self, request: Request) -> Response:
        """`POST :answer`: connect the application to the caller."""
        body = await _body(request)
        callback_uri = _callback_uri(body, "callbackUri")
        context = _text(body, "incomingCallContext")
        call = self._network.with_context(context)
        if call.view.state == "redirected" and context != call.current_context:
            # After a redirect the service answers as usual and does nothing: the connection named is dead.
            return JSONResponse({**call.properties(), "callConnectionId": str(uuid4())})
        self._network.ringing(context).answer(callback_uri, body.get("operationContext"))
        return JSONResponse({**call.properties(), "answeredFor": model(call.view.dialled).get("phoneNumber")})

    async def connect(self, request: Request) -> Response:
        """`POST :connect`: join a call that runs, by its server call id."""
        body = await _body(request)
        callback_uri = _callback_uri(body, "callbackUri")
        call = self._network.running(_text(_object(body, "callLocator"), "serverCallId"))
        call.attach(callback_uri, body.get("operationContext"))
        return JSONResponse(call.properties())

    async def get_call(self, request: Request) -> Response:
        """`GET {id}`."""
        return JSONResponse(self._call(request).properties())

    async def hang_up(self, request: Request) -> Response:
        """`DELETE {id}`: the application leaves."""
        self._call(request).hang_up_application()
        return Response(status_code=204)

    async def terminate(self, request: Request) -> Response:
        """`POST {id}:terminate`: the call ends for everyone."""
        self._call(request).end("the application ended it")
        return Response(status_code=204)

    async def participants(self, request: Request) -> Response:
        """`GET {id}/participants`."""
        return JSONResponse({"value": self._call(request).participants()})

    async def participant(self, request: Request) -> Response:
        """`GET {id}/participants/{rawId}`."""
        wanted = request.path_params["raw_id"]
        for participant in self._call(request).participants():
            if participant["identifier"]["rawId"] == wanted:
                return JSONResponse(participant)
        raise ServiceError(404, "8544", "Participant not found.")

    async def add(self, request: Request) -> Response:
        """`POST {id}/participants:add`: ring a person and add them."""
        body = await _body(request)
        call = self._connected(request)
        invitation = _invitation(body)
        call.invite(invitation)
        participant = {"identifier": model(invitation.identity), "isMuted": False, "isOnHold": False}
        answer = {"participant": participant, "invitationId": invitation.invitation_id}
        return JSONResponse({**answer, "operationContext": invitation.operation_context}, 202)

    async def cancel_add(self, request: Request) -> Response:
        """`POST {id}/participants:cancelAddParticipant`."""
        body = await _body(request)
        invitation_id = _text(body, "invitationId")
        self._connected(request).cancel(invitation_id, body.get("operationContext"))
        return JSONResponse({"invitationId": invitation_id, "operationContext": body.get("operationContext")}, 202)

    async def remove(self, request: Request) -> Response:
        """`POST {id}/participants:remove`."""
        body = await _body(request)
        call = self._connected(request)
        who = raw_id_of(_object(body, "participantToRemove"))
        context = body.get("operationContext")
        if who is None:
            raise invalid("participantToRemove")
        present = who in call.view.people
        name = "RemoveParticipantSucceeded" if present else "RemoveParticipantFailed"
        call.tell(name, context, code=200 if present else 404, participant=model(who))
        call.leave(who)
        return JSONResponse({"operationContext": context}, 202)

    async def mute(self, request: Request) -> Response:
        """`POST {id}/participants:mute`: accepted; sound is not simulated."""
        body = await _body(request)
        self._connected(request)
        return JSONResponse({"operationContext": body.get("operationContext")})

    async def play(self, request: Request) -> Response:
        """`POST {id}:play`: play one file to everyone or to some."""
        body = await _body(request)
        call = self._connected(request)
        sources = body.get("playSources") or []
        uri = (sources[0].get("file") or {}).get("uri") if sources else None
        if not isinstance(uri, str):
            raise invalid("playSources")
        loop = bool((body.get("playOptions") or {}).get("loop"))
        call.play(uri, body.get("operationContext"), loop=loop)
        return Response(status_code=202)

    async def cancel_media(self, request: Request) -> Response:
        """`POST {id}:cancelAllMediaOperations`."""
        self._connected(request).cancel_media(None)
        return Response(status_code=202)

    async def start_recording(self, request: Request) -> Response:
        """`POST /calling/recordings`: by server call id or call connection id."""
        body = await _body(request)
        if isinstance(connection_id := body.get("callConnectionId"), str):
            call = self._network.connection(connection_id)
        else:
            call = self._network.running(_text(_object(body, "callLocator"), "serverCallId"))
        return JSONResponse(_recording(self._network.record(call).recording_id, "active"))

    async def recording_state(self, request: Request) -> Response:
        """`GET /calling/recordings/{id}`."""
        recording = self._network.recording(request.path_params["recording_id"])
        return JSONResponse(_recording(recording.recording_id, recording.state))

    async def stop_recording(self, request: Request) -> Response:
        """`DELETE /calling/recordings/{id}`."""
        self._network.stop_recording(request.path_params["recording_id"])
        return Response(status_code=204)

    async def pause_recording(self, request: Request) -> Response:
        """`POST /calling/recordings/{id}:pause`."""
        self._network.recording(request.path_params["recording_id"]).state = "inactive"
        return Response(status_code=202)

    async def resume_recording(self, request: Request) -> Response:
        """`POST /calling/recordings/{id}:resume`."""
        self._network.recording(request.path_params["recording_id"]).state = "active"
        return Response(status_code=202)

    async def delete_document(self, request: Request) -> Response:
        """`DELETE /v1/objects/{id}`: a recording's file, on the storage that a local run points here."""
        self._network.deleted_documents.append(request.path_params["document_id"])
        return Response(status_code=200)

    def _call(self, request: Request) -> Call:
        return self._network.connection(request.path_params["call_id"])

    def _connected(self, request: Request) -> Call:
        call = self._call(request)
        call.require_connected()
        return call


def _invitation(body: Json) -> Invitation:
    who = _person(body, "participantToAdd")
    caller_id = (body.get("sourceCallerIdNumber") or {}).get("value")
    if is_phone_number(who) and not caller_id:
        raise invalid("sourceCallerIdNumber")
    timeout_s = body.get("invitationTimeoutInSeconds")
    if timeout_s is not None and not 0 <= timeout_s <= MAX_INVITATION_S:
        raise invalid("invitationTimeoutInSeconds")
    return Invitation(
        invitation_id=str(uuid4()),
        identity=who,
        state="ringing",
        operation_context=body.get("operationContext"),
        caller_id=caller_id,
        timeout_s=float(timeout_s or DEFAULT_INVITATION_S),
        headers=_headers(body, who),
    )


def _headers(body: Json, who: str) -> dict[str, str]:
    """The custom headers of an invitation: SIP ones by telephone, VoIP ones to a user, and never the other kind."""
    context = body.get("customCallingContext") or {}
    kind, other = ("sipHeaders", "voipHeaders") if is_phone_number(who) else ("voipHeaders", "sipHeaders")
    if context.get(other):
        raise invalid(f"customCallingContext.{other}")
    return context.get(kind) or {}


def _recording(recording_id: str, state: str) -> Json:
    return {"recordingId": recording_id, "recordingState": state, "recordingKind": "AzureCommunicationServices"}


async def _body(request: Request) -> Json:
    body: Any = await request.json()
    if not isinstance(body, dict):
        raise invalid("body")
    return body


def _object(body: Json, name: str) -> Json:
    value = body.get(name)
    if not isinstance(value, dict):
        raise invalid(name)
    return value


def _person(body: Json, name: str) -> str:
    """Somebody to be rung, under their own kind of identity."""
    person = _object(body, name)
    raw = raw_id_of(person)
    if raw is None or not named_rightly(person):
        raise invalid(name)
    return raw


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(name)
    return value


def _callback_uri(body: Json, name: str) -> str:
    uri = _text(body, name)
    parts = urlsplit(uri)
    # The service takes https only; a local application is reached over plain http.
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise invalid("CallbackUri")
    return uri
