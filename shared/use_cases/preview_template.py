"""An administrator looks how a notice would read."""

from msgspec import Struct

from shared.deadlines import Clock
from shared.domain.notice_templates import Fault, TemplateKind, TemplateSources
from shared.ports import RenderedNotice, Templates

NOTHING = RenderedNotice(subject="", text="", html="")


class TemplatePreview(Struct, frozen=True):
    """A notice with sample facts, empty where the template is not in the language; and why it may not be saved."""

    notice: RenderedNotice
    lint: list[Fault]


def preview_template(
    kind: TemplateKind, language: str, sources: TemplateSources, *, templates: Templates, clock: Clock
) -> TemplatePreview:
    """The template rendered with sample facts. Nothing is kept."""
    shown = templates.preview(sources, kind, language, clock.now())
    return TemplatePreview(shown or NOTHING, templates.lint(sources, kind))
