"""The app settings as they are now, so that a deployment keeps what was set by hand.

    python infra/app_settings.py read --app NAME --resource-group GROUP [--azd]
    python infra/app_settings.py forget --azd
    python infra/app_settings.py gate --app NAME --resource-group GROUP [--what-if FILE]

`read` prints them as JSON, for the parameter `currentSettings`; with `--azd` it puts them into azd's environment, finds
the app by its tags where that environment does not know it yet, and does nothing where there is none. `forget --azd`
takes them out of it again, since azd keeps its environment in a file, and with them the settings that it was given: the
app has them now, and what is set there by hand later would be undone by them. With `--azd`, `read` refuses too where
nobody is named who is told of alerts: nothing of the app says who was. And where azd's environment would move the state
or the telephony of the app, since parameters that it lacks have the templates' defaults, or, not knowing the app yet,
would give it another registration to sign in with: it says what to set. `gate` refuses settings that Flex Consumption
forbids or that only the platform may make, and, by what a what-if says, a deployment that would take a setting away,
leave the app without its numbers, move the state elsewhere, answer for another Communication Services resource or
unlink the sender's domain. Where the what-if hides the settings, because a secure parameter goes into them, it judges
by what CURRENT_SETTINGS hands over, all of which the template keeps, and says so. Without `--what-if` it has not looked
at any deployment, and says so too. `gate` names settings and never shows a value. All call the Azure CLI, `az`, with
the rights of whoever runs them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("settings.json")
ABBREVIATIONS = Path(__file__).with_name("abbreviations.json")
REQUIRED = ("CALLBACK_NUMBERS", "FALLBACK_CALLBACK_NUMBER")
COMMUNICATION = "/providers/microsoft.communication/communicationservices/"
# Tags of the app, as main.bicep writes them: nothing secure goes into them, so that a what-if shows them.
STATE_TAG, COMMUNICATION_TAG = "emergency-state", "emergency-communication"
API_VERSION = "api-version=2025-03-01"
MANAGED_DOMAIN = ".azurecomm.net"

type Run = Callable[[Sequence[str]], str]


class CommandError(Exception):
    """The Azure CLI refused; the message is its own."""


def main() -> None:
    """Read or judge."""
    arguments = _parsed()
    try:
        if arguments.command == "read":
            read(run, arguments, os.environ)
        elif arguments.command == "forget":
            forget(run, os.environ)
        else:
            told = gate(run, arguments, os.environ)
            if told:
                sys.exit("\n".join(told))
            print(passed(arguments))
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


def current(call: Run, app: str, group: str, subscription: str) -> dict[str, str]:
    """The settings of an app by name. Raises `CommandError`."""
    listed = json.loads(
        call(
            [
                "az",
                "functionapp",
                "config",
                "appsettings",
                "list",
                "--name",
                app,
                "--resource-group",
                group,
                *_of(subscription),
                "-o",
                "json",
            ]
        )
    )
    return {each["name"]: each["value"] or "" for each in listed}


def _of(subscription: str) -> list[str]:
    # azd chooses its own: the one that Azure CLI was left at may be another one.
    return ["--subscription", subscription] if subscription else []


def read(call: Run, arguments: argparse.Namespace, given: Mapping[str, str]) -> None:
    """Print the settings, or hand them to azd, whose environment is `given`. Raises `CommandError`."""
    if arguments.azd and not given.get("ALERT_EMAILS", "").strip(" ;"):
        raise CommandError(
            "say who is told of alerts, or nobody is: azd env set ALERT_EMAILS 'ADDRESS;ADDRESS'. It is no app setting:"
            " an environment of azd that lacks it would take those away whom another one named"
        )
    app, group = arguments.app, arguments.resource_group
    if arguments.azd and not (app and group):
        app, group = found_by_tags(call, arguments)
    if arguments.azd and not app:
        print("no app yet: nothing to keep")
        return
    now = current(call, app, group, arguments.subscription)
    if arguments.azd:
        told = moving(now, planned_tags(app, group, arguments.subscription, given))
        told = [*told, f"{app} was deployed with:", *as_deployed(now, app)] if told else unlinking(now, given)
        if not arguments.app:
            told += other_sign_in(call, app, group, arguments.subscription, given)
        if told:
            raise CommandError("\n".join(told))
    kept = json.dumps(now, sort_keys=True)
    if arguments.azd:
        call(["azd", "env", "set", "CURRENT_SETTINGS", kept])
        print("the present app settings are kept")
    else:
        print(kept)


def found_by_tags(call: Run, arguments: argparse.Namespace) -> tuple[str, str]:
    """The app that an environment of azd would deploy over without knowing it, and its group. Raises `CommandError`."""
    listed = json.loads(call(["az", "functionapp", "list", *_of(arguments.subscription), "-o", "json"]))
    wanted = {"azd-env-name": arguments.environment, "azd-service-name": "api"}
    apps = [
        (each["name"], each["resourceGroup"]) for each in listed if wanted.items() <= (each.get("tags") or {}).items()
    ]
    if apps and not arguments.resource_group:
        places = ", ".join(f"{app} in {group}" for app, group in apps)
        raise CommandError(
            "say into which resource group this goes (azd env set AZURE_RESOURCE_GROUP GROUP): of the environment"
            f" {arguments.environment} there is {places}, whose settings would have to be kept"
        )
    here = [each for each in apps if each[1].lower() == arguments.resource_group.lower()]
    return here[0] if here else ("", "")


def forget(call: Run, given: Mapping[str, str]) -> None:
    """Take the settings out of azd's environment: a file, in which a secret must not stay."""
    call(["azd", "env", "set", "CURRENT_SETTINGS", "{}"])
    handed_over = [
        name for name in (*json.loads(TABLE.read_text("utf-8"))["defaults"], "EMAIL_SENDER") if given.get(name)
    ]
    for name in handed_over:
        call(["azd", "env", "set", name, ""])
    if handed_over:
        print(f"the app has them now, and azd's environment no more: {', '.join(handed_over)}")


def gate(call: Run, arguments: argparse.Namespace, given: Mapping[str, str]) -> list[str]:
    """What speaks against a deployment, in words without values; `given` are its parameters, named as settings."""
    now = current(call, arguments.app, arguments.resource_group, arguments.subscription)
    told = forbidden(now)
    if arguments.what_if:
        told += without_numbers(now, given)
        app = _planned(arguments)
        if isinstance(app, str):
            return [*told, app]
        told += vanishing(now, planned_names(app, given))
        told += moving(now, app.get("tags") or {}) or unlinking(now, given)
    return told


def passed(arguments: argparse.Namespace) -> str:
    """What was looked at, where nothing speaks against it."""
    if not arguments.what_if:
        return "no setting is forbidden. Whether one would vanish was not looked at: that needs --what-if FILE"
    app = _planned(arguments)
    seen = "no setting would vanish, and none is forbidden"
    if isinstance(app, str) or not isinstance(_listed(app), str):
        return seen
    return (
        f"{seen}. The what-if hides the settings, since secure values go into them: their names were compared with what"
        " is handed over as currentSettings, and no value was. Where state and telephony are is known by the app's tags"
    )


def forbidden(now: Mapping[str, str]) -> list[str]:
    """Settings of the app that a deployment must not carry on."""
    names = {name.lower(): name for name in json.loads(TABLE.read_text("utf-8"))["forbidden"]}
    # Injected by the platform itself: it stands in no list that somebody could have edited.
    return [
        f"{name} is set: Flex Consumption or the app forbids it. Remove it, then deploy again"
        for name in sorted(now)
        if name.lower() in names
    ]


def without_numbers(now: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """Settings that nobody gave and the app does not have: without them callers get no number."""
    return [
        f"{name} is neither given nor set: no caller would get a number"
        for name in REQUIRED
        if not (given.get(name, "").strip() or now.get(name, "").strip())
    ]


def planned_app(what_if: Mapping[str, Any], app: str) -> Mapping[str, Any] | str:
    """The app that `az deployment group what-if` says there would be; a word where its settings cannot be judged."""
    planned: list[Mapping[str, Any]] = [
        each["after"]
        for each in what_if.get("changes", ())
        # Ignored is what lies in the group and not in the template.
        if each.get("after")
        and each.get("changeType") != "Ignore"
        and each["resourceId"].lower().endswith(f"/microsoft.web/sites/{app.lower()}")
    ]
    if not planned:
        return f"the deployment does not name {app}: is it the right one?"
    if not isinstance(_listed(planned[0]), list | str):
        return "the planned settings cannot be read: run what-if with --result-format FullResourcePayloads"
    return planned[0]


def _planned(arguments: argparse.Namespace) -> Mapping[str, Any] | str:
    return planned_app(json.loads(arguments.what_if.read_text("utf-8")), arguments.app)


def _listed(app: Mapping[str, Any]) -> object:
    return (app["properties"].get("siteConfig") or {}).get("appSettings")


def planned_names(app: Mapping[str, Any], given: Mapping[str, str]) -> Collection[str]:
    """The names of the settings that a planned app would have of those that there are. Raises `CommandError`."""
    listed = _listed(app)
    if isinstance(listed, list):
        return [each["name"] for each in listed]
    # One text, not evaluated or masked, in the place of the list. Whatever is handed over is kept but for what is
    # forbidden, which the gate refuses anyway (tests/infra/by_hand.py compiles the template to see it).
    try:
        return list(dict[str, str](json.loads(given.get("CURRENT_SETTINGS") or "{}")))
    except (TypeError, ValueError):
        raise CommandError("CURRENT_SETTINGS is not what `app_settings.py read` prints") from None


def vanishing(now: Mapping[str, str], planned: Collection[str]) -> list[str]:
    """Settings that are there now and would not be after the deployment."""
    after = {name.lower() for name in planned}
    gone = sorted(name for name in now if name.lower() not in after)
    return [f"{name} would vanish: hand the present settings over as currentSettings" for name in gone]


def moving(now: Mapping[str, str], tags: Mapping[str, str]) -> list[str]:
    """What a deployment with other parameters than the last one would leave behind, by the tags of the planned app."""
    told = []
    state, communication = (_readable(tags.get(tag)) for tag in (STATE_TAG, COMMUNICATION_TAG))
    before, after = (each.rstrip("/").lower() for each in (now.get("TABLES_ENDPOINT", ""), state))
    if before and not after:
        told.append(f"TABLES_ENDPOINT was not compared: the what-if does not show the tag {STATE_TAG} of the app")
    # The tag leaves out the suffix of the cloud.
    elif before and not before.startswith(after):
        told.append("TABLES_ENDPOINT would change: every lease and the directory would be left behind")
    answered = _communication(now.get("EVENT_SOURCES", ""))
    if answered and not communication:
        told.append(f"EVENT_SOURCES was not compared: the what-if does not show the tag {COMMUNICATION_TAG} of the app")
    elif answered and communication.lower() not in answered:
        told.append(
            "EVENT_SOURCES would name another Communication Services resource: callbacks would go to the old one"
        )
    return told


def unlinking(now: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """Whether a deployment would take the sender's domain from its own Communication Services resource."""
    after = {name: given.get(name) or now.get(name, "") for name in ("EMAIL_SENDER", "EMAIL_BACKEND")}
    _, _, domain = after["EMAIL_SENDER"].strip().lower().partition("@")
    if not domain or domain.endswith(MANAGED_DOMAIN) or after["EMAIL_BACKEND"].strip().lower() == "graph":
        return []
    # The list of linked domains is replaced by the one that Azure manages where no other is named.
    if given.get("EXISTING_COMMUNICATION_SERVICE_ID") or given.get("EMAIL_DOMAIN"):
        return []
    return [
        "EMAIL_SENDER would lose its domain, which would be unlinked: name it as EMAIL_DOMAIN with LINK_EMAIL_DOMAIN"
        " true, or, where it was linked by hand, the resource as EXISTING_COMMUNICATION_SERVICE_ID"
    ]


def other_sign_in(call: Run, app: str, group: str, subscription: str, given: Mapping[str, str]) -> list[str]:
    """Whether an environment of azd that does not know the app yet would give it another registration to sign in with.

    One that knows it has been deployed with its own: another one there is a choice. Raises `CommandError`.
    """
    site = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{app}"
    known = json.loads(call(["az", "rest", "--method", "get", "--url", f"{site}/config/authsettingsV2?{API_VERSION}"]))
    entra = ((known["properties"].get("identityProviders") or {}).get("azureActiveDirectory") or {}).get("registration")
    before, after = (entra or {}).get("clientId") or "", given.get("AUTH_CLIENT_ID", "")
    if not (before and after) or before.lower() == after.lower():
        return []
    return [
        f"{app} has another registration to sign in with: tokens for it would be refused, and every dial over HTTP with"
        f" them. Keep it: azd env set AUTH_CLIENT_ID {before}"
    ]


def planned_tags(app: str, group: str, subscription: str, given: Mapping[str, str]) -> dict[str, str]:
    """The tags that main.bicep gives an app with the parameters of azd's environment: its hook has no what-if."""
    state = given.get("EXISTING_STATE_ENDPOINT") or _own_state(app, cosmos=_true(given.get("USE_COSMOS")))
    existing = given.get("EXISTING_COMMUNICATION_SERVICE_ID", "")
    # One that cannot be read is no resource that the app has.
    named = next(iter(_communication(existing)), existing)
    own = f"{subscription}/{group}/{_own_name('communicationService', app)}"
    return {STATE_TAG: state, COMMUNICATION_TAG: named or own}


def as_deployed(now: Mapping[str, str], app: str) -> list[str]:
    """The commands that leave state and telephony where the settings of an app say that they are."""
    state = now.get("TABLES_ENDPOINT", "")
    own, cosmos = (state.lower().startswith(_own_state(app, cosmos=kind)) for kind in (False, True))
    sources = [each.strip() for each in now.get("EVENT_SOURCES", "").split(";") if COMMUNICATION in each.lower()]
    own_name = f"/{_own_name('communicationService', app)}"
    services = ["" if each.lower().rstrip("/").endswith(own_name) else each for each in sources]
    return [
        f"azd env set EXISTING_STATE_ENDPOINT '{'' if own or cosmos else state}'",
        f"azd env set USE_COSMOS {str(cosmos).lower()}",
        # Several where somebody added one by hand: one of them.
        *(f"azd env set EXISTING_COMMUNICATION_SERVICE_ID '{each}'" for each in services),
    ]


def _own_state(app: str, *, cosmos: bool) -> str:
    return (
        f"https://{_own_name('cosmosAccount', app)}.table.cosmos.azure.com:443/"
        if cosmos
        else f"https://{_own_name('stateStorage', app)}.table."
    )


def _own_name(kind: str, app: str) -> str:
    """What a deployment calls a resource of its own: they end in the same word as the app."""
    begins = json.loads(ABBREVIATIONS.read_text("utf-8"))
    return str(begins[kind] + app.lower().removeprefix(begins["functionApp"]))


def _true(value: str | None) -> bool:
    return (value or "").strip().lower() == "true"


def _readable(tag: str | None) -> str:
    # An expression that the what-if could not evaluate is shown as itself.
    return "" if tag is None or tag.startswith("[") else tag


def _communication(sources: str) -> set[str]:
    """The Communication Services resources among event sources, as the tag names one: subscription, group, name."""
    listed = (source.strip().lower().removesuffix("/") for source in sources.split(";"))
    parts = (source.split("/") for source in listed if COMMUNICATION in source)
    return {f"{each[2]}/{each[4]}/{each[-1]}" for each in parts}


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python infra/app_settings.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("forget").add_argument("--azd", action="store_true", required=True)
    for name in ("read", "gate"):
        command = commands.add_parser(name)
        command.add_argument("--app", default=os.environ.get("FUNCTION_APP_NAME", ""))
        command.add_argument("--resource-group", default=os.environ.get("AZURE_RESOURCE_GROUP", ""))
        command.add_argument("--subscription", default=os.environ.get("AZURE_SUBSCRIPTION_ID", ""))
        if name == "read":
            command.add_argument("--azd", action="store_true", help="put them into azd's environment")
            command.add_argument(
                "--environment", default=os.environ.get("AZURE_ENV_NAME", ""), help="azd's name for it"
            )
        else:
            command.add_argument("--what-if", type=Path, help="the answer of az deployment group what-if, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
