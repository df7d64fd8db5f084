"""What would be deployed: the kept snapshots and the compiled templates, as the tests read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.infra.compiler import INFRA, PARAMS

type Resource = dict[str, Any]

# Those of the first step; `events` is the second one.
PLATFORM_SETS = ("minimal", "everything", "existing", "network")


@cache
def resources(name: str) -> tuple[Resource, ...]:
    """The resources of a parameter set, values resolved where they can be."""
    return tuple(_snapshot(name)["predictedResources"])


def warnings(name: str) -> list[str]:
    """What the compiler could not look into."""
    return list(_snapshot(name)["diagnostics"])


@cache
def _snapshot(name: str) -> dict[str, Any]:
    snapshot: dict[str, Any] = json.loads((PARAMS / f"{name}.snapshot.json").read_text("utf-8"))
    return snapshot


def of_type(name: str, kind: str) -> list[Resource]:
    """Those of one type, whatever its capitals."""
    return [each for each in resources(name) if str(each["type"]).lower() == kind.lower()]


def app(name: str) -> Resource:
    """The function app."""
    (found,) = of_type(name, "Microsoft.Web/sites")
    return found


def app_settings(name: str) -> dict[str, str]:
    """Its settings; no name comes twice."""
    listed = app(name)["properties"]["siteConfig"]["appSettings"]
    names = [each["name"].lower() for each in listed]
    assert len(names) == len(set(names))
    return {each["name"]: each["value"] for each in listed}


@cache
def template(name: str) -> dict[str, Any]:
    """A compiled template: `azuredeploy.json` or `events.deploy.json`."""
    read: dict[str, Any] = json.loads((INFRA / name).read_text("utf-8"))
    return read


def data(name: str) -> Any:
    """A data file of `infra/`."""
    return json.loads((INFRA / name).read_text("utf-8"))


def nested(node: Any) -> Iterator[Resource]:
    """Every resource of a compiled template, at any depth."""
    for each in node.get("resources", ()):
        yield each
        if "template" in each.get("properties", {}):
            yield from nested(each["properties"]["template"])


def parameters_given(name: str) -> dict[str, str]:
    """The parameters of a parameter file that are plain words."""
    lines = (PARAMS / f"{name}.bicepparam").read_text("utf-8").splitlines()
    pairs = (line.removeprefix("param ").split(" = ", 1) for line in lines if line.startswith("param "))
    return {key: value.strip("'") for key, value in pairs if value.startswith("'")}
