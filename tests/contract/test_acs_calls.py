"""Call control against the local stand-in, over TLS: the real SDK, the real wire."""

import json
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from msgspec import structs

from shared.adapters.acs_calls import MAX_PAGES, SIP_MARK, VOIP_MARK, AcsCalls
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Refused, Unavailable
from shared.ports import Invite
from tests.contract.table_servers import DEEP, never_answers, serving, trickles
from tests.local.acs import CallView, Fault, LocalAcs, Script, poll
from tests.local.acs.identities import model

CLOCK = SystemClock()
PSAP, NUMBER, DESK = "+12065550142", "+14255550111", "+14255550199"
AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"
TEAMS_USER = "8:orgid:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1"


@pytest.fixture(scope="module")
def service() -> Iterator[LocalAcs]:
    with LocalAcs.start() as running:
        yield running


@pytest.fixture
def calls(service: LocalAcs) -> Iterator[AcsCalls]:
    service.control.reset()
    adapter = AcsCalls(clock=CLOCK, connection_string=service.connection_string, ca_bundle=service.ca_file)
    yield adapter
    adapter.close()


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline(CLOCK, seconds)


@pytest.mark.process
class TestRedirecting:
    @pytest.mark.parametrize(("target", "raw_id"), [(AGENT, AGENT), (DESK, f"4:{DESK}")])
    def test_the_call_rings_the_target(self, service: LocalAcs, calls: AcsCalls, target: str, raw_id: str) -> None:
        service.control.people(target, Script(behaviour="answers", after_s=0.0))
        call = service.control.incoming_call(PSAP, NUMBER)
        calls.redirect(call.contexts[-1], target, origin=str(uuid4()), deadline=soon())
        answered = service.control.wait_for_call(call.server_call_id, lambda view: raw_id in view.people)
        assert raw_id in answered.people

    def test_a_repeat_for_the_same_origin_is_the_same_request(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        origin = str(uuid4())
        for _ in range(3):
            calls.redirect(call.contexts[-1], AGENT, origin=origin, deadline=soon())
        assert [each.repeated for each in service.control.requests("redirect")] == [False, True, True]

    def test_a_call_that_is_gone_is_refused(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.end_call(call.server_call_id)
        with pytest.raises(Refused) as caught:
            calls.redirect(call.contexts[-1], AGENT, origin=str(uuid4()), deadline=soon())
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_right_that_lacks_says_nothing_of_a_call_that_rings(
        self, service: LocalAcs, calls: AcsCalls, status: int
    ) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.fault(Fault(status=status))
        with pytest.raises(Unavailable):
            answer(calls, call)
        with pytest.raises(Unavailable):
            calls.redirect(call.contexts[-1], AGENT, origin=str(uuid4()), deadline=soon())

    def test_a_context_that_is_none_is_refused(self, calls: AcsCalls) -> None:
        with pytest.raises(Refused):
            calls.redirect("not-a-context", AGENT, origin=str(uuid4()), deadline=soon())

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_busy_is_unavailable(self, service: LocalAcs, calls: AcsCalls, status: int) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.fault(Fault(status=status, retry_after_s=9))
        with pytest.raises(Unavailable) as caught:
            calls.redirect(call.contexts[-1], AGENT, origin=str(uuid4()), deadline=soon())
        assert caught.value.retry_after_s == 9

    def test_a_connection_that_breaks_is_tried_once_more(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.fault(Fault(kind="drop", times=1))
        calls.redirect(call.contexts[-1], AGENT, origin=str(uuid4()), deadline=soon())
        assert len(service.control.requests("redirect")) == 2


EVENTS_URL = "http://127.0.0.1:9/api/call-automation-events?callback=one"


def answered(service: LocalAcs, calls: AcsCalls) -> tuple[CallView, str]:
    """A call that is connected to us, and its connection."""
    call = service.control.incoming_call(PSAP, NUMBER)
    connection_id = answer(calls, call)
    return service.control.wait_for_call(call.server_call_id, lambda view: view.state == "connected"), connection_id


def answer(calls: AcsCalls, call: CallView) -> str:
    return calls.answer(
        call.contexts[0], EVENTS_URL, operation_context="number", origin=call.server_call_id, deadline=soon()
    )


def invite(connection_id: str, target: str = AGENT, invitation_id: str = "invitation-1", ring_s: int = 15) -> Invite:
    caller_id = NUMBER if target.startswith("+") else None
    return Invite(
        connection_id=connection_id, invitation_id=invitation_id, target=target, ring_s=ring_s, caller_id=caller_id
    )


@pytest.mark.process
class TestAnswering:
    def test_a_repeat_is_the_same_answer(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        first = answer(calls, call)
        assert answer(calls, call) == first
        assert [each.repeated for each in service.control.requests("answer")] == [False, True]
        seen = service.control.call(call.server_call_id)
        assert seen.call_connection_id == first

    def test_the_events_bring_back_what_was_given_along(self, service: LocalAcs, calls: AcsCalls) -> None:
        answered(service, calls)
        connected = poll(lambda: next((each for each in service.control.mid_call_events()), None))
        assert connected["type"] == "Microsoft.Communication.CallConnected"
        assert connected["data"]["operationContext"] == "number"

    def test_a_call_that_is_gone_is_refused(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.end_call(call.server_call_id)
        with pytest.raises(Refused):
            answer(calls, call)

    def test_busy_is_unavailable(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.fault(Fault(operation="answer", status=503))
        with pytest.raises(Unavailable):
            answer(calls, call)


def every_act(calls: AcsCalls, connection_id: str) -> list[Callable[[], object]]:
    """Everything that is done on a call that is answered."""
    return [
        lambda: calls.invite(invite(connection_id), soon()).result(),
        lambda: calls.cancel(connection_id, "x", origin="o", deadline=soon()),
        lambda: calls.people(connection_id, soon()),
        lambda: calls.play(connection_id, "https://app.example.com/a.wav", origin="o", deadline=soon()),
    ]


def page(*people: str, link: str | None = None) -> str:
    """A page of a list of participants."""
    listed = [{"identifier": model(each), "isMuted": False, "isOnHold": False} for each in people]
    return json.dumps({"value": listed} | ({"nextLink": link} if link is not None else {}))


def error(code: str) -> str:
    """A refusal of call control, as "Call Automation SDK error codes" lists them."""
    return json.dumps({"error": {"code": code, "message": "Refused."}})


EXTENSION_USER = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_1b1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_2c1c2a94-5d0e"


@pytest.mark.process
class TestWhoIsRung:
    """Every kind of identity goes out under its own kind: the stand-in refuses any other, as the service does."""

    @pytest.mark.parametrize(
        "target",
        [
            *(AGENT, EXTENSION_USER, "8:gcch-acs:a_b", "8:dod-acs:a_b", "8:spool:a_b", "8:orgid:1b1c2a94-5d0e"),
            *("8:gcch:1b1c2a94-5d0e", "8:dod:1b1c2a94-5d0e", "8:teamsvisitor:1b1c2a94-5d0e", DESK, f"4:{DESK}"),
            *("28:orgid:1b1c2a94-5d0e", "28:gcch:1b1c2a94-5d0e", "28:dod:1b1c2a94-5d0e"),
        ],
    )
    def test_under_the_right_kind(self, service: LocalAcs, calls: AcsCalls, target: str) -> None:
        call, connection_id = answered(service, calls)
        calls.invite(structs.replace(invite(connection_id, target), caller_id=NUMBER), soon()).result()
        [invitation] = service.control.call(call.server_call_id).invitations
        assert invitation.identity in (target, f"4:{target}")
        other = service.control.incoming_call(PSAP, NUMBER)
        calls.redirect(other.contexts[-1], target, origin=str(uuid4()), deadline=soon())


UNREADABLE = [
    "",
    "null",
    "[]",
    "{}",
    '"text"',
    "<html>",
    '{"value": 7}',
    '{"value": [null, 1]}',
    '{"callConnectionId": 1',
    DEEP,
]


@pytest.mark.process
class TestAnswersThatCannotBeRead:
    """A service that says 200 and nothing readable has not answered."""

    @pytest.mark.parametrize("body", UNREADABLE)
    def test_an_answer_without_a_connection(self, service: LocalAcs, calls: AcsCalls, body: str) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.fault(Fault(operation="answer", kind="body", status=200, body=body))
        with pytest.raises(Unavailable) as caught:
            answer(calls, call)
        assert body not in str(caught.value) or not body

    @pytest.mark.parametrize("body", UNREADABLE)
    def test_a_list_that_is_none(self, service: LocalAcs, calls: AcsCalls, body: str) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(operation="participants", kind="body", status=200, body=body))
        with pytest.raises(Unavailable):
            calls.people(connection_id, soon())

    @pytest.mark.parametrize("status", [200, 202, 400, 404])
    def test_what_no_parser_reads_to_its_end(self, service: LocalAcs, calls: AcsCalls, status: int) -> None:
        call, connection_id = answered(service, calls)
        service.control.fault(Fault(kind="body", status=status, body=DEEP))
        asks: tuple[Callable[[], None], ...] = (
            lambda: calls.redirect(call.contexts[-1], AGENT, origin="redirect", deadline=soon()),
            lambda: calls.cancel(connection_id, "handle", origin="cancel", deadline=soon()),
            lambda: calls.play(connection_id, "https://app.example.com/en.wav", origin="play", deadline=soon()),
            lambda: calls.ping(soon()),
        )
        for ask in asks:
            with pytest.raises(Unavailable):
                ask()

    def test_somebody_without_a_name_is_on_the_call(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        body = '{"value": [{"identifier": {"kind": "communicationUser"}}, {}]}'
        service.control.fault(Fault(operation="participants", kind="body", status=200, body=body))
        assert calls.people(connection_id, soon()) == {""}

    @pytest.mark.parametrize("body", UNREADABLE)
    def test_an_invitation_without_a_name(self, service: LocalAcs, calls: AcsCalls, body: str) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(operation="add", kind="body", status=202, body=body))
        with pytest.raises(Unavailable):
            calls.invite(invite(connection_id), soon()).result()


@pytest.mark.process
class TestInviting:
    def test_an_identity_rings_with_the_mark_of_an_emergency_callback(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        handle = calls.invite(invite(connection_id), soon()).result()
        [invitation] = service.control.call(call.server_call_id).invitations
        assert (invitation.invitation_id, invitation.identity, invitation.timeout_s) == (handle, AGENT, 15.0)
        assert (invitation.operation_context, invitation.caller_id) == ("invitation-1", None)
        assert invitation.headers == {VOIP_MARK: "invitation-1"}

    def test_a_teams_user_rings_with_the_mark(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        calls.invite(invite(connection_id, TEAMS_USER), soon()).result()
        [invitation] = service.control.call(call.server_call_id).invitations
        assert (invitation.identity, invitation.headers) == (TEAMS_USER, {VOIP_MARK: "invitation-1"})

    def test_a_number_rings_from_the_leased_number(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        calls.invite(invite(connection_id, DESK), soon()).result()
        [invitation] = service.control.call(call.server_call_id).invitations
        assert (invitation.identity, invitation.caller_id) == (f"4:{DESK}", NUMBER)

    @pytest.mark.parametrize("target", [DESK, f"4:{DESK}"])
    def test_a_number_rings_with_the_mark_for_telephones(self, service: LocalAcs, calls: AcsCalls, target: str) -> None:
        call, connection_id = answered(service, calls)
        calls.invite(structs.replace(invite(connection_id, target), caller_id=NUMBER), soon()).result()
        [invitation] = service.control.call(call.server_call_id).invitations
        assert invitation.headers == {SIP_MARK: "invitation-1"}
        assert SIP_MARK.startswith("X-MS-Custom-")

    def test_a_repeat_is_the_same_invitation(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        handles = {calls.invite(invite(connection_id, ring_s=15 - n), soon()).result() for n in range(3)}
        assert len(handles) == 1
        assert len(service.control.call(call.server_call_id).invitations) == 1
        calls.invite(invite(connection_id, invitation_id="invitation-2"), soon()).result()
        assert len(service.control.call(call.server_call_id).invitations) == 2

    def test_several_are_on_their_way_at_once(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(operation="add", kind="latency", seconds=1.0))
        begun = time.monotonic()
        sent = [calls.invite(invite(connection_id, invitation_id=f"i-{n}"), soon()) for n in range(5)]
        assert len({pending.result() for pending in sent}) == 5
        assert time.monotonic() - begun < 4, "one after another it is five seconds"

    def test_before_the_call_is_connected_it_is_unavailable(self, service: LocalAcs, calls: AcsCalls) -> None:
        service.control.clock(speed=0.001)
        call = service.control.incoming_call(PSAP, NUMBER)
        connection_id = answer(calls, call)
        with pytest.raises(Unavailable):
            calls.invite(invite(connection_id), soon()).result()

    def test_a_call_that_is_over_is_not_found(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        service.control.end_call(call.server_call_id)
        for act in every_act(calls, connection_id):
            with pytest.raises(NotFound) as caught:
                act()
            assert caught.value.__suppress_context__

    def test_a_refusal_and_a_busy_service(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(operation="add", status=400, times=1))
        with pytest.raises(Refused):
            calls.invite(invite(connection_id), soon()).result()
        service.control.fault(Fault(operation="add", status=503, times=1))
        with pytest.raises(Unavailable):
            calls.invite(invite(connection_id, invitation_id="invitation-2"), soon()).result()

    def test_acts_that_are_in_each_others_way_are_done_later(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(kind="body", status=409, body=error("8519")))
        for act in every_act(calls, connection_id):
            with pytest.raises(Unavailable):
                act()

    @pytest.mark.parametrize("code", ["8528", "8543"])
    def test_a_call_that_is_said_to_be_over_is_not_found(self, service: LocalAcs, calls: AcsCalls, code: str) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(kind="body", status=400, body=error(code)))
        for act in every_act(calls, connection_id):
            with pytest.raises(NotFound):
                act()


@pytest.mark.process
class TestTheCall:
    def test_a_call_goes_on_of_which_only_the_invitation_is_gone(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(operation="cancel_add", kind="body", status=404, body=error("8522")))
        with pytest.raises(Refused):
            calls.cancel(connection_id, "handle", origin="cancel-1", deadline=soon())

    @pytest.mark.parametrize("body", [error("8522"), ""], ids=["of call control", "of a machine on the way"])
    def test_a_call_goes_on_of_which_one_answer_says_that_there_is_nothing(
        self, service: LocalAcs, calls: AcsCalls, body: str
    ) -> None:
        _, connection_id = answered(service, calls)
        service.control.fault(Fault(operation="add", kind="body", status=404, body=body, times=1))
        with pytest.raises(Refused):
            calls.invite(invite(connection_id), soon()).result()
        service.control.fault(Fault(operation="participants", kind="body", status=404, body=body, times=1))
        assert calls.people(connection_id, soon()) == {f"4:{PSAP}"}

    def test_who_rings_can_be_stopped(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        handle = calls.invite(invite(connection_id), soon()).result()
        for _ in range(2):
            calls.cancel(connection_id, handle, origin="cancel-1", deadline=soon())
        [invitation] = service.control.call(call.server_call_id).invitations
        assert invitation.state == "cancelled"

    def test_who_is_on_it(self, service: LocalAcs, calls: AcsCalls) -> None:
        service.control.people(AGENT, Script(behaviour="answers", after_s=0.0))
        call, connection_id = answered(service, calls)
        assert calls.people(connection_id, soon()) == {f"4:{PSAP}"}
        calls.invite(invite(connection_id), soon()).result()
        service.control.wait_for_call(call.server_call_id, lambda view: AGENT in view.people)
        assert calls.people(connection_id, soon()) == {f"4:{PSAP}", AGENT}

    def test_the_list_is_read_over_all_its_pages(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        second = f"{service.ready.endpoint}/calling/callConnections/{connection_id}/participants?skip=1"
        with_next = page(AGENT, link=second)
        service.control.fault(Fault(operation="participants", kind="body", status=200, body=with_next, times=1))
        assert calls.people(connection_id, soon()) == {AGENT, f"4:{PSAP}"}

    def test_a_list_whose_next_page_is_itself_is_not_known_after_a_bounded_number_of_requests(
        self, service: LocalAcs, calls: AcsCalls
    ) -> None:
        _, connection_id = answered(service, calls)
        itself = f"{service.ready.endpoint}/calling/callConnections/{connection_id}/participants"
        service.control.fault(Fault(operation="participants", kind="body", status=200, body=page(AGENT, link=itself)))
        with pytest.raises(Unavailable):
            calls.people(connection_id, soon())
        assert len(service.control.requests("participants")) == MAX_PAGES

    def test_no_page_is_asked_for_at_anybody_elses(self, service: LocalAcs, calls: AcsCalls) -> None:
        _, connection_id = answered(service, calls)
        with serving(never_answers) as server:
            elsewhere = page(AGENT, link=f"https://127.0.0.1:{server.port}/calling/callConnections/x/participants")
            service.control.fault(Fault(operation="participants", kind="body", status=200, body=elsewhere))
            with pytest.raises(Unavailable):
                calls.people(connection_id, soon())
            assert server.connections == 0

    @pytest.mark.parametrize("connection_id", ["..", ".", "a/b", "../recordings", "%2e%2e", "a?b", "a#b", "", "é"])
    def test_an_id_that_would_lead_elsewhere_is_never_asked_for(
        self, service: LocalAcs, calls: AcsCalls, connection_id: str
    ) -> None:
        before = len(service.control.requests())
        for act in every_act(calls, connection_id):
            with pytest.raises(NotFound):
                act()
        assert len(service.control.requests()) == before

    def test_a_prompt_is_played(self, service: LocalAcs, calls: AcsCalls) -> None:
        call, connection_id = answered(service, calls)
        calls.play(connection_id, "https://app.example.com/en.wav", origin="prompt-1", deadline=soon())
        assert service.control.call(call.server_call_id).played == ["https://app.example.com/en.wav"]


def test_the_deadline_holds() -> None:
    with serving(trickles) as server:
        adapter = AcsCalls(clock=CLOCK, endpoint=None, connection_string=None)
        with pytest.raises(Unavailable):
            adapter.redirect("context", AGENT, origin="o", deadline=soon())
        adapter.close()
        adapter = AcsCalls(
            clock=CLOCK, connection_string=f"endpoint=https://127.0.0.1:{server.port};accesskey=c2VjcmV0"
        )
        adapter.warm_up()
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            adapter.redirect("context", AGENT, origin="o", deadline=soon(0.4))
        assert time.monotonic() - begun < 2
        adapter.close()
