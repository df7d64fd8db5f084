"""Call control in a simulated world: whom it rings, who picks up, who talks and drops out, and what it says of that."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.deadlines import Deadline
from shared.domain.errors import Refused
from shared.domain.identities import raw_identity
from shared.ports import Invite
from shared.use_cases.continue_callback import MidCall
from tests.fakes.house import FALLBACK
from tests.fakes.switchboard import Call, Ringing, Switchboard
from tests.simulator.clockwork import SECOND

if TYPE_CHECKING:
    from tests.simulator.responders import Responder
    from tests.simulator.world import World

MID_CALL_EVENT_WITHIN_S = 0.5
IS_OFFLINE, PICKS_UP = 0.15, 0.7
# So long a repeated request finds what it repeats.
REMEMBERED_S = 300
# How often the list of participants shows who was there some time ago, and how long at most.
LIST_LAGS, LAG_S = 0.3, 1.5


class CallControl(Switchboard):
    """Everybody's calls. What happens on one is told to its responder, and to the app by events."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.clock)
        self._world = world
        self._responders: dict[str, Responder] = {}
        self._talked_at: dict[str, datetime] = {}
        self._moves: dict[str, list[tuple[str, bool, datetime]]] = {}
        self._gone_or_not: dict[str, bool] = {}
        self._joined: set[tuple[str, str]] = set()
        self._left: set[tuple[str, str]] = set()
        self._asked_at: dict[str, datetime] = {}
        self.not_to_be_answered: set[str] = set()

    # The responder's side

    def dial(self, responder: "Responder") -> None:
        """A responder's call begins to ring."""
        self._responders[responder.context] = responder
        self.incoming(responder.context, responder.caller)

    def was_answered(self, context: str) -> bool:
        """Whether the app answered it."""
        return context in self._by_context

    def give_up(self, context: str) -> None:
        """The call is over, whatever became of it."""
        self.waiting.discard(context)
        call = self._by_context.get(context)
        if call is None or call.over:
            return
        for identity in call.people[1:]:
            self._leaves(call, identity)
        self.hang_up(context)
        self._responders[context].changed()
        self._after(REMEMBERED_S, lambda: self._forget(call))

    def drops_out(self, context: str, target: str) -> bool:
        """Whether somebody left a call that goes on: a browser died, or a telephone was put down."""
        call = self._by_context.get(context)
        if call is None or call.over or raw_identity(target) not in call.people:
            return False
        self._leaves(call, raw_identity(target))
        self.drop_out(target, context)
        self._responders[context].changed()
        return True

    def somebody_there(self, context: str) -> bool:
        """Whether the responder talks to somebody, or somebody is being rung; also when nobody waits any more."""
        call = self._by_context.get(context)
        if call is None or call.over:
            return True
        return len(call.people) > 1 or any(each.rings for each in call.invitations.values())

    def still_rung(self, context: str, since: datetime) -> list[str]:
        """Who has been ringing since before then."""
        call = self._by_context.get(context)
        ringing = [] if call is None else [each for each in call.invitations.values() if each.rings]
        return [each.invite.target for each in ringing if each.until - timedelta(seconds=each.invite.ring_s) < since]

    def talked_since(self, target: str, since: datetime) -> bool:
        """Whether they were on any call since then."""
        return self._talked_at.get(target, since) > since

    def has_joined(self, callback_id: str, agent_id: str) -> bool:
        """Whether the agent ever answered this callback, with whatever device."""
        return (callback_id, agent_id) in self._joined

    def has_left(self, callback_id: str, agent_id: str) -> bool:
        """Whether the agent was ever gone again."""
        return (callback_id, agent_id) in self._left

    def _forget(self, call: Call) -> None:
        self.calls.pop(call.connection_id)
        self._moves.pop(call.connection_id, None)
        self._by_context.pop(call.server_call_id)
        self._responders.pop(call.server_call_id)
        self._asked_at.pop(call.server_call_id, None)

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        """Who is on the call, as the list shows it, which may be of some time ago."""
        people = super().people(connection_id, deadline)
        if self._world.chance.random() < LIST_LAGS:
            since = self._world.clock.now() - timedelta(seconds=LAG_S * self._world.chance.random())
            for identity, came, at in reversed(self._moves.get(connection_id, ())):
                if at > since:
                    people = people - {identity} if came else people | {identity}
        return people

    # What the app asks for

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        sent = len(self.redirected)
        super().redirect(incoming_call_context, target, origin=origin, deadline=deadline)
        if len(self.redirected) > sent:
            self._responders[incoming_call_context].sent_to(target)

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        known = self._by_context.get(incoming_call_context)
        if known is not None and known.over and self._asked_at[incoming_call_context] < self._long_ago():
            # What it answered to the first request it knows no more, and the call is there no more.
            raise Refused
        connection_id = super().answer(
            incoming_call_context, events_url, operation_context=operation_context, origin=origin, deadline=deadline
        )
        self._asked_at.setdefault(incoming_call_context, self._world.clock.now())
        self._responders[incoming_call_context].changed()
        return connection_id

    def _long_ago(self) -> datetime:
        return self._world.clock.now() - timedelta(seconds=REMEMBERED_S)

    def _invite(self, invite: Invite) -> str:
        if self._is_gone(invite):
            raise Refused
        rung = len(self.invited)
        handle = super()._invite(invite)
        if len(self.invited) > rung:
            call = self.calls[invite.connection_id]
            self._rings(call, call.invitations[handle])
        return handle

    def _is_gone(self, invite: Invite) -> bool:
        """Whether the target cannot be had; a repeated request gets the same answer."""
        faults = self._world.faults
        if invite.invitation_id not in self._gone_or_not:
            gone = faults.strikes("callback target gone", faults.climate.target_gone)
            self._gone_or_not[invite.invitation_id] = gone
        return self._gone_or_not[invite.invitation_id]

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        super().cancel(connection_id, handle, origin=origin, deadline=deadline)
        self._responders[self.calls[connection_id].server_call_id].changed()

    # The people who are rung

    def _rings(self, call: Call, ringing: Ringing) -> None:
        responder, chance = self._responders[call.server_call_id], self._world.chance
        responder.hears_ring(ringing.invite)
        fate, ring_s = chance.random(), ringing.invite.ring_s
        if responder.deserted and ringing.invite.target != FALLBACK:
            fate = fate * IS_OFFLINE if fate < 0.5 else 1.0
        if fate < IS_OFFLINE:
            ring_s = 1
        elif fate < IS_OFFLINE + PICKS_UP:
            self._after(chance.random() * ring_s, lambda: self._picks_up(call, ringing))
        self._after(ring_s, lambda: self._rang_in_vain(call, ringing))

    def _picks_up(self, call: Call, ringing: Ringing) -> None:
        if call.over or not ringing.rings or raw_identity(ringing.invite.target) in call.people:
            return
        target = ringing.invite.target
        self._talked_at[target] = self._world.clock.now()
        self._joined.add((call.callback_id, self._world.agent_of(target)))
        self._moved(call, raw_identity(target), came=True)
        self._join(call, ringing)
        self._responders[call.server_call_id].is_answered_by(ringing.invite)

    def _rang_in_vain(self, call: Call, ringing: Ringing) -> None:
        if ringing.rings:
            self._give_in(call, ringing)
            self._responders[call.server_call_id].changed()

    def _leaves(self, call: Call, identity: str) -> None:
        self._moved(call, identity, came=False)
        self._left.add((call.callback_id, self._world.agent_of(identity.removeprefix("4:"))))

    def _moved(self, call: Call, identity: str, *, came: bool) -> None:
        self._moves.setdefault(call.connection_id, []).append((identity, came, self._world.clock.now()))

    # What is said of it

    def _send(self, callback_id: str, said: MidCall) -> None:
        self._world.courier.send(
            lambda process: process.move_callback(callback_id, said), within_s=MID_CALL_EVENT_WITHIN_S
        )

    def _after(self, seconds: float, what: Callable[[], object]) -> None:
        self._world.clock.call_at(self._world.clock.at_us + int(seconds * SECOND), what)
