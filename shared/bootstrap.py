"""The one place where the app is put together, and the one that reads the environment.

Nothing here happens at import: indexing the functions must be quick, and an emergency may be the first request. The
local host passes its own clock and sign-in through `install`; product code does not know.
"""

import os
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from shared.adapters import delivery_table, desktop_table, emergency_rows, presence_table
from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_recordings import AcsRecordings, Route
from shared.adapters.acs_telephony import READ_WITHIN_S, AcsTelephony
from shared.adapters.acs_token import AcsTokens
from shared.adapters.agent_table import AgentTable
from shared.adapters.allocator import keep_few_arenas
from shared.adapters.allowances import Allowances
from shared.adapters.background_look import BackgroundLook
from shared.adapters.breaker import Breaker
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.desktop_table import DesktopTable
from shared.adapters.drill_table import DrillTable
from shared.adapters.easy_auth import EasyAuthSignIn
from shared.adapters.effect_threads import EffectThreads
from shared.adapters.emergency_table import EmergencyTable, anybody_unlisted
from shared.adapters.import_table import ImportTable
from shared.adapters.key_table import KeyTable
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.numbers_table import NumbersTable
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.presence_table import PresenceTable
from shared.adapters.recent_answers import RecentAnswers
from shared.adapters.recording_table import RecordingTable
from shared.adapters.repeats import Repeats
from shared.adapters.sdk_table import SdkTable
from shared.adapters.sent_table import SentTable
from shared.adapters.service_reach import Ping, ServiceReach
from shared.adapters.shared_look import SharedLook
from shared.adapters.signed_table import SignedTable
from shared.adapters.site_table import SiteTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import Table
from shared.adapters.table_account import TableAccount
from shared.adapters.take_up import TakeUp
from shared.adapters.template_table import TemplateTable
from shared.adapters.threads import OS_THREADS, Threads
from shared.adapters.turns import Turns
from shared.adapters.voice_route_table import VoiceRouteTable
from shared.administration import Administration
from shared.deadlines import Budgets, Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.deployment import Deployment, PresenceBackend, SettingFault
from shared.domain.deployment_checks import Census
from shared.domain.emergency_numbers import EMERGENCY_911, recognise
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.domain.ids import WORD_BITS, key_of, word_of
from shared.domain.sender_quota import SenderQuota
from shared.domain.service_checks import Service
from shared.emergency_calling import EmergencyCalling
from shared.ports import (
    CallEventGuard,
    CallRouter,
    Keys,
    NoticeTemplate,
    Notifier,
    NumberPool,
    OutboundProfiles,
    PresenceGateway,
    RecordingStore,
    SignIn,
    Telemetry,
    TelephonyReader,
)
from shared.settings import EmailBackend, Settings, read_settings
from shared.telemetry import LogTelemetry, quiet_sdk_logging
from shared.use_cases.effects import DeliverNotice, Effect, reporter_of
from shared.use_cases.show_readiness import Office
from shared.use_cases.take_census import take_census

if TYPE_CHECKING:
    from shared.adapters.bearer_client import BearerService
    from shared.adapters.graph_email import GraphEmail
    from shared.adapters.graph_presence import GraphPresence
    from shared.adapters.presence_holds import StoredHolds

TABLES = EMERGENCIES_TABLE, AGENTS_TABLE, PRESENCE_TABLE = "emergencies", "agents", "presence"
PARTITION = "deployment"
# `DIALS_AT_ONCE` must exceed `FAILURES_IN_A_ROW`: the first wave of a burst then opens the breaker for the rest.
DIALS_AT_ONCE, DIAL_WAITS_S = 6, Budgets().start_call_at_most_s
# While more dials wait than can be answered in time, effects wait up to this long.
CROWD_FIRST_S = 5.0
# Sixty mails of 300 ms are out in two turns of them.
MAILS_AT_ONCE = 30
CREWS: Mapping[type[Effect], int] = {DeliverNotice: MAILS_AT_ONCE}
ENDS_AT_ONCE, ENDS_AT_ONCE_OF_ONE, ENDS_WAIT_S = 8, 6, 3.0
POLLS_AT_ONCE, POLLS_AT_ONCE_OF_ONE, POLLS_WAIT_S = 16, 8, 0.25
# Of the worker's 64 threads one sender's polls and ends, a machine's for instance, leave some to everybody.
THREADS_OF_WORKER, THREADS_OF_ONE = 64, 48
# A store that has answered anybody so lately is not away, only busy.
ALIVE_FOR_S = 0.2
STAND_BACK_S = 1.0
# Far longer than it takes; a host that waits for ever for its instance would be worse than a cold one.
WARM_WITHIN_S = 20.0
PROBE_WITHIN_S = 0.3
READ_KEYS_WITHIN_S = 2.0
# One look serves all of one readiness, also where it is over at once because the platform refuses.
ONE_READINESS_S = 2.0
# A directory of 10,000 takes seconds to count; nobody waits for all of it.
CENSUS_WITHIN_S, CENSUS_REMEMBERED_S = 60.0, 300.0
CALLBACK_EVENTS_PATH = "api/call-automation-events"
# Who calls is not known, and so neither is their language; the countries in use speak English first.
PROMPT_PATH = "api/ui/prompts/en.wav"


class Preparation:
    """What a process must do for itself before it can ask the store: imports and clients, once.

    Whoever comes meanwhile waits for it, so that none of this time is taken for the store's.
    """

    def __init__(self, *steps: Callable[[], object], telemetry: Telemetry) -> None:
        self._steps = steps
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        """Do it, unless that was done before."""
        if self._done:
            return
        with self._lock:
            steps, self._steps = self._steps, ()
            for step in steps:
                _prepare(step, self._telemetry)
            self._done = True


class WarmUp:
    """Pays for imports and clients after the start, in the background, so that no caller does; once for a process.

    It stands back while dials are being answered: an import holds the interpreter for longer than their reads take.
    """

    def __init__(
        self,
        *steps: Callable[[], None],
        telemetry: Telemetry,
        stand_back: Callable[[float], None] = lambda _most_s: None,
        threads: Threads = OS_THREADS,
    ) -> None:
        self._steps = steps
        self._telemetry = telemetry
        self._stand_back = stand_back
        self._threads = threads
        self._begun = threading.Lock()
        self._over = threading.Event()

    def begin(self) -> None:
        """Begin, unless that was done before."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._threads.begin("warm-up", self._run)
        except RuntimeError:
            # No thread is to be had now: the next sweep begins it, and this one goes on.
            self._begun.release()

    def finish(self) -> None:
        """Begin, unless that was done before, and wait for the end: for an instance that nobody calls yet."""
        self.begin()
        self._over.wait(WARM_WITHIN_S)

    def _run(self) -> None:
        for step in self._steps:
            self._stand_back(STAND_BACK_S)
            _prepare(step, self._telemetry)
        self._over.set()


def _prepare(step: Callable[[], object], telemetry: Telemetry) -> None:
    """Do a step as far as it goes: what fails here fails again for whoever needs it, and keeps no other step back."""
    try:
        step()
    except EmergencyCallingError:
        # Settings that cannot be used, a service that is away.
        pass
    except Exception as error:  # noqa: BLE001 - no dial waits for a step that failed, and the warm-up goes on
        telemetry.emit("unforeseen_error", function="start_up", error=type(error).__name__)


class App(Struct, frozen=True, kw_only=True):
    """The product, and what stands before its door."""

    settings: Settings
    sign_in: SignIn
    call_events: CallEventGuard
    calling: EmergencyCalling
    administration: Administration
    warm_up: WarmUp
    take_up: TakeUp


def compose(
    environment: Mapping[str, str],
    *,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
    chance: random.Random | None = None,
    recordings_route: Route | None = None,
) -> App:
    """Put the app together from its settings; connects to nothing yet. Faulty settings are reported, never fatal."""
    keep_few_arenas()
    settings, clock = read_settings(environment), clock or SystemClock()
    telemetry = _telemetry(settings.faults)
    deployment = _deployment(settings)
    tables = _tables(settings, clock, telemetry)
    templates = TemplateTable(tables.agents, clock)
    keys = KeyTable(tables.agents, clock, settings.key_secrets, older=tables.of_people, telemetry=telemetry)
    services = _services(settings, clock, telemetry, recordings_route, templates)
    directory = _directory(tables.agents, clock, tables.emergencies, telemetry)
    presence = _presence(settings, tables.presence, directory, clock, keys)
    # A dial recognises its number between two readings: the first time, that imports the metadata of all countries.
    prepare = Preparation(*tables.warm_ups, partial(_recognise_any, deployment), telemetry=telemetry)
    rim = Rim(
        clock=clock,
        telemetry=telemetry,
        chance=chance or random.SystemRandom(),
        emergencies=tables.emergencies,
        agents=tables.agents,
        presence=presence.gateway,
        directory=directory,
        keys=keys,
        router=services.router,
        telephony=services.telephony,
        notifier=services.notifier,
        template=services.template,
        recordings=services.recordings,
        store_alive=tables.alive,
        prepare=prepare,
        words=lambda: word_of(random.SystemRandom().getrandbits(WORD_BITS)),
        sender_quota=settings.sender_quota,
    )
    core = assemble(rim, deployment)
    return App(
        settings=settings,
        sign_in=sign_in or EasyAuthSignIn(settings.sign_in_enabled),
        call_events=services.call_events,
        calling=core.calling,
        administration=_office(core.calling, settings, templates, services, presence),
        warm_up=_warm_up(core, *presence.warm_ups, *services.warm_ups),
        take_up=TakeUp(core.calling.take_up_owed, telemetry, stand_back=core.stand_back),
    )


class Rim(Struct, frozen=True, kw_only=True):
    """All that touches the world. A world that is played brings its own; everything else is assembled over it.

    `directory` is that over `agents`, where something at the rim shares what it remembers.
    """

    clock: Clock
    telemetry: Telemetry
    chance: random.Random
    emergencies: Table
    agents: Table
    presence: PresenceGateway
    router: CallRouter
    telephony: TelephonyReader
    notifier: Notifier
    template: NoticeTemplate
    recordings: RecordingStore
    store_alive: Callable[[], bool]
    prepare: Callable[[], None]
    words: Callable[[], str]
    keys: Keys
    directory: AgentTable | None = None
    threads: Threads = OS_THREADS
    sender_quota: SenderQuota = SenderQuota()


class Core(Struct, frozen=True, kw_only=True):
    """The product, and how others stand back while it answers dials, for so many seconds at most."""

    calling: EmergencyCalling
    stand_back: Callable[[float], None]


def assemble(rim: Rim, deployment: Deployment) -> Core:
    """Put the stores, the turns, the crews and the front door together over whatever touches the world."""
    threads, rules, pool = rim.threads, deployment.rules, deployment.callback_numbers
    numbers = NumbersTable(
        rim.emergencies, pool=pool, rules=rules, chance=rim.chance, make_lock=threads.lock, keys=rim.keys
    )
    routes = VoiceRouteTable(rim.agents, rim.clock)
    dials = Turns(DIALS_AT_ONCE, wait_s=DIAL_WAITS_S, threads=threads)
    calling = EmergencyCalling(
        deployment=deployment,
        clock=rim.clock,
        telemetry=rim.telemetry,
        emergencies=EmergencyTable(rim.emergencies, numbers=numbers, rules=rules, keys=rim.keys),
        numbers=numbers,
        directory=rim.directory or _directory(rim.agents, rim.clock, rim.emergencies, rim.telemetry),
        desktops=DesktopTable(rim.agents, rim.keys),
        sites=SiteTable(rim.agents, rim.clock, routes, rim.telemetry),
        deliveries=DeliveryTable(rim.agents, rim.keys),
        imports=ImportTable(rim.agents),
        drills=DrillTable(rim.agents),
        presence=rim.presence,
        keys=rim.keys,
        router=rim.router,
        telephony=rim.telephony,
        routes=routes,
        notifier=rim.notifier,
        mail_quota=SentTable(rim.agents, rim.sender_quota, rim.clock, threads.lock),
        template=rim.template,
        recordings=rim.recordings,
        recording_outbox=RecordingTable(rim.emergencies),
        outage=OutageMemory(rim.clock, rules.window),
        effects=_effect_threads(rim, dials),
        repeats=Repeats(lambda: store_answers(numbers, rim.clock), threads=threads),
        answers=RecentAnswers(rim.clock),
        dials=dials,
        polls=Turns(POLLS_AT_ONCE, most_each=POLLS_AT_ONCE_OF_ONE, wait_s=POLLS_WAIT_S, threads=threads),
        ends=Turns(ENDS_AT_ONCE, most_each=ENDS_AT_ONCE_OF_ONE, wait_s=ENDS_WAIT_S, threads=threads),
        seats=Turns(THREADS_OF_WORKER, most_each=THREADS_OF_ONE, threads=threads),
        early_ends=Allowances(),
        looks=SharedLook(wait_s=DIAL_WAITS_S, threads=threads),
        store_alive=rim.store_alive,
        prepare=rim.prepare,
        pause=threads.sleep,
        words=rim.words,
    )
    return Core(calling=calling, stand_back=dials.wait_until_quiet)


def _effect_threads(rim: Rim, dials: Turns) -> EffectThreads[Effect]:
    return EffectThreads(
        rim.telemetry,
        stand_back=partial(dials.wait_until_quiet, crowd_s=CROWD_FIRST_S),
        crews=CREWS,
        reporter_of=reporter_of,
        threads=rim.threads,
    )


class _Tables(Struct, frozen=True, kw_only=True):
    """Table storage."""

    breaker: Breaker
    emergencies: Table
    agents: Table
    presence: Table
    warm_ups: tuple[Callable[[], None], ...]

    @property
    def of_people(self) -> tuple[tuple[Table, str], ...]:
        """What begins the keys of rows that are kept of people. A pool or a directory alone has none of them."""
        emergencies = ((self.emergencies, kind) for kind in emergency_rows.ROWS_OF_PEOPLE)
        agents = ((self.agents, table.ROWS_OF_PEOPLE) for table in (desktop_table, delivery_table))
        return (*emergencies, *agents, (self.presence, presence_table.ROWS_OF_PEOPLE))

    def alive(self) -> bool:
        """Whether storage answered lately.

        Of one that nobody has asked yet, a cold process on a part of a core knows only how slow itself is.
        """
        return self.breaker.unheard or self.breaker.answered_within(ALIVE_FOR_S)


def _directory(agents: Table, clock: Clock, emergencies: Table, telemetry: Telemetry) -> AgentTable:
    return AgentTable(agents, clock, partial(anybody_unlisted, emergencies), telemetry)


def _tables(settings: Settings, clock: Clock, telemetry: Telemetry) -> _Tables:
    account = TableAccount(
        clock=clock,
        connection_string=settings.tables.connection_string,
        endpoint=settings.tables.endpoint,
        ca_bundle=settings.ca_bundle,
        telemetry=telemetry,
    )

    def table(name: str) -> SignedTable:
        return SignedTable(SdkTable(account, table_name=name, partition=PARTITION, telemetry=telemetry))

    return _Tables(
        breaker=account.breaker,
        emergencies=table(EMERGENCIES_TABLE),
        agents=table(AGENTS_TABLE),
        presence=table(PRESENCE_TABLE),
        warm_ups=tuple(partial(account.warm_up, name) for name in TABLES),
    )


class _Presence(Struct, frozen=True, kw_only=True):
    """The presence service that the settings choose, and what it has to do before its first request."""

    gateway: PresenceGateway
    warm_ups: tuple[Callable[[], None], ...] = ()
    profiles: OutboundProfiles | None = None


def _presence(settings: Settings, table: Table, directory: AgentTable, clock: Clock, keys: Keys) -> _Presence:
    """The modules of a service are loaded only where it is chosen: a deployment without it does not pay for them."""
    match settings.presence_backend:
        case PresenceBackend.GRAPH:
            gateway = _graph_presence(settings, table, directory, clock, keys)
            return _Presence(gateway=gateway, warm_ups=(gateway.warm_up,))
        case PresenceBackend.DYNAMICS365:
            return _dynamics_presence(settings, table, directory, clock, keys)
        case _:
            return _Presence(gateway=PresenceTable(table, clock, keys))


def _graph_presence(
    settings: Settings, table: Table, directory: AgentTable, clock: Clock, keys: Keys
) -> "GraphPresence":
    from shared.adapters.graph_presence import REQUESTS_AT_ONCE, GraphPresence

    service = _bearer_service("graph-presence", settings.graph_url, settings, clock, threads=REQUESTS_AT_ONCE)
    holds = _holds(settings, table, keys, directory, clock, lambda agent: agent.entra_object_id, by_object_id=True)
    return GraphPresence(service, holds, app_id=settings.client_id, clock=clock)


def _dynamics_presence(settings: Settings, table: Table, directory: AgentTable, clock: Clock, keys: Keys) -> _Presence:
    from shared.adapters.dynamics_presence import REQUESTS_AT_ONCE, DynamicsPresence
    from shared.adapters.dynamics_profiles import DynamicsProfiles

    service = _bearer_service("dynamics", settings.dynamics365_url, settings, clock, threads=REQUESTS_AT_ONCE)
    holds = _holds(settings, table, keys, directory, clock, lambda agent: agent.dynamics_user_id, by_object_id=False)
    gateway = DynamicsPresence(service, holds, clock=clock)
    return _Presence(gateway=gateway, warm_ups=(gateway.warm_up,), profiles=DynamicsProfiles(service))


def _bearer_service(name: str, url: str | None, settings: Settings, clock: Clock, *, threads: int) -> "BearerService":
    from shared.adapters.bearer_client import BearerService

    return BearerService(name, url=url, clock=clock, ca_bundle=settings.ca_bundle, threads=threads)


def _holds(
    settings: Settings,
    table: Table,
    keys: Keys,
    directory: AgentTable,
    clock: Clock,
    user_of: Callable[[Agent], str | None],
    *,
    by_object_id: bool,
) -> "StoredHolds":
    from shared.adapters.presence_holds import StoredHolds
    from shared.adapters.presence_marks import PresenceMarks
    from shared.adapters.presence_users import PresenceUsers

    users = PresenceUsers(directory, user_of, by_object_id=by_object_id)
    return StoredHolds(users, PresenceMarks(table, keys, clock=clock, lasts=settings.rules.window))


class _Services(Struct, frozen=True, kw_only=True):
    """What Azure Communication Services does for us, and the words that we send."""

    notifier: "AcsEmail | GraphEmail"
    router: AcsCalls
    recordings: AcsRecordings
    call_events: AcsTokens
    telephony: AcsTelephony
    template: NotificationTemplate
    warm_ups: tuple[Callable[[], None], ...]


def _services(
    settings: Settings, clock: Clock, telemetry: Telemetry, recordings_route: Route | None, templates: TemplateTable
) -> _Services:
    where = {
        "connection_string": settings.communication.connection_string,
        "endpoint": settings.communication.endpoint,
        "ca_bundle": settings.ca_bundle,
    }
    template = NotificationTemplate(templates.edited, telemetry)
    notifier = _notifier(settings, clock)
    router = AcsCalls(clock=clock, **where)
    call_events = AcsTokens(
        issuer=settings.call_automation_issuer,
        keys_url=settings.call_automation_keys_url,
        audience=settings.communication_resource_id,
        clock=clock,
        ca_bundle=settings.ca_bundle,
    )
    return _Services(
        notifier=notifier,
        router=router,
        recordings=AcsRecordings(route=recordings_route, **where),
        call_events=call_events,
        telephony=AcsTelephony(clock=clock, **where),
        template=template,
        warm_ups=(template.warm_up, notifier.warm_up, router.warm_up, call_events.warm_up),
    )


def _office(
    calling: EmergencyCalling,
    settings: Settings,
    templates: TemplateTable,
    services: _Services,
    presence: _Presence,
) -> Administration:
    return administer(
        calling,
        templates=templates,
        faults=settings.faults,
        sender=settings.email_sender,
        sender_quota=settings.sender_quota,
        graph_mail=settings.email_backend is EmailBackend.GRAPH,
        secrets_set=bool(settings.key_secrets),
        pings={Service.CALLS: services.router.ping, Service.EMAIL: services.notifier.ping},
        profiles=presence.profiles,
    )


def _notifier(settings: Settings, clock: Clock) -> "AcsEmail | GraphEmail":
    if settings.email_backend is EmailBackend.GRAPH:
        # Here, so that a deployment without it does not pay for its import.
        from shared.adapters.graph_email import GraphEmail

        return GraphEmail(
            sender=settings.email_sender, url=settings.graph_url, clock=clock, ca_bundle=settings.ca_bundle
        )
    return AcsEmail(
        sender=settings.email_sender,
        clock=clock,
        connection_string=settings.communication.connection_string,
        endpoint=settings.communication.endpoint,
        ca_bundle=settings.ca_bundle,
    )


def _warm_up(core: Core, *services: Callable[[], None]) -> WarmUp:
    calling = core.calling
    first = (calling.prepare, partial(_read_keys, calling), partial(_register_pool, calling))
    return WarmUp(*first, *services, telemetry=calling.telemetry, stand_back=core.stand_back)


def _register_pool(calling: EmergencyCalling) -> None:
    calling.numbers.register_pool(calling.clock.now(), calling.within(READ_KEYS_WITHIN_S))


def _read_keys(calling: EmergencyCalling) -> None:
    calling.keys.ring(calling.within(READ_KEYS_WITHIN_S))


def _recognise_any(deployment: Deployment) -> None:
    with suppress(EmergencyCallingError):
        recognise(EMERGENCY_911, country=None, countries=deployment.countries)


def administer(
    calling: EmergencyCalling,
    *,
    templates: TemplateTable,
    faults: Sequence[SettingFault],
    sender: str | None,
    sender_quota: SenderQuota,
    graph_mail: bool,
    secrets_set: bool,
    pings: Mapping[Service, Ping],
    profiles: OutboundProfiles | None = None,
) -> Administration:
    """Put the office together over the product."""
    clock, telemetry = calling.clock, calling.telemetry
    look = partial(BackgroundLook, clock=clock, telemetry=telemetry)
    office = Office(
        faults=tuple(faults),
        sender=sender,
        sender_quota=sender_quota,
        graph_mail=graph_mail,
        secrets_set=secrets_set,
        emergencies=calling.emergencies,
        directory=calling.directory,
        desktops=calling.desktops,
        deliveries=calling.deliveries,
        templates=templates,
        telephony=look("telephony", calling.telephony.read, within_s=READ_WITHIN_S, remembered_s=ONE_READINESS_S),
        routes=calling.routes,
        services=ServiceReach({**pings, Service.PRESENCE: calling.presence.ping}, clock, telemetry),
        drills=calling.drills,
        census=look("census", partial(_census, calling), within_s=CENSUS_WITHIN_S, remembered_s=CENSUS_REMEMBERED_S),
        sites=calling.sites,
        profiles=profiles,
        presence=calling.presence,
    )
    return Administration(
        office=office,
        deployment=calling.deployment,
        clock=clock,
        telemetry=telemetry,
        emergencies=calling.emergencies,
        numbers=calling.numbers,
        directory=calling.directory,
        templates=templates,
    )


def _census(calling: EmergencyCalling, deadline: Deadline) -> Census:
    return take_census(
        directory=calling.directory,
        desktops=calling.desktops,
        deliveries=calling.deliveries,
        sites=calling.sites,
        telephony=calling.telephony.read,
        deployment=calling.deployment,
        clock=calling.clock,
        deadline=deadline,
    )


def store_answers(numbers: NumberPool, clock: Clock) -> bool:
    """Whether a repeat is worth it by now: asked before many are made."""
    try:
        numbers.free_count(1, Deadline(clock, PROBE_WITHIN_S))
    except Unavailable:
        return False
    return True


def _telemetry(faults: Iterable[SettingFault]) -> LogTelemetry:
    quiet_sdk_logging()
    telemetry = LogTelemetry()
    _report(faults, telemetry)
    return telemetry


def _report(faults: Iterable[SettingFault], telemetry: Telemetry) -> None:
    """A line for each fault of a setting, which names the setting and not its value."""
    for fault in faults:
        if fault.serious:
            telemetry.emit("setting_faulty", setting=fault.setting.lower())
        else:
            telemetry.emit("setting_doubtful", setting=fault.setting.lower())


def _deployment(settings: Settings) -> Deployment:
    return Deployment(
        rules=settings.rules,
        countries=settings.countries,
        callback_numbers=settings.callback_numbers,
        fallback_number=settings.fallback_callback_number,
        default_contacts=settings.emergency_contacts,
        security_desk=settings.security_desk,
        pool_low_water_percent=settings.pool_low_water,
        callback_notices=settings.callback_notices,
        closing_notices=settings.closing_notices,
        presence_backend=settings.presence_backend,
        time_zone=settings.time_zone,
        callback_events_url=_callback_events_url(settings),
        prompt_url=f"{settings.public_base_url}/{PROMPT_PATH}" if settings.public_base_url else None,
        sender_key=key_of(f"{settings.email_backend}|{settings.email_sender}"),
    )


def _callback_events_url(settings: Settings) -> str | None:
    # Events that cannot be verified are refused, and a callback without events is a dead line.
    signed_by = (settings.call_automation_issuer, settings.call_automation_keys_url, settings.communication_resource_id)
    verifiable = settings.public_base_url is not None and None not in signed_by
    return f"{settings.public_base_url}/{CALLBACK_EVENTS_PATH}" if verifiable else None


class _Installed:
    """How to compose the app, and the app once it is composed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.factory: Callable[[], App] = lambda: compose(os.environ)
        self.app: App | None = None


_installed = _Installed()


def install(factory: Callable[[], App]) -> None:
    """Say how the app is composed, before it is first used: with another clock, another sign-in."""
    with _installed.lock:
        _installed.factory, _installed.app = factory, None


def app() -> App:
    """The app of this process, composed at first use."""
    composed = _installed.app
    if composed is not None:
        return composed
    with _installed.lock:
        if _installed.app is None:
            _installed.app = _installed.factory()
        return _installed.app
