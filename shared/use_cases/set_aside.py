"""A row that cannot be used stops nobody: it is set aside, and its kind is counted (architecture)."""

from contextlib import suppress
from datetime import datetime
from typing import Protocol

from shared.deadlines import Deadline
from shared.domain.errors import Conflict, Unavailable
from shared.ports import Broken, Telemetry


class Shelf(Protocol):
    """A store that can set a row aside."""

    def set_aside(self, broken: Broken, now: datetime, deadline: Deadline) -> None:
        """Let no sweep meet it again before it can be read; `Conflict` if somebody else changed it meanwhile."""
        ...


def set_aside(broken: Broken, store: Shelf, now: datetime, telemetry: Telemetry, deadline: Deadline) -> None:
    """Set it aside; where that fails, the next sweep meets it again, and this one goes on."""
    with suppress(Conflict, Unavailable):
        store.set_aside(broken, now, deadline)
        telemetry.emit("row_set_aside", kind=broken.kind)
