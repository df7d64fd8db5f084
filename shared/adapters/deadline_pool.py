"""Requests on threads of their own, so that whoever asks waits until a deadline and not a moment longer.

A client's time-out bounds the wait for one byte, never a whole request, and name look-ups and tokens have none at
all. So the one who asks waits here, and the thread that does the work ends by itself soon after the same deadline
(`shared.adapters.timely_http`). Threads and waiting works are bounded in number (architecture.md, B1).
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import copy_context

from shared.deadlines import Deadline
from shared.domain.errors import Unavailable

_WAITING_FOR_EACH_THREAD = 4
_running = threading.local()


def running_deadline() -> Deadline | None:
    """The deadline of the work that this thread is doing; None on any other thread."""
    deadline: Deadline | None = getattr(_running, "deadline", None)
    return deadline


def seconds_left(most_s: float) -> float:
    """`most_s`, or less where the running work's deadline comes earlier. Raises `TimeoutError` when it has passed."""
    deadline = running_deadline()
    if deadline is None:
        return most_s
    left_s = deadline.latest_s()
    if left_s <= 0:
        raise TimeoutError
    return min(most_s, left_s)


class PendingAnswer[T]:
    """Port `Pending`: waits until the deadline, then raises `Unavailable`."""

    def __init__(self, future: Future[T], deadline: Deadline, when_late: Callable[[], None]) -> None:
        self._future = future
        self._deadline = deadline
        self._when_late = when_late

    def result(self) -> T:
        """The answer, or what the work raised."""
        while True:
            try:
                return self._future.result(timeout=self._deadline.remaining_s())
            except TimeoutError:
                if self._future.done() or self._deadline.passed():
                    break
            except CancelledError:
                break
        never_begun = self._future.cancel()
        self._when_late()
        raise Unavailable(undone=never_begun)


class DeadlinePool:
    """At most `size` threads, begun when they are needed, and a short queue before them, of `waiting` at most."""

    def __init__(self, name: str, size: int, waiting: int | None = None) -> None:
        self._executor = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(size + (waiting or size * _WAITING_FOR_EACH_THREAD))

    def submit[T](
        self, work: Callable[[], T], deadline: Deadline, when_late: Callable[[], None] = lambda: None
    ) -> PendingAnswer[T]:
        """Begin `work`; `when_late` is called if nobody has its result by the deadline. Raises `Unavailable`."""
        deadline.require()
        if not self._places.acquire(blocking=False):
            raise Unavailable(undone=True)
        context = copy_context()
        try:
            future = self._executor.submit(context.run, within, deadline, work)
        except RuntimeError:
            # The host is shutting down: nothing can be begun any more.
            self._places.release()
            raise Unavailable(undone=True) from None
        future.add_done_callback(lambda _: self._places.release())
        return PendingAnswer(future, deadline, when_late)

    def close(self) -> None:
        """Begin nothing more; what runs ends at its deadline."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def within[T](deadline: Deadline, work: Callable[[], T]) -> T:
    """Do `work` on this thread, each of its waits until the deadline. Raises `Unavailable` where that has passed."""
    # It may have waited for a thread until nobody waits for it any more.
    deadline.require()
    _running.deadline = deadline
    try:
        return work()
    finally:
        _running.deadline = None
