"""An administrator asks what would go wrong today (S10, B10): answered in time, however slow a service."""

from collections.abc import Callable

from msgspec import Struct

from shared.deadlines import Clock, Deadline
from shared.domain.agent_checks import KnownOfAgent, agent_checks
from shared.domain.deployment import Deployment
from shared.domain.deployment_checks import Known, SettingFault, StoreFacts, deployment_checks
from shared.domain.drills import Drill
from shared.domain.errors import EmergencyCallingError, NotFound
from shared.domain.notice_templates import LANGUAGES, Fault, TemplateKind
from shared.domain.readiness import Readiness, readiness
from shared.domain.sites import SiteMap
from shared.ports import (
    AgentDirectory,
    CensusTaker,
    Deliveries,
    Desktops,
    Drills,
    EmergencyStore,
    SiteRegister,
    TelephonyReader,
    Templates,
)


class Office(Struct, frozen=True, kw_only=True):
    """What readiness looks at. `faults` are the settings', `sender` is EMAIL_SENDER; `secrets_set` of KEY_SECRETS."""

    faults: tuple[SettingFault, ...]
    sender: str | None
    emergencies: EmergencyStore
    directory: AgentDirectory
    desktops: Desktops
    deliveries: Deliveries
    templates: Templates
    telephony: TelephonyReader
    drills: Drills
    census: CensusTaker
    sites: SiteRegister
    secrets_set: bool = False


def show_readiness(*, office: Office, clock: Clock, deployment: Deployment, deadline: Deadline) -> Readiness:
    """The checks of the deployment; what was not answered in time is unknown. It never fails."""
    store = _answered(lambda: _store(office, clock, deadline))
    drills = _answered(lambda: (office.drills.last(deadline),))
    known = Known(
        deployment=deployment,
        sender=office.sender,
        faults=office.faults,
        telephony=office.telephony.read(deadline),
        store=store,
        census=_answered(lambda: office.census.count(deadline)),
        faulty_templates=_answered(lambda: _faulty_templates(office, deadline)),
        secrets_set=office.secrets_set,
        drill=_ended(drills),
        drill_known=drills is not None,
        sites=_answered(lambda: _sites(office, deadline)),
    )
    now = clock.now()
    return readiness(deployment_checks(known, now), now)


def show_agent_readiness(
    agent_id: str, *, office: Office, clock: Clock, deployment: Deployment, deadline: Deadline
) -> Readiness:
    """The checks of one agent. Raises `NotFound`, and `Unavailable` where the entry cannot be read."""
    found = office.directory.read(agent_id, deadline)
    if found is None:
        raise NotFound
    agent = found[0]
    known = KnownOfAgent(
        agent=agent,
        deployment=deployment,
        telephony=office.telephony.read(deadline),
        desktops=_answered(lambda: office.desktops.of(agent.agent_id, deadline).result()),
        deliveries=_answered(lambda: office.deliveries.of(agent.agent_id, agent.emergency_contacts, deadline)),
        sites=_answered(lambda: _sites(office, deadline)),
    )
    now = clock.now()
    return readiness(agent_checks(known, now), now)


def _answered[T](ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except EmergencyCallingError:
        return None


def _sites(office: Office, deadline: Deadline) -> SiteMap:
    return SiteMap(office.sites.all(deadline))


def _ended(drills: tuple[Drill | None] | None) -> Drill | None:
    return drills[0] if drills is not None else None


def _store(office: Office, clock: Clock, deadline: Deadline) -> StoreFacts:
    began = clock.monotonic()
    oldest, broken = office.emergencies.state_of_outbox(deadline)
    return StoreFacts(ms=round((clock.monotonic() - began) * 1000), oldest_owed_at=oldest, broken_rows=broken)


def _faulty_templates(office: Office, deadline: Deadline) -> dict[tuple[TemplateKind, str], list[Fault]]:
    faulty: dict[tuple[TemplateKind, str], list[Fault]] = {}
    for kind in TemplateKind:
        for language in LANGUAGES:
            stored = office.templates.read(kind, language, deadline)
            if stored.edited and (faults := office.templates.lint(stored.sources, kind)):
                faulty[kind, language] = faults
    return faulty
