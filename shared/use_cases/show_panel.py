"""What an agent's communication panel shows now (S5)."""

from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller, CallerKind, owner_named
from shared.domain.deployment import Deployment
from shared.domain.errors import NotAllowed, Unavailable
from shared.domain.panels import Banner, Mode, Panel, beside_unrecorded, emergency_panel, panel_of, with_number
from shared.domain.subjects import entry_named
from shared.ports import AgentDirectory, EmergencyStore, OutageDial, OutageLog
from shared.use_cases.identify import identify_emergency, presumed
from shared.use_cases.look_up_dial import StoreKnows, look_up_dial


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
    """The panel, also of a dial that this process answered without the store and that is not recorded yet.

    With the agent's locale: that of their latest dial, as in its answer, else that of their entry.
    `emergency` is the one of the live board that the office names. Raises `Unavailable`, `NotAllowed`.
    """
    now = clock.now()
    try:
        subject, stored = identify_emergency(
            agent_id,
            caller=caller,
            emergencies=emergencies,
            directory=directory,
            deadline=deadline,
            emergency=emergency,
        )
    except (NotAllowed, Unavailable) as error:
        # Whoever is refused has no such entry, whatever this process read before.
        entry = presumed(agent_id, caller, directory).entry if isinstance(error, Unavailable) else None
        by = _reporter(agent_id, entry, caller) if caller.is_agent else None
        dialled = _dialling(agent_id, caller, by, outage, now)
        known = _known(dialled, emergencies, deadline) if isinstance(error, NotAllowed) else StoreKnows.NOTHING
        # An unlisted agent goes by the id that they were answered with, until the dial is recorded.
        if dialled is None or known is StoreKnows.RECORDED:
            raise
        is_over = known is StoreKnows.ITS_END
        return _unrecorded_panel(dialled, deployment, is_over=is_over), dialled.situation.locale
    panel = panel_of(stored.emergency, deployment.rules, now)
    by = _reporter(agent_id, subject.entry, caller)
    dialled = _dialling(agent_id, caller, by, outage, now) if emergency is None else None
    if _outranks(dialled, panel) and _known(dialled, emergencies, deadline) is StoreKnows.NOTHING:
        assert dialled is not None
        return beside_unrecorded(panel, _unrecorded_panel(dialled, deployment)), dialled.situation.locale
    dialled_in = stored.emergency.situation if stored.emergency else None
    locale = dialled_in.locale if dialled_in else None
    entry = subject.entry
    return panel, locale or (entry.locale if entry else None)


def _outranks(dialled: OutageDial | None, panel: Panel) -> bool:
    """Whether there is such a dial, and the store has nothing in progress, or a test beside a real call."""
    in_progress = panel.mode is Mode.EMERGENCY
    is_test = panel.banner is Banner.TEST_IN_PROGRESS
    return dialled is not None and (not in_progress or (is_test and not dialled.test))


def _dialling(agent_id: str, caller: Caller, by: str | None, outage: OutageLog, now: datetime) -> OutageDial | None:
    """Their own first: who is an agent too dialled as one, and is of the office here."""
    return outage.dialling(agent_id, now, owner_named(caller.name)) or outage.dialling(agent_id, now, by)


def _reporter(agent_id: str, entry: Agent | None, caller: Caller) -> str | None:
    """Whose dials are shown: of a listed agent, to themself too, and to the office anybody's; else the caller's own.

    An agent may have an `entry` and be asking by another id, which their dial was answered with before they had it.
    """
    is_listed = entry is not None and entry_named(agent_id, (entry,)) is not None
    return None if is_listed or caller.kind is CallerKind.OFFICE else caller.owner


def _known(dialled: OutageDial | None, emergencies: EmergencyStore, deadline: Deadline) -> StoreKnows:
    if dialled is None:
        return StoreKnows.NOTHING
    try:
        return look_up_dial(dialled, emergencies, deadline)
    except Unavailable:
        return StoreKnows.NOTHING


def _unrecorded_panel(dialled: OutageDial, deployment: Deployment, *, is_over: bool = False) -> Panel:
    situation = dialled.situation
    panel = Panel() if is_over else emergency_panel(test=dialled.test, placement=situation.placement)
    return with_number(panel, deployment.fallback_number, dialled.expires_at, situation)
