"""A reported dial, and what is known of it by now: whose it is, where they are, when it was (S1, B1, B14)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field, structs

from shared.domain.agents import Agent
from shared.domain.callers import Caller, is_of_an_agent
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, Leg, LegEnd, Reach, goes_on, latest_dialled, standing, without_drill
from shared.domain.emergency_numbers import EMERGENCY_911, EmergencyNumber, recognise
from shared.domain.ids import agent_key_of, derived, key_of, leg_id_of
from shared.domain.leases import Lease, Rules
from shared.domain.locations import OLD_AFTER, Desktop, Location, country_of, desktop_of, told_location
from shared.domain.notifications import Notice, NoticeKind, recipients_of
from shared.domain.pool import had_enough, is_foreign, ration_over
from shared.domain.presence import Hold
from shared.domain.sites import Site, SiteMap, site_now
from shared.domain.situations import Situation, situation_of
from shared.domain.stamps import age_of
from shared.domain.subjects import Subject, unlisted_key
from shared.domain.voice_routes import VoiceRoute, routed

# Less than that is the way of a request, and what a clock may be wrong by in any case.
CLOCKS_DIFFER_FROM = timedelta(minutes=1)
# A notice of a call in progress is owed so much longer at least, where nothing protects the number after the call.
ASKED_AGAIN_AFTER = timedelta(minutes=1)


class Dial(Struct, frozen=True, kw_only=True):
    """A reported dial; times are UTC, the country ISO 3166-1 alpha-2, identities raw ACS ids.

    `dialled_ago` is how long before `received_at` it was, by a clock that only measures; it outranks `dialled_at`.
    `received_at` is when the report first reached us, None for now. `by_event`: it may have come a day late.
    `repeated`: by us, after an outage, while nobody waits for the answer.
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
    repeated: bool = False
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


def claimed_key(dial: Dial, caller: Caller) -> str:
    """What a process remembers of a dial under, whoever it turns out to be of: its reporter's own."""
    return f"{caller.owner}|{leg_id_of(agent_key_of(dial.agent_id), dial.call_id)}"


class DialFacts(Struct, frozen=True, kw_only=True):
    """What is known of a dial by `now`; each step of a dial makes a fuller one, and an outage uses what there is.

    `identified`: the directory was asked whose it is; before, `subject` is presumed. `identity` is the ACS identity
    that was said, unless it is somebody else's. `misled`: no desktop is named, and each that was
    reported lately is virtual or behind a VPN. `number` and `situation` are there once it is `situated`.
    """

    dial: Dial
    caller: Caller
    deployment: Deployment
    now: datetime
    subject: Subject
    identity: str | None
    identified: bool = False
    ignored: tuple[str, ...] = ()
    desktop: Desktop | None = None
    misled: bool = False
    site: Site | None = None
    number: EmergencyNumber | None = None
    situation: Situation = field(default_factory=Situation)

    @property
    def rules(self) -> Rules:
        """The times that hold."""
        return self.deployment.rules

    @property
    def agent(self) -> Agent | None:
        """The entry of whoever dialled, None for an agent who is not in the directory."""
        return self.subject.entry

    @property
    def is_drill(self) -> bool:
        """Whether nobody dialled (B9)."""
        return self.dial.drill_for is not None

    @property
    def established(self) -> bool:
        """Whether it is known whose the dial is: by the directory or the sign-in, else by who may speak for others."""
        known = self.identified or self.agent is not None
        return known or not self.caller.is_agent or self.caller.agent_id is not None

    @property
    def leg_id(self) -> str:
        """The leg that this dial is, however often it is reported; before anybody was asked, if they name themself."""
        key = self.subject.key if self.established else agent_key_of(self.dial.agent_id)
        return leg_id_of(key, self.dial.call_id)

    @property
    def claimed_key(self) -> str:
        """As `claimed_key` of the module."""
        return claimed_key(self.dial, self.caller)

    @property
    def outage_key(self) -> str:
        """The same once it is known whose the dial is, for all who report it; nobody else's until then."""
        return self.leg_id if self.established else self.claimed_key

    @property
    def principal(self) -> str:
        """Who is rationed: an agent themself; of a machine each listed agent, and all others that it names as one."""
        return self.caller.owner if self.caller.is_agent or self.agent is None else self.subject.key

    @property
    def names(self) -> dict[str, str | None]:
        """The names by which a machine or a source may mean whoever dialled, with whose each is."""
        subject, caller, principal = self.subject, self.caller, self.subject.principal
        names = {subject.key: subject.owner}
        if subject.entry is not None:
            names[subject.entry.key] = None
        if principal is not None and is_of_an_agent(principal):
            names[unlisted_key(subject.agent_id, principal)] = principal
        if not caller.is_agent:
            names[unlisted_key(self.dial.agent_id, caller.owner)] = caller.owner
        return names

    @property
    def reported_as(self) -> str | None:
        """The id by which a machine or a source named an agent of the directory, where that is no entry's."""
        unused = self.agent is not None and "agent_id" in self.subject.ignored
        return self.dial.agent_id if unused and not self.caller.is_agent else None

    @property
    def presence_named(self) -> str:
        """Under which id an outage held presence for it."""
        named = self.agent.agent_id if self.agent is not None else self.dial.agent_id
        return self.subject.presence_id if self.caller.is_agent else named

    @property
    def thread(self) -> str:
        """The thread of mails that it begins, unless the emergency has one: without the store it follows as well."""
        return derived(self.leg_id, "thread")

    @property
    def hold(self) -> Hold:
        """The hold on presence that follows from it, in an outage as well."""
        return Hold(hold_id=derived(self.leg_id, "hold"))

    @property
    def all_ignored(self) -> tuple[str, ...]:
        """The fields that could not be used, or were not believed."""
        unused = () if self._object_id_counts else ("entra_object_id",)
        return tuple(dict.fromkeys((*self.dial.ignored, *self.ignored, *unused)))

    @property
    def _object_id_counts(self) -> bool:
        """Whether the object id that was said is used, or says nothing else than the sign-in: an agent's own."""
        said = self.dial.entra_object_id
        if said is None or not self.caller.is_agent:
            return True
        entered = self.agent.entra_object_id if self.agent is not None else None
        return said.lower() in {self.caller.name.lower(), (entered or "").lower()}

    @property
    def received_at(self) -> datetime:
        """When the report first reached us."""
        return self.dial.received_at or self.now

    @property
    def _said_at(self) -> datetime:
        ago = self.dial.dialled_ago
        return self.received_at - ago if ago is not None else self.dial.dialled_at or self.received_at

    @property
    def clock_wrong(self) -> bool:
        """Whether the desktop says a time that is further away than the window: a request proves that it is now."""
        return not self.dial.by_event and abs(self._said_at - self.received_at) > self.rules.window

    @property
    def dialled_at(self) -> datetime:
        """When it was dialled, as far as the clock that says so can be believed. An event may come a day late."""
        if self.clock_wrong:
            return self.received_at
        # A desktop whose clock runs ahead must not lengthen the lease.
        return min(self._said_at, self.received_at)

    @property
    def follows_until(self) -> datetime:
        """Which dials it follows: those that were dialled by then.

        A request that measured nothing counts by its receipt: the clock of a desktop that is behind would put what is
        dialled now before what was dialled elsewhere.
        """
        measured = self.dial.by_event or self.dial.dialled_ago is not None
        return self.dialled_at if measured else self.received_at

    @property
    def location(self) -> Location | None:
        """Where the desktop saw itself, its time by our clock: a desktop's says as well when it dialled."""
        seen, wrong_by = self.dial.location, self._desktop_ahead_by
        if seen is None or seen.at is None or abs(wrong_by) < CLOCKS_DIFFER_FROM:
            return seen
        return structs.replace(seen, at=seen.at - wrong_by)

    @property
    def _desktop_ahead_by(self) -> timedelta:
        """How far the desktop's clock is ahead of ours, behind where negative; none where nobody can tell."""
        said, ago = self.dial.dialled_at, self.dial.dialled_ago
        if said is None or self.dial.by_event:
            return timedelta(0)
        if ago is not None:
            return said - (self.received_at - ago)
        # Without a measured time, one in the past may be when it was dialled, unless that is not believed either.
        return said - self.received_at if said > self.received_at or self.clock_wrong else timedelta(0)

    @property
    def too_late(self) -> bool:
        """Whether it is reported after the window (B3)."""
        # Of a request only a repeat of our own can be: whoever asked was answered when it came.
        reported_at = self.dialled_at if self.dial.by_event else self.received_at
        return self.now - reported_at > self.rules.window

    @property
    def contacts(self) -> tuple[str, ...]:
        """The agent's own, and those of the site where the desktop is now (B14)."""
        own = self.agent.emergency_contacts if self.agent else ()
        return (*own, *(self.site.emergency_contacts if self.site else ()))

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom a notice of it goes to."""
        if self.dial.drill_for is not None:
            return self.dial.drill_for
        return recipients_of(self.contacts, self.deployment.default_contacts)

    def at_desktop(self, known: Sequence[Desktop]) -> "DialFacts":
        """With the desktop it came from, of those that the agent reported."""
        named = self.dial.desktop_id
        lately = [each for each in known if age_of(each.at, self.now) <= OLD_AFTER]
        misled = named is None and bool(lately) and all(each.environment.misleads for each in lately)
        return structs.replace(self, desktop=desktop_of(known, named), misled=misled)

    def at_site(self, sites: SiteMap) -> "DialFacts":
        """With the site where the desktop is now."""
        site = site_now(
            sites,
            desktop_id=self.dial.desktop_id,
            desktop=self.desktop,
            client=None if self.misled else self.dial.client_network,
            registered=self.agent.site if self.agent else None,
            now=self.now,
        )
        return structs.replace(self, site=site)

    def situated(self, routes: tuple[VoiceRoute, ...] | None) -> "DialFacts":
        """With which emergency number it is, and what holds for the caller; raises `NotAnEmergency`."""
        dial, countries = self.dial, self.deployment.countries
        # What is registered: the entry's first, then the site's.
        registered = [each for each in (self.agent, self.site) if each is not None]
        addresses = [each.address for each in registered]
        country = country_of(dial.country, self.desktop, [each.country for each in registered], self.now)
        number = recognise(dial.dialled, country=country, countries=countries)
        situation = situation_of(
            number,
            told=told_location(self.location, self.desktop, addresses, self.now, misled=self.misled),
            country=country,
            configured=countries,
            number_shown=dial.caller_id_ours,
            routed=routed(number.number, routes),
            carrier_takes_911=bool(routed(EMERGENCY_911, routes)),
        )
        zones = [self.site.time_zone if self.site else None, self.agent.time_zone if self.agent else None]
        situation = structs.replace(
            situation,
            site=(self.site.name or self.site.site_id) if self.site else None,
            time_zone=next((zone for zone in zones if zone), None),
            locale=dial.locale or (self.agent.locale if self.agent else None),
            contacts=self.recipients,
        )
        return structs.replace(self, number=number, situation=situation)

    def without_number_shown(self) -> "DialFacts":
        """With no number of the pool to dial with: no softphone may show the fallback number as its caller id."""
        return structs.replace(self, situation=structs.replace(self.situation, number_shown=False))


# What a dial makes ----------------------------------------------------------------------------------------------------


def new_lease(facts: DialFacts, word: str) -> Lease:
    """The lease that this dial begins, of a number that is still to be found."""
    epoch = derived(facts.leg_id, "lease")
    return Lease(
        number="",
        epoch=epoch,
        shared=False,
        lent_at=facts.now,
        dialled_at=facts.dialled_at,
        word=word,
        thread=facts.thread,
    )


def new_leg(facts: DialFacts, lease: Lease, ended: LegEnd | None, *, apart: bool, holds_presence: bool) -> Leg:
    """The leg that this dial is; `ended` is an end that came before it, `apart`: another's call has its id already."""
    assert facts.number is not None
    server_call_id = facts.dial.server_call_id
    return Leg(
        leg_id=facts.leg_id,
        call_key=key_of(facts.dial.call_id),
        apart=apart,
        dialled_at=facts.dialled_at,
        received_at=facts.received_at,
        told_when=facts.dial.dialled_at is not None or facts.dial.dialled_ago is not None,
        by_event=facts.dial.by_event,
        reported_by=None if facts.caller.is_agent else facts.caller.owner,
        reported_as=facts.reported_as,
        number=lease.number,
        shared=lease.shared,
        test=facts.number.test,
        notified=len(facts.recipients),
        holds_presence=holds_presence,
        reported_end=ended,
        claims=(key_of(server_call_id),) if server_call_id else (),
        answered_as=facts.subject.agent_id if facts.subject.owner is not None else None,
        country=facts.situation.country,
        placement=facts.situation.placement,
    )


def emergency_of(facts: DialFacts, known: Emergency | None, agent_key: str, lease: Lease) -> Emergency:
    """The emergency of whoever dialled, as they can be reached now; without the new leg.

    What a dial establishes on this `lease` is not overwritten by one that was dialled before it and is recorded later.
    """
    new = _emergency_of_latest(facts, known, agent_key)
    return _overtaken(new, known) if known is not None and _is_overtaken(facts, known, lease) else new


def _overtaken(new: Emergency, known: Emergency) -> Emergency:
    """What a dial makes of an emergency of which a later one is known: as if it had come before that (B7)."""
    # A later dial that named no softphone takes none away.
    rung = known.reach.acs_user_ids or new.reach.acs_user_ids
    reach = structs.replace(known.reach, acs_user_ids=rung)
    new = structs.replace(new, situation=known.situation, reach=reach)
    if new.in_directory or not known.starters:
        return new
    self_stated = (each for each in known.self_stated if each not in new.starters or each in new.self_stated)
    return structs.replace(new, starters=known.starters, self_stated=tuple(self_stated))


def _is_overtaken(facts: DialFacts, known: Emergency, lease: Lease) -> bool:
    """Whether the agent dialled again before this dial could be recorded."""
    latest = latest_dialled(known)
    later = latest is not None and latest.dialled_at > facts.follows_until
    return later and goes_on(known, lease, facts.rules, facts.now)


def _emergency_of_latest(facts: DialFacts, known: Emergency | None, agent_key: str) -> Emergency:
    subject, agent, said = facts.subject, facts.agent, facts.identity
    listed = agent.acs_user_ids if agent else ()
    starters = listed or ((said,) if said else ())
    first = (said,) if said in starters and said else ()
    # Those of an entry without an object id, which the agent named, may be rung; they tie nothing.
    rung = subject.named.acs_user_ids if subject.named else ()
    new = Emergency(agent_id=subject.agent_id, agent_key=agent_key, in_directory=False)
    base = without_drill(known) if known else new
    vouched = {*listed, *base.starters} - {*base.self_stated}
    self_stated = tuple(each for each in starters if facts.caller.is_agent and each not in vouched)
    return structs.replace(
        base,
        agent_id=subject.begun_as or subject.agent_id,
        in_directory=agent is not None,
        owner=subject.owner,
        reporter=_reporter(facts, base),
        starters=starters or base.starters,
        self_stated=self_stated if starters else base.self_stated,
        reach=Reach(
            acs_user_ids=tuple(dict.fromkeys((*first, *starters, *rung))) or base.reach.acs_user_ids,
            alternate_numbers=agent.alternate_numbers if agent else (),
            desk=facts.site.security_desk if facts.site else (),
        ),
        situation=facts.situation,
    )


def _reporter(facts: DialFacts, known: Emergency) -> str | None:
    """Whose ration the notices are of: a machine's dial under the object id of an agent must not use up theirs."""
    if facts.agent is not None:
        return None
    return facts.caller.owner if facts.caller.is_agent else known.reporter or facts.caller.owner


def beyond_ration(known: Emergency, now: datetime) -> bool:
    """Whether the dials of a listed agent have caused as many notices as they may."""
    return had_enough((leg.received_at or leg.dialled_at for leg in known.legs if leg.notified), now)


def callbacks_beyond_ration(known: Emergency, now: datetime) -> bool:
    """Whether callbacks to a listed agent have: counted apart, because anybody may ring the number, and ring often."""
    return had_enough(known.callback_notices, now)


def later_notice_id(lease: Lease, kind: NoticeKind, now: datetime, *, test: bool) -> str:
    """The id of the one notice of an emergency for all of a kind that are beyond the ration by now.

    Tests have one of their own: the latest is sent for all, and a test says nothing of a real call.
    """
    of = f"later test {kind}" if test else f"later {kind}"
    return derived(f"{lease.epoch}|{ration_over(now).isoformat()}", of)


def bare_notice(facts: DialFacts, agent_key: str, recipients: tuple[str, ...]) -> Notice:
    """A notice that says what is known without the store: the fallback number, for the window."""
    agent, number = facts.agent, facts.number
    until = facts.dialled_at + facts.rules.window
    return Notice(
        notice_id=derived(facts.leg_id, "notice"),
        recipients=recipients,
        agent_key=agent_key,
        agent_id=facts.subject.agent_id,
        agent_name=agent.name if agent else None,
        dialled=number.number if number else "",
        claimed=agent is None,
        dialled_at=facts.dialled_at,
        callback_number=facts.deployment.fallback_number or "",
        reachable_until=until,
        shared=False,
        test=False,
        drill=facts.is_drill,
        degraded=False,
        location=facts.situation.told,
        site=facts.situation.site,
        placeable=facts.situation.placement.placeable,
        number_shown=facts.situation.number_shown,
        locale=facts.situation.locale,
        time_zone=facts.situation.time_zone or facts.deployment.time_zone,
        give_up_at=until,
        thread=facts.thread,
    )


def full_notice(facts: DialFacts, emergency: Emergency, leg: Leg, *, rationed: bool, alone: bool) -> Notice:
    """The notice of a dial that has its number; `alone`: it is the first of its principal for now."""
    assert emergency.lease is not None
    before = any(each.notified for each in emergency.legs if each.leg_id != leg.leg_id)
    until = emergency.lease.promised_until(facts.rules)
    bare = bare_notice(facts, emergency.agent_key, facts.recipients)
    if rationed:
        # One for all of this emergency's dials beyond the ration: the latest says all that the earlier ones did.
        later = later_notice_id(emergency.lease, bare.kind, facts.now, test=leg.test)
        bare = structs.replace(bare, notice_id=later)
    return structs.replace(
        bare,
        callback_number=leg.number,
        reachable_until=until,
        word=emergency.lease.word,
        thread=emergency.lease.thread,
        shared=leg.shared,
        degraded=emergency.lease.fallback,
        foreign=has_foreign_number(emergency, leg),
        test=leg.test,
        give_up_at=until,
        repeat=before or rationed or not alone,
    )


def kept_owed(notice: Notice, known: Emergency | None, rules: Rules, now: datetime) -> Notice:
    """The notice, owed for as long as its lease lasts: a call may outlast what was promised at the dial (B3).

    Only as far as is certain by now: a call in progress may end at once, and the lease with it.
    """
    lease = _lease_told_of(notice, known)
    if lease is None or lease.taken or now < notice.give_up_at:
        return notice
    until, of_a_call = kept_tracked(notice, known, rules, now), notice.kind is NoticeKind.CALL
    if until is None or (of_a_call and lease.ends_at(rules) <= now):
        return notice
    reachable_until = lease.reachable_until(rules, now) if of_a_call else notice.reachable_until
    return structs.replace(notice, give_up_at=until, reachable_until=reachable_until)


def kept_tracked(notice: Notice, known: Emergency | None, rules: Rules, now: datetime) -> datetime | None:
    """Until when what is known of the notice's way is kept from now on; None where neither lease nor hold lasts.

    Only as far as is certain by now, as above.
    """
    lease = _lease_told_of(notice, known)
    if known is None or lease is None:
        return None
    ends_at, asked_again_at = lease.ends_at(rules), now + ASKED_AGAIN_AFTER
    if now < ends_at:
        return min(ends_at, max(lease.reachable_until(rules, now), asked_again_at))
    return asked_again_at if standing(known, rules, now).held else None


def _lease_told_of(notice: Notice, known: Emergency | None) -> Lease | None:
    """The lease that it tells of, if the emergency has that one still."""
    lease = known.lease if known is not None else None
    if lease is None or lease.drill or not lease.thread:
        return None
    told_of = (lease.thread, lease.number) == (notice.thread, notice.callback_number)
    return lease if told_of else None


def has_foreign_number(emergency: Emergency, leg: Leg) -> bool:
    """Whether the leg's number is of another country than the caller was in when they dialled."""
    latest = emergency.situation.country if emergency.situation else None
    return bool(leg.number) and is_foreign(leg.number, leg.country if leg.placement else latest)
