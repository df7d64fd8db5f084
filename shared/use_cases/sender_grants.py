"""What one message takes of the sender's quota, and gives back where it was not sent (B6)."""

from collections.abc import Callable
from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.errors import Rationed, Refused, Unavailable
from shared.ports import MailQuota


class SenderGrants:
    """One message after another of the sender's quota; `take` takes one of it, at `granted_at` one was taken already.

    What was refused was not sent: what was granted for it serves the next message, or is given back. What was never
    answered may have been sent, and stays counted.
    """

    def __init__(
        self, take: Callable[[], int], quota: MailQuota, clock: Clock, *, granted_at: datetime | None = None
    ) -> None:
        self._take = take
        self._quota = quota
        self._clock = clock
        self._unused = granted_at

    def spend(self, send: Callable[[], None]) -> None:
        """Send a message. Raises what that raises, and `Rationed` where the sender may send none now."""
        granted_at, self._unused = self._unused, None
        if granted_at is None:
            # Before it is counted: given back to an earlier minute than its own, it opens none.
            granted_at = self._clock.now()
            if not self._take():
                raise Rationed
        try:
            send()
        except (Refused, Unavailable) as failure:
            if isinstance(failure, Refused) or failure.undone:
                self._unused = granted_at
            raise

    def give_back(self, deadline: Deadline) -> None:
        """Leave what was granted and not sent to others."""
        granted_at, self._unused = self._unused, None
        if granted_at is not None:
            self._quota.give_back(granted_at, deadline)
