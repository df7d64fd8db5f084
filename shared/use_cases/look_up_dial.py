"""What the store knows by now of a dial that this process answered without it."""

from enum import StrEnum

from shared.deadlines import Deadline
from shared.ports import EmergencyStore, OutageDial
from shared.use_cases.believe_end import believed_ends


class StoreKnows(StrEnum):
    """Nothing yet; only that the call is over, which was told before its start could be recorded; or all."""

    NOTHING = "nothing"
    ITS_END = "its end"
    RECORDED = "recorded"


def look_up_dial(dialled: OutageDial, emergencies: EmergencyStore, deadline: Deadline) -> StoreKnows:
    """How much of it is known: another process may have recorded it. Raises `Unavailable`."""
    records = emergencies.calls(dialled.call_key, deadline)
    theirs = (None, dialled.by, dialled.owner)
    # Ids are the softphone's own and may clash: what an agent without an entry says of theirs is of no other's.
    if any(each.agent_key and (each.reported_by is not None or each.owner in theirs) for each in records):
        return StoreKnows.RECORDED
    ends = believed_ends(records, told_by=theirs, names=dialled.names, emergencies=emergencies, deadline=deadline)
    return StoreKnows.ITS_END if ends else StoreKnows.NOTHING
