"""The site where a desktop is now (B14)."""

from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unavailable
from shared.domain.locations import Desktop
from shared.domain.sites import Site, site_now
from shared.ports import AgentDirectory, SiteRegister


def find_site(
    agent_id: str,
    desktop: Desktop,
    client: str | None,
    *,
    directory: AgentDirectory,
    sites: SiteRegister,
    clock: Clock,
    deadline: Deadline,
) -> Site | None:
    """The site that follows from the desktop, as a dial from it would find it; None where nobody can tell now."""
    known, entry = sites.known(deadline), directory.find(agent_id, deadline)
    try:
        agent = entry.result()
        return site_now(
            known.result(),
            desktop_id=desktop.desktop_id,
            desktop=desktop,
            client=client,
            registered=agent.site if agent else None,
            now=clock.now(),
        )
    except Unavailable:
        return None
