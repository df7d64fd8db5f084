"""The app settings that are deployed: the contract's, with the product's own defaults, and none that Flex forbids."""

import re

import pytest

from tests.infra.deployed import PLATFORM_SETS, app_settings, data, parameters_given, template

# What is promised to whoever deploys. "" where there is no default, or where it is required.
CONTRACT = {
    "COMMUNICATION_SERVICES_CONNECTION_STRING": "",
    "COMMUNICATION_SERVICES_ENDPOINT": "",
    "COMMUNICATION_SERVICES_RESOURCE_ID": "",
    "TABLES_CONNECTION_STRING": "",
    "TABLES_ENDPOINT": "",
    "EVENT_SOURCES": "",
    "CALL_AUTOMATION_ISSUER": "https://acscallautomation.communication.azure.com",
    "CALL_AUTOMATION_KEYS_URL": "https://acscallautomation.communication.azure.com/calling/keys",
    "CALLBACK_NUMBERS": "",
    "FALLBACK_CALLBACK_NUMBER": "",
    "CALLBACK_WINDOW_MINUTES": "60",
    "CALLBACK_AFTER_CALL_MINUTES": "30",
    "CALLBACK_COOL_DOWN_MINUTES": "60",
    "HOLD_AFTER_DROP_MINUTES": "10",
    "MAX_CALL_MINUTES": "240",
    "EMERGENCY_COUNTRIES": "US;PR;CA",
    "EMERGENCY_CONTACTS": "",
    "SECURITY_DESK": "",
    "EMAIL_SENDER": "",
    "PUBLIC_BASE_URL": "",
    "ALLOWED_ORIGINS": "",
    "CALLBACK_NOTICES": "missed",
    "CLOSING_NOTICES": "on",
    "EMAIL_PER_MINUTE": "30",
    "EMAIL_PER_HOUR": "100",
    "EMAIL_BACKEND": "acs",
    "PRESENCE_BACKEND": "table",
    "GRAPH_URL": "https://graph.microsoft.com",
    "DYNAMICS365_URL": "",
    "POOL_LOW_WATER": "20",
    "TIME_ZONE": "UTC",
    "KEY_SECRETS": "",
    "EXPIRY_SCHEDULE": "0 * * * * *",
    "OUTBOX_SCHEDULE": "*/10 * * * * *",
}
WITH_A_KEY = {"COMMUNICATION_SERVICES_CONNECTION_STRING", "TABLES_CONNECTION_STRING"}
# What the platform and the SDKs read beside the app.
PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_CLIENT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
    "PYTHON_THREADPOOL_THREAD_COUNT",
}
# "Flex Consumption plan deprecations" in Microsoft's documents, and what nobody but the platform may say.
FORBIDDEN = {
    *("FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_WORKER_RUNTIME_VERSION", "FUNCTIONS_EXTENSION_VERSION"),
    *("WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "WEBSITE_CONTENTSHARE"),
    *("WEBSITE_MOUNT_ENABLED", "WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED", "SCM_DO_BUILD_DURING_DEPLOYMENT"),
    *("ENABLE_ORYX_BUILD", "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT", "WEBSITE_NODE_DEFAULT_VERSION"),
    *("FUNCTIONS_MAX_HTTP_CONCURRENCY", "FUNCTIONS_WORKER_PROCESS_COUNT", "WEBSITE_TIME_ZONE", "TZ"),
    *("FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED", "WEBSITE_LOAD_CERTIFICATES", "WEBSITE_AUTH_ENABLED"),
    *("AzureWebJobsStorage", "REQUESTS_CA_BUNDLE", "WEBSITE_HOSTNAME", *WITH_A_KEY),
}
# Known to the template itself: no parameter says it.
DERIVED = {"COMMUNICATION_SERVICES_ENDPOINT", "COMMUNICATION_SERVICES_RESOURCE_ID", "TABLES_ENDPOINT", "EVENT_SOURCES"}


def setting_of(parameter: str) -> str:
    """`callbackNumbers` -> `CALLBACK_NUMBERS`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).upper()


def parameter_of(setting: str) -> str:
    """`CALLBACK_NUMBERS` -> `callbackNumbers`."""
    first, *others = setting.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_every_setting_of_the_contract_is_deployed_and_nothing_else(name: str) -> None:
    assert set(app_settings(name)) == (set(CONTRACT) - WITH_A_KEY) | PLATFORM


def test_what_is_not_given_is_the_default_of_the_contract() -> None:
    given = {setting_of(parameter) for parameter in parameters_given("existing")}
    deployed = app_settings("existing")
    left = set(CONTRACT) - WITH_A_KEY - DERIVED - given
    assert {name: deployed[name] for name in left} == {name: CONTRACT[name] for name in left}


def test_a_domain_that_azure_manages_sends_less() -> None:
    deployed = app_settings("minimal")
    assert (deployed["EMAIL_PER_MINUTE"], deployed["EMAIL_PER_HOUR"]) == ("5", "10")
    assert (app_settings("network")["EMAIL_PER_MINUTE"], app_settings("network")["EMAIL_PER_HOUR"]) == ("30", "100")


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_what_is_given_is_deployed(name: str) -> None:
    given = {setting_of(key): value for key, value in parameters_given(name).items() if setting_of(key) in CONTRACT}
    deployed = app_settings(name)
    assert given
    assert {key: deployed[key] for key in given} == given


def test_the_set_of_everything_gives_every_setting() -> None:
    given = {setting_of(parameter) for parameter in parameters_given("everything")}
    assert set(CONTRACT) - WITH_A_KEY - DERIVED - {"KEY_SECRETS"} <= given


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_no_setting_is_one_that_flex_consumption_forbids(name: str) -> None:
    assert {setting.upper() for setting in app_settings(name)} & {setting.upper() for setting in FORBIDDEN} == set()


def test_a_forbidden_setting_does_not_come_back_by_hand() -> None:
    table = data("settings.json")
    assert set(table["forbidden"]) == FORBIDDEN
    assert set(table["defaults"]) & FORBIDDEN == set()


def test_the_one_table_of_defaults_is_the_contracts() -> None:
    table = data("settings.json")
    late = {"EMAIL_SENDER", "KEY_SECRETS"}
    assert set(table["defaults"]) == set(CONTRACT) - WITH_A_KEY - DERIVED - late
    assert {name: default for name, default in table["defaults"].items() if default != CONTRACT[name]} == {}


def test_every_setting_is_a_parameter_that_can_be_left_out() -> None:
    parameters = template("azuredeploy.json")["parameters"]
    for name in set(CONTRACT) - WITH_A_KEY - DERIVED:
        parameter = parameters[parameter_of(name)]
        assert parameter["defaultValue"] == ""
        assert parameter["type"] == ("securestring" if name == "KEY_SECRETS" else "string")
        assert parameter["metadata"]["description"]


def test_the_apps_identity_is_the_only_credential() -> None:
    deployed = app_settings("minimal")
    assert deployed["AZURE_TOKEN_CREDENTIALS"] == "ManagedIdentityCredential"
    assert deployed["AzureWebJobsStorage__credential"] == "managedidentity"
    for name in ("AZURE_CLIENT_ID", "AzureWebJobsStorage__clientId", "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"):
        assert re.fullmatch(r"\[reference\('.*/userAssignedIdentities/id-\w+', '[\d-]+'\)\.clientId\]", deployed[name])


def test_events_count_from_what_is_deployed_alone() -> None:
    sources = app_settings("everything")["EVENT_SOURCES"].split(";")
    assert [source.split("/providers/")[1].rpartition("/")[0] for source in sources] == [
        "Microsoft.Communication/communicationServices",
        "Microsoft.EventGrid/topics",
    ]
    given = parameters_given("existing")["existingCommunicationServiceId"]
    assert app_settings("existing")["EVENT_SOURCES"] == given
