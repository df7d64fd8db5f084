"""What the communication panel shows (S5)."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.emergencies import Emergency, Standing, rings_now, standing
from shared.domain.emergency_numbers import Placeable, Placement
from shared.domain.leases import Rules
from shared.domain.presence import PresenceStatus
from shared.domain.situations import Say, Situation, say_of

POLL_DURING_EMERGENCY_S = 2
POLL_OTHERWISE_S = 30
NORMAL_CONTROLS = (
    "answer",
    "decline",
    "dial",
    "keypad",
    "mute",
    "hold",
    "transfer",
    "conference",
    "device_settings",
    "end_call",
)
# After a drop dialling again comes first, as dispatchers advise, where the platform connects a number at all (S5).
CALL_AGAIN_CONTROL = "call_again"
HELD_CONTROLS = ("end_hold", *NORMAL_CONTROLS)
EMERGENCY_CONTROLS = ("device_settings", "end_call")
RINGING_CONTROLS = ("answer", "device_settings")
RINGING_DURING_A_CALL_CONTROLS = ("answer", "device_settings", "end_call")
NORMAL_FORM_ACTIONS = ("save", "refresh")


class Mode(StrEnum):
    """The panel's modes."""

    NORMAL = "normal"
    RINGING = "ringing"
    EMERGENCY = "emergency"


class Banner(StrEnum):
    """The alert that the panel shows; the words are the page's, by the agent's locale (B11)."""

    EMERGENCY_IN_PROGRESS = "emergency_in_progress"
    TEST_IN_PROGRESS = "test_in_progress"
    HELD_AFTER_DROP = "held_after_drop"
    CALLBACK_RINGING = "callback_ringing"
    CANNOT_BE_PLACED = "cannot_be_placed"
    DRILL_IN_PROGRESS = "drill_in_progress"


class Panel(Struct, frozen=True, kw_only=True):
    """The panel's state; `expires_at` is until when the callback number is promised.

    `fallback`: it is the fallback number, which other people answer, and not the agent.
    `presence` is Do not disturb while it is held by us, None otherwise. `say` is what the caller should say (B12), None
    without a lease; `dial` are the digits that the platform connects
    where the caller is, None where it connects none (B13).
    """

    mode: Mode = Mode.NORMAL
    controls: tuple[str, ...] = NORMAL_CONTROLS
    form_actions: tuple[str, ...] = NORMAL_FORM_ACTIONS
    banner: Banner | None = None
    presence: PresenceStatus | None = None
    callback_number: str | None = None
    expires_at: datetime | None = None
    fallback: bool = False
    say: Say | None = None
    placeable: Placeable = Placeable.UNKNOWN
    dial: str | None = None
    poll_after_s: int = POLL_OTHERWISE_S


def panel_of(emergency: Emergency | None, rules: Rules, now: datetime) -> Panel:
    """The panel of an agent with this emergency, or none."""
    if emergency is None or emergency.lease is None:
        return Panel()
    stands = standing(emergency, rules, now)
    if emergency.drill:
        return _drill_panel(emergency, stands)
    placement = _placement(emergency, stands)
    panel = structs.replace(_moded(emergency, stands, placement, now), presence=_held_presence(emergency, stands))
    lease, situation = emergency.lease, structs.replace(emergency.situation or Situation(), placement=placement)
    if lease.lasts(rules, now):
        expires_at = lease.expires_at(rules, now)
        panel = with_number(panel, lease.number or None, expires_at, situation, fallback=lease.fallback)
    elif stands.in_progress or stands.held:
        # A hold may outlast the lease: as long as its banner asks to call again, there is the button for it.
        panel = _with_placement(panel, situation)
    if panel.banner is Banner.HELD_AFTER_DROP and panel.dial is not None:
        return structs.replace(panel, controls=(CALL_AGAIN_CONTROL, *panel.controls))
    return panel


def _drill_panel(emergency: Emergency, stands: Standing) -> Panel:
    """The usual controls, so that a real call can be dialled at any moment (B9); nothing to say to a responder."""
    if not stands.held:
        return Panel()
    presence = _held_presence(emergency, stands)
    return Panel(banner=Banner.DRILL_IN_PROGRESS, presence=presence, poll_after_s=POLL_DURING_EMERGENCY_S)


def _held_presence(emergency: Emergency, stands: Standing) -> PresenceStatus | None:
    """Do not disturb while a leg or hold lasts, unless a person has changed it since (B5), or none can be held.

    A hold that is neither set nor owed was found to hold nothing: the agent is not signed in there, or has no account.
    """
    hold = emergency.hold
    ours = stands.held and hold is not None and not hold.settled
    held = ours and hold is not None and (hold.applied or emergency.presence_due_at is not None)
    return PresenceStatus.DO_NOT_DISTURB if held else None


def _moded(emergency: Emergency, stands: Standing, placement: Placement, now: datetime) -> Panel:
    """The panel by itself, without presence, the number and what goes with it."""
    if rings_now(emergency, now):
        # Also while a leg is in progress, which may be dead: Answer comes beside End call, and takes nothing away.
        return _ringing_panel(in_a_call=bool(stands.in_progress))
    if stands.in_progress:
        return emergency_panel(
            test=all(leg.test for leg in stands.in_progress),
            # A responder is on the line: then it is no matter whether a call can be placed.
            placement=None if any(leg.callback for leg in stands.in_progress) else placement,
        )
    if stands.held:
        # Where no call can be placed, nobody is to be told to call again.
        banner = Banner.CANNOT_BE_PLACED if placement.placeable is Placeable.NO else Banner.HELD_AFTER_DROP
        return Panel(controls=HELD_CONTROLS, banner=banner, poll_after_s=POLL_DURING_EMERGENCY_S)
    return Panel()


def _placement(emergency: Emergency, stands: Standing) -> Placement:
    """That of the call which the panel is about: a real one before a test, one in progress before one that dropped."""
    dialled = [leg for leg in emergency.legs if leg.callback is None]
    # Presence is held after a drop, unless it was before the agent last ended a call.
    about = [leg for leg in dialled if leg in stands.in_progress] or [leg for leg in dialled if leg in stands.dropped]
    of_these = [leg for leg in about if not leg.test] or about or dialled
    latest = max(of_these, key=lambda leg: leg.dialled_at, default=None)
    return emergency.placement_of(latest) if latest is not None else Placement()


def _ringing_panel(*, in_a_call: bool) -> Panel:
    return Panel(
        mode=Mode.RINGING,
        controls=RINGING_DURING_A_CALL_CONTROLS if in_a_call else RINGING_CONTROLS,
        form_actions=(),
        banner=Banner.CALLBACK_RINGING,
        poll_after_s=POLL_DURING_EMERGENCY_S,
    )


def emergency_panel(*, test: bool, placement: Placement | None = None) -> Panel:
    """The panel while an emergency leg is in progress: device settings and End call, nothing else.

    Where the call cannot be placed from here, that is what the alert says (B13).
    """
    banner = Banner.TEST_IN_PROGRESS if test else Banner.EMERGENCY_IN_PROGRESS
    if placement is not None and placement.placeable is Placeable.NO:
        banner = Banner.CANNOT_BE_PLACED
    return Panel(
        mode=Mode.EMERGENCY,
        controls=EMERGENCY_CONTROLS,
        form_actions=(),
        banner=banner,
        presence=PresenceStatus.DO_NOT_DISTURB,
        poll_after_s=POLL_DURING_EMERGENCY_S,
    )


def beside_unrecorded(panel: Panel, unrecorded: Panel) -> Panel:
    """That of a call in progress which the store does not know yet, unless a responder rings beside it.

    `panel` is by what the store knows.
    """
    if panel.mode is Mode.RINGING:
        return structs.replace(panel, controls=RINGING_DURING_A_CALL_CONTROLS)
    return unrecorded


def with_number(
    panel: Panel, number: str | None, expires_at: datetime | None, situation: Situation, *, fallback: bool = True
) -> Panel:
    """The panel with the callback number and what to say, gone with the lease, and what the platform connects."""
    say = say_of(situation, number)
    numbered = structs.replace(panel, callback_number=number, expires_at=expires_at, fallback=fallback, say=say)
    return _with_placement(numbered, situation)


def _with_placement(panel: Panel, situation: Situation) -> Panel:
    return structs.replace(panel, placeable=situation.placement.placeable, dial=situation.placement.dial)
