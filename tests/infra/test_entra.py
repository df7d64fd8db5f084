"""The programs that call the Azure CLI, on a stand-in for it: what they change; a second run changes nothing."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.rights import RIGHTS
from infra import app_settings, entra
from tests.infra.deployed import PLATFORM_SETS, app, of_type, parameters_given
from tests.infra.test_settings import FORBIDDEN, setting_of
from tests.rules.sources import ROOT

IDENTITY = "00000000-0000-0000-0000-00000000000c"
CLIENT_ID = "00000000-0000-0000-0000-00000000000b"
OWN_ID = "00000000-0000-0000-0000-00000000000d"


class Directory:
    """Microsoft Graph as `az rest` reaches it: applications, service principals, role assignments."""

    def __init__(self) -> None:
        self.applications: list[dict[str, Any]] = []
        self.principals: list[dict[str, Any]] = [
            {"id": "graph", "appId": entra.GRAPH_APP_ID},
            {"id": IDENTITY, "appId": CLIENT_ID},
        ]
        self.federated: list[dict[str, Any]] = []
        self.assigned: list[dict[str, Any]] = []
        self.changes: list[tuple[str, str]] = []
        # How many of a collection Graph gives at once.
        self.page = 100

    def __call__(self, command: Sequence[str]) -> str:
        if command[:3] == ["az", "account", "show"]:
            return json.dumps({"tenantId": "00000000-0000-0000-0000-00000000000e"})
        options = dict(zip(command[2::2], command[3::2], strict=True))
        assert command[:2] == ["az", "rest"]
        assert options["--url"].startswith("https://graph.microsoft.com/v1.0/")
        body = json.loads(Path(options["--body"][1:]).read_text("utf-8")) if "--body" in options else None
        parts = urlsplit(options["--url"])
        path = parts.path.removeprefix("/v1.0")
        return json.dumps(self._answer(options["--method"], path, parts.query, body))

    def _answer(self, method: str, path: str, query: str, body: Any) -> Any:
        if method != "get":
            self.changes.append((method, path))
        if path.endswith("/federatedIdentityCredentials"):
            # Graph refuses a second one of a name, and lets nobody change a name.
            assert method == "get" or body["name"] not in {each["name"] for each in self.federated}
            return self._collection(self.federated, method, path, query, body)
        if path.endswith("/appRoleAssignedTo"):
            return self._collection(self.assigned, method, path, query, body)
        if path == "/me":
            return {"id": OWN_ID}
        kind = self.applications if path.startswith("/applications") else self.principals
        if path.count("/") > 1:
            (found,) = [each for each in kind if each["id"] == path.rpartition("/")[2]]
            found.update(body or {})
            return found
        if method == "post":
            return self._new(kind, body)
        ((name, value),) = re.findall(r"\$filter=(\w+) eq '([^']+)'", query)
        return self._paged([each for each in kind if each.get(name) == value], path, query)

    def _new(self, kind: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        number = len(self.applications) + len(self.principals)
        kind.append({"id": f"object-{number}", "appId": f"client-{number}", **body})
        return kind[-1]

    def _collection(self, kept: list[dict[str, Any]], method: str, path: str, query: str, body: Any) -> Any:
        if method == "post":
            kept.append(body)
            return body
        return self._paged(kept, path, query)

    def _paged(self, found: list[dict[str, Any]], path: str, query: str) -> dict[str, Any]:
        """One page, and where the next one is."""
        asked, _, begins = query.partition("$skiptoken=")
        begin = int(begins or 0)
        end = begin + self.page
        after = f"{entra.GRAPH}{path}?{asked}$skiptoken={end}"
        return {"value": found[begin:end]} | ({"@odata.nextLink": after} if end < len(found) else {})


def run(directory: Directory, *arguments: str) -> None:
    parsed = entra.parsed([*arguments])
    entra.COMMANDS[parsed.command](directory, parsed)


REGISTER = (
    *("register", "--yes", "--address", "https://emergency.example.com"),
    *("--identity-object-id", IDENTITY, "--admin", "me"),
)


def test_the_roles_are_those_that_the_routes_ask_for() -> None:
    asked = {f"EmergencyCalling.{role.capitalize()}" for role in ("agent", "supervisor", "admin", "machine")}
    assert set(entra.ROLES) == asked
    assert RIGHTS
    ids = [role_id for role_id, *_ in entra.ROLES.values()]
    assert len(set(ids)) == len(ids)
    assert entra.ROLES["EmergencyCalling.Machine"][2] == ("Application",)


def test_a_registration_is_made_whole(capsys: pytest.CaptureFixture[str]) -> None:
    directory = Directory()
    run(directory, *REGISTER)
    (application,) = directory.applications
    assert application["signInAudience"] == "AzureADMyOrg"
    assert application["api"]["requestedAccessTokenVersion"] == 2
    assert [each["value"] for each in application["appRoles"]] == list(entra.ROLES)
    assert application["identifierUris"] == [f"api://{application['appId']}"]
    assert application["web"]["redirectUris"] == ["https://emergency.example.com/.auth/login/aad/callback"]
    assert "passwordCredentials" not in application
    (vouching,) = directory.federated
    assert (vouching["subject"], vouching["audiences"]) == (IDENTITY, ["api://AzureADTokenExchange"])
    principal = directory.principals[-1]
    assert principal["appRoleAssignmentRequired"] is True
    assert directory.assigned == [{"principalId": OWN_ID, "resourceId": principal["id"], "appRoleId": entra.ADMIN_ROLE}]
    assert f"AUTH_CLIENT_ID={application['appId']}" in capsys.readouterr().out


def test_a_second_run_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    directory = Directory()
    run(directory, *REGISTER)
    directory.changes.clear()
    capsys.readouterr()
    run(directory, *REGISTER)
    assert directory.changes == []
    assert "nothing to change" in capsys.readouterr().out


def test_what_stands_on_a_later_page_is_there() -> None:
    """Graph gives a hundred assignments at once: the administrators of a large tenant stand behind its agents."""
    directory = Directory()
    run(directory, *REGISTER)
    principal = directory.principals[-1]["id"]
    role_id = entra.ROLES["EmergencyCalling.Agent"][0]
    directory.assigned[:0] = [
        {"principalId": f"agent-{number}", "resourceId": principal, "appRoleId": role_id} for number in range(5)
    ]
    directory.federated[:0] = [{"name": f"other-{number}", "subject": f"other-{number}"} for number in range(5)]
    directory.page = 2
    directory.changes.clear()
    run(directory, *REGISTER)
    assert directory.changes == []


def test_two_registrations_of_a_name_on_two_pages_are_nobodys_choice_either() -> None:
    directory = Directory()
    directory.page = 1
    directory.applications = [{"id": each, "appId": each, "displayName": entra.NAME} for each in ("a", "b")]
    with pytest.raises(entra.CommandError, match="2 registrations"):
        run(directory, *REGISTER)


def test_a_second_deployment_of_one_registration_is_vouched_for_too() -> None:
    """Rebuilt beside the first, or in another region: its identity is another one."""
    directory = Directory()
    run(directory, *REGISTER)
    directory.federated[0]["name"] = "managed-identity"
    other = "00000000-0000-0000-0000-0000000000ff"
    for _ in range(2):
        run(directory, *REGISTER[:-4], "--identity-object-id", other)
    assert [each["subject"] for each in directory.federated] == [IDENTITY, other]


def test_a_machine_gets_the_role_of_machines() -> None:
    directory = Directory()
    for _ in range(2):
        run(directory, *REGISTER, "--machine", IDENTITY)
    roles = [(each["principalId"], each["appRoleId"]) for each in directory.assigned]
    assert roles == [(OWN_ID, entra.ADMIN_ROLE), (IDENTITY, entra.MACHINE_ROLE)]


def test_what_somebody_changed_is_put_right_and_what_is_theirs_stays() -> None:
    directory = Directory()
    run(directory, *REGISTER)
    (application,) = directory.applications
    own = {"id": "own", "value": "Own.Role"}
    application["appRoles"] = [own, *application["appRoles"][:2]]
    application["api"]["requestedAccessTokenVersion"] = None
    run(directory, *REGISTER)
    assert [each["value"] for each in application["appRoles"]] == ["Own.Role", *entra.ROLES]
    assert application["api"]["requestedAccessTokenVersion"] == 2


def test_a_page_gets_a_token_of_whoever_uses_it() -> None:
    """Entra gives a page no token of a registration without a scope; the documented page asks for this one."""
    directory = Directory()
    run(directory, *REGISTER, "--client", "softphone")
    (application,) = directory.applications
    (scope,) = application["api"]["oauth2PermissionScopes"]
    assert (scope["value"], scope["type"], scope["isEnabled"]) == ("user_impersonation", "User", True)
    asked = re.findall(r'scopes: \["api://([\w-]+)/(\w+)"\]', (ROOT / "docs" / "pages.md").read_text("utf-8"))
    assert asked == [("CLIENT_ID", scope["value"])]
    # `az account get-access-token` is how an administrator drills and imports from a shell.
    allowed = {
        each["appId"]: each["delegatedPermissionIds"] for each in application["api"]["preAuthorizedApplications"]
    }
    assert allowed == {"04b07795-8ddb-461a-bbee-02f9e1bf7b46": [scope["id"]], "softphone": [scope["id"]]}


def test_a_registration_without_a_scope_gets_one_and_keeps_what_it_has() -> None:
    directory = Directory()
    run(directory, *REGISTER)
    (application,) = directory.applications
    own = {"id": "own", "value": "Own.Scope"}
    application["api"] = {
        "requestedAccessTokenVersion": 2,
        "oauth2PermissionScopes": [own],
        "preAuthorizedApplications": [{"appId": "other", "delegatedPermissionIds": ["own"]}],
    }
    run(directory, *REGISTER)
    assert [each["value"] for each in application["api"]["oauth2PermissionScopes"]] == ["Own.Scope", entra.SCOPE]
    assert [each["appId"] for each in application["api"]["preAuthorizedApplications"]] == ["other", entra.AZURE_CLI]
    # One of that name which App Service made, under an id of its own, is as good: there cannot be two.
    application["api"] = {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [own | {"value": entra.SCOPE}]}
    run(directory, *REGISTER)
    assert [each["id"] for each in application["api"]["oauth2PermissionScopes"]] == ["own"]
    directory.changes.clear()
    run(directory, *REGISTER)
    assert directory.changes == []


def test_nothing_is_changed_before_it_was_said_and_confirmed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = "import sys; from infra import entra; entra.confirm(['make something'], entra.parsed(['register']))"
    done = subprocess.run(
        [sys.executable, "-c", program], input="\n", capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode != 0
    assert "make something" in done.stdout
    assert "nothing was changed" in done.stderr


def test_two_registrations_of_a_name_are_nobodys_choice() -> None:
    directory = Directory()
    directory.applications = [{"id": each, "appId": each, "displayName": entra.NAME} for each in ("a", "b")]
    with pytest.raises(entra.CommandError, match="2 registrations"):
        run(directory, *REGISTER)


def test_azd_keeps_the_registration_that_its_environment_names() -> None:
    """Whichever it is: another name, or the form's. Whoever runs azd needs no rights in Entra then."""

    def refused(command: Sequence[str]) -> str:
        raise AssertionError(command)

    arguments = entra.parsed(["register", "--admin", "me", "--azd", "--auth-client-id", CLIENT_ID])
    entra.register(refused, arguments)


def test_azd_says_that_a_registration_is_shared(capsys: pytest.CaptureFixture[str]) -> None:
    """A trial of the same tenant finds production's by its name, and with it everybody's roles."""
    directory, named = Directory(), {}

    def call(command: Sequence[str]) -> str:
        if command[:3] == ["azd", "env", "set"]:
            named[command[3]] = command[4]
            return ""
        return directory(command)

    for said in (False, True):
        entra.register(call, entra.parsed(["register", "--yes", "--azd", "--auth-client-id", ""]))
        assert ("in every app that uses it" in capsys.readouterr().out) is said
        assert named == {"AUTH_CLIENT_ID": directory.applications[0]["appId"]}


def test_the_identity_gets_its_rights_in_graph_once(capsys: pytest.CaptureFixture[str]) -> None:
    directory = Directory()
    for _ in range(2):
        run(directory, "graph", "--yes", "--identity-object-id", IDENTITY, "--presence", "--mail-from", "a@example.com")
    expected = {"principalId": IDENTITY, "resourceId": "graph", "appRoleId": entra.PRESENCE_READ_WRITE_ALL}
    assert directory.assigned == [expected]
    said = capsys.readouterr().out
    assert "Application Mail.Send" in said
    assert f"New-ServicePrincipal -AppId {CLIENT_ID} -ObjectId {IDENTITY}" in said
    assert "a@example.com" in said


def test_dynamics_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    run(Directory(), "dynamics", "--identity-client-id", IDENTITY)
    assert IDENTITY in capsys.readouterr().out


@pytest.mark.parametrize(
    "program", ["entra.py", "app_settings.py", "package.py", "live.py", "button.py", "parameters.py"]
)
def test_every_program_says_what_it_does(program: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "infra" / program), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 5


# The settings as they are ---------------------------------------------------------------------------------------------


def present(settings: dict[str, str]) -> app_settings.Run:
    def call(command: Sequence[str]) -> str:
        assert command[:5] == ["az", "functionapp", "config", "appsettings", "list"]
        return json.dumps([{"name": name, "value": value} for name, value in settings.items()])

    return call


# So that no other gate than the one at hand has something to say.
NUMBERS = {"CALLBACK_NUMBERS": "+14255550101", "FALLBACK_CALLBACK_NUMBER": "+14255550100"}
HERE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Communication/communicationServices/"
TOPIC = "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventGrid/topics/t"


def what_if(*names: str, state: str = "https://a.table.example.com/", telephony: str = "s/g/a") -> dict[str, Any]:
    """What would be deployed, its settings readable."""
    after = {
        "tags": {"emergency-state": state, "emergency-communication": telephony},
        "properties": {"siteConfig": {"appSettings": [{"name": name, "value": "x"} for name in names]}},
    }
    return {"changes": [{"resourceId": "/subscriptions/s/providers/Microsoft.Web/sites/func-1", "after": after}]}


# In place of the list: as a snapshot shows it where `currentSettings` is given, or what stands for a secret.
HIDDEN = ("[concat(unknown(), createArray(createObject('name', 'EMAIL_SENDER', 'value', '')))]", "*******")


def hiding(shown: str, planned: dict[str, Any]) -> dict[str, Any]:
    """The same deployment where secure values go into the list of settings."""
    planned["changes"][0]["after"]["properties"]["siteConfig"]["appSettings"] = shown
    return planned


def asked(tmp_path: Path, planned: dict[str, Any] | None) -> argparse.Namespace:
    file = tmp_path / "what-if.json"
    file.write_text(json.dumps(planned), "utf-8")
    return argparse.Namespace(
        app="func-1", resource_group="group", subscription="", what_if=file if planned else None, azd=False
    )


def test_a_setting_that_would_vanish_stops_the_deployment(tmp_path: Path) -> None:
    now = present({"OWN": "secret-value", "CALLBACK_NUMBERS": "+14255550101"})
    told = app_settings.gate(now, asked(tmp_path, what_if("CALLBACK_NUMBERS")), NUMBERS)
    assert len(told) == 1
    assert told[0].startswith("OWN would vanish")
    assert "secret-value" not in told[0]
    assert app_settings.gate(now, asked(tmp_path, what_if("callback_numbers", "Own")), NUMBERS) == []


@pytest.mark.parametrize("name", NUMBERS)
def test_a_deployment_that_leaves_callers_without_numbers_stops(name: str, tmp_path: Path) -> None:
    neither = {each: value for each, value in NUMBERS.items() if each != name}
    told = app_settings.gate(present(neither | {name: " "}), asked(tmp_path, what_if(*NUMBERS)), {})
    assert [each.split()[0] for each in told] == [name]
    # Given or there already: either will do.
    assert app_settings.gate(present(neither), asked(tmp_path, what_if(*NUMBERS)), NUMBERS) == []
    assert app_settings.gate(present(NUMBERS), asked(tmp_path, what_if(*NUMBERS)), {}) == []


@pytest.mark.parametrize("shown", HIDDEN)
def test_settings_that_a_what_if_hides_are_judged_by_what_is_handed_over(shown: str, tmp_path: Path) -> None:
    """The parameter file always hands them over, as a secure parameter: so it is with every run of the workflow."""
    now = NUMBERS | {"OWN": "secret-value", "TABLES_ENDPOINT": "https://a.table.example.com/"}
    arguments = asked(tmp_path, hiding(shown, what_if()))
    assert app_settings.gate(present(now), arguments, {"CURRENT_SETTINGS": json.dumps(now)}) == []
    assert "hides the settings" in app_settings.passed(arguments)
    stale = {"CURRENT_SETTINGS": json.dumps({name.lower(): value for name, value in now.items() if name != "OWN"})}
    (told,) = app_settings.gate(present(now), arguments, stale)
    assert told.startswith("OWN would vanish")
    for nothing in ({}, {"CURRENT_SETTINGS": "{}"}):
        assert len(app_settings.gate(present(now), arguments, nothing)) == len(now)
    for wrong in ("none", "[1]", "7"):
        with pytest.raises(app_settings.CommandError, match=r"app_settings\.py read"):
            app_settings.gate(present(now), arguments, {"CURRENT_SETTINGS": wrong})


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(
    ("name", "now", "planned", "stops"),
    [
        ("TABLES_ENDPOINT", "https://a.table.example.com/", "https://A.table.example.com", False),
        ("TABLES_ENDPOINT", "https://a.table.example.com/", "https://a.table.", False),
        ("TABLES_ENDPOINT", "https://a.table.example.com/", "https://b.table.example.com/", True),
        ("TABLES_ENDPOINT", "https://a.table.example.com/", "https://b.table.", True),
        ("TABLES_ENDPOINT", "https://a.table.example.com/", "[parameters('existingStateEndpoint')]", True),
        ("TABLES_ENDPOINT", "", "https://b.table.example.com/", False),
        ("EVENT_SOURCES", f"{HERE}a", "S/g/A", False),
        ("EVENT_SOURCES", f"{TOPIC}; {HERE}a/", "s/g/a", False),
        ("EVENT_SOURCES", f"{HERE}a", "s/g/b", True),
        ("EVENT_SOURCES", f"{HERE}a", "s/h/a", True),
        ("EVENT_SOURCES", f"{HERE}a", "[unknown()]", True),
        ("EVENT_SOURCES", "", "s/g/b", False),
    ],
)
def test_a_deployment_that_would_leave_the_state_or_the_numbers_behind_stops(
    name: str, now: str, planned: str, stops: bool, hidden: bool, tmp_path: Path
) -> None:
    """With the parameters of another environment everything else looks as it should."""
    place = {"state" if name == "TABLES_ENDPOINT" else "telephony": planned}
    what = what_if(*NUMBERS, name, **place)
    settings = NUMBERS | {name: now}
    given = {"CURRENT_SETTINGS": json.dumps(settings)}
    told = app_settings.gate(present(settings), asked(tmp_path, hiding(HIDDEN[0], what) if hidden else what), given)
    assert [each.split()[0] for each in told] == ([name] if stops else [])
    assert "example.com" not in "".join(told)


def test_where_a_what_if_does_not_say_where_the_state_is_that_is_said(tmp_path: Path) -> None:
    what = what_if(*NUMBERS, "TABLES_ENDPOINT", "EVENT_SOURCES")
    del what["changes"][0]["after"]["tags"]
    settings = NUMBERS | {"TABLES_ENDPOINT": "https://a.table.example.com/", "EVENT_SOURCES": f"{HERE}a"}
    told = app_settings.gate(present(settings), asked(tmp_path, what), {})
    assert [each.split(":")[0] for each in told] == [
        "TABLES_ENDPOINT was not compared",
        "EVENT_SOURCES was not compared",
    ]


class Azd:
    """The two command lines as azd's hooks use them: apps of a subscription, their settings, and what azd was told."""

    def __init__(self, *apps: tuple[str, str, dict[str, str]], settings: Mapping[str, str] | None = None) -> None:
        self.apps = [{"name": name, "resourceGroup": group, "tags": tags} for name, group, tags in apps]
        self.settings = settings or {}
        self.signs_in_with: str | None = None
        self.told: dict[str, str] = {}
        self.subscriptions: set[str | None] = set()

    def __call__(self, command: Sequence[str]) -> str:
        if command[:3] == ["azd", "env", "set"]:
            self.told[command[3]] = command[4]
            return ""
        if command[:2] == ["az", "rest"]:
            return json.dumps(self._sign_in(command[-1]))
        self.subscriptions.add(command[command.index("--subscription") + 1] if "--subscription" in command else None)
        if command[:3] == ["az", "functionapp", "list"]:
            return json.dumps(self.apps)
        assert command[:5] == ["az", "functionapp", "config", "appsettings", "list"]
        settings = {"ASKED": command[command.index("--name") + 1], **self.settings}
        return json.dumps([{"name": name, "value": value} for name, value in settings.items()])

    def _sign_in(self, address: str) -> dict[str, Any]:
        assert re.fullmatch(r"/subscriptions/s-1/resourceGroups/g-1/.*/sites/func-1/config/authsettingsV2\?.*", address)
        if self.signs_in_with is None:
            return {"properties": {"platform": {"enabled": False}, "identityProviders": None}}
        entra_id = {"registration": {"clientId": self.signs_in_with}}
        return {"properties": {"identityProviders": {"azureActiveDirectory": entra_id}}}


def azd_environment(app: str = "", group: str = "") -> argparse.Namespace:
    return argparse.Namespace(app=app, resource_group=group, environment="production", subscription="s-1", azd=True)


TOLD = {"ALERT_EMAILS": "desk@example.com"}
OURS = {"azd-env-name": "production", "azd-service-name": "api"}


def test_a_fresh_environment_of_azd_finds_the_app_that_is_there() -> None:
    """Of a colleague, or after the button: it knows no app yet, and its deployment would empty every setting."""
    apps: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("func-1", "g-1", OURS),
        ("func-2", "g-2", OURS | {"azd-env-name": "trial"}),
        ("web", "g-3", {}),
    )
    azd = Azd(*apps)
    app_settings.read(azd, azd_environment(group="G-1"), TOLD)
    assert json.loads(azd.told["CURRENT_SETTINGS"]) == {"ASKED": "func-1"}
    assert azd.subscriptions == {"s-1"}
    for group in ("g-2", "g-3"):
        nothing = Azd(*apps)
        app_settings.read(nothing, azd_environment(group=group), TOLD)
        assert nothing.told == {}
    # Which of two deployments of one name is meant says the group alone.
    with pytest.raises(app_settings.CommandError, match=r"AZURE_RESOURCE_GROUP.*func-1 in g-1"):
        app_settings.read(Azd(*apps), azd_environment(), TOLD)
    app_settings.read(Azd(*apps[1:]), azd_environment(), TOLD)


MANAGED = "AzureComm.net"
ELSEWHERE = HERE.replace("/s/", "/s-9/") + "Numbers"
OWN_RESOURCE = HERE.replace("/s/", "/s-1/").replace("/g/", "/g-1/") + "acs-1"
OWN_TABLES, OWN_COSMOS = "https://ststate1.table.core.windows.net/", "https://cosmos-1.table.cosmos.azure.com:443/"
OTHER_TABLES = "https://tables.example.com/"


@pytest.mark.parametrize(
    ("now", "chosen"),
    [
        (
            {"EVENT_SOURCES": f"{TOPIC};{ELSEWHERE}", "TABLES_ENDPOINT": OWN_TABLES},
            {"EXISTING_COMMUNICATION_SERVICE_ID": ELSEWHERE},
        ),
        ({"EVENT_SOURCES": OWN_RESOURCE, "TABLES_ENDPOINT": OWN_COSMOS}, {"USE_COSMOS": "true"}),
        ({"EVENT_SOURCES": OWN_RESOURCE, "TABLES_ENDPOINT": OTHER_TABLES}, {"EXISTING_STATE_ENDPOINT": OTHER_TABLES}),
        ({"EVENT_SOURCES": OWN_RESOURCE, "TABLES_ENDPOINT": OWN_TABLES}, {}),
    ],
)
def test_azd_leaves_state_and_telephony_where_they_are(now: dict[str, str], chosen: dict[str, str]) -> None:
    """An environment that lacks what another one chose would take the templates' defaults: another place for both."""
    ours = azd_environment(app="func-1", group="G-1")
    azd = Azd(settings=now)
    app_settings.read(azd, ours, TOLD | chosen)
    assert json.loads(azd.told["CURRENT_SETTINGS"])["ASKED"] == "func-1"
    others: list[dict[str, str]] = [
        {},
        {"EXISTING_COMMUNICATION_SERVICE_ID": f"{HERE}b", "USE_COSMOS": "true"},
        {"EXISTING_COMMUNICATION_SERVICE_ID": "acs-1", "EXISTING_STATE_ENDPOINT": "https://other.example.com/"},
    ]
    for other in others[0 if chosen else 1 :]:
        wrong = Azd(("func-1", "g-1", OURS), settings=now)
        # Known by its tags or by its name.
        for environment in (azd_environment(group="g-1"), ours):
            with pytest.raises(app_settings.CommandError) as refused:
                app_settings.read(wrong, environment, TOLD | other)
        assert wrong.told == {}
        set_by = dict(re.findall(r"azd env set (\w+) '?([^'\n]*)'?", str(refused.value)))
        # What it says to set is what was chosen.
        assert {name: value for name, value in set_by.items() if value not in ("", "false")} == chosen
        app_settings.read(Azd(settings=now), ours, TOLD | other | set_by)


def test_azd_leaves_an_app_that_it_does_not_know_yet_its_registration() -> None:
    """Tokens of all desktops are for the one that the app has; azd's first hook names the default one."""
    azd = Azd(("func-1", "g-1", OURS))
    azd.signs_in_with = CLIENT_ID
    with pytest.raises(app_settings.CommandError, match=f"azd env set AUTH_CLIENT_ID {CLIENT_ID}"):
        app_settings.read(azd, azd_environment(group="g-1"), TOLD | {"AUTH_CLIENT_ID": OWN_ID})
    assert azd.told == {}
    # The same one, none, which leaves what is configured, and a choice for an app that this environment deployed.
    for environment, chosen in (("", CLIENT_ID.upper()), ("", ""), ("func-1", OWN_ID)):
        azd.told.clear()
        app_settings.read(azd, azd_environment(environment, "g-1"), TOLD | {"AUTH_CLIENT_ID": chosen})
        assert azd.told
    azd.signs_in_with = None
    app_settings.read(azd, azd_environment(group="g-1"), TOLD | {"AUTH_CLIENT_ID": OWN_ID})


@pytest.mark.parametrize("name", PLATFORM_SETS)
def test_what_azd_would_deploy_is_what_the_template_says(name: str) -> None:
    """Both tags: a hook of azd has no what-if to read them in."""
    deployed, given = app(name), parameters_given(name)
    chosen = {
        setting_of(parameter): given.get(parameter, "") for parameter in given if parameter.startswith("existing")
    }
    chosen["USE_COSMOS"] = str(bool(of_type(name, "Microsoft.DocumentDB/databaseAccounts"))).lower()
    planned = app_settings.planned_tags(
        deployed["name"], "emergency-calling", "00000000-0000-0000-0000-000000000001", chosen
    )
    tags = {tag: deployed["tags"][tag] for tag in (app_settings.STATE_TAG, app_settings.COMMUNICATION_TAG)}
    assert {tag: value.lower() for tag, value in planned.items()} == {tag: value.lower() for tag, value in tags.items()}


@pytest.mark.parametrize(
    ("now", "given", "stops"),
    [
        ({"EMAIL_SENDER": "donotreply@example.com"}, {}, True),
        ({"EMAIL_SENDER": "donotreply@example.com"}, {"EMAIL_DOMAIN": "example.com"}, False),
        ({"EMAIL_SENDER": "donotreply@example.com"}, {"EXISTING_COMMUNICATION_SERVICE_ID": OWN_RESOURCE}, False),
        ({"EMAIL_SENDER": "desk@example.com", "EMAIL_BACKEND": "graph"}, {}, False),
        ({"EMAIL_SENDER": "desk@example.com", "EMAIL_BACKEND": "graph"}, {"EMAIL_BACKEND": "acs"}, True),
        ({"EMAIL_SENDER": f"DoNotReply@0000.{MANAGED}"}, {}, False),
        ({}, {}, False),
    ],
)
def test_a_deployment_that_would_unlink_the_senders_domain_stops(
    now: dict[str, str], given: dict[str, str], stops: bool, tmp_path: Path
) -> None:
    """A resource of the deployment's own has the domains that the parameters name, and no others."""
    planned = what_if(*NUMBERS, *now)
    told = app_settings.gate(present(NUMBERS | now), asked(tmp_path, planned), NUMBERS | given)
    assert [each.split()[0] for each in told] == (["EMAIL_SENDER"] if stops else [])
    azd = Azd(settings=now)
    if stops:
        with pytest.raises(app_settings.CommandError, match="EMAIL_DOMAIN"):
            app_settings.read(azd, azd_environment(app="func-1", group="g-1"), TOLD | given)
    else:
        app_settings.read(azd, azd_environment(app="func-1", group="g-1"), TOLD | given)
    assert bool(azd.told) is not stops


@pytest.mark.parametrize("given", [{}, {"ALERT_EMAILS": ""}, {"ALERT_EMAILS": " ; "}])
def test_azd_deploys_no_alert_without_anybody_who_is_told(given: dict[str, str]) -> None:
    azd = Azd(("func-1", "g-1", OURS))
    with pytest.raises(app_settings.CommandError, match="azd env set ALERT_EMAILS"):
        app_settings.read(azd, azd_environment(group="g-1"), given)
    assert azd.told == {}


def test_azd_keeps_no_setting_in_its_file() -> None:
    """Not what was read, which may be a secret; and not what was given, which would undo what is set by hand later."""
    azd = Azd()
    app_settings.forget(azd, {"CALLBACK_NUMBERS": "+14255550101", "TIME_ZONE": "", "EMAIL_DOMAIN": "example.com"})
    assert azd.told == {"CURRENT_SETTINGS": "{}", "CALLBACK_NUMBERS": ""}


def test_a_deployment_of_something_else_stops_too(tmp_path: Path) -> None:
    assert app_settings.gate(present({}), asked(tmp_path, {"changes": []}), NUMBERS)
    unread = what_if("A")
    del unread["changes"][0]["after"]["properties"]["siteConfig"]["appSettings"]
    (told,) = app_settings.gate(present({}), asked(tmp_path, unread), NUMBERS)
    assert "FullResourcePayloads" in told
    # What lies in the group and is not deployed is shown too.
    beside = what_if("A")
    beside["changes"][0]["changeType"] = "Ignore"
    (told,) = app_settings.gate(present({}), asked(tmp_path, beside), NUMBERS)
    assert told.startswith("the deployment does not name func-1")


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_a_forbidden_setting_stops_the_deployment(name: str, tmp_path: Path) -> None:
    assert app_settings.gate(present({name.lower(): "1"}), asked(tmp_path, None), {})


def test_a_gate_without_a_what_if_says_that_it_saw_none(tmp_path: Path) -> None:
    unseen, seen = (app_settings.passed(asked(tmp_path, planned)) for planned in (None, what_if(*NUMBERS)))
    assert "not looked at" in unseen and "--what-if" in unseen
    assert seen == "no setting would vanish, and none is forbidden"


def test_the_present_settings_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    asked = argparse.Namespace(app="f", resource_group="g", subscription="", azd=False)
    app_settings.read(present({"B": "2", "A": "1"}), asked, {})
    assert json.loads(capsys.readouterr().out) == {"A": "1", "B": "2"}
    app_settings.read(Azd(), azd_environment(), TOLD)
    assert "nothing to keep" in capsys.readouterr().out
