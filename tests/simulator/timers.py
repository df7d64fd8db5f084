"""The app's timers, which find something to do whenever a row of the table is due."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.adapters.emergency_rows import moment_in
from shared.adapters.table import Delete, Write
from tests.fakes.memory_table import MemoryTable
from tests.simulator.clockwork import SECOND, microseconds
from tests.simulator.processes import Process

if TYPE_CHECKING:
    from tests.simulator.world import World

IDLE_S = 3000
NEVER_US = 1 << 62


class Timer:
    """One timer: it runs every so many seconds on whichever process the platform picks, sometimes on two.

    It does what is due by the rows of these `kinds`.

    A run that would find nothing to do changes nothing. Those are left out, for speed, but for one in a while.
    """

    def __init__(self, world: "World", kinds: Sequence[str], every_s: int, run: Callable[[Process], None]) -> None:
        self._world = world
        self._first_due = FirstDue(world.table, kinds)
        self._prefixes = tuple(f"{kind}|" for kind in kinds)
        self._every_us = every_s * SECOND
        self._run = run
        self._next_us = -1
        self._idle_until_us = 0
        self.paused_until_us = 0
        self._wake_at(0)

    def committed(self, writes: Sequence[Write]) -> None:
        """A transaction may have written what is due earlier than all that was."""
        for write in writes:
            if write.key.startswith(self._prefixes) and not isinstance(write, Delete):
                self._wake_at(microseconds(moment_in(write.key)))

    def _wake_at(self, due_us: int) -> None:
        """Run at the first time of this timer at which that is due, unless it runs before anyway."""
        clock = self._world.clock
        earliest = max(due_us, clock.at_us + 1, self.paused_until_us)
        when_us = -(-earliest // self._every_us) * self._every_us
        if self._next_us < 0 or when_us < self._next_us:
            self._next_us = when_us
            clock.call_at(when_us, lambda: self._ring(when_us))

    def _ring(self, when_us: int) -> None:
        if when_us != self._next_us:
            return
        self._next_us = -1
        first_due_us = self._first_due.at_us()
        if when_us >= self.paused_until_us and min(first_due_us, self._idle_until_us) <= when_us:
            self._idle_until_us = when_us + IDLE_S * SECOND
            self._start()
        self._wake_at(min(first_due_us, self._idle_until_us))

    def _start(self) -> None:
        world = self._world
        twice = world.faults.strikes("timer doubled", world.faults.climate.timer_doubled)
        for _ in range(2 if twice else 1):
            process = world.any_process()
            world.clock.spawn(lambda process=process: self._run_on(process))  # type: ignore[misc]

    def _run_on(self, process: Process) -> None:
        """What a process leaves undone that dies in it has to wait for this timer's next time."""
        began = self._world.clock.now()
        self._run(process)
        if process.dead:
            self._world.unserved.append((began, began + timedelta(microseconds=self._every_us)))


class FirstDue:
    """When the first row of some kinds is due, looked up once after each change of the table."""

    def __init__(self, table: MemoryTable, kinds: Sequence[str]) -> None:
        self._table = table
        self._prefixes = tuple(f"{kind}|" for kind in kinds)
        self._changes = -1
        self._at_us = NEVER_US

    def at_us(self) -> int:
        """The time by the clockwork."""
        if self._changes != self._table.changes:
            self._changes = self._table.changes
            keys = filter(None, map(self._table.first_key, self._prefixes))
            self._at_us = min((microseconds(moment_in(key)) for key in keys), default=NEVER_US)
        return self._at_us
