"""What a callback means for the emergencies of the agents whom it rings (S4, S5, B3, B5)."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from shared.domain.callbacks import Callback, Invitation, Rung, ringing
from shared.domain.emergencies import (
    Emergency,
    Leg,
    LegEnd,
    calls_test_back,
    standing,
    with_departure,
    with_leg,
    with_ringing,
)
from shared.domain.ids import derived, key_of
from shared.domain.leases import Rules

SOFTPHONE_RUNGS = (Rung.AGENT, Rung.ENGAGED)


class Recorded(Struct, frozen=True):
    """What is recorded under the call id of an answer that is no leg yet.

    `end` was told before the answer; `apart`: another's call or end has the id already.
    """

    end: LegEnd | None = None
    apart: bool = False


# A leg that made room for another in the same transition: nobody asked for its id, and a row beside it fits always.
_NOT_ASKED = Recorded(apart=True)


def call_key_of(invitation: Invitation) -> str:
    """The key of the call id under which a softphone that answered this invitation may report its end."""
    return key_of(invitation.invitation_id)


def new_answers(emergency: Emergency, callback: Callback) -> list[Invitation]:
    """The agent's answers that are no legs yet."""
    known = {leg.leg_id for leg in emergency.legs}
    own = (each for each in callback.invitations if each.agent_key == emergency.agent_key)
    return [each for each in own if each.joined_at is not None and _leg_id_of(each) not in known]


def _leg_id_of(invitation: Invitation) -> str:
    return derived(invitation.invitation_id, "leg")


def set_back(emergency: Emergency, callback: Callback, rules: Rules, now: datetime) -> bool:
    """Whether a party of this callback rings after others, because of a leg in progress that is not of it.

    A sole holder: only while they talk to another responder; an outgoing leg may be dead and its end unreported. Of
    several holders: whoever has any leg in progress, so that those without one ring first.
    """
    others = (leg for leg in standing(emergency, rules, now).in_progress if leg.callback != callback.callback_id)
    return any(len(callback.parties) > 1 or leg.callback is not None for leg in others)


def reflected(
    emergency: Emergency, callback: Callback, recorded: Mapping[str, Recorded], rules: Rules, now: datetime
) -> Emergency:
    """The emergency with what is known of the callback: whether it rings the agent, and each answer as a leg.

    `recorded` is what stands under the call keys of its `new_answers`. Whoever dropped out, and whoever was on the call
    when it ended, did not end it as far as we can see: that is a drop, unless the softphone or a CallEnded of ACS says
    better. Idempotent.
    """
    invitations = [each for each in callback.invitations if each.agent_key == emergency.agent_key]
    told = with_ringing(emergency, callback.callback_id, _rings_until(invitations, callback, now))
    for invitation in invitations:
        if invitation.joined_at is not None:
            known = recorded.get(call_key_of(invitation), _NOT_ASKED)
            told = _with_answer(told, callback, invitation, invitation.joined_at, known, rules, now)
    return told


def _rings_until(invitations: list[Invitation], callback: Callback, now: datetime) -> datetime | None:
    if callback.over_at is not None:
        return None
    rung = {each.invitation_id for each in ringing(callback, now)}
    softphones = [each for each in invitations if each.rung in SOFTPHONE_RUNGS and each.invitation_id in rung]
    return max((each.ends_at for each in softphones), default=None)


def _with_answer(
    emergency: Emergency,
    callback: Callback,
    invitation: Invitation,
    joined_at: datetime,
    recorded: Recorded,
    rules: Rules,
    now: datetime,
) -> Emergency:
    leg_id = _leg_id_of(invitation)
    ended_at = invitation.left_at or callback.over_at
    if all(leg.leg_id != leg_id for leg in emergency.legs):
        assert emergency.lease is not None
        # Of one that is over already only a reported end counts: who ended it decides about a hold from before, too.
        leg = _leg(
            emergency,
            callback,
            invitation,
            joined_at,
            recorded,
            holds_presence=ended_at is None or recorded.end is not None,
        )
        emergency = with_leg(emergency, leg, emergency.lease, rules, now)
    if ended_at is None:
        return emergency
    return with_departure(emergency, leg_id, max(ended_at, joined_at), rules, now)


def _leg(
    emergency: Emergency,
    callback: Callback,
    invitation: Invitation,
    joined_at: datetime,
    recorded: Recorded,
    *,
    holds_presence: bool,
) -> Leg:
    assert emergency.lease is not None
    dialled = [leg for leg in emergency.legs if leg.callback is None]
    return Leg(
        leg_id=_leg_id_of(invitation),
        call_key=call_key_of(invitation),
        # Not apart wherever that can be: an end that is being kept under the bare id then conflicts, and is told again.
        apart=recorded.apart,
        dialled_at=joined_at,
        number=emergency.lease.number,
        shared=emergency.lease.shared,
        test=bool(dialled) and calls_test_back(emergency, dialled, callback.began_at),
        holds_presence=holds_presence,
        reported_end=recorded.end,
        claims=(callback.server_key,) if callback.server_key else (),
        callback=callback.callback_id,
    )
