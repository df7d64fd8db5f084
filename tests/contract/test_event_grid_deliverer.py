"""The local Event Grid deliverer keeps to the documented delivery rules, and makes chaos only when asked to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.local.acs import events
from tests.local.event_grid import RETRY_AFTER_S, Chaos, EventGrid, Subscription, function_subscription

SOURCE = "/subscriptions/example/providers/Microsoft.Communication/communicationServices/acs-example"
AGENT = "8:acs:example_agent"
STARTED = "Microsoft.Communication.CallStarted"


class Endpoint:
    """A webhook that answers with the statuses given, the last one for good, and keeps what it was sent."""

    def __init__(self, *statuses: int, validates: bool = True) -> None:
        self.statuses = list(statuses or (202,))
        self.validates = validates
        self.handshakes = 0
        self.received: list[tuple[float, httpx.Request]] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            self.handshakes += 1
            code = json.loads(request.content)[0]["data"]["validationCode"]
            return httpx.Response(200, json={"validationResponse": code if self.validates else "wrong"})
        self.received.append((asyncio.get_running_loop().time(), request))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(status)

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for _, request in self.received]

    def calls(self) -> list[str]:
        """The server call ids in the order of their arrival."""
        return [body[0]["data"]["serverCallId"] for body in self.bodies()]


def deliver(
    endpoint: Endpoint, work: Callable[[EventGrid], Awaitable[None]], *, max_attempts: int = 30, **options: Any
) -> None:
    async def run() -> None:
        subscription = function_subscription("http://host", "call_started_event", STARTED, max_attempts=max_attempts)
        settings = {"time_scale": 1000.0, **options}
        async with EventGrid([subscription], transport=httpx.MockTransport(endpoint.answer), **settings) as grid:
            await work(grid)

    asyncio.run(run())


def started(number: int = 1, **fields: Any) -> dict[str, Any]:
    return events.call_started(source=SOURCE, starter=AGENT, server_call_id=f"server-{number}", **fields)


async def publish_one(grid: EventGrid) -> None:
    grid.publish(started())
    await grid.idle()


def test_it_shakes_hands_once_and_delivers_either_schema() -> None:
    endpoint = Endpoint()

    async def work(grid: EventGrid) -> None:
        grid.publish(started(1), started(2, form="cloudevents"))
        await grid.idle()

    deliver(endpoint, work)
    assert endpoint.handshakes == 1
    by_type = {request.headers["content-type"].split(";")[0]: request for _, request in endpoint.received}
    assert isinstance(json.loads(by_type["application/json"].content), list)
    assert json.loads(by_type["application/cloudevents+json"].content)["specversion"] == "1.0"
    assert by_type["application/json"].url.params["functionName"] == "call_started_event"
    assert by_type["application/json"].headers["aeg-event-type"] == "Notification"


def test_it_delivers_only_what_was_subscribed_to() -> None:
    endpoint = Endpoint()

    async def work(grid: EventGrid) -> None:
        grid.publish(events.call_ended(source=SOURCE, starter=AGENT, server_call_id="server-1"))
        await grid.idle()

    deliver(endpoint, work)
    assert endpoint.received == []


def test_it_retries_on_the_documented_schedule() -> None:
    endpoint = Endpoint(500, 503, 404, 202)
    deliver(endpoint, publish_one)
    times = [at for at, _ in endpoint.received]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert len(waits) == 3
    assert all(wait >= due / 1000 for wait, due in zip(waits, RETRY_AFTER_S, strict=False))


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_some_answers_are_final(status: int) -> None:
    endpoint = Endpoint(status)

    async def work(grid: EventGrid) -> None:
        await publish_one(grid)
        assert [letter.status for letter in grid.dead_letters] == [status]

    deliver(endpoint, work)
    assert len(endpoint.received) == 1


def test_it_gives_up_after_the_attempts_allowed() -> None:
    endpoint = Endpoint(500)

    async def work(grid: EventGrid) -> None:
        await publish_one(grid)
        assert len(grid.dead_letters) == 1

    deliver(endpoint, work, max_attempts=2)
    assert len(endpoint.received) == 2


def test_it_gives_up_when_the_time_to_live_is_over() -> None:
    endpoint = Endpoint(500)

    async def work(grid: EventGrid) -> None:
        grid.subscribe(
            Subscription(name="call_started_event", url="http://host", event_types=(STARTED,), time_to_live_s=60)
        )
        await publish_one(grid)
        assert len(grid.dead_letters) == 1

    # A second is 20 ms here: the machine has 0.4 s for what lies between the third attempt and the end.
    deliver(endpoint, work, time_scale=50.0)
    # Attempts at 0, 10 and 40 s; the next would be at 100 s.
    assert len(endpoint.received) == 3


def test_nothing_is_delivered_before_the_handshake_succeeds() -> None:
    endpoint = Endpoint(validates=False)
    deliver(endpoint, publish_one, max_attempts=3)
    assert endpoint.handshakes == 3
    assert endpoint.received == []


def test_a_late_answer_is_no_answer() -> None:
    class Slow(Endpoint):
        async def answer(self, request: httpx.Request) -> httpx.Response:
            answer = await super().answer(request)
            if len(self.received) == 1:
                await asyncio.sleep(1)
            return answer

    endpoint = Slow()

    async def work(grid: EventGrid) -> None:
        await publish_one(grid)
        assert [delivery.status for delivery in grid.deliveries] == [None, 202]

    deliver(endpoint, work, answer_within_s=0.1)


def test_chaos_duplicates_the_same_events_for_the_same_seed_and_reorders() -> None:
    def run() -> list[str]:
        endpoint = Endpoint()

        async def work(grid: EventGrid) -> None:
            grid.publish(*(started(number) for number in range(8)))
            await grid.idle()

        deliver(endpoint, work, chaos=Chaos(seed=7, duplicate=0.5, delay=1.0, delay_s=400.0))
        return endpoint.calls()

    first = run()
    assert len(first) > 8
    assert first != sorted(first)
    assert set(first) == {f"server-{number}" for number in range(8)}
    assert sorted(first) == sorted(run())


def test_deliveries_are_held_until_released() -> None:
    endpoint = Endpoint()

    async def work(grid: EventGrid) -> None:
        grid.hold()
        grid.publish(started())
        await asyncio.sleep(0.05)
        assert endpoint.received == []
        assert grid.pending == 1
        grid.release()
        await grid.idle()

    deliver(endpoint, work)
    assert len(endpoint.received) == 1


def test_what_was_held_can_be_released_in_any_order() -> None:
    endpoint = Endpoint()

    async def work(grid: EventGrid) -> None:
        grid.hold()
        grid.publish(*(started(number) for number in range(8)))
        await asyncio.sleep(0.05)
        grid.release(shuffled=True)
        await grid.idle()

    deliver(endpoint, work)
    assert len(endpoint.received) == 8
    assert endpoint.calls() != sorted(endpoint.calls())
