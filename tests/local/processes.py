"""Child processes of the local stack: started, watched until they are ready, and never left behind.

Everything that the tests, the demo and the benchmarks start goes through `start`. A child dies with the process that
started it, whatever ends that process, because a forgotten emulator holds a port and makes the next run lie.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

READY_DEADLINE_S = 30.0
STOP_DEADLINE_S = 5.0
POLL_S = 0.02
SHOWN_OUTPUT_BYTES = 4000

# The kernel sends the death signal when the *thread* that started the child ends, so all children are started by one
# thread that lives as long as this process; a short-lived thread of a caller's pool would take its children with it.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-starter")

# Runs in the child, before the real command replaces it: asking between fork and exec would need code that runs in a
# copy of a threaded process, which can deadlock. The second test closes the gap in which the parent died already.
_DIE_WITH_PARENT = """
import os, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ChildError(RuntimeError):
    """A child process ended early, or was not ready in time. The message holds the last of its output."""


class Child:
    """A running child process, at the head of a process group of its own."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], output: BinaryIO, stop_signal: signal.Signals
    ) -> None:
        self.name = name
        self._process = process
        self._output = output
        self._stop_signal = stop_signal

    @property
    def pid(self) -> int:
        """The process id of the command itself (no wrapper stands in between)."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Everything that the child has written so far, both streams together."""
        # pread, because the child shares this file's position and a seek of ours would make it overwrite itself.
        return os.pread(self._output.fileno(), 1 << 26, 0).decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, what: str, deadline_s: float = READY_DEADLINE_S) -> None:
        """Wait until `ready()` is true.

        Raises:
            ChildError: the child ended first, or `deadline_s` seconds passed.
        """
        deadline = time.monotonic() + deadline_s
        while not ready():
            if self.returncode is not None:
                raise self._error(f"ended with status {self.returncode} before {what}")
            if time.monotonic() > deadline:
                raise self._error(f"not there after {deadline_s:g} s: {what}")
            time.sleep(POLL_S)

    def wait(self, deadline_s: float | None = STOP_DEADLINE_S) -> int:
        """Wait for the child's end, for ever if `deadline_s` is None, and return its exit status.

        Raises:
            ChildError: it still runs after `deadline_s` seconds.
        """
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise self._error(f"still running after {deadline_s:g} s") from None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the child alone, not to its group."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the whole group at once with SIGKILL, as a crash of the machine would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, deadline_s: float = STOP_DEADLINE_S) -> None:
        """Ask the child to end, and end its group by force after `deadline_s` seconds. Safe to call twice."""
        if self.returncode is None:
            self._process.send_signal(self._stop_signal)
            # A stopped process never sees the request; SIGCONT is harmless to the others.
            self._process.send_signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline_s)
        # The group may outlive its head; an id with no member left is simply not found.
        self.kill()

    def _error(self, problem: str) -> ChildError:
        shown = self.output()[-SHOWN_OUTPUT_BYTES:].strip() or "(nothing)"
        return ChildError(f"{self.name}: {problem}. Its last output:\n{shown}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._output.close()


def end_on_signals() -> None:
    """Raise `KeyboardInterrupt` on SIGINT, which what a shell runs in the background ignores, and on SIGTERM."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)


def start(
    command: Sequence[str | Path],
    *,
    name: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start `command`; it ends when this process does, by whatever means (on Linux; elsewhere on an orderly end).

    Args:
        command: the program and its arguments; not a shell line.
        name: what error messages call it.
        environment: the whole environment of the child; None passes ours on.
        cwd: its working directory; None is ours.
        log: appended with both output streams; None keeps them in a nameless temporary file.
        stop_signal: what asks it to end.
    """
    with ExitStack() as undo:
        # A shared path is opened for appending: two processes may write to it.
        output: BinaryIO = undo.enter_context(_temporary() if log is None else log.open("a+b"))
        wrapped = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *map(str, command)]
        process = _STARTER.submit(
            subprocess.Popen,
            wrapped,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            start_new_session=True,
        ).result()
        undo.pop_all()
        return Child(name, process, output, stop_signal)


def _temporary() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile())


def free_ports(count: int) -> list[int]:
    """Return `count` different ports of the loopback address that were free just now.

    Another process can take one before the child does: whoever starts a server this way must be ready to try again.
    """
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
