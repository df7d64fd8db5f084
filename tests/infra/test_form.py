"""The portal form: what the portal demands of it, what the template demands of it, and what the app accepts.

The rules of the first part are arm-ttk's for createUiDefinition.json, which itself runs in the workflow.
"""

import ipaddress
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.settings import SETTINGS, read_settings
from tests.infra.compiler import INFRA
from tests.infra.deployed import template
from tests.infra.portal import FORM, Portal, elements
from tests.infra.test_settings import CONTRACT, DERIVED, WITH_A_KEY, parameter_of, setting_of
from tests.rules.sources import ROOT

OUTPUTS: dict[str, str] = FORM["parameters"]["outputs"]
NO_TOOLTIP = ("InfoBox", "Section", "TextBlock", "ArmApiControl")
# Not asked for: what a template computes, what only a shell can say, and secrets, which a history would show.
NOT_ASKED = {"tags", "keySecrets", "pythonVersion", "deployEvents"}
# Where a Communication Services resource may lie ("Region availability and data residency", Microsoft).
DATA_LOCATIONS = {
    *("Africa", "Asia Pacific", "Australia", "Brazil", "Canada", "Europe", "France", "Germany", "India", "Japan"),
    *("Korea", "Norway", "Switzerland", "UAE", "UK", "United States"),
}
READ_TODAY = {setting.name for setting in SETTINGS}
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
    "CALLBACK_NUMBERS": ("4255550101", "+0", "+14255550101,+14255550102", "+1 425 555 0101", "+1425555010100000", " ;"),
    "FALLBACK_CALLBACK_NUMBER": ("911", "tel:+14255550100", "+14255550100;+14255550101"),
    "SECURITY_DESK": ("desk", "8:acs:", "sip:desk@example.com", "8:foo:x", "8:ACS:x"),
    "EMERGENCY_CONTACTS": (
        "guard",
        "guard@example",
        "a@b@example.com",
        "a..b@example.com",
        "guard@localhost.test",
        f"{'a' * 65}@example.com",
        "Front Desk <>",
        "guard@example.c om, Front Desk <desk@example.com>",
    ),
    "EMERGENCY_COUNTRIES": ("USA", "1", "XX", "US,CA", "UM", "US;aq"),
    "EMAIL_SENDER": ("example.com", "a b@example.com", "Emergency <a@example.com>", "a@example.test"),
    "ALLOWED_ORIGINS": (
        "desk.example.com",
        "http://desk.example.com",
        "https://desk.example.com/path",
        "https://a@b.example.com",
        "https://desk.example.com:65536",
    ),
    "PUBLIC_BASE_URL": ("http://emergency.example.com", "https://", "https://exa mple.com", "https://example.com/?"),
    "CALL_AUTOMATION_ISSUER": ("issuer", "http://issuer.example.com"),
    "CALL_AUTOMATION_KEYS_URL": ("http://issuer.example.com/keys", "https://issuer.example.com/keys?x=1"),
    "GRAPH_URL": ("graph", "https://graph.example.com/v1.0", "https://graph.example.com?"),
    "DYNAMICS365_URL": ("contoso", "http://contoso.crm.dynamics.com", "https://contoso.crm.dynamics.com/main"),
    "EMAIL_PER_MINUTE": ("none", "-1", "1.5"),
    "EMAIL_PER_HOUR": ("none", "-1", "1.5"),
    "TIME_ZONE": ("Mars/Olympus", "america/los_angeles", "UTC+1", "Etc"),
    "EXPIRY_SCHEDULE": ("* * * * *", "0 * * * * * *", "every minute", "99 * * * * *", "a b c d e f"),
    "OUTBOX_SCHEDULE": ("10", "*/10 * * * *", "*/0 * * * * *", "- - - - - -", "0 0 0 * * JAN"),
}
ACCEPTED = {
    "CALLBACK_NUMBERS": (
        "+14255550101",
        "+14255550101;+14255550102",
        " +14255550101 ; +14255550102; ",
        "+14255550101;\n+14255550102",
    ),
    "FALLBACK_CALLBACK_NUMBER": ("+14255550100", " +14255550100"),
    "SECURITY_DESK": ("+14255550199", "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_00000020-dana;+14255550199"),
    "EMERGENCY_CONTACTS": (
        "guard@example.com",
        "guard@example.com; first.last+tag@mail.example.com",
        "john.q.public@example.com, Front Desk <desk@example.com>",
        '"Desk; night" <mailto:desk@example.com> guard@example.com',
        "Public, John <john@example.com>",
    ),
    "EMERGENCY_COUNTRIES": ("US;PR;CA", "GB", "DK; AU", "us;pr"),
    "EMAIL_SENDER": ("DoNotReply@mail.example.com",),
    "ALLOWED_ORIGINS": (
        "https://desk.example.com",
        "https://desk.example.com:8443;https://crm.example.com/",
        "HTTPS://Desk.Example.com",
    ),
    "PUBLIC_BASE_URL": ("https://emergency.example.com", "https://www.example.com/emergency/"),
    "CALL_AUTOMATION_ISSUER": ("https://issuer.example.com",),
    "CALL_AUTOMATION_KEYS_URL": ("https://issuer.example.com/keys",),
    "GRAPH_URL": ("https://graph.microsoft.us", "https://graph.microsoft.us/"),
    "DYNAMICS365_URL": ("https://contoso.crm.dynamics.com", "https://contoso.crm4.dynamics.com"),
    "EMAIL_PER_MINUTE": ("1", "30"),
    "EMAIL_PER_HOUR": ("1", "100"),
    "TIME_ZONE": ("UTC", "America/Los_Angeles", "America/Argentina/Buenos_Aires", "Etc/GMT+5"),
    "EXPIRY_SCHEDULE": ("0 * * * * *", "0 */2 * * * MON-FRI", "0,30 0-9/3 23 31 jan-December Sun"),
    "OUTBOX_SCHEDULE": ("*/10 * * * * *", " */10  * * * * * "),
}


def named(name: str) -> dict[str, Any]:
    (found,) = [each for each in elements() if each["name"] == name]
    return found


def accepts(element: dict[str, Any], text: str) -> bool:
    """What a field says of a text while the others are as they are."""
    numbers = {} if element["name"] == "callbackNumbers" else {"callbackNumbers": "+14255550107"}
    return Portal(**numbers, **{element["name"]: text}).accepts(element["name"], text)


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
    validation, *further = box["constraints"]["validations"]
    assert all(each["message"].strip() for each in (validation, *further))
    assert all(each["isValid"].startswith("[") for each in further)
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
    # A default is a label, and what it is computed from is a value: there the two must be one.
    assert Portal().evaluated(each["defaultValue"]) in labels
    assert not each["defaultValue"].startswith("[") or labels == offered


def test_numbers_stay_within_the_templates_bounds() -> None:
    for each in elements():
        if each["type"].endswith("Slider"):
            parameter = template("azuredeploy.json")["parameters"][each["name"]]
            assert each["min"] >= parameter.get("minValue", each["min"])
            assert each["max"] <= parameter.get("maxValue", each["max"])
            assert each["defaultValue"] == parameter["defaultValue"]


def asked_settings() -> set[str]:
    """The settings that an administrator decides in the form."""
    return set(CONTRACT) - WITH_A_KEY - DERIVED - {"KEY_SECRETS"}


CHOSEN = {
    "existingApp": {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/f", "name": "func-abc12"}
}
BY_HAND = {
    "CALLBACK_NUMBERS": "+14255550101; +14255550102",
    "CALLBACK_NOTICES": "All",
    "CLOSING_NOTICES": "off",
    "PRESENCE_BACKEND": "graph",
    "EMAIL_BACKEND": "Graph",
}


def test_every_default_of_the_form_is_the_contracts() -> None:
    outputs = Portal().outputs()
    for name in asked_settings():
        # With a domain that Azure manages the template's own default is another one: the field stays empty.
        wanted = "" if name.startswith("EMAIL_PER_") else CONTRACT[name]
        assert outputs[parameter_of(name)] == wanted, name


def test_a_second_run_changes_nothing_that_is_there() -> None:
    """Whatever was set by hand, in the form's own spelling or another one, comes out as it is."""
    there = {name: ACCEPTED[name][-1] for name in asked_settings() & set(ACCEPTED)}
    there |= {name: str(least + 1) for name, (least, _) in RANGES.items()} | BY_HAND | {"ADDED": "by hand"}
    assert set(there) == asked_settings() | {"ADDED"}
    portal = Portal(there, **CHOSEN, alertEmails="guard@example.com", which="new")
    assert portal.refused() == []
    outputs = portal.outputs()
    choices = {"CALLBACK_NOTICES", "CLOSING_NOTICES", "PRESENCE_BACKEND", "EMAIL_BACKEND"}
    # Asked for only where presence lies there; not given, it stays.
    for name in asked_settings() - {"DYNAMICS365_URL"}:
        wanted = there[name].lower() if name in choices else there[name]
        assert outputs[parameter_of(name)] == wanted, name
    assert outputs["dynamics365Url"] == ""
    assert outputs["currentSettings"] == there
    assert outputs["resourceToken"] == "abc12"


def test_what_is_empty_by_hand_is_not_taken_for_a_choice() -> None:
    """A deployment writes empty settings too; an empty choice would leave a drop-down at its first entry by luck."""
    outputs = Portal(dict.fromkeys(CONTRACT, ""), **CHOSEN).outputs()
    assert (outputs["callbackNotices"], outputs["closingNotices"]) == ("missed", "on")
    assert (outputs["presenceBackend"], outputs["emailBackend"]) == ("table", "acs")


def test_where_the_present_settings_cannot_be_read_it_is_said_before_create() -> None:
    request = named("settings")["request"]
    assert request["method"] == "POST"
    assert Portal(**CHOSEN).evaluated(request["path"]) == (
        f"{CHOSEN['existingApp']['id']}/config/appsettings/list?api-version=2025-03-01"
    )
    assert "lost" in named("unread")["options"]["text"]
    assert Portal(None, **CHOSEN).is_visible("unread")
    assert not Portal({"FALLBACK_CALLBACK_NUMBER": "+14255550100"}, **CHOSEN).is_visible("unread")
    assert not Portal().is_visible("unread")


def test_a_second_run_is_told_what_it_does_not_read() -> None:
    assert "forgotten" in named("again")["options"]["text"]
    assert Portal({}, **CHOSEN).is_visible("again")
    assert not Portal().is_visible("again")


@pytest.mark.parametrize(
    ("now", "endpoint", "cosmos"),
    [
        (None, "", False),
        ("https://ststateabc12.table.core.windows.net/", "", False),
        ("https://cosmos-abc12.table.cosmos.azure.com:443/", "", True),
        ("https://ststatexyz99.table.core.windows.net/", "https://ststatexyz99.table.core.windows.net/", False),
        ("https://cosmos-xyz99.table.cosmos.azure.com:443/", "https://cosmos-xyz99.table.cosmos.azure.com:443/", False),
    ],
)
def test_a_second_run_leaves_the_state_where_it_is(now: str | None, endpoint: str, cosmos: bool) -> None:
    """The app's own account, its own Cosmos DB, or the tables of a deployment that it was rebuilt beside."""
    outputs = Portal({} if now is None else {"TABLES_ENDPOINT": now}, **CHOSEN).outputs()
    assert (outputs["existingStateEndpoint"], outputs["useCosmos"]) == (endpoint, cosmos)
    assert Portal(useCosmos=True).outputs()["useCosmos"] is True


def test_an_email_domain_lies_where_its_resource_does() -> None:
    """Azure links only what lies in one place, and a place cannot be changed."""
    assert not Portal().is_visible("dataLocation")
    beside = Portal(emailDomain="example.com", dataLocation="Germany")
    assert beside.is_visible("dataLocation")
    assert beside.outputs()["dataLocation"] == "Germany"
    offered = {each["value"] for each in named("dataLocation")["constraints"]["allowedValues"]}
    assert offered == DATA_LOCATIONS


@settings(max_examples=200, deadline=None, database=None)
@given(octets=st.lists(st.integers(0, 300), min_size=4, max_size=4), bits=st.integers(8, 30))
@example(octets=[10, 91, 5, 0], bits=16)
@example(octets=[10, 999, 1, 0], bits=24)
@example(octets=[192, 168, 1, 0], bits=23)
def test_a_range_that_azure_would_refuse_is_refused_in_the_form(octets: list[int], bits: int) -> None:
    """A network begins where its bits end; else the deployment fails when half of it is there."""
    text = f"{'.'.join(map(str, octets))}/{bits}"
    if accepts(named("virtualNetworkPrefix"), text):
        network = ipaddress.ip_network(text)
        assert network.is_private and network.prefixlen <= 24


@pytest.mark.parametrize("text", ["10.91.0.0/24", "10.91.0.0/16", "172.16.4.0/24", "172.31.0.0/16", "192.168.255.0/24"])
def test_a_range_for_the_network_is_taken(text: str) -> None:
    assert accepts(named("virtualNetworkPrefix"), text)


def test_that_a_domain_is_linked_by_hand_to_an_existing_resource_is_said_where_it_is_ticked() -> None:
    """The template links to a resource of its own alone: of another one it would replace the list of domains."""
    assert "To a new resource alone" in named("linkEmailDomain")["toolTip"]
    assert "link it there" in named("emailDomain")["toolTip"]


def texts_about(parameter: str, setting: str, alert: str) -> dict[str, str]:
    """What is said of a parameter wherever it is chosen, and of the alert that tells that it was chosen wrongly."""
    operations = (ROOT / "OPERATIONS.md").read_text("utf-8")
    (row,) = (line for line in operations.splitlines() if line.startswith(f"| `{alert}` "))
    (mend,) = {fault.mend.template for fault in read_settings({}).faults if fault.setting == setting}
    return {
        "form": named(parameter)["toolTip"],
        "template": template("azuredeploy.json")["parameters"][parameter]["metadata"]["description"],
        "operations": row,
        "fault": mend,
    }


@pytest.mark.parametrize("place", ["form", "template", "operations", "fault"])
def test_which_sender_a_new_domain_lets_send_is_said_where_one_is_chosen(place: str) -> None:
    """With its default sending limits a domain takes no other (Communication Services, *MailFrom addresses*)."""
    said = texts_about("emailSender", "EMAIL_SENDER", "email-blocked")[place]
    assert "donotreply@" in said
    assert "raised" in said and "added to the domain" in said


def test_that_not_every_region_has_zones_is_said_where_storage_is_chosen() -> None:
    """Three zones are what is chosen where nobody chooses: without a word the deployment fails at the accounts."""
    choice = named("storageRedundancy")
    labels = {each["value"]: each["label"] for each in choice["constraints"]["allowedValues"]}
    assert choice["defaultValue"] == labels["Standard_ZRS"]
    assert f"Not in every region: choose {labels['Standard_LRS']} there" in choice["toolTip"]
    described = template("azuredeploy.json")["parameters"]["storageRedundancy"]["metadata"]["description"]
    assert "not in every region" in described and "Standard_LRS" in described
    deploy = (ROOT / "OPERATIONS.md").read_text("utf-8").partition("## Deploy")[2].partition("\n## ")[0]
    assert "STORAGE_REDUNDANCY Standard_LRS" in deploy and f"*{labels['Standard_LRS']}*" in deploy


def test_an_existing_resource_has_to_be_named() -> None:
    """Without this the template would make a new one, and every callback would go to the old one."""
    well = {"callbackNumbers": "+14255550101", "fallbackCallbackNumber": "+14255550100", "alertEmails": "a@example.com"}
    assert Portal(**well).refused() == ["existingService"]
    service = {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Communication/communicationServices/c"}
    filled = Portal(**well, existingService=service)
    assert filled.refused() == []
    assert filled.outputs()["existingCommunicationServiceId"] == service["id"]
    changed_mind = Portal(**well, existingService=service, which="new")
    assert changed_mind.outputs()["existingCommunicationServiceId"] == ""


def test_only_a_new_resource_has_no_numbers_yet() -> None:
    """They can be bought when it is there. A placeholder would be lent, and responders told to call a stranger."""
    well = {"fallbackCallbackNumber": "+14255550100", "alertEmails": "a@example.com"}
    first = Portal(**well, which="new")
    assert first.refused() == []
    assert (
        first.outputs()["callbackNumbers"]
        == ""
        == template("azuredeploy.json")["parameters"]["callbackNumbers"]["defaultValue"]
    )
    assert first.is_visible("nonumbersyet") and not first.is_visible("nonumbers")
    service = {"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Communication/communicationServices/c"}
    there = Portal(**well, existingService=service)
    # In the last step: an empty field that is not required is not judged itself.
    assert there.refused() == ["alertEmails"]
    assert there.is_visible("nonumbers") and not there.is_visible("nonumbersyet")
    for which in ("new", "existing"):
        named_ones = Portal(**well, existingService=service, which=which, callbackNumbers="+14255550101")
        assert named_ones.refused() == []
        assert not named_ones.is_visible("nonumbers") and not named_ones.is_visible("nonumbersyet")


@pytest.mark.parametrize(
    ("guide", "section"), [("OPERATIONS.md", "## Deploy"), ("docs/administration.md", "## The portal's steps")]
)
def test_that_a_new_resources_numbers_come_in_a_second_run_is_said(guide: str, section: str) -> None:
    told = (ROOT / guide).read_text("utf-8").partition(section)[2].partition("\n## ")[0]
    assert "no numbers yet" in told and "`CALLBACK_NUMBERS`" in told


def test_whom_nobody_would_tell_is_said() -> None:
    assert Portal().is_visible("nosender")
    assert not Portal(emailSender="a@example.com").is_visible("nosender")
    assert not Portal(which="new").is_visible("nosender")


def test_prices_and_quotas_are_told_where_they_are_chosen() -> None:
    assert "USD" in named("zones")["options"]["text"]
    assert Portal(zoneRedundant=True).is_visible("zones") and not Portal().is_visible("zones")
    assert re.search(r"5 messages a minute.*10 an hour", named("quota")["options"]["text"])
    assert Portal(which="new").is_visible("quota") and not Portal().is_visible("quota")
    assert "2028" in named("ending")["options"]["text"]
    assert Portal(which="new").is_visible("ending")
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
    return [fault.problem for fault in read.faults if fault.setting == setting and fault.serious]


def test_every_box_of_a_setting_is_tried() -> None:
    assert set(SETTING_BOXES) == set(ACCEPTED) | set(RANGES)
    assert set(REFUSED) == set(ACCEPTED)


def tried(samples: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in samples.items() for text in texts]


@pytest.mark.parametrize(("setting", "text"), tried(ACCEPTED))
def test_what_is_right_for_the_app_is_right_for_the_form(setting: str, text: str) -> None:
    assert accepts(SETTING_BOXES[setting], text)
    assert setting not in READ_TODAY or not faults(setting, text)


@pytest.mark.parametrize(("setting", "text"), tried(REFUSED))
def test_what_is_wrong_for_the_app_is_wrong_for_the_form(setting: str, text: str) -> None:
    assert not accepts(SETTING_BOXES[setting], text)
    assert setting not in READ_TODAY or faults(setting, text)


@pytest.mark.parametrize("setting", sorted(set(SETTING_BOXES) & READ_TODAY))
@settings(max_examples=25, deadline=None, database=None)
@given(samples=st.data())
def test_the_app_takes_whatever_the_form_lets_through(setting: str, samples: st.DataObject) -> None:
    """No setting is left out: not even those that the app has judged by libraries."""
    regex = SETTING_BOXES[setting]["constraints"]["validations"][0]["regex"]
    few = re.sub(r"\{([01]),\d{2,}\}\$$", r"{\1,3}$", regex)
    text = samples.draw(st.from_regex(few.removesuffix("$"), fullmatch=True, alphabet=st.characters(codec="ascii")))
    if accepts(SETTING_BOXES[setting], text) and text.strip():
        assert faults(setting, text) == []


# One slip of a finger: what people type, and what makes one form of an entry another.
SLIPS = "aZ0 19@.;,+-/:<>\n_*x"


@pytest.mark.parametrize("setting", sorted(set(SETTING_BOXES) & READ_TODAY))
@settings(max_examples=60, deadline=None, database=None)
@given(samples=st.data())
def test_form_and_app_say_the_same_of_a_slip(setting: str, samples: st.DataObject) -> None:
    """Neither refuses what the other takes: a setting that was made by hand must not stop a second run of the form."""
    start = ACCEPTED[setting] if setting in ACCEPTED else tuple(map(str, RANGES[setting]))
    text = samples.draw(st.sampled_from(start))
    for _ in range(samples.draw(st.integers(1, 2))):
        place = samples.draw(st.integers(0, len(text)))
        text = text[:place] + samples.draw(st.sampled_from(["", *SLIPS])) + text[place + samples.draw(st.booleans()) :]
    if text.strip() and text.count('"') % 2 == 0:
        assert accepts(SETTING_BOXES[setting], text) == (faults(setting, text) == []), text


@pytest.mark.parametrize("setting", RANGES)
def test_whole_numbers_have_the_contracts_bounds(setting: str) -> None:
    least, most = RANGES[setting]
    box = SETTING_BOXES[setting]
    allowed = [number for number in range(3000) if accepts(box, str(number))]
    assert allowed == list(range(least, most + 1))
    assert not [text for text in ("-1", "1.5", "1e2", "ten") if accepts(box, text)]


def test_every_zone_of_the_iana_table_can_be_written() -> None:
    names = resources.files("tzdata").joinpath("zones").read_text("utf-8").split()
    assert len(names) > 400
    assert [name for name in names if not accepts(SETTING_BOXES["TIME_ZONE"], name)] == []


# A pool whose number begins as the fallback number does.
LONGER = f"{'+14255550101'}2; +14255550103"


@pytest.mark.parametrize(
    ("choices", "refused"),
    [
        ({}, []),
        ({"fallbackCallbackNumber": "+14255550101"}, ["fallbackCallbackNumber"]),
        ({"securityDesk": "+14255550199;+14255550102"}, ["securityDesk"]),
        # The beginning of a number is not that number.
        ({"callbackNumbers": LONGER, "fallbackCallbackNumber": "+14255550101"}, []),
        ({"presenceBackend": "dynamics365"}, ["dynamics365Url"]),
        ({"presenceBackend": "dynamics365", "dynamics365Url": "https://contoso.crm.dynamics.com"}, []),
    ],
)
def test_what_only_two_fields_together_tell(choices: dict[str, str], refused: list[str]) -> None:
    """As `settings.py`: no number of the pool answers callbacks, and Dynamics wants its organisation."""
    well = {"callbackNumbers": "+14255550101; +14255550102", "fallbackCallbackNumber": "+14255550100"}
    assert Portal(**(well | choices), alertEmails="guard@example.com", which="new").refused() == refused
