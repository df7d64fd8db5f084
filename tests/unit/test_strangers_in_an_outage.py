"""Who speaks for whom where nobody can be asked: in an outage, and beyond one's own line (*who speaks for whom*)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec import structs

from shared.adapters.agent_table import AgentTable
from shared.adapters.outage_memory import MAX_DIALS_REMEMBERED
from shared.adapters.turns import Turns
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind
from shared.domain.dials import Dial
from shared.domain.errors import LineFull, Unavailable
from shared.domain.panels import Mode
from shared.domain.presence import PresenceStatus
from shared.ports import OutageDial, Share
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice, HoldInOutage, MailInOutage
from tests.fakes.house import DEFAULT_CONTACT, House, TableLine, after, everybody, numbers, office, only_agent, person

DANA_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201aa"
EVE_OBJECT = "0f0e0d0c-0b0a-4908-8706-0504030201ee"
DANA, STRANGER, MACHINE = person(DANA_OBJECT), person(EVE_OBJECT), everybody()
GUARD = "guard@example.com"


class ColdHouse(House):
    """A process that has just begun: it knows nobody. Dana is in the directory, and available."""

    def __init__(self) -> None:
        super().__init__(pool=numbers(20))
        self.add_agent(Agent(agent_id="dana", name="Dana", entra_object_id=DANA_OBJECT, emergency_contacts=(GUARD,)))
        self.show("dana", PresenceStatus.AVAILABLE)
        self.tick()
        self.directory_line = TableLine(self.directory_table)
        self.directory = AgentTable(self.directory_line, self.clock)


@pytest.fixture
def house() -> ColdHouse:
    return ColdHouse()


def away(house: ColdHouse, *, back: bool = False) -> None:
    """Table storage is away, and the directory with it."""
    house.line.away = house.directory_line.away = not back


def dial(house: ColdHouse, agent_id: str, caller: Caller, call_id: str = "call-1") -> Answer:
    return house.dial(Dial(call_id=call_id, agent_id=agent_id, dialled="911", country="US"), caller)


def mode(house: ColdHouse, agent_id: str, caller: Caller) -> Mode:
    return house.calling.show_panel(agent_id, caller=caller, deadline=house.within())[0].mode


def owed(house: ColdHouse) -> tuple[list[HoldInOutage], list[MailInOutage]]:
    holds = [each for each in house.owed if isinstance(each, HoldInOutage)]
    return holds, [each for each in house.owed if isinstance(each, MailInOutage)]


def test_in_an_outage_a_stranger_who_names_a_victim_does_nothing_in_their_name(house: ColdHouse) -> None:
    away(house)
    assert dial(house, "dana", STRANGER).degraded
    assert house.status("dana") is PresenceStatus.AVAILABLE
    for caller in (MACHINE, office(), DANA):
        with pytest.raises(Unavailable):
            mode(house, "dana", caller)
    assert mode(house, "dana", STRANGER) is Mode.EMERGENCY, "their own, under the id that they gave"


def test_a_team_lead_who_dialled_as_an_agent_has_a_panel_in_an_outage(house: ColdHouse) -> None:
    """A dial is for agents, a panel for the office too: the wider of their roles asks for it."""
    lead, other = (Caller(kind=CallerKind.OFFICE, name=name) for name in (DANA_OBJECT.upper(), EVE_OBJECT))
    away(house)
    dial(house, "dana", DANA)
    assert mode(house, "dana", lead) is Mode.EMERGENCY
    for caller in (other, MACHINE):
        with pytest.raises(Unavailable):
            mode(house, "dana", caller)
    dial(house, "dana", MACHINE, "call-2")
    assert mode(house, "dana", other) is Mode.EMERGENCY, "what is known to be hers, everybody of the office"


def test_what_a_stranger_claims_in_an_outage_is_mailed_as_claimed(house: ColdHouse) -> None:
    house.performs = False
    away(house)
    dial(house, "dana", STRANGER)
    [hold], [mail] = owed(house)
    assert mail.notice.claimed and mail.notice.recipients == (DEFAULT_CONTACT,)
    assert (hold.presence_id, hold.object_id) == (EVE_OBJECT, EVE_OBJECT)


@pytest.mark.parametrize("caller", [DANA, only_agent("dana")], ids=["object id", "agent id"])
def test_an_agent_whom_the_process_does_not_know_has_mail_panel_and_presence_of_their_own(
    house: ColdHouse, caller: Caller
) -> None:
    house.performs = False
    away(house)
    answer = dial(house, "dana", caller)
    assert (answer.degraded, answer.agent_id, answer.notified) == (True, "dana", 1)
    assert mode(house, "dana", caller) is Mode.EMERGENCY
    [hold], [mail] = owed(house)
    assert hold.presence_id in (caller.agent_id, DANA_OBJECT)
    assert mail.notice.claimed


def test_one_whom_the_process_knew_is_known_through_a_long_outage(house: ColdHouse) -> None:
    house.performs = False
    assert house.calling.find_me(DANA, deadline=house.within()) is not None
    house.pause(300)
    away(house)
    answer = dial(house, "somebody else", DANA)
    assert (answer.degraded, answer.agent_id, answer.ignored) == (True, "dana", ("agent_id",))
    [hold], [mail] = owed(house)
    assert (hold.presence_id, mail.notice.claimed, mail.notice.agent_name) == ("dana", False, "Dana")


def test_what_was_answered_in_an_outage_is_theirs_once_the_store_is_back(house: ColdHouse) -> None:
    away(house)
    dial(house, "dana", DANA)
    away(house, back=True)
    [again] = house.repeats.kept.values()
    assert again() and house.status("dana") is PresenceStatus.DO_NOT_DISTURB
    assert mode(house, "dana", DANA) is Mode.EMERGENCY
    assert len(house.presence_rows.keys()) == 1, "nothing is left under the object id"


class FullLine(Turns):
    """So much of everybody's waits that nobody may come to stand in line."""

    @contextmanager
    def turn(
        self, principal: str | None = None, *, sender: str | None = None, share: Share | None = None
    ) -> Iterator[bool]:
        if share is not None:
            raise LineFull
        yield True


def test_beyond_the_own_line_nothing_is_done_in_anybodys_name_and_it_is_reported_again(house: ColdHouse) -> None:
    house.performs = False
    full = structs.replace(house.calling, dials=FullLine(1))
    answer = full.start_call(Dial(call_id="call-1", agent_id="dana", dialled="911", country="US"), caller=STRANGER)
    assert answer.degraded and owed(house) == ([], [])
    assert house.telemetry.count("line_full") == 1 and not house.telemetry.count("store_away")
    assert list(house.repeats.kept)
    house.calling.start_call(Dial(call_id="call-1", agent_id="dana", dialled="911", country="US"), caller=STRANGER)
    assert house.emergency("dana") is None
    assert sum(isinstance(each, DeliverNotice) for each in house.owed) == 1, "what was not mailed took no ration"


def test_a_machine_beyond_its_line_has_for_each_what_an_outage_gives(house: ColdHouse) -> None:
    house.performs = False
    full = structs.replace(house.calling, dials=FullLine(1))
    answer = full.start_call(Dial(call_id="call-1", agent_id="dana", dialled="911", country="US"), caller=MACHINE)
    assert answer.degraded and [len(each) for each in owed(house)] == [1, 1]


def test_an_outage_gives_no_ration_on_top(house: ColdHouse) -> None:
    for n in range(5):
        assert not dial(house, "eve", STRANGER, f"a-{n}").degraded
    house.performs = False
    house.line.away = True
    for n in range(5):
        dial(house, "eve", STRANGER, f"b-{n}")
    assert owed(house)[1] == []
    house.line.away = False
    house.owed.clear()
    house.pause(600)
    house.line.away = True
    for n in range(5):
        dial(house, "eve", STRANGER, f"c-{n}")
    assert len(owed(house)[1]) == 5
    house.line.away = False
    for n in range(5):
        dial(house, "eve", STRANGER, f"d-{n}")
    at_once = [each for each in house.owed if isinstance(each, DeliverNotice) and each.granted_at is None]
    assert at_once == [], "owed, later"


def test_a_flood_in_an_outage_pushes_out_what_the_flood_dialled(house: ColdHouse) -> None:
    memory, now = house.outage, house.clock.now()
    until = now + after(minutes=60)
    flood, victim = (
        OutageDial(agent_key=by, call_key="call-1", expires_at=until, test=False, by=by) for by in ("eve", "dana")
    )
    memory.dialled("dana", victim)
    for number in range(MAX_DIALS_REMEMBERED + 5):
        memory.dialled(f"eve-{number}", flood)
    assert memory.dialling("dana", now, "dana") == victim
    assert memory.dialling("eve-0", now, "eve") is None
    assert memory.dialling(f"eve-{MAX_DIALS_REMEMBERED + 4}", now, "eve") == flood
