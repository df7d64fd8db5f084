"""The clock, the moments after which nobody waits any more, and how long each use case may take."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from shared.domain.errors import Unavailable

# So often whoever waits beyond a deadline asks whether that is still worth it.
LOOK_AGAIN_AFTER_S = 0.05


class Clock(Protocol):
    """The time of day, and a steady one for deadlines."""

    def now(self) -> datetime:
        """The time in UTC, with its zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...


class Deadline:
    """A moment after which nobody waits any more."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._at - self._clock.monotonic())

    def latest_s(self) -> float:
        """Seconds after which nobody waits any more, whatever may put the moment off."""
        return self.remaining_s()

    def passed(self) -> bool:
        """Whether it is too late."""
        return self.remaining_s() <= 0

    def require(self) -> None:
        """Raise `Unavailable` if it is too late."""
        if self.passed():
            raise Unavailable(undone=True)


class PatientDeadline(Deadline):
    """A moment that is put off, to a latest one at most, as long as whoever is waited for gives signs of life.

    A service that is away is given up early; one that is only busy is worth the wait.
    """

    def __init__(self, clock: Clock, seconds: float, *, at_most_s: float, alive: Callable[[], bool]) -> None:
        super().__init__(clock, seconds)
        self._latest = Deadline(clock, max(seconds, at_most_s))
        self._alive = alive

    def remaining_s(self) -> float:
        """Seconds left, as things stand; a little more than none for as long as the wait is worth it."""
        left_s = super().remaining_s()
        if left_s > 0 or not self._alive():
            return left_s
        return min(LOOK_AGAIN_AFTER_S, self._latest.remaining_s())

    def latest_s(self) -> float:
        """Seconds until the latest moment."""
        return self._latest.remaining_s()


class Budgets(Struct, frozen=True, kw_only=True):
    """How long each use case may take, in seconds: the one table of it.

    A dial waits `start_call_s` for a store that does not answer, so that its own answer is out within half a second
    (B1). Where the store answers, only not at once, a number within `start_call_at_most_s` is better than none; the
    wait for a turn counts.
    """

    start_call_s: float = 0.3
    start_call_at_most_s: float = 0.9
    start_call_from_event_s: float = 1.5
    tie_call_s: float = 4.0
    end_call_s: float = 4.0
    release_presence_s: float = 4.0
    see_server_call_s: float = 4.0
    # The PSAP hears ringing: a slow store costs a second of it, then the desk rings.
    answer_callback_s: float = 1.0
    continue_callback_s: float = 10.0
    check_call_event_s: float = 3.0
    refuse_recording_s: float = 4.0
    record_delivery_s: float = 4.0
    # A recorder that waits for us records meanwhile.
    judge_call_s: float = 0.4
    show_panel_s: float = 0.4
    # What only looks lets dials go first, for so long: its own time begins afterwards.
    poll_stands_back_s: float = 0.2
    presence_s: float = 2.0
    directory_s: float = 2.0
    reindex_s: float = 10.0
    import_s: float = 5.0
    read_voice_routes_s: float = 8.0
    # Begun steps end; what is left when this is over is taken up by the next sweep.
    drill_s: float = 120.0
    whole_directory_s: float = 30.0
    check_health_s: float = 0.3
    expire_leases_s: float = 45.0
    take_up_outbox_s: float = 5.0
    perform_s: float = 20.0
    # Presence may lie in the very store that is away; then the next agent's must not wait for this one's.
    hold_in_outage_s: float = 3.0
