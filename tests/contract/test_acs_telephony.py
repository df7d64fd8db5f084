"""Voice routes and numbers bought, read from the local stand-in over TLS: the real SDK, the real wire."""

from collections.abc import Iterator

import pytest

from shared.adapters.acs_telephony import REMEMBERED_S, AcsTelephony
from shared.deadlines import Deadline
from shared.domain.voice_routes import OwnedNumber, VoiceRoute
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
