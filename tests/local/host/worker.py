"""One worker process of the local host: indexes the app, then serves it until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from tests.local.clock import MovableClock, Offset

GRACE_S = 1
KEEP_ALIVE_S = 120
SETTING_DEFAULTS = {
    "PYTHON_THREADPOOL_THREAD_COUNT": "64",
    "EXPIRY_SCHEDULE": "0 * * * * *",
    "OUTBOX_SCHEDULE": "*/10 * * * * *",
}


@dataclass(frozen=True)
class SharedDescriptor:
    """An open file that reaches a new process together with the arguments of that process."""

    number: int

    def __reduce__(self) -> tuple[Any, ...]:
        return _received_descriptor, (reduction.DupFd(self.number),)


def _received_descriptor(duplicate: Any) -> SharedDescriptor:
    return SharedDescriptor(duplicate.detach())


@dataclass(frozen=True)
class Settings:
    """What every worker is told."""

    app_directory: Path
    port: int
    workers: int
    ticking: bool
    take_up: bool
    timer_state: Path | None
    timer_gap_s: float
    master_key: str
    log_file: Path | None
    offset: Offset
    locks: SharedDescriptor


def run(settings: Settings, number: int, supervisor: Connection) -> None:
    """Be worker `number` until SIGTERM, or until the supervisor is gone.

    Sends the supervisor None when it serves, or a text that says why it cannot.
    """
    _die_with_supervisor()
    _log_to(settings.log_file, number)
    # Ctrl-C reaches the whole terminal; only the supervisor acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name, value in SETTING_DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        asyncio.run(_serve(settings, supervisor))
    except Exception as error:  # told to the supervisor, which ends the host
        logging.getLogger(__name__).exception("worker %d cannot go on", number)
        with contextlib.suppress(OSError):
            supervisor.send(f"{type(error).__name__}: {error}")
    finally:
        logging.shutdown()
        # Functions still under way are dropped, as on the platform; their threads would hold up an ordinary exit.
        os._exit(0)


async def _serve(settings: Settings, supervisor: Connection) -> None:
    # Loaded here, so that the supervisor stays small.
    from tests.local.host.refused_routes import refused
    from tests.local.host.routes import Router
    from tests.local.host.runtime import indexed
    from tests.local.host.timer_state import TimerState
    from tests.local.host.timers import ProcessLocks, Timers
    from tests.local.host.web import Host

    clock = MovableClock(settings.offset)
    sys.path.insert(0, str(settings.app_directory))
    _compose(settings, clock)
    runtime = await indexed(settings.app_directory)
    for handler in logging.getLogger().handlers:
        handler.addFilter(runtime.invocations)
    for function, why in list(refused(runtime.functions.values())):
        del runtime.functions[function.name]
        logging.getLogger(__name__).error("The '%s' function is in error: %s", function.name, why)
    locks = ProcessLocks(settings.locks.number)
    host = Host(
        runtime=runtime,
        router=Router(runtime.functions.values(), _route_prefix(settings.app_directory)),
        timers=Timers(runtime, locks, os.environ, TimerState(settings.timer_state, os.getppid(), settings.timer_gap_s)),
        locks=locks,
        clock=clock,
        master_key=settings.master_key,
        worker_count=settings.workers,
    )
    ticking = asyncio.create_task(host.timers.tick()) if settings.ticking else None
    listener = shared_listener(settings.port)
    listener.listen(2048)
    supervisor.send(None)
    await _server(host.application()).serve([listener])
    if ticking is not None:
        ticking.cancel()


def _compose(settings: Settings, clock: MovableClock) -> None:
    """Give the product the local clock and sign-in, if it is the product that is served."""
    if not (settings.app_directory / "shared" / "bootstrap.py").is_file():
        return
    from msgspec import structs

    from shared import bootstrap
    from tests.local.host.resting import RestingTakeUp
    from tests.local.recordings import endpoint_of, route_to
    from tests.local.sign_in import DevelopmentSignIn

    def composed() -> bootstrap.App:
        app = bootstrap.compose(
            os.environ,
            clock=clock,
            sign_in=DevelopmentSignIn(),
            recordings_route=route_to(endpoint_of(os.environ)),
        )
        resting = RestingTakeUp(app.calling.take_up_outbox, app.calling.telemetry)
        return app if settings.take_up else structs.replace(app, take_up=resting)

    bootstrap.install(composed)


def _route_prefix(app_directory: Path) -> str:
    """The prefix of all HTTP routes, by host.json."""
    try:
        settings = json.loads((app_directory / "host.json").read_text())
    except FileNotFoundError:
        settings = {}
    return str(settings.get("extensions", {}).get("http", {}).get("routePrefix", "api"))


def shared_listener(port: int) -> socket.socket:
    """A socket on the loopback address whose port several processes can have; the kernel spreads connections."""
    # Named as TCP, because only then does asyncio switch off the delay that costs each answer 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM, without dying of that signal afterwards as the original does."""

        def end(number: int, frame: FrameType | None) -> None:
            self.should_exit = True

        signal.signal(signal.SIGTERM, end)
        yield


def _server(application: Any) -> _Server:
    # No access log: paths hold ids.
    return _Server(
        uvicorn.Config(
            application,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


def _die_with_supervisor() -> None:
    """End at once when the supervisor is gone, even if that was by SIGKILL."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    # Also covers a supervisor that was gone before the line above, and systems without that line.
    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


def _log_to(file: Path | None, number: int) -> None:
    handler = logging.StreamHandler(sys.stderr) if file is None else logging.FileHandler(file)
    handler.setFormatter(logging.Formatter(f"%(asctime)s w{number} %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The cloud's worker takes in what libraries warn of, too.
    logging.captureWarnings(True)
