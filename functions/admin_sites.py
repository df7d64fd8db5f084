"""The sites (B14)."""

from functools import partial

import azure.functions as func

from functions.http import administered, caller, empty_answer, entity_tag, json_answer, versioned_answer
from functions.preconditions import overwriting, unless_overtaken
from functions.problems import answered, seated
from functions.this_app import composed
from functions.wire.decoding import decode
from functions.wire.http import SiteBody, SitesAnswer, path_id, site_of
from shared.domain.errors import NotFound

ROUTE_OF_ALL = "manage/sites"
ROUTE = "manage/sites/{site_id}"

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE_OF_ALL, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_sites_listed(req: func.HttpRequest) -> func.HttpResponse:
    """All sites, in the order of their ids."""
    app = composed()
    caller("admin_sites_listed", req, app.sign_in)
    calling = app.calling
    return json_answer(SitesAnswer(calling.sites.all(calling.within(calling.budgets.directory_s))))


@blueprint.route(route=ROUTE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_site_read(req: func.HttpRequest) -> func.HttpResponse:
    """A site, with its entity tag; 304 where the caller has that version."""
    app = composed()
    caller("admin_site_read", req, app.sign_in)
    site_id = path_id(req.route_params.get("site_id"), "site_id")
    calling = app.calling
    found = calling.sites.read(site_id, calling.within(calling.budgets.directory_s))
    if found is None:
        raise NotFound
    site, version = found
    return versioned_answer(req, site, version)


@blueprint.route(route=ROUTE, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_site_saved(req: func.HttpRequest) -> func.HttpResponse:
    """Write a site: 201 for a new one, 200 over an old one, 412 where it is not as `If-Match` says."""
    app = composed()
    by = caller("admin_site_saved", req, app.sign_in)
    calling, deadline = app.calling, app.calling.within(app.calling.budgets.directory_s)
    site_id = path_id(req.route_params.get("site_id"), "site_id")
    site = site_of(site_id, decode(req.get_body(), SiteBody))
    known, version = overwriting(req, partial(calling.sites.read, site_id, deadline))
    with unless_overtaken():
        saved = calling.sites.save(site, version, deadline)
    administered(calling, by, kind="site", change="saved")
    return json_answer(site, status=200 if known else 201, headers={"ETag": entity_tag(saved)})


@blueprint.route(route=ROUTE, methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_site_removed(req: func.HttpRequest) -> func.HttpResponse:
    """Remove a site, also one that entries name: whoever is there falls back on the defaults."""
    app = composed()
    by = caller("admin_site_removed", req, app.sign_in)
    calling, deadline = app.calling, app.calling.within(app.calling.budgets.directory_s)
    site_id = path_id(req.route_params.get("site_id"), "site_id")
    known, version = overwriting(req, partial(calling.sites.read, site_id, deadline))
    if not known:
        raise NotFound
    with unless_overtaken():
        calling.sites.remove(site_id, version, deadline)
    administered(calling, by, kind="site", change="removed")
    return empty_answer()
