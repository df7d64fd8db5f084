"""An agent dialled an emergency number (S1 to S7, B1, B2, B3): whose dial it is, a number for it, one transaction.

What is known of the dial is a value, `DialFacts`, which each step makes fuller; where the store is away, the answer is
made of what there is of it (`answer_in_outage`).
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.callers import Caller
from shared.domain.deployment import Deployment
from shared.domain.dials import (
    Dial,
    DialFacts,
    beyond_ration,
    emergency_of,
    full_notice,
    new_lease,
    new_leg,
)
from shared.domain.emergencies import (
    Emergency,
    Leg,
    UnlistedEmergencyPlace,
    with_claim,
    with_leg,
    with_outage_hold,
    with_thread_opened,
    with_told,
)
from shared.domain.errors import (
    AgentBusy,
    CallIdTaken,
    Conflict,
    LineFull,
    NotAnEmergency,
    NotFound,
    TooFast,
    TooManyRows,
    TooManyUnlisted,
    Unavailable,
)
from shared.domain.ids import agent_key_of, key_of
from shared.domain.leases import Lease, called
from shared.domain.locations import Desktop
from shared.domain.pool import ration_over
from shared.domain.presence import OutageHold
from shared.domain.sites import SiteMap
from shared.domain.subjects import claimed, left_behind
from shared.ports import (
    AgentDirectory,
    Answered,
    CallOwner,
    Change,
    Committed,
    Desktops,
    EmergencyStore,
    Loan,
    LoanKind,
    NewLeg,
    NumberPool,
    OutageLog,
    Pending,
    Ration,
    SiteRegister,
    Stored,
    Telemetry,
    UnlistedShare,
    VoiceRoutes,
)
from shared.use_cases.answer_dial import Started, recorded_answer, stale
from shared.use_cases.answer_in_outage import (
    answer_beyond_bound,
    answer_beyond_line,
    answer_in_outage,
    mail_granted,
    owed_after_outage,
)
from shared.use_cases.believe_end import believed_ends, end_told, is_taken
from shared.use_cases.change_emergency import change_emergency, owed_to
from shared.use_cases.effects import DeliverNotice, Effect
from shared.use_cases.identify import begun_before, id_left, identify_dial, own_entries, presumed

# The last free number is kept for a real call (B9).
MIN_FREE_NUMBERS_FOR_DRILL = 2


def start_call(
    dial: Dial,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    directory: AgentDirectory,
    desktops: Desktops,
    sites: SiteRegister,
    outage: OutageLog,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    word: str,
    deadline: Deadline,
    routes: VoiceRoutes,
    turned_away: LineFull | None = None,
) -> Started:
    """Record the dial, lend a number, and say what is owed. Never fails for want of a dependency (B1).

    `word` is what the log calls the emergency by, should this begin one. `routes` are asked what was last read
    only once the sites are known, which may bring a newer reading. `turned_away`: the caller has had their share of the
    line, and the dial is answered without the store. Raises `NotAnEmergency`, and then forgets that an outage may have
    answered it as one.
    """
    assert dial.drill_for is None, "a drill must not be answered as in an outage"
    began = clock.monotonic()
    means = _Means(emergencies, numbers, directory, desktops, sites, routes, outage, word, deadline)
    facts = _presumed(dial, caller, deployment, clock, means)
    without_store = answer_beyond_line if _is_beyond_line(caller, turned_away) else answer_in_outage
    try:
        facts, reading = _established(facts, means)
        outcome = _recorded(facts, reading, means)
    except TooManyUnlisted:
        telemetry.emit("unlisted_bounded")
        outcome = _without_store(facts, answer_beyond_bound, clock, means)
    except Unavailable:
        _tell_why(telemetry, turned_away, _ms_since(began, clock))
        outcome = _without_store(facts, without_store, clock, means)
    except NotAnEmergency:
        outage.over(caller.owner, key_of(dial.call_id))
        raise
    except Exception as error:  # noqa: BLE001 - on the way of a dial, whatever nobody foresaw is an outage (B1)
        telemetry.emit("unforeseen_error", function="start_call", error=type(error).__name__)
        outcome = _without_store(facts, without_store, clock, means)
    else:
        outcome = _after_outage(outcome, clock, means)
    _tell(telemetry, outcome, _ms_since(began, clock))
    return outcome.started


def _is_beyond_line(caller: Caller, turned_away: LineFull | None) -> bool:
    """Whoever speaks for many has a crisis, and what an outage gives each of them, unless they come faster than any
    crisis; an agent has one softphone.
    """
    return turned_away is not None and (caller.is_agent or isinstance(turned_away, TooFast))


def lend_for_drill(
    dial: Dial,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    directory: AgentDirectory,
    desktops: Desktops,
    sites: SiteRegister,
    outage: OutageLog,
    clock: Clock,
    deployment: Deployment,
    routes: VoiceRoutes,
    word: str,
    deadline: Deadline,
) -> tuple[Effect, ...]:
    """The way of a dial, for a drill: a number that is free, while two are; gives what is owed (B9).

    Raises `NotFound` where no number can be spared, `AgentBusy`, `Unavailable`, `NotAnEmergency`.
    """
    assert dial.drill_for is not None
    means = _Means(emergencies, numbers, directory, desktops, sites, routes, outage, word, deadline)
    facts, reading = _established(_presumed(dial, caller, deployment, clock, means), means)
    return _recorded(facts, reading, means).started.effects


class _Means(Struct, frozen=True):
    """What a dial may touch, the word for a new emergency, and until when."""

    emergencies: EmergencyStore
    numbers: NumberPool
    directory: AgentDirectory
    desktops: Desktops
    sites: SiteRegister
    routes: VoiceRoutes
    outage: OutageLog
    word: str
    deadline: Deadline


class _Outcome(Struct, frozen=True, kw_only=True):
    """What became of a dial: `lease` is the one that it was recorded with, stored under `agent_key`.

    `shares`: it was lent a shared number; `rationed`: its notice is beyond the ration.
    """

    started: Started
    facts: DialFacts
    agent_key: str = ""
    lease: Lease | None = None
    shares: bool = False
    rationed: bool = False


# Whose dial it is, and where they are ---------------------------------------------------------------------------------


def _presumed(dial: Dial, caller: Caller, deployment: Deployment, clock: Clock, means: _Means) -> DialFacts:
    """What is known before anybody was asked."""
    subject = presumed(dial.agent_id, caller, means.directory, dial.entra_object_id)
    return DialFacts(
        dial=dial,
        caller=caller,
        deployment=deployment,
        now=clock.now(),
        subject=subject,
        identity=dial.acs_user_id,
        ignored=subject.ignored,
    )


def _established(facts: DialFacts, means: _Means) -> tuple[DialFacts, Pending[Stored] | None]:
    """As much as can be had, and the reading of the emergency; None for that where the store was away meanwhile."""
    dial, deadline = facts.dial, means.deadline
    # Begun for the one who is named, whom nearly every dial is of: only an unlisted agent waits for two readings.
    named = agent_key_of(dial.agent_id)
    with suppress(Unavailable):
        # These two first: what is kept of people is found by their keys, which a cold process has to read.
        sites = means.sites.known(deadline)
        presumed_country = facts.agent.country if facts.agent else None
        means.numbers.expect_loan(dial.country or presumed_country, deadline)
        reading = means.emergencies.find(named, deadline)
        desktops = means.desktops.of(dial.agent_id, deadline)
        facts = _identified(facts, means)
        facts = _without_foreign_identity(facts, means)
        if facts.subject.key != named:
            # What is kept of the one who is named is nobody's business but theirs: their desktops tell where they are.
            reading = means.emergencies.find(facts.subject.key, deadline)
            desktops = means.desktops.of(facts.subject.agent_id, deadline)
        facts, reading = _with_what_began_before(facts, reading, means)
        return _located(facts, desktops, sites, means), reading
    return facts, None


def _with_what_began_before(
    facts: DialFacts, reading: Pending[Stored], means: _Means
) -> tuple[DialFacts, Pending[Stored]]:
    """Of one who has their emergency under another id than the entry's that one, so that a redial keeps its number."""
    entry, deadline = facts.agent, means.deadline
    if entry is None or not means.directory.may_have_begun_before(entry) or reading.result().emergency is not None:
        return facts, reading
    before = begun_before(
        entry, caller=facts.caller, emergencies=means.emergencies, directory=means.directory, deadline=deadline
    )
    if before is None:
        return facts, reading
    subject, stored = before
    return structs.replace(facts, subject=structs.replace(subject, ignored=facts.subject.ignored)), Answered(stored)


def _identified(facts: DialFacts, means: _Means) -> DialFacts:
    dial = facts.dial
    subject = identify_dial(
        dial.agent_id,
        dial.entra_object_id,
        caller=facts.caller,
        directory=means.directory,
        deadline=means.deadline,
    )
    return structs.replace(facts, subject=subject, identified=True, ignored=subject.ignored)


def _without_foreign_identity(facts: DialFacts, means: _Means) -> DialFacts:
    """Drop the stated ACS identity when the directory gives the agent another one, or this one to somebody else."""
    said, own = facts.dial.acs_user_id, facts.agent.acs_user_ids if facts.agent else ()
    if said is None or said in own:
        return facts
    holders = means.directory.holders_of(said, means.deadline).result()
    others = [holder for holder in holders if holder != facts.subject.key]
    if own or (others and not _are_own(others, facts.caller, means)):
        return structs.replace(facts, identity=None, ignored=(*facts.ignored, "acs_user_id"))
    return facts


def _are_own(agent_keys: list[str], caller: Caller, means: _Means) -> bool:
    entries = own_entries(caller, means.directory, means.deadline) if caller.is_agent else ()
    return {*agent_keys} <= {entry.key for entry in entries}


def _located(
    facts: DialFacts, desktops: Pending[tuple[Desktop, ...]], sites: Pending[SiteMap], means: _Means
) -> DialFacts:
    """With desktop and site, which may stay unknown: nobody's number depends on what their desktop reported."""
    dial = facts.dial
    with suppress(Unavailable):
        facts = facts.at_desktop(desktops.result() if facts.agent else ())
        if facts.desktop is not None and dial.client_network:
            # It may be on another network than at its last report: what was confirmed there does not hold.
            seen_from = means.desktops.seen_from(dial.client_network, means.deadline)
            facts = structs.replace(facts, desktop=structs.replace(facts.desktop, seen_from=seen_from))
    with suppress(Unavailable):
        facts = facts.at_site(sites.result())
    return facts


def _situated(facts: DialFacts, means: _Means) -> DialFacts:
    read = means.routes.remembered()
    return facts.situated(read.routes if read is not None else None)


# Read, decide, commit; again after a conflict, until the deadline -----------------------------------------------------


class _Lessons(Struct, frozen=True, kw_only=True):
    """What the tries before this one have met.

    `apart`: another's call or end has the call id already. `late_for` are the call's own ends, where they came
    first, `recorded_under` the key under which another host recorded it. `takes`: whether a resting number may be taken
    from those who held it last.
    """

    apart: bool = False
    late_for: tuple[CallOwner, ...] = ()
    recorded_under: str | None = None
    takes: bool = True


class _Unlisted(Struct, frozen=True, kw_only=True):
    """What is asked for an unlisted agent: all of it is bounded, unless nobody has been entered."""

    place: Pending[UnlistedEmergencyPlace | None]
    ration: Pending[Ration] | None
    share: Pending[UnlistedShare]
    nobody_entered: Pending[bool]
    left: Pending[str | None]


class _Found(Struct, frozen=True, kw_only=True):
    """What a try goes by: the emergency as it was read, and the key that it is, or will be, stored under."""

    stored: Stored
    agent_key: str
    unlisted: _Unlisted | None
    lessons: _Lessons


def _recorded(facts: DialFacts, reading: Pending[Stored] | None, means: _Means) -> _Outcome:
    """The dial against a store that answers; raises `Unavailable` where it does not."""
    if reading is None:
        raise Unavailable
    lessons = _Lessons()
    while True:
        # Asked before the emergency is there, so that an unlisted agent waits for all at once.
        unlisted = _ask_unlisted(facts, means) if facts.agent is None else None
        facts, stored = _where_it_began(facts, reading.result(), unlisted, means)
        found = _Found(stored=stored, agent_key=_key_of(stored, facts, means), unlisted=unlisted, lessons=lessons)
        known = _known(facts, found, means)
        if known is not None:
            return known
        facts = _situated(facts, means)
        if _is_stale(facts, stored.emergency):
            return _Outcome(started=stale(facts), facts=facts)
        try:
            return _commit(facts, found, means)
        except CallIdTaken:
            lessons = _look_up_call_id(facts, found, means)
        except TooManyRows:
            if not lessons.takes:
                raise
            # A shared number needs a row where a taken one needs five of each who held it last.
            lessons = structs.replace(lessons, takes=False)
        except Conflict:
            pass
        means.deadline.require()
        reading = _read_again(facts, lessons, means)


def _where_it_began(
    facts: DialFacts, stored: Stored, unlisted: _Unlisted | None, means: _Means
) -> tuple[DialFacts, Stored]:
    """Of one whose entry was removed in the middle of their emergency that one, so that a redial keeps its number."""
    if unlisted is None or facts.subject.owner is None or stored.emergency is not None:
        return facts, stored
    left = unlisted.left.result()
    if left is None:
        return facts, stored
    subject = left_behind(left, claimed(facts.dial.agent_id, facts.caller))
    begun = means.emergencies.find(subject.key, means.deadline).result()
    if begun.emergency is None:
        return facts, stored
    ignored = tuple(dict.fromkeys((*facts.ignored, *subject.ignored)))
    return structs.replace(facts, subject=subject, ignored=ignored), begun


def _ask_unlisted(facts: DialFacts, means: _Means) -> _Unlisted:
    numbers, deadline = means.numbers, means.deadline
    return _Unlisted(
        place=numbers.unlisted_emergency_place(facts.caller, deadline),
        ration=numbers.ration(facts.caller.owner, facts.now, deadline) if facts.recipients else None,
        share=numbers.unlisted_share(deadline),
        nobody_entered=means.directory.is_empty(deadline),
        left=id_left(facts.dial.agent_id, facts.caller, means.directory, deadline),
    )


def _key_of(stored: Stored, facts: DialFacts, means: _Means) -> str:
    if stored.emergency is not None:
        return stored.emergency.agent_key
    return means.emergencies.keys_of(facts.subject.key, means.deadline)[0]


def _read_again(facts: DialFacts, lessons: _Lessons, means: _Means) -> Pending[Stored]:
    if lessons.recorded_under is not None:
        return means.emergencies.load(lessons.recorded_under, means.deadline)
    return means.emergencies.find(facts.subject.key, means.deadline)


def _known(facts: DialFacts, found: _Found, means: _Means) -> _Outcome | None:
    """The answer of a dial that was recorded before, which may be the first to say which server call it is."""
    emergency = found.stored.emergency
    for leg in emergency.legs if emergency is not None else ():
        if emergency is not None and leg.leg_id == facts.leg_id:
            answer = recorded_answer(facts, emergency, leg, known=True)
            owed = _tied(facts, found, leg, means)
            return _Outcome(started=Started(answer, owed), facts=facts, agent_key=found.agent_key)
    return None


def _tied(facts: DialFacts, found: _Found, leg: Leg, means: _Means) -> tuple[Effect, ...]:
    """Record the server call of a known leg, unless that is known: its answer stands also where the store is away."""
    said = facts.dial.server_call_id
    if said is None or key_of(said) in leg.claims:
        return ()
    claim = partial(with_claim, leg_id=leg.leg_id, server_key=key_of(said), rules=facts.rules, now=facts.now)
    with suppress(Unavailable):
        return change_emergency(
            found.agent_key,
            claim,
            emergencies=means.emergencies,
            now=facts.now,
            deadline=means.deadline,
            read=found.stored,
        )
    return ()


def _is_stale(facts: DialFacts, emergency: Emergency | None) -> bool:
    past = emergency is not None and facts.leg_id in emergency.past
    # A softphone may use an id again: whoever dials now is never told that it was long ago.
    dials_now = not (facts.dial.by_event or facts.dial.repeated)
    return facts.too_late or (past and not dials_now)


def _look_up_call_id(facts: DialFacts, found: _Found, means: _Means) -> _Lessons:
    """Somebody's call has this id already: it ended before it started, or it is another agent's."""
    recorded = means.emergencies.calls(key_of(facts.dial.call_id), means.deadline)
    keys = means.emergencies.keys_of(facts.subject.key, means.deadline)
    mine = [each for each in recorded if each.agent_key in keys]
    if mine:
        # Another host with another secret in front may have recorded it under another of the keys.
        return structs.replace(found.lessons, recorded_under=mine[0].agent_key)
    # An end that an agent told before its start is that of their own call, whoever reports the start.
    themself = facts.caller.owner if facts.caller.is_agent else facts.subject.principal
    late_for = believed_ends(
        recorded,
        told_by=(None, themself),
        names=facts.names,
        emergencies=means.emergencies,
        deadline=means.deadline,
    )
    # Ids are the softphone's own and may clash; nobody's emergency may depend on another's choice of id.
    apart = found.lessons.apart or is_taken(recorded, late_for)
    return structs.replace(found.lessons, late_for=late_for, apart=apart)


# The transition -------------------------------------------------------------------------------------------------------


def _commit(facts: DialFacts, found: _Found, means: _Means) -> _Outcome:
    place, unlisted = None, found.unlisted
    if unlisted is not None and found.stored.emergency is None:
        place = unlisted.place.result()
        if place is None:
            raise TooManyUnlisted
    loan, lease = _lend(facts, found, means)
    if lease.fallback:
        facts = facts.without_number_shown()
    ration = unlisted.ration.result() if unlisted is not None and unlisted.ration is not None else None
    change = _change(facts, found, loan, lease, ration, place, means)
    committed = means.emergencies.commit(change, means.deadline)
    if change.notice is not None and change.notice_from is None and not facts.is_drill:
        mail_granted(facts, means.outage)
    emergency = committed.stored.emergency
    assert emergency is not None
    leg = next(leg for leg in emergency.legs if leg.leg_id == facts.leg_id)
    return _Outcome(
        started=Started(recorded_answer(facts, emergency, leg, known=False), _owed(committed)),
        facts=facts,
        agent_key=emergency.agent_key,
        lease=emergency.lease,
        shares=loan is not None and loan.kind is LoanKind.SHARED,
        rationed=change.notice_from is not None,
    )


def _lend(facts: DialFacts, found: _Found, means: _Means) -> tuple[Loan | None, Lease]:
    """The number to give: a redial keeps its own, also from its cool-down; else one that can be lent."""
    current = found.stored.emergency.lease if found.stored.emergency else None
    if facts.is_drill:
        return _lend_to_drill(facts, current, means)
    if current is not None and current.drill:
        # A real call wins: the number is here, and whatever else is the drill's ends with it.
        return _lend_anew(facts, current, new_lease(facts, means.word), found, means)
    if current is not None and current.lives(facts.rules, facts.now):
        return None, current
    lease = new_lease(facts, means.word)
    if current is not None and current.word:
        lease = structs.replace(lease, word=current.word, thread=current.thread)
    return _lend_anew(facts, current, lease, found, means)


def _lend_anew(
    facts: DialFacts, current: Lease | None, lease: Lease, found: _Found, means: _Means
) -> tuple[Loan | None, Lease]:
    if current is not None and not current.lost:
        shared = _held_by_others(current.number, facts, found, means)
        return None, structs.replace(lease, number=current.number, shared=shared)
    unlisted = found.unlisted
    try:
        # The fifth for unlisted agents does not hold while nobody has been entered (contract).
        bounded = unlisted is not None and not unlisted.nobody_entered.result()
        loan = means.numbers.loan(
            country=facts.situation.country,
            unlisted_share=unlisted.share.result() if unlisted is not None and bounded else None,
            now=facts.now,
            deadline=means.deadline,
            takes=found.lessons.takes,
        )
    except NotFound:
        fallback = facts.deployment.fallback_number or ""
        return None, structs.replace(lease, number=fallback, lost=True, fallback=True)
    return loan, structs.replace(lease, number=loan.number, shared=loan.kind is LoanKind.SHARED)


def _lend_to_drill(facts: DialFacts, current: Lease | None, means: _Means) -> tuple[Loan, Lease]:
    """A free number while two are: the last one is kept for a real call (B9)."""
    if current is not None:
        raise AgentBusy
    if means.numbers.free_count(MIN_FREE_NUMBERS_FOR_DRILL, means.deadline) < MIN_FREE_NUMBERS_FOR_DRILL:
        raise NotFound
    loan = means.numbers.loan(
        country=facts.situation.country, unlisted_share=None, now=facts.now, deadline=means.deadline, takes=False
    )
    if loan.kind not in (LoanKind.FREE, LoanKind.NEW):
        raise NotFound
    return loan, structs.replace(new_lease(facts, means.word), number=loan.number, drill=True)


def _held_by_others(number: str, facts: DialFacts, found: _Found, means: _Means) -> bool:
    """Whether the number was shared out while it rested."""
    holders = means.numbers.holders(number, means.deadline) or []
    others = (each for each in holders if each.agent_key != found.agent_key)
    return any(each.lease.keeps_number(facts.rules, facts.now) for each in others)


def _change(
    facts: DialFacts,
    found: _Found,
    loan: Loan | None,
    lease: Lease,
    ration: Ration | None,
    place: UnlistedEmergencyPlace | None,
    means: _Means,
) -> Change:
    late_for, known, now = found.lessons.late_for, found.stored.emergency, facts.now
    ended = end_told(late_for) if late_for else None
    leg = new_leg(facts, lease, ended, apart=found.lessons.apart, holds_presence=not late_for)
    emergency = emergency_of(facts, known, found.agent_key, lease)
    emergency = structs.replace(
        emergency,
        unlisted_number_place=loan.unlisted_number_place if loan is not None else emergency.unlisted_number_place,
        unlisted_emergency_place=place or emergency.unlisted_emergency_place,
    )
    emergency = with_leg(emergency, leg, lease, facts.rules, now)
    emergency = with_outage_hold(emergency, leg, _held_in_outage(facts, means.outage))
    rationed = bool(facts.recipients) and _beyond_ration(facts, known, ration, means.outage)
    alone = ration is None or ration.first
    notice = full_notice(facts, emergency, leg, rationed=rationed, alone=alone) if facts.recipients else None
    if notice is not None and facts.deployment.closing_notices:
        of = notice.notice_id
        emergency = with_thread_opened(emergency, of, facts.rules, now, test=leg.test, rationed=rationed)
        emergency = with_told(emergency, None, _mailed_in_outage(facts, means.outage), now, test=leg.test)
    return Change(
        stored=found.stored,
        emergency=emergency,
        now=now,
        loan=loan,
        new_legs=(NewLeg(leg, late_for),),
        notice=notice,
        ration_row=ration.row if ration is not None else None,
        notice_from=ration_over(now) if rationed else None,
    )


def _beyond_ration(facts: DialFacts, known: Emergency | None, ration: Ration | None, outage: OutageLog) -> bool:
    if ration is not None and ration.row is None:
        return True
    if ration is None and known is not None and beyond_ration(known, facts.now):
        return True
    return not facts.is_drill and not mail_granted(facts, outage, counts=False)


def _held_in_outage(facts: DialFacts, outage: OutageLog) -> OutageHold | None:
    return outage.held(facts.outage_key) or outage.held(facts.claimed_key)


def _mailed_in_outage(facts: DialFacts, outage: OutageLog) -> tuple[str, ...]:
    return (*outage.mailed_to(facts.outage_key), *outage.mailed_to(facts.claimed_key))


def _owed(committed: Committed) -> tuple[Effect, ...]:
    notice = (DeliverNotice(committed.notice),) if committed.notice is not None else ()
    emergency = committed.stored.emergency
    return (*(owed_to(emergency) if emergency is not None else ()), *notice)


# The outage, and the log ----------------------------------------------------------------------------------------------


def _without_store(
    facts: DialFacts, answer: Callable[[DialFacts, OutageLog], Started], clock: Clock, means: _Means
) -> _Outcome:
    facts = _situated(structs.replace(facts, now=clock.now()), means)
    return _Outcome(started=answer(facts, means.outage), facts=facts)


def _after_outage(outcome: _Outcome, clock: Clock, means: _Means) -> _Outcome:
    """With what is owed for dials that this process answered without the store."""
    facts, started = outcome.facts, outcome.started
    if facts.dial.repeated and outcome.agent_key:
        # Whom a mail has reached that was sent before anybody could say whose the dial is, is to be noted there.
        means.outage.recorded(facts.claimed_key, outcome.agent_key)
    for agent_id in dict.fromkeys((facts.dial.agent_id, facts.subject.agent_id)):
        if means.outage.dialling(agent_id, clock.now(), facts.caller.owner) is not None:
            owed = owed_after_outage(facts, agent_id, outcome.agent_key, known=started.answer.known)
            started = structs.replace(started, effects=(*started.effects, *owed))
    means.outage.over(facts.caller.owner, key_of(facts.dial.call_id))
    return structs.replace(outcome, started=started)


def _tell_why(telemetry: Telemetry, turned_away: LineFull | None, ms: int) -> None:
    """Why a dial was answered without the store: nobody shall look for an outage where one sender sends too much."""
    if turned_away is None:
        telemetry.emit("store_away", ms=ms)
    else:
        telemetry.emit("line_full")


def _tell(telemetry: Telemetry, outcome: _Outcome, ms: int) -> None:
    answer, facts = outcome.started.answer, outcome.facts
    for name in answer.ignored:
        telemetry.emit("field_ignored", field=name)
    if facts.clock_wrong and not answer.known:
        telemetry.emit("dial_clock_wrong")
    if answer.stale:
        telemetry.emit("start_stale")
    elif not answer.known:
        telemetry.emit(
            "dial_recorded",
            shared=answer.shared,
            test=answer.test,
            degraded=answer.degraded,
            notified=answer.notified,
            ms=ms,
            **called(outcome.lease),
        )
    if outcome.shares:
        telemetry.emit("pool_exhausted", free_percent=0)
    if outcome.rationed:
        telemetry.emit("notice_rationed")
    if facts.number is not None and facts.number.prefix is not None:
        telemetry.emit("dial_prefix_trimmed", kind=facts.number.prefix)


def _ms_since(began: float, clock: Clock) -> int:
    return round((clock.monotonic() - began) * 1000)
