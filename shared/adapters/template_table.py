"""The notice templates that administrators wrote, in the table of the directory, over the built-in ones (S7).

template|{kind}|{language}   the sources, as JSON; its version is the template's version
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from shared.adapters.built_in_templates import built_in_sources
from shared.adapters.notice_facts import facts_of
from shared.adapters.notification_template import render
from shared.adapters.table import (
    Delete,
    Insert,
    Replace,
    Row,
    RowConflict,
    Table,
    Write,
    long_state_values,
    read_long_state,
)
from shared.adapters.template_language import faults_of
from shared.adapters.template_lint import lint
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict, EmergencyCallingError, Unreadable
from shared.domain.ids import key_of
from shared.domain.locations import LocationSource, ToldLocation
from shared.domain.notice_templates import Fault, TemplateKind, TemplateSources
from shared.domain.notifications import Notice, NoticeKind
from shared.ports import RenderedNotice, StoredTemplate

SCHEMA = 1
REMEMBERED_S = 60.0
# As many templates as there can be, and as many that are being written.
MAX_LINTS = 24
# A notice does not wait for an edited template longer than this: the built-in one says all that it must. Nor does the
# next one, where nothing was read just now.
READ_WITHIN_S, ASKED_AGAIN_AFTER_S = 0.5, 1.0
_NOTICE_KINDS = {
    TemplateKind.CALL: NoticeKind.CALL,
    TemplateKind.CALLBACK: NoticeKind.CALLBACK_MISSED,
    TemplateKind.CLOSING: NoticeKind.CLOSING,
}


class _Remembered(Struct, frozen=True):
    sources: TemplateSources | None
    until: float


class TemplateTable:
    """Port `Templates`. What a notice is made from is remembered for a minute, and longer while the store is away."""

    def __init__(
        self, table: Table, clock: Clock, lint: Callable[[TemplateSources, TemplateKind], list[Fault]] = lint
    ) -> None:
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._memory: dict[str, _Remembered] = {}
        self._one_reads: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lint = lint
        self._lints: dict[tuple[TemplateKind, bytes], list[Fault]] = {}

    # For administrators

    def read(self, kind: TemplateKind, language: str, deadline: Deadline) -> StoredTemplate:
        """The template as it is now; one that cannot be read counts as one to be written over."""
        row = self._table.get(_row(kind, language), deadline).result()
        return _stored(row, kind, language)

    def save(
        self, kind: TemplateKind, language: str, sources: TemplateSources, over: str | None, deadline: Deadline
    ) -> StoredTemplate:
        """Put it in place: any if `over` is None, else only over that version. Raises `Conflict`, `Unavailable`."""
        values = long_state_values(sources, schema=SCHEMA)

        def write(row: Row | None) -> Write:
            key = _row(kind, language)
            return Insert(key, values) if row is None else Replace(key, values, row.version)

        version = self._change(kind, language, over, write, deadline)
        assert version is not None, "a row that was written has a version"
        return StoredTemplate(sources=sources, version=version, edited=True)

    def remove(self, kind: TemplateKind, language: str, over: str | None, deadline: Deadline) -> None:
        """The built-in one again; that it is already is as good. Raises `Conflict`, `Unavailable`."""
        self._change(kind, language, over, lambda row: Delete(row.key, row.version) if row else None, deadline)

    def _change(
        self,
        kind: TemplateKind,
        language: str,
        over: str | None,
        write: Callable[[Row | None], Write | None],
        deadline: Deadline,
    ) -> str | None:
        while True:
            row = self._table.get(_row(kind, language), deadline).result()
            if over is not None and over != _stored(row, kind, language).version:
                raise Conflict
            change = write(row)
            try:
                return self._table.commit([change], deadline)[0] if change is not None else None
            except RowConflict:
                if over is not None:
                    raise Conflict from None
                deadline.require()
            finally:
                # Also where it failed: a write that timed out may have been made.
                with self._lock:
                    self._memory.pop(_row(kind, language), None)

    def lint(self, sources: TemplateSources, kind: TemplateKind) -> list[Fault]:
        """Why a template may not be saved; nothing where it may (B6).

        Remembered by the texts: readiness asks at every look, and trying all cases of one template can take seconds.
        """
        key = (kind, _digest_of(sources))
        with self._lock:
            known = self._lints.pop(key, None)
        found = known if known is not None else self._lint(sources, kind)
        with self._lock:
            self._lints[key] = found
            while len(self._lints) > MAX_LINTS:
                # The one that was asked for longest ago.
                del self._lints[next(iter(self._lints))]
        return list(found)

    def preview(
        self, sources: TemplateSources, kind: TemplateKind, language: str, now: datetime
    ) -> RenderedNotice | None:
        """A notice with sample facts; None where the template is not in the language, or cannot be rendered."""
        if any(faults_of(source, part, kind) for part, source in sources.parts().items()):
            # What is not in the language is never run.
            return None
        try:
            return render(sources, sample_facts(kind, language, now))
        except ValueError:
            return None

    # For notices

    def edited(self, kind: TemplateKind, language: str) -> TemplateSources | None:
        """An administrator's template, None where there is none; it may be a minute old, or older in an outage.

        One mail reads for all: a crowd's readings, each with half a second, would be late together, and storage that is
        only busy would count as away. Whoever comes meanwhile takes what was known, or waits for that one reading.
        """
        key = _row(kind, language)
        with self._lock:
            known, one_reads = self._memory.get(key), self._one_reads[key]
        if known is None:
            one_reads.acquire()
        elif self._is_fresh(known) or not one_reads.acquire(blocking=False):
            return known.sources
        try:
            with self._lock:
                known = self._memory.get(key)
            if known is None or not self._is_fresh(known):
                known = self._read_for_all(kind, language, known)
            return known.sources
        finally:
            one_reads.release()

    def _is_fresh(self, known: _Remembered) -> bool:
        return self._clock.monotonic() < known.until

    def _read_for_all(self, kind: TemplateKind, language: str, known: _Remembered | None) -> _Remembered:
        try:
            stored = self.read(kind, language, Deadline(self._clock, READ_WITHIN_S))
        except EmergencyCallingError:
            sources, for_s = known.sources if known is not None else None, ASKED_AGAIN_AFTER_S
        else:
            sources, for_s = stored.sources if stored.edited else None, REMEMBERED_S
        read = _Remembered(sources, self._clock.monotonic() + for_s)
        with self._lock:
            self._memory[_row(kind, language)] = read
        return read


def sample_facts(kind: TemplateKind, language: str, now: datetime) -> dict[str, str | bool]:
    """Facts of nobody's emergency, with something in each of them."""
    return facts_of(_sample_notice(kind, language, now), now)


def _sample_notice(kind: TemplateKind, language: str, now: datetime) -> Notice:
    dialled_at = now - timedelta(minutes=1)
    place = ToldLocation(
        source=LocationSource.CONFIRMED,
        address="1 Example Way, floor 2, desk 14, Redmond, WA 98052",
        address_source=LocationSource.CONFIRMED,
        latitude=47.639,
        longitude=-122.128,
        accuracy_m=25.0,
        at=dialled_at - timedelta(minutes=30),
        confirmed_at=dialled_at - timedelta(minutes=30),
    )
    return Notice(
        notice_id="sample",
        recipients=(),
        agent_id="agent-sample",
        agent_name="Alex Example",
        dialled="911",
        dialled_at=dialled_at,
        callback_number="+14255550100",
        reachable_until=dialled_at + timedelta(minutes=60),
        shared=False,
        test=False,
        degraded=False,
        location=place,
        locale=language,
        give_up_at=dialled_at + timedelta(minutes=60),
        kind=_NOTICE_KINDS[kind],
        site="Example site",
        ended_at=now,
    )


def _row(kind: TemplateKind, language: str) -> str:
    return f"template|{kind.value}|{language}"


def _stored(row: Row | None, kind: TemplateKind, language: str) -> StoredTemplate:
    built_in = built_in_sources(kind, language)
    if row is None:
        return StoredTemplate(sources=built_in, version=_version_of(built_in), edited=False)
    try:
        return StoredTemplate(sources=read_long_state(row, TemplateSources), version=row.version, edited=True)
    except Unreadable:
        return StoredTemplate(sources=built_in, version=row.version, edited=False)


def _digest_of(sources: TemplateSources) -> bytes:
    parts = (source.encode("utf-8", "surrogatepass") for source in sources.parts().values())
    return b"".join(hashlib.sha256(part).digest() for part in parts)


def _version_of(sources: TemplateSources) -> str:
    """A built-in template changes with the version of the product alone."""
    return f"built-in {key_of(''.join(sources.parts().values()))}"
