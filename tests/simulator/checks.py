"""The invariants: looked at after every transaction, in probes at the edges of time, and at the end of a world."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from shared.adapters.agent_table import AgentTable
from shared.adapters.table import Delete, Insert, Put, Replace, Write
from shared.deadlines import Deadline
from shared.domain.emergencies import MAX_LEGS, Emergency, Leg, Thread
from shared.domain.emergency_numbers import Placeable
from shared.domain.ids import derived
from shared.domain.leases import Lease
from shared.domain.notifications import Notice, NoticeKind
from shared.domain.panels import Banner, Mode
from shared.domain.presence import PEOPLE, PresenceStatus
from shared.ports import Email, Holder
from shared.use_cases.answer_callback import answer_callback
from shared.use_cases.route_callback import Incoming
from shared.use_cases.show_panel import show_panel
from shared.use_cases.show_presence import show_presence
from tests.fakes.house import DEFAULT_CONTACT, DESK, EVENTS_URL, FALLBACK, PLENTY, office
from tests.fakes.switchboard import RedirectsOnly
from tests.simulator.clockwork import microseconds
from tests.simulator.lending_order import LendingOrder
from tests.simulator.oracle import FAR_FUTURE, Verdict, judge, moments, thread_is_over
from tests.simulator.strangers import THIEVES, is_stranger

if TYPE_CHECKING:
    from tests.simulator.processes import Process
    from tests.simulator.responders import Responder
    from tests.simulator.world import World

MICROSECOND = timedelta(microseconds=1)
ENOUGH = timedelta(minutes=40)
# Every five minutes for most of an hour.
REFUSED_OFTEN = 10
# A process tries every 30 s at least, and each try may fail.
NOTED_WITHIN = timedelta(minutes=5)
# The timer runs every minute, and its run takes a moment.
EXPIRED_WITHIN, EXPIRED_EACH_WITHIN = timedelta(seconds=75), timedelta(seconds=0.1)
# Looked at every 30 s at least, set within 15 s of the look; effects may begin 20 s late here.
HELD_AGAIN_WITHIN = timedelta(seconds=30 + 15 + 20)
# A lease that ends with its last leg leaves two minutes, which threads that get their turn late may use up.
OUTLASTS_LATE_THREADS = timedelta(minutes=5)
# The e-mail service refuses a sender for two minutes, or for some of them in a row; closing notices end with the lease.
LASTS_LONGER_THAN_A_REFUSAL = timedelta(minutes=20)
# A crowd whose messages take the sender's quota for minutes; a closing notice that waits for it ends with the lease.
LASTS_LONGER_THAN_A_CROWD = timedelta(minutes=20)
# From the count of a message to its acceptance: the thread that sends it may get its turn 20 s late here.
MAX_SENDING_S = 25
# A message that was on its way when the agent called again.
ON_ITS_WAY = timedelta(seconds=60)
LEFT_IN_THE_END = {"pool", "free", "number"}


class Place(StrEnum):
    """Whose business an agent's presence is."""

    OURS = "ours"
    THEIRS = "theirs"
    UNCERTAIN = "uncertain"


class Recorded(Struct):
    """A leg that the store knows: since when, how many recipients it owed a notice, and until when that is worth it."""

    agent_id: str
    at: datetime
    notified: int
    worth_until: datetime


# An agent, somebody who was told of their calls, and whether those are tests.
type Hearer = tuple[str, str, bool]


# A write that owes a notice, and that notice.
type Owed = tuple[Insert | Put | Replace, Notice]


class Expected(Struct, frozen=True, kw_only=True):
    """A notice that has a cause: whose call it is of, and who called back.

    `opens`: that what it tells of is over is told after it; `closing`: it tells that. `test`: of the test number's
    thread, which has an end of its own.
    """

    agent_id: str
    responder: "Responder | None" = None
    opens: bool = False
    closing: bool = False
    thread: str = ""
    test: bool = False


class Instant(RedirectsOnly):
    """Call control that connects everybody at once, for probes."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        self.reached.append(target)


class Checks:
    """What is true of one world, kept beside the stores, and compared with them."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.emergencies: dict[str, Emergency] = {}
        self.holders: dict[str, set[str]] = {}
        self.real: dict[str, Emergency] = {}
        self.legs: dict[str, Recorded] = {}
        # Where each call was dialled of which it is certain when that was, by leg id.
        self.places: dict[str, str] = {}
        self.order = LendingOrder(world)
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.incidents: Counter[str] = Counter()
        # By minute: the messages that were sent, and those that a process may send without counting for all.
        self.sent: Counter[datetime] = Counter()
        self.sent_alone: Counter[datetime] = Counter()
        self.expected: dict[str, Expected] = {}
        # When an accepted message told somebody of an agent's call, and that it is over, each for the last time; and
        # the last that is to be followed by one which tells that. Of real calls and of tests each by itself.
        self.told: dict[Hearer, datetime] = {}
        self.told_over: dict[Hearer, datetime] = {}
        self.told_of: dict[Hearer, datetime] = {}
        self.unheard: set[Hearer] = set()
        # The notices of callbacks that are marked as a test's.
        self.marked: set[str] = set()
        self.refusals: Counter[str] = Counter()
        # Of which end a closing notice tells somebody, and by which one each was told of it.
        self.ends: dict[tuple[str, str], tuple[str, bool, str, str]] = {}
        self.closings: dict[tuple[str, bool, str, str], str] = {}
        # By which notices those callbacks are told that were missed beyond the ration.
        self.missed_later: dict[str, set[str]] = {}
        self._judged_last: tuple[Emergency, datetime, Verdict] | None = None
        # By which notices a message told of anything.
        self.told_by: set[str] = set()
        self.probes = 0

    # After every transaction

    def committed(self, writes: Sequence[Write]) -> None:
        """A transaction of the emergencies' table was applied."""
        owed = _notices_in(writes)
        for write in writes:
            if write.key.startswith("agent|"):
                self._emergency_written(write, owed)
        self.order.committed(writes)
        self._what_is_held_is_not_free(writes)
        marked = [notice for _, notice in owed if notice.test]
        self._no_real_call_is_called_back(marked)
        self.marked |= {notice.notice_id for notice in marked}
        for notice in _later(owed):
            about = self._agent(self.emergencies[str(notice.agent_key)])
            self.expect_notice(notice.notice_id, about, opens=notice.kind is NoticeKind.CALL, test=notice.test)
            if notice.kind is NoticeKind.CALLBACK_MISSED:
                self.missed_later.setdefault(about, set()).add(notice.notice_id)

    def _emergency_written(self, write: Write, owed: Sequence[Owed]) -> None:
        key = write.key.removeprefix("agent|")
        before = self.emergencies.get(key)
        if isinstance(write, Delete):
            self._a_live_lease_stays(before, None)
            self._unindex(key, before)
            self.emergencies.pop(key, None)
            self.real.pop(key, None)
            return
        after = msgspec.json.decode(str(write.values["state"]), type=Emergency)
        self._a_live_lease_stays(before, after)
        self._unindex(key, before)
        self.emergencies[key] = after
        self._remember_real(write, after)
        if not self.world.story.deaf and (before is None or before.hold != after.hold):
            self.world.tell(self._agent(after), f"hold is now {after.hold}, due {after.presence_due_at}")
        self._index(key, after)
        self._over_when_it_is(after, owed)
        self._end_is_owed_as_soon_as_it_is_known(after)
        self._may_be_unheard(before, after)
        self._what_was_left_stays(before, after)
        if before is None or before.legs != after.legs:
            self._new_legs(before, after, owed)
            self._established_at_the_latest_dial(after)
            self._facts_were_reported(after)
            self._ends_only_get_earlier(before, after)
        if before is None or before.lease is None or after.lease is None or before.lease.epoch != after.lease.epoch:
            self._one_undeclared_holder(after)
            self.order.lent(before, after, self._agent(after))
        self._holder_row_agrees(key, after)
        self._expiry_is_true(key, after)
        self._probe_some_time(after)

    def _what_was_left_stays(self, before: Emergency | None, after: Emergency) -> None:
        """What a person made of a presence that was ours stays until the next leg (B5), in any order of ends (B7)."""
        if before is None or before.hold is None or not before.hold.left:
            return
        more = {leg.leg_id for leg in after.legs} - {leg.leg_id for leg in before.legs}
        kept = after.hold is not None and after.hold.left
        self.world.require(
            bool(more) or kept, "what was left to a person is held again only by a leg", after.hold, self._agent(after)
        )

    def _remember_real(self, write: Write, after: Emergency) -> None:
        """The emergency as it was when it last had a real call on the number that it has."""
        key, lease = after.agent_key, after.lease
        known = self.real.get(key)
        same = (
            known is not None and lease is not None and known.lease is not None and known.lease.number == lease.number
        )
        if lease is None or lease.lost or not same or isinstance(write, Insert):
            self.real.pop(key, None)
        if lease is not None and not lease.lost and not after.drill and not all(leg.test for leg in after.legs):
            self.real[key] = after

    def _no_real_call_is_called_back(self, marked: Sequence[Notice]) -> None:
        """Until a real call's cool-down is over its responders may call back: that is never told as a test's (S3)."""
        for notice in marked:
            real = self.real.get(str(notice.agent_key))
            called_back = notice.kind in (NoticeKind.CALLBACK_MISSED, NoticeKind.CALLBACK_RECEIVED)
            if not called_back or real is None or notice.notice_id in self.marked:
                continue
            # What is passed on later than the next call tells of the callback before that, whatever a clock says.
            known = [self.legs[leg.leg_id].at for leg in real.legs if not leg.test and leg.leg_id in self.legs]
            if any(at <= notice.dialled_at for at in known):
                over = self._judged(real).released_at <= notice.dialled_at
                self.world.require(over, "no real call's callback is told as a test's", notice, self._agent(real))

    def _what_is_held_is_not_free(self, writes: Sequence[Write]) -> None:
        """Whoever is lent a free number is told that it is theirs alone (B2)."""
        written = (self.emergencies.get(each.key.removeprefix("agent|")) for each in writes)
        numbers = {each.lease.number for each in written if each is not None and each.lease is not None}
        numbers |= {f"+{each.key.split('|')[3]}" for each in writes if each.key.startswith("free|")}
        for number in numbers:
            held_by = self.holders.get(number, set())
            self.world.require(
                not held_by or not self.order.is_free(number), "a number that somebody holds is not free", number
            )

    def _may_be_unheard(self, before: Emergency | None, after: Emergency) -> None:
        """A closing notice that the sender's quota keeps waiting has until the lease is gone, and no longer."""
        assert after.lease is not None
        left = after.lease.ends_at(self.world.rules) - self.world.clock.now()
        if self.world.sender_quota is PLENTY or left >= LASTS_LONGER_THAN_A_CROWD:
            return
        threads = {False: after.thread, True: after.test_thread}
        known = {False: before.thread, True: before.test_thread} if before is not None else {}
        for test, thread in threads.items():
            if thread is not None and thread.closed and thread != known.get(test):
                self.unheard |= {(self._agent(after), recipient, test) for recipient in thread.closed_for}

    def _a_live_lease_stays(self, before: Emergency | None, after: Emergency | None) -> None:
        if before is None or before.lease is None or before.lease.lost:
            return
        kept = after.lease if after is not None else None
        if kept is None or kept.lost or kept.number != before.lease.number:
            ended = not self._judged(before).lease_lives
            self.world.require(ended, "a live lease never moves", before.lease.number, self._agent(before))

    def _agent(self, emergency: Emergency) -> str:
        return self.world.whose(emergency)

    def _judged(self, emergency: Emergency) -> Verdict:
        """What follows from its facts now; the checks of one transaction ask it of the same facts again and again."""
        now, last = self.world.clock.now(), self._judged_last
        if last is None or last[0] is not emergency or last[1] != now:
            self._judged_last = last = emergency, now, judge(emergency, self.world.rules, now)
        return last[2]

    def _unindex(self, key: str, emergency: Emergency | None) -> None:
        if emergency is not None and emergency.lease is not None:
            self.holders.get(emergency.lease.number, set()).discard(key)

    def _index(self, key: str, emergency: Emergency) -> None:
        if emergency.lease is not None and not emergency.lease.lost:
            self.holders.setdefault(emergency.lease.number, set()).add(key)

    def _new_legs(self, before: Emergency | None, after: Emergency, owed: Sequence[Owed]) -> None:
        known = {leg.leg_id for leg in before.legs} if before is not None else set()
        for leg in after.legs:
            if leg.leg_id not in known:
                self._leg_recorded(after, leg, owed)

    def _leg_recorded(self, emergency: Emergency, leg: Leg, owed: Sequence[Owed]) -> None:
        now, about = self.world.clock.now(), self._agent(emergency)
        self.world.tell(about, f"leg {leg.leg_id[:8]} recorded, number {leg.number} shared={leg.shared}")
        if leg.callback is not None:
            joined = self.world.control.has_joined(leg.callback, about)
            self.world.require(joined, "a callback's leg is somebody's answer", leg, about)
            return
        self.world.require(leg.dialled_at <= now, "no call is dialled in the future", leg.dialled_at, about)
        own = f"|notice|{derived(leg.leg_id, 'notice')}"
        notices = [write for write, _ in owed if isinstance(write, Insert) and write.key.endswith(own)]
        later = [each for each in _later(owed) if each.kind is NoticeKind.CALL]
        told = bool(notices or later)
        self.world.require(told == (leg.notified > 0), "every leg owes its notice in its own transaction", own, about)
        self.world.require(leg.leg_id not in self.legs, "a call is one leg", leg.leg_id, about)
        if not self.world.is_unknown(about):
            self.world.require(
                leg.notified == 2, "every leg of a known agent notifies their contacts", leg.notified, about
            )
        for responder in self.world.responders_on[leg.number]:
            responder.a_holder_came()
        worth_until = leg.dialled_at + timedelta(minutes=self.world.rules.window_minutes)
        self.legs[leg.leg_id] = Recorded(about, now, 0 if later else leg.notified, worth_until)

    def _established_at_the_latest_dial(self, emergency: Emergency) -> None:
        """Where the caller is, is where they dialled last, in whatever order their dials came (B7, B12)."""
        dialled = [leg for leg in emergency.legs if leg.callback is None]
        # Of a wrong clock, or of more legs than are kept, nobody can say which dial was the last.
        if len(emergency.legs) >= MAX_LEGS or any(leg.leg_id not in self.places for leg in dialled):
            return
        latest = max(dialled, key=lambda leg: leg.dialled_at, default=None)
        if latest is not None:
            told = emergency.situation.told.address if emergency.situation is not None else None
            right = self.places[latest.leg_id]
            self.world.require(
                told == right, "what was established is of the latest dial", (told, right), self._agent(emergency)
            )

    def _over_when_it_is(self, emergency: Emergency, owed: Sequence[Owed]) -> None:
        """Who was told, and nobody else, is told that it is over; never while it is not (B6).

        A real call and a test are two threads: each has its own end, its own times and its own hearers.
        """
        about = self._agent(emergency)
        for notice in [each for _, each in owed if each.kind is NoticeKind.CLOSING]:
            verdict, test = self._judged(emergency), notice.test
            over = thread_is_over(emergency, verdict, self.world.rules, self.world.clock.now(), test=test)
            self.world.require(over, "nobody is told that it is over while it is not", notice, about)
            own = [leg for leg in emergency.legs if leg.test == test]
            self._bears_own_times(notice, own, verdict, about)
            thread = emergency.test_thread if test else emergency.thread
            assert thread is not None
            for recipient in notice.recipients:
                was_told = (about, recipient, test) in self.told
                self.world.require(was_told, "only who was told is told that it is over", notice, about)
                # Whoever was told in an outage, and of the end, is told once more of both by the notice that waited.
                again = recipient in thread.deferred.get(thread.opened_by, ())
                which = (thread.opened_by, again, own[-1].leg_id if own else "", recipient)
                self.ends[notice.notice_id, recipient] = which
            self.expected[notice.notice_id] = Expected(agent_id=about, closing=True, test=test, thread=notice.thread)

    def _end_is_owed_as_soon_as_it_is_known(self, emergency: Emergency) -> None:
        """Where each call of a thread was reported to be over and nothing is held for it, whatever else goes on."""
        verdict = self._judged(emergency)
        for test, thread in ((False, emergency.thread), (True, emergency.test_thread)):
            own = [leg for leg in emergency.legs if leg.test == test]
            if thread is None or not own or thread.closed or thread.close_at is not None:
                continue
            # As of then neither a hold nor the lease is over: what is over was reported to be, or given back after it.
            then, as_of_then = min(leg.dialled_at for leg in own), structs.replace(verdict, lease_lives=True)
            over = thread_is_over(emergency, as_of_then, self.world.rules, then, test=test)
            self.world.require(
                not over, "an end is owed as soon as it is known", (thread, test), self._agent(emergency)
            )

    def _bears_own_times(self, notice: Notice, own: Sequence[Leg], verdict: Verdict, about: str) -> None:
        """A call that is no longer kept has no times any more."""
        if own:
            ended_at = max(verdict.over[leg.leg_id].at for leg in own)
            began = any(leg.dialled_at == notice.dialled_at for leg in own)
            self.world.require(
                began and notice.ended_at == ended_at, "what is over is told with its own times", notice, about
            )

    def _facts_were_reported(self, emergency: Emergency) -> None:
        for leg in emergency.legs:
            if leg.left_at is not None:
                left = leg.callback is not None and self.world.control.has_left(leg.callback, self._agent(emergency))
                self.world.require(
                    left, "whoever talks in a callback is not taken for gone", leg, self._agent(emergency)
                )
            # A stranger who gives another's call id takes on the end that a machine reports of it.
            if leg.reported_end is None or is_stranger(self._agent(emergency)):
                continue
            said = self.world.ends_said.get(leg.leg_id, set())
            fits = any(at == leg.reported_end.at for at, _ in said)
            fits = fits and (not leg.reported_end.by_agent or any(by_agent for _, by_agent in said))
            self.world.require(fits, "an end is as it was reported", (leg.reported_end, said), self._agent(emergency))

    def _ends_only_get_earlier(self, before: Emergency | None, after: Emergency) -> None:
        known = {leg.leg_id: leg.reported_end for leg in before.legs} if before is not None else {}
        for leg in after.legs:
            old, new = known.get(leg.leg_id), leg.reported_end
            if old is not None and new is not old:
                kept = new is not None and new.at <= old.at and (new.by_agent or not old.by_agent)
                self.world.require(kept, "of several ends the earliest counts", (old, new), self._agent(after))

    def _one_undeclared_holder(self, emergency: Emergency) -> None:
        if emergency.lease is None or emergency.lease.lost:
            return
        keys = self.holders[emergency.lease.number]
        live = [e for e in (self.emergencies[key] for key in keys) if self._judged(e).lease_lives]
        undeclared = [e for e in live if e.lease is not None and not e.lease.shared]
        detail = [(self._agent(e), e.lease.shared, str(e.lease.lent_at)) for e in live if e.lease]
        self.world.require(len(undeclared) < 2, "one live holder unless shared", detail, self._agent(emergency))
        if len(live) > 1 and not emergency.lease.shared:
            others = [e.lease.lent_at for e in live if e is not emergency and e.lease is not None]
            late = any(at <= emergency.lease.lent_at for at in others)
            self.world.require(not late, "one live holder unless shared", detail, self._agent(emergency))

    def _holder_row_agrees(self, key: str, emergency: Emergency) -> None:
        lease = emergency.lease
        if lease is None or lease.lost:
            return
        row = self.world.table.get(f"number|{lease.number.removeprefix('+')}|{key}", self.world.endless).result()
        told = None if row is None else msgspec.json.decode(str(row.values["state"]), type=Holder).lease
        self.world.require(
            told == lease, "a number's row tells its holder's lease", (told, lease), self._agent(emergency)
        )

    def _expiry_is_true(self, key: str, emergency: Emergency) -> None:
        lease, verdict = emergency.lease, self._judged(emergency)
        if lease is None or lease.lost:
            return
        if lease.expired_at is not None:
            over = not verdict.lease_lives and lease.expired_at == verdict.lease_ends_at
            self.world.require(
                over, "a lease that is written as expired is over", (lease, verdict), self._agent(emergency)
            )
        elif self.world.faults.climate.fair and verdict.lease_ends_at < FAR_FUTURE:
            # An end that is told late ends the lease in the past: the timer has its minute from then on.
            since, ends_at = max(verdict.lease_ends_at, self.world.clock.now()), verdict.lease_ends_at
            self.world.clock.call_at(
                microseconds(since + EXPIRED_WITHIN), lambda: self._is_expired(key, lease, ends_at, since)
            )

    def _is_expired(self, key: str, lease: Lease, ends_at: datetime, since: datetime) -> None:
        emergency, now = self.emergencies.get(key), self.world.clock.now()
        kept = emergency.lease if emergency is not None else None
        if emergency is None or kept is None or kept.epoch != lease.epoch or kept.lost:
            return
        # After a pause the timer has all that came due meanwhile before it.
        behind = EXPIRED_WITHIN + len(self.world.people) * EXPIRED_EACH_WITHIN
        served = self.world.served_from(since - behind, now) + behind - EXPIRED_WITHIN <= since
        if served and self._judged(emergency).lease_ends_at == ends_at:
            self.world.require(
                kept.expired_at == ends_at,
                "the timer expires the number within a minute",
                kept,
                self._agent(emergency),
            )

    def place_of_presence(self, agent_id: str) -> Place:
        """Whose business the agent's presence is now."""
        emergency = self.emergencies.get(self.world.key_of(agent_id))
        hold = emergency.hold if emergency is not None else None
        mark_of = self.world.presence.read(agent_id, self.world.endless).hold_id
        if emergency is None or hold is None or hold.settled:
            # Held in an outage, and not recorded yet.
            return Place.UNCERTAIN if mark_of is not None else Place.THEIRS
        held = self._judged(emergency).held_until is not None
        # What the mark of an outage has found is known to no hold yet.
        return Place.OURS if mark_of == hold.hold_id and held and hold.touched else Place.UNCERTAIN

    def expect_do_not_disturb_again(self, agent_id: str) -> None:
        """What the service changed by itself is undone soon, while the emergency goes on (S2)."""
        since, world = self.world.clock.now(), self.world
        emergency = self.emergencies.get(world.key_of(agent_id))
        hold = emergency.hold if emergency is not None else None
        if hold is not None and world.faults.climate.fair:
            look = partial(self._is_held_again, agent_id, hold.hold_id, since)
            world.clock.call_at(microseconds(since + HELD_AGAIN_WITHIN), look)

    def _is_held_again(self, agent_id: str, hold_id: str, since: datetime) -> None:
        emergency, now = self.emergencies.get(self.world.key_of(agent_id)), self.world.clock.now()
        shown = self.world.presence.read(agent_id, self.world.endless)
        if emergency is None or emergency.hold is None or shown.changed_by in PEOPLE:
            return
        if emergency.hold.hold_id != hold_id:
            # That hold has ended, and another has just begun.
            return
        if shown.since is not None and shown.since > since and shown.hold_id is None:
            # The service has changed it once more: that has a look of its own.
            return
        until = self._judged(emergency).held_until
        served = self.world.served_from(since, now) == since
        if served and not emergency.hold.settled and until is not None and now < until:
            again = shown.status is PresenceStatus.DO_NOT_DISTURB
            self.world.require(again, "do not disturb is set again", (shown, emergency.hold), agent_id)

    # Probes: what a caller would see at a moment, above all on both sides of an edge

    def _probe_some_time(self, emergency: Emergency) -> None:
        chance = self.world.probe_chance
        if chance.random() >= 0.25:
            return
        edges = moments(emergency, self.world.rules, self.world.clock.now())
        if not edges:
            return
        when = chance.choice(edges) + chance.choice((-1, 0, 0, 1)) * MICROSECOND
        agent_id, key = self._agent(emergency), emergency.agent_key
        self.world.clock.call_at(microseconds(when), lambda: self.probe(agent_id, key))

    def probe(self, agent_id: str, key: str) -> None:
        """The panel, the number's holders, and a callback, as they are at this very moment."""
        emergency = self.emergencies.get(key)
        if emergency is None or emergency.lease is None or self.world.breakage.excuses(agent_id):
            return
        self.probes += 1
        world, verdict = self.world, self._judged(emergency)
        panel, _ = show_panel(
            emergency.agent_id,
            emergency=emergency.live_id,
            caller=office(),
            emergencies=world.clear_sight,
            directory=AgentTable(world.directory_table, world.clock),
            outage=world.nobody_remembers,
            clock=world.clock,
            deployment=world.deployment,
            deadline=world.endless,
        )
        rings = any(each.until > world.clock.now() for each in emergency.ringing)
        in_progress = Mode.EMERGENCY if verdict.running else Mode.NORMAL
        right = Mode.RINGING if rings else in_progress
        self.world.require(panel.mode is right, "the panel shows what is in progress", (panel.mode, right), agent_id)
        if verdict.running:
            offered = (["answer"] if rings else []) + ["device_settings", "end_call"]
            self.world.require(
                list(panel.controls) == offered, "End call stays while a leg is in progress", panel, agent_id
            )
        held = verdict.held_until is not None and not verdict.running and not rings
        # Who is where no call can be placed is told that instead of calling again.
        cannot = panel.banner is Banner.CANNOT_BE_PLACED and panel.mode is Mode.NORMAL
        told = cannot if panel.placeable is Placeable.NO else panel.banner is Banner.HELD_AFTER_DROP
        self.world.require(
            told == held, "presence is held after a drop, for its time", (panel.banner, verdict), agent_id
        )
        if not emergency.lease.lost:
            number = emergency.lease.number
            said = panel.callback_number == number
            self.world.require(
                said == verdict.lease_lives, "the panel shows the number while the lease lives", verdict, agent_id
            )
            self._probe_callback(number, agent_id)

    def _probe_callback(self, number: str, agent_id: str) -> None:
        calls, world = Instant(), self.world
        # Asked and refused, so that it is sent on each time: it is always the same call.
        deployment = structs.replace(world.deployment, callback_events_url=EVENTS_URL)
        answer_callback(
            Incoming(to_number=number, context="probe", origin="probe"),
            emergencies=world.clear_sight,
            numbers=world.clear_numbers,
            router=calls,
            clock=world.clock,
            deployment=deployment,
            telemetry=world.nobody_listens,
            pause=lambda _seconds: None,
            deadline=world.endless,
        )
        self.world.require(len(calls.reached) == 1, "a callback reaches one", calls.reached, agent_id)
        right = self.right_targets(number)
        self.world.require(calls.reached[0] in right, "a callback reaches its holder", (calls.reached, right), agent_id)

    def right_targets(self, number: str) -> set[str]:
        """Who may be rung for a callback to this number now: live holders, else the last one, else the desk."""
        agents = self.right_agents(number)
        # An identity that the directory gives to somebody is nobody else's, whatever a thief says.
        return {self.world.identity(each) for each in agents if not each.startswith(THIEVES)} or {DESK, FALLBACK}

    def keepers(self, number: str) -> set[str]:
        """Whoever holds or held it and is still kept: where one's row cannot be read, it is as if it were not there."""
        return {self.world.identity(self._agent(self.emergencies[key])) for key in self.holders.get(number, ())}

    def right_agents(self, number: str) -> set[str]:
        """Whose emergency a callback to this number belongs to now: the live holders', else the last one's."""
        found = [self.emergencies[key] for key in self.holders.get(number, ())]
        judged = [(emergency, self._judged(emergency)) for emergency in found]
        live = [emergency for emergency, verdict in judged if verdict.lease_lives]
        if live:
            return {self._agent(emergency) for emergency in live}
        resting = {self._agent(emergency): verdict.lease_ends_at for emergency, verdict in judged if verdict.rests}
        last = max(resting.values(), default=None)
        return {agent for agent, ends_at in resting.items() if ends_at == last}

    # Mail

    def mail_accepted(self, email: Email) -> None:
        """The e-mail service took a message; its subject names the notices that it tells."""
        self._within_quota()
        for notice_id in email.subject.split(";"):
            self._notice_accepted(notice_id, email.recipients)

    def _within_quota(self) -> None:
        """No minute has more messages than the sender may send (B6)."""
        now = self.world.clock.now()
        # One that was taken of the quota at the end of a minute comes at the beginning of the next.
        if not self.world.faults.climate.fair or now.second < MAX_SENDING_S:
            return
        minute = _minute_of(now)
        self.sent[minute] += 1
        most = self.world.sender_quota.per_minute + self.sent_alone[minute]
        self.world.require(self.sent[minute] <= most, "the sender's quota is kept", (minute, self.sent[minute], most))

    def mailed_in_outage(self, notice_id: str) -> None:
        """A dial that the store could not serve is mailed, though it be for its own row's sake: each process counts."""
        self.sent_alone[_minute_of(self.world.clock.now())] += 1
        # It is owed as well, once the store has it.
        self.delivery_failed(notice_id)

    def expect_noted(self, process: "Process", notice: Notice, reached: Sequence[str]) -> None:
        """The process that mailed in an outage notes whom it reached with the emergency, whoever records that (B6)."""
        now = self.world.clock.now()
        if reached and not process.dead and now < notice.give_up_at:
            look = partial(self._are_noted, process, notice, reached)
            self.world.clock.call_at(microseconds(now + NOTED_WITHIN), look)

    def _are_noted(self, process: "Process", notice: Notice, reached: Sequence[str]) -> None:
        now = self.world.clock.now()
        since, found = now - NOTED_WITHIN, self._leg_of(notice)
        thread = _thread_of(found, notice) if found is not None else None
        if found is None or thread is None or process.dead or self.world.served_from(since, now) > since:
            self.expect_noted(process, notice, reached)
            return
        missing = {*reached} - {*thread.told}
        self.world.require(
            not missing, "whom a mail of an outage reached is noted", (missing, thread), self._agent(found)
        )

    def _leg_of(self, notice: Notice) -> Emergency | None:
        """The emergency with the leg that the notice tells of, where that was recorded long enough ago."""
        since = self.world.clock.now() - NOTED_WITHIN
        for emergency in self.emergencies.values():
            for leg in emergency.legs:
                known = self.legs.get(leg.leg_id)
                if known is not None and known.at <= since and derived(leg.leg_id, "notice") == notice.notice_id:
                    return emergency
        return None

    def _notice_accepted(self, notice_id: str, recipients: Sequence[str]) -> None:
        self.world.require(notice_id in self.expected, "no notice without a cause", notice_id)
        cause = self.expected[notice_id]
        told = "the closing notice" if cause.closing else f"notice {notice_id[:8]}"
        self.world.tell(cause.agent_id, f"{told} is accepted, to {', '.join(recipients)}")
        if cause.closing:
            self._does_not_go_on(cause)
        if cause.responder is not None:
            cause.responder.is_told_of(notice_id)
        if recipients:
            self.told_by.add(notice_id)
        for recipient in recipients:
            self.accepted[notice_id, recipient] += 1
            now, whose = self.world.clock.now(), (cause.agent_id, recipient, cause.test or notice_id in self.marked)
            (self.told_over if cause.closing else self.told)[whose] = now
            if cause.closing:
                self._is_told_once(notice_id, recipient, cause.agent_id)
            if cause.opens or self._answered(cause):
                self.told_of[whose] = now

    def _is_told_once(self, notice_id: str, recipient: str, about: str) -> None:
        """One that was withdrawn in time told nobody; of one that something befell nobody knows."""
        before = self.closings.setdefault(self.ends[notice_id, recipient], notice_id)
        once = before == notice_id or self.incidents[before] > 0
        self.world.require(once, "nobody is told twice that it is over", (before, notice_id, recipient), about)

    def _does_not_go_on(self, cause: Expected) -> None:
        """Whoever hears so late that a call is over does not hear it in the next one."""
        emergency = self.emergencies.get(self.world.key_of(cause.agent_id))
        if emergency is None or emergency.lease is None or emergency.lease.thread != cause.thread:
            return
        running, since = self._judged(emergency).running, self.world.clock.now() - ON_ITS_WAY
        own = [leg for leg in emergency.legs if leg.test == cause.test]
        going_on = [leg for leg in own if leg.leg_id in running]
        # A leg that has just come may make one before it go on again.
        came = [self.legs[leg.leg_id].at if leg.leg_id in self.legs else leg.dialled_at for leg in own]
        told_in_time = not going_on or max(came, default=since) >= since
        self.world.require(told_in_time, "nobody hears that it is over while it is not", going_on, cause.agent_id)

    def goes_on(self, email: Email) -> None:
        """The e-mail service refused a recipient: the default contacts may be told what it tells, but not of an end."""
        for notice_id in email.subject.split(";"):
            cause = self.expected.get(notice_id)
            if cause is not None and not cause.closing:
                self.expected[derived(notice_id, "passed on")] = cause

    def mail_refused(self, email: Email) -> None:
        """The e-mail service took it for nobody: a closing notice whose lease ends soon may have no time left."""
        self.goes_on(email)
        self.refusals.update(email.subject.split(";"))
        for cause in filter(None, map(self.expected.get, email.subject.split(";"))):
            self.world.tell(cause.agent_id, f"mail is refused, to {', '.join(email.recipients)}")
            released_at = self.released_at(self.world.key_of(cause.agent_id))
            at_most = released_at - self.world.rules.cool_down - self.world.clock.now() if released_at else None
            if cause.closing and (at_most is None or at_most < LASTS_LONGER_THAN_A_REFUSAL):
                self.unheard |= {(cause.agent_id, recipient, cause.test) for recipient in email.recipients}

    def _answered(self, cause: Expected) -> bool:
        """Whether the agent themselves answered the callback that it tells of."""
        emergency = self.emergencies.get(self.world.key_of(cause.agent_id))
        callbacks = {leg.callback for leg in emergency.legs} if emergency is not None else set()
        return cause.responder is not None and cause.responder.callback_id in callbacks

    def expect_notice(
        self,
        notice_id: str,
        agent_id: str,
        responder: "Responder | None" = None,
        *,
        opens: bool = False,
        test: bool = False,
    ) -> None:
        """This notice has a cause: a dial, or a responder's callback."""
        self.expected[notice_id] = Expected(agent_id=agent_id, responder=responder, opens=opens, test=test)

    def was_told(self, notice_id: str, agent_id: str) -> bool:
        """Whether anybody received it, or the agent's one for all that are beyond the ration."""
        notices = {notice_id} | self.missed_later.get(agent_id, set())
        return not notices.isdisjoint(self.told_by)

    def released_at(self, agent_key: str) -> datetime | None:
        """When this agent's emergency is to be forgotten, as things stand."""
        emergency = self.emergencies.get(agent_key)
        return None if emergency is None or emergency.lease is None else self._judged(emergency).released_at

    def callback_legs(self, agent_key: str, callback_id: str) -> list[Leg] | None:
        """This callback's legs in progress in this agent's emergency; None without an emergency."""
        emergency = self.emergencies.get(agent_key)
        if emergency is None:
            return None
        running = self._judged(emergency).running
        return [leg for leg in emergency.legs if leg.callback == callback_id and leg.leg_id in running]

    def goes_on_whatever_else_ended(self, agent_id: str, leg_id: str, misdated: Collection[str]) -> None:
        """A call that nobody ended yet is in progress, though another one of this agent has ended.

        Beside one of which a wrong clock says when it was dialled, nobody can tell which call is which.
        """
        emergency = self.emergencies.get(self.world.key_of(agent_id))
        if emergency is None or any(leg.leg_id in misdated for leg in emergency.legs):
            return
        over = {leg: end for leg in emergency.legs if (end := self._judged(emergency).over.get(leg.leg_id))}
        ended = [leg for leg in over if leg.leg_id == leg_id and leg.reported_end is None and leg.left_at is None]
        lasting = [leg for leg in ended if self.world.clock.now() < leg.dialled_at + self.world.rules.max_call]
        self.world.require(not lasting, "another call's end ends no leg", lasting, agent_id)

    def delivery_failed(self, notice_id: str) -> None:
        """A crash or a lost answer hit this delivery: it may come once more."""
        self.incidents[notice_id] += 1

    # The end

    def at_the_end(self) -> None:
        """All calls are long over: nothing is left, everybody was reached and notified, presence is back."""
        for responder in self.world.responders:
            responder.at_the_end()
        self._notices_came()
        self._nothing_is_left()
        self._presence_is_back()

    def _notices_came(self) -> None:
        for (notice_id, recipient), count in self.accepted.items():
            allowed = 1 + self.incidents[notice_id]
            self.world.require(
                count <= allowed, "no mail comes twice without a cause", (notice_id, recipient, count, allowed)
            )
        for leg_id, leg in self.legs.items():
            if leg.notified and leg.worth_until - self.world.served_from(leg.at, leg.worth_until) > ENOUGH:
                for contact in self.world.contacts(leg.agent_id):
                    came = (derived(leg_id, "notice"), contact) in self.accepted
                    # A sender who is refused until the lease is over has told nobody.
                    came = came or self.refusals[derived(leg_id, "notice")] >= REFUSED_OFTEN
                    # What an address refuses is a bounce.
                    came = came or (self.world.refuses(contact) and self._was_ever_told(leg.agent_id, DEFAULT_CONTACT))
                    self.world.require(came, "every leg's notice arrives", leg, leg.agent_id)
        self._told_that_it_is_over()

    def _was_ever_told(self, agent_id: str, contact: str) -> bool:
        return any((agent_id, contact, test) in self.told for test in (False, True))

    def _told_that_it_is_over(self) -> None:
        if not (self.world.deployment.closing_notices and self.world.faults.climate.fair):
            return
        if self.world.rules.after_call < OUTLASTS_LATE_THREADS:
            return
        for hearer, at in self.told_of.items():
            agent_id, contact, test = hearer
            over_at = self.told_over.get(hearer)
            told = (over_at is not None and over_at >= at) or hearer in self.unheard
            detail = (contact, at, over_at, test)
            self.world.require(told, "whoever was told is told that it is over", detail, agent_id)

    def _nothing_is_left(self) -> None:
        keys = self.world.table.keys()
        left = [key for key in keys if key.split("|")[0] not in LEFT_IN_THE_END]
        self.world.require(not left, "nothing is left in the end", left[:5], self._whose(left))
        pool = sorted(number.removeprefix("+") for number in self.world.deployment.callback_numbers)
        free = sorted(key.split("|")[3] for key in keys if key.startswith("free|"))
        slots = sorted(key.split("|", 1)[1] for key in keys if key.startswith("number|"))
        self.world.require(free == pool, "all numbers are free in the end", set(free) ^ set(pool))
        self.world.require(slots == [f"{number}|" for number in pool], "only the pool has slots in the end", slots)

    def _whose(self, keys: Sequence[str]) -> str | None:
        return next((self.world.agent_with_key.get(key.rsplit("|", 1)[1]) for key in keys), None)

    def _presence_is_back(self) -> None:
        for agent_id, chosen in self.world.chosen.items():
            # As the agent's own desktop asks for it.
            presence = show_presence(
                agent_id,
                emergencies=self.world.clear_sight,
                presence=self.world.presence,
                outage=self.world.nobody_remembers,
                clock=self.world.clock,
                deadline=self.world.endless,
            )
            detail = (presence, chosen)
            self.world.require(presence.hold_id is None, "presence is ours no more in the end", detail, agent_id)
            self.world.require(presence.status is chosen, "presence ends where people left it", detail, agent_id)


def _notices_in(writes: Sequence[Write]) -> list[Owed]:
    """The notices that a transaction owes."""
    rows = [each for each in writes if each.key.startswith("outbox|") and not isinstance(each, Delete)]
    owed = [each for each in rows if "|notice|" in each.key]
    return [(each, msgspec.json.decode(str(each.values["state"]), type=Notice)) for each in owed]


def _later(owed: Sequence[Owed]) -> list[Notice]:
    """Those of them that are beyond a ration: each is owed in place of the one before it, for all of them."""
    return [notice for write, notice in owed if isinstance(write, Put)]


def _thread_of(emergency: Emergency, notice: Notice) -> Thread | None:
    return emergency.test_thread if notice.test else emergency.thread


def _minute_of(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)
