"""What is deployed besides the settings, compared with tables that are not made from the Bicep."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.app_settings import COMMUNICATION_TAG, STATE_TAG
from shared import bootstrap
from tests.infra.compiler import COMPILED, INFRA
from tests.infra.deployed import (
    PLATFORM_SETS,
    Resource,
    app,
    app_settings,
    data,
    nested,
    of_type,
    resources,
    template,
    warnings,
)
from tests.rules.sources import ROOT

ROLE_IDS = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "EventGrid Data Sender": "d5a91429-5739-47e2-a06b-3470a27159e7",
    "Communication and Email Service Owner": "09976791-48a7-449e-bb21-39d1a415f350",
}
# Role, and the type of what it is given on: what the adapters need, and no more.
NEEDED = {
    ("Storage Blob Data Owner", "storageAccounts/sthost"),
    ("Storage Table Data Contributor", "storageAccounts/ststate"),
    ("Monitoring Metrics Publisher", "components/appi-"),
    ("Communication and Email Service Owner", "communicationServices/"),
    ("Storage Blob Data Contributor", "containers/dead-letters"),
}
# Event type: function, attempts, minutes to live, dead letters.
COMMUNICATION_EVENTS = {
    "Microsoft.Communication.IncomingCall": ("incoming_call_event", 2, 1, False),
    "Microsoft.Communication.CallStarted": ("call_started_event", 30, 1440, True),
    "Microsoft.Communication.CallEnded": ("call_ended_event", 30, 1440, True),
    "Microsoft.Communication.RecordingFileStatusUpdated": ("recording_file_status_event", 30, 1440, True),
    "Microsoft.Communication.EmailDeliveryReportReceived": ("email_delivery_report_event", 30, 1440, True),
}
OWN_EVENTS = {
    "EmergencyCalling.CallStarted": ("call_started_event", 30, 1440, True),
    "EmergencyCalling.CallEnded": ("call_ended_event", 30, 1440, True),
}
# The newest stable version of each type, or one at most two years older than it.
VERSIONS = {
    "Microsoft.Authorization/locks": "2020-05-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.Communication/communicationServices": "2025-09-01",
    "Microsoft.Communication/emailServices": "2025-09-01",
    "Microsoft.Communication/emailServices/domains": "2025-09-01",
    "Microsoft.DocumentDB/databaseAccounts": "2026-03-15",
    "Microsoft.DocumentDB/databaseAccounts/tableRoleAssignments": "2026-03-15",
    "Microsoft.DocumentDB/databaseAccounts/tables": "2026-03-15",
    "Microsoft.EventGrid/systemTopics": "2025-02-15",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": "2025-02-15",
    "Microsoft.EventGrid/topics": "2025-02-15",
    "Microsoft.EventGrid/topics/eventSubscriptions": "2025-02-15",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/activityLogAlerts": "2026-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/dataCollectionRules": "2024-03-11",
    "Microsoft.Insights/metricAlerts": "2026-01-01",
    "Microsoft.Insights/scheduledQueryRules": "2026-03-01",
    "Microsoft.Insights/webtests": "2022-06-15",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2025-09-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2025-09-01",
    "Microsoft.Network/virtualNetworks": "2025-09-01",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.OperationalInsights/workspaces/tables": "2025-07-01",
    "Microsoft.Storage/storageAccounts": "2025-08-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2025-08-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2025-08-01",
    "Microsoft.Storage/storageAccounts/managementPolicies": "2025-08-01",
    "Microsoft.Storage/storageAccounts/tableServices": "2025-08-01",
    "Microsoft.Web/serverfarms": "2025-03-01",
    "Microsoft.Web/sites": "2025-03-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2025-03-01",
    "Microsoft.Web/sites/config": "2025-03-01",
    "Microsoft.Web/sites/extensions": "2025-03-01",
}
SETS = (*PLATFORM_SETS, "events")
LOCK = "Microsoft.Authorization/locks"
SUPPRESSED = {
    ("main.bicep", "BCP037"),
    ("main.bicep", "what-if-short-circuiting"),
    ("modules/package.bicep", "BCP187"),
}


def sources() -> dict[str, str]:
    return {path.relative_to(INFRA).as_posix(): path.read_text("utf-8") for path in sorted(INFRA.rglob("*.bicep"))}


def subscriptions(name: str, parent: str) -> list[Resource]:
    return of_type(name, f"Microsoft.EventGrid/{parent}/eventSubscriptions")


# Who may do what ---------------------------------------------------------------------------------------------------


def test_role_ids_are_those_of_their_names() -> None:
    assert data("roles.json") == ROLE_IDS


def given_roles(name: str) -> set[tuple[str, str]]:
    names = {role_id: role for role, role_id in ROLE_IDS.items()}
    found = set()
    for each in of_type(name, "Microsoft.Authorization/roleAssignments"):
        role = names[each["properties"]["roleDefinitionId"].rpartition("/")[2]]
        assert each["properties"]["principalType"] == "ServicePrincipal"
        found.add((role, each["id"].partition("/providers/Microsoft.Authorization/")[0]))
    return found


def test_each_adapter_has_its_right_and_nobody_has_more() -> None:
    given = given_roles("minimal")
    matched = {(role, part) for role, part in NEEDED for got, scope in given if got == role and part in scope}
    assert matched == NEEDED
    assert len(given) == len(NEEDED)


def test_an_existing_resource_is_reached_where_it_lies() -> None:
    (scope,) = (scope for role, scope in given_roles("existing") if role.startswith("Communication"))
    assert "/resourceGroups/contact-centre/" in scope


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_every_right_is_named_by_whom_it_is_for(name: str) -> None:
    """Azure refuses to give an assignment of a deleted identity to the next one: RoleAssignmentUpdateNotPermitted.

    A resource may outlive the identity: an existing one, one with a lock, or all of them where it alone is deleted.
    """
    rights = [each for each in resources(name) if each["type"].lower().endswith("roleassignments")]
    # An object id that is given as a parameter is known to the snapshot, and a name made of it is one word.
    by_parameter = [each for each in rights if not each["properties"]["principalId"].startswith("[")]
    for right in rights:
        if right not in by_parameter:
            assert right["properties"]["principalId"].strip("[]") in right["name"], right["id"]
    assert len(by_parameter) == (1 if name == "everything" else 0)
    assert len(rights) >= len(NEEDED)


def test_a_state_in_cosmos_has_its_own_right() -> None:
    assert not {role for role, _ in given_roles("network")} & {"Storage Table Data Contributor"}
    (access,) = of_type("network", "Microsoft.DocumentDB/databaseAccounts/tableRoleAssignments")
    assert access["properties"]["roleDefinitionId"].endswith("/00000000-0000-0000-0000-000000000002")


def test_whoever_publishes_may_publish_and_no_more() -> None:
    senders = {scope for role, scope in given_roles("everything") if role == "EventGrid Data Sender"}
    assert len(senders) == 1
    assert "/topics/evgt-" in senders.pop()


@pytest.mark.parametrize("name", COMPILED.values())
def test_no_key_is_read_or_told(name: str) -> None:
    text = (INFRA / name).read_text("utf-8")
    assert not re.search(r"listKeys|listAccountSas|listConnectionStrings|AccountKey|accesskey", text, re.IGNORECASE)
    outputs = template(name).get("outputs", {})
    assert not [key for key, output in outputs.items() if output["type"].lower().startswith("secure")]


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_keys_are_off(name: str) -> None:
    for account in of_type(name, "Microsoft.Storage/storageAccounts"):
        properties = account["properties"]
        assert (properties["allowSharedKeyAccess"], properties["allowBlobPublicAccess"]) == (False, False)
    off = {
        "Microsoft.Communication/communicationServices": "disableLocalAuth",
        "Microsoft.DocumentDB/databaseAccounts": "disableLocalAuth",
        "Microsoft.EventGrid/topics": "disableLocalAuth",
        "Microsoft.Insights/components": "DisableLocalAuth",
    }
    for kind, switch in off.items():
        assert all(each["properties"][switch] is True for each in of_type(name, kind))
    for workspace in of_type(name, "Microsoft.OperationalInsights/workspaces"):
        assert workspace["properties"]["features"]["disableLocalAuth"] is True
    for policy in of_type(name, "Microsoft.Web/sites/basicPublishingCredentialsPolicies"):
        assert policy["properties"]["allow"] is False


# The role that writes each ("Azure built-in roles", Microsoft): Contributor writes nothing of Microsoft.Authorization.
WRITTEN_BY = {
    "Microsoft.Authorization/roleAssignments": "Role Based Access Control Administrator",
    "Microsoft.Authorization/locks": "Locks Contributor",
    # Below another resource group there is nothing else than these, and the deployment itself.
    "Microsoft.EventGrid/systemTopics": "EventGrid Contributor",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": "EventGrid Contributor",
}


def elsewhere() -> list[Resource]:
    """What is deployed into another resource group."""
    modules = [each for name in COMPILED.values() for each in nested(template(name)) if "resourceGroup" in each]
    return [each for module in modules for each in nested(module["properties"]["template"])]


def test_whoever_deploys_is_told_of_every_right_and_provider() -> None:
    deploy = (ROOT / "OPERATIONS.md").read_text("utf-8").partition("## Deploy")[2].partition("\n1. ")[0]
    types = {each["type"] for name in COMPILED.values() for each in nested(template(name))}
    restricted = {kind for kind in types if kind.startswith("Microsoft.Authorization/")}
    for kind in restricted | {each["type"] for each in elsewhere()}:
        assert f"*{WRITTEN_BY[kind]}*" in deploy.replace("\n", " "), kind
    for provider in {kind.partition("/")[0] for kind in types} - {"Microsoft.Authorization", "Microsoft.Resources"}:
        assert f"`{provider}`" in deploy, provider


# Events ------------------------------------------------------------------------------------------------------------


def told(subscription: Resource) -> tuple[str, tuple[str, int, int, bool]]:
    properties = subscription["properties"]
    (event_type,) = properties["filter"]["includedEventTypes"]
    assert set(properties["filter"]) == {"includedEventTypes"}
    destination = properties["destination"]
    assert destination["endpointType"] == "AzureFunction"
    assert destination["properties"]["maxEventsPerBatch"] == 1
    function = destination["properties"]["resourceId"].rpartition("/functions/")[2]
    retry = properties["retryPolicy"]
    dead_letters = properties["deadLetterWithResourceIdentity"]
    if dead_letters:
        assert dead_letters["identity"] == {"type": "SystemAssigned"}
        assert "/storageAccounts/ststate" in dead_letters["deadLetterDestination"]["properties"]["resourceId"]
    return event_type, (
        function,
        retry["maxDeliveryAttempts"],
        retry["eventTimeToLiveInMinutes"],
        bool(dead_letters),
    )


@pytest.mark.parametrize("name", ["events", "everything", "existing"])
def test_events_of_communication_services_go_where_the_contract_says(name: str) -> None:
    found = subscriptions(name, "systemTopics")
    assert dict(map(told, found)) == COMMUNICATION_EVENTS
    assert len(found) == len(COMMUNICATION_EVENTS)
    assert {each["properties"]["eventDeliverySchema"] for each in found} == {"EventGridSchema"}


def test_that_a_second_deployment_takes_the_events_of_the_first_is_said() -> None:
    """Names that differed would ring two answerers of one call; with one name the later deployment has them all."""
    names = {each["name"].rpartition("/")[2] for each in subscriptions("existing", "systemTopics")}
    assert names == {f"emergency-{each['name']}" for each in data("subscriptions.json")["communication"]}
    assert "takes over its subscriptions" in (ROOT / "OPERATIONS.md").read_text("utf-8")
    assert "moved to this one" in (INFRA / "createUiDefinition.json").read_text("utf-8")


@pytest.mark.parametrize("name", ["events", "everything"])
def test_events_of_other_telephony_come_by_a_topic_of_their_own(name: str) -> None:
    found = subscriptions(name, "topics")
    assert dict(map(told, found)) == OWN_EVENTS
    assert len(found) == len(OWN_EVENTS)
    assert {each["properties"]["eventDeliverySchema"] for each in found} == {"CloudEventSchemaV1_0"}


def test_an_event_of_other_telephony_is_known_by_what_its_publisher_writes() -> None:
    """Event Grid hands a CloudEvent's source on as it came; with its own schema it would write the topic itself."""
    (topic,) = of_type("everything", "Microsoft.EventGrid/topics")
    assert topic["properties"]["inputSchema"] == "CloudEventSchemaV1_0"
    assert topic["id"] in app_settings("everything")["EVENT_SOURCES"].split(";")
    assert "CUSTOM_TOPIC_ID" in template("azuredeploy.json")["outputs"]
    told_publishers = (ROOT / "docs" / "administration.md").read_text("utf-8").partition("## For those who build")[2]
    assert "`CUSTOM_TOPIC_ID`" in told_publishers


@pytest.mark.parametrize("name", ["minimal", "network"])
def test_nobody_subscribes_before_the_code_is_there(name: str) -> None:
    assert not subscriptions(name, "systemTopics")


# The app -----------------------------------------------------------------------------------------------------------


def test_the_app_runs_on_flex_consumption() -> None:
    (plan,) = of_type("minimal", "Microsoft.Web/serverfarms")
    assert plan["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    configuration = app("minimal")["properties"]["functionAppConfig"]
    assert configuration["runtime"] == {"name": "python", "version": "3.13"}
    assert configuration["siteUpdateStrategy"] == {"type": "RollingUpdate"}
    assert configuration["scaleAndConcurrency"]["alwaysReady"] == [
        {"name": "http", "instanceCount": 2},
        {"name": "function:incoming_call_event", "instanceCount": 2},
    ]
    assert configuration["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_an_instance_takes_as_many_requests_as_it_has_threads(name: str) -> None:
    """The platform's own number for Python is one: a burst of dials would wait for instances that start in seconds."""
    scale = app(name)["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert scale["triggers"] == {"http": {"perInstanceConcurrency": 64}}
    assert app_settings(name)["PYTHON_THREADPOOL_THREAD_COUNT"] == "64"


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_a_setting_may_name_a_secret_of_a_key_vault(name: str) -> None:
    """The platform reads it with an identity; the system's, which is its own choice, is not there."""
    (identity,) = app(name)["identity"]["userAssignedIdentities"]
    assert app(name)["properties"]["keyVaultReferenceIdentity"] == identity
    assert app(name)["identity"]["type"] == "UserAssigned"


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_the_app_says_by_tags_where_its_state_and_its_telephony_are(name: str) -> None:
    tags, settings = app(name)["tags"], app_settings(name)
    # In a storage account without the suffix of the cloud: a snapshot does not know it, so no tag may hang on it.
    assert tags[STATE_TAG].startswith("https://")
    assert tags[STATE_TAG] in settings["TABLES_ENDPOINT"]
    source = settings["EVENT_SOURCES"].split(";")[0].split("/")
    assert tags[COMMUNICATION_TAG] == f"{source[2]}/{source[4]}/{source[-1]}"


def test_nothing_secure_goes_into_a_tag() -> None:
    """A what-if would hide it then, as it hides the settings, and the gate could compare nothing."""
    whole = template("azuredeploy.json")
    (site,) = [each for each in whole["resources"] if each["type"] == "Microsoft.Web/sites"]
    variables = whole["variables"] | {each["name"]: each for each in whole["variables"]["copy"]}
    secure = {name for name, each in whole["parameters"].items() if each["type"].lower().startswith("secure")}
    assert secure == {"currentSettings", "keySecrets"}

    def made_of(node: Any) -> set[str]:
        text = json.dumps(node)
        inner = [made_of(variables[name]) for name in re.findall(r"variables\('([^']+)'\)", text)]
        return set(re.findall(r"parameters\('([^']+)'\)", text)).union(*inner)

    assert made_of(site["properties"]["siteConfig"]) >= secure
    assert made_of(site["tags"]) >= {"existingStateEndpoint", "existingCommunicationServiceId"}
    assert not made_of(site["tags"]) & secure


def test_zones_need_two_instances_and_storage_in_zones() -> None:
    ready = app("everything")["properties"]["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]
    assert [each["instanceCount"] for each in ready] == [2, 3]
    redundancy = {each["sku"]["name"] for each in of_type("everything", "Microsoft.Storage/storageAccounts")}
    assert redundancy == {"Standard_ZRS"}


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_the_app_itself_answers_for_other_origins(name: str) -> None:
    properties = app(name)["properties"]
    assert "cors" not in properties["siteConfig"]
    assert properties["httpsOnly"] is True
    assert properties["siteConfig"]["ftpsState"] == "Disabled"
    assert properties["autoGeneratedDomainNameLabelScope"] == "TenantReuse"


def test_sign_in_is_configured_and_leaves_the_callers_of_the_platform_alone() -> None:
    (sign_in,) = of_type("everything", "Microsoft.Web/sites/config")
    properties = sign_in["properties"]
    assert sign_in["name"].endswith("/authsettingsV2")
    assert properties["platform"]["enabled"] is True
    assert properties["globalValidation"] == {
        "requireAuthentication": False,
        "unauthenticatedClientAction": "AllowAnonymous",
        "excludedPaths": ["/runtime/webhooks/*", "/api/call-automation-events", "/api/health"],
    }
    entra = properties["identityProviders"]["azureActiveDirectory"]
    client = "00000000-0000-0000-0000-00000000000a"
    assert entra["validation"]["allowedAudiences"] == [client, f"api://{client}"]
    assert entra["registration"]["clientSecretSettingName"] == "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"


def test_an_own_domain_stays_linked_where_graph_sends() -> None:
    """Whoever goes back to `acs` for an hour sets two settings, and deploys nothing."""
    assert app_settings("everything")["EMAIL_BACKEND"] == app_settings("network")["EMAIL_BACKEND"] == "graph"
    (domain,) = of_type("everything", "Microsoft.Communication/emailServices/domains")
    (service,) = of_type("everything", "Microsoft.Communication/communicationServices")
    assert domain["properties"]["domainManagement"] == "CustomerManaged"
    assert service["properties"]["linkedDomains"] == [domain["id"]]
    # No sender of the service's stands for the mailbox, and where no domain is named none is made.
    assert app_settings("everything")["EMAIL_SENDER"] == "emergency@example.com"
    assert of_type("network", "Microsoft.Communication/emailServices") == []


def test_the_tables_of_cosmos_are_those_of_the_app() -> None:
    used = {value for name, value in vars(bootstrap).items() if name.endswith("_TABLE")}
    assert set(data("tables.json")) == used
    assert {
        each["name"].rpartition("/")[2] for each in of_type("network", "Microsoft.DocumentDB/databaseAccounts/tables")
    } == used


# What is kept, and for how long --------------------------------------------------------------------------------------


def test_nothing_is_kept_that_must_be_forgotten() -> None:
    for name in PLATFORM_SETS:
        for blobs in of_type(name, "Microsoft.Storage/storageAccounts/blobServices"):
            properties = blobs["properties"]
            assert properties["isVersioningEnabled"] is blobs["name"].startswith("sthost")
            assert properties["deleteRetentionPolicy"] == {"enabled": False}
            assert properties["containerDeleteRetentionPolicy"] == {"enabled": False}
            assert properties["changeFeed"] == {"enabled": False}
        rules = {
            each["name"].partition("/")[0][:6]: each["properties"]["policy"]["rules"]
            for each in of_type(name, "Microsoft.Storage/storageAccounts/managementPolicies")
        }
        assert {account: [rule["definition"]["actions"] for rule in found] for account, found in rules.items()} == {
            "ststat": [{"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 1}}}],
            "sthost": [{"version": {"delete": {"daysAfterCreationGreaterThan": 30}}}],
        }
        assert all("prefixMatch" not in rule["definition"]["filters"] for found in rules.values() for rule in found)


@pytest.mark.parametrize("name", COMPILED.values())
def test_no_resource_sends_its_own_log_anywhere(name: str) -> None:
    assert not [each for each in nested(template(name)) if each["type"].lower().endswith("/diagnosticsettings")]


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_whatever_could_tell_of_somebody_is_emptied_before_it_is_kept(name: str) -> None:
    (rule,) = of_type(name, "Microsoft.Insights/dataCollectionRules")
    assert rule["kind"] == "WorkspaceTransforms"
    flows = {flow["streams"][0]: flow["transformKql"] for flow in rule["properties"]["dataFlows"]}
    tables = ("AppRequests", "AppDependencies", "AppExceptions", "AppTraces")
    assert set(flows) == {f"Microsoft-Table-{table}" for table in tables}
    for query in flows.values():
        assert 'ClientIP = "0.0.0.0"' in query
        assert 'ClientCity = ""' in query
        # What is kept of the properties is named; whatever else a library may add is not kept.
        assert re.findall(r"all\.(\w+)", query) == ["Category", "LogLevel"]
        assert "extend Properties = pack(" in query
    assert 'Url = ""' in flows["Microsoft-Table-AppRequests"]
    assert 'Data = ""' in flows["Microsoft-Table-AppDependencies"]
    linked = [
        each["properties"]["defaultDataCollectionRuleResourceId"]
        for each in of_type(name, "Microsoft.OperationalInsights/workspaces")
    ]
    assert linked[-1] == rule["id"]


# "Supported KQL features in Azure Monitor transformations" (Microsoft, 20 January 2026), as far as it is used here.
# Anything else is refused when the rule is deployed, and with it the whole deployment.
TRANSFORMATIONS_KNOW = {"extend", "project-away", "pack", "parse_json", "tostring"}


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_a_transformation_asks_for_what_transformations_know(name: str) -> None:
    (rule,) = of_type(name, "Microsoft.Insights/dataCollectionRules")
    for flow in rule["properties"]["dataFlows"]:
        source, *steps = flow["transformKql"].split(" | ")
        assert source == "source"
        words = {step.split()[0] for step in steps}
        functions = set(re.findall(r"([\w-]+)\(", re.sub(r'"[^"]*"', '""', flow["transformKql"])))
        assert words | functions <= TRANSFORMATIONS_KNOW


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_a_log_line_is_deleted_when_it_is_said_to_be(name: str) -> None:
    """Tables of Application Insights keep 90 days, whatever the workspace says, until they are told themselves."""
    (rule,) = of_type(name, "Microsoft.Insights/dataCollectionRules")
    written = {flow["streams"][0].rpartition("-")[2] for flow in rule["properties"]["dataFlows"]}
    (days,) = {
        each["properties"]["retentionInDays"] for each in of_type(name, "Microsoft.OperationalInsights/workspaces")
    }
    tables = of_type(name, "Microsoft.OperationalInsights/workspaces/tables")
    assert {each["name"].rpartition("/")[2]: each["properties"] for each in tables} == {
        table: {"retentionInDays": days, "totalRetentionInDays": days} for table in written
    }


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_any_number_of_days_can_be_chosen_for_the_log(name: str) -> None:
    """The workspace keeps what the component takes in; the component itself knows nine numbers of days alone."""
    (component,) = of_type(name, "Microsoft.Insights/components")
    assert "RetentionInDays" not in component["properties"]


def test_backups_of_cosmos_are_kept_for_the_shortest_time() -> None:
    (account,) = of_type("network", "Microsoft.DocumentDB/databaseAccounts")
    periodic = account["properties"]["backupPolicy"]["periodicModeProperties"]
    assert (periodic["backupIntervalInMinutes"], periodic["backupRetentionIntervalInHours"]) == (240, 8)


def test_what_cannot_be_made_again_is_protected() -> None:
    def locked(name: str) -> set[str]:
        scopes = (each["id"].partition("/providers/Microsoft.Authorization/")[0] for each in of_type(name, LOCK))
        return {scope.rpartition("/")[0].rpartition("/providers/")[2] for scope in scopes}

    state, cosmos = "Microsoft.Storage/storageAccounts", "Microsoft.DocumentDB/databaseAccounts"
    communication, topic = "Microsoft.Communication/communicationServices", "Microsoft.EventGrid/systemTopics"
    assert locked("minimal") == {state, communication, topic}
    assert locked("network") >= {state, cosmos}


# The templates as such ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_the_snapshots_show_everything(name: str) -> None:
    assert warnings(name) == []
    assert "unknown()" not in json.dumps(resources(name))


@pytest.mark.parametrize("name", COMPILED.values())
def test_scanners_can_read_the_templates(name: str) -> None:
    text = (INFRA / name).read_text("utf-8")
    assert "languageVersion" not in text
    assert isinstance(template(name)["resources"], list)


@pytest.mark.parametrize("name", COMPILED.values())
def test_versions_of_the_resource_types_are_pinned(name: str) -> None:
    for each in nested(template(name)):
        if each["type"] != "Microsoft.Resources/deployments":
            assert VERSIONS.get(each["type"]) == each["apiVersion"], each["type"]


def test_versions_are_pinned_in_the_sources_too() -> None:
    for name, text in sources().items():
        for kind, version in re.findall(r"'(Microsoft\.[\w./]+)@([\w-]+)'", text):
            assert VERSIONS.get(kind) == version, f"{name}: {kind}"


def test_no_module_comes_from_elsewhere() -> None:
    for text in sources().values():
        for reference in re.findall(r"^module \w+ '([^']+)'", text, re.MULTILINE):
            assert re.fullmatch(r"(modules/)?\w+\.bicep", reference)
        assert not re.search(r"^(import|extension|type|func) ", text, re.MULTILINE)
        assert "br:" not in text
        assert "br/" not in text


def test_every_warning_that_is_silenced_is_known() -> None:
    found = {
        (name, rule)
        for name, text in sources().items()
        for line in re.findall(r"#disable-next-line (.+)", text)
        for rule in line.split()
    }
    assert found == SUPPRESSED
    assert not [name for name, text in sources().items() if "#disable-diagnostics" in text]


def test_every_parameter_is_described() -> None:
    for name in COMPILED.values():
        for key, parameter in template(name)["parameters"].items():
            assert parameter.get("metadata", {}).get("description"), key


def names_of(resource: Resource) -> str:
    return str(resource["name"])


def dependencies(resource: Resource) -> str:
    return " ".join(resource.get("dependsOn", ()))


def test_the_order_is_the_one_that_works() -> None:
    """Roles before the app, sign-in before the code, the code before the subscriptions."""
    by_name = {names_of(each): each for each in template("azuredeploy.json")["resources"]}
    (site,) = [each for each in by_name.values() if each["type"] == "Microsoft.Web/sites"]

    def waits(resource: Resource, module: str) -> bool:
        return f"'Microsoft.Resources/deployments', '{module}'" in dependencies(resource)

    assert waits(site, "roles")
    assert "format('access-{0}'" in dependencies(site)
    assert waits(site, "cosmos-access")
    assert waits(by_name["cosmos-access"], "cosmos")
    assert waits(by_name["roles"], "host-storage")
    assert "Microsoft.Web/sites'" in dependencies(by_name["authentication"])
    assert waits(by_name["package"], "authentication")
    assert waits(by_name["events"], "package")
    assert waits(by_name["events"], "dead-letters")


def test_whoever_deploys_is_asked_for_no_more_than_a_name() -> None:
    required = [name for name, each in template("azuredeploy.json")["parameters"].items() if "defaultValue" not in each]
    assert required == ["environmentName"]


def test_azd_names_each_setting_as_the_app_does() -> None:
    text = Path(INFRA / "main.bicepparam").read_text("utf-8")
    named = dict(re.findall(r"^param (\w+) = .*?readEnvironmentVariable\('([A-Z0-9_]+)'", text, re.MULTILINE))
    parameters: dict[str, Any] = template("azuredeploy.json")["parameters"]
    left = {"tags", "resourceToken", "keySecrets", "pythonVersion", "packageUri", "deployEvents"}
    assert set(named) == set(parameters) - left
    snake = {name: re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper() for name in named}
    snake |= {
        "environmentName": "AZURE_ENV_NAME",
        "location": "AZURE_LOCATION",
        "instanceMemoryMB": "INSTANCE_MEMORY_MB",
    }
    assert named == snake
