"""A delivery report came (B6)."""

from contextlib import suppress

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.emergencies import with_passed_on
from shared.domain.errors import Conflict, EmergencyCallingError, Unreadable
from shared.domain.ids import derived
from shared.domain.notifications import Delivery, Notice
from shared.ports import Change, Deliveries, Dispatch, EmergencyStore, Telemetry
from shared.use_cases.effects import DeliverNotice


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
                effects += _passed_on(notice, dispatch, emergencies, clock, deployment, telemetry, deadline)
    for agent_key in dispatch.agent_keys:
        # For readiness only: the next report of that address brings it.
        with suppress(EmergencyCallingError):
            emergency = emergencies.load(agent_key, deadline).result().emergency
            if emergency is not None:
                deliveries.note(emergency.agent_id, recipient, delivery, deadline)
    return RecordedDelivery(True, tuple(effects))


def _passed_on(
    notice: Notice,
    dispatch: Dispatch,
    emergencies: EmergencyStore,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[DeliverNotice, ...]:
    """Owe the notice to the default contacts in the transaction that notes it, so that no later report does again.

    A closing notice names no emergency: whoever was not told of one need not know that it is over.
    """
    while notice.agent_key is not None and clock.now() < notice.give_up_at:
        stored = emergencies.load(notice.agent_key, deadline).result()
        if stored.emergency is None:
            break
        reached = (*notice.recipients, *dispatch.deliveries)
        onward = derived(notice.notice_id, "passed on")
        emergency, new = with_passed_on(
            stored.emergency, notice.notice_id, onward, reached, deployment.default_contacts
        )
        if not new:
            break
        owed = structs.replace(notice, notice_id=onward, recipients=new)
        change = Change(stored=stored, emergency=emergency, now=clock.now(), notice=owed)
        try:
            committed = emergencies.commit(change, deadline)
        except Conflict:
            deadline.require()
            continue
        telemetry.emit("notice_passed_on", recipients=len(new), **notice.called)
        return (DeliverNotice(committed.notice),) if committed.notice is not None else ()
    return ()
