"""A responder calls back: answer, and remember whom to ring (S4, B4).

From the event to the answer there are two storage reads at once and one request to call control, where both answer.
Whom to ring is remembered right after or, where the store is away, once it is back; `continue_callback` rings them once
the caller is connected, and makes up for a row that was never written. Of a call that was sent on instead it is
remembered only that it was a callback, for `call_policy` (S6).
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from shared.deadlines import Clock, Deadline
from shared.domain.callback_ladder import bare_callback, due_at
from shared.domain.callbacks import Party, called_by, label_of
from shared.domain.deployment import Deployment
from shared.domain.emergencies import all_kept_until
from shared.domain.errors import USUAL_WAIT_S, Conflict, EmergencyCallingError, Refused, Unavailable
from shared.domain.identities import number_in
from shared.domain.ids import derived
from shared.ports import CallbackChange, CallRouter, EmergencyStore, NumberPool, StoredCallback, Telemetry
from shared.use_cases.load_emergencies import load_emergencies
from shared.use_cases.remember_callback import (
    REMEMBER_WITHIN_S,
    AnsweredCall,
    own_caller,
    parties_called,
    write_callback,
)
from shared.use_cases.route_callback import Incoming, NobodyTook, redirect_callback

ANSWER_WITHIN_S = 4.0
# Sent on, a call rings one person, perhaps at a dead softphone: while it rings, answering it is tried again.
SEND_ON_AFTER_S = 4.0
PAUSES_S = (0.5, 1.0, 2.0)
# Of a number of no pool it is asked once more before its call is left alone: it may have left the settings while lent.
ASK_AGAIN_AFTER_S, ASK_AGAIN_WITHIN_S = 1.0, 2.0


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
    pause: Callable[[float], None],
    deadline: Deadline,
) -> AnsweredCall | None:
    """Answer a call to one of our numbers, whatever anybody's presence; send it on where it cannot be answered.

    A call to a number that is none of ours, or to a user, is left alone, and so is one from a number of the pool, this
    host's or another's: that is an agent's softphone, and no responder. Gives what `remember_callback` is to do later.
    `pause` lets so many seconds pass. Raises `Unavailable` when nobody could be reached, so that the event comes again.
    """
    began, heard_at = clock.monotonic(), clock.now()
    if number_in(call.caller or "") in deployment.callback_numbers:
        telemetry.emit("callback_left_alone")
        return None
    parties, found = _parties(call, numbers, clock, deployment, pause, deadline)
    if parties is None:
        telemetry.emit("callback_left_alone")
        return None
    try:
        answered = _answer_while_it_rings(call, parties, router, clock, deployment, pause)
    except (Refused, Unavailable) as failure:
        if found and isinstance(failure, Unavailable) and _is_answered(call, emergencies, clock):
            return None
        telemetry.emit("callback_failed", reason=f"answer_{type(failure).__name__.lower()}", **called_by(parties))
        try:
            _send_on(call, parties, emergencies, router, clock, deployment, telemetry)
        except NobodyTook as nobody:
            # Refused for good whatever was asked: it rings no more, and nothing of it would be taken the next time.
            if isinstance(failure, Refused) and nobody.for_good:
                raise Refused("The call rings no more.") from None
            raise
        return None
    took_ms = round((clock.monotonic() - began) * 1000)
    telemetry.emit("callback_answered", ms=took_ms, **_lateness(call, heard_at), **called_by(parties))
    if found:
        with suppress(Unavailable, Conflict):
            write_callback(answered, parties, emergencies=emergencies, clock=clock, deployment=deployment)
            return None
    return answered


def _parties(
    call: Incoming,
    numbers: NumberPool,
    clock: Clock,
    deployment: Deployment,
    pause: Callable[[float], None],
    deadline: Deadline,
) -> tuple[tuple[Party, ...] | None, bool]:
    """Whom it rings, None where it is none of our calls; and whether the store said so."""
    with suppress(Unavailable):
        return parties_called(call, numbers, clock, deployment, deadline), True
    # The ladder finds the holders once the store is back; until then it rings the desk.
    # It may have left this host's setting while it is lent, in a change that another host has not seen.
    if call.to_number is not None and numbers.is_of_a_pool(call.to_number, clock.now()):
        return (), False
    pause(ASK_AGAIN_AFTER_S)
    with suppress(Unavailable):
        return parties_called(call, numbers, clock, deployment, Deadline(clock, ASK_AGAIN_WITHIN_S)), True
    return None, False


def _lateness(call: Incoming, heard_at: datetime) -> dict[str, int]:
    """The milliseconds for which the responder had heard ringing by then, where the event says since when."""
    if call.came_at is None:
        return {}
    return {"late_ms": max(0, round((heard_at - call.came_at).total_seconds() * 1000))}


def _answer_while_it_rings(
    call: Incoming,
    parties: tuple[Party, ...],
    router: CallRouter,
    clock: Clock,
    deployment: Deployment,
    pause: Callable[[float], None],
) -> AnsweredCall:
    """The same request again where it was not answered: once for each call, whoever sends it (repeatable requests)."""
    if deployment.callback_events_url is None:
        # It says nothing of the call.
        raise Unavailable("Call control cannot report to us.")
    began = clock.monotonic()
    for pause_s in PAUSES_S:
        try:
            return _answer(call, parties, router, clock, deployment)
        except Unavailable as failure:
            wait_s = pause_s if failure.retry_after_s <= USUAL_WAIT_S else max(pause_s, failure.retry_after_s)
            if wait_s > SEND_ON_AFTER_S - (clock.monotonic() - began):
                raise
        pause(wait_s)
    return _answer(call, parties, router, clock, deployment)


def _answer(
    call: Incoming, parties: tuple[Party, ...], router: CallRouter, clock: Clock, deployment: Deployment
) -> AnsweredCall:
    assert call.to_number is not None
    callback_id = callback_id_of(call.origin)
    connection_id = router.answer(
        call.context,
        f"{deployment.callback_events_url}?callback={callback_id}",
        operation_context=label_of(call.to_number, own_caller(call, parties, deployment)),
        origin=callback_id,
        deadline=Deadline(clock, ANSWER_WITHIN_S),
    )
    return AnsweredCall(call=call, callback_id=callback_id, connection_id=connection_id, answered_at=clock.now())


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
        if _is_answered(call, emergencies, clock):
            return
        raise
    _note_sent_on(call, parties, emergencies, clock, deployment)


def _is_answered(call: Incoming, emergencies: EmergencyStore, clock: Clock) -> bool:
    """Whether the ladder is at it, by another delivery of its event: then there is nothing to send on, or come for."""
    with suppress(EmergencyCallingError):
        deadline = Deadline(clock, REMEMBER_WITHIN_S)
        return emergencies.callback(callback_id_of(call.origin), deadline).result().callback is not None
    return False


def _note_sent_on(
    call: Incoming, parties: tuple[Party, ...], emergencies: EmergencyStore, clock: Clock, deployment: Deployment
) -> None:
    """Write the bare row of a callback that was sent on, because `call_policy` must know that it was one (S6)."""
    # The call rings elsewhere by now: what fails here must not bring its event again. A row that is there knows more.
    with suppress(EmergencyCallingError):
        now, deadline = clock.now(), Deadline(clock, REMEMBER_WITHIN_S)
        keys = [party.agent_key for party in parties]
        stored = load_emergencies(keys, emergencies=emergencies, deadline=deadline)
        kept_until = all_kept_until([each.emergency for each in stored], deployment.rules, now)
        # Nobody tells us of its end.
        sent_on = bare_callback(callback_id_of(call.origin), answered_at=now, over_at=now, kept_until=kept_until)
        at = due_at(sent_on, deployment.ladder, (), now)
        emergencies.commit_callback(CallbackChange(stored=StoredCallback(None), callback=sent_on, due_at=at), deadline)
