"""The countries, as ISO 3166-1 alpha-2 names them, and those of which no emergency number is known.

Both are literals, held against `phonenumbers` by a test: that package takes longer to import than a cold process has.
"""

_ISO_3166_1 = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY "
    "BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK "
    "FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR "
    "IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK "
    "ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM "
    "PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF "
    "TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"
)
COUNTRIES = frozenset(_ISO_3166_1.split())
# Reserved by ISO or in general use, and known to `phonenumbers`: Ascension, Tristan da Cunha, Kosovo.
PLACES = COUNTRIES | {"AC", "TA", "XK"}
# Configured alone, one of these would make every number that is dialled no emergency.
WITHOUT_EMERGENCY_NUMBER = frozenset(["AQ", "BV", "GN", "GQ", "GS", "HM", "IO", "PN", "TF", "TK", "UM"])


def is_place(country: str) -> bool:
    """Whether there is such a country, in either case; ZZ, EU and UK are none."""
    return country.upper() in PLACES
