"""Call control through Azure Communication Services Call Automation."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shared.adapters.acs_service import CALL_OVER, MENDING_S, NOT_CONNECTED, AcsService, ServiceRefusal, path_segment
from shared.adapters.repeatable_requests import RepeatableRequests
from shared.deadlines import Clock, Deadline
from shared.domain.errors import NotFound, Refused, Unavailable
from shared.domain.ids import derived, key_of, repeatability_id
from shared.domain.phone_numbers import is_e164
from shared.ports import Invite, Pending

if TYPE_CHECKING:
    from azure.communication.callautomation import (
        CallAutomationClient,
        CallConnectionClient,
        CallConnectionProperties,
        CommunicationIdentifier,
    )

# What marks an emergency callback where it rings: the id under which a softphone may report the end. Documented are SIP
# headers for a telephone number alone, and VoIP headers for a user alone.
SIP_MARK = "X-MS-Custom-Emergency-Callback"
VOIP_MARK = "Emergency-Callback"
# In the form of a connection's id; no call has it.
NO_CALL = "00000000-0000-0000-0000-000000000000"
MAX_PAGES = 20


class AcsCalls:
    """Port `CallRouter`."""

    def __init__(
        self,
        *,
        clock: Clock,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        self._repeatable = RepeatableRequests(clock)
        self._service = AcsService(
            "calls", make_call_client, connection_string=connection_string, endpoint=endpoint, ca_bundle=ca_bundle
        )

    def ping(self, deadline: Deadline) -> None:
        """See that call control answers. Raises `Unavailable`, and `Refused` where we may not ask."""
        self._service.ping(lambda client: _connection(client, NO_CALL).get_call_properties(), deadline)

    def redirect(self, incoming_call_context: str, target: str, *, origin: str, deadline: Deadline) -> None:
        """Send an incoming call on to `target` (raw ACS identity or E.164), once for each `origin` and target.

        `Unavailable`: try again. `Refused`: the call is gone, or the target cannot be had.
        """
        # The target belongs to the id: another try of the same call with another target is another request.
        headers = self._once(origin, f"redirect|{key_of(target)}")
        self._service.ask(
            lambda client: client.redirect_call(incoming_call_context, _identifier(target), headers=dict(headers)),
            deadline,
            refusal=_refusal_while_it_rings,
            repeatable=True,
        )

    def answer(
        self, incoming_call_context: str, events_url: str, *, operation_context: str, origin: str, deadline: Deadline
    ) -> str:
        """Answer an incoming call, once for each `origin`; gives the connection's id. Its events go to `events_url`.

        `Unavailable`: try again; it may have been answered. `Refused`: it cannot be answered any more.
        """
        headers = self._once(origin, "answer")
        return self._service.ask(
            lambda client: _connection_id(
                client.answer_call(
                    incoming_call_context, events_url, operation_context=operation_context, headers=dict(headers)
                )
            ),
            deadline,
            refusal=_refusal_while_it_rings,
            repeatable=True,
        )

    def invite(self, invite: Invite, deadline: Deadline) -> Pending[str]:
        """Ring somebody and add them when they answer, once for each invitation id; gives call control's name for it.

        `NotFound`: the call is over. `Refused`: the target cannot be had. `Unavailable`: try again.
        """
        headers = self._once(f"{invite.connection_id}|{invite.invitation_id}", "invite")
        pending = self._service.begin(
            lambda client: _added(_connection(client, invite.connection_id), invite, dict(headers)),
            deadline,
            refusal=_refusal_in_call,
            repeatable=True,
        )
        return _OfWhom(pending, lambda: self.people(invite.connection_id, deadline))

    def cancel(self, connection_id: str, handle: str, *, origin: str, deadline: Deadline) -> None:
        """Stop ringing somebody. `NotFound`: the call is over. `Refused`: they ring no more. `Unavailable`: later."""
        headers = self._once(origin, "cancel")
        pending = self._service.begin(
            lambda client: _connection(client, connection_id).cancel_add_participant_operation(
                handle, headers=dict(headers)
            ),
            deadline,
            refusal=_refusal_in_call,
            repeatable=True,
        )
        _OfWhom(pending, lambda: self.people(connection_id, deadline)).result()

    def people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        """Who is on the call now, as raw identities. Raises `NotFound`, `Refused`, `Unavailable`.

        Nobody rings for a call again that is said to be over: a single 404, perhaps of a machine on the way, is not
        believed.
        """
        try:
            return self._people(connection_id, deadline)
        except NotFound:
            return self._people(connection_id, deadline)

    def _people(self, connection_id: str, deadline: Deadline) -> frozenset[str]:
        return self._service.ask(
            lambda client: _raw_ids(_connection(client, connection_id), self._service.is_own),
            deadline,
            refusal=_refusal_in_call,
            repeatable=True,
        )

    def play(self, connection_id: str, url: str, *, origin: str, deadline: Deadline) -> None:
        """Play a sound file to everyone on the call. Raises `NotFound`, `Refused`, `Unavailable`."""
        # The SDK takes no headers here, so that a repeat is played again: it is never repeated.
        self._service.ask(
            lambda client: _play(_connection(client, connection_id), url, derived(origin, "play")),
            deadline,
            refusal=_refusal_in_call,
        )

    def _once(self, origin: str, purpose: str) -> dict[str, str]:
        """Headers that make a repeat the same request and not a second one."""
        return self._repeatable.headers(repeatability_id(origin, purpose))

    def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first responder need not wait for that."""
        self._service.warm_up()

    def close(self) -> None:
        """Route nothing more."""
        self._service.close()


class _OfWhom[T](Struct, frozen=True):
    """Port `Pending`: an act on somebody in a call, `Refused` where only they are not there.

    A 404 (8522) is about the call, or about whom it was to ring: a list of the call's people tells which.
    """

    pending: Pending[T]
    ask_for_people: Callable[[], object]

    def result(self) -> T:
        """The answer. Raises `NotFound`: the call is over."""
        try:
            return self.pending.result()
        except NotFound:
            self.ask_for_people()
            raise Refused("They are not to be had.") from None


def make_call_client(
    connection_string: str | None, endpoint: str | None, options: dict[str, Any]
) -> CallAutomationClient:
    """A client of call control, which also stops recordings and deletes their files."""
    from azure.communication.callautomation import CallAutomationClient

    if connection_string:
        return CallAutomationClient.from_connection_string(connection_string, **options)
    from shared.adapters.timely_http import managed_credential

    return CallAutomationClient(endpoint or "", managed_credential(), **options)


def _identifier(target: str) -> CommunicationIdentifier:
    from azure.communication.callautomation import PhoneNumberIdentifier
    from azure.communication.callautomation._shared.models import identifier_from_raw_id

    return PhoneNumberIdentifier(target) if is_e164(target) else identifier_from_raw_id(target)


def _refusal(answered: ServiceRefusal) -> Exception:
    if answered.status == HTTPStatus.CONFLICT:
        # Another act on the same call is under way (8519), such as the next of several invitations.
        return Unavailable()
    return Refused(f"call control answered {answered.status}", code=answered.code)


def _refusal_while_it_rings(answered: ServiceRefusal) -> Exception:
    if answered.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        # A right that was just assigned, a key being rotated: it says nothing of the call, which may ring still.
        return Unavailable(retry_after_s=MENDING_S)
    return _refusal(answered)


def _refusal_in_call(answered: ServiceRefusal) -> Exception:
    if answered.code == NOT_CONNECTED:
        return Unavailable()
    if answered.status == HTTPStatus.NOT_FOUND or answered.code in CALL_OVER:
        return NotFound("The call is over.")
    return _refusal(answered)


def _connection_id(properties: CallConnectionProperties) -> str:
    return _name_in(properties.call_connection_id)


def _added(connection: CallConnectionClient, invite: Invite, headers: dict[str, str]) -> str:
    from azure.communication.callautomation import PhoneNumberIdentifier

    target = _identifier(invite.target)
    # A raw identity may name a telephone number, too.
    by_telephone = isinstance(target, PhoneNumberIdentifier)
    result = connection.add_participant(
        target,
        invitation_timeout=invite.ring_s,
        operation_context=invite.invitation_id,
        source_caller_id_number=PhoneNumberIdentifier(invite.caller_id) if invite.caller_id else None,
        sip_headers={SIP_MARK: invite.invitation_id} if by_telephone else None,
        voip_headers=None if by_telephone else {VOIP_MARK: invite.invitation_id},
        headers=headers,
    )
    return _name_in(result.invitation_id)


def _name_in(said: str | None) -> str:
    """Call control's own id of something; `Unavailable` where it gave none, as if it had not answered."""
    if not said:
        raise Unavailable("call control named nothing")
    return said


def _connection(client: CallAutomationClient, connection_id: str) -> CallConnectionClient:
    return client.get_call_connection(path_segment(connection_id))


def _raw_ids(connection: CallConnectionClient, is_own: Callable[[str], bool]) -> frozenset[str]:
    """Everybody on all pages of the list; `Unavailable` where it has no end, or where its next page is not its own.

    The SDK signs the request for a next page wherever that is.
    """
    pages = connection.list_participants().by_page()
    found: set[str] = set()
    for _ in range(MAX_PAGES):
        page = next(pages, None)
        if page is None:
            return frozenset(found)
        identities = (participant.identifier for participant in page)
        # Somebody without a name is still somebody: a list is empty only where nobody is left.
        found.update(getattr(identity, "raw_id", None) or "" for identity in identities)
        if not is_own(getattr(pages, "continuation_token", None) or ""):
            break
    raise Unavailable("The list of participants cannot be read to its end.")


def _play(connection: CallConnectionClient, url: str, context: str) -> None:
    from azure.communication.callautomation import FileSource

    connection.play_media(FileSource(url=url), operation_context=context)
