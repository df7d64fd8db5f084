"""Strict reading of what outsiders send: one error, `Malformed`, that names the field and never holds the value."""

import functools
import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec

from shared.domain.errors import Malformed
from shared.domain.ids import normal_id
from shared.domain.words import Words

MAX_BODY_BYTES = 64 * 1024
# Beyond any field that is read, so that one which is not read, or far too long, costs a dial no more than itself.
MAX_DIAL_BYTES = 1024 * 1024
# What lies deeper is in no field that is read.
MAX_DEPTH = 32
WHOLE = "body"
# The fields, wherever they stand, whose ids are the same however they are written (`normal_id`). Ids of calls are not.
COMPARED_BY_NORMAL_ID = frozenset({"agent_id", "site_id", "desktop_id", "site"})
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
# A string whole, so that a bracket in it is none; one that never ends goes to the end: nothing is gone through twice.
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)
_LIMIT = re.compile(r"Expected (.{1,80}) <= ([0-9]{1,12})")
_OF_LENGTH = " of length"
_TYPE = re.compile(r"Expected ([^,]{1,80}), got (.{1,80})")
_MICROSECOND_DIGITS = 6
# Where msgspec says that the value is, or the name of one: "- at `$.devices`", "- at `key` in `$.devices`".
_PLACE = re.compile(r" - at `(?:key` in `)?\$([^`]*)`\Z")


def decode[T](body: bytes, kind: type[T], *, most_bytes: int = MAX_BODY_BYTES) -> T:
    """Read a JSON body as `kind`: wrong types, bad UTF-8, NaN, depth and length all raise `Malformed`.

    A byte order mark is passed over, and so is an optional field that is empty.
    """
    try:
        parsed: object = msgspec.json.decode(_text_of(body, most_bytes))
    except msgspec.DecodeError:
        raise Malformed(WHOLE, "is not valid JSON") from None
    except RecursionError:
        raise Malformed(WHOLE, "is nested too deeply") from None
    return convert(parsed, kind, "")


def loosely_parsed(body: bytes, most_bytes: int = MAX_BODY_BYTES) -> object:
    """A JSON body as some clients write it: a value may be NaN, hold a raw line break, or bytes that are not UTF-8.

    A byte that is not UTF-8 becomes half of a character, which the field that holds it is refused for, and no other.
    """
    try:
        return loads(_text_of(body, most_bytes, errors="surrogateescape"), strict=False)
    except ValueError:
        raise Malformed(WHOLE, "is not valid JSON") from None


def loads(text: str | bytes, *, strict: bool = True) -> Any:
    """JSON, with null for whatever is nested too deeply to be read; raises `ValueError`."""
    try:
        return json.loads(text, parse_int=float, strict=strict)
    except RecursionError:
        whole = text.decode() if isinstance(text, bytes) else text
        return json.loads(_without_depths(whole), parse_int=float, strict=strict)


def _without_depths(text: str) -> str:
    """The text with null for each array and object deeper than `MAX_DEPTH`: one pass, without recursion."""
    parts: list[str] = []
    depth, kept_from = 0, 0
    for token in _NESTING.finditer(text):
        if token[0] in {"[", "{"}:
            depth += 1
            if depth == MAX_DEPTH + 1:
                parts += text[kept_from : token.start()], "null"
        elif token[0] in {"]", "}"}:
            if depth == MAX_DEPTH + 1:
                kept_from = token.end()
            depth -= 1
    return "".join([*parts, text[kept_from:] if depth <= MAX_DEPTH else ""])


def _text_of(body: bytes, most_bytes: int = MAX_BODY_BYTES, *, errors: str = "strict") -> str:
    if len(body) > most_bytes:
        raise Malformed(WHOLE, Words("is longer than {most} bytes", most=most_bytes))
    if is_empty(body):
        raise Malformed(WHOLE, "is empty")
    try:
        return body.decode("utf-8-sig", errors)
    except UnicodeError:
        raise Malformed(WHOLE, "is not UTF-8") from None


def plain_text(body: bytes) -> str:
    """A body that is text, without its byte order mark; raises `Malformed`."""
    return "" if is_empty(body) else _text_of(body)


def is_empty(body: bytes) -> bool:
    """Whether there is no body: a byte order mark alone is none."""
    return not body.removeprefix(BOM_UTF8).strip()


def says_nothing(body: bytes) -> bool:
    """Whether there is no body, or `null`, which some clients write for one that they do not have."""
    return is_empty(body) or body.removeprefix(BOM_UTF8).strip() == b"null"


def convert_leniently[T: msgspec.Struct](
    sent: Mapping[str, object], kind: type[T], field: str = ""
) -> tuple[T, tuple[str, ...]]:
    """As `convert`, but an optional field that is empty or faulty is left out; gives the names of these as well."""
    kept: dict[str, object] = {}
    left_out: list[str] = []
    for each in _fields(kind):
        if not each.required and sent.get(each.encode_name) is None:
            continue
        try:
            kept[each.name] = _field(sent, each, _joined(field, each.encode_name))
        except Malformed:
            if each.required:
                raise
            left_out.append(each.encode_name)
    return kind(**kept), tuple(left_out)


def _field(sent: Mapping[str, object], each: msgspec.structs.FieldInfo, path: str) -> object:
    if each.encode_name not in sent:
        raise Malformed(path, "is missing")
    value = sent[each.encode_name]
    if not each.required and _is_blank(value):
        raise Malformed(path, "is empty")
    return _sound_value(convert(value, each.type, path), path)


def convert[T](value: object, kind: type[T], field: str) -> T:
    """Read what was already parsed as JSON as `kind`; `field` is what to call the whole in an error."""
    try:
        converted = msgspec.convert(_without_empty(value, kind), kind)
    except msgspec.ValidationError as error:
        raise _malformed(error, field) from None
    except UnicodeError:
        raise Malformed(field, "holds half of a character") from None
    except RecursionError:
        raise Malformed(field, "is nested too deeply") from None
    return sound(converted, field)


def _without_empty(value: object, kind: object) -> object:
    """`value` without the optional fields that are empty or blank: a form sends those that nobody filled in."""
    fields = _fields_in(kind)
    if isinstance(value, list) and fields:
        return [_without_empty(each, kind) for each in value]
    if not (isinstance(value, Mapping) and fields):
        return value
    return {
        name: _without_empty(each, fields[name].type) if name in fields else each
        for name, each in value.items()
        if name not in fields or fields[name].required or not _is_blank(each)
    }


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a struct, which msgspec works out from its annotations each time: half a millisecond."""
    return msgspec.structs.fields(kind)


@functools.cache
def _fields_in(kind: Any) -> Mapping[str, msgspec.structs.FieldInfo]:
    """The fields of the struct that `kind` is, may be, or is a list of, by their names on the wire."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {each.encode_name: each for each in _fields(kind)}
    inner = map(_fields_in, get_args(getattr(kind, "__value__", kind)))
    return next((fields for fields in inner if fields), {})


def _malformed(error: msgspec.ValidationError, field: str) -> Malformed:
    message = str(error)
    # msgspec quotes the value in this one kind of message, which may not be passed on.
    if message.startswith("Invalid enum value"):
        return Malformed(_path(message, field), "is none of the values allowed")
    reason, _, _ = message.rpartition(" - at `")
    missing = _MISSING.match(message)
    if missing is not None:
        return Malformed(_joined(_path(message, field, whole=""), missing[1]), "is missing")
    if " matching regex " in message:
        return Malformed(_path(message, field), "does not have the form required")
    return Malformed(_path(message, field), _expected((reason or message).replace("`", "")))


def _expected(said: str) -> str:
    """Msgspec's own words: those of a limit and of a type have translations, and others are rare enough without."""
    limit, kind = _LIMIT.fullmatch(said), _TYPE.fullmatch(said)
    if limit is not None:
        kept, most = limit.groups()
        if kept.endswith(_OF_LENGTH):
            return Words("Expected {kind} of length <= {most}", kind=kept.removesuffix(_OF_LENGTH), most=int(most))
        return Words("Expected {kind} <= {most}", kind=kept, most=int(most))
    return Words("Expected {kind}, got {other}", kind=kind[1], other=kind[2]) if kind is not None else said


def _path(message: str, field: str, whole: str = WHOLE) -> str:
    place = _PLACE.search(message)
    inner = place[1].removeprefix(".") if place is not None else ""
    return _joined(field, inner) or whole


def _joined(outer: str, inner: str) -> str:
    return outer + inner if inner.startswith("[") else ".".join(part for part in (outer, inner) if part)


def sound[T](value: T, field: str = "") -> T:
    """The same struct with its times in UTC; refuses text, numbers and times that cannot be kept or calculated with."""
    if not isinstance(value, msgspec.Struct):
        return value
    changes = {}
    for name in value.__struct_fields__:
        old = getattr(value, name)
        new = _sound_value(old, _joined(field, name))
        if new is not old:
            changes[name] = new
    return msgspec.structs.replace(value, **changes) if changes else value


def _sound_value(value: object, field: str) -> object:
    match value:
        case str():
            return whole_text(value, field)
        case float() if not math.isfinite(value):
            raise Malformed(field, "is not a finite number")
        case datetime():
            return in_range(value, field)
        case list() | tuple():
            for index, entry in enumerate(value):
                _sound_value(entry, f"{field}[{index}]")
            return value
        case _:
            return sound(value, field)


def whole_text(value: str, field: str) -> str:
    """The text itself; `Malformed` if it holds half of a surrogate pair, which no store and no log can hold.

    `Malformed` too for an id of `COMPARED_BY_NORMAL_ID` that has nothing visible: all of these have the normal form "",
    and would be one agent, site or desktop.
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed(field, "holds half of a character") from None
    if field.rpartition(".")[2] in COMPARED_BY_NORMAL_ID and not normal_id(value):
        raise Malformed(field, "holds nothing that can be seen")
    return value


def in_range(moment: datetime, field: str) -> datetime:
    """The moment in UTC; `Malformed` if it has no zone or lies where it cannot be calculated with."""
    offset = moment.utcoffset()
    if offset is None:
        raise Malformed(field, "is a time without a zone")
    naive = moment.replace(tzinfo=None)
    day = timedelta(days=1)
    if not EARLIEST.replace(tzinfo=None) + day <= naive <= LATEST.replace(tzinfo=None) - day:
        raise Malformed(field, "is too far from the present")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def moment_of(text: str, field: str) -> datetime:
    """A time as services write it, in UTC: any number of fraction digits, any offset; without a zone it is UTC."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise Malformed(field, "is not an RFC 3339 time")
    day, time_of_day, fraction, zone = match.groups()
    digits = (fraction or "")[:_MICROSECOND_DIGITS].ljust(_MICROSECOND_DIGITS, "0")
    offset = "+00:00" if zone is None or zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{time_of_day}.{digits}{offset}")
    except ValueError:
        raise Malformed(field, "is not an RFC 3339 time") from None
    return in_range(moment, field)


# Loose objects, whose senders vary the names of their fields ---------------------------------------------------------


def mapping(value: object, field: str) -> Mapping[str, object]:
    """`value` as an object."""
    if not isinstance(value, Mapping):
        raise Malformed(field, "is missing" if value is None else "is not an object")
    return value


def text(value: object, field: str, longest: int) -> str:
    """`value` as text of 1 to `longest` characters."""
    if value is None:
        raise Malformed(field, "is missing")
    if not isinstance(value, str):
        raise Malformed(field, "is not text")
    if not 1 <= len(value) <= longest:
        raise Malformed(field, Words("is not {least} to {most} characters long", least=1, most=longest))
    return whole_text(value, field)


def text_if_sound(value: object, longest: int) -> str | None:
    """As `text`; None for everything that is not such text."""
    try:
        return text(value, WHOLE, longest)
    except Malformed:
        return None


def plain_id(sent: str) -> str:
    """An id with `%2F`, in either case, read as a slash.

    The Functions host hands that one escape on as it stands in an address, and so an id that came in a path could not
    be told to be the one that came in a body.
    """
    return sent.replace("%2F", "/").replace("%2f", "/")


def text_or_none(value: object, field: str, longest: int) -> str | None:
    """As `text`; nothing and the empty text are None."""
    return None if value is None or value == "" else text(value, field, longest)
