"""The leak scanner (B8): looks for everything that identifies a call, in whatever form it could have got out.

    used = Registry()
    used.note("+14255550101", kind=Kind.NUMBER)
    Scanner(used).scan(text)          # [Leak(kind=…, value=…)]

A text is looked at as it is and decoded: URL, JSON escapes, base64, hexadecimal, UTF-16, also one within another. In
each of these the values are looked for whatever their case and the signs between their letters and digits. What was
only hashed is found too: a key of ours leads back to whoever can guess the id.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from urllib.parse import unquote_plus

from msgspec import Struct

from shared.domain.ids import key_of

MIN_CHARS = 6
MIN_SQUEEZED_CHARS = 8
DECODED_WITHIN = 2
NATIONAL_DIGITS = 10
MIN_DECIMALS = 3


class Kind(StrEnum):
    """What a value is."""

    NUMBER = "number"
    NAME = "name"
    EMAIL = "email"
    ADDRESS = "address"
    LOCATION = "location"
    AGENT = "agent"
    CALL = "call"


class Leak(Struct, frozen=True, order=True):
    """A value that was found where it must not be."""

    kind: Kind
    value: str


class Registry:
    """The values that a run has used; those too short to be told from other text are left out."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[Kind]] = {}

    def note(self, *values: str, kind: Kind = Kind.CALL) -> None:
        """Remember values that were used."""
        for value in values:
            if len(value) >= MIN_CHARS and not (value.isalpha() and value.islower()):
                self._remember(value, kind)

    def note_position(self, *degrees: float) -> None:
        """Remember latitudes and longitudes that are exact enough to say where somebody is."""
        for each in degrees:
            text = repr(float(each))
            if len(text.partition(".")[2]) >= MIN_DECIMALS:
                self._remember(text, Kind.LOCATION)

    def _remember(self, value: str, kind: Kind) -> None:
        kinds = self._kinds.setdefault(value, [])
        if kind not in kinds:
            kinds.append(kind)

    def values(self, kinds: Collection[Kind] = tuple(Kind)) -> Iterator[Leak]:
        """What is remembered as being of these kinds and no other, each as what it was used for first."""
        for value, used_for in list(self._kinds.items()):
            if set(used_for) <= set(kinds):
                yield Leak(used_for[0], value)

    def __contains__(self, value: str) -> bool:
        return value in self._kinds

    def __len__(self) -> int:
        return len(self._kinds)


class Scanner:
    """Looks for the values of a registry, as they are now."""

    def __init__(
        self,
        used: Registry,
        *,
        kinds: Collection[Kind] = tuple(Kind),
        but: Collection[str] = (),
        hashed: bool = True,
    ) -> None:
        self._needles: dict[str, Leak] = {}
        for leak in used.values(kinds):
            if leak.value not in but:
                forms = [*_forms(leak), *([key_of(leak.value)] if hashed else [])]
                self._needles |= {form: leak for form in forms if len(form) >= MIN_CHARS}

    def scan(self, text: str | bytes) -> list[Leak]:
        """The values that a text, or what lies in a store, gives away."""
        found: set[Leak] = set()
        for view in _views(text):
            folded = view.casefold()
            for searched in (folded, _squeezed(folded)):
                found |= self._in(searched)
        return sorted(found)

    def _in(self, text: str) -> set[Leak]:
        # Thousands of values and megabytes of text: what begins nowhere in it need not be looked for.
        begins = {text[start : start + MIN_CHARS] for start in range(len(text) - MIN_CHARS + 1)}
        likely = (needle for needle in self._needles if needle[:MIN_CHARS] in begins)
        return {self._needles[needle] for needle in likely if needle in text}

    def scan_all(self, texts: Mapping[str, str]) -> dict[str, list[Leak]]:
        """The findings by place; a place without any is left out. Each different line is looked at once."""
        lines = {place: "\n".join(dict.fromkeys(map(_untimed, text.splitlines()))) for place, text in texts.items()}
        found = {place: self.scan(text) for place, text in lines.items()}
        return {place: leaks for place, leaks in found.items() if leaks}


_TIME = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d+Z? ")


def _untimed(line: str) -> str:
    return _TIME.sub("", line)


# The forms of a value ------------------------------------------------------------------------------------------------


def _forms(leak: Leak) -> Iterator[str]:
    value = leak.value
    yield value.casefold()
    squeezed = _squeezed(value.casefold())
    if len(squeezed) >= MIN_SQUEEZED_CHARS:
        yield squeezed
    match leak.kind:
        case Kind.NUMBER:
            digits = re.sub(r"\D", "", value)
            yield digits
            yield digits[-NATIONAL_DIGITS:]
        case Kind.NAME:
            given, _, family = value.casefold().rpartition(" ")
            yield _squeezed(family + given)
        case Kind.LOCATION:
            yield from _positions(abs(float(value)))
        case _:
            return


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


def _positions(degrees: float) -> Iterator[str]:
    """Decimal degrees to 11 m, with point or comma, in millionths, degrees and minutes, NMEA; always without a sign."""
    cut = int(degrees * 10_000) / 10_000
    for decimal in (f"{degrees:.4f}", f"{cut:.4f}"):
        yield decimal
        yield decimal.replace(".", ",")
    yield str(round(degrees * 1_000_000))
    whole = int(degrees)
    minutes = (degrees - whole) * 60
    seconds = (minutes - int(minutes)) * 60
    for parts in ("{}°{:02}'{:02}", "{}° {}' {}", "{}°{:02}\u2032{:02}", "{} {:02} {:02}."):
        yield parts.format(whole, int(minutes), int(seconds))
    yield f"{whole}{minutes:07.4f}"


# The forms of a text -------------------------------------------------------------------------------------------------


def _views(text: str | bytes) -> Iterator[str]:
    """The text, and whatever can be decoded from it, and from that."""
    views = list(_texts(text))
    seen: set[str] = set()
    for _ in range(DECODED_WITHIN + 1):
        views = [view for view in dict.fromkeys(views) if view not in seen and len(view) >= MIN_CHARS]
        seen |= set(views)
        yield from views
        views = [decoded for view in views for decode in _DECODERS for decoded in decode(view)]


def _texts(text: str | bytes) -> Iterator[str]:
    if isinstance(text, bytes):
        yield text.decode("utf-8", "replace")
        yield from (text[start:].decode(coding, "ignore") for coding in ("utf-16-le", "utf-16-be") for start in (0, 1))
    else:
        yield text


def _without_nulls(text: str) -> Iterator[str]:
    if "\x00" in text:
        yield text.replace("\x00", "")


def _from_url(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote_plus(text)
        yield unquote_plus(text.replace("+", "%2B"))


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")


def _from_json(text: str) -> Iterator[str]:
    if "\\" in text:
        joined = _ESCAPE.sub(
            lambda found: chr(int(found[1] or found[2], 16)) if found[1] or found[2] else found[3], text
        )
        # A pair of surrogates is one character.
        yield joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")


def _from_bytes(text: str) -> Iterator[str]:
    if "\\x" in text:
        yield _BYTES.sub(lambda run: bytes.fromhex(run[0].replace("\\x", "")).decode("utf-8", "replace"), text)


_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[ :]?){6,}")


def _from_base64(text: str) -> Iterator[str]:
    for start in range(4):
        runs = (run[0][start:].replace("-", "+").replace("_", "/") for run in _BASE64.finditer(text))
        yield from _joined(_decoded(lambda run: base64.b64decode(run[: len(run) // 4 * 4] + _last(run)), runs))


def _last(run: str) -> str:
    rest = run[len(run) // 4 * 4 :]
    return rest + "=" * (4 - len(rest)) if len(rest) > 1 else ""


def _from_hex(text: str) -> Iterator[str]:
    for start in range(2):
        runs = (re.sub("[ :]", "", run[0])[start:] for run in _HEX.finditer(text))
        yield from _joined(_decoded(lambda run: bytes.fromhex(run[: len(run) // 2 * 2]), runs))


def _decoded(decode: Callable[[str], bytes], runs: Iterable[str]) -> Iterator[bytes]:
    for run in runs:
        try:
            yield decode(run)
        except (binascii.Error, ValueError):
            continue


def _joined(decoded: Iterable[bytes]) -> Iterator[str]:
    pieces = list(decoded)
    yield "\n".join(piece.decode("utf-8", "ignore") for piece in pieces)
    yield "\n".join(piece.decode("utf-16-be", "ignore") for piece in pieces)
    yield "\n".join(piece.decode("utf-16-le", "ignore") for piece in pieces)


_DECODERS: tuple[Callable[[str], Iterator[str]], ...] = (
    _without_nulls,
    _from_url,
    _from_json,
    _from_bytes,
    _from_base64,
    _from_hex,
)
