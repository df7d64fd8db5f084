"""Every function that the app indexes is one that the Functions host loads."""

import json
import subprocess
import sys

import pytest

from tests.local.host.refused_routes import HTTP_TRIGGER, ambiguous, refused
from tests.local.host.runtime import Function
from tests.rules.sources import ROOT

# In a process of its own: an app can be indexed once in a process.
INDEX = """
import asyncio, json, os, sys
from pathlib import Path
from tests.local.host.runtime import indexed
os.environ.update(EXPIRY_SCHEDULE="0 * * * * *", OUTBOX_SCHEDULE="0 * * * * *")
found = asyncio.run(indexed(Path.cwd())).functions.values()
sys.stdout.write("INDEXED " + json.dumps([[each.name, each.function_id, each.trigger] for each in found]) + "\\n")
sys.stdout.flush()
os._exit(0)
"""


@pytest.fixture(scope="module")
def functions() -> dict[str, Function]:
    ran = subprocess.run([sys.executable, "-c", INDEX], cwd=ROOT, capture_output=True, text=True, check=True)
    line = next(line for line in ran.stdout.splitlines() if line.startswith("INDEXED "))
    return {name: Function(name, key, trigger) for name, key, trigger in json.loads(line.removeprefix("INDEXED "))}


def http(name: str, route: str | None, *methods: str) -> Function:
    return Function(name, name, {"type": "httpTrigger", "route": route, "methods": list(methods)})


def test_the_host_loads_every_function(functions: dict[str, Function]) -> None:
    assert len(functions) > 20
    assert [(function.name, why) for function, why in refused(functions.values())] == []


def test_every_http_function_names_its_route(functions: dict[str, Function]) -> None:
    """Its name would be the route else, and functions may be named `admin_…`."""
    unnamed = [each.name for each in functions.values() if each.kind == HTTP_TRIGGER and not each.trigger.get("route")]
    assert unnamed == []


def test_no_two_routes_take_the_same_request(functions: dict[str, Function]) -> None:
    assert list(ambiguous(functions)) == []


@pytest.mark.parametrize("route", ["admin/agents", "/Admin/agents/", "administration", "runtime", "RunTimes/{a}"])
def test_a_route_that_begins_with_admin_or_runtime_is_refused(route: str) -> None:
    assert [each.name for each, _ in refused([http("f", route, "GET"), http("g", "manage/admin", "GET")])] == ["f"]


def test_a_function_named_admin_needs_a_route() -> None:
    assert [each.name for each, _ in refused([http("admin_read", None), http("admin_saved", "manage/a")])] == [
        "admin_read"
    ]


@pytest.mark.parametrize(
    ("methods", "conflict"), [((["GET"], ["GET"]), True), ((["GET"], ["PUT"]), False), (([], ["PUT"]), True)]
)
def test_two_functions_with_one_route_conflict_where_they_share_a_method(
    methods: tuple[list[str], list[str]], conflict: bool
) -> None:
    found = list(refused([http("f", "a/{b}", *methods[0]), http("g", "/A/{b}", *methods[1])]))
    assert bool(found) == conflict
    assert all(function.name == "g" and "'f'" in why for function, why in found)


def test_routes_that_differ_in_the_names_of_parameters_are_told() -> None:
    pair = {"f": http("f", "a/{b}", "GET"), "g": http("g", "a/{c}", "GET"), "h": http("h", "a/c", "GET")}
    assert list(ambiguous(pair)) == [("f", "g")]
