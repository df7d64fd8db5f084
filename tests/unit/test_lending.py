"""Which number is lent while other dials of the same process are under way."""

import random
from collections.abc import Callable

from shared.adapters.lending import Lending
from shared.adapters.memory_table import MemoryTable
from shared.domain.leases import Rules
from shared.ports import LoanKind
from shared.use_cases.start_call import Dial
from tests.house import HandClock, House, numbers


def test_a_free_number_that_another_dial_is_after_is_tried_rather_than_one_that_is_shared() -> None:
    house = House(pool=numbers(2))
    house.tick()
    assert not house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911")).shared
    # Under way: it has a number in mind, and may lose it to a dial of another process.
    first = house.emergencies.loan(in_directory=True, now=house.clock.now(), deadline=house.within())
    second = house.emergencies.loan(in_directory=True, now=house.clock.now(), deadline=house.within())
    assert (first.kind, second.kind) == (LoanKind.FREE, LoanKind.FREE)
    assert first.number == second.number


class LosesOnce:
    """A lock whose holder meets a dial that lost its number, and has what was read forgotten, when it lets go."""

    def __init__(self) -> None:
        self.forget: Callable[[], object] = lambda: None

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        forget, self.forget = self.forget, lambda: None
        forget()


def test_what_is_forgotten_right_after_it_was_read_is_read_again_and_not_taken_for_nothing() -> None:
    table, lock, clock = MemoryTable(), LosesOnce(), HandClock()
    lending = Lending(table, pool=numbers(2), rules=Rules(), chance=random.Random(1), make_lock=lambda: lock)
    house = House(pool=numbers(2), table=table)
    house.tick()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
    # The reading of the exhausted pool is the second to let go; the first takes what was begun, which is nothing.
    lock.forget = lambda: setattr(lock, "forget", lending.forget)
    loan = lending.find(in_directory=True, now=clock.now(), deadline=house.within())
    assert loan.kind is LoanKind.FREE
