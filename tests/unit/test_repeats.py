"""Dials that were answered without the store are reported again, each for itself."""

import threading
from collections.abc import Callable

from shared.adapters.repeats import MAX_REPEATS_KEPT, Repeats
from shared.adapters.threads import Crew, Lock

PATIENCE_S = 10.0
MOST = 12


def test_one_that_never_succeeds_keeps_no_other_waiting() -> None:
    repeats, done = Repeats(lambda: True), threading.Event()
    let_go = threading.Event()
    repeats.keep("ana", "never", let_go.is_set, MOST)

    def again() -> bool:
        done.set()
        return True

    repeats.keep("ana", "other", again, MOST)
    assert done.wait(PATIENCE_S)
    let_go.set()


def test_one_that_fails_as_nobody_foresaw_keeps_no_other_waiting_and_ends_no_thread() -> None:
    repeats, done = Repeats(lambda: True), threading.Event()

    def failing() -> bool:
        raise KeyError

    def again() -> bool:
        done.set()
        return True

    repeats.keep("ana", "failing", failing, MOST)
    repeats.keep("ana", "other", again, MOST)
    assert done.wait(PATIENCE_S)


def test_a_look_at_the_store_that_fails_as_nobody_foresaw_ends_no_thread() -> None:
    failed, done = threading.Event(), threading.Event()

    def store_answers() -> bool:
        if not failed.is_set():
            failed.set()
            raise ValueError
        return True

    def again() -> bool:
        done.set()
        return True

    Repeats(store_answers).keep("ana", "one", again, MOST)
    assert done.wait(PATIENCE_S)


def test_while_the_store_is_away_again_the_rest_waits() -> None:
    answers = iter([True, False, False])
    tried: list[str] = []
    over = threading.Event()

    def store_answers() -> bool:
        answer = next(answers, None)
        if answer is None:
            over.set()
        return bool(answer)

    def never(name: str) -> bool:
        tried.append(name)
        return over.is_set()

    repeats = Repeats(store_answers)
    repeats.keep("ana", "one", lambda: never("one"), MOST)
    repeats.keep("ana", "two", lambda: never("two"), MOST)
    assert over.wait(PATIENCE_S)
    assert tried == ["one"]


class HandThreads:
    """Port `Threads`: one thread, run by hand, whose waits let a clock go on at once."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.begun: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []

    def lock(self) -> Lock:
        return threading.Lock()

    def signal(self) -> "HandSignal":
        return HandSignal(self)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def begin(self, name: str, work: Callable[[], None]) -> None:
        self.begun.append(work)

    def crew(self, name: str, size: int) -> Crew:
        raise NotImplementedError


class HandSignal:
    """Port `Signal`: while it is waited for, what is planned for later happens."""

    def __init__(self, threads: HandThreads) -> None:
        self._threads = threads
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        until_s = self._threads.now_s + timeout
        while not self._set and self._threads.later and self._threads.later[0][0] <= until_s:
            self._threads.now_s, happens = self._threads.later.pop(0)
            happens()
        if not self._set:
            self._threads.now_s = until_s
        return self._set


def test_what_fails_though_the_store_answers_is_tried_half_as_often_each_time() -> None:
    threads, tries, asked = HandThreads(), list[float](), list[float]()

    def store_answers() -> bool:
        asked.append(threads.now_s)
        return True

    def broken() -> bool:
        tries.append(threads.now_s)
        return threads.now_s > 120

    Repeats(store_answers, threads=threads).keep("ana", "broken", broken, MOST)
    [run] = threads.begun
    run()
    assert tries == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5, 91.5, 121.5]
    assert len(asked) <= 2 * len(tries)


def test_a_new_one_is_tried_after_half_a_second_however_long_another_waits() -> None:
    threads, tries = HandThreads(), list[float]()
    repeats = Repeats(lambda: True, threads=threads)

    def new() -> bool:
        tries.append(threads.now_s)
        return True

    threads.later = [(40.0, lambda: repeats.keep("ana", "new", new, MOST))]
    repeats.keep("ana", "broken", lambda: threads.now_s > 60, MOST)
    [run] = threads.begun
    run()
    assert tries == [40.5]


def test_a_store_that_is_away_is_asked_every_half_second_and_costs_no_repeat_its_turn() -> None:
    threads, tries = HandThreads(), list[float]()

    def done() -> bool:
        tries.append(threads.now_s)
        return True

    Repeats(lambda: threads.now_s > 60, threads=threads).keep("ana", "one", done, MOST)
    [run] = threads.begun
    run()
    assert tries == [60.5]


def test_nobodys_flood_delays_or_pushes_out_anothers() -> None:
    threads, tries = HandThreads(), list[str]()
    repeats = Repeats(lambda: True, threads=threads)

    def done(name: str) -> Callable[[], bool]:
        def again() -> bool:
            tries.append(name)
            return True

        return again

    repeats.keep("victim", "dial", done("victim"), 12)
    for n in range(2 * MAX_REPEATS_KEPT):
        repeats.keep("flood", f"dial {n}", done(f"flood {n}"), 12)
    repeats.keep("another", "dial", done("another"), 12)
    [run] = threads.begun
    run()
    assert tries[:3] == ["victim", f"flood {2 * MAX_REPEATS_KEPT - 12}", "another"]
    assert len(tries) == 14, "the latest twelve of one"
