"""An administrator asks what would go wrong today (S10, B10): answered in time, however slow a service."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.agent_checks import KnownOfAgent, agent_checks, contacts_told
from shared.domain.agents import Agent, CapacityProfile
from shared.domain.deployment import Deployment, SettingFault
from shared.domain.deployment_checks import Census, Known, StoreFacts, deployment_checks
from shared.domain.drills import Drill
from shared.domain.errors import EmergencyCallingError, NotFound
from shared.domain.notice_templates import LANGUAGES, Fault, TemplateKind
from shared.domain.readiness import Readiness, readiness
from shared.domain.sender_quota import SenderQuota
from shared.domain.sites import SiteMap
from shared.domain.voice_routes import Telephony
from shared.ports import (
    AgentDirectory,
    Deliveries,
    Desktops,
    Drills,
    EmergencyStore,
    OutboundProfiles,
    PresenceGateway,
    Services,
    SiteRegister,
    SlowLook,
    Templates,
    VoiceRoutes,
)
from shared.use_cases.read_voice_routes import keep_voice_routes

# What a service said so lately is told as its answer; what is older is unknown, with its age.
ANSWERS_FOR = timedelta(hours=1)


class Office(Struct, frozen=True, kw_only=True):
    """What readiness looks at. `faults` are the settings'; `secrets_set` of KEY_SECRETS.

    `sender` is EMAIL_SENDER, whose mail Graph may send; it may send `sender_quota`. `profiles` are the contact
    centre's, where it can be asked.
    """

    faults: tuple[SettingFault, ...]
    sender: str | None
    sender_quota: SenderQuota
    graph_mail: bool
    emergencies: EmergencyStore
    directory: AgentDirectory
    desktops: Desktops
    deliveries: Deliveries
    templates: Templates
    telephony: SlowLook[Telephony]
    routes: VoiceRoutes
    services: Services
    drills: Drills
    census: SlowLook[Census]
    sites: SiteRegister
    presence: PresenceGateway
    secrets_set: bool = False
    profiles: OutboundProfiles | None = None


def show_readiness(*, office: Office, clock: Clock, deployment: Deployment, deadline: Deadline) -> Readiness:
    """The checks of the deployment; what was not answered in time is unknown. It never fails."""
    # All that may be slow is under way at once, so that none takes another's time.
    office.telephony.begin()
    office.services.begin()
    office.census.begin()
    store = _answered(lambda: _store(office, clock, deadline))
    drills = _answered(lambda: (office.drills.last(deadline),))
    sites = _answered(lambda: _sites(office, deadline))
    known = Known(
        deployment=deployment,
        sender=office.sender,
        sender_quota=office.sender_quota,
        graph_mail=office.graph_mail,
        faults=office.faults,
        store=store,
        faulty_templates=_answered(lambda: _faulty_templates(office, deadline)),
        secrets_set=office.secrets_set,
        drill=_ended(drills),
        drill_known=drills is not None,
        sites=sites,
        telephony=_telephony(office, clock, deadline),
        services=office.services.reached(deadline),
        census=office.census.seen(deadline),
    )
    now = clock.now()
    return readiness(deployment_checks(known, now), now)


def show_agent_readiness(
    agent_id: str, *, office: Office, clock: Clock, deployment: Deployment, deadline: Deadline
) -> Readiness:
    """The checks of one agent. Raises `NotFound`, and `Unavailable` where the entry cannot be read."""
    office.telephony.begin()
    found = office.directory.read(agent_id, deadline)
    if found is None:
        raise NotFound
    agent, embedded = found[0], office.presence.embedded
    sites = _answered(lambda: _sites(office, deadline))
    contacts = contacts_told(agent, sites.named(agent.site) if sites is not None else None, deployment)
    known = KnownOfAgent(
        agent=agent,
        deployment=deployment,
        desktops=_answered(lambda: office.desktops.of(agent.agent_id, deadline).result()),
        deliveries=_answered(lambda: office.deliveries.of(agent.agent_id, contacts, deadline)),
        sites=sites,
        profiles=_profiles(agent, office, deadline),
        # Our own needs no check: whoever has no presence there gets one.
        presence=None if embedded else _answered(lambda: office.presence.read(agent.agent_id, deadline)),
        presence_asked=not embedded,
        sharing=_answered(lambda: _is_sharing(agent, office, deadline)),
        # Last of all, as it waits as long as it may: no other reading goes without its time.
        telephony=_telephony(office, clock, deadline),
    )
    now = clock.now()
    return readiness(agent_checks(known, now), now)


def _is_sharing(agent: Agent, office: Office, deadline: Deadline) -> bool:
    object_id = agent.entra_object_id
    return bool(object_id) and len(office.directory.own_keys(object_id or "", deadline).result()) > 1


def _answered[T](ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except EmergencyCallingError:
        return None


def _sites(office: Office, deadline: Deadline) -> SiteMap:
    return SiteMap(office.sites.all(deadline))


def _profiles(agent: Agent, office: Office, deadline: Deadline) -> tuple[CapacityProfile, ...] | None:
    profiles = office.profiles
    return None if profiles is None else _answered(lambda: profiles.of(agent, deadline))


def _telephony(office: Office, clock: Clock, deadline: Deadline) -> Telephony:
    """What the platform says. The next dial follows it too; what it said within the last hour stands for an answer."""
    known = office.telephony.seen(deadline) or Telephony()
    with suppress(EmergencyCallingError):
        keep_voice_routes(known, routes=office.routes, deadline=deadline)
    kept = office.routes.remembered()
    if known.routes is None and kept is not None:
        known = structs.replace(known, routes=kept.routes, routes_at=kept.at)
    return known.unless_older_than(clock.now() - ANSWERS_FOR)


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
