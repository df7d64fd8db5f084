"""How a presence service outside knows an agent: by the object id or the user id in their directory entry."""

from collections.abc import Callable
from typing import Protocol

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.ids import guid_of
from shared.ports import Pending


class KnownEntries(Protocol):
    """The directory's entries, and what this process remembers of them."""

    def find(self, agent_id: str, deadline: Deadline) -> Pending[Agent | None]:
        """An agent's entry, which may be a minute old. Raises `Unavailable`."""
        ...

    def last_known(self, agent_id: str) -> Agent | None:
        """The entry as this process read it last; reads nothing."""
        ...


class PresenceUsers:
    """Ids of agents in a presence service. `id_in` gives that of an entry, None where it has none.

    `by_object_id`: the service knows agents by their Microsoft Entra object ids, and so also those without an entry.
    """

    def __init__(self, entries: KnownEntries, id_in: Callable[[Agent], str | None], *, by_object_id: bool) -> None:
        self._entries = entries
        self._id_in = id_in
        self._by_object_id = by_object_id

    def find(self, presence_id: str, deadline: Deadline) -> str | None:
        """The service's id of this agent; of an unlisted one their object id, where that is their id here.

        None where nothing tells it. Raises `Unavailable`.
        """
        entry = self._entries.find(presence_id, deadline).result()
        return self._of(entry) if entry is not None else self._object_id(presence_id)

    def recall(self, presence_id: str, object_id: str | None) -> str | None:
        """As `find`, of what this process remembers; nothing is read. `object_id` is what sign-in or dial say.

        An entry of somebody else is not this agent's, whatever id they gave.
        """
        entry = self._entries.last_known(presence_id)
        if entry is not None and (object_id is None or object_id.lower() == (entry.entra_object_id or "").lower()):
            return self._of(entry)
        return self._object_id(object_id or presence_id)

    def _of(self, entry: Agent) -> str | None:
        return guid_of(self._id_in(entry) or "")

    def _object_id(self, text: str) -> str | None:
        return guid_of(text) if self._by_object_id else None
