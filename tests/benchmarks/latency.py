"""How long a dial and a callback take, against the bare requests that they consist of, in turns on one Azurite.

On the app's side: a kept HTTP connection, the local host, the runtime library, the function, and its storage requests.
On the bare side: the same storage requests of the same rows by the product's own client in this process; no HTTP, no
host, no function. The bare callback also asks call control, as the app does. Both sides begin rested.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from shared.adapters.acs_calls import AcsCalls
from shared.domain.agents import Agent
from shared.ports import Pending
from tests.benchmarks.callbacks import Responder
from tests.benchmarks.deployment import CLOCK, Deployment, Line, deployed, open_table, telephony, within
from tests.benchmarks.figures import Figure, milliseconds, ratio
from tests.benchmarks.plan import Plan
from tests.benchmarks.recorder import BareDials, begun, slot_of
from tests.local.acs import LocalAcs

NAME = "latency"
ROUNDS = 150
WARM_UP_ROUNDS = 10
GOAL = 1.3
ROWS_OF_A_NUMBER = 64
REST_S = 0.02


def measure(plan: Plan) -> Iterator[Figure]:
    """A dial and a callback, on a quiet deployment."""
    rounds = plan.rounds(ROUNDS) + WARM_UP_ROUNDS
    with telephony() as acs, deployed(acs, pool=rounds + 100, agents=3 * rounds) as made:
        turns = Turns(acs, made)
        series: dict[str, list[float]] = {name: [] for name in turns.kinds}
        try:
            for number in range(rounds):
                for name, take in turns.kinds.items():
                    took_s = take()
                    if number >= WARM_UP_ROUNDS:
                        series[name].append(took_s)
        finally:
            turns.close()
    yield from _dial_figures(series)
    note = "answered with the fallback number; made up for"
    yield Figure(name="dial_missed", what="  dials without a number", value=made.missed, unit="", goal=0, note=note)
    yield from _callback_figures(series)


def _dial_figures(series: Mapping[str, list[float]]) -> Iterator[Figure]:
    dial, bare, get = series["dial"], series["bare_dial"], series["nothing"]
    what = "dial over HTTP / its bare read step and transaction"
    yield ratio("dial", what, dial, bare, goal=GOAL, note="HTTP client, host and function are on the app's side")
    inside = [took - median(get) for took in dial]
    yield ratio("dial_inside", "  the same without what the host needs for an empty answer", inside, bare)
    yield milliseconds(
        "dial_ms",
        "  dial over HTTP",
        dial,
        f"bare {median(bare) * 1000:.1f} ms, empty answer {median(get) * 1000:.1f} ms",
    )


def _callback_figures(series: Mapping[str, list[float]]) -> Iterator[Figure]:
    callback, bare, read = series["callback"], series["bare_callback"], series["bare_read"]
    yield ratio(
        "callback", "callback, event to request at call control / the bare read and request", callback, bare, goal=GOAL
    )
    yield ratio("callback_read", "  the same / the bare read alone", callback, read, goal=GOAL)
    yield milliseconds(
        "callback_ms",
        "  callback, event to request at call control",
        callback,
        f"bare {median(bare) * 1000:.1f} ms, read alone {median(read) * 1000:.1f} ms",
    )


class Turns:
    """One measurement of each kind at a time."""

    def __init__(self, acs: LocalAcs, made: Deployment) -> None:
        self._made = made
        self._line = Line(made.local.host.url)
        self._bare_table = open_table(made.local.storage, "bare")
        self._bare = BareDials(self._bare_table, made.pool)
        self._bare.fill(within())
        lent = self._line.dial(made.next_agent().agent_id, "call-of-latency").json()
        self._number = str(lent["callback_number"])
        self._responder = Responder(acs, self._number)
        self._target = f"8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_{0:08}"
        self._calls = AcsCalls(clock=CLOCK, connection_string=acs.connection_string, ca_bundle=acs.ca_file)
        self.kinds: Mapping[str, Callable[[], float]] = {
            "dial": self._dial,
            "bare_dial": self._bare_dial,
            "nothing": self._nothing,
            "callback": self._callback,
            "bare_callback": self._bare_callback,
            "bare_read": self._bare_read,
        }
        made.settle()
        # This process holds far more than the app's does; collecting that again and again would favour the app.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """Let the connections go."""
        self._line.close()
        self._bare_table.close()
        self._calls.close()

    def _dial(self) -> float:
        _rested()
        return self._made.dial(self._line)

    def _bare_dial(self) -> float:
        agent = self._made.next_agent()
        dialled, versions = self._bare.dial(agent)
        began = _rested()
        reads = [self._entry(agent), *begun(self._bare_table, dialled.reads, within())]
        for read in reads:
            read.result()
        real = self._bare_table.commit(dialled.writes, within())
        took_s = time.perf_counter() - began
        self._bare.note(versions, real)
        return took_s

    def _entry(self, agent: Agent) -> Pending[object]:
        return self._made.directory.get(f"entry|{agent.key}", within())

    def _nothing(self) -> float:
        """What the host needs to call a function and to hand on its empty answer."""
        _rested()
        return self._line.ask("OPTIONS", "/api/emergency-calls").took_s

    def _callback(self) -> float:
        call = self._responder.ring()
        began = _rested()
        self._line.ask("POST", call.path, call.events, call.headers)
        took_s = self._responder.routed_at(call) - began
        self._responder.hang_up(call)
        return took_s

    def _bare_callback(self) -> float:
        call = self._responder.ring()
        began = _rested()
        self._read()
        self._calls.redirect(call.context, self._target, origin=call.context, deadline=within())
        return self._responder.routed_at(call) - began

    def _bare_read(self) -> float:
        began = _rested()
        self._read()
        return time.perf_counter() - began

    def _read(self) -> None:
        rows = self._made.emergencies.between(*slot_of(self._number), ROWS_OF_A_NUMBER, within()).result()
        assert len(rows) == 2


def _rested() -> float:
    """The time after a short rest, for a measurement to begin at.

    On a busy machine the scheduler makes a process wait that has just worked: the app's process rests between its
    turns, and without this the bare side, which prepares its turns here, came out slower than the app.
    """
    time.sleep(REST_S)
    return time.perf_counter()
