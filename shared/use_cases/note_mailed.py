"""Whoever was mailed in an outage is told when it is over, as all are who were told of the emergency (B6)."""

from functools import partial

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import with_told
from shared.domain.ids import derived
from shared.ports import EmergencyStore, OutageLog
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect, MailInOutage


def note_mailed(
    mailed: MailInOutage,
    *,
    emergencies: EmergencyStore,
    outage: OutageLog,
    clock: Clock,
    deadline: Deadline,
) -> tuple[Effect, ...] | None:
    """Note whom the mail reached with the emergency; None as long as nobody has recorded the dial.

    Another process may do so, which knows nothing of the mail. Raises `Unavailable`, as long as the store is away.
    """
    # Forgotten with the window, within which a dial is recorded or never.
    addresses, now = outage.mailed_to(mailed.dial_key), clock.now()
    if not addresses:
        return ()
    agent_key = outage.recorded_under(mailed.dial_key) or _recorded_under(mailed, emergencies, deadline)
    if agent_key is None:
        return None
    return change_emergency(
        agent_key,
        partial(with_told, notice_id=None, addresses=addresses, now=now, test=mailed.notice.test),
        emergencies=emergencies,
        now=now,
        deadline=deadline,
    )


def _recorded_under(mailed: MailInOutage, emergencies: EmergencyStore, deadline: Deadline) -> str | None:
    """By what was presumed when it was mailed, else by whoever reported this call and no other: ids may clash."""
    notice = mailed.notice
    known = emergencies.find(notice.agent_key, deadline).result().emergency if notice.agent_key else None
    if known is not None and notice.notice_id in {derived(leg.leg_id, "notice") for leg in known.legs}:
        return known.agent_key
    calls = emergencies.calls(mailed.call_key, deadline)
    return next((each.agent_key for each in calls if each.agent_key and each.reported_by == mailed.by), None)
