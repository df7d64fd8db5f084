"""From the start of a cold process to the first answer, against a function app of a few lines on the same host.

What starts is the package that is deployed, unpacked, with the packages and the byte code that it brings. Both sides
pay for the host: its supervisor, its web server, the runtime library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.benchmarks.callbacks import Responder
from tests.benchmarks.deployment import Deployment, Line, deployed, is_lent, telephony, until_connected
from tests.benchmarks.figures import Figure, milliseconds, ratio
from tests.benchmarks.plan import Plan
from tests.local.acs import LocalAcs
from tests.local.host.process import REPOSITORY
from tests.local.processes import free_ports, start

NAME = "cold"
ROUNDS = 5
GOAL_DIAL, GOAL_CALLBACK = 1.4, 1.3
TINY_APP = REPOSITORY / "tests" / "integration" / "tiny_app"
EVENT = {"id": "1", "topic": "", "subject": "", "eventType": "Any", "eventTime": "2026-11-20T17:00:00Z", "data": {}}
DELIVERED = 202


def measure(plan: Plan) -> Iterator[Figure]:
    """First dial and first callback of a process."""
    rounds = plan.rounds(ROUNDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        telephony() as acs,
        deployed(acs, pool=100, agents=rounds + 2) as made,
    ):
        cold = Cold(acs, made, unpacked(Path(folder)))
        series: dict[str, list[float]] = {name: [] for name in cold.kinds}
        for number in range(rounds + 1):
            for name, take in cold.kinds.items():
                took_s = take()
                # The first round reads the files into memory, and compiles the host.
                if number:
                    series[name].append(took_s)
    yield from _figures(series, cold.degraded)


def _figures(series: Mapping[str, list[float]], degraded: int) -> Iterator[Figure]:
    dial, get, callback, event = (series[name] for name in ("dial", "get", "callback", "event"))
    yield ratio(
        "cold_dial", "cold process to the first answered dial / to a bare app's first answer", dial, get, goal=GOAL_DIAL
    )
    yield milliseconds("cold_dial_ms", "  to the first answered dial", dial, f"bare {median(get) * 1000:.0f} ms")
    note = "answered, but with the fallback number"
    yield Figure(
        name="cold_degraded", what="  cold dials that were degraded", value=degraded, unit="", goal=0, note=note
    )
    what = "cold process to the first routed callback / to a bare app's first event"
    yield ratio("cold_callback", what, callback, event, goal=GOAL_CALLBACK)
    yield milliseconds(
        "cold_callback_ms", "  to the first routed callback", callback, f"bare {median(event) * 1000:.0f} ms"
    )


def unpacked(folder: Path) -> Path:
    """The package that is deployed, made and unpacked in this folder."""
    package, app = folder / "released-package.zip", folder / "app"
    command = [sys.executable, str(REPOSITORY / "infra" / "package.py"), "--output", str(package)]
    subprocess.run([*command, "--cache", str(REPOSITORY / ".cache" / "package")], check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(package) as opened:
        opened.extractall(app)
    return app


class Cold:
    """Starts a process for each measurement."""

    def __init__(self, acs: LocalAcs, made: Deployment, package: Path) -> None:
        self._made, self._package = made, package
        self.degraded = 0
        with Line(made.local.host.url) as line:
            self._responder = Responder(acs, self._number(line))
        made.settle()
        made.local.stop_host()
        self._settings = {**os.environ, **made.local.settings}
        self.kinds: Mapping[str, Callable[[], float]] = {
            "dial": self._dial,
            "get": self._get,
            "callback": self._callback,
            "event": self._event,
        }

    def _number(self, line: Line) -> str:
        return str(line.dial(self._made.next_agent().agent_id, "call-of-cold").json()["callback_number"])

    def _dial(self) -> float:
        agent = self._made.next_agent()
        with self._process(self._package) as (url, began), Line(url) as line:
            reply = line.dial(agent.agent_id, f"call-of-{agent.agent_id}")
            took_s = time.perf_counter() - began
            self.degraded += not is_lent(reply)
        return took_s

    def _get(self) -> float:
        with self._process(TINY_APP) as (url, began), Line(url) as line:
            assert line.ask("GET", "/api/things/one").status == 200
            return time.perf_counter() - began

    def _callback(self) -> float:
        with self._process(self._package) as (url, began), Line(url) as line:
            call = self._responder.ring()
            line.ask("POST", call.path, call.events, call.headers)
            return self._responder.routed_at(call) - began

    def _event(self) -> float:
        headers = {"aeg-event-type": "Notification", "Content-Type": "application/json"}
        with self._process(TINY_APP) as (url, began), Line(url) as line:
            path = "/runtime/webhooks/EventGrid?functionName=event_received"
            assert line.ask("POST", path, [EVENT], headers).status == DELIVERED
            return time.perf_counter() - began

    @contextmanager
    def _process(self, app: Path) -> Iterator[tuple[str, float]]:
        """A host that listens by now, and when it was started."""
        port = free_ports(1)[0]
        # Of the checkout only the host is to be found: the app and what it needs come before it.
        command = [sys.executable, "-P", "-m", "tests.local.host", "--port", str(port), "--no-timers"]
        command += ["--app-directory", str(app)]
        path = [app, self._package / ".python_packages" / "lib" / "site-packages", REPOSITORY]
        settings = {**self._settings, "PYTHONPATH": os.pathsep.join(map(str, path))}
        began = time.perf_counter()
        with start(command, name="the host", environment=settings, cwd=app):
            until_connected(port)
            yield f"http://127.0.0.1:{port}", began
