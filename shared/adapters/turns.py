"""Whose turn it is in this process: a dial comes before everything else, and no principal's flood before another's.

The worker has 64 threads and one interpreter lock. Sixty dials that run at once all end late; the same sixty, some at
a time, end one after the other, and what storage is given of each one's time is not spent on waiting for the others.

Turns alone do not bound whoever always comes again: of two in line each has half of the processor. So each has a pace.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from msgspec import Struct

from shared.adapters.threads import OS_THREADS, Signal, Threads
from shared.domain.errors import LineFull, TooFast
from shared.ports import Share

# Whoever came longest ago is forgotten first, and has their whole burst again; so has anybody after a minute or two.
MAX_PACED = 10_000
# Requests in line and at work are a crowd when they are more than this many times the number of turns.
CROWD = 2


class _Place(Struct, frozen=True, eq=False):
    """Where a request stands in line: whose line it is, who sent it, and what calls it in."""

    principal: str
    sender: str
    called: Signal


class _Pace(Struct):
    """How many more may come at once, as of a moment of the steady clock."""

    left: float
    at_s: float


class Turns:
    """At most `most` at a time, `most_each` of one sender; beyond, requests wait in line for at most `wait_s`.

    Principals take turns, and the requests of each come in the order of their arrival: a semaphore would let newcomers
    pass, and one line for all would make everybody wait for whoever sends most. A machine is one sender, however many
    principals it speaks for: places and threads are taken by connections.
    """

    def __init__(
        self, most: int, *, most_each: int | None = None, wait_s: float = 0.0, threads: Threads = OS_THREADS
    ) -> None:
        self._most_each = most_each or most
        self._wait_s = wait_s
        self._threads = threads
        self._lock = threads.lock()
        self._free = most
        self._crowd = CROWD * most
        self._running: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[_Place]] = OrderedDict()
        self._paces: OrderedDict[str, _Pace] = OrderedDict()
        self._strangers = count()
        self._here = 0
        self._fewer = threads.signal()

    @contextmanager
    def turn(
        self, principal: str | None = None, *, sender: str | None = None, share: Share | None = None
    ) -> Iterator[bool]:
        """Whether it was one's turn in time; the turn lasts until the end of the block.

        `principal` None: one of their own; `sender` None: the principal. Raises `LineFull` where the principal has had
        its `share`.
        """
        with self._lock:
            name = principal if principal is not None else f"|{next(self._strangers)}"
            sent_by = sender if sender is not None else name
            place = self._come(name, sent_by, share)
            self._here += 1
        mine = place is None or self._is_called(place)
        try:
            yield mine
        finally:
            with self._lock:
                if mine:
                    self._pass_on(sent_by)
                self._here -= 1
                if self._here in (0, self._crowd):
                    self._fewer.set()
                    self._fewer = self._threads.signal()

    def give_back(self, principal: str) -> None:
        """What came last was not theirs to answer for, and does not count for their pace."""
        with self._lock:
            if principal in self._paces:
                self._paces[principal].left += 1

    def _keep_pace(self, principal: str, burst: float, per_s: float) -> None:
        now_s = self._threads.monotonic()
        pace = self._paces.setdefault(principal, _Pace(burst, now_s))
        pace.left, pace.at_s = min(burst, pace.left + (now_s - pace.at_s) * per_s), now_s
        self._paces.move_to_end(principal)
        if len(self._paces) > MAX_PACED:
            self._paces.popitem(last=False)
        if pace.left < 1:
            raise TooFast
        pace.left -= 1

    def _come(self, principal: str, sender: str, share: Share | None) -> _Place | None:
        """Take a turn that is free, else a place in line."""
        is_free = self._free and self._running[sender] < self._most_each
        if share is not None:
            if not is_free and len(self._lines.get(principal, ())) >= share.most_waiting:
                raise LineFull
            if share.burst is not None:
                self._keep_pace(principal, share.burst, share.per_s)
        if is_free:
            self._begin(sender)
            return None
        place = _Place(principal, sender, self._threads.signal())
        self._lines.setdefault(principal, deque()).append(place)
        return place

    def _is_called(self, place: _Place) -> bool:
        if place.called.wait(self._wait_s):
            return True
        with self._lock:
            if place.called.is_set():
                return True
            line = self._lines[place.principal]
            line.remove(place)
            if not line:
                del self._lines[place.principal]
            return False

    def _begin(self, sender: str) -> None:
        self._free -= 1
        self._running[sender] += 1

    def _pass_on(self, sender: str) -> None:
        self._free += 1
        _take_one(self._running, sender)
        waiting = (place for line in self._lines.values() for place in line)
        following = next((place for place in waiting if self._running[place.sender] < self._most_each), None)
        if following is None:
            return
        line = self._lines.pop(following.principal)
        line.remove(following)
        self._begin(following.sender)
        following.called.set()
        if line:
            # Behind every other principal that waits: `OrderedDict` appends.
            self._lines[following.principal] = line

    def wait_until_quiet(self, most_s: float, *, crowd_s: float = 0.0) -> None:
        """Stand back while anybody has a turn or waits for one, but not longer than `most_s`; for a crowd, `crowd_s`.

        A crowd is more than twice as many as have turns at once: the last of them waits for all before them, and what
        takes the interpreter and the store from those is what makes the last one late.
        """
        self._wait_for(0, most_s)
        self._wait_for(self._crowd, crowd_s - most_s)

    def _wait_for(self, few: int, most_s: float) -> None:
        """Until at most so `few` are here."""
        until = self._threads.monotonic() + most_s
        while True:
            with self._lock:
                if self._here <= few:
                    return
                fewer = self._fewer
            # Somebody may have come since.
            if not fewer.wait(max(0.0, until - self._threads.monotonic())):
                return


def _take_one(counted: Counter[str], name: str) -> None:
    """One less, and nothing is kept of a name that has none: names come from outside."""
    counted[name] -= 1
    if not counted[name]:
        del counted[name]
