"""The one place where the app is put together, and the one that reads the environment.

Nothing here happens at import: indexing the functions must be quick, and an emergency may be the first request. The
local host passes its own clock and sign-in through `install`; product code does not know.
"""

import os
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from msgspec import Struct

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.agent_table import AgentTable
from shared.adapters.breaker import Breaker
from shared.adapters.easy_auth import EasyAuthSignIn
from shared.adapters.effect_threads import EffectThreads
from shared.adapters.emergency_table import EmergencyTable
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.presence_table import PresenceTable
from shared.adapters.repeats import Repeats
from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.turns import Turns
from shared.domain.deployment import Deployment
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.ports import CallRouter, Clock, Deadline, EmergencyStore, OutageLog, PresenceGateway, SignIn, Telemetry
from shared.settings import Settings, read_settings
from shared.telemetry import LogTelemetry, quiet_sdk_logging
from shared.use_cases.effects import Effect
from shared.use_cases.perform import Performer

EMERGENCIES_TABLE, AGENTS_TABLE, PRESENCE_TABLE = "emergencies", "agents", "presence"
PARTITION = "deployment"
DIALS_AT_ONCE, DIAL_WAITS_S = 4, 0.6
POLLS_AT_ONCE = 16
PROBE_WITHIN_S = 0.3


class WarmUp:
    """Pays for imports and clients after the start, in the background, so that no caller does; once for a process."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = steps
        self._begun = threading.Lock()

    def begin(self) -> None:
        """Begin, unless that was done before."""
        if self._begun.acquire(blocking=False):
            threading.Thread(target=self._run, name="warm-up", daemon=True).start()

    def _run(self) -> None:
        for step in self._steps:
            # Without a service's settings there is nothing to warm up; whoever needs it will say so.
            with suppress(EmergencyCallingError):
                step()


class App(Struct, frozen=True, kw_only=True):
    """Everything that the functions use."""

    settings: Settings
    deployment: Deployment
    clock: Clock
    sign_in: SignIn
    telemetry: Telemetry
    emergencies: EmergencyStore
    directory: AgentTable
    presence: PresenceGateway
    router: CallRouter
    outage: OutageLog
    effects: EffectThreads[Effect]
    repeats: Repeats
    dials: Turns
    polls: Turns
    warm_up: WarmUp


def compose(
    environment: Mapping[str, str],
    *,
    clock: Clock | None = None,
    sign_in: SignIn | None = None,
    chance: random.Random | None = None,
) -> App:
    """Put the app together from its settings; connects to nothing yet. Faulty settings are reported, never fatal."""
    settings = read_settings(environment)
    quiet_sdk_logging()
    clock = clock or SystemClock()
    telemetry = LogTelemetry()
    for fault in settings.faults:
        telemetry.emit("setting_faulty", setting=fault.setting.lower(), severity=fault.severity.value)
    deployment = _deployment(settings)
    breaker = Breaker(clock, telemetry)
    tables = {
        name: _table(name, settings, clock, telemetry, breaker)
        for name in (EMERGENCIES_TABLE, AGENTS_TABLE, PRESENCE_TABLE)
    }
    emergencies = EmergencyTable(
        tables[EMERGENCIES_TABLE],
        pool=deployment.callback_numbers,
        rules=deployment.rules,
        chance=chance or random.SystemRandom(),
    )
    presence = PresenceTable(tables[PRESENCE_TABLE], clock)
    outage = OutageMemory()
    service = {
        "connection_string": settings.communication.connection_string,
        "endpoint": settings.communication.endpoint,
        "ca_bundle": settings.ca_bundle,
    }
    notifier = AcsEmail(sender=settings.email_sender, clock=clock, **service)
    router = AcsCalls(clock=clock, **service)
    template = NotificationTemplate(telemetry=telemetry)
    performer = Performer(
        emergencies=emergencies,
        presence=presence,
        notifier=notifier,
        template=template,
        outage=outage,
        clock=clock,
        deployment=deployment,
        telemetry=telemetry,
    )
    dials = Turns(DIALS_AT_ONCE, wait_s=DIAL_WAITS_S)
    return App(
        settings=settings,
        deployment=deployment,
        clock=clock,
        sign_in=sign_in or EasyAuthSignIn(settings.sign_in_enabled),
        telemetry=telemetry,
        emergencies=emergencies,
        directory=AgentTable(tables[AGENTS_TABLE], clock),
        presence=presence,
        router=router,
        outage=outage,
        effects=EffectThreads(performer.perform, telemetry, stand_back=dials.wait_until_quiet),
        repeats=Repeats(lambda: _answers(emergencies, clock)),
        dials=dials,
        polls=Turns(POLLS_AT_ONCE),
        warm_up=WarmUp(
            *(table.warm_up for table in tables.values()), template.warm_up, notifier.warm_up, router.warm_up
        ),
    )


def _answers(emergencies: EmergencyStore, clock: Clock) -> bool:
    try:
        emergencies.free_count(1, Deadline(clock, PROBE_WITHIN_S))
    except Unavailable:
        return False
    return True


def _deployment(settings: Settings) -> Deployment:
    return Deployment(
        rules=settings.rules,
        countries=settings.countries,
        callback_numbers=settings.callback_numbers,
        fallback_number=settings.fallback_callback_number,
        default_contacts=settings.emergency_contacts,
        security_desk=settings.security_desk,
        pool_low_water_percent=settings.pool_low_water,
    )


def _table(name: str, settings: Settings, clock: Clock, telemetry: Telemetry, breaker: Breaker) -> SdkTable:
    return SdkTable(
        table_name=name,
        partition=PARTITION,
        clock=clock,
        connection_string=settings.tables.connection_string,
        endpoint=settings.tables.endpoint,
        ca_bundle=settings.ca_bundle,
        telemetry=telemetry,
        breaker=breaker,
    )


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
