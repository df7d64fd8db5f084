"""Which ends that came before their start are of an agent's call: ids are the softphone's own and may clash (B7)."""

from collections.abc import Collection, Iterable, Mapping

from shared.deadlines import Deadline
from shared.domain.emergencies import LegEnd
from shared.domain.subjects import meant
from shared.ports import CallOwner, EmergencyStore

# Each takes two rows of the transition that records the start.
MAX_ENDS_BELIEVED = 4


def believed_ends(
    recorded: Iterable[CallOwner],
    *,
    told_by: Collection[str | None],
    names: Mapping[str, str | None],
    emergencies: EmergencyStore,
    deadline: Deadline,
) -> tuple[CallOwner, ...]:
    """Of what is recorded under a call id the ends without a start that are of this agent's call.

    `told_by`: whose are believed, None for a machine or a source; one that named an agent is believed of that one only.
    `names` are the agent's, with whose each is. Raises `Unavailable`.
    """
    ends = [each for each in recorded if each.agent_key is None and each.ended_by in told_by]
    keys = {key for name in meant(names) if ends for key in emergencies.keys_of(name, deadline)}
    own = [each for each in ends if each.ended_for is None or not keys.isdisjoint(each.ended_for)]
    return tuple(own[:MAX_ENDS_BELIEVED])


def is_taken(recorded: Iterable[CallOwner], ends: Collection[CallOwner] = ()) -> bool:
    """Whether something else than these ends is recorded under the id itself: what is new is recorded apart then."""
    return any(each.apart is None and each not in ends for each in recorded)


def end_told(ends: Collection[CallOwner]) -> LegEnd | None:
    """What they say together: the earliest moment, by the agent if one of them says so."""
    times = [each.ended_at for each in ends if each.ended_at is not None]
    return LegEnd(min(times), any(each.by_agent for each in ends)) if times else None
