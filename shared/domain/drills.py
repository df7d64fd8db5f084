"""A drill plays the whole chain for an agent, marked as a drill everywhere (B9)."""

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from shared.domain.ids import Key
from shared.domain.stamps import age_of, is_ahead
from shared.domain.words import Words, remade

# Whoever plays a drill keeps it for so long at a time: longer than any one step takes.
CLAIMED_FOR = timedelta(seconds=90)
# Then only what is left of it is cleaned up. Its lease, which ends by itself, lasts a minute longer.
GIVEN_UP_AFTER = timedelta(minutes=4)
# A drill whose row says for so long that it runs is in nobody's way any more.
FORGOTTEN_AFTER = timedelta(minutes=10)
# The log says so often for how many days no drill has passed: an alert reads one day of it.
TOLD_EVERY = timedelta(hours=6)


class DrillState(StrEnum):
    """How a drill stands; `overtaken`: a real call came, and won."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    OVERTAKEN = "overtaken"


class StepName(StrEnum):
    """The steps, in their order."""

    LEASE = "lease"
    PRESENCE = "presence"
    EMAIL = "email"
    CALLBACK = "callback"
    RESTORE = "restore"
    RELEASE = "release"


# What cleans up: done in any case, also where a step before it failed.
LAST_STEPS = (StepName.RESTORE, StepName.RELEASE)


class StepState(StrEnum):
    """How a step stands; `skipped`: there was nothing to do, or no sense in it."""

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    OVERTAKEN = "overtaken"


class DrillStep(Struct, frozen=True, kw_only=True):
    """One step of a drill: how it stands, how many milliseconds it took, and why it did not pass.

    `reason` is in English; `template` and `values` are what it was made of, for readers of other languages.
    """

    step: StepName
    state: StepState
    ms: int | None = None
    reason: str | None = None
    template: str | None = None
    values: dict[str, str | int] = {}

    @property
    def said(self) -> Words | None:
        """The reason, which has its translations."""
        if self.reason is None:
            return None
        return remade(self.reason if self.template is None else self.template, self.values)


class Play(Struct, frozen=True, kw_only=True):
    """What a drill needs while it runs, and nobody keeps afterwards.

    `claim` is who plays it, at random, until `claimed_until`. `overtaken`: a real call came.
    """

    agent_id: str
    recipients: tuple[str, ...] = ()
    claim: str = ""
    claimed_until: datetime | None = None
    overtaken: bool = False


class Drill(Struct, frozen=True, kw_only=True):
    """A drill; once it is over nothing is kept of it but when it was, how it ended, its steps' times, and the sender.

    `sender_key` is that of the deployment's sender then.
    """

    drill_id: str
    at: datetime
    state: DrillState = DrillState.RUNNING
    steps: tuple[DrillStep, ...] = ()
    play: Play | None = None
    sender_key: Key = ""

    def is_left_alone(self, now: datetime) -> bool:
        """Whether it runs, and nobody plays it."""
        if self.state is not DrillState.RUNNING or self.play is None:
            return False
        until = self.play.claimed_until
        return until is None or until <= now or is_ahead(until - CLAIMED_FOR, now)


class DrillAge(Struct, frozen=True, kw_only=True):
    """When a drill last passed, or since when this deployment is known without one; and when the log was told."""

    since: datetime
    told_at: datetime | None = None

    def is_to_tell(self, now: datetime) -> bool:
        """Whether the log has not been told for long."""
        return self.told_at is None or age_of(self.told_at, now) >= TOLD_EVERY


def new_drill(
    drill_id: str, agent_id: str, recipients: tuple[str, ...], now: datetime, *, sender_key: Key = ""
) -> Drill:
    """A drill that nobody has begun to play."""
    steps = tuple(DrillStep(step=name, state=StepState.WAITING) for name in StepName)
    play = Play(agent_id=agent_id, recipients=recipients)
    return Drill(drill_id=drill_id, at=now, steps=steps, play=play, sender_key=sender_key)


def step_to_do(drill: Drill) -> StepName | None:
    """The first step that is not over; one that a process died in is done once more."""
    unfinished = (StepState.WAITING, StepState.RUNNING)
    return next((each.step for each in drill.steps if each.state in unfinished), None)


def with_step(drill: Drill, step: DrillStep) -> Drill:
    """The drill with this in place of the step of that name."""
    return structs.replace(drill, steps=tuple(step if each.step == step.step else each for each in drill.steps))


def state_of(drill: Drill, name: StepName) -> StepState:
    """How a step stands."""
    return next((each.state for each in drill.steps if each.step == name), StepState.WAITING)


def concluded(drill: Drill) -> Drill:
    """What is kept of it: the verdict, the steps and their times."""
    failed = any(each.state == StepState.FAILED for each in drill.steps)
    state = DrillState.FAILED if failed else DrillState.PASSED
    if drill.play is not None and drill.play.overtaken:
        state = DrillState.OVERTAKEN
    return structs.replace(drill, state=state, play=None)
