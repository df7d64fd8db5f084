"""What this process did while the store was away (port `OutageLog`)."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from shared.adapters.recent import Recent
from shared.deadlines import Clock
from shared.domain.ids import agent_key_of
from shared.domain.pool import ration_window
from shared.domain.presence import OutageHold
from shared.ports import OutageDial

MAX_DIALS_REMEMBERED = 10_000
# Of one id; more principals than this claim it only where somebody floods.
MAX_REPORTERS = 10


class OutageMemory:
    """Bounded, in memory: another process knows nothing of it, and repeats at most what repeats harmlessly.

    What was done for a dial `lasts` for the window: a dial is repeated for no longer, and its id may be used again.
    """

    def __init__(self, clock: Clock, lasts: timedelta) -> None:
        self._lock = threading.Lock()
        self._mailed: Recent[bool] = Recent(clock, lasts=lasts, most=MAX_DIALS_REMEMBERED)
        self._accepted: Recent[tuple[str, ...]] = Recent(clock, lasts=lasts, most=MAX_DIALS_REMEMBERED)
        self._recorded: Recent[str] = Recent(clock, lasts=lasts, most=MAX_DIALS_REMEMBERED)
        self._holds: Recent[OutageHold] = Recent(clock, lasts=lasts, most=MAX_DIALS_REMEMBERED)
        self._window: datetime | None = None
        self._granted: dict[str, set[str]] = {}
        self._dialling: OrderedDict[str, dict[str, OutageDial]] = OrderedDict()

    def mailed(self, dial_key: str) -> bool:
        """Whether a notice of this dial was sent in an outage, or is on its way."""
        with self._lock:
            return self._mailed.get(dial_key) is not None

    def claim_mail(self, dial_key: str) -> bool:
        """Whether this dial's notice is the caller's to send; a repeated request must not send it twice."""
        with self._lock:
            if self._mailed.get(dial_key) is not None:
                return False
            self._mailed.note(dial_key, True)
            return True

    def grants_mail(self, dial_key: str, principal: str, most: int, now: datetime, *, counts: bool = True) -> bool:
        """Whether a principal may cause this dial's notice, one of so many in ten minutes; the same if repeated."""
        window = ration_window(now)
        with self._lock:
            if window != self._window:
                self._window, self._granted = window, {}
            granted = self._granted.setdefault(principal, set())
            if dial_key not in granted and len(granted) >= most:
                return False
            if counts:
                granted.add(dial_key)
            return True

    def return_mail(self, dial_key: str) -> None:
        """The notice could not be sent: the next request may try."""
        with self._lock:
            self._mailed.drop(dial_key)

    def mail_accepted(self, dial_key: str, addresses: Sequence[str]) -> None:
        """The notice was accepted for these."""
        with self._lock:
            before = self._accepted.get(dial_key) or ()
            self._accepted.note(dial_key, tuple(dict.fromkeys((*before, *addresses))))

    def mailed_to(self, dial_key: str) -> tuple[str, ...]:
        """For whom this dial's notice was accepted."""
        with self._lock:
            return self._accepted.get(dial_key) or ()

    def recorded(self, dial_key: str, agent_key: str) -> None:
        """A dial that was answered without the store is recorded, and what it is of is stored under this key."""
        with self._lock:
            self._recorded.note(dial_key, agent_key)

    def recorded_under(self, dial_key: str) -> str | None:
        """Under which key; None as long as this process does not know."""
        with self._lock:
            return self._recorded.get(dial_key)

    def dialled(self, agent_id: str, dial: OutageDial) -> None:
        """This agent dialled and was answered without the store."""
        with self._lock:
            of_agent = self._dialling.pop(agent_key_of(agent_id), {})
            before = of_agent.pop(dial.by, None)
            # Nobody can say without the store whether the earlier call is over, and a real one outranks a test.
            test = dial.test and (before is None or before.test)
            of_agent[dial.by] = structs.replace(dial, test=test)
            self._dialling[agent_key_of(agent_id)] = dict(list(of_agent.items())[-MAX_REPORTERS:])
            if len(self._dialling) > MAX_DIALS_REMEMBERED:
                self._forget_one()

    def _forget_one(self) -> None:
        """Whoever reported most loses their oldest: nobody's flood pushes out what another dialled."""
        reported = Counter(by for of_agent in self._dialling.values() for by in of_agent)
        [(most, _)] = reported.most_common(1)
        agent_key, of_agent = next(entry for entry in self._dialling.items() if most in entry[1])
        del of_agent[most]
        if not of_agent:
            del self._dialling[agent_key]

    def dialling(self, agent_id: str, now: datetime, by: str | None = None) -> OutageDial | None:
        """The emergency that this agent's panel shows although the store knows nothing of it; None once expired."""
        with self._lock:
            of_agent = self._dialling.get(agent_key_of(agent_id), {})
            found = [
                dial for dial in of_agent.values() if (dial.established if by is None else by in (dial.by, dial.owner))
            ]
        return next((dial for dial in reversed(found) if now < dial.expires_at), None)

    def all_dialling(self, now: datetime) -> list[OutageDial]:
        """Every such dial, whoever reported it, the latest of each who did."""
        with self._lock:
            return [dial for of_agent in self._dialling.values() for dial in of_agent.values() if now < dial.expires_at]

    def holding(self, dial_key: str, hold: OutageHold) -> None:
        """Presence was set for this dial; the hold carries what it found."""
        with self._lock:
            self._holds.note(dial_key, hold)

    def held(self, dial_key: str) -> OutageHold | None:
        """What the hold for this dial found; None where this process set none."""
        with self._lock:
            return self._holds.get(dial_key)

    def over(self, by: str, call_key: str) -> None:
        """The store knows this call by now, whatever id it was answered with: what was dialled since is still shown."""
        with self._lock:
            for agent_key, of_agent in list(self._dialling.items()):
                if by in of_agent and of_agent[by].call_key == call_key:
                    del of_agent[by]
                    if not of_agent:
                        del self._dialling[agent_key]
