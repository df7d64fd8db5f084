"""Voice routes and numbers bought, read from the local stand-in over TLS: the real SDK, the real wire."""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_recordings import AcsRecordings
from shared.adapters.acs_telephony import MAX_PAGES, REMEMBERED_S, AcsTelephony
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import Refused, Unavailable
from shared.domain.path_checks import emergency_path
from shared.domain.voice_routes import OwnedNumber, Telephony, VoiceRoute, path_of
from shared.ports import Email
from tests.contract.table_servers import never_answers, serving
from tests.fakes.house import HandClock, after
from tests.local.acs import Fault, LocalAcs
from tests.local.acs.messages import RouteSetup, TelephonySetup

pytestmark = pytest.mark.process
SETUP = TelephonySetup(
    routes=[RouteSetup(name="emergencies", pattern=r"^\+?911$"), RouteSetup(name="rest", pattern=".*", trunks=[])],
    numbers=["+14255550100", "+14255550101"],
    calling={"+14255550101": "outbound"},
    of_persons=["+14255550101"],
)


@pytest.fixture(scope="module")
def service() -> Iterator[LocalAcs]:
    with LocalAcs.start() as running:
        yield running


def test_what_is_read_is_remembered_and_kept_while_the_service_is_away(service: LocalAcs) -> None:
    service.control.reset()
    service.control.telephony(SETUP)
    clock = HandClock()
    reader = AcsTelephony(clock=clock, connection_string=service.connection_string, ca_bundle=service.ca_file)
    known = reader.read(Deadline(clock, 8))
    assert known.routes == (
        VoiceRoute(name="emergencies", number_pattern=r"^\+?911$", trunks=("sbc.example.com",)),
        VoiceRoute(name="rest", number_pattern=".*"),
    )
    assert known.numbers == (
        OwnedNumber(number="+14255550100", inbound=True, outbound=True, of_application=True),
        OwnedNumber(number="+14255550101", inbound=False, outbound=True, of_application=False),
    )
    assert known.routes_at == known.numbers_at == clock.now()
    asked = len(service.control.requests())
    assert reader.read(Deadline(clock, 8)) == known
    assert len(service.control.requests()) == asked, "read again only after some minutes"
    service.control.fault(Fault())
    clock.advance(after(seconds=REMEMBERED_S))
    assert reader.read(Deadline(clock, 8)) == known, "with the time at which it was read"
    service.control.clear_faults()
    reader.close()


def page(number: str, link: str) -> str:
    """A page of the list of numbers."""
    bought = {
        "id": number.strip("+"),
        "phoneNumber": number,
        "countryCode": "US",
        "phoneNumberType": "geographic",
        "capabilities": {"calling": "inbound+outbound", "sms": "none"},
        "assignmentType": "application",
        "purchaseDate": "2026-11-20T18:00:00Z",
        "cost": {"amount": 1.0, "currencyCode": "USD"},
    }
    return json.dumps({"phoneNumbers": [bought], "nextLink": link})


def read_from(service: LocalAcs) -> Telephony:
    clock = SystemClock()
    reader = AcsTelephony(clock=clock, connection_string=service.connection_string, ca_bundle=service.ca_file)
    known = reader.read(Deadline(clock, 8))
    reader.close()
    return known


class TestPagesOfNumbers:
    def test_numbers_are_read_over_all_pages(self, service: LocalAcs) -> None:
        service.control.reset()
        service.control.telephony(SETUP)
        second = page("+14255550109", f"{service.ready.endpoint}/phoneNumbers?skip=1")
        service.control.fault(Fault(operation="numbers", kind="body", status=200, body=second, times=1))
        numbers = read_from(service).numbers
        assert numbers is not None
        assert [each.number for each in numbers] == ["+14255550109", "+14255550100", "+14255550101"]

    def test_a_list_whose_next_page_is_itself_is_not_known_after_a_bounded_number_of_requests(
        self, service: LocalAcs
    ) -> None:
        service.control.reset()
        itself = page("+14255550109", f"{service.ready.endpoint}/phoneNumbers")
        service.control.fault(Fault(operation="numbers", kind="body", status=200, body=itself))
        assert read_from(service).numbers is None
        assert len(service.control.requests("numbers")) <= MAX_PAGES

    def test_no_page_of_numbers_is_asked_for_at_anybody_elses(self, service: LocalAcs) -> None:
        service.control.reset()
        with serving(never_answers) as server:
            elsewhere = page("+14255550109", f"https://127.0.0.1:{server.port}/phoneNumbers?skip=1")
            service.control.fault(Fault(operation="numbers", kind="body", status=200, body=elsewhere))
            assert read_from(service).numbers is None
            assert server.connections == 0

    def test_no_page_of_numbers_is_asked_for_without_tls(self, service: LocalAcs) -> None:
        service.control.reset()
        plain = service.ready.endpoint.replace("https://", "http://")
        body = page("+14255550109", f"{plain}/phoneNumbers?skip=1")
        service.control.fault(Fault(operation="numbers", kind="body", status=200, body=body, times=1))
        assert read_from(service).numbers is None
        assert len(service.control.requests("numbers")) == 1


FIRST_911 = RouteSetup(name="first", pattern=r"^\+?911$")
FIRST_112 = RouteSetup(name="other", pattern="^112$")
LONG = RouteSetup(name="long", pattern=r"^\+?[1-9]\d{4,14}$")
THREE = RouteSetup(name="three", pattern=r"^\d{3}$")
ALL = RouteSetup(name="all", pattern=".*")
NOT_911 = RouteSetup(name="not", pattern=r"^(?!911)\d+$")
OURS, CARRIERS = "+14255550100", "+14255550177"


@pytest.mark.parametrize("caller_id", [OURS, CARRIERS])
@pytest.mark.parametrize(
    "routes",
    [[], [FIRST_911], [FIRST_112, LONG], [NOT_911, ALL], [LONG, THREE, FIRST_911], [FIRST_112, NOT_911]],
    ids=lambda routes: "-".join(route.name for route in routes) or "no route",
)
def test_the_path_that_is_computed_is_the_one_that_the_service_takes(
    service: LocalAcs, routes: list[RouteSetup], caller_id: str
) -> None:
    service.control.reset()
    service.control.telephony(TelephonySetup(routes=routes, numbers=[OURS]))
    clock = HandClock()
    reader = AcsTelephony(clock=clock, connection_string=service.connection_string, ca_bundle=service.ca_file)
    known = reader.read(Deadline(clock, 8))
    way = path_of("911", [caller_id], known)
    reader.close()
    taken = service.control.dialled("911", caller_id)
    assert (way.path.value, way.route.name if way.route else None) == (taken.path, taken.route)
    assert emergency_path([caller_id], known).reason.startswith(f"{taken.path}:")


def test_pings_ask_for_nothing_and_tell_away_from_refused(service: LocalAcs) -> None:
    clock = SystemClock()
    where = {"connection_string": service.connection_string, "ca_bundle": service.ca_file}
    calls, mail = AcsCalls(clock=clock, **where), AcsEmail(sender=None, clock=clock, **where)
    other = AcsCalls(
        clock=clock,
        connection_string=service.connection_string.partition(";")[0] + ";accesskey=AAAA",
        ca_bundle=service.ca_file,
    )
    service.control.reset()
    for adapter in (calls, mail):
        adapter.ping(Deadline(clock, 5))
        with pytest.raises(Unavailable):
            adapter.ping(Deadline(clock, 0))
    assert [each.operation for each in service.control.requests()] == ["get_call", "email_status"]
    with pytest.raises(Refused):
        other.ping(Deadline(clock, 5))
    service.control.fault(Fault(status=503))
    for adapter in (calls, mail):
        with pytest.raises(Unavailable):
            adapter.ping(Deadline(clock, 5))
        adapter.close()
    service.control.clear_faults()
    other.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_adapter_follows_a_redirect_with_what_it_sends(service: LocalAcs, status: int) -> None:
    clock = SystemClock()
    where = {"connection_string": service.connection_string, "ca_bundle": service.ca_file}
    calls, mail = AcsCalls(clock=clock, **where), AcsEmail(sender="a@alerts.example.com", clock=clock, **where)
    recordings = AcsRecordings(connection_string=service.connection_string, ca_bundle=service.ca_file)
    message = Email(
        operation_id=str(uuid4()), recipients=("b@example.com",), subject="s", text="t", html="h", thread=""
    )

    def soon() -> Deadline:
        return Deadline(clock, 5)

    acts: list[Callable[[], object]] = [
        *(lambda: calls.ping(soon()), lambda: mail.ping(soon()), lambda: mail.send(message, soon())),
        lambda: calls.redirect("context", "+14255550100", origin="o", deadline=soon()),
        lambda: calls.answer("context", "https://app.example.com/", operation_context="o", origin="o", deadline=soon()),
        lambda: calls.people("connection", soon()),
        lambda: recordings.stop("recording", soon()),
    ]
    service.control.reset()
    with serving(never_answers) as server:
        location = f"https://127.0.0.1:{server.port}/"
        service.control.fault(Fault(kind="body", status=status, location=location))
        for act in acts:
            with pytest.raises(Unavailable):
                act()
        assert read_from(service) == Telephony()
        assert server.connections == 0
    service.control.reset()
    for adapter in (calls, mail, recordings):
        adapter.close()
