"""What the communication panel shows (S5)."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.domain.emergencies import Emergency, rings_now, standing
from shared.domain.leases import Rules

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


class Panel(Struct, frozen=True, kw_only=True):
    """The panel's state; `expires_at` is until when the callback number is promised."""

    mode: Mode = Mode.NORMAL
    controls: tuple[str, ...] = NORMAL_CONTROLS
    form_actions: tuple[str, ...] = NORMAL_FORM_ACTIONS
    banner: Banner | None = None
    callback_number: str | None = None
    expires_at: datetime | None = None
    poll_after_s: int = POLL_OTHERWISE_S


def panel_of(emergency: Emergency | None, rules: Rules, now: datetime) -> Panel:
    """The panel of an agent with this emergency, or none."""
    if emergency is None or emergency.lease is None:
        return Panel()
    lease = emergency.lease if emergency.lease.lives(rules, now) else None
    number = lease.number if lease else None
    expires_at = lease.promised_until(rules) if lease else None
    stands = standing(emergency, rules, now)
    if rings_now(emergency, now):
        # Also while a leg is in progress, which may be dead: Answer comes beside End call, and takes nothing away.
        return _ringing_panel(number, expires_at, in_a_call=bool(stands.in_progress))
    if stands.in_progress:
        return emergency_panel(number, expires_at, test=all(leg.test for leg in stands.in_progress))
    if stands.held:
        return Panel(
            banner=Banner.HELD_AFTER_DROP,
            callback_number=number,
            expires_at=expires_at,
            poll_after_s=POLL_DURING_EMERGENCY_S,
        )
    return Panel(callback_number=number, expires_at=expires_at)


def _ringing_panel(number: str | None, expires_at: datetime | None, *, in_a_call: bool) -> Panel:
    return Panel(
        mode=Mode.RINGING,
        controls=RINGING_DURING_A_CALL_CONTROLS if in_a_call else RINGING_CONTROLS,
        form_actions=(),
        banner=Banner.CALLBACK_RINGING,
        callback_number=number,
        expires_at=expires_at,
        poll_after_s=POLL_DURING_EMERGENCY_S,
    )


def emergency_panel(number: str | None, expires_at: datetime | None, *, test: bool) -> Panel:
    """The panel while an emergency leg is in progress: device settings and End call, nothing else."""
    return Panel(
        mode=Mode.EMERGENCY,
        controls=EMERGENCY_CONTROLS,
        form_actions=(),
        banner=Banner.TEST_IN_PROGRESS if test else Banner.EMERGENCY_IN_PROGRESS,
        callback_number=number,
        expires_at=expires_at,
        poll_after_s=POLL_DURING_EMERGENCY_S,
    )
