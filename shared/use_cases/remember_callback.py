"""Remember whom an answered callback rings (B4), once the store is back where it was away."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import Struct, structs

from shared.deadlines import Clock, Deadline
from shared.domain.callback_ladder import due_at
from shared.domain.callbacks import Callback, Party, own_people
from shared.domain.deployment import Deployment
from shared.domain.errors import Conflict, Unavailable
from shared.domain.identities import number_in, raw_identity
from shared.domain.ids import Key, key_of
from shared.domain.stamps import age_of
from shared.ports import CallbackChange, EmergencyStore, NumberPool, StoredCallback
from shared.use_cases.route_callback import Incoming, parties_of

REMEMBER_WITHIN_S = 2.0
# Longer than a responder waits on the line.
REMEMBERED_AFTER_AT_MOST = timedelta(hours=1)


class AnsweredCall(Struct, frozen=True, kw_only=True):
    """A call that was answered: from then on its event is acknowledged, whatever is to be remembered yet.

    Event Grid holds back new events, too, from an endpoint that failed ten times, and drops an incoming call after a
    minute: the next callbacks would never be answered.
    """

    call: Incoming
    callback_id: Key
    connection_id: str
    answered_at: datetime


def remember_callback(
    answered: AnsweredCall,
    *,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    clock: Clock,
    deployment: Deployment,
    deadline: Deadline,
) -> bool:
    """Look up whom it rings, and remember them; gives whether that is done, or need not be any more."""
    if age_of(answered.answered_at, clock.now()) > REMEMBERED_AFTER_AT_MOST:
        return True
    try:
        parties = parties_called(answered.call, numbers, clock, deployment, deadline) or ()
        write_callback(answered, parties, emergencies=emergencies, clock=clock, deployment=deployment)
    except (Unavailable, Conflict):
        return False
    return True


def parties_called(
    call: Incoming, numbers: NumberPool, clock: Clock, deployment: Deployment, deadline: Deadline
) -> tuple[Party, ...] | None:
    """Whose ladder it climbs; None for a call to no number of ours, or from one. Raises `Unavailable`."""
    calling = number_in(call.caller or "")
    # Both readings at once: the responder hears ringing meanwhile.
    known = numbers.knows(calling, deadline) if calling is not None else None
    parties = parties_of(
        call.to_number,
        numbers=numbers,
        deployment=deployment,
        now=clock.now(),
        deadline=deadline,
        drill=call.drill,
    )
    with suppress(Unavailable):
        return None if known is not None and known.result() else parties
    return parties


def own_caller(call: Incoming, parties: Sequence[Party], deployment: Deployment) -> str | None:
    """Who calls, where that is one of those whom the callback would ring: nobody else is remembered."""
    who = raw_identity(call.caller) if call.caller is not None else None
    return who if who in own_people(parties, deployment.ladder) else None


def write_callback(
    answered: AnsweredCall,
    parties: tuple[Party, ...],
    *,
    emergencies: EmergencyStore,
    clock: Clock,
    deployment: Deployment,
) -> None:
    """Write a new callback's row, or into one that knows less: the caller may have been connected faster than this.

    Raises `Conflict`, `Unavailable`, `Unreadable`.
    """
    callback = _callback_of(answered, parties, deployment)
    deadline = Deadline(clock, REMEMBER_WITHIN_S)
    stored = StoredCallback(None)
    while True:
        now, known = clock.now(), stored.callback
        if known is not None and (known.number is not None or known.over_at is not None):
            return
        told = callback
        if known is not None:
            told = structs.replace(
                known,
                number=callback.number,
                server_key=callback.server_key,
                came_at=callback.came_at,
                parties=callback.parties,
                caller=callback.caller,
            )
        at = due_at(told, deployment.ladder, (), now)
        try:
            emergencies.commit_callback(CallbackChange(stored=stored, callback=told, due_at=at), deadline)
        except Conflict:
            deadline.require()
            stored = emergencies.callback(callback.callback_id, deadline).result()
        else:
            return


def _callback_of(answered: AnsweredCall, parties: tuple[Party, ...], deployment: Deployment) -> Callback:
    call = answered.call
    return Callback(
        callback_id=answered.callback_id,
        connection_id=answered.connection_id,
        answered_at=answered.answered_at,
        came_at=call.came_at,
        number=call.to_number,
        server_key=key_of(call.origin),
        parties=parties,
        caller=own_caller(call, parties, deployment),
        drill=call.drill,
    )
