"""The recordings' storage against the local stand-in, over TLS: the real SDK with its guard, the real wire."""

import json
from collections.abc import Iterator

import pytest

from shared.adapters.acs_recordings import AcsRecordings
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import NotFound, Refused, Unavailable
from shared.use_cases.stop_recording import stop_recording
from tests.contract.table_servers import serving, trickles
from tests.fakes.house import Counter
from tests.local.acs import Fault, LocalAcs
from tests.local.recordings import endpoint_of, route_to

CLOCK = SystemClock()
SERVICE = "us-storage.asm.skype.com"
FILE = f"https://{SERVICE}/v1/objects/0-wus-d10-example"
AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.fixture(scope="module")
def service() -> Iterator[LocalAcs]:
    with LocalAcs.start() as running:
        yield running


@pytest.fixture
def recordings(service: LocalAcs) -> Iterator[AcsRecordings]:
    service.control.reset()
    adapter = AcsRecordings(
        connection_string=service.connection_string,
        ca_bundle=service.ca_file,
        route=route_to(service.ready.endpoint),
    )
    yield adapter
    adapter.close()


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline(CLOCK, seconds)


@pytest.mark.process
class TestDeleting:
    def test_the_file_is_deleted_with_one_signed_request(self, service: LocalAcs, recordings: AcsRecordings) -> None:
        recordings.delete(FILE, soon())
        assert service.control.deleted_documents() == ["0-wus-d10-example"]
        (request,) = service.control.requests("recording_delete")
        assert request.status == 200

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_file_that_is_gone_is_not_found(self, service: LocalAcs, recordings: AcsRecordings, status: int) -> None:
        service.control.fault(Fault(status=status))
        with pytest.raises(NotFound):
            recordings.delete(FILE, soon())

    @pytest.mark.parametrize("status", [401, 403, 409, 412, 429, 500, 503])
    def test_what_can_be_mended_is_unavailable(self, service: LocalAcs, recordings: AcsRecordings, status: int) -> None:
        service.control.fault(Fault(status=status))
        with pytest.raises(Unavailable) as caught:
            recordings.delete(FILE, soon())
        assert caught.value.__suppress_context__

    def test_what_can_never_work_is_refused(self, service: LocalAcs, recordings: AcsRecordings) -> None:
        service.control.fault(Fault(status=400))
        with pytest.raises(Refused):
            recordings.delete(FILE, soon())

    def test_a_connection_that_breaks_is_tried_once_more(self, service: LocalAcs, recordings: AcsRecordings) -> None:
        service.control.fault(Fault(kind="drop", times=1))
        recordings.delete(FILE, soon())
        assert service.control.deleted_documents() == ["0-wus-d10-example"]

    @pytest.mark.parametrize(
        "elsewhere",
        [
            *("https://storage.example.com/v1/objects/1", "http://us-storage.asm.skype.com/v1/objects/1", "nonsense"),
            *("https://us-storage.asm.skype.com@example.com/1", "https://us-storage.asm.skype.com.example.com/1"),
            # The host is what follows the backslash, or what precedes it: readers of addresses differ.
            *(r"https://example.com\.asm.skype.com/1", rf"https://example.com\@{SERVICE}/1"),
            f"https://example.com@{SERVICE}/1",
            *("https://us-storage.asm.skype.com/v1/objects/../example", "https://us-storage.asm.skype.com/v1/%2e%2E/1"),
        ],
    )
    def test_nothing_is_sent_to_anybody_elses_storage(
        self, service: LocalAcs, recordings: AcsRecordings, elsewhere: str
    ) -> None:
        with pytest.raises(Refused) as caught:
            recordings.delete(elsewhere, soon())
        assert service.control.requests() == []
        assert "example" not in str(caught.value) and caught.value.__suppress_context__


@pytest.mark.process
class TestStopping:
    def test_a_running_recording_is_stopped_once(self, service: LocalAcs, recordings: AcsRecordings) -> None:
        service.control.user_call(AGENT, "server-call-1", "correlation-1")
        recording = service.control.record("server-call-1")
        telemetry = Counter()
        stop_recording(recording.recording_id, recordings=recordings, telemetry=telemetry, deadline=soon())
        assert [each.state for each in service.control.recordings()] == ["inactive"]
        assert telemetry.count("recording_stopped") == 1

    @pytest.mark.parametrize("recording_id", ["..", ".", "a/b", "a/../b", "%2e%2e", "a?b", "a#b", "", "é"])
    def test_an_id_that_would_lead_elsewhere_is_never_asked_for(
        self, service: LocalAcs, recordings: AcsRecordings, recording_id: str
    ) -> None:
        with pytest.raises(NotFound):
            recordings.stop(recording_id, soon())
        assert service.control.requests() == []

    @pytest.mark.parametrize("code", ["8501", "8528", "8543"])
    def test_one_whose_call_has_just_ended_runs_no_more(
        self, service: LocalAcs, recordings: AcsRecordings, code: str
    ) -> None:
        body = json.dumps({"error": {"code": code, "message": "The call is over."}})
        service.control.fault(Fault(operation="recording_stop", kind="body", status=400, body=body))
        telemetry = Counter()
        stop_recording("recording", recordings=recordings, telemetry=telemetry, deadline=soon())
        assert telemetry.count("recording_refused") == 0

    def test_one_that_is_gone_is_not_found(self, recordings: AcsRecordings) -> None:
        with pytest.raises(NotFound):
            recordings.stop("never-began", soon())
        stop_recording("never-began", recordings=recordings, telemetry=Counter(), deadline=soon())


def test_the_deadline_holds() -> None:
    with serving(trickles) as server:
        adapter = AcsRecordings(
            endpoint=None, connection_string=f"endpoint=https://127.0.0.1:{server.port}/;accesskey=c2VjcmV0"
        )
        with pytest.raises(Unavailable):
            adapter.stop("r", soon(0.3))
        adapter.close()


def test_without_settings_nothing_is_asked() -> None:
    with pytest.raises(Unavailable):
        AcsRecordings().delete(FILE, soon())


def test_only_a_stand_in_on_this_machine_is_routed_to() -> None:
    assert route_to("https://127.0.0.1:8443/") is not None
    assert route_to("https://acs-example.communication.azure.com/") is None
    assert route_to(None) is None
    settings = {"COMMUNICATION_SERVICES_CONNECTION_STRING": "endpoint=https://localhost:1/;accesskey=a2V5"}
    assert endpoint_of(settings) == "https://localhost:1/"
