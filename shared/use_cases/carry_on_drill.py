"""A drill is played step by step, by whichever process has it: the whole chain, without a call (B9).

A drill is the agent's own emergency as everything else sees it, with a lease that is marked. So a real dial finds it in
the row that it reads anyway, and takes its place in its own transaction; the drill sees that before its next step.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.callbacks import Connected, Fact, Invitation, Joined, Over, Rung
from shared.domain.callers import Caller, CallerKind
from shared.domain.deployment import Deployment
from shared.domain.dials import Dial
from shared.domain.drills import (
    CLAIMED_FOR,
    GIVEN_UP_AFTER,
    LAST_STEPS,
    Drill,
    DrillState,
    DrillStep,
    Play,
    StepName,
    StepState,
    concluded,
    state_of,
    step_to_do,
    with_step,
)
from shared.domain.emergencies import Emergency, LegEnd, standing, with_legs_ended, with_reported_end, with_ringing
from shared.domain.errors import (
    AgentBusy,
    Conflict,
    EmergencyCallingError,
    NotAnEmergency,
    NotFound,
    Refused,
    Unavailable,
)
from shared.domain.ids import agent_key_of, derived, leg_id_of
from shared.domain.leases import DRILL_WORD, Lease
from shared.domain.locations import ToldLocation
from shared.domain.notifications import Delivery, Notice, NoticeKind
from shared.domain.presence import PEOPLE, Presence, PresenceStatus
from shared.domain.words import Words
from shared.ports import (
    AgentDirectory,
    Desktops,
    Drills,
    EmergencyStore,
    MailQuota,
    NoticeTemplate,
    Notifier,
    NumberPool,
    OutageLog,
    OwedNotice,
    PresenceGateway,
    SiteRegister,
    Stored,
    Telemetry,
    VoiceRoutes,
)
from shared.use_cases.answer_callback import answer_callback, callback_id_of
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.continue_callback import MidCall, continue_callback
from shared.use_cases.deliver_notice import Sending
from shared.use_cases.drill_calls import DrillCalls
from shared.use_cases.effects import DeliverNotice, Effect, ReconcilePresence
from shared.use_cases.route_callback import Incoming
from shared.use_cases.sender_grants import SenderGrants
from shared.use_cases.start_call import lend_for_drill

# A service outside is taken at its word for some seconds, because it shows later what it took; then it must show it.
WORD_LASTS_S = 6.0
LOOKS = 2
STEP_WITHIN_S = 10.0
CLEAN_UP_TRIES = 5
MAX_TIME_TOLD = timedelta(hours=24)
THE_AGENTS = (Rung.AGENT, Rung.ENGAGED, Rung.ALTERNATE)
# The number that stands for the emergency services of wherever the agent is (RFC 5031).
EMERGENCY_SERVICES = "urn:service:sos"

type Outcome = tuple[StepState, Words | None]

PASSED: Outcome = (StepState.PASSED, None)
OVERTAKEN: Outcome = (StepState.OVERTAKEN, Words("A real call came, and has the number and the presence."))
ENDED_OUTSIDE = Words("Somebody or something else has ended the drill.")


class Stage(Struct, frozen=True, kw_only=True):
    """All that a drill touches. `pause` lets so many seconds pass."""

    drills: Drills
    emergencies: EmergencyStore
    numbers: NumberPool
    directory: AgentDirectory
    desktops: Desktops
    sites: SiteRegister
    presence: PresenceGateway
    notifier: Notifier
    quota: MailQuota
    template: NoticeTemplate
    outage: OutageLog
    clock: Clock
    deployment: Deployment
    telemetry: Telemetry
    routes: VoiceRoutes
    pause: Callable[[float], None]


class _RealCall(EmergencyCallingError):
    """A real call has taken the place of the drill."""


def carry_on_drill(
    drill_id: str,
    *,
    claim: str,
    stage: Stage,
    perform: Callable[[Effect], Sequence[Effect]],
    deadline: Deadline,
) -> None:
    """Play as much of the drill as there is time for; what is left another one takes up. Raises `Unavailable`.

    `claim` is who plays it: nobody else does until it is over, or has lapsed. `perform` does what the chain owes.
    Idempotent: a step that a process died in is done once more.
    """
    now = stage.clock.now()
    drill = stage.drills.claim(drill_id, claim, now, now + CLAIMED_FOR, _step_deadline(stage))
    if drill is not None and drill.play is not None:
        _Playing(drill, drill.play, claim, stage, perform).go_on(deadline)


def _step_deadline(stage: Stage) -> Deadline:
    """The time of one step."""
    return Deadline(stage.clock, STEP_WITHIN_S)


class _Playing:
    """One process's part of a drill."""

    def __init__(
        self, drill: Drill, play: Play, claim: str, stage: Stage, perform: Callable[[Effect], Sequence[Effect]]
    ) -> None:
        self._drill = drill
        self._play = play
        self._claim = claim
        self._stage = stage
        self._perform_one = perform
        self._name = agent_key_of(play.agent_id)
        self._call_id = f"drill-{drill.drill_id}"
        self._leg_id = leg_id_of(self._name, self._call_id)
        self._epoch = derived(self._leg_id, "lease")
        self._origin = f"drill|{drill.drill_id}"
        self._steps: dict[StepName, Callable[[], Outcome]] = {
            StepName.LEASE: self._lend,
            StepName.PRESENCE: self._hold_presence,
            StepName.EMAIL: self._mail,
            StepName.CALLBACK: self._call_back,
            StepName.RESTORE: self._restore,
            StepName.RELEASE: self._release,
        }

    def go_on(self, deadline: Deadline) -> None:
        """Step by step, until the last one or the end of the time."""
        while (name := step_to_do(self._drill)) is not None:
            if deadline.passed():
                return
            self._keep(DrillStep(step=name, state=StepState.RUNNING))
            began = self._stage.clock.monotonic()
            state, said = self._outcome_of(name)
            ms = round((self._stage.clock.monotonic() - began) * 1000)
            self._keep(_step(name, state, ms, said))
            self._stage.telemetry.emit("drill_step", step=name.value, state=state.value, ms=ms)
        self._conclude()

    # The frame

    @property
    def _deadline(self) -> Deadline:
        return _step_deadline(self._stage)

    def _now(self) -> datetime:
        return self._stage.clock.now()

    def _keep(self, step: DrillStep) -> None:
        self._play = structs.replace(self._play, claim=self._claim, claimed_until=self._now() + CLAIMED_FOR)
        self._drill = structs.replace(with_step(self._drill, step), play=self._play)
        self._stage.drills.keep(self._drill, self._claim, self._deadline)

    def _conclude(self) -> None:
        told = concluded(self._drill)
        if told.state is DrillState.PASSED:
            self._stage.drills.passed(told.at, self._deadline)
        self._stage.drills.keep(told, self._claim, self._deadline)
        # One that nobody carried on for days says no more by how long.
        took = min(self._now() - told.at, MAX_TIME_TOLD)
        self._stage.telemetry.emit("drill_over", outcome=told.state.value, ms=round(took.total_seconds() * 1000))

    def _outcome_of(self, name: StepName) -> Outcome:
        if name not in LAST_STEPS:
            if self._play.overtaken:
                return StepState.SKIPPED, None
            if name is not StepName.LEASE and not self._was_lent:
                return StepState.SKIPPED, Words("No number was lent.")
            if self._now() - self._drill.at > GIVEN_UP_AFTER:
                return _failed(Words("The drill took too long: the process that played it has died, or was held up."))
        try:
            return self._steps[name]()
        except _RealCall:
            if name in LAST_STEPS and not self._was_lent:
                return StepState.SKIPPED, None
            self._play = structs.replace(self._play, overtaken=True)
            return OVERTAKEN
        except Unavailable as away:
            if name in LAST_STEPS and self._now() - self._drill.at <= GIVEN_UP_AFTER:
                # The store is away: a sweep cleans up, once this claim has lapsed.
                raise
            return _failed(Words("Something did not answer in time{code}.", code=_named(away)))
        except EmergencyCallingError as error:
            return _failed(Words("Refused: {error}.", error=type(error).__name__))

    @property
    def _was_lent(self) -> bool:
        return state_of(self._drill, StepName.LEASE) == StepState.PASSED

    def _loaded(self) -> Stored:
        """The drill's emergency; without one where nothing is there. Raises `_RealCall` where a real one is."""
        stored = self._stage.emergencies.find(self._name, self._deadline).result()
        if stored.emergency is not None:
            self._require_drill(stored.emergency)
        return stored

    def _require_drill(self, emergency: Emergency) -> Lease:
        lease = emergency.lease
        if lease is None or not lease.drill or lease.epoch != self._epoch:
            raise _RealCall
        return lease

    def _going_on(self) -> Emergency | None:
        """The drill as long as nothing has taken its place or its number, None where somebody ended it."""
        emergency = self._loaded().emergency
        if emergency is not None and self._require_drill(emergency).lost:
            raise _RealCall
        over = emergency is None or not standing(emergency, self._stage.deployment.rules, self._now()).in_progress
        return None if over else emergency

    def _perform(self, effects: Sequence[Effect]) -> EmergencyCallingError | None:
        """Do these and what follows from them, each in a try of its own; gives the first thing that went wrong."""
        wrong: EmergencyCallingError | None = None
        waiting = list(effects)
        while waiting:
            try:
                waiting += self._perform_one(waiting.pop(0))
            except EmergencyCallingError as error:
                wrong = wrong or error
        return wrong

    # The chain

    def _lend(self) -> Outcome:
        stage = self._stage
        stage.numbers.sync_pool(self._now(), self._deadline)
        dial = Dial(
            call_id=self._call_id,
            agent_id=self._play.agent_id,
            dialled=EMERGENCY_SERVICES,
            drill_for=self._play.recipients,
        )
        try:
            lend_for_drill(
                dial,
                caller=Caller(kind=CallerKind.MACHINE, name=DRILL_WORD),
                emergencies=stage.emergencies,
                numbers=stage.numbers,
                directory=stage.directory,
                desktops=stage.desktops,
                sites=stage.sites,
                outage=stage.outage,
                clock=stage.clock,
                deployment=stage.deployment,
                word=f"{DRILL_WORD}.{self._claim}",
                deadline=self._deadline,
                routes=stage.routes,
            )
        except AgentBusy:
            return _failed(Words("The agent has an emergency, or had one whose number still rests."))
        except NotFound:
            return _failed(Words("Fewer than two numbers are free: the last one is kept for a real call."))
        except NotAnEmergency:
            return _failed(Words("No country in use has an emergency number."))
        return PASSED

    def _hold_presence(self) -> Outcome:
        emergency = self._going_on()
        if emergency is None:
            return _failed(ENDED_OUTSIDE)
        wrong = self._perform([ReconcilePresence(emergency.agent_key)])
        if wrong is not None:
            return _failed(Words("The presence service did not take Do not disturb{code}.", code=_named(wrong)))
        shown = self._shown(emergency, lambda each: each.in_place)
        if not shown.settable:
            return _failed(
                Words("Nobody can be set there: the agent is not known to the presence service, or not logged in.")
            )
        if shown.status is not PresenceStatus.DO_NOT_DISTURB:
            return _failed(
                Words("The presence service took Do not disturb, and shows {status}.", status=shown.status.value)
            )
        return PASSED

    def _shown(self, emergency: Emergency, as_wanted: Callable[[Presence], bool]) -> Presence:
        """What the presence service shows, once that is as wanted, or was set once more."""
        for look in range(LOOKS):
            if not self._stage.presence.embedded:
                self._stage.pause(WORD_LASTS_S)
            shown = self._stage.presence.read(emergency.presence_id, self._deadline)
            if as_wanted(shown):
                break
            if look + 1 < LOOKS:
                # What something else hides there is set once more, and more strongly.
                self._perform([ReconcilePresence(emergency.agent_key)])
        return shown

    def _mail(self) -> Outcome:
        if not self._play.recipients:
            return StepState.SKIPPED, Words("No recipients were given: no e-mail was sent.")
        if self._going_on() is None:
            return _failed(ENDED_OUTSIDE)
        wrong = self._perform([DeliverNotice(each) for each in self._owed()])
        reached = self._reached()
        missing = [each for each in self._play.recipients if each.casefold() not in reached]
        if not missing:
            return PASSED
        if reached:
            return _failed(
                Words(
                    "{refused} of {recipients} recipients were refused.",
                    refused=len(missing),
                    recipients=len(self._play.recipients),
                )
            )
        return _failed(Words("The e-mail service did not take it{code}.", code=_named(wrong)))

    def _owed(self) -> list[OwedNotice]:
        """The drill's notices; one that is overdue is claimed first, since a sweep may have it in hand."""
        owed: list[OwedNotice] = []
        for each in self._stage.emergencies.drill_mail(self._deadline).owed:
            with suppress(Conflict):
                if each.due_at <= self._now():
                    each = self._stage.emergencies.claim(each, self._now() + CLAIMED_FOR, self._deadline)  # noqa: PLW2901
                owed.append(each)
        return owed

    def _reached(self) -> set[str]:
        sent = self._stage.emergencies.drill_mail(self._deadline).sent
        known = (each for dispatch in sent for each in dispatch.deliveries.items())
        return {address.casefold() for address, state in known if state is not Delivery.REFUSED}

    # The callback

    def _call_back(self) -> Outcome:
        emergency, stage = self._going_on(), self._stage
        if emergency is None or emergency.lease is None:
            return _failed(ENDED_OUTSIDE)
        if stage.deployment.callback_events_url is None:
            return _failed(
                Words("Events of a callback cannot come here or be verified: see callback_events in the readiness.")
            )
        answer_callback(
            Incoming(to_number=emergency.lease.number, context=self._origin, origin=self._origin, drill=True),
            emergencies=stage.emergencies,
            numbers=stage.numbers,
            router=DrillCalls(),
            clock=stage.clock,
            deployment=stage.deployment,
            telemetry=stage.telemetry,
            pause=stage.pause,
            deadline=self._deadline,
        )
        self._say(Connected())
        rung = self._rung()
        if not any(each.rung in THE_AGENTS for each in rung):
            return _failed(
                Words("A callback rings the desk at once: the entry has neither an identity nor another number.")
            )
        self._say(Joined(rung[0].invitation_id, rung[0].target))
        joined = self._going_on()
        if joined is None or all(leg.callback is None for leg in joined.legs):
            return _failed(Words("The agent was rung, and their answer is not known as a call of theirs."))
        self._say(Over())
        return PASSED

    def _say(self, fact: Fact) -> None:
        """Move the callback on as an event of its call does; nobody is rung."""
        stage = self._stage
        stored = stage.emergencies.callback(callback_id_of(self._origin), self._deadline).result()
        if stored.callback is None:
            raise Unavailable
        effects = continue_callback(
            stored.callback.callback_id,
            MidCall(connection_id=stored.callback.connection_id, fact=fact),
            emergencies=stage.emergencies,
            numbers=stage.numbers,
            directory=stage.directory,
            router=DrillCalls(),
            clock=stage.clock,
            deployment=stage.deployment,
            telemetry=stage.telemetry,
            deadline=self._deadline,
        )
        self._perform(effects)

    def _rung(self) -> tuple[Invitation, ...]:
        stored = self._stage.emergencies.callback(callback_id_of(self._origin), self._deadline).result()
        return stored.callback.invitations if stored.callback is not None else ()

    # What cleans up

    def _restore(self) -> Outcome:
        before = self._loaded().emergency
        if before is None:
            return StepState.SKIPPED, None
        self._forget_callback()
        effects = change_emergency(
            before.agent_key,
            self._ended,
            emergencies=self._stage.emergencies,
            now=self._now(),
            deadline=self._deadline,
        )
        wrong = self._perform(effects)
        emergency = self._loaded().emergency or before
        found = emergency.hold.before if emergency.hold is not None else None
        if found is None:
            return StepState.SKIPPED, Words("Nothing was held.")
        hold_id = emergency.hold.hold_id if emergency.hold is not None else ""
        try:
            shown = self._shown(emergency, lambda each: each.hold_id != hold_id and each.status is found)
        except Unavailable as away:
            return _failed(
                Words("The presence service did not answer{code}; it is given back when it does.", code=_named(away))
            )
        if shown.status is found:
            return PASSED
        if shown.hold_id != hold_id and shown.changed_by in PEOPLE:
            return StepState.PASSED, Words("Somebody has changed it meanwhile, and that stays.")
        return _failed(
            Words("The presence service shows {status}{code}.", status=shown.status.value, code=_named(wrong))
        )

    def _ended(self, emergency: Emergency) -> Emergency:
        self._require_drill(emergency)
        rules, now = self._stage.deployment.rules, self._now()
        told = with_ringing(emergency, callback_id_of(self._origin), None)
        told = with_reported_end(told, self._leg_id, LegEnd(now, by_agent=True), rules, now)
        return with_legs_ended(told, rules, now)

    def _forget_callback(self) -> None:
        """Whoever takes it up meanwhile changes it: then it is read and removed again."""
        for _ in range(CLEAN_UP_TRIES):
            stored = self._stage.emergencies.callback(callback_id_of(self._origin), self._deadline).result()
            try:
                self._stage.emergencies.forget_callback(stored, self._deadline)
            except Conflict:
                continue
            return

    def _release(self) -> Outcome:
        self._forget_callback()
        try:
            return self._forget_emergency()
        except _RealCall:
            self._tell_over()
            raise
        finally:
            self._stage.emergencies.forget_drill_mail(self._deadline)

    def _forget_emergency(self) -> Outcome:
        for _ in range(CLEAN_UP_TRIES):
            stored = self._loaded()
            emergency = stored.emergency
            if emergency is None:
                return PASSED
            if not self._forgets_presence(emergency):
                return _failed(Words("The number is kept until the presence can be given back; both are tried on."))
            try:
                self._stage.emergencies.forget(stored, self._now(), self._deadline)
            except Conflict:
                continue
            return PASSED
        return _failed(Words("The number could not be given back now; it is within some minutes."))

    def _forgets_presence(self, emergency: Emergency) -> bool:
        """Whether nothing of the hold is left. Afterwards nobody would know that anything is, so it comes first."""
        hold = emergency.hold
        if hold is None or hold.before is None:
            # Nothing was ever set: what was found is remembered before.
            return True
        if not hold.settled:
            return False
        try:
            return self._stage.presence.forget(emergency.presence_id, hold.hold_id, self._deadline) is None
        except EmergencyCallingError:
            return False

    def _tell_over(self) -> None:
        """Those who were told of the drill are told that it is over: its own thread went with the real call."""
        reached = self._reached()
        recipients = tuple(each for each in self._play.recipients if each.casefold() in reached)
        sent = self._stage.emergencies.drill_mail(self._deadline).sent
        told = next((dispatch.notice for dispatch in sent if dispatch.notice is not None), None)
        if told is None or not recipients or not self._stage.deployment.closing_notices:
            return
        now = self._now()
        notice = Notice(
            notice_id=derived(self._leg_id, NoticeKind.CLOSING.value),
            recipients=recipients,
            agent_id=self._play.agent_id,
            agent_name=told.agent_name,
            dialled_at=self._drill.at,
            ended_at=now,
            callback_number="",
            reachable_until=now,
            shared=False,
            test=False,
            drill=True,
            degraded=False,
            location=ToldLocation(),
            locale=told.locale,
            time_zone=told.time_zone,
            thread=told.mail_thread,
            give_up_at=now,
            kind=NoticeKind.CLOSING,
        )
        stage, words = self._stage, self._stage.template.render(notice, now)
        grants = SenderGrants(lambda: stage.quota.take(1, self._deadline, repeat=True), stage.quota, stage.clock)
        with suppress(EmergencyCallingError):
            Sending(notice, words, stage.notifier, stage.telemetry, grants).send_to_all(self._deadline)
        grants.give_back(self._deadline)


def _failed(said: Words) -> Outcome:
    return StepState.FAILED, said


def _step(name: StepName, state: StepState, ms: int, said: Words | None) -> DrillStep:
    if said is None:
        return DrillStep(step=name, state=state, ms=ms)
    values = {key: value for key, value in said.values.items() if not isinstance(value, tuple)}
    return DrillStep(step=name, state=state, ms=ms, reason=str(said), template=said.template, values=values)


def _named(error: EmergencyCallingError | None) -> str:
    """The log's word for what must be mended, where the service gave one."""
    if isinstance(error, Unavailable) and error.reason:
        return f" ({error.reason})"
    return " (refused)" if isinstance(error, Refused) else ""
