"""Port `MailQuota`, over the table in memory and over Table storage."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.adapters.sent_table import ROW, SentTable
from shared.adapters.table import Miss, Put, RowConflict, Table, Write
from shared.deadlines import Deadline
from shared.domain.sender_quota import SenderQuota
from tests.fakes.house import HandClock, TableLine
from tests.fakes.memory_table import MemoryTable

QUOTA = SenderQuota(per_minute=9, per_hour=15)


def within(clock: HandClock) -> Deadline:
    return Deadline(clock, 10)


def test_all_processes_share_it(partition: Table) -> None:
    clock = HandClock()
    one, other = SentTable(partition, QUOTA, clock), SentTable(partition, QUOTA, clock)
    assert [one.take(5, within(clock)), other.take(4, within(clock)), one.take(1, within(clock))] == [5, 4, 0]
    clock.advance(timedelta(minutes=1))
    assert [other.take(1, within(clock)), other.take(9, within(clock), in_turn=True)] == [0, 6]


def test_many_who_count_at_once_never_take_more_than_there_is(partition: Table) -> None:
    clock = HandClock()
    processes = [SentTable(partition, QUOTA, clock) for _ in range(8)]
    with ThreadPoolExecutor(len(processes)) as pool:
        taken = list(pool.map(lambda process: sum(process.take(1, within(clock)) for _ in range(3)), processes))
    assert sum(taken) == QUOTA.per_minute


def test_a_crowd_of_one_process_is_counted_together(partition: Table) -> None:
    clock, asked, crowd = HandClock(), list[str](), 8
    line = TableLine(partition)
    quota = SentTable(line, QUOTA, clock)

    def ask(request: str) -> None:
        asked.append(request)
        # Long enough for all the others to come.
        time.sleep(0.1 if len(asked) <= 2 else 0)

    line.asked = ask
    with ThreadPoolExecutor(crowd) as pool:
        assert sum(pool.map(lambda _: quota.take(1, within(clock)), range(crowd))) == crowd
    assert asked.count("read") == 1 and asked.count("commit") < crowd
    assert (quota.take(1, within(clock)), quota.take(1, within(clock))) == (QUOTA.per_minute - crowd, 0)


def test_a_count_that_cannot_be_read_is_begun_anew(partition: Table) -> None:
    clock = HandClock()
    quota = SentTable(partition, QUOTA, clock)
    partition.commit([Put(ROW, {"state": "{"})], within(clock))
    assert quota.take(20, within(clock)) == QUOTA.per_minute
    assert quota.take(1, within(clock)) == 0


def test_without_the_store_each_process_has_a_third(partition: Table) -> None:
    clock = HandClock()
    line = TableLine(partition)
    quota = SentTable(line, QUOTA, clock)
    line.away = True
    assert [quota.take(1, within(clock)) for _ in range(4)] == [1, 1, 1, 0]
    assert SentTable(line, QUOTA, clock).take_in_outage(9) == 3
    clock.advance(timedelta(minutes=1))
    assert quota.take(9, within(clock)) == 2, "a third of the hour's, too"
    line.away = False
    assert quota.take(9, within(clock)) == 9


def test_a_message_is_counted_with_one_write_where_nobody_counts_beside_and_a_refused_one_with_a_reading(
    partition: Table,
) -> None:
    clock, asked = HandClock(), list[str]()
    line = TableLine(partition)
    line.asked = asked.append
    quota = SentTable(line, QUOTA, clock)
    assert quota.take(4, within(clock)) == 4 and asked == ["read", "commit"]
    asked.clear()
    assert quota.take(5, within(clock)) == 5 and asked == ["commit"], "what it wrote itself is not read again"
    quota.take(1, within(clock))
    asked.clear()
    assert quota.take(1, within(clock)) == 0 and asked == ["read"]


def test_what_others_counted_meanwhile_is_read_before_anything_is_granted(partition: Table) -> None:
    clock, asked = HandClock(), list[str]()
    line = TableLine(partition)
    one, other = SentTable(line, QUOTA, clock), SentTable(partition, QUOTA, clock)
    assert (one.take(2, within(clock)), other.take(6, within(clock))) == (2, 6)
    line.asked = asked.append
    assert one.take(2, within(clock)) == 1 and asked == ["commit", "read", "commit"]


def test_where_others_count_all_the_time_nothing_is_granted_and_it_is_no_outage() -> None:
    clock = HandClock()
    quota = SentTable(Contended(clock), QUOTA, clock)
    assert quota.take(1, within(clock)) == 0


class Contended(MemoryTable):
    """A table in which somebody else is always a moment sooner."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self._clock.advance(timedelta(seconds=1))
        raise RowConflict(0, Miss.EXISTS)


# What was not sent ----------------------------------------------------------------------------------------------------


def test_what_is_given_back_others_take(partition: Table) -> None:
    clock = HandClock()
    one, other = SentTable(partition, QUOTA, clock), SentTable(partition, QUOTA, clock)
    assert one.take(9, within(clock)) == 9
    one.give_back(clock.now(), within(clock))
    one.give_back(clock.now(), within(clock))
    assert [other.take(3, within(clock), in_turn=True), one.take(1, within(clock), in_turn=True)] == [2, 0]


def test_what_is_given_back_in_a_crisis_is_taken_in_turn(partition: Table) -> None:
    clock = HandClock()
    quota = SentTable(partition, QUOTA, clock)
    assert quota.take(10, within(clock)) == 9
    quota.give_back(clock.now(), within(clock))
    assert [quota.take(1, within(clock)), quota.take(1, within(clock), in_turn=True)] == [0, 1]


def test_it_counts_no_more_in_its_own_hour_and_opens_no_other_minute(partition: Table) -> None:
    clock = HandClock()
    quota, taken_at = SentTable(partition, QUOTA, clock), clock.now()
    assert quota.take(9, within(clock)) == 9
    clock.advance(timedelta(minutes=1))
    assert quota.take(6, within(clock)) == 6
    for _ in range(9):
        quota.give_back(taken_at, within(clock))
    assert quota.take(9, within(clock), in_turn=True) == 3, "this minute has had six"
    clock.advance(timedelta(hours=1))
    assert quota.take(9, within(clock)) == 9
    quota.give_back(taken_at, within(clock))
    assert quota.take(1, within(clock), in_turn=True) == 0, "that hour is over"


def test_never_less_than_nothing_is_counted(partition: Table) -> None:
    clock = HandClock()
    quota = SentTable(partition, QUOTA, clock)
    assert quota.take(1, within(clock)) == 1
    for _ in range(3):
        quota.give_back(clock.now(), within(clock))
    assert quota.take(20, within(clock), in_turn=True) == QUOTA.per_minute


def test_without_the_store_what_is_given_back_is_counted_in_memory_and_asks_for_nothing(partition: Table) -> None:
    clock, asked = HandClock(), list[str]()
    line = TableLine(partition)
    quota = SentTable(line, QUOTA, clock)
    line.away = True
    assert quota.take_in_outage(9) == 3
    line.asked = asked.append
    quota.give_back(clock.now(), within(clock))
    assert [quota.take_in_outage(9), asked] == [1, []]


def test_what_cannot_be_counted_now_is_with_the_next_one(partition: Table) -> None:
    clock = HandClock()
    quota, other = SentTable(partition, QUOTA, clock), SentTable(partition, QUOTA, clock)
    assert quota.take(9, within(clock)) == 9
    quota.give_back(clock.now(), Deadline(clock, 0))
    assert other.take(1, within(clock), in_turn=True) == 0
    assert [quota.take(2, within(clock), in_turn=True), quota.take(1, within(clock), in_turn=True)] == [1, 0]


def test_what_may_have_been_given_back_is_given_back_no_second_time(partition: Table) -> None:
    clock = HandClock()
    line = TableLine(partition)
    quota = SentTable(line, QUOTA, clock)
    assert quota.take(9, within(clock)) == 9
    line.away = True
    quota.give_back(clock.now(), within(clock))
    line.away = False
    assert quota.take(1, within(clock), in_turn=True) == 0


def test_where_others_count_meanwhile_it_is_given_back_once(partition: Table) -> None:
    clock, asked = HandClock(), list[str]()
    line = TableLine(partition)
    one, other = SentTable(line, QUOTA, clock), SentTable(partition, QUOTA, clock)
    assert (one.take(4, within(clock)), other.take(5, within(clock))) == (4, 5)
    line.asked = asked.append
    one.give_back(clock.now(), within(clock))
    assert asked == ["commit"], "another process has counted since, and nobody waits for this"
    one.give_back(clock.now(), within(clock))
    assert asked == ["commit", "read", "commit"]
    assert other.take(9, within(clock), in_turn=True) == 2


def test_a_crowd_gives_back_together(partition: Table) -> None:
    clock, asked, crowd = HandClock(), list[str](), 9
    line = TableLine(partition)
    quota = SentTable(line, QUOTA, clock)
    assert quota.take(crowd, within(clock)) == crowd

    def ask(request: str) -> None:
        asked.append(request)
        # Long enough for all the others to come.
        time.sleep(0.1 if len(asked) == 1 else 0)

    line.asked = ask
    with ThreadPoolExecutor(crowd) as pool:
        list(pool.map(lambda _: quota.give_back(clock.now(), within(clock)), range(crowd)))
    assert len(asked) < crowd
    assert quota.take(20, within(clock), in_turn=True) == QUOTA.per_minute
