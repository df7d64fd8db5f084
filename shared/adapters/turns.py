"""Whose turn it is in this process: a dial comes before everything else.

The worker has 64 threads and one interpreter lock. Sixty dials that run at once all end late; the same sixty, some at
a time, end one after the other, and what storage is given of each one's time is not spent on waiting for the others.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """At most `most` at a time; whoever comes beyond waits in line for at most `wait_s`."""

    def __init__(self, most: int, *, wait_s: float = 0.0) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._here = 0

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it was one's turn in time; the turn lasts until the end of the block."""
        with self._changed:
            self._here += 1
        mine = self._free.acquire(timeout=self._wait_s)
        try:
            yield mine
        finally:
            if mine:
                self._free.release()
            with self._changed:
                self._here -= 1
                self._changed.notify_all()

    def wait_until_quiet(self, most_s: float) -> None:
        """Stand back while anybody has a turn or waits for one, but not longer than `most_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._here == 0, timeout=most_s)
