"""The Emergency Call Notification Template: a notice in words, as plain text and as HTML (S7, B6).

An administrator may put a template of their own in its place. Whatever that one does wrong, the built-in one serves,
and if even that could not be rendered, the bare facts are sent: a notice is never lost for its words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shared.domain.locations import LocationSource, ToldLocation
from shared.domain.notifications import Notice, NoticeKind
from shared.ports import RenderedNotice, Telemetry

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

LONGEST_SUBJECT = 200
LONGEST_NAME = 120
LONGEST_PLACE = 400
LONGEST_BODY = 100_000
# A message that is later than this says so: what it tells may have changed.
LATE = timedelta(minutes=2)
_FOLDER = Path(__file__).parent / "templates"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


class TemplateSources(Struct, frozen=True, kw_only=True):
    """A template in Jinja2: its subject, its plain text, its HTML."""

    subject: str
    text: str
    html: str


def built_in_sources(locale: str = "en", name: str = "emergency_call_notification") -> TemplateSources:
    """A template that comes with the product."""

    def read(part: str) -> str:
        return (_FOLDER / f"{name}.{locale}.{part}.j2").read_text(encoding="utf-8")

    return TemplateSources(subject=read("subject"), text=read("txt"), html=read("html"))


class NotificationTemplate:
    """Port `NoticeTemplate`. `edited` is an administrator's template; without one, the built-in serves."""

    def __init__(self, edited: TemplateSources | None = None, telemetry: Telemetry | None = None) -> None:
        self._edited = edited
        self._telemetry = telemetry

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        """The words of a notice. It never fails."""
        facts = facts_of(notice, now)
        # What an administrator edits is the notice of a call; a callback has words of its own.
        call = notice.kind is NoticeKind.CALL
        for template in (self._compiled_edited, self._compiled_built_in) if call else (self._compiled_callback,):
            try:
                if (compiled := template()) is not None:
                    return compiled.render(facts)
            except Exception:  # noqa: BLE001 - an edited template may raise anything at all, and the notice must go out
                if self._telemetry is not None:
                    self._telemetry.emit("template_failed")
        return _bare(facts)

    def warm_up(self) -> None:
        """Import Jinja2 and compile the templates, so that the first notice need not wait for that."""
        self._compiled_built_in()
        self._compiled_callback()

    @cache  # noqa: B019 - there is one for as long as the app lives
    def _compiled_edited(self) -> _Compiled | None:
        return _Compiled(self._edited) if self._edited is not None else None

    @cache  # noqa: B019 - as above
    def _compiled_built_in(self) -> _Compiled:
        return _Compiled(built_in_sources())

    @cache  # noqa: B019 - as above
    def _compiled_callback(self) -> _Compiled:
        return _Compiled(built_in_sources(name="emergency_callback_notification"))


class _Compiled:
    def __init__(self, sources: TemplateSources) -> None:
        plain, escaping = _environment(autoescape=False), _environment(autoescape=True)
        self._subject: Template = plain.from_string(sources.subject)
        self._text: Template = plain.from_string(sources.text)
        self._html: Template = escaping.from_string(sources.html)

    def render(self, facts: Mapping[str, Any]) -> RenderedNotice:
        subject = one_line(self._subject.render(facts), LONGEST_SUBJECT)
        text, html = self._text.render(facts).strip() + "\n", self._html.render(facts)
        if not subject or max(len(text), len(html)) > LONGEST_BODY:
            raise ValueError("a notice must have a subject and be of a sendable size")
        return RenderedNotice(subject=subject, text=text, html=html)


def _environment(*, autoescape: bool) -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(autoescape=autoescape, undefined=StrictUndefined)


def facts_of(notice: Notice, now: datetime) -> dict[str, Any]:
    """What a template may use. Every text is one line without control characters, and of a sensible length."""
    late = now - notice.dialled_at
    return {
        "kind": notice.kind.value,
        "test": notice.test,
        "degraded": notice.degraded,
        "shared": notice.shared,
        "agent": one_line(notice.agent_name or notice.agent_id, LONGEST_NAME) or "An agent",
        "agent_id": one_line(notice.agent_id, LONGEST_NAME),
        "dialled_at": _moment(notice.dialled_at),
        "dialled_time": f"{notice.dialled_at.astimezone(UTC):%H:%M} UTC",
        "callback_number": one_line(notice.callback_number, LONGEST_NAME),
        "reachable_until": _moment(notice.reachable_until),
        "location": _location(notice),
        "written_late": _duration(round(late.total_seconds())) if late > LATE else "",
    }


def one_line(text: str, longest: int) -> str:
    """`text` without line breaks, control and direction characters, and not longer than `longest`."""
    visible = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text[: longest * 4])
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _moment(moment: datetime) -> str:
    # The month in words: 03/04 is read differently on either side of an ocean.
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M:%S} UTC"


def _duration(seconds: int) -> str:
    for unit_s, unit in ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute")):
        if seconds >= unit_s:
            count = seconds // unit_s
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def _location(notice: Notice) -> dict[str, Any]:
    location = notice.location
    latitude, longitude = location.latitude, location.longitude
    position = latitude is not None and longitude is not None
    address = one_line(location.address or "", LONGEST_PLACE)
    return {
        "known": location.known and bool(address or position),
        "address": address,
        "position": position,
        "latitude": f"{latitude:.6f}" if position else "",
        "longitude": f"{longitude:.6f}" if position else "",
        "accuracy": f"{location.accuracy_m:.0f} metres" if location.accuracy_m is not None else "",
        "source": _source(location, notice.dialled_at),
    }


def _source(location: ToldLocation, dialled_at: datetime) -> str:
    """How the location is known, and how that is known of the address where it is another's (B15)."""
    words = _SOURCE_WORDS[location.source].format(age=_age(location.at, dialled_at))
    if location.source is LocationSource.CONFIRMED and location.confirmed_at is not None:
        words = f"Source: confirmed by the agent{_age(location.confirmed_at, dialled_at)}."
    if location.address_source in (None, location.source):
        return words
    return f"{words} The address is {_ADDRESS_WORDS[location.address_source]}."


def _age(at: datetime | None, dialled_at: datetime) -> str:
    return f" {_duration(max(0, round((dialled_at - at).total_seconds())))} before the call" if at is not None else ""


_SOURCE_WORDS = {
    LocationSource.LIVE: "Source: reported by the agent's desktop{age}.",
    LocationSource.CONFIRMED: "Source: confirmed by the agent{age}.",
    LocationSource.REGISTERED: "Source: the address registered for the agent. The agent may be somewhere else.",
    LocationSource.REPORTED: "Source: reported by the agent's desktop{age}, which may not be where the agent is.",
    LocationSource.UNKNOWN: "Source: none.",
}
_ADDRESS_WORDS = {
    LocationSource.LIVE: "reported by the agent's desktop",
    LocationSource.CONFIRMED: "confirmed by the agent",
    LocationSource.REGISTERED: "the one registered for the agent",
    LocationSource.REPORTED: "an older report of the agent's desktop",
}


_BARE_WORDS = {
    NoticeKind.CALL: "EMERGENCY CALL by",
    NoticeKind.CALLBACK_RECEIVED: "An emergency responder called back and was answered:",
    NoticeKind.CALLBACK_MISSED: "NOBODY ANSWERED an emergency responder who called back:",
}


def _bare(facts: Mapping[str, Any]) -> RenderedNotice:
    """What Kari's Law requires, without any template."""
    location = facts["location"]
    what = _BARE_WORDS[NoticeKind(facts["kind"])]
    what = f"TEST: {what}" if facts["test"] else what
    where = location["address"] or (f"{location['latitude']}, {location['longitude']}" if location["position"] else "")
    lines = [
        f"{what} {facts['agent']}, {facts['dialled_at']}",
        f"Number to call back: {facts['callback_number'] or 'none'}, until {facts['reachable_until']}",
        f"Location: {where or 'unknown'}",
    ]
    from html import escape

    html = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return RenderedNotice(
        subject=one_line(lines[0], LONGEST_SUBJECT), text="\n".join(lines) + "\n", html=f'<html lang="en">{html}</html>'
    )
