"""The agent calls again before somebody was told that it is over: they are told at the next end instead (B6)."""

from contextlib import suppress
from datetime import datetime

from shared.deadlines import Deadline
from shared.domain.emergencies import Emergency, goes_on_again, with_closing_withdrawn
from shared.domain.errors import Unreadable
from shared.domain.notifications import Notice, merged
from shared.ports import EmergencyStore
from shared.use_cases.change_emergency import change_emergency


def withdraw_closing(
    notice: Notice, *, emergencies: EmergencyStore, now: datetime, deadline: Deadline
) -> Notice | None:
    """The notice without what is not true any more; None where nothing of it is. Raises `Unavailable`, `Conflict`.

    A closing notice that the service or the quota kept waiting may meet with the next call of its thread.
    """
    parts = tuple(each for each in notice.singly if not _is_withdrawn(each, notice, emergencies, now, deadline))
    if parts == notice.singly:
        return notice
    return merged(parts, notice.notice_id, notice.recipients) if parts else None


def _is_withdrawn(
    part: Notice, message: Notice, emergencies: EmergencyStore, now: datetime, deadline: Deadline
) -> bool:
    if part.closes is None:
        return False
    goes_on = False

    def withdrawn(emergency: Emergency) -> Emergency:
        nonlocal goes_on
        goes_on = goes_on_again(emergency, part.thread, test=part.test)
        return with_closing_withdrawn(emergency, message.recipients, test=part.test) if goes_on else emergency

    # Of a row that cannot be read nobody knows that it goes on.
    with suppress(Unreadable):
        change_emergency(part.closes, withdrawn, emergencies=emergencies, now=now, deadline=deadline)
    return goes_on
