"""How a hold lies in Microsoft Graph: what is set for it, what tells that it is in place, how it is given back. Pure.

A presence has two layers there. *Sessions* are what applications say of a user, each its own; Do not disturb outranks
every other session. The *preference* is what the user set by hand; it outranks all sessions, and cannot be read. So a
hold is a session of ours, which can be taken away without a trace, and which a change by the user outranks at once. The
preference is replaced only where one hides that session.

Sources: "Manage presence state using the Microsoft Graph API"; presence: setPresence, setUserPreferredPresence.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from shared.adapters.presence_marks import Mark
from shared.domain.presence import LATE_SET_RECHECK, PresenceStatus
from shared.domain.stamps import age_of

SESSION, PREFERRED = "session", "preferred"
# How old a presence may be that is read: a few seconds were seen, no document says.
LAG = timedelta(seconds=5)
# The net for a process that dies: after so long nobody is held any more. It is renewed at half of it.
LASTS, LASTS_IN_OUTAGE = timedelta(hours=1), timedelta(minutes=30)
HELD = "DoNotDisturb/Presenting"
HELD_BY_PREFERENCE = "DoNotDisturb/DoNotDisturb"
# There a preference shows nothing.
SIGNED_IN_NOWHERE = "Offline/Offline"
# What a preference shows and nothing else does; and what a session may show as well.
_CERTAIN = (HELD_BY_PREFERENCE, "BeRightBack/BeRightBack", "Offline/OffWork")
_UNSURE = ("Available/Available", "Busy/Busy", "Away/Away")
# With automatic replies on, Graph shows this activity instead of the availability's own ("Available, out of office").
OUT_OF_OFFICE = "OutOfOffice"
PREFERRED_OF = {
    PresenceStatus.AVAILABLE: "Available/Available",
    PresenceStatus.BUSY: "Busy/Busy",
    PresenceStatus.DO_NOT_DISTURB: HELD_BY_PREFERENCE,
    PresenceStatus.BE_RIGHT_BACK: "BeRightBack/BeRightBack",
    PresenceStatus.AWAY: "Away/Away",
    PresenceStatus.OFFLINE: "Offline/OffWork",
}
_STATUSES = {
    "available": PresenceStatus.AVAILABLE,
    "availableidle": PresenceStatus.AVAILABLE,
    "busy": PresenceStatus.BUSY,
    "busyidle": PresenceStatus.BUSY,
    "donotdisturb": PresenceStatus.DO_NOT_DISTURB,
    "berightback": PresenceStatus.BE_RIGHT_BACK,
    "away": PresenceStatus.AWAY,
    "offline": PresenceStatus.OFFLINE,
    "presenceunknown": PresenceStatus.OFFLINE,
    # The newest reference lists these as availabilities, the older ones as activities alone.
    "presenting": PresenceStatus.DO_NOT_DISTURB,
    "focusing": PresenceStatus.DO_NOT_DISTURB,
    "inacall": PresenceStatus.BUSY,
    "inameeting": PresenceStatus.BUSY,
}


class GraphStanding(StrEnum):
    """How a hold stands, by its mark and by what Graph shows."""

    IN_PLACE = "in_place"
    # It was set just now, and what is read may be older.
    UNSEEN = "unseen"
    # It is in place, which was not written down yet.
    SEEN = "seen"
    # It is in place, and would end by itself soon; or what shows is not known to be what was set.
    FADING = "fading"
    # A preference that was there before hides it, or what is read is older than `LAG`: nothing tells which.
    HIDDEN = "hidden"
    # It is not in place, and no person's change tells why.
    LOST = "lost"
    # The agent changed it.
    TAKEN = "taken"


def native_of(availability: str, activity: str) -> str:
    """Graph's own name of a state, in the one way of writing that is compared: it answers in two."""
    return f"{_capital(availability)}/{_capital(activity)}"


def _capital(value: str) -> str:
    return value[:1].upper() + value[1:]


def status_of(native: str) -> PresenceStatus:
    """The status of a state. One that is not listed anywhere is no invitation to call: Away."""
    return _STATUSES.get(native.partition("/")[0].casefold(), PresenceStatus.AWAY)


def preference_of(native: str | None) -> str | None:
    """The preference that may show this, as it is set; None where none shows it."""
    availability, _, activity = (native or "").partition("/")
    preference = f"{availability}/{availability}" if activity == OUT_OF_OFFICE else native
    return preference if preference in _CERTAIN or preference in _UNSURE else None


def is_certain(native: str) -> bool:
    """Whether nothing but a preference shows this; behind automatic replies it may be anything."""
    return native in _CERTAIN


def ways_to_hold(native: str) -> tuple[str, ...]:
    """What is set where this is shown.

    A Do not disturb that the agent prefers is left alone: it hides our session, which shows as soon as it ends.
    """
    nobody_signed_in = status_of(native) is PresenceStatus.OFFLINE
    replaces = nobody_signed_in or (native in _CERTAIN and native != HELD_BY_PREFERENCE)
    return (SESSION, PREFERRED) if replaces else (SESSION,)


def stronger(mark: Mark, standing: GraphStanding) -> tuple[str, ...]:
    """What is set once more for a hold that is not in place, or fades."""
    if standing is GraphStanding.HIDDEN:
        return (SESSION, PREFERRED)
    return mark.ways or (SESSION,)


def lasts(mark: Mark) -> timedelta:
    """How long what was set for it lasts."""
    return LASTS_IN_OUTAGE if mark.in_outage else LASTS


def stands(mark: Mark, native: str, now: datetime) -> GraphStanding:
    """How the hold of `mark` stands where Graph shows `native`."""
    age = age_of(mark.set_at, now)
    if status_of(native) is PresenceStatus.DO_NOT_DISTURB:
        if not mark.confirmed:
            # What shows may be another application's, or an older session of ours, where Graph did not take this one.
            return GraphStanding.FADING if mark.failed else GraphStanding.SEEN
        # A row of the version before has no ways where the agent prefers Do not disturb: nothing was set.
        return GraphStanding.FADING if mark.ways and age >= lasts(mark) / 2 else GraphStanding.IN_PLACE
    if not mark.confirmed:
        return _stands_unseen(mark, native, age)
    if mark.ways and age >= lasts(mark):
        # It ended by itself: whatever shows since then is no word on it.
        return GraphStanding.LOST
    return GraphStanding.LOST if preference_of(native) is None else GraphStanding.TAKEN


def _stands_unseen(mark: Mark, native: str, age: timedelta) -> GraphStanding:
    if not mark.failed and age < LAG:
        return GraphStanding.UNSEEN
    if preference_of(native) not in (None, preference_of(mark.before_native)):
        return GraphStanding.TAKEN
    return GraphStanding.LOST if mark.failed else GraphStanding.HIDDEN


def may_land(mark: Mark, at: datetime) -> bool:
    """Whether something that was set for it may still be on its way to Graph: nobody has seen it in place."""
    late = mark.unsure_at is not None and age_of(mark.unsure_at, at) < LATE_SET_RECHECK
    return bool(mark.ways) and (late or not mark.confirmed)


def landed_late(mark: Mark, native: str, now: datetime) -> bool:
    """Whether Graph shows the hold of a mark that was given back: it landed after it was taken away."""
    assert mark.returned_at is not None, "a hold that lasts does not land late"
    shows = status_of(native) is PresenceStatus.DO_NOT_DISTURB and mark.before is not PresenceStatus.DO_NOT_DISTURB
    by_us = preference_of(native) != HELD_BY_PREFERENCE or PREFERRED in mark.ways
    return shows and by_us and may_land(mark, mark.returned_at) and age_of(mark.returned_at, now) >= LAG
