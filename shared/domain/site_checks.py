"""What is looked at for each site (B10, B14)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from shared.domain.contacts import MAX_CONTACTS
from shared.domain.deployment import Deployment
from shared.domain.identities import is_application
from shared.domain.ids import normal_id
from shared.domain.placement_checks import placement_check
from shared.domain.readiness import Check, ok, problem, unknown, warning
from shared.domain.sites import Site, SiteMap, network_of
from shared.domain.voice_routes import Telephony
from shared.domain.words import Words

DESK_IS_NO_PERSON = Words("The desk is an application: a queue or an attendant answers, and no person.")
NAME_A_PERSON = Words("Name a number or a user that a person answers.")


def site_checks(
    sites: SiteMap | None,
    deployment: Deployment,
    telephony: Telephony,
    agents_by_site: Mapping[str, int],
    now: datetime,
) -> Iterator[Check]:
    """Every check of the sites there are, and of those that are named and are not there; None was not answered.

    `agents_by_site` counts the entries that name each, "" for none.
    """
    if sites is None:
        yield unknown("sites", "The sites could not be read in time.", "Ask again in a minute.", None)
        return
    networks = Counter(network for site in sites.sites for network in _networks_of(site))
    for site in sites.sites:
        found = list(_site(site, networks, deployment, telephony, now))
        yield from found or [ok("site", "Somebody is told, and it has an address.", now, _subject(site.site_id))]
    for named, agents in agents_by_site.items():
        if named and sites.named(named) is None:
            yield problem(
                "site",
                Words(
                    "{agents} entries name this site, and it does not exist: it tells nobody, and has no address.",
                    agents=agents,
                ),
                "Add the site, or correct `site` in the entries.",
                now,
                _subject(named),
            )


def _site(
    site: Site, networks: Counter[str], deployment: Deployment, telephony: Telephony, now: datetime
) -> Iterator[Check]:
    subject = _subject(site.site_id)
    yield from _contacts(site, deployment, now)
    if set(site.security_desk) & set(deployment.callback_numbers):
        yield problem(
            "site_desk",
            "A number of the desk is one of the pool: a callback would go round.",
            "Take it out of `security_desk`.",
            now,
            subject,
        )
    if any(map(is_application, site.security_desk)):
        yield warning("site_desk", DESK_IS_NO_PERSON, NAME_A_PERSON, now, subject)
    if site.address is None:
        yield problem(
            "site_address",
            "There is no address: the location of an agent who has none of their own is unknown.",
            "Add `address`, as the responders have to find it.",
            now,
            subject,
        )
    if site.country is not None:
        not_placed = placement_check("site_country", site.country, deployment, telephony, subject, now)
        if not_placed is not None:
            yield not_placed
    yield from _networks(site, networks, now)


def _contacts(site: Site, deployment: Deployment, now: datetime) -> Iterator[Check]:
    subject = _subject(site.site_id)
    if not site.emergency_contacts and not deployment.default_contacts:
        yield warning(
            "site_contacts",
            "Nobody but an agent's own contacts is told of a call from here.",
            "Add contacts to the site, or set EMERGENCY_CONTACTS.",
            now,
            subject,
        )
    if len(site.emergency_contacts) > MAX_CONTACTS:
        yield warning(
            "site_contacts",
            Words(
                "It has more than {most} contacts, from before that was the most: all are told of a call, and it "
                "cannot be saved with them.",
                most=MAX_CONTACTS,
            ),
            "Take some out of `emergency_contacts`, or name a distribution list.",
            now,
            subject,
        )


def _networks(site: Site, networks: Counter[str], now: datetime) -> Iterator[Check]:
    subject = _subject(site.site_id)
    if not site.networks:
        yield warning(
            "site_networks",
            "It has no network: a desktop is here only where the agent's entry says so.",
            "Add `networks`, so that visitors are found too.",
            now,
            subject,
        )
    if any(networks[network] > 1 for network in _networks_of(site)):
        yield problem(
            "site_networks",
            "Another site has a network of this one: whoever is there is taken to be at one of the two.",
            "Take the network out of one of them.",
            now,
            subject,
        )


def _networks_of(site: Site) -> set[str]:
    return {network_of(each) or normal_id(each) for each in site.networks}


def _subject(site_id: str) -> str:
    return f"site:{site_id}"
