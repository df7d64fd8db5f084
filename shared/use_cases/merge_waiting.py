"""Send what the sender's quota kept waiting, as far as it goes now: first words first, merged (B6)."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.crisis_mail import Message, Waiting, messages
from shared.domain.deployment import Deployment
from shared.domain.emergencies import backoff
from shared.domain.errors import Conflict, Unavailable
from shared.ports import Broken, EmergencyStore, MailQuota, Telemetry, WaitingNotice
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.keep_owed import keep_owed

# A page of the service: what is sent first is chosen among so many, oldest first.
MAX_WAITING_NOTICES = 1_000
# Until a claim lapses: as long as for a notice that was tried once.
CLAIMED_FOR = backoff(2)


def merge_waiting(
    *,
    emergencies: EmergencyStore,
    quota: MailQuota,
    deployment: Deployment,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[DeliverNotice, ...]:
    """The messages that may be sent now, each claimed whole before anybody sends it; the others wait on.

    What is in a message is settled in the transaction that claims it: whoever sends it once more sends the same.
    """
    waiting: dict[str, WaitingNotice] = {}
    # Whoever is overdue is read for one by one: the other half of the time is for sending.
    reading = Deadline(clock, deadline.remaining_s() / 2)
    for each in emergencies.waiting(MAX_WAITING_NOTICES, deadline):
        if isinstance(each, Broken):
            continue
        now = clock.now()
        try:
            kept = keep_owed(
                each.owed.notice, emergencies=emergencies, rules=deployment.rules, now=now, deadline=reading
            )
            if now < kept.give_up_at:
                owed = structs.replace(each.owed, notice=kept)
                waiting[kept.notice_id] = structs.replace(each, owed=owed)
                continue
            emergencies.strike_off(each.owed, (), deadline)
        except (Conflict, Unavailable):
            continue
        telemetry.emit("notice_given_up", **each.owed.notice.called)
    planned = messages(
        Waiting(notice=each.owed.notice, first_word=each.first_word, begun=each.owed.attempts > 0)
        for each in waiting.values()
    )
    if not planned:
        return ()
    granted_at = clock.now()
    granted = _granted(planned, quota, deadline)
    effects = _claimed(granted, waiting, emergencies, clock, telemetry, deadline, granted_at=granted_at)
    for _ in range(len(granted) - len(effects)):
        quota.give_back(granted_at, deadline)
    return effects


def _granted(planned: Sequence[Message], quota: MailQuota, deadline: Deadline) -> list[Message]:
    """What may be sent now: what the kept part of the quota is for, then the others."""
    granted: list[Message] = []
    for repeat in (False, True):
        some = [message for message in planned if message.notice.repeat is repeat]
        if some:
            granted += some[: quota.take(len(some), deadline, in_turn=True, repeat=repeat)]
    return granted


def _claimed(
    planned: Sequence[Message],
    waiting: dict[str, WaitingNotice],
    emergencies: EmergencyStore,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
    *,
    granted_at: datetime,
) -> tuple[DeliverNotice, ...]:
    effects: list[DeliverNotice] = []
    for message in planned:
        parts = [waiting[each.notice.notice_id] for each in message.waiting]
        try:
            owed, left = emergencies.merge(parts, message.notice, clock.now() + CLAIMED_FOR, deadline)
        except (Conflict, Unavailable):
            # Whatever happened to this one, the others wait too.
            continue
        # What waits on for others has another version by now.
        waiting |= {each.owed.notice.notice_id: each for each in left}
        effects.append(DeliverNotice(owed, granted_at=granted_at))
        if owed.notice.parts:
            telemetry.emit("notices_merged", notices=len(parts), recipients=len(message.recipients))
    return tuple(effects)
