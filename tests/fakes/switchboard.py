"""Call control in memory: calls, who rings, who is on them, and the events that it would send."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.deadlines import Clock, Deadline
from shared.domain.callbacks import Connected, Fact, Joined, NotJoined, Over, Roster
from shared.domain.errors import NotFound, Refused, Unavailable
from shared.domain.identities import raw_identity
from shared.ports import Invite
from shared.use_cases.continue_callback import MidCall

PSAP = "4:+12065550142"


class Known[T]:
    """Port `Pending`, with its outcome decided already."""

    def __init__(self, outcome: T | Exception) -> None:
        self._outcome = outcome

    def result(self) -> T:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class RedirectsOnly:
    """The rest of port `CallRouter`, for fakes of deployments whose callbacks cannot be answered, only sent on."""

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        raise Refused

    def invite(self, invite: Invite, deadline: Deadline) -> Known[str]:
        raise NotFound

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        raise NotFound

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        raise NotFound

    def play(self, connection_id: str, url: str, *, origin: str, deadline: Deadline) -> None:
        raise NotFound


class Ringing:
    """One invitation as call control sees it."""

    def __init__(self, invite: Invite, until: datetime) -> None:
        self.invite = invite
        self.until = until
        self.rings = True


class Call:
    """One call that was answered."""

    def __init__(self, connection_id: str, callback_id: str, label: str, server_call_id: str) -> None:
        self.connection_id = connection_id
        self.callback_id = callback_id
        self.label = label
        self.server_call_id = server_call_id
        self.caller = PSAP
        self.people: list[str] = [PSAP]
        self.invitations: dict[str, Ringing] = {}
        self.over = False


class Switchboard:
    """Port `CallRouter`. Every request is once only for its id; what it causes stands in `events` until delivered.

    `gone`: targets that are refused. `offline`: people who fail at once. `fail` may raise for any request, before it
    does anything; `lose_answer` after. `requests` counts those that arrived, by operation.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.calls: dict[str, Call] = {}
        self._by_context: dict[str, Call] = {}
        self._done: set[str] = set()
        self._callers: dict[str, str] = {}
        self.redirected: list[tuple[str, str]] = []
        self.events: list[tuple[str, MidCall]] = []
        self.requests: list[tuple[str, str]] = []
        self.invited: list[Invite] = []
        self.played: list[str] = []
        self.gone: set[str] = set()
        self.offline: set[str] = set()
        self.waiting: set[str] = set()
        self.fail: Callable[[str, str], None] = lambda _operation, _target: None
        self.lose_answer: Callable[[str, str], None] = lambda _operation, _target: None

    # The port

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        self._request("redirect", target)
        if origin in self._done:
            return
        if target in self.gone or incoming_call_context not in self.waiting:
            raise Refused
        self._done.add(origin)
        self.waiting.discard(incoming_call_context)
        self.redirected.append((incoming_call_context, target))

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        self._request("answer", incoming_call_context)
        connection_id = f"connection of {origin}"
        if connection_id not in self.calls:
            if incoming_call_context not in self.waiting:
                raise Refused
            self.waiting.discard(incoming_call_context)
            callback_id = events_url.rpartition("?callback=")[2]
            call = Call(connection_id, callback_id, operation_context, incoming_call_context)
            call.caller = self._callers.get(incoming_call_context, PSAP)
            call.people = [call.caller]
            self.calls[connection_id] = self._by_context[incoming_call_context] = call
            self._say(call, Connected(), label=operation_context)
            self._say_roster(call)
        self.lose_answer("answer", incoming_call_context)
        return connection_id

    def invite(self, invite: Invite, deadline: Deadline) -> Known[str]:
        try:
            return Known(self._invite(invite))
        except (NotFound, Refused, Unavailable) as error:
            return Known(error)

    def _invite(self, invite: Invite) -> str:
        self._request("invite", invite.target)
        call = self._call(invite.connection_id)
        handle = f"handle of {invite.invitation_id}"
        if handle not in call.invitations:
            if invite.target in self.gone:
                raise Refused
            assert invite.caller_id is None or not invite.target.startswith("8:")
            self.invited.append(invite)
            ringing = Ringing(invite, self._clock.now() + timedelta(seconds=invite.ring_s))
            call.invitations[handle] = ringing
            if invite.target in self.offline or raw_identity(invite.target) in call.people:
                self._give_in(call, ringing)
        self.lose_answer("invite", invite.target)
        return handle

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        self._request("cancel", handle)
        ringing = self._call(connection_id).invitations.get(handle)
        if ringing is None or not ringing.rings:
            raise Refused
        ringing.rings = False

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        self._request("people", connection_id)
        return frozenset(self._call(connection_id).people)

    def play(self, connection_id: str, url: str, *, origin: str, deadline: Deadline) -> None:
        self._request("play", url)
        self._call(connection_id)
        self.played.append(url)

    def _request(self, operation: str, target: str) -> None:
        self.requests.append((operation, target))
        self.fail(operation, target)

    def _call(self, connection_id: str) -> Call:
        call = self.calls.get(connection_id)
        if call is None or call.over:
            raise NotFound
        return call

    # The world

    def incoming(self, context: str, caller: str = PSAP) -> None:
        """A call begins to ring; once answered it rings no more, however often its event comes."""
        self._callers[context] = caller
        if context not in self._by_context:
            self.waiting.add(context)

    def ringing(self) -> list[str]:
        """Whom the telephones ring at this moment."""
        calls = [call for call in self.calls.values() if not call.over]
        return [each.invite.target for call in calls for each in call.invitations.values() if each.rings]

    def talking(self, context: str = "context") -> list[str]:
        """Who is on the call besides the responder."""
        call = self._of(context)
        return [who for who in call.people if who != call.caller]

    def pick_up(self, target: str, context: str = "context") -> None:
        """Somebody who is rung answers."""
        call = self._of(context)
        self._join(
            call, next(each for each in call.invitations.values() if each.rings and each.invite.target == target)
        )

    def _join(self, call: Call, ringing: Ringing) -> None:
        identity = raw_identity(ringing.invite.target)
        call.people.append(identity)
        self._stop(call, ringing, Joined(ringing.invite.invitation_id, identity))
        self._say_roster(call)

    def drop_out(self, target: str, context: str = "context") -> None:
        """Somebody leaves the call without ending it: a browser dies, or a telephone is put down."""
        call = self._of(context)
        call.people.remove(raw_identity(target))
        self._say_roster(call)

    def hang_up(self, context: str = "context") -> None:
        """The call ends for everyone."""
        call = self._of(context)
        call.over = True
        call.people.clear()
        for ringing in call.invitations.values():
            ringing.rings = False
        self._say(call, Over())

    def time_passes(self) -> None:
        """Whoever rang too long rings no more."""
        for call in self.calls.values():
            for ringing in call.invitations.values():
                if ringing.rings and ringing.until <= self._clock.now():
                    self._give_in(call, ringing)

    def _give_in(self, call: Call, ringing: Ringing) -> None:
        self._stop(call, ringing, NotJoined(ringing.invite.invitation_id))

    def _of(self, context: str) -> Call:
        return self._by_context[context]

    def _stop(self, call: Call, ringing: Ringing, fact: Fact) -> None:
        ringing.rings = False
        self._say(call, fact)

    def _say_roster(self, call: Call) -> None:
        self._say(call, Roster(frozenset(call.people)))

    def _say(self, call: Call, fact: Fact, label: str | None = None) -> None:
        said = MidCall(connection_id=call.connection_id, fact=fact, server_call_id=call.server_call_id, label=label)
        self._send(call.callback_id, said)

    def _send(self, callback_id: str, said: MidCall) -> None:
        self.events.append((callback_id, said))
