"""The directory: entries, lists, and the recipients of notifications (S9)."""

from functools import partial

import azure.functions as func
from msgspec import structs

from functions.http import administered, caller, empty_answer, entity_tag, json_answer, versioned_answer
from functions.preconditions import overwriting, precondition, unless_overtaken
from functions.problems import PreconditionFailed, answered, seated, unprocessable
from functions.this_app import composed
from functions.wire import decoding
from functions.wire.decoding import decode
from functions.wire.http import (
    MAX_ID_CHARS,
    AgentBody,
    agent_answer,
    agent_of,
    contacts_answer,
    page_limit,
    path_id,
    written_contacts,
)
from shared.deadlines import Deadline
from shared.domain.contacts import Contacts
from shared.domain.errors import Conflict, NotFound
from shared.ports import AgentDirectory

ROUTE_OF_ALL = "manage/agents"
ROUTE = "manage/agents/{agent_id}"
ROUTE_OF_CONTACTS = "manage/agents/{agent_id}/emergency-contacts"

blueprint = func.Blueprint()


@blueprint.route(route=ROUTE, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agent_read(req: func.HttpRequest) -> func.HttpResponse:
    """An agent's entry, with its entity tag; 304 where the caller has that version."""
    app = composed()
    caller("admin_agent_read", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    calling = app.calling
    found = calling.directory.read(agent_id, calling.within(calling.budgets.directory_s))
    if found is None:
        raise NotFound
    agent, version = found
    return versioned_answer(req, agent_answer(agent), version)


@blueprint.route(route=ROUTE_OF_ALL, methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agents_listed(req: func.HttpRequest) -> func.HttpResponse:
    """A page of the agents whose id, name or a word of it begins with `starts_with`, in the order of names."""
    app = composed()
    caller("admin_agents_listed", req, app.sign_in)
    limit = page_limit(req.params.get("limit"))
    starts_with = decoding.text_or_none(req.params.get("starts_with") or None, "starts_with", MAX_ID_CHARS) or ""
    cursor = decoding.text_or_none(req.params.get("cursor") or None, "cursor", MAX_ID_CHARS) or ""
    calling = app.calling
    page = calling.directory.listed(starts_with, limit, cursor, calling.within(calling.budgets.directory_s))
    return json_answer(page)


@blueprint.route(route=ROUTE, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agent_saved(req: func.HttpRequest) -> func.HttpResponse:
    """Write an agent's entry: 201 for a new one, 200 over an old one, 412 where it is not as `If-Match` says."""
    app = composed()
    directory, deadline = app.calling.directory, app.calling.within(app.calling.budgets.directory_s)
    by = caller("admin_agent_saved", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    agent = agent_of(agent_id, decode(req.get_body(), AgentBody))
    known, version = overwriting(req, partial(directory.read, agent_id, deadline))
    with unless_overtaken():
        saved = directory.save(agent, version, deadline)
    administered(app.calling, by, kind="agent", change="saved")
    status = 200 if known else 201
    return json_answer(agent_answer(agent), status=status, headers={"ETag": entity_tag(saved)})


@blueprint.route(route=ROUTE, methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_agent_removed(req: func.HttpRequest) -> func.HttpResponse:
    """Remove an entry, and whatever is kept of that person once no lease of theirs is left."""
    app = composed()
    calling, deadline = app.calling, app.calling.within(app.calling.budgets.directory_s)
    by = caller("admin_agent_removed", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    known, version = overwriting(req, partial(calling.directory.read, agent_id, deadline))
    if not known:
        raise NotFound
    with unless_overtaken():
        calling.remove_agent(agent_id, version, deadline=deadline)
    administered(calling, by, kind="agent", change="removed")
    return empty_answer()


@blueprint.route(route=ROUTE_OF_CONTACTS, methods=["PUT"], auth_level=func.AuthLevel.ANONYMOUS)
@answered
@seated
def admin_emergency_contacts_saved(req: func.HttpRequest) -> func.HttpResponse:
    """The recipients of an agent's notifications (S9): what is an address is kept, what is none is told.

    422 where nothing is left of a text that had something in it; then nothing changed.
    """
    app = composed()
    directory, deadline = app.calling.directory, app.calling.within(app.calling.budgets.directory_s)
    by = caller("admin_emergency_contacts_saved", req, app.sign_in)
    agent_id = path_id(req.route_params.get("agent_id"), "agent_id")
    contacts = written_contacts(req.get_body(), req.headers.get("content-type"))
    saved = save_contacts(req, agent_id, contacts, directory, deadline)
    answer = contacts_answer(contacts)
    if saved is None:
        return unprocessable("no-contact", "holds no e-mail address", kept=(), refused=answer.refused)
    administered(app.calling, by, kind="agent", change="saved")
    return json_answer(answer, headers={"ETag": entity_tag(saved)})


def save_contacts(
    req: func.HttpRequest, agent_id: str, contacts: Contacts, directory: AgentDirectory, deadline: Deadline
) -> str | None:
    """Write the contacts into the entry, whatever else of it changes meanwhile; None where there is none to write.

    Raises `NotFound`, and `PreconditionFailed` where it is not as `If-Match` says.
    """
    while True:
        found = directory.read(agent_id, deadline)
        if found is None:
            raise NotFound
        if contacts.refused and not contacts.kept:
            return None
        _, version = precondition(req, found)
        agent = structs.replace(found[0], emergency_contacts=contacts.kept)
        try:
            return directory.save(agent, found[1], deadline)
        except Conflict:
            if version is not None:
                raise PreconditionFailed from None
            deadline.require()
