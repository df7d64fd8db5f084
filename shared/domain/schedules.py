"""NCRONTAB schedules, as the Functions host reads them: six fields, seconds first; names in full or of three letters.

The portal's form has the same rule as a regular expression, which tests compare with this.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

_NUMBER = re.compile(r"[0-9]{1,2}", re.ASCII)
_MONTHS = "january february march april may june july august september october november december"
_SHORT = len("jan")
_DAYS = "sunday monday tuesday wednesday thursday friday saturday"


class _Field(Struct, frozen=True):
    """One field: the numbers that it may hold and, where it has any, the names that stand for them."""

    least: int
    most: int
    names: Sequence[str] = ()

    def accepts(self, text: str) -> bool:
        """Whether it can be read: a list of `*`, values and ranges, each perhaps with a step."""
        return all(self._is_part(part) for part in text.split(","))

    def _is_part(self, part: str) -> bool:
        values, slash, step = part.partition("/")
        first, dash, last = values.partition("-")
        stepped = not slash or (_NUMBER.fullmatch(step) is not None and int(step) > 0)
        return stepped and (values == "*" or (self._is_value(first) and (not dash or self._is_value(last))))

    def _is_value(self, text: str) -> bool:
        if _NUMBER.fullmatch(text) is not None:
            return self.least <= int(text) <= self.most
        return any(text.lower() in (name, name[:_SHORT]) for name in self.names)


_FIELDS = (
    _Field(0, 59),
    _Field(0, 59),
    _Field(0, 23),
    _Field(1, 31),
    _Field(1, 12, _MONTHS.split()),
    _Field(0, 6, _DAYS.split()),
)


def is_schedule(text: str) -> bool:
    """Whether it is {second} {minute} {hour} {day} {month} {day of the week}, each of which can be read."""
    parts = text.split()
    return len(parts) == len(_FIELDS) and all(map(_Field.accepts, _FIELDS, parts))
