"""The Event Grid deliverer: at least once, unordered, with the documented retries, and chaos on request.

Used inside the stand-in for Azure Communication Services, and by tests and the demo for events of a custom topic.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterable
from typing import Any, Literal
from uuid import uuid4

import httpx
import msgspec

type Event = dict[str, Any]

RETRY_AFTER_S = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 21600.0, 43200.0)
"""The documented waits between attempts; the last one holds for all later attempts."""
ANSWER_WITHIN_S = 30.0
DELIVERED = frozenset({200, 201, 202, 203, 204})
SHUFFLED_OVER_S = 0.2
NEVER_RETRIED = frozenset({400, 401, 403, 413})


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Which events go where, how often at most and for how long.

    `name` is the function's name; the default limits are the documented ones. An IncomingCall needs a subscription of
    its own with 2 attempts and a minute to live, because the call rings for 30 s only.
    """

    name: str
    url: str
    event_types: tuple[str, ...]
    max_attempts: int = 30
    time_to_live_s: float = 86_400.0


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """What a network may do to deliveries: probabilities from 0 to 1, a longest delay in seconds, and the seed.

    Each delayed delivery waits a random part of `delay_s`, which also reorders them.
    """

    seed: int = 0
    duplicate: float = 0.0
    delay: float = 0.0
    delay_s: float = 0.0
    lose: float = 0.0


class Delivery(msgspec.Struct, kw_only=True):
    """One attempt: `status` None means that no answer came in time."""

    event: Event
    subscription: str
    attempt: int
    at: float
    status: int | None = None
    dead_lettered: bool = False


def event_type(event: Event) -> str:
    """The type of an event in either schema."""
    return str(event.get("type") if "specversion" in event else event.get("eventType"))


def function_subscription(
    host: str, function: str, *event_types: str, max_attempts: int = 30, time_to_live_s: float = 86_400.0
) -> Subscription:
    """A subscription of one Event Grid function of a local Functions host."""
    return Subscription(
        name=function,
        url=f"{host.rstrip('/')}/runtime/webhooks/EventGrid?functionName={function}",
        event_types=event_types,
        max_attempts=max_attempts,
        time_to_live_s=time_to_live_s,
    )


class EventGrid:
    """Delivers published events to subscriptions until each is delivered, given up or dead-lettered.

    `time_scale` 10 makes retry waits, delays and times to live ten times as short; the 30 s that an endpoint has to
    answer stay as they are. An async context manager; publish from its event loop.
    """

    def __init__(
        self,
        subscriptions: Iterable[Subscription] = (),
        *,
        time_scale: float = 1.0,
        chaos: Chaos | None = None,
        answer_within_s: float = ANSWER_WITHIN_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.subscriptions = list(subscriptions)
        self.time_scale = time_scale
        self.deliveries: list[Delivery] = []
        self.dead_letters: list[Delivery] = []
        self._answer_within_s = answer_within_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._handshakes: dict[str, asyncio.Task[bool]] = {}
        self._spread_s = 0.0
        self._open = asyncio.Event()
        self._open.set()
        limits = httpx.Limits(max_connections=200)
        self._client = httpx.AsyncClient(timeout=answer_within_s, limits=limits, transport=transport)
        self.shake(chaos or Chaos())

    async def __aenter__(self) -> EventGrid:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def shake(self, chaos: Chaos) -> None:
        """Change what the network does, from a fresh random sequence."""
        self.chaos = chaos
        self._random = random.Random(chaos.seed)

    def hold(self) -> None:
        """Keep every delivery back until `release`."""
        self._open.clear()

    def release(self, *, shuffled: bool = False) -> None:
        """Let the deliveries go that were held back, each after a random moment if they are to be shuffled."""
        self._spread_s = SHUFFLED_OVER_S if shuffled else 0.0
        self._open.set()

    @property
    def held(self) -> bool:
        """Whether deliveries are being kept back."""
        return not self._open.is_set()

    def subscribe(self, *subscriptions: Subscription) -> None:
        """Add subscriptions; one of the same name is replaced."""
        names = {subscription.name for subscription in subscriptions}
        self.subscriptions = [s for s in self.subscriptions if s.name not in names] + list(subscriptions)

    def publish(self, *events: Event) -> None:
        """Hand events in; each goes to every subscription that wants its type, in tasks of their own."""
        for event in events:
            for subscription in self.subscriptions:
                if event_type(event) in subscription.event_types:
                    self._start(subscription, event)

    @property
    def pending(self) -> int:
        """Deliveries that are neither done nor given up."""
        return len(self._tasks)

    async def idle(self, within_s: float = 30.0) -> None:
        """Wait until nothing is pending; TimeoutError otherwise."""
        async with asyncio.timeout(within_s):
            while self._tasks:
                await asyncio.wait(set(self._tasks))

    async def forget(self) -> None:
        """Drop everything pending, and what is remembered of deliveries."""
        tasks = [*self._tasks, *self._handshakes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._handshakes.clear()
        self.deliveries.clear()
        self.dead_letters.clear()

    async def aclose(self) -> None:
        """Stop delivering; what is pending is dropped."""
        await self.forget()
        await self._client.aclose()

    def _start(self, subscription: Subscription, event: Event) -> None:
        chaos = self.chaos
        copies = 2 if self._random.random() < chaos.duplicate else 1
        for _ in range(copies):
            delay_s = self._random.random() * chaos.delay_s if self._random.random() < chaos.delay else 0.0
            if self._random.random() < chaos.lose:
                continue
            task = asyncio.create_task(self._deliver(subscription, event, delay_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, subscription: Subscription, event: Event, delay_s: float) -> None:
        give_up_at = time.monotonic() + subscription.time_to_live_s / self.time_scale
        await self._wait(delay_s)
        if self.held:
            await self._open.wait()
            await asyncio.sleep(self._random.random() * self._spread_s)
        for attempt in range(1, subscription.max_attempts + 1):
            delivery = await self._attempt(subscription, event, attempt)
            if delivery.status in DELIVERED:
                return
            wait_s = RETRY_AFTER_S[min(attempt, len(RETRY_AFTER_S)) - 1]
            out_of_time = time.monotonic() + wait_s / self.time_scale > give_up_at
            if delivery.status in NEVER_RETRIED or out_of_time or attempt == subscription.max_attempts:
                break
            await self._wait(wait_s)
        delivery.dead_lettered = True
        self.dead_letters.append(delivery)

    async def _attempt(self, subscription: Subscription, event: Event, attempt: int) -> Delivery:
        delivery = Delivery(event=event, subscription=subscription.name, attempt=attempt, at=time.time())
        self.deliveries.append(delivery)
        if not await self._validated(subscription):
            return delivery
        cloud = "specversion" in event
        delivery.status = await self._post(
            subscription.url,
            json.dumps(event if cloud else [event]),
            kind="Notification",
            content_type="application/cloudevents+json; charset=utf-8" if cloud else "application/json; charset=utf-8",
            name=subscription.name,
        )
        return delivery

    async def _validated(self, subscription: Subscription) -> bool:
        """Whether the endpoint has echoed a validation code; asked once, and again only after a failure."""
        task = self._handshakes.get(subscription.url)
        if task is None or (task.done() and (task.cancelled() or not task.result())):
            task = asyncio.create_task(self._handshake(subscription))
            self._handshakes[subscription.url] = task
        return await asyncio.shield(task)

    async def _handshake(self, subscription: Subscription) -> bool:
        code = str(uuid4())
        validation = {
            "id": str(uuid4()),
            "topic": "",
            "subject": "",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "data": {"validationCode": code, "validationUrl": f"https://validation.example.net/?id={code}"},
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "metadataVersion": "1",
            "dataVersion": "1",
        }
        headers = _headers("SubscriptionValidation", subscription.name, "application/json; charset=utf-8")
        try:
            answer = await self._client.post(subscription.url, content=json.dumps([validation]), headers=headers)
            return answer.status_code in DELIVERED and answer.json().get("validationResponse") == code
        except (httpx.HTTPError, ValueError, AttributeError):
            return False

    async def _post(
        self, url: str, content: str, *, kind: Literal["Notification"], content_type: str, name: str
    ) -> int | None:
        try:
            async with asyncio.timeout(self._answer_within_s):
                answer = await self._client.post(url, content=content, headers=_headers(kind, name, content_type))
        except (httpx.HTTPError, TimeoutError):
            return None
        return answer.status_code

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds / self.time_scale)


def _headers(kind: str, name: str, content_type: str) -> dict[str, str]:
    return {"aeg-event-type": kind, "aeg-subscription-name": name.upper(), "Content-Type": content_type}
