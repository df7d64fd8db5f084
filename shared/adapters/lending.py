"""Which number a dial is lent (B2), with as few readings as a burst of dials allows.

Taking *the* longest-free number would make simultaneous dials collide on it; a choice at random among the longest-free
ones that this process remembers, reserved within the process, does not. What is remembered may be stale: the lending
then fails on the free row, and all is read again. That nothing is free is only ever said after a fresh reading, which
serves all dials that waited for it.
"""

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from itertools import batched

from msgspec import Struct, structs

from shared.adapters.emergency_rows import (
    POOL_ROW,
    agent_row,
    map_readable,
    moment,
    moment_of,
    number_in,
    place_row,
    read_hold,
    read_rest,
    read_slot_and_holders,
    read_stored,
    slot_row,
)
from shared.adapters.table import Read, Row, Table, Values, with_prefix
from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Unavailable, Unreadable
from shared.domain.ids import key_of
from shared.domain.leases import Rules
from shared.domain.phone_numbers import is_e164
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
from shared.ports import Loan, LoanKind, Pending, Quota, Stored

REMEMBERED = 128
# Longer than a dial has; then it is over, and so is a reading that began before its end.
UNDER_WAY = timedelta(seconds=2)
REST_ROWS_READ = 1000
MOST_CANDIDATES = 4
# Each of them must be changed in the transaction that lends their number again, and that has room for a hundred rows.
MOST_TAKEN_FROM = 12
SHARE_ROWS_READ = 1000
# Since zones stand in the keys of free numbers, a pool without them is brought in line anew.
ROW_FORM = 2

# A host tells the others of its numbers when it starts and at its timers; a change rolls out within minutes, and what
# an administrator took out is lent for no longer than that.
REGISTERED_FOR = timedelta(minutes=5)
REGISTERED_AGAIN_AFTER = timedelta(minutes=2)
MAX_POOLS_READ = 20
_NUMBERS_A_TEXT = 2_000

type LockMaker = Callable[[], AbstractContextManager[object]]


def registration_row(pool: Sequence[str]) -> str:
    """Where hosts with these numbers in their setting say so."""
    return f"{POOL_ROW}|{key_of(';'.join(sorted(pool)))}"


def registered(pool: Sequence[str], now: datetime) -> Values:
    """That row."""
    texts = [";".join(group) for group in batched(pool, _NUMBERS_A_TEXT, strict=False)]
    return {"schema": 1, "seen": moment(now), **{f"numbers{place}": text for place, text in enumerate(texts)}}


def seen_at(row: Row) -> datetime | None:
    """When such a host was there last; None where the row cannot be read."""
    try:
        return moment_of(str(row.values["seen"]))
    except (LookupError, ValueError):
        return None


def numbers_registered(row: Row) -> list[str]:
    """The numbers that such hosts have in their setting."""
    texts = (text for name, text in row.values.items() if name.startswith("numbers") and isinstance(text, str))
    return [number for text in texts for number in text.split(";") if is_e164(number)]


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
        self._own = tuple(pool)
        self._chance = chance
        self._means = _Means(table, rules, chance, make_lock, self.learn)
        self._lock = threading.Lock()
        self._zones: dict[str, _Zone] = {}
        self._sizes: dict[str, int] = {}
        self.pool: tuple[str, ...] = ()
        self._lend_from(self._own)

    def learn(self, rows: Iterable[Row], now: datetime) -> bool:
        """Take in the pools of all hosts that run (`pool`, `pool|{hash}`); whether the slots stand for all of them.

        Two hosts have different settings while a change rolls out: the order of lending holds over the union.
        """
        marker, others = None, list[str]()
        for row in rows:
            if row.key == POOL_ROW:
                marker = row
            elif (seen := seen_at(row)) is not None and now - seen < REGISTERED_FOR:
                others += numbers_registered(row)
        union = tuple(dict.fromkeys((*self._own, *sorted(others))))
        with self._lock:
            if union != self.pool:
                self._lend_from(union)
        return self.synced(marker)

    def _lend_from(self, pool: tuple[str, ...]) -> None:
        of_zone: dict[str, list[str]] = {}
        for number in pool:
            of_zone.setdefault(zone_of_number(number), []).append(number)
        new = {zone: _Zone(zone, self._means) for zone in of_zone if zone not in self._zones}
        zones = {**self._zones, **new}
        for zone, lending in zones.items():
            lending.pool = tuple(of_zone.get(zone, ()))
        # What a dial meanwhile reads is the one or the other: each is whole.
        self._zones, self.pool = zones, pool
        self._sizes = {zone: len(numbers) for zone, numbers in of_zone.items()}

    def expect(self, country: str | None, deadline: Deadline) -> None:
        """A dial is coming: begin to read now what it may need, if nothing is remembered."""
        for zone in self._in_order(country)[:1]:
            zone.expect(deadline)

    def find(
        self, *, country: str | None, quota: Quota | None, now: datetime, deadline: Deadline, takes: bool = True
    ) -> Loan:
        """A number to lend: free, else resting (where one may be taken), else shared; `NotFound` without a pool."""
        if quota is not None and quota.row is None:
            if not quota.numbers:
                raise NotFound("All numbers that agents outside the directory hold have left the pool.")
            return Loan(number=self._chance.choice(quota.numbers), kind=LoanKind.SHARED)
        loan = self._find_unshared(country, now, deadline, takes=takes)
        loan = loan or next((loan for zone in self._in_order(country) if (loan := zone.find_shared())), None)
        if loan is None:
            raise NotFound("There is no callback number to lend.")
        return structs.replace(loan, quota_row=quota.row if quota is not None else None)

    def _find_unshared(self, country: str | None, now: datetime, deadline: Deadline, *, takes: bool) -> Loan | None:
        seen: list[_Zone] = []
        # A reading may tell of another host's numbers, in zones that this one has none of.
        while zone := next((each for each in self._in_order(country) if each not in seen), None):
            loan = zone.find_unshared(now, deadline, takes=takes)
            if loan is not None:
                return loan
            seen.append(zone)
        return None

    def over(self, loan: Loan, *, lent: bool) -> None:
        """The number was lent, or was not to be had: only another reading can bring it back."""
        zone = self._zones.get(zone_of_number(loan.number))
        if zone is not None:
            zone.over(loan, lent=lent)

    @property
    def reserved(self) -> int:
        """How many free numbers the dials of this process have in mind."""
        return sum(len(zone.reserved) for zone in self._zones.values())

    def forget(self) -> None:
        """What is remembered has proved stale."""
        for zone in self._zones.values():
            zone.forget()

    def synced(self, marker: Row | None) -> bool:
        """Whether the slots stand for the pools of the settings."""
        return marker is not None and marker.values.get("pool") == self.fingerprint()

    def fingerprint(self) -> str:
        """The pools of the settings and the form of their rows, in short."""
        return key_of(f"{ROW_FORM};{';'.join(sorted(self.pool))}")

    def _in_order(self, country: str | None) -> "list[_Zone]":
        own, foreign = zones_in_order(self._sizes, country)
        return [self._zones[zone] for zone in (*own, *foreign)]

    def quota(self, deadline: Deadline) -> Pending[Quota]:
        """A free place among those of agents who are not in the directory; or none, and the numbers they hold."""
        places = places_for_unknown(self.pool)

        def left(rows: list[Row]) -> Quota:
            taken = {row.key: str(row.values["number"]) for row in rows}
            free = [place for place in map(place_row, range(places)) if place not in taken]
            numbers = tuple(sorted(set(taken.values()) & set(self.pool)))
            return Quota(row=self._chance.choice(free) if free else None, numbers=numbers)

        return Read(self._table.between(*with_prefix("unknown|"), places, deadline), left)


class _Means(Struct, frozen=True):
    """What the zones share."""

    table: Table
    rules: Rules
    chance: random.Random
    make_lock: LockMaker
    learn: Callable[[Iterable[Row], datetime], bool]


class _Picture(Struct):
    """One reading of a pool of which nothing is free. Dials that share it take numbers out of `resting`."""

    resting: tuple[str, ...]
    activity: dict[str, Activity]
    synced: bool = False


class _Zone:
    """The numbers of one zone."""

    def __init__(self, zone: str, means: _Means) -> None:
        self._zone = zone
        self.pool: tuple[str, ...] = ()
        self._means = means
        self._lock = threading.Lock()
        self._one_reads = means.make_lock()
        self._begun: Pending[list[Row]] | None = None
        # The free rows of the last reading, and what dials of this process took of any reading, and when.
        self._shown: dict[str, Row] = {}
        self._taken: dict[str, datetime] = {}
        self._picture = _Picture((), {})
        self._forgotten = False

    def expect(self, deadline: Deadline) -> None:
        """A dial is coming: begin to read now what it may need, if nothing is remembered."""
        with self._lock:
            if self._begun is None and len(self.reserved) == len(self._shown):
                self._begun = self._read_free(deadline)

    @property
    def reserved(self) -> list[str]:
        """The rows of the last reading that dials of this process are after."""
        return [key for key in self._shown if key in self._taken]

    def find_unshared(self, now: datetime, deadline: Deadline, *, takes: bool) -> Loan | None:
        """A number that nobody holds: free, else resting (where one may be taken)."""
        picture = self._picture
        row = self._take(now) or self._take_begun(now)
        known, looks = False, 0
        while row is None and not known:
            deadline.require()
            with self._one_reads:
                if self._picture is picture:
                    self._picture = self._read_all(now, deadline)
            looks += 1
            with self._lock:
                picture, row = self._picture, self._picked(now)
                # Where dials of this process are after all that is free, a second look mostly shows who has got it.
                known = not self._forgotten and (looks > 1 or not self.reserved)
                if row is None and known and self.reserved and not picture.activity:
                    # Nobody holds a number yet that could be shared: try for one of theirs.
                    row = self._shown[self._means.chance.choice(self.reserved)]
        if row is not None:
            return Loan(number=number_in(row.key), kind=LoanKind.FREE, row=row.key, version=row.version)
        new = self._new_loan(picture, now, deadline)
        return new or (self._resting_loan(picture, now, deadline) if takes else None)

    def find_shared(self) -> Loan | None:
        """Of those that the last reading showed: the number whose last leg ended longest ago.

        Where all are in a call, one of those with fewest sharers.
        """
        with self._lock:
            activity = self._picture.activity
            equal = numbers_to_share(activity)
            if not equal:
                return None
            number = self._means.chance.choice(equal)
            # Others of this burst shall not all come to the same number before the next reading.
            activity[number] = activity[number].joined()
        return Loan(number=number, kind=LoanKind.SHARED)

    def over(self, loan: Loan, *, lent: bool) -> None:
        """The number was lent, or was not to be had: only another reading can bring it back."""
        with self._lock:
            self._shown.pop(loan.row, None)
            if not lent:
                # One that was lent stays taken: a reading that is under way may still show it.
                self._taken.pop(loan.row, None)

    def forget(self) -> None:
        """What is remembered has proved stale."""
        with self._lock:
            self._shown, self._begun, self._forgotten = {}, None, True

    # What is remembered

    def _take(self, now: datetime) -> Row | None:
        with self._lock:
            return self._picked(now)

    def _picked(self, now: datetime) -> Row | None:
        free = [key for key in self._shown if key not in self._taken]
        if not free:
            return None
        key = self._means.chance.choice(free)
        self._taken[key] = now
        return self._shown[key]

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
            self._shown, self._forgotten = {row.key: row for row in rows}, False
            # A dial that found a number and then had no time left has not let go of it.
            self._taken = {key: since for key, since in self._taken.items() if since > now - UNDER_WAY}

    def _read_free(self, deadline: Deadline) -> Pending[list[Row]]:
        return self._means.table.between(*with_prefix(f"free|{self._zone}|"), REMEMBERED, deadline)

    # The exhausted pool

    def _read_all(self, now: datetime, deadline: Deadline) -> _Picture:
        table, free = self._means.table, self._read_free(deadline)
        pools = table.between(*with_prefix(POOL_ROW), MAX_POOLS_READ, deadline)
        resting = table.between(*with_prefix(f"rest|{self._zone}|"), REST_ROWS_READ, deadline)
        shared = table.between(*with_prefix(f"share|{self._zone}|"), SHARE_ROWS_READ, deadline)
        self._remember(free.result(), now)
        synced = self._means.learn(pools.result(), now)
        activity = activity_of(map_readable(read_hold, shared.result()), self.pool)
        rests = resting_numbers(map_readable(read_rest, resting.result()), activity, self.pool, now)
        return _Picture(rests, activity, synced=synced)

    def _new_loan(self, picture: _Picture, now: datetime, deadline: Deadline) -> Loan | None:
        """A number of the setting whose slot was never written: the pool is not in line with the setting yet."""
        if picture.synced:
            return None
        with self._lock:
            unseen = [number for number in self.pool if number not in picture.activity]
        some = self._means.chance.sample(unseen, min(len(unseen), MOST_CANDIDATES))
        reads = [self._means.table.get(slot_row(number), deadline) for number in some]
        new = [number for number, read in zip(some, reads, strict=True) if read.result() is None]
        with self._lock:
            # Where thousands hold numbers, no reading shows them all: these are held by somebody.
            picture.activity |= {number: held_unseen(now) for number in some if number not in new}
        return Loan(number=new[0], kind=LoanKind.NEW) if new else None

    def _resting_loan(self, picture: _Picture, now: datetime, deadline: Deadline) -> Loan | None:
        """The longest-resting number all of whose holders' leases are over.

        Of those that look so, only some are looked at: where thousands hold a few numbers, no reading shows them all,
        and a shared number in time is better than the search for one that rests.
        """
        for _ in range(MOST_CANDIDATES):
            with self._lock:
                if not picture.resting:
                    return None
                number, *rest = picture.resting
                picture.resting = tuple(rest)
            loan = self._taken_from_holders(number, now, deadline)
            if loan is not None:
                return loan
        return None

    def _taken_from_holders(self, number: str, now: datetime, deadline: Deadline) -> Loan | None:
        table, rules = self._means.table, self._means.rules
        # The slot, and one holder more than it may have.
        rows = table.between(*with_prefix(slot_row(number)), MOST_TAKEN_FROM + 2, deadline).result()
        found = read_slot_and_holders(number, rows)
        slot, holders = found.slot, found.holders
        # Whether a holder that cannot be read rests, nobody can tell.
        if slot is None or not 0 < len(holders) <= MOST_TAKEN_FROM or found.unreadable:
            return None
        if any(holder.lease.keeps_number(rules, now) for holder in holders):
            return None
        reads = [table.get(agent_row(holder.agent_key), deadline) for holder in holders]
        try:
            stored = tuple(read_stored(read.result()) for read in reads)
        except Unreadable:
            return None
        if not all(_rests(each, number, rules, now) for each in stored):
            return None
        kind = LoanKind.RESTING
        return Loan(number=number, kind=kind, row=slot.key, version=slot.version, from_holders=stored)


def _rests(stored: Stored, number: str, rules: Rules, now: datetime) -> bool:
    lease = stored.emergency.lease if stored.emergency else None
    if lease is None or lease.number != number or lease.lost:
        return False
    return not lease.keeps_number(rules, now)
