"""Whether the services that an emergency needs are reached, and how fast (S10)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.domain.readiness import Check, ok, problem, unknown, warning

SLOW_MS = 500


class Service(StrEnum):
    """A service that an emergency needs, by the id of its check."""

    CALLS = "communication_services"
    EMAIL = "email_service"
    PRESENCE = "presence_service"


class ServiceAnswer(Struct, frozen=True, kw_only=True):
    """What came of asking a service for nothing in particular: `ms` until its answer, None where there was none.

    `refused`: it answered that the app may not ask. `reason` is the adapter's word for what is wrong.
    """

    at: datetime
    ms: int | None = None
    refused: bool = False
    reason: str = ""


_NAMES: Mapping[Service, str] = {
    Service.CALLS: "Communication Services",
    Service.EMAIL: "The e-mail service",
    Service.PRESENCE: "The presence service",
}
_WITHOUT: Mapping[Service, str] = {
    Service.CALLS: "a callback rings nobody",
    Service.EMAIL: "nobody is told of a call",
    Service.PRESENCE: "nobody's presence is held",
}


def service_checks(reached: Mapping[Service, ServiceAnswer | None]) -> Iterator[Check]:
    """A check for each of these services; None is one of which nothing is known yet."""
    for service, answer in reached.items():
        yield _check(service, answer)


def _check(service: Service, answer: ServiceAnswer | None) -> Check:
    name, without = _NAMES[service], _WITHOUT[service]
    if answer is None:
        return unknown(service.value, f"{name} has not answered yet.", "Ask again in a few seconds.", None)
    said = f" ({answer.reason})" if answer.reason else ""
    if answer.refused:
        return problem(
            service.value,
            f"{name} refuses the app{said}: {without}.",
            "Look at the keys in the settings, or at the roles of the app's identity.",
            answer.at,
        )
    if answer.ms is None:
        return problem(
            service.value,
            f"{name} does not answer{said}: {without}.",
            "Look at its state in the portal, at its address in the settings, and at the network.",
            answer.at,
        )
    if answer.ms > SLOW_MS:
        return warning(service.value, f"{name} took {answer.ms} ms to answer.", "Look at its latency.", answer.at)
    return ok(service.value, f"{name} answered in {answer.ms} ms.", answer.at)
