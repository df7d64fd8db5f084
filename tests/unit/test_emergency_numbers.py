"""Which dialled numbers are emergencies (S1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.emergency_numbers import EmergencyNumber, recognise
from shared.domain.errors import NotAnEmergency

COUNTRIES = frozenset({"US", "PR", "CA"})


@pytest.mark.parametrize("country", ["US", "PR", "CA", "us", None, "ZZ", "FR"])
@pytest.mark.parametrize("dialled", ["911", "9-1-1", " 911 ", "tel:911", "TEL:9.1.1", "(911)"])
def test_911_is_an_emergency_wherever_it_is_written(dialled: str, country: str | None) -> None:
    assert recognise(dialled, country=country, countries=COUNTRIES) == EmergencyNumber("911", test=False)


@pytest.mark.parametrize(("dialled", "prefix"), [("9911", "outside line"), ("9,911", None), ("+1 911", "country code")])
def test_an_outside_line_or_country_code_before_911_is_trimmed_and_told(dialled: str, prefix: str | None) -> None:
    if prefix is None:
        with pytest.raises(NotAnEmergency):
            recognise(dialled, country="US", countries=COUNTRIES)
    else:
        number = recognise(dialled, country="US", countries=COUNTRIES)
        assert number == EmergencyNumber("911", test=False, prefix=prefix)


@pytest.mark.parametrize(
    "dialled",
    [
        "9115551234",
        "5551911",
        "1911",
        "99911",
        "+911",
        "9933",
        "9112",
        "91",
        "",
        "911a",
        "x911",
        "\uff19\uff11\uff11",
        "411",
        "9" * 65,
    ],
)
def test_anything_else_is_not(dialled: str) -> None:
    with pytest.raises(NotAnEmergency):
        recognise(dialled, country="US", countries=COUNTRIES)


@pytest.mark.parametrize(("country", "counts"), [("US", True), ("CA", True), ("PR", False), (None, True), ("FR", True)])
def test_112_counts_where_the_data_says_so_and_anywhere_for_an_unknown_country(
    country: str | None, counts: bool
) -> None:
    if counts:
        assert recognise("112", country=country, countries=COUNTRIES).number == "112"
    else:
        with pytest.raises(NotAnEmergency):
            recognise("112", country=country, countries=COUNTRIES)


@pytest.mark.parametrize(("country", "counts"), [("US", True), (None, True), ("CA", False), ("PR", False)])
def test_933_is_the_test_number_of_the_united_states(country: str | None, counts: bool) -> None:
    if counts:
        assert recognise("933", country=country, countries=COUNTRIES) == EmergencyNumber("933", test=True)
    else:
        with pytest.raises(NotAnEmergency):
            recognise("933", country=country, countries=COUNTRIES)


def test_the_countries_are_a_setting() -> None:
    assert recognise("112", country="FR", countries={"FR"}).number == "112"
    with pytest.raises(NotAnEmergency):
        recognise("933", country="FR", countries={"FR"})


@given(st.text(max_size=80))
def test_no_text_whatever_raises_anything_else(dialled: str) -> None:
    try:
        number = recognise(dialled, country=None, countries=COUNTRIES)
    except NotAnEmergency:
        return
    assert number.number in {"911", "112", "933"}
