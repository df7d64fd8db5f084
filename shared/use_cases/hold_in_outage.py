"""Presence is held for a dial at once, though the store is away (B1)."""

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import CLOCK_SKEW
from shared.domain.presence import OutageHold, decided_since, held_presence, with_snapshot
from shared.ports import OutageLog, PresenceGateway, Telemetry
from shared.use_cases.effects import HoldInOutage


def hold_in_outage(
    owed: HoldInOutage,
    *,
    presence: PresenceGateway,
    outage: OutageLog,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Set Do not disturb, carrying what it replaces; the repeated request finds the mark and takes it over."""
    if outage.dialling(owed.agent_id, clock.now(), owed.by) is None or outage.held(owed.dial_key) is not None:
        # Held already; or late: the store knows the call by now, and may know its end, after which nobody would take
        # the mark away.
        return
    presence = presence.in_outage(owed.object_id)
    current = presence.read(owed.presence_id, deadline)
    if current.hold_id is not None or not current.settable or decided_since(current, owed.received_at + CLOCK_SKEW):
        return
    if current.version is None and not owed.established:
        # The embedded service has no presence of an object id; that of a listed agent is under another id.
        return
    presence.write(owed.presence_id, held_presence(owed.hold, current), deadline)
    # A later reading of a service that carries no mark would take our own for the agent's choice.
    hold = structs.replace(with_snapshot(owed.hold, current), applied=True, touched=True)
    outage.holding(owed.dial_key, OutageHold(hold=hold, received_at=owed.received_at))
    telemetry.emit("presence_held")
