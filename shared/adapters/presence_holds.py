"""What is known of a hold in a presence service outside: whom it is for and its mark, from the store or from memory."""

from typing import Protocol

from msgspec import structs

from shared.adapters.presence_marks import Mark, PresenceMarks
from shared.adapters.presence_users import PresenceUsers
from shared.deadlines import Deadline


class Holds(Protocol):
    """Where a gateway looks up users and marks."""

    def user(self, agent_id: str, deadline: Deadline, /) -> str | None:
        """The service's id of this agent; None where nothing tells it. Raises `Unavailable`."""
        ...

    def mark(self, agent_id: str, deadline: Deadline, /) -> Mark | None:
        """The mark of this agent's hold. Raises `Unavailable`."""
        ...

    def keep(self, agent_id: str, mark: Mark, deadline: Deadline, /) -> Mark:
        """Keep the mark over the version that was read. Raises `Conflict`, `Unavailable`."""
        ...

    def remove(self, agent_id: str, mark: Mark | None, deadline: Deadline, /) -> None:
        """Keep nothing: of this mark as it was read (`Conflict`), of any if it is None. Raises `Unavailable`."""
        ...

    def in_outage(self, object_id: str | None, /) -> "Holds":
        """What this process remembers, for one whose object id sign-in or dial tell."""
        ...


class StoredHolds:
    """Port `Holds`: in the tables."""

    def __init__(self, users: PresenceUsers, marks: PresenceMarks) -> None:
        self._users = users
        self._marks = marks

    def user(self, agent_id: str, deadline: Deadline) -> str | None:
        """By the directory."""
        return self._users.find(agent_id, deadline)

    def mark(self, agent_id: str, deadline: Deadline) -> Mark | None:
        """By its row; of one set in an outage, by the service's id of the agent."""
        mark = self._marks.of(agent_id, deadline)
        if mark is not None:
            # Whoever recorded the dial has written it. That one's end will not be told to this process.
            self._marks.settled(mark)
            return mark
        if not self._marks.any_unrecorded:
            return None
        user_id = self._users.find(agent_id, deadline)
        return self._marks.unrecorded(user_id) if user_id is not None else None

    def keep(self, agent_id: str, mark: Mark, deadline: Deadline) -> Mark:
        """In its row."""
        return self._marks.keep(agent_id, mark, deadline)

    def remove(self, agent_id: str, mark: Mark | None, deadline: Deadline) -> None:
        """Row and memory."""
        self._marks.remove(agent_id, mark, deadline)
        if mark is None and self._marks.any_unrecorded and (user_id := self._users.find(agent_id, deadline)):
            self._marks.drop(user_id)

    def in_outage(self, object_id: str | None) -> "RecalledHolds":
        """The same users and marks, from memory."""
        return RecalledHolds(self._users, self._marks, object_id)


class RecalledHolds:
    """Port `Holds`: in this process, while the store is away; nothing is read or written."""

    def __init__(self, users: PresenceUsers, marks: PresenceMarks, object_id: str | None) -> None:
        self._users = users
        self._marks = marks
        self._object_id = object_id

    def user(self, agent_id: str, _deadline: Deadline) -> str | None:
        """By what sign-in or dial say, and by the entry as it was read last."""
        return self._users.recall(agent_id, self._object_id)

    def mark(self, agent_id: str, deadline: Deadline) -> Mark | None:
        """That of a hold which this process set."""
        user_id = self.user(agent_id, deadline)
        return self._marks.unrecorded(user_id) if user_id is not None else None

    def keep(self, _agent_id: str, mark: Mark, _deadline: Deadline) -> Mark:
        """In memory, until the store has it."""
        return self._marks.keep_in_memory(structs.replace(mark, in_outage=True))

    def remove(self, agent_id: str, mark: Mark | None, deadline: Deadline) -> None:
        """Of memory, where the mark is nowhere else."""
        self._marks.remove(agent_id, mark, deadline)

    def in_outage(self, object_id: str | None) -> "RecalledHolds":
        """For another one."""
        return RecalledHolds(self._users, self._marks, object_id)
