"""The parameters of one environment, from the variables that a repository keeps for it, for the workflows.

    VARIABLES='{"AZURE_ENV_NAME": "production", …}' python infra/parameters.py >> "$GITHUB_ENV"

Of all variables only those are taken that `main.bicepparam` reads, under the names that it reads. Without them a
deployment would take the templates' defaults for what somebody chose: another Communication Services resource, another
place for the state. So the names that must be there are asked for, and nothing is written where one is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

PARAMETERS = Path(__file__).with_name("main.bicepparam")
# An empty one says something too: a new resource.
NEEDED = ("AZURE_ENV_NAME", "AZURE_LOCATION", "ALERT_EMAILS", "EXISTING_COMMUNICATION_SERVICE_ID")
# A variable cannot be empty in a repository: this word stands for it.
NONE = "none"
# Read from the app itself, in the same run.
NOT_A_VARIABLE = "CURRENT_SETTINGS"


def main() -> None:
    """Print what a runner's environment file takes."""
    argparse.ArgumentParser(
        prog="python infra/parameters.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        print(environment_file(json.loads(os.environ.get("VARIABLES", "{}")), uuid.uuid4().hex), end="")
    except ValueError as error:
        sys.exit(str(error))


def names() -> list[str]:
    """The environment variables that the parameter file reads."""
    read = re.findall(r"readEnvironmentVariable\('([A-Z0-9_]+)'", PARAMETERS.read_text("utf-8"))
    return [name for name in dict.fromkeys(read) if name != NOT_A_VARIABLE]


def environment_file(variables: Mapping[str, str], ending: str) -> str:
    """The lines for the environment file; `ending` closes each value. Raises `ValueError` where one is missing."""
    missing = [name for name in NEEDED if not variables.get(name, "").strip()]
    if missing:
        raise ValueError(
            f"the environment lacks the variables {', '.join(missing)}: set them as the deployment has them"
            f" ({NONE} for an empty one). See OPERATIONS.md, Deploy"
        )
    given = {name: variables[name] for name in names() if name in variables}
    return "".join(
        f"{name}<<{ending}\n{'' if value.strip() == NONE else value}\n{ending}\n" for name, value in given.items()
    )


if __name__ == "__main__":
    main()
