"""Send an owed notice to its recipients (S7, B6)."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.crisis_mail import is_first_word
from shared.domain.deployment import Deployment
from shared.domain.emergencies import FIRST_TRY_WITHIN, backoff, heard_the_end, with_told
from shared.domain.errors import (
    Conflict,
    EmergencyCallingError,
    Rationed,
    RecipientsRefused,
    Refused,
    Unavailable,
    Unreadable,
)
from shared.domain.ids import derived
from shared.domain.notifications import MAX_RECIPIENTS_A_MESSAGE, Delivery, Notice, NoticeKind
from shared.ports import (
    Change,
    Deliveries,
    Dispatch,
    Email,
    EmergencyStore,
    MailQuota,
    NoticeTemplate,
    Notifier,
    OwedNotice,
    RenderedNotice,
    Telemetry,
)
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.keep_owed import keep_owed
from shared.use_cases.pass_on import pass_on, tell_passed_on, with_onward
from shared.use_cases.sender_grants import SenderGrants
from shared.use_cases.withdraw_closing import withdraw_closing

# Requests refused without naming a recipient, before any was accepted. Halved breadth first, 1 + 2 + 4 + 8 of them
# mean that at least eight recipients are at fault at once, or that the service refuses the sender.
MAX_REFUSALS = 15
# A service that is well answers far sooner. A try that has less time left claims the notice anew before it sends.
MIN_TRY = timedelta(seconds=5)
# The word itself, in every language.
DRILL_MARK = "DRILL"
# The log's word where the service says neither what is wrong with us nor whom it means.
TAKEN_FOR_NOBODY = "refused"
# Attempts that a notice has behind it at its second try: the first one put it off, and a sweep claimed it (a merged one
# has had them by itself). What is taken for nobody then may be the recipients' fault as well, and the default contacts
# hear of it within their minute.
DOUBTED_ATTEMPTS = 2
# What a commit takes after the last answer, so that it comes before the claim lapses.
COMMIT = timedelta(seconds=0.5)


class _Means(Struct, frozen=True, kw_only=True):
    """What a delivery may use."""

    emergencies: EmergencyStore
    deliveries: Deliveries
    reports: bool
    deployment: Deployment
    clock: Clock
    telemetry: Telemetry
    deadline: Deadline

    def half(self) -> "_Means":
        """The same with half of the time.

        Whoever is told over and over in vain leaves the rest to write that the notice was accepted.
        """
        return structs.replace(self, deadline=Deadline(self.clock, self.deadline.remaining_s() / 2))


def deliver_notice(
    owed: OwedNotice,
    *,
    granted_at: datetime | None = None,
    emergencies: EmergencyStore,
    deliveries: Deliveries,
    notifier: Notifier,
    quota: MailQuota,
    template: NoticeTemplate,
    deployment: Deployment,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[DeliverNotice, ...]:
    """Send, then strike off. What the service could not take now is owed further; the failure is raised.

    A message goes to as many recipients as the service allows, because its quotas count messages. An address that it
    refuses does not keep the notice from the others, and is a bounce: gives what the default contacts are owed for it.
    A service that takes it for nobody refuses us, not them. Nothing is sent beyond the claim: when it lapses, another
    process takes the notice up. Beyond the sender's quota it waits; `granted_at`: when its first message was counted
    already. What was counted and not sent is given back when all else is noted.
    """
    means = _Means(
        emergencies=emergencies,
        deliveries=deliveries,
        reports=notifier.reports,
        deployment=deployment,
        clock=clock,
        telemetry=telemetry,
        deadline=deadline,
    )
    repeat, now = owed.notice.repeat, clock.now()
    grants = SenderGrants(lambda: quota.take(1, deadline, repeat=repeat), quota, clock, granted_at=granted_at)
    try:
        claimed = _to_be_sent(owed, now, means)
        if claimed is None:
            return ()
        until_lapse = Deadline(clock, min((claimed.due_at - now - COMMIT).total_seconds(), deadline.remaining_s()))
        notice = claimed.notice.at(now)
        sending = Sending(notice, template.render(notice, now), notifier, telemetry, grants)
        return _delivered(claimed, notice, sending, until_lapse, means, tried=owed.attempts > 0)
    finally:
        grants.give_back(deadline)


def _to_be_sent(owed: OwedNotice, now: datetime, means: _Means) -> OwedNotice | None:
    claimed = _claimed(owed, now, means.emergencies, means.deadline)
    return None if claimed is None else _as_things_stand(claimed, now, means)


def _as_things_stand(owed: OwedNotice, now: datetime, means: _Means) -> OwedNotice | None:
    """It with what its emergencies have become since; None where it is not to be sent, and is owed no more."""
    emergencies, deadline = means.emergencies, means.deadline
    kept = keep_owed(owed.notice, emergencies=emergencies, rules=means.deployment.rules, now=now, deadline=deadline)
    still = withdraw_closing(kept, emergencies=emergencies, now=now, deadline=deadline)
    if still is None:
        _strike_off(owed, kept, (), means)
        return None
    owed = structs.replace(owed, notice=still)
    if now >= still.give_up_at or _comes_after_the_end(owed, emergencies, deadline):
        _give_up(owed, means)
        return None
    return owed


def _delivered(
    owed: OwedNotice, notice: Notice, sending: "Sending", until_lapse: Deadline, means: _Means, *, tried: bool
) -> tuple[DeliverNotice, ...]:
    try:
        sending.send_to_all(until_lapse)
    except Unavailable as failure:
        _owe_further(owed, notice, sending, failure, means, tried=tried)
        _note_deliveries(notice, sending.tracked, means)
        if isinstance(failure, Rationed) and not notice.drill:
            return ()
        raise
    onward = _strike_off(owed, notice, sending.tracked, means)
    _tell(owed, sending, means.telemetry, onward)
    _note_deliveries(notice, sending.tracked, means)
    return onward


def _tell(owed: OwedNotice, sending: "Sending", telemetry: Telemetry, onward: Sequence[DeliverNotice]) -> None:
    if sending.accepted:
        telemetry.emit("notice_sent", recipients=sending.accepted, attempt=owed.attempts + 1, **owed.notice.called)
    elif not onward:
        telemetry.emit("notice_given_up", **owed.notice.called)


def _give_up(owed: OwedNotice, means: _Means) -> None:
    _strike_off(owed, owed.notice, (), means)
    means.telemetry.emit("notice_given_up", **owed.notice.called)


def _comes_after_the_end(owed: OwedNotice, emergencies: EmergencyStore, deadline: Deadline) -> bool:
    """Whether all whom an answered callback's notice is for were told meanwhile that it is over, which tells of it too.

    It may be tried longer than the lease lasts, where a call's notice ends with the lease. One beyond a ration
    is sent all the same: who hears of it then hears once more that it is over.
    """
    notice = owed.notice
    if not owed.attempts or notice.kind is not NoticeKind.CALLBACK_RECEIVED or notice.agent_key is None:
        return False
    with suppress(Unreadable):
        emergency = emergencies.load(notice.agent_key, deadline).result().emergency
        return emergency is not None and heard_the_end(emergency, notice.notice_id, notice.recipients, test=notice.test)
    return False


def _claimed(owed: OwedNotice, now: datetime, emergencies: EmergencyStore, deadline: Deadline) -> OwedNotice | None:
    """With time enough for a try; None where another sweep has it, or may have: it waited too long for its turn."""
    if now >= owed.due_at:
        return None
    if owed.due_at - now >= MIN_TRY:
        return owed
    try:
        return emergencies.claim(owed, now + FIRST_TRY_WITHIN, deadline)
    except Conflict:
        return None


def _owe_further(
    owed: OwedNotice, notice: Notice, sending: "Sending", failure: Unavailable, means: _Means, *, tried: bool
) -> None:
    """Owe the rest of the notice, and what was refused to the default contacts.

    `notice` is what was tried: of what it merges, nothing is kept beyond its own lease (B8).
    """
    dispatches = sending.tracked
    if owed.notice.drill:
        # A drill shows what happens now; nobody shall be told of it when it is over.
        means.emergencies.strike_off(owed, dispatches, means.deadline)
        return
    doubted = failure.reason == TAKEN_FOR_NOBODY and owed.attempts >= DOUBTED_ATTEMPTS
    # Until the default contacts are owed it, who was refused is: the next try is refused again.
    left, telling = (*sending.unsent, *_refused(dispatches)), means.half()
    try:
        goes_on = doubted or bool(_refused(dispatches))
        if sending.dispatches:
            _pass_on_and_note(notice, dispatches, telling, goes_on=goes_on)
        elif goes_on:
            _pass_on(notice, dispatches, telling)
        left = tuple(sending.unsent)
    finally:
        rest = structs.replace(notice, recipients=left)
        _put_off(owed, rest, failure, dispatches, means, begun=tried or sending.asked)


def _put_off(
    owed: OwedNotice,
    rest: Notice,
    failure: Unavailable,
    dispatches: Sequence[Dispatch],
    means: _Means,
    *,
    begun: bool,
) -> None:
    """Until the service may take it, or the sender's quota allows it."""
    emergencies, deadline = means.emergencies, means.deadline
    if isinstance(failure, Rationed):
        first_word = _is_first_word(rest, emergencies, deadline)
        emergencies.let_wait(owed, rest, dispatches, deadline, first_word=first_word, begun=begun)
        means.telemetry.emit("notice_waits", **owed.notice.called)
        return
    wait = max(backoff(owed.attempts + 1), timedelta(seconds=failure.retry_after_s))
    emergencies.put_off(owed, rest, means.clock.now() + wait, dispatches, deadline)
    means.telemetry.emit("notice_retried", attempt=owed.attempts + 1, **owed.notice.called)


def _is_first_word(rest: Notice, emergencies: EmergencyStore, deadline: Deadline) -> bool:
    for notice in rest.singly:
        known = None
        with suppress(Unreadable):
            known = emergencies.load(notice.agent_key, deadline).result().emergency if notice.agent_key else None
        if is_first_word(structs.replace(notice, recipients=rest.recipients), known):
            return True
    return False


def _strike_off(
    owed: OwedNotice, notice: Notice, dispatches: Sequence[Dispatch], means: _Means
) -> tuple[DeliverNotice, ...]:
    """The notice is owed no more. In one transaction with what its emergency knows of it, unless that cannot be.

    One that merges several emergencies' notices has too many rows for that. Whatever keeps an emergency from being
    told, what was accepted is struck off alone: a notice that stays owed is sent again, until its lease is over. Who
    was refused is owed it until the default contacts are.
    """
    agent_key, emergencies = notice.agent_key if notice.singly == (notice,) else None, means.emergencies
    telling = means.half()
    if agent_key is not None:
        # `_note_told` meets with whatever it is once more, and raises it.
        with suppress(Exception):
            told = _told_of(notice, agent_key, dispatches, telling)
            onward = emergencies.strike_off(owed, dispatches, telling.deadline, told=told)
            if onward is None:
                return ()
            tell_passed_on(onward.notice, means.telemetry)
            return (DeliverNotice(onward),)
    left = _refused(dispatches)
    effects: tuple[DeliverNotice, ...] = ()
    try:
        effects = _pass_on_and_note(notice, dispatches, telling, goes_on=bool(left))
        left = ()
    finally:
        if left:
            rest, until = structs.replace(notice, recipients=left), means.clock.now() + backoff(owed.attempts + 1)
            emergencies.put_off(owed, rest, until, dispatches, means.deadline)
        else:
            emergencies.strike_off(owed, dispatches, means.deadline)
    return effects


def _told_of(notice: Notice, agent_key: str, dispatches: Sequence[Dispatch], means: _Means) -> Change | None:
    stored, now = means.emergencies.load(agent_key, means.deadline).result(), means.clock.now()
    if stored.emergency is None:
        return None
    emergency, onward = stored.emergency, None
    if _refused(dispatches):
        # First: the end is told after this one, and not because nobody waits for the other any more.
        emergency, onward = with_onward(emergency, notice, notice.recipients, means.deployment, now)
    emergency = with_told(emergency, notice.notice_id, _accepted(dispatches), now, test=notice.test)
    if emergency == stored.emergency:
        return None
    return Change(stored=stored, emergency=emergency, now=now, notice=onward)


def _accepted(dispatches: Sequence[Dispatch]) -> tuple[str, ...]:
    return _with(Delivery.ACCEPTED, dispatches)


def _refused(dispatches: Sequence[Dispatch]) -> tuple[str, ...]:
    return _with(Delivery.REFUSED, dispatches)


def _with(delivery: Delivery, dispatches: Sequence[Dispatch]) -> tuple[str, ...]:
    return tuple(address for each in dispatches for address, state in each.deliveries.items() if state is delivery)


def _pass_on_and_note(
    notice: Notice, dispatches: Sequence[Dispatch], means: _Means, *, goes_on: bool
) -> tuple[DeliverNotice, ...]:
    """In this order: the end is told after what goes on. Whatever comes of that, who was told is noted."""
    try:
        return _pass_on(notice, dispatches, means) if goes_on else ()
    finally:
        _note_told(notice, dispatches, means)


def _note_told(notice: Notice, dispatches: Sequence[Dispatch], means: _Means) -> None:
    """Whoever was told is told when it is over, too; where nobody was, nobody waits for this notice any longer.

    Before the notice is struck off: a repeat is the same message. Whatever one of the emergencies meets with, the
    others are told; then it is raised, but for a row that cannot be read, which is its own agent's.
    """
    now, addresses = means.clock.now(), _accepted(dispatches)
    failure: Exception | None = None
    for each in notice.singly:
        if each.agent_key is None:
            continue
        try:
            change_emergency(
                each.agent_key,
                partial(with_told, notice_id=each.notice_id, addresses=addresses, now=now, test=each.test),
                emergencies=means.emergencies,
                now=now,
                deadline=means.deadline,
            )
        except Unreadable:
            continue
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
    if failure is not None:
        raise failure


def _pass_on(notice: Notice, dispatches: Sequence[Dispatch], means: _Means) -> tuple[DeliverNotice, ...]:
    """Owe it to the default contacts, of each of the emergencies that it tells of."""
    effects: list[DeliverNotice] = []
    for each in notice.singly:
        # A row that cannot be read is its own agent's: what else is in the message goes on.
        with suppress(Unreadable):
            effects += pass_on(
                each,
                (*each.recipients, *notice.recipients, *_accepted(dispatches)),
                emergencies=means.emergencies,
                clock=means.clock,
                deployment=means.deployment,
                telemetry=means.telemetry,
                deadline=means.deadline,
            )
    return tuple(effects)


def _note_deliveries(notice: Notice, dispatches: Sequence[Dispatch], means: _Means) -> None:
    """For readiness: who was refused. And who is no more, where no delivery report will say so."""
    listed = dict.fromkeys(each.agent_id for each in notice.singly if not each.claimed and not each.drill)
    refused, accepted = _refused(dispatches), _accepted(dispatches)
    for agent_id in listed:
        # The next message to that address brings it.
        with suppress(EmergencyCallingError):
            known = means.deliveries.of(agent_id, accepted, means.deadline) if accepted and not means.reports else {}
            states = dict.fromkeys(refused, Delivery.REFUSED)
            states |= {each: Delivery.ACCEPTED for each, was in known.items() if was is Delivery.REFUSED}
            for address, state in states.items():
                means.deliveries.note(agent_id, address, state, means.deadline)


class Sending:
    """One notice on its way: what was accepted, and whom it has not reached yet."""

    def __init__(
        self,
        notice: Notice,
        words: RenderedNotice,
        notifier: Notifier,
        telemetry: Telemetry,
        grants: SenderGrants,
    ) -> None:
        self._notice = notice
        self._words = words
        self._notifier = notifier
        self._telemetry = telemetry
        self._grants = grants
        self._refusals = 0
        self.asked = False
        self._doubted: list[str] = []
        self._refused_alone: list[str] = []
        self._refused: list[str] = []
        self.unsent: list[str] = list(notice.recipients)
        self.dispatches: list[Dispatch] = []

    @property
    def accepted(self) -> int:
        """How many recipients the service has taken the notice for."""
        return sum(len(dispatch.deliveries) for dispatch in self.dispatches)

    @property
    def tracked(self) -> tuple[Dispatch, ...]:
        """What is kept of its way to each recipient: the messages that were accepted, and who was refused."""
        if not self._refused:
            return tuple(self.dispatches)
        # No message has this id: no report is of it.
        operation_id = derived(self._operation_id(self._refused), "refused")
        return (*self.dispatches, self._dispatch(operation_id, self._refused, Delivery.REFUSED))

    def send_to_all(self, deadline: Deadline) -> None:
        """Raises `Unavailable`, `Rationed` beyond the quota, and then `unsent` says whom it did not reach."""
        try:
            self._send_groups(deadline)
            if self._doubted:
                # Nobody's message was taken: that says nothing of this recipient.
                raise Unavailable(reason=TAKEN_FOR_NOBODY)
        except Unavailable as failure:
            if failure.reason:
                self._telemetry.emit("email_blocked", reason=failure.reason)
            raise
        finally:
            if self.dispatches:
                self._drop(self._refused_alone)

    def _send_groups(self, deadline: Deadline) -> None:
        self._send_each(deque(_groups(self._notice.recipients)), deadline)
        if self.dispatches:
            # Refused before anybody's was taken: it may have been the sender's fault, which was mended meanwhile.
            doubted, self._doubted = [[address] for address in self._doubted], []
            self._send_each(deque(doubted), deadline)

    def _send_each(self, groups: deque[list[str]], deadline: Deadline) -> None:
        while groups:
            group = groups.popleft()
            try:
                self._grants.spend(partial(self._send, group, deadline))
            except RecipientsRefused as refusal:
                groups.extend(self._without_refused(group, refusal))
            except Refused:
                groups.extend(self._halves(group))
            else:
                self._accepted(group)

    def _send(self, group: Sequence[str], deadline: Deadline) -> None:
        self.asked = True
        self._notifier.send(self._email(group), deadline)

    def _email(self, group: Sequence[str]) -> Email:
        words = self._words
        return Email(
            operation_id=self._operation_id(group),
            recipients=tuple(group),
            subject=subject_of(self._notice, words),
            text=words.text,
            html=words.html,
            thread=self._notice.mail_thread,
        )

    def _operation_id(self, group: Sequence[str]) -> str:
        """The same recipients make the same message, in every attempt; fewer make another."""
        return derived(self._notice.notice_id, ";".join(group))

    def _without_refused(self, group: Sequence[str], refusal: RecipientsRefused) -> list[list[str]]:
        named = {address.casefold() for address in refusal.addresses}
        refused = [address for address in group if address.casefold() in named]
        if not refused:
            return self._halves(group)
        self._drop(refused)
        kept = [address for address in group if address not in refused]
        return [kept] if kept else []

    def _halves(self, group: Sequence[str]) -> list[list[str]]:
        """The service does not say which recipient it means, if any: halve until each of them is alone."""
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS and not self.dispatches:
            raise Unavailable(reason=TAKEN_FOR_NOBODY)
        if len(group) == 1:
            (self._refused_alone if self.dispatches else self._doubted).extend(group)
            return []
        middle = len(group) // 2
        return [list(group[:middle]), list(group[middle:])]

    def _drop(self, refused: Sequence[str]) -> None:
        self.unsent = [address for address in self.unsent if address not in refused]
        self._refused += refused
        for _ in refused:
            self._telemetry.emit("recipient_refused", **self._notice.called)

    def _accepted(self, group: Sequence[str]) -> None:
        self.unsent = [address for address in self.unsent if address not in group]
        self.dispatches.append(self._dispatch(self._operation_id(group), group, Delivery.ACCEPTED))

    def _dispatch(self, operation_id: str, group: Sequence[str], delivery: Delivery) -> Dispatch:
        return Dispatch(
            operation_id=operation_id,
            deliveries=dict.fromkeys(group, delivery),
            # Then it is looked whether the emergency goes on. Of a merged one nothing is kept beyond the first that
            # is over (B8).
            expires_at=min(each.give_up_at for each in self._notice.singly),
            agent_key=self._notice.agent_key,
            drill=self._notice.drill,
            notice=self._notice,
        )


def subject_of(notice: Notice, words: RenderedNotice) -> str:
    """The subject; a drill's says DRILL, whatever the template was (B9)."""
    marked = not notice.drill or DRILL_MARK in words.subject
    return words.subject if marked else f"[{DRILL_MARK}] {words.subject}"


def _groups(recipients: Sequence[str]) -> list[list[str]]:
    size = MAX_RECIPIENTS_A_MESSAGE
    return [list(recipients[start : start + size]) for start in range(0, len(recipients), size)]
