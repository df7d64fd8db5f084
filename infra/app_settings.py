"""The app settings as they are now, so that a deployment keeps what was set by hand.

    python infra/app_settings.py read --app NAME --resource-group GROUP [--azd]
    python infra/app_settings.py gate --app NAME --resource-group GROUP [--what-if FILE]

`read` prints them as JSON, for the parameter `currentSettings`; with `--azd` it puts them into azd's environment, and
does nothing where there is no app yet. `gate` refuses a deployment that would take a setting away, and settings that
Flex Consumption forbids or that only the platform may make; it names settings and never shows a value. Both call the
Azure CLI, `az`, with the rights of whoever runs them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("settings.json")

type Run = Callable[[Sequence[str]], str]


class CommandError(Exception):
    """The Azure CLI refused; the message is its own."""


def main() -> None:
    """Read or judge."""
    arguments = _parsed()
    try:
        if arguments.command == "read":
            read(run, arguments)
        else:
            told = gate(run, arguments)
            if told:
                sys.exit("\n".join(told))
            print("no setting would vanish, and none is forbidden")
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


def current(call: Run, app: str, group: str) -> dict[str, str]:
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
                "-o",
                "json",
            ]
        )
    )
    return {each["name"]: each["value"] or "" for each in listed}


def read(call: Run, arguments: argparse.Namespace) -> None:
    """Print the settings, or hand them to azd."""
    if arguments.azd and not (arguments.app and arguments.resource_group):
        print("no app yet: nothing to keep")
        return
    kept = json.dumps(current(call, arguments.app, arguments.resource_group), sort_keys=True)
    if arguments.azd:
        call(["azd", "env", "set", "CURRENT_SETTINGS", kept])
        print("the present app settings are kept")
    else:
        print(kept)


def gate(call: Run, arguments: argparse.Namespace) -> list[str]:
    """What speaks against a deployment, in words without values."""
    now = current(call, arguments.app, arguments.resource_group)
    told = forbidden(now)
    if arguments.what_if:
        told += vanishing(now, json.loads(arguments.what_if.read_text("utf-8")), arguments.app)
    return told


def forbidden(now: Mapping[str, str]) -> list[str]:
    """Settings of the app that a deployment must not carry on."""
    names = {name.lower(): name for name in json.loads(TABLE.read_text("utf-8"))["forbidden"]}
    # Injected by the platform itself: it stands in no list that somebody could have edited.
    return [
        f"{name} is set: Flex Consumption or the app forbids it. Remove it, then deploy again"
        for name in sorted(now)
        if name.lower() in names
    ]


def vanishing(now: Mapping[str, str], what_if: Mapping[str, Any], app: str) -> list[str]:
    """Settings that are there now and would not be after a deployment, by what `az deployment group what-if` says."""
    planned = [
        each["after"]["properties"]
        for each in what_if.get("changes", ())
        if each.get("after") and each["resourceId"].lower().endswith(f"/microsoft.web/sites/{app.lower()}")
    ]
    if not planned:
        return [f"the deployment does not name {app}: is it the right one?"]
    listed = planned[0].get("siteConfig", {}).get("appSettings")
    if not isinstance(listed, list):
        return ["the planned settings cannot be read: run what-if with --result-format FullResourcePayloads"]
    after = {each["name"].lower() for each in listed}
    gone = sorted(name for name in now if name.lower() not in after)
    return [f"{name} would vanish: hand the present settings over as currentSettings" for name in gone]


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python infra/app_settings.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("read", "gate"):
        command = commands.add_parser(name)
        command.add_argument("--app", default=os.environ.get("FUNCTION_APP_NAME", ""))
        command.add_argument("--resource-group", default=os.environ.get("AZURE_RESOURCE_GROUP", ""))
        if name == "read":
            command.add_argument("--azd", action="store_true", help="put them into azd's environment")
        else:
            command.add_argument("--what-if", type=Path, help="the answer of az deployment group what-if, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
