"""A breaker: when a service is plainly away, say so at once instead of letting everybody find out by waiting."""

import math
import threading

from shared.deadlines import Clock
from shared.domain.errors import Unavailable
from shared.ports import Telemetry

FAILURES_IN_A_ROW = 5
OPEN_S = 1.0


class Breaker:
    """Opens after `FAILURES_IN_A_ROW` attempts without a useful answer, for `OPEN_S`; then one probe is let through.

    Another one is let through every `OPEN_S`: the first may be somebody's who can wait for long.
    """

    def __init__(self, clock: Clock, telemetry: Telemetry | None = None) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0
        self._next_probe_at = 0.0
        self._probe: Attempt | None = None
        self._answered_at = -math.inf
        self._heard = False

    def admit(self) -> "Attempt":
        """Begin an attempt, which must be settled; raises `Unavailable` at once while the breaker is open."""
        with self._lock:
            attempt = Attempt(self)
            if self._failures < FAILURES_IN_A_ROW:
                return attempt
            now = self._clock.monotonic()
            if now < self._open_until or (self._probe is not None and now < self._next_probe_at):
                raise Unavailable
            self._probe, self._next_probe_at = attempt, now + OPEN_S
            return attempt

    def settle(self, attempt: "Attempt", *, answered: bool | None) -> bool:
        """Count how an attempt went; None: it says nothing of the service. Only the first word of each counts.

        Gives whether this is the first.
        """
        with self._lock:
            if attempt.settled:
                return False
            attempt.settled = True
            self._heard = self._heard or answered is not None
            was_probe = self._probe is attempt
            self._probe = None if was_probe else self._probe
            if answered:
                self._failures = 0
                self._answered_at = self._clock.monotonic()
            opened = answered is False and self._failed(was_probe)
        if opened and self._telemetry is not None:
            self._telemetry.emit("breaker_open")
        return True

    def answered_within(self, seconds: float) -> bool:
        """Whether the service answered to the purpose that lately."""
        return self._clock.monotonic() - self._answered_at <= seconds

    @property
    def unheard(self) -> bool:
        """Whether nothing is known of the service yet: this process has just begun to ask."""
        return not self._heard

    def _failed(self, was_probe: bool) -> bool:
        self._failures += 1
        opens = was_probe or self._failures == FAILURES_IN_A_ROW
        if opens:
            self._open_until = self._clock.monotonic() + OPEN_S
        return opens


class Attempt:
    """One request that the breaker let through. Whoever settles it is told whether theirs is the first word."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self.settled = False

    def answered(self) -> bool:
        """The service answered to the purpose, be it a refusal."""
        return self._breaker.settle(self, answered=True)

    def failed(self) -> bool:
        """No connection, no answer in a fair time, or one that says that the service is busy or broken."""
        return self._breaker.settle(self, answered=False)

    def dropped(self) -> bool:
        """It was never made, or not given a fair time."""
        return self._breaker.settle(self, answered=None)
