"""The path of an emergency call, and which .NET patterns can be judged here (platform facts, 1)."""

import time
from datetime import UTC, datetime

import pytest

from shared.domain.emergency_numbers import Placeable
from shared.domain.path_checks import number_checks
from shared.domain.placement_checks import outlook_of
from shared.domain.readiness import CheckState
from shared.domain.voice_routes import OwnedNumber, Path, Telephony, VoiceRoute, path_of, routed, takes
from tests.fakes.house import House

BOUGHT, OTHER = "+14255550100", "+14255550199"


def route(pattern: str) -> VoiceRoute:
    return VoiceRoute(name=pattern, number_pattern=pattern, trunks=("sbc.example.com",))


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        (r"^\+?911$", True),
        ("^911$", True),
        (".*", True),
        ("", True),
        (r"^\d{3}$", True),
        (r"^(911|933)$", True),
        (r"^(?:9(?:11|33))$", True),
        ("^[0-9]+$", True),
        (r"^\+?[1-9]\d{2,14}$", True),
        ("911", True),
        (r"^\+1(425|206)(\d{7})$", False),
        ("^112$", False),
        (r"^(?!911)\d+$", False),
        (r"^\+?\d{4,}$", False),
        # Only with a plus: which of the two forms the platform compares is not documented.
        (r"^\+911$", None),
        # Text of its own in .NET, a repetition in Python.
        ("^9{,3}11$", None),
        ("[0-9-[2-8]]", None),
        (r"^911\Z", None),
        ("9++11", None),
        (r"9\_11", None),
        ("(?P<n>911)", None),
        ("(?<n>911)", None),
        (r"\p{Nd}+", None),
        (r"^911\z", None),
        (r"\G911", None),
        ("(?n)911", None),
        ("9(?i)11", None),
        (r"(?<=\d+)1", None),
        ("{911", None),
        # What would take for ever.
        (r"^(\d+)+$", None),
        (r"^((\d?){99}){99}5$", None),
        ("9" * 201, None),
        ("(911", None),
        ("911)", None),
        (r"^\d{3,2}$", None),
    ],
)
def test_a_pattern_takes_911_or_does_not_or_cannot_be_judged(pattern: str, taken: bool | None) -> None:
    began = time.perf_counter()
    assert takes(route(pattern), "911") is taken
    assert time.perf_counter() - began < 5, "what backtracks takes for ever"


def telephony(*patterns: str, numbers: tuple[str, ...] | None = (BOUGHT,)) -> Telephony:
    owned = (
        None
        if numbers is None
        else tuple(OwnedNumber(number=each, inbound=True, outbound=True, of_application=True) for each in numbers)
    )
    return Telephony(routes=tuple(route(each) for each in patterns), numbers=owned)


@pytest.mark.parametrize(
    ("known", "caller_ids", "path"),
    [
        (telephony("^911$"), (BOUGHT,), Path.DIRECT_ROUTING),
        (telephony("^911$"), (OTHER,), Path.DIRECT_ROUTING),
        (telephony("^112$", ".*"), (OTHER,), Path.DIRECT_ROUTING),
        (telephony(), (BOUGHT,), Path.DIRECT_OFFER),
        (telephony("^112$"), (BOUGHT,), Path.DIRECT_OFFER),
        (telephony(), (OTHER,), Path.FAILS),
        (telephony("^112$"), (OTHER,), Path.FAILS),
        (telephony(), (BOUGHT, OTHER), Path.FAILS),
        (telephony(), (), Path.FAILS),
        (telephony(r"\p{Nd}+", "^911$"), (BOUGHT,), Path.UNKNOWN),
        (telephony("^911$", r"\p{Nd}+"), (BOUGHT,), Path.DIRECT_ROUTING),
        (telephony(numbers=None), (BOUGHT,), Path.UNKNOWN),
        (telephony("^911$", numbers=None), (BOUGHT,), Path.DIRECT_ROUTING),
        (Telephony(), (BOUGHT,), Path.UNKNOWN),
    ],
)
def test_the_path_follows_from_routes_in_order_and_the_caller_id(
    known: Telephony, caller_ids: tuple[str, ...], path: Path
) -> None:
    assert path_of("911", caller_ids, known).path is path


def test_what_routes_take_is_what_was_last_read() -> None:
    assert routed("911", None) == frozenset()
    assert routed("911", (route("^911$"),)) == frozenset({"911"})
    assert routed("112", (route("^911$"),)) == frozenset()
    assert routed("112", (route(r"\p{Nd}+"),)) is None


def test_a_number_that_is_not_owned_is_a_problem_unless_a_carrier_may_bring_its_calls() -> None:
    route = VoiceRoute(name="r", number_pattern="^9$")
    for routes, state in (((), CheckState.PROBLEM), ((route,), CheckState.WARNING)):
        found = list(number_checks(("+14255550100",), (), Telephony(routes=routes, numbers=())))
        assert [(each.id, each.state) for each in found] == [("callback_number", state)]


def test_of_a_pool_without_numbers_no_country_is_said_to_lack_one() -> None:
    assert list(number_checks((), ("US",), Telephony(routes=(), numbers=()))) == []


def test_routes_that_were_read_too_long_ago_may_take_any_number() -> None:
    read_at, deployment = datetime(2026, 11, 20, tzinfo=UTC), House().deployment
    assert outlook_of("MX", deployment, Telephony()).placeable is Placeable.NO
    assert outlook_of("MX", deployment, Telephony(routes_at=read_at)).placeable is Placeable.UNKNOWN
