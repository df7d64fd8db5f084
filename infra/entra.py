"""The app registration, its roles, and the first administrator; what the app's identity may do in Microsoft Graph.

    python infra/entra.py register [--name NAME] [--address URL] [--identity-object-id ID] [--admin me|OBJECT_ID]
                                   [--machine OBJECT_ID] [--client CLIENT_ID]
    python infra/entra.py graph --identity-object-id ID [--presence] [--mail-from ADDRESS]
    python infra/entra.py dynamics --identity-client-id ID

`register` makes the registration that people and machines sign in with, or puts an existing one right: four app roles
with fixed ids, the scope `user_impersonation`, tokens of version 2, no secret. `--client` names the registration of a
page that asks for tokens of its users, so that Entra asks none of them; Azure CLI may always. It prints AUTH_CLIENT_ID;
with `--azd` it puts that into azd's environment, and does nothing where that environment names a registration already.
A registration is known by its name, and all apps that use it share its roles: a trial beside production wants a
`--name` of its own. `graph` gives the managed identity Presence.ReadWrite.All, and says how Mail.Send is kept to one
mailbox.
`dynamics` says what only an administrator of Dynamics 365 can do. Each run says what it would change, asks (unless
`--yes` is given), and changes only what is not right yet: a second run changes nothing. It calls the Azure CLI, `az`,
with the rights of whoever runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "Emergency calling"
GRAPH = "https://graph.microsoft.com/v1.0"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
# Microsoft's own id of this application permission.
PRESENCE_READ_WRITE_ALL = "83cded22-8297-4ff6-a7fa-e97e9545a259"
FEDERATION = "managed-identity"
ROUNDS = 3
# Fixed, so that every environment and every run means the same role by the same id.
ROLES = {
    "EmergencyCalling.Agent": (
        "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e01",
        "Reports emergency calls of their own",
        ("User", "Application"),
    ),
    "EmergencyCalling.Supervisor": (
        "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e02",
        "Reads emergencies, agents, sites, readiness and numbers; releases agents",
        ("User", "Application"),
    ),
    "EmergencyCalling.Admin": (
        "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e03",
        "Administers agents, sites, templates and drills",
        ("User", "Application"),
    ),
    "EmergencyCalling.Machine": (
        "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e04",
        "Desktops' back ends and recorders",
        ("Application",),
    ),
}
# Without a scope Entra gives nobody's page a token: roles alone serve machines and the app's own sign-in. The name is
# the one that App Service gives.
SCOPE, SCOPE_ID = "user_impersonation", "4d9c1a52-5f3e-4c1b-8a60-0b7f2d5c9e05"
# Microsoft's own id of Azure CLI, by which administrators get a token in a shell.
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ADMIN_ROLE = ROLES["EmergencyCalling.Admin"][0]
MACHINE_ROLE = ROLES["EmergencyCalling.Machine"][0]

type Run = Callable[[Sequence[str]], str]


class CommandError(Exception):
    """The Azure CLI refused; the message is its own."""


@dataclass(frozen=True)
class Step:
    """Something that is not right yet."""

    words: str
    method: str
    path: str
    body: dict[str, Any]


def main() -> None:
    """Register, grant or tell."""
    arguments = parsed(sys.argv[1:])
    try:
        COMMANDS[arguments.command](run, arguments)
    except CommandError as error:
        sys.exit(str(error))


def run(command: Sequence[str]) -> str:
    """What a command prints. Raises `CommandError`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be started: {error.strerror}") from None
    if done.returncode:
        raise CommandError(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout


def graph(call: Run, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request to Microsoft Graph. Raises `CommandError`."""
    command = [
        "az",
        "rest",
        "--method",
        method,
        "--url",
        f"{GRAPH}{path}",
        "--headers",
        "Content-Type=application/json",
    ]
    if body is None:
        return _document(call(command))
    # By a file: a command line is seen by others of the machine, and quoting differs between shells.
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "body.json"
        file.write_text(json.dumps(body), "utf-8")
        return _document(call([*command, "--body", f"@{file}"]))


def collection(call: Run, path: str) -> list[dict[str, Any]]:
    """All that Microsoft Graph has under a path: it gives a page at a time. Raises `CommandError`."""
    found: list[dict[str, Any]] = []
    while path:
        page = graph(call, "get", path)
        found += page["value"]
        path = page.get("@odata.nextLink", "").removeprefix(GRAPH)
    return found


def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text) if text.strip() else {}
    return document


def register(call: Run, arguments: argparse.Namespace) -> None:
    """Make the registration, or put it right."""
    if arguments.azd and arguments.auth_client_id:
        print(f"AUTH_CLIENT_ID={arguments.auth_client_id} stays: no registration was looked at")
        return
    found = collection(call, f"/applications?$filter=displayName eq '{arguments.name}'")
    if len(found) > 1:
        raise CommandError(f"there are {len(found)} registrations named {arguments.name}: choose another name")
    application = found[0] if found else None
    if application is None:
        confirm([f"make the app registration {arguments.name} with four roles, for this tenant alone"], arguments)
        application = graph(call, "post", "/applications", manifest(arguments.name, arguments.address))
    elif arguments.azd:
        print(SHARED.format(name=arguments.name))
    # A role can be given only when the service principal is there: a second round, and a third that finds nothing.
    for _ in range(ROUNDS):
        if not apply(call, list(registration_steps(call, application, arguments)), arguments):
            break
        application = graph(call, "get", f"/applications/{application['id']}")
    client_id = application["appId"]
    print(f"AUTH_CLIENT_ID={client_id}")
    if arguments.azd:
        call(["azd", "env", "set", "AUTH_CLIENT_ID", client_id])


def manifest(name: str, address: str | None) -> dict[str, Any]:
    """The registration as it is made."""
    return {
        "displayName": name,
        "signInAudience": "AzureADMyOrg",
        "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [scope()]},
        "appRoles": [role(value) for value in ROLES],
        "web": web(address),
        # Tells a token of a machine from one of a person.
        "optionalClaims": {"accessToken": [{"name": "idtyp", "essential": False}]},
    }


def role(value: str) -> dict[str, Any]:
    """One app role as Microsoft Graph has it."""
    role_id, description, members = ROLES[value]
    return {
        "id": role_id,
        "value": value,
        "displayName": value.partition(".")[2],
        "description": description,
        "allowedMemberTypes": list(members),
        "isEnabled": True,
    }


def scope() -> dict[str, Any]:
    """What a page asks for in the name of whoever uses it, as Microsoft Graph has it. Their role says what they may."""
    words = "Report emergency calls and use the emergency panel as the person who is signed in"
    return {
        "id": SCOPE_ID,
        "value": SCOPE,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": NAME,
        "adminConsentDescription": words,
        "userConsentDisplayName": NAME,
        "userConsentDescription": words,
    }


def web(address: str | None) -> dict[str, Any]:
    """Where a browser comes back to after it has signed in."""
    back = [f"{address.rstrip('/')}/.auth/login/aad/callback"] if address else []
    return {"redirectUris": back, "implicitGrantSettings": {"enableIdTokenIssuance": bool(back)}}


def registration_steps(call: Run, application: dict[str, Any], arguments: argparse.Namespace) -> Iterator[Step]:
    """What of a registration is not right yet."""
    object_id, client_id = application["id"], application["appId"]
    wrong = differences(application, manifest(arguments.name, arguments.address), keep_web=not arguments.address)
    if f"api://{client_id}" not in application.get("identifierUris", ()):
        wrong["identifierUris"] = [*application.get("identifierUris", ()), f"api://{client_id}"]
    if wrong:
        yield Step(f"put right: {', '.join(sorted(wrong))}", "patch", f"/applications/{object_id}", wrong)
    if "api" not in wrong:
        yield from consent_steps(application, [AZURE_CLI, *(arguments.client or ())])
    if arguments.identity_object_id:
        yield from federation_steps(call, object_id, arguments.identity_object_id)
    principal = service_principal(call, client_id)
    if principal is None:
        yield Step(
            "make its service principal; only whoever has a role may sign in",
            "post",
            "/servicePrincipals",
            {
                "appId": client_id,
                "appRoleAssignmentRequired": True,
            },
        )
        return
    if not principal.get("appRoleAssignmentRequired"):
        path = f"/servicePrincipals/{principal['id']}"
        yield Step("let only whoever has a role sign in", "patch", path, {"appRoleAssignmentRequired": True})
    if arguments.admin:
        yield from assignment_steps(call, arguments.admin, principal["id"], ADMIN_ROLE, "EmergencyCalling.Admin")
    if arguments.machine:
        yield from assignment_steps(call, arguments.machine, principal["id"], MACHINE_ROLE, "EmergencyCalling.Machine")


def differences(application: dict[str, Any], wanted: dict[str, Any], *, keep_web: bool) -> dict[str, Any]:
    """The parts of a registration that are to be replaced. Roles that are not ours stay."""
    wrong: dict[str, Any] = {}
    if application.get("signInAudience") != wanted["signInAudience"]:
        wrong["signInAudience"] = wanted["signInAudience"]
    api, version = application.get("api", {}), wanted["api"]["requestedAccessTokenVersion"]
    scopes = api.get("oauth2PermissionScopes", [])
    lacking = [] if scope_id_of(application) else wanted["api"]["oauth2PermissionScopes"]
    if lacking or api.get("requestedAccessTokenVersion") != version:
        wrong["api"] = {**api, "requestedAccessTokenVersion": version, "oauth2PermissionScopes": [*scopes, *lacking]}
    ours = {each["id"]: each for each in wanted["appRoles"]}
    present = {each["id"]: each for each in application.get("appRoles", ())}
    if any(not _holds(present.get(role_id, {}), each) for role_id, each in ours.items()):
        others = [each for role_id, each in present.items() if role_id not in ours]
        wrong["appRoles"] = [*others, *ours.values()]
    back = set(wanted["web"]["redirectUris"])
    if not keep_web and not back <= set(application.get("web", {}).get("redirectUris", ())):
        known = application.get("web", {}).get("redirectUris", [])
        wrong["web"] = {**wanted["web"], "redirectUris": [*known, *sorted(back - set(known))]}
    return wrong


def scope_id_of(application: dict[str, Any]) -> str | None:
    """The id of our scope, whoever made it: a registration has no two of one name."""
    scopes = application.get("api", {}).get("oauth2PermissionScopes", ())
    return next((each["id"] for each in scopes if each["value"] == SCOPE), None)


def consent_steps(application: dict[str, Any], clients: Sequence[str]) -> Iterator[Step]:
    """Let programs have tokens of their users, without a question to each. Graph wants the scope to be there before."""
    scope_id = scope_id_of(application)
    known = {each["appId"]: each for each in application["api"].get("preAuthorizedApplications", ())}
    granted = {client: known.get(client, {}).get("delegatedPermissionIds", []) for client in clients}
    missing = {
        client: {"appId": client, "delegatedPermissionIds": [*ids, scope_id]}
        for client, ids in granted.items()
        if scope_id not in ids
    }
    if missing:
        api = {**application["api"], "preAuthorizedApplications": list((known | missing).values())}
        words = f"give tokens of people to {', '.join(missing)} without asking them"
        yield Step(words, "patch", f"/applications/{application['id']}", {"api": api})


def _holds(present: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(present.get(name) == value for name, value in wanted.items())


def federation_steps(call: Run, object_id: str, subject: str) -> Iterator[Step]:
    """Let the managed identity vouch for the app, in place of a secret."""
    known = collection(call, f"/applications/{object_id}/federatedIdentityCredentials")
    if not any(each["subject"] == subject for each in known):
        tenant = json.loads(call(["az", "account", "show", "-o", "json"]))["tenantId"]
        yield Step(
            "let the managed identity vouch for it",
            "post",
            f"/applications/{object_id}/federatedIdentityCredentials",
            {
                # One for each identity: Graph refuses a second credential of a name.
                "name": f"{FEDERATION}-{subject}",
                "issuer": f"https://login.microsoftonline.com/{tenant}/v2.0",
                "subject": subject,
                "audiences": ["api://AzureADTokenExchange"],
            },
        )


def service_principal(call: Run, client_id: str) -> dict[str, Any] | None:
    """The service principal of an application in this tenant, if it has one."""
    found = collection(call, f"/servicePrincipals?$filter=appId eq '{client_id}'")
    return found[0] if found else None


def assignment_steps(call: Run, who: str, resource_id: str, role_id: str, words: str) -> Iterator[Step]:
    """Give a person or an identity a role of a resource."""
    if who == "me":
        who = graph(call, "get", "/me")["id"]
    given = collection(call, f"/servicePrincipals/{resource_id}/appRoleAssignedTo")
    if not any(each["principalId"] == who and each["appRoleId"] == role_id for each in given):
        body = {"principalId": who, "resourceId": resource_id, "appRoleId": role_id}
        yield Step(f"give {who} the role {words}", "post", f"/servicePrincipals/{resource_id}/appRoleAssignedTo", body)


def grant(call: Run, arguments: argparse.Namespace) -> None:
    """Give the app's identity its rights in Microsoft Graph."""
    resource = service_principal(call, GRAPH_APP_ID)
    if resource is None:
        raise CommandError("Microsoft Graph is not known to this tenant")
    who = arguments.identity_object_id
    steps: list[Step] = []
    if arguments.presence:
        steps += assignment_steps(call, who, resource["id"], PRESENCE_READ_WRITE_ALL, "Presence.ReadWrite.All")
    if arguments.mail_from:
        client_id = graph(call, "get", f"/servicePrincipals/{who}")["appId"]
        print(MAILBOX.format(sender=arguments.mail_from, identity=who, client_id=client_id))
    apply(call, steps, arguments)


def tell_dynamics(call: Run, arguments: argparse.Namespace) -> None:  # noqa: ARG001 - every command takes both
    """Say what an administrator of Dynamics 365 does."""
    print(DYNAMICS.format(client_id=arguments.identity_client_id))


def apply(call: Run, steps: Sequence[Step], arguments: argparse.Namespace) -> bool:
    """Say what is to be done, ask, and do it; False where nothing is."""
    if not steps:
        print("nothing to change")
        return False
    confirm([step.words for step in steps], arguments)
    for step in steps:
        graph(call, step.method, step.path, step.body)
    return True


def confirm(words: Sequence[str], arguments: argparse.Namespace) -> None:
    """Ask before anything is changed, unless `--yes` was given."""
    print("This would change:")
    for each in words:
        print(f"  - {each}")
    if not arguments.yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        sys.exit("nothing was changed")


SHARED = """The registration {name} is there already. Whoever has a role of it has that role in every app that uses it.
For one of its own: python infra/entra.py register --name NAME --admin me, then azd env set AUTH_CLIENT_ID CLIENT_ID"""
MAILBOX = """Mail.Send is not given for the whole tenant: Exchange keeps it to one mailbox. Its administrator runs:
  New-ServicePrincipal -AppId {client_id} -ObjectId {identity} -DisplayName "Emergency calling"
  New-ManagementScope -Name "Emergency calling" -RecipientRestrictionFilter "PrimarySmtpAddress -eq '{sender}'"
  New-ManagementRoleAssignment -App {identity} -Role "Application Mail.Send" -CustomResourceScope "Emergency calling"
"""
DYNAMICS = """A Dynamics 365 administrator does this once, in the Power Platform admin center:
  Environments > the environment > Settings > Users + permissions > Application users > New app user
  App: the managed identity with the client id {client_id} (no secret and no registration of its own is needed)
  Security roles: one that may read agents and presences and call the presence action, such as Omnichannel supervisor
"""
COMMANDS: dict[str, Callable[[Run, argparse.Namespace], None]] = {
    "register": register,
    "graph": grant,
    "dynamics": tell_dynamics,
}


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python infra/entra.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    registration = commands.add_parser("register", help="the app registration")
    registration.add_argument("--name", default=NAME)
    registration.add_argument("--address", help="of the app, where browsers come back to after signing in")
    registration.add_argument("--identity-object-id", help="of the app's managed identity, which then vouches for it")
    registration.add_argument("--admin", metavar="me|OBJECT_ID", help="who gets the first EmergencyCalling.Admin")
    registration.add_argument("--machine", metavar="OBJECT_ID", help="a service principal that gets .Machine")
    registration.add_argument("--client", metavar="CLIENT_ID", action="append", help="whose pages ask for tokens")
    registration.add_argument("--azd", action="store_true", help="put AUTH_CLIENT_ID into azd's environment")
    named = os.environ.get("AUTH_CLIENT_ID", "")
    registration.add_argument("--auth-client-id", default=named, help="what azd's environment names already")
    rights = commands.add_parser("graph", help="the identity's rights in Microsoft Graph")
    rights.add_argument("--identity-object-id", required=True)
    rights.add_argument("--presence", action="store_true", help="where PRESENCE_BACKEND is graph")
    rights.add_argument("--mail-from", metavar="ADDRESS", help="where EMAIL_BACKEND is graph: the sender's mailbox")
    for command in (registration, rights):
        command.add_argument("--yes", action="store_true", help="do not ask")
    commands.add_parser("dynamics", help="what a Dynamics 365 administrator does").add_argument(
        "--identity-client-id", required=True
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
