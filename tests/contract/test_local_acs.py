"""The real SDK clients against the local stand-in for Azure Communication Services, over TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import requests
from azure.communication.callautomation import (
    CallAutomationClient,
    CallConnectionClient,
    CommunicationUserIdentifier,
    FileSource,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
)
from azure.communication.email import EmailClient
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.rest import HttpRequest
from starlette.responses import Response

from tests.local.acs import CallView, EmailRules, Fault, LocalAcs, Script, poll
from tests.local.acs.clock import AdjustableClock
from tests.local.acs.errors import ServiceError
from tests.local.acs.messages import TokenKind
from tests.local.acs.repeatability import RepeatableRequests
from tests.local.acs.subscriptions import function_subscriptions
from tests.local.loopback import LoopbackHandler, LoopbackServer

pytestmark = [
    pytest.mark.process,
    # The Call Automation SDK still takes the time in a way that Python has deprecated.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

PSAP = "+12065550142"
CALLBACK_NUMBER = "+14255550111"
DESK = "+14255550199"
AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"


class Webhook(LoopbackServer):
    """Catches what is posted to it, and answers the Event Grid handshake as a Functions host does."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, Any]] = []
        webhook = self

        class Catcher(LoopbackHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
                answer = b"{}"
                if self.headers.get("aeg-event-type") == "SubscriptionValidation":
                    answer = json.dumps({"validationResponse": body[0]["data"]["validationCode"]}).encode()
                else:
                    webhook.received.append((self.path, self.headers.get("Authorization", ""), body))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        super().__init__(Catcher)

    def grid_events(self, event_type: str) -> list[dict[str, Any]]:
        """The Event Grid events of one type, in either schema."""
        bodies = [body if isinstance(body, list) else [body] for path, _, body in self.received if "EventGrid" in path]
        events = [event for body in bodies for event in body]
        return [event for event in events if (event.get("type") or event.get("eventType")).endswith(event_type)]

    def mid_call(self, event_type: str) -> list[dict[str, Any]]:
        """The data of the mid-call events of one type."""
        bodies = [body for path, _, body in self.received if path.startswith("/callback")]
        return [event["data"] for body in bodies for event in body if event["type"].endswith("." + event_type)]


@pytest.fixture(scope="module")
def acs() -> Iterator[LocalAcs]:
    with LocalAcs.start() as started:
        yield started


@pytest.fixture(autouse=True)
def _clean(acs: LocalAcs) -> None:
    acs.control.reset()


@pytest.fixture
def webhook(acs: LocalAcs) -> Iterator[Webhook]:
    with Webhook() as hook:
        acs.control.deliver_to(hook.url)
        yield hook


@pytest.fixture
def emails(acs: LocalAcs) -> Iterator[EmailClient]:
    with EmailClient.from_connection_string(
        acs.connection_string, connection_verify=acs.ca_file, retry_total=0, connection_timeout=1, read_timeout=2
    ) as client:
        yield client


@pytest.fixture
def calls(acs: LocalAcs) -> Iterator[CallAutomationClient]:
    with CallAutomationClient.from_connection_string(
        acs.connection_string, connection_verify=acs.ca_file, retry_total=0, connection_timeout=1, read_timeout=2
    ) as client:
        yield client


def message(*recipients: str, sender: str = "emergency@alerts.example.com") -> dict[str, Any]:
    return {
        "senderAddress": sender,
        "content": {"subject": "An emergency call", "plainText": "text", "html": "<p>text</p>"},
        "recipients": {"to": [], "bcc": [{"address": address} for address in recipients]},
        "headers": {"x-priority": "1"},
        "userEngagementTrackingDisabled": True,
    }


def send(client: EmailClient, *recipients: str, **options: Any) -> dict[str, Any]:
    poller = client.begin_send(message(*recipients), polling=False, **options)
    return dict(poller.polling_method().resource())


def settled(client: EmailClient, question: HttpRequest) -> dict[str, Any] | None:
    answer: dict[str, Any] = client.send_request(question).json()
    return None if answer["status"] == "Running" else answer


def retry_after_s(refusal: HttpResponseError) -> int:
    response: Any = refusal.response
    return int(response.headers["Retry-After"])


def repeatable(request_id: str) -> dict[str, str]:
    first_sent = format_datetime(datetime.now(UTC), usegmt=True)
    return {"Repeatability-Request-ID": request_id, "Repeatability-First-Sent": first_sent}


# E-mail


def test_a_message_is_accepted_under_the_operation_id_given(acs: LocalAcs, emails: EmailClient) -> None:
    operation_id = str(uuid4())
    answer = send(emails, "supervisor@example.com", operation_id=operation_id)
    assert answer["id"] == operation_id
    (accepted,) = acs.control.emails()
    assert accepted.operation_id == operation_id
    assert accepted.recipients == ["supervisor@example.com"]
    assert accepted.headers == {"x-priority": "1"}
    assert accepted.tracking_disabled


def test_the_status_of_a_message_can_be_asked(acs: LocalAcs, emails: EmailClient) -> None:
    acs.control.email_rules(EmailRules(outcomes={"gone@example.com": "Suppressed"}, report_after_s=0))
    for recipient, status in (("supervisor@example.com", "Succeeded"), ("gone@example.com", "Failed")):
        operation_id = send(emails, recipient)["id"]
        url = f"{acs.ready.endpoint}/emails/operations/{operation_id}?api-version=2025-09-01"
        answer = poll(partial(settled, emails, HttpRequest("GET", url)))
        assert answer["status"] == status


def test_each_recipient_gets_a_delivery_report(acs: LocalAcs, emails: EmailClient, webhook: Webhook) -> None:
    acs.control.email_rules(EmailRules(outcomes={"gone@example.com": "bounced"}, report_after_s=0))
    operation_id = send(emails, "supervisor@example.com", "gone@example.com")["id"]
    reports = poll(
        lambda: found if len(found := webhook.grid_events("EmailDeliveryReportReceived")) == 2 else None,
        what="two reports",
    )
    outcomes = {report["data"]["recipient"]: report["data"]["status"] for report in reports}
    assert outcomes == {"supervisor@example.com": "Delivered", "gone@example.com": "bounced"}
    assert {report["data"]["messageId"] for report in reports} == {operation_id}


def test_the_same_request_is_executed_once(acs: LocalAcs, emails: EmailClient) -> None:
    headers = repeatable(str(uuid4()))
    first = send(emails, "supervisor@example.com", headers=headers)
    second = send(emails, "supervisor@example.com", headers=headers)
    assert first == second
    assert len(acs.control.emails()) == 1
    assert [request.repeated for request in acs.control.requests("email")] == [False, True]


def test_a_repeat_after_a_failure_is_executed(acs: LocalAcs, emails: EmailClient) -> None:
    headers = repeatable(str(uuid4()))
    acs.control.fault(Fault(operation="email", status=503, times=1))
    with pytest.raises(HttpResponseError):
        send(emails, "supervisor@example.com", headers=headers)
    send(emails, "supervisor@example.com", headers=headers)
    assert len(acs.control.emails()) == 1


def test_a_repeat_of_what_was_throttled_is_throttled_again(acs: LocalAcs, emails: EmailClient) -> None:
    acs.control.email_rules(EmailRules(messages_per_minute=1))
    send(emails, "supervisor@example.com")
    headers = repeatable(str(uuid4()))
    for _ in range(2):
        with pytest.raises(HttpResponseError) as refusal:
            send(emails, "desk@example.com", headers=headers)
        assert refusal.value.status_code == 429
        acs.control.email_rules(EmailRules())
    send(emails, "desk@example.com", headers=repeatable(str(uuid4())))
    assert len(acs.control.emails()) == 2


def test_a_repeat_that_says_something_else_is_rejected(acs: LocalAcs, emails: EmailClient) -> None:
    headers = repeatable(str(uuid4()))
    send(emails, "supervisor@example.com", headers=headers)
    with pytest.raises(HttpResponseError) as refusal:
        send(emails, "desk@example.com", headers=headers)
    assert refusal.value.status_code == 400
    assert len(acs.control.emails()) == 1


def test_a_repeat_of_what_is_still_under_way_is_a_conflict() -> None:
    async def both() -> None:
        requests, going_on = RepeatableRequests(AdjustableClock()), asyncio.Event()

        async def execute() -> Response:
            await going_on.wait()
            return Response(status_code=202)

        def ask() -> Awaitable[tuple[Response, bool]]:
            return requests.once(target="/", headers=headers, content=b"", tracked=True, execute=execute)

        headers = {name.lower(): value for name, value in repeatable(str(uuid4())).items()}
        first = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        with pytest.raises(ServiceError) as refusal:
            await ask()
        assert refusal.value.status == 409
        going_on.set()
        await first

    asyncio.run(both())


def test_a_request_first_sent_long_ago_is_rejected(emails: EmailClient, acs: LocalAcs) -> None:
    headers = repeatable(str(uuid4())) | {"Repeatability-First-Sent": "Fri, 20 Nov 2020 17:00:00 GMT"}
    with pytest.raises(HttpResponseError) as refusal:
        send(emails, "supervisor@example.com", headers=headers)
    assert refusal.value.status_code == 412
    assert acs.control.emails() == []


@pytest.mark.parametrize(("once", "sent"), [(False, 2), (True, 1)])
def test_a_repeated_operation_id_is_as_the_rules_say(acs: LocalAcs, emails: EmailClient, once: bool, sent: int) -> None:
    acs.control.email_rules(EmailRules(one_send_per_operation=once))
    operation_id = str(uuid4())
    for _ in range(2):
        assert send(emails, "supervisor@example.com", operation_id=operation_id)["id"] == operation_id
    assert len(acs.control.emails()) == sent


@pytest.mark.parametrize("address", ["refused@example.com", "no-at-sign", "two@@example.com", "a@b", "a b@example.com"])
def test_a_message_is_refused_for_one_address_and_names_it(acs: LocalAcs, emails: EmailClient, address: str) -> None:
    acs.control.email_rules(EmailRules(refused=["refused@example.com"]))
    with pytest.raises(HttpResponseError) as refusal:
        send(emails, "supervisor@example.com", address)
    assert refusal.value.status_code == 400
    assert refusal.value.error is not None
    assert refusal.value.error.code == "InvalidEmailAddress"
    assert address in refusal.value.message
    assert acs.control.emails() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (message(), 400),
        (message(*(f"contact{i}@example.com" for i in range(51))), 400),
        (message("supervisor@example.com", sender="stranger@alerts.example.com"), 400),
        (message("supervisor@example.com", sender="emergency@elsewhere.example.com"), 404),
        (message("supervisor@example.com") | {"content": {"plainText": "no subject"}}, 400),
    ],
)
def test_an_incomplete_message_is_refused(emails: EmailClient, body: dict[str, Any], status: int) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        emails.begin_send(body, polling=False)
    assert refusal.value.status_code == status


def test_a_quota_throttles_and_says_for_how_long(acs: LocalAcs, emails: EmailClient) -> None:
    acs.control.email_rules(EmailRules(messages_per_minute=1))
    send(emails, "supervisor@example.com")
    with pytest.raises(HttpResponseError) as refusal:
        send(emails, "supervisor@example.com")
    assert refusal.value.status_code == 429
    assert 0 < retry_after_s(refusal.value) <= 61
    acs.control.clock(advance_s=61)
    send(emails, "supervisor@example.com")


def test_a_wrong_key_is_refused(acs: LocalAcs) -> None:
    wrong = f"endpoint={acs.ready.endpoint}/;accesskey=d3Jvbmcga2V5"
    with (
        EmailClient.from_connection_string(wrong, connection_verify=acs.ca_file, retry_total=0) as client,
        pytest.raises(ClientAuthenticationError),
    ):
        send(client, "supervisor@example.com")
    assert acs.control.emails() == []


def test_an_unsigned_request_is_refused(acs: LocalAcs) -> None:
    with requests.Session() as session:
        session.trust_env = False
        url = f"{acs.ready.endpoint}/emails:send?api-version=2025-09-01"
        assert session.post(url, json=message("a@example.com"), verify=acs.ca_file).status_code == 401


# Faults


def test_a_fault_can_strike_before_and_after_the_service_acted(acs: LocalAcs, emails: EmailClient) -> None:
    acs.control.fault(Fault(operation="email", status=500, when="before", times=1))
    acs.control.fault(Fault(operation="email", status=500, when="after", times=1, skip=1))
    for accepted in (0, 1):
        with pytest.raises(HttpResponseError) as failure:
            send(emails, "supervisor@example.com")
        assert failure.value.status_code == 500
        assert len(acs.control.emails()) == accepted
    send(emails, "supervisor@example.com")


def test_a_connection_can_be_dropped_before_and_after_acting(acs: LocalAcs, emails: EmailClient) -> None:
    for when, accepted in (("before", 0), ("after", 1)):
        acs.control.fault(Fault(operation="email", kind="drop", when=when, times=1))  # type: ignore[arg-type]
        with pytest.raises((ServiceRequestError, ServiceResponseError)):
            send(emails, "supervisor@example.com")
        assert len(acs.control.emails()) == accepted


def test_the_service_can_throttle_hang_be_slow_and_trickle(acs: LocalAcs, emails: EmailClient) -> None:
    acs.control.fault(Fault(operation="email", kind="throttle", retry_after_s=7, times=1))
    with pytest.raises(HttpResponseError) as refusal:
        send(emails, "supervisor@example.com")
    assert retry_after_s(refusal.value) == 7
    acs.control.fault(Fault(operation="email", kind="hang", times=1))
    assert _seconds(lambda: _fails(emails)) >= 2
    acs.control.fault(Fault(operation="email", kind="latency", seconds=0.5, times=1))
    assert _seconds(lambda: send(emails, "supervisor@example.com")) >= 0.5
    acs.control.fault(Fault(operation="email", kind="trickle", seconds=0.01, times=1))
    assert _seconds(lambda: send(emails, "supervisor@example.com")) >= 0.5


def test_a_fault_can_ask_first(acs: LocalAcs, emails: EmailClient, webhook: Webhook) -> None:
    acs.control.fault(Fault(operation="email", kind="notify", when="after", url=f"{webhook.url}/asked", times=1))
    with pytest.raises(HttpResponseError):
        send(emails, "not an address")
    assert [path for path, _, _ in webhook.received] == ["/asked"]


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _fails(emails: EmailClient) -> None:
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        send(emails, "supervisor@example.com")


# Calls


def incoming(acs: LocalAcs, webhook: Webhook, **fields: Any) -> tuple[CallView, str]:
    """Let the PSAP call; the call and the context that the event carried."""
    call = acs.control.incoming_call(PSAP, CALLBACK_NUMBER, **fields)
    (event,) = poll(lambda: webhook.grid_events("IncomingCall") or None, what="IncomingCall")
    assert event["data"]["to"]["rawId"] == f"4:{CALLBACK_NUMBER}"
    return call, event["data"]["incomingCallContext"]


def answered(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> tuple[CallView, CallConnectionClient]:
    """Let the PSAP call, and answer; the call and its connection once CallConnected came."""
    call, context = incoming(acs, webhook)
    properties = calls.answer_call(context, f"{webhook.url}/callback", operation_context="psap")
    assert properties.server_call_id == call.server_call_id
    poll(lambda: webhook.mid_call("CallConnected") or None, what="CallConnected")
    assert properties.call_connection_id is not None
    return call, calls.get_call_connection(properties.call_connection_id)


def test_a_redirected_call_rings_the_agent(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    acs.control.people(AGENT, Script(behaviour="answers", after_s=0.1))
    call, context = incoming(acs, webhook, cloud_event=True, sip_headers={"Priority": "psap-callback"})
    calls.redirect_call(context, CommunicationUserIdentifier(AGENT))
    acs.control.wait_for_call(call.server_call_id, lambda c: c.people == [f"4:{PSAP}", AGENT], what="they talk")
    second = poll(lambda: found[1] if len(found := webhook.grid_events("IncomingCall")) == 2 else None)
    assert second["data"]["to"]["rawId"] == AGENT
    acs.control.hang_up(call.server_call_id)
    assert acs.control.call(call.server_call_id).state == "over"
    assert webhook.mid_call("CallDisconnected") == []


def test_a_call_rings_for_thirty_seconds(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    call, context = incoming(acs, webhook)
    acs.control.clock(advance_s=20)
    assert acs.control.call(call.server_call_id).state == "ringing"
    acs.control.clock(advance_s=15)
    acs.control.wait_for_call(call.server_call_id, lambda c: c.state == "over")
    with pytest.raises(ResourceNotFoundError) as refusal:
        calls.redirect_call(context, PhoneNumberIdentifier(DESK))
    assert refusal.value.error is not None
    assert refusal.value.error.code == "8522"


def test_a_second_redirect_finds_nobody(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    _, context = incoming(acs, webhook)
    headers = repeatable(str(uuid4()))
    calls.redirect_call(context, PhoneNumberIdentifier(DESK), headers=headers)
    calls.redirect_call(context, PhoneNumberIdentifier(DESK), headers=headers)
    with pytest.raises(ResourceNotFoundError):
        calls.redirect_call(context, PhoneNumberIdentifier(DESK))


def test_an_answer_after_a_redirect_has_no_effect(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    call, context = incoming(acs, webhook)
    calls.redirect_call(context, PhoneNumberIdentifier(DESK))
    properties = calls.answer_call(context, f"{webhook.url}/callback")
    assert acs.control.call(call.server_call_id).state == "redirected"
    assert properties.call_connection_id is not None
    with pytest.raises(ResourceNotFoundError):
        calls.get_call_connection(properties.call_connection_id).get_call_properties()


def test_the_psap_hangs_up_while_an_agent_is_rung(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    call, connection = answered(acs, calls, webhook)
    connection.add_participant(CommunicationUserIdentifier(AGENT))
    acs.control.hang_up(call.server_call_id)
    poll(lambda: webhook.mid_call("CallDisconnected") or None)
    assert acs.control.call(call.server_call_id).invitations[0].state == "cancelled"
    with pytest.raises(ResourceNotFoundError):
        connection.add_participant(CommunicationUserIdentifier(AGENT))


def test_an_agent_is_added_to_an_answered_call(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    acs.control.people(AGENT, Script(behaviour="answers", after_s=0.1))
    call, connection = answered(acs, calls, webhook)
    added = connection.add_participant(
        CommunicationUserIdentifier(AGENT),
        invitation_timeout=15,
        operation_context="agent",
        voip_headers={"X-Emergency": "callback"},
    )
    assert added.invitation_id
    (joined,) = poll(lambda: webhook.mid_call("AddParticipantSucceeded") or None)
    assert joined["participant"]["rawId"] == AGENT
    assert joined["operationContext"] == "agent"
    present = {str(person.identifier.raw_id) for person in connection.list_participants() if person.identifier}
    assert present == {f"4:{PSAP}", AGENT}
    (invitation,) = acs.control.call(call.server_call_id).invitations
    assert "callback" in invitation.headers.values()
    acs.control.hang_up(call.server_call_id)
    poll(lambda: webhook.mid_call("CallDisconnected") or None, what="the agent hangs up too")
    with pytest.raises(ResourceNotFoundError):
        connection.get_call_properties()


def test_a_header_of_the_wrong_kind_refuses_the_invitation(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook
) -> None:
    call, connection = answered(acs, calls, webhook)
    for user in (
        CommunicationUserIdentifier(AGENT),
        MicrosoftTeamsUserIdentifier("7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1"),
    ):
        with pytest.raises(HttpResponseError) as refusal:
            connection.add_participant(user, sip_headers={"X-MS-Custom-Emergency": "callback"})
        assert refusal.value.status_code == 400
    with pytest.raises(HttpResponseError) as refusal:
        connection.add_participant(
            PhoneNumberIdentifier(DESK),
            source_caller_id_number=PhoneNumberIdentifier(CALLBACK_NUMBER),
            voip_headers={"X-Emergency": "callback"},
        )
    assert refusal.value.status_code == 400
    assert acs.control.call(call.server_call_id).invitations == []


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script(behaviour="never"), 480),
        (Script(behaviour="answers", after_s=16), 480),
        (Script(behaviour="offline"), 480),
        (Script(behaviour="busy", after_s=0.1), 486),
        (Script(behaviour="declines", after_s=0.1), 603),
    ],
)
def test_somebody_who_does_not_answer_is_reported(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook, script: Script, code: int
) -> None:
    acs.control.people(DESK, script)
    call, connection = answered(acs, calls, webhook)
    acs.control.clock(speed=50)
    connection.add_participant(
        PhoneNumberIdentifier(DESK),
        source_caller_id_number=PhoneNumberIdentifier(CALLBACK_NUMBER),
        invitation_timeout=15,
    )
    (failed,) = poll(lambda: webhook.mid_call("AddParticipantFailed") or None)
    assert failed["resultInformation"]["code"] == code
    assert acs.control.call(call.server_call_id).people == [f"4:{PSAP}"]


def test_an_agent_answers_the_second_round_and_drops_out(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook
) -> None:
    acs.control.people(
        AGENT, Script(behaviour="offline"), Script(behaviour="answers", after_s=0.1, drops_out_after_s=0.2)
    )
    call, connection = answered(acs, calls, webhook)
    connection.add_participant(CommunicationUserIdentifier(AGENT))
    poll(lambda: webhook.mid_call("AddParticipantFailed") or None)
    connection.add_participant(CommunicationUserIdentifier(AGENT))
    poll(lambda: webhook.mid_call("AddParticipantSucceeded") or None)
    acs.control.wait_for_call(call.server_call_id, lambda c: c.people == [f"4:{PSAP}"], what="the PSAP is alone")
    poll(lambda: len(webhook.mid_call("ParticipantsUpdated")[-1]["participants"]) == 1 or None)
    assert acs.control.call(call.server_call_id).state == "connected"


def test_an_invitation_is_cancelled(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    call, connection = answered(acs, calls, webhook)
    added = connection.add_participant(CommunicationUserIdentifier(AGENT))
    assert added.invitation_id is not None
    connection.cancel_add_participant_operation(added.invitation_id)
    (cancelled,) = poll(lambda: webhook.mid_call("CancelAddParticipantSucceeded") or None)
    assert cancelled["invitationId"] == added.invitation_id
    assert acs.control.call(call.server_call_id).invitations[0].state == "cancelled"


def test_a_telephone_is_rung_only_with_a_caller_id(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook
) -> None:
    _, connection = answered(acs, calls, webhook)
    with pytest.raises(HttpResponseError) as refusal:
        connection.add_participant(PhoneNumberIdentifier(DESK))
    assert refusal.value.status_code == 400


def test_a_prompt_is_played_and_the_call_ended_for_everyone(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook
) -> None:
    call, connection = answered(acs, calls, webhook)
    acs.control.clock(speed=50)
    connection.play_media(FileSource(url="https://app.example.com/api/ui/prompts/en.wav"), operation_context="prompt")
    (played,) = poll(lambda: webhook.mid_call("PlayCompleted") or None)
    assert played["operationContext"] == "prompt"
    connection.hang_up(is_for_everyone=True)
    poll(lambda: webhook.mid_call("CallDisconnected") or None)
    assert acs.control.call(call.server_call_id).why_over == "the application ended it"


def test_a_running_call_is_joined_recorded_and_the_recording_stopped(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook
) -> None:
    acs.control.user_call(AGENT, "server-call-1", "correlation-1")
    calls.connect_call(f"{webhook.url}/callback", server_call_id="server-call-1")
    poll(lambda: webhook.mid_call("CallConnected") or None)
    recording = acs.control.record("server-call-1")
    poll(lambda: webhook.mid_call("RecordingStateChanged") or None)
    acs.control.clock(speed=50)
    calls.stop_recording(recording.recording_id)
    (event,) = poll(lambda: webhook.grid_events("RecordingFileStatusUpdated") or None)
    assert "/serverCallId/server-call-1/" in event["subject"]


# Tokens


def check_token(acs: LocalAcs, authorization: str) -> dict[str, Any]:
    keys = httpx.get(acs.keys_url, verify=ssl.create_default_context(cafile=acs.ca_file)).json()["keys"]
    token = authorization.removeprefix("Bearer ")
    kid = jwt.get_unverified_header(token)["kid"]
    key = next((jwt.PyJWK(key) for key in keys if key["kid"] == kid), None)
    if key is None:
        raise jwt.InvalidKeyError
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS256"], audience=acs.ready.resource_id, issuer=acs.ready.issuer
    )
    return claims


def test_mid_call_events_carry_a_valid_token(acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook) -> None:
    answered(acs, calls, webhook)
    authorization = next(header for path, header, _ in webhook.received if path == "/callback")
    claims = check_token(acs, authorization)
    assert claims["exp"] - claims["iat"] == 300


def test_a_rotated_key_is_published(acs: LocalAcs) -> None:
    before = acs.control.token()
    acs.control.rotate_keys()
    check_token(acs, acs.control.token())
    check_token(acs, before)
    acs.control.rotate_keys(keep_old=False)
    check_token(acs, acs.control.token())
    with pytest.raises(jwt.InvalidKeyError):
        check_token(acs, before)


@pytest.mark.parametrize(
    "kind", ["forged", "expired", "not_yet_valid", "alg_none", "wrong_audience", "wrong_issuer", "unknown_key"]
)
def test_a_bad_token_does_not_verify(acs: LocalAcs, kind: TokenKind) -> None:
    with pytest.raises((jwt.InvalidTokenError, jwt.InvalidKeyError)):
        check_token(acs, acs.control.token(kind))


def test_mid_call_events_can_be_lost_doubled_and_replayed(
    acs: LocalAcs, calls: CallAutomationClient, webhook: Webhook
) -> None:
    acs.control.mid_call_rules(duplicate=1.0)
    answered(acs, calls, webhook)
    poll(lambda: len(webhook.mid_call("ParticipantsUpdated")) == 2 or None)
    assert len(webhook.mid_call("CallConnected")) == 2
    acs.control.mid_call_rules()
    connected = next(event for event in acs.control.mid_call_events() if event["type"].endswith("CallConnected"))
    acs.control.send_mid_call(f"{webhook.url}/callback", connected)
    poll(lambda: len(webhook.mid_call("CallConnected")) == 3 or None)
    assert acs.control.mid_call_deliveries()[-1].status == 200


# Events of users' calls


@pytest.mark.parametrize("form", ["eventgrid", "eventgrid-2021", "cloudevents"])
def test_user_calls_are_told_in_every_form(acs: LocalAcs, webhook: Webhook, form: Any) -> None:
    acs.control.call_started(AGENT, "server-call-2", form=form)
    acs.control.call_ended(AGENT, "server-call-2", form=form, ended_by=AGENT)
    acs.control.wait_until_delivered()
    (started,) = webhook.grid_events("CallStarted")
    starter = started["data"]["startedBy"]
    assert (starter.get("communicationIdentifier") or starter)["rawId"] == AGENT
    (ended,) = webhook.grid_events("CallEnded")
    assert ended["data"]["endedBy"]["communicationidentifier"]["rawId"] == AGENT
    assert ("specversion" in started) == (form == "cloudevents")


def test_an_incoming_call_has_a_subscription_of_its_own() -> None:
    subscription = next(s for s in function_subscriptions("http://x") if s.name == "incoming_call_event")
    assert (subscription.max_attempts, subscription.time_to_live_s) == (2, 60.0)


def test_nothing_personal_reaches_the_standins_output(acs: LocalAcs, emails: EmailClient) -> None:
    send(emails, "supervisor@example.com")
    output = acs.child.output()
    assert "supervisor" not in output
    assert PSAP not in output
    assert "Traceback" not in output
