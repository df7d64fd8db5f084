"""An agent dialled an emergency number (S1 to S7, B1, B2, B3)."""

from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller
from shared.domain.deployment import Deployment
from shared.domain.emergencies import (
    Emergency,
    Leg,
    LegEnd,
    Reach,
    with_leg,
    with_outage_hold,
    with_thread_opened,
    without_drill,
)
from shared.domain.emergency_numbers import EmergencyNumber, Placeable, recognise
from shared.domain.errors import (
    AgentBusy,
    CallIdTaken,
    Conflict,
    Malformed,
    NotAnEmergency,
    NotFound,
    TooManyRows,
    TooManyUnlisted,
    Unavailable,
)
from shared.domain.ids import agent_key_of, derived, key_of, leg_id_of
from shared.domain.leases import Lease, called
from shared.domain.locations import Desktop, Location, country_of, desktop_of, told_location
from shared.domain.notifications import Notice, recipients_of
from shared.domain.panels import Panel, emergency_panel, panel_of, with_number
from shared.domain.pool import had_enough, is_foreign, notices_a_window, ration_over
from shared.domain.presence import Hold
from shared.domain.sites import Site, SiteMap, site_now
from shared.domain.situations import Situation, situation_of
from shared.domain.voice_routes import routed
from shared.ports import (
    AgentDirectory,
    CallOwner,
    Change,
    Committed,
    Desktops,
    EmergencyStore,
    Loan,
    LoanKind,
    NumberPool,
    OutageDial,
    OutageLog,
    Pending,
    Quota,
    SiteRegister,
    Stored,
    Telemetry,
    VoiceRoutes,
)
from shared.use_cases.change_emergency import owed_to
from shared.use_cases.effects import (
    DeliverNotice,
    Effect,
    HoldInOutage,
    MailInOutage,
    ReconcilePresence,
    ReturnPresence,
)
from shared.use_cases.identify import identify_dial, presumed

# They are kept in the emergency's own row, whose text Table storage bounds at 32,768 characters.
MAX_CONTACTS_KEPT_CHARACTERS = 6_000


# The last free number is kept for a real call (B9).
LEAST_FREE_FOR_DRILL = 2


class Dial(Struct, frozen=True, kw_only=True):
    """A reported dial; times are UTC, the country ISO 3166-1 alpha-2, identities raw ACS ids.

    `dialled_ago` is how long before `received_at` it was, by a clock that only measures; it outranks `dialled_at`.
    `received_at` is when the report first reached us, None for now. `by_event`: it may have come a day late.
    `desktop_id` is where it was dialled, `client_network` the address that an agent's own request came from; with
    `caller_id_ours` responders see the number that the softphone is lent.
    `entra_object_id` is what a machine or an event says of the agent. `ignored` names fields that cannot be used.
    `drill_for` are those whom a drill tells, None for a real dial.
    """

    call_id: str
    agent_id: str
    dialled: str
    entra_object_id: str | None = None
    dialled_at: datetime | None = None
    dialled_ago: timedelta | None = None
    received_at: datetime | None = None
    by_event: bool = False
    country: str | None = None
    acs_user_id: str | None = None
    server_call_id: str | None = None
    location: Location | None = None
    locale: str | None = None
    desktop_id: str | None = None
    client_network: str | None = None
    caller_id_ours: bool = False
    ignored: tuple[str, ...] = ()
    drill_for: tuple[str, ...] | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What the softphone is told. `known`: the call had been reported before; `stale`: an event that came too late.

    `foreign`: the number is of another country than the caller; `dial`: the digits that the platform connects (B13).
    """

    call_id: str
    agent_id: str
    panel: Panel
    callback_number: str | None = None
    expires_at: datetime | None = None
    shared: bool = False
    foreign: bool = False
    test: bool = False
    degraded: bool = False
    notified: int = 0
    placeable: Placeable = Placeable.UNKNOWN
    dial: str | None = None
    ignored: tuple[str, ...] = ()
    known: bool = False
    stale: bool = False

    @classmethod
    def in_the_dark(cls, dial: Dial, deployment: Deployment, now: datetime) -> "Answer":
        """That of an outage where even the way to it has failed: nothing is made of the dial but its ids (B1)."""
        number, expires_at = deployment.fallback_number, now + deployment.rules.window
        panel = with_number(emergency_panel(test=False), number, expires_at, Situation())
        return cls(
            call_id=dial.call_id,
            agent_id=dial.agent_id,
            callback_number=number,
            expires_at=expires_at,
            degraded=True,
            panel=panel,
        )


class Started(Struct, frozen=True):
    """The answer, and what is owed. `bounded`: too many agents outside the directory have an emergency already."""

    answer: Answer
    effects: tuple[Effect, ...] = ()
    bounded: bool = False

    @property
    def owed(self) -> bool:
        """Whether this process is to report it again until the store has it: not what a bound has kept out."""
        return self.answer.degraded and not self.bounded

    def require_recorded(self) -> None:
        """Raise `Unavailable` if the store knows nothing of it yet: whoever can report it again must."""
        if self.answer.degraded:
            raise Unavailable


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
) -> Started:
    """Record the dial, lend a number, and say what is owed. Never fails for want of a dependency (B1).

    `word` is what the log calls the emergency by, should this begin one. `routes` are asked what was last read
    only once the sites are known, which may bring a newer reading. Raises `NotAnEmergency`.
    """
    assert dial.drill_for is None, "a drill must not be answered as in an outage"
    began = clock.monotonic()
    course = _Course(
        dial, caller, emergencies, numbers, directory, desktops, sites, routes, deployment=deployment, deadline=deadline
    )
    course.word = word
    try:
        started = course.run(outage, clock.now())
    except TooManyUnlisted:
        telemetry.emit("unlisted_bounded")
        started = course.run_beyond_bound(outage, clock.now())
    except Unavailable:
        telemetry.emit("store_away", ms=_ms_since(began, clock))
        started = course.run_in_outage(outage, clock.now())
    except (Malformed, NotAnEmergency):
        raise
    except Exception as error:  # noqa: BLE001 - on the way of a dial, whatever nobody foresaw is an outage (B1)
        telemetry.emit("unforeseen_error", function="start_call", error=type(error).__name__)
        started = course.run_in_outage(outage, clock.now())
    else:
        for agent_id in dict.fromkeys((dial.agent_id, course.subject.agent_id)):
            if outage.dialling(agent_id, clock.now(), caller.owner) is not None:
                started = structs.replace(started, effects=(*started.effects, *course.after_outage(started.answer)))
            outage.over(agent_id, caller.owner)
    _tell(telemetry, course, started.answer, _ms_since(began, clock))
    return started


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
    course = _Course(
        dial, caller, emergencies, numbers, directory, desktops, sites, routes, deployment=deployment, deadline=deadline
    )
    course.word = word
    return course.run(outage, clock.now()).effects


def _tell(telemetry: Telemetry, course: "_Course", answer: Answer, ms: int) -> None:
    for name in answer.ignored:
        telemetry.emit("field_ignored", field=name)
    if course.clock_wrong and not answer.known:
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
            **called(course.lease),
        )
    if course.shares:
        telemetry.emit("pool_exhausted", free_percent=0)
    if course.rationed:
        telemetry.emit("notice_rationed")
    if course.number is not None and course.number.prefix is not None:
        telemetry.emit("dial_prefix_trimmed", kind=course.number.prefix)


def _ms_since(began: float, clock: Clock) -> int:
    return round((clock.monotonic() - began) * 1000)


class _Outside(Struct, frozen=True, kw_only=True):
    """What is asked for an agent who is not in the directory: all of it is bounded."""

    place: Pending[str | None]
    ration: Pending[str | None] | None
    quota: Pending[Quota]


class _Course:
    """The way of one dial through read, decide, commit; again after a conflict, until the deadline."""

    def __init__(
        self,
        dial: Dial,
        caller: Caller,
        emergencies: EmergencyStore,
        numbers: NumberPool,
        directory: AgentDirectory,
        desktops: Desktops,
        sites: SiteRegister,
        routes: VoiceRoutes,
        *,
        deployment: Deployment,
        deadline: Deadline,
    ) -> None:
        self._dial = dial
        self._caller = caller
        self._emergencies = emergencies
        self._numbers = numbers
        self._directory = directory
        self._desktops = desktops
        self._sites = sites
        self._routes = routes
        self._deployment = deployment
        self._rules = deployment.rules
        self._deadline = deadline
        self._outage_hold: Hold | None = None
        self.subject = presumed(dial.agent_id, caller, directory.recent(dial.agent_id))
        self._known = False
        self._ignored: tuple[str, ...] = ()
        self._identity: str | None = dial.acs_user_id
        self._call_row = f"call|{key_of(dial.call_id)}"
        self._late_for: CallOwner | None = None
        self._key: str | None = None
        self._recorded_under: str | None = None
        self._place: str | None = None
        self._desktop: Desktop | None = None
        self._site: Site | None = None
        self._takes = True
        self._nobody_entered: Pending[bool] | None = None
        self.number: EmergencyNumber | None = None
        self.situation = Situation()
        self.clock_wrong = False
        self.word = ""
        self.lease: Lease | None = None
        self.shares = False
        self.rationed = False

    def run(self, outage: OutageLog, now: datetime) -> Started:
        """The dial against a store that answers."""
        dial, deadline = self._dial, self._deadline
        # Begun for the one who is named, whom nearly every dial is of: nobody but a stranger waits for two readings.
        named = agent_key_of(dial.agent_id)
        # These two first: what is kept of people is found by their keys, which a cold process has to read.
        sites = self._sites.known(deadline)
        self._numbers.expect_loan(dial.country, deadline)
        reading = self._emergencies.find(named, deadline)
        desktops = self._desktops.of(dial.agent_id, deadline)
        self._identify()
        self._outage_hold = outage.held(self._hold.hold_id)
        if self.subject.key != named:
            # What is kept of the one who is named is nobody's business but theirs: their desktops tell where they are.
            reading = self._emergencies.find(self.subject.key, deadline)
            desktops = self._desktops.of(self.subject.agent_id, deadline)
        # Where the caller is may stay unknown: nobody's number depends on what their desktop reported.
        with suppress(Unavailable):
            self._desktop = desktop_of(desktops.result() if self._agent else (), dial.desktop_id)
        with suppress(Unavailable):
            self._find_site(sites.result(), now)
        while True:
            # Asked before the emergency is there, so that an agent who is not in the directory waits for all at once.
            outside = self._ask_outside(now) if self._agent is None else None
            stored = reading.result()
            self._key = self._stored_under(stored)
            early = self._known_or_stale(stored, now)
            if early is not None:
                return early
            try:
                return self._commit(stored, outside, now)
            except CallIdTaken:
                self._look_up_call_id()
            except TooManyRows:
                if not self._takes:
                    raise
                # A shared number needs a row where a taken one needs five of each who held it last.
                self._takes = False
            except Conflict:
                pass
            self._deadline.require()
            reading = self._read_again()

    def _stored_under(self, stored: Stored) -> str:
        if stored.emergency is not None:
            return stored.emergency.agent_key
        return self._emergencies.keys_of(self.subject.key, self._deadline)[0]

    def _read_again(self) -> Pending[Stored]:
        if self._recorded_under is not None:
            return self._emergencies.load(self._recorded_under, self._deadline)
        return self._emergencies.find(self.subject.key, self._deadline)

    def _identify(self) -> None:
        """Whose emergency it is, and which of what they claim can be used."""
        dial = self._dial
        self.subject = identify_dial(
            dial.agent_id, dial.entra_object_id, caller=self._caller, directory=self._directory, deadline=self._deadline
        )
        self._known, self._ignored = True, self.subject.ignored
        if self._agent is None:
            self._nobody_entered = self._directory.is_empty(self._deadline)
        said, own = dial.acs_user_id, self._agent.acs_user_ids if self._agent else ()
        if said is None or said in own:
            return
        holders = self._directory.holders_of(said, self._deadline).result()
        if own or any(holder != self.subject.key for holder in holders):
            # The directory gives this agent others, or this one to somebody else: it is not taken from them.
            self._identity = None
            self._ignored += ("acs_user_id",)

    def _find_site(self, sites: SiteMap, now: datetime) -> None:
        self._site = site_now(
            sites,
            desktop_id=self._dial.desktop_id,
            desktop=self._desktop,
            client=self._dial.client_network,
            registered=self._agent.site if self._agent else None,
            now=now,
        )

    @property
    def _agent(self) -> Agent | None:
        return self.subject.entry

    @property
    def _agent_key(self) -> str:
        """What the rows are stored under; in an outage nobody knows, and nothing is stored."""
        return self._key or self.subject.key

    @property
    def _leg_id(self) -> str:
        return leg_id_of(self.subject.key, self._dial.call_id)

    def _known_or_stale(self, stored: Stored, now: datetime) -> Started | None:
        emergency = stored.emergency
        for leg in emergency.legs if emergency is not None else ():
            if emergency is not None and leg.leg_id == self._leg_id:
                return Started(self._answer(emergency, leg, now, known=True))
        self._situate(now)
        past = emergency is not None and self._leg_id in emergency.past
        # A softphone may use an id again: whoever dials now is never told that it was long ago.
        late = self._too_late(self._dialled_at(now), now) or (past and self._dial.by_event)
        return self._stale() if late else None

    def _too_late(self, dialled_at: datetime, now: datetime) -> bool:
        # Of a request only a repeat of our own can be: whoever asked was answered when it came.
        reported_at = dialled_at if self._dial.by_event else self._received_at(now)
        return now - reported_at > self._rules.window

    def _situate(self, now: datetime) -> EmergencyNumber:
        """Which emergency number it is, and what holds for the caller; raises `NotAnEmergency`."""
        dial, countries = self._dial, self._deployment.countries
        # What is registered: the entry's first, then the site's.
        registered = [each for each in (self._agent, self._site) if each is not None]
        country = country_of(dial.country, self._desktop, [each.country for each in registered], now)
        self.number = recognise(dial.dialled, country=country, countries=countries)
        read = self._routes.remembered()
        self.situation = situation_of(
            self.number,
            told=told_location(dial.location, self._desktop, [each.address for each in registered], now),
            country=country,
            configured=countries,
            number_shown=dial.caller_id_ours,
            routed=routed(self.number.number, read.routes if read is not None else None),
        )
        recipients = self._recipients()
        zones = [self._site.time_zone if self._site else None, self._agent.time_zone if self._agent else None]
        self.situation = structs.replace(
            self.situation,
            site=(self._site.name or self._site.site_id) if self._site else None,
            time_zone=next((zone for zone in zones if zone), None),
            contacts=recipients if sum(map(len, recipients)) <= MAX_CONTACTS_KEPT_CHARACTERS else None,
        )
        return self.number

    def _received_at(self, now: datetime) -> datetime:
        return self._dial.received_at or now

    def _dialled_at(self, now: datetime) -> datetime:
        """When it was dialled, as far as the clock that says so can be believed.

        A request proves by itself that it is now: where a desktop says a time that is further away than the window, its
        clock is wrong, and the time of receipt counts. An event may be that late.
        """
        received_at, ago = self._received_at(now), self._dial.dialled_ago
        said = received_at - ago if ago is not None else self._dial.dialled_at or received_at
        if not self._dial.by_event and abs(said - received_at) > self._rules.window:
            self.clock_wrong = True
            return received_at
        # A desktop whose clock runs ahead must not lengthen the lease.
        return min(said, received_at)

    def _stale(self) -> Started:
        dial = self._dial
        answer = Answer(
            call_id=dial.call_id, agent_id=self.subject.agent_id, panel=Panel(), ignored=self._all_ignored, stale=True
        )
        # It may have been reported before, in an outage: then nobody but this knows that presence was held.
        return Started(answer, (ReturnPresence(dial.agent_id, self._hold.hold_id),))

    @property
    def _all_ignored(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._dial.ignored, *self._ignored)))

    @property
    def _hold(self) -> Hold:
        return Hold(hold_id=derived(self._leg_id, "hold"))

    # The transition

    def _commit(self, stored: Stored, outside: _Outside | None, now: datetime) -> Started:
        if outside is not None and stored.emergency is None:
            self._place = outside.place.result()
            if self._place is None:
                raise TooManyUnlisted
        loan, lease = self._lend(stored.emergency, outside, now)
        ration = outside.ration.result() if outside is not None and outside.ration is not None else None
        change = self._change(stored, loan, lease, ration, now)
        committed = self._emergencies.commit(change, self._deadline)
        emergency = committed.stored.emergency
        assert emergency is not None
        self.lease = emergency.lease
        leg = next(leg for leg in emergency.legs if leg.leg_id == self._leg_id)
        return Started(self._answer(emergency, leg, now, known=False), self._effects(committed))

    def _lend(self, emergency: Emergency | None, outside: _Outside | None, now: datetime) -> tuple[Loan | None, Lease]:
        """The number to give: a redial keeps its own, also from its cool-down; else one that can be lent."""
        current = emergency.lease if emergency else None
        if self._is_drill:
            return self._lend_for_drill(current, now)
        if current is not None and current.drill:
            # A real call wins: the number is here, and whatever else is the drill's ends with it.
            return self._lend_anew(current, outside, self.word, now)
        if current is not None and current.lives(self._rules, now):
            return None, current
        return self._lend_anew(current, outside, (current.word if current is not None else "") or self.word, now)

    def _new_lease(self, word: str, now: datetime) -> Lease:
        epoch = derived(self._leg_id, "lease")
        return Lease(number="", epoch=epoch, shared=False, lent_at=now, dialled_at=self._dialled_at(now), word=word)

    def _lend_anew(
        self, current: Lease | None, outside: _Outside | None, word: str, now: datetime
    ) -> tuple[Loan | None, Lease]:
        lease = self._new_lease(word, now)
        if current is not None and not current.lost:
            shared = self._held_by_others(current.number, now)
            return None, structs.replace(lease, number=current.number, shared=shared)
        try:
            # The fifth for agents outside the directory does not hold while nobody has been entered (contract).
            alone = self._nobody_entered is not None and self._nobody_entered.result()
            loan = self._numbers.loan(
                country=self.situation.country,
                quota=outside.quota.result() if outside is not None and not alone else None,
                now=now,
                deadline=self._deadline,
                takes=self._takes,
            )
        except NotFound:
            fallback = self._deployment.fallback_number or ""
            return None, structs.replace(lease, number=fallback, shared=True, lost=True)
        return loan, structs.replace(lease, number=loan.number, shared=loan.kind is LoanKind.SHARED)

    @property
    def _is_drill(self) -> bool:
        return self._dial.drill_for is not None

    def _lend_for_drill(self, current: Lease | None, now: datetime) -> tuple[Loan, Lease]:
        """A free number while two are: the last one is kept for a real call (B9)."""
        if current is not None:
            raise AgentBusy
        if self._numbers.free_count(LEAST_FREE_FOR_DRILL, self._deadline) < LEAST_FREE_FOR_DRILL:
            raise NotFound
        loan = self._numbers.loan(
            country=self.situation.country, quota=None, now=now, deadline=self._deadline, takes=False
        )
        if loan.kind not in (LoanKind.FREE, LoanKind.NEW):
            raise NotFound
        return loan, structs.replace(self._new_lease(self.word, now), number=loan.number, drill=True)

    def _held_by_others(self, number: str, now: datetime) -> bool:
        """Whether the number was shared out while it rested."""
        holders = self._numbers.holders(number, self._deadline) or []
        return any(each.agent_key != self._agent_key and each.lease.keeps_number(self._rules, now) for each in holders)

    def _change(self, stored: Stored, loan: Loan | None, lease: Lease, ration: str | None, now: datetime) -> Change:
        assert self.number is not None
        recipients = self._recipients()
        self.shares = loan is not None and loan.kind is LoanKind.SHARED
        self.rationed = bool(recipients) and self._beyond_ration(stored.emergency, ration, now)
        leg = Leg(
            leg_id=self._leg_id,
            call_row=self._call_row,
            dialled_at=self._dialled_at(now),
            received_at=self._received_at(now),
            by_event=self._dial.by_event,
            number=lease.number,
            shared=lease.shared,
            test=self.number.test,
            notified=len(recipients),
            holds_presence=self._late_for is None,
            reported_end=self._early_end(),
            claims=(key_of(self._dial.server_call_id),) if self._dial.server_call_id else (),
        )
        known = self._emergency(stored.emergency, loan)
        emergency = with_outage_hold(with_leg(known, leg, lease, self._rules, now), self._outage_hold)
        notice = self._notice(emergency, leg, recipients, now) if recipients else None
        if notice is not None and self._deployment.closing_notices:
            emergency = with_thread_opened(emergency, notice.notice_id, self._rules, now)
        return Change(
            stored=stored,
            emergency=emergency,
            now=now,
            loan=loan,
            new_call=self._call_row,
            late_for=self._late_for,
            notice=notice,
            ration_row=ration,
            notice_from=ration_over(now) if self.rationed else None,
        )

    def _beyond_ration(self, known: Emergency | None, ration: str | None, now: datetime) -> bool:
        if self._agent is None:
            return ration is None
        legs = known.legs if known is not None else ()
        return had_enough((leg.received_at or leg.dialled_at for leg in legs if leg.notified), now)

    def _contacts(self) -> tuple[str, ...]:
        """The agent's own, and those of the site where the desktop is now (B14)."""
        own = self._agent.emergency_contacts if self._agent else ()
        return (*own, *(self._site.emergency_contacts if self._site else ()))

    def _recipients(self) -> tuple[str, ...]:
        if self._dial.drill_for is not None:
            return self._dial.drill_for
        return recipients_of(self._contacts(), self._deployment.default_contacts)

    def _ask_outside(self, now: datetime) -> _Outside:
        return _Outside(
            place=self._numbers.place_outside(self._caller, self._deadline),
            ration=self._numbers.ration(self.subject.owner, now, self._deadline) if self._recipients() else None,
            quota=self._numbers.quota(self._deadline),
        )

    def _early_end(self) -> LegEnd | None:
        end = self._late_for
        return LegEnd(end.ended_at, end.by_agent) if end is not None and end.ended_at is not None else None

    def _emergency(self, known: Emergency | None, loan: Loan | None) -> Emergency:
        subject, agent, said = self.subject, self._agent, self._identity
        listed = agent.acs_user_ids if agent else ()
        starters = listed or ((said,) if said else ())
        first = (said,) if said in starters and said else ()
        # Those of an entry without an object id, which the agent named, may be rung; they tie nothing.
        rung = subject.named.acs_user_ids if subject.named else ()
        new = Emergency(agent_id=subject.agent_id, agent_key=self._agent_key, in_directory=False)
        base = without_drill(known) if known else new
        return structs.replace(
            base,
            agent_id=subject.agent_id,
            in_directory=agent is not None,
            owner=subject.owner,
            starters=starters or base.starters,
            reach=Reach(
                acs_user_ids=tuple(dict.fromkeys((*first, *starters, *rung))) or base.reach.acs_user_ids,
                alternate_numbers=agent.alternate_numbers if agent else (),
                desk=self._site.security_desk if self._site else (),
            ),
            quota=loan.quota_row if loan is not None else base.quota,
            place=self._place or base.place,
            situation=self.situation,
        )

    def _notice(self, emergency: Emergency, leg: Leg, recipients: tuple[str, ...], now: datetime) -> Notice:
        assert emergency.lease is not None
        until = emergency.lease.promised_until(self._rules)
        bare = self._bare_notice(leg.dialled_at, recipients)
        if self.rationed:
            # One for all of this emergency's dials beyond the ration: the latest says all that the earlier ones did.
            one_for_all = derived(f"{emergency.lease.epoch}|{ration_over(now).isoformat()}", "notice")
            bare = structs.replace(bare, notice_id=one_for_all)
        return structs.replace(
            bare,
            callback_number=leg.number,
            reachable_until=until,
            word=emergency.lease.word,
            shared=leg.shared,
            foreign=self._is_foreign(emergency, leg.number),
            test=leg.test,
            give_up_at=until,
        )

    def _bare_notice(self, dialled_at: datetime, recipients: tuple[str, ...]) -> Notice:
        agent = self._agent
        return Notice(
            notice_id=derived(self._leg_id, "notice"),
            recipients=recipients,
            agent_key=self._agent_key,
            agent_id=self.subject.agent_id,
            agent_name=agent.name if agent else None,
            dialled=self.number.number if self.number else "",
            claimed=self._known and agent is None,
            dialled_at=dialled_at,
            callback_number=self._deployment.fallback_number or "",
            reachable_until=dialled_at + self._rules.window,
            shared=False,
            test=False,
            drill=self._is_drill,
            degraded=False,
            location=self.situation.told,
            site=self.situation.site,
            placeable=self.situation.placement.placeable,
            number_shown=self.situation.number_shown,
            locale=self._dial.locale or (agent.locale if agent else None),
            time_zone=self.situation.time_zone or self._deployment.time_zone,
            give_up_at=dialled_at + self._rules.window,
        )

    def _effects(self, committed: Committed) -> tuple[Effect, ...]:
        notice = (DeliverNotice(committed.notice),) if committed.notice is not None else ()
        emergency = committed.stored.emergency
        return (*(owed_to(emergency) if emergency is not None else ()), *notice)

    def _answer(self, emergency: Emergency, leg: Leg, now: datetime, *, known: bool) -> Answer:
        assert emergency.lease is not None
        placement = (emergency.situation or Situation()).placement
        return Answer(
            call_id=self._dial.call_id,
            agent_id=self.subject.agent_id,
            callback_number=leg.number or None,
            expires_at=emergency.lease.promised_until(self._rules),
            shared=leg.shared,
            foreign=self._is_foreign(emergency, leg.number),
            test=leg.test,
            notified=leg.notified,
            placeable=placement.placeable,
            dial=placement.dial,
            ignored=self._all_ignored,
            panel=panel_of(emergency, self._rules, now),
            known=known,
        )

    def _is_foreign(self, emergency: Emergency, number: str) -> bool:
        """Whether the lent number is of another country than the caller was in when they dialled."""
        lost = emergency.lease is None or emergency.lease.lost
        return not lost and emergency.situation is not None and is_foreign(number, emergency.situation.country)

    def _look_up_call_id(self) -> None:
        """Somebody's call has this id already: it ended before it started, or it is another agent's."""
        recorded = self._emergencies.calls(key_of(self._dial.call_id), self._deadline)
        keys = self._emergencies.keys_of(self.subject.key, self._deadline)
        mine = [each for each in recorded if each.agent_key in keys]
        if mine:
            # Another host with another secret in front may have recorded it under another of the keys.
            self._recorded_under = mine[0].agent_key
            return
        ends = [each for each in recorded if each.agent_key is None and self._believed(each)]
        self._late_for = ends[0] if ends else None
        bare = f"call|{key_of(self._dial.call_id)}"
        if any(each.row == bare and each is not self._late_for for each in recorded):
            # Ids are the softphone's own and may clash; nobody's emergency may depend on another's choice of id.
            self._call_row = f"{bare}|{self._agent_key}"

    def _believed(self, end: CallOwner) -> bool:
        return end.ended_by is None or not self._caller.is_agent or end.ended_by == self._caller.owner

    # The outage

    def after_outage(self, answer: Answer) -> tuple[Effect, ...]:
        """What is owed for presence that this process held before it knew whose the dial is."""
        if self.subject.key != agent_key_of(self._dial.agent_id):
            hold = derived(leg_id_of(agent_key_of(self._dial.agent_id), self._dial.call_id), "hold")
            return (ReturnPresence(self._dial.agent_id, hold),)
        # Another process recorded it: whose the presence is must be looked at again.
        return (ReconcilePresence(self._agent_key),) if answer.known else ()

    def _mail_granted(self, outage: OutageLog, now: datetime) -> bool:
        """Whether the ration of whoever dialled allows it; what is beyond is owed once the store knows the dial."""
        own = self._caller.is_agent or self._agent is not None
        principal = self.subject.key if self._agent is not None else self._caller.owner
        return outage.grants_mail(self._leg_id, principal, notices_a_window(None if own else principal), now)

    def _hold_in_outage(self) -> Effect:
        subject = self.subject
        # A sign-in says who they are; what a machine says stands in for an entry that nobody has read.
        claimed = None if self._agent is not None else self._dial.entra_object_id
        object_id = self._caller.name if self._caller.is_agent else claimed
        return HoldInOutage(subject.agent_id, subject.key, subject.presence_id, self._hold, object_id or None)

    def run_beyond_bound(self, outage: OutageLog, now: datetime) -> Started:
        """The answer of an outage, for nobody knows whom: no presence is held, of which nobody would know later."""
        started = self.run_in_outage(outage, now)
        mails = tuple(effect for effect in started.effects if isinstance(effect, MailInOutage))
        return structs.replace(started, effects=mails, bounded=True)

    def run_in_outage(self, outage: OutageLog, now: datetime) -> Started:
        """The dial when the store is away: the fallback number, the default contacts, presence held (B1)."""
        number = self._situate(now)
        dialled_at = self._dialled_at(now)
        if self._too_late(dialled_at, now):
            return self._stale()
        recipients = recipients_of(self._deployment.default_contacts, self._contacts())
        notice = structs.replace(
            self._bare_notice(dialled_at, recipients), degraded=True, test=number.test, number_shown=False
        )
        effects: list[Effect] = [self._hold_in_outage()]
        if recipients and not outage.mailed(self._leg_id) and self._mail_granted(outage, now):
            effects.append(MailInOutage(self._leg_id, notice))
        # The softphone dials with the lent number or with none: never with the fallback number.
        situation = structs.replace(self.situation, number_shown=False)
        placement = situation.placement
        fallback, expires_at = self._deployment.fallback_number, dialled_at + self._rules.window
        known = OutageDial(expires_at=expires_at, test=number.test, situation=situation, by=self._caller.owner)
        outage.dialled(self.subject.agent_id, known)
        answer = Answer(
            call_id=self._dial.call_id,
            agent_id=self.subject.agent_id,
            callback_number=fallback,
            expires_at=expires_at,
            test=number.test,
            degraded=True,
            notified=len(recipients),
            placeable=placement.placeable,
            dial=placement.dial,
            ignored=self._all_ignored,
            panel=with_number(emergency_panel(test=number.test, placement=placement), fallback, expires_at, situation),
        )
        return Started(answer, tuple(effects))
