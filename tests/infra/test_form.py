"""The portal form: what the portal demands of it, what the template demands of it, and what the app accepts.

The rules of the first part are arm-ttk's for createUiDefinition.json, which itself runs in the workflow.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.settings import SETTINGS, Severity, read_settings
from tests.infra.compiler import INFRA
from tests.infra.deployed import data, template
from tests.infra.test_settings import CONTRACT, DERIVED, LATER, WITH_A_KEY, parameter_of, setting_of

FORM: dict[str, Any] = data("createUiDefinition.json")
OUTPUTS: dict[str, str] = FORM["parameters"]["outputs"]
NO_TOOLTIP = ("InfoBox", "Section", "TextBlock", "ArmApiControl")
# Not asked for: what a template computes, what only a shell can say, and secrets, which a history would show.
NOT_ASKED = {"tags", "keySecrets", "pythonVersion", "existingStateEndpoint", "deployEvents"}
READ_TODAY = {setting.name for setting in SETTINGS} - LATER
# Least and most of the contract; the form allows exactly these.
RANGES = {
    "CALLBACK_WINDOW_MINUTES": (10, 1440),
    "CALLBACK_AFTER_CALL_MINUTES": (0, 1440),
    "CALLBACK_COOL_DOWN_MINUTES": (0, 1440),
    "HOLD_AFTER_DROP_MINUTES": (0, 1440),
    "MAX_CALL_MINUTES": (10, 1440),
    "POOL_LOW_WATER": (0, 100),
}
REFUSED = {
    "CALLBACK_NUMBERS": ("4255550101", "+0", "+14255550101,+14255550102", "+1 425 555 0101", "+1425555010100000"),
    "FALLBACK_CALLBACK_NUMBER": ("911", "tel:+14255550100", "+14255550100;+14255550101"),
    "SECURITY_DESK": ("desk", "8:acs:", "sip:desk@example.com"),
    "EMERGENCY_CONTACTS": (
        "guard",
        "guard@example",
        "a@b@example.com",
        "a..b@example.com",
    ),
    "EMERGENCY_COUNTRIES": ("USA", "1", "XX", "US,CA"),
    "EMAIL_SENDER": ("example.com", "a b@example.com"),
    "ALLOWED_ORIGINS": (
        "desk.example.com",
        "http://desk.example.com",
        "https://desk.example.com/path",
        "https://a@b.example.com",
    ),
    "PUBLIC_BASE_URL": ("http://emergency.example.com", "https://", "https://exa mple.com"),
    "CALL_AUTOMATION_KEYS_URL": ("http://issuer.example.com/keys", "https://issuer.example.com/keys?x=1"),
    "EXPIRY_SCHEDULE": ("* * * * *", "0 * * * * * *", "every minute"),
    "OUTBOX_SCHEDULE": ("", "10", "*/10 * * * *"),
}
ACCEPTED = {
    "CALLBACK_NUMBERS": ("+14255550101", "+14255550101;+14255550102", " +14255550101 ; +14255550102; "),
    "FALLBACK_CALLBACK_NUMBER": ("+14255550100",),
    "SECURITY_DESK": ("+14255550199", "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_00000020-dana;+14255550199"),
    "EMERGENCY_CONTACTS": ("guard@example.com", "guard@example.com; first.last+tag@mail.example.com"),
    "EMERGENCY_COUNTRIES": ("US;PR;CA", "GB", "DK; AU"),
    "EMAIL_SENDER": ("DoNotReply@mail.example.com",),
    "ALLOWED_ORIGINS": ("https://desk.example.com", "https://desk.example.com:8443;https://crm.example.com"),
    "PUBLIC_BASE_URL": ("https://emergency.example.com",),
    "CALL_AUTOMATION_KEYS_URL": ("https://issuer.example.com/keys",),
    "EXPIRY_SCHEDULE": ("0 * * * * *", "0 */2 * * * MON-FRI"),
    "OUTBOX_SCHEDULE": ("*/10 * * * * *",),
}


def elements(node: Any = FORM["parameters"]) -> Iterator[dict[str, Any]]:
    for group in (node["basics"], *(step["elements"] for step in node["steps"])):
        yield from group


def named(name: str) -> dict[str, Any]:
    (found,) = [each for each in elements() if each["name"] == name]
    return found


def regexes(element: dict[str, Any]) -> list[str]:
    return [each["regex"] for each in element["constraints"].get("validations", ())]


def accepts(element: dict[str, Any], text: str) -> bool:
    """As the portal has it: nothing is asked of an empty field that is not required."""
    if not text:
        return not element["constraints"]["required"]
    return all(re.search(regex, text) for regex in regexes(element))


BOXES = [each for each in elements() if each["type"] == "Microsoft.Common.TextBox"]
SETTING_BOXES = {setting_of(each["name"]): each for each in BOXES if setting_of(each["name"]) in CONTRACT}


# What the portal and arm-ttk demand ----------------------------------------------------------------------------------


def test_it_is_a_form_of_the_kind_that_the_portal_reads() -> None:
    assert (
        FORM["$schema"] == "https://schema.management.azure.com/schemas/0.1.2-preview/CreateUIDefinition.MultiVm.json#"
    )
    assert (FORM["handler"], FORM["version"]) == ("Microsoft.Azure.CreateUIDef", "0.1.2-preview")
    assert OUTPUTS["location"] == "[location()]"


def test_names_are_unique_and_lead_somewhere() -> None:
    names = [each["name"] for each in elements()]
    assert len(names) == len(set(names))
    text = json.dumps(FORM)
    by_step = {step["name"]: {each["name"] for each in step["elements"]} for step in FORM["parameters"]["steps"]}
    for step, name in re.findall(r"steps\('(\w+)'\)\.(\w+)", text):
        assert name in by_step[step], name
    basics = {each["name"] for each in FORM["parameters"]["basics"]}
    assert set(re.findall(r"basics\('(\w+)'\)", text)) <= basics


def test_nobody_is_asked_without_being_told_why() -> None:
    for each in elements():
        if not each["type"].endswith(NO_TOOLTIP):
            assert each["toolTip"].strip(), each["name"]
            assert each["label"].strip()


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box["name"])
def test_a_text_is_checked_in_words(box: dict[str, Any]) -> None:
    (validation,) = box["constraints"]["validations"]
    assert validation["message"].strip()
    regex = validation["regex"]
    re.compile(regex)
    assert regex.startswith("^")
    assert regex.endswith("$")
    # What JavaScript and .NET understand alike.
    assert not re.search(r"\(\?<|\(\?P|\\[AZzpP]|\(\?i", regex)


def test_nothing_is_left_blank() -> None:
    def blank(node: Any, name: str = "") -> Iterator[str]:
        if node in ("", [], {}) and name not in ("defaultValue", "basics", "steps"):
            yield name
        if isinstance(node, dict):
            for key, value in node.items():
                yield from blank(value, key)
        elif isinstance(node, list):
            for value in node:
                yield from blank(value, name)

    assert list(blank(FORM)) == []


# What the template demands --------------------------------------------------------------------------------------------


def test_every_output_is_a_parameter_and_every_parameter_is_asked_for() -> None:
    assert set(OUTPUTS) == set(template("azuredeploy.json")["parameters"]) - NOT_ASKED


def test_every_setting_that_an_administrator_decides_is_an_output() -> None:
    decided = set(CONTRACT) - WITH_A_KEY - DERIVED - {"KEY_SECRETS"}
    assert {parameter_of(name) for name in decided} <= set(OUTPUTS)


def test_every_control_is_used() -> None:
    used = json.dumps(OUTPUTS) + json.dumps([each.get("visible", "") for each in elements()])
    for each in elements():
        if not each["type"].endswith("InfoBox"):
            assert f".{each['name']}" in used or f"basics('{each['name']}')" in used, each["name"]


@pytest.mark.parametrize(
    "each", [each for each in elements() if each["type"].endswith("DropDown")], ids=lambda each: each["name"]
)
def test_what_can_be_chosen_is_allowed(each: dict[str, Any]) -> None:
    offered = {choice["value"] for choice in each["constraints"]["allowedValues"]}
    allowed = template("azuredeploy.json")["parameters"][each["name"]].get("allowedValues")
    assert allowed is None or offered <= set(allowed)
    labels = {choice["label"] for choice in each["constraints"]["allowedValues"]}
    default = each["defaultValue"]
    assert default.startswith("[coalesce(") or default in labels


def test_numbers_stay_within_the_templates_bounds() -> None:
    for each in elements():
        if each["type"].endswith("Slider"):
            parameter = template("azuredeploy.json")["parameters"][each["name"]]
            assert each["min"] >= parameter.get("minValue", each["min"])
            assert each["max"] <= parameter.get("maxValue", each["max"])
            assert each["defaultValue"] == parameter["defaultValue"]


def test_every_default_of_the_form_is_the_contracts_or_what_is_there() -> None:
    for name in set(CONTRACT) - WITH_A_KEY - DERIVED - {"KEY_SECRETS"}:
        # With a domain that Azure manages the template's own default is another one: the field stays empty.
        wanted = "" if name.startswith("EMAIL_PER_") else CONTRACT[name]
        default = named(parameter_of(name))["defaultValue"]
        assert default == f"[coalesce(steps('app').settings.properties.{name}, '{wanted}')]"


def test_a_second_run_reads_what_is_there() -> None:
    request = named("settings")["request"]
    assert request["method"] == "POST"
    assert "/config/appsettings/list?api-version=" in request["path"]
    assert OUTPUTS["currentSettings"] == "[coalesce(steps('app').settings.properties, parse('{}'))]"
    assert "existingApp.name" in OUTPUTS["resourceToken"]
    warning = named("unread")
    assert "lost" in warning["options"]["text"]
    assert "existingApp.id" in warning["visible"]


def test_prices_and_quotas_are_told_where_they_are_chosen() -> None:
    assert "USD" in named("zones")["options"]["text"]
    assert "zoneRedundant" in named("zones")["visible"]
    assert re.search(r"5 messages a minute.*10 an hour", named("quota")["options"]["text"])
    assert "2028" in named("ending")["options"]["text"]
    assert "restarts the app" in named("restarts")["options"]["text"]


def test_an_existing_resource_is_the_default() -> None:
    assert named("which")["defaultValue"] == "Existing"


def test_no_secret_is_asked_for() -> None:
    assert not [each for each in elements() if each["type"].endswith(("PasswordBox", "CredentialsCombo"))]
    assert "keySecrets" not in (INFRA / "createUiDefinition.json").read_text("utf-8")


# What the app accepts -------------------------------------------------------------------------------------------------


def faults(setting: str, text: str) -> list[str]:
    """What the app finds wrong with one setting alone."""
    read = read_settings({"WEBSITE_HOSTNAME": "emergency.example.com", setting: text})
    return [fault.problem for fault in read.faults if fault.setting == setting and fault.severity is Severity.ERROR]


def test_every_box_of_a_setting_is_tried() -> None:
    tried = set(ACCEPTED) | set(RANGES)
    untried = {
        "TIME_ZONE",
        "EMAIL_PER_MINUTE",
        "EMAIL_PER_HOUR",
        "DYNAMICS365_URL",
        "GRAPH_URL",
        "CALL_AUTOMATION_ISSUER",
    }
    assert set(SETTING_BOXES) == tried | untried
    assert set(REFUSED) == set(ACCEPTED)


@pytest.mark.parametrize(("setting", "text"), [(name, text) for name, texts in ACCEPTED.items() for text in texts])
def test_what_is_right_for_the_app_is_right_for_the_form(setting: str, text: str) -> None:
    assert accepts(SETTING_BOXES[setting], text)
    assert not faults(setting, text)


@pytest.mark.parametrize(
    ("setting", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts if text]
)
def test_what_is_wrong_for_the_app_is_wrong_for_the_form(setting: str, text: str) -> None:
    assert not accepts(SETTING_BOXES[setting], text)
    assert faults(setting, text)


# Judged by libraries (address syntax, the IANA table), which no regular expression of a form can follow to the letter.
LOOSER = {"EMAIL_SENDER", "EMERGENCY_CONTACTS", "TIME_ZONE"}


@pytest.mark.parametrize("setting", sorted((set(SETTING_BOXES) & READ_TODAY) - LOOSER))
@settings(max_examples=25, deadline=None, database=None)
@given(samples=st.data())
def test_the_app_takes_whatever_the_form_lets_through(setting: str, samples: st.DataObject) -> None:
    (regex,) = regexes(SETTING_BOXES[setting])
    text = samples.draw(st.from_regex(regex.removesuffix("$"), fullmatch=True, alphabet=st.characters(codec="ascii")))
    if setting in RANGES and text and int(text) < 10:
        # The contract's least; held against the form below.
        return
    required = {each.name for each in SETTINGS if each.required} | {"CALLBACK_NUMBERS"}
    if text.replace(";", " ").strip() or setting not in required:
        assert faults(setting, text) == []


@pytest.mark.parametrize("setting", RANGES)
def test_whole_numbers_have_the_contracts_bounds(setting: str) -> None:
    least, most = RANGES[setting]
    box = SETTING_BOXES[setting]
    allowed = [number for number in range(3000) if accepts(box, str(number))]
    assert allowed == list(range(least, most + 1))
    assert not [text for text in ("-1", "1.5", "1e2", "ten", " 10") if accepts(box, text)]
