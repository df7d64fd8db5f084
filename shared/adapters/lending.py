"""Which number a dial is lent (B2), with as few readings as a burst of dials allows.

What this process remembers of the longest-free numbers spares a dial the reading. Taking *the* longest-free number
would make simultaneous dials collide on it; a choice at random among the remembered oldest, reserved within the
process, does not. What is remembered may be stale: the lending then fails on the free row, and all is read again.
That nothing is free is only ever said after a fresh reading, and one reading serves all dials that waited for it.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta

from msgspec import Struct

from shared.adapters.emergency_rows import (
    POOL_ROW,
    agent_row,
    map_readable,
    number_in,
    place_row,
    read_hold,
    read_rest,
    read_slot_and_holders,
    read_stored,
    slot_row,
)
from shared.adapters.table import Row, Table, with_prefix
from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Unavailable, Unreadable
from shared.domain.ids import key_of
from shared.domain.leases import Rules
from shared.domain.pool import (
    Activity,
    activity_of,
    held_unseen,
    numbers_to_share,
    places_for_unknown,
    resting_numbers,
    zone_of_number,
    zones_in_order,
)
from shared.ports import Holder, Loan, LoanKind, Pending, Stored

REMEMBERED = 128
# Longer than a dial has; then it is over, whatever became of it.
UNDER_WAY = timedelta(seconds=2)
LENT_REMEMBERED = 256
REST_ROWS_READ = 1000
MOST_CANDIDATES = 4
# Each of them must be changed in the transaction that lends their number again, and that has room for a hundred rows.
MOST_TAKEN_FROM = 12
SHARE_ROWS_READ = 1000
# Since zones stand in the keys of free numbers, a pool without them is brought in line anew.
ROW_FORM = 2

type LockMaker = Callable[[], AbstractContextManager[object]]


class Lending:
    """Finds numbers to lend, a caller's own country's first; lending itself is the transaction of the one who asked.

    `make_lock` makes the locks that are held while somebody reads for all who wait.
    """

    def __init__(
        self,
        table: Table,
        *,
        pool: Sequence[str],
        rules: Rules,
        chance: random.Random,
        make_lock: LockMaker = threading.Lock,
    ) -> None:
        self._table = table
        self._pool = tuple(pool)
        self._chance = chance
        of_zone: dict[str, list[str]] = {}
        for number in self._pool:
            of_zone.setdefault(zone_of_number(number), []).append(number)
        self._zones = {
            zone: _ZoneLending(
                table,
                zone,
                pool=numbers,
                rules=rules,
                chance=chance,
                make_lock=make_lock,
                is_synced=self.synced,
            )
            for zone, numbers in of_zone.items()
        }

    def expect(self, country: str | None, deadline: Deadline) -> None:
        """A dial is coming: begin to read now what it may need, if nothing is remembered."""
        own, foreign = self._ordered(country)
        for zone in (own or foreign)[:1]:
            zone.expect(deadline)

    def find(
        self,
        *,
        country: str | None,
        in_directory: bool,
        now: datetime,
        deadline: Deadline,
        takes: bool = True,
    ) -> Loan:
        """A number to lend: free, else resting (where one may be taken), else shared; `NotFound` without a pool."""
        quota_row = None
        if not in_directory:
            quota_row, theirs = self._place_for_unknown(deadline)
            if quota_row is None:
                if not theirs:
                    raise NotFound("All numbers that agents outside the directory hold have left the pool.")
                return Loan(number=self._chance.choice(theirs), kind=LoanKind.SHARED)
        own, foreign = self._ordered(country)
        for zone in (*own, *foreign):
            loan = zone.find_unshared(quota_row, now, deadline, takes=takes)
            if loan is not None:
                return loan
        for zone in (*own, *foreign):
            loan = zone.find_shared(quota_row)
            if loan is not None:
                return loan
        raise NotFound("There is no callback number to lend.")

    def over(self, loan: Loan, *, lent: bool) -> None:
        """The number was lent, or was not to be had: only another reading can bring it back."""
        zone = self._zones.get(zone_of_number(loan.number))
        if zone is not None:
            zone.over(loan, lent=lent)

    @property
    def reserved(self) -> int:
        """How many free numbers the dials of this process have in mind."""
        return sum(zone.reserved for zone in self._zones.values())

    def forget(self) -> None:
        """What is remembered has proved stale."""
        for zone in self._zones.values():
            zone.forget()

    def synced(self, marker: Row | None) -> bool:
        """Whether the slots stand for the pool of the setting."""
        return marker is not None and marker.values.get("pool") == self.fingerprint()

    def fingerprint(self) -> str:
        """The pool of the setting and the form of its rows, in short."""
        return key_of(f"{ROW_FORM};{';'.join(sorted(self._pool))}")

    def _ordered(self, country: str | None) -> tuple[list["_ZoneLending"], list["_ZoneLending"]]:
        own, foreign = zones_in_order(self._sizes(), country)
        return [self._zones[zone] for zone in own], [self._zones[zone] for zone in foreign]

    def _sizes(self) -> Mapping[str, int]:
        return {zone: lending.size for zone, lending in self._zones.items()}

    # Agents who are not in the directory

    def _place_for_unknown(self, deadline: Deadline) -> tuple[str | None, list[str]]:
        """A free place among those of agents who are not in the directory; or none, and the numbers they hold."""
        places = places_for_unknown(self._pool)
        rows = self._table.between(*with_prefix("unknown|"), places, deadline).result()
        taken = {row.key: str(row.values["number"]) for row in rows}
        left = [place for place in map(place_row, range(places)) if place not in taken]
        return (self._chance.choice(left) if left else None), sorted(set(taken.values()) & set(self._pool))


class _ZoneLending:
    """The numbers of one zone."""

    def __init__(
        self,
        table: Table,
        zone: str,
        *,
        pool: Sequence[str],
        rules: Rules,
        chance: random.Random,
        make_lock: LockMaker,
        is_synced: Callable[[Row | None], bool],
    ) -> None:
        self._table = table
        self._zone = zone
        self._is_synced = is_synced
        self._pool = tuple(pool)
        self._rules = rules
        self._chance = chance
        self._lock = threading.Lock()
        self._one_reads = make_lock()
        self._free: dict[str, Row] = {}
        self._begun: Pending[list[Row]] | None = None
        self._reserved: dict[str, datetime] = {}
        self._lent: deque[str] = deque(maxlen=LENT_REMEMBERED)
        self._contended: dict[str, Row] = {}
        self._forgotten = False
        self._picture = _Picture((), {})
        self._readings = 0

    def expect(self, deadline: Deadline) -> None:
        """A dial is coming: begin to read now what it may need, if nothing is remembered."""
        with self._lock:
            if not self._free and self._begun is None:
                self._begun = self._read_free(deadline)

    @property
    def reserved(self) -> int:
        """How many free numbers the dials of this process have in mind."""
        return len(self._reserved)

    @property
    def size(self) -> int:
        """How many numbers of the setting are of this zone."""
        return len(self._pool)

    def find_unshared(self, quota_row: str | None, now: datetime, deadline: Deadline, *, takes: bool) -> Loan | None:
        """A number that nobody holds: free, else resting (where one may be taken)."""
        seen = self._readings
        row = self._take(now) or self._take_begun(now)
        if row is not None:
            return _free_loan(row, quota_row)
        return self._find_after_fresh_reading(quota_row, seen, now, deadline, takes=takes)

    def over(self, loan: Loan, *, lent: bool) -> None:
        """The number was lent, or was not to be had: only another reading can bring it back."""
        with self._lock:
            self._reserved.pop(loan.row, None)
            if lent:
                # A reading that is under way may still show it.
                self._lent.append(loan.row)
                self._contended.pop(loan.row, None)

    def forget(self) -> None:
        """What is remembered has proved stale."""
        with self._lock:
            self._free, self._begun, self._forgotten = {}, None, True

    # What is remembered

    def _read_free(self, deadline: Deadline) -> Pending[list[Row]]:
        return self._table.between(*with_prefix(f"free|{self._zone}|"), REMEMBERED, deadline)

    def _take(self, now: datetime) -> Row | None:
        with self._lock:
            return self._picked(now)

    def _picked(self, now: datetime) -> Row | None:
        if not self._free:
            return None
        key = self._chance.choice(tuple(self._free))
        self._reserved[key] = now
        return self._free.pop(key)

    def _take_of_reading(self, looks: int, now: datetime) -> tuple[Row | None, bool]:
        """A free number of the last reading, and whether it is known at all what that showed.

        Where other dials of this process are after all that is free, the second look mostly shows who has got it. If
        it does not: what is free is as good as lent, and one that somebody holds can be shared; where nobody holds any
        yet, one of theirs is tried. A dial that has lost its own makes the process forget what was read.
        """
        with self._lock:
            row = self._picked(now)
            if row is None and looks > 1 and self._contended and not self._picture.activity:
                row = self._contended.pop(self._chance.choice(tuple(self._contended)))
            unclear = self._forgotten or (looks == 1 and self._contended)
            return row, row is not None or not unclear

    def _take_begun(self, now: datetime) -> Row | None:
        with self._one_reads:
            begun, self._begun = self._begun, None
            if begun is not None:
                # A dial before may have begun it, in an outage or with little time left: then a fresh one decides.
                with suppress(Unavailable):
                    self._remember(begun.result(), now)
        return self._take(now)

    def _remember(self, rows: Iterable[Row], now: datetime) -> None:
        with self._lock:
            # The key of a free row does not come again: it tells since when.
            lent = set(self._lent)
            read = {row.key: row for row in rows if row.key not in lent}
            self._forgotten = False
            # A dial that found a number and then had no time left has not let go of it.
            begun_since = now - UNDER_WAY
            self._reserved = {
                key: begun for key, begun in self._reserved.items() if key in read and begun > begun_since
            }
            self._free = {key: row for key, row in read.items() if key not in self._reserved}
            self._contended = {key: row for key, row in read.items() if key in self._reserved}

    # The exhausted pool

    def _find_after_fresh_reading(
        self, quota_row: str | None, seen: int, now: datetime, deadline: Deadline, *, takes: bool
    ) -> Loan | None:
        row, known, looks = None, False, 0
        while row is None and not known:
            deadline.require()
            with self._one_reads:
                if self._readings == seen:
                    self._picture = self._read_all(now, deadline)
                    self._readings += 1
            looks, seen = looks + 1, self._readings
            row, known = self._take_of_reading(looks, now)
        if row is not None:
            return _free_loan(row, quota_row)
        new = self._new_loan(quota_row, now, deadline)
        return new or (self._resting_loan(quota_row, now, deadline) if takes else None)

    def _read_all(self, now: datetime, deadline: Deadline) -> "_Picture":
        free = self._read_free(deadline)
        marker = self._table.get(POOL_ROW, deadline)
        resting = self._table.between(*with_prefix(f"rest|{self._zone}|"), REST_ROWS_READ, deadline)
        shared = self._table.between(*with_prefix(f"share|{self._zone}|"), SHARE_ROWS_READ, deadline)
        self._remember(free.result(), now)
        activity = activity_of(map_readable(read_hold, shared.result()), self._pool)
        rests = resting_numbers(map_readable(read_rest, resting.result()), activity, self._pool, now)
        return _Picture(rests, activity, synced=self._is_synced(marker.result()))

    def _new_loan(self, quota_row: str | None, now: datetime, deadline: Deadline) -> Loan | None:
        """A number of the setting whose slot was never written: the pool is not in line with the setting yet."""
        if self._picture.synced:
            return None
        with self._lock:
            unseen = [number for number in self._pool if number not in self._picture.activity]
        some = self._chance.sample(unseen, min(len(unseen), MOST_CANDIDATES))
        reads = [self._table.get(slot_row(number), deadline) for number in some]
        new = [number for number, read in zip(some, reads, strict=True) if read.result() is None]
        with self._lock:
            # Where thousands hold numbers, no reading shows them all: these are held by somebody.
            self._picture.activity |= {number: held_unseen(now) for number in some if number not in new}
        return Loan(number=new[0], kind=LoanKind.NEW, quota_row=quota_row) if new else None

    def _resting_loan(self, quota_row: str | None, now: datetime, deadline: Deadline) -> Loan | None:
        """The longest-resting number all of whose holders' leases are over.

        Of those that look so, only some are looked at: where thousands hold a few numbers, no reading shows them all,
        and a shared number in time is better than the search for one that rests.
        """
        for _ in range(MOST_CANDIDATES):
            number = self._next_resting()
            if number is None:
                break
            # The slot, and one holder more than it may have.
            rows = self._table.between(*with_prefix(slot_row(number)), MOST_TAKEN_FROM + 2, deadline).result()
            found = read_slot_and_holders(number, rows)
            slot, holders = found.slot, found.holders
            # Whether a holder that cannot be read rests, nobody can tell.
            if slot is None or len(holders) > MOST_TAKEN_FROM or found.unreadable:
                continue
            if any(holder.lease.keeps_number(self._rules, now) for holder in holders):
                continue
            try:
                stored = self._emergencies_of(holders, deadline)
            except Unreadable:
                continue
            if stored and all(self._rests(each, number, now) for each in stored):
                return Loan(
                    number=number,
                    kind=LoanKind.RESTING,
                    row=slot.key,
                    version=slot.version,
                    from_holders=stored,
                    quota_row=quota_row,
                )
        return None

    def _next_resting(self) -> str | None:
        with self._lock:
            resting = self._picture.resting
            self._picture.resting = resting[1:]
            return resting[0] if resting else None

    def _emergencies_of(self, holders: Sequence[Holder], deadline: Deadline) -> tuple[Stored, ...]:
        reads = [self._table.get(agent_row(holder.agent_key), deadline) for holder in holders]
        return tuple(read_stored(read.result()) for read in reads)

    def _rests(self, stored: Stored, number: str, now: datetime) -> bool:
        lease = stored.emergency.lease if stored.emergency else None
        if lease is None or lease.number != number or lease.lost:
            return False
        return not lease.keeps_number(self._rules, now)

    def find_shared(self, quota_row: str | None) -> Loan | None:
        """Of those that the last reading showed: the number whose last leg ended longest ago.

        Where all are in a call, one of those with fewest sharers.
        """
        with self._lock:
            activity = self._picture.activity
            equal = numbers_to_share(activity)
            if not equal:
                return None
            number = self._chance.choice(equal)
            # Others of this burst shall not all come to the same number before the next reading.
            activity[number] = activity[number].joined()
        return Loan(number=number, kind=LoanKind.SHARED, quota_row=quota_row)


class _Picture(Struct):
    """One reading of a pool of which nothing is free."""

    resting: tuple[str, ...]
    activity: dict[str, Activity]
    synced: bool = False


def _free_loan(row: Row, quota_row: str | None) -> Loan:
    return Loan(number=number_in(row.key), kind=LoanKind.FREE, row=row.key, version=row.version, quota_row=quota_row)
