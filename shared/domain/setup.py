"""What administrators set up besides the agents, as one file: a deployment can so be built anew beside another."""

from msgspec import Struct

from shared.domain.notice_templates import LANGUAGES, Language, TemplateKind, TemplateSources
from shared.domain.sites import Site

ALL_TEMPLATES = tuple((kind, language) for kind in TemplateKind for language in LANGUAGES)


class EditedTemplate(Struct, frozen=True, kw_only=True):
    """A template in place of the built-in one."""

    kind: TemplateKind
    language: Language
    sources: TemplateSources


class Setup(Struct, frozen=True, kw_only=True):
    """Sites and edited templates. What is not among them stays as it is where this is brought back."""

    sites: tuple[Site, ...] = ()
    templates: tuple[EditedTemplate, ...] = ()


class Outlook(Struct, frozen=True):
    """How many would be new, changed, and as they are."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
