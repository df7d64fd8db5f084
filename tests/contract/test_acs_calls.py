"""Call control against the local stand-in, over TLS: the real SDK, the real wire."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.system_clock import SystemClock
from shared.domain.errors import Refused, Unavailable
from shared.ports import Deadline
from tests.contract.table_servers import serving, trickles
from tests.local.acs import Fault, LocalAcs, Script

CLOCK = SystemClock()
PSAP, NUMBER, DESK = "+12065550142", "+14255550111", "+14255550199"
AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"


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

    def test_a_call_that_is_gone_is_refused(self, service: LocalAcs, calls: AcsCalls) -> None:
        call = service.control.incoming_call(PSAP, NUMBER)
        service.control.end_call(call.server_call_id)
        with pytest.raises(Refused) as caught:
            calls.redirect(call.contexts[-1], AGENT, origin=str(uuid4()), deadline=soon())
        assert caught.value.__suppress_context__

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


def test_the_deadline_holds() -> None:
    with serving(trickles) as server:
        adapter = AcsCalls(clock=CLOCK, endpoint=None, connection_string=None)
        with pytest.raises(Refused):
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
