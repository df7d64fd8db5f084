"""What a transition owes the world, as data; `perform` does one of them."""

from datetime import datetime

from msgspec import Struct

from shared.domain.notifications import Notice
from shared.domain.presence import Hold
from shared.ports import OwedNotice, OwedRecording


class ReconcilePresence(Struct, frozen=True):
    """Bring the agent's presence to what it should be."""

    agent_key: str


class ReconcilePresenceOf(Struct, frozen=True):
    """The same for whoever's emergency has this name, if there is one."""

    name: str


class CloseThread(Struct, frozen=True):
    """Tell whoever was told of an agent's emergency that it is over."""

    agent_key: str


class DeliverNotice(Struct, frozen=True):
    """Send a notice that the outbox holds. `granted_at`: when the sender's quota counted its message already."""

    owed: OwedNotice
    granted_at: datetime | None = None


class MergeWaiting(Struct, frozen=True):
    """Send what waits for the sender's quota, as far as that goes by now."""


class HoldInOutage(Struct, frozen=True, kw_only=True):
    """Hold presence although the store is away; the repeated request finds the hold by its dial.

    `agent_id` is the one that the dial was answered with and `by` the owner of whoever reported it, `names` what the
    keys of their rows may be made of, `presence_id` how presence services know them, `received_at` when the dial
    reached us, `object_id` their Microsoft Entra object id where sign-in or dial tell it. Unless it is `established`
    whose dial it is, presence is held only where the service knows that id.
    """

    agent_id: str
    by: str
    names: tuple[str, ...]
    presence_id: str
    hold: Hold
    dial_key: str
    received_at: datetime
    object_id: str | None = None
    established: bool = True


class ReturnPresence(Struct, frozen=True):
    """Give back what was held in an outage, should the store know nothing of this agent."""

    agent_id: str
    hold_id: str


class MailInOutage(Struct, frozen=True, kw_only=True):
    """Send a notice although the store is away, so that nothing can owe it.

    `call_key` is the key of the dial's call id, `by` the owner of whoever reported it.
    """

    dial_key: str
    call_key: str
    by: str
    notice: Notice


class SettleRecording(Struct, frozen=True):
    """Delete a recording that the outbox holds, or decide about it once more."""

    owed: OwedRecording


class SettleHeldRecordings(Struct, frozen=True):
    """An agent's ties changed: decide about the recordings that were held back because of them."""

    agent_key: str


class StopRecording(Struct, frozen=True):
    """Stop a recording that runs on an emergency call."""

    recording_id: str


class ContinueCallback(Struct, frozen=True):
    """Move a callback on whose event never came."""

    callback_id: str


class CarryOnImport(Struct, frozen=True):
    """Go on with an import of the directory."""

    operation_id: str


class CarryOnDrill(Struct, frozen=True):
    """Go on with a drill."""

    drill_id: str


type Effect = (
    CarryOnDrill
    | CarryOnImport
    | ReconcilePresence
    | ReconcilePresenceOf
    | DeliverNotice
    | CloseThread
    | MergeWaiting
    | HoldInOutage
    | ReturnPresence
    | MailInOutage
    | SettleRecording
    | SettleHeldRecordings
    | StopRecording
    | ContinueCallback
)


def reporter_of(effect: Effect) -> str | None:
    """Who caused an effect that no outbox has: nobody's flood is to take all places. None for what is owed anyway."""
    return effect.by if isinstance(effect, HoldInOutage) else None
