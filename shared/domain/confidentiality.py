"""What must never be recorded, stored as an activity or kept (S6, B8)."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from shared.domain.emergencies import (
    TIE_WITHIN,
    Emergency,
    TieKind,
    claimed_by_callback,
    claims_on,
    may_be_call,
    may_be_forgotten,
    standing,
    ties,
)
from shared.domain.identities import raw_identities, raw_identity
from shared.domain.ids import Key
from shared.domain.leases import Rules

# A try to delete a recording may take so long: it has many parts, and another process must not try them meanwhile.
DELETION_WITHIN = timedelta(seconds=60)


class Knowledge(StrEnum):
    """How well it is known that a server call is a leg of an emergency."""

    EXACT = "exact"
    INFERRED = "inferred"
    CLAIMED = "claimed"
    NONE = "none"


class CallPolicy(Struct, frozen=True, kw_only=True):
    """What recorders, CRM writers and supervisors' tools may do with a call (S6); nothing, unless it is said.

    `monitor` and `join`: a supervisor listens or takes part; `force_close`: somebody else ends the conversation;
    `survey`: it is followed by one.
    """

    emergency: bool
    record: bool = False
    store_activity: bool = False
    transcribe: bool = False
    monitor: bool = False
    join: bool = False
    force_close: bool = False
    survey: bool = False


EMERGENCY = CallPolicy(emergency=True)
ORDINARY = CallPolicy(
    emergency=False,
    record=True,
    store_activity=True,
    transcribe=True,
    monitor=True,
    join=True,
    force_close=True,
    survey=True,
)
# For want of an answer. Nothing says that it is an emergency, and whoever acts on `emergency` must not act on a guess;
# what would break S6 if it is one is forbidden all the same.
PRIVATE = CallPolicy(emergency=False)


def knowledge_of(emergency: Emergency, call_keys: Collection[str]) -> Knowledge:
    """Whether a call, known by its server call id or its correlation id (keys), is one of this emergency's legs.

    Every kind of leg is to be known here: the recorder's question and the deletion of files both ask nobody else. An
    agent may say that anybody's identity is theirs: what only their own word ties is not exact.
    """
    if any(claimed_by_callback(emergency, call_key) for call_key in call_keys):
        return Knowledge.EXACT
    tied = [
        tie
        for tie in ties(emergency).values()
        if _keys(tie.sighting.server_key, tie.sighting.correlation_key, call_keys)
    ]
    if any(tie.kind is TieKind.EXACT and not tie.sighting.self_stated for tie in tied):
        return Knowledge.EXACT
    if tied:
        return Knowledge.INFERRED
    return Knowledge.CLAIMED if claims_on(emergency, call_keys) else Knowledge.NONE


def _keys(server_key: str, correlation_key: str | None, call_keys: Collection[str]) -> bool:
    return server_key in call_keys or correlation_key in call_keys


def is_emergency_call(
    emergency: Emergency, call_key: str, starter: str | None, is_anothers: Callable[[], bool]
) -> bool:
    """Whether a call that `starter` (raw ACS identity, None if not said) began is one that nobody may record.

    Here the benefit of the doubt goes to the caller: an inferred tie counts, and so does a claim that nothing speaks
    against, because CallStarted often comes later than the recorder's question. `is_anothers` looks up whether the
    directory gives the starter to others, and is asked only where the emergency has no identity of its own.
    """
    match knowledge_of(emergency, {call_key}):
        case Knowledge.EXACT | Knowledge.INFERRED:
            return True
        case Knowledge.CLAIMED:
            if starter is None or _is_starter(emergency, starter):
                return True
            return not emergency.starters and not is_anothers()
        case Knowledge.NONE:
            return False


def may_begin_emergency_call(emergency: Emergency, call_key: str, starter: str, rules: Rules, now: datetime) -> bool:
    """Whether a call that nobody claims may be a leg because its starter has one without a server call."""
    if not _is_starter(emergency, starter):
        return False
    untied = standing(emergency, rules, now).untied
    return any(may_be_call(emergency, leg, call_key) for leg in untied)


def _is_starter(emergency: Emergency, starter: str) -> bool:
    return raw_identity(starter) in raw_identities(emergency.starters)


class Recording(Struct, frozen=True, kw_only=True):
    """A recording's files that are to be deleted, or that may have to be.

    `recording_key` names them, `call_keys` their call: its correlation id, and its server call id where the event knew
    it. `locations` are what still has to be deleted. `began_at` is None where the event did not say. It is `certain`
    once it is known to be of an emergency; until then `agent_keys` are those of whose emergencies it may be, and
    `suspected` says that there was more to it than a fitting time. After `give_up_at` the service has no file any more.
    """

    recording_key: Key
    call_keys: tuple[Key, ...]
    locations: tuple[str, ...]
    give_up_at: datetime
    began_at: datetime | None = None
    certain: bool = False
    suspected: bool = False
    agent_keys: tuple[Key, ...] = ()

    @property
    def suspicion(self) -> str:
        """Why it is held back, in a word for the log."""
        return "tie_not_exact" if self.suspected else "leg_untied"


class Verdict(StrEnum):
    """What is to become of a recording."""

    DELETE = "delete"
    HOLD_BACK = "hold_back"
    LEAVE = "leave"


def verdict_on(emergency: Emergency, recording: Recording, rules: Rules, now: datetime) -> Verdict:
    """Delete what is certainly of this emergency, hold back what may be, leave the rest.

    A deletion cannot be taken back, and what it takes may be a customer's: a call that only began at the right time,
    or that the agent only claims, is no reason for one. Once the emergency is over for good nothing can prove it any
    more, and the file is left.
    """
    if may_be_forgotten(emergency, rules, now):
        return Verdict.LEAVE
    match knowledge_of(emergency, recording.call_keys):
        case Knowledge.EXACT:
            return Verdict.DELETE
        case Knowledge.INFERRED:
            return Verdict.HOLD_BACK
        case Knowledge.CLAIMED if _may_be_claimed(emergency, recording):
            return Verdict.HOLD_BACK
        case Knowledge.CLAIMED | Knowledge.NONE:
            return Verdict.HOLD_BACK if _may_be_untied_leg(emergency, recording, rules, now) else Verdict.LEAVE


def _may_be_claimed(emergency: Emergency, recording: Recording) -> bool:
    # A recording begins with its call or later: one from before the dial is of the call that was on hold.
    began_at = recording.began_at
    return began_at is None or any(leg.calls_from <= began_at for leg in claims_on(emergency, recording.call_keys))


def _may_be_untied_leg(emergency: Emergency, recording: Recording, rules: Rules, now: datetime) -> bool:
    stands = standing(emergency, rules, now)
    began_at = recording.began_at
    if began_at is None:
        return bool(stands.untied)
    last = {leg.leg_id: stands.ends[leg.leg_id].at if leg.leg_id in stands.ends else now for leg in stands.untied}
    return any(leg.calls_from <= began_at <= last[leg.leg_id] + TIE_WITHIN for leg in stands.untied)


# A row holds 32,768 characters of text at most; the rest of it is short.
MAX_LOCATION_CHARS = 24_000


def in_parts(locations: Collection[str]) -> list[tuple[str, ...]]:
    """The locations in groups that a row each can hold; the same locations make the same groups."""
    parts: list[list[str]] = []
    left = 0
    for location in dict.fromkeys(locations):
        if not parts or len(location) > left:
            parts.append([])
            left = MAX_LOCATION_CHARS
        parts[-1].append(location)
        left -= len(location) + 3
    return [tuple(part) for part in parts]
