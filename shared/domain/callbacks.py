"""A responder's callback: what is known of it, and what to do next (S4, B4).

A `Callback` is a set of facts, as an `Emergency` is: the connection that answered, the invitations sent and what became
of each, whom we saw on the call, whether it is over. Who is rung next, and when, is computed by `next_step` from the
facts and the time. Facts merge the same in any order and any number of times; those that no event brought are found by
time, or by looking at the call. So events that are lost, doubled or late, and hosts that die, change nothing.

The ladder: the holder's identities; their alternate numbers; the desk; round again; from five minutes on the fallback
number alone. Of a shared number, the holders' identities at once, then the desk. An agent who talks to another
responder already is rung last of all: their alternate numbers and the desk first. An outgoing leg in progress changes
nothing: it may be dead and its end unreported, and the responder who calls may be calling because of that.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.emergencies import Reach
from shared.domain.ids import derived, key_of
from shared.domain.phone_numbers import is_e164

FALLBACK_AFTER = timedelta(minutes=5)
LEAST_LAP = timedelta(seconds=10)
PRESUMED_CONNECTED_AFTER = timedelta(seconds=3)
# An event of a ring's end comes a little after it; a request without an answer is sent again a little later.
EVENT_GRACE = timedelta(seconds=3)
SEND_AGAIN_AFTER = timedelta(seconds=3)
LEAST_RING_S = 5
LOOK_EVERY = timedelta(seconds=30)
# So long the list of participants may lag behind a joining.
LOOK_SETTLES = timedelta(seconds=2)
LOOK_PATIENCE = timedelta(seconds=10)
# A joining that is told after the end still counts as an answer.
CLOSED_AFTER = timedelta(seconds=5)
TAKEN_UP_AFTER = timedelta(seconds=5)
# Longer than a request is repeatable and a token lasts: until then a repeat must find what it repeats.
KEPT_AFTER_END = timedelta(minutes=10)
INVITATION_KEPT = timedelta(minutes=1)
MOST_JOINED_KEPT = 20
MOST_OTHERS_KEPT = 20
MOST_WITHOUT_STATE = 60


class Rung(StrEnum):
    """A step of the ladder. `ENGAGED` are the identities of agents who talk to another responder already."""

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
    agent_key: str
    reach: Reach


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
    agent_key: str | None = None
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
        return max(LEAST_RING_S, math.ceil((self.ends_at - now).total_seconds()))


class Lap(Struct, frozen=True, kw_only=True):
    """One way up the ladder: which rungs were rung. `since` names the climb that it belongs to."""

    since: datetime
    number: int
    began_at: datetime
    rungs: tuple[Rung, ...] = ()


class Callback(Struct, frozen=True, kw_only=True):
    """All that is known of a callback. `number` was dialled (None: not known yet), `server_key` is its server call.

    `caller` is who calls, where that is one of those whom it would ring (the desk, or an agent's own telephone): they
    are not rung, and to see them on the call says nothing. Nobody else's identity is ever kept.
    `look_at` is when to ask call control who is on the call, `doubted` whether an event gave reason to, and
    `looking_since` from when on it was asked in vain. `closed` says that nothing is owed any more and that all but the
    bare id was forgotten, until `forget_at`.
    """

    callback_id: str
    connection_id: str
    answered_at: datetime
    number: str | None = None
    server_key: str | None = None
    parties: tuple[Party, ...] = ()
    connected: bool = False
    invitations: tuple[Invitation, ...] = ()
    caller: str | None = None
    lap: Lap | None = None
    look_at: datetime | None = None
    doubted: bool = False
    looking_since: datetime | None = None
    over_at: datetime | None = None
    closed: bool = False
    forget_at: datetime | None = None


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


class Over(Struct, frozen=True):
    """The call is over for everyone."""


type Fact = Connected | Accepted | Joined | NotJoined | Cancelled | Roster | Looked | Over


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
            told = _with_roster(callback, people, now)
        case Looked():
            told = _with_look(callback, fact, now)
        case Over():
            told = structs.replace(callback, over_at=callback.over_at or now)
    return told


def _changed(callback: Callback, invitation_id: str, **changes: object) -> Callback:
    return _each(
        callback, lambda each: structs.replace(each, **changes) if each.invitation_id == invitation_id else each
    )


def _each(callback: Callback, change: Callable[[Invitation], Invitation]) -> Callback:
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


def _with_look(callback: Callback, looked: Looked, now: datetime) -> Callback:
    answered = _answered(callback, looked.people)
    unsure: list[datetime] = []

    def seen(each: Invitation) -> Invitation:
        present = raw_identity(each.target) in looked.people
        told, since = _as_listed(each, present=present, answered=each.invitation_id in answered, looked=looked, now=now)
        if told == each or looked.asked_at >= since + LOOK_SETTLES:
            return told
        unsure.append(since + LOOK_SETTLES)
        return each

    known = _each(callback, seen)
    # Where an event said otherwise, the list is perhaps only late.
    regularly = now + (LOOK_SETTLES if callback.doubted else LOOK_EVERY)
    look_at = min(unsure, default=regularly if on_the_call(known) else None)
    return structs.replace(known, look_at=look_at, doubted=False, looking_since=None)


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


def raw_identity(target: str) -> str:
    """A target as call control names people."""
    return f"4:{target}" if is_e164(target) else target


def on_the_call(callback: Callback) -> list[Invitation]:
    """Those who answered and are still there, as far as is known."""
    return [each for each in callback.invitations if each.joined_at is not None and each.left_at is None]


def unaccounted(callback: Callback, ladder: Ladder, people: Collection[str]) -> tuple[str, ...]:
    """Who of the desk is on the call without an invitation that is known: rung while the store was away."""
    known = {callback.caller, *(raw_identity(each.target) for each in callback.invitations)}
    return tuple(each for each in map(raw_identity, ladder.without_agents) if each in people and each not in known)


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
    theirs = [target for reach in reaches for target in (*reach.acs_user_ids, *reach.alternate_numbers)]
    return tuple(map(raw_identity, (*ladder.without_agents, *theirs)))


def id_without_state(callback_id: str, number: int, label: str | None) -> str:
    """The invitation with which the desk is rung while the store is away: the `number`th, counted from 0.

    It brings the call's label back with its events, since nothing else remembers it.
    """
    return f"{derived(callback_id, f'without state|{number}')}.{label or ''}"


def try_without_state(callback_id: str, invitation_id: str) -> int | None:
    """Which such invitation this is; None for any other."""
    own = label_in(invitation_id)
    tries = range(MOST_WITHOUT_STATE) if "." in invitation_id else ()
    return next((number for number in tries if id_without_state(callback_id, number, own) == invitation_id), None)


def label_in(invitation_id: str) -> str | None:
    """The label of the call, where such an invitation's id brings it."""
    return invitation_id.partition(".")[2] or None


# What to do next -----------------------------------------------------------------------------------------------------


class Ring(Struct, frozen=True):
    """Remember these invitations, then send them."""

    invitations: tuple[Invitation, ...]
    lap: Lap


class RingAgain(Struct, frozen=True):
    """Send these once more: nobody knows whether call control has them."""

    invitations: tuple[Invitation, ...]


class Cancel(Struct, frozen=True):
    """Stop ringing these: somebody else answered."""

    invitations: tuple[Invitation, ...]


class Look(Struct, frozen=True):
    """Ask call control who is on the call."""


class Wait(Struct, frozen=True):
    """Nothing is to be done before `until`, unless something happens."""

    until: datetime


class Close(Struct, frozen=True):
    """Say what is owed, and forget all but the id."""


type Step = Ring | RingAgain | Cancel | Look | Wait | Close


def next_step(callback: Callback, ladder: Ladder, engaged: Collection[str], now: datetime) -> Step:
    """What to do next so that the caller ends at a human; `engaged` are the keys of agents in another callback."""
    if callback.over_at is not None:
        return _after_the_end(callback, callback.over_at, now)
    presumed_at = callback.answered_at + PRESUMED_CONNECTED_AFTER
    if not callback.connected and now < presumed_at:
        return Wait(presumed_at)
    if on_the_call(callback):
        return _while_talking(callback, now)
    return _while_ringing(callback, now) or _next_rung(callback, ladder, engaged, now)


def _after_the_end(callback: Callback, over_at: datetime, now: datetime) -> Step:
    if callback.closed:
        assert callback.forget_at is not None
        return Wait(callback.forget_at)
    return Close() if over_at + CLOSED_AFTER <= now else Wait(over_at + CLOSED_AFTER)


def _while_talking(callback: Callback, now: datetime) -> Step:
    others = tuple(each for each in ringing(callback, now) if each.handle is not None)
    if others:
        return Cancel(others)
    assert callback.look_at is not None, "whoever joined is looked at some time"
    return Look() if callback.look_at <= now else Wait(callback.look_at)


def _while_ringing(callback: Callback, now: datetime) -> Step | None:
    """None when nobody rings any more, as far as can be known."""
    patient = callback.looking_since is None or now < callback.looking_since + LOOK_PATIENCE
    pending = [each for each in callback.invitations if not (each.settled or each.cancelled)]
    unsent = [each for each in pending if each.handle is None and now < each.ends_at]
    again = tuple(each for each in unsent if each.tried_at + SEND_AGAIN_AFTER <= now)
    if callback.look_at is not None and callback.look_at <= now and patient:
        return Look()
    if again:
        return RingAgain(again)
    moments = [each.tried_at + SEND_AGAIN_AFTER for each in unsent]
    moments += [over for each in pending if now < (over := each.ends_at + EVENT_GRACE)]
    if moments:
        return Wait(min(moments))
    # The ring is over and no event said how: perhaps they talk to each other already.
    return Look() if pending and patient else None


def _next_rung(callback: Callback, ladder: Ladder, engaged: Collection[str], now: datetime) -> Step:
    since = climbing_since(callback)
    lap = callback.lap if callback.lap is not None and callback.lap.since == since else None
    # Five minutes of ringing: where nobody was rung, because no event came and no sweep, the agent is still first.
    fallback = _others(callback, _fallback(ladder))
    for_good = fallback and lap is not None and now >= since + FALLBACK_AFTER
    rungs = {Rung.FALLBACK: fallback} if for_good else _rungs(callback, ladder, engaged)
    left = [rung for rung, people in rungs.items() if people and (lap is None or rung not in lap.rungs)]
    if lap is None or not left:
        begins_at = now if lap is None else lap.began_at + LEAST_LAP
        left = [rung for rung, people in rungs.items() if people]
        if now < begins_at or not left:
            return Wait(max(begins_at, now + EVENT_GRACE))
        lap = Lap(since=since, number=0 if lap is None else lap.number + 1, began_at=now)
    rung = left[0]
    lap = structs.replace(lap, rungs=(*lap.rungs, rung))
    invitations = tuple(_invitation(callback, lap, rung, target, key, now) for target, key in rungs[rung])
    return Ring(invitations, lap)


type _People = tuple[tuple[str, str | None], ...]


def _fallback(ladder: Ladder) -> _People:
    return ((ladder.fallback, None),) if ladder.fallback is not None else ()


def _rungs(callback: Callback, ladder: Ladder, engaged: Collection[str]) -> dict[Rung, _People]:
    """Whom to ring on each rung, in the order in which they are rung; all of a rung ring at once."""
    parties = callback.parties
    free = [party for party in parties if party.agent_key not in engaged]
    busy = [party for party in parties if party.agent_key in engaged]
    desk: _People = tuple((target, None) for target in ladder.desk)
    shared = len(parties) > 1
    rungs = {
        Rung.AGENT: _identities(free),
        # Of several agents nobody can tell whom the responder means: the desk comes before their private numbers.
        Rung.ALTERNATE: () if shared else _alternates(parties),
        Rung.DESK: _others(callback, desk) or _fallback(ladder),
        Rung.ENGAGED: _identities(busy),
    }
    return {rung: _others(callback, people) for rung, people in rungs.items()}


def _others(callback: Callback, people: _People) -> _People:
    return tuple((target, key) for target, key in people if raw_identity(target) != callback.caller)


def _identities(parties: Iterable[Party]) -> _People:
    return _once((each, party.agent_key) for party in parties for each in party.reach.acs_user_ids)


def _alternates(parties: Iterable[Party]) -> _People:
    return _once((each, party.agent_key) for party in parties for each in party.reach.alternate_numbers)


def _once(people: Iterable[tuple[str, str]]) -> _People:
    """Each target once, the first one's: two agents may share a device."""
    return tuple({target: (target, key) for target, key in reversed(list(people))}.values())[::-1]


def _invitation(
    callback: Callback, lap: Lap, rung: Rung, target: str, agent_key: str | None, now: datetime
) -> Invitation:
    place = f"{callback.callback_id}|{lap.since.isoformat()}|{lap.number}|{rung}|{target}"
    return Invitation(
        invitation_id=derived(place, "invitation"),
        target=target,
        rung=rung,
        tried_at=now,
        ends_at=now + RING_FOR[rung],
        agent_key=agent_key,
    )


# Transitions ---------------------------------------------------------------------------------------------------------


def with_step(callback: Callback, step: Step, released_at: datetime | None, now: datetime) -> Callback:
    """What must be remembered before the step is taken; `released_at` is when the last of the holders is forgotten."""
    match step:
        case Ring(invitations, lap):
            invited = (*_kept(callback, now), *invitations)
            return structs.replace(callback, invitations=invited, lap=lap, look_at=None, looking_since=None)
        case RingAgain(invitations):
            again = {each.invitation_id for each in invitations}
            return _each(
                callback, lambda each: structs.replace(each, tried_at=now) if each.invitation_id in again else each
            )
        case Look() if not on_the_call(callback):
            # Whoever rings next waits for the answer, but not for ever.
            return structs.replace(callback, looking_since=callback.looking_since or now)
        case Close():
            return _closed(callback, released_at)
        case _:
            return callback


def _kept(callback: Callback, now: datetime) -> Sequence[Invitation]:
    """Without those of which nothing can be heard any more."""
    joined = [each for each in callback.invitations if each.joined_at is not None]
    others = [each for each in callback.invitations if each.joined_at is None and now < each.ends_at + INVITATION_KEPT]
    return [*joined[-MOST_JOINED_KEPT:], *others[-MOST_OTHERS_KEPT:]]


def _closed(callback: Callback, released_at: datetime | None) -> Callback:
    assert callback.over_at is not None
    kept_until = callback.over_at + KEPT_AFTER_END
    if released_at is not None:
        # Nothing that tells of the call outlives the lease and its cool-down (B8).
        kept_until = min(kept_until, max(released_at, callback.over_at))
    return Callback(
        callback_id=callback.callback_id,
        connection_id="",
        answered_at=callback.answered_at,
        over_at=callback.over_at,
        closed=True,
        forget_at=kept_until,
    )


def due_at(callback: Callback, ladder: Ladder, engaged: Collection[str], now: datetime) -> datetime:
    """When the sweep is to take it up, should nothing else move it."""
    step = next_step(callback, ladder, engaged, now)
    # Somebody is about to take the step; should their host die, it is taken up soon after.
    return step.until if isinstance(step, Wait) else now + TAKEN_UP_AFTER
