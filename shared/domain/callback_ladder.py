"""A responder's callback: what to do next so that whoever calls ends at a human (S4, B4).

Who is rung next, and when, is computed by `next_step` from what is known of the callback and the time.

The ladder: the holder's identities; their alternate numbers; the desk; round again; from five minutes on the fallback
number alone. A sole holder who talks to another responder already is rung last of all: their alternate numbers and the
desk first; their outgoing leg changes nothing, because it may be dead and its end unreported. Of a shared number, the
identities of the holders without a leg in progress at once, then those of the others, then the desk.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.domain.callbacks import (
    RING_FOR,
    Callback,
    Invitation,
    Ladder,
    Lap,
    Party,
    Rung,
    climbing_since,
    each_invitation,
    ladder_of,
    on_the_call,
    ringing,
)
from shared.domain.identities import raw_identity
from shared.domain.ids import Key, derived

FALLBACK_AFTER = timedelta(minutes=5)
MIN_LAP = timedelta(seconds=10)
PRESUMED_CONNECTED_AFTER = timedelta(seconds=3)
# An event of a ring's end comes a little after it; a request without an answer is sent again a little later.
EVENT_GRACE = timedelta(seconds=3)
SEND_AGAIN_AFTER = timedelta(seconds=3)
LOOK_PATIENCE = timedelta(seconds=10)
# A joining that is told after the end still counts as an answer.
CLOSED_AFTER = timedelta(seconds=5)
TAKEN_UP_AFTER = timedelta(seconds=5)
# Longer than a request is repeatable and a token lasts: until then a repeat must find what it repeats.
KEPT_AFTER_END = timedelta(minutes=10)
# So long the event of a recording may come: Event Grid sends it again for a day, and its files take a while.
MAX_KEPT_AFTER_END = timedelta(hours=25)
INVITATION_KEPT = timedelta(minutes=1)
MAX_JOINED_KEPT = 20
MAX_OTHERS_KEPT = 20


# Steps --------------------------------------------------------------------------------------------------------------


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
    """What to do next so that the caller ends at a human; `engaged` are the keys of the agents who are set back."""
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
    patient = _may_yet_be_told(callback, now)
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
        return Wait(min([*moments, *_look_ahead(callback, now)]))
    if not (pending and patient):
        return None
    # The ring is over and no event said how: perhaps they talk to each other already.
    ahead = _look_ahead(callback, now)
    return Wait(min(ahead)) if ahead else Look()


def _may_yet_be_told(callback: Callback, now: datetime) -> bool:
    """Whether who is on the call may be known soon: not once a look failed and the next one is still to come."""
    if callback.looking_since is None:
        return True
    return now < callback.looking_since + LOOK_PATIENCE and not _look_ahead(callback, now)


def _look_ahead(callback: Callback, now: datetime) -> list[datetime]:
    """When it is asked next who is on the call: one time that is still to come, or none."""
    return [callback.look_at] if callback.look_at is not None and now < callback.look_at else []


def _next_rung(callback: Callback, ladder: Ladder, engaged: Collection[str], now: datetime) -> Step:
    since = climbing_since(callback)
    lap = callback.lap if callback.lap is not None and callback.lap.since == since else None
    # Five minutes of ringing: where nobody was rung, because no event came and no sweep, the agent is still first.
    fallback = _others(callback, _fallback(ladder))
    for_good = fallback and lap is not None and now >= since + FALLBACK_AFTER
    rungs = {Rung.FALLBACK: fallback} if for_good else _rungs(callback, ladder, engaged)
    left = [rung for rung, people in rungs.items() if people and (lap is None or rung not in lap.rungs)]
    if lap is None or not left:
        begins_at = now if lap is None else lap.began_at + MIN_LAP
        left = [rung for rung, people in rungs.items() if people]
        if now < begins_at or not left:
            return Wait(min([max(begins_at, now + EVENT_GRACE), *_look_ahead(callback, now)]))
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
    desk: _People = tuple((target, None) for target in ladder_of(parties, ladder).desk)
    desk = _others(callback, desk) or _fallback(ladder)
    rungs = {Rung.AGENT: _identities(free)}
    if len(parties) > 1:
        # Of several agents nobody can tell whom the responder means: the desk comes before their private numbers.
        rungs |= {Rung.ENGAGED: _identities(busy), Rung.DESK: desk}
    else:
        rungs |= {Rung.ALTERNATE: _alternates(parties), Rung.DESK: desk, Rung.ENGAGED: _identities(busy)}
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


def with_step(callback: Callback, step: Step, kept_until: datetime | None, now: datetime) -> Callback:
    """What must be remembered before the step is taken; `kept_until`: at least so long the last of the holders is."""
    match step:
        case Ring(invitations, lap):
            invited = (*_kept(callback, now), *invitations)
            # Once round, and nobody answered? Perhaps somebody did and the event was lost. That is asked while it
            # rings: a list that does not answer keeps nobody waiting.
            look_at = now if lap.begins and lap.number else min(_look_ahead(callback, now), default=None)
            return structs.replace(callback, invitations=invited, lap=lap, look_at=look_at, looking_since=None)
        case RingAgain(invitations):
            again = {each.invitation_id for each in invitations}
            return each_invitation(
                callback, lambda each: structs.replace(each, tried_at=now) if each.invitation_id in again else each
            )
        case Look() if not on_the_call(callback):
            # Whoever rings next waits for the answer, but not for ever.
            return structs.replace(callback, looking_since=callback.looking_since or now)
        case Close():
            assert callback.over_at is not None
            return bare_callback(
                callback.callback_id,
                answered_at=callback.answered_at,
                over_at=callback.over_at,
                kept_until=kept_until,
            )
        case _:
            return callback


def _kept(callback: Callback, now: datetime) -> Sequence[Invitation]:
    """Without those of which nothing can be heard any more."""
    joined = [each for each in callback.invitations if each.joined_at is not None]
    others = [each for each in callback.invitations if each.joined_at is None and now < each.ends_at + INVITATION_KEPT]
    return [*joined[-MAX_JOINED_KEPT:], *others[-MAX_OTHERS_KEPT:]]


def bare_callback(
    callback_id: Key, *, answered_at: datetime, over_at: datetime, kept_until: datetime | None
) -> Callback:
    """What is kept of a callback of which nothing is owed: that it was one (S6), until `forget_at`.

    `kept_until`: at least so long the last of its holders is kept; None where it had none.
    """
    forget_at = over_at + KEPT_AFTER_END
    if kept_until is not None:
        # Nothing that tells of the call outlives the lease and its cool-down (B8).
        forget_at = min(over_at + MAX_KEPT_AFTER_END, max(kept_until, over_at))
    return Callback(
        callback_id=callback_id,
        connection_id="",
        answered_at=answered_at,
        over_at=over_at,
        closed=True,
        forget_at=forget_at,
    )


def due_at(callback: Callback, ladder: Ladder, engaged: Collection[str], now: datetime) -> datetime:
    """When the sweep is to take it up, should nothing else move it."""
    step = next_step(callback, ladder, engaged, now)
    # Somebody is about to take the step; should their host die, it is taken up soon after.
    return step.until if isinstance(step, Wait) else now + TAKEN_UP_AFTER
