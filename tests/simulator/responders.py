"""Responders who call back, and what is right for them: who may be rung, that somebody always is, and who is told."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.callback_ladder import FALLBACK_AFTER
from shared.domain.callbacks import try_without_state
from shared.domain.deployment import CallbackNotices
from shared.domain.errors import Malformed, Refused, Unavailable
from shared.domain.ids import derived
from shared.domain.notifications import NoticeKind
from shared.ports import Invite
from shared.use_cases.answer_callback import callback_id_of
from shared.use_cases.end_call import End
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import DESK, FALLBACK
from tests.fakes.switchboard import PSAP
from tests.simulator.clockwork import SECOND, microseconds
from tests.simulator.ports import Died

if TYPE_CHECKING:
    from tests.simulator.processes import Process
    from tests.simulator.world import World

MAX_TRIES = 40
TALKS_S = (2.0, 30.0, 60.0, 120.0, 400.0)
MAX_DROP_OUTS = 3
NOBODY_S = frozenset({DESK, FALLBACK})
# How long nobody may ring while a responder waits: between two laps, after a lost event, after a failed sweep.
SILENCE_IN_FAIR_WEATHER = timedelta(seconds=100)
SILENCE = timedelta(seconds=300)
KNOWN_AFTER_S = 4
# A ring that was decided on before somebody answered may begin a moment after.
DECIDED_BEFORE = timedelta(seconds=5)
# An agent who was in another callback may still be taken for engaged when the end of it was lost.
ENGAGED_AT_MOST = timedelta(hours=5)
ENOUGH = timedelta(minutes=40)


class Responder:
    """One callback, from dialling a number to putting the telephone down."""

    def __init__(self, world: "World", number: str, context: str, about: str) -> None:
        self.world = world
        self.number = number
        self.context = context
        self._about = about
        self.callback_id = callback_id_of(context)
        self._right: set[str] = set()
        self._troubles = world.faults.near_callbacks()
        self._away = world.faults.store_away
        self._came_at = world.clock.now()
        self._rung = self._over = self._left_alone = self._sent = self._reached = False
        # Nobody is there for this one but whoever answers the fallback number.
        # Sometimes it is the desk that calls the agent back.
        self.caller = f"4:{DESK}" if world.chance.random() < 0.03 else PSAP
        self.deserted = world.chance.random() < 0.05
        self._silent_since: datetime | None = None
        self._alone_since: datetime | None = None
        self._talking_since: datetime | None = None
        self._drop_outs = 0
        self._taken_by: list[Process] = []
        self._missed_worth: tuple[datetime, datetime] | None = None

    # The call

    def call(self) -> None:
        """Dial, and wait: most of them until somebody answers."""
        world, chance = self.world, self.world.chance
        world.control.dial(self)
        world.tell(self._about, f"is called back, callback {self.callback_id[:8]}")
        if chance.random() < 0.25:
            world.clock.spawn(self.puts_down, chance.random() ** 2 * 600)
        if chance.random() < 0.3:
            world.courier.send(lambda process: process.see(self._server_call(ended=False)))
        if world.faults.strikes("event doubled", world.faults.climate.event_doubled):
            world.clock.spawn(self._arrives, chance.random() ** 3 * 600)
        for attempt in range(MAX_TRIES):
            if self._arrives():
                return
            world.clock.sleep(1.0 + attempt)
        # One that was sent on rings there, though the process that did it heard no answer, and nobody takes it again.
        self.world.require(self._over or self._sent, "no callback is lost", self.number, self._about)

    def _arrives(self) -> bool:
        """Whether the event of it needs to come no more."""
        world, process = self.world, self.world.any_process()
        self._see_who_is_right()
        call = Incoming(
            to_number=self.number,
            context=self.context,
            origin=self.context,
            caller=self.caller,
            came_at=self._came_at,
        )
        try:
            process.call_back(call)
        except (Died, Unavailable):
            return False
        except Refused:
            # All that was asked was refused: of a call that is over, or by chance. One that an event before this had
            # answered goes on.
            if self._sent:
                # The process that sent it on died before it could say so.
                return True
            given_up = self._is_over() or self.context in world.control.not_to_be_answered
            world.require(given_up, "no callback that rings is given up", self.number, self._about)
            if world.control.was_answered(self.context):
                return False
            self.puts_down()
            return True
        self._taken_by.append(process)
        self._see_who_is_right()
        if self._is_over() or self._sent or world.control.was_answered(self.context):
            return True
        # Only a process that does not know the newest pool yet may leave it alone.
        self._left_alone = process.deployment is not world.newest
        return self._left_alone

    def _is_over(self) -> bool:
        return self._over

    def puts_down(self) -> None:
        """The call is over for everyone."""
        if self._over:
            return
        self._over = True
        self._note_whether_missed()
        self.world.tell(self._about, f"puts down, callback {self.callback_id[:8]}")
        self.world.control.give_up(self.context)
        if self.world.chance.random() < 0.3:
            self.world.courier.send(lambda process: process.see(self._server_call(ended=True)))

    def _server_call(self, *, ended: bool) -> ServerCall:
        return ServerCall(server_call_id=self.context, starter=self.caller, at=self.world.clock.now(), ended=ended)

    # Who may be rung

    def _see_who_is_right(self) -> None:
        """Whoever holds the number by the time that its holders are looked up."""
        if not self._rung:
            self._right |= self.world.checks.right_targets(self.number)
            for agent_id in self.world.checks.right_agents(self.number):
                self._expect_notices(agent_id)

    def a_holder_came(self) -> None:
        """A dial was recorded: of one that an outage has kept from that, the holder is found by whatever comes next."""
        if not self._over:
            self._see_who_is_right()

    def _expect_notices(self, agent_id: str) -> None:
        for kind in (NoticeKind.CALLBACK_MISSED, NoticeKind.CALLBACK_RECEIVED):
            self.world.checks.expect_notice(self._notice_id(agent_id, kind), agent_id, self)

    def _notice_id(self, agent_id: str, kind: NoticeKind) -> str:
        return derived(f"{self.callback_id}|{self.world.key_of(agent_id)}", kind.value)

    def _alternates(self) -> set[str]:
        agents = (self.world.agent_of(identity) for identity in self._right - NOBODY_S)
        return {number for agent_id in agents for number in self.world.alternates(agent_id)}

    def _calm(self) -> bool:
        """Whether nothing went wrong since it began that could keep the app from ringing whom it should."""
        return not self._away and self._troubles == self.world.faults.near_callbacks()

    def sent_to(self, target: str) -> None:
        """It could not be answered, and was redirected."""
        self._see_who_is_right()
        self._sent = True
        sure = self._calm() and not self.world.breakage.touches(self.number)
        allowed = self._right if sure else self._right | self._alternates() | NOBODY_S
        self.world.tell(self._about, f"is sent on to {target}")
        self.world.require(target in allowed, "a callback rings nobody else", (target, self._right), self._about)

    def hears_ring(self, invite: Invite) -> None:
        """Somebody is rung for it."""
        self._see_who_is_right()
        world, target = self.world, invite.target
        world.tell(self._about, f"rings {target}, callback {self.callback_id[:8]}")
        allowed = self._right | self._alternates() | NOBODY_S
        if world.breakage.touches(self.number):
            allowed |= world.checks.keepers(self.number)
        self.world.require(target in allowed, "a callback rings nobody else", (target, self._right), self._about)
        if self._calm():
            expected = None if target.startswith("8:") else self.number
            known = self._is_known_everywhere()
            right = invite.caller_id == expected or not known
            self.world.require(right, "telephones are shown the number", invite.caller_id, self._about)
            first = self._rung or target in self._right or self._engaged_lately()
            first = first or world.breakage.touches(self.number) or not known
            self.world.require(first, "its holder is rung first", (target, self._right), self._about)
            self._is_it_time_for(target)
        if try_without_state(self.callback_id, invite.invitation_id) is None:
            # Without the store nobody can know whether somebody talks, nor who holds the number.
            self._nobody_talks()
            self._rung = self._rung or target in self._right
        self.changed()

    def _is_known_everywhere(self) -> bool:
        """Where a number joins the pool or leaves it, an event may come before its callback's row to a process that
        knows the number not yet, or no more: what the call is labelled with is no number.
        """
        return all(self.number in process.deployment.callback_numbers for process in self.world.processes)

    def _is_it_time_for(self, target: str) -> None:
        """The fallback number after five minutes, and then nobody else."""
        if self._alone_since is None:
            return
        waited, climate = self.world.clock.now() - self._alone_since, self.world.faults.climate
        if climate.fair and climate.prompt and self._was_served(self._alone_since):
            # Where the desk itself calls, it stands in for the desk.
            early = target == FALLBACK and waited < FALLBACK_AFTER and self.caller == PSAP
            self.world.require(not early, "the fallback number is rung after five minutes", waited, self._about)
            late = target != FALLBACK and waited > FALLBACK_AFTER + timedelta(seconds=60)
            self.world.require(
                not late, "after five minutes the fallback number is rung for good", (target, waited), self._about
            )

    def _nobody_talks(self) -> None:
        if self._talking_since is not None and self._was_served(self._talking_since):
            talked = self.world.clock.now() - self._talking_since
            limit = DECIDED_BEFORE if self.world.faults.climate.fair and self._calm() else SILENCE
            self.world.require(talked <= limit, "nobody is rung while somebody talks", talked, self._about)

    def _was_served(self, since: datetime) -> bool:
        return self.world.served_from(since, self.world.clock.now()) == since

    def _patience(self) -> timedelta:
        return SILENCE_IN_FAIR_WEATHER if self.world.faults.climate.fair else SILENCE

    def _engaged_lately(self) -> bool:
        since = self.world.clock.now() - ENGAGED_AT_MOST
        return any(self.world.control.talked_since(target, since) for target in self._right | self._alternates())

    # That somebody is

    def changed(self) -> None:
        """Somebody began or stopped to ring, came or went."""
        control, now = self.world.control, self.world.clock.now()
        talks = not self._over and bool(control.talking(self.context))
        self._talking_since = (self._talking_since or now) if talks else None
        self._alone_since = None if talks else (self._alone_since or now)
        if self._over or control.somebody_there(self.context):
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
            self._look_again(now, now)

    def _look_again(self, silent_since: datetime, from_when: datetime) -> None:
        when = microseconds(from_when + self._patience())
        self.world.clock.call_at(when, lambda: self._is_it_still_silent(silent_since, from_when))

    def _is_it_still_silent(self, silent_since: datetime, from_when: datetime) -> None:
        if self._silent_since is not silent_since:
            return
        served_from = self.world.served_from(silent_since, self.world.clock.now())
        if served_from > from_when:
            self._look_again(silent_since, served_from)
            return
        if self._is_forgotten():
            self.world.faults.befell("callback forgotten")
            self.puts_down()
            return
        self.world.require(False, "somebody rings while a responder waits", (self.number, silent_since), self._about)

    def _is_forgotten(self) -> bool:
        """Whether three faults met: the store failed when the call was answered, whoever answered it died before the
        store was back, and no event of the call has come through since. An event that is not acknowledged would come
        again, but after ten of those Event Grid holds back new callbacks, too.
        """
        if not self._taken_by or not all(process.dead for process in self._taken_by):
            return False
        known = self.world.clear_sight.callback(self.callback_id, self.world.endless).result().callback
        return known is None

    def is_answered_by(self, invite: Invite) -> None:
        """They talk."""
        world = self.world
        self._reached = True
        world.tell(self._about, f"is answered by {invite.target}, callback {self.callback_id[:8]}")
        self.changed()
        if world.faults.climate.fair and world.faults.climate.prompt and self._calm():
            answered_at, drop_outs = world.clock.now(), self._drop_outs
            soon_us = world.clock.at_us + KNOWN_AFTER_S * SECOND
            world.clock.call_at(soon_us, lambda: self._answer_is_known(invite, answered_at, drop_outs))
        world.clock.spawn(lambda: self._talk_ends(invite), world.chance.choice(TALKS_S) * (0.5 + world.chance.random()))

    def _answer_is_known(self, invite: Invite, answered_at: datetime, drop_outs: int) -> None:
        if self._over or self._drop_outs != drop_outs or not self._calm():
            return
        still = self.world.control.still_rung(self.context, answered_at)
        self.world.require(not still, "the others ring no more when one answers", still, self._about)
        agent_id = self.world.agent_of(invite.target)
        legs = self.world.checks.callback_legs(self.world.key_of(agent_id), self.callback_id)
        held = legs is None or any(leg.holds_presence for leg in legs)
        self.world.require(held, "whoever answers a callback is in an emergency", (agent_id, legs), self._about)

    def _talk_ends(self, invite: Invite) -> None:
        world, how = self.world, self.world.chance.random()
        if self._over:
            return
        if how < 0.3 and self._drop_outs < MAX_DROP_OUTS:
            # The ladder goes on from the top.
            self._drop_outs += 1
            world.tell(self._about, f"loses {invite.target}, callback {self.callback_id[:8]}")
            world.control.drops_out(self.context, invite.target)
            return
        if how < 0.6 and invite.target.startswith("8:"):
            by_agent = world.chance.random() < 0.7
            end = End(call_id=invite.invitation_id, by_agent=by_agent, at=world.clock.now())
            world.ends_said.setdefault(derived(invite.invitation_id, "leg"), set()).add((world.clock.now(), by_agent))
            world.courier.send(lambda process: _ends(process, end), may_be_lost=False)
        self.puts_down()

    # Who is told

    def is_told_of(self, notice_id: str) -> None:
        """A notice of it was accepted."""
        climate = self.world.faults.climate
        missed = {self._notice_id(self.world.agent_of(each), NoticeKind.CALLBACK_MISSED) for each in self._holders()}
        if notice_id in missed and climate.fair and climate.prompt and self._calm():
            self.world.require(not self._reached, "only missed callbacks are told as missed", self.number, self._about)

    def _holders(self) -> set[str]:
        return self._right - NOBODY_S

    def _note_whether_missed(self) -> None:
        """Where exactly one agent held the number all the time, their contacts must hear of it."""
        world, holders = self.world, self._holders()
        wanted = world.deployment.callback_notices is not CallbackNotices.NONE
        if self._reached or not wanted or len(holders) != 1 or not world.control.was_answered(self.context):
            return
        released_at = world.checks.released_at(world.key_of(world.agent_of(next(iter(holders)))))
        if released_at is not None:
            at_least = world.clock.now() + timedelta(minutes=world.rules.cool_down_minutes)
            self._missed_worth = world.clock.now(), min(released_at, at_least)

    def at_the_end(self) -> None:
        """Whoever waited was reached; whoever did not was told of."""
        through = self._reached or self._sent or self._over or self._left_alone
        self.world.require(through, "every responder who waits reaches somebody", self.number, self._about)
        if self._missed_worth is None or not (self.world.faults.climate.fair and self._calm()):
            return
        since, until = self._missed_worth
        agent_id = self.world.agent_of(next(iter(self._holders())))
        if self.world.is_unknown(agent_id) or until - self.world.served_from(since, until) <= ENOUGH:
            return
        told = self.world.checks.was_told(self._notice_id(agent_id, NoticeKind.CALLBACK_MISSED), agent_id)
        self.world.require(told, "a missed callback is told", self.number, self._about)


def _ends(process: "Process", end: End) -> None:
    try:
        process.end(end)
    except Malformed:
        return
