"""Sites and templates are brought back: all of them are judged before any is written."""

from collections.abc import Sequence

from msgspec import Struct

from shared.deadlines import Deadline
from shared.domain.notice_templates import Fault
from shared.domain.setup import EditedTemplate, Outlook, Setup
from shared.domain.sites import Site, require_room
from shared.ports import SiteRegister, Templates
from shared.use_cases.export_setup import export_setup


class SetupOutlook(Struct, frozen=True, kw_only=True):
    """What bringing a setup back does; `lint` says of templates, by their place in the file, why not."""

    sites: Outlook
    templates: Outlook
    lint: dict[int, list[Fault]]
    changed_sites: tuple[Site, ...]
    changed_templates: tuple[EditedTemplate, ...]


def check_setup(setup: Setup, *, sites: SiteRegister, templates: Templates, deadline: Deadline) -> SetupOutlook:
    """What it would do; nothing is changed. Raises `Malformed` where there would be too many sites, `Unavailable`."""
    known = export_setup(sites=sites, templates=templates, deadline=deadline)
    require_room(known.sites, setup.sites)
    known_sites = {each.key: each for each in known.sites}
    known_templates = {(each.kind, each.language): each for each in known.templates}
    lint: dict[int, list[Fault]] = {}
    for index, each in enumerate(setup.templates):
        deadline.require()
        if faults := templates.lint(each.sources, each.kind):
            lint[index] = faults
    site_before = [known_sites.get(each.key) for each in setup.sites]
    template_before = [known_templates.get((each.kind, each.language)) for each in setup.templates]
    return SetupOutlook(
        sites=_outlook(setup.sites, site_before),
        templates=_outlook(setup.templates, template_before),
        lint=lint,
        changed_sites=_changed(setup.sites, site_before),
        changed_templates=_changed(setup.templates, template_before),
    )


def import_setup(setup: Setup, *, sites: SiteRegister, templates: Templates, deadline: Deadline) -> SetupOutlook:
    """Write what differs; nothing where a template must not be saved. Cut anywhere, it can be repeated.

    Raises `Malformed` where there would be too many sites, and `Unavailable`.
    """
    outlook = check_setup(setup, sites=sites, templates=templates, deadline=deadline)
    if outlook.lint:
        return outlook
    sites.save_all(outlook.changed_sites, deadline)
    for each in outlook.changed_templates:
        templates.save(each.kind, each.language, each.sources, None, deadline)
    return outlook


def _changed[T](sent: Sequence[T], before: Sequence[T | None]) -> tuple[T, ...]:
    return tuple(each for each, known in zip(sent, before, strict=True) if each != known)


def _outlook[T](sent: Sequence[T], before: Sequence[T | None]) -> Outlook:
    new = sum(known is None for known in before)
    changed = len(_changed(sent, before)) - new
    return Outlook(new, changed, len(sent) - new - changed)
