"""Mid-call events: arrays of one CloudEvent, posted to the callback address with a signed token."""

from __future__ import annotations

import asyncio
import json
import random
from uuid import uuid4

import httpx

from tests.local.acs.clock import AdjustableClock
from tests.local.acs.events import PREFIX
from tests.local.acs.messages import Json, MidCallDelivery, MidCallRules
from tests.local.acs.signing import TokenSigner
from tests.local.acs.tasks import Tasks

API_VERSION = "2026-03-12"
RETRY_AFTER_S = 1.0


class MidCallEvents:
    """Posts the events of each call in their order, one at a time, as the rules say.

    One try per event unless the rules allow more, because no document promises a second one.
    """

    def __init__(self, *, clock: AdjustableClock, signer: TokenSigner, tasks: Tasks) -> None:
        self.deliveries: list[MidCallDelivery] = []
        self.sent: list[Json] = []
        self._clock = clock
        self._signer = signer
        self._tasks = tasks
        self._client = httpx.AsyncClient(timeout=10)
        self._queues: dict[str, asyncio.Queue[tuple[str, Json]]] = {}
        self.obey(MidCallRules())

    def obey(self, rules: MidCallRules) -> None:
        """Change the rules; chaos starts from a fresh random sequence."""
        self.rules = rules
        self._random = random.Random(rules.seed)

    def forget(self) -> None:
        """Back to the state at start; what is on its way still arrives."""
        self.obey(MidCallRules())
        self.deliveries.clear()
        self.sent.clear()

    def send(self, callback_uri: str, event_type: str, data: Json) -> None:
        """Send one event of a call (named by `data["callConnectionId"]`) after those sent before."""
        self.resend(callback_uri, self._event(event_type, data))

    def resend(self, callback_uri: str, event: Json) -> None:
        """Send an event as it stands, for example one that was sent before."""
        self.sent.append(event)
        connection = str(event["data"]["callConnectionId"])
        if connection not in self._queues:
            self._queues[connection] = asyncio.Queue()
            self._tasks.start(self._run(self._queues[connection]))
        self._queues[connection].put_nowait((callback_uri, event))

    def _event(self, event_type: str, data: Json) -> Json:
        subject = f"calling/callConnections/{data['callConnectionId']}"
        time = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00"
        return {
            "id": str(uuid4()),
            "source": subject,
            "type": PREFIX + event_type,
            "data": {"version": API_VERSION, **data},
            "time": time,
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "subject": subject,
        }

    async def _run(self, queue: asyncio.Queue[tuple[str, Json]]) -> None:
        while True:
            callback_uri, event = await queue.get()
            await self._deliver(callback_uri, event)

    async def _deliver(self, callback_uri: str, event: Json) -> None:
        rules = self.rules
        if rules.delay_s:
            await self._clock.sleep(self._random.random() * rules.delay_s)
        if self._random.random() < rules.lose:
            self._record(event, None, lost=True)
            return
        for _ in range(2 if self._random.random() < rules.duplicate else 1):
            for attempt in range(rules.attempts):
                if attempt:
                    await self._clock.sleep(RETRY_AFTER_S)
                status = await self._post(callback_uri, event)
                self._record(event, status)
                if status is not None and status < 500:
                    break

    async def _post(self, callback_uri: str, event: Json) -> int | None:
        headers = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
        if token := self._signer.token(self.rules.token):
            headers["Authorization"] = f"Bearer {token}"
        try:
            answer = await self._client.post(callback_uri, content=json.dumps([event]), headers=headers)
        except httpx.HTTPError:
            return None
        return answer.status_code

    def _record(self, event: Json, status: int | None, *, lost: bool = False) -> None:
        data = event["data"]
        self.deliveries.append(
            MidCallDelivery(
                type=event["type"].removeprefix(PREFIX),
                call_connection_id=data["callConnectionId"],
                operation_context=data.get("operationContext"),
                status=status,
                lost=lost,
            )
        )
