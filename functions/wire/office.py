"""The bodies of the office's routes, both ways (contract, *Administration*)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from functions.wire.decoding import plain_id
from functions.wire.http import Id, Written, contacts_of
from shared.domain.drills import Drill, DrillState, StepName, StepState
from shared.domain.errors import Malformed
from shared.domain.notice_templates import LANGUAGES, Fault, TemplateKind, TemplateSources
from shared.domain.pool_numbers import PoolNumber
from shared.domain.words import Words
from shared.use_cases.preview_template import TemplatePreview

# Two parts of 100,000 characters, of four bytes or six (`\\uABCD`) each, and what JSON needs besides.
MAX_TEMPLATE_BYTES = 1_400_000
# Longer ones are read, so that the lint can say in which part.
MAX_TEMPLATE_PART_CHARS = 1_000_000

type TemplatePart = Annotated[str, Meta(max_length=MAX_TEMPLATE_PART_CHARS)]


class NumbersAnswer(Struct, frozen=True):
    """`GET /manage/callback-numbers`."""

    numbers: Sequence[PoolNumber]


def numbers_answer(numbers: Sequence[PoolNumber]) -> NumbersAnswer:
    """The pool."""
    return NumbersAnswer(numbers)


class TemplateBody(Struct, frozen=True, kw_only=True):
    """`PUT /manage/notification-template`, `POST …/preview`: the three texts of a template, each of them sent."""

    subject: TemplatePart
    text: TemplatePart
    html: TemplatePart

    def sources(self) -> TemplateSources:
        """The template in the domain's words; line breaks as Unix writes them, which forms in browsers do not."""
        return TemplateSources(subject=self.subject.strip(), text=_unix(self.text), html=_unix(self.html))


class PreviewAnswer(Struct, frozen=True, kw_only=True):
    """`POST /manage/notification-template/preview`: empty texts where the template cannot be rendered."""

    subject: str
    text: str
    html: str
    lint: list[Fault]


def preview_answer(preview: TemplatePreview) -> PreviewAnswer:
    """How a notice would read, and why its template may not be saved."""
    notice = preview.notice
    return PreviewAnswer(subject=notice.subject, text=notice.text, html=notice.html, lint=preview.lint)


class DrillBody(Struct, frozen=True, kw_only=True):
    """`POST /manage/drills`; without `recipients` no e-mail is sent."""

    agent_id: Id
    recipients: Written | None = None

    def for_agent(self) -> str:
        """Whose chain is played."""
        return plain_id(self.agent_id)

    def to(self) -> tuple[str, ...]:
        """Who is told of it; raises `Malformed` naming the entry that is no address."""
        return contacts_of(self.recipients or "", "recipients")


class DrillBegun(Struct, frozen=True):
    """`POST /manage/drills`: it runs."""

    drill_id: str


class DrillStepAnswer(Struct, frozen=True, kw_only=True):
    """A step: `ms` is null until it is over, `reason` says why it did not pass, or what there was to say."""

    step: StepName
    state: StepState
    ms: int | None
    reason: Words | None


class DrillAnswer(Struct, frozen=True, kw_only=True):
    """`GET /manage/drills/{drill_id}`: the steps in their order; `at` is when it began."""

    drill_id: str
    at: datetime
    state: DrillState
    steps: list[DrillStepAnswer]


def drill_answer(drill: Drill) -> DrillAnswer:
    """A drill, without whose it is."""
    steps = [DrillStepAnswer(step=each.step, state=each.state, ms=each.ms, reason=each.said) for each in drill.steps]
    return DrillAnswer(drill_id=drill.drill_id, at=drill.at, state=drill.state, steps=steps)


def template_kind(sent: str | None) -> TemplateKind:
    """The `kind` of a query; raises `Malformed`."""
    try:
        return TemplateKind(sent or "")
    except ValueError:
        raise Malformed("kind", f"is none of {', '.join(TemplateKind)}") from None


def template_language(sent: str | None) -> str:
    """The language in the `locale` of a query (BCP 47): one of the four; raises `Malformed`."""
    language = (sent or "").replace("_", "-").partition("-")[0].lower()
    if language not in LANGUAGES:
        raise Malformed("locale", f"is none of {', '.join(LANGUAGES)}")
    return language


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
