"""One world: agents, processes, stores, and a climate of faults, all drawn from one seed."""

import gc
import random
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import process_time

import msgspec
from msgspec import Struct

from shared.adapters.agent_table import AgentTable
from shared.adapters.emergency_table import EmergencyTable
from shared.adapters.numbers_table import NumbersTable
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import Write
from shared.deadlines import Deadline
from shared.domain.deployment import CallbackNotices, Deployment
from shared.domain.emergencies import Emergency
from shared.domain.errors import EmergencyCallingError
from shared.domain.ids import agent_key_of
from shared.domain.leases import Rules
from shared.domain.presence import PresenceStatus
from shared.domain.sender_quota import SenderQuota
from shared.domain.subjects import unlisted_key
from tests.fakes.house import DEFAULT_CONTACT, DESK, EVENTS_URL, FALLBACK, PLENTY, key_unlisted
from tests.fakes.house import person as signed_in
from tests.fakes.known_keys import KnownKeys
from tests.fakes.memory_table import MemoryTable
from tests.simulator.breakage import Breakage
from tests.simulator.call_control import CallControl
from tests.simulator.checks import Checks
from tests.simulator.clockwork import SECOND, Clockwork
from tests.simulator.courier import Courier
from tests.simulator.faults import Faults, climate_of
from tests.simulator.people import Person, contacts_of
from tests.simulator.ports import seeded
from tests.simulator.processes import DEAF, Process
from tests.simulator.responders import Responder
from tests.simulator.story import Story, Violation
from tests.simulator.strangers import STRANGERS, THIEVES, Stranger, is_stranger
from tests.simulator.timers import FirstDue, Timer

HOUR_S = 3600
OWED = ("ladder", "look", "outbox", "waiting")
AGENTS = (3, 8, 20, 50, 120, 120, 300)
MANY_AGENTS = 3000
# A domain is linked, a right assigned, within minutes.
SENDER_SLOT_S = 120
DRAIN_HOURS = 34
# So few messages a minute that most notices wait, and are merged.
FEW_A_MINUTE = 2
# The times that administrators may set, the least among them; most worlds are short, so that there can be many.
DEFAULTS_IN = 0.05
WINDOWS, AFTER_CALLS, COOL_DOWNS, HOLDS, MAX_CALLS = (
    (10, 30, 60),
    (0, 5, 30),
    (0, 10, 60),
    (0, 1, 4),
    (5, 10, 60),
)
# Of the ranges that are kept for examples.
COUNTRIES = (("US", 1_425_555_0000), ("CA", 1_416_555_0000), ("GB", 441_632_960_000))
IDENTITIES, TELEPHONES = "8:acs:r_", "+1206556"
WEATHER_LASTS_S, LOOKS_EVERY_S = 6 * HOUR_S, 5.0


class Outcome(Struct, kw_only=True):
    """How one seed went."""

    seed: int
    emergencies: int
    callbacks: int
    probes: int
    faults: dict[str, int]
    in_calls: dict[str, int]
    cpu_seconds: float
    invariant: str | None = None
    detail: str = ""
    story: str = ""


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, *, deaf: bool = True, brief: bool = False) -> None:
        self.seed = seed
        self.brief = brief
        self.story = Story(deaf=deaf)
        self.clock = Clockwork()
        self.endless = Deadline(self.clock, 10**9)
        self.chance = seeded(seed, "what happens")
        self.probe_chance = seeded(seed, "probes")
        plan = seeded(seed, "plan")
        self.talking = 0
        self.crowd = not brief and seed % 50 == 49
        self.faults = Faults(climate_of(plan, crowd=self.crowd), seeded(seed, "faults"), lambda: self.talking > 0)
        self.courier, self.control = Courier(self), CallControl(self)
        self.responders: list[Responder] = []
        self.responders_on: defaultdict[str, list[Responder]] = defaultdict(list)
        self.table, self.directory_table = MemoryTable(), MemoryTable()
        self._first_owed = FirstDue(self.table, OWED)
        self.keys = KnownKeys()
        self.presence = PresenceTable(MemoryTable(), self.clock, self.keys)
        self.nobody_listens = DEAF
        self.ends_said: dict[str, set[tuple[object, bool]]] = {}
        self.chosen: dict[str, PresenceStatus] = {}
        self.agent_with_key: dict[str, str] = {}
        self.emergencies = self.living = 0
        self._population(plan)
        self.rules = self.deployment.rules
        self.nobody_remembers = OutageMemory(self.clock, self.rules.window)
        self.checks = Checks(self)
        self.breakage = Breakage(self)
        few = FEW_A_MINUTE + len(self.people) // 60
        self.sender_quota = SenderQuota(per_minute=few, per_hour=1_000) if seed % 5 == 2 else PLENTY
        self.timers: list[Timer] = []
        self.unserved: list[tuple[datetime, datetime]] = []
        self.newest = self.deployment
        self.processes = [self._process(f"process {n}") for n in range(plan.choice([1, 2, 3, 4]))]
        self.clear_numbers = NumbersTable(
            self.table,
            pool=self.deployment.callback_numbers,
            rules=self.rules,
            chance=seeded(seed, "clear sight"),
            keys=self.keys,
        )
        self.clear_sight = EmergencyTable(self.table, numbers=self.clear_numbers, rules=self.rules, keys=self.keys)

    def _population(self, plan: random.Random) -> None:
        count = MANY_AGENTS if self.crowd else plan.choice(AGENTS)
        if self.brief:
            count = 3 + self.seed % 8
        self.people: list[Person] = []
        for n in range(count):
            self.people.append(Person(self, f"agent-{n}", unknown=plan.random() < 0.1))
        self.strangers = [Stranger(self, f"{STRANGERS}{n}") for n in range(self.faults.climate.strangers)]
        self.strangers += [Stranger(self, f"{THIEVES}{n}") for n in range(self.faults.climate.strangers // 2)]
        self.agent_with_key |= {stranger.key: stranger.name for stranger in self.strangers}
        self.emergencies_each = max(2, min(40, plan.choice([200, 400, 800]) // count))
        if self.brief:
            self.emergencies_each = 8
        self.pool_size = max(1, int(count * plan.choice([0.1, 0.5, 1.0, 1.5])))
        self.least_pool = 1
        if self.seed % 30 == 17 and not self.brief:
            # Nothing is configured yet: all have the fallback number, until a roll-out brings a first number.
            self.pool_size = self.least_pool = 0
        self.countries = COUNTRIES if self.seed % 3 == 1 and not self.crowd else COUNTRIES[:1]
        self.deployment = Deployment(
            callback_numbers=self._pool(self.pool_size, first=1000),
            fallback_number=FALLBACK,
            default_contacts=(DEFAULT_CONTACT,),
            security_desk=(DESK,),
            callback_notices=plan.choice(list(CallbackNotices)),
            rules=rules_of(seeded(self.seed, "times")),
            closing_notices=self.seed % 4 != 3,
            callback_events_url=EVENTS_URL if self.faults.climate.answers_calls else None,
        )
        directory = AgentTable(self.directory_table, self.clock)
        for person in self.people:
            self.agent_with_key[self.key_of(person.agent_id)] = person.agent_id
            if not person.unknown:
                directory.save(person.entry(), None, self.endless)

    def _pool(self, count: int, first: int) -> tuple[str, ...]:
        ranges = [range_ for _, range_ in self.countries]
        return tuple(f"+{ranges[n % len(ranges)] + n}" for n in range(first, first + count))

    def country_of(self, n: int) -> str:
        """Where agent `n` is: in a country of the pool, or in one that has no number of it."""
        return ("US", "CA", "MX", "GB")[n % 4] if len(self.countries) > 1 else "US"

    # Processes

    def _process(self, name: str) -> Process:
        other = self.faults.climate.rows_differ and name.endswith("1")
        return Process(self, name, self.newest, other_version=other)

    def replace(self, process: Process) -> None:
        """Another one starts where this one died, with the newest settings."""
        self.processes[self.processes.index(process)] = self._process(process.name)

    def any_process(self) -> Process:
        """Whichever the platform picks."""
        return self.chance.choice(self.processes)

    def attempt(self, act: Callable[[], object]) -> None:
        """A request that arrives after its sender has given it up."""
        try:
            act()
        except EmergencyCallingError:
            self.tell("world", "a late request was refused")

    def committed(self, writes: Sequence[Write]) -> None:
        """A transaction of the emergencies' table was applied."""
        self.checks.committed(writes)
        for timer in self.timers:
            timer.committed(writes)

    def something_is_owed(self) -> bool:
        """Whether anything is overdue that the outbox's sweep would take up."""
        return self._first_owed.at_us() <= self.clock.at_us

    # Names

    def identity(self, agent_id: str) -> str:
        """An agent's ACS identity."""
        return f"{IDENTITIES}{agent_id}"

    def agent_of(self, target: str) -> str:
        """Whose ACS identity or other telephone it is; the target itself where it is no agent's."""
        if target.startswith(TELEPHONES):
            return f"agent-{int(target.removeprefix(TELEPHONES))}"
        return target.removeprefix(IDENTITIES)

    def alternates(self, agent_id: str) -> tuple[str, ...]:
        """An agent's other telephones, which every second one has."""
        if is_stranger(agent_id):
            return ()
        number = int(agent_id.removeprefix("agent-"))
        return () if number % 2 or self.is_unknown(agent_id) else (f"{TELEPHONES}{number:04}",)

    def key_of(self, agent_id: str) -> str:
        """The key of the agent's emergency, as the desktops' back end reports it."""
        if is_stranger(agent_id):
            return unlisted_key(agent_id, signed_in(agent_id).owner)
        return key_unlisted(agent_id) if self.is_unknown(agent_id) else agent_key_of(agent_id)

    def whose(self, emergency: Emergency) -> str:
        """Whose emergency it is, whatever id it goes by: a stranger's may go by that of another unlisted agent."""
        return self.agent_with_key.get(emergency.agent_key, emergency.agent_id)

    def is_unknown(self, agent_id: str) -> bool:
        """Whether the agent is not in the directory."""
        if is_stranger(agent_id):
            return True
        number = int(agent_id.removeprefix("agent-"))
        return number < len(self.people) and self.people[number].unknown

    def contacts(self, agent_id: str) -> tuple[str, ...]:
        """Who is told of an agent's emergency."""
        return (DEFAULT_CONTACT,) if self.is_unknown(agent_id) else contacts_of(agent_id)

    def refuses_sender(self) -> bool:
        """Whether the e-mail service takes nothing from us in these two minutes: a domain or a right is not there."""
        slot = int(self.clock.monotonic() // SENDER_SLOT_S)
        likelihood = 0.0 if self.faults.over else self.faults.climate.refuses_sender
        return seeded(self.seed, f"sender {slot}").random() < likelihood

    def refuses(self, address: str) -> bool:
        """Whether the e-mail service takes nothing for this address: a contact of every tenth agent, in some worlds."""
        return self.faults.climate.refuses_addresses and address.endswith("0-two@example.com")

    def responder(self, number: str, context: str, about: str) -> Responder:
        """Somebody who calls this number back."""
        responder = Responder(self, number, context, about)
        self.responders.append(responder)
        self.responders_on[number].append(responder)
        return responder

    def require(self, holds: bool, invariant: str, detail: object, about: str | None = None) -> None:
        """Raise `Violation` unless it holds; what is told of one whose rows could not be read proves nothing."""
        if not holds and not self.breakage.excuses(about):
            raise Violation(invariant, str(detail), about)

    def tell(self, about: str, what: str) -> None:
        """A line of the story."""
        self.story.tell(self.clock.now(), about, what)

    # The course of it

    def run(self) -> None:
        """All lives, then a long calm until nothing can be left; raises `Violation`."""
        for person in self.people:
            self.living += 1
            self.clock.spawn(person.live, self.chance.random() * 2 * HOUR_S)
        for stranger in self.strangers:
            self.living += 1
            self.clock.spawn(stranger.live, self.chance.random() * 4 * HOUR_S)
        self.timers = [Timer(self, ["due", "bare"], 60, Process.tick), Timer(self, OWED, 10, Process.sweep)]
        self._weather()
        while self.living:
            self.clock.run_until(self.clock.at_us + 600 * SECOND)
        self.faults.end()
        self._renew_all()
        for _ in range(DRAIN_HOURS):
            self.clock.run_until(self.clock.at_us + HOUR_S * SECOND)
        self.checks.at_the_end()

    def served_from(self, since: datetime, until: datetime) -> datetime:
        """From when on store and timers did their work without a pause, for what is owed from `since` to `until`."""
        ends = [end for began, end in self.unserved if began < until and since < end]
        return max([since, *ends])

    def _weather(self) -> None:
        climate = self.faults.climate
        self._befalls(self._store_outage, climate.store_outages)
        self._befalls(self._timer_pause, climate.timer_pauses)
        self._befalls(self._new_settings, climate.rollouts)
        self._befalls(self.breakage.strike, climate.rows_broken)

    def _befalls(self, strike: Callable[[], None], times: int) -> None:
        """Some time or other, and mostly as soon as somebody talks: then it matters."""
        for _ in range(times):
            waits = self.chance.random() < 0.8

            def later(waits: bool = waits) -> None:
                while waits and self.living and not self.talking:
                    self.clock.sleep(LOOKS_EVERY_S)
                strike()

            self.clock.spawn(later, self.chance.random() * WEATHER_LASTS_S)

    def _store_outage(self) -> None:
        if self.faults.strikes("store outage", 1.0):
            self.faults.store_away = True
            self.tell("world", "the store is away")
            seconds = self.chance.choice([1, 5, 60, 400])
            self.unserved.append((self.clock.now(), self.clock.now() + timedelta(seconds=seconds)))
            self.clock.sleep(seconds)
            self.faults.store_away = False
            self.tell("world", "the store is back")

    def _timer_pause(self) -> None:
        if self.faults.strikes("timers paused", 1.0):
            began, seconds = self.clock.now(), self.chance.random() ** 3 * 4 * HOUR_S
            self.unserved.append((began, began + timedelta(seconds=seconds)))
            for timer in self.timers:
                timer.paused_until_us = self.clock.at_us + int(seconds * SECOND)
            self.tell("world", "the timers pause")

    def _new_settings(self) -> None:
        """A roll-out: for a while processes with the old pool and with the new one run side by side."""
        if not self.faults.strikes("settings changed", 1.0):
            return
        first = 1000 + self.chance.randrange(self.pool_size + 1)
        pool = self._pool(max(self.least_pool, self.pool_size + self.chance.randrange(-1, 2)), first=first)
        self.newest = self.deployment = msgspec.structs.replace(self.deployment, callback_numbers=pool)
        self.tell("world", "new settings")
        for process in tuple(self.processes):
            self.clock.sleep(self.chance.random() * 400)
            if not process.dead:
                process.die()

    def _renew_all(self) -> None:
        for process in tuple(self.processes):
            if process.deployment is not self.newest:
                process.die()


def rules_of(chance: random.Random) -> Rules:
    """What administrators may have set."""
    if chance.random() < DEFAULTS_IN:
        return Rules()
    return Rules(
        window_minutes=chance.choice(WINDOWS),
        after_call_minutes=chance.choice(AFTER_CALLS),
        cool_down_minutes=chance.choice(COOL_DOWNS),
        hold_after_drop_minutes=chance.choice(HOLDS),
        max_call_minutes=chance.choice(MAX_CALLS),
    )


def simulate(seed: int, *, deaf: bool = True, brief: bool = False) -> Outcome:
    """Run one seed (`brief`: a small world of it). The outcome says what it violated, with its story unless `deaf`."""
    began = process_time()
    world = World(seed, deaf=deaf, brief=brief)
    invariant, detail, about = None, "", None
    try:
        world.run()
    except Violation as violation:
        invariant, detail, about = violation.invariant, str(violation), violation.about
    except Exception as failure:  # noqa: BLE001 - whatever the core raises is a finding
        invariant, detail = f"the core raised {type(failure).__name__}", _where(failure)
    return Outcome(
        seed=seed,
        emergencies=world.emergencies,
        callbacks=len(world.responders),
        probes=world.checks.probes,
        faults=dict(world.faults.counts),
        in_calls=dict(world.faults.in_calls),
        cpu_seconds=process_time() - began,
        invariant=invariant,
        detail=detail,
        story=world.story.told(about) if invariant else "",
    )


def _where(failure: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(failure)[-6:])


def begin_worker() -> None:
    """What a process that simulates one world after the other does first."""
    # Ctrl-C goes to the whole group of processes: the workers end with the one that began them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A world makes little garbage that refers to itself, and looking for it takes a tenth of the time.
    gc.set_threshold(200_000, 20, 20)
