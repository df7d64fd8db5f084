"""The clock and the sign-in that the local host puts in the place of the platform's; what stand-ins may know."""

import ast
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.principals import Principal
from tests.local.clock import MovableClock
from tests.local.sign_in import DevelopmentSignIn
from tests.rules.sources import ROOT

AGENT, ADMIN = "EmergencyCalling.Agent", "EmergencyCalling.Admin"


def signed_in(header: str) -> Principal | None:
    return DevelopmentSignIn().principal({"x-development-principal": header})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (ADMIN, Principal(roles=frozenset({ADMIN}))),
        (f"{AGENT};anna", Principal(roles=frozenset({AGENT}), agent_id="anna")),
        (f"anna ; {ADMIN}; {AGENT}", Principal(roles=frozenset({ADMIN, AGENT}), agent_id="anna")),
    ],
)
def test_roles_and_agent_are_read(header: str, expected: Principal) -> None:
    assert signed_in(header) == expected


@pytest.mark.parametrize("header", ["", "anna", f"{AGENT};anna;bob", f"{AGENT};", ";", f"{AGENT};;anna"])
def test_a_malformed_header_is_nobody(header: str) -> None:
    assert signed_in(header) is None


def test_no_header_is_nobody() -> None:
    assert DevelopmentSignIn().principal({}) is None


def test_the_clock_is_moved_on_and_deadlines_are_not() -> None:
    clock = MovableClock()
    before = clock.monotonic()
    clock.advance(3600)
    assert clock.now() - datetime.now(UTC) > timedelta(minutes=59)
    assert clock.monotonic() - before < 60


def test_the_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never back"):
        MovableClock().advance(-1)


@pytest.mark.parametrize("service", ["graph", "dynamics"])
def test_a_stand_in_for_a_service_imports_nothing_of_the_product(service: str) -> None:
    imported = set()
    for path in (ROOT / "tests" / "local" / service).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    ours = {name for name in imported if name.split(".")[0] in ("shared", "functions", "function_app", "tests")}
    allowed = (f"tests.local.{service}", "tests.local.loopback")
    assert ours and all(name.startswith(allowed) for name in ours)
