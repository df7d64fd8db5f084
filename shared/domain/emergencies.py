"""An agent's emergency: what was reported, and what follows from it (B5, B7).

An `Emergency` is a set of reported facts: legs, their reported ends, and the server calls that ACS saw the agent
start. Whatever follows (which leg has which server call, whether a leg is in progress, whether presence is held, when
the lease ends) is computed from the facts and the time, never stored as a verdict. Facts merge the same in any order
and any number of times, and so everything that follows converges, in whatever order the events came.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field, structs

from shared.domain.callers import is_of_an_agent
from shared.domain.emergency_numbers import TEST_NUMBER, Placement
from shared.domain.ids import Key, derived
from shared.domain.leases import Lease, Rules
from shared.domain.pool import MAX_NOTICES_A_WINDOW
from shared.domain.presence import LOOK_WHILE_HELD, Hold, OutageHold
from shared.domain.situations import Situation
from shared.domain.subjects import presence_id_of

TIE_WITHIN = timedelta(seconds=30)
# A dialer repeats a report for as long: what a desktop says of an earlier time is a wrong clock.
REPORTED_WITHIN = timedelta(minutes=10)
CLOCK_SKEW = timedelta(seconds=5)
# A dial that was answered without the store comes again no sooner: it is told to wait (`ASK_AGAIN_AFTER_S`).
REPEATED_AFTER = timedelta(seconds=1)
# Where a process dies right after its commit, another finds the effect overdue so soon after: mailed within 20 s of the
# dial. A first try that is still under way by then has claimed the effect anew.
FIRST_TRY_WITHIN = timedelta(seconds=8)
FIRST_WAIT = timedelta(seconds=10)
MAX_WAIT = timedelta(minutes=5)
MAX_LEGS = 12
MAX_SIGHTINGS = 12
MAX_CLAIMS_A_LEG = 2
GIVE_PRESENCE_UP_AFTER = timedelta(hours=24)
GIVE_CLOSING_UP_AFTER = timedelta(minutes=2)
# One of each kind, of the window before.
MAX_DEFERRED_NOTICES = 2
# The most contacts that there can be, four times over: the agent's own, those of two sites, and the default ones.
MAX_TOLD = 200
# A notice of each leg, and one of each callback; each with the one that it went on as.
MAX_NOTICES_PASSED_ON = 48
_NO_END = datetime.max.replace(tzinfo=UTC)


class LegEnd(Struct, frozen=True):
    """When a leg ended, and whether the agent ended it; otherwise it is a drop (B5)."""

    at: datetime
    by_agent: bool


class TieKind(StrEnum):
    """How sure it is which server call a leg is."""

    EXACT = "exact"
    INFERRED = "inferred"


class Leg(Struct, frozen=True, kw_only=True):
    """One reported call of the agent that is part of the emergency.

    `received_at` is when its report came, None for a callback and in rows of an older version. `told_when`: the report
    said when it was dialled, or how long ago; else it may be older. `by_event`: an event brought it, which may come
    late. `reported_by` is the machine or source that did (`Caller.owner`), None for an agent
    and in rows of an older version; `reported_as` the id by which it named a listed agent, where that is no entry's.
    `call_key` is the key of its call id; `apart`: another's call or end had that id already, and so it is recorded
    under the agent's key as well. `holds_presence` is False for a start that came after its own end. `claims` are the
    server calls that the softphone says it is, believed once ACS names the same starter.
    `callback` is set for a responder's callback that the agent answered: its id; `dialled_at` is then when they did.
    `answered_as` is the id that an unlisted agent's dial was answered with, None for a listed one and in rows of an
    older version. `told_timed_out`: the log has that nobody ever reported its end.
    `reported_end` is what the softphone or a machine said; `left_at` when call control saw the agent leave a callback,
    or a supervisor said that it is over: neither says who ended it. `country` and `placement` are where the caller was
    and what came of it (B13); without them for a callback and in rows of an older version.
    """

    leg_id: str
    call_key: Key
    apart: bool = False
    dialled_at: datetime
    number: str
    received_at: datetime | None = None
    told_when: bool = False
    by_event: bool = False
    reported_by: str | None = None
    reported_as: str | None = None
    shared: bool = False
    test: bool = False
    notified: int = 0
    holds_presence: bool = True
    reported_end: LegEnd | None = None
    left_at: datetime | None = None
    claims: tuple[Key, ...] = ()
    callback: Key | None = None
    answered_as: str | None = None
    told_timed_out: bool = False
    country: str | None = None
    placement: Placement | None = None

    @property
    def calls_from(self) -> datetime:
        """When its server call may have begun at the earliest (contract, Time)."""
        received_at = self.received_at or self.dialled_at
        earliest = self.dialled_at if self.by_event else max(self.dialled_at, received_at - REPORTED_WITHIN)
        return earliest - TIE_WITHIN

    @property
    def repeated_from(self) -> datetime | None:
        """When it was dialled, where that is so long before its report that it may have been reported before."""
        late = self.received_at is not None and self.received_at - self.dialled_at >= REPEATED_AFTER
        return self.dialled_at if late else None

    def may_have_begun(self, at: datetime) -> bool:
        """Whether a server call that began then can be this leg's: from the dial to its receipt, 30 s either side."""
        return self.calls_from <= at <= (self.received_at or self.dialled_at) + TIE_WITHIN


class Sighting(Struct, frozen=True, kw_only=True):
    """A server call that ACS said this agent started: from its CallStarted, its CallEnded, or both.

    `self_stated`: it was started by an identity that is this agent's by their own word alone. `start_derived`: no
    CallStarted said when; it is the end less the call's length, which can be wrong.
    """

    server_key: Key
    correlation_key: Key | None = None
    started_at: datetime | None = None
    start_derived: bool = False
    ended_at: datetime | None = None
    ended_by_starter: bool = False
    self_stated: bool = False


class Tie(Struct, frozen=True):
    """A leg's server call."""

    kind: TieKind
    sighting: Sighting


class Reach(Struct, frozen=True, kw_only=True):
    """Where a callback reaches the agent: ACS identities first, then alternate numbers.

    `desk` is that of the site where they dialled; empty for the deployment's.
    """

    acs_user_ids: tuple[str, ...] = ()
    alternate_numbers: tuple[str, ...] = ()
    desk: tuple[str, ...] = ()


class Ringing(Struct, frozen=True):
    """A callback that rings the agent's softphone, until it stops by itself."""

    callback_id: Key
    until: datetime


class Thread(Struct, frozen=True, kw_only=True):
    """What the contacts are told of an emergency, from a leg that owed a notice until it is over (B6).

    Calls to the test number have one of their own: an emergency and a test close each by itself, at its own end.
    `opened_by` is the latest such notice. `awaited` are those that may still be accepted for somebody: whoever hears
    that it is over hears nothing of it afterwards. `told`: to whom any notice was accepted; the first `unaware` of them
    were told that it was over, and nothing since a leg has opened it again. `closed_for`: who is owed, or was sent,
    that it is over. `close_at` is when that is to be owed, None while it is not over and once it is `closed`;
    `closed_at` is when it last was, also of a thread that a later leg has opened again. `deferred` are the latest
    notices beyond a ration, with whom each was accepted for: to those, and only then, it opens the thread again.
    """

    opened_by: str
    awaited: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    unaware: int = 0
    closed_for: tuple[str, ...] = ()
    close_at: datetime | None = None
    closed: bool = False
    closed_at: datetime | None = None
    deferred: dict[str, tuple[str, ...]] = {}

    @property
    def left(self) -> tuple[str, ...]:
        """Who was told of the emergency and not yet that it is over."""
        return _others(self.told, self.closed_for)

    @property
    def aware(self) -> tuple[str, ...]:
        """Who was told of it since it was last opened."""
        return self.told[self.unaware :]


class UnlistedEmergencyPlace(Struct, frozen=True):
    """Which of the emergencies of unlisted agents it is that these principals may have at once.

    `principals` is the key of the one who reports it, or a word for all agents together.
    """

    principals: Key
    number: int


class Emergency(Struct, frozen=True, kw_only=True):
    """All that is known of an agent's emergency, from the first dial until the callback number's cool-down is over.

    `owner` is whose it is where the agent is not in the directory (`Caller.owner`), `reporter` whose ration its notices
    are of: not the agent's own while only machines have reported it. `unlisted_emergency_place` is then theirs among so
    many, `unlisted_number_place` that of their number among those that all such agents may have. `self_stated` are
    those of the `starters` that neither the directory nor a machine gives to the agent. `presence_due_at` is when the
    owed reconciling of the agent's presence is next due, `presence_look_at` when it is looked whether a presence that
    is held is still what we set; None when not. `situation` is what was established at the latest dial. `past` are the
    latest legs that are no longer kept: reports of them that come late are of a call that was served long ago.
    `passed_on` are the latest notices of which a bounce went on to the default contacts. `callback_notices` is when the
    latest notices of callbacks were caused. `thread` is that of real calls, `test_thread` that of calls to the test
    number; a row of an older version has one thread for both. `real_until` is until when a
    responder may call back because of real calls on this number that are no longer kept; None where there were none.
    """

    agent_id: str
    agent_key: Key
    in_directory: bool
    owner: str | None = None
    reporter: str | None = None
    starters: tuple[str, ...] = ()
    self_stated: tuple[str, ...] = ()
    reach: Reach = Reach()
    legs: tuple[Leg, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    lease: Lease | None = None
    hold: Hold | None = None
    held: bool = False
    presence_due_at: datetime | None = None
    presence_attempts: int = 0
    presence_look_at: datetime | None = None
    unlisted_number_place: int | None = field(default=None, name="quota_place")
    unlisted_emergency_place: UnlistedEmergencyPlace | None = field(default=None, name="outside_place")
    ringing: tuple[Ringing, ...] = ()
    situation: Situation | None = None
    thread: Thread | None = None
    test_thread: Thread | None = None
    past: tuple[str, ...] = ()
    passed_on: tuple[str, ...] = ()
    callback_notices: tuple[datetime, ...] = ()
    real_until: datetime | None = None

    @property
    def presence_id(self) -> str:
        """The id under which presence services know the agent."""
        return presence_id_of(self.agent_id, self.owner)

    @property
    def answered_ids(self) -> tuple[str, ...]:
        """The ids that its agent goes by: that of the latest dial, and those that other legs were answered with."""
        return tuple(dict.fromkeys((self.agent_id, *(leg.answered_as for leg in self.legs if leg.answered_as))))

    @property
    def ids_without_entry(self) -> tuple[str, ...]:
        """The ids by which it is found beside an entry's: an unlisted agent's, and what machines call a listed one."""
        own = self.answered_ids if self.owner is not None else ()
        return tuple(dict.fromkeys((*own, *(leg.reported_as for leg in self.legs if leg.reported_as))))

    def placement_of(self, leg: Leg) -> Placement:
        """What came of placing a leg; of one that does not say, what came of the latest dial."""
        return leg.placement or (self.situation or Situation()).placement

    @property
    def rank(self) -> int:
        """Whose an event is told first: those of the directory, then of who signed in, then claimed ones."""
        if self.owner is None:
            return 0
        return 1 if is_of_an_agent(self.owner) else 2

    @property
    def dialled_at(self) -> datetime:
        """When the latest leg was dialled."""
        return max((leg.dialled_at for leg in self.legs), default=datetime.min.replace(tzinfo=UTC))

    @property
    def drill(self) -> bool:
        """Whether it is a drill, and nobody's emergency (B9)."""
        return self.lease is not None and self.lease.drill

    @property
    def live_id(self) -> str | None:
        """The name of this emergency on the live board: it tells nothing, and changes with each lease."""
        return derived(self.lease.epoch, "live") if self.lease else None


# What follows from the facts -------------------------------------------------------------------------------------


class Standing(Struct, frozen=True, kw_only=True):
    """All that follows from an emergency's facts at one moment.

    `ends` are the legs that are over, by leg id: reported, seen by ACS, or timed out, whichever came first. `untied`
    are the legs of which no server call is known, or only one that began before the dial: in progress, or ended so
    lately that its event may still come. `guessed` are those of which one is inferred, and another may yet prove to be.
    `held_until` is until when presence is held: for ever while a leg is in progress, None when it is not held (B5).
    `dropped` are the legs whose drop holds it, also beside one that is in progress.
    """

    ends: dict[str, LegEnd]
    in_progress: tuple[Leg, ...]
    untied: tuple[Leg, ...]
    guessed: tuple[Leg, ...]
    dropped: tuple[Leg, ...]
    held_until: datetime | None

    @property
    def held(self) -> bool:
        """Whether the agent's presence is ours."""
        return self.held_until is not None

    @property
    def hold_ends_at(self) -> datetime | None:
        """When the hold after a drop ends; None where none is, and while a leg is in progress."""
        return None if self.held_until == _NO_END else self.held_until


def ties(emergency: Emergency) -> dict[str, Tie]:
    """Which server call each leg has, by leg id.

    Exact: claimed, and seen started by this agent at a time that fits, because a claim may name a customer's call that
    began long before. Inferred: a sighting for which one untied leg fits by its times, taken in the order in which the
    calls started. Those that began after a dial come first: who dials 911 may just have hung up another call.
    """
    if not emergency.sightings:
        return {}
    seen = {sighting.server_key: sighting for sighting in emergency.sightings}
    found: dict[str, Tie] = {}
    # Each answer to one callback is a leg of its own: they have one server call together.
    answers = [leg for leg in emergency.legs if leg.callback is not None]
    found |= {leg.leg_id: Tie(TieKind.EXACT, seen[key]) for leg in answers for key in leg.claims if key in seen}
    seen = {key: sighting for key, sighting in seen.items() if all(key not in leg.claims for leg in answers)}
    for leg in emergency.legs:
        claimed = next((seen[key] for key in leg.claims if key in seen and _fits(seen[key], leg)), None)
        if claimed is not None:
            found[leg.leg_id] = Tie(TieKind.EXACT, seen.pop(claimed.server_key))
    begun = sorted((each for each in seen.values() if each.started_at is not None), key=_start_order)
    for before_the_dial in (CLOCK_SKEW, TIE_WITHIN):
        for sighting in [each for each in begun if each.server_key in seen]:
            # The agent did not start a callback: whatever they start then is another call.
            untied = (leg for leg in emergency.legs if leg.leg_id not in found and leg.callback is None)
            fitting = [leg for leg in untied if _may_be_inferred(sighting, leg, before_the_dial)]
            if len(fitting) == 1:
                found[fitting[0].leg_id] = Tie(TieKind.INFERRED, seen.pop(sighting.server_key))
    return found


def _fits(sighting: Sighting, leg: Leg) -> bool:
    return sighting.started_at is not None and leg.may_have_begun(sighting.started_at)


def _start_order(sighting: Sighting) -> tuple[datetime, str]:
    moment = sighting.started_at or sighting.ended_at
    assert moment is not None, "a sighting has a start or an end"
    return moment, sighting.server_key


def _may_be_inferred(sighting: Sighting, leg: Leg, before_the_dial: timedelta) -> bool:
    """Whether it fits a leg, began no longer before the dial than that, and was not hung up for the dial."""
    if not _fits(sighting, leg) or _start_order(sighting)[0] + before_the_dial < leg.dialled_at:
        return False
    return not _was_hung_up_for(sighting, leg)


def _was_hung_up_for(sighting: Sighting, leg: Leg) -> bool:
    """Whether a call was over by the dial: its end would end the emergency.

    A dial that did not say when it was may be older than its report, and its own call be over by then.
    """
    if sighting.ended_at is None or not leg.told_when:
        return False
    return _start_order(sighting)[0] < leg.dialled_at and sighting.ended_at <= leg.dialled_at + CLOCK_SKEW


def standing(emergency: Emergency, rules: Rules, now: datetime) -> Standing:
    """How an emergency stands now."""
    rules = _own_rules(emergency, rules)
    tied = ties(emergency)
    evident = ((leg.leg_id, _end_of(leg, tied.get(leg.leg_id), rules, now)) for leg in emergency.legs)
    ends = {leg_id: end for leg_id, end in evident if end is not None}
    # No call is placed in a drill: one that the agent starts meanwhile is not the drill's.
    may_tie = () if emergency.drill else [leg for leg in emergency.legs if leg.callback is None]
    awaited = [leg for leg in may_tie if leg.leg_id not in ends or now < leg.dialled_at + rules.window]
    dropped = _dropped(emergency, ends, rules, now)
    held = any(leg.holds_presence and leg.leg_id not in ends for leg in emergency.legs)
    hold_ends_at = max((ends[leg.leg_id].at + rules.hold_after_drop for leg in dropped), default=None)
    return Standing(
        ends=ends,
        in_progress=tuple(leg for leg in emergency.legs if leg.leg_id not in ends),
        untied=tuple(
            leg for leg in awaited if not _is_known(tied.get(leg.leg_id), leg, over=leg.leg_id in ends, now=now)
        ),
        guessed=tuple(leg for leg in awaited if _is_guess(tied.get(leg.leg_id))),
        dropped=dropped,
        held_until=_NO_END if held else hold_ends_at,
    )


def _is_known(tie: Tie | None, leg: Leg, *, over: bool, now: datetime) -> bool:
    """Whether a leg has its server call. One that is inferred, and began before the dial, may be another one.

    By its own call's event, which comes late, that would be known: not for longer than such a one takes.
    """
    if tie is None or tie.kind is TieKind.EXACT:
        return tie is not None
    return _start_order(tie.sighting)[0] >= leg.dialled_at or (over and now >= leg.dialled_at + REPORTED_WITHIN)


def _is_guess(tie: Tie | None) -> bool:
    return tie is not None and tie.kind is TieKind.INFERRED


def _own_rules(emergency: Emergency, rules: Rules) -> Rules:
    return emergency.lease.own(rules) if emergency.lease is not None else rules


def _end_of(leg: Leg, tie: Tie | None, rules: Rules, now: datetime) -> LegEnd | None:
    reported = leg.reported_end
    at = _earliest(reported.at if reported else None, leg.left_at, tie.sighting.ended_at if tie else None)
    if now >= leg.dialled_at + rules.max_call:
        at = _earliest(at, leg.dialled_at + rules.max_call)
    if at is None:
        return None
    by_agent = reported.by_agent if reported is not None else _ended_by_agent(tie)
    # An end before the dialling is a clock that runs behind, not a call that never was.
    return LegEnd(max(leg.dialled_at, at), by_agent)


def _ended_by_agent(tie: Tie | None) -> bool:
    """Whether ACS says that the agent ended it. The desktop knows better: a reload hangs up in the agent's name."""
    return tie is not None and tie.kind is TieKind.EXACT and tie.sighting.ended_by_starter


def rings_now(emergency: Emergency, now: datetime) -> list[Ringing]:
    """The callbacks that ring the agent's softphone."""
    return [ring for ring in emergency.ringing if now < ring.until]


def _dropped(emergency: Emergency, ends: Mapping[str, LegEnd], rules: Rules, now: datetime) -> tuple[Leg, ...]:
    """Those whose drop holds presence, unless the agent ended a call, or somebody the hold, at that time or since."""
    over = [(leg, ends[leg.leg_id]) for leg in emergency.legs if leg.holds_presence and leg.leg_id in ends]
    given_back = [end.at for _, end in over if end.by_agent]
    if emergency.hold is not None and emergency.hold.released_at is not None:
        given_back.append(emergency.hold.released_at)
    lately = max([now - rules.hold_after_drop, *given_back])
    return tuple(leg for leg, end in over if not end.by_agent and end.at > lately)


def timed_out_legs(emergency: Emergency, stands: Standing, rules: Rules) -> list[Leg]:
    """The legs that count as dropped because nobody ever reported their end, and of which that was not told yet."""
    ends, max_call = stands.ends, _own_rules(emergency, rules).max_call
    untold = [leg for leg in emergency.legs if not leg.told_timed_out]
    return [leg for leg in untold if ends.get(leg.leg_id) == LegEnd(leg.dialled_at + max_call, False)]


def with_timed_out_told(emergency: Emergency, told: Collection[Leg]) -> Emergency:
    """It was told of these legs that they timed out."""
    legs = tuple(structs.replace(leg, told_timed_out=True) if leg in told else leg for leg in emergency.legs)
    return structs.replace(emergency, legs=legs) if told else emergency


def due_at(emergency: Emergency, stands: Standing, rules: Rules, now: datetime) -> datetime:
    """When time alone next changes something: a leg times out, a hold or the lease ends, or all is forgotten."""
    assert emergency.lease is not None
    max_call = emergency.lease.own(rules).max_call
    moments = [leg.dialled_at + max_call for leg in (*stands.in_progress, *timed_out_legs(emergency, stands, rules))]
    moments += [ring.until for ring in rings_now(emergency, now)]
    if stands.hold_ends_at is not None:
        moments.append(stands.hold_ends_at)
    if emergency.lease.expired_at is None and not emergency.lease.taken:
        moments.append(emergency.lease.ends_at(rules))
    return min(moments, default=_forgotten_at(emergency, emergency.lease.released_at(rules)))


def _forgotten_at(emergency: Emergency, released_at: datetime) -> datetime:
    # Presence that is still owed comes back first (B5), unless its service has been away for a day.
    if emergency.presence_due_at is None:
        return released_at
    return min(max(released_at, emergency.presence_due_at), released_at + GIVE_PRESENCE_UP_AFTER)


def all_kept_until(emergencies: Iterable[Emergency | None], rules: Rules, now: datetime) -> datetime | None:
    """Until when the last of these is kept at least, should its call end now; None where there is none."""
    leases = [each.lease for each in emergencies if each is not None and each.lease is not None]
    return max((lease.kept_until_at_least(rules, now) for lease in leases), default=None)


def may_be_forgotten(emergency: Emergency, rules: Rules, now: datetime) -> bool:
    """Whether the lease has ended, its cool-down has passed, and nothing is owed any more (B8)."""
    assert emergency.lease is not None
    stands = standing(emergency, rules, now)
    if stands.in_progress or stands.held or rings_now(emergency, now):
        return False
    released_at = emergency.lease.released_at(rules)
    owed = emergency.presence_due_at is not None and now < released_at + GIVE_PRESENCE_UP_AFTER
    return now >= released_at and not owed and not _to_be_closed(emergency, released_at, now)


def _to_be_closed(emergency: Emergency, released_at: datetime, now: datetime) -> bool:
    """Whether somebody is still to be told that it is over, also where that became known long after it was."""
    threads = (thread_of(emergency, test=test) for test in (False, True))
    owed = [each.close_at for each in threads if each is not None and each.close_at is not None and not each.closed]
    return any(now < max(released_at, close_at) + GIVE_CLOSING_UP_AFTER for close_at in owed)


# Transitions: the facts so far and a new fact, giving the facts from now on -----------------------------------------


def with_leg(emergency: Emergency, leg: Leg, lease: Lease, rules: Rules, now: datetime) -> Emergency:
    """A leg was dialled on the number of `lease`; a new lease begins a new emergency, with the presence still held.

    Unless the one before is not over, and had only no number of the pool.
    """
    continued = goes_on(emergency, lease, rules, now)
    kept = _forget_oldest(emergency.legs, rules, emergency, now) if continued else ()
    sightings = emergency.sightings if continued else ()
    gone = [each for each in emergency.legs if each not in kept]
    past = (*emergency.past, *(each.leg_id for each in gone))[-MAX_LEGS:]
    known = structs.replace(emergency, past=past, real_until=_real_until(emergency, gone, rules))
    started = structs.replace(known, legs=(*kept, leg), sightings=sightings, lease=lease)
    # Also where the leg holds nothing: a dial answered in an outage may have set the presence before its start came.
    return settle(structs.replace(started, hold=_hold_for(leg, emergency.hold)), rules, now, new_hold=True)


def goes_on(emergency: Emergency, lease: Lease, rules: Rules, now: datetime) -> bool:
    """Whether a dial on the number of `lease` is one more leg of this emergency; otherwise it begins a new one."""
    # A real call goes on with nothing of a drill.
    before = emergency.lease if lease.drill is emergency.drill else None
    return same_lease(before, lease) or (before is not None and before.lost and now < before.ends_at(rules))


def _real_until(emergency: Emergency, gone: Sequence[Leg], rules: Rules) -> datetime | None:
    """With the legs that are no longer kept from now on; their number has its lease and its cool-down."""
    before = emergency.lease
    if before is None or before.lost:
        # The next one has another number, which nobody who was told the one before will dial.
        return None
    until = None if all(leg.test for leg in gone) else before.released_at(rules)
    return max((each for each in (emergency.real_until, until) if each is not None), default=None)


def calls_test_back(emergency: Emergency, legs: Iterable[Leg], at: datetime) -> bool:
    """Whether a callback then can only be of a test: these legs are, and no responder of a real call may call late."""
    until = emergency.real_until
    return all(leg.test for leg in legs) and (until is None or at >= until)


def without_drill(emergency: Emergency) -> Emergency:
    """A real call came: of a drill only the presence that it found stays, and the number, until the next lease (B9)."""
    if not emergency.drill:
        return emergency
    return structs.replace(emergency, legs=(), sightings=(), ringing=(), thread=None, test_thread=None)


def same_lease(one: Lease | None, other: Lease | None) -> bool:
    """Whether it is one lending of one number."""
    return one is not None and other is not None and (one.number, one.epoch) == (other.number, other.epoch)


def with_outage_hold(emergency: Emergency, leg: Leg, held: OutageHold | None) -> Emergency:
    """The emergency with what a hold in an outage found: a service that carries no mark shows nothing but our own.

    Not where the hold of a leg that was reported later has been given back before this one was recorded: that took this
    one over. The order is that of our own clock, because a desktop's may be wrong.
    """
    if held is None or emergency.hold is None or emergency.hold.hold_id != held.hold.hold_id:
        return emergency
    others = [each for each in emergency.legs if each.holds_presence and each.callback is None and each != leg]
    later = any((each.received_at or each.dialled_at) > held.received_at for each in others)
    return emergency if later else structs.replace(emergency, hold=held.hold)


def _hold_for(leg: Leg, hold: Hold | None) -> Hold | None:
    if hold is not None and not hold.settled:
        if not leg.holds_presence:
            return hold
        # Do not disturb at once, whatever it is now (S2): also where somebody changed it since the leg before.
        return structs.replace(hold, applied=False, look_again_at=None)
    # A drop whose hold was released holds nothing again beside the next leg.
    previous, released_at = (hold.before, hold.released_at) if hold else (None, None)
    hold_id = derived(leg.leg_id, "hold")
    return Hold(hold_id=hold_id, previous=previous, repeated=leg.repeated_from, released_at=released_at)


def _forget_oldest(legs: tuple[Leg, ...], rules: Rules, emergency: Emergency, now: datetime) -> tuple[Leg, ...]:
    if len(legs) < MAX_LEGS:
        return legs
    ended = standing(emergency, rules, now).ends
    oldest = min(legs, key=lambda leg: (leg.leg_id not in ended, leg.dialled_at))
    return tuple(leg for leg in legs if leg is not oldest)


def with_ringing(emergency: Emergency, callback_id: str, until: datetime | None) -> Emergency:
    """A callback rings the agent's softphone until then, or no more (None)."""
    others = tuple(ring for ring in emergency.ringing if ring.callback_id != callback_id)
    rings = others if until is None else (*others, Ringing(callback_id, until))
    return structs.replace(emergency, ringing=rings)


def with_reported_end(emergency: Emergency, leg_id: str, end: LegEnd, rules: Rules, now: datetime) -> Emergency:
    """The softphone or a machine said that a leg ended; of several such words the agent's own end outranks a drop."""

    def merged(leg: Leg) -> Leg:
        known = leg.reported_end
        both = end if known is None else LegEnd(min(known.at, end.at), known.by_agent or end.by_agent)
        return structs.replace(leg, reported_end=both)

    legs = tuple(merged(leg) if leg.leg_id == leg_id else leg for leg in emergency.legs)
    return settle(structs.replace(emergency, legs=legs), rules, now)


def with_departure(emergency: Emergency, leg_id: str, at: datetime, rules: Rules, now: datetime) -> Emergency:
    """Call control saw the agent leave a callback, or its end."""

    def departed(leg: Leg) -> Leg:
        return structs.replace(leg, left_at=_earliest(leg.left_at, at))

    legs = tuple(departed(leg) if leg.leg_id == leg_id else leg for leg in emergency.legs)
    return settle(structs.replace(emergency, legs=legs), rules, now)


def with_claim(emergency: Emergency, leg_id: str, server_key: str, rules: Rules, now: datetime) -> Emergency:
    """The softphone said which server call a leg is. Of a callback call control knows that: its word alone counts."""

    def claiming(leg: Leg) -> Leg:
        # What ACS has seen to be so is kept, whatever else is claimed later.
        seen = {each.server_key for each in emergency.sightings if _fits(each, leg)}
        claims = sorted({*leg.claims, server_key}, key=lambda each: (each not in seen, each))
        return structs.replace(leg, claims=tuple(sorted(claims[:MAX_CLAIMS_A_LEG])))

    legs = tuple(claiming(leg) if leg.leg_id == leg_id and not leg.callback else leg for leg in emergency.legs)
    return settle(structs.replace(emergency, legs=legs), rules, now)


def with_sighting(emergency: Emergency, sighting: Sighting, rules: Rules, now: datetime) -> Emergency:
    """ACS said that this agent started, or ended, a server call; unchanged where that can matter to no leg."""
    known = {each.server_key: each for each in emergency.sightings}
    before = known.get(sighting.server_key)
    if before is None and not _may_matter(emergency, sighting, rules, now):
        return emergency
    known[sighting.server_key] = _merged(before, sighting)
    seen = structs.replace(emergency, sightings=tuple(sorted(known.values(), key=_start_order)))
    return settle(structs.replace(seen, sightings=_latest_sightings(seen)), rules, now)


def _latest_sightings(emergency: Emergency) -> tuple[Sighting, ...]:
    """Not too many of them: those that a leg hangs on, which would be in progress anew, and the latest others."""
    tied = {tie.sighting.server_key for tie in ties(emergency).values()}
    others = [each.server_key for each in emergency.sightings if each.server_key not in tied]
    gone = set(others[: max(0, len(emergency.sightings) - MAX_SIGHTINGS)])
    return tuple(each for each in emergency.sightings if each.server_key not in gone)


def claims_on(emergency: Emergency, call_keys: Collection[str]) -> list[Leg]:
    """The legs that claim to be this server call and of which ACS has not said that they cannot be."""
    return [
        leg
        for leg in emergency.legs
        if any(key in call_keys and may_be_call(emergency, leg, key) for key in leg.claims)
    ]


def may_be_call(emergency: Emergency, leg: Leg, server_key: str) -> bool:
    """Whether a leg may be this server call: False only where ACS said that it began at another time."""
    known = next((each for each in emergency.sightings if each.server_key == server_key), None)
    return known is None or known.started_at is None or _fits(known, leg)


def claimed_by_callback(emergency: Emergency, server_key: str) -> bool:
    """Whether the server call is a callback that the agent answered: call control said so, whoever started it."""
    return any(leg.callback is not None and server_key in leg.claims for leg in emergency.legs)


def _may_matter(emergency: Emergency, sighting: Sighting, rules: Rules, now: datetime) -> bool:
    claimed = any(sighting.server_key in leg.claims for leg in emergency.legs)
    stands = standing(emergency, rules, now)
    if claimed or any(leg in stands.in_progress or _fits(sighting, leg) for leg in stands.untied):
        return True
    # It may prove to be the call of a leg that another was taken for; without a start it may yet be claimed.
    no_start = sighting.started_at is None
    return any(_fits(sighting, leg) or (no_start and leg in stands.in_progress) for leg in stands.guessed)


def _merged(before: Sighting | None, new: Sighting) -> Sighting:
    if before is None:
        return new
    begun = min(before, new, key=lambda each: (each.started_at is None, each.start_derived, _start_order(each)))
    return Sighting(
        server_key=new.server_key,
        correlation_key=before.correlation_key or new.correlation_key,
        started_at=begun.started_at,
        start_derived=begun.start_derived,
        ended_at=_earliest(before.ended_at, new.ended_at),
        ended_by_starter=before.ended_by_starter or new.ended_by_starter,
        self_stated=before.self_stated and new.self_stated,
    )


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def with_release(emergency: Emergency, rules: Rules, now: datetime) -> Emergency:
    """The agent or a supervisor ended the hold after a drop; a leg in progress keeps holding."""
    if emergency.hold is None:
        return emergency
    hold = structs.replace(emergency.hold, released_at=now)
    return settle(structs.replace(emergency, hold=hold), rules, now)


def with_legs_ended(emergency: Emergency, rules: Rules, now: datetime) -> Emergency:
    """A supervisor ended the legs that nobody else ended: drops, and nothing is held after them."""
    for leg in standing(emergency, rules, now).in_progress:
        emergency = with_departure(emergency, leg.leg_id, max(now, leg.dialled_at), rules, now)
    return with_release(emergency, rules, now)


def with_hold(emergency: Emergency, hold: Hold, due_at: datetime | None) -> Emergency:
    """What the reconciling of the presence found; nothing more is owed unless it wants to look again."""
    return structs.replace(emergency, hold=hold, presence_due_at=due_at, presence_attempts=0)


def with_look(emergency: Emergency, now: datetime, *, held: bool, at: datetime | None = None) -> Emergency:
    """While we hold it, the service's own changes are looked for; what a person has changed is left alone (S2, B5).

    `at`: when to look first whether what was set is in place, where the service does not show that at once.
    """
    looked_for = held and emergency.hold is not None and not emergency.hold.settled
    known = emergency.presence_look_at
    if not looked_for or known is None or known <= now:
        known = now + LOOK_WHILE_HELD if looked_for else None
    if known is not None and at is not None:
        known = min(known, at)
    return structs.replace(emergency, presence_look_at=known)


def with_presence_put_off(emergency: Emergency, now: datetime, least: timedelta = timedelta(0)) -> Emergency:
    """The presence service failed: try again later, waiting longer each time, and never less than it asked for."""
    if emergency.presence_due_at is None:
        look_at = emergency.presence_look_at
        return structs.replace(emergency, presence_look_at=look_at and max(look_at, now + max(FIRST_WAIT, least)))
    attempts = emergency.presence_attempts + 1
    due = now + max(backoff(attempts), least)
    return structs.replace(emergency, presence_due_at=due, presence_attempts=attempts)


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many tries: 10 s, then twice as long each time, at most 5 minutes."""
    doublings = min(max(attempts - 1, 0), 10)
    return min(FIRST_WAIT * (1 << doublings), MAX_WAIT)


def presence_failing_since(due_at: datetime, attempts: int) -> datetime:
    """Since when at least an owed presence has failed: it is due later each time."""
    return due_at - _waited_for(range(1, attempts + 1))


def notice_failing_since(due_at: datetime, attempts: int) -> datetime:
    """Since when at least an owed notice has failed.

    To claim it and to put it off count an attempt each, and of the two waits one is over.
    """
    return due_at - _waited_for(range(1, attempts + 2, 2)) if attempts else due_at


def _waited_for(attempts: Iterable[int]) -> timedelta:
    return sum(map(backoff, attempts), timedelta(0))


def with_expiry(emergency: Emergency, rules: Rules, now: datetime) -> Emergency:
    """The lease is over, if it is: the number leaves the agent, and rests (S3)."""
    lease = emergency.lease
    assert lease is not None
    if lease.expired_at is not None or lease.taken or lease.lasts(rules, now):
        return emergency
    return structs.replace(emergency, lease=structs.replace(lease, expired_at=lease.ends_at(rules)))


def without_lease(emergency: Emergency) -> Emergency:
    """The number was lent to somebody else in its cool-down (B2)."""
    assert emergency.lease is not None
    return structs.replace(emergency, lease=structs.replace(emergency.lease, lost=True))


def thread_of(emergency: Emergency, *, test: bool) -> Thread | None:
    """The thread of a test, or of a real call; of a test that an older version began, the one that it had for both."""
    return (test and emergency.test_thread) or emergency.thread


def _with_thread(emergency: Emergency, thread: Thread, *, test: bool) -> Emergency:
    """The emergency with this in the place of what `thread_of` gives."""
    if test and emergency.test_thread is not None:
        return structs.replace(emergency, test_thread=thread)
    return structs.replace(emergency, thread=thread)


def with_thread_opened(
    emergency: Emergency, notice_id: str, rules: Rules, now: datetime, *, test: bool, rationed: bool = False
) -> Emergency:
    """A leg owes a notice: everybody who was told of the emergency is told once more when it is over.

    One beyond the ration is sent much later: nobody waits for it, and until then nobody has more to hear of the end.
    """
    before = (emergency.test_thread if test else emergency.thread) or Thread(opened_by=notice_id)
    if before.closed_for:
        before = structs.replace(before, unaware=len(before.told))
    if rationed:
        thread = _deferring(before, notice_id)
    else:
        opened = structs.replace(before, opened_by=notice_id, closed_for=(), close_at=None, closed=False)
        thread = _awaiting(opened, notice_id)
    emergency = structs.replace(emergency, **{"test_thread" if test else "thread": thread})
    return settle(emergency, rules, now)


def with_missed_awaited(emergency: Emergency, notice_id: str, rules: Rules, now: datetime, *, test: bool) -> Emergency:
    """A missed callback owes a notice: the end is told after it. It opens no thread that is closed."""
    thread = thread_of(emergency, test=test)
    if thread is None or thread.closed:
        return emergency
    thread = _awaiting(structs.replace(thread, close_at=None), notice_id)
    return settle(_with_thread(emergency, thread, test=test), rules, now)


def _awaiting(thread: Thread, notice_id: str) -> Thread:
    """The end is told after this notice."""
    return structs.replace(thread, awaited=tuple(dict.fromkeys((*thread.awaited, notice_id)))[-MAX_LEGS:])


def _deferring(thread: Thread, notice_id: str) -> Thread:
    """Whoever is told by this notice, however late, is told once more that it is over."""
    deferred = {**thread.deferred, notice_id: thread.deferred.get(notice_id, ())}
    return structs.replace(thread, deferred=dict(list(deferred.items())[-MAX_DEFERRED_NOTICES:]))


def with_callback_notice(emergency: Emergency, now: datetime) -> Emergency:
    """A callback owes a notice, which counts in the ration of callbacks to the agent."""
    return structs.replace(emergency, callback_notices=(*emergency.callback_notices, now)[-MAX_NOTICES_A_WINDOW:])


def with_told(
    emergency: Emergency, notice_id: str | None, addresses: Iterable[str], now: datetime, *, test: bool
) -> Emergency:
    """A notice of the thread was accepted for these, or for nobody ever; where it is over, they are told that now.

    `notice_id` is None for a mail of an outage: the notice itself is still owed.
    """
    thread = thread_of(emergency, test=test)
    if thread is None:
        return emergency
    addresses = tuple(dict.fromkeys(addresses))
    unaware, new = _others(thread.told[: thread.unaware], addresses), _others(addresses, thread.aware)
    told = (*unaware, *thread.aware, *new)[:MAX_TOLD]
    awaited = tuple(each for each in thread.awaited if each != notice_id)
    thread = _reopened(thread, notice_id, addresses)
    thread = structs.replace(thread, told=told, unaware=len(unaware), awaited=awaited)
    if (thread.close_at is not None and not awaited) or (thread.closed and thread.left):
        thread = structs.replace(thread, close_at=min(thread.close_at or now, now))
    return _with_thread(emergency, thread, test=test)


def _reopened(thread: Thread, notice_id: str | None, addresses: tuple[str, ...]) -> Thread:
    """Whoever is told by a notice beyond the ration is told once more that it is over: once, even if it is repeated."""
    known = thread.deferred.get(notice_id) if notice_id is not None else None
    again = _others(addresses, known) if known is not None else ()
    if notice_id is None or known is None or not again:
        return thread
    closed_for = _others(thread.closed_for, again)
    deferred = {**thread.deferred, notice_id: (*known, *again)}
    return structs.replace(thread, opened_by=notice_id, closed_for=closed_for, deferred=deferred)


def _others(addresses: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Those that are not known, whatever their case."""
    folded = {address.casefold() for address in known}
    return tuple(address for address in addresses if address.casefold() not in folded)


def with_closing(emergency: Emergency, now: datetime, *, test: bool) -> Emergency:
    """Whoever was told is owed the closing notice."""
    thread = thread_of(emergency, test=test)
    assert thread is not None
    # Where nobody is told, the calls so far are still to be told of.
    closed_at = now if thread.left else thread.closed_at
    closed = structs.replace(thread, closed_for=thread.told, close_at=None, closed=True, closed_at=closed_at)
    return _with_thread(emergency, closed, test=test)


def goes_on_again(emergency: Emergency, lease_thread: str, *, test: bool) -> bool:
    """Whether a call after the end of this thread has opened it again: then it has another end."""
    thread, lease = thread_of(emergency, test=test), emergency.lease
    return thread is not None and not thread.closed and lease is not None and lease.thread == lease_thread


def with_closing_withdrawn(emergency: Emergency, recipients: Iterable[str], *, test: bool) -> Emergency:
    """These were not told that it was over before it went on: they are told at its next end, and of both calls."""
    thread = thread_of(emergency, test=test)
    assert thread is not None
    closed_for = _others(thread.closed_for, recipients)
    return _with_thread(emergency, structs.replace(thread, closed_for=closed_for, closed_at=None), test=test)


def _legs_of(emergency: Emergency, *, test: bool) -> tuple[Leg, ...]:
    """The legs of which one thread tells: the tests, or the real calls (S1), none where those are kept no more.

    All of them, where a test opened the one thread of an older version.
    """
    if not test and _opened_by_test(emergency):
        return emergency.legs
    return tuple(leg for leg in emergency.legs if leg.test is test)


def _opened_by_test(emergency: Emergency) -> bool:
    """Whether a test opened the thread of real calls, which an older version had for both."""
    notices = (derived(leg.leg_id, "notice") for leg in emergency.legs if leg.test)
    return emergency.thread is not None and emergency.thread.opened_by in notices


def with_threads_apart(emergency: Emergency) -> Emergency:
    """An emergency of an older version, which had one thread: where that tells of tests alone, it is theirs."""
    if emergency.test_thread is not None or not _opened_by_test(emergency):
        return emergency
    if not all(leg.test for leg in legs_that_end(emergency, test=False)):
        return emergency
    return structs.replace(emergency, thread=None, test_thread=emergency.thread)


def legs_that_end(emergency: Emergency, *, test: bool) -> list[Leg]:
    """The dialled legs that a closing notice tells of: those of its thread since the one before it, else all.

    Where only callbacks are known, those.
    """
    told_of = _legs_of(emergency, test=test)
    legs = [leg for leg in told_of if leg.callback is None] or list(told_of)
    thread = thread_of(emergency, test=test)
    closed_at = thread.closed_at if thread is not None else None
    return [leg for leg in legs if closed_at is None or leg.dialled_at > closed_at] or legs


def ended_at(emergency: Emergency, rules: Rules, now: datetime, *, test: bool) -> datetime:
    """When the last leg ended of which the thread tells."""
    ends = standing(emergency, rules, now).ends
    return max((ends[leg.leg_id].at for leg in _legs_of(emergency, test=test) if leg.leg_id in ends), default=now)


def number_dialled(emergency: Emergency, legs: Sequence[Leg]) -> str:
    """The emergency number of these legs, "" where a test and a real call are among them, or nobody knows."""
    if legs and all(leg.test for leg in legs):
        return TEST_NUMBER
    # What the situation tells is of the latest dial, which may be a test beside a real call.
    latest = latest_dialled(emergency)
    tests = any(leg.test for leg in legs) or (latest is not None and latest.test)
    return emergency.situation.dialled if emergency.situation is not None and legs and not tests else ""


def latest_dialled(emergency: Emergency) -> Leg | None:
    """The leg that the agent dialled last; None where only callbacks are known."""
    dialled = [leg for leg in emergency.legs if leg.callback is None]
    return max(dialled, key=lambda leg: leg.dialled_at, default=None)


def heard_the_end(emergency: Emergency, notice_id: str, addresses: Iterable[str], *, test: bool) -> bool:
    """Whether it is over, and each of these was told so, or is owed that, and will not be once more after this."""
    thread = thread_of(emergency, test=test)
    if thread is None or not thread.closed or notice_id in thread.deferred:
        return False
    return not _others(addresses, thread.closed_for)


def with_passed_on(
    emergency: Emergency,
    notice_id: str,
    onward: str,
    reached: Iterable[str],
    default_contacts: Iterable[str],
    *,
    test: bool,
    missed: bool = False,
) -> tuple[Emergency, tuple[str, ...]]:
    """A notice bounced: the default contacts who do not know of it are told, once; gives who that is.

    `onward` is the notice that tells them, whose own bounce goes nowhere; the end is told after it. `reached` are those
    to whom the notice went, or is owed still. That a callback was `missed` is news to whoever knows of the call, too,
    and opens no thread.
    """
    thread = thread_of(emergency, test=test)
    told = () if missed or thread is None else thread.aware
    new = _others(default_contacts, (*told, *reached))
    if not new or notice_id in emergency.passed_on:
        return emergency, ()
    if thread is not None and not (missed and thread.closed):
        thread = _deferring(thread, onward) if thread.closed else _awaiting(thread, onward)
        emergency = _with_thread(emergency, thread, test=test)
    passed_on = (*emergency.passed_on, notice_id, onward)[-MAX_NOTICES_PASSED_ON:]
    return structs.replace(emergency, passed_on=passed_on), new


def is_over(emergency: Emergency, stands: Standing, rules: Rules, now: datetime, *, test: bool) -> bool:
    """Whether no leg of which the thread tells is in progress or holds presence, or the lease has ended (B6)."""
    legs, lease = _legs_of(emergency, test=test), emergency.lease
    held = any(leg in legs for leg in stands.dropped)
    over = not any(leg in legs for leg in stands.in_progress)
    return over and (not held or lease is None or not lease.lasts(rules, now))


def closings_due(emergency: Emergency, stands: Standing, rules: Rules) -> list[datetime]:
    """When somebody is to be told that it is over, or a hold ends whose end they are told of."""
    found: list[datetime] = []
    for thread, test in ((emergency.thread, False), (emergency.test_thread, True)):
        if thread is None:
            continue
        legs = _legs_of(emergency, test=test)
        held = [leg for leg in stands.dropped if leg in legs]
        if thread.close_at is not None:
            found.append(thread.close_at)
        elif held and not thread.closed and not any(leg in legs for leg in stands.in_progress):
            # Nobody looks at a presence that a person has changed, and nothing of it is due where a call of the other
            # thread holds it on; the timer may come a minute late.
            found.append(max(stands.ends[leg.leg_id].at for leg in held) + _own_rules(emergency, rules).hold_after_drop)
    return found


def _thread_settled(
    emergency: Emergency, thread: Thread | None, stands: Standing, rules: Rules, now: datetime, *, test: bool
) -> Thread | None:
    lease = emergency.lease
    if thread is None:
        return None
    if not is_over(emergency, stands, rules, now, test=test):
        return structs.replace(thread, close_at=None, closed=False)
    if thread.closed:
        return thread
    # Nothing is sent once the lease is gone: then it is told, whatever is still awaited. An end that is told late may
    # have moved that moment.
    waits = thread.awaited and lease is not None and lease.lasts(rules, now)
    latest = lease.ends_at(rules) if lease is not None and waits else now
    return structs.replace(thread, close_at=min(thread.close_at or latest, latest))


def _with_threads_settled(emergency: Emergency, stands: Standing, rules: Rules, now: datetime) -> Emergency:
    return structs.replace(
        emergency,
        thread=_thread_settled(emergency, emergency.thread, stands, rules, now, test=False),
        test_thread=_thread_settled(emergency, emergency.test_thread, stands, rules, now, test=True),
    )


def settle(emergency: Emergency, rules: Rules, now: datetime, *, new_hold: bool = False) -> Emergency:
    """Bring what is stored for others (lease times, owed presence) in line with the facts and the time."""
    known = emergency.lease
    assert known is not None, "an emergency has a lease from its first leg on"
    stands = standing(emergency, rules, now)
    lease = structs.replace(
        known,
        busy_until=max((leg.dialled_at + known.own(rules).max_call for leg in stands.in_progress), default=None),
        last_ended_at=max((end.at for end in stands.ends.values()), default=None),
        # A callback is not dialled: it protects the number by its end alone (B3).
        dialled_at=max((leg.dialled_at for leg in emergency.legs if leg.callback is None), default=known.dialled_at),
    )
    own = lease.own(rules)
    lease = structs.replace(
        lease,
        kept_until=lease.window_ends_at(rules),
        kept_after_call_minutes=own.after_call_minutes,
        kept_cool_down_minutes=own.cool_down_minutes,
    )
    emergency = _with_threads_settled(structs.replace(emergency, lease=lease), stands, rules, now)
    if lease.expired_at is not None:
        # A callback that is answered in the cool-down gives the number back; an end that is told late moves the end.
        lease = structs.replace(lease, expired_at=None if lease.lasts(rules, now) else lease.ends_at(rules))
    if stands.held != emergency.held or new_hold:
        due = now + FIRST_TRY_WITHIN
        hold = _held_again(emergency.hold) if stands.held and not emergency.held else emergency.hold
        return structs.replace(
            emergency, lease=lease, hold=hold, held=stands.held, presence_due_at=due, presence_attempts=0
        )
    return structs.replace(emergency, lease=lease)


def _held_again(hold: Hold | None) -> Hold | None:
    """The hold to begin with: a new one where the last was given back, because ACS had said that the agent ended it.

    What a person had changed before that stays, in whatever order the ends come.
    """
    if hold is not None and hold.left:
        return hold
    if hold is None or not hold.settled:
        return hold and structs.replace(hold, applied=False, look_again_at=None)
    return Hold(hold_id=derived(hold.hold_id, "hold again"), previous=hold.before, released_at=hold.released_at)
