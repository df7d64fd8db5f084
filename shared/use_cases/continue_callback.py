"""Move a callback on: after an event of its call, or because the sweep found that none came (B4)."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import reduce

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.callback_ladder import Cancel, Close, Look, Ring, RingAgain, Step, Wait, due_at, next_step, with_step
from shared.domain.callback_legs import reflected, set_back
from shared.domain.callbacks import (
    MAX_TRIES_WITHOUT_STATE,
    Accepted,
    Callback,
    Cancelled,
    Connected,
    Fact,
    Invitation,
    Joined,
    Looked,
    NotJoined,
    Over,
    Unseen,
    called_by,
    caller_labelled,
    id_without_state,
    label_in,
    number_labelled,
    on_the_call,
    own_people,
    try_without_state,
    unaccounted,
    was_answered,
    with_fact,
)
from shared.domain.deployment import Deployment
from shared.domain.emergencies import (
    Emergency,
    all_kept_until,
    with_callback_notice,
    with_missed_awaited,
    with_thread_opened,
)
from shared.domain.errors import Conflict, NotFound, Refused, Unavailable
from shared.domain.ids import derived, key_of
from shared.domain.notifications import Notice
from shared.domain.phone_numbers import is_e164
from shared.ports import (
    AgentDirectory,
    CallbackChange,
    CallRouter,
    Change,
    EmergencyStore,
    Invite,
    NumberPool,
    Pending,
    Stored,
    StoredCallback,
    Telemetry,
)
from shared.use_cases.drill_calls import DrillCalls
from shared.use_cases.effects import DeliverNotice, Effect, ReconcilePresence
from shared.use_cases.load_emergencies import load_emergencies
from shared.use_cases.look_up_answers import look_up_answers, new_legs_of
from shared.use_cases.notify_of_callback import OwedOfCallback, concerns, kind_owed, notice_of
from shared.use_cases.route_callback import parties_of

STORE_WITHIN_S = 1.5
REQUEST_WITHIN_S = 5.0


class MidCall(Struct, frozen=True, kw_only=True):
    """An event of a callback's call. `label` is what the call was labelled with, where the event brings that."""

    connection_id: str
    fact: Fact
    server_call_id: str | None = None
    label: str | None = None

    @property
    def full_label(self) -> str | None:
        """What the call was labelled with, also where only an invitation's id brings it."""
        match self.fact:
            case Joined(invitation_id) | NotJoined(invitation_id):
                return self.label or label_in(invitation_id)
            case _:
                return self.label


def continue_callback(
    callback_id: str,
    said: MidCall | None,
    *,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    directory: AgentDirectory,
    router: CallRouter,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Take in what was said, and do whatever is next, until nothing is to be done but to wait.

    While the store is away the desk is rung all the same. Raises `Unavailable`, and has then done what it could.
    """
    climb = _Climb(
        callback_id, emergencies, numbers, directory, router, clock, deployment, telemetry=telemetry, deadline=deadline
    )
    try:
        climb.run(said)
    except Unavailable:
        # Where what was said is remembered, the sweep goes on from there, and what is owed begins now.
        if not climb.remembered:
            if said is not None:
                climb.ring_without_state(said)
            raise
    return tuple(climb.effects)


class _Known(Struct, frozen=True):
    """The callback and the emergencies of its parties, as they were read."""

    stored: StoredCallback
    emergencies: tuple[Stored, ...]


class _Climb:
    """The way of one event, or of one sweep, through read, decide, commit, act; again for what the acting brings."""

    def __init__(
        self,
        callback_id: str,
        emergencies: EmergencyStore,
        numbers: NumberPool,
        directory: AgentDirectory,
        router: CallRouter,
        clock: Clock,
        deployment: Deployment,
        *,
        telemetry: Telemetry,
        deadline: Deadline,
    ) -> None:
        self._callback_id = callback_id
        self._emergencies = emergencies
        self._numbers = numbers
        self._directory = directory
        self._router: CallRouter = router
        self._clock = clock
        self._deployment = deployment
        self._telemetry = telemetry
        self._deadline = deadline
        self.effects: list[Effect] = []
        self.remembered = False

    def run(self, said: MidCall | None) -> None:
        """Move on; `effects` are owed by then, and `remembered` says whether what was said is."""
        facts: list[Fact] = [said.fact] if said is not None else []
        heard = said
        while (known := self._read(said)) is not None:
            before, now = known.stored.callback, self._clock.now()
            assert before is not None
            if before.drill:
                # Whoever takes it up: nobody is rung.
                self._router = DrillCalls()
            told = _with_emergencies(known, self._told(before, heard, facts, now))
            busy = self._engaged(known, told, now)
            step = next_step(told, self._deployment.ladder, busy, now)
            kept_until = all_kept_until((each.emergency for each in known.emergencies), self._deployment.rules, now)
            try:
                planned = with_step(told, step, kept_until, now)
                if planned != before or (said is None and isinstance(step, Wait) and not planned.closed):
                    self._commit(known, told, planned, busy, now)
            except Conflict:
                self._deadline.require()
                continue
            self.remembered = True
            self._report(before, planned, step)
            # What the acting brought is ours, though the event was of another connection.
            facts, heard = self._act(step, planned), None
            if not facts:
                break
            self._deadline.require()

    # Reading

    def _read(self, said: MidCall | None) -> _Known | None:
        deadline = Deadline(self._clock, STORE_WITHIN_S)
        stored = self._emergencies.callback(self._callback_id, deadline).result()
        if stored.callback is None and said is not None and self._begins(said.fact) and self._goes_on(said):
            stored = StoredCallback(self._found(said, deadline))
        if stored.callback is None:
            return None
        drill = stored.callback.drill
        parties = [party.agent_key for party in stored.callback.parties]
        read = load_emergencies(parties, emergencies=self._emergencies, deadline=deadline)
        # Where a real call overtook a drill, its callback is nothing of that emergency (B9).
        return _Known(
            stored, tuple(each for each in read if each.emergency is not None and each.emergency.drill is drill)
        )

    def _begins(self, fact: Fact) -> bool:
        """Whether a callback without a row can only be one whose row is late, and not one that is long forgotten."""
        match fact:
            case Connected():
                return True
            case Joined(invitation_id) | NotJoined(invitation_id):
                return try_without_state(self._callback_id, invitation_id) is not None
            case _:
                return False

    def _goes_on(self, said: MidCall) -> bool:
        """Unless it is over: an event that comes a day late must not look for holders, who may be others by now."""
        try:
            with suppress(Refused):
                self._router.people(said.connection_id, Deadline(self._clock, REQUEST_WITHIN_S))
        except NotFound:
            return False
        return True

    def _found(self, said: MidCall, deadline: Deadline) -> Callback:
        """The callback as whoever answered it would have written it, had they not been slower, or died."""
        number = self._number(said)
        parties = parties_of(
            number,
            numbers=self._numbers,
            deployment=self._deployment,
            now=self._clock.now(),
            deadline=deadline,
        )
        return Callback(
            callback_id=self._callback_id,
            connection_id=said.connection_id,
            answered_at=self._clock.now(),
            number=number,
            server_key=key_of(said.server_call_id) if said.server_call_id else None,
            parties=parties or (),
            caller=caller_labelled(said.full_label, own_people(parties or (), self._deployment.ladder)),
            connected=True,
        )

    def _number(self, said: MidCall) -> str | None:
        """The number dialled, if it is still of the pool."""
        return number_labelled(said.full_label, self._deployment.callback_numbers)

    def _told(self, callback: Callback, said: MidCall | None, facts: Sequence[Fact], now: datetime) -> Callback:
        if said is not None and said.connection_id != callback.connection_id:
            if callback.closed or callback.connected or not isinstance(said.fact, Connected):
                # Of a connection that never came to anything.
                return callback
            callback = structs.replace(callback, connection_id=said.connection_id)
        return reduce(lambda known, fact: with_fact(known, fact, now), facts, callback)

    def _engaged(self, known: _Known, callback: Callback, now: datetime) -> set[str]:
        """The agents who ring after others, because they are in a call."""
        found = (each.emergency for each in known.emergencies if each.emergency is not None)
        rules = self._deployment.rules
        return {emergency.agent_key for emergency in found if set_back(emergency, callback, rules, now)}

    # Writing

    def _commit(self, known: _Known, told: Callback, planned: Callback, busy: set[str], now: datetime) -> None:
        changes: list[Change] = []
        for stored in known.emergencies:
            spent = [change.ration_row for change in changes if change.ration_row is not None]
            change = self._change(known, stored, told, planned, spent, now)
            changes += [change] if change is not None else []
        owed = self._emergencies.commit_callback(
            CallbackChange(
                stored=known.stored,
                callback=planned,
                due_at=due_at(planned, self._deployment.ladder, busy, now),
                emergencies=tuple(changes),
            ),
            self._deadline,
        )
        for change in changes:
            before = change.stored.emergency
            assert before is not None
            if change.notice_from is not None:
                self._telemetry.emit("notice_rationed")
            if change.emergency.presence_due_at not in (None, before.presence_due_at):
                self.effects.append(ReconcilePresence(change.emergency.agent_key))
        self.effects += [DeliverNotice(each) for each in owed]

    def _change(
        self, known: _Known, stored: Stored, told: Callback, planned: Callback, spent: Sequence[str], now: datetime
    ) -> Change | None:
        emergency, before = stored.emergency, known.stored.callback
        assert emergency is not None and before is not None
        callback = told if planned.closed else planned
        found = look_up_answers(
            emergency, callback, emergencies=self._emergencies, directory=self._directory, deadline=self._deadline
        )
        recorded = {key: each.recorded for key, each in found.items()}
        changed = reflected(emergency, callback, recorded, self._deployment.rules, now)
        owed = OwedOfCallback()
        kind = kind_owed(before, told, planned.closed and not before.closed, self._deployment)
        if kind is not None and concerns(told, kind, emergency):
            owed = notice_of(
                told,
                kind,
                changed,
                numbers=self._numbers,
                directory=self._directory,
                deployment=self._deployment,
                now=now,
                spent=spent,
                deadline=self._deadline,
            )
        answered = any(leg.callback == told.callback_id for leg in changed.legs)
        if owed.notice is not None:
            changed = self._with_notice(
                changed, owed.notice, now, answered=answered, later=owed.notice_from is not None
            )
        if changed == emergency:
            return None
        return Change(
            stored=stored,
            emergency=changed,
            now=now,
            new_legs=new_legs_of(emergency, changed, found),
            notice=owed.notice,
            ration_row=owed.ration_row,
            notice_from=owed.notice_from,
        )

    def _with_notice(
        self, emergency: Emergency, notice: Notice, now: datetime, *, answered: bool, later: bool
    ) -> Emergency:
        """An answered callback opens the thread; the end is told after either."""
        emergency, rules, test = with_callback_notice(emergency, now), self._deployment.rules, notice.test
        if not self._deployment.closing_notices:
            return emergency
        if answered:
            return with_thread_opened(emergency, notice.notice_id, rules, now, test=test, rationed=later)
        return emergency if later else with_missed_awaited(emergency, notice.notice_id, rules, now, test=test)

    # Acting

    def _act(self, step: Step, callback: Callback) -> list[Fact]:
        match step:
            case Ring(invitations, lap):
                facts = self._invite(callback, invitations)
                if lap.begins:
                    self._play_prompt(callback, lap.number)
                return facts
            case RingAgain(invitations):
                return self._invite(callback, invitations)
            case Cancel(invitations):
                return [fact for each in invitations if (fact := self._cancel(callback, each))]
            case Look():
                return self._look(callback)
            case Wait() | Close():
                return []

    def _invite(self, callback: Callback, invitations: Sequence[Invitation]) -> list[Fact]:
        """All at once; what call control neither took on nor refused is sent again later."""
        deadline = Deadline(self._clock, REQUEST_WITHIN_S)
        sent = [(each, self._send(callback.connection_id, callback.number, each, deadline)) for each in invitations]
        return [fact for each, pending in sent if (fact := self._outcome(each, pending))]

    def _send(
        self, connection_id: str, number: str | None, invitation: Invitation, deadline: Deadline
    ) -> Pending[str] | None:
        # A number that we do not know was dialled all the same: any of ours may be shown instead.
        own = number or next(iter(self._deployment.callback_numbers), None)
        invite = Invite(
            connection_id=connection_id,
            invitation_id=invitation.invitation_id,
            target=invitation.target,
            ring_s=invitation.ring_s(self._clock.now()),
            caller_id=own if is_e164(invitation.target) else None,
        )
        try:
            return self._router.invite(invite, deadline)
        except Unavailable:
            return None

    def _outcome(self, invitation: Invitation, pending: Pending[str] | None) -> Fact | None:
        if pending is None:
            return None
        try:
            return Accepted(invitation.invitation_id, pending.result())
        except NotFound:
            return Over()
        except Refused:
            self._telemetry.emit("callback_failed", reason="invite_refused")
            return NotJoined(invitation.invitation_id)
        except Unavailable:
            self._telemetry.emit("callback_failed", reason="invite_unavailable")
            return None

    def _cancel(self, callback: Callback, invitation: Invitation) -> Fact | None:
        assert invitation.handle is not None
        origin = derived(invitation.invitation_id, "cancel")
        deadline = Deadline(self._clock, REQUEST_WITHIN_S)
        try:
            self._router.cancel(callback.connection_id, invitation.handle, origin=origin, deadline=deadline)
        except NotFound:
            return Over()
        except Refused:
            # They ring no more.
            return Cancelled(invitation.invitation_id)
        except Unavailable:
            return None
        return Cancelled(invitation.invitation_id)

    def _look(self, callback: Callback) -> list[Fact]:
        asked_at = self._clock.now()
        try:
            people = self._router.people(callback.connection_id, Deadline(self._clock, REQUEST_WITHIN_S))
        except NotFound:
            return [Over()]
        except (Refused, Unavailable):
            self._telemetry.emit("callback_failed", reason="look", **called_by(callback.parties))
            return [Unseen()]
        unaccounted_for = enumerate(unaccounted(callback, self._deployment.ladder, people))
        desk = [Joined(id_without_state(self._callback_id, number, None), each) for number, each in unaccounted_for]
        return [Looked(people, asked_at), *desk]

    def _play_prompt(self, callback: Callback, lap_number: int) -> None:
        if self._deployment.prompt_url is None:
            return
        # The ladder works without it.
        with suppress(NotFound, Refused, Unavailable):
            self._router.play(
                callback.connection_id,
                self._deployment.prompt_url,
                origin=derived(self._callback_id, f"prompt|{lap_number}"),
                deadline=Deadline(self._clock, REQUEST_WITHIN_S),
            )

    # Without the store

    def ring_without_state(self, said: MidCall) -> None:
        """Ring the desk, one after the other: each invitation's id says which comes next."""
        match said.fact:
            case Connected():
                first = 0
            case NotJoined(invitation_id):
                number = try_without_state(self._callback_id, invitation_id)
                first = 0 if number is None else number + 1
            case _:
                return
        targets = self._deployment.ladder.without_agents
        for number in range(first, min(first + len(targets), MAX_TRIES_WITHOUT_STATE)):
            # Whatever the store took of the time, somebody is rung.
            if number > first and self._deadline.passed():
                return
            if self._ring_one_without_state(said, targets[number % len(targets)], number):
                return

    def _ring_one_without_state(self, said: MidCall, target: str, number: int) -> bool:
        """Whether that settles it for now: they ring, or the call is over. What was not taken on brings no event."""
        now, deadline = self._clock.now(), Deadline(self._clock, REQUEST_WITHIN_S)
        invitation_id = id_without_state(self._callback_id, number, said.full_label)
        invitation = Invitation.desk(invitation_id, target, now)
        try:
            pending = self._send(said.connection_id, self._number(said), invitation, deadline)
            if pending is None:
                return False
            pending.result()
        except (Refused, Unavailable):
            return False
        except NotFound:
            return True
        self._telemetry.emit("callback_rung", rung="desk", people=1)
        return True

    # Telling

    def _report(self, before: Callback, planned: Callback, step: Step) -> None:
        said = called_by(before.parties)
        if isinstance(step, Ring):
            self._telemetry.emit("callback_rung", rung=step.lap.rungs[-1].value, people=len(step.invitations), **said)
        if isinstance(step, Close):
            self._telemetry.emit("callback_over", answered=was_answered(before), **said)
        known = {each.invitation_id for each in before.invitations if each.joined_at is not None}
        for each in on_the_call(planned):
            if each.invitation_id not in known:
                self._telemetry.emit("callback_joined", rung=each.rung.value, **said)


def _with_emergencies(known: _Known, callback: Callback) -> Callback:
    """Whose emergency has been forgotten meanwhile is rung no more: they would answer without a leg or a panel.

    Nor is anybody whose row is damaged: the others who hold the number are.
    """
    if callback.drill:
        return callback
    there = {each.emergency.agent_key for each in known.emergencies if each.emergency is not None}
    return structs.replace(callback, parties=tuple(party for party in callback.parties if party.agent_key in there))
