"""What a flood may cost: a stranger with one token, a machine, and those who must not notice them.

Rations, places among those who are rung, and places in the pool belong to a principal (contract, *Who is who*).
"""

import pytest

from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.use_cases.end_call import End
from shared.use_cases.start_call import Answer, Dial
from tests.fakes.house import DEFAULT_CONTACT, House, after, everybody, numbers, person

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


# What is kept for outsiders delays nobody


def test_holds_end_before_what_outsiders_had_kept_is_removed(house: House) -> None:
    for n in range(300):
        house.end(End(call_id=f"nobody's-{n}", by_agent=True), STRANGER)
    house.clock.advance(after(minutes=55))
    dial(house, DANA, "real", "dana")
    house.end(End(call_id=f"{DANA.name}/real", by_agent=False), DANA)
    house.clock.advance(after(minutes=10))
    house.line.asked = lambda _request: house.clock.advance(after(seconds=1))
    house.tick()
    emergency = house.emergency("dana")
    assert emergency is not None and not emergency.held, "behind 300 rows that were due before"
    assert any("|call|" in key for key in house.rows()), "which are not all removed by then"
