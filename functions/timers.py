"""What time brings about, and what is still owed."""

import azure.functions as func

from functions.http import composed
from functions.problems import swept
from shared.deadlines import Deadline
from shared.use_cases.deliver_outbox import take_up_outbox
from shared.use_cases.sweep import expire_leases
from shared.use_cases.take_up_recordings import take_up_recordings

SWEEP_WITHIN_S = 45.0
OUTBOX_WITHIN_S = 5.0

blueprint = func.Blueprint()


@blueprint.timer_trigger(schedule="%EXPIRY_SCHEDULE%", arg_name="timer", run_on_startup=False)
@swept
def lease_expiry(timer: func.TimerRequest) -> None:  # noqa: ARG001 - a late run does the same as one on time
    """End holds and legs whose time has come, release numbers, and forget what is over."""
    app = composed()
    effects = expire_leases(
        emergencies=app.emergencies,
        presence=app.presence,
        clock=app.clock,
        deployment=app.deployment,
        telemetry=app.telemetry,
        deadline=Deadline(app.clock, SWEEP_WITHIN_S),
    )
    app.effects.finish(effects)


@blueprint.timer_trigger(schedule="%OUTBOX_SCHEDULE%", arg_name="timer", run_on_startup=False)
@swept
def outbox_sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - a late run does the same as one on time
    """Try again what is owed."""
    app = composed()
    app.warm_up.begin()
    deadline = Deadline(app.clock, OUTBOX_WITHIN_S)
    effects = take_up_outbox(emergencies=app.emergencies, clock=app.clock, deadline=deadline)
    recordings = take_up_recordings(outbox=app.recording_outbox, clock=app.clock, deadline=deadline)
    app.effects.finish([*effects, *recordings])
