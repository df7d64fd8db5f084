"""Settings: everything faulty is said at once, nothing faulty is used, nothing stops an emergency, no value is told."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.deployment import Deployment, PresenceBackend
from shared.domain.leases import Rules
from shared.domain.schedules import largest_gap
from shared.settings import (
    MAX_CALLBACK_NUMBERS,
    MAX_SETTING_CHARS,
    SETTINGS,
    EmailBackend,
    ServiceAccess,
    Settings,
    read_settings,
)
from tests.rules.sources import ROOT

KEY = "c2VjcmV0"
GOOD = {
    "COMMUNICATION_SERVICES_CONNECTION_STRING": f"endpoint=https://acs.example.com/;accesskey={KEY}",
    "COMMUNICATION_SERVICES_RESOURCE_ID": "7F1C2A94-5d0e-4b61-9a3c-2e8d4f60b7a1",
    "TABLES_CONNECTION_STRING": f"AccountName=state;AccountKey={KEY};EndpointSuffix=x.example",
    "EVENT_SOURCES": "/subscriptions/A/resourceGroups/B;/subscriptions/a/resourcegroups/b/",
    "CALLBACK_NUMBERS": "+12065550101; +12065550102 ;+12065550101;",
    "FALLBACK_CALLBACK_NUMBER": "+12065550199",
    "EMAIL_SENDER": "emergency@example.com",
    "WEBSITE_HOSTNAME": "app.example.net",
    "WEBSITE_AUTH_ENABLED": "True",
    "EXPIRY_SCHEDULE": "0 * * * * *",
    "OUTBOX_SCHEDULE": "*/10  * * * * *",
}
AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"


def read(**changes: str) -> Settings:
    return read_settings({**GOOD, **changes})


def faulty(settings: Settings) -> set[str]:
    return {fault.setting for fault in settings.faults}


def test_a_complete_environment_has_no_fault() -> None:
    settings = read()
    assert settings.faults == ()
    assert settings.communication == ServiceAccess(f"endpoint=https://acs.example.com;accesskey={KEY}")
    assert settings.communication_resource_id == "7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1"
    assert settings.tables.connection_string == GOOD["TABLES_CONNECTION_STRING"]
    assert settings.event_sources == ("/subscriptions/a/resourcegroups/b",)
    assert not settings.callbacks_from_anywhere and settings.valid
    assert settings.callback_numbers == ("+12065550101", "+12065550102")
    assert settings.fallback_callback_number == "+12065550199"
    assert settings.security_desk == ("+12065550199",)
    assert settings.rules == Rules()
    assert settings.countries == {"US", "PR", "CA"}
    assert settings.public_base_url == "https://app.example.net"
    assert (settings.pool_low_water, settings.sign_in_enabled) == (20, True)


def test_an_empty_environment_reports_everything_at_once() -> None:
    settings = read_settings({})
    assert faulty(settings) == {
        "COMMUNICATION_SERVICES_ENDPOINT",
        "COMMUNICATION_SERVICES_RESOURCE_ID",
        "TABLES_ENDPOINT",
        "EVENT_SOURCES",
        "CALLBACK_NUMBERS",
        "FALLBACK_CALLBACK_NUMBER",
        "EMAIL_SENDER",
        "PUBLIC_BASE_URL",
        "EXPIRY_SCHEDULE",
        "OUTBOX_SCHEDULE",
    }
    warnings = {fault.setting for fault in settings.faults if not fault.serious}
    assert warnings == {"EVENT_SOURCES"}
    assert settings.fallback_callback_number is None
    assert settings.security_desk == ()
    assert settings.callback_numbers == ()


@pytest.mark.parametrize(
    ("setting", "value", "field", "used"),
    [
        ("CALLBACK_NUMBERS", "+12065550101;911;nonsense", "callback_numbers", ("+12065550101",)),
        ("CALLBACK_NUMBERS", "+12065550101;+12065550199", "callback_numbers", ("+12065550101",)),
        ("FALLBACK_CALLBACK_NUMBER", "12065550199", "fallback_callback_number", None),
        ("SECURITY_DESK", f"{AGENT};bob;+12065550101", "security_desk", (AGENT,)),
        ("SECURITY_DESK", "bob", "security_desk", ("+12065550199",)),
        ("SECURITY_DESK", f"8:foo:x;{AGENT};8:ACS:x", "security_desk", (AGENT,)),
        ("EMERGENCY_CONTACTS", "a@example.com;not an address", "emergency_contacts", ("a@example.com",)),
        ("EMERGENCY_COUNTRIES", "it;USA;ZZ", "countries", frozenset({"IT"})),
        ("EMERGENCY_COUNTRIES", "UK", "countries", frozenset({"US", "PR", "CA"})),
        ("EMERGENCY_COUNTRIES", "UM", "countries", frozenset({"US", "PR", "CA"})),
        ("EMERGENCY_COUNTRIES", "gb;aq", "countries", frozenset({"GB"})),
        ("EMAIL_SENDER", "nobody", "email_sender", None),
        ("EMAIL_BACKEND", "smtp", "email_backend", EmailBackend.ACS),
        # Not the public cloud's in its place: a sovereign cloud's notices would be sent there.
        ("DYNAMICS365_URL", "http://contoso.crm.dynamics.com", "dynamics365_url", None),
        ("DYNAMICS365_URL", "https://contoso.crm.dynamics.com/api/data", "dynamics365_url", None),
        ("GRAPH_URL", "http://graph.microsoft.com", "graph_url", None),
        ("GRAPH_URL", "https://graph.microsoft.com/v1.0", "graph_url", None),
        ("GRAPH_URL", "@Microsoft.KeyVault(SecretUri=https://x)", "graph_url", None),
        ("PUBLIC_BASE_URL", "http://example.com", "public_base_url", "https://app.example.net"),
        # With a bare `?` or `#` at its end: a path that is put behind it is no path.
        ("PUBLIC_BASE_URL", "https://front.example/?", "public_base_url", "https://app.example.net"),
        ("PUBLIC_BASE_URL", "https://front.example/#", "public_base_url", "https://app.example.net"),
        ("GRAPH_URL", "https://graph.microsoft.com?", "graph_url", None),
        ("DYNAMICS365_URL", "https://contoso.crm.dynamics.com#", "dynamics365_url", None),
        ("CALL_AUTOMATION_ISSUER", "https://issuer.example?", "call_automation_issuer", None),
        ("CALL_AUTOMATION_KEYS_URL", "https://issuer.example/keys#", "call_automation_keys_url", None),
        ("ALLOWED_ORIGINS", "https://a.example;https://b.example?", "allowed_origins", ("https://a.example",)),
        (
            "TABLES_CONNECTION_STRING",
            f"TableEndpoint=https://state.example.com/?;AccountName=state;AccountKey={KEY}",
            "tables",
            ServiceAccess(),
        ),
        ("ALLOWED_ORIGINS", "https://a.example;*;https://b.example/path", "allowed_origins", ("https://a.example",)),
        ("POOL_LOW_WATER", "101", "pool_low_water", 20),
        ("POOL_LOW_WATER", "-1", "pool_low_water", 20),
        ("CALLBACK_WINDOW_MINUTES", "9", "rules", Rules()),
        ("MAX_CALL_MINUTES", "1441", "rules", Rules()),
        ("CALLBACK_AFTER_CALL_MINUTES", "-1", "rules", Rules()),
        ("CALLBACK_COOL_DOWN_MINUTES", "1441", "rules", Rules()),
        ("HOLD_AFTER_DROP_MINUTES", "²0", "rules", Rules()),
        # Narrower, never wider: neither the public cloud's keys nor any source in their place.
        ("CALL_AUTOMATION_KEYS_URL", "ftp://x", "call_automation_keys_url", None),
        ("CALL_AUTOMATION_ISSUER", "the cloud", "call_automation_issuer", None),
        ("CALL_AUTOMATION_ISSUER", "@Microsoft.KeyVault(SecretUri=https://x)", "call_automation_issuer", None),
        ("ALLOWED_ORIGINS", "*", "allowed_origins", ()),
        ("EVENT_SOURCES", ";;", "event_sources", ()),
        ("EVENT_SOURCES", "/subscriptions/a;acs", "event_sources", ("/subscriptions/a",)),
        ("EVENT_SOURCES", "@Microsoft.KeyVault(SecretUri=https://x)", "event_sources", ()),
        ("EVENT_SOURCES", "/x" * MAX_SETTING_CHARS, "event_sources", ()),
        ("COMMUNICATION_SERVICES_CONNECTION_STRING", "endpoint=https://x.example", "communication", ServiceAccess()),
        ("TABLES_CONNECTION_STRING", "AccountName=a;AccountKey=***", "tables", ServiceAccess()),
        ("TABLES_CONNECTION_STRING", "@Microsoft.KeyVault(SecretUri=https://x)", "tables", ServiceAccess()),
        ("COMMUNICATION_SERVICES_RESOURCE_ID", "/subscriptions/x", "communication_resource_id", None),
        ("EVENT_SOURCES", "acs", "event_sources", ()),
        *(
            ("EVENT_SOURCES", f"/a{odd}b", "event_sources", ())
            for odd in (" ", "\u00a0", "\x07", "\x85", "\u200b", "\ud800")
        ),
        ("EVENT_SOURCES", f"/{'a' * 1024}", "event_sources", ()),
    ],
)
def test_what_is_faulty_is_reported_and_left_out(setting: str, value: str, field: str, used: Any) -> None:
    settings = read(**{setting: value})
    assert setting in faulty(settings)
    assert getattr(settings, field) == used
    for fault in settings.faults:
        assert fault.mend
        assert fault.problem
        assert value == ";;" or value not in fault.problem + fault.mend


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Guam", "UTC"])
def test_a_time_zone_is_an_iana_name(zone: str) -> None:
    settings = read(TIME_ZONE=zone)
    assert settings.time_zone == zone and "TIME_ZONE" not in faulty(settings)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "/etc/localtime", "America", "EST5EDT4,M3"])
def test_a_faulty_time_zone_is_told_and_times_are_in_utc(zone: str) -> None:
    settings = read(TIME_ZONE=zone)
    assert settings.time_zone == "UTC" and "TIME_ZONE" in faulty(settings)


@pytest.mark.parametrize("setting", ["CALLBACK_WINDOW_MINUTES", "MAX_CALL_MINUTES"])
def test_neither_the_window_nor_the_longest_call_may_be_nothing(setting: str) -> None:
    settings = read(**{setting: "0"})
    assert setting in faulty(settings) and settings.rules == Rules()


@pytest.mark.parametrize(
    ("setting", "value", "field", "used"),
    [
        ("CALLBACK_AFTER_CALL_MINUTES", "1440", "rules", Rules(after_call_minutes=1440)),
        ("CALLBACK_COOL_DOWN_MINUTES", "10", "rules", Rules(cool_down_minutes=10)),
        ("CALLBACK_AFTER_CALL_MINUTES", "0", "rules", Rules(after_call_minutes=0)),
        ("CALLBACK_COOL_DOWN_MINUTES", "0", "rules", Rules(cool_down_minutes=0)),
        ("HOLD_AFTER_DROP_MINUTES", "0", "rules", Rules(hold_after_drop_minutes=0)),
        ("HOLD_AFTER_DROP_MINUTES", "1440", "rules", Rules(hold_after_drop_minutes=1440)),
        ("POOL_LOW_WATER", "0", "pool_low_water", 0),
        ("PUBLIC_BASE_URL", "https://front.example/app/", "public_base_url", "https://front.example/app"),
        ("WEBSITE_HOSTNAME", "localhost:7071", "public_base_url", "http://localhost:7071"),
        ("WEBSITE_AUTH_ENABLED", "True", "sign_in_enabled", True),
        ("WEBSITE_AUTH_ENABLED", "1", "sign_in_enabled", True),
        ("ALLOWED_ORIGINS", "http://localhost:3000", "allowed_origins", ("http://localhost:3000",)),
        ("ALLOWED_ORIGINS", "https://a.example/;https://a.example", "allowed_origins", ("https://a.example",)),
        ("ALLOWED_ORIGINS", "HTTPS://A.example:443", "allowed_origins", ("https://a.example",)),
        ("ALLOWED_ORIGINS", "https://a.example:8443/", "allowed_origins", ("https://a.example:8443",)),
        ("EVENT_SOURCES", "/SUBSCRIPTIONS/K/", "event_sources", ("/subscriptions/k",)),
        ("EVENT_SOURCES", "/RG/Büro-東京_(Ä)/", "event_sources", ("/rg/büro-東京_(Ä)",)),
        (
            "TABLES_CONNECTION_STRING",
            "UseDevelopmentStorage=true",
            "tables",
            ServiceAccess("UseDevelopmentStorage=true"),
        ),
    ],
)
def test_what_is_right_is_used(setting: str, value: str, field: str, used: Any) -> None:
    settings = read(**{setting: value})
    assert settings.faults == ()
    assert getattr(settings, field) == used


@pytest.mark.parametrize(
    ("changes", "origins"),
    [
        ({}, ("https://app.example.net",)),
        ({"PUBLIC_BASE_URL": "https://Front.example:443/app"}, ("https://front.example", "https://app.example.net")),
        ({"PUBLIC_BASE_URL": "https://App.example.net/"}, ("https://app.example.net",)),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, ("http://localhost:7071",)),
        ({"WEBSITE_HOSTNAME": ""}, ()),
        ({"WEBSITE_HOSTNAME": "app.example.net?"}, ()),
        ({"WEBSITE_HOSTNAME": "", "PUBLIC_BASE_URL": "https://front.example"}, ("https://front.example",)),
    ],
)
def test_our_own_origins_follow_from_our_addresses(changes: dict[str, str], origins: tuple[str, ...]) -> None:
    """`PUBLIC_BASE_URL` may name a second app, for callbacks alone: the pages are asked of this one all the same."""
    assert read(**changes).own_origins == origins


@pytest.mark.parametrize("value", ["skype", "table;graph"])
def test_a_presence_service_that_is_not_built_is_a_fault(value: str) -> None:
    settings = read(PRESENCE_BACKEND=value)
    assert faulty(settings) == {"PRESENCE_BACKEND"} and not settings.valid
    assert settings.presence_backend is PresenceBackend.TABLE
    assert read(PRESENCE_BACKEND="Table").faults == ()


@pytest.mark.parametrize("value", ["g" * (MAX_SETTING_CHARS + 1), "@Microsoft.KeyVault(SecretUri=https://x)"])
def test_a_presence_service_that_cannot_be_read_is_reported_once(value: str) -> None:
    settings = read(PRESENCE_BACKEND=value)
    assert [fault.setting for fault in settings.faults] == ["PRESENCE_BACKEND"]
    assert settings.presence_backend is PresenceBackend.TABLE


def test_presence_in_graph_needs_the_apps_own_client_id() -> None:
    client_id = "00000000-0000-0000-0000-0000000000C1"
    settings = read(PRESENCE_BACKEND=" Graph ", AZURE_CLIENT_ID=client_id)
    assert settings.faults == ()
    assert (settings.presence_backend, settings.client_id) == (PresenceBackend.GRAPH, client_id.lower())
    for missing in ("", "app", "@Microsoft.KeyVault(SecretUri=https://x)"):
        settings = read(PRESENCE_BACKEND="graph", AZURE_CLIENT_ID=missing)
        assert "PRESENCE_BACKEND" in faulty(settings)
        assert settings.presence_backend is PresenceBackend.GRAPH, "not another service than the one that was chosen"
        assert read(AZURE_CLIENT_ID="app").faults == ()


# What the SDK takes, and refuses, of what it reads in the environment by itself (`tests/contract/test_sign_ins.py`).
SIGN_IN_TAKEN = [
    *({"AZURE_TOKEN_CREDENTIALS": each} for each in ("", " ", "dev", "Prod", " ManagedIdentityCredential ")),
    {"AZURE_TOKEN_CREDENTIALS": "InteractiveBrowserCredential"},
    *({"AZURE_TENANT_ID": each} for each in ("contoso.onmicrosoft.com", "7F1C2A94-5d0e-4b61-9a3c-2e8d4f60b7a1")),
    *({"AZURE_AUTHORITY_HOST": each} for each in ("", "login.example.com", "https://login.example.com/")),
]
SIGN_IN_REFUSED = [
    *({"AZURE_TOKEN_CREDENTIALS": each} for each in ("none", "managedidentity", "dev;prod", "BrokerCredential")),
    *({"AZURE_TENANT_ID": each} for each in (" ", "a/b", "contoso com", "{tenant}", "é.example")),
    *({"AZURE_AUTHORITY_HOST": each} for each in ("http://login.example.com", "https://[", "login.example.com:443")),
]


@pytest.mark.parametrize("where", [{"TABLES_ENDPOINT": "https://state.example"}, {"EMAIL_BACKEND": "graph"}])
def test_what_the_sdk_refuses_to_sign_in_with_is_a_fault_where_the_app_signs_in(where: dict[str, str]) -> None:
    by_identity = GOOD | where
    if "TABLES_ENDPOINT" in where:
        del by_identity["TABLES_CONNECTION_STRING"]
    for taken in SIGN_IN_TAKEN:
        assert read_settings(by_identity | taken).faults == ()
    for refused in SIGN_IN_REFUSED:
        settings = read_settings(by_identity | refused)
        assert faulty(settings) == set(refused) and not settings.valid
        assert read(**refused).faults == (), "with keys alone nobody signs in"


@pytest.mark.parametrize("setting", ["COMMUNICATION_SERVICES_ENDPOINT", "TABLES_ENDPOINT", "AZURE_AUTHORITY_HOST"])
@pytest.mark.parametrize("end", ["?", "#", "/?", "/#"])
def test_an_address_to_which_nothing_can_be_added_is_a_fault(setting: str, end: str) -> None:
    """The SDK takes them all, and asks what it puts behind a bare `?` or `#` of the first page of the host."""
    by_identity = {name: value for name, value in GOOD.items() if not name.endswith("CONNECTION_STRING")} | {
        "COMMUNICATION_SERVICES_ENDPOINT": "https://acs.example.com/",
        "TABLES_ENDPOINT": "https://state.example.com/",
        "AZURE_AUTHORITY_HOST": "https://login.example.com/",
    }
    assert read_settings(by_identity).faults == ()
    assert faulty(read_settings(by_identity | {setting: f"https://some.example.com{end}"})) == {setting}


def by_identity(**changes: str) -> Settings:
    """The app signs in with the platform's identity for both services."""
    without_keys = {name: value for name, value in GOOD.items() if not name.endswith("CONNECTION_STRING")}
    services = {"COMMUNICATION_SERVICES_ENDPOINT": "https://acs.example", "TABLES_ENDPOINT": "https://state.example"}
    return read_settings(without_keys | services | changes)


CLIENT_ID = "00000000-0000-0000-0000-0000000000C1"


@pytest.mark.parametrize("named", ["app", f"{{{CLIENT_ID}}}", CLIENT_ID[:-1], "/subscriptions/x/identities/app"])
def test_an_identity_that_is_named_by_no_guid_is_a_fault(named: str) -> None:
    settings = by_identity(AZURE_CLIENT_ID=named)
    assert faulty(settings) == {"AZURE_CLIENT_ID"} and not settings.valid
    assert by_identity(AZURE_CLIENT_ID=f" {CLIENT_ID} ").faults == ()
    assert read(AZURE_CLIENT_ID=named).faults == (), "with keys alone nobody signs in"


def test_an_identity_that_the_user_assigned_has_to_be_named_and_one_of_the_system_has_no_name() -> None:
    of_the_host = {"AzureWebJobsStorage__clientId": CLIENT_ID}
    for missing in ({}, {"AZURE_CLIENT_ID": " "}):
        assert by_identity(**missing).faults == ()
        settings = by_identity(**of_the_host, **missing)
        assert faulty(settings) == {"AZURE_CLIENT_ID"} and not settings.valid
        assert read(**of_the_host, **missing).faults == (), "with keys alone nobody signs in"
    assert by_identity(**of_the_host, AZURE_CLIENT_ID=CLIENT_ID).faults == ()


@pytest.mark.parametrize("off", ["", "no", "false", "0"])
def test_an_app_that_nobody_can_sign_in_to_is_a_fault_where_others_reach_it(off: str) -> None:
    settings = read(WEBSITE_AUTH_ENABLED=off)
    # Not under the platform's own name: whoever set that by hand would let anybody forge who they are.
    assert faulty(settings) == {"AUTH_CLIENT_ID"} and not settings.valid
    assert not settings.sign_in_enabled
    for host in ("", "localhost:7071", "127.0.0.1:7071"):
        here = read(WEBSITE_AUTH_ENABLED=off, WEBSITE_HOSTNAME=host, PUBLIC_BASE_URL="https://front.example")
        assert (here.faults, here.sign_in_enabled) == ((), False)


def test_presence_in_dynamics_needs_the_organisation() -> None:
    settings = read(PRESENCE_BACKEND="Dynamics365", DYNAMICS365_URL="https://Contoso.CRM.dynamics.com/")
    assert settings.faults == ()
    assert settings.presence_backend is PresenceBackend.DYNAMICS365
    assert settings.dynamics365_url == "https://contoso.crm.dynamics.com"
    settings = read(PRESENCE_BACKEND="dynamics365")
    assert faulty(settings) == {"PRESENCE_BACKEND"} and not settings.valid
    assert settings.presence_backend is PresenceBackend.DYNAMICS365, "not another service than the one that was chosen"
    assert read().faults == ()


def test_what_sends_notifications() -> None:
    assert read().email_backend is EmailBackend.ACS
    settings = read(EMAIL_BACKEND=" Graph ", GRAPH_URL="https://Graph.Microsoft.US:443/")
    assert settings.faults == ()
    assert (settings.email_backend, settings.graph_url) == (EmailBackend.GRAPH, "https://graph.microsoft.us")
    assert read(GRAPH_URL="  ").graph_url == "https://graph.microsoft.com"


UNREADABLE_SCHEDULES = [
    *("a b c d e f", "- - - - - -", "99 * * * * *", "60 * * * * *", "0 60 * * * *", "0 0 24 * * *", "0 0 0 0 * *"),
    *("0 0 0 32 * *", "0 0 0 * 0 *", "0 0 0 * 13 *", "0 0 0 * * 7", "*/0 * * * * *", "*/ * * * * *", "/5 * * * * *"),
    *("0 1- * * * *", "0 -1 * * * *", "0 1-60 * * * *", "0 1-2-3 * * * *", "0 1,, * * * *", "0 , * * * *"),
    *("JAN * * * * *", "0 0 0 MON * *", "0 0 0 * MON *", "0 0 0 * * JAN", "0 0 0 * Foo *", "0 *-5 * * * *"),
    *("0 */5/2 * * * *", "0 0 0 * J *", "0 0 0 ? * *", "0 0 0 L * *", "\u0660 * * * * *", "* * * * *"),
    *("0 * * * * * *", "00:01:00"),
]
READABLE_SCHEDULES = [
    *("a b c d e f", "- - - - - -", "99 * * * * *", "60 * * * * *", "0 60 * * * *", "0 0 24 * * *", "0 0 0 0 * *"),
    *("0 0 0 32 * *", "0 0 0 * 0 *", "0 0 0 * 13 *", "0 0 0 * * 7", "*/0 * * * * *", "*/ * * * * *", "/5 * * * * *"),
    *("0 1- * * * *", "0 -1 * * * *", "0 1-60 * * * *", "0 1-2-3 * * * *", "0 1,, * * * *", "0 , * * * *"),
    *("JAN * * * * *", "0 0 0 MON * *", "0 0 0 * MON *", "0 0 0 * * JAN", "0 0 0 * Foo *", "0 *-5 * * * *"),
    *(
        "0 */5/2 * * * *",
        "0 0 0 * J *",
        "0 0 0 ? * *",
        "0 0 0 L * *",
        "\u0660 * * * * *",
        "* * * * *",
        "0 * * * * * *",
        "00:01:00",
    ),
]
READABLE_SCHEDULES = [
    *("0 * * * * *", "*/10 * * * * *", "0 */5 9-17 * JAN Mon,Fri", "59 59 23 31 12 6", "00 05 00 01 01 0"),
    *("0,15,30-40/5 * * * * *", "5/20 * * * * *", "0 0 0 * jan-DEC Sunday", "0 0 0 1-15,20 1-6/2 mon-fri"),
]


@pytest.mark.parametrize("setting", ["EXPIRY_SCHEDULE", "OUTBOX_SCHEDULE"])
@pytest.mark.parametrize("value", UNREADABLE_SCHEDULES, ids=ascii)
def test_a_schedule_that_no_host_can_read_is_reported(setting: str, value: str) -> None:
    settings = read(**{setting: value})
    assert faulty(settings) == {setting} and not settings.valid


@pytest.mark.parametrize("value", READABLE_SCHEDULES)
def test_a_schedule_that_the_host_reads_is_no_fault(value: str) -> None:
    settings = read(EXPIRY_SCHEDULE=value)
    assert settings.valid and faulty(settings) <= {"EXPIRY_SCHEDULE"}


@pytest.mark.parametrize(
    ("setting", "value", "doubtful"),
    [
        ("EXPIRY_SCHEDULE", "0 */4 * * * *", False),
        ("EXPIRY_SCHEDULE", "0 */30 * * * *", True),
        ("EXPIRY_SCHEDULE", "0 */5 * * * *", True),
        ("EXPIRY_SCHEDULE", "0 * * * * MON-FRI", True),
        ("EXPIRY_SCHEDULE", "0 * 0-22 * * *", True),
        ("OUTBOX_SCHEDULE", "0 * * * * *", False),
        ("OUTBOX_SCHEDULE", "0,59 * * * * *", False),
        ("OUTBOX_SCHEDULE", "0 */2 * * * *", True),
        ("OUTBOX_SCHEDULE", "0 0 0 1 1 *", True),
        ("OUTBOX_SCHEDULE", "30 0-58 * * * *", True),
    ],
)
def test_a_timer_that_runs_too_seldom_is_doubtful(setting: str, value: str, doubtful: bool) -> None:
    settings = read(**{setting: value})
    assert [(fault.setting, fault.serious) for fault in settings.faults] == [(setting, False)] * doubtful
    assert settings.valid


@pytest.mark.parametrize(
    ("schedule", "read_so"),
    [
        *((each, each) for each in ("0 * * * * *", "*/7 * 11 * * *", "0,59 */7 3-20 * * *", "10-40/5 59 */5 * * *")),
        *((each, each) for each in ("3,*/15 0 0 * * *", "30 0-58 23 * * *", "7,50 5/20 0,12 * * *", "0 0 1 * * *")),
        # The host swaps the ends of a range, and takes a step of 1 behind one number for none.
        ("0 50-10 * * * *", "0 10-50 * * * *"),
        ("0 9/1 * * * *", "0 9 * * * *"),
    ],
)
def test_the_longest_gap_of_a_schedule_is_that_between_its_runs(schedule: str, read_so: str) -> None:
    """As another reader of schedules has them, run by run."""
    runs = CronSim(read_so, datetime(2026, 11, 25, tzinfo=UTC))
    before = first = next(runs)
    longest = timedelta()
    while before < first + timedelta(days=1):
        now = next(runs)
        longest, before = max(longest, now - before), now
    assert largest_gap(schedule) == longest


def test_a_warning_alone_is_no_fault() -> None:
    settings = read(EVENT_SOURCES=" ")
    assert [fault.serious for fault in settings.faults] == [False]
    assert settings.valid and settings.event_sources is None and not settings.callbacks_from_anywhere


@pytest.mark.parametrize(
    "value", ["acs", "/subscriptions/a;acs", ";".join(f"/subscriptions/{n}" for n in range(101)), ";"]
)
def test_a_callback_is_not_lost_to_a_source_that_was_left_out(value: str) -> None:
    settings = read(EVENT_SOURCES=value)
    assert settings.callbacks_from_anywhere and not settings.valid
    assert settings.event_sources is not None


def test_every_setting_that_is_read_is_used() -> None:
    """By the composition root or by a function, or as one of the names that other settings follow from."""
    texts = [(ROOT / path).read_text("utf-8") for path in ("shared/bootstrap.py", "functions/telephony_events.py")]
    texts += [path.read_text("utf-8") for path in (ROOT / "functions").glob("*.py")]
    unused = {name for name in Settings.__struct_fields__ if not any(f"settings.{name}" in text for text in texts)}
    assert unused == set()
    passed_on = (ROOT / "shared" / "bootstrap.py").read_text("utf-8")
    core = "".join(path.read_text("utf-8") for path in (ROOT / "shared").glob("*/*.py"))
    own = (ROOT / "shared" / "domain" / "deployment.py").read_text("utf-8")
    for name in Deployment.__struct_fields__:
        used = f"deployment.{name}" in core or f"self.{name}" in own
        assert f"{name}=" in passed_on and used, name


def test_an_endpoint_needs_no_key() -> None:
    environment = {**GOOD, "TABLES_CONNECTION_STRING": "", "TABLES_ENDPOINT": "https://state.table.example/"}
    settings = read_settings(environment)
    assert settings.faults == ()
    assert settings.tables == ServiceAccess(None, "https://state.table.example")


@pytest.mark.parametrize("service", ["TABLES", "COMMUNICATION_SERVICES"])
def test_a_service_of_blanks_is_missing(service: str) -> None:
    with_key, with_identity = f"{service}_CONNECTION_STRING", f"{service}_ENDPOINT"
    for blank in ({with_key: " "}, {with_key: "", with_identity: " "}, {with_key: "\t", with_identity: "\n"}):
        settings = read(**blank)
        [fault] = settings.faults
        assert (fault.setting, fault.problem) == (with_identity, "is missing, and so is the connection string")
        assert not settings.valid


def test_lists_are_bounded() -> None:
    numbers = ";".join(f"+1206{number:07}" for number in range(MAX_CALLBACK_NUMBERS + 5))
    settings = read(CALLBACK_NUMBERS=numbers)
    assert len(settings.callback_numbers) == MAX_CALLBACK_NUMBERS
    assert faulty(settings) == {"CALLBACK_NUMBERS"}


def test_a_service_does_not_show_its_key() -> None:
    assert KEY not in repr(read())


def test_every_setting_of_the_list_can_be_faulty() -> None:
    readable = [setting for setting in SETTINGS if setting.name not in faulty(read(**{setting.name: "\x00;\x00"}))]
    assert readable == []


NASTY = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    ["https://[", "https://a:b", "https://a:99999", "²", "9" * 5000, "endpoint=https://[;accesskey=é", ";;;", "+1"]
)


@given(
    st.dictionaries(
        st.sampled_from([setting.name for setting in SETTINGS]) | NASTY, NASTY | st.lists(NASTY).map(";".join)
    )
)
def test_no_environment_whatever_raises_or_is_quoted(environment: dict[str, str]) -> None:
    settings = read_settings(environment)
    assert all(fault.mend and fault.problem for fault in settings.faults)
    assert settings.security_desk or settings.fallback_callback_number is None


def test_reading_settings_imports_nothing_slow() -> None:
    slow = ("phonenumbers", "azure", "jinja2", "requests")
    code = f"import sys, shared.settings; print([name for name in {slow} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
