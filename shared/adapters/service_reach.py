"""Asks the services that an emergency needs whether they are there (port `Services`)."""

from collections.abc import Callable, Mapping
from functools import partial

from shared.adapters.background_look import BackgroundLook
from shared.adapters.threads import OS_THREADS, Threads
from shared.deadlines import Clock, Deadline
from shared.domain.errors import EmergencyCallingError, Refused, Unavailable
from shared.domain.service_checks import Service, ServiceAnswer
from shared.ports import Telemetry

type Ping = Callable[[Deadline], object]

WITHIN_S = 5.0
REMEMBERED_S = 15.0


class ServiceReach:
    """Port `Services`. A ping returns once the service has answered; `Unavailable`: none; `Refused`: not for us."""

    def __init__(
        self, pings: Mapping[Service, Ping], clock: Clock, telemetry: Telemetry, threads: Threads = OS_THREADS
    ) -> None:
        self._looks = {
            service: BackgroundLook(
                f"reach-{service}",
                partial(_reached, ping, clock),
                clock,
                telemetry,
                within_s=WITHIN_S,
                remembered_s=REMEMBERED_S,
                threads=threads,
            )
            for service, ping in pings.items()
        }

    def begin(self) -> None:
        """Ask all of them at once, unless they were asked some seconds ago."""
        for look in self._looks.values():
            look.begin()

    def reached(self, deadline: Deadline) -> dict[Service, ServiceAnswer | None]:
        """What came of it; what is not answered by the deadline is as it was before."""
        return {service: look.seen(deadline) for service, look in self._looks.items()}


def _reached(ping: Ping, clock: Clock, deadline: Deadline) -> ServiceAnswer:
    began = clock.monotonic()
    try:
        ping(deadline)
    except Unavailable as away:
        return ServiceAnswer(at=clock.now(), reason=away.reason)
    except Refused as refused:
        return ServiceAnswer(at=clock.now(), ms=_ms_since(began, clock), refused=True, reason=refused.code)
    except EmergencyCallingError:
        # That there is no such thing is an answer.
        return ServiceAnswer(at=clock.now(), ms=_ms_since(began, clock))
    return ServiceAnswer(at=clock.now(), ms=_ms_since(began, clock))


def _ms_since(began: float, clock: Clock) -> int:
    return round((clock.monotonic() - began) * 1000)
