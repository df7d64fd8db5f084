"""The function app, which a Functions host loads: registers the blueprints and has two effects of its own.

It replaces the event decoder of `azure.functions`, and starts the timer that looks for overdue work of dead processes.
"""

import azure.functions as func

from functions import (
    admin_agents,
    admin_drills,
    admin_import,
    admin_setup,
    admin_sites,
    call_automation_events,
    call_policy,
    cross_origin,
    desktop,
    emergency_calls,
    health,
    live_board,
    me,
    notification_template,
    openapi,
    pages,
    panel,
    presence,
    prompt,
    readiness,
    telephony_events,
    timers,
    warmup,
)
from functions.this_app import begin_take_up
from functions.wire.event_grid import replace_event_decoder

replace_event_decoder()

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for module in (
    emergency_calls,
    telephony_events,
    call_automation_events,
    call_policy,
    panel,
    pages,
    presence,
    me,
    prompt,
    admin_agents,
    admin_import,
    admin_sites,
    admin_drills,
    admin_setup,
    timers,
    health,
    cross_origin,
    desktop,
    live_board,
    notification_template,
    readiness,
    openapi,
    warmup,
):
    app.register_functions(module.blueprint)

begin_take_up()
