"""Whether the deployment can do its work: for probes and monitors, and so without detail."""

import azure.functions as func

from functions.http import json_answer
from functions.problems import answered
from functions.this_app import composed
from functions.wire.http import health_answer

blueprint = func.Blueprint()


@blueprint.route(route="health", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - anyone may ask, and there is nothing to say
    """200 where emergencies can be kept; 503 where the table does not answer. Faulty settings alone are reported."""
    app = composed()
    # Probes come to every instance: they are its chance to be ready before an emergency is.
    app.warm_up.begin()
    table_reachable = app.calling.check_health()
    return json_answer(
        health_answer(settings_valid=app.settings.valid, table_reachable=table_reachable),
        status=200 if table_reachable else 503,
    )
