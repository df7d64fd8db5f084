"""What must follow from the reported facts of an emergency: the specification, written down a second time.

The product computes verdicts (which legs are over, whether presence is held, whether the number is still lent) from
facts. This computes them again, from the same facts, in another way and from the text of the specification alone, so
that a mistake in one shows as a difference between the two. It imports the product's records, never its rules.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from msgspec import Struct

from shared.domain.emergencies import Emergency, Leg, Sighting
from shared.domain.leases import Rules

FAR_FUTURE = datetime.max.replace(tzinfo=UTC)
NEAR = timedelta(seconds=30)
REPEATED = timedelta(minutes=10)
SKEW = timedelta(seconds=5)


class Over(Struct, frozen=True):
    """When a leg ended, and whether the agent ended it."""

    at: datetime
    by_agent: bool


class Verdict(Struct, frozen=True, kw_only=True):
    """All that follows from an emergency's facts at one moment."""

    over: dict[str, Over]
    running: frozenset[str]
    lease_ends_at: datetime
    lease_lives: bool
    rests: bool
    released_at: datetime
    held_until: datetime | None


@cache
def minutes(count: int) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=count)


def judge(emergency: Emergency, rules: Rules, now: datetime) -> Verdict:
    """What follows from the facts now (B2, B3, B5, and the rows of "What happens when…")."""
    lease = emergency.lease
    assert lease is not None
    tied = server_calls(emergency)
    over = {leg.leg_id: end for leg in emergency.legs if (end := _over(leg, tied.get(leg.leg_id), rules, now))}
    running = frozenset(leg.leg_id for leg in emergency.legs) - over.keys()
    ends_at = _lease_end(emergency.legs, over, rules)
    lives = now < ends_at and not lease.lost
    released_at = FAR_FUTURE if ends_at == FAR_FUTURE else ends_at + minutes(rules.cool_down_minutes)
    return Verdict(
        over=over,
        running=running,
        lease_ends_at=ends_at,
        lease_lives=lives,
        rests=not lives and not lease.lost and now < released_at,
        released_at=released_at,
        held_until=_held_until(emergency, over, rules, now),
    )


def _lease_end(legs: Sequence[Leg], over: dict[str, Over], rules: Rules) -> datetime:
    latest = FAR_FUTURE if len(over) < len(legs) else None
    for leg in legs:
        # Sixty minutes are counted from dialling, and nobody dialled a callback.
        candidates = [leg.dialled_at + minutes(rules.window_minutes)] if leg.callback is None else []
        if leg.leg_id in over:
            candidates.append(over[leg.leg_id].at + minutes(rules.after_call_minutes))
        latest = max([*candidates, *([] if latest is None else [latest])], default=None)
    assert latest is not None
    return latest


def server_calls(emergency: Emergency) -> dict[str, tuple[Sighting, bool]]:
    """The server call of each leg, by leg id, and whether that is exact."""
    left = list(emergency.sightings)
    found: dict[str, tuple[Sighting, bool]] = {}
    answered = {sighting.server_key for sighting in left for leg in emergency.legs if _answers(leg, sighting)}
    for sighting in [each for each in left if each.server_key in answered]:
        found |= {leg.leg_id: (sighting, True) for leg in emergency.legs if _answers(leg, sighting)}
        left.remove(sighting)
    for leg in emergency.legs:
        for claim in leg.claims:
            match = [sighting for sighting in left if sighting.server_key == claim and _began_with(leg, sighting)]
            if match and leg.leg_id not in found:
                found[leg.leg_id] = (match[0], True)
                left.remove(match[0])
    left = sorted((each for each in left if each.started_at), key=lambda each: (each.started_at, each.server_key))
    for likelihood in (2, 1):
        for sighting in list(left):
            untied = [leg for leg in emergency.legs if leg.leg_id not in found and not leg.callback]
            fitting = [leg for leg in untied if _likelihood(leg, sighting) >= likelihood]
            if len(fitting) == 1:
                found[fitting[0].leg_id] = (sighting, False)
                left.remove(sighting)
    return found


def _began_with(leg: Leg, sighting: Sighting) -> bool:
    return sighting.started_at is not None and _may_be(leg, sighting.started_at)


def _answers(leg: Leg, sighting: Sighting) -> bool:
    return leg.callback is not None and sighting.server_key in leg.claims


def _likelihood(leg: Leg, sighting: Sighting) -> int:
    """2: it began with the dial or after; 1: before it; 0: it is another one, by its times."""
    if sighting.started_at is None or not _may_be(leg, sighting.started_at):
        return 0
    gone = sighting.ended_at is not None and sighting.ended_at - leg.dialled_at <= SKEW
    if leg.told_when and gone and sighting.started_at < leg.dialled_at:
        return 0
    return 2 if sighting.started_at - leg.dialled_at >= -SKEW else 1


def _may_be(leg: Leg, began: datetime) -> bool:
    told = leg.received_at or leg.dialled_at
    first = leg.dialled_at if leg.by_event or told - leg.dialled_at <= REPEATED else told - REPEATED
    return first - began <= NEAR and began - told <= NEAR


def _over(leg: Leg, tie: tuple[Sighting, bool] | None, rules: Rules, now: datetime) -> Over | None:
    ends: list[Over] = []
    if leg.reported_end is not None:
        ends.append(Over(leg.reported_end.at, leg.reported_end.by_agent))
    if leg.left_at is not None:
        ends.append(Over(leg.left_at, by_agent=False))
    if tie is not None and tie[0].ended_at is not None:
        sighting, exact = tie
        assert sighting.ended_at is not None
        ends.append(Over(sighting.ended_at, exact and sighting.ended_by_starter))
    times_out_at = leg.dialled_at + minutes(rules.max_call_minutes)
    if times_out_at <= now:
        ends.append(Over(times_out_at, by_agent=False))
    if not ends:
        return None
    first = min(end.at for end in ends)
    # What the desktop said of this leg is the last word on who ended it, whatever ACS says.
    by_agent = ends[0].by_agent if leg.reported_end is not None else any(end.by_agent for end in ends)
    return Over(max(leg.dialled_at, first), by_agent)


def _held_until(emergency: Emergency, over: dict[str, Over], rules: Rules, now: datetime) -> datetime | None:
    holding = [leg.leg_id for leg in emergency.legs if leg.holds_presence]
    if any(leg_id not in over for leg_id in holding):
        return FAR_FUTURE
    last = max(((over[leg_id].at, over[leg_id].by_agent) for leg_id in holding), default=None)
    if last is None or last[1]:
        return None
    at = last[0]
    released_at = emergency.hold.released_at if emergency.hold is not None else None
    until = at + minutes(rules.hold_after_drop_minutes)
    return None if until <= now or (released_at is not None and released_at >= at) else until


def thread_is_over(emergency: Emergency, verdict: Verdict, rules: Rules, now: datetime, *, test: bool) -> bool:
    """Whether the agent's real calls, or their tests, are over: none goes on, and no drop of theirs holds presence.

    Nothing is sent once the lease is gone: that it is over is told then at the latest.
    """
    own = [leg for leg in emergency.legs if leg.test == test]
    if any(leg.leg_id in verdict.running for leg in own):
        return False
    ends = [verdict.over[leg.leg_id] for leg in emergency.legs if leg.holds_presence and leg.leg_id in verdict.over]
    given_back = [end.at for end in ends if end.by_agent]
    if emergency.hold is not None and emergency.hold.released_at is not None:
        given_back.append(emergency.hold.released_at)
    last_given_back, hold = max(given_back, default=None), minutes(rules.hold_after_drop_minutes)
    drops = [verdict.over[leg.leg_id] for leg in own if leg.holds_presence]
    young = [drop.at for drop in drops if not drop.by_agent and now < drop.at + hold]
    holding = [at for at in young if last_given_back is None or last_given_back < at]
    return not holding or not verdict.lease_lives


def moments(emergency: Emergency, rules: Rules, now: datetime) -> list[datetime]:
    """When time alone next changes a verdict: the sides of these are where mistakes live."""
    verdict = judge(emergency, rules, now)
    times_out = [leg.dialled_at + minutes(rules.max_call_minutes) for leg in emergency.legs]
    found = [*times_out, verdict.lease_ends_at, verdict.released_at]
    if verdict.held_until is not None:
        found.append(verdict.held_until)
    return sorted(moment for moment in found if now < moment < FAR_FUTURE)
