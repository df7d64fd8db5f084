"""Who is lent which number, as an invariant: none is shared and none is foreign while a better one is free."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.adapters.table import Delete, Write
from shared.domain.emergencies import Emergency
from shared.domain.leases import Lease
from tests.simulator.clockwork import microseconds
from tests.simulator.strangers import is_stranger

if TYPE_CHECKING:
    from tests.simulator.world import World

# So long a number must have been free for everybody to know it, and so long it must stay so: what another dial has in
# mind is as good as lent.
FREE_BEFORE, FREE_AFTER = timedelta(seconds=60), timedelta(seconds=30)


class LendingOrder:
    """What is free by the rows of the table, and whether whoever dials is given the best of it (B2, B14)."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._free_since: dict[str, datetime] = {}
        self.judged = 0

    def committed(self, writes: Sequence[Write]) -> None:
        """A transaction was applied; whoever was lent a number by it has been judged before."""
        for write in writes:
            if write.key.startswith("free|"):
                number = f"+{write.key.split('|')[3]}"
                if isinstance(write, Delete):
                    self._free_since.pop(number, None)
                else:
                    self._free_since.setdefault(number, self._world.clock.now())

    def is_free(self, number: str) -> bool:
        """Whether the table says so."""
        return number in self._free_since

    def lent(self, before: Emergency | None, after: Emergency, about: str) -> None:
        """An emergency has been written: look whether its number is the best that there was."""
        lease, own = after.lease, before.lease if before is not None else None
        if lease is None or lease.lost or not self._is_judged(about):
            return
        if own is not None and own.number == lease.number:
            # Whoever has a number keeps it.
            return
        foreign = self._is_foreign(lease.number, about)
        if not (foreign or lease.shared):
            return
        now = self._world.clock.now()
        long_free = [number for number, since in self._free_since.items() if since + FREE_BEFORE <= now]
        better = [each for each in long_free if lease.shared or not self._is_foreign(each, about)]
        self.judged += 1
        self._world.clock.call_at(microseconds(now + FREE_AFTER), lambda: self._were_taken(better, now, lease, about))

    def _were_taken(self, better: Sequence[str], at: datetime, lease: Lease, about: str) -> None:
        known = set(self._world.newest.callback_numbers).intersection(
            *(process.deployment.callback_numbers for process in self._world.processes)
        )
        left = [each for each in better if each in known and self._free_since.get(each, at) + FREE_BEFORE <= at]
        self._world.require(not left, "a number of their own that is free goes before any other", (lease, left), about)

    def _is_judged(self, about: str) -> bool:
        climate = self._world.faults.climate
        sound = climate.fair and not climate.rows_broken
        return sound and not is_stranger(about) and not self._world.is_unknown(about)

    def _is_foreign(self, number: str, about: str) -> bool:
        code = next(code for code, first in self._world.countries if number.startswith(f"+{str(first)[:4]}"))
        return code != self._world.country_of(int(about.removeprefix("agent-")))
