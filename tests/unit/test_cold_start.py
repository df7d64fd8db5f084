"""A cold process's own time is not charged to the store (B1)."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from msgspec import structs

from shared.adapters.background_look import BackgroundLook
from shared.adapters.breaker import Breaker
from shared.adapters.effect_threads import MAX_WAITING_A_KIND, MAX_WAITING_OF_ONE, EffectThreads
from shared.adapters.repeats import Repeats
from shared.adapters.system_clock import SystemClock
from shared.adapters.threads import OsThreads
from shared.bootstrap import Preparation, WarmUp
from shared.deadlines import Deadline
from shared.domain.dials import Dial
from shared.domain.errors import Unavailable
from tests.fakes.house import Counter, HandClock, House, everybody


def test_imports_before_the_first_dial_take_nothing_from_its_deadline() -> None:
    house = House()
    house.tick()

    def import_slowly() -> None:
        house.clock.advance(timedelta(seconds=3))

    calling = structs.replace(house.calling, prepare=import_slowly)
    answer = calling.start_call(Dial(call_id="1", agent_id="ana", dialled="911", country="US"), caller=everybody())
    assert not answer.degraded and answer.callback_number in house.deployment.callback_numbers
    assert calling.check_health()


def test_a_preparation_is_made_once_and_everybody_waits_for_it() -> None:
    begun, may_end, done = threading.Event(), threading.Event(), []

    def step() -> None:
        begun.set()
        may_end.wait(10)
        done.append(1)

    def unusable() -> None:
        raise Unavailable

    prepare = Preparation(unusable, step, telemetry=Counter())
    first = threading.Thread(target=prepare)
    first.start()
    begun.wait(10)

    def wait_too() -> None:
        prepare()
        done.append(2)

    second = threading.Thread(target=wait_too)
    second.start()
    may_end.set()
    first.join(10)
    second.join(10)
    prepare()
    assert done == [1, 2]


def test_a_step_that_nobody_foresaw_to_fail_keeps_no_other_back() -> None:
    done: list[str] = []

    def fails() -> None:
        raise FileNotFoundError

    counter = Counter()
    Preparation(fails, partial(done.append, "preparation"), telemetry=counter)()
    WarmUp(fails, partial(done.append, "warm-up"), telemetry=counter).finish()
    assert done == ["preparation", "warm-up"]
    assert counter.events == 2 * [("unforeseen_error", {"function": "start_up", "error": "FileNotFoundError"})]


def test_the_warm_up_stands_back_before_each_step() -> None:
    said: list[str] = []
    over = threading.Event()

    def stand_back(_most_s: float) -> None:
        said.append("back")

    def last() -> None:
        said.append("two")
        over.set()

    WarmUp(lambda: said.append("one"), last, telemetry=Counter(), stand_back=stand_back).begin()
    assert over.wait(10)
    assert said == ["back", "one", "back", "two"]


def test_an_added_instance_waits_for_the_end_of_its_warm_up() -> None:
    may_end, said = threading.Event(), []

    def step() -> None:
        may_end.wait(10)
        said.append("over")

    warm_up = WarmUp(step, telemetry=Counter())
    warm_up.begin()

    def wait() -> None:
        warm_up.finish()
        said.append("waited")

    waiting = threading.Thread(target=wait)
    waiting.start()
    may_end.set()
    waiting.join(10)
    assert said == ["over", "waited"]


def test_a_store_is_unheard_until_it_answers_or_does_not() -> None:
    for settle in ("answered", "failed"):
        breaker = Breaker(HandClock())
        attempt = breaker.admit()
        assert breaker.unheard
        breaker.admit().dropped()
        assert breaker.unheard, "a request that was never made says nothing"
        getattr(attempt, settle)()
        assert not breaker.unheard


class FailingThreads(OsThreads):
    """The interpreter shuts down."""

    def begin(self, name: str, work: Callable[[], None]) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    def crew(self, name: str, size: int) -> "FailingThreads":
        return self

    def submit(self, work: Callable[[], None], /) -> object:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")


class Rests(OsThreads):
    """Threads that never come to it."""

    def crew(self, name: str, size: int) -> "Rests":
        return self

    def submit(self, work: Callable[[], None], /) -> object:
        return None


class NoThreadAtFirst(OsThreads):
    """The machine has no thread to give when it is first asked; an executor has queued the work by then."""

    def __init__(self) -> None:
        self.queued: list[Callable[[], None]] = []
        self._asked = 0

    def _give(self) -> None:
        self._asked += 1
        if self._asked == 1:
            raise RuntimeError("can't start new thread")

    def begin(self, name: str, work: Callable[[], None]) -> None:
        self._give()
        super().begin(name, work)

    def crew(self, name: str, size: int) -> "NoThreadAtFirst":
        return self

    def submit(self, work: Callable[[], None], /) -> object:
        self.queued.append(work)
        self._give()
        return None


def test_an_effect_that_was_queued_before_no_thread_was_to_be_had_is_done_by_the_threads_that_there_are() -> None:
    threads, done = NoThreadAtFirst(), list[str]()
    effects = EffectThreads[str](Counter(), threads=threads)

    def perform(effect: str) -> tuple[str, ...]:
        done.append(effect)
        return ()

    for name in ("one", "two"):
        effects.start([name], perform)
    for work in threads.queued:
        work()
    assert done == ["one", "two"]


def test_a_look_for_which_there_was_no_thread_is_taken_by_whoever_asks_next() -> None:
    clock = SystemClock()
    look = BackgroundLook(
        "test", lambda _: 1, clock, Counter(), within_s=1.0, remembered_s=60.0, threads=NoThreadAtFirst()
    )
    assert look.seen(Deadline(clock, 10.0)) is None
    assert look.seen(Deadline(clock, 10.0)) == 1


def test_a_warm_up_for_which_there_was_no_thread_ends_no_sweep_and_is_begun_by_the_next() -> None:
    done = threading.Event()
    warm_up = WarmUp(done.set, telemetry=Counter(), threads=NoThreadAtFirst())
    warm_up.begin()
    assert not done.is_set()
    warm_up.begin()
    assert done.wait(10)


def test_effects_that_cannot_be_begun_any_more_are_left_to_the_outbox() -> None:
    counter = Counter()
    effects = EffectThreads[str](counter, threads=FailingThreads())
    effects.start(["one"], lambda _: ())
    effects.finish(["two"], lambda _: ())
    assert counter.events == [("effect_failed", {"effect": "str", "error": "no_thread"})] * 2


def test_so_many_effects_wait_and_no_more() -> None:
    counter = Counter()
    effects = EffectThreads[int](counter, threads=Rests())
    effects.start(range(MAX_WAITING_A_KIND + 3), lambda _: ())
    assert counter.count("effect_failed") == 3


def test_one_reporters_effects_leave_places_to_everybody_else() -> None:
    counter = Counter()
    effects = EffectThreads[tuple[str, int]](counter, reporter_of=lambda effect: effect[0], threads=Rests())
    effects.start([("flood", number) for number in range(MAX_WAITING_A_KIND)], lambda _: ())
    assert counter.count("effect_failed") == MAX_WAITING_A_KIND - MAX_WAITING_OF_ONE
    effects.start([("another", 0)], lambda _: ())
    assert counter.count("effect_failed") == MAX_WAITING_A_KIND - MAX_WAITING_OF_ONE


def test_a_repeat_that_finds_no_thread_is_kept_for_the_next() -> None:
    said, both = list[str](), threading.Event()

    def repeat(key: str) -> bool:
        said.append(key)
        if len(said) == 2:
            both.set()
        return True

    repeats = Repeats(lambda: True, threads=NoThreadAtFirst())
    repeats.keep("ana", "one", lambda: repeat("one"), 12)
    assert not said
    repeats.keep("ana", "two", lambda: repeat("two"), 12)
    assert both.wait(10)
    assert sorted(said) == ["one", "two"]
