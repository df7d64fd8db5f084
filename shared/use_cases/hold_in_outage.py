"""Presence is held for a dial at once, though the store is away (B1)."""

from datetime import datetime

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import CLOCK_SKEW
from shared.domain.presence import Hold, decided_since, held_presence, with_snapshot
from shared.ports import OutageLog, PresenceGateway, Telemetry


def hold_in_outage(
    agent_id: str,
    presence_id: str,
    hold: Hold,
    received_at: datetime,
    object_id: str | None = None,
    *,
    presence: PresenceGateway,
    outage: OutageLog,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Set Do not disturb, carrying what it replaces; the repeated request finds the mark and takes it over."""
    if outage.dialling(agent_id, clock.now()) is None or outage.held(hold.hold_id) is not None:
        # Held already; or late: the store knows the call by now, and may know its end, after which nobody would take
        # the mark away.
        return
    presence = presence.in_outage(object_id)
    current = presence.read(presence_id, deadline)
    if current.hold_id is not None or not current.settable or decided_since(current, received_at + CLOCK_SKEW):
        return
    presence.write(presence_id, held_presence(hold, current), deadline)
    # A later reading of a service that carries no mark would take our own for the agent's choice.
    outage.holding(structs.replace(with_snapshot(hold, current), applied=True, touched=True))
    telemetry.emit("presence_held")
