"""A dial over the size of the pool: its latency against a pool of ten, in turns, and its requests, at the wire."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from tests.benchmarks.deployment import Deployment, Line, deployed, telephony
from tests.benchmarks.figures import Figure, ratio
from tests.benchmarks.plan import Plan
from tests.local.acs import EmailRules
from tests.local.wiretap import Wiretap

NAME = "pool"
SIZES = (10, 100, 1000, 10_000)
ROUNDS = 60
WARM_UP_ROUNDS = 5
COUNTED = 5
# A pool of ten is soon exhausted; its numbers are taken back by letting an hour and another pass.
MAX_NUMBERS_LENT = 8
NEVER_S = 1e11


def measure(plan: Plan) -> Iterator[Figure]:
    """Four deployments at once."""
    rounds = plan.rounds(ROUNDS) + WARM_UP_ROUNDS
    with ExitStack() as undo:
        acs = undo.enter_context(telephony())
        made: dict[int, Deployment] = {}
        for size in SIZES:
            began = time.monotonic()
            made[size] = undo.enter_context(deployed(acs, pool=size, agents=2 * rounds))
            plan.say(f"{size} numbers deployed in {time.monotonic() - began:.1f} s")
        lines = {size: undo.enter_context(Line(each.local.host.url)) for size, each in made.items()}
        series = _series(made, lines, rounds)
        requests = {size: _requests(each) for size, each in made.items()}
    yield from _figures(series, requests)


def _figures(series: dict[int, list[float]], requests: dict[int, list[int]]) -> Iterator[Figure]:
    for size in SIZES[1:]:
        what = f"dial with a pool of {size} / of {SIZES[0]}"
        note = f"{median(series[size]) * 1000:.1f} ms, {median(series[SIZES[0]]) * 1000:.1f} ms"
        yield ratio(f"pool_{size}", what, series[size], series[SIZES[0]], note=note)
    for size, counted in requests.items():
        yield Figure(
            name=f"requests_{size}",
            what=f"storage requests of a dial with a pool of {size}",
            value=max(counted),
            unit="",
            goal=4,
            note=f"the most of {len(counted)}; median {median(counted):.0f}",
        )


def _series(made: dict[int, Deployment], lines: dict[int, Line], rounds: int) -> dict[int, list[float]]:
    series: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in range(rounds):
        if number and number % MAX_NUMBERS_LENT == 0:
            made[SIZES[0]].take_back()
        for size, each in made.items():
            took_s = each.dial(lines[size])
            if number >= WARM_UP_ROUNDS:
                series[size].append(took_s)
    return series


def _requests(made: Deployment) -> list[int]:
    """The requests of dials up to their transaction, from a process that remembers nothing on."""
    storage = made.local.storage
    if len(made.pool) < MAX_NUMBERS_LENT + COUNTED:
        made.take_back()
    # Reports on the mail of earlier dials are events of their own: they would be counted for the next one.
    made.local.control.email_rules(EmailRules(report_after_s=NEVER_S))
    made.local.stop_host()
    port = storage.ports["table"]
    with Wiretap(f"http://127.0.0.1:{port}") as tap:
        through = {"TABLES_CONNECTION_STRING": storage.connection_string.replace(f":{port}/", f":{tap.port}/")}
        made.local.start_host(through)
        with Line(made.local.host.url) as line:
            return [_counted(made, line, tap) for _ in range(COUNTED)]


def _counted(made: Deployment, line: Line, tap: Wiretap) -> int:
    while True:
        tap.reset()
        missed = made.missed
        made.dial(line)
        # A missed dial has no transaction of its own: what came before the next one says nothing.
        if made.missed == missed:
            return next(each.number for each in list(tap.exchanges) if each.shape.endswith("$batch"))
