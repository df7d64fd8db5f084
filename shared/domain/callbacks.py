"""A responder's callback: what is known of it (S4, B4).

A `Callback` is a set of facts, as an `Emergency` is: the connection that answered, the invitations sent and what became
of each, whom we saw on the call, whether it is over. Facts merge the same in any order and any number of times; those
that no event brought are found by time, or by looking at the call. So events that are lost, doubled or late, and hosts
that die, change nothing. What follows from the facts is said by `shared.domain.callback_ladder`.
"""

import math
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.emergencies import Reach
from shared.domain.identities import raw_identities, raw_identity
from shared.domain.ids import Key, derived, key_of

MIN_RING_S = 5
LOOK_EVERY = timedelta(seconds=30)
# A list that is only late shows the caller long before; what ends a call that nobody told us of shows in it for good.
EMPTY_MEANS_OVER_AFTER = timedelta(minutes=2)
# So long the list of participants may lag behind a joining.
LOOK_SETTLES = timedelta(seconds=2)
LOOK_AGAIN_AFTER = timedelta(seconds=3)
# Where all are busy a try takes a second or two: more than an outage of half an hour.
MAX_TRIES_WITHOUT_STATE = 2_000


class Rung(StrEnum):
    """A step of the ladder. `ENGAGED` are the identities of agents who are in a call already."""

    AGENT = "agent"
    ALTERNATE = "alternate"
    DESK = "desk"
    ENGAGED = "engaged"
    FALLBACK = "fallback"


# B4 gives 15 s for the agent; a call into the telephone network needs some seconds before it rings at all.
RING_FOR = {
    Rung.AGENT: timedelta(seconds=15),
    Rung.ENGAGED: timedelta(seconds=15),
    Rung.ALTERNATE: timedelta(seconds=20),
    Rung.DESK: timedelta(seconds=30),
    Rung.FALLBACK: timedelta(seconds=30),
}


class Ladder(Struct, frozen=True):
    """Whom everybody's callback reaches in the end: raw identities or E.164 numbers."""

    desk: tuple[str, ...] = ()
    fallback: str | None = None

    @property
    def without_agents(self) -> tuple[str, ...]:
        """Everybody who is not an agent, in the order in which they are rung."""
        return tuple(dict.fromkeys((*self.desk, *((self.fallback,) if self.fallback else ()))))


class Party(Struct, frozen=True, kw_only=True):
    """A holder of the number that was called."""

    agent_id: str
    agent_key: Key
    reach: Reach
    word: str = ""


def ladder_of(parties: tuple[Party, ...], ladder: Ladder) -> Ladder:
    """The ladder of these holders: the desks of the sites where they dialled, the deployment's for whom has none."""
    desks = [each for party in parties for each in (party.reach.desk or ladder.desk)]
    return structs.replace(ladder, desk=tuple(dict.fromkeys(desks))) if parties else ladder


def called_by(parties: tuple[Party, ...]) -> dict[str, str]:
    """What names the emergency of the first of them in a log line; nothing where that has no word."""
    word = next((party.word for party in parties if party.word), "")
    return {"emergency": word} if word else {}


class Invitation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One person rung. `target` is a raw identity or an E.164 number, `agent_key` the agent whose it is.

    `handle` is call control's name for it, None until call control took it on. `failed`: rang in vain, or could not
    ring. Whoever joined and was not seen to leave is on the call.
    """

    invitation_id: str
    target: str
    rung: Rung
    tried_at: datetime
    ends_at: datetime
    agent_key: Key | None = None
    handle: str | None = None
    failed: bool = False
    cancelled: bool = False
    joined_at: datetime | None = None
    left_at: datetime | None = None

    @staticmethod
    def desk(invitation_id: str, target: str, now: datetime) -> "Invitation":
        """An invitation to the desk."""
        ends_at = now + RING_FOR[Rung.DESK]
        return Invitation(invitation_id=invitation_id, target=target, rung=Rung.DESK, tried_at=now, ends_at=ends_at)

    @property
    def settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.failed or self.joined_at is not None

    def ring_s(self, now: datetime) -> int:
        """For how many seconds from now it is to ring."""
        return max(MIN_RING_S, math.ceil((self.ends_at - now).total_seconds()))


class Lap(Struct, frozen=True, kw_only=True):
    """One way up the ladder: which rungs were rung. `since` names the climb that it belongs to."""

    since: datetime
    number: int
    began_at: datetime
    rungs: tuple[Rung, ...] = ()

    @property
    def begins(self) -> bool:
        """Whether its first rung is rung."""
        return len(self.rungs) == 1


class Callback(Struct, frozen=True, kw_only=True):
    """All that is known of a callback. `number` was dialled (None: not known yet), `server_key` is its server call.

    `came_at` is when it began to ring, where its event said so, and `answered_at` when that was first written down.
    `caller` is who calls, where that is one of those whom it would ring (the desk, or an agent's own telephone): they
    are not rung, and to see them on the call says nothing. Nobody else's identity is ever kept.
    `empty_since` is when nobody at all was on the call for the first time, not even who called.
    `drill`: nobody calls, and nobody is rung.
    `look_at` is when to ask call control who is on the call, `doubted` whether an event gave reason to, and
    `looking_since` from when on it was asked in vain. `closed` says that nothing is owed any more and that all but the
    bare id was forgotten, until `forget_at`.
    """

    callback_id: Key
    connection_id: str
    answered_at: datetime
    came_at: datetime | None = None
    number: Key | None = None
    server_key: Key | None = None
    parties: tuple[Party, ...] = ()
    connected: bool = False
    invitations: tuple[Invitation, ...] = ()
    caller: str | None = None
    drill: bool = False
    lap: Lap | None = None
    look_at: datetime | None = None
    doubted: bool = False
    looking_since: datetime | None = None
    empty_since: datetime | None = None
    over_at: datetime | None = None
    closed: bool = False
    forget_at: datetime | None = None

    @property
    def began_at(self) -> datetime:
        """When it began to ring, as far as is known."""
        return self.came_at or self.answered_at


# Facts ---------------------------------------------------------------------------------------------------------------


class Connected(Struct, frozen=True):
    """The caller is connected to us."""


class Accepted(Struct, frozen=True):
    """Call control took an invitation on, under a name of its own."""

    invitation_id: str
    handle: str


class Joined(Struct, frozen=True):
    """Somebody answered."""

    invitation_id: str
    target: str | None = None


class NotJoined(Struct, frozen=True):
    """Somebody did not answer, declined, or could not be rung."""

    invitation_id: str


class Cancelled(Struct, frozen=True):
    """Call control was told to stop ringing somebody."""

    invitation_id: str


class Roster(Struct, frozen=True):
    """Call control said who is on the call at some time lately: a reason to look, no more, for it may come late."""

    people: frozenset[str]


class Looked(Struct, frozen=True):
    """We asked who is on the call, at `asked_at`."""

    people: frozenset[str]
    asked_at: datetime


class Unseen(Struct, frozen=True):
    """We asked who is on the call, and were not told."""


class Over(Struct, frozen=True):
    """The call is over for everyone."""


type Fact = Connected | Accepted | Joined | NotJoined | Cancelled | Roster | Looked | Unseen | Over


def with_fact(callback: Callback, fact: Fact, now: datetime) -> Callback:
    """The callback with a further fact; the same where that was known, or where the call is over and closed."""
    if callback.closed:
        return callback
    match fact:
        case Connected():
            told = structs.replace(callback, connected=True)
        case Accepted(invitation_id, handle):
            told = _changed(callback, invitation_id, handle=handle)
        case NotJoined(invitation_id):
            told = _changed(callback, invitation_id, failed=True)
        case Cancelled(invitation_id):
            told = _changed(callback, invitation_id, cancelled=True)
        case Joined(invitation_id, target):
            told = _with_joined(callback, invitation_id, target, now)
        case Roster(people):
            told = _with_roster(callback, raw_identities(people), now)
        case Looked() | Unseen():
            told = _with_emptiness(_with_look(callback, fact, now), fact)
        case Over():
            told = structs.replace(callback, over_at=callback.over_at or now)
    return told


def _changed(callback: Callback, invitation_id: str, **changes: object) -> Callback:
    return each_invitation(
        callback, lambda each: structs.replace(each, **changes) if each.invitation_id == invitation_id else each
    )


def each_invitation(callback: Callback, change: Callable[[Invitation], Invitation]) -> Callback:
    """The callback with each of its invitations changed so."""
    return structs.replace(callback, invitations=tuple(change(each) for each in callback.invitations))


def _with_joined(callback: Callback, invitation_id: str, target: str | None, now: datetime) -> Callback:
    known = [each for each in callback.invitations if each.invitation_id == invitation_id]
    if known:
        joined = _changed(callback, invitation_id, joined_at=known[0].joined_at or now)
    elif try_without_state(callback.callback_id, invitation_id) is not None:
        # Rung while the store was away: whoever answered is nobody's agent, but a human is on the call.
        adopted = structs.replace(Invitation.desk(invitation_id, target or "", now), joined_at=now)
        joined = structs.replace(callback, invitations=(*callback.invitations, adopted))
    else:
        return callback
    return joined if joined == callback else _look_by(joined, now + LOOK_EVERY)


def _look_by(callback: Callback, at: datetime) -> Callback:
    return structs.replace(callback, look_at=at if callback.look_at is None else min(at, callback.look_at))


def _with_roster(callback: Callback, people: frozenset[str], now: datetime) -> Callback:
    missing = [each for each in on_the_call(callback) if raw_identity(each.target) not in people]
    unheard = [each for each in callback.invitations if not each.settled and raw_identity(each.target) in people]
    if callback.over_at is not None or not (missing or unheard):
        return callback
    at = now if unheard else max(now, *(_settled_from(each) for each in missing))
    return structs.replace(_look_by(callback, at), doubted=True)


def _settled_from(invitation: Invitation) -> datetime:
    assert invitation.joined_at is not None
    return invitation.joined_at + LOOK_SETTLES


def _with_look(callback: Callback, looked: Looked | Unseen, now: datetime) -> Callback:
    if isinstance(looked, Unseen):
        return structs.replace(callback, look_at=now + LOOK_AGAIN_AFTER)
    people = raw_identities(looked.people)
    answered = _answered(callback, people)
    unsure: list[datetime] = []

    def seen(each: Invitation) -> Invitation:
        present = raw_identity(each.target) in people
        told, since = _as_listed(each, present=present, answered=each.invitation_id in answered, looked=looked, now=now)
        if told == each or looked.asked_at >= since + LOOK_SETTLES:
            return told
        unsure.append(since + LOOK_SETTLES)
        return each

    known = each_invitation(callback, seen)
    # Where an event said otherwise, the list is perhaps only late.
    regularly = now + (LOOK_SETTLES if callback.doubted else LOOK_EVERY)
    look_at = min(unsure, default=regularly if on_the_call(known) else None)
    return structs.replace(known, look_at=look_at, doubted=False, looking_since=None)


def _with_emptiness(callback: Callback, looked: Looked | Unseen) -> Callback:
    """Over once nobody was on it for so long: nobody may ever say so, and nobody is left whom ringing could serve."""
    if isinstance(looked, Unseen):
        return callback
    since = None if looked.people else callback.empty_since or looked.asked_at
    over_at = callback.over_at
    if since is not None and looked.asked_at >= since + EMPTY_MEANS_OVER_AFTER:
        over_at = over_at or looked.asked_at
    return structs.replace(callback, empty_since=since, over_at=over_at)


def _as_listed(
    each: Invitation, *, present: bool, answered: bool, looked: Looked, now: datetime
) -> tuple[Invitation, datetime]:
    """The invitation as the list has it, and what happened last that the list may not show yet."""
    if each.joined_at is not None:
        gone = each.left_at is None and not present
        return (structs.replace(each, left_at=now) if gone else each), each.joined_at
    if answered:
        # Whoever was there before they were rung again has perhaps only not been taken off the list.
        return structs.replace(each, joined_at=now), each.tried_at
    # Somebody may have answered at the last moment.
    return structs.replace(each, failed=each.failed or each.ends_at <= looked.asked_at), each.ends_at


def _answered(callback: Callback, people: frozenset[str]) -> set[str]:
    """Which invitations those on the call have answered, of whom no answer is known: the first that may still ring.

    One that is said to have failed is better than none: whoever is there is there.
    """
    accounted = {callback.caller, *(raw_identity(each.target) for each in on_the_call(callback))}
    rung = [each for each in callback.invitations if each.joined_at is None]
    likeliest_last = [each for each in rung if each.failed] + [each for each in reversed(rung) if not each.failed]
    by_identity = {raw_identity(each.target): each.invitation_id for each in likeliest_last}
    return {invitation_id for who, invitation_id in by_identity.items() if who in people and who not in accounted}


# What follows from the facts -----------------------------------------------------------------------------------------


def on_the_call(callback: Callback) -> list[Invitation]:
    """Those who answered and are still there, as far as is known."""
    return [each for each in callback.invitations if each.joined_at is not None and each.left_at is None]


def unaccounted(callback: Callback, ladder: Ladder, people: Collection[str]) -> tuple[str, ...]:
    """Who of the desk is on the call without an invitation that is known: rung while the store was away."""
    known = {callback.caller, *(raw_identity(each.target) for each in callback.invitations)}
    here = raw_identities(people) - known
    desks = (*ladder.without_agents, *ladder_of(callback.parties, ladder).without_agents)
    return tuple(each for each in dict.fromkeys(map(raw_identity, desks)) if each in here)


def was_answered(callback: Callback) -> bool:
    """Whether anybody ever answered."""
    return any(each.joined_at is not None for each in callback.invitations)


def ringing(callback: Callback, now: datetime) -> list[Invitation]:
    """Those who are being rung, as far as is known."""
    return [each for each in callback.invitations if not each.settled and not each.cancelled and now < each.ends_at]


def climbing_since(callback: Callback) -> datetime:
    """When the ladder was begun from the top: at the answer, or when the last of those who answered dropped out."""
    return max(
        (each.left_at for each in callback.invitations if each.left_at is not None), default=callback.answered_at
    )


def label_of(number: str, caller: str | None) -> str:
    """What an answered call is labelled with, for whoever finds no row of it; its events bring it back.

    Only those who know the pool and the ladder can tell which number was dialled, and whether one of ours called.
    """
    return key_of(number) if caller is None else f"{key_of(number)}.{key_of(caller)}"


def number_labelled(label: str | None, pool: Iterable[str]) -> str | None:
    """The number that was dialled, if it is of the pool."""
    return _with_key((label or "").partition(".")[0], pool)


def caller_labelled(label: str | None, people: Iterable[str]) -> str | None:
    """Who called, if they are among these raw identities."""
    return _with_key((label or "").partition(".")[2], people)


def _with_key(key: str, names: Iterable[str]) -> str | None:
    return next((name for name in names if key_of(name) == key), None) if key else None


def own_people(parties: Iterable[Party], ladder: Ladder) -> tuple[str, ...]:
    """Everybody whom a callback may ring, as raw identities."""
    reaches = [party.reach for party in parties]
    theirs = [each for reach in reaches for each in (*reach.acs_user_ids, *reach.alternate_numbers, *reach.desk)]
    return tuple(map(raw_identity, (*ladder.without_agents, *theirs)))


def id_without_state(callback_id: str, number: int, label: str | None) -> str:
    """The invitation with which the desk is rung while the store is away: the `number`th, counted from 0.

    It brings the call's label back with its events, since nothing else remembers it.
    """
    return f"{derived(callback_id, f'without state|{number}')}.{label or ''}"


def try_without_state(callback_id: str, invitation_id: str) -> int | None:
    """Which such invitation this is; None for any other."""
    own = label_in(invitation_id)
    tries = range(MAX_TRIES_WITHOUT_STATE) if "." in invitation_id else ()
    return next((number for number in tries if id_without_state(callback_id, number, own) == invitation_id), None)


def label_in(invitation_id: str) -> str | None:
    """The label of the call, where such an invitation's id brings it."""
    return invitation_id.partition(".")[2] or None
