"""The whole chain with services that take their time: from a dial to its number and to the mail that was accepted.

All dials of a wave begin at once, and each has a message of its own, so that the time from the wave's beginning to each
message's acceptance is the chain's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil

from tests.benchmarks.deployment import Deployment, Line, deployed, is_lent, telephony
from tests.benchmarks.figures import Figure
from tests.benchmarks.plan import Plan
from tests.local.acs import Fault, LocalAcs

NAME = "chain"
SERVICES_TAKE_S = 0.3
WAVES = {4: (15, 1.2), 60: (3, 2.0)}
# More than the sender's quota would be merged, which is not what is measured here.
UNBOUNDED = {"EMAIL_PER_MINUTE": "10000", "EMAIL_PER_HOUR": "100000"}


def measure(plan: Plan) -> Iterator[Figure]:
    """Waves of 4 and of 60 dials."""
    waves = {size: plan.rounds(count) for size, (count, _) in WAVES.items()}
    agents = sum(size * (count + 1) for size, count in waves.items())
    with telephony() as acs, deployed(acs, pool=agents + 100, agents=agents, settings=UNBOUNDED) as made:
        acs.control.fault(Fault(operation="email", kind="latency", seconds=SERVICES_TAKE_S))
        for size, count in waves.items():
            _wave(acs, made, size)
            took_s, missed = [], 0
            for _ in range(count):
                each_s, lost = _wave(acs, made, size)
                took_s += each_s
                missed += lost
            yield Figure(
                name=f"chain_{size}",
                what=f"dial to accepted mail, services of 300 ms, {size} at once: p99",
                value=sorted(took_s)[ceil(0.99 * len(took_s)) - 1] * 1000,
                unit="ms",
                goal=WAVES[size][1] * 1000,
                note=f"median {sorted(took_s)[len(took_s) // 2] * 1000:.0f} ms; {missed} without a number of the pool",
            )


def _wave(acs: LocalAcs, made: Deployment, size: int) -> tuple[list[float], int]:
    """The seconds of each chain of a wave, and how many dials were lent no number."""
    agents = [made.next_agent().agent_id for _ in range(size)]
    before = len(acs.control.requests("email"))

    def dial(agent_id: str) -> bool:
        with Line(made.local.host.url) as line:
            return is_lent(line.dial(agent_id, f"call-of-{agent_id}"))

    began = time.time()
    with ThreadPoolExecutor(size) as threads:
        lent = list(threads.map(dial, agents))
    made.settle()
    mails = acs.control.requests("email")[before:]
    return [mail.finished - began for mail in mails if mail.finished is not None], lent.count(False)
