"""Every alert listens for something that the product says, and everything that the operators need is listened for."""

import json
import re
from typing import Any

import pytest

from shared.telemetry import VOCABULARY
from tests.infra.compiler import ROOT
from tests.infra.deployed import PLATFORM_SETS, data, of_type
from tests.infra.test_template import COMMUNICATION_EVENTS

LOGS: list[dict[str, Any]] = data("alerts.json")["logs"]
METRICS: list[dict[str, Any]] = data("alerts.json")["metrics"]
# Said by code that comes later; whoever adds the event takes it out here.
LATER: dict[str, set[str]] = {}
# What has to be heard of (infrastructure, 7.4), by what tells it.
NEEDED_EVENTS = {
    *("pool_low", "pool_exhausted", "dial_recorded", "outbox", "callback_answered", "callback_failed"),
    *("notice_given_up", "recording_given_up", "store_away", "breaker_open", "setting_faulty", "sweep"),
    *("drill_age", "unforeseen_error", "row_set_aside", "email_blocked"),
}
NEEDED_METRICS = {
    *("DeliveryAttemptFailCount", "DroppedEventCount", "DeadLetteredCount", "Availability"),
}
# Documented names, by the type of what is measured.
KNOWN_METRICS = {
    "Microsoft.EventGrid/systemTopics": {"DeliveryAttemptFailCount", "DroppedEventCount", "DeadLetteredCount"},
    "Microsoft.Storage/storageAccounts": {"Availability"},
}


def queries() -> list[str]:
    workbook = data("workbook.json")["items"]
    return [
        *("\n".join(alert["query"]) for alert in LOGS),
        *(item["content"]["query"] for item in workbook if "query" in item["content"]),
    ]


def heard(query: str) -> set[str]:
    """The events that a query names."""
    found: set[str] = set()
    for pattern in re.findall(r"\^\[A-Z\]\+ (\(\?:[a-z_|]+\)|[a-z_]+)", query):
        found |= set(pattern.removeprefix("(?:").removesuffix(")").split("|"))
    return found


def facts_in(query: str) -> set[str]:
    return set(re.findall(r"\b([a-z_]+)=(?!=)", query.replace(" = ", " : ").replace("\\b", " ")))


def known() -> dict[str, set[str]]:
    return {str(event): set(entry.facts) for event, entry in VOCABULARY.items()} | LATER


def test_what_comes_later_is_not_there_yet() -> None:
    assert not set(LATER) & {str(event) for event in VOCABULARY}


@pytest.mark.parametrize("query", queries())
def test_every_query_listens_for_what_the_product_says(query: str) -> None:
    if query.startswith("_LogOperation"):
        return
    events = heard(query)
    assert events, query
    assert events <= set(known()), events - set(known())
    said = set.union(*(known()[event] for event in events))
    assert facts_in(query) <= said, facts_in(query) - said


def test_everything_that_operators_need_is_listened_for() -> None:
    assert set.union(*(heard("\n".join(alert["query"])) for alert in LOGS)) >= NEEDED_EVENTS
    assert {alert["metric"] for alert in METRICS} >= NEEDED_METRICS


def test_a_line_as_the_product_prints_it_is_heard() -> None:
    """The pattern of the pool's alert, on the form that lines have (OPERATIONS.md)."""
    (query,) = ["\n".join(alert["query"]) for alert in LOGS if alert["name"] == "pool-low"]
    (pattern,) = re.findall(r"matches regex @'([^']+)'", query)
    assert re.search(pattern, "WARNING pool_low free_percent=12")
    assert not re.search(pattern, "ERROR undeclared event=pool_low")


def test_silence_is_heard_too() -> None:
    """The dead man's switch: an alert that fires where nothing is said, sooner than two sweeps are missed for long."""
    (silence,) = [alert for alert in LOGS if alert["name"] == "silence"]
    assert silence["query"][-2:] == ["| count", "| where Count == 0"]
    assert heard("\n".join(silence["query"])) == {"sweep"}
    assert silence["everyMinutes"] <= 5
    assert silence["severity"] == 0


def test_a_responders_call_that_is_not_delivered_is_heard_at_once() -> None:
    subscriptions = {f"emergency-{name}" for name in ("incoming-call",)}
    for metric in ("DeliveryAttemptFailCount", "DroppedEventCount"):
        (alert,) = [each for each in METRICS if each["metric"] == metric]
        assert (alert["severity"], alert["threshold"], alert["windowMinutes"]) == (0, 0, 1)
        assert set(alert["subscriptions"]) == subscriptions


def test_metrics_and_subscriptions_are_known() -> None:
    names = {f"emergency-{each['name']}" for each in data("subscriptions.json")["communication"]}
    assert len(names) == len(COMMUNICATION_EVENTS)
    for alert in METRICS:
        assert alert["metric"] in KNOWN_METRICS[alert["namespace"]]
        assert set(alert["subscriptions"]) <= names
    # A dead letter of any subscription that has them.
    (dead,) = [alert for alert in METRICS if alert["name"] == "dead-letter"]
    having = {
        f"emergency-{each['name']}" for each in data("subscriptions.json")["communication"] if each["deadLetters"]
    }
    assert set(dead["subscriptions"]) == having


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_every_alert_is_deployed_and_tells_somebody(name: str) -> None:
    rules = of_type(name, "Microsoft.Insights/scheduledQueryRules")
    assert {rule["name"].split("-", 2)[2] for rule in rules} == {alert["name"] for alert in LOGS}
    metrics = of_type(name, "Microsoft.Insights/metricAlerts")
    told = {rule["name"].split("-", 2)[2] for rule in metrics}
    assert told == {alert["name"] for alert in METRICS} | ({"health"} if name != "existing" else set())
    (people,) = of_type(name, "Microsoft.Insights/actionGroups")
    for rule in rules:
        assert rule["properties"]["actions"]["actionGroups"] == [people["id"]]
    for rule in metrics:
        assert rule["properties"]["actions"] == [{"actionGroupId": people["id"]}]
    assert of_type(name, "Microsoft.Insights/activityLogAlerts")


def test_those_who_are_told_are_those_who_were_named() -> None:
    (people,) = of_type("everything", "Microsoft.Insights/actionGroups")
    addresses = [each["emailAddress"] for each in people["properties"]["emailReceivers"]]
    assert addresses == ["guard@example.com", "desk@example.com"]


def test_every_alert_is_explained_to_whoever_is_on_duty() -> None:
    operations = (ROOT / "OPERATIONS.md").read_text("utf-8")
    for alert in (*LOGS, *METRICS, {"name": "health"}, {"name": "app-changed"}):
        assert f"`{alert['name']}`" in operations, alert["name"]


def test_the_workbook_is_one() -> None:
    workbook = json.loads((ROOT / "infra" / "workbook.json").read_text("utf-8"))
    assert workbook["version"] == "Notebook/1.0"
    assert len({item["name"] for item in workbook["items"]}) == len(workbook["items"])
