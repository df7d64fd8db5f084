"""Send an owed notice to its recipients (S7, B6)."""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import FIRST_TRY_WITHIN, backoff, with_told
from shared.domain.errors import Conflict, RecipientsRefused, Refused, Unavailable
from shared.domain.ids import derived
from shared.domain.notifications import MOST_RECIPIENTS_A_MESSAGE, Delivery, Notice
from shared.ports import (
    Dispatch,
    Email,
    EmergencyStore,
    NoticeTemplate,
    Notifier,
    OwedNotice,
    RenderedNotice,
    Telemetry,
)
from shared.use_cases.change_emergency import change_emergency

# Requests refused without naming a recipient, before any was accepted. Halved breadth first, 1 + 2 + 4 + 8 of them
# mean that at least eight recipients are at fault at once, or that the service refuses the sender.
MAX_REFUSALS = 15
# A service that is well answers far sooner. A try that has less time left claims the notice anew before it sends.
LEAST_TRY = timedelta(seconds=5)
# The word itself, in every language.
DRILL_MARK = "DRILL"
# What a commit takes after the last answer, so that it comes before the claim lapses.
COMMIT = timedelta(seconds=0.5)


def deliver_notice(
    owed: OwedNotice,
    *,
    emergencies: EmergencyStore,
    notifier: Notifier,
    template: NoticeTemplate,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Send, then strike off. What the service could not take now is owed further; the failure is raised.

    A message goes to as many recipients as the service allows, because its quotas count messages. An address that it
    refuses does not keep the notice from the others; a service that takes it for nobody refuses us, not them. Nothing
    is sent beyond the claim: when it lapses, another process takes the notice up.
    """
    now = clock.now()
    if now >= owed.due_at:
        # It waited too long for its turn: by now another sweep may have claimed it.
        return
    if now >= owed.notice.give_up_at:
        emergencies.strike_off(owed, (), deadline)
        telemetry.emit("notice_given_up", **owed.notice.called)
        return
    if owed.due_at - now < LEAST_TRY:
        try:
            owed = emergencies.claim(owed, now + FIRST_TRY_WITHIN, deadline)
        except Conflict:
            return
    sending = Sending(owed.notice, template.render(owed.notice, now), notifier, telemetry)
    claimed_s = (owed.due_at - now - COMMIT).total_seconds()
    try:
        sending.send_to_all(Deadline(clock, min(claimed_s, deadline.remaining_s())))
    except Unavailable as failure:
        _note_told(owed.notice, sending.dispatches, emergencies, clock, deadline)
        if owed.notice.drill:
            # A drill shows what happens now; nobody shall be told of it when it is over.
            emergencies.strike_off(owed, tuple(sending.dispatches), deadline)
            raise
        rest = structs.replace(owed.notice, recipients=tuple(sending.unsent))
        wait = max(backoff(owed.attempts + 1), timedelta(seconds=failure.retry_after_s))
        emergencies.put_off(owed, rest, clock.now() + wait, sending.dispatches, deadline)
        telemetry.emit("notice_retried", attempt=owed.attempts + 1, **owed.notice.called)
        raise
    _note_told(owed.notice, sending.dispatches, emergencies, clock, deadline)
    emergencies.strike_off(owed, sending.dispatches, deadline)
    if sending.accepted:
        telemetry.emit("notice_sent", recipients=sending.accepted, attempt=owed.attempts + 1, **owed.notice.called)
    else:
        telemetry.emit("notice_given_up", **owed.notice.called)


def _note_told(
    notice: Notice, dispatches: Sequence[Dispatch], emergencies: EmergencyStore, clock: Clock, deadline: Deadline
) -> None:
    """Whoever was told is told when it is over, too. Before the notice is struck off: a repeat is the same message."""
    if notice.agent_key is None or not dispatches:
        return
    now, addresses = clock.now(), [address for dispatch in dispatches for address in dispatch.deliveries]
    change_emergency(
        notice.agent_key,
        lambda emergency: with_told(emergency, notice.notice_id, addresses, now),
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )


class Sending:
    """One notice on its way: what was accepted, and whom it has not reached yet."""

    def __init__(self, notice: Notice, words: RenderedNotice, notifier: Notifier, telemetry: Telemetry) -> None:
        self._notice = notice
        self._words = words
        self._notifier = notifier
        self._telemetry = telemetry
        self._refusals = 0
        self._refused_alone: list[str] = []
        self.unsent: list[str] = list(notice.recipients)
        self.dispatches: list[Dispatch] = []

    @property
    def accepted(self) -> int:
        """How many recipients the service has taken the notice for."""
        return sum(len(dispatch.deliveries) for dispatch in self.dispatches)

    def send_to_all(self, deadline: Deadline) -> None:
        """Raises `Unavailable`, and then `unsent` says whom it did not reach."""
        try:
            self._send_groups(deadline)
            if self._refused_alone and not self.dispatches:
                # Nobody's message was taken: that says nothing of this recipient.
                raise Unavailable(reason="refused")
        except Unavailable as failure:
            if failure.reason:
                self._telemetry.emit("email_blocked", reason=failure.reason)
            raise
        finally:
            if self.dispatches:
                self._drop(self._refused_alone)

    def _send_groups(self, deadline: Deadline) -> None:
        groups = deque(_groups(self._notice.recipients))
        while groups:
            group = groups.popleft()
            try:
                self._notifier.send(self._email(group), deadline)
            except RecipientsRefused as refusal:
                groups.extend(self._without_refused(group, refusal))
            except Refused:
                groups.extend(self._halves(group))
            else:
                self._accepted(group)

    def _email(self, group: Sequence[str]) -> Email:
        # The same recipients make the same message, in every attempt; fewer make another.
        operation_id = derived(self._notice.notice_id, ";".join(group))
        words = self._words
        return Email(
            operation_id=operation_id,
            recipients=tuple(group),
            subject=subject_of(self._notice, words),
            text=words.text,
            html=words.html,
            thread=derived(self._notice.word, "thread") if self._notice.word else "",
        )

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
            raise Unavailable(reason="refused")
        if len(group) == 1:
            self._refused_alone.extend(group)
            return []
        middle = len(group) // 2
        return [list(group[:middle]), list(group[middle:])]

    def _drop(self, refused: Sequence[str]) -> None:
        self.unsent = [address for address in self.unsent if address not in refused]
        for _ in refused:
            self._telemetry.emit("recipient_refused", **self._notice.called)

    def _accepted(self, group: Sequence[str]) -> None:
        self.unsent = [address for address in self.unsent if address not in group]
        self.dispatches.append(
            Dispatch(
                operation_id=derived(self._notice.notice_id, ";".join(group)),
                deliveries=dict.fromkeys(group, Delivery.ACCEPTED),
                expires_at=self._notice.give_up_at,
                agent_key=self._notice.agent_key,
                drill=self._notice.drill,
            )
        )


def subject_of(notice: Notice, words: RenderedNotice) -> str:
    """The subject; a drill's says DRILL, whatever the template was (B9)."""
    marked = not notice.drill or DRILL_MARK in words.subject
    return words.subject if marked else f"{DRILL_MARK}: {words.subject}"


def _groups(recipients: Sequence[str]) -> list[list[str]]:
    size = MOST_RECIPIENTS_A_MESSAGE
    return [list(recipients[start : start + size]) for start in range(0, len(recipients), size)]
