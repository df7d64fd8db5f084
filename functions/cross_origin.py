"""Browsers' questions before they send a request from another site (CORS)."""

import azure.functions as func

from functions.http import preflight_answer
from functions.problems import answered
from functions.this_app import composed

blueprint = func.Blueprint()


@blueprint.route(route="{*path}", methods=["OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def preflight(req: func.HttpRequest) -> func.HttpResponse:
    """Tell a browser whether a site may call the API: those of ALLOWED_ORIGINS may."""
    asked = req.headers.get("access-control-request-headers")
    return preflight_answer(req.headers.get("origin"), asked, composed().settings.allowed_origins)
