"""An administrator wants the built-in template again (S7)."""

from shared.deadlines import Deadline
from shared.domain.notice_templates import TemplateKind
from shared.ports import Templates


def remove_template(
    kind: TemplateKind,
    language: str,
    over: str | None,
    *,
    templates: Templates,
    deadline: Deadline,
) -> None:
    """Remove the administrators' template; that there is none is as good. Raises `Conflict`, `Unavailable`."""
    templates.remove(kind, language, over, deadline)
