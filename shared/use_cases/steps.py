"""The steps of a timer's run, each in a try of its own (architecture, "A row that cannot be used")."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.domain.errors import EmergencyCallingError
from shared.ports import Telemetry

# What the log calls the two timers, as the host does.
LEASE_EXPIRY, OUTBOX_SWEEP = "lease_expiry", "outbox_sweep"


class Steps:
    """What one run of the timer's `function` does one after the other, or for one after the other."""

    def __init__(self, function: str, telemetry: Telemetry) -> None:
        self._function = function
        self._telemetry = telemetry
        self._failed: EmergencyCallingError | None = None
        self.all_done = True

    @contextmanager
    def step(self) -> Iterator[None]:
        """Whatever is raised in it, the next has its turn; what nobody foresaw is counted by its class alone."""
        try:
            yield
        except EmergencyCallingError as error:
            self.all_done, self._failed = False, self._failed or error
        except Exception as error:  # noqa: BLE001 - its message may hold anything
            self.all_done = False
            self._telemetry.emit("unforeseen_error", function=self._function, error=type(error).__name__)

    def raise_foreseen(self) -> None:
        """Raise what the first step that failed for a foreseen reason met with: a service is away, for most."""
        if self._failed is not None:
            raise self._failed
