"""What every `Table` must do, in memory and on a real Azurite; then what only a real one can get wrong."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from azure.data.tables import TableClient
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.breaker import FAILURES_IN_A_ROW
from shared.adapters.sdk_table import SdkTable
from shared.adapters.signed_table import SignedTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import Delete, Insert, Miss, Put, Replace, Row, RowConflict, Table, Write, with_prefix
from shared.adapters.table_account import THREADS, TableAccount, TableRefused
from shared.deadlines import Deadline
from shared.domain.errors import Unavailable
from shared.settings import ServiceAccess, read_settings
from tests.contract.table_servers import (
    DEEP,
    KEY,
    Server,
    answers,
    at_first,
    connection_string,
    hangs_up,
    has_no_table,
    in_one,
    never_answers,
    resets,
    secured,
    serving,
    trickles,
    trickles_a_body,
)
from tests.fakes.memory_table import MemoryTable
from tests.local import azurite

CLOCK = SystemClock()
# A deadline here is 0.45 s at most; the rest is for a busy machine. What is shown is that nobody waits for the server.
SOON_S = 1.5
# Of 150 threads that begin at once each waits for a processor.
A_CROWD_TAKES_S = 10.0
AWKWARD_KEYS = ["a|b", "a%2Fb", "a%", "it's", 'say "so"', "a b", "+15550100", "a&b=c", "(a,b)", "'", "~", "x" * 512]


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline(CLOCK, seconds)


@dataclass
class Counter:
    """Telemetry that remembers."""

    events: list[str] = field(default_factory=list)

    def emit(self, event: str, **facts: str | float | bool) -> None:
        self.events.append(event)


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with azurite.running(services=("table",)) as running:
        yield running.connection_string


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.process)])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    name = f"t{time.monotonic_ns()}"
    where: str = request.getfixturevalue("storage")
    real = SdkTable(TableAccount(clock=CLOCK, connection_string=where), table_name=name, partition="p's")
    yield real
    real.close()


def commit(table: Table, *writes: Write) -> list[str | None]:
    return table.commit(writes, soon())


def read(table: Table, key: str) -> Row | None:
    return table.get(key, soon()).result()


def keys_between(table: Table, first: str, end: str, limit: int = 100) -> list[str]:
    return [row.key for row in table.between(first, end, limit, soon()).result()]


def conflict_of(table: Table, *writes: Write) -> tuple[int, Miss]:
    with pytest.raises(RowConflict) as caught:
        commit(table, *writes)
    return caught.value.index, caught.value.miss


class TestOneRow:
    def test_a_row_that_is_not_there_is_none(self, table: Table) -> None:
        assert read(table, "nothing") is None

    def test_values_come_back_as_they_were(self, table: Table) -> None:
        values: dict[str, str | int | bool] = {
            "text": "äöü | 'quoted' \"twice\" \x00\x1f \u2028 𝄞 ",
            "empty": "",
            "long": "x" * 32_768,
            "dated": "2026-01-01T00:00:00Z",
            "small": -(2**31),
            "large": 2**31,
            "largest": 2**63 - 1,
            "least": -(2**63),
            "yes": True,
            "no": False,
        }
        commit(table, Insert("row", values))
        row = read(table, "row")
        assert row is not None
        assert row.key == "row"
        assert row.values == values
        assert {name: type(value) for name, value in row.values.items()} == {n: type(v) for n, v in values.items()}

    @pytest.mark.parametrize("text", ["\u2028", "\x00\u2028", "\x85\u2029", "\r\n--changeset", "é𝄞", '{"a":"\\u0000"}'])
    def test_texts_that_break_lines_survive_a_transaction(self, table: Table, text: str) -> None:
        commit(table, Insert("row", {"text": text}), Put("other", {"text": text}))
        assert [row.values for row in table.between("a", "z", 9, soon()).result()] == [{"text": text}] * 2

    def test_the_version_of_a_write_is_the_version_that_is_read(self, table: Table) -> None:
        [inserted] = commit(table, Insert("row", {"n": 1}))
        assert [inserted] == [row.version for row in [read(table, "row")] if row]
        first, second = commit(table, Put("row", {"n": 2}), Put("other", {"n": 3}))
        assert [first, second] == [row.version for row in [read(table, "row"), read(table, "other")] if row]
        assert first != inserted

    def test_a_replaced_row_keeps_nothing_of_the_old_one(self, table: Table) -> None:
        [version] = commit(table, Insert("row", {"old": 1}))
        commit(table, Replace("row", {"new": 1}, version))
        row = read(table, "row")
        assert row is not None
        assert row.values == {"new": 1}

    @pytest.mark.parametrize("key", AWKWARD_KEYS)
    def test_keys_with_awkward_characters(self, table: Table, key: str) -> None:
        [version] = commit(table, Insert(key, {"n": 1}))
        assert conflict_of(table, Insert(key, {"n": 1})) == (0, Miss.EXISTS)
        [version] = commit(table, Replace(key, {"n": 2}, version))
        [version, _] = commit(table, Replace(key, {"n": 3}, version), Put("other", {"n": 1}))
        assert read(table, key) == Row(key, {"n": 3}, str(version))
        assert key in keys_between(table, key, key + "!") or key == "x" * 512
        assert commit(table, Delete(key, version)) == [None]
        assert read(table, key) is None

    @pytest.mark.parametrize("key", ["", "a/b", "a\\b", "a#b", "a?b", "a\nb", "a\x7fb", "\u2028", "é", "x" * 513])
    def test_keys_that_no_row_can_have_are_refused(self, table: Table, key: str) -> None:
        with pytest.raises(ValueError, match="key"):
            table.get(key, soon())
        with pytest.raises(ValueError, match="key"):
            commit(table, Put(key, {}))


class TestConditions:
    @pytest.fixture(params=[0, 2], ids=["alone", "third-of-four"])
    def place(self, request: pytest.FixtureRequest) -> int:
        place: int = request.param
        return place

    def misses(self, table: Table, place: int, write: Write) -> Miss:
        """What it met, at the right index, with nothing written."""
        others = [Put(f"other{i}", {"n": i}) for i in range(3 if place else 0)]
        before = keys_between(table, "!", "~")
        index, miss = conflict_of(table, *others[:place], write, *others[place:])
        assert index == place
        assert keys_between(table, "!", "~") == before
        return miss

    def test_insert_where_there_is_one(self, table: Table, place: int) -> None:
        commit(table, Put("row", {"n": 1}))
        assert self.misses(table, place, Insert("row", {"n": 2})) is Miss.EXISTS

    def test_replace_and_delete_where_there_is_none(self, table: Table, place: int) -> None:
        [version] = commit(table, Put("elsewhere", {"n": 1}))
        for write in (Replace("row", {}), Replace("row", {}, version), Delete("row"), Delete("row", version)):
            assert self.misses(table, place, write) is Miss.MISSING

    def test_replace_and_delete_of_another_version(self, table: Table, place: int) -> None:
        [old] = commit(table, Put("row", {"n": 1}))
        commit(table, Put("row", {"n": 2}))
        for write in (Replace("row", {"n": 3}, old), Delete("row", old)):
            assert self.misses(table, place, write) is Miss.CHANGED
        row = read(table, "row")
        assert row is not None
        assert row.values == {"n": 2}

    def test_unconditional_writes(self, table: Table) -> None:
        commit(table, Put("row", {"n": 1}))
        commit(table, Replace("row", {"n": 2}))
        commit(table, Put("row", {"n": 3}))
        row = read(table, "row")
        assert row is not None
        assert row.values == {"n": 3}
        assert commit(table, Delete("row")) == [None]
        assert read(table, "row") is None

    def test_a_transaction_of_every_kind(self, table: Table) -> None:
        v1, v2 = commit(table, Insert("a", {"n": 1}), Insert("b", {"n": 1}))
        written = commit(table, Replace("a", {"n": 2}, v1), Delete("b", v2), Insert("c", {"n": 1}), Put("d", {"n": 1}))
        assert [version is None for version in written] == [False, True, False, False]
        assert keys_between(table, "a", "e") == ["a", "c", "d"]

    def test_a_hundred_rows_and_no_more(self, table: Table) -> None:
        writes = [Insert(f"row{i:03}", {"n": i}) for i in range(101)]
        with pytest.raises(ValueError, match="100"):
            commit(table, *writes)
        assert len(commit(table, *writes[:100])) == 100
        assert len(keys_between(table, "row", "row~", 1000)) == 100

    def test_impossible_commits_are_refused(self, table: Table) -> None:
        with pytest.raises(ValueError, match="writes"):
            commit(table)
        with pytest.raises(ValueError, match="once"):
            commit(table, Put("row", {}), Delete("row"))
        for value in ("x" * 32_769, "𝄞" * 16_385, 2**63, -(2**63) - 1, "\ud800"):
            with pytest.raises(ValueError, match=r"text|number"):
                commit(table, Put("row", {"value": value}))
        for name in ("", "a b", "RowKey", "Timestamp", "é"):
            with pytest.raises(ValueError, match="name"):
                commit(table, Put("row", {name: 1}))


class TestRanges:
    def test_order_and_bounds(self, table: Table) -> None:
        commit(table, *(Put(key, {"n": 1}) for key in ("b", "a", "due|2", "due|10", "due|1", "due", "dueX", "B")))
        assert keys_between(table, *with_prefix("due|")) == ["due|1", "due|10", "due|2"]
        assert keys_between(table, "a", "due|1") == ["a", "b", "due", "dueX"]
        assert keys_between(table, "A", "a") == ["B"]
        assert keys_between(table, "b", "b") == []
        assert keys_between(table, "x", "a") == []

    def test_limits(self, table: Table) -> None:
        commit(table, *(Put(f"row{i:02}", {"n": i}) for i in range(20)))
        assert keys_between(table, "row", "row~", 1) == ["row00"]
        assert keys_between(table, "row", "row~", 7) == [f"row{i:02}" for i in range(7)]
        assert len(keys_between(table, "row", "row~", 20)) == 20
        with pytest.raises(ValueError, match="limit"):
            keys_between(table, "a", "b", 0)

    def test_bounds_need_not_be_keys(self, table: Table) -> None:
        commit(table, Put("it's|1", {"n": 1}))
        assert keys_between(table, "it's|", "it's|~") == ["it's|1"]

    @pytest.mark.process
    def test_more_than_a_page(self, storage: str) -> None:
        table = SdkTable(TableAccount(clock=CLOCK, connection_string=storage), table_name="pages", partition="p")
        for start in range(0, 1200, 100):
            commit(table, *(Put(f"row{i:04}", {"n": i}) for i in range(start, start + 100)))
        assert keys_between(table, "row", "row~", 1150) == [f"row{i:04}" for i in range(1150)]
        assert len(keys_between(table, "row", "row~", 5000)) == 1200
        table.close()


@dataclass
class Odd:
    """A table in which another tool writes, too, and what its log is told."""

    table: Table
    plant: Callable[[str], object]
    log: Counter


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.process)])
def odd(request: pytest.FixtureRequest) -> Iterator[Odd]:
    log = Counter()
    if request.param == "memory":
        memory = MemoryTable(log)
        yield Odd(memory, lambda key: memory.plant(key, {}), log)
        return
    where, name = request.getfixturevalue("storage"), f"odd{time.monotonic_ns()}"
    account = TableAccount(clock=CLOCK, connection_string=where)
    real = SdkTable(account, table_name=name, partition="p", telemetry=log)
    with TableClient.from_connection_string(where, table_name=name) as client:
        client.create_table()
        yield Odd(real, lambda key: client.create_entity({"PartitionKey": "p", "RowKey": key}), log)
    real.close()


class TestKeysOfOthers:
    """A row whose key no request can name is in no range: nobody could move it out of a sweep's way."""

    def test_it_is_left_out_and_keeps_no_place_of_those_that_are_asked_for(self, odd: Odd) -> None:
        for n in range(7):
            odd.plant(f"due|1|é{n}")
        commit(odd.table, Put("due|1|agent", {"n": 1}), Put("due|2|agent", {"n": 2}), Put("due|3|agent", {"n": 3}))
        for limit in (1, 2, 3, 100):
            assert keys_between(odd.table, "due|", "due|~", limit) == [f"due|{n}|agent" for n in range(1, 4)][:limit]
        assert keys_between(odd.table, "due|1|~", "due|2", 100) == []

    def test_the_log_is_told_of_each_once(self, odd: Odd) -> None:
        odd.plant("due|1|é")
        odd.plant("due|1|è")
        for _ in range(3):
            assert keys_between(odd.table, "due|", "due|~") == []
        assert odd.log.events == ["row_set_aside"] * 2


class TestAtOnce:
    def test_of_sixteen_writers_one_wins_each_version(self, table: Table) -> None:
        commit(table, Put("row", {"n": 0}))
        start = threading.Barrier(16)

        def count_up(_: int) -> int:
            start.wait()
            wins = 0
            while wins < 3:
                row = read(table, "row")
                assert row is not None
                try:
                    commit(table, Replace("row", {"n": int(row.values["n"]) + 1}, row.version), Put("last", {"n": 1}))
                except RowConflict as conflict:
                    assert (conflict.index, conflict.miss) == (0, Miss.CHANGED)
                    continue
                wins += 1
            return wins

        with ThreadPoolExecutor(16) as executor:
            assert sum(executor.map(count_up, range(16))) == 48
        row = read(table, "row")
        assert row is not None
        assert row.values == {"n": 48}

    def test_of_sixteen_inserts_one_wins(self, table: Table) -> None:
        start = threading.Barrier(16)

        def insert(number: int) -> bool:
            start.wait()
            try:
                commit(table, Insert("row", {"n": number}))
            except RowConflict as conflict:
                assert conflict.miss is Miss.EXISTS
                return False
            return True

        with ThreadPoolExecutor(16) as executor:
            assert sum(executor.map(insert, range(16))) == 1


def test_nothing_is_asked_after_the_deadline(table: Table) -> None:
    for ask in (
        lambda: table.get("row", soon(0)).result(),
        lambda: table.between("a", "b", 1, soon(0)).result(),
        lambda: table.commit([Put("row", {})], soon(0)),
    ):
        with pytest.raises(Unavailable):
            ask()


# What only a real one can get wrong -----------------------------------------------------------------------------------


def broken(server: Server | int, telemetry: Counter | None = None) -> SdkTable:
    port = server if isinstance(server, int) else server.port
    account = TableAccount(clock=CLOCK, connection_string=connection_string(port), telemetry=telemetry)
    table = SdkTable(account, table_name="table", partition="p")
    # The import of the SDK is not what is measured.
    table.warm_up()
    return table


def refused_within(seconds: float, table: SdkTable, deadline_s: float = 0.45) -> Unavailable:
    begun = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        table.commit([Put("row", {"n": 1}), Put("other", {"n": 1})], soon(deadline_s))
    assert time.monotonic() - begun < seconds
    return caught.value


def pool_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("table")}


def close_when_idle(table: SdkTable, before: set[threading.Thread], within_s: float = SOON_S) -> None:
    """Close it, and see that each request that was begun ends: then its threads do too."""
    table.close()
    begun = time.monotonic()
    for thread in pool_threads() - before:
        thread.join(within_s)
    assert time.monotonic() - begun < within_s


@pytest.mark.parametrize("trouble", [never_answers, trickles, trickles_a_body])
def test_a_store_that_does_not_answer_is_given_up_at_the_deadline(trouble: object) -> None:
    assert callable(trouble)
    with serving(trouble) as server:
        before = pool_threads()
        table = broken(server)
        for _ in range(4):
            refused_within(SOON_S, table)
        close_when_idle(table, before)


@pytest.mark.parametrize("trouble", [never_answers, trickles, trickles_a_body])
def test_reads_are_given_up_too(trouble: object) -> None:
    assert callable(trouble)
    with serving(trouble) as server:
        table = broken(server)
        begun = time.monotonic()
        waiting = table.get("row", soon(0.4)), table.between("a", "b", 10, soon(0.4))
        for pending in waiting:
            with pytest.raises(Unavailable):
                pending.result()
        assert time.monotonic() - begun < SOON_S
        table.close()


def test_a_request_that_nobody_waits_for_ends_by_itself() -> None:
    with serving(trickles) as server:
        before = pool_threads()
        table = broken(server)
        for _ in range(4):
            table.get("row", soon(0.2))
        close_when_idle(table, before)


def test_a_closed_port_is_known_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    table = broken(port)
    refused_within(SOON_S, table)
    table.close()


def test_after_five_failures_the_breaker_answers_at_once_for_a_second_then_probes_once() -> None:
    counter = Counter()
    with serving(never_answers) as server:
        table = broken(server, counter)
        for _ in range(5):
            refused_within(SOON_S, table)
        asked = server.connections
        for _ in range(20):
            refused_within(SOON_S, table)
        assert server.connections == asked
        assert counter.events.count("breaker_open") == 1
        opened = time.monotonic()
        while server.connections == asked:
            with pytest.raises(Unavailable):
                table.get("row", soon(0.3)).result()
        assert time.monotonic() - opened < 10
        assert server.connections == asked + 1
        table.close()


@pytest.mark.process
def test_the_breaker_closes_when_the_store_is_back() -> None:
    with azurite.running(services=("table",)) as first:
        port = first.ports["table"]
        where = first.connection_string
        table = SdkTable(TableAccount(clock=CLOCK, connection_string=where), table_name="back", partition="p")
        commit(table, Put("row", {"n": 1}))
    for _ in range(6):
        refused_within(SOON_S, table)
    with azurite.running(services=("table",), ports=[port]):
        give_up = soon()
        while True:
            try:
                commit(table, Put("row", {"n": 1}))
                break
            except Unavailable:
                assert not give_up.passed()
        for _ in range(10):
            assert read(table, "row") is not None
    table.close()


def test_callers_who_are_late_already_do_not_open_it() -> None:
    with serving(never_answers) as server:
        counter = Counter()
        table = broken(server, counter)
        for _ in range(8):
            refused_within(SOON_S, table, deadline_s=0.02)
        assert "breaker_open" not in counter.events
        table.close()


@pytest.mark.parametrize("deadline_s", [0.2, 0.02])
def test_a_request_that_times_out_is_told_once(deadline_s: float) -> None:
    """Its waiter gives up, and then its thread."""
    with serving(never_answers) as server:
        counter, before = Counter(), pool_threads()
        table = broken(server, counter)
        for _ in range(3):
            refused_within(SOON_S, table, deadline_s)
        close_when_idle(table, before)
        assert counter.events == ["storage_failed"] * 3


def test_threads_stay_bounded_and_come_free() -> None:
    with serving(trickles) as server:
        before = pool_threads()
        table = broken(server)

        def dial(_: int) -> None:
            refused_within(A_CROWD_TAKES_S, table)

        with ThreadPoolExecutor(200) as crowd:
            list(crowd.map(dial, range(200)))
        assert len(pool_threads() - before) <= THREADS
        close_when_idle(table, before, A_CROWD_TAKES_S)


@pytest.mark.parametrize(("status", "reason"), [(503, "Busy"), (429, "Too Many"), (500, "Oops")])
def test_a_busy_store_is_unavailable_for_as_long_as_it_says(status: int, reason: str) -> None:
    with serving(answers(status, reason, "Retry-After: 7")) as server:
        table = broken(server)
        assert refused_within(SOON_S, table).retry_after_s == 7.0
        table.close()


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_is_no_answer_and_nothing_is_sent_where_it_leads(status: int) -> None:
    with serving(never_answers) as elsewhere:
        leads = answers(status, "Elsewhere", f"Location: http://127.0.0.1:{elsewhere.port}/")
        with serving(leads) as server:
            table = broken(server)
            refused_within(SOON_S, table)
            for writes in ([Put("a", {})], [Put("a", {}), Put("b", {})]):
                with pytest.raises(Unavailable):
                    table.commit(writes, soon())
            table.close()
        assert elsewhere.connections == 0


ONE_ROW = (
    (404, "ResourceNotFound", Miss.MISSING),
    (404, "EntityNotFound", Miss.MISSING),
    (409, "EntityAlreadyExists", Miss.EXISTS),
    (412, "UpdateConditionNotSatisfied", Miss.CHANGED),
    (412, "ConditionNotMet", Miss.CHANGED),
)


def own_words(code: str) -> str:
    """A refusal as Table storage, Azurite and Cosmos DB for Table write it."""
    return (
        f'{{"odata.error":{{"code":"{code}","message":{{"lang":"en-us","value":"In words.\\nRequestID:1\\n"}}}}}}\r\n'
    )


@pytest.mark.parametrize(("status", "code", "miss"), ONE_ROW)
def test_what_storage_says_of_one_row_is_a_conflict_of_the_write_and_a_row_that_is_none(
    status: int, code: str, miss: Miss
) -> None:
    with serving(answers(status, "No", body=own_words(code))) as server:
        table = broken(server)
        assert conflict_of(table, Replace("row", {})) == (0, miss)
        if miss is Miss.MISSING:
            assert read(table, "row") is None
        table.close()


@pytest.mark.parametrize(("status", "code", "miss"), ONE_ROW)
def test_a_transaction_or_a_range_that_is_refused_as_a_whole_is_no_conflict(status: int, code: str, miss: Miss) -> None:
    # The service answers a conflict with 202 and the refused write in it.
    with serving(answers(status, "No", body=own_words(code))) as server:
        table = broken(server)
        with pytest.raises(TableRefused):
            table.commit([Put("a", {}), Put("b", {})], soon())
        with pytest.raises(TableRefused):
            table.between("a", "b", 10, soon()).result()
        table.close()


@pytest.mark.parametrize("body", ["{}", "", "<html>404 Web Site not found.</html>", '{"error":{"code":"NotFound"}}'])
@pytest.mark.parametrize("status", [404, 409, 412])
def test_a_refusal_without_storages_own_code_is_an_outage(status: int, body: str) -> None:
    """A proxy in between, or a site that is switched off: a row that is not read is not one that is missing."""
    counter = Counter()
    with serving(answers(status, "No", body=body)) as server:
        table = broken(server, counter)
        asks: tuple[Callable[[], object], ...] = (
            lambda: read(table, "row"),
            lambda: keys_between(table, "a", "b"),
            lambda: commit(table, Insert("row", {})),
            lambda: commit(table, Delete("row", "v1")),
            lambda: commit(table, Put("a", {}), Put("b", {})),
        )
        for ask in asks:
            with pytest.raises(Unavailable):
                ask()
        assert counter.events == ["breaker_open"]
        table.close()


@pytest.mark.process
def test_a_row_of_a_table_that_is_not_there_is_none_once_the_table_is_made(storage: str) -> None:
    table = SdkTable(TableAccount(clock=CLOCK, connection_string=storage), table_name="new", partition="p")
    assert read(table, "row") is None
    table.close()
    other = SdkTable(TableAccount(clock=CLOCK, connection_string=storage), table_name="newer", partition="p")
    assert conflict_of(other, Delete("row")) == (0, Miss.MISSING)
    other.close()


def test_a_refusal_names_no_row() -> None:
    body = '{"odata.error":{"code":"AuthenticationFailed","message":{"value":"no row+15550100 for you"}}}'
    with serving(answers(403, "Forbidden", body=body)) as server:
        table = broken(server)
        with pytest.raises(TableRefused) as caught:
            table.commit([Put("row+15550100", {})], soon())
        assert str(caught.value) == "Table storage answered 403 AuthenticationFailed"
        assert caught.value.__cause__ is None
        table.close()


ENTITY = '{"PartitionKey":"p","RowKey":"row","odata.etag":"v1","n":1}'
THE_ROW = Row("row", {"n": 1}, "v1")


def test_a_dead_kept_connection_costs_one_repeat() -> None:
    with serving(at_first(hangs_up, answers(200, "OK", body=ENTITY))) as server:
        table = broken(server)
        assert read(table, "row") == THE_ROW
        assert server.connections == 2
        table.close()


def test_of_several_dead_kept_connections_the_repeat_meets_none() -> None:
    """A front end that goes away closes all that it keeps, within the second in which none of them is looked at."""
    both, kept = threading.Barrier(2), list[socket.socket]()

    def talk(connection: socket.socket, stopping: threading.Event) -> None:
        kept.append(connection)
        if len(kept) <= both.parties:
            connection.recv(65536)
            both.wait(10)
            connection.sendall(in_one(200, "OK", body=ENTITY))
        answers(200, "OK", body=ENTITY)(connection, stopping)

    with serving(talk) as server:
        table = broken(server)
        asked = [table.get("row", soon()) for _ in range(both.parties)]
        assert [each.result() for each in asked] == [THE_ROW] * both.parties
        for connection in kept:
            connection.shutdown(socket.SHUT_RDWR)
        server.wait_until_hung_up()
        assert read(table, "row") == THE_ROW
        assert server.connections == both.parties + 1
        table.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def behind_tls(server: Server, authority: trustme.CA, folder: Path, counter: Counter | None = None) -> SdkTable:
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    where = connection_string(server.port, "https")
    account = TableAccount(clock=CLOCK, connection_string=where, ca_bundle=str(bundle), telemetry=counter)
    table = SdkTable(account, table_name="table", partition="p")
    table.warm_up()
    return table


def test_a_handshake_that_is_reset_costs_one_repeat(authority: trustme.CA, tmp_path: Path) -> None:
    well = secured(authority, answers(200, "OK", body=ENTITY))
    with serving(at_first(resets, well)) as server:
        table = behind_tls(server, authority, tmp_path)
        assert read(table, "row") == THE_ROW
        assert server.connections == 2
        table.close()


def test_a_store_that_nobody_can_connect_to_is_known_at_once_and_each_request_counts_once(
    authority: trustme.CA, tmp_path: Path
) -> None:
    counter = Counter()
    with serving(resets) as server:
        table = behind_tls(server, authority, tmp_path, counter)
        for _ in range(FAILURES_IN_A_ROW + 3):
            refused_within(SOON_S, table, deadline_s=2 * SOON_S)
        # Two tries of each; behind an open breaker none.
        assert server.connections == 2 * FAILURES_IN_A_ROW
        assert counter.events.count("storage_failed") == FAILURES_IN_A_ROW and "breaker_open" in counter.events
        table.close()


NO_ANSWERS = (
    "",
    "{}",
    "<html>Sign in</html>",
    "null",
    "[]",
    "[1]",
    "7",
    '{"value":null}',
    '{"value":[null]}',
    '{"PartitionKey":"p","RowKey":"z","odata.etag":"v1"}',
    '{"value":[{"PartitionKey":"p","RowKey":"z","odata.etag":"v1"}]}',
    "{",
    "\x00",
    DEEP,
)


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_an_answer_with_200_that_cannot_be_read_is_none(body: str) -> None:
    counter = Counter()
    with serving(answers(200, "OK", body=body)) as server:
        table = broken(server, counter)
        with pytest.raises(Unavailable):
            table.get("row", soon()).result()
        with pytest.raises(Unavailable):
            table.between("a", "b", 10, soon()).result()
        for writes in ([Put("row", {})], [Insert("row", {})], [Replace("row", {})], [Put("a", {}), Put("b", {})]):
            with pytest.raises(Unavailable):
                table.commit(writes, soon())
        assert "breaker_open" in counter.events
        table.close()


def test_a_list_that_leads_to_itself_is_no_answer() -> None:
    """Nobody asks for it again and again until the deadline."""
    following = ("x-ms-continuation-NextPartitionKey: p", "x-ms-continuation-NextRowKey: r")
    with serving(answers(200, "OK", *following, body='{"value":[]}')) as server:
        table = broken(server)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            table.between("a", "b", 10, soon()).result()
        assert time.monotonic() - began < soon().remaining_s() / 2
        table.close()


@pytest.mark.parametrize("body", ["", "--changesetresponse", "{}", "HTTP/1.1 204 No Content"])
def test_a_transactions_answer_that_cannot_be_read_is_none(body: str) -> None:
    with serving(answers(202, "Accepted", body=body)) as server:
        table = broken(server)
        with pytest.raises(Unavailable):
            table.commit([Put("a", {}), Put("b", {})], soon())
        table.close()


@pytest.mark.parametrize("created", ["[1]", "7", "<html>", DEEP])
def test_a_new_tables_answer_that_cannot_be_read_is_none(created: str) -> None:
    counter = Counter()
    with serving(has_no_table(created)) as server:
        table = broken(server, counter)
        for _ in range(7):
            with pytest.raises(Unavailable):
                table.get("row", soon()).result()
        with pytest.raises(Unavailable):
            table.commit([Put("row", {})], soon())
        assert "breaker_open" in counter.events
        table.close()


GOOD = connection_string(1)
UNUSABLE = (
    GOOD.replace(";", ";;", 1),
    "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://127.0.0.1",
    "AccountName=a;AccountKey",
    "nothing of the kind",
)


def sdk_takes(connection_string: str) -> bool:
    """Whether the SDK's own parser, which is the check of the setting, makes a client of it."""
    try:
        TableClient.from_connection_string(connection_string, table_name="check").close()
    except Exception:  # noqa: BLE001 - that parser raises anything
        return False
    return True


@pytest.mark.parametrize("where", UNUSABLE)
def test_settings_of_which_the_sdk_makes_no_client_are_a_store_that_is_away(where: str) -> None:
    assert not sdk_takes(where)
    account = TableAccount(clock=CLOCK, connection_string=where)
    table = SdkTable(account, table_name="table", partition="p")
    with pytest.raises(Unavailable) as caught:
        table.warm_up()
    assert KEY not in str(caught.value) and caught.value.__cause__ is None
    for _ in range(7):
        with pytest.raises(Unavailable):
            table.get("row", soon()).result()
    account.close()


def test_a_store_without_certificates_to_believe_is_away() -> None:
    account = TableAccount(clock=CLOCK, connection_string=GOOD, ca_bundle="/no/such/bundle.pem")
    table = SdkTable(account, table_name="table", partition="p")
    with pytest.raises(Unavailable):
        table.warm_up()
    with pytest.raises(Unavailable):
        table.get("row", soon()).result()
    assert not account.breaker.unheard and not account.breaker.answered_within(60)
    account.close()


ODD_PARTS = st.lists(
    st.one_of(
        st.sampled_from(
            (
                "",
                " ",
                "AccountName=a",
                "accountname = a",
                "AccountName=a b",
                f"AccountKey={KEY}",
                "AccountKey=***",
                "TableEndpoint=https://a.table.example",
                " TableEndpoint=https://a.table.example/ ",
                "TableEndpoint=http://a.example",
                "EndpointSuffix=x.example",
                "DefaultEndpointsProtocol=https",
                "DefaultEndpointsProtocol=http",
                "SharedAccessSignature=sv=1&sig=x",
                "UseDevelopmentStorage=true",
                "DevelopmentStorageProxyUri=http://127.0.0.1",
                "BlobEndpoint=https://a.blob.example",
                "=",
            )
        ),
        st.text(alphabet="=;aA /:", max_size=6),
    ),
    max_size=7,
)


@given(parts=ODD_PARTS)
def test_of_whatever_the_settings_let_pass_the_sdk_makes_a_client(parts: list[str]) -> None:
    settings = read_settings({"TABLES_CONNECTION_STRING": ";".join(parts)})
    where = settings.tables.connection_string
    assert where is None or sdk_takes(where)


@pytest.mark.parametrize("written", [GOOD.replace(";", ";;", 1), GOOD.replace(";", "; "), f" ; {GOOD} ;"])
def test_blanks_and_empty_parts_are_no_reason_to_be_without_a_store(written: str) -> None:
    settings = read_settings({"TABLES_CONNECTION_STRING": written})
    assert settings.tables.connection_string is not None
    assert sdk_takes(settings.tables.connection_string)


def test_a_development_store_behind_a_proxy_is_a_fault() -> None:
    settings = read_settings({"TABLES_CONNECTION_STRING": UNUSABLE[1]})
    assert settings.tables == ServiceAccess()
    assert "TABLES_CONNECTION_STRING" in {fault.setting for fault in settings.faults}


def test_settings_of_which_the_sdk_makes_a_client_are_usable() -> None:
    assert sdk_takes(GOOD) and sdk_takes("UseDevelopmentStorage=true")


def test_tables_of_one_account_share_its_threads_and_its_session() -> None:
    with serving(trickles) as server:
        before = pool_threads()
        account = TableAccount(clock=CLOCK, connection_string=connection_string(server.port))
        tables = [SdkTable(account, table_name=f"table{n}", partition="p") for n in range(3)]
        for table in tables:
            table.warm_up()
        with ThreadPoolExecutor(150) as crowd:
            list(crowd.map(lambda n: refused_within(A_CROWD_TAKES_S, tables[n % 3]), range(150)))
        assert len(pool_threads() - before) <= THREADS
        close_when_idle(tables[0], before, A_CROWD_TAKES_S)


class _Repeated:
    """A table behind an intermediary that repeats every write."""

    def __init__(self, table: Table) -> None:
        self.get, self.between, self._table = table.get, table.between, table

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self._table.commit(writes, deadline)
        return self._table.commit(writes, deadline)


def test_a_repeated_transaction_is_known_by_its_signature(table: Table) -> None:
    signed, repeated = SignedTable(table), SignedTable(_Repeated(table))
    [version, other] = repeated.commit([Insert("mine", {"n": 1}), Put("other", {})], soon())
    repeated.commit([Replace("mine", {"n": 2}, version), Put("other", {}), Insert("third", {})], soon())
    row = read(table, "mine")
    assert row is not None and row.values["n"] == 2
    repeated.commit([Delete("mine", row.version), Delete("third")], soon())
    assert read(table, "mine") is None
    with pytest.raises(RowConflict):
        signed.commit([Replace("other", {"n": 3}, other)], soon())
    signed.commit([Insert("mine", {"n": 1})], soon())
    with pytest.raises(RowConflict) as told:
        repeated.commit([Insert("mine", {"n": 2}), Put("other", {})], soon())
    assert (told.value.index, told.value.miss) == (0, Miss.EXISTS)
