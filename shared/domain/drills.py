"""A drill plays the whole chain for an agent, marked as a drill everywhere (B9)."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class DrillState(StrEnum):
    """How a drill stands; `overtaken`: a real call came, and won."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    OVERTAKEN = "overtaken"


class DrillStep(Struct, frozen=True, kw_only=True):
    """One step of a drill: how it ended, how long it took, and why where it did not pass."""

    step: str
    state: str
    ms: int
    reason: str | None = None


class Drill(Struct, frozen=True, kw_only=True):
    """A drill; once it is over nothing is kept of it but when it was, how it ended, and its steps' times."""

    drill_id: str
    at: datetime
    state: DrillState = DrillState.RUNNING
    steps: tuple[DrillStep, ...] = ()


STEPS = ("lease", "presence", "email", "callback", "restore", "release")
