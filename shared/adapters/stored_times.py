"""The times in what a row holds: such as cannot be compared or calculated with end the row, not a sweep.

msgspec takes a time without a zone, whose first comparison is a `TypeError`, and one at the edge of the calendar, to
which nothing can be added (`OverflowError`). `read_row` refuses them; so `state_text` refuses to write them, and an
adapter drops those that a service says.
"""

import functools
import typing
from datetime import MAXYEAR, MINYEAR, datetime

from msgspec import Struct, structs


def require_sound_times(found: object) -> None:
    """Raise `ValueError` unless every time in it, at any depth, has a zone and lies off the edges of the calendar."""
    left = [found]
    while left:
        each = left.pop()
        if each is None:
            continue
        if isinstance(each, datetime):
            if each.tzinfo is None or not MINYEAR < each.year < MAXYEAR:
                raise ValueError("a time that is kept must have a zone, and lie where it can be calculated with")
        elif isinstance(each, Struct):
            left += [getattr(each, name) for name in _fields_with_times(type(each))]
        elif isinstance(each, dict):
            left += each.values()
        elif isinstance(each, tuple | list | frozenset):
            left += each


@functools.cache
def _fields_with_times(kind: type[Struct]) -> tuple[str, ...]:
    """The fields that may hold a time at some depth: only these are looked at."""
    return tuple(each.name for each in structs.fields(kind) if _may_hold_time(each.type))


def _may_hold_time(annotation: object) -> bool:
    if isinstance(annotation, typing.TypeAliasType):
        return _may_hold_time(annotation.__value__)
    inner = typing.get_args(annotation)
    if inner:
        return any(map(_may_hold_time, inner))
    return isinstance(annotation, type) and issubclass(annotation, datetime | Struct)
