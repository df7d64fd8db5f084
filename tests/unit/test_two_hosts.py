"""Two hosts with different settings: the order of lending holds over the union of their pools (B2)."""

import pytest
from msgspec import structs

from shared.adapters.emergency_rows import POOL_ROW, moment
from shared.adapters.registered_pools import MAX_NUMBERS_A_TEXT, REGISTERED_FOR, RegisteredPools
from shared.adapters.table import MAX_TEXT_UTF16_UNITS, Put, Values
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.leases import Rules
from shared.domain.phone_numbers import is_e164
from shared.use_cases.answer_dial import Answer
from shared.use_cases.end_call import End
from tests.fakes.house import House, Overtaken, after, numbers

CANADA = ("+16475550150", "+16475550151")
POOLS = {
    "apart": (numbers(2), numbers(2, first=50)),
    "one more": (numbers(3), numbers(2)),
    "of another country": (numbers(2), CANADA),
}


class Hosts:
    """A host with the old pool, and one with the new one, on one table; each with its timers."""

    def __init__(self, old: tuple[str, ...], new: tuple[str, ...], *, timers: str = "both") -> None:
        self.old = House(pool=old)
        self.new = House(pool=new, table=self.old.table, clock=self.old.clock)
        self.union = sorted({*old, *new})
        for house in (self.old, self.new):
            house.calling.numbers.register_pool(house.clock.now(), house.within())
        self.timers = {"both": [self.old, self.new], "old": [self.old], "new": [self.new]}[timers]
        self.tick()

    def tick(self, times: int = 3) -> None:
        for _ in range(times):
            for house in self.timers:
                house.tick()

    def dial(self, n: int, country: str = "US") -> Answer:
        house = (self.old, self.new)[n % 2]
        house.add_agent(Agent(agent_id=f"agent-{n}"))
        return house.dial(Dial(call_id=f"call-{n}", agent_id=f"agent-{n}", dialled="911", country=country))


@pytest.mark.parametrize("timers", ["both", "old", "new"])
@pytest.mark.parametrize("pools", POOLS)
def test_no_number_is_shared_while_one_of_either_host_is_free(pools: str, timers: str) -> None:
    hosts = Hosts(*POOLS[pools], timers=timers)
    answers = []
    for n in range(len(hosts.union)):
        answers.append(hosts.dial(n))
        hosts.tick(1)
    assert sorted(answer.callback_number or "" for answer in answers) == hosts.union
    assert not any(answer.shared for answer in answers)
    assert hosts.dial(len(hosts.union)).shared, "then nothing is free"


@pytest.mark.parametrize("asked", [0, 1], ids=["old", "new"])
@pytest.mark.parametrize("pools", POOLS)
def test_one_host_alone_lends_all_that_is_free_of_both(pools: str, asked: int) -> None:
    hosts = Hosts(*POOLS[pools])
    answers = [hosts.dial(2 * n + asked) for n in range(len(hosts.union))]
    assert sorted(answer.callback_number or "" for answer in answers) == hosts.union


def test_a_resting_number_of_the_other_host_goes_before_a_shared_one() -> None:
    hosts = Hosts(*POOLS["apart"])
    for n in range(4):
        hosts.dial(n)
    lent = hosts.new.emergency("agent-1")
    assert lent is not None and lent.lease is not None
    hosts.new.end(End(call_id="call-1", agent_id="agent-1", by_agent=True))
    hosts.old.clock.advance(after(minutes=61))
    for house in (hosts.old, hosts.new):
        house.calling.numbers.register_pool(house.clock.now(), house.within())
    answer = hosts.dial(10)
    assert (answer.callback_number, answer.shared) == (lent.lease.number, False)


@pytest.mark.parametrize("timers", ["both", "new"])
def test_once_the_older_host_is_gone_its_numbers_leave(timers: str) -> None:
    hosts = Hosts(*POOLS["one more"], timers=timers)
    hosts.timers = [hosts.new]
    hosts.tick()
    assert free(hosts.new) == hosts.union, "for as long as it may still run"
    for _ in range(6):
        hosts.new.clock.advance(after(minutes=1))
        hosts.tick(1)
    assert free(hosts.new) == sorted(POOLS["one more"][1])
    assert [row for row in hosts.new.rows() if row.startswith("pool|")] != []
    assert len([row for row in hosts.new.rows() if row.startswith("pool|")]) == 1, "nothing is left of the other"


def test_a_number_that_is_in_one_hosts_setting_stays_however_often_the_others_timers_run() -> None:
    hosts = Hosts(*POOLS["apart"])
    for _ in range(30):
        hosts.old.clock.advance(after(minutes=1))
        hosts.tick(1)
        assert free(hosts.old) == hosts.union


def test_whoever_brings_the_pool_in_line_second_makes_the_first_one_stop() -> None:
    table = Overtaken()
    table.kind = "number"
    old = House(pool=numbers(2), table=table)
    new = House(pool=numbers(3), table=table, clock=old.clock)

    def marker() -> object:
        row = table.get(POOL_ROW, old.within()).result()
        return row and row.values["pool"]

    said: list[object] = []

    def new_syncs() -> None:
        for _ in range(2):
            new.tick()
        said.append(marker())

    table.meanwhile = new_syncs
    old.tick()
    assert said == [marker()] != [""], "what the slots stand for now is the newer host's to say"


def test_a_registration_that_cannot_be_read_counts_for_nothing() -> None:
    hosts = Hosts(*POOLS["apart"])
    [*rows] = [row for row in hosts.old.rows() if row.startswith("pool|")]
    for row in rows:
        hosts.old.table.commit([Put(row, {"schema": 1, "seen": 7, "numbers0": "no number"})], hosts.old.within())
    answer = hosts.dial(0)
    assert not answer.degraded and not answer.shared
    hosts.old.clock.advance(REGISTERED_FOR)
    hosts.tick()
    assert free(hosts.old) == sorted(set(hosts.union) - {answer.callback_number})


def test_a_registration_of_a_day_to_come_counts_for_nothing_and_goes() -> None:
    house = House(pool=numbers(1))
    given_back = numbers(2)[1]
    seen = moment(house.clock.now() + after(hours=24 * 365))
    house.table.commit([Put("pool|abc", {"schema": 1, "seen": seen, "numbers0": given_back})], house.within())
    house.tick()
    assert free(house) == list(numbers(1))
    house.clock.advance(after(minutes=1))
    house.tick()
    assert "pool|abc" not in house.rows()


@pytest.mark.parametrize("minutes", [0, 8], ids=["in the other host's setting", "only lent still"])
def test_a_call_from_a_number_of_ours_is_no_responders_whichever_host_it_comes_to(minutes: int) -> None:
    hosts = Hosts(*POOLS["apart"])
    answers = [hosts.dial(0), hosts.dial(1)]
    of_the_old = next(each.callback_number for each in answers if each.callback_number in POOLS["apart"][0])
    other = next(each.callback_number for each in answers if each.callback_number != of_the_old)
    assert of_the_old is not None
    # By then the older host is gone, and what is lent of its numbers leaves.
    hosts.timers = [hosts.new]
    for _ in range(minutes):
        hosts.new.clock.advance(after(minutes=1))
        hosts.tick(1)
    for caller in (of_the_old, f"4:{of_the_old}_1b2c3d4e"):
        hosts.new.responder_calls(other, caller=caller)
        assert hosts.new.switchboard.requests == []
    hosts.new.responder_calls(other, "another context")
    assert hosts.new.switchboard.ringing() != []


@pytest.mark.parametrize(("minutes", "answered"), [(0, True), (4, True), (5, False)])
def test_a_number_that_left_one_hosts_setting_is_answered_in_an_outage_while_the_change_rolls_out(
    minutes: int, answered: bool
) -> None:
    stays, leaves = numbers(2)
    house = House(pool=(stays, leaves))
    house.tick()
    house.deployment = structs.replace(house.deployment, callback_numbers=(stays,))
    house.lend_from((stays,))
    house.tick()
    house.line.away = True
    house.clock.advance(after(minutes=minutes))
    house.responder_calls(leaves, delivered=False)
    assert bool(house.switchboard.requests) is answered
    house.switchboard.requests.clear()
    house.responder_calls(stays, "own", delivered=False)
    assert house.switchboard.requests, "one's own number is answered however long ago another host was heard of"


@pytest.mark.parametrize("first", [True, False], ids=["before the end", "after it"])
def test_what_one_host_promised_after_the_call_holds_with_the_other_whose_setting_is_shorter(first: bool) -> None:
    old = House(pool=numbers(1))
    rules = Rules(after_call_minutes=0, cool_down_minutes=0)
    changed = structs.replace(old.deployment, rules=rules)
    new = House(deployment=changed, table=old.table, clock=old.clock)
    for name in ("ana", "ben"):
        for house in (old, new):
            house.add_agent(Agent(agent_id=name))
    old.tick()
    number = old.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911")).callback_number
    old.clock.advance(after(minutes=50))
    (new if first else old).end(End(call_id="ana/1", by_agent=True))
    assert old.panel("ana").expires_at == old.clock.now() + after(minutes=30)
    old.clock.advance(after(minutes=11))
    new.tick()
    assert new.panel("ana").callback_number == number
    assert new.dial(Dial(call_id="ben/1", agent_id="ben", dialled="911")).shared
    old.clock.advance(after(minutes=19))
    for house in (old, new):
        assert house.panel("ana").callback_number is None
    new.tick()
    assert (lease := new.emergency("ana")) is not None and lease.lease is not None, "it rests as long as was said"


def free(house: House) -> list[str]:
    return sorted("+" + row.rpartition("|")[2] for row in house.rows() if row.startswith("free|"))


LONGEST = tuple(f"+49{n:013}" for n in range(1, 2 * MAX_NUMBERS_A_TEXT + 2))


def test_a_pool_of_the_longest_numbers_is_registered_whole() -> None:
    """A text of one number more would be longer than Table storage keeps."""
    assert all(map(is_e164, LONGEST)) and not is_e164(LONGEST[0] + "0")
    house = House(pool=numbers(1))
    RegisteredPools(house.line, LONGEST).register(house.clock.now(), house.within())
    other = RegisteredPools(house.line, numbers(1))
    rows = other.read(house.within()).result()
    other.learn(rows, house.clock.now())
    assert set(other.pool.numbers) == {*LONGEST, *numbers(1)}
    longest = max(len(text) for row in rows for text in row.values.values() if isinstance(text, str))
    assert MAX_TEXT_UTF16_UNITS - len(";" + LONGEST[0]) < longest <= MAX_TEXT_UTF16_UNITS


def test_what_a_host_of_the_version_before_registered_is_lent() -> None:
    """It wrote 2,000 numbers in a text, where they were short enough."""
    house, theirs = House(pool=numbers(1)), numbers(2_100, first=200)
    texts: Values = {"numbers0": ";".join(theirs[:2_000]), "numbers1": ";".join(theirs[2_000:])}
    row = {"schema": 1, "seen": moment(house.clock.now()), **texts}
    house.line.commit([Put(f"{POOL_ROW}|other", row)], house.within())
    pools = RegisteredPools(house.line, numbers(1))
    pools.learn(pools.read(house.within()).result(), house.clock.now())
    assert set(pools.pool.numbers) == {*theirs, *numbers(1)}


def test_what_another_host_registered_and_is_no_number_is_lent_to_nobody() -> None:
    house = House(pool=numbers(1))
    pools = RegisteredPools(house.line, numbers(1))
    texts: Values = {"schema": 1, "seen": moment(house.clock.now()), "numbers0": f"911;;{numbers(2)[1]};+1"}
    house.line.commit([Put(f"{POOL_ROW}|other", texts)], house.within())
    pools.learn(pools.read(house.within()).result(), house.clock.now())
    assert set(pools.pool.numbers) == set(numbers(2))
