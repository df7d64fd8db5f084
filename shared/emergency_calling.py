"""The front door: one class that is the product. Its fields are the ports, its methods the use cases.

Functions, the simulator and the core in memory walk through it; `Budgets` says how long each use case may take. What
softphones and people ask for is answered before its effects are done; what Event Grid and the timers bring, after.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from msgspec import Struct, structs

from shared.deadlines import Budgets, Clock, Deadline, PatientDeadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.confidentiality import PRIVATE, CallPolicy
from shared.domain.deployment import Deployment
from shared.domain.dials import Dial, claimed_key
from shared.domain.drills import Drill
from shared.domain.emergencies import MAX_LEGS
from shared.domain.errors import (
    EmergencyCallingError,
    LineFull,
    NotAnEmergency,
    NotFound,
    Unavailable,
)
from shared.domain.ids import WORD_BITS, agent_key_of, key_of, word_of
from shared.domain.imports import AgentChange, ImportOutlook
from shared.domain.locations import Desktop
from shared.domain.notifications import Delivery
from shared.domain.panels import Panel
from shared.domain.pool import MAX_UNLISTED_OF_A_MACHINE
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.domain.sites import Site
from shared.domain.subjects import Subject
from shared.ports import (
    AgentRegister,
    Allowances,
    Answers,
    CallRouter,
    Deliveries,
    Desktops,
    Drills,
    Effects,
    EmergencyStore,
    Imports,
    Keys,
    MailQuota,
    NoticeTemplate,
    Notifier,
    NumberPool,
    OutageLog,
    PresenceGateway,
    RecordingOutbox,
    RecordingStore,
    Repeats,
    Share,
    SharedLook,
    SiteRegister,
    Telemetry,
    TelephonyReader,
    Turns,
    VoiceRoutes,
)
from shared.use_cases.answer_callback import answer_callback
from shared.use_cases.answer_dial import Answer, Started
from shared.use_cases.answer_in_the_dark import answer_in_the_dark
from shared.use_cases.begin_drill import begin_drill
from shared.use_cases.carry_on_drill import Stage, carry_on_drill
from shared.use_cases.carry_on_import import carry_on_import
from shared.use_cases.check_health import check_health
from shared.use_cases.check_import import check_import
from shared.use_cases.close_thread import close_thread
from shared.use_cases.continue_callback import MidCall, continue_callback
from shared.use_cases.deliver_notice import deliver_notice
from shared.use_cases.effects import (
    CarryOnDrill,
    CarryOnImport,
    CloseThread,
    ContinueCallback,
    DeliverNotice,
    Effect,
    HoldInOutage,
    MailInOutage,
    MergeWaiting,
    ReconcilePresence,
    ReconcilePresenceOf,
    ReturnPresence,
    SettleHeldRecordings,
    SettleRecording,
    StopRecording,
)
from shared.use_cases.end_call import End, Ended, end_call
from shared.use_cases.expire_leases import expire_leases
from shared.use_cases.export_agents import export_agents
from shared.use_cases.find_me import find_me
from shared.use_cases.find_site import find_site
from shared.use_cases.forget_agents import forget_agents
from shared.use_cases.hold_in_outage import hold_in_outage
from shared.use_cases.judge_call import judge_call
from shared.use_cases.mail_in_outage import mail_in_outage
from shared.use_cases.merge_waiting import merge_waiting
from shared.use_cases.note_mailed import note_mailed
from shared.use_cases.read_voice_routes import read_voice_routes
from shared.use_cases.reconcile_presence import reconcile_presence
from shared.use_cases.record_delivery import record_delivery
from shared.use_cases.refuse_recording import RecordedFiles, refuse_recording
from shared.use_cases.release_presence import release_presence
from shared.use_cases.remember_callback import AnsweredCall, remember_callback
from shared.use_cases.report_desktop import DesktopReport, report_desktop
from shared.use_cases.require_own import require_own
from shared.use_cases.return_presence import return_presence
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall, see_server_call
from shared.use_cases.set_presence import set_presence
from shared.use_cases.settle_recording import settle_held_recordings, settle_recording
from shared.use_cases.show_desktop import show_desktop
from shared.use_cases.show_panel import show_panel
from shared.use_cases.show_presence import show_presence
from shared.use_cases.start_call import start_call
from shared.use_cases.steps import LEASE_EXPIRY, OUTBOX_SWEEP, Steps
from shared.use_cases.stop_recording import stop_recording
from shared.use_cases.take_up_outbox import take_up_outbox
from shared.use_cases.take_up_recordings import take_up_recordings
from shared.use_cases.tell_drill_age import tell_drill_age
from shared.use_cases.tie_call import tie_call
from shared.use_cases.whose_presence import whose_presence


class Shares(Struct, frozen=True):
    """What each agent may have of a line, and what all unlisted ones whom one machine names, together."""

    of_an_agent: Share
    of_others: Share


# An agent has one softphone. Each of their requests that waits takes one of the worker's 64 threads from everybody.
POLLS = Shares(Share(most_waiting=8), Share(most_waiting=40, burst=200, per_s=30))
# A dial and all that it owes is a twentieth of a second of a core, more in storage; an end or a tie, a tenth of that.
# With those at work, so many dials are all threads of a worker: a machine reports a crisis to a cold process at once.
DIALS = Shares(Share(most_waiting=8, burst=20, per_s=1), Share(most_waiting=58, burst=200, per_s=2))
CHANGES = Shares(Share(most_waiting=8, burst=40, per_s=2), Share(most_waiting=40, burst=300, per_s=20))
# Of a dial that has waited for its turn so long, what it would still ask the store takes from those behind it, in vain.
MIN_LEFT_FOR_A_DIAL_S = 0.1
# Of callbacks that were answered without the store, for whom no principal stands.
CALLBACKS, MAX_CALLBACKS_REPEATED = "callbacks", 1_000
# Of mails that were sent in an outage, until it is noted whom they have reached: as many as a flood has dials.
MAILS, MAX_MAILS_NOTED = "mails", 1_000
WORD_HEX_DIGITS = 12


class EmergencyCalling(Struct, frozen=True, kw_only=True):
    """The product. `words` gives what the log calls an emergency by.

    `store_alive` says whether the store is worth a longer wait: it has answered anybody just now.
    `prepare` does what this process still has to do for itself before it can ask the store: imports, clients. A caller
    waits for that before the store's time begins, so that a cold process does not take it for the store's. `pause` lets
    so many seconds pass.
    """

    deployment: Deployment
    clock: Clock
    telemetry: Telemetry
    emergencies: EmergencyStore
    numbers: NumberPool
    directory: AgentRegister
    desktops: Desktops
    sites: SiteRegister
    deliveries: Deliveries
    imports: Imports
    drills: Drills
    presence: PresenceGateway
    keys: Keys
    router: CallRouter
    notifier: Notifier
    mail_quota: MailQuota
    template: NoticeTemplate
    recordings: RecordingStore
    recording_outbox: RecordingOutbox
    outage: OutageLog
    effects: Effects[Effect]
    repeats: Repeats
    answers: Answers[tuple[Dial, Answer]]
    dials: Turns
    polls: Turns
    ends: Turns
    seats: Turns
    looks: SharedLook
    early_ends: Allowances
    store_alive: Callable[[], bool]
    words: Callable[[], str]
    prepare: Callable[[], None]
    pause: Callable[[float], None]
    telephony: TelephonyReader
    routes: VoiceRoutes
    budgets: Budgets = Budgets()

    def within(self, seconds: float) -> Deadline:
        """A deadline from now on."""
        return Deadline(self.clock, seconds)

    def _principal(self, caller: Caller, agent_id: str | None) -> str:
        """Who stands in line: an agent themself; for a machine each listed agent, and all others that it names as one.

        Whether somebody is listed is only known of those who were read lately: who is in line must not be looked up.
        """
        if agent_id is None or caller.is_agent or self.directory.recent(agent_id) is None:
            return caller.owner
        return agent_key_of(agent_id)

    @contextmanager
    def polling(self, seconds: float, caller: Caller, agent_id: str | None = None) -> Iterator[Deadline]:
        """The time that a request which can come again may take; one sender may have a part of the places only.

        None at all where a crowd waits for storage already: then it is answered at once with what this process
        remembers, or is told to come back. Else polls that hang would take every thread of the worker. Raises
        `LineFull`.
        """
        with self.seated(caller), self._in_line(self.polls, POLLS, caller, agent_id) as in_turn:
            if in_turn:
                self.dials.wait_until_quiet(self.budgets.poll_stands_back_s)
            yield self.within(seconds if in_turn else 0.0)

    @contextmanager
    def _in_line(self, turns: Turns, shares: Shares, caller: Caller, agent_id: str | None) -> Iterator[bool]:
        """Whether it was their turn in time. Raises `LineFull` where the principal has had their share."""
        principal = self._principal(caller, agent_id)
        share = shares.of_an_agent if caller.is_agent or principal != caller.owner else shares.of_others
        with turns.turn(principal, sender=caller.owner, share=share) as in_turn:
            yield in_turn
        if principal != self._principal(caller, agent_id):
            # Listed, as is known by now: a crisis that a machine reports to a cold process is no flood.
            turns.give_back(principal)

    @contextmanager
    def seated(self, caller: Caller) -> Iterator[None]:
        """A thread for what is no dial: one sender's polls and ends leave some to everybody, and take none from dials.

        Raises `LineFull`.
        """
        with self.seats.turn(caller.owner) as seated:
            if not seated:
                raise LineFull
            yield

    @contextmanager
    def _changing(self, caller: Caller, agent_id: str | None = None) -> Iterator[None]:
        """A turn to change what is known of a call; raises `Unavailable` where too much of theirs waits already."""
        with self.seated(caller), self._in_line(self.ends, CHANGES, caller, agent_id) as in_turn:
            if not in_turn:
                raise Unavailable
            yield

    # Emergency calls

    def start_call(self, dial: Dial, *, caller: Caller) -> Answer:
        """A dial that can be reported again: answered in time whatever happens, repeated until the store has it (B1).

        Raises `NotAnEmergency`.
        """
        # Fixed here, because a repeat of ours may come much later.
        dial = structs.replace(dial, received_at=self.clock.now())
        started = self._started_in_time(dial, caller)
        if started.owed:
            with self._answered_all_the_same():
                principal = self._principal(caller, dial.agent_id)
                most = MAX_LEGS if caller.is_agent or principal != caller.owner else MAX_UNLISTED_OF_A_MACHINE
                again = partial(self._is_recorded, structs.replace(dial, repeated=True), caller)
                self.repeats.keep(principal, claimed_key(dial, caller), again, most)
        return started.answer

    def _is_recorded(self, dial: Dial, caller: Caller) -> bool:
        return not self._started_in_time(dial, caller).owed

    def _started_in_time(self, dial: Dial, caller: Caller) -> Started:
        try:
            started = self._start_call_in_turn(dial, caller)
        except NotAnEmergency:
            raise
        except Exception as error:  # noqa: BLE001 - a dial is never a 5xx (B1), wherever it went wrong
            self._count(error)
            started = answer_in_the_dark(dial, caller, self.deployment, self.outage, self.clock.now())
        with self._answered_all_the_same():
            self.effects.start(started.effects, self.perform)
        return started

    @contextmanager
    def _answered_all_the_same(self) -> Iterator[None]:
        """What comes after a dial's answer never takes that away."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - as above
            self._count(error)

    def _count(self, error: Exception) -> None:
        self.telemetry.emit("unforeseen_error", function="call_started", error=type(error).__name__)

    def start_call_from_event(self, dial: Dial, *, caller: Caller) -> Answer:
        """A dial that an event reports, which may be late.

        Raises `NotAnEmergency`, and `Unavailable` where it must come again.
        """
        self.prepare()
        dial = structs.replace(dial, by_event=True)
        started = self._start_call(dial, caller, self.within(self.budgets.start_call_from_event_s))
        self.effects.finish(started.effects, self.perform)
        started.require_recorded()
        return started.answer

    def _start_call_in_turn(self, dial: Dial, caller: Caller) -> Started:
        self.prepare()
        arrived = self.clock.monotonic()
        try:
            with self._in_line(self.dials, DIALS, caller, dial.agent_id) as in_turn:
                left_s = self.budgets.start_call_at_most_s - (self.clock.monotonic() - arrived)
                within_s = min(self.budgets.start_call_s, max(left_s, 0.0))
                patient = PatientDeadline(self.clock, within_s, at_most_s=left_s, alive=self.store_alive)
                in_time = in_turn and left_s >= MIN_LEFT_FOR_A_DIAL_S
                started = self._start_call(dial, caller, patient if in_time else self.within(0.0))
        except LineFull as turned_away:
            known = self._answered_lately(dial, caller)
            return Started(known) if known else self._start_call(dial, caller, self.within(0.0), turned_away)
        if started.answer.known:
            # Who comes beyond the line has repeated it before: nothing is remembered of a dial that comes once.
            with self._answered_all_the_same():
                self.answers.keep(claimed_key(dial, caller), (dial, started.answer))
        return started

    def _answered_lately(self, dial: Dial, caller: Caller) -> Answer | None:
        """The answer of the same dial as it was reported before: a repeat beyond the line has the same number.

        Not that of a repeat which says more: it is reported again until the store has that, too.
        """
        before, answer = self.answers.given(claimed_key(dial, caller)) or (None, None)
        if before is None or answer is None or answer.expires_at is None or answer.expires_at <= self.clock.now():
            return None
        said = (dial.entra_object_id, dial.server_call_id or before.server_call_id)
        return structs.replace(answer, known=True) if said == (before.entra_object_id, before.server_call_id) else None

    def _start_call(
        self, dial: Dial, caller: Caller, deadline: Deadline, turned_away: LineFull | None = None
    ) -> Started:
        return start_call(
            dial,
            caller=caller,
            emergencies=self.emergencies,
            numbers=self.numbers,
            directory=self.directory,
            desktops=self.desktops,
            sites=self.sites,
            outage=self.outage,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            word=self.words(),
            deadline=deadline,
            routes=self.routes,
            turned_away=turned_away,
        )

    def tie_call(self, call_id: str, server_call_id: str, *, caller: Caller, agent_id: str | None = None) -> None:
        """The softphone knows by now which server call its leg is; `agent_id` is whose a machine means.

        Raises `NotAllowed`, `NotFound`, `Malformed`, `Unavailable`.
        """
        with self._changing(caller, agent_id):
            effects = tie_call(
                call_id,
                server_call_id,
                agent_id=agent_id,
                caller=caller,
                emergencies=self.emergencies,
                directory=self.directory,
                clock=self.clock,
                deployment=self.deployment,
                telemetry=self.telemetry,
                deadline=self.within(self.budgets.tie_call_s),
            )
        self.effects.start(effects, self.perform)

    def end_call(self, end: End, *, caller: Caller) -> Ended:
        """A leg ended. Raises `Malformed` where it could be several agents', `Unavailable`."""
        with self._changing(caller, end.agent_id):
            ended = self._end_call(end, caller)
        self.effects.start(ended.effects, self.perform)
        return ended

    def end_call_from_event(self, end: End, *, caller: Caller) -> None:
        """An event reports that a leg ended. Raises `Malformed` where it could be several agents', `Unavailable`."""
        self.effects.finish(self._end_call(end, caller).effects, self.perform)

    def _end_call(self, end: End, caller: Caller) -> Ended:
        return end_call(
            end,
            caller=caller,
            emergencies=self.emergencies,
            directory=self.directory,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=self.within(self.budgets.end_call_s),
            allowances=self.early_ends,
        )

    def see_server_call(self, call: ServerCall) -> None:
        """ACS saw a server call start or end. Raises `Unavailable`."""
        effects = see_server_call(
            call,
            emergencies=self.emergencies,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=self.within(self.budgets.see_server_call_s),
        )
        self.effects.finish(effects, self.perform)

    def release_presence(
        self, agent_id: str, *, caller: Caller, emergency: str | None = None, legs: bool = False
    ) -> None:
        """The agent or a supervisor ends the hold after a drop; a supervisor also `legs` that nobody ended.

        Raises `NotAllowed`, `Unavailable`.
        """
        with self._changing(caller, agent_id):
            effects = release_presence(
                agent_id,
                caller=caller,
                emergencies=self.emergencies,
                directory=self.directory,
                clock=self.clock,
                deployment=self.deployment,
                deadline=self.within(self.budgets.release_presence_s),
                telemetry=self.telemetry,
                emergency=emergency,
                legs=legs,
            )
        self.effects.start(effects, self.perform)

    # Callbacks

    def answer_callback(self, incoming: Incoming) -> None:
        """Somebody calls one of our numbers. Raises `Refused` where it rings no more, `Unavailable`."""
        self.prepare()
        answered = answer_callback(
            incoming,
            emergencies=self.emergencies,
            numbers=self.numbers,
            router=self.router,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            pause=self.pause,
            deadline=self.within(self.budgets.answer_callback_s),
        )
        if answered is None:
            return
        again = partial(self._remember_callback, answered)
        # Once more before its event is acknowledged: from then on this process alone knows whom the call rings, until
        # call control says that the caller is connected.
        if not again():
            self.repeats.keep(CALLBACKS, answered.callback_id, again, MAX_CALLBACKS_REPEATED)

    def _remember_callback(self, answered: AnsweredCall) -> bool:
        return remember_callback(
            answered,
            emergencies=self.emergencies,
            numbers=self.numbers,
            clock=self.clock,
            deployment=self.deployment,
            deadline=self.within(self.budgets.answer_callback_s),
        )

    def continue_callback(self, callback_id: str, events: Sequence[MidCall]) -> None:
        """Call control says what happened in a callback's call. Raises `Unavailable` once each event had its try."""
        away: Unavailable | None = None
        for said in events:
            try:
                effects = self._continue_callback(callback_id, said, self.within(self.budgets.continue_callback_s))
            except Unavailable as failed:
                away = failed
            else:
                self.effects.start(effects, self.perform)
        if away is not None:
            raise away

    def _continue_callback(self, callback_id: str, said: MidCall | None, deadline: Deadline) -> tuple[Effect, ...]:
        return continue_callback(
            callback_id,
            said,
            emergencies=self.emergencies,
            numbers=self.numbers,
            directory=self.directory,
            router=self.router,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    # Recordings

    def stop_recordings(self, recording_ids: Sequence[str]) -> None:
        """Recordings that run on a call that nobody may record (S6)."""
        self.effects.start([StopRecording(recording_id) for recording_id in recording_ids], self.perform)

    def refuse_recording(self, files: RecordedFiles) -> None:
        """The files of a recording are ready. Raises `Unavailable`."""
        effects = refuse_recording(
            files,
            emergencies=self.emergencies,
            outbox=self.recording_outbox,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=self.within(self.budgets.refuse_recording_s),
        )
        self.effects.finish(effects, self.perform)

    def judge_call(self, server_call_id: str, started_by: str | None, *, caller: Caller) -> CallPolicy:
        """Whether a call may be recorded and stored as an activity; private where the store does not answer.

        So it is, without a line of the log each, for whoever asks beyond their share: a recorder that always comes
        again would take the threads that dials wait for.
        """
        self.prepare()
        try:
            with self.polling(self.budgets.judge_call_s, caller) as deadline:
                return self._judge_call(server_call_id, started_by, deadline)
        except LineFull:
            return PRIVATE

    def _judge_call(self, server_call_id: str, started_by: str | None, deadline: Deadline) -> CallPolicy:
        return judge_call(
            server_call_id,
            started_by,
            emergencies=self.emergencies,
            directory=self.directory,
            outage=self.outage,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    # What is shown and set

    def find_me(self, caller: Caller, *, deadline: Deadline) -> Agent | None:
        """The caller's own directory entry. Raises `Unavailable`."""
        return find_me(caller, directory=self.directory, deadline=deadline)

    def require_own(self, agent_id: str, *, caller: Caller, deadline: Deadline) -> None:
        """For what is kept of listed agents only. Raises `NotAllowed` where an agent means another, `Unavailable`."""
        require_own(agent_id, caller=caller, directory=self.directory, deadline=deadline)

    def show_panel(
        self, agent_id: str, *, caller: Caller, deadline: Deadline, emergency: str | None = None
    ) -> tuple[Panel, str | None]:
        """What an agent's panel offers now, and the locale of their entry. Raises `NotAllowed`, `Unavailable`."""
        return show_panel(
            agent_id,
            caller=caller,
            emergencies=self.emergencies,
            directory=self.directory,
            outage=self.outage,
            clock=self.clock,
            deployment=self.deployment,
            deadline=deadline,
            emergency=emergency,
        )

    def whose_presence(
        self, agent_id: str, *, caller: Caller, deadline: Deadline, emergency: str | None = None
    ) -> Subject:
        """Whose presence is meant: a listed agent's, else that of an emergency. Raises `NotAllowed`, `Unavailable`."""
        return whose_presence(
            agent_id,
            caller=caller,
            emergencies=self.emergencies,
            directory=self.directory,
            deadline=deadline,
            emergency=emergency,
        )

    def show_presence(self, agent_id: str, *, deadline: Deadline, agent_key: str | None = None) -> Presence:
        """An agent's presence, who set it, and since when. Raises `Refused` by the service outside, `Unavailable`."""
        return show_presence(
            agent_id,
            emergencies=self.emergencies,
            presence=self.presence,
            outage=self.outage,
            clock=self.clock,
            deadline=deadline,
            agent_key=agent_key,
        )

    def set_presence(
        self, agent_id: str, status: PresenceStatus, set_by: SetBy, *, deadline: Deadline, agent_key: str | None = None
    ) -> Presence:
        """Set an agent's presence, whatever it was. Raises `Conflict` where another service keeps it, `Unavailable`."""
        shown, effects = set_presence(
            agent_id, status, set_by, presence=self.presence, deadline=deadline, agent_key=agent_key
        )
        self.effects.start(effects, self.perform)
        return shown

    def report_desktop(self, agent_id: str, report: DesktopReport, *, deadline: Deadline) -> Desktop:
        """Keep what a desktop sees of itself; gives what is kept. Raises `Unavailable`."""
        return report_desktop(agent_id, report, desktops=self.desktops, clock=self.clock, deadline=deadline)

    def show_desktop(
        self, agent_id: str, desktop_id: str | None, *, deadline: Deadline, client: str | None = None
    ) -> Desktop:
        """What is kept of a desktop, or of the agent's only one. Raises `NotFound`, `Unavailable`."""
        return show_desktop(agent_id, desktop_id, client, desktops=self.desktops, deadline=deadline)

    def find_site(self, agent_id: str, desktop: Desktop, client: str | None, *, deadline: Deadline) -> Site | None:
        """The site where this desktop is now, as a dial from it would find it; None where nobody can tell."""
        return find_site(
            agent_id,
            desktop,
            client,
            directory=self.directory,
            sites=self.sites,
            clock=self.clock,
            deadline=deadline,
        )

    def record_delivery(self, message_id: str, recipient: str, delivery: Delivery) -> bool:
        """Whether the message is one of ours, so that its delivery was noted. Raises `Unavailable`."""
        recorded = record_delivery(
            message_id,
            recipient,
            delivery,
            emergencies=self.emergencies,
            deliveries=self.deliveries,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=self.within(self.budgets.record_delivery_s),
        )
        self.effects.finish(recorded.effects, self.perform)
        return recorded.ours

    def check_health(self) -> bool:
        """Whether the table answers."""
        self.prepare()
        within_s, most_s = self.budgets.check_health_s, self.budgets.start_call_at_most_s

        def look() -> bool:
            patient = PatientDeadline(self.clock, within_s, at_most_s=most_s, alive=self.store_alive)
            return check_health(directory=self.directory, deadline=patient)

        return self.looks.ask(look)

    # Administration

    def word_for(self, caller: Caller) -> str:
        """What the log calls somebody of the office: a word that only repeats itself, of a hash with the secret."""
        try:
            key = self.keys.ring(self.within(self.budgets.directory_s)).first(key_of(caller.name))
        except Unavailable:
            return ""
        return word_of(int(key[:WORD_HEX_DIGITS], 16) % (1 << WORD_BITS))

    def remove_agent(self, agent_id: str, version: str | None, *, deadline: Deadline) -> None:
        """Remove an entry, and whatever is kept of that person once no lease of theirs is left.

        Raises `NotFound`, `Conflict`, `Unavailable`.
        """
        self.directory.remove(agent_id, version, deadline)
        # What fails is taken up a minute later.
        with suppress(EmergencyCallingError):
            self._forget_agents(deadline)

    def check_import(self, changes: Sequence[AgentChange], *, deadline: Deadline) -> ImportOutlook:
        """What an import would do. Raises `Unavailable`."""
        return check_import(changes, directory=self.directory, deadline=deadline)

    def export_agents(self, *, deadline: Deadline) -> list[Agent]:
        """Every entry of the directory. Raises `Unavailable`."""
        return export_agents(directory=self.directory, deadline=deadline)

    def begin_import(self, operation_id: str, changes: Sequence[AgentChange], *, deadline: Deadline) -> None:
        """Import these, beginning in this process; one that runs already goes on. Raises `Unavailable`."""
        self.imports.begin(operation_id, changes, self.clock.now(), deadline)
        self.effects.start([CarryOnImport(operation_id)], self.perform)

    def _carry_on_import(self, operation_id: str) -> tuple[Effect, ...]:
        """Go on with this import, then with the next one. One that has an older one before it waits for its turn.

        Both may name the same agents: what the later one says of them must be written last.
        """
        if self._imports_under_way()[:1] != [operation_id]:
            return ()
        left = carry_on_import(
            operation_id,
            imports=self.imports,
            directory=self.directory,
            clock=self.clock,
            deadline=self.within(self.budgets.import_s),
        )
        next_ones = [operation_id] if left else self._imports_under_way()[:1]
        return tuple(map(CarryOnImport, next_ones))

    def _imports_under_way(self) -> list[str]:
        return self.imports.running(self.clock.now(), self.within(self.budgets.directory_s))

    # Drills

    def begin_drill(self, drill_id: str, agent_id: str, recipients: tuple[str, ...], *, deadline: Deadline) -> None:
        """Play a drill for this agent, beginning in this process. Raises `NotFound`, `Conflict`, `Unavailable`."""
        begin_drill(
            drill_id,
            agent_id,
            recipients,
            drills=self.drills,
            directory=self.directory,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )
        self.effects.start([CarryOnDrill(drill_id)], self.perform)

    def show_drill(self, drill_id: str, *, deadline: Deadline) -> Drill:
        """How a drill stands, or how the last one ended. Raises `NotFound`, `Unavailable`."""
        last = self.drills.last(deadline)
        if last is None or last.drill_id != drill_id:
            raise NotFound
        return last

    def _carry_on_drill(self, drill_id: str) -> None:
        stage = Stage(
            drills=self.drills,
            emergencies=self.emergencies,
            numbers=self.numbers,
            directory=self.directory,
            desktops=self.desktops,
            sites=self.sites,
            presence=self.presence,
            notifier=self.notifier,
            quota=self.mail_quota,
            template=self.template,
            outage=self.outage,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            routes=self.routes,
            pause=self.pause,
        )
        deadline = self.within(self.budgets.drill_s)
        carry_on_drill(drill_id, claim=self.words(), stage=stage, perform=self.perform, deadline=deadline)

    def _take_up_drill(self) -> None:
        """One whose process died, or had no more time."""
        last = self.drills.last(self.within(self.budgets.directory_s))
        if last is not None and last.is_left_alone(self.clock.now()):
            self.effects.finish([CarryOnDrill(last.drill_id)], self.perform)

    # What time brings about

    def expire_leases(self) -> None:
        """End holds and legs whose time has come, release numbers, and forget what is over.

        Raises what the first step that failed met with, `Unavailable` for most, once each had its turn.
        """
        steps = Steps(LEASE_EXPIRY, self.telemetry)
        effects = expire_leases(
            emergencies=self.emergencies,
            numbers=self.numbers,
            presence=self.presence,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            steps=steps,
            deadline=self.within(self.budgets.expire_leases_s),
        )
        with steps.step():
            self.effects.finish(effects, self.perform)
        self._keep_house()
        steps.raise_foreseen()

    def _keep_house(self) -> None:
        """What fails is there to do a minute later."""
        steps = Steps(LEASE_EXPIRY, self.telemetry)
        with steps.step():
            self.desktops.remove_old(self.clock.now(), self.within(self.budgets.directory_s))
        with steps.step():
            self._forget_agents(self.within(self.budgets.directory_s))
        with steps.step():
            self.directory.reindex(self.within(self.budgets.reindex_s))
        with steps.step():
            read_voice_routes(
                telephony=self.telephony,
                routes=self.routes,
                deadline=self.within(self.budgets.read_voice_routes_s),
            )
        with steps.step():
            tell_drill_age(
                drills=self.drills,
                clock=self.clock,
                telemetry=self.telemetry,
                deadline=self.within(self.budgets.directory_s),
            )

    def _forget_agents(self, deadline: Deadline) -> None:
        forget_agents(
            directory=self.directory,
            emergencies=self.emergencies,
            desktops=self.desktops,
            deliveries=self.deliveries,
            presence=self.presence,
            deadline=deadline,
        )

    def take_up_outbox(self) -> None:
        """Try again what is owed, then carry on what administrators began. Raises as `take_up_owed`."""
        steps, later = Steps(OUTBOX_SWEEP, self.telemetry), Steps(OUTBOX_SWEEP, self.telemetry)
        with steps.step():
            self.take_up_owed()
        # What fails is there ten seconds later.
        with later.step():
            for operation_id in self._imports_under_way()[:1]:
                self._carry_on_import(operation_id)
        with later.step():
            self._take_up_drill()
        # Said whatever failed, as `sweep` is, and by the timer alone: any process that serves says `outbox`.
        self.telemetry.emit("outbox_sweep", done=steps.all_done and later.all_done)
        steps.raise_foreseen()

    def take_up_owed(self) -> None:
        """Try again what is owed to emergencies.

        Raises what the first step that failed met with, `Unavailable` for most, once each had its turn.
        """
        deadline, steps = self.within(self.budgets.take_up_outbox_s), Steps(OUTBOX_SWEEP, self.telemetry)
        effects = take_up_outbox(
            emergencies=self.emergencies,
            clock=self.clock,
            telemetry=self.telemetry,
            steps=steps,
            deadline=deadline,
        )
        with steps.step():
            effects += take_up_recordings(
                outbox=self.recording_outbox, clock=self.clock, telemetry=self.telemetry, deadline=deadline
            )
        # They are claimed: nobody else takes them up before their claims lapse.
        self.effects.finish(effects, self.perform)
        steps.raise_foreseen()

    # What is owed

    def perform(self, effect: Effect) -> tuple[Effect, ...]:
        """Do one owed effect; gives what follows from it.

        It is idempotent; what it raises has been put off in the outbox already, or is still due there.
        """
        deadline = self.within(self.budgets.perform_s)
        match effect:
            case ContinueCallback(callback_id):
                return self._continue_callback(callback_id, None, deadline)
            case CarryOnImport() | CarryOnDrill():
                return self._carry_on(effect)
            case ReconcilePresence(agent_key):
                self._reconcile_presence(agent_key, deadline)
            case CloseThread(agent_key):
                return self._close_thread(agent_key, deadline)
            case MergeWaiting():
                return self._merge_waiting(deadline)
            case DeliverNotice():
                return self._deliver_notice(effect, deadline)
            case MailInOutage():
                return self._mail_in_outage(effect, deadline)
            case StopRecording() | SettleRecording() | SettleHeldRecordings():
                self._perform_on_recording(effect, deadline)
            case HoldInOutage() | ReconcilePresenceOf() | ReturnPresence():
                self._perform_on_presence(effect, deadline)
        return ()

    def _perform_on_presence(
        self, effect: HoldInOutage | ReconcilePresenceOf | ReturnPresence, deadline: Deadline
    ) -> None:
        """For somebody of whom it is not known under which key anything is stored."""
        match effect:
            case HoldInOutage():
                self._hold_in_outage(effect)
            case ReconcilePresenceOf(name):
                self._reconcile_presence_of(name, deadline)
            case ReturnPresence(agent_id, hold_id):
                return_presence(
                    agent_id, hold_id, emergencies=self.emergencies, presence=self.presence, deadline=deadline
                )

    def _carry_on(self, effect: CarryOnImport | CarryOnDrill) -> tuple[Effect, ...]:
        match effect:
            case CarryOnImport(operation_id):
                return self._carry_on_import(operation_id)
            case CarryOnDrill(drill_id):
                # What is left of it is taken up by a sweep, once this process's claim has lapsed.
                self._carry_on_drill(drill_id)
        return ()

    def _perform_on_recording(
        self, effect: StopRecording | SettleRecording | SettleHeldRecordings, deadline: Deadline
    ) -> None:
        match effect:
            case StopRecording(recording_id):
                stop_recording(recording_id, recordings=self.recordings, telemetry=self.telemetry, deadline=deadline)
            case SettleRecording():
                self._settle_recording(effect, deadline)
            case SettleHeldRecordings():
                self._settle_held_recordings(effect, deadline)

    def _reconcile_presence(self, agent_key: str, deadline: Deadline) -> None:
        reconcile_presence(
            agent_key,
            emergencies=self.emergencies,
            presence=self.presence,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    def _reconcile_presence_of(self, name: str, deadline: Deadline) -> None:
        known = self.emergencies.find(name, deadline).result().emergency
        if known is not None:
            self._reconcile_presence(known.agent_key, deadline)

    def _close_thread(self, agent_key: str, deadline: Deadline) -> tuple[Effect, ...]:
        return close_thread(
            agent_key,
            emergencies=self.emergencies,
            directory=self.directory,
            clock=self.clock,
            deployment=self.deployment,
            deadline=deadline,
        )

    def _merge_waiting(self, deadline: Deadline) -> tuple[Effect, ...]:
        return merge_waiting(
            emergencies=self.emergencies,
            quota=self.mail_quota,
            deployment=self.deployment,
            clock=self.clock,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    def _deliver_notice(self, effect: DeliverNotice, deadline: Deadline) -> tuple[Effect, ...]:
        return deliver_notice(
            effect.owed,
            granted_at=effect.granted_at,
            emergencies=self.emergencies,
            deliveries=self.deliveries,
            deployment=self.deployment,
            notifier=self.notifier,
            quota=self.mail_quota,
            template=self.template,
            clock=self.clock,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    def _hold_in_outage(self, effect: HoldInOutage) -> None:
        hold_in_outage(
            effect,
            presence=self.presence,
            outage=self.outage,
            clock=self.clock,
            telemetry=self.telemetry,
            deadline=self.within(self.budgets.hold_in_outage_s),
        )
        # The store may know the dial by now, and even its end: then nobody else would give this back.
        for name in effect.names:
            with suppress(EmergencyCallingError):
                self._reconcile_presence_of(name, self.within(self.budgets.hold_in_outage_s))

    def _mail_in_outage(self, effect: MailInOutage, deadline: Deadline) -> tuple[Effect, ...]:
        mail_in_outage(
            effect.dial_key,
            effect.notice,
            notifier=self.notifier,
            quota=self.mail_quota,
            template=self.template,
            outage=self.outage,
            clock=self.clock,
            telemetry=self.telemetry,
            deadline=deadline,
        )
        # Whoever records the dial, before or after this or in another process, cannot say whom the mail has reached.
        with suppress(EmergencyCallingError):
            noted = self._note_mailed(effect)
            if noted is not None:
                return noted
        again = partial(self._is_noted, effect)
        self.repeats.keep(MAILS, effect.dial_key, again, MAX_MAILS_NOTED)
        return ()

    def _is_noted(self, mailed: MailInOutage) -> bool:
        try:
            effects = self._note_mailed(mailed)
        except Unavailable:
            return False
        self.effects.start(effects or (), self.perform)
        return effects is not None

    def _note_mailed(self, mailed: MailInOutage) -> tuple[Effect, ...] | None:
        return note_mailed(
            mailed,
            emergencies=self.emergencies,
            outage=self.outage,
            clock=self.clock,
            deadline=self.within(self.budgets.hold_in_outage_s),
        )

    def _settle_recording(self, effect: SettleRecording, deadline: Deadline) -> None:
        settle_recording(
            effect.owed,
            emergencies=self.emergencies,
            outbox=self.recording_outbox,
            recordings=self.recordings,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )

    def _settle_held_recordings(self, effect: SettleHeldRecordings, deadline: Deadline) -> None:
        settle_held_recordings(
            effect.agent_key,
            emergencies=self.emergencies,
            outbox=self.recording_outbox,
            recordings=self.recordings,
            clock=self.clock,
            deployment=self.deployment,
            telemetry=self.telemetry,
            deadline=deadline,
        )
