"""The control API: what a test, the demo or the PSAP simulator makes the outside world do."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.local.acs import messages
from tests.local.acs.call import Call
from tests.local.acs.errors import ServiceError
from tests.local.acs.identities import raw_id
from tests.local.acs.telephony import placed
from tests.local.event_grid import Chaos

if TYPE_CHECKING:
    from tests.local.acs.server import Service

TOKEN_HEADER = "X-Control-Token"

type Act = Callable[[Request], Awaitable[object]]


class ControlRoutes:
    """`/control/…`: JSON in and out, for whoever holds the token; the types are those of `messages`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Every control operation."""
        table: list[tuple[str, str, Act]] = [
            ("POST", "faults", self.add_fault),
            ("DELETE", "faults", self.clear_faults),
            ("GET", "requests", self.requests),
            ("GET", "emails", self.emails),
            ("PUT", "emails/rules", self.email_rules),
            ("PUT", "telephony", self.telephony),
            ("POST", "telephony/dialled", self.dialled),
            ("PUT", "people", self.people),
            ("POST", "calls", self.incoming_call),
            ("GET", "calls", self.calls),
            ("POST", "user-calls", self.user_call),
            ("GET", "calls/{server_call_id}", self.call),
            ("POST", "calls/{server_call_id}/answer", self.pick_up),
            ("POST", "calls/{server_call_id}/leave", self.leave),
            ("POST", "calls/{server_call_id}/end", self.end_call),
            ("POST", "calls/{server_call_id}/record", self.record),
            ("GET", "recordings", self.recordings),
            ("GET", "recordings/deleted", self.deleted_documents),
            ("POST", "events", self.publish),
            ("PUT", "subscriptions", self.subscribe),
            ("PUT", "event-grid", self.event_grid),
            ("GET", "event-grid/deliveries", self.deliveries),
            ("GET", "event-grid/pending", self.pending),
            ("GET", "mid-call", self.mid_call),
            ("GET", "mid-call/events", self.mid_call_events),
            ("PUT", "mid-call", self.mid_call_rules),
            ("POST", "mid-call/events", self.send_mid_call),
            ("POST", "keys/rotate", self.rotate_keys),
            ("GET", "token/{kind}", self.token),
            ("POST", "clock", self.move_clock),
            ("POST", "reset", self.reset),
        ]
        return [Route(f"/control/{path}", self._checked(act), methods=[method]) for method, path, act in table]

    def _checked(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            token = request.headers.get(TOKEN_HEADER, "")
            if not secrets.compare_digest(token.encode(), self._service.identity.control_token.encode()):
                return Response(status_code=401)
            try:
                answer = await act(request)
            except ServiceError as refusal:
                return refusal.response()
            except msgspec.ValidationError as error:
                return ServiceError(400, "BadRequest", str(error)).response()
            return Response(msgspec.json.encode(answer), media_type="application/json")

        return serve

    async def add_fault(self, request: Request) -> None:
        """Put a fault in force."""
        self._service.faults.add(await _read(request, messages.Fault))

    async def clear_faults(self, _: Request) -> None:
        """End all faults."""
        self._service.faults.clear()

    async def requests(self, _: Request) -> list[messages.LoggedRequest]:
        """The request log."""
        return self._service.log

    async def emails(self, _: Request) -> list[messages.AcceptedEmail]:
        """Every message accepted."""
        return self._service.emails.accepted

    async def email_rules(self, request: Request) -> None:
        """Replace the e-mail service's rules."""
        self._service.emails.rules = await _read(request, messages.EmailRules)

    async def telephony(self, request: Request) -> None:
        """Replace the voice routes and the numbers bought."""
        self._service.telephony.setup = await _read(request, messages.TelephonySetup)

    async def dialled(self, request: Request) -> messages.Placed:
        """Let somebody dial an emergency number."""
        return placed(await _read(request, messages.Dialled), self._service.telephony.setup)

    async def people(self, request: Request) -> None:
        """Script a person."""
        self._service.network.line.script(await _read(request, messages.People))

    async def incoming_call(self, request: Request) -> messages.CallView:
        """Let somebody call."""
        return self._service.network.incoming(await _read(request, messages.IncomingCall)).view

    async def user_call(self, request: Request) -> messages.CallView:
        """Let a user start a call of their own."""
        return self._service.network.user_call(await _read(request, messages.UserCall)).view

    async def calls(self, _: Request) -> list[messages.CallView]:
        """Every call."""
        return [call.view for call in self._service.network.calls]

    async def call(self, request: Request) -> messages.CallView:
        """One call."""
        return self._known(request).view

    async def pick_up(self, request: Request) -> messages.CallView:
        """Somebody who is rung and answers by hand does so now."""
        call = self._known(request)
        call.pick_up((await _read(request, dict[str, str]))["identity"])
        return call.view

    async def leave(self, request: Request) -> messages.CallView:
        """Somebody hangs up: the caller unless another identity is named."""
        call = self._known(request)
        identity = (await _read(request, dict[str, str | None])).get("identity") or call.view.caller
        call.leave(raw_id(identity))
        return call.view

    async def end_call(self, request: Request) -> messages.CallView:
        """The call ends for everyone."""
        call = self._known(request)
        call.end("ended on request")
        return call.view

    async def record(self, request: Request) -> messages.Recording:
        """Somebody else starts recording a call."""
        return self._service.network.record(self._known(request))

    async def recordings(self, _: Request) -> list[messages.Recording]:
        """Every recording."""
        return self._service.network.recordings

    async def deleted_documents(self, _: Request) -> list[str]:
        """The recorded files that were deleted."""
        return self._service.network.deleted_documents

    async def publish(self, request: Request) -> None:
        """Hand events to Event Grid as they are."""
        self._service.grid.publish(*await _read(request, list[dict[str, Any]]))

    async def subscribe(self, request: Request) -> None:
        """Replace the subscriptions."""
        self._service.grid.subscriptions = (await _read(request, messages.Subscriptions)).subscriptions

    async def event_grid(self, request: Request) -> None:
        """Change how Event Grid delivers."""
        rules = await _read(request, messages.EventGridRules)
        grid = self._service.grid
        grid.time_scale = rules.time_scale
        grid.shake(rules.chaos)
        if rules.held:
            grid.hold()
        else:
            grid.release(shuffled=rules.shuffled)

    async def deliveries(self, _: Request) -> list[messages.EventDelivery]:
        """Every delivery attempt."""
        return [
            messages.EventDelivery(
                event_id=str(delivery.event.get("id")),
                event_type=str(delivery.event.get("type") or delivery.event.get("eventType")),
                subscription=delivery.subscription,
                attempt=delivery.attempt,
                status=delivery.status,
                dead_lettered=delivery.dead_lettered,
            )
            for delivery in self._service.grid.deliveries
        ]

    async def pending(self, _: Request) -> int:
        """Deliveries neither done nor given up."""
        return self._service.grid.pending

    async def mid_call(self, _: Request) -> list[messages.MidCallDelivery]:
        """Every try to deliver a mid-call event."""
        return self._service.mid_call.deliveries

    async def mid_call_events(self, _: Request) -> list[messages.Json]:
        """Every mid-call event sent, whole, so that it can be sent again."""
        return self._service.mid_call.sent

    async def mid_call_rules(self, request: Request) -> None:
        """Change how mid-call events are sent."""
        self._service.mid_call.obey(await _read(request, messages.MidCallRules))

    async def send_mid_call(self, request: Request) -> None:
        """Send a mid-call event as it stands: a replay, or one made up."""
        body = await _read(request, dict[str, Any])
        self._service.mid_call.resend(str(body["callback_uri"]), body["event"])

    async def rotate_keys(self, request: Request) -> None:
        """Sign with a new key."""
        self._service.signer.rotate(keep_old=bool((await _read(request, dict[str, bool])).get("keep_old", True)))

    async def token(self, request: Request) -> str:
        """A token of the named kind."""
        return self._service.signer.token(msgspec.convert(request.path_params["kind"], messages.TokenKind))

    async def move_clock(self, request: Request) -> float:
        """Change the clock's speed, or move it on; the seconds since the start."""
        move = await _read(request, messages.ClockMove)
        self._service.clock.move(speed=move.speed, advance_s=move.advance_s)
        return self._service.clock.elapsed()

    async def reset(self, _: Request) -> None:
        """Forget everything but the keys and the subscriptions."""
        service = self._service
        service.clock.reset()
        service.faults.clear()
        service.log.clear()
        service.repeatable.forget()
        service.emails.forget()
        service.telephony.forget()
        service.network.forget()
        service.mid_call.forget()
        await service.grid.forget()
        service.grid.time_scale = 1.0
        service.grid.shake(Chaos())
        service.grid.release()

    def _known(self, request: Request) -> Call:
        return self._service.network.known(request.path_params["server_call_id"])


async def _read[T](request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(await request.body(), type=kind)
