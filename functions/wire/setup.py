"""Sites and templates as one file, both ways; the export is the same bytes for the same setup."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from functions.wire.decoding import convert, decode, plain_id
from functions.wire.http import Id, SiteBody, site_of
from functions.wire.office import TemplateBody, TemplatePart
from shared.domain.errors import Malformed
from shared.domain.notice_templates import LANGUAGES, Language, TemplateKind
from shared.domain.setup import EditedTemplate, Outlook, Setup
from shared.domain.sites import Site, site_key_of
from shared.domain.words import Words, as_words
from shared.use_cases.import_setup import SetupOutlook

MAX_SETUP_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 1_000
# Far more than the largest file has: only then is it read, since what it holds is counted afterwards.
MAX_COMMAS = 1_000_000
# One of each kind in each language. To judge one may take most of a second.
MAX_TEMPLATES = len(TemplateKind) * len(LANGUAGES)
MAX_FAULTS_TOLD = 100


class SiteEntry(SiteBody, frozen=True, kw_only=True):
    """A site of the file, with its id."""

    site_id: Id


class TemplateEntry(Struct, frozen=True, kw_only=True):
    """A template of the file: which one, and its three texts."""

    kind: TemplateKind
    locale: Language
    subject: TemplatePart
    text: TemplatePart
    html: TemplatePart


class SetupBody(Struct, frozen=True, kw_only=True):
    """`POST /manage/setup/import`; what is not among these stays as it is."""

    sites: Annotated[list[SiteEntry], Meta(max_length=MAX_ENTRIES)] = []
    templates: Annotated[list[TemplateEntry], Meta(max_length=MAX_TEMPLATES)] = []


class SetupAnswer(Struct, frozen=True, kw_only=True):
    """`GET /manage/setup/export`."""

    sites: Sequence[Site]
    templates: Sequence[TemplateEntry]


class SetupFault(Struct, frozen=True, kw_only=True):
    """What of the file cannot be used: `at` is where it stands, as in `sites[3].country`."""

    at: str
    reason: Words


class SetupImported(Struct, frozen=True, kw_only=True):
    """`POST /manage/setup/import`: what was done or, with `dry_run=1`, would be."""

    sites: Outlook
    templates: Outlook


class SetupFile(Struct, frozen=True, kw_only=True):
    """What was read of a file, and what of it cannot be used. `places` are those of the templates that can."""

    setup: Setup
    places: tuple[int, ...]
    faults: tuple[SetupFault, ...]


class _Loose(Struct, frozen=True, kw_only=True):
    sites: list[Any] = []
    templates: list[Any] = []


def written(setup: Setup) -> bytes:
    """The file: JSON in the order of ids, one field a line."""
    templates = [
        TemplateEntry(kind=each.kind, locale=each.language, **each.sources.parts()) for each in setup.templates
    ]
    body = msgspec.json.encode(SetupAnswer(sites=setup.sites, templates=templates))
    return msgspec.json.format(body, indent=2) + b"\n"


def read(body: bytes) -> SetupFile:
    """Read a file. Raises `Malformed` where it is none; whatever is wrong with an entry is told with all the others."""
    if body.count(b",") > MAX_COMMAS:
        raise Malformed("body", Words("holds more than {most} entries", most=MAX_ENTRIES))
    sent = decode(body, _Loose, most_bytes=MAX_SETUP_BYTES)
    for name, entries, most in (("sites", sent.sites, MAX_ENTRIES), ("templates", sent.templates, MAX_TEMPLATES)):
        if len(entries) > most:
            raise Malformed(name, Words("holds more than {most} entries", most=most))
    faults: list[SetupFault] = []
    sites = [site for _, site in _entries(sent.sites, "sites", _site, faults)]
    templates = list(_entries(sent.templates, "templates", _template, faults))
    _tell_repeats("sites", [site_key_of(each.site_id) for each in sites], faults)
    _tell_repeats("templates", [f"{each.kind} {each.language}" for _, each in templates], faults)
    setup = Setup(sites=tuple(sites), templates=tuple(each for _, each in templates))
    return SetupFile(setup=setup, places=tuple(place for place, _ in templates), faults=tuple(faults))


def faults_told(file: SetupFile, outlook: SetupOutlook) -> list[SetupFault]:
    """All that is wrong with the file, the first hundred of it: nothing of it is written then."""
    lint = [
        SetupFault(
            at=f"templates[{file.places[index]}].{each.part}",
            reason=Words("line {line}: {message}", line=each.line, message=each.message),
        )
        for index, faults in outlook.lint.items()
        for each in faults
    ]
    return [*file.faults, *lint][:MAX_FAULTS_TOLD]


def _site(sent: object, at: str) -> Site:
    entry = convert(sent, SiteEntry, at)
    try:
        return site_of(plain_id(entry.site_id), entry)
    except Malformed as fault:
        raise Malformed(f"{at}.{fault.field}", fault.reason) from None


def _template(sent: object, at: str) -> EditedTemplate:
    entry = convert(sent, TemplateEntry, at)
    sources = TemplateBody(subject=entry.subject, text=entry.text, html=entry.html).sources()
    return EditedTemplate(kind=entry.kind, language=entry.locale, sources=sources)


def _entries[T](
    sent: Sequence[object], name: str, read_one: Callable[[object, str], T], faults: list[SetupFault]
) -> Iterator[tuple[int, T]]:
    for index, each in enumerate(sent):
        try:
            yield index, read_one(each, f"{name}[{index}]")
        except Malformed as fault:
            faults.append(SetupFault(at=fault.field, reason=as_words(fault.reason)))


def _tell_repeats(name: str, keys: Sequence[str], faults: list[SetupFault]) -> None:
    if len(set(keys)) < len(keys):
        faults.append(SetupFault(at=name, reason=Words("holds one of them twice")))
