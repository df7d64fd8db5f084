"""The callback numbers, over the emergencies' table (port `NumberPool`): slots, holders, and what is free."""

import random
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import batched

from shared.adapters.emergency_rows import (
    OUT_OF_LINE,
    POOL_ROW,
    SCHEMA,
    OfNumber,
    by_free_number,
    free_row,
    has_zone,
    holder_row,
    map_readable,
    ration_row,
    read_holder,
    read_slot_and_holders,
    share_values,
    slot_row,
    slots_and_held,
    unlisted_emergency_row,
    unlisted_number_row,
)
from shared.adapters.lending import Lending, LockMaker
from shared.adapters.registered_pools import RegisteredPools
from shared.adapters.table import (
    MAX_ROWS_A_COMMIT,
    Delete,
    Insert,
    Put,
    Read,
    Replace,
    Row,
    RowConflict,
    Table,
    Values,
    Write,
    with_prefix,
)
from shared.deadlines import Deadline
from shared.domain.callers import Caller
from shared.domain.emergencies import UnlistedEmergencyPlace
from shared.domain.ids import key_of
from shared.domain.leases import Lease, Rules
from shared.domain.pool import notices_a_window, ration_window, unlisted_at_once, unlisted_numbers_at_most
from shared.domain.pool_numbers import NumberLeases
from shared.ports import Holder, Keys, Loan, LoanKind, Pending, Ration, UnlistedShare

MAX_ROWS_A_POOL = 200_000
# A page of the service. The newest of a number's holders may be anywhere among them.
MAX_HOLDERS_READ = 1000

_BARE: Values = {"schema": SCHEMA}
_LEAVING: Values = {"schema": SCHEMA, "leaves": True}


class NumbersTable:
    """The numbers of a deployment; `pool` is CALLBACK_NUMBERS, as this host has it."""

    def __init__(
        self,
        table: Table,
        *,
        pool: Sequence[str],
        rules: Rules,
        chance: random.Random,
        keys: Keys,
        make_lock: LockMaker = threading.Lock,
    ) -> None:
        self._table = table
        self._keys = keys
        self._chance = chance
        self._pools = RegisteredPools(table, pool)
        self._lending = Lending(table, pools=self._pools, rules=rules, chance=chance, make_lock=make_lock)

    def holders(self, number: str, deadline: Deadline) -> list[Holder] | None:
        """Who holds or last held a number, newest lease first; None if it is not of the pool and nobody does."""
        found = self._slot_and_holders(number, MAX_HOLDERS_READ, deadline)
        return found.holders if found.holders or found.unreadable or found.slot is not None else None

    def knows(self, number: str, deadline: Deadline) -> Pending[bool]:
        """Whether it is a number of any host's pool, or one that left the pool and is lent still: it has a slot."""
        return Read(self._table.get(slot_row(number), deadline), lambda slot: slot is not None)

    def is_of_a_pool(self, number: str, now: datetime) -> bool:
        """Whether any host has it in its setting, as far as this one has learned lately; no request."""
        return self._pools.has(number, now)

    def _slot_and_holders(self, number: str, most: int, deadline: Deadline) -> OfNumber:
        return read_slot_and_holders(number, self._prefixed(slot_row(number), 1 + most, deadline))

    def _prefixed(self, prefix: str, limit: int, deadline: Deadline) -> list[Row]:
        return self._table.between(*with_prefix(prefix), limit, deadline).result()

    def all_leases(self, deadline: Deadline) -> list[NumberLeases]:
        """Every number that the store knows, with the leases that are kept of it; what cannot be read is left out."""
        rows = self._prefixed("number|", MAX_ROWS_A_POOL, deadline)
        slots, _ = slots_and_held(rows)
        leases: dict[str, list[Lease]] = {number: [] for number in slots}
        for holder in map_readable(read_holder, (row for row in rows if not row.key.endswith("|"))):
            leases.setdefault(holder.lease.number, []).append(holder.lease)
        return [
            NumberLeases(number=number, leases=tuple(each), leaves=number in slots and _leaves(slots[number]))
            for number, each in leases.items()
        ]

    # Lending

    def expect_loan(self, country: str | None, deadline: Deadline) -> None:
        """A dial is coming, as far as is known from this country: begin to read what it may need."""
        self._lending.expect(country, deadline)

    def loan(
        self,
        *,
        country: str | None,
        unlisted_share: UnlistedShare | None,
        now: datetime,
        deadline: Deadline,
        takes: bool = True,
    ) -> Loan:
        """A number to lend: free, else resting, else shared, a domestic one first; `NotFound` without a pool (B2)."""
        return self._lending.find(
            country=country, unlisted_share=unlisted_share, now=now, deadline=deadline, takes=takes
        )

    def unlisted_share(self, deadline: Deadline) -> Pending[UnlistedShare]:
        """Whether unlisted agents may have one more number between them."""
        pool = self._pools.pool.numbers
        places = {unlisted_number_row(place): place for place in range(unlisted_numbers_at_most(pool))}

        def left(rows: list[Row]) -> UnlistedShare:
            held = {str(row.values.get("number")) for row in rows}
            return UnlistedShare(place=self._one_left(places, rows), numbers=tuple(sorted(held.intersection(pool))))

        return Read(self._table.between(*with_prefix("unknown|"), len(places), deadline), left)

    def ration(
        self, owner: str | None, now: datetime, deadline: Deadline, besides: Collection[str] = ()
    ) -> Pending[Ration]:
        """What is left of the ration of this unlisted principal."""
        most, name = notices_a_window(owner), key_of(owner or "")
        owner_key = self._keys.ring(deadline).first(name)
        ration = [ration_row(ration_window(now), owner_key, place) for place in range(most)]
        read = self._table.between(ration[0], f"{ration[-1]}~", most, deadline)

        def left(rows: list[Row]) -> Ration:
            return Ration(row=self._one_left({row: row for row in ration}, rows, besides), first=not (rows or besides))

        return Read(read, left)

    def unlisted_emergency_place(self, caller: Caller, deadline: Deadline) -> Pending[UnlistedEmergencyPlace | None]:
        """A place for an unlisted agent's emergency that the caller reports; None where there are enough."""
        most = unlisted_at_once(caller)
        # Agents are many principals with one emergency each: they are bounded together.
        together = "agents" if caller.is_agent else self._keys.ring(deadline).first(key_of(caller.owner))
        places = _unlisted_emergency_places(together, most)
        read = self._table.between(*with_prefix(f"outside|{together}|"), most, deadline)
        return Read(read, lambda rows: self._one_left(places, rows))

    def _one_left[T](self, places: Mapping[str, T], taken: Iterable[Row], besides: Collection[str] = ()) -> T | None:
        """One of the places, by their rows, that is not taken: at random, so that two who ask at once rarely meet."""
        gone = {row.key for row in taken}.union(besides)
        left = [place for row, place in places.items() if row not in gone]
        return self._chance.choice(left) if left else None

    def over(self, loan: Loan, *, lent: bool) -> None:
        """The transaction that lends it was applied, or was not."""
        self._lending.over(loan, lent=lent)

    def forget(self) -> None:
        """What this process remembers of free numbers has proved stale."""
        self._lending.forget()

    def given_back(self, number: str, agent_key: str, now: datetime, deadline: Deadline) -> Iterable[Write]:
        """What becomes of a number that this agent holds no longer: somebody else's, free, or gone."""
        # Whether there is another one besides, by the keys alone: what stands in a row may be unreadable.
        rows = {row.key: row for row in self._prefixed(slot_row(number), 3, deadline)}
        slot = rows.pop(slot_row(number), None)
        if slot is None:
            return
        if rows.keys() - {holder_row(number, agent_key)}:
            yield Replace(slot.key, slot.values, slot.version)
        elif _leaves(slot):
            yield Delete(slot.key, slot.version)
        elif number in self._pools.pool.numbers:
            yield Replace(slot.key, _BARE, slot.version)
            yield Insert(free_row(number, now), _BARE)
        else:
            # Another process lent it, with other numbers: whose are right is for the next look at the pool to say.
            yield Delete(slot.key, slot.version)
            yield Put(POOL_ROW, OUT_OF_LINE)

    # The pool

    def free_count(self, limit: int, deadline: Deadline) -> int:
        """How many numbers are free, counted up to `limit`."""
        return len(self._prefixed("free|", limit, deadline))

    def register_pool(self, now: datetime, deadline: Deadline) -> None:
        """Tell other hosts which numbers this one has in its setting: they take none of them away."""
        self._pools.register(now, deadline)

    def sync_pool(self, now: datetime, deadline: Deadline) -> None:
        """Bring the slots in line with CALLBACK_NUMBERS, and those of hosts with other settings that run still.

        A number that leaves while it is lent keeps its holders and its slot, which says that it does not come free.
        """
        rows = self._pools.read(deadline).result()
        self._pools.keep(rows, now, deadline)
        if self._pools.learn(rows, now):
            return
        # Whoever stops half way leaves it marked as not in line; whoever comes second makes the first one stop.
        [mark] = self._table.commit([Put(POOL_ROW, OUT_OF_LINE)], deadline)
        changes = self._pool_changes(now, deadline)
        with suppress(_OtherSync):
            for group in batched(changes, (MAX_ROWS_A_COMMIT - 1) // 2, strict=False):
                mark = self._change_pool(group, mark, deadline)
            # Numbers were lent and given back meanwhile: that all is well only a look that finds it so can tell.
            if not changes:
                self._mark_pool({"schema": SCHEMA, "pool": self._pools.fingerprint()}, [], mark, deadline)
        self._lending.forget()

    def _pool_changes(self, now: datetime, deadline: Deadline) -> list[list[Write]]:
        # Slots first: what is lent or given back between the readings fails on the version of its slot or its free row.
        slots, held = slots_and_held(self._prefixed("number|", MAX_ROWS_A_POOL, deadline))
        free = by_free_number(self._prefixed("free|", MAX_ROWS_A_POOL, deadline))
        both = [_held_after_all(free[number], slots[number]) for number in held & free.keys() & slots.keys()]
        # The next look does the rest, with those out of its way.
        return both or self._changes_of(slots, held, free, now)

    def _changes_of(
        self, slots: Mapping[str, Row], held: Collection[str], free: Mapping[str, Row], now: datetime
    ) -> list[list[Write]]:
        changes: list[list[Write]] = []
        pool = self._pools.pool.numbers
        staying = frozenset(pool)
        for number in pool:
            slot = slots.get(number)
            if number not in held and number not in free:
                changes.append([_slot_write(number, slot), Insert(free_row(number, now), _BARE)])
            elif slot is not None and _leaves(slot):
                changes.append([Replace(slot.key, _BARE, slot.version)])
            elif number in free and not has_zone(free[number].key):
                # A version before this one wrote it.
                unzoned = free[number]
                changes.append([Delete(unzoned.key, unzoned.version), Insert(free_row(number, now), _BARE)])
        for number, slot in slots.items():
            if number in staying:
                continue
            if number in free:
                changes.append([Delete(free[number].key, free[number].version), Delete(slot.key)])
            elif number not in held:
                changes.append([Delete(slot.key, slot.version)])
            elif not _leaves(slot):
                changes.append([Replace(slot.key, _LEAVING, slot.version)])
        return changes

    def _change_pool(self, group: Sequence[Sequence[Write]], mark: str | None, deadline: Deadline) -> str | None:
        try:
            return self._mark_pool(OUT_OF_LINE, [write for writes in group for write in writes], mark, deadline)
        except RowConflict:
            for writes in group:
                # Somebody lent or gave back this very number meanwhile.
                with suppress(RowConflict):
                    mark = self._mark_pool(OUT_OF_LINE, writes, mark, deadline)
            return mark

    def _mark_pool(self, values: Values, writes: Sequence[Write], mark: str | None, deadline: Deadline) -> str | None:
        try:
            return self._table.commit([Replace(POOL_ROW, values, mark), *writes], deadline)[0]
        except RowConflict as conflict:
            raise _OtherSync if conflict.index == 0 else conflict from None


@lru_cache(maxsize=16)
def _unlisted_emergency_places(principals: str, most: int) -> Mapping[str, UnlistedEmergencyPlace]:
    """All places that these principals may have, by their rows; remembered, because they are up to a thousand."""
    places = (UnlistedEmergencyPlace(principals, number) for number in range(most))
    return {unlisted_emergency_row(place): place for place in places}


def lent(loan: Loan) -> Iterable[Write]:
    """What a transaction that lends a number does to its slot and its free row."""
    slot = slot_row(loan.number)
    if loan.kind is LoanKind.NEW:
        yield Insert(slot, _BARE)
        return
    # Rewriting the slot changes its ETag, so that a release at the same time fails.
    yield Replace(slot, _BARE, None if loan.kind is LoanKind.FREE else loan.version or None)
    if loan.kind is LoanKind.FREE:
        yield Delete(loan.row, loan.version)
    if loan.held_by:
        # A 404 where that holder was forgotten since the reading: the number is free by now, and nobody shares it. On
        # no version, so that the dials of a burst share one number at once.
        yield Replace(loan.held_by, share_values())


class _OtherSync(Exception):
    """Another process has begun to bring the pool in line meanwhile, perhaps with other numbers."""


def _leaves(slot: Row) -> bool:
    """Whether the number has left the pool, and is only lent still."""
    return bool(slot.values.get("leaves"))


def _held_after_all(free: Row, slot: Row) -> list[Write]:
    """A number that is held is not free, as a version before this one could leave it; a release changes the slot."""
    return [Delete(free.key, free.version), Replace(slot.key, slot.values, slot.version)]


def _slot_write(number: str, slot: Row | None) -> Write:
    return Replace(slot.key, _BARE, slot.version) if slot else Insert(slot_row(number), _BARE)
