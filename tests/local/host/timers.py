"""Timer functions: run when their schedule says so, or by hand, and never twice at the same time.

Every worker process has all timers. One of them ticks; which one is decided by a lock that the kernel passes on when
its holder dies. A second lock per timer covers runs by hand, which any worker may be asked for.

As the cloud has it: a run that overruns its schedule is followed by the next one at once, which is not past due. A
schedule of a minute or more that was missed while no host ran is made up for at the start, past due. A schedule whose
setting is missing disables that function alone.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from tests.local.host.runtime import Function, Runtime
from tests.local.host.timer_state import TimerState

log = logging.getLogger("tests.local.host")

KIND = "timertrigger"
NCRONTAB_FIELDS = 6
LOCK_POLL_S = 0.02
LEADER_POLL_S = 0.5
MADE_UP_FOR = timedelta(minutes=1)


class ScheduleError(ValueError):
    """A timer's schedule cannot be read."""


class ProcessLocks:
    """Locks that processes share: byte ranges of one nameless file, freed by the kernel when their holder dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # The kernel's lock belongs to the whole process, so the tasks of one process need another one.
        self._own: dict[int, asyncio.Lock] = {}

    @asynccontextmanager
    async def held(self, number: int, poll_s: float = LOCK_POLL_S) -> AsyncIterator[None]:
        """Wait for lock `number`, then hold it."""
        async with self._own.setdefault(number, asyncio.Lock()):
            # Another process may hold it, and the kernel tells nobody when it lets go.
            while not self._taken(number):  # noqa: ASYNC110
                await asyncio.sleep(poll_s)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)

    def _taken(self, number: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True


# Numbers of the shared locks; the timers follow, in the order of their names.
CLOCK_LOCK, LEADER_LOCK, FIRST_TIMER_LOCK = 0, 1, 2


@dataclass(frozen=True)
class Timer:
    """One timer function."""

    function: Function
    schedule: str
    lock_number: int

    @property
    def is_made_up_for(self) -> bool:
        """Whether a run that was missed is made up for: not where the schedule runs more often than once a minute."""
        first, second = (moment for moment, _ in zip(CronSim(self.schedule, datetime.now(UTC)), range(2), strict=False))
        return second - first >= MADE_UP_FOR

    def next_due(self, after: datetime) -> datetime:
        """The first moment of the schedule after `after`."""
        return next(CronSim(self.schedule, after))

    def last_due(self, before: datetime) -> datetime:
        """The last moment of the schedule until `before`."""
        return next(CronSim(self.schedule, before + timedelta(microseconds=1), reverse=True))


class Timers:
    """All timer functions of the app."""

    def __init__(
        self, runtime: Runtime, locks: ProcessLocks, environment: Mapping[str, str], state: TimerState
    ) -> None:
        names = sorted(name for name, function in runtime.functions.items() if function.kind == KIND)
        self._runtime = runtime
        self._locks = locks
        self._state = state
        self._timers: dict[str, Timer] = {}
        for number, name in enumerate(names, FIRST_TIMER_LOCK):
            try:
                self._timers[name] = _timer(runtime.functions[name], number, environment)
            except ScheduleError as error:
                log.error("The '%s' function is in error: %s", name, error)

    @property
    def names(self) -> Sequence[str]:
        """The timer functions' names."""
        return tuple(self._timers)

    async def run(self, name: str, *, past_due: bool = False) -> bool:
        """Run one timer as soon as no other run of it is under way; False when it failed."""
        timer = self._timers[name]
        async with self._locks.held(timer.lock_number):
            now = datetime.now(UTC)
            status = {"Last": now.isoformat(), "Next": timer.next_due(now).isoformat(), "LastUpdated": now.isoformat()}
            payload = {"Schedule": {}, "ScheduleStatus": status, "IsPastDue": past_due}
            return await self._runtime.invoke_json(timer.function, payload)

    async def tick(self) -> None:
        """Run the timers by their schedules, for ever, while no other worker or host does."""
        async with self._locks.held(LEADER_LOCK, LEADER_POLL_S), self._state.locked():
            await asyncio.gather(*(self._tick_one(timer) for timer in self._timers.values()))

    async def _tick_one(self, timer: Timer) -> None:
        name, last = timer.function.name, self._state.last_run(timer.function.name)
        if last is not None and timer.is_made_up_for and timer.next_due(last) <= datetime.now(UTC):
            await self.run(name, past_due=True)
        due = timer.next_due(datetime.now(UTC))
        while True:
            # Nothing is left to wait for where the run before took longer than its schedule.
            await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            self._state.ran(name, due)
            await self.run(name)
            # Of several that the run before overran, one is run.
            due = max(timer.next_due(due), timer.last_due(datetime.now(UTC)))


def _timer(function: Function, lock_number: int, environment: Mapping[str, str]) -> Timer:
    raw = str(function.trigger["schedule"])
    try:
        schedule = re.sub(r"%([^%]+)%", lambda match: environment[match[1]], raw)
        if len(schedule.split()) != NCRONTAB_FIELDS:
            raise CronSimError("a schedule has six fields, seconds first")
        CronSim(schedule, datetime.now(UTC))
    except KeyError as missing:
        raise ScheduleError(f"{function.name}: the schedule {raw} needs the setting {missing}") from None
    except CronSimError as error:
        raise ScheduleError(f"{function.name}: the schedule {schedule!r} is not valid: {error}") from None
    return Timer(function, schedule, lock_number)
