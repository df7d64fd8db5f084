"""Threads of a process, in virtual time: each is a task, which ends where its process has died."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulator.ports import Died, LineLock

if TYPE_CHECKING:
    from tests.simulator.processes import Process

# What thousands of agents are owed would wait for the pauses of others, one after the other.
MAX_PAUSE_S, IN_A_CROWD_S = 20.0, 0.07


class Tasks:
    """Port `Threads`."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._clock = process.world.clock

    def lock(self) -> LineLock:
        return LineLock(self._process)

    def signal(self) -> "TaskSignal":
        return TaskSignal(self._process)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
        self._process.require_alive()

    def begin(self, name: str, work: Callable[[], None]) -> None:
        def task() -> None:
            try:
                self._process.require_alive()
                work()
            except Died:
                return

        self._clock.spawn(task)

    def crew(self, name: str, size: int) -> "TaskCrew":
        return TaskCrew(self, self._process, size)


class TaskSignal:
    """Port `Signal`."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._set = False
        self._waiting: list[Callable[[], None]] = []

    def set(self) -> None:
        self._set = True
        for wake in self._waiting:
            wake()
        self._waiting.clear()

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._process.world.clock.wait(self._waiting, timeout)
            self._process.require_alive()
        return self._set


class TaskCrew:
    """Port `Crew`. Some threads get their turn late: a busy interpreter, a busy machine."""

    def __init__(self, tasks: Tasks, process: "Process", size: int) -> None:
        self._tasks, self._process, self._free = tasks, process, size
        self._longest_pause_s = IN_A_CROWD_S if process.world.crowd else MAX_PAUSE_S
        self._queue: deque[Callable[[], None]] = deque()

    def submit(self, work: Callable[[], None], /) -> None:
        self._queue.append(work)
        if self._free:
            self._free -= 1
            self._tasks.begin("crew", self._work)

    def _work(self) -> None:
        while self._queue:
            work = self._queue.popleft()
            self._tasks.sleep(self._process.world.chance.random() ** 6 * self._longest_pause_s)
            work()
        self._free += 1
