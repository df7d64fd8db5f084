"""Keys of people are hashes that only the deployment's secret makes (contract, KEY_SECRETS)."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from shared.adapters.key_table import PLAIN_FOR, ROW, KeyTable
from shared.adapters.presence_marks import PresenceMarks, mark_of
from shared.adapters.table import Put
from shared.bootstrap import AGENTS_TABLE, PARTITION, compose
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.deployment_checks import OF_THE_SETTING, OF_THE_TABLE
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.ids import agent_key_of, key_of
from shared.domain.keys import KeyRing, Secret
from shared.domain.leases import Rules
from shared.domain.notifications import Delivery
from shared.domain.panels import Mode
from shared.domain.presence import Presence, PresenceStatus, SetBy
from shared.settings import read_settings
from shared.use_cases.answer_dial import Answer
from shared.use_cases.end_call import End
from shared.use_cases.report_desktop import DesktopReport
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import DAWN, HandClock, House, TableLine, after, everybody, numbers, person
from tests.fakes.known_keys import KnownKeys
from tests.fakes.memory_table import MemoryTable

OLD, NEW = Secret("the old secret of this place"), Secret("the new secret of this place")
DANA_OBJECT, DANA_ACS = "0f0e0d0c-0b0a-4908-8706-0504030201aa", "8:acs:resource_dana"
EVE_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201ee"
CONTACT = "guard@example.com"
PLAIN = KeyRing()
# What a host writes, and what the next one reads with.
CHANGES = {
    "appended": (KeyRing((OLD,)), KeyRing((OLD, NEW))),
    "put in front": (KeyRing((OLD, NEW)), KeyRing((NEW, OLD))),
    "put in front at once": (KeyRing((OLD,)), KeyRing((NEW, OLD))),
    "a host behind": (KeyRing((NEW, OLD)), KeyRing((OLD, NEW))),
    "of the version before": (PLAIN, KeyRing((NEW,), plain=True)),
}


class Host(KnownKeys):
    """The keys of a host whose settings change while it runs."""

    def __init__(self, now: KeyRing) -> None:
        self.now = now

    def ring(self, _deadline: Deadline) -> KeyRing:
        return self.now


def house_with(ring: KeyRing) -> tuple[House, Host]:
    host = Host(ring)
    house = House(pool=numbers(20), keys=host)
    dana = Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=(DANA_ACS,), emergency_contacts=(CONTACT,))
    house.add_agent(dana)
    house.tick()
    return house, host


def dial(house: House, agent_id: str, call_id: str, object_id: str = DANA_OBJECT) -> Answer:
    return house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911", country="US"), person(object_id))


def mode(house: House, agent_id: str, object_id: str) -> Mode:
    return house.calling.show_panel(agent_id, caller=person(object_id), deadline=house.within())[0].mode


def everything(house: House, tables: Sequence[MemoryTable]) -> str:
    rows = [row for table in tables for row in table.between("!", "~", 100_000, house.within()).result()]
    return "\n".join(f"{row.key} {row.values}" for row in rows)


@pytest.fixture(params=CHANGES, ids=str)
def change(request: pytest.FixtureRequest) -> tuple[KeyRing, KeyRing]:
    return CHANGES[request.param]


def test_a_rotation_loses_no_live_lease(change: tuple[KeyRing, KeyRing]) -> None:
    """Each part fails where only the first secret is read."""
    house, host = house_with(change[0])
    house.show("dana", PresenceStatus.AVAILABLE)
    listed, outside = dial(house, "dana", "dana/1"), dial(house, "eve", "eve/1", EVE_OBJECT)
    host.now = change[1]
    assert mode(house, "dana", DANA_OBJECT) is mode(house, "eve", EVE_OBJECT) is Mode.EMERGENCY
    assert house.panel("eve").mode is Mode.EMERGENCY, "as the office sees an id of nobody's"
    assert dial(house, "dana", "dana/1").known
    assert dial(house, "dana", "dana/2").callback_number == listed.callback_number
    assert dial(house, "eve", "eve/2", EVE_OBJECT).callback_number == outside.callback_number
    assert house.call_back(listed.callback_number) == DANA_ACS
    for call_id in ("dana/1", "dana/2"):
        assert house.end(End(call_id=call_id, by_agent=True), person(DANA_OBJECT)).known
    assert house.end(End(call_id="eve/1", agent_id="eve", by_agent=True), person(EVE_OBJECT)).known
    assert house.status("dana") is PresenceStatus.AVAILABLE


def test_nothing_is_left_of_either_key_after_the_long_end(change: tuple[KeyRing, KeyRing]) -> None:
    house, host = house_with(change[0])
    dial(house, "dana", "dana/1")
    dial(house, "eve", "eve/1", EVE_OBJECT)
    host.now = change[1]
    dial(house, "dana", "dana/2")
    house.clock.advance(after(hours=8))
    for _ in range(3):
        house.tick()
        house.sweep()
        house.clock.advance(after(hours=2))
    assert {row.partition("|")[0] for row in house.rows()} == {"free", "number", "pool"}
    assert house.presence_rows.between("!", "~", 100, house.within()).result() == []


def test_acs_is_heard_of_a_starter_under_either_key(change: tuple[KeyRing, KeyRing]) -> None:
    house, host = house_with(change[0])
    dial(house, "dana", "dana/1")
    host.now = change[1]
    assert house.judge("server-1", DANA_ACS).emergency
    at = house.clock.now()
    house.see(ServerCall(server_call_id="server-1", starter=DANA_ACS, at=at, ended=False))
    house.see(ServerCall(server_call_id="server-1", starter=DANA_ACS, at=at, ended=True, ended_by=DANA_ACS))
    emergency = house.emergency("dana")
    assert emergency is not None and emergency.lease is not None and emergency.lease.busy_until is None


def test_one_call_is_one_emergency_whichever_host_is_told_of_it() -> None:
    """A host that does not know the first one's secret yet began another: the row of the call decides all the same."""
    house, host = house_with(KeyRing((OLD,)))
    first = dial(house, "dana", "dana/1")
    host.now = KeyRing((NEW,))
    second = dial(house, "dana", "dana/2")
    assert second.callback_number != first.callback_number
    for host.now in (KeyRing((NEW, OLD)), KeyRing((OLD, NEW))):
        for call_id, known in (("dana/1", first), ("dana/2", second)):
            again = dial(house, "dana", call_id)
            assert (again.known, again.callback_number, again.degraded) == (True, known.callback_number, False)
    assert len([row for row in house.rows() if row.startswith("agent|")]) == 2


def test_a_presence_is_found_and_moves_when_it_is_set(change: tuple[KeyRing, KeyRing]) -> None:
    house, host = house_with(change[0])
    house.show("dana", PresenceStatus.BUSY)
    host.now = change[1]
    assert house.status("dana") is PresenceStatus.BUSY
    house.calling.set_presence("dana", PresenceStatus.AWAY, SetBy.AGENT, deadline=house.within())
    [row] = house.presence_rows.between("!", "~", 100, house.within()).result()
    assert row.key == f"presence|{change[1].first(agent_key_of('dana'))}"
    assert house.status("dana") is PresenceStatus.AWAY
    house.presence.remove("dana", house.within())
    assert house.presence_rows.between("!", "~", 100, house.within()).result() == []


def test_a_mark_of_a_hold_stays_where_it_is_until_it_goes(change: tuple[KeyRing, KeyRing]) -> None:
    table, host, clock = MemoryTable(), Host(change[0]), HandClock()
    marks = PresenceMarks(table, host, clock=clock, lasts=Rules().window)
    held = Presence(status=PresenceStatus.DO_NOT_DISTURB, hold_id="h", before=PresenceStatus.BUSY)
    kept = marks.keep("dana", mark_of(held, "user-1", clock.now()), soon(clock))
    host.now = change[1]
    assert marks.of("dana", soon(clock)) == kept
    again = marks.keep("dana", structs.replace(kept, confirmed=True), soon(clock))
    assert marks.of("dana", soon(clock)) == again
    marks.remove("dana", again, soon(clock))
    assert table.between("!", "~", 10, soon(clock)).result() == []


def test_what_desktops_and_contacts_told_is_found_and_moves(change: tuple[KeyRing, KeyRing]) -> None:
    house, host = house_with(change[0])
    house.calling.report_desktop("dana", DesktopReport(desktop_id="d1", country="US"), deadline=house.within())
    house.deliveries.note("dana", CONTACT, Delivery.FAILED, house.within())
    host.now = change[1]
    assert [each.country for each in house.desktops.of("dana", house.within()).result()] == ["US"]
    assert house.deliveries.of("dana", [CONTACT], house.within()) == {CONTACT: Delivery.FAILED}
    house.calling.report_desktop("dana", DesktopReport(desktop_id="d1", country="CA"), deadline=house.within())
    house.deliveries.note("dana", CONTACT, Delivery.DELIVERED, house.within())
    host.now = KeyRing(change[1].secrets[:1])
    assert [each.country for each in house.desktops.of("dana", house.within()).result()] == ["CA"]
    assert house.deliveries.of("dana", [CONTACT], house.within()) == {CONTACT: Delivery.DELIVERED}
    house.desktops.forget("dana", house.within())
    house.deliveries.forget("dana", house.within())
    host.now = change[1]
    assert not house.desktops.of("dana", house.within()).result()
    assert house.deliveries.of("dana", [CONTACT], house.within()) == {}


def test_no_row_has_a_key_that_can_be_guessed() -> None:
    """The hashes of what is known of the people are nowhere, but beside the directory's own entry."""
    table, host = MemoryTable(), Host(KeyRing((NEW,)))
    house = House(pool=numbers(20), keys=host, table=table)
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=(DANA_ACS,)))
    house.tick()
    house.show("dana", PresenceStatus.AVAILABLE)
    dial(house, "dana", "dana/1")
    dial(house, "eve", "eve/1", EVE_OBJECT)
    house.dial(Dial(call_id="kim/1", agent_id="kim", dialled="911", acs_user_id="8:acs:kim"), everybody())
    for call_id in ("nobody/1", "nobody/1"):
        house.end(End(call_id=call_id, by_agent=True), person(EVE_OBJECT))
    kept = everything(house, [table, house.presence_rows])
    people = ["dana", "eve", "kim", DANA_ACS, "8:acs:kim", DANA_OBJECT, EVE_OBJECT, f"agent:{EVE_OBJECT}", CONTACT]
    guesses = {*map(key_of, people), *map(agent_key_of, people), key_of(everybody().owner)}
    assert not [guess for guess in guesses if guess in kept]
    assert NEW.key(agent_key_of("dana")) in kept


# Where the secrets come from ------------------------------------------------------------------------------------------


def soon(clock: HandClock) -> Deadline:
    return Deadline(clock, 5)


def test_a_secret_is_made_once_and_all_processes_read_the_same() -> None:
    clock, table = HandClock(), MemoryTable()
    made = iter(["first made", "second made"])
    rings = [KeyTable(table, clock, (), make=lambda: next(made)).ring(soon(clock)) for _ in range(2)]
    assert rings == [KeyRing((Secret("first made"),))] * 2


@pytest.mark.parametrize("before", [None, (NEW,)], ids=["no row", "the setting was emptied"])
def test_two_processes_that_make_one_at_once_agree(before: tuple[Secret, ...] | None) -> None:
    clock, table = HandClock(), MemoryTable()
    if before is not None:
        KeyTable(table, clock, before).ring(soon(clock))
    other = KeyTable(table, clock, (), make=lambda: "the other's")

    def overtaken() -> str:
        other.ring(soon(clock))
        return "mine"

    assert KeyTable(table, clock, (), make=overtaken).ring(soon(clock)) == other.ring(soon(clock))


def test_the_setting_comes_first_and_the_tables_own_is_read_still() -> None:
    clock, table = HandClock(), MemoryTable()
    own = KeyTable(table, clock, ()).ring(soon(clock)).secrets
    assert KeyTable(table, clock, (NEW,)).ring(soon(clock)).secrets == (NEW, *own)
    assert KeyTable(table, clock, ()).ring(soon(clock)).secrets == own, "also once the setting is emptied again"


def test_the_first_time_the_tables_own_secret_goes_before_the_settings_new_one_as_the_runbook_says() -> None:
    house, host = house_with(PLAIN)
    table = MemoryTable()
    before = KeyTable(table, house.clock, ()).ring(house.within())
    row = table.get(ROW, house.within()).result()
    assert row is not None
    settings = read_settings({"KEY_SECRETS": f"{row.values['secret']};{NEW.text.replace(' ', '-')}"})
    after_it = KeyTable(table, house.clock, settings.key_secrets).ring(house.within())
    for number, (one, other) in enumerate([(before, after_it), (after_it, before)]):
        host.now = one
        answer = dial(house, "dana", f"dana/{number}")
        host.now = other
        assert dial(house, "dana", f"dana/{number}").callback_number == answer.callback_number
        assert mode(house, "dana", DANA_OBJECT) is Mode.EMERGENCY
    runbook = (Path(__file__).resolve().parents[2] / "OPERATIONS.md").read_text("utf-8")
    where = f"--table-name {AGENTS_TABLE} --partition-key {PARTITION} --row-key {ROW} --query secret"
    assert where in runbook


def test_where_the_setting_has_a_secret_none_is_made_until_it_is_emptied() -> None:
    clock, table = HandClock(), MemoryTable()
    assert KeyTable(table, clock, (NEW,)).ring(soon(clock)).secrets == (NEW,)
    [own] = KeyTable(table, clock, ()).ring(soon(clock)).secrets
    assert KeyTable(table, clock, (NEW,)).ring(soon(clock)).secrets == (NEW, own)


@pytest.mark.parametrize("kind", [0, 1])
def test_rows_of_the_version_before_are_looked_for_until_they_have_run_out(kind: int) -> None:
    clock, table, others = HandClock(), MemoryTable(), (MemoryTable(), MemoryTable())
    older = ((others[0], "agent|"), (others[1], "presence|"))
    others[0].commit([Put("pool", {"schema": 1}), Put("number|1|", {"schema": 1})], soon(clock))
    assert not KeyTable(MemoryTable(), clock, (), older=older).ring(soon(clock)).plain, "a new deployment has none"
    others[kind].commit([Put(f"{older[kind][1]}a", {"schema": 1})], soon(clock))
    keys = KeyTable(table, clock, (), older=older)
    assert keys.ring(soon(clock)).plain
    clock.advance(PLAIN_FOR - timedelta(seconds=1))
    assert keys.ring(soon(clock)).plain and KeyTable(table, clock, (), older=older).ring(soon(clock)).plain
    clock.advance(timedelta(seconds=1))
    assert not keys.ring(soon(clock)).plain


UNREADABLE: list[dict[str, str | int]] = [
    {},
    {"schema": 1},
    {"schema": 1, "secret": 7, "plain_until": ""},
    {"schema": 2, "secret": "", "plain_until": ""},
    {"schema": 2, "secrets": OLD.text},
]


@pytest.mark.parametrize("row", UNREADABLE, ids=str)
def test_a_row_that_cannot_be_read_is_not_written_over_and_key_secrets_alone_go_on(row: dict[str, str | int]) -> None:
    clock, table = HandClock(), MemoryTable()
    table.commit([Put(ROW, row)], soon(clock))
    with pytest.raises(Unavailable):
        KeyTable(table, clock, ()).ring(soon(clock))
    keys = KeyTable(table, clock, (NEW,))
    assert keys.ring(soon(clock)) == KeyRing((NEW,))
    kept = table.get(ROW, soon(clock)).result()
    assert kept is not None and kept.values == row
    table.commit([Put(ROW, {"schema": 1, "secret": OLD.text, "plain_until": ""})], soon(clock))
    assert keys.ring(soon(clock)) == KeyRing((NEW, OLD)), "as soon as it can be read"


def test_a_time_that_cannot_be_read_costs_nobody_their_secret() -> None:
    clock, table = HandClock(), MemoryTable()
    table.commit([Put(ROW, {"schema": 1, "secret": "", "plain_until": "soon"})], soon(clock))
    assert len(KeyTable(table, clock, ()).ring(soon(clock)).secrets) == 1


def test_a_process_that_cannot_read_the_secret_answers_all_the_same() -> None:
    """Cold, with the store away: as in an outage; then the repeat makes it good, and presence is given back."""
    house = House(pool=numbers(4))
    secrets = TableLine(MemoryTable())
    house.keys = KeyTable(secrets, house.clock, ())
    house = _with_keys(house)
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT))
    house.tick()
    secrets.away = True
    answer = dial(house, "dana", "dana/1")
    assert answer.degraded and len(house.mail.accepted) == 1
    secrets.away = False
    [again] = house.repeats.kept.values()
    assert again() and not dial(house, "dana", "dana/1").degraded
    house.end(End(call_id="dana/1", by_agent=True), person(DANA_OBJECT))
    assert house.status("dana") is PresenceStatus.OFFLINE
    assert house.presence_rows.between("!", "~", 100, house.within()).result() == []


def _with_keys(house: House) -> House:
    """A house whose stores have these keys from the start."""
    return House(pool=house.deployment.callback_numbers, keys=house.keys, clock=house.clock)


# The setting ----------------------------------------------------------------------------------------------------------


def test_faulty_secrets_are_left_out_and_none_is_ever_told() -> None:
    settings = read_settings({"KEY_SECRETS": f"short;{OLD.text.replace(' ', '-')};has blanks in it, as words do;"})
    assert [secret.text for secret in settings.key_secrets] == [OLD.text.replace(" ", "-")]
    told = [fault for fault in settings.faults if fault.setting == "KEY_SECRETS"]
    assert len(told) == 1 and "short" not in str(told) and OLD.text.replace(" ", "-") not in repr(settings)


def test_where_all_are_faulty_the_tables_own_secret_writes() -> None:
    """A faulty value opens no door: nothing is ever stored under a key without a secret."""
    settings = read_settings({"KEY_SECRETS": "@Microsoft.KeyVault(SecretUri=https://vault.example/x)"})
    assert settings.key_secrets == () and not settings.valid
    clock = HandClock()
    assert KeyTable(MemoryTable(), clock, settings.key_secrets).ring(soon(clock)).secrets


@pytest.mark.parametrize(("value", "told"), [("", OF_THE_TABLE), (NEW.text.replace(" ", "-"), OF_THE_SETTING)])
def test_readiness_says_which_of_the_two_it_is(value: str, told: str) -> None:
    app = compose({"KEY_SECRETS": value})
    office = app.administration.office
    assert office.secrets_set is (told == OF_THE_SETTING)
    with pytest.raises(Unavailable):
        app.calling.keys.ring(app.calling.within(0.0))
    assert DAWN.tzinfo is not None
