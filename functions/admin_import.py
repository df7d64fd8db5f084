"""The directory as a file: import with a dry run first, and export."""

import hashlib

import azure.functions as func

from functions.http import PRIVATE, administered, caller, is_flagged, json_answer
from functions.languages import spoken_answer
from functions.problems import answered, seated, unprocessable
from functions.this_app import composed
from functions.wire import directory_csv
from functions.wire.decoding import text
from functions.wire.directory_csv import CSV, ImportBegun, checked_answer, faults_told, import_answer
from functions.wire.http import MAX_ID_CHARS
from shared.domain.errors import Conflict, Malformed, NotFound
from shared.domain.words import Words

ROUTE = "manage/agents/import"
ROUTE_OF_ONE = "manage/agents/import/{operation_id}"
ROUTE_OF_EXPORT = "manage/agents/export"
MAX_FILE_BYTES = 16 * 1024 * 1024
ID_HEX_DIGITS = 32

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agents_imported(req: func.HttpRequest) -> func.HttpResponse:
    """With `dry_run=1`, what the file would do; with the `digest` of what was checked, do it."""
    app = composed()
    by = caller("admin_agents_imported", req, app.sign_in)
    calling = app.calling
    deadline = calling.within(calling.budgets.whole_directory_s)
    body = req.get_body()
    if len(body) > MAX_FILE_BYTES:
        raise Malformed("body", f"is longer than {MAX_FILE_BYTES} bytes")
    digest, found = hashlib.sha256(body).hexdigest(), directory_csv.read(body)
    if is_flagged(req, "dry_run"):
        outlook = calling.check_import([row.change for row in found.rows], deadline=deadline)
        return spoken_answer(req, checked_answer(digest, found, outlook))
    if (req.params.get("digest") or "").lower() != digest:
        raise Conflict("The file is not the one that was checked.")
    if found.faults:
        return unprocessable("faulty-rows", Words("has rows that cannot be used"), asked_by=req, **faults_told(found))
    operation_id = digest[:ID_HEX_DIGITS]
    calling.begin_import(operation_id, [row.change for row in found.rows], deadline=deadline)
    administered(calling, by, kind="agent", change="imported")
    return json_answer(ImportBegun(operation_id), status=202)


@blueprint.route(route=ROUTE_OF_ONE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agents_import_read(req: func.HttpRequest) -> func.HttpResponse:
    """How far an import is."""
    app = composed()
    caller("admin_agents_import_read", req, app.sign_in)
    operation_id = text(req.route_params.get("operation_id") or None, "operation_id", MAX_ID_CHARS)
    calling = app.calling
    is_id = len(operation_id) == ID_HEX_DIGITS and set(operation_id) <= set("0123456789abcdef")
    known = calling.imports.read(operation_id, calling.within(calling.budgets.directory_s)) if is_id else None
    if known is None:
        raise NotFound
    return json_answer(import_answer(known.as_seen(calling.clock.now())))


@blueprint.route(route=ROUTE_OF_EXPORT, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agents_exported(req: func.HttpRequest) -> func.HttpResponse:
    """The whole directory as CSV, in the order of ids."""
    app = composed()
    caller("admin_agents_exported", req, app.sign_in)
    calling = app.calling
    agents = calling.export_agents(deadline=calling.within(calling.budgets.whole_directory_s))
    named = {"Content-Disposition": 'attachment; filename="agents.csv"'}
    return func.HttpResponse(directory_csv.written(agents), headers={**PRIVATE, **named}, mimetype=CSV)
