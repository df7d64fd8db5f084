"""The lease, presence and notice rules as a state machine (B2, B3, B5, B6), and any-order convergence (B7).

Everything happens on the whole core in memory. After every step, what can be seen is compared with what
`tests.simulator.oracle` concludes from the stored facts, and the facts with what was reported.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.adapters.table import RowConflict, Write
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergencies import FIRST_TRY_WITHIN, Emergency
from shared.domain.errors import NotFound, Unavailable
from shared.domain.ids import derived, key_of, leg_id_of
from shared.domain.leases import Rules
from shared.domain.panels import Mode
from shared.domain.pool import MAX_NOTICES_A_WINDOW, ration_window
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.ports import Email, PresenceGateway
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice, Effect
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from shared.use_cases.set_presence import set_presence
from tests.fakes.house import DAWN, DESK, House, after, key_unlisted, numbers
from tests.fakes.memory_table import MemoryTable
from tests.simulator.oracle import judge, moments

RULES = Rules()
NUMBERS = numbers(5)
KNOWN = ("agent-ana", "agent-ben", "agent-cho")
STRANGER = "agent-eve"
AGENTS = (*KNOWN, STRANGER)
STATUSES = tuple(PresenceStatus)
LEFT_IN_THE_END = {"pool", "free", "number"}
PROFILE = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    # Shrinking takes minutes here: a failure is printed as it was found.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def identity(agent_id: str) -> str:
    return f"8:acs:00000000-0000-0000-0000-000000000001_{agent_id}"


def directory_entry(agent_id: str) -> Agent:
    contacts = (f"{agent_id}-one@example.com", f"{agent_id}-two@example.com")
    return Agent(agent_id=agent_id, acs_user_ids=(identity(agent_id),), country="US", emergency_contacts=contacts)


def key_reported(agent_id: str) -> str:
    """The key of an agent's emergency, as a machine reports it."""
    return key_unlisted(agent_id) if agent_id == STRANGER else key_of(agent_id)


class Call:
    """One call of an agent, as it truly is: reports of it come in any order, any number of times."""

    def __init__(self, agent_id: str, number: int, dialled_at: datetime) -> None:
        self.agent_id = agent_id
        self.call_id = f"{agent_id}/{number}"
        self.server_call_id = f"server of {self.call_id}"
        self.dialled_at = dialled_at
        self.ended_at: datetime | None = None
        self.started = False
        self.reported_at: datetime | None = None
        self.answer: Answer | None = None
        self.worth_until: datetime | None = None

    def __repr__(self) -> str:
        return self.call_id

    @property
    def leg_id(self) -> str:
        return leg_id_of(key_reported(self.agent_id), self.call_id)

    def dial(self) -> Dial:
        return Dial(
            call_id=self.call_id,
            agent_id=self.agent_id,
            dialled="911",
            dialled_at=self.dialled_at,
            acs_user_id=identity(self.agent_id),
        )

    def end(self, now: datetime, *, by_agent: bool) -> End:
        self.ended_at = self.ended_at or now
        return End(call_id=self.call_id, by_agent=by_agent, at=self.ended_at)

    def server_started(self) -> ServerCall:
        at = self.dialled_at + after(seconds=1)
        return ServerCall(server_call_id=self.server_call_id, starter=identity(self.agent_id), at=at, ended=False)

    def server_ended(self, now: datetime, ended_by: str | None, *, with_duration: bool) -> ServerCall:
        self.ended_at = self.ended_at or now
        started_at = self.dialled_at + after(seconds=1)
        return ServerCall(
            server_call_id=self.server_call_id,
            starter=identity(self.agent_id),
            at=self.ended_at,
            ended=True,
            duration=max(self.ended_at - started_at, timedelta(0)) if with_duration else None,
            ended_by=ended_by,
        )


class FiniteTable(MemoryTable):
    """A table that notices a use case which tries the same thing for ever (time stands still meanwhile)."""

    def __init__(self) -> None:
        super().__init__()
        self.conflicts = 0

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        try:
            versions = super().commit(writes, deadline)
        except RowConflict as conflict:
            self.conflicts += 1
            assert self.conflicts < 50, f"a conflict that never ends, on {writes[conflict.index]}"
            raise
        self.conflicts = 0
        return versions


class MoodyPresence:
    """A presence service that can be away, or answer an error after it has done what it was asked."""

    def __init__(self, service: PresenceGateway) -> None:
        self.service = service
        self.away = False
        self.answers_lost = 0

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        if self.away:
            raise Unavailable
        return self.service.read(agent_id, deadline)

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        if self.away:
            raise Unavailable
        written = self.service.write(agent_id, presence, deadline)
        if self.answers_lost > 0:
            self.answers_lost -= 1
            raise Unavailable
        return written

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> None:
        if self.away:
            raise Unavailable
        self.service.forget(agent_id, hold_id, deadline)

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        if self.away:
            raise Unavailable
        self.service.remove(agent_id, deadline)


class OwedEffect:
    """An effect that waits to be performed, since when."""

    def __init__(self, effect: Effect, since: datetime) -> None:
        self.effect = effect
        self.since = since


class EmergencyMachine(RuleBasedStateMachine):
    """Agents dial, events come as they like, effects get lost, and whatever must hold is looked at after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House(pool=NUMBERS[:2], table=FiniteTable())
        self.house.performs = False
        self.moody = MoodyPresence(self.house.presence)
        self.house.presence = self.moody  # type: ignore[assignment]
        self.mail_away = False
        self.mail_answers_lost = 0
        self.house.mail.fail = self._mail_fails
        self.calls: list[Call] = []
        self.effects: list[OwedEffect] = []
        self.chosen: dict[str, PresenceStatus] = {}
        self.last_seen: dict[str, Emergency] = {}
        self.repeats_of: dict[str, int] = {}

    # Set-up and steps that everything needs

    @initialize(unsynced=st.booleans())
    def open_the_house(self, unsynced: bool) -> None:
        for agent_id in KNOWN:
            self.house.add_agent(directory_entry(agent_id))
            self.change_presence(agent_id, PresenceStatus.AVAILABLE, "agent")
        if not unsynced:
            self.tick()

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    def _mail_fails(self, email: Email) -> None:
        if self.mail_away:
            raise Unavailable
        if self.mail_answers_lost:
            self.mail_answers_lost -= 1
            self._note_repeat(email.operation_id)
            self.house.mail.accepted.append(email)
            raise Unavailable

    def _note_repeat(self, operation_id: str) -> None:
        self.repeats_of[operation_id] = self.repeats_of.get(operation_id, 0) + 1

    def _take_in(self) -> None:
        self.effects += [OwedEffect(effect, self.now) for effect in self.house.owed]
        self.house.owed.clear()

    def _perform(self, owed: OwedEffect) -> None:
        self.house.performs = True
        self.house.perform(owed.effect)
        self.house.performs = False

    def stored(self, agent_id: str) -> Emergency | None:
        return self.house.emergency(agent_id)

    # What is reported, in any order and any number of times

    @rule(agent=st.sampled_from(AGENTS), ago_s=st.sampled_from([0, 0, 0, 2, 40, 3590]))
    def begin_a_call(self, agent: str, ago_s: int) -> None:
        self.calls.append(Call(agent, len(self.calls), self.now - after(seconds=ago_s)))

    @rule(agent=st.sampled_from(AGENTS))
    def dial(self, agent: str) -> None:
        self.calls.append(Call(agent, len(self.calls), self.now))
        self._report_start(self.calls[-1])

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def report_the_start(self, data: st.DataObject) -> None:
        self._report_start(self._any_call(data))

    def _report_start(self, call: Call) -> None:
        answer = self.house.dial_by_event(call.dial())
        self._take_in()
        stale = self.now - call.dialled_at > RULES.window
        assert answer.known == call.started or stale, "a known call is known, a new one is not"
        assert not answer.stale or stale
        if answer.stale:
            return
        if call.answer is not None:
            # Unless the number is theirs no more.
            same = answer.callback_number in (call.answer.callback_number, answer.panel.callback_number)
            assert same, "the same answer to a retry"
        # What the notice is worth is what was promised at the dial; later legs and ends promise more.
        call.worth_until = call.worth_until or answer.expires_at
        call.reported_at = call.reported_at or self.now
        call.started, call.answer = True, answer
        stored = self.stored(call.agent_id)
        assert stored is not None and any(leg.leg_id == call.leg_id for leg in stored.legs)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), by_agent=st.booleans())
    def report_the_end(self, data: st.DataObject, by_agent: bool) -> None:
        call = self._any_call(data)
        self.house.end(call.end(self.now, by_agent=by_agent))
        self._take_in()

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), of_another=st.booleans())
    def tie(self, data: st.DataObject, of_another: bool) -> None:
        call = self._any_call(data)
        server_call_id = self._any_call(data).server_call_id if of_another else call.server_call_id
        # An end that came once the emergency was forgotten is kept, and makes no call of it again.
        recorded = self.house.emergencies.calls(key_of(call.call_id), self.house.within())
        known = any(each.leg_id is not None for each in recorded)
        try:
            self.house.tie(call.call_id, server_call_id)
        except NotFound:
            assert not known or not call.started
        self._take_in()

    @precondition(lambda self: self.calls)
    @rule(
        data=st.data(),
        ended=st.booleans(),
        ended_by=st.sampled_from(["starter", "responder", None]),
        lasts=st.booleans(),
    )
    def acs_reports(self, data: st.DataObject, ended: bool, ended_by: str | None, lasts: bool) -> None:
        call = self._any_call(data)
        by = {"starter": identity(call.agent_id), "responder": "4:+12065550142", None: None}[ended_by]
        self.house.see(call.server_ended(self.now, by, with_duration=lasts) if ended else call.server_started())
        self._take_in()

    @rule(data=st.data(), ended=st.booleans())
    def acs_reports_a_foreign_call(self, data: st.DataObject, ended: bool) -> None:
        before = {agent: self.stored(agent) for agent in AGENTS}
        claimed = [call.server_call_id for call in self.calls]
        server_call_id = data.draw(st.sampled_from([*claimed, "server of nobody's"]))
        starter = identity("a customer's caller")
        self.house.see(
            ServerCall(server_call_id=server_call_id, starter=starter, at=self.now, ended=ended, ended_by=starter)
        )
        assert before == {agent: self.stored(agent) for agent in AGENTS}, "a foreign starter changes nothing"

    @rule(agent=st.sampled_from(AGENTS))
    def release(self, agent: str) -> None:
        running = self._running(agent)
        self.house.release(agent)
        self._take_in()
        assert self._running(agent) == running, "a release ends no leg"

    # Timers, time, settings, presence

    @rule()
    def tick(self) -> None:
        self.house.tick()
        self._take_in()

    @rule()
    def sweep(self) -> None:
        self.house.sweep()
        self._take_in()

    @rule(by_s=st.sampled_from([1, 29, 61, 95, 300, 599, 1800, 3599, 3600, 14_400]))
    def time_passes(self, by_s: int) -> None:
        self.house.clock.advance(after(seconds=by_s))

    @rule(data=st.data(), past=st.sampled_from([-1, 0, 1]))
    def time_passes_to_where_something_changes(self, data: st.DataObject, past: int) -> None:
        edges = [edge for e in self.last_seen.values() for edge in moments(e, RULES, self.now)]
        if edges:
            edge = data.draw(st.sampled_from(sorted(set(edges))))
            self.house.clock.advance(max(edge + past * after(microseconds=1) - self.now, timedelta(0)))

    @rule(pool=st.sets(st.sampled_from(NUMBERS), min_size=1, max_size=4))
    def the_pool_is_changed(self, pool: set[str]) -> None:
        house = self.house
        house.deployment = msgspec.structs.replace(house.deployment, callback_numbers=tuple(sorted(pool)))
        house.lend_from(house.deployment.callback_numbers)

    @rule(
        agent=st.sampled_from(AGENTS),
        status=st.sampled_from(STATUSES),
        by=st.sampled_from([SetBy.AGENT, SetBy.SUPERVISOR]),
    )
    def change_presence(self, agent: str, status: PresenceStatus, by: SetBy) -> None:
        set_presence(agent, status, by, presence=self.moody.service, deadline=self.house.within())
        self.chosen[agent] = status

    @rule(agent=st.sampled_from(AGENTS), status=st.sampled_from(STATUSES), told=st.booleans())
    def the_service_changes_presence_by_itself(self, agent: str, status: PresenceStatus, told: bool) -> None:
        """Offline of a closed tab, or recalculated; `told`: it came by way of us."""
        stored = self.stored(agent)
        hold = stored.hold if stored is not None else None
        if hold is not None and not (hold.settled or hold.touched):
            # What becomes of it depends on whether ours is set before it is over.
            return
        _, effects = set_presence(
            agent, status, SetBy.SYSTEM, presence=self.moody.service, deadline=self.house.within()
        )
        if told:
            self.effects += [OwedEffect(effect, self.now) for effect in effects]
        if hold is None or hold.settled:
            self.chosen[agent] = status

    # What becomes of the effects

    @precondition(lambda self: self.effects)
    @rule()
    def effects_are_performed(self) -> None:
        for owed in self.effects:
            if self.now - owed.since >= FIRST_TRY_WITHIN and isinstance(owed.effect, DeliverNotice):
                self._note_repeat_of(owed.effect)
            self._perform(owed)
        self.effects.clear()

    @precondition(lambda self: self.effects)
    @rule(data=st.data())
    def one_effect_is_performed_and_may_be_again(self, data: st.DataObject) -> None:
        owed = data.draw(st.sampled_from(self.effects))
        if isinstance(owed.effect, DeliverNotice):
            self._note_repeat_of(owed.effect)
        self._perform(owed)

    @precondition(lambda self: self.effects)
    @rule()
    def the_host_dies_before_its_effects(self) -> None:
        self.effects.clear()

    def _note_repeat_of(self, effect: DeliverNotice) -> None:
        notice = effect.owed.notice
        self._note_repeat(derived(notice.notice_id, ";".join(notice.recipients)))

    @rule(away=st.booleans(), lost=st.integers(0, 1))
    def mail_fares(self, away: bool, lost: int) -> None:
        self.mail_away, self.mail_answers_lost = away, lost

    @rule(away=st.booleans(), lost=st.integers(0, 2))
    def presence_fares(self, away: bool, lost: int) -> None:
        self.moody.away, self.moody.answers_lost = away, lost

    # What must hold after every step

    @invariant()
    def everything_holds(self) -> None:
        self.a_live_lease_never_moves()
        self.one_live_holder_unless_shared()
        self.callbacks_reach_whom_they_must()
        self.the_panel_is_in_emergency_mode_exactly_while_a_leg_is_in_progress()
        self.no_mail_comes_twice_without_a_cause()
        self.presence_is_ours_only_while_it_is_held()

    def a_live_lease_never_moves(self) -> None:
        for agent_id, before in self.last_seen.items():
            if not judge(before, RULES, self.now).lease_lives:
                continue
            stored = self.stored(agent_id)
            assert stored is not None and stored.lease is not None and before.lease is not None
            assert (stored.lease.number, stored.lease.epoch) == (before.lease.number, before.lease.epoch)
        found = {agent_id: self.stored(agent_id) for agent_id in AGENTS}
        self.last_seen = {agent_id: stored for agent_id, stored in found.items() if stored is not None}

    def one_live_holder_unless_shared(self) -> None:
        live: dict[str, list[Emergency]] = {}
        for stored in self.last_seen.values():
            if judge(stored, RULES, self.now).lease_lives and stored.lease is not None:
                live.setdefault(stored.lease.number, []).append(stored)
        for holders in live.values():
            undeclared = [each for each in holders if each.lease is not None and not each.lease.shared]
            assert len(undeclared) <= 1, "two hold a number, and neither knows that it is shared"
            for each in holders:
                later = [u for u in undeclared if u is not each and u.lease and each.lease]
                assert all(u.lease.lent_at <= each.lease.lent_at for u in later if u.lease and each.lease)

    def callbacks_reach_whom_they_must(self) -> None:
        for number in NUMBERS:
            target = self.house.call_back(number)
            live = [e for e in self.last_seen.values() if self._holds(e, number, lives=True)]
            resting = [e for e in self.last_seen.values() if self._holds(e, number, lives=False)]
            if live:
                assert target in {identity(e.agent_id) for e in live}
            elif resting:
                newest = max(e.lease.dialled_at for e in resting if e.lease)
                assert target in {identity(e.agent_id) for e in resting if e.lease and e.lease.dialled_at == newest}
            elif number in self.house.deployment.callback_numbers:
                assert target == DESK
            else:
                assert target in {DESK, None}, "left the pool, with or without its slot"

    def _holds(self, emergency: Emergency, number: str, *, lives: bool) -> bool:
        verdict = judge(emergency, RULES, self.now)
        matches = emergency.lease is not None and emergency.lease.number == number
        return matches and (verdict.lease_lives if lives else verdict.rests)

    def the_panel_is_in_emergency_mode_exactly_while_a_leg_is_in_progress(self) -> None:
        for agent_id in AGENTS:
            assert (self.house.panel(agent_id).mode is Mode.EMERGENCY) == bool(self._running(agent_id))

    def _running(self, agent_id: str) -> frozenset[str]:
        stored = self.stored(agent_id)
        return judge(stored, RULES, self.now).running if stored is not None else frozenset()

    def no_mail_comes_twice_without_a_cause(self) -> None:
        accepted = [email.operation_id for email in self.house.mail.accepted]
        for operation_id in set(accepted):
            assert accepted.count(operation_id) <= 1 + self.repeats_of.get(operation_id, 0)

    def presence_is_ours_only_while_it_is_held(self) -> None:
        for agent_id in AGENTS:
            stored = self.stored(agent_id)
            presence = self.moody.service.read(agent_id, self.house.within())
            if stored is None:
                assert presence.hold_id is None, "forgotten, but presence never came back"
            elif stored.presence_due_at is None and not (self._is_owed_presence(agent_id) or stored.presence_look_at):
                if judge(stored, RULES, self.now).held_until is None and not stored.held:
                    assert presence.hold_id is None
                if presence.hold_id is None:
                    assert presence.status is self.chosen.get(agent_id, PresenceStatus.OFFLINE)

    def _is_owed_presence(self, agent_id: str) -> bool:
        return any(getattr(owed.effect, "agent_key", None) == key_reported(agent_id) for owed in self.effects)

    # The end of it

    def teardown(self) -> None:
        self.mail_away = self.moody.away = False
        self.mail_answers_lost = self.moody.answers_lost = 0
        began = self.now
        self._quiet(after(minutes=6), 2)
        self._every_leg_was_notified(began)
        for call in self.calls:
            self.house.end(call.end(self.now, by_agent=True))
        self._quiet(after(hours=2), 6)
        self._nothing_is_left()

    def _quiet(self, step: timedelta, times: int) -> None:
        for _ in range(times):
            self.house.clock.advance(step)
            for _ in range(3):
                self.house.tick()
                self.house.sweep()
                self._take_in()
                self.effects_are_performed()

    def _every_leg_was_notified(self, began: datetime) -> None:
        accepted = {email.operation_id: email for email in self.house.mail.accepted}
        for call in self.calls:
            if call.answer is None or not call.started:
                continue
            entry = directory_entry(call.agent_id)
            recipients = entry.emergency_contacts if call.agent_id in KNOWN else ("desk@example.com",)
            operation_id = derived(derived(call.leg_id, "notice"), ";".join(recipients))
            if call.agent_id in KNOWN:
                assert call.answer.notified == len(recipients)
            assert operation_id not in accepted or call.answer.notified > 0
            # A call that is reported at the very end of its window was promised nothing.
            worth_until = call.worth_until or call.dialled_at + RULES.window
            if call.answer.notified and began + after(minutes=15) < worth_until:
                told = operation_id in accepted or self._was_told_with_others(call, recipients)
                assert told, "each outgoing leg owes one notice"

    def _was_told_with_others(self, call: Call, recipients: tuple[str, ...]) -> bool:
        """Beyond the ration of ten minutes, one notice tells of all of an emergency's dials."""
        assert call.reported_at is not None
        window = ration_window(call.reported_at)
        since = [each.reported_at for each in self.calls if each.agent_id == call.agent_id and each is not call]
        before = [at for at in since if at is not None and window <= at <= call.reported_at]
        own = {derived(derived(each.leg_id, "notice"), ";".join(recipients)) for each in self.calls}
        later = [each for each in self.house.mail.accepted if each.operation_id not in own]
        return len(before) >= MAX_NOTICES_A_WINDOW and any(each.recipients == recipients for each in later)

    def _nothing_is_left(self) -> None:
        table = self.house.table
        assert isinstance(table, MemoryTable)
        keys = table.keys()
        assert {key.split("|")[0] for key in keys} <= LEFT_IN_THE_END
        pool = sorted(number.removeprefix("+") for number in self.house.deployment.callback_numbers)
        assert sorted(key.split("|")[3] for key in keys if key.startswith("free|")) == pool
        assert sorted(key.split("|", 1)[1] for key in keys if key.startswith("number|")) == [f"{n}|" for n in pool]
        for agent_id in AGENTS:
            presence = self.moody.service.read(agent_id, self.house.within())
            assert presence.hold_id is None
            assert presence.status is self.chosen.get(agent_id, PresenceStatus.OFFLINE)

    def _any_call(self, data: st.DataObject) -> Call:
        return data.draw(st.sampled_from(self.calls[-6:]))


EmergencyMachine.TestCase.settings = PROFILE
TestEmergencyMachine = EmergencyMachine.TestCase


# Any order, any number of times (B7)


class Report:
    """One report of a call; `after_start`: while its call is unknown it says nothing, so it is only then delivered."""

    def __init__(self, call: Call, kind: str, deliver: Callable[[House], object], *, after_start: bool) -> None:
        self.call, self.kind, self.deliver, self.after_start = call, kind, deliver, after_start

    def __repr__(self) -> str:
        return f"{self.kind} {self.call}"


def reports_of(call: Call, ended_after_s: int, *, by_agent: bool, ended_by: str | None) -> list[Report]:
    """All that can be said of one call; an end reports when it was, so that only the order of the telling varies."""
    call.ended_at = call.dialled_at + after(seconds=ended_after_s)
    over = call.ended_at
    second = End(call_id=call.call_id, by_agent=not by_agent, at=over + after(seconds=7))
    return [
        Report(call, "start", lambda house: house.dial_by_event(call.dial()), after_start=False),
        Report(call, "tie", lambda house: house.tie(call.call_id, call.server_call_id), after_start=True),
        Report(call, "started", lambda house: house.see(call.server_started()), after_start=True),
        Report(
            call,
            "ended",
            lambda house: house.see(call.server_ended(over, ended_by, with_duration=True)),
            after_start=True,
        ),
        Report(call, "end", lambda house: house.end(call.end(over, by_agent=by_agent)), after_start=False),
        Report(call, "second end", lambda house: house.end(second), after_start=True),
    ]


@st.composite
def tellings(draw: st.DrawFn) -> tuple[list[Report], list[Report]]:
    """Some reports of one or two calls of an agent, in two orders, in both perhaps several times."""
    chosen: list[Report] = []
    for number in range(draw(st.integers(1, 2))):
        call = Call("agent-ana", number, DAWN + after(seconds=draw(st.sampled_from([0, 10, 120])) * number))
        ended_by = draw(st.sampled_from([identity("agent-ana"), "4:+12065550142", None]))
        said = reports_of(
            call, draw(st.sampled_from([0, 5, 90, 1500])), by_agent=draw(st.booleans()), ended_by=ended_by
        )
        chosen += [said[0], *draw(st.lists(st.sampled_from(said[1:]), unique=True))]
    return told(draw, chosen), told(draw, chosen)


def told(draw: st.DrawFn, reports: list[Report]) -> list[Report]:
    """A permutation, with repeats; what says nothing before its call's start comes after it."""
    again = draw(st.lists(st.sampled_from(reports), max_size=3))
    order = draw(st.permutations([*reports, *again]))
    told_late = [report for n, report in enumerate(order) if report.after_start and not _started(order[:n], report)]
    return [report for report in order if report not in told_late] + told_late


def _started(before: Sequence[Report], report: Report) -> bool:
    return any(each.call is report.call and each.kind == "start" for each in before)


def state_after(telling: list[Report]) -> tuple[object, bool | None]:
    """What the agent's emergency comes to, half an hour later: ends, lease end, presence after the hold; and at once.

    Presence at once is None where a start came after its own end: that leg never holds it.
    """
    house = House(pool=numbers(2))
    house.add_agent(directory_entry("agent-ana"))
    house.tick()
    house.clock.advance(after(minutes=30))
    for report in telling:
        report.deliver(house)
    stored = house.emergency("agent-ana")
    assert stored is not None and stored.lease is not None
    verdict = judge(stored, RULES, house.clock.now())
    held = house.status("agent-ana") is PresenceStatus.DO_NOT_DISTURB
    assert held == (verdict.held_until is not None)
    house.clock.advance(after(minutes=11))
    house.tick()
    later = house.status("agent-ana") is PresenceStatus.DO_NOT_DISTURB
    at_once = held if all(leg.holds_presence for leg in stored.legs) else None
    return (verdict.over, verdict.running, verdict.lease_ends_at, later), at_once


@settings(PROFILE, max_examples=300)
@given(tellings())
def test_every_order_and_any_number_of_repeats_converge(two: tuple[list[Report], list[Report]]) -> None:
    """Except what the specification drops: an ACS event before its call's start is an ordinary call's."""
    (one, held), (other, held_too) = state_after(two[0]), state_after(two[1])
    assert one == other
    assert None in (held, held_too) or held == held_too
