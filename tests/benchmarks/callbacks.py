"""A responder who calls back: the event as Event Grid delivers it, and when the app's request reached call control."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct

from tests.local.acs import LocalAcs, poll
from tests.local.acs.events import incoming_call
from tests.local.stack import PSAP

ROUTING = ("redirect", "answer")
ANSWER_WITHIN_S = 15.0


class Ringing(Struct, frozen=True):
    """A call that rings, as the event that reports it, and how many requests had routed a call before."""

    path: str
    headers: dict[str, str]
    events: list[dict[str, Any]]
    context: str
    server_call_id: str
    routed_before: int


class Responder:
    """Rings one number, again and again."""

    def __init__(self, acs: LocalAcs, number: str) -> None:
        self._acs = acs
        self._number = number

    def ring(self) -> Ringing:
        """A new call to the number; nobody is told of it yet."""
        call = self._acs.control.incoming_call(PSAP, self._number)
        event = incoming_call(
            source=self._acs.ready.event_source,
            caller=PSAP,
            dialled=self._number,
            context=call.contexts[-1],
            server_call_id=call.server_call_id,
            correlation_id=call.correlation_id,
        )
        return Ringing(
            path="/runtime/webhooks/EventGrid?functionName=incoming_call_event",
            headers={"aeg-event-type": "Notification", "Content-Type": "application/json"},
            events=[event],
            context=call.contexts[-1],
            server_call_id=call.server_call_id,
            routed_before=len(self._routing()),
        )

    def routed_at(self, call: Ringing) -> float:
        """When call control got the first request about the call, on the clock of `time.perf_counter`."""
        routing = poll(
            lambda: self._routing()[call.routed_before :] or None, within_s=ANSWER_WITHIN_S, what="a routed callback"
        )
        # The stand-in is another process and tells the time of day.
        return routing[0] + time.perf_counter() - time.time()

    def hang_up(self, call: Ringing) -> None:
        """Give up, so that nobody is rung any more while something else is measured."""
        self._acs.control.end_call(call.server_call_id)

    def _routing(self) -> list[float]:
        return [entry.arrived for entry in self._acs.control.requests() if entry.operation in ROUTING]
