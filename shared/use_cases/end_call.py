"""A leg ended, says the softphone or a machine (S8, B5, B7)."""

from collections.abc import Collection
from datetime import datetime
from functools import partial

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.agents import Agent
from shared.domain.callers import Caller, owner_named
from shared.domain.deployment import Deployment
from shared.domain.emergencies import Emergency, LegEnd, with_reported_end
from shared.domain.errors import CallIdTaken, Malformed, Unavailable
from shared.domain.ids import agent_key_of, key_of
from shared.domain.leases import Rules, called
from shared.domain.pool import MAX_EARLY_ENDS_A_WINDOW, early_ends_a_window
from shared.domain.subjects import may_have_been_theirs, may_speak_for, meant, names_meant, unlisted_key
from shared.ports import AgentDirectory, Allowances, CallOwner, EmergencyStore, Telemetry
from shared.use_cases.believe_end import is_taken
from shared.use_cases.change_emergency import change_emergency
from shared.use_cases.effects import Effect
from shared.use_cases.identify import id_left, other_entries, own_entries

# After three conflicts raise `Unavailable`; the caller or Event Grid repeats the end.
MAX_TRIES = 3


class End(Struct, frozen=True, kw_only=True):
    """A reported end; `agent_id` where the reporter says whose call it means."""

    call_id: str
    by_agent: bool
    agent_id: str | None = None
    at: datetime | None = None


class Ended(Struct, frozen=True):
    """Whether the call was known; one that was not is kept as ended, for its start may come late."""

    known: bool
    effects: tuple[Effect, ...] = ()


class RecordedCall(Struct, frozen=True, kw_only=True):
    """What is recorded under a call id, as far as it concerns the caller.

    `own` is the call that they may speak for, `everything` whatever is recorded under the id.
    """

    own: CallOwner | None
    everything: tuple[CallOwner, ...]


def end_call(
    end: End,
    *,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
    allowances: Allowances,
) -> Ended:
    """End the leg of this call, or keep the end for a start that comes late: so many of each principal.

    So is that of a call which is not the caller's: it changes nothing of another's, and tells nothing of it. Raises
    `Malformed` where a machine does not say which of several agents' calls it means, `Unavailable`.
    """
    now, rules = clock.now(), deployment.rules
    at = min(end.at or now, now)
    for _ in range(MAX_TRIES):
        recorded = find_own_call(
            end.call_id,
            agent_id=end.agent_id,
            caller=caller,
            emergencies=emergencies,
            directory=directory,
            deadline=deadline,
        )
        own = recorded.own
        if own is not None and own.agent_key is not None and own.leg_id is not None:
            said: dict[str, str] = {}
            ended = partial(_with_end, leg_id=own.leg_id, end=LegEnd(at, end.by_agent), rules=rules, now=now, said=said)
            effects = change_emergency(own.agent_key, ended, emergencies=emergencies, now=now, deadline=deadline)
            telemetry.emit("end_recorded", kind="by_agent" if end.by_agent else "dropped", **said)
            return Ended(known=True, effects=effects)
        named = None if caller.is_agent or end.agent_id is None else directory.find(end.agent_id, deadline).result()
        if not _is_kept(caller, named, allowances, now):
            telemetry.emit("end_recorded", kind="not_kept")
            return Ended(known=False)
        try:
            told = structs.replace(
                _told(end, caller, named, emergencies, deadline), ended_at=at, expires_at=now + rules.window
            )
            emergencies.keep_end(_kept(told, recorded.everything, caller, emergencies, deadline), deadline)
        except CallIdTaken:
            deadline.require()
            continue
        telemetry.emit("end_recorded", kind="before_start")
        return Ended(known=False)
    raise Unavailable


def _is_kept(caller: Caller, named: Agent | None, allowances: Allowances, now: datetime) -> bool:
    """Whether its principal may have one more end kept: of a machine each listed agent that it names is one."""
    if named is not None:
        return allowances.grants(named.key, MAX_EARLY_ENDS_A_WINDOW, now)
    return allowances.grants(caller.owner, early_ends_a_window(caller), now)


def _with_end(
    emergency: Emergency, *, leg_id: str, end: LegEnd, rules: Rules, now: datetime, said: dict[str, str]
) -> Emergency:
    said.update(called(emergency.lease))
    return with_reported_end(emergency, leg_id, end, rules, now)


def _told(end: End, caller: Caller, named: Agent | None, emergencies: EmergencyStore, deadline: Deadline) -> CallOwner:
    """The end of a call without a start; `named` is the entry of the id by which a machine or source means an agent."""
    ended_for = None
    if not caller.is_agent and end.agent_id is not None:
        names = names_meant(end.agent_id, caller.owner)
        if named is not None and named.entra_object_id:
            # Whatever entry of theirs the start is recorded under.
            owner = owner_named(named.entra_object_id)
            names |= {unlisted_key(end.agent_id, owner): owner}
        ended_for = tuple(emergencies.keys_of(name, deadline)[0] for name in meant(names))
    return CallOwner(
        call_key=key_of(end.call_id),
        by_agent=end.by_agent,
        ended_by=caller.owner if caller.is_agent else None,
        ended_for=ended_for,
    )


def _kept(
    told: CallOwner, recorded: Collection[CallOwner], caller: Caller, emergencies: EmergencyStore, deadline: Deadline
) -> CallOwner:
    """What to keep of it: in one with an end that the same reporter told of the same agent, else beside what is there.

    Of two agents they stay two ends: each is that of one call, and taken by its start.
    """
    ends = (each for each in recorded if each.agent_key is None)
    kept = next((each for each in ends if (each.ended_by, each.ended_for) == (told.ended_by, told.ended_for)), None)
    if kept is None or kept.ended_at is None or told.ended_at is None:
        beside = emergencies.keys_of(key_of("|".join((caller.owner, *(told.ended_for or ())))), deadline)[0]
        return structs.replace(told, apart=beside if is_taken(recorded) else None)
    return structs.replace(kept, ended_at=min(told.ended_at, kept.ended_at), by_agent=kept.by_agent or told.by_agent)


def find_own_call(
    call_id: str,
    *,
    agent_id: str | None,
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
) -> RecordedCall:
    """What the caller may know of a call id. Nothing of another's is read, whose it is stands in the record itself.

    Raises `Malformed` when it could be several agents': not even the one leg that is in progress is guessed, for what
    is told may be a repeat about another's, and would end a call that goes on. Raises `Unavailable`.
    """
    recorded = emergencies.calls(key_of(call_id), deadline)
    calls = [each for each in recorded if each.agent_key is not None]
    own = _among(calls, _names_of(agent_id, caller, directory, deadline), caller, emergencies, deadline)
    if not own and caller.is_agent:
        # Whether or not the call is another's, so that the time tells nothing of it.
        own = _among(calls, _other_names_of(caller, directory, deadline), caller, emergencies, deadline)
    elif calls and not own and agent_id is not None:
        own = _begun_before(agent_id, calls, caller, emergencies, directory, deadline)
    own = _likeliest(own, caller)
    if len(own) > 1:
        raise Malformed("agent_id", "needed here, because several agents reported this call_id")
    return RecordedCall(own=own[0] if own else None, everything=tuple(recorded))


def _among(
    calls: list[CallOwner],
    names: dict[str, str | None] | None,
    caller: Caller,
    emergencies: EmergencyStore,
    deadline: Deadline,
) -> list[CallOwner]:
    """Those of the calls that are of emergencies of these names; of any that a machine may speak for, if None."""
    keys = None
    if names is not None:
        keys = {key: owner for name, owner in names.items() for key in emergencies.keys_of(name, deadline)}
    return [each for each in calls if _is_own(each, keys, caller)]


def _begun_before(
    agent_id: str,
    calls: list[CallOwner],
    caller: Caller,
    emergencies: EmergencyStore,
    directory: AgentDirectory,
    deadline: Deadline,
) -> list[CallOwner]:
    """Those of the agent of an id whose emergency began before they had the entry of it, or an entry at all."""
    under_the_id = emergencies.unlisted_of(agent_id, deadline)
    entry = directory.find(agent_id, deadline).result()
    entered = entry if entry is not None and directory.may_have_begun_before(entry) else None
    begun = [each for each in calls if each.agent_key in under_the_id and _may_end(each, caller, entered)]
    if begun or entered is None:
        return begun
    others = other_entries(entered, directory, deadline)
    return _among(calls, {each.key: None for each in others}, caller, emergencies, deadline)


def _names_of(
    agent_id: str | None, caller: Caller, directory: AgentDirectory, deadline: Deadline
) -> dict[str, str | None] | None:
    """The names of the emergencies that can be meant, with whose each is; None for all that a machine may speak for."""
    if caller.is_agent:
        listed: dict[str, str | None] = {own.key: None for own in own_entries(caller, directory, deadline)}
        return listed | {unlisted_key(caller.stand_in or "", caller.owner): caller.owner}
    if agent_id is None:
        return None
    return names_meant(agent_id, caller.owner)


def _other_names_of(caller: Caller, directory: AgentDirectory, deadline: Deadline) -> dict[str, str | None]:
    """Of an agent's emergencies those under an entry that was removed, or that they were given in the last minute."""
    own = own_entries(caller, directory, deadline)
    if not own:
        left = id_left(None, caller, directory, deadline).result()
        return {} if left is None else {agent_key_of(left): None}
    object_id, others = own[0].entra_object_id, other_entries(own[0], directory, deadline)
    given = directory.own_keys(object_id, deadline).result() if object_id else []
    return dict.fromkeys([*given, *(each.key for each in others)])


def _is_own(call: CallOwner, keys: dict[str, str | None] | None, caller: Caller) -> bool:
    if keys is None:
        return may_speak_for(caller, call.owner)
    # `agent_key_of` of an id that somebody made up may be the key of an unlisted agent's emergency.
    return call.agent_key in keys and keys[call.agent_key] == call.owner


def _may_end(call: CallOwner, caller: Caller, entered: Agent | None) -> bool:
    """Of a call of an unlisted agent, who may have been `entered` since: then any machine speaks for them."""
    # A dial that named the agent's object id is theirs, whoever reported it.
    return call.reported_by == caller.owner or (entered is not None and may_have_been_theirs(call.owner, entered))


def _likeliest(calls: list[CallOwner], caller: Caller) -> list[CallOwner]:
    """Of several calls under one id the caller's, else any machine's; last what other unlisted agents dialled."""

    def likely(call: CallOwner) -> tuple[bool, bool, bool]:
        listed_or_own = call.owner is None or call.owner == caller.owner
        return call.reported_by == caller.owner, call.reported_by is not None, listed_or_own

    most = max(map(likely, calls), default=None)
    return [each for each in calls if likely(each) == most]
