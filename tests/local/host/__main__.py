"""The local Functions host: `python -m tests.local.host --port 7071 --workers 2`.

Serves the function app on the library that the cloud's Python worker runs, with what the cloud's host adds: routes and
keys, the Event Grid webhook, and timers. Settings come from the environment. It prints one line when it is ready.

This module is the supervisor: it starts the workers, and ends all of them when it ends. It restarts nothing, so that a
test that kills a worker sees what the others do; with `--restart` it stands before the workers and starts those anew
that died, as the cloud's host does.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.local.host.front import Front
from tests.local.host.restarts import DELAYS_S, Restarts
from tests.local.host.timer_state import GAP_S
from tests.local.host.worker import Settings, SharedDescriptor, run, shared_listener

REPOSITORY = Path(__file__).resolve().parents[3]
END_S = 2.5
WAKE_UP = b"\0"


class StartError(RuntimeError):
    """A worker cannot serve the app."""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    arguments = _parsed(sys.argv[1:])
    with contextlib.ExitStack() as undo:
        # Keeps the port for this host for its whole life; the workers share it.
        reserved = undo.enter_context(_reserved_port(arguments.port))
        signals = undo.enter_context(_signal_socket())
        # As the platform does: where the app is reached from outside.
        os.environ.setdefault("WEBSITE_HOSTNAME", f"127.0.0.1:{reserved.getsockname()[1]}")
        locks = undo.enter_context(tempfile.TemporaryFile())
        context = multiprocessing.get_context("spawn")
        settings = Settings(
            app_directory=arguments.app_directory.resolve(),
            port=reserved.getsockname()[1],
            workers=arguments.workers,
            ticking=arguments.timers,
            take_up=arguments.timers if arguments.take_up is None else arguments.take_up,
            timer_state=arguments.timer_state and arguments.timer_state.resolve(),
            timer_gap_s=arguments.timer_gap_s,
            master_key=_master_key(show=arguments.print_key),
            log_file=arguments.log_file and arguments.log_file.resolve(),
            offset=context.RawValue("d", 0.0),
            locks=SharedDescriptor(locks.fileno()),
        )
        crew = Crew(settings, signals)
        undo.callback(crew.end)
        try:
            if arguments.restart:
                crew.stand_before(undo)
            crew.start_all()
        except StartError as error:
            sys.exit(str(error))
        if arguments.restart and crew.restart_for_ever(Restarts(arguments.restart_delays or DELAYS_S)):
            sys.exit("a worker has died too often")
        if not arguments.restart and _await_end(crew.workers, signals):
            sys.exit("all workers have ended")


class Crew:
    """The workers."""

    def __init__(self, settings: Settings, signals: socket.socket) -> None:
        self.workers: list[BaseProcess] = []
        self._settings = settings
        self._signals = signals
        self._ports = [settings.port] * settings.workers
        self._serving: dict[int, int] = {}

    def stand_before(self, undo: contextlib.ExitStack) -> None:
        """Answer the host's port here; each worker gets a port of its own."""
        kept = [undo.enter_context(_reserved_port(0)) for _ in self._ports]
        self._ports = [each.getsockname()[1] for each in kept]
        Front(self._settings.port, self._serving).begin()

    def start_all(self) -> None:
        """Start the workers and announce when all of them serve.

        Raises:
            StartError: with what the worker said.
        """
        reports = [self._begin(number) for number in range(self._settings.workers)]
        if all(self._is_ready(number, report) for number, report in enumerate(reports)):
            print(f"listening on http://127.0.0.1:{self._settings.port}", flush=True)

    def restart_for_ever(self, restarts: Restarts) -> bool:
        """Start anew what died, until a signal (False), or until workers died too often (True)."""
        while True:
            ended = wait([*(worker.sentinel for worker in self.workers), self._signals])
            if self._signals in ended:
                return False
            number = next(n for n, worker in enumerate(self.workers) if worker.sentinel in ended)
            self._serving.pop(self.workers[number].pid or 0, None)
            delay_s = restarts.delay_s(time.monotonic())
            if delay_s is None:
                return True
            if wait([self._signals], delay_s):
                return False
            with contextlib.suppress(StartError):
                # What could not be started has ended, and so comes here again.
                self._is_ready(number, self._begin(number))

    def end(self) -> None:
        """End all."""
        _end(self.workers)

    def _begin(self, number: int) -> Connection:
        context = multiprocessing.get_context("spawn")
        report, sender = context.Pipe(duplex=False)
        settings = dataclasses.replace(self._settings, port=self._ports[number])
        worker = context.Process(target=run, args=(settings, number, sender), name=f"worker-{number}")
        worker.start()
        sender.close()
        self.workers[number : number + 1] = [worker]
        return report

    def _is_ready(self, number: int, report: Connection) -> bool:
        """Whether the worker serves; not where a signal came first, which is left in its socket."""
        if self._signals in wait([report, self._signals]):
            return False
        try:
            problem = report.recv()
        except EOFError:
            problem = "a worker ended before it was ready"
        if problem is not None:
            directory = self._settings.app_directory
            raise StartError(f"the function app in {directory} cannot be served: {problem}")
        self._serving[self.workers[number].pid or 0] = self._ports[number]
        return True


def _await_end(workers: Sequence[BaseProcess], signals: socket.socket) -> bool:
    """Wait for a signal (False), or for the last worker to end by itself (True)."""
    running = {worker.sentinel for worker in workers}
    while running:
        ended = wait([*running, signals])
        if signals in ended:
            return False
        running.difference_update(sentinel for sentinel in ended if isinstance(sentinel, int))
    return True


def _end(workers: Sequence[BaseProcess]) -> None:
    """End all workers, by force where asking does not help."""
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + END_S
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        worker.kill()
        worker.join()


@contextlib.contextmanager
def _signal_socket() -> Iterator[socket.socket]:
    """A socket that becomes readable when we are asked to end, so that signals can be waited for like anything else."""
    receiving, sending = socket.socketpair()
    sending.setblocking(False)

    def wake(number: int, frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            sending.send(WAKE_UP)

    with receiving, sending:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, wake)
        yield receiving


def _reserved_port(port: int) -> socket.socket:
    """Bind the port without listening. Refuses a port that another host already shares."""
    try:
        with socket.socket() as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(("127.0.0.1", port))
        return shared_listener(port)
    except OSError as error:
        sys.exit(f"port {port} cannot be used: {error.strerror}")


def _master_key(*, show: bool) -> str:
    key = os.environ.get("HOST_MASTER_KEY") or secrets.token_urlsafe(24)
    if show:
        print(f"master key: {key}", file=sys.stderr, flush=True)
    return key


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.local.host", description="Serve the function app.")
    parser.add_argument("--port", type=int, default=7071, help="0 takes a free one")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    parser.add_argument("--app-directory", type=Path, default=REPOSITORY, help="where function_app.py is")
    parser.add_argument("--log-file", type=Path, help="where the log goes; default: standard error")
    parser.add_argument("--no-timers", dest="timers", action="store_false", help="run timers only by hand")
    parser.add_argument(
        "--take-up",
        action=argparse.BooleanOptionalAction,
        help="let the app look for what is overdue; by default where timers run by their schedules",
    )
    parser.add_argument("--timer-state", type=Path, help="a file that timers keep beyond a host's life")
    parser.add_argument("--timer-gap-s", type=float, default=GAP_S, help="how long timers rest after a host's death")
    parser.add_argument("--restart", action="store_true", help="start a worker that died anew")
    parser.add_argument("--restart-delays", type=float, nargs="*", help="seconds before each; then the host ends")
    parser.add_argument("--print-key", action="store_true", help="print the master key to standard error")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
