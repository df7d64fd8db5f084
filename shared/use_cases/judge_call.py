"""A recorder or a CRM writer asks before it acts (S6)."""

from functools import partial

from shared.deadlines import Clock, Deadline
from shared.domain.confidentiality import (
    EMERGENCY,
    ORDINARY,
    PRIVATE,
    CallPolicy,
    is_emergency_call,
    may_begin_emergency_call,
)
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency
from shared.domain.errors import Unavailable
from shared.domain.identities import raw_identity
from shared.domain.ids import key_of
from shared.ports import AgentDirectory, EmergencyStore, OutageLog, Telemetry
from shared.use_cases.answer_callback import is_callback
from shared.use_cases.look_up_dial import StoreKnows, look_up_dial

# A parameter that is there twice is the whole and each of two; two such ones.
MAX_ASKED_AT_ONCE = 9


def judge_call(
    server_call_id: str,
    started_by: str | None,
    *,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    outage: OutageLog,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> CallPolicy:
    """The policy for a call; `started_by` is the raw ACS identity of its starter.

    A leg of an emergency, or one that may be: an emergency. Anything else is ordinary. It never fails: without the
    store the call is private, which costs a recording at most; so is one that may be a dial which this process
    answered without the store, until that is recorded.
    """
    try:
        asked = _asked(server_call_id, started_by)
        emergency = any(
            _is_emergency(key_of(call_id), starter, emergencies, directory, clock, deployment, deadline)
            or is_callback(call_id, emergencies, deadline)
            for call_id, starter in asked
        )
        private = not emergency and any(
            _may_be_unrecorded(key_of(call_id), starter, emergencies, directory, outage, clock, deadline)
            for call_id, starter in asked
        )
    except Unavailable:
        private = True
    if private:
        telemetry.emit("call_judged", kind="private")
        return PRIVATE
    # Ordinary calls are not counted: there are thousands, and a line each would say who worked when.
    if emergency:
        telemetry.emit("call_judged", kind="emergency")
    return EMERGENCY if emergency else ORDINARY


def _asked(server_call_id: str, started_by: str | None) -> list[tuple[str, str | None]]:
    """Each call and starter that is asked about; raises `Unavailable` where there are too many to look up.

    The Functions host joins the values of a parameter that is there twice by a comma.
    """
    call_ids, starters = _values_in(server_call_id), _values_in(started_by) if started_by is not None else [None]
    asked: list[tuple[str, str | None]] = [(call_id, starter) for call_id in call_ids for starter in starters]
    if len(asked) > MAX_ASKED_AT_ONCE:
        raise Unavailable
    return asked


def _values_in(sent: str) -> list[str]:
    return list(dict.fromkeys((sent, *(part for each in sent.split(",") if (part := each.strip())))))


def _is_emergency(
    call_key: str,
    started_by: str | None,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> bool:
    for agent_key in emergencies.owners_of_server_call(call_key, deadline):
        emergency = _load(agent_key, emergencies, deadline)
        others = partial(_is_anothers, started_by or "", agent_key, emergencies, directory, deadline)
        if emergency is not None and is_emergency_call(emergency, call_key, started_by, others):
            return True
    if started_by is None:
        return False
    for agent_key in emergencies.owners_of_starter(started_by, deadline):
        emergency = _load(agent_key, emergencies, deadline)
        if emergency is None:
            continue
        if may_begin_emergency_call(emergency, call_key, started_by, deployment.rules, clock.now()):
            return True
    return False


def _may_be_unrecorded(
    call_key: str,
    started_by: str | None,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    outage: OutageLog,
    clock: Clock,
    deadline: Deadline,
) -> bool:
    """Whether a dial that is not recorded yet named this call, or is of its starter, as far as anybody can tell.

    Without `started_by` no other call is one of ours, as with dials that are recorded.
    """
    dials = outage.all_dialling(clock.now())
    if not dials:
        return False
    holders = directory.holders_of(started_by, deadline).result() if started_by is not None else ()
    starter = raw_identity(started_by) if started_by is not None else None
    fitting = (
        dialled
        for dialled in dials
        if dialled.server_key == call_key
        or dialled.agent_key in holders
        or (dialled.identity is not None and raw_identity(dialled.identity) == starter)
    )
    return any(look_up_dial(dialled, emergencies, deadline) is not StoreKnows.RECORDED for dialled in fitting)


def _is_anothers(
    identity: str, agent_key: str, emergencies: EmergencyStore, directory: AgentDirectory, deadline: Deadline
) -> bool:
    holders = directory.holders_of(identity, deadline).result()
    return bool(holders) and all(agent_key not in emergencies.keys_of(holder, deadline) for holder in holders)


def _load(agent_key: str, emergencies: EmergencyStore, deadline: Deadline) -> Emergency | None:
    return emergencies.load(agent_key, deadline).result().emergency
