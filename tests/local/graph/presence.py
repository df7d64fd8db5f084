"""`/users/{id}/presence`: sessions, the preference, and how Graph makes one presence of them.

As documented ("Manage presence state using the Microsoft Graph API"): the preference outranks every session, and takes
effect only while there is one; without any the user is Offline. Among sessions Do not disturb outranks Busy, Busy
outranks Available, Available outranks Away. A session and a preference end by themselves.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from tests.local.graph.errors import GraphError, malformed

type Pair = tuple[str, str]
# Requests of one app in one tenant: "Microsoft Graph service-specific throttling limits", cloud communication.
MAX_REQUESTS, WITHIN_S = 10_000, 30.0
SESSION_PAIRS = {
    *(("Available", "Available"), ("Busy", "InACall"), ("Busy", "InAConferenceCall"), ("Away", "Away")),
    ("DoNotDisturb", "Presenting"),
}
PREFERRED_PAIRS = {
    *(("Available", "Available"), ("Busy", "Busy"), ("DoNotDisturb", "DoNotDisturb")),
    *(("BeRightBack", "BeRightBack"), ("Away", "Away"), ("Offline", "OffWork")),
}
NEWER_AVAILABILITIES = ("Presenting", "Focusing", "InACall", "InAMeeting")
NOBODY: Pair = ("Offline", "Offline")
RANK = ("DoNotDisturb", "Busy", "BusyIdle", "Available", "AvailableIdle", "BeRightBack", "Away")
DAY_S = 24 * 3600.0
MIN_SESSION_S, MAX_SESSION_S, USUAL_SESSION_S = 300.0, 4 * 3600.0, 300.0
FADES_AFTER_S = 300.0
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Session:
    """What one application says of a user, until it ends; `fades_at_s`: when Available becomes Away."""

    pair: Pair
    ends_at_s: float = float("inf")
    fades_at_s: float = float("inf")

    def shown(self, now_s: float) -> Pair:
        """Its availability and activity now."""
        return ("Away", "Away") if now_s >= self.fades_at_s else self.pair


@dataclass(frozen=True)
class Told:
    """All that is known of a user from one moment on."""

    at_s: float
    sessions: dict[str, Session] = field(default_factory=dict)
    preference: Session | None = None

    def merged(self, now_s: float) -> Pair:
        """What everybody sees."""
        shown = [each.shown(now_s) for each in self.sessions.values() if now_s < each.ends_at_s]
        if not shown:
            return NOBODY
        if self.preference is not None and now_s < self.preference.ends_at_s:
            return self.preference.pair
        return min(shown, key=lambda pair: RANK.index(pair[0]))


class Presences:
    """The users that there are, and everything that was ever told of each."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._users: dict[str, list[Told]] = {}
        self._asked_at_s: deque[float] = deque()
        self.lag_s = 0.0
        """How old a presence is that is read."""
        self.empty_answers = True
        """Whether an action is answered with 204, as today's documents say, or with 200."""
        self.camel_case = False
        """Whether values are written as the newest reference lists them."""
        self.shows_sessions_of_apps = True
        """Whether a session that an application set is part of what everybody sees."""
        self.out_of_office: set[str] = set()
        """Users whose automatic replies are on."""
        self.newest_reference = False
        """Whether availabilities are those that the newest reference lists: meetings and presentations among them."""
        self.most_within_30_s = 0

    # What people and their clients do

    def add(self, user_id: str) -> str:
        """A user, who is signed in nowhere."""
        self._users[user_id.lower()] = [Told(self._now_s())]
        return user_id

    def sign_in(self, user_id: str, availability: str = "Available", activity: str = "") -> None:
        """The user's own client says this, instead of what it said before."""
        pair = (availability, activity or availability)
        self._change(user_id, lambda told: replace(told, sessions={**told.sessions, "teams": Session(pair)}))

    def sign_out(self, user_id: str) -> None:
        """The user's own client is gone."""
        self._change(user_id, lambda told: replace(told, sessions=_without(told.sessions, "teams")))

    def prefer(self, user_id: str, availability: str | None, activity: str = "") -> None:
        """The user sets, or resets, their status by hand."""
        preference = Session((availability, activity or availability)) if availability else None
        self._change(user_id, lambda told: replace(told, preference=preference))

    def expire(self, user_id: str) -> None:
        """Every session of an application ends now."""
        self._change(
            user_id,
            lambda told: replace(told, sessions={key: each for key, each in told.sessions.items() if key == "teams"}),
        )

    # What is seen

    def merged(self, user_id: str) -> Pair:
        """What everybody sees once nothing lags."""
        now_s = self._now_s()
        return self._named(user_id, self._seen(self._of(user_id)[-1]).merged(now_s))

    def left(self, user_id: str) -> tuple[dict[str, Pair], Pair | None]:
        """The sessions of applications and the preference that are there now."""
        now_s, told = self._now_s(), self._of(user_id)[-1]
        sessions = {key: each.pair for key, each in told.sessions.items() if key != "teams" and now_s < each.ends_at_s}
        preference = told.preference
        return sessions, preference.pair if preference is not None and now_s < preference.ends_at_s else None

    def ends_in_s(self, user_id: str) -> tuple[list[float], float | None]:
        """How long the sessions of applications and the preference last from now on."""
        now_s, told = self._now_s(), self._of(user_id)[-1]
        sessions = [each.ends_at_s - now_s for key, each in told.sessions.items() if key != "teams"]
        return sessions, told.preference.ends_at_s - now_s if told.preference is not None else None

    # What is asked for

    def count(self) -> None:
        """One request more. Raises `GraphError` beyond the limit."""
        with self._lock:
            now_s = self._now_s()
            while self._asked_at_s and now_s - self._asked_at_s[0] >= WITHIN_S:
                self._asked_at_s.popleft()
            self._asked_at_s.append(now_s)
            self.most_within_30_s = max(self.most_within_30_s, len(self._asked_at_s))
            if len(self._asked_at_s) > MAX_REQUESTS:
                raise GraphError(429, "TooManyRequests", "Too many requests.", retry_after_s=int(WITHIN_S))

    def read(self, user_id: str) -> dict[str, Any]:
        """`GET /users/{id}/presence`."""
        seen_at_s = self._now_s() - self.lag_s
        history = self._of(user_id)
        known = [told for told in history if told.at_s <= seen_at_s] or history[:1]
        availability, activity = self._named(user_id, self._seen(known[-1]).merged(seen_at_s))
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/presence/$entity",
            "id": user_id,
            "availability": self._written(availability),
            "activity": self._written(activity),
            "statusMessage": None,
            "sequenceNumber": f"A{len(known):019d}",
        }

    def act(self, user_id: str, action: str, body: Any, app_id: str) -> int:
        """One of the actions; the status of its success. Raises `GraphError`."""
        actions: dict[str, Callable[[str, dict[str, Any], str], None]] = {
            "setPresence": self._set_presence,
            "clearPresence": self._clear_presence,
            "setUserPreferredPresence": self._set_preferred,
            "clearUserPreferredPresence": self._clear_preferred,
        }
        if action not in actions:
            raise GraphError(400, "BadRequest", f"Resource not found for the segment '{action}'.")
        self._of(user_id)
        if not isinstance(body, dict):
            raise malformed("Unable to read JSON request payload.")
        actions[action](user_id, body, app_id)
        return 204 if self.empty_answers else 200

    def _set_presence(self, user_id: str, body: dict[str, Any], app_id: str) -> None:
        _require_members(body, {"sessionId", "availability", "activity"}, {"expirationDuration"})
        session_id = self._session_of(body, app_id)
        pair = _pair(body, SESSION_PAIRS)
        lasts_s = _seconds(body["expirationDuration"]) if "expirationDuration" in body else USUAL_SESSION_S
        if not MIN_SESSION_S <= lasts_s <= MAX_SESSION_S:
            raise GraphError(400, "BadRequest", "The expiration duration is out of range.")
        now_s = self._now_s()
        fades = now_s + FADES_AFTER_S if pair[0] == "Available" else float("inf")
        session = Session(pair, now_s + lasts_s, fades)
        self._change(user_id, lambda told: replace(told, sessions={**told.sessions, session_id: session}))

    def _clear_presence(self, user_id: str, body: dict[str, Any], app_id: str) -> None:
        _require_members(body, {"sessionId"}, set())
        session_id = self._session_of(body, app_id)
        known = self._of(user_id)[-1].sessions.get(session_id)
        if known is None or self._now_s() >= known.ends_at_s:
            raise GraphError(404, "NotFound", "The presence session is not found.")
        self._change(user_id, lambda told: replace(told, sessions=_without(told.sessions, session_id)))

    def _set_preferred(self, user_id: str, body: dict[str, Any], _app_id: str) -> None:
        _require_members(body, {"availability", "activity"}, {"expirationDuration"})
        pair = _pair(body, PREFERRED_PAIRS)
        usual_s = DAY_S if pair[0] in ("DoNotDisturb", "Busy") else 7 * DAY_S
        lasts_s = _seconds(body["expirationDuration"]) if "expirationDuration" in body else usual_s
        if not 0 < lasts_s <= 7 * DAY_S:
            raise GraphError(400, "BadRequest", "The expiration duration is out of range.")
        ends_at_s = self._now_s() + lasts_s
        self._change(user_id, lambda told: replace(told, preference=Session(pair, ends_at_s)))

    def _clear_preferred(self, user_id: str, body: dict[str, Any], _app_id: str) -> None:
        _require_members(body, set(), set())
        self._change(user_id, lambda told: replace(told, preference=None))

    def _session_of(self, body: dict[str, Any], app_id: str) -> str:
        session_id = body["sessionId"]
        if not isinstance(session_id, str) or not _GUID.fullmatch(session_id) or UUID(session_id) != UUID(app_id):
            raise GraphError(400, "BadRequest", "The session id is not the id of the application.")
        return str(UUID(session_id))

    # How it is kept

    def _of(self, user_id: str) -> list[Told]:
        history = self._users.get(user_id.lower()) if _GUID.fullmatch(user_id) else None
        if history is None:
            raise GraphError(404, "NotFound", "The user is not found.")
        return history

    def _change(self, user_id: str, change: Callable[[Told], Told]) -> None:
        with self._lock:
            history = self._of(user_id)
            history.append(replace(change(history[-1]), at_s=self._now_s()))

    def _seen(self, told: Told) -> Told:
        if self.shows_sessions_of_apps:
            return told
        return replace(told, sessions={key: each for key, each in told.sessions.items() if key == "teams"})

    def _named(self, user_id: str, pair: Pair) -> Pair:
        """As Graph names it: documented is Available with the activity OutOfOffice, and a call that stays one."""
        availability, activity = pair
        if user_id.lower() in self.out_of_office and activity == availability:
            return availability, "OutOfOffice"
        return (activity, availability) if self.newest_reference and activity in NEWER_AVAILABILITIES else pair

    def _written(self, value: str) -> str:
        return value[0].lower() + value[1:] if self.camel_case else value


def _without(sessions: dict[str, Session], session_id: str) -> dict[str, Session]:
    return {key: each for key, each in sessions.items() if key != session_id}


def _require_members(body: dict[str, Any], needed: set[str], allowed: set[str]) -> None:
    if not needed <= {*body} or not {*body} <= needed | allowed:
        raise GraphError(400, "BadRequest", "The parameters are not those of the action.")


def _pair(body: dict[str, Any], allowed: set[Pair]) -> Pair:
    asked = (body["availability"], body["activity"])
    if asked not in allowed:
        raise GraphError(400, "BadRequest", "The combination of availability and activity is not supported.")
    return asked


def _seconds(duration: Any) -> float:
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if match is None or not any(match.groups()):
        raise GraphError(400, "BadRequest", "The expiration duration is no ISO 8601 duration.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return days * DAY_S + hours * 3600.0 + minutes * 60.0 + seconds
