"""What a template of a notice may tell, in the reader's language, with times in their zone (B6, B11)."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.adapters.built_in_templates import words
from shared.domain.locations import LocationSource, ToldLocation
from shared.domain.notice_templates import language_of
from shared.domain.notifications import Notice, NoticeKind

if TYPE_CHECKING:
    from babel import Locale

MAX_NAME_CHARACTERS = 120
MAX_PLACE_CHARACTERS = 400
# A message that is later than this says so: what it tells may have changed.
LATE = timedelta(minutes=2)
_KINDS = {
    NoticeKind.CALL: "call",
    NoticeKind.CALLBACK_RECEIVED: "callback_answered",
    NoticeKind.CALLBACK_MISSED: "callback_missed",
    NoticeKind.CLOSING: "closing",
}
_ENGLISH = "en"

type Facts = dict[str, str | bool]


def facts_of(notice: Notice, now: datetime) -> Facts:
    """Every fact of the contract's list; each text is one line without control characters, of a sensible length."""
    speech = _Speech(notice.locale, notice.time_zone)
    late = now - notice.happened_at
    return {
        "kind": _KINDS[notice.kind],
        "test": notice.test,
        "drill": notice.drill,
        "claimed": notice.claimed,
        "degraded": notice.degraded,
        "shared": notice.shared,
        "foreign": notice.foreign,
        "number_shown": notice.number_shown,
        "placeable": notice.placeable.value,
        "agent": one_line(notice.agent_name or notice.agent_id, MAX_NAME_CHARACTERS) or speech.words["somebody"],
        "agent_id": one_line(notice.agent_id, MAX_NAME_CHARACTERS),
        "site": one_line(notice.site or "", MAX_NAME_CHARACTERS),
        "dialled": one_line(notice.dialled, MAX_NAME_CHARACTERS),
        "dialled_at": speech.moment(notice.dialled_at),
        "dialled_time": speech.time(notice.dialled_at),
        "ended_at": speech.moment(notice.ended_at) if notice.ended_at else "",
        "callback_number": one_line(notice.callback_number, MAX_NAME_CHARACTERS),
        "reachable_until": speech.moment(notice.reachable_until),
        "late": speech.duration(late) if late > LATE else "",
        **_location_facts(notice, speech),
    }


def _location_facts(notice: Notice, speech: _Speech) -> Facts:
    location = notice.location
    latitude, longitude = location.latitude, location.longitude
    position = latitude is not None and longitude is not None
    address = one_line(location.address or "", MAX_PLACE_CHARACTERS)
    return {
        "location_known": location.known and bool(address or position),
        "location_address": address,
        # With a point in every language: they are typed into maps.
        "location_latitude": f"{latitude:.6f}" if position else "",
        "location_longitude": f"{longitude:.6f}" if position else "",
        "location_accuracy": speech.metres(location.accuracy_m) if location.accuracy_m is not None else "",
        "location_source": _source(location, notice.dialled_at, speech),
        "location_at": speech.moment(location.at) if location.at else "",
        # No interface tells us of a location that a carrier sent along, and on the platform's own numbers none is.
        "location_conveyed": False,
    }


def _source(location: ToldLocation, dialled_at: datetime, speech: _Speech) -> str:
    """How the location is known; and how the address is, where that came from somewhere else (B15)."""
    seen_at = location.confirmed_at if location.source is LocationSource.CONFIRMED else location.at
    age = speech.age(dialled_at - seen_at) if seen_at is not None else ""
    told = speech.words[f"source_{location.source.value}"].format(age=age)
    if location.address_source in (None, location.source):
        return told
    return f"{told} {speech.words[f'address_{location.address_source.value}']}"


class _Speech:
    """How times, durations and lengths are said to one reader."""

    def __init__(self, locale: str | None, time_zone: str | None) -> None:
        self.words = words(language_of(locale))
        self._locale = _babel_locale(locale)
        self._zone = _zone(time_zone)

    def moment(self, moment: datetime) -> str:
        """Date and time with the zone's name; the month in words, since 03/04 is read differently across an ocean."""
        from babel.dates import format_date, get_datetime_format

        local = moment.astimezone(self._zone)
        if self._locale.language == _ENGLISH:
            joined, time = "{1}, {0}", self._time(local, "HH:mm:ss")
            return self._said(joined.format(time, format_date(local, "d MMMM yyyy", self._locale)), local)
        # Babel's long format has the zone's name or offset in it, and what it calls a zone few people know.
        joined = str(get_datetime_format("long", self._locale)).replace("'", "")
        return self._said(joined.format(self._time(local, "medium"), format_date(local, "long", self._locale)), local)

    def time(self, moment: datetime) -> str:
        """The time of day to the minute, with the zone's name."""
        local = moment.astimezone(self._zone)
        return self._said(self._time(local, "short"), local)

    def _time(self, local: datetime, pattern: str) -> str:
        from babel.dates import format_time

        return format_time(local, pattern, tzinfo=self._zone, locale=self._locale)

    def _said(self, said: str, local: datetime) -> str:
        return one_line(f"{said} {local.tzname() or 'UTC'}", MAX_NAME_CHARACTERS)

    def duration(self, duration: timedelta) -> str:
        """A length of time in its largest unit: seconds, minutes, hours, days."""
        from babel.dates import format_timedelta

        return format_timedelta(duration, threshold=1.0, locale=self._locale)

    def age(self, before: timedelta) -> str:
        """How long before the call; of what came with the dial, or by a clock ahead of ours, the time of the call."""
        if before < timedelta(seconds=1):
            return self.words["age_none"]
        return self.words["age"].format(duration=self.duration(before))

    def metres(self, metres: float) -> str:
        """A length in whole metres; very large ones are no accuracy at all, and are said as they are."""
        from babel.units import format_unit

        if math.isnan(metres):
            return ""
        return format_unit(round(min(max(metres, 0.0), 1e9)), "length-meter", length="long", locale=self._locale)


# Whoever dials says which locale.
@lru_cache(maxsize=64)
def _babel_locale(locale: str | None) -> Locale:
    """The reader's own conventions where the language is one of ours; else plain English."""
    from babel import Locale, UnknownLocaleError

    language = language_of(locale)
    try:
        wanted = Locale.parse((locale or language).replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale(language)
    return wanted if wanted.language == language else Locale(language)


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def one_line(text: str, longest: int) -> str:
    """`text` without line breaks, control and direction characters, and not longer than `longest`."""
    visible = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text[: longest * 4])
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
