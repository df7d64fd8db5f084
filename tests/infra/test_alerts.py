"""Every alert listens for something that the product says, and everything that the operators need is listened for."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.deployment_checks import DRILL_EVERY
from shared.settings import RUN_EVERY
from shared.telemetry import VOCABULARY, LogTelemetry
from tests.infra.compiler import INFRA
from tests.infra.deployed import PLATFORM_SETS, data, of_type
from tests.rules.sources import ROOT

LOGS: list[dict[str, Any]] = data("alerts.json")["logs"]
METRICS: list[dict[str, Any]] = data("alerts.json")["metrics"]
FORM = (INFRA / "createUiDefinition.json").read_text("utf-8")
# What has to be heard of (infrastructure, 7.4), by what tells it.
NEEDED_EVENTS = {
    *("pool_low", "pool_exhausted", "dial_recorded", "outbox", "callback_answered", "callback_failed"),
    *("notice_given_up", "recording_given_up", "recording_refused", "store_away", "breaker_open", "setting_faulty"),
    *("sweep", "outbox_sweep", "event_source_unknown", "event_rejected"),
    *("drill_age", "unforeseen_error", "row_set_aside", "email_blocked", "presence_blocked"),
}
NEEDED_METRICS = {
    *("DeliveryAttemptFailCount", "DroppedEventCount", "DeadLetteredCount", "Availability"),
}
# Documented names, by the type of what is measured.
KNOWN_METRICS = {
    "Microsoft.EventGrid/systemTopics": {"DeliveryAttemptFailCount", "DroppedEventCount", "DeadLetteredCount"},
    "Microsoft.EventGrid/topics": {"DeadLetteredCount"},
    "Microsoft.Storage/storageAccounts": {"Availability"},
}


# What a rule names, by the word for it in alerts.json.
RESOURCES = {
    "systemTopic": "Microsoft.EventGrid/systemTopics",
    "customTopic": "Microsoft.EventGrid/topics",
    "hostStorage": "Microsoft.Storage/storageAccounts",
    "stateStorage": "Microsoft.Storage/storageAccounts",
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
    return {event: set(entry.facts) for event, entry in VOCABULARY.items()}


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


# The function that is subscribed to them.
(INCOMING_CALL,) = (
    each["function"] for each in data("subscriptions.json")["communication"] if each["name"] == "incoming-call"
)
# What each alert fires on, and what it leaves alone, said by the product's own telemetry.
type Said = tuple[str, dict[str, str | float | bool]]
HEARD: dict[str, tuple[Said, Said]] = {
    "store-away": (("breaker_open", {}), ("storage_failed", {"ms": 300.0})),
    "pool-empty": (("pool_exhausted", {"free_percent": 0}), ("pool_low", {"free_percent": 12})),
    "pool-low": (("pool_low", {"free_percent": 12}), ("pool_exhausted", {"free_percent": 0})),
    "number-shared": (("dial_recorded", {"shared": True}), ("dial_recorded", {"shared": False})),
    "callback-failed": (("callback_failed", {"reason": "answer_refused"}), ("callback_over", {"answered": False})),
    "event-source-unknown": (
        ("event_source_unknown", {"function": INCOMING_CALL}),
        ("event_rejected", {"function": "call_started_event", "error": "Malformed"}),
    ),
    "incoming-call-rejected": (
        ("event_rejected", {"function": INCOMING_CALL, "error": "Malformed", "field": "data.to"}),
        # Whoever called has hung up.
        ("event_rejected", {"function": INCOMING_CALL, "error": "Refused"}),
    ),
    "callback-late": (
        ("callback_answered", {"ms": 5.0, "late_ms": 3000.5}),
        ("callback_answered", {"ms": 9000.0, "late_ms": 2999.0}),
    ),
    "notice-given-up": (("notice_given_up", {}), ("notice_retried", {"attempt": 2})),
    "email-blocked": (("email_blocked", {"reason": "sender"}), ("notice_sent", {"recipients": 1})),
    "presence-blocked": (("presence_blocked", {"reason": "identity"}), ("presence_failed", {})),
    "recording-given-up": (("recording_given_up", {"chunks": 1}), ("recording_retried", {"attempt": 1})),
    "outbox-late": (("outbox", {"owed": 1, "oldest_s": 30.5}), ("outbox", {"owed": 40, "oldest_s": 29.0})),
    "row-set-aside": (("row_set_aside", {"kind": "agent"}), ("sweep", {"due": 0, "ms": 1.0})),
    "unforeseen-error": (("unforeseen_error", {"function": "health"}), ("undeclared_event", {})),
    "setting-faulty": (("setting_faulty", {"setting": "time_zone"}), ("setting_doubtful", {"setting": "time_zone"})),
    "drill-overdue": (("drill_age", {"days": 30}), ("drill_age", {"days": 29})),
}


def line(event: str, facts: dict[str, str | float | bool]) -> str:
    """As the product prints it."""
    said: list[bytes] = []
    LogTelemetry(said.append).emit(event, **facts)
    return said[0].decode().rstrip("\n")


NEWEST = "| summarize arg_max(TimeGenerated, Message)"


def hears(query: list[str], *messages: str) -> bool:
    """Whether a query leaves a line of these, said in this order: the three steps that alerts are made of, no other."""
    table, *steps = query
    assert table == "AppTraces"
    kept = list(messages)
    for step in steps:
        kept = kept[-1:] if step == NEWEST else [each for each in kept if keeps(step, each)]
    return bool(kept)


def keeps(step: str, message: str) -> bool:
    """Whether a step that looks at each line by itself keeps it."""
    if match := re.fullmatch(r"\| where Message matches regex @'([^']+)'", step):
        return re.search(match[1], message) is not None
    figure = re.fullmatch(r"\| where toreal\(extract\(@'([^']+)', 1, Message\)\) (>=?) (\d+)", step)
    assert figure, step
    found = re.search(figure[1], message)
    return found is not None and (
        float(found[1]) > int(figure[3]) or (figure[2] == ">=" and float(found[1]) == int(figure[3]))
    )


def test_every_alert_of_a_line_is_tried() -> None:
    assert set(HEARD) == {alert["name"] for alert in LOGS} - {"silence", "log-cap"}


@pytest.mark.parametrize("name", HEARD)
def test_an_alert_fires_on_a_line_as_the_product_prints_it_and_on_no_other(name: str) -> None:
    (query,) = [alert["query"] for alert in LOGS if alert["name"] == name]
    fires, quiet = HEARD[name]
    assert hears(query, line(*fires))
    assert not hears(query, line(*quiet))
    # A word of somebody else's line is no event.
    assert not hears(query, f"ERROR undeclared event={fires[0]}")


@pytest.mark.parametrize("kind", ["delete", "stop", "unlocated"])
def test_a_recording_that_is_refused_is_heard_of_while_it_can_be_deleted_by_hand(kind: str) -> None:
    """`recording_given_up` comes a day later, when the service keeps it no longer, and after a refusal never."""
    (query,) = [alert["query"] for alert in LOGS if alert["name"] == "recording-given-up"]
    assert hears(query, line("recording_refused", {"kind": kind}))


def test_silence_is_heard_too() -> None:
    """The dead man's switch: an alert that fires where one of the two timers says nothing."""
    (silence,) = [alert for alert in LOGS if alert["name"] == "silence"]
    *lines, counted, missing = silence["query"]
    named = re.fullmatch(r"\| summarize Timers = dcount\(extract\(@'([^']+)', 1, Message\)\)", counted)
    assert named and missing == "| where Timers < 2"
    assert heard("\n".join(silence["query"])) == {"sweep", "outbox_sweep"}
    # A timer that runs and can do nothing is no silence.
    said = [line("sweep", {"due": 0, "done": False}), line("outbox_sweep", {"done": False})]
    assert all(hears(lines, each) for each in said)
    assert len({found[1] for each in said if (found := re.search(named[1], each))}) == 2
    # Said by every process that serves, whether or not the timer runs.
    assert not hears(lines, line("outbox", {"owed": 0, "oldest_s": 0}))
    assert silence["everyMinutes"] <= 5
    assert silence["severity"] == 0


def test_no_schedule_that_is_let_through_in_silence_brings_the_alert_about() -> None:
    (silence,) = [alert for alert in LOGS if alert["name"] == "silence"]
    assert set(RUN_EVERY) == {"EXPIRY_SCHEDULE", "OUTBOX_SCHEDULE"}
    assert max(RUN_EVERY.values()) < timedelta(minutes=silence["windowMinutes"])


def test_what_a_full_log_means_for_the_alerts_is_said_wherever_its_cap_is_told() -> None:
    """`silence` counts lines, and there are none."""
    operations = (ROOT / "OPERATIONS.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| \d \| (.+)$", operations, re.MULTILINE))
    (cap,) = [alert["description"] for alert in LOGS if alert["name"] == "log-cap"]
    parameter = data("azuredeploy.json")["parameters"]["logDailyCapGb"]["metadata"]["description"]
    (tooltip,) = re.findall(r'"name": "logDailyCapGb".+?"toolTip": "([^"]+)"', FORM, re.DOTALL)
    assert [text for text in (rows["log-cap"], cap, parameter, tooltip) if "silence" not in text] == []
    assert "`log-cap`" in rows["silence"]


def test_readiness_and_the_alert_want_a_drill_as_often() -> None:
    (overdue,) = [alert["query"][-1] for alert in LOGS if alert["name"] == "drill-overdue"]
    assert overdue.endswith(f">= {DRILL_EVERY.days}")


def test_a_drill_that_has_passed_is_not_overdue_any_more() -> None:
    """The window is a day: it holds lines of before the drill."""
    (query,) = [alert["query"] for alert in LOGS if alert["name"] == "drill-overdue"]
    before, after = line("drill_age", {"days": 31}), line("drill_age", {"days": 0})
    other = line("sweep", {"due": 0, "ms": 1.0})
    assert not hears(query, before, after, other)
    assert hears(query, after, before, other)
    assert not hears(query, other)


MAX_WINDOW_OF_A_STATE_MINUTES = 15


def test_only_an_alert_of_a_state_in_a_long_window_needs_the_newest_line() -> None:
    """In a window of minutes a state that has changed is over soon, and of events each one counts."""
    measured = [
        alert
        for alert in LOGS
        if "toreal" in alert["query"][-1] and alert["windowMinutes"] > MAX_WINDOW_OF_A_STATE_MINUTES
    ]
    assert measured and all(NEWEST in alert["query"] for alert in measured)


def test_an_empty_pool_is_told_as_what_it_means() -> None:
    """B2: numbers that rest are lent before one is shared, of which `number-shared` tells."""
    (empty,) = [alert for alert in LOGS if alert["name"] == "pool-empty"]
    operations = (ROOT / "OPERATIONS.md").read_text("utf-8")
    (row,) = re.findall(r"^\| `pool-empty` \| (\d) \| (.+?) \|", operations, re.MULTILINE)
    assert row[0] == str(empty["severity"]) == "1"
    assert all(re.search(r"\brest\b.*\bshare\b", text) for text in (empty["description"], row[1]))


def test_a_responders_call_that_is_not_delivered_is_heard_at_once() -> None:
    subscriptions = {f"emergency-{name}" for name in ("incoming-call",)}
    for metric in ("DeliveryAttemptFailCount", "DroppedEventCount"):
        (alert,) = [each for each in METRICS if each["metric"] == metric]
        assert (alert["severity"], alert["threshold"], alert["everyMinutes"]) == (0, 0, 1)
        # One event is more than none in a window of any length; of a sum alone is that so.
        assert (alert["aggregation"], alert["operator"]) == ("Total", "GreaterThan")
        assert set(alert["subscriptions"]) == subscriptions


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_a_metric_that_is_seldom_there_is_not_missed(name: str) -> None:
    """The first value of a series begins it, and what begins between two evaluations only a longer window covers."""
    rules = of_type(name, "Microsoft.Insights/metricAlerts")
    for rule in rules:
        every, window = (minutes(rule["properties"][word]) for word in ("evaluationFrequency", "windowSize"))
        assert window > every, rule["name"]
    assert len(rules) > 3


# What is wrong until somebody mends it, of lines that are not said again meanwhile: a setting's comes once a process.
SAID_ONCE = {"setting-faulty", "row-set-aside", "recording-given-up", "notice-given-up", "log-cap"}


def test_no_alert_of_a_line_that_is_said_once_is_resolved_by_itself() -> None:
    once = [alert for alert in LOGS if alert.get("saidOnce")]
    assert {alert["name"] for alert in once} == SAID_ONCE
    # Without a state each run tells of each line in its window: it is told once where windows do not overlap.
    assert [alert["name"] for alert in once if alert["everyMinutes"] != alert["windowMinutes"]] == []


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_no_rule_that_runs_less_often_than_every_12_hours_is_stateful(name: str) -> None:
    """Azure Monitor supports none ("Create a log search alert rule", Microsoft); without a state it tells each time."""
    rules = of_type(name, "Microsoft.Insights/scheduledQueryRules")
    stateful = {rule["name"].split("-", 2)[2]: rule["properties"]["autoMitigate"] for rule in rules}
    seldom = {
        rule["name"].split("-", 2)[2] for rule in rules if minutes(rule["properties"]["evaluationFrequency"]) > 12 * 60
    }
    assert seldom == {"drill-overdue"}
    assert stateful == {alert["name"]: alert["name"] not in seldom | SAID_ONCE for alert in LOGS}


def minutes(period: str) -> int:
    """A period as Azure writes it: PT5M, PT1H, P1D."""
    match = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", period)
    assert match, period
    days, hours, left = (int(each or 0) for each in match.groups())
    return days * 1440 + hours * 60 + left


def test_metrics_are_known() -> None:
    for alert in METRICS:
        assert alert["metric"] in KNOWN_METRICS[alert["namespace"]]
        assert RESOURCES[alert["resource"]] == alert["namespace"]


@pytest.mark.parametrize(("alert", "name"), [("dead-letter", "events"), ("dead-letter-custom", "events")])
def test_a_dead_letter_of_any_subscription_is_heard(alert: str, name: str) -> None:
    parent = "topics" if alert.endswith("custom") else "systemTopics"
    subscriptions = of_type(name, f"Microsoft.EventGrid/{parent}/eventSubscriptions")
    having = {
        each["name"].rpartition("/")[2]
        for each in subscriptions
        if each["properties"]["deadLetterWithResourceIdentity"] is not None
    }
    (dead,) = [each for each in METRICS if each["name"] == alert]
    assert dead["metric"] == "DeadLetteredCount"
    assert set(dead["subscriptions"]) == having
    assert having


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_every_alert_is_deployed_and_tells_somebody(name: str) -> None:
    rules = of_type(name, "Microsoft.Insights/scheduledQueryRules")
    assert {rule["name"].split("-", 2)[2] for rule in rules} == {alert["name"] for alert in LOGS}
    metrics = of_type(name, "Microsoft.Insights/metricAlerts")
    told = {rule["name"].split("-", 2)[2] for rule in metrics}
    # With Cosmos DB the account of that name holds no state, but dead letters alone.
    left_out = {"existing": {"health"}, "network": {"state-storage"}}.get(name, set())
    left_out |= {"dead-letter-custom"} if name != "everything" else set()
    assert told == ({alert["name"] for alert in METRICS} | {"health"}) - left_out
    (people,) = of_type(name, "Microsoft.Insights/actionGroups")
    by_name = {alert["name"]: alert for alert in (*LOGS, *METRICS)}
    for rule in rules:
        alert, properties = by_name[rule["name"].split("-", 2)[2]], rule["properties"]
        assert properties["actions"]["actionGroups"] == [people["id"]]
        assert properties["severity"] == alert["severity"]
        assert [each["query"] for each in properties["criteria"]["allOf"]] == ["\n".join(alert["query"])]
    for rule in metrics:
        assert rule["properties"]["actions"] == [{"actionGroupId": people["id"]}]
        alert = by_name.get(rule["name"].split("-", 2)[2], {"severity": 0, "namespace": "Microsoft.Insights/webtests"})
        assert rule["properties"]["severity"] == alert["severity"]
        assert alert["namespace"] in rule["properties"]["scopes"][0]
    (changes,) = of_type(name, "Microsoft.Insights/activityLogAlerts")
    (operations,) = [each["anyOf"] for each in changes["properties"]["condition"]["allOf"] if "anyOf" in each]
    assert {"Microsoft.Web/sites/write", "Microsoft.Web/sites/config/write"} <= {each["equals"] for each in operations}
    # Reading the settings, which the form does, changes nothing.
    assert not [each for each in operations if "list" in each["equals"]]


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
