"""A number of the caller's country is lent before another's (B2, B14; contract, *Country*)."""

import pytest
from phonenumbers import PhoneNumberFormat, example_number_for_non_geo_entity, format_number

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.leases import Rules
from shared.domain.phone_numbers import country_of, is_e164
from shared.domain.pool import NO_ZONE, domestic_zones, is_foreign, zone_of_number, zones_in_order
from shared.use_cases.answer_dial import Answer
from shared.use_cases.effects import DeliverNotice
from shared.use_cases.end_call import End
from tests.fakes.house import House, after

US_1, US_2 = "+14255550100", "+12065550101"
PUERTO_RICO, GUAM, CANADA, TOLL_FREE = "+17875550100", "+16715550100", "+14165550100", "+18005550100"
BRITAIN, AUSTRALIA = "+447700900123", "+61491570156"


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        (US_1, "US"),
        (PUERTO_RICO, "US"),
        (GUAM, "US"),
        (CANADA, "CA"),
        (TOLL_FREE, "NANP"),
        (BRITAIN, "GB"),
        (AUSTRALIA, "AU"),
        ("+" + "99912345678", NO_ZONE),
        ("nonsense", NO_ZONE),
    ],
)
def test_a_number_is_domestic_in_one_zone(number: str, zone: str) -> None:
    assert zone_of_number(number) == zone


@pytest.mark.parametrize(
    ("number", "country", "foreign"),
    [
        (US_1, "US", False),
        (US_1, "pr", False),
        (US_1, "GU", False),
        (PUERTO_RICO, "US", False),
        (US_1, "CA", True),
        (TOLL_FREE, "CA", False),
        (TOLL_FREE, "US", False),
        (TOLL_FREE, "GB", True),
        (BRITAIN, "GB", False),
        (BRITAIN, None, False),
        (BRITAIN, "UK", False),
        (US_1, "zz", False),
        ("nonsense", "US", False),
    ],
)
def test_which_numbers_are_foreign(number: str, country: str | None, foreign: bool) -> None:
    assert is_foreign(number, country) is foreign


def test_the_zones_are_looked_through_in_order() -> None:
    sizes = {"US": 5, "CA": 1, "NANP": 1, "GB": 9}
    assert zones_in_order(sizes, "CA") == (("CA", "NANP"), ("GB", "US"))
    assert zones_in_order(sizes, "MX") == ((), ("GB", "US", "CA", "NANP"))
    assert zones_in_order(sizes, None) == (("GB", "US", "CA", "NANP"), ())
    assert zones_in_order(sizes, "UK") == zones_in_order(sizes, None), "no country is no country of theirs"
    assert domestic_zones("VI") == ("US", "NANP")


def house_with(*pool: str, rules: Rules | None = None) -> House:
    house = House(pool=pool)
    house.tick()
    return house


def dial(house: House, name: str, country: str | None, call: str = "1") -> Answer:
    house.add_agent(Agent(agent_id=name, country=country, emergency_contacts=("guard@example.com",)))
    return house.dial(Dial(call_id=f"{name}/{call}", agent_id=name, dialled="911"))


def test_own_then_foreign_then_shared() -> None:
    house = house_with(US_1, US_2, CANADA, BRITAIN)
    first, second, third = (dial(house, name, "US") for name in ("ana", "ben", "cho"))
    assert {first.callback_number, second.callback_number} == {US_1, US_2}
    assert not first.foreign and not first.shared
    assert third.foreign and not third.shared, "a foreign number that nobody holds goes before a shared one"
    fourth = dial(house, "dan", "US")
    assert {third.callback_number, fourth.callback_number} == {CANADA, BRITAIN}
    fifth = dial(house, "eva", "US")
    assert (fifth.shared, fifth.foreign) == (True, False) and fifth.callback_number in {US_1, US_2}


def test_a_resting_own_number_goes_before_a_free_foreign_one() -> None:
    house = house_with(US_1, CANADA)
    lent = dial(house, "ana", "US")
    house.end(End(call_id="ana/1", by_agent=True))
    house.clock.advance(after(minutes=61))
    house.tick()
    answer = dial(house, "ben", "US")
    assert (answer.callback_number, answer.foreign, answer.shared) == (lent.callback_number, False, False)


def test_the_country_of_the_dial_decides_and_a_foreign_number_says_so_in_answer_and_notice() -> None:
    house = house_with(US_1, BRITAIN)
    house.performs = False
    house.add_agent(Agent(agent_id="ana", country="US", emergency_contacts=("guard@example.com",)))
    answer = house.dial(Dial(call_id="ana/1", agent_id="ana", dialled="911", country="GB"))
    assert (answer.callback_number, answer.foreign) == (BRITAIN, False)
    other = dial(house, "ben", "GB")
    assert (other.callback_number, other.foreign) == (US_1, True)
    told = [effect.owed.notice.foreign for effect in house.owed if isinstance(effect, DeliverNotice)]
    assert told == [False, True]


def test_a_pool_of_one_other_country_serves_everybody() -> None:
    house = house_with(AUSTRALIA)
    answer = dial(house, "ana", "US")
    assert (answer.callback_number, answer.foreign, answer.degraded) == (AUSTRALIA, True, False)


def test_rows_that_a_version_without_zones_wrote_are_brought_in_line() -> None:
    from shared.adapters.emergency_rows import OUT_OF_LINE, POOL_ROW
    from shared.adapters.table import Delete, Insert, Put

    house = house_with(US_1, BRITAIN)
    zoned = [key for key in house.rows() if key.startswith("free|")]
    unzoned = [f"free|{'|'.join(key.split('|')[2:])}" for key in zoned]
    house.table.commit([Delete(key) for key in zoned], house.within())
    house.table.commit([Insert(key, {"schema": 1}) for key in unzoned], house.within())
    house.table.commit([Put(POOL_ROW, OUT_OF_LINE)], house.within())
    house.tick()
    assert sorted(key.split("|")[1] for key in house.rows() if key.startswith("free|")) == ["GB", "US"]
    assert dial(house, "ana", "GB").callback_number == BRITAIN


@pytest.mark.parametrize(("text", "number"), [("+1425555", True), ("+142555", False), ("+0425555", False)])
def test_a_number_has_seven_digits_at_least_and_begins_with_no_zero(text: str, number: bool) -> None:
    assert is_e164(text) is number


@pytest.mark.parametrize("calling_code", [800, 870])
def test_a_number_of_all_countries_is_of_none(calling_code: int) -> None:
    number = example_number_for_non_geo_entity(calling_code)
    assert number is not None and country_of(format_number(number, PhoneNumberFormat.E164)) is None
