"""How the last message to each contact of an agent fared, in the directory's table (port `Deliveries`).

    delivery|{agent}|{address}   the last state, without a time: it tells of an address, not of a call

Only for agents who have an entry. The address is hashed together with the agent's key.
"""

from collections.abc import Sequence
from itertools import batched

from shared.adapters.table import MOST_ROWS_A_COMMIT, Delete, Put, RowConflict, Table, read_row, with_prefix
from shared.deadlines import Deadline
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.ids import key_of
from shared.domain.notifications import Delivery

SCHEMA = 1
MAX_READ = 1_000


class DeliveryTable:
    """Port `Deliveries`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def note(self, agent_key: str, address: str, delivery: Delivery, deadline: Deadline) -> None:
        """Keep the state, if the agent has an entry. Raises `Unavailable`."""
        row = _row(agent_key, address)
        entry, before = self._table.get(f"entry|{agent_key}", deadline), self._table.get(row, deadline)
        if entry.result() is None:
            return
        known = before.result()
        if known is None or known.values.get("delivery") != delivery.value:
            self._table.commit([Put(row, {"schema": SCHEMA, "delivery": delivery.value})], deadline)

    def of(self, agent_key: str, addresses: Sequence[str], deadline: Deadline) -> dict[str, Delivery]:
        """The last state of each of these addresses of which one is known. Raises `Unavailable`."""
        rows = self._table.between(*with_prefix(f"delivery|{agent_key}|"), MAX_READ, deadline).result()
        kept = {row.key: row for row in rows}
        found: dict[str, Delivery] = {}
        for address in addresses:
            row = kept.get(_row(agent_key, address))
            if row is None:
                continue
            try:
                found[address] = read_row(row, lambda each: Delivery(str(each.values["delivery"])))
            except Unreadable:
                continue
        return found

    def forget(self, agent_key: str, deadline: Deadline) -> None:
        """Remove all that is kept of this agent's contacts. Raises `Unavailable`."""
        rows = self._table.between(*with_prefix(f"delivery|{agent_key}|"), MAX_READ, deadline).result()
        for group in batched(rows, MOST_ROWS_A_COMMIT, strict=False):
            try:
                self._table.commit([Delete(row.key) for row in group], deadline)
            except RowConflict:
                # Another run removes them too: the next look finds what is left.
                raise Unavailable from None


def _row(agent_key: str, address: str) -> str:
    return f"delivery|{agent_key}|{key_of(f'{agent_key}|{address.casefold()}')}"
