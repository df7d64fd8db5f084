"""What is kept of an agent's desktop (B15)."""

from shared.deadlines import Deadline
from shared.domain.errors import NotFound
from shared.domain.locations import Desktop, desktop_of
from shared.ports import Desktops


def show_desktop(agent_id: str, desktop_id: str | None, *, desktops: Desktops, deadline: Deadline) -> Desktop:
    """What is kept of a desktop, or of the agent's only one; raises `NotFound`, `Unavailable`."""
    found = desktop_of(desktops.of(agent_id, deadline).result(), desktop_id)
    if found is None:
        raise NotFound
    return found
