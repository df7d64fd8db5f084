"""A delivery report came (B6)."""

from contextlib import suppress

from shared.deadlines import Deadline
from shared.domain.errors import EmergencyCallingError
from shared.domain.notifications import Delivery
from shared.ports import Deliveries, EmergencyStore


def record_delivery(
    message_id: str,
    recipient: str,
    delivery: Delivery,
    *,
    emergencies: EmergencyStore,
    deliveries: Deliveries,
    deadline: Deadline,
) -> bool:
    """Note it with the message and, for readiness, with the agent's entry. Whether the message is one of ours.

    Raises `Unavailable`.
    """
    dispatch = emergencies.record_delivery(message_id, recipient, delivery, deadline)
    if dispatch is not None and dispatch.agent_key is not None and not dispatch.drill:
        # For readiness only: the next report of that address brings it.
        with suppress(EmergencyCallingError):
            emergency = emergencies.load(dispatch.agent_key, deadline).result().emergency
            if emergency is not None:
                deliveries.note(emergency.agent_id, recipient, delivery, deadline)
    return dispatch is not None
