"""What others rely on is there, under the names that they rely on (contract.md)."""

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from functions.rights import RIGHTS
from shared.settings import SETTINGS, Setting
from tests.rules.sources import ROOT, Module, modules

APP_SETTINGS = (
    "COMMUNICATION_SERVICES_CONNECTION_STRING",
    "COMMUNICATION_SERVICES_ENDPOINT",
    "COMMUNICATION_SERVICES_RESOURCE_ID",
    "TABLES_CONNECTION_STRING",
    "TABLES_ENDPOINT",
    "EVENT_SOURCES",
    "CALL_AUTOMATION_ISSUER",
    "CALL_AUTOMATION_KEYS_URL",
    "CALLBACK_NUMBERS",
    "FALLBACK_CALLBACK_NUMBER",
    "CALLBACK_WINDOW_MINUTES",
    "CALLBACK_AFTER_CALL_MINUTES",
    "CALLBACK_COOL_DOWN_MINUTES",
    "HOLD_AFTER_DROP_MINUTES",
    "MAX_CALL_MINUTES",
    "EMERGENCY_COUNTRIES",
    "EMERGENCY_CONTACTS",
    "SECURITY_DESK",
    "CALLBACK_NOTICES",
    "CLOSING_NOTICES",
    "TIME_ZONE",
    "EMAIL_SENDER",
    "EMAIL_BACKEND",
    "EMAIL_PER_MINUTE",
    "EMAIL_PER_HOUR",
    "GRAPH_URL",
    "PUBLIC_BASE_URL",
    "ALLOWED_ORIGINS",
    "PRESENCE_BACKEND",
    "DYNAMICS365_URL",
    "KEY_SECRETS",
    "POOL_LOW_WATER",
    "EXPIRY_SCHEDULE",
    "OUTBOX_SCHEDULE",
)

# Function, method and route.
ROUTES = {
    "call_started": ("POST", "emergency-calls"),
    "call_updated": ("PATCH", "emergency-calls/{call_id}"),
    "call_ended": ("POST", "emergency-calls/{call_id}/end"),
    "presence_released": ("POST", "agents/{agent_id}/release"),
    "panel_state": ("GET", "agents/{agent_id}/panel"),
    "desktop_read": ("GET", "agents/{agent_id}/desktop"),
    "desktop_reported": ("PUT", "agents/{agent_id}/desktop"),
    "me": ("GET", "me"),
    "presence_state": ("GET", "agents/{agent_id}/presence"),
    "presence_set": ("PUT", "agents/{agent_id}/presence"),
    "call_policy": ("GET", "call-policy"),
    "call_automation_events": ("POST", "call-automation-events"),
    "admin_agent_read": ("GET", "manage/agents/{agent_id}"),
    "admin_agent_saved": ("PUT", "manage/agents/{agent_id}"),
    "admin_agent_removed": ("DELETE", "manage/agents/{agent_id}"),
    "admin_agents_listed": ("GET", "manage/agents"),
    "admin_agents_imported": ("POST", "manage/agents/import"),
    "admin_agents_import_read": ("GET", "manage/agents/import/{operation_id}"),
    "admin_agents_exported": ("GET", "manage/agents/export"),
    "admin_emergency_contacts_saved": ("PUT", "manage/agents/{agent_id}/emergency-contacts"),
    "admin_sites_listed": ("GET", "manage/sites"),
    "admin_site_read": ("GET", "manage/sites/{site_id}"),
    "admin_site_saved": ("PUT", "manage/sites/{site_id}"),
    "admin_site_removed": ("DELETE", "manage/sites/{site_id}"),
    "admin_setup_exported": ("GET", "manage/setup/export"),
    "admin_setup_imported": ("POST", "manage/setup/import"),
    "admin_notification_template_read": ("GET", "manage/notification-template"),
    "admin_notification_template_saved": ("PUT", "manage/notification-template"),
    "admin_notification_template_removed": ("DELETE", "manage/notification-template"),
    "admin_notification_template_preview": ("POST", "manage/notification-template/preview"),
    "admin_readiness": ("GET", "manage/readiness"),
    "admin_agent_readiness": ("GET", "manage/agents/{agent_id}/readiness"),
    "admin_callback_numbers": ("GET", "manage/callback-numbers"),
    "admin_emergencies": ("GET", "manage/emergencies"),
    "admin_drill_started": ("POST", "manage/drills"),
    "admin_drill_read": ("GET", "manage/drills/{drill_id}"),
    "health": ("GET", "health"),
    "openapi": ("GET", "openapi.json"),
    "ui_panel": ("GET", "ui/panel"),
    "ui_console": ("GET", "ui/console"),
    "ui_preview": ("GET", "ui/preview"),
    "ui_file": ("GET", "ui/{file}"),
    "ui_pinned_file": ("GET", "ui/{digest}/{file}"),
    "ui_prompt": ("GET", "ui/prompts/{file}"),
    "preflight": ("OPTIONS", "{*path}"),
}
EVENT_FUNCTIONS = {
    *("call_started_event", "call_ended_event", "incoming_call_event"),
    *("recording_file_status_event", "email_delivery_report_event"),
}
# They come in crowds after a crowd of dials, and nobody waits for them.
IN_LINE = {"email_delivery_report_event"}
TIMER_FUNCTIONS = {"lease_expiry": "%EXPIRY_SCHEDULE%", "outbox_sweep": "%OUTBOX_SCHEDULE%"}
WARM_UP_FUNCTION = "warmup"
REQUIRED = {
    WARM_UP_FUNCTION,
    *("call_started", "call_updated", "call_ended", "presence_released", "panel_state", "presence_state"),
    *(
        "me",
        "presence_set",
        "health",
        "admin_agent_read",
        "admin_agent_saved",
        "admin_agent_removed",
        "admin_agents_listed",
        "admin_agents_imported",
        "admin_agents_import_read",
        "admin_agents_exported",
        "admin_sites_listed",
        "admin_site_read",
        "admin_site_saved",
        "admin_site_removed",
        "admin_emergency_contacts_saved",
        "call_started_event",
        "call_ended_event",
    ),
    *("incoming_call_event", "email_delivery_report_event", "lease_expiry", "outbox_sweep"),
    *("me", "call_automation_events", "call_policy", "recording_file_status_event", "ui_prompt"),
    *("ui_panel", "ui_console", "ui_preview", "ui_file", "ui_pinned_file"),
    *("admin_callback_numbers", "admin_emergencies", "admin_readiness", "admin_agent_readiness", "openapi"),
    *("admin_drill_started", "admin_drill_read"),
    *(f"admin_notification_template_{verb}" for verb in ("read", "saved", "removed", "preview")),
}


@dataclass(frozen=True)
class Registered:
    """A function that a blueprint registers, as its decorators have it."""

    name: str
    trigger: str
    arguments: dict[str, object]
    decorators: tuple[str, ...]
    node: ast.FunctionDef
    module: Module


def registered() -> Iterable[Registered]:
    for module in modules():
        if not module.path.startswith("functions/"):
            continue
        constants = {
            target.id: ast.literal_eval(node.value)
            for node in module.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                yield from _registered(node, module, constants)


def _registered(node: ast.FunctionDef, module: Module, constants: dict[str, object]) -> Iterable[Registered]:
    others = tuple(ast.unparse(each) for each in node.decorator_list if not isinstance(each, ast.Call))
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
            arguments = {each.arg: _value(each.value, constants) for each in decorator.keywords if each.arg}
            name = str(arguments.get("name") or node.name)
            yield Registered(name, decorator.func.attr, arguments, others, node, module)


def _value(node: ast.expr, constants: dict[str, object]) -> object:
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


FUNCTIONS = {each.name: each for each in registered()}
HTTP = {name: each for name, each in FUNCTIONS.items() if each.trigger == "route"}
EVENTS = {name: each for name, each in FUNCTIONS.items() if each.trigger == "event_grid_trigger"}
TIMERS = {name: each for name, each in FUNCTIONS.items() if each.trigger == "timer_trigger"}


def test_what_this_release_needs_is_there() -> None:
    assert set(FUNCTIONS) >= REQUIRED


def test_nothing_is_there_that_the_contract_does_not_know() -> None:
    assert set(HTTP) <= set(ROUTES)
    assert set(EVENTS) <= EVENT_FUNCTIONS
    assert set(TIMERS) <= set(TIMER_FUNCTIONS)
    # The host calls one function of this kind, and knows it by its name.
    assert {name for name, each in FUNCTIONS.items() if each.trigger == "warm_up_trigger"} == {WARM_UP_FUNCTION}
    assert len(HTTP) + len(EVENTS) + len(TIMERS) + 1 == len(FUNCTIONS)
    assert set(ROUTES) == set(RIGHTS)


@pytest.mark.parametrize("name", HTTP)
def test_routes_are_the_contracts(name: str) -> None:
    arguments = HTTP[name].arguments
    method, route = ROUTES[name]
    assert arguments["route"] == route
    # The host answers HEAD where the methods list it, and with 404 elsewhere.
    assert arguments["methods"] == ([method, "HEAD"] if method == "GET" else [method])
    # The table of rights decides, not a key (contract.md, HTTP).
    assert arguments["auth_level"] == "func.AuthLevel.ANONYMOUS"


@pytest.mark.parametrize("name", HTTP)
def test_every_http_function_asks_the_table_of_rights(name: str) -> None:
    calls = [node for node in ast.walk(HTTP[name].node) if isinstance(node, ast.Call)]
    asked = [
        ast.literal_eval(call.args[0])
        for call in calls
        if ast.unparse(call.func) in {"caller", "principal", "authorise"}
    ]
    assert asked == ([] if RIGHTS[name].anyone else [name])


def test_errors_never_reach_the_host_as_they_are() -> None:
    decorated = {
        "route": "answered",
        "event_grid_trigger": "acknowledged",
        "timer_trigger": "swept",
        "warm_up_trigger": "prepared",
    }
    for each in FUNCTIONS.values():
        in_line = ("in_line",) if each.name in IN_LINE else ()
        # Else one console that asks again and again holds every thread of the worker.
        seated = ("seated",) if each.name.startswith("admin_") else ()
        assert each.decorators == (*in_line, decorated[each.trigger], *seated), each.name


@pytest.mark.parametrize("name", TIMERS)
def test_schedules_are_settings(name: str) -> None:
    assert TIMERS[name].arguments["schedule"] == TIMER_FUNCTIONS[name]


def test_every_blueprint_is_registered() -> None:
    text = (ROOT / "function_app.py").read_text("utf-8")
    for each in FUNCTIONS.values():
        assert each.module.name.rpartition(".")[2] in text


# Settings ------------------------------------------------------------------------------------------------------------


def test_the_settings_are_those_of_the_contract() -> None:
    assert tuple(setting.name for setting in SETTINGS) == APP_SETTINGS


def test_the_readme_has_every_setting_as_the_code_has_it() -> None:
    in_readme = re.findall(r"^\| `[A-Z][A-Z0-9_]+` \|.*\|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert in_readme == [row_of(setting) for setting in SETTINGS]


def row_of(setting: Setting) -> str:
    """Its row in README's table: the name, its default or that it is required, the meaning."""
    default = f"`{setting.default}`" if setting.default else "required" if setting.required else ""
    return f"| `{setting.name}` | {default} | {setting.meaning} |"


@pytest.mark.parametrize("name", APP_SETTINGS)
def test_every_setting_has_its_place_in_the_local_example(name: str) -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))
    assert name in example["Values"]
