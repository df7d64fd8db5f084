"""The app of this process, as functions reach it: composed at first use, and told when it has served."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.bootstrap import App

COMPOSED_AFTER_S = 0.5


def composed() -> "App":
    """The app, composed at first use: indexing the functions must not pay for it."""
    from shared.bootstrap import app

    return app()


@contextmanager
def serving() -> Iterator["App"]:
    """The app, for one invocation; afterwards it knows that this process serves, and so may take up what is overdue."""
    app = composed()
    try:
        yield app
    finally:
        app.take_up.served()


def begin_take_up() -> None:
    """A host has loaded the function app: look for what a process that died left owed, in the background.

    A moment later, because the host indexes the functions first, and composing the app would slow that.
    """

    def begin() -> None:
        composed().take_up.begin()

    beginning = threading.Timer(COMPOSED_AFTER_S, begin)
    beginning.daemon = True
    beginning.start()
