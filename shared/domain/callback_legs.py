"""What a callback means for the emergencies of the agents whom it rings (S4, S5, B3, B5)."""

from datetime import datetime

from shared.domain.callbacks import Callback, Invitation, Rung, ringing
from shared.domain.emergencies import Emergency, Leg, standing, with_departure, with_leg, with_ringing
from shared.domain.ids import derived, key_of
from shared.domain.leases import Rules

SOFTPHONE_RUNGS = (Rung.AGENT, Rung.ENGAGED)


def call_id_of(invitation: Invitation) -> str:
    """The call id under which a softphone that answered this invitation may report its end."""
    return invitation.invitation_id


def set_back(emergency: Emergency, callback: Callback, rules: Rules, now: datetime) -> bool:
    """Whether a party of this callback rings after others, because of a leg in progress that is not of it.

    A sole holder: only while they talk to another responder; an outgoing leg may be dead and its end unreported. Of
    several holders: whoever has any leg in progress, so that those without one ring first.
    """
    others = (leg for leg in standing(emergency, rules, now).in_progress if leg.callback != callback.callback_id)
    return any(len(callback.parties) > 1 or leg.callback is not None for leg in others)


def reflected(emergency: Emergency, callback: Callback, rules: Rules, now: datetime) -> Emergency:
    """The emergency with what is known of the callback: whether it rings the agent, and each answer as a leg.

    Whoever dropped out, and whoever was on the call when it ended, did not end it as far as we can see: that is a drop,
    unless the softphone or a CallEnded of ACS says better. Idempotent.
    """
    invitations = [each for each in callback.invitations if each.agent_key == emergency.agent_key]
    told = with_ringing(emergency, callback.callback_id, _rings_until(invitations, callback, now))
    for invitation in invitations:
        if invitation.joined_at is not None:
            told = _with_answer(told, callback, invitation, invitation.joined_at, rules, now)
    return told


def _rings_until(invitations: list[Invitation], callback: Callback, now: datetime) -> datetime | None:
    if callback.over_at is not None:
        return None
    rung = {each.invitation_id for each in ringing(callback, now)}
    softphones = [each for each in invitations if each.rung in SOFTPHONE_RUNGS and each.invitation_id in rung]
    return max((each.ends_at for each in softphones), default=None)


def _with_answer(
    emergency: Emergency, callback: Callback, invitation: Invitation, joined_at: datetime, rules: Rules, now: datetime
) -> Emergency:
    leg_id = derived(invitation.invitation_id, "leg")
    ended_at = invitation.left_at or callback.over_at
    if all(leg.leg_id != leg_id for leg in emergency.legs):
        assert emergency.lease is not None
        leg = _leg(emergency, callback, invitation, joined_at, holds_presence=ended_at is None)
        emergency = with_leg(emergency, leg, emergency.lease, rules, now)
    if ended_at is None:
        return emergency
    return with_departure(emergency, leg_id, max(ended_at, joined_at), rules, now)


def _leg(
    emergency: Emergency, callback: Callback, invitation: Invitation, joined_at: datetime, *, holds_presence: bool
) -> Leg:
    assert emergency.lease is not None
    dialled = [leg for leg in emergency.legs if leg.callback is None]
    return Leg(
        leg_id=derived(invitation.invitation_id, "leg"),
        call_key=key_of(call_id_of(invitation)),
        # The end of it may have been told, and kept, before the answer was.
        apart=True,
        dialled_at=joined_at,
        number=emergency.lease.number,
        shared=emergency.lease.shared,
        test=bool(dialled) and all(leg.test for leg in dialled),
        holds_presence=holds_presence,
        claims=(callback.server_key,) if callback.server_key else (),
        callback=callback.callback_id,
    )
