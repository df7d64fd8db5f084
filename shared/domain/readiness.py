"""What would go wrong today, and how to mend it (S10, B10): checks over what is known, pure and in plain words."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

DEPLOYMENT = "deployment"


class CheckState(StrEnum):
    """How a check came out; `unknown` is what cannot be seen from here, or was not answered yet."""

    PROBLEM = "problem"
    WARNING = "warning"
    UNKNOWN = "unknown"
    OK = "ok"


_ORDER = list(CheckState)


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `at` is when what it says was so; None where nothing was ever read.

    `subject` is `deployment`, `site:{id}`, `agent:{id}` or `number:{e164}`.
    """

    id: str
    subject: str = DEPLOYMENT
    state: CheckState
    reason: str
    remedy: str | None = None
    at: datetime | None = None


class Readiness(Struct, frozen=True, kw_only=True):
    """All checks, problems first, and the worst state among them."""

    state: CheckState
    at: datetime
    checks: tuple[Check, ...]


def readiness(checks: Iterable[Check], now: datetime) -> Readiness:
    """The checks in the order of their states, and within one in the order in which they were made."""
    ordered = sorted(checks, key=lambda check: _ORDER.index(check.state))
    return Readiness(state=ordered[0].state if ordered else CheckState.OK, at=now, checks=tuple(ordered))


def worst(checks: Iterable[Check]) -> CheckState:
    """The worst state among them."""
    return min((check.state for check in checks), key=_ORDER.index, default=CheckState.OK)


def ok(check_id: str, reason: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """All is well."""
    return Check(id=check_id, subject=subject, state=CheckState.OK, reason=reason, at=at)


def warning(check_id: str, reason: str, remedy: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """It works, but less surely."""
    return Check(id=check_id, subject=subject, state=CheckState.WARNING, reason=reason, remedy=remedy, at=at)


def problem(check_id: str, reason: str, remedy: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """Somebody would not be helped today."""
    return Check(id=check_id, subject=subject, state=CheckState.PROBLEM, reason=reason, remedy=remedy, at=at)


def unknown(check_id: str, reason: str, remedy: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """It cannot be seen from here, or was not answered yet; `remedy` says how to look."""
    return Check(id=check_id, subject=subject, state=CheckState.UNKNOWN, reason=reason, remedy=remedy, at=at)
