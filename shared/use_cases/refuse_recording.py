"""The files of a recording are ready: those of an emergency are to be deleted, those that may be are held back (S6)."""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.confidentiality import DELETION_WITHIN, Recording, in_parts
from shared.domain.deployment import Deployment
from shared.domain.ids import key_of
from shared.ports import EmergencyStore, RecordingOutbox, Telemetry
from shared.use_cases.answer_callback import is_callback
from shared.use_cases.effects import Effect, SettleRecording
from shared.use_cases.judge_recording import RecordingJudge, known_for_certain

# The service deletes its files itself a day after they were ready.
FILES_LAST = timedelta(hours=24)


class RecordedFiles(Struct, frozen=True, kw_only=True):
    """What the event says. `call_id` is the call's correlation id; `locations` are where each chunk is deleted.

    `unlocated` counts the chunks of which the event does not say where they are.
    """

    recording_id: str
    call_id: str
    server_call_id: str | None = None
    locations: tuple[str, ...] = ()
    unlocated: int = 0
    began_at: datetime | None = None


def refuse_recording(
    files: RecordedFiles,
    *,
    emergencies: EmergencyStore,
    outbox: RecordingOutbox,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """Owe the deletion, before it is first tried. Of an ordinary call nothing is written. Raises `Unavailable`."""
    now = clock.now()
    judge = RecordingJudge(emergencies, deployment, now, deadline)
    found = _recording(files, now)
    # A callback that nobody has answered is no agent's leg, and nobody may record the responder who waits.
    certain = files.server_call_id is not None and is_callback(files.server_call_id, emergencies, deadline)
    recording = known_for_certain(found) if certain else judge.considered(found)
    if recording is None:
        return ()
    for _ in range(files.unlocated):
        telemetry.emit("recording_refused", kind="unlocated")
    until = now + DELETION_WITHIN if recording.certain else judge.look_again_at(recording, attempts=1)
    effects: list[Effect] = []
    for part, locations in enumerate(in_parts(recording.locations)):
        key = key_of(f"{files.recording_id}|{part}")
        owed = outbox.owe(structs.replace(recording, recording_key=key, locations=locations), until, deadline)
        if owed is not None and recording.certain:
            effects.append(SettleRecording(owed))
        elif owed is not None:
            telemetry.emit("recording_held_back", kind=recording.suspicion, chunks=len(locations))
    return tuple(effects)


def _recording(files: RecordedFiles, now: datetime) -> Recording:
    ids = [files.call_id, *([files.server_call_id] if files.server_call_id else [])]
    return Recording(
        recording_key="",
        call_keys=tuple(key_of(each) for each in ids),
        locations=files.locations,
        give_up_at=now + FILES_LAST,
        began_at=files.began_at,
    )
