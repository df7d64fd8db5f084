"""Take up the recordings that are still to be deleted or to be decided about (S6)."""

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import backoff
from shared.domain.errors import Conflict
from shared.ports import RecordingOutbox
from shared.use_cases.effects import Effect, SettleRecording

OWED_AT_ONCE = 50


def take_up_recordings(*, outbox: RecordingOutbox, clock: Clock, deadline: Deadline) -> tuple[Effect, ...]:
    """What is due by now, each claimed so that no other sweep does it too. Raises `Unavailable`."""
    now = clock.now()
    effects: list[Effect] = []
    for owed in outbox.owed(now, OWED_AT_ONCE, deadline):
        until = now + backoff(owed.attempts + 2)
        try:
            claimed = outbox.put_off(owed, owed.recording, until, owed.attempts, deadline)
        except Conflict:
            continue
        effects.append(SettleRecording(claimed))
    return tuple(effects)
