"""A responder calls back: answer, and remember whom to ring (S4, B4).

From the event to the answer there are two storage reads at once and one request to call control. Whom to ring is
remembered right after; `continue_callback` rings them once the caller is connected, and makes up for a row that was
never written. Of a call that was sent on instead it is remembered only that it was a callback, for `call_policy` (S6).
"""

from contextlib import suppress
from datetime import datetime

from msgspec import structs

from shared.deadlines import Clock, Deadline
from shared.domain.callback_ladder import bare_callback, due_at
from shared.domain.callbacks import Callback, Party, called_by, label_of, own_people
from shared.domain.deployment import Deployment
from shared.domain.emergencies import all_released_at
from shared.domain.errors import Conflict, EmergencyCallingError, Refused, Unavailable
from shared.domain.identities import number_in, raw_identities, raw_identity
from shared.domain.ids import derived, key_of
from shared.ports import CallbackChange, CallRouter, EmergencyStore, NumberPool, StoredCallback, Telemetry
from shared.use_cases.load_emergencies import load_emergencies
from shared.use_cases.route_callback import Incoming, NobodyTook, parties_of, redirect_callback

ANSWER_WITHIN_S = 4.0
REMEMBER_WITHIN_S = 2.0


def callback_id_of(origin: str) -> str:
    """The id of a callback, from its server call id (or what else stays the same in every delivery of its event)."""
    return derived(origin, "callback")


def is_callback(server_call_id: str, emergencies: EmergencyStore, deadline: Deadline) -> bool:
    """Whether this server call is a callback that we answered or sent on, or was until lately; whoever has answered."""
    return emergencies.callback(callback_id_of(server_call_id), deadline).result().callback is not None


def answer_callback(
    call: Incoming,
    *,
    emergencies: EmergencyStore,
    numbers: NumberPool,
    router: CallRouter,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
    deadline: Deadline,
) -> None:
    """Answer a call to one of our numbers, whatever anybody's presence; send it on where it cannot be answered.

    A call to a number that is none of ours, or to a user, is left alone, and so is one from a number of the pool, this
    host's or another's: that is an agent's softphone, and no responder. Raises `Unavailable` when nobody could be
    reached or nothing could be remembered, so that the event comes again.
    """
    began = clock.monotonic()
    if raw_identity(call.caller or "") in raw_identities(deployment.callback_numbers):
        telemetry.emit("callback_left_alone")
        return
    try:
        parties, remembered = _parties(call, numbers, clock, deployment, deadline), True
    except Unavailable:
        # The ladder finds the holders once the store is back; until then it rings the desk.
        parties, remembered = (() if call.to_number in deployment.callback_numbers else None), False
    if parties is None:
        telemetry.emit("callback_left_alone")
        return
    # Nobody is remembered but whom the callback would ring.
    who = raw_identity(call.caller) if call.caller is not None else None
    caller = who if who in own_people(parties, deployment.ladder) else None
    try:
        connection_id = _answer(call, caller, router, clock, deployment)
    except (Refused, Unavailable) as failure:
        telemetry.emit("callback_failed", reason=f"answer_{type(failure).__name__.lower()}", **called_by(parties))
        try:
            _send_on(call, parties, emergencies, router, clock, deployment, telemetry)
        except NobodyTook as nobody:
            # Refused for good whatever was asked: it rings no more, and nothing of it would be taken the next time.
            if isinstance(failure, Refused) and nobody.for_good:
                raise Refused("The call rings no more.") from None
            raise
        return
    took_ms = round((clock.monotonic() - began) * 1000)
    telemetry.emit("callback_answered", ms=took_ms, **_lateness(call, clock.now()), **called_by(parties))
    if not remembered:
        raise Unavailable("The callback was answered, but cannot be remembered yet.")
    _remember(callback_of(call, caller, connection_id, parties, clock.now()), emergencies, clock, deployment)


def _lateness(call: Incoming, now: datetime) -> dict[str, int]:
    """The milliseconds for which the responder has heard ringing, where the event says since when."""
    if call.came_at is None:
        return {}
    return {"late_ms": max(0, round((now - call.came_at).total_seconds() * 1000))}


def _parties(
    call: Incoming, numbers: NumberPool, clock: Clock, deployment: Deployment, deadline: Deadline
) -> tuple[Party, ...] | None:
    """Whose ladder it climbs; None for a call to no number of ours, or from one."""
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


def _answer(call: Incoming, caller: str | None, router: CallRouter, clock: Clock, deployment: Deployment) -> str:
    if deployment.callback_events_url is None:
        # It says nothing of the call.
        raise Unavailable("Call control cannot report to us.")
    assert call.to_number is not None
    callback_id = callback_id_of(call.origin)
    return router.answer(
        call.context,
        f"{deployment.callback_events_url}?callback={callback_id}",
        operation_context=label_of(call.to_number, caller),
        origin=callback_id,
        deadline=Deadline(clock, ANSWER_WITHIN_S),
    )


def _send_on(
    call: Incoming,
    parties: tuple[Party, ...],
    emergencies: EmergencyStore,
    router: CallRouter,
    clock: Clock,
    deployment: Deployment,
    telemetry: Telemetry,
) -> None:
    try:
        redirect_callback(call, parties, router=router, clock=clock, deployment=deployment, telemetry=telemetry)
    except Unavailable:
        # Perhaps it was answered after all, and the ladder is at it: then there is nothing to come again for.
        callback_id = callback_id_of(call.origin)
        with suppress(EmergencyCallingError):
            deadline = Deadline(clock, REMEMBER_WITHIN_S)
            if emergencies.callback(callback_id, deadline).result().callback is not None:
                return
        raise
    _note_sent_on(call, parties, emergencies, clock, deployment)


def _note_sent_on(
    call: Incoming, parties: tuple[Party, ...], emergencies: EmergencyStore, clock: Clock, deployment: Deployment
) -> None:
    """Write the bare row of a callback that was sent on, because `call_policy` must know that it was one (S6)."""
    # The call rings elsewhere by now: what fails here must not bring its event again. A row that is there knows more.
    with suppress(EmergencyCallingError):
        now, deadline = clock.now(), Deadline(clock, REMEMBER_WITHIN_S)
        keys = [party.agent_key for party in parties]
        stored = load_emergencies(keys, emergencies=emergencies, deadline=deadline)
        released_at = all_released_at([each.emergency for each in stored], deployment.rules)
        # Nobody tells us of its end.
        sent_on = bare_callback(callback_id_of(call.origin), answered_at=now, over_at=now, released_at=released_at)
        at = due_at(sent_on, deployment.ladder, (), now)
        emergencies.commit_callback(CallbackChange(stored=StoredCallback(None), callback=sent_on, due_at=at), deadline)


def callback_of(
    call: Incoming, caller: str | None, connection_id: str, parties: tuple[Party, ...], now: datetime
) -> Callback:
    """What is known of a callback that has just been answered; `caller` is one of those whom it would ring, or None."""
    return Callback(
        callback_id=callback_id_of(call.origin),
        connection_id=connection_id,
        answered_at=now,
        came_at=call.came_at,
        number=call.to_number,
        server_key=key_of(call.origin),
        parties=parties,
        caller=caller,
        drill=call.drill,
    )


def _remember(callback: Callback, emergencies: EmergencyStore, clock: Clock, deployment: Deployment) -> None:
    """Write a new callback's row, or into one that knows less: the caller may have been connected faster than this."""
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
