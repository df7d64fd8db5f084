"""What is recorded under the call ids of answers to a callback that are no legs yet: perhaps their ends (B7)."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from msgspec import Struct

from shared.deadlines import Deadline
from shared.domain.agents import Agent
from shared.domain.callback_legs import Recorded, call_key_of, new_answers
from shared.domain.callbacks import Callback
from shared.domain.callers import owner_named
from shared.domain.emergencies import Emergency
from shared.domain.errors import Unreadable
from shared.domain.ids import agent_key_of
from shared.domain.subjects import unlisted_key
from shared.ports import AgentDirectory, CallOwner, EmergencyStore, NewLeg
from shared.use_cases.believe_end import believed_ends, end_told, is_taken


class Found(Struct, frozen=True):
    """What stands under one call id: the ends that the answer's leg replaces, and whether another's is there too."""

    late_for: tuple[CallOwner, ...]
    apart: bool

    @property
    def recorded(self) -> Recorded:
        """The same for the domain."""
        return Recorded(end_told(self.late_for), self.apart)


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
    entry = _entry_of(emergency, directory, deadline) if any(calls.values()) else None
    # Who signed in is known by an object id, where the sign-in has one, else by the agent's id.
    own = [owner_named(name) for name in (entry.entra_object_id, entry.agent_id) if name] if entry is not None else []
    found: dict[str, Found] = {}
    for key, recorded in calls.items():
        late_for = believed_ends(
            recorded,
            told_by=(None, emergency.owner, *own),
            names=_names_of(emergency, own),
            emergencies=emergencies,
            deadline=deadline,
        )
        found[key] = Found(late_for, is_taken(recorded, late_for))
    return found


def new_legs_of(before: Emergency, after: Emergency, found: Mapping[str, Found]) -> tuple[NewLeg, ...]:
    """The legs that this transition adds, so that a commit fails where their ids were recorded meanwhile."""
    known = {leg.leg_id for leg in before.legs}
    added = (leg for leg in after.legs if leg.leg_id not in known)
    return tuple(NewLeg(leg, found[leg.call_key].late_for) for leg in added)


def _entry_of(emergency: Emergency, directory: AgentDirectory, deadline: Deadline) -> Agent | None:
    if emergency.owner is None:
        # Of a damaged entry nothing is believed; the callback may be another's, too, who shares the number.
        with suppress(Unreadable):
            return directory.find(emergency.agent_id, deadline).result()
    return None


def _names_of(emergency: Emergency, own: Iterable[str]) -> dict[str, str | None]:
    """The names by which a machine or a source may mean the agent, with whose each is; `own` are their principals."""
    agent_id, owner = emergency.agent_id, emergency.owner
    names = {agent_key_of(agent_id) if owner is None else unlisted_key(agent_id, owner): owner}
    names |= {unlisted_key(agent_id, each): each for each in own}
    reporters = {leg.reported_by for leg in emergency.legs if leg.reported_by is not None}
    return names | {unlisted_key(each, by): by for each in emergency.ids_without_entry for by in reporters}
