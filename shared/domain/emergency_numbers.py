"""Which dialled numbers are emergencies (S1)."""

import re
from collections.abc import Collection

from msgspec import Struct

from shared.domain.errors import NotAnEmergency

TEST_NUMBER = "933"
TEST_COUNTRY = "US"
_SEPARATORS = re.compile(r"[\s\-.()/]+")
_PREFIXED_911 = {"+1911": "country code", "9911": "outside line"}
LONGEST_DIALLED = 64


class EmergencyNumber(Struct, frozen=True):
    """What was dialled: the emergency number itself, whether it is the test number, and the prefix that was trimmed."""

    number: str
    test: bool
    prefix: str | None = None


def recognise(dialled: str, *, country: str | None, countries: Collection[str]) -> EmergencyNumber:
    """The emergency number in `dialled`, or `NotAnEmergency`.

    `country` is the caller's (ISO 3166-1 alpha-2) or None; one that is not among `countries` counts as unknown, and
    then the number is an emergency if it is one in any of `countries`.
    """
    digits = _SEPARATORS.sub("", dialled[:LONGEST_DIALLED].strip().lower().removeprefix("tel:"))
    prefix = _PREFIXED_911.get(digits)
    if prefix is not None:
        digits = "911"
    candidates = [country.upper()] if country and country.upper() in countries else sorted(countries)
    if not (digits.isascii() and digits.isdigit() and len(dialled) <= LONGEST_DIALLED):
        raise NotAnEmergency
    if digits == TEST_NUMBER and TEST_COUNTRY in candidates:
        return EmergencyNumber(digits, test=True)
    if any(_is_emergency_number(digits, candidate) for candidate in candidates):
        return EmergencyNumber(digits, test=False, prefix=prefix)
    raise NotAnEmergency


def _is_emergency_number(digits: str, country: str) -> bool:
    # Exact match only: connects_to_emergency_number also takes longer numbers that begin with one.
    from phonenumbers import is_emergency_number

    return is_emergency_number(digits, country)
