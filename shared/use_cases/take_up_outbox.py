"""Take up what is still owed: effects that failed, or that a host's death cut off (B6)."""

from collections.abc import Sequence
from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import backoff
from shared.domain.notifications import NoticeKind
from shared.ports import Broken, EmergencyStore, Owed, Telemetry, WaitingNotice
from shared.use_cases.effects import (
    CloseThread,
    ContinueCallback,
    DeliverNotice,
    Effect,
    MergeWaiting,
    ReconcilePresence,
)
from shared.use_cases.merge_waiting import MAX_WAITING_NOTICES
from shared.use_cases.set_aside import set_aside
from shared.use_cases.steps import OUTBOX_SWEEP, Steps

OWED_AT_ONCE = 50
_NONE: Sequence[WaitingNotice | Broken] = ()


def take_up_outbox(
    *, emergencies: EmergencyStore, clock: Clock, telemetry: Telemetry, steps: Steps, deadline: Deadline
) -> tuple[Effect, ...]:
    """The effects owed by now, each notice claimed so that no other sweep sends it too.

    Whatever one of its `steps`, or one of what is owed, meets with, the others have their turn.
    """
    now, each_alone = clock.now(), Steps(OUTBOX_SWEEP, telemetry)
    owed, found = Owed(presences=(), notices=()), _NONE
    with steps.step():
        owed = emergencies.owed(now, OWED_AT_ONCE, deadline)
    with each_alone.step():
        found = emergencies.waiting(MAX_WAITING_NOTICES, deadline)
    waiting = [each for each in found if isinstance(each, WaitingNotice)]
    if steps.all_done:
        with each_alone.step():
            _tell(owed, waiting, now, telemetry)
    # A responder who waits comes first.
    effects: list[Effect] = [ContinueCallback(callback_id) for callback_id in owed.callbacks]
    effects += [ReconcilePresence(agent_key) for agent_key in owed.presences]
    effects += [CloseThread(agent_key) for agent_key in owed.closings]
    for notice in owed.notices:
        with each_alone.step():
            effects.append(DeliverNotice(emergencies.claim(notice, now + backoff(notice.attempts + 2), deadline)))
    if waiting:
        # An effect of its own: who rings for a responder does not wait until all of it is claimed.
        effects.append(MergeWaiting())
    for broken in (*owed.broken, *(each for each in found if isinstance(each, Broken))):
        with each_alone.step():
            set_aside(broken, emergencies, now, telemetry, deadline)
    return tuple(effects)


def _tell(owed: Owed, waiting: Sequence[WaitingNotice], now: datetime, telemetry: Telemetry) -> None:
    """Say how much is owed, and for how many seconds already: operators are alerted by `oldest_s`."""
    count = len(owed.callbacks) + len(owed.presences) + len(owed.notices) + len(owed.broken) + len(waiting)
    # A notice that failed is due later each time: what counts is when the agent dialled.
    notices = (*(each.notice for each in owed.notices), *(each.owed.notice for each in waiting))
    dialled = (notice.dialled_at for notice in notices if notice.kind is NoticeKind.CALL)
    oldest = min((at for at in (owed.oldest_due_at, *dialled) if at is not None), default=now)
    telemetry.emit("outbox", owed=count, oldest_s=max(0, round((now - oldest).total_seconds())))
