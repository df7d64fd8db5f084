"""What would go wrong today, and how to mend it (S10, B10): checks over what is known, pure and in plain words."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from shared.domain.words import Words, as_words

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

    `subject` is `deployment`, `site:{id}`, `agent:{id}` or `number:{e164}`. Reason and remedy are whole sentences.
    """

    id: str
    subject: str = DEPLOYMENT
    state: CheckState
    reason: Words
    remedy: Words | None = None
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
    return Check(id=check_id, subject=subject, state=CheckState.OK, reason=as_words(reason), at=at)


def warning(check_id: str, reason: str, remedy: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """It works, but less surely."""
    return _amiss(CheckState.WARNING, check_id, reason, remedy, at, subject)


def problem(check_id: str, reason: str, remedy: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """Somebody would not be helped today."""
    return _amiss(CheckState.PROBLEM, check_id, reason, remedy, at, subject)


def unknown(check_id: str, reason: str, remedy: str, at: datetime | None, subject: str = DEPLOYMENT) -> Check:
    """It cannot be seen from here, or was not answered yet; `remedy` says how to look."""
    return _amiss(CheckState.UNKNOWN, check_id, reason, remedy, at, subject)


def _amiss(state: CheckState, check_id: str, reason: str, remedy: str, at: datetime | None, subject: str) -> Check:
    return Check(id=check_id, subject=subject, state=state, reason=as_words(reason), remedy=as_words(remedy), at=at)
