"""What may be saved as a notice template: the language, and what Kari's Law requires of a notice of a call (B6).

The rule is tried, not guessed: the template is rendered with every combination of the facts that its choices depend
on, and each time a reader must find the agent, a number to call back where there is one, and the location or that it
is unknown.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, product
from math import prod

from shared.adapters.notification_template import render
from shared.adapters.shown_html import UnreadablePage, shown
from shared.adapters.template_language import conditions_of, faults_of
from shared.domain.notice_templates import FLAG_FACTS, Fault, TemplateKind, TemplateSources
from shared.domain.words import Words
from shared.ports import RenderedNotice

MAX_COMBINATIONS = 4_096
# Reading a page takes 0.4 µs for each character of it, and each case has its own page; a text takes less.
MAX_READ_CHARACTERS, MAX_TOGETHER_CHARACTERS = 4_000_000, 500_000

# Texts that occur in no template by chance, and that no filter changes but in their case.
_SAMPLE: dict[str, str | bool] = {
    "agent": "qzagent",
    "agent_id": "qzid",
    "kind": "call",
    "dialled": "911",
    "dialled_at": "qzdialledat",
    "dialled_time": "qzdialledtime",
    "callback_number": "qznumber",
    "reachable_until": "qzuntil",
    "placeable": "yes",
    "late": "qzlate",
    "site": "qzsite",
    "location_address": "qzaddress",
    "location_latitude": "qzlatitude",
    "location_longitude": "qzlongitude",
    "location_accuracy": "qzaccuracy",
    "location_source": "qzsource",
    "location_at": "qzlocationat",
    "ended_at": "qzendedat",
    **dict.fromkeys(FLAG_FACTS, False),
    "location_known": True,
}
type Choices = Mapping[str, list[str | bool]]
type Facts = Mapping[str, str | bool]
type Required = Callable[[TemplateSources, str, str, Facts], Iterator[Fault]]

# Notices without a number to call back, or a location, are sent too: what stands there then is tried as well.
_MAY_BE_MISSING = frozenset({"callback_number", "location_known"})
_LOCATION_FACTS = [fact for fact in _SAMPLE if fact.startswith("location_") and fact != "location_conveyed"]
# Facts that a notice always has: a template may ask for them, and they are never empty.
_NEVER_EMPTY = {"agent", "agent_id", "kind", "dialled_at", "dialled_time", "reachable_until", "placeable"}


def lint(sources: TemplateSources, kind: TemplateKind) -> list[Fault]:
    """Why this template may not be saved; nothing where it may."""
    faults = [fault for part, source in sources.parts().items() for fault in faults_of(source, part, kind)]
    faults += [
        Fault(code="empty", part=part, line=1, message=Words("is empty"))
        for part, source in sources.parts().items()
        if not source.strip()
    ]
    return faults or _tried(sources, kind)


def _tried(sources: TemplateSources, kind: TemplateKind) -> list[Fault]:
    found: dict[tuple[str, str], Fault] = {}
    longest = max(len(sources.text), len(sources.html))
    every_choice = _choices(sources, kind, frozenset(_SAMPLE))
    for about, required in _REQUIRED[kind].items():
        choices = _choices(sources, kind, about)
        others = {fact: values for fact, values in every_choice.items() if fact not in choices}
        cases = prod(len(values) for values in choices.values()) + sum(len(values) for values in others.values())
        if cases > MAX_COMBINATIONS or cases * longest > MAX_READ_CHARACTERS:
            return [Fault(code="too_many_choices", part="text", line=1, message=Words("chooses by too many facts"))]
        for chosen in chain(_combined(choices), _hiding(choices, others, longest)):
            facts = _consistent(_SAMPLE | chosen)
            for fault in _told(sources, required, facts):
                found.setdefault((fault.code, fault.part), fault)
    return list(found.values())


def _combined(choices: Choices) -> Iterator[dict[str, str | bool]]:
    return (dict(zip(choices, chosen, strict=True)) for chosen in product(*choices.values()))


def _hiding(choices: Choices, others: Choices, longest: int) -> Iterator[dict[str, str | bool]]:
    """A choice that names no fact may still hide one, on a page: it opens what hides, and another one closes it.

    All of them together where that is soon tried, else one at a time.
    """
    together = {**choices, **others}
    if others and prod(map(len, together.values())) * longest <= MAX_TOGETHER_CHARACTERS:
        return _combined(together)
    return ({fact: value} for fact, values in others.items() for value in values)


def _choices(sources: TemplateSources, kind: TemplateKind, about: frozenset[str]) -> dict[str, list[str | bool]]:
    """The values to try of each fact on which it depends that the facts `about` are told, and of those themselves."""
    tried: dict[str, list[str | bool]] = {}
    conditions = conditions_of(sources, about)
    unconditional: dict[str, set[str]] = {fact: set() for fact in about & _MAY_BE_MISSING}
    for fact, literals in (unconditional | conditions).items():
        if fact in FLAG_FACTS:
            tried[fact] = [True, False]
        elif fact == "placeable":
            tried[fact] = ["yes", "no", "unknown"]
        elif fact == "kind":
            tried[fact] = ["callback_answered", "callback_missed"] if kind is TemplateKind.CALLBACK else [kind.value]
        else:
            empty = [] if fact in _NEVER_EMPTY else [""]
            tried[fact] = [_SAMPLE[fact], *empty, *sorted(literals - {""})]
    return tried


def _consistent(facts: dict[str, str | bool]) -> dict[str, str | bool]:
    """The facts as a notice may have them: a location that is known is an address or a position, an unknown neither."""
    if not facts["location_known"]:
        return facts | dict.fromkeys(_LOCATION_FACTS, "") | {"location_known": False, "location_source": "qzsource"}
    if not facts["location_latitude"] or not facts["location_longitude"]:
        facts = facts | {"location_latitude": "", "location_longitude": "", "location_accuracy": ""}
    if not facts["location_address"] and not facts["location_latitude"]:
        facts = facts | {"location_address": "qzaddress"}
    return facts


def _told(sources: TemplateSources, required: Required, facts: Facts) -> Iterator[Fault]:
    try:
        notice = render(sources, facts)
        for part in ("text", "html"):
            yield from required(sources, part, _said(notice, part), facts)
    except UnreadablePage:
        yield Fault(code="syntax", part="html", line=1, message=Words("cannot be read"))
    except ValueError:
        yield Fault(
            code="empty", part="subject", line=1, message=Words("is empty, or the notice too long, in some case")
        )


def _said(notice: RenderedNotice, part: str) -> str:
    """What a reader finds there, in lower case."""
    return (notice.text if part == "text" else shown(notice.html)).lower()


def _agent(sources: TemplateSources, part: str, said: str, facts: Facts) -> Iterator[Fault]:  # noqa: ARG001
    if "qzagent" not in said and "qzid" not in said:
        yield _missing(part, "agent_missing", Words("does not say who called, in some case"))


def _callback_number(sources: TemplateSources, part: str, said: str, facts: Facts) -> Iterator[Fault]:  # noqa: ARG001
    if facts["callback_number"] and str(facts["callback_number"]).lower() not in said:
        yield _missing(part, "callback_number_missing", Words("does not give the number to call back, in some case"))


def _location(sources: TemplateSources, part: str, said: str, facts: Facts) -> Iterator[Fault]:
    if not facts["location_known"]:
        if not _says_unknown(sources, part, said, facts):
            yield _missing(
                part, "unknown_location_missing", Words("does not say that the location is unknown, in some case")
            )
        return
    address = str(facts["location_address"]).lower()
    # Where nothing but a position is known, whoever renders adds it to what lacks it.
    if address and address not in said and "qzlatitude" not in said:
        yield _missing(part, "location_missing", Words("does not say where the caller is, in some case"))


def _says_unknown(sources: TemplateSources, part: str, said: str, facts: Facts) -> bool:
    """Whether there are words that stand there only because the location is not known."""
    known = render(sources, {**facts, **{fact: _SAMPLE[fact] for fact in (*_LOCATION_FACTS, "location_known")}})
    elsewhere = set(_said(known, part).split())
    return any(word not in elsewhere and "qzsource" not in word for word in said.split())


_REQUIRED: dict[TemplateKind, dict[frozenset[str], Required]] = {
    TemplateKind.CALL: {
        frozenset({"agent", "agent_id"}): _agent,
        frozenset({"callback_number"}): _callback_number,
        frozenset({*_LOCATION_FACTS, "location_known"}): _location,
    },
    TemplateKind.CALLBACK: {frozenset({"agent", "agent_id"}): _agent},
    TemplateKind.CLOSING: {frozenset({"agent", "agent_id"}): _agent},
}


def _missing(part: str, code: str, message: Words) -> Fault:
    return Fault(code=code, part=part, line=1, message=message)
