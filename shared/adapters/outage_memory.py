"""What this process did while the store was away (port `OutageLog`)."""

import threading
from collections import OrderedDict
from datetime import datetime

from msgspec import structs

from shared.domain.ids import key_of
from shared.ports import OutageDial

MOST_REMEMBERED = 10_000


class OutageMemory:
    """Bounded, in memory: another process knows nothing of it, and repeats at most what repeats harmlessly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mailed: OrderedDict[str, None] = OrderedDict()
        self._dialling: OrderedDict[str, OutageDial] = OrderedDict()

    def mailed(self, leg_id: str) -> bool:
        """Whether a notice of this leg was sent in an outage, or is on its way."""
        with self._lock:
            return leg_id in self._mailed

    def claim_mail(self, leg_id: str) -> bool:
        """Whether this leg's notice is the caller's to send; a repeated request must not send it twice."""
        with self._lock:
            if leg_id in self._mailed:
                return False
            self._mailed[leg_id] = None
            _trim(self._mailed)
            return True

    def return_mail(self, leg_id: str) -> None:
        """The notice could not be sent: the next request may try."""
        with self._lock:
            self._mailed.pop(leg_id, None)

    def dialled(self, agent_id: str, dial: OutageDial) -> None:
        """This agent dialled and was answered without the store."""
        with self._lock:
            before = self._dialling.get(key_of(agent_id))
            # Nobody can say without the store whether the earlier call is over, and a real one outranks a test.
            test = dial.test and (before is None or before.test)
            self._dialling[key_of(agent_id)] = structs.replace(dial, test=test)
            _trim(self._dialling)

    def dialling(self, agent_id: str, now: datetime) -> OutageDial | None:
        """The emergency that this agent's panel shows although the store knows nothing of it; None once expired."""
        with self._lock:
            dial = self._dialling.get(key_of(agent_id))
        return dial if dial is not None and now < dial.expires_at else None

    def over(self, agent_id: str) -> None:
        """The store knows this agent's emergency by now."""
        with self._lock:
            self._dialling.pop(key_of(agent_id), None)


def _trim[K, V](remembered: OrderedDict[K, V]) -> None:
    while len(remembered) > MOST_REMEMBERED:
        remembered.popitem(last=False)
