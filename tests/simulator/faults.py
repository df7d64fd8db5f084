"""What goes wrong in one world, drawn from its seed, and how often it did."""

import random
from collections import Counter
from collections.abc import Callable, Collection
from enum import StrEnum

from msgspec import Struct

PORTS = ("table", "directory", "presence", "mail", "calls")


# By the usual likelihood so many requests would end a process every second, and nobody in the crowd be served.
CROWD_LIVES = 25
# So many times likelier a process dies in a request to one that is seldom asked: else hardly any would.
DEATHS = {"mail": 8, "calls": 30}


class Trouble(StrEnum):
    """What can befall one request."""

    SLOW = "slow"
    FAILED = "failed"
    ANSWER_LOST = "answer lost"
    DIES_BEFORE = "process died before"
    DIES_AFTER = "process died after"


class Climate(Struct, frozen=True, kw_only=True):
    """How often what goes wrong, as chances; the same seed gives the same climate."""

    port_slow: float
    port_fails: float
    answer_lost: float
    process_dies: float
    target_gone: float
    event_lost: float
    event_doubled: float
    event_late: float
    timer_doubled: float
    store_outages: int
    timer_pauses: int
    rollouts: int
    rows_differ: bool
    answers_calls: bool
    refuses_addresses: bool
    refuses_sender: float
    rows_broken: int
    strangers: int

    @property
    def fair(self) -> bool:
        """Whether no port ever fails."""
        return not self.target_gone

    @property
    def prompt(self) -> bool:
        """Whether events come, and soon."""
        return not (self.event_lost or self.event_late)


def climate_of(chance: random.Random, *, crowd: bool) -> Climate:
    """A climate; many are fair for the ports and some are fine altogether, so that subtle mistakes are not drowned."""
    fine = chance.random() < 0.2
    rough = 0.0 if fine else chance.choice([0.0, 0.003, 0.01, 0.03, 0.06])
    return Climate(
        port_slow=rough * chance.random(),
        port_fails=rough * chance.random(),
        answer_lost=rough * chance.random(),
        process_dies=0.05 * rough * chance.random() / (CROWD_LIVES if crowd else 1),
        target_gone=rough,
        event_lost=0.0 if fine else chance.choice([0.0, 0.05, 0.2]),
        event_doubled=chance.choice([0.0, 0.1, 0.3]),
        event_late=0.0 if fine else chance.choice([0.0, 0.1, 0.3]),
        timer_doubled=chance.choice([0.0, 0.2]),
        store_outages=chance.choice([2, 3, 6, 10]) if rough else 0,
        timer_pauses=0 if fine else chance.choice([0, 2, 6, 9]),
        rollouts=0 if fine else chance.choice([0, 3, 6, 10]),
        rows_differ=chance.random() < 0.3,
        answers_calls=chance.random() < 0.8,
        refuses_addresses=chance.random() < 0.3,
        refuses_sender=0.0 if fine else chance.choice([0.0, 0.0, 0.1, 0.3]),
        rows_broken=0 if fine else chance.choice([0, 0, 10, 60]),
        strangers=chance.choice([0, 0, 2, 5]),
    )


class Faults:
    """Draws single faults, and counts them by kind."""

    def __init__(self, climate: Climate, chance: random.Random, in_a_call: Callable[[], bool]) -> None:
        self.climate = climate
        self.counts: Counter[str] = Counter()
        # The same, of those that struck while somebody's leg was in progress.
        self.in_calls: Counter[str] = Counter()
        self._in_a_call = in_a_call
        self._chance = chance
        self.store_away = False
        self.over = False
        self._troubles = {port: _troubles(climate, DEATHS.get(port, 1)) for port in PORTS}
        self._any_trouble = {port: sum(troubles.values()) for port, troubles in self._troubles.items()}

    def befalling(self, port: str) -> Collection[Trouble]:
        """What befalls a request to this port: mostly nothing, sometimes several things."""
        if self.over or self._chance.random() >= self._any_trouble[port]:
            return ()
        (found,) = self._chance.choices(list(self._troubles[port]), list(self._troubles[port].values()))
        self._count(f"{port} {found}")
        return (found, *self.befalling(port))

    def of_port(self, port: str) -> int:
        """How often something befell a request to this port."""
        return sum(self.counts[f"{port} {trouble}"] for trouble in Trouble)

    def near_callbacks(self) -> int:
        """How much has gone wrong so far that a callback may have met with."""
        ports = self.of_port("table") + self.of_port("calls")
        return ports + sum(self.counts[kind] for kind in ("callback target gone", "store outage", "settings changed"))

    def strikes(self, kind: str, likelihood: float) -> bool:
        """Whether this fault happens now."""
        if self.over or not likelihood or self._chance.random() >= likelihood:
            return False
        self._count(kind)
        return True

    def befell(self, kind: str) -> None:
        """Count what came of several faults together."""
        self._count(kind)

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1
        if self._in_a_call():
            self.in_calls[kind] += 1

    def end(self) -> None:
        """From now on nothing goes wrong any more."""
        self.over, self.store_away = True, False


def _troubles(climate: Climate, deaths: int) -> dict[Trouble, float]:
    return {
        Trouble.SLOW: climate.port_slow,
        Trouble.FAILED: climate.port_fails,
        Trouble.ANSWER_LOST: climate.answer_lost,
        Trouble.DIES_BEFORE: deaths * climate.process_dies,
        Trouble.DIES_AFTER: deaths * climate.process_dies,
    }
