"""The office's front door: what administrators and supervisors see and set. None of it is on the way of a call.

`shared.emergency_calling` is the product's own; the pages of the console and scripts walk through this one.
"""

from msgspec import Struct

from shared.deadlines import Clock, Deadline
from shared.domain.board import Board
from shared.domain.deployment import Deployment
from shared.domain.notice_templates import TemplateKind, TemplateSources
from shared.domain.pool_numbers import PoolNumber
from shared.domain.readiness import Readiness
from shared.domain.setup import Setup
from shared.ports import AgentDirectory, EmergencyStore, NumberPool, StoredTemplate, Telemetry, Templates
from shared.use_cases.export_setup import export_setup
from shared.use_cases.import_setup import SetupOutlook, check_setup, import_setup
from shared.use_cases.list_numbers import list_numbers
from shared.use_cases.preview_template import TemplatePreview, preview_template
from shared.use_cases.remove_template import remove_template
from shared.use_cases.save_template import save_template
from shared.use_cases.show_board import show_board
from shared.use_cases.show_readiness import Office, show_agent_readiness, show_readiness


class AdministrationBudgets(Struct, frozen=True, kw_only=True):
    """How long each use case of the office may take, in seconds."""

    show_board_s: float = 2.0
    list_numbers_s: float = 4.0
    template_s: float = 2.0
    setup_s: float = 30.0
    # A readiness that takes longer tells what is not answered as unknown.
    show_readiness_s: float = 1.6


class Administration(Struct, frozen=True, kw_only=True):
    """What the office sees and sets. What asks the store raises `Unavailable` where that does not answer in time."""

    deployment: Deployment
    clock: Clock
    telemetry: Telemetry
    emergencies: EmergencyStore
    numbers: NumberPool
    directory: AgentDirectory
    templates: Templates
    office: Office
    budgets: AdministrationBudgets = AdministrationBudgets()

    def within(self, seconds: float) -> Deadline:
        """A deadline from now on."""
        return Deadline(self.clock, seconds)

    def show_board(self) -> Board:
        """Every emergency with a leg, a ring or a hold, the newest first."""
        return show_board(
            emergencies=self.emergencies,
            directory=self.directory,
            clock=self.clock,
            deployment=self.deployment,
            deadline=self.within(self.budgets.show_board_s),
        )

    def list_numbers(self) -> list[PoolNumber]:
        """Every number of the pool, and what it is doing."""
        return list_numbers(
            numbers=self.numbers,
            clock=self.clock,
            deployment=self.deployment,
            deadline=self.within(self.budgets.list_numbers_s),
        )

    def show_readiness(self) -> Readiness:
        """What would go wrong today in this deployment. It never fails."""
        return show_readiness(
            office=self.office,
            clock=self.clock,
            deployment=self.deployment,
            deadline=self.within(self.budgets.show_readiness_s),
        )

    def show_agent_readiness(self, agent_id: str) -> Readiness:
        """What would go wrong today for one agent. Raises `NotFound`."""
        return show_agent_readiness(
            agent_id,
            office=self.office,
            clock=self.clock,
            deployment=self.deployment,
            deadline=self.within(self.budgets.show_readiness_s),
        )

    def export_setup(self) -> Setup:
        """All sites, and the templates that are not the built-in ones."""
        return export_setup(
            sites=self.office.sites, templates=self.templates, deadline=self.within(self.budgets.setup_s)
        )

    def check_setup(self, setup: Setup) -> SetupOutlook:
        """What bringing a setup back would do. Raises `Malformed` where there would be too many sites."""
        return check_setup(
            setup, sites=self.office.sites, templates=self.templates, deadline=self.within(self.budgets.setup_s)
        )

    def import_setup(self, setup: Setup) -> SetupOutlook:
        """Bring a setup back; nothing is written where a template must not be saved.

        Raises `Malformed` where there would be too many sites.
        """
        return import_setup(
            setup, sites=self.office.sites, templates=self.templates, deadline=self.within(self.budgets.setup_s)
        )

    def read_template(self, kind: TemplateKind, language: str) -> StoredTemplate:
        """An administrator's template, else the built-in one."""
        return self.templates.read(kind, language, self.within(self.budgets.template_s))

    def save_template(
        self, kind: TemplateKind, language: str, sources: TemplateSources, over: str | None
    ) -> StoredTemplate:
        """Put a template in place of the built-in one: any if `over` is None, else only over that version.

        Raises `Faulty` with its lint, `Conflict`.
        """
        return save_template(
            kind,
            language,
            sources,
            over,
            templates=self.templates,
            deadline=self.within(self.budgets.template_s),
        )

    def remove_template(self, kind: TemplateKind, language: str, over: str | None) -> None:
        """The built-in template again. Raises `Conflict`."""
        remove_template(
            kind,
            language,
            over,
            templates=self.templates,
            deadline=self.within(self.budgets.template_s),
        )

    def preview_template(self, kind: TemplateKind, language: str, sources: TemplateSources) -> TemplatePreview:
        """How a notice would read, with sample facts, and why the template may not be saved."""
        return preview_template(kind, language, sources, templates=self.templates, clock=self.clock)
