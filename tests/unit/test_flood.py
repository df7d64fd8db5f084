"""What a flood may cost: a stranger with one token, a machine, and those who must not notice them.

Rations, places among those who are rung, and places in the pool belong to a principal (contract, *Who is who*).
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import batched, count

import pytest
from msgspec import structs

from shared.adapters.allowances import Allowances
from shared.adapters.emergency_rows import index_rows
from shared.adapters.emergency_table import MAX_OWNERS_READ
from shared.adapters.table import MAX_ROWS_A_COMMIT, Put, Values
from shared.adapters.threads import OsThreads
from shared.adapters.turns import Turns
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from shared.domain.ids import agent_key_of, key_of
from shared.domain.keys import KeyRing
from shared.domain.subjects import unlisted_key
from shared.use_cases.answer_dial import Answer
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import DEFAULT_CONTACT, House, after, everybody, key_unlisted, numbers, person

DANA_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201aa"
DANA, STRANGER, EVE, MACHINE = person(DANA_OBJECT), person("stranger"), person("eve"), everybody()
GUARD = "guard@example.com"


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(20))
    house.add_agent(
        Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=("8:acs:r_dana",), emergency_contacts=(GUARD,))
    )
    house.tick()
    return house


def dial(house: House, caller: Caller, call: object, agent_id: str = "any") -> Answer:
    fields = {"call_id": f"{caller.name}/{call}", "agent_id": agent_id, "dialled": "911", "country": "US"}
    return house.dial(Dial(**fields), caller)  # type: ignore[arg-type]


def mails(house: House) -> int:
    return len(house.mail.accepted)


def wait(house: House, minutes: int) -> None:
    for _ in range(minutes * 6):
        house.clock.advance(after(seconds=10))
        house.sweep()


# Notices


@pytest.mark.parametrize("caller", [STRANGER, DANA], ids=["unlisted", "listed"])
def test_one_principal_causes_five_notices_in_ten_minutes_and_one_for_all_the_others_later(
    house: House, caller: Caller
) -> None:
    answers = [dial(house, caller, call) for call in range(40)]
    assert mails(house) == 5
    assert {answer.notified for answer in answers} == {1}, "what is rationed is owed all the same"
    assert house.telemetry.count("notice_rationed") == 35
    wait(house, 11)
    assert mails(house) == 6, "the rest is merged, and not dropped"
    wait(house, 11)
    assert mails(house) == 6
    dial(house, caller, "later")
    assert mails(house) == 7


def test_one_principals_flood_takes_no_notice_from_another(house: House) -> None:
    for call in range(40):
        dial(house, STRANGER, call)
    house.mail.accepted.clear()
    dial(house, EVE, "real", "eve")
    dial(house, DANA, "real", "dana")
    dial(house, MACHINE, "real", "served by a machine")
    assert house.mail.received() == [DEFAULT_CONTACT, GUARD, DEFAULT_CONTACT]


def test_all_unlisted_ids_of_one_machine_have_thirty_notices_and_the_others_later(
    house: House,
) -> None:
    for n in range(36):
        assert dial(house, MACHINE, n, f"unlisted-{n}").notified == 1
    assert mails(house) == 30
    dial(house, MACHINE, "listed", "dana")
    assert mails(house) == 31, "a listed agent is a principal of their own"
    wait(house, 11)
    assert mails(house) == 37


def test_in_a_crisis_one_machine_dials_for_two_hundred_listed_agents_and_none_is_rationed() -> None:
    house = House(pool=numbers(40))
    for n in range(200):
        house.add_agent(Agent(agent_id=f"listed-{n}", country="US"))
    house.tick()
    answers = [dial(house, MACHINE, n, f"listed-{n}") for n in range(200)]
    assert not any(answer.degraded for answer in answers)
    assert mails(house) == 200 and house.telemetry.count("notice_rationed") == 0


def test_there_are_rations_in_an_outage_too(house: House) -> None:
    house.line.away = True
    for call in range(40):
        assert dial(house, STRANGER, call).degraded
    assert mails(house) == 5
    dial(house, EVE, "real", "eve")
    assert mails(house) == 6
    house.line.away = False
    dial(house, STRANGER, 39)
    assert ("dial_recorded", house.telemetry.count("dial_recorded") - 41) == ("dial_recorded", 1)


def test_a_repeat_of_a_dial_in_an_outage_takes_no_more_of_the_ration(house: House) -> None:
    grants = [house.outage.grants_mail(leg, "agent:eve", 2, house.clock.now()) for leg in "aababc"]
    assert grants == [True, True, True, True, True, False]
    house.clock.advance(after(minutes=10))
    assert house.outage.grants_mail("c", "agent:eve", 2, house.clock.now())


# Places among those who are rung, and in the pool


def test_a_flood_of_sharers_does_not_push_the_one_out_who_held_the_number_first() -> None:
    house = House(pool=numbers(1))
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=("8:acs:r_dana",)))
    house.tick()
    first = dial(house, DANA, "real", "dana")
    assert not first.shared
    for n in range(8):
        house.clock.advance(after(seconds=1))
        house.dial(
            Dial(call_id=f"f{n}", agent_id=f"flood-{n}", dialled="911", acs_user_id=f"8:acs:r_flood-{n}"),
            person(f"flood-{n}"),
        )
    house.responder_calls(first.callback_number, "callback")
    house.wait(1)
    assert "8:acs:r_dana" in house.switchboard.ringing()
    assert len(house.switchboard.ringing()) == 5


def test_the_fifth_for_agents_outside_the_directory_holds_once_somebody_is_entered() -> None:
    for entries, alone in ((0, 5), (1, 1)):
        house = House(pool=numbers(5))
        for n in range(entries):
            house.add_agent(Agent(agent_id=f"listed-{n}"))
        house.tick()
        answers = [dial(house, person(f"p-{n}"), n, f"unlisted-{n}") for n in range(5)]
        assert sum(not answer.shared for answer in answers) == alone


def test_unlisted_agents_beyond_their_fifth_share_what_is_idle_before_what_is_in_a_call() -> None:
    house = House(pool=numbers(10))
    house.add_agent(Agent(agent_id="dana"))
    house.tick()
    in_a_call, idle = (dial(house, person(name), 1, name).callback_number for name in ("ana", "ben"))
    assert in_a_call != idle
    house.clock.advance(after(minutes=1))
    house.end(End(call_id="ben/1", by_agent=True), person("ben"))
    for n in range(20):
        house.clock.advance(after(seconds=1))
        answer = dial(house, person(f"p-{n}"), 1, f"p-{n}")
        assert (answer.shared, answer.callback_number) == (True, idle)
        house.end(End(call_id=f"p-{n}/1", by_agent=True), person(f"p-{n}"))


def test_unlisted_agents_beyond_their_fifth_are_lent_what_rests_of_it_and_then_it_is_not_shared() -> None:
    house = House(pool=numbers(4))
    house.add_agent(Agent(agent_id="dana"))
    house.tick()
    answer = dial(house, person("ana"), 1, "ana")
    house.end(End(call_id="ana/1", by_agent=True), person("ana"))
    for n in range(3):
        house.clock.advance(after(minutes=61))
        house.tick()
        later = dial(house, person(f"p-{n}"), 1, f"p-{n}")
        assert (later.callback_number, later.shared) == (answer.callback_number, False)
        assert [row for row in house.rows() if row.startswith("unknown|")] == ["unknown|00000"]
        assert dial(house, person(f"q-{n}"), 1, f"q-{n}").shared, "the place is taken as long as the number is"
        for each in (f"p-{n}", f"q-{n}"):
            house.end(End(call_id=f"{each}/1", by_agent=True), person(each))


@pytest.mark.parametrize(("country", "begins"), [("US", "+1425"), ("GB", "+447")])
def test_unlisted_agents_beyond_their_fifth_share_one_of_their_own_country_first(country: str, begins: str) -> None:
    house = House(pool=(*numbers(5), *(f"+{447700900120 + n}" for n in range(5))))
    house.add_agent(Agent(agent_id="dana"))
    house.tick()
    for n, where in enumerate(("US", "GB")):
        house.dial(Dial(call_id=f"{n}", agent_id=f"first-{n}", dialled="911", country=where), person(f"first-{n}"))
    for n in range(10):
        dialled = Dial(call_id=f"then-{n}", agent_id=f"then-{n}", dialled="911", country=country)
        answer = house.dial(dialled, person(f"then-{n}"))
        assert answer.shared and (answer.callback_number or "").startswith(begins)


def test_what_is_owed_later_is_one_row_for_each_ten_minutes(house: House) -> None:
    for call in range(20):
        dial(house, STRANGER, call)
    owed = [key for key in house.rows() if key.startswith("outbox|") and "|notice|" in key]
    assert len(owed) == 1


# Calls that are no responder's, and calls that nobody ends


def test_a_call_from_a_number_of_the_pool_is_no_responders(house: House) -> None:
    number = dial(house, DANA, "real", "dana").callback_number
    other = next(each for each in house.deployment.callback_numbers if each != number)
    house.responder_calls(number, "own", caller=other)
    house.wait(5)
    assert house.switchboard.ringing() == []
    house.responder_calls(number, "responder")
    house.wait(5)
    assert house.switchboard.ringing() == ["8:acs:r_dana"]


# Nothing is left


@pytest.mark.parametrize("caller", [DANA, EVE], ids=["listed", "unlisted"])
def test_who_had_no_presence_has_none_afterwards(house: House, caller: Caller) -> None:
    dial(house, caller, "real", "dana" if caller is DANA else "eve")
    house.deliver()
    assert len(house.presence_rows.keys()) == 1
    house.end(End(call_id=f"{caller.name}/real", by_agent=True), caller)
    wait(house, 3)
    assert list(house.presence_rows.keys()) == []


def in_an_outage(house: House, caller: Caller, agent_id: str) -> None:
    house.line.away = True
    dial(house, caller, "real", agent_id)
    house.line.away = False
    for again in list(house.repeats.kept.values()):
        again()
    house.end(End(call_id=f"{caller.name}/real", by_agent=True), caller)


def never_recorded(house: House, caller: Caller, agent_id: str) -> None:
    """The process that answered in an outage died, and nobody ever reports it again; somebody looks who is there."""
    house.line.away = True
    dial(house, caller, "real", agent_id)
    house.line.away = False
    house.repeats.kept.clear()
    house.forget_outages()
    house.clock.advance(after(minutes=20))
    house.calling.show_presence(presence_id(caller, agent_id), deadline=house.within())


def dropped(house: House, caller: Caller, agent_id: str) -> None:
    dial(house, caller, "real", agent_id)
    house.end(End(call_id=f"{caller.name}/real", by_agent=False), caller)


def dropped_and_dialled_again(house: House, caller: Caller, agent_id: str) -> None:
    dropped(house, caller, agent_id)
    dial(house, caller, "again", agent_id)
    house.end(End(call_id=f"{caller.name}/again", by_agent=True), caller)


def never_ended(house: House, caller: Caller, agent_id: str) -> None:
    dial(house, caller, "real", agent_id)


def ended_before_it_began(house: House, caller: Caller, agent_id: str) -> None:
    house.end(End(call_id=f"{caller.name}/real", agent_id=agent_id, by_agent=True), caller)
    dial(house, caller, "real", agent_id)


def presence_id(caller: Caller, agent_id: str) -> str:
    """An unlisted agent's presence is that of who signed in."""
    return caller.name if caller is EVE else agent_id


WAYS = [in_an_outage, never_recorded, dropped, dropped_and_dialled_again, never_ended, ended_before_it_began]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("who", ["listed", "unlisted", "a machine's unlisted", "a machine's listed"])
def test_nothing_is_left_in_the_presence_table_after_the_long_end(
    house: House, who: str, way: Callable[[House, Caller, str], None]
) -> None:
    caller, agent_id = {
        "listed": (DANA, "dana"),
        "unlisted": (EVE, "eve"),
        "a machine's unlisted": (MACHINE, "served"),
        "a machine's listed": (MACHINE, "dana"),
    }[who]
    way(house, caller, agent_id)
    for _ in range(36):
        house.clock.advance(after(minutes=20))
        house.tick()
        house.sweep()
    assert list(house.presence_rows.keys()) == []
    assert {key.partition("|")[0] for key in house.rows()} == {"free", "number", "pool"}


# What is kept for outsiders delays nobody


def test_holds_end_before_what_outsiders_had_kept_is_removed(house: House) -> None:
    for n in range(300):
        house.end(End(call_id=f"nobody's-{n}", by_agent=True), MACHINE)
    house.clock.advance(after(minutes=55))
    dial(house, DANA, "real", "dana")
    house.end(End(call_id=f"{DANA.name}/real", by_agent=False), DANA)
    house.clock.advance(after(minutes=10))
    house.line.asked = lambda _request: house.clock.advance(after(seconds=1))
    house.tick()
    emergency = house.emergency("dana")
    assert emergency is not None and not emergency.held, "behind 300 rows that were due before"
    assert any("|call|" in key for key in house.rows()), "which are not all removed by then"


def test_what_outsiders_had_kept_is_removed_many_at_a_time(house: House) -> None:
    for n in range(300):
        house.end(End(call_id=f"nobody's-{n}", by_agent=True), MACHINE)
    house.clock.advance(after(minutes=61))
    asked: list[str] = []
    house.line.asked = asked.append
    house.tick()
    assert not [key for key in house.rows() if key.startswith(("bare|", "call|"))]
    assert asked.count("commit") <= 12


def test_one_that_changed_meanwhile_keeps_no_other_from_being_removed(house: House) -> None:
    for n in range(10):
        house.end(End(call_id=f"nobody's-{n}", by_agent=True), MACHINE)
    house.clock.advance(after(minutes=61))
    row = next(key for key in house.rows() if key.startswith("call|"))

    def changes(request: str) -> None:
        if request == "commit":
            house.line.asked = lambda _request: None
            house.table.commit([Put(row, {"schema": 1, "state": "{}"})], house.within())

    house.line.asked = changes
    house.tick()
    assert len([key for key in house.rows() if key.startswith("call|")]) <= 1


@pytest.mark.parametrize(("caller", "kept"), [(STRANGER, 20), (MACHINE, 1_000)], ids=["agent", "machine"])
def test_so_many_ends_of_unknown_calls_are_kept_of_one_principal(house: House, caller: Caller, kept: int) -> None:
    known = [house.end(End(call_id=f"nobody's-{n}", by_agent=True), caller).known for n in range(kept + 30)]
    assert not any(known), "the answer is the same"
    assert len([key for key in house.rows() if key.startswith("call|")]) == kept
    house.end(End(call_id="another's", by_agent=True), EVE)
    assert len([key for key in house.rows() if key.startswith("call|")]) == kept + 1
    assert house.end(End(call_id=f"{DANA.name}/real", by_agent=True), DANA).known is False
    dial(house, DANA, "real", "dana")
    assert house.end(End(call_id=f"{DANA.name}/real", by_agent=True), DANA).known


def test_all_principals_together_have_a_bound_on_kept_ends() -> None:
    allowances, now = Allowances(most_of_all=30), House().clock.now()
    assert sum(allowances.grants(f"agent:{n % 10}", 5, now) for n in range(100)) == 30
    assert allowances.grants("agent:1", 5, now + after(minutes=10))


# How many may be outside the directory


def test_two_hundred_agents_outside_the_directory_have_an_emergency_and_no_more(house: House) -> None:
    for n in range(200):
        assert not dial(house, person(f"p-{n}"), "first").degraded
    answer = dial(house, EVE, "one too many", "eve")
    assert (answer.degraded, answer.notified, answer.callback_number) == (True, 1, house.deployment.fallback_number)
    assert house.telemetry.count("unlisted_bounded") == 1 and house.telemetry.count("store_away") == 0
    assert not house.repeats.kept, "nobody reports it again and again"
    assert not [row for row in tuple(house.presence_rows.keys()) if key_of(EVE.owner.partition(":")[2]) in row]
    assert not dial(house, person("p-7"), "second", "by another name").degraded, "it is a redial"
    assert not dial(house, DANA, "real", "dana").degraded
    assert not dial(house, MACHINE, "real", "served by a machine").degraded
    for _ in range(4):
        house.clock.advance(after(hours=4))
        house.tick()
    assert not dial(house, EVE, "later", "eve").degraded, "once others are over there is room"


def test_a_machine_has_a_thousand_and_takes_no_place_of_another(house: House) -> None:
    for place in range(1_000):
        house.table.commit([Put(f"outside|{key_of(MACHINE.owner)}|{place:04}", {"schema": 1})], house.within())
    assert dial(house, MACHINE, "one too many", "unlisted").degraded
    assert dial(house, MACHINE, "its object id is made up", "unlisted-2").degraded
    assert not dial(house, EVE, "real", "eve").degraded
    assert not dial(house, MACHINE, "listed", "dana").degraded
    other = Caller(kind=CallerKind.MACHINE, name="machine-2")
    assert not dial(house, other, "real", "served by another machine").degraded


# Events


def flooded(count: int = 600) -> House:
    """A machine has reported so many agents outside the directory, all with an untied leg; and Dana has dialled."""
    house = House(pool=numbers(20))
    house.performs = False
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, acs_user_ids=("8:acs:r_dana",)))
    house.tick()
    for n in range(count):
        told = Dial(call_id=f"f-{n}", agent_id=f"flood-{n}", dialled="911", acs_user_id="8:acs:r_claimed")
        house.dial(told, MACHINE)
    house.dial(Dial(call_id="dana/1", agent_id="dana", dialled="911", server_call_id="victim's"), DANA)
    return house


def test_a_flood_keeps_no_recording_event_from_being_settled() -> None:
    house = flooded(600)
    reads: list[str] = []
    house.line.asked = reads.append
    house.recorded(RecordedFiles(recording_id="r-1", call_id="customer's", locations=("https://x.example/1",)))
    assert len(reads) < 300, "it reads so many and no more"
    assert "https://x.example/1" in house.tapes.files, "held back, not deleted"
    house.clock.advance(after(seconds=20))
    house.see(ServerCall(server_call_id="victim's", starter="8:acs:r_dana", at=house.clock.now(), ended=False))
    house.performs = True
    house.recorded(RecordedFiles(recording_id="r-2", call_id="victim's", locations=("https://x.example/2",)))
    assert "https://x.example/2" not in house.tapes.files, "certain, whoever claims what"


def test_where_nothing_fits_the_rest_is_looked_at_the_next_time_and_the_recording_is_left_at_the_end() -> None:
    house = flooded(450)
    began_at = house.clock.now() - after(hours=2)
    files = RecordedFiles(recording_id="r", call_id="customer's", locations=("https://x.example/1",), began_at=began_at)
    house.recorded(files)
    assert house.telemetry.count("recording_held_back") == 1
    house.performs = True
    for _ in range(4):
        house.clock.advance(after(minutes=3))
        house.sweep()
    assert house.telemetry.count("recording_left") == 1
    assert not [key for key in house.rows() if key.startswith(("recording|", "deletion|", "held|"))]


@pytest.mark.parametrize("victim", [DANA, EVE], ids=["listed", "unlisted"])
def test_events_of_a_call_settle_the_victim_before_those_who_claim_it(victim: Caller) -> None:
    """Time runs out after 40 requests: what a machine's ids claim comes behind, and the event comes again."""
    house = flooded(300)
    name, acs = ("dana", "8:acs:r_dana") if victim is DANA else ("eve", "8:acs:r_claimed")
    if victim is EVE:
        house.dial(Dial(call_id="eve/1", agent_id="eve", dialled="911", acs_user_id=acs), EVE)
    started = ServerCall(server_call_id="s", starter=acs, at=house.clock.now(), ended=False)
    requests: list[str] = []

    def ask(request: str) -> None:
        requests.append(request)
        if len(requests) > 40:
            house.clock.advance(after(seconds=1))

    house.line.asked = ask
    with suppress(Unavailable):
        house.see(started)
    house.line.asked = lambda _request: None
    key = agent_key_of(name) if victim is DANA else unlisted_key(name, victim.owner)
    emergency = house.emergencies.find(key, house.within()).result().emergency
    assert emergency is not None and len(emergency.sightings) == 1


def test_more_claims_than_a_page_holds_keep_no_event_and_no_recording_from_a_listed_agent() -> None:
    """Those of two machines, whose keys all come before the agent's."""
    house = House(pool=numbers(20))
    house.performs = False
    acs, listed = "8:acs:r_listed", next(name for n in count() if agent_key_of(name := f"{n}").startswith("ff"))
    house.add_agent(Agent(agent_id=listed, acs_user_ids=(acs,)))
    house.tick()
    for agent_id in (listed, "outside"):
        house.dial(Dial(call_id=agent_id, agent_id=agent_id, dialled="911", server_call_id="s"))
    claiming = house.emergencies.load(key_unlisted("outside"), house.within()).result().emergency
    assert claiming is not None
    rows: dict[str, Values] = {}
    for n in range(MAX_OWNERS_READ):
        other = structs.replace(claiming, agent_key=f"{n:032x}", starters=(acs,))
        rows |= index_rows(other, house.deployment.rules, house.clock.now(), KeyRing())
    found = [(key, values) for key, values in rows.items() if key.startswith(("server|", "starter|", "untied|"))]
    for some in batched(found, MAX_ROWS_A_COMMIT, strict=False):
        house.table.commit([Put(key, values) for key, values in some], house.within())
    first = [
        house.emergencies.owners_of_server_call(key_of("s"), house.within())[0],
        house.emergencies.owners_of_starter(acs, house.within())[0],
        house.emergencies.agents_untied(house.within())[0],
    ]
    assert first == [agent_key_of(listed)] * 3


# Repeats beyond the line


class HouseTime(OsThreads):
    """Threads whose pace goes by the clock of a house."""

    def __init__(self, house: House) -> None:
        self.monotonic = house.clock.monotonic  # type: ignore[method-assign]


def line_of(house: House) -> Callable[..., Answer]:
    """The way of dials through one line, which keeps everybody's pace."""
    calling = structs.replace(house.calling, dials=Turns(1, threads=HouseTime(house)))

    def dialled(caller: Caller, call: int, **more: str) -> Answer:
        dial = Dial(call_id=f"call-{call}", agent_id="any", dialled="911", country="US", **more)  # type: ignore[arg-type]
        return calling.start_call(dial, caller=caller)

    return dialled


@pytest.mark.parametrize("caller", [DANA, EVE], ids=["listed", "unlisted"])
def test_the_same_dial_however_often_it_is_reported_has_the_same_number(house: House, caller: Caller) -> None:
    dialled = line_of(house)
    first = dialled(caller, 1)
    repeats = [dialled(caller, 1) for _ in range(30)]
    assert not first.known and not first.degraded
    assert {(each.known, each.degraded, each.callback_number, each.panel.mode) for each in repeats} == {
        (True, False, first.callback_number, first.panel.mode)
    }


def test_what_is_another_dial_beyond_the_line_is_answered_without_the_store_and_repeated(house: House) -> None:
    dialled = line_of(house)
    first = dialled(EVE, 1)
    for _ in range(20):
        dialled(EVE, 1)
    assert dialled(EVE, 2).degraded, "another call"
    assert dialled(STRANGER, 1).callback_number not in (None, first.callback_number), "another caller"
    assert dialled(EVE, 1, server_call_id="server-1").degraded, "which server call it is must come to be known"
    assert len(house.repeats.kept) == 2


def test_an_answer_is_remembered_for_no_longer_than_a_dialer_repeats(house: House) -> None:
    dialled = line_of(house)
    dialled(EVE, 1)
    house.clock.advance(after(minutes=10))
    for call in range(2, 22):
        dialled(EVE, call)
    assert dialled(EVE, 1).degraded
