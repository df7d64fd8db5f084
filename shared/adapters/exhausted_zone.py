"""A zone of the pool in which nothing is free: one reading of it, and what can be lent all the same (B2).

What rests longest and which is to be shared is the domain's (`shared/domain/pool.py`); here stand the rows that tell
what it needs, and how many are read.
"""

import random
import threading
from collections.abc import Callable, Collection
from datetime import datetime

from msgspec import Struct, field

from shared.adapters.emergency_rows import (
    agent_row,
    by_free_number,
    by_shared_number,
    map_readable,
    read_rest,
    read_slot_and_holders,
    read_stored,
    read_use,
    share_row,
    slot_row,
)
from shared.adapters.registered_pools import RegisteredPools
from shared.adapters.table import Read, Row, Table, with_prefix
from shared.deadlines import Deadline
from shared.domain.errors import Conflict, Unreadable
from shared.domain.leases import Rules
from shared.domain.pool import Exhausted, activity_of, may_be_taken, resting_numbers
from shared.ports import Loan, LoanKind, Pending

REMEMBERED = 128
REST_ROWS_READ = 1000
SHARE_ROWS_READ = 1000
MAX_CANDIDATES = 4
# Each of them must be changed in the transaction that lends their number again, and that has room for a hundred rows.
MAX_HOLDERS_TAKEN_FROM = 12
# One of them that is held still is enough to share their number.
HOLDERS_SHARED_WITH = 50


class Picture(Struct, frozen=True):
    """One reading of a zone: the rows of what is free, and else what is held and what rests.

    `holders` is a row of each number that somebody was seen to hold. `synced`: every number has a slot, so that none
    can be one that was never lent.
    """

    free: dict[str, Row]
    held: Exhausted
    holders: dict[str, str]
    synced: bool


class ZoneReader(Struct, frozen=True):
    """Reads one zone of the pool. `lock` is held while a picture changes, which several dials share."""

    zone: str
    table: Table
    pools: RegisteredPools
    rules: Rules
    chance: random.Random
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def numbers(self) -> tuple[str, ...]:
        """All numbers of the zone."""
        return self.pools.pool.by_zone.get(self.zone, ())

    def free(self, deadline: Deadline) -> Pending[list[Row]]:
        """The longest-free numbers."""
        read = self.table.between(*with_prefix(f"free|{self.zone}|"), REMEMBERED, deadline)
        return Read(read, lambda rows: list(by_free_number(rows).values()))

    def picture(self, pools: Pending[list[Row]], now: datetime, deadline: Deadline) -> Callable[[], Picture]:
        """Begin to read all of it, in one step with `pools`, which other hosts have in their settings; then wait."""
        free = self.free(deadline)
        resting = self.table.between(*with_prefix(f"rest|{self.zone}|"), REST_ROWS_READ, deadline)
        shared = self.table.between(*with_prefix(f"share|{self.zone}|"), SHARE_ROWS_READ, deadline)

        def read() -> Picture:
            rows = {row.key: row for row in free.result()}
            synced = self.pools.learn(pools.result(), now)
            in_use = shared.result()
            activity = activity_of(map_readable(read_use, in_use), self.numbers)
            rests = resting_numbers(map_readable(read_rest, resting.result()), activity, self.numbers, now)
            return Picture(rows, Exhausted(rests, activity), by_shared_number(in_use), synced)

        return read

    def new_loan(self, picture: Picture, now: datetime, deadline: Deadline) -> Loan | None:
        """A number of the setting whose slot was never written: the pool is not in line with the setting yet."""
        if picture.synced:
            return None
        with self.lock:
            unseen = picture.held.unseen(self.numbers)
        some = self.chance.sample(unseen, min(len(unseen), MAX_CANDIDATES))
        reads = [self.table.get(slot_row(number), deadline) for number in some]
        new = [number for number, read in zip(some, reads, strict=True) if read.result() is None]
        with self.lock:
            # Where thousands hold numbers, no reading shows them all: these are held by somebody.
            picture.held.hold([number for number in some if number not in new], now)
        return Loan(number=new[0], kind=LoanKind.NEW) if new else None

    def resting_loan(
        self, picture: Picture, now: datetime, deadline: Deadline, among: Collection[str] | None = None
    ) -> Loan | None:
        """The longest-resting number (of these) all of whose holders' leases are over.

        Of those that look so, only some are looked at: where thousands hold a few numbers, no reading shows them all,
        and a shared number in time is better than the search for one that rests.
        """
        for _ in range(MAX_CANDIDATES):
            with self.lock:
                number = picture.held.take_resting(among)
            if number is None:
                return None
            loan = self._taken_from_holders(number, now, deadline)
            if loan is not None:
                return loan
        return None

    def shared_loan(self, picture: Picture, deadline: Deadline, among: Collection[str] | None = None) -> Loan | None:
        """Of the numbers that the reading showed (and of these), the one that is to be shared.

        Raises `Conflict` where all of them have come free since.
        """
        came_free = False
        while (number := self._to_share(picture, among)) is not None:
            holder = picture.holders.get(number)
            if holder is not None:
                return Loan(number=number, kind=LoanKind.SHARED, held_by=holder)
            loan = shared_with_holders(number, self.table, self.chance, deadline)
            if loan is not None:
                return loan
            came_free = True
            with self.lock:
                picture.held.let_go(number)
        if came_free:
            raise Conflict
        return None

    def _to_share(self, picture: Picture, among: Collection[str] | None) -> str | None:
        with self.lock:
            return picture.held.share(self.chance.choice, among)

    def _taken_from_holders(self, number: str, now: datetime, deadline: Deadline) -> Loan | None:
        # The slot, and one holder more than it may have.
        rows = self.table.between(*with_prefix(slot_row(number)), MAX_HOLDERS_TAKEN_FROM + 2, deadline).result()
        found = read_slot_and_holders(number, rows)
        # Whether a holder that cannot be read rests, nobody can tell.
        if found.slot is None or not 0 < len(found.holders) <= MAX_HOLDERS_TAKEN_FROM or found.unreadable:
            return None
        if not all(may_be_taken(holder.lease, number, self.rules, now) for holder in found.holders):
            return None
        # The transaction replaces their emergencies, on the versions that are read here.
        reads = [self.table.get(agent_row(holder.agent_key), deadline) for holder in found.holders]
        try:
            stored = tuple(read_stored(read.result()) for read in reads)
        except Unreadable:
            return None
        leases = [each.emergency.lease if each.emergency is not None else None for each in stored]
        if not all(may_be_taken(lease, number, self.rules, now) for lease in leases):
            return None
        row, version = found.slot.key, found.slot.version
        return Loan(number=number, kind=LoanKind.RESTING, row=row, version=version, from_holders=stored)


def shared_with_holders(number: str, table: Table, chance: random.Random, deadline: Deadline) -> Loan | None:
    """A number of which no reading showed who holds it, to be shared; None where nobody does."""
    rows = table.between(*with_prefix(slot_row(number)), 1 + HOLDERS_SHARED_WITH, deadline).result()
    found = read_slot_and_holders(number, rows)
    if found.slot is None or not (found.holders or found.unreadable):
        return None
    if not found.holders:
        return Loan(number=number, kind=LoanKind.SHARED, version=found.slot.version)
    holder = chance.choice(found.holders)
    return Loan(number=number, kind=LoanKind.SHARED, held_by=share_row(holder.lease, holder.agent_key))
