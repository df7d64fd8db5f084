"""A recording began on an emergency call that we are connected to (S6)."""

from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Refused
from shared.ports import RecordingStore, Telemetry


def stop_recording(recording_id: str, *, recordings: RecordingStore, telemetry: Telemetry, deadline: Deadline) -> None:
    """Stop it; one that has ended by itself is fine. Its file is deleted when it is ready, whatever happens here.

    Raises `Unavailable`.
    """
    try:
        recordings.stop(recording_id, deadline)
    except NotFound:
        return
    except Refused:
        telemetry.emit("recording_refused", kind="stop")
        return
    telemetry.emit("recording_stopped")
