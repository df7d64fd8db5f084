"""Presence in Dynamics 365 Customer Service and Contact Center (`PRESENCE_BACKEND=dynamics365`).

Imported only where that setting chooses it. The app asks as an application user of its managed identity, which needs
the role Omnichannel supervisor, and impersonates nobody: an impersonating caller has only the privileges of both.

Read is the agent's row of `msdyn_agentstatuses`, which says who changed it and when; set is by
`CCaaS_ModifyAgentPresence` alone. That action takes no condition, so a set compares what it read right before it: the
last writer of the same instant wins.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct, field, structs

from shared.adapters.acs_service import MENDING_S
from shared.adapters.bearer_client import REFUSALS, BearerService
from shared.adapters.presence_holds import Holds
from shared.adapters.presence_marks import Mark, mark_of, marked
from shared.adapters.stored_times import require_sound_times
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict, EmergencyCallingError, NotFound, Refused, Unavailable, Unreadable
from shared.domain.presence import LATE_SET_RECHECK, Presence, PresenceStatus, SetBy, may_end, without_mark
from shared.domain.stamps import age_of, is_ahead

API = "/api/data/v9.2"
MODIFY = f"{API}/CCaaS_ModifyAgentPresence"
ODATA = {"OData-Version": "4.0", "OData-MaxVersion": "4.0"}
# Dataverse serves at least 52 requests of one user at once; several processes share that.
REQUESTS_AT_ONCE = 12
# Well-known rows of `msdyn_presences`, the same in every organisation.
AVAILABLE = "f523f628-c07a-e811-8162-000d3aa11f50"
BUSY = "efdeb843-c07a-e811-8162-000d3aa11f50"
BUSY_DND = "08971864-c07a-e811-8162-000d3aa11f50"
AWAY = "3dacae76-c07a-e811-8162-000d3aa11f50"
OFFLINE = "70139190-c07a-e811-8162-000d3aa11f50"
# Be right back does not exist there.
_ROW_OF = {
    PresenceStatus.AVAILABLE: AVAILABLE,
    PresenceStatus.BUSY: BUSY,
    PresenceStatus.DO_NOT_DISTURB: BUSY_DND,
    PresenceStatus.BE_RIGHT_BACK: AWAY,
    PresenceStatus.AWAY: AWAY,
    PresenceStatus.OFFLINE: OFFLINE,
}
_STATUS_OF_BASE = {
    192360000: PresenceStatus.AVAILABLE,
    192360001: PresenceStatus.BUSY,
    192360002: PresenceStatus.DO_NOT_DISTURB,
    192360003: PresenceStatus.AWAY,
    192360004: PresenceStatus.OFFLINE,
}
# The read may lag behind the set, which answers without content.
LOOK_AFTER_SET = timedelta(seconds=5)
# Whom the service refused to set is looked at again so much later; while held that is the next look.
REFUSED_FOR_S = 25.0
ASK_WHO_AGAIN_S = 60.0
# A hold waits no longer for what it can do without.
WHO_WITHIN_S = 1.0
ORGANISATION = "organisation"
KEEP_WITHIN_S = 1.0
_EXPAND = "msdyn_currentpresenceid($select=msdyn_basepresencestatus,msdyn_canuserset)"
NOBODY = "00000000-0000-0000-0000-000000000000"
# What is shown is stored: an answer with anything else in these places is none.
type Guid = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")]
type TimeText = Annotated[str, Meta(pattern=r"\A[ -~]{0,64}\Z")]
_NOBODY = Presence(status=PresenceStatus.OFFLINE, settable=False)


class _PresenceRow(Struct, frozen=True):
    base: int | None = field(default=None, name="msdyn_basepresencestatus")
    can_user_set: bool | None = field(default=None, name="msdyn_canuserset")


class _StatusRow(Struct, frozen=True):
    """A row of `msdyn_agentstatuses`. Older organisations lack the user who changed it."""

    presence_id: Guid | None = field(name="_msdyn_currentpresenceid_value")
    logged_in: bool | None = field(name="msdyn_isagentloggedin")
    presence: _PresenceRow | None = field(default=None, name="msdyn_currentpresenceid")
    changed_by: str | None = field(default=None, name="msdyn_presencemodifiedby")
    changed_by_user: Guid | None = field(default=None, name="_msdyn_presencemodifiedbyuserid_value")
    changed_at: TimeText | None = field(default=None, name="msdyn_presencemodifiedon")
    changed_at_ms: TimeText | None = field(default=None, name="msdyn_presencemodifiedonwithmilliseconds")

    @property
    def stamp(self) -> str:
        """Which change it shows. The row's own ETag changes with the agent's capacity, too."""
        return f"{self.presence_id}|{self.changed_at_ms or self.since or self.changed_at}"

    @property
    def since(self) -> datetime | None:
        """When it was changed; None also for a time that cannot be calculated with, which would end a stored row."""
        try:
            said = msgspec.convert(self.changed_at, datetime | None)
            require_sound_times(said)
        except (msgspec.ValidationError, ValueError):
            return None
        return said


class _Rows(Struct, frozen=True):
    value: list[_StatusRow]


class _User(Struct, frozen=True):
    user_id: Guid = field(name="UserId")


class DynamicsPresence:
    """Port `PresenceGateway`."""

    def __init__(self, service: BearerService, holds: Holds, *, clock: Clock) -> None:
        self._agents = _Agents(service, clock)
        self._holds = holds
        self._clock = clock

    @property
    def embedded(self) -> bool:
        """It is Microsoft's."""
        return False

    def in_outage(self, object_id: str | None) -> DynamicsPresence:
        """The same, from what this process remembers."""
        other = copy(self)
        other._holds = self._holds.in_outage(object_id)  # noqa: SLF001 - its own class
        return other

    def read(self, agent_id: str, deadline: Deadline) -> Presence:
        """The agent's presence now. It cannot be set where nobody is signed in there, or nobody knows who it is."""
        mark = self._holds.mark(agent_id, deadline)
        user_id = self._user_of(agent_id, mark, deadline)
        if user_id is None:
            return _NOBODY
        row, own_id = self._agents.row(user_id, deadline), self._agents.own_id(deadline)
        now = self._clock.now()
        if row is not None and mark is not None and (seen := _with_sight(row, mark, own_id, now)) != mark:
            mark = self._keep_sight(agent_id, seen, deadline)
        return self._agents.shown(row, mark, user_id, own_id)

    def _keep_sight(self, agent_id: str, seen: Mark, deadline: Deadline) -> Mark | None:
        """Keep what was seen; where somebody else has just done so, theirs."""
        try:
            return self._holds.keep(agent_id, seen, deadline)
        except Conflict:
            return self._holds.mark(agent_id, deadline)

    def write(self, agent_id: str, presence: Presence, deadline: Deadline) -> Presence:
        """Set it, if the row is still as it was read (`Conflict`). The mark of a hold is written before."""
        mark = self._holds.mark(agent_id, deadline)
        user_id = self._user_of(agent_id, mark, deadline)
        if user_id is None:
            return _NOBODY
        row = self._agents.unchanged_row(user_id, presence.version, deadline)
        now = self._clock.now()
        # A row that may be older than our latest set is no reason to skip this one.
        current = row if mark is None or not _is_recent(mark, now) else None
        if (kept := _kept(presence, mark, row, user_id, now)) is not None:
            mark = self._holds.keep(agent_id, kept, deadline)
        try:
            repeated = self._agents.set(user_id, _ids_for(presence), current, deadline)
        except Unavailable:
            self._note_unsure(agent_id, mark)
            raise
        if mark is not None and repeated and presence.hold_id is not None:
            mark = self._holds.keep(agent_id, structs.replace(mark, unsure=True), deadline)
        return self._agents.as_set(presence, mark)

    def _note_unsure(self, agent_id: str, mark: Mark | None) -> None:
        """A set that nobody answered may land late, whatever is set until then."""
        if mark is None or mark.returned_at is not None:
            return
        with suppress(EmergencyCallingError):
            self._holds.keep(agent_id, structs.replace(mark, unsure=True), Deadline(self._clock, KEEP_WITHIN_S))

    def forget(self, agent_id: str, hold_id: str, deadline: Deadline) -> datetime | None:
        """Leave nothing of this hold; where it is still in place, what it found comes back first.

        Where a set of it may still land, its mark stays until then, with what is shown now as what comes back;
        and so does the mark of a return that cannot be read yet.
        """
        now = self._clock.now()
        try:
            mark = self._holds.mark(agent_id, deadline)
        except Unreadable:
            # Nobody can tell any more what it found.
            self._holds.remove(agent_id, None, deadline)
            return None
        if mark is None or not may_end(hold_id, mark.hold_id, mark.set_at, now):
            return None
        current = self.read(agent_id, deadline)
        plain = without_mark(current, hold_id, now)
        if plain != current:
            self.write(agent_id, plain, deadline)
        mark = self._holds.mark(agent_id, deadline)
        unsure = mark is not None and mark.unsure and not is_ahead(mark.set_at, now)
        lands_until = mark.set_at + LATE_SET_RECHECK if mark is not None and unsure else now
        if mark is not None and now < lands_until:
            self._holds.keep(agent_id, _given_up(mark, self.read(agent_id, deadline), now), deadline)
            return lands_until
        if mark is not None and (seen_at := self._return_seen_at(mark, now, deadline)) is not None:
            return seen_at
        self._holds.remove(agent_id, mark, deadline)
        return None

    def _return_seen_at(self, mark: Mark, now: datetime, deadline: Deadline) -> datetime | None:
        """When the return must be read, where it is not yet: without the mark a redial would find our own presence."""
        if mark.returned_at is None or not _is_recent(mark, now):
            return None
        row = self._agents.row(mark.user_id, deadline)
        unseen = row is not None and _return_is_unseen(row, mark, now)
        return mark.returned_at + LOOK_AFTER_SET if unseen else None

    def remove(self, agent_id: str, deadline: Deadline) -> None:
        """Keep no mark of this agent."""
        self._holds.remove(agent_id, None, deadline)

    def ping(self, deadline: Deadline) -> None:
        """Ask for the row of nobody: that takes the right that a look takes. Raises `Unavailable`, `Refused`."""
        try:
            self._agents.row(NOBODY, deadline)
        except Unavailable as away:
            if away.reason in (*REFUSALS, ORGANISATION):
                # It answered, and not for us: somebody has to mend something.
                raise Refused(code=away.reason) from None
            raise

    def warm_up(self) -> None:
        """Import what it needs, make the client and fetch a token, so that the first hold need not wait for that."""
        self._agents.warm_up()

    def close(self) -> None:
        """Ask nothing more."""
        self._agents.close()

    def _user_of(self, agent_id: str, mark: Mark | None, deadline: Deadline) -> str | None:
        """Whom a hold was set for is whose presence comes back, whatever the directory says by now."""
        return mark.user_id if mark is not None else self._holds.user(agent_id, deadline)


class _Agents:
    """The agents' rows in the organisation: read, and set."""

    def __init__(self, service: BearerService, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._own_id: str | None = None
        self._ask_who_at_s = 0.0
        self._refused: dict[str, float] = {}

    def row(self, user_id: str, deadline: Deadline) -> _StatusRow | None:
        """The agent's row; None for one who never signed in."""
        # No `$select`: naming a column that an older organisation does not have is a 400.
        query = f"$filter={quote(f'_msdyn_agentid_value eq {user_id}')}&$expand={_EXPAND}"
        rows = self._ask(f"msdyn_agentstatuses?{query}", _Rows, deadline).value
        return rows[0] if rows else None

    def unchanged_row(self, user_id: str, stamp: str | None, deadline: Deadline) -> _StatusRow:
        """The row, if it can be set and is the one that was read. Raises `Conflict`."""
        row = self.row(user_id, deadline)
        if row is None or row.stamp != stamp or not self._settable(row, user_id):
            raise Conflict
        return row

    def own_id(self, deadline: Deadline) -> str | None:
        """The application user's own id, asked once; None where it was not answered."""
        with self._lock:
            if self._own_id is not None or self._clock.monotonic() < self._ask_who_at_s:
                return self._own_id
            self._ask_who_at_s = self._clock.monotonic() + ASK_WHO_AGAIN_S
        # Without an answer what is ours is known by its time.
        with suppress(Unavailable):
            soon = Deadline(self._clock, min(WHO_WITHIN_S, deadline.remaining_s()))
            self._own_id = self._ask("WhoAmI", _User, soon).user_id.lower()
        return self._own_id

    def shown(self, row: _StatusRow | None, mark: Mark | None, user_id: str, own_id: str | None) -> Presence:
        """A row and what we remember of our own hold, as a presence."""
        if row is None or row.presence_id is None:
            return _NOBODY
        own_kind = row.presence or _PresenceRow()
        plain = Presence(
            status=_STATUS_OF_BASE.get(own_kind.base or 0, PresenceStatus.AWAY),
            # Inactive is one that nobody can set: given back is its base status.
            native=None if own_kind.can_user_set is False else row.presence_id,
            set_by=_changed_by(row, user_id, own_id),
            since=row.since,
            version=row.stamp,
            settable=self._settable(row, user_id),
        )
        if mark is None or not plain.settable:
            return plain
        now = self._clock.now()
        if _return_is_unseen(row, mark, now):
            return _given_back(plain, mark)
        if not _is_ours(row, mark, own_id, now):
            return structs.replace(plain, may_land=mark.unsure)
        return marked(structs.replace(plain, set_by=SetBy.SYSTEM), mark)

    def set(self, user_id: str, presence_ids: tuple[str, ...], row: _StatusRow | None, deadline: Deadline) -> bool:
        """Set the first presence that is not refused; whether an earlier try of it may yet land.

        Nothing is sent for the one that `row` shows. Raises `Conflict` where each is refused.
        """
        for presence_id in presence_ids:
            if row is not None and presence_id == row.presence_id:
                return False
            body = {"ApiVersion": "1.0", "AgentId": user_id, "PresenceId": presence_id}
            try:
                return self._service.ask("POST", MODIFY, deadline, body=body, headers=ODATA).repeated
            except (NotFound, Refused):
                continue
        # Not signed in any more, or not enabled for it: nothing can be held now.
        with self._lock:
            self._refused[user_id] = self._clock.monotonic() + REFUSED_FOR_S
        raise Conflict

    def as_set(self, presence: Presence, mark: Mark | None) -> Presence:
        """A presence that was set, as it is from now on."""
        held = presence.hold_id is not None
        return structs.replace(
            presence,
            native=BUSY_DND if held else presence.native,
            version=None,
            look_at=self._clock.now() + LOOK_AFTER_SET if held else None,
            may_land=mark is not None and mark.unsure,
        )

    def _settable(self, row: _StatusRow, user_id: str) -> bool:
        with self._lock:
            until_s = self._refused.get(user_id)
            if until_s is not None and until_s <= self._clock.monotonic():
                del self._refused[user_id]
                until_s = None
        return bool(row.logged_in) and until_s is None

    def _ask[T](self, target: str, kind: type[T], deadline: Deadline) -> T:
        """What a query answers. Raises `Unavailable`, also for an answer that cannot be read: as if there were none."""
        try:
            answer = self._service.ask("GET", f"{API}/{target}", deadline, headers=ODATA)
            return msgspec.convert(answer.body, kind)
        except (NotFound, Refused):
            # A table that is not there: another organisation, or one without the contact centre.
            raise Unavailable(retry_after_s=MENDING_S, reason=ORGANISATION) from None
        except (msgspec.ValidationError, UnicodeError):
            # A name of a member may hold half of a surrogate pair, at which msgspec raises `UnicodeEncodeError`.
            raise Unavailable from None

    def warm_up(self) -> None:
        self._service.warm_up()
        self.own_id(Deadline(self._clock, WHO_WITHIN_S))

    def close(self) -> None:
        self._service.close()


def _ids_for(presence: Presence) -> tuple[str, ...]:
    """What is asked for, each where the one before was refused.

    Held is looked at again soon. A hold whose return is refused is over: it is asked for once more, since a refusal may
    pass, and then for the product's own row of its status, since one of the organisation's own may be gone by now.
    """
    if presence.hold_id is not None:
        return (BUSY_DND,)
    plain = _ROW_OF[presence.status]
    wanted = presence.native or plain
    return (wanted, wanted) if wanted == plain else (wanted, wanted, plain)


def _kept(presence: Presence, mark: Mark | None, row: _StatusRow, user_id: str, now: datetime) -> Mark | None:
    """What to remember before this presence is set over this row; None where nothing of ours is in place."""
    if presence.hold_id is None:
        # Given back once more over the same row: the mark does not stay longer for that.
        again = mark is not None and mark.over == row.stamp and mark.returned_at is not None
        return mark if mark is None or again else structs.replace(mark, returned_at=now, over=row.stamp)
    same = mark is not None and mark.hold_id == presence.hold_id
    # A set that is not seen by now may still be on its way.
    unsure = same and mark is not None and (mark.unsure or (mark.over == row.stamp and mark.returned_at is None))
    return structs.replace(
        mark_of(presence, user_id, now),
        over=row.stamp,
        unsure=unsure,
        version=mark.version if mark is not None else "",
    )


def _given_up(mark: Mark, shown: Presence, now: datetime) -> Mark:
    """The mark of a hold that is over, for a set of it that lands late: what is shown now comes back then."""
    return structs.replace(
        mark,
        before=shown.status,
        before_native=shown.native,
        before_set_by=shown.set_by,
        before_since=shown.since,
        returned_at=now,
        over=shown.version or "",
    )


def _is_recent(mark: Mark, now: datetime) -> bool:
    """Whether what is read may be older than our latest set."""
    return age_of(mark.returned_at or mark.set_at, now) < LOOK_AFTER_SET


def _found_row(mark: Mark) -> str:
    """The id of the presence that the hold found."""
    return mark.before_native or _ROW_OF[mark.before]


def _return_is_unseen(row: _StatusRow, mark: Mark, now: datetime) -> bool:
    """Whether the row may be older than the return of the hold, which was set just now."""
    if mark.returned_at is None or not _is_recent(mark, now):
        return False
    if row.stamp != mark.over:
        return row.presence_id == BUSY_DND != _found_row(mark)
    # Over a row that shows the same already a return is sent only where the hold itself may not be seen yet.
    return row.presence_id != _found_row(mark) or age_of(mark.set_at, mark.returned_at) < LOOK_AFTER_SET


def _given_back(plain: Presence, mark: Mark) -> Presence:
    """What a row will show once the return can be read."""
    return structs.replace(
        plain,
        status=mark.before,
        native=mark.before_native,
        set_by=mark.before_set_by,
        since=mark.before_since,
        may_land=mark.unsure,
    )


def _is_ours(row: _StatusRow, mark: Mark, own_id: str | None, now: datetime) -> bool:
    """Whether the row shows what the mark was written for, or what it is still to be put over."""
    given_back = _found_row(mark)
    if row.stamp == mark.over:
        # Nothing has changed since: the set has not landed, or is not to be seen yet.
        return mark.returned_at is None or row.presence_id != given_back
    is_before = mark.returned_at is None and row.presence_id == given_back and _is_recent(mark, now)
    if is_before and _may_be_by_us(row, own_id):
        # The return of the hold before, which is read only now: ours was put over it.
        return True
    if row.presence_id != BUSY_DND or (mark.returned_at is not None and given_back == BUSY_DND):
        return False
    if mark.away and mark.returned_at is None:
        # Whoever is said to have set it: the platform restores what it took away when the agent was disconnected.
        return True
    if own_id is not None and row.changed_by_user is not None:
        return row.changed_by_user.lower() == own_id
    return mark.unsure if mark.returned_at is not None else mark.seen in {"", row.stamp}


def _may_be_by_us(row: _StatusRow, own_id: str | None) -> bool:
    """Whether nothing says that somebody else changed it."""
    return own_id is None or row.changed_by_user is None or row.changed_by_user.lower() == own_id


def _with_sight(row: _StatusRow, mark: Mark, own_id: str | None, now: datetime) -> Mark:
    """The mark with what a later look has to know of this one."""
    if mark.returned_at is not None:
        return mark
    if not row.logged_in:
        return structs.replace(mark, away=True)
    nameless = own_id is None or row.changed_by_user is None
    # Set twice, the first may be read a while before the second.
    in_sight = row.presence_id == BUSY_DND and row.stamp != mark.over and not _is_recent(mark, now)
    if nameless and in_sight and not mark.seen:
        return structs.replace(mark, seen=row.stamp)
    return mark


def _changed_by(row: _StatusRow, user_id: str, own_id: str | None) -> SetBy:
    """Who changed it. Documented is `AGENT` and no other word, so that one which tells nothing is nobody's.

    An organisation that names the user tells agent, supervisor and ourselves apart by that.
    """
    word = (row.changed_by or "").strip().casefold()
    changed_by = (row.changed_by_user or "").lower()
    if own_id is not None and changed_by == own_id:
        return SetBy.SYSTEM
    if word.startswith("system"):
        return SetBy.SYSTEM
    if word in {"agent", user_id} or changed_by == user_id:
        return SetBy.AGENT
    if word.startswith("supervisor") or changed_by:
        return SetBy.SUPERVISOR
    return SetBy.UNKNOWN
