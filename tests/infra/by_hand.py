"""What an administrator set by hand survives a deployment, but for what the platform owns and what is forbidden.

A snapshot shows nothing that a secret could be in: this compiles a copy whose parameter `currentSettings` is not one.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from typing import Any

from tests.infra.compiler import INFRA, Compiler, InfraError
from tests.rules.sources import ROOT

SECRET = r"@secure\(\)\s+(param currentSettings object)"
COMMUNICATION = (
    "/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/g/providers/Microsoft.Communication/x/a"
)
BY_HAND = """
using 'main.bicep'
param environmentName = 'by-hand'
param callbackNumbers = '+14255550101'
param existingCommunicationServiceId = 'COMMUNICATION'
param existingStateEndpoint = 'https://beside.table.core.windows.net/'
param currentSettings = {
  ADDED_BY_HAND: 'kept'
  CALLBACK_NUMBERS: '+14255550109'
  CALLBACK_WINDOW_MINUTES: '90'
  EMAIL_SENDER: 'emergency@example.com'
  EVENT_SOURCES: '/own-topic'
  KEY_SECRETS: 'kept-too'
  PYTHON_THREADPOOL_THREAD_COUNT: '4'
  TABLES_CONNECTION_STRING: 'a key'
  functions_worker_runtime: 'python'
  WEBSITE_AUTH_ENABLED: 'true'
}
"""
EXPECTED = {
    "ADDED_BY_HAND": "kept",
    "CALLBACK_NUMBERS": "+14255550101",
    "CALLBACK_WINDOW_MINUTES": "90",
    "CALLBACK_COOL_DOWN_MINUTES": "60",
    "EMAIL_SENDER": "emergency@example.com",
    "EVENT_SOURCES": f"{COMMUNICATION};/own-topic",
    "KEY_SECRETS": "kept-too",
    "PYTHON_THREADPOOL_THREAD_COUNT": "64",
    "TABLES_ENDPOINT": "https://beside.table.core.windows.net/",
}
MANAGED = "0000.azurecomm.net"
# Tried out with the domain that Azure manages, then given one's own: the former is not linked any more.
OWN_DOMAIN = """
using 'main.bicep'
param environmentName = 'by-hand'
param emailDomain = 'example.com'
param linkEmailDomain = true
param emailSender = 'DoNotReply@MANAGED'
param emailPerMinute = '5'
param currentSettings = {
  EMAIL_SENDER: 'DoNotReply@MANAGED'
  EMAIL_PER_MINUTE: '5'
  EMAIL_PER_HOUR: '7'
}
"""
# The first of its two runs: until the new domain is verified, the old one goes on sending.
OWN_DOMAIN_FIRST = OWN_DOMAIN.replace("param linkEmailDomain = true\n", "")
# No sender of the service's stands for the mailbox that nobody named.
BY_GRAPH = """
using 'main.bicep'
param environmentName = 'by-hand'
param emailBackend = 'graph'
param emailDomain = 'example.com'
param linkEmailDomain = true
"""
OF_OWN_DOMAIN = {"EMAIL_PER_MINUTE": "30", "EMAIL_PER_HOUR": "7"}
FORBIDDEN = ("TABLES_CONNECTION_STRING", "functions_worker_runtime", "WEBSITE_AUTH_ENABLED")


def faults(compiler: Compiler) -> list[str]:
    """What is lost, doubled or deployed against the rules. Raises `InfraError`."""
    by_hand = _deployed(compiler, BY_HAND.replace("COMMUNICATION'", COMMUNICATION + "'"))
    own_domain = _deployed(compiler, OWN_DOMAIN.replace("MANAGED", MANAGED))
    found = [*_differences(by_hand, EXPECTED), *_differences(own_domain, OF_OWN_DOMAIN)]
    found += _differences(_deployed(compiler, BY_GRAPH), {"EMAIL_SENDER": ""})
    first = _resources(compiler, OWN_DOMAIN_FIRST.replace("MANAGED", MANAGED))
    linked = next(each for each in first if each["type"].endswith("/communicationServices"))["properties"][
        "linkedDomains"
    ]
    found += [] if [each.rpartition("/")[2] for each in linked] == ["AzureManagedDomain"] else [f"linked are {linked}"]
    found += [f"{name} is deployed" for name in FORBIDDEN if name in dict(by_hand)]
    sender = dict(own_domain)["EMAIL_SENDER"]
    # Its domain is known to Azure alone; what is asked for is that of the domain that is linked.
    return found if "/domains/example.com'" in sender else [*found, f"the sender of an own domain is {sender}"]


def _differences(listed: list[tuple[str, str]], expected: dict[str, str]) -> list[str]:
    settings = dict(listed)
    times = Counter(name.lower() for name, _ in listed)
    return [f"{name} comes twice" for name, count in times.items() if count > 1] + [
        f"{name} is {settings.get(name)!r}, not {value!r}"
        for name, value in expected.items()
        if settings.get(name) != value
    ]


def _deployed(compiler: Compiler, choices: str) -> list[tuple[str, str]]:
    app = next(each for each in _resources(compiler, choices) if each["type"] == "Microsoft.Web/sites")
    return [(each["name"], each["value"]) for each in app["properties"]["siteConfig"]["appSettings"]]


def _resources(compiler: Compiler, choices: str) -> list[dict[str, Any]]:
    scratch = ROOT / ".cache" / "bicep-by-hand"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(INFRA, scratch)
    main = scratch / "main.bicep"
    text = main.read_text("utf-8")
    open_text = re.sub(SECRET, r"\1", text)
    if open_text == text:
        raise InfraError("main.bicep: currentSettings is not a secret parameter any more")
    main.write_text(open_text, "utf-8")
    parameters = scratch / "by-hand.bicepparam"
    parameters.write_text(choices, "utf-8")
    told = compiler.snapshot(parameters, write=True)
    if told:
        raise InfraError(told)
    resources: list[dict[str, Any]] = json.loads((scratch / "by-hand.snapshot.json").read_text("utf-8"))[
        "predictedResources"
    ]
    return resources
