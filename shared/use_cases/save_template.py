"""An administrator edits the Emergency Call Notification Template (S7)."""

from shared.deadlines import Deadline
from shared.domain.errors import Faulty
from shared.domain.notice_templates import TemplateKind, TemplateSources
from shared.domain.words import Words
from shared.ports import StoredTemplate, Templates


def save_template(
    kind: TemplateKind,
    language: str,
    sources: TemplateSources,
    over: str | None,
    *,
    templates: Templates,
    deadline: Deadline,
) -> StoredTemplate:
    """Keep it, unless it lacks what Kari's Law requires (B6). Raises `Faulty`, `Conflict`, `Unavailable`."""
    faults = templates.lint(sources, kind)
    if faults:
        raise Faulty(Words("The template must not be saved."), lint=faults)
    return templates.save(kind, language, sources, over, deadline)
