"""What the Functions host is told: every line that an alarm is made of arrives, and no address of a request does."""

import json
from typing import Any

import pytest

from tests.rules.sources import ROOT

LOGGING: dict[str, Any] = json.loads((ROOT / "host.json").read_text("utf-8"))["logging"]


def test_nothing_is_sampled() -> None:
    """A line that says `pool_low` and was sampled away is an alarm that nobody hears."""
    assert LOGGING["applicationInsights"]["samplingSettings"] == {"isEnabled": False}


@pytest.mark.parametrize("category", ["Host.Results", "Host.Aggregator"])
def test_no_item_is_made_of_a_request(category: str) -> None:
    """Its address holds ids of agents and calls, and its place of origin is where an agent sits (B8)."""
    assert LOGGING["logLevel"][category] == "None"


def test_no_request_is_shown_live() -> None:
    """Live Metrics stand before the filter of categories in the host's pipeline: they are sent what it then drops."""
    assert LOGGING["applicationInsights"]["enableLiveMetrics"] is False


def test_what_the_product_says_arrives_whole() -> None:
    """What is printed has a category of its own, which does not begin with `Function`."""
    assert LOGGING["logLevel"]["Host.Function.Console"] == "Information"


def test_no_line_is_made_of_a_run_that_ended_well() -> None:
    """Two lines a request, also of anybody's `GET /api/health`: they fill the day's cap, and then no alert is heard."""
    assert LOGGING["logLevel"]["Function"] == "Warning"


def test_what_the_host_and_the_sdks_say_arrives_from_warnings_on() -> None:
    """At Information the SDKs print addresses of rows, which hold numbers."""
    assert LOGGING["logLevel"]["default"] == "Warning"
    assert set(LOGGING["logLevel"].values()) <= {"Warning", "Information", "None"}
