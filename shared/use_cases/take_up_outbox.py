"""Take up what is still owed: effects that failed, or that a host's death cut off (B6)."""

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import backoff
from shared.domain.errors import Conflict, Unavailable
from shared.ports import EmergencyStore, Telemetry
from shared.use_cases.effects import ContinueCallback, DeliverNotice, Effect, ReconcilePresence
from shared.use_cases.set_aside import set_aside

OWED_AT_ONCE = 50


def take_up_outbox(
    *, emergencies: EmergencyStore, clock: Clock, telemetry: Telemetry, deadline: Deadline
) -> tuple[Effect, ...]:
    """The effects owed by now, each notice claimed so that no other sweep sends it too. Raises `Unavailable`."""
    now = clock.now()
    owed = emergencies.owed(now, OWED_AT_ONCE, deadline)
    # A responder who waits comes first.
    effects: list[Effect] = [ContinueCallback(callback_id) for callback_id in owed.callbacks]
    effects += [ReconcilePresence(agent_key) for agent_key in owed.presences]
    for notice in owed.notices:
        try:
            effects.append(DeliverNotice(emergencies.claim(notice, now + backoff(notice.attempts + 2), deadline)))
        except Conflict:
            continue
        except Unavailable:
            # The others are still owed, whatever this one met with.
            continue
    for broken in owed.broken:
        set_aside(broken, emergencies, now, telemetry, deadline)
    return tuple(effects)
