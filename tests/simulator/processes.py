"""A process of the app: its own memory over stores that all share. It may die between any two steps."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import structs

from shared.adapters.take_up import TakeUp
from shared.bootstrap import ALIVE_FOR_S, Rim, assemble
from shared.deadlines import Deadline
from shared.domain.callers import Caller
from shared.domain.deployment import Deployment
from shared.domain.dials import Dial
from shared.domain.errors import Conflict, EmergencyCallingError
from shared.domain.notifications import Notice
from shared.domain.panels import Panel
from shared.emergency_calling import EmergencyCalling
from shared.ports import Effects, RenderedNotice
from shared.use_cases.answer_dial import Answer
from shared.use_cases.continue_callback import MidCall
from shared.use_cases.effects import DeliverNotice, Effect, MailInOutage
from shared.use_cases.end_call import End
from shared.use_cases.route_callback import Incoming
from shared.use_cases.see_server_call import ServerCall
from tests.fakes.house import Exchange, TapeStore, everybody
from tests.simulator.ports import Died, LineCalls, LineMail, LinePresence, LineTable
from tests.simulator.tasks import Tasks

if TYPE_CHECKING:
    from tests.simulator.world import World

EVERYBODY = everybody()
LOOK_WITHIN_S = 1.0


class BareTemplate:
    """Port `NoticeTemplate`: a message that says which notice it is, or which ones it merges."""

    def render(self, notice: Notice, now: datetime) -> RenderedNotice:
        return RenderedNotice(";".join(part.notice_id for part in notice.singly), "", "")


TEMPLATE = BareTemplate()


class Deaf:
    """Port `Telemetry`. Nobody listens, but whatever nobody foresaw is a finding, though the core has survived it."""

    def emit(self, event: str, **facts: str | int | float | bool) -> None:
        unforeseen = sys.exception()
        if event == "unforeseen_error" and unforeseen is not None:
            raise unforeseen


DEAF = Deaf()


class Process:
    """One instance of the function app."""

    def __init__(self, world: "World", name: str, deployment: Deployment, *, other_version: bool) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.other_version = other_version
        self.deployment = deployment
        self.answered_at = -math.inf
        threads = Tasks(self)
        rim = Rim(
            clock=world.clock,
            telemetry=DEAF,
            chance=world.chance,
            emergencies=LineTable(self, world.table, "table"),
            agents=LineTable(self, world.directory_table, "directory"),
            presence=LinePresence(self, world.presence),
            router=LineCalls(self),
            telephony=Exchange(),
            notifier=LineMail(self),
            template=TEMPLATE,
            recordings=TapeStore(),
            store_alive=self.store_alive,
            prepare=lambda: None,
            words=lambda: "",
            keys=world.keys,
            threads=threads,
            sender_quota=world.sender_quota,
        )
        core = assemble(rim, deployment)
        self.calling = structs.replace(core.calling, effects=WatchedEffects(self, core.calling.effects))
        self.take_up = TakeUp(self._look, DEAF, stand_back=core.stand_back, threads=threads)
        self.take_up.begin()

    def die(self) -> None:
        """All that it had in memory is gone; another one starts in its place."""
        self.dead = True
        self.world.tell("world", f"{self.name} died")
        self.world.replace(self)

    def require_alive(self) -> None:
        """Raise `Died` in whatever still runs of a dead process."""
        if self.dead:
            raise Died

    def answered(self) -> None:
        """The store answered just now."""
        self.answered_at = self.world.clock.monotonic()

    def store_alive(self) -> bool:
        return self.world.clock.monotonic() - self.answered_at <= ALIVE_FOR_S

    # What comes in

    @contextmanager
    def _serving(self) -> Iterator[EmergencyCalling]:
        try:
            yield self.calling
        finally:
            self.take_up.served()

    def dial(self, dial: Dial, caller: Caller = EVERYBODY) -> Answer:
        with self._serving() as calling:
            return calling.start_call(dial, caller=caller)

    def dial_by_event(self, dial: Dial) -> Answer:
        with self._serving() as calling:
            return calling.start_call_from_event(dial, caller=EVERYBODY)

    def end(self, end: End) -> None:
        with self._serving() as calling:
            calling.end_call_from_event(end, caller=EVERYBODY)

    def say_end(self, end: End, caller: Caller) -> None:
        with self._serving() as calling:
            calling.end_call(end, caller=caller)

    def tie(self, call_id: str, server_call_id: str, caller: Caller = EVERYBODY) -> None:
        with self._serving() as calling:
            calling.tie_call(call_id, server_call_id, caller=caller)

    def see(self, call: ServerCall) -> None:
        with self._serving() as calling:
            calling.see_server_call(call)

    def release(self, agent_id: str, caller: Caller = EVERYBODY) -> None:
        with self._serving() as calling:
            calling.release_presence(agent_id, caller=caller)

    def panel(self, agent_id: str, caller: Caller) -> Panel:
        with self._serving() as calling:
            return calling.show_panel(agent_id, caller=caller, deadline=Deadline(self.world.clock, LOOK_WITHIN_S))[0]

    def call_back(self, call: Incoming) -> None:
        with self._serving() as calling:
            calling.answer_callback(call)

    def move_callback(self, callback_id: str, said: MidCall) -> None:
        with self._serving() as calling:
            calling.continue_callback(callback_id, [said])

    def _look(self) -> None:
        """What the take-up does; a look that would find nothing is left out, for speed, as the timers' are."""
        if self.world.something_is_owed():
            self.calling.take_up_owed()

    def tick(self) -> None:
        """The timer that expires leases; a timer that fails comes again."""
        self._timed(self.calling.expire_leases)

    def sweep(self) -> None:
        """The timer that takes up the outbox."""
        self._timed(self.calling.take_up_outbox)

    def _timed(self, run: Callable[[], None]) -> None:
        try:
            with self._serving():
                run()
        except (EmergencyCallingError, Died):
            return


class WatchedEffects:
    """Port `Effects`: the crews, with a count of the deliveries that something befell: each may send its mail again."""

    def __init__(self, process: Process, crews: Effects[Effect]) -> None:
        self._process = process
        self.crews = crews

    def start(self, effects: Sequence[Effect], perform: Callable[[Effect], Sequence[Effect]]) -> None:
        self.crews.start(effects, lambda effect: self._watched(effect, perform))

    def finish(self, effects: Sequence[Effect], perform: Callable[[Effect], Sequence[Effect]]) -> None:
        self.crews.finish(effects, lambda effect: self._watched(effect, perform))

    def _watched(self, effect: Effect, perform: Callable[[Effect], Sequence[Effect]]) -> Sequence[Effect]:
        checks = self._process.world.checks
        if isinstance(effect, MailInOutage):
            checks.mailed_in_outage(effect.notice.notice_id)
        try:
            follows = perform(effect)
        except (EmergencyCallingError, Died) as failure:
            # Where all services answer in time, nobody comes to claim what is being sent.
            expected = not (isinstance(failure, Conflict) and self._process.world.faults.climate.fair)
            if isinstance(effect, DeliverNotice) and expected:
                for part in effect.owed.notice.singly:
                    checks.delivery_failed(part.notice_id)
            raise
        if isinstance(effect, MailInOutage):
            # Of a mail whose acceptance was lost on its way nobody can know whom it has reached.
            reached = self._process.calling.outage.mailed_to(effect.dial_key)
            checks.expect_noted(self._process, effect.notice, reached)
        return follows
