"""Voice routes and numbers bought, read from the local stand-in over TLS: the real SDK, the real wire."""

from collections.abc import Iterator

import pytest

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_telephony import REMEMBERED_S, AcsTelephony
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import Refused, Unavailable
from shared.domain.path_checks import emergency_path
from shared.domain.voice_routes import OwnedNumber, VoiceRoute, path_of
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
