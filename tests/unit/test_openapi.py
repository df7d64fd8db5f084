"""The description of the API holds what the app has, and its schemas are those of the types."""

import json
from typing import Any

import azure.functions as func
import pytest

from functions.openapi import OPERATIONS, description
from functions.rights import RIGHTS
from tests.rules.test_contract import HTTP, ROUTES

# Nothing that a program asks for: pages, what a browser asks by itself, what the service posts.
NOT_DESCRIBED = {"call_automation_events", "preflight", "openapi"} | {name for name in ROUTES if name.startswith("ui_")}


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(each) for each in node.values()))
    return set().union(*(references(each) for each in node)) if isinstance(node, list) else set()


def test_every_operation_is_a_route_of_the_app() -> None:
    for operation in OPERATIONS:
        assert operation.function in HTTP
        assert ROUTES[operation.function] == (operation.method.upper(), operation.path.removeprefix("/"))
    assert len({operation.function for operation in OPERATIONS}) == len(OPERATIONS)


def test_what_was_there_when_it_was_written_is_described() -> None:
    of_others = {name for name in HTTP if name.startswith(("admin_agents_", "admin_site", "admin_drill"))}
    of_others |= {"admin_agent_removed", "admin_emergency_contacts_saved"}
    assert set(HTTP) - NOT_DESCRIBED - of_others == {operation.function for operation in OPERATIONS}


def test_every_reference_leads_somewhere() -> None:
    document = json.loads(json.dumps(description()))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    assert document["openapi"] == "3.1.0"


def test_roles_are_those_of_the_table() -> None:
    for path in description()["paths"].values():
        for operation in path.values():
            rule = RIGHTS[operation["operationId"]]
            assert operation["x-roles"] == sorted(rule.roles)
            assert ("401" in operation["responses"]) is not rule.anyone


def test_an_optional_field_of_a_dial_may_be_anything() -> None:
    dial = description()["components"]["schemas"]["DialBody"]
    assert dial["properties"]["location"] == {}
    assert dial["properties"]["dialled"]["type"] == "string"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.function)
def test_a_body_is_described_where_one_is_sent(operation: Any) -> None:
    described = description()["paths"][operation.path][operation.method]
    assert ("requestBody" in described) is (operation.body is not None)
    assert {str(status) for status in operation.answers} <= set(described["responses"])
    assert isinstance(func.HttpMethod(operation.method.upper()), func.HttpMethod)
