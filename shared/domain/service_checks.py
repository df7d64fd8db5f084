"""Whether the services that an emergency needs are reached, and how fast (S10)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.domain.readiness import Check, ok, problem, unknown, warning
from shared.domain.words import Words

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


def service_checks(reached: Mapping[Service, ServiceAnswer | None]) -> Iterator[Check]:
    """A check for each of these services; None is one of which nothing is known yet."""
    for service, answer in reached.items():
        yield _check(service, answer)


def _check(service: Service, answer: ServiceAnswer | None) -> Check:
    if answer is None:
        return unknown(service.value, _not_yet(service), "Ask again in a few seconds.", None)
    code = f" ({answer.reason})" if answer.reason else ""
    if answer.refused:
        return problem(
            service.value,
            _refuses(service, code),
            "Look at the keys in the settings, or at the roles of the app's identity.",
            answer.at,
        )
    if answer.ms is None:
        return problem(
            service.value,
            _silent(service, code),
            "Look at its state in the portal, at its address in the settings, and at the network.",
            answer.at,
        )
    if answer.ms > SLOW_MS:
        return warning(service.value, _slow(service, answer.ms), "Look at its latency.", answer.at)
    return ok(service.value, _quick(service, answer.ms), answer.at)


def _not_yet(service: Service) -> Words:
    match service:
        case Service.CALLS:
            return Words("Communication Services has not answered yet.")
        case Service.EMAIL:
            return Words("The e-mail service has not answered yet.")
        case Service.PRESENCE:
            return Words("The presence service has not answered yet.")


def _refuses(service: Service, code: str) -> Words:
    match service:
        case Service.CALLS:
            return Words("Communication Services refuses the app{code}: a callback rings nobody.", code=code)
        case Service.EMAIL:
            return Words("The e-mail service refuses the app{code}: nobody is told of a call.", code=code)
        case Service.PRESENCE:
            return Words("The presence service refuses the app{code}: nobody's presence is held.", code=code)


def _silent(service: Service, code: str) -> Words:
    match service:
        case Service.CALLS:
            return Words("Communication Services does not answer{code}: a callback rings nobody.", code=code)
        case Service.EMAIL:
            return Words("The e-mail service does not answer{code}: nobody is told of a call.", code=code)
        case Service.PRESENCE:
            return Words("The presence service does not answer{code}: nobody's presence is held.", code=code)


def _slow(service: Service, ms: int) -> Words:
    match service:
        case Service.CALLS:
            return Words("Communication Services took {ms} ms to answer.", ms=ms)
        case Service.EMAIL:
            return Words("The e-mail service took {ms} ms to answer.", ms=ms)
        case Service.PRESENCE:
            return Words("The presence service took {ms} ms to answer.", ms=ms)


def _quick(service: Service, ms: int) -> Words:
    match service:
        case Service.CALLS:
            return Words("Communication Services answered in {ms} ms.", ms=ms)
        case Service.EMAIL:
            return Words("The e-mail service answered in {ms} ms.", ms=ms)
        case Service.PRESENCE:
            return Words("The presence service answered in {ms} ms.", ms=ms)
