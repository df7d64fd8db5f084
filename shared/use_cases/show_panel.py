"""What an agent's communication panel shows now (S5)."""

from shared.deadlines import Clock, Deadline
from shared.domain.callers import Caller, owner_named
from shared.domain.deployment import Deployment
from shared.domain.errors import Unavailable
from shared.domain.panels import Panel, emergency_panel, panel_of, with_number
from shared.ports import AgentDirectory, EmergencyStore, OutageLog
from shared.use_cases.identify import identify_emergency


def show_panel(
    agent_id: str,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    outage: OutageLog,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
    emergency: str | None = None,
) -> tuple[Panel, str | None]:
    """The panel, also of a dial that was answered while the store was away, and the agent's locale.

    That is the one of their latest dial, as in its answer, else that of their entry.
    `emergency` is the one of the live board that the office names. Raises `Unavailable`, `NotAllowed`.
    """
    try:
        subject, stored = identify_emergency(
            agent_id,
            caller=caller,
            emergencies=emergencies,
            directory=directory,
            deadline=deadline,
            emergency=emergency,
        )
    except Unavailable:
        # Their own first: who is an agent too dialled as one, and is of the office here.
        dialled = outage.dialling(agent_id, clock.now(), owner_named(caller.name))
        if dialled is None and not caller.is_agent:
            dialled = outage.dialling(agent_id, clock.now())
        if dialled is None:
            raise
        panel = emergency_panel(test=dialled.test, placement=dialled.situation.placement)
        situation = dialled.situation
        return with_number(panel, deployment.fallback_number, dialled.expires_at, situation), situation.locale
    dialled_in = stored.emergency.situation if stored.emergency else None
    locale = dialled_in.locale if dialled_in else None
    entry = subject.entry
    return panel_of(stored.emergency, deployment.rules, clock.now()), locale or (entry.locale if entry else None)
