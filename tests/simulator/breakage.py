"""Rows that cannot be read for a while: what must go on all the same is everything of everybody else."""

from typing import TYPE_CHECKING

from shared.adapters.table import Put, Row, Values
from tests.simulator.ports import UNREADABLE, seeded

if TYPE_CHECKING:
    from tests.simulator.world import World

# A tenth of the agents, so that the others' numbers are mostly their own.
ONE_IN = 10
MAX_PAUSE_S = 3 * 3600.0


class Breakage:
    """Breaks rows of some agents and mends them later, as where another version wrote them until it was taken back."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = seeded(world.seed, "breakage")
        breaks = world.faults.climate.rows_broken > 0
        self._victims = {person.agent_id for person in world.people[::ONE_IN]} if breaks else set()
        self._numbers: set[str] = set()

    def excuses(self, about: str | None) -> bool:
        """Whether it is one whose rows were broken, or who shared a number with one."""
        if about is None or about in self._victims:
            return about is not None
        emergency = self._world.checks.emergencies.get(self._world.key_of(about))
        lease = emergency.lease if emergency is not None else None
        return lease is not None and lease.number in self._numbers

    def touches(self, number: str) -> bool:
        """Whether one whose rows were broken has had this number: whoever else is called on it may not be found."""
        return number in self._numbers

    def strike(self) -> None:
        """A row of one of them cannot be read for a while."""
        rows = self._rows()
        if not rows or not self._world.faults.strikes("row broken", 1.0):
            return
        row = self._chance.choice(rows)
        state = row.values["state"]
        self._world.tell("world", f"a row breaks: {row.key}")
        self._write(row.key, {**row.values, "state": UNREADABLE})
        self._world.clock.sleep(self._chance.random() ** 2 * MAX_PAUSE_S)
        self._mend(row.key, state)
        self._world.tell("world", f"a row is mended: {row.key}")

    def _rows(self) -> list[Row]:
        keys = {self._world.key_of(agent_id): agent_id for agent_id in self._victims}
        found = []
        for row in self._all():
            text = f"{row.key} {row.values.get('state', '')}"
            whose = next((key for key in keys if key in text), None)
            whole = row.values.get("state") not in (None, UNREADABLE) and not row.key.startswith("broken|")
            if whose is not None and whole:
                found.append(row)
        for key in keys:
            emergency = self._world.checks.emergencies.get(key)
            if emergency is not None and emergency.lease is not None:
                self._numbers.add(emergency.lease.number)
        return found

    def _mend(self, key: str, state: str | int) -> None:
        for row in self._all():
            here = row.key == key or (row.key.startswith("broken|") and row.values.get("row") == key)
            if here and row.values.get("state") == UNREADABLE:
                self._write(row.key, {**row.values, "state": state})

    def _all(self) -> list[Row]:
        world = self._world
        return world.table.between("", "~~", 1_000_000, world.endless).result()

    def _write(self, key: str, values: Values) -> None:
        self._world.table.commit([Put(key, values)], self._world.endless)
