"""The times in what a row holds: such as cannot be compared or calculated with end the row, not a sweep.

msgspec takes a time without a zone, whose first comparison is a `TypeError`, and one at the edge of the calendar, to
which nothing can be added (`OverflowError`). `read_row` refuses them; so `state_text` refuses to write them, and an
adapter drops those that a service says.
"""

import functools
import typing
from datetime import MAXYEAR, MINYEAR, datetime

from msgspec import Struct, structs

# `tuple | list | frozenset` would be made anew for every value that is looked at.
_MANY = (tuple, list, frozenset)


def require_sound_times(found: object) -> None:
    """Raise `ValueError` unless every time in it, at any depth, has a zone and lies off the edges of the calendar."""
    left = [found]
    # The list grows while it is gone through: by what is in each.
    for each in left:
        if isinstance(each, datetime):
            if each.tzinfo is None or not MINYEAR < each.year < MAXYEAR:
                raise ValueError("a time that is kept must have a zone, and lie where it can be calculated with")
        elif isinstance(each, Struct):
            # Most fields that may hold a time are None.
            left += [value for name in _fields_with_times(type(each)) if (value := getattr(each, name)) is not None]
        elif isinstance(each, _MANY):
            left += each
        elif isinstance(each, dict):
            left += each.values()


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
