"""Which number is lent while other dials of the same process are under way."""

from shared.ports import LoanKind
from shared.use_cases.start_call import Dial
from tests.house import House, numbers


def test_a_free_number_that_another_dial_is_after_is_tried_rather_than_one_that_is_shared() -> None:
    house = House(pool=numbers(2))
    house.tick()
    assert not house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911")).shared
    # Under way: it has a number in mind, and may lose it to a dial of another process.
    first = house.emergencies.loan(in_directory=True, now=house.clock.now(), deadline=house.within())
    second = house.emergencies.loan(in_directory=True, now=house.clock.now(), deadline=house.within())
    assert (first.kind, second.kind) == (LoanKind.FREE, LoanKind.FREE)
    assert first.number == second.number
