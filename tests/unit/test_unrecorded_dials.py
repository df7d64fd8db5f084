"""A dial that was answered without the store, which can be read again but has not recorded it yet (S5, S6, B12)."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from shared.adapters.outage_memory import OutageMemory
from shared.adapters.table import Write
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.confidentiality import EMERGENCY, ORDINARY, PRIVATE
from shared.domain.dials import Dial
from shared.domain.errors import NotAllowed, NotAnEmergency, Unavailable
from shared.domain.panels import Banner, Mode, Panel
from shared.use_cases.answer_dial import Answer
from shared.use_cases.end_call import End
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import FALLBACK, House, TableLine, after, everybody, office, person
from tests.fakes.memory_table import MemoryTable

ANA = Dial(call_id="ana/1", agent_id="ana", dialled="911", country="US")
ANAS_ACS, EVES_ACS = "8:acs:r_ana", "8:acs:r_eve"
EVES_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201ee"
ANAS_OWN, EVE = person("object-of-ana"), person("object-of-eve")


class ReadOnlyTable(MemoryTable):
    """A table that answers, but takes nothing."""

    takes = True

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        if not self.takes:
            raise Unavailable
        return super().commit(writes, deadline)


class ReadOnlyHouse(House):
    """A deployment of one listed agent; the store takes nothing while it is `shut`."""

    def __init__(self) -> None:
        self.store = ReadOnlyTable()
        super().__init__(table=self.store)
        self.add_agent(Agent(agent_id="ana", entra_object_id=ANAS_OWN.name, acs_user_ids=(ANAS_ACS,)))
        self.tick()

    def shut(self, *, opened: bool = False) -> None:
        self.store.takes = opened

    def other_process_records(self, dial: Dial, caller: Caller | None = None) -> Answer:
        """Another one, which has a memory of its own."""
        own, self.outage = self.outage, OutageMemory(self.clock, self.deployment.rules.window)
        self.shut(opened=True)
        answer = self.dial(dial, caller)
        self.outage = own
        return answer


@pytest.fixture
def house() -> ReadOnlyHouse:
    return ReadOnlyHouse()


def panel(house: House, agent_id: str, caller: Caller) -> Panel:
    return house.calling.show_panel(agent_id, caller=caller, deadline=house.within())[0]


@pytest.mark.parametrize("caller", [ANAS_OWN, office(), everybody()])
def test_a_degraded_answers_panel_stays_while_the_store_can_be_read_only(house: ReadOnlyHouse, caller: Caller) -> None:
    house.shut()
    answer = house.dial(ANA)
    assert answer.degraded and answer.panel.callback_number == FALLBACK
    assert panel(house, "ana", caller) == answer.panel
    house.shut(opened=True)
    house.repeats.do_again()
    recorded = panel(house, "ana", caller)
    assert (recorded.mode, recorded.callback_number) == (Mode.EMERGENCY, house.dial(ANA).callback_number)


def test_a_listed_agents_own_panel_shows_what_was_reported_of_them_while_nothing_can_be_read(
    house: ReadOnlyHouse,
) -> None:
    line = TableLine(house.directory_table)
    house.directory = type(house.directory)(line, house.clock)
    assert panel(house, "ana", ANAS_OWN).mode is Mode.NORMAL, "by then this process has read the entry"
    house.line.away = True
    answer = house.dial(ANA)
    for line.away in (False, True):
        house.clock.advance(after(minutes=2))
        assert panel(house, "ana", ANAS_OWN) == panel(house, "ana", everybody()) == answer.panel
        with pytest.raises((NotAllowed, Unavailable)):
            panel(house, "ana", EVE)


def test_by_an_id_of_before_their_entry_an_agent_is_shown_no_others_dial(house: ReadOnlyHouse) -> None:
    house.dial(Dial(call_id="eve/1", agent_id="eve", dialled="911", country="US"), EVE)
    house.end(End(call_id="eve/1", by_agent=True), EVE)
    house.add_agent(Agent(agent_id="eva", entra_object_id=EVE.name))
    house.shut()
    house.dial(Dial(call_id="another's", agent_id="eve", dialled="911", country="US"))
    assert panel(house, "eve", office()).mode is Mode.EMERGENCY
    assert panel(house, "eve", EVE).mode is panel(house, "eva", EVE).mode is Mode.NORMAL


def test_so_it_does_after_an_earlier_drop(house: ReadOnlyHouse) -> None:
    house.dial(ANA)
    house.end(End(call_id="ana/1", by_agent=False, agent_id="ana"))
    assert panel(house, "ana", office()).controls[0] == "call_again"
    house.shut()
    answer = house.dial(structs.replace(ANA, call_id="ana/2"))
    assert panel(house, "ana", office()) == answer.panel


def test_a_leg_that_the_store_knows_to_be_in_progress_is_shown_with_its_own_number(house: ReadOnlyHouse) -> None:
    known = house.dial(ANA)
    house.shut()
    house.dial(structs.replace(ANA, call_id="ana/2"))
    assert panel(house, "ana", office()) == known.panel


def test_a_test_in_progress_hides_no_real_call(house: ReadOnlyHouse) -> None:
    house.dial(structs.replace(ANA, dialled="933"))
    house.shut()
    answer = house.dial(structs.replace(ANA, call_id="ana/2"))
    assert panel(house, "ana", office()) == answer.panel
    house.dial(structs.replace(ANA, call_id="ana/3", dialled="933"))
    assert panel(house, "ana", office()).banner is Banner.EMERGENCY_IN_PROGRESS


def test_what_is_no_emergency_by_the_entry_is_none_on_the_panel(house: ReadOnlyHouse) -> None:
    house.deployment = structs.replace(house.deployment, countries=frozenset({"US", "GB"}))
    house.add_agent(Agent(agent_id="una", country="US"))
    dial = Dial(call_id="una/1", agent_id="una", dialled="999")
    house.line.away = True
    assert house.dial(dial).degraded
    house.line.away = False
    with pytest.raises(NotAnEmergency):
        house.dial(dial)
    assert panel(house, "una", office()).mode is Mode.NORMAL


def test_a_dial_that_is_recorded_under_an_entry_stays_on_no_other_ids_panel(house: ReadOnlyHouse) -> None:
    otto, maria = person("object-of-otto"), person("object-of-maria")
    for name in ("otto", "maria"):
        house.add_agent(Agent(agent_id=name, entra_object_id=f"object-of-{name}"))
    # So that this process knows by itself whose entry that is.
    house.dial(Dial(call_id="maria/1", agent_id="maria", dialled="911", country="US"), maria)
    dial = structs.replace(ANA, call_id="otto/1", agent_id="maria")
    house.line.away = True
    answered_as = house.dial(dial, otto).agent_id
    house.line.away = False
    assert (answered_as, house.dial(dial, otto).agent_id) == ("object-of-otto", "otto")
    with pytest.raises(NotAllowed):
        panel(house, answered_as, otto)


def test_a_responder_who_rings_meanwhile_can_be_answered_beside_the_call(house: ReadOnlyHouse) -> None:
    number = house.dial(ANA).callback_number
    house.end(End(call_id="ana/1", by_agent=False, agent_id="ana"))
    house.responder_calls(number)
    house.shut()
    house.dial(structs.replace(ANA, call_id="ana/2"))
    assert panel(house, "ana", office()).controls == ("answer", "device_settings", "end_call")


def test_an_earlier_dial_that_is_recorded_first_takes_no_later_one_from_the_panel(house: ReadOnlyHouse) -> None:
    house.shut()
    house.dial(ANA)
    answer = house.dial(structs.replace(ANA, call_id="ana/2"))
    house.shut(opened=True)
    house.end(End(call_id="ana/1", by_agent=True, agent_id="ana"))
    assert not house.dial(ANA).degraded
    house.shut()
    assert panel(house, "ana", office()) == answer.panel


def test_an_unlisted_agent_goes_by_the_id_that_they_were_answered_with(house: ReadOnlyHouse) -> None:
    house.shut()
    answer = house.dial(Dial(call_id="eve/1", agent_id="eve", dialled="911", country="US"), EVE)
    assert panel(house, answer.agent_id, EVE) == answer.panel
    for stranger in (person("object-of-kim"), person("")):
        with pytest.raises(NotAllowed):
            panel(house, answer.agent_id, stranger)


@pytest.mark.parametrize(("agent_id", "caller"), [("ana", everybody()), ("eve", EVE)])
def test_once_its_end_is_known_nobody_is_shown_a_call(house: ReadOnlyHouse, agent_id: str, caller: Caller) -> None:
    house.shut()
    house.dial(Dial(call_id="a call", agent_id=agent_id, dialled="911", country="US"), caller)
    house.shut(opened=True)
    house.end(End(call_id="a call", by_agent=True, agent_id=agent_id), caller)
    assert panel(house, agent_id, caller).mode is Mode.NORMAL


def test_once_another_process_has_recorded_it_the_store_says_how_it_stands(house: ReadOnlyHouse) -> None:
    house.shut()
    with pytest.raises(Unavailable):
        house.dial_by_event(ANA)
    house.other_process_records(ANA)
    house.end(End(call_id="ana/1", by_agent=True, agent_id="ana"))
    assert panel(house, "ana", office()).mode is Mode.NORMAL
    assert house.judge("customers", ANAS_ACS) == EMERGENCY, "its leg is untied"
    house.clock.advance(after(minutes=59))
    house.tick()
    assert panel(house, "ana", office()).mode is Mode.NORMAL


OF_EVE = Dial(call_id="eve/1", agent_id="eve", dialled="911", country="US", entra_object_id=EVES_OBJECT)


@pytest.mark.parametrize("away", [False, True])
def test_an_unlisted_agent_is_shown_what_was_reported_under_their_object_id(
    house: ReadOnlyHouse, *, away: bool
) -> None:
    house.shut()
    house.line.away = away
    answer = house.dial(OF_EVE)
    assert panel(house, "eve", person(EVES_OBJECT.upper())) == answer.panel
    for stranger in (EVE, person("")):
        with pytest.raises((NotAllowed, Unavailable)):
            panel(house, "eve", stranger)


@pytest.mark.parametrize("recorded", [False, True])
def test_what_they_said_of_it_themself_counts(house: ReadOnlyHouse, *, recorded: bool) -> None:
    house.shut()
    house.dial(OF_EVE)
    if recorded:
        house.other_process_records(structs.replace(OF_EVE, entra_object_id=None), person(EVES_OBJECT))
    house.shut(opened=True)
    house.end(End(call_id="eve/1", by_agent=True), person(EVES_OBJECT))
    assert panel(house, "eve", person(EVES_OBJECT)).mode is Mode.NORMAL


def test_a_machine_is_shown_what_another_reported_of_an_unlisted_id_as_little_as_when_it_is_recorded(
    house: ReadOnlyHouse,
) -> None:
    house.shut()
    other = structs.replace(everybody(), name="machine-2")
    house.dial(Dial(call_id="eve/1", agent_id="eve", dialled="911", country="US"), other)
    assert panel(house, "eve", everybody()).mode is Mode.NORMAL
    assert panel(house, "eve", other).mode is panel(house, "eve", office()).mode is Mode.EMERGENCY


def test_a_strangers_call_of_the_same_id_hides_nobodys_own(house: ReadOnlyHouse) -> None:
    house.dial(Dial(call_id="ana/1", agent_id="eve", dialled="911", country="US"), EVE)
    house.shut()
    answer = house.dial(ANA)
    assert panel(house, "ana", office()) == answer.panel


# What recorders are told


def test_what_may_be_a_dial_that_is_not_recorded_is_private(house: ReadOnlyHouse) -> None:
    house.shut()
    house.dial(ANA)
    house.dial(Dial(call_id="eve/1", agent_id="eve", dialled="911", country="US", acs_user_id=EVES_ACS), EVE)
    assert house.judge("unknown", ANAS_ACS) == PRIVATE, "by the directory"
    assert house.judge("unknown", EVES_ACS.upper()) == PRIVATE, "by what the dial says"
    assert house.judge("unknown", "8:acs:r_kim") == house.judge("unknown") == ORDINARY
    house.shut(opened=True)
    house.repeats.do_again()
    assert house.judge("unknown", ANAS_ACS) == house.judge("unknown", EVES_ACS) == EMERGENCY


def test_a_server_call_that_the_dial_names_is_private_whoever_is_said_to_have_begun_it(house: ReadOnlyHouse) -> None:
    house.shut()
    house.dial(structs.replace(ANA, server_call_id="server-1"))
    assert house.judge("server-1") == PRIVATE
    assert house.judge("server-2") == ORDINARY


def test_recorded_by_another_process_it_is_as_any_other(house: ReadOnlyHouse) -> None:
    house.shut()
    with pytest.raises(Unavailable):
        house.dial_by_event(ANA)
    assert house.judge("customers", ANAS_ACS) == PRIVATE
    house.other_process_records(ANA)
    house.see(ServerCall(server_call_id="server-1", starter=ANAS_ACS, at=house.clock.now(), ended=False))
    assert house.judge("server-1", ANAS_ACS) == EMERGENCY
    assert house.judge("customers", ANAS_ACS) == ORDINARY, "the leg is tied"


def test_while_the_directory_cannot_say_whose_softphone_it_is_the_call_is_private(house: ReadOnlyHouse) -> None:
    house.shut()
    house.dial(ANA)
    directory_line = TableLine(house.directory_table)
    house.directory = type(house.directory)(directory_line, house.clock)
    directory_line.away = True
    assert house.judge("unknown", "8:acs:r_kim") == PRIVATE
