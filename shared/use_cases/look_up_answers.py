"""What is recorded under the call ids of answers to a callback that are no legs yet: perhaps their ends (B7)."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Self

from msgspec import Struct

from shared.deadlines import Deadline
from shared.domain.callback_legs import Recorded, call_key_of, new_answers
from shared.domain.callbacks import Callback
from shared.domain.callers import owner_named
from shared.domain.emergencies import Emergency, LegEnd
from shared.domain.errors import Unreadable
from shared.ports import AgentDirectory, CallOwner, EmergencyStore, NewLeg


class Found(Struct, frozen=True):
    """What stands under one call id: the end that the answer's leg replaces, and whether another's is there too."""

    late_for: CallOwner | None
    apart: bool

    @classmethod
    def of(cls, calls: Iterable[CallOwner], believed: Iterable[str | None]) -> Self:
        """Of all that is recorded under the id; `believed`: whose early ends are of this agent's call."""
        known = list(calls)
        late_for = next((each for each in known if each.agent_key is None and each.ended_by in believed), None)
        return cls(late_for, any(each.apart is None and each is not late_for for each in known))

    @property
    def recorded(self) -> Recorded:
        """The same for the domain."""
        end = self.late_for
        return Recorded(LegEnd(end.ended_at, end.by_agent) if end and end.ended_at else None, self.apart)


def look_up_answers(
    emergency: Emergency,
    callback: Callback,
    *,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
) -> dict[str, Found]:
    """What stands under each new answer's call id, by its key; one reading for each. Raises `Unavailable`."""
    keys = [call_key_of(each) for each in new_answers(emergency, callback)]
    calls = {key: emergencies.calls(key, deadline) for key in keys}
    believed = _believed(emergency, directory, deadline) if any(calls.values()) else ()
    return {key: Found.of(recorded, believed) for key, recorded in calls.items()}


def new_legs_of(before: Emergency, after: Emergency, found: Mapping[str, Found]) -> tuple[NewLeg, ...]:
    """The legs that this transition adds, so that a commit fails where their ids were recorded meanwhile."""
    known = {leg.leg_id for leg in before.legs}
    added = (leg for leg in after.legs if leg.leg_id not in known)
    return tuple(NewLeg(leg, found[leg.call_key].late_for) for leg in added)


def _believed(emergency: Emergency, directory: AgentDirectory, deadline: Deadline) -> set[str | None]:
    """Whose end without a start is that of the agent's own call: a machine's (None), and their own."""
    entry = None
    if emergency.owner is None:
        # Of a damaged entry nothing is believed; the callback may be another's, too, who shares the number.
        with suppress(Unreadable):
            entry = directory.find(emergency.agent_id, deadline).result()
    # Who signed in is known by an object id, where the sign-in has one, else by the agent's id.
    names = (entry.entra_object_id, entry.agent_id) if entry is not None else ()
    return {None, emergency.owner, *(owner_named(name) for name in names if name)}
