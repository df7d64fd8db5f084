"""Who is signed in, as the directory knows them: what a page asks that nobody told whose it is."""

import azure.functions as func

from functions.http import json_answer, principal
from functions.problems import answered
from functions.rights import caller_of
from functions.this_app import composed
from functions.wire.http import me_answer

blueprint = func.Blueprint()


@blueprint.route(route="me", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
def me(req: func.HttpRequest) -> func.HttpResponse:
    """The caller's agent id, name and locale, null where no entry is theirs; and their roles."""
    app = composed()
    person = principal("me", req, app.sign_in)
    signed_in = caller_of(person)
    with app.calling.polling(app.calling.budgets.directory_s, signed_in) as deadline:
        entry = app.calling.find_me(signed_in, deadline=deadline)
    return json_answer(me_answer(person, entry))
