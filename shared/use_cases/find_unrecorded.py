"""What the store knows by now of a dial that this process answered without it."""

from shared.deadlines import Deadline
from shared.ports import CallOwner, EmergencyStore, OutageDial


def is_recorded(dialled: OutageDial, emergencies: EmergencyStore, deadline: Deadline) -> bool:
    """Whether the dial is a leg by now: another process may have recorded it. Raises `Unavailable`."""
    return any(each.agent_key is not None for each in _records_of(dialled, emergencies, deadline))


def is_over_or_recorded(dialled: OutageDial, emergencies: EmergencyStore, deadline: Deadline) -> bool:
    """The same, or whether its end was told before its start could be recorded. Raises `Unavailable`."""
    return bool(_records_of(dialled, emergencies, deadline))


def _records_of(dialled: OutageDial, emergencies: EmergencyStore, deadline: Deadline) -> list[CallOwner]:
    return [each for each in emergencies.calls(dialled.call_key, deadline) if _is_of(dialled, each)]


def _is_of(dialled: OutageDial, record: CallOwner) -> bool:
    """Ids are the softphone's own and may clash: what another unlisted agent says of theirs is not of this dial."""
    if record.agent_key is None:
        return record.ended_by in (None, dialled.by)
    return record.reported_by is not None or record.owner in (None, dialled.by)
