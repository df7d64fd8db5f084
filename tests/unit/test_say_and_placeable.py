"""What the caller should say (B12), and whether the call can be placed at all (B13), through the core in memory."""

import pytest

from shared.adapters.table import Put
from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergency_numbers import Placeable
from shared.domain.ids import key_of
from shared.domain.locations import Location, LocationSource
from shared.domain.panels import Banner
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.end_call import End
from tests.fakes.house import FALLBACK, House, after, office

DANA = "agent-dana"


def house_with(country: str | None = "US", **entry: object) -> House:
    house = House()
    house.add_agent(Agent(agent_id=DANA, name="Dana Example", country=country, address="1 Example Street", **entry))  # type: ignore[arg-type]
    house.tick()
    return house


def dial(house: House, **more: object) -> Answer:
    fields: dict[str, object] = {"call_id": "call-1", "agent_id": DANA, "dialled": "911"} | more
    return house.dial(Dial(**fields))  # type: ignore[arg-type]


def test_from_the_answer_on_the_panel_shows_what_to_say_and_gone_with_the_lease() -> None:
    house = house_with()
    answer = dial(house)
    say = answer.panel.say
    assert say is not None
    assert (say.address, say.source, say.address_source) == (
        "1 Example Street",
        LocationSource.REGISTERED,
        LocationSource.REGISTERED,
    )
    assert (say.callback_number, say.number_shown, say.relay_first) == (answer.callback_number, False, True)
    house.end(End(call_id="call-1", by_agent=True))
    house.clock.advance(after(minutes=59))
    assert house.panel(DANA).say == say, "nothing in it changes by itself"
    house.clock.advance(after(minutes=1))
    assert house.panel(DANA).say is None and house.panel(DANA).dial is None


def test_the_same_location_goes_into_the_notice() -> None:
    house = house_with(emergency_contacts=("guard@example.com",))
    house.performs = False
    where = Location(latitude=47.6, longitude=-122.1, accuracy_m=20.0, at=house.clock.now())
    say = dial(house, location=where).panel.say
    assert say is not None
    [told] = [effect.owed.notice.location for effect in house.owed if isinstance(effect, DeliverNotice)]
    assert (told.address, told.latitude, told.longitude, told.source) == (
        say.address,
        say.latitude,
        say.longitude,
        say.source,
    )
    assert (say.source, say.address_source) == (LocationSource.LIVE, LocationSource.REGISTERED)


def test_where_the_softphone_shows_the_lent_number_that_is_said() -> None:
    house = house_with()
    say = dial(house, caller_id_ours=True).panel.say
    assert say is not None and say.number_shown


def test_an_outage_says_what_is_known_and_the_fallback_number_which_nobody_sees() -> None:
    house = house_with()
    # A row of the agent that nobody can read: the dial gets the answer of an outage.
    house.table.commit([Put(f"agent|{key_of(DANA)}", {"schema": 9, "state": "3", "index": "[]"})], house.within())
    answer = dial(house, caller_id_ours=True, country="US", location=Location(address="2 Sample Road"))
    say = answer.panel.say
    assert answer.degraded and say is not None
    assert (say.callback_number, say.address, say.number_shown) == (FALLBACK, "2 Sample Road", False)
    assert (answer.placeable, answer.dial) == (Placeable.YES, "911")


@pytest.mark.parametrize(
    ("country", "dialled", "placeable", "digits"),
    [
        ("US", "112", Placeable.YES, "911"),
        ("GU", "9,911", Placeable.YES, "911"),
        ("MX", "911", Placeable.NO, None),
        (None, "1911", Placeable.UNKNOWN, "911"),
    ],
)
def test_the_answer_and_the_panel_say_whether_it_can_be_placed(
    country: str | None, dialled: str, placeable: Placeable, digits: str | None
) -> None:
    house = house_with(country)
    answer = dial(house, dialled=dialled)
    assert (answer.placeable, answer.dial) == (placeable, digits)
    assert (answer.panel.placeable, answer.panel.dial) == (placeable, digits)


def test_an_agent_abroad_gets_the_whole_chain_and_is_told_to_use_another_telephone() -> None:
    house = house_with("US", emergency_contacts=("guard@example.com",))
    answer = dial(house, country="FR")
    assert answer.callback_number and answer.notified == 1 and len(house.mail.accepted) == 1
    assert answer.panel.banner is Banner.CANNOT_BE_PLACED
    assert house.panel(DANA).banner is Banner.CANNOT_BE_PLACED
    assert answer.panel.say is not None and not answer.panel.say.relay_first


def test_a_call_that_comes_twice_has_the_answer_of_its_own_dial_whatever_was_dialled_since() -> None:
    house = house_with()
    tested = dial(house, call_id="test", dialled="933")
    house.clock.advance(after(seconds=5))
    abroad = dial(house, call_id="abroad", country="GB")
    for first, call_id, dialled in ((tested, "test", "933"), (abroad, "abroad", "911")):
        again = dial(house, call_id=call_id, dialled=dialled, country="MX")
        assert again.known and (again.test, again.placeable, again.dial) == (first.test, first.placeable, first.dial)
        assert again.foreign is first.foreign
    assert (tested.dial, tested.foreign, abroad.dial, abroad.foreign) == ("933", False, "999", True)


def test_after_a_drop_the_panel_offers_the_call_that_dropped_again_and_not_the_test_that_came_after_it() -> None:
    house = house_with()
    dial(house)
    house.clock.advance(after(seconds=5))
    dial(house, call_id="test", dialled="933")
    assert house.panel(DANA).dial == "911", "a real call that is in progress comes before a test"
    house.end(End(call_id="test", by_agent=True))
    house.clock.advance(after(seconds=5))
    house.end(End(call_id="call-1", by_agent=False))
    panel = house.panel(DANA)
    assert (panel.banner, panel.controls[0], panel.dial) == (Banner.HELD_AFTER_DROP, "call_again", "911")


def test_a_test_that_dropped_is_offered_again_where_the_agent_has_ended_the_real_call_since_it_dropped() -> None:
    house = house_with()
    dial(house)
    house.end(End(call_id="call-1", by_agent=False))
    house.clock.advance(after(seconds=5))
    dial(house, call_id="call-2")
    house.clock.advance(after(seconds=5))
    house.end(End(call_id="call-2", by_agent=True))
    house.clock.advance(after(seconds=5))
    dial(house, call_id="test", dialled="933")
    assert house.panel(DANA).dial == "933"
    house.clock.advance(after(seconds=5))
    house.end(End(call_id="test", by_agent=False))
    panel = house.panel(DANA)
    assert (panel.controls[0], panel.dial) == ("call_again", "933")


def test_nobody_is_told_to_call_again_where_no_call_can_be_placed() -> None:
    house = house_with()
    dial(house, country="FR")
    house.end(End(call_id="call-1", by_agent=False))
    panel = house.panel(DANA)
    assert (panel.banner, panel.controls[0], panel.dial) == (Banner.CANNOT_BE_PLACED, "end_hold", None)


@pytest.mark.parametrize(
    ("entry", "said", "right"), [("fr", None, "fr"), ("fr", "es", "es"), (None, "it", "it"), (None, None, None)]
)
def test_the_answer_and_the_panel_speak_the_dials_language_else_the_entrys(
    entry: str | None, said: str | None, right: str | None
) -> None:
    house = house_with(locale=entry)
    answer = dial(house, locale=said)
    _, shown = house.calling.show_panel(DANA, caller=office(), deadline=house.within())
    assert (answer.locale, shown) == (right, right)
