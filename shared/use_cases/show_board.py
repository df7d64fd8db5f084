"""A supervisor looks at the emergencies that are going on."""

from contextlib import suppress
from itertools import batched

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.board import Board, SentNotice, is_live, live_emergency, notice_states
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.ports import READ_AT_ONCE, AgentDirectory, EmergencyStore, Pending

# Each that this process did not read lately is a request: older emergencies are listed without a name.
MAX_NAMED = 500


def show_board(
    *,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> Board:
    """Every emergency with a leg, a ring or a hold, the newest first. Raises `Unavailable`.

    A name that cannot be read keeps nobody off the board, nor one beyond the newest `MAX_NAMED`.
    """
    now, rules = clock.now(), deployment.rules
    kept = emergencies.going_on(deadline)
    live = [each for each in kept.emergencies if is_live(each, rules, now)]
    live = sorted(live, key=lambda each: each.dialled_at, reverse=True)
    sent = (SentNotice(key, each.deliveries) for each in kept.dispatches for key in each.agent_keys)
    notices = notice_states(kept.owed, sent)
    names = _names(live[:MAX_NAMED], directory, deadline)
    rows = [
        live_emergency(
            each,
            name=names.get(each.agent_key),
            notices=notices.get(each.agent_key, ()),
            rules=rules,
            now=now,
        )
        for each in live
    ]
    return Board(emergencies=rows, cut_at=kept.cut_at)


def _names(live: list[Emergency], directory: AgentDirectory, deadline: Deadline) -> dict[str, str | None]:
    """The names of those who are in the directory; what an unlisted agent calls themself is not shown as a name."""
    names: dict[str, str | None] = {}
    for some in batched((each for each in live if each.in_directory), READ_AT_ONCE, strict=False):
        asked: list[tuple[Emergency, Pending[Agent | None]]] = []
        # Where no time is left, or no place in the line for storage, the rest stays without a name.
        with suppress(Unavailable):
            asked = [(each, directory.find(each.agent_id, deadline)) for each in some]
        for each, pending in asked:
            with suppress(EmergencyCallingError):
                entry = pending.result()
                names[each.agent_key] = entry.name if entry else None
    return names
