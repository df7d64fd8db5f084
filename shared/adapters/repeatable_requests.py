"""The headers by which Communication Services knows a repeated request: its id, and when the first one was sent.

The service tracks a request for five minutes from what it says there, refuses one that says an earlier time (412), and
a repeat is to say what the first one said ("Repeatability of requests"; OASIS Repeatable Requests 1.0).
"""

import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from shared.deadlines import Clock

# A minute less than the service's five: clocks differ, and requests take time.
TRACKED = timedelta(minutes=4)
# A repeat comes from another process as often as not, seconds later: within one step both say the same.
STEP_S = 120
MAX_KEPT = 1_000


class RepeatableRequests:
    """Remembers when each request of this process was first sent, for as long as the service does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._first_sent: OrderedDict[str, datetime] = OrderedDict()

    def headers(self, request_id: str) -> dict[str, str]:
        """Those of a request, the same ones for a repeat of it."""
        return {
            "Repeatability-Request-ID": request_id,
            "Repeatability-First-Sent": format_datetime(self._first_sent_of(request_id), usegmt=True),
        }

    def _first_sent_of(self, request_id: str) -> datetime:
        now = self._clock.now()
        with self._lock:
            first_sent = self._first_sent.get(request_id)
            if first_sent is None or now - first_sent >= TRACKED:
                step = int(now.timestamp()) // STEP_S
                self._first_sent[request_id] = first_sent = datetime.fromtimestamp(step * STEP_S, UTC)
                self._first_sent.move_to_end(request_id)
                if len(self._first_sent) > MAX_KEPT:
                    self._first_sent.popitem(last=False)
        return first_sent
