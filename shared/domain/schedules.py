"""NCRONTAB schedules, as the Functions host reads them: six fields, seconds first; names in full or of three letters.

The portal's form has the same rule as a regular expression, which tests compare with this.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

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

    def values(self, text: str) -> set[int]:
        """The numbers that a field means which can be read."""
        return set().union(*map(self._values_of, text.split(",")))

    def _values_of(self, part: str) -> Iterable[int]:
        values, _, step = part.partition("/")
        every = int(step or 1)
        first, dash, last = values.partition("-")
        if values == "*":
            return range(self.least, self.most + 1, every)
        if dash:
            # NCRONTAB takes the ends of a range in either order.
            least, most = sorted(map(self._value, (first, last)))
            return range(least, most + 1, every)
        # A step behind one number runs to the end of the field; 1 does not count as a step there.
        return range(self._value(first), (self._value(first) if every == 1 else self.most) + 1, every)

    def _value(self, text: str) -> int:
        if text.isdigit():
            return int(text)
        return self.least + [name[:_SHORT] for name in self.names].index(text.lower()[:_SHORT])


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


def largest_gap(text: str) -> timedelta:
    """The longest time between two runs of a schedule that can be read: a day where it leaves out days."""
    seconds, minutes, hours, *days = map(_Field.values, _FIELDS, text.split())
    if any(len(values) <= field.most - field.least for field, values in zip(_FIELDS[3:], days, strict=True)):
        return timedelta(days=1)
    # Of a minute, then of an hour, then of a day: its first and last run, and the longest time between two of its runs.
    first, last, longest, length = 0, 0, 0, 1
    for values, most in ((seconds, 60), (minutes, 60), (hours, 24)):
        ordered = sorted(values)
        between = (length * (later - earlier) + first - last for earlier, later in pairwise(ordered))
        longest = max((longest, *between))
        first, last = length * ordered[0] + first, length * ordered[-1] + last
        length *= most
    return timedelta(seconds=max(longest, length + first - last))
