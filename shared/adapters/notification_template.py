"""The Emergency Call Notification Template: a notice in words, as plain text and as HTML (S7, B6).

An administrator may put a template of their own in its place. Whatever that one does wrong, the built-in one serves,
and if even that could not be rendered, the bare facts are sent: a notice is never lost for its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from msgspec import Struct

from shared.adapters.built_in_templates import built_in_sources, words
from shared.adapters.notice_facts import facts_of, one_line
from shared.adapters.shown_html import shown
from shared.adapters.template_language import compiled, is_sendable
from shared.domain.ids import ascii_lower
from shared.domain.notice_templates import LANGUAGES, TemplateKind, TemplateSources, language_of
from shared.domain.notifications import Notice, NoticeKind
from shared.ports import RenderedNotice, Telemetry

if TYPE_CHECKING:
    from jinja2 import Template

MAX_SUBJECT_CHARACTERS = 200
# Well above what a template may be itself: what passed with short facts is sent with long ones, too.
MAX_BODY_CHARACTERS = 400_000
# Stands for every fact where a template's own words are looked for: facts may hold any word, a name in brackets too.
_ANY_FACT = "-"
_OWN_VOCABULARY = frozenset({"kind", "placeable"})
# Marks stand in brackets in front of a subject: RFC 5256 (2.1) takes such off before it compares subjects.
_MARKS = re.compile(r"^(?:\[[^\[\]]*\]\s*)+")

type Facts = Mapping[str, str | bool]
type Edited = Callable[[TemplateKind, str], TemplateSources | None]


def nothing_edited(kind: TemplateKind, language: str) -> TemplateSources | None:  # noqa: ARG001
    """No administrator has put a template in place of a built-in one."""
    return None


class NotificationTemplate:
    """Port `NoticeTemplate`. `edited` gives an administrator's template; where it gives none, the built-in serves."""

    def __init__(self, edited: Edited = nothing_edited, telemetry: Telemetry | None = None) -> None:
        self._edited = edited
        self._telemetry = telemetry

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        """The words of a notice, of a merged one those of each part by itself. It never fails."""
        return self._rendered(notice, now)[0]

    def _rendered(self, notice: Notice, now: datetime) -> tuple[RenderedNotice, str]:
        """The words of a notice, and its subject without marks in front."""
        if notice.parts:
            joined = _joined([self._rendered(part, now) for part in notice.parts], notice)
            return joined, joined.subject
        facts = facts_of(notice, now)
        kind, language = template_kind(notice.kind), language_of(notice.locale)
        for sources in (self._edited, built_in_sources):
            try:
                if (found := sources(kind, language)) is not None:
                    told = render(found, facts)
                    marked = _marked(_placed(told, facts), _mark_said(found, facts, notice), notice)
                    return marked, _unmarked(told.subject, _own_words(found, facts)[0])
            except Exception:  # noqa: BLE001 - an edited template may raise anything at all, and the notice must go out
                if self._telemetry is not None:
                    self._telemetry.emit("template_failed")
        bare = _bare(facts)
        return _marked(bare, _NOWHERE, notice), _unmarked(bare.subject, _bare(_neutral(facts)).subject)

    def warm_up(self) -> None:
        """Import what renders and compile the built-in templates, so that the first notice need not wait for that."""
        for language in LANGUAGES[:1]:
            for kind in TemplateKind:
                _compiled(built_in_sources(kind, language))


def template_kind(kind: NoticeKind) -> TemplateKind:
    """Which template a notice is made from."""
    if kind is NoticeKind.CALL:
        return TemplateKind.CALL
    return TemplateKind.CALLBACK if kind.value.startswith("callback") else TemplateKind.CLOSING


def render(sources: TemplateSources, facts: Facts) -> RenderedNotice:
    """A template with these facts; raises `ValueError` where that is not in the language, or cannot be sent."""
    subject, text, html = (form.render(facts) for form in _compiled(sources))
    subject, text = one_line(subject, MAX_SUBJECT_CHARACTERS), text.strip() + "\n"
    if not subject or max(len(text), len(html)) > MAX_BODY_CHARACTERS:
        raise ValueError("a notice must have a subject and be of a sendable size")
    if not (is_sendable(text) and is_sendable(html)):
        raise ValueError("a notice must be of characters that can be sent")
    return RenderedNotice(subject=subject, text=text, html=html)


def _compiled(sources: TemplateSources) -> list[Template]:
    return [compiled(source, part) for part, source in sources.parts().items()]


def _placed(notice: RenderedNotice, facts: Facts) -> RenderedNotice:
    """With the place in text and HTML each: a template may tell addresses only, where only a position is known."""
    address, latitude = str(facts["location_address"]), str(facts["location_latitude"])
    place = f"{latitude}, {facts['location_longitude']}" if latitude else address
    if facts["kind"] != "call" or not place:
        return notice

    def tells(said: str) -> bool:
        return any(known and known.lower() in said.lower() for known in (address, latitude))

    return RenderedNotice(
        subject=notice.subject,
        text=notice.text if tells(notice.text) else f"{notice.text}{place}\n",
        html=notice.html if tells(shown(notice.html)) else _in_body(notice.html, last=f"<p>{escape(place)}</p>"),
    )


def _in_body(html: str, first: str = "", last: str = "") -> str:
    """`html` with more at the beginning and end of what it shows, so that a merged message shows it as well."""
    begins, ends = _body(html)
    return f"{html[:begins]}{first}{html[begins:ends]}{last}{html[ends:]}"


class _Said(Struct, frozen=True):
    """Where a template itself says what a notice is marked as."""

    subject: bool = False
    text: bool = False
    html: bool = False


_NOWHERE = _Said()


def _mark_of(notice: Notice) -> str | None:
    """The word that all languages have for it (B9)."""
    return "DRILL" if notice.drill else "TEST" if notice.test else None


def _mark_said(sources: TemplateSources, facts: Facts, notice: Notice) -> _Said:
    """Where the template's own words have the mark, and only for what is marked so: LATEST is none."""
    mark = _mark_of(notice)
    if mark is None:
        return _NOWHERE
    plain = {**facts, "test": False, "drill": False}
    pairs = zip(_own_words(sources, facts), _own_words(sources, plain), strict=True)
    return _Said(*(own.count(mark) > without.count(mark) for own, without in pairs))


def _own_words(sources: TemplateSources, facts: Facts) -> tuple[str, str, str]:
    """Subject, text and what the HTML shows as the template alone has them, whatever the facts are."""
    subject, text, html = (form.render(_neutral(facts)) for form in _compiled(sources))
    return one_line(subject, MAX_SUBJECT_CHARACTERS), text, shown(html)


def _neutral(facts: Facts) -> Facts:
    """The facts without what others wrote; empty is what was empty, since a template chooses by that."""
    return {
        name: _ANY_FACT if isinstance(fact, str) and fact and name not in _OWN_VOCABULARY else fact
        for name, fact in facts.items()
    }


def _unmarked(subject: str, own_subject: str) -> str:
    """A subject without the marks that stand in front of the template's own words."""
    marks = _MARKS.match(own_subject)
    return subject.removeprefix(marks[0]) if marks else subject


def _marked(notice: RenderedNotice, already: _Said, of: Notice) -> RenderedNotice:
    """Whatever a template says: a drill says DRILL and the test number TEST in each part (B9)."""
    mark = _mark_of(of)
    if mark is None:
        return notice
    said = words(language_of(of.locale))[f"mark_{mark.lower()}"]
    subject = one_line(f"{said} {notice.subject}", MAX_SUBJECT_CHARACTERS)
    # The template's own mark is lost where the subject was too long.
    return RenderedNotice(
        subject=notice.subject if already.subject and mark in notice.subject else subject,
        text=notice.text if already.text else f"{said}\n{notice.text}",
        html=notice.html if already.html else _in_body(notice.html, first=f"<p>{escape(said)}</p>"),
    )


def _joined(rendered: Sequence[tuple[RenderedNotice, str]], merged: Notice) -> RenderedNotice:
    """Several notices in one message, under a subject that says how many; of one emergency, in its thread.

    `rendered` are the notices, each with its subject without marks.
    """
    parts = [part for part, _ in rendered]
    if len(parts) == 1:
        return parts[0]
    language = language_of(merged.locale)
    subject = words(language)["subject_merged"].format(count=len(parts))
    if merged.mail_thread:
        subject = one_line(f"[{subject}] {rendered[-1][1]}", MAX_SUBJECT_CHARACTERS)
    bodies = (f"<h2>{escape(part.subject)}</h2>\n{part.html[slice(*_body(part.html))]}" for part in parts)
    joined = RenderedNotice(
        subject=subject,
        text="\n".join(f"{part.subject}\n\n{part.text}\n{'-' * 40}" for part in parts) + "\n",
        html=f'<!DOCTYPE html>\n<html lang="{language}">\n<head><meta charset="utf-8"></head>\n<body>\n'
        + "\n<hr>\n".join(bodies)
        + "\n</body>\n</html>\n",
    )
    return _marked(joined, _NOWHERE, merged)


def _body(html: str) -> tuple[int, int]:
    """Where what a document shows begins and ends; all of a text that is none."""
    folded = ascii_lower(html)
    begins, ends = folded.find(">", max(folded.find("<body"), 0)), folded.rfind("</body>")
    return (begins + 1, ends) if "<body" in folded and begins < ends else (0, len(html))


_BARE_MARKS = {
    "callback_answered": "[CALLBACK ANSWERED] ",
    "callback_missed": "[CALLBACK MISSED] ",
    "closing": "[OVER] ",
}


def _bare(facts: Facts) -> RenderedNotice:
    """What Kari's Law requires, without any template."""
    subject = f"{_BARE_MARKS.get(str(facts['kind']), '')}EMERGENCY CALL by {facts['agent']}"
    lines = [f"{subject}, {facts['dialled_at']}"]
    if facts["kind"] != "closing":
        place = facts["location_address"] or f"{facts['location_latitude']} {facts['location_longitude']}".strip()
        lines += [
            f"Number to call back: {facts['callback_number'] or 'none'}, until {facts['reachable_until']}",
            f"Location: {place or 'unknown'}",
        ]
    html = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return RenderedNotice(
        subject=one_line(subject, MAX_SUBJECT_CHARACTERS),
        text="\n".join(lines) + "\n",
        html=f'<html lang="en">{html}</html>',
    )
