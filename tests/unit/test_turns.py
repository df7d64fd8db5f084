"""Dials in turn, effects behind them, and what is repeated until the store has it."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from shared.adapters import acs_service, table_account
from shared.adapters.effect_threads import ANSWER_FIRST_S, STAND_BACK_S, THREADS_A_KIND, EffectThreads
from shared.adapters.repeats import Repeats
from shared.adapters.shared_look import SharedLook
from shared.adapters.threads import OsThreads
from shared.adapters.turns import CROWD, MAX_PACED, Turns
from shared.bootstrap import DIALS_AT_ONCE, MAILS_AT_ONCE, compose
from shared.domain.errors import LineFull, NotAllowed, Unavailable
from shared.ports import Share
from shared.use_cases.effects import Effect, MergeWaiting
from tests.fakes.house import Counter

SOON_S = 5.0


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def done_with(event: threading.Event) -> Callable[[], bool]:
    def again() -> bool:
        event.set()
        return True

    return again


class Line(OsThreads):
    """Threads that tell how many stand in line: whoever waits for a signal does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting = 0

    def signal(self) -> threading.Event:
        return Called(self)

    def count(self, more: int) -> None:
        with self._lock:
            self.waiting += more


class Called(threading.Event):
    """A signal for which one waits in line."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def wait(self, timeout: float | None = None) -> bool:
        self._line.count(1)
        try:
            return super().wait(timeout)
        finally:
            self._line.count(-1)


def test_whoever_comes_beyond_waits_in_line() -> None:
    turns, came = Turns(1, wait_s=SOON_S), threading.Event()

    def second() -> None:
        with turns.turn() as mine:
            assert mine
            came.set()

    with turns.turn() as mine:
        thread = beside(second)
        assert mine and not came.wait(0.05)
    assert came.wait(SOON_S)
    thread.join()


def test_a_turn_goes_to_whoever_has_waited_longest() -> None:
    line, order = Line(), list[int]()
    turns = Turns(1, wait_s=SOON_S, threads=line)
    threads: list[threading.Thread] = []

    def next_one(number: int) -> Callable[[], None]:
        def take() -> None:
            with turns.turn("one") as mine:
                assert mine
                order.append(number)

        return take

    with turns.turn():
        for number in range(5):
            threads.append(beside(next_one(number)))
            while line.waiting <= number:
                # Nothing tells when a thread has come to stand in line.
                time.sleep(0.001)
    # The one that has just had it comes again at once, behind all of them.
    next_one(5)()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4, 5]


def come_in_order(
    turns: Turns,
    line: Line,
    names: Sequence[str],
    order: list[str],
    sender: str | None = None,
    share: Share | None = None,
) -> list[threading.Thread]:
    """Each stands in line, in this order, and writes down when it had its turn."""

    def take(name: str) -> Callable[[], None]:
        def taking() -> None:
            with turns.turn(name, sender=sender, share=share) as mine:
                assert mine
                order.append(name)

        return taking

    threads: list[threading.Thread] = []
    for place, name in enumerate(names, line.waiting):
        threads.append(beside(take(name)))
        while line.waiting <= place:
            # Nothing tells when a thread has come to stand in line.
            time.sleep(0.001)
    return threads


def test_principals_take_turns_whoever_of_them_sends_most() -> None:
    line, order = Line(), list[str]()
    turns = Turns(1, wait_s=SOON_S, threads=line)
    with turns.turn("flood"):
        threads = come_in_order(turns, line, ["flood", "flood", "flood", "ana", "ben", "ana"], order)
    for thread in threads:
        thread.join()
    assert order == ["flood", "ana", "ben", "flood", "ana", "flood"]


def test_one_principal_has_a_part_of_the_places_only() -> None:
    turns = Turns(3, most_each=2)
    with turns.turn("flood") as first, turns.turn("flood") as second, turns.turn("flood") as third:
        assert (first, second, third) == (True, True, False)
        with turns.turn("ana") as mine:
            assert mine
    with turns.turn("flood") as again:
        assert again


def test_a_place_goes_to_the_next_who_may_have_it() -> None:
    line, order = Line(), list[str]()
    turns = Turns(2, most_each=1, wait_s=SOON_S, threads=line)
    with turns.turn("flood"):
        with turns.turn("ana"):
            threads = come_in_order(turns, line, ["flood", "ben"], order)
        threads[1].join()
        assert order == ["ben"]
    threads[0].join()
    assert order == ["ben", "flood"]
    with turns.turn("ana") as first, turns.turn("ben") as second:
        assert first and second, "none is lost"


def test_beyond_so_many_in_line_nobody_waits() -> None:
    line, order = Line(), list[str]()
    turns = Turns(1, wait_s=SOON_S, threads=line)
    with turns.turn("flood"):
        threads = come_in_order(turns, line, ["flood"], order)
        with pytest.raises(LineFull), turns.turn("flood", share=Share(most_waiting=1)):
            pass
        threads += come_in_order(turns, line, ["ana"], order)
    for thread in threads:
        thread.join()
    assert order == ["flood", "ana"]
    with turns.turn("flood", share=Share(most_waiting=0)) as mine:
        assert mine, "what was turned away has taken nothing"


class Timed(OsThreads):
    """Threads on a steady clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def comes(turns: Turns, principal: str, share: Share) -> bool:
    """Whether one more of the principal's is taken."""
    try:
        with turns.turn(principal, share=share) as mine:
            return mine
    except LineFull:
        return False


def test_whoever_always_comes_again_is_held_to_a_pace() -> None:
    timed, share = Timed(), Share(most_waiting=8, burst=3, per_s=2)
    turns = Turns(6, threads=timed)
    assert [comes(turns, "flood", share) for _ in range(5)] == [True, True, True, False, False]
    assert comes(turns, "ana", share), "each has a pace of their own"
    assert comes(turns, "flood", Share(most_waiting=8)), "who has none is held to none"
    timed.now_s = 1.0
    assert [comes(turns, "flood", share) for _ in range(3)] == [True, True, False]
    timed.now_s = 1000.0
    assert [comes(turns, "flood", share) for _ in range(4)] == [True, True, True, False], "no more gather than a burst"


def test_what_was_not_theirs_to_answer_for_does_not_count_for_a_pace() -> None:
    turns, share = Turns(6, threads=Timed()), Share(most_waiting=8, burst=1)
    for _ in range(3):
        assert comes(turns, "machine", share)
        turns.give_back("machine")
    assert comes(turns, "machine", share) and not comes(turns, "machine", share)
    turns.give_back("nobody")
    assert comes(turns, "nobody", share) and not comes(turns, "nobody", share), "nothing is given that was not taken"


def test_what_finds_the_line_full_does_not_count_for_a_pace() -> None:
    turns, share = Turns(1, threads=Timed()), Share(most_waiting=0, burst=2)
    with turns.turn():
        assert not any(comes(turns, "machine", share) for _ in range(3))
    assert [comes(turns, "machine", share) for _ in range(3)] == [True, True, False]


def test_paces_are_kept_of_so_many_and_the_one_who_came_longest_ago_is_forgotten() -> None:
    turns, share = Turns(6, threads=Timed()), Share(most_waiting=8, burst=1)
    assert comes(turns, "first", share) and not comes(turns, "first", share)
    for number in range(MAX_PACED - 1):
        assert comes(turns, f"principal {number}", share)
    assert not comes(turns, "first", share)
    assert comes(turns, "one more", share)
    assert comes(turns, "principal 0", share) and not comes(turns, "first", share)


def test_one_sender_has_a_part_of_the_places_however_many_it_speaks_for() -> None:
    turns = Turns(3, most_each=2)
    with (
        turns.turn("ana", sender="machine") as first,
        turns.turn("ben", sender="machine") as second,
        turns.turn("carl", sender="machine") as third,
        turns.turn("ana") as own,
    ):
        assert (first, second, third, own) == (True, True, False, True)


def test_a_line_is_full_for_one_principal_and_not_for_another_of_the_same_sender() -> None:
    line, order = Line(), list[str]()
    turns = Turns(1, wait_s=SOON_S, threads=line)
    crisis = [f"agent {number}" for number in range(60)]
    with turns.turn("ana", sender="machine"):
        threads = come_in_order(turns, line, crisis, order, sender="machine", share=Share(most_waiting=1))
        with pytest.raises(LineFull), turns.turn(crisis[0], sender="machine", share=Share(most_waiting=1)):
            pass
        threads += come_in_order(turns, line, ["dana"], order)
    for thread in threads:
        thread.join()
    with turns.turn(crisis[0], sender="machine", share=Share(most_waiting=0)) as mine:
        assert mine and order == [*crisis, "dana"]


def test_nobody_waits_behind_a_sender_who_has_all_that_one_may_have() -> None:
    line, order = Line(), list[str]()
    turns = Turns(2, most_each=1, wait_s=SOON_S, threads=line)
    with turns.turn("ana", sender="machine"):
        with turns.turn("ben"):
            threads = come_in_order(turns, line, ["dana"], order, sender="machine")
            threads += come_in_order(turns, line, ["dana"], order, sender="office")
        threads[1].join()
        assert order == ["dana"]
    threads[0].join()


def test_whoever_waited_in_vain_leaves_the_line_to_the_next() -> None:
    turns = Turns(1, wait_s=0.01)
    with turns.turn("ana"):
        for _ in range(3):
            with turns.turn("ana", share=Share(most_waiting=1)) as late:
                assert not late


def test_all_who_ask_at_once_share_one_look() -> None:
    looks, begun, go_on = SharedLook(wait_s=SOON_S), threading.Event(), threading.Event()
    seen: list[bool] = []

    def slow() -> bool:
        begun.set()
        assert go_on.wait(SOON_S)
        return False

    assert looks.ask(lambda: True)
    thread = beside(lambda: seen.append(looks.ask(slow)))
    assert begun.wait(SOON_S)
    assert looks.ask(lambda: False), "what was seen last, at once"
    go_on.set()
    thread.join()
    assert seen == [False] and looks.ask(lambda: True)


def test_the_very_first_look_is_waited_for() -> None:
    looks, begun, go_on = SharedLook(wait_s=SOON_S), threading.Event(), threading.Event()
    seen: list[bool] = []

    def slow() -> bool:
        begun.set()
        assert go_on.wait(SOON_S)
        return True

    first = beside(lambda: seen.append(looks.ask(slow)))
    assert begun.wait(SOON_S)
    second = beside(lambda: seen.append(looks.ask(lambda: False)))
    go_on.set()
    first.join()
    second.join()
    assert seen[0] and len(seen) == 2


def test_a_look_that_fails_keeps_nobody_from_looking() -> None:
    looks = SharedLook(wait_s=0.0)

    def failing() -> bool:
        raise Unavailable

    with pytest.raises(Unavailable):
        looks.ask(failing)
    assert looks.ask(lambda: True)


def test_whoever_waited_too_long_is_not_called_any_more() -> None:
    turns = Turns(1, wait_s=0.01)
    with turns.turn(), turns.turn() as late:
        assert not late
    with turns.turn() as mine:
        assert mine


def test_without_a_wait_whoever_comes_beyond_is_told_at_once() -> None:
    turns = Turns(1)
    with turns.turn() as first, turns.turn() as second:
        assert (first, second) == (True, False)
    with turns.turn() as third:
        assert third, "a turn that was not had is not given back"


def telling(done: threading.Event) -> Callable[[str], Sequence[str]]:
    """An effect from which nothing follows, and which says that it was done."""

    def perform(_: str) -> Sequence[str]:
        done.set()
        return ()

    return perform


def test_effects_stand_back_while_somebody_has_a_turn_or_waits_for_one() -> None:
    turns, done = Turns(1, wait_s=SOON_S), threading.Event()
    effects = EffectThreads[str](Counter(), stand_back=turns.wait_until_quiet)
    with turns.turn():
        effects.start(["hold"], telling(done))
        assert not done.wait(0.05)
    assert done.wait(SOON_S)


def test_what_dials_owe_lets_a_crowd_go_first_and_waits_no_longer_for_a_few() -> None:
    line, order, done = Line(), list[str](), threading.Event()
    turns = Turns(1, wait_s=SOON_S, threads=line)

    def stands_back() -> None:
        turns.wait_until_quiet(0.0, crowd_s=SOON_S)
        done.set()

    with turns.turn() as mine:
        crowd = come_in_order(turns, line, [f"agent {number}" for number in range(CROWD)], order)
        began = time.monotonic()
        turns.wait_until_quiet(0.0, crowd_s=0.05)
        assert mine and time.monotonic() - began >= 0.05, "for a crowd, so long"
        behind = beside(stands_back)
        while line.waiting <= CROWD:
            # Nothing tells when a thread has come to stand back.
            time.sleep(0.001)
        assert not done.is_set()
    assert done.wait(SOON_S)
    for thread in (*crowd, behind):
        thread.join()
    few = Turns(1)
    with few.turn(), few.turn():
        # As many as have turns soon are no crowd: it would be waited for until the end of all days.
        few.wait_until_quiet(0.0, crowd_s=threading.TIMEOUT_MAX)


def test_what_the_deployed_app_owes_lets_a_crowd_of_dials_go_first() -> None:
    calling, begun, over = compose({}).calling, threading.Event(), threading.Event()
    crowd = CROWD * DIALS_AT_ONCE + 1
    here = threading.Barrier(crowd + 1)

    def dial() -> None:
        with calling.dials.turn():
            here.wait(SOON_S)
            over.wait(SOON_S)

    def perform(_: Effect) -> tuple[Effect, ...]:
        begun.set()
        return ()

    dials = [beside(dial) for _ in range(crowd)]
    here.wait(SOON_S)
    calling.effects.start([MergeWaiting()], perform)
    assert not begun.wait(STAND_BACK_S + 0.2)
    over.set()
    assert begun.wait(SOON_S)
    for thread in dials:
        thread.join()


def test_effects_begin_a_moment_after_the_answer_that_they_follow_from() -> None:
    begun: list[float] = []
    done = threading.Event()

    def perform(_: str) -> Sequence[str]:
        begun.append(time.monotonic())
        done.set()
        return ()

    answered_not_before = time.monotonic()
    EffectThreads[str](Counter()).start(["hold"], perform)
    assert done.wait(SOON_S)
    assert begun[0] - answered_not_before >= ANSWER_FIRST_S


def test_what_every_dial_owes_leaves_storage_enough_for_the_dials_behind_it() -> None:
    most_at_once_of_a_dial = 3
    dials = DIALS_AT_ONCE * most_at_once_of_a_dial
    assert MAILS_AT_ONCE + THREADS_A_KIND + dials <= table_account.THREADS
    assert MAILS_AT_ONCE <= acs_service.THREADS, "more would wait for each other before the service is asked"


def test_a_kind_has_the_crew_that_it_is_given() -> None:
    full, done = threading.Barrier(THREADS_A_KIND + 2), threading.Event()

    def perform(_: str) -> Sequence[str]:
        full.wait(SOON_S)
        done.set()
        return ()

    effects = EffectThreads[str](Counter(), crews={str: THREADS_A_KIND + 1})
    effects.start([f"slow {n}" for n in range(THREADS_A_KIND + 1)], perform)
    full.wait(SOON_S)
    assert done.wait(SOON_S)


def test_an_effect_that_waits_already_is_not_queued_again() -> None:
    begun: list[str] = []
    full, last = threading.Barrier(THREADS_A_KIND + 1), threading.Event()
    one_goes_on, all_go_on = threading.Event(), threading.Event()

    def perform(effect: str) -> Sequence[str]:
        begun.append(effect)
        if effect.startswith("slow") and begun.count(effect) == 1:
            full.wait(SOON_S)
            assert (one_goes_on if effect == "slow 0" else all_go_on).wait(SOON_S)
        elif effect == "last":
            last.set()
        return ()

    effects = EffectThreads[str](Counter())
    effects.start([f"slow {n}" for n in range(THREADS_A_KIND)], perform)
    full.wait(SOON_S)
    effects.start(["notice", "notice", "slow 1"], perform)
    effects.start(["notice", "last"], perform)
    # One thread alone does all that waits, in the order in which it was queued.
    one_goes_on.set()
    assert last.wait(SOON_S)
    all_go_on.set()
    assert (begun.count("notice"), begun.count("slow 1")) == (1, 2), "what has begun may not see what is owed since"


def test_effects_do_not_stand_back_for_ever() -> None:
    turns, done = Turns(1), threading.Event()
    effects = EffectThreads[str](Counter(), stand_back=turns.wait_until_quiet)
    with turns.turn():
        effects.start(["hold"], telling(done))
        assert done.wait(SOON_S)


def test_what_the_store_does_not_have_is_repeated_until_it_has() -> None:
    tries: list[bool] = []
    over, away = threading.Event(), [True, False]

    def again() -> bool:
        tries.append(True)
        if len(tries) == 2:
            over.set()
        return len(tries) == 2

    repeats = Repeats(lambda: not (away.pop(0) if away else False))
    repeats.keep("ana", "dial", again, 12)
    assert over.wait(SOON_S)
    # Another one afterwards begins anew, and the first is not repeated any more.
    other = threading.Event()
    repeats.keep("ana", "other", done_with(other), 12)
    assert other.wait(SOON_S) and len(tries) == 2


def test_what_is_refused_is_not_repeated() -> None:
    tried, after = threading.Event(), threading.Event()

    def refused() -> bool:
        assert not tried.is_set(), "once is enough"
        tried.set()
        raise NotAllowed

    repeats = Repeats(lambda: True)
    repeats.keep("ana", "refused", refused, 12)
    assert tried.wait(SOON_S)
    repeats.keep("ana", "next", done_with(after), 12)
    assert after.wait(SOON_S)
