"""Dials that were answered without the store are reported again, each for itself."""

import threading

from shared.adapters.repeats import Repeats

PATIENCE_S = 10.0


def test_one_that_never_succeeds_keeps_no_other_waiting() -> None:
    repeats, done = Repeats(lambda: True), threading.Event()
    let_go = threading.Event()
    repeats.keep("never", let_go.is_set)

    def again() -> bool:
        done.set()
        return True

    repeats.keep("other", again)
    assert done.wait(PATIENCE_S)
    let_go.set()


def test_one_that_fails_as_nobody_foresaw_keeps_no_other_waiting_and_ends_no_thread() -> None:
    repeats, done = Repeats(lambda: True), threading.Event()

    def failing() -> bool:
        raise KeyError

    def again() -> bool:
        done.set()
        return True

    repeats.keep("failing", failing)
    repeats.keep("other", again)
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
    repeats.keep("one", lambda: never("one"))
    repeats.keep("two", lambda: never("two"))
    assert over.wait(PATIENCE_S)
    assert tried == ["one"]
