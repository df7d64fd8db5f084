"""A dial that is recorded late, after a redial from elsewhere: what the redial established stays (B7, B12, B14)."""

from collections.abc import Callable

import pytest
from msgspec import structs

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.emergencies import Emergency
from shared.domain.errors import Unavailable
from shared.domain.locations import Location
from shared.domain.sites import Site
from shared.use_cases.end_call import End
from tests.fakes.house import House, after, person

OLD_DESK, NEW_DESK = "+14255550170", "+14255550171"


def house_of_two_sites() -> House:
    house = House()
    for site_id, desk in (("old", OLD_DESK), ("new", NEW_DESK)):
        contacts, networks = (f"{site_id}@example.com",), (f"{site_id} desk",)
        site = Site(site_id=site_id, networks=networks, emergency_contacts=contacts, security_desk=(desk,))
        house.sites.save(site, None, house.within())
    house.add_agent(Agent(agent_id="ana", acs_user_ids=("8:acs:r_a",)))
    house.tick()
    return house


def from_desk(place: str, call_id: str, house: House) -> Dial:
    return Dial(
        call_id=call_id,
        agent_id="ana",
        dialled="911",
        country="US",
        dialled_at=house.clock.now(),
        desktop_id=f"{place} desk",
        location=Location(address=f"1 {place} street"),
    )


def event_again(house: House, first: Dial) -> None:
    house.dial_by_event(first)


def own_repeat(house: House, first: Dial) -> None:
    house.repeats.do_again()
    assert not house.repeats.kept


def dialers_repeat(house: House, first: Dial) -> None:
    assert first.dialled_at is not None
    house.dial(structs.replace(first, dialled_ago=house.clock.now() - first.dialled_at))


def dials(house: House, first: Dial, *, by_event: bool) -> None:
    """The store is away: the first dial is not recorded."""
    house.line.away = True
    if by_event:
        with pytest.raises(Unavailable):
            house.dial_by_event(first)
    else:
        assert house.dial(first).degraded
    house.line.away = False


LATE = [event_again, own_repeat, dialers_repeat]


@pytest.mark.parametrize("comes_late", LATE)
def test_a_dial_that_is_recorded_late_overwrites_nothing_of_a_later_one(
    comes_late: Callable[[House, Dial], None],
) -> None:
    house = house_of_two_sites()
    first = from_desk("old", "ana/1", house)
    dials(house, first, by_event=comes_late is event_again)
    house.clock.advance(after(seconds=90))
    number = house.dial(from_desk("new", "ana/2", house)).callback_number
    house.clock.advance(after(seconds=30))
    comes_late(house, first)
    emergency = house.emergency("ana")
    assert emergency is not None and len(emergency.legs) == 2
    assert emergency.situation is not None and emergency.situation.contacts == ("new@example.com",)
    shown = house.panel("ana").say
    assert shown is not None and shown.address == "1 new street"
    for call_id in ("ana/1", "ana/2"):
        house.end(End(call_id=call_id, by_agent=True, agent_id="ana"))
    house.responder_calls(number)
    house.wait(40)
    rung = {each.target for each in house.switchboard.invited}
    assert NEW_DESK in rung and OLD_DESK not in rung


def test_a_desktop_whose_clock_is_behind_dials_now_all_the_same() -> None:
    house = house_of_two_sites()
    house.dial(from_desk("old", "ana/1", house))
    house.clock.advance(after(seconds=90))
    behind = structs.replace(from_desk("new", "ana/2", house), dialled_at=house.clock.now() - after(minutes=9))
    answer = house.dial(behind)
    assert answer.panel.say is not None and answer.panel.say.address == "1 new street"


def test_what_a_dial_of_a_lease_that_is_over_established_is_over_with_it() -> None:
    house = house_of_two_sites()
    first = from_desk("old", "ana/1", house)
    house.clock.advance(after(minutes=5))
    house.dial(from_desk("new", "ana/2", house))
    house.end(End(call_id="ana/2", by_agent=True, agent_id="ana"))
    house.clock.advance(after(minutes=10))
    dials(house, structs.replace(first, dialled_ago=after(minutes=15)), by_event=False)
    house.clock.advance(after(minutes=51))
    house.repeats.do_again()
    emergency = house.emergency("ana")
    assert emergency is not None and len(emergency.legs) == 1
    assert emergency.situation is not None and emergency.situation.contacts == ("old@example.com",)


def softphone(call_id: str, identity: str | None) -> Dial:
    return Dial(call_id=call_id, agent_id="eve", dialled="911", country="US", acs_user_id=identity)


@pytest.mark.parametrize("named_later", ["8:acs:r_2", None])
@pytest.mark.parametrize("in_order", [True, False])
def test_which_softphone_an_unlisted_agent_has_now_is_what_the_latest_dial_said(
    named_later: str | None, in_order: bool
) -> None:
    house = House()
    house.tick()
    eve, first = person("object-of-eve"), softphone("eve/1", "8:acs:r_1")
    house.line.away = not in_order
    house.dial(first, eve)
    house.line.away = False
    house.clock.advance(after(seconds=90))
    house.dial(softphone("eve/2", named_later), eve)
    house.repeats.do_again()
    found = emergency_of_eve(house)
    rung = (named_later or "8:acs:r_1",)
    assert (len(found.legs), found.reach.acs_user_ids, found.starters, found.self_stated) == (2, rung, rung, rung)


def emergency_of_eve(house: House) -> Emergency:
    [key] = house.emergencies.unlisted_of("eve", house.within())
    emergency = house.emergencies.load(key, house.within()).result().emergency
    assert emergency is not None
    return emergency
