"""What a process remembers for a while, by key."""

from collections import OrderedDict
from datetime import timedelta

from shared.deadlines import Clock


class Recent[V]:
    """Of so many keys at most, each for so long after it was noted last; whoever asks guards it.

    It forgets by time, and not by number alone, because ids of calls are a softphone's own, and so is what is derived
    from them: where one counts its calls, the ids of today come again tomorrow.
    """

    def __init__(self, clock: Clock, *, lasts: timedelta, most: int) -> None:
        self._clock = clock
        self._lasts_s = lasts.total_seconds()
        self._most = most
        self._noted: OrderedDict[str, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        self._forget()
        return len(self._noted)

    def get(self, key: str) -> V | None:
        """What was noted for this key; None once it is over."""
        self._forget()
        noted = self._noted.get(key)
        return noted[1] if noted is not None else None

    def note(self, key: str, value: V) -> None:
        """Remember this for the key, from now on."""
        self._forget()
        self._noted[key] = self._clock.monotonic(), value
        self._noted.move_to_end(key)
        if len(self._noted) > self._most:
            self._noted.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget what was noted for this key."""
        self._noted.pop(key, None)

    def _forget(self) -> None:
        # The oldest come first.
        over_s = self._clock.monotonic() - self._lasts_s
        while self._noted and next(iter(self._noted.values()))[0] <= over_s:
            self._noted.popitem(last=False)
