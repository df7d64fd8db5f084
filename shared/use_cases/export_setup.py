"""Sites and templates, for whoever takes them to another deployment."""

from shared.deadlines import Deadline
from shared.domain.setup import ALL_TEMPLATES, EditedTemplate, Setup
from shared.ports import SiteRegister, Templates


def export_setup(*, sites: SiteRegister, templates: Templates, deadline: Deadline) -> Setup:
    """All sites by their ids, and the edited templates. Raises `Unavailable`."""
    read = [(kind, language, templates.read(kind, language, deadline)) for kind, language in ALL_TEMPLATES]
    return Setup(
        sites=tuple(sites.all(deadline)),
        templates=tuple(
            EditedTemplate(kind=kind, language=language, sources=stored.sources)
            for kind, language, stored in read
            if stored.edited
        ),
    )
