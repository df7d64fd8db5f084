"""How many steps to storage a dial, a callback and a sweep take, counted at the wire between host and Azurite.

Requests that overlap are one step; each takes so long here that those sent together do overlap. What follows the commit
of a dial (presence, the mail's strike-off) is not the dial: it is told apart by holding every later request up, so that
an answer which needed one would be late.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from shared.adapters.agent_table import _entry_row, _values_of
from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import MAX_ROWS_A_COMMIT, Put
from shared.adapters.table_account import TableAccount
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.ids import key_of
from shared.domain.keys import Secret
from tests.integration.bursts import Taken, burst, dialling, percentile
from tests.integration.tapped import Bell, Tapped, settle, tapped_stack
from tests.integration.used import new_agent, new_id
from tests.local.acs import EmailRules, Fault
from tests.local.stack import Stack
from tests.local.wiretap import Exchange

pytestmark = [pytest.mark.process, pytest.mark.long]

SIZES = ((10, 66), (1_000, 66), (10_000, 10_000))
BURST = 64
NEVER_S = 1e11
EACH_TAKES_S, EACH_TAKES_IN_CROWD_S, HELD_S = 0.04, 0.01, 0.6
LONG_ENOUGH_S = 60.0
# Steps and requests. Where the caller is (desktops, sites) is read beside the emergency; sites are remembered.
# Where neither the dial nor a remembered entry tells the country, what is free in each of the five is read beside it,
# unless it is remembered.
MAX_ASKED = {
    "cold": (2, 6 + 4),
    "warm": (2, 4),
    "redial": (2, 3),
    "unlisted": (3, 9 + 4),
    "abroad": (2, 4 + 4),
}
# What the timers ask where nothing has come about. `lease_expiry`: the hosts' pools; rows set aside; what is due; the
# free numbers up to the low-water mark; what is only to be removed; agents who left; the age of the last drill.
# `outbox_sweep`: callbacks, looks and effects that are owed (one step); notices that wait for their turn; recordings to
# delete; imports; the last drill, whose process may have died.
AT_REST = 7 + 7
# Besides, now and then: this host's pool is written again (two minutes), desktops' reports of a day that is too old are
# looked for (a day), the age of the drill is kept as told (six hours), and the voice routes as read.
NOW_AND_THEN = 4
# What an end leaves behind: the emergency, its number, the mark of its mail, the presence looked at once more.
REQUESTS_AN_EXPIRY = 6
_OWNER = re.compile(rb"(?:agent|entry)(?:\||%7C)([0-9a-f]{32})")
_COMMITTED = re.compile(rb'"RowKey": "call\|[^}]*agent_key\W+([0-9a-f]{32})')


# Area codes of the United States and of Canada, a hundred numbers kept for examples in each.
_US = (201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220, 223, 224)
_CA = (204, 226, 236, 249, 250, 438, 289, 306, 343, 354, 365, 367, 368, 382, 450, 403, 416, 418, 428, 431)
# As many as a thousand British mobile numbers (07700 900…) and the Australian ones of 02 5550 are kept for examples; no
# Danish number begins with a zero. None of them leaves this machine.
NUMBER_OF: dict[str, Callable[[int], str]] = {
    "US": lambda n: f"+1{_US[n // 100]}55501{n % 100:02}",
    "CA": lambda n: f"+1{_CA[n // 100]}55501{n % 100:02}",
    "GB": lambda n: f"+4477009{n:05}",
    "DK": lambda n: f"+450000{n:04}",
    "AU": lambda n: f"+6125550{n:04}",
}
COUNTRIES = tuple(NUMBER_OF)
# An agent of a country of which the pool has no number.
WITHOUT_NUMBERS = "agent-without-numbers"


def numbers(count: int) -> tuple[str, ...]:
    """Callback numbers of five countries, in turn."""
    return tuple(NUMBER_OF[COUNTRIES[n % 5]](n // 5) for n in range(count))


def agent_of_many(n: int) -> str:
    return f"agent-of-many-{n:05}"


def belongs_to(head: bytes, body: bytes) -> str | None:
    """Whose dial a request is part of, and whether it is the one that commits it; None for one that serves all."""
    committed = _COMMITTED.search(body)
    if committed is not None:
        return f"{committed[1].decode()} commits"
    owner = _OWNER.search(head) or _OWNER.search(body)
    return owner[1].decode() if owner else None


SECRET = Secret("a-secret-of-these-tests")


def is_commit(exchange: Exchange) -> bool:
    return exchange.label is not None and exchange.label.endswith(" commits")


def ended(exchange: Exchange) -> float:
    return math.inf if exchange.answered is None else exchange.answered


def steps(exchanges: Sequence[Exchange]) -> int:
    """The longest chain of requests each of which began after the one before had ended."""
    count, free_from = 0, 0.0
    for exchange in sorted(exchanges, key=ended):
        if exchange.arrived >= free_from:
            count, free_from = count + 1, ended(exchange)
    return count


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Tapped]:
    """A stack on which the pool and the directory grow from test to test."""
    folder = tmp_path_factory.mktemp("steps")
    log_folders.append(folder)
    with tapped_stack(
        folder, pool=numbers(SIZES[0][0]), label=belongs_to, settings={"KEY_SECRETS": SECRET.text}
    ) as running:
        yield running


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]} numbers, {size[1]} agents")
def sized(request: pytest.FixtureRequest, grown: Tapped) -> Tapped:
    """The stack with so many numbers and agents, and a host that remembers nothing of either."""
    pool, agents = request.param
    local, tap = grown
    fill_directory(local, agents)
    local.settings["CALLBACK_NUMBERS"] = ";".join(numbers(pool))
    fresh_host(local)
    # What the first look changed, the second finds done.
    local.run_timers("lease_expiry")
    assert len([row for row in local.rows()["emergencies"] if row["RowKey"].startswith("free|")]) == pool
    return Tapped(local, tap)


@pytest.fixture
def tapped(sized: Tapped) -> Iterator[Tapped]:
    """The same, with no emergency from the test before."""
    sized.local.forget_telephony()
    # Delivery reports are events of their own: they would come in between.
    sized.local.control.email_rules(EmailRules(report_after_s=NEVER_S))
    yield sized
    sized.tap.latency_s = 0.0
    settle(sized.local)
    sized.local.forget_emergencies()


def fresh_host(local: Stack) -> None:
    local.stop_host()
    local.start_host()


def fill_directory(local: Stack, count: int) -> None:
    """Enter so many agents, a hundred in a transaction."""
    clock = SystemClock()
    account = TableAccount(clock=clock, connection_string=local.storage.connection_string)
    table = SdkTable(account, table_name="agents", partition="deployment")
    agents = [Agent(agent_id=agent_of_many(n), country=COUNTRIES[n % 5]) for n in range(count)]
    abroad = Agent(agent_id=WITHOUT_NUMBERS, country="NZ")
    for first in range(0, count, MAX_ROWS_A_COMMIT):
        some = agents[first : first + MAX_ROWS_A_COMMIT]
        table.commit([Put(_entry_row(agent.key), _values_of(agent)) for agent in some], Deadline(clock, LONG_ENOUGH_S))
    table.commit([Put(_entry_row(abroad.key), _values_of(abroad))], Deadline(clock, LONG_ENOUGH_S))
    table.close()


def dialled_alone(tapped: Tapped, agent_id: str, *, shared: bool = False, foreign: bool = False) -> list[Exchange]:
    """The requests of one dial, with everything after its commit held up until it has been answered."""
    local, tap = tapped
    tap.reset()

    def hold_up(exchange: Exchange) -> None:
        if is_commit(exchange):
            tap.latency_s = HELD_S

    tap.on(None, hold_up)
    tap.latency_s = EACH_TAKES_S
    [taken] = burst(local.url, [dialling(local.url, agent_id, new_id())])
    told = (taken.status, *(taken.body[name] for name in ("degraded", "shared", "foreign")))
    assert told == (201, False, shared, foreign)
    done = [each for each in list(tap.exchanges) if each.answered is not None and each.answered <= taken.answered]
    assert sum(map(is_commit, done)) == 1 and is_commit(done[-1]), "the answer follows the commit, and nothing else"
    # No later commit is to be held up.
    tap.reset()
    tap.latency_s = 0.0
    settle(local)
    return done


def test_a_dial_takes_two_steps(tapped: Tapped, capsys: pytest.CaptureFixture[str]) -> None:
    # The first of each size: the host has just begun, and remembers neither numbers nor agents.
    counted = {f"cold {country}": dialled_alone(tapped, agent_of_many(n)) for n, country in enumerate(COUNTRIES)}
    counted |= {
        "warm": dialled_alone(tapped, agent_of_many(5)),
        "redial": dialled_alone(tapped, agent_of_many(4)),
        "abroad": dialled_alone(tapped, WITHOUT_NUMBERS, foreign=True),
        "unlisted": dialled_alone(tapped, new_agent().agent_id),
    }
    show(counted, capsys)
    for name, done in counted.items():
        assert_at_most(MAX_ASKED[name.partition(" ")[0]], name, done)


def show(counted: Mapping[str, Sequence[Exchange]], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(*(f"\n  {name}: {steps(done)} steps, {len(done)} requests" for name, done in counted.items()), end="")


def assert_at_most(most: tuple[int, int], name: str, done: Sequence[Exchange]) -> None:
    told = [(each.method, each.shape.rpartition("/")[2], each.label) for each in done]
    assert steps(done) <= most[0] and len(done) <= most[1], f"{name}: {told}"


def test_64_dials_at_once_take_four_steps_at_most(tapped: Tapped, capsys: pytest.CaptureFixture[str]) -> None:
    local, tap = tapped
    agents = [agent_of_many(n) for n in range(2, 2 + BURST)]
    tap.reset()
    tap.latency_s = EACH_TAKES_IN_CROWD_S
    taken = burst(local.url, [dialling(local.url, agent, new_id()) for agent in agents])
    tap.latency_s = 0.0
    done = [each for each in list(tap.exchanges) if each.finished is not None]
    counted = [
        steps_in_crowd(agent, each, done)
        for agent, each in zip(agents, taken, strict=True)
        if not each.body["degraded"]
    ]
    with capsys.disabled():
        print(f"\n  {len(counted)} of {BURST} dials at once served: median {percentile(counted, 50)} steps, ", end="")
        print(f"p99 {percentile(counted, 99)}; slowest {max(each.took_s for each in taken) * 1000:.0f} ms", end="")
    assert counted and percentile(counted, 99) <= 4


def steps_in_crowd(agent_id: str, taken: Taken, done: Sequence[Exchange]) -> int:
    """A dial's own steps up to its commit, and one for each time it may have waited for a reading that serves all."""
    in_time = [each for each in done if taken.asked <= each.arrived <= taken.answered]
    own = [each for each in in_time if each.label is not None and each.label.startswith(SECRET.key(key_of(agent_id)))]
    over = max((each.arrived for each in own if is_commit(each)), default=taken.answered)
    # The directory is read together with the emergency, as is shown above.
    own = [each for each in own if each.arrived <= over and "/agents" not in each.shape]
    own.sort(key=lambda each: each.arrived)
    readings = [each for each in in_time if each.label is None and each.method == "GET"]
    waits = sum(
        any(ended(before) < each.arrived and ended(each) < after.arrived for each in readings)
        for before, after in pairwise(own)
    )
    return steps(own) + waits


def test_a_dial_on_a_pool_that_is_all_lent_takes_three_steps(
    tapped: Tapped, capsys: pytest.CaptureFixture[str]
) -> None:
    local, _ = tapped
    pool = len(local.settings["CALLBACK_NUMBERS"].split(";"))
    if pool > BURST:
        pytest.skip("too many numbers to lend them all")
    lend(local, 0, 5)
    home_lent = dialled_alone(tapped, agent_of_many(10), foreign=True)
    lend(local, 1, 2, 3, 4, 6, 7, 8)
    done = dialled_alone(tapped, agent_of_many(15), shared=True)
    show({"nothing free at home": home_lent, "exhausted": done}, capsys)
    assert steps(home_lent) <= 3 and steps(done) <= 3


def lend(local: Stack, *agents: int) -> None:
    """These agents of many have dialled, and it is recorded."""
    for n in agents:
        [taken] = burst(local.url, [dialling(local.url, agent_of_many(n), new_id())])
        assert not taken.body["degraded"]
    # What follows their commits is none of the next dial's requests.
    settle(local)


def test_a_callback_is_answered_after_one_step(tapped: Tapped, capsys: pytest.CaptureFixture[str]) -> None:
    local, tap = tapped
    phone = local.softphone(local.add_agent(new_agent()))
    number = phone.dial(new_id()).callback_number
    settle(local)
    asked: list[list[Exchange]] = []
    with Bell(lambda: asked.append(list(tap.exchanges))) as bell:
        local.control.fault(Fault(operation="any", kind="notify", url=bell.url))
        tap.reset()
        tap.latency_s = EACH_TAKES_S
        local.will_answer(phone.agent.acs_user_id)
        call = local.wait_for_answer(local.ring(number))
        local.control.wait_until_delivered()
        local.control.clear_faults()
    tap.latency_s = 0.0
    local.end_callback(call)
    # What storage was asked when call control was first asked: who holds the number, and whether we called ourselves.
    show({"callback": asked[0]}, capsys)
    assert_at_most((1, 2), "callback", asked[0])


@pytest.mark.parametrize("expired", [0, 1, 8])
def test_a_sweep_asks_for_what_has_expired_and_not_for_the_pool(
    tapped: Tapped, expired: int, capsys: pytest.CaptureFixture[str]
) -> None:
    local, tap = tapped
    calls = [(local.softphone(local.add_agent(new_agent())), new_id()) for _ in range(expired)]
    for phone, call in calls:
        phone.dial(call)
    for phone, call in calls:
        phone.end(call)
    settle(local)
    local.advance(timedelta(hours=3))
    tap.reset()
    local.run_timers()
    first = tap.count()
    tap.reset()
    local.run_timers()
    with capsys.disabled():
        print(f"\n  {expired} expired: {first} requests, then {tap.count()}", end="")
    assert first <= AT_REST + NOW_AND_THEN + REQUESTS_AN_EXPIRY * expired
    assert tap.count() <= AT_REST
