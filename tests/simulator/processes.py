"""A process of the app: its own memory over stores that all share. It may die between any two steps."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared.adapters.agent_table import AgentTable
from shared.adapters.emergency_table import EmergencyTable
from shared.adapters.outage_memory import OutageMemory
from shared.adapters.recording_table import RecordingTable
from shared.deadlines import Deadline
from shared.domain.deployment import Deployment
from shared.domain.errors import Conflict, EmergencyCallingError
from shared.domain.notifications import Notice
from shared.ports import RenderedNotice
from shared.use_cases.answer_callback import answer_callback
from shared.use_cases.continue_callback import MidCall, continue_callback
from shared.use_cases.deliver_outbox import take_up_outbox
from shared.use_cases.effects import DeliverNotice, Effect, MailInOutage
from shared.use_cases.end_call import End, Ended, end_call
from shared.use_cases.perform import Performer
from shared.use_cases.release_presence import release_presence
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall, see_server_call
from shared.use_cases.start_call import Answer, Dial, start_call
from shared.use_cases.sweep import expire_leases
from shared.use_cases.tie_call import tie_call
from tests.house import Everybody, TapeStore
from tests.simulator.ports import Died, LineCalls, LineLock, LineMail, LinePresence, LineTable

if TYPE_CHECKING:
    from tests.simulator.world import World

DIAL_WITHIN_S = 0.45
EVENT_WITHIN_S = 20.0
CONTINUE_WITHIN_S = 10.0
EVERYBODY = Everybody()


class BareTemplate:
    """Port `NoticeTemplate`: a message that says which notice it is."""

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        return RenderedNotice(notice.notice_id, "", "")


TEMPLATE = BareTemplate()


class Deaf:
    """Port `Telemetry`."""

    def emit(self, event: str, **facts: str | int | float | bool) -> None:
        """Nobody listens."""


DEAF = Deaf()


class Process:
    """One instance of the function app."""

    def __init__(self, world: "World", name: str, deployment: Deployment, *, other_version: bool) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.other_version = other_version
        self.deployment = deployment
        self.emergencies = EmergencyTable(
            LineTable(self, world.table, "table"),
            pool=deployment.callback_numbers,
            rules=deployment.rules,
            chance=world.chance,
            make_lock=lambda: LineLock(self),
        )
        self.directory = AgentTable(LineTable(self, world.directory_table, "directory"), world.clock)
        self.outage = OutageMemory()
        self.presence = LinePresence(self, world.presence)
        self.calls = LineCalls(self)
        self.performer = Performer(
            emergencies=self.emergencies,
            directory=self.directory,
            router=self.calls,
            presence=self.presence,
            notifier=LineMail(self),
            template=TEMPLATE,
            recording_outbox=RecordingTable(LineTable(self, world.table, "table")),
            recordings=TapeStore(),
            outage=self.outage,
            clock=world.clock,
            deployment=deployment,
            telemetry=DEAF,
        )

    def die(self) -> None:
        """All that it had in memory is gone; another one starts in its place."""
        self.dead = True
        self.world.tell("world", f"{self.name} died")
        self.world.replace(self)

    def _within(self, seconds: float) -> Deadline:
        return Deadline(self.world.clock, seconds)

    # What comes in

    def dial(self, dial: Dial) -> Answer:
        started = start_call(
            dial,
            caller=EVERYBODY,
            emergencies=self.emergencies,
            directory=self.directory,
            outage=self.outage,
            clock=self.world.clock,
            deployment=self.deployment,
            telemetry=DEAF,
            deadline=self._within(DIAL_WITHIN_S),
        )
        self.begin(started.effects)
        return started.answer

    def end(self, end: End) -> Ended:
        ended = end_call(
            end,
            caller=EVERYBODY,
            emergencies=self.emergencies,
            directory=self.directory,
            clock=self.world.clock,
            deployment=self.deployment,
            telemetry=DEAF,
            deadline=self._within(5.0),
        )
        self.begin(ended.effects)
        return ended

    def tie(self, call_id: str, server_call_id: str) -> None:
        self.begin(
            tie_call(
                call_id,
                server_call_id,
                caller=EVERYBODY,
                emergencies=self.emergencies,
                directory=self.directory,
                clock=self.world.clock,
                deployment=self.deployment,
                telemetry=DEAF,
                deadline=self._within(5.0),
            )
        )

    def see(self, call: ServerCall) -> None:
        self.begin(
            see_server_call(
                call,
                emergencies=self.emergencies,
                clock=self.world.clock,
                deployment=self.deployment,
                telemetry=DEAF,
                deadline=self._within(EVENT_WITHIN_S),
            )
        )

    def release(self, agent_id: str) -> None:
        self.begin(
            release_presence(
                agent_id,
                caller=EVERYBODY,
                entry=None,
                emergencies=self.emergencies,
                clock=self.world.clock,
                deployment=self.deployment,
                deadline=self._within(5.0),
            )
        )

    def call_back(self, number: str, context: str, caller: str) -> None:
        answer_callback(
            Incoming(to_number=number, context=context, origin=context, caller=caller),
            emergencies=self.emergencies,
            router=self.calls,
            clock=self.world.clock,
            deployment=self.deployment,
            telemetry=DEAF,
            deadline=self._within(1.5),
        )

    def move_callback(self, callback_id: str, said: MidCall) -> None:
        self.begin(
            continue_callback(
                callback_id,
                said,
                emergencies=self.emergencies,
                directory=self.directory,
                router=self.calls,
                clock=self.world.clock,
                deployment=self.deployment,
                telemetry=DEAF,
                deadline=self._within(CONTINUE_WITHIN_S),
            )
        )

    def tick(self) -> None:
        """The timer that expires leases; a timer that fails comes again."""
        self._timed(
            lambda: expire_leases(
                emergencies=self.emergencies,
                presence=self.presence,
                clock=self.world.clock,
                deployment=self.deployment,
                telemetry=DEAF,
                deadline=self._within(50.0),
            )
        )

    def sweep(self) -> None:
        """The timer that takes up the outbox."""
        self._timed(
            lambda: take_up_outbox(
                emergencies=self.emergencies, clock=self.world.clock, deadline=self._within(EVENT_WITHIN_S)
            )
        )

    def _timed(self, run: Callable[[], Sequence[Effect]]) -> None:
        try:
            self.begin(run())
        except (EmergencyCallingError, Died):
            return

    # What is owed

    def begin(self, effects: Iterable[Effect]) -> None:
        """Each effect is a task of its own; nobody waits for it."""
        for effect in effects:
            delay_s = self.world.chance.random() ** 6 * 20
            self.world.clock.spawn(lambda effect=effect: self._perform(effect), delay_s)  # type: ignore[misc]

    def _perform(self, effect: Effect) -> None:
        try:
            if self.dead:
                raise Died
            self.begin(self.performer.perform(effect))
        except (EmergencyCallingError, Died) as failure:
            # Where all services answer in time, nobody comes to claim what is being sent.
            expected = not (isinstance(failure, Conflict) and self.world.faults.climate.fair)
            if isinstance(effect, DeliverNotice) and expected:
                self.world.checks.delivery_failed(effect.owed.notice.notice_id)
        if isinstance(effect, MailInOutage):
            self.world.checks.delivery_failed(effect.notice.notice_id)
