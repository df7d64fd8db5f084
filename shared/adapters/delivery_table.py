"""How the last message to each contact of an agent fared, in the directory's table (port `Deliveries`).

    delivery|{agent}|{address}   the last state, without a time: it tells of an address, not of a call

Only for agents who have an entry. Both are keyed hashes; the address is hashed together with the agent's name.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import batched

from shared.adapters.table import MAX_ROWS_A_COMMIT, Delete, Put, Row, RowConflict, Table, read_row, with_prefix
from shared.deadlines import Deadline
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.ids import agent_key_of, key_of
from shared.domain.keys import KeyRing
from shared.domain.notifications import Delivery
from shared.ports import Keys

SCHEMA = 1
# What begins the keys of rows that are kept of people.
ROWS_OF_PEOPLE = "delivery|"
MAX_READ = 1_000
MAX_OF_ALL = 200_000


class DeliveryTable:
    """Port `Deliveries`."""

    def __init__(self, table: Table, keys: Keys) -> None:
        self._table = table
        self._keys = keys

    def note(self, agent_id: str, address: str, delivery: Delivery, deadline: Deadline) -> None:
        """Keep the state, if the agent has an entry. Raises `Unavailable`."""
        name = agent_key_of(agent_id)
        entry = self._table.get(f"entry|{name}", deadline)
        row, *older = _rows(name, address, self._keys.ring(deadline))
        reads = [self._table.get(each, deadline) for each in (row, *older)]
        if entry.result() is None:
            return
        known, *old = [read.result() for read in reads]
        if known is None or known.values.get("delivery") != delivery.value:
            gone = [Delete(each.key, each.version) for each in old if each is not None]
            # Another report of that address came meanwhile: that one is as good.
            with suppress(RowConflict):
                self._table.commit([Put(row, {"schema": SCHEMA, "delivery": delivery.value}), *gone], deadline)

    def of(self, agent_id: str, addresses: Sequence[str], deadline: Deadline) -> dict[str, Delivery]:
        """The last state of each of these addresses of which one is known. Raises `Unavailable`."""
        name, ring = agent_key_of(agent_id), self._keys.ring(deadline)
        return _found({row.key: row for row in self._of(name, ring, deadline)}, name, addresses, ring)

    def of_all(self, deadline: Deadline) -> Callable[[str, Sequence[str]], dict[str, Delivery]]:
        """All states at once, to be asked as `of` is. Raises `Unavailable`."""
        ring = self._keys.ring(deadline)
        kept = {
            row.key: row for row in self._table.between(*with_prefix(ROWS_OF_PEOPLE), MAX_OF_ALL, deadline).result()
        }
        return lambda agent_id, addresses: _found(kept, agent_key_of(agent_id), addresses, ring)

    def forget(self, agent_id: str, deadline: Deadline) -> None:
        """Remove all that is kept of this agent's contacts. Raises `Unavailable`."""
        rows = self._of(agent_key_of(agent_id), self._keys.ring(deadline), deadline)
        for group in batched(rows, MAX_ROWS_A_COMMIT, strict=False):
            try:
                self._table.commit([Delete(row.key) for row in group], deadline)
            except RowConflict:
                # Another run removes them too: the next look finds what is left.
                raise Unavailable from None

    def _of(self, name: str, ring: KeyRing, deadline: Deadline) -> list[Row]:
        prefixes = ring.prefixes(name, "delivery")
        reads = [self._table.between(*with_prefix(each), MAX_READ, deadline) for each in prefixes]
        return [row for read in reads for row in read.result()]


def _rows(name: str, address: str, ring: KeyRing) -> list[str]:
    """Where the state of this agent's address may be, the first for what is new."""
    addressed = key_of(f"{name}|{address.casefold()}")
    return [f"delivery|{own}|{key}" for own, key in zip(ring.all(name), ring.all(addressed), strict=True)]


def _found(kept: Mapping[str, Row], name: str, addresses: Sequence[str], ring: KeyRing) -> dict[str, Delivery]:
    found: dict[str, Delivery] = {}
    for address in addresses if kept else ():
        row = next((kept[each] for each in _rows(name, address, ring) if each in kept), None)
        if row is None:
            continue
        try:
            found[address] = read_row(row, lambda each: Delivery(str(each.values["delivery"])))
        except Unreadable:
            continue
    return found
