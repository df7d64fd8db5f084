"""What waits and what runs beside: threads, locks, signals and pauses, as one argument.

Whoever takes it can run in virtual time as well, where tasks take the place of threads.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol


class Signal(Protocol):
    """Something that happens once."""

    def set(self) -> None:
        """It happened."""
        ...

    def is_set(self) -> bool:
        """Whether it happened."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds; whether it happened."""
        ...


class Lock(AbstractContextManager[object], Protocol):
    """A lock that is not entered twice by one thread."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait for it, at most `timeout` seconds; whether it was to be had."""
        ...

    def release(self) -> None:
        """Let go of it."""
        ...


class Crew(Protocol):
    """So many threads, and a queue before them."""

    def submit(self, work: Callable[[], None], /) -> object:
        """Do this as soon as one is free."""
        ...


class Threads(Protocol):
    """How a process waits, and does several things at once."""

    def lock(self) -> Lock:
        """A lock that nobody holds yet."""
        ...

    def signal(self) -> Signal:
        """Something that has not happened yet."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let that time pass."""
        ...

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """Do this on a thread of its own, which keeps no process from ending."""
        ...

    def crew(self, name: str, size: int) -> Crew:
        """At most `size` threads, begun when they are needed."""
        ...


class OsThreads:
    """Port `Threads`: those of the operating system."""

    def lock(self) -> Lock:
        """A plain lock."""
        return threading.Lock()

    def signal(self) -> Signal:
        """An event."""
        return threading.Event()

    def monotonic(self) -> float:
        """The machine's steady clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def begin(self, name: str, work: Callable[[], None]) -> None:
        """A daemon thread."""
        threading.Thread(target=work, name=name, daemon=True).start()

    def crew(self, name: str, size: int) -> Crew:
        """An executor."""
        return ThreadPoolExecutor(size, name)


OS_THREADS = OsThreads()
