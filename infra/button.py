"""The link of a *Deploy to Azure* button for one release.

    python infra/button.py --repository OWNER/NAME --tag v1.2.0

Form, template and package are those of the tag: the form of one version never meets the template of another. Prints
Markdown for the notes of the release. The second link only subscribes to events: where Azure did not know the functions
when the first one came to that step, it ends the work.
"""

from __future__ import annotations

import argparse
import re
import urllib.parse

RAW = "https://raw.githubusercontent.com"
PORTAL = "https://portal.azure.com/#create/Microsoft.Template"
IMAGE = "https://aka.ms/deploytoazurebutton"


def main() -> None:
    """Print the notes."""
    parser = argparse.ArgumentParser(prog="python infra/button.py", description=__doc__)
    parser.add_argument("--repository", required=True, help="OWNER/NAME; it must be public")
    parser.add_argument("--tag", required=True)
    arguments = parser.parse_args()
    print(notes(arguments.repository, arguments.tag))


def notes(repository: str, tag: str) -> str:
    """The buttons, and the address of the package. Raises `ValueError`."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or not re.fullmatch(r"v\d+\.\d+\.\d+[\w.-]*", tag):
        raise ValueError("a repository is OWNER/NAME and a tag such as v1.2.0")
    return (
        f"[![Deploy to Azure]({IMAGE})]({link(repository, tag)})\n\n"
        f"Package, for the form's field of that name: {package(repository, tag)}\n\n"
        f"Event subscriptions alone: [deploy]({events_link(repository, tag)})\n"
    )


def link(repository: str, tag: str) -> str:
    """Opens the form of this tag over the template of this tag."""
    template, form = (_raw(repository, tag, name) for name in ("azuredeploy.json", "createUiDefinition.json"))
    return f"{PORTAL}/uri/{_quoted(template)}/createUIDefinitionUri/{_quoted(form)}"


def events_link(repository: str, tag: str) -> str:
    """Opens the second step alone."""
    return f"{PORTAL}/uri/{_quoted(_raw(repository, tag, 'events.deploy.json'))}"


def package(repository: str, tag: str) -> str:
    """Where the release workflow puts the package: fetched without a redirect."""
    return f"{RAW}/{repository}/package-{tag}/packages/{tag}/released-package.zip"


def _raw(repository: str, tag: str, name: str) -> str:
    return f"{RAW}/{repository}/{tag}/infra/{name}"


def _quoted(address: str) -> str:
    return urllib.parse.quote(address, safe="")


if __name__ == "__main__":
    main()
