"""Numbers in E.164 form."""

import re

MAX_DIGITS = 15
MAX_E164_CHARACTERS = len("+") + MAX_DIGITS
_E164 = re.compile(rf"\+[1-9]\d{{6,{MAX_DIGITS - 1}}}", re.ASCII)


def is_e164(text: str) -> bool:
    """Whether `text` is a full international number: a plus and 7 to 15 digits (ITU-T E.164)."""
    return _E164.fullmatch(text) is not None


def digits_of(e164: str) -> str:
    """The digits alone, as row keys hold them."""
    return e164.removeprefix("+")


def country_of(e164: str) -> str | None:
    """The country that a number belongs to, ISO 3166-1 alpha-2; None for one of no country, such as a satellite's."""
    from phonenumbers import NumberParseException, parse, region_code_for_number

    try:
        region = region_code_for_number(parse(e164))
    except NumberParseException:
        return None
    return region if region is not None and region.isalpha() else None
