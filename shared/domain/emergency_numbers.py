"""Which dialled numbers are emergencies (specification S1), and what the platform places where (B13).

The order is: `dialled_forms` reads how a softphone may write a number, `recognise` decides whether one of those forms
is an emergency number, `placement` says whether the platform connects it from where the caller is.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote

from msgspec import Struct

from shared.domain.countries import PLACES, WITHOUT_EMERGENCY_NUMBER
from shared.domain.errors import NotAnEmergency
from shared.domain.identities import PHONE_PREFIX

MAX_DIALLED_CHARACTERS = 256
TEST_NUMBER = "933"
EMERGENCY_911 = "911"

# The territories are sent to the platform as US, and 933 is the test number in all of these (contract, *Country*).
US_TERRITORIES = frozenset({"GU", "VI", "MP", "AS"})
TEST_COUNTRIES = frozenset({"US", "CA", "PR"}) | US_TERRITORIES

# Where Azure Communication Services places emergency calls, and which digits it connects there; the first one stands
# for an emergency number that is missing. Source: the ACS emergency calling concept page and its notice (AU), as read
# on 2026-11-25 (contract, *Country*).
_NORTH_AMERICA = {"911": "911", "112": "911", "933": "933"}
PLACED: dict[str, dict[str, str]] = {
    **dict.fromkeys(sorted(TEST_COUNTRIES), _NORTH_AMERICA),
    "GB": {"999": "999", "112": "112"},
    "DK": {"112": "112"},
    "AU": {"000": "000", "112": "000"},
}

# Where a relay agent answers an emergency call on the platform's own numbers first (ACS emergency calling concept).
RELAY_COUNTRIES = TEST_COUNTRIES

# What may stand before 911 (Microsoft's own masks) and before 933, by the word that the log says for it.
_PREFIXES_911 = {"+": "plus", "+1": "country_code", "1": "trunk", "9": "outside_line", "91": "outside_line_and_trunk"}
_PREFIXES_933 = {"9": "outside_line"}

_PAUSES = frozenset(",;pw")
# Beside digits and letters, what may part a number from what is not of it; any other sign is passed over.
_STRUCTURE = frozenset("+,;:@%?_")
# Blanks, invisible characters, marks, punctuation, symbols, and numerals that are no digit, such as a fraction:
# `is_emergency_number` passes over them as well. It does so with letters too, but on a keypad these are digits: 911HELP
# is a longer number.
_PASSED_OVER = frozenset("ZCMPSN")
# Letters by their category: fillers that nobody sees, and the long vowel mark that is written as a dash.
_NOT_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u30fc")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
# An empty user part: then the number stands where the host would.
_NOBODY = re.compile(r"\A(?:[+,;:%?_]*@)+")
_SERVICE_URN = "urn:service:sos"
_SCHEMES = ("tel:", "sips:", "sip:", "callto:")


class EmergencyNumber(Struct, frozen=True):
    """What was dialled: the emergency number itself, whether it is the test number, and the prefix that was trimmed."""

    number: str
    test: bool
    prefix: str | None = None


class Placeable(StrEnum):
    """Whether the platform connects an emergency call from where the caller is (B13)."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Placement(Struct, frozen=True):
    """Whether the call can be placed, and the digits that the platform connects; `dial` is None where it is `no`."""

    placeable: Placeable = Placeable.UNKNOWN
    dial: str | None = None


def recognise(dialled: str, *, country: str | None, countries: Collection[str]) -> EmergencyNumber:
    """The emergency number in `dialled`; raises `NotAnEmergency`.

    `country` is the caller's (ISO 3166-1 alpha-2) or None; one that is not among `countries` counts as unknown, and
    then the number is an emergency if it is one in any of `countries` (S1).
    """
    candidates = _candidates(country, countries)
    if _names_service(dialled):
        return EmergencyNumber(_number_of_service(candidates), test=False)
    for form in dialled_forms(dialled):
        number = _exactly(form, candidates)
        if number is not None:
            return number
    raise NotAnEmergency


def placement(
    number: EmergencyNumber, *, country: str | None, routed: Collection[str] | None = frozenset()
) -> Placement:
    """Whether the platform places `number` for a caller in `country`, and as which digits (B13).

    `routed` are the numbers that a voice route of direct routing is known to take; None: it could not be read, or a
    pattern cannot be judged here.
    """
    if country is None or country.upper() not in PLACES:
        return Placement(Placeable.UNKNOWN, number.number)
    placed = PLACED.get(country.upper())
    if placed is not None and (number.number in placed or not number.test):
        return Placement(Placeable.YES, placed.get(number.number, next(iter(placed.values()))))
    if routed is None or number.number in routed:
        return Placement(Placeable.UNKNOWN, number.number)
    return Placement(Placeable.NO)


@lru_cache(maxsize=256)
def numbers_of(country: str) -> tuple[str, ...]:
    """The emergency numbers of a country; the few that have more than three digits are not among them."""
    short = (f"{number:0{digits}}" for digits in (2, 3) for number in range(10**digits))
    return tuple(number for number in short if _is_emergency_number(number, [_recognised_as(country)]))


def dialled_forms(dialled: str) -> Iterator[str]:
    """The digits (with a leading `+` where there was one) that `dialled` may stand for, shortest first.

    What follows a pause is the rest of the number or something for afterwards (tones, an extension, a parameter), so
    each pause ends one form. Nothing more once a letter comes.
    """
    if len(dialled) > MAX_DIALLED_CHARACTERS:
        return
    digits = ""
    for part in _parts(_subscriber(_plain(dialled))):
        digits += part
        if not digits.removeprefix("+").isdecimal():
            return
        yield digits


def _plain(dialled: str) -> str:
    """Lower case; full-width forms and digits of any script as ASCII, what is passed over taken off."""
    return "".join(_plain_character(character) for character in dialled.translate(_FULL_WIDTH)).lower()


def _plain_character(character: str) -> str:
    if character in _STRUCTURE:
        return character
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(character)[0] in _PASSED_OVER or character in _NOT_LETTERS else character


def _subscriber(text: str) -> str:
    """The number in a `tel:`, `sip:`, `sips:` or `callto:` address or an ACS raw id; else what stands before a host."""
    if text.startswith(PHONE_PREFIX):
        # The service may add a suffix of its own to a number's raw id: `4:911_1b2c`.
        return text.removeprefix(PHONE_PREFIX).partition("_")[0]
    if not text.startswith(_SCHEMES):
        return _NOBODY.sub("", text).partition("@")[0]
    while text.startswith(_SCHEMES):
        text = _plain(unquote(text.partition(":")[2]))
    # It ends at the host, the password, the first parameter or header (RFC 3261, 19.1; RFC 3966).
    return re.split("[@:;?]", _NOBODY.sub("", text), maxsplit=1)[0]


def _parts(text: str) -> Iterator[str]:
    """The pieces between pauses, without the signs that parted nothing; nothing for an empty one."""
    piece, begun = "", False
    for character in text:
        if character in _PAUSES:
            if piece:
                yield piece
            piece = ""
        elif character not in _STRUCTURE or (character == "+" and not begun):
            # `is_emergency_number` passes over a plus that is not in front.
            piece, begun = piece + character, True
    if piece:
        yield piece


def _exactly(digits: str, candidates: Collection[str]) -> EmergencyNumber | None:
    """The emergency number that `digits` are, by themselves or behind a prefix that is allowed before that one."""
    plain = not digits.startswith("+")
    if plain and digits == TEST_NUMBER and TEST_COUNTRIES & set(candidates):
        return EmergencyNumber(TEST_NUMBER, test=True)
    if plain and _is_emergency_number(digits, candidates):
        return EmergencyNumber(digits, test=False)
    prefix = _PREFIXES_911.get(digits.removesuffix(EMERGENCY_911)) if digits.endswith(EMERGENCY_911) else None
    if prefix is not None and _is_emergency_number(EMERGENCY_911, candidates):
        return EmergencyNumber(EMERGENCY_911, test=False, prefix=prefix)
    prefix = _PREFIXES_933.get(digits.removesuffix(TEST_NUMBER)) if digits.endswith(TEST_NUMBER) else None
    if prefix is not None and TEST_COUNTRIES & set(candidates):
        return EmergencyNumber(TEST_NUMBER, test=True, prefix=prefix)
    return None


def _names_service(dialled: str) -> bool:
    """Whether it is `urn:service:sos`, or one of its services such as `…:sos.fire` (RFC 5031)."""
    service = _plain_urn(dialled)
    return service == _SERVICE_URN or service.startswith(f"{_SERVICE_URN}.")


def _plain_urn(dialled: str) -> str:
    unseen = frozenset("ZCM")
    urn = "".join(each for each in dialled[:MAX_DIALLED_CHARACTERS] if unicodedata.category(each)[0] not in unseen)
    return urn.lower().strip("<>").partition(";")[0].partition("@")[0]


def _number_of_service(candidates: Collection[str]) -> str:
    """The number that stands for emergency services: that of the country, 911 first where there are several."""
    known = [PLACED[country] for country in candidates if country in PLACED]
    if any(EMERGENCY_911 in placed for placed in known):
        return EMERGENCY_911
    if known:
        return next(iter(known[0].values()))
    return next((number for number in (EMERGENCY_911, "112") if _is_emergency_number(number, candidates)), "112")


def _candidates(country: str | None, countries: Collection[str]) -> list[str]:
    """The countries whose numbers count; a territory counts as US, and what is not configured as unknown.

    One of which no emergency number is known counts as not configured: it would make nothing an emergency.
    """
    configured = sorted({_recognised_as(each) for each in countries} - WITHOUT_EMERGENCY_NUMBER)
    own = _recognised_as(country) if country else None
    return [own] if own in configured else configured


def _recognised_as(country: str) -> str:
    upper = country.upper()
    return "US" if upper in US_TERRITORIES else upper


def _is_emergency_number(digits: str, candidates: Collection[str]) -> bool:
    # Exact match only: connects_to_emergency_number also takes longer numbers that begin with one.
    from phonenumbers import is_emergency_number

    return any(is_emergency_number(digits, country) for country in candidates)
