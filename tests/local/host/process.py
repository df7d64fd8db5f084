"""The local host as a child process of a test or of the local stack.

with host_process.running(environment={"TABLES_CONNECTION_STRING": storage.connection_string}) as host:
    httpx.get(f"{host.url}/api/health")
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.local.host.timer_state import GAP_S
from tests.local.processes import Child, start

REPOSITORY = Path(__file__).resolve().parents[3]
TIMER_DEADLINE_S = 60.0
_READY = re.compile(r"^listening on (http://\S+)$", re.MULTILINE)


class TimerError(RuntimeError):
    """A timer function that was run by hand failed; the host's log says why."""


@dataclass(frozen=True)
class HostProcess:
    """A running host."""

    url: str
    """Its address, without a slash at the end."""
    master_key: str
    child: Child
    """Its supervisor, for tests that kill or stop it."""

    def run_timer(self, name: str) -> None:
        """Run a timer function now and wait for its end.

        Raises:
            TimerError: it failed.
        """
        answer = self._ask(f"/admin/functions/{name}?wait=1", {})
        if answer.status_code != httpx.codes.ACCEPTED:
            raise TimerError(f"{name}: {answer.status_code}")

    def advance_clock(self, seconds: float) -> None:
        """Move the product's clock on, in all workers. Timers do not run because of it."""
        self._ask("/admin/clock", {"advance_s": seconds}).raise_for_status()

    def deliver(self, function_name: str, events: Mapping[str, object] | Sequence[Mapping[str, object]]) -> int:
        """Post events to a function as Event Grid does, and return the status: 202, or 500 if one failed."""
        address = f"{self.url}/runtime/webhooks/EventGrid"
        headers = {"aeg-event-type": "Notification"}
        query = {"functionName": function_name}
        return httpx.post(address, params=query, headers=headers, json=events, timeout=TIMER_DEADLINE_S).status_code

    def _ask(self, path: str, body: object) -> httpx.Response:
        key = {"x-functions-key": self.master_key}
        return httpx.post(self.url + path, headers=key, json=body, timeout=TIMER_DEADLINE_S)


@contextmanager
def running(
    *,
    environment: Mapping[str, str] | None = None,
    app_directory: Path = REPOSITORY,
    workers: int = 1,
    ticking: bool = False,
    take_up: bool | None = None,
    timer_state: Path | None = None,
    timer_gap_s: float = GAP_S,
    restart_delays_s: Sequence[float] | None = None,
    port: int = 0,
    log: Path | None = None,
) -> Iterator[HostProcess]:
    """Run the host until the end of the block.

    Args:
        environment: settings, added to those of this process.
        app_directory: where function_app.py is; the product by default.
        workers: processes that share the port.
        ticking: let timers run by their schedules; else only `run_timer` runs them.
        take_up: let the app look for what is overdue in the background; by default as `ticking`.
        timer_state: a file that timers keep beyond a host's life; None: nothing lasts.
        timer_gap_s: how long timers rest after a host that died.
        restart_delays_s: waits before a worker that died is started anew; the death after the last one ends the host.
            None: nothing is started anew, and the connections of a worker that dies are cut.
        port: 0 takes a free one.
        log: where its output is appended to; None keeps it for error messages only.

    Raises:
        ChildError: it was not ready in time; the message holds its output.
    """
    key = secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "tests.local.host", "--port", str(port), "--workers", str(workers)]
    command += ["--app-directory", str(app_directory), *([] if ticking else ["--no-timers"])]
    command += [] if take_up is None else ["--take-up" if take_up else "--no-take-up"]
    if timer_state is not None:
        command += ["--timer-state", str(timer_state), "--timer-gap-s", str(timer_gap_s)]
    if restart_delays_s is not None:
        command += ["--restart", "--restart-delays", *map(str, restart_delays_s)]
    settings = {**os.environ, "HOST_MASTER_KEY": key, **(environment or {})}
    with start(command, name="the local host", environment=settings, cwd=REPOSITORY, log=log) as child:
        # A log that is appended to may hold the line of an earlier host.
        already = len(child.output())
        child.wait_until(lambda: _READY.search(child.output()[already:]) is not None, what="ready")
        found = _READY.search(child.output()[already:])
        assert found is not None
        yield HostProcess(found[1], key, child)
