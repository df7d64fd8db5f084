"""Take up the recordings that are still to be deleted or to be decided about (S6)."""

from shared.deadlines import Clock, Deadline
from shared.domain.emergencies import backoff
from shared.ports import Broken, RecordingOutbox, Telemetry
from shared.use_cases.effects import Effect, SettleRecording
from shared.use_cases.set_aside import set_aside
from shared.use_cases.steps import OUTBOX_SWEEP, Steps

OWED_AT_ONCE = 50


def take_up_recordings(
    *, outbox: RecordingOutbox, clock: Clock, telemetry: Telemetry, deadline: Deadline
) -> tuple[Effect, ...]:
    """What is due by now, each claimed so that no other sweep does it too. Raises `Unavailable`.

    What somebody else has, or what cannot be claimed for whatever reason, keeps no other from being taken up.
    """
    now, each_alone = clock.now(), Steps(OUTBOX_SWEEP, telemetry)
    effects: list[Effect] = []
    for owed in outbox.owed(now, OWED_AT_ONCE, deadline):
        with each_alone.step():
            if isinstance(owed, Broken):
                set_aside(owed, outbox, now, telemetry, deadline)
                continue
            until = now + backoff(owed.attempts + 2)
            claimed = outbox.put_off(owed, owed.recording, until, owed.attempts, deadline)
            effects.append(SettleRecording(claimed))
    return tuple(effects)
