"""The directory is counted, now and then and in the background, for readiness alone (B10)."""

from collections import Counter
from collections.abc import Callable

from shared.deadlines import Clock, Deadline
from shared.domain.agent_checks import KnownOfAgent, agent_checks, contacts_told, country_of_agent
from shared.domain.deployment import Deployment
from shared.domain.deployment_checks import Census
from shared.domain.ids import normal_id
from shared.domain.imports import object_id_of
from shared.domain.readiness import CheckState, worst
from shared.domain.sites import SiteMap
from shared.domain.voice_routes import Telephony
from shared.ports import AgentRegister, Deliveries, Desktops, SiteRegister
from shared.use_cases.export_agents import all_agents


def take_census(
    *,
    directory: AgentRegister,
    desktops: Desktops,
    deliveries: Deliveries,
    sites: SiteRegister,
    telephony: Callable[[Deadline], Telephony],
    deployment: Deployment,
    clock: Clock,
    deadline: Deadline,
) -> Census:
    """How many agents there are, where, and in which state the readiness of each is. Raises `Unavailable`."""
    desktops_of, deliveries_of = desktops.of_all(deadline), deliveries.of_all(deadline)
    known_sites, known_telephony = SiteMap(sites.all(deadline)), telephony(deadline)
    by_site, without_contacts = Counter[str](), Counter[str]()
    by_country, by_state = Counter[str](), Counter[CheckState]()
    without_identity = 0
    # Read twice, so that nobody keeps a whole directory in memory.
    having = Counter(map(object_id_of, all_agents(directory, deadline)))
    for agent in all_agents(directory, deadline):
        object_id = object_id_of(agent)
        known = KnownOfAgent(
            agent=agent,
            deployment=deployment,
            telephony=known_telephony,
            desktops=desktops_of(agent.agent_id),
            deliveries=deliveries_of(agent.agent_id, contacts_told(agent, known_sites.named(agent.site), deployment)),
            sites=known_sites,
            sharing=object_id is not None and having[object_id] > 1,
        )
        site = normal_id(agent.site or "")
        by_site[site] += 1
        without_contacts[site] += not agent.emergency_contacts
        without_identity += not (agent.acs_user_ids or agent.alternate_numbers)
        by_country[country_of_agent(known) or ""] += 1
        by_state[worst(agent_checks(known, clock.now()))] += 1
    return Census(
        agents=by_site.total(),
        by_site=by_site,
        by_country=by_country,
        by_state=by_state,
        without_contacts=without_contacts,
        without_identity=without_identity,
        at=clock.now(),
    )
