"""Who may speak for whom (specification, *who speaks for whom*; contract, *Who is who*), on the core in memory."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from shared.adapters.agent_table import AgentTable
from shared.adapters.outage_memory import OutageMemory
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind, same_agent
from shared.domain.dials import Dial
from shared.domain.emergencies import Emergency
from shared.domain.errors import Malformed, NotAllowed, NotFound, Unavailable
from shared.domain.ids import key_of
from shared.domain.locations import Location
from shared.domain.panels import Mode
from shared.domain.pool import MAX_EARLY_ENDS_A_WINDOW, MAX_EARLY_ENDS_OF_A_MACHINE_A_WINDOW
from shared.domain.presence import PresenceStatus, SetBy
from shared.domain.subjects import unlisted_key
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice, ReconcilePresence
from shared.use_cases.end_call import End
from shared.use_cases.report_desktop import DesktopReport
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, Overtaken, TableLine, after, everybody, numbers, office, person
from tests.fakes.memory_table import MemoryTable

DANA_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201aa"
EVE_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201ee"
DANA_ACS = "8:acs:resource_dana"
BEN_ACS = "8:acs:resource_ben"
DANA, EVE, MACHINE = person(DANA_OBJECT), person(EVE_OBJECT), everybody()
OTHER_MACHINE = Caller(kind=CallerKind.MACHINE, name="machine-2")
TOPIC = Caller(kind=CallerKind.SOURCE, name="topic")
BEN = person("0f0e0d0c-0b0a-4908-8706-0504030201bb")


@pytest.fixture
def house() -> House:
    house = House(pool=numbers(20))
    house.add_agent(
        Agent(
            agent_id="dana",
            name="Dana Example",
            entra_object_id=DANA_OBJECT,
            acs_user_ids=(DANA_ACS,),
            country="US",
            emergency_contacts=("guard@example.com",),
        )
    )
    house.add_agent(Agent(agent_id="ben", name="Ben Example", acs_user_ids=(BEN_ACS,), country="US"))
    house.tick()
    return house


class OvertakenCalls(Overtaken):
    """Something happens right after what is recorded under a call id was read."""

    kind = "call"


def dial(house: House, agent_id: str, caller: Caller, call_id: str = "call-1", **more: object) -> Answer:
    fields: dict[str, object] = {"call_id": call_id, "agent_id": agent_id, "dialled": "911", "country": "US"} | more
    return house.dial(Dial(**fields), caller)  # type: ignore[arg-type]


def panel_mode(house: House, agent_id: str, caller: Caller) -> Mode:
    return house.calling.show_panel(agent_id, caller=caller, deadline=house.within())[0].mode


def emergency_of(house: House, agent_id: str, owner: Caller) -> Emergency | None:
    return house.emergencies.load(unlisted_key(agent_id, owner.owner), house.within()).result().emergency


# The sign-in says who they are


@pytest.mark.parametrize("claimed", ["dana", "DANA", " dana ", "\uff44\uff41\uff4e\uff41", "d\u200bana"])
def test_a_listed_agent_is_themself_however_they_write_it(house: House, claimed: str) -> None:
    answer = dial(house, claimed, DANA)
    assert (answer.agent_id, answer.ignored, answer.notified) == ("dana", (), 1)


def test_a_listed_agent_who_names_another_is_recorded_as_themself(house: House) -> None:
    for call_id, claimed in (("call-1", "ben"), ("call-2", "nobody")):
        answer = dial(house, claimed, DANA, call_id)
        assert (answer.agent_id, answer.ignored) == ("dana", ("agent_id",))
    assert house.emergency("ben") is None


def test_an_agent_outside_the_directory_is_recorded_under_the_id_they_sent(house: House) -> None:
    answer = dial(house, "eve", EVE)
    assert (answer.agent_id, answer.ignored) == ("eve", ())
    assert panel_mode(house, "eve", EVE) is Mode.EMERGENCY


def test_one_who_names_an_entry_that_is_not_theirs_is_recorded_under_their_object_id(house: House) -> None:
    answer = dial(house, "dana", person(EVE_OBJECT.upper()))
    assert (answer.agent_id, answer.ignored) == (EVE_OBJECT, ("agent_id",))
    assert house.emergency("dana") is None and panel_mode(house, EVE_OBJECT, EVE) is Mode.EMERGENCY


def test_an_entry_without_an_object_id_costs_its_own_agent_nothing(house: House) -> None:
    answer = dial(house, "ben", EVE)
    assert (answer.agent_id, answer.ignored) == (EVE_OBJECT, ("agent_id",))
    assert house.call_back(answer.callback_number) == BEN_ACS, "the identities of that entry may be rung"
    house.see(ServerCall(server_call_id="s", starter=BEN_ACS, at=house.clock.now(), ended=False))
    emergency = emergency_of(house, EVE_OBJECT, EVE)
    assert emergency is not None and emergency.sightings == (), "they tie nothing"


def test_an_agent_outside_the_directory_has_one_emergency_under_whatever_id(house: House) -> None:
    first = dial(house, "eve", EVE)
    again = dial(house, "mallory", EVE, "call-2")
    assert again.callback_number == first.callback_number and not again.known


@pytest.mark.parametrize("other", [EVE_OBJECT, "mallory", "dana"], ids=["no id", "another one", "a listed agent's"])
def test_each_id_that_a_dial_of_an_unlisted_agent_was_answered_with_stays_theirs(house: House, other: str) -> None:
    ids = [dial(house, "eve", EVE).agent_id, dial(house, other, EVE, "call-2").agent_id]
    assert ids == ["eve", EVE_OBJECT if other == "dana" else other]
    for agent_id in ids:
        assert panel_mode(house, agent_id, EVE) is panel_mode(house, agent_id, office()) is Mode.EMERGENCY
        assert seen(house, agent_id, EVE) is PresenceStatus.DO_NOT_DISTURB
        house.calling.release_presence(agent_id, caller=EVE)
        with pytest.raises(NotAllowed):
            panel_mode(house, agent_id, BEN)
    for agent_id in ("dana", "nobody"):
        with pytest.raises(NotAllowed):
            panel_mode(house, agent_id, EVE)
    for call_id in ("call-1", "call-2"):
        assert house.end(End(call_id=call_id, by_agent=True), EVE).known
    assert [panel_mode(house, agent_id, EVE) for agent_id in ids] == [Mode.NORMAL] * 2


def test_a_repeat_is_answered_with_the_id_of_its_own_dial_whatever_it_names(house: House) -> None:
    dial(house, "eve", EVE)
    dial(house, "mallory", EVE, "call-2")
    for named, ignored in (("eve", ()), ("EVE", ()), (EVE_OBJECT, ()), ("somebody", ("agent_id",))):
        repeated = dial(house, named, EVE)
        assert (repeated.known, repeated.agent_id, repeated.ignored) == (True, "eve", ignored)


def test_the_ids_of_an_unlisted_agent_last_as_long_as_the_lease(house: House) -> None:
    dial(house, "eve", EVE)
    dial(house, "mallory", EVE, "call-2")
    for call_id in ("call-1", "call-2"):
        house.end(End(call_id=call_id, by_agent=True), EVE)
    house.clock.advance(after(minutes=200))
    house.tick()
    for agent_id in ("eve", "mallory"):
        with pytest.raises(NotAllowed):
            panel_mode(house, agent_id, EVE)
    assert not [row for row in house.rows() if row.startswith("unlisted|")]


def test_a_machine_finds_whom_it_named_by_an_object_id_under_each_id_that_it_gave_them(house: House) -> None:
    dial(house, "eve", MACHINE, entra_object_id=EVE_OBJECT)
    dial(house, "mallory", MACHINE, "call-2", entra_object_id=EVE_OBJECT)
    for call_id, agent_id in (("call-1", "eve"), ("call-2", "mallory")):
        assert panel_mode(house, agent_id, MACHINE) is Mode.EMERGENCY
        assert panel_mode(house, agent_id, OTHER_MACHINE) is Mode.NORMAL
        assert house.end(End(call_id=call_id, by_agent=True, agent_id=agent_id), MACHINE).known


def test_what_nobody_in_the_directory_claims_is_told_as_claimed(house: House) -> None:
    house.performs = False
    dial(house, "eve", EVE)
    dial(house, "dana", DANA)
    told = {
        effect.owed.notice.agent_id: effect.owed.notice.claimed
        for effect in house.owed
        if isinstance(effect, DeliverNotice)
    }
    assert told == {"eve": True, "dana": False}


def test_an_identity_that_the_directory_gives_to_somebody_is_not_taken_from_them(house: House) -> None:
    answer = dial(house, "eve", EVE, acs_user_id=DANA_ACS)
    assert answer.ignored == ("acs_user_id",)
    assert house.call_back(answer.callback_number) != DANA_ACS
    mine = dial(house, "mallory", person("other"), "call-2", acs_user_id="8:acs:resource_mallory")
    assert house.call_back(mine.callback_number) == "8:acs:resource_mallory"


# Two principals, two emergencies


def test_two_principals_who_claim_one_id_have_an_emergency_each(house: House) -> None:
    reported = dial(house, "eve", MACHINE, acs_user_id="8:acs:resource_eve")
    stolen = dial(house, "eve", EVE, "call-2", acs_user_id="8:acs:resource_stranger")
    assert stolen.callback_number != reported.callback_number
    assert house.call_back(reported.callback_number) == "8:acs:resource_eve", "no callback rings the stranger"
    house.end(End(call_id="call-1", by_agent=True), EVE)
    assert panel_mode(house, "eve", MACHINE) is Mode.EMERGENCY, "and none is ended by them"
    assert panel_mode(house, "eve", OTHER_MACHINE) is Mode.NORMAL


def test_one_that_a_machine_reported_is_an_agents_where_it_names_their_object_id(house: House) -> None:
    reported = dial(house, "eve", MACHINE, entra_object_id=EVE_OBJECT)
    assert panel_mode(house, "eve", EVE) is Mode.EMERGENCY
    assert dial(house, "eve", EVE, "call-2").callback_number == reported.callback_number
    assert house.end(End(call_id="call-1", by_agent=True), EVE).known


def test_a_machine_finds_what_it_reported_under_an_agents_object_id_and_nobody_else_does(house: House) -> None:
    dial(house, "eve", MACHINE, entra_object_id=EVE_OBJECT)
    assert panel_mode(house, "eve", MACHINE) is Mode.EMERGENCY
    assert panel_mode(house, "eve", OTHER_MACHINE) is Mode.NORMAL
    assert not house.end(End(call_id="call-1", by_agent=True, agent_id="someone else"), MACHINE).known
    assert not house.end(End(call_id="call-1", by_agent=True, agent_id="eve"), OTHER_MACHINE).known
    assert house.end(End(call_id="call-1", by_agent=True, agent_id="eve"), MACHINE).known
    assert panel_mode(house, "eve", EVE) is Mode.NORMAL


def test_of_two_that_a_machine_reported_under_one_id_its_panel_shows_the_newest(house: House) -> None:
    dial(house, "eve", MACHINE)
    house.end(End(call_id="call-1", by_agent=True, agent_id="eve"), MACHINE)
    house.clock.advance(after(minutes=5))
    house.dial(Dial(call_id="call-2", agent_id="eve", dialled="911", entra_object_id=EVE_OBJECT), MACHINE)
    assert panel_mode(house, "eve", MACHINE) is Mode.EMERGENCY
    assert panel_mode(house, "eve", OTHER_MACHINE) is Mode.NORMAL


def test_what_an_agent_dialled_themselves_is_no_machines(house: House) -> None:
    dial(house, "eve", EVE)
    assert panel_mode(house, "eve", MACHINE) is Mode.NORMAL
    assert not house.end(End(call_id="call-1", by_agent=True, agent_id="eve"), MACHINE).known


def test_a_machine_that_names_an_object_id_of_the_directory_means_that_entry(house: House) -> None:
    answer = dial(house, "eve", MACHINE, entra_object_id=DANA_OBJECT)
    assert (answer.agent_id, answer.ignored) == ("dana", ("agent_id",))


def report(house: House, caller: Caller, call_id: str = "call-1") -> Answer:
    """A listed agent's dial under the id that a machine, or a source of events, has for them."""
    said = Dial(call_id=call_id, agent_id="ext-7", dialled="911", country="US", entra_object_id=DANA_OBJECT)
    return house.dial_by_event(said, caller) if caller is TOPIC else house.dial(said, caller)


def report_end(house: House, caller: Caller, agent_id: str, call_id: str = "call-1") -> None:
    end = End(call_id=call_id, by_agent=True, agent_id=agent_id)
    if caller is TOPIC:
        house.calling.end_call_from_event(end, caller=caller)
    else:
        house.end(end, caller)


@pytest.mark.parametrize("caller", [MACHINE, TOPIC], ids=["by HTTP", "by event"])
def test_the_id_that_a_reporter_has_for_a_listed_agent_is_theirs_on_every_route(house: House, caller: Caller) -> None:
    assert report(house, caller).agent_id == "dana"
    house.calling.tie_call("call-1", "server-1", caller=caller, agent_id="Ext-7")
    emergency = house.emergency("dana")
    assert emergency is not None and emergency.legs[0].claims == (key_of("server-1"),)
    for agent_id in ("ext-7", "EXT-7 ", "dana"):
        assert panel_mode(house, agent_id, caller) is panel_mode(house, agent_id, office()) is Mode.EMERGENCY
        assert seen(house, agent_id, caller) is seen(house, agent_id, office()) is PresenceStatus.DO_NOT_DISTURB
    report_end(house, caller, "ext-7")
    assert panel_mode(house, "dana", DANA) is panel_mode(house, "ext-7", caller) is Mode.NORMAL
    house.clock.advance(after(minutes=200))
    house.tick()
    assert not [row for row in house.rows() if row.startswith("unlisted|")]


def test_nobody_else_reaches_a_listed_agent_by_the_id_that_a_machine_has_for_them(house: House) -> None:
    report(house, MACHINE)
    dial(house, "dana", OTHER_MACHINE, "call-2")
    assert panel_mode(house, "ext-7", OTHER_MACHINE) is Mode.NORMAL, "it may call somebody else by that id"
    for caller in (EVE, BEN):
        with pytest.raises(NotAllowed):
            panel_mode(house, "ext-7", caller)
    for caller in (OTHER_MACHINE, TOPIC, EVE, BEN):
        report_end(house, caller, "ext-7")
    with pytest.raises(NotFound):
        house.tie("call-1", "server-1", OTHER_MACHINE, agent_id="ext-7")
    assert panel_mode(house, "dana", DANA) is Mode.EMERGENCY


def test_who_is_entered_under_the_id_that_a_machine_has_for_another_is_somebody_else(house: House) -> None:
    first = report(house, MACHINE)
    house.add_agent(Agent(agent_id="ext-7", entra_object_id=EVE_OBJECT, country="US"))
    assert panel_mode(house, "ext-7", EVE) is panel_mode(house, "ext-7", office()) is Mode.NORMAL
    assert panel_mode(house, "ext-7", MACHINE) is panel_mode(house, "ext-7", OTHER_MACHINE) is Mode.NORMAL
    assert dial(house, "ext-7", OTHER_MACHINE, "call-2").callback_number != first.callback_number
    report_end(house, OTHER_MACHINE, "ext-7")
    assert panel_mode(house, "dana", DANA) is Mode.EMERGENCY
    report_end(house, MACHINE, "ext-7")
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL, "it was dialled by that id"


def test_a_row_by_another_id_is_written_where_a_machine_has_one_only(house: House) -> None:
    dial(house, "dana", MACHINE)
    dial(house, "DANA", MACHINE, "call-2", entra_object_id=DANA_OBJECT)
    dial(house, "somebody", DANA, "call-3")
    assert not [row for row in house.rows() if row.startswith("unlisted|")]


@pytest.mark.parametrize("caller", [MACHINE, TOPIC], ids=["by HTTP", "by event"])
def test_in_an_outage_a_reporter_who_names_an_object_id_means_the_entry_that_was_read_last(
    house: House, caller: Caller
) -> None:
    house.show("dana", PresenceStatus.AVAILABLE)
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL, "this process has looked for it"
    house.line.away = True
    if caller is TOPIC:
        with pytest.raises(Unavailable):
            report(house, caller)
    else:
        answer = report(house, caller)
        assert (answer.agent_id, answer.ignored, answer.degraded) == ("dana", ("agent_id",), True)
    assert panel_mode(house, "dana", DANA) is panel_mode(house, "dana", caller) is Mode.EMERGENCY
    assert house.status("dana") is PresenceStatus.DO_NOT_DISTURB
    house.line.away = False
    assert report(house, caller).agent_id == "dana"
    report_end(house, caller, "ext-7")
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL
    assert house.status("dana") is PresenceStatus.AVAILABLE


@pytest.mark.parametrize("late", [False, True], ids=["recorded by another process", "too late"])
def test_presence_that_an_outage_held_by_the_object_id_comes_back(house: House, *, late: bool) -> None:
    house.show("dana", PresenceStatus.AVAILABLE)
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL
    dialled_at = house.clock.now()
    house.line.away = True
    report(house, MACHINE)
    house.line.away = False
    assert house.status("dana") is PresenceStatus.DO_NOT_DISTURB
    if late:
        house.clock.advance(after(minutes=61))
    else:
        own, house.outage = house.outage, OutageMemory(house.clock, house.deployment.rules.window)
        house.performs = False
        report(house, MACHINE)
        report_end(house, MACHINE, "ext-7")
        house.outage, house.performs = own, True
        house.owed.clear()
    said = Dial(call_id="call-1", agent_id="ext-7", dialled="911", entra_object_id=DANA_OBJECT, dialled_at=dialled_at)
    assert house.dial_by_event(said, MACHINE).stale is late
    assert house.status("dana") is PresenceStatus.AVAILABLE


def test_where_the_entry_was_never_read_the_id_of_the_answer_is_found_once_it_is_recorded(house: House) -> None:
    house.directory = AgentTable(TableLine(house.directory_table), house.clock)
    house.line.away = True
    assert report(house, MACHINE).agent_id == "ext-7"
    house.line.away = False
    house.repeats.do_again()
    assert panel_mode(house, "ext-7", MACHINE) is panel_mode(house, "ext-7", office()) is Mode.EMERGENCY
    report_end(house, MACHINE, "ext-7")
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL


@pytest.mark.parametrize(
    ("said", "ignored"),
    [(DANA_OBJECT.upper(), ()), (EVE_OBJECT, ("entra_object_id",)), (None, ())],
    ids=["their own", "another's", "none"],
)
def test_an_agent_who_names_an_object_id_that_is_not_their_own_is_told_that_it_is_ignored(
    house: House, said: str | None, ignored: tuple[str, ...]
) -> None:
    answer = dial(house, "dana", DANA, entra_object_id=said)
    assert (answer.agent_id, answer.ignored) == ("dana", ignored)
    stranger = dial(house, "mallory", person("mallory"), entra_object_id=said)
    assert stranger.ignored == (("entra_object_id",) if said else ())
    house.line.away = True
    assert dial(house, "dana", DANA, "call-2", entra_object_id=said).ignored == ignored


def test_what_a_stranger_reports_first_refuses_nobody(house: House) -> None:
    dial(house, "eve", MACHINE, dialled="933")
    answer = dial(house, "eve", EVE, "call-2")
    assert (answer.agent_id, answer.degraded, answer.test) == ("eve", False, False)


def test_presence_of_a_claimed_id_is_that_of_who_signed_in(house: House) -> None:
    house.show("eve", PresenceStatus.AVAILABLE)
    dial(house, "eve", EVE)
    assert house.status("eve") is PresenceStatus.AVAILABLE
    assert house.status(EVE_OBJECT) is PresenceStatus.DO_NOT_DISTURB


def seen(house: House, agent_id: str, caller: Caller) -> PresenceStatus:
    whose = house.calling.whose_presence(agent_id, caller=caller, deadline=house.within())
    return house.calling.show_presence(whose.presence_id, agent_key=whose.key, deadline=house.within()).status


@pytest.mark.parametrize("asking", [EVE, office()], ids=["the agent", "the office"])
def test_the_presence_of_an_unlisted_agent_is_that_of_their_emergency_and_whoever_sets_it_has_the_last_word(
    house: House, asking: Caller
) -> None:
    assert dial(house, "eve", EVE).agent_id == "eve"
    assert seen(house, "eve", asking) is PresenceStatus.DO_NOT_DISTURB
    whose = house.calling.whose_presence("eve", caller=asking, deadline=house.within())
    house.calling.set_presence(
        whose.presence_id, PresenceStatus.BUSY, SetBy.SUPERVISOR, agent_key=whose.key, deadline=house.within()
    )
    house.clock.advance(after(seconds=40))
    house.tick()
    assert seen(house, "eve", asking) is PresenceStatus.BUSY, "what a supervisor changed stays"
    assert house.panel("eve").presence is None


def test_a_machine_sees_the_presence_of_whom_it_named_by_an_object_id(house: House) -> None:
    dial(house, "eve", MACHINE, entra_object_id=EVE_OBJECT)
    assert seen(house, "eve", MACHINE) is PresenceStatus.DO_NOT_DISTURB


@pytest.mark.parametrize("caller", [EVE, MACHINE], ids=["signed in", "reported by a machine"])
@pytest.mark.parametrize("agent_id", ["eve", EVE_OBJECT])
def test_to_look_at_the_presence_of_an_unlisted_agent_ends_no_hold_of_their_emergency(
    house: House, caller: Caller, agent_id: str
) -> None:
    dial(house, "eve", caller)
    house.clock.advance(after(minutes=20))
    seen(house, agent_id, office())
    presence_id = EVE_OBJECT if caller is EVE else "eve"
    assert house.status(presence_id) is PresenceStatus.DO_NOT_DISTURB


def test_a_desktop_reports_for_an_agent_of_the_directory_only(house: House) -> None:
    require_own = partial(house.calling.require_own, caller=EVE)
    dial(house, "eve", EVE)
    for agent_id in ("eve", EVE_OBJECT):
        with pytest.raises(NotAllowed):
            require_own(agent_id, deadline=house.within())
    house.add_agent(EVES)
    require_own("eve", deadline=house.within())


def look_at(house: House, by: Caller) -> PresenceStatus:
    """Whoever asks sees it, some time after the dial; then the sweep looks at it, as it does every 20 s."""
    shown = seen(house, "eve", by)
    house.wait(30)
    return shown


@pytest.mark.parametrize("asking", [OTHER_MACHINE, TOPIC, MACHINE, office()], ids=["other", "topic", "own", "office"])
def test_whoever_looks_at_a_presence_ends_no_hold_of_another_machines_emergency(house: House, asking: Caller) -> None:
    house.show("eve", PresenceStatus.AVAILABLE)
    dial(house, "eve", MACHINE)
    house.wait(11 * 60)
    assert look_at(house, asking) is PresenceStatus.DO_NOT_DISTURB
    assert house.status("eve") is PresenceStatus.DO_NOT_DISTURB
    house.end(End(call_id="call-1", by_agent=True, agent_id="eve"), MACHINE)
    assert house.status("eve") is PresenceStatus.AVAILABLE


@pytest.mark.parametrize("longer", [MACHINE, TOPIC], ids=["the first", "the second"])
@pytest.mark.parametrize("apart_s", [0, 30, 11 * 60])
def test_presence_that_two_emergencies_hold_comes_back_after_the_last_of_them(
    house: House, longer: Caller, apart_s: int
) -> None:
    shorter = TOPIC if longer is MACHINE else MACHINE
    house.show("eve", PresenceStatus.BUSY)
    for caller in (MACHINE, TOPIC):
        dial(house, "eve", caller, f"call of {caller.kind}")
        house.wait(apart_s)
    house.end(End(call_id=f"call of {shorter.kind}", by_agent=True, agent_id="eve"), shorter)
    house.wait(60)
    assert house.status("eve") is PresenceStatus.DO_NOT_DISTURB
    assert house.telemetry.count("presence_left") == 0
    house.end(End(call_id=f"call of {longer.kind}", by_agent=True, agent_id="eve"), longer)
    assert house.status("eve") is PresenceStatus.BUSY
    house.wait(180)
    assert house.status("eve") is PresenceStatus.BUSY


def test_presence_that_two_drops_hold_comes_back_when_both_holds_are_over_at_one_moment(house: House) -> None:
    house.show("eve", PresenceStatus.BUSY)
    for caller in (MACHINE, TOPIC):
        dial(house, "eve", caller, f"call of {caller.kind}")
    keys = [unlisted_key("eve", caller.owner) for caller in (MACHINE, TOPIC)]
    for caller in (MACHINE, TOPIC):
        house.end(End(call_id=f"call of {caller.kind}", by_agent=False, agent_id="eve"), caller)
    house.clock.advance(after(minutes=11))

    def the_other_reads_too(request: str) -> None:
        if request == "commit":
            house.line.asked = lambda _request: None
            house.perform(ReconcilePresence(keys[1]))

    house.line.asked = the_other_reads_too
    house.perform(ReconcilePresence(keys[0]))
    assert house.status("eve") is PresenceStatus.BUSY


def test_a_lease_that_is_over_takes_no_presence_that_another_emergency_holds(house: House) -> None:
    house.show("eve", PresenceStatus.BUSY)
    dial(house, "eve", TOPIC, "call-2")
    house.end(End(call_id="call-2", by_agent=True, agent_id="eve"), TOPIC)
    house.clock.advance(after(minutes=100))
    dial(house, "eve", MACHINE)
    house.clock.advance(after(minutes=40))
    house.tick()
    assert emergency_of(house, "eve", TOPIC) is None
    assert house.status("eve") is PresenceStatus.DO_NOT_DISTURB


def test_an_unlisted_agent_without_an_emergency_has_no_presence_here(house: House) -> None:
    with pytest.raises(NotAllowed):
        seen(house, "eve", EVE)


def test_the_office_sees_the_newest_under_an_id_or_the_one_it_names(house: House) -> None:
    dial(house, "eve", MACHINE)
    first = emergency_of(house, "eve", MACHINE)
    house.end(End(call_id="call-1", by_agent=True), MACHINE)
    assert panel_mode(house, "eve", office()) is Mode.NORMAL
    dial(house, "EVE", EVE, "call-2")
    assert first is not None
    old, _ = house.calling.show_panel("eve", caller=office(), deadline=house.within(), emergency=first.live_id)
    assert old.mode is Mode.NORMAL and old.callback_number == first.legs[0].number


def test_the_presence_that_the_office_means_is_that_of_the_one_it_names(house: House) -> None:
    dial(house, "eve", MACHINE)
    first = emergency_of(house, "eve", MACHINE)
    assert first is not None
    house.clock.advance(after(seconds=5))
    dial(house, "EVE", EVE, "call-2")
    newest, named, gone = (
        house.calling.whose_presence("eve", caller=office(), deadline=house.within(), emergency=name).key
        for name in (None, first.live_id, "of an hour ago")
    )
    assert named == first.agent_key and newest not in {named, gone}


def test_what_the_office_does_to_an_emergency_of_before_does_nothing_to_the_next(house: House) -> None:
    dial(house, "dana", DANA)
    release = partial(house.calling.release_presence, "dana", caller=office(), legs=True)
    release(emergency="of an hour ago")
    assert panel_mode(house, "dana", DANA) is Mode.EMERGENCY
    shown, _ = house.calling.show_panel("dana", caller=office(), deadline=house.within(), emergency="of an hour ago")
    assert shown.mode is Mode.EMERGENCY, "of a listed agent there is one panel"
    current = house.emergency("dana")
    assert current is not None
    release(emergency=current.live_id)
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL


# One answer for whatever is not their own


@pytest.mark.parametrize("victim", ["dana", "eve", "nobody", "ben"])
def test_an_agent_gets_one_answer_for_whatever_is_not_their_own(house: House, victim: str) -> None:
    stranger = person("stranger")
    dial(house, "dana", DANA)
    dial(house, "eve", MACHINE, "call-2")
    for _ in range(2):
        with pytest.raises(NotAllowed):
            panel_mode(house, victim, stranger)
        with pytest.raises(NotAllowed):
            house.calling.release_presence(victim, caller=stranger)
        with pytest.raises(NotAllowed):
            house.calling.require_own(victim, caller=stranger, deadline=house.within())
        with pytest.raises(NotAllowed):
            house.calling.whose_presence(victim, caller=stranger, deadline=house.within())
        # Once they have an emergency of their own it is no different.
        dial(house, "stranger's own id", stranger, "call-3")


ASKED: dict[str, Callable[[House, str, str, Caller], object]] = {
    "panel": lambda house, agent_id, _, who: panel_mode(house, agent_id, who),
    "release": lambda house, agent_id, _, who: house.calling.release_presence(agent_id, caller=who),
    "desktops": lambda house, agent_id, _, who: house.calling.require_own(
        agent_id, caller=who, deadline=house.within()
    ),
    "presence": lambda house, agent_id, _, who: house.calling.whose_presence(
        agent_id, caller=who, deadline=house.within()
    ),
    "tie": lambda house, _, call_id, who: house.tie(call_id, "server-1", who),
    "end": lambda house, _, call_id, who: house.end(End(call_id=call_id, by_agent=True), who),
}


@pytest.mark.parametrize("listed", [False, True], ids=["an unlisted agent", "a listed agent"])
@pytest.mark.parametrize("asked", ASKED)
def test_what_is_read_for_whoever_is_not_ones_own_tells_nothing_by_its_time(
    house: House, asked: str, *, listed: bool
) -> None:
    line = TableLine(house.directory_table)
    house.directory = AgentTable(line, house.clock)
    if listed:
        house.add_agent(Agent(agent_id="stranger", entra_object_id="stranger"))
    dial(house, "dana", DANA)
    dial(house, "eve", MACHINE, "call-2")
    requests: list[str] = []
    house.line.asked = line.asked = requests.append
    told: dict[str, list[str]] = {}
    for agent_id, call_id in (("ben", "first"), ("dana", "call-1"), ("eve", "call-2"), ("nobody", "never dialled")):
        requests.clear()
        with suppress(NotAllowed):
            ASKED[asked](house, agent_id, call_id, person("stranger"))
        told[agent_id] = list(requests)
    # The first one reads what is remembered for the others.
    del told["ben"]
    assert told["dana"] == told["eve"] == told["nobody"]


@pytest.mark.parametrize("call_id", ["call-1", "call-2", "never dialled"])
def test_an_end_or_a_tie_of_what_is_not_their_own_tells_and_changes_nothing(house: House, call_id: str) -> None:
    dial(house, "dana", DANA)
    dial(house, "eve", MACHINE, "call-2")
    stranger = person("stranger")
    assert not house.end(End(call_id=call_id, by_agent=True), stranger).known
    with pytest.raises(NotAllowed):
        house.calling.tie_call(call_id, "server-1", caller=stranger)
    assert panel_mode(house, "dana", DANA) is Mode.EMERGENCY
    assert panel_mode(house, "eve", MACHINE) is Mode.EMERGENCY
    with pytest.raises(NotFound):
        house.calling.tie_call("never dialled", "server-1", caller=MACHINE)


def test_an_end_kept_for_another_s_call_id_is_that_of_the_late_start_of_one_s_own(house: House) -> None:
    dial(house, "dana", DANA)
    assert not house.end(End(call_id="call-1", by_agent=False), EVE).known
    answer = dial(house, "eve", EVE)
    assert answer.callback_number and answer.panel.mode is Mode.NORMAL, "it ended before it was reported"
    assert panel_mode(house, "dana", DANA) is Mode.EMERGENCY


def test_an_end_that_names_another_agent_goes_round_nothing(house: House) -> None:
    dial(house, "dana", DANA)
    assert not house.end(End(call_id="call-1", by_agent=True, agent_id="someone else"), MACHINE).known
    assert house.end(End(call_id="call-1", by_agent=True, agent_id="DANA "), MACHINE).known


# What a machine may say of calls whose id others have too


def test_a_call_of_the_same_id_takes_no_end_and_no_tie_from_a_machine(house: House) -> None:
    dial(house, "dana", MACHINE)
    # Whoever signed in and heard of the id: outside the directory, and in it.
    house.add_agent(Agent(agent_id="mallory", entra_object_id="mallory"))
    dial(house, "x", EVE)
    dial(house, "mallory", person("mallory"))
    house.calling.tie_call("call-1", "server-1", caller=MACHINE)
    emergency = house.emergency("dana")
    assert emergency is not None and emergency.legs[0].claims == (key_of("server-1"),)
    assert house.end(End(call_id="call-1", by_agent=True), MACHINE).known
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL
    assert panel_mode(house, "x", EVE) is panel_mode(house, "mallory", person("mallory")) is Mode.EMERGENCY


def test_of_calls_that_two_machines_gave_one_id_each_means_its_own(house: House) -> None:
    dial(house, "dana", MACHINE)
    dial(house, "ben", OTHER_MACHINE)
    house.end(End(call_id="call-1", by_agent=True), OTHER_MACHINE)
    assert panel_mode(house, "dana", MACHINE) is Mode.EMERGENCY
    assert panel_mode(house, "ben", MACHINE) is Mode.NORMAL


def test_a_machine_says_whom_it_means_where_nothing_tells_its_calls_apart(house: House) -> None:
    dial(house, "dana", MACHINE)
    dial(house, "ben", MACHINE)
    with pytest.raises(Malformed):
        house.end(End(call_id="call-1", by_agent=True), MACHINE)
    assert house.end(End(call_id="call-1", by_agent=True, agent_id="ben"), MACHINE).known
    assert panel_mode(house, "dana", MACHINE) is Mode.EMERGENCY


def test_an_event_of_a_third_source_means_a_machines_call_before_a_strangers(house: House) -> None:
    dial(house, "dana", MACHINE)
    dial(house, "x", EVE)
    house.end(End(call_id="call-1", by_agent=True), TOPIC)
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL


@pytest.mark.parametrize("owner", [MACHINE, EVE], ids=["another machine's", "an agent's"])
def test_what_an_emergency_outside_the_directory_is_kept_under_is_nobodys_id(house: House, owner: Caller) -> None:
    dial(house, "eve", owner)
    name = owner.owner if owner is EVE else f"{owner.owner}|eve"
    assert key_of(name) == unlisted_key("eve", owner.owner)
    assert panel_mode(house, name, OTHER_MACHINE) is Mode.NORMAL
    with pytest.raises(NotAllowed):
        panel_mode(house, name, person("stranger"))
    assert not house.end(End(call_id="call-1", by_agent=True, agent_id=name), OTHER_MACHINE).known
    assert panel_mode(house, "eve", owner) is Mode.EMERGENCY


# Ends that come before their starts


@pytest.mark.parametrize("claimed", ["dana", "eve"], ids=["listed", "unlisted"])
def test_a_strangers_end_of_an_unknown_call_is_believed_of_nobody_else(house: House, claimed: str) -> None:
    house.end(End(call_id="call-1", by_agent=True), person("stranger"))
    assert dial(house, claimed, MACHINE).panel.mode is Mode.EMERGENCY


@pytest.mark.parametrize(("claimed", "caller"), [("dana", DANA), ("eve", EVE)], ids=["listed", "unlisted"])
def test_an_agents_own_end_is_that_of_the_call_which_a_machine_reports_of_them(
    house: House, claimed: str, caller: Caller
) -> None:
    house.end(End(call_id="call-1", by_agent=True), caller)
    answer = dial(house, claimed, MACHINE, entra_object_id=caller.name)
    assert answer.panel.mode is Mode.NORMAL


def test_ends_of_whom_nobody_knows_take_no_place_from_a_listed_agents(house: House) -> None:
    for n in range(MAX_EARLY_ENDS_OF_A_MACHINE_A_WINDOW):
        house.end(End(call_id=f"unheard-of-{n}", by_agent=True, agent_id=f"{n}"), MACHINE)
    for agent_id in ("nobody", "dana"):
        house.end(End(call_id=agent_id, by_agent=True, agent_id=agent_id), MACHINE)
    assert dial(house, "nobody", MACHINE, "nobody").panel.mode is Mode.EMERGENCY, "it was one too many"
    assert dial(house, "dana", MACHINE, "dana").panel.mode is Mode.NORMAL


def test_a_listed_agent_has_so_many_ends_of_unknown_calls_as_who_signs_in(house: House) -> None:
    for n in range(MAX_EARLY_ENDS_A_WINDOW + 1):
        house.end(End(call_id=f"call-{n}", by_agent=True, agent_id="dana"), MACHINE)
    kept = [key for key in house.rows() if key.startswith("call|")]
    assert len(kept) == MAX_EARLY_ENDS_A_WINDOW


def test_an_end_for_one_agent_is_that_of_no_other_whose_call_has_the_same_id(house: House) -> None:
    house.show("dana", PresenceStatus.AVAILABLE)
    house.end(End(call_id="call-1", by_agent=True, agent_id="ben"), MACHINE)
    for _ in range(2):
        assert dial(house, "dana", DANA).panel.mode is Mode.EMERGENCY
        assert seen(house, "dana", DANA) is PresenceStatus.DO_NOT_DISTURB
    assert dial(house, "ben", MACHINE).panel.mode is Mode.NORMAL, "it is still that of the one whom it named"


def ends(house: House) -> list[str]:
    return [key for key in house.rows() if key.startswith("call|")]


@pytest.mark.parametrize("first", ["ben", "dana"])
def test_ends_for_two_agents_are_the_ends_of_both_calls_and_taken_by_them(house: House, first: str) -> None:
    for agent_id in ("ben", "dana", "ben"):
        house.end(End(call_id="call-1", by_agent=True, agent_id=agent_id), MACHINE)
    assert len(ends(house)) == 2
    for agent_id in (first, *({"ben", "dana"} - {first})):
        assert dial(house, agent_id, MACHINE).panel.mode is Mode.NORMAL
    assert len(ends(house)) == 2, "each is its call's own row, or gone"
    assert not [key for key in house.rows() if key.startswith("bare|") and "|call|" in key]


@pytest.mark.parametrize("stranger", [person("stranger"), DANA], ids=["strange", "ben's as told by dana"])
def test_a_machines_end_keeps_what_an_agent_said_and_the_start_takes_both(house: House, stranger: Caller) -> None:
    house.end(End(call_id="call-1", by_agent=True), stranger)
    house.end(End(call_id="call-1", by_agent=True, agent_id="ben"), MACHINE)
    dial(house, "ben", MACHINE)
    assert panel_mode(house, "ben", office()) is Mode.NORMAL
    dial(house, "dana", DANA)
    expected = Mode.NORMAL if stranger is DANA else Mode.EMERGENCY
    assert panel_mode(house, "dana", DANA) is expected


def test_every_end_of_a_call_is_taken_by_its_start_and_ends_no_later_one(house: House) -> None:
    house.end(End(call_id="call-1", by_agent=False), DANA)
    house.end(End(call_id="call-1", by_agent=True, agent_id="dana"), MACHINE)
    house.end(End(call_id="call-1", by_agent=False), OTHER_MACHINE)
    assert dial(house, "dana", DANA).panel.mode is Mode.NORMAL
    emergency = house.emergency("dana")
    assert emergency is not None and emergency.legs[0].reported_end is not None
    assert emergency.legs[0].reported_end.by_agent, "the agent wins in any order"
    assert dial(house, "ben", MACHINE).panel.mode is Mode.EMERGENCY
    assert len(ends(house)) == 2


def test_an_end_that_changes_while_its_start_is_recorded_is_read_again(house: House) -> None:
    table = OvertakenCalls()
    house = House(table=table)
    house.add_agent(Agent(agent_id="dana", country="US"))
    house.end(End(call_id="call-1", by_agent=False), person("stranger"))
    house.end(End(call_id="call-1", by_agent=False, agent_id="dana"), MACHINE)
    table.meanwhile = lambda: house.end(End(call_id="call-1", by_agent=True, agent_id="dana"), MACHINE)
    dial(house, "dana", MACHINE)
    emergency = house.emergency("dana")
    assert emergency is not None and emergency.legs[0].reported_end is not None
    assert emergency.legs[0].reported_end.by_agent


@pytest.mark.parametrize("begins_first", [True, False], ids=["the start first", "the end first"])
@pytest.mark.parametrize(
    ("named", "ended_by", "ends_it"),
    [("dana", MACHINE, True), ("x", MACHINE, True), ("x", OTHER_MACHINE, False), ("ben", MACHINE, False)],
)
def test_whose_end_it_is_depends_on_no_order(
    house: House, named: str, ended_by: Caller, ends_it: bool, begins_first: bool
) -> None:
    happens: list[Callable[[], object]] = [
        lambda: dial(house, "x", MACHINE, entra_object_id=DANA_OBJECT),
        lambda: house.end(End(call_id="call-1", by_agent=True, agent_id=named), ended_by),
    ]
    for each in happens if begins_first else reversed(happens):
        each()
    assert panel_mode(house, "dana", DANA) is (Mode.NORMAL if ends_it else Mode.EMERGENCY)


@pytest.mark.parametrize("begins_first", [True, False], ids=["the start first", "the end first"])
@pytest.mark.parametrize(
    ("named", "ended_by", "ends_it"),
    [
        ("eve", MACHINE, True),
        ("eve", OTHER_MACHINE, False),
        (f"{MACHINE.owner}|eve", OTHER_MACHINE, False),
        (EVE_OBJECT, MACHINE, False),
    ],
)
def test_whose_end_of_an_unlisted_agents_call_it_is_depends_on_no_order(
    house: House, named: str, ended_by: Caller, ends_it: bool, begins_first: bool
) -> None:
    happens: list[Callable[[], object]] = [
        lambda: dial(house, "eve", MACHINE),
        lambda: house.end(End(call_id="call-1", by_agent=True, agent_id=named), ended_by),
    ]
    for each in happens if begins_first else reversed(happens):
        each()
    assert panel_mode(house, "eve", MACHINE) is (Mode.NORMAL if ends_it else Mode.EMERGENCY)


@pytest.mark.parametrize(("named", "is_over"), [("dana", True), ("ben", False)])
def test_a_dial_that_an_outage_answered_is_not_over_by_an_end_for_another(
    house: House, named: str, is_over: bool
) -> None:
    house.line.away = True
    dial(house, "dana", DANA)
    house.line.away = False
    house.end(End(call_id="call-1", by_agent=True, agent_id=named), MACHINE)
    assert panel_mode(house, "dana", DANA) is (Mode.NORMAL if is_over else Mode.EMERGENCY)


# In an outage


def test_in_an_outage_the_own_panel_is_shown_and_no_other(house: House) -> None:
    house.line.away = True
    answer = dial(house, "eve", EVE)
    assert answer.degraded and answer.agent_id == "eve"
    assert panel_mode(house, "eve", EVE) is Mode.EMERGENCY
    for caller in (office(), MACHINE, person("stranger")):
        # Nobody could look up whether whoever dialled is the one whom they name.
        with pytest.raises(Unavailable):
            panel_mode(house, "eve", caller)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Jane", "jane ", True),
        ("JANE  DOE", "jane doe", True),
        ("\uff4a\uff41\uff4e\uff45", "jane", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("stra\u00dfe", "STRASSE", True),
        ("j\u200bane", "jane", True),
        ("2026-11-20T21:00:00Z", "2026-11-20T23:00:00+02:00", True),
        # Another letter is another id: it is told as claimed, and is nobody of the directory.
        ("j\u0430ne", "jane", False),
        ("jane1", "jane", False),
    ],
)
def test_ids_are_compared_in_one_form(one: str, other: str, same: bool) -> None:
    assert same_agent(one, other) is same


def test_whoever_names_another_learns_nothing_of_where_that_one_is(house: House) -> None:
    house.add_agent(Agent(agent_id="eve", entra_object_id=EVE_OBJECT, country="US", address="9 Sample Road"))
    where = Location(address="1 Secret Example Street", latitude=47.6, longitude=-122.1)
    report = DesktopReport(desktop_id="desk-of-dana", location=where, network="192.0.2.7")
    house.calling.report_desktop("dana", report, deadline=house.within())
    for call_id, desktop_id in (("call-1", None), ("call-2", "desk-of-dana")):
        say = dial(house, "dana", EVE, call_id, desktop_id=desktop_id).panel.say
        assert say is not None and (say.address, say.latitude) == ("9 Sample Road", None)


def test_the_own_desktop_counts_whomever_they_name(house: House) -> None:
    report = DesktopReport(desktop_id="desk-of-dana", location=Location(address="2 Sample Road"))
    house.calling.report_desktop("dana", report, deadline=house.within())
    say = dial(house, "somebody else", DANA, desktop_id="desk-of-dana").panel.say
    assert say is not None and say.address == "2 Sample Road"


def test_in_an_outage_whoever_names_another_holds_not_the_presence_of_that_one(house: House) -> None:
    line = TableLine(MemoryTable())
    house.directory = AgentTable(line, house.clock)
    house.add_agent(Agent(agent_id="dana", entra_object_id=DANA_OBJECT, country="US"))
    house.show("dana", PresenceStatus.AVAILABLE)
    assert house.directory.find("dana", house.within()).result() is not None
    # The entry is remembered, and says that it is not theirs; nobody can look up which one is.
    line.away = house.line.away = True
    answer = dial(house, "dana", EVE, "call-2")
    assert answer.degraded and answer.agent_id == EVE_OBJECT
    assert house.status("dana") is PresenceStatus.AVAILABLE


# Whoever is entered or removed in the middle of their emergency

EVES = Agent(agent_id="eve", entra_object_id=EVE_OBJECT, country="US", emergency_contacts=("guard@example.com",))


@pytest.mark.parametrize("claimed", ["eve", "ben", "somebody"])
def test_who_is_entered_in_the_middle_of_their_emergency_goes_on_with_it(house: House, claimed: str) -> None:
    first = dial(house, claimed, EVE)
    house.add_agent(EVES)
    for agent_id in ("eve", first.agent_id):
        assert panel_mode(house, agent_id, EVE) is Mode.EMERGENCY, "hold and transfer stay away (S5)"
    assert panel_mode(house, "eve", office()) is Mode.EMERGENCY
    assert seen(house, "eve", EVE) is PresenceStatus.DO_NOT_DISTURB
    repeated = dial(house, claimed, EVE)
    assert (repeated.known, repeated.callback_number) == (True, first.callback_number), "one emergency"
    again = dial(house, "eve", EVE, "call-2")
    assert (again.known, again.callback_number, again.agent_id) == (False, first.callback_number, "eve")
    for call_id in ("call-1", "call-2"):
        assert house.end(End(call_id=call_id, by_agent=True), EVE).known
    assert panel_mode(house, "eve", EVE) is Mode.NORMAL


def test_of_whom_a_machine_speaks_goes_on_with_their_emergency_when_entered(house: House) -> None:
    first = dial(house, "eve", MACHINE)
    house.add_agent(EVES)
    assert panel_mode(house, "eve", MACHINE) is panel_mode(house, "eve", office()) is Mode.EMERGENCY
    assert dial(house, "eve", MACHINE, "call-2").callback_number == first.callback_number
    assert panel_mode(house, "eve", EVE) is Mode.NORMAL, "a machine's word is no agent's own"


def test_any_machine_speaks_for_one_who_is_entered_in_the_middle_of_their_emergency(house: House) -> None:
    first = dial(house, "eve", MACHINE)
    house.add_agent(EVES)
    assert panel_mode(house, "eve", OTHER_MACHINE) is Mode.EMERGENCY
    assert dial(house, "eve", OTHER_MACHINE, "call-2").callback_number == first.callback_number
    assert house.end(End(call_id="call-1", agent_id="eve", by_agent=True), OTHER_MACHINE).known
    assert house.end(End(call_id="call-2", agent_id="eve", by_agent=True), TOPIC).known
    assert panel_mode(house, "eve", MACHINE) is Mode.NORMAL


def test_of_another_agent_who_claimed_the_id_no_machine_speaks_after_the_entry(house: House) -> None:
    dial(house, "eve", BEN)
    house.add_agent(EVES)
    assert panel_mode(house, "eve", MACHINE) is Mode.NORMAL
    assert not house.end(End(call_id="call-1", agent_id="eve", by_agent=True), TOPIC).known
    assert not house.end(End(call_id="call-1", agent_id="eve", by_agent=True), MACHINE).known


def test_who_is_removed_in_the_middle_of_their_emergency_goes_on_with_it(house: House) -> None:
    first = dial(house, "dana", DANA)
    house.calling.remove_agent("dana", None, deadline=house.within())
    assert panel_mode(house, "dana", DANA) is Mode.EMERGENCY
    with pytest.raises(NotAllowed):
        panel_mode(house, "dana", EVE)
    assert seen(house, "dana", DANA) is PresenceStatus.DO_NOT_DISTURB
    assert dial(house, "dana", DANA).known, "one emergency"
    for call_id, caller in (("call-2", DANA), ("call-3", MACHINE)):
        again = dial(house, "dana", caller, call_id)
        assert (again.callback_number, again.agent_id) == (first.callback_number, "dana")
    assert dial(house, "dana", EVE, "call-4").callback_number != first.callback_number
    for call_id in ("call-1", "call-2", "call-3"):
        assert house.end(End(call_id=call_id, by_agent=True), DANA).known
    assert panel_mode(house, "dana", DANA) is Mode.NORMAL


def test_an_emergency_before_the_entry_is_looked_for_where_there_may_be_one(house: House) -> None:
    asked: list[str] = []
    house.add_agent(EVES)
    assert panel_mode(house, "eve", EVE) is Mode.NORMAL
    house.line.asked = asked.append
    panel_mode(house, "eve", EVE)
    assert len(asked) == 1, "nobody outside had an emergency when they were entered"
