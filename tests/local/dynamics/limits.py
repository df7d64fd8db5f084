"""Service protection: how much one user may ask of one web server, counted ("Service protection API limits")."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.local.dynamics.errors import DataverseError

WINDOW_S = 300
MAX_REQUESTS = 6_000
MAX_EXECUTION_S = 1_200.0
MAX_AT_ONCE = 52


class ServiceProtection:
    """The three limits, for one user on one web server. `execution_s` is what each request counts for."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._begun_at_s: deque[float] = deque()
        self._under_way = 0
        self.execution_s = 0.1
        self.most_seen_at_once = 0
        self.most_seen_in_window = 0
        self.refused = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request, from its beginning to its answer. Raises `DataverseError` beyond a limit."""
        with self._lock:
            self._under_way += 1
            self.most_seen_at_once = max(self.most_seen_at_once, self._under_way)
            refusal = self._refusal()
            self.refused += refusal is not None
        try:
            if refusal is not None:
                raise refusal
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    @property
    def remaining(self) -> tuple[int, float]:
        """Requests and seconds of execution that are left in the window."""
        with self._lock:
            done = len(self._begun_at_s)
        return MAX_REQUESTS - done, MAX_EXECUTION_S - done * self.execution_s

    def _refusal(self) -> DataverseError | None:
        now_s = self._now_s()
        while self._begun_at_s and now_s - self._begun_at_s[0] >= WINDOW_S:
            self._begun_at_s.popleft()
        wait_s = int(WINDOW_S - (now_s - self._begun_at_s[0])) + 1 if self._begun_at_s else 1
        if self._under_way > MAX_AT_ONCE:
            said = f"Number of concurrent requests exceeded the limit of {MAX_AT_ONCE}."
            return DataverseError(429, "0x80072326", said, retry_after_s=2)
        if len(self._begun_at_s) >= MAX_REQUESTS:
            said = f"Number of requests exceeded the limit of {MAX_REQUESTS} over time window of {WINDOW_S} seconds."
            return DataverseError(429, "0x80072322", said, retry_after_s=wait_s)
        if (len(self._begun_at_s) + 1) * self.execution_s > MAX_EXECUTION_S:
            said = "Combined execution time of incoming requests exceeded limit."
            return DataverseError(429, "0x80072321", said, retry_after_s=wait_s)
        self._begun_at_s.append(now_s)
        self.most_seen_in_window = max(self.most_seen_in_window, len(self._begun_at_s))
        return None
