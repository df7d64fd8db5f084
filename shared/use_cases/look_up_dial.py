"""What the store knows by now of a dial that this process answered without it."""

from enum import StrEnum

from shared.deadlines import Deadline
from shared.ports import CallOwner, EmergencyStore, OutageDial


class StoreKnows(StrEnum):
    """Nothing yet; only that the call is over, which was told before its start could be recorded; or all."""

    NOTHING = "nothing"
    ITS_END = "its end"
    RECORDED = "recorded"


def look_up_dial(dialled: OutageDial, emergencies: EmergencyStore, deadline: Deadline) -> StoreKnows:
    """How much of it is known: another process may have recorded it. Raises `Unavailable`."""
    records = [each for each in emergencies.calls(dialled.call_key, deadline) if _is_of(dialled, each)]
    if any(each.agent_key is not None for each in records):
        return StoreKnows.RECORDED
    return StoreKnows.ITS_END if records else StoreKnows.NOTHING


def _is_of(dialled: OutageDial, record: CallOwner) -> bool:
    """Ids are the softphone's own and may clash: what an agent without an entry says of theirs is of no other's."""
    theirs = (None, dialled.by, dialled.owner)
    if record.agent_key is None:
        return record.ended_by in theirs
    return record.reported_by is not None or record.owner in theirs
