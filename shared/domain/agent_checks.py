"""What is looked at for one agent (S10)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from shared.domain.agents import Agent, CapacityProfile, OutboundProfile
from shared.domain.contacts import MAX_CONTACTS
from shared.domain.deployment import Deployment
from shared.domain.emergency_numbers import Placeable
from shared.domain.locations import OLD_AFTER, Desktop, Permission
from shared.domain.notifications import Delivery, recipients_of
from shared.domain.path_checks import emergency_path
from shared.domain.placement_checks import outlook_of, placement_check
from shared.domain.pool import domestic_zones, zone_of_number
from shared.domain.presence import Presence
from shared.domain.presence_checks import agent_presence_checks
from shared.domain.readiness import Check, ok, problem, unknown, warning
from shared.domain.sites import Site, SiteMap
from shared.domain.stamps import age_of
from shared.domain.voice_routes import Telephony
from shared.domain.words import Words

_ONE_CALL = 1


class KnownOfAgent(Struct, frozen=True, kw_only=True):
    """All that is known of an agent when somebody asks; None where it was not answered.

    `profiles` are the agent's capacity profiles as the contact centre tells them. `presence` is what a presence service
    outside shows; `presence_asked`: whether anybody asked it, as nobody does for all agents at once. `sharing`: whether
    another entry has the same Microsoft Entra object id.
    """

    agent: Agent
    deployment: Deployment
    telephony: Telephony
    desktops: tuple[Desktop, ...] | None = None
    deliveries: Mapping[str, Delivery] | None = None
    sites: SiteMap | None = None
    profiles: tuple[CapacityProfile, ...] | None = None
    presence: Presence | None = None
    presence_asked: bool = False
    sharing: bool | None = None

    @property
    def site(self) -> Site | None:
        """The site that the entry names, where there is one."""
        return self.sites.named(self.agent.site) if self.sites is not None else None

    @property
    def told(self) -> tuple[str, ...]:
        """Who is told of a call that the agent dials at their own site."""
        return _told(self.agent, self.site, self.deployment)

    @property
    def site_unread(self) -> bool:
        """Whether it names one that was not answered: what that has is not known."""
        return self.sites is None and self.agent.site is not None


def agent_checks(known: KnownOfAgent, now: datetime) -> Iterator[Check]:
    """Every check of one agent."""
    subject = f"agent:{known.agent.agent_id}"
    yield from _entry(known, subject, now)
    backend, shown = known.deployment.presence_backend, known.presence
    yield from agent_presence_checks(known.agent, backend, shown, now, asked=known.presence_asked)
    yield from _desktops(known, subject, now)
    yield from _site(known, subject, now)
    profile = known.agent.outbound_profile
    yield (
        _profile(profile, subject, now) if known.profiles is None else _capacity(known.profiles, profile, subject, now)
    )
    stated = profile.caller_id if profile is not None else None
    caller_ids = (stated,) if stated else known.deployment.callback_numbers
    yield emergency_path(caller_ids, known.telephony, subject)
    yield from _deliveries(known.deliveries, known.told, subject, now)


def _entry(known: KnownOfAgent, subject: str, now: datetime) -> Iterator[Check]:
    agent = known.agent
    if agent.entra_object_id is None:
        yield warning(
            "object_id",
            "The entry has no Entra object id: only a Machine can speak for this agent.",
            "Add `entra_object_id`.",
            now,
            subject,
        )
    if known.sharing:
        yield warning(
            "object_id",
            "Another entry has the same Entra object id: who signs in with it has both, and is the first by id for "
            "whatever names neither.",
            "Remove the entry that is out of date, or correct `entra_object_id`.",
            now,
            subject,
        )
    if not agent.acs_user_ids and not agent.alternate_numbers:
        yield warning(
            "identity",
            "Nothing in the entry can be rung: a callback rings what the softphone names at the dial, else the desk.",
            "Add `acs_user_ids` or `alternate_numbers`.",
            now,
            subject,
        )
    if set(agent.alternate_numbers) & set(known.deployment.callback_numbers):
        yield problem(
            "alternate_numbers",
            "An alternate number is one of the pool: a callback would go round.",
            "Take it out of `alternate_numbers`.",
            now,
            subject,
        )
    yield from _contacts(known, subject, now)
    if not agent.address and not known.site_unread and not (known.site and known.site.address):
        yield problem(
            "address",
            "Neither the entry nor its site has an address: where nothing live is known, the location is unknown.",
            "Add `address` to the entry or to its site.",
            now,
            subject,
        )
    yield from _country(known, subject, now)
    if all((agent.entra_object_id, agent.acs_user_ids or agent.alternate_numbers, known.told, country_of_agent(known))):
        yield ok("entry", "The entry says who the agent is, whom to ring and whom to tell.", now, subject)


def contacts_told(agent: Agent, site: Site | None, deployment: Deployment) -> tuple[str, ...]:
    """Whose deliveries are looked at: who is told of a call, and the default contacts, to whom a bounce goes on."""
    told = _told(agent, site, deployment)
    return recipients_of((*told, *deployment.default_contacts), ())


def _told(agent: Agent, site: Site | None, deployment: Deployment) -> tuple[str, ...]:
    of_site = site.emergency_contacts if site is not None else ()
    return recipients_of((*agent.emergency_contacts, *of_site), deployment.default_contacts)


def _contacts(known: KnownOfAgent, subject: str, now: datetime) -> Iterator[Check]:
    if not known.told and not known.site_unread:
        yield problem(
            "contacts",
            "Nobody is told of a call by this agent.",
            "Add contacts to the entry, to its site, or to EMERGENCY_CONTACTS.",
            now,
            subject,
        )
    if len(known.agent.emergency_contacts) > MAX_CONTACTS:
        yield warning(
            "contacts",
            Words(
                "The entry has more than {most} contacts, from before that was the most: all are told of a call, and "
                "the entry cannot be saved with them.",
                most=MAX_CONTACTS,
            ),
            "Take some out of `emergency_contacts`, or name a distribution list.",
            now,
            subject,
        )


def _site(known: KnownOfAgent, subject: str, now: datetime) -> Iterator[Check]:
    if known.agent.site is None:
        return
    if known.sites is None:
        yield unknown("site", "The sites could not be read in time.", "Ask again in a minute.", None, subject)
    elif known.site is None:
        yield problem(
            "site",
            "The entry names a site that does not exist: it tells nobody, and has no address.",
            "Correct `site`, or add the site.",
            now,
            subject,
        )


def country_of_agent(known: KnownOfAgent) -> str | None:
    """As a dial takes it, where neither the dial nor the desktop tells one."""
    return known.agent.country or (known.site.country if known.site else None)


def _country(known: KnownOfAgent, subject: str, now: datetime) -> Iterator[Check]:
    country = country_of_agent(known)
    if country is None and known.site_unread:
        return
    if country is None:
        yield warning(
            "country",
            "Neither the entry nor its site has a country: a number counts as an emergency if it is one in any "
            "configured country.",
            "Add `country`.",
            now,
            subject,
        )
        return
    not_placed = placement_check("country", country, known.deployment, known.telephony, subject, now)
    if not_placed is not None:
        yield not_placed
    if not _has_number_of(country, known.deployment.callback_numbers):
        yield warning(
            "number_country",
            Words("No callback number belongs to {country}: a foreign one would be lent.", country=country),
            "Buy a number of that country.",
            now,
            subject,
        )


def _has_number_of(country: str, pool: Collection[str]) -> bool:
    return any(zone_of_number(number) in domestic_zones(country) for number in pool)


def _desktops(known: KnownOfAgent, subject: str, now: datetime) -> Iterator[Check]:
    if known.desktops is None:
        yield unknown("desktop", "The reports could not be read in time.", "Ask again in a minute.", None, subject)
        return
    if not known.desktops:
        yield warning(
            "desktop", "No desktop of this agent was ever seen.", "Have the agent open the panel.", None, subject
        )
        return
    for desktop in known.desktops:
        yield from _desktop(desktop, known, subject, now)


def _desktop(desktop: Desktop, known: KnownOfAgent, subject: str, now: datetime) -> Iterator[Check]:
    positioned = desktop.location is not None and desktop.location.has_position
    # A position that came shows that the page may see it: some browsers forget what was allowed, or never tell.
    permission = desktop.location_permission if not positioned else None
    found = [(reason, remedy) for fault, reason, remedy in _faults(desktop, permission, known, now) if fault]
    for reason, remedy in found:
        yield warning("desktop", reason, remedy, desktop.at, subject)
    if permission is Permission.UNKNOWN:
        yield unknown(
            "desktop",
            "Whether a desktop lets the page see its location is not known.",
            "Have the agent open the panel there, in a browser that tells it.",
            desktop.at,
            subject,
        )
    elif not found:
        yield ok(
            "desktop",
            "A desktop was seen lately; a position was seen, not checked."
            if positioned
            else "A desktop was seen lately; the place is stated, not checked.",
            desktop.at,
            subject,
        )


def _faults(
    desktop: Desktop, permission: Permission | None, known: KnownOfAgent, now: datetime
) -> Sequence[tuple[bool, Words, Words]]:
    """What may be wrong with a desktop: whether it is, why, and what to do."""
    there = outlook_of(desktop.country, known.deployment, known.telephony).placeable if desktop.country else None
    return (
        (
            age_of(desktop.at, now) > OLD_AFTER,
            Words("A desktop was last seen over 24 hours ago."),
            Words("Have the agent open the panel there."),
        ),
        (
            desktop.location_permission is Permission.DENIED,
            Words("A desktop does not let the page see its location."),
            Words("Allow the location for the page in the browser's settings."),
        ),
        (
            permission is Permission.PROMPT,
            Words("Nobody has allowed yet that the page sees the location of a desktop: a dial there has none."),
            Words("Have the agent open the panel there, and allow the location when the browser asks."),
        ),
        (
            desktop.environment.misleads,
            Words("A desktop is virtual or behind a VPN: what it sees may be the data centre's place."),
            Words("Have the agent confirm where they are, at every sign-in."),
        ),
        (
            there is Placeable.NO,
            Words("A desktop is in a country where the platform places no emergency calls."),
            Words("Tell the agent which telephone to use."),
        ),
        (
            there is Placeable.UNKNOWN,
            Words(
                "A desktop is in a country where the platform is not known to place emergency calls: that is up to a "
                "voice route and its carrier."
            ),
            Words("Agree on it with the carrier, or tell the agent which telephone to use."),
        ),
        (
            desktop.confirmed(now) is None,
            Words("A desktop has no confirmation of where it is that still holds."),
            Words("Have the agent confirm it in the panel."),
        ),
    )


def _capacity(found: Sequence[CapacityProfile], stated: OutboundProfile | None, subject: str, now: datetime) -> Check:
    """What the contact centre tells, in place of what an administrator stated."""
    if not found:
        return warning(
            "outbound_profile",
            "The contact centre has no capacity profile for this agent: they may be unable to dial.",
            "Assign one that is tied to an outbound profile, in Customer Service admin center.",
            now,
            subject,
        )
    limits = tuple(
        f"{each.name}: {each.limit}" if each.limit is not None else Words("{name}: none", name=each.name)
        for each in found
    )
    if any(each.limit == _ONE_CALL for each in found):
        return warning(
            "outbound_profile",
            Words(
                "A capacity profile has a work item limit of 1 ({limits}, as read in the contact centre): an agent on "
                "a customer's call may be unable to dial. Which of them an outbound profile is tied to cannot be seen "
                "from here.",
                limits=limits,
            ),
            "Raise the limit, or tell the agent to end the call first.",
            now,
            subject,
        )
    limit = stated.work_item_limit if stated is not None else None
    if limit is not None and limit not in {each.limit for each in found}:
        return warning(
            "outbound_profile",
            Words(
                "The work item limit that was stated, {limit}, is none of the contact centre's ({limits}).",
                limit=limit,
                limits=limits,
            ),
            "Correct `outbound_profile` in the entry.",
            now,
            subject,
        )
    return ok(
        "outbound_profile",
        Words(
            "Work item limits as read in the contact centre: {limits}. Which of them an outbound profile is tied to "
            "cannot be seen from here.",
            limits=limits,
        ),
        now,
        subject,
    )


def _profile(profile: OutboundProfile | None, subject: str, now: datetime) -> Check:
    if profile is None:
        return unknown(
            "outbound_profile",
            "Nobody has stated an outbound profile, and none can be seen from here.",
            "State it as `outbound_profile` in the entry, as Customer Service admin center shows it.",
            None,
            subject,
        )
    if profile.work_item_limit == _ONE_CALL:
        return warning(
            "outbound_profile",
            "As an administrator stated, the capacity profile has a work item limit of 1: an agent on a customer's "
            "call may be unable to dial.",
            "Raise the limit, or tell the agent to end the call first.",
            now,
            subject,
        )
    return ok("outbound_profile", "As an administrator stated; it cannot be seen from here.", now, subject)


def _deliveries(
    deliveries: Mapping[str, Delivery] | None, contacts: Collection[str], subject: str, now: datetime
) -> Iterator[Check]:
    if deliveries is None:
        yield unknown("deliveries", "The delivery reports could not be read.", "Ask again in a minute.", None, subject)
        return
    bounced = [each for each in deliveries.values() if each in {Delivery.FAILED, Delivery.REFUSED}]
    if bounced:
        yield problem(
            "deliveries",
            Words(
                "The last message to {contacts} of this agent's contacts was not delivered.",
                contacts=len(bounced),
            ),
            "Correct the addresses, or look why their mail service refuses the sender.",
            now,
            subject,
        )
    elif deliveries and deliveries.keys() >= set(contacts):
        # Of a contact to whom nothing was ever sent, nothing is known.
        yield ok("deliveries", "The last message to every contact was taken.", now, subject)
