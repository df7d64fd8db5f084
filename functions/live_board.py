"""What supervisors watch: the emergencies that are going on, and the callback numbers."""

import azure.functions as func

from functions.http import CUT_AT, principal, tagged_answer
from functions.problems import answered, seated
from functions.this_app import composed
from functions.wire.office import numbers_answer
from shared.domain.board import Board

blueprint = func.Blueprint()


@blueprint.route(route="manage/emergencies", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_emergencies(req: func.HttpRequest) -> func.HttpResponse:
    """Every emergency with a leg, a ring or a hold, the newest first; with an entity tag, so that polls cost little."""
    app = composed()
    principal("admin_emergencies", req, app.sign_in)
    return board_answer(req, app.administration.show_board())


def board_answer(req: func.HttpRequest, board: Board) -> func.HttpResponse:
    """The rows; a header says so where the store holds more than it shows."""
    cut = {} if board.cut_at is None else {CUT_AT: str(board.cut_at)}
    return tagged_answer(req, board.emergencies, cut)


@blueprint.route(route="manage/callback-numbers", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_callback_numbers(req: func.HttpRequest) -> func.HttpResponse:
    """The pool: every number, its country and what it is doing."""
    app = composed()
    principal("admin_callback_numbers", req, app.sign_in)
    return tagged_answer(req, numbers_answer(app.administration.list_numbers()))
