"""The bodies of the office's routes, both ways (contract, *Administration*)."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from shared.domain.errors import Malformed
from shared.domain.notice_templates import LANGUAGES, Fault, TemplateKind, TemplateSources
from shared.domain.pool_numbers import PoolNumber
from shared.use_cases.preview_template import TemplatePreview

# Two parts of 100,000 characters, of four bytes or six (`\\uABCD`) each, and what JSON needs besides.
LONGEST_TEMPLATE_BYTES = 1_400_000
# Longer ones are read, so that the lint can say in which part.
LONGEST_TEMPLATE_PART = 1_000_000

type TemplatePart = Annotated[str, Meta(max_length=LONGEST_TEMPLATE_PART)]


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
