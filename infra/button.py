"""The link of a *Deploy to Azure* button for one release.

    python infra/button.py --repository OWNER/NAME --tag v1.2.0 [--folder FOLDER]

Prints Markdown for the notes of the release. With `--folder` it lays out what the links open, to be published under the
tag `package-v1.2.0`: form and templates of this tag, and the form names the package of this tag, so that whoever clicks
through it deploys the code too. The form of one version never meets the template of another. The second link only
subscribes to events: where Azure did not know the functions when the first one came to that step, it ends the work.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import urllib.parse
from pathlib import Path

RAW = "https://raw.githubusercontent.com"
PORTAL = "https://portal.azure.com/#create/Microsoft.Template"
IMAGE = "https://aka.ms/deploytoazurebutton"
INFRA = Path(__file__).parent
TEMPLATE, FORM, EVENTS = "azuredeploy.json", "createUiDefinition.json", "events.deploy.json"


def main() -> None:
    """Print the notes, and lay out what they point to."""
    parser = argparse.ArgumentParser(prog="python infra/button.py", description=__doc__)
    parser.add_argument("--repository", required=True, help="OWNER/NAME; it must be public")
    parser.add_argument("--tag", required=True)
    parser.add_argument("--folder", type=Path, help="where form and templates are put")
    arguments = parser.parse_args()
    print(notes(arguments.repository, arguments.tag))
    if arguments.folder:
        lay_out(arguments.folder, arguments.repository, arguments.tag)


def notes(repository: str, tag: str) -> str:
    """The buttons, and the address of the package. Raises `ValueError`."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or not re.fullmatch(r"v\d+\.\d+\.\d+[\w.-]*", tag):
        raise ValueError("a repository is OWNER/NAME and a tag such as v1.2.0")
    return (
        f"[![Deploy to Azure]({IMAGE})]({link(repository, tag)})\n\n"
        f"Package: {package(repository, tag)}\n\n"
        f"Event subscriptions alone: [deploy]({events_link(repository, tag)})\n"
    )


def link(repository: str, tag: str) -> str:
    """Opens the form of this tag over the template of this tag."""
    template, form = (_raw(repository, tag, name) for name in (TEMPLATE, FORM))
    return f"{PORTAL}/uri/{_quoted(template)}/createUIDefinitionUri/{_quoted(form)}"


def events_link(repository: str, tag: str) -> str:
    """Opens the second step alone."""
    return f"{PORTAL}/uri/{_quoted(_raw(repository, tag, EVENTS))}"


def package(repository: str, tag: str) -> str:
    """Where the release workflow puts the package: fetched without a redirect."""
    return _raw(repository, tag, "released-package.zip")


def lay_out(folder: Path, repository: str, tag: str) -> None:
    """Put form and templates there; the form's field for the package says that of this tag."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (TEMPLATE, EVENTS):
        shutil.copyfile(INFRA / name, folder / name)
    form = json.loads((INFRA / FORM).read_text("utf-8"))
    (field,) = [
        each for step in form["parameters"]["steps"] for each in step["elements"] if each["name"] == "packageUri"
    ]
    field["defaultValue"] = package(repository, tag)
    (folder / FORM).write_text(json.dumps(form, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _raw(repository: str, tag: str, name: str) -> str:
    return f"{RAW}/{repository}/package-{tag}/packages/{tag}/{name}"


def _quoted(address: str) -> str:
    return urllib.parse.quote(address, safe="")


if __name__ == "__main__":
    main()
