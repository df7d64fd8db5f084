"""The Emergency Call Notification Template, as administrators edit it (S7)."""

import azure.functions as func

from functions.http import administered, caller, empty_answer, entity_tag, json_answer, principal, versioned_answer
from functions.languages import spoken_answer
from functions.preconditions import required_version, unless_overtaken
from functions.problems import answered, seated
from functions.this_app import composed
from functions.wire.decoding import decode
from functions.wire.office import (
    MAX_TEMPLATE_BYTES,
    TemplateBody,
    preview_answer,
    template_kind,
    template_language,
)

ROUTE = "manage/notification-template"
PREVIEW_ROUTE = "manage/notification-template/preview"

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_notification_template_read(req: func.HttpRequest) -> func.HttpResponse:
    """The template of a kind and language with its entity tag: an administrator's, else the built-in one.

    304 where the caller has that version.
    """
    app = composed()
    principal("admin_notification_template_read", req, app.sign_in)
    kind, language = template_kind(req.params.get("kind")), template_language(req.params.get("locale"))
    stored = app.administration.read_template(kind, language)
    return versioned_answer(req, stored.sources, stored.version)


@blueprint.route(route=ROUTE, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_notification_template_saved(req: func.HttpRequest) -> func.HttpResponse:
    """Put a template in place; 422 with `lint` where it must not be saved, 412 where it is not as `If-Match` says."""
    app = composed()
    who = caller("admin_notification_template_saved", req, app.sign_in)
    kind, language = template_kind(req.params.get("kind")), template_language(req.params.get("locale"))
    sources = decode(req.get_body(), TemplateBody, most_bytes=MAX_TEMPLATE_BYTES).sources()
    before = app.administration.read_template(kind, language)
    with unless_overtaken():
        saved = app.administration.save_template(kind, language, sources, required_version(req, before.version))
    administered(app.calling, who, kind="template", change="saved")
    return json_answer(saved.sources, headers={"ETag": entity_tag(saved.version)})


@blueprint.route(route=ROUTE, methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_notification_template_removed(req: func.HttpRequest) -> func.HttpResponse:
    """The built-in template again: 204."""
    app = composed()
    who = caller("admin_notification_template_removed", req, app.sign_in)
    kind, language = template_kind(req.params.get("kind")), template_language(req.params.get("locale"))
    before = app.administration.read_template(kind, language)
    with unless_overtaken():
        app.administration.remove_template(kind, language, required_version(req, before.version))
    administered(app.calling, who, kind="template", change="removed")
    return empty_answer()


@blueprint.route(route=PREVIEW_ROUTE, methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_notification_template_preview(req: func.HttpRequest) -> func.HttpResponse:
    """The template that was sent, rendered with sample facts, and its lint; nothing is kept."""
    app = composed()
    principal("admin_notification_template_preview", req, app.sign_in)
    kind, language = template_kind(req.params.get("kind")), template_language(req.params.get("locale"))
    sources = decode(req.get_body(), TemplateBody, most_bytes=MAX_TEMPLATE_BYTES).sources()
    return spoken_answer(req, preview_answer(app.administration.preview_template(kind, language, sources)))
