"""The whole core in memory: real use cases and stores over an in-memory table, on a clock that tests move."""

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from shared.adapters.agent_table import AgentTable
from shared.adapters.allowances import Allowances
from shared.adapters.delivery_table import DeliveryTable
from shared.adapters.desktop_table import DesktopTable
from shared.adapters.drill_table import DrillTable
from shared.adapters.emergency_table import EmergencyTable, anybody_unlisted
from shared.adapters.import_table import ImportTable
from shared.adapters.numbers_table import NumbersTable
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.presence_table import PresenceTable
from shared.adapters.recent_answers import RecentAnswers
from shared.adapters.recording_table import RecordingTable
from shared.adapters.sent_table import SentTable
from shared.adapters.service_reach import Ping
from shared.adapters.shared_look import SharedLook
from shared.adapters.site_table import SiteTable
from shared.adapters.table import Row, Table, Write
from shared.adapters.template_table import TemplateTable
from shared.adapters.turns import Turns
from shared.adapters.voice_route_table import VoiceRouteTable
from shared.administration import Administration
from shared.bootstrap import administer
from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callback_ladder import Ring, next_step
from shared.domain.callbacks import Callback
from shared.domain.callers import Caller, CallerKind
from shared.domain.confidentiality import CallPolicy
from shared.domain.deployment import Deployment, SettingFault
from shared.domain.dials import Dial
from shared.domain.emergencies import Emergency
from shared.domain.errors import EmergencyCallingError, NotFound, Unavailable
from shared.domain.ids import WORD_BITS, agent_key_of, word_of
from shared.domain.notifications import Notice
from shared.domain.panels import Panel
from shared.domain.presence import Presence, PresenceStatus
from shared.domain.sender_quota import SenderQuota
from shared.domain.service_checks import Service
from shared.domain.subjects import unlisted_key
from shared.domain.voice_routes import Telephony
from shared.emergency_calling import MAILS, EmergencyCalling
from shared.ports import Answered, Email, Keys, NoticeTemplate, Pending, PresenceGateway, RenderedNotice
from shared.use_cases.answer_callback import callback_id_of
from shared.use_cases.answer_dial import Answer
from shared.use_cases.continue_callback import MidCall
from shared.use_cases.effects import Effect
from shared.use_cases.end_call import End, Ended
from shared.use_cases.refuse_recording import RecordedFiles
from shared.use_cases.route_callback import Incoming, parties_of
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.known_keys import KnownKeys
from tests.fakes.memory_table import MemoryTable
from tests.fakes.switchboard import PSAP, Switchboard

DAWN = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
FALLBACK = "+14255550199"
DESK = "+14255550198"
DEFAULT_CONTACT = "desk@example.com"
EVENTS_URL = "https://app.example.com/api/call-automation-events"
# Tests that look at it set one.
PLENTY = SenderQuota(per_minute=10_000, per_hour=100_000)
PATIENCE_S = 5.0
SWEEP_EVERY_S = 10


def numbers(count: int, first: int = 100) -> tuple[str, ...]:
    """Callback numbers from the range reserved for examples."""
    return tuple(f"+1425555{first + n:04}" for n in range(count))


class HandClock:
    """A clock that only moves when it is told to."""

    def __init__(self, start: datetime = DAWN) -> None:
        self._now = start
        self._ticks = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._ticks

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._ticks += by.total_seconds()


def everybody() -> Caller:
    """A caller who speaks for all agents, as a machine does."""
    return Caller(kind=CallerKind.MACHINE, name="machine-1")


def office() -> Caller:
    """A supervisor or an administrator."""
    return Caller(kind=CallerKind.OFFICE, name="office-1")


def only_agent(agent_id: str) -> Caller:
    """An agent's own sign-in, which knows who they are."""
    return Caller(kind=CallerKind.AGENT, name=agent_id, agent_id=agent_id)


def person(object_id: str) -> Caller:
    """An agent's sign-in, which knows an object id and no more."""
    return Caller(kind=CallerKind.AGENT, name=object_id)


class PlainTemplate:
    """A template of one line."""

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        if not notice.parts:
            return RenderedNotice(notice.kind.value, notice.callback_number, "")
        lines = [f"{part.kind.value} {part.agent_id}" for part in notice.parts]
        return RenderedNotice(f"{len(lines)} notices", "\n".join(lines), "")


class Mailbox:
    """An e-mail service that takes everything, once for each operation id, unless `fail` raises."""

    def __init__(self) -> None:
        self.reports = True
        self.accepted: list[Email] = []
        self.fail: Callable[[Email], None] = lambda _email: None
        self.patience: list[float] = []

    def send(self, email: Email, deadline: Deadline) -> None:
        self.patience.append(deadline.remaining_s())
        self.fail(email)
        self.accepted.append(email)

    def received(self) -> list[str]:
        """Every recipient of every accepted message."""
        return [recipient for email in self.accepted for recipient in email.recipients]


class TapeStore:
    """Where recordings are kept: `files` there are, `running` ones; `fail` raises instead of deleting."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.running: set[str] = set()
        self.tries: list[str] = []
        self.fail: Callable[[str], None] = lambda _location: None

    def delete(self, location: str, deadline: Deadline) -> None:
        self.tries.append(location)
        self.fail(location)
        if location not in self.files:
            raise NotFound
        self.files.remove(location)

    def stop(self, recording_id: str, deadline: Deadline) -> None:
        self.fail(recording_id)
        if recording_id not in self.running:
            raise NotFound
        self.running.remove(recording_id)


class Exchange:
    """Port `TelephonyReader`: what the platform says, as tests put it."""

    def __init__(self) -> None:
        self.known = Telephony()

    def read(self, deadline: Deadline) -> Telephony:
        return self.known


def _answers(_: Deadline) -> None:
    """A service that is there."""


class Counter:
    """What was said to telemetry, by event name."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, str | int | float | bool]]] = []

    def emit(self, event: str, **facts: str | int | float | bool) -> None:
        self.events.append((event, facts))

    def count(self, event: str) -> int:
        return sum(1 for name, _ in self.events if name == event)


class DoneAtOnce:
    """Port `Effects`: done before anybody is answered."""

    def __init__(self, do: Callable[[Iterable[Effect]], None]) -> None:
        self._do = do

    def start(self, effects: Sequence[Effect], perform: Callable[[Effect], Sequence[Effect]]) -> None:
        self._do(effects)

    def finish(self, effects: Sequence[Effect], perform: Callable[[Effect], Sequence[Effect]]) -> None:
        self._do(effects)


class Kept:
    """Port `Repeats`: what is to be done again, for tests that do it (`do_again`); of `mails` what is to be noted."""

    def __init__(self) -> None:
        self.kept: dict[str, Callable[[], bool]] = {}
        self.mails: dict[str, Callable[[], bool]] = {}

    def keep(self, principal: str, key: str, again: Callable[[], bool], most: int) -> None:
        (self.mails if principal == MAILS else self.kept)[key] = again

    def do_again(self) -> None:
        """Each once, mails last; what is done by then is kept no more."""
        self.kept = {key: again for key, again in self.kept.items() if not again()}
        self.mails = {key: again for key, again in self.mails.items() if not again()}


class TableLine:
    """Port `Table`: the deployment's way to its table. It can be away, and `asked` hears of every request."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.away = False
        self.asked: Callable[[str], None] = lambda _request: None

    def _pass(self, request: str) -> Table:
        self.asked(request)
        if self.away:
            raise Unavailable
        return self._table

    def get(self, key: str, deadline: Deadline) -> Pending[Row | None]:
        return self._pass("read").get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Pending[list[Row]]:
        return self._pass("read").between(first, end, limit, deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        return self._pass("commit").commit(writes, deadline)


class Overtaken(MemoryTable):
    """A table in which something happens right after a kind of rows, the free numbers by default, was read."""

    kind = "free"
    meanwhile: Callable[[], object] | None = None

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        read = super().between(first, end, limit, deadline)
        if first.startswith(f"{self.kind}|") and self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return read


class House:
    """A deployment in memory. With `performs` off, what is owed is left in `owed`, for tests that lose or delay it."""

    def __init__(
        self,
        *,
        pool: Iterable[str] = numbers(4),
        deployment: Deployment | None = None,
        table: Table | None = None,
        clock: HandClock | None = None,
        seed: int = 7,
        keys: Keys | None = None,
        sender_quota: SenderQuota = PLENTY,
    ) -> None:
        self.keys = keys or KnownKeys()
        self.clock = clock or HandClock()
        base = deployment or Deployment(
            callback_numbers=tuple(pool),
            fallback_number=FALLBACK,
            default_contacts=(DEFAULT_CONTACT,),
            security_desk=(DESK,),
            # Tests that look at it turn it on.
            closing_notices=False,
            callback_events_url=EVENTS_URL,
        )
        self.deployment = base
        self.table = table if table is not None else MemoryTable()
        self.chance = random.Random(seed)
        self._words = random.Random(seed)
        self.line = TableLine(self.table)
        self.lend_from(base.callback_numbers)
        self._furnish(MemoryTable())
        self.pings: dict[Service, Ping] = {Service.CALLS: _answers, Service.EMAIL: _answers}
        self.telephony = Exchange()
        self.faults: tuple[SettingFault, ...] = ()
        self.template: NoticeTemplate = PlainTemplate()
        self.presence_rows = MemoryTable()
        self.presence: PresenceGateway = PresenceTable(self.presence_rows, self.clock, self.keys)
        self.mail = Mailbox()
        self.switchboard = Switchboard(self.clock)
        self.tapes = TapeStore()
        self.recording_outbox = RecordingTable(self.line)
        self.sender_quota = sender_quota
        self.mail_quota = SentTable(self.directory_table, sender_quota, self.clock)
        self.telemetry = Counter()
        self.forget_outages()
        self.repeats = Kept()
        self.early_ends = Allowances()
        self.performs = True
        self.owed: list[Effect] = []

    # Set-up

    def forget_outages(self) -> None:
        """Whatever was done without the store is known to nobody any more: the process that did it died."""
        self.outage = OutageMemory(self.clock, self.deployment.rules.window)
        self.answers: RecentAnswers[tuple[Dial, Answer]] = RecentAnswers(self.clock)

    def _furnish(self, table: MemoryTable) -> None:
        """What the directory's table holds."""
        self.directory_table = table
        self.directory = AgentTable(table, self.clock, partial(anybody_unlisted, self.line))
        self.desktops = DesktopTable(table, self.keys)
        self.routes = VoiceRouteTable(table, self.clock)
        self.sites = SiteTable(table, self.clock, self.routes)
        self.deliveries = DeliveryTable(table, self.keys)
        self.drills = DrillTable(table)
        self.templates = TemplateTable(table, self.clock)
        self.imports = ImportTable(table)

    def lend_from(self, pool: Iterable[str]) -> None:
        """A process with this pool in its settings, which remembers nothing."""
        rules = self.deployment.rules
        self.numbers = NumbersTable(self.line, pool=tuple(pool), rules=rules, chance=self.chance, keys=self.keys)
        self.emergencies = EmergencyTable(self.line, numbers=self.numbers, rules=rules, keys=self.keys)

    def pause(self, seconds: float) -> None:
        """So many seconds pass."""
        self.clock.advance(timedelta(seconds=seconds))

    def words(self) -> str:
        """What the log calls the next emergency."""
        return word_of(self._words.getrandbits(WORD_BITS))

    def within(self) -> Deadline:
        return Deadline(self.clock, PATIENCE_S)

    def add_agent(self, agent: Agent) -> None:
        self.directory.save(agent, None, self.within())

    def show(self, agent_id: str, status: PresenceStatus) -> None:
        """The agent sets their presence."""
        current = self.presence.read(agent_id, self.within())
        self.presence.write(agent_id, Presence(status=status, set_by="agent", version=current.version), self.within())

    # What happens

    @property
    def calling(self) -> EmergencyCalling:
        """The front door, as things are now: tests put other ports in place."""
        return EmergencyCalling(
            deployment=self.deployment,
            clock=self.clock,
            telemetry=self.telemetry,
            emergencies=self.emergencies,
            numbers=self.numbers,
            directory=self.directory,
            desktops=self.desktops,
            sites=self.sites,
            deliveries=self.deliveries,
            imports=self.imports,
            drills=self.drills,
            prepare=lambda: None,
            pause=self.pause,
            presence=self.presence,
            keys=self.keys,
            router=self.switchboard,
            notifier=self.mail,
            mail_quota=self.mail_quota,
            template=self.template,
            recordings=self.tapes,
            recording_outbox=self.recording_outbox,
            outage=self.outage,
            effects=DoneAtOnce(self.do),
            repeats=self.repeats,
            answers=self.answers,
            dials=Turns(1),
            polls=Turns(1),
            ends=Turns(1),
            seats=Turns(64),
            early_ends=self.early_ends,
            looks=SharedLook(wait_s=0.0),
            words=self.words,
            store_alive=lambda: False,
            telephony=self.telephony,
            routes=self.routes,
        )

    @property
    def administration(self) -> Administration:
        """The office's front door, as things are now."""
        return administer(
            self.calling,
            templates=self.templates,
            faults=self.faults,
            sender="alerts@example.com",
            sender_quota=self.sender_quota,
            graph_mail=False,
            secrets_set=False,
            pings=self.pings,
        )

    def dial(self, dial: Dial, caller: Caller | None = None) -> Answer:
        return self.calling.start_call(dial, caller=caller or everybody())

    def dial_by_event(self, dial: Dial, caller: Caller | None = None) -> Answer:
        return self.calling.start_call_from_event(dial, caller=caller or everybody())

    def end(self, end: End, caller: Caller | None = None) -> Ended:
        return self.calling.end_call(end, caller=caller or everybody())

    def tie(self, call_id: str, server_call_id: str, caller: Caller | None = None, agent_id: str | None = None) -> None:
        self.calling.tie_call(call_id, server_call_id, caller=caller or everybody(), agent_id=agent_id)

    def see(self, call: ServerCall) -> None:
        self.calling.see_server_call(call)

    def release(self, agent_id: str) -> None:
        self.calling.release_presence(agent_id, caller=office())

    def call_back(self, number: str | None) -> str | None:
        """Whom a responder who dials `number` would reach first, None where it is left alone; nobody is rung."""
        now = self.clock.now()
        parties = parties_of(number, numbers=self.numbers, deployment=self.deployment, now=now, deadline=self.within())
        if parties is None:
            return None
        called = Callback(
            callback_id="looked at only", connection_id="", answered_at=now, parties=parties, connected=True
        )
        step = next_step(called, self.deployment.ladder, (), now)
        assert isinstance(step, Ring)
        return step.invitations[0].target

    def responder_calls(
        self, number: str | None, context: str = "context", *, delivered: bool = True, caller: str = PSAP
    ) -> str:
        """A responder dials `number`; gives the callback's id. Its events are delivered unless they are held back."""
        self.switchboard.incoming(context, caller)
        call = Incoming(to_number=number, context=context, origin=context, caller=caller, came_at=self.clock.now())
        self.calling.answer_callback(call)
        if delivered:
            self.deliver()
        return callback_id_of(context)

    def deliver(self) -> None:
        """Deliver every mid-call event that there is, and those that follow from it."""
        while self.switchboard.events:
            self.hear(*self.switchboard.events.pop(0))

    def hear(self, callback_id: str, said: MidCall) -> None:
        """One mid-call event comes."""
        self.calling.continue_callback(callback_id, [said])

    def wait(self, seconds: int, *, events: bool = True) -> None:
        """Let time pass second by second, with the sweep as it runs in the cloud; events are delivered, or lost."""
        for _ in range(seconds):
            self.clock.advance(timedelta(seconds=1))
            self.switchboard.time_passes()
            if not events:
                self.switchboard.events.clear()
            self.deliver()
            if round(self.clock.monotonic()) % SWEEP_EVERY_S == 0:
                self.sweep()

    def callback(self, callback_id: str) -> Callback | None:
        return self.emergencies.callback(callback_id, self.within()).result().callback

    def judge(self, server_call_id: str, started_by: str | None = None) -> CallPolicy:
        """A recorder asks."""
        return self.calling.judge_call(server_call_id, started_by, caller=everybody())

    def recorded(self, files: RecordedFiles) -> None:
        """The files of a recording are ready."""
        self.tapes.files |= set(files.locations)
        self.calling.refuse_recording(files)

    def tick(self) -> None:
        """The timer that expires leases."""
        self.calling.expire_leases()

    def sweep(self) -> None:
        """The timer that takes up the outbox."""
        self.calling.take_up_outbox()

    def do(self, effects: Iterable[Effect]) -> None:
        if not self.performs:
            self.owed += effects
            return
        for effect in effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> bool:
        """Whether it was done; what failed is owed further."""
        try:
            self.do(self.calling.perform(effect))
        except EmergencyCallingError:
            return False
        return True

    # What can be seen

    def panel(self, agent_id: str) -> Panel:
        return self.calling.show_panel(agent_id, caller=office(), deadline=self.within())[0]

    def rows(self) -> list[str]:
        """Every key of the emergencies' table."""
        return [row.key for row in self.table.between("!", "~", 100_000, self.within()).result()]

    def status(self, agent_id: str) -> PresenceStatus:
        return self.presence.read(agent_id, self.within()).status

    def emergency(self, agent_id: str) -> Emergency | None:
        """Their emergency, as listed or, of an unlisted agent, as `everybody` reports it."""
        stored = self.emergencies.find(agent_key_of(agent_id), self.within()).result()
        if stored.emergency is None:
            stored = self.emergencies.find(key_unlisted(agent_id), self.within()).result()
        return stored.emergency


def key_unlisted(agent_id: str) -> str:
    """The key of what `everybody` reports of an unlisted agent."""
    return unlisted_key(agent_id, everybody().owner)


def after(**parts: float) -> timedelta:
    """A span of time, as in `after(minutes=5)`."""
    return timedelta(**parts)
