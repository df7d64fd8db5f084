"""Every place that a deployment writes to, and why nothing that identifies a call stays there (B8).

The local stack's scanner reads tables, queues, blobs and the log (tests/leaks_storage.py, tests/integration). A type of
resource that is new here and can keep something has to be thought of first.
"""

import json
import re

import pytest

from tests.infra.deployed import PLATFORM_SETS, of_type, resources, template
from tests.local.acs import events
from tests.rules.sources import ROOT

# What can keep something, and what keeps it clean.
KEEPS = {
    "Microsoft.Storage/storageAccounts/tableServices": "rows are forgotten with lease and rest; scanned locally",
    "Microsoft.DocumentDB/databaseAccounts/tables": "the same rows; backups for eight hours, said where it is chosen",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "the package; dead letters, deleted after a day",
    "Microsoft.OperationalInsights/workspaces": "lines without anything personal; transformed; 30 days",
    "Microsoft.OperationalInsights/workspaces/tables": "those lines; each table is told its days, else it is 90",
    "Microsoft.Insights/components": "a view of that workspace",
    "Microsoft.EventGrid/systemTopics": "events on their way; no resource log",
    "Microsoft.EventGrid/topics": "events on their way; no resource log",
    "Microsoft.Communication/communicationServices": "calls and mail themselves; no resource log",
    "Microsoft.Communication/emailServices": "no resource log",
    "Microsoft.Web/sites": "settings, and the log above",
}
# What cannot.
KEEPS_NOTHING = {
    *("Microsoft.Authorization/locks", "Microsoft.Authorization/roleAssignments", "Microsoft.Web/serverfarms"),
    *("Microsoft.Communication/emailServices/domains", "Microsoft.DocumentDB/databaseAccounts"),
    *("Microsoft.DocumentDB/databaseAccounts/tableRoleAssignments", "Microsoft.Storage/storageAccounts"),
    *("Microsoft.EventGrid/systemTopics/eventSubscriptions", "Microsoft.EventGrid/topics/eventSubscriptions"),
    *("Microsoft.Insights/actionGroups", "Microsoft.Insights/activityLogAlerts", "Microsoft.Insights/metricAlerts"),
    *("Microsoft.Insights/dataCollectionRules", "Microsoft.Insights/scheduledQueryRules"),
    *("Microsoft.Insights/webtests", "Microsoft.Insights/workbooks", "Microsoft.Web/sites/extensions"),
    *("Microsoft.ManagedIdentity/userAssignedIdentities", "Microsoft.Network/virtualNetworks"),
    *("Microsoft.Network/privateDnsZones", "Microsoft.Network/privateDnsZones/virtualNetworkLinks"),
    *("Microsoft.Network/privateEndpoints", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"),
    *("Microsoft.Storage/storageAccounts/blobServices", "Microsoft.Storage/storageAccounts/managementPolicies"),
    *("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "Microsoft.Web/sites/config"),
}


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_every_place_is_known(name: str) -> None:
    deployed = {str(each["type"]) for each in resources(name)}
    assert deployed <= set(KEEPS) | KEEPS_NOTHING
    assert not set(KEEPS) & KEEPS_NOTHING


def test_the_containers_are_the_package_and_the_dead_letters() -> None:
    kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
    containers = {each["name"].rpartition("/")[2]: each for each in of_type("everything", kind)}
    assert set(containers) == {"packages", "dead-letters"}
    assert all(each["properties"]["publicAccess"] == "None" for each in containers.values())


def test_a_call_that_rang_out_leaves_no_dead_letter() -> None:
    """Its context would let whoever reads it take part in the call, and its event holds the responder's number."""
    for each in of_type("everything", "Microsoft.EventGrid/systemTopics/eventSubscriptions"):
        types = each["properties"]["filter"]["includedEventTypes"]
        if "Microsoft.Communication.IncomingCall" in types:
            assert each["properties"]["deadLetterWithResourceIdentity"] is None


def test_the_history_of_deployments_shows_no_secret() -> None:
    """Parameters and outputs stand there for whoever may read the resource group."""
    parameters = template("azuredeploy.json")["parameters"]
    secure = {name for name, each in parameters.items() if each["type"].lower().startswith("secure")}
    assert secure == {"keySecrets", "currentSettings"}
    outputs = json.dumps(template("azuredeploy.json")["outputs"])
    assert not [name for name in secure if name in outputs]
    assert "appSettings" not in outputs


def test_no_module_is_handed_the_settings() -> None:
    """A nested deployment has a history of its own."""
    for path in sorted((ROOT / "infra" / "modules").glob("*.bicep")):
        assert not re.search(r"currentSettings|keySecrets|appSettings", path.read_text("utf-8")), path.name


def test_the_sources_that_count_locally_are_of_the_kinds_that_are_deployed() -> None:
    assert "/providers/Microsoft.EventGrid/topics/" in events.CUSTOM_TOPIC
