"""The log says for how long no drill has passed, so that an alert can listen for it."""

from shared.deadlines import Clock, Deadline
from shared.ports import Drills, Telemetry


def tell_drill_age(*, drills: Drills, clock: Clock, telemetry: Telemetry, deadline: Deadline) -> None:
    """Once in some hours, whoever asks: in days, from the deployment on until the first drill. Raises `Unavailable`."""
    age = drills.age_to_tell(clock.now(), deadline)
    if age is not None:
        telemetry.emit("drill_age", days=max(0, age.days))
