"""Text in an event that looks like a date is rewritten by the Event Grid extension, in `data` too, ids included.

It reads ISO 8601 with a `T` as a date and writes it again: in UTC where an offset was given, without the zeros at the
end of the fraction. Seen: `23:00:00+02:00` arrives as `21:00:00+00:00`, `.120Z` as `.12Z`, and the number 1.10 as 1.1.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d)?")


def rewritten(value: object) -> object:
    """The value as it arrives, with every date in it written anew; names stay."""
    if isinstance(value, dict):
        return {name: rewritten(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rewritten(each) for each in value]
    return _date(value) if isinstance(value, str) else value


def _date(text: str) -> str:
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    seconds, fraction, zone = match.groups()
    fraction = (fraction or "").rstrip("0")
    try:
        moment = datetime.fromisoformat(seconds + (zone or ""))
        if zone not in (None, "Z"):
            moment, zone = moment.astimezone(UTC), "+00:00"
    except (ValueError, OverflowError):
        # No date, or none that there is in UTC: it stays text.
        return text
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{fraction}" if fraction else "") + (zone or "")
