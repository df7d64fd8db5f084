"""A local stack whose way to its storage is tapped: counted, broken, or the moment of a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.integration.used import watch
from tests.local import azurite, stack
from tests.local.acs import poll
from tests.local.azurite import Azurite
from tests.local.host.process import TimerError
from tests.local.loopback import LoopbackHandler, LoopbackServer
from tests.local.outside import Where
from tests.local.stack import POOL, Stack
from tests.local.wiretap import Wiretap

FIRST_TRIES_TAKE_S = 4.0


class Tapped(NamedTuple):
    """The stack, and what stands between its host and its storage."""

    local: Stack
    tap: Wiretap


@contextmanager
def tapped_stack(
    folder: Path,
    *,
    pool: Sequence[str] = POOL,
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
    storage: Azurite | None = None,
    label: Callable[[bytes, bytes], str | None] | None = None,
    presence: Where = "table",
) -> Iterator[Tapped]:
    """Run it until the end of the block, on storage of its own unless there is one already."""
    if storage is None:
        with (
            azurite.running(services=["table"]) as own,
            tapped_stack(
                folder, pool=pool, workers=workers, settings=settings, storage=own, label=label, presence=presence
            ) as running,
        ):
            yield running
        return
    with Wiretap(storage.url(), label=label) as tap:
        through = {"TABLES_CONNECTION_STRING": through_tap(storage, tap), **(settings or {})}
        with stack.running(
            pool=pool, workers=workers, settings=through, storage=storage, folder=folder, presence=presence
        ) as local:
            local.http.event_hooks["response"].append(watch)
            yield Tapped(local, tap)


def through_tap(storage: Azurite, tap: Wiretap) -> str:
    """The storage's connection string, by way of the wiretap."""
    return storage.connection_string.replace(urlsplit(storage.url()).netloc, urlsplit(tap.url).netloc)


def settle(local: Stack) -> None:
    """Let time pass, and the sweep run, until nothing is owed: what failed meanwhile was put off."""

    def owed() -> bool:
        return any(row["RowKey"].startswith(("outbox|", "ladder|")) for row in local.rows()["emergencies"])

    began = time.monotonic()

    def nothing_owed() -> bool:
        if not owed():
            return True
        if time.monotonic() - began < FIRST_TRIES_TAKE_S:
            return False
        local.advance(timedelta(seconds=61))
        # It fails as long as the app has not noticed that storage is back.
        with suppress(TimerError):
            local.run_timers("outbox_sweep")
        return False

    poll(nothing_owed, within_s=45, what="an empty outbox")
    local.control.wait_until_delivered()


class Bell(LoopbackServer):
    """Calls a function whenever the stand-in for communication services comes to a request that was to be noticed."""

    def __init__(self, ring: Callable[[], None]) -> None:
        bell = self
        self.rung = 0

        class Handler(LoopbackHandler):
            def do_POST(self) -> None:
                bell.rung += 1
                ring()
                self.send_response(204)
                self.end_headers()

        super().__init__(Handler)
