"""Whose turn it is in this process: a dial comes before everything else, and no principal's flood before another's.

The worker has 64 threads and one interpreter lock. Sixty dials that run at once all end late; the same sixty, some at
a time, end one after the other, and what storage is given of each one's time is not spent on waiting for the others.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from shared.adapters.threads import OS_THREADS, Signal, Threads


class Turns:
    """At most `most` at a time, `most_each` of one principal; beyond, requests wait in line for at most `wait_s`.

    Principals take turns, and the requests of each come in the order of their arrival: a semaphore would let newcomers
    pass, and one line for all would make everybody wait for whoever sends most.
    """

    def __init__(
        self, most: int, *, most_each: int | None = None, wait_s: float = 0.0, threads: Threads = OS_THREADS
    ) -> None:
        self._most_each = most_each or most
        self._wait_s = wait_s
        self._threads = threads
        self._lock = threads.lock()
        self._free = most
        self._running: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[Signal]] = OrderedDict()
        self._strangers = count()
        self._here = 0
        self._quiet = threads.signal()

    @contextmanager
    def turn(self, principal: str | None = None, most_waiting: int | None = None) -> Iterator[bool]:
        """Whether it was one's turn in time; the turn lasts until the end of the block.

        `principal` None: one of their own. Beyond `most_waiting` requests of theirs in line nobody waits.
        """
        with self._lock:
            self._here += 1
            name = principal if principal is not None else f"|{next(self._strangers)}"
        mine = self._take(name, most_waiting)
        try:
            yield mine
        finally:
            with self._lock:
                if mine:
                    self._pass_on(name)
                self._here -= 1
                if not self._here:
                    self._quiet.set()
                    self._quiet = self._threads.signal()

    def _take(self, name: str, most_waiting: int | None) -> bool:
        with self._lock:
            if self._free and self._running[name] < self._most_each:
                self._begin(name)
                return True
            if most_waiting is not None and len(self._lines.get(name, ())) >= most_waiting:
                return False
            called = self._threads.signal()
            self._lines.setdefault(name, deque()).append(called)
        if called.wait(self._wait_s):
            return True
        with self._lock:
            if called.is_set():
                return True
            line = self._lines[name]
            line.remove(called)
            if not line:
                del self._lines[name]
            return False

    def _begin(self, name: str) -> None:
        self._free -= 1
        self._running[name] += 1

    def _pass_on(self, name: str) -> None:
        self._free += 1
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]
        following = next((each for each in self._lines if self._running[each] < self._most_each), None)
        if following is None:
            return
        line = self._lines.pop(following)
        self._begin(following)
        line.popleft().set()
        if line:
            # Behind every other principal that waits: `OrderedDict` appends.
            self._lines[following] = line

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
