"""One call: who is in it, who is being rung, and what the application that answered it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from tests.local.acs import events
from tests.local.acs.clock import AdjustableClock
from tests.local.acs.errors import call_not_established, call_not_found
from tests.local.acs.identities import is_phone_number, model, raw_id
from tests.local.acs.messages import CallView, Invitation, Json, People, Script
from tests.local.acs.mid_call import MidCallEvents
from tests.local.acs.tasks import Tasks
from tests.local.event_grid import EventGrid

RINGS_FOR_S = 30.0
CONNECTS_AFTER_S = 0.1
OFFLINE_AFTER_S = 0.2
"""An identity without a device fails at once, not after the invitation's time-out."""


@dataclass(kw_only=True)
class Line:
    """What every call of the simulated network shares."""

    clock: AdjustableClock
    grid: EventGrid
    mid_call: MidCallEvents
    tasks: Tasks
    source: str
    prompt_s: float = 3.0
    scripts: dict[str, list[Script]] = field(default_factory=dict)

    def script(self, people: People) -> None:
        """Set what a person does with each invitation from now on."""
        self.scripts[raw_id(people.identity)] = list(people.scripts)

    def next_script(self, identity: str) -> Script:
        """What the person does with the invitation that has just come; a stranger never answers."""
        scripts = self.scripts.get(raw_id(identity)) or [Script()]
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]


class Call:
    """A call from its first ring to its end; `view` is its state as everyone may see it."""

    def __init__(self, line: Line, view: CallView) -> None:
        self.view = view
        self.callback_uri: str | None = None
        self.operation_context: str | None = None
        self.connected_to_app = False
        self.current_context: str | None = None
        self._line = line
        self._sequence = 0
        self._ring: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stays: dict[str, float | None] = {}
        self._hands: dict[str, asyncio.Event] = {}
        self._listed_as: dict[str, str] = {}

    # Ringing

    def ring_application(
        self,
        *,
        display_name: str,
        sip_headers: Mapping[str, str],
        with_kind: bool,
        cloud_event: bool,
        rings_for_s: float,
    ) -> None:
        """Raise IncomingCall for the number dialled and ring until somebody acts or the time is up."""
        self._raise_incoming(
            self.view.dialled,
            display_name=display_name,
            sip_headers=sip_headers,
            with_kind=with_kind,
            cloud_event=cloud_event,
        )
        self._ring = self._line.tasks.start(self._miss_after(rings_for_s))

    def redirect(self, target: str) -> None:
        """Ring somebody else instead; a user target raises a second IncomingCall, as the service does."""
        self._stop_ringing()
        self.view.state = "redirected"
        self.current_context = None
        invitation = Invitation(
            invitation_id=str(uuid4()), identity=raw_id(target), state="ringing", timeout_s=RINGS_FOR_S
        )
        self.view.invitations.append(invitation)
        if not is_phone_number(target):
            self._raise_incoming(target)
        self._ring = self._line.tasks.start(self._ring_redirected(invitation))

    def answer(self, callback_uri: str, operation_context: str | None) -> None:
        """Connect the application to the caller; CallConnected follows."""
        self._stop_ringing()
        self.view.state = "connecting"
        self.view.call_connection_id = str(uuid4())
        self._attach(callback_uri, operation_context)

    def attach(self, callback_uri: str, operation_context: str | None) -> None:
        """Connect an application to a call that already runs."""
        if not self.connected_to_app:
            self.view.call_connection_id = str(uuid4())
            self._attach(callback_uri, operation_context)

    def _attach(self, callback_uri: str, operation_context: str | None) -> None:
        self.callback_uri = callback_uri
        self.operation_context = operation_context
        self.connected_to_app = True
        self._tasks["connect"] = self._line.tasks.start(self._establish())

    async def _establish(self) -> None:
        await self._line.clock.sleep(CONNECTS_AFTER_S)
        if self.view.state == "connecting":
            self.view.state = "connected"
            self.view.people = [raw_id(self.view.caller)]
        self.tell("CallConnected", self.operation_context)
        self._tell_participants()

    async def _miss_after(self, seconds: float) -> None:
        await self._line.clock.sleep(seconds)
        self.end("nobody answered")

    async def _ring_redirected(self, invitation: Invitation) -> None:
        script = self._line.next_script(invitation.identity)
        failure = await self._wait_for_answer(invitation, script)
        if failure is not None:
            invitation.state = "failed"
            self.end("nobody answered")
            return
        self.view.state = "connected"
        self.view.people = [raw_id(self.view.caller)]
        self._join(invitation, script)

    def _stop_ringing(self) -> None:
        if self._ring is not None:
            self._ring.cancel()

    def _raise_incoming(
        self,
        target: str,
        *,
        display_name: str = "",
        sip_headers: Mapping[str, str] | None = None,
        voip_headers: Mapping[str, str] | None = None,
        with_kind: bool = True,
        cloud_event: bool = False,
        usable: bool = True,
    ) -> None:
        context = f"context-{uuid4()}"
        if usable:
            self.view.contexts.append(context)
            self.current_context = context
        event = events.incoming_call(
            source=self._line.source,
            caller=self.view.caller,
            dialled=target,
            context=context,
            server_call_id=self.view.server_call_id,
            correlation_id=self.view.correlation_id,
            display_name=display_name,
            sip_headers=sip_headers,
            voip_headers=voip_headers,
            with_kind=with_kind,
            cloud_event=cloud_event,
            at=self._line.clock.now(),
        )
        self._line.grid.publish(event)

    # Adding people

    def require_connected(self) -> None:
        """Refuse actions of an application on a call that is over, or not connected yet."""
        if not self.connected_to_app or self.view.state == "over":
            raise call_not_found()
        if self.view.state == "connecting":
            raise call_not_established()

    def invite(self, invitation: Invitation) -> None:
        """Ring a person and add them when they answer; the outcome is told as an event."""
        self.view.invitations.append(invitation)
        if not is_phone_number(invitation.identity):
            # A user's device learns of it by the same event; the application must leave it alone.
            self._raise_incoming(invitation.identity, voip_headers=invitation.headers, usable=False)
        self._tasks[invitation.invitation_id] = self._line.tasks.start(self._ring_invited(invitation))

    async def _ring_invited(self, invitation: Invitation) -> None:
        if invitation.identity in self.view.people:
            self._fail(invitation, 400, 0, "The participant is already in the call.")
            return
        script = self._line.next_script(invitation.identity)
        failure = await self._wait_for_answer(invitation, script)
        if failure is None:
            self._join(invitation, script)
        else:
            self._fail(invitation, *failure)

    async def _wait_for_answer(self, invitation: Invitation, script: Script) -> tuple[int, int, str] | None:
        """Let the person be rung: None when they answer, else why not."""
        if script.behaviour == "by_hand":
            return await self._wait_for_hand(invitation)
        reacts_after_s = {"offline": OFFLINE_AFTER_S, "never": float("inf")}.get(script.behaviour, script.after_s)
        if reacts_after_s >= invitation.timeout_s:
            await self._line.clock.sleep(invitation.timeout_s)
            return (480, 10037, "The participant did not answer.")
        await self._line.clock.sleep(reacts_after_s)
        match script.behaviour:
            case "busy":
                return (486, 0, "The participant is busy.")
            case "declines":
                return (603, 0, "The participant declined.")
            case "offline":
                return (480, 0, "The participant cannot be reached.")
            case "answers" | "never":
                return None

    async def _wait_for_hand(self, invitation: Invitation) -> tuple[int, int, str] | None:
        """Let the person be rung until somebody plays that they answer."""
        picked_up = self._hands[invitation.identity] = asyncio.Event()
        try:
            async with asyncio.timeout(invitation.timeout_s):
                await picked_up.wait()
        except TimeoutError:
            return (480, 10037, "The participant did not answer.")
        return None

    def pick_up(self, identity: str) -> None:
        """Somebody who is rung and answers by hand does so now."""
        if (hand := self._hands.get(raw_id(identity))) is not None:
            hand.set()

    def _join(self, invitation: Invitation, script: Script) -> None:
        invitation.state = "joined"
        self.view.people.append(invitation.identity)
        self._stays[invitation.identity] = script.stays_after_caller_s
        if script.asserted_id is not None:
            self._listed_as[invitation.identity] = f"{invitation.identity}_{script.asserted_id}"
        self._tell_outcome("AddParticipantSucceeded", invitation, 200, 0, "")
        self._tell_participants()
        if script.drops_out_after_s is not None:
            leaving = self._leave_after(invitation.identity, script.drops_out_after_s)
            self._tasks[f"leave {invitation.invitation_id}"] = self._line.tasks.start(leaving)

    def _fail(self, invitation: Invitation, code: int, sub_code: int, message: str) -> None:
        invitation.state = "failed"
        self._tell_outcome("AddParticipantFailed", invitation, code, sub_code, message)

    def cancel(self, invitation_id: str, operation_context: str | None) -> None:
        """Stop ringing a person; told as succeeded or, where nobody was ringing any more, as failed."""
        invitation = next((i for i in self.view.invitations if i.invitation_id == invitation_id), None)
        if invitation is None or invitation.state != "ringing":
            failed = "CancelAddParticipantFailed"
            self.tell(failed, operation_context, code=400, message="No such invitation.", invitationId=invitation_id)
            return
        invitation.state = "cancelled"
        self._tasks[invitation_id].cancel()
        self.tell("CancelAddParticipantSucceeded", operation_context, invitationId=invitation_id)

    # Leaving

    def leave(self, identity: str) -> None:
        """Somebody hangs up or drops out; the call goes on until the last person has gone."""
        who = raw_id(identity)
        if who not in self.view.people:
            if self.view.state in ("ringing", "redirected", "connecting") and who == raw_id(self.view.caller):
                self.end("the caller hung up")
            return
        self.view.people.remove(who)
        for invitation in self.view.invitations:
            if invitation.identity == who and invitation.state == "joined":
                invitation.state = "left"
        if not self.view.people or (not self.connected_to_app and len(self.view.people) == 1):
            self.end("the last one left")
            return
        self._tell_participants()
        if who == raw_id(self.view.caller):
            for other in self.view.people:
                if (stays_s := self._stays.get(other)) is not None:
                    self._tasks[f"leave {other}"] = self._line.tasks.start(self._leave_after(other, stays_s))

    async def _leave_after(self, identity: str, seconds: float) -> None:
        await self._line.clock.sleep(seconds)
        self.leave(identity)

    def hang_up_application(self) -> None:
        """The application leaves; two or more people go on talking without it, and so does a call it only joined."""
        if len(self.view.people) < 2 and self.view.dialled:
            self.end("the application hung up")
            return
        self.tell("CallDisconnected", self.operation_context, message="Call ended.")
        self.connected_to_app = False

    def end(self, why: str) -> None:
        """The call is over for everyone; whoever was ringing stops."""
        if self.view.state == "over":
            return
        self.view.state = "over"
        self.view.why_over = why
        self.view.people = []
        self.tell("CallDisconnected", self.operation_context, message="Call ended.")
        self.connected_to_app = False
        for invitation in self.view.invitations:
            if invitation.state == "ringing":
                invitation.state = "cancelled"
        current = asyncio.current_task()
        for task in [self._ring, *self._tasks.values()]:
            if task is not None and task is not current:
                task.cancel()

    # Sound

    def play(self, uri: str, operation_context: str | None, *, loop: bool) -> None:
        """Play a prompt to whoever is in the call; told when it has ended, a looped one never does."""
        self.view.played.append(uri)
        self.tell("PlayStarted", operation_context)
        if not loop:
            self._tasks["play"] = self._line.tasks.start(self._play(operation_context))

    async def _play(self, operation_context: str | None) -> None:
        await self._line.clock.sleep(self._line.prompt_s)
        self.tell("PlayCompleted", operation_context)

    def cancel_media(self, operation_context: str | None) -> None:
        """Stop what is being played."""
        if (task := self._tasks.get("play")) is not None:
            task.cancel()
        self.tell("PlayCanceled", operation_context)

    # Telling

    def tell(
        self, event_type: str, operation_context: str | None, *, code: int = 200, message: str = "", **data: object
    ) -> None:
        """Send a mid-call event to the application, while it is connected."""
        if not self.connected_to_app or self.callback_uri is None:
            return
        result = {"code": code, "subCode": 0, "message": message}
        body = {**self._ids(), "operationContext": operation_context, "resultInformation": result, **data}
        self._line.mid_call.send(self.callback_uri, event_type, body)

    def _tell_outcome(self, event_type: str, invitation: Invitation, code: int, sub_code: int, message: str) -> None:
        result = {"code": code, "subCode": sub_code, "message": message}
        participant = model(invitation.identity)
        self.tell(event_type, invitation.operation_context, participant=participant, resultInformation=result)

    def _tell_participants(self) -> None:
        self._sequence += 1
        self.tell("ParticipantsUpdated", None, participants=self.participants(), sequenceNumber=self._sequence)

    def participants(self) -> list[Json]:
        """The people in the call, in the services' form."""
        listed = [self._listed_as.get(person, person) for person in self.view.people]
        return [{"identifier": model(person), "isMuted": False, "isOnHold": False} for person in listed]

    def properties(self) -> Json:
        """The call as the service describes it to the application."""
        state = {"connected": "connected", "over": "disconnected"}.get(self.view.state, "connecting")
        return {
            **self._ids(),
            "targets": [model(self.view.dialled)],
            "source": model(self.view.caller),
            "callConnectionState": state,
            "callbackUri": self.callback_uri,
        }

    def _ids(self) -> Json:
        return {
            "callConnectionId": self.view.call_connection_id,
            "serverCallId": self.view.server_call_id,
            "correlationId": self.view.correlation_id,
        }
