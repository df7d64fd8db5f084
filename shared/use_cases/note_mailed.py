"""Whoever was mailed in an outage is told when it is over, as all are who were told of the emergency (B6)."""

from functools import partial

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import with_told
from shared.domain.ids import derived
from shared.domain.notifications import Notice
from shared.ports import EmergencyStore, OutageLog
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect


def note_mailed(
    dial_key: str,
    notice: Notice,
    *,
    emergencies: EmergencyStore,
    outage: OutageLog,
    clock: Clock,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Note whom the mail reached with the emergency, where the store recorded the dial while it was on its way.

    One that is recorded later is told of them then. Raises `Unavailable`, as long as the store is away.
    """
    addresses, now = outage.mailed_to(dial_key), clock.now()
    if not addresses:
        return ()
    known = emergencies.find(notice.agent_key, deadline).result().emergency if notice.agent_key else None
    if known is None or notice.notice_id not in {derived(leg.leg_id, "notice") for leg in known.legs}:
        return ()
    return change_emergency(
        known.agent_key,
        partial(with_told, notice_id=None, addresses=addresses, now=now, test=notice.test),
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )
