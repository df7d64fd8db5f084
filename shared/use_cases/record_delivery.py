"""A delivery report came (B6)."""

from contextlib import suppress

from msgspec import Struct

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.errors import EmergencyCallingError, Unreadable
from shared.domain.notifications import Delivery
from shared.ports import Deliveries, EmergencyStore, Telemetry
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.pass_on import pass_on


class RecordedDelivery(Struct, frozen=True):
    """Whether the message is one of ours, and what its bounce owes."""

    ours: bool
    effects: tuple[DeliverNotice, ...] = ()


def record_delivery(
    message_id: str,
    recipient: str,
    delivery: Delivery,
    *,
    emergencies: EmergencyStore,
    deliveries: Deliveries,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> RecordedDelivery:
    """Note it with the message and, for readiness, with the agent's entry; a bounce goes on to the default contacts.

    Raises `Unavailable`.
    """
    dispatch = emergencies.record_delivery(message_id, recipient, delivery, deadline)
    if dispatch is None or dispatch.drill:
        return RecordedDelivery(dispatch is not None)
    effects: list[DeliverNotice] = []
    if delivery is Delivery.FAILED and dispatch.notice is not None:
        for notice in dispatch.notice.singly:
            # A row that cannot be read is its own agent's: what else was in the message goes on.
            with suppress(Unreadable):
                effects += pass_on(
                    notice,
                    (*notice.recipients, *dispatch.deliveries),
                    emergencies=emergencies,
                    clock=clock,
                    deployment=deployment,
                    telemetry=telemetry,
                    deadline=deadline,
                )
    for agent_key in dispatch.agent_keys:
        # For readiness only: the next report of that address brings it.
        with suppress(EmergencyCallingError):
            emergency = emergencies.load(agent_key, deadline).result().emergency
            if emergency is not None:
                deliveries.note(emergency.agent_id, recipient, delivery, deadline)
    return RecordedDelivery(True, tuple(effects))
