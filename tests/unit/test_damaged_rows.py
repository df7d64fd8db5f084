"""An agent of whom a row is damaged stops no message, and nothing of whoever shares a number or a call with them."""

from datetime import timedelta

import pytest
from msgspec import structs

from shared.adapters.agent_table import AgentTable
from shared.adapters.emergency_rows import agent_row
from shared.adapters.table import Put
from shared.domain.agents import Agent
from shared.domain.callbacks import Joined, Over
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.ids import agent_key_of
from shared.domain.panels import Mode
from shared.use_cases.continue_callback import MidCall
from shared.use_cases.end_call import End
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import House, numbers, only_agent

BOTH = ("ana", "ben")


def identity_of(name: str) -> str:
    return f"8:acs:resource_{name}"


def contact_of(name: str) -> str:
    return f"{name}-kin@example.com"


def house_with(*, closing_notices: bool) -> House:
    """Both have dropped a call, and share the one number that there is."""
    house = House(pool=numbers(1))
    house.deployment = structs.replace(house.deployment, closing_notices=closing_notices)
    house.tick()
    for name in BOTH:
        acs, contacts = (identity_of(name),), (contact_of(name),)
        house.add_agent(Agent(agent_id=name, name=name.title(), acs_user_ids=acs, emergency_contacts=contacts))
        house.dial(Dial(call_id=f"{name}/1", agent_id=name, dialled="911"))
        house.end(End(call_id=f"{name}/1", agent_id=name, by_agent=False))
    return house


def damage(house: House, name: str) -> None:
    """The row is damaged, and no process remembers what it said."""
    row = Put(f"entry|{agent_key_of(name)}", {"schema": 1, "parts": 1, "state0": "{"})
    house.directory_table.commit([row], house.within())
    house.directory = AgentTable(house.directory_table, house.clock)


def sweeps(house: House, minutes: int) -> None:
    for _ in range(minutes):
        house.clock.advance(timedelta(minutes=1))
        house.tick()
        house.sweep()


def told(house: House, subject: str) -> set[str]:
    return {each for email in house.mail.accepted if email.subject == subject for each in email.recipients}


def says(house: House, callback_id: str, fact: Joined | Over) -> None:
    callback = house.callback(callback_id)
    assert callback is not None
    house.hear(callback_id, MidCall(connection_id=callback.connection_id, fact=fact))


def test_whoever_was_told_of_the_call_is_told_that_it_is_over() -> None:
    house = house_with(closing_notices=True)
    damage(house, "ana")
    sweeps(house, 12)
    assert told(house, "closing") == {contact_of(name) for name in BOTH}


@pytest.mark.parametrize("damaged", BOTH)
def test_a_callback_to_several_ends_and_is_told_to_the_contacts_of_each(damaged: str) -> None:
    house = house_with(closing_notices=False)
    damage(house, damaged)
    callback_id = house.responder_calls(numbers(1)[0])
    says(house, callback_id, Over())
    sweeps(house, 1)
    callback = house.callback(callback_id)
    assert callback is not None and callback.closed
    assert told(house, "callback_missed") == {contact_of(name) for name in BOTH}


def test_an_answer_whose_end_came_first_is_known_all_the_same() -> None:
    house = house_with(closing_notices=False)
    callback_id = house.responder_calls(numbers(1)[0])
    callback = house.callback(callback_id)
    assert callback is not None
    for each in callback.invitations:
        house.end(End(call_id=each.invitation_id, by_agent=True), only_agent("ana"))
    damage(house, "ana")
    for each in callback.invitations:
        says(house, callback_id, Joined(each.invitation_id, each.target))
    assert house.panel("ben").mode is Mode.EMERGENCY


def damage_emergency(house: House, name: str) -> None:
    house.table.commit([Put(agent_row(agent_key_of(name)), {"state": "{"})], house.within())


@pytest.mark.parametrize("damaged", BOTH)
def test_whoever_shares_the_number_with_somebody_of_a_damaged_row_is_rung_all_the_same(damaged: str) -> None:
    house = house_with(closing_notices=False)
    damage_emergency(house, damaged)
    house.responder_calls(numbers(1)[0])
    house.wait(60)
    rung = [invite.target for invite in house.switchboard.invited]
    [other] = {identity_of(name) for name in BOTH} - {identity_of(damaged)}
    assert rung[0] == other and rung.count(other) > 1, "round again, too"
    assert identity_of(damaged) not in rung


def test_a_callback_that_was_sent_on_is_private_though_one_who_shares_the_number_has_a_damaged_row() -> None:
    house = house_with(closing_notices=False)
    house.deployment = structs.replace(house.deployment, callback_events_url=None)
    damage_emergency(house, "ana")
    house.responder_calls(numbers(1)[0], "server-of-a-callback")
    assert house.switchboard.redirected
    assert house.judge("server-of-a-callback").emergency


@pytest.mark.parametrize("damaged", BOTH)
def test_a_server_call_that_somebody_of_a_damaged_row_claims_too_ends_the_leg_of_whose_it_is(damaged: str) -> None:
    house = house_with(closing_notices=False)
    for name in BOTH:
        house.dial(Dial(call_id=f"{name}/2", agent_id=name, dialled="911", server_call_id="server-1"))
    damage_emergency(house, damaged)
    [whole] = set(BOTH) - {damaged}
    began = house.clock.now()
    for ended in (False, True):
        call = ServerCall(server_call_id="server-1", starter=identity_of(whole), at=began, ended=ended)
        with pytest.raises(Unreadable):
            house.see(call)
    emergency = house.emergency(whole)
    assert emergency is not None and emergency.lease is not None and emergency.lease.busy_until is None


def test_a_recording_of_an_emergency_is_deleted_though_somebody_of_a_damaged_row_claims_its_call_too() -> None:
    house = house_with(closing_notices=False)
    for name in BOTH:
        house.dial(Dial(call_id=f"{name}/2", agent_id=name, dialled="911", server_call_id="server-1"))
    began = house.clock.now()
    house.see(ServerCall(server_call_id="server-1", starter=identity_of("ben"), at=began, ended=False))
    damage_emergency(house, "ana")
    house.recorded(RecordedFiles(recording_id="1", call_id="c", server_call_id="server-1", locations=("1.mp4",)))
    assert house.tapes.files == set()


def test_a_recording_that_may_be_theirs_whose_row_is_damaged_is_not_taken_for_an_ordinary_one() -> None:
    house = House()
    house.tick()
    house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", server_call_id="server-1"), only_agent("ana"))
    [row] = [row for row in house.rows() if row.startswith("agent|")]
    house.table.commit([Put(row, {"state": "{"})], house.within())
    with pytest.raises(Unavailable):
        house.recorded(RecordedFiles(recording_id="1", call_id="c", server_call_id="server-1", locations=("1.mp4",)))
