"""A notice stays owed while the lease that it tells of lasts, longer than was promised at the dial (B3, B6)."""

from contextlib import suppress
from datetime import datetime

from shared.deadlines import Deadline
from shared.domain.dials import kept_owed
from shared.domain.errors import Unreadable
from shared.domain.leases import Rules
from shared.domain.notifications import Notice, merged
from shared.ports import EmergencyStore


def keep_owed(
    notice: Notice, *, emergencies: EmergencyStore, rules: Rules, now: datetime, deadline: Deadline
) -> Notice:
    """The notice, each part of it that would be given up now owed until its lease is over. Raises `Unavailable`."""
    if all(now < each.give_up_at for each in notice.singly):
        return notice
    parts = tuple(_kept(each, emergencies, rules, now, deadline) for each in notice.singly)
    if parts == notice.singly:
        return notice
    return merged(parts, notice.notice_id, notice.recipients) if notice.parts else parts[0]


def _kept(notice: Notice, emergencies: EmergencyStore, rules: Rules, now: datetime, deadline: Deadline) -> Notice:
    if notice.agent_key is None or now < notice.give_up_at:
        return notice
    with suppress(Unreadable):
        return kept_owed(notice, emergencies.load(notice.agent_key, deadline).result().emergency, rules, now)
    return notice
