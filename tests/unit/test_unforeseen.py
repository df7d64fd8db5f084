"""A dial gets a number or the answer of an outage, whatever goes wrong on its way (B1)."""

from collections.abc import Callable, Sequence

import pytest
from msgspec import structs

from shared.adapters.emergency_table import MAX_ROWS_FORGOTTEN_AT_ONCE
from shared.adapters.exhausted_zone import MAX_HOLDERS_TAKEN_FROM
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.presence_table import PresenceTable
from shared.adapters.table import MAX_ROWS_A_COMMIT, Put, Row, Write, kind_of
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergencies import MAX_CLAIMS_A_LEG, MAX_LEGS, MAX_SIGHTINGS, without_lease
from shared.domain.emergency_numbers import Placeable
from shared.domain.errors import NotAnEmergency
from shared.domain.ids import key_of
from shared.domain.panels import Banner
from shared.domain.presence import Presence
from shared.ports import Answered, Change, Email, OutageDial
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import Effect, HoldInOutage, MailInOutage
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from shared.use_cases.take_up_outbox import OWED_AT_ONCE
from tests.fakes.house import DEFAULT_CONTACT, FALLBACK, House, after, key_unlisted, numbers, only_agent
from tests.fakes.memory_table import MemoryTable

IDENTITIES = tuple(f"8:acs:resource_ana-{n}" for n in range(10))
ANAS_CONTACTS = ("kim@example.com", "lee@example.com")


def dial(agent_id: str, call: int = 1) -> Dial:
    return Dial(call_id=f"{agent_id}/{call}", agent_id=agent_id, dialled="911", country="US")


def long_history(house: House) -> None:
    """As many legs with claims and sightings as are kept, all over."""
    for n in range(MAX_LEGS):
        house.dial(dial("ana", n))
        for claim in range(MAX_CLAIMS_A_LEG):
            house.tie(f"ana/{n}", f"server-{n}-{claim}")
        starter = IDENTITIES[n % len(IDENTITIES)]
        at = house.clock.now()
        seen = f"server-{n}-0"
        house.see(ServerCall(server_call_id=seen, starter=starter, at=at, ended=False, correlation_id=f"c-{n}"))
        house.end(End(call_id=f"ana/{n}", by_agent=True, agent_id="ana"))
        house.clock.advance(after(minutes=1))


def test_too_many_rows_to_take_a_resting_number_share_it_instead() -> None:
    house = House(pool=numbers(1))
    house.tick()
    house.add_agent(Agent(agent_id="ana", acs_user_ids=IDENTITIES, country="US"))
    long_history(house)
    others = [f"other-{n}" for n in range(MAX_HOLDERS_TAKEN_FROM)]
    for name in others:
        house.add_agent(Agent(agent_id=name, acs_user_ids=(f"8:acs:r_{name}",), country="US"))
        house.dial(dial(name))
        house.end(End(call_id=f"{name}/1", by_agent=True, agent_id=name))
    # Her own number went to somebody else in its cool-down.
    stored = house.emergencies.load(key_of("ana"), house.within()).result()
    assert stored.emergency is not None
    lost = without_lease(stored.emergency)
    house.emergencies.commit(Change(stored=stored, emergency=lost, now=house.clock.now()), house.within())
    house.clock.advance(after(minutes=75))
    answer = house.dial(dial("ana", 99))
    assert (answer.callback_number, answer.shared, answer.degraded) == (*numbers(1), True, False)
    assert house.telemetry.count("unforeseen_error") == 0


def test_the_largest_emergency_fits_one_transaction_and_is_forgotten_whole() -> None:
    servers = MAX_LEGS * MAX_CLAIMS_A_LEG + 2 * MAX_SIGHTINGS
    # A machine may call them by another id in each leg.
    calls_and_ids = 2 * MAX_LEGS
    index = calls_and_ids + servers + len(IDENTITIES) + len(("number", "share", "rest", "due", "outbox", "unknown"))
    written_for_a_dial = len(
        ("agent", "call", "server", "number", "share", "due", "presence", "notice", "slot", "free")
    )
    assert index + written_for_a_dial <= MAX_ROWS_A_COMMIT
    assert MAX_ROWS_FORGOTTEN_AT_ONCE < MAX_ROWS_A_COMMIT
    house = House()
    house.tick()
    house.add_agent(Agent(agent_id="ana", acs_user_ids=IDENTITIES, country="US"))
    long_history(house)
    house.clock.advance(after(minutes=200))
    house.tick()
    assert not [row for row in house.rows() if key_of("ana") in row]


def test_an_emergency_with_more_rows_than_a_transaction_takes_is_forgotten_in_steps() -> None:
    house = House()
    house.tick()
    house.add_agent(Agent(agent_id="ana", acs_user_ids=tuple(f"8:acs:r_{n}" for n in range(150)), country="US"))
    assert house.dial(dial("ana")).degraded, "it cannot be recorded whole"
    house = House()
    house.tick()
    house.dial(dial("ana"))
    house.end(End(call_id="ana/1", by_agent=True, agent_id="ana"))
    stored = house.emergencies.load(key_unlisted("ana"), house.within()).result()
    many = [f"server|{n:03}|{key_unlisted('ana')}" for n in range(150)]
    for begin in (0, 50, 100):
        house.table.commit([Put(row, {}) for row in many[begin : begin + 50]], house.within())
    house.emergencies.forget(structs.replace(stored, index=(*stored.index, *many)), house.clock.now(), house.within())
    assert {kind_of(row) for row in house.rows()} <= {"free", "number", "pool", "due", "bare", "mail", "ration"}


class FaultyTable(MemoryTable):
    """A table in which something happens that nobody foresaw."""

    fault: Exception | None = None

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        if self.fault is not None:
            raise self.fault
        return super().commit(writes, deadline)


class FaultyRead(FaultyTable):
    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        if self.fault is not None:
            raise self.fault
        return super().get(key, deadline)


@pytest.mark.parametrize("table", [FaultyTable, FaultyRead])
@pytest.mark.parametrize("fault", [ValueError(), KeyError("k"), AssertionError(), RecursionError()])
def test_what_nobody_foresaw_is_an_outage_to_a_dial(table: type[FaultyTable], fault: Exception) -> None:
    faulty = table()
    house = House(table=faulty)
    house.tick()
    house.performs = False
    faulty.fault = fault
    answer = house.dial(dial("ana"))
    assert (answer.degraded, answer.callback_number) == (True, FALLBACK)
    assert [type(effect) for effect in house.owed] == [HoldInOutage, MailInOutage]
    assert house.telemetry.count("unforeseen_error") == 1


def test_who_was_identified_before_it_happened_has_their_own_contacts_told() -> None:
    faulty = FaultyTable()
    house = House(table=faulty)
    house.tick()
    house.deployment = structs.replace(house.deployment, default_contacts=())
    house.add_agent(Agent(agent_id="ana", acs_user_ids=IDENTITIES[:1], emergency_contacts=ANAS_CONTACTS))
    house.performs = False
    faulty.fault = ValueError()
    answer = house.dial(dial("ana"))
    assert (answer.degraded, answer.notified) == (True, len(ANAS_CONTACTS))


class NoMoreThreads:
    """Port `Effects`: nothing can be begun any more."""

    def start(self, effects: Sequence[Effect], perform: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def finish(self, effects: Sequence[Effect], perform: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")


def test_what_is_owed_after_the_answer_takes_no_answer_away() -> None:
    house = House()
    house.tick()
    calling = structs.replace(house.calling, effects=NoMoreThreads())
    answer = calling.start_call(dial("ana"), caller=only_agent("ana"))
    assert not answer.degraded and answer.callback_number in house.deployment.callback_numbers
    assert house.telemetry.count("unforeseen_error") == 1


class NothingIsKept:
    """Port `Repeats`: nothing can be begun any more."""

    def keep(self, key: str, again: Callable[[], bool]) -> None:
        raise RuntimeError("can't start new thread")


def test_a_repeat_that_cannot_be_kept_takes_no_answer_away() -> None:
    house = House()
    house.tick()
    house.line.away = True
    calling = structs.replace(house.calling, repeats=NothingIsKept())
    answer = calling.start_call(dial("ana"), caller=only_agent("ana"))
    assert (answer.degraded, answer.dial) == (True, "911")
    assert house.telemetry.count("unforeseen_error") == 1


def in_the_dark(house: House, dialled: str, **more: object) -> Answer:
    """The answer where even the way to that of an outage fails."""

    def fails() -> None:
        raise FileNotFoundError

    house.tick()
    house.performs = False
    calling = structs.replace(house.calling, prepare=fails, **more)
    reported = Dial(call_id="1", agent_id="ana", dialled=dialled, country="US")
    return calling.start_call(reported, caller=only_agent("ana"))


def test_where_even_the_way_to_the_outages_answer_fails_it_is_still_that_answer() -> None:
    house = House()
    answer = in_the_dark(house, "911")
    assert (answer.degraded, answer.callback_number) == (True, FALLBACK)
    assert (answer.test, answer.placeable, answer.dial) == (False, Placeable.YES, "911")
    assert [type(effect) for effect in house.owed] == [HoldInOutage, MailInOutage]
    assert answer.notified == len(house.deployment.default_contacts)
    assert house.telemetry.count("unforeseen_error") == 1
    [again] = house.repeats.kept.values()
    assert not again(), "it is repeated until the store has it"


def test_a_test_dial_in_the_dark_is_a_test() -> None:
    house = House()
    answer = in_the_dark(house, "933")
    assert (answer.test, answer.panel.banner) == (True, Banner.TEST_IN_PROGRESS)
    [mail] = [effect for effect in house.owed if isinstance(effect, MailInOutage)]
    assert mail.notice.test


def test_what_is_no_emergency_number_is_none_in_the_dark() -> None:
    with pytest.raises(NotAnEmergency):
        in_the_dark(House(), "5551234")


class ForgetfulLog(OutageMemory):
    """A memory of the outage that fails."""

    def dialled(self, agent_id: str, dial: OutageDial) -> None:
        raise KeyError(agent_id)


def test_a_dial_is_answered_and_repeated_though_the_memory_of_the_outage_fails() -> None:
    house = House()
    answer = in_the_dark(house, "933", outage=ForgetfulLog(house.clock, house.deployment.rules.window))
    assert (answer.degraded, answer.callback_number, answer.test, answer.dial) == (True, FALLBACK, True, "933")
    assert house.repeats.kept


def test_what_is_refused_stays_refused() -> None:
    house = House()
    with pytest.raises(NotAnEmergency):
        house.dial(Dial(call_id="1", agent_id="ana", dialled="5551234", country="US"))


class Strange(PresenceTable):
    """A presence service that answers with what nobody foresaw."""

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        raise ValueError


class Enduring(House):
    """What fails is owed further, whatever it is: as the crews have it."""

    def perform(self, effect: Effect) -> bool:
        try:
            return super().perform(effect)
        except ValueError:
            return False


def test_presences_that_fail_as_nobody_foresaw_keep_no_notice_from_being_taken_up() -> None:
    crowd = OWED_AT_ONCE + 10
    house = Enduring(pool=numbers(crowd))
    house.tick()
    house.presence = Strange(house.presence_rows, house.clock, house.keys)
    # The process dies before it has done anything of what it owes.
    house.performs = False
    for number in range(crowd):
        house.clock.advance(after(seconds=1))
        house.add_agent(Agent(agent_id=f"agent-{number}"))
        house.dial(dial(f"agent-{number}"))
    house.performs = True
    for _ in range(12):
        house.clock.advance(after(seconds=10))
        house.sweep()
    assert len(house.mail.accepted) == crowd


def test_a_mail_that_fails_as_nobody_foresaw_in_an_outage_is_tried_with_the_next_report_of_the_dial() -> None:
    house = Enduring()
    house.line.away = True

    def fails_once(_email: Email) -> None:
        house.mail.fail = lambda _email: None
        raise ValueError

    house.mail.fail = fails_once
    for _ in range(3):
        assert house.dial(dial("ana")).degraded
    assert house.mail.received() == [DEFAULT_CONTACT]
