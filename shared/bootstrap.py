"""The one place where the app is put together, and the one that reads the environment.

Nothing here happens at import: indexing the functions must be quick, and an emergency may be the first request. The
local host passes its own clock and sign-in through `install`; product code does not know.
"""

import os
import random
import threading
from collections.abc import Callable, Mapping

from msgspec import Struct

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.agent_table import AgentTable
from shared.adapters.easy_auth import EasyAuthSignIn
from shared.adapters.effect_threads import EffectThreads
from shared.adapters.emergency_table import EmergencyTable
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.presence_table import PresenceTable
from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.domain.deployment import Deployment
from shared.ports import CallRouter, Clock, EmergencyStore, OutageLog, PresenceGateway, SignIn, Telemetry
from shared.settings import Settings, read_settings
from shared.telemetry import LogTelemetry, quiet_sdk_logging
from shared.use_cases.effects import Effect
from shared.use_cases.perform import Performer

EMERGENCIES_TABLE, AGENTS_TABLE, PRESENCE_TABLE = "emergencies", "agents", "presence"
PARTITION = "deployment"


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
    tables: tuple[SdkTable, ...]

    def warm_up(self) -> None:
        """Pay for imports, connections and the pool's slots now, so that the first caller does not."""
        for table in self.tables:
            table.warm_up()


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
    tables = {
        name: _table(name, settings, clock, telemetry) for name in (EMERGENCIES_TABLE, AGENTS_TABLE, PRESENCE_TABLE)
    }
    emergencies = EmergencyTable(
        tables[EMERGENCIES_TABLE],
        pool=deployment.callback_numbers,
        rules=deployment.rules,
        chance=chance or random.SystemRandom(),
    )
    presence = PresenceTable(tables[PRESENCE_TABLE], clock)
    outage = OutageMemory()
    performer = Performer(
        emergencies=emergencies,
        presence=presence,
        notifier=AcsEmail(
            connection_string=settings.communication.connection_string,
            endpoint=settings.communication.endpoint,
            sender=settings.email_sender,
            clock=clock,
        ),
        template=NotificationTemplate(),
        outage=outage,
        clock=clock,
        deployment=deployment,
        telemetry=telemetry,
    )
    return App(
        settings=settings,
        deployment=deployment,
        clock=clock,
        sign_in=sign_in or EasyAuthSignIn(settings.sign_in_enabled),
        telemetry=telemetry,
        emergencies=emergencies,
        directory=AgentTable(tables[AGENTS_TABLE], clock),
        presence=presence,
        router=AcsCalls(
            connection_string=settings.communication.connection_string,
            endpoint=settings.communication.endpoint,
            clock=clock,
        ),
        outage=outage,
        effects=EffectThreads(performer.perform, telemetry),
        tables=tuple(tables.values()),
    )


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


def _table(name: str, settings: Settings, clock: Clock, telemetry: Telemetry) -> SdkTable:
    return SdkTable(
        table_name=name,
        partition=PARTITION,
        clock=clock,
        connection_string=settings.tables.connection_string,
        endpoint=settings.tables.endpoint,
        telemetry=telemetry,
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
