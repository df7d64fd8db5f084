"""Delete an owed recording, file by file; or decide once more about one that is held back (S6)."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.confidentiality import DELETION_WITHIN
from shared.domain.deployment import Deployment
from shared.domain.emergencies import backoff
from shared.domain.errors import Conflict, NotFound, Refused, Unavailable
from shared.ports import EmergencyStore, OwedRecording, RecordingOutbox, RecordingStore, Telemetry
from shared.use_cases.judge_recording import RecordingJudge

HELD_AT_ONCE = 50
# What was deleted is kept from being tried again also when the deletions took all the time there was.
NOTE_WITHIN_S = 1.0


def settle_recording(
    owed: OwedRecording,
    *,
    emergencies: EmergencyStore,
    outbox: RecordingOutbox,
    recordings: RecordingStore,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Delete it if it is certainly an emergency's; leave it once that cannot be proved any more; else hold it back.

    What could not be deleted now is owed further, with backoff, and the failure raised; after a day it is given up,
    because the service keeps no file longer. A `Conflict` means that somebody else has it.
    """
    if owed.recording.certain:
        certain: OwedRecording | None = owed
    else:
        judge = RecordingJudge(emergencies, deployment, clock.now(), deadline)
        certain = _decide(owed, judge, outbox, clock, telemetry, deadline)
    if certain is not None:
        _delete(certain, outbox, recordings, clock, telemetry, deadline)


def settle_held_recordings(
    agent_key: str,
    *,
    emergencies: EmergencyStore,
    outbox: RecordingOutbox,
    recordings: RecordingStore,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Decide about all that is held back because of this agent's emergency. Raises `Unavailable`."""
    for owed in outbox.held_for(agent_key, HELD_AT_ONCE, deadline):
        with suppress(Conflict):
            settle_recording(
                owed,
                emergencies=emergencies,
                outbox=outbox,
                recordings=recordings,
                clock=clock,
                deployment=deployment,
                telemetry=telemetry,
                deadline=deadline,
            )


def _decide(
    owed: OwedRecording,
    judge: RecordingJudge,
    outbox: RecordingOutbox,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> OwedRecording | None:
    recording = judge.considered(owed.recording)
    if recording is None:
        outbox.strike_off(owed, deadline)
        telemetry.emit("recording_left", kind="unproven" if owed.recording.suspected else "ordinary")
        return None
    if recording.certain:
        return outbox.put_off(owed, recording, clock.now() + DELETION_WITHIN, 0, deadline)
    attempts = owed.attempts + 1
    outbox.put_off(owed, recording, judge.look_again_at(recording, attempts), attempts, deadline)
    telemetry.emit("recording_held_back", kind=recording.suspicion, chunks=len(recording.locations))
    return None


class _Outcome(Struct):
    """What became of the files."""

    left: list[str]
    deleted: int = 0
    gone: int = 0
    failure: Unavailable | None = None


def _delete(
    owed: OwedRecording,
    outbox: RecordingOutbox,
    recordings: RecordingStore,
    clock: Clock,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    outcome = _each(owed.recording.locations, recordings, telemetry, deadline)
    noted_by = Deadline(clock, NOTE_WITHIN_S)
    attempts = owed.attempts + 1
    if outcome.deleted or outcome.gone:
        telemetry.emit("recording_deleted", chunks=outcome.deleted, gone=outcome.gone, attempt=attempts)
    if outcome.failure is None or clock.now() >= owed.recording.give_up_at:
        outbox.strike_off(owed, noted_by)
        if outcome.left:
            telemetry.emit("recording_given_up", chunks=len(outcome.left))
        return
    rest = structs.replace(owed.recording, locations=tuple(outcome.left))
    wait = max(backoff(attempts), timedelta(seconds=outcome.failure.retry_after_s))
    outbox.put_off(owed, rest, clock.now() + wait, attempts, noted_by)
    telemetry.emit("recording_retried", attempt=attempts)
    raise outcome.failure


def _each(locations: Iterable[str], recordings: RecordingStore, telemetry: Telemetry, deadline: Deadline) -> _Outcome:
    outcome = _Outcome([])
    for location in locations:
        try:
            recordings.delete(location, deadline)
        except NotFound:
            outcome.gone += 1
        except Refused:
            telemetry.emit("recording_refused", kind="delete")
        except Unavailable as failure:
            outcome.failure = failure
            outcome.left.append(location)
        else:
            outcome.deleted += 1
    return outcome
