"""What is kept of an agent's desktop (B15)."""

from msgspec import structs

from shared.deadlines import Deadline
from shared.domain.errors import NotFound
from shared.domain.locations import Desktop, desktop_of
from shared.ports import Desktops


def show_desktop(
    agent_id: str, desktop_id: str | None, client: str | None, *, desktops: Desktops, deadline: Deadline
) -> Desktop:
    """What is kept of a desktop, or of the agent's only one; raises `NotFound`, `Unavailable`.

    `client` is the IP address from which the agent themself asks: what they confirmed elsewhere does not hold there.
    """
    found = desktop_of(desktops.of(agent_id, deadline).result(), desktop_id)
    if found is None:
        raise NotFound
    return structs.replace(found, seen_from=desktops.seen_from(client, deadline)) if client else found
