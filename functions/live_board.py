"""What supervisors watch: the emergencies that are going on, and the callback numbers."""

import azure.functions as func

from functions.http import composed, principal, tagged_answer
from functions.problems import answered
from functions.wire.office import numbers_answer

blueprint = func.Blueprint()


@blueprint.route(route="manage/emergencies", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def admin_emergencies(req: func.HttpRequest) -> func.HttpResponse:
    """Every emergency with a leg, a ring or a hold, the newest first; with an entity tag, so that polls cost little."""
    app = composed()
    principal("admin_emergencies", req, app.sign_in)
    return tagged_answer(req, app.administration.show_board())


@blueprint.route(route="manage/callback-numbers", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def admin_callback_numbers(req: func.HttpRequest) -> func.HttpResponse:
    """The pool: every number, its country and what it is doing."""
    app = composed()
    principal("admin_callback_numbers", req, app.sign_in)
    return tagged_answer(req, numbers_answer(app.administration.list_numbers()))
