"""Take up the recordings that are still to be deleted or to be decided about (S6)."""

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import backoff
from shared.domain.errors import Conflict, Unavailable
from shared.ports import Broken, RecordingOutbox, Telemetry
from shared.use_cases.effects import Effect, SettleRecording
from shared.use_cases.set_aside import set_aside

OWED_AT_ONCE = 50


def take_up_recordings(
    *, outbox: RecordingOutbox, clock: Clock, telemetry: Telemetry, deadline: Deadline
) -> tuple[Effect, ...]:
    """What is due by now, each claimed so that no other sweep does it too. Raises `Unavailable`."""
    now = clock.now()
    effects: list[Effect] = []
    for owed in outbox.owed(now, OWED_AT_ONCE, deadline):
        if isinstance(owed, Broken):
            set_aside(owed, outbox, now, telemetry, deadline)
            continue
        until = now + backoff(owed.attempts + 2)
        try:
            claimed = outbox.put_off(owed, owed.recording, until, owed.attempts, deadline)
        except (Conflict, Unavailable):
            # Somebody else has it, or it is still owed; the others are taken up.
            continue
        effects.append(SettleRecording(claimed))
    return tuple(effects)
