"""What time brings about, and what is still owed."""

import azure.functions as func

from functions.problems import swept
from functions.this_app import composed

blueprint = func.Blueprint()


@blueprint.timer_trigger(schedule="%EXPIRY_SCHEDULE%", arg_name="timer", run_on_startup=False)
@swept
def lease_expiry(timer: func.TimerRequest) -> None:  # noqa: ARG001 - a late run does the same as one on time
    """End holds and legs whose time has come, release numbers, and forget what is over."""
    composed().calling.expire_leases()


@blueprint.timer_trigger(schedule="%OUTBOX_SCHEDULE%", arg_name="timer", run_on_startup=False)
@swept
def outbox_sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - a late run does the same as one on time
    """Try again what is owed."""
    app = composed()
    app.warm_up.begin()
    app.calling.take_up_outbox()
