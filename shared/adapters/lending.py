"""Which number a dial is lent (B2), with as few readings as a burst of dials allows.

Taking *the* longest-free number would make simultaneous dials collide on it; a choice at random among the longest-free
ones that this process remembers, reserved within the process, does not. What is remembered may be stale: the lending
then fails on the free row, and all is read again. That nothing is free is only ever said after a fresh reading, which
serves all dials that waited for it.
"""

import random
import threading
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import chain

from msgspec import structs

from shared.adapters.emergency_rows import number_in
from shared.adapters.exhausted_zone import Picture, ZoneReader, shared_with_holders
from shared.adapters.registered_pools import RegisteredPools
from shared.adapters.table import Row, Table
from shared.adapters.threads import Lock
from shared.deadlines import Deadline
from shared.domain.errors import Conflict, NotFound, Unavailable
from shared.domain.leases import Rules
from shared.domain.pool import Exhausted, zone_of_number, zones_in_order
from shared.ports import Loan, LoanKind, Pending, UnlistedShare

# Longer than a dial has; then it is over, and so is a reading that began before its end.
UNDER_WAY = timedelta(seconds=2)
# Where dials of this process are after all that is free, the second look mostly shows who has got it: without it a dial
# shares after a lost try, and 64 dials on ten numbers take four steps at the 99th percentile instead of three.
MAX_LOOKS = 2
# Of a dial that does not say its country, the directory tells it while these many zones, the largest, are being read.
MAX_ZONES_BEGUN = 5

# Dials of one burst come one after the other: what the first of them began to read is for all of them.
LATER_S = 0.1

type LockMaker = Callable[[], Lock]


class Lending:
    """Finds numbers to lend, a caller's own country's first; lending itself is the transaction of the one who asked.

    `make_lock` makes the locks that are held while somebody reads for all who wait.
    """

    def __init__(
        self,
        table: Table,
        *,
        pools: RegisteredPools,
        rules: Rules,
        chance: random.Random,
        make_lock: LockMaker = threading.Lock,
    ) -> None:
        def make(zone: str) -> _Zone:
            return _Zone(ZoneReader(zone, table, pools, rules, chance), make_lock())

        self._table = table
        self._pools = pools
        self._chance = chance
        self._make = make
        self._zones: dict[str, _Zone] = {}

    def expect(self, country: str | None, deadline: Deadline) -> None:
        """A dial is coming: begin to read now what it may need, if nothing is remembered."""
        for zone in self._in_order(country)[: MAX_ZONES_BEGUN if country is None else 1]:
            zone.expect(deadline)

    def find(
        self,
        *,
        country: str | None,
        unlisted_share: UnlistedShare | None,
        now: datetime,
        deadline: Deadline,
        takes: bool = True,
    ) -> Loan:
        """A number to lend: free, else resting (where one may be taken), else shared; `NotFound` without a pool.

        Raises `Conflict` where a reading is older than what became of its numbers.
        """
        if unlisted_share is not None and unlisted_share.place is None:
            if not unlisted_share.numbers:
                raise NotFound("All numbers that unlisted agents hold have left the pool.")
            return self._find_among(frozenset(unlisted_share.numbers), country, now, deadline, takes=takes)
        loan = self._find_unshared(country, now, deadline, takes=takes)
        loan = loan or next((loan for zone in self._in_order(country) if (loan := zone.find_shared(deadline))), None)
        if loan is None:
            raise NotFound("There is no callback number to lend.")
        return structs.replace(loan, unlisted_number_place=unlisted_share.place if unlisted_share is not None else None)

    def _find_among(
        self, numbers: frozenset[str], country: str | None, now: datetime, deadline: Deadline, *, takes: bool
    ) -> Loan:
        """One of the numbers that unlisted agents hold: resting, else shared; mostly one reading for it."""
        names = {zone_of_number(number) for number in numbers}
        zones = [zone for zone in self._in_order(country) if zone.name in names]
        self._look(zones, {zone: zone.picture for zone in zones}, now, deadline)
        resting = (zone.find_resting(numbers, now, deadline) for zone in zones if takes)
        shared = (zone.find_shared(deadline, numbers) for zone in zones)
        loan = next((loan for loan in chain(resting, shared) if loan is not None), None)
        if loan is None:
            # A reading has an end: where thousands hold numbers, it may show none of these.
            loan = shared_with_holders(self._chance.choice(sorted(numbers)), self._table, self._chance, deadline)
            if loan is None:
                raise Conflict
            return loan
        # Whoever takes a number that rests takes the place that it has: they hold no more numbers than before.
        held = (each.emergency.unlisted_number_place for each in loan.from_holders if each.emergency is not None)
        return structs.replace(loan, unlisted_number_place=next((place for place in held if place is not None), None))

    def _find_unshared(self, country: str | None, now: datetime, deadline: Deadline, *, takes: bool) -> Loan | None:
        looked: list[_Zone] = []
        seen: dict[_Zone, Picture] = {}
        # A reading may tell of another host's numbers, in zones that this one has none of.
        while zones := next((left for each in self._ranks(country) if (left := _without(looked, each))), None):
            seen |= {zone: zone.picture for zone in (*zones, *self._in_order(country)) if zone not in seen}
            loan = self._find_unshared_in(zones, seen, now, deadline, takes=takes)
            if loan is not None:
                return loan
            looked += zones
        return None

    def _find_unshared_in(
        self, zones: "list[_Zone]", seen: "Mapping[_Zone, Picture]", now: datetime, deadline: Deadline, *, takes: bool
    ) -> Loan | None:
        """In one of these zones, which are as good as each other; `seen` are the pictures before this dial."""
        loan = _remembered(zones, now, deadline)
        if loan is None:
            # All in one step, however many; where nothing rested here at the last look, those of other countries too.
            rested = any(zone.picture.held.resting for zone in zones)
            self._look(zones if rested else list(seen), seen, now, deadline)
            loan = _remembered(zones, now, deadline)
        found = (zone.find_unshared(seen[zone], now, deadline, takes=takes) for zone in zones)
        return loan or next((each for each in found if each is not None), None)

    def _look(self, zones: "list[_Zone]", seen: "Mapping[_Zone, Picture]", now: datetime, deadline: Deadline) -> None:
        """Read those zones of which nobody has read another picture than the one that was seen."""
        deadline.require()
        with ExitStack() as turns:
            # In the order of their names, so that no two dials wait for one another.
            for zone in sorted(zones, key=lambda each: each.name):
                turns.enter_context(_held(zone.one_reads, deadline))
            stale = [zone for zone in zones if zone.picture is seen[zone]]
            if not stale:
                return
            pools = self._pools.read(deadline)
            begun = [(zone, zone.begin(pools, now, deadline)) for zone in stale]
            for zone, read in begun:
                zone.learn(read(), now)

    def _in_order(self, country: str | None) -> "list[_Zone]":
        return list(chain.from_iterable(self._ranks(country)))

    def _ranks(self, country: str | None) -> "tuple[list[_Zone], ...]":
        """The caller's own zones, and then the others."""
        ranks = zones_in_order(self._pools.pool.sizes, country)
        # `setdefault` is one step: two dials that make the same zone both go on with the one that was first.
        return tuple(
            [self._zones.get(zone) or self._zones.setdefault(zone, self._make(zone)) for zone in rank] for rank in ranks
        )

    def over(self, loan: Loan, *, lent: bool) -> None:
        """The number was lent, or was not to be had: only another reading can bring it back."""
        zone = self._zones.get(zone_of_number(loan.number))
        if zone is not None:
            zone.over(loan.row, lent=lent)

    def forget(self) -> None:
        """What is remembered has proved stale."""
        for zone in list(self._zones.values()):
            zone.forget()


class _Zone:
    """What this process remembers of one zone, and which of its free numbers dials of this process are after."""

    def __init__(self, reader: ZoneReader, one_reads: Lock) -> None:
        self._reader = reader
        self.name = reader.zone
        self.one_reads = one_reads
        self._lock = threading.Lock()
        self._begun: tuple[Pending[list[Row]], Deadline] | None = None
        # The free rows of the last reading, and what dials of this process took of any reading, and when.
        self._free: dict[str, Row] = {}
        self._taken: dict[str, datetime] = {}
        self.picture = Picture({}, Exhausted((), {}), {}, synced=False)

    def expect(self, deadline: Deadline) -> None:
        """A dial is coming: begin to read now what it may need, if nothing is remembered."""
        with self._lock:
            if self._begun is None and self._free.keys() <= self._taken.keys():
                self._begun = self._reader.free(deadline), deadline

    def remembered(self, now: datetime, deadline: Deadline) -> Loan | None:
        """A free number of those that are remembered, or that a reading which was begun shows."""
        row = self._take(self._free, now) or self._take(self._read_begun(now, deadline), now)
        return _free_loan(row) if row is not None else None

    def find_unshared(self, seen: Picture, now: datetime, deadline: Deadline, *, takes: bool) -> Loan | None:
        """A number that nobody holds, by a newer picture than `seen`: free, else never lent, else resting."""
        picture, row = seen, None
        for _ in range(MAX_LOOKS):
            picture = self._look(picture, now, deadline)
            row = self._take(picture.free, now)
            if row is not None or not picture.free:
                break
        if row is None and not picture.held.activity:
            # Nobody holds a number yet that could be shared: try for one that another dial is after.
            with self._lock:
                row = self._chosen(picture.free, leaving_out=())
        if row is not None:
            return _free_loan(row)
        new = self._reader.new_loan(picture, now, deadline)
        return new or (self._reader.resting_loan(picture, now, deadline) if takes else None)

    def find_resting(self, among: Collection[str], now: datetime, deadline: Deadline) -> Loan | None:
        """Of these numbers, one that rests by the last reading."""
        return self._reader.resting_loan(self.picture, now, deadline, among)

    def find_shared(self, deadline: Deadline, among: Collection[str] | None = None) -> Loan | None:
        """Of the numbers (and of these) that the last reading showed, the one that is to be shared."""
        return self._reader.shared_loan(self.picture, deadline, among)

    def over(self, row: str, *, lent: bool) -> None:
        """The number was lent, or was not to be had: only another reading can bring it back."""
        with self._lock:
            self._free.pop(row, None)
            self.picture.free.pop(row, None)
            if not lent:
                # One that was lent stays taken: a reading that is under way may still show it.
                self._taken.pop(row, None)

    def forget(self) -> None:
        """What is remembered has proved stale."""
        with self._lock:
            self._free, self._begun = {}, None

    def _take(self, free: Mapping[str, Row], now: datetime) -> Row | None:
        with self._lock:
            row = self._chosen(free, leaving_out=self._taken)
            if row is not None:
                self._taken[row.key] = now
            return row

    def _chosen(self, free: Mapping[str, Row], leaving_out: Container[str]) -> Row | None:
        rows = [row for key, row in free.items() if key not in leaving_out]
        return self._reader.chance.choice(rows) if rows else None

    def _read_begun(self, now: datetime, deadline: Deadline) -> Mapping[str, Row]:
        """What `expect` began to read, and whoever waited for it may take from."""
        with _held(self.one_reads, deadline):
            begun, self._begun = self._begun, None
            # An event or a drill may have begun it, which have more time than a dial: that one reads anew.
            if begun is not None and _ends_by(begun[1], deadline):
                # A dial before may have begun it, in an outage or with little time left: then a fresh one decides.
                with suppress(Unavailable):
                    self._remember({row.key: row for row in begun[0].result()}, now)
            return self._free

    def _look(self, seen: Picture, now: datetime, deadline: Deadline) -> Picture:
        """A reading after the one that a dial has seen: its own, unless another's came while it waited for its turn."""
        deadline.require()
        with _held(self.one_reads, deadline):
            if self.picture is seen:
                self.learn(self.begin(self._reader.pools.read(deadline), now, deadline)(), now)
            return self.picture

    def begin(self, pools: Pending[list[Row]], now: datetime, deadline: Deadline) -> Callable[[], Picture]:
        """Begin a reading; by the holder of `one_reads`."""
        return self._reader.picture(pools, now, deadline)

    def learn(self, picture: Picture, now: datetime) -> None:
        """A reading has come; by the holder of `one_reads`."""
        self.picture = picture
        self._remember(picture.free, now)

    def _remember(self, free: dict[str, Row], now: datetime) -> None:
        with self._lock:
            self._free = free
            # A dial that found a number and then had no time left has not let go of it.
            self._taken = {key: since for key, since in self._taken.items() if since > now - UNDER_WAY}


def _without(looked: list[_Zone], zones: list[_Zone]) -> list[_Zone]:
    return [zone for zone in zones if zone not in looked]


def _remembered(zones: list[_Zone], now: datetime, deadline: Deadline) -> Loan | None:
    return next((loan for zone in zones if (loan := zone.remembered(now, deadline))), None)


@contextmanager
def _held(one_reads: Lock, deadline: Deadline) -> Iterator[None]:
    """Hold it, unless the deadline comes first (`Unavailable`): whoever reads may have a later one."""
    while not one_reads.acquire(timeout=deadline.remaining_s()):
        deadline.require()
    try:
        yield
    finally:
        one_reads.release()


def _ends_by(reading: Deadline, deadline: Deadline) -> bool:
    """Whether a reading with that deadline is over, with an answer or without one, by about this deadline."""
    sooner = reading.remaining_s() <= deadline.remaining_s() + LATER_S
    return sooner and reading.latest_s() <= deadline.latest_s() + LATER_S


def _free_loan(row: Row) -> Loan:
    return Loan(number=number_in(row.key), kind=LoanKind.FREE, row=row.key, version=row.version)
