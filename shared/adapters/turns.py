"""Whose turn it is in this process: a dial comes before everything else.

The worker has 64 threads and one interpreter lock. Sixty dials that run at once all end late; the same sixty, some at
a time, end one after the other, and what storage is given of each one's time is not spent on waiting for the others.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from shared.adapters.threads import OS_THREADS, Signal, Threads


class Turns:
    """At most `most` at a time; whoever comes beyond waits in line for at most `wait_s`.

    A turn goes to whoever has waited longest. A semaphore would let newcomers pass, and those in line out of time.
    """

    def __init__(self, most: int, *, wait_s: float = 0.0, threads: Threads = OS_THREADS) -> None:
        self._wait_s = wait_s
        self._threads = threads
        self._lock = threads.lock()
        self._free = most
        self._line: deque[Signal] = deque()
        self._here = 0
        self._quiet = threads.signal()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it was one's turn in time; the turn lasts until the end of the block."""
        with self._lock:
            self._here += 1
        mine = self._take()
        try:
            yield mine
        finally:
            if mine:
                self._pass_on()
            with self._lock:
                self._here -= 1
                if not self._here:
                    self._quiet.set()
                    self._quiet = self._threads.signal()

    def _take(self) -> bool:
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            called = self._threads.signal()
            self._line.append(called)
        if called.wait(self._wait_s):
            return True
        with self._lock:
            if called.is_set():
                return True
            self._line.remove(called)
            return False

    def _pass_on(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._free += 1

    def wait_until_quiet(self, most_s: float) -> None:
        """Stand back while anybody has a turn or waits for one, but not longer than `most_s`."""
        until = self._threads.monotonic() + most_s
        while True:
            with self._lock:
                if not self._here:
                    return
                quiet = self._quiet
            # Somebody may have come since: then it is not quiet any more.
            if not quiet.wait(max(0.0, until - self._threads.monotonic())):
                return
