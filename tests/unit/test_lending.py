"""Which number is lent while other dials of the same process are under way."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from shared.adapters.emergency_rows import free_row, slot_row
from shared.adapters.exhausted_zone import SHARE_ROWS_READ
from shared.adapters.lending import UNDER_WAY, Lending, LockMaker
from shared.adapters.numbers_table import lent
from shared.adapters.registered_pools import REGISTERED_FOR, RegisteredPools
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import Insert, Put, Row, Table
from shared.deadlines import Budgets, Deadline, PatientDeadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.leases import Rules
from shared.ports import Answered, Loan, LoanKind
from shared.use_cases.carry_on_drill import STEP_WITHIN_S
from shared.use_cases.end_call import End
from tests.fakes.house import DAWN, PATIENCE_S, HandClock, House, Overtaken, after, numbers
from tests.fakes.memory_table import MemoryTable


def test_what_other_dials_are_after_is_as_good_as_lent_unless_nobody_holds_anything_yet() -> None:
    house = House(pool=numbers(2))
    house.tick()

    def find() -> Loan:
        return house.numbers.loan(country="US", unlisted_share=None, now=house.clock.now(), deadline=house.within())

    # Under way: they have numbers in mind, and may lose them to dials of another process.
    first, second, third = find(), find(), find()
    assert {each.kind for each in (first, second, third)} == {LoanKind.FREE}
    assert first.number != second.number and third.number in {first.number, second.number}
    ana = house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
    assert not ana.shared
    for _ in range(4):
        shares = find()
        assert (shares.kind, shares.number) == (LoanKind.SHARED, ana.callback_number), "nobody holds the other one"
    house.clock.advance(UNDER_WAY)
    assert find().kind is LoanKind.FREE, "whoever had it in mind is over by now"


def test_a_number_whose_holder_no_reading_shows_is_not_taken_for_one_that_was_never_lent() -> None:
    left, stays = numbers(2)
    house = House(pool=(left, stays))
    house.tick()
    for name in ("ana", "ben", "carl"):
        house.add_agent(Agent(agent_id=name))
    for name in ("ana", "ben"):
        house.dial(Dial(call_id=f"{name}/1", agent_id=name, dialled="911"))
    for begin in range(0, SHARE_ROWS_READ, 50):
        rows = [
            f"share|US|20261120T160000000000Z|{left.removeprefix('+')}|nobody-{n}" for n in range(begin, begin + 50)
        ]
        house.table.commit([Put(row, {"schema": 1}) for row in rows], house.within())
    # The setting has changed, and no timer has brought the pool in line with it.
    house.lend_from((stays,))
    house.clock.advance(REGISTERED_FOR)
    answer = house.dial(Dial(call_id="carl/1", agent_id="carl", dialled="911"))
    assert (answer.callback_number, answer.shared, answer.degraded) == (stays, True, False)


def lending_of(table: Table, count: int, make_lock: LockMaker = threading.Lock) -> Lending:
    pools = RegisteredPools(table, numbers(count))
    return Lending(table, pools=pools, rules=Rules(), chance=random.Random(1), make_lock=make_lock)


class Counted(Overtaken):
    """Counts the readings of free numbers; something may happen before the second one."""

    looks = 0
    before_second: Callable[[], None] = staticmethod(lambda: None)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        self.looks += first.startswith("free|")
        if self.looks == 2:
            self.before_second()
        return super().between(first, end, limit, deadline)


class Answer[T]:
    """An answer of `Stepped`."""

    def __init__(self, table: "Stepped", answer: Answered[T]) -> None:
        self._table, self._answer = table, answer

    def result(self) -> T:
        self._table.steps += self._table.asked
        self._table.asked = False
        return self._answer.result()


class Stepped(MemoryTable):
    """Counts the steps of readings: how often an answer is waited for after something was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.steps, self.readings = False, 0, 0

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        self.asked = True
        self.readings += 1
        return Answer(self, super().between(first, end, limit, deadline))  # type: ignore[return-value]


# No Danish number begins with a zero.
DANISH = f"+45{1234:08}"
FIVE_COUNTRIES = ("+14255550100", "+14165550100", "+447700900123", DANISH, "+61491570156")


@pytest.mark.parametrize(("country", "shared"), [("US", "+14255550100"), ("NZ", None), (None, None)])
def test_that_nothing_is_free_in_any_of_five_countries_is_known_in_one_step(
    country: str | None, shared: str | None
) -> None:
    table = Stepped()
    house = House(pool=FIVE_COUNTRIES, table=table)
    house.tick()
    for n in range(len(FIVE_COUNTRIES)):
        house.add_agent(Agent(agent_id=f"agent-{n}"))
        house.dial(Dial(call_id=f"{n}/1", agent_id=f"agent-{n}", dialled="911"))
    lending = Lending(table, pools=RegisteredPools(table, FIVE_COUNTRIES), rules=Rules(), chance=random.Random(1))
    table.steps = table.readings = 0
    loan = lending.find(country=country, unlisted_share=None, now=house.clock.now(), deadline=house.within())
    assert loan.kind is LoanKind.SHARED and loan.number == (shared or loan.number)
    # Free, resting and held of each, and what other hosts have.
    assert (table.steps, table.readings) == (1, 3 * len(FIVE_COUNTRIES) + 1)


class TwoDials:
    """A pool of one number, which one dial has in mind and then is lent, and another dial."""

    def __init__(self) -> None:
        self.house = House(pool=numbers(1), table=Counted())
        self.house.tick()
        self.lending = lending_of(self.house.table, 1)
        self.first = self.find()

    def find(self) -> Loan:
        return self.lending.find(
            country=None, unlisted_share=None, now=self.house.clock.now(), deadline=self.house.within()
        )

    def first_is_lent(self) -> None:
        self.house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
        self.lending.over(self.first, lent=True)


def test_what_is_lent_while_a_reading_is_under_way_is_not_taken_for_free_when_that_comes() -> None:
    dials = TwoDials()
    dials.lending.expect(None, dials.house.within())
    dials.first_is_lent()
    assert (dials.first.kind, dials.find().kind) == (LoanKind.FREE, LoanKind.SHARED)


def test_where_others_are_after_all_that_is_free_the_next_look_tells_who_has_got_it() -> None:
    dials = TwoDials()
    dials.house.table.meanwhile = dials.first_is_lent  # type: ignore[attr-defined]
    assert (dials.first.kind, dials.find().kind) == (LoanKind.FREE, LoanKind.SHARED)


def test_what_another_dial_lets_go_of_meanwhile_goes_before_a_shared_number() -> None:
    table = Counted()
    house = House(pool=numbers(2), table=table)
    house.tick()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
    lending = lending_of(table, 2)

    def find() -> Loan:
        return lending.find(country=None, unlisted_share=None, now=house.clock.now(), deadline=house.within())

    first = find()
    table.looks, table.before_second = 0, lambda: lending.over(first, lent=False)
    assert (first.kind, find().kind, table.looks) == (LoanKind.FREE, LoanKind.FREE, 2)


def test_a_number_that_a_dial_had_no_time_left_for_is_not_reserved_for_ever() -> None:
    dials = TwoDials()
    # Lent by another process; the dial that had it in mind never comes to an end.
    dials.house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
    assert dials.find().kind is LoanKind.SHARED
    table = dials.house.table
    assert isinstance(table, Counted)
    table.looks = 0
    assert dials.find().kind is LoanKind.SHARED
    assert table.looks == 1, "nobody is after anything: one look is enough to know"


class FailsLater(Answered[list[Row]], frozen=True, kw_only=True):
    """A reading that is begun, and fails when its answer is asked for."""

    failure: Exception

    def result(self) -> list[Row]:
        raise self.failure


class FailingReads(MemoryTable):
    """A table whose readings of free numbers fail once they are under way, as long as there is a failure."""

    failure: Exception | None = None

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        if self.failure is not None and first.startswith("free|"):
            return FailsLater([], failure=self.failure)
        return super().between(first, end, limit, deadline)


@pytest.mark.parametrize(("failure", "lost"), [(Unavailable(), 0), (TypeError(), 1)])
def test_a_reading_that_was_begun_and_fails_costs_no_dial_after_the_recovery_its_number(
    failure: Exception, lost: int
) -> None:
    table = FailingReads()
    house = House(table=table)
    house.tick()
    table.failure = failure
    house.numbers.expect_loan("US", Deadline(house.clock, Budgets().start_call_s))
    table.failure = None
    answers = [house.dial(Dial(call_id=name, agent_id=name, dialled="911")) for name in ("ana", "ben", "carl")]
    assert [answer.degraded for answer in answers] == [True] * lost + [False] * (len(answers) - lost)


class Hung:
    """An answer that never comes: whoever waits for it does so until its deadline."""

    def __init__(self, clock: HandClock, deadline: Deadline) -> None:
        self._clock, self._deadline = clock, deadline

    def result(self) -> list[Row]:
        self._clock.advance(after(seconds=self._deadline.remaining_s()))
        raise Unavailable


class HangsOnce(MemoryTable):
    """A table whose next reading of free numbers hangs: its connection is dead."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock
        self.hangs = False

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        if self.hangs and first.startswith("free|"):
            self.hangs = False
            return Hung(self._clock, deadline)  # type: ignore[return-value]
        return super().between(first, end, limit, deadline)


@pytest.mark.parametrize("seconds", [Budgets().start_call_from_event_s, STEP_WITHIN_S])
def test_a_dial_does_not_wait_for_a_reading_that_an_event_or_a_drill_with_more_time_has_begun(seconds: float) -> None:
    clock = HandClock()
    table = HangsOnce(clock)
    house = House(table=table, clock=clock)
    house.tick()
    table.hangs, began = True, clock.monotonic()
    house.numbers.expect_loan("US", Deadline(clock, seconds))
    patient = PatientDeadline(clock, Budgets().start_call_s, at_most_s=0.9, alive=lambda: True)
    loan = house.numbers.loan(country="US", unlisted_share=None, now=clock.now(), deadline=patient)
    assert (loan.kind, clock.monotonic() - began) == (LoanKind.FREE, 0.0)


class Stuck(MemoryTable):
    """A table that does not answer one reading of what rests before a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read, self.go_on = threading.Event(), threading.Event()

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        if first.startswith("rest|") and not self.is_read.is_set():
            self.is_read.set()
            self.go_on.wait(deadline.remaining_s())
        return super().between(first, end, limit, deadline)


def test_a_dial_waits_for_its_turn_to_read_no_longer_than_its_own_time() -> None:
    table, clock = Stuck(), SystemClock()
    lending = lending_of(table, 1)

    def find(seconds: float) -> None:
        lending.find(country="US", unlisted_share=None, now=clock.now(), deadline=Deadline(clock, seconds))

    def reads_for_long() -> None:
        with suppress(Unavailable):
            find(PATIENCE_S)

    drill = threading.Thread(target=reads_for_long)
    drill.start()
    assert table.is_read.wait(PATIENCE_S)
    with pytest.raises(Unavailable):
        find(0.05)
    assert drill.is_alive(), "the dial has not waited for the other's reading"
    table.go_on.set()
    drill.join()


class LosesOnce:
    """A lock whose holder meets a dial that lost its number, and has what was read forgotten, when it lets go."""

    def __init__(self) -> None:
        self.forget: Callable[[], object] = lambda: None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return True

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        forget, self.forget = self.forget, lambda: None
        forget()


def test_what_is_forgotten_right_after_it_was_read_is_read_again_and_not_taken_for_nothing() -> None:
    table, lock, clock = MemoryTable(), LosesOnce(), HandClock()
    lending = lending_of(table, 2, make_lock=lambda: lock)
    house = House(pool=numbers(2), table=table)
    house.tick()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))

    # The reading of the exhausted pool is the second to let go; the first takes what was begun, which is nothing.
    def at_the_next() -> None:
        lock.forget = lending.forget

    lock.forget = at_the_next
    loan = lending.find(country=None, unlisted_share=None, now=clock.now(), deadline=house.within())
    assert loan.kind is LoanKind.FREE


def exhausted_but_for_a_rest(table: Overtaken) -> House:
    """A pool of two: Ben is in a call, and Ana's rest is over, which no timer has written yet."""
    house = House(pool=numbers(2), table=table)
    house.tick()
    for name in ("ana", "ben", "carl", "dora"):
        house.add_agent(Agent(agent_id=name))
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
    house.end(End(call_id="ana/1", by_agent=True))
    house.clock.advance(after(minutes=119))
    house.dial(Dial(call_id="ben/1", agent_id="ben", dialled="911"))
    house.clock.advance(after(minutes=1))
    return house


@pytest.mark.parametrize("kind", ["share", "number"])
def test_a_number_that_came_free_after_the_reading_is_lent_and_not_shared(kind: str) -> None:
    table = Overtaken()
    house = exhausted_but_for_a_rest(table)
    table.kind, table.meanwhile = kind, house.tick
    carl = house.dial(Dial(call_id="carl/1", agent_id="carl", dialled="911"))
    dora = house.dial(Dial(call_id="dora/1", agent_id="dora", dialled="911"))
    assert (carl.shared, carl.degraded, dora.shared) == (False, False, True)
    free = [row for row in house.rows() if row.startswith("free|")]
    assert not free, "a number that is held is not free"


def test_a_burst_shares_a_number_without_waiting_for_one_another() -> None:
    house = House(pool=numbers(1))
    house.tick()
    for name in ("ana", "ben", "carl"):
        house.add_agent(Agent(agent_id=name))
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911"))
    commits: list[str] = []
    loans = [
        house.numbers.loan(country=None, unlisted_share=None, now=house.clock.now(), deadline=house.within())
        for _ in range(2)
    ]
    for loan in loans:
        writes = list(lent(loan))
        house.table.commit(writes, house.within())
        commits.append(loan.number)
    assert commits == [*numbers(1), *numbers(1)]


def test_a_free_row_of_a_number_that_is_held_goes_when_the_pool_is_brought_in_line() -> None:
    stays, leaves = numbers(2)
    house = House(pool=(stays, leaves))
    house.tick()
    for name in ("ana", "ben"):
        house.add_agent(Agent(agent_id=name))
        house.dial(Dial(call_id=f"{name}/1", agent_id=name, dialled="911"))
    # As a version before this one left them.
    house.table.commit([Insert(free_row(each, DAWN), {"schema": 1}) for each in (stays, leaves)], house.within())
    house.lend_from((stays,))
    house.clock.advance(REGISTERED_FOR)
    for _ in range(3):
        house.tick()
    assert not [row for row in house.rows() if row.startswith("free|")]
    assert [row for row in house.rows() if row.startswith("number|") and row.endswith("|")] == [
        slot_row(stays),
        slot_row(leaves),
    ]
    assert house.call_back(leaves) is not None
