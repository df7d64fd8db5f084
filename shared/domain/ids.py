"""Ids of our own, derived so that a repeat is the same thing and not a second one."""

import functools
import hashlib
import re
import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from string import ascii_lowercase, ascii_uppercase
from typing import Annotated

from msgspec import Meta

NAMESPACE = uuid.UUID("6f0c1b0e-8f0d-5b57-9a83-8a3b0a1f9f11")
KEY_HEX_DIGITS = 32
MAX_MOMENT_CHARS = 40
WORD_SYLLABLES = 5
WORD_BITS = 30
_CONSONANTS, _VOWELS = "bdfgklmnprstvwxz", "aiou"
_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(?:[Zz]|([+-]\d\d):?(\d\d)?)?", re.ASCII)

# An id of our own that rows are named by. A stored one that no key could hold is not read: the row is damaged.
type Key = Annotated[str, Meta(pattern=r"\A[ -\"$-.0->@-\[\]-{}]{0,256}\Z")]


def key_of(outside_id: str) -> str:
    """A fixed-length key for an id from outside, which may hold slashes, control characters or 600 characters.

    128 bits of SHA-256 in hexadecimal: safe in a RowKey, and no way back to the id. An id that looks like a time has
    the same key in every way of writing that time, because the Functions host rewrites such text in events.
    """
    same = _as_moment(outside_id) or outside_id
    return hashlib.sha256(same.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_HEX_DIGITS]


def normal_id(agent_id: str) -> str:
    """The one form in which agents' ids are compared: case, blanks, invisible characters and Unicode forms aside."""
    moment = _as_moment(agent_id.strip())
    if moment is not None:
        return moment
    plain = unicodedata.normalize("NFKC", agent_id)
    visible = "".join(each for each in plain if unicodedata.category(each) not in {"Cf", "Cc"} or each.isspace())
    return unicodedata.normalize("NFKC", " ".join(visible.split()).casefold())


@functools.lru_cache(maxsize=4096)
def agent_key_of(agent_id: str) -> str:
    """The key of what is stored of a listed agent, however their id is written."""
    return key_of(normal_id(agent_id))


def _as_moment(outside_id: str) -> str | None:
    """The time that `outside_id` may be read as, in UTC and to the millisecond; None where it is no time."""
    match = _MOMENT.fullmatch(outside_id) if len(outside_id) <= MAX_MOMENT_CHARS else None
    if match is None:
        return None
    seconds, fraction, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(f"{(hours or '+')[0]}{minutes or 0}"))
    try:
        moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC) - offset
    except (ValueError, OverflowError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{(fraction or '').ljust(3, '0')[:3]}Z"


def guid_of(text: str) -> str | None:
    """The GUID that the text is, in lower case; None where it is none."""
    return text.lower() if _GUID.fullmatch(text) else None


def ascii_lower(text: str) -> str:
    """`text` with A to Z in lower case and nothing else changed: `casefold` makes a k of the Kelvin sign."""
    return text.translate(_ASCII_LOWER)


def leg_id_of(agent_key: str, call_id: str) -> str:
    """The id of a leg of the emergency of this key, the same whichever way and however often the call is reported."""
    return derived(f"{agent_key}|{key_of(call_id)}", "leg")


def derived(origin: str, purpose: str) -> str:
    """A UUID for what `origin` owes for `purpose`: idempotency keys, operation ids, holds."""
    return str(uuid.uuid5(NAMESPACE, f"{origin}|{purpose}"))


def word_of(number: int) -> str:
    """A word of five syllables for a random number of `WORD_BITS` bits, to be said in the log for one emergency."""
    syllables = []
    for _ in range(WORD_SYLLABLES):
        number, consonant = divmod(number, len(_CONSONANTS))
        number, vowel = divmod(number, len(_VOWELS))
        syllables.append(_CONSONANTS[consonant] + _VOWELS[vowel])
    return "".join(syllables)


def repeatability_id(origin: str, purpose: str) -> str:
    """As `derived`, shaped as version 4, which some services insist on for `Repeatability-Request-ID`."""
    digest = bytearray(uuid.UUID(derived(origin, purpose)).bytes)
    digest[6] = (digest[6] & 0x0F) | 0x40
    digest[8] = (digest[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))
