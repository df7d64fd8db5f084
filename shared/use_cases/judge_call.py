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
from shared.domain.ids import key_of
from shared.ports import AgentDirectory, EmergencyStore, Telemetry
from shared.use_cases.answer_callback import is_callback


def judge_call(
    server_call_id: str,
    started_by: str | None,
    *,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> CallPolicy:
    """The policy for a call; `started_by` is the raw ACS identity of its starter.

    A leg of an emergency, or one that may be: an emergency. Anything else is ordinary. It never fails: without the
    store the call is private, which costs a recording at most.
    """
    try:
        emergency = _is_emergency(
            key_of(server_call_id), started_by, emergencies, directory, clock, deployment, deadline
        ) or is_callback(server_call_id, emergencies, deadline)
    except Unavailable:
        telemetry.emit("call_judged", kind="private")
        return PRIVATE
    # Ordinary calls are not counted: there are thousands, and a line each would say who worked when.
    if emergency:
        telemetry.emit("call_judged", kind="emergency")
    return EMERGENCY if emergency else ORDINARY


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


def _is_anothers(
    identity: str, agent_key: str, emergencies: EmergencyStore, directory: AgentDirectory, deadline: Deadline
) -> bool:
    holders = directory.holders_of(identity, deadline).result()
    return bool(holders) and all(agent_key not in emergencies.keys_of(holder, deadline) for holder in holders)


def _load(agent_key: str, emergencies: EmergencyStore, deadline: Deadline) -> Emergency | None:
    return emergencies.load(agent_key, deadline).result().emergency
