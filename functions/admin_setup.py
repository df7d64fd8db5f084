"""Sites and templates as one file: so that a deployment can be built anew beside another."""

import azure.functions as func

from functions.http import JSON, PRIVATE, administered, caller, is_flagged, json_answer
from functions.problems import answered, seated, unprocessable
from functions.this_app import composed
from functions.wire import setup
from functions.wire.setup import SetupImported
from shared.domain.words import Words

ROUTE_OF_EXPORT = "manage/setup/export"
ROUTE_OF_IMPORT = "manage/setup/import"

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE_OF_EXPORT, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_setup_exported(req: func.HttpRequest) -> func.HttpResponse:
    """All sites, and the templates that are not the built-in ones."""
    app = composed()
    caller("admin_setup_exported", req, app.sign_in)
    named = {"Content-Disposition": 'attachment; filename="setup.json"'}
    body = setup.written(app.administration.export_setup())
    return func.HttpResponse(body, headers={**PRIVATE, **named}, mimetype=JSON)


@blueprint.route(route=ROUTE_OF_IMPORT, methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_setup_imported(req: func.HttpRequest) -> func.HttpResponse:
    """Bring a file back; with `dry_run=1` only say what that would do. 422 and nothing done where it has faults."""
    app = composed()
    by = caller("admin_setup_imported", req, app.sign_in)
    file = setup.read(req.get_body())
    dry_run = is_flagged(req, "dry_run")
    if dry_run or file.faults:
        outlook = app.administration.check_setup(file.setup)
    else:
        outlook = app.administration.import_setup(file.setup)
    faults = setup.faults_told(file, outlook)
    if faults:
        return unprocessable("faulty-setup", Words("has entries that cannot be used"), asked_by=req, faults=faults)
    if not dry_run:
        administered(app.calling, by, kind="setup", change="imported")
    return json_answer(SetupImported(sites=outlook.sites, templates=outlook.templates))
