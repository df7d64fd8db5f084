"""Events in a simulated world: at least once, unordered, much later than they should, sometimes never."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.domain.errors import Unavailable
from tests.simulator.ports import Died

if TYPE_CHECKING:
    from tests.simulator.processes import Process
    from tests.simulator.world import World

DAY_S = 86_400.0
TRIES = 30
SOON_S = 2.0


class Courier:
    """Brings what happened to whichever process the platform picks."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def send(self, what: "Callable[[Process], None]", *, may_be_lost: bool = True, within_s: float = SOON_S) -> None:
        """Deliver it within that time, unless the climate has it lost, doubled or late; again until it is taken."""
        world, climate = self._world, self._world.faults.climate
        if may_be_lost and world.faults.strikes("event lost", climate.event_lost):
            return
        times = 2 if world.faults.strikes("event doubled", climate.event_doubled) else 1
        for _ in range(times):
            delay_s = world.chance.random() * within_s
            if world.faults.strikes("event late", climate.event_late):
                delay_s = DAY_S * world.chance.random() ** 6
            world.clock.spawn(lambda: self._deliver(what), delay_s)

    def _deliver(self, what: "Callable[[Process], None]") -> None:
        wait_s = 10.0
        for _ in range(TRIES):
            try:
                what(self._world.any_process())
            except (Died, Unavailable):
                self._world.clock.sleep(wait_s)
                wait_s = min(wait_s * 2, 600.0)
            else:
                return
