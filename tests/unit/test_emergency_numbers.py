"""Which dialled numbers are emergencies (S1), and where they can be placed (B13): tables, written as literals."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata, is_emergency_number

from shared.domain.countries import COUNTRIES, PLACES, WITHOUT_EMERGENCY_NUMBER
from shared.domain.emergency_numbers import (
    MAX_DIALLED_CHARACTERS,
    EmergencyNumber,
    Placeable,
    Placement,
    placement,
    recognise,
)
from shared.domain.errors import NotAnEmergency

CONFIGURED = frozenset({"US", "PR", "CA", "GB", "DK", "AU"})
DEFAULT = frozenset({"US", "PR", "CA"})
CALLERS = ("US", "PR", "CA", "GU", "GB", "DK", "AU", "MX")

# What each caller of CALLERS gets; a dash is a refusal. MX is not configured: any configured country's number counts.
NORTH_AMERICAN = "911 911 911 911 -   -   -   911"
TEST_CALL = "933 933 933 933 -   -   -   933"
NOBODY = "-   -   -   -   -   -   -   -"

TABLE: list[tuple[str, str, str]] = [
    # dialled, what counts, why (source)
    ("911", NORTH_AMERICAN, "the number itself"),
    (" 911 ", NORTH_AMERICAN, "blanks around it"),
    ("9 1 1", NORTH_AMERICAN, "blanks between"),
    ("9\u00a01\u00a01", NORTH_AMERICAN, "no-break spaces"),
    ("9\t1\n1", NORTH_AMERICAN, "tab and line break"),
    ("9-1-1", NORTH_AMERICAN, "hyphen-minus"),
    ("9\u20101\u20101", NORTH_AMERICAN, "hyphen U+2010"),
    ("9\u20111\u20111", NORTH_AMERICAN, "no-break hyphen U+2011"),
    ("9\u20131\u20131", NORTH_AMERICAN, "en dash"),
    ("9\u20141\u20141", NORTH_AMERICAN, "em dash"),
    ("9\u22121\u22121", NORTH_AMERICAN, "minus sign U+2212"),
    ("9\uff0d1\uff0d1", NORTH_AMERICAN, "full-width hyphen"),
    ("9\u00ad1\u00ad1", NORTH_AMERICAN, "soft hyphen"),
    ("9.1.1", NORTH_AMERICAN, "dots"),
    ("(911)", NORTH_AMERICAN, "brackets"),
    ("9/1/1", NORTH_AMERICAN, "slashes"),
    ("[9]11", NORTH_AMERICAN, "square brackets, punctuation of phonenumbers"),
    ("9~11", NORTH_AMERICAN, "tilde, punctuation of phonenumbers"),
    ("\u200b911", NORTH_AMERICAN, "zero width space"),
    ("\u200e911\u200f", NORTH_AMERICAN, "direction marks, as pasted from a contact card"),
    ("\u202a911\u202c", NORTH_AMERICAN, "embedding characters, as pasted from Windows"),
    ("\u2066911\u2069", NORTH_AMERICAN, "isolates"),
    ("\ufeff911", NORTH_AMERICAN, "byte order mark"),
    ("9\u20601\u20601", NORTH_AMERICAN, "word joiner"),
    ("9\ufe0f11", NORTH_AMERICAN, "variation selector"),
    ("\uff19\uff11\uff11", NORTH_AMERICAN, "full-width digits"),
    ("\u2079\u00b9\u00b9", NORTH_AMERICAN, "superscripts, which phonenumbers reads after a first digit"),
    ("\u0669\u0661\u0661", NORTH_AMERICAN, "Arabic-Indic digits, which phonenumbers reads too"),
    ("tel:911", NORTH_AMERICAN, "RFC 3966"),
    ("TEL:9.1.1", NORTH_AMERICAN, "schemes have no case; visual separators"),
    ("tel:911;phone-context=+1", NORTH_AMERICAN, "RFC 3966 local number with context"),
    ("tel:911;phone-context=example.com", NORTH_AMERICAN, "RFC 3966 context by domain"),
    ("tel:+1911", NORTH_AMERICAN, "country code before 911 (Microsoft's mask)"),
    ("tel://911", NORTH_AMERICAN, "slashes that some dialers write"),
    ("tel:%39%31%31", NORTH_AMERICAN, "percent-encoded digits (RFC 3986)"),
    ("sip:911", NORTH_AMERICAN, "RFC 3261 without host"),
    ("sip:911@sbc.example.com", NORTH_AMERICAN, "RFC 3261"),
    ("sips:911@sbc.example.com;user=phone", NORTH_AMERICAN, "parameters after the host"),
    ("sip:911;phone-context=+1@sbc.example.com", NORTH_AMERICAN, "parameters in the user part"),
    ("sip:+1911@sbc.example.com", NORTH_AMERICAN, "country code"),
    ("sip:%2B1911@sbc.example.com", NORTH_AMERICAN, "percent-encoded plus"),
    ("callto:911", NORTH_AMERICAN, "callto"),
    ("callto:tel:911", NORTH_AMERICAN, "one scheme in another"),
    ("4:911", NORTH_AMERICAN, "ACS raw id"),
    ("4:+911", NORTH_AMERICAN, "ACS raw id with a plus"),
    ("+911", NORTH_AMERICAN, "a softphone that always writes a plus"),
    ("+1911", NORTH_AMERICAN, "country code"),
    ("+1 (911)", NORTH_AMERICAN, "country code, formatted"),
    ("1911", NORTH_AMERICAN, "Microsoft's mask"),
    ("1-911", NORTH_AMERICAN, "Microsoft's mask, formatted"),
    ("9911", NORTH_AMERICAN, "Microsoft's mask: outside line"),
    ("9-911", NORTH_AMERICAN, "outside line, formatted"),
    ("91911", NORTH_AMERICAN, "outside line and trunk prefix"),
    ("9-1-911", NORTH_AMERICAN, "outside line and trunk prefix, formatted"),
    ("9,911", NORTH_AMERICAN, "outside line, a pause and 911"),
    ("9;911", NORTH_AMERICAN, "outside line, a wait and 911"),
    ("9p911", NORTH_AMERICAN, "pause written as p"),
    ("9W911", NORTH_AMERICAN, "wait written as W"),
    ("9,,1,911", NORTH_AMERICAN, "several pauses"),
    ("911,,5", NORTH_AMERICAN, "tones after the number"),
    ("911p1234#", NORTH_AMERICAN, "tones after the number"),
    ("911,", NORTH_AMERICAN, "nothing after a pause"),
    ("911,A", NORTH_AMERICAN, "a tone of the fourth column after the number (RFC 4733)"),
    ("911;ext=1", NORTH_AMERICAN, "what follows a pause after the number is not of it: an extension without tel:"),
    ("911;phone-context=+1", NORTH_AMERICAN, "a parameter without tel:"),
    ("911pizza", NORTH_AMERICAN, "a p is a pause, and what follows it is not of the number"),
    ("9,911;ext=1", NORTH_AMERICAN, "outside line, 911, an extension"),
    ("112;ext=1", "112 -   112 112 112 112 112 112", "an extension after 112"),
    ("911#", NORTH_AMERICAN, "the send key of a desk phone"),
    ("112#", "112 -   112 112 112 112 112 112", "the send key"),
    ("933#", TEST_CALL, "the send key"),
    ("#911", NORTH_AMERICAN, "is_emergency_number passes over it"),
    ("*911", NORTH_AMERICAN, "is_emergency_number passes over it"),
    ("<tel:911>", NORTH_AMERICAN, "angle brackets around an address (RFC 3986, appendix C)"),
    ("\u2039911\u203a", NORTH_AMERICAN, "single angle quotation marks"),
    ('"911"', NORTH_AMERICAN, "quotation marks"),
    ("9\u00b71\u00b71", NORTH_AMERICAN, "middle dots"),
    ("9\u30fb1\u30fb1", NORTH_AMERICAN, "katakana middle dots"),
    ("9\u30fc1\u30fc1", NORTH_AMERICAN, "long vowel marks, punctuation of phonenumbers"),
    ("9\u28001\u28001", NORTH_AMERICAN, "blank Braille cells"),
    ("9\u31641\uffa01", NORTH_AMERICAN, "Hangul fillers, which nobody sees"),
    ("9_1_1", NORTH_AMERICAN, "low lines"),
    ("9\ufe0f\u20e31\ufe0f\u20e31\ufe0f\u20e3", NORTH_AMERICAN, "keycap emoji"),
    ("\U0001f6a8911", NORTH_AMERICAN, "an emoji before it"),
    ("\u2460\u2460\u2461", "112 -   112 112 112 112 112 112", "circled digits, which phonenumbers reads after a first"),
    ("911@example.com", NORTH_AMERICAN, "a SIP address whose scheme was left out"),
    ("4:911_1b2c", NORTH_AMERICAN, "a raw id with a suffix of the service's"),
    ("<urn:service:sos>", "911 911 911 911 999 112 000 911", "angle brackets around a URN"),
    ("112", "112 -   112 112 112 112 112 112", "112 by the data; the territories count as US"),
    ("urn:service:sos", "911 911 911 911 999 112 000 911", "RFC 5031: the number of the country"),
    ("URN:service:sos.fire", "911 911 911 911 999 112 000 911", "RFC 5031: a service of it"),
    ("999", "-   -   -   -   999 -   -   999", "GB"),
    ("9-9-9", "-   -   -   -   999 -   -   999", "GB, formatted"),
    ("000", "-   -   -   -   -   -   000 000", "AU"),
    ("sip:000@pbx.example.com", "-   -   -   -   -   -   000 000", "AU"),
    ("106", "-   -   -   -   -   -   106 106", "AU, text relay"),
    ("933", TEST_CALL, "Microsoft's test number"),
    ("9-3-3", TEST_CALL, "formatted"),
    ("9933", TEST_CALL, "Microsoft's mask: outside line"),
    ("9,933", TEST_CALL, "outside line and a pause"),
    ("tel:933", TEST_CALL, "RFC 3966"),
    ("4:933", TEST_CALL, "ACS raw id"),
    ("+933", NOBODY, "nothing but 9 before 933"),
    ("1933", NOBODY, "nothing but 9 before 933"),
    ("91933", NOBODY, "nothing but 9 before 933"),
    ("9112", NOBODY, "nothing before any other number"),
    ("+112", NOBODY, "nothing before any other number"),
    ("9999", NOBODY, "nothing before any other number"),
    ("9000", NOBODY, "nothing before any other number"),
    ("99911", NOBODY, "two outside lines"),
    ("19911", NOBODY, "no prefix of Microsoft's"),
    ("9115551234", NOBODY, "a ten-digit number that begins with 911"),
    ("5551911", NOBODY, "a number that ends in 911"),
    ("+14255550111", NOBODY, "an ordinary number"),
    ("4:+14255550111", NOBODY, "an ordinary number"),
    ("555,911", NOBODY, "no outside line before the pause"),
    ("911a", NOBODY, "a letter"),
    ("911help", NOBODY, "a longer number in a keypad's letters: 9114357"),
    ("911 ext 1", NOBODY, "no pause before it, and is_emergency_number reads 9111"),
    ("x911", NOBODY, "a letter"),
    ("*67911", NOBODY, "a number that ends in 911"),
    ("911#5551234", NOBODY, "a number that begins with 911"),
    ("911@5551", NORTH_AMERICAN, "the host is not of the number"),
    ("5551@911", NOBODY, "a host"),
    ("4:9115551234_1b2c", NOBODY, "a raw id of a ten-digit number"),
    ("+1\u00b7911\u00b7555\u00b71234", NOBODY, "a ten-digit number"),
    ("\u2079\u00b9\u00b95551234", NOBODY, "a ten-digit number, its area code in superscripts"),
    ("911+", NORTH_AMERICAN, "a plus that is not in front, which is_emergency_number passes over"),
    ("9+1+1", NORTH_AMERICAN, "likewise"),
    ("9+911", NORTH_AMERICAN, "likewise, behind an outside line"),
    ("9,+1911", NORTH_AMERICAN, "an outside line, a pause, and the number as a contact card has it"),
    ("911+5551234", NOBODY, "a number that begins with 911"),
    ("+9+33", NOBODY, "a plus in front, which only 911 may have"),
    ("@911", NORTH_AMERICAN, "nobody before the host"),
    ("sip:@911", NORTH_AMERICAN, "nobody before the host"),
    ("@911@sbc.example.com", NORTH_AMERICAN, "nobody, and then an address"),
    ("@9115551234", NOBODY, "nobody before a ten-digit number"),
    ("5551@@911", NOBODY, "a host"),
    ("911\u00bd", NORTH_AMERICAN, "a fraction, which is no digit"),
    ("\u00bd911", NORTH_AMERICAN, "a fraction"),
    ("9\u216711", NORTH_AMERICAN, "a Roman numeral, which is no digit"),
    ("911\u2469", NORTH_AMERICAN, "a circled ten, which is no digit"),
    ("9\u2776\u1369", NORTH_AMERICAN, "dingbat and Ethiopic digits, which phonenumbers reads too"),
    ("911\u00bd5551234", NOBODY, "a number that begins with 911"),
    ("91", NOBODY, "too short"),
    ("411", NOBODY, "directory enquiries"),
    ("988", NOBODY, "a crisis line, which is not an emergency number of the data"),
    ("8:acs:911", NOBODY, "a user, not a number"),
    ("urn:service:sosx", NOBODY, "another service"),
    ("urn:service:counseling", NOBODY, "another service"),
    ("", NOBODY, "nothing"),
    (",", NOBODY, "nothing but a pause"),
    ("+", NOBODY, "nothing but a plus"),
    ("9" * (MAX_DIALLED_CHARACTERS + 1), NOBODY, "too long"),
]


@pytest.mark.parametrize(("dialled", "expected", "why"), TABLE, ids=[f"{ascii(row[0])[:40]}" for row in TABLE])
def test_what_is_dialled_counts_where_the_table_says_so(dialled: str, expected: str, why: str) -> None:
    assert " ".join(_counted(dialled, caller) for caller in CALLERS) == " ".join(expected.split()), why


def _counted(dialled: str, country: str) -> str:
    try:
        return recognise(dialled, country=country, countries=CONFIGURED).number
    except NotAnEmergency:
        return "-"


def test_the_table_is_as_large_as_it_was_asked_to_be() -> None:
    assert len(TABLE) >= 80 and len({row[0] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    ("dialled", "prefix"),
    [
        ("911", None),
        ("+911", "plus"),
        ("+1911", "country_code"),
        ("1911", "trunk"),
        ("9911", "outside_line"),
        ("91911", "outside_line_and_trunk"),
        ("9,911", "outside_line"),
        ("9933", "outside_line"),
        ("933", None),
    ],
)
def test_a_prefix_that_was_taken_off_is_told(dialled: str, prefix: str | None) -> None:
    assert recognise(dialled, country="US", countries=DEFAULT).prefix == prefix


@pytest.mark.parametrize("country", ["us", "US", None, "ZZ", "FR"])
def test_an_unknown_country_and_any_case_count_as_one_that_is_configured(country: str | None) -> None:
    assert recognise("911", country=country, countries=DEFAULT) == EmergencyNumber("911", test=False)


@pytest.mark.parametrize(
    ("countries", "country", "counts"),
    [
        ({"US"}, None, True),
        ({"PR"}, None, True),
        ({"CA"}, "FR", True),
        ({"GU"}, "GU", True),
        ({"GB", "DK"}, None, False),
        ({"US", "GB"}, "GB", False),
    ],
)
def test_933_is_a_test_in_north_america_only(countries: set[str], country: str | None, counts: bool) -> None:
    if counts:
        assert recognise("933", country=country, countries=countries) == EmergencyNumber("933", test=True)
    else:
        with pytest.raises(NotAnEmergency):
            recognise("933", country=country, countries=countries)


def _knows_an_emergency_number(country: str) -> bool:
    metadata = PhoneMetadata.short_metadata_for_region(country)
    return metadata is not None and metadata.emergency is not None


def test_the_countries_without_an_emergency_number_are_those_of_phonenumbers() -> None:
    """An update of it that learns one fails here: the literal spares a cold process that import."""
    assert {each for each in COUNTRIES if not _knows_an_emergency_number(each)} == WITHOUT_EMERGENCY_NUMBER
    assert set(SUPPORTED_REGIONS) <= PLACES and {"AC", "TA", "XK"} == PLACES - COUNTRIES, "not in ISO 3166-1"


@pytest.mark.parametrize("country", sorted(WITHOUT_EMERGENCY_NUMBER))
def test_a_country_without_an_emergency_number_makes_nobodys_dial_an_ordinary_call(country: str) -> None:
    for own in (country, "US", None):
        assert recognise("911", country=own, countries={"US", country}).number == "911"
    assert recognise("933", country=country, countries={"US", country}).test


@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_every_country_is_one_where_it_is_known_whether_a_call_can_be_placed(country: str) -> None:
    number = EmergencyNumber("911", test=False)
    assert placement(number, country=country).placeable is not Placeable.UNKNOWN


_PREFIXED_911 = {"911", "1911", "9911", "91911", "933", "9933"}


@given(st.text("0123456789", min_size=7, max_size=40), st.sampled_from([*CALLERS, None]))
def test_no_string_of_seven_digits_or_more_is_an_emergency(digits: str, country: str | None) -> None:
    with pytest.raises(NotAnEmergency):
        recognise(digits, country=country, countries=CONFIGURED)


# No letter, no digit, and none of the signs whose meaning S1 gives: pauses, the host's and a raw id's. Half-width and
# full-width.
_PASSED_OVER = st.text(
    st.characters(
        categories=["Z", "Cc", "Cf", "P", "S", "M", "No", "Nl"],
        exclude_characters=",;@_:\uff0c\uff1b\uff20\uff3f\uff1a",
    ).filter(lambda character: unicodedata.digit(character, None) is None),
    max_size=3,
)
_DIGITS = st.sampled_from(["0123456789", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"])


@st.composite
def _parted(draw: st.DrawFn, digits: str) -> str:
    """The digits, plain or full-width, with what is no letter before, between and behind."""
    script = draw(_DIGITS)
    return draw(_PASSED_OVER) + "".join(script[int(digit)] + draw(_PASSED_OVER) for digit in digits)


@given(st.sampled_from(["911", "112", "999", "000"]).flatmap(_parted), st.sampled_from(["US", "CA", "GB", "DK", "AU"]))
def test_whatever_phonenumbers_reads_as_an_emergency_is_one(dialled: str, country: str) -> None:
    if is_emergency_number(dialled, country):
        assert recognise(dialled, country=country, countries=CONFIGURED).number in {"911", "112", "999", "000"}


_SHORT = st.sampled_from(["911", "112", "999", "000", "933", "9911", "55"])
_LONGER = st.tuples(_SHORT, st.text("0123456789", min_size=4, max_size=7), _SHORT).map("".join)


@given(_LONGER.flatmap(_parted), st.sampled_from([*CALLERS, None]))
def test_nothing_that_is_passed_over_makes_a_longer_number_an_emergency(dialled: str, country: str | None) -> None:
    with pytest.raises(NotAnEmergency):
        recognise(dialled, country=country, countries=CONFIGURED)


@given(st.text("0123456789+ -.()", max_size=20), st.sampled_from([*CALLERS, None]))
def test_what_counts_is_short_and_known_whatever_the_punctuation(dialled: str, country: str | None) -> None:
    digits = "".join(each for each in dialled if each.isdigit())
    try:
        number = recognise(dialled, country=country, countries=DEFAULT)
    except NotAnEmergency:
        return
    assert digits in _PREFIXED_911 | {"112"} and digits.endswith(number.number)


@given(st.text(max_size=80))
def test_no_text_whatever_raises_anything_else(dialled: str) -> None:
    try:
        number = recognise(dialled, country=None, countries=DEFAULT)
    except NotAnEmergency:
        return
    assert number.number in {"911", "112", "933"}


# Whether it can be placed (B13) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "country", "placeable", "dial"),
    [
        ("911", "US", "yes", "911"),
        ("911", "ca", "yes", "911"),
        ("911", "PR", "yes", "911"),
        ("911", "GU", "yes", "911"),
        ("112", "US", "yes", "911"),
        ("112", "CA", "yes", "911"),
        ("933", "VI", "yes", "933"),
        ("999", "GB", "yes", "999"),
        ("112", "GB", "yes", "112"),
        ("911", "GB", "yes", "999"),
        ("112", "DK", "yes", "112"),
        ("911", "DK", "yes", "112"),
        ("000", "AU", "yes", "000"),
        ("112", "AU", "yes", "000"),
        ("106", "AU", "yes", "000"),
        ("911", "MX", "no", None),
        ("112", "FR", "no", None),
        ("933", "GB", "no", None),
        ("911", "UM", "no", None),
        ("933", "um", "no", None),
        ("112", "AQ", "no", None),
        ("112", "XK", "no", None),
        ("911", None, "unknown", "911"),
        ("112", "ZZ", "unknown", "112"),
    ],
)
def test_where_the_platform_places_it_and_as_what(
    number: str, country: str | None, placeable: str, dial: str | None
) -> None:
    recognised = EmergencyNumber(number, test=number == "933")
    assert placement(recognised, country=country) == Placement(Placeable(placeable), dial)


def test_a_voice_route_that_takes_it_makes_it_unknown_abroad_and_changes_nothing_at_home() -> None:
    number = EmergencyNumber("911", test=False)
    assert placement(number, country="MX", routed={"911"}) == Placement(Placeable.UNKNOWN, "911")
    assert placement(number, country="MX", routed=None) == Placement(Placeable.UNKNOWN, "911")
    assert placement(number, country="US", routed={"911"}) == Placement(Placeable.YES, "911")


@pytest.mark.parametrize("written", ["urn:service:sos@example.com", "<urn:service:sos.fire;p=1@example.com>"])
def test_a_service_may_stand_before_a_host(written: str) -> None:
    assert recognise(written, country="GB", countries=CONFIGURED) == EmergencyNumber("999", test=False)
