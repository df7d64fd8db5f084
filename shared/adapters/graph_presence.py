"""Presence in Microsoft Graph, which is that of Teams (`PRESENCE_BACKEND=graph`).

Imported only where that setting chooses it. The token is the app's managed identity's; the application permission is
`Presence.ReadWrite.All`. Graph tells neither who changed a presence nor when, takes no conditional write, and carries
no mark of ours: a row for each hold does (`presence_marks`), and `graph_holds` says what follows from the two.
"""

from datetime import datetime, timedelta
from typing import TypeIs
from urllib.parse import quote

from msgspec import Struct, structs

from shared.adapters.bearer_client import REFUSALS, BearerService
from shared.adapters.graph_holds import (
    HELD,
    LAG,
    PREFERRED,
    PREFERRED_OF,
    SESSION,
    SIGNED_IN_NOWHERE,
    GraphStanding,
    is_certain,
    landed_late,
    lasts,
    may_land,
    native_of,
    preference_of,
    stands,
    status_of,
    stronger,
    ways_to_hold,
)
from shared.adapters.presence_holds import Holds
from shared.adapters.presence_marks import Mark, mark_of, marked
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict, EmergencyCallingError, NotFound, Refused, Unavailable, Unreadable
from shared.domain.presence import LATE_SET_RECHECK, Presence, PresenceStatus, SetBy, may_end
from shared.domain.stamps import age_of

REQUESTS_AT_ONCE = 16
# A request that takes longer leaves time for another one within what an effect may take.
REQUEST_WITHIN_S = 5.0
KEEP_WITHIN_S = 1.0
# What nobody knows any more, or not for certain, is preferred for so long at most.
UNKNOWN_LASTS = timedelta(hours=1)
# The longest name of a state that is documented has 23 letters.
MAX_NAME_CHARS = 64
NOBODY = "00000000-0000-0000-0000-000000000000"
# Nobody is there whose presence could be set.
UNKNOWN_USER = Presence(status=PresenceStatus.OFFLINE, settable=False)


class Shown(Struct, frozen=True):
    """What Graph shows of a user: its own name of the state, and its stamp of this version of it."""

    native: str
    stamp: str = ""

    @property
    def version(self) -> str:
        """Both as one text, which comes back with what is decided from them."""
        return f"{self.stamp} {self.native}"

    @property
    def plain(self) -> Presence:
        """The presence as Graph tells it: only a preference is known to be a person's, and not since when."""
        status = status_of(self.native)
        by_an_app = status is PresenceStatus.DO_NOT_DISTURB and preference_of(self.native) is None
        return Presence(
            status=status, native=self.native, set_by=SetBy.SYSTEM if by_an_app else None, version=self.version
        )


class GraphPresence:
    """Port `PresenceGateway`."""

    def __init__(self, service: BearerService, holds: Holds, *, app_id: str | None, clock: Clock) -> None:
        """`app_id`: the client id of the app's identity, by which Graph names its sessions."""
        self._service = service
        self._holds = holds
        self._app_id = app_id
        self._clock = clock

    @property
    def embedded(self) -> bool:
        """It is Microsoft's."""
        return False

    def in_outage(self, object_id: str | None) -> "GraphPresence":
        """The same, from what this process remembers; what it sets ends after half an hour."""
        return GraphPresence(self._service, self._holds.in_outage(object_id), app_id=self._app_id, clock=self._clock)

    # The port

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        """The presence that Graph shows, as ours where it is. An agent whom Graph does not know cannot be set."""
        mark = self._holds.mark(agent_id, deadline)
        user_id = self._user_of(agent_id, mark, deadline)
        shown = self._look(user_id, deadline) if user_id is not None else None
        if shown is None:
            return UNKNOWN_USER
        now = self._clock.now()
        if mark is None:
            return shown.plain
        return _as_returned(shown, mark, now) if mark.returned_at is not None else _as_held(shown, mark, now)

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        """Hold, or give back what the hold found, from what was read. Raises `Conflict` where that is not so now."""
        mark = self._holds.mark(agent_id, deadline)
        user_id = self._user_of(agent_id, mark, deadline)
        if user_id is None:
            return UNKNOWN_USER
        native = (presence.version or "").partition(" ")[2]
        try:
            if presence.hold_id is not None:
                return self._hold(agent_id, user_id, presence, native, mark, deadline)
            return self._give_back(agent_id, user_id, presence, native, mark, deadline)
        except NotFound:
            # A single 404 was asked about once more.
            return UNKNOWN_USER

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
        """Take away what is left of this hold, and its mark; what a person has changed since stays."""
        try:
            mark = self._holds.mark(agent_id, deadline)
        except Unreadable:
            # Nobody can tell any more what was set; it ends by itself.
            self._holds.remove(agent_id, None, deadline)
            return None
        now = self._clock.now()
        if mark is None or not may_end(hold_id, mark.hold_id, mark.set_at, now):
            return None
        end = self._end if mark.returned_at is None else self._end_returned
        return end(agent_id, mark, now, deadline)

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        """Keep no mark of this agent."""
        self._holds.remove(agent_id, None, deadline)

    def ping(self, deadline: Deadline) -> None:
        """Take nobody's session away: that takes the same right as to set one. Raises `Unavailable`, `Refused`."""
        try:
            self._act_once(NOBODY, "clearPresence", {"sessionId": self._session_id()}, deadline)
        except NotFound:
            return
        except Unavailable as failure:
            if failure.reason in REFUSALS:
                raise Refused(code=failure.reason) from None
            raise

    def _user_of(self, agent_id: str, mark: Mark | None, deadline: Deadline) -> str | None:
        """Whom a hold was set for is whose presence comes back, whatever the directory says by now."""
        lasting = mark is not None and mark.returned_at is None
        return mark.user_id if mark is not None and lasting else self._holds.user(agent_id, deadline)

    def warm_up(self) -> None:
        """Import what it needs, make the client and fetch a token."""
        self._service.warm_up()

    def close(self) -> None:
        """Ask nothing more."""
        self._service.close()

    # Holding

    def _hold(
        self, agent_id: str, user_id: str, wanted: Presence, native: str, mark: Mark | None, deadline: Deadline
    ) -> Presence:
        now = self._clock.now()
        lasting = mark if mark is not None and mark.returned_at is None else None
        standing = stands(lasting, native, now) if lasting is not None else None
        if lasting is not None and standing is GraphStanding.SEEN:
            seen = structs.replace(lasting, hold_id=wanted.hold_id or lasting.hold_id, confirmed=True)
            kept = self._holds.keep(agent_id, seen, deadline)
            return _as_held(Shown(native), kept, now)
        if lasting is not None and standing is GraphStanding.FADING:
            return self._renew(agent_id, wanted, native, lasting, deadline)
        ways = stronger(lasting, standing) if lasting is not None and standing is not None else ways_to_hold(native)
        if wanted.before_native is None:
            # What is shown may be our own, of an outage: all of it is taken away in the end.
            ways = tuple(dict.fromkeys((*ways, *ways_shown(native))))
        if PREFERRED in ways:
            self._require_unchanged(user_id, native, deadline)
        new = mark_of(wanted, user_id, now)
        # Do not disturb that shows already is no sign that Graph took ours: until it answers, the mark says `failed`.
        shows_already = status_of(native) is PresenceStatus.DO_NOT_DISTURB
        new = structs.replace(new, ways=ways, failed=shows_already)
        if mark is not None:
            new = structs.replace(new, unsure_at=mark.unsure_at, version=mark.version)
        kept = self._holds.keep(agent_id, new, deadline)
        try:
            repeated = self._set(kept, deadline)
        except EmergencyCallingError:
            self._note_failure(agent_id, kept)
            raise
        if repeated or kept.failed:
            taken = structs.replace(kept, failed=False, unsure_at=now if repeated else kept.unsure_at)
            kept = self._holds.keep(agent_id, taken, deadline)
        return _unseen(kept)

    def _renew(self, agent_id: str, wanted: Presence, native: str, lasting: Mark, deadline: Deadline) -> Presence:
        """Set once more what shows already.

        The mark keeps its `set_at` until Graph answers: it tells when what shows ends by itself, also to the process
        that takes up after this one died or failed.
        """
        now = self._clock.now()
        if PREFERRED in lasting.ways:
            self._require_unchanged(lasting.user_id, native, deadline)
        sent = self._holds.keep(agent_id, structs.replace(lasting, unsure_at=now), deadline)
        repeated = self._set(sent, deadline)
        renewed = structs.replace(
            mark_of(wanted, sent.user_id, now),
            confirmed=True,
            ways=sent.ways,
            in_outage=sent.in_outage,
            unsure_at=now if repeated else lasting.unsure_at,
            version=sent.version,
        )
        return _as_held(Shown(native), self._holds.keep(agent_id, renewed, deadline), now)

    def _set(self, mark: Mark, deadline: Deadline) -> bool:
        """Whether a part of it was sent twice: then the first one may still land, whenever that is."""
        expiration, repeated = _duration(lasts(mark)), False
        if SESSION in mark.ways:
            body = {"sessionId": self._session_id(), "availability": "DoNotDisturb", "activity": "Presenting"}
            repeated |= self._act(mark.user_id, "setPresence", body | expiration, deadline)
        if PREFERRED in mark.ways:
            repeated |= self._prefer(mark.user_id, PREFERRED_OF[PresenceStatus.DO_NOT_DISTURB], deadline, expiration)
        return repeated

    def _note_failure(self, agent_id: str, mark: Mark) -> None:
        """Else the next look takes a presence that was never set for one that something hides."""
        try:
            self._holds.keep(
                agent_id,
                structs.replace(mark, failed=True, unsure_at=self._clock.now()),
                Deadline(self._clock, KEEP_WITHIN_S),
            )
        except EmergencyCallingError:
            return

    # Giving back

    def _give_back(
        self, agent_id: str, user_id: str, wanted: Presence, native: str, mark: Mark | None, deadline: Deadline
    ) -> Presence:
        # Without a mark nobody knows what was set; what is shown tells as much of it as can be known.
        ways = mark.ways if mark is not None else ways_shown(native)
        if PREFERRED in ways or wanted.native is None:
            self._require_unchanged(user_id, native, deadline)
        self._undo(user_id, ways, wanted.status, wanted.native, deadline)
        given_back = structs.replace(wanted, version=Shown(wanted.native or PREFERRED_OF[wanted.status]).version)
        if mark is None:
            return given_back
        now = self._clock.now()
        # Only now: whoever finds a mark that is not returned gives back again, which does no harm.
        self._holds.keep(agent_id, structs.replace(mark, returned_at=now), deadline)
        return structs.replace(given_back, may_land=may_land(mark, now))

    def _undo(
        self, user_id: str, ways: tuple[str, ...], status: PresenceStatus, native: str | None, deadline: Deadline
    ) -> None:
        if SESSION in ways:
            self._clear_session(user_id, deadline)
        if native is None:
            self._prefer(user_id, PREFERRED_OF[status], deadline, _duration(UNKNOWN_LASTS))
        elif PREFERRED in ways and (preference := preference_of(native)) is not None:
            # A session may have shown the same, to a read that was too old: no agent is pinned to it for seven days.
            self._prefer(user_id, preference, deadline, {} if is_certain(native) else _duration(UNKNOWN_LASTS))
        elif PREFERRED in ways:
            self._act(user_id, "clearUserPreferredPresence", {}, deadline)

    def _end(self, agent_id: str, mark: Mark, now: datetime, deadline: Deadline) -> datetime | None:
        """End a hold that nobody gave back; where a person has changed it, take away only what that hides."""
        lands = may_land(mark, now)
        shown = self._look(mark.user_id, deadline)
        if shown is not None and stands(mark, shown.native, now) is GraphStanding.TAKEN:
            # Written first: once our session is gone, nothing may show any more what the agent chose.
            taken = structs.replace(mark, before=status_of(shown.native), before_native=shown.native, returned_at=now)
            taken = structs.replace(taken, unsure_at=mark.unsure_at or now)
            mark = self._holds.keep(agent_id, taken, deadline)
            if SESSION in mark.ways:
                self._clear_session(mark.user_id, deadline)
        elif shown is not None:
            self._undo(mark.user_id, mark.ways, mark.before, mark.before_native, deadline)
        if not lands:
            self._holds.remove(agent_id, mark, deadline)
            return None
        if mark.returned_at is None:
            self._holds.keep(agent_id, structs.replace(mark, returned_at=now), deadline)
        return now + LATE_SET_RECHECK

    def _end_returned(self, agent_id: str, mark: Mark, now: datetime, deadline: Deadline) -> datetime | None:
        """Take away what landed after the hold was given back, once nothing can land any more."""
        returned_at = mark.returned_at or now
        if may_land(mark, returned_at):
            if age_of(returned_at, now) < LATE_SET_RECHECK:
                return returned_at + LATE_SET_RECHECK
            self._take_away_late(mark, now, deadline)
        elif age_of(returned_at, now) < LAG:
            # What is read may still be that of before: until then the mark tells so.
            return returned_at + LAG
        self._holds.remove(agent_id, mark, deadline)
        return None

    def _take_away_late(self, mark: Mark, now: datetime, deadline: Deadline) -> None:
        shown = self._look(mark.user_id, deadline)
        if shown is None:
            return
        # Where nobody is signed in a preference does not show.
        unseen = PREFERRED in mark.ways and shown.native == SIGNED_IN_NOWHERE
        if unseen or landed_late(mark, shown.native, now):
            self._undo(mark.user_id, mark.ways, mark.before, mark.before_native, deadline)
        elif SESSION in mark.ways:
            self._clear_session(mark.user_id, deadline)

    def _clear_session(self, user_id: str, deadline: Deadline) -> None:
        try:
            self._act(user_id, "clearPresence", {"sessionId": self._session_id()}, deadline)
        except NotFound:
            # It has ended by itself, or never came.
            return

    # Requests

    def _look(self, user_id: str, deadline: Deadline) -> Shown | None:
        """What Graph shows; None where it says twice that it does not know the user, or keeps no presence of them."""
        for _ in range(2):
            try:
                said = self._service.ask("GET", _path(user_id), self._soon(deadline)).body
            except NotFound:
                continue
            return _shown_in(said)
        return None

    def _require_unchanged(self, user_id: str, native: str, deadline: Deadline) -> None:
        """A preference is about to be replaced: raise `Conflict` where another state shows than was decided upon."""
        shown = self._look(user_id, deadline)
        if shown is None:
            raise NotFound
        if shown.native != native:
            raise Conflict

    def _prefer(self, user_id: str, native: str, deadline: Deadline, expiration: dict[str, str]) -> bool:
        availability, _, activity = native.partition("/")
        body = {"availability": availability, "activity": activity}
        return self._act(user_id, "setUserPreferredPresence", body | expiration, deadline)

    def _act(self, user_id: str, action: str, body: dict[str, str], deadline: Deadline) -> bool:
        """Whether the request was sent twice. Raises `NotFound` once that was said twice."""
        try:
            return self._act_once(user_id, action, body, deadline)
        except NotFound:
            return self._act_once(user_id, action, body, deadline)

    def _act_once(self, user_id: str, action: str, body: dict[str, str], deadline: Deadline) -> bool:
        return self._service.ask("POST", f"{_path(user_id)}/{action}", self._soon(deadline), body=body).repeated

    def _session_id(self) -> str:
        if self._app_id is None:
            raise Unavailable("the app's own id is not known", reason="settings")
        return self._app_id

    def _soon(self, deadline: Deadline) -> Deadline:
        return Deadline(self._clock, min(REQUEST_WITHIN_S, deadline.remaining_s()))


def _as_held(shown: Shown, mark: Mark, now: datetime) -> Presence:
    """What Graph shows while the hold of `mark` lasts."""
    standing = stands(mark, shown.native, now)
    if standing is GraphStanding.TAKEN:
        return shown.plain
    ours = marked(structs.replace(shown.plain, set_by=SetBy.SYSTEM), mark)
    if standing in (GraphStanding.LOST, GraphStanding.HIDDEN):
        return ours
    if standing is GraphStanding.UNSEEN:
        return _unseen(mark, shown.version)
    return structs.replace(ours, fading=standing is not GraphStanding.IN_PLACE)


def _unseen(mark: Mark, version: str = Shown(HELD).version) -> Presence:
    """What was set just now, and cannot be relied upon to be read yet."""
    held = Presence(status=PresenceStatus.DO_NOT_DISTURB, native=HELD, set_by=SetBy.SYSTEM, version=version)
    return structs.replace(marked(held, mark), look_at=mark.set_at + LAG)


def _as_returned(shown: Shown, mark: Mark, now: datetime) -> Presence:
    """What Graph shows after the hold of `mark` was given back."""
    assert mark.returned_at is not None, "a hold that lasts is not returned"
    if age_of(mark.returned_at, now) < LAG and status_of(shown.native) is PresenceStatus.DO_NOT_DISTURB:
        native = mark.before_native or PREFERRED_OF[mark.before]
        return Presence(status=mark.before, native=native, set_by=mark.before_set_by, version=Shown(native).version)
    if landed_late(mark, shown.native, now):
        return structs.replace(marked(shown.plain, mark), fading=True)
    return shown.plain


def ways_shown(native: str) -> tuple[str, ...]:
    """What may have been set for a hold of which no mark is left, where this is shown."""
    by_preference = preference_of(native) == PREFERRED_OF[PresenceStatus.DO_NOT_DISTURB]
    return (SESSION, PREFERRED) if by_preference else (SESSION,)


def _shown_in(said: object) -> Shown:
    """Raises `Unavailable` where an answer of success does not hold what it must: as if it had not answered.

    What is shown is stored in the emergency's row, which takes 32,768 characters in all and no half surrogate pair.
    """
    if isinstance(said, dict):
        availability, activity = said.get("availability"), said.get("activity")
        stamp = said.get("sequenceNumber")
        if _is_name(availability) and availability and _is_name(activity):
            return Shown(native_of(availability, activity), stamp.replace(" ", "") if _is_name(stamp) else "")
    raise Unavailable("Graph answered what cannot be read")


def _is_name(said: object) -> TypeIs[str]:
    return isinstance(said, str) and len(said) <= MAX_NAME_CHARS and said.isprintable()


def _path(user_id: str) -> str:
    return f"/v1.0/users/{quote(user_id, safe='')}/presence"


def _duration(span: timedelta) -> dict[str, str]:
    """As ISO 8601, in whole minutes."""
    return {"expirationDuration": f"PT{int(span.total_seconds() // 60)}M"}
