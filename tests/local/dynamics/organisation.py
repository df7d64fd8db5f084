"""The organisation's presence: rows to choose from, each agent's status, and what the platform does by itself.

Rows and rules are those of "Manage presence status" and of the entities `msdyn_presence` and `msdyn_agentstatus`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.local.dynamics.errors import DataverseError

AVAILABLE = "f523f628-c07a-e811-8162-000d3aa11f50"
BUSY = "efdeb843-c07a-e811-8162-000d3aa11f50"
BUSY_DND = "08971864-c07a-e811-8162-000d3aa11f50"
AWAY = "3dacae76-c07a-e811-8162-000d3aa11f50"
OFFLINE = "70139190-c07a-e811-8162-000d3aa11f50"
# The product has no documented id for it.
INACTIVE = "b23b7d1e-3f5c-eb11-a812-0022486eb2cd"
TRAINING = "5f0d3d4c-7a51-4b52-9f5e-4a6d1e9c0a01"
QUIET = "5f0d3d4c-7a51-4b52-9f5e-4a6d1e9c0a02"

BASE = {"available": 192360000, "busy": 192360001, "busy_dnd": 192360002, "away": 192360003, "offline": 192360004}
# Beyond this a disconnected agent's presence is not restored but made anew.
RESTORED_WITHIN = timedelta(minutes=2, seconds=30)


@dataclass(frozen=True)
class PresenceRow:
    """A row of `msdyn_presences`: one of the product's own, or one that an administrator made over a base status."""

    name: str
    base: int
    can_user_set: bool = True


ROWS = {
    AVAILABLE: PresenceRow("Available", BASE["available"]),
    BUSY: PresenceRow("Busy", BASE["busy"]),
    BUSY_DND: PresenceRow("Busy DND", BASE["busy_dnd"]),
    AWAY: PresenceRow("Away", BASE["away"]),
    OFFLINE: PresenceRow("Offline", BASE["offline"]),
    INACTIVE: PresenceRow("Inactive", BASE["away"], can_user_set=False),
    TRAINING: PresenceRow("Away - training", BASE["away"]),
    QUIET: PresenceRow("Busy DND - quiet room", BASE["busy_dnd"]),
}


@dataclass(frozen=True)
class Status:
    """A row of `msdyn_agentstatuses`, as it was from `modified_on` on."""

    agent_id: str
    presence_id: str
    logged_in: bool
    modified_on: datetime
    modified_by: str | None
    modified_by_user: str | None
    status_id: str
    version: int


@dataclass(frozen=True)
class CapacityProfile:
    """A capacity profile of an agent; `units` is the assignment's own, where it has one."""

    name: str
    default_units: int
    units: int | None = None


@dataclass
class Organisation:
    """The agents. `own_user` is the application user; `privileged` are the users with the Supervisor role."""

    now: Callable[[], datetime]
    own_user: str = "11111111-0000-0000-0000-0000000000a9"
    privileged: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    """Application ids that are users of the organisation."""
    api_says: str | None = "SYSTEM"
    """What `msdyn_presencemodifiedby` holds after `CCaaS_ModifyAgentPresence`: undocumented, so tests vary it."""
    platform_says: str | None = "SYSTEM"
    """What it holds after a change that the platform made by itself: undocumented, too."""
    names_users: bool = True
    """Whether the organisation has `msdyn_presencemodifiedbyuserid`: older ones do not."""
    api_refuses: int | None = None
    """What every set answers where nothing may be set by API."""
    signed_out_status: int = 400
    """What a set answers for an agent who is not signed in: undocumented, so tests vary it; with 200 nothing is set."""
    modified_on_says: str | None = None
    """What `msdyn_presencemodifiedon` holds instead of the time, where it is nonsense."""
    lag: timedelta = timedelta(0)
    """How long a change takes until it is read."""
    removed: set[str] = field(default_factory=set)
    """Rows of `msdyn_presences` that an administrator has removed meanwhile."""
    capacity: dict[str, list[CapacityProfile]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._history: dict[str, list[Status]] = {}
        self._before_disconnect: dict[str, Status] = {}
        self.privileged.add(self.own_user)

    # What is read

    def status(self, agent_id: str, *, lagging: bool = False) -> Status | None:
        """The agent's row; None for an agent who never signed in. `lagging`: as a query shows it."""
        seen_until = self.now() - self.lag
        with self._lock:
            history = self._history.get(agent_id, [])
            # Of two changes within a millisecond the second has a time that is still to come.
            if not lagging or not history or not self.lag:
                return history[-1] if history else None
            return next((each for each in reversed(history) if each.modified_on <= seen_until), history[0])

    def presence(self, agent_id: str) -> str | None:
        """The name of the agent's presence now."""
        status = self.status(agent_id)
        return ROWS[status.presence_id].name if status else None

    # What people do

    def sign_in(self, agent_id: str, presence_id: str = AVAILABLE) -> None:
        """The agent signs in and gets the default presence."""
        self._change(agent_id, presence_id, self.platform_says, None, logged_in=True)

    def sign_out(self, agent_id: str) -> None:
        """The agent signs out, which is no disconnection: nothing is restored."""
        with self._lock:
            self._before_disconnect.pop(agent_id, None)
            self._change(agent_id, OFFLINE, self.platform_says, None, logged_in=False)

    def choose(self, agent_id: str, presence_id: str) -> None:
        """The agent chooses a presence in the dialog, which does not offer Inactive."""
        if not ROWS[presence_id].can_user_set:
            raise ValueError("nobody can choose this")
        self._change(agent_id, presence_id, "AGENT", agent_id)

    def assign(self, agent_id: str, presence_id: str, supervisor: str) -> None:
        """A supervisor sets it."""
        self._change(agent_id, presence_id, "SUPERVISOR", supervisor)

    # What the platform does by itself

    def disconnect(self, agent_id: str) -> None:
        """The tab is closed or the line lost: Offline at once."""
        with self._lock:
            self._before_disconnect[agent_id] = self._history[agent_id][-1]
            self._change(agent_id, OFFLINE, self.platform_says, None, logged_in=False)
            gone = self._history[agent_id][-1]
            self._before_disconnect[agent_id] = replace(self._before_disconnect[agent_id], modified_on=gone.modified_on)

    def reconnect(self, agent_id: str) -> None:
        """The agent is back: within 2.5 minutes as they were, later as if they had just signed in."""
        with self._lock:
            before = self._before_disconnect.pop(agent_id, None)
            in_time = before is not None and self.now() - before.modified_on <= RESTORED_WITHIN
            restored = before.presence_id if before is not None and in_time else AVAILABLE
            self._change(agent_id, restored, self.platform_says, None, logged_in=True)

    def recalculate(self, agent_id: str, presence_id: str = AVAILABLE) -> None:
        """Capacity and conversations make it this."""
        self._change(agent_id, presence_id, self.platform_says, None)

    # What the API does

    def modify(self, caller: str, agent_id: str, presence_id: str) -> None:
        """`CCaaS_ModifyAgentPresence`. Raises `DataverseError`."""
        if presence_id not in ROWS or presence_id in self.removed:
            raise DataverseError(404, "0x80040217", "Entity 'msdyn_presence' With Id does not exist.")
        if not ROWS[presence_id].can_user_set:
            raise DataverseError(400, "0x80040265", "This presence cannot be set.")
        with self._lock:
            status = self.status(agent_id)
            if status is None:
                raise DataverseError(404, "0x80040217", "Entity 'systemuser' With Id does not exist.")
            if not status.logged_in:
                if self.signed_out_status != 200:
                    raise DataverseError(self.signed_out_status, "0x80040265", "The agent is not signed in.")
                return
            self._change(agent_id, presence_id, self.api_says, caller)

    def _change(
        self, agent_id: str, presence_id: str, by: str | None, user: str | None, *, logged_in: bool | None = None
    ) -> None:
        with self._lock:
            history = self._history.setdefault(agent_id, [])
            last = history[-1] if history else None
            # Two changes never have the same time, as two rows of the real history never do.
            earliest = last.modified_on + timedelta(milliseconds=1) if last else datetime.min.replace(tzinfo=UTC)
            history.append(
                Status(
                    agent_id=agent_id,
                    presence_id=presence_id,
                    logged_in=(last.logged_in if last else False) if logged_in is None else logged_in,
                    modified_on=max(self.now(), earliest),
                    modified_by=by,
                    modified_by_user=user,
                    status_id=last.status_id if last else str(uuid4()),
                    version=(last.version if last else 1_000) + 1,
                )
            )
